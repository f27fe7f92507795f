/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/bus.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "audio/frame.h"
#include "base/log.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"

#define BUS_NAME "io.gemmad.Assistant1"
#define BUS_PATH "/io/gemmad/Assistant1"

/* Of the answers to RequestName, the one that is hoped for. */
#define BUS_NAME_IS_OURS 1

/* Messages that may wait for a bus that does not read. */
#define BUS_MAX_QUEUED 1024

struct bus {
        struct bus_config config;
        struct turns *turns; /* not owned */
        sd_bus *bus;         /* owned reference */
        char *model;         /* owned, never NULL, like the next two; valid UTF-8 */
        char *heard;         /* of the last turn */
        char *answered;
        uint64_t last_turn; /* 0: none, or forgotten */
        enum activity told; /* what the bus knows */
        enum mode told_mode;
        bool told_muted;
        bool is_lossy; /* signals were lost, and that has been said */
};

/* Whether a signal can be sent now. */
static bool has_room(struct bus *b) {
        uint64_t n = 0;

        if (sd_bus_is_open(b->bus) <= 0)
                return false;
        (void) sd_bus_get_n_queued_write(b->bus, &n);
        if (n < BUS_MAX_QUEUED) {
                b->is_lossy = false;
                return true;
        }
        if (!b->is_lossy)
                log_warning("The session bus does not read, leaving out signals");
        b->is_lossy = true;
        return false;
}

static void tell_property(struct bus *b, const char *name) {
        if (has_room(b))
                (void) sd_bus_emit_properties_changed(b->bus, BUS_PATH, BUS_NAME, name, NULL);
}

/* Valid UTF-8 of what may be none; the caller frees it.  NULL when there is no memory. */
static char *clean(const char *text, size_t size) {
        json_t *string = reply_text(text, size);
        char *copy = string ? strdup(json_string_value(string)) : NULL;

        json_decref(string);
        return copy;
}

/* A property that is a text.  Keeps the old one when there is no memory. */
static void
set_property(struct bus *b, char **property, const char *name, const char *text, size_t size) {
        char *value = clean(text, size);

        if (!value || strcmp(value, *property) == 0) {
                free(value);
                return;
        }
        free(*property);
        *property = value;
        tell_property(b, name);
}

static int refuse_turn(const struct bus *b, sd_bus_error *error, int r) {
        if (r == -EBUSY)
                return sd_bus_error_setf(error, BUS_NAME ".Error.Busy", "%u turns are waiting",
                                         turns_n_waiting(b->turns));
        if (r == -ESHUTDOWN)
                return sd_bus_error_set(error, BUS_NAME ".Error.Stopping", "gemmad is stopping");
        return r;
}

static int on_ask(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        struct ask ask = {
                .audio_fd = -1,
                .thinking = b->config.config->thinking,
                .max_tokens = b->config.config->max_tokens,
        };
        struct why why = {};
        struct turn *turn;
        int r;

        r = sd_bus_message_read(message, "s", &ask.text);
        if (r < 0)
                return r;
        ask.text_size = strlen(ask.text);
        if (check_question(b->config.config, ask.text, ask.text_size, &why) < 0)
                return sd_bus_error_set(error, BUS_NAME ".Error.BadText", why.text);

        r = turns_ask(b->turns, &ask, &turn);
        if (r < 0)
                return refuse_turn(b, error, r);
        return sd_bus_reply_method_return(message, "t", turn->id);
}

static int refuse_listening(sd_bus_error *error, enum live_obstacle obstacle) {
        switch (obstacle) {
        case LIVE_NO_OBSTACLE:
                return 0;
        case LIVE_DEAF:
                return sd_bus_error_set(error, BUS_NAME ".Error.CannotHear",
                                        "the model can not hear");
        case LIVE_MUTED:
                return sd_bus_error_set(error, BUS_NAME ".Error.Muted", "the microphone is muted");
        case LIVE_ASLEEP:
                break;
        }
        return sd_bus_error_set(error, BUS_NAME ".Error.NoMicrophone", "the machine goes to sleep");
}

