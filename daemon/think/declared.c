/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/declared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/tool-search.h"

#define MAX_TOPICS       64
#define DESCRIPTION_SIZE 1024

#define FIND_PARAMETERS                                                                            \
        "{\"type\":\"object\",\"properties\":{\"about\":{\"type\":\"string\"}},"                   \
        "\"required\":[\"about\"]}"

/* With a thought, which is the longer of the two openings. */
static bool has_room(const struct declared *d, const struct declared_room *room, size_t n_told) {
        _cleanup_(prompt_done) struct prompt p = { 0 };

        return prompt_begin(&p, room->tokenizer, room->system_text, d->told, n_told,
                            /* thinking= */ true, NULL) >= 0 &&
               p.n_ids <= room->positions;
}

static void collect(struct declared *d, const struct toolset *provided) {
        size_t n_own;
        const struct tool *own = tools_declared(&n_own);

        for (size_t i = 0; i < n_own; i++)
                if (!toolset_has(provided, own[i].name))
                        d->all[d->n_all++] = own[i];
        for (size_t i = 0; provided && i < provided->n_tools; i++)
                d->all[d->n_all++] = provided->tools[i];
}

/* So many of the topics.  Returns how many there were. */
static size_t describe(struct declared *d, size_t n_topics) {
        char topics[DESCRIPTION_SIZE - 128];
        size_t n = tool_search_topics(d->all, d->n_all, n_topics, topics, sizeof(topics));

        (void) snprintf(d->find_description, DESCRIPTION_SIZE,
                        "Finds the tools for anything else, to be called then%s%s.",
                        n > 0 ? ": " : "", topics);
        return n;
}

/* As many topics as have room; without any it is told all the same, or nothing could be done at all. */
static void tell_of_finding(struct declared *d, const struct declared_room *room) {
        size_t n = MAX_TOPICS;

        d->told[0] = (struct tool){ DECLARED_FIND, d->find_description, FIND_PARAMETERS };
        d->n_told = 1;
        n = describe(d, n);
        while (n > 0 && !has_room(d, room, 1))
                n = describe(d, n - 1);
}

static void
choose(struct declared *d, const struct toolset *provided, const struct declared_room *room) {
        memcpy(d->told, d->all, d->n_all * sizeof(*d->told));
        d->n_told = d->n_all;
        if (has_room(d, room, d->n_all))
                return;
        d->n_told = 0;
        /* Who brings one of this name finds tools in a better way. */
        if (!toolset_has(provided, DECLARED_FIND))
                tell_of_finding(d, room);
        for (size_t i = 0; i < d->n_all; i++) {
                d->told[d->n_told] = d->all[i];
                d->n_told += has_room(d, room, d->n_told + 1);
        }
}

int declared_new(struct declared **ret,
                 const struct toolset *provided,
                 const struct declared_room *room) {
        _cleanup_(declared_freep) struct declared *d = calloc(1, sizeof(*d));
        size_t n_own, n;

        if (!d)
                return -ENOMEM;
        (void) tools_declared(&n_own);
        n = n_own + (provided ? provided->n_tools : 0) + 1;
        d->all = calloc(n, sizeof(*d->all));
        d->told = calloc(n, sizeof(*d->told));
        d->find_description = calloc(1, DESCRIPTION_SIZE);
        if (!d->all || !d->told || !d->find_description)
                return -ENOMEM;
        collect(d, provided);
        choose(d, provided, room);

        *ret = TAKE_PTR(d);
        return 0;
}

struct declared *declared_free(struct declared *d) {
        if (!d)
                return NULL;

        free(d->all);
        free(d->told);
        free(d->find_description);
        free(d);
        return NULL;
}

char *declared_find(const struct declared *d, const json_t *arguments) {
        const char *about = json_string_value(json_object_get(arguments, "about"));
        const json_t *value;
        const char *key;

        /* A model may give it another name. */
        json_object_foreach((json_t *) arguments, key, value) {
                if (!about)
                        about = json_string_value(value);
        }
        return tool_search(d->all, d->n_all, about ? about : "");
}
