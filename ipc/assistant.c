/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/assistant.h"

static const char text[] =
#include "ipc/assistant-interface.h" /* made from the .varlink file */
        ;

const char *assistant_interface(void) {
        return text;
}
