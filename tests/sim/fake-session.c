/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/fake-session.h"

#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/engine.h"
#include "model/gguf.h"
#include "model/grammar.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "model/session.h"
#include "model/tokenizer.h"
#include "tests/unit/gguf-builder.h"

/* Tokens are bytes; the rest is named here. */
enum {
        FAKE_BOS = 256,
        FAKE_TURN_BEGIN,
        FAKE_TURN_END,
        FAKE_AUDIO_BEGIN,
        FAKE_FRAME,
        FAKE_QUIET_FRAME, /* ... of silence */
        FAKE_AUDIO_END,
        FAKE_IMAGE_BEGIN,
        FAKE_PATCH,
        FAKE_DARK_PATCH, /* ... of which more than half is black */
        FAKE_IMAGE_END,
        FAKE_CHANNEL_BEGIN,
        FAKE_CHANNEL_END,
        FAKE_CALL_BEGIN,
        FAKE_CALL_END,
        FAKE_RESPONSE,
        FAKE_RESPONSE_END,
        FAKE_TOOL_BEGIN,
        FAKE_TOOL_END,
        FAKE_QUOTE,
        FAKE_THINK,
        FAKE_SET, /* from here on the words and calls of "commands" */
        FAKE_A,
        FAKE_TIMER,
        FAKE_FOR,
        FAKE_FIFTEEN,
        FAKE_FIFTY,
        FAKE_MINUTES,
        FAKE_CALL_15,
        FAKE_CALL_50,
        FAKE_NO,
        FAKE_BARE_FIFTY,
        FAKE_CALL_OTHER,
        FAKE_N_TOKENS,
};

#define SPACE "\xe2\x96\x81" /* as vocabularies write it */

static const char *const fake_names[] = {
        "[bos]",   "[turn]",     "[end]",       "[audio]",  "[frame]",   "[quiet]",    "[/audio]",
        "[image]", "[patch]",    "[dark]",      "[/image]", "[thought]", "[/thought]", "[call]",
        "[/call]", "[response]", "[/response]", "[tool]",   "[/tool]",   "<|\"|>",     "[think]",
        "set", SPACE "a", SPACE "timer", SPACE "for", SPACE "fifteen", SPACE "fifty", SPACE "minutes",
        "call:set_timer{amount:15}", "call:set_timer{amount:50}",
        "no", "fifty", "call:other{}",
};

static const struct special_tokens fake_special = {
        .bos = FAKE_BOS,
        .eos = -1,
        .pad = -1,
        .unk = -1,
        .turn_begin = FAKE_TURN_BEGIN,
        .turn_end = FAKE_TURN_END,
        .audio_begin = FAKE_AUDIO_BEGIN,
        .audio_frame = FAKE_FRAME,
        .audio_end = FAKE_AUDIO_END,
        .image_begin = FAKE_IMAGE_BEGIN,
        .image_end = FAKE_IMAGE_END,
        .channel_begin = FAKE_CHANNEL_BEGIN,
        .channel_end = FAKE_CHANNEL_END,
        .tool_begin = -1,
        .tool_end = -1,
        .call_begin = FAKE_CALL_BEGIN,
        .call_end = FAKE_CALL_END,
        .response_begin = FAKE_RESPONSE,
        .response_end = -1,
        .quote = FAKE_QUOTE,
        .think = FAKE_THINK,
};

struct engine {
        char path[256];
        struct special_tokens special;
        bool has_drafter;
        struct grammar *grammar; /* owned; NULL: none */
};

