/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/gate.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "daemon/common/answer.h"
#include "model/engine.h"
#include "model/prompt.h"
#include "model/session.h"

/* The prompt around the frames and the longest answer fit easily. */
#define GATE_MAX_TOKENS 96
#define GATE_MAX_TEXT   4096
#define GATE_POSITIONS  (GATE_MAX_FRAMES + GATE_MAX_TOKENS + 64)

/* The pocket model knows commands.  Behind the phrase there may come a question of any kind, of which
 * it makes nothing once it has heard it all.  So it is asked as soon as the phrase can be over, and
 * again until it must be; what it is sure of then counts. */
#define GATE_FIRST_LOOK 20 /* frames */
#define GATE_LAST_LOOK  36
#define GATE_LOOK_EVERY 4
#define GATE_SURE       (-0.5f) /* natural logarithm of a probability */

/* "stop" is shorter, and who says it does not want to wait until it is known that nothing follows. */
#define STOP            "stop"
#define GATE_FIRST_STOP 10

struct gate {
        struct engine *engine;   /* owned; the pocket model */
        struct session *session; /* owned */
        struct sampler *sampler; /* owned */
        struct prompt opening;   /* up to the first frame */
        struct prompt closing;   /* from the last frame to the answer */
        struct answer answer;
        struct text heard;
        size_t n_frames, next_look;
        bool hears_stop;              /* "stop" counts as well */
        bool has_phrase, has_stop;    /* a look has found it */
        float phrase_log_probability; /* of the first words that were heard */
};

static const struct tokenizer *tokenizer(const struct gate *g) {
        return engine_tokenizer(g->engine);
}

static int write_prompts(struct gate *g, struct why *why) {
        int r;

        r = prompt_begin(&g->opening, tokenizer(g), NULL, NULL, 0, false, why);
        if (r >= 0)
                r = prompt_open_user(&g->opening, tokenizer(g));
        if (r >= 0)
                r = prompt_open_audio(&g->opening, tokenizer(g));
        if (r >= 0)
                r = prompt_close_audio(&g->closing, tokenizer(g));
        if (r >= 0)
                r = prompt_close_user(&g->closing, tokenizer(g), false);
        return r;
}

int gate_open(struct gate **ret, struct why *why) {
        /* Small enough for one thread: the others are the large model's. */
        const struct engine_config engine = { .n_threads = 1 };
        const struct session_config session = { .max_positions = GATE_POSITIONS,
                                                .rewind_slack = GATE_POSITIONS };
        const struct sampler_config greedy = { .top_p = 1 };
        _cleanup_(gate_closep) struct gate *g = NULL;
        int r;

        g = calloc(1, sizeof(*g));
        if (!g)
                return because(why, -ENOMEM, "out of memory");
        r = engine_open(&g->engine, &engine, why);
        if (r < 0)
                return r;
        if (!engine_hears(g->engine) || !engine_answers_with_transcript(g->engine))
                return because(why, -EOPNOTSUPP, "the pocket model can not hear the wake phrase");
        r = session_new(&g->session, g->engine, &session, why);
        if (r < 0)
                return r;
        r = sampler_new(&g->sampler, &greedy, tokenizer_n_tokens(tokenizer(g)));
        if (r >= 0)
                r = answer_init(&g->answer, tokenizer(g));
        if (r >= 0)
                r = write_prompts(g, why);
        if (r < 0)
                return because(why, r, "preparing to hear the wake phrase: %s", strerror(-r));

        *ret = TAKE_PTR(g);
        return 0;
}

struct gate *gate_close(struct gate *g) {
        if (!g)
                return NULL;

        text_done(&g->heard);
        answer_done(&g->answer);
        prompt_done(&g->opening);
        prompt_done(&g->closing);
        if (g->sampler)
                sampler_free(g->sampler);
        if (g->session)
                session_free(g->session);
        if (g->engine)
                engine_close(g->engine);
        free(g);
        return NULL;
}

enum gate_verdict gate_judge(const char *text, size_t size) {
        const size_t phrase = sizeof(GATE_PHRASE) - 1;

        while (size > 0 && isspace((unsigned char) text[size - 1]))
                size--;
        if (size < phrase || strncasecmp(text, GATE_PHRASE, phrase) != 0)
                return GATE_NO;
        if (size == phrase)
                return GATE_PHRASE_ALONE;
        return isalnum((unsigned char) text[phrase]) ? GATE_NO : GATE_PHRASE_FIRST;
}

