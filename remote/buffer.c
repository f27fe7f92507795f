/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

#define FIRST_ROOM 1024

/* What was there before is not left behind in memory that is given back. */
static int grow(struct buffer *b, size_t needed) {
        size_t room = b->room ? b->room : FIRST_ROOM;
        char *data;

        while (room < needed)
                room *= 2;
        data = malloc(room);
        if (!data)
                return -ENOMEM;
        if (b->size > 0)
                memcpy(data, b->data, b->size);
        wipe(b->data, b->size);
        free(b->data);
        b->data = data;
        b->room = room;
        return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t size, size_t max) {
        int r = 0;

        if (size > max || b->size > max - size)
                return -EFBIG;
        if (b->size + size >= b->room)
                r = grow(b, b->size + size + 1);
        if (r < 0)
                return r;
        if (size > 0)
                memcpy(b->data + b->size, data, size);
        b->size += size;
        b->data[b->size] = '\0';
        return 0;
}

void buffer_clear(struct buffer *b) {
        wipe(b->data, b->size);
        b->size = 0;
}

void buffer_done(struct buffer *b) {
        buffer_clear(b);
        free(b->data);
        *b = (struct buffer){ 0 };
}
