/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PICTURE_ORIENTATION_H
#define PICTURE_ORIENTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the camera was held, as the Exif part of a JPEG file says: 1 to 8, of which 1 is upright; 1 as well where it says
 * nothing that makes sense. */
unsigned orientation_read(const uint8_t *exif, size_t size);

/* Whether upright it is as wide as it was high. */
bool orientation_is_turned(unsigned orientation);

/* Sets the picture of width x height pixels upright; turned, ret is height x width. */
void orientation_apply(
        unsigned orientation, uint8_t *ret, const uint8_t *rgb, unsigned width, unsigned height);

#endif
