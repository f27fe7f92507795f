/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/wipe.h"

#define FIRST_CAPACITY 4096

/* An emptied buffer above this size is given back. */
#define KEPT_CAPACITY 65536

struct buffer {
        char *data; /* owned */
        size_t start, size, capacity;
};

struct conn {
        int fd;                             /* owned */
        sd_event_source *io;                /* owned */
        sd_event_source *deliver;           /* owned; hands on one message per turn of the loop */
        const struct conn_handler *handler; /* not owned */
        void *userdata;
        size_t max_message_size, max_unsent_size;

        struct buffer in, out;
        size_t scanned;    /* bytes at the start of in that are known to hold no zero */
        uint64_t position; /* of the start of in, counted since the beginning of the stream */

        struct conn_fds fds;
        uint64_t fd_positions[CONN_MAX_FDS]; /* of the last byte that was read together with it */

        bool held;
        bool eof;     /* the peer sends no more */
        bool is_gone; /* the peer does not read either */
};

DEFINE_CLEANUP(struct conn *, conn_free)

void conn_fds_close(struct conn_fds *fds) {
        for (size_t i = 0; i < fds->n_fds; i++)
                closep(&fds->fds[i]);
        fds->n_fds = 0;
}

/* Room for more bytes behind what is there; capacity never exceeds limit. */
static int buffer_reserve(struct buffer *b, size_t more, size_t limit) {
        size_t capacity = b->capacity;
        char *data;

        if (more > limit || b->size > limit - more)
                return -ENOBUFS;
        if (b->start > 0 && b->size > 0) {
                memmove(b->data, b->data + b->start, b->size);
                wipe(b->data + b->size, b->start);
        }
        b->start = 0;
        if (b->size + more <= b->capacity)
                return 0;

        if (capacity == 0)
                capacity = limit < FIRST_CAPACITY ? limit : FIRST_CAPACITY;
        while (capacity < b->size + more)
                capacity = capacity > limit / 2 ? limit : capacity * 2;
        data = realloc(b->data, capacity);
        if (!data)
                return -ENOMEM;

        b->data = data;
        b->capacity = capacity;
        return 0;
}

/* Messages hold what was said, so that what has been read or sent does not stay. */
static void buffer_consume(struct buffer *b, size_t n) {
        wipe(b->data + b->start, n);
        b->start += n;
        b->size -= n;
        if (b->size == 0)
                b->start = 0;
}

static void buffer_release(struct buffer *b) {
        free(b->data);
        *b = (struct buffer){ 0 };
}

/* The length of the first message; false while it has no end. */
static bool conn_find_message(struct conn *c, size_t *ret) {
        const char *first, *end;

        if (c->in.size == 0)
                return false;
        first = c->in.data + c->in.start;
        end = memchr(first + c->scanned, 0, c->in.size - c->scanned);
        if (!end) {
                c->scanned = c->in.size;
                return false;
        }

        c->scanned = (size_t) (end - first);
        *ret = c->scanned;
        return true;
}

static bool conn_is_full(const struct conn *c) {
        return c->in.size > c->max_message_size;
}

/* Descriptors of a message that waits must not be joined by those of the messages behind it. */
static bool conn_may_read(struct conn *c) {
        size_t size;

        if (c->eof || conn_is_full(c))
                return false;
        return c->fds.n_fds == 0 || !conn_find_message(c, &size);
}

static bool conn_may_deliver(struct conn *c) {
        size_t size;

        if (c->held)
                return c->is_gone;
        if (c->out.size > 0)
                return false;
        return c->eof || conn_is_full(c) || conn_find_message(c, &size);
}

/* Called after every change: what the loop is to wait for.  These calls cannot fail on sources and
 * a socket that exist. */
