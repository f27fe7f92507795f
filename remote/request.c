/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <jansson.h>
#include <png.h>

#include "base/cleanup.h"
#include "base/wipe.h"

/* No model sees more of a picture. */
#define MAX_PIXELS (UINT64_C(2) << 20)

#define WAV_HEADER 44

static void put16(uint8_t *at, unsigned value) {
        at[0] = (uint8_t) value;
        at[1] = (uint8_t) (value >> 8);
}

static void put32(uint8_t *at, size_t value) {
        put16(at, (unsigned) (value & 0xffff));
        put16(at + 2, (unsigned) (value >> 16));
}

/* RIFF, one channel of 16 bits. */
static void write_wav_header(uint8_t header[static WAV_HEADER], size_t sound_size) {
        memcpy(header, "RIFF....WAVEfmt ", 16);
        put32(header + 4, sound_size + WAV_HEADER - 8);
        put32(header + 16, 16);
        put16(header + 20, 1);
        put16(header + 22, 1);
        put32(header + 24, LINK_SOUND_RATE);
        put32(header + 28, LINK_SOUND_RATE * 2);
        put16(header + 32, 2);
        put16(header + 34, 16);
        memcpy(header + 36, "data", 4);
        put32(header + 40, sound_size);
}

/* A JSON string of some text in base64. */
static json_t *in_base64(const char *prefix, const void *data, size_t size) {
        char *encoded = g_base64_encode(data, size);
        json_t *string = json_sprintf("%s%s", prefix, encoded);

        wipe(encoded, strlen(encoded));
        g_free(encoded);
        return string;
}

static json_t *sound_part(const struct request_parts *parts) {
        size_t size = WAV_HEADER + parts->sound_size;
        uint8_t *wav = malloc(size);
        json_t *data;

        if (!wav)
                return NULL;
        write_wav_header(wav, parts->sound_size);
        memcpy(wav + WAV_HEADER, parts->sound, parts->sound_size);
        data = in_base64("", wav, size);
        wipe(wav, size);
        free(wav);
        return json_pack("{s:s, s:{s:o, s:s}}", "type", "input_audio", "input_audio", "data", data, "format",
                         "wav");
}

/* The mean of so many pixels a side, of all three colours. */
static void shrink(uint8_t *to, const struct request_picture *p, unsigned factor) {
        unsigned width = p->size.width / factor, height = p->size.height / factor;

        for (unsigned y = 0; y < height; y++)
                for (unsigned x = 0; x < width * 3; x++) {
                        const uint8_t *from = p->rgb + ((size_t) y * factor * p->size.width +
                                                        (size_t) (x / 3) * factor) * 3 + x % 3;
                        unsigned sum = 0;

                        for (unsigned i = 0; i < factor * factor; i++)
                                sum += from[((size_t) (i / factor) * p->size.width + i % factor) * 3];
                        to[(size_t) y * width * 3 + x] = (uint8_t) (sum / (factor * factor));
                }
}

/* What is narrower than the factor keeps at least a pixel of it. */
static unsigned factor_of(const struct link_picture *size) {
        unsigned least = size->width < size->height ? size->width : size->height, factor = 1;

        while ((uint64_t) (size->width / factor) * (size->height / factor) > MAX_PIXELS && factor < least)
                factor++;
        return factor;
}

static json_t *encode(const struct request_picture *p) {
        unsigned factor = factor_of(&p->size);
        png_image image = {
                .version = PNG_IMAGE_VERSION,
                .width = p->size.width / factor,
                .height = p->size.height / factor,
                .format = PNG_FORMAT_RGB,
                .flags = PNG_IMAGE_FLAG_FAST,
        };
        size_t pixels_size = (size_t) image.width * image.height * 3;
        png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
        _cleanup_(freep) uint8_t *small = malloc(pixels_size), *png = malloc(size);
        json_t *url = NULL;

        if (!small || !png)
                return NULL;
        shrink(small, p, factor);
        if (png_image_write_to_memory(&image, png, &size, 0, small, 0, NULL))
                url = in_base64("data:image/png;base64,", png, size);
        wipe(small, pixels_size);
        wipe(png, size);
        return json_pack("{s:s, s:{s:o}}", "type", "image_url", "image_url", "url", url);
}

/* NULL: there is none, or no memory. */
static json_t *picture_part(const struct request_parts *parts, const json_t *part) {
        json_int_t index = json_integer_value(json_object_get(part, "index"));

        if (index < 0 || index >= (json_int_t) parts->n_pictures)
                return NULL;
        return encode(&parts->pictures[index]);
}

static int fill_in(json_t *content, const struct request_parts *parts, struct why *why) {
        json_t *part;
        size_t i;

        json_array_foreach(content, i, part) {
                const char *type = json_string_value(json_object_get(part, "type"));
                json_t *filled;

                if (!type || strcmp(type, "text") == 0)
                        continue;
                if (strcmp(type, "sound") == 0)
                        filled = sound_part(parts);
                else
                        filled = picture_part(parts, part);
                if (!filled || json_array_set_new(content, i, filled) < 0)
                        return because(why, -EBADMSG, "a part of the question is missing");
        }
        return 0;
}

static int fill_in_all(json_t *object, const struct request_parts *parts, struct why *why) {
        json_t *message;
        size_t i;
        int r = 0;

        json_array_foreach(json_object_get(object, "messages"), i, message) {
                if (r >= 0)
                        r = fill_in(json_object_get(message, "content"), parts, why);
        }
        return r;
}

static int dump(const char *data, size_t size, void *userdata) {
        return buffer_append(userdata, data, size, REQUEST_MAX_SIZE);
}

int request_write(struct buffer *ret, const struct request_parts *parts, struct why *why) {
        json_t *object = json_loadb(parts->json, parts->json_size, 0, NULL);
        int r;

        if (!json_is_array(json_object_get(object, "messages"))) {
                json_decref(object);
                return because(why, -EBADMSG, "the question is not understood");
        }
        r = fill_in_all(object, parts, why);
        if (r >= 0 && (json_object_set_new(object, "model", json_string(parts->model)) < 0 ||
                       json_object_set_new(object, "stream", json_true()) < 0))
                r = because(why, -ENOMEM, "out of memory");
        if (r >= 0 && json_dump_callback(object, dump, ret, JSON_COMPACT) < 0)
                r = because(why, -EFBIG, "the question is too long");
        json_decref(object);
        return r;
}
