/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int log_max_level = LOG_INFO;
static bool log_to_journal;

/* systemd sets JOURNAL_STREAM to the device and inode of the journal's socket; standard error may
 * have been redirected since, so both are compared. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uintmax_t device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2)
                return false;
        if (fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == (dev_t) device && st.st_ino == (ino_t) inode;
}

void log_open(int max_level) {
        log_max_level = max_level;
        log_to_journal = stderr_is_journal();
}

/* Names of models and what was heard come from elsewhere: they may neither drive a terminal nor begin
 * a line of their own in the journal. */
static void disarm(char *line) {
        for (; *line; line++)
                if ((unsigned char) *line < 0x20 || *line == 0x7f)
                        *line = '?';
}

void log_say(int level, const char *format, ...) {
        char line[1024];
        va_list args;

        if (level > log_max_level)
                return;

        va_start(args, format);
        (void) vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        disarm(line);

        if (log_to_journal)
                (void) fprintf(stderr, "<%d>%s\n", level, line);
        else
                (void) fprintf(stderr, "%s: %s\n", program_invocation_short_name, line);
}
