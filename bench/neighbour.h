/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_NEIGHBOUR_H
#define BENCH_NEIGHBOUR_H

/* Another program that takes half of one core, in turns of 5 ms: a thread bound to the first
 * processor that we may use. */
struct neighbour;

int neighbour_start(struct neighbour **ret);
struct neighbour *neighbour_stop(struct neighbour *n);

#endif
