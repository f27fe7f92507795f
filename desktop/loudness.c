/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/loudness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"

#define FILE_NAME "/desktop-volumes.json"

#define MAX_STREAMS 32
#define MAX_NAME    256

/* What an alarm needs of the output. */
#define LEAST_PERCENT 40

/* Servers keep volumes in units of their own. */
#define NEAR (PA_VOLUME_NORM / 100)

/* A stream or an output that was changed. */
struct loan {
        uint32_t index;      /* of a stream */
        char name[MAX_NAME]; /* of the output, or of the program that plays */
        pa_volume_t was[PA_CHANNELS_MAX], is[PA_CHANNELS_MAX];
        unsigned n_channels;
        bool was_muted;
};

struct loudness {
        struct sound *sound; /* not owned */
        char *path;          /* owned; NULL: nothing is written down */
        bool is_ducked;      /* as it shall be */
        bool is_raised;
        uint32_t sink;                   /* to raise */
        uint32_t server;                 /* whose numbers those of the streams are */
        bool is_looked_after;            /* what the run before had left */
        struct loan streams[MAX_STREAMS]; /* [n_streams] */
        unsigned n_streams, n_set;       /* ... the first of them are changed already */
        struct loan output;              /* no channels: not changed */
        void (*settled)(void *userdata);
        void *userdata;
};

static pa_cvolume to_cvolume(const pa_volume_t *values, unsigned n) {
        pa_cvolume volume = { .channels = (uint8_t) n };

        for (unsigned i = 0; i < n; i++)
                volume.values[i] = values[i];
        return volume;
}

static void lend(struct loan *loan, const pa_cvolume *was, const pa_cvolume *is, const char *name) {
        loan->n_channels = was->channels;
        for (unsigned i = 0; i < was->channels; i++) {
                loan->was[i] = was->values[i];
                loan->is[i] = is->values[i];
        }
        (void) snprintf(loan->name, sizeof(loan->name), "%s", name ? name : "");
}

/* Whether nobody else has changed it since. */
static bool is_as_left(const struct loan *loan, const pa_cvolume *now) {
        if (now->channels != loan->n_channels)
                return false;
        for (unsigned i = 0; i < now->channels; i++) {
                pa_volume_t a = now->values[i], b = loan->is[i];

                if (a > b + NEAR || b > a + NEAR)
                        return false;
        }
        return true;
}

static json_t *list_volume(const pa_volume_t *values, unsigned n) {
        json_t *list = json_array();

        for (unsigned i = 0; i < n; i++)
                (void) json_array_append_new(list, json_integer(values[i]));
        return list;
}

static json_t *describe(const struct loan *loan) {
        return json_pack("{s:I, s:s, s:b, s:o, s:o}", "index", (json_int_t) loan->index, "name",
                         loan->name, "muted", (int) loan->was_muted, "was",
                         list_volume(loan->was, loan->n_channels), "is",
                         list_volume(loan->is, loan->n_channels));
}

/* Whole or not at all; nothing to write down is no file. */
static void write_down(const struct loudness *l) {
        _cleanup_(json_decrefp) json_t *all = NULL;
        char path[PATH_MAX];
        json_t *streams;
        int r;

        if (!l->path)
                return;
        if (l->n_streams == 0 && l->output.n_channels == 0) {
                (void) unlink(l->path);
                return;
        }
        streams = json_array();
        for (unsigned i = 0; i < l->n_streams; i++)
                (void) json_array_append_new(streams, describe(&l->streams[i]));
        all = json_pack("{s:I, s:o}", "server", (json_int_t) l->server, "streams", streams);
        if (all && l->output.n_channels > 0)
                (void) json_object_set_new(all, "output", describe(&l->output));
        r = snprintf(path, sizeof(path), "%s.new", l->path);
        if (!all || r >= (int) sizeof(path) || json_dump_file(all, path, JSON_COMPACT) < 0 ||
            rename(path, l->path) < 0)
                log_debug("The volumes that are changed could not be written down");
}

static unsigned read_volume(json_t *list, pa_volume_t *values) {
        size_t n = json_array_size(list);

        if (n > PA_CHANNELS_MAX)
                return 0;
        for (size_t i = 0; i < n; i++) {
                json_int_t value = json_integer_value(json_array_get(list, i));

                if (value < 0 || value > PA_VOLUME_MAX)
                        return 0;
                values[i] = (pa_volume_t) value;
        }
        return (unsigned) n;
}

static bool read_loan(json_t *object, struct loan *ret) {
        const char *name = json_string_value(json_object_get(object, "name"));

        *ret = (struct loan){
                .index = (uint32_t) json_integer_value(json_object_get(object, "index")),
                .was_muted = json_is_true(json_object_get(object, "muted")),
        };
        ret->n_channels = read_volume(json_object_get(object, "was"), ret->was);
        (void) snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
        return ret->n_channels > 0 &&
               read_volume(json_object_get(object, "is"), ret->is) == ret->n_channels;
}

