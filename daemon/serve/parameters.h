/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_PARAMETERS_H
#define DAEMON_SERVE_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/why.h"
#include "daemon/common/config.h"

/* What callers hand over, read with care.  The types of Varlink's parameters have been checked
 * against the interface by then; what may be null may also be missing. */
bool parameter_is_given(const json_t *parameters, const char *key);

/* NULL when it was not given; the text is borrowed.  ret_size may be NULL. */
const char *parameter_string(const json_t *parameters, const char *key, size_t *ret_size);

bool parameter_flag(const json_t *parameters, const char *key, bool otherwise);

/* 1 and *ret, 0 when it was not given, -EINVAL when it is out of range. */
int parameter_integer(
        const json_t *parameters, const char *key, json_int_t min, json_int_t max, json_int_t *ret);

/* Whether a text can be asked: -EINVAL, -EFBIG, each with a reason. */
int check_question(const struct config *config, const char *text, size_t size, struct why *why);

#endif
