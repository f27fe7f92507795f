/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_CONFINE_INTERNAL_H
#define REMOTE_CONFINE_INTERNAL_H

#include "remote/confine.h"

/* The two halves of confine(): seccomp, and Landlock. */
int confine_calls(struct why *why);
int confine_files(const struct settings *settings, struct why *why);

#endif
