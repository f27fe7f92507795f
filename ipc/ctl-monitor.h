/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CTL_MONITOR_H
#define IPC_CTL_MONITOR_H

#include <stdbool.h>

#include <jansson.h>

/* What gemmactl monitor shows: the newest of each kind that the daemon told.  One thread. */
#define VIEW_TURNS 64

struct view {
        json_t *status, *level;    /* owned; NULL: none has come */
        json_t *turns[VIEW_TURNS]; /* owned; a ring */
        unsigned n_turns;          /* ever */
        char *live;                /* owned; what the running turn has brought so far */
        bool has_level;            /* somebody follows it */
        bool is_open;              /* the microphone waits for words by itself */
};

void view_done(struct view *v);

/* Each keeps what it needs of the value, which is borrowed.  view_take_status() says whether the
 * microphone has begun or ended to be open by itself. */
bool view_take_status(struct view *v, json_t *status);
void view_take_level(struct view *v, json_t *level);
void view_take_event(struct view *v, json_t *event);

/* The terminal is ours from open to close. */
void view_open(void);
void view_draw(const struct view *v);
void view_close(void);

/* The key that was pressed, -1: none. */
int view_key(void);

#endif
