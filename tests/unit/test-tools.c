/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/think/declared.h"
#include "daemon/think/tool-search.h"
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

#define NUMBER "{\"type\":\"number\"}"

static const struct tool many[] = {
        { "set_volume", "Sets how loud the speakers are.",
          "{\"type\":\"object\",\"properties\":{\"percent\":" NUMBER "},\"required\":[\"percent\"]}" },
        { "change_volume", "Turns it up or down.",
          "{\"type\":\"object\",\"properties\":{\"direction\":{\"type\":\"string\",\"enum\":[\"up\","
          "\"down\"]},\"percent\":" NUMBER "},\"required\":[\"direction\"]}" },
        { "set_timer", "Rings after a while.",
          "{\"type\":\"object\",\"properties\":{\"minutes\":" NUMBER "}}" },
        { "mail", "Writes to somebody.",
          "{\"type\":\"object\",\"properties\":{\"to\":{\"type\":\"array\",\"items\":{\"type\":"
          "\"string\"},\"description\":\"addresses\"},\"urgent\":{\"type\":\"boolean\"}}}" },
        { "lock-screen", "Locks it.", "{\"type\":\"object\"}" },
};

#define N_MANY (sizeof(many) / sizeof(many[0]))

/* Of what is found, the names. */
static void expect_found(const char *about, const char *names) {
        _cleanup_(freep) char *text = tool_search(many, N_MANY, about);
        json_t *found = json_loads(text, 0, NULL), *line;
        char all[512] = "";
        size_t i;

        json_array_foreach(json_object_get(found, "tools"), i, line) {
                const char *call = json_string_value(line);

                (void) snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.*s",
                                i > 0 ? " " : "", (int) strcspn(call, "{"), call);
        }
        if (strcmp(all, names) != 0)
                (void) printf("# %s: %s instead of %s\n", about, all, names);
        expect(strcmp(all, names) == 0);
        json_decref(found);
}

static void tools_are_found_by_words(void) {
        expect_found("volume", "set_volume change_volume");
        expect_found("Timers, please!", "set_timer");
        expect_found("turn the volume down", "change_volume set_volume");
        expect_found("urgent", "mail");
        expect_found("the speaker", "set_volume");
        expect_found("screen", "lock-screen");
        /* What is a part of a word, or nobody's. */
        expect_found("olum", "");
        expect_found("set the to", "");
        expect_found("", "");
}

static void what_is_found_tells_how_it_is_called(void) {
        static const struct {
                const char *about, *line;
        } rows[] = {
                { "speakers", "set_volume{percent:NUMBER} Sets how loud the speakers are." },
                { "down", "change_volume{direction:\"up\"|\"down\",percent?:NUMBER} Turns it up or down." },
                { "mail", "mail{to?:[STRING] (addresses),urgent?:BOOLEAN} Writes to somebody." },
                { "lock", "lock-screen{} Locks it." },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                _cleanup_(freep) char *text = tool_search(many, N_MANY, rows[i].about);
                json_t *found = json_loads(text, 0, NULL);
                json_t *lines = json_object_get(found, "tools");

                expect(strcmp(json_string_value(json_array_get(lines, 0)), rows[i].line) == 0);
                json_decref(found);
        }
}

static void what_is_not_found_is_told_with_what_there_is(void) {
        _cleanup_(freep) char *text = tool_search(many, N_MANY, "xyzzy");

        expect(strstr(text, "set_volume, change_volume, set_timer, mail, lock-screen"));
        expect(strstr(text, "\"error\""));
}

static void topics_are_the_words_of_names(void) {
        char topics[64];

        expect(tool_search_topics(many, N_MANY, 99, topics, sizeof(topics)) == 5);
        expect(strcmp(topics, "volume, timer, mail, lock, screen") == 0);
        expect(tool_search_topics(many, N_MANY, 2, topics, sizeof(topics)) == 2);
        expect(strcmp(topics, "volume, timer") == 0);
        /* Never half a word. */
        expect(tool_search_topics(many, N_MANY, 99, topics, 13) == 2);
        expect(strcmp(topics, "volume, mail") == 0);
}

/* A name may be long, and of any letters; words are cut at MAX_WORD bytes. */
static void no_letter_is_cut(void) {
        static const struct tool tool = { "ääääääääääääääääääääääääääääää_x", "", "{\"type\":\"object\"}" };
        char topics[256];

        expect(tool_search_topics(&tool, 1, 99, topics, sizeof(topics)) == 2);
        expect(strcmp(topics, "äääääääääääääää, x") == 0);
}

