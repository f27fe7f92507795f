/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
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
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/privileges.h"
#include "daemon/common/config.h"
#include "daemon/confinement.h"
#include "daemon/daemon.h"
#include "daemon/hear/starter.h"
#include "daemon/sandbox.h"
#include "model/engine.h"
#include "model/gguf.h"

static const char usage[] =
        "Usage: gemmad [OPTION]...\n"
        "The voice assistant of this desktop session: speech or text in, an answer out.\n"
        "\n"
        "  --config FILE      read this configuration file and no other\n"
        "  --socket PATH      listen there\n"
        "  --model FILE       the model, in GGUF; without it the one that is built in\n"
        "  --projector FILE   what makes it hear, when that is a file of its own\n"
        "  --drafter FILE     what guesses how it goes on, to make it faster\n"
        "  --threads N        threads for the model, 0: one per core\n"
        "  --check            see whether --model, --projector and --drafter can be loaded, and end\n"
        "  --show-config      print the configuration in effect and end\n"
        "  --show-confinement print what the kernel keeps it from, and end\n"
        "  -v, --verbose      log more, also what was said\n"
        "  --version          print the version and end\n"
        "  --help             print this and end\n"
        "\n"
        "See gemmad(8) and gemmad.conf(5).\n";

#define EXIT_USAGE 2

enum choice {
        CHOICE_VERBOSE = 'v',
        CHOICE_CONFIG = 256,
        CHOICE_SOCKET,
        CHOICE_MODEL,
        CHOICE_PROJECTOR,
        CHOICE_DRAFTER,
        CHOICE_THREADS,
        CHOICE_CHECK,
        CHOICE_SHOW_CONFIG,
        CHOICE_SHOW_CONFINEMENT,
        CHOICE_VERSION,
        CHOICE_HELP,
};

/* What is said on the command line about the configuration, to be set after the files. */
struct setting {
        const char *section, *key, *value;
};

struct arguments {
        const char *config_file;
        struct setting settings[8];
        unsigned n_settings;
        char **argv; /* as it was started */
        bool is_verbose, checks, shows_config, shows_confinement, shows_version, shows_help;
};

/* The last of several wins, as in the files. */
static void add_setting(struct arguments *a, const char *section, const char *key) {
        for (unsigned i = 0; i < a->n_settings; i++)
                if (strcmp(a->settings[i].key, key) == 0 &&
                    strcmp(a->settings[i].section, section) == 0) {
                        a->settings[i].value = optarg;
                        return;
                }
        a->settings[a->n_settings++] = (struct setting){ section, key, optarg };
}

