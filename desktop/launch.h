/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_LAUNCH_H
#define DESKTOP_LAUNCH_H

#include "desktop/call.h"

struct desktop;

/* The tools open_program and open: programs are started by the service manager of the session, each
 * in a unit of its own, so that they end neither with this program nor with its memory. */
void launch_program(struct desktop *d, struct call *call);
void launch_target(struct desktop *d, struct call *call);

/* A file of a type (NULL: by its name) with the program for it; title (may be NULL) is what people are told is
 * opened. */
void launch_file(struct desktop *d, struct call *call, const char *path, const char *type, const char *title);

#endif
