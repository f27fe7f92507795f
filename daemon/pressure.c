/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some task waits for memory for 150 ms of 2 s.  Windows of whole 2 s need no privilege. */
#define PRESSURE_TRIGGER "some 150000 2000000"
#define PRESSURE_SIZE    256

struct pressure {
        sd_event_source *source; /* owned */
        int fd;                  /* owned */
        void (*short_of_memory)(void *userdata);
        void *userdata;
};

const char *pressure_path(void) {
        const char *path = getenv("MEMORY_PRESSURE_WATCH");

        if (!path || !*path)
                return "/proc/pressure/memory";
        return strcmp(path, "/dev/null") == 0 ? NULL : path;
}

/* -1: none of the sixty-four. */
static int digit_of(char c) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;

        return at ? (int) (at - digits) : -1;
}

/* Base64.  The bytes that there are, or -EINVAL. */
static ssize_t decode(const char *text, char out[static PRESSURE_SIZE]) {
        unsigned bits = 0, n_bits = 0;
        size_t n = 0;

        for (; *text && *text != '='; text++) {
                int digit = digit_of(*text);

                if (digit < 0 || n == PRESSURE_SIZE)
                        return -EINVAL;
                bits = (bits << 6 | (unsigned) digit) & 0xffffu;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                out[n++] = (char) (bits >> n_bits);
        }
        return (ssize_t) n;
}

/* What says from when on we want to know: that of the environment, and our own for the kernel's file. */
static int write_trigger(int fd, bool is_regular) {
        const char *given = getenv("MEMORY_PRESSURE_WRITE");
        char trigger[PRESSURE_SIZE] = PRESSURE_TRIGGER;
        ssize_t size = is_regular ? (ssize_t) sizeof(PRESSURE_TRIGGER) : 0;

        if (given && *given && getenv("MEMORY_PRESSURE_WATCH"))
                size = decode(given, trigger);
        if (size <= 0)
                return (int) size;
        return write(fd, trigger, (size_t) size) == size ? 0 : -errno;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct pressure *p = userdata;
        char ignored[PRESSURE_SIZE];

        if (revents & EPOLLIN)
                (void) !read(fd, ignored, sizeof(ignored));
        if (revents & (EPOLLPRI | EPOLLIN))
                p->short_of_memory(p->userdata);
        else
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

static int watch(struct pressure *p, sd_event *loop, const char *path) {
        struct stat st;
        int r;

        p->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (p->fd < 0 || fstat(p->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
                return -EINVAL;
        r = write_trigger(p->fd, S_ISREG(st.st_mode));
        if (r < 0)
                return r;
        return sd_event_add_io(loop, &p->source, p->fd, S_ISREG(st.st_mode) ? EPOLLPRI : EPOLLIN,
                               on_pressure, p);
}

int pressure_open(struct pressure **ret,
                  sd_event *loop,
                  void (*short_of_memory)(void *userdata),
                  void *userdata,
                  struct why *why) {
        _cleanup_(pressure_closep) struct pressure *p = NULL;
        const char *path = pressure_path();
        int r;

        if (!path)
                return because(why, -ENOENT, "MEMORY_PRESSURE_WATCH says so");
        p = calloc(1, sizeof(*p));
        if (!p)
                return because(why, -ENOMEM, "out of memory");
        p->fd = -1;
        p->short_of_memory = short_of_memory;
        p->userdata = userdata;
        r = watch(p, loop, path);
        if (r < 0)
                return because(why, r, "%s: %s", path, strerror(-r));

        *ret = TAKE_PTR(p);
        return 0;
}

struct pressure *pressure_close(struct pressure *p) {
        if (!p)
                return NULL;

        sd_event_source_disable_unref(p->source);
        closep(&p->fd);
        free(p);
        return NULL;
}
