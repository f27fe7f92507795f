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
        struct catalogue_file files[CATALOGUE_MAX_FILES]; /* the model, then its projector */
        const char *drafter; /* the file that guesses what it says; not all repositories have it */
        uint64_t memory;     /* in bytes, that it needs while it runs */
};

extern const struct catalogue_model catalogue[];
extern const size_t catalogue_size;

/* NULL for a name that is not there. */
const struct catalogue_model *catalogue_find(const char *name);

#endif
