/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpointer makes of each 40 ms of a recording, as training/detector.py scores it.
 *
 *   find-speech [--first] <LIST      each line of LIST is the path of a recording
 *
 * --first: its first stage alone.  Prints a line for each recording: a character for each frame, '1' where
 * an utterance is, with its beginning, '.' elsewhere; then, after a tab, what the second stage makes of
 * each frame at its second look, in percent, with commas between. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/endpoint.h"
#include "audio/source.h"

#define MAX_FRAMES 250000

static char found[MAX_FRAMES + 1];
static unsigned char percent[MAX_FRAMES];

static void note(const struct endpoint *e, enum endpoint_verdict v, size_t n) {
        bool is_speech = v == ENDPOINT_START || v == ENDPOINT_SPEECH;

        found[n] = is_speech ? '1' : '.';
        for (unsigned k = 1; v == ENDPOINT_START && k <= endpoint_onset(e) && k <= n; k++)
                found[n - k] = '1';
        for (unsigned k = 0; k <= ENDPOINT_LATE && k <= n; k++)
                percent[n - k] = (unsigned char) (100 * endpoint_probability(e, k) + 0.5f);
}

static int find(const char *path, bool is_unlearned, struct why *why) {
        const struct source_config config = { .input.bell_fd = -1 };
        struct endpoint_config times = ENDPOINT_DEFAULTS;
        struct endpoint *e = NULL;
        struct source *s = NULL;
        struct frame frame;
        size_t n = 0;
        int r, fd;

        times.is_unlearned = is_unlearned;
        r = endpoint_new(&e, &times);
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? because(why, -errno, "%s: %s", path, strerror(errno))
                   : source_open(&s, fd, &config, why);
        if (fd >= 0)
                (void) close(fd);
        while (r >= 0 && n < MAX_FRAMES && (r = source_read(s, &frame, why)) > 0) {
                note(e, endpoint_push(e, &frame), n);
                n++;
        }
        found[n] = '\0';
        (void) printf("%s\t", found);
        for (size_t i = 0; i < n; i++)
                (void) printf(i > 0 ? ",%u" : "%u", percent[i]);
        (void) putchar('\n');
        source_close(s);
        endpoint_free(e);
        return r;
}

int main(int argc, char **argv) {
        bool is_unlearned = argc == 2 && strcmp(argv[1], "--first") == 0;
        struct why why = { "" };
        char path[4096];
        int r = 0;

        if (argc > 2 || (argc == 2 && !is_unlearned)) {
                (void) fprintf(stderr, "Usage: find-speech [--first] <LIST\n");
                return 2;
        }
        while (r >= 0 && fgets(path, sizeof(path), stdin)) {
                path[strcspn(path, "\n")] = '\0';
                r = find(path, is_unlearned, &why);
        }
        if (r < 0)
                (void) fprintf(stderr, "find-speech: %s\n", why.text[0] ? why.text : strerror(-r));
        return r < 0;
}
