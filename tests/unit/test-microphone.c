/* SPDX-License-Identifier: Apache-2.0 */
/* The live microphone around one that is played (tests/sim/fake-capture.h), in a worker that is a thread
 * here (tests/sim/fake-starter.h), with a clock that the test turns: nothing here waits for time. */
#include "base/parcel.h"
#include "daemon/hear/microphone.h"

#include <errno.h>
#include <math.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/fake-capture.h"
#include "tests/sim/fake-starter.h"
#include "tests/tap.h"

#define MS UINT64_C(1000000)

static struct world {
        struct microphone m;
        struct starter *starter;
        uint64_t now_ns;
        unsigned n_frames, n_gaps, n_states, gap_ms;
        float loudest;
        enum microphone_state states[64];
} world;

/* What is allocated, on this side of the wall and on the other one, while it is counted. */
static atomic_uint n_allocated;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
        atomic_fetch_add(&n_allocated, 1);
        return __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
        atomic_fetch_add(&n_allocated, 1);
        return __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) {
        atomic_fetch_add(&n_allocated, 1);
        return __real_realloc(p, n);
}

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

static void open_world(void) {
        (void) alarm(60);
        fake_mic_reset();
        fake_starter_refuse(0);
        fake_starter_stall(0);
        world = (struct world){ .now_ns = 1000 * MS };
        expect(starter_new(&world.starter, NULL) == 0);
        world.m = (struct microphone){
                .starter = world.starter,
                .on_frame = on_frame,
                .on_state = on_state,
        };
        microphone_init(&world.m);
}

static void close_world(void) {
        microphone_done(&world.m);
        starter_free(world.starter);
        expect(!fake_mic_is_open());
        expect(fake_mic_n_opened() == fake_mic_n_closed());
        (void) alarm(0);
}

static void step(uint64_t ms) {
        world.now_ns += ms * MS;
        microphone_step(&world.m, world.now_ns, world.now_ns);
}

/* The worker has something to say, or a while has passed. */
static void wait_worker(void) {
        struct pollfd fds[EAR_MAX_POLLED];
        size_t n = microphone_poll(&world.m, fds);

        (void) poll(fds, n, 20);
        step(0);
}

/* Lets what has begun come to its end, at the same time of the clock. */
static void settle(void) {
        step(0);
        while (world.m.ear && !world.m.is_open)
                wait_worker();
}

/* Gives it, and lets it come through. */
static void give(enum fake_sound sound, unsigned n) {
        unsigned wanted = world.n_frames + n;

        expect(fake_mic_give(sound, n));
        while (world.n_frames < wanted)
                wait_worker();
}

/* Until it says so. */
static void wait_state(enum microphone_state state) {
        while (world.m.state != state)
                wait_worker();
}

static void open_live(void) {
        open_world();
        world.m.is_wanted = true;
        settle();
        give(FAKE_ROOM, 3);
        expect(world.m.state == MICROPHONE_LIVE);
}

static void it_is_open_only_while_it_is_wanted(void) {
        open_world();
        settle();
        expect(fake_mic_n_opened() == 0 && world.m.state == MICROPHONE_CLOSED);
        world.m.is_wanted = true;
        settle();
        expect(world.m.state == MICROPHONE_OPENING && fake_mic_is_open());
        give(FAKE_ROOM, 5);
        expect(world.n_frames == 5 && world.m.state == MICROPHONE_LIVE);
        expect(strcmp(world.m.name, "fake") == 0);
        world.m.is_wanted = false;
        settle();
        expect(!fake_mic_is_open() && world.m.state == MICROPHONE_CLOSED && !world.m.name[0]);
        expect(!microphone_has_device(&world.m) && world.n_states == 3);
        close_world();
}

