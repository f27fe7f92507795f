/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_FAKE_SESSION_H
#define TESTS_SIM_FAKE_SESSION_H

#include <stdbool.h>

/* A scripted engine that is linked in place of the real one.  It does what the user's text says:
 *
 *   say TEXT       answers TEXT                  endless    never stops
 *   think TEXT     thinks, then answers TEXT     full       runs into the end of the context
 *   call X         calls X                       fail       fails with -EIO
 *   badcall        calls nonsense                hang       never returns
 *   first X        says "Well." and calls X      insist X   calls X, whatever it is given
 *   halfcall       stops inside a call           gate TEXT  answers TEXT, a token per fake_allow()
 *   context        answers what is in its cache, markers as [name]
 *   ticking        never stops, a thousand tokens a second
 *   repeat         says a without end            muse X     thinks without end; then answers X
 *   opencall X     calls X, without its end marker
 *
 * and answers sound with the number of frames.  The path of the model chooses what it is:
 * "fake:" with any of the words transcript, unsure (of everything), wary (and never sure enough of one word), fickle (an odd number of frames
 * calls get_date), commands (a transcriber with a grammar: hears "set a timer for fifteen minutes", nearly as likely fifty,
 * and without doubt that, or "fifty" and "no", which are another call, when it is said), halves (of these sentences
 * each has half of what the grammar allows, which is too little alone), wordy (instead of fifty the other half is "set timer for fifteen minutes"),
 * lengthy (its answer to sound never stops, as "ticking"), deaf, broken, slow (loads after fake_allow()), small (a context of 200 positions),
 * temperature (answers with that of the sampler), recommends (a temperature of 1), sees (pictures, in 4 patches of 8 pixels, or with a small context in 100), tools (its vocabulary can declare tools; results are its answer) in it.  Without a path it is a transcriber, as the pocket model is. */

/* Forgets what was allowed and who arrived; before an engine is opened. */
void fake_reset(void);

/* Lets n gated steps pass. */
void fake_allow(unsigned n);

/* Waits until the engine stands before the gate. */
void fake_wait_gate(void);

/* Waits until n more frames have been appended. */
void fake_wait_frames(unsigned n);

/* How often positions were taken back that had been appended. */
unsigned fake_n_rewound(void);

/* How often tokens were appended right behind sound: its end, also if it was taken back. */
unsigned fake_n_ended(void);

/* How often the weights of a model were given back, and how many sessions a model that is no transcriber
 * has got since fake_reset(). */
unsigned fake_n_released(void);
unsigned fake_n_sessions(void);

/* Tokens of answers that were said to be likely since fake_reset(). */
unsigned fake_n_expected(void);

/* The probability that the user's turn ends behind what was said; 0 at first. */
void fake_end_with(float probability);

/* Waits until it was asked for once more. */
void fake_wait_end(void);

/* What a transcriber, and so the gate, understands of sound that is not silence; the string has to
 * live on.  NULL: the number of frames. */
void fake_say(const char *words);

/* What a transcriber calls after sound that it understands; the string has to live on.  NULL: the time,
 * or for fickle ones the date; "": nothing. */
void fake_call(const char *call);

/* Whether the model of the wake phrase's gate fails at every frame, and how often it has. */
void fake_fail_phrase(bool fails);
unsigned fake_n_failed(void);

/* Whether appending stops at the gate too. */
void fake_gate_appends(bool gated);

#endif
