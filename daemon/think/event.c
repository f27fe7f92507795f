/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/event.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/wake.h"

int event_queue_init(struct event_queue *q) {
        int r;

        *q = (struct event_queue){ .bell_fd = -1 };

        r = spsc_init(&q->queue, EVENT_QUEUE_SIZE, sizeof(struct event));
        if (r < 0)
                return r;
        q->bell_fd = wake_open();
        if (q->bell_fd < 0) {
                spsc_done(&q->queue);
                return q->bell_fd;
        }
        return 0;
}

void event_queue_done(struct event_queue *q) {
        spsc_done(&q->queue);
        closep(&q->bell_fd);
        q->bell_fd = -1;
}

void event_push_always(struct event_queue *q, const struct event *event) {
        (void) spsc_push(&q->queue, event, 1);
        wake_ring(q->bell_fd);
}

size_t event_room(const struct event_queue *q) {
        size_t n = spsc_count(&q->queue), most = EVENT_QUEUE_SIZE - EVENT_QUEUE_RESERVE;

        return n < most ? most - n : 0;
}

int event_push(struct event_queue *q, const struct event *event) {
        if (event_room(q) == 0)
                return -ENOBUFS;

        event_push_always(q, event);
        return 0;
}

/* How much of the text goes into one event, cut between characters. */
static size_t piece_size(const char *text, size_t size) {
        size_t n = EVENT_TEXT_SIZE;

        if (size <= n)
                return size;
        while (n > EVENT_TEXT_SIZE - 4 && ((unsigned char) text[n] & 0xc0) == 0x80)
                n--;
        return n;
}

int event_push_text(struct event_queue *q,
                    const struct event *like,
                    const char *text,
                    size_t size) {
        struct event event = *like;
        int r;

        do {
                size_t n = piece_size(text, size);

                memcpy(event.text, text, n);
                event.text_size = (uint16_t) n;
                event.is_last = like->is_last && n == size;
                r = event_push(q, &event);
                if (r < 0)
                        return r;
                text += n;
                size -= n;
        } while (size > 0);
        return 0;
}

bool event_pop(struct event_queue *q, struct event *ret) {
        return spsc_pop(&q->queue, ret, 1) == 1;
}
