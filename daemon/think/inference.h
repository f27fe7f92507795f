/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_INFERENCE_H
#define DAEMON_THINK_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "daemon/common/config.h"
#include "daemon/hear/sound.h"
#include "daemon/think/conversation.h"
#include "daemon/think/event.h"

/* The model thread, the only one that touches the session: requests and frames in, events out.
 * All functions below are for the main thread. */
struct inference;

/* Neither config nor sounds is owned. */
int inference_new(struct inference **ret, const struct config *config, struct sound_queue *sounds);
struct inference *inference_free(struct inference *i);
DEFINE_CLEANUP(struct inference *, inference_free)

/* Starts the thread, which loads the model and says so by an event. */
int inference_start(struct inference *i);

/* Loads another model, with the files that are named in config (which is copied), beside the one that goes
 * on answering; between two turns it takes its place, which EVENT_LOADED says, or EVENT_NOT_LOADED why
 * not.  -EBUSY while one is being loaded, until inference_end_load(), which follows on these events. */
int inference_load(struct inference *i, const struct config *config);
void inference_end_load(struct inference *i);

/* As pipeline_stop() and pipeline_join().  One step of a large model takes up to a second, so the
 * thread may well still run. */
void inference_stop(struct inference *i);
bool inference_join(struct inference *i, uint64_t until_ns);

/* One turn at a time: -EBUSY while the one before has not been begun.  The request's text and
 * pictures are taken over when it was accepted. */
int inference_ask(struct inference *i, const struct request *request);

/* What came of a call that was awaited (EVENT_CALL), in the order of the calls: the turn waits until
 * it has the result of each, or is ended.  What it owns is taken over when it was accepted; -EBUSY when
 * there are too many that nobody takes. */
int inference_respond(struct inference *i, const struct response *response);

/* The tools that clients provide from now on; the model is told before the next turn.  Taken over. */
void inference_set_tools(struct inference *i, struct toolset *tools);

/* Another way to servers (remote/link.h), from the next turn on; taken over. */
void inference_set_link(struct inference *i, int link_fd);

/* Ends this turn, which still gives its EVENT_DONE. */
void inference_end_turn(struct inference *i, uint64_t turn);

/* Drops the exchanges that the model is reminded of, before the next turn at the latest. */
void inference_forget(struct inference *i);

/* Gives back the model's memory as soon as no turn needs it, until one does. */
void inference_rest(struct inference *i);

/* The doorbell of the events, to be polled; clear it, then take all events. */
int inference_events_fd(const struct inference *i);
bool inference_next_event(struct inference *i, struct event *ret);

/* Counts up while the thread is alive: with every micro-batch and token, and once a second. */
unsigned long inference_beat(const struct inference *i);

#endif
