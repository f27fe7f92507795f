/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_FAKE_STARTER_H
#define TESTS_SIM_FAKE_STARTER_H

/* Linked in place of daemon/hear/starter.c: workers are threads of this process, so that they open the
 * microphone that is played (tests/sim/fake-capture.h).  A thread can not be killed: one that does not
 * end when it is asked is left behind, and waited for by starter_free(). */

/* Of the test, if it has one: called in the thread of each worker before all else. */
void fake_starter_begins(void) __attribute__((weak));

/* Starting a worker fails with this from now on, 0: succeeds. */
void fake_starter_refuse(int r);

/* The worker that was started last is gone, without a word. */
void fake_starter_crash(void);

/* Waits until no worker runs any more. */
void fake_starter_wait(void);

/* Workers come that do nothing at all. */
void fake_starter_stall(int is_stalled);

/* The socket of such a worker, to do anything in its place. */
int fake_starter_stalled(void);

#endif
