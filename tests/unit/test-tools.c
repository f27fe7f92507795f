/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/tap.h"
#include "tests/unit/vocabulary.h"

#define Q "<|\"|>"

static void time_and_date_are_told_in_local_time(void) {
        char text[128];

        (void) setenv("TZ", "UTC0", 1);
        expect(tools_answer("get_time", TOOLS_SENTENCE, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is 14:05.") == 0);
        expect(tools_answer("get_date", TOOLS_SENTENCE, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is Tuesday, 24 November 2026.") == 0);

        (void) setenv("TZ", "EAST-10", 1);
        expect(tools_answer("get_time", TOOLS_SENTENCE, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is 00:05.") == 0);
        expect(tools_answer("get_date", TOOLS_SENTENCE, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is Wednesday, 25 November 2026.") == 0);
}

static void a_model_is_told_in_json(void) {
        char text[128];

        (void) setenv("TZ", "UTC0", 1);
        expect(tools_answer("get_time", TOOLS_RESULT, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "{\"time\":\"14:05\"}") == 0);
        expect(tools_answer("get_date", TOOLS_RESULT, 1795529100, text, sizeof(text)));
        expect(strcmp(text, "{\"date\":\"2026-11-24\",\"weekday\":\"Tuesday\"}") == 0);
}

/* The prompt is the tokens of this text, in which markers count. */
static void expect_prompt(const struct prompt *p, const struct tokenizer *t, const char *text) {
        _cleanup_(freep) int32_t *ids = NULL;
        size_t n = 0;

        expect(tokenizer_encode(t, TOKENIZER_MARKERS, text, strlen(text), &ids, &n) == 0);
        expect(n == p->n_ids && memcmp(ids, p->ids, n * sizeof(*ids)) == 0);
}

/* As Gemma 4's template renders functions without parameters, a call, its result, and what follows
 * it with thinking on. */
static void they_are_declared_and_answered_as_gemma_expects(void) {
        _cleanup_(prompt_done) struct prompt p = { 0 };
        _cleanup_(loaded_done) struct loaded l = { 0 };
        struct vocabulary v;
        struct why why = {};
        const struct tool *tools;
        char result[64];
        size_t n;

        vocabulary_begin(&v);
        expect(vocabulary_load(&v, &l, &why) == 0);
        tools = tools_declared(&n);
        expect(n == 2 && tools_find("get_time") == tools[0].name && !tools_find("get"));
        expect(prompt_begin(&p, l.t, "Be brief.", tools, n, false, &why) == 0);
        expect_prompt(&p, l.t,
                      "<bos><|turn>system\nBe brief."
                      "<|tool>declaration:get_time{description:" Q
                      "Gets the current local time of day." Q ",parameters:{type:" Q "OBJECT" Q
                      "}}<tool|>"
                      "<|tool>declaration:get_date{description:" Q
                      "Gets the current local date and the day of the week." Q
                      ",parameters:{type:" Q "OBJECT" Q "}}<tool|><turn|>\n");

        prompt_clear(&p);
        (void) setenv("TZ", "UTC0", 1);
        expect(tools_answer("get_date", TOOLS_RESULT, 1795529100, result, sizeof(result)));
        expect(prompt_add_tool_response(&p, l.t, "get_date", result, &why) == 0);
        expect(prompt_open_thought(&p, l.t) == 0);
        expect_prompt(&p, l.t,
                      "<|tool_response>response:get_date{date:" Q "2026-11-24" Q ",weekday:" Q
                      "Tuesday" Q "}<tool_response|><|channel>thought\n");
}

static void other_tools_are_for_the_client(void) {
        static const char *const names[] = { "set_timer", "get_timer", "get_tim", "", "GET_TIME" };
        char text[128];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                expect(!tools_answer(names[i], TOOLS_SENTENCE, 0, text, sizeof(text)));
}

static void what_does_not_fit_is_no_answer(void) {
        char text[8];

        expect(!tools_answer("get_time", TOOLS_SENTENCE, 0, text, sizeof(text)));
}

int main(void) {
        rule("time and date are told in local time", time_and_date_are_told_in_local_time);
        rule("a model is told in JSON", a_model_is_told_in_json);
        rule("they are declared and answered as Gemma 4 expects",
             they_are_declared_and_answered_as_gemma_expects);
        rule("other tools are for the client", other_tools_are_for_the_client);
        rule("what does not fit is no answer", what_does_not_fit_is_no_answer);
        return tap_done();
}
