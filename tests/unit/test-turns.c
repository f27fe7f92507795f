/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/turns-internal.h"
#include "daemon/turn/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wake.h"
#include "tests/sim/held-disk.h"
#include "tests/sim/scene.h"
#include "tests/tap.h"

/* Real threads, queues, pipeline and store around a scripted engine.  Nothing waits for time: the
 * loop is turned until what is expected has happened, and a rule that waits in vain ends the test
 * by SIGALRM. */
#define N_OWNERS 24

struct owner {
        char story[4096]; /* what this owner was told, one word per event */
        char answered[4096];
        char heard[1024];
        char calls[1024];
        char results[1024]; /* of its calls */
        char why[512];
        uint64_t id;
        enum outcome outcome;
        enum fault fault;
        struct timings timings;
        enum ending ending;
        bool is_done, is_cut, is_unkept;
};

struct world {
        struct owner owners[N_OWNERS];
        struct turn *asked[N_OWNERS];
        struct owner uncalled; /* what was told of turns that nobody called for */
        char transcript[64];   /* the last that was told */
        unsigned n_told_done;
};

static struct world world;
static char directory[] = "/tmp/test-turns-XXXXXX";

static void add_word(char *story, size_t size, const char *word, const char *text, size_t n) {
        size_t used = strlen(story);

        (void) snprintf(story + used, size - used, "%s%s%.*s", used ? " " : "", word, (int) n,
                        text);
}

static void on_news(const struct news *news, void *userdata) {
        static const char *const words[] = {
                [NEWS_STARTED] = "started", [NEWS_HEARD] = "heard:", [NEWS_TOKEN] = "token",
                [NEWS_CALL] = "call",       [NEWS_DONE] = "done",
        };
        struct owner *o;
        char *calls;

        (void) userdata;
        if (news->kind == NEWS_TRANSCRIPT) {
                (void) snprintf(world.transcript, sizeof(world.transcript), "%.*s",
                                (int) news->text_size, news->text);
                return;
        }
        o = news->turn->owner;
        world.n_told_done += news->kind == NEWS_DONE;
        if (!o)
                o = &world.uncalled;
        if (news->kind == NEWS_RESULT) {
                add_word(o->results, sizeof(o->results),
                         news->is_error ? "not:" : "done:", news->text ? news->text : "",
                         news->text_size);
                return;
        }
        /* A token is part of the answer; its number does not matter. */
        if (news->kind != NEWS_TOKEN)
                add_word(o->story, sizeof(o->story), words[news->kind],
                         news->text ? news->text : "", news->text_size);
        else if (!strstr(o->story, "token"))
                add_word(o->story, sizeof(o->story), "token", "", 0);
        if (news->kind != NEWS_DONE)
                return;

        o->is_done = true;
        o->id = news->turn->id;
        o->outcome = news->turn->outcome;
        o->fault = news->turn->fault;
        o->timings = news->turn->timings;
        o->is_cut = news->turn->is_cut;
        o->is_unkept = news->turn->is_unkept;
        o->ending = news->turn->ending;
        (void) snprintf(o->why, sizeof(o->why), "%s", news->turn->why.text);
        (void) snprintf(o->heard, sizeof(o->heard), "%s", text_data(&news->turn->heard));
        (void) snprintf(o->answered, sizeof(o->answered), "%s", text_data(&news->turn->answered));
        calls = json_dumps(news->turn->calls, JSON_COMPACT);
        (void) snprintf(o->calls, sizeof(o->calls), "%s", calls);
        free(calls);
}

static void turn_loop_until(const bool *what) {
        while (!*what)
                if (sd_event_run(scene.loop, UINT64_MAX) < 0)
                        break;
}

static void turn_loop_until_story(const struct owner *o, const char *word) {
        while (!strstr(o->story, word))
                if (sd_event_run(scene.loop, UINT64_MAX) < 0)
                        break;
}

/* Lets what was asked for happen, without waiting for more. */
static void turn_loop(void) {
        while (sd_event_run(scene.loop, 0) > 0)
                ;
}

static void open_world(const char *model, const char *options) {
        char store[96];

        (void) snprintf(store, sizeof(store), "%s/store", directory);
        world = (struct world){};
        scene_open(60, model, options, store, on_news);
}

static void open_loaded(const char *model, const char *options) {
        open_world(model, options);
        turn_loop_until(&scene.is_loaded);
}

static int ask_text(unsigned owner, const char *text) {
        struct ask ask = {
                .text = text,
                .text_size = strlen(text),
                .audio_fd = -1,
                .max_tokens = scene.config->max_tokens,
                .owner = &world.owners[owner],
        };

        return turns_ask(scene.turns, &ask, &world.asked[owner]);
}

static int ask_sound(unsigned owner, int fd, bool realtime) {
        struct ask ask = {
                .audio_fd = fd,
                .realtime = realtime,
                .max_tokens = scene.config->max_tokens,
                .owner = &world.owners[owner],
        };

        return turns_ask(scene.turns, &ask, &world.asked[owner]);
}

static int ask_live(unsigned owner, bool is_held) {
        struct ask ask = {
                .audio_fd = -1,
                .is_live = true,
                .is_held = is_held,
                .max_frames = 750,
                .max_tokens = scene.config->max_tokens,
                .owner = &world.owners[owner],
        };

        return turns_ask(scene.turns, &ask, &world.asked[owner]);
}

static bool on_microphone(const struct pipeline_event *event, enum microphone_state state) {
        return event->kind == PIPELINE_MICROPHONE && event->microphone.state == state;
}

/* Turns the loop until the pipeline has told this state. */
static void wait_microphone(enum microphone_state state) {
        struct pollfd bell = { .fd = pipeline_events_fd(scene.pipeline), .events = POLLIN };
        struct pipeline_event event;

        for (;;) {
                turn_loop();
                while (pipeline_next_event(scene.pipeline, &event))
                        if (on_microphone(&event, state))
                                return;
                (void) poll(&bell, 1, 10);
                wake_clear(bell.fd);
        }
}

/* Takes in what the pipeline has to tell until somebody has begun to speak. */
static void wait_speech(void) {
        struct pollfd bell = { .fd = pipeline_events_fd(scene.pipeline), .events = POLLIN };
        struct pipeline_event event;

        for (;;) {
                turn_loop();
                while (pipeline_next_event(scene.pipeline, &event)) {
                        if (event.kind != PIPELINE_SPEECH)
                                continue;
                        turns_on_speech(scene.turns);
                        return;
                }
                (void) poll(&bell, 1, 10);
                wake_clear(bell.fd);
        }
}

static void set_mode(enum mode mode) {
        turns_set_mode(scene.turns, mode);
        pipeline_set_hands_free(scene.pipeline,
                                mode == MODE_PUSH ? 0
                                                  : scene.config->max_seconds * FRAMES_PER_SECOND);
}

/* A segment of speech that nobody has called for. */
static void say(const char *words) {
        fake_say(words);
        world.uncalled = (struct owner){};
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 25);
        wait_speech();
}

/* What the pipeline tells of speech beside an answer. */
static void take_calls(void) {
        struct pipeline_event event;

        while (pipeline_next_event(scene.pipeline, &event)) {
                if (event.kind == PIPELINE_CALLED)
                        turns_on_called(scene.turns);
                if (event.kind == PIPELINE_STOPPED)
                        turns_on_stopped(scene.turns);
                if (event.kind == PIPELINE_NOT_CALLED)
                        turns_on_not_called(scene.turns);
        }
}

static void wait_ignored(uint64_t n) {
        while (turns_n_ignored(scene.turns) < n) {
                take_calls();
                if (sd_event_run(scene.loop, 1000) < 0)
                        break;
        }
}

static void wait_story(const struct owner *o, const char *word) {
        while (!strstr(o->story, word)) {
                take_calls();
                if (sd_event_run(scene.loop, 1000) < 0)
                        break;
        }
}

static struct owner *wait_done(unsigned owner) {
        turn_loop_until(&world.owners[owner].is_done);
        return &world.owners[owner];
}

static struct owner *answer_to(unsigned owner, const char *text) {
        expect(ask_text(owner, text) == 0);
        return wait_done(owner);
}

/* A WAV file in memory: 16 kHz, mono, 16 bits. */
static int wav(unsigned n_samples, int16_t level) {
        uint32_t size = n_samples * 2, riff = size + 36, rate = 16000, bytes = 32000, format = 16;
        uint16_t pcm = 1, channels = 1, block = 2, bits = 16;
        int fd = memfd_create("wav", MFD_CLOEXEC);
        FILE *out = fdopen(dup(fd), "w");

        (void) fwrite("RIFF", 1, 4, out);
        (void) fwrite(&riff, 4, 1, out);
        (void) fwrite("WAVEfmt ", 1, 8, out);
        (void) fwrite(&format, 4, 1, out);
        (void) fwrite(&pcm, 2, 1, out);
        (void) fwrite(&channels, 2, 1, out);
        (void) fwrite(&rate, 4, 1, out);
        (void) fwrite(&bytes, 4, 1, out);
        (void) fwrite(&block, 2, 1, out);
        (void) fwrite(&bits, 2, 1, out);
        (void) fwrite("data", 1, 4, out);
        (void) fwrite(&size, 4, 1, out);
        for (unsigned i = 0; i < n_samples; i++) {
                int16_t sample = i / 20 % 2 ? level : (int16_t) -level;

                (void) fwrite(&sample, 2, 1, out);
        }
        (void) fclose(out);
        (void) lseek(fd, 0, SEEK_SET);
        return fd;
}

/* A buzz with a formant and four syllables a second, in a room with a little noise. */
static int16_t speech_sample(unsigned i, bool is_voice) {
        double t = (double) i / 16000, s = 0;

        for (int k = 1; is_voice && k <= 20; k++)
                s += sin(2 * M_PI * 130 * k * t) / (1 + abs(k - 5));
        s *= 0.08 * (0.6 + 0.4 * sin(2 * M_PI * 4 * t));
        return (int16_t) (s * 32767 + (double) (i * 2654435761u >> 27) - 16);
}

/* Silence of 0.8 s, speech, a pause, speech. */
static int talk(unsigned n_first, unsigned n_pause, unsigned n_second) {
        unsigned n = 12800 + n_first + n_pause + n_second;
        int16_t *samples = calloc(n, sizeof(*samples));
        int fd = wav(n, 0);

        for (unsigned i = 0; i < n; i++)
                samples[i] =
                        speech_sample(i, i >= 12800 && (i < 12800 + n_first || i >= n - n_second));
        expect(pwrite(fd, samples, n * 2, 44) == (ssize_t) n * 2);
        free(samples);
        return fd;
}

/* Speech from the first sample to the last. */
static int voice(unsigned n) {
        int16_t *samples = calloc(n, sizeof(*samples));
        int fd = wav(n, 0);

        for (unsigned i = 0; i < n; i++)
                samples[i] = speech_sample(i, true);
        expect(pwrite(fd, samples, n * 2, 44) == (ssize_t) n * 2);
        free(samples);
        return fd;
}

static void a_text_is_answered(void) {
        struct owner *o;

        open_loaded("fake:", "");
        o = answer_to(0, "say hello");
        expect(strcmp(o->story, "started token done") == 0);
        expect(strcmp(o->answered, "hello") == 0 && strcmp(o->heard, "say hello") == 0);
        expect(o->outcome == OUTCOME_ANSWERED && o->fault == FAULT_NONE);
        expect(o->timings.n_tokens == 5 && o->timings.n_prompt_positions > 9);
        expect(o->timings.prefilled >= 0 && o->timings.first_token >= o->timings.prefilled);
        expect(o->timings.done >= o->timings.first_token && o->timings.first_frame < 0);
        scene_close();
}

static void thoughts_are_not_told(void) {
        open_loaded("fake:", "");
        expect(strcmp(answer_to(0, "think hello")->answered, "hello") == 0);
        scene_close();
}

