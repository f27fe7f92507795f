/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/dialogue.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

#include "daemon/common/drafter.h"
#include "daemon/think/declared.h"
#include "daemon/think/keepsake.h"
#include "daemon/think/tools.h"

#define DIALOGUE_MAX_EXCHANGES 32

/* The words of a question that the user never asked, so they are ours. */
#define DIALOGUE_TRANSCRIBE                                                                        \
        "Write down what was said in this recording, word for word, in the language in which it "  \
        "was spoken. Give only the words themselves, on one line, with digits for numbers."

struct dialogue {
        const struct config *config; /* not owned */
        struct engine *engine;       /* owned */
        struct session *session;     /* owned; NULL at rest */
        struct sampler *sampler;     /* owned; as configured, or as the file recommends */
        struct sampler *voice;       /* owned; for what answers a sound */
        struct sampler *exact;       /* owned; greedy */
        bool is_heard;               /* the turn at hand is a sound */
        const struct tokenizer *tokenizer;
        bool has_drafter;
        struct why no_drafter;           /* why; empty: there is one, or none was asked for */
        struct session_drafting drafted; /* by sessions before this one */
        bool is_plain; /* made for single turns, without system text and history */

        struct toolset *provided; /* owned; NULL: none */
        struct declared *declared; /* owned; NULL: none */

        struct prompt wanted; /* the whole prefix, as it should be */
        struct prompt held;   /* the part of it that is in the cache, from position 0 */
        struct keepsake kept; /* of what was held before a rest */
        struct prompt turn;   /* what the turn has put together */
        size_t n_fed;         /* ... and how much of it is in the cache */
        bool is_open;         /* the user's turn has begun */
        size_t n_opening;     /* the part of turn up to the first frame of an audio */
        unsigned audio_begin; /* position of that frame */
        unsigned frames_end;  /* position behind the last frame, before dialogue_run_ahead() */
        size_t n_opened;      /* ... and the part of turn that was there by then */
        size_t n_closed;      /* ... and behind the end of the audio */
        unsigned audio_end;   /* position behind the last audio, 0 when there is none */

        struct prompt exchanges[DIALOGUE_MAX_EXCHANGES]; /* oldest first */
        unsigned n_exchanges;
        unsigned n_yielded; /* the oldest ones, which are left out for this turn */
};

static size_t batch(const struct dialogue *d, size_t n) {
        return n < d->config->batch_frames ? n : d->config->batch_frames;
}

/* Without it everything is said all the same, only later. */
static void open_drafter(struct dialogue *d) {
        char buffer[PATH_MAX];
        const char *path = drafter_find(d->config, buffer);

        struct why why = {};

        d->has_drafter = path && engine_add_drafter(d->engine, path, &why) >= 0;
        if (path && !d->has_drafter)
                d->no_drafter = why;
}

const char *dialogue_drafter_error(const struct dialogue *d) {
        return d->no_drafter.text;
}

bool dialogue_drafting(const struct dialogue *d, struct session_drafting *ret) {
        struct session_drafting now;

        *ret = d->drafted;
        if (d->session && session_drafting(d->session, &now)) {
                now.n_passes += ret->n_passes;
                now.n_guessed += ret->n_guessed;
                now.n_judged += ret->n_judged;
                now.n_held += ret->n_held;
                *ret = now;
        }
        return d->has_drafter;
}

static int open_session(struct dialogue *d, struct why *why) {
        struct session_config config = { .max_positions = dialogue_max_positions(d),
                                         .image_positions = d->config->image_positions };

        return session_new(&d->session, d->engine, &config, why);
}

