/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sound.h"

#include <poll.h>

#include "audio/input.h"

static void streams(void) {
        static const int formats[] = { WAV_16,
                                       SF_FORMAT_WAV | SF_FORMAT_PCM_U8,
                                       SF_FORMAT_WAV | SF_FORMAT_PCM_24,
                                       SF_FORMAT_WAV | SF_FORMAT_PCM_32,
                                       SF_FORMAT_WAV | SF_FORMAT_FLOAT,
                                       SF_FORMAT_WAV | SF_FORMAT_DOUBLE,
                                       SF_FORMAT_WAV | SF_FORMAT_ALAW,
                                       SF_FORMAT_WAV | SF_FORMAT_ULAW,
                                       SF_FORMAT_WAVEX | SF_FORMAT_PCM_16,
                                       SF_FORMAT_WAVEX | SF_FORMAT_FLOAT };
        static unsigned char bytes[400000];

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                struct sound sound = { formats[i], 22050, 2, 20000, 440 };
                int fd = new_sound(&sound);
                size_t size = file_bytes(fd, bytes, sizeof(bytes));
                _cleanup_(heard_done) struct heard file = hear(fd);
                _cleanup_(heard_done) struct heard stream = hear_stream(bytes, size, i % 2);

                expect(file.r == 0 && stream.r == 0);
                expect(stream.in_order && stream.n_valid == file.n_valid);
                expect(stream.n_valid == samples_of(&sound));
                if (stream.n_valid == file.n_valid)
                        expect(memcmp(stream.samples, file.samples, file.n_valid * sizeof(float)) ==
                               0);
        }
}

/* What writers into pipes leave where the sizes belong. */
static void unknown_size(void) {
        static const uint32_t sizes[] = { 0, 0xffffffff, 0x7fffffff, 0x80000000, 0x7ffff000 };
        static const struct sound sound = { WAV_16, 16000, 1, 9000, 440 };
        static unsigned char bytes[20000];
        int fd = new_sound(&sound);
        size_t size = file_bytes(fd, bytes, sizeof(bytes));

        for (size_t i = 0; i < 5; i++) {
                struct heard h;

                memcpy(bytes + 4, &sizes[i], 4);
                memcpy(bytes + 40, &sizes[i], 4);
                h = hear_stream(bytes, size, true);
                expect(h.r == 0 && h.n_valid == 9000);
                heard_done(&h);
                if (sizes[i] == 0)
                        continue; /* in a file this means no samples */
                h = hear(new_file(bytes, size));
                expect(h.r == 0 && h.n_valid == 9000);
                heard_done(&h);
        }
        (void) close(fd);
}

/* poll(2), made to have been interrupted by a signal, once. */
static bool is_poll_interrupted;
static unsigned n_polls;
int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms) {
        expect(ms > 0);
        n_polls++;
        if (is_poll_interrupted) {
                is_poll_interrupted = false;
                errno = EINTR;
                return -1;
        }
        return __real_poll(p, n, ms);
}

