/* SPDX-License-Identifier: Apache-2.0 */
#include "model/toolcall.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/tap.h"

#define Q "<|\"|>"

/* Parses a call and expects these arguments, given as JSON. */
static void expect_call(const char *text, const char *name, const char *arguments) {
        _cleanup_(json_decrefp) json_t *got = NULL, *wanted = json_loads(arguments, 0, NULL);
        _cleanup_(freep) char *got_name = NULL;
        struct why why = { 0 };

        expect(wanted);
        expect(toolcall_parse(text, strlen(text), &got_name, &got, &why) == 0);
        expect(got_name && strcmp(got_name, name) == 0);
        expect(json_equal(got, wanted));
        if (!json_equal(got, wanted))
                printf("# %s: %s\n", text, why.text);
}

static void test_calls(void) {
        expect_call("call:stop{}", "stop", "{}");
        expect_call("call:open_app{name:" Q "Firefox" Q "}", "open_app", "{\"name\":\"Firefox\"}");
        expect_call("call:a{b:1,a:-2.5e3,c:true,d:false,e:null,f:0}", "a",
                    "{\"b\":1,\"a\":-2500.0,\"c\":true,\"d\":false,\"e\":null,\"f\":0}");
        expect_call("call:a{l:[1,[],{},{x:[" Q Q "]}],m:{n:{}}}", "a",
                    "{\"l\":[1,[],{},{\"x\":[\"\"]}],\"m\":{\"n\":{}}}");
        expect_call("call:my.tool-2{a_b:" Q "{x:1},\n \"q\" <|" Q "}", "my.tool-2",
                    "{\"a_b\":\"{x:1},\\n \\\"q\\\" <|\"}");
        expect_call("call:a{s:" Q "\xc3\xa9\xe2\x96\x81" Q "}", "a",
                    "{\"s\":\"\xc3\xa9\xe2\x96\x81\"}");
        expect_call("call:a{n:9223372036854775807,m:-9223372036854775808}", "a",
                    "{\"n\":9223372036854775807,\"m\":-9223372036854775808}");
}

/* As models write that have seen more JSON and Python than this notation. */
static void test_loose_calls(void) {
        expect_call(" call: a {\n b : 1 , c:[ 1 , 2 ] ,d : { } } ", "a",
                    "{\"b\":1,\"c\":[1,2],\"d\":{}}");
        expect_call("call:a{b:\"x\",c:'it\\'s \"y\"'}", "a",
                    "{\"b\":\"x\",\"c\":\"it's \\\"y\\\"\"}");
        expect_call("call:a{b:[\"x\", 'y']}", "a", "{\"b\":[\"x\",\"y\"]}");
        expect_call("call:a{b:\"1\\n2\\u00e9\"}", "a", "{\"b\":\"1\\n2\\u00e9\"}");
        expect_call("call:a{\"b c\":1,'d':2," Q "e,f" Q ":3,g h:4,\xc3\xa9:5}", "a",
                    "{\"b c\":1,\"d\":2,\"e,f\":3,\"g h\":4,\"\xc3\xa9\":5}");
        /* Any key is all up to its colon. */
        expect_call("call:a{it's:1,a[0]:2,<b>:3,'tis:4,x{y:5,\"q:6,@#$%:7}", "a",
                    "{\"it's\":1,\"a[0]\":2,\"<b>\":3,\"'tis\":4,\"x{y\":5,\"\\\"q\":6,\"@#$%\":7}");
        expect_call("\r\n\tcall:\n a\n{\t}\n", "a", "{}");
        expect_call("call:a{b:['x',\"y\", " Q "z" Q ",[ ],{ }],c:{'d':{e:['']}}}", "a",
                    "{\"b\":[\"x\",\"y\",\"z\",[],{}],\"c\":{\"d\":{\"e\":[\"\"]}}}");
        expect_call("call:a{b:'',c:\"\",d:'\"',e:\"'\"}", "a",
                    "{\"b\":\"\",\"c\":\"\",\"d\":\"\\\"\",\"e\":\"'\"}");
}

