/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"
#include "picture/picture.h"

/* Standard input is one thing only. */
static bool is_stdin_wanted_twice(const struct ctl *c) {
        unsigned n = c->audio && strcmp(c->audio, "-") == 0;

        for (unsigned i = 0; i < c->n_images; i++)
                n += strcmp(c->images[i], "-") == 0;
        return n > 1 || (n == 1 && !c->audio && c->n_arguments == 0);
}

static enum ctl_exit read_picture(const char *path, struct picture *ret) {
        bool is_stdin = strcmp(path, "-") == 0;
        _cleanup_(closep) int fd = -1;
        struct why why;

        if (is_stdin && isatty(STDIN_FILENO)) {
                print_error("--image -: standard input is a terminal");
                return CTL_EXIT_USAGE;
        }
        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                print_error("%s: %s", path, strerror(errno));
                return CTL_EXIT_BAD_INPUT;
        }
        if (picture_read(ret, fd, is_stdin ? "standard input" : path, &why) < 0) {
                print_error("%s", why.text);
                return CTL_EXIT_BAD_INPUT;
        }
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_add_images(const struct ctl *c, json_t *parameters, int *fds, unsigned *n) {
        json_t *list;

        if (c->n_images == 0)
                return CTL_EXIT_OK;
        if (is_stdin_wanted_twice(c)) {
                print_error("standard input can be only one of a picture, the sound and the text");
                return CTL_EXIT_USAGE;
        }
        list = json_array();
        (void) json_object_set_new(parameters, "images", list);
        for (unsigned i = 0; i < c->n_images; i++) {
                struct picture picture;
                enum ctl_exit e = read_picture(c->images[i], &picture);

                if (e != CTL_EXIT_OK)
                        return e;
                (void) json_array_append_new(list,
                                             json_pack("{s:i, s:I, s:I}", "fd", (int) *n, "width",
                                                       (json_int_t) picture.width, "height",
                                                       (json_int_t) picture.height));
                fds[(*n)++] = picture.fd;
        }
        return CTL_EXIT_OK;
}
