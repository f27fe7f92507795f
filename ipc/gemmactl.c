/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "ipc/completion.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"
#include "ipc/limits.h"
#include "picture/picture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* getopt's number for the long option in the first row: behind every character, so that it is told
 * apart from the letters, of which not every one may be typed. */
#define FIRST_LONG 0x110000

#define UNKNOWN_HINT "; words that begin with a dash go behind --; see gemmactl --help"

static enum ctl_exit print_completion(const struct ctl *c);

static const struct command {
        const char *name, *usage, *help;
        const char *options; /* those it takes besides the ones that all take */
        int max_arguments;
        enum ctl_exit (*run)(const struct ctl *c);
} commands[] = {
        /* clang-format off */
        { "ask", "ask [TEXT...]", "ask by text or sound; without either, line by line",
          "airtm", INT_MAX, ctl_ask },
        { "listen", "listen", "ask by speaking into the microphone", "HPR", 0, ctl_listen },
        { "status", "status", "what the daemon does and has", "f", 0, ctl_status },
        { "watch", "watch", "everything that happens, as it does", "", 0, ctl_watch },
        { "monitor", "monitor", "what happens, on one screen, with level and times", "", 0,
          ctl_monitor },
        { "history", "history", "past turns, newest first", "nb", 0, ctl_history },
        { "search", "search WORD...", "past turns in which all of these were said", "n", INT_MAX,
          ctl_search },
        { "show", "show ID", "one past turn", "", 1, ctl_show },
        { "stats", "stats", "how fast, how often, and what was not understood", "", 0, ctl_stats },
        { "forget", "forget [last|ID]", "delete past turns for good", "SAy", 1, ctl_forget },
        { "cancel", "cancel [ID]", "end the running turn, or turn ID", "", 1, ctl_cancel },
        { "trace", "trace [ID]", "where the time of the last turn went, or of turn ID",
          "V", 1, ctl_trace },
        { "help", "help", "what can be said, and what can be called", "", 0, ctl_help },
        { "tools", "tools", "what can be called, and who carries it out", "", 0, ctl_tools },
        { "call", "call NAME [KEY=VALUE...]", "have a tool carried out", "", INT_MAX, ctl_do },
        { "mute", "mute", "close the microphone and keep it closed", "", 0, ctl_mute },
        { "unmute", "unmute", "let the microphone be opened again", "", 0, ctl_unmute },
        { "mode", "mode [push|open|wake]", "tell what the microphone waits for, or change it", "", 1,
          ctl_mode },
        { "devices", "devices", "which microphones there are", "", 0, ctl_devices },
        { "meter", "meter", "how loud it is at the microphone", "", 0, ctl_meter },
        { "doctor", "doctor", "what keeps it from hearing, and what helps", "", 0,
          ctl_doctor },
        { "model", "model [VERB [NAME]]", "larger models: list, pull, verify, use, remove", "", 3,
          ctl_model },
        { "record", "record FOLDER", "sentences read aloud, to train a model with", "CW", 1, ctl_record },
        { "completion", "completion bash|zsh|fish", "a script that completes all this in that shell", "", 1,
          print_completion },
        /* clang-format on */
};

/* An option is known by its letter everywhere here but to getopt. */
static const struct option_row {
        char letter;
        bool is_short, is_for_all;
        const char *name, *argument, *help;
} option_rows[] = {
        /* clang-format off */
        { 'a', true,  false, "audio",      "FILE", "ask: the sound in this file, or on stdin (-)" },
        { 'i', true,  false, "image",      "FILE", "ask: a picture, or on stdin (-); up to 4 times" },
        { 'r', false, false, "realtime",   NULL,   "ask: take the sound in at its own speed" },
        { 't', false, false, "thinking",   NULL,   "ask: let the model think before it answers" },
        { 'm', false, false, "max-tokens", "N",    "ask: end the answer after N tokens" },
        { 'H', false, false, "hold",       NULL,   "listen: until Enter, however long you pause" },
        { 'P', false, false, "press",      NULL,   "listen: from now to --release; does not wait" },
        { 'R', false, false, "release",    NULL,   "listen: what was said since --press is all" },
        { 'f', true,  false, "follow",     NULL,   "status: a line for every change" },
        { 'V', false, false, "svg",        "FILE", "trace: draw it into this file" },
        { 'n', true,  false, "limit",      "N",    "history, search: at most N turns" },
        { 'b', false, false, "before",     "ID",   "history: only turns before this one" },
        { 'S', false, false, "since",      "SPAN", "forget: those of the last 90s, 30m, 2h, 7d" },
        { 'A', false, false, "all",        NULL,   "forget: all turns" },
        { 'y', true,  false, "yes",        NULL,   "forget --all: do not ask" },
        { 'C', false, false, "context",    "FILE", "record: the sentences, one a line" },
        { 'W', false, false, "recorder",   "COMMAND", "record: what records, raw at 16 kHz on stdout" },
        { 'j', true,  true,  "json",       NULL,   "one JSON object per line, as it was sent" },
        { 's', true,  true,  "socket",     "PATH", "where the daemon listens" },
        { 'h', true,  true,  "help",       NULL,   "this help; behind a command: what it takes" },
        { 'v', false, true,  "version",    NULL,   "the version" },
        /* clang-format on */
};

