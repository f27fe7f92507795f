/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/assistant.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/log.h"

#define BUS_NAME "io.gemmad.Assistant1"
#define BUS_PATH "/io/gemmad/Assistant1"

#define GEMMAD "io.gemmad.Assistant."

/* Of the answers to RequestName, the one that is hoped for. */
#define BUS_NAME_IS_OURS 1

/* Messages that may wait for a bus that does not read. */
#define BUS_MAX_QUEUED 1024

/* The properties that are texts. */
enum property {
        PROPERTY_STATE,
        PROPERTY_MODE,
        PROPERTY_MODEL,
        PROPERTY_VERSION,
        PROPERTY_HEARD,
        PROPERTY_ANSWERED,
        N_PROPERTIES,
};

static const char *const names[N_PROPERTIES] = {
        [PROPERTY_STATE] = "State",         [PROPERTY_MODE] = "Mode",
        [PROPERTY_MODEL] = "Model",         [PROPERTY_VERSION] = "Version",
        [PROPERTY_HEARD] = "LastHeard",     [PROPERTY_ANSWERED] = "LastAnswer",
};

/* While gemmad does not run. */
#define STOPPED "stopped"

struct assistant {
        struct buses *buses;        /* not owned */
        struct peer *peer;          /* not owned */
        char *texts[N_PROPERTIES];  /* owned, none is NULL */
        bool is_muted;
        json_int_t last_turn; /* 0: none, or forgotten */
        bool is_lossy;        /* signals were lost, and that has been said */
};

/* The bus, if a signal can be sent now. */
static sd_bus *bus_with_room(struct assistant *a) {
        sd_bus *bus = buses_session(a->buses);
        uint64_t n = 0;

        if (!bus)
                return NULL;
        (void) sd_bus_get_n_queued_write(bus, &n);
        if (n < BUS_MAX_QUEUED) {
                a->is_lossy = false;
                return bus;
        }
        if (!a->is_lossy)
                log_warning("The session bus does not read, leaving out signals");
        a->is_lossy = true;
        return NULL;
}

static void tell_property(struct assistant *a, const char *name) {
        sd_bus *bus = bus_with_room(a);

        if (bus)
                (void) sd_bus_emit_properties_changed(bus, BUS_PATH, BUS_NAME, name, NULL);
}

/* Keeps the old one when there is no memory, or nothing to set. */
static void set_text(struct assistant *a, enum property property, const char *text) {
        char *value;

        if (!text || strcmp(text, a->texts[property]) == 0)
                return;
        value = strdup(text);
        if (!value)
                return;
        free(a->texts[property]);
        a->texts[property] = value;
        tell_property(a, names[property]);
}

static void set_muted(struct assistant *a, bool is_muted) {
        if (a->is_muted == is_muted)
                return;
        a->is_muted = is_muted;
        tell_property(a, "Muted");
}

/* A call that gemmad has been handed, until its reply. */
struct request {
        struct assistant *assistant; /* not owned */
        sd_bus_message *message;     /* owned reference */
        int (*done)(struct request *request, json_t *parameters);
        char *mode; /* owned; that was asked for */
        bool is_muted;
};

static void request_free(struct request *request) {
        (void) sd_bus_message_unref(request->message);
        free(request->mode);
        free(request);
}

/* How gemmad's errors are called here; what has no name of its own is a failure. */
static int refuse(sd_bus_message *message, const struct varlink_reply *reply) {
        const char *error = reply->error, *reason;
        json_int_t queued = 0;

        if (strncmp(error, GEMMAD, strlen(GEMMAD)) == 0)
                error += strlen(GEMMAD);
        reason = json_string_value(json_object_get(reply->parameters, "reason"));
        if (strcmp(error, "Busy") == 0) {
                queued = json_integer_value(json_object_get(reply->parameters, "queued"));
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.Busy",
                                                  "%lld turns are waiting", (long long) queued);
        }
        if (strcmp(error, "BadText") == 0 || strcmp(error, "BadMessage") == 0)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.BadText", "%s",
                                                  reason ? reason : "the text is too long");
        if (strcmp(error, "CannotHear") == 0)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.CannotHear",
                                                  "the model can not hear");
        if (strcmp(error, "Muted") == 0)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.Muted",
                                                  "the microphone is muted");
        if (strcmp(error, "NoMicrophone") == 0)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.NoMicrophone", "%s",
                                                  reason ? reason : "there is no microphone");
        if (strcmp(error, "Stopping") == 0)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.Stopping",
                                                  "gemmad is stopping");
        return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_FAILED, "%s",
                                          reason ? reason : error);
}

