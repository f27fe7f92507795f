/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_MEDIA_H
#define DESKTOP_MEDIA_H

#include "desktop/buses.h"
#include "desktop/call.h"

struct desktop;

/* Players of music and films, by MPRIS on the session bus: the one that plays is meant, or the one
 * that played last, of which this keeps track.  Owned by the main thread. */
struct media;

int media_new(struct media **ret, struct buses *buses);
struct media *media_free(struct media *m);
DEFINE_CLEANUP(struct media *, media_free)

/* The tools media, get_playing and seek. */
void media_control(struct desktop *d, struct call *call);
void media_get_playing(struct desktop *d, struct call *call);
void media_seek(struct desktop *d, struct call *call);

#endif
