/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_EXPECTED_H
#define DAEMON_COMMON_EXPECTED_H

#include <stdbool.h>
#include <stddef.h>

/* Names of calls that count when they are spoken without the wake phrase, because something has asked
 * for them: an alarm that rings, a question.  A value; all zero, nothing is expected.  Any thread. */
#define EXPECTED_SIZE 256

struct expected {
        char names[EXPECTED_SIZE]; /* each with a space behind it */
};

/* -EINVAL: that is no name of a call; -ENOSPC: there is no room for it.  Twice is well. */
int expected_add(struct expected *e, const char *name);
int expected_add_all(struct expected *e, const struct expected *more);

bool expected_is_empty(const struct expected *e);
bool expected_has(const struct expected *e, const char *name);

/* Whether a call in the model's notation, "call:NAME{...}", is expected. */
bool expected_has_call(const struct expected *e, const char *call, size_t size);

#endif