static int refuse_without_gemmad(sd_bus_message *message) {
        return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.NotRunning",
                                          "gemmad is not running");
}

static void on_replied(const struct varlink_reply *reply, void *userdata) {
        struct request *request = userdata;

        if (!reply)
                (void) refuse_without_gemmad(request->message);
        else if (reply->error && request->done != NULL &&
                 strcmp(reply->error, GEMMAD "NoSuchTurn") == 0)
                (void) request->done(request, NULL);
        else if (reply->error)
                (void) refuse(request->message, reply);
        else
                (void) request->done(request, reply->parameters);
        request_free(request);
}

/* Hands a call on; parameters and mode are taken over.  What can not be is answered. */
static int hand_on(struct assistant *a,
                   sd_bus_message *message,
                   const char *method,
                   json_t *parameters,
                   const struct request *like) {
        struct request *request = malloc(sizeof(*request));
        int r;

        if (!request) {
                json_decref(parameters);
                free(like->mode);
                return -ENOMEM;
        }
        *request = *like;
        request->assistant = a;
        request->message = sd_bus_message_ref(message);
        r = peer_call(a->peer, method, parameters, on_replied, request);
        if (r >= 0)
                return 1;

        request_free(request);
        if (r == -ENOTCONN)
                return refuse_without_gemmad(message);
        if (r == -ENOBUFS)
                return sd_bus_reply_method_errorf(message, BUS_NAME ".Error.BadText",
                                                  "the text is too long");
        return sd_bus_reply_method_errno(message, r, NULL);
}

static int reply_turn(struct request *request, json_t *parameters) {
        json_t *id = json_object_get(json_object_get(parameters, "event"), "id");

        return sd_bus_reply_method_return(request->message, "t",
                                          (uint64_t) json_integer_value(id));
}

static int on_ask(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct request request = { .done = reply_turn };
        const char *text;
        int r;

        (void) error;
        r = sd_bus_message_read(message, "s", &text);
        if (r < 0)
                return r;
        return hand_on(userdata, message, "Ask",
                       json_pack("{s:s, s:b}", "text", text, "detached", 1), &request);
}

static int on_listen(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct request request = { .done = reply_turn };

        (void) error;
        return hand_on(userdata, message, "Listen", json_pack("{s:b}", "detached", 1), &request);
}

/* Known here at once, so that whoever has set it can read it. */
static int reply_muted(struct request *request, json_t *parameters) {
        (void) parameters;
        set_muted(request->assistant, request->is_muted);
        return sd_bus_reply_method_return(request->message, NULL);
}

static int on_mute(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct request request = { .done = reply_muted };
        int is_muted, r;

        (void) error;
        r = sd_bus_message_read(message, "b", &is_muted);
        if (r < 0)
                return r;
        request.is_muted = is_muted != 0;
        return hand_on(userdata, message, "Mute", json_pack("{s:b}", "muted", is_muted), &request);
}

static int reply_mode(struct request *request, json_t *parameters) {
        (void) parameters;
        set_text(request->assistant, PROPERTY_MODE, request->mode);
        return sd_bus_reply_method_return(request->message, NULL);
}

static int on_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct request request = { .done = reply_mode };
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        if (strcmp(name, "push") != 0 && strcmp(name, "open") != 0 && strcmp(name, "wake") != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "'%.40s' is none of push, open and wake", name);
        request.mode = strdup(name);
        if (!request.mode)
                return -ENOMEM;
        return hand_on(userdata, message, "SetMode", json_pack("{s:s}", "mode", name), &request);
}

/* NULL: there is no such turn. */
static int reply_cancelled(struct request *request, json_t *parameters) {
        bool is_cancelled = json_is_true(json_object_get(parameters, "cancelled"));

        return sd_bus_reply_method_return(request->message, "b", (int) is_cancelled);
}

static int on_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct request request = { .done = reply_cancelled };
        uint64_t id;
        int r;

        (void) error;
        r = sd_bus_message_read(message, "t", &id);
        if (r < 0)
                return r;
        if (id > INT64_MAX)
                return sd_bus_reply_method_return(message, "b", 0);
        return hand_on(userdata, message, "Cancel",
                       id == 0 ? NULL : json_pack("{s:I}", "id", (json_int_t) id), &request);
}

