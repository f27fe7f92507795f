/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TOOLS_H
#define DAEMON_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Calls that the daemon answers by itself, in words: get_time and get_date.  Every other call is
 * for the client.  Writes a sentence to out, which now is told in local time; false when name is
 * not one of ours. */
bool tools_answer(const char *name, time_t now, char *out, size_t out_size);

#endif
