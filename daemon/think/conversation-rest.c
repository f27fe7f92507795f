/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "daemon/think/conversation-internal.h"

/* To read the weights of a model that barely fits makes memory short by itself, which the kernel tells up to
 * two seconds later.  When others need it, it is told again. */
#define OWN_PRESSURE_NS UINT64_C(4000000000)

static void tell(struct conversation *c, bool rests) {
        const struct event event = {
                .kind = EVENT_RESTING,
                .position = dialogue_position(c->dialogue),
                .rests = rests,
        };

        c->is_resting = rests;
        event_push_always(c->events, &event);
}

void conversation_note_work(struct conversation *c) {
        c->worked_ns = clock_now_ns();
        c->rested = command_rested(c->command);
}

void conversation_note_use(struct conversation *c) {
        c->used_ns = clock_now_ns();
        conversation_note_work(c);
}

void conversation_wake(struct conversation *c) {
        if (c->is_resting)
                tell(c, false);
}

/* The built-in model is small, and the wake phrase needs it. */
static bool is_large(const struct conversation *c) {
        return *c->config->model_path && c->config->idle_after > 0;
}

void conversation_rest_if_idle(struct conversation *c) {
        unsigned rested = command_rested(c->command);
        bool is_told = rested != c->rested && clock_now_ns() - c->worked_ns >= OWN_PRESSURE_NS;
        uint64_t idle_ns = (uint64_t) c->config->idle_after * 1000000000;

        c->rested = rested;
        if (c->is_resting || !is_large(c))
                return;
        if (!is_told && clock_now_ns() - c->used_ns < idle_ns)
                return;
        dialogue_rest(c->dialogue);
        tell(c, true);
}