static int open_samplers(struct dialogue *d) {
        size_t n_vocab = tokenizer_n_tokens(d->tokenizer);
        const struct config *c = d->config;
        struct sampler_config greedy = { .top_p = 1 };
        /* Of a file that recommends nothing. */
        struct sampler_config config = { .top_k = 64, .top_p = 0.95f, .seed = c->seed };
        int r;

        engine_recommend(d->engine, &config);
        if (c->temperature != CONFIG_AUTO)
                config.temperature = (float) c->temperature;
        if (c->top_k != CONFIG_AUTO)
                config.top_k = (unsigned) c->top_k;
        if (c->top_p != CONFIG_AUTO)
                config.top_p = (float) c->top_p;
        r = sampler_new(&d->sampler, &config, n_vocab);
        if (r < 0)
                return r;
        if (c->voice_temperature != CONFIG_AUTO)
                config.temperature = (float) c->voice_temperature;
        r = sampler_new(&d->voice, &config, n_vocab);
        if (r < 0)
                return r;
        return sampler_new(&d->exact, &greedy, n_vocab);
}

static int declare_tools(struct dialogue *d);

static const char *path_or_null(const char *path) {
        return *path ? path : NULL;
}

int dialogue_open(struct dialogue **ret, const struct config *config, struct why *why) {
        struct engine_config engine_config = {
                .model_path = path_or_null(config->model_path),
                .projector_path = path_or_null(config->projector_path),
                .n_threads = config->n_threads,
        };
        _cleanup_(dialogue_closep) struct dialogue *d = NULL;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return because(why, -ENOMEM, "out of memory");
        d->config = config;
        keepsake_init(&d->kept);

        r = engine_open(&d->engine, &engine_config, why);
        if (r < 0)
                return r;
        d->tokenizer = engine_tokenizer(d->engine);
        d->is_plain = engine_answers_with_transcript(d->engine);

        open_drafter(d);
        r = open_session(d, why);
        if (r < 0)
                return r;
        r = open_samplers(d);
        if (r < 0)
                return because(why, r, "preparing the sampler: %s", strerror(-r));
        r = declare_tools(d);
        if (r < 0)
                return because(why, r, "out of memory");

        *ret = TAKE_PTR(d);
        return 0;
}

struct dialogue *dialogue_close(struct dialogue *d) {
        if (!d)
                return NULL;

        for (unsigned i = 0; i < d->n_exchanges; i++)
                prompt_done(&d->exchanges[i]);
        prompt_done(&d->turn);
        prompt_done(&d->held);
        prompt_done(&d->wanted);
        keepsake_done(&d->kept);
        declared_free(d->declared);
        toolset_free(d->provided);
        if (d->exact)
                sampler_free(d->exact);
        if (d->voice)
                sampler_free(d->voice);
        if (d->sampler)
                sampler_free(d->sampler);
        if (d->session)
                session_free(d->session);
        if (d->engine)
                engine_close(d->engine);
        free(d);
        return NULL;
}

const struct engine *dialogue_engine(const struct dialogue *d) {
        return d->engine;
}

unsigned dialogue_position(const struct dialogue *d) {
        return d->session ? session_position(d->session) : 0;
}

unsigned dialogue_max_positions(const struct dialogue *d) {
        unsigned max = engine_max_positions(d->engine);

        return d->config->context_positions < max ? d->config->context_positions : max;
}

static int append_ids(struct prompt *p, const int32_t *ids, size_t n) {
        int32_t *grown;

        if (n == 0)
                return 0;
        grown = reallocarray(p->ids, p->n_ids + n, sizeof(*ids));
        if (!grown)
                return -ENOMEM;

        memcpy(grown + p->n_ids, ids, n * sizeof(*ids));
        p->ids = grown;
        p->n_ids += n;
        return 0;
}

bool dialogue_has_tools(const struct dialogue *d) {
        const struct special_tokens *s = tokenizer_special(d->tokenizer);

        return d->config->tools && !d->is_plain && s->tool_begin >= 0 && s->tool_end >= 0 &&
               s->call_begin >= 0 && s->call_end >= 0 && s->response_begin >= 0 &&
               s->response_end >= 0 && s->quote >= 0;
}

