/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/mode.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = {
        [MODE_PUSH] = "push",
        [MODE_OPEN] = "open",
        [MODE_WAKE] = "wake",
};

const char *mode_name(enum mode mode) {
        return names[mode];
}

int mode_from_name(const char *name, enum mode *ret) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (strcmp(names[i], name) != 0)
                        continue;
                *ret = (enum mode) i;
                return 0;
        }
        return -EINVAL;
}
