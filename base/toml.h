/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TOML_H
#define BASE_TOML_H

#include <stddef.h>

#include <jansson.h>

#include "base/why.h"

/* TOML as JSON, of what people write by hand into small files: tables and their subtables; strings
 * in "" and '', whole numbers, numbers with a point, true and false; arrays, also over several
 * lines, and tables in {}.  Not: dates, strings in three quotes, arrays of tables, numbers in other
 * notations.  What is not understood is an error with its line, never something else than it says.
 *
 * The caller ends *ret with json_decref().  -EBADMSG with a reason.  Any thread. */
int toml_parse(const char *text, size_t size, json_t **ret, struct why *why);

/* The same of a file; name is for messages, too.  -errno of the file, -EFBIG: too large. */
int toml_read_file(const char *path, json_t **ret, struct why *why);

#define TOML_MAX_SIZE  65536
#define TOML_MAX_DEPTH 8

#endif
