/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks into a FIFO that a sound server takes for a microphone, and hears it through capture.c.
 * Started by test-capture.sh, which has the server.  Usage: capture-probe FIFO */
#include "audio/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wake.h"
#include "tests/tap.h"

#define PACE_MS     20
#define SECONDS     3
#define PATIENCE_MS 20000

#define LOSE "--lose"

DEFINE_CLEANUP(struct capture *, capture_close)

static const char *fifo_path;

/* Full-range noise, so that no two samples are likely to be taken for one another. */
static int16_t noise(uint32_t i) {
        i = (i ^ 61) ^ (i >> 16);
        i *= 9;
        i ^= i >> 4;
        i *= 0x27d4eb2d;
        return (int16_t) (i >> 13);
}

static bool wait_for(int fd, int ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, ms) == 1;
}

static struct capture *open_capture(int bell, int *ret, struct why *why) {
        struct capture_config config = { .ring_ms = 1000, .wake_fd = bell };
        struct capture *c = NULL;

        why->text[0] = 0;
        *ret = capture_open(&c, &config, why);
        return c;
}

/* Writes the block that is due whenever the timer says so. */
static void speak(int fifo_fd, int timer_fd, unsigned rate, uint32_t *n_spoken) {
        int16_t block[384000 / 1000 * PACE_MS];
        unsigned n = rate * PACE_MS / 1000;
        uint64_t n_due;

        if (read(timer_fd, &n_due, sizeof(n_due)) < 0)
                return;
        for (; n_due > 0 && *n_spoken < SECONDS * rate; n_due--) {
                for (unsigned i = 0; i < n; i++)
                        block[i] = noise(*n_spoken + i);
                expect(write(fifo_fd, block, n * sizeof(*block)) == (ssize_t) (n * sizeof(*block)));
                *n_spoken += n;
        }
}

/* How many samples were heard, of which *n_wrong were not the ones that were spoken. */
static void listen_to(struct capture *c, uint32_t *n_heard, uint32_t *n_wrong) {
        float samples[512];
        size_t n;

        while ((n = capture_read(c, samples, 512)) > 0) {
                for (size_t i = 0; i < n; i++) {
                        float want = (float) noise(*n_heard + (uint32_t) i) / 32768;

                        *n_wrong += samples[i] < want || samples[i] > want;
                }
                *n_heard += (uint32_t) n;
        }
}

static void heard_bit_by_bit(void) {
        struct itimerspec pace = { { 0, PACE_MS * 1000000 }, { 0, PACE_MS * 1000000 } };
        _cleanup_(closep) int bell = wake_open(), fifo_fd = -1;
        _cleanup_(closep) int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        _cleanup_(capture_closep) struct capture *c = NULL;
        uint32_t n_heard = 0, n_wrong = 0, n_spoken = 0, n_all;
        struct why why;
        int r;

        c = open_capture(bell, &r, &why);
        if (!c) {
                printf("# %s\n", why.text);
                expect(false);
                return;
        }
        printf("# %s at %u Hz\n", capture_device(c), capture_rate(c));
        n_all = SECONDS * capture_rate(c);
        fifo_fd = open(fifo_path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        expect(fifo_fd >= 0);
        expect(timerfd_settime(timer_fd, 0, &pace, NULL) == 0);

        while (n_heard < n_all && capture_age(c) < PATIENCE_MS * 1000000ull) {
                struct pollfd p[] = { { timer_fd, POLLIN, 0 }, { bell, POLLIN, 0 } };

                expect(poll(p, 2, PATIENCE_MS) > 0);
                if (p[0].revents)
                        speak(fifo_fd, timer_fd, capture_rate(c), &n_spoken);
                if (p[1].revents) {
                        wake_clear(bell);
                        listen_to(c, &n_heard, &n_wrong);
                }
        }
        printf("# %u samples heard, %u of them wrong\n", n_heard, n_wrong);
        expect(n_heard == n_all && n_wrong == 0);
        expect(capture_lost(c) == 0);
        expect(capture_is_active(c));
}

/* Whether it is noticed that it goes: PortAudio either ends the stream, or just gives no samples any more. */
static bool notices_its_loss(void) {
        int bell = wake_open(), r;
        struct why why;
        struct capture *c = open_capture(bell, &r, &why);

        if (!c || system("pactl unload-module module-pipe-source") != 0)
                return false;
        while (capture_is_active(c) && capture_age(c) < 1000000000)
                if (wait_for(bell, 100))
                        wake_clear(bell);
        printf("# gone: active %d\n", capture_is_active(c));
        return fflush(stdout) == 0;
}

static void gone_and_back(void) {
        _cleanup_(closep) int bell = wake_open();
        _cleanup_(capture_closep) struct capture *c = NULL;
        char command[512];
        struct why why;
        int r, status = -1;
        pid_t pid;

        /* In a process that ends without closing it, as those of sound/live.c do: PortAudio may not come back from that. */
        (void) fflush(stdout);
        pid = fork();
        if (pid == 0) {
                (void) execl("/proc/self/exe", "capture-probe", LOSE, NULL);
                _exit(1);
        }
        expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);

        c = open_capture(bell, &r, &why);
        expect(!c && r < 0 && why.text[0]);
        printf("# while it is gone: %s\n", why.text);

        (void) snprintf(command, sizeof(command),
                        "pactl load-module module-pipe-source source_name=mic file=%s "
                        "format=s16le rate=16000 channels=1 >/dev/null",
                        fifo_path);
        expect(system(command) == 0);
        c = open_capture(bell, &r, &why);
        expect(c && capture_is_active(c));
}

static void no_server(void) {
        struct why why;
        int r;

        expect(setenv("PULSE_SERVER", "/nonexistent", 1) == 0);
        expect(!open_capture(-1, &r, &why));
        expect(r < 0 && why.text[0]);
        printf("# without a server: %s\n", why.text);
}

int main(int argc, char **argv) {
        if (argc != 2)
                return 2;
        if (strcmp(argv[1], LOSE) == 0)
                _exit(notices_its_loss() ? 0 : 1);
        fifo_path = argv[1];

        rule("what is spoken is heard, bit by bit", heard_bit_by_bit);
        rule("a microphone that goes is noticed, and found when it is back", gone_and_back);
        rule("no sound server is an error with a reason", no_server);
        return tap_done();
}
