/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_ENDPOINT_H
#define AUDIO_ENDPOINT_H

#include <stdbool.h>

#include "audio/frame.h"

/* Tells when somebody begins and ends to speak.  Every 10 ms the spectrum in 20 bands is compared
 * with the noise of the room, which is the smallest that each band has lately been, so that it
 * follows a fan but not a voice; what is compared is a likelihood and not a level, so that speech
 * is found down to where it is about as loud as the noise.  To that first stage everything that is not
 * steady is speech; what it finds is put before a second one that has learnt what people sound like
 * (audio/detector.h).  Owned by one thread. */
struct endpoint;

struct endpoint_config {
        unsigned start_ms; /* so much speech makes a beginning; shorter is a click */
        unsigned pause_ms; /* so much silence within an utterance makes a pause */
        unsigned end_ms;   /* so much silence ends it */
        bool is_unlearned; /* the first stage alone */
};

#define ENDPOINT_DEFAULTS                                                                          \
        ((struct endpoint_config){                                                                 \
                .start_ms = 100,                                                                   \
                .pause_ms = 200,                                                                   \
                .end_ms = 700,                                                                     \
        })

/* What a frame is. */
enum endpoint_verdict {
        ENDPOINT_SILENCE, /* nobody speaks */
        ENDPOINT_START,   /* it is certain now that somebody does; see endpoint_onset() */
        ENDPOINT_SPEECH,  /* within an utterance */
        ENDPOINT_PAUSE, /* within an utterance, silent for pause_ms or longer; SPEECH may follow */
        ENDPOINT_END,   /* silent for end_ms: the utterance ended with this frame */
};

/* 0, or what detector_new() says.  Times count in steps of 10 ms and are judged at the end of each frame. */
int endpoint_new(struct endpoint **ret, const struct endpoint_config *config);
struct endpoint *endpoint_free(struct endpoint *e);

/* Judges the next frame.  A frame with a gap is judged like any other.  Never allocates. */
enum endpoint_verdict endpoint_push(struct endpoint *e, const struct frame *frame);

/* After START: how many frames before that one the caller should hand on as well, so that the
 * beginning of the first word is not lost (8 as a rule, ENDPOINT_ONSET_MAX at most). */
unsigned endpoint_onset(const struct endpoint *e);
#define ENDPOINT_ONSET_MAX 14

/* How likely it is that somebody spoke, 0 to 1, in the frame that was pushed so many before the last one:
 * the best that is known of it by now, which is final ENDPOINT_LATE frames later.  Without the second
 * stage it is always 1. */
float endpoint_probability(const struct endpoint *e, unsigned n_back);
#define ENDPOINT_LATE 3 /* n_back is at most this */

/* Ends an utterance from outside (cancelled, too long): the next verdict is SILENCE or START.  What
 * is known of the room stays. */
void endpoint_abandon(struct endpoint *e);

/* How long nobody has spoken, within an utterance or in front of one, in ms. */
unsigned endpoint_silence_ms(const struct endpoint *e);

/* The room's noise in dB below full scale, for `gemmactl status`. */
float endpoint_noise_db(const struct endpoint *e);

#endif
