/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "picture/confine.h"
#include "picture/decode.h"

/* What the program is told when it is started again. */
#define DECODE_WORD "--decode-picture"

/* The descriptors that it has then. */
enum {
        DECODER_FILE = 0,   /* memory with the file */
        DECODER_REPORT = 1, /* a pipe */
        DECODER_PIXELS = 3, /* empty memory */
};

#define COPY_SIZE (1u << 16)

/* What the decoder has to say, in one piece. */
struct report {
        int32_t r;
        uint32_t width, height;
        char text[200];
};

void picture_done(struct picture *p) {
        closep(&p->fd);
        p->fd = -1;
}

/* ---- the program that decodes ---- */

/* The one place where pixels go. */
struct canvas {
        uint8_t *rgb;
        unsigned width, height;
};

static uint8_t *make_canvas(unsigned width, unsigned height, void *userdata) {
        struct canvas *c = userdata;
        size_t size = (size_t) width * height * 3;
        void *rgb;

        if (c->rgb || ftruncate(DECODER_PIXELS, (off_t) size) < 0)
                return NULL;
        rgb = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, DECODER_PIXELS, 0);
        if (rgb == MAP_FAILED)
                return NULL;
        *c = (struct canvas){ rgb, width, height };
        return rgb;
}

static void decode_file(struct report *report) {
        struct canvas canvas = { 0 };
        struct picture_sink sink = { make_canvas, &canvas };
        struct why why = {};
        struct stat st;
        void *data;

        report->r = confine_descriptors(DECODER_PIXELS + 1);
        if (report->r < 0)
                return;
        if (fstat(DECODER_FILE, &st) < 0) {
                report->r = -errno;
                return;
        }
        data = st.st_size > 0
                       ? mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, DECODER_FILE, 0)
                       : NULL;
        if (data == MAP_FAILED) {
                report->r = -errno;
                return;
        }
        report->r = confine();
        if (report->r < 0) {
                (void) snprintf(report->text, sizeof(report->text), "confining the decoder: %s",
                                strerror(-report->r));
                return;
        }
        report->r = picture_decode(data, (size_t) st.st_size, &sink, &why);
        report->width = canvas.width;
        report->height = canvas.height;
        (void) snprintf(report->text, sizeof(report->text), "%.199s", why.text);
}

void picture_main(int argc, char **argv) {
        struct report report = { 0 };

        if (argc != 2 || strcmp(argv[1], DECODE_WORD) != 0)
                return;
        decode_file(&report);
        _exit(write(DECODER_REPORT, &report, sizeof(report)) == sizeof(report) ? 0 : 1);
}

/* ---- the program that wants the picture ---- */

/* Out of the way of those that the decoder has. */
static int move_up(int *fd) {
        int moved;

        if (*fd < 0)
                return -errno;
        moved = fcntl(*fd, F_DUPFD_CLOEXEC, DECODER_PIXELS + 1);
        if (moved < 0)
                return -errno;
        (void) close(*fd);
        *fd = moved;
        return 0;
}

static int make_memory(int *ret, const char *name) {
        *ret = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return move_up(ret);
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int copy(int fd, int to, struct why *why) {
        static const struct why nothing;
        uint8_t buffer[COPY_SIZE];
        size_t total = 0;
        int r;

        *why = nothing;
        for (;;) {
                ssize_t n = read(fd, buffer, sizeof(buffer));

                if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
                        struct pollfd p = { .fd = fd, .events = POLLIN };

                        (void) poll(&p, 1, -1);
                        continue;
                }
                if (n < 0)
                        return because(why, -errno, "%s", strerror(errno));
                if (n == 0)
                        return 0;
                total += (size_t) n;
                if (total > PICTURE_MAX_FILE)
                        return because(why, -EFBIG, "more than %u MiB", PICTURE_MAX_FILE >> 20);
                r = write_all(to, buffer, (size_t) n);
                if (r < 0)
                        return because(why, r, "%s", strerror(-r));
        }
}

/* All that one decoding needs. */
struct work {
        int file, pixels, report[2]; /* owned */
        pid_t pid;                   /* 0: it does not run, or has ended */
        int status;
};

static void work_done(struct work *w) {
        if (w->pid > 0) {
                (void) kill(w->pid, SIGKILL);
                (void) waitpid(w->pid, NULL, 0);
        }
        closep(&w->file);
        closep(&w->pixels);
        closep(&w->report[0]);
        closep(&w->report[1]);
}

static int open_work(struct work *w) {
        int r;

        r = make_memory(&w->file, "gemmad-picture-file");
        if (r == 0)
                r = make_memory(&w->pixels, "gemmad-picture");
        if (r == 0 && pipe2(w->report, O_CLOEXEC) < 0)
                r = -errno;
        if (r == 0)
                r = move_up(&w->report[1]);
        return r;
}

