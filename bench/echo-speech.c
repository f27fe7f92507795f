/* SPDX-License-Identifier: Apache-2.0 */
/* Whether gemmad hears itself, and who speaks over it, in a room that is computed (bench/room.h): answers are
 * played, every other one is spoken into, and what the microphone hears goes the way that it goes in the
 * programs, through audio/echo.c, daemon/hear/hearing.c and daemon/hear/interruption.c, as fast as
 * it can be computed.
 *
 *   echo-speech [-d DELAY_MS] [-e ECHO_MS] [-g GAIN_DB] [-l USER_DB] [-n ANSWERS] [-x] SPOKEN SAID
 *
 * SPOKEN and SAID are files with a recording's path a line: of the assistant's voice, and of people who
 * say the phrase (and more), or "stop" and nothing else, in files with stop in their names.  Unless said
 * otherwise the loudspeaker is heard 150 ms later, at -6 dB, with an echo of 300 ms; USER_DB makes who
 * speaks louder; -x leaves the canceller out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/echo.h"
#include "audio/framer.h"
#include "audio/highpass.h"
#include "audio/source.h"
#include "bench/room.h"
#include "daemon/hear/hearing.h"
#include "daemon/hear/interruption.h"

#define MAX_RECORDINGS 512
#define MAX_FRAMES     1500 /* of one recording: a minute */
#define BEFORE         25   /* frames of silence before an answer, */
#define AFTER          50   /* ... and at least so many behind it */
#define SPEAKING       15   /* behind it it still counts as speaking */
#define REACTION       1    /* frames until the voice is silent that was interrupted */
#define MAX_TURN       750

struct recording {
        float *samples; /* owned, [n_frames * FRAME_SAMPLES] */
        unsigned n_frames;
        bool is_stop;
};

struct recordings {
        struct recording at[MAX_RECORDINGS];
        unsigned n;
};

struct scene {
        struct room *room;
        struct echo *echo; /* NULL: without it */
        struct highpass highpass;
        struct framer framer;
        struct hearing *hearing;
        struct interruption interruption;
        uint64_t now_ns;
        bool is_taken; /* what is being said has been called */
        enum interruption_verdict verdict;
};

struct result {
        unsigned n_answers, n_own, n_said, n_heard, n_stop_said, n_stop_heard;
        double frames; /* from the beginning of what was said until it was known, all together */
};

static const float silence[FRAME_SAMPLES];

static int read_recording(const char *path, struct recording *ret) {
        const struct source_config config = { .input.bell_fd = -1 };
        struct source *source = NULL;
        struct why why = {};
        struct frame frame;
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = source_open(&source, fd, &config, &why);
        (void) close(fd);
        if (r < 0)
                return r;
        ret->samples = calloc(MAX_FRAMES * FRAME_SAMPLES, sizeof(float));
        while (ret->samples && ret->n_frames < MAX_FRAMES && (r = source_read(source, &frame, &why)) == 1)
                memcpy(ret->samples + (size_t) ret->n_frames++ * FRAME_SAMPLES, frame.samples,
                       sizeof(frame.samples));
        source_close(source);
        ret->is_stop = strstr(path, "stop") != NULL;
        return r < 0 ? r : ret->samples ? 0 : -ENOMEM;
}

static int read_recordings(const char *list, struct recordings *ret) {
        FILE *f = fopen(list, "re");
        char path[4096];
        int r = f ? 0 : -errno;

        while (r >= 0 && ret->n < MAX_RECORDINGS && fgets(path, sizeof(path), f)) {
                path[strcspn(path, "\n")] = '\0';
                r = read_recording(path, &ret->at[ret->n++]);
                if (r < 0)
                        fprintf(stderr, "echo-speech: %s: %s\n", path, strerror(-r));
        }
        if (f)
                (void) fclose(f);
        return r < 0 ? r : ret->n > 0 ? 0 : -ENODATA;
}

/* The frame is heard as daemon/hear/pipeline.c does it while an answer is spoken. */
static void hear(struct scene *s, const struct frame *frame, bool is_speaking) {
        enum interruption_verdict verdict = INTERRUPTION_UNDECIDED;

        hearing_push(s->hearing, frame);
        if (is_speaking || hearing_has_begun(s->hearing))
                verdict = interruption_look(&s->interruption, s->hearing, true);
        if (verdict == INTERRUPTION_CALLED || verdict == INTERRUPTION_STOPPED) {
                s->is_taken = true;
                s->verdict = verdict;
        }
        if (verdict == INTERRUPTION_NOT_CALLED || verdict == INTERRUPTION_STOPPED ||
            hearing_has_ended(s->hearing)) {
                hearing_abandon(s->hearing);
                hearing_wait(s->hearing, MAX_TURN);
                interruption_reset(&s->interruption);
        }
}

/* 40 ms of all of it.  The two streams come at times of their own. */
static void step(struct scene *s, const float *played, const float *said, bool is_speaking) {
        float heard[FRAME_SAMPLES], out[FRAME_SAMPLES + ECHO_HELD * ECHO_BLOCK];
        const float *at = heard;
        size_t n = FRAME_SAMPLES;
        struct frame frame;

        s->now_ns += UINT64_C(40000000);
        room_hear(s->room, played, said, FRAME_SAMPLES, heard);
        highpass_apply(&s->highpass, heard, FRAME_SAMPLES);
        if (s->echo) {
                echo_play(s->echo, played, FRAME_SAMPLES,
                          s->now_ns + (uint64_t) (rand() % 8) * 1000000);
                n = echo_cancel(s->echo, heard, FRAME_SAMPLES,
                                s->now_ns + (uint64_t) (20 + rand() % 8) * 1000000, out);
                at = out;
        }
        while (framer_feed(&s->framer, &at, &n, s->now_ns, &frame) == 1)
                hear(s, &frame, is_speaking);
}