/* Where the speech of a model that hears begins, there has to be room for it, or it is not understood. */
static size_t room_for_opening(const struct dialogue *d) {
        _cleanup_(prompt_done) struct prompt opening = { 0 };
        size_t limit = d->config->speech_positions, others = DIALOGUE_SPEECH_FRAMES;

        if (limit == 0 || !engine_hears(d->engine))
                return dialogue_max_positions(d) / 2;
        if (prompt_open_user(&opening, d->tokenizer) >= 0 &&
            prompt_open_audio(&opening, d->tokenizer) >= 0)
                others += opening.n_ids;
        return limit > others ? limit - others : 0;
}

static const char *system_text(const struct dialogue *d) {
        return d->is_plain ? NULL : path_or_null(d->config->system_text);
}

static int declare_tools(struct dialogue *d) {
        const struct declared_room room = {
                .tokenizer = d->tokenizer,
                .system_text = system_text(d),
                .positions = room_for_opening(d),
        };

        d->declared = declared_free(d->declared);
        return dialogue_has_tools(d) ? declared_new(&d->declared, d->provided, &room) : 0;
}

void dialogue_set_tools(struct dialogue *d, struct toolset *tools) {
        toolset_free(d->provided);
        d->provided = tools;
        (void) declare_tools(d);
}

const struct toolset *dialogue_tools(const struct dialogue *d) {
        return d->provided;
}

bool dialogue_owns_tool(const struct dialogue *d, const char *name) {
        return (tools_find(name) || strcmp(name, DECLARED_FIND) == 0) &&
               !toolset_has(d->provided, name);
}

char *dialogue_find_tools(const struct dialogue *d, const json_t *arguments) {
        return d->declared ? declared_find(d->declared, arguments) : NULL;
}

static int build_opening(const struct dialogue *d, struct prompt *p, bool thinking) {
        const struct declared *told = d->declared;

        prompt_clear(p);
        return prompt_begin(p, d->tokenizer, system_text(d), told ? told->told : NULL,
                            told ? told->n_told : 0, thinking && !d->is_plain, NULL);
}

static int build_prefix(struct dialogue *d, bool thinking) {
        int r;

        r = build_opening(d, &d->wanted, thinking);
        for (unsigned i = d->n_yielded; r >= 0 && i < d->n_exchanges; i++)
                r = append_ids(&d->wanted, d->exchanges[i].ids, d->exchanges[i].n_ids);
        return r;
}

static size_t n_common(const struct prompt *a, const struct prompt *b) {
        size_t n = 0;

        while (n < a->n_ids && n < b->n_ids && a->ids[n] == b->ids[n])
                n++;
        return n;
}

/* Leaves in the cache what held and wanted have in common.  Where the sliding layers no longer hold
 * what that needs, it begins anew: slower, never wrong. */
static int rewind_to_common(struct dialogue *d) {
        size_t common = n_common(&d->held, &d->wanted);
        int r;

        r = session_rewind(d->session, (unsigned) common);
        if (r == -ERANGE) {
                common = 0;
                r = session_rewind(d->session, 0);
        }
        if (r < 0)
                return r;
        d->held.n_ids = common;
        return 0;
}

bool dialogue_computes(const struct dialogue *d) {
        const float *logits = session_logits(d->session);

        for (size_t i = 0; logits && i < tokenizer_n_tokens(d->tokenizer); i++)
                if (isnan(logits[i]))
                        return false;
        return true;
}

/* How much of what is held is the system text and the tools, and nothing that anybody has said. */
static size_t n_of_opening(const struct dialogue *d, bool thinking) {
        _cleanup_(prompt_done) struct prompt opening = { 0 };

        return build_opening(d, &opening, thinking) < 0 ? 0 : n_common(&d->held, &opening);
}

/* Where it can not be kept, it is computed again. */
static void keep_opening(struct dialogue *d) {
        size_t plain = n_of_opening(d, false), thinking = n_of_opening(d, true);

        (void) keepsake_keep(&d->kept, d->config, d->session, d->held.ids,
                             plain > thinking ? plain : thinking);
}

