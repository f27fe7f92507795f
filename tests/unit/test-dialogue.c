/* SPDX-License-Identifier: Apache-2.0 */
/* The pocket model in the program, asked by recordings of tests/speech. */
#include "daemon/think/dialogue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/unit/random-model.h"
#include "tests/unit/recording.h"

#define MAX_FRAMES 200
#define MAX_TOKENS 64

static struct dialogue *dialogue;
static float samples[MAX_FRAMES * FRAME_SAMPLES];
static size_t n_frames;
static unsigned position; /* where the last answer began */

static void load(const char *name) {
        n_frames = load_recording(name, samples, 0, MAX_FRAMES);
}

static void feed(void) {
        int r;

        do
                r = dialogue_feed(dialogue);
        while (r > 0);
        expect(r == 0);
}

/* The answer, token by token.  Every so many frames it is begun and taken back; 0: never.  At the
 * last frame it may have been begun, too. */
static size_t answer(size_t every, int32_t tokens[static MAX_TOKENS], bool *ret_is_sure) {
        bool is_ahead = false;
        size_t n = 0;

        while (dialogue_warm(dialogue, false) > 0)
                ;
        expect(dialogue_open_audio(dialogue) == 0);
        feed();
        for (size_t i = 0; i < n_frames; i++) {
                if (is_ahead)
                        expect(dialogue_fall_back(dialogue) == 0);
                expect(dialogue_append_frames(dialogue, samples + i * FRAME_SAMPLES, 1) == 0);
                is_ahead = every > 0 && (i + 1) % every == 0;
                if (!is_ahead)
                        continue;
                expect(dialogue_run_ahead(dialogue, false) == 0);
                /* Also with the end half appended. */
                if (i % 2)
                        feed();
                if (i % 4 == 3)
                        dialogue_foresee(dialogue);
        }
        if (!is_ahead) {
                expect(dialogue_close_audio(dialogue) == 0);
                expect(dialogue_close_user(dialogue, false) == 0);
        }
        feed();
        position = dialogue_position(dialogue);
        while (n < MAX_TOKENS && dialogue_next(dialogue, true, &tokens[n]) == 1)
                n++;
        *ret_is_sure = dialogue_log_probability(dialogue) >=
                       engine_least_log_probability(dialogue_engine(dialogue));
        return n;
}

static void an_answer_that_was_taken_back_leaves_no_trace(void) {
        static const char *const names[] = {
                "hey-gemma-play-some-music.festival-ked.wav",
                "what-time-is-it.flite-rms.wav",
                "how-are-you-today.flite-rms.wav",
                "set-a-timer-for-five-minutes.flite-rms.wav",
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                int32_t plain[MAX_TOKENS], ahead[MAX_TOKENS];
                bool is_sure, is_sure_ahead;
                unsigned plain_position;
                size_t n;

                load(names[i]);
                n = answer(0, plain, &is_sure);
                plain_position = position;
                for (size_t every = 1; every <= 9; every += 2) {
                        expect(answer(every, ahead, &is_sure_ahead) == n);
                        expect(memcmp(plain, ahead, n * sizeof(*plain)) == 0);
                        expect(is_sure == is_sure_ahead && position == plain_position);
                }
        }
}

static void what_was_begun_at_the_last_frame_is_used(void) {
        int32_t plain[MAX_TOKENS], ahead[MAX_TOKENS];
        bool is_sure;
        size_t n;

        load("what-time-is-it.flite-rms.wav");
        n = answer(0, plain, &is_sure);
        expect(n > 0 && is_sure);
        expect(answer(n_frames, ahead, &is_sure) == n && is_sure);
        expect(memcmp(plain, ahead, n * sizeof(*plain)) == 0);
}

/* So many tokens, and the end behind them. */
static void expect_rest(const int32_t *tokens, size_t n) {
        int32_t token = -1;

        for (size_t i = 0; i < n; i++)
                expect(dialogue_next(dialogue, true, &token) == 1 && token == tokens[i]);
        expect(dialogue_next(dialogue, true, &token) == 0);
}

