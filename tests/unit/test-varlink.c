/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ipc/assistant.h"
#include "ipc/interface.h"
#include "ipc/varlink.h"
#include "tests/tap.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Thirteen arrays around something; the message and its parameters are two levels more. */
#define DEEP(inner) "[[[[[[[[[[[[[" inner "]]]]]]]]]]]]]"

DEFINE_CLEANUP(struct interface *, interface_free)

static bool is_call(const char *text) {
        struct varlink_call c;
        struct why why;

        if (varlink_parse_call(&c, text, strlen(text), &why) < 0)
                return false;
        varlink_call_done(&c);
        return true;
}

static void test_call_fields(void) {
        static const char text[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true,"
                                   "\"oneway\":false,\"upgrade\":true}";
        struct varlink_call c;
        struct why why;

        expect(varlink_parse_call(&c, text, strlen(text), &why) == 0);
        expect(strcmp(c.method, "a.b.C") == 0);
        expect(json_integer_value(json_object_get(c.parameters, "x")) == 1);
        expect(c.more && !c.oneway && c.upgrade);
        varlink_call_done(&c);
}

static void test_no_parameters(void) {
        static const char *const texts[] = {
                "{\"method\":\"a.b.C\"}",
                "{\"method\":\"a.b.C\",\"parameters\":null}",
                " { \"method\" : \"a.b.C\" , \"parameters\" : { } } ",
        };

        for (size_t i = 0; i < N(texts); i++) {
                struct varlink_call c = { 0 };
                struct why why;

                expect(varlink_parse_call(&c, texts[i], strlen(texts[i]), &why) == 0);
                expect(json_is_object(c.parameters) && json_object_size(c.parameters) == 0);
                expect(!c.more && !c.oneway && !c.upgrade);
                varlink_call_done(&c);
        }
}

static void test_bad_calls(void) {
        static const char *const texts[] = {
                "",
                " ",
                "{",
                "[]",
                "null",
                "\"method\"",
                "{}",
                "{\"parameters\":{}}",
                "{\"method\":null}",
                "{\"method\":7}",
                "{\"method\":\"a.b.C\",\"parameters\":[]}",
                "{\"method\":\"a.b.C\",\"parameters\":\"x\"}",
                "{\"method\":\"a.b.C\",\"more\":1}",
                "{\"method\":\"a.b.C\",\"oneway\":null}",
                "{\"method\":\"a.b.C\",\"upgrade\":\"true\"}",
                "{\"method\":\"a.b.C\",\"parameter\":{}}",
                "{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}",
                "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1,\"x\":2}}",
                "{\"method\":\"a.b.C\"}{}",
                "{\"method\":\"a.b.C\"} x",
                "{'method':'a.b.C'}",
                "{\"method\":\"\xff\"}",
                "{\"method\":\"\xc3\"}",
                "{\"method\":\"\xed\xa0\x80\"}",
                "{\"method\":\"a\\u0000b\"}",
                "{\"method\":\"\\ud800\"}",
                "{\"method\":\"a.b.C\",\"parameters\":{\"x\":99999999999999999999}}",
                "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1e999}}",
                "{\"method\":\"a.b.C\",\"parameters\":{\"x\":NaN}}",
        };

        for (size_t i = 0; i < N(texts); i++) {
                struct varlink_call c;
                struct why why = { "" };

                expect(varlink_parse_call(&c, texts[i], strlen(texts[i]), &why) == -EBADMSG);
                expect(why.text[0]);
        }
}

static void test_depth(void) {
        expect(is_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":" DEEP("[]") "}}"));
        expect(!is_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":" DEEP("[[]]") "}}"));
        expect(!is_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":" DEEP("{\"y\":[]}") "}}"));
        expect(is_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":\"" DEEP("[[[[{{{{") "\"}}"));
        expect(is_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":\"\\\"" DEEP("[[[[") "\"}}"));
        expect(is_call(
                "{\"method\":\"a.b.C\",\"parameters\":{\"x\":[" DEEP("") "," DEEP("") "]}}"));
}

