/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/markers.h"

#include <stdbool.h>
#include <string.h>

enum match {
        MATCH_NO,
        MATCH_MAYBE, /* the beginning of one */
        MATCH_YES,
};

static bool is_name_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '"';
}

/* Markers without a bar; <b> and its like are what people write. */
static bool is_bare_name(const char *name, size_t size) {
        static const char *const names[] = { "bos", "eos", "pad", "unk", "mask",
                                             "start_of_turn", "end_of_turn" };
        static const char unused[] = "unused";

        if (size > sizeof(unused) - 1 && memcmp(name, unused, sizeof(unused) - 1) == 0)
                return true;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (size == strlen(names[i]) && memcmp(name, names[i], size) == 0)
                        return true;
        return false;
}

/* <|name>, <name|>, <|name|>, or one of those without a bar.  It begins with <. */
static enum match match(const char *text, size_t size) {
        size_t begin = 1, end;
        bool has_bar = size > 1 && text[1] == '|';

        begin += has_bar;
        for (end = begin; end < size && is_name_character(text[end]);)
                end++;
        if (end == size)
                return size < MARKERS_LONGEST ? MATCH_MAYBE : MATCH_NO;
        if (end == begin)
                return MATCH_NO;
        if (text[end] == '>')
                return has_bar || is_bare_name(text + begin, end - begin) ? MATCH_YES : MATCH_NO;
        if (text[end] != '|')
                return MATCH_NO;
        if (end + 1 == size)
                return size < MARKERS_LONGEST ? MATCH_MAYBE : MATCH_NO;
        return text[end + 1] == '>' ? MATCH_YES : MATCH_NO;
}

/* The first byte of what is held is none, so it is text. */
static void let_go(struct markers *m, char *out, size_t *n_out) {
        out[(*n_out)++] = m->held[0];
        m->n_held--;
        memmove(m->held, m->held + 1, m->n_held);
}

static void settle(struct markers *m, char *out, size_t *n_out) {
        while (m->n_held > 0) {
                enum match found = m->held[0] == '<' ? match(m->held, m->n_held) : MATCH_NO;

                if (found == MATCH_MAYBE)
                        return;
                if (found == MATCH_YES)
                        m->n_held = 0;
                else
                        let_go(m, out, n_out);
        }
}

size_t markers_push(struct markers *m, const char *text, size_t size, char *out) {
        size_t n_out = 0;

        for (size_t i = 0; i < size; i++) {
                m->held[m->n_held++] = text[i];
                settle(m, out, &n_out);
        }
        return n_out;
}

/* "<|tool_ca" is a marker that the end has cut, "a <" is not. */
size_t markers_finish(struct markers *m, char *out) {
        bool is_cut = m->n_held > 2 && m->held[1] == '|';
        size_t n = is_cut ? 0 : m->n_held;

        memcpy(out, m->held, n);
        m->n_held = 0;
        return n;
}
