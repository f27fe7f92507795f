/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "ipc/varlink.h"

#define INTERFACE "io.gemmad.Assistant."

#define MAX_MESSAGE_SIZE (8u << 20)
#define MAX_UNSENT_SIZE  (4u << 20)

int line_open(struct conn **ret, const struct line_config *config) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;
        struct conn_config conn = {
                .max_message_size = MAX_MESSAGE_SIZE,
                .max_unsent_size = MAX_UNSENT_SIZE,
                .priority = config->priority,
                .handler = config->handler,
                .userdata = config->userdata,
        };
        int r;

        if (strlen(config->path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, config->path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;

        conn.fd = fd;
        r = conn_new(ret, config->loop, &conn);
        if (r >= 0)
                fd = -1;
        return r;
}

static int send_with(struct conn *c, const char *method, json_t *parameters, bool more, int fd) {
        _cleanup_(freep) char *text = NULL;
        char name[128];
        size_t size;
        int r;

        if (!c)
                return -ENOTCONN;
        (void) snprintf(name, sizeof(name), INTERFACE "%s", method);
        r = varlink_format_call(name, parameters, more, &text, &size);
        if (r < 0)
                return r;
        return fd < 0 ? conn_send(c, text, size) : conn_send_fd(c, text, size, fd);
}

int line_send(struct conn *c, const char *method, json_t *parameters, bool more) {
        return send_with(c, method, parameters, more, -1);
}

int line_send_fd(struct conn *c, const char *method, json_t *parameters, int fd) {
        return send_with(c, method, parameters, /* more= */ false, fd);
}
