/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* A device has to show itself, and a source that is only a dummy to be found out. */
#define LISTEN_SECONDS 6
#define ANSWER_MS      8000 /* of a daemon on a very busy machine */
#define FAINT_DB       (-60.0)
#define CLIPPED_DB     (-0.1)
#define LARGE_OFFSET   0.005 /* of full scale */

DEFINE_CLEANUP(struct client *, client_free)

struct doctor {
        const struct ctl *ctl;
        bool is_ill;
        bool is_looking; /* a line stands that its finding takes the place of */
};

/* What is looked at now, which may take seconds: on a terminal until its finding takes its place. */
static void look_at(struct doctor *d, const char *what) {
        if (d->ctl->as_json || !d->ctl->to_terminal)
                return;
        print_style(d->ctl, STYLE_FAINT);
        (void) printf("...   %s", what);
        print_plain(d->ctl);
        (void) fflush(stdout);
        d->is_looking = true;
}

static void print_state(struct doctor *d, const char *state) {
        enum style style = strcmp(state, "ok") == 0 ? STYLE_GOOD : STYLE_BAD;

        if (d->is_looking)
                (void) fputs("\r\033[K", stdout);
        d->is_looking = false;
        if (strcmp(state, "note") == 0)
                style = STYLE_STRONG;
        print_style(d->ctl, style);
        (void) printf("%-5s ", state);
        print_plain(d->ctl);
}

static void say(struct doctor *d, const char *state, const char *what, const char *remedy) {
        if (d->ctl->as_json) {
                json_t *finding = json_pack("{s:s, s:s, s:s}", "state", state, "finding", what,
                                            "remedy", remedy ? remedy : "");

                print_json(d->ctl, finding);
                json_decref(finding);
                return;
        }
        print_state(d, state);
        print_indented(d->ctl, 6, what);
        (void) putchar('\n');
        if (remedy) {
                (void) fputs("      -> ", stdout);
                print_indented(d->ctl, 9, remedy);
                (void) putchar('\n');
        }
        (void) fflush(stdout);
}

static void say_well(struct doctor *d, const char *what) {
        say(d, "ok", what, NULL);
}

static void say_ill(struct doctor *d, const char *what, const char *remedy) {
        d->is_ill = true;
        say(d, "FAIL", what, remedy);
}

/* A connection alone says nothing: that of one client too many is made, too, and closed at once. */
static int ask_status(const struct ctl *c, struct varlink_reply *ret, struct why *why) {
        struct client_call call = { .method = "io.gemmad.Assistant.Status" };
        _cleanup_(client_freep) struct client *client = NULL;
        int r;

        r = client_connect(&client, c->socket, why);
        if (r >= 0)
                r = client_send(client, &call, why);
        return r < 0 ? r : client_next_within(client, ANSWER_MS, ret, why);
}

static void say_unreachable(struct doctor *d, int r, const struct why *why) {
        if (r == -ENOENT)
                say_ill(d, "there is no socket: the daemon was not started",
                        "systemctl --user enable --now gemmad.socket (or: gemmad &); "
                        "if it listens elsewhere, gemmactl --socket PATH");
        else if (r == -ECONNREFUSED)
                say_ill(d, "nobody listens at the socket: the daemon has died",
                        "systemctl --user restart gemmad; "
                        "the reason: journalctl --user -u gemmad -e");
        else if (r == -ENOTSOCK)
                say_ill(d, why->text, "gemmactl --socket PATH names another");
        else if (r == -ETIMEDOUT)
                say_ill(d, "the daemon takes connections and does not answer: it was stopped, or hangs",
                        "systemctl --user restart gemmad (or: kill -CONT, where somebody stopped it)");
        else if (r == -ECONNRESET)
                say_ill(d, "the connection was closed at once: too many clients?",
                        "end some (gemmactl watch, meter and status -f are such), or set a higher "
                        "MaxClients= in [Socket] of gemmad.conf for the next start");
        else
                say_ill(d, why->text, "the socket belongs to another user, or to another program");
}

static void check_version(struct doctor *d, json_t *status) {
        if (strcmp(field_string(status, "version"), GEMMAD_VERSION) != 0)
                say_ill(d, "the daemon is of another version than gemmactl",
                        "systemctl --user restart gemmad");
}

