/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_REFERENCE_H
#define AUDIO_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include <pulse/pulseaudio.h>

/* What a sound server's loudspeakers play, as the monitor of its default sink has it: 16 kHz, one channel.
 * Recorded while the microphone is open, to take it out of that; while nothing is played the server may
 * put its devices to sleep all the same. */
struct reference;

/* 0 or -ENOMEM. */
int reference_new(struct reference **ret);

/* The loop's thread must have ended, or reference_drop() have been called. */
struct reference *reference_free(struct reference *r);

/* For the thread of the context's loop: which sink it is from now on, and that there is none any more. */
void reference_use(struct reference *r, pa_context *context, const char *sink);
void reference_drop(struct reference *r);

/* For one other thread: up to n samples, oldest first, how many there were, and the time of the last one that
 * has come, which may have come after them and never before.  Never waits. */
size_t reference_read(struct reference *r, float *samples, size_t n, uint64_t *ret_ns);

#endif