/* "set (a) timer for fifteen minutes", or fifty, and their calls; "no" and "fifty", which are another. */
static const uint32_t fake_first[] = { 0, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
static const int32_t fake_tokens[] = {
        FAKE_SET, FAKE_NO, FAKE_BARE_FIFTY, FAKE_A, FAKE_TIMER, FAKE_TIMER, FAKE_FOR, FAKE_FIFTEEN, FAKE_FIFTY, FAKE_MINUTES, FAKE_MINUTES,
        FAKE_CALL_BEGIN, FAKE_CALL_BEGIN, FAKE_CALL_15, FAKE_CALL_50, FAKE_CALL_END, FAKE_RESPONSE,
        FAKE_CALL_BEGIN, FAKE_CALL_OTHER,
};
static const uint32_t fake_targets[] = { 1, 13, 13, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 0, 14, 11 };

struct sampler {
        float temperature;
};

#define FAKE_MAX_SCRIPT 16384

struct session {
        struct engine *engine;
        int32_t *ids;
        unsigned n_ids, max;
        int32_t pending;
        int32_t script[FAKE_MAX_SCRIPT]; /* the answer and its stop token */
        unsigned n_script, at;
        bool tells_temperature;
        bool is_reworded; /* what is answered now begins with other words than were heard */
        int result;      /* what comes after the script instead of a stop, 0: nothing */
        unsigned n_lead; /* what is endless begins after so many tokens of the script */
        bool repeats;    /* ... and is always the same */
        bool is_gated, is_endless, is_ticking, hangs;
};

static sem_t fake_gate, fake_arrived, fake_heard, fake_ends;
static atomic_bool fake_appends_gated, fake_phrase_fails;
static atomic_uint fake_failures;
static _Atomic float fake_end;
static _Atomic(const char *) fake_words;
static _Atomic(const char *) fake_called;
static atomic_uint fake_rewound, fake_ended, fake_released, fake_sessions, fake_expected;

__attribute__((constructor)) static void fake_init(void) {
        (void) sem_init(&fake_gate, 0, 0);
        (void) sem_init(&fake_arrived, 0, 0);
        (void) sem_init(&fake_heard, 0, 0);
        (void) sem_init(&fake_ends, 0, 0);
}

static void wait_on(sem_t *s) {
        while (sem_wait(s) < 0 && errno == EINTR)
                ;
}

void fake_reset(void) {
        while (sem_trywait(&fake_gate) == 0 || sem_trywait(&fake_arrived) == 0 ||
               sem_trywait(&fake_heard) == 0 || sem_trywait(&fake_ends) == 0)
                ;
        atomic_store(&fake_appends_gated, false);
        fake_fail_phrase(false);
        atomic_store(&fake_words, NULL);
        atomic_store(&fake_called, NULL);
        atomic_store(&fake_end, 0);
        atomic_store(&fake_rewound, 0);
        atomic_store(&fake_ended, 0);
        atomic_store(&fake_released, 0);
        atomic_store(&fake_sessions, 0);
        atomic_store(&fake_expected, 0);
}

void fake_allow(unsigned n) {
        while (n-- > 0)
                (void) sem_post(&fake_gate);
}

void fake_wait_gate(void) {
        wait_on(&fake_arrived);
}

void fake_wait_frames(unsigned n) {
        while (n-- > 0)
                wait_on(&fake_heard);
}

unsigned fake_n_rewound(void) {
        return atomic_load(&fake_rewound);
}

unsigned fake_n_ended(void) {
        return atomic_load(&fake_ended);
}

unsigned fake_n_released(void) {
        return atomic_load(&fake_released);
}

unsigned fake_n_expected(void) {
        return atomic_load(&fake_expected);
}

unsigned fake_n_sessions(void) {
        return atomic_load(&fake_sessions);
}

void fake_end_with(float probability) {
        atomic_store(&fake_end, probability);
}

void fake_wait_end(void) {
        wait_on(&fake_ends);
}

void fake_call(const char *call) {
        atomic_store(&fake_called, call);
}

void fake_say(const char *words) {
        atomic_store(&fake_words, words);
}

void fake_fail_phrase(bool fails) {
        atomic_store(&fake_phrase_fails, fails);
        if (!fails)
                atomic_store(&fake_failures, 0);
}

unsigned fake_n_failed(void) {
        return atomic_load(&fake_failures);
}

void fake_gate_appends(bool gated) {
        atomic_store(&fake_appends_gated, gated);
}

static void pass_gate(void) {
        (void) sem_post(&fake_arrived);
        wait_on(&fake_gate);
}

static bool is_kind(const struct engine *e, const char *word) {
        return strstr(e->path, word) != NULL;
}

static int read_grammar(struct engine *e, struct why *why) {
        struct gguf_builder b = { 0 };
        struct gguf *g;
        size_t size;
        void *file;
        int r;

        builder_add_u32s(&b, "gemmad.grammar.first", fake_first, sizeof(fake_first) / sizeof(fake_first[0]));
        builder_add_i32s(&b, "gemmad.grammar.tokens", fake_tokens, sizeof(fake_tokens) / sizeof(fake_tokens[0]));
        builder_add_u32s(&b, "gemmad.grammar.targets", fake_targets,
                         sizeof(fake_targets) / sizeof(fake_targets[0]));
        file = builder_finish(&b, &size);
        r = gguf_open_memory(&g, file, size, "grammar", why);
        if (r >= 0) {
                r = grammar_read(&e->grammar, g, FAKE_N_TOKENS, why);
                gguf_close(g);
        }
        free(file);
        return r;
}

int engine_open(struct engine **ret, const struct engine_config *config, struct why *why) {
        struct engine *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        (void) snprintf(e->path, sizeof(e->path), "%s",
                        config->model_path ? config->model_path : "transcript");
        if (is_kind(e, "slow"))
                pass_gate();
        if (is_kind(e, "broken")) {
                free(e);
                return because(why, -EBADMSG, "no tensor 'token_embd.weight'");
        }
        e->special = fake_special;
        if (is_kind(e, "tools")) {
                e->special.response_end = FAKE_RESPONSE_END;
                e->special.tool_begin = FAKE_TOOL_BEGIN;
                e->special.tool_end = FAKE_TOOL_END;
        }
        if (is_kind(e, "commands")) {
                int r = read_grammar(e, why);

                if (r < 0) {
                        free(e);
                        return r;
                }
        }
        *ret = e;
        return 0;
}

int engine_add_drafter(struct engine *e, const char *path, struct why *why) {
        if (strstr(path, "broken"))
                return because(why, -EBADMSG, "%s: no tensor 'token_embd.weight'", path);
        e->has_drafter = true;
        return 0;
}

bool session_drafting(const struct session *s, struct session_drafting *ret) {
        *ret = (struct session_drafting){
                .n_judged = 10, .n_held = 7, .acceptance = 0.75, .gain = 1.5
        };
        return s->engine->has_drafter;
}

struct engine *engine_close(struct engine *e) {
        if (e)
                grammar_free(e->grammar);
        free(e);
        return NULL;
}

void engine_release(struct engine *e) {
        (void) e;
        atomic_fetch_add(&fake_released, 1);
}

void engine_fetch(struct engine *e) {
        (void) e;
}

const struct tokenizer *engine_tokenizer(const struct engine *e) {
        return (const struct tokenizer *) e;
}

const char *engine_name(const struct engine *e) {
        (void) e;
        return "fake";
}

bool engine_hears(const struct engine *e) {
        return !is_kind(e, "deaf");
}

bool engine_sees(const struct engine *e) {
        return is_kind(e, "sees");
}

bool engine_answers_with_transcript(const struct engine *e) {
        return is_kind(e, "transcript");
}

const struct grammar *engine_grammar(const struct engine *e) {
        return e->grammar;
}

int engine_find_damage(const struct engine *e, struct why *why) {
        (void) e;
        (void) why;
        return 0;
}

void engine_recommend(const struct engine *e, struct sampler_config *config) {
        if (is_kind(e, "recommends"))
                config->temperature = 1;
}

uint32_t engine_max_positions(const struct engine *e) {
        return is_kind(e, "small") ? 200 : 8192;
}

const char *engine_kernels(const struct engine *e) {
        (void) e;
        return "none";
}

unsigned engine_n_threads(const struct engine *e) {
        (void) e;
        return 1;
}

/* There is no pocket model beside this one. */
int tokenizer_new(struct tokenizer **ret, const struct gguf *g, struct why *why) {
        (void) ret, (void) g;
        return because(why, -EOPNOTSUPP, "no vocabulary");
}

struct tokenizer *tokenizer_free(struct tokenizer *t) {
        (void) t;
        return NULL;
}

size_t tokenizer_n_tokens(const struct tokenizer *t) {
        (void) t;
        return FAKE_N_TOKENS;
}

const struct special_tokens *tokenizer_special(const struct tokenizer *t) {
        const struct engine *e = (const struct engine *) t;

        return &e->special;
}

struct gguf_string tokenizer_piece(const struct tokenizer *t, int32_t id) {
        (void) t;
        if (id < 256 || id >= FAKE_N_TOKENS)
                return (struct gguf_string){ "", 0 };
        return (struct gguf_string){ fake_names[id - 256], strlen(fake_names[id - 256]) };
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id) {
        (void) t;
        return id >= FAKE_BOS && id < FAKE_SET;
}

size_t tokenizer_longest_piece(const struct tokenizer *t) {
        (void) t;
        return 32;
}

int text_stream_push(
        struct text_stream *s, const struct tokenizer *t, int32_t id, char *out, size_t out_size) {
        (void) s;
        if (id >= FAKE_SET) {
                struct gguf_string piece = tokenizer_piece(t, id);
                size_t n = strncmp(piece.text, SPACE, sizeof(SPACE) - 1) == 0 ? sizeof(SPACE) - 1 : 0;
                int size = snprintf(out, out_size, "%s%s", n > 0 ? " " : "", piece.text + n);

                return size < 0 || (size_t) size >= out_size ? -ENOBUFS : size;
        }
        if (id > 255)
                return 0;
        if (out_size < 2)
                return -ENOBUFS;
        out[0] = (char) id;
        out[1] = '\0';
        return 1;
}

int text_stream_finish(struct text_stream *s, char *out, size_t out_size) {
        (void) s;
        (void) out_size;
        out[0] = '\0';
        return 0;
}

int sampler_new(struct sampler **ret, const struct sampler_config *config, size_t n_vocab) {
        (void) n_vocab;
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        (*ret)->temperature = config->temperature;
        return 0;
}

struct sampler *sampler_free(struct sampler *s) {
        free(s);
        return NULL;
}

void prompt_done(struct prompt *p) {
        free(p->ids);
        *p = (struct prompt){};
}

void prompt_clear(struct prompt *p) {
        p->n_ids = 0;
}

static int add(struct prompt *p, int32_t id) {
        int32_t *ids = reallocarray(p->ids, p->n_ids + 1, sizeof(*ids));

        if (!ids)
                return -ENOMEM;
        p->ids = ids;
        p->ids[p->n_ids++] = id;
        return 0;
}

static int add_text(struct prompt *p, const char *text, size_t size) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < size; i++)
                r = add(p, (unsigned char) text[i]);
        return r;
}

