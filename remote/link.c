/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/link.h"

#include <string.h>

#include "base/utf8.h"

/* Of a picture. */
#define MAX_SIDE   65535
#define MAX_PIXELS (UINT64_C(1) << 26)

static bool is_utf8(const char *text, size_t size) {
        for (size_t i = 0; i < size;) {
                int length = utf8_character(text + i, size - i);

                if (length <= 0)
                        return false;
                i += (size_t) length;
        }
        return true;
}

static bool is_picture(const struct link_picture *p) {
        return p->width > 0 && p->width <= MAX_SIDE && p->height > 0 && p->height <= MAX_SIDE &&
               (uint64_t) p->width * p->height <= MAX_PIXELS;
}

bool link_check_question(const struct link_question *q, size_t size, size_t n_fds) {
        if (size != sizeof(*q) || q->version != LINK_VERSION)
                return false;
        if (q->word == LINK_LEAVE)
                return true;
        if (q->word != LINK_ASK || q->json_size > LINK_MAX_JSON || q->sound_size > LINK_MAX_SOUND ||
            q->n_pictures > LINK_MAX_PICTURES || n_fds != 1 + (size_t) q->n_pictures)
                return false;
        for (uint32_t i = 0; i < q->n_pictures; i++)
                if (!is_picture(&q->pictures[i]))
                        return false;
        return true;
}

size_t link_answer_size(const struct link_answer *a) {
        return offsetof(struct link_answer, text) + a->text_size;
}

bool link_check_answer(struct link_answer *a, size_t size) {
        if (size < offsetof(struct link_answer, text) || a->text_size > LINK_MAX_TEXT ||
            size != link_answer_size(a) || a->word > LINK_BROKEN || a->finish > LINK_CALLS)
                return false;
        utf8_tidy(a->server, sizeof(a->server));
        return is_utf8(a->text, a->text_size);
}

bool link_check_state(struct link_state *s, size_t size) {
        if (size != sizeof(*s) || s->version != LINK_VERSION)
                return false;
        utf8_tidy(s->server, sizeof(s->server));
        utf8_tidy(s->why.text, sizeof(s->why.text));
        return true;
}
