/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_DEVICE_H
#define DAEMON_HEAR_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/capture.h"
#include "base/cleanup.h"
#include "base/why.h"

/* Opens, closes and lists microphones on a thread of its own.  Each of the three takes as long as
 * the sound server likes, and for ever when it is frozen or when PortAudio loses its own thread, so
 * that whoever reads the sound may not do it.  One task at a time, hence PortAudio is never called
 * by two threads at once. */
struct device;

enum device_task {
        DEVICE_OPEN,
        DEVICE_CLOSE,
        DEVICE_LIST,
};

#define DEVICE_MAX_LISTED 32

struct device_result {
        enum device_task task;
        int r;                                           /* of open and list */
        struct why why;                                  /* when r is negative */
        struct capture *capture;                         /* of open: the caller's from now on */
        struct capture_device listed[DEVICE_MAX_LISTED]; /* r of them */
};

/* The config is copied except for its strings; its wake_fd is rung also when a task is done. */
int device_new(struct device **ret, const struct capture_config *config);

/* Main thread, after device_join(). */
struct device *device_free(struct device *d);
DEFINE_CLEANUP(struct device *, device_free)

int device_start(struct device *d);
bool device_join(struct device *d, uint64_t until_ns);

/* The functions below are for the one thread that uses the microphone. */

/* False: there is a task under way, or a result that was not taken.  A capture is taken over. */
bool device_begin(struct device *d, enum device_task task, struct capture *capture);

/* The result of the last task, once; NULL when there is none (yet). */
const struct device_result *device_take(struct device *d);

/* No more tasks.  What is open is closed, and then the thread ends; the capture (or NULL) is taken
 * over. */
void device_end(struct device *d, struct capture *capture);

#endif