static void read_back(struct loudness *l) {
        _cleanup_(json_decrefp) json_t *all = l->path ? json_load_file(l->path, 0, NULL) : NULL;
        json_t *stream;
        size_t i;

        l->server = (uint32_t) json_integer_value(json_object_get(all, "server"));
        json_array_foreach(json_object_get(all, "streams"), i, stream) {
                if (l->n_streams < MAX_STREAMS && read_loan(stream, &l->streams[l->n_streams]))
                        l->n_streams++;
        }
        l->n_set = l->n_streams;
        if (!read_loan(json_object_get(all, "output"), &l->output))
                l->output.n_channels = 0;
}

static void done(pa_operation *operation) {
        if (operation)
                pa_operation_unref(operation);
}

static void look_settled(struct loudness *l) {
        void (*settled)(void *) = l->settled;

        if (!settled || l->n_streams > 0 || l->output.n_channels > 0)
                return;
        l->settled = NULL;
        settled(l->userdata);
}

static struct loan *find_stream(struct loudness *l, uint32_t index) {
        for (unsigned i = 0; i < l->n_streams; i++)
                if (l->streams[i].index == index)
                        return &l->streams[i];
        return NULL;
}

static const char *name_of(const pa_sink_input_info *i) {
        const char *name = pa_proplist_gets(i->proplist, PA_PROP_APPLICATION_NAME);

        return name ? name : i->name;
}

/* Ours, and those that speak for us, are what shall be heard. */
static bool is_ours(const pa_sink_input_info *i) {
        const char *id = pa_proplist_gets(i->proplist, PA_PROP_APPLICATION_ID);
        const char *name = name_of(i);

        return (id && strcmp(id, "io.gemmad.Assistant") == 0) ||
               (name && strncmp(name, "speech-dispatcher", strlen("speech-dispatcher")) == 0);
}

static void put_streams_back(pa_context *context, struct loudness *l);

/* Written down first, changed then. */
static void duck_listed(pa_context *context, struct loudness *l) {
        write_down(l);
        for (; l->n_set < l->n_streams; l->n_set++) {
                const struct loan *loan = &l->streams[l->n_set];
                const pa_cvolume lower = to_cvolume(loan->is, loan->n_channels);

                done(pa_context_set_sink_input_volume(context, loan->index, &lower, NULL, NULL));
        }
        if (!l->is_ducked)
                put_streams_back(context, l);
}

static void
on_stream(pa_context *context, const pa_sink_input_info *i, int is_last, void *userdata) {
        struct loudness *l = userdata;
        struct loan *loan;
        pa_cvolume lower;

        if (is_last != 0) {
                duck_listed(context, l);
                return;
        }
        if (is_ours(i) || !i->has_volume || !i->volume_writable || l->n_streams == MAX_STREAMS ||
            find_stream(l, i->index))
                return;
        (void) pa_sw_cvolume_multiply_scalar(&lower, &i->volume,
                                             pa_sw_volume_from_dB(-LOUDNESS_DUCK_DB));
        loan = &l->streams[l->n_streams++];
        *loan = (struct loan){ .index = i->index };
        lend(loan, &i->volume, &lower, name_of(i));
}

static void list_streams(pa_context *context, struct loudness *l) {
        done(pa_context_get_sink_input_info_list(context, on_stream, l));
}

static void
on_lent_stream(pa_context *context, const pa_sink_input_info *i, int is_last, void *userdata) {
        struct loudness *l = userdata;
        const struct loan *loan;
        pa_cvolume was;

        if (is_last != 0) {
                l->n_streams = l->n_set = 0;
                write_down(l);
                look_settled(l);
                /* Wanted again meanwhile: now the server has been told what they were before. */
                if (l->is_ducked)
                        list_streams(context, l);
                return;
        }
        loan = find_stream(l, i->index);
        if (!loan || strcmp(loan->name, name_of(i) ? name_of(i) : "") != 0 ||
            !is_as_left(loan, &i->volume))
                return;
        was = to_cvolume(loan->was, loan->n_channels);
        done(pa_context_set_sink_input_volume(context, i->index, &was, NULL, NULL));
}

static void put_streams_back(pa_context *context, struct loudness *l) {
        if (l->n_streams > 0)
                done(pa_context_get_sink_input_info_list(context, on_lent_stream, l));
}

static void on_lent_output(pa_context *context, const pa_sink_info *i, int is_last, void *userdata) {
        struct loudness *l = userdata;
        const struct loan *loan = &l->output;
        pa_cvolume was = to_cvolume(loan->was, loan->n_channels);

        if (is_last != 0) {
                l->output.n_channels = 0;
                write_down(l);
                look_settled(l);
                return;
        }
        if (i->mute || !is_as_left(loan, &i->volume))
                return;
        done(pa_context_set_sink_volume_by_name(context, loan->name, &was, NULL, NULL));
        if (loan->was_muted)
                done(pa_context_set_sink_mute_by_name(context, loan->name, 1, NULL, NULL));
}

