/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the calls of the turn that runs: they are carried out one after the other, in the
 * order in which the model made them, and the turn is over when the last of them is. */
#include "daemon/turn/turns.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "daemon/turn/answers.h"
#include "daemon/turn/nobody.h"
#include "daemon/turn/turns-internal.h"
#include "model/toolcall.h"

#define SENTENCE_SIZE 512

static enum begun begun_of(const struct turn *turn) {
        if (turn->origin != ORIGIN_MICROPHONE)
                return BEGUN_TYPED;
        if (!turn->is_uncalled)
                return BEGUN_PRESSED;
        return turn->needs_phrase && !turn->is_expected ? BEGUN_PHRASE : BEGUN_OPEN;
}

/* Sentences, and what the model has said itself, are not one word. */
static void say_sentence(struct turns *t, const char *sentence) {
        const struct text *answered = &t->running->answered;

        if (answered->size > 0 && !strchr(" \n", answered->data[answered->size - 1]))
                turns_on_token(t, " ", 1);
        turns_on_token(t, sentence, strlen(sentence));
}

/* A value in the form in which a model can be given it: of a result that its notation can not hold,
 * the JSON text.  The caller frees it; NULL when that is not possible either. */
static char *write_value(json_t *value) {
        _cleanup_(freep) char *written = NULL;
        char *text = json_dumps(value, JSON_COMPACT);
        json_t *as_text;

        if (text && toolcall_write_response(&written, "tool", value, NULL) >= 0)
                return text;
        as_text = json_pack("{s:s}", "value", text ? text : "");
        free(text);
        text = NULL;
        if (as_text && toolcall_write_response(&written, "tool", as_text, NULL) >= 0)
                text = json_dumps(as_text, JSON_COMPACT);
        json_decref(as_text);
        return text;
}

static char *write_result(const struct result *result) {
        json_t *value;
        char *text;

        if (result->value)
                return write_value(result->value);
        if (result->error || result->text)
                value = json_pack("{s:s}", result->error ? "error" : "text",
                                  result->error ? result->error : result->text);
        else
                value = json_pack("{s:b}", "done", 1);
        text = value ? write_value(value) : NULL;
        json_decref(value);
        return text;
}

/* The turn can not go on without it. */
static void give_up(struct turns *t) {
        turns_spoil(t->running, "the result of a call did not reach the model");
        inference_end_turn(t->config.inference, t->running->id);
}

static void send_result(struct turns *t, const struct result *result) {
        struct response response = { .turn = t->running->id, .result_json = write_result(result) };

        if (!response.result_json)
                response.result_json =
                        strdup("{\"error\":\"The result can not be written down.\"}");
        if (result->pictures)
                response.pictures = pictures_take(result->pictures);
        if (response.result_json && inference_respond(t->config.inference, &response) >= 0)
                return;
        response_done(&response);
        give_up(t);
}

/* Of a call whose result the model has got, it is the model that tells; should it say nothing, the
 * sentence is there. */
static void take_result(struct turns *t, const struct result *result) {
        struct turn *turn = t->running;
        const char *sentence = result->error ? result->error : result->text;
        struct news news = {
                .kind = NEWS_RESULT,
                .turn = turn,
                .text = sentence,
                .text_size = sentence ? strlen(sentence) : 0,
                .call = json_array_get(turn->calls, turn->n_carried),
                .is_error = result->error != NULL,
        };
        bool is_awaited = turn->n_carried < turn->n_awaited;

        turns_tell(t, &news);
        turn->n_carried++;
        if (is_awaited && !turn->is_model_done)
                send_result(t, result);
        if (!sentence)
                return;
        if (!is_awaited) {
                say_sentence(t, sentence);
                return;
        }
        if (turn->unsaid.size > 0)
                (void) text_append(&turn->unsaid, " ", 1, turns_max_text(t));
        (void) text_append(&turn->unsaid, sentence, strlen(sentence), turns_max_text(t));
}

