/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_DOUBT_H
#define MODEL_DOUBT_H

/* The same command has many wordings, and a model that hears "set the timer" and "set a timer" as nearly
 * alike is sure of the command all the same, but of neither sentence.  So where an answer is not probable
 * enough by itself, the likeliest others are looked for, and those that lead to the same call count for it.
 * Pure functions: any thread. */

/* So many others are looked for.  Of 1,800 clips, half of them commands, two gave as much as five. */
#define DOUBT_MAX 2

/* An answer with so much of what the grammar allows needs no others. */
#define DOUBT_SURE 0.8f

/* Where another token could best have stood in an answer of which the first n tokens matter, the likeliest
 * first: indices of tokens, and how many.  log_shares[i] is session_log_share() behind token i,
 * odds[i] session_runner_up() of it.  What would have next to nothing is none. */
unsigned doubt_find(const float *log_shares, const float *odds, unsigned n, unsigned ret[DOUBT_MAX]);

#endif
