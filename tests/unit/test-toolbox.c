/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/toolbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/turn/nobody.h"
#include "daemon/turn/offer.h"
#include "tests/tap.h"

/* Providers are functions here; nothing waits for a time but the rule about time, and that one only
 * until it is over.  A wait in vain ends the test by SIGALRM. */
#define PLAIN "\"parameters\":{\"type\":\"object\"}"

static sd_event *loop;
static struct toolbox *toolbox;
static unsigned n_changed;

/* What was asked of providers, and what came of calls. */
static struct {
        uint64_t id; /* of the last call */
        const char *whose;
        unsigned n_calls, n_done;
        char text[128], error[128], value[128];
} seen;

static void on_changed(void *userdata) {
        (void) userdata;
        n_changed++;
}

static void open_box(void) {
        (void) alarm(60);
        memset(&seen, 0, sizeof(seen));
        n_changed = 0;
        expect(sd_event_new(&loop) >= 0);
        expect(toolbox_new(&toolbox, loop, on_changed, NULL) == 0);
}

static void close_box(void) {
        toolbox_free(toolbox);
        sd_event_unref(loop);
        (void) alarm(0);
}

static void turn_loop(void) {
        while (sd_event_run(loop, 0) > 0)
                ;
}

static void carry_out(uint64_t id, const struct errand *errand, void *userdata) {
        (void) errand;
        seen.id = id;
        seen.whose = userdata;
        seen.n_calls++;
}

static void carry_out_at_once(uint64_t id, const struct errand *errand, void *userdata) {
        const struct result result = { .text = errand->name };
        const char *fault;

        carry_out(id, errand, userdata);
        expect(toolbox_respond(toolbox, id, &result, &fault) == 0);
        expect(seen.n_done == 0);
}

static struct provider *provide_by(void (*how)(uint64_t, const struct errand *, void *),
                                   const char *name,
                                   const char *text) {
        json_t *tools = json_loads(text, 0, NULL);
        struct provider_config config = {
                .name = name,
                .tools = tools,
                .carry_out = how,
                .userdata = (void *) name,
        };
        struct provider *p = NULL;
        struct why why = {};

        expect(offer_check(tools, &why) == 0);
        expect(toolbox_provide(toolbox, &p, &config) == 0);
        json_decref(tools);
        return p;
}

static struct provider *provide(const char *name, const char *tool) {
        char text[256];

        (void) snprintf(text, sizeof(text), "[{\"name\":\"%s\",\"description\":\"\"," PLAIN "}]",
                        tool);
        return provide_by(carry_out, name, text);
}

static void on_done(const struct result *result, void *userdata) {
        char *value = result->value ? json_dumps(result->value, JSON_COMPACT) : NULL;

        (void) userdata;
        seen.n_done++;
        (void) snprintf(seen.text, sizeof(seen.text), "%s", result->text ? result->text : "");
        (void) snprintf(seen.error, sizeof(seen.error), "%s", result->error ? result->error : "");
        (void) snprintf(seen.value, sizeof(seen.value), "%s", value ? value : "");
        free(value);
}

static int begin(const char *name, enum begun begun, uint64_t *ret) {
        json_t *arguments = json_object();
        struct errand errand = {
                .name = name,
                .arguments = arguments,
                .begun = begun,
                .done = on_done,
        };
        int r = toolbox_call(toolbox, &errand, ret);

        json_decref(arguments);
        return r;
}

static uint64_t call(const char *name) {
        uint64_t id = 0;

        expect(begin(name, BEGUN_TYPED, &id) == 0 && id > 0);
        return id;
}

static int respond(uint64_t id, const char *text, const char *error) {
        const struct result result = { .text = text, .error = error };
        const char *fault = NULL;

        return toolbox_respond(toolbox, id, &result, &fault);
}

static void a_call_goes_to_who_provides_it(void) {
        struct result result = { .text = "Done." };
        const char *fault;
        uint64_t id;

        open_box();
        expect(begin("up", BEGUN_TYPED, &id) == -ENOENT);
        provide("one", "up");
        provide("two", "down");
        expect(n_changed == 2 && toolbox_has(toolbox, "up") && !toolbox_has(toolbox, "left"));
        id = call("up");
        expect(seen.id == id && strcmp(seen.whose, "one") == 0);
        result.value = json_pack("{s:i}", "percent", 40);
        expect(toolbox_respond(toolbox, id, &result, &fault) == 0);
        json_decref(result.value);
        expect(seen.n_done == 0);
        turn_loop();
        expect(seen.n_done == 1 && strcmp(seen.text, "Done.") == 0);
        expect(strcmp(seen.value, "{\"percent\":40}") == 0 && !*seen.error);
        close_box();
}

