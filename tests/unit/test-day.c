/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/daemon.h"
#include "base/sanitized.h"
#include "tests/sim/fake-starter.h"
#include "tests/tap.h"

/* A whole day of the whole daemon, in a time that the test turns, while its memory or its disk fails: once at
 * the nth use, at every nth, or from the nth on until evening.  A client asks, listens to what comes of it, searches and
 * forgets all the while, and keeps what it was told: every reply has to be true, what was told to be in the history has
 * to be there in the evening, what was told to be forgotten may be nowhere, and the daemon has to be well then.
 *
 *   test-day        a few places of each kind
 *   test-day K H N  one day: memory, writes or syncs (1 to 3), once at, at every, or from N on (0 to 2)
 *   test-day all    every sync of the day, every third write, and some hundred places of its memory */
#define N_STEPS   96 /* a quarter of an hour each */
#define STEP_NS   (INT64_C(900) * 1000000000)
#define TICK_NS   (INT64_C(11) * 1000000000) /* more than the daemon waits before it looks after the history */
#define MAX_TURNS 256
#define PATIENCE  120 /* seconds for one reply */

/* ---- what fails, and the time ---- */

enum kind { KIND_NONE, KIND_MEMORY, KIND_WRITE, KIND_SYNC };
enum how { ONCE, EVERY, ON };

/* Between the test and the daemon, which is a process of its own. */
static struct shared {
        _Atomic int64_t clock_ns;
        atomic_int kind;
        atomic_int how;
        atomic_long period, left;
        atomic_long n_uses[KIND_SYNC + 1], n_faults;
} *shared;

static bool is_child;
static _Thread_local bool is_exempt;

static bool fails(enum kind kind) {
        long n;

        if (!is_child || is_exempt || atomic_load(&shared->kind) == KIND_NONE)
                return false;
        atomic_fetch_add(&shared->n_uses[kind], 1);
        if (atomic_load(&shared->kind) != (int) kind)
                return false;
        n = atomic_fetch_sub(&shared->left, 1);
        if (n > 1 || (n < 1 && atomic_load(&shared->how) != ON))
                return false;
        if (atomic_load(&shared->how) == EVERY)
                atomic_store(&shared->left, atomic_load(&shared->period));
        atomic_fetch_add(&shared->n_faults, 1);
        return true;
}

#if !IS_SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static void *no_memory(void) {
        errno = ENOMEM;
        return NULL;
}

void *malloc(size_t size) {
        return fails(KIND_MEMORY) ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        return fails(KIND_MEMORY) ? no_memory() : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        return fails(KIND_MEMORY) ? no_memory() : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size) {
        if (size > 0 && n > SIZE_MAX / size)
                return no_memory();
        return fails(KIND_MEMORY) ? no_memory() : __libc_realloc(p, n * size);
}
#endif

/* The files on the disk: no pipe, no bell, and not what the daemon says of itself. */
static bool is_on_disk(int fd) {
        struct stat st;

        return is_child && fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 0;
}

static long full(void) {
        errno = ENOSPC;
        return -1;
}

ssize_t write(int fd, const void *data, size_t n) {
        return is_on_disk(fd) && fails(KIND_WRITE) ? full() : syscall(SYS_write, fd, data, n);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
        return is_on_disk(fd) && fails(KIND_WRITE) ? full() : syscall(SYS_pwrite64, fd, data, n, at);
}

int ftruncate64(int fd, off64_t size) {
        return (int) (is_on_disk(fd) && fails(KIND_WRITE) ? full() : syscall(SYS_ftruncate, fd, size));
}

static int sync_with(long call, int fd) {
        if (is_on_disk(fd) && fails(KIND_SYNC)) {
                errno = EIO;
                return -1;
        }
        return (int) syscall(call, fd);
}

int fsync(int fd) {
        return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd) {
        return sync_with(SYS_fdatasync, fd);
}

/* All clocks, since the machine was on all day. */
int clock_gettime(clockid_t id, struct timespec *ret) {
        int64_t ns;

        if (syscall(SYS_clock_gettime, id, ret) < 0)
                return -1;
        if (!is_child || id == CLOCK_THREAD_CPUTIME_ID || id == CLOCK_PROCESS_CPUTIME_ID)
                return 0;
        ns = ret->tv_nsec + atomic_load(&shared->clock_ns);
        *ret = (struct timespec){ .tv_sec = ret->tv_sec + (time_t) (ns / 1000000000), .tv_nsec = (long) (ns % 1000000000) };
        return 0;
}

time_t time(time_t *ret) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}

