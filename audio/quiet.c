/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/quiet.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How lines begin that nobody has to read: of PortAudio's checks, and of libpulse and JACK's
 * library, which would keep things for themselves where they may not write and do not need to. */
static const char *const complaints[] = {
        "Expression '",
        "Failed to load cookie file from ",
        "Failed to create secure directory (",
        "/dev/shm/jack_",
};

static void
ignore_alsa(const char *file, int line, const char *function, int error, const char *f, ...) {
        (void) file;
        (void) line;
        (void) function;
        (void) error;
        (void) f;
}

static void ignore_jack(const char *message) {
        (void) message;
}

/* ALSA and JACK have a hook each.  They are looked up by name, because we neither link these
 * libraries nor know whether this PortAudio has them. */
static void hook_libraries(void) {
        void (*set_alsa)(void (*)(const char *, int, const char *, int, const char *, ...));
        void (*set_jack)(void (*)(const char *));

        *(void **) &set_alsa = dlsym(RTLD_DEFAULT, "snd_lib_error_set_handler");
        if (set_alsa)
                set_alsa(ignore_alsa);

        *(void **) &set_jack = dlsym(RTLD_DEFAULT, "jack_set_error_function");
        if (set_jack)
                set_jack(ignore_jack);
        *(void **) &set_jack = dlsym(RTLD_DEFAULT, "jack_set_info_function");
        if (set_jack)
                set_jack(ignore_jack);
}

static bool is_complaint(const char *text, size_t size) {
        for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++) {
                size_t n = strlen(complaints[i]);

                if (size >= n && memcmp(text, complaints[i], n) == 0)
                        return true;
        }
        return false;
}

/* Drops such lines; everything else goes where standard error goes.  PortAudio's thread that
 * spins on a vanished device can be cancelled only where it writes, and Pa_AbortStream() waits for
 * that: without a cancellation point in the place of write(2) it would wait for ever. */
static ssize_t write_filtered(void *cookie, const char *text, size_t size) {
        ssize_t n;

        (void) cookie;
        if (!is_complaint(text, size)) {
                n = write(STDERR_FILENO, text, size);
                return n < 0 ? 0 : n; /* stdio wants 0 for a failure here */
        }

        pthread_testcancel();
        return (ssize_t) size;
}

/* PortAudio has no hook and writes through stdio, so stdio's stream is replaced by one that knows
 * its lines: in glibc `stderr` is a variable for this very purpose. */
static void filter_stderr(void) {
        cookie_io_functions_t io = { .write = write_filtered };
        FILE *filtered = fopencookie(NULL, "w", io);

        if (!filtered)
                return;
        (void) setvbuf(filtered, NULL, _IOLBF, BUFSIZ);
        stderr = filtered;
}

static void quiet_once(void) {
        hook_libraries();
        filter_stderr();
}

void quiet_libraries(void) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        (void) pthread_once(&once, quiet_once);
}
