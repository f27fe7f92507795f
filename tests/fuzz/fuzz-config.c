/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a configuration file: what config_read() accepts, config_write() prints in a form that
 * it accepts again, and then prints the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition) {
        if (!condition)
                abort();
}

static char *written(const struct config *c, size_t *ret_size) {
        char *text = NULL;
        FILE *out = open_memstream(&text, ret_size);

        check(out != NULL);
        config_write(c, out);
        check(fclose(out) == 0);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct config *first = NULL, *second = NULL;
        char *once, *twice;
        size_t once_size, twice_size;
        struct why why = { 0 };

        check(config_new(&first) == 0 && config_new(&second) == 0);
        if (config_read(first, (const char *) data, size, "fuzz", &why) < 0) {
                check(strncmp(why.text, "fuzz:", 5) == 0);
        } else {
                once = written(first, &once_size);
                check(config_read(second, once, once_size, "again", &why) == 0);
                twice = written(second, &twice_size);
                check(once_size == twice_size && memcmp(once, twice, once_size) == 0);
                free(once);
                free(twice);
        }
        config_free(first);
        config_free(second);
        return 0;
}