/* With an empty environment: it is to know nothing. */
static int start_decoder(struct work *w) {
        static char word[] = DECODE_WORD, name[] = "gemmad-picture";
        char *argv[] = { name, word, NULL }, *environment[] = { NULL };
        posix_spawn_file_actions_t actions;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, w->file, DECODER_FILE);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, w->report[1], DECODER_REPORT);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, w->pixels, DECODER_PIXELS);
        if (r == 0)
                r = posix_spawn(&w->pid, "/proc/self/exe", &actions, NULL, argv, environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                w->pid = 0;
        closep(&w->report[1]);
        w->report[1] = -1;
        return -r;
}

/* Waits for the report, or the end of the decoder: bytes of it, or -ETIME. */
static ssize_t await_report(const struct work *w, struct report *ret) {
        uint64_t until = clock_now_ns() + (uint64_t) PICTURE_MAX_SECONDS * 1000000000u;
        struct pollfd p = { .fd = w->report[0], .events = POLLIN };

        for (;;) {
                uint64_t now = clock_now_ns();
                int n = now < until ? poll(&p, 1, (int) ((until - now) / 1000000) + 1) : 0;

                if (n == 0)
                        return -ETIME;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        return read(w->report[0], ret, sizeof(*ret));
        }
}

static int too_slow(struct why *why) {
        return because(why, -ETIME, "it takes more than %u s to decode", PICTURE_CPU_SECONDS);
}

/* It ended without a word. */
static int explain_death(const struct work *w, struct why *why) {
        int number = WIFSIGNALED(w->status) ? WTERMSIG(w->status) : 0;

        if (number == SIGXCPU || number == SIGKILL)
                return too_slow(why);
        if (number == SIGSYS)
                return because(why, -EBADMSG, "its decoder was led astray and has been stopped");
        if (number != 0)
                return because(why, -EBADMSG, "its decoder failed with signal %d", number);
        return because(why, -EBADMSG, "its decoder said nothing");
}

/* The text is of a program that untrusted bytes may have taken over. */
static int explain_report(const struct report *report, struct why *why) {
        char text[sizeof(report->text)];
        size_t n = 0;

        if (report->r == -ENOMEM)
                return because(why, -ENOMEM, "it needs more than %u MiB to decode",
                               PICTURE_MAX_MEMORY >> 20);
        for (; n < sizeof(text) - 1 && report->text[n]; n++)
                text[n] = report->text[n];
        for (size_t i = 0; i < n; i++)
                text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
        text[n] = 0;
        return because(why, report->r > -4096 ? report->r : -EBADMSG, "%s",
                       n > 0 ? text : "it can not be decoded");
}

/* The decoder has ended, so nobody writes any more; from now on nobody can. */
static int
take_pixels(struct work *w, const struct report *report, struct picture *ret, struct why *why) {
        struct stat st;

        if (picture_check_sides(report->width, report->height, why) < 0)
                return -EBADMSG;
        if (fcntl(w->pixels, F_ADD_SEALS,
                  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0 ||
            fstat(w->pixels, &st) < 0)
                return because(why, -errno, "%s", strerror(errno));
        if ((uint64_t) st.st_size != (uint64_t) report->width * report->height * 3)
                return because(why, -EBADMSG, "its decoder gave another number of pixels");

        *ret = (struct picture){ TAKE_FD(w->pixels), report->width, report->height };
        return 0;
}

static int end_decoder(struct work *w) {
        while (waitpid(w->pid, &w->status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        w->pid = 0;
        return 0;
}

static int decode(struct work *w, struct picture *ret, struct why *why) {
        struct report report;
        ssize_t n;
        int r;

        r = start_decoder(w);
        if (r < 0)
                return because(why, r, "starting its decoder: %s", strerror(-r));
        n = await_report(w, &report);
        if (n == -ETIME)
                return too_slow(why);
        /* It has said all that counts, and may be one that does not end by itself. */
        if (n != 0)
                (void) kill(w->pid, SIGKILL);
        r = end_decoder(w);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        if (n != (ssize_t) sizeof(report))
                return explain_death(w, why);
        return report.r < 0 ? explain_report(&report, why) : take_pixels(w, &report, ret, why);
}

int picture_read(struct picture *ret, int fd, const char *name, struct why *why) {
        _cleanup_(work_done) struct work w = { .file = -1, .pixels = -1, .report = { -1, -1 } };
        struct why reason = { "" };
        int r;

        r = open_work(&w);
        if (r < 0)
                (void) because(&reason, r, "%s", strerror(-r));
        if (r == 0)
                r = copy(fd, w.file, &reason);
        if (r == 0)
                r = decode(&w, ret, &reason);
        return r < 0 ? because(why, r, "%.100s: %s", name, reason.text) : 0;
}
