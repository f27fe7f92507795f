/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_ANSWERS_H
#define DESKTOP_ANSWERS_H

#include <jansson.h>

#include "base/cleanup.h"
#include "desktop/notify.h"
#include "desktop/when.h"

/* Answers on the screen: a notification of low urgency, each in the place of the one before.  Owned
 * by the main thread. */
struct answers;

int answers_new(struct answers **ret, struct notify *notify, enum when when);
struct answers *answers_free(struct answers *a);
DEFINE_CLEANUP(struct answers *, answers_free)

/* An event of gemmad, as Watch tells it. */
void answers_on_event(struct answers *a, json_t *event);

#endif