static void put_output_back(pa_context *context, struct loudness *l) {
        if (l->output.n_channels > 0)
                done(pa_context_get_sink_info_by_name(context, l->output.name, on_lent_output, l));
}

static void on_output(pa_context *context, const pa_sink_info *i, int is_last, void *userdata) {
        struct loudness *l = userdata;
        const pa_volume_t least = PA_VOLUME_NORM / 100 * LEAST_PERCENT;
        pa_cvolume louder;

        if (is_last != 0 || !l->is_raised || l->output.n_channels > 0)
                return;
        if (!i->mute && pa_cvolume_max(&i->volume) >= least)
                return;
        louder = i->volume;
        if (pa_cvolume_max(&louder) < least)
                (void) pa_cvolume_scale(&louder, least);
        lend(&l->output, &i->volume, &louder, i->name);
        l->output.was_muted = i->mute != 0;
        write_down(l);
        log_notice("The output is too quiet for an alarm, and louder until that is over");
        done(pa_context_set_sink_volume_by_name(context, i->name, &louder, NULL, NULL));
        done(pa_context_set_sink_mute_by_name(context, i->name, 0, NULL, NULL));
}

/* The numbers of streams are those of one server; the next one has others. */
static void note_server(struct loudness *l, const pa_server_info *info) {
        if (info && info->cookie == l->server)
                return;
        l->n_streams = l->n_set = 0;
        l->server = info ? info->cookie : 0;
}

static void on_first_server(pa_context *context, const pa_server_info *info, void *userdata) {
        struct loudness *l = userdata;

        note_server(l, info);
        if (l->n_streams > 0 || l->output.n_channels > 0)
                log_notice("Volumes that were changed when this program ended are put back");
        put_streams_back(context, l);
        if (!l->is_raised)
                put_output_back(context, l);
}

static void on_server(pa_context *context, const pa_server_info *info, void *userdata) {
        (void) context;
        note_server(userdata, info);
}

/* Before anything else that is asked of a server; it answers in order. */
static void look_after(pa_context *context, struct loudness *l) {
        done(pa_context_get_server_info(context, l->is_looked_after ? on_server : on_first_server,
                                        l));
        l->is_looked_after = true;
}

static void on_duck(pa_context *context, const char *missing, void *userdata) {
        struct loudness *l = userdata;

        (void) missing;
        if (context)
                look_after(context, l);
        if (!context) {
                /* With the server its streams have gone. */
                l->n_streams = l->n_set = 0;
                look_settled(l);
        } else if (l->is_ducked && l->n_streams == 0) {
                list_streams(context, l);
        } else {
                /* Also those that are on their way back: as they are now they are nobody's choice. */
                put_streams_back(context, l);
        }
}

static void on_raise(pa_context *context, const char *missing, void *userdata) {
        struct loudness *l = userdata;

        (void) missing;
        if (context)
                look_after(context, l);
        if (context && l->is_raised)
                done(pa_context_get_sink_info_by_index(context, l->sink, on_output, l));
        else if (context)
                put_output_back(context, l);
        else
                look_settled(l);
}

static void on_start(pa_context *context, const char *missing, void *userdata) {
        struct loudness *l = userdata;

        (void) missing;
        if (context && !l->is_looked_after)
                look_after(context, l);
}

int loudness_new(struct loudness **ret, struct sound *sound, const char *directory) {
        _cleanup_(loudness_freep) struct loudness *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->sound = sound;
        if (directory) {
                l->path = malloc(strlen(directory) + sizeof(FILE_NAME));
                if (!l->path)
                        return -ENOMEM;
                (void) strcpy(stpcpy(l->path, directory), FILE_NAME);
        }
        read_back(l);
        sound_with(sound, on_start, l);

        *ret = TAKE_PTR(l);
        return 0;
}

struct loudness *loudness_free(struct loudness *l) {
        if (!l)
                return NULL;

        free(l->path);
        free(l);
        return NULL;
}

void loudness_duck(struct loudness *l, bool is_ducked) {
        if (l->is_ducked == is_ducked || l->settled)
                return;
        l->is_ducked = is_ducked;
        sound_with(l->sound, on_duck, l);
}

void loudness_raise(struct loudness *l, uint32_t sink) {
        if (l->settled)
                return;
        l->is_raised = true;
        l->sink = sink;
        sound_with(l->sound, on_raise, l);
}

void loudness_lower(struct loudness *l) {
        if (!l->is_raised)
                return;
        l->is_raised = false;
        sound_with(l->sound, on_raise, l);
}

void loudness_settle(struct loudness *l, void (*settled)(void *userdata), void *userdata) {
        l->settled = settled;
        l->userdata = userdata;
        l->is_ducked = l->is_raised = false;
        if (l->n_streams > 0)
                sound_with(l->sound, on_duck, l);
        if (l->output.n_channels > 0)
                sound_with(l->sound, on_raise, l);
        look_settled(l);
}
