/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/orientation.h"

#include <string.h>

#define ORIENTATION_TAG 0x0112
#define KIND_SHORT      3
#define ENTRY_SIZE      12

/* A TIFF header with a first directory; numbers either way round. */
struct tiff {
        const uint8_t *data;
        size_t size;
        bool is_big;
};

static unsigned read_16(const struct tiff *t, size_t at) {
        const uint8_t *p = t->data + at;

        return t->is_big ? p[0] << 8 | p[1] : p[1] << 8 | p[0];
}

static size_t read_32(const struct tiff *t, size_t at) {
        size_t a = read_16(t, at), b = read_16(t, at + 2);

        return t->is_big ? a << 16 | b : b << 16 | a;
}

static unsigned find_orientation(const struct tiff *t) {
        size_t at = read_32(t, 4);
        unsigned n;

        if (at < 8 || at > t->size - 2)
                return 1;
        n = read_16(t, at);
        for (at += 2; n > 0 && at + ENTRY_SIZE <= t->size; n--, at += ENTRY_SIZE) {
                unsigned value;

                if (read_16(t, at) != ORIENTATION_TAG)
                        continue;
                value = read_16(t, at + 8);
                return read_16(t, at + 2) == KIND_SHORT && value >= 1 && value <= 8 ? value : 1;
        }
        return 1;
}

unsigned orientation_read(const uint8_t *exif, size_t size) {
        struct tiff t;

        if (size < 6 + 8 || memcmp(exif, "Exif\0\0", 6) != 0)
                return 1;
        t = (struct tiff){ .data = exif + 6, .size = size - 6 };
        if (memcmp(t.data, "MM\0*", 4) == 0)
                t.is_big = true;
        else if (memcmp(t.data, "II*\0", 4) != 0)
                return 1;
        return find_orientation(&t);
}

bool orientation_is_turned(unsigned orientation) {
        return orientation >= 5;
}

void orientation_apply(
        unsigned orientation, uint8_t *ret, const uint8_t *rgb, unsigned width, unsigned height) {
        /* Of each: whether columns, then rows, are counted from the other end; 5 to 8 are turned besides. */
        bool from_right =
                orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
        bool from_below =
                orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
        bool is_turned = orientation_is_turned(orientation);
        size_t n_rows = is_turned ? width : height, n_columns = is_turned ? height : width;

        for (size_t row = 0; row < n_rows; row++)
                for (size_t column = 0; column < n_columns; column++) {
                        size_t x = is_turned ? row : column, y = is_turned ? column : row;

                        x = from_right ? width - 1 - x : x;
                        y = from_below ? height - 1 - y : y;
                        memcpy(ret + (row * n_columns + column) * 3, rgb + (y * width + x) * 3, 3);
                }
}
