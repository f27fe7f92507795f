/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/wipe.h"
#include "daemon/think/conversation-internal.h"

#define CONVERSATION_MAX_TRANSCRIPT 256

/* What the user said in the prefix of later turns, when it was not written down in time. */
#define CONVERSATION_UNHEARD "(spoken)"

/* Should it fail, the question for the transcript does, too. */
static void measure_end(struct conversation *c) {
        float probability;

        if (dialogue_measure_end(c->dialogue, &probability) >= 0)
                end_sense_note(&c->end_sense, probability);
}

/* The first steps of the question for the transcript.  1: more to do. */
static int ask_for_transcript(struct conversation *c) {
        int r;

        text_clear(&c->heard);
        r = dialogue_reopen_audio(c->dialogue);
        if (r >= 0)
                r = dialogue_feed(c->dialogue);
        answer_begin(&c->answer, false);
        reins_begin(&c->reins, CONVERSATION_MAX_TRANSCRIPT, 1);
        return r;
}

/* One token of the transcript.  1: more to do, 0: it is complete. */
static int transcribe(struct conversation *c) {
        int32_t token;
        int r;

        r = dialogue_feed(c->dialogue);
        if (r != 0)
                return r;
        r = dialogue_next(c->dialogue, true, &token);
        if (r <= 0)
                return r;
        /* What has no end, or says the same over and over, is not what was said. */
        if (reins_push(&c->reins, token, false) != REINS_LOOSE)
                return -EFBIG;
        r = answer_push(&c->answer, token);
        if (r == ANSWER_TEXT)
                r = text_append(&c->heard, c->answer.piece, c->answer.piece_size,
                                (size_t) c->config->max_text_kib * 1024);
        return r < 0 ? r : 1;
}

static void remember(struct conversation *c) {
        if (c->answered.size > 0)
                (void) dialogue_remember(c->dialogue,
                                         c->heard.size > 0 ? c->heard.data : CONVERSATION_UNHEARD,
                                         c->answered.data);
}

static void give_up_transcript(struct conversation *c) {
        text_clear(&c->heard);
        c->afterwards = AFTERWARDS_REMEMBER;
}

static void send_transcript(struct conversation *c) {
        text_trim(&c->heard);
        (void) conversation_tell_transcript(c);
        c->afterwards = AFTERWARDS_REMEMBER;
}

/* Somebody asks: what takes the model is dropped, what does not is done. */
void conversation_interrupt_work(struct conversation *c) {
        if (c->afterwards == AFTERWARDS_MEASURE || c->afterwards == AFTERWARDS_ASK ||
            c->afterwards == AFTERWARDS_TRANSCRIBE)
                give_up_transcript(c);
        if (c->afterwards == AFTERWARDS_REMEMBER)
                remember(c);
        c->afterwards = AFTERWARDS_REST;
}

bool conversation_forget_past(struct conversation *c) {
        unsigned forgotten = command_forgotten(c->command);

        if (forgotten == c->forgotten)
                return false;
        c->forgotten = forgotten;
        dialogue_forget(c->dialogue);
        elsewhere_forget(&c->elsewhere);
        wipe(&c->asked, sizeof(c->asked));
        wipe_stack();
        return true;
}

void conversation_forget_exchanges(struct conversation *c) {
        if (!conversation_forget_past(c))
                return;
        text_clear(&c->heard);
        text_clear(&c->answered);
        c->afterwards = AFTERWARDS_WARM;
}

bool conversation_work_ahead(struct conversation *c) {
        int r;

        conversation_forget_exchanges(c);
        conversation_take_tools(c);
        if (c->afterwards != AFTERWARDS_REST)
                conversation_note_work(c);
        switch (c->afterwards) {
        case AFTERWARDS_MEASURE:
                measure_end(c);
                c->afterwards = AFTERWARDS_ASK;
                return true;
        case AFTERWARDS_ASK:
                r = ask_for_transcript(c);
                if (r < 0)
                        give_up_transcript(c);
                else
                        c->afterwards = AFTERWARDS_TRANSCRIBE;
                return true;
        case AFTERWARDS_TRANSCRIBE:
                r = transcribe(c);
                if (r < 0)
                        give_up_transcript(c);
                else if (r == 0)
                        send_transcript(c);
                return true;
        case AFTERWARDS_REMEMBER:
                remember(c);
                c->afterwards = AFTERWARDS_WARM;
                return true;
        case AFTERWARDS_WARM:
                /* Should it fail, the next turn finds out, and has somebody to tell. */
                r = c->is_resting ? 0 : dialogue_warm(c->dialogue, c->config->thinking);
                if (r <= 0)
                        c->afterwards = AFTERWARDS_REST;
                return true;
        case AFTERWARDS_REST:
                conversation_rest_if_idle(c);
                return false;
        }
        return false;
}