void dialogue_rest(struct dialogue *d) {
        if (!d->session)
                return;
        keep_opening(d);
        (void) dialogue_drafting(d, &d->drafted);
        d->session = session_free(d->session);
        d->held.n_ids = 0;
        prompt_clear(&d->turn);
        d->n_fed = 0;
        d->audio_end = 0;
        engine_release(d->engine);
        (void) malloc_trim(0);
}

/* What was kept is held again. */
static int recall_opening(struct dialogue *d) {
        unsigned n;
        int r;

        keepsake_recall(&d->kept, d->session);
        n = session_position(d->session);
        r = append_ids(&d->held, d->kept.ids, n);
        if (r < 0)
                (void) session_rewind(d->session, 0);
        return r;
}

/* What was given back is read again while what was not kept of the prefix is computed. */
static int rise(struct dialogue *d) {
        int r;

        if (d->session)
                return 0;
        engine_fetch(d->engine);
        r = open_session(d, NULL);
        return r < 0 ? r : recall_opening(d);
}

int dialogue_warm(struct dialogue *d, bool thinking) {
        const int32_t *next;
        size_t n;
        int r;

        r = rise(d);
        if (r < 0)
                return r;
        r = build_prefix(d, thinking);
        if (r < 0)
                return r;
        r = rewind_to_common(d);
        if (r < 0)
                return r;

        d->audio_end = 0;
        prompt_clear(&d->turn);
        d->n_fed = 0;
        d->is_open = false;

        n = batch(d, d->wanted.n_ids - d->held.n_ids);
        next = d->wanted.ids + d->held.n_ids;
        if (n == 0)
                return 0;

        /* First the note, for which there may be no memory; it can be taken back. */
        r = append_ids(&d->held, next, n);
        if (r < 0)
                return r;
        r = session_append_tokens(d->session, next, n);
        if (r < 0) {
                d->held.n_ids -= n;
                return r;
        }
        return d->held.n_ids < d->wanted.n_ids;
}

static int open_user(struct dialogue *d) {
        if (d->is_open)
                return 0;
        d->is_open = true;
        return prompt_open_user(&d->turn, d->tokenizer);
}

int dialogue_open_text(struct dialogue *d, const char *text, size_t size, unsigned n_reserved) {
        size_t used;
        int r;

        d->is_heard = false;
        r = open_user(d);
        if (r < 0)
                return r;
        r = prompt_add_user_text(&d->turn, d->tokenizer, text, size);
        if (r < 0)
                return r;

        used = session_position(d->session) + d->turn.n_ids - d->n_fed + n_reserved;
        return used > dialogue_max_positions(d) ? -EFBIG : 0;
}

int dialogue_open_audio(struct dialogue *d) {
        int r;

        d->is_heard = true;
        r = open_user(d);
        if (r < 0)
                return r;
        r = prompt_open_audio(&d->turn, d->tokenizer);
        if (r < 0)
                return r;
        d->n_opening = d->turn.n_ids;
        d->audio_begin = session_position(d->session) + (unsigned) (d->turn.n_ids - d->n_fed);
        return 0;
}

int dialogue_image_format(const struct dialogue *d, unsigned *ret_side, unsigned *ret_most) {
        return session_image_format(d->session, ret_side, ret_most);
}

int dialogue_open_image(struct dialogue *d) {
        int r = open_user(d);

        return r < 0 ? r : prompt_open_image(&d->turn, d->tokenizer);
}

int dialogue_append_image(struct dialogue *d,
                          const struct patches *patches,
                          bool (*goes_on)(void *userdata),
                          void *userdata) {
        return session_append_image(d->session, patches, goes_on, userdata);
}

int dialogue_close_image(struct dialogue *d) {
        return prompt_close_image(&d->turn, d->tokenizer);
}