static int add_turn(struct prompt *p, const char *role, const char *text) {
        int r;

        r = add(p, FAKE_TURN_BEGIN);
        if (r >= 0)
                r = add_text(p, role, strlen(role));
        if (r >= 0)
                r = add_text(p, text, strlen(text));
        return r < 0 ? r : add(p, FAKE_TURN_END);
}

int prompt_begin(struct prompt *p,
                 const struct tokenizer *t,
                 const char *system_text,
                 const struct tool *tools,
                 size_t n_tools,
                 bool thinking,
                 struct why *why) {
        int r;

        (void) t;
        (void) why;
        r = add(p, FAKE_BOS);
        if (r >= 0 && thinking)
                r = add(p, FAKE_THINK);
        if (r >= 0 && system_text)
                r = add_turn(p, "system:", system_text);
        for (size_t i = 0; r >= 0 && i < n_tools; i++) {
                r = add(p, FAKE_TOOL_BEGIN);
                if (r >= 0)
                        r = add_text(p, tools[i].name, strlen(tools[i].name));
                if (r >= 0)
                        r = add(p, FAKE_TOOL_END);
        }
        return r;
}

int prompt_add_tool_response(struct prompt *p,
                             const struct tokenizer *t,
                             const char *name,
                             const char *result_json,
                             struct why *why) {
        int r;

        (void) t;
        (void) name;
        (void) why;
        r = add(p, FAKE_RESPONSE);
        if (r >= 0)
                r = add_text(p, result_json, strlen(result_json));
        return r < 0 ? r : add(p, FAKE_RESPONSE_END);
}

