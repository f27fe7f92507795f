/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first character of n >= 1 bytes: its length (1 to 4); 0 when the bytes are only the beginning
 * of one; -1 when they begin no character.  Overlong forms, surrogates and values above U+10FFFF
 * are no characters.  Any thread. */
static inline int utf8_character(const char *text, size_t n) {
        const unsigned char *p = (const unsigned char *) text;
        unsigned length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        unsigned char low = 0x80, high = 0xbf;

        if (length == 1)
                return 1;
        if (p[0] < 0xc2 || p[0] > 0xf4)
                return -1;

        /* The second byte's range excludes what could be written shorter, and the surrogates. */
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;

        for (unsigned i = 1; i < length; i++) {
                if (i >= n)
                        return 0;
                if (p[i] < low || p[i] > high)
                        return -1;
                low = 0x80;
                high = 0xbf;
        }
        return (int) length;
}

/* Ends what came from another process in a field of this size, and puts a question mark in the place of each
 * byte that a terminal, the journal or a message could not show on one line. */
static inline void utf8_tidy(char *text, size_t size) {
        size_t n;

        text[size - 1] = '\0';
        n = strlen(text);
        for (size_t i = 0; i < n;) {
                int length = utf8_character(text + i, n - i);

                if (length <= 0 || (unsigned char) text[i] < ' ' || text[i] == 0x7f) {
                        text[i] = '?';
                        length = 1;
                }
                i += (size_t) length;
        }
}

/* The code point of a character that is so many bytes long, as utf8_character() says. */
static inline uint32_t utf8_code(const char *text, int length) {
        static const unsigned char first_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        const unsigned char *p = (const unsigned char *) text;
        uint32_t code = p[0] & first_bits[length];

        for (int i = 1; i < length; i++)
                code = code << 6 | (p[i] & 0x3fu);
        return code;
}

/* White space as Unicode has it, and the separators of ASCII, which Python counts to it as well. */
static inline bool utf8_is_space(uint32_t code) {
        return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20) || code == 0x85 ||
               code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
               code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
               code == 0x3000;
}

/* Whether these bytes are one character of white space. */
static inline bool utf8_is_one_space(const char *text, size_t n) {
        return utf8_character(text, n) == (int) n && utf8_is_space(utf8_code(text, (int) n));
}

/* Takes white space off both ends of a text that need not be UTF-8 everywhere. */
static inline void utf8_trim(const char **text, size_t *size) {
        for (size_t n = 1; n <= 3 && n <= *size;) {
                if (utf8_is_one_space(*text, n)) {
                        *text += n;
                        *size -= n;
                        n = 1;
                } else
                        n++;
        }
        for (size_t n = 1; n <= 3 && n <= *size;) {
                if (utf8_is_one_space(*text + *size - n, n)) {
                        *size -= n;
                        n = 1;
                } else
                        n++;
        }
}

#endif
