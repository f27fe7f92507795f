/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/volume.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse/pulseaudio.h>

#include "desktop/desktop.h"
#include "desktop/tools.h"

/* "Turn it up" without a number. */
#define STEP_PERCENT 10

#define DEFAULT_OUTPUT     "@DEFAULT_SINK@"
#define DEFAULT_MICROPHONE "@DEFAULT_SOURCE@"

enum action { ACTION_GET, ACTION_SET, ACTION_CHANGE, ACTION_MUTE };

/* One call on its way: the device is looked up, then changed.  Ends with the last step. */
struct job {
        struct call *call; /* owned reference */
        enum action action;
        int percent; /* to, or by */
        bool is_microphone;
        bool is_muted; /* as it shall be */
        char sentence[64];
        int result_percent;
        uint32_t index; /* of the output */
};

static void job_end(struct job *job) {
        (void) call_unref(job->call);
        free(job);
}

/* A server that goes away takes its operations along without calling anybody back but this. */
static void on_operation(pa_operation *operation, void *userdata) {
        struct job *job = userdata;

        if (pa_operation_get_state(operation) != PA_OPERATION_CANCELLED)
                return;
        call_fail(job->call, "The sound server is gone.");
        job_end(job);
}

/* Takes the operation over, and ends the job when there is none. */
static void follow(struct job *job, pa_operation *operation) {
        if (!operation) {
                call_fail(job->call, "The sound server does not take that.");
                job_end(job);
                return;
        }
        pa_operation_set_state_callback(operation, on_operation, job);
        pa_operation_unref(operation);
}

static void say(struct job *job) {
        call_say(job->call,
                 json_pack("{s:i, s:b}", "percent", job->result_percent, "muted", job->is_muted),
                 "%s", job->sentence);
}

static void on_changed(pa_context *context, int is_success, void *userdata) {
        struct job *job = userdata;

        if (is_success)
                say(job);
        else
                call_fail(job->call, "The sound server refused that: %s.",
                          pa_strerror(pa_context_errno(context)));
        job_end(job);
}

/* The volume is set; whether it is heard comes next. */
static void on_volume_set(pa_context *context, int is_success, void *userdata) {
        struct job *job = userdata;

        if (is_success)
                follow(job, pa_context_set_sink_mute_by_index(context, job->index, job->is_muted,
                                                              on_changed, job));
        else
                on_changed(context, is_success, job);
}

static int to_percent(pa_volume_t volume) {
        return (int) lround(100.0 * volume / PA_VOLUME_NORM);
}

static int clamp_percent(int percent) {
        return percent < 0 ? 0 : percent > 100 ? 100 : percent;
}

/* Keeps the balance of the channels. */
static pa_cvolume scaled(const pa_cvolume *volume, int percent) {
        pa_cvolume changed = *volume;

        (void) pa_cvolume_scale(&changed,
                                (pa_volume_t) lround(percent / 100.0 * PA_VOLUME_NORM));
        return changed;
}

static void describe_mute(struct job *job) {
        const char *sentence;

        if (job->is_microphone)
                sentence = job->is_muted ? "Microphone muted." : "Microphone on.";
        else
                sentence = job->is_muted ? "Muted." : NULL;
        if (sentence)
                (void) snprintf(job->sentence, sizeof(job->sentence), "%s", sentence);
        else
                (void) snprintf(job->sentence, sizeof(job->sentence), "Sound on, volume %d percent.",
                                job->result_percent);
}

/* What is to be, from what is.  More volume than before is meant to be heard. */
static void decide(struct job *job, int percent, bool is_muted) {
        int wanted = percent;

        if (job->action == ACTION_SET)
                wanted = clamp_percent(job->percent);
        else if (job->action == ACTION_CHANGE)
                wanted = clamp_percent(percent + job->percent);
        job->result_percent = wanted;

        if (job->action == ACTION_MUTE) {
                describe_mute(job);
                return;
        }
        job->is_muted = is_muted;
        if (job->action == ACTION_SET || job->percent > 0)
                job->is_muted = is_muted && wanted == 0;
        (void) snprintf(job->sentence, sizeof(job->sentence), "Volume %d percent%s.", wanted,
                        job->is_muted ? ", muted" : "");
}

static void on_sink(pa_context *context, const pa_sink_info *info, int end, void *userdata) {
        struct job *job = userdata;
        pa_cvolume volume;

        if (end < 0) {
                call_fail(job->call, "There is no sound output.");
                job_end(job);
                return;
        }
        if (!info)
                return;

        decide(job, to_percent(pa_cvolume_max(&info->volume)), info->mute);
        if (job->action == ACTION_GET) {
                say(job);
                job_end(job);
                return;
        }
        job->index = info->index;
        if (job->action == ACTION_MUTE) {
                on_volume_set(context, /* is_success= */ true, job);
                return;
        }
        volume = scaled(&info->volume, job->result_percent);
        follow(job, pa_context_set_sink_volume_by_index(context, info->index, &volume,
                                                        on_volume_set, job));
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *userdata) {
        struct job *job = userdata;

        if (end < 0) {
                call_fail(job->call, "There is no microphone.");
                job_end(job);
                return;
        }
        if (!info)
                return;

        decide(job, to_percent(pa_cvolume_max(&info->volume)), info->mute);
        follow(job, pa_context_set_source_mute_by_index(context, info->index, job->is_muted,
                                                        on_changed, job));
}

static void on_ready(pa_context *context, const char *missing, void *userdata) {
        struct job *job = userdata;

        if (!context) {
                call_fail(job->call, "%s", missing);
                job_end(job);
                return;
        }
        if (job->is_microphone)
                follow(job, pa_context_get_source_info_by_name(context, DEFAULT_MICROPHONE, on_source,
                                                               job));
        else
                follow(job,
                       pa_context_get_sink_info_by_name(context, DEFAULT_OUTPUT, on_sink, job));
}

static void start(struct desktop *d, struct call *call, struct job wanted) {
        struct job *job = malloc(sizeof(*job));

        if (!job)
                return call_fail(call, "There is no memory left.");
        *job = wanted;
        job->call = call_ref(call);
        sound_with(d->sound, on_ready, job);
}

void volume_set(struct desktop *d, struct call *call) {
        struct job job = { .action = ACTION_SET };

        if (call_whole(call, "percent", 0, 100, &job.percent) == 0)
                call_fail(call, "To what volume?");
        if (!call_is_answered(call))
                start(d, call, job);
}

void volume_change(struct desktop *d, struct call *call) {
        struct job job = { .action = ACTION_CHANGE, .percent = STEP_PERCENT };

        if (call_whole(call, "percent", 0, 100, &job.percent) < 0)
                return;
        if (call_is(call, "direction", "down"))
                job.percent = -job.percent;
        else if (!call_is(call, "direction", "up"))
                return call_fail(call, "The volume goes up or down.");
        start(d, call, job);
}

void volume_get(struct desktop *d, struct call *call) {
        start(d, call, (struct job){ .action = ACTION_GET });
}

void volume_mute(struct desktop *d, struct call *call) {
        struct job job = {
                .action = ACTION_MUTE,
                .is_microphone = call_is(call, "device", "microphone"),
                .is_muted = !call_is(call, "state", "off"),
        };

        start(d, call, job);
}
