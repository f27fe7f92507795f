/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CTL_PRINT_H
#define IPC_CTL_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "ipc/ctl.h"

/* How gemmactl writes things down. */

/* Text from elsewhere, as it is; on a terminal everything that could drive it (control characters,
 * changes of direction) is written as an escape, except line ends and tabulators. */
void print_text(FILE *to, bool to_terminal, const char *text);

enum style { STYLE_STRONG, STYLE_FAINT, STYLE_GOOD, STYLE_BAD, STYLE_NAME };

/* What standard output is in from here on, and the end of that; nothing where colours are not wanted
 * (a pipe, NO_COLOR, a dumb terminal). */
void print_style(const struct ctl *c, enum style style);
void print_plain(const struct ctl *c);

/* A text of ours or from elsewhere in one style. */
void print_styled(const struct ctl *c, enum style style, const char *text);

/* Seconds as people say them, "2 min 5 s", in whole numbers of at most two units; how long that is. */
int print_span(double seconds);

/* The key of a field as words, like a text; how long it is. */
size_t print_key(FILE *to, bool to_terminal, const char *key);

/* A text on standard output; lines behind the first begin with so many spaces. */
void print_indented(const struct ctl *c, int indent, const char *text);

/* gemmactl: MESSAGE on standard error, escaped when that is a terminal. */
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line of JSON on standard output; on a terminal in ASCII without controls, which is the same
 * JSON. */
void print_json(const struct ctl *c, json_t *value);

/* "set_timer{"amount": 5}" */
void print_call(const struct ctl *c, json_t *call);

/* Fields of a JSON object; "", 0 and 0.0 when they are missing or of another type. */
const char *field_string(json_t *object, const char *name);
json_int_t field_int(json_t *object, const char *name);
double field_number(json_t *object, const char *name);

/* Whether a turn brought words or a call. */
bool turn_has_answer(json_t *turn);

/* Why a turn that went well has no answer, in words. */
const char *turn_unanswered(json_t *turn);

#endif
