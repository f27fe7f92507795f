/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* What gemmad takes. */
#define MAX_SENTENCE 4096
#define MAX_REASON   1024

struct call {
        unsigned n_refs;
        uint64_t id;
        char *name;        /* owned */
        json_t *arguments; /* owned reference */
        enum begun begun;
        bool sees;
        call_answered *answered; /* NULL: has been, or nobody waits */
        void *userdata;
        bool is_answered;
        sd_event_source *deadline; /* owned; NULL: none */
};

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        call_fail(userdata, "There was no answer in time.");
        return 0;
}

int call_new(struct call **ret, const struct call_config *config) {
        struct call *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->name = strdup(config->name);
        if (!c->name) {
                free(c);
                return -ENOMEM;
        }

        c->n_refs = 1;
        c->id = config->id;
        c->arguments = json_incref(config->arguments);
        c->begun = config->begun;
        c->sees = config->sees;
        c->answered = config->answered;
        c->userdata = config->userdata;
        if (config->loop)
                (void) sd_event_add_time_relative(config->loop, &c->deadline, CLOCK_MONOTONIC,
                                                  CALL_SECONDS * UINT64_C(1000000), 0, on_deadline,
                                                  c);
        *ret = c;
        return 0;
}

struct call *call_ref(struct call *c) {
        c->n_refs++;
        return c;
}

static void answer(struct call *c,
                   const char *text,
                   json_t *result,
                   const char *error,
                   const struct picture *picture) {
        const struct call_answer a = { c->id, c->name, text, result, error, picture };
        call_answered *answered = c->answered;

        if (c->is_answered)
                return;
        c->is_answered = true;
        c->answered = NULL;
        (void) sd_event_source_set_enabled(c->deadline, SD_EVENT_OFF);
        if (answered)
                answered(&a, c->userdata);
}

struct call *call_unref(struct call *c) {
        if (!c || --c->n_refs > 0)
                return NULL;

        answer(c, NULL, NULL, "That did not work.", NULL);
        (void) sd_event_source_disable_unref(c->deadline);
        json_decref(c->arguments);
        free(c->name);
        free(c);
        return NULL;
}

void call_set_deadline(struct call *c, double seconds) {
        if (c->deadline)
                (void) sd_event_source_set_time_relative(c->deadline, (uint64_t) (seconds * 1e6));
}

void call_forget(struct call *c) {
        c->answered = NULL;
        c->is_answered = true;
        (void) sd_event_source_set_enabled(c->deadline, SD_EVENT_OFF);
}

uint64_t call_id(const struct call *c) {
        return c->id;
}

const char *call_name(const struct call *c) {
        return c->name;
}

json_t *call_arguments(const struct call *c) {
        return c->arguments;
}

enum begun call_begun(const struct call *c) {
        return c->begun;
}

bool call_sees(const struct call *c) {
        return c->sees;
}

bool call_is_answered(const struct call *c) {
        return c->is_answered;
}

const char *call_string(const struct call *c, const char *key) {
        return json_string_value(json_object_get(c->arguments, key));
}

bool call_number(const struct call *c, const char *key, double *ret) {
        json_t *value = json_object_get(c->arguments, key);

        if (!json_is_number(value))
                return false;
        *ret = json_number_value(value);
        return true;
}

int call_whole(struct call *c, const char *key, int min, int max, int *ret) {
        double number;

        if (!json_object_get(c->arguments, key))
                return 0;
        if (!call_number(c, key, &number) || !(number >= min && number <= max)) {
                call_fail(c, "The %s has to be a number from %d to %d.", key, min, max);
                return -EINVAL;
        }

        *ret = (int) (number < 0 ? number - 0.5 : number + 0.5);
        return 1;
}

bool call_is(const struct call *c, const char *key, const char *value) {
        const char *text = call_string(c, key);

        return text && strcmp(text, value) == 0;
}

/* Names of files, songs and programs come from elsewhere, and may have been cut: what is no character
 * can not be sent. */
static void clean(char *text) {
        size_t n = strlen(text);

        for (size_t i = 0; i < n;) {
                int length = utf8_character(text + i, n - i);

                if (length > 0) {
                        i += (size_t) length;
                        continue;
                }
                text[i++] = '?';
        }
}

static void
say(struct call *c, json_t *result, const struct picture *picture, const char *format, va_list args)
        __attribute__((format(printf, 4, 0)));
static void say(struct call *c,
                json_t *result,
                const struct picture *picture,
                const char *format,
                va_list args) {
        char text[MAX_SENTENCE];

        (void) vsnprintf(text, sizeof(text), format, args);
        clean(text);
        answer(c, text, result, NULL, picture);
        json_decref(result);
}

void call_say(struct call *c, json_t *result, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say(c, result, NULL, format, args);
        va_end(args);
}

void call_show(
        struct call *c, json_t *result, const struct picture *picture, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say(c, result, picture, format, args);
        va_end(args);
}

void call_fail(struct call *c, const char *format, ...) {
        char text[MAX_REASON];
        va_list args;

        va_start(args, format);
        (void) vsnprintf(text, sizeof(text), format, args);
        va_end(args);

        clean(text);
        answer(c, NULL, NULL, text, NULL);
}

bool begun_from_name(const char *name, enum begun *ret) {
        static const char *const names[] = {
                [BEGUN_TYPED] = "typed", [BEGUN_PRESSED] = "pressed", [BEGUN_PHRASE] = "phrase",
                [BEGUN_OPEN] = "open",   [BEGUN_CALL] = "call",
        };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(names[i], name) == 0) {
                        *ret = (enum begun) i;
                        return true;
                }
        return false;
}
