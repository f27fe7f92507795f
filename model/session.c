/* SPDX-License-Identifier: Apache-2.0 */
#include "model/session.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/decoder.h"
#include "model/engine-internal.h"
#include "model/foretell.h"
#include "model/speculate.h"
#include "model/vision.h"

#define DEFAULT_SLACK 256

/* What the reference's processor allows a picture unless it is told otherwise. */
#define DEFAULT_IMAGE_POSITIONS 280

_Static_assert(SESSION_FRAME_SAMPLES == PARAMS_FRAME_SAMPLES, "frame");

struct session {
        struct engine *engine; /* not owned */
        struct kvcache cache;
        struct decoder decoder;
        struct vision vision;            /* vision.weights is NULL when the engine does not see */
        struct speculation *speculation; /* owned; NULL: there is no drafter */
        float *logits;   /* owned, [logit_rows()][n_vocab] */
        unsigned row;    /* of them, that of the last position */
        bool has_logits; /* logits belong to the last position */
        bool has_last;   /* the decoder's last row belongs to the last position */
        int32_t pending; /* sampled and returned, not yet in the cache; -1: none */
        bool is_constrained;
        struct foretold foretold;   /* of the constrained answer */
        struct grammar_place place; /* in it */
        float log_probability;      /* of the constrained answer so far */
        float log_share;            /* ... among what the grammar allows */
        int32_t runner_up;          /* to its last token */
        float runner_up_odds;
};

DEFINE_CLEANUP(struct session *, session_free)

/* Positions of the largest picture, 0 when the engine does not see. */
static unsigned image_positions(const struct engine *e, unsigned wanted) {
        unsigned most = e->weights.vision.n_places;

        if (!engine_sees(e))
                return 0;
        if (wanted == 0)
                wanted = DEFAULT_IMAGE_POSITIONS;
        if (most > VISION_MAX_PATCHES)
                most = VISION_MAX_PATCHES;
        return wanted < most ? wanted : most;
}

/* Positions that a ring holds beyond its window: one pass at least, and a picture is one. */
static unsigned
slack_of(const struct session_config *config,
         unsigned image_positions,
         const struct engine *e,
         bool has_drafter) {
        unsigned slack = config->rewind_slack ? config->rewind_slack : DEFAULT_SLACK;

        if (slack < image_positions)
                slack = image_positions;
        if (slack < DECODER_MAX_ROWS)
                slack = DECODER_MAX_ROWS;
        /* Guesses lie ahead of the position, and a drafter looks a little further back. */
        if (e->grammar)
                slack += FORETELL_MAX_ROWS;
        return has_drafter ? slack + SPECULATE_MAX_ROWS + 2 : slack;
}

/* Rows of a pass of which the logits are wanted, at most. */
static unsigned logit_rows(const struct engine *e, bool has_drafter) {
        if (has_drafter)
                return SPECULATE_MAX_ROWS;
        return e->grammar ? FORETELL_MAX_ROWS : 1;
}

int session_new(struct session **ret,
                struct engine *e,
                const struct session_config *config,
                struct why *why) {
        _cleanup_(session_freep) struct session *s = NULL;
        bool has_drafter = e->drafter && !config->without_drafter;
        unsigned most = image_positions(e, config->image_positions);
        int r;

        if (config->max_positions == 0)
                return because(why, -EINVAL, "a context of 0 positions");

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "out of memory");
        s->engine = e;
        s->pending = -1;
        s->logits = calloc((size_t) e->params.n_vocab * logit_rows(e, has_drafter), sizeof(float));
        if (!s->logits)
                return because(why, -ENOMEM, "out of memory");

        r = kvcache_init(&s->cache, &e->params, config->max_positions,
                         slack_of(config, most, e, has_drafter), config->f32_cache);
        if (r < 0)
                return because(why, r, "no memory for a context of %u positions",
                               config->max_positions);
        r = decoder_init(&s->decoder, e->kernels, e->pool, &e->params, &e->weights, &s->cache,
                         most);
        if (r == 0 && most > 0)
                r = vision_init(&s->vision, &e->weights.vision, e->kernels, e->pool);
        if (r == 0 && has_drafter)
                r = speculation_new(&s->speculation, e, &s->cache, config->n_guesses);
        if (r < 0)
                return because(why, r, "no memory for a context of %u positions",
                               config->max_positions);

        *ret = TAKE_PTR(s);
        return 0;
}