static void a_lost_one_is_opened_again(void) {
        open_live();
        fake_mic_refuse(-ENODEV);
        fake_mic_unplug();
        wait_state(MICROPHONE_LOST);
        expect(strcmp(world.m.why.text, "the microphone is gone") == 0);

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
        give(FAKE_ROOM, 2);
        expect(world.m.state == MICROPHONE_LIVE && world.n_frames == 5);
        expect(world.n_gaps == 2 && world.m.n_crashes == 0);
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
        world.m.leniency = 2;
        step(2900);
        expect(world.m.state == MICROPHONE_LIVE);
        give(FAKE_ROOM, 1);
        world.m.leniency = 1;
        step(1400);
        expect(world.m.state == MICROPHONE_LIVE);
        step(200);
        expect(world.m.state == MICROPHONE_LOST && !microphone_has_device(&world.m));
        step(1000);
        settle();
        /* The first sample may take longer, and longer at each attempt. */
        step(1800);
        expect(world.m.is_open && fake_mic_n_opened() == 2);
        step(200);
        expect(!microphone_has_device(&world.m));
        step(1000);
        settle();
        step(3700);
        expect(world.m.is_open && fake_mic_n_opened() == 3);
        close_world();
}

static void zeros_are_opened_again_ever_more_rarely(void) {
        open_live();
        for (int i = 0; i < 1000; i++) {
                if (world.m.is_open)
                        give(FAKE_ZEROS, 1);
                step(40);
                settle();
        }
        expect(world.m.state == MICROPHONE_SILENT);
        expect(fake_mic_n_opened() >= 3 && fake_mic_n_opened() <= 5);
        expect(world.states[world.n_states - 1] == MICROPHONE_SILENT);
        expect(world.n_states == 3);
        give(FAKE_ROOM, 1);
        expect(world.m.state == MICROPHONE_LIVE);
        close_world();
}

static void short_silence_is_none(void) {
        open_live();
        for (int i = 0; i < 35; i++) {
                give(FAKE_ZEROS, 1);
                step(40);
        }
        expect(world.m.state == MICROPHONE_LIVE && fake_mic_n_opened() == 1);
        close_world();
}

static void what_is_lost_is_a_gap(void) {
        open_live();
        expect(world.n_gaps == 1 && world.gap_ms == 0);
        fake_mic_set_lost(500);
        give(FAKE_ROOM, 2);
        expect(world.n_gaps == 2 && world.n_frames == 5 && world.gap_ms == 31);
        give(FAKE_ROOM, 2);
        expect(world.n_gaps == 2 && world.n_frames == 7);
        close_world();
}

/* The process was stopped while the other one went on. */
static void after_a_sleep_nothing_late_is_heard(void) {
        open_live();
        expect(fake_mic_give(FAKE_VOICE, 10));
        while (!fake_mic_is_empty())
                (void) poll(NULL, 0, 1);
        step(8000);
        settle();
        expect(world.n_frames == 3 && fake_mic_n_opened() == 2);
        close_world();
}

static void one_that_does_not_end_is_killed(void) {
        open_live();
        fake_mic_hold_close(true);
        world.m.is_wanted = false;
        step(10);
        expect(microphone_has_device(&world.m));
        step(400);
        expect(microphone_has_device(&world.m));
        step(200);
        step(10);
        expect(!microphone_has_device(&world.m));
        /* Another one is opened all the same. */
        world.m.is_wanted = true;
        settle();
        expect(fake_mic_n_opened() == 2 && world.m.is_open);
        fake_mic_hold_close(false);
        close_world();
}

/* None comes at all: given up after a while, and said. */
static void one_that_does_not_begin_is_not_waited_for(void) {
        open_world();
        fake_starter_stall(1);
        world.m.is_wanted = true;
        step(0);
        expect(world.m.state == MICROPHONE_OPENING);
        step(4900);
        expect(world.m.state == MICROPHONE_OPENING);
        step(200);
        expect(world.m.state == MICROPHONE_LOST && strstr(world.m.why.text, "hangs"));
        fake_starter_stall(0);
        step(1000);
        settle();
        expect(world.m.is_open);

        /* None can be started. */
        fake_starter_refuse(-EPIPE);
        fake_starter_crash();
        wait_state(MICROPHONE_LOST);
        step(1000);
        step(1000);
        expect(world.m.state == MICROPHONE_LOST && strstr(world.m.why.text, "started again"));
        close_world();
}

