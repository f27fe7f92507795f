/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

#define OURS    "io.gemmad.Assistant."
#define VARLINK "org.varlink.service."

#define WORD_AFTER_MS 3000

DEFINE_CLEANUP(struct client *, client_free)

/* What the daemon may answer instead, and what it means for the caller.  detail is the parameter
 * that says more, if any. */
static const struct refusal {
        const char *error;
        enum ctl_exit exit;
        const char *text;
        const char *detail;
} refusals[] = {
        /* clang-format off */
        { OURS "Busy",       CTL_EXIT_BUSY,      "busy: too many requests are waiting",  NULL },
        { OURS "Stopping",   CTL_EXIT_BUSY,      "the daemon is stopping",               NULL },
        { OURS "BadAudio",   CTL_EXIT_BAD_INPUT, "cannot use this audio",                "reason" },
        { OURS "BadText",    CTL_EXIT_BAD_INPUT, "cannot use this text",                 "reason" },
        { OURS "BadImage",   CTL_EXIT_BAD_INPUT, "cannot use these pictures",            "reason" },
        { OURS "BadMessage", CTL_EXIT_BAD_INPUT, "the daemon refused the message",       "reason" },
        { OURS "CannotHear", CTL_EXIT_BAD_INPUT, "the model cannot hear; ask with text", NULL },
        { OURS "CannotSee",  CTL_EXIT_BAD_INPUT,
          "the model does not see pictures: the built-in one knows commands only; ask without --image, or use a "
          "larger one with its projector (gemmactl model list)", NULL },
        { OURS "Muted",      CTL_EXIT_FAILED,    "the microphone is muted; gemmactl unmute opens it",
          NULL },
        { OURS "NoMicrophone", CTL_EXIT_FAILED,  "no sound from the microphone",         "reason" },
        { OURS "NoSuchTurn", CTL_EXIT_FAILED,    "no such turn",                         NULL },
        { OURS "NoSuchTool", CTL_EXIT_FAILED,    "nobody provides this; see gemmactl tools", "name" },
        { OURS "ToolFailed", CTL_EXIT_FAILED,    "it was not done",                      "reason" },
        { OURS "TurnFailed", CTL_EXIT_FAILED,    "the daemon could not do it",           "reason" },
        { VARLINK "InvalidParameter", CTL_EXIT_FAILED,
          "the daemon does not take this value (or is of another version)", "parameter" },
        { VARLINK "MethodNotFound", CTL_EXIT_FAILED,
          "the daemon does not know this (is it of another version?)", "method" },
        { VARLINK "MethodNotImplemented", CTL_EXIT_FAILED,
          "the daemon cannot do this", "method" },
        { VARLINK "InterfaceNotFound", CTL_EXIT_UNREACHABLE,
          "this is not gemmad: it does not know the interface", "interface" },
        /* clang-format on */
};

json_int_t ctl_turn_number(const char *text) {
        uint64_t id;

        /* The last one is left out, so that there is always one behind. */
        if (parse_u64(text, &id) >= 0 && id > 0 && id < INT64_MAX)
                return (json_int_t) id;
        print_error("'%s' is not the number of a turn", text);
        return 0;
}

char *ctl_join_arguments(const struct ctl *c) {
        size_t size = 1;
        char *text, *at;

        for (int i = 0; i < c->n_arguments; i++)
                size += strlen(c->arguments[i]) + 1;
        text = malloc(size);
        if (!text)
                return NULL;

        at = text;
        *at = 0;
        for (int i = 0; i < c->n_arguments; i++) {
                if (i > 0)
                        *at++ = ' ';
                at = stpcpy(at, c->arguments[i]);
        }
        return text;
}

enum ctl_exit ctl_connect(const struct ctl *c, struct client **ret) {
        struct why why;
        int r;

        r = client_connect(ret, c->socket, &why);
        if (r >= 0)
                return CTL_EXIT_OK;

        if (r == -ENOENT || r == -ECONNREFUSED)
                print_error("gemmad is not running at %s; start it with: "
                            "systemctl --user start gemmad (or: gemmad &)",
                            c->socket);
        else
                print_error("%s", why.text);
        return CTL_EXIT_UNREACHABLE;
}

enum ctl_exit ctl_lost(const struct why *why) {
        print_error("the daemon is lost: %s (stopped, or too many clients?)", why->text);
        return CTL_EXIT_UNREACHABLE;
}

static enum ctl_exit refuse(const struct refusal *refusal, json_t *parameters) {
        const char *detail = refusal->detail ? field_string(parameters, refusal->detail) : "";

        if (detail[0])
                print_error("%s: %s", refusal->text, detail);
        else
                print_error("%s", refusal->text);
        return refusal->exit;
}

enum ctl_exit ctl_refused(const struct ctl *c, const struct varlink_reply *reply) {
        _cleanup_(freep) char *text = NULL;

        if (c->as_json)
                print_json(c, reply->root);
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
                if (strcmp(refusals[i].error, reply->error) == 0)
                        return refuse(&refusals[i], reply->parameters);
        }

        text = json_dumps(reply->parameters, 0);
        print_error("the daemon answered %s %s", reply->error, text ? text : "");
        return CTL_EXIT_FAILED;
}

/* Whoever waits is told that it takes long, as it does where the daemon was stopped. */
static int next_reply(struct client *client, struct varlink_reply *ret, struct why *why) {
        int r = client_next_within(client, WORD_AFTER_MS, ret, why);

        if (r != -ETIMEDOUT)
                return r;
        print_error("%s yet; waiting (gemmactl doctor looks for the reason)", why->text);
        return client_next(client, -1, ret, why);
}

enum ctl_exit
ctl_call(const struct ctl *c, const char *method, json_t *parameters, struct varlink_reply *ret) {
        _cleanup_(json_decrefp) json_t *owned = parameters;
        _cleanup_(client_freep) struct client *client = NULL;
        struct client_call call = { .method = method, .parameters = owned };
        struct varlink_reply reply;
        enum ctl_exit e;
        struct why why;

        e = ctl_connect(c, &client);
        if (e != CTL_EXIT_OK)
                return e;
        if (client_send(client, &call, &why) < 0 || next_reply(client, &reply, &why) < 0)
                return ctl_lost(&why);
        if (reply.error) {
                e = ctl_refused(c, &reply);
                varlink_reply_done(&reply);
                return e;
        }

        *ret = reply;
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_follow(const struct ctl *c,
                         const char *method,
                         void (*show)(const struct ctl *c, json_t *parameters)) {
        struct client_call call = { .method = method, .more = true };
        _cleanup_(client_freep) struct client *client = NULL;
        enum ctl_exit e = CTL_EXIT_OK;
        struct varlink_reply reply;
        bool continues = true;
        struct why why;

        e = ctl_connect(c, &client);
        if (e != CTL_EXIT_OK)
                return e;
        if (client_send(client, &call, &why) < 0)
                return ctl_lost(&why);

        /* What could not be written is told at the end of the program. */
        while (e == CTL_EXIT_OK && continues && !ferror(stdout)) {
                if (client_next(client, -1, &reply, &why) < 0)
                        return ctl_lost(&why);
                continues = reply.continues;
                if (reply.error)
                        e = ctl_refused(c, &reply);
                else if (c->as_json)
                        print_json(c, reply.parameters);
                else
                        show(c, reply.parameters);
                varlink_reply_done(&reply);
        }
        return e;
}