/* What reads sound files is a process of its own in truth, whose end is tried elsewhere. */
void fake_starter_begins(void) {
        is_exempt = true;
}

static void arm(enum kind kind, enum how how, long n) {
        atomic_store(&shared->how, (int) how);
        atomic_store(&shared->period, n);
        atomic_store(&shared->left, n);
        atomic_store(&shared->kind, (int) kind);
}

static void disarm(void) {
        atomic_store(&shared->kind, KIND_NONE);
}

static void pass(int64_t ns) {
        atomic_fetch_add(&shared->clock_ns, ns);
}

/* ---- the daemon ---- */

static char directory[] = "/tmp/test-day-XXXXXX";
static char socket_path[96], store_path[96];
static pid_t child;

/* Leaks of a daemon that ran out of memory are not what is looked for here. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
        return is_child;
}

static int reread(struct config **ret, void *userdata, struct why *why) {
        (void) ret;
        (void) userdata;
        return because(why, -ENOENT, "there is no file");
}

static void run_child(void) {
        static const char options[] = "[Store]\nKeepDays=30\n[Socket]\nMaxClients=8\n";
        struct daemon_setup setup = { .version = "0.1", .reread = reread };
        struct config *config;
        struct why why = {};
        sigset_t set;
        bool left;
        int r;

        is_child = true;
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) unsetenv("NOTIFY_SOCKET");
        /* Thousands of lines about what fails here help nobody; a crash is seen by its signal. */
        if (!getenv("TEST_DAY_TALKS"))
                (void) dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        if (config_new(&config) < 0 || config_set(config, "Model", "Path", "fake:", &why) < 0 ||
            config_set(config, "Socket", "Path", socket_path, &why) < 0 ||
            config_set(config, "Store", "Path", store_path, &why) < 0 ||
            config_read(config, options, strlen(options), "options", &why) < 0 ||
            starter_new(&setup.starter, &why) < 0)
                _exit(99);
        setup.config = config;
        r = daemon_run(&setup, &left);
        _exit(r < 0 ? 1 : left ? 2 : 0);
}

static int connected(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct timeval patience = { .tv_sec = PATIENCE };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
                return fd;
        (void) close(fd);
        return -1;
}

static bool has_ended(void) {
        int status;

        if (child <= 0)
                return true;
        if (waitpid(child, &status, WNOHANG) != child)
                return false;
        /* That it gives up is no crash. */
        expect(WIFEXITED(status));
        if (WIFSIGNALED(status))
                printf("# ended by signal %d\n", WTERMSIG(status));
        child = 0;
        return true;
}

/* One that ends while it starts is started again, as systemd would do it. */
static void start_daemon(void) {
        int fd = -1;

        for (unsigned n = 0; fd < 0 && n < 60000; n++) {
                if (has_ended()) {
                        (void) unlink(socket_path);
                        (void) fflush(stdout);
                        child = fork();
                        if (child == 0)
                                run_child();
                }
                (void) usleep(2000);
                fd = connected();
        }
        expect(fd >= 0);
        if (fd >= 0)
                (void) close(fd);
}

