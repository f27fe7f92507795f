/* SPDX-License-Identifier: Apache-2.0 */
/* What a text asks for beyond what can be done: later, for a while, again and again, not to one of them,
 * somewhere else.  Nobody is to believe that it was done so because the rest of it was. */
#include <string.h>

#include "base/wipe.h"
#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define MAX_TYPED 2048

/* What a call has to do with time. */
enum kind {
        KIND_LOOK,    /* nothing is changed by it */
        KIND_CLOCK,   /* it is about a time */
        KIND_AT_ONCE, /* it is done when it is called, and stays so */
};

static const char *const looks[] = { "help", "stop", "repeat", "yes", "no", "wake", "cannot" };
static const char *const clocks[] = { "set_timer", "set_alarm", "snooze", "add_to_timer", "ask" };

#define AGAIN     "Nothing is done again and again here; an alarm or a timer rings once."
#define NOT_LATER "I can only do that at once, not later and not for a while. I can set a timer or an alarm."
#define NO_CHANGE "I can not change a timer or an alarm; cancel it and set another one."
#define ALL       "I can not leave one of them out."
#define ONE_OF    "I can cancel the next one or all of them, and one that has a name by that, but none by its time."
#define HERE      "I only know this computer."
#define THIS_WEEK "An alarm can be for today, for tomorrow, or for a day of the coming week."

#define REPEATS                                                                                                  \
        "every|each|daily|weekly|monthly|yearly|hourly|nightly|everyday|weekday|weekdays|weekend|weekends|workday|"       \
        "workdays|work days|business days|school days|mondays|tuesdays|wednesdays|thursdays|fridays|saturdays|sundays|"   \
        "mornings|evenings|nights|repeating|repeated|repeatedly|recurring|twice|thrice|again and again|over and over"

/* Phrases that a sentence may not lack of what was typed. */
static const struct limit {
        const char *phrases; /* divided by bars */
        unsigned kinds;      /* of calls, as bits */
        const char *reply;
} limits[] = {
        /* clang-format off */
        { REPEATS, 1u << KIND_CLOCK | 1u << KIND_AT_ONCE, AGAIN },
        { "except|except for|all but|everything but|but not|other than|apart from|excluding",
          1u << KIND_CLOCK | 1u << KIND_AT_ONCE, ALL },
        { "move|reschedule|postpone|delay|earlier|push back|bring forward", 1u << KIND_CLOCK, NO_CHANGE },
        { "change my|change the", 1u << KIND_CLOCK, NO_CHANGE },
        { "next week|next month|next year|week|weeks|month|months|year|after tomorrow|january|february|march|april|"
          "june|july|august|september|october|november|december|christmas",
          1u << KIND_CLOCK, THIS_WEEK },
        { "when|whenever|if|unless|until|till|while|as soon as|later|tomorrow|tonight", 1u << KIND_AT_ONCE, NOT_LATER },
        { "kitchen|bedroom|bathroom|living room|livingroom|dining room|hallway|garage|basement|attic|upstairs|downstairs",
          1u << KIND_AT_ONCE, HERE },
        /* clang-format on */
};

static enum kind kind_of(const struct typed *t, const struct typed_command *command) {
        char name[TYPED_MAX_WORD];

        typed_call_name(t, command, name);
        if (strncmp(name, "get_", 4) == 0 || typed_is_one_of(name, looks, N(looks)))
                return KIND_LOOK;
        return typed_is_one_of(name, clocks, N(clocks)) ? KIND_CLOCK : KIND_AT_ONCE;
}

/* ---- words that no sentence has --------------------------------------------------------------- */

static bool write_typed(const struct wording *w, char out[static MAX_TYPED]) {
        size_t used = 0;

        for (unsigned i = 0; i < w->n_words; i++) {
                size_t n = strlen(w->words[i].typed);

                if (n + 2 > MAX_TYPED - used)
                        return false;
                if (used > 0)
                        out[used++] = ' ';
                memcpy(out + used, w->words[i].typed, n);
                used += n;
        }
        out[used] = '\0';
        return true;
}

/* Whether one of the phrases stands in what was typed and in none of the sentences. */
static bool is_lost(const char *phrases, const char *typed, const char *sentences) {
        char phrase[TYPED_MAX_WORD];

        while (*phrases) {
                size_t n = strcspn(phrases, "|");

                if (n < sizeof(phrase)) {
                        memcpy(phrase, phrases, n);
                        phrase[n] = '\0';
                        if (typed_stands_in(phrase, typed) && !typed_stands_in(phrase, sentences))
                                return true;
                }
                phrases += n + (phrases[n] == '|');
        }
        return false;
}

static bool ends_with_one_of(const char *typed, const char *phrases) {
        const size_t size = strlen(typed);

        while (*phrases) {
                size_t n = strcspn(phrases, "|");

                if (size > n && typed[size - n - 1] == ' ' && memcmp(typed + size - n, phrases, n) == 0)
                        return true;
                phrases += n + (phrases[n] == '|');
        }
        return false;
}

/* Any words can be a name, but not often does one end so. */
static const char *find_limit_of_name(const char *typed) {
        if (ends_with_one_of(typed, REPEATS "|every day|every morning|every evening|every hour"))
                return AGAIN;
        return ends_with_one_of(typed, "in the kitchen|in the bedroom|in the bathroom|in the living room|upstairs|downstairs")
                       ? HERE
                       : NULL;
}

/* "Monday to friday" */
static bool loses_days(const char *typed, const char *sentences) {
        static const char *const days[] = { "monday", "tuesday",  "wednesday", "thursday",
                                            "friday", "saturday", "sunday" };
        unsigned n_typed = 0, n_said = 0;

        for (size_t i = 0; i < N(days); i++) {
                n_typed += typed_stands_in(days[i], typed);
                n_said += typed_stands_in(days[i], sentences);
        }
        return n_typed > 1 && n_said < n_typed;
}

