/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_LOOK_H
#define DESKTOP_LOOK_H

#include <systemd/sd-event.h>

#include "picture/picture.h"

/* Decodes the picture in a file without holding up the loop: a thread waits for the decoder.  done() is called once, in
 * a later round of the loop, with the picture, which is the caller's only for the call, or with NULL and why.  0, or
 * -errno and it is not called. */
typedef void look_done(const struct picture *picture, const char *reason, void *userdata);

int look_at(sd_event *loop, const char *path, look_done *done, void *userdata);

#endif
