/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/images.h"

#include <limits.h>

#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"
#include "ipc/limits.h"

#define ASSISTANT "io.gemmad.Assistant"

static bool give_up(struct call *call, struct pictures *p, unsigned number, const struct why *why) {
        struct why reason;

        (void) because(&reason, 0, "picture %u: %s", number, why->text);
        pictures_done(p);
        call_error(call, ASSISTANT ".BadImage", reply_reason(reason.text));
        return false;
}

static bool take(struct call *call, const json_t *image, unsigned number, struct pictures *ret) {
        _cleanup_(closep) int fd = -1;
        json_int_t index, width, height;
        struct why why = {};

        if (parameter_integer(image, "fd", 0, INT_MAX, &index) == 1)
                fd = call_take_fd(call, (size_t) index);
        if (fd < 0) {
                (void) because(&why, 0, "no descriptor came with it");
                return give_up(call, ret, number, &why);
        }
        if (parameter_integer(image, "width", 1, INT_MAX, &width) != 1 ||
            parameter_integer(image, "height", 1, INT_MAX, &height) != 1) {
                (void) because(&why, 0, "its width and height are not both numbers above 0");
                return give_up(call, ret, number, &why);
        }
        if (pictures_add(ret, fd, (unsigned) width, (unsigned) height, &why) < 0)
                return give_up(call, ret, number, &why);

        fd = -1;
        return true;
}

bool images_take(struct call *call, const json_t *list, struct pictures *ret) {
        const json_t *image;
        struct why why = {};
        size_t i;

        if (json_array_size(list) > LIMIT_IMAGES) {
                (void) because(&why, 0, "at most %u can be given", LIMIT_IMAGES);
                return give_up(call, ret, LIMIT_IMAGES + 1, &why);
        }
        json_array_foreach(list, i,
                           image) if (!take(call, image, (unsigned) i + 1, ret)) return false;
        return true;
}

bool images_take_one(struct call *call, const json_t *image, struct pictures *ret) {
        return !json_is_object(image) || take(call, image, 1, ret);
}
