/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TOOL_SEARCH_H
#define DAEMON_THINK_TOOL_SEARCH_H

#include <stddef.h>

#include "model/prompt.h"

/* Tools of which a model has not been told in full, because that takes more positions than there are: it
 * is told what they are about, asks for some by words, and gets those. */

/* What n tools are about, by their names: "volume, mute, timer", at most so many words.  Returns how many
 * there are; out is cut between two words. */
size_t
tool_search_topics(const struct tool *tools, size_t n, size_t n_words, char *out, size_t out_size);

/* The few tools that these words fit best, each in one line as it is to be called and what it does; or, when
 * they fit none, the names of all.  A JSON object, as a new string; NULL: out of memory. */
char *tool_search(const struct tool *tools, size_t n, const char *about);

#endif
