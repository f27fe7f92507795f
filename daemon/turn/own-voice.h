/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_OWN_VOICE_H
#define DAEMON_TURN_OWN_VOICE_H

#include <stdbool.h>

/* Whether what was heard while an answer was spoken may have been that answer: at least half of its words,
 * those of the wake phrase in front left out, are in it; of the phrase alone, its name is.  Case and what
 * is no letter or digit do not count. */
bool own_voice_is(const char *heard, const char *spoken);

#endif
