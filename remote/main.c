/* SPDX-License-Identifier: Apache-2.0 */
/* gemmad-remote: see remote/link.h.  Two processes: one that talks to servers, and its parent, which does nothing but
 * start another one should that be ended. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/paths.h"
#include "remote/confine.h"
#include "remote/remote.h"
#include "remote/settings.h"

static const char usage[] =
        "Usage: gemmad-remote [OPTION]...\n"
        "Asks a server what gemmad does not know itself, if gemmad's Engine is remote.\n"
        "\n"
        "  --config FILE   which servers, and with what; ~/.config/gemmad/remote.toml\n"
        "  --socket PATH   where gemmad listens\n"
        "  --check         see whether the file is understood, and end\n"
        "  -v, --verbose   log more\n"
        "  --version       print the version and end\n"
        "  --help          print this and end\n"
        "\n"
        "See gemmad-remote(8).\n";

#define EXIT_USAGE 2

/* Between the end of one process and the start of the next. */
#define RESTART_SECONDS 1

enum choice { CHOICE_CONFIG = 256, CHOICE_SOCKET, CHOICE_CHECK, CHOICE_VERSION, CHOICE_HELP };

struct arguments {
        const char *config, *socket;
        bool is_verbose, checks, shows_version, shows_help;
};

/* False for what is no option; getopt has complained then. */
static bool read_option(struct arguments *a, int choice) {
        switch (choice) {
        case CHOICE_CONFIG:
                a->config = optarg;
                return true;
        case CHOICE_SOCKET:
                a->socket = optarg;
                return true;
        case CHOICE_CHECK:
                a->checks = true;
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
                { "config", required_argument, NULL, CHOICE_CONFIG },
                { "socket", required_argument, NULL, CHOICE_SOCKET },
                { "check", no_argument, NULL, CHOICE_CHECK },
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
                (void) fprintf(stderr, "gemmad-remote: unexpected argument '%s'\n", argv[optind]);
        return optind == argc;
}

static int read_settings(struct settings **ret, const struct arguments *a, struct why *why) {
        char path[PATH_MAX];
        int r;

        if (a->config)
                return settings_read(ret, a->config, why);
        r = paths_config(path, sizeof(path), "remote.toml", why);
        return r < 0 ? r : settings_read(ret, path, why);
}

/* The process that has the keys, and the network. */
static int work(const struct arguments *a) {
        _cleanup_(settings_freep) struct settings *settings = NULL;
        char socket_path[PATH_MAX];
        struct why why = { 0 };
        int r = 0;

        if (!a->socket)
                r = paths_socket(socket_path, sizeof(socket_path), &why);
        if (r >= 0)
                r = read_settings(&settings, a, &why);
        if (r < 0) {
                log_error("%s", why.text);
                return EXIT_USAGE;
        }
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return EXIT_FAILURE;
        if (confine(settings, &why) < 0)
                log_warning("It can not be shut in wholly (%s), going on with what can be", why.text);
        r = remote_run(settings, a->socket ? a->socket : socket_path);
        curl_global_cleanup();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Waits for a signal that ends us, or that a child has ended. */
static int wait_for_signal(const sigset_t *signals, const struct timespec *timeout) {
        siginfo_t info;

        return sigtimedwait(signals, &info, timeout);
}

static bool is_end(int signal_number) {
        return signal_number == SIGTERM || signal_number == SIGINT;
}

/* One process from its start to its end.  Its status, or -1: it was ended because we are to end. */
static int run_once(const struct arguments *a, const sigset_t *signals) {
        pid_t parent = getpid(), pid = fork();
        bool is_ending = false;
        int status;

        if (pid < 0)
                return W_EXITCODE(EXIT_FAILURE, 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                exit(getppid() == parent ? work(a) : EXIT_FAILURE);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                if (!is_end(wait_for_signal(signals, NULL)))
                        continue;
                is_ending = true;
                (void) kill(pid, SIGTERM);
        }
        return is_ending ? -1 : status;
}

static int run(const struct arguments *a) {
        const struct timespec pause = { .tv_sec = RESTART_SECONDS };
        sigset_t signals;
        int status;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        for (;;) {
                status = run_once(a, &signals);
                if (status == -1)
                        return EXIT_SUCCESS;
                /* What is wrong with the configuration does not get better by trying. */
                if (WIFEXITED(status))
                        return WEXITSTATUS(status);
                log_warning("The process that asks was ended by signal %d, starting another one", WTERMSIG(status));
                if (is_end(wait_for_signal(&signals, &pause)))
                        return EXIT_SUCCESS;
        }
}

static int check(const struct arguments *a) {
        _cleanup_(settings_freep) struct settings *settings = NULL;
        struct why why = { 0 };

        if (read_settings(&settings, a, &why) < 0) {
                log_error("%s", why.text);
                return EXIT_FAILURE;
        }
        for (unsigned i = 0; i < settings->n_servers; i++)
                (void) printf("%s %s\n", settings->servers[i].url, settings->servers[i].model);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        const struct rlimit none = { 0, 0 };
        struct arguments a = {};

        (void) umask(077);
        (void) setrlimit(RLIMIT_CORE, &none);
        if (!read_arguments(&a, argc, argv)) {
                (void) fputs("See gemmad-remote --help\n", stderr);
                return EXIT_USAGE;
        }
        if (a.shows_help)
                return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (a.shows_version)
                return puts("gemmad-remote " GEMMAD_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        log_open(a.is_verbose ? LOG_DEBUG : LOG_INFO);
        return a.checks ? check(&a) : run(&a);
}
