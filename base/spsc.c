/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

static unsigned char *slot(const struct spsc *q, size_t index) {
        return q->slots + (index & q->mask) * q->elem_size;
}

/* How many of n elements from index on lie before the end of the ring. */
static size_t before_wrap(const struct spsc *q, size_t index, size_t n) {
        size_t room = q->mask + 1 - (index & q->mask);

        return n < room ? n : room;
}

int spsc_init(struct spsc *q, size_t n_elems, size_t elem_size) {
        size_t n_slots = 1;

        while (n_slots < n_elems)
                n_slots *= 2;

        *q = (struct spsc){
                .slots = calloc(n_slots, elem_size),
                .elem_size = elem_size,
                .mask = n_slots - 1,
        };
        return q->slots ? 0 : -ENOMEM;
}

void spsc_done(struct spsc *q) {
        free(q->slots);
        q->slots = NULL;
}

size_t spsc_push(struct spsc *q, const void *elems, size_t n) {
        size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
        size_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
        size_t room = q->mask + 1 - (head - tail);
        size_t first;

        if (n > room) {
                atomic_fetch_add_explicit(&q->refused, n - room, memory_order_relaxed);
                n = room;
        }

        first = before_wrap(q, head, n);
        memcpy(slot(q, head), elems, first * q->elem_size);
        memcpy(q->slots, (const unsigned char *) elems + first * q->elem_size,
               (n - first) * q->elem_size);
        atomic_store_explicit(&q->head, head + n, memory_order_release);
        return n;
}

static void move_out(void *to, unsigned char *from, size_t size) {
        memcpy(to, from, size);
        wipe(from, size);
}

size_t spsc_pop(struct spsc *q, void *elems, size_t n) {
        size_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
        size_t head = atomic_load_explicit(&q->head, memory_order_acquire);
        size_t first;

        if (n > head - tail)
                n = head - tail;

        first = before_wrap(q, tail, n);
        move_out(elems, slot(q, tail), first * q->elem_size);
        move_out((unsigned char *) elems + first * q->elem_size, q->slots,
                 (n - first) * q->elem_size);
        atomic_store_explicit(&q->tail, tail + n, memory_order_release);
        return n;
}

size_t spsc_count(const struct spsc *q) {
        size_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
        size_t head = atomic_load_explicit(&q->head, memory_order_acquire);

        return head - tail;
}

size_t spsc_refused(const struct spsc *q) {
        return atomic_load_explicit(&q->refused, memory_order_relaxed);
}
