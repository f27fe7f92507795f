/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a long recording into the utterances that the daemon would take from a microphone, with the
 * daemon's own parts: training/human_speech.py measures on them what is falsely obeyed.
 *
 *   cut-speech RECORDING PREFIX      writes PREFIX-0001.wav, PREFIX-0002.wav, ...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sndfile.h>

#include "audio/source.h"
#include "daemon/hear/hearing.h"

#define SAMPLE_RATE 16000

static int write_frames(SNDFILE *out, struct hearing *h) {
        struct frame frame;

        while (hearing_take(h, &frame))
                if (sf_write_float(out, frame.samples, FRAME_SAMPLES) != FRAME_SAMPLES)
                        return -EIO;
        return 0;
}

static int write_utterance(struct hearing *h, const char *prefix, unsigned number) {
        SF_INFO info = {
                .samplerate = SAMPLE_RATE,
                .channels = 1,
                .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
        };
        char path[4096];
        SNDFILE *out;
        int r;

        r = snprintf(path, sizeof(path), "%s-%04u.wav", prefix, number);
        if (r < 0 || (size_t) r >= sizeof(path))
                return -ENAMETOOLONG;
        out = sf_open(path, SFM_WRITE, &info);
        if (!out)
                return -EIO;
        sf_command(out, SFC_SET_CLIPPING, NULL, SF_TRUE);
        r = write_frames(out, h);
        return sf_close(out) == 0 ? r : -EIO;
}

/* The number of utterances. */
static int cut(struct source *s, struct hearing *h, const char *prefix, struct why *why) {
        unsigned n = 0;
        int r;

        hearing_begin(h, false, HEARING_BACKLOG);
        for (;;) {
                struct frame frame;

                r = source_read(s, &frame, why);
                if (r < 0)
                        return r;
                if (r == 0)
                        hearing_finish(h);
                else
                        hearing_push(h, &frame);
                if (!hearing_has_ended(h))
                        continue;
                if (hearing_n_ready(h) > 0) {
                        int error = write_utterance(h, prefix, ++n);

                        if (error < 0)
                                return because(why, error, "can not write below '%s'", prefix);
                }
                if (r == 0)
                        return (int) n;
                hearing_abandon(h);
                hearing_begin(h, false, HEARING_BACKLOG);
        }
}

int main(int argc, char **argv) {
        const struct hearing_config config = {
                .end_ms = 700,
                .preroll_ms = 200,
                .patience_ms = 10000,
        };
        const struct source_config source_config = { .input.bell_fd = -1 };
        struct why why = { "" };
        struct hearing *h = NULL;
        struct source *s = NULL;
        int r, fd;

        if (argc != 3) {
                fprintf(stderr, "Usage: cut-speech RECORDING PREFIX\n");
                return 2;
        }
        fd = open(argv[1], O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : source_open(&s, fd, &source_config, &why);
        if (fd >= 0)
                (void) close(fd);
        if (r >= 0)
                r = hearing_new(&h, &config);
        if (r >= 0)
                r = cut(s, h, argv[2], &why);
        if (r < 0)
                fprintf(stderr, "cut-speech: %s\n", why.text[0] ? why.text : strerror(-r));
        else
                printf("%d utterances\n", r);
        hearing_free(h);
        source_close(s);
        return r < 0;
}
