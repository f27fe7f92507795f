/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ctl-trace.h"

#include <string.h>

#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

#define BAR_WIDTH 40

/* The steps of a turn in their order, each with the time at which it is over.  One that did not
 * happen (a text has no first frame) has no time, and its share goes to the next. */
static const struct step {
        const char *timing, *label;
} steps[] = {
        { "first_frame", "until sound came" },
        { "end_of_speech", "listening" },
        { "prefilled", "reading the question" },
        { "first_token", "first token" },
        { "done", "answering" },
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))
_Static_assert(N_STEPS == TRACE_STEPS, "as many as the header tells");

size_t trace_steps(json_t *timings, struct svg_step ret[static TRACE_STEPS]) {
        double total = field_number(timings, "done"), from = 0;
        size_t n = 0;

        for (size_t i = 0; i < N_STEPS; i++) {
                double to;

                if (!json_is_number(json_object_get(timings, steps[i].timing)))
                        continue;
                /* Whatever the daemon says, a bar stays inside its frame. */
                to = field_number(timings, steps[i].timing);
                to = to < from ? from : to > total ? total : to;
                ret[n++] = (struct svg_step){ steps[i].label, from, to };
                from = to;
        }
        return n;
}

static void print_bar(double from, double to, double total) {
        int first = 0, last = 0;

        if (total > 0) {
                first = (int) (from / total * BAR_WIDTH);
                last = (int) (to / total * BAR_WIDTH + 0.5);
        }
        (void) putchar('|');
        for (int i = 0; i < BAR_WIDTH; i++)
                (void) putchar(i >= first && i < last ? '#' : ' ');
        (void) puts("|");
}

static void show_steps(json_t *timings) {
        double total = field_number(timings, "done");
        struct svg_step had[N_STEPS];
        size_t n = trace_steps(timings, had);

        for (size_t i = 0; i < n; i++) {
                (void) printf("  %-22s%10.1f ms  ", had[i].label, had[i].to - had[i].from);
                print_bar(had[i].from, had[i].to, total);
        }
        (void) printf("  %-22s%10.1f ms\n", "in all", total);
}

/* No words: a drawing is made to be shown around. */
static enum ctl_exit draw(const struct ctl *c, json_t *turn) {
        json_t *timings = json_object_get(turn, "timings");
        struct svg_step had[N_STEPS];
        char title[160], note[160] = "";
        struct svg_drawing drawing = {
                .title = title,
                .note = note,
                .steps = had,
                .n_steps = trace_steps(timings, had),
                .total = field_number(timings, "done"),
        };
        struct why why;

        (void) snprintf(title, sizeof(title), "gemmad, turn %" JSON_INTEGER_FORMAT ": %s, %.0f ms",
                        field_int(turn, "id"), field_string(turn, "source"), drawing.total);
        if (field_int(timings, "frames") > 0)
                (void) snprintf(note, sizeof(note), "%.1f s of sound, by %s",
                                field_number(timings, "audio") / 1000, field_string(turn, "model"));
        else
                (void) snprintf(note, sizeof(note), "by %s", field_string(turn, "model"));
        if (svg_write(c->svg, &drawing, &why) >= 0)
                return CTL_EXIT_OK;
        print_error("%s", why.text);
        return CTL_EXIT_FAILED;
}

double trace_speed(json_t *timings) {
        double answering = field_number(timings, "done") - field_number(timings, "first_token");
        json_int_t tokens = field_int(timings, "tokens");

        /* What was voted upon is told at once, which says nothing about a speed. */
        if (tokens < 2 || answering < 1)
                return 0;
        return (double) (tokens - 1) / answering * 1000;
}

/* What a user feels: from the end of what was asked to the first piece of the answer. */
static void show_wait(json_t *timings) {
        json_t *end = json_object_get(timings, "end_of_speech");

        if (!json_is_number(json_object_get(timings, "first_token")))
                return;
        (void) printf("The answer began %.1f ms after the %s.\n",
                      field_number(timings, "first_token") - json_number_value(end),
                      json_is_number(end) ? "end of speech" : "question");
}