static void sound_is_answered(void) {
        struct owner *o;

        open_loaded("fake:", "[Audio]\nBatchFrames=7\n");
        expect(ask_sound(0, wav(640 * 20 + 1, 8000), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started token done") == 0);
        expect(strcmp(o->answered, "21 frames") == 0);
        expect(o->timings.n_frames == 21 && o->timings.end_of_speech >= o->timings.first_frame);
        expect(o->timings.audio > 800 && o->timings.audio < 801);
        scene_close();
}

static void longer_sound_than_the_queue_loses_nothing(void) {
        open_loaded("fake:", "");
        expect(ask_sound(0, voice(640 * 700), false) == 0);
        expect(strcmp(wait_done(0)->answered, "700 frames") == 0);
        expect(world.owners[0].timings.largest_backlog <= SOUND_QUEUE_FRAMES);
        expect(spsc_refused(&scene.sounds.queue) == 0);
        scene_close();
}

static int on_record(const struct record *record, void *userdata) {
        (void) snprintf(userdata, 64, "%.*s", (int) record->heard_size, record->heard);
        return 1;
}

static void a_transcript_follows_in_idle_time(void) {
        char heard[64] = "";

        open_loaded("fake:", "");
        expect(ask_sound(0, wav(640 * 3, 8000), false) == 0);
        expect(strcmp(wait_done(0)->heard, "") == 0);
        while (!*world.transcript && sd_event_run(scene.loop, UINT64_MAX) >= 0)
                continue;
        expect(scene_read(&(struct store_query){ .kind = STORE_HISTORY, .limit = 1 },
                          &(struct store_visitor){ on_record, heard }) == 0);
        expect(strcmp(heard, "words of 3 frames") == 0);
        /* It belongs to nobody any more, but who watches is told. */
        expect(strcmp(world.transcript, "words of 3 frames") == 0);
        scene_close();
}

/* What is forgotten while a turn runs is what was before it. */
static void forgetting_leaves_the_turn_that_runs(void) {
        char heard[64] = "";

        open_loaded("fake:", "");
        fake_gate_appends(true);
        expect(ask_sound(0, wav(640 * 3, 8000), false) == 0);
        turn_loop_until_story(&world.owners[0], "started");
        inference_forget(scene.inference);
        fake_gate_appends(false);
        fake_allow(100);
        (void) wait_done(0);
        while (!*world.transcript && sd_event_run(scene.loop, UINT64_MAX) >= 0)
                continue;
        expect(scene_read(&(struct store_query){ .kind = STORE_HISTORY, .limit = 1 },
                          &(struct store_visitor){ on_record, heard }) == 0);
        expect(strcmp(heard, "words of 3 frames") == 0);
        scene_close();
}

static void a_transcriber_tells_what_it_heard(void) {
        struct owner *o;

        open_loaded("fake:transcript", "");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started heard:2 frames call token done") == 0);
        expect(strcmp(o->heard, "2 frames") == 0);
        expect(strcmp(o->calls, "[{\"name\":\"get_time\",\"arguments\":{}}]") == 0);
        expect(strncmp(o->answered, "It is ", 6) == 0 && strlen(o->answered) == 12);
        scene_close();
}

/* Heard again, the two frames are three, because they begin later: two hearings against one. */
static void what_most_hearings_say_counts(void) {
        struct owner *o;

        open_loaded("fake:transcript fickle", "");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started heard:3 frames call token done") == 0);
        expect(strcmp(o->calls, "[{\"name\":\"get_date\",\"arguments\":{}}]") == 0);
        expect(o->timings.n_frames == 2);
        /* The answer to one hearing is what is expected of the next. */
        expect(fake_n_expected() > 0);
        expect(ask_sound(1, wav(640 * 3, 8000), false) == 0);
        o = wait_done(1);
        expect(strcmp(o->calls, "[{\"name\":\"get_time\",\"arguments\":{}}]") == 0);
        scene_close();
}

/* A free model gets the results of our tools and goes on; the client sees its answer only. */
static void our_tools_are_answered_to_the_model(void) {
        static const struct {
                const char *question, *begin, *end;
        } rows[] = {
                { "call call:get_time{}", "{\"time\":\"", "\"}" },
                { "first call:get_date{}", "Well. {\"date\":\"", "day\"}" },
                { "call call:get_time{}+call:get_date{}", "two: {\"time\":\"", "\"}" },
        };

        open_loaded("fake:tools", "");
        for (unsigned i = 0; i < 3; i++) {
                const struct owner *o = answer_to(i, rows[i].question);
                size_t size = strlen(o->answered), n = strlen(rows[i].end);

                expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->calls, "[]") == 0);
                expect(strncmp(o->answered, rows[i].begin, strlen(rows[i].begin)) == 0);
                expect(size > n && strcmp(o->answered + size - n, rows[i].end) == 0);
                expect(strcmp(o->story, "started token done") == 0);
        }
        expect(strstr(answer_to(3, "context")->answered,
                      "[tool]get_time[/tool][tool]get_date[/tool]"));
        scene_close();
}

/* A thought after the result is a thought. */
static void a_model_that_thinks_goes_on_thinking(void) {
        open_loaded("fake:tools", "[Model]\nThinking=yes\n");
        expect(strncmp(answer_to(0, "call call:get_time{}")->answered, "{\"time\":\"", 9) == 0);
        expect(!strstr(world.owners[0].answered, "secret"));
        scene_close();
}

/* A call that nobody provides is told to the client, and its model, in words; so is one of ours, in the
 * form for models. */
static void other_calls_are_told(void) {
        open_loaded("fake:tools", "");
        expect(strcmp(answer_to(0, "call call:open{}")->calls,
                      "[{\"name\":\"open\",\"arguments\":{}}]") == 0);
        expect(strcmp(world.owners[0].answered,
                      "{\"error\":\"Nothing here can carry out open.\"}") == 0);
        answer_to(1, "call call:get_time{}+call:open{}");
        expect(strcmp(world.owners[1].calls, "[{\"name\":\"open\",\"arguments\":{}}]") == 0);
        expect(strncmp(world.owners[1].answered, "two: {\"time\":", 13) == 0);
        expect(strcmp(world.owners[1].results, "not:Nothing here can carry out open.") == 0);
        scene_close();
}

static void calls_come_to_an_end(void) {
        open_loaded("fake:tools", "");
        answer_to(0, "insist call:get_time{}");
        expect(world.owners[0].outcome == OUTCOME_ANSWERED);
        expect(strcmp(world.owners[0].calls, "[{\"name\":\"get_time\",\"arguments\":{}}]") == 0);
        expect(strncmp(world.owners[0].answered, "It is ", 6) == 0);
        expect(world.owners[0].timings.n_tokens > 4 * 18 && world.owners[0].timings.n_tokens < 200);
        expect(strcmp(answer_to(1, "say fine")->answered, "fine") == 0);
        scene_close();
}

/* Neither one of ours nor one whose user does not want it is told of tools. */
static void who_is_not_told_of_tools(void) {
        unsigned n;

        open_loaded("fake:transcript", "");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        n = wait_done(0)->timings.n_prompt_positions;
        scene_close();
        open_loaded("fake:tools transcript", "");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        expect(strncmp(wait_done(0)->answered, "It is ", 6) == 0);
        expect(strcmp(world.owners[0].story, "started heard:2 frames call token done") == 0);
        expect(world.owners[0].timings.n_prompt_positions == n);
        scene_close();
        open_loaded("fake:tools", "[Prompt]\nTools=no\n");
        expect(!strstr(answer_to(0, "context")->answered, "[tool]"));
        expect(strncmp(answer_to(1, "call call:get_time{}")->answered, "It is ", 6) == 0);
        scene_close();
}

static void what_is_not_for_us_is_heard_as_nothing(void) {
        struct owner *o;

        open_loaded("fake:transcript", "");
        expect(ask_sound(0, wav(640 * 2, 0), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started heard: done") == 0);
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->heard, "") == 0);
        scene_close();
}

/* Neither the words nor the call of a command that was guessed. */
static void what_the_model_doubts_is_heard_as_nothing(void) {
        struct owner *o;

        open_loaded("fake:transcript unsure", "");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started heard: done") == 0);
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->heard, "") == 0);
        expect(strcmp(o->answered, "") == 0);
        scene_close();
}

static struct owner *hear(unsigned owner) {
        expect(ask_sound(owner, wav(640 * 2, 8000), false) == 0);
        return wait_done(owner);
}

/* Neither is guessed, and what is said to the question decides. */
static void two_that_were_heard_alike_are_asked_about(void) {
        static const char fifteen[] = "[{\"name\":\"set_timer\",\"arguments\":{\"amount\":15}}]";
        static const char fifty[] = "[{\"name\":\"set_timer\",\"arguments\":{\"amount\":50}}]";
        struct owner *o;

        open_loaded("fake:commands transcript", "[Audio]\nFollowUpSeconds=600\n");
        o = hear(0);
        expect(strcmp(o->answered, "Fifteen or fifty?") == 0 && strcmp(o->calls, "[]") == 0);
        expect(strcmp(o->heard, "set a timer for fifteen minutes") == 0);
        expect(strcmp(answer_to(1, "fifty")->calls, fifty) == 0);
        /* Once; then it is what it is in that grammar. */
        expect(strstr(answer_to(2, "fifty")->calls, "other"));
        (void) hear(3);
        expect(strcmp(answer_to(4, "the first")->calls, fifteen) == 0);
        (void) hear(5);
        expect(strcmp(answer_to(6, "no")->calls, "[]") == 0);
        expect(strstr(answer_to(7, "fifty")->calls, "other"));
        scene_close();
}

/* By voice, with as much as the model's grammar lets it hear. */
static void what_is_said_answers_a_question(void) {
        static const char fifty[] = "[{\"name\":\"set_timer\",\"arguments\":{\"amount\":50}}]";
        static const char *const rows[][2] = {
                { "set a timer for fifty minutes", fifty }, { "fifty", fifty }, { "no", "[]" },
        };
        struct owner *o;

        open_loaded("fake:commands transcript", "[Audio]\nFollowUpSeconds=600\n");
        for (unsigned i = 0; i < 3; i++) {
                fake_say(NULL);
                expect(strcmp(hear(2 * i)->answered, "Fifteen or fifty?") == 0);
                fake_say(rows[i][0]);
                o = hear(2 * i + 1);
                expect(strcmp(o->calls, rows[i][1]) == 0 && strcmp(o->heard, rows[i][0]) == 0);
        }
        /* Nothing was asked. */
        expect(strstr(hear(6)->calls, "other"));
        scene_close();
}

/* A command of which the model is sure, and not of its words.  Half of it alone is too little, and half of another one does not
 * help it. */
static void all_wordings_of_a_command_count_for_it(void) {
        static const char fifteen[] = "[{\"name\":\"set_timer\",\"arguments\":{\"amount\":15}}]";
        struct owner *o;

        open_loaded("fake:commands transcript halves", "");
        o = hear(0);
        expect(strcmp(o->heard, "") == 0 && strcmp(o->calls, "[]") == 0);
        expect(strcmp(o->answered, "") == 0);
        scene_close();

        open_loaded("fake:commands transcript halves wordy", "");
        o = hear(0);
        expect(strcmp(o->heard, "set a timer for fifteen minutes") == 0);
        expect(strcmp(o->calls, fifteen) == 0);
        scene_close();
}

/* Nor one word that is heard in anything, nor the phrase alone; with a word more it is. */
static void a_single_word_has_to_be_surer(void) {
        static const char *const rows[][3] = {
                { "stop", "call:stop{}", "" },
                { "hey gemma", "call:wake{}", "" },
                { "stop it", "call:stop{}", "stop it" },
        };

        open_loaded("fake:transcript wary", "");
        for (unsigned i = 0; i < 3; i++) {
                struct owner *o;

                fake_say(rows[i][0]);
                fake_call(rows[i][1]);
                expect(ask_sound(i, wav(640 * 2, 8000), false) == 0);
                o = wait_done(i);
                expect(strcmp(o->heard, rows[i][2]) == 0);
                expect((strcmp(o->calls, "[]") == 0) == !rows[i][2][0]);
        }
        scene_close();
}

static void calls_of_others_are_told(void) {
        struct owner *o;

        open_loaded("fake:", "");
        o = answer_to(0, "call call:open{name:<|\"|>web browser<|\"|>,n:2}");
        expect(strcmp(o->story, "started call token done") == 0);
        expect(strcmp(o->calls,
                      "[{\"name\":\"open\",\"arguments\":{\"name\":\"web browser\",\"n\":2}}]") ==
               0);
        expect(strcmp(o->answered, "Nothing here can carry out open.") == 0);
        expect(o->outcome == OUTCOME_ANSWERED);
        scene_close();
}

/* One who provides tools, and what he was called for. */
static struct {
        struct provider *provider;
        char story[1024]; /* names and arguments, with spaces between */
        uint64_t id;      /* of the last call */
        enum begun begun;
        unsigned n;
        bool sees;
        bool responds; /* at once, with his name for it as the sentence */
        bool cancels;  /* ... or has the turn cancelled, before the model says that it is done */
        bool long_result; /* ... the value of his result takes 300 letters */
} hand;

static void respond(const char *text, const char *json, const char *error) {
        struct result result = { .text = text, .error = error };
        const char *fault;

        result.value = json ? json_loads(json, 0, NULL) : NULL;
        expect(toolbox_respond(scene.toolbox, hand.id, &result, &fault) == 0);
        json_decref(result.value);
}

static const char *long_value(void) {
        static char text[320];

        (void) snprintf(text, sizeof(text), "{\"x\":\"%0300d\"}", 1);
        return text;
}

static void on_errand(uint64_t id, const struct errand *errand, void *userdata) {
        char *arguments = json_dumps(errand->arguments, JSON_COMPACT | JSON_SORT_KEYS);

        (void) userdata;
        hand.id = id;
        hand.begun = errand->begun;
        hand.sees = errand->sees;
        hand.n++;
        add_word(hand.story, sizeof(hand.story), errand->name, arguments, strlen(arguments));
        free(arguments);
        if (hand.responds)
                respond(errand->name, hand.long_result ? long_value() : NULL, NULL);
        if (hand.cancels)
                expect(turns_cancel(scene.turns, 0));
}