static int end_daemon(void) {
        int status = -1;

        (void) kill(child, SIGTERM);
        (void) waitpid(child, &status, 0);
        child = 0;
        if (status != 0)
                printf("# it ended with status %x\n", (unsigned) status);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the client, and what it was told ---- */

struct told {
        int fd; /* -1: not connected */
        long long ids[MAX_TURNS]; /* of turns that were told to be kept; 0: none */
        bool is_forgotten[MAX_TURNS]; /* ... and that is told, too */
        bool is_doubtful[MAX_TURNS];  /* a forgetting that failed, or its answer was lost */
        unsigned n, n_answered, n_refused, n_lost; /* asked; told well, told an error, told nothing */
};

static void word_of(unsigned i, char word[static 16]) {
        (void) snprintf(word, 16, "zq%uxw", 1000 + i);
}

static json_t *receive(int fd) {
        static char text[1 << 20];
        size_t n = 0;

        while (n < sizeof(text) && read(fd, text + n, 1) == 1)
                if (text[n++] == '\0')
                        return json_loads(text, 0, NULL);
        return NULL;
}

static void send_text(int fd, const char *text, int passed) {
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec part = { (char *) (uintptr_t) text, strlen(text) + 1 };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

        if (passed >= 0) {
                struct cmsghdr *header;

                message.msg_control = control.bytes;
                message.msg_controllen = sizeof(control.bytes);
                header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(header), &passed, sizeof(int));
        }
        (void) sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* The reply, or NULL when the connection ends instead.  Silence is worse than that. */
static json_t *call_with(struct told *t, const char *method, const char *parameters, int passed) {
        char text[512];
        json_t *reply;

        if (t->fd < 0 && has_ended())
                start_daemon();
        if (t->fd < 0)
                t->fd = connected();
        if (t->fd < 0)
                return NULL;
        (void) snprintf(text, sizeof(text), "{\"method\":\"io.gemmad.Assistant.%s\",\"parameters\":%s}", method,
                        parameters);
        send_text(t->fd, text, passed);
        errno = 0;
        reply = receive(t->fd);
        if (reply)
                return reply;
        if (errno == EAGAIN)
                printf("# %s: no reply\n", method);
        expect(errno != EAGAIN);
        (void) close(t->fd);
        t->fd = -1;
        return NULL;
}

static json_t *call(struct told *t, const char *method, const char *parameters) {
        return call_with(t, method, parameters, -1);
}

static json_t *member(json_t *message, const char *first, const char *second) {
        return json_object_get(json_object_get(message, first), second);
}

static const char *string_of(json_t *object, const char *key) {
        const char *value = json_string_value(json_object_get(object, key));

        return value ? value : "";
}

/* What was asked was right, and so was whom it was about: only that something failed can be told. */
static bool is_error(json_t *reply) {
        static const char *const untrue[] = { "InvalidParameter", "MethodNotFound", "NoSuchTurn", "BadText", "BadMessage" };
        const char *error = json_string_value(json_object_get(reply, "error"));

        for (unsigned i = 0; error && i < sizeof(untrue) / sizeof(untrue[0]); i++) {
                if (strstr(error, untrue[i]))
                        printf("# %s %s\n", error, string_of(json_object_get(reply, "parameters"), "reason"));
                expect(!strstr(error, untrue[i]));
        }
        return error;
}

/* A turn that is told to be answered has the right answer, and one that is told to have failed has a reason. */
static void take_turn(struct told *t, unsigned i, json_t *turn, const char *answer) {
        const char *outcome = string_of(turn, "outcome");
        bool is_good = strcmp(outcome, "answered") == 0;

        if (is_good && strcmp(string_of(turn, "answered"), answer) != 0)
                printf("# '%s' and not '%s'\n", string_of(turn, "answered"), answer);
        expect(!is_good || strcmp(string_of(turn, "answered"), answer) == 0);
        expect(is_good || (strcmp(outcome, "failed") == 0 && *string_of(turn, "error")));
        /* What never ran is no history. */
        if (!json_is_true(json_object_get(turn, "unkept")) && !strstr(string_of(turn, "error"), "could not be begun"))
                t->ids[i] = json_integer_value(json_object_get(turn, "id"));
        t->n_answered += is_good;
        t->n_refused += !is_good;
}

static void take_reply(struct told *t, unsigned i, json_t *reply, const char *answer) {
        if (!reply)
                t->n_lost++;
        else if (is_error(reply))
                t->n_refused++;
        else
                take_turn(t, i, json_object_get(member(reply, "parameters", "event"), "turn"), answer);
        json_decref(reply);
}

static void ask(struct told *t) {
        char word[16], parameters[64];
        unsigned i = t->n++;

        word_of(i, word);
        (void) snprintf(parameters, sizeof(parameters), "{\"text\":\"say %s\"}", word);
        take_reply(t, i, call(t, "Ask", parameters), word);
}

/* Four frames of a tone. */
static int tone(void) {
        enum { N = 4 * 640 };
        uint32_t header[11] = { 0x46464952, 2 * N + 36, 0x45564157, 0x20746d66, 16,   0x00010001,
                                16000,      32000,      0x00100002, 0x61746164, 2 * N };
        static int16_t samples[N];
        int fd = memfd_create("tone", MFD_CLOEXEC);

        for (unsigned i = 0; i < N; i++)
                samples[i] = i / 20 % 2 ? 8000 : -8000;
        (void) !write(fd, header, sizeof(header));
        (void) !write(fd, samples, sizeof(samples));
        (void) lseek(fd, 0, SEEK_SET);
        return fd;
}

static void speak(struct told *t) {
        unsigned i = t->n++;
        int fd = tone();

        take_reply(t, i, call_with(t, "Ask", "{\"audio_fd\":0}", fd), "4 frames");
        (void) close(fd);
}

static void forget(struct told *t, unsigned i) {
        char parameters[64];
        json_t *reply;

        if (t->ids[i] == 0 || t->is_forgotten[i] || t->is_doubtful[i])
                return;
        (void) snprintf(parameters, sizeof(parameters), "{\"id\":%lld}", t->ids[i]);
        reply = call(t, "Forget", parameters);
        if (!reply || is_error(reply))
                t->is_doubtful[i] = true;
        else
                t->is_forgotten[i] = json_integer_value(member(reply, "parameters", "forgotten")) == 1;
        expect(t->is_forgotten[i] || t->is_doubtful[i]);
        json_decref(reply);
}

static bool has_turn(json_t *turns, long long id) {
        size_t i;
        json_t *turn;

        json_array_foreach(turns, i, turn)
                if (json_integer_value(json_object_get(turn, "id")) == id)
                        return true;
        return false;
}

/* An error tells nothing; what is told is whole. */
static void look(struct told *t, bool may_fail) {
        json_t *reply = call(t, "History", "{\"limit\":1000}"), *turns = member(reply, "parameters", "turns");
        bool is_told = reply && !is_error(reply);

        expect(may_fail || is_told);
        for (unsigned i = 0; is_told && i < t->n; i++) {
                if (t->ids[i] == 0 || t->is_doubtful[i])
                        continue;
                if (has_turn(turns, t->ids[i]) == t->is_forgotten[i])
                        printf("# turn %lld is %s\n", t->ids[i], t->is_forgotten[i] ? "shown" : "missing");
                expect(has_turn(turns, t->ids[i]) != t->is_forgotten[i]);
        }
        json_decref(reply);
}

static void search(struct told *t, unsigned i) {
        char word[16], parameters[64];
        json_t *reply;

        word_of(i, word);
        (void) snprintf(parameters, sizeof(parameters), "{\"words\":\"%s\"}", word);
        reply = call(t, "Search", parameters);
        if (reply && !is_error(reply) && t->ids[i] != 0 && !t->is_doubtful[i] && i % 8 != 7)
                expect(has_turn(member(reply, "parameters", "turns"), t->ids[i]) != t->is_forgotten[i]);
        json_decref(reply);
}

static void ask_how_it_is(struct told *t) {
        json_t *reply = call(t, "Status", "{}");

        if (reply && !is_error(reply))
                expect(json_is_string(member(reply, "parameters", "state")));
        json_decref(reply);
}

static void live_a_quarter(struct told *t, unsigned step) {
        if (step % 8 == 7)
                speak(t);
        else
                ask(t);
        if (step % 5 == 4)
                forget(t, step / 2);
        if (step % 6 == 5)
                search(t, step / 3);
        if (step % 7 == 6)
                look(t, true);
        ask_how_it_is(t);
}

/* ---- the evening ---- */

static bool is_settled(struct told *t) {
        json_t *reply = call(t, "Status", "{}");
        bool is_well = reply && !is_error(reply) && !member(reply, "parameters", "history_error");

        json_decref(reply);
        return is_well;
}

static void settle(struct told *t) {
        bool is_well = false;

        for (unsigned i = 0; i < 20000 && !is_well; i++) {
                pass(TICK_NS);
                is_well = is_settled(t);
                /* What is erased is erased in true time. */
                if (!is_well)
                        (void) usleep(5000);
        }
        expect(is_well);
}

static bool is_on_the_disk(const char *word) {
        char command[160];

        (void) snprintf(command, sizeof(command), "grep -rqa '%s' '%s'", word, store_path);
        return system(command) == 0;
}

static void check_file(void) {
        char path[128];
        sqlite3_stmt *statement = NULL;
        sqlite3 *db = NULL;

        (void) snprintf(path, sizeof(path), "%s/history.sqlite", store_path);
        expect(sqlite3_open(path, &db) == SQLITE_OK);
        expect(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK &&
               sqlite3_step(statement) == SQLITE_ROW &&
               strcmp((const char *) sqlite3_column_text(statement, 0), "ok") == 0);
        (void) sqlite3_finalize(statement);
        expect(sqlite3_exec(db, "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)", NULL, NULL, NULL) ==
               SQLITE_OK);
        (void) sqlite3_close(db);
}

static void end_the_day(struct told *t) {
        unsigned n_before;

        settle(t);
        n_before = t->n_answered;
        ask(t);
        expect(t->n_answered == n_before + 1 && t->ids[t->n - 1] > 0);
        settle(t);
        look(t, false);
        if (t->fd >= 0)
                (void) close(t->fd);
        expect(end_daemon() == 0);
        check_file();
        for (unsigned i = 0; i < t->n; i++) {
                char word[16];

                word_of(i, word);
                if (t->is_forgotten[i] && is_on_the_disk(word))
                        printf("# %s was forgotten\n", word);
                expect(!t->is_forgotten[i] || !is_on_the_disk(word));
        }
}

static unsigned n_days;
static long n_all_faults;

/* False: something was wrong. */
static bool live_a_day(enum kind kind, enum how how, long n) {
        struct told t = { .fd = -1 };
        bool was_wrong = tap_rule_failed;
        char command[160];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", store_path);
        (void) !system(command);
        (void) alarm(1200);
        for (unsigned i = 0; i <= KIND_SYNC; i++)
                atomic_store(&shared->n_uses[i], 0);
        atomic_store(&shared->n_faults, 0);
        disarm();
        tap_rule_failed = false;
        start_daemon();
        ask(&t);
        arm(kind, how, n);
        for (unsigned step = 0; step < N_STEPS; step++) {
                pass(STEP_NS);
                live_a_quarter(&t, step);
        }
        disarm();
        end_the_day(&t);
        if (tap_rule_failed)
                printf("# that was test-day %d %d %ld: %ld faults; %u answered, %u refused, %u lost\n", (int) kind,
                       (int) how, n, atomic_load(&shared->n_faults), t.n_answered, t.n_refused, t.n_lost);
        n_days++;
        n_all_faults += atomic_load(&shared->n_faults);
        tap_rule_failed |= was_wrong;
        return !tap_rule_failed;
}

/* ---- how much of it ---- */

static long n_uses[KIND_SYNC + 1]; /* in a day on which nothing fails */
static bool is_whole;

static void nothing_fails(void) {
        expect(live_a_day(KIND_SYNC, ONCE, 1L << 40));
        for (unsigned i = KIND_MEMORY; i <= KIND_SYNC; i++)
                n_uses[i] = atomic_load(&shared->n_uses[i]);
        expect(n_uses[KIND_WRITE] > 100 && n_uses[KIND_SYNC] > 10);
        printf("# a day has %ld allocations, %ld writes, %ld syncs\n", n_uses[KIND_MEMORY], n_uses[KIND_WRITE],
               n_uses[KIND_SYNC]);
}

/* So many days of each kind, with places that are spread over the day. */
static void days_with(enum kind kind, unsigned n_once, unsigned n_on, unsigned n_every) {
        long n = n_uses[kind];

        for (unsigned i = 0; i < n_once && !tap_rule_failed; i++)
                (void) live_a_day(kind, ONCE, 1 + (long) i * n / n_once);
        for (unsigned i = 0; i < n_on && !tap_rule_failed; i++)
                (void) live_a_day(kind, ON, 1 + (long) i * n / n_on);
        for (unsigned i = 0; i < n_every && !tap_rule_failed; i++)
                (void) live_a_day(kind, EVERY, 2 + (long) (i + 1) * (i + 1) * n / (n_every * n_every * 4L + 1));
}

static void memory_fails(void) {
        if (IS_SANITIZED) {
                printf("# skipped: a sanitizer has memory of its own\n");
                return;
        }
        for (long n = 1; is_whole && n <= 200; n++) /* all that a request or two need */
                (void) live_a_day(KIND_MEMORY, ONCE, n);
        if (is_whole)
                days_with(KIND_MEMORY, 200, 40, 60);
        else
                days_with(KIND_MEMORY, 3, 1, 2);
}

static void writes_fail(void) {
        if (is_whole)
                days_with(KIND_WRITE, (unsigned) n_uses[KIND_WRITE] / 3, 60, 40);
        else
                days_with(KIND_WRITE, 1, 1, 2);
}

static void syncs_fail(void) {
        if (is_whole)
                days_with(KIND_SYNC, (unsigned) n_uses[KIND_SYNC], 30, 20);
        else
                days_with(KIND_SYNC, 1, 1, 1);
}

/* One day of those that were wrong. */
static void as_told(char *argv[]) {
        (void) live_a_day((enum kind) atoi(argv[1]), (enum how) atoi(argv[2]), atol(argv[3]));
}

int main(int argc, char *argv[]) {
        is_whole = argc > 1 && strcmp(argv[1], "all") == 0;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED || !mkdtemp(directory))
                return 1;
        (void) signal(SIGPIPE, SIG_IGN);
        (void) snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
        (void) snprintf(store_path, sizeof(store_path), "%s/store", directory);
        if (argc == 4) {
                as_told(argv);
                return tap_rule_failed;
        }
        rule("a day on which nothing fails", nothing_fails);
        rule("a day on which memory fails", memory_fails);
        rule("a day on which writes fail", writes_fail);
        rule("a day on which syncs fail", syncs_fail);
        printf("# %u days, %ld faults in all\n", n_days, n_all_faults);
        (void) snprintf(socket_path, sizeof(socket_path), "rm -rf '%s'", directory);
        (void) !system(socket_path);
        return tap_done();
}
