/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/store-internal.h"

/* What may wait for a full disk or another program's lock: more than a day of talk. */
#define STORE_MAX_WAITING      512
#define STORE_MAX_WAITING_SIZE (2 << 20)

/* A turn that could not be written. */
struct store_waiting {
        struct store_waiting *next; /* owned by the store's list */
        struct record *record;      /* owned */
        size_t size;
};

static struct store_waiting *waiting_free(struct store_waiting *w) {
        record_free(w->record, w->size);
        free(w);
        return NULL;
}

static struct store_waiting *waiting_new(const struct record *turn) {
        struct store_waiting *w = calloc(1, sizeof(*w));

        if (!w)
                return NULL;
        w->record = record_copy(turn, &w->size);
        return w->record ? w : waiting_free(w);
}

static void take_out(struct store *s, struct store_waiting **at) {
        struct store_waiting *w = *at;

        *at = w->next;
        s->n_waiting--;
        s->waiting_size -= w->size;
        waiting_free(w);
}

/* What waits already has met the full disk or the lock: nobody has to wait for that once more. */
static void set_patience(struct store *s) {
        if (s->db)
                (void) sqlite3_busy_timeout(s->db, s->n_waiting > 0 ? 0 : STORE_BUSY_MS);
}

/* -ENOBUFS: there is no more room, and the turn is lost. */
static int wait(struct store *s, const struct record *turn, struct why *why) {
        struct store_waiting **end = &s->waiting;
        struct store_waiting *w;

        if (s->n_waiting == STORE_MAX_WAITING || s->waiting_size >= STORE_MAX_WAITING_SIZE)
                return -ENOBUFS;
        w = waiting_new(turn);
        if (!w)
                return -ENOBUFS;

        while (*end)
                end = &(*end)->next;
        *end = w;
        s->n_waiting++;
        s->waiting_size += w->size;
        s->waiting_for = *why;
        set_patience(s);
        return 1;
}

int store_write_waiting(struct store *s, struct why *why) {
        int r = 0;

        if (!s->waiting)
                return 0;
        r = store_ensure_open(s, why);
        while (s->waiting && r >= 0) {
                r = store_append(s, s->waiting->record, why);
                if (r >= 0)
                        take_out(s, &s->waiting);
        }
        if (r < 0)
                s->waiting_for = *why;
        set_patience(s);
        return r;
}

static int write_in_order(struct store *s, const struct record *turn, struct why *why) {
        int r;

        /* Seen by somebody who read. */
        if (store_take_damage(s) || s->is_damaged) {
                r = store_replace(s, why);
                if (r < 0)
                        return r;
        }
        r = store_ensure_open(s, why);
        if (r >= 0)
                r = store_write_waiting(s, why);
        return r >= 0 ? store_append(s, turn, why) : r;
}

int store_keep(struct store *s, const struct record *turn, struct why *why) {
        int r;

        r = write_in_order(s, turn, why);
        if (r < 0 && s->is_damaged)
                r = write_in_order(s, turn, why);
        return r < 0 ? wait(s, turn, why) : 0;
}

unsigned store_n_waiting(const struct store *s) {
        return s->n_waiting;
}

const char *store_waiting_for(const struct store *s) {
        return s->waiting_for.text;
}

uint64_t store_last_waiting(const struct store *s) {
        uint64_t last = 0;

        for (const struct store_waiting *w = s->waiting; w; w = w->next)
                last = w->record->id > last ? w->record->id : last;
        return last;
}

static bool is_in(const struct record *turn, const struct store_span *span) {
        return turn->id >= span->first_id && turn->id <= span->last_id &&
               turn->began_us >= span->began_from_us && turn->began_us <= span->began_to_us;
}

unsigned store_forget_waiting(struct store *s, const struct store_span *span) {
        struct store_waiting **at = &s->waiting;
        unsigned n = 0;

        while (*at) {
                if (!is_in((*at)->record, span)) {
                        at = &(*at)->next;
                        continue;
                }
                take_out(s, at);
                n++;
        }
        set_patience(s);
        return n;
}

static struct store_waiting **find_waiting(struct store *s, uint64_t id) {
        for (struct store_waiting **at = &s->waiting; *at; at = &(*at)->next)
                if ((*at)->record->id == id)
                        return at;
        return NULL;
}

/* Another one in the place of one that waits. */
static int replace_waiting(struct store *s, struct store_waiting **at, const struct record *record) {
        struct store_waiting *w = waiting_new(record);

        if (!w)
                return -ENOMEM;
        w->next = (*at)->next;
        s->waiting_size += w->size - (*at)->size;
        waiting_free(*at);
        *at = w;
        return 0;
}

int store_set_waiting_heard(struct store *s, uint64_t id, const char *text, size_t size) {
        struct store_waiting **at = find_waiting(s, id);
        struct record record;

        if (!at)
                return -ENOENT;
        record = *(*at)->record;
        record.heard = text;
        record.heard_size = size;
        return replace_waiting(s, at, &record);
}

int store_set_waiting_answered(struct store *s, uint64_t id, const char *text, size_t size) {
        struct store_waiting **at = find_waiting(s, id);
        struct record record;

        if (!at)
                return -ENOENT;
        record = *(*at)->record;
        record.answered = text;
        record.answered_size = size;
        return replace_waiting(s, at, &record);
}
