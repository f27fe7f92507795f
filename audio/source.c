/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/source.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sndfile.h>

#include "audio/framer.h"
#include "audio/highpass.h"
#include "audio/mix.h"
#include "audio/resample.h"
#include "audio/wavhead.h"
#include "base/cleanup.h"

#define CHANNELS_MAX  MIX_CHANNELS_MAX
#define BLOCK_SAMPLES 8192 /* of all channels together */

struct source {
        struct input input;        /* owned */
        SNDFILE *file;             /* owned */
        struct resample *resample; /* owned */
        struct mix mix;
        struct highpass highpass;
        unsigned rate, channels;
        bool is_24_in_32;
        sf_count_t n_block; /* samples per channel in one read */
        uint64_t n_read;    /* samples per channel */
        bool is_drained;    /* the file has no more samples */

        /* One frame is held back, because only its successor tells that it is not the last. */
        struct frame held;
        bool has_held;
        struct framer framer;

        const float *mono_next, *narrow_next; /* cursors into the buffers below */
        size_t n_mono, n_narrow;
        float block[BLOCK_SAMPLES]; /* interleaved */
        float mono[BLOCK_SAMPLES];  /* at the file's rate */
        float narrow[FRAME_SAMPLES];
};

static sf_count_t on_size(void *userdata) {
        const struct input *in = userdata;

        return in->size;
}

static sf_count_t on_seek(sf_count_t offset, int whence, void *userdata) {
        return input_seek(userdata, offset, whence);
}

static sf_count_t on_read(void *buffer, sf_count_t size, void *userdata) {
        return (sf_count_t) input_read(userdata, buffer, (size_t) size);
}

static sf_count_t on_tell(void *userdata) {
        const struct input *in = userdata;

        return in->offset;
}

/* No decoder is trusted to keep to [-1, 1]: a float file holds what it likes, and a lossy one
 * overshoots.  One NaN would silence the filter of the resampler for ever. */
static float sane(float x) {
        if (!isfinite(x))
                return 0;
        return x < -1 ? -1 : x > 1 ? 1 : x;
}

static void mix(struct source *s, size_t n) {
        for (size_t i = 0; i < n * s->channels; i++)
                s->block[i] = sane(s->block[i]);
        mix_apply(&s->mix, s->block, s->mono, n);
        s->mono_next = s->mono;
        s->n_mono = n;
}

/* The next block of the file; how many samples of each channel. */
static sf_count_t read_block(struct source *s) {
        _Static_assert(sizeof(int) == sizeof(float), "one block is read as the other");
        int *whole = (int *) (void *) s->block;
        sf_count_t n;

        if (!s->is_24_in_32)
                return sf_readf_float(s->file, s->block, s->n_block);
        n = sf_readf_int(s->file, whole, s->n_block);
        for (sf_count_t i = 0; i < n * (sf_count_t) s->channels; i++) {
                int value;

                memcpy(&value, &s->block[i], sizeof(value));
                s->block[i] = (float) (int) ((unsigned) value << 8) / 2147483648.0f;
        }
        return n;
}

/* The next block of the file into mono.  1, 0 at the end, -errno. */
static int refill_mono(struct source *s, struct why *why) {
        sf_count_t n;

        n = read_block(s);
        if (s->input.error != 0)
                return input_because(&s->input, why);
        if (n <= 0) {
                if (sf_error(s->file) == SF_ERR_NO_ERROR)
                        return 0;
                return because(why, -EBADMSG, "damaged after %.1f s: %s",
                               (double) s->n_read / s->rate, sf_strerror(s->file));
        }

        s->n_read += (uint64_t) n;
        mix(s, (size_t) n);
        return 1;
}

/* The next samples at 16 kHz into narrow.  1, 0 at the end, -errno. */
static int refill_narrow(struct source *s, struct why *why) {
        int r;

        s->narrow_next = s->narrow;
        while (!s->is_drained) {
                r = resample_feed(s->resample, &s->mono_next, &s->n_mono, s->narrow, FRAME_SAMPLES,
                                  &s->n_narrow);
                if (r < 0)
                        return because(why, r, "cannot convert from %u Hz", s->rate);
                highpass_apply(&s->highpass, s->narrow, s->n_narrow);
                if (s->n_narrow > 0)
                        return 1;

                r = refill_mono(s, why);
                if (r < 0)
                        return r;
                s->is_drained = r == 0;
        }

        r = resample_finish(s->resample, s->narrow, FRAME_SAMPLES, &s->n_narrow);
        if (r < 0)
                return because(why, r, "cannot convert from %u Hz", s->rate);
        highpass_apply(&s->highpass, s->narrow, s->n_narrow);
        return s->n_narrow > 0;
}

