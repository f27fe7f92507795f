/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_CALLS_H
#define DAEMON_THINK_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/think/dialogue.h"

/* The calls of a model that answers freely, up to where it waits for their results, in their order.
 * Ours are answered here, all others by whoever provides them: the main thread has them carried out
 * and sends the results, with which the model goes on.  Embedded by value; owned by the inference
 * thread. */
#define CALLS_MAX        8 /* results given at once */
#define CALLS_MAX_ROUNDS 4 /* ... and how often in a turn: a model may never have enough */
#define CALLS_MAX_NAME   64
#define CALLS_MAX_BAD    2 /* calls of a turn that can not be read, and of which the model is told */

struct calls {
        struct {
                char name[CALLS_MAX_NAME + 1];
                bool is_own;
                char *answer; /* owned; what is known already: of a call that can not be read, why not;
                                 of one that looks for tools, those; NULL: nothing */
        } kept[CALLS_MAX];
        unsigned n_kept;
        bool has_others; /* that the model will get no result of */
        unsigned n_rounds, n_bad;
};

enum calls_kind {
        CALLS_OWN,     /* ours, or one that can not be read, and kept: nobody is to be told */
        CALLS_AWAITED, /* kept, and somebody is to send its result */
        CALLS_OTHER,   /* nobody waits for what comes of it */
};

/* Before the first call of a turn, and after the last one of all. */
void calls_clear(struct calls *c);

/* A call in the model's notation. */
enum calls_kind
calls_keep(struct calls *c, const struct dialogue *d, const char *text, size_t size);

/* Whether what is kept can be answered; else it is for the client as well. */
bool calls_can_respond(const struct calls *c);

/* The result of the call at this index, a JSON object, in the model's turn; NULL for one of ours.  In
 * the order of the indices. */
int calls_respond(struct calls *c, struct dialogue *d, unsigned index, const char *result_json);

/* All have their results: the model's turn goes on. */
int calls_reopen(struct calls *c, struct dialogue *d, bool thinking);

/* Takes out one of ours, in the model's notation; 0: there is none, else its size. */
size_t calls_take(struct calls *c, char *out, size_t out_size);

#endif
