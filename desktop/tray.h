/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TRAY_H
#define DESKTOP_TRAY_H

#include <jansson.h>

#include "base/cleanup.h"
#include "desktop/buses.h"
#include "desktop/peer.h"

/* An icon in the panel, where one takes StatusNotifierItems: what gemmad does, and a menu to ask it, to
 * mute the microphone, to set the mode, and with what was said last.  Owned by the main thread. */
struct tray;

/* Both are borrowed. */
int tray_new(struct tray **ret, struct buses *buses, struct peer *peer);

/* After the peer, so that no reply comes for it. */
struct tray *tray_free(struct tray *t);
DEFINE_CLEANUP(struct tray *, tray_free)

/* What the peer tells.  NULL is taken for nobody who wants to know. */
void tray_on_event(struct tray *t, json_t *event);
void tray_on_status(struct tray *t, json_t *status);

#endif
