/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "model/image.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_WRITE)

int pictures_add(struct pictures *p, int fd, unsigned width, unsigned height, struct why *why) {
        struct stat st;
        int seals = fcntl(fd, F_GET_SEALS);

        if (width == 0 || height == 0 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
            (uint64_t) width * height > IMAGE_MAX_PIXELS)
                return because(why, -EINVAL, "%u x %u pixels: at least one, and at most %u", width,
                               height, IMAGE_MAX_PIXELS);
        if (seals < 0 || (seals & SEALS) != SEALS)
                return because(why, -EINVAL,
                               "the descriptor is no memory that is sealed against writing and "
                               "shrinking");
        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%s", strerror(errno));
        if ((uint64_t) st.st_size != (uint64_t) width * height * 3)
                return because(why, -EINVAL, "%llu bytes are not those of %u x %u pixels",
                               (unsigned long long) st.st_size, width, height);

        p->list[p->n++] = (struct pixels){ fd, width, height };
        return 0;
}

struct pictures pictures_take(struct pictures *p) {
        struct pictures taken = *p;

        p->n = 0;
        return taken;
}

void pictures_done(struct pictures *p) {
        while (p->n > 0)
                closep(&p->list[--p->n].fd);
}
