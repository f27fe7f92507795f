/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/place.h"

#include <string.h>
#include <strings.h>

/* Behind the place, and in no name of one that people ask about. */
static const char *const ends[] = { "and",    "then",  "now",  "right", "currently", "at",  "please", "thanks",
                                    "thank", "today", "what", "is",    "for",       "the", "exactly" };

static const char separators[] = " \t\r\n,.;:!?";

static bool is_word(const char *word, size_t size, const char *other) {
        return strlen(other) == size && strncasecmp(word, other, size) == 0;
}

static bool is_end(const char *word, size_t size) {
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
                if (is_word(word, size, ends[i]))
                        return true;
        return false;
}

/* The next word from *at on, behind which that is then; 0: there is none.  *ret_stop: something ends before it. */
static size_t next_word(const char **at, const char *end, const char **ret_word, bool *ret_stop) {
        *ret_stop = false;
        while (*at < end && strchr(separators, **at)) {
                *ret_stop |= strchr(",.;:!?", **at) != NULL;
                (*at)++;
        }
        *ret_word = *at;
        while (*at < end && !strchr(separators, **at))
                (*at)++;
        return (size_t) (*at - *ret_word);
}

static bool read_name(const char *at, const char *end, char out[PLACE_SIZE]) {
        const char *word;
        size_t n = 0, size;
        bool stops;

        while ((size = next_word(&at, end, &word, &stops)) > 0) {
                if ((stops && n > 0) || is_end(word, size))
                        break;
                if (n + size + 2 > PLACE_SIZE)
                        return false;
                if (n > 0)
                        out[n++] = ' ';
                memcpy(out + n, word, size);
                n += size;
        }
        out[n] = '\0';
        return n > 0;
}

bool place_read(const char *heard, size_t size, char out[PLACE_SIZE]) {
        const char *at = heard, *end = heard + size, *word;
        size_t n;
        bool stops;

        while ((n = next_word(&at, end, &word, &stops)) > 0)
                if (is_word(word, n, "in") && read_name(at, end, out))
                        return true;
        return false;
}
