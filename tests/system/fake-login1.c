/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/* The part of logind that a program meets which wants to know of sleep.  Every line on standard
 * input, "sleep" or "wake", is told as PrepareForSleep; locks are told on standard output: "taken
 * WHAT MODE" and, when their holder lets go of them, "released".  With the argument "refuse" none
 * are given.  Told to suspend, it says so there, and does not.  Ends with its standard input. */
#define PATH    "/org/freedesktop/login1"
#define MANAGER "org.freedesktop.login1.Manager"

struct login1 {
        sd_bus *bus;
        sd_event *loop;
        bool refuses;
};

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        (void) fprintf(stderr, "fake-login1: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

/* The other end of the lock's pipe was closed. */
static int on_released(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) userdata;
        (void) revents;
        (void) puts("released");
        (void) fflush(stdout);
        (void) close(fd);
        (void) sd_event_source_disable_unref(source);
        return 0;
}

static int on_inhibit(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct login1 *l = userdata;
        const char *what, *who, *why, *mode;
        sd_event_source *source;
        int pipe_fds[2], r;

        r = sd_bus_message_read(message, "ssss", &what, &who, &why, &mode);
        if (r < 0)
                return r;
        if (l->refuses)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "no locks here");
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;

        (void) printf("taken %s %s\n", what, mode);
        (void) fflush(stdout);
        r = sd_event_add_io(l->loop, &source, pipe_fds[0], 0, on_released, NULL);
        if (r >= 0)
                r = sd_bus_reply_method_return(message, "h", pipe_fds[1]);
        (void) close(pipe_fds[1]);
        return r;
}

static int on_suspend(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) userdata, (void) error;
        (void) puts("suspend");
        (void) fflush(stdout);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_line(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct login1 *l = userdata;
        char text[256], *save = NULL;
        ssize_t n;
        int r = 0;

        (void) source;
        (void) revents;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return sd_event_exit(l->loop, 0);
        text[n] = '\0';
        for (char *line = strtok_r(text, "\n", &save); line && r >= 0;
             line = strtok_r(NULL, "\n", &save))
                r = sd_bus_emit_signal(l->bus, PATH, MANAGER, "PrepareForSleep", "b",
                                       strcmp(line, "sleep") == 0);
        return r;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Suspend", "b", NULL, on_suspend, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("PrepareForSleep", "b", 0),
        SD_BUS_VTABLE_END,
};

int main(int argc, char **argv) {
        struct login1 l = { .refuses = argc > 1 && strcmp(argv[1], "refuse") == 0 };

        check(sd_event_new(&l.loop), "event loop");
        check(sd_bus_open_system(&l.bus), "bus");
        check(sd_bus_add_object_vtable(l.bus, NULL, PATH, MANAGER, vtable, &l), "object");
        check(sd_bus_request_name(l.bus, "org.freedesktop.login1", 0), "name");
        check(sd_bus_attach_event(l.bus, l.loop, 0), "event loop");
        check(sd_event_add_io(l.loop, NULL, STDIN_FILENO, EPOLLIN, on_line, &l), "standard input");
        (void) puts("ready");
        (void) fflush(stdout);
        check(sd_event_loop(l.loop), "event loop");
        sd_bus_flush_close_unref(l.bus);
        sd_event_unref(l.loop);
        return EXIT_SUCCESS;
}
