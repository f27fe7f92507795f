/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/outbox.h"

#include <errno.h>
#include <string.h>

#include "base/parcel.h"

void outbox_done(struct outbox *o) {
        buffer_done(&o->waiting);
        o->n_sent = 0;
}

bool outbox_waits(const struct outbox *o) {
        return o->n_sent < o->waiting.size;
}

static int keep(struct outbox *o, const void *message, size_t size) {
        int r;

        if (size > OUTBOX_MAX || o->waiting.size + sizeof(size) > OUTBOX_MAX - size)
                return -EFBIG;
        r = buffer_append(&o->waiting, &size, sizeof(size), OUTBOX_MAX);
        return r < 0 ? r : buffer_append(&o->waiting, message, size, OUTBOX_MAX);
}

int outbox_send(struct outbox *o, const void *message, size_t size, uint64_t now_ns) {
        int r;

        if (outbox_waits(o))
                return keep(o, message, size);
        r = parcel_send(o->fd, message, size, NULL, 0);
        if (r != -EAGAIN)
                return r;
        o->since_ns = now_ns;
        return keep(o, message, size);
}

int outbox_flush(struct outbox *o, uint64_t now_ns) {
        size_t size;
        int r;

        while (outbox_waits(o)) {
                memcpy(&size, o->waiting.data + o->n_sent, sizeof(size));
                r = parcel_send(o->fd, o->waiting.data + o->n_sent + sizeof(size), size, NULL, 0);
                if (r == -EAGAIN)
                        return now_ns - o->since_ns >= OUTBOX_PATIENCE_NS ? -ETIMEDOUT : 1;
                if (r < 0)
                        return r;
                o->n_sent += sizeof(size) + size;
                o->since_ns = now_ns;
        }
        buffer_clear(&o->waiting);
        o->n_sent = 0;
        return 0;
}

uint64_t outbox_deadline(const struct outbox *o) {
        return outbox_waits(o) ? o->since_ns + OUTBOX_PATIENCE_NS : UINT64_MAX;
}
