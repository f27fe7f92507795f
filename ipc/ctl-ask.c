/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* More text than any model of ours can take; the daemon may allow less. */
#define MAX_TEXT_SIZE (1u << 20)

DEFINE_CLEANUP(struct client *, client_free)

struct ask {
        const struct ctl *ctl;
        struct client *client;     /* owned */
        int interrupt_fd;          /* owned; Ctrl-C */
        int wake_fd;               /* owned; the same, and standard input while a key is held */
        int fds[1 + LIMIT_IMAGES]; /* owned, [n_fds]; go along with the question */
        unsigned n_fds;
        json_int_t id;     /* of the turn; 0 until an event names it */
        bool is_spoken;    /* what was heard is worth telling */
        bool is_held;      /* listening goes on until something comes on standard input */
        bool is_line_open; /* an answer has begun and its line is not ended */
        bool is_interrupted;
        bool is_lost;    /* the daemon took no notice of the end */
        bool has_answer; /* a token or a call has come */
        bool is_done;
        enum ctl_exit exit;
};

static void ask_done(struct ask *a) {
        client_free(a->client);
        closep(&a->wake_fd);
        closep(&a->interrupt_fd);
        while (a->n_fds > 0)
                closep(&a->fds[--a->n_fds]);
}

static void end_line(struct ask *a) {
        if (a->is_line_open)
                (void) putchar('\n');
        a->is_line_open = false;
}

/* -1 and a message when it cannot be used. */
static int open_audio(const char *path) {
        bool is_stdin = strcmp(path, "-") == 0;
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (is_stdin && isatty(STDIN_FILENO)) {
                print_error("--audio -: standard input is a terminal");
                return -1;
        }
        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0) {
                print_error("%s: %s", path, strerror(errno));
                return -1;
        }
        if (S_ISDIR(st.st_mode)) {
                print_error("%s: %s", path, strerror(EISDIR));
                return -1;
        }
        return TAKE_FD(fd);
}

/* The text from standard input without its last line end; NULL and a message on failure. */
static char *read_stdin(void) {
        _cleanup_(freep) char *text = NULL;
        size_t size;

        text = malloc(MAX_TEXT_SIZE + 1);
        if (!text)
                return NULL;
        size = fread(text, 1, MAX_TEXT_SIZE + 1, stdin);
        if (ferror(stdin)) {
                print_error("standard input: %s", strerror(errno));
                return NULL;
        }
        if (size > MAX_TEXT_SIZE) {
                print_error("standard input: more than %u bytes of text", MAX_TEXT_SIZE);
                return NULL;
        }
        if (memchr(text, 0, size)) {
                print_error("standard input: not text (for sound use --audio -)");
                return NULL;
        }
        if (size > 0 && text[size - 1] == '\n')
                size--;
        text[size] = 0;
        return TAKE_PTR(text);
}

static enum ctl_exit add_text(const struct ctl *c, json_t *parameters) {
        _cleanup_(freep) char *text = NULL;

        text = c->n_arguments > 0 ? ctl_join_arguments(c) : read_stdin();
        if (!text)
                return CTL_EXIT_BAD_INPUT;
        if (!text[0]) {
                print_error("the text is empty");
                return CTL_EXIT_BAD_INPUT;
        }
        if (json_object_set_new(parameters, "text", json_string(text)) < 0) {
                print_error("the text is not UTF-8");
                return CTL_EXIT_BAD_INPUT;
        }
        return CTL_EXIT_OK;
}

/* The parameters of the call; the sound goes along as an open file, so that it is opened with the
 * rights of who asks and not with the daemon's. */
static enum ctl_exit add_question(struct ask *a, json_t *parameters) {
        const struct ctl *c = a->ctl;
        enum ctl_exit e;

        if (c->realtime)
                json_object_set_new(parameters, "realtime", json_true());
        if (c->thinking)
                json_object_set_new(parameters, "thinking", json_true());
        if (c->has_max_tokens)
                json_object_set_new(parameters, "max_tokens",
                                    json_integer((json_int_t) c->max_tokens));
        e = ctl_add_images(c, parameters, a->fds, &a->n_fds);
        if (e != CTL_EXIT_OK)
                return e;
        if (!c->audio)
                return add_text(c, parameters);