static void on_result(const struct result *result, void *userdata) {
        struct turns *t = userdata;

        t->running->errand = 0;
        t->running->was_kept_up = true;
        take_result(t, result);
        turns_carry_on(t);
}

/* What nobody provides is answered here if it can be, and in any case at once. */
static void answer_here(struct turns *t, const struct errand *errand, int r) {
        bool desktop_runs =
                t->config.toolbox && toolbox_has_provider(t->config.toolbox, NOBODY_DESKTOP);
        struct result result = {};
        char sentence[SENTENCE_SIZE];

        if (r == -EPERM)
                result.error = "Say the wake phrase before that, or press the key.";
        else if (r == -EBUSY)
                result.error = "Too much is being done at once.";
        else if (r != -ENOENT)
                result.error = "That could not be begun.";
        else if (strcmp(errand->name, "help") == 0 &&
                 answers_help(t->loaded.help, sentence, sizeof(sentence)))
                result.text = sentence;
        else if (answers_say(errand->name, errand->arguments, time(NULL), sentence,
                             sizeof(sentence)))
                result.text = sentence;
        else if (nobody_say(errand->name, desktop_runs, sentence, sizeof(sentence)))
                result.error = sentence;
        take_result(t, &result);
}

/* True: it is under way, and on_result() comes. */
static bool carry_out_next(struct turns *t) {
        struct turn *turn = t->running;
        json_t *call = json_array_get(turn->calls, turn->n_carried);
        const char *name = json_string_value(json_object_get(call, "name"));
        const struct errand errand = {
                .name = name,
                .arguments = json_object_get(call, "arguments"),
                .turn = turn->id,
                .begun = begun_of(turn),
                .sees = turn->sees && turn->n_carried < turn->n_awaited,
                .done = on_result,
                .userdata = t,
        };
        int r = -ENOENT;

        if (t->config.toolbox)
                r = toolbox_call(t->config.toolbox, &errand, &turn->errand);
        if (r >= 0)
                return true;
        answer_here(t, &errand, r);
        return false;
}

static bool has_calls_left(const struct turn *turn) {
        return turn->n_carried < json_array_size(turn->calls);
}

/* The model is done, and nothing is under way. */
static void conclude(struct turns *t) {
        struct turn *turn = t->running;
        _cleanup_(freep) char *unsaid = TAKE_PTR(turn->unsaid.data);

        turn->unsaid = (struct text){};
        if (turns_end_cancelled(t))
                return;
        if (unsaid && *unsaid)
                say_sentence(t, unsaid);
        if (turn->was_kept_up)
                turn->timings.done = clock_ms(clock_now_ns() - turn->asked_ns);
        if (turn->fault != FAULT_NONE)
                turn->outcome = OUTCOME_FAILED;
        turns_finish_running(t);
}

void turns_carry_on(struct turns *t) {
        struct turn *turn = t->running;

        while (turn->errand == 0 && !turn->is_cancelled && turn->fault == FAULT_NONE &&
               has_calls_left(turn))
                if (carry_out_next(t))
                        return;
        if (turn->errand != 0)
                return;
        if (turn->is_model_done)
                conclude(t);
        else if (turn->n_carried < turn->n_awaited)
                /* A turn that has failed does nothing more, and the model may not wait for it. */
                inference_end_turn(t->config.inference, turn->id);
}

void turns_give_up_errand(struct turns *t, struct turn *turn) {
        if (t->config.toolbox)
                toolbox_forget(t->config.toolbox, turn->errand);
        turn->errand = 0;
}

/* A turn that has done all that it was to do was cancelled too late. */
bool turns_end_cancelled(struct turns *t) {
        struct turn *turn = t->running;

        if (!turn || !turn->is_cancelled || !turn->is_model_done || !has_calls_left(turn))
                return false;
        turn->outcome = OUTCOME_CANCELLED;
        turn->fault = FAULT_NONE;
        turn->why = (struct why){};
        turns_finish_running(t);
        return true;
}
