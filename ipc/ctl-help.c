/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* What a call is about: the last word of its name. */
static const char *noun_of(json_t *group) {
        const char *name = field_string(group, "name"), *noun = strrchr(name, '_');

        return noun ? noun + 1 : name;
}

static bool is_about(json_t *group, const char *noun) {
        return strcmp(noun_of(group), noun) == 0;
}

/* The calls of one kind together, where the first of them stands. */
static void show_kind(const struct ctl *c, json_t *groups, size_t first) {
        const char *noun = noun_of(json_array_get(groups, first));
        json_t *group, *sentence;
        size_t i, k;

        for (i = 0; i < first; i++)
                if (is_about(json_array_get(groups, i), noun))
                        return;
        print_text(stdout, c->to_terminal, noun);
        (void) putchar('\n');
        json_array_foreach(groups, i, group) {
                if (!is_about(group, noun))
                        continue;
                json_array_foreach(json_object_get(group, "sentences"), k, sentence) {
                        (void) fputs("  ", stdout);
                        print_text(stdout, c->to_terminal, json_string_value(sentence));
                        (void) putchar('\n');
                }
        }
}

/* What is asked back or can not be done: sentences that are understood, but nothing to try. */
static bool is_worth_saying(json_t *group) {
        const char *name = field_string(group, "name");

        return strcmp(name, "ask") != 0 && strcmp(name, "cannot") != 0;
}

enum ctl_exit ctl_help(const struct ctl *c) {
        struct varlink_reply reply;
        json_t *groups;
        enum ctl_exit e;

        e = ctl_call(c, "io.gemmad.Assistant.Help", NULL, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        groups = json_object_get(reply.parameters, "groups");
        if (c->as_json)
                print_json(c, reply.parameters);
        else if (json_array_size(groups) == 0)
                (void) puts("Say or type what you like: this model answers freely.");
        for (size_t i = 0; !c->as_json && i < json_array_size(groups); i++)
                if (is_worth_saying(json_array_get(groups, i)))
                        show_kind(c, groups, i);
        varlink_reply_done(&reply);
        if (c->as_json)
                return CTL_EXIT_OK;
        (void) puts("\ntools (gemmactl call NAME KEY=VALUE...)");
        return ctl_show_calls(c);
}
