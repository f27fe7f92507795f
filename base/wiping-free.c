/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* free() and realloc() of a program that links this file, its libraries included (SQLite's pages, JSON,
 * decoded sound): what is given back is wiped first.  Blocks from this size on are mappings of their
 * own, and what was in those goes back to the kernel. */
#define MAPPED_SIZE (1 << 20)

void __libc_free(void *p);

static __attribute__((constructor)) void map_large_blocks(void) {
        (void) mallopt(M_MMAP_THRESHOLD, MAPPED_SIZE);
}

void free(void *p) {
        size_t size;

        if (!p)
                return;
        size = malloc_usable_size(p);
        if (size < MAPPED_SIZE)
                explicit_bzero(p, size);
        __libc_free(p);
}

/* Of a large block that grows, a half more is taken: who adds to it bit by bit would have it moved each time. */
#define LARGE_SIZE 4096

static size_t with_room(size_t size, size_t old) {
        return old >= LARGE_SIZE && size > old && size < SIZE_MAX / 2 ? size + size / 2 : size;
}

/* Never in place: what a block loses when it shrinks, and what it was before it moved, is wiped. */
void *realloc(void *p, size_t size) {
        size_t old;
        void *moved;

        if (!p)
                return malloc(size);
        if (size == 0) {
                free(p);
                return NULL;
        }
        old = malloc_usable_size(p);
        if (size <= old && size > old / 2)
                return p;
        moved = malloc(with_room(size, old));
        if (!moved)
                return NULL;
        memcpy(moved, p, old < size ? old : size);
        free(p);
        return moved;
}
