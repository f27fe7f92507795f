/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_DATES_H
#define DESKTOP_DATES_H

#include <stdbool.h>

#include <glib.h>

/* The day that words name: "ten days from now", "next friday", "two weeks from tomorrow", "the 3rd of
 * march", "christmas".  Numbers may be digits or words, and words that name nothing may stand around.  Days
 * without a year are those that come next, unless the words say that they are over ("last friday", "three
 * days ago").  False: they name none, or one beyond the years that GLib knows.  Any thread. */
bool dates_read(const char *words, const GDate *today, GDate *ret);

#endif
