/* SPDX-License-Identifier: Apache-2.0 */
#include "model/session.c"

#include "model/prompt.h"
#include "tests/tap.h"
#include "tests/unit/recording.h"

/* What the pocket model answers to recordings: what is foretold of it saves passes, and changes nothing. */

#define N_SPOKEN   4
#define MAX_FRAMES 100
#define MAX_SAID   64
#define POSITIONS  200

static const char *const recordings[N_SPOKEN] = {
        "set-a-timer-for-five-minutes.flite-rms.wav",
        "what-time-is-it.flite-rms.wav",
        "hey-gemma-play-some-music.festival-ked.wav",
        "lock-the-screen.espeak-f5.wav",
};

static float samples[N_SPOKEN][MAX_FRAMES * SESSION_FRAME_SAMPLES];
static size_t n_frames[N_SPOKEN];

static struct engine *engine;
static struct sampler *greedy;
static struct prompt opening, closing;

/* Put in by the linker. */
static unsigned n_passes;

void __real_decoder_forward(struct decoder *d, unsigned n, unsigned n_wanted);
void __wrap_decoder_forward(struct decoder *d, unsigned n, unsigned n_wanted);

void __wrap_decoder_forward(struct decoder *d, unsigned n, unsigned n_wanted) {
        n_passes++;
        __real_decoder_forward(d, n, n_wanted);
}

struct said {
        int32_t tokens[MAX_SAID], rivals[MAX_SAID];
        float odds[MAX_SAID];
        unsigned n;
        float log_probability;
        int r;
};

static bool is_same(const struct said *a, const struct said *b) {
        return a->n == b->n && a->r == b->r && a->log_probability == b->log_probability &&
               memcmp(a->tokens, b->tokens, a->n * sizeof(a->tokens[0])) == 0 &&
               memcmp(a->rivals, b->rivals, a->n * sizeof(a->rivals[0])) == 0 &&
               memcmp(a->odds, b->odds, a->n * sizeof(a->odds[0])) == 0;
}

static struct session *open_session(unsigned max_positions) {
        const struct session_config config = { .max_positions = max_positions };
        struct session *s = NULL;
        struct why why = { "" };