int prompt_open_thought(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_CHANNEL_BEGIN);
}

int prompt_close_thought(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_CHANNEL_END);
}

int prompt_add_exchange(struct prompt *p,
                        const struct tokenizer *t,
                        const char *user_text,
                        const char *model_text) {
        int r;

        (void) t;
        r = add_turn(p, "user:", user_text);
        return r < 0 ? r : add_turn(p, "model:", model_text);
}

int prompt_open_user(struct prompt *p, const struct tokenizer *t) {
        int r;

        (void) t;
        r = add(p, FAKE_TURN_BEGIN);
        return r < 0 ? r : add_text(p, "user:", 5);
}

int prompt_add_user_text(struct prompt *p,
                         const struct tokenizer *t,
                         const char *text,
                         size_t size) {
        (void) t;
        return add_text(p, text, size);
}

int prompt_open_audio(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_AUDIO_BEGIN);
}

int prompt_close_audio(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_AUDIO_END);
}

int prompt_open_image(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_IMAGE_BEGIN);
}

int prompt_close_image(struct prompt *p, const struct tokenizer *t) {
        (void) t;
        return add(p, FAKE_IMAGE_END);
}

int prompt_close_user(struct prompt *p, const struct tokenizer *t, bool thinking) {
        int r;

        (void) t;
        (void) thinking;
        r = add(p, FAKE_TURN_END);
        if (r >= 0)
                r = add(p, FAKE_TURN_BEGIN);
        return r < 0 ? r : add_text(p, "model:", 6);
}