/* A shell completes what is in the tables. */
static enum ctl_exit print_completion(const struct ctl *c) {
        struct completed_command names[N(commands)];
        struct completed_option options[N(option_rows)];
        struct completion all = { names, N(commands), options, N(option_rows) };

        for (size_t i = 0; i < N(commands); i++)
                names[i] = (struct completed_command){ commands[i].name, commands[i].usage,
                                                       commands[i].help, commands[i].options };
        for (size_t i = 0; i < N(option_rows); i++) {
                const struct option_row *o = &option_rows[i];

                options[i] = (struct completed_option){ o->letter, o->is_short, o->is_for_all,
                                                        o->name,   o->argument, o->help };
        }
        if (c->n_arguments == 1 && completion_write(&all, c->arguments[0], stdout) == 0)
                return CTL_EXIT_OK;
        print_error("completion: of which shell? bash, zsh or fish");
        return CTL_EXIT_USAGE;
}

static void print_option(const struct option_row *o, const char *help) {
        char text[40], letter[] = { '-', o->letter, ',', ' ', 0 };

        (void) snprintf(text, sizeof(text), "%s--%s%s%s", o->is_short ? letter : "    ", o->name,
                        o->argument ? " " : "", o->argument ? o->argument : "");
        (void) printf("  %-24s %s\n", text, help);
}

static void print_help(void) {
        (void) puts("Usage: gemmactl [OPTION...] COMMAND [ARGUMENT...]\n"
                    "Talks to gemmad, the voice assistant of this session.\n"
                    "\nCommands:");
        for (size_t i = 0; i < N(commands); i++)
                (void) printf("  %-24s %s\n", commands[i].usage, commands[i].help);
        (void) puts("\nOptions:");
        for (size_t i = 0; i < N(option_rows); i++)
                print_option(&option_rows[i], option_rows[i].help);
        (void) puts("\nBehind -- nothing is an option: gemmactl ask -- what is -5 plus 3");
}

/* Of one command, with the options that it takes; what stands before a colon are commands. */
static void print_command_help(const struct command *command) {
        (void) printf("Usage: gemmactl %s\n%c%s.\n\nOptions:\n", command->usage,
                      toupper((unsigned char) command->help[0]), command->help + 1);
        for (size_t i = 0; i < N(option_rows); i++) {
                const struct option_row *o = &option_rows[i];
                const char *colon = o->is_for_all ? NULL : strstr(o->help, ": ");

                if (o->is_for_all || strchr(command->options, o->letter))
                        print_option(o, o->letter == 'h' ? "this help"
                                        : colon          ? colon + 2
                                                         : o->help);
        }
}

#define MAX_NAME 24

/* How many letters have to be changed, added, taken away or exchanged with their neighbour. */
static unsigned distance(const char *a, const char *b) {
        unsigned d[MAX_NAME + 1][MAX_NAME + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > MAX_NAME || m > MAX_NAME)
                return MAX_NAME;
        for (size_t i = 0; i <= n; i++)
                for (size_t k = 0; k <= m; k++) {
                        unsigned best = (unsigned) (i > k ? i : k);

                        if (i > 0 && k > 0) {
                                best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
                                best = d[i - 1][k] + 1 < best ? d[i - 1][k] + 1 : best;
                                best = d[i][k - 1] + 1 < best ? d[i][k - 1] + 1 : best;
                        }
                        if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                            d[i - 2][k - 2] + 1 < best)
                                best = d[i - 2][k - 2] + 1;
                        d[i][k] = best;
                }
        return d[n][m];
}

