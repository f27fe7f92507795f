/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_GATE_H
#define DAEMON_HEAR_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

/* Tells whether speech begins with the wake phrase: the pocket model inside of the program, next to
 * the model that answers.  It only has to be right about the first two words; what comes behind them
 * may be anything.  Owned by one thread. */
struct gate;

#define GATE_PHRASE "hey gemma"

enum gate_verdict {
        GATE_NO,
        GATE_PHRASE_FIRST, /* the phrase, and something behind it */
        GATE_PHRASE_ALONE,
};

int gate_open(struct gate **ret, struct why *why);
struct gate *gate_close(struct gate *g);
DEFINE_CLEANUP(struct gate *, gate_close)

/* Before the first frame of each segment of speech.  hears_stop: whether "stop", said alone, counts as well. */
int gate_begin(struct gate *g, bool hears_stop);

/* Frames as for session_append_frames(), cut anywhere: the verdict does not depend on it.  What comes after the first GATE_MAX_FRAMES is not looked
 * at: the phrase is long over by then. */
#define GATE_MAX_FRAMES 250 /* 10 s */
int gate_append(struct gate *g, const float *samples, size_t n);

/* Whether the phrase has been found before the end of the speech. */
bool gate_has_phrase(const struct gate *g);

/* Whether "stop" has been said, which is known while the speech goes on, too: nothing but that so far. */
bool gate_has_stop(const struct gate *g);

/* After the last frame.  A verdict or -errno. */
int gate_decide(struct gate *g);

/* What the pocket model makes of the whole of the speech, after gate_decide() was GATE_NO: a call in
 * its notation, and in the last case what was heard, both until the next speech.  1; 0: no call that it
 * is sure of; or -errno. */
struct text;
int gate_take_for(struct gate *g, const struct text **ret_heard, const struct text **ret_call);

/* The verdict on a transcript that has been believed. */
enum gate_verdict gate_judge(const char *text, size_t size);

#endif