/* The filters overshoot at a full-scale edge. */
static void clamp(struct frame *f) {
        for (size_t i = 0; i < FRAME_SAMPLES; i++)
                f->samples[i] = sane(f->samples[i]);
}

/* 1 and *ret, 0 when there is no frame any more, -errno. */
static int next_frame(struct source *s, struct frame *ret, struct why *why) {
        int r;

        for (;;) {
                r = framer_feed(&s->framer, &s->narrow_next, &s->n_narrow, 0, ret);
                if (r != 0)
                        break;

                r = refill_narrow(s, why);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = framer_finish(&s->framer, 0, ret);
                        break;
                }
        }

        if (r == 1)
                clamp(ret);
        return r;
}

/* Checks what the header says before anything is read by it. */
static int check_info(struct source *s, const SF_INFO *info, struct why *why) {
        int encoding = info->format & SF_FORMAT_SUBMASK;

        if (encoding >= SF_FORMAT_MPEG_LAYER_I && encoding <= SF_FORMAT_MPEG_LAYER_III)
                return because(why, -EBADMSG, "MP3, which is not read, in another kind of file");
        if (info->channels < 1 || info->channels > CHANNELS_MAX)
                return because(why, -EBADMSG, "%d channels; 1 to %d can be read", info->channels,
                               CHANNELS_MAX);
        if (info->samplerate < (int) RESAMPLE_RATE_MIN ||
            info->samplerate > (int) RESAMPLE_RATE_MAX)
                return because(why, -EBADMSG, "a sample rate of %d Hz; %u to %u Hz can be read",
                               info->samplerate, RESAMPLE_RATE_MIN, RESAMPLE_RATE_MAX);
        s->channels = (unsigned) info->channels;
        s->rate = (unsigned) info->samplerate;

        /* 40 ms at most, because a pipe may be live and a read waits until its block is full. */
        s->n_block = BLOCK_SAMPLES / s->channels;
        if (s->n_block > s->rate / 25)
                s->n_block = s->rate / 25;
        return 0;
}

/* Which parsers of libsndfile a file of unknown origin gets to see is decided here, not by the
 * file: MP3 prints on standard error, and the rare formats are where its faults were found. */
static int check_magic(struct source *s, bool *ret_is_wav, struct why *why) {
        static const struct {
                char magic[5], form[5]; /* at the beginning, and 8 bytes later */
        } known[] = {
                { "RIFF", "WAVE" }, { "RIFX", "WAVE" }, { "RF64", "WAVE" }, { "FORM", "AIFF" },
                { "FORM", "AIFC" }, { "fLaC", "" },     { "OggS", "" },
        };
        char head[INPUT_HEAD_SIZE] = { 0 };
        size_t n;

        n = input_peek(&s->input, head);
        if (s->input.error != 0)
                return input_because(&s->input, why);
        if (n == 0)
                return because(why, -ENODATA, "nothing came");

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                if (strncmp(head, known[i].magic, 4) != 0 ||
                    strncmp(head + 8, known[i].form, strlen(known[i].form)) != 0)
                        continue;
                *ret_is_wav = i == 0;
                return 0;
        }
        /* What sox -p writes, which people put into pipes. */
        if (memcmp(head, ".SoX", 4) == 0)
                return because(why, -EBADMSG, "SoX's own format, which is not read; use -t wav");
        return because(why, -EBADMSG, "not a sound file that can be read (WAV, FLAC, OGG, AIFF)");
}

