/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SENTENCES_H
#define DESKTOP_SENTENCES_H

#include <stddef.h>

/* An answer as it comes, piece by piece, cut into what can be spoken: whole sentences, without the
 * marks that are for the eye, and with units and signs as words.  Owned by one thread. */
#define SENTENCE_SIZE 1024

struct sentences {
        char text[SENTENCE_SIZE]; /* what is no whole sentence yet */
        size_t size;
        int is_code; /* within ``` */
};

typedef void sentence_said(const char *sentence, void *userdata);

/* Calls said for each sentence that is complete now. */
void sentences_push(struct sentences *s, const char *text, sentence_said *said, void *userdata);

/* The answer is over: so is its last sentence. */
void sentences_end(struct sentences *s, sentence_said *said, void *userdata);

/* Forgets what was begun. */
void sentences_reset(struct sentences *s);

/* One sentence as it is spoken. */
void sentence_speakable(const char *text, char *ret, size_t size);

#endif