static int on_listen(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const struct ask ask = {
                .audio_fd = -1,
                .is_live = true,
                .max_frames = b->config.config->max_seconds * FRAMES_PER_SECOND,
                .thinking = b->config.config->thinking,
                .max_tokens = b->config.config->max_tokens,
        };
        struct turn *turn;
        int r;

        r = refuse_listening(error, live_obstacle(b->config.live));
        if (r < 0)
                return r;
        r = turns_ask(b->turns, &ask, &turn);
        if (r < 0)
                return refuse_turn(b, error, r);
        return sd_bus_reply_method_return(message, "t", turn->id);
}

static int on_mute(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        int is_muted, r;

        (void) error;
        r = sd_bus_message_read(message, "b", &is_muted);
        if (r < 0)
                return r;
        live_set_muted(b->config.live, is_muted);
        b->config.changed(b->config.userdata);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const char *name;
        enum mode mode;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        if (mode_from_name(name, &mode) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "'%.40s' is none of push, open and wake", name);
        if (live_set_mode(b->config.live, mode) < 0)
                return refuse_listening(error, LIVE_DEAF);
        b->config.changed(b->config.userdata);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        uint64_t id;
        int r;

        (void) error;
        r = sd_bus_message_read(message, "t", &id);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(message, "b", (int) turns_cancel(b->turns, id));
}

/* The parameters that a property's getter must have. */
#define GETTER                                                                                     \
        sd_bus *bus, const char *path, const char *interface, const char *property,                \
                sd_bus_message *reply, void *userdata, sd_bus_error *error

static int get_state(GETTER) {
        const struct bus *b = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) error;
        return sd_bus_message_append(reply, "s", activity_name(turns_activity(b->turns)));
}

static int get_mode(GETTER) {
        const struct bus *b = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) error;
        return sd_bus_message_append(reply, "s", mode_name(turns_mode(b->turns)));
}

static int get_muted(GETTER) {
        const struct bus *b = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) error;
        return sd_bus_message_append(reply, "b", (int) b->config.live->is_muted);
}

static int get_version(GETTER) {
        const struct bus *b = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) error;
        return sd_bus_message_append(reply, "s", b->config.version);
}

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
        SD_BUS_SIGNAL_WITH_ARGS("Heard", SD_BUS_ARGS("t", turn, "s", text), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Token", SD_BUS_ARGS("t", turn, "s", text), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Call", SD_BUS_ARGS("t", turn, "s", name, "s", arguments), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Done", SD_BUS_ARGS("t", turn, "s", outcome), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Transcript", SD_BUS_ARGS("t", turn, "s", text), 0),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Muted", "b", get_muted, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", get_mode, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Model", "s", NULL, offsetof(struct bus, model),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastHeard", "s", NULL, offsetof(struct bus, heard),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastAnswer", "s", NULL, offsetof(struct bus, answered),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
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

static int on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) message;
        (void) userdata;
        (void) error;
        log_notice("The session bus is gone, going on without it");
        return 0;
}

static int start(struct bus *b) {
        int r;

        r = sd_bus_add_object_vtable(b->bus, NULL, BUS_PATH, BUS_NAME, vtable, b);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(b->bus, NULL, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_gone, NULL, b);
        if (r < 0)
                return r;
        r = sd_bus_request_name_async(b->bus, NULL, BUS_NAME, 0, on_name, b);
        if (r < 0)
                return r;
        /* At the end of the loop nothing is flushed: a bus that does not read would hold up the end. */
        r = sd_bus_set_close_on_exit(b->bus, 0);
        if (r < 0)
                return r;
        return sd_bus_attach_event(b->bus, b->config.loop, SD_EVENT_PRIORITY_NORMAL);
}