struct session *session_free(struct session *s) {
        if (!s)
                return NULL;

        vision_done(&s->vision);
        speculation_free(s->speculation);
        decoder_done(&s->decoder);
        kvcache_done(&s->cache);
        free(s->logits);
        free(s);
        return NULL;
}

unsigned session_position(const struct session *s) {
        return s->cache.n - foretell_ahead(&s->foretold) -
               (s->speculation ? speculation_ahead(s->speculation) : 0);
}

unsigned session_max_positions(const struct session *s) {
        return s->cache.max_positions;
}

unsigned session_oldest_rewind(const struct session *s) {
        return kvcache_oldest_rewind(&s->cache);
}

static bool has_room(const struct session *s, size_t n) {
        return n <= s->cache.max_positions - session_position(s);
}

/* What was guessed and not reached is not in the cache any more. */
static void settle(struct session *s) {
        /* So few positions can always be taken back. */
        (void) kvcache_rewind(&s->cache, s->cache.n - foretell_ahead(&s->foretold));
        s->foretold.n_tokens = s->foretold.n_held = 0;
        if (s->speculation)
                speculation_drop(s->speculation);
}

/* The rows of one pass are in place: computes them and remembers the last. */
static void forward(struct session *s, unsigned n) {
        decoder_forward(&s->decoder, n, 1);
        s->has_last = true;
        s->has_logits = false;
}

/* The logits after the last n rows of the last pass, which are those of the positions from here on. */
static void compute_logits(struct session *s, unsigned n) {
        const struct engine *e = s->engine;

        decoder_logits(&s->decoder, n, s->logits);
        for (unsigned row = 0; row < n; row++)
                for (size_t i = 0; i < e->n_suppressed; i++)
                        s->logits[(size_t) row * e->params.n_vocab + (size_t) e->suppressed[i]] =
                                -INFINITY;
        if (s->speculation)
                memcpy(s->speculation->states, decoder_states(&s->decoder),
                       (size_t) n * e->params.width * sizeof(float));
        s->row = 0;
        s->has_logits = true;
}

/* n tokens, and what follows them as far as it can be foretold, in one pass. */
static void forward_foretold(struct session *s, const int32_t *ids, unsigned n) {
        unsigned most = logit_rows(s->engine, s->speculation) - 1, n_ahead;
        unsigned room = s->cache.max_positions - s->cache.n - n;
        int32_t rows[DECODER_MAX_ROWS];

        room = room < DECODER_MAX_ROWS - n ? room : DECODER_MAX_ROWS - n;
        n_ahead = foretell(&s->foretold, s->engine, &s->place, room < most ? room : most);
        memcpy(rows, ids, n * sizeof(ids[0]));
        memcpy(rows + n, s->foretold.tokens, n_ahead * sizeof(rows[0]));

        decoder_embed_tokens(&s->decoder, rows, n + n_ahead);
        decoder_forward(&s->decoder, n + n_ahead, 1 + n_ahead);
        compute_logits(s, 1 + n_ahead);
        s->has_last = true;
}

/* The token that session_next() returned becomes a position of its own.  Its room is checked by
 * the caller. */
static void append_pending(struct session *s) {
        settle(s);
        if (s->pending < 0)
                return;

        decoder_embed_tokens(&s->decoder, &s->pending, 1);
        s->pending = -1;
        forward(s, 1);
}

/* An answer that was not begun is likely to be a certain one. */
static bool is_expecting(const struct session *s) {
        return s->is_constrained && s->foretold.n_said == 0 && s->foretold.n_likely > 0;
}

int session_append_tokens(struct session *s, const int32_t *ids, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (ids[i] < 0 || (uint32_t) ids[i] >= s->engine->params.n_vocab)
                        return -EINVAL;
        if (!has_room(s, n + (s->pending >= 0)))
                return -ENOSPC;

        append_pending(s);
        for (size_t i = 0; i < n; i += DECODER_MAX_ROWS) {
                unsigned rows = (unsigned) (n - i < DECODER_MAX_ROWS ? n - i : DECODER_MAX_ROWS);

                if (i + rows == n && is_expecting(s)) {
                        forward_foretold(s, ids + i, rows);
                        continue;
                }
                decoder_embed_tokens(&s->decoder, ids + i, rows);
                forward(s, rows);
        }
        return 0;
}

