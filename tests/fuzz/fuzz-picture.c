/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a picture: whatever is decoded fills its canvas and nothing else, and whatever is refused has a
 * reason of one line. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "picture/decode.h"
#include "picture/orientation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger ones only cost time. */
#define MAX_PIXELS (1u << 18)

struct canvas {
        uint8_t *rgb;
        size_t size;
};

static uint8_t *make_room(unsigned width, unsigned height, void *userdata) {
        struct canvas *c = userdata;

        if (c->rgb || width == 0 || height == 0)
                abort();
        if ((uint64_t) width * height > MAX_PIXELS)
                return NULL;
        c->size = (size_t) width * height * 3;
        c->rgb = malloc(c->size);
        return c->rgb;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct canvas canvas = { 0 };
        struct picture_sink sink = { make_room, &canvas };
        struct why why = { "" };
        int r;

        r = picture_decode(data, size, &sink, &why);
        if (r > 0 || (r == 0 && !canvas.rgb))
                abort();
        if (r < 0 && r != -ENOMEM && (!why.text[0] || strchr(why.text, '\n')))
                abort();
        if (r == 0)
                for (size_t i = 0; i < canvas.size; i++)
                        (void) ((volatile uint8_t *) canvas.rgb)[i];
        free(canvas.rgb);

        r = (int) orientation_read(data, size);
        if (r < 1 || r > 8)
                abort();
        return 0;
}
