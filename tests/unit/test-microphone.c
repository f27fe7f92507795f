/* SPDX-License-Identifier: Apache-2.0 */
/* The live microphone around one that is played (tests/sim/fake-capture.h), with a clock that the
 * test turns: nothing here waits for time. */
#include "daemon/hear/microphone.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wake.h"
#include "tests/sim/fake-capture.h"
#include "tests/tap.h"

#define MS UINT64_C(1000000)

static struct world {
        struct microphone m;
        struct device *device;
        int bell_fd;
        uint64_t now_ns;
        unsigned n_frames, n_gaps, n_states, n_listed, gap_ms;
        float loudest;
        enum microphone_state states[64];
} world;

static void on_frame(const struct frame *frame, void *userdata) {
        (void) userdata;
        world.n_frames++;
        world.n_gaps += frame->has_gap;
        if (frame->has_gap)
                world.gap_ms = frame->gap_ms;
        for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                world.loudest = fmaxf(world.loudest, fabsf(frame->samples[i]));
}

static void on_state(void *userdata) {
        (void) userdata;
        if (world.n_states < 64)
                world.states[world.n_states] = world.m.state;
        world.n_states++;
}

static void on_listed(const struct device_result *result, void *userdata) {
        (void) userdata;
        world.n_listed++;
        expect(result->r == 1 && strcmp(result->listed[0].name, "fake") == 0);
}

static void open_world(void) {
        struct capture_config config = { .ring_ms = 1000 };

        (void) alarm(60);
        fake_mic_reset();
        world = (struct world){ .bell_fd = wake_open(), .now_ns = 1000 * MS };
        config.wake_fd = world.bell_fd;
        expect(device_new(&world.device, &config) == 0);
        expect(device_start(world.device) == 0);
        world.m = (struct microphone){
                .device = world.device,
                .on_frame = on_frame,
                .on_state = on_state,
                .on_listed = on_listed,
        };
        microphone_init(&world.m);
}

static void close_world(void) {
        microphone_done(&world.m);
        expect(device_join(world.device, clock_now_ns() + 30000 * MS));
        device_free(world.device);
        expect(!fake_mic_is_open());
        expect(fake_mic_n_opened() == fake_mic_n_closed());
        (void) close(world.bell_fd);
        (void) alarm(0);
}

static void step(uint64_t ms) {
        world.now_ns += ms * MS;
        microphone_step(&world.m, world.now_ns, world.now_ns);
}

/* Lets the device's thread finish what it was told, at the same time of the clock. */
static void settle(void) {
        struct pollfd bell = { .fd = world.bell_fd, .events = POLLIN };

        step(0);
        while (world.m.is_busy) {
                expect(poll(&bell, 1, -1) == 1);
                wake_clear(world.bell_fd);
                step(0);
        }
}

static void open_live(void) {
        open_world();
        world.m.is_wanted = true;
        settle();
        expect(fake_mic_give(FAKE_ROOM, 3));
        step(10);
        expect(world.m.state == MICROPHONE_LIVE);
}

static void it_is_open_only_while_it_is_wanted(void) {
        open_world();
        settle();
        expect(fake_mic_n_opened() == 0 && world.m.state == MICROPHONE_CLOSED);
        world.m.is_wanted = true;
        settle();
        expect(world.m.state == MICROPHONE_OPENING && fake_mic_is_open());
        expect(fake_mic_give(FAKE_ROOM, 5));
        step(10);
        expect(world.n_frames == 5 && world.m.state == MICROPHONE_LIVE);
        expect(strcmp(world.m.name, "fake") == 0);
        world.m.is_wanted = false;
        settle();
        expect(!fake_mic_is_open() && world.m.state == MICROPHONE_CLOSED && !world.m.name[0]);
        expect(world.n_states == 3);
        close_world();
}

