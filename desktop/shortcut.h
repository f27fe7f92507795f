/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SHORTCUT_H
#define DESKTOP_SHORTCUT_H

#include "base/cleanup.h"
#include "desktop/buses.h"
#include "desktop/peer.h"

/* A key to hold while speaking, by the GlobalShortcuts portal, which asks the user for it once.  Owned by
 * the main thread. */
struct shortcut;

/* The first two are borrowed; trigger is the key that is proposed, as "CTRL+ALT+space", and copied. */
int shortcut_new(struct shortcut **ret, struct buses *buses, struct peer *peer, const char *trigger);

/* After the peer, so that no reply comes for it. */
struct shortcut *shortcut_free(struct shortcut *s);
DEFINE_CLEANUP(struct shortcut *, shortcut_free)

#endif
