/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/sentences.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What the eye reads, and what the ear hears; behind a number only, unless it is a sign of its
 * own.  The longer of two that begin alike stands first. */
struct spoken {
        const char *written, *said;
        bool is_unit;
};

static const struct spoken words[] = {
        { "km/h", "kilometres per hour", true },
        { "m/s", "metres per second", true },
        { "\xc2\xb0" "C", "degrees Celsius", true },
        { "\xc2\xb0" "F", "degrees Fahrenheit", true },
        { "\xc2\xb0", "degrees", true },
        { "km", "kilometres", true },
        { "cm", "centimetres", true },
        { "mm", "millimetres", true },
        { "kg", "kilograms", true },
        { "ms", "milliseconds", true },
        { "min", "minutes", true },
        { "GHz", "gigahertz", true },
        { "MHz", "megahertz", true },
        { "GB", "gigabytes", true },
        { "MB", "megabytes", true },
        { "kB", "kilobytes", true },
        { "kWh", "kilowatt hours", true },
        { "kW", "kilowatts", true },
        { "ml", "millilitres", true },
        { "%", "percent", true },
        { "m", "metres", true },
        { "g", "grams", true },
        { "h", "hours", true },
        { "s", "seconds", true },
        { "l", "litres", true },
        { "W", "watts", true },
        { "V", "volts", true },
        { "&", "and", false },
        { "\xe2\x82\xac", "euros", false },
        { "\xe2\x86\x92", "to", false },
        { "\xe2\x89\x88", "about", false },
        { "\xc3\x97", "times", false },
};

struct out {
        char *text;
        size_t size, n;
};

static void put(struct out *o, const char *text, size_t n) {
        if (o->n + n >= o->size)
                n = o->size - 1 - o->n;
        memcpy(o->text + o->n, text, n);
        o->n += n;
}

static void put_space(struct out *o) {
        if (o->n > 0 && o->text[o->n - 1] != ' ')
                put(o, " ", 1);
}

static bool is_word_character(char c) {
        return isalnum((unsigned char) c) || (unsigned char) c >= 0x80;
}

/* The bytes that were read: what stands here is said otherwise.  0: it is said as it is. */
static size_t put_word(struct out *o, const char *at, const char *before) {
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                size_t n = strlen(words[i].written);

                if (strncmp(at, words[i].written, n) != 0)
                        continue;
                if (words[i].is_unit &&
                    (!isdigit((unsigned char) *before) || is_word_character(at[n])))
                        continue;
                put_space(o);
                put(o, words[i].said, strlen(words[i].said));
                if (is_word_character(at[n]))
                        put_space(o);
                return n;
        }
        return 0;
}

/* [text](address): the text is said.  0: it is no link. */
static size_t put_link(struct out *o, const char *at) {
        size_t text = strcspn(at + 1, "[]\n"), address;

        if (at[1 + text] != ']' || at[2 + text] != '(')
                return 0;
        address = strcspn(at + 3 + text, ")\n");
        if (at[3 + text + address] != ')')
                return 0;
        put(o, at + 1, text);
        return text + address + 4;
}

/* An address is not spelled out. */
static size_t put_address(struct out *o, const char *at) {
        if (strncmp(at, "https://", 8) != 0 && strncmp(at, "http://", 7) != 0)
                return 0;
        put(o, "a link", 6);
        return strcspn(at, " \n\t)>");
}

/* The marks at the beginning of a line: of headings, lists and quotations. */
static const char *skip_marks(const char *at) {
        at += strspn(at, " \t");
        if (*at == '#')
                return at + strspn(at, "# ");
        if ((*at == '-' || *at == '*' || *at == '+' || *at == '>') && at[1] == ' ')
                return at + 2;
        return at;
}

