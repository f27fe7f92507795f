/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_CONFINE_H
#define REMOTE_CONFINE_H

#include "base/why.h"
#include "remote/settings.h"

/* What is left to the process that talks to servers, should one of them take it over: to compute, to talk to gemmad
 * through what it has, and to the network.
 *   - no capability and none to gain, no core file, no look into it by others of the user (the keys are in it);
 *   - of files (Landlock), it reads the system's and the certificates that the settings name, and writes to none: no
 *     history, no model, nothing else of the user's;
 *   - of the network, where the kernel can tell (Landlock, from Linux 6.7 on), it connects by TCP to the ports of the
 *     servers and of names, and listens nowhere;
 *   - of system calls (seccomp, a list of what is allowed), those that the libraries need: no program is run, no
 *     process made, no memory both written and run.
 * For a process of one thread; can not be taken back.  0, or a negative errno and a reason: some of it this
 * kernel can not do; the rest holds.  In a build with sanitizers only the files are out of reach. */
int confine(const struct settings *settings, struct why *why);

#endif
