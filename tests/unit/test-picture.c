/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "picture/confine.h"
#include "picture/decode.h"
#include "tests/tap.h"

/* Pictures of every kind against what Pillow reads in them: see tests/pictures/make_pictures.py. */

#define MAX_FILE (1u << 20)

static int open_picture(const char *name) {
        const char *folder = getenv("PICTURE_DIR");
        char path[4096];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", folder ? folder : "tests/pictures", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                printf("Bail out! %s: %s\n", path, strerror(errno));
                exit(1);
        }
        return fd;
}

static size_t load(const char *name, uint8_t *ret) {
        int fd = open_picture(name);
        ssize_t n = read(fd, ret, MAX_FILE);

        (void) close(fd);
        return n > 0 ? (size_t) n : 0;
}

static const uint8_t *map(const struct picture *p) {
        void *at = mmap(NULL, (size_t) p->width * p->height * 3, PROT_READ, MAP_PRIVATE, p->fd, 0);

        expect(at != MAP_FAILED);
        return at;
}

/* The largest difference to the reference's pixels; -1: another size. */
static int compare(const char *name, const struct picture *p) {
        static uint8_t data[MAX_FILE];
        unsigned width = 0, height = 0;
        const uint8_t *rgb = map(p), *expected;
        size_t n = (size_t) p->width * p->height * 3, size;
        int largest = 0;
        char other[64];

        (void) snprintf(other, sizeof(other), "%s.ppm", name);
        size = load(other, data);
        if (sscanf((char *) data, "P6 %u %u", &width, &height) != 2 || width != p->width ||
            height != p->height || size < n)
                return -1;
        expected = data + size - n;
        for (size_t i = 0; i < n; i++) {
                int d = abs(rgb[i] - expected[i]);

                largest = d > largest ? d : largest;
        }
        (void) munmap((void *) (uintptr_t) rgb, n);
        return largest;
}

static void kinds(void) {
        static const struct {
                const char *name;
                int most; /* difference that is no fault: another version of the library may round */
        } rows[] = {
                { "rgb.png", 0 },         { "alpha.png", 0 },      { "grey.png", 0 },
                { "grey-alpha.png", 0 },  { "bits.png", 0 },       { "palette.png", 0 },
                { "transparent.png", 0 }, { "interlaced.png", 0 }, { "interlaced-alpha.png", 0 },
                { "colour.jpg", 2 },      { "full.jpg", 2 },       { "progressive.jpg", 2 },
                { "grey.jpg", 2 },        { "inks.jpg", 3 },       { "held-2.jpg", 2 },
                { "held-3.jpg", 2 },      { "held-4.jpg", 2 },     { "held-5.jpg", 2 },
                { "held-6.jpg", 2 },      { "held-7.jpg", 2 },     { "held-8.jpg", 2 },
                { "lossy.webp", 2 },      { "lossless.webp", 0 },  { "alpha.webp", 0 },
        };

        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                _cleanup_(closep) int fd = open_picture(rows[i].name);
                _cleanup_(picture_done) struct picture p = { .fd = -1 };
                struct why why = { "" };
                int d;

                if (picture_read(&p, fd, rows[i].name, &why) < 0) {
                        printf("# %s\n", why.text);
                        expect(false);
                        continue;
                }
                d = compare(rows[i].name, &p);
                printf("# %s: differs by %d\n", rows[i].name, d);
                expect(d >= 0 && d <= rows[i].most);
        }
}

static void sealed(void) {
        _cleanup_(closep) int fd = open_picture("rgb.png");
        _cleanup_(picture_done) struct picture p = { .fd = -1 };
        struct stat st;
        int seals;

        expect(picture_read(&p, fd, "rgb.png", NULL) == 0);
        expect(fstat(p.fd, &st) == 0 && st.st_size == 23 * 17 * 3);
        seals = fcntl(p.fd, F_GET_SEALS);
        expect((seals & F_SEAL_SHRINK) && (seals & F_SEAL_GROW) && (seals & F_SEAL_WRITE) &&
               (seals & F_SEAL_SEAL));
        expect(write(p.fd, "x", 1) < 0);
        expect(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, p.fd, 0) == MAP_FAILED);
        expect((fcntl(p.fd, F_GETFD) & FD_CLOEXEC) != 0);
}