/* Provides raise, lock, and danger, which asks before. */
static void provide(bool responds) {
        json_t *tools = json_loads(
                "[{\"name\":\"raise\",\"description\":\"Up.\",\"parameters\":{\"type\":\"object\"}}"
                ","
                "{\"name\":\"lock\",\"description\":\"\",\"parameters\":{\"type\":\"object\"}},"
                "{\"name\":\"danger\",\"description\":\"\",\"parameters\":{\"type\":\"object\"},"
                "\"confirm\":true}]",
                0, NULL);
        struct provider_config config = { .name = "hand", .tools = tools, .carry_out = on_errand };

        memset(&hand, 0, sizeof(hand));
        hand.responds = responds;
        expect(toolbox_provide(scene.toolbox, &hand.provider, &config) == 0);
        json_decref(tools);
}

static void wait_errand(unsigned n) {
        while (hand.n < n)
                if (sd_event_run(scene.loop, UINT64_MAX) < 0)
                        break;
}

static void a_provided_call_is_carried_out(void) {
        struct owner *o;

        open_loaded("fake:", "");
        provide(true);
        o = answer_to(0, "call call:raise{by:5}");
        expect(strcmp(hand.story, "raise{\"by\":5}") == 0 && hand.begun == BEGUN_TYPED);
        expect(strcmp(o->story, "started call token done") == 0);
        expect(strcmp(o->answered, "raise") == 0 && strcmp(o->results, "done:raise") == 0);
        expect(o->outcome == OUTCOME_ANSWERED);
        /* What the model has said itself stays. */
        expect(strcmp(answer_to(1, "first call:lock{}")->answered, "Well. lock") == 0);
        scene_close();
}

/* Where speech leaves no room for all, the others are found; the client sees nothing of that. */
static void tools_that_were_not_told_are_found(void) {
        const struct owner *o;

        open_loaded("fake:tools", "[Prompt]\nSystem=\nSpeechPositions=345\n");
        provide(true);
        o = answer_to(0, "context");
        expect(strstr(o->answered, "[tool]find_tools[/tool][tool]get_time[/tool][tool]get_date[/tool]"));
        expect(!strstr(o->answered, "raise"));
        o = answer_to(1, "call call:find_tools{about:\"raise it\"}");
        expect(strstr(o->answered, "\"tools\":[\"raise{} Up.\"]") && strcmp(o->calls, "[]") == 0);
        expect(strcmp(o->story, "started token done") == 0 && hand.n == 0);
        o = answer_to(2, "call call:find_tools{about:\"nobody\"}+call:raise{by:5}");
        expect(strstr(o->answered, "get_time, get_date, danger, lock, raise"));
        expect(strcmp(hand.story, "raise{\"by\":5}") == 0);
        /* It never has enough. */
        o = answer_to(3, "insist call:find_tools{}");
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->calls, "[]") == 0 && hand.n == 1);
        scene_close();
}

/* The second one waits for what comes of the first. */
static void several_calls_are_carried_out_in_their_order(void) {
        struct owner *o = &world.owners[0];

        open_loaded("fake:", "");
        provide(false);
        expect(ask_text(0, "call call:raise{}+call:nothing{}+call:lock{}") == 0);
        wait_errand(1);
        turn_loop();
        expect(strcmp(hand.story, "raise{}") == 0 && !o->is_done);
        respond("Raised.", NULL, NULL);
        wait_errand(2);
        expect(strcmp(hand.story, "raise{} lock{}") == 0 && !o->is_done);
        respond(NULL, NULL, "The lock is broken.");
        (void) wait_done(0);
        expect(strcmp(o->answered,
                      "Raised. Nothing here can carry out nothing. The lock is broken.") == 0);
        expect(strcmp(o->results, "done:Raised. not:Nothing here can carry out nothing. "
                                  "not:The lock is broken.") == 0);
        expect(o->outcome == OUTCOME_ANSWERED);
        scene_close();
}

static void a_provider_that_goes_is_told(void) {
        struct owner *o = &world.owners[0];

        open_loaded("fake:", "");
        provide(false);
        expect(ask_text(0, "call call:raise{}+call:lock{}") == 0);
        wait_errand(1);
        provider_free(hand.provider);
        (void) wait_done(0);
        expect(strcmp(o->answered, "hand did not answer. Nothing here can carry out lock.") == 0);
        expect(o->outcome == OUTCOME_ANSWERED && hand.n == 1);
        scene_close();
}

/* Nor does anything follow the call that was under way. */
static void a_turn_whose_call_hangs_can_be_cancelled(void) {
        static const char *const models[] = { "fake:", "fake:tools" };

        for (unsigned i = 0; i < 2; i++) {
                open_loaded(models[i], "");
                provide(false);
                expect(ask_text(0, "call call:raise{}+call:lock{}") == 0);
                expect(ask_text(1, "say fine") == 0);
                wait_errand(1);
                turn_loop();
                expect(!world.owners[0].is_done && turns_cancel(scene.turns, 0));
                expect(!world.owners[0].is_done);
                expect(wait_done(0)->outcome == OUTCOME_CANCELLED);
                expect(strcmp(wait_done(1)->answered, "fine") == 0 && hand.n == 1);
                scene_close();
        }
}

static void a_turn_can_be_cancelled_by_who_is_called(void) {
        static const char *const models[] = { "fake:", "fake:tools", "fake:transcript" };

        for (unsigned i = 0; i < 3; i++) {
                open_loaded(models[i], "");
                provide(false);
                hand.cancels = true;
                expect(ask_text(0, "call call:raise{}+call:lock{}") == 0);
                expect(wait_done(0)->outcome == OUTCOME_CANCELLED && hand.n == 1);
                expect(strcmp(world.owners[0].answered, "") == 0);
                scene_close();
        }
}

/* Only to be seen by a sanitizer: the call comes back to nobody. */
static void the_end_does_not_wait_for_a_call(void) {
        open_loaded("fake:tools", "");
        provide(false);
        expect(ask_text(0, "call call:raise{}") == 0);
        wait_errand(1);
        scene_close();
        expect(world.owners[0].outcome == OUTCOME_CANCELLED);
}

/* A free model is told of what there is, and of what came of it, and goes on. */
static void a_free_model_uses_what_is_provided(void) {
        struct owner *o;

        open_loaded("fake:tools", "");
        provide(true);
        expect(strstr(
                answer_to(0, "context")->answered,
                "[tool]get_date[/tool][tool]danger[/tool][tool]lock[/tool][tool]raise[/tool]"));
        o = answer_to(1, "call call:raise{by:5}");
        expect(strcmp(o->answered, "{\"text\":\"raise\"}") == 0);
        expect(strcmp(o->results, "done:raise") == 0 &&
               strcmp(o->story, "started call token done") == 0);
        provider_free(hand.provider);
        expect(strstr(answer_to(2, "context")->answered, "[tool]get_date[/tool][turn]"));
        scene_close();
}

static void what_a_model_can_not_read_is_given_as_text(void) {
        static const struct {
                const char *json, *answered;
        } rows[] = {
                { "{\"percent\":40}", "{\"percent\":40}" },
                { "{\"not a word\":1}", "{\"not a word\":1}" },
                { "{\"a\":\"<|\\\"|>\"}", "{\"value\":\"{\\\"a\\\":\\\"<|\\\\\\\"|>\\\"}\"}" },
        };

        open_loaded("fake:tools", "");
        provide(false);
        for (unsigned i = 0; i < 3; i++) {
                expect(ask_text(i, "call call:raise{}") == 0);
                wait_errand(i + 1);
                respond("Raised.", rows[i].json, NULL);
                expect(strcmp(wait_done(i)->answered, rows[i].answered) == 0);
        }
        scene_close();
}

/* It gives no end: four results it gets, and what it calls after that is done, and told in words. */
static void a_model_that_insists_is_stopped(void) {
        open_loaded("fake:tools", "");
        provide(true);
        answer_to(0, "insist call:raise{}");
        expect(strcmp(world.owners[0].answered, "raise raise raise raise raise") == 0);
        expect(hand.n == 5 && world.owners[0].outcome == OUTCOME_ANSWERED);
        scene_close();
}

/* One of 16 x 16 pixels, all alike. */
static int paint(struct pictures *to, int value) {
        uint8_t rgb[16 * 16 * 3];
        int fd = memfd_create("pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        memset(rgb, value, sizeof(rgb));
        expect(write(fd, rgb, sizeof(rgb)) == (ssize_t) sizeof(rgb));
        expect(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) == 0);
        expect(pictures_add(to, fd, 16, 16, NULL) == 0);
        return fd;
}

static struct owner *
answer_with_pictures(unsigned owner, const char *text, struct pictures pictures) {
        struct ask ask = {
                .text = text,
                .text_size = strlen(text),
                .audio_fd = -1,
                .pictures = pictures,
                .max_tokens = scene.config->max_tokens,
                .owner = &world.owners[owner],
        };

        expect(turns_ask(scene.turns, &ask, &world.asked[owner]) == 0);
        return wait_done(owner);
}

/* The turn is over before its thread has let go of them. */
static bool gets_closed(int fd) {
        for (unsigned i = 0; i < 20000 && fcntl(fd, F_GETFD) >= 0; i++)
                (void) usleep(1000);
        return fcntl(fd, F_GETFD) < 0;
}

static void pictures_come_before_the_text(void) {
        struct pictures pictures = { 0 };
        struct owner *o;
        int first, second;

        open_loaded("fake:sees", "");
        first = paint(&pictures, 255);
        second = paint(&pictures, 0);
        o = answer_with_pictures(0, "context", pictures);
        expect(strstr(o->answered, "[turn]user:[image][patch][patch][patch][patch][/image]"
                                   "[image][dark][dark][dark][dark][/image]context[end]"));
        expect(gets_closed(first) && gets_closed(second));
        /* The next turn is about none. */
        expect(strstr(answer_to(1, "context")->answered, "[turn]user:context[end]"));
        scene_close();
}

static void pictures_come_behind_the_sound(void) {
        struct pictures pictures = { 0 };
        struct ask ask = { .audio_fd = wav(640 * 20, 3000), .owner = &world.owners[1] };
        unsigned without;

        open_loaded("fake:sees", "");
        expect(ask_sound(0, wav(640 * 20, 3000), false) == 0);
        without = wait_done(0)->timings.n_prompt_positions;
        (void) paint(&pictures, 255);
        ask.pictures = pictures;
        ask.max_tokens = scene.config->max_tokens;
        expect(turns_ask(scene.turns, &ask, &world.asked[1]) == 0);
        expect(wait_done(1)->outcome == OUTCOME_ANSWERED);
        expect(strcmp(world.owners[1].answered, world.owners[0].answered) == 0);
        expect(world.owners[1].timings.n_prompt_positions >= without + 6);
        scene_close();
}

/* From here on it is as before Linux 6.7, where sealed memory that was opened for writing, as all of it is, can not
 * be mapped as shared, not even to be read.  There is no way back. */
static void refuse_shared_reading(void) {
#if defined(__x86_64__) || defined(__aarch64__)
        struct sock_filter instructions[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_READ, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {
                .len = sizeof(instructions) / sizeof(instructions[0]),
                .filter = instructions,
        };

        (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        (void) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
#endif
}

static void old_kernels_can_show_pictures(void) {
        struct pictures pictures = { 0 };

        refuse_shared_reading();
        open_loaded("fake:sees", "");
        (void) paint(&pictures, 255);
        expect(strstr(answer_with_pictures(0, "context", pictures)->answered,
                      "[image][patch][patch][patch][patch][/image]context[end]"));
        scene_close();
}

static void a_blind_model_says_so(void) {
        struct pictures pictures = { 0 };
        struct owner *o;
        int fd;

        open_loaded("fake:", "");
        fd = paint(&pictures, 255);
        o = answer_with_pictures(0, "say seen", pictures);
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_BLIND && o->answered[0] == 0);
        expect(gets_closed(fd));
        expect(strcmp(answer_to(1, "say still here")->answered, "still here") == 0);
        scene_close();
}

static void pictures_that_do_not_fit_are_refused(void) {
        struct pictures pictures = { 0 };
        struct owner *o;

        open_loaded("fake:sees small", "");
        (void) paint(&pictures, 255);
        (void) paint(&pictures, 255);
        o = answer_with_pictures(0, "say seen", pictures);
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_IMAGE);
        expect(strcmp(answer_to(1, "say still here")->answered, "still here") == 0);
        scene_close();
}

static void a_result_shows_a_picture(void) {
        static const char *const models[] = { "fake:sees tools", "fake:tools" };
        static const char *const answers[] = {
                "{\"text\":\"Done.\"}[image][dark][dark][dark][dark][/image]",
                "{\"text\":\"Done.\"}"
        };

        for (unsigned i = 0; i < 2; i++) {
                struct pictures pictures = { 0 };
                struct result result = { .text = "Done.", .pictures = &pictures };
                const char *fault;
                int fd;

                open_loaded(models[i], "");
                provide(false);
                expect(ask_text(0, "call call:raise{}") == 0);
                wait_errand(1);
                expect(hand.sees == (i == 0));
                fd = paint(&pictures, 0);
                expect(toolbox_respond(scene.toolbox, hand.id, &result, &fault) == 0);
                expect(strcmp(wait_done(0)->answered, answers[i]) == 0);
                expect(gets_closed(fd));
                scene_close();
        }
}

