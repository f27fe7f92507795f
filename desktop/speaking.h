/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SPEAKING_H
#define DESKTOP_SPEAKING_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* Tells gemmad that an answer is spoken, as long as it is, and is told when somebody speaks to it meanwhile.
 * Owned by the main thread. */
struct speaking;

struct speaking_config {
        sd_event *loop;
        const char *path; /* of gemmad's socket; copied */
        void (*interrupted)(void *userdata);
        void *userdata;
};

int speaking_new(struct speaking **ret, const struct speaking_config *config);
struct speaking *speaking_free(struct speaking *s);
DEFINE_CLEANUP(struct speaking *, speaking_free)

/* A gemmad that is not there is not told. */
void speaking_set(struct speaking *s, bool is_speaking);

#endif