int dialogue_rewind_audio(struct dialogue *d) {
        return session_rewind(d->session, d->audio_begin);
}

int dialogue_close_again(struct dialogue *d, const int32_t *likely, unsigned n) {
        session_constrain(d->session, true);
        session_expect(d->session, likely, n);
        return session_append_tokens(d->session, d->turn.ids + d->n_opening,
                                     d->turn.n_ids - d->n_opening);
}

int dialogue_append_frames(struct dialogue *d, const float *samples, size_t n) {
        return session_append_frames(d->session, samples, n);
}

unsigned dialogue_n_frames(const struct dialogue *d) {
        return session_position(d->session) - d->audio_begin;
}

/* How many of the newest exchanges have room in so many positions. */
static unsigned n_with_room(const struct dialogue *d, size_t room) {
        unsigned n = 0;

        while (n < d->n_exchanges && d->exchanges[d->n_exchanges - 1 - n].n_ids <= room)
                room -= d->exchanges[d->n_exchanges - 1 - n++].n_ids;
        return n;
}

bool dialogue_yield(struct dialogue *d, unsigned n) {
        size_t limit = d->config->speech_positions, end = session_position(d->session) + n;
        size_t others = d->audio_begin;
        unsigned n_left;

        if (limit == 0 || end <= limit || d->n_yielded == d->n_exchanges)
                return false;
        for (unsigned i = d->n_yielded; i < d->n_exchanges; i++)
                others -= d->exchanges[i].n_ids;
        /* Nothing would come of it. */
        if (end - d->audio_begin + others > limit)
                return false;

        others += DIALOGUE_SPEECH_FRAMES;
        n_left = n_with_room(d, limit > others ? limit - others : 0);
        if (n_left >= d->n_exchanges - d->n_yielded)
                n_left = d->n_exchanges - d->n_yielded - 1;
        d->n_yielded = d->n_exchanges - n_left;
        return true;
}

void dialogue_restore(struct dialogue *d) {
        d->n_yielded = 0;
}

int dialogue_take_back(struct dialogue *d, unsigned n) {
        int r;

        r = session_rewind(d->session, session_position(d->session) - n);
        return r == -ERANGE ? 0 : r;
}

int dialogue_close_audio(struct dialogue *d) {
        int r;

        r = prompt_close_audio(&d->turn, d->tokenizer);
        if (r < 0)
                return r;

        d->audio_end = session_position(d->session) + (unsigned) (d->turn.n_ids - d->n_fed);
        return 0;
}

int dialogue_close_user(struct dialogue *d, bool thinking) {
        session_constrain(d->session, true);
        return prompt_close_user(&d->turn, d->tokenizer, thinking && !d->is_plain);
}

int dialogue_respond(struct dialogue *d, const char *name, const char *result_json) {
        return prompt_add_tool_response(&d->turn, d->tokenizer, name, result_json, NULL);
}

int dialogue_reopen_model(struct dialogue *d, bool thinking) {
        return thinking && !d->is_plain ? prompt_open_thought(&d->turn, d->tokenizer) : 0;
}

int dialogue_close_thought(struct dialogue *d) {
        return prompt_close_thought(&d->turn, d->tokenizer);
}

int dialogue_run_ahead(struct dialogue *d, bool thinking) {
        int r;

        d->frames_end = session_position(d->session);
        d->n_opened = d->turn.n_ids;
        r = dialogue_close_audio(d);
        if (r < 0)
                return r;
        d->n_closed = d->turn.n_ids;
        return dialogue_close_user(d, thinking);
}

static float end_probability(struct dialogue *d) {
        return expf(session_log_probability_of(d->session,
                                               tokenizer_special(d->tokenizer)->turn_end));
}

int dialogue_foresee_end(struct dialogue *d, float *ret) {
        int r;

        r = session_append_tokens(d->session, d->turn.ids + d->n_fed, d->n_closed - d->n_fed);
        if (r < 0)
                return r;
        d->n_fed = d->n_closed;
        *ret = end_probability(d);
        return 0;
}

