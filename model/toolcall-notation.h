/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_TOOLCALL_NOTATION_H
#define MODEL_TOOLCALL_NOTATION_H

#include <stdbool.h>

/* What reading and writing the tools' notation agree on. */

#define NOTATION_QUOTE     "<|\"|>"
#define NOTATION_MAX_DEPTH 16
#define NOTATION_MAX_WORD  128 /* bytes of a name or a key */

/* Not isalnum(), which obeys the locale. */
static inline bool notation_is_word_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
}

#endif
