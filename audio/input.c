/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define NS_PER_MS UINT64_C(1000000)

/* is_over() is asked at least this often: the caller counts its beat there. */
#define LONGEST_WAIT_MS 1000

#define SPOOL_CHUNK (64 * 1024)

/* A descriptor of our own.  That of a pipe or device is opened anew, because its O_NONBLOCK would be
 * the client's as well, who goes on using the other one.  Sockets can not be opened, nor what the
 * rights forbid by now; the calls that read them do not wait anyway, or only when another reader
 * was faster. */
static int own_fd(int fd, mode_t mode) {
        char path[64];
        int own = -1;

        if (S_ISFIFO(mode) || S_ISCHR(mode)) {
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        }
        if (own < 0)
                own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return own < 0 ? -errno : own;
}

int input_open(struct input *in, int fd, const struct input_config *config, struct why *why) {
        struct stat st;
        int own;

        if (fstat(fd, &st) < 0)
                return because(why, -errno, "cannot look at it: %s", strerror(errno));
        if (S_ISDIR(st.st_mode))
                return because(why, -EISDIR, "a directory, not a sound file");
        if (S_ISBLK(st.st_mode))
                return because(why, -EBADMSG, "a disk, not a sound file");
        if (S_ISREG(st.st_mode) && st.st_size == 0)
                return because(why, -ENODATA, "an empty file");

        own = own_fd(fd, st.st_mode);
        if (own < 0)
                return because(why, own, "cannot keep it open: %s", strerror(-own));

        *in = (struct input){
                .config = *config,
                .fd = own,
                .is_file = S_ISREG(st.st_mode),
                .is_socket = S_ISSOCK(st.st_mode),
                .size = S_ISREG(st.st_mode) ? st.st_size : INT64_MAX,
        };
        return 0;
}

void input_close(struct input *in) {
        closep(&in->fd);
        in->fd = -1;
}

static bool is_over(const struct input *in) {
        return in->config.is_over && in->config.is_over(in->config.userdata);
}

/* How long the next wait may be, 0: no longer. */
static uint64_t wait_left_ns(const struct input *in, uint64_t waited_ns) {
        uint64_t stall = in->config.stall_ms * NS_PER_MS, total = in->config.total_ms * NS_PER_MS;
        uint64_t all = in->waited_ns + waited_ns, left;

        if (waited_ns >= stall || all >= total)
                return 0;
        left = stall - waited_ns < total - all ? stall - waited_ns : total - all;
        return left < LONGEST_WAIT_MS * NS_PER_MS ? left : LONGEST_WAIT_MS * NS_PER_MS;
}

/* Waits until a pipe has something to say.  0 or -errno. */
static int wait_readable(struct input *in) {
        struct pollfd waits[] = {
                { .fd = in->fd, .events = POLLIN },
                { .fd = in->config.bell_fd, .events = POLLIN },
        };
        uint64_t began = clock_now_ns(), waited = 0, left;
        int n = 0;

        while (n <= 0 || !waits[0].revents) {
                if (is_over(in))
                        return -ECANCELED;
                left = wait_left_ns(in, waited);
                if (left == 0)
                        break;

                n = poll(waits, 2, (int) (left / NS_PER_MS + 1));
                if (n < 0 && errno != EINTR)
                        return -errno;
                waited = clock_now_ns() - began;
        }
        in->waited_ns += waited;
        return n > 0 && waits[0].revents ? 0 : -ETIMEDOUT;
}

/* Like read(2), but waits only as long as it may. */
static ssize_t read_pipe(struct input *in, void *buffer, size_t size) {
        ssize_t n;
        int r;

        if (in->offset != in->n_consumed) {
                errno = ESPIPE;
                return -1;
        }

        r = wait_readable(in);
        if (r < 0) {
                errno = -r;
                return -1;
        }

        n = in->is_socket ? recv(in->fd, buffer, size, MSG_DONTWAIT) : read(in->fd, buffer, size);
        if (n > 0)
                in->n_consumed += n;
        return n;
}