static const char *find_limit(const char *typed, const char *sentences, unsigned kinds) {
        for (size_t i = 0; i < N(limits); i++)
                if ((limits[i].kinds & kinds) && is_lost(limits[i].phrases, typed, sentences))
                        return limits[i].reply;
        return (kinds & 1u << KIND_CLOCK) && loses_days(typed, sentences) ? AGAIN : NULL;
}

const char *typed_beyond(const struct typed *t,
                         const struct wording *w,
                         const struct typed_command *commands,
                         unsigned n_commands) {
        char typed[MAX_TYPED], sentences[TYPED_MAX_COMMANDS * TYPED_MAX_SENTENCE];
        const char *reply = NULL;
        unsigned kinds = 0;
        size_t used = 0;

        for (unsigned i = 0; i < n_commands; i++) {
                kinds |= 1u << kind_of(t, &commands[i]);
                if (used > 0)
                        sentences[used++] = ' ';
                used += typed_sentence(t, commands[i].tokens, commands[i].n_tokens, sentences + used,
                                       TYPED_MAX_SENTENCE - 1);
        }
        sentences[used] = '\0';
        if (write_typed(w, typed))
                reply = n_commands > 0 ? find_limit(typed, sentences, kinds) : find_limit_of_name(typed);
        if (!reply && n_commands == 0)
                reply = typed_postpones(t, w);
        wipe(typed, sizeof(typed));
        wipe(sentences, sizeof(sentences));
        return reply;
}

/* ---- a command and when it is to be done ------------------------------------------------------ */

/* How else a command may stand there. */
static const struct typed_slack slacks[] = { { 0 }, { .n_idle = 4 }, { .n_idle = 4, .n_small = 2 } };

#define TIMES (1u << CONTRAST_UNIT | 1u << CONTRAST_DAYTIME | 1u << CONTRAST_DAY)

/* Whether these words say when, how long or how often. */
static bool is_clause(const struct typed_text *text, unsigned begin, unsigned end) {
        static const char *const conditions[] = { "when", "whenever", "if", "unless", "until", "till", "after",
                                                  "before", "once", "as", "while", "every", "each" };
        static const char *const moments[] = { "later", "tomorrow", "tonight", "afterwards" };
        static const char *const places[] = { "in", "on", "from", "by", "within", "this", "next" };
        static const char *const often[] = { "weekdays", "weekends", "workdays", "mondays",   "tuesdays", "wednesdays",
                                             "thursdays", "fridays",  "saturdays", "sundays", "days" };
        const char *first = text->wording->words[begin].typed;
        unsigned kinds = typed_kinds_in(text, begin, end);

        if (typed_is_one_of(first, moments, N(moments)))
                return true;
        if (end - begin < 2)
                return false;
        if (typed_is_one_of(first, conditions, N(conditions)))
                return true;
        if (strcmp(first, "at") == 0 || strcmp(first, "for") == 0)
                return (kinds & (TIMES | 1u << CONTRAST_NUMBER)) != 0;
        if (!typed_is_one_of(first, places, N(places)))
                return false;
        return (kinds & TIMES) != 0 || typed_is_one_of(text->wording->words[end - 1].typed, often, N(often));
}

/* What changes nothing may be asked of another time, and is not lost by being done now, unless it is to be done
 * in so many minutes.  NULL: it is not put off. */
static const char *put_off(const struct typed_text *text,
                           const struct typed_command *command,
                           unsigned begin,
                           unsigned end) {
        const char *first = text->wording->words[begin].typed;
        char name[TYPED_MAX_WORD];

        typed_call_name(text->typed, command, name);
        switch (kind_of(text->typed, command)) {
        case KIND_CLOCK:
                return typed_beyond(text->typed, text->wording, command, 1);
        case KIND_LOOK:
                if (strcmp(first, "in") != 0 || strcmp(name, "get_date") == 0 ||
                    !(typed_kinds_in(text, begin, end) & 1u << CONTRAST_UNIT))
                        return NULL;
                break;
        case KIND_AT_ONCE:
                if (strncmp(name, "cancel_", 7) == 0 && strcmp(first, "in") != 0)
                        return ONE_OF;
                /* "The next song after this one" is only that. */
                if (strcmp(first, "after") == 0 && typed_passes(text->typed, command, "next"))
                        return NULL;
                break;
        }
        return NOT_LATER;
}

static bool is_sentence(struct typed_text *text, unsigned begin, unsigned end, struct typed_command *ret) {
        unsigned order[WORDING_MAX_WORDS], n = 0;

        for (unsigned i = begin; i < end; i++)
                order[n++] = i;
        for (size_t i = 0; i < N(slacks); i++) {
                text->slack = slacks[i];
                if (typed_sentence_in(text, order, n, ret))
                        return true;
        }
        return false;
}

/* The words from begin to end are a command, and those from other on say when. */
static const char *put_off_by(struct typed_text *text,
                              unsigned begin,
                              unsigned end,
                              unsigned clause,
                              unsigned clause_end) {
        struct typed_command command;

        if (!is_clause(text, clause, clause_end) || !is_sentence(text, begin, end, &command))
                return NULL;
        return put_off(text, &command, clause, clause_end);
}

const char *typed_postpones(const struct typed *t, const struct wording *w) {
        struct typed_text text = { t, w, { 0 } };
        const unsigned n = w->n_words;
        const char *reply = NULL;

        for (unsigned cut = 1; !reply && cut < n; cut++) {
                reply = put_off_by(&text, 0, cut, cut, n);
                if (!reply)
                        reply = put_off_by(&text, cut, n, 0, cut);
        }
        return reply;
}
