/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/lister.h"

#include <errno.h>
#include <stdio.h>

/* A frozen sound server is not waited for any longer. */
#define LISTING_NS UINT64_C(10000000000)

void lister_done(struct lister *l) {
        l->ear = ear_free(l->ear);
}

static void tell(struct lister *l, const struct lister_result *result) {
        l->ear = ear_free(l->ear);
        l->on_listed(result, l->userdata);
}

static void fail(struct lister *l, int r, const char *reason) {
        struct lister_result result = { .r = r };

        (void) because(&result.why, r, "%s", reason);
        tell(l, &result);
}

static void tell_list(struct lister *l, const struct wall_message *message) {
        struct lister_result result = { .r = message->r };

        for (int i = 0; i < message->r; i++) {
                const struct wall_device *from = &message->listed[i];
                struct capture_device *to = &result.listed[i];

                *to = (struct capture_device){
                        .rate = from->rate,
                        .n_channels = from->n_channels,
                        .is_default = from->is_default != 0,
                        .is_bluetooth = from->is_bluetooth != 0,
                };
                (void) snprintf(to->name, sizeof(to->name), "%s", from->name);
        }
        tell(l, &result);
}

static void begin(struct lister *l, uint64_t now_ns) {
        const struct wall_task task = { .version = WALL_VERSION, .kind = WALL_LIST };
        struct why why = {};
        int r;

        l->is_wanted = false;
        l->begun_ns = now_ns;
        r = ear_start(&l->ear, l->starter, &task, -1, now_ns, &why);
        if (r < 0)
                fail(l, r, why.text);
}

void lister_step(struct lister *l, uint64_t now_ns) {
        struct wall_message message;
        int r;

        if (!l->ear && l->is_wanted)
                begin(l, now_ns);
        if (!l->ear)
                return;
        ear_clear(l->ear);
        r = ear_hear(l->ear, &message);
        if (r == 1 && message.word == WALL_LISTED)
                tell_list(l, &message);
        else if (r == 1 && message.word == WALL_FAILED)
                fail(l, message.r, message.why.text);
        else if (r != 0)
                fail(l, -EPIPE, "the sound process ended");
        else if (now_ns - l->begun_ns > LISTING_NS || ear_hangs(l->ear, now_ns))
                fail(l, -ETIMEDOUT, "the sound server does not answer");
}

size_t lister_poll(const struct lister *l, struct pollfd fds[static EAR_MAX_POLLED]) {
        return ear_poll(l->ear, fds);
}
