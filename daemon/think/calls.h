/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_CALLS_H
#define DAEMON_THINK_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/think/dialogue.h"

/* The calls of a model that answers freely, up to where it waits for their results.  When all of
 * them are ours, it gets the results and goes on; otherwise the client has them to carry out.
 * Embedded by value; owned by the inference thread. */
#define CALLS_MAX        8 /* results given at once */
#define CALLS_MAX_ROUNDS 4 /* ... and how often in a turn: a model may never have enough */

struct calls {
        const char *own[CALLS_MAX]; /* names from tools_find() */
        unsigned n_own;
        bool has_others;
        unsigned n_rounds;
};

/* A call in the model's notation.  True: it is one of ours and kept; false: it is for the client. */
bool calls_keep(struct calls *c, const char *text, size_t size);

/* Whether what is kept can be answered; else it is for the client as well. */
bool calls_can_respond(const struct calls *c);

/* Adds the results of what is kept to the model's turn. */
int calls_respond(struct calls *c, struct dialogue *d, bool thinking);

/* Takes out one of what is kept, in the model's notation; 0: there is none, else its size. */
size_t calls_take(struct calls *c, char *out, size_t out_size);

#endif
