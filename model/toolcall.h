/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_TOOLCALL_H
#define MODEL_TOOLCALL_H

#include <stddef.h>

#include <jansson.h>

#include "base/why.h"

/* Gemma 4's own notation of tool calls:
 *
 *   call:NAME{key:value,...}
 *
 * where a value is <|"|>text<|"|>, a number, true, false, null, [v,...] or {k:v,...}.  What is written
 * keeps to that; what is read may be as models write it: with white space, with "text" and 'text' and
 * their escapes, with keys of any letters, quoted or not. */

/* Parses the text between <|tool_call> and <tool_call|>.  On success *ret_name is owned by the
 * caller (free()) and *ret_arguments is a new JSON object reference.  -EBADMSG with the offending
 * offset otherwise: no trailing text, no duplicate key, no number out of range, depth at most 16. */
int toolcall_parse(
        const char *text, size_t size, char **ret_name, json_t **ret_arguments, struct why *why);

/* Writes a JSON value in the notation above (keys sorted without regard to case), as a new string.
 * -EBADMSG when a string holds the quote marker.  A key that is no plain word stands in quotes. */
int toolcall_write_value(char **ret, const json_t *value, struct why *why);

/* Writes `response:NAME{...}` from an object, or `response:NAME{value:...}` from any other
 * value. */
int toolcall_write_response(char **ret, const char *name, const json_t *result, struct why *why);

/* Writes `declaration:NAME{...}` from a name, a description and a JSON Schema object; NULL for
 * no parameters.  What the notation does not know (limits, defaults) is left out. */
int toolcall_write_declaration(char **ret,
                               const char *name,
                               const char *description,
                               const json_t *parameters,
                               struct why *why);

#endif
