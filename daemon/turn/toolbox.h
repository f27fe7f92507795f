/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_TOOLBOX_H
#define DAEMON_TURN_TOOLBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/pictures.h"
#include "daemon/think/tools.h"

/* Who can carry out what, and the calls that are being carried out.  Knows providers, not sockets.
 * Belongs to the main thread.
 *
 * Every call that was accepted ends in exactly one way: by done(), at the latest when its time is
 * over, or by toolbox_forget().  done() is called in a round of the loop of its own, never from within
 * a function below. */
struct toolbox;
struct provider;

#define TOOLBOX_MAX_PROVIDERS 16
#define TOOLBOX_MAX_CALLS     32 /* under way at once */

/* How it began that something is to be done, which decides what may be done. */
enum begun {
        BEGUN_TYPED,   /* a text or a file that somebody gave */
        BEGUN_PRESSED, /* the microphone, by a call of Listen */
        BEGUN_PHRASE,  /* hands free, with the wake phrase */
        BEGUN_OPEN,    /* hands free, without: it may have been anybody */
        BEGUN_CALL,    /* the call itself, by a client */
};
const char *begun_name(enum begun begun);

/* What came of a call; NULL for what there is none of.  Borrowed. */
struct result {
        const char *text;  /* one sentence for the user */
        json_t *value;     /* an object, for a model */
        const char *error; /* one sentence as well; then there is neither of the two */
        struct pictures *pictures; /* what a model that sees is shown besides: who wants them takes them */
};

struct errand {
        const char *name;  /* borrowed, like the arguments */
        json_t *arguments; /* an object */
        uint64_t turn;     /* 0: none */
        enum begun begun;
        bool sees; /* a picture that comes with the result is looked at */
        void (*done)(const struct result *result, void *userdata);
        void *userdata;
};

/* One who carries out calls. */
struct provider_config {
        const char *name;    /* for people; borrowed */
        const json_t *tools; /* as offer_check() wants them; borrowed */

        /* Is to carry this out and then to call toolbox_respond() with the id.  May free the provider,
         * which ends the call. */
        void (*carry_out)(uint64_t id, const struct errand *errand, void *userdata);
        void *userdata;
};

/* changed() is called whenever there are other tools; it may be NULL. */
int toolbox_new(struct toolbox **ret,
                sd_event *loop,
                void (*changed)(void *userdata),
                void *userdata);
struct toolbox *toolbox_free(struct toolbox *t);
DEFINE_CLEANUP(struct toolbox *, toolbox_free)

/* What changes from now on is the end of all things, and nobody needs to know. */
void toolbox_stop(struct toolbox *t);

/* Where two provide the same, the newer one does until it goes.  -EBUSY when there are
 * TOOLBOX_MAX_PROVIDERS. */
int toolbox_provide(struct toolbox *t, struct provider **ret, const struct provider_config *config);

/* The calls that it has not answered fail. */
struct provider *provider_free(struct provider *p);

/* 0 and *ret; -ENOENT: nobody provides it; -EPERM: somebody does, and asks before it, but this began
 * in a way that anybody may have caused; -EBUSY: TOOLBOX_MAX_CALLS are under way. */
int toolbox_call(struct toolbox *t, const struct errand *errand, uint64_t *ret);

/* Nobody waits for this call any more.  0 and ids that are over are ignored. */
void toolbox_forget(struct toolbox *t, uint64_t id);

/* What came of a call, whose pictures are taken over on success.  -ENOENT: there is none of this id, or it has
 * been answered; -EINVAL and the name of what can not be used, by which the call fails. */
int toolbox_respond(struct toolbox *t,
                    uint64_t id,
                    const struct result *result,
                    const char **ret_fault);

/* Whether somebody of this name provides anything. */
bool toolbox_has_provider(const struct toolbox *t, const char *name);

/* Whether somebody provides a tool of this name. */
bool toolbox_has(const struct toolbox *t, const char *name);

/* Calls each() for every tool in the order of their names; each of the strings and the parameters are
 * borrowed. */
struct tool_info {
        const char *name, *description, *provider;
        json_t *parameters;
        bool needs_confirmation;
};
void toolbox_list(const struct toolbox *t,
                  void (*each)(const struct tool_info *info, void *userdata),
                  void *userdata);

#endif