static void test_reply_round_trip(void) {
        json_t *parameters = json_pack("{s:f, s:s}", "ms", 12.3, "text", "gr\xc3\xbc\xc3\x9f\n");
        struct varlink_reply reply;
        struct why why;
        size_t size;
        char *text;

        expect(varlink_format_reply("a.b.Lost", parameters, true, &text, &size) == 0);
        expect(text[size - 1] == 0 && strlen(text) == size - 1);
        expect(strstr(text, "12.3,"));
        expect(varlink_parse_reply(&reply, text, size - 1, &why) == 0);
        expect(strcmp(reply.error, "a.b.Lost") == 0);
        expect(reply.continues);
        expect(json_equal(reply.parameters, parameters));
        varlink_reply_done(&reply);
        free(text);
        json_decref(parameters);
}

static void test_call_round_trip(void) {
        struct varlink_call c;
        struct why why;
        size_t size;
        char *text;

        expect(varlink_format_call("a.b.C", NULL, true, &text, &size) == 0);
        expect(varlink_parse_call(&c, text, size - 1, &why) == 0);
        expect(strcmp(c.method, "a.b.C") == 0 && c.more && !c.oneway);
        varlink_call_done(&c);
        free(text);
        expect(varlink_format_call("\xff", NULL, true, &text, &size) == -ENOMEM);
}

static void test_good_descriptions(void) {
        static const char *const texts[] = {
                "interface a.b",
                "  # comment\n\tinterface a.b-c.d2 # another\n#last",
                "interface org.example.x\nmethod M()->()",
                "interface a.b method M(a:int,b:?string)->(c:[]int)error E()type T(x,y)",
                "interface a.b type A (a: ?[]?[string]B) type B (b: (c: object, d: (one)))",
                "interface a.b type A (a: ?A)",
                "interface a.b type Type (type: bool, method: int, integer: int, a_b: float)",
        };

        for (size_t i = 0; i < N(texts); i++) {
                struct interface *parsed = NULL;
                struct why why = { "" };

                expect(interface_parse(&parsed, texts[i], &why) == 0);
                if (parsed)
                        expect(strcmp(interface_text(parsed), texts[i]) == 0);
                interface_free(parsed);
        }
}

