/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

static void print_value(const struct ctl *c, const char *key, json_t *value) {
        if (strcmp(key, "uptime") == 0)
                print_span(json_number_value(value));
        else if (strcmp(key, "memory") == 0)
                (void) printf("%.0f MiB", json_number_value(value) / (1 << 20));
        else if (json_is_string(value))
                print_text(stdout, c->to_terminal, json_string_value(value));
        else if (json_is_integer(value))
                (void) printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_boolean(value))
                (void) fputs(json_is_true(value) ? "yes" : "no", stdout);
        else if (json_is_number(value))
                (void) printf("%g", json_number_value(value));
}

/* What a user calls it; other keys are words already. */
static const char *label_of(const char *key) {
        static const char *const labels[][2] = {
                { "kernels", "instructions" },       { "positions", "context used" },
                { "max_positions", "context size" }, { "ignored_segments", "sounds ignored" },
                { "refused_frames", "sound lost" },  { "cut_turns", "questions cut" },
                { "queued", "waiting" },             { "dropped_clients", "clients dropped" },
                { "hears", "can hear" },             { "remote_server", "asked elsewhere" },
                { "remote_error", "not asked, because" },
                { "mode_reason", "mode chosen since" },
        };

        for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
                if (strcmp(key, labels[i][0]) == 0)
                        return labels[i][1];
        return key;
}

/* What the model that is built in is not, and how to get one that is. */
static void print_advice(const char *model) {
        char command[128];

        if (model && strcmp(model, "gemmad pocket") == 0 &&
            ctl_model_advice(command, sizeof(command))[0])
                (void) printf(" (built in, for commands; for a model that converses: %s)", command);
}

/* Whatever the daemon tells, in its order: nothing to add here when it tells more. */
static void show_status(const struct ctl *c, json_t *status) {
        const char *key;
        json_t *value;

        json_object_foreach(status, key, value) {
                size_t width;

                print_style(c, STYLE_FAINT);
                width = print_key(stdout, c->to_terminal, label_of(key));
                (void) putchar(':');
                print_plain(c);
                (void) printf("%*s", width < 18 ? 19 - (int) width : 1, "");
                print_value(c, key, value);
                if (strcmp(key, "model") == 0)
                        print_advice(json_string_value(value));
                (void) putchar('\n');
        }
        (void) fflush(stdout);
}

/* What changes while it runs, one line each time. */
static void show_status_line(const struct ctl *c, json_t *status) {
        print_text(stdout, c->to_terminal, field_string(status, "state"));
        (void) fputs("  mode ", stdout);
        print_text(stdout, c->to_terminal, field_string(status, "mode"));
        (void) fputs("  microphone ", stdout);
        print_text(stdout, c->to_terminal, field_string(status, "microphone"));
        if (json_is_true(json_object_get(status, "muted")))
                (void) fputs(" (muted)", stdout);
        (void) printf("  turns %" JSON_INTEGER_FORMAT "  queued %" JSON_INTEGER_FORMAT
                      "  clients %" JSON_INTEGER_FORMAT "  context %" JSON_INTEGER_FORMAT
                      "/%" JSON_INTEGER_FORMAT "\n",
                      field_int(status, "turns"), field_int(status, "queued"),
                      field_int(status, "clients"), field_int(status, "positions"),
                      field_int(status, "max_positions"));
        (void) fflush(stdout);
}

enum ctl_exit ctl_status(const struct ctl *c) {
        struct varlink_reply reply;
        enum ctl_exit e;

        if (c->follow)
                return ctl_follow(c, "io.gemmad.Assistant.Status", show_status_line);

        e = ctl_call(c, "io.gemmad.Assistant.Status", NULL, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        if (c->as_json)
                print_json(c, reply.parameters);
        else
                show_status(c, reply.parameters);
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

/* The text of a typed turn comes in no event before. */
static void show_watched_end(const struct ctl *c, json_t *turn) {
        const char *outcome = field_string(turn, "outcome"), *error = field_string(turn, "error");

        print_text(stdout, c->to_terminal, outcome);
        if (strcmp(outcome, "answered") == 0 && !turn_has_answer(turn))
                (void) printf(", but %s", turn_unanswered(turn));
        if (error[0]) {
                (void) fputs(": ", stdout);
                print_indented(c, 12, error);
        }
        if (strcmp(field_string(turn, "source"), "text") == 0) {
                (void) fputs("\n     typed: ", stdout);
                print_indented(c, 12, field_string(turn, "heard"));
        }
}

static void show_watched(const struct ctl *c, json_t *parameters) {
        json_t *event = json_object_get(parameters, "event");
        const char *kind = field_string(event, "kind");

        (void) printf("#%" JSON_INTEGER_FORMAT "  ", field_int(event, "id"));
        print_text(stdout, c->to_terminal, kind);
        if (strcmp(kind, "done") == 0) {
                (void) fputs(": ", stdout);
                show_watched_end(c, json_object_get(event, "turn"));
        } else if (strcmp(kind, "call") == 0) {
                (void) fputs(": ", stdout);
                print_call(c, json_object_get(event, "call"));
        } else if (field_string(event, "error")[0]) {
                (void) fputs(": not done: ", stdout);
                print_indented(c, 12, field_string(event, "error"));
        } else if (field_string(event, "text")[0]) {
                (void) fputs(": ", stdout);
                print_indented(c, 12, field_string(event, "text"));
        }
        (void) putchar('\n');
        (void) fflush(stdout);
}

enum ctl_exit ctl_watch(const struct ctl *c) {
        return ctl_follow(c, "io.gemmad.Assistant.Watch", show_watched);
}

enum ctl_exit ctl_cancel(const struct ctl *c) {
        json_t *parameters = json_object();
        struct varlink_reply reply;
        bool is_cancelled;
        enum ctl_exit e;

        if (c->n_arguments > 0) {
                json_int_t id = ctl_turn_number(c->arguments[0]);

                if (id == 0) {
                        json_decref(parameters);
                        return CTL_EXIT_USAGE;
                }
                json_object_set_new(parameters, "id", json_integer(id));
        }
        e = ctl_call(c, "io.gemmad.Assistant.Cancel", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;

        is_cancelled = json_is_true(json_object_get(reply.parameters, "cancelled"));
        if (c->as_json)
                print_json(c, reply.parameters);
        else
                (void) puts(is_cancelled ? "cancelled" : "nothing to cancel");
        varlink_reply_done(&reply);
        return is_cancelled ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}
