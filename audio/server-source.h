/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SERVER_SOURCE_H
#define AUDIO_SERVER_SOURCE_H

#include <pulse/pulseaudio.h>

#include "audio/server.h"

/* What a sound server says of one of its sources.  False: it is what a loudspeaker plays. */
bool server_describe(struct server_source *ret,
                     const pa_source_info *info,
                     const char *default_name);

#endif
