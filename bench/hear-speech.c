/* SPDX-License-Identifier: Apache-2.0 */
/* What a pocket model hears in recordings, and how sure it is: the engine itself, inside the grammar
 * and without the limit below which the daemon does not believe it.  training/calibrate.py chooses
 * that limit from it.
 *
 *   hear-speech MODEL [SHIFT] <LIST      each line of LIST is the path of a recording
 *
 * MODEL - is the embedded one.  The sound begins SHIFT samples later in its first frame, 0 to 639.
 * Prints a line for each, of fields with tabs between them: the natural logarithm of the answer's probability, the
 * answer, the logarithm of its share of what the grammar allows; and where that is in doubt, the shares and the
 * answers of other wordings (model/doubt.h). */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/source.h"
#include "base/cleanup.h"
#include "model/doubt.h"
#include "model/engine.h"
#include "model/grammar.h"
#include "model/prompt.h"
#include "model/session.h"

#define POSITIONS  1024
#define MAX_FRAMES 750
#define MAX_TOKENS 96

struct listener {
        struct engine *engine;
        struct session *session;
        struct sampler *sampler;
        struct prompt opening, closing;
        unsigned shift;
        float samples[(MAX_FRAMES + 1) * FRAME_SAMPLES];
};

struct reply {
        int32_t tokens[MAX_TOKENS], rivals[MAX_TOKENS];
        float odds[MAX_TOKENS], log_shares[MAX_TOKENS];
        unsigned n, call; /* the first token of the call, or the one that is the end */
        bool has_call;
};

static int set_up(struct listener *l, const char *model, struct why *why) {
        const struct engine_config engine = { .model_path =
                                                      strcmp(model, "-") == 0 ? NULL : model };
        const struct session_config session = { .max_positions = POSITIONS,
                                                .rewind_slack = POSITIONS };
        const struct sampler_config greedy = { .top_p = 1 };
        const struct tokenizer *t;
        int r;

        r = engine_open(&l->engine, &engine, why);
        if (r < 0)
                return r;
        if (!engine_hears(l->engine) || !engine_has_grammar(l->engine))
                return because(why, -EOPNOTSUPP, "'%s' is no pocket model", model);
        r = session_new(&l->session, l->engine, &session, why);
        if (r < 0)
                return r;
        t = engine_tokenizer(l->engine);
        r = sampler_new(&l->sampler, &greedy, tokenizer_n_tokens(t));
        if (r >= 0)
                r = prompt_begin(&l->opening, t, NULL, NULL, 0, false, why);
        if (r >= 0)
                r = prompt_open_user(&l->opening, t);
        if (r >= 0)
                r = prompt_open_audio(&l->opening, t);
        if (r >= 0)
                r = prompt_close_audio(&l->closing, t);
        if (r >= 0)
                r = prompt_close_user(&l->closing, t, false);
        return r;
}

static void tear_down(struct listener *l) {
        prompt_done(&l->opening);
        prompt_done(&l->closing);
        sampler_free(l->sampler);
        session_free(l->session);
        engine_close(l->engine);
}

/* The number of frames, shift included. */
static int read_frames(struct listener *l, const char *path, struct why *why) {
        const struct source_config config = { .input.bell_fd = -1 };
        struct source *s = NULL;
        struct frame frame;
        size_t n = l->shift;
        int r, fd;

        memset(l->samples, 0, sizeof(l->samples));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        r = source_open(&s, fd, &config, why);
        (void) close(fd);
        while (r >= 0 && (r = source_read(s, &frame, why)) > 0) {
                if (n + FRAME_SAMPLES > MAX_FRAMES * FRAME_SAMPLES)
                        break;
                memcpy(l->samples + n, frame.samples, sizeof(frame.samples));
                n += frame.n_valid;
        }
        source_close(s);
        return r < 0 ? r : (int) ((n + FRAME_SAMPLES - 1) / FRAME_SAMPLES);
}

static void print_token(const struct listener *l, int32_t token) {
        static const char space[] = "\xe2\x96\x81";
        struct gguf_string piece = tokenizer_piece(engine_tokenizer(l->engine), token);

        for (size_t i = 0; i < piece.size; i++) {
                if (piece.size - i >= 3 && memcmp(piece.text + i, space, 3) == 0) {
                        (void) putchar(' ');
                        i += 2;
                } else {
                        (void) putchar(piece.text[i]);
                }
        }
}

static void print_answer(const struct listener *l, const int32_t *tokens, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                print_token(l, tokens[i]);
}

