/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/utf8.h"
#include "remote/stream.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct said {
        char text[4096];
        size_t size;
};

/* What is told is text. */
static int on_text(const char *text, size_t size, void *userdata) {
        struct said *said = userdata;

        if (size == 0)
                abort();
        for (size_t i = 0; i < size;) {
                int n = utf8_character(text + i, size - i);

                if (n <= 0)
                        abort();
                i += (size_t) n;
        }
        for (size_t i = 0; i < size && said->size < sizeof(said->text); i++)
                said->text[said->size++] = text[i];
        return 0;
}

/* The calls of an answer that is whole can be carried out. */
static void check_calls(const struct stream *s) {
        for (unsigned i = 0; i < stream_n_calls(s); i++) {
                struct stream_call call = stream_call(s, i);
                json_t *arguments = json_loads(call.arguments, 0, NULL);

                if (!json_is_object(arguments) || !call.name[0] || !call.id[0])
                        abort();
                json_decref(arguments);
        }
}

static int read_in_pieces(const unsigned char *data, size_t size, size_t piece, struct said *said) {
        const struct stream_handler handler = { on_text, said };
        struct why why = { 0 };
        struct stream *s;
        int r = 0;

        if (stream_new(&s, &handler) < 0)
                abort();
        for (size_t i = 0; r >= 0 && i < size; i += piece)
                r = stream_push(s, (const char *) data + i, size - i < piece ? size - i : piece, &why);
        if (r >= 0)
                r = stream_end(s, &why);
        if (r >= 0)
                check_calls(s);
        else if (!why.text[0])
                abort();
        stream_free(s);
        return r;
}

/* However it is cut, it says the same. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
        static struct said whole, cut;
        int r;

        whole.size = cut.size = 0;
        r = read_in_pieces(data, size, size + 1, &whole);
        if (read_in_pieces(data, size, 3, &cut) != r || cut.size != whole.size ||
            memcmp(cut.text, whole.text, whole.size) != 0)
                abort();
        return 0;
}
