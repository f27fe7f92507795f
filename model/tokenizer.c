/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/tokenizer-tables.h"

#define MAX_TOKENS (1u << 24)
#define MAX_MERGES (1u << 26)

#define HASH_START 0x811c9dc5u

/* Steps from where an entry belongs to where it is.  In tables that are at most half full a quarter
 * of it does not happen by chance, but a crafted file could make every look-up walk the table. */
#define MAX_PROBES 256

/* FNV-1a, which can go on where an earlier part of a text ended. */
static uint32_t hash_more(uint32_t hash, const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                hash = (hash ^ (unsigned char) text[i]) * 0x01000193u;
        return hash;
}

/* The low bits choose the slot, and FNV leaves them weak. */
static uint32_t hash_end(uint32_t hash) {
        return hash ^ hash >> 15;
}

static uint32_t hash_pair(int32_t left, int32_t right) {
        uint64_t both = (uint64_t) (uint32_t) left << 32 | (uint32_t) right;

        both *= 0x9e3779b97f4a7c15u;
        return (uint32_t) (both >> 32);
}

static int index_init(struct index_table *x, size_t n) {
        size_t n_slots = 16;

        while (n_slots < 2 * n)
                n_slots *= 2;

        x->slots = calloc(n_slots, sizeof(*x->slots));
        if (!x->slots)
                return -ENOMEM;
        x->mask = (uint32_t) n_slots - 1;
        return 0;
}

static bool has_text(const struct tokenizer *t,
                     uint32_t id,
                     const struct gguf_string *a,
                     const struct gguf_string *b) {
        const char *text = t->texts + t->pieces[id].offset;

        return t->pieces[id].size == a->size + b->size && memcmp(text, a->text, a->size) == 0 &&
               memcmp(text + a->size, b->text, b->size) == 0;
}

/* The slot where the text a followed by b is, or the free one where it belongs; NULL when neither is
 * within MAX_PROBES. */
static uint32_t *
text_slot(const struct tokenizer *t, const struct gguf_string *a, const struct gguf_string *b) {
        uint32_t hash = hash_more(hash_more(HASH_START, a->text, a->size), b->text, b->size);
        uint32_t i = hash_end(hash) & t->by_text.mask;

        for (unsigned n = 0; n < MAX_PROBES; n++, i = (i + 1) & t->by_text.mask) {
                uint32_t *slot = &t->by_text.slots[i];

                if (*slot == 0 || has_text(t, *slot - 1, a, b))
                        return slot;
        }
        return NULL;
}

static uint32_t *pair_slot(const struct tokenizer *t, int32_t left, int32_t right) {
        uint32_t i = hash_pair(left, right) & t->by_pair.mask;

        for (unsigned n = 0; n < MAX_PROBES; n++, i = (i + 1) & t->by_pair.mask) {
                uint32_t *slot = &t->by_pair.slots[i];
                const struct merge *m = &t->merges[*slot - (*slot > 0)];

                if (*slot == 0 || (m->left == left && m->right == right))
                        return slot;
        }
        return NULL;
}

static int32_t
find_joined(const struct tokenizer *t, const struct gguf_string *a, const struct gguf_string *b) {
        const uint32_t *slot = text_slot(t, a, b);

        return slot ? (int32_t) *slot - 1 : -1;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t size) {
        struct gguf_string s = { .text = text, .size = size }, empty = { .text = "", .size = 0 };

        return find_joined(t, &s, &empty);
}

uint32_t tokenizer_find_merge(const struct tokenizer *t, int32_t left, int32_t right) {
        const uint32_t *slot;

        if (left < 0 || right < 0)
                return NO_MERGE;
        slot = pair_slot(t, left, right);
        return slot ? *slot - 1 : NO_MERGE; /* a free slot's 0 becomes NO_MERGE */
}

/* Names the key in front of what is wrong with it. */
static int bad_key(const struct gguf *g, const char *key, const char *what, struct why *why) {
        return because(why, -EBADMSG, "%s: key '%s' %s", gguf_name(g), key, what);
}

static int get_strings(const struct gguf *g,
                       const char *key,
                       size_t max,
                       struct gguf_array *ret,
                       struct why *why) {
        struct gguf_array a;
        int r;

        r = gguf_get_array(g, key, &a, why);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        if (a.kind != GGUF_KIND_STRING)
                return bad_key(g, key, "is not an array of strings", why);
        if (a.n > max || a.size > UINT32_MAX)
                return bad_key(g, key, "is too long", why);

        *ret = a;
        return 0;
}

