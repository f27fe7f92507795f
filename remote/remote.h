/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "remote/settings.h"

/* gemmad's way to servers of models: connects to gemmad as often as it takes, tells it which server is there, and
 * takes its questions, one at a time.  Runs in one thread until SIGTERM or SIGINT, which have to be blocked.  0
 * then, or -errno. */
int remote_run(const struct settings *settings, const char *socket_path);

#endif
