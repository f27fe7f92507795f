/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "model/tokenizer-tables.h"

#define NONE UINT32_MAX

/* U+2581 stands for a space in every piece. */
#define SPACE "\xe2\x96\x81"

enum {
        ID_UNKNOWN = -1, /* a character that is no token: bytes in the end */
        ID_MERGED = -2,  /* became part of the symbol on its left */
};

/* One character of a run at first, then whatever it was merged to. */
struct symbol {
        int32_t id;
        uint32_t prev, next; /* NONE at the ends */
        uint32_t offset;     /* in the run */
};

/* The work space of one call. */
struct encoder {
        const struct tokenizer *t;
        struct symbol *symbols; /* owned */
        uint64_t *heap;         /* owned; rank << 32 | left symbol: lowest rank, then leftmost */
        size_t n_heap;
        size_t room;  /* symbols; of the heap three times as many */
        int32_t *ids; /* owned */
        size_t n_ids;
        size_t ids_room;
};

static void encoder_done(struct encoder *e) {
        free(e->symbols);
        free(e->heap);
        free(e->ids);
}

static int add_id(struct encoder *e, int32_t id) {
        if (e->n_ids == e->ids_room) {
                size_t room = 2 * e->ids_room + 64;
                int32_t *ids = realloc(e->ids, room * sizeof(*ids));

                if (!ids)
                        return -ENOMEM;
                e->ids = ids;
                e->ids_room = room;
        }

        e->ids[e->n_ids++] = id;
        return 0;
}

static int add_bytes(struct encoder *e, const char *text, size_t size) {
        int r = 0;

        for (size_t i = 0; i < size && r >= 0; i++)
                r = add_id(e, e->t->byte_ids[(unsigned char) text[i]]);
        return r;
}

/* At most one candidate per pair of neighbours at first and two more per merge. */
static int reserve_symbols(struct encoder *e, size_t n) {
        struct symbol *symbols;
        uint64_t *heap;

        if (n <= e->room)
                return 0;
        if (n > SIZE_MAX / (3 * sizeof(*heap)))
                return -ENOMEM;

        symbols = malloc(n * sizeof(*symbols));
        heap = malloc(3 * n * sizeof(*heap));
        if (!symbols || !heap) {
                free(symbols);
                free(heap);
                return -ENOMEM;
        }

        free(e->symbols);
        free(e->heap);
        e->symbols = symbols;
        e->heap = heap;
        e->room = n;
        return 0;
}

static void heap_push(struct encoder *e, uint64_t candidate) {
        size_t i = e->n_heap++;

        for (; i > 0 && e->heap[(i - 1) / 2] > candidate; i = (i - 1) / 2)
                e->heap[i] = e->heap[(i - 1) / 2];
        e->heap[i] = candidate;
}

static uint64_t heap_pop(struct encoder *e) {
        uint64_t top = e->heap[0], last = e->heap[--e->n_heap];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < e->n_heap) {
                if (child + 1 < e->n_heap && e->heap[child + 1] < e->heap[child])
                        child++;
                if (e->heap[child] >= last)
                        break;
                e->heap[i] = e->heap[child];
                i = child;
        }
        e->heap[i] = last;
        return top;
}

/* Makes the symbol and its right neighbour a candidate if they can merge. */
static void push_pair(struct encoder *e, uint32_t left) {
        uint32_t rank;

        if (left == NONE || e->symbols[left].next == NONE)
                return;
        rank = tokenizer_find_merge(e->t, e->symbols[left].id,
                                    e->symbols[e->symbols[left].next].id);
        if (rank != NO_MERGE)
                heap_push(e, (uint64_t) rank << 32 | left);
}

/* Merges the best pair until there is none.  A candidate whose symbols have meanwhile become others
 * is recognised by its ids and dropped. */
static void merge_symbols(struct encoder *e) {
        while (e->n_heap > 0) {
                uint64_t candidate = heap_pop(e);
                const struct merge *m = &e->t->merges[candidate >> 32];
                uint32_t i = (uint32_t) candidate;
                struct symbol *left = &e->symbols[i], *right;

                if (left->id != m->left || left->next == NONE)
                        continue;
                right = &e->symbols[left->next];
                if (right->id != m->right)
                        continue;

                left->id = m->result;
                left->next = right->next;
                right->id = ID_MERGED;
                if (left->next != NONE)
                        e->symbols[left->next].prev = i;

                push_pair(e, left->prev);
                push_pair(e, i);
        }
}

/* Bytes of the character at the front; a byte that begins none stands alone. */
static size_t character_size(const char *text, size_t size) {
        int n = utf8_character(text, size);

        return n > 0 ? (size_t) n : 1;
}