/* With the same tokens up to there it goes on as it did, whatever was tried in between. */
static void an_answer_can_be_gone_back_into(void) {
        int32_t tokens[MAX_TOKENS], other[3], token;
        float whole, share;
        bool is_sure;
        size_t n;

        load("set-a-timer-for-five-minutes.flite-rms.wav");
        n = answer(0, tokens, &is_sure);
        whole = dialogue_log_share(dialogue);
        expect(n > 6 && whole <= 0 && whole >= dialogue_log_probability(dialogue) - 1e-4f);

        expect(dialogue_answer_again(dialogue, position, tokens, 1) == 0);
        expect(dialogue_next(dialogue, true, &token) == 1 && token == tokens[1]);
        share = dialogue_log_share(dialogue);
        memcpy(other, tokens, sizeof(other));
        expect(dialogue_runner_up(dialogue, &other[1]) <= 0 && other[1] != tokens[1]);
        expect(dialogue_answer_again(dialogue, position, other, 2) == 0);
        expect(dialogue_next(dialogue, true, &token) == 1);
        expect(dialogue_log_share(dialogue) <= 0);

        expect(dialogue_answer_again(dialogue, position, tokens, 2) == 0);
        expect(dialogue_log_share(dialogue) == 0);
        expect_rest(tokens + 2, n - 2);
        expect(dialogue_log_share(dialogue) + share >= whole - 1e-3f);

        other[1] = tokens[0];
        expect(dialogue_answer_again(dialogue, position, other, 2) == -ENOENT);
        expect(dialogue_answer_again(dialogue, position, tokens, 0) == -EINVAL);
}

static void the_limits_of_spoken_commands_are_shares(void) {
        const struct engine *e = dialogue_engine(dialogue);

        expect(engine_least_log_share(e) < 0 && engine_least_log_share(e) > -2);
        expect(engine_least_short_log_share(e) < 0 &&
               engine_least_short_log_share(e) >= engine_least_log_share(e));
}

/* A model of random weights that has a history, with so much of it in the cache before the frames. */
static struct dialogue *open_random(const char *path, const char *const *said, unsigned n_said) {
        static struct config *config;
        struct dialogue *d;
        struct why why = {};

        config_free(config);
        expect(config_new(&config) == 0);
        expect(config_set(config, "Model", "Path", path, &why) == 0);
        expect(config_set(config, "Prompt", "System", "", &why) == 0);
        expect(config_set(config, "Prompt", "Tools", "no", &why) == 0);
        expect(config_set(config, "Prompt", "HistoryPositions", "256", &why) == 0);
        expect(dialogue_open(&d, config, &why) == 0);
        for (unsigned i = 0; i < n_said; i++)
                expect(dialogue_remember(d, said[i], said[i]) == 0);
        return d;
}

static void hear(struct dialogue *d, size_t n) {
        while (dialogue_warm(d, false) > 0)
                ;
        expect(dialogue_open_audio(d) == 0);
        while (dialogue_feed(d) > 0)
                ;
        for (size_t i = 0; i < n; i++)
                expect(dialogue_append_frames(d, samples + i % n_frames * FRAME_SAMPLES, 1) == 0);
}

static void end_and_answer(struct dialogue *d, int32_t tokens[static 16]) {
        expect(dialogue_close_audio(d) == 0 && dialogue_close_user(d, false) == 0);
        while (dialogue_feed(d) > 0)
                ;
        for (unsigned i = 0; i < 16; i++)
                expect(dialogue_next(d, true, &tokens[i]) >= 0);
}

/* What is left after the history has made room is what would be there if it had never been longer; and
 * the next turn has it whole again. */