int session_new(struct session **ret,
                struct engine *e,
                const struct session_config *config,
                struct why *why) {
        struct session *s = calloc(1, sizeof(*s));

        (void) why;
        if (!s)
                return -ENOMEM;
        s->engine = e;
        s->max = config->max_positions;
        s->pending = -1;
        s->ids = calloc(s->max, sizeof(*s->ids));
        if (!s->ids) {
                free(s);
                return -ENOMEM;
        }
        if (!engine_answers_with_transcript(e))
                atomic_fetch_add(&fake_sessions, 1);
        *ret = s;
        return 0;
}

struct session *session_free(struct session *s) {
        if (!s)
                return NULL;
        free(s->ids);
        free(s);
        return NULL;
}

unsigned session_position(const struct session *s) {
        return s->n_ids;
}

unsigned session_max_positions(const struct session *s) {
        return s->max;
}

static void keep_pending(struct session *s) {
        if (s->pending >= 0)
                s->ids[s->n_ids++] = s->pending;
        s->pending = -1;
}

static int append(struct session *s, const int32_t *ids, size_t n) {
        if (atomic_load(&fake_appends_gated))
                pass_gate();
        if (n + (s->pending >= 0) > s->max - s->n_ids)
                return -ENOSPC;

        keep_pending(s);
        memcpy(s->ids + s->n_ids, ids, n * sizeof(*ids));
        s->n_ids += (unsigned) n;
        s->n_script = s->at = 0;
        return 0;
}

int session_save(struct session *s, unsigned n, int fd) {
        size_t size = n * sizeof(*s->ids);

        if (n > s->n_ids)
                return -ERANGE;
        return pwrite(fd, s->ids, size, 0) == (ssize_t) size ? 0 : -ENOSPC;
}

int session_load(struct session *s, int fd) {
        ssize_t size = pread(fd, s->ids, s->max * sizeof(*s->ids), 0);

        if (size < 0)
                return -EIO;
        s->n_ids = (unsigned) ((size_t) size / sizeof(*s->ids));
        return 0;
}

int session_append_tokens(struct session *s, const int32_t *ids, size_t n) {
        if (s->n_ids > 0 && (s->ids[s->n_ids - 1] == FAKE_FRAME || s->ids[s->n_ids - 1] == FAKE_QUIET_FRAME))
                atomic_fetch_add(&fake_ended, 1);
        return append(s, ids, n);
}