static void check_history(struct doctor *d, json_t *status) {
        const char *error = json_string_value(json_object_get(status, "history_error"));

        if (error && !strstr(error, "is off"))
                say_ill(d, error,
                        "look for free disk space and for programs that hold the history open");
}

static void say_pocket(struct doctor *d) {
        char command[128], help[256];

        (void) ctl_model_advice(command, sizeof(command));
        (void) snprintf(help, sizeof(help), "%s%s",
                        command[0] ? command : "this machine has not the memory for a larger one",
                        command[0] ? " fetches one that converses, and makes it answer" : "");
        say(d, "ok", "the model hears: the small built-in one, which knows commands only", help);
}

static void check_model(struct doctor *d, json_t *status) {
        if (strcmp(field_string(status, "state"), "loading") == 0)
                say_ill(d, "the model is still being loaded",
                        "wait; when it takes minutes: is the disk slow, is there memory enough?");
        else if (!json_is_true(json_object_get(status, "hears")))
                say_ill(d, "the model can not hear",
                        "set Projector= in [Model] of gemmad.conf, or another model in Path=");
        else if (strcmp(field_string(status, "model"), "gemmad pocket") == 0)
                say_pocket(d);
        else
                say_well(d, "the model hears");
}

static bool check_muted(struct doctor *d, json_t *status) {
        if (!json_is_true(json_object_get(status, "muted")))
                return true;
        say_ill(d, "the microphone is muted", "gemmactl unmute");
        return false;
}

/* What is asked for is done by another program, and answered without it as well. */
static void check_desktop(struct doctor *d) {
        struct varlink_reply reply;
        bool is_there = false;
        json_t *tool;
        size_t i;

        if (ctl_call(d->ctl, "io.gemmad.Assistant.Tools", NULL, &reply) != CTL_EXIT_OK)
                return;
        json_array_foreach(json_object_get(reply.parameters, "tools"), i, tool)
                is_there |= strcmp(field_string(tool, "provider"), "gemmad-desktop") == 0;
        varlink_reply_done(&reply);
        if (!is_there)
                say(d, "note", "gemmad-desktop is not running: no timer, volume or program is seen to",
                    "systemctl --user enable --now gemmad-desktop (or: gemmad-desktop &)");
}

/* Everything that Status tells; false when looking at the microphone makes no sense. */
static bool check_status(struct doctor *d, const struct varlink_reply *reply, bool *ret_muted) {
        if (reply->error) {
                (void) ctl_refused(d->ctl, reply);
                say_ill(d, "the daemon does not tell its status",
                        "systemctl --user restart gemmad");
                return false;
        }
        check_version(d, reply->parameters);
        check_model(d, reply->parameters);
        check_history(d, reply->parameters);
        check_desktop(d);
        *ret_muted = !check_muted(d, reply->parameters);
        return true;
}

/* How many could be opened without being named; -1 when that is not to be known. */
static int count_devices(const struct ctl *c, unsigned *ret_bluetooth) {
        struct varlink_reply reply;
        json_t *device;
        int n = 0;
        size_t i;

        *ret_bluetooth = 0;
        if (ctl_call(c, "io.gemmad.Assistant.Devices", NULL, &reply) != CTL_EXIT_OK)
                return -1;
        json_array_foreach(json_object_get(reply.parameters, "devices"), i, device) {
                bool is_bluetooth = json_is_true(json_object_get(device, "bluetooth"));

                *ret_bluetooth += is_bluetooth;
                n += !is_bluetooth;
        }
        varlink_reply_done(&reply);
        return n;
}

static bool check_devices(struct doctor *d) {
        unsigned n_bluetooth;
        int n;

        look_at(d, "looking for microphones");
        n = count_devices(d->ctl, &n_bluetooth);

        if (n > 0) {
                say_well(d, "there is a microphone");
                return true;
        }
        if (n == 0 && n_bluetooth > 0)
                say_ill(d,
                        "the only microphone is a Bluetooth headset, which is not opened unasked",
                        "set Device= in [Audio] of gemmad.conf to its name (gemmactl devices)");
        else
                say_ill(d, "there is no microphone",
                        "plug one in; is the sound server running? pactl info, wpctl status");
        return n_bluetooth > 0;
}

