/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a client, and interface descriptions.  The first byte chooses.
 *
 * A stream: however it is cut into pieces, the same messages come out.  A message: what is accepted
 * as a call is written and read again without a change, and checking its parameters against our
 * interface gives a verdict.  A description: what is accepted is kept as it is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/assistant.h"
#include "ipc/conn.h"
#include "ipc/interface.h"
#include "ipc/varlink.h"

#define MAX_MESSAGE 256
#define PREFIX      "io.gemmad.Assistant."

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

DEFINE_CLEANUP(struct interface *, interface_free)

static void check(int condition) {
        if (!condition)
                abort();
}

/* What came out of a stream. */
struct messages {
        uint64_t hash;
        unsigned n;
        int end; /* 1: not yet */
};

static void
on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        struct messages *m = userdata;

        (void) c;
        check(fds->n_fds == 0 && size <= MAX_MESSAGE && strlen(text) == size);
        for (size_t i = 0; i <= size; i++)
                m->hash = (m->hash ^ (uint8_t) text[i]) * 1099511628211u;
        m->n++;
}

static void on_ended(struct conn *c, int r, void *userdata) {
        struct messages *m = userdata;

        m->end = r;
        conn_free(c);
}

static void run(sd_event *loop) {
        while (sd_event_run(loop, 0) > 0)
                ;
}

/* Sends in pieces of the sizes that the bytes at the front give, 0: all at once. */
static struct messages read_stream(const uint8_t *data, size_t size, size_t n_sizes) {
        static const struct conn_handler handler = { on_message, on_ended };
        struct messages m = { .hash = 14695981039346656037u, .end = 1 };
        struct conn_config config = {
                .max_message_size = MAX_MESSAGE,
                .max_unsent_size = MAX_MESSAGE,
                .handler = &handler,
                .userdata = &m,
        };
        struct conn *c;
        sd_event *loop;
        int fds[2];

        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        check(sd_event_new(&loop) >= 0);
        config.fd = fds[0];
        check(conn_new(&c, loop, &config) == 0);
        for (size_t at = 0, i = 0; at < size && m.end == 1; i++) {
                size_t piece = n_sizes > 0 ? 1 + data[i % n_sizes] % 64u : size;

                piece = piece > size - at ? size - at : piece;
                if (send(fds[1], data + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) piece)
                        break;
                at += piece;
                run(loop);
        }
        (void) close(fds[1]);
        run(loop);
        check(m.end <= 0);
        sd_event_unref(loop);
        return m;
}

static void try_stream(const uint8_t *data, size_t size) {
        struct messages whole, pieces;

        if (size == 0 || size > 16384)
                return;
        whole = read_stream(data, size, 0);
        pieces = read_stream(data, size, size < 8 ? size : 8);
        check(whole.n == pieces.n && whole.hash == pieces.hash && whole.end == pieces.end);
}

static void try_parameters(const struct varlink_call *c) {
        _cleanup_(interface_freep) struct interface *i = NULL;
        const char *method = c->method + strlen(PREFIX), *fault = NULL;
        int r;

        check(interface_parse(&i, assistant_interface(), NULL) == 0);
        if (strncmp(c->method, PREFIX, strlen(PREFIX)) != 0 || !interface_has_method(i, method))
                return;
        r = interface_check(i, INTERFACE_CALL, method, c->parameters, &fault);
        check((r == 0) == !fault);
        fault = NULL;
        r = interface_check(i, INTERFACE_REPLY, method, c->parameters, &fault);
        check((r == 0) == !fault);
}

static void try_call(const char *text, size_t size) {
        struct varlink_call c, again;
        struct why why = { "" };
        size_t new_size;
        char *new_text;

        if (varlink_parse_call(&c, text, size, &why) < 0) {
                check(why.text[0]);
                return;
        }
        check(varlink_format_call(c.method, c.parameters, c.more, &new_text, &new_size) == 0);
        check(strlen(new_text) + 1 == new_size);
        check(varlink_parse_call(&again, new_text, new_size - 1, &why) == 0);
        check(strcmp(again.method, c.method) == 0 && again.more == c.more);
        try_parameters(&c);
        free(new_text);
        varlink_call_done(&again);
        varlink_call_done(&c);
}

static void try_reply(const char *text, size_t size) {
        struct varlink_reply reply;
        struct why why = { "" };

        if (varlink_parse_reply(&reply, text, size, &why) < 0)
                check(why.text[0]);
        else
                varlink_reply_done(&reply);
}

static void try_description(const char *text) {
        struct interface *i;
        struct why why = { "" };

        if (interface_parse(&i, text, &why) < 0) {
                check(why.text[0]);
                return;
        }
        check(strcmp(interface_text(i), text) == 0);
        check(strchr(interface_name(i), '.') != NULL);
        interface_free(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = NULL;

        if (size == 0)
                return 0;
        text = strndup((const char *) data + 1, size - 1);
        check(text != NULL);

        switch (data[0] % 4) {
        case 0:
                try_stream(data + 1, size - 1);
                break;
        case 1:
                try_call((const char *) data + 1, size - 1);
                break;
        case 2:
                try_reply((const char *) data + 1, size - 1);
                break;
        case 3:
                try_description(text);
                break;
        }
        return 0;
}
