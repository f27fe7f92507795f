/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/servers.h"

#define SECOND_NS UINT64_C(1000000000)

#define FIRST_PAUSE_NS  (SECOND_NS / 5)
#define LONGEST_BUSY_NS (60 * SECOND_NS)

void servers_init(struct servers *s, unsigned n, unsigned look_every_seconds, uint64_t seed) {
        *s = (struct servers){ .n = n, .look_every_ns = look_every_seconds * SECOND_NS, .random = seed | 1 };
}

/* From three quarters of it to one and a quarter: those that were turned away together do not come back together. */
static uint64_t jitter(struct servers *s, uint64_t ns) {
        s->random ^= s->random << 13;
        s->random ^= s->random >> 7;
        s->random ^= s->random << 17;
        return ns - ns / 4 + s->random % (ns / 2 + 1);
}

unsigned servers_next(const struct servers *s, uint32_t tried, uint64_t now_ns) {
        for (unsigned i = 0; i < s->n; i++)
                if (!s->list[i].is_down && s->list[i].busy_until_ns <= now_ns && !(tried >> i & 1))
                        return i;
        return SERVERS_NONE;
}

unsigned servers_due(const struct servers *s, uint64_t now_ns) {
        for (unsigned i = 0; i < s->n; i++)
                if (s->list[i].next_look_ns <= now_ns)
                        return i;
        return SERVERS_NONE;
}

uint64_t servers_next_look(const struct servers *s) {
        uint64_t next = UINT64_MAX;

        for (unsigned i = 0; i < s->n; i++)
                if (s->list[i].next_look_ns < next)
                        next = s->list[i].next_look_ns;
        return next;
}

void servers_note_look(struct servers *s, unsigned index, uint64_t now_ns) {
        s->list[index].next_look_ns = now_ns + jitter(s, s->look_every_ns);
}

void servers_note_up(struct servers *s, unsigned index, uint64_t now_ns) {
        struct server_state *state = &s->list[index];

        state->is_down = false;
        state->n_failures = 0;
        state->next_look_ns = now_ns + jitter(s, s->look_every_ns);
}

void servers_note_failure(struct servers *s, unsigned index, bool is_down, const struct why *why, uint64_t now_ns) {
        struct server_state *state = &s->list[index];
        uint64_t pause = SECOND_NS << (state->n_failures < 6 ? state->n_failures : 6);

        state->is_down = state->is_down || is_down;
        state->why = *why;
        state->n_failures++;
        state->next_look_ns = now_ns + jitter(s, pause < s->look_every_ns ? pause : s->look_every_ns);
}

void servers_note_busy(struct servers *s, unsigned index, unsigned retry_seconds, uint64_t now_ns) {
        uint64_t ns = retry_seconds ? retry_seconds * SECOND_NS : SECOND_NS / 2;

        if (ns > LONGEST_BUSY_NS)
                ns = LONGEST_BUSY_NS;
        /* Not before the time that it gave. */
        s->list[index].busy_until_ns = now_ns + ns + jitter(s, FIRST_PAUSE_NS);
        (void) because(&s->list[index].why, 0, "it has too much to do");
}

uint64_t servers_pause(struct servers *s, unsigned n_rounds) {
        return jitter(s, FIRST_PAUSE_NS << (n_rounds < 4 ? n_rounds : 4));
}
