/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_WORDS_H
#define DESKTOP_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Numbers and times as they are said.  Any thread; all of them write at most size bytes with the
 * zero byte and return buffer. */

#define USEC_PER_SEC INT64_C(1000000)

/* "five", "25". */
char *words_number(char *buffer, size_t size, int64_t n);

/* "two minutes", "one hour and 30 minutes", "one hour, two minutes and five seconds"; rounded to
 * seconds, never less than "one second". */
char *words_duration(char *buffer, size_t size, int64_t usec);

/* When something is, as seen from now; both in microseconds since 1970, told in local time: "7:30",
 * "tomorrow, 7:30", "Friday, 7:30", "3 December, 7:30". */
char *words_moment(char *buffer, size_t size, int64_t usec, int64_t now_usec);

/* The first letter in upper case (ASCII), in place. */
char *words_capital(char *text);

#endif
