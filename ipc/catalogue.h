/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CATALOGUE_H
#define IPC_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

/* The models that gemmactl knows by name, as they are published. */
#define CATALOGUE_MAX_FILES 2

struct catalogue_file {
        const char *name;   /* in its repository */
        uint64_t size;      /* in bytes; 0: not known for certain */
        const char *sha256; /* NULL: what the server publishes with the file counts */
};

struct catalogue_model {
        const char *name, *what, *suits;
        const char *repository; /* below the hub's address; its page tells the licence, too */
        const char *licence;
        struct catalogue_file files[CATALOGUE_MAX_FILES]; /* the model, then its projector */
        const char *drafter; /* the file that guesses what it says; not all repositories have it */
        const char *drafter_repository; /* NULL: the model's */
        uint64_t drafter_size;          /* as in the files */
        uint64_t memory;                /* in bytes, that it needs while it runs */
};

extern const struct catalogue_model catalogue[];
extern const size_t catalogue_size;

/* NULL for a name that is not there. */
const struct catalogue_model *catalogue_find(const char *name);

/* The first of those that run in so many bytes of memory, which is the best; NULL: none does. */
const struct catalogue_model *catalogue_for(double memory);

#endif
