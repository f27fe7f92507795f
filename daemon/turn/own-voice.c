/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/own-voice.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "daemon/hear/gate.h"

/* The word that begins at or behind text, and its length; 0: there is none. */
static size_t next_word(const char **text) {
        const char *end;

        while (**text && !isalnum((unsigned char) **text))
                (*text)++;
        for (end = *text; isalnum((unsigned char) *end); end++)
                ;
        return (size_t) (end - *text);
}

static bool has_word(const char *text, const char *word, size_t size) {
        size_t n;

        for (; (n = next_word(&text)) > 0; text += n)
                if (n == size && strncasecmp(text, word, n) == 0)
                        return true;
        return false;
}

bool own_voice_is(const char *heard, const char *spoken) {
        const size_t phrase = sizeof(GATE_PHRASE) - 1;
        const char *name = strchr(GATE_PHRASE, ' ') + 1;
        unsigned n_words = 0, n_spoken = 0;
        size_t n;

        if (strncasecmp(heard, GATE_PHRASE, phrase) == 0 && !isalnum((unsigned char) heard[phrase]))
                heard += phrase;
        for (; (n = next_word(&heard)) > 0; heard += n) {
                n_words++;
                n_spoken += has_word(spoken, heard, n);
        }
        if (n_words == 0)
                return has_word(spoken, name, strlen(name));
        return 2 * n_spoken >= n_words;
}