/* A blocking read after a poll that told nothing could wait for ever. */
static void interrupted(void) {
        const struct source_config config = patient();
        struct input in;
        struct why why;
        char text[4];
        int fds[2];

        expect(pipe(fds) == 0 && write(fds[1], "RIFF", 4) == 4);
        expect(input_open(&in, fds[0], &config.input, &why) == 0);
        is_poll_interrupted = true;
        n_polls = 0;
        expect(input_read(&in, text, sizeof(text)) == sizeof(text));
        expect(n_polls == 2 && in.error == 0);
        input_close(&in);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

/* Heads of streams, as changes of a good one. */
static void bad_heads(void) {
        static const struct {
                size_t at;
                uint32_t value;
                const char *reason;
        } rows[] = {
                { 8, 0x20495641, "WAV, FLAC" },         /* AVI */
                { 12, 0x61746164, "without a format" }, /* data first */
                { 16, 15, "15 bytes" },                 /* fmt too small */
                { 16, 0xffffffff, "too long a head" },  /* fmt huge */
                { 20, 1, "0 channels" },
                { 20, 1 | 65 << 16, "in 2 bytes" },
                { 20, 2 | 1 << 16, "WAV of format" },      /* ADPCM */
                { 20, 0xfffe | 1 << 16, "WAV of format" }, /* extensible, but short */
                { 24, 999, "999 Hz" },
                { 24, 384001, "384001 Hz" },
                { 24, 0xffffffff, "Hz" },
                { 32, 3 | 16 << 16, "in 3 bytes" },
                { 32, 2 | 17 << 16, "WAV of format" },
                { 36, 0x5453494c, "ends in its head" }, /* LIST, and nothing after it */
        };
        static const struct sound sound = { WAV_16, 16000, 1, 100, 440 };
        unsigned char good[400], bytes[400];
        int fd = new_sound(&sound);
        size_t size = file_bytes(fd, good, sizeof(good));
        struct heard h;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                memcpy(bytes, good, size);
                memcpy(bytes + rows[i].at, &rows[i].value, 4);
                h = hear_stream(bytes, size, true);
                expect(h.r == -EBADMSG);
                if (!strstr(h.why.text, rows[i].reason))
                        printf("# row %zu: %s\n", i, h.why.text);
                expect(strstr(h.why.text, rows[i].reason));
                heard_done(&h);
        }

        for (size_t n = 0; n < 46; n++) {
                h = hear_stream(good, n, true);
                expect(h.r == (n == 0 || n >= 44 ? -ENODATA : -EBADMSG));
                heard_done(&h);
        }
        (void) close(fd);
}

/* The other kinds have no form that can be read as it comes. */
static void other_kinds(void) {
        static const int formats[] = { FLAC, VORBIS, SF_FORMAT_AIFF | SF_FORMAT_PCM_16 };
        static unsigned char bytes[100000];

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                struct sound sound = { formats[i], 16000, 1, 20000, 440 };
                int fd = new_sound(&sound);
                size_t size = file_bytes(fd, bytes, sizeof(bytes));
                _cleanup_(heard_done) struct heard file = hear(fd);
                _cleanup_(heard_done) struct heard stream = hear_stream(bytes, size, i % 2);

                expect(file.r == 0 && stream.r == 0 && stream.n_valid == file.n_valid);
        }
}

/* Frames are given while the writer still writes: no frame waits for more than the one after it. */
static void live(void) {
        static const struct sound sound = { WAV_16, 16000, 1, 640 * 8, 440 };
        static unsigned char bytes[20000];
        const struct source_config config = patient();
        _cleanup_(source_closep) struct source *s = NULL;
        int fd = new_sound(&sound), fds[2];
        struct frame frame;
        struct why why;

        expect(file_bytes(fd, bytes, sizeof(bytes)) == 44 + 640 * 8 * 2);
        (void) close(fd);
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(write(fds[1], bytes, 44 + 1280) == 44 + 1280);
        expect(source_open(&s, fds[0], &config, &why) == 0 && source_is_live(s));
        for (unsigned i = 1; i < 8; i++) {
                expect(write(fds[1], bytes + 44 + i * 1280, 1280) == 1280);
                expect(source_read(s, &frame, &why) == 1);
                expect(frame.sequence == i - 1 && !frame.is_last);
        }
        (void) close(fds[1]);
        expect(source_read(s, &frame, &why) == 1 && frame.is_last);
        expect(source_read(s, &frame, &why) == 0);
        (void) close(fds[0]);
}

/* A stream without end that is all head must not keep the reader for ever. */
static void endless_head(void) {
        static unsigned char bytes[3000000];
        struct heard h;

        memcpy(bytes, "RIFF\0\0\0\0WAVE", 12);
        h = hear_stream(bytes, sizeof(bytes), true);
        expect(h.r == -EBADMSG && strstr(h.why.text, "too long"));
        heard_done(&h);
}

int main(void) {
        rule("WAV from a pipe is the same as from a file", streams);
        rule("a size that the writer did not know is no limit", unknown_size);
        rule("a pipe is asked again when a signal came between", interrupted);
        rule("each bad head of a stream has its reason", bad_heads);
        rule("what is no WAV is heard from a pipe as well", other_kinds);
        rule("a frame from a pipe waits for nothing but the next", live);
        rule("an endless head ends", endless_head);
        return tap_done();
}