static void test_bad_calls(void) {
        static const struct {
                const char *text, *reason;
        } table[] = {
                { "", "offset 0: 'call:' is missing" },
                { "cal", "'call:' is missing" },
                { "call:", "offset 5: a word is missing" },
                { "call:{}", "offset 5: a word is missing" },
                { "call:a", "offset 6: '{' is missing" },
                { "call:a{", "a word is missing" },
                { "call:a{}}", "offset 8: text after the call" },
                { "call:a{b}", "offset 8: ':' is missing" },
                { "call:a{b:}", "a value is missing" },
                { "call:a{b:1", "closing bracket is missing" },
                { "call:a{b:1]", "closing bracket is missing" },
                { "call:a{b:1,}", "a word is missing" },
                { "call:a{,b:1}", "a word is missing" },
                { "call:a{b:1,b:2}", "offset 11: the key occurs twice" },
                { "call:a{b:[1,]}", "a value is missing" },
                { "call:a{b:[1}", "closing bracket is missing" },
                { "call:a{b:" Q "x}", "offset 14: the string does not end" },
                { "call:a{b:" Q "\xff" Q "}", "the string is not UTF-8" },
                { "call:a{b:\"x}", "the string does not end" },
                { "call:a{b:'x\"}", "the string does not end" },
                { "call:a{b:\"\\q\"}", "an escape that is none" },
                { "call:a{\"b\":1,b:2}", "the key occurs twice" },
                { "call:a{b:x}", "a value is missing" },
                { "call:a{b:tru}", "a value is missing" },
                { "call:a{b:truely}", "closing bracket is missing" },
                { "call:a{b:01}", "not a number" },
                { "call:a{b:+1}", "a value is missing" },
                { "call:a{b:1.}", "not a number" },
                { "call:a{b:.5}", "a value is missing" },
                { "call:a{b:1e}", "not a number" },
                { "call:a{b:0x10}", "not a number" },
                { "call:a{b:1-2}", "not a number" },
                { "call:a{b:-}", "not a number" },
                { "call:a{b:Infinity}", "a value is missing" },
                { "call:a{b:1e999}", "out of range" },
                { "call:a{b:9223372036854775808}", "out of range" },
                { "call:a{b:1000000000000000000000000000000000000000000000000000000000000000000}",
                  "too long" },
                { "call:a{b:[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}", "nested too deeply" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                const char *text = table[i].text;
                json_t *arguments = NULL;
                struct why why = { 0 };
                char *name = NULL;

                expect(toolcall_parse(text, strlen(text), &name, &arguments, &why) == -EBADMSG);
                expect(!name && !arguments);
                expect(strstr(why.text, table[i].reason));
                if (!strstr(why.text, table[i].reason))
                        printf("# %s: %s\n", text, why.text);
        }
}

static void test_nul(void) {
        static const char text[] = "call:a{b:" Q "x\0y" Q "}";
        json_t *arguments = NULL;
        char *name = NULL;

        expect(toolcall_parse(text, sizeof(text) - 1, &name, &arguments, NULL) == -EBADMSG);
        expect(toolcall_parse("call:a{}", 7, &name, &arguments, NULL) == -EBADMSG);
        expect(!name && !arguments);
}

static void test_depth(void) {
        expect_call("call:a{b:[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}", "a",
                    "{\"b\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}");
}

static void expect_value(const char *json, const char *text) {
        _cleanup_(json_decrefp) json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
        _cleanup_(freep) char *got = NULL;
        struct why why = { 0 };

        expect(value);
        expect(toolcall_write_value(&got, value, &why) == 0);
        expect(got && strcmp(got, text) == 0);
        if (!got || strcmp(got, text) != 0)
                printf("# %s: %s%s\n", json, got ? got : "", why.text);
}

static void test_values(void) {
        expect_value("{}", "{}");
        expect_value("[]", "[]");
        expect_value("{\"a b\":1,\"\":2}", "{" Q Q ":2," Q "a b" Q ":1}");
        expect_value("\"x y\"", Q "x y" Q);
        expect_value("[true,false,null,-3]", "[true,false,null,-3]");
        expect_value("[0.1,1.0,1e300,0.30000000000000004]", "[0.1,1.0,1e300,0.30000000000000004]");
        expect_value("{\"b\":1,\"C\":[2,{}],\"a\":{\"z\":\"\"}}", "{a:{z:" Q Q "},b:1,C:[2,{}]}");
}

static void test_locale(void) {
        if (!setlocale(LC_ALL, "de_DE.UTF-8"))
                printf("# no German locale here, so this shows nothing\n");
        expect_value("1.5", "1.5");
        expect_call("call:a{x:1.5}", "a", "{\"x\":1.5}");
        (void) setlocale(LC_ALL, "C");
}

static void test_bad_values(void) {
        static const struct {
                const char *json, *reason;
        } table[] = {
                { "\"a<|\\\"|>b\"", "quote marker" },
                { "[{\"a\":\"<|\\\"|>\"}]", "quote marker" },
                { "\"a\\u0000b\"", "a NUL" },
                { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "nested too deeply" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
                _cleanup_(json_decrefp) json_t *value = json_loads(table[i].json, flags, NULL);
                struct why why = { 0 };
                char *text = NULL;

                expect(value);
                expect(toolcall_write_value(&text, value, &why) == -EBADMSG && !text);
                expect(strstr(why.text, table[i].reason));
        }
}

static void expect_declaration(const char *parameters, const char *text) {
        _cleanup_(json_decrefp) json_t *schema = NULL;
        _cleanup_(freep) char *got = NULL;
        struct why why = { 0 };

        if (parameters)
                schema = json_loads(parameters, 0, NULL);
        expect(!parameters == !schema);
        expect(toolcall_write_declaration(&got, "f", "Does it.", schema, &why) == 0);
        expect(got && strcmp(got, text) == 0);
        if (!got || strcmp(got, text) != 0)
                printf("# got %s%s\n#  not %s\n", got ? got : "", why.text, text);
}

#define DECLARED(parameters) "declaration:f{description:" Q "Does it." Q parameters "}"

static void test_declarations(void) {
        expect_declaration(NULL, DECLARED(""));
        expect_declaration("{\"type\":\"object\"}",
                           DECLARED(",parameters:{type:" Q "OBJECT" Q "}"));
        expect_declaration("{\"type\":\"object\",\"properties\":{},\"required\":[]}",
                           DECLARED(",parameters:{type:" Q "OBJECT" Q "}"));
        expect_declaration("{\"type\":\"object\",\"required\":[\"city\"],\"properties\":{"
                           "\"unit\":{\"type\":\"string\",\"enum\":[\"c\",\"f\"],\"nullable\":true,"
                           "\"description\":\"Unit\"},\"City\":{\"type\":\"string\"}}}",
                           DECLARED(",parameters:{properties:{City:{type:" Q "STRING" Q
                                    "},unit:{description:" Q "Unit" Q ",enum:[" Q "c" Q "," Q "f" Q
                                    "],nullable:true,type:" Q "STRING" Q "}},required:[" Q "city" Q
                                    "],type:" Q "OBJECT" Q "}"));
        expect_declaration(
                "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"nullable\":true,"
                "\"items\":{\"type\":\"string\",\"enum\":[\"x\"]},\"description\":\"D\"},"
                "\"o\":{\"type\":\"object\",\"nullable\":true,\"required\":[\"n\"],"
                "\"properties\":{\"n\":{\"type\":[\"integer\",\"null\"],\"minimum\":0}}}}}",
                DECLARED(",parameters:{properties:{a:{description:" Q "D" Q ",items:{enum:[" Q "x" Q
                         "],type:" Q "STRING" Q "},nullable:true,type:" Q "ARRAY" Q
                         "},o:{nullable:true,properties:{n:{type:" Q "INTEGER" Q "}},required:[" Q
                         "n" Q "],type:" Q "OBJECT" Q "}},type:" Q "OBJECT" Q "}"));
}

static void test_bad_declarations(void) {
        static const struct {
                const char *name, *parameters, *reason;
        } table[] = {
                { "bad name", "{\"type\":\"object\"}", "'bad name' is not a plain word" },
                { "", "{\"type\":\"object\"}", "a name is empty" },
                { "f", "{}", "no type" },
                { "f", "[]", "no type" },
                { "f", "{\"type\":\"string\"}", "not an object" },
                { "f", "{\"type\":\"any\"}", "unknown type 'any'" },
                { "f", "{\"type\":\"object\",\"properties\":[]}", "'properties'" },
                { "f", "{\"type\":\"object\",\"properties\":{\"a\":1}}", "no type" },
                { "f", "{\"type\":\"object\",\"properties\":{\"a b\":{\"type\":\"null\"}}}",
                  "'a b' is not a plain word" },
                { "f", "{\"type\":\"object\",\"required\":\"a\"}", "'required'" },
                { "f", "{\"type\":\"object\",\"required\":[1]}", "'required'" },
                { "f", "{\"type\":\"object\",\"required\":[\"<|\\\"|>\"]}", "quote marker" },
                { "f",
                  "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":2}}}",
                  "'items'" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                _cleanup_(json_decrefp) json_t *schema = json_loads(table[i].parameters, 0, NULL);
                struct why why = { 0 };
                char *text = NULL;
                int r;

                expect(schema);
                r = toolcall_write_declaration(&text, table[i].name, "", schema, &why);
                expect(r == -EBADMSG && !text && strstr(why.text, table[i].reason));
                if (!strstr(why.text, table[i].reason))
                        printf("# %s: %s\n", table[i].parameters, why.text);
        }
}