static size_t read_head(struct input *in, void *buffer, size_t size) {
        size_t n = in->n_head - (size_t) in->offset;

        n = n < size ? n : size;
        memcpy(buffer, in->head + in->offset, n);
        return n;
}

size_t input_read(struct input *in, void *buffer, size_t size) {
        int64_t left = in->offset < in->size ? in->size - in->offset : 0;
        size_t done = 0;

        if ((uint64_t) left < size)
                size = (size_t) left;

        while (done < size && in->error == 0) {
                char *to = (char *) buffer + done;
                ssize_t n;

                if (in->is_file)
                        n = pread(in->fd, to, size - done, in->begin + in->offset);
                else if (in->offset < (int64_t) in->n_head)
                        n = (ssize_t) read_head(in, to, size - done);
                else
                        n = read_pipe(in, to, size - done);

                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n < 0)
                        in->error = errno;
                if (n <= 0)
                        break;
                in->offset += n;
                done += (size_t) n;
        }
        return done;
}

size_t input_peek(struct input *in, char head[static INPUT_HEAD_SIZE]) {
        size_t n = input_read(in, head, INPUT_HEAD_SIZE);

        if (!in->is_file) {
                memcpy(in->head, head, n);
                in->n_head = n;
        }
        in->offset = 0;
        return n;
}

int64_t input_seek(struct input *in, int64_t offset, int whence) {
        int64_t base = whence == SEEK_CUR ? in->offset : whence == SEEK_END ? in->size : 0;
        int64_t target;

        if (__builtin_add_overflow(base, offset, &target) || target < 0)
                return -1;

        in->offset = target;
        return target;
}

void input_restart(struct input *in, int64_t size) {
        if (in->is_file) {
                in->begin += in->offset;
                in->size -= in->offset;
        }
        in->offset = 0;
        in->n_consumed = 0;
        in->n_head = 0;
        in->size = size < in->size ? size : in->size;
}

static int keep(int to, const char *data, size_t size, struct why *why) {
        while (size > 0) {
                ssize_t n = write(to, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return because(why, -errno, "keeping the sound: %s", strerror(errno));
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int copy(struct input *in, int to, size_t max_size, struct why *why) {
        char buffer[SPOOL_CHUNK];
        size_t n, total = 0;
        int r;

        do {
                n = input_read(in, buffer, sizeof(buffer));
                if (in->error != 0)
                        return input_because(in, why);
                total += n;
                if (total > max_size)
                        return because(why, -EFBIG, "more than %zu MiB came",
                                       max_size / (1024 * 1024));
                r = keep(to, buffer, n, why);
                if (r < 0)
                        return r;
        } while (n == sizeof(buffer));
        return 0;
}

int input_spool(struct input *in, size_t max_size, struct why *why) {
        _cleanup_(closep) int memory = -1;
        struct input spooled;
        int r;

        memory = memfd_create("gemmad-sound", MFD_CLOEXEC);
        if (memory < 0)
                return because(why, -errno, "keeping the sound: %s", strerror(errno));
        r = copy(in, memory, max_size, why);
        if (r < 0)
                return r;
        r = input_open(&spooled, memory, &in->config, why);
        if (r < 0)
                return r;

        input_close(in);
        *in = spooled;
        return 0;
}

int input_because(const struct input *in, struct why *why) {
        unsigned long long total_s = in->config.total_ms / 1000;
        unsigned long long stall_s = in->config.stall_ms / 1000;

        if (in->error == ECANCELED)
                return because(why, -ECANCELED, "nobody wants it any more");
        if (in->error == ETIMEDOUT && in->waited_ns >= in->config.total_ms * NS_PER_MS)
                return because(why, -ETIMEDOUT, "the sound did not end within %llu s", total_s);
        if (in->error == ETIMEDOUT)
                return because(why, -ETIMEDOUT, "no sound came for %llu s", stall_s);
        return because(why, -in->error, "cannot read: %s", strerror(in->error));
}