/* What is opened is a worker that does as the test likes; its socket. */
static int open_hostile(void) {
        const struct wall_message here = { .word = WALL_HERE }, open = { .word = WALL_OPEN };

        open_world();
        fake_starter_stall(1);
        world.m.is_wanted = true;
        step(0);
        expect(parcel_send(fake_starter_stalled(), &here, sizeof(here), NULL, 0) == 0);
        expect(parcel_send(fake_starter_stalled(), &open, sizeof(open), NULL, 0) == 0);
        step(0);
        expect(world.m.is_open);
        return fake_starter_stalled();
}

static void *talk(void *userdata) {
        const struct wall_message other = { .word = WALL_OTHER };
        int fd = *(int *) userdata;

        while (parcel_send(fd, &other, sizeof(other), NULL, 0) != -EPIPE)
                continue;
        return NULL;
}

static void one_that_talks_without_end_is_killed(void) {
        int fd = open_hostile();
        pthread_t id;

        /* What it says would have another one opened in its place. */
        world.m.is_needed = true;
        expect(pthread_create(&id, NULL, talk, &fd) == 0);
        while (!world.m.is_other)
                wait_worker();
        for (unsigned i = 0; i < 100; i++)
                step(1);
        expect(world.m.is_open);
        world.m.is_wanted = world.m.is_needed = false;
        step(0);
        expect(world.m.state == MICROPHONE_CLOSED && microphone_has_device(&world.m));
        step(600);
        (void) pthread_join(id, NULL);
        for (unsigned i = 0; i < 100 && microphone_has_device(&world.m); i++)
                step(1);
        expect(!microphone_has_device(&world.m));
        close_world();
}

static void what_makes_no_sense_ends_it_and_leaves_nothing(void) {
        const struct wall_message open = { .word = WALL_OPEN };
        int fd = open_hostile(), given[2];
        char byte;

        /* It is open already. */
        expect(parcel_send(fd, &open, sizeof(open), NULL, 0) == 0);
        step(0);
        expect(world.m.state == MICROPHONE_LOST && strstr(world.m.why.text, "no sense"));
        close_world();

        /* Nothing, and a descriptor with it. */
        fd = open_hostile();
        expect(pipe2(given, O_CLOEXEC | O_NONBLOCK) == 0);
        expect(parcel_send(fd, "", 0, &given[1], 1) == 0);
        (void) close(given[1]);
        expect(read(given[0], &byte, 1) < 0 && errno == EAGAIN);
        step(0);
        expect(world.m.state == MICROPHONE_LOST);
        expect(read(given[0], &byte, 1) == 0);
        (void) close(given[0]);
        close_world();
}

static void a_crash_is_told_and_cured(void) {
        open_live();
        fake_starter_crash();
        wait_state(MICROPHONE_LOST);
        expect(strcmp(world.m.why.text, "the sound process ended") == 0);
        expect(world.m.n_crashes == 1);
        step(1000);
        settle();
        give(FAKE_ROOM, 1);
        expect(world.m.state == MICROPHONE_LIVE && world.gap_ms == FRAME_GAP_UNKNOWN);
        close_world();
}

static void an_end_in_the_middle_closes_it(void) {
        open_live();
        world.m.is_wanted = false;
        step(10);
        close_world();

        /* ... and one that was just being opened. */
        open_world();
        world.m.is_wanted = true;
        step(0);
        close_world();
}

