/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_ANSWERS_H
#define DAEMON_TURN_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <jansson.h>

/* The sentence with which the daemon answers a call that nobody provides and that it needs nobody for: the
 * time, the date of yesterday to tomorrow, what a command lacks (ask), what is understood and can not be
 * done here (cannot).  English, as the contexts are.  False: it has none, or it does not fit.  Any thread. */
bool answers_say(const char *name, const json_t *arguments, time_t now, char *out, size_t out_size);

/* Some of what can be said, [{name, sentences}], in one sentence; as many as there is room for.  NULL is an
 * empty list. */
bool answers_help(const json_t *help, char *out, size_t out_size);

#endif