        if (session_new(&s, engine, &config, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
        return s;
}

static void listen_to(struct session *s, unsigned i) {
        expect(session_append_tokens(s, opening.ids, opening.n_ids) == 0);
        expect(session_append_frames(s, samples[i], n_frames[i]) == 0);
}

/* A token a pass, by what grammar.h has. */
static struct said say_plainly(struct session *s) {
        struct grammar_place place = { 0 };
        struct said said = { 0 };

        expect(session_append_tokens(s, closing.ids, closing.n_ids) == 0);
        while (said.n < MAX_SAID) {
                const float *logits = session_logits(s);
                int32_t id = grammar_choose(engine->grammar, &place, logits);

                s->place = place;
                note_runner_up(s, logits, id);
                said.log_probability += log_softmax_at(logits, engine->params.n_vocab, (size_t) id);
                if (engine_is_stop(engine, id))
                        break;
                said.odds[said.n] = session_runner_up(s, &said.rivals[said.n]);
                said.tokens[said.n++] = id;
                expect(grammar_follow(engine->grammar, &place, id) == 0);
                expect(session_append_tokens(s, &id, 1) == 0);
        }
        return said;
}

/* As the daemon does; likely may be NULL. */
static struct said say(struct session *s, const int32_t *likely, unsigned n_likely) {
        struct said said = { 0 };
        int32_t id;

        session_constrain(s, true);
        if (likely)
                session_expect(s, likely, n_likely);
        n_passes = 0;
        said.r = session_append_tokens(s, closing.ids, closing.n_ids);
        while (said.n < MAX_SAID && said.r == 0) {
                unsigned before = session_position(s) + (s->pending >= 0);

                said.r = session_next(s, greedy, &id);
                if (said.r <= 0)
                        break;
                expect(session_position(s) == before);
                said.odds[said.n] = session_runner_up(s, &said.rivals[said.n]);
                said.tokens[said.n++] = id;
                said.r = 0;
        }
        said.log_probability = session_log_probability(s);
        return said;
}

static struct said answers[N_SPOKEN];

static void learn_the_answers(void) {
        bool is_other = false;

        for (unsigned i = 0; i < N_SPOKEN; i++) {
                struct session *s = open_session(POSITIONS);

                listen_to(s, i);
                answers[i] = say_plainly(s);
                expect(answers[i].n > 1 && answers[i].n < MAX_SAID);
                is_other |= answers[i].n != answers[0].n ||
                            memcmp(answers[i].tokens, answers[0].tokens,
                                   answers[0].n * sizeof(answers[0].tokens[0])) != 0;
                session_free(s);
        }
        expect(is_other);
}

static void what_the_grammar_forces_needs_no_pass(void) {
        unsigned n = 0, n_tokens = 0;

        for (unsigned i = 0; i < N_SPOKEN; i++) {
                struct session *s = open_session(POSITIONS);
                struct said said;

                listen_to(s, i);
                said = say(s, NULL, 0);
                expect(is_same(&said, &answers[i]));
                n += n_passes;
                n_tokens += said.n;
                session_free(s);
        }
        expect(n < n_tokens);
}

/* The pass over the end of the turn has all of it, or as much as a pass has rows. */
static void an_answer_that_is_expected_needs_one_pass(void) {
        for (unsigned i = 0; i < N_SPOKEN; i++) {
                struct session *s = open_session(POSITIONS);
                struct said said;

                listen_to(s, i);
                said = say(s, answers[i].tokens, answers[i].n);
                expect(is_same(&said, &answers[i]));
                expect(n_passes == 1 + said.n / FORETELL_MAX_ROWS);
                session_free(s);
        }
}

static void another_answer_than_expected_is_the_same(void) {
        static const int32_t nonsense[] = { -7, 3, 1 << 30, 16, 16, 2 };

        for (unsigned i = 0; i < N_SPOKEN; i++)
                for (unsigned k = 0; k <= N_SPOKEN; k++) {
                        const struct said *other = k < N_SPOKEN ? &answers[k] : NULL;
                        struct session *s = open_session(POSITIONS);
                        struct said said;

                        listen_to(s, i);
                        said = say(s, other ? other->tokens : nonsense, other ? other->n : 6);
                        expect(is_same(&said, &answers[i]));
                        session_free(s);
                }
}

/* As when a command is heard again: the end of one answer, or what was foretold of it, is no part of the next. */
static void nothing_stays_of_what_was_foretold(void) {
        struct session *s = open_session(POSITIONS);
        struct said said;
        int32_t id;

        for (unsigned i = 0; i < N_SPOKEN; i++) {
                unsigned n_opening = (unsigned) (opening.n_ids + n_frames[i]);

                listen_to(s, i);
                session_constrain(s, true);
                session_expect(s, answers[i].tokens, answers[i].n);
                expect(session_append_tokens(s, closing.ids, closing.n_ids) == 0);
                expect(session_next(s, greedy, &id) == 1 && id == answers[i].tokens[0]);
                expect(session_next(s, greedy, &id) == 1 && id == answers[i].tokens[1]);
                expect(session_position(s) == n_opening + closing.n_ids + 1);
                expect(session_rewind(s, n_opening) == 0);
                said = say(s, answers[(i + 1) % N_SPOKEN].tokens, answers[(i + 1) % N_SPOKEN].n);
                expect(is_same(&said, &answers[i]));
                expect(session_rewind(s, 0) == 0);
        }
        session_free(s);
}

/* It ends where it ends without, and never writes behind the last position. */
static void a_cache_that_is_nearly_full_says_so_at_the_same_token(void) {
        unsigned n = (unsigned) (opening.n_ids + n_frames[0] + closing.n_ids);

        for (unsigned room = 0; room < answers[0].n; room++) {
                struct session *s = open_session(n + room);
                struct said said;

                listen_to(s, 0);
                said = say(s, answers[0].tokens, answers[0].n);
                expect(said.r == -ENOSPC && said.n == room);
                expect(memcmp(said.tokens, answers[0].tokens, room * sizeof(said.tokens[0])) == 0);
                session_free(s);
        }
}

int main(void) {
        const struct engine_config config = { .n_threads = 2 };
        const struct sampler_config exact = { .top_p = 1 };
        struct why why = { "" };

        if (engine_open(&engine, &config, &why) < 0 ||
            sampler_new(&greedy, &exact, engine->params.n_vocab) < 0 ||
            prompt_begin(&opening, engine->tokenizer, NULL, NULL, 0, false, &why) < 0 ||
            prompt_open_user(&opening, engine->tokenizer) < 0 ||
            prompt_open_audio(&opening, engine->tokenizer) < 0 ||
            prompt_close_audio(&closing, engine->tokenizer) < 0 ||
            prompt_close_user(&closing, engine->tokenizer, false) < 0) {
                printf("Bail out! %s\n", why.text);
                return 1;
        }
        for (unsigned i = 0; i < N_SPOKEN; i++)
                n_frames[i] = load_recording(recordings[i], samples[i], 0, MAX_FRAMES);

        rule("recordings have answers", learn_the_answers);
        rule("what the grammar forces needs no pass of its own",
             what_the_grammar_forces_needs_no_pass);
        rule("an answer that is expected needs one pass",
             an_answer_that_is_expected_needs_one_pass);
        rule("another one than expected is not changed by that",
             another_answer_than_expected_is_the_same);
        rule("nothing stays of what was foretold", nothing_stays_of_what_was_foretold);
        rule("a cache that is nearly full says so at the same token",
             a_cache_that_is_nearly_full_says_so_at_the_same_token);

        prompt_done(&opening);
        prompt_done(&closing);
        sampler_free(greedy);
        engine_close(engine);
        return tap_done();
}