/* What is refused is refused in one line that begins with the name. */
static int refused(const void *data, size_t size, const char *expected) {
        _cleanup_(picture_done) struct picture p = { .fd = -1 };
        struct why why = { "" };
        int pair[2], r;
        pid_t writer;

        expect(pipe(pair) == 0);
        writer = fork();
        if (writer == 0) {
                (void) close(pair[0]);
                for (const uint8_t *at = data; size > 0;) {
                        ssize_t n = write(pair[1], at, size);

                        if (n <= 0)
                                break;
                        at += n;
                        size -= (size_t) n;
                }
                _exit(0);
        }
        (void) close(pair[1]);
        r = picture_read(&p, pair[0], "the file", &why);
        (void) close(pair[0]);
        (void) waitpid(writer, NULL, 0);
        printf("# %s\n", why.text);
        expect(r < 0 && strncmp(why.text, "the file: ", 10) == 0 && !strchr(why.text, '\n'));
        expect(strstr(why.text, expected) != NULL);
        return r;
}

static uint8_t *tiny_room(unsigned width, unsigned height, void *userdata) {
        static uint8_t room[1 << 20];

        (void) userdata;
        return (size_t) width * height * 3 <= sizeof(room) ? room : NULL;
}

/* Cut anywhere, no picture is whole. */
static void cut_short(void) {
        static const char *const names[] = { "rgb.png",    "interlaced-alpha.png", "palette.png",
                                             "full.jpg",   "progressive.jpg",      "inks.jpg",
                                             "held-6.jpg", "lossy.webp",           "alpha.webp" };
        static uint8_t data[MAX_FILE];
        struct picture_sink sink = { tiny_room, NULL };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                size_t size = load(names[i], data), n_accepted = 0;

                expect(picture_decode(data, size, &sink, NULL) == 0);
                for (size_t n = 0; n < size; n++) {
                        uint8_t *copy = malloc(n ? n : 1);
                        struct why why = { "" };

                        memcpy(copy, data, n);
                        if (picture_decode(copy, n, &sink, &why) == 0)
                                n_accepted++;
                        else
                                expect(why.text[0] && !strchr(why.text, '\n'));
                        free(copy);
                }
                /* Behind the last pixel there may be a mark of the end, or what fills a word. */
                printf("# %s: %zu of %zu cut files are read\n", names[i], n_accepted, size);
                expect(n_accepted <= 14);
        }
}

static void refusals(void) {
        static uint8_t data[MAX_FILE];
        static uint8_t zeros[(64u << 20) + 1];
        /* 60,000 x 60,000 pixels. */
        static const uint8_t huge[] =
                "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\2\0\0\0"
                "\x0f\xb0\xe2\x15\0\0\0\1IDAT";
        size_t size;

        expect(refused("", 0, "empty") == -EBADMSG);
        expect(refused("GIF89a", 6, "not a PNG, JPEG or WebP") == -ENOTSUP);
        size = load("moving.webp", data);
        expect(refused(data, size, "moving") == -ENOTSUP);
        size = load("rgb.png", data);
        data[size / 2] ^= 1;
        expect(refused(data, size, "damaged at byte") == -EBADMSG);
        size = load("full.jpg", data);
        expect(refused(data, size / 2, "ends too early") == -EBADMSG);
        size = load("lossy.webp", data);
        expect(refused(data, size / 2, "ends too early") == -EBADMSG);
        expect(refused(zeros, sizeof(zeros), "more than 64 MiB") == -EFBIG);
        expect(refused(huge, sizeof(huge) - 1, "60000 x 60000 pixels are too many") == -EFBIG);
}

static uint8_t *put(uint8_t *at, const void *data, size_t size) {
        memcpy(at, data, size);
        return at + size;
}

/* A table with a single code, of one bit. */
static uint8_t *put_code(uint8_t *at, uint8_t which, uint8_t symbol) {
        const uint8_t head[] = { 0xff, 0xc4, 0, 2 + 1 + 16 + 1, which, 1 };

        at = put(at, head, sizeof(head));
        memset(at, 0, 15);
        at[15] = symbol;
        return at + 16;
}