/* What somebody provides is his, even if we could do it, too. */
static void a_provider_comes_before_us(void) {
        json_t *tools = json_loads("[{\"name\":\"get_time\",\"description\":\"\",\"parameters\":"
                                   "{\"type\":\"object\"}}]",
                                   0, NULL);
        struct provider_config config = { .name = "clock", .tools = tools, .carry_out = on_errand };

        open_loaded("fake:tools", "");
        memset(&hand, 0, sizeof(hand));
        hand.responds = true;
        expect(toolbox_provide(scene.toolbox, &hand.provider, &config) == 0);
        json_decref(tools);
        expect(strcmp(answer_to(0, "call call:get_time{}")->answered, "{\"text\":\"get_time\"}") ==
               0);
        scene_close();
}

static void what_asks_before_is_not_begun_by_anybody(void) {
        open_loaded("fake:transcript", "");
        provide(true);
        fake_call("call:danger{}");
        set_mode(MODE_OPEN);
        say("two words");
        wait_story(&world.uncalled, "done");
        expect(strcmp(world.uncalled.answered,
                      "Say the wake phrase before that, or press the key.") == 0);
        expect(hand.n == 0);
        set_mode(MODE_WAKE);
        say("hey gemma danger");
        wait_story(&world.uncalled, "done");
        expect(strcmp(world.uncalled.answered, "danger") == 0 && hand.begun == BEGUN_PHRASE);
        scene_close();

        open_loaded("fake:transcript", "");
        provide(true);
        fake_call("call:danger{}");
        expect(ask_live(2, false) == 0);
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 25);
        expect(strcmp(wait_done(2)->answered, "danger") == 0 && hand.begun == BEGUN_PRESSED);
        scene_close();
}

static void bad_calls_fail(void) {
        struct owner *o;

        open_loaded("fake:", "");
        o = answer_to(0, "badcall");
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_MODEL);
        expect(strstr(o->why, "call that can not be read"));
        o = answer_to(1, "halfcall");
        expect(o->outcome == OUTCOME_FAILED && strstr(o->why, "inside a call"));
        expect(answer_to(2, "say fine")->outcome == OUTCOME_ANSWERED);
        scene_close();
}

/* Of what it can not read the model is told, a few times. */
static void a_bad_call_is_told_to_the_model(void) {
        struct owner *o;

        open_loaded("fake:tools", "[Model]\nMaxTokens=4000\n");
        o = answer_to(0, "badcall");
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->calls, "[]") == 0);
        expect(strstr(o->answered, "'call:' is missing. Nothing was done."));
        o = answer_to(1, "halfcall");
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->calls, "[]") == 0);
        expect(strstr(o->answered, "a word is missing"));
        o = answer_to(2, "insist call:get_time}");
        expect(o->outcome == OUTCOME_FAILED && strstr(o->why, "call that can not be read"));
        /* Two rounds of it, and the third. */
        expect(o->timings.n_tokens == 3 * (strlen("call:get_time}") + 2));
        /* Where it is only the end that is missing, all is there. */
        o = answer_to(3, "opencall call:get_time{}");
        expect(o->outcome == OUTCOME_ANSWERED && strstr(o->calls, "get_time") == NULL);
        expect(strstr(o->answered, "\"time\":"));
        expect(strcmp(answer_to(4, "say fine")->answered, "fine") == 0);
        scene_close();
}

static const char *temperature_of(const char *model, const char *options, bool spoken) {
        static char told[4096];

        open_loaded(model, options);
        if (spoken)
                expect(ask_sound(0, wav(640 * 20, 8000), false) == 0);
        else
                expect(ask_text(0, "x") == 0);
        (void) snprintf(told, sizeof(told), "%s", wait_done(0)->answered);
        scene_close();
        return told;
}

static void words_are_chosen_as_the_file_says(void) {
        static const char both[] = "[Model]\nTemperature=0.5\nVoiceTemperature=auto\n";

        expect(strcmp(temperature_of("fake:temperature recommends", "", false), "1") == 0);
        expect(strcmp(temperature_of("fake:temperature", "", false), "0") == 0);
        expect(strcmp(temperature_of("fake:temperature recommends", both, false), "0.5") == 0);
        /* What is spoken is not guessed. */
        expect(strcmp(temperature_of("fake:temperature recommends", "", true), "0") == 0);
        expect(strcmp(temperature_of("fake:temperature recommends", both, true), "0.5") == 0);
        expect(strcmp(temperature_of("fake:temperature recommends",
                                     "[Model]\nVoiceTemperature=0.25\n", true),
                      "0.25") == 0);
}

static void markers_reach_nobody(void) {
        open_loaded("fake:", "");
        expect(strcmp(answer_to(0, "say a<|turn>b<tool_response|> <|tool_ca")->answered, "ab ") ==
               0);
        expect(strcmp(answer_to(1, "say 1 < 2 <b> <")->answered, "1 < 2 <b> <") == 0);
        scene_close();
}

static void wait_released(unsigned n) {
        while (fake_n_released() < n)
                if (sd_event_run(scene.loop, 1000) < 0)
                        break;
}

/* It is told again and again, as the kernel does. */
static void be_short_until_released(unsigned n) {
        while (fake_n_released() < n) {
                inference_rest(scene.inference);
                (void) sd_event_run(scene.loop, 100000);
        }
}

static void turn_loop_until_transcript(void) {
        while (!world.transcript[0])
                if (sd_event_run(scene.loop, UINT64_MAX) < 0)
                        break;
        world.transcript[0] = '\0';
}

static void a_model_that_nobody_asks_rests(void) {
        open_loaded("fake:", "[Model]\nIdleAfter=1\n");
        expect(strcmp(answer_to(0, "say one")->answered, "one") == 0);
        wait_released(1);
        expect(fake_n_sessions() == 1);
        /* It is as if it had not. */
        expect(strstr(answer_to(1, "context")->answered,
                      "[turn]user:say one[end][turn]model:one[end][turn]user:context"));
        expect(fake_n_sessions() == 2);
        wait_released(2);
        expect(ask_sound(2, wav(640 * 20, 8000), false) == 0);
        expect(strcmp(wait_done(2)->answered, "20 frames") == 0);
        scene_close();
}

static void memory_that_runs_short_is_given_back(void) {
        open_loaded("fake:", "");
        be_short_until_released(1);
        /* Not while a turn needs it, nor for that behind it: that was the turn itself. */
        expect(ask_text(0, "gate ab") == 0);
        turn_loop();
        fake_wait_gate();
        inference_rest(scene.inference);
        fake_allow(8);
        expect(strcmp(wait_done(0)->answered, "ab") == 0);
        expect(strcmp(answer_to(1, "say on")->answered, "on") == 0);
        expect(fake_n_released() == 1 && fake_n_sessions() == 2);
        be_short_until_released(2);
        scene_close();
        /* Unless it is never to be. */
        open_loaded("fake:", "[Model]\nIdleAfter=0\n");
        inference_rest(scene.inference);
        expect(strcmp(answer_to(0, "say on")->answered, "on") == 0);
        expect(fake_n_released() == 0);
        scene_close();
}

/* What is not for it leaves it at rest. */
static void the_phrase_wakes_the_model(void) {
        open_loaded("fake:", "[Audio]\nFollowUpSeconds=0\n");
        be_short_until_released(1);
        set_mode(MODE_WAKE);
        for (unsigned i = 1; i <= 2; i++) {
                say("turn left at the lights");
                wait_ignored(i);
        }
        expect(fake_n_sessions() == 1);
        say("hey gemma what time is it");
        turn_loop_until(&world.uncalled.is_done);
        expect(world.uncalled.outcome == OUTCOME_ANSWERED && fake_n_sessions() == 2);
        expect(world.uncalled.timings.n_frames > 30);
        (void) snprintf(world.transcript, sizeof(world.transcript), "%u frames",
                        world.uncalled.timings.n_frames);
        expect(strcmp(world.uncalled.answered, world.transcript) == 0);
        scene_close();
}

/* The prefix is all that changes: the sound is heard whole, and what made room for it is back. */
static void what_was_said_makes_room_for_speech(void) {
        static const char options[] = "[Prompt]\nSystem=\nTools=no\nHistoryPositions=300\n";
        char text[90] = "say ";
        unsigned n_before;

        open_loaded("fake:", options);
        for (unsigned i = 4; i < sizeof(text) - 1; i++)
                text[i] = (char) ('a' + (i * i / 7 + i) % 26);
        (void) strcpy(text + 5, "bcdefg");
        text[11] = 'h';
        answer_to(0, text);
        text[4] = 'y';
        answer_to(1, text);
        expect(ask_sound(2, voice(640 * 100), false) == 0);
        n_before = wait_done(2)->timings.n_prompt_positions;
        expect(n_before > 200 + 100 && n_before < 450);
        /* The newer exchange is short enough to stay. */
        expect(ask_sound(3, voice(640 * 299), false) == 0);
        expect(strcmp(wait_done(3)->answered, "299 frames") == 0);
        expect(world.owners[3].timings.n_prompt_positions < 450);
        expect(world.owners[3].timings.n_prompt_positions > 299 + 50);
        expect(strstr(answer_to(4, "context")->answered, "[turn]user:say ybcdefg"));
        scene_close();

        open_loaded("fake:", "[Prompt]\nSystem=\nTools=no\nHistoryPositions=256\nSpeechPositions=0\n");
        answer_to(0, text);
        expect(ask_sound(3, voice(640 * 299), false) == 0);
        expect(wait_done(3)->timings.n_prompt_positions > 299 + 170);
        scene_close();
}

static void be_silent(unsigned owner, unsigned n_frames) {
        for (unsigned i = 0; i < n_frames && !world.owners[owner].is_done; i++) {
                while (!world.owners[owner].is_done && !fake_mic_give(FAKE_ROOM, 1))
                        (void) sd_event_run(scene.loop, 1000);
                (void) sd_event_run(scene.loop, 1000);
        }
}

/* Speech, and half a second of silence.  What is said to the microphone of the turn before, which is being
 * closed, nobody hears. */
static void speak_and_pause(unsigned owner) {
        while (fake_mic_is_open())
                (void) sd_event_run(scene.loop, 1000);
        expect(ask_live(owner, false) == 0);
        scene_speak(FAKE_ROOM, 20);
        scene_speak(FAKE_VOICE, 40);
        be_silent(owner, 14);
}

static enum ending end_by_more_silence(unsigned owner) {
        be_silent(owner, 200);
        (void) wait_done(owner);
        turn_loop_until_transcript();
        return world.owners[owner].ending;
}

/* A model that has been right about ends is asked for the next one. */
static void a_model_may_know_the_end(void) {
        open_loaded("fake:", "[Audio]\nLingerSeconds=0\n");
        fake_end_with(0.95f);
        for (unsigned i = 0; i < 4; i++) {
                speak_and_pause(i);
                expect(end_by_more_silence(i) == ENDING_SILENCE);
                fake_wait_end();
        }
        speak_and_pause(4);
        fake_wait_end();
        expect(wait_done(4)->ending == ENDING_WHOLE);
        turn_loop_until_transcript();
        fake_end_with(0.01f);
        speak_and_pause(5);
        fake_wait_end();
        expect(end_by_more_silence(5) == ENDING_UNFINISHED);
        /* It was wrong. */
        speak_and_pause(6);
        expect(end_by_more_silence(6) == ENDING_SILENCE);
        scene_close();
}

/* What was begun in a pause, was cut there, and was taken back says nothing of the answer in the end. */
static void a_cut_that_was_taken_back_is_none(void) {
        struct owner *o = &world.owners[0];

        open_loaded("fake:commands transcript", "[Model]\nMaxTokens=6\n");
        fake_say("set a timer for fifty minutes");
        expect(ask_live(0, false) == 0);
        scene_speak(FAKE_ROOM, 20);
        scene_speak(FAKE_VOICE, 40);
        be_silent(0, 10);
        fake_say("no");
        scene_speak(FAKE_VOICE, 20);
        be_silent(0, 200);
        (void) wait_done(0);
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->heard, "no") == 0);
        /* One that counts is told. */
        fake_say("set a timer for fifty minutes");
        expect(ask_sound(1, wav(640 * 2, 8000), false) == 0);
        expect(wait_done(1)->outcome == OUTCOME_CUT);
        scene_close();
}

static void failures_of_the_model_are_told(void) {
        struct owner *o;

        open_loaded("fake:", "[Model]\nContextPositions=1000\n");
        o = answer_to(1, "fail");
        expect(o->outcome == OUTCOME_FAILED && strstr(o->why, "the model failed: "));
        expect(strcmp(answer_to(2, "say fine")->answered, "fine") == 0);
        scene_close();
}

static void a_text_longer_than_the_context_is_refused(void) {
        char text[400] = {};
        struct owner *o;

        open_loaded("fake:small", "[Prompt]\nSystem=be brief\nHistoryPositions=50\n");
        memset(text, 'x', sizeof(text) - 1);
        o = answer_to(0, text);
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_TEXT);
        expect(strstr(o->why, "context of 200 positions"));
        expect(strcmp(answer_to(1, "say fine")->answered, "fine") == 0);
        scene_close();
}

