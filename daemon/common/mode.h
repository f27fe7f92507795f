/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_MODE_H
#define DAEMON_COMMON_MODE_H

/* What has to happen before the microphone is listened to. */
enum mode {
        MODE_PUSH, /* somebody calls Listen */
        MODE_OPEN, /* somebody speaks */
        MODE_WAKE, /* somebody speaks and says the wake phrase first */
};

/* Names as the configuration and the interface have them, and back; -EINVAL for another word. */
const char *mode_name(enum mode mode);
int mode_from_name(const char *name, enum mode *ret);

#endif
