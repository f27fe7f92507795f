/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

#include <stdint.h>

/* From here on the process has no capability, not even that of a namespace of its own, and can gain none
 * where somebody was allowed to bound them: who runs it as root has no more rights than the files give.
 * For a process of one thread, or before the others do anything. */
void privileges_drop(void);

/* A limit of the process (RLIMIT_...), for good. */
void privileges_limit(int what, uint64_t value);

#endif
