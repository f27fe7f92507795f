/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"
#include "ipc/limits.h"

/* Beyond a week the date says more. */
#define RELATIVE_SECONDS (7 * 86400)

/* Somebody who looks wants to know how long ago it was; a program, when.  How long that is. */
static int print_time(const struct ctl *c, json_int_t usec) {
        time_t seconds = (time_t) (usec / 1000000), now = time(NULL);
        struct tm tm;
        char text[32];

        if (c->to_terminal && seconds <= now && now - seconds < RELATIVE_SECONDS)
                return print_span((double) (now - seconds)) + printf(" ago");
        if (!localtime_r(&seconds, &tm) || strftime(text, sizeof(text), c->to_terminal ? "%F %H:%M" : "%F %T", &tm) == 0)
                return 0;
        return printf("%s", text);
}

/* What was written so long begins a column, on a terminal: what follows stands under what followed in the line before. */
static void end_column(const struct ctl *c, int used, int width) {
        (void) printf("%*s", c->to_terminal && used < width ? width - used + 2 : 2, "");
}

static void print_label(const struct ctl *c, const char *label) {
        print_style(c, STYLE_FAINT);
        (void) printf("  %-10s", label);
        print_plain(c);
}

static void print_labelled(const struct ctl *c, const char *label, const char *text) {
        if (!text[0])
                return;
        print_label(c, label);
        print_indented(c, 12, text);
        (void) putchar('\n');
}

/* What was not understood went through without a fault, but it did not go well.  How long it is. */
static int print_outcome(const struct ctl *c, json_t *turn) {
        const char *outcome = field_string(turn, "outcome");
        bool is_answered = strcmp(outcome, "answered") == 0, is_good = is_answered && turn_has_answer(turn);

        if (is_answered && !is_good)
                outcome = turn_unanswered(turn);
        print_styled(c, is_good ? STYLE_GOOD : STYLE_BAD, outcome);
        return (int) strlen(outcome);
}

static void show_first_line(const struct ctl *c, json_t *turn) {
        const char *source = field_string(turn, "source");
        int n;

        print_style(c, STYLE_STRONG);
        n = printf("#%" JSON_INTEGER_FORMAT, field_int(turn, "id"));
        print_plain(c);
        end_column(c, n, 5);
        end_column(c, print_time(c, field_int(turn, "began")), 16);
        print_text(stdout, c->to_terminal, source);
        end_column(c, (int) strlen(source), 10);
        end_column(c, print_outcome(c, turn), 14);
        (void) printf("%*.0f ms\n", c->to_terminal ? 6 : 0, field_number(json_object_get(turn, "timings"), "done"));
}

static void show_turn(const struct ctl *c, json_t *turn) {
        json_t *call;
        size_t i;

        show_first_line(c, turn);
        print_labelled(c, "heard:", field_string(turn, "heard"));
        if (json_is_true(json_object_get(turn, "cut")))
                print_labelled(c, "cut:", "it was too long, only the beginning was heard");
        if (field_string(turn, "unanswered")[0] && turn_has_answer(turn))
                print_labelled(c, "but:", turn_unanswered(turn));
        print_labelled(c, "nearest:", field_string(turn, "hint"));
        json_array_foreach(json_object_get(turn, "calls"), i, call) {
                print_label(c, "call:");
                print_call(c, call);
                (void) putchar('\n');
        }
        print_labelled(c, "answered:", field_string(turn, "answered"));
        print_labelled(c, "error:", field_string(turn, "error"));
}

/* The turns of a reply, and how many. */
static size_t show_turns(const struct ctl *c, json_t *turns) {
        json_t *turn;
        size_t i;

        json_array_foreach(turns, i, turn) {
                if (c->as_json)
                        print_json(c, turn);
                else
                        show_turn(c, turn);
        }
        return json_array_size(turns);
}

enum ctl_exit ctl_history(const struct ctl *c) {
        json_t *parameters = json_object();
        struct varlink_reply reply;
        enum ctl_exit e;

