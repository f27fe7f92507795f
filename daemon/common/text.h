/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_TEXT_H
#define DAEMON_COMMON_TEXT_H

#include <stddef.h>

/* A text that grows up to a bound.  Always ended by a NUL once something was appended; may hold
 * NULs of its own, so the size counts.  Owned by one thread; starts zeroed. */
struct text {
        char *data; /* owned */
        size_t size;
        size_t capacity;
};

void text_done(struct text *t);

/* Wipes the content, keeps the memory. */
void text_clear(struct text *t);

/* 0; -EFBIG when it would be longer than max_size, -ENOMEM; then nothing was appended. */
int text_append(struct text *t, const char *data, size_t size, size_t max_size);

/* Takes white space off both ends. */
void text_trim(struct text *t);

/* The content, "" when there is none. */
const char *text_data(const struct text *t);

#endif
