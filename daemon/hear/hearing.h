/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_HEARING_H
#define DAEMON_HEAR_HEARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/endpoint.h"
#include "audio/frame.h"
#include "base/cleanup.h"
#include "daemon/common/record.h"

/* Decides which frames of the microphone, or of a file, belong to a turn.  Time is counted in frames
 * only.
 *
 * Unless the key is held, a turn begins with the first word, pre-roll included, and ends with a
 * silence of end_ms, or of another length when it is known what was said (hearing_judge()); of a pause only the beginning is handed over until speech goes on, so that the
 * silence at the end costs the model next to nothing.  While the key is held, a turn lasts until
 * hearing_finish(), whatever is silent; of the silence before the first word and after the last one
 * as little is handed over.  If no word is found, all counts, and so does silence of
 * HEARING_DOUBT_MS: it may be a voice that is too faint.
 * Frames that the model has not taken wait here, at most HEARING_BACKLOG of them; a turn that would
 * need more is cut.  Owned by the pipeline thread. */
struct hearing;

#define HEARING_BACKLOG  750 /* 30 s */
#define HEARING_DOUBT_MS 15000

struct hearing_config {
        unsigned end_ms;
        unsigned preroll_ms;   /* at most HEARING_MAX_PREROLL_MS */
        unsigned patience_ms;  /* until the first word */
        unsigned speculate_ms; /* a pause as long as this may be the end; 0: none is */
        bool is_unlearned;     /* by the endpointer's first stage alone */
};

#define HEARING_MAX_PREROLL_MS 2000

int hearing_new(struct hearing **ret, const struct hearing_config *config);
struct hearing *hearing_free(struct hearing *h);
DEFINE_CLEANUP(struct hearing *, hearing_free)

/* A turn begins.  max_frames: it is ended there. */
void hearing_begin(struct hearing *h, bool is_held, unsigned max_frames);

/* The same for speech that nobody has called for: waited for without end. */
void hearing_wait(struct hearing *h, unsigned max_frames);

/* The stream has ended: of what was heard until now nothing is the pre-roll of what comes. */
void hearing_forget(struct hearing *h);

/* The same, and nothing of what was heard until now stays in memory, but what a turn still waits for. */
void hearing_wipe(struct hearing *h);

/* Changes where the turn at hand is ended. */
void hearing_set_limit(struct hearing *h, unsigned max_frames);

/* Whether the turn's first word was heard. */
bool hearing_has_begun(const struct hearing *h);

/* The next frame of the microphone, within a turn or not. */
void hearing_push(struct hearing *h, const struct frame *frame);

/* The key was let go, or whoever spoke says that he has done. */
void hearing_finish(struct hearing *h);

/* The turn is over; what was not taken is forgotten. */
void hearing_abandon(struct hearing *h);

/* The next frame of the turn.  False: there is none, yet or ever. */
bool hearing_take(struct hearing *h, struct frame *ret);

/* The frame that comes so many after the next one, if it could be taken by now, else NULL.  Valid until
 * the next hearing_push(). */
const struct frame *hearing_peek(const struct hearing *h, size_t n_after);

/* Frames that could be taken. */
size_t hearing_n_ready(const struct hearing *h);

/* Whether a pause has come that may be the end of the turn, of which all frames up to there were
 * taken.  True once or twice in a pause: early, when no more of its silence than makes a pause was
 * heard, and when a little more was.  Between the two nothing is there to be taken. */
bool hearing_take_pause(struct hearing *h, bool *ret_is_early);

/* What was said up to the pause that was taken, while it lasts: how long a silence has to be to end the
 * turn.  ENDING_WHOLE: HEARING_WHOLE_MS, ENDING_OPEN: HEARING_OPEN_MS, both only if that is less than
 * end_ms; ENDING_UNFINISHED: HEARING_UNFINISHED_MS, if that is more. */
void hearing_judge(struct hearing *h, enum ending ending);

#define HEARING_WHOLE_MS      200
#define HEARING_OPEN_MS       500
#define HEARING_UNFINISHED_MS 2000

/* How it was known that the turn's speech was over; ENDING_NONE: it was ended by something else. */
enum ending hearing_ending(const struct hearing *h);

/* No more frames will come to be ready in this turn. */
bool hearing_has_ended(const struct hearing *h);

/* Whether a turn counts although no word was found in it: who holds the key, or plays a file, may speak too
 * faintly to be found. */
bool hearing_is_faint(const struct hearing *h);

bool hearing_is_speaking(const struct hearing *h);

/* In dB below full scale. */
float hearing_noise_db(const struct hearing *h);

/* How many of its first frames count of a turn that was ended although somebody spoke, because it
 * was too long, or the model too slow for it; 0: it was not. */
unsigned hearing_n_kept(const struct hearing *h);

/* How many ms are missing, because the microphone lost them, from the midst of what was said in this
 * turn, or from its very beginning: 0: none; FRAME_GAP_UNKNOWN: nobody knows.  A frame's length or less
 * does not count. */
unsigned hearing_n_torn_ms(const struct hearing *h);

#endif
