/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include <webp/decode.h>

#include "base/cleanup.h"
#include "picture/decode.h"

static const char *status_text(VP8StatusCode status) {
        switch (status) {
        case VP8_STATUS_NOT_ENOUGH_DATA:
                return "it ends too early";
        case VP8_STATUS_UNSUPPORTED_FEATURE:
                return "of an unknown kind";
        default:
                return "its data makes no sense";
        }
}

static int decode(const uint8_t *data,
                  size_t size,
                  WebPDecoderConfig *config,
                  uint8_t *to,
                  int stride,
                  struct why *why) {
        VP8StatusCode status;

        config->output.is_external_memory = 1;
        config->output.u.RGBA.rgba = to;
        config->output.u.RGBA.stride = stride;
        config->output.u.RGBA.size = (size_t) stride * (size_t) config->input.height;
        status = WebPDecode(data, size, config);
        if (status == VP8_STATUS_OUT_OF_MEMORY)
                return -ENOMEM;
        if (status != VP8_STATUS_OK)
                return because(why, -EBADMSG, "damaged: %s", status_text(status));
        return 0;
}

int picture_decode_webp(const uint8_t *data,
                        size_t size,
                        const struct picture_sink *sink,
                        struct why *why) {
        _cleanup_(freep) uint8_t *rgba = NULL;
        WebPDecoderConfig config;
        VP8StatusCode status;
        unsigned width, height;
        uint8_t *rgb;
        int r;

        if (!WebPInitDecoderConfig(&config))
                return because(why, -ENOTSUP, "another version of libwebp than it was built with");
        status = WebPGetFeatures(data, size, &config.input);
        if (status != VP8_STATUS_OK)
                return because(why, -EBADMSG, "damaged: %s", status_text(status));
        if (config.input.has_animation)
                return because(why, -ENOTSUP, "a moving picture");
        r = picture_check_sides((unsigned long) config.input.width,
                                (unsigned long) config.input.height, why);
        if (r < 0)
                return r;
        width = (unsigned) config.input.width;
        height = (unsigned) config.input.height;
        rgb = picture_room(sink, width, height);
        if (!rgb)
                return -ENOMEM;
        if (!config.input.has_alpha) {
                config.output.colorspace = MODE_RGB;
                return decode(data, size, &config, rgb, (int) width * 3, why);
        }

        rgba = malloc((size_t) width * height * 4);
        if (!rgba)
                return -ENOMEM;
        config.output.colorspace = MODE_RGBA;
        r = decode(data, size, &config, rgba, (int) width * 4, why);
        if (r == 0)
                picture_flatten(rgb, rgba, (size_t) width * height);
        return r;
}
