/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_DIALOGUE_H
#define DAEMON_THINK_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/config.h"
#include "daemon/think/tools.h"
#include "model/engine.h"
#include "model/prompt.h"
#include "model/session.h"

/* 12 s of speech, which is more than most say at once: for so much there is room before SpeechPositions. */
#define DIALOGUE_SPEECH_FRAMES 300

/* The model and what is in its cache: a prefix that is kept warm between turns (the system text and
 * recent exchanges), and behind it the turn at hand.  Everything long happens in micro-batches of
 * BatchFrames positions, one per call, so that the caller can look at its commands in between.
 * Owned by the inference thread. */
struct dialogue;

/* Loads the model: takes long. */
int dialogue_open(struct dialogue **ret, const struct config *config, struct why *why);
struct dialogue *dialogue_close(struct dialogue *d);
DEFINE_CLEANUP(struct dialogue *, dialogue_close)

/* Why the drafter that is there can not be used; empty: it is, or there is none. */
const char *dialogue_drafter_error(const struct dialogue *d);

/* As session_drafting(), of all sessions since it was opened. */
bool dialogue_drafting(const struct dialogue *d, struct session_drafting *ret);

const struct engine *dialogue_engine(const struct dialogue *d);
unsigned dialogue_position(const struct dialogue *d);
unsigned dialogue_max_positions(const struct dialogue *d);

/* One step towards a cache that holds the prefix and nothing else.  1: there is more to do, 0: it
 * is there. */
int dialogue_warm(struct dialogue *d, bool thinking);

/* Whether what was computed last are numbers; the weights of a damaged file may be none. */
bool dialogue_computes(const struct dialogue *d);

/* Gives back the memory of the weights and of the cache, which is empty then; the next dialogue_warm() begins with
 * what was computed of the system text and of the tools, which is kept in a file where that can be (see keepsake.h). */
void dialogue_rest(struct dialogue *d);

/* Begins a user's turn behind the prefix, which has to be there: with a text, or with the opening of
 * an audio.  -EFBIG when the text and n_reserved more positions do not fit into the context. */
int dialogue_open_text(struct dialogue *d, const char *text, size_t size, unsigned n_reserved);
int dialogue_open_audio(struct dialogue *d);

/* How a picture is to be cut, as session_image_format().  A picture: its opening, which has to be fed before it is
 * appended as a whole, as session_append_image(), and its end.  In the user's turn, which the first one of these opens, before
 * a text or behind an audio; or behind the result of a call. */
int dialogue_image_format(const struct dialogue *d, unsigned *ret_side, unsigned *ret_most);
int dialogue_open_image(struct dialogue *d);
int dialogue_append_image(struct dialogue *d,
                          const struct patches *patches,
                          bool (*goes_on)(void *userdata),
                          void *userdata);
int dialogue_close_image(struct dialogue *d);

/* Frames of an opened audio, as many as are appended at once. */
int dialogue_append_frames(struct dialogue *d, const float *samples, size_t n);

/* Frames of the opened audio that are in the cache. */
unsigned dialogue_n_frames(const struct dialogue *d);

/* Before n more frames: whether the oldest exchanges have to be left out of the prefix for the sound to
 * stay below SpeechPositions.  Then the cache is to be filled again: by dialogue_warm(), by
 * dialogue_open_audio() and by all of the frames.  dialogue_restore() lets them back in. */
bool dialogue_yield(struct dialogue *d, unsigned n);
void dialogue_restore(struct dialogue *d);

/* Forgets the last n frames again, which were appended since dialogue_open_audio(); not when the
 * session can no longer go back so far. */
int dialogue_take_back(struct dialogue *d, unsigned n);

/* Ends the audio; the place is kept for dialogue_reopen_audio(). */
int dialogue_close_audio(struct dialogue *d);

/* Ends the user's turn: the model is next. */
int dialogue_close_user(struct dialogue *d, bool thinking);

/* Whether the model has been told of tools; and whether one of this name is ours, and not a client's. */
bool dialogue_has_tools(const struct dialogue *d);
bool dialogue_owns_tool(const struct dialogue *d, const char *name);

/* What the model is answered that calls DECLARED_FIND, as declared_find(); NULL, too, when it has no tools. */
char *dialogue_find_tools(const struct dialogue *d, const json_t *arguments);

/* The tools that clients provide from now on, which the next dialogue_warm() tells the model of.  Taken
 * over. */
void dialogue_set_tools(struct dialogue *d, struct toolset *tools);

const struct toolset *dialogue_tools(const struct dialogue *d); /* NULL: there are none */

/* The result of a call, a JSON object, where the model has stopped to wait for it; after the last of
 * them the model's turn goes on, with a thought if it is to think. */
int dialogue_respond(struct dialogue *d, const char *name, const char *result_json);
int dialogue_reopen_model(struct dialogue *d, bool thinking);

/* Ends the thought that the model is in, after the last token of dialogue_next(). */
int dialogue_close_thought(struct dialogue *d);

/* As if the audio had ended: dialogue_close_audio() and dialogue_close_user() at once, after which
 * dialogue_feed() appends, and dialogue_foresee() computes what the first token will be chosen from.
 * dialogue_fall_back() is at the last frame again, and more may follow, as if nothing had been. */
int dialogue_run_ahead(struct dialogue *d, bool thinking);
void dialogue_foresee(struct dialogue *d);

/* The probability that the user's turn ends with the audio, by the model: after dialogue_run_ahead() and before
 * dialogue_feed(), of what was heard so far; and after an answer of what was heard, which is at its end then, for
 * dialogue_reopen_audio() to go on from. */
int dialogue_foresee_end(struct dialogue *d, float *ret);
int dialogue_measure_end(struct dialogue *d, float *ret);

int dialogue_fall_back(struct dialogue *d);

/* One step of appending what the functions above have put together.  1: more to do, 0: all is
 * appended. */
int dialogue_feed(struct dialogue *d);

/* Back to the end of the last audio, with another question about it: what was said?  Not an error
 * when that is no longer possible: -ERANGE. */
int dialogue_reopen_audio(struct dialogue *d);

/* The next token, as session_next().  Exact: the most likely one, whatever is configured. */
int dialogue_next(struct dialogue *d, bool exact, int32_t *ret);

/* Back to where the audio was opened, to hear other frames in the place of those that were heard;
 * then the same end of the turn again, to which the answer may be those n tokens (session_expect()).  -ERANGE
 * when that is no longer possible. */
int dialogue_rewind_audio(struct dialogue *d);
int dialogue_close_again(struct dialogue *d, const int32_t *likely, unsigned n);

/* As session_constrain_again(), with the position where the answer begins. */
int dialogue_answer_again(struct dialogue *d, unsigned position, const int32_t *tokens, unsigned n);

/* Of the answer so far, as session_log_probability() and session_log_share(); of its last token, as
 * session_runner_up(). */
float dialogue_log_probability(const struct dialogue *d);
float dialogue_log_share(const struct dialogue *d);
float dialogue_runner_up(const struct dialogue *d, int32_t *ret);

/* Adds an exchange to the prefix to come and takes the oldest out until HistoryPositions holds
 * them. */
int dialogue_remember(struct dialogue *d, const char *heard, const char *answered);

/* Takes all of them out. */
void dialogue_forget(struct dialogue *d);

#endif