/* The samples behind a head that was read here are a file without one to libsndfile. */
static int use_head(struct source *s, const struct wavhead *head, SF_INFO *ret, struct why *why) {
        /* clang-format off */
        static const int formats[] = {
                [WAV_PCM_8]    = SF_FORMAT_PCM_U8, [WAV_PCM_16]   = SF_FORMAT_PCM_16,
                [WAV_PCM_24]   = SF_FORMAT_PCM_24, [WAV_PCM_32]   = SF_FORMAT_PCM_32,
                [WAV_PCM_24_IN_32] = SF_FORMAT_PCM_32,
                [WAV_FLOAT_32] = SF_FORMAT_FLOAT,  [WAV_FLOAT_64] = SF_FORMAT_DOUBLE,
                [WAV_ALAW]     = SF_FORMAT_ALAW,   [WAV_ULAW]     = SF_FORMAT_ULAW,
        };
        /* clang-format on */

        *ret = (SF_INFO){
                .samplerate = head->rate <= INT_MAX ? (int) head->rate : INT_MAX,
                .channels = head->channels,
                .format = SF_FORMAT_RAW | SF_ENDIAN_LITTLE | formats[head->encoding],
        };
        s->is_24_in_32 = head->encoding == WAV_PCM_24_IN_32;
        input_restart(&s->input, head->n_bytes);
        return check_info(s, ret, why);
}

static int read_head(struct source *s, SF_INFO *ret, struct why *why) {
        struct wavhead head;
        int r;

        r = wavhead_read(&head, &s->input, why);
        return r < 0 ? r : use_head(s, &head, ret, why);
}

/* Of WAV files libsndfile reads the head, and more kinds of them than we do, but not as the recorder
 * left it that was killed, or that puts 24 bits into 32. */
static int read_odd_head(struct source *s, SF_INFO *ret, struct why *why) {
        struct wavhead head;
        int r;

        r = wavhead_read(&head, &s->input, NULL);
        if (s->input.error != 0)
                return input_because(&s->input, why);
        if (r >= 0 && ((head.n_bytes == INT64_MAX && head.offset < s->input.size) ||
                       head.encoding == WAV_PCM_24_IN_32))
                return use_head(s, &head, ret, why);
        (void) input_seek(&s->input, 0, SEEK_SET);
        return 0;
}

static int open_file(struct source *s, size_t max_spooled, struct why *why) {
        SF_VIRTUAL_IO io = {
                .get_filelen = on_size,
                .seek = on_seek,
                .read = on_read,
                .tell = on_tell,
        };
        SF_INFO info = { 0 };
        bool is_wav = false;
        int r;

        r = check_magic(s, &is_wav, why);
        if (r < 0)
                return r;
        if (is_wav)
                r = s->input.is_file ? read_odd_head(s, &info, why) : read_head(s, &info, why);
        else if (!s->input.is_file)
                r = input_spool(&s->input, max_spooled, why);
        if (r < 0)
                return r;

        s->file = sf_open_virtual(&io, SFM_READ, &info, &s->input);
        if (s->input.error != 0)
                return input_because(&s->input, why);
        if (!s->file)
                return because(why, -EBADMSG, "a damaged sound file: %s", sf_strerror(NULL));
        return check_info(s, &info, why);
}

struct source *source_close(struct source *s) {
        if (!s)
                return NULL;

        if (s->file)
                (void) sf_close(s->file);
        (void) resample_free(s->resample);
        input_close(&s->input);
        free(s);
        return NULL;
}

DEFINE_CLEANUP(struct source *, source_close)

int source_open(struct source **ret, int fd, const struct source_config *config, struct why *why) {
        _cleanup_(source_closep) struct source *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "no memory");
        s->input.fd = -1;
        s->mono_next = s->mono;
        s->narrow_next = s->narrow;
        framer_init(&s->framer);

        r = input_open(&s->input, fd, &config->input, why);
        if (r < 0)
                return r;
        r = open_file(s, config->max_spooled, why);
        if (r < 0)
                return r;
        mix_init(&s->mix, s->channels, s->rate);
        r = resample_new(&s->resample, s->rate);
        if (r < 0)
                return because(why, r, "cannot convert from %u Hz", s->rate);

        r = next_frame(s, &s->held, why);
        if (r < 0)
                return r;
        if (r == 0)
                return because(why, -ENODATA, "a sound file with no samples in it");
        s->has_held = true;

        *ret = TAKE_PTR(s);
        return 0;
}

int source_read(struct source *s, struct frame *ret, struct why *why) {
        struct frame following;
        int r;

        if (!s->has_held)
                return 0;

        r = next_frame(s, &following, why);
        if (r < 0)
                return r;

        *ret = s->held;
        if (r == 0) {
                ret->is_last = 1;
                s->has_held = false;
        } else {
                s->held = following;
        }
        return 1;
}

bool source_is_live(const struct source *s) {
        return !s->input.is_file;
}
