/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TALK_H
#define DESKTOP_TALK_H

#include <jansson.h>

#include "desktop/call.h"

struct desktop;

/* The tools that need nothing but words. */
void talk_time(struct desktop *d, struct call *call);
void talk_date(struct desktop *d, struct call *call);
void talk_help(struct desktop *d, struct call *call);
void talk_repeat(struct desktop *d, struct call *call);
void talk_stop(struct desktop *d, struct call *call);
void talk_ask(struct desktop *d, struct call *call);
void talk_cannot(struct desktop *d, struct call *call);

/* Keeps what was answered last, to be repeated; event as Watch tells it. */
void talk_heard_event(struct desktop *d, json_t *event);

#endif