static void a_history_that_made_room_leaves_no_trace(void) {
        static const char *const said[] = {
                "the first of two things that were said, and it takes many positions of the context",
                "the second",
        };
        const char *path = random_model(GGUF_Q8_0, false, 3);
        int32_t trimmed[16], fresh[16], whole[16], again[16];
        struct dialogue *d;

        load("what-time-is-it.flite-rms.wav");
        d = open_random(path, said, 2);
        hear(d, 30);
        end_and_answer(d, whole);
        expect(!dialogue_yield(d, 1));
        hear(d, 200);
        expect(!dialogue_yield(d, 1));
        expect(dialogue_yield(d, 60) && !dialogue_yield(d, 0));
        hear(d, 300);
        expect(dialogue_n_frames(d) == 300 && dialogue_position(d) <= 450);
        end_and_answer(d, trimmed);
        dialogue_restore(d);
        hear(d, 30);
        end_and_answer(d, again);
        expect(memcmp(whole, again, sizeof(whole)) == 0);
        /* So does one that has rested. */
        dialogue_rest(d);
        expect(dialogue_position(d) == 0);
        hear(d, 30);
        end_and_answer(d, again);
        expect(memcmp(whole, again, sizeof(whole)) == 0);
        dialogue_close(d);

        d = open_random(path, said + 1, 1);
        hear(d, 300);
        end_and_answer(d, fresh);
        expect(memcmp(trimmed, fresh, sizeof(fresh)) == 0);
        dialogue_close(d);
        (void) unlink(path);
}

#define SYSTEM "You help whoever works at this computer, in as few words as it takes."

static char folder[] = "/tmp/test-dialogue-XXXXXX";

/* Not every file system has them. */
static bool has_unnamed_files(void) {
        int fd = open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0)
                return false;
        (void) close(fd);
        return true;
}

/* What a dialogue has kept in the folder, in bytes; -1: there is nothing. */
static long long kept_bytes(void) {
        DIR *all = opendir("/proc/self/fd");
        struct dirent *entry;
        long long size = -1;

        expect(all != NULL);
        while ((entry = readdir(all))) {
                char link[64], path[256] = "";
                struct stat st;

                (void) snprintf(link, sizeof(link), "/proc/self/fd/%.20s", entry->d_name);
                if (readlink(link, path, sizeof(path) - 1) < 0 ||
                    strncmp(path, folder, strlen(folder)) != 0 || !strstr(path, "(deleted)"))
                        continue;
                expect(size < 0 && stat(link, &st) == 0 && st.st_nlink == 0);
                size = (long long) st.st_size;
        }
        (void) closedir(all);
        return size;
}

/* As open_random(), with a system text; what is kept goes to `store`, NULL: nowhere. */
static struct config *resting_config(const char *path, const char *store) {
        struct config *config;
        struct why why = {};

        expect(config_new(&config) == 0);
        expect(config_set(config, "Model", "Path", path, &why) == 0);
        expect(config_set(config, "Prompt", "System", SYSTEM, &why) == 0);
        expect(config_set(config, "Prompt", "Tools", "no", &why) == 0);
        expect(config_set(config, "Prompt", "HistoryPositions", "256", &why) == 0);
        expect(config_set(config, "Store", "Enabled", store ? "yes" : "no", &why) == 0);
        expect(config_set(config, "Store", "Path", store ? store : "", &why) == 0);
        return config;
}

static void warm(struct dialogue *d, bool thinking) {
        while (dialogue_warm(d, thinking) > 0)
                ;
}

/* Positions after the first step behind a rest. */
static unsigned wake(struct dialogue *d, bool thinking) {
        dialogue_rest(d);
        expect(dialogue_position(d) == 0);
        expect(dialogue_warm(d, thinking) >= 0);
        return dialogue_position(d);
}

/* What is kept is the opening and nothing of what was said, and whatever the prefix has become since, the answer is
 * that of a dialogue that never rested. */
