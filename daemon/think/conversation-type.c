/* SPDX-License-Identifier: Apache-2.0 */
/* A typed turn of a model that answers with commands.  What the grammar of its file holds is done as
 * it was typed; of the rest the model says which sentence it means, and that counts only if nothing in
 * it says something else than what was typed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/wipe.h"
#include "daemon/think/contrast.h"
#include "daemon/think/conversation-internal.h"

/* Nothing is done of it, whoever is right; the nearest sentence is named. */
static int not_understood(struct conversation *c) {
        c->unanswered = UNANSWERED_NOT_UNDERSTOOD;
        if (wording_is_sayable(&c->wording))
                (void) typed_suggest(c->typed, &c->wording, c->hint, sizeof(c->hint));
        return CONVERSATION_TYPED;
}

static int obey(struct conversation *c, const struct typed_result *result) {
        unsigned n_left = c->request.max_tokens;
        int r = 0;

        if (result->n_commands == 1)
                conversation_note_question(c, &result->commands[0], NULL);

        c->has_heard = true;
        c->timings.prefilled = c->timings.first_token =
                conversation_since_request(c, clock_now_ns());
        c->timings.n_tokens = 0;
        for (unsigned i = 0; r >= 0 && i < result->n_commands; i++) {
                const struct typed_command *command = &result->commands[i];
                unsigned n = command->n_tokens < n_left ? command->n_tokens : n_left;

                if (n < command->n_tokens)
                        c->outcome = OUTCOME_CUT;
                r = conversation_say(c, command->tokens, n);
                c->timings.n_tokens += n;
                n_left -= n;
        }
        return r < 0 ? r : CONVERSATION_TYPED;
}

/* What is typed in the place of a command: said or called, and nothing of the grammar. */
static int pass_on(struct conversation *c, bool is_call, const char *words) {
        int r;

        c->has_heard = true;
        c->timings.prefilled = c->timings.first_token =
                conversation_since_request(c, clock_now_ns());
        c->timings.n_tokens = 0;
        r = conversation_emit_text(c, is_call ? EVENT_CALL : EVENT_TOKEN, words, strlen(words), is_call);
        return r < 0 ? r : CONVERSATION_TYPED;
}

/* What the grammar made of a text; nothing of it where the text wants more than that. */
static int obey_or_tell(struct conversation *c, const struct typed_result *result) {
        char call[TYPED_MAX_CALL];
        bool is_taken = result->n_commands == 1 &&
                        typed_takes(c->typed, &c->wording, &result->commands[0], call);
        const char *reply = typed_beyond(c->typed, &c->wording, result->commands,
                                         is_taken ? 0 : result->n_commands);

        if (reply)
                return pass_on(c, /* is_call= */ false, reply);
        return is_taken ? pass_on(c, /* is_call= */ true, call) : obey(c, result);
}

/* By how people ask.  0: nobody knows. */
static int take_as_meant(struct conversation *c, struct typed_result *result) {
        struct typed_meaning meaning;

        switch (typed_means(c->typed, &c->wording, &meaning)) {
        case TYPED_MEANS_COMMAND:
                result->n_commands = 1;
                result->commands[0] = meaning.command;
                return obey(c, result);
        case TYPED_MEANS_REPLY:
                return pass_on(c, /* is_call= */ false, meaning.words);
        case TYPED_MEANS_CALL:
                return pass_on(c, /* is_call= */ true, meaning.call);
        case TYPED_MEANS_HINT:
                c->unanswered = UNANSWERED_NOT_UNDERSTOOD;
                (void) snprintf(c->hint, sizeof(c->hint), "%s", meaning.words);
                return CONVERSATION_TYPED;
        case TYPED_MEANS_NOTHING:
                break;
        }
        return 0;
}

void conversation_note_question(struct conversation *c,
                                const struct typed_command *command,
                                const struct typed_command *other) {
        if (!other && !typed_asks(c->typed, command))
                return;
        c->asking = (struct typed_asked){ .command = *command };
        if (other)
                c->asking.other = *other;
}

void conversation_take_question(struct conversation *c) {
        if (c->request.asked_ns >= c->answer_until_ns)
                wipe(&c->asked, sizeof(c->asked));
}