        if (c->has_limit)
                json_object_set_new(parameters, "limit", json_integer((json_int_t) c->limit));
        if (c->before > 0)
                json_object_set_new(parameters, "before", json_integer(c->before));
        e = ctl_call(c, "io.gemmad.Assistant.History", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;

        (void) show_turns(c, json_object_get(reply.parameters, "turns"));
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

static unsigned count_words(const char *text) {
        static const char space[] = " \t\r\n\v\f";
        unsigned n = 0;

        for (text += strspn(text, space); *text; text += strspn(text, space)) {
                text += strcspn(text, space);
                n++;
        }
        return n;
}

static bool can_be_sought(const char *words) {
        unsigned n = count_words(words);

        if (n > 0 && n <= LIMIT_WORDS && strlen(words) <= LIMIT_WORDS_SIZE)
                return true;
        if (n == 0)
                print_error("search for which words?");
        else
                print_error("search takes at most %d words in %d bytes", LIMIT_WORDS,
                            LIMIT_WORDS_SIZE);
        return false;
}

enum ctl_exit ctl_search(const struct ctl *c) {
        _cleanup_(freep) char *words = ctl_join_arguments(c);
        json_t *parameters, *string;
        struct varlink_reply reply;
        enum ctl_exit e;
        size_t n;

        if (words && !can_be_sought(words))
                return CTL_EXIT_USAGE;
        string = words ? json_string(words) : NULL;
        if (!string) {
                print_error("the words are not UTF-8");
                return CTL_EXIT_BAD_INPUT;
        }
        parameters = json_pack("{s:o}", "words", string);
        if (c->has_limit)
                json_object_set_new(parameters, "limit", json_integer((json_int_t) c->limit));
        e = ctl_call(c, "io.gemmad.Assistant.Search", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;

        n = show_turns(c, json_object_get(reply.parameters, "turns"));
        varlink_reply_done(&reply);
        if (n == 0 && !(c->has_limit && c->limit == 0))
                print_error("no turn has all of these words");
        return n > 0 ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}

enum ctl_exit ctl_show(const struct ctl *c) {
        struct varlink_reply reply;
        enum ctl_exit e;
        json_int_t id;

        if (c->n_arguments == 0) {
                print_error("show which turn?");
                return CTL_EXIT_USAGE;
        }
        id = ctl_turn_number(c->arguments[0]);
        if (id == 0)
                return CTL_EXIT_USAGE;
        e = ctl_call(c, "io.gemmad.Assistant.Show", json_pack("{s:I}", "id", id), &reply);
        if (e != CTL_EXIT_OK)
                return e;

        if (c->as_json)
                print_json(c, json_object_get(reply.parameters, "turn"));
        else
                show_turn(c, json_object_get(reply.parameters, "turn"));
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

static json_int_t microseconds_ago(uint64_t ms) {
        struct timespec now;
        uint64_t now_us;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        now_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        return ms < now_us / 1000 ? (json_int_t) (now_us - ms * 1000) : 0;
}

/* What to forget, said in exactly one way.  NULL: it was not, which has been reported. */
static json_t *forget_parameters(const struct ctl *c) {
        const char *argument = c->n_arguments > 0 ? c->arguments[0] : NULL;
        json_int_t id;

        if ((argument != NULL) + c->has_since + c->all != 1) {
                print_error("forget what: last, the number of a turn, --since SPAN, or --all?");
                return NULL;
        }
        if (c->all)
                return json_pack("{s:b}", "all", 1);
        if (c->has_since)
                return json_pack("{s:I}", "since", microseconds_ago(c->since_ms));
        if (strcmp(argument, "last") == 0)
                return json_pack("{s:b}", "last", 1);
        id = ctl_turn_number(argument);
        return id > 0 ? json_pack("{s:I}", "id", id) : NULL;
}

/* Nothing brings it back.  A program that reads no question has to say --yes. */
static bool is_meant(const struct ctl *c) {
        char answer[16];

        if (!c->all || c->yes)
                return true;
        if (!isatty(STDIN_FILENO)) {
                print_error("forget --all deletes the whole history: say --yes as well");
                return false;
        }
        (void) fputs("Delete the whole history for good? [y/N] ", stderr);
        return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

enum ctl_exit ctl_forget(const struct ctl *c) {
        json_t *parameters = forget_parameters(c);
        struct varlink_reply reply;
        enum ctl_exit e;
        json_int_t n;

        if (!parameters)
                return CTL_EXIT_USAGE;
        if (!is_meant(c)) {
                json_decref(parameters);
                return isatty(STDIN_FILENO) ? CTL_EXIT_FAILED : CTL_EXIT_USAGE;
        }
        e = ctl_call(c, "io.gemmad.Assistant.Forget", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;

        n = field_int(reply.parameters, "forgotten");
        if (c->as_json)
                print_json(c, reply.parameters);
        else
                (void) printf("forgot %" JSON_INTEGER_FORMAT " turn%s\n", n, n == 1 ? "" : "s");
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}
