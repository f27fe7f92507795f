/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_ANSWERS_H
#define DESKTOP_ANSWERS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "desktop/notify.h"

/* Answers on the screen: a notification of low urgency, each in the place of the one before.  Owned
 * by the main thread. */
struct answers;

/* Which answers are shown: of what was spoken, all, or none. */
enum shown { SHOWN_SPOKEN, SHOWN_ALWAYS, SHOWN_NEVER };

int answers_new(struct answers **ret, struct notify *notify, enum shown shown);
struct answers *answers_free(struct answers *a);
DEFINE_CLEANUP(struct answers *, answers_free)

/* "spoken", "always", "never"; false for anything else. */
bool shown_from_name(const char *name, enum shown *ret);

/* An event of gemmad, as Watch tells it. */
void answers_on_event(struct answers *a, json_t *event);

#endif
