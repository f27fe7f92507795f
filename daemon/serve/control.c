/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/common/memory.h"
#include "daemon/serve/archive.h"
#include "daemon/serve/expect.h"
#include "daemon/serve/images.h"
#include "daemon/serve/listeners.h"
#include "daemon/serve/live.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/provide.h"
#include "daemon/serve/remote.h"
#include "daemon/serve/replies.h"
#include "daemon/serve/sleepers.h"
#include "daemon/serve/speaking.h"
#include "ipc/assistant.h"
#include "ipc/server.h"

#define ASSISTANT "io.gemmad.Assistant"

#define CONTROL_MAX_TOKENS 32768

/* How long a client may ask nothing when others find no room. */
#define CONTROL_IDLE_SECONDS 30

/* How often the things of a status that nobody reports are looked at, while somebody listens. */
#define CONTROL_STATUS_USEC 1000000

/* A call of Ask, from its turn's beginning to its end. */
struct asker {
        struct control *control; /* not owned */
        struct call *call;       /* not owned */
        struct turn *turn;       /* not owned */
};

struct control {
        struct control_config config;
        struct archive archive;
        struct live live;
        struct server *server;    /* owned */
        struct turns *turns;      /* not owned */
        sd_event_source *changed; /* owned; sends the status once per round of the loop */
        sd_event_source *tick;    /* owned; runs while somebody listens to the status */
        struct event_loaded loaded;
        bool is_resting;
        bool is_loaded;
        uint64_t began_ns;
        struct listeners watchers;
        struct listeners observers; /* of the status */
        struct listeners reloaders; /* who wait for another model */
        struct sleepers sleepers;
        struct remote_desk remote;
        struct expectations expectations;
        struct speaking speaking;
        json_t *last_status;        /* owned; what the observers know */
};

/* Only regular files by path: whatever a client may open by itself it can send as a descriptor, and
 * then opening it can hold up nobody else. */
static int open_sound(const char *path, struct why *why) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (path[0] != '/')
                return because(why, -EINVAL, "%.200s: not an absolute path", path);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return because(why, -errno, "%.200s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%.200s: %s", path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return because(why, -EINVAL, "%.200s: not a regular file", path);
        return TAKE_FD(fd);
}

static void refuse(struct call *call, const char *error, const struct why *why) {
        call_error(call, error, reply_reason(why->text));
}

