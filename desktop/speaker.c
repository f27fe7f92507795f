/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/speaker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desktop/sentences.h"
#include "desktop/voice.h"

struct speaker {
        enum when when;
        struct voice *voice; /* owned; NULL: never speaks */
        struct sentences sentences;
        json_int_t turn; /* whose answer is spoken; 0: none */
};

int speaker_new(struct speaker **ret, sd_event *loop, enum when when) {
        _cleanup_(speaker_freep) struct speaker *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->when = when;
        if (when != WHEN_NEVER) {
                r = voice_new(&s->voice, loop);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

struct speaker *speaker_free(struct speaker *s) {
        if (!s)
                return NULL;

        (void) voice_free(s->voice);
        free(s);
        return NULL;
}

static void on_sentence(const char *sentence, void *userdata) {
        struct speaker *s = userdata;

        voice_say(s->voice, sentence);
}

void speaker_stop(struct speaker *s) {
        s->turn = 0;
        sentences_reset(&s->sentences);
        if (s->voice)
                voice_stop(s->voice);
}

/* Whoever asks something does not listen to the answer before any longer. */
static void on_started(struct speaker *s, json_int_t turn, const char *source) {
        speaker_stop(s);
        if (source && when_is_wanted(s->when, source))
                s->turn = turn;
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