/* A schema that holds itself as its array's items, 100 deep. */
static void test_deep_schema(void) {
        json_t *schema = json_pack("{s:s}", "type", "string");
        struct why why = { 0 };
        char *text = NULL;

        for (unsigned i = 0; i < 100; i++)
                schema = json_pack("{s:s,s:o}", "type", "array", "items", schema);
        schema = json_pack("{s:s,s:{s:o}}", "type", "object", "properties", "a", schema);
        expect(toolcall_write_declaration(&text, "f", "", schema, &why) == -EBADMSG && !text);
        expect(strstr(why.text, "nested too deeply"));
        json_decref(schema);
}

static void test_responses(void) {
        _cleanup_(json_decrefp) json_t *object = json_pack("{s:i,s:s}", "b", 1, "a", "x");
        _cleanup_(json_decrefp) json_t *list = json_pack("[i]", 3);
        _cleanup_(freep) char *first = NULL, *second = NULL;
        char *third = NULL;

        expect(toolcall_write_response(&first, "f", object, NULL) == 0);
        expect(first && strcmp(first, "response:f{a:" Q "x" Q ",b:1}") == 0);
        expect(toolcall_write_response(&second, "f", list, NULL) == 0);
        expect(second && strcmp(second, "response:f{value:[3]}") == 0);
        expect(toolcall_write_response(&third, "f{", list, NULL) == -EBADMSG && !third);
}

