/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/record.h"

#include <errno.h>
#include <string.h>

static const char *const origins[] = {
        [ORIGIN_TEXT] = "text",
        [ORIGIN_AUDIO] = "audio",
        [ORIGIN_MICROPHONE] = "microphone",
};

static const char *const outcomes[] = {
        [OUTCOME_ANSWERED] = "answered",
        [OUTCOME_CANCELLED] = "cancelled",
        [OUTCOME_FAILED] = "failed",
};

static int index_of(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
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

struct timings timings_none(void) {
        return (struct timings){
                .first_frame = TIME_NEVER,
                .end_of_speech = TIME_NEVER,
                .prefilled = TIME_NEVER,
                .first_token = TIME_NEVER,
        };
}
