/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_BUS_STEP_H
#define DESKTOP_BUS_STEP_H

#include <systemd/sd-bus.h>

#include "desktop/call.h"

struct desktop;

/* A method call on a bus that is made for the call of a tool.  What it needs lives until it is over,
 * or until the bus is. */
struct bus_step {
        struct desktop *desktop;
        struct call *call; /* a reference of the step's own */
        void *data;        /* owned by the step; may be taken */
        void (*release)(void *data); /* ... and what ends it */
};

/* reply: what came, or NULL with the error. */
typedef void bus_answered(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error);

/* Sends the message, which is borrowed.  data is taken over, also on failure, and ended by release:
 * NULL means free(). */
int bus_step_send(struct desktop *d,
                  struct call *call,
                  sd_bus_message *message,
                  void *data,
                  void (*release)(void *data),
                  bus_answered *answered);

/* The same for a method whose arguments are given in the manner of sd_bus_message_append(). */
struct bus_method {
        sd_bus *bus; /* NULL: the result is -ENOTCONN */
        const char *service, *path, *interface, *method;
        void (*release)(void *data);
};
int bus_step_call(struct desktop *d,
                  struct call *call,
                  const struct bus_method *method,
                  void *data,
                  bus_answered *answered,
                  const char *types,
                  ...);

/* Enters the variant of a property's value when it has this type; 0 when it has another, which is
 * skipped. */
int bus_enter_variant(sd_bus_message *message, const char *type);

/* Whether nobody has the name that was called. */
bool bus_is_missing(const sd_bus_error *error);

#endif
