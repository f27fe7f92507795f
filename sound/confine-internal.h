/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_CONFINE_INTERNAL_H
#define SOUND_CONFINE_INTERNAL_H

#include "base/why.h"

/* sound/confine-calls.c: which system calls there are from here on. */
enum confine_calls {
        CALLS_STARTER, /* for a microphone, and to copy oneself */
        CALLS_DEVICE,
        CALLS_FILE,
};
int confine_calls(enum confine_calls which, struct why *why);

/* sound/confine-files.c: which files, network and other processes are within reach. */
int confine_files(struct why *why);
int confine_all_files(struct why *why);

#endif
