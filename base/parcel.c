/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parcel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
        struct cmsghdr head;
        char room[CMSG_SPACE(PARCEL_MAX_FDS * sizeof(int))];
};

int parcel_send(int socket_fd, const void *message, size_t size, const int *fds, size_t n_fds) {
        union control control = {};
        struct iovec data = { .iov_base = (void *) (uintptr_t) message, .iov_len = size };
        struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };

        if (n_fds > PARCEL_MAX_FDS)
                return -E2BIG;
        if (n_fds > 0) {
                control.head.cmsg_level = SOL_SOCKET;
                control.head.cmsg_type = SCM_RIGHTS;
                control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        if (sendmsg(socket_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

static size_t take_fds(struct msghdr *m, int *fds, size_t max) {
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                size_t n_here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < n_here; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (n < max)
                                fds[n++] = fd;
                        else
                                (void) close(fd);
                }
        }
        return n;
}

int parcel_receive(int socket_fd, void *message, size_t size, int *fds, size_t *n_fds) {
        union control control;
        struct iovec data = { .iov_base = message, .iov_len = size };
        struct msghdr m = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(socket_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0) {
                *n_fds = 0;
                return errno == ECONNRESET ? 0 : errno == EINTR ? -EAGAIN : -errno;
        }
        *n_fds = take_fds(&m, fds, *n_fds);
        return (int) n;
}
