/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a clock on the wall that somebody sets: preloaded, it adds to what CLOCK_REALTIME says the
 * nanoseconds that stand in the file GEMMAD_CLOCK, in binary, as they are at that moment.  All other
 * clocks are left alone, as they are when a machine's clock is set. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const _Atomic int64_t *offset; /* NULL: there is no such file */
static int (*real_clock)(clockid_t id, struct timespec *ret);

/* Before main(), and so before the process shuts itself in. */
__attribute__((constructor)) static void begin(void) {
        const char *path = getenv("GEMMAD_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *memory;

        *(void **) &real_clock = dlsym(RTLD_NEXT, "clock_gettime");
        if (fd < 0)
                return;
        memory = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
        (void) close(fd);
        if (memory != MAP_FAILED)
                offset = memory;
}

int clock_gettime(clockid_t id, struct timespec *ret) {
        int64_t ns;
        int r;

        if (!real_clock)
                *(void **) &real_clock = dlsym(RTLD_NEXT, "clock_gettime");
        r = real_clock(id, ret);
        if (r < 0 || !offset || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
                return r;
        ns = (int64_t) ret->tv_sec * SECOND_NS + ret->tv_nsec + *offset;
        *ret = (struct timespec){ .tv_sec = (time_t) (ns / SECOND_NS), .tv_nsec = (long) (ns % SECOND_NS) };
        return 0;
}

time_t time(time_t *ret) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone) {
        struct timespec now;

        (void) zone;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        *ret = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
        return 0;
}
