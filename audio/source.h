/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SOURCE_H
#define AUDIO_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/frame.h"
#include "audio/input.h"
#include "base/why.h"

/* A sound file as a stream of frames, through the same stages as the microphone: decode
 * (libsndfile) -> mix to mono -> 16 kHz (libsamplerate, SINC_MEDIUM) -> high-pass -> 640-sample frames.  WAV,
 * FLAC, OGG (Vorbis, Opus) and AIFF, told by their content; any rate from 1 kHz to 384 kHz, any
 * channel count up to 64.  n samples at rate Hz are ceil(ceil(n * 16000 / rate) / 640) frames,
 * exactly.  Owned by one thread; memory does not grow with the length of the sound. */
struct source;

struct source_config {
        struct input_config input; /* how long a pipe is waited for */
        size_t max_spooled;        /* bytes of a pipe that have to be kept in memory */
};

/* The descriptor stays the caller's and may be closed at once.  A file is read from its beginning,
 * wherever its offset stands, and without moving it.  WAV from a pipe, socket or device comes frame
 * by frame as its writer gives it; of the other kinds such a writer is first heard out, into
 * memory.  A WAV head that says 0 bytes, or nearly 2 or 4 GiB, means the end of the pipe, or of the file.
 *
 * -EBADMSG: not a sound file, or damaged; -ENODATA: no samples; -EISDIR; -ETIMEDOUT: a pipe that
 * brought nothing; -ECANCELED; or what the system says; each with a reason.  Of a file that was cut
 * off, what is there is read. */
int source_open(struct source **ret, int fd, const struct source_config *config, struct why *why);
struct source *source_close(struct source *s);

/* The next frame.  1 and *ret; 0 at the end (the frame before it had is_last set); -errno with a
 * reason.  The times are left 0: the caller knows the clock. */
int source_read(struct source *s, struct frame *ret, struct why *why);

/* Whether the frames come at the speed of their writer. */
bool source_is_live(const struct source *s);

#endif
