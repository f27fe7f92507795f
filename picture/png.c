/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/cleanup.h"
#include "picture/decode.h"
#include "picture/picture.h"

/* Chunks of text and colour that nobody reads may be compressed; so much of one is unpacked, and so many are looked at. */
#define MAX_CHUNK  (1u << 20)
#define MAX_CHUNKS 256

struct reader {
        const uint8_t *data;
        size_t size, at;
        const struct picture_sink *sink;
        struct why *why;
        int r;
        png_structp png;
        png_infop info;
        uint8_t *rgba; /* owned: one row, or of an interlaced picture all of them */
};

/* libpng goes back to where setjmp() was called; its text is English and without a newline. */
static void on_error(png_structp png, png_const_charp text) {
        struct reader *p = png_get_error_ptr(png);

        if (p->r == 0)
                p->r = because(p->why, -EBADMSG, "damaged at byte %zu: %s", p->at, text);
        png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
        (void) png;
        (void) text;
}

static void on_read(png_structp png, png_bytep ret, size_t n) {
        struct reader *p = png_get_io_ptr(png);

        if (n > p->size - p->at)
                png_error(png, "it ends too early");
        memcpy(ret, p->data + p->at, n);
        p->at += n;
}

static void set_up(struct reader *p) {
        png_set_read_fn(p->png, p, on_read);
        png_set_user_limits(p->png, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE);
        png_set_chunk_malloc_max(p->png, MAX_CHUNK);
        png_set_chunk_cache_max(p->png, MAX_CHUNKS);
        png_set_crc_action(p->png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
}

/* Whatever kind it is of, to four bytes a pixel. */
static void ask_for_rgba(struct reader *p) {
        png_set_expand(p->png);
        png_set_strip_16(p->png);
        png_set_gray_to_rgb(p->png);
        png_set_add_alpha(p->png, 255, PNG_FILLER_AFTER);
}

static void read_pixels(struct reader *p) {
        unsigned width = png_get_image_width(p->png, p->info);
        unsigned height = png_get_image_height(p->png, p->info);
        bool is_interlaced = png_get_interlace_type(p->png, p->info) != PNG_INTERLACE_NONE;
        size_t row = (size_t) width * 4;
        int n_passes = png_set_interlace_handling(p->png);
        uint8_t *rgb;

        ask_for_rgba(p);
        png_read_update_info(p->png, p->info);
        if (png_get_rowbytes(p->png, p->info) != row)
                png_error(p->png, "of an unknown kind");
        p->rgba = calloc(is_interlaced ? height : 1, row);
        rgb = p->rgba ? picture_room(p->sink, width, height) : NULL;
        if (!rgb) {
                p->r = -ENOMEM;
                png_longjmp(p->png, 1);
        }
        for (int pass = 0; pass < n_passes; pass++)
                for (size_t y = 0; y < height; y++) {
                        uint8_t *at = p->rgba + (is_interlaced ? y * row : 0);

                        png_read_row(p->png, at, NULL);
                        if (pass + 1 == n_passes)
                                picture_flatten(rgb + y * width * 3, at, width);
                }
        png_read_end(p->png, NULL);
}

/* Everything that may jump, apart, so that no local lives across it. */
static void read_all(struct reader *p) {
        png_read_info(p->png, p->info);
        p->r = picture_check_sides(png_get_image_width(p->png, p->info),
                                   png_get_image_height(p->png, p->info), p->why);
        if (p->r == 0)
                read_pixels(p);
}

int picture_decode_png(const uint8_t *data,
                       size_t size,
                       const struct picture_sink *sink,
                       struct why *why) {
        struct reader p = { .data = data, .size = size, .sink = sink, .why = why };

        p.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &p, on_error, on_warning);
        p.info = p.png ? png_create_info_struct(p.png) : NULL;
        if (!p.info) {
                png_destroy_read_struct(&p.png, NULL, NULL);
                return -ENOMEM;
        }
        if (setjmp(png_jmpbuf(p.png)) == 0) {
                set_up(&p);
                read_all(&p);
        }
        free(p.rgba);
        png_destroy_read_struct(&p.png, &p.info, NULL);
        return p.r;
}
