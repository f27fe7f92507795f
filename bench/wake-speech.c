/* SPDX-License-Identifier: Apache-2.0 */
/* What a long history, and a model that rests, cost whoever speaks: the time from the end of speech to the
 * first token, with the sound coming at the speed of speech.  It goes through daemon/think/dialogue.c as the
 * daemon does.
 *
 *   wake-speech [--rest] MODEL PROJECTOR [SECONDS ...]      2, 4, 6, 8, 10 and 12 unless given; --rest: no
 *                                                           history
 *
 * What is kept of the prefix during a rest is in a file in TMPDIR, else in /var/tmp.
 *
 * Milliseconds, a line for each manner: without a history; with one of 256 positions that stays, and with
 * the same that makes room; and, without a history, after a rest.  In all of them the model is told of as
 * many tools as there is room for before twelve seconds of speech. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/parse.h"
#include "daemon/think/dialogue.h"

#define FRAME_SAMPLES SESSION_FRAME_SAMPLES
#define FRAME_NS      UINT64_C(40000000)
#define MAX_FRAMES    750
#define BATCH         16

enum manner { PLAIN, LATE, MAKES_ROOM, RESTED, N_MANNERS };

static float samples[MAX_FRAMES * FRAME_SAMPLES];

static void make_sound(void) {
        for (unsigned i = 0; i < MAX_FRAMES * FRAME_SAMPLES; i++)
                samples[i] = 0.1f * sinf((float) i * 0.05f) * sinf((float) i * 0.0011f);
}

static int feed(struct dialogue *d) {
        int r;

        do
                r = dialogue_feed(d);
        while (r > 0);
        return r;
}

static int warm(struct dialogue *d) {
        int r;

        do
                r = dialogue_warm(d, false);
        while (r > 0);
        return r;
}

/* The prefix and the first n frames. */
static int begin(struct dialogue *d, unsigned n) {
        int r;

        r = warm(d);
        if (r >= 0)
                r = dialogue_open_audio(d);
        if (r >= 0)
                r = feed(d);
        for (unsigned i = 0; r >= 0 && i < n; i += BATCH)
                r = dialogue_append_frames(d, samples + (size_t) i * FRAME_SAMPLES,
                                           n - i < BATCH ? n - i : BATCH);
        return r;
}