static int load_pieces(struct tokenizer *t, const struct gguf *g, struct why *why) {
        static const char key[] = "tokenizer.ggml.tokens";
        struct gguf_string s, empty = { .text = "", .size = 0 };
        struct gguf_array a;
        size_t cursor = 0;
        uint32_t *slot;
        int r;

        r = get_strings(g, key, MAX_TOKENS, &a, why);
        if (r < 0)
                return r;
        if (a.n == 0)
                return bad_key(g, key, "is empty", why);

        t->texts = (const char *) a.data;
        t->n_tokens = a.n;
        t->pieces = calloc(a.n, sizeof(*t->pieces));
        if (!t->pieces || index_init(&t->by_text, a.n) < 0)
                return -ENOMEM;

        for (uint32_t id = 0; id < a.n && gguf_array_string(&a, &cursor, &s) > 0; id++) {
                t->pieces[id].offset = (uint32_t) (s.text - t->texts);
                t->pieces[id].size = (uint32_t) s.size;
                if (s.size > t->longest_piece)
                        t->longest_piece = s.size;

                slot = text_slot(t, &s, &empty);
                if (!slot)
                        return bad_key(g, key, "was made to be slow to search", why);
                if (*slot == 0)
                        *slot = id + 1;
        }
        return 0;
}

static int load_types(struct tokenizer *t, const struct gguf *g, struct why *why) {
        static const char key[] = "tokenizer.ggml.token_type";
        struct gguf_array a;
        int64_t type;
        int r;

        r = gguf_get_array(g, key, &a, why);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        if (a.n != t->n_tokens)
                return bad_key(g, key, "is not as long as 'tokenizer.ggml.tokens'", why);

        t->types = malloc(t->n_tokens);
        if (!t->types)
                return -ENOMEM;
        for (size_t i = 0; i < a.n; i++) {
                if (gguf_array_integer(&a, i, &type) < 0 || type < TOKEN_NORMAL ||
                    type > TOKEN_BYTE)
                        return bad_key(g, key, "holds something that is no type", why);
                t->types[i] = (unsigned char) type;
        }
        return 0;
}

/* Every byte needs a token, or some text could not be encoded; and no other token may be of that
 * type, or it could not be decoded. */
static int load_bytes(struct tokenizer *t, const struct gguf *g, struct why *why) {
        size_t n_bytes = 0;
        char text[8];
        int32_t id;

        for (unsigned byte = 0; byte < 256; byte++) {
                (void) snprintf(text, sizeof(text), "<0x%02X>", byte);
                id = tokenizer_find(t, text, strlen(text));
                /* Some writers know no type of bytes. */
                if (id >= 0 && t->types[id] == TOKEN_NORMAL)
                        t->types[id] = TOKEN_BYTE;
                if (id < 0 || t->types[id] != TOKEN_BYTE)
                        return because(why, -EBADMSG,
                                       "%s: key 'tokenizer.ggml.tokens' has no byte token '%s'",
                                       gguf_name(g), text);
                t->byte_ids[byte] = id;
        }

        for (size_t i = 0; i < t->n_tokens; i++)
                n_bytes += t->types[i] == TOKEN_BYTE;
        if (n_bytes != 256)
                return bad_key(g, "tokenizer.ggml.token_type", "names more than 256 bytes", why);
        return 0;
}

/* An id named by a key must be a token's, whether we need it or not. */
static int check_ids(const struct tokenizer *t, const struct gguf *g, struct why *why) {
        static const char *const keys[] = {
                "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
                "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.padding_token_id",
                "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.mask_token_id",
        };
        uint32_t id;
        int r;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                r = gguf_get_u32(g, keys[i], &id, why);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (id >= t->n_tokens)
                        return bad_key(g, keys[i], "is not a token's id", why);
        }
        return 0;
}

/* A converter that types one of these as ordinary text must not open a door to spoken markers, so
 * then it becomes a control token. */