/* What a call is about: the last word of its name. */
static const char *noun_of(const json_t *group) {
        const char *name = json_string_value(json_object_get(group, "name"));
        const char *noun = name ? strrchr(name, '_') : NULL;

        return noun ? noun + 1 : name ? name : "";
}

static bool is_first_of_its_kind(const json_t *groups, size_t index) {
        for (size_t i = 0; i < index; i++)
                if (strcmp(noun_of(json_array_get(groups, i)), noun_of(json_array_get(groups, index))) == 0)
                        return false;
        return true;
}

static int append_sentences(sd_bus_message *reply, const json_t *groups, const char *noun) {
        const json_t *group, *sentence;
        size_t i, k;
        int r;

        json_array_foreach(groups, i, group) {
                if (strcmp(noun_of(group), noun) != 0)
                        continue;
                json_array_foreach(json_object_get(group, "sentences"), k, sentence) {
                        r = sd_bus_message_append(reply, "s", json_string_value(sentence));
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* What is asked back or can not be done: sentences that are understood, but nothing to try. */
static bool is_worth_saying(const json_t *group) {
        const char *name = json_string_value(json_object_get(group, "name"));

        return name && strcmp(name, "ask") != 0 && strcmp(name, "cannot") != 0;
}

/* The calls of one kind together, as gemmactl help shows them. */
static int append_kind(sd_bus_message *reply, const json_t *groups, size_t first) {
        const char *noun = noun_of(json_array_get(groups, first));
        int r;

        r = sd_bus_message_open_container(reply, 'r', "sas");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", noun);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        if (r >= 0)
                r = append_sentences(reply, groups, noun);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int reply_help(struct request *request, json_t *parameters) {
        const json_t *groups = json_object_get(parameters, "groups");
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(request->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sas)");
        for (size_t i = 0; r >= 0 && i < json_array_size(groups); i++)
                if (is_worth_saying(json_array_get(groups, i)) && is_first_of_its_kind(groups, i))
                        r = append_kind(reply, groups, i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0)
                return sd_bus_reply_method_errno(request->message, r, NULL);
        return sd_bus_message_send(reply);
}

static int on_help(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct request request = { .done = reply_help };

        (void) error;
        return hand_on(userdata, message, "Help", NULL, &request);
}

static int get_muted(sd_bus *bus,
                     const char *path,
                     const char *interface,
                     const char *property,
                     sd_bus_message *reply,
                     void *userdata,
                     sd_bus_error *error) {
        const struct assistant *a = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) error;
        return sd_bus_message_append(reply, "b", (int) a->is_muted);
}

#define TEXT(name, property)                                                                       \
        SD_BUS_PROPERTY(name, "s", NULL,                                                           \
                        offsetof(struct assistant, texts) + (property) * sizeof(char *),           \
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

/* clang-format off */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Ask", SD_BUS_ARGS("s", text), SD_BUS_RESULT("t", turn), on_ask,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Listen", SD_BUS_NO_ARGS, SD_BUS_RESULT("t", turn), on_listen,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Mute", SD_BUS_ARGS("b", muted), SD_BUS_NO_RESULT, on_mute,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMode", SD_BUS_ARGS("s", mode), SD_BUS_NO_RESULT, on_set_mode,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("t", turn), SD_BUS_RESULT("b", cancelled),
                                on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Help", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sas)", groups), on_help,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Heard", SD_BUS_ARGS("t", turn, "s", text), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Token", SD_BUS_ARGS("t", turn, "s", text), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Call", SD_BUS_ARGS("t", turn, "s", name, "s", arguments), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Done", SD_BUS_ARGS("t", turn, "s", outcome), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Transcript", SD_BUS_ARGS("t", turn, "s", text), 0),
        TEXT("State", PROPERTY_STATE),
        SD_BUS_PROPERTY("Muted", "b", get_muted, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        TEXT("Mode", PROPERTY_MODE),
        TEXT("Model", PROPERTY_MODEL),
        TEXT("LastHeard", PROPERTY_HEARD),
        TEXT("LastAnswer", PROPERTY_ANSWERED),
        TEXT("Version", PROPERTY_VERSION),
        SD_BUS_VTABLE_END
};
/* clang-format on */

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        uint32_t outcome = 0;

        (void) userdata;
        (void) error;
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "u", &outcome);
        if (outcome != BUS_NAME_IS_OURS)
                log_warning("The name " BUS_NAME
                            " is taken on the session bus, going on without it");
        return 0;
}

static void on_bus(sd_bus *bus, void *userdata) {
        int r;

        r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_NAME, vtable, userdata);
        if (r >= 0)
                r = sd_bus_request_name_async(bus, NULL, BUS_NAME, 0, on_name, userdata);
        if (r < 0)
                log_warning("Not on the session bus as " BUS_NAME ": %s", strerror(-r));
}

