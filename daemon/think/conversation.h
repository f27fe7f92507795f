/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_CONVERSATION_H
#define DAEMON_THINK_CONVERSATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "daemon/common/answer.h"
#include "daemon/common/config.h"
#include "daemon/common/expected.h"
#include "daemon/common/pictures.h"
#include "daemon/common/record.h"
#include "daemon/common/text.h"
#include "daemon/hear/command.h"
#include "daemon/hear/gate.h"
#include "daemon/hear/sound.h"
#include "daemon/think/calls.h"
#include "daemon/think/dialogue.h"
#include "daemon/think/elsewhere.h"
#include "daemon/think/end-sense.h"
#include "daemon/think/event.h"
#include "daemon/think/reins.h"
#include "daemon/think/shortcut.h"
#include "daemon/think/typed.h"
#include "daemon/think/wording.h"

/* How a turn goes: hear, answer, and what is left to do when it is over.  Owned by the inference
 * thread, which calls the functions below in a loop. */
struct request {
        uint64_t turn;
        enum origin origin;
        char *text; /* owned; NULL for sound */
        size_t text_size;
        struct pictures pictures; /* owned */
        bool is_uncalled;  /* nobody is told before it is certain that it counts */
        bool needs_phrase; /* ... which it only does with the wake phrase */
        bool needs_words;  /* ... and for a transcriber with more than one word */
        struct expected expected; /* ... but these calls count without either */
        bool thinking;
        unsigned max_tokens;
        uint64_t asked_ns; /* where the times of the turn start */
};

/* What came of a call of a turn, for a model that waits for it. */
struct response {
        uint64_t turn;
        char *result_json; /* owned; an object that can be written in the model's notation */
        struct pictures pictures; /* owned: what it shows */
};
void response_done(struct response *r);

/* In this order; a request ends the first three early. */
enum afterwards {
        AFTERWARDS_MEASURE, /* see whether the model knew that the turn was at its end */
        AFTERWARDS_ASK, /* append the question for the transcript */
        AFTERWARDS_TRANSCRIBE,
        AFTERWARDS_REMEMBER,
        AFTERWARDS_WARM,
        AFTERWARDS_REST,
};

/* What a transcriber answers, of several hearings; no command is longer. */
#define BALLOT_MAX_TOKENS 96

struct ballot {
        int32_t tokens[BALLOT_MAX_TOKENS];
        unsigned n_tokens;
        float log_probability;      /* of its call */
        struct typed_command rival; /* another call that is nearly as likely; no tokens: there is none */
};

/* One hearing's answer, as it comes. */
struct heard_answer {
        int32_t tokens[BALLOT_MAX_TOKENS];
        unsigned n_tokens;
        unsigned call;   /* the first token of the call; n_tokens: there is none (yet) */
        unsigned n_sure; /* so many tokens the model was sure of, all together */
        bool is_over;
        bool is_cut; /* ... by MaxTokens */
        float probability; /* or the share, when the limits are of shares */
        /* What each token could have been, too, and the end behind them; the logarithm of its probability over
         * the token's; and of the share of all tokens up to there among what the grammar allows. */
        int32_t rivals[BALLOT_MAX_TOKENS + 1];
        float odds[BALLOT_MAX_TOKENS + 1], log_shares[BALLOT_MAX_TOKENS + 1];
};

struct conversation {
        const struct config *config; /* not owned */
        struct sound_queue *sounds;  /* not owned */
        struct event_queue *events;  /* not owned */
        struct command *command;     /* not owned */
        struct spsc *responses;      /* not owned; of struct response */
        struct toolset *_Atomic
                *tools; /* not owned; owned what it holds: the newest, NULL: taken */

        struct dialogue *dialogue; /* owned; NULL before the model is loaded */
        struct gate *gate;         /* owned; NULL before it was needed */
        struct answer answer;
        struct calls calls; /* of the turn */
        struct reins reins; /* ... and of what is said in it */
        float *samples;     /* owned, [BatchFrames][FRAME_SAMPLES] */
        uint64_t batch_ns;  /* when the first of them was given */
        float *kept;        /* owned; the frames of the turn; NULL before the first */

        struct request request; /* the turn at hand, or the last one */
        struct timings timings;
        enum outcome outcome; /* of an answer that is not complete, OUTCOME_ANSWERED: it is */
        enum fault fault;
        struct why why;
        float log_probability; /* of what was voted */
        bool is_held_back;     /* the model rests on until it is known whether it is called */
        bool is_ahead;         /* the turn is closed although its sound may go on */
        struct heard_answer ahead; /* ... and what a transcriber has answered to it by now */
        struct end_sense end_sense;
        enum ending ending;    /* how the end of the sound was known */
        bool is_faint;         /* no word was found in the sound */
        bool is_told;          /* that the turn has started */
        bool is_ignored;       /* the turn does not count */
        bool is_expected;      /* ... but for calls that were expected */
        bool has_heard;        /* the transcript has been sent completely */
        bool is_doubted;       /* the model was not sure of it: nothing was heard */
        bool is_cut;           /* not all of the sound was heard */

        struct elsewhere elsewhere;
        atomic_int *link_fd; /* not owned; owned what it holds: the newest way to servers, -1: taken */
        struct remote_record remote;                         /* of the turn */
        uint64_t remote_sent_before, remote_received_before; /* ... by its questions before this one */
        bool is_settled; /* the model here has answered in a way that is for nobody else */

        struct typed *typed;     /* owned; NULL: the model has no grammar of commands */
        struct wording wording;  /* of a typed turn */
        char spoken[4096];       /* ... in words, for the model */
        enum unanswered unanswered;
        char hint[EVENT_HINT_SIZE];

        struct shortcut *shortcut; /* owned; NULL before it was needed */
        bool is_shortcut;          /* the turn was done without the model */

        struct typed_asked asked;  /* what the answer before was a question about, if it was one */
        struct typed_asked asking; /* ... and what this one is */
        uint64_t answer_until_ns;  /* who asks by then may answer it */

        enum afterwards afterwards;
        struct text heard, answered; /* of the last turn, for the prefix */
        unsigned forgotten;          /* command_forgotten() when last looked */

        unsigned rested;  /* command_rested() when last looked */
        uint64_t worked_ns; /* when the model last did anything */
        uint64_t used_ns; /* when the model was last of use to somebody */
        bool is_resting;  /* its memory has been given back */
};

int conversation_init(struct conversation *c);
void conversation_done(struct conversation *c);

/* Loads the model and puts the prefix into its cache. */
int conversation_load(struct conversation *c, struct why *why);

/* Runs one turn to its EVENT_DONE; the request's text and pictures are taken over. */
void conversation_run(struct conversation *c, const struct request *request);

/* One step of what is left to do while nobody asks.  False: nothing is. */
bool conversation_work_ahead(struct conversation *c);

/* Sleeps until the doorbell rings, at most a second. */
void conversation_wait(struct conversation *c);

#endif
