/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SOUND_H
#define TESTS_SOUND_H

/* Sounds made in memory, and all that a source gives of them. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sndfile.h>

#include "audio/source.h"
#include "base/cleanup.h"
#include "tests/tap.h"

DEFINE_CLEANUP(struct source *, source_close)

static inline struct source_config patient(void) {
        return (struct source_config){
                .input = { .stall_ms = 10000, .total_ms = 60000, .bell_fd = -1 },
                .max_spooled = 1024 * 1024,
        };
}

/* libsndfile 1.2.0 forgets one structure when the head of an OGG file is damaged. */
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__lsan_default_options(void) {
        return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void) {
        return "leak:vorbis_info_init\n";
}

#define WAV_16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)
#define FLAC   (SF_FORMAT_FLAC | SF_FORMAT_PCM_16)
#define VORBIS (SF_FORMAT_OGG | SF_FORMAT_VORBIS)
#define OPUS   (SF_FORMAT_OGG | SF_FORMAT_OPUS)

struct sound {
        int format;
        int rate, channels;
        sf_count_t n;
        double hz;
};

/* What a source gave. */
struct heard {
        int r;
        unsigned n_frames, n_last;
        size_t n_valid;
        bool in_order, in_range;
        float *samples; /* owned, all valid ones */
        struct why why;
};

static inline int new_file(const void *bytes, size_t size) {
        int fd = memfd_create("sound", MFD_CLOEXEC);

        expect(fd >= 0);
        expect(write(fd, bytes, size) == (ssize_t) size);
        return fd;
}

/* A file in memory with a tone, the same on every channel.  Its offset is left at its end. */
static inline int new_sound(const struct sound *sound) {
        SF_INFO info = {
                .samplerate = sound->rate,
                .channels = sound->channels,
                .format = sound->format,
        };
        int fd = memfd_create("sound", MFD_CLOEXEC);
        SNDFILE *file = sf_open_fd(fd, SFM_WRITE, &info, 0);
        float frame[64];

        expect(file);
        for (sf_count_t i = 0; file && i < sound->n; i++) {
                for (int c = 0; c < sound->channels; c++)
                        frame[c] = (float) (0.5 *
                                            sin(2 * M_PI * sound->hz * (double) i / sound->rate));
                expect(sf_writef_float(file, frame, 1) == 1);
        }
        if (file)
                expect(sf_close(file) == 0);
        return fd;
}

static inline size_t file_bytes(int fd, unsigned char *bytes, size_t room) {
        ssize_t n = pread(fd, bytes, room, 0);

        expect(n >= 0 && (size_t) n < room);
        return n > 0 ? (size_t) n : 0;
}

static inline void heard_done(struct heard *h) {
        free(h->samples);
}

static inline void hear_frames(struct heard *h, struct source *s) {
        struct frame frame;
        int r;

        while ((r = source_read(s, &frame, &h->why)) == 1) {
                float *grown = realloc(h->samples, (h->n_valid + FRAME_SAMPLES) * sizeof(*grown));

                expect(grown);
                h->samples = grown;
                memcpy(grown + h->n_valid, frame.samples, frame.n_valid * sizeof(*grown));
                for (size_t i = 0; i < FRAME_SAMPLES; i++) {
                        h->in_range &= fabsf(frame.samples[i]) <= 1;
                        h->in_range &= i < frame.n_valid || fabsf(frame.samples[i]) <= 0;
                }
                h->in_order &= frame.sequence == h->n_frames && h->n_last == 0;
                h->in_order &= frame.is_last || frame.n_valid == FRAME_SAMPLES;
                h->n_valid += frame.n_valid;
                h->n_last += frame.is_last;
                h->n_frames++;
        }
        h->r = r;
        if (r == 0)
                expect(source_read(s, &frame, &h->why) == 0);
}

/* Opens, closes the descriptor and reads all. */
static inline struct heard hear(int fd) {
        _cleanup_(source_closep) struct source *s = NULL;
        struct source_config config = patient();
        struct heard h = { .in_order = true, .in_range = true };

        h.r = source_open(&s, fd, &config, &h.why);
        (void) close(fd);
        if (h.r < 0) {
                expect(!s);
                expect(h.why.text[0]);
                return h;
        }

        hear_frames(&h, s);
        return h;
}

static inline size_t samples_of(const struct sound *sound) {
        return ((size_t) sound->n * FRAME_RATE + (size_t) sound->rate - 1) / (size_t) sound->rate;
}

/* A WAV file of float samples, written by hand, so that anything can stand in it. */
static inline size_t
float_wav(unsigned char *to, unsigned channels, unsigned rate, const float *samples, unsigned n) {
        unsigned bytes = n * 4;
        uint32_t head[11] = { 0x46464952,
                              36 + bytes,
                              0x45564157,
                              0x20746d66,
                              16,
                              3 | channels << 16,
                              rate,
                              rate * channels * 4,
                              channels * 4 | 32 << 16,
                              0x61746164,
                              bytes };

        memcpy(to, head, sizeof(head));
        if (n > 0)
                memcpy(to + sizeof(head), samples, bytes);
        return sizeof(head) + bytes;
}

struct pour {
        int fd;
        const unsigned char *bytes;
        size_t size;
};

/* The other end of a pipe: in small pieces, as a live writer does. */
static inline void *pour(void *userdata) {
        struct pour *p = userdata;

        for (size_t at = 0; at < p->size;) {
                size_t n = p->size - at < 700 ? p->size - at : 700;
                ssize_t r = send(p->fd, p->bytes + at, n, MSG_NOSIGNAL);

                if (r <= 0)
                        break;
                at += (size_t) r;
        }
        (void) close(p->fd);
        return NULL;
}

/* Hears the bytes through a stream socket, which the reader may give up early. */
static inline struct heard hear_stream(const unsigned char *bytes, size_t size, bool block) {
        int type = SOCK_STREAM | SOCK_CLOEXEC, fds[2];
        struct heard h = { 0 };
        struct pour p;
        pthread_t t;

        expect(socketpair(AF_UNIX, type, 0, fds) == 0);
        if (!block)
                expect(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
        p = (struct pour){ fds[1], bytes, size };
        expect(pthread_create(&t, NULL, pour, &p) == 0);
        h = hear(fds[0]);
        expect(pthread_join(t, NULL) == 0);
        return h;
}

#endif
