/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/expected.h"

#include <errno.h>
#include <string.h>

#define BEFORE_NAME "call:"

static bool is_name(const char *name) {
        size_t size = name ? strlen(name) : 0;

        return size > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_.-") == size;
}

static bool has(const struct expected *e, const char *name, size_t size) {
        for (const char *at = e->names; *at; at += strcspn(at, " ") + 1)
                if (strcspn(at, " ") == size && memcmp(at, name, size) == 0)
                        return true;
        return false;
}

static int add(struct expected *e, const char *name, size_t size) {
        size_t used = strlen(e->names);

        if (has(e, name, size))
                return 0;
        if (used + size + 2 > sizeof(e->names))
                return -ENOSPC;
        memcpy(e->names + used, name, size);
        e->names[used + size] = ' ';
        e->names[used + size + 1] = '\0';
        return 0;
}

int expected_add(struct expected *e, const char *name) {
        return is_name(name) ? add(e, name, strlen(name)) : -EINVAL;
}

int expected_add_all(struct expected *e, const struct expected *more) {
        int r = 0;

        for (const char *at = more->names; *at && r >= 0; at += strcspn(at, " ") + 1)
                r = add(e, at, strcspn(at, " "));
        return r;
}

bool expected_is_empty(const struct expected *e) {
        return !e->names[0];
}

bool expected_has(const struct expected *e, const char *name) {
        return has(e, name, strlen(name));
}

bool expected_has_call(const struct expected *e, const char *call, size_t size) {
        const size_t before = sizeof(BEFORE_NAME) - 1;
        const char *end;

        if (size <= before || memcmp(call, BEFORE_NAME, before) != 0)
                return false;
        end = memchr(call, '{', size);
        return end && has(e, call + before, (size_t) (end - call) - before);
}
