/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/keepsake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"

void keepsake_init(struct keepsake *k) {
        *k = (struct keepsake){ .fd = -1 };
}

void keepsake_done(struct keepsake *k) {
        if (k->fd >= 0)
                (void) close(k->fd);
        free(k->ids);
        keepsake_init(k);
}

/* A file that nobody can give a name to. */
static int open_unnamed(const struct config *config) {
        char folder[PATH_MAX];
        int r = 0, fd;

        if (!config->store_enabled)
                return -ENOENT;
        if (*config->store_path)
                (void) snprintf(folder, sizeof(folder), "%s", config->store_path);
        else
                r = paths_state(folder, sizeof(folder), NULL);
        if (r < 0)
                return r;
        fd = open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
}

static bool is_kept(const struct keepsake *k, const int32_t *ids, size_t n) {
        return k->fd >= 0 && k->n_ids == n && memcmp(k->ids, ids, n * sizeof(*ids)) == 0;
}

static int note(struct keepsake *k, const int32_t *ids, size_t n) {
        k->ids = calloc(n, sizeof(*ids));
        if (!k->ids)
                return -ENOMEM;
        memcpy(k->ids, ids, n * sizeof(*ids));
        k->n_ids = n;
        return 0;
}

int keepsake_keep(struct keepsake *k,
                  const struct config *config,
                  struct session *s,
                  const int32_t *ids,
                  size_t n) {
        int r;

        if (n == 0 || is_kept(k, ids, n))
                return 0;
        keepsake_done(k);
        r = k->fd = open_unnamed(config);
        if (r >= 0)
                r = note(k, ids, n);
        if (r >= 0)
                r = session_save(s, (unsigned) n, k->fd);
        if (r < 0) {
                log_debug("What the model knows of its prefix is not kept: %s", strerror(-r));
                keepsake_done(k);
        }
        return r;
}

void keepsake_recall(struct keepsake *k, struct session *s) {
        int r;

        if (k->fd < 0)
                return;
        r = session_load(s, k->fd);
        if (r < 0) {
                log_debug("What the model knew of its prefix can not be read: %s", strerror(-r));
                keepsake_done(k);
        }
}
