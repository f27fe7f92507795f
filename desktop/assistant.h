/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_ASSISTANT_H
#define DESKTOP_ASSISTANT_H

#include <jansson.h>

#include "base/cleanup.h"
#include "desktop/buses.h"
#include "desktop/peer.h"

/* io.gemmad.Assistant1 on the session bus; see gemmad-dbus(7).  Says there what gemmad does, and hands
 * to it what is asked for there.  Owned by the main thread.  A bus that does not read loses signals. */
struct assistant;

/* Both are borrowed. */
int assistant_new(struct assistant **ret, struct buses *buses, struct peer *peer);

/* After the peer, so that no reply comes for it. */
struct assistant *assistant_free(struct assistant *a);
DEFINE_CLEANUP(struct assistant *, assistant_free)

/* What the peer tells.  NULL is taken for nobody who wants to know. */
void assistant_on_event(struct assistant *a, json_t *event);
void assistant_on_status(struct assistant *a, json_t *status);

#endif