/* The answer's tokens, the one that ends it included; how many there are. */
static int answer(struct listener *l, struct reply *a) {
        int32_t call_begin = tokenizer_special(engine_tokenizer(l->engine))->call_begin;
        int r = 1;

        *a = (struct reply){ 0 };
        session_constrain(l->session, true);
        while (r > 0 && a->n < MAX_TOKENS) {
                r = session_next(l->session, l->sampler, &a->tokens[a->n]);
                if (r < 0)
                        return r;
                a->odds[a->n] = session_runner_up(l->session, &a->rivals[a->n]);
                a->log_shares[a->n] = session_log_share(l->session);
                if (!a->has_call)
                        a->call = a->n;
                a->has_call |= a->tokens[a->n++] == call_begin;
        }
        return 0;
}

/* A call follows from its words: 0 when these have none. */
static unsigned complete(const struct listener *l, int32_t *tokens, unsigned n) {
        const struct grammar *g = engine_grammar(l->engine);
        struct grammar_place place = { 0 };

        for (unsigned i = 0; i < n; i++)
                if (grammar_follow(g, &place, tokens[i]) < 0)
                        return 0;
        while (n < MAX_TOKENS && grammar_n_options(g, &place) == 1) {
                tokens[n] = grammar_option(g, &place, 0);
                (void) grammar_follow(g, &place, tokens[n]);
                if (tokens[n++] == tokenizer_special(engine_tokenizer(l->engine))->call_end)
                        return n;
        }
        return 0;
}

/* As conversation-vote.c does. */
static int print_other(struct listener *l, unsigned position, const struct reply *a, unsigned at) {
        const struct special_tokens *special = tokenizer_special(engine_tokenizer(l->engine));
        int32_t tokens[MAX_TOKENS];
        unsigned n = at + 1;
        int r;

        memcpy(tokens, a->tokens, at * sizeof(tokens[0]));
        tokens[at] = a->rivals[at];
        if (tokens[at] == special->turn_end)
                return 0;
        r = session_constrain_again(l->session, position, tokens, n);
        while (r >= 0 && tokens[n - 1] != special->call_begin) {
                if (n == MAX_TOKENS)
                        return 0;
                r = session_next(l->session, l->sampler, &tokens[n++]);
                if (r <= 0)
                        return r;
        }
        if (r < 0)
                return r;
        n = complete(l, tokens, n);
        if (n == 0)
                return 0;
        (void) printf("\t%.4f\t", (double) (a->log_shares[at] + a->odds[at] +
                                            session_log_share(l->session)));
        print_answer(l, tokens, n);
        print_token(l, special->response_begin);
        return 0;
}

static int print_others(struct listener *l, unsigned position, const struct reply *a) {
        unsigned places[DOUBT_MAX], n;
        int r = 0;

        if (expf(a->log_shares[a->n - 1]) >= DOUBT_SURE)
                return 0;
        n = doubt_find(a->log_shares, a->odds, a->call + 1, places);
        for (unsigned i = 0; r >= 0 && i < n; i++)
                r = print_other(l, position, a, places[i]);
        return r;
}

static int hear(struct listener *l, const char *path, struct why *why) {
        struct reply a;
        unsigned position;
        int n, r;

        n = read_frames(l, path, why);
        if (n < 0)
                return n;
        r = session_rewind(l->session, 0);
        if (r >= 0)
                r = session_append_tokens(l->session, l->opening.ids, l->opening.n_ids);
        if (r >= 0)
                r = session_append_frames(l->session, l->samples, (size_t) n);
        if (r >= 0)
                r = session_append_tokens(l->session, l->closing.ids, l->closing.n_ids);
        position = session_position(l->session);
        if (r >= 0)
                r = answer(l, &a);
        if (r < 0)
                return because(why, r, "%s: %s", path, strerror(-r));

        (void) printf("%.4f\t", (double) session_log_probability(l->session));
        print_answer(l, a.tokens, a.n);
        (void) printf("\t%.4f", (double) session_log_share(l->session));
        r = print_others(l, position, &a);
        (void) putchar('\n');
        return r < 0 ? because(why, r, "%s: %s", path, strerror(-r)) : 0;
}

int main(int argc, char **argv) {
        static struct listener l;
        struct why why = { "" };
        char path[4096];
        int r;

        l.shift = argc > 2 ? (unsigned) strtoul(argv[2], NULL, 10) : 0;
        if (argc < 2 || argc > 3 || l.shift >= FRAME_SAMPLES) {
                (void) fprintf(stderr, "Usage: hear-speech MODEL [SHIFT] <LIST\n");
                return 2;
        }
        r = set_up(&l, argv[1], &why);
        while (r >= 0 && fgets(path, sizeof(path), stdin)) {
                path[strcspn(path, "\n")] = '\0';
                r = hear(&l, path, &why);
        }
        if (r < 0)
                (void) fprintf(stderr, "hear-speech: %s\n", why.text[0] ? why.text : strerror(-r));
        tear_down(&l);
        return r < 0;
}