int session_append_frames(struct session *s, const float *samples, size_t n) {
        if (!engine_hears(s->engine))
                return -EOPNOTSUPP;
        if (!has_room(s, n + (s->pending >= 0)))
                return -ENOSPC;

        append_pending(s);
        for (size_t i = 0; i < n; i += DECODER_MAX_ROWS) {
                unsigned rows = (unsigned) (n - i < DECODER_MAX_ROWS ? n - i : DECODER_MAX_ROWS);

                decoder_embed_frames(&s->decoder, samples + i * SESSION_FRAME_SAMPLES, rows);
                forward(s, rows);
        }
        return 0;
}

int session_image_format(const struct session *s, unsigned *ret_side, unsigned *ret_most) {
        if (!s->vision.weights)
                return -EOPNOTSUPP;
        *ret_side = s->vision.weights->side;
        *ret_most = s->decoder.max_block;
        return 0;
}

int session_append_image(struct session *s,
                         const struct patches *p,
                         bool (*goes_on)(void *userdata),
                         void *userdata) {
        unsigned n = patches_count(p);
        int r;

        if (!s->vision.weights)
                return -EOPNOTSUPP;
        if (n == 0 || n > s->decoder.max_block || p->side != s->vision.weights->side)
                return -EINVAL;
        if (!has_room(s, n + (s->pending >= 0)))
                return -ENOSPC;

        append_pending(s);
        vision_embed(&s->vision, p, s->decoder.block);
        r = decoder_forward_block(&s->decoder, n, goes_on, userdata);
        if (r < 0)
                return r;
        s->has_last = true;
        s->has_logits = false;
        return 0;
}

int session_rewind(struct session *s, unsigned position) {
        bool takes_back_positions = position != session_position(s);
        int r;

        settle(s);
        if (!takes_back_positions && s->pending < 0)
                return 0;

        r = kvcache_rewind(&s->cache, position);
        if (r < 0)
                return r;

        /* The decoder's last row, and its logits, are of a position that is still there only when
         * nothing but the pending token was taken back. */
        if (takes_back_positions)
                s->has_last = s->has_logits = false;
        s->pending = -1;
        return 0;
}

int session_save(struct session *s, unsigned n, int fd) {
        settle(s);
        return kvcache_save(&s->cache, n, fd);
}

/* Of the last position no logits are there, as after a rewind. */
int session_load(struct session *s, int fd) {
        if (s->pending >= 0)
                return -EINVAL;
        return kvcache_load(&s->cache, fd);
}

const float *session_logits(struct session *s) {
        if (s->pending >= 0) {
                if (!has_room(s, 1))
                        return NULL;
                append_pending(s);
        }
        if (!s->has_logits && !s->has_last)
                return NULL;
        if (!s->has_logits)
                compute_logits(s, 1);
        return s->logits + (size_t) s->row * s->engine->params.n_vocab;
}

/* The pending token and what follows it, when it does not lie in the cache already. */
static void run_foretold(struct session *s) {
        int32_t token = s->pending;

        s->pending = -1;
        if (foretell_holds(&s->foretold, token)) {
                s->row++;
                return;
        }
        settle(s);
        forward_foretold(s, &token, 1);
}

/* The pending token and guesses of what follows it in one pass, when they do not lie in the cache
 * already. */
static void run_ahead(struct session *s, const struct sampler *sampler) {
        struct speculation *sp = s->speculation;
        const float *state = sp->states + (size_t) s->row * s->engine->params.width;
        int32_t tokens[SPECULATE_MAX_ROWS] = { s->pending };
        uint64_t began;
        unsigned n;

        if (speculation_holds(sp, s->pending)) {
                s->pending = -1;
                s->row++;
                return;
        }
        settle(s);
        n = 1 + speculation_guess(sp, sampler, s->pending, state,
                                  s->cache.max_positions - s->cache.n - 1);
        memcpy(tokens + 1, sp->guesses, (n - 1) * sizeof(tokens[0]));

        began = clock_now_ns();
        decoder_embed_tokens(&s->decoder, tokens, n);
        decoder_forward(&s->decoder, n, n);
        compute_logits(s, n);
        pace_note_pass(&sp->pace, n, clock_now_ns() - began);
        s->pending = -1;
        s->has_last = true;
}

bool session_drafting(const struct session *s, struct session_drafting *ret) {
        if (!s->speculation)
                return false;

        *ret = s->speculation->counts;
        ret->acceptance = pace_acceptance(&s->speculation->pace);
        ret->gain = pace_gain(&s->speculation->pace, ret->n_wanted);
        return true;
}