/* What is written as a call is read back as the same. */
static void test_there_and_back(void) {
        _cleanup_(json_decrefp) json_t *value = json_loads(
                "{\"a\":[1,2.5,\"x\",{\"k\":null}],\"b\":\"\xe2\x82\xac{}[],:\",\"c\":true}", 0,
                NULL);
        _cleanup_(freep) char *text = NULL;
        char call[256];

        expect(toolcall_write_value(&text, value, NULL) == 0);
        (void) snprintf(call, sizeof(call), "call:f%s", text ? text : "");
        expect_call(call, "f",
                    "{\"a\":[1,2.5,\"x\",{\"k\":null}],\"b\":\"\xe2\x82\xac{}[],:\",\"c\":true}");
}

int main(void) {
        rule("a call is read with every kind of value", test_calls);
        rule("a call is read as models write it, too", test_loose_calls);
        rule("anything else is refused, with its offset", test_bad_calls);
        rule("a NUL and text beyond the size are refused", test_nul);
        rule("sixteen levels are read", test_depth);
        rule("a value is written with sorted keys and no spaces", test_values);
        rule("numbers do not obey the locale", test_locale);
        rule("what has no notation is refused", test_bad_values);
        rule("a declaration has its fields in the order of the grammar", test_declarations);
        rule("a schema without notation is refused", test_bad_declarations);
        rule("a schema of any depth ends", test_deep_schema);
        rule("a response that is no object becomes a value", test_responses);
        rule("a written value is read back the same", test_there_and_back);
        return tap_done();
}
