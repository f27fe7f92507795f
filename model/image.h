/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IMAGE_H
#define MODEL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/why.h"

/* A picture as the model sees it: scaled so that square patches fill a budget of positions, up or down,
 * with the sides in nearly the same ratio. Pixels are bytes before and behind the scaling, as in the
 * reference, whose weights are integers of 16 bits; so the result is the same to the last bit. Pure
 * functions: any thread. */

/* Pixels, three bytes each (red, green, blue), row by row from the top without gaps. */
struct image {
        const uint8_t *rgb; /* [height][width][3] */
        unsigned width, height;
};

/* Of either side, and of both together: 64 million pixels are 192 MB. */
#define IMAGE_MAX_SIDE   65535u
#define IMAGE_MAX_PIXELS (1u << 26)

/* Patches, and how they lie. */
struct image_fit {
        unsigned columns, rows;
};

/* How a picture of these sides is cut into at most `budget` patches of patch_side pixels. -ERANGE and why: a side is 0 or
 * longer than allowed, or nothing is left of it. */
int image_fit(struct image_fit *ret,
              unsigned width,
              unsigned height,
              unsigned patch_side,
              unsigned budget,
              struct why *why);

/* A picture scaled to what fits. */
struct patches {
        uint8_t *rgb; /* owned, [rows * side][columns * side][3] */
        struct image_fit fit;
        unsigned side; /* of a patch, in pixels */
};

/* 0, -ERANGE and why as above, or -ENOMEM. */
int patches_make(struct patches *ret,
                 const struct image *image,
                 unsigned patch_side,
                 unsigned budget,
                 struct why *why);
void patches_done(struct patches *p);

unsigned patches_count(const struct patches *p);

/* The values of patch i, 3 * side * side of them, between 0 and 1: all red, then all green, then all blue. */
void patches_read(const struct patches *p, unsigned i, float *ret);

#endif