/* The system's choice of another one is followed, but not in the middle of what is said. */
static void another_choice_is_followed(void) {
        open_live();
        world.m.is_needed = true;
        fake_mic_set_follow(FOLLOW_OTHER);
        while (!world.m.is_other)
                wait_worker();
        give(FAKE_ROOM, 1);
        expect(world.m.is_open && fake_mic_n_opened() == 1);
        world.m.is_needed = false;
        step(0);
        expect(!world.m.is_open && microphone_has_device(&world.m));
        fake_mic_set_follow(FOLLOW_SAME);
        settle();
        expect(world.m.is_open && fake_mic_n_opened() == 2);
        give(FAKE_ROOM, 1);
        expect(world.m.state == MICROPHONE_LIVE && world.n_states == 2);

        /* One that the server has no more is gone, whatever still comes. */
        fake_mic_set_follow(FOLLOW_GONE);
        wait_state(MICROPHONE_LOST);
        expect(strcmp(world.m.why.text, "the microphone is gone") == 0);
        close_world();
}

static void nothing_is_allocated_while_it_listens(void) {
        unsigned n;

        open_live();
        give(FAKE_VOICE, 10);
        n = atomic_load(&n_allocated);
        expect(n > 0);
        for (int i = 0; i < 20; i++) {
                give(i % 2 ? FAKE_ROOM : FAKE_VOICE, 20);
                step(800);
        }
        expect(atomic_load(&n_allocated) == n);
        close_world();
}

static void an_interruption_is_a_gap_without_a_length(void) {
        open_live();
        fake_mic_unplug();
        wait_state(MICROPHONE_LOST);
        step(1000);
        settle();
        give(FAKE_ROOM, 2);
        expect(world.n_gaps == 2 && world.gap_ms == FRAME_GAP_UNKNOWN);
        close_world();
}

static float loudest_voice(bool is_opposite) {
        float loudest;

        open_world();
        if (is_opposite)
                fake_mic_set_opposite();
        world.m.is_wanted = true;
        settle();
        give(FAKE_VOICE, 50);
        loudest = world.loudest;
        close_world();
        return loudest;
}

/* Of a cable that was soldered wrongly the mean is silence. */
static void opposite_sides_are_heard(void) {
        float mono = loudest_voice(false), opposite = loudest_voice(true);

        expect(mono > 0.1f && opposite > 0.9f * mono && opposite < 1.1f * mono);
}

/* Of an offset nothing is heard, but it is known. */
static void an_offset_is_known_and_taken_out(void) {
        open_live();
        fake_mic_set_offset(0.1f);
        for (int i = 0; i < 50; i++) {
                give(FAKE_ROOM, 1);
                step(40);
        }
        world.loudest = 0;
        give(FAKE_ROOM, 10);
        step(40);
        expect(world.loudest < 0.002f && fabsf(world.m.offset - 0.1f) < 0.005f);

        /* One value all the time is no sound. */
        for (int i = 0; i < 40; i++) {
                if (world.m.is_open)
                        give(FAKE_ZEROS, 1);
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
        rule("sides that are opposite are heard", opposite_sides_are_heard);
        rule("after a sleep nothing late is heard", after_a_sleep_nothing_late_is_heard);
        rule("a process that does not end is killed", one_that_does_not_end_is_killed);
        rule("a process that does not begin is not waited for",
             one_that_does_not_begin_is_not_waited_for);
        rule("a process that talks without end is killed", one_that_talks_without_end_is_killed);
        rule("what makes no sense ends it, and leaves nothing",
             what_makes_no_sense_ends_it_and_leaves_nothing);
        rule("a crash is told, and cured", a_crash_is_told_and_cured);
        rule("an end in the middle closes it", an_end_in_the_middle_closes_it);
        rule("another microphone that is meant is followed", another_choice_is_followed);
        rule("nothing is allocated while it listens, on either side",
             nothing_is_allocated_while_it_listens);
        return tap_done();
}
