/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "tests/tap.h"
#include "tests/unit/vocabulary.h"

#define SPACE "\xe2\x96\x81"

/* The pieces of a text, separated by spaces, which no piece contains; free() it. */
static char *
pieces_of(const struct tokenizer *t, enum tokenizer_mode mode, const char *text, size_t size) {
        _cleanup_(freep) int32_t *ids = NULL;
        struct bytes out = { 0 };
        size_t n = 0;

        expect(tokenizer_encode(t, mode, text, size, &ids, &n) == 0);
        for (size_t i = 0; i < n; i++) {
                struct gguf_string piece = tokenizer_piece(t, ids[i]);

                if (i > 0)
                        bytes_add(&out, " ", 1);
                bytes_add(&out, piece.text, piece.size);
        }
        bytes_add(&out, "", 1);
        return (char *) out.data;
}

static void expect_pieces_sized(const struct tokenizer *t,
                                enum tokenizer_mode mode,
                                const char *text,
                                size_t size,
                                const char *pieces) {
        _cleanup_(freep) char *got = pieces_of(t, mode, text, size);

        expect(strcmp(got, pieces) == 0);
        if (strcmp(got, pieces) != 0)
                printf("# got \"%s\", not \"%s\"\n", got, pieces);
}

static void expect_pieces(const struct tokenizer *t,
                          enum tokenizer_mode mode,
                          const char *text,
                          const char *pieces) {
        expect_pieces_sized(t, mode, text, strlen(text), pieces);
}

/* The text of ids by the streaming decoder, in a new string. */
static char *text_of(const struct tokenizer *t, const int32_t *ids, size_t n) {
        size_t room = TEXT_STREAM_SIZE(tokenizer_longest_piece(t));
        _cleanup_(freep) char *part = malloc(room);
        struct text_stream s = { 0 };
        struct bytes out = { 0 };
        int r;

        for (size_t i = 0; i < n; i++) {
                r = text_stream_push(&s, t, ids[i], part, room);
                expect(r >= 0 && strlen(part) == (size_t) r);
                bytes_add(&out, part, r > 0 ? (size_t) r : 0);
        }
        r = text_stream_finish(&s, part, room);
        expect(r >= 0);
        bytes_add(&out, part, r > 0 ? (size_t) r : 0);
        bytes_add(&out, "", 1);
        return (char *) out.data;
}

