/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_MARKERS_H
#define DAEMON_COMMON_MARKERS_H

#include <stddef.h>

/* Takes what looks like a marker of the chat layout (<|turn>, <tool_response|>, <|"|>, <eos> and their
 * like) out of a text that comes piece by piece, wherever it is cut.  A model may write one letter by
 * letter, or where it means nothing, and nobody wants to read it or to hear it spoken.  Start with a
 * zeroed struct; owned by one thread. */
#define MARKERS_LONGEST 40

struct markers {
        char held[MARKERS_LONGEST]; /* what may become one */
        size_t n_held;
};

/* The next piece; writes what is certainly none to out, which has room for size + MARKERS_LONGEST
 * bytes, and returns its size.  out may not overlap the text. */
size_t markers_push(struct markers *m, const char *text, size_t size, char *out);

/* The end of the text: what is left and is none. */
size_t markers_finish(struct markers *m, char *out);

#endif
