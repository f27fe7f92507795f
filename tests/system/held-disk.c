/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a disk that does not answer: preloaded, it has whoever writes to a place in a file wait as long as the first byte of
 * the file GEMMAD_DISK is not 0. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const _Atomic char *is_held; /* NULL: there is no such file */

/* Before main(), and so before the process shuts itself in. */
__attribute__((constructor)) static void begin(void) {
        const char *path = getenv("GEMMAD_DISK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *memory;

        if (fd < 0)
                return;
        memory = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
        (void) close(fd);
        if (memory != MAP_FAILED)
                is_held = memory;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
        ssize_t (*real)(int fd, const void *from, size_t size, off64_t at);

        *(void **) &real = dlsym(RTLD_NEXT, "pwrite64");
        while (is_held && *is_held)
                (void) poll(NULL, 0, 10);
        return real(fd, from, size, at);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
        return pwrite64(fd, from, size, at);
}
