/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that the weights take: given back when nobody has asked for a while, and read again when
 * somebody does. */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/engine-internal.h"
#include "model/gguf.h"

/* Read in one go; between two of them the fetcher can be stopped. */
#define FETCH_SIZE ((size_t) 16 << 20)

/* The whole pages of a part of a file, none of one that is smaller; false beyond the last part. */
static bool find_pages(const struct gguf *g, size_t part, char **ret, size_t *ret_size) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE), size;
        const void *data;

        if (!gguf_extent(g, part, &data, &size))
                return false;
        *ret = (char *) (uintptr_t) data;
        *ret_size = size / page * page;
        return true;
}

static void release(const struct gguf *g) {
        char *at;
        size_t size;

        for (size_t i = 0; g && find_pages(g, i, &at, &size); i++)
                (void) madvise(at, size, MADV_DONTNEED);
}

/* A kernel before 5.14 does not map what it reads: then it is mapped page by page where it is used. */
static void fetch_pages(struct engine *e, char *at, size_t size) {
        for (size_t i = 0; i < size && !atomic_load(&e->stops_fetching); i += FETCH_SIZE) {
                size_t part = size - i < FETCH_SIZE ? size - i : FETCH_SIZE;

                if (madvise(at + i, part, MADV_POPULATE_READ) < 0)
                        (void) madvise(at + i, part, MADV_WILLNEED);
        }
}

static void *fetch(void *userdata) {
        struct engine *e = userdata;
        char *at;
        size_t size;

        for (size_t i = 0; find_pages(e->model, i, &at, &size); i++)
                fetch_pages(e, at, size);
        return NULL;
}

void engine_stop_fetching(struct engine *e) {
        if (!e->is_fetching)
                return;
        atomic_store(&e->stops_fetching, true);
        (void) pthread_join(e->fetcher, NULL);
        e->is_fetching = false;
}

void engine_release(struct engine *e) {
        engine_stop_fetching(e);
        if (e->is_embedded)
                return;
        release(e->model);
        release(e->projector);
        if (e->drafter)
                release(e->drafter->file);
}

/* It is only sooner there with it: that there is no thread for it is no failure. */
void engine_fetch(struct engine *e) {
        sigset_t all, before;

        engine_stop_fetching(e);
        if (e->is_embedded)
                return;
        atomic_store(&e->stops_fetching, false);
        /* Signals belong to the main thread. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        e->is_fetching = pthread_create(&e->fetcher, NULL, fetch, e) == 0;
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (e->is_fetching)
                (void) pthread_setname_np(e->fetcher, "gemmad-fetch");
}
