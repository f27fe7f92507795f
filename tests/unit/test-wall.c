/* SPDX-License-Identifier: Apache-2.0 */
/* What gemmad believes of the process behind the wall, whatever that does. */
#include "base/parcel.h"
#include "sound/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wake.h"
#include "tests/tap.h"

static struct wall *wall;
static int wall_fd;

static void open_wall(void) {
        expect(wall_make(&wall, &wall_fd) == 0);
}

static void close_wall(void) {
        wall = wall_unmap(wall);
        (void) close(wall_fd);
}

static struct wall_frame frame_of(float value) {
        struct wall_frame f = { .value = value, .frame = { .n_valid = FRAME_SAMPLES } };

        for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                f.frame.samples[i] = value;
        return f;
}

static void frames_come_through_in_order(void) {
        struct wall *other = NULL;
        struct wall_frame f, got;
        uint32_t tail = 0;

        open_wall();
        expect(wall_map(&other, wall_fd) == 0);
        for (unsigned i = 0; i < 3 * WALL_FRAMES; i++) {
                f = frame_of((float) i / 1000);
                expect(wall_push(other, &f));
                expect(wall_room(other) == WALL_FRAMES - 1);
                expect(wall_pop(wall, &tail, &got) == 1);
                expect(memcmp(got.frame.samples, f.frame.samples, sizeof(f.frame.samples)) == 0);
                expect(got.frame.sequence == i);
        }
        expect(wall_pop(wall, &tail, &got) == 0);
        for (unsigned i = 0; i < WALL_FRAMES; i++)
                expect(wall_push(other, &f));
        expect(!wall_push(other, &f) && wall_room(other) == 0);

        /* What was taken is nowhere any more. */
        expect(wall_pop(wall, &tail, &got) == 1);
        expect(other->slots[0].frame.samples[0] == 0 && other->slots[1].frame.samples[0] != 0);
        (void) wall_unmap(other);
        close_wall();
}

static void a_wall_keeps_its_size(void) {
        struct stat st;

        open_wall();
        expect(ftruncate(wall_fd, 0) < 0 && errno == EPERM);
        expect(ftruncate(wall_fd, 1 << 24) < 0 && errno == EPERM);
        expect(fstat(wall_fd, &st) == 0 && st.st_size == (off_t) sizeof(struct wall));
        close_wall();
}

/* Each byte of a frame is anything. */
static void nonsense_becomes_sound(void) {
        uint32_t tail = 0, random = 1;

        open_wall();
        for (unsigned n = 0; n < 200; n++) {
                unsigned char *bytes = (unsigned char *) &wall->slots[tail % WALL_FRAMES];
                struct wall_frame got;

                for (size_t i = 0; i < sizeof(struct wall_frame); i++) {
                        random = random * 1664525 + 1013904223;
                        bytes[i] = n < 2 ? 0xff : (unsigned char) (random >> 24);
                }
                atomic_store(&wall->head, tail + 1);
                expect(wall_pop(wall, &tail, &got) == 1);
                for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                        expect(got.frame.samples[i] >= -1 && got.frame.samples[i] <= 1);
                expect(fabsf(got.offset) <= 1 && fabsf(got.value) <= 1 && got.is_still <= 1);
                expect(got.frame.n_valid <= FRAME_SAMPLES && got.frame.is_last <= 1);
                expect(got.frame.has_gap <= 1 && (got.frame.has_gap || got.frame.gap_ms == 0));
                expect(got.frame.captured_ns <= clock_now_ns() && got.frame.sequence == n);
        }
        close_wall();
}

static void a_count_that_is_none_is_refused(void) {
        struct wall_frame got;
        uint32_t tail = 7;

        open_wall();
        atomic_store(&wall->head, tail + WALL_FRAMES + 1);
        expect(wall_pop(wall, &tail, &got) == -EBADMSG && tail == 7);
        atomic_store(&wall->head, tail - 1);
        expect(wall_pop(wall, &tail, &got) == -EBADMSG && tail == 7);
        /* The reader's own index is not the one that the other side can write. */
        atomic_store(&wall->head, tail + 1);
        atomic_store(&wall->tail, 99);
        expect(wall_pop(wall, &tail, &got) == 1 && tail == 8);
        expect(wall_pop(wall, &tail, &got) == 0);
        close_wall();
}

