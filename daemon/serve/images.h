/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_IMAGES_H
#define DAEMON_SERVE_IMAGES_H

#include <stdbool.h>

#include <jansson.h>

#include "daemon/common/pictures.h"
#include "ipc/server.h"

/* The pictures among the parameters of a call: an array, or a single one.  False when the call has been answered
 * with an error instead; then there are none.  Nothing given: true, and none. */
bool images_take(struct call *call, const json_t *list, struct pictures *ret);
bool images_take_one(struct call *call, const json_t *image, struct pictures *ret);

#endif
