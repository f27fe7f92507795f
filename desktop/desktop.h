/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_DESKTOP_H
#define DESKTOP_DESKTOP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/why.h"
#include "desktop/answers.h"
#include "desktop/assistant.h"
#include "desktop/bell.h"
#include "desktop/buses.h"
#include "desktop/chime.h"
#include "desktop/confirm.h"
#include "desktop/expect.h"
#include "desktop/link.h"
#include "desktop/loudness.h"
#include "desktop/mcp.h"
#include "desktop/media.h"
#include "desktop/notify.h"
#include "desktop/peer.h"
#include "desktop/shortcut.h"
#include "desktop/sleep.h"
#include "desktop/sound.h"
#include "desktop/speaker.h"
#include "desktop/tray.h"
#include "desktop/user-tools.h"

/* Servers of tools that are run. */
#define DESKTOP_MAX_MCP 6

/* Everything that the tools share.  One thread, one loop; made by desktop_run(). */
struct desktop {
        int lock_fd;         /* owned; keeps a second one out */
        sd_event *loop;      /* owned reference */
        struct buses *buses; /* owned, like the rest */
        struct notify *notify;
        struct answers *answers;
        struct speaker *speaker;
        struct media *media;
        struct sound *sound;
        struct loudness *loudness;
        struct chime *chime; /* NULL: no sounds are wanted */
        struct bell *bell;
        struct confirm *confirm;
        struct user_tools *user_tools;
        struct peer *peer;
        struct assistant *assistant; /* NULL: not wanted */
        struct tray *tray;           /* the same */
        struct shortcut *shortcut;   /* the same */
        struct sleep *sleep;         /* NULL: no system bus */
        struct expect *expect;
        struct mcp *mcp[DESKTOP_MAX_MCP];
        struct link *mcp_links[DESKTOP_MAX_MCP]; /* of each of them */
        unsigned n_mcp;
        struct link *link;      /* of the tools that ship */
        struct link *user_link; /* ... and of the user's */

        json_t *offered;         /* owned; the tools that ship and are not replaced */
        char *last_answer;       /* NULL: none yet */
        char *state;             /* owned; the folder for what is kept; NULL: none */
        uint32_t inhibit_cookie; /* of quiet.c; 0: none */
        int64_t quiet_until;     /* ... in microseconds since 1970; 0: not limited */
        sd_event_source *quiet_end; /* owned; ... */
        bool ducks;              /* others are lower while somebody speaks to us, or we do */
        bool is_listening, is_speaking;
        bool is_reason_told;     /* why gemmad is in another mode */
        bool looks_for_songs;
        sd_event_source *end;    /* owned; NULL: nobody has asked for it */
};

struct desktop_setup {
        const char *socket_path; /* NULL: where gemmad listens unless told otherwise */
};

/* What is asked or rings has changed: what gemmad is to expect. */
void desktop_expect(struct desktop *d);

/* Runs until a signal ends it.  Logs what went wrong. */
int desktop_run(const struct desktop_setup *setup);

#endif
