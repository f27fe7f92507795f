/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CONTEXT_H
#define BENCH_CONTEXT_H

#include "model/engine.h"

/* A cache that holds as many positions as wanted, of invented content: what one more position costs
 * behind many, without the hours that computing them would take. */
struct context;

int context_new(struct context **ret, struct engine *e, unsigned max_positions);
struct context *context_free(struct context *c);

/* One pass of n positions of a token behind `before` others; before + n <= max_positions. */
void context_pass(struct context *c, unsigned before, unsigned n, int32_t token);

#endif
