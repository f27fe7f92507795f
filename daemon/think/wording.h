/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_WORDING_H
#define DAEMON_THINK_WORDING_H

#include <stdbool.h>
#include <stddef.h>

/* A typed text as the words that somebody would have spoken: lower case, without punctuation, with
 * digits, clock times, contractions and abbreviations written out.  Where that can be done in more
 * than one way the word has several readings, the likeliest first: "7:05" is "seven oh five" or
 * "seven five".  Knows no grammar and nothing of what the words mean.  By value, pointers go into
 * itself: not to be copied.  Owned by one thread. */
#define WORDING_MAX_WORDS    48 /* a longer text is no command */
#define WORDING_MAX_READINGS 10

struct wording_word {
        const char *typed; /* one word in lower case, as it stood there */
        const char *readings[WORDING_MAX_READINGS]; /* words with a space between; none: nobody can say it */
        unsigned n_readings;
        bool is_break; /* punctuation stood before it */
};

struct wording {
        struct wording_word words[WORDING_MAX_WORDS];
        unsigned n_words;
        size_t used;
        char text[8192];
};

/* 0; -E2BIG when there are more words than a command has, or no room for their readings; then
 * nothing of w means anything. */
int wording_read(struct wording *w, const char *text, size_t size);

/* Whether every word can be said. */
bool wording_is_sayable(const struct wording *w);

/* The likeliest readings with spaces between.  Its length, or -ENOBUFS. */
int wording_write(const struct wording *w, char *out, size_t out_size);

/* A whole number from 0 to 999 in words, as wording_read() reads it first.  Its length, or -EINVAL,
 * -ENOBUFS. */
int wording_number(unsigned long number, char *out, size_t out_size);

#endif
