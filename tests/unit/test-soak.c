/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand turns at a microphone that is played, around a scripted engine: an evening of use in
 * the time that the computing takes.  Afterwards the process is as large as before. */
#include "daemon/turn/turns.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wake.h"
#include "tests/sim/fake-starter.h"
#include "tests/sim/scene.h"
#include "tests/tap.h"

#define N_TURNS 1000
#define WARM_UP 200

/* A leak of a hundred bytes per turn would be 90,000.  What threads keep for their next malloc()
 * counts as allocated, and varies. */
#define SLACK 65536

static struct world { unsigned n_done, n_answered, n_cancelled; } world;

struct size {
        size_t n_bytes;
        unsigned n_fds, n_threads;
};

static unsigned count(const char *path) {
        DIR *directory = opendir(path);
        unsigned n = 0;

        while (directory && readdir(directory))
                n++;
        if (directory)
                (void) closedir(directory);
        return n;
}

/* When all that is being closed is: gemmad's side of it goes as soon as it has seen the other one's end. */
static struct size measure(void) {
        unsigned n = 0, n_before;

        fake_starter_wait();
        do {
                n_before = n;
                (void) poll(NULL, 0, 200);
                n = count("/proc/self/fd");
        } while (n != n_before);
        return (struct size){
                .n_bytes = mallinfo2().uordblks + mallinfo2().hblkhd,
                .n_fds = count("/proc/self/fd"),
                .n_threads = count("/proc/self/task"),
        };
}

static void on_news(const struct news *news, void *userdata) {
        (void) userdata;
        if (news->kind != NEWS_DONE)
                return;
        world.n_answered += news->turn->outcome == OUTCOME_ANSWERED;
        world.n_cancelled += news->turn->outcome == OUTCOME_CANCELLED;
        world.n_done++;
}

static void run_loop(void) {
        expect(sd_event_run(scene.loop, 1000) >= 0);
}

static void open_world(void) {
        scene_open(300, "fake:", "[Audio]\nLingerSeconds=0\n", NULL, on_news);
        while (!scene.is_loaded)
                run_loop();
}

/* Until it is taken, or the turn is over: what was said with a hole in it is not heard to its end. */
static void give(enum fake_sound sound, size_t n_frames, unsigned n_done) {
        while (world.n_done == n_done && !fake_mic_give(sound, n_frames))
                run_loop();
        while (world.n_done == n_done && !fake_mic_is_empty())
                run_loop();
}

/* What the pipeline tells is taken, as the daemon does, until it is this; or all there is. */
static void take_events(bool until, enum pipeline_event_kind kind) {
        struct pollfd bell = { .fd = pipeline_events_fd(scene.pipeline), .events = POLLIN };
        struct pipeline_event event;

        do {
                while (pipeline_next_event(scene.pipeline, &event))
                        until = until && event.kind != kind;
                if (until && poll(&bell, 1, 1000) > 0)
                        wake_clear(bell.fd);
        } while (until);
}

/* The machine sleeps: all is closed by the time that is told, and the turn is over.  Awake sooner, the turn
 * might open the microphone once more. */
static void sleep_and_wake(unsigned n_done) {
        pipeline_set_asleep(scene.pipeline, true);
        turns_cancel_live(scene.turns);
        take_events(true, PIPELINE_ASLEEP);
        expect(!fake_mic_is_open());
        while (world.n_done == n_done)
                run_loop();
        scene_catch_up();
        pipeline_set_asleep(scene.pipeline, false);
}

/* Gone, and there again as soon as it is opened anew. */
static void replug(void) {
        unsigned n = fake_mic_n_opened();

        fake_mic_unplug();
        while (fake_mic_n_opened() == n)
                run_loop();
}

static void one_turn(unsigned i) {
        bool is_held = i % 4 == 1;
        struct ask ask = {
                .audio_fd = -1,
                .is_live = true,
                .is_held = is_held,
                .max_frames = 750,
                .max_tokens = 16,
        };
        unsigned n_done = world.n_done;
        struct turn *turn;

        expect(turns_ask(scene.turns, &ask, &turn) == 0);
        give(FAKE_ROOM, 10, n_done);
        if (i % 40 == 3)
                replug();
        if (i % 4 == 2)
                sleep_and_wake(n_done);
        if (i % 8 == 6)
                turns_cancel_live(scene.turns);
        if (i % 4 != 2) {
                give(FAKE_VOICE, 20, n_done);
                give(FAKE_ROOM, 25, n_done);
        }
        if (is_held && world.n_done == n_done)
                expect(turns_finish(scene.turns));
        while (world.n_done == n_done)
                run_loop();
        while (fake_mic_is_open())
                (void) poll(NULL, 0, 1);
        take_events(false, PIPELINE_MICROPHONE);
}

static void a_thousand_turns_leave_nothing_behind(void) {
        struct size before = {}, after;

        open_world();
        for (unsigned i = 0; i < N_TURNS; i++) {
                if (i == WARM_UP)
                        before = measure();
                one_turn(i);
        }
        after = measure();
        printf("# %zu bytes, %u descriptors, %u threads; then %zu, %u, %u\n", before.n_bytes,
               before.n_fds, before.n_threads, after.n_bytes, after.n_fds, after.n_threads);
        expect(after.n_bytes <= before.n_bytes + SLACK);
        expect(after.n_fds == before.n_fds);
        expect(after.n_threads == before.n_threads);
        expect(world.n_done == N_TURNS && world.n_cancelled == N_TURNS / 4);
        /* Where the microphone was gone just before the words, nobody knows what else was said. */
        expect(world.n_answered == N_TURNS - N_TURNS / 4 - N_TURNS / 40);
        expect(fake_mic_n_opened() >= N_TURNS && fake_mic_n_opened() == fake_mic_n_closed());
        scene_close();
}

int main(void) {
        log_open(LOG_WARNING);
        rule("a thousand turns leave nothing behind", a_thousand_turns_leave_nothing_behind);
        return tap_done();
}
