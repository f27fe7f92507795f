/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_MEMORY_H
#define DAEMON_COMMON_MEMORY_H

#include <stdint.h>

/* Opens what the memory is read from, while files can be opened.  Once, before there are threads. */
void memory_open(void);

/* How many bytes of memory the process takes now, mapped files included (RSS); 0: not to be known.
 * Any thread. */
uint64_t memory_resident(void);

#endif