/* Sound comes from this machine: whatever a socket of another kind brings has come over a network. */
static bool is_from_here(int fd) {
        struct stat st;
        int domain = AF_UNSPEC;
        socklen_t size = sizeof(domain);

        if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
                return true;
        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* Reads the sound's descriptor into ask.  False when the call has been answered instead. */
static bool take_sound(struct control *c, struct call *call, json_t *parameters, struct ask *ask) {
        const char *path = parameter_string(parameters, "audio_path", NULL);
        struct why why = {};
        json_int_t index;

        if (c->is_loaded && !c->loaded.hears) {
                call_error(call, ASSISTANT ".CannotHear", NULL);
                return false;
        }
        if (path) {
                ask->audio_fd = open_sound(path, &why);
                if (ask->audio_fd >= 0)
                        return true;
                refuse(call, ASSISTANT ".BadAudio", &why);
                return false;
        }

        if (parameter_integer(parameters, "audio_fd", 0, INT_MAX, &index) == 1)
                ask->audio_fd = call_take_fd(call, (size_t) index);
        if (ask->audio_fd < 0) {
                call_invalid_parameter(call, "audio_fd");
                return false;
        }
        if (is_from_here(ask->audio_fd))
                return true;
        (void) because(&why, -EINVAL, "the descriptor is a socket of a network");
        refuse(call, ASSISTANT ".BadAudio", &why);
        closep(&ask->audio_fd);
        ask->audio_fd = -1;
        return false;
}

static bool take_input(struct control *c, struct call *call, json_t *parameters, struct ask *ask) {
        struct why why = {};

        if (parameter_is_given(parameters, "text") + parameter_is_given(parameters, "audio_path") +
                    parameter_is_given(parameters, "audio_fd") !=
            1) {
                call_invalid_parameter(call, parameter_is_given(parameters, "text") ? "text"
                                                                                    : "audio_path");
                return false;
        }

        ask->text = parameter_string(parameters, "text", &ask->text_size);
        if (!ask->text)
                return take_sound(c, call, parameters, ask);
        if (check_question(c->config.config, ask->text, ask->text_size, &why) < 0) {
                refuse(call, ASSISTANT ".BadText", &why);
                return false;
        }
        return true;
}

/* Whoever has left is not told, and what he asked for is not done; but what runs already, and was not
 * to be answered, goes on. */
static void on_asker_gone(struct call *call, void *userdata) {
        struct asker *a = userdata;

        if (call_is_oneway(call) && a->turn->has_run)
                turns_leave(a->turn);
        else
                turns_disown(a->control->turns, a->turn);
        free(a);
}

static void refuse_turn(struct control *c, struct call *call, int r) {
        if (r == -EBUSY)
                call_error(call, ASSISTANT ".Busy",
                           json_pack("{s:I}", "queued", (json_int_t) turns_n_waiting(c->turns)));
        else if (r == -ESHUTDOWN)
                call_error(call, ASSISTANT ".Stopping", NULL);
        else
                call_error(call, ASSISTANT ".TurnFailed", reply_reason(strerror(-r)));
}

/* A turn that nobody waits for: its number is the answer, and it goes on when its client leaves. */
static int submit_detached(struct control *c, struct call *call, struct ask *ask) {
        struct turn *turn;
        int r;

        r = turns_ask(c->turns, ask, &turn);
        if (r < 0) {
                closep(&ask->audio_fd);
                pictures_done(&ask->pictures);
                refuse_turn(c, call, r);
                return 0;
        }
        control_changed(c);
        call_reply(call, json_pack("{s:{s:s, s:I}}", "event", "kind", "accepted", "id",
                                   (json_int_t) turn->id));
        return 0;
}

/* Reads the pictures into ask.  False when the call has been answered instead. */
static bool take_images(struct control *c, struct call *call, json_t *parameters, struct ask *ask) {
        const json_t *list = json_object_get(parameters, "images");

        if (json_array_size(list) > 0 && c->is_loaded && !c->loaded.sees && !remote_is_up(&c->remote)) {
                call_error(call, ASSISTANT ".CannotSee", NULL);
                return false;
        }
        return images_take(call, list, &ask->pictures);
}

/* Makes a turn of it; what cannot be one is answered. */
static int submit(struct control *c, struct call *call, json_t *parameters, struct ask *ask) {
        struct asker *a;
        int r;

        ask->who = call_process(call);
        if (parameter_flag(parameters, "detached", false))
                return submit_detached(c, call, ask);
        a = calloc(1, sizeof(*a));
        ask->owner = a;
        r = a ? turns_ask(c->turns, ask, &a->turn) : -ENOMEM;
        if (r < 0) {
                closep(&ask->audio_fd);
                pictures_done(&ask->pictures);
                free(a);
                refuse_turn(c, call, r);
                return 0;
        }
        a->control = c;
        a->call = call;
        call_on_gone(call, on_asker_gone, a);
        control_changed(c);
        return 0;
}

static int on_ask(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        struct ask ask = {
                .audio_fd = -1,
                .realtime = parameter_flag(parameters, "realtime", false),
                .thinking = parameter_flag(parameters, "thinking", c->config.config->thinking),
        };
        json_int_t max_tokens = c->config.config->max_tokens;

        if (parameter_integer(parameters, "max_tokens", 1, CONTROL_MAX_TOKENS, &max_tokens) < 0) {
                call_invalid_parameter(call, "max_tokens");
                return 0;
        }
        ask.max_tokens = (unsigned) max_tokens;
        if (!take_images(c, call, parameters, &ask))
                return 0;
        if (!take_input(c, call, parameters, &ask)) {
                pictures_done(&ask.pictures);
                return 0;
        }

        return submit(c, call, parameters, &ask);
}

/* The longest sound in frames.  -EINVAL for what was given and makes no sense. */
static int read_max_frames(const struct control *c, const json_t *parameters, unsigned *ret) {
        double seconds = c->config.config->max_seconds;

        if (parameter_is_given(parameters, "max_seconds"))
                seconds = json_number_value(json_object_get(parameters, "max_seconds"));
        if (!(seconds > 0 && seconds <= c->config.config->max_seconds))
                return -EINVAL;

        *ret = (unsigned) (seconds * FRAME_RATE / FRAME_SAMPLES + 0.999);
        return 0;
}

static int on_listen(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        struct ask ask = {
                .audio_fd = -1,
                .is_live = true,
                .is_held = parameter_flag(parameters, "hold", false),
                .thinking = c->config.config->thinking,
                .max_tokens = c->config.config->max_tokens,
        };

        if (read_max_frames(c, parameters, &ask.max_frames) < 0) {
                call_invalid_parameter(call, "max_seconds");
                return 0;
        }
        switch (live_obstacle(&c->live)) {
        case LIVE_NO_OBSTACLE:
                return submit(c, call, parameters, &ask);
        case LIVE_DEAF:
                call_error(call, ASSISTANT ".CannotHear", NULL);
                break;
        case LIVE_MUTED:
                call_error(call, ASSISTANT ".Muted", NULL);
                break;
        case LIVE_ASLEEP:
                call_error(call, ASSISTANT ".NoMicrophone",
                           reply_reason("the machine goes to sleep"));
                break;
        }
        return 0;
}

static int on_finish(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        call_reply(call, json_pack("{s:b}", "finished", (int) turns_finish(c->turns)));
        return 0;
}

static int on_mute(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        control_changed(c);
        return live_on_mute(&c->live, call, parameters);
}

static int on_sleep(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        return sleepers_on_sleep(&c->sleepers, call);
}

static int on_expect(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return expect_on_expect(&c->expectations, call, parameters);
}

static int on_speaking(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        return speaking_on_speaking(&c->speaking, call);
}

/* How a client that speaks tells how far it came, until the history has it. */
struct spoken {
        struct call *call; /* not owned; NULL: its client is gone */
        json_int_t turn;
};

static void on_spoken_gone(struct call *call, void *userdata) {
        struct spoken *spoken = userdata;

        (void) call;
        spoken->call = NULL;
}

static void answer_spoken(struct call *call, json_int_t turn, int r) {
        if (r == -ENOENT)
                call_error(call, ASSISTANT ".NoSuchTurn", json_pack("{s:I}", "id", turn));
        else if (r == -EFBIG)
                call_invalid_parameter(call, "text");
        else
                /* A history that fails is told by Status. */
                call_reply(call, NULL);
}

static void on_spoken_kept(int r, uint64_t n, const struct why *why, void *userdata) {
        struct spoken *spoken = userdata;

        (void) n, (void) why;
        if (spoken->call) {
                call_on_gone(spoken->call, NULL, NULL);
                answer_spoken(spoken->call, spoken->turn, r);
        }
        free(spoken);
}

static int on_spoken(struct call *call, json_t *parameters, void *userdata) {
        json_int_t turn = json_integer_value(json_object_get(parameters, "turn"));
        const char *text = parameter_string(parameters, "text", NULL);
        struct control *c = userdata;
        struct spoken *spoken;
        struct why why = {};
        int r;

        if (turn <= 0 || !text) {
                call_invalid_parameter(call, turn <= 0 ? "turn" : "text");
                return 0;
        }
        spoken = malloc(sizeof(*spoken));
        if (!spoken)
                return -ENOMEM;
        *spoken = (struct spoken){ call, turn };
        call_on_gone(call, on_spoken_gone, spoken);
        r = turns_set_spoken(c->turns, (uint64_t) turn, text, strlen(text),
                             &(struct keeper_waiter){ on_spoken_kept, spoken }, &why);
        if (r <= 0)
                on_spoken_kept(r, 0, &why, spoken);
        return 0;
}

static int on_set_mode(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        control_changed(c);
        return live_on_mode(&c->live, call, parameters);
}

static int on_devices(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        return live_on_devices(&c->live, call);
}

static int on_level(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        return live_on_level(&c->live, call);
}

/* What is wrong with the history, in one line; nothing when it is as it should be or switched off. */
static void add_history_error(const struct control *c, json_t *status) {
        struct keeper_state state = {};
        char line[sizeof(struct why) + 64];

        if (c->config.keeper)
                state = keeper_state(c->config.keeper);
        if (!c->config.keeper)
                (void) snprintf(line, sizeof(line), "%s", c->config.store_missing.text);
        else if (state.n_waiting > 0)
                (void) snprintf(line, sizeof(line), "%u turns wait to be written: %s",
                                state.n_waiting, state.waiting_for.text);
        else if (state.owes)
                (void) snprintf(line, sizeof(line),
                                "what was forgotten is still to be erased from the file");
        else
                return;
        (void) json_object_set_new(status, "history_error", reply_string(line));
}

/* What a drafter is good for, or why there is none; nothing where there should be none. */
static void add_drafter(const struct control *c, json_t *status) {
        struct event_drafting d = turns_drafting(c->turns);

        if (c->loaded.drafter_error[0])
                (void) json_object_set_new(status, "drafter_error",
                                           reply_string(c->loaded.drafter_error));
        if (!c->loaded.has_drafter)
                return;
        (void) json_object_set_new(status, "drafter_guesses",
                                   json_integer((json_int_t) d.n_guessed));
        (void) json_object_set_new(status, "drafter_right", json_integer((json_int_t) d.n_right));
        (void) json_object_set_new(status, "drafter_acceptance", json_real(d.acceptance));
        (void) json_object_set_new(status, "drafter_gain", json_real(d.gain));
}

/* What Status tells, without the parts that change all the time. */
static json_t *status_of(struct control *c) {
        struct server_counters counters = server_counters(c->server);

        json_t *status;

        /* clang-format off */
        status = json_pack("{s:s, s:s, s:o, s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                 "state", activity_name(turns_activity(c->turns)),
                 "version", c->config.version,
                 "model", reply_string(c->loaded.model),
                 "kernels", c->loaded.kernels,
                 "threads", (json_int_t) c->loaded.n_threads,
                 "hears", (int) c->loaded.hears,
                 "sees", (int) c->loaded.sees,
                 "max_positions", (json_int_t) c->loaded.max_positions,
                 "turns", (json_int_t) turns_n_done(c->turns),
                 "clients", (json_int_t) counters.n_clients,
                 "queued", (json_int_t) turns_n_waiting(c->turns),
                 "dropped_clients", (json_int_t) counters.n_dropped,
                 "refused_frames", (json_int_t) spsc_refused(&c->config.sounds->queue),
                 "cut_turns", (json_int_t) turns_n_cut(c->turns));
        /* clang-format on */
        if (!status)
                return NULL;
        (void) json_object_set_new(status, "resting", json_boolean(c->is_resting));
        live_add_status(&c->live, status);
        add_history_error(c, status);
        add_drafter(c, status);
        remote_add_status(&c->remote, status);
        return status;
}

/* The whole reply from what status_of() gave. */
static json_t *complete_status(const struct control *c, json_t *status) {
        json_t *reply = json_copy(status);
        uint64_t memory = memory_resident();
        double uptime = clock_ms(clock_now_ns() - c->began_ns) / 1000;

        if (!reply)
                return NULL;
        (void) json_object_set_new(reply, "positions",
                                   json_integer((json_int_t) turns_position(c->turns)));
        if (memory > 0)
                (void) json_object_set_new(reply, "memory", json_integer((json_int_t) memory));
        (void) json_object_set_new(reply, "uptime", json_real(uptime));
        return reply;
}

static void send_status(struct control *c) {
        json_t *status;
        json_t *reply;

        if (listeners_is_empty(&c->observers))
                return;
        status = status_of(c);
        if (!status || json_equal(status, c->last_status)) {
                json_decref(status);
                return;
        }

        json_decref(c->last_status);
        c->last_status = status;
        reply = complete_status(c, status);
        listeners_tell(&c->observers, reply);
        json_decref(reply);
}

static int on_changed(sd_event_source *source, void *userdata) {
        struct control *c = userdata;

        (void) source;
        send_status(c);
        if (c->config.changed)
                c->config.changed(c->config.userdata);
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        struct control *c = userdata;

        send_status(c);
        listeners_sweep(&c->observers);
        if (listeners_is_empty(&c->observers))
                return 0;
        (void) sd_event_source_set_time(source, usec + CONTROL_STATUS_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static int on_status(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        json_t *status;
        int r;

        (void) parameters;
        status = status_of(c);
        if (!status)
                return -ENOMEM;

        if (!call_wants_more(call)) {
                call_reply(call, complete_status(c, status));
                json_decref(status);
                return 0;
        }

        /* The others first, for whom this may be news too. */
        send_status(c);
        r = listeners_add(&c->observers, call);
        if (r >= 0) {
                (void) call_continue(call, complete_status(c, status));
                (void) sd_event_source_set_time_relative(c->tick, CONTROL_STATUS_USEC);
                (void) sd_event_source_set_enabled(c->tick, SD_EVENT_ONESHOT);
        }
        json_decref(c->last_status);
        c->last_status = status;
        return r;
}

static int on_watch(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        return listeners_add(&c->watchers, call);
}

static int on_cancel(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        json_int_t id = 0;
        bool found;
        int r;

        r = parameter_integer(parameters, "id", 1, INT64_MAX, &id);
        if (r < 0) {
                call_invalid_parameter(call, "id");
                return 0;
        }

        found = turns_cancel(c->turns, (uint64_t) id);
        if (!found && r == 1)
                call_error(call, ASSISTANT ".NoSuchTurn", json_pack("{s:I}", "id", id));
        else
                call_reply(call, json_pack("{s:b}", "cancelled", (int) found));
        return 0;
}

static int on_history(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return archive_on_history(&c->archive, call, parameters);
}

static int on_help(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        json_t *groups = c->loaded.help ? json_incref(c->loaded.help) : json_array();

        (void) parameters;
        call_reply(call, json_pack("{s:o}", "groups", groups));
        return 0;
}

static int on_search(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return archive_on_search(&c->archive, call, parameters);
}

static int on_show(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return archive_on_show(&c->archive, call, parameters);
}

static int on_forget(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return archive_on_forget(&c->archive, call, parameters);
}

static int on_provide(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return provide_on_provide(c->config.toolbox, call, parameters);
}

static int on_respond(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return provide_on_respond(c->config.toolbox, call, parameters);
}

static int on_tools(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        (void) parameters;
        return provide_on_tools(c->config.toolbox, call);
}

static int on_call(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return provide_on_call(c->config.toolbox, call, parameters);
}

static int on_remote(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;

        return remote_on_remote(&c->remote, call, parameters);
}

/* What went wrong because of the one who asked is an error; all else is how the turn ended. */
static void answer_asker(struct control *c, const struct turn *turn, json_t *reply) {
        struct asker *a = turn->owner;
        struct call *call = a->call;

        (void) c;
        free(a);
        call_on_gone(call, NULL, NULL);
        switch (turn->fault) {
        case FAULT_AUDIO:
                refuse(call, ASSISTANT ".BadAudio", &turn->why);
                break;
        case FAULT_TEXT:
                refuse(call, ASSISTANT ".BadText", &turn->why);
                break;
        case FAULT_IMAGE:
                refuse(call, ASSISTANT ".BadImage", &turn->why);
                break;
        case FAULT_DEAF:
                call_error(call, ASSISTANT ".CannotHear", NULL);
                break;
        case FAULT_BLIND:
                call_error(call, ASSISTANT ".CannotSee", NULL);
                break;
        case FAULT_MICROPHONE:
                refuse(call, ASSISTANT ".NoMicrophone", &turn->why);
                break;
        case FAULT_STOPPING:
                call_error(call, ASSISTANT ".Stopping", NULL);
                break;
        case FAULT_NONE:
        case FAULT_MODEL:
                call_reply(call, json_incref(reply));
                break;
        }
}

void control_on_news(const struct news *news, void *userdata) {
        struct control *c = userdata;
        struct asker *a = news->turn ? news->turn->owner : NULL;
        json_t *reply;

        control_changed(c);
        /* Who is told of both finds the state as it is at the end. */
        if (news->kind == NEWS_DONE)
                send_status(c);
        reply = reply_event(c->turns, news);
        if (a && news->kind == NEWS_DONE)
                answer_asker(c, news->turn, reply);
        else if (a && call_wants_more(a->call) && reply)
                (void) call_continue(a->call, json_incref(reply));
        listeners_tell(&c->watchers, reply);
        json_decref(reply);
}

void control_changed(struct control *c) {
        (void) sd_event_source_set_enabled(c->changed, SD_EVENT_ONESHOT);
}

void control_tell_forgotten(struct control *c) {
        json_t *reply = json_pack("{s:{s:s, s:i}}", "event", "kind", "forgotten", "id", 0);

        listeners_tell(&c->watchers, reply);
        json_decref(reply);
}

static void on_sleeping(bool is_asleep, void *userdata) {
        struct control *c = userdata;

        live_set_asleep(&c->live, is_asleep);
        control_changed(c);
}

static void on_expected(const struct expected *expected, void *userdata) {
        struct control *c = userdata;

        turns_set_expected(c->turns, expected);
}

static void on_spoken_to(bool is_speaking, void *userdata) {
        struct control *c = userdata;

        turns_set_speaking(c->turns, is_speaking);
}

void control_interrupt(struct control *c) {
        speaking_interrupt(&c->speaking);
}

void control_heard_itself(struct control *c) {
        live_on_heard_itself(&c->live);
        control_changed(c);
}

static int add_sources(struct control *c) {
        int r;

        r = sd_event_add_defer(c->config.loop, &c->changed, on_changed, c);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(c->changed, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(c->config.loop, &c->tick, CLOCK_MONOTONIC, UINT64_MAX, 0, on_tick, c);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->tick, SD_EVENT_OFF);
}

static void on_full(void *userdata) {
        struct control *c = userdata;

        log_warning("There are %u clients (MaxClients), one more was turned away",
                    c->config.config->max_clients);
}

static int on_reload(struct call *call, json_t *parameters, void *userdata) {
        struct control *c = userdata;
        struct why why = {};
        int r;

        (void) parameters;
        r = c->config.reload(c->config.userdata, &why);
        if (r > 0)
                return listeners_add(&c->reloaders, call);
        if (r < 0)
                refuse(call, ASSISTANT ".NotReloaded", &why);
        else
                call_reply(call, json_pack("{s:o}", "model", reply_string(c->loaded.model)));
        return 0;
}

static void on_link(int link_fd, void *userdata) {
        struct control *c = userdata;

        c->config.take_link(link_fd, c->config.userdata);
}

static void on_remote_changed(void *userdata) {
        control_changed(userdata);
}

static int open_server(struct control *c, struct why *why) {
        static const struct server_method methods[] = {
                { ASSISTANT ".Ask", on_ask },
                { ASSISTANT ".Listen", on_listen },
                { ASSISTANT ".Finish", on_finish },
                { ASSISTANT ".Mute", on_mute },
                { ASSISTANT ".Devices", on_devices },
                { ASSISTANT ".Level", on_level },
                { ASSISTANT ".Status", on_status },
                { ASSISTANT ".Watch", on_watch },
                { ASSISTANT ".Cancel", on_cancel },
                { ASSISTANT ".History", on_history },
                { ASSISTANT ".Search", on_search },
                { ASSISTANT ".Help", on_help },
                { ASSISTANT ".Show", on_show },
                { ASSISTANT ".Forget", on_forget },
                { ASSISTANT ".SetMode", on_set_mode },
                { ASSISTANT ".Sleep", on_sleep },
                { ASSISTANT ".Expect", on_expect },
                { ASSISTANT ".Speaking", on_speaking },
                { ASSISTANT ".Spoken", on_spoken },
                { ASSISTANT ".Reload", on_reload },
                { ASSISTANT ".Provide", on_provide },
                { ASSISTANT ".Respond", on_respond },
                { ASSISTANT ".Tools", on_tools },
                { ASSISTANT ".Call", on_call },
                { ASSISTANT ".Remote", on_remote },
                { NULL, NULL },
        };
        const char *interfaces[] = { assistant_interface(), NULL };
        const struct config *config = c->config.config;
        struct server_config server = {
                .listen_fd = c->config.listen_fd,
                .interfaces = interfaces,
                .methods = methods,
                .userdata = c,
                .vendor = "gemmad",
                .product = "gemmad",
                .version = c->config.version,
                .url = "",
                .max_clients = config->max_clients,
                .max_message_size = (size_t) config->max_message_kib * 1024,
                .max_unsent_size = (size_t) config->max_unsent_kib * 1024,
                .on_full = on_full,
                .idle_seconds = CONTROL_IDLE_SECONDS,
        };

        return server_new(&c->server, c->config.loop, &server, why);
}

int control_new(struct control **ret, const struct control_config *config, struct why *why) {
        _cleanup_(control_freep) struct control *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return because(why, -ENOMEM, "out of memory");
        c->config = *config;
        c->began_ns = clock_now_ns();
        c->live.config = config->config;
        c->live.pipeline = config->pipeline;
        c->archive = (struct archive){
                .config = config->config,
                .keeper = config->keeper,
                .missing = config->store_missing,
                .forgotten = config->forgotten,
                .userdata = config->userdata,
        };
        c->remote = (struct remote_desk){
                .config = config->config,
                .loop = config->loop,
                .take_link = on_link,
                .changed = on_remote_changed,
                .userdata = c,
        };
        c->sleepers.changed = on_sleeping;
        c->sleepers.userdata = c;
        c->expectations.changed = on_expected;
        c->expectations.userdata = c;
        c->speaking.changed = on_spoken_to;
        c->speaking.userdata = c;

        r = add_sources(c);
        if (r < 0)
                return because(why, r, "event loop: %s", strerror(-r));
        r = open_server(c, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}

struct control *control_free(struct control *c) {
        if (!c)
                return NULL;

        if (c->server)
                server_free(c->server);
        live_done(&c->live);
        remote_done(&c->remote);
        listeners_done(&c->watchers);
        listeners_done(&c->observers);
        listeners_done(&c->reloaders);
        json_decref(c->last_status);
        json_decref(c->loaded.help);
        sd_event_source_disable_unref(c->tick);
        sd_event_source_disable_unref(c->changed);
        free(c);
        return NULL;
}

void control_on_pipeline_event(struct control *c, const struct pipeline_event *event) {
        live_on_event(&c->live, event);
        if (event->kind == PIPELINE_MICROPHONE)
                control_changed(c);
        if (event->kind == PIPELINE_ASLEEP)
                sleepers_on_closed(&c->sleepers);
}

void control_set_turns(struct control *c, struct turns *turns) {
        c->turns = turns;
        c->live.turns = turns;
}

void control_set_loaded(struct control *c, const struct event_loaded *loaded) {
        json_decref(c->loaded.help);
        c->loaded = *loaded;
        c->is_loaded = true;
        live_set_loaded(&c->live, loaded->hears, c->config.config->mode);
        control_changed(c);
}

void control_set_resting(struct control *c, bool is_resting) {
        c->is_resting = is_resting;
        control_changed(c);
}

void control_on_reload(struct control *c) {
        live_on_reload(&c->live);
}

void control_reloaded(struct control *c, const struct why *why) {
        json_t *reply;

        if (why) {
                listeners_refuse(&c->reloaders, ASSISTANT ".NotReloaded", why->text);
                return;
        }
        reply = json_pack("{s:o}", "model", reply_string(c->loaded.model));
        listeners_answer(&c->reloaders, reply);
        json_decref(reply);
}

int control_listen_at(struct control *c, int fd) {
        return server_listen_at(c->server, fd);
}

void control_stop_accepting(struct control *c) {
        server_stop_accepting(c->server);
}