        if (c->n_arguments > 0) {
                print_error("ask takes a text or --audio, not both");
                return CTL_EXIT_USAGE;
        }
        a->fds[a->n_fds] = open_audio(c->audio);
        if (a->fds[a->n_fds] < 0)
                return CTL_EXIT_BAD_INPUT;
        json_object_set_new(parameters, "audio_fd", json_integer((json_int_t) a->n_fds++));
        return CTL_EXIT_OK;
}

static void show_call(struct ask *a, json_t *call) {
        end_line(a);
        (void) fputs("call: ", stdout);
        print_call(a->ctl, call);
        (void) putchar('\n');
        a->has_answer = true;
}

static void show_token(struct ask *a, const char *text) {
        if (!text[0])
                return;
        print_text(stdout, a->ctl->to_terminal, text);
        a->is_line_open = text[strlen(text) - 1] != '\n';
        a->has_answer = true;
}

/* Why an answer that went well is not complete. */
static void show_stopped(const struct ask *a, const char *outcome) {
        if (strcmp(outcome, "repeated") == 0)
                print_error("the answer was ended: it said the same over and over");
        else if (a->ctl->has_max_tokens)
                print_error("the answer was ended by --max-tokens %ju",
                            (uintmax_t) a->ctl->max_tokens);
        else
                print_error("the answer was ended by MaxTokens; --max-tokens N lets it be longer");
}

static void show_unanswered(json_t *turn) {
        const char *hint = field_string(turn, "hint"), *reason = field_string(turn, "unanswered");

        if (hint[0])
                print_error("%s; did you mean: %s", turn_unanswered(turn), hint);
        else if (strcmp(reason, "not_understood") == 0 || strcmp(reason, "not_a_command") == 0)
                print_error("%s; \"help\" tells what can be said", turn_unanswered(turn));
        else
                print_error("%s", turn_unanswered(turn));
}

static void show_done(struct ask *a, json_t *turn) {
        const char *outcome = field_string(turn, "outcome"), *error = field_string(turn, "error");
        bool is_stopped = strcmp(outcome, "cut") == 0 || strcmp(outcome, "repeated") == 0;

        end_line(a);
        a->is_done = true;
        if (json_is_true(json_object_get(turn, "cut")))
                print_error("too long: only the first %.1f s were heard",
                            field_number(json_object_get(turn, "timings"), "audio") / 1000);
        if (is_stopped)
                show_stopped(a, outcome);
        if (a->is_interrupted)
                a->exit = CTL_EXIT_INTERRUPTED;
        else if (strcmp(outcome, "answered") != 0 && !is_stopped)
                a->exit = CTL_EXIT_FAILED;
        else if (!turn_has_answer(turn))
                a->exit = CTL_EXIT_FAILED;

        if (strcmp(outcome, "answered") == 0 && a->exit == CTL_EXIT_FAILED)
                show_unanswered(turn);
        else if (strcmp(outcome, "cancelled") == 0)
                print_error("cancelled");
        else if (strcmp(outcome, "answered") != 0 && !is_stopped)
                print_error("the turn failed: %s", error[0] ? error : "no reason was given");
}

static void show_event(struct ask *a, json_t *parameters) {
        json_t *event = json_object_get(parameters, "event");
        const char *kind = field_string(event, "kind"), *text = field_string(event, "text");

        if (field_int(event, "id") > 0)
                a->id = field_int(event, "id");
        if (strcmp(kind, "done") == 0) {
                show_done(a, json_object_get(event, "turn"));
        } else if (a->ctl->as_json) {
                return;
        } else if (strcmp(kind, "heard") == 0 && a->is_spoken) {
                if (!text[0])
                        return; /* the end tells why there are no words */
                end_line(a);
                (void) fputs("heard: ", stdout);
                print_text(stdout, a->ctl->to_terminal, text);
                (void) putchar('\n');
        } else if (strcmp(kind, "token") == 0) {
                show_token(a, text);
        } else if (strcmp(kind, "call") == 0) {
                show_call(a, json_object_get(event, "call"));
        }
        (void) fflush(stdout);
}

