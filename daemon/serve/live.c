/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/live.h"

#include <errno.h>

#include "audio/frame.h"
#include "base/log.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"

#define ASSISTANT "io.gemmad.Assistant"

/* What a meter shows while nothing is heard. */
#define NO_LEVEL_DB (-120.0f)

void live_done(struct live *l) {
        listeners_done(&l->meters);
        listeners_done(&l->listings);
}

void live_add_status(const struct live *l, json_t *status) {
        const struct pipeline_microphone *m = &l->microphone;

        (void) json_object_set_new(status, "muted", json_boolean(l->is_muted));
        (void) json_object_set_new(status, "mode", json_string(mode_name(turns_mode(l->turns))));
        if (l->has_heard_itself)
                (void) json_object_set_new(status, "mode_reason", json_string("heard_itself"));
        (void) json_object_set_new(status, "ignored_segments",
                                   json_integer((json_int_t) turns_n_ignored(l->turns)));
        (void) json_object_set_new(status, "microphone",
                                   json_string(microphone_state_name(m->state)));
        if (m->device[0])
                (void) json_object_set_new(status, "microphone_device", reply_string(m->device));
        if (m->state == MICROPHONE_LOST)
                (void) json_object_set_new(status, "microphone_error", reply_string(m->why.text));
}

enum live_obstacle live_obstacle(const struct live *l) {
        if (l->is_loaded && !l->can_hear)
                return LIVE_DEAF;
        if (l->is_muted)
                return LIVE_MUTED;
        return l->is_asleep ? LIVE_ASLEEP : LIVE_NO_OBSTACLE;
}

void live_set_muted(struct live *l, bool is_muted) {
        l->is_muted = is_muted;
        if (is_muted)
                turns_cancel_live(l->turns);
        pipeline_set_muted(l->pipeline, is_muted);
}

static void use_mode(struct live *l, enum mode mode) {
        turns_set_mode(l->turns, mode);
        live_on_reload(l);
}

int live_set_mode(struct live *l, enum mode mode) {
        if (l->is_loaded && !l->can_hear && mode != MODE_PUSH)
                return -EOPNOTSUPP;
        l->is_mode_set = true;
        l->mode = mode;
        use_mode(l, mode);
        return 0;
}

void live_on_reload(struct live *l) {
        bool is_hands_free = l->can_hear && turns_mode(l->turns) != MODE_PUSH;

        pipeline_set_hands_free(l->pipeline,
                                is_hands_free ? l->config->max_seconds * FRAMES_PER_SECOND : 0);
}

void live_set_loaded(struct live *l, bool hears, enum mode mode) {
        if (!l->is_mode_set)
                l->mode = mode;
        l->is_loaded = true;
        l->can_hear = hears;
        if (!hears && l->mode != MODE_PUSH)
                log_warning("Mode=%s, but the model can not hear, going on without listening",
                            mode_name(l->mode));
        use_mode(l, hears ? l->mode : MODE_PUSH);
}

static json_t *reply_level(const struct live *l, const struct pipeline_level *level) {
        /* clang-format off */
        return json_pack("{s:s, s:f, s:f, s:f, s:f, s:b}",
                 "microphone", microphone_state_name(l->microphone.state),
                 "peak", (double) level->peak,
                 "rms", (double) level->rms,
                 "noise", (double) level->noise,
                 "offset", (double) level->offset,
                 "speaking", (int) level->is_speaking);
        /* clang-format on */
}

static void tell_level(struct live *l, const struct pipeline_level *level) {
        json_t *reply;

        if (!listeners_is_empty(&l->meters)) {
                reply = reply_level(l, level);
                listeners_tell(&l->meters, reply);
                json_decref(reply);
        }
        if (listeners_is_empty(&l->meters))
                pipeline_set_meter(l->pipeline, false);
}

static struct pipeline_level no_level(const struct live *l) {
        bool is_silent = l->microphone.state == MICROPHONE_SILENT;

        return (struct pipeline_level){
                .peak = NO_LEVEL_DB,
                .rms = NO_LEVEL_DB,
                .noise = NO_LEVEL_DB,
                .offset = is_silent ? l->microphone.value : 0,
        };
}

static void tell_no_level(struct live *l) {
        const struct pipeline_level none = no_level(l);

        tell_level(l, &none);
}

