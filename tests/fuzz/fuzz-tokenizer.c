/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a GGUF file with a vocabulary, which may do no harm whatever text it then meets; any
 * other bytes as a text for a good vocabulary, which must come back from its tokens. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "tests/unit/vocabulary.h"

#define MAX_TEXT 512 /* longer ones only cost time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition) {
        if (!condition)
                abort();
}

/* Decodes into new memory; *ret_size without the NUL. */
static char *decode(const struct tokenizer *t, const int32_t *ids, size_t n, size_t *ret_size) {
        size_t room = TEXT_STREAM_SIZE(tokenizer_longest_piece(t));
        struct text_stream s = { 0 };
        struct bytes out = { 0 };
        char *part = malloc(room);
        int r;

        check(part != NULL);
        for (size_t i = 0; i < n; i++) {
                r = text_stream_push(&s, t, ids[i], part, room);
                check(r >= 0);
                bytes_add(&out, part, (size_t) r);
        }
        r = text_stream_finish(&s, part, room);
        check(r >= 0);
        bytes_add(&out, part, (size_t) r);
        *ret_size = out.size;
        bytes_add(&out, "", 1);
        free(part);
        return (char *) out.data;
}

/* Text that may be a C string and in which no U+2581 becomes a space. */
static bool is_ordinary(const char *text, size_t size) {
        return !memchr(text, '\0', size) && !memmem(text, size, "\xe2\x96\x81", 3);
}

static void fuzz_text(const struct tokenizer *t, const char *text, size_t size) {
        static const enum tokenizer_mode modes[] = { TOKENIZER_PLAIN, TOKENIZER_MARKERS };

        for (size_t i = 0; i < 2; i++) {
                int32_t *ids = NULL;
                size_t n = 0, back_size;
                char *back;

                check(tokenizer_encode(t, modes[i], text, size, &ids, &n) == 0);
                for (size_t k = 0; k < n; k++) {
                        check(ids[k] >= 0 && (size_t) ids[k] < tokenizer_n_tokens(t));
                        check(modes[i] == TOKENIZER_MARKERS || !tokenizer_is_control(t, ids[k]));
                }

                /* Decoding repairs what is no UTF-8, so a second round changes nothing. */
                back = decode(t, ids, n, &back_size);
                if (modes[i] == TOKENIZER_PLAIN && is_ordinary(back, back_size)) {
                        size_t n_again = 0, again_size;
                        int32_t *again = NULL;
                        char *back_again;

                        check(tokenizer_encode(t, modes[i], back, back_size, &again, &n_again) ==
                              0);
                        back_again = decode(t, again, n_again, &again_size);
                        check(again_size == back_size && memcmp(back_again, back, back_size) == 0);
                        free(back_again);
                        free(again);
                }
                free(back);
                free(ids);
        }
}

static void fuzz_vocabulary(const uint8_t *data, size_t size) {
        static const char text[] = " hello <|turn>user\n\n\naaaaabab\xff\xc3\xa9<0x41>\n";
        struct tokenizer *t = NULL;
        struct gguf *g = NULL;
        struct why why = { 0 };
        void *aligned = NULL;

        check(posix_memalign(&aligned, GGUF_ALIGNMENT, size) == 0);
        memcpy(aligned, data, size);
        if (gguf_open_memory(&g, aligned, size, "fuzz", NULL) == 0) {
                if (tokenizer_new(&t, g, &why) == 0)
                        fuzz_text(t, text, sizeof(text) - 1);
                else
                        check(!t && why.text[0] != '\0');
        }
        tokenizer_free(t);
        gguf_close(g);
        free(aligned);
}

static void load_good(struct loaded *ret) {
        static const char *const pieces[] = { "he",   "ll", "hell", "hello",   "\xe2\x96\x81hello",
                                              "ab",   "aa", "aaaa", "<|",      "<|turn",
                                              "turn", "tu", "rn",   "\xc3\xa9" };
        static const char *const merges[] = {
                "h e",      "l l",       "he ll", "hell o", "\xe2\x96\x81 hello",
                "a b",      "a a",       "aa aa", "\n \n",  "\n\n \n",
                "< |",      "t u",       "r n",   "tu rn",  "<| turn",
                "<|turn >", "h \xc3\xa9"
        };
        struct vocabulary v;

        vocabulary_begin(&v);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
                vocabulary_add(&v, pieces[i], VOCABULARY_NORMAL);
        for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++)
                vocabulary_merge(&v, merges[i]);
        check(vocabulary_load(&v, ret, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct loaded good;

        if (!good.t)
                load_good(&good);
        if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
                fuzz_vocabulary(data, size);
        else
                fuzz_text(good.t, (const char *) data, size < MAX_TEXT ? size : MAX_TEXT);
        return 0;
}
