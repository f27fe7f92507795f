/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_CONFIRM_H
#define DESKTOP_CONFIRM_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "desktop/call.h"
#include "desktop/notify.h"

struct desktop;

/* What is to be done only after a person has said yes, or has chosen it in a notification: one
 * thing at a time, for some seconds.  Owned by the main thread. */
struct confirm;

/* Carries out a call that has been confirmed. */
typedef void confirm_run(struct desktop *d, struct call *call);

int confirm_new(struct confirm **ret, struct desktop *d);
struct confirm *confirm_free(struct confirm *c);
DEFINE_CLEANUP(struct confirm *, confirm_free)

/* Answers the call with the question ("Suspend?"), and keeps it. */
void confirm_ask(struct confirm *c, struct call *call, const char *question, confirm_run *run);

bool confirm_is_asking(const struct confirm *c);

/* Forgets the question.  False: there was none. */
bool confirm_drop(struct confirm *c);

/* The tools yes and no. */
void confirm_yes(struct desktop *d, struct call *call);
void confirm_no(struct desktop *d, struct call *call);

#endif
