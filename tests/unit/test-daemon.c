/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "tests/tap.h"

/* The whole daemon in a child process, around a scripted engine (tests/sim/fake-session.h), and
 * clients that write JSON by hand.  Readiness comes over $NOTIFY_SOCKET; a wait in vain ends the
 * test by SIGALRM. */
static char directory[] = "/tmp/test-daemon-XXXXXX";
static char socket_path[96], notify_path[96];
static int notify_fd = -1;
static pid_t child;
static bool is_child;

/* Leaks are looked for where the parts are tested: here the search would run in a process that was
 * forked from a test, with what the test holds. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
        return is_child;
}

static struct sockaddr_un address_of(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        return address;
}

static int bound(const char *path, int type) {
        struct sockaddr_un address = address_of(path);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        (void) unlink(path);
        expect(bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        return fd;
}

/* tests/system/test-reload.py is about this. */
static int reread(struct config **ret, void *userdata, struct why *why) {
        (void) ret;
        (void) userdata;
        return because(why, -ENOENT, "there is no file");
}

static void run_child(const char *model, const char *options, int listen_fd) {
        struct daemon_setup setup = { .version = "0.1", .reread = reread };
        struct config *config;
        struct why why = {};
        char text[32], store[96];
        sigset_t set;
        bool left;
        int r;

        is_child = true;
        (void) alarm(0);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) setenv("NOTIFY_SOCKET", notify_path, 1);
        (void) setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
        if (listen_fd >= 0) {
                (void) dup2(listen_fd, 3);
                (void) snprintf(text, sizeof(text), "%d", (int) getpid());
                (void) setenv("LISTEN_PID", text, 1);
                (void) setenv("LISTEN_FDS", "1", 1);
        }

        (void) snprintf(store, sizeof(store), "%s/store", directory);
        if (config_new(&config) < 0 || config_set(config, "Model", "Path", model, &why) < 0 ||
            config_set(config, "Socket", "Path", socket_path, &why) < 0 ||
            config_set(config, "Store", "Path", store, &why) < 0 ||
            config_read(config, options, strlen(options), "options", &why) < 0)
                _exit(99);
        setup.config = config;
        if (starter_new(&setup.starter, &why) < 0)
                _exit(98);
        r = daemon_run(&setup, &left);
        if (left)
                _exit(r < 0 ? 1 : 2);
        starter_free(setup.starter);
        config_free(config);
        exit(r < 0 ? 1 : 0);
}

static void start_child(const char *model, const char *options, int listen_fd) {
        char stale[512];

        /* What the daemon before has said to the end. */
        while (recv(notify_fd, stale, sizeof(stale), MSG_DONTWAIT) > 0)
                ;
        (void) alarm(60);
        (void) fflush(stdout);
        child = fork();
        if (child == 0)
                run_child(model, options, listen_fd);
}

/* Waits until systemd would have been told this. */
static void wait_notice(const char *word) {
        char text[512] = "";

        while (!strstr(text, word)) {
                ssize_t n = recv(notify_fd, text, sizeof(text) - 1, 0);

                text[n > 0 ? n : 0] = '\0';
        }
}

static void start_daemon(const char *model, const char *options) {
        start_child(model, options, -1);
        wait_notice("READY=1");
}

