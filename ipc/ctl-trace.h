/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CTL_TRACE_H
#define IPC_CTL_TRACE_H

#include <stddef.h>

#include <jansson.h>

#include "ipc/ctl-svg.h"

/* What the timings of a turn say. */

#define TRACE_STEPS 5

/* The steps that it had, in their order; how many. */
size_t trace_steps(json_t *timings, struct svg_step ret[static TRACE_STEPS]);

/* Tokens a second; 0 when too few came to tell. */
double trace_speed(json_t *timings);

#endif
