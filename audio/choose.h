/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_CHOOSE_H
#define AUDIO_CHOOSE_H

#include <stdbool.h>

#include "audio/server.h"

/* Whether the name of a microphone stands for the system's choice. */
bool choose_is_default(const char *name);

/* Which of a sound server's microphones is meant by a name, or a part of one, as in struct
 * capture_config: the server's choice, unless that is a Bluetooth headset, and without its echo where the
 * server offers that, if it stands for that; else the whole name wins over a part of one.  -1: none. */
int choose_source(const struct server_source *sources, int n, const char *name);

#endif