static int wait_child(void) {
        int status = 0;

        expect(waitpid(child, &status, 0) == child);
        (void) alarm(0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int end_daemon(void) {
        (void) kill(child, SIGTERM);
        return wait_child();
}

static int client(void) {
        struct sockaddr_un address = address_of(socket_path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        expect(connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        return fd;
}

/* One message, with a descriptor if there is one. */
static void send_with_fd(int fd, const char *text, int passed) {
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec part = { (char *) text, strlen(text) + 1 };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        struct cmsghdr *header;

        if (passed >= 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = sizeof(control.bytes);
                header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(header), &passed, sizeof(int));
        }
        while (part.iov_len > 0) {
                ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

                if (n < 0)
                        return;
                part.iov_base = (char *) part.iov_base + n;
                part.iov_len -= (size_t) n;
                message.msg_controllen = 0;
        }
}

__attribute__((format(printf, 4, 5))) static void
call(int fd, const char *method, bool more, const char *parameters, ...) {
        char inner[2048], text[4096];
        va_list args;

        va_start(args, parameters);
        (void) vsnprintf(inner, sizeof(inner), parameters, args);
        va_end(args);
        (void) snprintf(text, sizeof(text),
                        "{\"method\":\"io.gemmad.Assistant.%s\",\"parameters\":%s%s}", method,
                        inner, more ? ",\"more\":true" : "");
        send_with_fd(fd, text, -1);
}

/* The next message, NULL at the end of the connection. */
static json_t *next(int fd) {
        static char text[4 * 1024 * 1024];
        size_t n = 0;

        while (n < sizeof(text) && read(fd, text + n, 1) == 1)
                if (text[n++] == '\0')
                        return json_loads(text, 0, NULL);
        return NULL;
}

/* A member by path: "parameters.event.kind". */
static json_t *member(json_t *message, const char *path) {
        char copy[128], *save = NULL;

        (void) snprintf(copy, sizeof(copy), "%s", path);
        for (char *key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save))
                message = json_object_get(message, key);
        return message;
}

static bool says(json_t *message, const char *path, const char *value) {
        const char *is = json_string_value(member(message, path));

        if (!is || strcmp(is, value) != 0)
                printf("# %s is '%s', not '%s'\n", path, is ? is : "nothing", value);
        return is && strcmp(is, value) == 0;
}

/* One call that gets one reply. */
static bool fails_with(int fd, const char *error) {
        json_t *reply = next(fd);
        bool good = says(reply, "error", error);

        json_decref(reply);
        return good;
}

/* Reads events up to done, collecting the answer. */
static json_t *read_turn(int fd, char *answer, size_t size) {
        size_t used = 0;

        answer[0] = '\0';
        for (;;) {
                json_t *reply = next(fd);
                const char *kind = json_string_value(member(reply, "parameters.event.kind"));
                const char *text = json_string_value(member(reply, "parameters.event.text"));

                if (!kind || strcmp(kind, "done") == 0)
                        return reply;
                if (strcmp(kind, "token") == 0 && text)
                        used += (size_t) snprintf(answer + used, size - used, "%s", text);
                json_decref(reply);
        }
}

static void wait_event(int fd, const char *kind) {
        for (;;) {
                json_t *reply = next(fd);
                const char *is = json_string_value(member(reply, "parameters.event.kind"));
                bool found = !is || strcmp(is, kind) == 0;

                expect(is);
                json_decref(reply);
                if (found)
                        return;
        }
}

static int wav(unsigned n_frames) {
        uint32_t size = n_frames * 1280, header[11] = {
                0x46464952, size + 36, 0x45564157, 0x20746d66, 16,   0x00010001,
                16000,      32000,     0x00100002, 0x61746164, size,
        };
        static int16_t samples[640];
        int fd = memfd_create("wav", MFD_CLOEXEC);

        for (unsigned i = 0; i < 640; i++)
                samples[i] = i / 20 % 2 ? 8000 : -8000;
        (void) !write(fd, header, sizeof(header));
        for (unsigned i = 0; i < n_frames; i++)
                (void) !write(fd, samples, sizeof(samples));
        return fd;
}

static void a_text_is_answered_as_it_comes(void) {
        char answer[64];
        json_t *done;
        int fd;

        start_daemon("fake:", "");
        fd = client();
        call(fd, "Ask", true, "{\"text\":\"say hello\"}");
        done = read_turn(fd, answer, sizeof(answer));
        expect(strcmp(answer, "hello") == 0);
        expect(says(done, "parameters.event.turn.answered", "hello"));
        expect(says(done, "parameters.event.turn.heard", "say hello"));
        expect(says(done, "parameters.event.turn.outcome", "answered"));
        expect(says(done, "parameters.event.turn.source", "text"));
        expect(says(done, "parameters.event.turn.model", "fake"));
        expect(json_integer_value(member(done, "parameters.event.turn.timings.tokens")) == 5);
        expect(!member(done, "parameters.event.turn.timings.first_frame"));
        expect(!member(done, "continues"));
        json_decref(done);

        call(fd, "Ask", false, "{\"text\":\"say again\",\"max_tokens\":3}");
        done = next(fd);
        expect(says(done, "parameters.event.kind", "done"));
        expect(says(done, "parameters.event.turn.answered", "aga"));
        json_decref(done);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void sound_comes_by_descriptor_and_by_path(void) {
        char path[96], answer[64];
        int fd, sound = wav(4), copy;
        json_t *done;

        start_daemon("fake:", "");
        fd = client();
        send_with_fd(fd,
                     "{\"method\":\"io.gemmad.Assistant.Ask\",\"more\":true,"
                     "\"parameters\":{\"audio_fd\":0}}",
                     sound);
        done = read_turn(fd, answer, sizeof(answer));
        expect(strcmp(answer, "4 frames") == 0);
        json_decref(done);

        (void) snprintf(path, sizeof(path), "%s/sound.wav", directory);
        copy = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        (void) lseek(sound, 0, SEEK_SET);
        for (ssize_t n; (n = read(sound, answer, sizeof(answer))) > 0;)
                expect(write(copy, answer, (size_t) n) == n);
        (void) close(copy);
        (void) close(sound);
        call(fd, "Ask", true, "{\"audio_path\":\"%s\",\"realtime\":true}", path);
        done = read_turn(fd, answer, sizeof(answer));
        expect(strcmp(answer, "4 frames") == 0);
        json_decref(done);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void bad_questions_get_clear_errors(void) {
        static char large[1024 * 1024 + 128];
        char path[96];
        json_t *reply;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/fifo", directory);
        expect(mkfifo(path, 0600) == 0);
        start_daemon("fake:", "");
        fd = client();
        call(fd, "Ask", false, "{}");
        expect(fails_with(fd, "org.varlink.service.InvalidParameter"));
        call(fd, "Ask", false, "{\"text\":\"x\",\"audio_path\":\"/x\"}");
        expect(fails_with(fd, "org.varlink.service.InvalidParameter"));
        call(fd, "Ask", false, "{\"audio_fd\":0}");
        expect(fails_with(fd, "org.varlink.service.InvalidParameter"));
        call(fd, "Ask", false, "{\"text\":\"x\",\"max_tokens\":0}");
        expect(fails_with(fd, "org.varlink.service.InvalidParameter"));
        call(fd, "Ask", false, "{\"text\":\" \\n\"}");
        expect(fails_with(fd, "io.gemmad.Assistant.BadText"));
        call(fd, "Ask", false, "{\"audio_path\":\"relative.wav\"}");
        expect(fails_with(fd, "io.gemmad.Assistant.BadAudio"));
        call(fd, "Ask", false, "{\"audio_path\":\"/nonexistent.wav\"}");
        expect(fails_with(fd, "io.gemmad.Assistant.BadAudio"));
        call(fd, "Ask", true, "{\"audio_path\":\"%s\"}", path);
        expect(fails_with(fd, "io.gemmad.Assistant.BadAudio"));
        call(fd, "Watch", false, "{}");
        expect(fails_with(fd, "io.gemmad.Assistant.NeedsMore"));
        call(fd, "Cancel", false, "{\"id\":77}");
        expect(fails_with(fd, "io.gemmad.Assistant.NoSuchTurn"));
        call(fd, "History", false, "{\"limit\":-1}");
        expect(fails_with(fd, "org.varlink.service.InvalidParameter"));
        call(fd, "Cancel", false, "{}");
        reply = next(fd);
        expect(json_is_false(member(reply, "parameters.cancelled")));
        json_decref(reply);

        (void) strcpy(large, "{\"method\":\"io.gemmad.Assistant.Ask\",\"parameters\":{\"text\":\"");
        memset(large + strlen(large), 'x', 1024 * 1024);
        (void) strcat(large, "\"}}");
        send_with_fd(fd, large, -1);
        expect(fails_with(fd, "io.gemmad.Assistant.BadText"));
        (void) close(fd);
        (void) unlink(path);
        expect(end_daemon() == 0);
}

/* Sound that turns out bad only when the turn runs. */
static void bad_sound_is_an_error_of_the_call(void) {
        int fd, sound = memfd_create("text", MFD_CLOEXEC);
        json_t *reply;

        expect(write(sound, "no sound", 8) == 8);
        start_daemon("fake:", "");
        fd = client();
        send_with_fd(fd, "{\"method\":\"io.gemmad.Assistant.Ask\",\"parameters\":{\"audio_fd\":0}}",
                     sound);
        reply = next(fd);
        expect(says(reply, "error", "io.gemmad.Assistant.BadAudio"));
        expect(json_string_length(member(reply, "parameters.reason")) > 0);
        json_decref(reply);

        call(fd, "Ask", false, "{\"text\":\"fail\"}");
        reply = next(fd);
        expect(says(reply, "parameters.event.turn.outcome", "failed"));
        expect(json_string_length(member(reply, "parameters.event.turn.error")) > 0);
        json_decref(reply);
        (void) close(sound);
        (void) close(fd);
        expect(end_daemon() == 0);
}

/* 2 x 2 pixels, or so many bytes of them. */
static int pixels(size_t size, int seals) {
        int fd = memfd_create("pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        expect(ftruncate(fd, (off_t) size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static void ask_about(int fd, const char *images, int passed) {
        char text[512];

        (void) snprintf(
                text, sizeof(text),
                "{\"method\":\"io.gemmad.Assistant.Ask\",\"parameters\":{\"text\":\"context\","
                "\"images\":%s}}",
                images);
        send_with_fd(fd, text, passed);
        if (passed >= 0)
                (void) close(passed);
}

static void pictures_are_looked_at_before_the_model_does(void) {
        const int sealed = F_SEAL_SHRINK | F_SEAL_WRITE;
        const struct {
                const char *images, *reason;
                int fd;
        } rows[] = {
                { "[{\"fd\":0,\"width\":2,\"height\":2}]", "no descriptor", -1 },
                { "[{\"fd\":1,\"width\":2,\"height\":2}]", "no descriptor", pixels(12, sealed) },
                { "[{\"fd\":0,\"width\":2,\"height\":2}]", "sealed", pixels(12, 0) },
                { "[{\"fd\":0,\"width\":2,\"height\":2}]", "sealed", pixels(12, F_SEAL_SHRINK) },
                { "[{\"fd\":0,\"width\":2,\"height\":2}]", "sealed", wav(1) },
                { "[{\"fd\":0,\"width\":2,\"height\":2}]", "13 bytes", pixels(13, sealed) },
                { "[{\"fd\":0,\"width\":0,\"height\":2}]", "above 0", pixels(12, sealed) },
                { "[{\"fd\":0,\"width\":70000,\"height\":1}]", "70000", pixels(210000, sealed) },
                { "[{\"fd\":0,\"width\":2,\"height\":2},{\"fd\":0,\"width\":2,\"height\":2}]",
                  "picture 2", pixels(12, sealed) },
                { "[{\"fd\":0,\"width\":2,\"height\":2},{\"fd\":1,\"width\":2,\"height\":2},"
                  "{\"fd\":2,\"width\":2,\"height\":2},{\"fd\":3,\"width\":2,\"height\":2},"
                  "{\"fd\":4,\"width\":2,\"height\":2}]",
                  "at most 4", pixels(12, sealed) },
        };
        json_t *reply;
        int fd;

        start_daemon("fake:sees", "");
        fd = client();
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                ask_about(fd, rows[i].images, rows[i].fd);
                reply = next(fd);
                expect(says(reply, "error", "io.gemmad.Assistant.BadImage"));
                expect(strstr(json_string_value(member(reply, "parameters.reason")),
                              rows[i].reason));
                json_decref(reply);
        }
        ask_about(fd, "[{\"fd\":0,\"width\":2,\"height\":2}]", pixels(12, sealed));
        reply = next(fd);
        expect(strstr(json_string_value(member(reply, "parameters.event.turn.answered")),
                      "[image][dark]"));
        json_decref(reply);
        call(fd, "Status", false, "{}");
        reply = next(fd);
        expect(json_is_true(member(reply, "parameters.sees")));
        json_decref(reply);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void a_blind_model_can_not_see(void) {
        json_t *reply;
        int fd;

        start_daemon("fake:", "");
        fd = client();
        ask_about(fd, "[{\"fd\":0,\"width\":2,\"height\":2}]",
                  pixels(12, F_SEAL_SHRINK | F_SEAL_WRITE));
        expect(fails_with(fd, "io.gemmad.Assistant.CannotSee"));
        /* None is none. */
        ask_about(fd, "[]", -1);
        reply = next(fd);
        expect(says(reply, "parameters.event.turn.outcome", "answered"));
        json_decref(reply);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void a_deaf_model_can_not_hear(void) {
        json_t *reply;
        int fd;

        start_daemon("fake:deaf", "");
        fd = client();
        call(fd, "Ask", false, "{\"audio_path\":\"/dev/null\"}");
        expect(fails_with(fd, "io.gemmad.Assistant.CannotHear"));
        call(fd, "Status", false, "{}");
        reply = next(fd);
        expect(json_is_false(member(reply, "parameters.hears")));
        json_decref(reply);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void a_full_queue_is_busy(void) {
        json_t *reply;
        int a, b, c;

        start_daemon("fake:", "[Socket]\nMaxQueuedTurns=1\n");
        a = client();
        b = client();
        c = client();
        call(a, "Ask", true, "{\"text\":\"gate x\"}");
        wait_event(a, "started");
        call(b, "Ask", true, "{\"text\":\"say b\"}");
        /* The answer to another call of c shows that b's has been read. */
        do {
                call(c, "Status", false, "{}");
                reply = next(c);
                expect(reply);
                if (json_integer_value(member(reply, "parameters.queued")) == 1)
                        break;
                json_decref(reply);
        } while (true);
        expect(says(reply, "parameters.state", "thinking"));
        json_decref(reply);
        call(c, "Ask", true, "{\"text\":\"say c\"}");
        expect(fails_with(c, "io.gemmad.Assistant.Busy"));
        (void) kill(child, SIGKILL);
        expect(wait_child() == -1);
        (void) close(a);
        (void) close(b);
        (void) close(c);
}

static void watchers_see_the_turns_of_others(void) {
        json_t *reply;
        int watcher, asker;

        start_daemon("fake:transcript", "");
        watcher = client();
        asker = client();
        call(watcher, "Watch", true, "{}");
        /* Nothing tells that a watcher is there but the next reply on its connection; the daemon
         * reads connections in the order in which they became readable. */
        call(asker, "Status", false, "{}");
        json_decref(next(asker));
        call(asker, "Ask", true, "{\"text\":\"call call:get_date{}\"}");
        wait_event(watcher, "started");
        reply = next(watcher);
        expect(says(reply, "parameters.event.kind", "call"));
        expect(says(reply, "parameters.event.call.name", "get_date"));
        json_decref(reply);
        reply = next(watcher);
        expect(says(reply, "parameters.event.kind", "result"));
        expect(says(reply, "parameters.event.call.name", "get_date"));
        expect(strncmp(json_string_value(member(reply, "parameters.event.text")), "It is ", 6) ==
               0);
        json_decref(reply);
        reply = next(watcher);
        expect(says(reply, "parameters.event.kind", "token"));
        expect(strncmp(json_string_value(member(reply, "parameters.event.text")), "It is ", 6) ==
               0);
        expect(json_is_true(member(reply, "continues")));
        json_decref(reply);
        wait_event(watcher, "done");
        wait_event(asker, "done");
        (void) close(watcher);
        (void) close(asker);
        expect(end_daemon() == 0);
}

static void watchers_are_told_the_transcript(void) {
        json_t *reply;
        int watcher, asker, sound = wav(4);
        char answer[64];

        start_daemon("fake:", "");
        watcher = client();
        asker = client();
        call(watcher, "Watch", true, "{}");
        call(asker, "Status", false, "{}");
        json_decref(next(asker));
        send_with_fd(asker,
                     "{\"method\":\"io.gemmad.Assistant.Ask\",\"more\":true,"
                     "\"parameters\":{\"audio_fd\":0}}",
                     sound);
        (void) close(sound);
        json_decref(read_turn(asker, answer, sizeof(answer)));
        json_decref(read_turn(watcher, answer, sizeof(answer)));
        reply = next(watcher);
        expect(says(reply, "parameters.event.kind", "transcript"));
        expect(strncmp(json_string_value(member(reply, "parameters.event.text")), "words of ", 9) ==
               0);
        json_decref(reply);
        (void) close(watcher);
        (void) close(asker);
        expect(end_daemon() == 0);
}

static void a_status_is_followed(void) {
        json_t *reply;
        int observer, asker;

        start_daemon("fake:", "");
        observer = client();
        asker = client();
        call(observer, "Status", true, "{}");
        reply = next(observer);
        expect(says(reply, "parameters.state", "idle") &&
               says(reply, "parameters.kernels", "none"));
        expect(json_integer_value(member(reply, "parameters.max_positions")) == 4096);
        json_decref(reply);
        call(asker, "Ask", true, "{\"text\":\"say hello\"}");
        wait_event(asker, "done");
        do {
                reply = next(observer);
                expect(reply && json_is_true(member(reply, "continues")));
                if (json_integer_value(member(reply, "parameters.turns")) == 1)
                        break;
                json_decref(reply);
        } while (!tap_rule_failed);
        expect(says(reply, "parameters.state", "idle"));
        json_decref(reply);
        (void) close(observer);
        (void) close(asker);
        expect(end_daemon() == 0);
}

static void a_turn_ends_with_its_client(void) {
        json_t *reply;
        int watcher, asker;

        start_daemon("fake:", "[Model]\nMaxTokens=32768\n[Socket]\nMaxTextKiB=64\n");
        watcher = client();
        asker = client();
        call(watcher, "Watch", true, "{}");
        call(asker, "Status", false, "{}");
        json_decref(next(asker));
        call(asker, "Ask", false, "{\"text\":\"ticking\"}");
        wait_event(watcher, "started");
        (void) close(asker);
        do {
                reply = next(watcher);
                if (strcmp(json_string_value(member(reply, "parameters.event.kind")), "done") == 0)
                        break;
                json_decref(reply);
        } while (true);
        expect(says(reply, "parameters.event.turn.outcome", "cancelled"));
        json_decref(reply);
        (void) close(watcher);
        expect(end_daemon() == 0);
}

static void a_client_that_does_not_read_is_dropped(void) {
        json_t *reply;
        int watcher, asker;
        json_int_t dropped = 0;

        start_daemon("fake:", "[Model]\nMaxTokens=3000\n[Socket]\nMaxTextKiB=4\nMaxUnsentKiB=64\n");
        watcher = client();
        asker = client();
        call(watcher, "Watch", true, "{}");
        for (unsigned i = 0; i < 20 && dropped == 0; i++) {
                call(asker, "Ask", false, "{\"text\":\"endless\"}");
                reply = next(asker);
                expect(says(reply, "parameters.event.kind", "done"));
                json_decref(reply);
                call(asker, "Status", false, "{}");
                reply = next(asker);
                dropped = json_integer_value(member(reply, "parameters.dropped_clients"));
                json_decref(reply);
        }
        expect(dropped == 1);
        (void) close(watcher);
        (void) close(asker);
        expect(end_daemon() == 0);
}

static json_int_t id_at(json_t *history, size_t i) {
        return json_integer_value(
                json_object_get(json_array_get(member(history, "parameters.turns"), i), "id"));
}

static void history_goes_back_over_restarts(void) {
        json_t *reply;
        json_int_t newest;
        int fd;

        start_daemon("fake:", "");
        fd = client();
        for (unsigned i = 0; i < 3; i++) {
                call(fd, "Ask", false, "{\"text\":\"say %u\"}", i);
                json_decref(next(fd));
        }
        (void) close(fd);
        expect(end_daemon() == 0);

        start_daemon("fake:", "");
        fd = client();
        call(fd, "History", false, "{\"limit\":2}");
        reply = next(fd);
        newest = id_at(reply, 0);
        expect(newest > 0 && id_at(reply, 1) == newest - 1 && id_at(reply, 2) == 0);
        json_decref(reply);
        call(fd, "History", false, "{\"limit\":1,\"before\":%d}", (int) newest - 1);
        reply = next(fd);
        expect(id_at(reply, 0) == newest - 2);
        json_decref(reply);
        call(fd, "Ask", false, "{\"text\":\"say more\"}");
        reply = next(fd);
        expect(json_integer_value(member(reply, "parameters.event.id")) == newest + 1);
        json_decref(reply);
        (void) close(fd);
        expect(end_daemon() == 0);
}

static void a_signal_ends_a_turn_and_those_that_wait(void) {
        json_t *reply;
        int a, b;

        start_daemon("fake:", "");
        a = client();
        b = client();
        call(a, "Ask", true, "{\"text\":\"hang\"}");
        wait_event(a, "started");
        call(b, "Ask", false, "{\"text\":\"say b\"}");
        do {
                int c = client();

                call(c, "Status", false, "{}");
                reply = next(c);
                (void) close(c);
                if (json_integer_value(member(reply, "parameters.queued")) == 1)
                        break;
                json_decref(reply);
        } while (true);
        json_decref(reply);

        (void) kill(child, SIGTERM);
        wait_notice("STOPPING=1");
        reply = next(a);
        expect(says(reply, "parameters.event.turn.outcome", "cancelled"));
        json_decref(reply);
        expect(fails_with(b, "io.gemmad.Assistant.Stopping"));
        /* The thread that hangs was left behind. */
        expect(wait_child() == 2);
        expect(access(socket_path, F_OK) < 0);
        (void) close(a);
        (void) close(b);
}

static void a_model_that_does_not_load_ends_the_daemon(void) {
        start_child("fake:broken", "", -1);
        expect(wait_child() == 1);
}

static void systemd_may_hold_the_socket(void) {
        int listen_fd = bound(socket_path, SOCK_STREAM), fd;
        char answer[64];

        expect(listen(listen_fd, 5) == 0);
        fd = client();
        call(fd, "Ask", true, "{\"text\":\"say early\"}");
        start_child("fake:", "", listen_fd);
        json_decref(read_turn(fd, answer, sizeof(answer)));
        expect(strcmp(answer, "early") == 0);
        expect(end_daemon() == 0);
        expect(access(socket_path, F_OK) == 0);
        (void) close(fd);
        (void) close(listen_fd);
}

static void a_second_daemon_does_not_start(void) {
        pid_t first;

        start_daemon("fake:", "");
        first = child;
        start_child("fake:", "", -1);
        expect(wait_child() == 1);
        child = first;
        (void) alarm(60);
        expect(access(socket_path, F_OK) == 0);
        expect(end_daemon() == 0);
}

static void without_a_history_it_still_answers(void) {
        char answer[64];
        json_t *reply;
        int fd;

        start_daemon("fake:", "[Store]\nPath=/proc/nowhere\n");
        fd = client();
        call(fd, "Ask", true, "{\"text\":\"say hello\"}");
        json_decref(read_turn(fd, answer, sizeof(answer)));
        expect(strcmp(answer, "hello") == 0);
        call(fd, "History", false, "{}");
        reply = next(fd);
        expect(json_array_size(member(reply, "parameters.turns")) == 0);
        json_decref(reply);
        (void) close(fd);
        expect(end_daemon() == 0);
}

int main(void) {
        char command[96];

        log_open(LOG_EMERG);
        if (!mkdtemp(directory))
                return 1;
        (void) snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
        (void) snprintf(notify_path, sizeof(notify_path), "%s/notify", directory);
        notify_fd = bound(notify_path, SOCK_DGRAM);

        rule("a text is answered as it comes", a_text_is_answered_as_it_comes);
        rule("sound comes by descriptor and by path", sound_comes_by_descriptor_and_by_path);
        rule("bad questions get clear errors", bad_questions_get_clear_errors);
        rule("bad sound is an error of the call", bad_sound_is_an_error_of_the_call);
        rule("a deaf model can not hear", a_deaf_model_can_not_hear);
        rule("pictures are looked at before the model does",
             pictures_are_looked_at_before_the_model_does);
        rule("a model that does not see is not shown anything", a_blind_model_can_not_see);
        rule("a full queue is busy", a_full_queue_is_busy);
        rule("watchers see the turns of others", watchers_see_the_turns_of_others);
        rule("watchers are told the transcript", watchers_are_told_the_transcript);
        rule("a status is followed", a_status_is_followed);
        rule("a turn ends with its client", a_turn_ends_with_its_client);
        rule("a client that does not read is dropped", a_client_that_does_not_read_is_dropped);
        rule("history goes back over restarts", history_goes_back_over_restarts);
        rule("a signal ends a turn and those that wait", a_signal_ends_a_turn_and_those_that_wait);
        rule("a model that does not load ends the daemon",
             a_model_that_does_not_load_ends_the_daemon);
        rule("systemd may hold the socket", systemd_may_hold_the_socket);
        rule("a second daemon does not start", a_second_daemon_does_not_start);
        rule("without a history it still answers", without_a_history_it_still_answers);

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        (void) !system(command);
        return tap_done();
}
