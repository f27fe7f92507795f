/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wipe.h"

void text_done(struct text *t) {
        free(t->data);
        *t = (struct text){};
}

void text_clear(struct text *t) {
        if (t->data)
                wipe(t->data, t->capacity);
        t->size = 0;
}

int text_append(struct text *t, const char *data, size_t size, size_t max_size) {
        if (t->size > max_size || size > max_size - t->size)
                return -EFBIG;

        if (t->size + size + 1 > t->capacity) {
                size_t capacity = 2 * (t->size + size + 1);
                char *grown;

                grown = realloc(t->data, capacity);
                if (!grown)
                        return -ENOMEM;
                t->data = grown;
                t->capacity = capacity;
        }

        if (size > 0)
                memcpy(t->data + t->size, data, size);
        t->size += size;
        t->data[t->size] = '\0';
        return 0;
}

void text_trim(struct text *t) {
        const char *trimmed = t->data;
        size_t size = t->size;

        if (!t->data)
                return;
        utf8_trim(&trimmed, &size);
        memmove(t->data, trimmed, size);
        t->size = size;
        wipe(t->data + t->size, t->capacity - t->size);
}

const char *text_data(const struct text *t) {
        return t->data ? t->data : "";
}