/* One line when it is lost, though the reason may change while it is, and one when it is back. */
static void log_change(const struct pipeline_microphone *before,
                       const struct pipeline_microphone *now) {
        bool was_bad = before->state == MICROPHONE_LOST || before->state == MICROPHONE_SILENT;

        if (now->state == MICROPHONE_LOST && before->state == MICROPHONE_LOST)
                log_debug("Still no microphone (%s)", now->why.text);
        else if (now->state == MICROPHONE_LOST)
                log_warning("No microphone (%s), trying again while it is wanted", now->why.text);
        else if (now->state == MICROPHONE_SILENT && now->value != 0)
                log_warning("The microphone %s gives one value all the time", now->device);
        else if (now->state == MICROPHONE_SILENT)
                log_warning("The microphone %s gives digital silence: is it switched off?",
                            now->device);
        else if (now->state == MICROPHONE_LIVE && was_bad)
                log_notice("The microphone is back: %s", now->device);
        else if (now->state == MICROPHONE_LIVE && before->state == MICROPHONE_LIVE)
                log_notice("The microphone is another one now: %s", now->device);
        else
                log_debug("Microphone: %s %s", microphone_state_name(now->state), now->device);
}

static json_t *reply_device(const struct capture_device *device) {
        /* clang-format off */
        return json_pack("{s:o, s:I, s:I, s:b, s:b}",
                 "name", reply_string(device->name),
                 "rate", (json_int_t) device->rate,
                 "channels", (json_int_t) device->n_channels,
                 "default", (int) device->is_default,
                 "bluetooth", (int) device->is_bluetooth);
        /* clang-format on */
}

static void answer_devices(struct live *l, const struct lister_result *result) {
        json_t *devices, *reply;

        if (result->r < 0) {
                listeners_refuse(&l->listings, ASSISTANT ".NoMicrophone", result->why.text);
                return;
        }
        devices = json_array();
        for (int i = 0; i < result->r; i++)
                (void) json_array_append_new(devices, reply_device(&result->listed[i]));
        reply = json_pack("{s:o}", "devices", devices);
        listeners_answer(&l->listings, reply);
        json_decref(reply);
}

void live_on_event(struct live *l, const struct pipeline_event *event) {
        switch (event->kind) {
        case PIPELINE_MICROPHONE:
                log_change(&l->microphone, &event->microphone);
                l->microphone = event->microphone;
                tell_no_level(l);
                break;
        case PIPELINE_LEVEL:
                tell_level(l, &event->level);
                break;
        case PIPELINE_SPEECH:
                turns_on_speech(l->turns);
                break;
        case PIPELINE_CALLED:
                turns_on_called(l->turns);
                break;
        case PIPELINE_STOPPED:
                turns_on_stopped(l->turns);
                break;
        case PIPELINE_NOT_CALLED:
                turns_on_not_called(l->turns);
                break;
        case PIPELINE_DEVICES:
                answer_devices(l, &event->devices);
                break;
        case PIPELINE_METERED:
                listeners_sweep(&l->meters);
                if (listeners_is_empty(&l->meters))
                        pipeline_set_meter(l->pipeline, false);
                break;
        case PIPELINE_ASLEEP:
                break;
        }
}

int live_on_mode(struct live *l, struct call *call, json_t *parameters) {
        const char *name = parameter_string(parameters, "mode", NULL);
        enum mode mode;

        if (!name || mode_from_name(name, &mode) < 0) {
                call_invalid_parameter(call, "mode");
                return 0;
        }
        if (live_set_mode(l, mode) < 0) {
                call_error(call, ASSISTANT ".CannotHear", NULL);
                return 0;
        }
        l->has_heard_itself = false;
        call_reply(call, NULL);
        return 0;
}

void live_on_heard_itself(struct live *l) {
        if (turns_mode(l->turns) == MODE_PUSH)
                return;
        log_warning("The microphone hears the answers, twice within a minute, so that it opens for a key "
                    "only from now on (Mode=push); headphones, or less volume, help");
        (void) live_set_mode(l, MODE_PUSH);
        l->has_heard_itself = true;
}

int live_on_mute(struct live *l, struct call *call, json_t *parameters) {
        live_set_muted(l, parameter_flag(parameters, "muted", true));
        call_reply(call, NULL);
        return 0;
}

void live_set_asleep(struct live *l, bool is_asleep) {
        l->is_asleep = is_asleep;
        if (is_asleep) {
                log_notice("The machine goes to sleep, and the microphone is closed");
                turns_cancel_live(l->turns);
        } else {
                log_notice("The machine is awake");
        }
        pipeline_set_asleep(l->pipeline, is_asleep);
}

int live_on_devices(struct live *l, struct call *call) {
        int r;

        r = listeners_add(&l->listings, call);
        if (r < 0)
                return r;
        pipeline_list(l->pipeline);
        return 0;
}

int live_on_level(struct live *l, struct call *call) {
        const struct pipeline_level none = no_level(l);
        int r;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        r = listeners_add(&l->meters, call);
        if (r < 0)
                return r;
        pipeline_set_meter(l->pipeline, true);
        (void) call_continue(call, reply_level(l, &none));
        return 0;
}
