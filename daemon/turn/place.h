/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_PLACE_H
#define DAEMON_TURN_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* The place that a question about the time there names, in words, as it was heard or typed: "what time is
 * it in new york now" -> "new york".  The pocket model's calls have no open words.  False: it names none, or a
 * long one. */
#define PLACE_SIZE 48
bool place_read(const char *heard, size_t size, char out[PLACE_SIZE]);

#endif