static void conn_update(struct conn *c) {
        uint32_t events = (conn_may_read(c) ? EPOLLIN : 0u) | (c->out.size > 0 ? EPOLLOUT : 0u);

        (void) sd_event_source_set_io_events(c->io, events);
        (void) sd_event_source_set_enabled(c->deliver,
                                           conn_may_deliver(c) ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Unsent answers are of no use any more, and must not keep the last messages back. */
static void conn_lose_peer(struct conn *c) {
        c->is_gone = true;
        buffer_release(&c->out);
}

/* A read never goes beyond the bytes that a descriptor was sent with.  So those that come with a
 * read belong to the message that its last byte belongs to. */
static int conn_keep_fds(struct conn *c, struct msghdr *header, size_t n_read) {
        uint64_t last = c->position + c->in.size + n_read - 1;
        bool too_many = header->msg_flags & MSG_CTRUNC;
        struct cmsghdr *cmsg;

        for (cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
                size_t n;

                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        _cleanup_(closep) int fd = -1;

                        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
                        if (c->fds.n_fds == CONN_MAX_FDS) {
                                too_many = true;
                                continue;
                        }
                        c->fd_positions[c->fds.n_fds] = last;
                        c->fds.fds[c->fds.n_fds++] = TAKE_FD(fd);
                }
        }
        return too_many ? -EMFILE : 0;
}

/* Reads once.  0, or the reason why the connection ends. */
static int conn_receive(struct conn *c) {
        union {
                struct cmsghdr align;
                char data[CMSG_SPACE(CONN_MAX_FDS * sizeof(int))];
        } control;
        struct iovec iov;
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.data,
                .msg_controllen = sizeof(control.data),
        };
        ssize_t n;
        int r;

        r = buffer_reserve(&c->in, 1, c->max_message_size + 1);
        if (r < 0)
                return r;
        iov.iov_base = c->in.data + c->in.size;
        iov.iov_len = c->in.capacity - c->in.size;

        n = recvmsg(c->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return -errno;
        if (n < 0)
                conn_lose_peer(c);
        if (n <= 0) {
                c->eof = true;
                return 0;
        }

        r = conn_keep_fds(c, &header, (size_t) n);
        c->in.size += (size_t) n;
        return r;
}

/* Sends as much as the socket takes, with a descriptor or -1; returns how much. */
static ssize_t conn_write(struct conn *c, const char *data, size_t size, int fd) {
        struct iovec part = { .iov_base = (char *) data, .iov_len = size };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int)) } };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        ssize_t n;

        if (fd >= 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                message.msg_control = control.space;
                message.msg_controllen = sizeof(control.space);
        }
        n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return n < 0 ? -errno : n;
}

int conn_flush(struct conn *c) {
        ssize_t n;

        if (c->out.size == 0)
                return 0;
        n = conn_write(c, c->out.data + c->out.start, c->out.size, -1);
        if (n < 0)
                return (int) n;

        buffer_consume(&c->out, (size_t) n);
        if (c->out.size == 0 && c->out.capacity > KEPT_CAPACITY)
                buffer_release(&c->out);
        conn_update(c);
        return 0;
}

static int conn_send_with(struct conn *c, const char *message, size_t size, int fd) {
        ssize_t n = 0;
        int r;

        if (c->is_gone)
                return -EPIPE;
        if (c->out.size > 0 &&
            (size > c->max_unsent_size || c->out.size > c->max_unsent_size - size))
                return -ENOBUFS;
        if (c->out.size == 0)
                n = conn_write(c, message, size, fd);
        if (n < 0)
                return (int) n;
        /* It goes with the first byte, or not at all. */
        if (n == 0 && fd >= 0)
                return -EAGAIN;
        if ((size_t) n == size)
                return 0;

        r = buffer_reserve(&c->out, size - (size_t) n, SIZE_MAX);
        if (r < 0)
                return r;
        memcpy(c->out.data + c->out.size, message + n, size - (size_t) n);
        c->out.size += size - (size_t) n;
        conn_update(c);
        return 0;
}

int conn_send(struct conn *c, const char *message, size_t size) {
        return conn_send_with(c, message, size, -1);
}