static void an_answer_from_within_the_call_is_told_later(void) {
        open_box();
        provide_by(carry_out_at_once, "one", "[{\"name\":\"up\",\"description\":\"\"," PLAIN "}]");
        (void) call("up");
        expect(seen.n_done == 0);
        turn_loop();
        expect(seen.n_done == 1 && strcmp(seen.text, "up") == 0);
        close_box();
}

static void of_two_the_newer_one_wins_until_it_goes(void) {
        struct provider *newer;

        open_box();
        provide("old", "up");
        newer = provide("new", "up");
        (void) call("up");
        expect(strcmp(seen.whose, "new") == 0);
        expect(toolbox_has_provider(toolbox, "old") && toolbox_has_provider(toolbox, "new"));
        provider_free(newer);
        turn_loop();
        expect(seen.n_done == 1 && strcmp(seen.error, "new did not answer.") == 0);
        (void) call("up");
        expect(strcmp(seen.whose, "old") == 0 && !toolbox_has_provider(toolbox, "new"));
        expect(n_changed == 3);
        close_box();
}

static void who_is_late_counts_as_silent(void) {
        uint64_t id;

        open_box();
        provide_by(carry_out, "slow",
                   "[{\"name\":\"up\",\"description\":\"\",\"timeout\":0.02," PLAIN "}]");
        id = call("up");
        while (seen.n_done == 0)
                if (sd_event_run(loop, UINT64_MAX) < 0)
                        break;
        expect(strcmp(seen.error, "slow did not answer.") == 0);
        expect(respond(id, "Done.", NULL) == -ENOENT);
        turn_loop();
        expect(seen.n_done == 1);
        close_box();
}

static void only_the_first_answer_counts(void) {
        uint64_t id;

        open_box();
        provide("one", "up");
        id = call("up");
        expect(respond(id + 1, "?", NULL) == -ENOENT && respond(0, "?", NULL) == -ENOENT);
        expect(respond(id, "First.", NULL) == 0);
        expect(respond(id, "Second.", NULL) == -ENOENT);
        turn_loop();
        expect(respond(id, "Third.", NULL) == -ENOENT);
        turn_loop();
        expect(seen.n_done == 1 && strcmp(seen.text, "First.") == 0);
        close_box();
}

static void an_error_is_the_result(void) {
        open_box();
        provide("one", "up");
        expect(respond(call("up"), "Done.", "It is broken.") == 0);
        turn_loop();
        expect(strcmp(seen.error, "It is broken.") == 0 && !*seen.text);
        close_box();
}

static void an_answer_that_is_too_long_is_an_error(void) {
        char text[OFFER_MAX_TEXT + 2];
        const struct result result = { .text = text };
        const char *fault = NULL;
        uint64_t id;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        open_box();
        provide("one", "up");
        id = call("up");
        expect(toolbox_respond(toolbox, id, &result, &fault) == -EINVAL);
        expect(fault && strcmp(fault, "text") == 0);
        expect(respond(id, "Done.", NULL) == -ENOENT);
        turn_loop();
        expect(strcmp(seen.error, "one gave an answer that can not be used.") == 0);
        close_box();
}

static void what_asks_before_is_not_begun_by_anybody(void) {
        uint64_t id;

        open_box();
        provide_by(carry_out, "one",
                   "[{\"name\":\"off\",\"description\":\"\",\"confirm\":true," PLAIN "}]");
        expect(begin("off", BEGUN_OPEN, &id) == -EPERM && seen.n_calls == 0);
        for (enum begun b = BEGUN_TYPED; b <= BEGUN_CALL; b++)
                expect(b == BEGUN_OPEN || begin("off", b, &id) == 0);
        close_box();
}

static void a_flood_is_refused(void) {
        uint64_t id, first;

        open_box();
        provide("one", "up");
        first = call("up");
        for (unsigned i = 1; i < TOOLBOX_MAX_CALLS; i++)
                (void) call("up");
        expect(begin("up", BEGUN_CALL, &id) == -EBUSY && seen.n_calls == TOOLBOX_MAX_CALLS);
        expect(respond(first, NULL, NULL) == 0);
        turn_loop();
        (void) call("up");
        close_box();
}

static void there_are_so_many_providers(void) {
        json_t *tools = json_loads("[{\"name\":\"up\",\"description\":\"\"," PLAIN "}]", 0, NULL);
        struct provider_config config = { .name = "one", .tools = tools, .carry_out = carry_out };
        struct provider *p = NULL;

        open_box();
        for (unsigned i = 0; i < TOOLBOX_MAX_PROVIDERS; i++)
                expect(toolbox_provide(toolbox, &p, &config) == 0);
        expect(toolbox_provide(toolbox, &p, &config) == -EBUSY);
        provider_free(p);
        expect(toolbox_provide(toolbox, &p, &config) == 0);
        json_decref(tools);
        close_box();
}

