/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PROCESSORS_H
#define MODEL_PROCESSORS_H

#include <sched.h>

/* Which processors are worth a thread of the model.  Every product waits for its last item, so cores
 * that are much slower than the fastest, as hybrid processors have them, and second hyper-threads,
 * which share the arithmetic of the first, do not help and cost power. */

/* Of the processors `allowed`, one of every physical core of the fast kind, as sysfs (mounted at sys,
 * usually "/sys") tells: the kind that Intel's hybrids list as cpu_core; else those of at least 70 % of
 * the largest cpu_capacity or, where that is unknown, cpuinfo_max_freq; else all.  Returns how many, and
 * sets *fast to them and to the hyper-threads beside them. */
unsigned processors_fast(cpu_set_t *fast, const cpu_set_t *allowed, const char *sys);

#endif