static void an_answer_ends_at_max_tokens(void) {
        open_loaded("fake:", "[Model]\nMaxTokens=9\n");
        expect(strlen(answer_to(0, "endless")->answered) == 9);
        expect(world.owners[0].outcome == OUTCOME_CUT && world.owners[0].timings.n_tokens == 9);
        /* What ends by itself just there is complete, what is one longer is not. */
        expect(strcmp(answer_to(1, "say ninechars")->answered, "ninechars") == 0);
        expect(world.owners[1].outcome == OUTCOME_ANSWERED);
        expect(strcmp(answer_to(2, "say tencharsyz")->answered, "tencharsy") == 0);
        expect(world.owners[2].outcome == OUTCOME_CUT);
        scene_close();
}

/* Also where it is the context that ends; the next turn has its own. */
static void an_answer_ends_with_the_context(void) {
        struct owner *o;

        open_loaded("fake:", "[Model]\nContextPositions=1000\n");
        o = answer_to(0, "full");
        expect(o->outcome == OUTCOME_CUT && strcmp(o->answered, "abc") == 0 && !o->why[0]);
        scene_close();
        open_loaded("fake:small", "[Prompt]\nSystem=\nHistoryPositions=0\n");
        o = answer_to(0, "endless");
        expect(o->outcome == OUTCOME_CUT && strlen(o->answered) > 100 && strlen(o->answered) < 200);
        expect(strcmp(answer_to(1, "say fine")->answered, "fine") == 0);
        expect(world.owners[1].outcome == OUTCOME_ANSWERED);
        scene_close();
        /* A result for which there is no room has been carried out all the same. */
        open_loaded("fake:small tools", "[Prompt]\nSystem=\nHistoryPositions=0\nSpeechPositions=0\n");
        provide(true);
        hand.long_result = true;
        o = answer_to(0, "call call:raise{}");
        expect(o->outcome == OUTCOME_CUT && strcmp(o->results, "done:raise") == 0);
        expect(strcmp(o->answered, "raise") == 0);
        expect(strcmp(answer_to(1, "say fine")->answered, "fine") == 0);
        scene_close();
}

static void a_call_that_is_cut_is_none(void) {
        struct owner *o;

        open_loaded("fake:", "[Model]\nMaxTokens=9\n");
        o = answer_to(0, "call call:get_time{}");
        expect(o->outcome == OUTCOME_CUT && strcmp(o->calls, "[]") == 0);
        scene_close();
        /* Nor is it one when the limit does not let the model have its result. */
        open_loaded("fake:tools", "[Model]\nMaxTokens=17\n");
        o = answer_to(0, "call call:get_time{}");
        expect(o->outcome == OUTCOME_CUT && strstr(o->calls, "get_time"));
        scene_close();
}

static void a_thought_ends_at_max_thought(void) {
        struct owner *o;

        open_loaded("fake:tools", "[Model]\nMaxTokens=9\nMaxThought=200\n");
        o = answer_to(0, "muse forty-two");
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->answered, "forty-two") == 0);
        /* The marker and 199 letters, then the answer, which has its own limit. */
        expect(o->timings.n_tokens == 209);
        o = answer_to(1, "muse forty-three");
        expect(o->outcome == OUTCOME_CUT && strcmp(o->answered, "forty-thr") == 0);
        scene_close();
}

static void an_answer_that_repeats_itself_ends(void) {
        char context[4096];
        struct owner *o;

        open_loaded("fake:", "[Model]\nMaxTokens=512\n");
        o = answer_to(0, "repeat");
        expect(o->outcome == OUTCOME_REPEATED && strlen(o->answered) == 61);
        /* The model is not reminded of it. */
        (void) snprintf(context, sizeof(context), "%s", answer_to(1, "context")->answered);
        expect(!strstr(context, "repeat") && !strstr(context, "aaa"));
        expect(answer_to(2, "say fine")->outcome == OUTCOME_ANSWERED);
        scene_close();
}

static void sound_that_is_none_is_bad_audio(void) {
        struct owner *o;
        int fd = memfd_create("text", MFD_CLOEXEC);

        expect(write(fd, "this is a text file and no sound at all, it seems", 49) == 49);
        open_loaded("fake:", "");
        expect(ask_sound(0, fd, false) == 0);
        o = wait_done(0);
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_AUDIO && strlen(o->why) > 0);

        expect(ask_sound(1, memfd_create("empty", MFD_CLOEXEC), false) == 0);
        expect(wait_done(1)->fault == FAULT_AUDIO);
        expect(ask_sound(2, wav(0, 0), false) == 0);
        expect(wait_done(2)->fault == FAULT_AUDIO);
        expect(ask_sound(3, open("/", O_RDONLY | O_CLOEXEC), false) == 0);
        expect(wait_done(3)->fault == FAULT_AUDIO);
        expect(ask_sound(4, wav(640, 8000), false) == 0);
        expect(wait_done(4)->outcome == OUTCOME_ANSWERED);
        scene_close();
}

/* The whole file is less than a pipe holds. */
static void fill(int to, int from) {
        char buffer[1 << 18];
        ssize_t n = read(from, buffer, sizeof(buffer));

        expect(n > 0 && (size_t) n < sizeof(buffer) && write(to, buffer, (size_t) n) == n);
        (void) close(from);
        (void) close(to);
}

/* However long it is silent around the speech, as much of that is heard as of a short silence. */
static void silence_around_a_recording_is_not_heard(void) {
        open_loaded("fake:", "");
        expect(ask_sound(0, talk(640 * 40, 640 * 50, 0), false) == 0);
        expect(wait_done(0)->timings.n_frames >= 50 && world.owners[0].timings.n_frames <= 60);
        expect(!world.owners[0].is_cut);
        expect(world.owners[0].timings.first_token >= world.owners[0].timings.end_of_speech);
        expect(ask_sound(1, talk(0, 640 * 50, 0), false) == 0);
        expect(wait_done(1)->timings.n_frames == 70);
        scene_close();
}

/* A tone that has just begun is speech to the endpoint: without a pause the limit is where it is cut. */
static void sound_longer_than_max_seconds_is_cut(void) {
        open_loaded("fake:", "[Audio]\nMaxSeconds=1\n");
        expect(ask_sound(0, wav(16001, 8000), false) == 0);
        expect(strcmp(wait_done(0)->answered, "25 frames") == 0 && world.owners[0].is_cut);
        expect(world.owners[0].timings.n_frames == 25);
        expect(ask_sound(1, wav(16000, 8000), false) == 0);
        expect(strcmp(wait_done(1)->answered, "25 frames") == 0 && !world.owners[1].is_cut);
        expect(turns_n_cut(scene.turns) == 1);
        scene_close();
}

/* Speech up to 4.1 s from where it is heard, then a pause of half a second, and speech again. */
static void sound_is_cut_at_its_last_pause(void) {
        int fd = talk(640 * 92, 640 * 12, 640 * 60), fds[2];

        open_loaded("fake:", "[Audio]\nMaxSeconds=5\n");
        expect(ask_sound(0, fd, false) == 0);
        expect(wait_done(0)->outcome == OUTCOME_ANSWERED && world.owners[0].is_cut);
        expect(world.owners[0].timings.n_frames > 102 && world.owners[0].timings.n_frames < 115);
        expect(atoi(world.owners[0].answered) == (int) world.owners[0].timings.n_frames);
        expect(world.owners[0].timings.audio < 4990);

        /* In a pause nothing has to be taken back, and of it nothing is heard. */
        expect(ask_sound(2, talk(640 * 100, 640 * 60, 640 * 60), false) == 0);
        expect(wait_done(2)->is_cut && world.owners[2].timings.n_frames == 117);

        /* A pipe has its limit too, and its writer is not waited for beyond it. */
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0);
        fill(dup(fds[1]), talk(640 * 92, 640 * 12, 640 * 60));
        expect(ask_sound(1, fds[0], false) == 0);
        expect(wait_done(1)->is_cut);
        expect(strcmp(world.owners[1].answered, world.owners[0].answered) == 0);
        (void) close(fds[1]);
        scene_close();
}

static void sound_that_fills_the_context_is_cut(void) {
        const struct owner *o;

        open_loaded("fake:small", "[Prompt]\nSystem=be brief\nHistoryPositions=50\n");
        expect(ask_sound(0, talk(640 * 280, 0, 0), false) == 0);
        o = wait_done(0);
        expect(o->outcome == OUTCOME_ANSWERED && o->is_cut);
        expect(atoi(o->answered) > 50 && atoi(o->answered) < 136);
        expect(ask_sound(1, wav(640 * 9, 8000), false) == 0);
        expect(strcmp(wait_done(1)->answered, "9 frames") == 0 && !world.owners[1].is_cut);
        scene_close();
}

static void a_deaf_model_says_so(void) {
        open_loaded("fake:deaf", "");
        expect(ask_sound(0, wav(640, 8000), false) == 0);
        expect(wait_done(0)->fault == FAULT_DEAF);
        expect(strcmp(answer_to(1, "say fine")->answered, "fine") == 0);
        scene_close();
}

static void pipes_and_sockets_bring_sound(void) {
        int fds[2];

        open_loaded("fake:", "");
        expect(pipe2(fds, O_CLOEXEC) == 0);
        fill(fds[1], wav(640 * 5, 8000));
        expect(ask_sound(0, fds[0], false) == 0);
        expect(strcmp(wait_done(0)->answered, "5 frames") == 0);

        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        fill(fds[1], wav(640 * 6, 8000));
        expect(ask_sound(1, fds[0], false) == 0);
        expect(strcmp(wait_done(1)->answered, "6 frames") == 0);
        scene_close();
}

static void a_pipe_without_an_end_can_be_cancelled(void) {
        int fds[2];

        open_loaded("fake:", "");
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(ask_sound(0, fds[0], false) == 0);
        expect(ask_text(1, "say next") == 0);
        turn_loop_until_story(&world.owners[0], "started");
        expect(turns_activity(scene.turns) == ACTIVITY_LISTENING);
        expect(turns_cancel(scene.turns, 0));
        expect(wait_done(0)->outcome == OUTCOME_CANCELLED);
        expect(strcmp(wait_done(1)->answered, "next") == 0);
        (void) close(fds[1]);
        scene_close();
}

static void a_pipe_is_heard_as_it_comes(void) {
        int sound = wav(640 * 40, 8000), fds[2];
        char bytes[44 + 640 * 2 * 4];

        open_loaded("fake:", "");
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(pread(sound, bytes, sizeof(bytes), 0) == sizeof(bytes));
        (void) close(sound);
        memset(bytes + 40, 0xff, 4);
        expect(write(fds[1], bytes, sizeof(bytes)) == sizeof(bytes));
        expect(ask_sound(0, fds[0], false) == 0);
        turn_loop_until_story(&world.owners[0], "started");
        /* The writer is not done, but what came is in the model, less the frame that may be the
         * last one. */
        fake_wait_frames(3);
        expect(write(fds[1], bytes + 44, 1280) == 1280);
        fake_wait_frames(1);
        (void) close(fds[1]);
        expect(strcmp(wait_done(0)->answered, "5 frames") == 0);
        scene_close();
}

static void a_stalled_pipe_ends_by_itself(void) {
        int fds[2];

        open_loaded("fake:", "[Audio]\nStallSeconds=1\n");
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(ask_sound(0, fds[0], false) == 0);
        expect(wait_done(0)->fault == FAULT_AUDIO);
        expect(strcmp(world.owners[0].why, "no sound came for 1 s") == 0);
        (void) close(fds[1]);
        scene_close();
}

static void an_endless_device_is_bounded(void) {
        open_loaded("fake:", "[Audio]\nMaxSeconds=1\n");
        expect(ask_sound(0, open("/dev/zero", O_RDONLY | O_CLOEXEC), false) == 0);
        expect(wait_done(0)->fault == FAULT_AUDIO);
        expect(strstr(world.owners[0].why, "not a sound file"));
        scene_close();
}

static void speech_at_its_own_speed_can_be_cancelled(void) {
        open_loaded("fake:", "");
        expect(ask_sound(0, wav(640 * 700, 8000), true) == 0);
        turn_loop_until_story(&world.owners[0], "started");
        expect(turns_cancel(scene.turns, world.asked[0]->id));
        expect(wait_done(0)->outcome == OUTCOME_CANCELLED);
        expect(world.owners[0].timings.n_frames < 700);
        expect(strcmp(answer_to(1, "say next")->answered, "next") == 0);
        scene_close();
}

static void an_answer_can_be_cancelled(void) {
        struct owner *o = &world.owners[0];

        open_loaded("fake:", "");
        expect(ask_text(0, "gate abcdef") == 0);
        fake_allow(3);
        turn_loop_until_story(o, "token");
        expect(turns_activity(scene.turns) == ACTIVITY_ANSWERING);
        expect(turns_cancel(scene.turns, 0));
        fake_allow(1);
        wait_done(0);
        expect(o->outcome == OUTCOME_CANCELLED && o->fault == FAULT_NONE);
        expect(strlen(o->answered) > 0 && strlen(o->answered) < 6);
        expect(!turns_cancel(scene.turns, 0));
        scene_close();
}

