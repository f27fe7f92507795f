/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/wake.h"

#define SPOOL_CHUNK (64 * 1024)

/* is_over() is asked at least this often: the caller counts its beat there. */
#define SPOOL_LONGEST_WAIT_MS 1000

/* The same file under a descriptor of our own: its position and its O_NONBLOCK are not the
 * client's, who shares the other one and goes on using it. */
static int reopen(int fd) {
        char path[64];
        int own;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        return own < 0 ? -errno : own;
}

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

/* Never waits: read() would on a descriptor that is not ours, when another reader was faster. */
static ssize_t read_now(int fd, bool is_socket, void *buffer, size_t size) {
        ssize_t n;

        n = is_socket ? recv(fd, buffer, size, MSG_DONTWAIT) : read(fd, buffer, size);
        return n < 0 ? -errno : n;
}

/* Waits until there is something to read or until the time or the turn is over. */
static int wait_readable(int fd, uint64_t until_ns, const struct spool_config *config) {
        struct pollfd waits[] = {
                { .fd = fd, .events = POLLIN },
                { .fd = config->bell_fd, .events = POLLIN },
        };

        for (;;) {
                uint64_t now = clock_now_ns();
                uint64_t ms;
                int n;

                if (config->is_over(config->userdata))
                        return -ECANCELED;
                if (now >= until_ns)
                        return -ETIMEDOUT;

                ms = (until_ns - now) / 1000000 + 1;
                n = poll(waits, 2, ms < SPOOL_LONGEST_WAIT_MS ? (int) ms : SPOOL_LONGEST_WAIT_MS);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n <= 0)
                        continue;
                if (waits[0].revents)
                        return 0;
                wake_clear(config->bell_fd);
        }
}

static int timed_out(uint64_t deadline_ns, const struct spool_config *config, struct why *why) {
        if (clock_now_ns() >= deadline_ns)
                return because(why, -ETIMEDOUT, "the sound did not end within %llu s",
                               (unsigned long long) (config->total_ms / 1000));
        return because(why, -ETIMEDOUT, "no sound came for %llu s",
                       (unsigned long long) (config->stall_ms / 1000));
}

static int
copy(int to, int from, bool is_socket, const struct spool_config *config, struct why *why) {
        uint64_t deadline = clock_now_ns() + config->total_ms * 1000000;
        char buffer[SPOOL_CHUNK];
        size_t total = 0;

        for (;;) {
                uint64_t stalled = clock_now_ns() + config->stall_ms * 1000000;
                ssize_t n;
                int r;

                r = wait_readable(from, stalled < deadline ? stalled : deadline, config);
                if (r == -ETIMEDOUT)
                        return timed_out(deadline, config, why);
                if (r < 0)
                        return because(why, r, "%s", strerror(-r));

                n = read_now(from, is_socket, buffer, sizeof(buffer));
                if (n == -EAGAIN || n == -EINTR)
                        continue;
                if (n < 0)
                        return because(why, (int) n, "reading: %s", strerror((int) -n));
                if (n == 0)
                        return total > 0 ? 0 : because(why, -ENODATA, "it is empty");

                total += (size_t) n;
                if (total > config->max_size)
                        return because(why, -EFBIG, "more than %zu MiB came",
                                       config->max_size / (1024 * 1024));
                r = write_all(to, buffer, (size_t) n);
                if (r < 0)
                        return because(why, r, "keeping the sound: %s", strerror(-r));
        }
}

int spool_open(int *ret, int fd, const struct spool_config *config, struct why *why) {
        _cleanup_(closep) int own = -1;
        _cleanup_(closep) int memory = -1;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%s", strerror(errno));
        if (S_ISDIR(st.st_mode))
                return because(why, -EISDIR, "%s", strerror(EISDIR));

        /* Sockets can not be opened, nor a file whose mode forbids it by now. */
        own = reopen(fd);
        if (own >= 0 && S_ISREG(st.st_mode)) {
                *ret = TAKE_FD(own);
                return 0;
        }

        memory = memfd_create("gemmad-sound", MFD_CLOEXEC);
        if (memory < 0)
                return because(why, -errno, "keeping the sound: %s", strerror(errno));
        r = copy(memory, own >= 0 ? own : fd, S_ISSOCK(st.st_mode), config, why);
        if (r < 0)
                return r;
        if (lseek(memory, 0, SEEK_SET) < 0)
                return because(why, -errno, "keeping the sound: %s", strerror(errno));

        *ret = TAKE_FD(memory);
        return 0;
}
