/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_HELD_DISK_H
#define TESTS_SIM_HELD_DISK_H

#include <pthread.h>
#include <stdbool.h>

#include "tests/sim/disk.h"

/* A disk that takes nothing as long as a test holds it. */
static pthread_mutex_t held_disk = PTHREAD_MUTEX_INITIALIZER;

static int before_disk(enum disk_use use) {
        if (use == DISK_WRITE) {
                (void) pthread_mutex_lock(&held_disk);
                (void) pthread_mutex_unlock(&held_disk);
        }
        return SQLITE_OK;
}

static void hold_disk(bool held) {
        if (held)
                (void) pthread_mutex_lock(&held_disk);
        else
                (void) pthread_mutex_unlock(&held_disk);
}

#endif