/* One token of what was heard.  1: go on, 0: the words are over. */
static int hear_once(struct gate *g, bool with_call) {
        int32_t token;
        int r;

        r = session_next(g->session, g->sampler, &token);
        if (r <= 0)
                return r;
        r = answer_push(&g->answer, token);
        if (r < 0)
                return r;
        if (r == ANSWER_CALL || (g->answer.where == ANSWER_IN_CALL && !with_call))
                return 0;
        if (r == ANSWER_TEXT)
                r = text_append(&g->heard, g->answer.piece, g->answer.piece_size, GATE_MAX_TEXT);
        if (r < 0)
                return r;
        if (g->heard.size <= sizeof(GATE_PHRASE) - 1)
                g->phrase_log_probability = session_log_probability(g->session);
        return 1;
}

/* What was heard up to now, into heard, or with its call; the session is as it was afterwards. */
static int look(struct gate *g, bool with_call) {
        unsigned position = session_position(g->session);
        int r;

        r = session_append_tokens(g->session, g->closing.ids, g->closing.n_ids);
        if (r < 0)
                return r;
        session_constrain(g->session, true);
        answer_begin(&g->answer, false);
        text_clear(&g->heard);
        g->phrase_log_probability = 0;
        r = 1;
        for (unsigned n = 0; r > 0 && n < GATE_MAX_TOKENS; n++)
                r = hear_once(g, with_call);
        if (r < 0)
                return r;
        return session_rewind(g->session, position);
}

int gate_begin(struct gate *g, bool hears_stop) {
        int r;

        g->n_frames = 0;
        g->hears_stop = hears_stop;
        g->next_look = hears_stop ? GATE_FIRST_STOP : GATE_FIRST_LOOK;
        g->has_phrase = g->has_stop = false;
        r = session_rewind(g->session, 0);
        if (r < 0)
                return r;
        return session_append_tokens(g->session, g->opening.ids, g->opening.n_ids);
}

/* The words are over behind it, as far as the last look has heard. */
static bool is_stop(const struct gate *g) {
        size_t size = g->heard.size;

        while (size > 0 && isspace((unsigned char) text_data(&g->heard)[size - 1]))
                size--;
        return size == sizeof(STOP) - 1 &&
               strncasecmp(text_data(&g->heard), STOP, sizeof(STOP) - 1) == 0 &&
               session_log_probability(g->session) >= GATE_SURE;
}

static int append_and_look(struct gate *g, const float *samples, size_t n) {
        int r;

        r = session_append_frames(g->session, samples, n);
        if (r < 0)
                return r;
        g->n_frames += n;
        if (g->has_phrase || g->has_stop || g->n_frames != g->next_look ||
            g->n_frames > GATE_LAST_LOOK)
                return 0;

        g->next_look += GATE_LOOK_EVERY;
        r = look(g, false);
        if (r < 0)
                return r;
        g->has_phrase = gate_judge(text_data(&g->heard), g->heard.size) != GATE_NO &&
                        g->phrase_log_probability >= GATE_SURE;
        g->has_stop = g->hears_stop && is_stop(g);
        return 0;
}

int gate_append(struct gate *g, const float *samples, size_t n) {
        int r;

        while (n > 0 && g->n_frames < GATE_MAX_FRAMES) {
                size_t limit = g->n_frames < g->next_look ? g->next_look : GATE_MAX_FRAMES;
                size_t part = limit - g->n_frames < n ? limit - g->n_frames : n;

                r = append_and_look(g, samples, part);
                if (r < 0)
                        return r;
                samples += part * SESSION_FRAME_SAMPLES;
                n -= part;
        }
        return 0;
}

bool gate_has_phrase(const struct gate *g) {
        return g->has_phrase;
}

bool gate_has_stop(const struct gate *g) {
        return g->has_stop;
}

int gate_decide(struct gate *g) {
        enum gate_verdict verdict = GATE_NO;
        int r;

        r = look(g, false);
        if (r < 0)
                return r;
        if (session_log_probability(g->session) >= engine_least_log_probability(g->engine))
                verdict = gate_judge(text_data(&g->heard), g->heard.size);
        return verdict == GATE_NO && g->has_phrase ? GATE_PHRASE_FIRST : verdict;
}

int gate_take_for(struct gate *g, const struct text **ret_heard, const struct text **ret_call) {
        int r;

        text_clear(&g->answer.call);
        r = look(g, true);
        if (r < 0)
                return r;
        if (g->answer.call.size == 0 || session_log_probability(g->session) <
                                                engine_least_log_probability(g->engine))
                return 0;
        *ret_heard = &g->heard;
        *ret_call = &g->answer.call;
        return 1;
}
