/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_WAVHEAD_H
#define AUDIO_WAVHEAD_H

#include <stdint.h>

#include "audio/input.h"
#include "base/why.h"

/* The head of a WAV stream that cannot be seeked in.  libsndfile is not used for these: it reads
 * beyond its own buffer when what comes out of a pipe looks like MP3 (1.2.0), and it asks for the
 * end of the stream.  Any thread. */

enum wav_encoding {
        WAV_PCM_8, /* unsigned, as WAV has it */
        WAV_PCM_16,
        WAV_PCM_24,
        WAV_PCM_24_IN_32, /* in the lower three bytes; what the fourth is does not matter */
        WAV_PCM_32,
        WAV_FLOAT_32,
        WAV_FLOAT_64,
        WAV_ALAW,
        WAV_ULAW,
};

struct wavhead {
        enum wav_encoding encoding;
        uint32_t rate;
        uint16_t channels; /* not 0 */
        int64_t n_bytes;   /* of samples; INT64_MAX when the writer did not know */
        int64_t offset;    /* of the first of them */
};

/* Reads up to the first sample.  -EBADMSG with a reason, -ENODATA when nothing came at all, or the
 * errno of the input. */
int wavhead_read(struct wavhead *ret, struct input *in, struct why *why);

#endif
