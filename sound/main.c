/* SPDX-License-Identifier: Apache-2.0 */
/* gemmad-sound: started by gemmad, with a socket as its standard input; see sound/wall.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sound/confine.h"
#include "sound/starter.h"

static const char usage[] =
        "Usage: gemmad-sound [--version | --help]\n"
        "Opens microphones and sound files for gemmad, which starts it and speaks to it through\n"
        "standard input; it is of no use by itself. See gemmad-sound(8).\n";

static bool is_started_by_gemmad(void) {
        int type = 0;
        socklen_t size = sizeof(type);

        return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
               type == SOCK_SEQPACKET;
}

int main(int argc, char **argv) {
        struct why why = {};

        (void) umask(077);
        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return puts("gemmad-sound " GEMMAD_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        log_open(LOG_WARNING);
        if (argc > 1 || !is_started_by_gemmad()) {
                (void) fputs(usage, stderr);
                return 2;
        }
        if (confine_starter(&why) < 0)
                log_warning("The sound can not be shut in wholly (%s), going on with what can be",
                            why.text);
        return starter_run(STDIN_FILENO) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
