/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_RECORD_H
#define DAEMON_COMMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One exchange as it is written down and told to clients.  Owns nothing: whoever fills it says how
 * long its pointers live. */
enum origin {
        ORIGIN_TEXT,
        ORIGIN_AUDIO,
        ORIGIN_MICROPHONE,
};

enum outcome {
        OUTCOME_ANSWERED,
        OUTCOME_CANCELLED,
        OUTCOME_FAILED,
};

#define TIME_NEVER (-1.0)

/* Milliseconds since the request came; TIME_NEVER for what did not happen. */
struct timings {
        double audio; /* length of the sound, not a point in time */
        double first_frame;
        double end_of_speech;
        double prefilled;
        double first_token;
        double done;
        double framing; /* of the slowest frame: from the microphone's callback to a frame */
        double caching; /* ... and, once it is known to be speech, until the model has read it */
        unsigned n_frames;
        unsigned n_prompt_positions;
        unsigned n_tokens;
        unsigned largest_backlog; /* frames that waited for the model at once */
};

struct record {
        uint64_t id;
        uint64_t session;
        uint64_t began_us; /* since 1970 */
        enum origin origin;
        enum outcome outcome;
        const char *heard;
        size_t heard_size;
        const char *answered;
        size_t answered_size;
        const char *calls_json; /* an array of {name, arguments} */
        const char *error;      /* NULL unless it failed */
        bool is_cut;
        bool is_unkept; /* of a turn that has just ended: it is not in the history (yet) */
        const char *model;
        struct timings timings;
};

/* Names as the interface and the store have them, and back; -EINVAL for another word. */
const char *origin_name(enum origin origin);
const char *outcome_name(enum outcome outcome);
int origin_from_name(const char *name, enum origin *ret);
int outcome_from_name(const char *name, enum outcome *ret);

/* The times of a turn in which nothing has happened yet. */
struct timings timings_none(void);

#endif
