/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/cleanup.h"
#include "picture/decode.h"
#include "picture/orientation.h"

#define EXIF_MARKER (JPEG_APP0 + 1)

struct reader {
        struct jpeg_decompress_struct jpeg;
        struct jpeg_error_mgr errors;
        jmp_buf back;
        const struct picture_sink *sink;
        struct why *why;
        int r;
        unsigned orientation;
        uint8_t *row;   /* owned: of four inks */
        uint8_t *lying; /* owned: what is to be set upright */
};

static struct reader *reader_of(j_common_ptr jpeg) {
        return jpeg->client_data;
}

static void give_up(struct reader *p) {
        longjmp(p->back, 1);
}

static void on_error(j_common_ptr jpeg) {
        struct reader *p = reader_of(jpeg);
        char text[JMSG_LENGTH_MAX];

        jpeg->err->format_message(jpeg, text);
        if (p->r == 0)
                p->r = because(p->why, -EBADMSG, "damaged: %.200s", text);
        give_up(p);
}

static void on_message(j_common_ptr jpeg, int level) {
        struct reader *p = reader_of(jpeg);

        /* The rest would be grey. */
        if (level >= 0 || jpeg->err->msg_code != JWRN_JPEG_EOF)
                return;
        p->r = because(p->why, -EBADMSG, "it ends too early");
        give_up(p);
}

static void on_output(j_common_ptr jpeg) {
        (void) jpeg;
}

static unsigned find_orientation(const struct reader *p) {
        for (jpeg_saved_marker_ptr m = p->jpeg.marker_list; m; m = m->next)
                if (m->marker == EXIF_MARKER && m->data_length > 6 &&
                    memcmp(m->data, "Exif", 4) == 0)
                        return orientation_read(m->data, m->data_length);
        return 1;
}

/* Rounded to the nearest. */
static uint8_t part_of(unsigned value, unsigned of) {
        return (uint8_t) ((value * of + 127) / 255);
}

/* Four inks to three lights; files of Adobe hold the light that they leave. */
static void from_inks(uint8_t *rgb, const uint8_t *inks, size_t n, bool is_light) {
        for (size_t i = 0; i < n; i++)
                for (unsigned c = 0; c < 3; c++) {
                        unsigned ink = inks[4 * i + c], black = inks[4 * i + 3];

                        rgb[3 * i + c] =
                                is_light ? part_of(ink, black) : part_of(255 - ink, 255 - black);
                }
}

static void read_rows(struct reader *p, uint8_t *rgb) {
        struct jpeg_decompress_struct *jpeg = &p->jpeg;
        size_t row = (size_t) jpeg->output_width * 3;
        bool has_inks = jpeg->out_color_space == JCS_CMYK;

        while (jpeg->output_scanline < jpeg->output_height) {
                uint8_t *at = rgb + jpeg->output_scanline * row;
                JSAMPROW to = has_inks ? p->row : at;

                (void) jpeg_read_scanlines(jpeg, &to, 1);
                if (has_inks)
                        from_inks(at, p->row, jpeg->output_width, jpeg->saw_Adobe_marker);
        }
        (void) jpeg_finish_decompress(jpeg);
}

static void read_pixels(struct reader *p) {
        unsigned width = p->jpeg.image_width, height = p->jpeg.image_height;
        bool is_turned = orientation_is_turned(p->orientation);
        uint8_t *rgb;

        rgb = picture_room(p->sink, is_turned ? height : width, is_turned ? width : height);
        if (p->orientation != 1)
                p->lying = malloc((size_t) width * height * 3);
        if (p->jpeg.out_color_space == JCS_CMYK)
                p->row = malloc((size_t) width * 4);
        if (!rgb || (p->orientation != 1 && !p->lying) ||
            (p->jpeg.out_color_space == JCS_CMYK && !p->row)) {
                p->r = -ENOMEM;
                give_up(p);
        }
        (void) jpeg_start_decompress(&p->jpeg);
        read_rows(p, p->lying ? p->lying : rgb);
        if (p->lying)
                orientation_apply(p->orientation, rgb, p->lying, width, height);
}

/* Everything that may jump, apart, so that no local lives across it. */
static void read_all(struct reader *p, const uint8_t *data, size_t size) {
        jpeg_create_decompress(&p->jpeg);
        jpeg_mem_src(&p->jpeg, data, size);
        jpeg_save_markers(&p->jpeg, EXIF_MARKER, 0xffff);
        (void) jpeg_read_header(&p->jpeg, TRUE);
        p->r = picture_check_sides(p->jpeg.image_width, p->jpeg.image_height, p->why);
        if (p->r < 0)
                return;
        p->jpeg.out_color_space = p->jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
        p->orientation = find_orientation(p);
        read_pixels(p);
}

int picture_decode_jpeg(const uint8_t *data,
                        size_t size,
                        const struct picture_sink *sink,
                        struct why *why) {
        struct reader p = { .sink = sink, .why = why };

        p.jpeg.err = jpeg_std_error(&p.errors);
        p.jpeg.client_data = &p;
        p.errors.error_exit = on_error;
        p.errors.emit_message = on_message;
        p.errors.output_message = on_output;
        if (setjmp(p.back) == 0)
                read_all(&p, data, size);
        free(p.row);
        free(p.lying);
        jpeg_destroy_decompress(&p.jpeg);
        return p.r;
}
