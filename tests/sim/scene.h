/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_SCENE_H
#define TESTS_SIM_SCENE_H

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wake.h"
#include "daemon/turn/turns.h"
#include "tests/sim/fake-capture.h"
#include "tests/sim/fake-session.h"
#include "tests/tap.h"

/* The threads of the daemon around a scripted engine and a played microphone, and the loop of its
 * main thread, for one test program at a time. */
static struct scene {
        struct config *config;
        struct sound_queue sounds;
        struct starter *starter;
        struct pipeline *pipeline;
        struct inference *inference;
        struct keeper *keeper; /* NULL: there is no history */
        struct toolbox *toolbox;
        struct turns *turns;
        sd_event *loop;
        sd_event_source *events;
        json_t *help; /* owned, as the daemon's control owns it; NULL: none */
        unsigned n_interrupted, n_heard_itself; /* what turns have told */
        bool is_loaded, load_failed;
        char reason[512]; /* of not being loaded */
} scene;

static void scene_on_interrupt(void *userdata) {
        (void) userdata;
        scene.n_interrupted++;
}

static void scene_on_heard_itself(void *userdata) {
        (void) userdata;
        scene.n_heard_itself++;
}

static int scene_on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct event event;

        (void) source;
        (void) revents;
        (void) userdata;
        wake_clear(fd);
        while (inference_next_event(scene.inference, &event)) {
                if (event.kind == EVENT_LOADED) {
                        scene.is_loaded = true;
                        turns_set_loaded(scene.turns, &event);
                        json_decref(scene.help);
                        scene.help = event.loaded.help;
                } else if (event.kind == EVENT_LOAD_FAILED) {
                        scene.load_failed = true;
                        (void) snprintf(scene.reason, sizeof(scene.reason), "%s", event.why.text);
                } else {
                        turns_on_event(scene.turns, &event);
                }
        }
        return 0;
}

static void scene_add_tool(const struct tool_info *info, void *userdata) {
        char *parameters = json_dumps(info->parameters, JSON_COMPACT);
        struct tool tool = { info->name, info->description, parameters };

        expect(toolset_add(userdata, &tool) == 0);
        free(parameters);
}

static void scene_on_tools(void *userdata) {
        struct toolset *tools;

        (void) userdata;
        expect(toolset_new(&tools) == 0);
        toolbox_list(scene.toolbox, scene_add_tool, tools);
        inference_set_tools(scene.inference, tools);
}

/* Returns the largest number that a turn has had. */
static uint64_t scene_keep(const char *folder) {
        struct keeper_config config = { .loop = scene.loop };
        struct why why = {};
        uint64_t last = 0;

        expect(store_open(&config.store, folder, &why) == 0);
        expect(store_last_number(config.store, &last, &why) == 0);
        expect(store_begin_session(config.store, 1, "0", "fake", &why) == 0);
        expect(keeper_new(&scene.keeper, &config, &why) == 0);
        return last;
}

static int scene_result;

static void scene_on_result(int r, uint64_t n, const struct why *why, void *userdata) {
        (void) n;
        if (r < 0)
                printf("# %s\n", why->text);
        scene_result = r;
        *(bool *) userdata = true;
}

/* Reads the history, while the loop runs. */
static inline int scene_read(const struct store_query *query, const struct store_visitor *visitor) {
        bool is_done = false;
        struct why why = {};

        expect(keeper_read(scene.keeper, query, visitor, &(struct keeper_waiter){ scene_on_result, &is_done }, &why) == 0);
        while (!is_done && sd_event_run(scene.loop, UINT64_MAX) >= 0)
                continue;
        return scene_result;
}

static inline int scene_see_number(const struct record *turn, void *userdata) {
        *(uint64_t *) userdata = turn->id;
        return 1;
}

/* The newest turn of the history; 0: there is none. */
static inline uint64_t scene_last_turn(void) {
        uint64_t last = 0;

        expect(scene_read(&(struct store_query){ .kind = STORE_HISTORY, .limit = 1 },
                          &(struct store_visitor){ scene_see_number, &last }) >= 0);
        return last;
}

