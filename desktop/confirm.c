/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/confirm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desktop/desktop.h"

#define ASKING_USEC UINT64_C(15000000)

struct confirm {
        struct desktop *desktop; /* not owned */
        sd_event_source *end;    /* owned */
        struct call *call;       /* owned reference; NULL: nothing is asked */
        confirm_run *run;
        struct notice *notice; /* owned; may be NULL */
};

static const char *const actions[] = { "yes", "Yes", "no", "No", NULL };

bool confirm_is_asking(const struct confirm *c) {
        return c->call != NULL;
}

bool confirm_drop(struct confirm *c) {
        bool was_asking = c->call != NULL;

        c->notice = notice_close(c->notice);
        c->call = call_unref(c->call);
        (void) sd_event_source_set_enabled(c->end, SD_EVENT_OFF);
        if (was_asking)
                desktop_expect(c->desktop);
        return was_asking;
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        (void) confirm_drop(userdata);
        return 0;
}

/* What came of it is what came of the yes. */
static void hand_on(const struct call_answer *answer, void *userdata) {
        struct call *yes = userdata;

        if (answer->error)
                call_fail(yes, "%s", answer->error);
        else
                call_say(yes, json_incref(answer->result), "%s", answer->text);
        (void) call_unref(yes);
}

/* yes: the call to answer, or NULL where it was a notification that said so. */
static void carry_out(struct confirm *c, struct call *yes) {
        _cleanup_(call_unrefp) struct call *call = NULL;
        confirm_run *run = c->run;
        const struct call_config config = {
                .loop = c->desktop->loop,
                .name = call_name(c->call),
                .arguments = call_arguments(c->call),
                .begun = call_begun(c->call),
                .answered = yes ? hand_on : NULL,
                .userdata = yes,
        };

        if (call_new(&call, &config) < 0) {
                if (yes)
                        call_fail(yes, "There is no memory left.");
                return;
        }
        if (yes)
                (void) call_ref(yes);
        (void) confirm_drop(c);
        run(c->desktop, call);
}

static void on_chosen(const char *key, void *userdata) {
        struct confirm *c = userdata;

        if (key && strcmp(key, "yes") == 0)
                carry_out(c, NULL);
        else if (key)
                (void) confirm_drop(c);
        else
                c->notice = notice_close(c->notice);
}

int confirm_new(struct confirm **ret, struct desktop *d) {
        _cleanup_(confirm_freep) struct confirm *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->desktop = d;
        r = sd_event_add_time_relative(d->loop, &c->end, CLOCK_MONOTONIC, 0, 0, on_end, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(c->end, SD_EVENT_OFF);

        *ret = TAKE_PTR(c);
        return 0;
}

struct confirm *confirm_free(struct confirm *c) {
        if (!c)
                return NULL;

        (void) confirm_drop(c);
        (void) sd_event_source_disable_unref(c->end);
        free(c);
        return NULL;
}

void confirm_ask(struct confirm *c, struct call *call, const char *question, confirm_run *run) {
        const struct notice_config config = {
                .title = question,
                .body = "Say yes or no.",
                .icon = "dialog-question",
                .is_urgent = true,
                .actions = actions,
                .chosen = on_chosen,
                .userdata = c,
        };

        if (call_begun(call) == BEGUN_OPEN) {
                call_fail(call, "That needs the wake phrase, or a key press.");
                return;
        }
        (void) confirm_drop(c);
        c->call = call_ref(call);
        c->run = run;
        (void) sd_event_source_set_time_relative(c->end, ASKING_USEC);
        (void) sd_event_source_set_enabled(c->end, SD_EVENT_ONESHOT);
        c->notice = notice_show(c->desktop->notify, &config);
        desktop_expect(c->desktop);
        call_say(call, json_pack("{s:s}", "asked", question), "%s Say yes or no.", question);
}

void confirm_yes(struct desktop *d, struct call *call) {
        if (confirm_is_asking(d->confirm))
                carry_out(d->confirm, call);
        else
                call_say(call, NULL, "I have not asked anything.");
}

void confirm_no(struct desktop *d, struct call *call) {
        if (confirm_drop(d->confirm))
                call_say(call, NULL, "Then not.");
        else
                call_say(call, NULL, "I have not asked anything.");
}