static void a_lost_one_is_opened_again(void) {
        open_live();
        fake_mic_unplug();
        fake_mic_refuse(-ENODEV);
        settle();
        expect(world.m.state == MICROPHONE_LOST && world.m.why.text[0]);

        /* The pauses grow, but not beyond a second. */
        for (int i = 0; i < 20; i++) {
                step(1000);
                settle();
        }
        expect(fake_mic_n_opened() == 1 && world.m.state == MICROPHONE_LOST);
        expect(strcmp(world.m.why.text, "no microphone is plugged in") == 0);
        fake_mic_refuse(0);
        step(1000);
        settle();
        expect(fake_mic_is_open());
        expect(fake_mic_give(FAKE_ROOM, 2));
        step(10);
        expect(world.m.state == MICROPHONE_LIVE && world.n_frames == 5);
        expect(world.n_gaps == 2);
        /* Opening, live, lost, lost for another reason, live: told once each. */
        expect(world.n_states == 5 && world.states[3] == MICROPHONE_LOST);
        close_world();
}

static void attempts_have_pauses(void) {
        open_world();
        fake_mic_refuse(-EBUSY);
        world.m.is_wanted = true;
        settle();
        fake_mic_refuse(0);
        step(1);
        settle();
        expect(!fake_mic_is_open());
        step(1000);
        settle();
        expect(fake_mic_is_open());
        close_world();
}

static void one_that_gives_nothing_is_opened_again(void) {
        open_live();
        fake_mic_set_age(1400 * MS);
        step(100);
        expect(world.m.state == MICROPHONE_LIVE);
        fake_mic_set_age(1600 * MS);
        settle();
        expect(world.m.state == MICROPHONE_LOST && !fake_mic_is_open());
        step(1000);
        settle();
        /* The first sample may take longer, and longer at each attempt. */
        fake_mic_set_age(1800 * MS);
        step(100);
        expect(fake_mic_is_open() && fake_mic_n_opened() == 2);
        fake_mic_set_age(2000 * MS);
        settle();
        expect(!fake_mic_is_open());
        step(1000);
        settle();
        fake_mic_set_age(3700 * MS);
        step(100);
        expect(fake_mic_is_open() && fake_mic_n_opened() == 3);
        close_world();
}

static void zeros_are_opened_again_ever_more_rarely(void) {
        open_live();
        for (int i = 0; i < 1000; i++) {
                (void) fake_mic_give(FAKE_ZEROS, 1);
                step(40);
                settle();
        }
        expect(world.m.state == MICROPHONE_SILENT);
        expect(fake_mic_n_opened() >= 3 && fake_mic_n_opened() <= 5);
        expect(world.states[world.n_states - 1] == MICROPHONE_SILENT);
        expect(world.n_states == 3);
        expect(fake_mic_give(FAKE_ROOM, 1));
        step(40);
        expect(world.m.state == MICROPHONE_LIVE);
        close_world();
}

static void short_silence_is_none(void) {
        open_live();
        for (int i = 0; i < 35; i++) {
                (void) fake_mic_give(FAKE_ZEROS, 1);
                step(40);
        }
        expect(world.m.state == MICROPHONE_LIVE && fake_mic_n_opened() == 1);
        close_world();
}

static void what_is_lost_is_a_gap(void) {
        open_live();
        expect(world.n_gaps == 1 && world.gap_ms == 0);
        fake_mic_set_lost(500);
        expect(fake_mic_give(FAKE_ROOM, 2));
        step(10);
        expect(world.n_gaps == 2 && world.n_frames == 5 && world.gap_ms == 31);
        expect(fake_mic_give(FAKE_ROOM, 2));
        step(10);
        expect(world.n_gaps == 2 && world.n_frames == 7);
        close_world();
}

static void after_a_sleep_nothing_late_is_heard(void) {
        open_live();
        expect(fake_mic_give(FAKE_VOICE, 10));
        step(8000);
        settle();
        expect(world.n_frames == 3 && fake_mic_n_opened() == 2);
        close_world();
}

