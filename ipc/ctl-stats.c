/* SPDX-License-Identifier: Apache-2.0 */
/* What the history says about how well one is served: how fast, how often, and what was not understood. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

#define MAX_TURNS   100000 /* the newest */
#define PAGE        500
#define MAX_PHRASES 500 /* that are told apart */
#define SHOWN       20

/* From the end of a question to the first word of its answer, in ms. */
struct waits {
        double *ms; /* owned, [n] */
        size_t n, room;
};

struct phrase {
        char *text; /* owned */
        char *hint; /* owned; NULL: there is none */
        unsigned n;
};

struct stats {
        struct waits typed, spoken;
        unsigned n_turns, n_commands, n_unanswered, n_failed, n_days;
        long last_day;
        struct phrase phrases[MAX_PHRASES];
        unsigned n_phrases;
};

static void stats_done(struct stats *s) {
        free(s->typed.ms);
        free(s->spoken.ms);
        for (unsigned i = 0; i < s->n_phrases; i++) {
                free(s->phrases[i].text);
                free(s->phrases[i].hint);
        }
}

static void add_wait(struct waits *w, double ms) {
        if (w->n == w->room) {
                size_t room = 2 * w->room + 64;
                double *grown = reallocarray(w->ms, room, sizeof(*grown));

                if (!grown)
                        return;
                w->ms = grown;
                w->room = room;
        }
        w->ms[w->n++] = ms;
}

static void add_phrase(struct stats *s, json_t *turn) {
        const char *text = field_string(turn, "heard"), *hint = field_string(turn, "hint");

        if (!text[0])
                return;
        for (unsigned i = 0; i < s->n_phrases; i++)
                if (strcasecmp(s->phrases[i].text, text) == 0) {
                        s->phrases[i].n++;
                        return;
                }
        if (s->n_phrases == MAX_PHRASES)
                return;
        s->phrases[s->n_phrases].text = strdup(text);
        s->phrases[s->n_phrases].hint = hint[0] ? strdup(hint) : NULL;
        s->phrases[s->n_phrases].n = 1;
        if (s->phrases[s->n_phrases].text)
                s->n_phrases++;
}

static void add_turn(struct stats *s, json_t *turn) {
        json_t *timings = json_object_get(turn, "timings");
        double first = field_number(timings, "first_token");
        bool is_typed = strcmp(field_string(turn, "source"), "text") == 0;
        long day = (long) (field_int(turn, "began") / 86400000000);

        s->n_turns++;
        s->n_days += s->n_turns == 1 || day != s->last_day;
        s->last_day = day;
        s->n_failed += strcmp(field_string(turn, "outcome"), "failed") == 0;
        s->n_commands += json_array_size(json_object_get(turn, "calls")) > 0;
        s->n_unanswered += field_string(turn, "unanswered")[0] != '\0';
        if (strcmp(field_string(turn, "unanswered"), "not_understood") == 0)
                add_phrase(s, turn);
        if (json_object_get(timings, "first_token"))
                add_wait(is_typed ? &s->typed : &s->spoken,
                         is_typed ? first : first - field_number(timings, "end_of_speech"));
}

/* Pages of the history, newest first, until there are no more. */
static enum ctl_exit read_turns(const struct ctl *c, struct stats *s) {
        json_int_t before = 0;