int bus_open(struct bus **ret, const struct bus_config *config, struct why *why) {
        _cleanup_(bus_closep) struct bus *b = NULL;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return because(why, -ENOMEM, "out of memory");
        b->config = *config;
        b->model = strdup("");
        b->heard = strdup("");
        b->answered = strdup("");
        if (!b->model || !b->heard || !b->answered)
                return because(why, -ENOMEM, "out of memory");

        r = sd_bus_open_user_with_description(&b->bus, "gemmad");
        if (r >= 0)
                r = start(b);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));

        *ret = TAKE_PTR(b);
        return 0;
}

/* Nothing is flushed, which could wait for ever: what the bus had room for is there already. */
struct bus *bus_close(struct bus *b) {
        if (!b)
                return NULL;

        sd_bus_close_unref(b->bus);
        free(b->model);
        free(b->heard);
        free(b->answered);
        free(b);
        return NULL;
}

void bus_set_turns(struct bus *b, struct turns *turns) {
        if (b)
                b->turns = turns;
}

void bus_set_loaded(struct bus *b, const struct event_loaded *loaded) {
        if (b)
                set_property(b, &b->model, "Model", loaded->model, strlen(loaded->model));
}

static void
tell_text(struct bus *b, const char *signal, uint64_t id, const char *text, size_t size) {
        char *copy = clean(text, size);

        if (copy && has_room(b))
                (void) sd_bus_emit_signal(b->bus, BUS_PATH, BUS_NAME, signal, "ts", id, copy);
        free(copy);
}

static void tell_call(struct bus *b, const struct news *news) {
        const char *name = json_string_value(json_object_get(news->call, "name"));
        char *arguments = json_dumps(json_object_get(news->call, "arguments"), JSON_COMPACT);

        if (name && arguments && has_room(b))
                (void) sd_bus_emit_signal(b->bus, BUS_PATH, BUS_NAME, "Call", "tss", news->turn->id,
                                          name, arguments);
        free(arguments);
}

/* First what is asked for when the signal comes, then the signal. */
static void tell_done(struct bus *b, const struct turn *turn) {
        const char *outcome = outcome_name(turn->outcome);

        b->last_turn = turn->id;
        set_property(b, &b->heard, "LastHeard", text_data(&turn->heard), turn->heard.size);
        set_property(b, &b->answered, "LastAnswer", text_data(&turn->answered),
                     turn->answered.size);
        bus_changed(b);
        tell_text(b, "Done", turn->id, outcome, strlen(outcome));
}

void bus_on_news(struct bus *b, const struct news *news) {
        if (!b)
                return;

        switch (news->kind) {
        case NEWS_STARTED:
                bus_changed(b);
                break;
        case NEWS_HEARD:
                tell_text(b, "Heard", news->turn->id, news->text, news->text_size);
                break;
        case NEWS_TOKEN:
                tell_text(b, "Token", news->turn->id, news->text, news->text_size);
                break;
        case NEWS_CALL:
                tell_call(b, news);
                break;
        case NEWS_RESULT:
                break;
        case NEWS_DONE:
                tell_done(b, news->turn);
                break;
        case NEWS_TRANSCRIPT:
                if (news->id == b->last_turn)
                        set_property(b, &b->heard, "LastHeard", news->text, news->text_size);
                tell_text(b, "Transcript", news->id, news->text, news->text_size);
                break;
        }
}

void bus_changed(struct bus *b) {
        enum activity activity;
        enum mode mode;

        if (!b)
                return;
        if (b->told_muted != b->config.live->is_muted) {
                b->told_muted = b->config.live->is_muted;
                tell_property(b, "Muted");
        }
        mode = turns_mode(b->turns);
        if (mode != b->told_mode) {
                b->told_mode = mode;
                tell_property(b, "Mode");
        }
        activity = turns_activity(b->turns);
        if (activity == b->told)
                return;
        b->told = activity;
        tell_property(b, "State");
}

void bus_forget(struct bus *b) {
        if (!b)
                return;
        b->last_turn = 0;
        set_property(b, &b->heard, "LastHeard", "", 0);
        set_property(b, &b->answered, "LastAnswer", "", 0);
}
