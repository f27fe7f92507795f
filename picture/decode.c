/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/decode.h"

#include <errno.h>
#include <string.h>

#include "picture/picture.h"

int picture_check_sides(unsigned long width, unsigned long height, struct why *why) {
        if (width == 0 || height == 0)
                return because(why, -EBADMSG, "%lu x %lu pixels", width, height);
        if (width > PICTURE_MAX_SIDE || height > PICTURE_MAX_SIDE ||
            (uint64_t) width * height > PICTURE_MAX_PIXELS)
                return because(why, -EFBIG,
                               "%lu x %lu pixels are too many; at most %u, and %u to a side", width,
                               height, PICTURE_MAX_PIXELS, PICTURE_MAX_SIDE);
        return 0;
}

uint8_t *picture_room(const struct picture_sink *sink, unsigned width, unsigned height) {
        return sink->room(width, height, sink->userdata);
}

/* Rounded to the nearest. */
static uint8_t over_white(unsigned value, unsigned alpha) {
        return (uint8_t) ((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

void picture_flatten(uint8_t *rgb, const uint8_t *rgba, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (unsigned c = 0; c < 3; c++)
                        rgb[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
}

static int begins_with(const uint8_t *data, size_t size, const void *magic, size_t n) {
        return size >= n && memcmp(data, magic, n) == 0;
}

int picture_decode(const uint8_t *data,
                   size_t size,
                   const struct picture_sink *sink,
                   struct why *why) {
        if (size == 0)
                return because(why, -EBADMSG, "it is empty");
        if (begins_with(data, size, "\x89PNG\r\n\x1a\n", 8))
                return picture_decode_png(data, size, sink, why);
        if (begins_with(data, size, "\xff\xd8\xff", 3))
                return picture_decode_jpeg(data, size, sink, why);
        if (size >= 12 && begins_with(data, size, "RIFF", 4) && memcmp(data + 8, "WEBP", 4) == 0)
                return picture_decode_webp(data, size, sink, why);
        return because(why, -ENOTSUP, "not a PNG, JPEG or WebP picture");
}