int conn_send_fd(struct conn *c, const char *message, size_t size, int fd) {
        return c->out.size > 0 ? -EAGAIN : conn_send_with(c, message, size, fd);
}

void conn_set_held(struct conn *c, bool held) {
        c->held = held;
        conn_update(c);
}

/* c does not exist afterwards: always the last thing that an event handler does. */
static int conn_end(struct conn *c, int r) {
        c->handler->ended(c, r, c->userdata);
        return 0;
}

static int conn_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct conn *c = userdata;
        int r;

        (void) source;
        (void) fd;
        if (revents & (EPOLLHUP | EPOLLERR))
                conn_lose_peer(c);
        if (revents & EPOLLOUT && !c->is_gone) {
                r = conn_flush(c);
                if (r < 0)
                        return conn_end(c, r == -EPIPE ? 0 : r);
        }
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && conn_may_read(c)) {
                r = conn_receive(c);
                if (r < 0)
                        return conn_end(c, r);
        }
        conn_update(c);
        return 0;
}

/* Moves out the descriptors of a message that ends at this position. */
static struct conn_fds conn_take_fds(struct conn *c, uint64_t end) {
        struct conn_fds taken = { .n_fds = 0 };
        size_t kept = 0;

        for (size_t i = 0; i < c->fds.n_fds; i++) {
                if (c->fd_positions[i] <= end) {
                        taken.fds[taken.n_fds++] = c->fds.fds[i];
                        continue;
                }
                c->fd_positions[kept] = c->fd_positions[i];
                c->fds.fds[kept++] = c->fds.fds[i];
        }
        c->fds.n_fds = kept;
        return taken;
}

static int conn_on_deliver(sd_event_source *source, void *userdata) {
        struct conn *c = userdata;
        _cleanup_(conn_fds_close) struct conn_fds fds = { .n_fds = 0 };
        _cleanup_(freep) char *text = NULL;
        size_t size;

        (void) source;
        if (c->held)
                return conn_end(c, 0);
        if (!conn_find_message(c, &size))
                return conn_end(c, conn_is_full(c) ? -EMSGSIZE : 0);

        /* A copy, since the handler may end the connection, and the buffer is wiped already. */
        text = malloc(size + 1);
        if (!text)
                return conn_end(c, -ENOMEM);
        memcpy(text, c->in.data + c->in.start, size + 1);
        fds = conn_take_fds(c, c->position + size);
        buffer_consume(&c->in, size + 1);
        c->position += size + 1;
        c->scanned = 0;
        /* A client that once sent something long does not hold that much for ever. */
        if (c->in.size == 0 && c->in.capacity > KEPT_CAPACITY)
                buffer_release(&c->in);
        conn_update(c);
        c->handler->message(c, text, size, &fds, c->userdata);
        return 0;
}

int conn_new(struct conn **ret, sd_event *loop, const struct conn_config *config) {
        _cleanup_(conn_freep) struct conn *c = NULL;
        int r;

        assert(config->max_message_size > 0 && config->max_message_size < SIZE_MAX);
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->fd = -1;
        c->handler = config->handler;
        c->userdata = config->userdata;
        c->max_message_size = config->max_message_size;
        c->max_unsent_size = config->max_unsent_size;

        r = sd_event_add_io(loop, &c->io, config->fd, EPOLLIN, conn_on_io, c);
        if (r < 0)
                return r;
        r = sd_event_add_defer(loop, &c->deliver, conn_on_deliver, c);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(c->deliver, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(c->io, config->priority);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(c->deliver, config->priority);
        if (r < 0)
                return r;

        c->fd = config->fd;
        *ret = TAKE_PTR(c);
        return 0;
}

struct conn *conn_free(struct conn *c) {
        if (!c)
                return NULL;

        c->io = sd_event_source_disable_unref(c->io);
        c->deliver = sd_event_source_disable_unref(c->deliver);
        closep(&c->fd);
        conn_fds_close(&c->fds);
        buffer_release(&c->in);
        buffer_release(&c->out);
        free(c);
        return NULL;
}
