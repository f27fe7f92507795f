/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "base/why.h"

/* The promise that nothing goes to another machine, kept by the kernel also where no systemd unit
 * does it: from here on the process, all its threads and all that they start have no network, and
 * gain no privileges.  The only sockets that can be made are Unix sockets, for clients, the sound
 * server and D-Bus; all others fail with EAFNOSUPPORT.  Can not be taken back.
 *
 * 0; -ENOTSUP for a processor or kernel that this does not know, or what the kernel says; each with
 * a reason. */
int sandbox_enter(struct why *why);

#endif