static void prefill_can_be_cancelled(void) {
        open_loaded("fake:", "[Audio]\nBatchFrames=1\n");
        fake_gate_appends(true);
        expect(ask_text(0, "say a long text in many micro-batches") == 0);
        turn_loop_until_story(&world.owners[0], "started");
        fake_wait_gate();
        expect(turns_cancel(scene.turns, world.asked[0]->id));
        fake_gate_appends(false);
        fake_allow(1);
        expect(wait_done(0)->outcome == OUTCOME_CANCELLED);
        expect(world.owners[0].timings.prefilled < 0);
        expect(strcmp(answer_to(1, "say next")->answered, "next") == 0);
        scene_close();
}

static void a_waiting_turn_can_be_cancelled(void) {
        uint64_t second;

        open_loaded("fake:", "");
        expect(ask_text(0, "gate ab") == 0);
        expect(ask_text(1, "say b") == 0);
        expect(ask_text(2, "say c") == 0);
        second = world.asked[1]->id;
        turn_loop();
        expect(turns_cancel(scene.turns, second));
        expect(!turns_cancel(scene.turns, second));
        expect(wait_done(1)->outcome == OUTCOME_CANCELLED);
        expect(strcmp(world.owners[1].story, "done") == 0);
        expect(!world.owners[0].is_done);
        fake_allow(3);
        expect(strcmp(wait_done(0)->answered, "ab") == 0);
        expect(strcmp(wait_done(2)->answered, "c") == 0);
        scene_close();
}

static void a_full_queue_refuses_the_newest(void) {
        open_loaded("fake:", "[Socket]\nMaxQueuedTurns=2\n");
        expect(ask_text(0, "gate a") == 0);
        expect(ask_text(1, "say b") == 0);
        expect(ask_text(2, "say c") == 0);
        expect(ask_text(3, "say d") == -EBUSY);
        turn_loop();
        expect(ask_text(3, "say d") == -EBUSY && turns_n_waiting(scene.turns) == 2);
        fake_allow(2);
        expect(strcmp(wait_done(0)->answered, "a") == 0);
        expect(strcmp(wait_done(2)->answered, "c") == 0);
        expect(strcmp(answer_to(3, "say d")->answered, "d") == 0);
        scene_close();
}

static int ask_as(pid_t who, unsigned owner) {
        struct ask ask = {
                .text = "say hello",
                .text_size = 9,
                .audio_fd = -1,
                .max_tokens = scene.config->max_tokens,
                .owner = &world.owners[owner],
                .who = who,
        };

        return turns_ask(scene.turns, &ask, &world.asked[owner]);
}

/* One process, by however many connections, leaves a quarter of the queue to others. */
static void nobody_has_all_of_the_queue(void) {
        unsigned n = 1;

        open_loaded("fake:", "[Socket]\nMaxQueuedTurns=8\n");
        expect(ask_text(0, "gate hello") == 0);
        turn_loop();
        while (n < 20 && ask_as(7, n) == 0)
                n++;
        expect(n == 7 && ask_as(7, n) == -EBUSY);
        expect(ask_as(8, 7) == 0 && ask_as(9, 8) == 0 && ask_as(10, 9) == -EBUSY);
        fake_allow(100);
        for (unsigned i = 0; i <= 8; i++)
                expect(wait_done(i)->outcome == OUTCOME_ANSWERED);
        scene_close();
}

static void the_gone_are_not_answered(void) {
        open_loaded("fake:", "");
        expect(ask_text(0, "gate abc") == 0);
        expect(ask_text(1, "say b") == 0);
        expect(ask_text(2, "say c") == 0);
        turn_loop_until_story(&world.owners[0], "started");
        turns_disown(scene.turns, world.asked[0]);
        turns_disown(scene.turns, world.asked[1]);
        fake_allow(4);
        expect(strcmp(wait_done(2)->answered, "c") == 0);
        expect(!world.owners[0].is_done && !world.owners[1].is_done);
        expect(world.n_told_done == 3);
        scene_close();
}

static void turns_run_in_order(void) {
        char text[16];

        open_loaded("fake:", "[Socket]\nMaxQueuedTurns=20\n");
        for (unsigned i = 0; i < 20; i++) {
                (void) snprintf(text, sizeof(text), "say %u", i);
                expect(ask_text(i, text) == 0);
        }
        wait_done(19);
        for (unsigned i = 0; i < 20; i++) {
                (void) snprintf(text, sizeof(text), "%u", i);
                expect(world.owners[i].is_done && strcmp(world.owners[i].answered, text) == 0);
                expect(i == 0 || world.owners[i].id == world.owners[i - 1].id + 1);
        }
        scene_close();
}

static void requests_wait_for_the_model(void) {
        open_world("fake:slow", "");
        fake_wait_gate();
        expect(ask_text(0, "say early") == 0);
        turn_loop();
        expect(turns_activity(scene.turns) == ACTIVITY_LOADING && !world.owners[0].is_done);
        expect(!turns_cancel(scene.turns, 0));
        fake_allow(1);
        expect(strcmp(wait_done(0)->answered, "early") == 0);
        scene_close();
}

static void a_model_that_does_not_load_says_why(void) {
        open_world("fake:broken", "");
        turn_loop_until(&scene.load_failed);
        expect(strcmp(scene.reason, "no tensor 'token_embd.weight'") == 0);
        scene_close();
}

static void a_system_text_without_room_ends_the_start(void) {
        char options[600] = "[Model]\nContextPositions=300\n[Prompt]\nSystem=";

        memset(options + strlen(options), 'x', 400);
        open_world("fake:", options);
        turn_loop_until(&scene.load_failed);
        expect(strstr(scene.reason, "System text does not fit"));
        scene_close();
}

static void recent_exchanges_are_in_the_context(void) {
        struct owner *o;

        open_loaded("fake:", "[Prompt]\nSystem=be brief\nHistoryPositions=60\n");
        answer_to(0, "say one");
        answer_to(1, "say two");
        o = answer_to(2, "context");
        expect(strcmp(o->answered, "[bos][turn]system:be brief[end]"
                                   "[turn]user:say one[end][turn]model:one[end]"
                                   "[turn]user:say two[end][turn]model:two[end]"
                                   "[turn]user:context[end][turn]model:") == 0);
        answer_to(3, "say three");
        o = answer_to(4, "context");
        expect(!strstr(o->answered, "say one"));
        expect(strstr(o->answered, "say three"));
        scene_close();
}

static void a_transcriber_has_no_history(void) {
        open_loaded("fake:transcript", "");
        answer_to(0, "say one");
        expect(ask_sound(1, wav(640, 8000), false) == 0);
        expect(wait_done(1)->timings.n_prompt_positions == 18);
        scene_close();
}

static void what_ran_is_written_down(void) {
        open_loaded("fake:", "");
        answer_to(0, "say one");
        expect(scene_last_turn() == world.owners[0].id);
        expect(ask_text(1, "gate x") == 0);
        expect(ask_text(2, "say never") == 0);
        turn_loop_until_story(&world.owners[1], "started");
        fake_wait_gate();
        turns_stop(scene.turns);
        expect(world.owners[2].fault == FAULT_STOPPING && world.owners[2].is_done);
        while (!world.owners[1].is_done && sd_event_run(scene.loop, UINT64_MAX) >= 0)
                continue;
        expect(world.owners[1].outcome == OUTCOME_CANCELLED);
        expect(scene_last_turn() == world.owners[1].id);
        expect(ask_text(3, "say late") == -ESHUTDOWN);
        fake_allow(1);
        scene_close();
}

/* It is answered all the same, as one that is not kept yet, and so are those after it; the history has them when the
 * disk has answered. */
static void a_disk_that_hangs_keeps_nobody_waiting(void) {
        open_loaded("fake:", "");
        answer_to(0, "say one");
        expect(!world.owners[0].is_unkept);
        hold_disk(true);
        answer_to(1, "say two");
        answer_to(2, "say three");
        expect(world.owners[1].is_unkept && world.owners[2].is_unkept);
        expect(scene_last_turn() == world.owners[0].id);
        expect(keeper_state(scene.keeper).n_waiting == 2);
        hold_disk(false);
        /* (Each that is written begins the second anew after which one counts as waiting.) */
        while (scene_last_turn() != world.owners[2].id)
                continue;
        answer_to(3, "say four");
        while (scene_last_turn() != world.owners[3].id)
                continue;
        scene_close();
}

/* The one that is being written down, too, when the end does not wait for it. */
static void who_waits_for_the_disk_is_told_at_the_end(void) {
        open_loaded("fake:", "");
        answer_to(0, "say one");
        hold_disk(true);
        expect(ask_text(1, "gate x") == 0);
        turn_loop_until_story(&world.owners[1], "started");
        fake_wait_gate();
        turns_stop(scene.turns);
        expect(!world.owners[1].is_done);
        turns_give_up_keeping(scene.turns);
        expect(world.owners[1].is_done && world.owners[1].is_unkept && !world.owners[0].is_unkept);
        hold_disk(false);
        fake_allow(1);
        scene_close();
}

static void a_thread_is_not_waited_for_longer_than_allowed(void) {
        open_loaded("fake:", "");
        expect(ask_text(0, "gate x") == 0);
        turn_loop_until_story(&world.owners[0], "started");
        fake_wait_gate();
        turns_stop(scene.turns);
        expect(keeper_stop(scene.keeper, UINT64_MAX));
        scene.keeper = NULL;
        expect(world.owners[0].is_done);
        inference_stop(scene.inference);
        expect(!inference_join(scene.inference, clock_now_ns()));
        fake_allow(1);
        scene_close();
}

static void the_microphone_is_answered(void) {
        struct owner *o;
        unsigned n;

        open_loaded("fake:", "[Audio]\nLingerSeconds=0\n");
        expect(ask_live(0, false) == 0);
        scene_speak(FAKE_ROOM, 50);
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 25);
        o = wait_done(0);
        expect(o->outcome == OUTCOME_ANSWERED && o->fault == FAULT_NONE);
        expect(sscanf(o->answered, "%u frames", &n) == 1 && n == o->timings.n_frames);
        expect(n >= 40 && n <= 56);
        expect(o->timings.end_of_speech >= o->timings.first_frame);
        wait_microphone(MICROPHONE_CLOSED);
        scene_close();
}

/* What is missing may be the word that mattered. */
static void speech_with_a_hole_is_not_acted_on(void) {
        struct owner *o;
        uint64_t n_lost = 0;

        open_loaded("fake:", "");
        for (unsigned is_held = 0; is_held < 2; is_held++) {
                expect(ask_live(is_held, is_held) == 0);
                /* The thread may take the turn up later than the first of it. */
                while (!world.owners[is_held].is_done) {
                        scene_speak(FAKE_ROOM, 20);
                        scene_speak(FAKE_VOICE, 20);
                        fake_mic_set_lost(n_lost += 5000);
                        scene_speak(FAKE_VOICE, 5);
                }
                o = wait_done(is_held);
                expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_MICROPHONE);
                expect(strstr(o->why, "were lost: say it again"));
                expect(!o->answered[0]);
        }
        scene_close();
}

static void a_held_turn_ends_by_finish(void) {
        struct owner *o;

        open_loaded("fake:", "");
        expect(ask_live(0, true) == 0);
        scene_speak(FAKE_ROOM, 200);
        expect(turns_finish(scene.turns));
        o = wait_done(0);
        expect(strcmp(o->answered, "200 frames") == 0);
        expect(!turns_finish(scene.turns));
        scene_close();
}

/* The question has ended when the key is let go of, though the last word was long before. */
static void a_key_may_be_let_go_of_late(void) {
        struct owner *o;

        open_loaded("fake:", "");
        expect(ask_live(0, true) == 0);
        scene_speak(FAKE_ROOM, 50);
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 100);
        (void) poll(NULL, 0, 100);
        expect(turns_finish(scene.turns));
        o = wait_done(0);
        expect(o->timings.n_frames >= 45 && o->timings.n_frames < 60);
        expect(o->timings.end_of_speech > 100);
        /* Each frame that waited counts once. */
        expect(o->timings.largest_backlog <= o->timings.n_frames);
        scene_close();
}

static void nobody_speaks_and_nothing_is_heard(void) {
        struct owner *o;

        open_loaded("fake:", "[Audio]\nPatienceMs=2000\n");
        expect(ask_live(0, false) == 0);
        scene_speak(FAKE_ROOM, 60);
        o = wait_done(0);
        expect(o->outcome == OUTCOME_ANSWERED && o->timings.n_frames == 0);
        expect(strcmp(o->story, "started heard: done") == 0);
        expect(!o->answered[0] && o->timings.n_tokens == 0);
        expect(strcmp(answer_to(1, "say hello")->answered, "hello") == 0);
        scene_close();
}

static void a_turn_finished_while_it_waits_hears_nothing(void) {
        open_loaded("fake:", "");
        expect(ask_live(0, true) == 0);
        expect(turns_finish(scene.turns));
        expect(wait_done(0)->timings.n_frames == 0);
        expect(world.owners[0].outcome == OUTCOME_ANSWERED);
        scene_close();
}