int dialogue_measure_end(struct dialogue *d, float *ret) {
        int r;

        if (d->audio_end == 0)
                return -ERANGE;
        r = session_rewind(d->session, d->audio_end - 1);
        if (r >= 0)
                r = session_append_tokens(d->session,
                                          &tokenizer_special(d->tokenizer)->audio_end, 1);
        if (r < 0)
                return r;
        *ret = end_probability(d);
        return 0;
}

void dialogue_foresee(struct dialogue *d) {
        (void) session_logits(d->session);
}

int dialogue_fall_back(struct dialogue *d) {
        int r;

        r = session_rewind(d->session, d->frames_end);
        if (r < 0)
                return r;
        d->turn.n_ids = d->n_fed = d->n_opened;
        d->audio_end = 0;
        return 0;
}

int dialogue_feed(struct dialogue *d) {
        size_t n = batch(d, d->turn.n_ids - d->n_fed);
        int r;

        if (n == 0)
                return 0;
        r = session_append_tokens(d->session, d->turn.ids + d->n_fed, n);
        if (r < 0)
                return r;

        d->n_fed += n;
        return d->n_fed < d->turn.n_ids;
}

int dialogue_reopen_audio(struct dialogue *d) {
        static const char question[] = DIALOGUE_TRANSCRIBE;
        int r;

        if (d->audio_end == 0)
                return -ERANGE;
        r = session_rewind(d->session, d->audio_end);
        if (r < 0)
                return r;

        session_constrain(d->session, false);
        prompt_clear(&d->turn);
        d->n_fed = 0;
        r = prompt_add_user_text(&d->turn, d->tokenizer, question, sizeof(question) - 1);
        if (r < 0)
                return r;
        return prompt_close_user(&d->turn, d->tokenizer, false);
}

int dialogue_next(struct dialogue *d, bool exact, int32_t *ret) {
        struct sampler *sampler = d->is_heard ? d->voice : d->sampler;

        return session_next(d->session, exact ? d->exact : sampler, ret);
}

int dialogue_answer_again(struct dialogue *d, unsigned position, const int32_t *tokens, unsigned n) {
        return session_constrain_again(d->session, position, tokens, n);
}

float dialogue_log_share(const struct dialogue *d) {
        return session_log_share(d->session);
}

float dialogue_log_probability(const struct dialogue *d) {
        if (!d->session)
                return 0;
        return session_log_probability(d->session);
}

float dialogue_runner_up(const struct dialogue *d, int32_t *ret) {
        return session_runner_up(d->session, ret);
}

static void forget_oldest(struct dialogue *d) {
        prompt_done(&d->exchanges[0]);
        d->n_exchanges--;
        memmove(d->exchanges, d->exchanges + 1, d->n_exchanges * sizeof(d->exchanges[0]));
}

int dialogue_remember(struct dialogue *d, const char *heard, const char *answered) {
        struct prompt exchange = {};
        size_t total;
        int r;

        if (d->is_plain || d->config->history_positions == 0)
                return 0;

        r = prompt_add_exchange(&exchange, d->tokenizer, heard, answered);
        if (r < 0) {
                prompt_done(&exchange);
                return r;
        }

        if (d->n_exchanges == DIALOGUE_MAX_EXCHANGES)
                forget_oldest(d);
        d->exchanges[d->n_exchanges++] = exchange;

        total = 0;
        for (unsigned i = 0; i < d->n_exchanges; i++)
                total += d->exchanges[i].n_ids;
        while (total > d->config->history_positions) {
                total -= d->exchanges[0].n_ids;
                forget_oldest(d);
        }
        return 0;
}

void dialogue_forget(struct dialogue *d) {
        dialogue_restore(d);
        while (d->n_exchanges > 0)
                forget_oldest(d);
}
