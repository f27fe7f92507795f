/* SPDX-License-Identifier: Apache-2.0 */
#include "sound/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "base/wipe.h"

int wall_map(struct wall **ret, int fd) {
        void *memory = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (memory == MAP_FAILED)
                return -errno;
        *ret = memory;
        return 0;
}

struct wall *wall_unmap(struct wall *w) {
        if (w)
                (void) munmap(w, sizeof(*w));
        return NULL;
}

int wall_make(struct wall **ret, int *ret_fd) {
        _cleanup_(closep) int fd = -1;
        int r;

        fd = memfd_create("gemmad-wall", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, sizeof(**ret)) < 0)
                return -errno;
        /* Whoever shrinks a mapping kills all who read it. */
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        r = wall_map(ret, fd);
        if (r < 0)
                return r;

        *ret_fd = TAKE_FD(fd);
        return 0;
}

unsigned wall_room(const struct wall *w) {
        uint32_t head = atomic_load_explicit(&w->head, memory_order_relaxed);
        uint32_t n = head - atomic_load_explicit(&w->tail, memory_order_acquire);

        return n < WALL_FRAMES ? WALL_FRAMES - n : 0;
}

bool wall_push(struct wall *w, const struct wall_frame *frame) {
        uint32_t head = atomic_load_explicit(&w->head, memory_order_relaxed);

        if (wall_room(w) == 0)
                return false;
        w->slots[head % WALL_FRAMES] = *frame;
        atomic_store_explicit(&w->head, head + 1, memory_order_release);
        return true;
}

int wall_make_bell(int *ret_hearer_fd, int *ret_ringer_fd) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        *ret_hearer_fd = fds[0];
        *ret_ringer_fd = fds[1];
        return 0;
}

/* More than this only somebody rings who wants to be heard again. */
void wall_clear_bell(int hearer_fd) {
        char rings[4096];

        (void) !read(hearer_fd, rings, sizeof(rings));
}

static float sane(float x) {
        if (!isfinite(x))
                return 0;
        return x < -1 ? -1 : x > 1 ? 1 : x;
}

/* Whatever was written, this is sound, and not from the future. */
static void check_frame(struct wall_frame *f) {
        uint64_t now = clock_now_ns();

        for (size_t i = 0; i < FRAME_SAMPLES; i++)
                f->frame.samples[i] = sane(f->frame.samples[i]);
        f->offset = sane(f->offset);
        f->value = sane(f->value);
        f->is_still = f->is_still != 0;
        f->frame.is_last = f->frame.is_last != 0;
        f->frame.has_gap = f->frame.has_gap != 0;
        if (!f->frame.has_gap)
                f->frame.gap_ms = 0;
        if (f->frame.n_valid > FRAME_SAMPLES)
                f->frame.n_valid = FRAME_SAMPLES;
        if (f->frame.captured_ns > now)
                f->frame.captured_ns = now;
}

int wall_pop(struct wall *w, uint32_t *tail, struct wall_frame *ret) {
        uint32_t n = atomic_load_explicit(&w->head, memory_order_acquire) - *tail;
        struct wall_frame *slot = &w->slots[*tail % WALL_FRAMES];

        if (n == 0)
                return 0;
        if (n > WALL_FRAMES)
                return -EBADMSG;
        memcpy(ret, slot, sizeof(*ret));
        wipe(slot, sizeof(*slot));
        ret->frame.sequence = (*tail)++;
        atomic_store_explicit(&w->tail, *tail, memory_order_release);
        check_frame(ret);
        return 1;
}

bool wall_check(struct wall_message *m) {
        switch (m->word) {
        case WALL_HERE:
        case WALL_OTHER:
                return true;
        case WALL_OPEN:
                utf8_tidy(m->open.device, sizeof(m->open.device));
                m->open.is_live = m->open.is_live != 0;
                return true;
        case WALL_FAILED:
                if (m->r >= 0 || m->r < -4095)
                        m->r = -EBADMSG;
                utf8_tidy(m->why.text, sizeof(m->why.text));
                return true;
        case WALL_LISTED:
                if (m->r < 0 || m->r > WALL_MAX_LISTED)
                        return false;
                for (int i = 0; i < m->r; i++)
                        utf8_tidy(m->listed[i].name, sizeof(m->listed[i].name));
                return true;
        }
        return false;
}
