/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "model/gguf.h"

/* What the reference computed, in files of tests/golden; see its README.md. */

/* Where a file of that folder is.  To be freed. */
static inline char *golden_path(const char *name) {
        const char *folder = getenv("GOLDEN_DIR");
        char *path;

        if (asprintf(&path, "%s/%s", folder ? folder : "tests/golden", name) < 0)
                abort();
        return path;
}

/* Opens one; without it there is nothing to test, and the program ends.  To be closed. */
static inline struct gguf *open_golden(const char *name) {
        _cleanup_(freep) char *path = golden_path(name);
        struct why why = { "" };
        struct gguf *g = NULL;

        if (gguf_open(&g, path, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
        return g;
}

/* A tensor of the file's case i; NULL: there is none.  It lives as long as the file is open. */
static inline const struct gguf_tensor *
golden_part(const struct gguf *g, unsigned i, const char *name) {
        char full[64];

        (void) snprintf(full, sizeof(full), "case.%u.%s", i, name);
        return gguf_find_tensor(g, full);
}

#endif
