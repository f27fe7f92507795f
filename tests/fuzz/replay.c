/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one fuzz target over stored inputs: the files and folders given, or else the target's own
 * corpus, found by the program's name (replay-gguf: tests/fuzz/corpus/gguf below $srcdir).  A
 * target reports by crashing, so every line written is a success. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PATH 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bail_out(const char *path) {
        printf("Bail out! %s: %s\n", path, strerror(errno));
        exit(1);
}

/* In memory of exactly its size, so that the address sanitizer sees reading beyond the end. */
static void replay_file(const char *path, size_t size, unsigned *n) {
        uint8_t *data = malloc(size);
        FILE *f = fopen(path, "rb");

        if ((size > 0 && !data) || !f || fread(data, 1, size, f) != size)
                bail_out(path);
        (void) fclose(f);

        printf("# %s\n", path);
        (void) fflush(stdout);
        (void) LLVMFuzzerTestOneInput(data, size);
        printf("ok %u - %s\n", ++*n, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
        free(data);
}

static void replay(const char *path, unsigned *n) {
        struct dirent **entries;
        struct stat st;
        int n_entries;

        if (stat(path, &st) < 0)
                bail_out(path);
        if (!S_ISDIR(st.st_mode)) {
                replay_file(path, (size_t) st.st_size, n);
                return;
        }

        n_entries = scandir(path, &entries, NULL, alphasort);
        if (n_entries < 0)
                bail_out(path);
        for (int i = 0; i < n_entries; i++) {
                char inner[MAX_PATH];

                if (entries[i]->d_name[0] != '.') {
                        (void) snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
                        replay(inner, n);
                }
                free(entries[i]);
        }
        free(entries);
}

int main(int argc, char **argv) {
        const char *target = strrchr(argv[0], '-'), *srcdir = getenv("srcdir");
        char corpus[MAX_PATH];
        unsigned n = 0;

        for (int i = 1; i < argc; i++)
                replay(argv[i], &n);
        if (argc < 2 && target) {
                (void) snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
                                srcdir ? srcdir : ".", target + 1);
                replay(corpus, &n);
        }

        printf("1..%u\n", n);
        return n == 0;
}