static void no_microphone_is_told(void) {
        struct owner *o;

        open_loaded("fake:", "");
        fake_mic_refuse(-ENODEV);
        expect(ask_live(0, false) == 0);
        o = wait_done(0);
        expect(o->outcome == OUTCOME_FAILED && o->fault == FAULT_MICROPHONE);
        expect(strcmp(o->why, "no microphone is plugged in") == 0);
        expect(strcmp(answer_to(1, "say hello")->answered, "hello") == 0);
        scene_close();
}

static void muting_ends_listening(void) {
        open_loaded("fake:", "");
        expect(ask_live(0, true) == 0);
        expect(ask_live(1, true) == 0);
        scene_speak(FAKE_ROOM, 10);
        pipeline_set_muted(scene.pipeline, true);
        turns_cancel_live(scene.turns);
        expect(wait_done(0)->outcome == OUTCOME_CANCELLED);
        expect(wait_done(1)->outcome == OUTCOME_CANCELLED);
        wait_microphone(MICROPHONE_CLOSED);
        scene_close();
        expect(!fake_mic_is_open() && fake_mic_n_opened() == fake_mic_n_closed());
}

static void an_open_microphone_does_not_disturb_a_file(void) {
        open_loaded("fake:", "");
        pipeline_set_meter(scene.pipeline, true);
        scene_speak(FAKE_VOICE, 20);
        expect(ask_sound(0, voice(640 * 100), false) == 0);
        scene_speak(FAKE_VOICE, 20);
        expect(strcmp(wait_done(0)->answered, "100 frames") == 0);
        scene_close();
}

static void an_open_microphone_makes_turns_of_speech(void) {
        open_loaded("fake:", "");
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        for (int i = 0; i < 2; i++) {
                say(NULL);
                turn_loop_until(&world.uncalled.is_done);
                expect(world.uncalled.outcome == OUTCOME_ANSWERED);
                expect(strcmp(world.uncalled.story, "started token done") == 0);
                expect(strstr(world.uncalled.answered, "frames"));
                expect(world.uncalled.timings.n_frames >= 40 &&
                       world.uncalled.timings.n_frames <= 56);
        }
        expect(fake_mic_is_open());
        set_mode(MODE_PUSH);
        scene_close();
}

/* Speech with pauses in it, in each of which the model has time to begin an answer if it is to.  Tells how
 * often it was rewound. */
static unsigned hear_with_pauses(const char *options, bool runs_ahead, struct owner *ret) {
        unsigned n;

        open_loaded("fake:", options);
        expect(ask_live(0, false) == 0);
        scene_speak(FAKE_ROOM, 50);
        for (unsigned i = 0; i < 3; i++) {
                scene_speak(FAKE_VOICE, 20);
                for (int k = 0; k < 10; k++)
                        scene_speak(FAKE_ROOM, 1);
                while (runs_ahead && fake_n_ended() == i)
                        (void) sd_event_run(scene.loop, 1000);
        }
        turn_loop_until_story(&world.owners[0], "started");
        expect(strcmp(world.owners[0].story, "started") == 0);
        n = fake_n_rewound();
        scene_speak(FAKE_ROOM, 20);
        *ret = *wait_done(0);
        scene_close();
        return n;
}

static void an_answer_begun_in_a_pause_is_the_same(void) {
        struct owner with, without;

        expect(hear_with_pauses("[Audio]\nSpeculateMs=0\n", false, &without) == 0);
        expect(hear_with_pauses("[Audio]\nSpeculateMs=200\n", true, &with) == 2);
        expect(strcmp(with.answered, without.answered) == 0);
        expect(strcmp(with.story, without.story) == 0);
        expect(with.timings.n_frames == without.timings.n_frames);
        expect(with.timings.n_prompt_positions == without.timings.n_prompt_positions);
        expect(with.timings.n_tokens == without.timings.n_tokens);
}

/* It has words and no call: whoever asked is told what was heard, and of others nothing is told. */
static void what_is_denied_is_not_done(void) {
        struct owner *o;

        open_loaded("fake:transcript", "");
        fake_say("do not lock the screen");
        fake_call("");
        expect(ask_sound(0, wav(640 * 2, 8000), false) == 0);
        o = wait_done(0);
        expect(strcmp(o->story, "started heard:do not lock the screen done") == 0);
        expect(o->outcome == OUTCOME_ANSWERED && strcmp(o->calls, "[]") == 0);
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        say("do not lock the screen");
        wait_ignored(1);
        expect(!world.uncalled.story[0]);
        scene_close();
}

static void speech_without_words_is_no_turn(void) {
        open_loaded("fake:transcript unsure", "");
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        say("cough");
        wait_ignored(1);
        expect(!world.uncalled.story[0] && world.n_told_done == 0);
        expect(turns_activity(scene.turns) == ACTIVITY_IDLE);
        scene_close();
}

/* With a model that answers, next to which the pocket model hears, and with the pocket model. */
static void check_phrase(const char *model) {
        unsigned n_answered = 0;

        open_loaded(model, "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        for (int i = 0; i < 2; i++) {
                say("what time is it");
                wait_ignored(2 * (unsigned) i + 1);
                expect(!world.uncalled.story[0]);
                say("hey gemmadine what time is it");
                wait_ignored(2 * (unsigned) i + 2);
                expect(!world.uncalled.story[0] && world.n_told_done == n_answered);

                say("Hey Gemma what time is it");
                turn_loop_until(&world.uncalled.is_done);
                n_answered++;
                expect(strncmp(world.uncalled.story, "started ", 8) == 0);
                expect(world.uncalled.outcome == OUTCOME_ANSWERED);
                expect(world.uncalled.answered[0]);
        }
        expect(turns_n_done(scene.turns) == n_answered);
        expect(turns_n_ignored(scene.turns) == 4);
        scene_close();
}

static void only_the_phrase_makes_a_turn(void) {
        check_phrase("fake:");
        check_phrase("fake:transcript");
}

/* What is ignored is nowhere in the history. */
static void ignored_speech_is_not_written_down(void) {
        uint64_t before;

        open_loaded("fake:", "");
        set_mode(MODE_WAKE);
        before = scene_last_turn();
        scene_speak(FAKE_ROOM, 50);
        say("what time is it");
        wait_ignored(1);
        expect(scene_last_turn() == before);
        scene_close();
}

static void one_word_in_a_room_is_too_little(void) {
        open_loaded("fake:transcript", "[Audio]\nFollowUpSeconds=600\n");
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        say("stop");
        wait_ignored(1);
        expect(!world.uncalled.story[0]);

        say("stop it");
        turn_loop_until(&world.uncalled.is_done);
        expect(strcmp(world.uncalled.heard, "stop it") == 0);
        say("stop");
        turn_loop_until(&world.uncalled.is_done);
        expect(strcmp(world.uncalled.heard, "stop") == 0);
        expect(turns_n_ignored(scene.turns) == 1);
        scene_close();
}

