/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_ASSISTANT_H
#define IPC_ASSISTANT_H

/* The description of io.gemmad.Assistant, as in ipc/io.gemmad.Assistant.varlink. */
const char *assistant_interface(void);

#endif