/* Pieces and merges for "hello" with a space in front, and traps. */
static void load_hello(struct loaded *ret) {
        static const char *const pieces[] = { "he",   "ll", "hell", "hello", SPACE "hello",
                                              "bc",   "ab", "aa",   "aaaa",  "<|",
                                              "turn", "tu", "tur",  "<|turn" };
        static const char *const merges[] = { "h e",          "l l",   "he ll",   "hell o",
                                              SPACE " hello", "b c",   "a b",     "a a",
                                              "aa aa",        "\n \n", "< |",     "t u",
                                              "tu r",         "tur n", "<| turn", "<|turn >" };
        struct vocabulary v;
        struct why why = { 0 };

        vocabulary_begin(&v);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
                vocabulary_add(&v, pieces[i], VOCABULARY_NORMAL);
        for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++)
                vocabulary_merge(&v, merges[i]);
        vocabulary_add(&v, "<x", VOCABULARY_USER);
        vocabulary_add(&v, "<xy>", VOCABULARY_USER);
        if (vocabulary_load(&v, ret, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
}

static void test_spaces(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        expect_pieces(l.t, TOKENIZER_PLAIN, "hello hello", "hello " SPACE "hello");
        expect_pieces(l.t, TOKENIZER_PLAIN, " x  y ", SPACE " x " SPACE " " SPACE " y " SPACE);
        expect_pieces(l.t, TOKENIZER_PLAIN, "x" SPACE "y", "x " SPACE " y");
        expect_pieces(l.t, TOKENIZER_PLAIN, "", "");
}

static void test_newlines(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        expect_pieces(l.t, TOKENIZER_PLAIN, "x\ny", "x \n y");
        expect_pieces(l.t, TOKENIZER_PLAIN, "\n\n\nhello\n\n", "\n\n\n hello \n\n");
        expect_pieces(l.t, TOKENIZER_PLAIN, "\n\n\n\n\n", "\n\n \n\n \n");
        expect_pieces(l.t, TOKENIZER_PLAIN, "x\n hello", "x \n " SPACE "hello");
}

static void test_ranks(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        expect_pieces(l.t, TOKENIZER_PLAIN, "abc", "a bc");
        expect_pieces(l.t, TOKENIZER_PLAIN, "abab", "ab ab");
        expect_pieces(l.t, TOKENIZER_PLAIN, "aaa", "aa a");
        expect_pieces(l.t, TOKENIZER_PLAIN, "aaaaa", "aaaa a");
        expect_pieces(l.t, TOKENIZER_PLAIN, "aaab", "aa ab");
        expect_pieces(l.t, TOKENIZER_PLAIN, "aab", "a ab");
}

static void test_bytes(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        expect_pieces(l.t, TOKENIZER_PLAIN, "h\xc3\xa9", "h <0xC3> <0xA9>");
        expect_pieces(l.t, TOKENIZER_PLAIN, "\xf0\x9f\x98\x80", "<0xF0> <0x9F> <0x98> <0x80>");
        expect_pieces(l.t, TOKENIZER_PLAIN, "\t\r", "<0x09> <0x0D>");
        expect_pieces_sized(l.t, TOKENIZER_PLAIN, "x\0y", 3, "x <0x00> y");
        /* The name of a byte token is text like any other. */
        expect_pieces(l.t, TOKENIZER_PLAIN, "<0x41>", "< 0 x 4 1 >");
}

static void test_invalid(void) {
        static const struct {
                const char *text, *pieces;
        } table[] = {
                { "\xff", "<0xFF>" },
                { "a\x80z", "a <0x80> z" },
                { "\xe2\x96", "<0xE2> <0x96>" },
                { "\xe2\x96hello", "<0xE2> <0x96> hello" },
                { "\xc0\x80", "<0xC0> <0x80>" },
                { "\xed\xa0\x80", "<0xED> <0xA0> <0x80>" },
                { "\xf5\x80\x80\x80", "<0xF5> <0x80> <0x80> <0x80>" },
                { "\xf4\x90\x80\x80", "<0xF4> <0x90> <0x80> <0x80>" },
                { "\xe2\x96\nx", "<0xE2> <0x96> \n x" },
        };
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                expect_pieces(l.t, TOKENIZER_PLAIN, table[i].text, table[i].pieces);
}

static void test_markers(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        expect_pieces(l.t, TOKENIZER_MARKERS, "<|turn>hello\n<turn|>", "<|turn> hello \n <turn|>");
        expect_pieces(l.t, TOKENIZER_MARKERS, "<|\"|><|tool_call>x", "<|\"|> <|tool_call> x");
        expect_pieces(l.t, TOKENIZER_MARKERS, "<xy><xz<x", "<xy> <x z <x");
        expect_pieces(l.t, TOKENIZER_MARKERS, "<|turn hello", "<|turn " SPACE "hello");
        expect_pieces(l.t, TOKENIZER_MARKERS, "hello<eos>hello", "hello <eos> hello");
}

static void test_plain(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        /* The merges of the vocabulary would lead to <|turn> itself. */
        expect_pieces(l.t, TOKENIZER_PLAIN, "<|turn>", "<|turn >");
        expect_pieces(l.t, TOKENIZER_PLAIN, "<x<eos>", "< x < e o s >");
        expect_pieces(l.t, TOKENIZER_PLAIN, "<|\"|>", "<| \" | >");
}

static void test_special(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        const struct special_tokens *s;
        struct vocabulary v;

        vocabulary_begin(&v);
        v.types[7] = VOCABULARY_NORMAL; /* <|turn>, by a careless converter */
        v.tokens[10] = "<other>";       /* instead of <image|> */
        vocabulary_add(&v, "!!", VOCABULARY_NORMAL);
        expect(vocabulary_load(&v, &l, NULL) == 0);
        if (!l.t)
                return;

        s = tokenizer_special(l.t);
        expect(s->pad == 0 && s->eos == 1 && s->bos == 2 && s->unk == 3);
        expect(s->turn_begin == 7 && s->turn_end == 8 && s->image_end == -1);
        expect(s->quote >= 0 && !tokenizer_is_control(l.t, s->quote));
        expect(tokenizer_is_control(l.t, s->turn_begin));
        expect(!tokenizer_is_control(l.t, -1) && !tokenizer_is_control(l.t, 100000));
        expect(tokenizer_piece(l.t, -1).size == 0 && tokenizer_piece(l.t, INT32_MAX).size == 0);
        expect(tokenizer_longest_piece(l.t) == strlen("<|tool_response>"));
        expect(tokenizer_n_tokens(l.t) == v.n_tokens);
}

/* A vocabulary that was cut to size may keep merges of what it lost. */
static void test_lost_pieces(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        struct vocabulary v;

        vocabulary_begin(&v);
        vocabulary_merge(&v, "a b");
        vocabulary_merge(&v, "xx y");
        vocabulary_merge(&v, "c d");
        vocabulary_add(&v, "cd", VOCABULARY_NORMAL);
        expect(vocabulary_load(&v, &l, NULL) == 0);
        if (l.t)
                expect_pieces(l.t, TOKENIZER_PLAIN, "abcdxy", "a b cd x y");
}

static int find_piece(const struct tokenizer *t, const char *text, size_t size) {
        for (int32_t id = 0; (size_t) id < tokenizer_n_tokens(t); id++) {
                struct gguf_string s = tokenizer_piece(t, id);

                if (s.size == size && memcmp(s.text, text, size) == 0)
                        return id;
        }
        return -1;
}

/* The rank of a merge by its text, or the number of merges. */
static size_t rank_of(const struct vocabulary *v, const char *left, const char *right) {
        size_t n = strlen(left), rank;

        for (rank = 0; rank < v->n_merges; rank++)
                if (strncmp(v->merges[rank], left, n) == 0 && v->merges[rank][n] == ' ' &&
                    strcmp(v->merges[rank] + n + 1, right) == 0)
                        break;
        return rank;
}

/* Byte-pair merging as one would explain it: look for the best pair, merge it, start again.  Only
 * for texts of single-byte characters that are all tokens. */
static size_t merge_slowly(const struct vocabulary *v,
                           const struct tokenizer *t,
                           const char *text,
                           size_t size,
                           int32_t *ids) {
        char parts[64][32] = { 0 };
        size_t n = size, best = 0;

        for (size_t i = 0; i < n; i++)
                parts[i][0] = text[i];
        for (;;) {
                size_t best_rank = v->n_merges;

                for (size_t i = 0; i + 1 < n; i++) {
                        size_t rank = rank_of(v, parts[i], parts[i + 1]);

                        if (rank < best_rank) {
                                best_rank = rank;
                                best = i;
                        }
                }
                if (best_rank == v->n_merges)
                        break;

                memcpy(parts[best] + strlen(parts[best]), parts[best + 1], 16);
                memmove(parts[best + 1], parts[best + 2], (n - best - 2) * sizeof(parts[0]));
                n--;
        }
        for (size_t i = 0; i < n; i++)
                ids[i] = find_piece(t, parts[i], strlen(parts[i]));
        return n;
}

/* Random merges over three letters, random words: the heap must do exactly what the slow way
 * does. */
static void test_reference(void) {
        unsigned seed = 1;

        for (unsigned round = 0; round < 40; round++) {
                _cleanup_(loaded_done) struct loaded l = { 0 };
                static char pieces[40][32], lines[40][64];
                struct vocabulary v;

                vocabulary_begin(&v);
                for (unsigned i = 0; i < 40; i++) {
                        const char *a, *b;

                        do {
                                unsigned x = (unsigned) rand_r(&seed) % (3 + i);
                                unsigned y = (unsigned) rand_r(&seed) % (3 + i);

                                a = x < 3 ? &"a\0b\0c"[2 * x] : pieces[x - 3];
                                b = y < 3 ? &"a\0b\0c"[2 * y] : pieces[y - 3];
                        } while (strlen(a) + strlen(b) > 10);
                        (void) snprintf(pieces[i], sizeof(pieces[i]), "%.15s%.15s", a, b);
                        (void) snprintf(lines[i], sizeof(lines[i]), "%s %s", a, b);
                        vocabulary_add(&v, pieces[i], VOCABULARY_NORMAL);
                        vocabulary_merge(&v, lines[i]);
                }
                expect(vocabulary_load(&v, &l, NULL) == 0);

                for (unsigned i = 0; i < 100; i++) {
                        _cleanup_(freep) int32_t *ids = NULL;
                        int32_t slow[64];
                        char text[40];
                        size_t n = 0, n_slow;

                        for (size_t k = 0; k < sizeof(text); k++)
                                text[k] = (char) ('a' + rand_r(&seed) % 3);
                        n_slow = merge_slowly(&v, l.t, text, 1 + i % 40, slow);
                        expect(tokenizer_encode(l.t, TOKENIZER_PLAIN, text, 1 + i % 40, &ids, &n) ==
                               0);
                        expect(n == n_slow && memcmp(ids, slow, n * sizeof(*ids)) == 0);
                }
        }
}

/* Valid text comes back as it was; and however it is cut, no special token is among the ids. */
static void test_round_trip(void) {
        static const char *const parts[] = { "hello",   " ",      "\n", "\xc3\xa9",         "aa",
                                             "<|",      "turn",   ">",  "\xf0\x9f\x98\x80", "<eos>",
                                             "<|turn>", "<0x41>", "\t", "<|\"|>",           "b" };
        _cleanup_(loaded_done) struct loaded l = { 0 };
        unsigned seed = 2;

        load_hello(&l);
        for (unsigned i = 0; i < 1000; i++) {
                _cleanup_(freep) int32_t *ids = NULL;
                _cleanup_(freep) char *back = NULL;
                char text[200] = "";
                size_t n = 0;

                for (unsigned k = 0; k < 15; k++)
                        strcat(text,
                               parts[(size_t) rand_r(&seed) % (sizeof(parts) / sizeof(parts[0]))]);
                expect(tokenizer_encode(l.t, TOKENIZER_PLAIN, text, strlen(text), &ids, &n) == 0);
                for (size_t k = 0; k < n; k++)
                        expect(ids[k] >= 20 && !tokenizer_is_control(l.t, ids[k]));
                back = text_of(l.t, ids, n);
                expect(strcmp(back, text) == 0);
        }
}

/* A megabyte of the letter that merges most, and of noise: neither may take quadratic time, in
 * which the test would not end. */
static void test_megabyte(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        _cleanup_(freep) char *text = malloc(1 << 20);
        unsigned seed = 3;

        load_hello(&l);
        for (unsigned kind = 0; kind < 3; kind++) {
                _cleanup_(freep) int32_t *ids = NULL;
                size_t n = 0;

                for (size_t i = 0; i < 1 << 20; i++)
                        text[i] = (char) (kind == 0 ? 'a' : kind == 1 ? '<' : rand_r(&seed));
                expect(tokenizer_encode(l.t, kind == 1 ? TOKENIZER_MARKERS : TOKENIZER_PLAIN, text,
                                        1 << 20, &ids, &n) == 0);
                expect(kind != 0 || n == 1 << 18);
                expect(kind != 1 || n == 1 << 20);
                expect(n > 1 << 17);
        }
}

static void test_append(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        _cleanup_(freep) int32_t *ids = NULL;
        size_t n = 0;

        load_hello(&l);
        expect(tokenizer_encode(l.t, TOKENIZER_PLAIN, "hello", 5, &ids, &n) == 0 && n == 1);
        expect(tokenizer_encode(l.t, TOKENIZER_PLAIN, NULL, 0, &ids, &n) == 0 && n == 1);
        expect(tokenizer_encode(l.t, TOKENIZER_PLAIN, "xy", 2, &ids, &n) == 0 && n == 3);
        expect(ids[0] == find_piece(l.t, "hello", 5) && ids[2] == find_piece(l.t, "y", 1));
}

/* Pushes the tokens of these texts one by one and joins what comes out, with a bar after each. */
static void expect_stream(const struct tokenizer *t, const char *const *tokens, const char *text) {
        struct text_stream s = { 0 };
        char got[256] = "", part[64];

        for (; *tokens; tokens++) {
                int id = find_piece(t, *tokens, strlen(*tokens));

                expect(id >= 0 && text_stream_push(&s, t, id, part, sizeof(part)) >= 0);
                strcat(strcat(got, part), "|");
        }
        expect(text_stream_finish(&s, part, sizeof(part)) >= 0);
        strcat(got, part);
        expect(strcmp(got, text) == 0);
        if (strcmp(got, text) != 0)
                printf("# got \"%s\", not \"%s\"\n", got, text);
}

#define FFFD "\xef\xbf\xbd"

static void test_stream(void) {
        static const struct {
                const char *tokens[8], *text;
        } table[] = {
                { { "hello", SPACE "hello", "\n" }, "hello| hello|\n|" },
                { { "<0xC3>", "<0xA9>", "x" }, "|\xc3\xa9|x|" },
                { { "<0xF0>", "<0x9F>", "<0x98>", "<0x80>" }, "|||\xf0\x9f\x98\x80|" },
                { { "<0xE2>", "<0x96>", "x" }, "||" FFFD "x|" },
                { { "<0xE2>", "<0x96>" }, "||" FFFD },
                { { "<0xFF>", "<0x80>", "a" }, FFFD "|" FFFD "|a|" },
                { { "<0xE2>", "<0xE2>", "<0x82>", "<0xAC>" }, "|" FFFD "||\xe2\x82\xac|" },
                { { "<0xF0>", "<0x80>" }, "|" FFFD FFFD "|" },
                { { "<0xED>", "<0xA0>", "<0x80>" }, "|" FFFD FFFD "|" FFFD "|" },
                { { "<0xF4>", "<0x90>", "<0xC1>" }, "|" FFFD FFFD "|" FFFD "|" },
                { { "<0x00>", "<0x41>" }, FFFD "|A|" },
                { { "<bos>", "<0xC3>", "<turn|>", "<0xA9>", "<unk>" }, "|||\xc3\xa9||" },
                { { "<|channel>", "<|\"|>" }, "<|channel>|<|\"|>|" },
        };
        _cleanup_(loaded_done) struct loaded l = { 0 };

        load_hello(&l);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                expect_stream(l.t, table[i].tokens, table[i].text);
}

static void test_stream_room(void) {
        _cleanup_(loaded_done) struct loaded l = { 0 };
        struct text_stream s = { 0 };
        char out[16];
        int hello, e2;

        load_hello(&l);
        hello = find_piece(l.t, "hello", 5);
        e2 = find_piece(l.t, "<0xE2>", 6);
        expect(text_stream_push(&s, l.t, e2, out, sizeof(out)) == 0 && s.n_held == 1);
        expect(text_stream_push(&s, l.t, hello, out, 8) == -ENOBUFS && s.n_held == 1);
        expect(text_stream_push(&s, l.t, hello, out, 0) == -ENOBUFS && s.n_held == 1);
        expect(text_stream_finish(&s, out, 3) == -ENOBUFS && s.n_held == 1);
        expect(text_stream_push(&s, l.t, hello, out, 9) == 8 && strcmp(out, FFFD "hello") == 0);
        expect(text_stream_push(&s, l.t, -1, out, 1) == 0 && *out == '\0');
        expect(text_stream_finish(&s, out, 1) == 0 && *out == '\0');
}

static void no_byte(struct vocabulary *v, struct gguf_builder *b) {
        v->tokens[20 + 0x0a] = "gone";
        vocabulary_write(v, b);
}

static void byte_of_wrong_type(struct vocabulary *v, struct gguf_builder *b) {
        v->types[20 + 0xff] = VOCABULARY_CONTROL;
        vocabulary_write(v, b);
}

static void extra_byte(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_add(v, "<0xff>", VOCABULARY_BYTE);
        vocabulary_write(v, b);
}

static void no_type(struct vocabulary *v, struct gguf_builder *b) {
        v->types[5] = 7;
        vocabulary_write(v, b);
}

static void long_marker(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_add(v, "<2345678901234567890123456789012345678901234567890123456789012345>",
                       VOCABULARY_USER);
        vocabulary_write(v, b);
}

static void empty_marker(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_add(v, "", VOCABULARY_CONTROL);
        vocabulary_write(v, b);
}

static void merge_without_space(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_merge(v, "ab");
        vocabulary_write(v, b);
}

static void merge_without_right(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_merge(v, "a ");
        vocabulary_write(v, b);
}

static void wrong_model(struct vocabulary *v, struct gguf_builder *b) {
        (void) v;
        builder_add_string(b, "tokenizer.ggml.model", "gpt2");
}

static void no_model(struct vocabulary *v, struct gguf_builder *b) {
        (void) v;
        builder_add_string(b, "general.architecture", "gemma4");
}

static void only_model(struct vocabulary *v, struct gguf_builder *b) {
        (void) v;
        builder_add_string(b, "tokenizer.ggml.model", "gemma4");
}

static void empty_tokens(struct vocabulary *v, struct gguf_builder *b) {
        v->n_tokens = 0;
        vocabulary_write(v, b);
}

static void tokens_of_numbers(struct vocabulary *v, struct gguf_builder *b) {
        builder_add_string(b, "tokenizer.ggml.model", "gemma4");
        builder_add_i32s(b, "tokenizer.ggml.tokens", v->types, 10);
}

static void short_types(struct vocabulary *v, struct gguf_builder *b) {
        builder_add_string(b, "tokenizer.ggml.model", "gemma4");
        builder_add_strings(b, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
        builder_add_i32s(b, "tokenizer.ggml.token_type", v->types, v->n_tokens - 1);
}

static void bad_id(struct vocabulary *v, struct gguf_builder *b) {
        vocabulary_write(v, b);
        builder_add_u32(b, "tokenizer.ggml.padding_token_id", (uint32_t) v->n_tokens);
}

/* Texts that all belong into slot 0 of the 2048 that so many tokens have. */
static void one_slot(struct vocabulary *v, struct gguf_builder *b) {
        static char texts[300][8];

        for (unsigned i = 0, n = 0; n < 300; i++) {
                uint32_t hash = 0x811c9dc5u;

                (void) snprintf(texts[n], sizeof(texts[n]), "%x", i);
                for (const char *c = texts[n]; *c; c++)
                        hash = (hash ^ (unsigned char) *c) * 0x01000193u;
                if (((hash ^ hash >> 15) & 2047) == 0)
                        vocabulary_add(v, texts[n++], VOCABULARY_NORMAL);
        }
        vocabulary_write(v, b);
}

static void write_scores(struct vocabulary *v, struct gguf_builder *b, size_t n) {
        float scores[1024] = { 0 };

        b->rename_from = "tokenizer.ggml.merges";
        b->rename_to = "not.there";
        vocabulary_write(v, b);
        builder_add_array(b, "tokenizer.ggml.scores", GGUF_KIND_F32, scores, n, sizeof(float));
}

static void no_merges_no_scores(struct vocabulary *v, struct gguf_builder *b) {
        b->rename_from = "tokenizer.ggml.merges";
        b->rename_to = "not.there";
        vocabulary_write(v, b);
}

static void short_scores(struct vocabulary *v, struct gguf_builder *b) {
        write_scores(v, b, v->n_tokens - 1);
}

static void test_damage(void) {
        static const struct {
                void (*damage)(struct vocabulary *v, struct gguf_builder *b);
                int r;
                const char *reason;
        } table[] = {
                { no_byte, -EBADMSG, "no byte token '<0x0A>'" },
                { byte_of_wrong_type, -EBADMSG, "no byte token '<0xFF>'" },
                { extra_byte, -EBADMSG, "token_type' names more than 256 bytes" },
                { no_type, -EBADMSG, "token_type' holds something that is no type" },
                { long_marker, -EBADMSG, "special token 374" },
                { empty_marker, -EBADMSG, "special token 374" },
                { merge_without_space, -EBADMSG, "merges': line 0" },
                { merge_without_right, -EBADMSG, "merges': line 0" },
                { wrong_model, -ENOTSUP, "'tokenizer.ggml.model' is not 'gemma4' or 'llama'" },
                { no_model, -EBADMSG, "no key 'tokenizer.ggml.model'" },
                { only_model, -EBADMSG, "no key 'tokenizer.ggml.tokens'" },
                { empty_tokens, -EBADMSG, "tokens' is empty" },
                { tokens_of_numbers, -EBADMSG, "tokens' is not an array of strings" },
                { short_types, -EBADMSG, "token_type' is not as long" },
                { one_slot, -EBADMSG, "tokens' was made to be slow" },
                { no_merges_no_scores, -EBADMSG, "neither key 'tokenizer.ggml.merges' nor" },
                { short_scores, -EBADMSG, "scores' is not one number for each token" },
                { bad_id, -EBADMSG, "padding_token_id' is not a token's id" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                _cleanup_(loaded_done) struct loaded l = { 0 };
                struct gguf_builder b = { 0 };
                struct why why = { 0 };
                struct vocabulary v;
                size_t size;

                vocabulary_begin(&v);
                table[i].damage(&v, &b);
                l.file = builder_finish(&b, &size);
                expect(gguf_open_memory(&l.g, l.file, size, "v", &why) == 0);
                expect(tokenizer_new(&l.t, l.g, &why) == table[i].r && !l.t);
                expect(strstr(why.text, table[i].reason));
                if (!strstr(why.text, table[i].reason))
                        printf("# %s: %s\n", table[i].reason, why.text);
        }
}

int main(void) {
        rule("a space is U+2581, neither added nor collapsed", test_spaces);
        rule("a run of newlines that is a token is taken whole", test_newlines);
        rule("the lowest rank merges first, the leftmost of equals", test_ranks);
        rule("a character without token becomes its bytes", test_bytes);
        rule("invalid UTF-8 goes through as bytes", test_invalid);
        rule("our own text matches special tokens, longest first", test_markers);
        rule("a user's text never becomes a special token, by no merge", test_plain);
        rule("special tokens are found by text and made control tokens", test_special);
        rule("a merge of pieces that are not there does nothing", test_lost_pieces);
        rule("the heap merges exactly as the slow way", test_reference);
        rule("valid text survives encoding and decoding", test_round_trip);
        rule("a megabyte of one letter, of markers' beginnings, of noise", test_megabyte);
        rule("ids are appended to those before", test_append);
        rule("no half character leaves the stream, no byte is lost", test_stream);
        rule("a stream without room for its text is unchanged", test_stream_room);
        rule("each fault of a vocabulary is refused by its key", test_damage);
        return tap_done();
}