/* What the meter showed. */
struct heard {
        char state[16];
        double loudest;
        double offset; /* the last that was told, of full scale */
};

static int open_timer(void) {
        struct itimerspec limit = { .it_value.tv_sec = LISTEN_SECONDS };
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

        if (fd >= 0)
                (void) timerfd_settime(fd, 0, &limit, NULL);
        return fd;
}

/* Until a sound has come, or for as long as it takes to know that none will. */
static void listen_for(const struct ctl *c, struct heard *h) {
        struct client_call call = { .method = "io.gemmad.Assistant.Level", .more = true };
        _cleanup_(client_freep) struct client *client = NULL;
        _cleanup_(closep) int timer_fd = open_timer();
        struct varlink_reply reply;
        bool goes_on = true;
        struct why why;
        unsigned n = 0;

        if (ctl_connect(c, &client) != CTL_EXIT_OK || client_send(client, &call, &why) < 0)
                return;
        while (goes_on && client_next(client, timer_fd, &reply, &why) == 1) {
                double peak = field_number(reply.parameters, "peak");

                (void) snprintf(h->state, sizeof(h->state), "%s",
                                field_string(reply.parameters, "microphone"));
                if (peak > h->loudest)
                        h->loudest = peak;
                h->offset = field_number(reply.parameters, "offset");
                n += strcmp(h->state, "live") == 0 && peak > -119;
                goes_on = reply.continues && n < 16 && strcmp(h->state, "silent") != 0;
                varlink_reply_done(&reply);
        }
}

static void say_offset(struct doctor *d, double offset) {
        char what[128];

        (void) snprintf(what, sizeof(what),
                        "the microphone has an offset of %.1f %%, which is taken out",
                        100 * offset);
        say(d, "note", what, "nothing has to be done; a cheap sound card or plug does this");
}

static void check_sound(struct doctor *d) {
        struct heard h = { .loudest = -120 };

        look_at(d, "listening to the microphone");
        listen_for(d->ctl, &h);
        if (strcmp(h.state, "lost") == 0 || strcmp(h.state, "opening") == 0)
                say_ill(d, "the microphone can not be opened, or gives nothing",
                        "gemmactl status tells why; is it in use by another program, or its sound "
                        "server frozen? systemctl --user restart pipewire (or pulseaudio)");
        else if (strcmp(h.state, "silent") == 0 && fabs(h.offset) > 1e-6)
                say_ill(d, "the microphone gives one value all the time, and no sound",
                        "its driver or its plug is at fault: plug it in again, or choose another "
                        "one "
                        "(gemmactl devices)");
        else if (strcmp(h.state, "silent") == 0 || h.loudest <= -119)
                say_ill(d, "the microphone gives digital silence",
                        "is it switched off, by a switch of its own or in the mixer? "
                        "pactl set-source-mute @DEFAULT_SOURCE@ 0; pactl list sources");
        else if (h.loudest >= CLIPPED_DB)
                say_ill(d, "the microphone is too loud: it clips",
                        "turn it down: pactl set-source-volume @DEFAULT_SOURCE@ -20%");
        else if (h.loudest < FAINT_DB)
                say(d, "note", "the microphone is very quiet; fine if nobody spoke just now",
                    "watch gemmactl meter while you speak; if it stays empty: "
                    "pactl set-source-volume @DEFAULT_SOURCE@ +20%");
        else
                say_well(d, "the microphone gives sound");
        if (fabs(h.offset) > LARGE_OFFSET && strcmp(h.state, "live") == 0)
                say_offset(d, h.offset);
}

enum ctl_exit ctl_doctor(const struct ctl *c) {
        struct doctor d = { .ctl = c };
        struct varlink_reply reply;
        bool is_muted = false;
        struct why why;
        int r;

        r = ask_status(c, &reply, &why);
        if (r < 0) {
                say_unreachable(&d, r, &why);
                return CTL_EXIT_UNREACHABLE;
        }
        say_well(&d, "the daemon takes calls");
        if (check_status(&d, &reply, &is_muted) && check_devices(&d) && !is_muted)
                check_sound(&d);
        varlink_reply_done(&reply);
        return d.is_ill ? CTL_EXIT_FAILED : CTL_EXIT_OK;
}
