/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/drafter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/catalogue.h"

const char *drafter_find(const struct config *config, char buffer[static PATH_MAX]) {
        const char *slash = strrchr(config->model_path, '/');
        int folder = slash ? (int) (slash - config->model_path) + 1 : 0;

        if (strcmp(config->drafter_path, "auto") != 0)
                return *config->drafter_path ? config->drafter_path : NULL;
        if (!*config->model_path)
                return NULL;

        for (size_t i = 0; i < catalogue_size; i++) {
                int n = snprintf(buffer, PATH_MAX, "%.*s%s", folder, config->model_path,
                                 catalogue[i].drafter);

                if (n > 0 && n < PATH_MAX && access(buffer, F_OK) == 0)
                        return buffer;
        }
        return NULL;
}