/* One answer, spoken into if said is not NULL, from some frame on. */
static void
answer(struct scene *s, const struct recording *spoken, const struct recording *said, struct result *res) {
        unsigned begin = 0, n = BEFORE + spoken->n_frames, known = 0;
        bool is_silent = false;

        if (said)
                begin = BEFORE + 10 + (unsigned) rand() % (spoken->n_frames / 2);
        if (said && n < begin + said->n_frames)
                n = begin + said->n_frames;
        n += AFTER;
        s->is_taken = false;
        for (unsigned i = 0; i < n; i++) {
                bool is_playing = i >= BEFORE && i < BEFORE + spoken->n_frames && !is_silent;
                bool is_saying = said && i >= begin && i < begin + said->n_frames;

                step(s, is_playing ? spoken->samples + (size_t) (i - BEFORE) * FRAME_SAMPLES : silence,
                     is_saying ? said->samples + (size_t) (i - begin) * FRAME_SAMPLES : NULL,
                     i < BEFORE + spoken->n_frames + SPEAKING);
                if (s->is_taken && known == 0)
                        known = i;
                is_silent |= known > 0 && i >= known + REACTION;
        }
        res->n_answers++;
        if (known > 0 && (!said || known < begin)) {
                res->n_own++;
                return;
        }
        if (!said)
                return;
        res->n_said++;
        res->n_stop_said += said->is_stop;
        if (known > 0 && (s->verdict == INTERRUPTION_STOPPED) == said->is_stop) {
                res->n_heard++;
                res->n_stop_heard += said->is_stop;
                res->frames += known - begin;
        }
}

static void scale(struct recordings *r, double db) {
        float factor = 1;

        for (; db >= 1; db -= 1)
                factor *= 1.122018f;
        for (; db <= -1; db += 1)
                factor /= 1.122018f;
        for (unsigned i = 0; i < r->n; i++)
                for (size_t k = 0; k < (size_t) r->at[i].n_frames * FRAME_SAMPLES; k++)
                        r->at[i].samples[k] *= factor;
}

static int run(const struct room_config *room, unsigned n, bool has_echo, struct recordings *spoken,
               struct recordings *said) {
        const struct hearing_config config = {
                .end_ms = 700, .preroll_ms = 240, .patience_ms = 60000, .speculate_ms = 200,
        };
        struct scene s = {};
        struct result res = {};
        int r;

        r = room_new(&s.room, room);
        if (r >= 0 && has_echo)
                r = echo_new(&s.echo);
        if (r >= 0)
                r = hearing_new(&s.hearing, &config);
        framer_init(&s.framer);
        if (r >= 0)
                hearing_wait(s.hearing, MAX_TURN);
        for (unsigned i = 0; r >= 0 && i < n; i++)
                answer(&s, &spoken->at[(unsigned) rand() % spoken->n],
                       i % 2 == 1 ? &said->at[i / 2 % said->n] : NULL, &res);
        if (r >= 0)
                printf("%u answers, %u turns by its own voice; %u of %u interruptions heard (%u of %u by "
                       "stop), after %.0f ms\n",
                       res.n_answers, res.n_own, res.n_heard, res.n_said, res.n_stop_heard,
                       res.n_stop_said, res.n_heard > 0 ? 40 * res.frames / res.n_heard : 0);
        interruption_done(&s.interruption);
        (void) hearing_free(s.hearing);
        (void) echo_free(s.echo);
        (void) room_free(s.room);
        return r;
}

int main(int argc, char **argv) {
        static struct recordings spoken, said;
        struct room_config room = {
                .delay_ms = 150, .echo_ms = 300, .gain_db = -6, .noise_db = -65, .seed = 1,
        };
        unsigned n = 200;
        bool has_echo = true;
        double user_db = 0;
        int option, r;

        while ((option = getopt(argc, argv, "d:e:g:l:n:s:x")) != -1) {
                switch (option) {
                case 'd':
                        room.delay_ms = (unsigned) atoi(optarg);
                        break;
                case 'e':
                        room.echo_ms = (unsigned) atoi(optarg);
                        break;
                case 'g':
                        room.gain_db = atof(optarg);
                        break;
                case 'l':
                        user_db = atof(optarg);
                        break;
                case 'n':
                        n = (unsigned) atoi(optarg);
                        break;
                case 's':
                        room.seed = (unsigned long) atol(optarg);
                        break;
                case 'x':
                        has_echo = false;
                        break;
                default:
                        return 2;
                }
        }
        if (argc - optind != 2) {
                (void) fputs("usage: echo-speech [-d MS] [-e MS] [-g DB] [-l DB] [-n N] [-s SEED] [-x] "
                             "SPOKEN SAID\n",
                             stderr);
                return 2;
        }
        srand((unsigned) room.seed);
        r = read_recordings(argv[optind], &spoken);
        if (r >= 0)
                r = read_recordings(argv[optind + 1], &said);
        if (r >= 0) {
                scale(&said, user_db);
                r = run(&room, n, has_echo, &spoken, &said);
        }
        if (r < 0)
                (void) fprintf(stderr, "echo-speech: %s\n", strerror(-r));
        return r < 0;
}
