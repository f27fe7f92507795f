/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are published in parts: the first has the keys, each has tensors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/gguf-directory.h"

#define MAX_PARTS 1024

/* "-00001-of-00003.gguf" */
#define SUFFIX_FORMAT "-%05u-of-%05u.gguf"
#define SUFFIX_SIZE   20
#define SUFFIX_ROOM   40 /* for any numbers */

DEFINE_CLEANUP(struct gguf *, gguf_close)

/* 1: a part of several; 0: a whole file. */
static int read_split(const struct gguf *g, uint32_t *number, uint32_t *count, struct why *why) {
        int r;

        r = gguf_get_u32(g, "split.count", count, why);
        if (r == -ENOENT || (r == 0 && *count <= 1))
                return 0;
        if (r < 0)
                return r;
        if (*count > MAX_PARTS)
                return because(why, -EBADMSG, "key 'split.count' is %u, more than %u", *count,
                               MAX_PARTS);
        r = gguf_get_u32(g, "split.no", number, why);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        return 1;
}

/* The end of the name of part `number`, counted from 0.  Both are at most MAX_PARTS. */
static void part_suffix(char ret[static SUFFIX_ROOM], unsigned number, unsigned count) {
        (void) snprintf(ret, SUFFIX_ROOM, SUFFIX_FORMAT, number + 1, count);
}

static char *part_path(const struct gguf *g, unsigned number, unsigned count) {
        char suffix[SUFFIX_ROOM], *path = strdup(g->name);

        part_suffix(suffix, number, count);
        if (path)
                memcpy(path + strlen(path) - SUFFIX_SIZE, suffix, SUFFIX_SIZE);
        return path;
}

static bool is_named_as_first(const struct gguf *g, unsigned count) {
        char suffix[SUFFIX_ROOM];
        size_t size = strlen(g->name);

        part_suffix(suffix, 0, count);
        return size > SUFFIX_SIZE && strcmp(g->name + size - SUFFIX_SIZE, suffix) == 0;
}

/* Part `number` of `count`, by itself. */
static int
open_part(struct gguf **ret, const char *path, unsigned number, unsigned count, struct why *why) {
        _cleanup_(gguf_closep) struct gguf *part = NULL;
        uint32_t is_number = 0, is_count = 0;
        int r;

        r = gguf_open_part(&part, path, why);
        if (r == -ENOENT)
                return because(why, r, "%s: part %u of %u is missing", path, number + 1, count);
        if (r < 0)
                return r;
        r = read_split(part, &is_number, &is_count, why);
        if (r < 0)
                return gguf_because_in(part, r, why);
        if (is_number != number || is_count != count)
                return because(
                        why, -EBADMSG,
                        "%s: keys 'split.no' and 'split.count' do not say that it is part %u "
                        "of %u",
                        gguf_name(part), number + 1, count);
        *ret = TAKE_PTR(part);
        return 0;
}

static int take_tensors(struct gguf *g, const struct gguf *part, struct why *why) {
        size_t n = g->n_tensors + part->n_tensors;
        struct gguf_tensor *all = reallocarray(g->tensors, n + 1, sizeof(*all));

        if (!all)
                return -ENOMEM;
        memcpy(all + g->n_tensors, part->tensors, part->n_tensors * sizeof(*all));
        g->tensors = all;
        g->n_tensors = n;
        qsort(all, n, sizeof(*all), gguf_compare_tensors);
        for (size_t i = 1; i < n; i++)
                if (gguf_compare_tensors(&all[i - 1], &all[i]) == 0)
                        return because(why, -EBADMSG, "%s: tensor '%.*s' is in another part, too",
                                       gguf_name(part), (int) all[i].name.size, all[i].name.text);
        return 0;
}

static int check_count(const struct gguf *g, struct why *why) {
        uint32_t n;
        int r;

        r = gguf_get_u32(g, "split.tensors.count", &n, why);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (n != g->n_tensors)
                return because(why, -EBADMSG,
                               "key 'split.tensors.count' is %u, and all parts have %zu tensors", n,
                               g->n_tensors);
        return 0;
}

int gguf_join_parts(struct gguf *g, struct why *why) {
        uint32_t number = 0, count = 0;
        int r;

        r = read_split(g, &number, &count, why);
        if (r <= 0)
                return r;
        if (number != 0)
                return because(why, -EINVAL, "this is part %u of %u: name the first", number + 1,
                               count);
        if (!is_named_as_first(g, count))
                return because(why, -EINVAL,
                               "it is the first of %u parts, which are found only if its name ends "
                               "with " SUFFIX_FORMAT,
                               count, 1, count);

        g->parts = calloc(count, sizeof(*g->parts));
        if (!g->parts)
                return -ENOMEM;
        for (unsigned i = 1; i < count; i++) {
                _cleanup_(freep) char *path = part_path(g, i, count);

                if (!path)
                        return -ENOMEM;
                r = open_part(&g->parts[g->n_parts], path, i, count, why);
                if (r < 0)
                        return r;
                g->n_parts++;
                r = take_tensors(g, g->parts[g->n_parts - 1], why);
                if (r < 0)
                        return r;
        }
        return check_count(g, why);
}
