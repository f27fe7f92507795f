/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int input_init(struct input *in, int fd, struct why *why) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return because(why, -errno, "cannot look at it: %s", strerror(errno));
        if (S_ISDIR(st.st_mode))
                return because(why, -EISDIR, "a directory, not a sound file");
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
                return because(why, -EBADMSG, "a device, not a sound file");
        if (S_ISREG(st.st_mode) && st.st_size == 0)
                return because(why, -ENODATA, "an empty file");

        *in = (struct input){
                .fd = fd,
                .is_file = S_ISREG(st.st_mode),
                .size = S_ISREG(st.st_mode) ? st.st_size : INT64_MAX,
        };
        return 0;
}

/* Waits until a pipe has something to say.  0 or -errno. */
static int wait_for(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int r;

        r = poll(&p, 1, INPUT_PATIENCE_MS);
        if (r < 0)
                return -errno;
        return r == 0 ? -ETIMEDOUT : 0;
}

/* Like read(2), but waits at most so long, whether the descriptor is blocking or not. */
static ssize_t read_pipe(struct input *in, void *buffer, size_t size) {
        ssize_t n;
        int r;

        if (in->offset != in->n_consumed) {
                errno = ESPIPE;
                return -1;
        }

        r = wait_for(in->fd);
        if (r < 0) {
                errno = -r;
                return -1;
        }

        n = read(in->fd, buffer, size);
        if (n > 0)
                in->n_consumed += n;
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
                        n = pread(in->fd, to, size - done, in->offset);
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

int64_t input_seek(struct input *in, int64_t offset, int whence) {
        int64_t base = whence == SEEK_CUR ? in->offset : whence == SEEK_END ? in->size : 0;
        int64_t target;

        if (__builtin_add_overflow(base, offset, &target) || target < 0)
                return -1;

        in->offset = target;
        return target;
}

void input_restart(struct input *in, int64_t size) {
        in->offset = 0;
        in->n_consumed = 0;
        in->size = size;
}

int input_because(const struct input *in, struct why *why) {
        if (in->error == ETIMEDOUT)
                return because(why, -ETIMEDOUT, "no sound came for %d s", INPUT_PATIENCE_MS / 1000);
        return because(why, -in->error, "cannot read: %s", strerror(in->error));
}
