/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/engine.h"
#include "model/image.h"
#include "model/sampler.h"

/* One conversation: a KV cache and a position in it.  Owned by a single thread.  Nothing below
 * allocates after session_new(). */
struct session;

#define SESSION_FRAME_SAMPLES 640 /* 40 ms at 16 kHz, one position */

struct session_config {
        unsigned max_positions; /* positions that global layers hold */
        unsigned rewind_slack;  /* positions that can surely be taken back; 0: 256 */
        bool f32_cache;         /* tests: keep keys and values unrounded */
        unsigned
                image_positions; /* of one picture, at most, and at most what the model has places for; 0: 280 */
        bool without_drafter; /* as if the engine had none */
        unsigned n_guesses; /* of a drafter, each time, at most 7; 0: as many as it pays to make */
};

int session_new(struct session **ret,
                struct engine *e,
                const struct session_config *config,
                struct why *why);
struct session *session_free(struct session *s);

/* Positions in the cache: what has been appended and not taken back.  A token that session_next()
 * returned counts from the next call on. */
unsigned session_position(const struct session *s);
unsigned session_max_positions(const struct session *s);

/* Append n tokens, or n frames of SESSION_FRAME_SAMPLES samples in [-1, 1] at 16 kHz, at the
 * current position.  Any n; the result does not depend on how the input is cut.  0; -ENOSPC when
 * the cache can not hold them all (then none was appended); -EINVAL for an id outside of the
 * vocabulary; -EOPNOTSUPP for frames when the engine does not hear. */
int session_append_tokens(struct session *s, const int32_t *ids, size_t n);
int session_append_frames(struct session *s, const float *samples, size_t n);

/* How a picture has to be cut for this session: the side of a patch, and patches at most. -EOPNOTSUPP: the engine does
 * not see. */
int session_image_format(const struct session *s, unsigned *ret_side, unsigned *ret_most);

/* Appends a picture, one position a patch, which see each other: between the two markers of a prompt. As a
 * whole, which takes long: goes_on, which may be NULL, is asked now and then. 0; -ECANCELED: it said no, and nothing was
 * appended; -ENOSPC as above; -EOPNOTSUPP: the engine does not see; -EINVAL: cut in another way. */
int session_append_image(struct session *s,
                         const struct patches *p,
                         bool (*goes_on)(void *userdata),
                         void *userdata);

/* Takes back everything from position on.  0; -ERANGE when position lies ahead, or so far back that
 * the sliding layers no longer hold what it needs (see session_oldest_rewind()). */
int session_rewind(struct session *s, unsigned position);

/* The earliest position that session_rewind() accepts now. */
unsigned session_oldest_rewind(const struct session *s);

/* Writes what was computed of the first n positions, their keys and values, to a file, of which nothing else is
 * left; a token that was not appended yet is not among them.  0; -ERANGE: there are not so many, or as
 * session_rewind(); what the system says (-ENOSPC, -EFBIG), and then the file is of no use.  The session goes on as if
 * nothing had been. */
int session_save(struct session *s, unsigned n, int fd);

/* Reads them back into a session without positions, of the same engine and the same configuration: from there
 * on it is as if they had been appended, and not a bit differs.  0; -EBADMSG: the file is not whole, or of another kind of session;
 * -EINVAL: the session has positions; what the system says.  After each of these it is as before. */
int session_load(struct session *s, int fd);

/* The logits for the next token, n_vocab of them, soft-capped, suppressed ids at -infinity; valid
 * until the next call that changes the session.  NULL when nothing has been appended. */
const float *session_logits(struct session *s);

/* The natural logarithm of the probability of this token as the next one; -infinity when it can not come. */
float session_log_probability_of(struct session *s, int32_t token);

/* From the next token on only what the engine's grammar allows is chosen, the likeliest of it,
 * beginning with the start of an answer; without a grammar this does nothing.  false: anything
 * again.  */
void session_constrain(struct session *s, bool constrained);

/* Of the constrained answer that begins now: it is likely to have these tokens, as another hearing of the same had them.
 * Nothing but the time that it takes depends on that: together with the input that is appended next they are computed in
 * one pass, and so is, always, what the grammar leaves no choice about. */
void session_expect(struct session *s, const int32_t *tokens, unsigned n);

/* The natural logarithm of the probability that the model gave to the constrained answer so far, by
 * itself: 0 when it was sure of every token.  Far below: it was probably not meant to be one of
 * these answers. */
float session_log_probability(const struct session *s);

/* The same of its share among all answers that the grammar allows: what the model would rather have
 * said, and none of them says, is left out. */
float session_log_share(const struct session *s);

/* The second likeliest token that could have been the last one of the constrained answer, and the natural
 * logarithm of its probability over that of the one that is; -infinity: there was no choice. */
float session_runner_up(const struct session *s, int32_t *ret);

/* Goes back into the constrained answer that begins at this position, of which these n tokens are there but for the
 * last one, which follows the others in the place of what did: what was chosen behind it is taken back.
 * What comes next is constrained, and its probabilities count from there on.  0; -EINVAL: no token,
 * or no grammar; -ENOENT: the grammar does not hold them; as session_rewind() and session_append_tokens(). */
int session_constrain_again(struct session *s, unsigned position, const int32_t *tokens, unsigned n);

/* Samples the next token.  1 and *ret: the token, which the session appends by itself when it goes
 * on; 0 and *ret: the turn is over, *ret is the stop token, which is not appended (<turn|>, <eos>,
 * or <|tool_response> after calls); -ENOSPC: the cache is full, which is never an end of turn;
 * -EINVAL: nothing to continue from. */
int session_next(struct session *s, struct sampler *sampler, int32_t *ret);

/* What a drafter was good for since session_new().  None of it changes a token. */
struct session_drafting {
        uint64_t n_passes;  /* of session_next() */
        uint64_t n_guessed; /* tokens */
        uint64_t n_judged;  /* ... that were looked at, as all before them were right */
        uint64_t n_held;    /* ... and were right themselves */
        unsigned n_wanted;  /* guesses of the last pass; 0: it does not pay now */
        double acceptance;  /* share of first guesses that were right of late */
        double gain; /* tokens a second over those without a drafter, of late; 0: not known */
};

/* False: there is no drafter. */
bool session_drafting(const struct session *s, struct session_drafting *ret);

#endif
