/* SPDX-License-Identifier: Apache-2.0 */
#include <editline/readline.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* How many lines the arrow keys find again.  They are in memory only: what is asked is kept by the
 * daemon's history, where it can be forgotten. */
#define PROMPT_LINES 100

/* One question; a Ctrl-C that ended it counts for it alone. */
static enum ctl_exit ask_line(const struct ctl *c, char *line) {
        struct ctl one = *c;
        enum ctl_exit e;
        sigset_t mask;

        one.arguments = &line;
        one.n_arguments = 1;
        (void) sigprocmask(SIG_SETMASK, NULL, &mask);
        e = ctl_ask(&one);
        (void) sigprocmask(SIG_SETMASK, &mask, NULL);
        return e;
}

static bool is_blank(const char *line) {
        return line[strspn(line, " \t")] == '\0';
}

/* What ends most other prompts ends this one, in capitals too. "stop" is for what rings. */
static bool is_end(const char *line) {
        size_t size;

        line += strspn(line, " \t");
        size = strcspn(line, " \t");
        return size == 4 && line[size + strspn(line + size, " \t")] == '\0' &&
               (strncasecmp(line, "exit", size) == 0 || strncasecmp(line, "quit", size) == 0);
}

enum ctl_exit ctl_prompt(const struct ctl *c) {
        enum ctl_exit e = CTL_EXIT_OK;

        (void) setlocale(LC_CTYPE, ""); /* so that letters beyond ASCII can be typed */
        rl_readline_name = (char *) "gemmactl";
        using_history();
        stifle_history(PROMPT_LINES);
        if (c->to_terminal)
                (void) puts("Type what you want. \"help\" tells what can be said; exit or Ctrl-D ends.");

        /* Without a daemon there is nobody to ask again. */
        while (e != CTL_EXIT_UNREACHABLE) {
                _cleanup_(freep) char *line = readline("> ");

                if (!line || is_end(line))
                        break;
                if (is_blank(line))
                        continue;
                (void) add_history(line);
                e = ask_line(c, line);
        }
        clear_history();
        if (e == CTL_EXIT_UNREACHABLE)
                return e;
        (void) putchar('\n');
        return CTL_EXIT_OK;
}