/* Whoever waited may be gone, also between the answer and its being told. */
static void what_is_forgotten_is_not_told(void) {
        uint64_t id;

        open_box();
        provide("one", "up");
        id = call("up");
        toolbox_forget(toolbox, id);
        toolbox_forget(toolbox, id);
        toolbox_forget(toolbox, 0);
        expect(respond(id, "Done.", NULL) == -ENOENT);
        id = call("up");
        expect(respond(id, "Done.", NULL) == 0);
        toolbox_forget(toolbox, id);
        turn_loop();
        expect(seen.n_done == 0);
        close_box();
}

static void add_name(const struct tool_info *info, void *userdata) {
        char *names = userdata;

        (void) snprintf(names + strlen(names), 128 - strlen(names), "%s(%s%s) ", info->name,
                        info->provider, info->needs_confirmation ? "!" : "");
}

static void what_there_is_is_listed_by_name(void) {
        char names[128] = "";

        open_box();
        provide_by(carry_out, "one",
                   "[{\"name\":\"zoom\",\"description\":\"\"," PLAIN "},"
                   "{\"name\":\"off\",\"description\":\"\",\"confirm\":true," PLAIN "}]");
        provide("two", "zoom");
        provide("two", "alarm");
        toolbox_list(toolbox, add_name, names);
        expect(strcmp(names, "alarm(two) off(one!) zoom(two) ") == 0);
        close_box();
}

static bool is_offer(const char *text) {
        json_t *tools = json_loads(text, 0, NULL);
        struct why why = {};
        int r = offer_check(tools, &why);

        expect(tools && (r == 0 || (r == -EINVAL && why.text[0])));
        json_decref(tools);
        return r == 0;
}

static void a_tool_is_looked_at(void) {
#define TOOL(name, rest) "[{\"name\":\"" name "\",\"description\":\"d\"" rest "}]"
        expect(is_offer(TOOL("a", "," PLAIN)));
        expect(is_offer(TOOL("set_volume-2", ",\"timeout\":120,\"confirm\":false," PLAIN)));
        expect(is_offer(TOOL("a", ",\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{"
                                  "\"type\":\"number\"}},\"required\":[\"n\"]}")));
        expect(!is_offer("[]"));
        expect(!is_offer(TOOL("", "," PLAIN)) && !is_offer(TOOL("1a", "," PLAIN)));
        expect(!is_offer(TOOL("a b", "," PLAIN)) && !is_offer(TOOL("a}<x", "," PLAIN)));
        expect(!is_offer(TOOL("a", "")) && !is_offer(TOOL("a", ",\"parameters\":{}")));
        expect(!is_offer(TOOL("a", ",\"parameters\":{\"type\":\"string\"}")));
        expect(!is_offer(TOOL("a", ",\"timeout\":0," PLAIN)));
        expect(!is_offer(TOOL("a", ",\"timeout\":-1," PLAIN)));
        expect(!is_offer(TOOL("a", ",\"timeout\":121," PLAIN)));
        expect(!is_offer(TOOL("a", ",\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{"
                                   "\"type\":\"<|\\\"|>\",\"description\":\"<|\\\"|>\"}}}")));
        expect(!is_offer("[{\"name\":\"a\",\"description\":\"\"," PLAIN "},"
                         "{\"name\":\"a\",\"description\":\"\"," PLAIN "}]"));
}

/* A list with as much of one thing as is told. */
static bool is_large_offer(
        unsigned n_tools, unsigned name, unsigned description, unsigned deep, unsigned wide) {
        json_t *tools = json_array(), *inner = json_object();
        char *text = malloc(65536);
        struct why why = {};
        int r;

        memset(text, 'x', 65535);
        text[wide] = '\0';
        (void) json_object_set_new(inner, "d", json_string(text));
        text[wide] = 'x';
        for (unsigned i = 2; i < deep; i++)
                inner = json_pack("{s:o}", "x", inner);
        inner = json_pack("{s:s, s:o}", "type", "object", "more", inner);
        for (unsigned i = 0; i < n_tools; i++) {
                char own[256];

                (void) snprintf(own, sizeof(own), "%.*s%03u", (int) name - 3, text, i);
                text[description] = '\0';
                (void) json_array_append_new(tools,
                                             json_pack("{s:s, s:s, s:O}", "name", own,
                                                       "description", text, "parameters", inner));
                text[description] = 'x';
        }
        r = offer_check(tools, &why);
        json_decref(tools);
        json_decref(inner);
        free(text);
        return r == 0;
}