static void a_rest_keeps_the_opening(void) {
        const char *path = random_model(GGUF_Q8_0, false, 3);
        struct config *config = resting_config(path, folder);
        unsigned opening, step = config->batch_frames;
        int32_t before[16], after[16], fresh[16];
        struct dialogue *d, *other;
        struct why why = {};
        long long size;

        load("what-time-is-it.flite-rms.wav");
        expect(dialogue_open(&d, config, &why) == 0);
        warm(d, false);
        opening = dialogue_position(d);
        expect(opening > step + 1 && kept_bytes() < 0);
        dialogue_rest(d);
        size = kept_bytes();
        expect(size > 0);

        expect(dialogue_remember(d, "what was said", "what was answered") == 0);
        hear(d, 30);
        end_and_answer(d, before);
        expect(wake(d, false) == opening + step && kept_bytes() == size);
        hear(d, 30);
        end_and_answer(d, after);
        expect(memcmp(before, after, sizeof(before)) == 0);

        /* Another text, and a model that thinks, whose opening is another. */
        expect(config_set(config, "Prompt", "System", SYSTEM " Now in verse.", &why) == 0);
        expect(wake(d, false) > step);
        hear(d, 30);
        end_and_answer(d, after);
        expect(dialogue_open(&other, config, &why) == 0);
        expect(dialogue_remember(other, "what was said", "what was answered") == 0);
        hear(other, 30);
        end_and_answer(other, fresh);
        expect(memcmp(fresh, after, sizeof(fresh)) == 0);
        dialogue_close(other);
        warm(d, true);
        expect(wake(d, true) >= opening + step && kept_bytes() > size);

        dialogue_close(d);
        expect(kept_bytes() < 0);
        config_free(config);
        (void) unlink(path);
}

/* A folder that is none, a disk that is full, and none to be written to. */
static void what_can_not_be_kept_is_computed_again(void) {
        static const char *const stores[] = { NULL, "/nowhere/at/all", folder };
        const char *path = random_model(GGUF_Q8_0, false, 3);
        const struct rlimit full = { 1000, RLIM_INFINITY };
        struct rlimit before;

        (void) signal(SIGXFSZ, SIG_IGN);
        expect(getrlimit(RLIMIT_FSIZE, &before) == 0);
        load("what-time-is-it.flite-rms.wav");
        for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
                struct config *config = resting_config(path, stores[i]);
                int32_t tokens[16], again[16];
                struct dialogue *d;
                struct why why = {};

                expect(dialogue_open(&d, config, &why) == 0);
                hear(d, 30);
                end_and_answer(d, tokens);
                warm(d, false);
                expect(setrlimit(RLIMIT_FSIZE, &full) == 0);
                dialogue_rest(d);
                expect(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ before.rlim_cur, RLIM_INFINITY }) == 0);
                expect(kept_bytes() < 0 && wake(d, false) == config->batch_frames);
                hear(d, 30);
                end_and_answer(d, again);
                expect(memcmp(tokens, again, sizeof(tokens)) == 0);
                dialogue_close(d);
                config_free(config);
        }
        (void) unlink(path);
}

int main(void) {
        struct config *config;
        struct why why = {};

        if (config_new(&config) < 0 || dialogue_open(&dialogue, config, &why) < 0) {
                (void) printf("Bail out! %s\n", why.text);
                return 1;
        }
        rule("an answer that was taken back leaves no trace",
             an_answer_that_was_taken_back_leaves_no_trace);
        rule("what was begun at the last frame is used", what_was_begun_at_the_last_frame_is_used);
        rule("an answer can be gone back into", an_answer_can_be_gone_back_into);
        rule("the limits of spoken commands are shares", the_limits_of_spoken_commands_are_shares);
        dialogue_close(dialogue);
        config_free(config);
        rule("a history that made room leaves no trace", a_history_that_made_room_leaves_no_trace);
        if (!mkdtemp(folder))
                return 1;
        if (has_unnamed_files())
                rule("a rest keeps the opening", a_rest_keeps_the_opening);
        rule("what can not be kept is computed again", what_can_not_be_kept_is_computed_again);
        (void) rmdir(folder);
        return tap_done();
}
