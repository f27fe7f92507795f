/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CONVERSATION_INTERNAL_H
#define DAEMON_CONVERSATION_INTERNAL_H

#include "daemon/conversation.h"

/* What conversation.c, where the turns are, and conversation-afterwards.c, where the work between
 * them is, want of each other. */

/* Sends what was heard, for a turn that is over. */
int conversation_tell_transcript(struct conversation *c);

/* Somebody asks: what takes the model is dropped, what does not is done. */
void conversation_interrupt_work(struct conversation *c);

/* What the user wants forgotten may be in the prefix, and be about to be put there. */
void conversation_forget_exchanges(struct conversation *c);

#endif