static void test_bad_descriptions(void) {
        static const struct {
                const char *text, *reason;
        } cases[] = {
                { "", "line 1: 'interface' expected" },
                { "# only a comment", "line 1: 'interface' expected" },
                { "interfaces a.b", "line 1: 'interface' expected" },
                { "interface a", "line 1: an interface name" },
                { "interface .b", "line 1: an interface name" },
                { "interface a..b", "line 1: an interface name" },
                { "interface a.b.", "line 1: an interface name" },
                { "interface a-.b", "line 1: " },
                { "interface 1.b", "line 1: an interface name" },
                { "interface a.b\nmethod m() -> ()", "line 2: a name that begins with a capital" },
                { "interface a.b\n\nmethod M() ->", "line 3: '('" },
                { "interface a.b method M()", "line 1: '->' expected" },
                { "interface a.b method M(a) -> ()", "line 1: fields with types" },
                { "interface a.b error E(a, b)", "line 1: fields with types" },
                { "interface a.b type T", "line 1: '('" },
                { "interface a.b type t ()", "line 1: a name that begins with a capital" },
                { "interface a.b type T (a: int", "line 1: ',' or ')'" },
                { "interface a.b type T (a: int,)", "line 1: a name" },
                { "interface a.b type T (a: int, b)", "line 1: ':'" },
                { "interface a.b type T (a, b: int)", "line 1: ',' or ')'" },
                { "interface a.b type T (a: int, a: int)", "line 1: a name that was not used" },
                { "interface a.b type T (a, a)", "line 1: a name that was not used" },
                { "interface a.b type T () type T ()", "line 1: a name that was not used" },
                { "interface a.b type T () error T ()", "line 1: a name that was not used" },
                { "interface a.b type T (a: integer)", "line 1: a type" },
                { "interface a.b type T (a: ??int)", "line 1: a type" },
                { "interface a.b type T (a: [int]int)", "line 1: a type" },
                { "interface a.b type T (a: [ ]int)", "line 1: a type" },
                { "interface a.b type T (a_: int)", "line 1: ',' or ')'" },
                { "interface a.b type T (_a: int)", "line 1: a name" },
                { "interface a.b type T (a: U)", "no type 'U'" },
                { "interface a.b method M() -> (a: []U)", "no type 'U'" },
                { "interface a.b method M() -> () type U (b: M)", "no type 'M'" },
                { "interface a.b typeT ()", "line 1: 'type', 'method' or 'error'" },
                { "interface a.b\n$", "line 2: 'type', 'method' or 'error'" },
                { "interface a.b type T (a: [][][][][][][][][][][][][][][][][][]int)",
                  "line 1: less nesting" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                struct interface *parsed;
                struct why why = { "" };
                bool is_right;

                expect(interface_parse(&parsed, cases[i].text, &why) == -EBADMSG);
                is_right = strncmp(why.text, cases[i].reason, strlen(cases[i].reason)) == 0;
                if (!is_right)
                        printf("# %s: %s\n", cases[i].text, why.text);
                expect(is_right);
        }
}

static const char example[] = "interface org.example.all\n"
                              "type Colour (red, green)\n"
                              "type Node (value: int, next: ?Node)\n"
                              "method M(\n"
                              "  b: bool, i: int, f: float, s: string, o: object,\n"
                              "  colour: ?Colour, list: ?[]int, map: ?[string]string,\n"
                              "  node: ?Node, nulls: ?[]?int, inner: ?(x: bool)\n"
                              ") -> (ok: bool)\n"
                              "error E (code: int)\n";

/* The name of the parameter at fault, "" when there is none. */
static const char *fault_of(enum interface_side side, const char *member, const char *json) {
        _cleanup_(interface_freep) struct interface *i = NULL;
        _cleanup_(json_decrefp) json_t *parameters = json_loads(json, 0, NULL);
        static char name[64];
        const char *fault = "";
        struct why why;

        expect(parameters);
        expect(interface_parse(&i, example, &why) == 0);
        if (interface_check(i, side, member, parameters, &fault) == 0)
                return "";
        (void) snprintf(name, sizeof(name), "%s", fault);
        return name;
}

static void test_parameters(void) {
#define ALL "\"b\":true,\"i\":1,\"f\":1.5,\"s\":\"\",\"o\":{\"any\":[]}"
        static const struct {
                const char *json, *fault;
        } cases[] = {
                { "{" ALL "}", "" },
                { "{}", "b" },
                { "{\"b\":true}", "i" },
                { "{" ALL ",\"colour\":null,\"list\":null}", "" },
                { "{\"b\":null,\"i\":1,\"f\":1,\"s\":\"\",\"o\":{}}", "b" },
                { "{\"b\":1,\"i\":1,\"f\":1,\"s\":\"\",\"o\":{}}", "b" },
                { "{\"b\":true,\"i\":1.0,\"f\":1,\"s\":\"\",\"o\":{}}", "i" },
                { "{\"b\":true,\"i\":\"1\",\"f\":1,\"s\":\"\",\"o\":{}}", "i" },
                { "{\"b\":true,\"i\":1,\"f\":2,\"s\":\"\",\"o\":{}}", "" },
                { "{\"b\":true,\"i\":1,\"f\":\"2\",\"s\":\"\",\"o\":{}}", "f" },
                { "{\"b\":true,\"i\":1,\"f\":2,\"s\":[],\"o\":{}}", "s" },
                { "{\"b\":true,\"i\":1,\"f\":2,\"s\":\"\",\"o\":[]}", "o" },
                { "{" ALL ",\"extra\":1}", "extra" },
                { "{" ALL ",\"extra\":null}", "extra" },
                { "{" ALL ",\"colour\":\"red\"}", "" },
                { "{" ALL ",\"colour\":\"blue\"}", "colour" },
                { "{" ALL ",\"colour\":0}", "colour" },
                { "{" ALL ",\"list\":[]}", "" },
                { "{" ALL ",\"list\":[1,2]}", "" },
                { "{" ALL ",\"list\":[1,null]}", "list" },
                { "{" ALL ",\"list\":{}}", "list" },
                { "{" ALL ",\"nulls\":[1,null]}", "" },
                { "{" ALL ",\"map\":{\"k\":\"v\"}}", "" },
                { "{" ALL ",\"map\":{\"k\":1}}", "map" },
                { "{" ALL ",\"map\":[]}", "map" },
                { "{" ALL ",\"node\":{\"value\":1}}", "" },
                { "{" ALL ",\"node\":{\"value\":1,\"next\":{\"value\":2}}}", "" },
                { "{" ALL ",\"node\":{\"value\":1,\"next\":{\"value\":true}}}", "node" },
                { "{" ALL ",\"node\":{\"value\":1,\"nxt\":null}}", "node" },
                { "{" ALL ",\"inner\":{\"x\":false}}", "" },
                { "{" ALL ",\"inner\":{}}", "inner" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                const char *fault = fault_of(INTERFACE_CALL, "M", cases[i].json);

                if (strcmp(fault, cases[i].fault) != 0)
                        printf("# %s: '%s'\n", cases[i].json, fault);
                expect(strcmp(fault, cases[i].fault) == 0);
        }
}

static void test_other_sides(void) {
        expect(strcmp(fault_of(INTERFACE_REPLY, "M", "{\"ok\":true}"), "") == 0);
        expect(strcmp(fault_of(INTERFACE_REPLY, "M", "{}"), "ok") == 0);
        expect(strcmp(fault_of(INTERFACE_ERROR, "E", "{\"code\":1}"), "") == 0);
        expect(strcmp(fault_of(INTERFACE_ERROR, "E", "{\"code\":\"x\"}"), "code") == 0);
}

static void test_our_interface(void) {
        static const char *const methods[] = { "Ask", "Status", "Watch", "Cancel", "History" };
        _cleanup_(interface_freep) struct interface *i = NULL;
        _cleanup_(json_decrefp) json_t *empty = json_object();
        struct why why = { "" };
        const char *fault;

        expect(interface_parse(&i, assistant_interface(), &why) == 0);
        if (!i)
                return;
        expect(strcmp(interface_name(i), "io.gemmad.Assistant") == 0);
        for (size_t k = 0; k < N(methods); k++) {
                expect(interface_has_method(i, methods[k]));
                expect(interface_check(i, INTERFACE_CALL, methods[k], empty, &fault) == 0);
        }
        expect(!interface_has_method(i, "Event"));
}

int main(void) {
        rule("all keys of a call are read", test_call_fields);
        rule("a call without parameters has empty ones", test_no_parameters);
        rule("what is not a call is refused with a reason", test_bad_calls);
        rule("sixteen levels are the limit, brackets in strings do not count", test_depth);
        rule("a reply survives being written and read", test_reply_round_trip);
        rule("a call survives being written and read", test_call_round_trip);
        rule("good descriptions are parsed and kept as text", test_good_descriptions);
        rule("bad descriptions are refused with line and reason", test_bad_descriptions);
        rule("every type is checked and the parameter at fault named", test_parameters);
        rule("replies and errors are checked against their own part", test_other_sides);
        rule("our own interface parses and needs no parameter", test_our_interface);
        return tap_done();
}
