/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/toml.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* What is taken is a table, and nothing else happens. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
        json_t *table = NULL;
        struct why why = {};

        if (toml_parse((const char *) data, size, &table, &why) >= 0 && !json_is_object(table))
                abort();
        json_decref(table);
        return 0;
}
