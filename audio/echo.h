/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_ECHO_H
#define AUDIO_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes out of what the microphone hears what the loudspeaker plays, so that somebody who speaks over it
 * is heard and it is not: speexdsp's canceller, which learns the way through the room.  (Its suppressor of
 * what is left takes of a voice over a faint echo more than of the echo, and is left out.)  Both sounds come as they come, at 16 kHz, each with the time at which
 * its last sample was there; how far one is behind the other is found here.  While nothing is played,
 * and for a second after that, sound passes as it is.  Owned by one thread; after creation
 * nothing allocates. */
struct echo;

#define ECHO_BLOCK 320 /* samples, 20 ms: sound comes out in such pieces, */
#define ECHO_HELD  6   /* ... of which so many wait for what was played meanwhile */

/* 0 or -ENOMEM. */
int echo_new(struct echo **ret);
struct echo *echo_free(struct echo *e);

/* What the loudspeaker was given since. */
void echo_play(struct echo *e, const float *samples, size_t n, uint64_t at_ns);

/* What the microphone has heard since.  Writes whole blocks, at most n + ECHO_HELD * ECHO_BLOCK samples;
 * how many.  What is not written yet comes with the next ones. */
size_t echo_cancel(struct echo *e, const float *samples, size_t n, uint64_t at_ns, float *out);

/* So many samples of the microphone were lost, and what is held of it does not count. */
void echo_gap(struct echo *e, uint64_t n);

/* Whether the loudspeaker plays, or has a moment ago. */
bool echo_is_active(const struct echo *e);

/* How many samples behind what was played the canceller looks first; a test wants to know. */
unsigned echo_delay(const struct echo *e);

#endif
