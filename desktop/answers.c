/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a long answer the beginning is shown. */
#define MAX_SHOWN 400

struct answers {
        struct notify *notify; /* not owned */
        enum when when;
        struct notice *notice; /* owned; the last one that is on the screen */
};

static void on_chosen(const char *key, void *userdata) {
        struct answers *a = userdata;

        (void) key;
        a->notice = notice_close(a->notice);
}

int answers_new(struct answers **ret, struct notify *notify, enum when when) {
        struct answers *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->notify = notify;
        a->when = when;
        *ret = a;
        return 0;
}

struct answers *answers_free(struct answers *a) {
        if (!a)
                return NULL;

        (void) notice_close(a->notice);
        free(a);
        return NULL;
}

/* At most so many bytes, and whole characters. */
static void cut(char *ret, size_t size, const char *text) {
        size_t n = strlen(text);

        if (n >= size)
                n = size - 1;
        while (text[n] && ((unsigned char) text[n] & 0xc0) == 0x80)
                n--;
        memcpy(ret, text, n);
        ret[n] = 0;
}

static void show(struct answers *a, const char *heard, const char *answered) {
        char title[MAX_SHOWN], body[MAX_SHOWN];
        const struct notice_config config = {
                .title = title,
                .body = body,
                .is_passing = true,
                .chosen = on_chosen,
                .userdata = a,
        };

        cut(title, sizeof(title), *heard ? heard : "gemmad");
        cut(body, sizeof(body), answered);
        if (a->notice)
                notice_change(a->notice, title, body);
        else
                a->notice = notice_show(a->notify, &config);
}

void answers_on_event(struct answers *a, json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        json_t *turn = json_object_get(event, "turn");
        const char *source = json_string_value(json_object_get(turn, "source"));
        const char *heard = json_string_value(json_object_get(turn, "heard"));
        const char *answered = json_string_value(json_object_get(turn, "answered"));

        if (!kind || strcmp(kind, "done") != 0 || !source || !answered || !*answered)
                return;
        if (when_is_wanted(a->when, source))
                show(a, heard ? heard : "", answered);
}
