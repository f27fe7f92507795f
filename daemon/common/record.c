/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

static const char *const origins[] = {
        [ORIGIN_TEXT] = "text",
        [ORIGIN_AUDIO] = "audio",
        [ORIGIN_MICROPHONE] = "microphone",
};

static const char *const outcomes[] = {
        [OUTCOME_ANSWERED] = "answered",
        [OUTCOME_CUT] = "cut",
        [OUTCOME_REPEATED] = "repeated",
        [OUTCOME_CANCELLED] = "cancelled",
        [OUTCOME_FAILED] = "failed",
};

static const char *const unanswereds[] = {
        [UNANSWERED_NOBODY_SPOKE] = "nobody_spoke",
        [UNANSWERED_TOO_QUIET] = "too_quiet",
        [UNANSWERED_NOT_A_COMMAND] = "not_a_command",
        [UNANSWERED_NOT_UNDERSTOOD] = "not_understood",
        [UNANSWERED_UNSURE] = "unsure",
};

static const char *const endings[] = {
        [ENDING_SILENCE] = "silence",
        [ENDING_WHOLE] = "whole",
        [ENDING_OPEN] = "open",
        [ENDING_UNFINISHED] = "unfinished",
};

static int index_of(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (names[i] && strcmp(names[i], name) == 0)
                        return (int) i;
        return -EINVAL;
}

const char *origin_name(enum origin origin) {
        return origins[origin];
}

const char *outcome_name(enum outcome outcome) {
        return outcomes[outcome];
}

int origin_from_name(const char *name, enum origin *ret) {
        int r;

        r = index_of(origins, sizeof(origins) / sizeof(origins[0]), name);
        if (r < 0)
                return r;

        *ret = (enum origin) r;
        return 0;
}

int outcome_from_name(const char *name, enum outcome *ret) {
        int r;

        r = index_of(outcomes, sizeof(outcomes) / sizeof(outcomes[0]), name);
        if (r < 0)
                return r;

        *ret = (enum outcome) r;
        return 0;
}

const char *unanswered_name(enum unanswered unanswered) {
        return unanswereds[unanswered];
}

const char *ending_name(enum ending ending) {
        return endings[ending];
}

int unanswered_from_name(const char *name, enum unanswered *ret) {
        int r;

        r = index_of(unanswereds, sizeof(unanswereds) / sizeof(unanswereds[0]), name);
        if (r < 0)
                return r;

        *ret = (enum unanswered) r;
        return 0;
}

int ending_from_name(const char *name, enum ending *ret) {
        int r;

        r = index_of(endings, sizeof(endings) / sizeof(endings[0]), name);
        if (r < 0)
                return r;

        *ret = (enum ending) r;
        return 0;
}

struct remote_record remote_none(void) {
        return (struct remote_record){ .asked = TIME_NEVER, .first = TIME_NEVER };
}

struct timings timings_none(void) {
        return (struct timings){
                .first_frame = TIME_NEVER,
                .end_of_speech = TIME_NEVER,
                .prefilled = TIME_NEVER,
                .first_token = TIME_NEVER,
        };
}

static size_t size_of(const char *text) {
        return text ? strlen(text) + 1 : 0;
}

/* Copies size bytes to where *end stands, and moves that on.  NULL stays NULL. */
static const char *put(char **end, const char *bytes, size_t size) {
        char *at = *end;

        if (!bytes)
                return NULL;
        memcpy(at, bytes, size);
        *end += size;
        return at;
}

struct record *record_copy(const struct record *turn, size_t *ret_size) {
        size_t size = turn->heard_size + turn->answered_size + size_of(turn->calls_json) +
                      size_of(turn->error) + size_of(turn->hint);
        struct record *copy = malloc(sizeof(*copy) + size);
        char *end;

        if (!copy)
                return NULL;
        *copy = *turn;
        end = (char *) (copy + 1);
        copy->heard = put(&end, turn->heard, turn->heard_size);
        copy->answered = put(&end, turn->answered, turn->answered_size);
        copy->calls_json = put(&end, turn->calls_json, size_of(turn->calls_json));
        copy->error = put(&end, turn->error, size_of(turn->error));
        copy->hint = put(&end, turn->hint, size_of(turn->hint));
        copy->model = NULL;
        *ret_size = size;
        return copy;
}

struct record *record_free(struct record *copy, size_t size) {
        if (copy)
                wipe(copy + 1, size);
        free(copy);
        return NULL;
}