static sigset_t interrupts(void) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        return mask;
}

/* From here on Ctrl-C only wakes, so nothing may be done that waits for the daemon without waiting
 * for this as well. */
static int open_interrupt(void) {
        sigset_t mask = interrupts();

        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -1;
        return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_wake(struct ask *a) {
        struct epoll_event event = { .events = EPOLLIN };

        a->interrupt_fd = open_interrupt();
        if (a->interrupt_fd < 0)
                return -errno;
        a->wake_fd = epoll_create1(EPOLL_CLOEXEC);
        if (a->wake_fd < 0 || epoll_ctl(a->wake_fd, EPOLL_CTL_ADD, a->interrupt_fd, &event) < 0)
                return -errno;
        if (a->is_held && epoll_ctl(a->wake_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
                return -errno;
        return 0;
}

/* Connecting and sending wait for the daemon alone, so Ctrl-C ends the program meanwhile: with its
 * client the daemon gives up the turn. */
static bool send_aside(struct ask *a, const struct client_call *call, struct client **ret) {
        sigset_t mask = interrupts();
        struct why why;
        bool is_sent;

        (void) sigprocmask(SIG_UNBLOCK, &mask, NULL);
        is_sent = ctl_connect(a->ctl, ret) == CTL_EXIT_OK && client_send(*ret, call, &why) >= 0;
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        return is_sent;
}

/* A call from a connection of its own, because the other one is waiting for the answer.  What it
 * brings does not matter.  False when there is no answer, or Ctrl-C came first. */
static bool call_aside(struct ask *a, const char *method, json_t *parameters) {
        struct client_call call = { .method = method, .parameters = parameters };
        _cleanup_(client_freep) struct client *client = NULL;
        struct varlink_reply reply;
        struct why why;

        if (!send_aside(a, &call, &client))
                return false;
        if (client_next(client, a->interrupt_fd, &reply, &why) <= 0)
                return false;

        varlink_reply_done(&reply);
        return true;
}

/* The key was let go: Enter, or the end of the input. */
static bool finish_listening(struct ask *a) {
        char ignored[256];

        (void) !read(STDIN_FILENO, ignored, sizeof(ignored));
        (void) epoll_ctl(a->wake_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        a->is_held = false;
        return call_aside(a, "io.gemmad.Assistant.Finish", NULL);
}

/* False when there is nothing to wait for: not even a turn, a daemon that does not answer, or a
 * second Ctrl-C. */
static bool cancel_turn(struct ask *a) {
        _cleanup_(json_decrefp) json_t *parameters = json_pack("{s:I}", "id", a->id);
        struct signalfd_siginfo info;

        (void) !read(a->interrupt_fd, &info, sizeof(info));
        if (a->is_interrupted || a->id == 0)
                return false;
        a->is_interrupted = true;
        return call_aside(a, "io.gemmad.Assistant.Cancel", parameters);
}

static bool wake(struct ask *a) {
        struct pollfd interrupt = { .fd = a->interrupt_fd, .events = POLLIN };

        if (!a->is_held || poll(&interrupt, 1, 0) != 0)
                return cancel_turn(a);
        if (finish_listening(a))
                return true;
        if (poll(&interrupt, 1, 0) == 0) {
                (void) fputs("gemmactl: the daemon can not be told that you have finished\n",
                             stderr);
                a->is_lost = true;
        }
        return false;
}

static enum ctl_exit receive_answer(struct ask *a) {
        struct varlink_reply reply;
        bool continues = true;
        struct why why;
        int r;

        while (continues) {
                r = client_next(a->client, a->wake_fd, &reply, &why);
                if (r == 0 && !wake(a)) {
                        end_line(a);
                        return a->is_lost ? CTL_EXIT_UNREACHABLE : CTL_EXIT_INTERRUPTED;
                }
                if (r == 0)
                        continue;
                if (r < 0) {
                        end_line(a);
                        return ctl_lost(&why);
                }

                continues = reply.continues;
                if (reply.error) {
                        end_line(a);
                        a->exit = ctl_refused(a->ctl, &reply);
                        a->is_done = true;
                } else {
                        if (a->ctl->as_json)
                                print_json(a->ctl, reply.parameters);
                        show_event(a, reply.parameters);
                }
                varlink_reply_done(&reply);
        }
        if (!a->is_done) {
                print_error("the daemon ended the answer without saying how");
                a->exit = CTL_EXIT_FAILED;
        }
        return a->is_interrupted ? CTL_EXIT_INTERRUPTED : a->exit;
}

static enum ctl_exit run_turn(struct ask *a, const char *method, json_t *parameters) {
        struct client_call call = {
                .method = method,
                .parameters = parameters,
                .more = true,
                .fds = a->fds,
                .n_fds = a->n_fds,
        };
        enum ctl_exit e;
        struct why why;
        int r;

        e = ctl_connect(a->ctl, &a->client);
        if (e != CTL_EXIT_OK)
                return e;
        if (client_send(a->client, &call, &why) < 0)
                return ctl_lost(&why);
        r = open_wake(a);
        if (r < 0) {
                print_error("waiting for keys: %s", strerror(-r));
                return CTL_EXIT_FAILED;
        }
        return receive_answer(a);
}

/* Somebody sits before it who has given nothing to ask yet. */
static bool is_prompt_wanted(const struct ctl *c) {
        return !c->audio && c->n_images == 0 && c->n_arguments == 0 && isatty(STDIN_FILENO);
}

enum ctl_exit ctl_ask(const struct ctl *c) {
        _cleanup_(ask_done) struct ask a = {
                .ctl = c,
                .interrupt_fd = -1,
                .wake_fd = -1,
                .is_spoken = c->audio != NULL,
        };
        _cleanup_(json_decrefp) json_t *parameters = json_object();
        enum ctl_exit e;

        if (is_prompt_wanted(c))
                return ctl_prompt(c);
        e = add_question(&a, parameters);
        if (e != CTL_EXIT_OK)
                return e;
        return run_turn(&a, "io.gemmad.Assistant.Ask", parameters);
}

/* A key of the desktop is down or up again: said, and not waited for. */
static enum ctl_exit say_key(const struct ctl *c) {
        struct varlink_reply reply;
        enum ctl_exit e;

        if (c->hold || (c->press && c->release)) {
                print_error("only one of --hold, --press and --release");
                return CTL_EXIT_USAGE;
        }
        if (c->press)
                e = ctl_call(c, "io.gemmad.Assistant.Listen",
                             json_pack("{s:b, s:b}", "hold", 1, "detached", 1), &reply);
        else
                e = ctl_call(c, "io.gemmad.Assistant.Finish", NULL, &reply);
        if (e == CTL_EXIT_OK)
                varlink_reply_done(&reply);
        return e;
}

enum ctl_exit ctl_listen(const struct ctl *c) {
        _cleanup_(ask_done) struct ask a = {
                .ctl = c,
                .interrupt_fd = -1,
                .wake_fd = -1,
                .is_spoken = true,
                .is_held = c->hold,
        };
        _cleanup_(json_decrefp) json_t *parameters = json_pack("{s:b}", "hold", (int) c->hold);
        struct stat st;

        if (c->press || c->release)
                return say_key(c);
        /* Neither files nor /dev/null can be waited for. */
        if (c->hold && (fstat(STDIN_FILENO, &st) < 0 || S_ISREG(st.st_mode) ||
                        (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO)))) {
                print_error("--hold waits for a key on standard input, which brings none");
                return CTL_EXIT_USAGE;
        }
        if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
                (void) fputs(c->hold ? "Speak, then press Enter.\n" : "Speak.\n", stderr);
        return run_turn(&a, "io.gemmad.Assistant.Listen", parameters);
}