/* What left this machine. */
static void show_remote(const struct ctl *c, json_t *turn) {
        json_t *remote = json_object_get(turn, "remote");
        const char *server = field_string(remote, "server"), *error = field_string(remote, "error");

        if (!remote)
                return;
        if (server[0]) {
                (void) printf("%" JSON_INTEGER_FORMAT " bytes went to ", field_int(remote, "sent"));
                print_text(stdout, c->to_terminal, server);
                (void) printf(" at %.1f ms, %" JSON_INTEGER_FORMAT " came back", field_number(remote, "asked"),
                              field_int(remote, "received"));
                if (json_is_number(json_object_get(remote, "first")))
                        (void) printf(", the first of the answer at %.1f ms", field_number(remote, "first"));
                (void) puts(".");
        }
        if (error[0]) {
                (void) fputs(server[0] ? "It was not answered there: " : "Nothing left this machine: ", stdout);
                print_text(stdout, c->to_terminal, error);
                (void) putchar('\n');
        }
}

static void show_trace(const struct ctl *c, json_t *turn) {
        json_t *timings = json_object_get(turn, "timings");
        double speed = trace_speed(timings);
        json_int_t tokens = field_int(timings, "tokens");

        (void) printf("turn %" JSON_INTEGER_FORMAT ", ", field_int(turn, "id"));
        print_text(stdout, c->to_terminal, field_string(turn, "source"));
        (void) fputs(", ", stdout);
        print_text(stdout, c->to_terminal, field_string(turn, "outcome"));
        (void) fputs(", by ", stdout);
        print_text(stdout, c->to_terminal, field_string(turn, "model"));
        (void) printf("\n%" JSON_INTEGER_FORMAT " positions read",
                      field_int(timings, "prompt_positions"));
        if (field_int(timings, "frames") > 0)
                (void) printf(", %" JSON_INTEGER_FORMAT
                              " frames of sound (%.1f s, at most %" JSON_INTEGER_FORMAT " waiting)",
                              field_int(timings, "frames"), field_number(timings, "audio") / 1000,
                              field_int(timings, "largest_backlog"));
        if (json_is_true(json_object_get(turn, "cut")))
                (void) fputs(", only the beginning heard", stdout);
        (void) printf(", %" JSON_INTEGER_FORMAT " tokens answered", tokens);
        if (speed > 0)
                (void) printf(" (%.1f a second)", speed);
        (void) puts("\n");
        show_steps(timings);
        (void) putchar('\n');
        show_wait(timings);
        show_remote(c, turn);
}

enum ctl_exit ctl_trace(const struct ctl *c) {
        json_t *parameters = json_pack("{s:i}", "limit", 1), *turn;
        struct varlink_reply reply;
        bool is_wanted;
        enum ctl_exit e;
        json_int_t id = 0;

        if (c->n_arguments > 0) {
                id = ctl_turn_number(c->arguments[0]);
                if (id == 0) {
                        json_decref(parameters);
                        return CTL_EXIT_USAGE;
                }
                json_object_set_new(parameters, "before", json_integer(id + 1));
        }
        e = ctl_call(c, "io.gemmad.Assistant.History", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;

        turn = json_array_get(json_object_get(reply.parameters, "turns"), 0);
        is_wanted = turn && (c->n_arguments == 0 || field_int(turn, "id") == id);
        if (!is_wanted)
                print_error(c->n_arguments > 0 ? "no turn has this number"
                                               : "there was no turn yet");
        else if (c->svg)
                e = draw(c, turn);
        else if (c->as_json)
                print_json(c, json_object_get(turn, "timings"));
        else
                show_trace(c, turn);
        varlink_reply_done(&reply);
        return is_wanted ? e : CTL_EXIT_FAILED;
}
