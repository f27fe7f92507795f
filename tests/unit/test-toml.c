/* SPDX-License-Identifier: Apache-2.0 */
#include "base/toml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "desktop/user-tools.h"
#include "tests/tap.h"

/* Whether a text means this JSON. */
static bool means(const char *text, const char *expected) {
        json_t *found = NULL, *wanted = json_loads(expected, 0, NULL);
        struct why why = {};
        bool is_same = toml_parse(text, strlen(text), &found, &why) == 0 && json_equal(found, wanted);

        if (!is_same) {
                char *shown = found ? json_dumps(found, JSON_COMPACT) : NULL;

                printf("# '%s': %s\n", text, shown ? shown : why.text);
                free(shown);
        }
        json_decref(found);
        json_decref(wanted);
        return is_same;
}

static bool fails(const char *text, unsigned line) {
        json_t *found = NULL;
        struct why why = {};
        char begin[32];

        (void) snprintf(begin, sizeof(begin), "line %u: ", line);
        if (toml_parse(text, strlen(text), &found, &why) == -EBADMSG &&
            strncmp(why.text, begin, strlen(begin)) == 0)
                return true;
        printf("# '%s': %s\n", text, why.text);
        json_decref(found);
        return false;
}

static void values(void) {
        expect(means("", "{}") && means("\n# nothing\n\r\n", "{}"));
        expect(means("a = 1\nb=-2 # two\n c = +3", "{\"a\":1,\"b\":-2,\"c\":3}"));
        expect(means("a = 1.5\nb = -0.25", "{\"a\":1.5,\"b\":-0.25}"));
        expect(means("a = true\nb = false", "{\"a\":true,\"b\":false}"));
        expect(means("a = \"b\\\"c\\\\d\\n#\"", "{\"a\":\"b\\\"c\\\\d\\n#\"}"));
        expect(means("a = 'C:\\n\"x\"'\nb = \"\"\nc = ''",
                     "{\"a\":\"C:\\\\n\\\"x\\\"\",\"b\":\"\",\"c\":\"\"}"));
        expect(means("\"a b\" = 1\n'c' = 2\nd-e_f = 3", "{\"a b\":1,\"c\":2,\"d-e_f\":3}"));
}

static void arrays(void) {
        expect(means("a = []", "{\"a\":[]}") && means("a = [1, \"b\", [true]]", "{\"a\":[1,\"b\",[true]]}"));
        expect(means("a = [\n  'b', # first\n\n  'c',\n]\nd = 1", "{\"a\":[\"b\",\"c\"],\"d\":1}"));
        expect(means("a = { b = 1, c = ['d'] }", "{\"a\":{\"b\":1,\"c\":[\"d\"]}}"));
}

static void tables(void) {
        expect(means("a = 1\n[b]\nc = 2\n[b.d]\ne = 3\n[f.\"g h\".i]",
                     "{\"a\":1,\"b\":{\"c\":2,\"d\":{\"e\":3}},\"f\":{\"g h\":{\"i\":{}}}}"));
}

static void errors(void) {
        static const struct {
                const char *text;
                unsigned line;
        } cases[] = {
                { "a", 1 },           { "a =", 1 },          { "a = b", 1 },       { "\na = 1 2", 2 },
                { "a = 'b", 1 },      { "a = 'b\n'", 1 },    { "a = \"\\x\"", 1 }, { "a = [1", 1 },
                { "a = [1 2]", 1 },   { "a = {b = 1", 1 },   { "a = 1\na = 2", 2 }, { "[a", 1 },
                { "[a]b", 1 },        { "[[a]]", 1 },        { "a = 1\n[a]", 2 },  { "a.b = 1", 1 },
                { "a = 1979-05-27", 1 }, { "a = 0x10", 1 },  { "a = 1_000", 1 },   { "a = inf", 1 }, { "a = 2e3", 1 },
                { "a = \"\"\"b\"\"\"", 1 }, { "= 1", 1 },    { "a = 99999999999999999999x", 1 },
                { "\n\na = \"\xff\"", 3 }, { "a = [[[[[[[[[[1]]]]]]]]]]", 1 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                expect(fails(cases[i].text, cases[i].line));
}

static json_t *tool(void) {
        return json_loads("{\"command\":[\"light\",\"--in={room}\",\"{state}\",\"{level}\"],"
                          "\"arguments\":{\"room\":{\"type\":\"string\"},"
                          "\"state\":{\"type\":\"string\",\"enum\":[\"on\",\"-off\"],\"required\":true},"
                          "\"level\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}}}",
                          0, NULL);
}

/* The words of the command for these arguments, with | between them; or the refusal. */
static const char *command(const char *arguments) {
        static char joined[8192];
        json_t *t = tool(), *given = json_loads(arguments, 0, NULL);
        char **words = NULL;
        struct why why = {};

        joined[0] = 0;
        if (user_tools_command(t, given, &words, &why) < 0)
                (void) snprintf(joined, sizeof(joined), "! %s", why.text);
        for (unsigned i = 0; words && words[i]; i++) {
                strcat(joined, i > 0 ? "|" : "");
                strcat(joined, words[i]);
        }
        free(words);
        json_decref(t);
        json_decref(given);
        return joined;
}

#define IS(arguments, words) (strcmp(command(arguments), words) == 0)

static void commands(void) {
        expect(IS("{\"state\":\"on\"}", "light|on"));
        expect(IS("{\"state\":\"-off\",\"room\":\"bath\",\"level\":3}", "light|--in=bath|-off|3"));
        expect(IS("{\"state\":\"on\",\"room\":\"a b; rm -rf $HOME {level} `x`\"}",
                  "light|--in=a b; rm -rf $HOME {level} `x`|on"));
        expect(IS("{\"state\":\"on\",\"level\":4.0}", "light|on|4"));
        expect(IS("{}", "! Which state?"));
        expect(IS("{\"state\":\"blue\"}", "! The state is none of those that there are."));
        expect(IS("{\"state\":\"on\",\"level\":10}", "! The level is too small or too large."));
        expect(IS("{\"state\":\"on\",\"level\":2.5}", "! The level is of the wrong kind."));
        expect(IS("{\"state\":\"on\",\"level\":\"3\"}", "! The level is of the wrong kind."));
        expect(IS("{\"state\":\"on\",\"room\":\"--help\"}", "! The room may not begin with a minus."));
        expect(IS("{\"state\":\"on\",\"colour\":\"red\"}", "! There is no argument 'colour'."));
}

int main(void) {
        rule("values", values);
        rule("arrays and tables in a line", arrays);
        rule("tables", tables);
        rule("what is not understood is an error with its line", errors);
        rule("the words of a command", commands);
        return tap_done();
}
