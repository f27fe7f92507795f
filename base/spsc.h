/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SPSC_H
#define BASE_SPSC_H

#include <stdatomic.h>
#include <stddef.h>

/* A bounded queue of fixed-size elements between exactly one producer thread and one consumer
 * thread: the one concurrency primitive of the program.  Neither side ever waits or allocates.
 * A full queue refuses the newest elements and counts them, because a producer may not move the
 * consumer's index. */
struct spsc {
        unsigned char *slots; /* owned, n_slots * elem_size bytes */
        size_t elem_size;
        size_t mask; /* n_slots - 1; n_slots is a power of two */
        char pad0[64];
        atomic_size_t head; /* written by the producer only */
        char pad1[64];
        atomic_size_t tail; /* written by the consumer only */
        char pad2[64];
        atomic_size_t refused;
};

/* Room for at least n_elems elements of elem_size bytes.  0 or -ENOMEM. */
int spsc_init(struct spsc *q, size_t n_elems, size_t elem_size);
void spsc_done(struct spsc *q);

/* Producer.  Copies up to n elements in and returns how many were accepted; the rest is refused
 * and counted. */
size_t spsc_push(struct spsc *q, const void *elems, size_t n);

/* Consumer.  Moves up to n elements out, oldest first, and returns how many there were.  Their places
 * in the queue are wiped. */
size_t spsc_pop(struct spsc *q, void *elems, size_t n);

/* How many elements are waiting.  Exact on either side for its own index, a lower bound for the
 * consumer and an upper bound for the producer. */
size_t spsc_count(const struct spsc *q);

/* How many elements were ever refused.  Any thread. */
size_t spsc_refused(const struct spsc *q);

#endif
