/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_CONVERSATION_INTERNAL_H
#define DAEMON_THINK_CONVERSATION_INTERNAL_H

#include "daemon/think/conversation.h"

/* What the files want of each other: conversation.c, where the turns and the answers are,
 * conversation-elsewhere.c, where answers of servers are, conversation-hear.c, where everything up to an answer is, conversation-see.c, where
 * pictures are, conversation-afterwards.c, where the work between turns is, and conversation-rest.c, where it is known whether there will be any. */

/* A turn that went well and in which there was nothing to answer. */
#define CONVERSATION_NOBODY_SPOKE 1

/* A typed turn that is over: obeyed, or not understood. */
#define CONVERSATION_TYPED 2

/* A typed turn, if the model is one of commands: CONVERSATION_TYPED, or 0 when the model is to say what is
 * meant, which conversation_take_for() makes of it then, with the turn's words as in c->spoken. */
int conversation_type(struct conversation *c);
int conversation_take_for(struct conversation *c);

/* A typed turn of a model that answers freely, if it is a command beyond doubt: CONVERSATION_TYPED; 0: it is for the
 * model. */
int conversation_take_shortcut(struct conversation *c);

/* The answer is a question, if that command lacks something or there is another one: what is asked next
 * may answer it.  Before a turn, what was asked too long ago is forgotten; behind it (is_over: it went well)
 * the question that it answered, or not, is, and its own takes its place. */
void conversation_note_question(struct conversation *c,
                                const struct typed_command *command,
                                const struct typed_command *other);
void conversation_take_question(struct conversation *c);
void conversation_keep_question(struct conversation *c, bool is_over);

/* Tells what an answer says, all of whose tokens are there. */
int conversation_say(struct conversation *c, const int32_t *tokens, unsigned n_tokens);

/* A turn that a server answers.  Whether somebody is there that asks servers for us.  For a model that answers freely, in
 * its place: 0, it is answered.  For a picture that the model here can not see, in the place of all that it would do:
 * CONVERSATION_TYPED.  For what a model of commands (which made r of it) did not understand: r, or CONVERSATION_TYPED.
 * CONVERSATION_NOBODY_ELSEWHERE: no server has answered, and nothing was told. */
#define CONVERSATION_NOBODY_ELSEWHERE 3
bool conversation_may_ask_elsewhere(struct conversation *c);
int conversation_answer_elsewhere(struct conversation *c);
int conversation_show_elsewhere(struct conversation *c);
int conversation_ask_about_rest(struct conversation *c, int r);

/* A call in the model's notation, whose result is waited for, or not; and the next result for this turn. */
int conversation_emit_call(struct conversation *c, const char *text, size_t size, bool is_awaited);
int conversation_next_response(struct conversation *c, struct response *ret);

/* Hears the turn's text or sound, up to where the model begins to answer.
 * CONVERSATION_NOBODY_SPOKE: it does not. */
int conversation_hear(struct conversation *c);

/* Whether the model sees; the pictures of the turn, and those of a result, put into it. */
bool conversation_can_see(const struct conversation *c);
int conversation_see(struct conversation *c);
int conversation_see_result(struct conversation *c, const struct pictures *pictures);

/* Milliseconds from the request to that time of the monotonic clock; a pre-roll is older. */
double conversation_since_request(const struct conversation *c, uint64_t ns);

/* Models of ours answer with what they understood, and then with a call. */
bool conversation_is_transcriber(const struct conversation *c);

/* To be asked between any two steps that take time: -ECANCELED when the turn is over. */
int conversation_look_up(struct conversation *c);

/* Notes what the turn ends of, and returns r. */
int conversation_fail(struct conversation *c, enum fault fault, int r, const char *reason);

int conversation_emit(struct conversation *c, enum event_kind kind);

/* is_last: nothing of this kind follows. */
int conversation_emit_text(
        struct conversation *c, enum event_kind kind, const char *text, size_t size, bool is_last);

/* Clients may know of the turn. */
int conversation_announce(struct conversation *c);

/* What the wake phrase alone is answered with, as the pocket model does. */
#define CONVERSATION_WOKEN "call:wake{}"

/* Keeps a frame of the turn, which may have to be heard again; of those behind the first
 * CONVERSATION_MAX_KEPT nothing is kept.  The kept ones from this index on. */
#define CONVERSATION_MAX_KEPT 750
const float *conversation_kept(const struct conversation *c, unsigned index);
int conversation_keep_frame(struct conversation *c, unsigned index, const float *samples);

/* Wipes the sound of the turn. */
void conversation_wipe_frames(struct conversation *c);

/* Goes on with an answer, while_quiet only as long as no sound waits: 1 when some does, 0 when the
 * answer is over. */
int conversation_read_answer(struct conversation *c, bool while_quiet, struct heard_answer *ret);

/* Whether the model's file limits what a spoken command has among all that the grammar allows, and not what the
 * model gives to it among all that there is. */
bool conversation_counts_shares(const struct conversation *c);

/* What a transcriber answers to the sound that is in the cache, or was. */
int conversation_vote(struct conversation *c, struct ballot *ret);

/* Computes what was appended; the prefix. */
int conversation_feed(struct conversation *c);
int conversation_warm_up(struct conversation *c, bool thinking);

/* Tells the model of other tools from now on, if there are other ones. */
void conversation_take_tools(struct conversation *c);

/* Sends what was heard, for a turn that is over. */
int conversation_tell_transcript(struct conversation *c);

/* Somebody asks: what takes the model is dropped, what does not is done. */
void conversation_interrupt_work(struct conversation *c);

/* The model rests when it was of no use for IdleAfter, or is told to; the next turn that needs it wakes
 * it.  Both tell the main thread. */
void conversation_note_use(struct conversation *c);

/* The model does something: that memory ran short by now was its doing. */
void conversation_note_work(struct conversation *c);
void conversation_rest_if_idle(struct conversation *c);
void conversation_wake(struct conversation *c);

/* What the user wants forgotten may be in the prefix, and, when no turn runs, be about to be put there.
 * True: something was to be forgotten. */
bool conversation_forget_past(struct conversation *c);
void conversation_forget_exchanges(struct conversation *c);

#endif