/* Whoever has mistyped a command is told which; NULL: none is near. */
static const char *nearest_command(const char *word) {
        unsigned least = strlen(word) < 5 ? 2 : 3;
        const char *nearest = NULL;

        for (size_t i = 0; i < N(commands); i++) {
                unsigned d = distance(word, commands[i].name);

                if (d >= least)
                        continue;
                least = d;
                nearest = commands[i].name;
        }
        return nearest;
}

static int
read_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *ret) {
        if (parse_u64(text, ret) >= 0 && *ret >= least && *ret <= most)
                return 0;
        print_error("%s: '%s' is not a number from %ju to %ju", option, text, (uintmax_t) least,
                    (uintmax_t) most);
        return -EINVAL;
}

/* What is meant by no unit, or by "ms", is not to be guessed where it decides what is deleted. */
static int read_since(const char *text, uint64_t *ret_ms) {
        const char *unit = text + strspn(text, "0123456789");

        if (strlen(unit) == 1 && parse_span_ms(text, ret_ms) >= 0)
                return 0;
        print_error("--since: '%s' is not a whole number and a unit: s, m (minutes), h or d, "
                    "such as 90s, 30m, 2h, 7d",
                    text);
        return -EINVAL;
}

static int read_option(struct ctl *c, int letter, const char *argument) {
        switch (letter) {
        case 'a':
                c->audio = argument;
                return 0;
        case 'V':
                c->svg = argument;
                return 0;
        case 'i':
                if (c->n_images == LIMIT_IMAGES) {
                        print_error("--image: at most %u pictures with one question", LIMIT_IMAGES);
                        return -EINVAL;
                }
                c->images[c->n_images++] = argument;
                return 0;
        case 'r':
                c->realtime = true;
                return 0;
        case 't':
                c->thinking = true;
                return 0;
        case 'm':
                c->has_max_tokens = true;
                return read_number("--max-tokens", argument, 1, LIMIT_TOKENS, &c->max_tokens);
        case 'H':
                c->hold = true;
                return 0;
        case 'P':
                c->press = true;
                return 0;
        case 'R':
                c->release = true;
                return 0;
        case 'f':
                c->follow = true;
                return 0;
        case 'n':
                c->has_limit = true;
                return read_number("--limit", argument, 0, LIMIT_TURNS, &c->limit);
        case 'b':
                c->before = ctl_turn_number(argument);
                return c->before > 0 ? 0 : -EINVAL;
        case 'S':
                c->has_since = true;
                return read_since(argument, &c->since_ms);
        case 'C':
                c->context = argument;
                return 0;
        case 'W':
                c->recorder = argument;
                return 0;
        case 'A':
                c->all = true;
                return 0;
        case 'y':
                c->yes = true;
                return 0;
        case 'h':
                c->wants_help = true;
                return 0;
        case 'j':
                c->as_json = true;
                return 0;
        case 's':
                c->socket = argument;
                if (argument[0])
                        return 0;
                print_error("--socket: the path is empty");
                return -EINVAL;
        }
        return -EINVAL;
}

/* What getopt says itself begins with whatever the program was called, and escapes nothing. */
static void say_wrong_option(int letter, const char *word) {
        if (letter == ':')
                print_error("%s needs an argument; see gemmactl --help", word);
        else if (optopt >= FIRST_LONG)
                print_error("--%s takes no argument; see gemmactl --help",
                            option_rows[optopt - FIRST_LONG].name);
        else if (optopt != 0)
                print_error("unknown option '-%c'" UNKNOWN_HINT, isascii(optopt) ? optopt : '?');
        else
                print_error("unknown or ambiguous option '%s'" UNKNOWN_HINT, word);
}

/* The tables that getopt wants, made from ours. */
static void make_getopt_tables(struct option *options, char *letters) {
        *letters++ = ':'; /* a missing argument is told apart */
        for (size_t i = 0; i < N(option_rows); i++) {
                const struct option_row *o = &option_rows[i];

                options[i] = (struct option){
                        .name = o->name,
                        .has_arg = o->argument ? required_argument : no_argument,
                        .val = FIRST_LONG + (int) i,
                };
                if (o->is_short)
                        *letters++ = o->letter;
                if (o->is_short && o->argument)
                        *letters++ = ':';
        }
        options[N(option_rows)] = (struct option){ 0 };
        *letters = 0;
}