static void sleep_until(uint64_t ns) {
        const struct timespec t = { .tv_sec = (time_t) (ns / 1000000000),
                                    .tv_nsec = (long) (ns % 1000000000) };

        (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* All n frames, none before it is spoken. */
static int hear(struct dialogue *d, enum manner manner, unsigned n, uint64_t began) {
        unsigned n_heard = 0;
        int r;

        r = begin(d, 0);
        while (r >= 0 && n_heard < n) {
                unsigned n_spoken = (unsigned) ((clock_now_ns() - began) / FRAME_NS), part;

                n_spoken = n_spoken < n ? n_spoken : n;
                if (n_spoken == n_heard) {
                        sleep_until(began + (n_heard + 1) * FRAME_NS);
                        continue;
                }
                part = n_spoken - n_heard < BATCH ? n_spoken - n_heard : BATCH;
                if (manner != LATE && dialogue_yield(d, part))
                        r = begin(d, n_heard);
                if (r >= 0)
                        r = dialogue_append_frames(d, samples + (size_t) n_heard * FRAME_SAMPLES,
                                                   part);
                n_heard += part;
        }
        return r;
}

static int measure(struct dialogue *d, enum manner manner, unsigned seconds, double *ret) {
        unsigned n = seconds * 25, n_before;
        uint64_t began;
        int32_t token;
        int r;

        r = warm(d);
        if (r < 0)
                return r;
        n_before = dialogue_position(d);
        if (manner == RESTED)
                dialogue_rest(d);
        began = clock_now_ns();
        r = hear(d, manner, n, began);
        if (r >= 0)
                r = dialogue_close_audio(d);
        if (r >= 0)
                r = dialogue_close_user(d, false);
        if (r >= 0)
                r = feed(d);
        if (r >= 0)
                r = dialogue_next(d, true, &token);
        *ret = clock_ms(clock_now_ns() - began) - (double) n * 40;
        fprintf(stderr, "%u positions before speech\n", n_before);
        dialogue_restore(d);
        return r;
}

static int set(struct config *c, const char *section, const char *key, const char *value) {
        struct why why = {};
        int r;

        r = config_set(c, section, key, value, &why);
        if (r < 0)
                fprintf(stderr, "wake-speech: %s\n", why.text);
        return r;
}

/* Exchanges that fill the history. */
static int remember(struct dialogue *d) {
        static const char *const words[] = {
                "what is the tallest mountain of the country and how long does it take to climb it",
                "there are several that people call so, and most of them take a day or two to climb",
        };
        int r = 0;

        for (unsigned i = 0; i < 8 && r >= 0; i++)
                r = dialogue_remember(d, words[0], words[1]);
        return r;
}

/* As many as gemmad-desktop has. */
static int provide(struct dialogue *d) {
        _cleanup_(toolset_freep) struct toolset *set = NULL;
        int r;

        r = toolset_new(&set);
        for (unsigned i = 0; r >= 0 && i < 36; i++) {
                char name[32];
                const struct tool tool = { name, "Does something of the desktop, if it is asked to.",
                                           "{\"type\":\"object\",\"properties\":{}}" };

                (void) snprintf(name, sizeof(name), "set_thing%c%c", 'a' + i / 6, 'a' + i % 6);
                r = toolset_add(set, &tool);
        }
        if (r >= 0)
                dialogue_set_tools(d, TAKE_PTR(set));
        return r;
}

static int run(char **files, enum manner manner, const unsigned *seconds, unsigned n, double *ret) {
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(dialogue_closep) struct dialogue *d = NULL;
        struct why why = {};
        int r;

        r = config_new(&config);
        if (r >= 0)
                r = set(config, "Model", "Path", files[0]);
        if (r >= 0)
                r = set(config, "Model", "Projector", files[1]);
        if (r >= 0)
                r = set(config, "Store", "Path", getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");
        if (r >= 0)
                r = dialogue_open(&d, config, &why);
        if (r >= 0)
                r = provide(d);
        if (r >= 0 && (manner == LATE || manner == MAKES_ROOM))
                r = remember(d);
        for (unsigned i = 0; r >= 0 && i < n; i++)
                r = measure(d, manner, seconds[i], &ret[i]);
        if (r < 0)
                fprintf(stderr, "wake-speech: %s\n", why.text[0] ? why.text : strerror(-r));
        return r;
}

int main(int argc, char **argv) {
        static const char *const titles[N_MANNERS] = { "no history", "it stays", "it makes room",
                                                       "after a rest" };
        unsigned seconds[16] = { 2, 4, 6, 8, 10, 12 }, n = 6;
        bool has_history = true;
        double ms[16];

        if (argc > 1 && strcmp(argv[1], "--rest") == 0) {
                has_history = false;
                argc--;
                argv++;
        }
        if (argc < 3 || argc - 3 > 16) {
                fputs("usage: wake-speech [--rest] MODEL PROJECTOR [SECONDS ...]\n", stderr);
                return 2;
        }
        for (int i = 3; i < argc; i++, n = (unsigned) argc - 3)
                if (parse_unsigned(argv[i], &seconds[i - 3]) < 0 || seconds[i - 3] < 1 ||
                    seconds[i - 3] > MAX_FRAMES / 25)
                        return 2;
        make_sound();
        printf("%-14s", "seconds");
        for (unsigned i = 0; i < n; i++)
                printf(" %6u", seconds[i]);
        putchar('\n');
        for (unsigned m = 0; m < N_MANNERS; m++) {
                if (!has_history && (m == LATE || m == MAKES_ROOM))
                        continue;
                if (run(argv + 1, (enum manner) m, seconds, n, ms) < 0)
                        return 1;
                printf("%-14s", titles[m]);
                for (unsigned i = 0; i < n; i++)
                        printf(" %6.0f", ms[i]);
                putchar('\n');
                (void) fflush(stdout);
        }
        return 0;
}
