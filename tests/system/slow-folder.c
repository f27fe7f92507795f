/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a disk that takes its time: preloaded, it has whoever opens the folder GEMMAD_SLOW_FOLDER wait until there is
 * a file .awake in it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

DIR *opendir(const char *name) {
        const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
        const char *slow = getenv("GEMMAD_SLOW_FOLDER");
        DIR *(*real)(const char *name);
        char awake[PATH_MAX];

        *(void **) &real = dlsym(RTLD_NEXT, "opendir");
        if (slow && strcmp(name, slow) == 0 &&
            snprintf(awake, sizeof(awake), "%s/.awake", slow) < (int) sizeof(awake))
                while (access(awake, F_OK) < 0)
                        (void) nanosleep(&moment, NULL);
        return real(name);
}
