/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include <stdbool.h>
#include <string.h>

#include "model/kernels_rows.h"

const struct kernels *const *kernels_usable(void) {
        static const struct kernels *usable[8];
        unsigned n = 0;

        /* Filled the same way at every call, so that two threads may do it at once. */
        for (unsigned i = 0; kernels_rows[i].kernels; i++)
                if (kernels_rows[i].usable())
                        usable[n++] = kernels_rows[i].kernels;
        return usable;
}

const struct kernels *kernels_find(const char *name) {
        const struct kernels *const *usable = kernels_usable();

        for (unsigned i = 0; usable[i]; i++)
                if (!name || strcmp(usable[i]->name, name) == 0)
                        return usable[i];
        return NULL;
}
