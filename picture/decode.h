/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PICTURE_DECODE_H
#define PICTURE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* The decoders themselves, as they run in the process that has nothing to lose, and under a fuzzer.  Transparency is
 * laid over white, as the reference of the model does it. */

/* Where the pixels go: asked for once, when their number is known; NULL: there is no room. */
struct picture_sink {
        uint8_t *(*room)(unsigned width, unsigned height, void *userdata);
        void *userdata;
};

/* 0 and all pixels are there; or -EBADMSG (damaged), -ENOTSUP (of another kind), -EFBIG (too many pixels), -ENOMEM,
 * and why. */
int picture_decode(const uint8_t *data,
                   size_t size,
                   const struct picture_sink *sink,
                   struct why *why);

/* By kind.  For decode.c. */
int picture_decode_png(const uint8_t *data,
                       size_t size,
                       const struct picture_sink *sink,
                       struct why *why);
int picture_decode_jpeg(const uint8_t *data,
                        size_t size,
                        const struct picture_sink *sink,
                        struct why *why);
int picture_decode_webp(const uint8_t *data,
                        size_t size,
                        const struct picture_sink *sink,
                        struct why *why);

/* For the three of them: 0, or -EFBIG or -EBADMSG and why. */
int picture_check_sides(unsigned long width, unsigned long height, struct why *why);
uint8_t *picture_room(const struct picture_sink *sink, unsigned width, unsigned height);

/* n pixels with transparency over white. */
void picture_flatten(uint8_t *rgb, const uint8_t *rgba, size_t n);

#endif
