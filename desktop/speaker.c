/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/speaker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desktop/sentences.h"
#include "desktop/speaking.h"
#include "desktop/voice.h"

/* Of longer answers it is not told how far they came. */
#define MAX_SENTENCES 64

/* A voice of which no end is told has come to it after this long, and so long for each character. */
#define LAST_USEC      UINT64_C(5000000)
#define CHARACTER_USEC UINT64_C(150000)

struct speaker {
        struct speaker_config config;
        struct voice *voice;       /* owned; NULL: never speaks */
        struct speaking *speaking; /* owned; the same */
        sd_event_source *limit;    /* owned; the same */
        struct sentences sentences;
        json_int_t turn;        /* whose answer comes; 0: none */
        json_int_t voiced_turn; /* ... is spoken, */
        bool is_heard;          /* ... which was spoken itself */
        bool is_speaking;
        struct voice_state state;
        char *said[MAX_SENTENCES]; /* owned, [n_said]; of the answer that is spoken */
        unsigned n_said;
        size_t n_characters; /* of what is not spoken yet, or a little more */
};

static void forget_said(struct speaker *s) {
        while (s->n_said > 0)
                free(s->said[--s->n_said]);
        s->n_characters = 0;
        s->state = (struct voice_state){};
}

static void set_speaking(struct speaker *s, bool is_speaking) {
        (void) sd_event_source_set_enabled(s->limit, SD_EVENT_OFF);
        if (is_speaking) {
                (void) sd_event_source_set_time_relative(
                        s->limit, LAST_USEC + s->n_characters * CHARACTER_USEC);
                (void) sd_event_source_set_enabled(s->limit, SD_EVENT_ONESHOT);
        }
        if (is_speaking == s->is_speaking)
                return;
        s->is_speaking = is_speaking;
        speaking_set(s->speaking, is_speaking);
        s->config.changed(is_speaking, s->config.userdata);
}

static void on_voice(const struct voice_state *state, void *userdata) {
        struct speaker *s = userdata;

        /* What is told late is of a voice that was silenced. */
        if (state->n_said < s->state.n_said)
                return;
        s->state = *state;
        if (s->is_speaking && state->n_ended >= state->n_said)
                set_speaking(s, false);
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        set_speaking(userdata, false);
        return 0;
}

static void on_told(const struct varlink_reply *reply, void *userdata) {
        (void) reply, (void) userdata;
}

/* The sentence that was interrupted is told whole. */
static void tell_spoken(struct speaker *s) {
        size_t size = 1;
        unsigned n = s->state.n_begun < s->n_said ? s->state.n_begun : s->n_said;
        char *text, *end;

        for (unsigned i = 0; i < n; i++)
                size += strlen(s->said[i]) + 1;
        text = end = malloc(size);
        if (!text)
                return;
        for (unsigned i = 0; i < n; i++) {
                if (i > 0)
                        *end++ = ' ';
                end = stpcpy(end, s->said[i]);
        }
        *end = '\0';
        (void) peer_call(s->config.peer, "Spoken",
                         json_pack("{s:I, s:s}", "turn", s->voiced_turn, "text", text), on_told, s);
        free(text);
}

void speaker_stop(struct speaker *s) {
        s->turn = 0;
        sentences_reset(&s->sentences);
        if (!s->voice)
                return;
        if (s->is_speaking && s->is_heard && s->n_said < MAX_SENTENCES)
                tell_spoken(s);
        forget_said(s);
        voice_stop(s->voice);
        set_speaking(s, false);
}

static void on_interrupted(void *userdata) {
        speaker_stop(userdata);
}

static int open_voice(struct speaker *s) {
        const struct speaking_config config = {
                .loop = s->config.loop,
                .path = s->config.path,
                .interrupted = on_interrupted,
                .userdata = s,
        };
        int r;

        r = speaking_new(&s->speaking, &config);
        if (r >= 0)
                r = sd_event_add_time_relative(s->config.loop, &s->limit, CLOCK_MONOTONIC, 0, 0,
                                               on_limit, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->limit, SD_EVENT_OFF);
        return r < 0 ? r : voice_new(&s->voice, s->config.loop, on_voice, s);
}

int speaker_new(struct speaker **ret, const struct speaker_config *config) {
        _cleanup_(speaker_freep) struct speaker *s = calloc(1, sizeof(*s));
        int r = 0;

        if (!s)
                return -ENOMEM;
        s->config = *config;
        if (config->when != WHEN_NEVER)
                r = open_voice(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct speaker *speaker_free(struct speaker *s) {
        if (!s)
                return NULL;

        (void) voice_free(s->voice);
        (void) speaking_free(s->speaking);
        (void) sd_event_source_disable_unref(s->limit);
        forget_said(s);
        free(s);
        return NULL;
}

static void on_sentence(const char *sentence, void *userdata) {
        struct speaker *s = userdata;

        if (s->n_said < MAX_SENTENCES && (s->said[s->n_said] = strdup(sentence)))
                s->n_said++;
        s->n_characters += strlen(sentence);
        s->voiced_turn = s->turn;
        /* Before anything of it can be heard. */
        set_speaking(s, true);
        voice_say(s->voice, sentence);
}

/* Whoever asks something does not listen to the answer before any longer. */
static void on_started(struct speaker *s, json_int_t turn, const char *source) {
        speaker_stop(s);
        if (source && when_is_wanted(s->config.when, source)) {
                s->turn = turn;
                s->is_heard = strcmp(source, "microphone") == 0;
        }
}

static void on_done(struct speaker *s, json_t *turn) {
        const char *outcome = json_string_value(json_object_get(turn, "outcome"));

        if (outcome && strcmp(outcome, "cancelled") == 0) {
                speaker_stop(s);
                return;
        }
        sentences_end(&s->sentences, on_sentence, s);
        s->turn = 0;
}

void speaker_on_event(struct speaker *s, json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        const char *text = json_string_value(json_object_get(event, "text"));
        json_int_t turn = json_integer_value(json_object_get(event, "id"));

        if (!s->voice || !kind)
                return;
        if (strcmp(kind, "started") == 0)
                on_started(s, turn, json_string_value(json_object_get(event, "source")));
        else if (s->turn == 0 || turn != s->turn)
                return;
        else if (strcmp(kind, "token") == 0 && text)
                sentences_push(&s->sentences, text, on_sentence, s);
        else if (strcmp(kind, "done") == 0)
                on_done(s, json_object_get(event, "turn"));
}
