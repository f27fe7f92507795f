/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "desktop/desktop.h"
#include "picture/picture.h"

static const char usage[] =
        "Usage: gemmad-desktop [OPTION]...\n"
        "Carries out what gemmad was asked for: timers, volume, media, programs.\n"
        "\n"
        "  --socket PATH   where gemmad listens\n"
        "  -v, --verbose   log more\n"
        "  --version       print the version and end\n"
        "  --help          print this and end\n"
        "\n"
        "See gemmad-desktop(8).\n";

#define EXIT_USAGE 2

enum choice { CHOICE_SOCKET = 256, CHOICE_VERSION, CHOICE_HELP };

struct arguments {
        struct desktop_setup setup;
        bool is_verbose, shows_version, shows_help;
};

/* False for what is no option; getopt has complained then. */
static bool read_option(struct arguments *a, int choice) {
        switch (choice) {
        case CHOICE_SOCKET:
                a->setup.socket_path = optarg;
                return true;
        case 'v':
                a->is_verbose = true;
                return true;
        case CHOICE_VERSION:
                a->shows_version = true;
                return true;
        case CHOICE_HELP:
                a->shows_help = true;
                return true;
        }
        return false;
}

static bool read_arguments(struct arguments *a, int argc, char **argv) {
        static const struct option options[] = {
                { "socket", required_argument, NULL, CHOICE_SOCKET },
                { "verbose", no_argument, NULL, 'v' },
                { "version", no_argument, NULL, CHOICE_VERSION },
                { "help", no_argument, NULL, CHOICE_HELP },
                {},
        };
        int choice;

        while ((choice = getopt_long(argc, argv, "v", options, NULL)) >= 0)
                if (!read_option(a, choice))
                        return false;
        if (optind < argc)
                (void) fprintf(stderr, "gemmad-desktop: unexpected argument '%s'\n", argv[optind]);
        return optind == argc;
}

/* The loop takes them from here. */
static void take_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigaddset(&set, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
        struct arguments a = {};

        picture_main(argc, argv);
        if (!read_arguments(&a, argc, argv)) {
                (void) fputs("See gemmad-desktop --help\n", stderr);
                return EXIT_USAGE;
        }
        if (a.shows_help) {
                (void) fputs(usage, stdout);
                return EXIT_SUCCESS;
        }
        if (a.shows_version) {
                (void) puts("gemmad-desktop " GEMMAD_VERSION);
                return EXIT_SUCCESS;
        }

        take_signals();
        (void) umask(077);
        log_open(a.is_verbose ? LOG_DEBUG : LOG_INFO);
        return desktop_run(&a.setup) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