/* 8192 x 8192 grey pixels in very many passes, each of which is a few bytes and takes all blocks' time. */
static size_t make_bomb(uint8_t *ret) {
        const unsigned n_blocks = 1 << 20, n_passes = 4500, run = 1 << 14;
        static const uint8_t begin[] = { 0xff, 0xd8, 0xff, 0xdb, 0, 2 + 1 + 64, 0 };
        static const uint8_t frame[] = { 0xff, 0xc2, 0, 11, 8, 0x20, 0, 0x20, 0, 1, 1, 0x11, 0 };
        static const uint8_t first[] = { 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0 };
        static const uint8_t pass[] = { 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0 };
        uint8_t *at = put(ret, begin, sizeof(begin));

        memset(at, 1, 64);
        at = put(at + 64, frame, sizeof(frame));
        at = put_code(at, 0x00, 0x00); /* no difference */
        at = put_code(at, 0x10,
                      0xe0); /* so many blocks of nothing, and as many more as 14 bits say */
        at = put(at, first, sizeof(first));
        memset(at, 0, n_blocks / 8);
        at += n_blocks / 8;
        for (unsigned i = 0; i < n_passes; i++) {
                at = put(at, pass, sizeof(pass));
                memset(at, 0, n_blocks / run * 15 / 8);
                at += n_blocks / run * 15 / 8;
        }
        return (size_t) (put(at, "\xff\xd9", 2) - ret);
}

static void bomb(void) {
        static uint8_t data[MAX_FILE];
        size_t size = make_bomb(data);

        printf("# %zu bytes\n", size);
        expect(refused(data, size, "more than 5 s to decode") == -ETIME);
}

/* What ends a process that does this when it is confined; 0: nothing did. */
static int fate_of(int (*deed)(void)) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                _exit(confine() < 0 ? 99 : deed());
        expect(pid > 0 && waitpid(pid, &status, 0) == pid);
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int compute(void) {
        volatile char *memory = malloc(1 << 20);

        if (!memory)
                return 1;
        memory[4096] = 7;
        return memory[4096] == 7 ? 0 : 2;
}

static int open_file(void) {
        return open("/dev/null", O_RDONLY) < 0 ? 3 : 0;
}

static int make_socket(void) {
        return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? 3 : 0;
}

static int start_another(void) {
        return fork() < 0 ? 3 : 0;
}

static int kill_another(void) {
        return kill(getppid(), 0) < 0 ? 3 : 0;
}

static int make_code(void) {
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                               MAP_FAILED
                       ? 3
                       : 0;
}

static void confined(void) {
        expect(fate_of(compute) == 0);
#if defined(__x86_64__) || defined(__aarch64__)
        expect(fate_of(open_file) != 0);
        expect(fate_of(make_socket) != 0);
        expect(fate_of(start_another) != 0);
        expect(fate_of(kill_another) != 0);
        expect(fate_of(make_code) == 3);
#endif
}

#define ENDLESS "ENDLESS"

/* A decoder that has been led astray: it says something, and never ends. */
static void be_endless(int argc, char **argv) {
        static const char nothing[4096];
        char magic[sizeof(ENDLESS)] = "";

        if (argc != 2 || argv[1][0] != '-' || pread(0, magic, sizeof(ENDLESS) - 1, 0) <= 0 ||
            strcmp(magic, ENDLESS) != 0)
                return;
        if (write(1, nothing, sizeof(nothing)) > 0)
                for (;;)
                        (void) pause();
        _exit(1);
}

/* In vain it would be waited for without an end: that ends the test by SIGALRM. */
static void endless(void) {
        (void) alarm(120);
        expect(refused(ENDLESS, strlen(ENDLESS), "0 x 0 pixels") == -EBADMSG);
        (void) alarm(0);
}

int main(int argc, char **argv) {
        be_endless(argc, argv);
        picture_main(argc, argv);
        rule("pictures of every kind have the reference's pixels", kinds);
        rule("pixels come in a memory that nobody can change", sealed);
        rule("a picture that is cut short is refused in one line", cut_short);
        rule("what is none, moves, is damaged or too large is refused in one line", refusals);
        rule("a small file that takes very long is given up", bomb);
        rule("a decoder can compute and nothing else", confined);
        rule("a decoder that says something and never ends is ended", endless);
        return tap_done();
}
