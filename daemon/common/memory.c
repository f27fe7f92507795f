/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int statm_fd = -1;

void memory_open(void) {
        if (statm_fd < 0)
                statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* proc(5): the second number of statm is the resident pages. */
uint64_t memory_resident(void) {
        unsigned long pages;
        char text[128];
        ssize_t n;

        n = statm_fd < 0 ? -1 : pread(statm_fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        if (sscanf(text, "%*u %lu", &pages) != 1)
                return 0;
        return (uint64_t) pages * (uint64_t) sysconf(_SC_PAGESIZE);
}