static void find_special(struct tokenizer *t) {
        const struct {
                int32_t *id;
                const char *text;
        } table[] = {
                { &t->special.bos, "<bos>" },
                { &t->special.eos, "<eos>" },
                { &t->special.pad, "<pad>" },
                { &t->special.unk, "<unk>" },
                { &t->special.turn_begin, "<|turn>" },
                { &t->special.turn_end, "<turn|>" },
                { &t->special.audio_begin, "<|audio>" },
                { &t->special.audio_frame, "<|audio|>" },
                { &t->special.audio_end, "<audio|>" },
                { &t->special.image_begin, "<|image>" },
                { &t->special.image_end, "<image|>" },
                { &t->special.channel_begin, "<|channel>" },
                { &t->special.channel_end, "<channel|>" },
                { &t->special.tool_begin, "<|tool>" },
                { &t->special.tool_end, "<tool|>" },
                { &t->special.call_begin, "<|tool_call>" },
                { &t->special.call_end, "<tool_call|>" },
                { &t->special.response_begin, "<|tool_response>" },
                { &t->special.response_end, "<tool_response|>" },
                { &t->special.quote, "<|\"|>" },
                { &t->special.think, "<|think|>" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                int32_t id = tokenizer_find(t, table[i].text, strlen(table[i].text));

                *table[i].id = id;
                if (id >= 0 && token_is_text(t, id))
                        t->types[id] = TOKEN_CONTROL;
        }
}

static int find_markers(struct tokenizer *t, const struct gguf *g, struct why *why) {
        for (size_t i = 0; i < t->n_tokens; i++) {
                const struct piece *p = &t->pieces[i];

                if (t->types[i] != TOKEN_CONTROL && t->types[i] != TOKEN_USER_DEFINED)
                        continue;
                if (p->size == 0 || p->size > MARKER_MAX)
                        return because(why, -EBADMSG,
                                       "%s: key 'tokenizer.ggml.tokens': the text of special token "
                                       "%zu is empty or longer than %u bytes",
                                       gguf_name(g), i, MARKER_MAX);
                t->marker_sizes |= UINT64_C(1) << p->size;
                t->marker_begins[(unsigned char) t->texts[p->offset]] = true;
        }
        return 0;
}

/* One line "left right"; what is wrong with it, or NULL.  A merge that would make anything but text, or that needs or makes a piece
 * that the vocabulary lacks, stays in the list to keep the ranks but can not be found. */
static const char *load_merge(struct tokenizer *t, uint32_t rank, const struct gguf_string *line) {
        const struct gguf_string empty = { .text = "", .size = 0 };
        const char *space = memchr(line->text, ' ', line->size);
        struct merge *m = &t->merges[rank];
        struct gguf_string left, right;
        uint32_t *slot;

        if (!space)
                return "is not two pieces";

        left.text = line->text;
        left.size = (size_t) (space - line->text);
        right.text = space + 1;
        right.size = line->size - left.size - 1;
        m->left = find_joined(t, &left, &empty);
        m->right = find_joined(t, &right, &empty);
        m->result = find_joined(t, &left, &right);
        if (left.size == 0 || right.size == 0)
                return "is not two pieces";
        if (m->left < 0 || m->right < 0 || m->result < 0)
                return NULL;
        if (!token_is_text(t, m->left) || !token_is_text(t, m->right) ||
            !token_is_text(t, m->result))
                return NULL;

        slot = pair_slot(t, m->left, m->right);
        if (!slot)
                return "and those before it were made to be slow to search";
        if (*slot == 0)
                *slot = rank + 1;
        return NULL;
}

/* One way to make a piece of two others. */
struct way {
        float score; /* of the piece */
        unsigned left_length, right_length;
        uint32_t result;
        int32_t left, right;
};

struct ways {
        struct way *list; /* owned */
        size_t n, room;
};

static void ways_done(struct ways *w) {
        free(w->list);
}

/* Pieces of a better score first, then longer beginnings: as the tokenizer of this family was made of its
 * scores. */
static int compare_ways(const void *one, const void *other) {
        const struct way *a = one, *b = other;

        if (a->score != b->score)
                return a->score > b->score ? -1 : 1;
        if (a->left_length != b->left_length)
                return a->left_length > b->left_length ? -1 : 1;
        if (a->right_length != b->right_length)
                return a->right_length > b->right_length ? -1 : 1;
        return (a->result > b->result) - (a->result < b->result);
}

static unsigned n_characters(const char *text, size_t size) {
        unsigned n = 0;

        for (size_t i = 0; i < size; i++)
                n += (text[i] & 0xc0) != 0x80;
        return n;
}

static int add_way(struct ways *w, const struct way *way) {
        if (w->n == w->room) {
                size_t room = w->room ? 2 * w->room : 1024;
                struct way *list = reallocarray(w->list, room, sizeof(*list));

                if (!list)
                        return -ENOMEM;
                w->list = list;
                w->room = room;
        }
        w->list[w->n++] = *way;
        return 0;
}

static int add_ways_of(struct ways *w, const struct tokenizer *t, uint32_t id, float score) {
        const char *text = t->texts + t->pieces[id].offset;
        size_t size = t->pieces[id].size;
        int r = 0;

        for (size_t i = 1; i < size && r >= 0 && w->n < MAX_MERGES; i++) {
                struct way way = { .score = score, .result = id };

                if ((text[i] & 0xc0) == 0x80)
                        continue;
                way.left = tokenizer_find(t, text, i);
                way.right = tokenizer_find(t, text + i, size - i);
                if (way.left < 0 || way.right < 0 || !token_is_text(t, way.left) ||
                    !token_is_text(t, way.right))
                        continue;
                way.left_length = n_characters(text, i);
                way.right_length = n_characters(text + i, size - i);
                r = add_way(w, &way);
        }
        return r;
}

/* A text of one long piece would make each look-up long, and their number grows with its length. */
#define MAX_PIECE 256

static int
find_ways(struct ways *w, const struct tokenizer *t, const struct gguf *g, struct why *why) {
        static const char key[] = "tokenizer.ggml.scores";
        struct gguf_array a;
        float score;
        int r;

        r = gguf_get_array(g, key, &a, NULL);
        if (r == -ENOENT)
                return because(why, -EBADMSG,
                               "%s: neither key 'tokenizer.ggml.merges' nor '%s' is there",
                               gguf_name(g), key);
        if (r < 0 || a.kind != GGUF_KIND_F32 || a.n != t->n_tokens)
                return bad_key(g, key, "is not one number for each token", why);
        for (uint32_t id = 0; id < t->n_tokens; id++) {
                memcpy(&score, a.data + (size_t) id * sizeof(score), sizeof(score));
                if (!isfinite(score))
                        return bad_key(g, key, "has a number that is not finite", why);
                if (!token_is_text(t, (int32_t) id) || t->pieces[id].size > MAX_PIECE)
                        continue;
                r = add_ways_of(w, t, id, score);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A vocabulary with scores and no merges, as SentencePiece has it: the merges follow from them. */
static int derive_merges(struct tokenizer *t, const struct gguf *g, struct why *why) {
        _cleanup_(ways_done) struct ways w = { 0 };
        int r;

        r = find_ways(&w, t, g, why);
        if (r < 0)
                return r;
        if (w.n > 0)
                qsort(w.list, w.n, sizeof(*w.list), compare_ways);
        t->n_merges = w.n;
        t->merges = calloc(w.n + 1, sizeof(*t->merges));
        if (!t->merges || index_init(&t->by_pair, w.n) < 0)
                return -ENOMEM;

        for (uint32_t rank = 0; rank < w.n; rank++) {
                const struct way *way = &w.list[rank];
                uint32_t *slot = pair_slot(t, way->left, way->right);

                t->merges[rank] = (struct merge){ .left = way->left,
                                                  .right = way->right,
                                                  .result = (int32_t) way->result };
                if (!slot)
                        return bad_key(g, "tokenizer.ggml.tokens", "was made to be slow to search",
                                       why);
                if (*slot == 0)
                        *slot = rank + 1;
        }
        return 0;
}

static int load_merges(struct tokenizer *t, const struct gguf *g, struct why *why) {
        static const char key[] = "tokenizer.ggml.merges";
        const char *complaint;
        struct gguf_string line;
        struct gguf_array a;
        size_t cursor = 0;
        int r;

        if (gguf_get_array(g, key, &a, NULL) == -ENOENT)
                return derive_merges(t, g, why);
        r = get_strings(g, key, MAX_MERGES, &a, why);
        if (r < 0)
                return r;

        t->n_merges = a.n;
        t->merges = calloc(a.n + 1, sizeof(*t->merges));
        if (!t->merges || index_init(&t->by_pair, a.n) < 0)
                return -ENOMEM;

        for (uint32_t rank = 0; rank < a.n && gguf_array_string(&a, &cursor, &line) > 0; rank++) {
                complaint = load_merge(t, rank, &line);
                if (complaint)
                        return because(why, -EBADMSG, "%s: key '%s': line %u %s", gguf_name(g), key,
                                       rank, complaint);
        }
        return 0;
}

static bool is_kind(struct gguf_string s, const char *kind) {
        return s.size == strlen(kind) && memcmp(s.text, kind, s.size) == 0;
}

/* Some writers call it "llama", after the kind that scores alone make; texts are the same. */
static int check_model(const struct gguf *g, struct why *why) {
        static const char prefix_key[] = "tokenizer.ggml.add_space_prefix";
        struct gguf_string model, pre;
        bool has_prefix = false;
        int r;

        r = gguf_get_string(g, "tokenizer.ggml.model", &model, why);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        if (!is_kind(model, "gemma4") && !is_kind(model, "llama"))
                return because(
                        why, -ENOTSUP,
                        "%s: key 'tokenizer.ggml.model' is not 'gemma4' or 'llama', the only "
                        "kinds handled",
                        gguf_name(g));
        r = gguf_get_string(g, "tokenizer.ggml.pre", &pre, why);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && !is_kind(pre, "gemma4") && !is_kind(pre, "default"))
                return because(why, -ENOTSUP, "%s: key 'tokenizer.ggml.pre' is not 'gemma4'",
                               gguf_name(g));
        r = gguf_get_bool(g, prefix_key, &has_prefix, why);
        if (r < 0 && r != -ENOENT)
                return r;
        return has_prefix ? because(why, -ENOTSUP, "%s: key '%s' is true, which is not handled",
                                    gguf_name(g), prefix_key)
                          : 0;
}

DEFINE_CLEANUP(struct tokenizer *, tokenizer_free)

static int load(struct tokenizer *t, const struct gguf *g, struct why *why) {
        int r;

        r = check_model(g, why);
        if (r < 0)
                return r;
        r = load_pieces(t, g, why);
        if (r < 0)
                return r;
        r = load_types(t, g, why);
        if (r < 0)
                return r;
        r = load_bytes(t, g, why);
        if (r < 0)
                return r;
        r = check_ids(t, g, why);
        if (r < 0)
                return r;

        /* Only now is it known which tokens are text, which the merges ask. */
        find_special(t);
        r = find_markers(t, g, why);
        if (r < 0)
                return r;
        return load_merges(t, g, why);
}

int tokenizer_new(struct tokenizer **ret, const struct gguf *g, struct why *why) {
        _cleanup_(tokenizer_freep) struct tokenizer *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return because(why, -ENOMEM, "%s: out of memory", gguf_name(g));

        r = load(t, g, why);
        if (r == -ENOMEM)
                return because(why, r, "%s: out of memory", gguf_name(g));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

struct tokenizer *tokenizer_free(struct tokenizer *t) {
        if (!t)
                return NULL;

        free(t->pieces);
        free(t->types);
        free(t->by_text.slots);
        free(t->merges);
        free(t->by_pair.slots);
        free(t);
        return NULL;
}

size_t tokenizer_n_tokens(const struct tokenizer *t) {
        return t->n_tokens;
}

const struct special_tokens *tokenizer_special(const struct tokenizer *t) {
        return &t->special;
}

struct gguf_string tokenizer_piece(const struct tokenizer *t, int32_t id) {
        if (id < 0 || (size_t) id >= t->n_tokens)
                return (struct gguf_string){ .text = "", .size = 0 };
        return (struct gguf_string){
                .text = t->texts + t->pieces[id].offset,
                .size = t->pieces[id].size,
        };
}

/* The unknown token stands for no text either. */
bool tokenizer_is_control(const struct tokenizer *t, int32_t id) {
        return id >= 0 && (size_t) id < t->n_tokens &&
               (t->types[id] == TOKEN_CONTROL || t->types[id] == TOKEN_UNKNOWN);
}

size_t tokenizer_longest_piece(const struct tokenizer *t) {
        return t->longest_piece;
}