int session_append_frames(struct session *s, const float *samples, size_t n) {
        int32_t ids[64] = { 0 };
        int r;

        if (strcmp(s->engine->path, "transcript") == 0 && atomic_load(&fake_phrase_fails)) {
                atomic_fetch_add(&fake_failures, 1);
                return -EIO;
        }
        for (size_t i = 0; i < n; i++) {
                float peak = 0;

                for (size_t k = 0; k < SESSION_FRAME_SAMPLES; k++)
                        if (samples[i * SESSION_FRAME_SAMPLES + k] > peak)
                                peak = samples[i * SESSION_FRAME_SAMPLES + k];
                ids[i] = peak > 0.01f ? FAKE_FRAME : FAKE_QUIET_FRAME;
        }
        r = append(s, ids, n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                (void) sem_post(&fake_heard);
        return r;
}

#define FAKE_SIDE 8

int session_image_format(const struct session *s, unsigned *ret_side, unsigned *ret_most) {
        *ret_side = FAKE_SIDE;
        *ret_most = s->max < 256 ? 100 : 4;
        return engine_sees(s->engine) ? 0 : -EOPNOTSUPP;
}

int session_append_image(struct session *s,
                         const struct patches *p,
                         bool (*goes_on)(void *userdata),
                         void *userdata) {
        float values[3 * FAKE_SIDE * FAKE_SIDE];
        int32_t ids[100];
        unsigned n = patches_count(p);

        if (atomic_load(&fake_appends_gated))
                pass_gate();
        if (!goes_on(userdata))
                return -ECANCELED;
        for (unsigned i = 0; i < n; i++) {
                float sum = 0;

                patches_read(p, i, values);
                for (unsigned k = 0; k < sizeof(values) / sizeof(values[0]); k++)
                        sum += values[k];
                ids[i] =
                        sum * 2 < sizeof(values) / sizeof(values[0]) ? FAKE_DARK_PATCH : FAKE_PATCH;
        }
        return append(s, ids, n);
}

int session_rewind(struct session *s, unsigned position) {
        if (position > s->n_ids)
                return -ERANGE;
        if (position < s->n_ids)
                atomic_fetch_add(&fake_rewound, 1);
        s->n_ids = position;
        s->pending = -1;
        s->n_script = s->at = 0;
        s->is_reworded = false;
        return 0;
}

const float *session_logits(struct session *s) {
        (void) s;
        return NULL;
}

static void script_token(struct session *s, int32_t id) {
        if (s->n_script < FAKE_MAX_SCRIPT)
                s->script[s->n_script++] = id;
}

static void script_text(struct session *s, const char *text) {
        for (; *text; text++) {
                if (strncmp(text, "<|\"|>", 5) == 0) {
                        script_token(s, FAKE_QUOTE);
                        text += 4;
                } else {
                        script_token(s, (unsigned char) *text);
                }
        }
}

/* Several calls have a + between them. */
static void script_call(struct session *s, const char *call) {
        const char *end;

        for (; (end = strchr(call, '+')); call = end + 1) {
                script_token(s, FAKE_CALL_BEGIN);
                for (; call < end; call++)
                        script_token(s, (unsigned char) *call);
                script_token(s, FAKE_CALL_END);
        }
        script_token(s, FAKE_CALL_BEGIN);
        script_text(s, call);
        script_token(s, FAKE_CALL_END);
        script_token(s, FAKE_RESPONSE);
}

static void script_answer(struct session *s, const char *text) {
        script_text(s, text);
        script_token(s, FAKE_TURN_END);
}

/* Everything in the cache as the answer. */
static void script_context(struct session *s) {
        for (unsigned i = 0; i < s->n_ids; i++) {
                char byte[2] = { (char) s->ids[i], '\0' };

                script_text(s, s->ids[i] < 256 ? byte : fake_names[s->ids[i] - 256]);
        }
        script_token(s, FAKE_TURN_END);
}

/* The text and the number of frames of the last user turn. */
static unsigned last_user_turn(const struct session *s, char *text, size_t size, bool *quiet) {
        unsigned start = s->n_ids, n_frames = 0, n = 0, turns = 0;

        while (start > 0 && turns < 2)
                turns += s->ids[--start] == FAKE_TURN_BEGIN;
        *quiet = true;
        for (unsigned i = start + 6; i < s->n_ids && s->ids[i] != FAKE_TURN_END; i++) {
                if (s->ids[i] == FAKE_FRAME || s->ids[i] == FAKE_QUIET_FRAME)
                        n_frames++;
                if (s->ids[i] == FAKE_FRAME)
                        *quiet = false;
                if (s->ids[i] < 256 && n + 1 < size)
                        text[n++] = (char) s->ids[i];
        }
        text[n] = '\0';
        return n_frames;
}

static void script_command(struct session *s, const char *words) {
        bool is_bare = !strstr(words, "minutes"), is_fifty = strstr(words, "fifty");

        if (is_bare)
                script_token(s, is_fifty ? FAKE_BARE_FIFTY : FAKE_NO);
        for (int32_t id = FAKE_SET; !is_bare && id <= FAKE_MINUTES; id++)
                if (id != (is_fifty ? FAKE_FIFTEEN : FAKE_FIFTY))
                        script_token(s, id);
        script_token(s, FAKE_CALL_BEGIN);
        script_token(s, is_bare ? FAKE_CALL_OTHER : is_fifty ? FAKE_CALL_50 : FAKE_CALL_15);
        script_token(s, FAKE_CALL_END);
        script_token(s, FAKE_RESPONSE);
}

static void script_sound(struct session *s, unsigned n_frames, bool quiet, bool asked) {
        const char *words = atomic_load(&fake_words);
        const char *call = atomic_load(&fake_called);
        char answer[64];

        (void) snprintf(answer, sizeof(answer), "%s%u frames", asked ? "words of " : "", n_frames);
        if (!engine_answers_with_transcript(s->engine)) {
                s->is_endless = s->is_ticking = is_kind(s->engine, "lengthy") && !asked;
                script_answer(s, answer);
                return;
        }
        if (quiet) {
                script_token(s, FAKE_TURN_END);
                return;
        }
        if (s->engine->grammar) {
                script_command(s, words ? words : "fifteen minutes");
                return;
        }
        if (call && !*call) {
                script_answer(s, words ? words : answer);
                return;
        }
        script_text(s, words ? words : answer);
        if (!call)
                call = is_kind(s->engine, "fickle") && n_frames % 2 == 1 ? "call:get_date{}"
                                                                         : "call:get_time{}";
        script_call(s, call);
}

static bool script_simple(struct session *s, const char *text) {
        if (strncmp(text, "say ", 4) == 0) {
                script_answer(s, text + 4);
        } else if (strncmp(text, "think ", 6) == 0) {
                script_token(s, FAKE_CHANNEL_BEGIN);
                script_text(s, "secret");
                script_token(s, FAKE_CHANNEL_END);
                script_answer(s, text + 6);
        } else if (strncmp(text, "call ", 5) == 0) {
                script_call(s, text + 5);
        } else if (strncmp(text, "insist ", 7) == 0) {
                script_call(s, text + 7);
        } else if (strncmp(text, "first ", 6) == 0) {
                script_text(s, "Well.");
                script_call(s, text + 6);
        } else if (strcmp(text, "badcall") == 0) {
                script_call(s, "nonsense");
        } else if (strcmp(text, "halfcall") == 0) {
                script_token(s, FAKE_CALL_BEGIN);
                script_answer(s, "call:x{");
        } else if (strncmp(text, "opencall ", 9) == 0) {
                script_token(s, FAKE_CALL_BEGIN);
                script_answer(s, text + 9);
        } else if (strcmp(text, "context") == 0) {
                script_context(s);
        } else {
                return false;
        }
        return true;
}

/* The model has got results: their first one is the answer. */
static bool script_response(struct session *s, const char *text) {
        unsigned at = s->n_ids, n = 0, begin = 0;

        while (at > 0 && s->ids[at - 1] != FAKE_TURN_BEGIN) {
                at--;
                n += s->ids[at] == FAKE_RESPONSE;
                begin = s->ids[at] == FAKE_RESPONSE ? at : begin;
        }
        if (n == 0 || memcmp(text, "insist", 6) == 0)
                return false;

        if (s->ids[s->n_ids - 1] == FAKE_CHANNEL_BEGIN) {
                script_text(s, "secret");
                script_token(s, FAKE_CHANNEL_END);
        }
        script_text(s, n == 2 ? "two: " : "");
        for (at = begin + 1; s->ids[at] != FAKE_RESPONSE_END; at++)
                script_token(s, s->ids[at]);
        for (; at < s->n_ids; at++)
                if (s->ids[at] >= FAKE_IMAGE_BEGIN && s->ids[at] <= FAKE_IMAGE_END)
                        script_text(s, fake_names[s->ids[at] - 256]);
        script_token(s, FAKE_TURN_END);
        return true;
}

/* A thought without end, until it is ended; then the answer. */
static void script_thought(struct session *s, const char *text) {
        if (s->ids[s->n_ids - 1] == FAKE_CHANNEL_END) {
                script_answer(s, text);
                return;
        }
        script_token(s, FAKE_CHANNEL_BEGIN);
        s->is_endless = true;
        s->n_lead = 1;
}

/* Letters in no order. */
static int32_t babble(unsigned at) {
        uint32_t mixed = at * 2654435761u;

        mixed ^= mixed >> 15;
        mixed *= 2246822519u;
        return 'a' + (int32_t) ((mixed ^ mixed >> 13) % 26);
}

static void write_script(struct session *s) {
        char text[1024] = "";
        bool quiet;
        unsigned n_frames;

        s->n_script = s->at = 0;
        s->result = 0;
        s->n_lead = 0;
        s->repeats = false;
        s->tells_temperature = is_kind(s->engine, "temperature") && s->ids[s->n_ids - 1] == ':';
        s->is_gated = s->is_endless = s->is_ticking = s->hangs = false;
        n_frames = last_user_turn(s, text, sizeof(text), &quiet);
        if (script_response(s, text))
                return;
        if (n_frames > 0) {
                script_sound(s, n_frames, quiet, *text);
        } else if (script_simple(s, text)) {
                return;
        } else if (strncmp(text, "gate ", 5) == 0) {
                s->is_gated = true;
                script_answer(s, text + 5);
        } else if (strcmp(text, "full") == 0) {
                script_text(s, "abc");
                s->result = -ENOSPC;
        } else if (strcmp(text, "fail") == 0) {
                s->result = -EIO;
        } else if (strcmp(text, "endless") == 0) {
                s->is_endless = true;
        } else if (strcmp(text, "repeat") == 0) {
                s->is_endless = s->repeats = true;
        } else if (strncmp(text, "muse ", 5) == 0) {
                script_thought(s, text + 5);
        } else if (strcmp(text, "ticking") == 0) {
                s->is_endless = s->is_ticking = true;
        } else if (strcmp(text, "hang") == 0) {
                s->hangs = true;
        } else {
                script_answer(s, "yes");
        }
}

static void hang(void) {
        for (;;)
                (void) pause();
}

void session_constrain(struct session *s, bool constrained) {
        (void) s;
        (void) constrained;
}

void session_expect(struct session *s, const int32_t *tokens, unsigned n) {
        (void) s;
        (void) tokens;
        (void) atomic_fetch_add(&fake_expected, n);
}

float session_log_probability_of(struct session *s, int32_t token) {
        keep_pending(s);
        (void) sem_post(&fake_ends);
        return token == FAKE_TURN_END ? logf(atomic_load(&fake_end)) : -INFINITY;
}

float session_log_probability(const struct session *s) {
        return is_kind(s->engine, "unsure") ? -2 : 0;
}

float session_runner_up(const struct session *s, int32_t *ret) {
        if (is_kind(s->engine, "wordy") && s->pending == FAKE_A) {
                *ret = FAKE_TIMER;
                return -0.1f;
        }
        if (!is_kind(s->engine, "wordy") && s->pending == FAKE_FIFTEEN) {
                *ret = FAKE_FIFTY;
                return -0.1f;
        }
        *ret = 0;
        return -INFINITY;
}

float engine_least_log_probability(const struct engine *e) {
        (void) e;
        return -1;
}

/* Half of what could be meant is "set a timer for fifteen minutes". */
float session_log_share(const struct session *s) {
        return is_kind(s->engine, "halves") && !s->is_reworded ? -0.7f : 0;
}

/* "set", and what then comes as if it had come without the "a"; or "set a timer for fifty". */
int session_constrain_again(struct session *s, unsigned position, const int32_t *tokens, unsigned n) {
        unsigned at = 0;
        int r;

        if (position + n - 1 >= s->n_ids ||
            memcmp(s->ids + position, tokens, (n - 1) * sizeof(*tokens)) != 0)
                return -EINVAL;
        r = session_rewind(s, position + n - 1);
        if (r >= 0)
                r = session_append_tokens(s, tokens + n - 1, 1);
        if (r < 0)
                return r;
        script_command(s, "minutes fifteen");
        while (s->script[at] != (tokens[n - 1] == FAKE_FIFTY ? FAKE_FIFTEEN : tokens[n - 1]))
                at++;
        s->at = at + 1;
        s->is_reworded = true;
        return 0;
}

float engine_least_log_share(const struct engine *e) {
        return is_kind(e, "halves") ? -0.5f : -INFINITY;
}

float engine_least_short_log_share(const struct engine *e) {
        return engine_least_log_share(e);
}

float engine_least_short_log_probability(const struct engine *e) {
        return is_kind(e, "wary") ? 1 : -1;
}

int session_next(struct session *s, struct sampler *sampler, int32_t *ret) {
        if (s->at == 0)
                write_script(s);
        if (s->at == 0 && s->tells_temperature) {
                char text[32];

                (void) snprintf(text, sizeof(text), "%g", (double) sampler->temperature);
                s->n_script = 0;
                script_answer(s, text);
        }
        if (s->hangs)
                hang();
        if (s->is_gated)
                pass_gate();
        if (s->is_ticking)
                (void) usleep(1000);
        if (s->pending >= 0 && s->n_ids >= s->max)
                return -ENOSPC;
        keep_pending(s);

        if (s->is_endless && s->at >= s->n_lead) {
                *ret = s->pending = s->repeats ? 'a' : babble(s->at);
                s->at++;
                return 1;
        }
        if (s->at == s->n_script)
                return s->result;
        *ret = s->script[s->at++];
        if (*ret == FAKE_TURN_END || *ret == FAKE_RESPONSE)
                return 0;
        s->pending = *ret;
        return 1;
}