void sentence_speakable(const char *text, char *ret, size_t size) {
        struct out out = { ret, size, 0 };
        const char *before = ""; /* the last character that is no space */

        for (const char *at = skip_marks(text); *at;) {
                size_t n = 0;

                if (*at == '[')
                        n = put_link(&out, at);
                if (n == 0)
                        n = put_address(&out, at);
                if (n == 0 && !is_word_character(*(at > text ? at - 1 : " ")))
                        n = put_word(&out, at, before);
                if (n == 0 && at > text && isdigit((unsigned char) at[-1]))
                        n = put_word(&out, at, at - 1);
                if (n > 0) {
                        before = at + n - 1;
                        at += n;
                        continue;
                }
                if (isspace((unsigned char) *at))
                        put_space(&out);
                else if (!strchr("*`_|~", *at) ||
                         (*at == '_' && at > text && is_word_character(at[-1]) &&
                          is_word_character(at[1])))
                        put(&out, at, 1);
                if (!isspace((unsigned char) *at))
                        before = at;
                at++;
        }
        while (out.n > 0 && ret[out.n - 1] == ' ')
                out.n--;
        ret[out.n] = 0;
}

static bool has_word(const char *text) {
        for (; *text; text++)
                if (is_word_character(*text))
                        return true;
        return false;
}

/* "Mr.", "e.g.", a lone letter, the number of a list: no end. */
static bool is_abbreviation(const char *text, size_t dot) {
        static const char *const known[] = { "mr", "mrs", "ms", "dr", "st", "e.g", "i.e", "etc", "vs", "approx", "no" };
        size_t begin = dot;
        char word[12];

        while (begin > 0 && !isspace((unsigned char) text[begin - 1]))
                begin--;
        if (dot - begin == 0 || dot - begin >= sizeof(word))
                return false;
        for (size_t i = begin; i < dot; i++)
                word[i - begin] = (char) tolower((unsigned char) text[i]);
        word[dot - begin] = 0;
        if (dot - begin == 1 && isalpha((unsigned char) word[0]) && word[0] != 'i')
                return true;
        if (begin == 0 && word[strspn(word, "0123456789")] == 0)
                return true;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (strcmp(known[i], word) == 0)
                        return true;
        return false;
}

/* The bytes of the first whole sentence; 0: there is none yet. */
static size_t find_end(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '\n')
                        return i + 1;
                if (!strchr(".!?:", text[i]) || i + 1 >= size)
                        continue;
                if (!isspace((unsigned char) text[i + 1]) && !strchr("\"')*_", text[i + 1]))
                        continue;
                if (text[i] == ':' && text[i + 1] != '\n')
                        continue;
                if (text[i] == '.' && is_abbreviation(text, i))
                        continue;
                while (i + 1 < size && strchr("\"')*_", text[i + 1]))
                        i++;
                if (i + 1 < size)
                        return i + 1;
        }
        return 0;
}

/* Code is not read out. */
static void hand_on(struct sentences *s, const char *text, sentence_said *said, void *userdata) {
        char spoken[2 * SENTENCE_SIZE];

        if (strncmp(text + strspn(text, " \t"), "```", 3) == 0) {
                s->is_code = !s->is_code;
                return;
        }
        if (s->is_code)
                return;
        sentence_speakable(text, spoken, sizeof(spoken));
        if (has_word(spoken))
                said(spoken, userdata);
}

static void take(struct sentences *s, size_t n, sentence_said *said, void *userdata) {
        char sentence[SENTENCE_SIZE];

        memcpy(sentence, s->text, n);
        sentence[n] = 0;
        s->size -= n;
        memmove(s->text, s->text + n, s->size);
        hand_on(s, sentence, said, userdata);
}

/* Something without an end is cut at its last space. */
static size_t cut(const struct sentences *s) {
        size_t n = s->size;

        while (n > 0 && s->text[n - 1] != ' ')
                n--;
        return n > 0 ? n : s->size;
}

void sentences_push(struct sentences *s, const char *text, sentence_said *said, void *userdata) {
        size_t n;

        for (; *text; text++) {
                s->text[s->size++] = *text;
                if (s->size == SENTENCE_SIZE - 1)
                        take(s, cut(s), said, userdata);
        }
        while ((n = find_end(s->text, s->size)) > 0)
                take(s, n, said, userdata);
}

void sentences_end(struct sentences *s, sentence_said *said, void *userdata) {
        if (s->size > 0)
                take(s, s->size, said, userdata);
        sentences_reset(s);
}

void sentences_reset(struct sentences *s) {
        *s = (struct sentences){};
}
