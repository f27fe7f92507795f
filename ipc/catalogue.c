/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/catalogue.h"

#include <string.h>

#define MIB     UINT64_C(1048576)
#define LICENCE "Apache-2.0"

/* The memory is that of the weights, of 4096 positions and of the program. */
const struct catalogue_model catalogue[] = {
        {
                .name = "gemma-4-12b-q4_0",
                .what = "Gemma 4 12B Unified, trained for four bits (official)",
                .suits = "16 GB of memory; the fastest of them",
                .repository = "google/gemma-4-12B-it-qat-q4_0-gguf",
                .licence = LICENCE,
                .files = { { "gemma-4-12b-it-qat-q4_0.gguf", 6975879296, NULL },
                           { "mmproj-gemma-4-12b-it-qat-q4_0.gguf", 175115616, NULL } },
                .drafter = "mtp-gemma-4-12B-it.gguf",
                .drafter_repository = "unsloth/gemma-4-12B-it-qat-GGUF",
                .drafter_size = 253708800,
                .memory = 8090 * MIB,
        },
        {
                .name = "gemma-4-12b-q4_k_m",
                .what = "Gemma 4 12B Unified, four to six bits",
                .suits = "16 GB of memory",
                .repository = "unsloth/gemma-4-12b-it-GGUF",
                .licence = LICENCE,
                .files = { { "gemma-4-12b-it-Q4_K_M.gguf", 7121861440, NULL },
                           { "mmproj-BF16.gguf", 175115840, NULL } },
                .drafter = "mtp-gemma-4-12b-it.gguf",
                .memory = 8290 * MIB,
        },
        {
                .name = "gemma-4-12b-q8_0",
                .what = "Gemma 4 12B Unified, eight bits",
                .suits = "24 GB of memory and patience",
                .repository = "unsloth/gemma-4-12b-it-GGUF",
                .licence = LICENCE,
                .files = { { "gemma-4-12b-it-Q8_0.gguf", 0, NULL },
                           { "mmproj-BF16.gguf", 175115840, NULL } },
                .drafter = "mtp-gemma-4-12b-it.gguf",
                .memory = 13700 * MIB,
        },
};

const size_t catalogue_size = sizeof(catalogue) / sizeof(catalogue[0]);

const struct catalogue_model *catalogue_find(const char *name) {
        for (size_t i = 0; i < catalogue_size; i++)
                if (strcmp(catalogue[i].name, name) == 0)
                        return &catalogue[i];
        return NULL;
}

const struct catalogue_model *catalogue_for(double memory) {
        for (size_t i = 0; i < catalogue_size; i++)
                if ((double) catalogue[i].memory <= memory)
                        return &catalogue[i];
        return NULL;
}
