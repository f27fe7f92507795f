/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a tool call: what is read is written and read again as the same.  And bytes as JSON:
 * what is written can be read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/toolcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition) {
        if (!condition)
                abort();
}

/* value is an object; its notation as a call must be read as it. */
static void check_call(const char *name, const json_t *value, const char *notation) {
        size_t size = strlen(name) + strlen(notation) + 6;
        char *call = malloc(size), *name_again = NULL;
        json_t *again = NULL;

        check(call != NULL);
        (void) snprintf(call, size, "call:%s%s", name, notation);
        check(toolcall_parse(call, strlen(call), &name_again, &again, NULL) == 0);
        check(strcmp(name, name_again) == 0 && json_equal(value, again));

        json_decref(again);
        free(name_again);
        free(call);
}

static void fuzz_call(const char *text, size_t size) {
        char *name = NULL, *notation = NULL;
        json_t *arguments = NULL;
        struct why why = { 0 };

        if (toolcall_parse(text, size, &name, &arguments, &why) < 0) {
                check(!name && !arguments && why.text[0] != '\0');
                return;
        }

        check(toolcall_write_value(&notation, arguments, NULL) == 0);
        check_call(name, arguments, notation);
        free(notation);
        free(name);
        json_decref(arguments);
}

static void fuzz_json(const char *text, size_t size) {
        char *notation = NULL, *response = NULL, *declaration = NULL;
        json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

        if (!value)
                return;

        if (toolcall_write_value(&notation, value, NULL) == 0 && json_is_object(value))
                check_call("f", value, notation);
        (void) toolcall_write_response(&response, "f", value, NULL);
        (void) toolcall_write_declaration(&declaration, "f", "Does it.", value, NULL);
        free(declaration);
        free(response);
        free(notation);
        json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        fuzz_call((const char *) data, size);
        fuzz_json((const char *) data, size);
        return 0;
}
