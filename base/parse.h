/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Text to values, the whole text or nothing: no sign where none belongs, no trailing garbage, no
 * locale.  0 and *ret on success, -EINVAL when it is not such a value, -ERANGE when it does not
 * fit.  Any thread. */
int parse_u64(const char *text, uint64_t *ret);
int parse_unsigned(const char *text, unsigned *ret);
int parse_double(const char *text, double *ret);

/* yes/no, true/false, on/off, 1/0. */
int parse_bool(const char *text, bool *ret);

/* A time span with a unit (ms, s, m, h, d); a bare number is seconds.  Result in milliseconds. */
int parse_span_ms(const char *text, uint64_t *ret);

#endif
