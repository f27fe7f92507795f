/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/by-name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* So many words of politeness are left out before the name, and behind it. */
#define MAX_LEFT_OUT 4

static const char *const before[] = { "please", "hey", "gemma", "run", "start", "call", "do" };
static const char *const behind[] = { "please", "now", "thanks" };

#define N(list) (sizeof(list) / sizeof((list)[0]))

/* Letters and digits, with one _ where there is anything else between them. */
static bool normalise(const char *text, size_t size, char out[BY_NAME_SIZE]) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++) {
                bool counts = isalnum((unsigned char) text[i]) || (unsigned char) text[i] >= 0x80;

                if (n + 1 >= BY_NAME_SIZE)
                        return false;
                if (counts)
                        out[n++] = (char) tolower((unsigned char) text[i]);
                else if (n > 0 && out[n - 1] != '_')
                        out[n++] = '_';
        }
        if (n > 0 && out[n - 1] == '_')
                n--;
        out[n] = '\0';
        return n > 0;
}

/* The words from the first on that are none of the list; the same pointer when there is no such. */
static const char *without_first(const char *name) {
        for (size_t i = 0; i < N(before); i++) {
                size_t size = strlen(before[i]);

                if (strncmp(name, before[i], size) == 0 && name[size] == '_')
                        return name + size + 1;
        }
        return name;
}

static void cut_last(char *name) {
        char *last = strrchr(name, '_');

        for (size_t i = 0; last && i < N(behind); i++)
                if (strcmp(last + 1, behind[i]) == 0) {
                        *last = '\0';
                        return;
                }
}

struct search {
        const char *name, *except;
        char *out;
        bool is_found;
};

static void look(const struct tool_info *info, void *userdata) {
        struct search *s = userdata;
        char name[BY_NAME_SIZE];

        if (s->is_found || (s->except && strcmp(info->provider, s->except) == 0) ||
            json_array_size(json_object_get(info->parameters, "required")) > 0 ||
            strlen(info->name) >= BY_NAME_SIZE || !normalise(info->name, strlen(info->name), name) ||
            strcmp(name, s->name) != 0)
                return;
        (void) snprintf(s->out, BY_NAME_SIZE, "%s", info->name);
        s->is_found = true;
}

static bool is_there(const struct toolbox *t, const char *name, const char *except, char *out) {
        struct search s = { name, except, out, false };

        toolbox_list(t, look, &s);
        return s.is_found;
}

bool by_name_find(const struct toolbox *t,
                  const char *text,
                  size_t size,
                  const char *except,
                  char out[BY_NAME_SIZE]) {
        char words[BY_NAME_SIZE];

        if (!normalise(text, size, words))
                return false;
        /* A name may begin or end with such a word itself. */
        for (unsigned n = 0; n < MAX_LEFT_OUT; n++) {
                const char *name = words;

                for (unsigned i = 0; i < MAX_LEFT_OUT; i++) {
                        if (is_there(t, name, except, out))
                                return true;
                        name = without_first(name);
                }
                cut_last(words);
        }
        return false;
}