/* The token of one character alone. */
static int32_t character_id(const struct tokenizer *t, const char *text, size_t size) {
        int32_t id;

        if (*text == ' ')
                id = tokenizer_find(t, SPACE, strlen(SPACE));
        else
                id = tokenizer_find(t, text, size);
        return id >= 0 && token_is_text(t, id) ? id : ID_UNKNOWN;
}

static int add_symbol(struct encoder *e, const struct symbol *s, const char *run, size_t size) {
        const char *text = run + s->offset;

        if (s->id >= 0)
                return add_id(e, s->id);
        if (*text == ' ')
                return add_bytes(e, SPACE, strlen(SPACE));
        return add_bytes(e, text, character_size(text, size - s->offset));
}

/* A maximal run of newlines or of anything else; size > 0. */
static int encode_run(struct encoder *e, const char *run, size_t size) {
        uint32_t n = 0;
        int r;

        r = reserve_symbols(e, size);
        if (r < 0)
                return r;

        for (size_t at = 0, step; at < size; at += step, n++) {
                step = character_size(run + at, size - at);
                e->symbols[n] = (struct symbol){
                        .id = character_id(e->t, run + at, step),
                        .prev = n - 1, /* NONE for the first */
                        .next = n + 1,
                        .offset = (uint32_t) at,
                };
        }
        e->symbols[n - 1].next = NONE;

        for (uint32_t i = 0; i < n; i++)
                push_pair(e, i);
        merge_symbols(e);

        for (uint32_t i = 0; i != NONE; i = e->symbols[i].next) {
                r = add_symbol(e, &e->symbols[i], run, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Newlines that are a token together are taken as it, whatever the merges say. */
static int encode_newlines(struct encoder *e, const char *run, size_t size) {
        int32_t id = tokenizer_find(e->t, run, size);

        if (id >= 0 && token_is_text(e->t, id))
                return add_id(e, id);
        return encode_run(e, run, size);
}

static int encode_text(struct encoder *e, const char *text, size_t size) {
        int r;

        while (size > 0) {
                const char *newline = memchr(text, '\n', size);
                size_t n = newline ? (size_t) (newline - text) : size;

                if (n > 0)
                        r = encode_run(e, text, n);
                else {
                        while (n < size && text[n] == '\n')
                                n++;
                        r = encode_newlines(e, text, n);
                }
                if (r < 0)
                        return r;

                text += n;
                size -= n;
        }
        return 0;
}

/* The longest marker at the front, and its size; -1 for none. */
static int32_t find_marker(const struct tokenizer *t, const char *text, size_t size, size_t *ret) {
        if (!t->marker_begins[(unsigned char) *text])
                return -1;

        for (size_t n = size < MARKER_MAX ? size : MARKER_MAX; n > 0; n--) {
                int32_t id;

                if (!(t->marker_sizes & UINT64_C(1) << n))
                        continue;
                id = tokenizer_find(t, text, n);
                if (id >= 0 &&
                    (t->types[id] == TOKEN_CONTROL || t->types[id] == TOKEN_USER_DEFINED)) {
                        *ret = n;
                        return id;
                }
        }
        return -1;
}

static int encode_marked(struct encoder *e, const char *text, size_t size) {
        size_t begin = 0, at = 0, n = 0;
        int32_t id;
        int r;

        while (at < size) {
                id = find_marker(e->t, text + at, size - at, &n);
                if (id < 0) {
                        at++;
                        continue;
                }

                r = encode_text(e, text + begin, at - begin);
                if (r >= 0)
                        r = add_id(e, id);
                if (r < 0)
                        return r;
                at += n;
                begin = at;
        }
        return encode_text(e, text + begin, size - begin);
}

int tokenizer_encode(const struct tokenizer *t,
                     enum tokenizer_mode mode,
                     const char *text,
                     size_t size,
                     int32_t **ids,
                     size_t *n_ids) {
        _cleanup_(encoder_done) struct encoder e = { .t = t };
        int32_t *all;
        int r = 0;

        if (size >= UINT32_MAX / 2)
                return -E2BIG;

        switch (mode) {
        case TOKENIZER_PLAIN:
                r = encode_text(&e, text, size);
                break;
        case TOKENIZER_MARKERS:
                r = encode_marked(&e, text, size);
                break;
        }
        if (r < 0 || e.n_ids == 0)
                return r;

        all = realloc(*ids, (*n_ids + e.n_ids) * sizeof(*all));
        if (!all)
                return -ENOMEM;

        memcpy(all + *n_ids, e.ids, e.n_ids * sizeof(*all));
        *ids = all;
        *n_ids += e.n_ids;
        return 0;
}