static void the_phrase_alone_opens_the_follow_up(void) {
        open_loaded("fake:", "[Audio]\nFollowUpSeconds=600\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        say("hey gemma");
        turn_loop_until(&world.uncalled.is_done);
        expect(strcmp(world.uncalled.story, "started heard:hey gemma call done") == 0);
        expect(strstr(world.uncalled.calls, "\"wake\"") && !world.uncalled.answered[0]);

        say("what time is it");
        turn_loop_until(&world.uncalled.is_done);
        expect(strcmp(world.uncalled.story, "started token done") == 0);
        expect(turns_n_ignored(scene.turns) == 0);
        scene_close();
}

static void who_calls_does_not_wait_for_the_room(void) {
        open_loaded("fake:", "");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        scene_speak(FAKE_VOICE, 40);
        wait_speech();
        turn_loop();
        /* Somebody speaks on and on, and is not meant for us. */
        expect(strcmp(answer_to(0, "say hello")->answered, "hello") == 0);
        expect(turns_cancel(scene.turns, 0) == false);
        scene_close();
}

static void speech_waits_for_the_answer_before(void) {
        open_loaded("fake:", "");
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        expect(ask_text(0, "gate x") == 0);
        turn_loop();
        fake_wait_gate();
        say(NULL);
        turn_loop();
        expect(!world.uncalled.story[0]);
        fake_allow(100);
        wait_done(0);
        turn_loop_until(&world.uncalled.is_done);
        expect(world.uncalled.timings.n_frames >= 40);
        scene_close();
}

/* With a model that answers for minutes, one must be able to say that it is enough. */
static void who_calls_ends_the_answer(void) {
        open_loaded("fake:lengthy", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        say("hey gemma tell me a story");
        wait_story(&world.uncalled, "token");

        /* Who talks to somebody else does not end it, and is not answered afterwards. */
        say("what time is it");
        wait_ignored(1);
        expect(!world.uncalled.is_done && turns_activity(scene.turns) == ACTIVITY_ANSWERING);

        say("hey gemma that is enough");
        wait_story(&world.uncalled, "done");
        expect(world.uncalled.outcome == OUTCOME_CANCELLED);
        wait_story(&world.uncalled, "started");
        expect(turns_n_ignored(scene.turns) == 1);
        scene_close();
}

static void say_beside(const char *words, unsigned n_interrupted) {
        say(words);
        while (scene.n_interrupted < n_interrupted) {
                take_calls();
                if (sd_event_run(scene.loop, 1000) < 0)
                        break;
        }
}

static void wait_hush(void) {
        while (scene.turns->handsfree.is_speaking)
                (void) sd_event_run(scene.loop, 1000);
}

/* Of what is heard while an answer is spoken only the phrase and "stop" count, though one may follow up. */
static void check_beside(const char *model, const char *options) {
        open_loaded(model, options);
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        say("hey gemma what time is it");
        wait_story(&world.uncalled, "done");
        expect(scene.n_interrupted == 0);

        turns_set_speaking(scene.turns, true);
        say("what time is it");
        wait_ignored(1);
        expect(!world.uncalled.story[0] && scene.n_interrupted == 0);
        say_beside("hey gemma that is enough", 1);
        wait_story(&world.uncalled, "done");
        expect(world.uncalled.outcome == OUTCOME_ANSWERED);
        say_beside("stop", 2);
        expect(turns_n_ignored(scene.turns) == 2);
        turn_loop();
        expect(!world.uncalled.story[0] && turns_activity(scene.turns) == ACTIVITY_IDLE);

        /* From its end on one may. */
        turns_set_speaking(scene.turns, false);
        wait_hush();
        say("what time is it");
        wait_story(&world.uncalled, "done");
        expect(world.uncalled.outcome == OUTCOME_ANSWERED && turns_n_ignored(scene.turns) == 2);
        scene_close();
}

static void an_answer_is_not_heard_as_a_question(void) {
        check_beside("fake:", "[Audio]\nFollowUpSeconds=600\n");
        check_beside("fake:transcript", "[Audio]\nFollowUpSeconds=600\n");
}

/* ... neither where all that is said counts. */
static void nor_by_an_open_microphone(void) {
        open_loaded("fake:transcript", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_OPEN);
        scene_speak(FAKE_ROOM, 50);
        turns_set_speaking(scene.turns, true);
        say("what time is it");
        wait_ignored(1);
        expect(!world.uncalled.story[0]);
        say_beside("hey gemma what time is it", 1);
        wait_story(&world.uncalled, "done");

        /* Who holds a key is heard, whatever waits. */
        scene_speak(FAKE_VOICE, 20);
        wait_speech();
        expect(ask_live(0, false) == 0);
        turn_loop();
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 50);
        wait_story(&world.owners[0], "done");
        expect(world.owners[0].outcome == OUTCOME_ANSWERED && scene.n_heard_itself == 0);
        scene_close();
}

/* Beside an answer in the making it waits until it can be; beside a voice, which it may be itself, it is dropped. */
static void what_can_not_be_looked_at_waits(void) {
        open_loaded("fake:lengthy", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        say("hey gemma tell me a story");
        wait_story(&world.uncalled, "token");
        fake_fail_phrase(true);
        say("hey gemma what time is it");
        while (fake_n_failed() == 0)
                (void) sd_event_run(scene.loop, 1000);
        fake_fail_phrase(false);
        expect(turns_cancel(scene.turns, 0));
        while (turns_n_ignored(scene.turns) == 0 && !strstr(world.uncalled.story, "done started")) {
                take_calls();
                (void) sd_event_run(scene.loop, 1000);
        }
        expect(turns_n_ignored(scene.turns) == 0);
        scene_close();

        open_loaded("fake:", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        turns_set_speaking(scene.turns, true);
        fake_fail_phrase(true);
        say("hey gemma what time is it");
        wait_ignored(1);
        expect(fake_n_failed() > 0 && !world.uncalled.story[0]);
        scene_close();
}

/* An alarm that rings meanwhile is stopped by the word, too, of which no more is asked than of others then. */
static void what_rings_is_stopped_beside_an_answer(void) {
        struct expected expected = {};

        expect(expected_add(&expected, "stop") == 0 && expected_add(&expected, "yes") == 0);
        open_loaded("fake:transcript wary", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        turns_set_expected(scene.turns, &expected);
        turns_set_speaking(scene.turns, true);
        fake_call("call:stop{}");
        say_beside("stop", 1);
        wait_story(&world.uncalled, "done");
        expect(strcmp(world.uncalled.heard, "stop") == 0 && strstr(world.uncalled.calls, "stop"));
        fake_call(NULL);
        scene_close();
}

/* Twice within a minute what it has said itself was taken for somebody. */
static void who_hears_itself_twice_says_so(void) {
        open_loaded("fake:", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        (void) answer_to(0, "say hello");
        turns_set_speaking(scene.turns, true);
        say_beside("stop", 1);
        say_beside("stop", 2);
        expect(scene.n_heard_itself == 0);
        expect(strstr(answer_to(1, "say it rings until you say stop")->answered, "stop"));
        say_beside("stop", 3);
        expect(scene.n_heard_itself == 0);
        say_beside("stop", 4);
        expect(scene.n_heard_itself == 1);
        scene_close();
}

static int see_answer(const struct record *turn, void *userdata) {
        (void) snprintf(userdata, 64, "%.*s", (int) turn->answered_size, turn->answered);
        return 0;
}

/* What becomes of it in the history. */
static int set_spoken(uint64_t id, const char *text) {
        bool is_done = false;
        struct why why = {};

        expect(turns_set_spoken(scene.turns, id, text, strlen(text),
                                &(struct keeper_waiter){ scene_on_result, &is_done }, &why) == 1);
        while (!is_done && sd_event_run(scene.loop, UINT64_MAX) >= 0)
                continue;
        return scene_result;
}

static void the_history_keeps_what_was_spoken(void) {
        const struct keeper_waiter nobody = {};
        char answered[64] = "";
        struct why why = {};
        uint64_t id;

        open_loaded("fake:", "");
        (void) answer_to(0, "say one two three");
        id = world.owners[0].id;
        expect(set_spoken(id, "one two") == 0);
        expect(scene_read(&(struct store_query){ .kind = STORE_SHOW, .id = id },
                          &(struct store_visitor){ see_answer, answered }) >= 0);
        expect(strcmp(answered, "one two") == 0);
        expect(set_spoken(id + 100, "one") == -ENOENT);
        scene_close();

        /* Of an answer that is still being made nothing is added any more. */
        open_loaded("fake:", "");
        expect(ask_text(0, "gate x") == 0);
        turn_loop();
        fake_wait_gate();
        expect(turns_set_spoken(scene.turns, world.asked[0]->id, "y", 1, &nobody, &why) == 0);
        /* What is too long for an answer takes nothing away. */
        expect(turns_set_spoken(scene.turns, world.asked[0]->id, "z", SIZE_MAX, &nobody, &why) == -EFBIG);
        fake_allow(100);
        expect(strcmp(wait_done(0)->answered, "y") == 0);
        scene_close();
}

static void what_was_typed_is_answered_to_its_end(void) {
        open_loaded("fake:", "[Audio]\nFollowUpSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        expect(ask_text(0, "gate x") == 0);
        turn_loop();
        fake_wait_gate();
        say("hey gemma what time is it");
        /* Nothing would come of looking at it; the frames are long through when this is. */
        scene_speak(FAKE_ROOM, 50);
        take_calls();
        turn_loop();
        fake_allow(100);
        expect(wait_done(0)->outcome == OUTCOME_ANSWERED);
        turn_loop_until(&world.uncalled.is_done);
        expect(world.uncalled.outcome == OUTCOME_ANSWERED && turns_n_ignored(scene.turns) == 0);
        scene_close();
}

static void muting_closes_an_open_microphone(void) {
        open_loaded("fake:", "[Audio]\nLingerSeconds=0\n");
        set_mode(MODE_WAKE);
        scene_speak(FAKE_ROOM, 50);
        scene_speak(FAKE_VOICE, 20);
        wait_speech();
        pipeline_set_muted(scene.pipeline, true);
        turns_cancel_live(scene.turns);
        wait_microphone(MICROPHONE_CLOSED);
        expect(strcmp(answer_to(0, "say hello")->answered, "hello") == 0);
        expect(!world.uncalled.story[0] && turns_n_ignored(scene.turns) == 0);
        pipeline_set_muted(scene.pipeline, false);
        scene_speak(FAKE_ROOM, 50);
        say("hey gemma go on");
        turn_loop_until(&world.uncalled.is_done);
        scene_close();
}

static void hands_free_rules(void) {
        rule("an open microphone makes turns of speech", an_open_microphone_makes_turns_of_speech);
        rule("an answer begun in a pause is the same", an_answer_begun_in_a_pause_is_the_same);
        rule("speech without words is no turn", speech_without_words_is_no_turn);
        rule("only the phrase makes a turn", only_the_phrase_makes_a_turn);
        rule("ignored speech is not written down", ignored_speech_is_not_written_down);
        rule("one word in a room is too little", one_word_in_a_room_is_too_little);
        rule("the phrase alone opens the follow-up", the_phrase_alone_opens_the_follow_up);
        rule("who calls does not wait for the room", who_calls_does_not_wait_for_the_room);
        rule("speech waits for the answer before", speech_waits_for_the_answer_before);
        rule("who calls ends the answer before", who_calls_ends_the_answer);
        rule("an answer is not heard as a question", an_answer_is_not_heard_as_a_question);
        rule("... nor where all that is said counts", nor_by_an_open_microphone);
        rule("what rings is stopped beside an answer", what_rings_is_stopped_beside_an_answer);
        rule("speech that can not be looked at waits for its turn", what_can_not_be_looked_at_waits);
        rule("who hears itself twice says so", who_hears_itself_twice_says_so);
        rule("the history keeps what was spoken", the_history_keeps_what_was_spoken);
        rule("what was typed is answered to its end", what_was_typed_is_answered_to_its_end);
        rule("muting closes an open microphone", muting_closes_an_open_microphone);
}

static void answer_rules(void) {
        rule("thoughts are not told", thoughts_are_not_told);
        rule("sound is answered", sound_is_answered);
        rule("sound longer than the queue loses nothing",
             longer_sound_than_the_queue_loses_nothing);
        rule("a transcript follows in idle time", a_transcript_follows_in_idle_time);
        rule("forgetting leaves the turn that runs", forgetting_leaves_the_turn_that_runs);
        rule("a transcriber tells what it heard", a_transcriber_tells_what_it_heard);
        rule("what most hearings of a command say counts", what_most_hearings_say_counts);
        rule("our tools are answered to the model", our_tools_are_answered_to_the_model);
        rule("a model that thinks goes on thinking", a_model_that_thinks_goes_on_thinking);
        rule("other calls are told", other_calls_are_told);
        rule("calls come to an end", calls_come_to_an_end);
        rule("neither our model nor a user who says so is told of tools", who_is_not_told_of_tools);
        rule("what is not for us is heard as nothing", what_is_not_for_us_is_heard_as_nothing);
        rule("calls of others are told", calls_of_others_are_told);
        rule("a provided call is carried out", a_provided_call_is_carried_out);
        rule("tools that were not told are found", tools_that_were_not_told_are_found);
        rule("several calls are carried out in their order",
             several_calls_are_carried_out_in_their_order);
        rule("a provider that goes is told", a_provider_that_goes_is_told);
        rule("a turn whose call hangs can be cancelled", a_turn_whose_call_hangs_can_be_cancelled);
        rule("a turn can be cancelled by who is called", a_turn_can_be_cancelled_by_who_is_called);
        rule("the end does not wait for a call", the_end_does_not_wait_for_a_call);
        rule("a free model uses what is provided", a_free_model_uses_what_is_provided);
        rule("what a model can not read is given as text",
             what_a_model_can_not_read_is_given_as_text);
        rule("a model that insists is stopped", a_model_that_insists_is_stopped);
        rule("pictures come before the text that is about them", pictures_come_before_the_text);
        rule("pictures come behind the sound", pictures_come_behind_the_sound);
        rule("a model that does not see says so, and goes on", a_blind_model_says_so);
        rule("pictures that do not fit into the context are refused",
             pictures_that_do_not_fit_are_refused);
        rule("the result of a call shows a picture to a model that sees", a_result_shows_a_picture);
        rule("a provider comes before us", a_provider_comes_before_us);
        rule("what asks before is not begun by anybody", what_asks_before_is_not_begun_by_anybody);
        rule("bad calls fail", bad_calls_fail);
        rule("a bad call is told to the model", a_bad_call_is_told_to_the_model);
        rule("words are chosen as the file says", words_are_chosen_as_the_file_says);
        rule("markers reach nobody", markers_reach_nobody);
        rule("a model that nobody asks rests", a_model_that_nobody_asks_rests);
        rule("memory that runs short is given back", memory_that_runs_short_is_given_back);
        rule("the phrase wakes the model", the_phrase_wakes_the_model);
        rule("what was said makes room for speech", what_was_said_makes_room_for_speech);
        rule("a model may know the end", a_model_may_know_the_end);
}

static void limit_rules(void) {
        rule("failures of the model are told", failures_of_the_model_are_told);
        rule("a text longer than the context is refused",
             a_text_longer_than_the_context_is_refused);
        rule("an answer ends at MaxTokens", an_answer_ends_at_max_tokens);
        rule("an answer ends with the context", an_answer_ends_with_the_context);
        rule("a call that is cut is none", a_call_that_is_cut_is_none);
        rule("a cut that was taken back is none", a_cut_that_was_taken_back_is_none);
        rule("a thought ends at MaxThought", a_thought_ends_at_max_thought);
        rule("an answer that repeats itself ends", an_answer_that_repeats_itself_ends);
        rule("sound that is none is bad audio", sound_that_is_none_is_bad_audio);
        rule("silence around a recording is not heard", silence_around_a_recording_is_not_heard);
        rule("sound longer than MaxSeconds is cut", sound_longer_than_max_seconds_is_cut);
        rule("sound is cut at its last pause", sound_is_cut_at_its_last_pause);
        rule("sound that fills the context is cut", sound_that_fills_the_context_is_cut);
        rule("a deaf model says so", a_deaf_model_says_so);
        rule("pipes and sockets bring sound", pipes_and_sockets_bring_sound);
        rule("a pipe without an end can be cancelled", a_pipe_without_an_end_can_be_cancelled);
        rule("a pipe is heard as it comes", a_pipe_is_heard_as_it_comes);
        rule("a stalled pipe ends by itself", a_stalled_pipe_ends_by_itself);
        rule("an endless device is bounded", an_endless_device_is_bounded);
        rule("speech at its own speed can be cancelled", speech_at_its_own_speed_can_be_cancelled);
        rule("an answer can be cancelled", an_answer_can_be_cancelled);
        rule("prefill can be cancelled", prefill_can_be_cancelled);
        rule("a waiting turn can be cancelled", a_waiting_turn_can_be_cancelled);
        rule("a full queue refuses the newest", a_full_queue_refuses_the_newest);
        rule("nobody has all of the queue", nobody_has_all_of_the_queue);
        rule("those who are gone are not answered", the_gone_are_not_answered);
        rule("turns run in order", turns_run_in_order);
}

static void loading_rules(void) {
        rule("requests wait for the model", requests_wait_for_the_model);
        rule("a model that does not load says why", a_model_that_does_not_load_says_why);
        rule("a System text without room ends the start",
             a_system_text_without_room_ends_the_start);
        rule("recent exchanges are in the context", recent_exchanges_are_in_the_context);
        rule("what is denied is not done", what_is_denied_is_not_done);
        rule("what the model doubts is heard as nothing",
             what_the_model_doubts_is_heard_as_nothing);
        rule("all wordings of a command count for it", all_wordings_of_a_command_count_for_it);
        rule("a single word has to be surer", a_single_word_has_to_be_surer);
        rule("two that were heard alike are asked about",
             two_that_were_heard_alike_are_asked_about);
        rule("what is said answers a question", what_is_said_answers_a_question);
        rule("a transcriber has no history", a_transcriber_has_no_history);
        rule("what ran is written down, also when stopped", what_ran_is_written_down);
        rule("a disk that hangs keeps nobody waiting", a_disk_that_hangs_keeps_nobody_waiting);
        rule("who waits for the disk is told at the end", who_waits_for_the_disk_is_told_at_the_end);
        rule("a thread is not waited for longer than allowed",
             a_thread_is_not_waited_for_longer_than_allowed);
}

int main(void) {
        char command[64];

        log_open(LOG_ERR);
        if (!mkdtemp(directory))
                return 1;
        add_disk();

        rule("a text is answered", a_text_is_answered);
        rule("the microphone is answered", the_microphone_is_answered);
        rule("speech with a hole in it is not acted on", speech_with_a_hole_is_not_acted_on);
        hands_free_rules();
        rule("a held turn ends by finish", a_held_turn_ends_by_finish);
        rule("a key may be let go of late", a_key_may_be_let_go_of_late);
        rule("when nobody speaks nothing is heard", nobody_speaks_and_nothing_is_heard);
        rule("a turn that is finished while it waits hears nothing",
             a_turn_finished_while_it_waits_hears_nothing);
        rule("that there is no microphone is told", no_microphone_is_told);
        rule("muting ends listening", muting_ends_listening);
        rule("an open microphone does not disturb a file",
             an_open_microphone_does_not_disturb_a_file);
        answer_rules();
        limit_rules();
        loading_rules();
        /* The last, as it leaves something behind. */
        rule("pictures need no shared mapping", old_kernels_can_show_pictures);

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        (void) !system(command);
        return tap_done();
}