/* What nobody is to know of is no answer, and no reason to forget the question. */
void conversation_keep_question(struct conversation *c, bool is_over) {
        if (!c->is_ignored) {
                c->asked = is_over ? c->asking : (struct typed_asked){ 0 };
                c->answer_until_ns = clock_now_ns() +
                                     (uint64_t) c->config->follow_up_seconds * 1000000000;
        }
        wipe(&c->asking, sizeof(c->asking));
}

int conversation_type(struct conversation *c) {
        enum typed_verdict verdict;
        struct typed_result result;
        const char *reply;
        int r;

        if (!c->typed || c->request.origin != ORIGIN_TEXT)
                return 0;
        r = conversation_announce(c);
        if (r < 0)
                return r;
        r = wording_read(&c->wording, c->request.text, c->request.text_size);
        if (r < 0 || c->wording.n_words == 0) {
                c->unanswered = UNANSWERED_NOT_UNDERSTOOD;
                return CONVERSATION_TYPED;
        }
        result.n_commands = 1;
        verdict = typed_answer(c->typed, &c->asked, &c->wording, &result.commands[0]);
        if (verdict == TYPED_NOTHING)
                verdict = typed_parse(c->typed, &c->wording, &result);
        switch (verdict) {
        case TYPED_COMMANDS:
                return obey_or_tell(c, &result);
        case TYPED_TAKEN_BACK:
                c->unanswered = UNANSWERED_NOT_A_COMMAND;
                return CONVERSATION_TYPED;
        case TYPED_IN_PART:
                reply = typed_postpones(c->typed, &c->wording);
                return reply ? pass_on(c, /* is_call= */ false, reply) : not_understood(c);
        case TYPED_NOTHING:
                break;
        }
        r = take_as_meant(c, &result);
        if (r != 0)
                return r;
        /* The model has learnt from words as they are spoken. */
        if (!wording_is_sayable(&c->wording))
                return not_understood(c);
        r = wording_write(&c->wording, c->spoken, sizeof(c->spoken));
        return r < 0 ? not_understood(c) : 0;
}

/* Of all that the model could say, as much is asked for as a spoken command needs of what the grammar
 * allows: that there are words which the grammar does not hold is a doubt by itself. */
static float least_of_meant(const struct conversation *c) {
        const struct engine *engine = dialogue_engine(c->dialogue);

        return conversation_counts_shares(c) ? engine_least_log_share(engine)
                                             : engine_least_log_probability(engine);
}

/* What the model makes of it may not be taken for more than another way to say the same. */
static bool is_to_be_believed(struct conversation *c, const struct typed_command *command) {
        char sentence[TYPED_MAX_SENTENCE];

        if (command->call == command->n_tokens ||
            dialogue_log_probability(c->dialogue) < least_of_meant(c))
                return false;
        (void) typed_sentence(c->typed, command->tokens, command->n_tokens, sentence,
                              sizeof(sentence));
        return contrast_agrees(c->spoken, sentence) &&
               typed_is_about(c->typed, c->spoken, sentence);
}

int conversation_take_for(struct conversation *c) {
        const int32_t call_begin =
                tokenizer_special(engine_tokenizer(dialogue_engine(c->dialogue)))->call_begin;
        struct typed_result result = { .n_commands = 1 };
        struct typed_command *command = &result.commands[0];
        int32_t token;
        int r = 1;

        command->call = TYPED_MAX_TOKENS;
        while (command->n_tokens < TYPED_MAX_TOKENS && command->n_tokens < c->request.max_tokens) {
                r = conversation_look_up(c);
                if (r >= 0)
                        r = dialogue_next(c->dialogue, /* exact= */ true, &token);
                if (r <= 0)
                        break;
                if (token == call_begin && command->call == TYPED_MAX_TOKENS)
                        command->call = command->n_tokens;
                command->tokens[command->n_tokens++] = token;
        }
        if (r < 0)
                return r;
        if (command->call > command->n_tokens)
                command->call = command->n_tokens;
        c->timings.n_tokens = command->n_tokens;
        /* Any words can follow "do not", and the model does not always find their end; no sentence is as long. */
        if (r > 0 && command->n_tokens == TYPED_MAX_TOKENS && command->call == command->n_tokens)
                return not_understood(c);
        /* Ended by its limit, which says nothing of what was meant. */
        if (r > 0) {
                c->outcome = OUTCOME_CUT;
                return CONVERSATION_TYPED;
        }
        if (!is_to_be_believed(c, command))
                return not_understood(c);
        return obey(c, &result);
}