static void an_offer_has_limits(void) {
        expect(is_large_offer(64, 64, 1024, 8, 7000));
        expect(!is_large_offer(65, 8, 1, 2, 1));
        expect(!is_large_offer(1, 65, 1, 2, 1));
        expect(!is_large_offer(1, 8, 1025, 2, 1));
        expect(!is_large_offer(1, 8, 1, 9, 1));
        expect(!is_large_offer(1, 8, 1, 2, 8192));
}

static void a_name_is_one_line(void) {
        expect(offer_is_name("gemmad-desktop") && offer_is_name("my own tools"));
        expect(!offer_is_name("") && !offer_is_name("a\nb") && !offer_is_name("\x1b[2J"));
        expect(!offer_is_name("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

static bool is_said(const char *name, bool runs, const char *sentence) {
        char out[128] = "";

        return nobody_say(name, runs, out, sizeof(out)) == (*sentence != '\0') &&
               strcmp(out, sentence) == 0;
}

static void what_nobody_does_is_said_in_words(void) {
        expect(is_said("set_timer", false,
                       "Nothing here can set timers: gemmad-desktop is not running."));
        expect(is_said("set_timer", true, "Nothing here can set timers."));
        expect(is_said("orderDrink", false, "Nothing here can carry out orderDrink."));
        expect(is_said("wake", false, "") && is_said("stop", true, ""));
}

/* What a tool lists is all that it is asked for. */
static void a_value_that_is_not_listed_is_refused(void) {
        static const char tools[] =
                "[{\"name\":\"turn\",\"description\":\"x\",\"parameters\":{\"type\":\"object\",\"properties\":{"
                "\"direction\":{\"type\":\"string\",\"enum\":[\"left\",\"right\",\"back\"]},"
                "\"name\":{\"type\":\"string\"}}}}]";
        static const struct {
                const char *arguments, *error; /* NULL: it is carried out */
        } rows[] = {
                { "{\"direction\":\"left\",\"name\":\"x\"}", NULL },
                { "{}", NULL },
                { "{\"direction\":null}", NULL },
                { "{\"direction\":\"sideways\"}",
                  "'direction' can be left, right or back, but not \"sideways\"." },
                { "{\"direction\":\"Left\"}",
                  "'direction' can be left, right or back, but not \"Left\"." },
                { "{\"direction\":3}", "'direction' can be left, right or back, but not 3." },
        };
        struct provider *p;

        open_box();
        p = provide_by(carry_out, "car", tools);
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                json_t *arguments = json_loads(rows[i].arguments, 0, NULL);
                const struct errand errand = {
                        .name = "turn", .arguments = arguments, .begun = BEGUN_CALL, .done = on_done
                };
                unsigned n = seen.n_calls, n_done = seen.n_done;
                uint64_t id;

                expect(toolbox_call(toolbox, &errand, &id) == 0);
                turn_loop();
                expect(seen.n_calls == n + !rows[i].error);
                expect(seen.n_done == n_done + !!rows[i].error);
                if (rows[i].error)
                        expect(strcmp(seen.error, rows[i].error) == 0);
                json_decref(arguments);
        }
        provider_free(p);
        close_box();
}

int main(void) {
        log_open(LOG_ERR);
        rule("a call goes to who provides it", a_call_goes_to_who_provides_it);
        rule("an answer from within the call is told later",
             an_answer_from_within_the_call_is_told_later);
        rule("of two the newer one wins until it goes", of_two_the_newer_one_wins_until_it_goes);
        rule("who is late counts as silent", who_is_late_counts_as_silent);
        rule("only the first answer counts", only_the_first_answer_counts);
        rule("an error is the result", an_error_is_the_result);
        rule("an answer that is too long is an error", an_answer_that_is_too_long_is_an_error);
        rule("what asks before is not begun by anybody", what_asks_before_is_not_begun_by_anybody);
        rule("a flood is refused", a_flood_is_refused);
        rule("there are so many providers and no more", there_are_so_many_providers);
        rule("what is forgotten is not told", what_is_forgotten_is_not_told);
        rule("what there is, is listed by name", what_there_is_is_listed_by_name);
        rule("a tool is looked at", a_tool_is_looked_at);
        rule("an offer has limits", an_offer_has_limits);
        rule("a name is one line", a_name_is_one_line);
        rule("what nobody does is said in words", what_nobody_does_is_said_in_words);
        rule("a value that is not listed is refused", a_value_that_is_not_listed_is_refused);
        return tap_done();
}