static void a_close_that_hangs_holds_up_nobody(void) {
        open_live();
        fake_mic_hold_close(true);
        fake_mic_unplug();
        for (int i = 0; i < 100; i++)
                step(1000);
        expect(world.m.state == MICROPHONE_LOST && fake_mic_n_opened() == 1);
        fake_mic_hold_close(false);
        settle();
        expect(fake_mic_n_opened() == 2);
        close_world();
}

static void an_end_in_the_middle_closes_it(void) {
        open_live();
        fake_mic_hold_close(true);
        world.m.is_wanted = false;
        step(10);
        expect(world.m.is_busy);
        microphone_done(&world.m);
        expect(!device_join(world.device, 0));
        fake_mic_hold_close(false);
        expect(device_join(world.device, clock_now_ns() + 30000 * MS));
        device_free(world.device);
        expect(fake_mic_n_opened() == fake_mic_n_closed());
        (void) close(world.bell_fd);

        /* ... and one that was just being opened. */
        open_world();
        world.m.is_wanted = true;
        step(0);
        close_world();
}

static void devices_are_listed_whether_it_is_open_or_not(void) {
        open_world();
        world.m.list_is_wanted = true;
        settle();
        expect(world.n_listed == 1 && fake_mic_n_opened() == 0);
        world.m.is_wanted = true;
        settle();
        world.m.list_is_wanted = true;
        settle();
        expect(world.n_listed == 2 && fake_mic_is_open());
        close_world();
}

static void an_interruption_is_a_gap_without_a_length(void) {
        open_live();
        fake_mic_unplug();
        settle();
        step(1000);
        settle();
        expect(fake_mic_give(FAKE_ROOM, 2));
        step(10);
        expect(world.n_gaps == 2 && world.gap_ms == FRAME_GAP_UNKNOWN);
        close_world();
}

/* Of an offset nothing is heard, but it is known. */
static void an_offset_is_known_and_taken_out(void) {
        open_live();
        world.loudest = 0;
        fake_mic_set_offset(0.1f);
        for (int i = 0; i < 50; i++) {
                expect(fake_mic_give(FAKE_ROOM, 1));
                step(40);
        }
        world.loudest = 0;
        expect(fake_mic_give(FAKE_ROOM, 10));
        step(40);
        expect(world.loudest < 0.002f && fabsf(world.m.offset - 0.1f) < 0.005f);

        /* One value all the time is no sound. */
        for (int i = 0; i < 40; i++) {
                expect(fake_mic_give(FAKE_ZEROS, 1));
                step(40);
                settle();
        }
        expect(world.m.state == MICROPHONE_SILENT && world.m.last_sample == 0.1f);
        close_world();
}

int main(void) {
        rule("it is open only while it is wanted", it_is_open_only_while_it_is_wanted);
        rule("one that is lost is opened again", a_lost_one_is_opened_again);
        rule("attempts to open it have pauses", attempts_have_pauses);
        rule("one that gives nothing is opened again", one_that_gives_nothing_is_opened_again);
        rule("one that gives zeros is opened again, ever more rarely",
             zeros_are_opened_again_ever_more_rarely);
        rule("a short digital silence is none", short_silence_is_none);
        rule("what is lost is a gap", what_is_lost_is_a_gap);
        rule("an interruption is a gap of no known length",
             an_interruption_is_a_gap_without_a_length);
        rule("an offset is known, and taken out", an_offset_is_known_and_taken_out);
        rule("after a sleep nothing late is heard", after_a_sleep_nothing_late_is_heard);
        rule("a close that hangs holds up nobody", a_close_that_hangs_holds_up_nobody);
        rule("an end in the middle closes it", an_end_in_the_middle_closes_it);
        rule("devices are listed whether it is open or not",
             devices_are_listed_whether_it_is_open_or_not);
        return tap_done();
}
