/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of a turn, and those that come with the result of a call, into the model. */
#include <errno.h>
#include <sys/mman.h>

#include "base/wipe.h"
#include "daemon/think/conversation-internal.h"

/* Positions for the markers around a picture, and what has to be left behind the last one for a question and the first words
 * of an answer. */
#define MARKERS 2
#define TAIL    64

static void done_wiping(struct patches *p) {
        if (p->rgb)
                wipe(p->rgb, (size_t) patches_count(p) * p->side * p->side * 3);
        patches_done(p);
}

/* Scales the pixels in the client's memory, which is mapped only meanwhile. */
static int cut(struct conversation *c, const struct pixels *pixels, struct patches *ret) {
        size_t size = (size_t) pixels->width * pixels->height * 3;
        unsigned side, most;
        struct image image;
        void *rgb;
        int r;

        r = dialogue_image_format(c->dialogue, &side, &most);
        if (r < 0)
                return r;
        /* A shared mapping might be written to as far as kernels before 6.7 know, which sealed memory does not
         * allow. */
        rgb = mmap(NULL, size, PROT_READ, MAP_PRIVATE, pixels->fd, 0);
        if (rgb == MAP_FAILED)
                return conversation_fail(c, FAULT_IMAGE, -errno, "the picture can not be mapped");
        image = (struct image){ rgb, pixels->width, pixels->height };
        r = patches_make(ret, &image, side, most, &c->why);
        (void) munmap(rgb, size);
        if (r < 0 && r != -ENOMEM)
                c->fault = FAULT_IMAGE;
        return r;
}

static bool has_room(const struct conversation *c, const struct patches *p) {
        return dialogue_position(c->dialogue) + patches_count(p) + MARKERS + TAIL <=
               dialogue_max_positions(c->dialogue);
}

/* A large model takes long for a picture, in which somebody may cancel, and the daemon shows that it lives. */
static bool goes_on(void *userdata) {
        return conversation_look_up(userdata) >= 0;
}

static int see_patches(struct conversation *c, const struct patches *p) {
        int r;

        r = dialogue_open_image(c->dialogue);
        if (r >= 0)
                r = conversation_feed(c);
        if (r >= 0)
                r = dialogue_append_image(c->dialogue, p, goes_on, c);
        return r < 0 ? r : dialogue_close_image(c->dialogue);
}

/* 1: there is no room for it. */
static int see_one(struct conversation *c, const struct pixels *pixels) {
        _cleanup_(done_wiping) struct patches p = { 0 };
        int r;

        r = cut(c, pixels, &p);
        if (r < 0)
                return r;
        return has_room(c, &p) ? see_patches(c, &p) : 1;
}

bool conversation_can_see(const struct conversation *c) {
        return engine_sees(dialogue_engine(c->dialogue));
}

int conversation_see(struct conversation *c) {
        const struct pictures *pictures = &c->request.pictures;
        int r = 0;

        /* They are for a server. */
        if (!conversation_can_see(c))
                return 0;
        for (unsigned i = 0; r == 0 && i < pictures->n; i++)
                r = see_one(c, &pictures->list[i]);
        if (r <= 0)
                return r;
        c->fault = FAULT_IMAGE;
        return because(&c->why, -EFBIG, "the pictures do not fit into the context of %u positions",
                       dialogue_max_positions(c->dialogue));
}

int conversation_see_result(struct conversation *c, const struct pictures *pictures) {
        int r = 0;

        /* Without it the words of the result are still there. */
        for (unsigned i = 0; r == 0 && i < pictures->n && conversation_can_see(c); i++)
                r = see_one(c, &pictures->list[i]);
        return r < 0 ? r : 0;
}
