/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_TOKENIZER_TABLES_H
#define MODEL_TOKENIZER_TABLES_H

#include "model/tokenizer.h"

/* The tables behind struct tokenizer: tokenizer.c builds them, tokenizer-encode.c and text-stream.c
 * read them.  The texts stay in the GGUF file. */

/* The numbers are the file format's. */
enum token_type {
        TOKEN_NORMAL = 1,
        TOKEN_UNKNOWN = 2,
        TOKEN_CONTROL = 3,
        TOKEN_USER_DEFINED = 4,
        TOKEN_UNUSED = 5,
        TOKEN_BYTE = 6,
};

/* Longest text of a control or user-defined token: their lengths are bits of one word. */
#define MARKER_MAX 63

#define NO_MERGE UINT32_MAX

/* Where a token's text is, from tokenizer.texts. */
struct piece {
        uint32_t offset;
        uint32_t size;
};

/* Two adjacent ids that become one.  Its rank is its place in the list. */
struct merge {
        int32_t left, right, result;
};

/* An open-addressed table of indices plus one (0: free), at most half full. */
struct index_table {
        uint32_t *slots; /* owned, mask + 1 of them */
        uint32_t mask;
};

struct tokenizer {
        const char *texts;    /* in the GGUF file */
        struct piece *pieces; /* owned, n_tokens */
        unsigned char *types; /* owned, n_tokens, enum token_type */
        size_t n_tokens;
        size_t longest_piece;
        struct index_table by_text; /* of pieces */

        struct merge *merges; /* owned */
        size_t n_merges;
        struct index_table by_pair; /* of merges */

        int32_t byte_ids[256];
        struct special_tokens special;

        /* What TOKENIZER_MARKERS looks for: how long markers are, and with which byte they
         * begin. */
        uint64_t marker_sizes;
        bool marker_begins[256];
};

/* The id of that text, or -1. */
int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t size);

/* The rank of the merge of two ids, or NO_MERGE. */
uint32_t tokenizer_find_merge(const struct tokenizer *t, int32_t left, int32_t right);

/* Whether ordinary text may become this token.  id is in range. */
static inline bool token_is_text(const struct tokenizer *t, int32_t id) {
        return t->types[id] == TOKEN_NORMAL || t->types[id] == TOKEN_UNUSED;
}

#endif