static void messages_are_brought_within_bounds(void) {
        struct wall_message m;

        memset(&m, 0xff, sizeof(m));
        expect(!wall_check(&m));
        m.word = WALL_FAILED;
        m.r = 5;
        expect(wall_check(&m) && m.r < 0 && strlen(m.why.text) == sizeof(m.why.text) - 1);
        expect(strspn(m.why.text, "?") == sizeof(m.why.text) - 1);
        m = (struct wall_message){ .word = WALL_FAILED, .r = -ENODEV };
        (void) strcpy(m.why.text, "a \x1b[31mred\n \xc3\xa9 \xc3");
        expect(wall_check(&m) && m.r == -ENODEV);
        expect(strcmp(m.why.text, "a ?[31mred? \xc3\xa9 ?") == 0);

        m = (struct wall_message){ .word = WALL_LISTED, .r = WALL_MAX_LISTED + 1 };
        expect(!wall_check(&m));
        m.r = -1;
        expect(!wall_check(&m));
        m.r = WALL_MAX_LISTED;
        memset(m.listed, 0xff, sizeof(m.listed));
        expect(wall_check(&m));
        for (unsigned i = 0; i < WALL_MAX_LISTED; i++)
                expect(strlen(m.listed[i].name) == sizeof(m.listed[i].name) - 1);
        m = (struct wall_message){ .word = WALL_OPEN };
        memset(&m.open, 0xff, sizeof(m.open));
        expect(wall_check(&m) && m.open.is_live == 1 && m.open.device[127] == '\0');
}

static void descriptors_that_nobody_asked_for_are_closed(void) {
        int pair[2], given[2], got[WALL_MAX_FDS];
        size_t n = 1;
        char byte = 1;

        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        expect(pipe(given) == 0);
        expect(parcel_receive(pair[0], &byte, 1, got, &n) == -EAGAIN);
        n = 1;
        expect(parcel_send(pair[1], &byte, 1, (int[]){ given[1], given[1], given[1] }, 3) == 0);
        expect(parcel_receive(pair[0], &byte, 1, got, &n) == 1 && n == 1);
        (void) close(got[0]);
        (void) close(given[1]);
        /* No writer is left: none of the copies is. */
        expect(read(given[0], &byte, 1) == 0);
        (void) close(given[0]);
        (void) close(pair[1]);
        n = 1;
        expect(parcel_receive(pair[0], &byte, 1, got, &n) == 0);
        expect(parcel_send(pair[0], &byte, 1, NULL, 0) == -EPIPE);
        (void) close(pair[0]);
}

/* A bell of which both sides had the same descriptor would wait at one side when the other says so. */
static void a_bell_makes_nobody_wait(void) {
        int hearer, ringer;
        struct pollfd bell = { .events = POLLIN };

        expect(wall_make_bell(&hearer, &ringer) == 0);
        bell.fd = hearer;
        expect(fcntl(ringer, F_SETFL, 0) == 0 && (fcntl(hearer, F_GETFL) & O_NONBLOCK));
        wall_clear_bell(hearer);
        expect(poll(&bell, 1, 0) == 0);
        for (unsigned i = 0; i < 100; i++)
                wake_ring(ringer);
        expect(poll(&bell, 1, 0) == 1);
        wall_clear_bell(hearer);
        expect(poll(&bell, 1, 0) == 0);

        expect(fcntl(ringer, F_SETFL, O_NONBLOCK) == 0 && fcntl(hearer, F_SETFL, 0) == 0);
        /* Nobody hears it any more, and it is full. */
        for (unsigned i = 0; i < 100000; i++)
                wake_ring(ringer);
        expect(poll(&bell, 1, 0) == 1);
        (void) close(hearer);
        (void) close(ringer);
}

int main(void) {
        rule("frames come through in order, and leave nothing behind", frames_come_through_in_order);
        rule("the memory keeps its size", a_wall_keeps_its_size);
        rule("whatever is written, what is read is sound", nonsense_becomes_sound);
        rule("a count that can not be is refused", a_count_that_is_none_is_refused);
        rule("messages are brought within bounds", messages_are_brought_within_bounds);
        rule("a bell makes nobody wait", a_bell_makes_nobody_wait);
        rule("descriptors that nobody asked for are closed",
             descriptors_that_nobody_asked_for_are_closed);
        return tap_done();
}