/* Until the pipeline has done what it was asked for, and taken what the microphone has handed on: of three
 * looks at its commands at least one comes behind a whole look at the microphone. */
static inline void scene_catch_up(void) {
        unsigned long beat = pipeline_beat(scene.pipeline);

        while (pipeline_beat(scene.pipeline) - beat < 3) {
                wake_ring(scene.sounds.room_fd);
                (void) sd_event_run(scene.loop, 1000);
        }
}

/* Gives sound as soon as the microphone is open, until it was taken. */
static inline void scene_speak(enum fake_sound sound, size_t n_frames) {
        scene_catch_up();
        while (!fake_mic_give(sound, n_frames))
                (void) sd_event_run(scene.loop, 1000);
        while (!fake_mic_is_empty())
                (void) sd_event_run(scene.loop, 1000);
        scene_catch_up();
}

/* Ends the program after so many seconds; store: a folder for one, or NULL. */
static void scene_open(unsigned seconds,
                       const char *model,
                       const char *options,
                       const char *store,
                       void (*on_news)(const struct news *news, void *userdata)) {
        struct turns_config config;
        struct why why = {};
        uint64_t last_id = 0;

        (void) alarm(seconds);
        fake_reset();
        fake_mic_reset();
        scene = (struct scene){};
        expect(config_new(&scene.config) == 0);
        expect(config_read(scene.config, options, strlen(options), "options", &why) == 0);
        expect(config_set(scene.config, "Model", "Path", model, &why) == 0);
        /* The buzz that is spoken into the fake microphone is nobody's voice. */
        expect(config_set(scene.config, "Audio", "Detector", "no", &why) == 0);
        expect(sd_event_new(&scene.loop) >= 0);
        if (store)
                last_id = scene_keep(store);
        expect(sound_queue_init(&scene.sounds) == 0);
        expect(starter_new(&scene.starter, &why) == 0);
        expect(pipeline_new(&scene.pipeline, scene.config, &scene.sounds, scene.starter) == 0);
        /* Who gives the sound may have to wait for a processor: nothing counts as lost for that. */
        pipeline_be_lenient(scene.pipeline, 60);
        expect(inference_new(&scene.inference, scene.config, &scene.sounds) == 0);

        expect(toolbox_new(&scene.toolbox, scene.loop, scene_on_tools, NULL) == 0);

        config = (struct turns_config){
                .config = scene.config,
                .loop = scene.loop,
                .inference = scene.inference,
                .pipeline = scene.pipeline,
                .keeper = scene.keeper,
                .last_id = last_id,
                .toolbox = scene.toolbox,
                .notify = on_news,
                .interrupt = scene_on_interrupt,
                .heard_itself = scene_on_heard_itself,
        };
        expect(turns_new(&scene.turns, &config) == 0);
        expect(sd_event_add_io(scene.loop, &scene.events, inference_events_fd(scene.inference),
                               EPOLLIN, scene_on_events, NULL) >= 0);
        expect(pipeline_start(scene.pipeline) == 0);
        expect(inference_start(scene.inference) == 0);
}

static void scene_close(void) {
        uint64_t until = clock_now_ns() + UINT64_C(30000000000);

        turns_stop(scene.turns);
        expect(keeper_stop(scene.keeper, until));
        pipeline_stop(scene.pipeline);
        inference_stop(scene.inference);
        expect(pipeline_join(scene.pipeline, until));
        expect(inference_join(scene.inference, until));
        sd_event_source_disable_unref(scene.events);
        turns_free(scene.turns);
        json_decref(scene.help);
        scene.help = NULL;
        toolbox_free(scene.toolbox);
        inference_free(scene.inference);
        pipeline_free(scene.pipeline);
        starter_free(scene.starter);
        sound_queue_done(&scene.sounds);
        sd_event_unref(scene.loop);
        config_free(scene.config);
        (void) alarm(0);
}

#endif
