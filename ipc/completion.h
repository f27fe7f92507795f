/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_COMPLETION_H
#define IPC_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Scripts that let a shell complete what is typed behind gemmactl, made of its own tables.  Pure
 * functions; all strings are borrowed. */

struct completed_command {
        const char *name;
        const char *usage; /* "mode [push|open|wake]": words of small letters between bars are offered */
        const char *help;
        const char *options; /* letters of those that not all take */
};

struct completed_option {
        char letter;
        bool is_short, is_for_all;
        const char *name;
        const char *argument; /* NULL, or what it is: "FILE" and "PATH" are completed as files */
        const char *help;
};

struct completion {
        const struct completed_command *commands;
        size_t n_commands;
        const struct completed_option *options;
        size_t n_options;
};

/* shell: "bash", "zsh" or "fish"; -ENOENT for any other. */
int completion_write(const struct completion *c, const char *shell, FILE *out);

#endif
