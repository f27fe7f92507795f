/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_NOTIFY_H
#define DESKTOP_NOTIFY_H

#include <stdbool.h>

#include "desktop/buses.h"

/* Notifications on the desktop, by org.freedesktop.Notifications.  Where nobody shows any, nothing
 * happens.  Owned by the main thread. */
struct notify;
struct notice;

int notify_new(struct notify **ret, struct buses *buses);
struct notify *notify_free(struct notify *n);
DEFINE_CLEANUP(struct notify *, notify_free)

struct notice_config {
        const char *title, *body; /* plain text, needed during the call only */
        const char *icon;         /* NULL: the program's */
        bool is_urgent;           /* stays until somebody has seen it */
        bool is_passing;          /* goes by itself and is not kept */
        const char *const *actions; /* key, label, ..., NULL; may be NULL */

        /* The key of what was chosen; NULL: it was closed by somebody.  The notice still has to be
         * ended by its owner, who may do so here.  May be NULL. */
        void (*chosen)(const char *key, void *userdata);
        void *userdata;
};

/* Shows it; NULL when that can not be.  notice_close() takes it off the screen. */
struct notice *notice_show(struct notify *n, const struct notice_config *config);
struct notice *notice_close(struct notice *notice);

/* Leaves it on the screen, without an owner. */
void notice_leave(struct notice *notice);

/* Shows something else in its place. */
void notice_change(struct notice *notice, const char *title, const char *body);

#endif
