/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_REQUEST_H
#define REMOTE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "remote/buffer.h"
#include "remote/link.h"

/* A question of gemmad's as the body of a request: the sound as WAV and the pictures as PNG in base64 where they
 * belong, and what the server is to be told besides.  Pictures are made smaller first, as every model would. */
struct request_parts {
        const char *json; /* as link.h says; borrowed, like all of it */
        size_t json_size;
        const void *sound; /* samples, 16 bits, little-endian */
        size_t sound_size; /* bytes */
        struct request_picture {
                const uint8_t *rgb;
                struct link_picture size;
        } pictures[LINK_MAX_PICTURES];
        unsigned n_pictures;
        const char *model;
};

#define REQUEST_MAX_SIZE (64u << 20)

/* Appends it to ret.  -EBADMSG: gemmad does not ask like that, -EFBIG, -ENOMEM; with a reason. */
int request_write(struct buffer *ret, const struct request_parts *parts, struct why *why);

#endif
