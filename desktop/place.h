/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_PLACE_H
#define DESKTOP_PLACE_H

#include <glib.h>

/* The time at a place that is called as people call it: a city that the system's table of time zones
 * knows, one of the large ones that it does not, or a country.  Main thread. */

/* The moment of now there, which the caller releases.  NULL and *ret_error: -ENOENT, the place is not known, or
 * -ENOTUNIQ, it is a country with several times. */
GDateTime *place_now(const char *name, int *ret_error);

/* "new york" -> "New York", as it is said. */
void place_capitals(const char *name, char *out, size_t size);

#endif
