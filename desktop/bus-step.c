/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/bus-step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "desktop/buses.h"

struct sent {
        struct bus_step step;
        bus_answered *answered;
};

static void end_data(void *data, void (*release_data)(void *data)) {
        if (data && release_data)
                release_data(data);
        else
                free(data);
}

static void release(void *userdata) {
        struct sent *sent = userdata;

        end_data(sent->step.data, sent->step.release);
        (void) call_unref(sent->step.call);
        free(sent);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct sent *sent = userdata;
        const sd_bus_error *failure = sd_bus_message_get_error(reply);

        (void) error;
        sent->answered(&sent->step, failure ? NULL : reply, failure);
        return 0;
}

int bus_step_send(struct desktop *d,
                  struct call *call,
                  sd_bus_message *message,
                  void *data,
                  void (*release_data)(void *data),
                  bus_answered *answered) {
        struct sent *sent = calloc(1, sizeof(*sent));
        sd_bus_slot *slot = NULL;
        int r;

        if (!sent) {
                end_data(data, release_data);
                return -ENOMEM;
        }
        *sent = (struct sent){ { d, call_ref(call), data, release_data }, answered };
        r = sd_bus_call_async(sd_bus_message_get_bus(message), &slot, message, on_reply, sent,
                              BUS_CALL_USEC);
        if (r < 0) {
                release(sent);
                return r;
        }
        /* From here on it belongs to the bus. */
        (void) sd_bus_slot_set_destroy_callback(slot, release);
        (void) sd_bus_slot_set_floating(slot, 1);
        (void) sd_bus_slot_unref(slot);
        return 0;
}

int bus_step_call(struct desktop *d,
                  struct call *call,
                  const struct bus_method *method,
                  void *data,
                  bus_answered *answered,
                  const char *types,
                  ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list args;
        int r = -ENOTCONN;

        if (method->bus)
                r = sd_bus_message_new_method_call(method->bus, &message, method->service,
                                                   method->path, method->interface, method->method);
        if (r >= 0 && types) {
                va_start(args, types);
                r = sd_bus_message_appendv(message, types, args);
                va_end(args);
        }
        if (r < 0) {
                end_data(data, method->release);
                return r;
        }
        return bus_step_send(d, call, message, data, method->release, answered);
}

int bus_enter_variant(sd_bus_message *message, const char *type) {
        int r;

        r = sd_bus_message_enter_container(message, 'v', type);
        if (r == -ENXIO)
                return sd_bus_message_skip(message, "v") < 0 ? -EBADMSG : 0;
        return r;
}

bool bus_is_missing(const sd_bus_error *error) {
        return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                      SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                      "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
                                      "org.freedesktop.DBus.Error.Spawn.ChildExited",
                                      "org.freedesktop.DBus.Error.Spawn.ChildSignaled",
                                      "org.freedesktop.DBus.Error.Spawn.ExecFailed",
                                      SD_BUS_ERROR_UNKNOWN_OBJECT, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                                      SD_BUS_ERROR_UNKNOWN_METHOD, SD_BUS_ERROR_DISCONNECTED);
}
