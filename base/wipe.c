/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wipe.h"

/* More than any call of ours takes, and less than half of the smallest stack of a thread here. */
#define WIPED_STACK 98304

__attribute__((noinline)) void wipe_stack(void) {
        char below[WIPED_STACK];

        explicit_bzero(below, sizeof(below));
}
