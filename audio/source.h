/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SOURCE_H
#define AUDIO_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "audio/frame.h"
#include "base/why.h"

/* A sound file as a stream of frames, through the same stages as the microphone: decode
 * (libsndfile) -> mix to mono -> 16 kHz (libsamplerate, SINC_MEDIUM) -> 640-sample frames.  WAV,
 * FLAC, OGG (Vorbis, Opus) and AIFF, told by their content; any rate from 1 kHz to 384 kHz, any
 * channel count up to 64.  n samples at rate Hz are ceil(ceil(n * 16000 / rate) / 640) frames,
 * exactly.  Owned by one thread; memory does not grow with the length of the sound. */
struct source;

/* By path (regular files only) or by descriptor, which is owned by the source on success only.  A
 * file is read from its beginning, wherever its offset stands, and without moving it.  A pipe or
 * a socket can be read too, when it is WAV: opening and reading then wait for the writer, up to
 * 10 s at a time, and frames come as the sound does.
 *
 * max_ms: longer sound is an error (-EFBIG), seen before or while reading; 0: no limit.
 * -EBADMSG: not a sound file, or damaged; -ENODATA: no samples; -EISDIR; -ETIMEDOUT: a pipe that
 * brought nothing; or what open() and read() say; each with a reason.  Of a file that was cut off,
 * what is there is read. */
int source_open_path(struct source **ret, const char *path, uint64_t max_ms, struct why *why);
int source_open_fd(struct source **ret, int fd, uint64_t max_ms, struct why *why);
struct source *source_close(struct source *s);

/* The next frame.  1 and *ret; 0 at the end (the frame before it had is_last set); -errno with a
 * reason.  captured_ns is left 0: the caller knows the clock. */
int source_read(struct source *s, struct frame *ret, struct why *why);

/* Length in milliseconds as the header says, 0 if it does not know. */
uint64_t source_length_ms(const struct source *s);

#endif