        while (s->n_turns < MAX_TURNS) {
                json_t *parameters = json_pack("{s:i}", "limit", PAGE), *turns;
                struct varlink_reply reply;
                enum ctl_exit e;
                size_t n;

                if (before > 0)
                        json_object_set_new(parameters, "before", json_integer(before));
                e = ctl_call(c, "io.gemmad.Assistant.History", parameters, &reply);
                if (e != CTL_EXIT_OK)
                        return e;
                turns = json_object_get(reply.parameters, "turns");
                n = json_array_size(turns);
                for (size_t i = 0; i < n; i++) {
                        add_turn(s, json_array_get(turns, i));
                        before = field_int(json_array_get(turns, i), "id");
                }
                varlink_reply_done(&reply);
                if (n == 0)
                        break;
        }
        return CTL_EXIT_OK;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

/* Of sorted times; the least of those that so many percent do not exceed. */
static double percentile(const struct waits *w, unsigned percent) {
        size_t rank = (w->n * percent + 99) / 100;

        return w->ms[rank > 0 ? rank - 1 : 0];
}

static void show_waits(const char *what, struct waits *w) {
        if (w->n == 0)
                return;
        qsort(w->ms, w->n, sizeof(*w->ms), compare);
        (void) printf("  %-8s %8.1f ms  half of them\n           %8.1f ms  90 %%\n"
                      "           %8.1f ms  99 %%\n",
                      what, percentile(w, 50), percentile(w, 90), percentile(w, 99));
}

static int compare_phrases(const void *a, const void *b) {
        const struct phrase *x = a, *y = b;

        return (x->n < y->n) - (x->n > y->n);
}

static void show_phrases(const struct ctl *c, struct stats *s) {
        qsort(s->phrases, s->n_phrases, sizeof(*s->phrases), compare_phrases);
        (void) puts("not understood, most often first (sentences that a context could have)");
        for (unsigned i = 0; i < s->n_phrases && i < SHOWN; i++) {
                const struct phrase *p = &s->phrases[i];

                (void) printf("  %4u  ", p->n);
                print_indented(c, 8, p->text);
                if (p->hint) {
                        (void) fputs("\n        near: ", stdout);
                        print_text(stdout, c->to_terminal, p->hint);
                }
                (void) putchar('\n');
        }
}

static json_t *waits_json(struct waits *w) {
        if (w->n == 0)
                return json_null();
        qsort(w->ms, w->n, sizeof(*w->ms), compare);
        return json_pack("{s:f, s:f, s:f}", "p50", percentile(w, 50), "p90", percentile(w, 90), "p99",
                         percentile(w, 99));
}

static json_t *stats_json(struct stats *s) {
        json_t *phrases = json_array();

        qsort(s->phrases, s->n_phrases, sizeof(*s->phrases), compare_phrases);
        for (unsigned i = 0; i < s->n_phrases; i++)
                json_array_append_new(phrases, json_pack("{s:s, s:i, s:s?}", "text", s->phrases[i].text,
                                                         "count", (int) s->phrases[i].n, "hint",
                                                         s->phrases[i].hint));
        return json_pack("{s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "turns", (int) s->n_turns, "days",
                         (int) s->n_days, "commands", (int) s->n_commands, "unanswered",
                         (int) s->n_unanswered, "failed", (int) s->n_failed, "typed",
                         waits_json(&s->typed), "spoken", waits_json(&s->spoken), "not_understood",
                         phrases);
}

enum ctl_exit ctl_stats(const struct ctl *c) {
        _cleanup_(stats_done) struct stats s = { 0 };
        enum ctl_exit e = read_turns(c, &s);

        if (e != CTL_EXIT_OK)
                return e;
        if (c->as_json) {
                _cleanup_(json_decrefp) json_t *json = stats_json(&s);

                print_json(c, json);
                return CTL_EXIT_OK;
        }
        (void) printf("%u turn%s on %u day%s: %u with a command (%.1f a day), %u without an answer, "
                      "%u failed\n",
                      s.n_turns, s.n_turns == 1 ? "" : "s", s.n_days, s.n_days == 1 ? "" : "s",
                      s.n_commands, s.n_days > 0 ? (double) s.n_commands / s.n_days : 0.0, s.n_unanswered, s.n_failed);
        if (s.typed.n + s.spoken.n > 0)
                (void) puts("from the end of the question to the answer");
        show_waits("typed", &s.typed);
        show_waits("spoken", &s.spoken);
        if (s.n_phrases > 0)
                show_phrases(c, &s);
        return CTL_EXIT_OK;
}