void session_constrain(struct session *s, bool constrained) {
        s->is_constrained = constrained && s->engine->grammar;
        foretell_begin(&s->foretold, NULL, 0);
        s->place = (struct grammar_place){ 0 };
        s->log_probability = s->log_share = 0;
        s->runner_up_odds = -INFINITY;
}

void session_expect(struct session *s, const int32_t *tokens, unsigned n) {
        foretell_begin(&s->foretold, tokens, n);
}

int session_constrain_again(struct session *s, unsigned position, const int32_t *tokens, unsigned n) {
        struct grammar_place place = { 0 };
        int r;

        if (!s->engine->grammar || n == 0)
                return -EINVAL;
        for (unsigned i = 0; i < n; i++)
                if (grammar_follow(s->engine->grammar, &place, tokens[i]) < 0)
                        return -ENOENT;

        r = session_rewind(s, position + n - 1);
        if (r >= 0)
                r = session_append_tokens(s, &tokens[n - 1], 1);
        if (r < 0)
                return r;
        session_constrain(s, true);
        s->place = place;
        return 0;
}

float session_runner_up(const struct session *s, int32_t *ret) {
        *ret = s->runner_up;
        return s->runner_up_odds;
}

float session_log_probability(const struct session *s) {
        return s->log_probability;
}

float session_log_share(const struct session *s) {
        return s->log_share;
}

/* log(exp(x_i) / sum_j exp(x_j)) */
static float log_softmax_at(const float *x, size_t n, size_t i) {
        double sum = 0;
        float max = x[0];

        for (size_t j = 1; j < n; j++)
                max = x[j] > max ? x[j] : max;
        for (size_t j = 0; j < n; j++)
                sum += (double) expf(x[j] - max);
        return x[i] - max - (float) log(sum);
}

float session_log_probability_of(struct session *s, int32_t token) {
        const float *logits = session_logits(s);

        if (!logits || token < 0 || (uint32_t) token >= s->engine->params.n_vocab)
                return -INFINITY;
        return log_softmax_at(logits, s->engine->params.n_vocab, (size_t) token);
}

/* What else the grammar allows: the likeliest of it, and how much all of it is beside the chosen token. */
static void note_runner_up(struct session *s, const float *logits, int32_t chosen) {
        const struct grammar *g = s->engine->grammar;
        size_t n = grammar_n_options(g, &s->place);
        float best = -INFINITY;
        double others = 0;

        for (size_t i = 0; i < n; i++) {
                int32_t token = grammar_option(g, &s->place, i);

                if (token == chosen)
                        continue;
                others += (double) expf(logits[token] - logits[chosen]);
                if (logits[token] <= best)
                        continue;
                best = logits[token];
                s->runner_up = token;
        }
        s->runner_up_odds = best - logits[chosen];
        s->log_share -= (float) log1p(others);
}

/* The likeliest token that the grammar allows; -EINVAL when it allows none that is possible. */
static int choose_constrained(struct session *s, const float *logits, int32_t *ret) {
        const struct grammar *g = s->engine->grammar;
        int32_t id;

        id = grammar_choose(g, &s->place, logits);
        if (id < 0)
                return -EINVAL;

        note_runner_up(s, logits, id);
        s->log_probability += log_softmax_at(logits, s->engine->params.n_vocab, (size_t) id);
        (void) grammar_follow(g, &s->place, id);
        s->foretold.n_said++;
        *ret = id;
        return 0;
}

int session_next(struct session *s, struct sampler *sampler, int32_t *ret) {
        const float *logits;
        int32_t id;

        if (s->pending >= 0 && !has_room(s, 1))
                return -ENOSPC;
        if (s->pending >= 0 && s->is_constrained)
                run_foretold(s);
        else if (s->pending >= 0 && s->speculation)
                run_ahead(s, sampler);
        logits = session_logits(s);
        if (!logits)
                return -EINVAL;

        if (!s->is_constrained)
                id = sampler_choose(sampler, logits);
        else if (choose_constrained(s, logits, &id) < 0)
                return -EINVAL;
        *ret = id;
        if (engine_is_stop(s->engine, id))
                return 0;
        if (!has_room(s, 1))
                return -ENOSPC;

        s->pending = id;
        return 1;
}