static size_t n_positions(const struct declared *d, size_t n_told, const struct declared_room *room) {
        _cleanup_(prompt_done) struct prompt p = { 0 };

        expect(prompt_begin(&p, room->tokenizer, room->system_text, d->told, n_told, true, NULL) == 0);
        return p.n_ids;
}

static bool is_told(const struct declared *d, const char *name) {
        for (size_t i = 0; i < d->n_told; i++)
                if (strcmp(d->told[i].name, name) == 0)
                        return true;
        return false;
}

/* Nothing is left out that there was room for. */
static void expect_full(struct declared *d, const struct declared_room *room) {
        for (size_t i = 0; i < d->n_all; i++) {
                if (is_told(d, d->all[i].name))
                        continue;
                d->told[d->n_told] = d->all[i];
                expect(n_positions(d, d->n_told + 1, room) > room->positions);
        }
}

/* Whatever the room, no more is told than fits; and the less there is, the less is told. */
static void tools_are_told_as_far_as_there_is_room(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        _cleanup_(toolset_freep) struct toolset *set = NULL;
        struct vocabulary v;
        struct why why = {};
        size_t n_least = SIZE_MAX;
        bool was_cut = false;

        vocabulary_begin(&v);
        expect(vocabulary_load(&v, &l, &why) == 0);
        expect(toolset_new(&set) == 0);
        for (size_t i = 0; i < N_MANY; i++)
                expect(toolset_add(set, &many[i]) == 0);

        for (size_t room = 2000; room >= 250; room -= 50) {
                const struct declared_room r = { l.t, "Be brief.", room };
                _cleanup_(declared_freep) struct declared *d = NULL;

                expect(declared_new(&d, set, &r) == 0);
                expect(d->n_all == N_MANY + 2 && n_positions(d, d->n_told, &r) <= room);
                was_cut = was_cut || d->n_told != d->n_all;
                expect(was_cut == (strcmp(d->told[0].name, DECLARED_FIND) == 0));
                if (was_cut)
                        expect(strstr(d->told[0].description, room > 300 ? "volume" : "then"));
                n_least = d->n_told < n_least ? d->n_told : n_least;
                expect_full(d, &r);
        }
        expect(was_cut && n_least == 1);
}

/* Who brings a tool that finds others is left alone. */
static void a_tool_of_that_name_is_its_providers(void) {
        static const struct tool theirs = { DECLARED_FIND, "Looks.", "{\"type\":\"object\"}" };
        _cleanup_(declared_freep) struct declared *d = NULL;
        _cleanup_(loaded_done) struct loaded l = { 0 };
        _cleanup_(toolset_freep) struct toolset *set = NULL;
        const struct declared_room room = { .positions = 300 };
        struct declared_room r = room;
        struct vocabulary v;
        struct why why = {};

        vocabulary_begin(&v);
        expect(vocabulary_load(&v, &l, &why) == 0);
        r.tokenizer = l.t;
        expect(toolset_new(&set) == 0 && toolset_add(set, &theirs) == 0);
        for (size_t i = 0; i < N_MANY; i++)
                expect(toolset_add(set, &many[i]) == 0);
        expect(declared_new(&d, set, &r) == 0);
        for (size_t i = 0; i < d->n_told; i++)
                expect(strcmp(d->told[i].name, DECLARED_FIND) != 0 ||
                       strcmp(d->told[i].description, "Looks.") == 0);
        expect(d->n_told > 0 && d->n_told < d->n_all && n_positions(d, d->n_told, &r) <= 300);
}

int main(void) {
        rule("time and date are told in local time", time_and_date_are_told_in_local_time);
        rule("a model is told in JSON", a_model_is_told_in_json);
        rule("they are declared and answered as Gemma 4 expects",
             they_are_declared_and_answered_as_gemma_expects);
        rule("other tools are for the client", other_tools_are_for_the_client);
        rule("what does not fit is no answer", what_does_not_fit_is_no_answer);
        rule("tools are found by words", tools_are_found_by_words);
        rule("what is found tells how it is called", what_is_found_tells_how_it_is_called);
        rule("what is not found is told with what there is", what_is_not_found_is_told_with_what_there_is);
        rule("topics are the words of names", topics_are_the_words_of_names);
        rule("no letter of a topic is cut", no_letter_is_cut);
        rule("tools are told as far as there is room", tools_are_told_as_far_as_there_is_room);
        rule("a tool of that name is its provider's", a_tool_of_that_name_is_its_providers);
        return tap_done();
}
