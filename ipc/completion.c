/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/completion.h"

#include <errno.h>
#include <string.h>

#define WORDS_SIZE 128

static bool takes(const struct completed_command *c, const struct completed_option *o) {
        return o->is_for_all || strchr(c->options, o->letter);
}

static bool names_file(const struct completed_option *o) {
        return o->argument && (strcmp(o->argument, "FILE") == 0 || strcmp(o->argument, "PATH") == 0);
}

/* The fixed words that a command may be followed by, with spaces between them. */
static void fixed_words(const struct completed_command *c, char words[static WORDS_SIZE]) {
        const char *p = c->usage + strlen(c->name);
        size_t n = 0;

        while (*p && n + 2 < WORDS_SIZE) {
                size_t length = strspn(p, "abcdefghijklmnopqrstuvwxyz");

                if (length == 0) {
                        p++;
                        continue;
                }
                if (n + length + 2 >= WORDS_SIZE)
                        break;
                if (n > 0)
                        words[n++] = ' ';
                memcpy(words + n, p, length);
                n += length;
                p += length;
        }
        words[n] = 0;
}

/* A text inside of '...'; with also, those characters get a backslash. */
static void write_help(const char *help, const char *also, FILE *out) {
        for (; *help; help++) {
                if (*help == '\'')
                        (void) fputs("'\\'", out);
                else if (strchr(also, *help))
                        (void) fputc('\\', out);
                (void) fputc(*help, out);
        }
}

/* Of an option, "ask: the sound" without the commands that it is for, which are known by then. */
static const char *option_help(const struct completed_option *o) {
        const char *colon = o->is_for_all ? NULL : strstr(o->help, ": ");

        return colon ? colon + 2 : o->help;
}

static void write_bash_options(const struct completion *c,
                               const struct completed_command *command,
                               FILE *out) {
        for (size_t i = 0; i < c->n_options; i++) {
                if (command ? takes(command, &c->options[i]) : c->options[i].is_for_all)
                        (void) fprintf(out, " --%s", c->options[i].name);
        }
}

/* The patterns of the options with an argument that is a file, or is not. */
static void write_bash_arguments(const struct completion *c, bool is_file, FILE *out) {
        const char *bar = "";

        for (size_t i = 0; i < c->n_options; i++) {
                const struct completed_option *o = &c->options[i];

                if (!o->argument || names_file(o) != is_file)
                        continue;
                (void) fprintf(out, "%s--%s", bar, o->name);
                bar = " | ";
                if (o->is_short)
                        (void) fprintf(out, " | -%c", o->letter);
        }
}

static void write_bash(const struct completion *c, FILE *out) {
        (void) fputs("# bash completion of gemmactl, made by gemmactl completion bash\n"
                     "_gemmactl() {\n"
                     "        local cur=${COMP_WORDS[COMP_CWORD]} command= words= i\n"
                     "        COMPREPLY=()\n"
                     "        case ${COMP_WORDS[COMP_CWORD - 1]} in\n        ",
                     out);
        write_bash_arguments(c, true, out);
        (void) fputs(")\n"
                     "                compopt -o filenames 2>/dev/null\n"
                     "                mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                     "                return ;;\n        ",
                     out);
        write_bash_arguments(c, false, out);
        (void) fputs(") return ;;\n        esac\n"
                     "        for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "                case ${COMP_WORDS[i]} in\n                ",
                     out);
        for (size_t i = 0; i < c->n_commands; i++)
                (void) fprintf(out, "%s%s", i ? " | " : "", c->commands[i].name);
        (void) fputs(") command=${COMP_WORDS[i]}; break ;;\n"
                     "                esac\n        done\n        case $command in\n        '') words='",
                     out);
        for (size_t i = 0; i < c->n_commands; i++)
                (void) fprintf(out, "%s ", c->commands[i].name);
        write_bash_options(c, NULL, out);
        (void) fputs("' ;;\n", out);
        for (size_t i = 0; i < c->n_commands; i++) {
                char words[WORDS_SIZE];

                fixed_words(&c->commands[i], words);
                (void) fprintf(out, "        %s) words='%s", c->commands[i].name, words);
                write_bash_options(c, &c->commands[i], out);
                (void) fputs("' ;;\n", out);
        }
        (void) fputs("        esac\n"
                     "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                     "}\ncomplete -F _gemmactl gemmactl\n",
                     out);
}

