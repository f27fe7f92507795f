/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_FOLLOW_H
#define AUDIO_FOLLOW_H

#include <stddef.h>
#include <stdint.h>

/* Follows what becomes of a sound server's microphone while it is open: whether it is still there, and
 * still the one that is meant; and what its loudspeakers play meanwhile.  The server tells of each change, so that this costs nothing in between;
 * it happens on a thread of its own.  Where PipeWire is the server, what records from a device that is
 * gone is given zeros, and nothing else would show that. */
struct follow;

enum follow_state {
        FOLLOW_SAME,
        FOLLOW_OTHER, /* another one is meant by now */
        FOLLOW_GONE,
};

/* device: as in struct capture_config, and copied; source: what was opened, see capture_source().  The
 * doorbell, which is not owned, is rung when the state changes.  0, -ENOMEM or -EIO. */
int follow_start(struct follow **ret, const char *device, const char *source, int wake_fd);
struct follow *follow_stop(struct follow *f);

enum follow_state follow_state(const struct follow *f);

/* What the server's loudspeakers have played since, for as many samples as there are; see
 * audio/reference.h. */
size_t follow_read_played(struct follow *f, float *samples, size_t n, uint64_t *ret_ns);

#endif
