/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RECORDING_H
#define TESTS_UNIT_RECORDING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/source.h"
#include "tests/tap.h"

/* Appends the frames of a recording of tests/speech to those in samples, [max][FRAME_SAMPLES], of
 * which n are there already.  Returns how many there are then. */
static inline size_t load_recording(const char *name, float *samples, size_t n, size_t max) {
        const struct source_config config = { .input.bell_fd = -1 };
        const char *folder = getenv("SOURCE_DIR") ? getenv("SOURCE_DIR") : ".";
        struct source *source;
        struct frame frame;
        struct why why = {};
        char path[512];
        int fd, r = -1;

        (void) snprintf(path, sizeof(path), "%s/tests/speech/%s", folder, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                r = source_open(&source, fd, &config, &why);
                (void) close(fd);
        }
        if (r < 0) {
                expect(!"the recording can be read");
                return n;
        }
        for (; n < max && source_read(source, &frame, &why) == 1; n++)
                memcpy(samples + n * FRAME_SAMPLES, frame.samples, sizeof(frame.samples));
        source_close(source);
        return n;
}

#endif