int assistant_new(struct assistant **ret, struct buses *buses, struct peer *peer) {
        _cleanup_(assistant_freep) struct assistant *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->buses = buses;
        a->peer = peer;
        for (unsigned i = 0; i < N_PROPERTIES; i++) {
                a->texts[i] = strdup(i == PROPERTY_STATE ? STOPPED : i == PROPERTY_MODE ? "push" : "");
                if (!a->texts[i])
                        return -ENOMEM;
        }
        buses_on_session(buses, on_bus, a);

        *ret = TAKE_PTR(a);
        return 0;
}

struct assistant *assistant_free(struct assistant *a) {
        if (!a)
                return NULL;

        for (unsigned i = 0; i < N_PROPERTIES; i++)
                free(a->texts[i]);
        free(a);
        return NULL;
}

static void tell_text(struct assistant *a, const char *signal, json_int_t id, const char *text) {
        sd_bus *bus = text ? bus_with_room(a) : NULL;

        if (bus)
                (void) sd_bus_emit_signal(bus, BUS_PATH, BUS_NAME, signal, "ts", (uint64_t) id,
                                          text);
}

static void tell_call(struct assistant *a, json_int_t id, json_t *call) {
        const char *name = json_string_value(json_object_get(call, "name"));
        char *arguments = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT);
        sd_bus *bus = name && arguments ? bus_with_room(a) : NULL;

        if (bus)
                (void) sd_bus_emit_signal(bus, BUS_PATH, BUS_NAME, "Call", "tss", (uint64_t) id,
                                          name, arguments);
        free(arguments);
}

/* First what is asked for when the signal comes, then the signal. */
static void tell_done(struct assistant *a, json_int_t id, json_t *turn) {
        a->last_turn = id;
        set_text(a, PROPERTY_HEARD, json_string_value(json_object_get(turn, "heard")));
        set_text(a, PROPERTY_ANSWERED, json_string_value(json_object_get(turn, "answered")));
        tell_text(a, "Done", id, json_string_value(json_object_get(turn, "outcome")));
}

static void forget(struct assistant *a) {
        a->last_turn = 0;
        set_text(a, PROPERTY_HEARD, "");
        set_text(a, PROPERTY_ANSWERED, "");
}

void assistant_on_event(struct assistant *a, json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        const char *text = json_string_value(json_object_get(event, "text"));
        json_int_t id = json_integer_value(json_object_get(event, "id"));

        if (!a || !kind)
                return;
        if (strcmp(kind, "heard") == 0)
                tell_text(a, "Heard", id, text);
        else if (strcmp(kind, "token") == 0)
                tell_text(a, "Token", id, text);
        else if (strcmp(kind, "call") == 0)
                tell_call(a, id, json_object_get(event, "call"));
        else if (strcmp(kind, "done") == 0)
                tell_done(a, id, json_object_get(event, "turn"));
        else if (strcmp(kind, "forgotten") == 0)
                forget(a);
        else if (strcmp(kind, "transcript") == 0) {
                if (id == a->last_turn)
                        set_text(a, PROPERTY_HEARD, text);
                tell_text(a, "Transcript", id, text);
        }
}

void assistant_on_status(struct assistant *a, json_t *status) {
        if (!a)
                return;
        if (!status) {
                forget(a);
                set_text(a, PROPERTY_MODEL, "");
                set_text(a, PROPERTY_STATE, STOPPED);
                return;
        }
        set_muted(a, json_is_true(json_object_get(status, "muted")));
        set_text(a, PROPERTY_VERSION, json_string_value(json_object_get(status, "version")));
        set_text(a, PROPERTY_MODEL, json_string_value(json_object_get(status, "model")));
        set_text(a, PROPERTY_MODE, json_string_value(json_object_get(status, "mode")));
        set_text(a, PROPERTY_STATE, json_string_value(json_object_get(status, "state")));
}
