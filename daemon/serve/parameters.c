/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/parameters.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

bool parameter_is_given(const json_t *parameters, const char *key) {
        const json_t *value = json_object_get(parameters, key);

        return value && !json_is_null(value);
}

const char *parameter_string(const json_t *parameters, const char *key, size_t *ret_size) {
        const json_t *value = json_object_get(parameters, key);

        if (!json_is_string(value))
                return NULL;
        if (ret_size)
                *ret_size = json_string_length(value);
        return json_string_value(value);
}

bool parameter_flag(const json_t *parameters, const char *key, bool otherwise) {
        const json_t *value = json_object_get(parameters, key);

        return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int parameter_integer(const json_t *parameters,
                      const char *key,
                      json_int_t min,
                      json_int_t max,
                      json_int_t *ret) {
        const json_t *value = json_object_get(parameters, key);
        json_int_t number;

        if (!json_is_integer(value))
                return 0;
        number = json_integer_value(value);
        if (number < min || number > max)
                return -EINVAL;

        *ret = number;
        return 1;
}

static bool is_blank(const char *text, size_t size) {
        utf8_trim(&text, &size);
        return size == 0;
}

int check_question(const struct config *config, const char *text, size_t size, struct why *why) {
        size_t max = (size_t) config->max_text_kib * 1024;

        if (is_blank(text, size))
                return because(why, -EINVAL, "the text is empty");
        if (size > max)
                return because(why, -EFBIG, "the text has %zu bytes, the limit (MaxTextKiB) is %zu",
                               size, max);
        return 0;
}
