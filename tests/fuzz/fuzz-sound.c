/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a sound file, and as a WAV stream: whatever they are, each frame that comes is sane and
 * the end is an end.  The first byte chooses which. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "audio/source.h"

#define MAX_FRAMES 500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libsndfile 1.2.0 forgets one structure when the head of an OGG file is damaged. */
const char *__lsan_default_suppressions(void) {
        return "leak:vorbis_info_init\n";
}

static void check(int condition) {
        if (!condition)
                abort();
}

static int new_file(const uint8_t *data, size_t size) {
        int fd = memfd_create("sound", MFD_CLOEXEC);

        check(fd >= 0 && write(fd, data, size) == (ssize_t) size);
        return fd;
}

/* What does not fit into the socket's buffer is cut off. */
static int new_stream(const uint8_t *data, size_t size) {
        int fds[2];

        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        (void) !write(fds[1], data, size);
        (void) close(fds[1]);
        return fds[0];
}

static void read_all(struct source *s) {
        unsigned n_frames = 0, n_last = 0;
        struct frame frame;
        struct why why;
        int r;

        while ((r = source_read(s, &frame, &why)) == 1 && n_frames < MAX_FRAMES) {
                check(frame.sequence == n_frames++);
                check(frame.n_valid > 0 && frame.n_valid <= FRAME_SAMPLES);
                for (size_t i = 0; i < FRAME_SAMPLES; i++)
                        check(fabsf(frame.samples[i]) <= 1);
                n_last += frame.is_last;
        }
        check(r != 0 || (n_last == 1 && frame.is_last));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct source_config config = {
                .input = { .stall_ms = 1000, .total_ms = 1000, .bell_fd = -1 },
                .max_spooled = 16 * 1024 * 1024,
        };
        struct source *s = NULL;
        struct why why;
        int fd, r;

        if (size == 0)
                return 0;

        fd = data[0] % 2 ? new_stream(data + 1, size - 1) : new_file(data + 1, size - 1);
        r = source_open(&s, fd, &config, &why);
        (void) close(fd);
        if (r < 0) {
                check(why.text[0]);
                return 0;
        }

        read_all(s);
        (void) source_close(s);
        return 0;
}
