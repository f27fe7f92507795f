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

/* What can not be written. */
#define NEVER SIZE_MAX

/* With a thought, which is the longer of the two openings. */
static size_t positions(const struct declared_room *room, const char *system_text, const struct tool *tool) {
        _cleanup_(prompt_done) struct prompt p = { 0 };

        if (prompt_begin(&p, room->tokenizer, system_text, tool, tool ? 1 : 0, /* thinking= */ true, NULL) < 0)
                return NEVER;
        return p.n_ids;
}

/* Markers stand around each tool, so that it takes as much whatever it stands beside: none has to be cut into tokens
 * more than once. */
static size_t cost(const struct declared_room *room, const struct tool *tool) {
        size_t n = positions(room, NULL, tool);

        return n == NEVER ? NEVER : n - positions(room, NULL, NULL);
}

/* What the system's text leaves for tools. */
static size_t room_for_tools(const struct declared_room *room) {
        size_t n = positions(room, room->system_text, NULL);

        return n < room->positions ? room->positions - n : 0;
}

static bool take(size_t *left, size_t n) {
        if (n > *left)
                return false;
        *left -= n;
        return true;
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
static void tell_of_finding(struct declared *d, const struct declared_room *room, size_t *left) {
        size_t n = MAX_TOPICS;

        d->told[0] = (struct tool){ DECLARED_FIND, d->find_description, FIND_PARAMETERS };
        d->n_told = 1;
        n = describe(d, n);
        while (!take(left, cost(room, d->told))) {
                if (n == 0) {
                        *left = 0;
                        return;
                }
                n = describe(d, n - 1);
        }
}

static bool have_room(const size_t *costs, size_t n, size_t left) {
        for (size_t i = 0; i < n; i++)
                if (!take(&left, costs[i]))
                        return false;
        return true;
}

static int
choose(struct declared *d, const struct toolset *provided, const struct declared_room *room) {
        _cleanup_(freep) size_t *costs = calloc(d->n_all + 1, sizeof(*costs));
        size_t left = room_for_tools(room);
        bool fits;

        if (!costs)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_all; i++)
                costs[i] = cost(room, &d->all[i]);
        fits = have_room(costs, d->n_all, left);
        /* Who brings one of this name finds tools in a better way. */
        if (!fits && !toolset_has(provided, DECLARED_FIND))
                tell_of_finding(d, room, &left);
        for (size_t i = 0; i < d->n_all; i++)
                if (take(&left, costs[i]))
                        d->told[d->n_told++] = d->all[i];
        return 0;
}

int declared_new(struct declared **ret,
                 const struct toolset *provided,
                 const struct declared_room *room) {
        _cleanup_(declared_freep) struct declared *d = calloc(1, sizeof(*d));
        size_t n_own, n;
        int r;

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
        r = choose(d, provided, room);
        if (r < 0)
                return r;

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
