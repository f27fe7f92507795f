/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define FIRST_CAPACITY 4096

/* A server that sends more than this in one message is not ours. */
#define MAX_MESSAGE_SIZE (64u << 20)

#define MAX_FDS 8

struct client {
        int fd;     /* owned */
        char *data; /* owned; what has been received and not been returned */
        size_t size, capacity;
        size_t scanned; /* bytes that are known to hold no zero */
};

DEFINE_CLEANUP(struct client *, client_free)

/* The kernel refuses what is no socket as it does a socket at which nobody listens. */
static int not_connected(const char *path, int r, struct why *why) {
        struct stat st;

        if (r == -ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
                return because(why, -ENOTSOCK, "%s: not a socket", path);
        return because(why, r, "%s: %s", path, strerror(-r));
}

int client_connect(struct client **ret, const char *path, struct why *why) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(client_freep) struct client *c = NULL;

        if (strlen(path) >= sizeof(address.sun_path))
                return because(why, -ENAMETOOLONG, "%s: too long for a socket's path", path);
        strcpy(address.sun_path, path);

        c = calloc(1, sizeof(*c));
        if (!c)
                return because(why, -ENOMEM, "out of memory");
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return because(why, -errno, "socket: %m");
        if (connect(c->fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return not_connected(path, -errno, why);

        *ret = TAKE_PTR(c);
        return 0;
}

struct client *client_free(struct client *c) {
        if (!c)
                return NULL;

        closep(&c->fd);
        free(c->data);
        free(c);
        return NULL;
}

/* The descriptors go with the first byte. */
static ssize_t
send_some(struct client *c, const char *data, size_t size, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr align;
                char data[CMSG_SPACE(MAX_FDS * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *) data, .iov_len = size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                header.msg_control = control.data;
                header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                *CMSG_FIRSTHDR(&header) = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                };
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, n_fds * sizeof(int));
        }
        return sendmsg(c->fd, &header, MSG_NOSIGNAL);
}

int client_send(struct client *c, const struct client_call *call, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        size_t size, sent = 0, n_fds = call->n_fds;
        int r;

        if (n_fds > MAX_FDS)
                return because(why, -E2BIG, "more than %d file descriptors", MAX_FDS);
        r = varlink_format_call(call->method, call->parameters, call->more, &text, &size);
        if (r < 0)
                return because(why, r, "cannot build the message");

        while (sent < size) {
                ssize_t n = send_some(c, text + sent, size - sent, call->fds, n_fds);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                        return 0;
                if (n < 0)
                        return because(why, -errno, "cannot send: %m");
                sent += (size_t) n;
                n_fds = 0;
        }
        return 0;
}

/* 1 with the first complete message, 0 when there is none. */
static int take_message(struct client *c, struct varlink_reply *ret, struct why *why) {
        const char *end = NULL;
        size_t size;
        int r;

        if (c->size > c->scanned)
                end = memchr(c->data + c->scanned, 0, c->size - c->scanned);
        if (!end) {
                c->scanned = c->size;
                return 0;
        }

        size = (size_t) (end - c->data);
        r = varlink_parse_reply(ret, c->data, size, why);
        if (r < 0)
                return r;
        c->size -= size + 1;
        c->scanned = 0;
        memmove(c->data, end + 1, c->size);
        return 1;
}

static int make_room(struct client *c, struct why *why) {
        size_t capacity = c->capacity > 0 ? c->capacity * 2 : FIRST_CAPACITY;
        char *data;

        if (c->size < c->capacity)
                return 0;
        if (capacity > MAX_MESSAGE_SIZE)
                return because(why, -EBADMSG, "a message without end");
        data = realloc(c->data, capacity);
        if (!data)
                return because(why, -ENOMEM, "out of memory");

        c->data = data;
        c->capacity = capacity;
        return 0;
}

/* 1 when there is something to read, 0 when wake_fd is readable, -ETIMEDOUT after timeout_ms (-1: never). */
static int wait_readable(struct client *c, int wake_fd, int timeout_ms) {
        struct pollfd fds[] = {
                { .fd = c->fd, .events = POLLIN },
                { .fd = wake_fd, .events = POLLIN },
        };

        int n;

        while ((n = poll(fds, 2, timeout_ms)) < 0) {
                if (errno != EINTR)
                        return -errno;
        }
        if (n == 0)
                return -ETIMEDOUT;
        return fds[1].revents ? 0 : 1;
}

/* 1: something was read, 0: nothing is there. */
static int receive(struct client *c, struct why *why) {
        ssize_t n;
        int r;

        r = make_room(c, why);
        if (r < 0)
                return r;
        do
                n = recv(c->fd, c->data + c->size, c->capacity - c->size, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return because(why, -errno, "cannot receive: %m");
        if (n <= 0)
                return because(why, -ECONNRESET, "the connection was closed");
        c->size += (size_t) n;
        return 1;
}

int client_fd(const struct client *c) {
        return c->fd;
}

int client_take(struct client *c, struct varlink_reply *ret, struct why *why) {
        int r;

        do {
                r = take_message(c, ret, why);
                if (r != 0)
                        return r;
                r = receive(c, why);
        } while (r > 0);
        return r;
}

static int
next_within(struct client *c, int wake_fd, int timeout_ms, struct varlink_reply *ret, struct why *why) {
        int r;

        for (;;) {
                r = take_message(c, ret, why);
                if (r != 0)
                        return r;
                r = wait_readable(c, wake_fd, timeout_ms);
                if (r == -ETIMEDOUT)
                        return because(why, r, "gemmad does not answer");
                if (r < 0)
                        return because(why, r, "poll: %s", strerror(-r));
                if (r == 0)
                        return 0;
                r = receive(c, why);
                if (r < 0)
                        return r;
        }
}

int client_next(struct client *c, int wake_fd, struct varlink_reply *ret, struct why *why) {
        return next_within(c, wake_fd, -1, ret, why);
}

int client_next_within(struct client *c, int timeout_ms, struct varlink_reply *ret, struct why *why) {
        return next_within(c, -1, timeout_ms, ret, why);
}
