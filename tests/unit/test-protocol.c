/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of gemmad-protocol(7) are messages of the protocol as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ipc/assistant.h"
#include "ipc/interface.h"
#include "ipc/varlink.h"
#include "tests/tap.h"

#define PREFIX "io.gemmad.Assistant."

static const char *const methods[] = { "Ask",   "Listen", "Finish", "Mute",   "Devices",
                                       "Level", "Status", "Watch",  "Cancel", "History" };

#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

/* What has been read of the page. */
struct page {
        struct interface *interface;
        char message[8192];
        char sender;     /* of the message: '>' client, '<' daemon, 0: none is being read */
        char method[64]; /* of the last call, "" when it was not one of ours */
        unsigned n_calls[N_METHODS], n_replies[N_METHODS], n_bad;
};

static void count(unsigned *counts, const char *method) {
        for (size_t i = 0; i < N_METHODS; i++)
                counts[i] += strcmp(methods[i], method) == 0;
}

static bool is_right(struct page *p, enum interface_side side, const char *member, json_t *object) {
        const char *fault;

        if (interface_check(p->interface, side, member, object, &fault) == 0)
                return true;
        printf("# %s: parameter '%s'\n", member, fault);
        return false;
}

static bool check_call(struct page *p) {
        struct varlink_call c;
        struct why why;
        bool ok = true;

        if (varlink_parse_call(&c, p->message, strlen(p->message), &why) < 0) {
                printf("# %s\n", why.text);
                return false;
        }
        p->method[0] = 0;
        if (strncmp(c.method, PREFIX, strlen(PREFIX)) == 0) {
                (void) snprintf(p->method, sizeof(p->method), "%s", c.method + strlen(PREFIX));
                ok = interface_has_method(p->interface, p->method) &&
                     is_right(p, INTERFACE_CALL, p->method, c.parameters);
                count(p->n_calls, p->method);
        }
        varlink_call_done(&c);
        return ok;
}

static bool check_reply(struct page *p) {
        struct varlink_reply reply;
        struct why why;
        bool ok;

        if (varlink_parse_reply(&reply, p->message, strlen(p->message), &why) < 0) {
                printf("# %s\n", why.text);
                return false;
        }
        if (!p->method[0])
                ok = true;
        else if (reply.error)
                ok = strncmp(reply.error, PREFIX, strlen(PREFIX)) == 0 &&
                     is_right(p, INTERFACE_ERROR, reply.error + strlen(PREFIX), reply.parameters);
        else
                ok = is_right(p, INTERFACE_REPLY, p->method, reply.parameters);
        count(p->n_replies, p->method);
        varlink_reply_done(&reply);
        return ok;
}

static void end_message(struct page *p) {
        if (p->sender && !(p->sender == '>' ? check_call(p) : check_reply(p))) {
                printf("# in: %s\n", p->message);
                p->n_bad++;
        }
        p->sender = 0;
}

static void read_line(struct page *p, const char *line) {
        if (strncmp(line, "> {", 3) == 0 || strncmp(line, "< {", 3) == 0) {
                end_message(p);
                p->sender = line[0];
                (void) snprintf(p->message, sizeof(p->message), "%s", line + 2);
        } else if (p->sender && line[0] == ' ') {
                strncat(p->message, line, sizeof(p->message) - strlen(p->message) - 1);
        } else {
                end_message(p);
        }
}

static FILE *open_page(void) {
        const char *folder = getenv("SOURCE_DIR");
        char path[4096];

        (void) snprintf(path, sizeof(path), "%s/man/gemmad-protocol.7", folder ? folder : ".");
        return fopen(path, "r");
}

static void test_examples(void) {
        struct page p = { .n_bad = 0 };
        struct why why;
        char line[512];
        FILE *f;

        f = open_page();
        expect(f);
        expect(interface_parse(&p.interface, assistant_interface(), &why) == 0);
        while (f && fgets(line, sizeof(line), f))
                read_line(&p, line);
        end_message(&p);
        expect(p.n_bad == 0);
        for (size_t i = 0; i < N_METHODS; i++) {
                expect(p.n_calls[i] > 0);
                expect(p.n_replies[i] >= p.n_calls[i]);
        }
        interface_free(p.interface);
        if (f)
                (void) fclose(f);
}

int main(void) {
        rule("the manual has an example of every method, and all are valid", test_examples);
        return tap_done();
}