/* One option.  False for one that there is not. */
static bool read_option(struct arguments *a, int choice) {
        switch (choice) {
        case CHOICE_VERBOSE:
                a->is_verbose = true;
                return true;
        case CHOICE_CONFIG:
                a->config_file = optarg;
                return true;
        case CHOICE_SOCKET:
                add_setting(a, "Socket", "Path");
                return true;
        case CHOICE_MODEL:
                add_setting(a, "Model", "Path");
                return true;
        case CHOICE_PROJECTOR:
                add_setting(a, "Model", "Projector");
                return true;
        case CHOICE_DRAFTER:
                add_setting(a, "Model", "Drafter");
                return true;
        case CHOICE_THREADS:
                add_setting(a, "Model", "Threads");
                return true;
        case CHOICE_CHECK:
                a->checks = true;
                return true;
        case CHOICE_SHOW_CONFIG:
                a->shows_config = true;
                return true;
        case CHOICE_SHOW_CONFINEMENT:
                a->shows_confinement = true;
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

/* What getopt says itself begins with whatever the program was called, and escapes nothing. */
static void say_wrong_option(int choice, const char *word) {
        if (choice == ':')
                log_error("%s needs an argument; see gemmad --help", word);
        else if (optopt == CHOICE_VERBOSE || optopt >= CHOICE_CONFIG)
                log_error("%s: this option takes no argument; see gemmad --help", word);
        else if (optopt != 0)
                log_error("unknown option '-%c'; see gemmad --help",
                          isascii(optopt) ? optopt : '?');
        else
                log_error("unknown or ambiguous option '%s'; see gemmad --help", word);
}

static int read_arguments(struct arguments *a, int argc, char **argv) {
        static const struct option options[] = {
                { "config", required_argument, NULL, CHOICE_CONFIG },
                { "socket", required_argument, NULL, CHOICE_SOCKET },
                { "model", required_argument, NULL, CHOICE_MODEL },
                { "projector", required_argument, NULL, CHOICE_PROJECTOR },
                { "drafter", required_argument, NULL, CHOICE_DRAFTER },
                { "threads", required_argument, NULL, CHOICE_THREADS },
                { "check", no_argument, NULL, CHOICE_CHECK },
                { "show-config", no_argument, NULL, CHOICE_SHOW_CONFIG },
                { "show-confinement", no_argument, NULL, CHOICE_SHOW_CONFINEMENT },
                { "verbose", no_argument, NULL, CHOICE_VERBOSE },
                { "version", no_argument, NULL, CHOICE_VERSION },
                { "help", no_argument, NULL, CHOICE_HELP },
                {},
        };
        int choice;

        opterr = 0;
        while ((choice = getopt_long(argc, argv, ":v", options, NULL)) >= 0)
                if (!read_option(a, choice)) {
                        say_wrong_option(choice, argv[optind - 1]);
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("unexpected argument '%s'; see gemmad --help", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

/* The files of the configuration; the later one wins. */
struct files {
        char paths[2][PATH_MAX];
        unsigned n;
        bool are_optional;
};

static int find_files(struct files *ret, const struct arguments *a, struct why *why) {
        const char *first =
                a->config_file ? a->config_file : GEMMAD_SYSCONFDIR "/gemmad/gemmad.conf";
        int r;

        ret->are_optional = !a->config_file;
        ret->n = 1;
        if (snprintf(ret->paths[0], PATH_MAX, "%s", first) >= PATH_MAX)
                return because(why, -ENAMETOOLONG, "%s: %s", first, strerror(ENAMETOOLONG));
        if (a->config_file)
                return 0;

        r = paths_config(ret->paths[1], PATH_MAX, "gemmad.conf", why);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        ret->n = 2;
        return 0;
}

static int read_files(struct config *config, const struct arguments *a, struct why *why) {
        struct files files;
        int r;

        r = find_files(&files, a, why);
        for (unsigned i = 0; r >= 0 && i < files.n; i++) {
                r = config_read_file(config, files.paths[i], why);
                if (r == -ENOENT && files.are_optional)
                        r = 0;
        }
        return r;
}

/* The configuration as a file, which says where it comes from. */
static int show_config(const struct config *config, const struct arguments *a, struct why *why) {
        struct files files;
        int r;

        r = find_files(&files, a, why);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < files.n; i++)
                (void) printf("# %s%s\n", files.paths[i],
                              access(files.paths[i], F_OK) == 0 ? "" : " (there is none)");
        for (unsigned i = 0; i < a->n_settings; i++)
                (void) printf("# command line: %s.%s\n", a->settings[i].section,
                              a->settings[i].key);
        (void) putchar('\n');
        config_write(config, stdout);
        return fflush(stdout) == 0 ? 0 : because(why, -EIO, "the configuration can not be written");
}

static int apply_settings(struct config *config, const struct arguments *a, struct why *why) {
        for (unsigned i = 0; i < a->n_settings; i++) {
                const struct setting *s = &a->settings[i];
                int r = config_set(config, s->section, s->key, s->value, why);

                if (r < 0)
                        return because_in(why, r, "command line");
        }
        return 0;
}

static int read_config(struct config *config, const struct arguments *a, struct why *why) {
        int r;

        r = read_files(config, a, why);
        if (r >= 0)
                r = apply_settings(config, a, why);
        return r < 0 ? r : config_check(config, why);
}

/* Runs on a thread that does not block the signal: hands it to the main thread, which does, and
 * whose loop reads it from there. */
static void pass_on(int signal_number) {
        int saved = errno;

        (void) tgkill(getpid(), getpid(), signal_number);
        errno = saved;
}

/* The model is read where it lies in its file: who shortens that takes its end away, and so does a disk that fails.
 * There is no going on, but a word. */
static void say_bus_error(int signal_number) {
        static const char said[] = "gemmad: a file that is in use, the model's for one, was cut short or can not be read "
                                   "any more; ending\n";

        (void) !write(STDERR_FILENO, said, sizeof(said) - 1);
        (void) signal(signal_number, SIG_DFL);
        (void) raise(signal_number);
}

/* All threads inherit what is blocked here, so that every signal goes to the loop; all but those
 * that a library has started before main() began (OpenBLAS does), for which there is a handler.  A
 * client that hangs up is an error of write(), not a signal. */
static void take_signals(void) {
        static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
        struct sigaction action = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                (void) sigaddset(&set, numbers[i]);
                (void) sigaction(numbers[i], &action, NULL);
        }
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGBUS, say_bus_error);
        /* Nobody asks how the processes of the sound have ended. */
        (void) signal(SIGCHLD, SIG_IGN);
}

static int new_config(struct config **ret, void *userdata, struct why *why) {
        _cleanup_(config_freep) struct config *config = NULL;
        int r;

        r = config_new(&config);
        if (r < 0)
                return because(why, r, "out of memory");
        r = read_config(config, userdata, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(config);
        return 0;
}

static const char *setting_of(const struct arguments *a, const char *key) {
        for (unsigned i = 0; i < a->n_settings; i++)
                if (strcmp(a->settings[i].key, key) == 0 &&
                    strcmp(a->settings[i].section, "Model") == 0)
                        return a->settings[i].value;
        return NULL;
}

/* A model as a whole; a projector or a drafter without one only as the file that it is. */
static int check_files(const struct arguments *a, struct why *why) {
        const char *drafter = setting_of(a, "Drafter"), *lone;
        struct engine_config config = {
                .model_path = setting_of(a, "Path"),
                .projector_path = setting_of(a, "Projector"),
                .n_threads = 1,
        };
        struct engine *engine;
        struct gguf *file;
        int r;

        lone = config.projector_path ? config.projector_path : drafter;
        if (!config.model_path && lone) {
                r = gguf_open(&file, lone, why);
                if (r >= 0)
                        (void) gguf_close(file);
                return r;
        }
        r = engine_open(&engine, &config, why);
        if (r < 0)
                return r;
        if (drafter)
                r = engine_add_drafter(engine, drafter, why);
        (void) engine_close(engine);
        return r;
}

/* The files of the configuration have no say in it. */
static int check_settings(const struct arguments *a, struct why *why) {
        _cleanup_(config_freep) struct config *config = NULL;
        int r = config_new(&config);

        return r < 0 ? r : apply_settings(config, a, why);
}

static int check(const struct arguments *a) {
        struct why why = {};
        int r;

        if (sandbox_enter(&why) < 0)
                log_warning("%s", why.text);
        r = check_settings(a, &why);
        if (r >= 0)
                r = check_files(a, &why);
        if (r < 0)
                log_error("%s", why.text);
        return r;
}

static int run(struct arguments *a) {
        _cleanup_(config_freep) struct config *config = NULL;
        _cleanup_(starter_freep) struct starter *starter = NULL;
        struct daemon_setup setup = {
                .version = GEMMAD_VERSION,
                .reread = new_config,
                .userdata = a,
        };
        struct why why = {};
        bool left;
        int r;

        r = new_config(&config, a, &why);
        if (r < 0) {
                log_error("%s", why.text);
                return r;
        }
        if (a->shows_config) {
                r = show_config(config, a, &why);
                if (r < 0)
                        log_error("%s", why.text);
                return r;
        }

        confinement_enter_files(config, a->config_file, a->argv);
        if (a->shows_confinement) {
                confinement_enter();
                confinement_show(stdout);
                return confinement_missing(&why);
        }
        if (starter_new(&starter, &why) < 0)
                log_error("No sound can be heard (%s), going on without", why.text);
        confinement_enter();
        if (config->require_confinement && confinement_missing(&why) < 0) {
                log_error("%s (RequireConfinement)", why.text);
                return -EPERM;
        }
        setup.config = config;
        setup.starter = starter;
        r = daemon_run(&setup, &left);
        if (left)
                _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        return r;
}

/* What was said is in memory: it stays in no core file, and no other program of the user reads it. */
static void keep_memory_private(void) {
        privileges_limit(RLIMIT_CORE, 0);
        (void) prctl(PR_SET_DUMPABLE, GEMMAD_DUMPABLE, 0, 0, 0);
}

int main(int argc, char **argv) {
        struct arguments a = { .argv = argv };

        take_signals();
        (void) umask(077);
        keep_memory_private();
        if (read_arguments(&a, argc, argv) < 0)
                return EXIT_USAGE;
        if (a.shows_help) {
                (void) fputs(usage, stdout);
                return EXIT_SUCCESS;
        }
        if (a.shows_version) {
                (void) puts("gemmad " GEMMAD_VERSION);
                return EXIT_SUCCESS;
        }

        /* In a terminal somebody else types: there a line per turn would be in the way. */
        log_open(a.is_verbose ? LOG_DEBUG : isatty(STDERR_FILENO) ? LOG_NOTICE : LOG_INFO);
        if (a.checks)
                return check(&a) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return run(&a) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