/* Options may stand anywhere.  Negative: over, with -EINVAL for a mistake and -ECANCELED when help
 * or version was all that was wanted.  given collects the letters. */
static int read_options(struct ctl *c, int argc, char **argv, char given[static 256]) {
        struct option options[N(option_rows) + 1];
        char letters[2 * N(option_rows) + 2];
        int letter;

        make_getopt_tables(options, letters);
        opterr = 0;
        while ((letter = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
                if (letter == '?' || letter == ':') {
                        say_wrong_option(letter, argv[optind - 1]);
                        return -EINVAL;
                }
                if (letter >= FIRST_LONG)
                        letter = option_rows[letter - FIRST_LONG].letter;
                if (letter == 'v') {
                        (void) puts("gemmactl " GEMMAD_VERSION);
                        return -ECANCELED;
                }
                if (read_option(c, letter, optarg) < 0)
                        return -EINVAL;
                given[(unsigned char) letter] = 1;
        }
        c->arguments = argv + optind;
        c->n_arguments = argc - optind;
        return 0;
}

static const struct command *find_command(struct ctl *c) {
        const char *nearest;

        if (c->n_arguments == 0) {
                print_error("no command; see gemmactl --help");
                return NULL;
        }
        for (size_t i = 0; i < N(commands); i++) {
                if (strcmp(c->arguments[0], commands[i].name) != 0)
                        continue;
                c->arguments++;
                c->n_arguments--;
                return &commands[i];
        }
        nearest = nearest_command(c->arguments[0]);
        if (nearest)
                print_error("unknown command '%s'; did you mean '%s'? See gemmactl --help",
                            c->arguments[0], nearest);
        else
                print_error("unknown command '%s'; see gemmactl --help", c->arguments[0]);
        return NULL;
}

/* Everything that was given must mean something to the command. */
static bool fits_command(const struct ctl *c, const struct command *command, const char *given) {
        for (size_t i = 0; i < N(option_rows); i++) {
                const struct option_row *o = &option_rows[i];

                if (!given[(unsigned char) o->letter] || o->is_for_all ||
                    strchr(command->options, o->letter))
                        continue;
                print_error("%s does not take --%s", command->name, o->name);
                return false;
        }
        if (c->n_arguments > command->max_arguments) {
                print_error("%s does not take '%s'", command->name,
                            c->arguments[command->max_arguments]);
                return false;
        }
        if (c->realtime && !c->audio) {
                print_error("--realtime is for --audio");
                return false;
        }
        return true;
}

/* The caller frees it; NULL when out of memory. */
static char *default_socket(void) {
        const char *chosen = getenv("GEMMAD_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
        char *path;
        int n;

        if (chosen && chosen[0])
                return strdup(chosen);
        if (runtime && runtime[0])
                n = asprintf(&path, "%s/gemmad/io.gemmad.Assistant", runtime);
        else
                n = asprintf(&path, "/run/user/%u/gemmad/io.gemmad.Assistant", geteuid());
        return n < 0 ? NULL : path;
}

/* What could not be written was not done, whatever else went well. */
static enum ctl_exit end_output(enum ctl_exit e) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return e;

        print_error("cannot write: %s", strerror(errno));
        return e == CTL_EXIT_OK ? CTL_EXIT_FAILED : e;
}

/* As no-color.org and every terminal's own description have it. */
static bool wants_colour(void) {
        const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

        return !(no_colour && no_colour[0]) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv) {
        _cleanup_(freep) char *socket = default_socket();
        struct ctl c = { .socket = socket, .to_terminal = isatty(STDOUT_FILENO) };
        const struct command *command;
        char given[256] = { 0 };
        int r;

        picture_main(argc, argv);
        r = read_options(&c, argc, argv, given);
        if (r == -ECANCELED)
                return end_output(CTL_EXIT_OK);
        if (r < 0)
                return CTL_EXIT_USAGE;
        if (c.wants_help && c.n_arguments == 0) {
                print_help();
                return end_output(CTL_EXIT_OK);
        }
        command = find_command(&c);
        if (command && c.wants_help) {
                print_command_help(command);
                return end_output(CTL_EXIT_OK);
        }
        if (!command || !fits_command(&c, command, given))
                return CTL_EXIT_USAGE;
        c.in_colour = c.to_terminal && !c.as_json && wants_colour();
        if (!c.socket) {
                print_error("out of memory");
                return CTL_EXIT_FAILED;
        }

        return end_output(command->run(&c));
}
