/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_INTERFACE_H
#define IPC_INTERFACE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/why.h"

/* A Varlink interface description as a tree, to check messages against.  Immutable once parsed:
 * any thread. */
struct interface;

enum interface_side {
        INTERFACE_CALL,  /* the parameters of a method */
        INTERFACE_REPLY, /* what a method returns */
        INTERFACE_ERROR, /* the parameters of an error */
};

/* -EBADMSG and why, with the line, when the text is not a description. */
int interface_parse(struct interface **ret, const char *text, struct why *why);
struct interface *interface_free(struct interface *i);

const char *interface_name(const struct interface *i);

/* The text as it was parsed. */
const char *interface_text(const struct interface *i);

/* Names without the interface's own. */
bool interface_has_method(const struct interface *i, const char *method);

/* Checks an object against the declaration of a member, which must exist: every parameter of its
 * type, all there that must be, none that is not declared.  0, or -EINVAL and in ret the name of
 * the first parameter at fault; the name lives as long as i and parameters do. */
int interface_check(const struct interface *i,
                    enum interface_side side,
                    const char *member,
                    json_t *parameters,
                    const char **ret);

#endif
