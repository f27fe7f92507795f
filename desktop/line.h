/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_LINE_H
#define DESKTOP_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "ipc/conn.h"

/* One connection to gemmad.  A struct conn, which its owner frees.  Owned by the main thread. */
struct line_config {
        sd_event *loop;
        const char *path; /* of the socket */
        int64_t priority; /* as in struct conn_config */
        const struct conn_handler *handler;
        void *userdata;
};

/* Never waits.  -ENAMETOOLONG for the path, or what connect() says. */
int line_open(struct conn **ret, const struct line_config *config);

/* Sends a call of gemmad's interface; method has no interface in front, parameters is borrowed and
 * may be NULL.  NULL for c: -ENOTCONN. */
int line_send(struct conn *c, const char *method, json_t *parameters, bool more);

/* The same with a descriptor (borrowed) that goes along; -EAGAIN when something else waits to be sent. */
int line_send_fd(struct conn *c, const char *method, json_t *parameters, int fd);

#endif
