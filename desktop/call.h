/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_CALL_H
#define DESKTOP_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "picture/picture.h"

/* One call of a tool that is being carried out, and is answered exactly once: what comes after the
 * first answer is ignored, and a call that is dropped without one, or not answered in time, is
 * answered as failed.  Owned by the main thread, counted. */
struct call;

/* How the turn began from which it came. */
enum begun { BEGUN_TYPED, BEGUN_PRESSED, BEGUN_PHRASE, BEGUN_OPEN, BEGUN_CALL };

/* What came of a call: a sentence for the user, something for a model that answers freely, why it failed, a
 * picture for a model that sees.  All borrowed; the last four may be NULL. */
struct call_answer {
        uint64_t id;
        const char *name;
        const char *text;
        json_t *result;
        const char *error;
        const struct picture *picture;
};

typedef void call_answered(const struct call_answer *answer, void *userdata);

struct call_config {
        sd_event *loop; /* NULL: no deadline */
        uint64_t id;
        const char *name;
        json_t *arguments; /* an object, borrowed */
        enum begun begun;
        bool sees; /* whoever calls can be shown a picture */
        call_answered *answered;
        void *userdata;
};

int call_new(struct call **ret, const struct call_config *config);
struct call *call_ref(struct call *c);
struct call *call_unref(struct call *c);
DEFINE_CLEANUP(struct call *, call_unref)

/* Time to answer from now on; what holds for a new call is CALL_SECONDS. */
#define CALL_SECONDS 8
void call_set_deadline(struct call *c, double seconds);

/* Whoever was to be answered is gone. */
void call_forget(struct call *c);

uint64_t call_id(const struct call *c);
const char *call_name(const struct call *c);
json_t *call_arguments(const struct call *c); /* borrowed */
enum begun call_begun(const struct call *c);
bool call_sees(const struct call *c);
bool call_is_answered(const struct call *c);

/* An argument; NULL or false when it is not there or of another type. */
const char *call_string(const struct call *c, const char *key);
bool call_number(const struct call *c, const char *key, double *ret);

/* A whole number from min to max.  1, 0 when it is not there; otherwise the call has been answered
 * and the result is -EINVAL. */
int call_whole(struct call *c, const char *key, int min, int max, int *ret);

/* Whether an argument is exactly this text. */
bool call_is(const struct call *c, const char *key, const char *value);

/* The answers.  result is taken over and may be NULL. */
void call_say(struct call *c, json_t *result, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void call_show(struct call *c,
               json_t *result,
               const struct picture *picture,
               const char *format,
               ...) __attribute__((format(printf, 4, 5)));
void call_fail(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "typed" and so on; false for anything else. */
bool begun_from_name(const char *name, enum begun *ret);

#endif
