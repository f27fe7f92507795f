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
        OUTCOME_CUT,      /* ... but the answer ended at its limit of tokens */
        OUTCOME_REPEATED, /* ... but it was ended, because it said the same over and over */
        OUTCOME_CANCELLED,
        OUTCOME_FAILED,
};

/* Why a turn that went well has no answer. */
enum unanswered {
        UNANSWERED_NOT, /* it has one, or nothing is known of why not */
        UNANSWERED_NOBODY_SPOKE,
        UNANSWERED_TOO_QUIET,      /* somebody may have spoken, but too faintly or too shortly to be found */
        UNANSWERED_NOT_A_COMMAND,  /* what was heard is for somebody else */
        UNANSWERED_NOT_UNDERSTOOD, /* what was typed is no sentence that we know */
        UNANSWERED_UNSURE,         /* it was heard as a command, but not for certain */
};

/* How it was known that who spoke had finished. */
enum ending {
        ENDING_NONE,       /* there was nothing to end: a text, or a file */
        ENDING_SILENCE,    /* by a silence alone */
        ENDING_WHOLE,      /* by a shorter one, behind a sentence that was whole */
        ENDING_OPEN,       /* ... that was whole and could have gone on */
        ENDING_UNFINISHED, /* by a longer one, behind what was no sentence yet */
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

/* What of a turn went to a server, and what came back. */
#define REMOTE_SERVER_SIZE 160
#define REMOTE_ERROR_SIZE  200
struct remote_record {
        char server[REMOTE_SERVER_SIZE]; /* the last one that it was sent to; empty: to none */
        char error[REMOTE_ERROR_SIZE];   /* why it did not answer; empty: it did */
        uint64_t n_sent, n_received;     /* bytes */
        double asked, first;             /* milliseconds since the request: it was sent, an answer began */
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
        enum unanswered unanswered;
        const char *hint; /* the sentence that was probably meant; NULL: there is none */
        enum ending ending;
        bool is_cut;
        bool is_unkept; /* of a turn that has just ended: it is not in the history (yet) */
        const char *model;
        struct timings timings;
        struct remote_record remote;
};

/* A copy with the texts that it points to behind it, but without its model's name; NULL: out of memory.
 * ret_size: of the texts.  What was said is wiped when it is freed, which may be on the way to being
 * forgotten. */
struct record *record_copy(const struct record *turn, size_t *ret_size);
struct record *record_free(struct record *copy, size_t size);

/* Names as the interface and the store have them, and back; -EINVAL for another word. */
const char *origin_name(enum origin origin);
const char *outcome_name(enum outcome outcome);
int origin_from_name(const char *name, enum origin *ret);
int outcome_from_name(const char *name, enum outcome *ret);

/* Whether the turn went well, as far as it went. */
static inline bool outcome_is_good(enum outcome outcome) {
        return outcome == OUTCOME_ANSWERED || outcome == OUTCOME_CUT || outcome == OUTCOME_REPEATED;
}

/* The same; the first of them has no name: NULL. */
const char *unanswered_name(enum unanswered unanswered);
const char *ending_name(enum ending ending);
int unanswered_from_name(const char *name, enum unanswered *ret);
int ending_from_name(const char *name, enum ending *ret);

/* The times of a turn in which nothing has happened yet. */
struct timings timings_none(void);
struct remote_record remote_none(void);

#endif