static void write_zsh_option(const struct completed_option *o, FILE *out) {
        if (o->is_short)
                (void) fprintf(out, " '(-%c --%s)'{-%c,--%s}'", o->letter, o->name, o->letter, o->name);
        else
                (void) fprintf(out, " '--%s", o->name);
        (void) fputs("[", out);
        write_help(option_help(o), "[]:\\", out);
        (void) fputs("]", out);
        if (o->argument)
                (void) fprintf(out, ":%s:%s", o->argument, names_file(o) ? "_files" : " ");
        (void) fputs("'", out);
}

static void write_zsh(const struct completion *c, FILE *out) {
        (void) fputs("#compdef gemmactl\n"
                     "# zsh completion of gemmactl, made by gemmactl completion zsh\n"
                     "_gemmactl() {\n"
                     "        local curcontext=$curcontext state line\n"
                     "        local -a commands\n        commands=(\n",
                     out);
        for (size_t i = 0; i < c->n_commands; i++) {
                (void) fprintf(out, "                '%s:", c->commands[i].name);
                write_help(c->commands[i].help, ":\\", out);
                (void) fputs("'\n", out);
        }
        (void) fputs("        )\n        _arguments -C", out);
        for (size_t i = 0; i < c->n_options; i++)
                if (c->options[i].is_for_all)
                        write_zsh_option(&c->options[i], out);
        (void) fputs(" '1: :->command' '*:: :->rest'\n"
                     "        case $state in\n"
                     "        command) _describe command commands ;;\n"
                     "        rest)\n                case $words[1] in\n",
                     out);
        for (size_t i = 0; i < c->n_commands; i++) {
                char words[WORDS_SIZE];

                fixed_words(&c->commands[i], words);
                (void) fprintf(out, "                %s) _arguments", c->commands[i].name);
                for (size_t j = 0; j < c->n_options; j++)
                        if (takes(&c->commands[i], &c->options[j]))
                                write_zsh_option(&c->options[j], out);
                if (words[0])
                        (void) fprintf(out, " '1: :(%s)'", words);
                (void) fputs(" ;;\n", out);
        }
        (void) fputs("                esac ;;\n        esac\n}\n"
                     "if [[ $funcstack[1] = _gemmactl ]]; then _gemmactl \"$@\"; else compdef _gemmactl gemmactl; fi\n",
                     out);
}

static void write_fish_option(const struct completed_option *o, const char *command, FILE *out) {
        (void) fputs("complete -c gemmactl", out);
        if (command)
                (void) fprintf(out, " -n '__fish_seen_subcommand_from %s'", command);
        (void) fprintf(out, " -l %s", o->name);
        if (o->is_short)
                (void) fprintf(out, " -s %c", o->letter);
        if (o->argument)
                (void) fputs(names_file(o) ? " -r -F" : " -x", out);
        (void) fputs(" -d '", out);
        write_help(option_help(o), "\\", out);
        (void) fputs("'\n", out);
}

static void write_fish(const struct completion *c, FILE *out) {
        (void) fputs("# fish completion of gemmactl, made by gemmactl completion fish\n"
                     "complete -c gemmactl -f\n",
                     out);
        for (size_t i = 0; i < c->n_options; i++)
                if (c->options[i].is_for_all)
                        write_fish_option(&c->options[i], NULL, out);
        for (size_t i = 0; i < c->n_commands; i++) {
                const struct completed_command *command = &c->commands[i];
                char words[WORDS_SIZE];

                (void) fprintf(out, "complete -c gemmactl -n __fish_use_subcommand -a %s -d '",
                               command->name);
                write_help(command->help, "\\", out);
                (void) fputs("'\n", out);
                fixed_words(command, words);
                if (words[0])
                        (void) fprintf(out,
                                       "complete -c gemmactl -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                                       command->name, words);
                for (size_t j = 0; j < c->n_options; j++)
                        if (!c->options[j].is_for_all && takes(command, &c->options[j]))
                                write_fish_option(&c->options[j], command->name, out);
        }
}

int completion_write(const struct completion *c, const char *shell, FILE *out) {
        if (strcmp(shell, "bash") == 0)
                write_bash(c, out);
        else if (strcmp(shell, "zsh") == 0)
                write_zsh(c, out);
        else if (strcmp(shell, "fish") == 0)
                write_fish(c, out);
        else
                return -ENOENT;
        return 0;
}
