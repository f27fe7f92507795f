/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/wake.h"
#include "base/wipe.h"
#include "daemon/hear/pipeline.h"
#include "daemon/hear/sound.h"
#include "daemon/pressure.h"
#include "daemon/serve/control.h"
#include "daemon/serve/replies.h"
#include "daemon/store/keeper.h"
#include "daemon/think/dialogue.h"
#include "daemon/think/inference.h"
#include "daemon/turn/turns.h"
#include "ipc/server.h"

/* What may pass between the signal and the end.  A large model takes most of a second for one
 * micro-batch, and can not be interrupted in it. */
#define DAEMON_STOP_NS UINT64_C(900000000)

/* ... and of that until the disk has what it is owed, which takes milliseconds unless it hangs. */
#define KEEPER_STOP_NS UINT64_C(800000000)

struct daemon {
        struct daemon_setup setup;
        struct config *config; /* owned; the main thread's, which a reload changes */
        bool has_terminal;     /* to complain to, at the start */
        bool is_loaded;
        struct config *loading; /* owned; names the model that is on its way, NULL: none is */
        struct config *wanted;  /* owned; ... and that which is to follow it */
        struct event newer;     /* of a model that answers by now, while calls of the one before are
                                   still being carried out, and their turn is its */
        bool has_newer;

        /* In the order in which they start. */
        sd_event *loop;              /* owned reference */
        struct sound_queue sounds;   /* pipeline to inference */
        struct pipeline *pipeline;   /* owned */
        struct inference *inference; /* owned */
        struct keeper *keeper;       /* owned; NULL: no history */
        struct why store_missing;    /* ... because of this */
        uint64_t last_turn;          /* the largest number that a turn has had in it */
        struct pressure *pressure;   /* owned; NULL: nobody tells when memory runs short */
        struct toolbox *toolbox;     /* owned */
        int listen_fd;               /* owned; -1 as soon as the control has it */
        char *own_socket;            /* owned; NULL: it is systemd's */
        ino_t socket_inode;          /* ... of its file */
        sd_event_source *socket_watch; /* owned; NULL: nobody tells when it is taken away */
        struct control *control;     /* owned */
        struct turns *turns;         /* owned */
        sd_event_source *events;     /* owned */
        sd_event_source *ears;       /* owned; events of the pipeline */
        sd_event_source *heartbeat;  /* owned; NULL without a watchdog */

        uint64_t watchdog_usec;
        unsigned long pipeline_beat, inference_beat; /* when last looked */
        enum activity told;                          /* what systemd knows */
};

static void tell_systemd(struct daemon *d) {
        enum activity activity = turns_activity(d->turns);

        if (activity == d->told)
                return;
        d->told = activity;
        (void) sd_notifyf(0, "STATUS=%s", activity_name(activity));
}

/* What the model is told first is all that it has read by now. */
static void warn_of_late_speech(const struct daemon *d, const struct event *event) {
        unsigned limit = d->config->speech_positions;
        unsigned left = limit > event->position ? limit - event->position : 0;

        if (event->loaded.hears && limit > 0 && left < DIALOGUE_SPEECH_FRAMES)
                log_warning("The System text leaves room for %u seconds of speech before "
                            "SpeechPositions=%u",
                            left / 25, limit);
}

static void on_session_begun(int r, uint64_t n, const struct why *why, void *userdata) {
        (void) n, (void) userdata;
        if (r < 0)
                log_warning("The history can not be written (%s), going on without it", why->text);
}

static void begin_session(struct daemon *d, const char *model) {
        struct timespec now;
        struct why why = {};
        int r;

        if (!d->keeper)
                return;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        r = keeper_begin_session(d->keeper, (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000,
                                 d->setup.version, model, &(struct keeper_waiter){ on_session_begun, d }, &why);
        if (r < 0)
                on_session_begun(r, 0, &why, d);
}

static int on_loaded(struct daemon *d, const struct event *event) {
        const struct event_loaded *loaded = &event->loaded;

        begin_session(d, loaded->model);
        d->is_loaded = true;
        control_set_loaded(d->control, loaded);
        turns_set_loaded(d->turns, event);
        log_notice("Ready: %s, %u threads, %s, %u positions, %s", loaded->model, loaded->n_threads,
                   loaded->kernels, loaded->max_positions,
                   loaded->hears && loaded->sees ? "hears and sees"
                   : loaded->hears                 ? "hears"
                   : loaded->sees                  ? "sees"
                                                   : "text only");
        if (loaded->drafter_error[0])
                log_warning("Going on without a drafter: %s", loaded->drafter_error);
        warn_of_late_speech(d, event);
        (void) sd_notify(0, "READY=1");
        return 0;
}

static int on_resting(struct daemon *d, bool rests) {
        control_set_resting(d->control, rests);
        log_info(rests ? "The memory of the model is given back until somebody asks"
                       : "The model is read again");
        return 0;
}

static void add_tool(const struct tool_info *info, void *userdata) {
        struct tool tool = { .name = info->name, .description = info->description };
        _cleanup_(freep) char *parameters = json_dumps(info->parameters, JSON_COMPACT);

        tool.parameters_json = parameters;
        if (parameters)
                (void) toolset_add(userdata, &tool);
}

/* A model that answers freely is told what there is now. */
static void on_tools_changed(void *userdata) {
        struct daemon *d = userdata;
        struct toolset *tools;

        if (toolset_new(&tools) < 0)
                return;
        toolbox_list(d->toolbox, add_tool, tools);
        inference_set_tools(d->inference, tools);
}

/* Begins to load the model that fresh names, or remembers it while another one is on its way. */
static int load_other(struct daemon *d, const struct config *fresh, struct why *why) {
        struct config **place = d->is_loaded && !d->loading ? &d->loading : &d->wanted;
        int r;

        *place = config_free(*place);
        r = config_copy(place, fresh);
        if (r >= 0 && place == &d->loading)
                r = inference_load(d->inference, d->loading);
        if (r >= 0)
                return 0;
        *place = config_free(*place);
        return because(why, r, "the model can not be loaded: %s", strerror(-r));
}

/* What was on its way is there, or is not to be had. */
static void end_load(struct daemon *d, const struct why *failure) {
        _cleanup_(config_freep) struct config *wanted = TAKE_PTR(d->wanted);
        struct why why = {};

        if (d->loading)
                inference_end_load(d->inference);
        if (failure)
                log_error("The model can not be loaded (%s), going on with the old one",
                          failure->text);
        else if (d->loading && config_copy_model(d->config, d->loading) < 0)
                log_warning("Out of memory");
        d->loading = config_free(d->loading);

        if (!wanted || config_has_same_model(wanted, d->config))
                control_reloaded(d->control, failure);
        else if (load_other(d, wanted, &why) < 0)
                control_reloaded(d->control, &why);
}

static int take_loaded(struct daemon *d, const struct event *event) {
        bool is_other = d->loading;
        int r = on_loaded(d, event);

        if (is_other)
                on_tools_changed(d);
        end_load(d, NULL);
        return r;
}

static int on_event(struct daemon *d, const struct event *event) {
        if (event->kind == EVENT_LOADED && turns_is_carrying_out(d->turns)) {
                d->newer = *event;
                d->has_newer = true;
                return 0;
        }
        if (event->kind == EVENT_LOADED)
                return take_loaded(d, event);
        if (event->kind == EVENT_NOT_LOADED) {
                end_load(d, &event->why);
                return 0;
        }
        if (event->kind == EVENT_LOAD_FAILED) {
                log_error("The model can not be loaded: %s", event->why.text);
                return -ENOEXEC;
        }
        turns_on_event(d->turns, event);
        if (event->kind == EVENT_RESTING)
                return on_resting(d, event->rests);
        return 0;
}

/* An error ends the loop: see set_exit_on_failure() below. */
static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct daemon *d = userdata;
        struct event event;
        int r = 0;

        (void) source;
        (void) revents;
        wake_clear(fd);
        while (r >= 0 && inference_next_event(d->inference, &event))
                r = on_event(d, &event);
        if (r < 0)
                return r;

        control_changed(d->control);
        return 0;
}

static int on_ears(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct daemon *d = userdata;
        struct pipeline_event event;

        (void) source;
        (void) revents;
        wake_clear(fd);
        while (pipeline_next_event(d->pipeline, &event))
                control_on_pipeline_event(d->control, &event);
        return 0;
}

/* Feeds the watchdog only when both threads have moved since the last time.  Each looks up at least
 * once a second, and the model thread with every step, so that a thread that hangs gets the daemon
 * restarted, and one that is merely slow does not. */
static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        unsigned long pipeline = pipeline_beat(d->pipeline);
        unsigned long inference = inference_beat(d->inference);

        if (pipeline != d->pipeline_beat && inference != d->inference_beat)
                (void) sd_notify(0, "WATCHDOG=1");
        d->pipeline_beat = pipeline;
        d->inference_beat = inference;

        (void) sd_event_source_set_time(source, usec + d->watchdog_usec / 4);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch_over_threads(struct daemon *d) {
        int r;

        r = sd_watchdog_enabled(0, &d->watchdog_usec);
        if (r <= 0)
                return r;
        return sd_event_add_time_relative(d->loop, &d->heartbeat, CLOCK_MONOTONIC,
                                          d->watchdog_usec / 4, 0, on_heartbeat, d);
}

static void on_forgotten(void *userdata) {
        struct daemon *d = userdata;

        inference_forget(d->inference);
        pipeline_forget(d->pipeline);
        if (d->control)
                control_tell_forgotten(d->control);
        wipe_stack();
}

static void on_history_changed(void *userdata) {
        struct daemon *d = userdata;

        /* Not yet where the start failed. */
        if (d->control)
                control_changed(d->control);
}

static int keep_history(struct daemon *d, const char *directory, struct why *why) {
        _cleanup_(store_closep) struct store *store = NULL;
        struct keeper_config config = {
                .loop = d->loop,
                .keep_days = d->config->keep_days,
                .forgotten = on_forgotten,
                .changed = on_history_changed,
                .userdata = d,
        };
        int r;

        r = store_open(&store, directory, why);
        if (r >= 0)
                r = store_last_number(store, &d->last_turn, why);
        if (r < 0)
                return r;
        config.store = store;
        r = keeper_new(&d->keeper, &config, why);
        if (r >= 0)
                store = NULL;
        return r;
}

/* 1: another model is on its way; 0: all is done; -errno: the files can not be read, and nothing has changed,
 * or there is not even a try at the model, and all else is done. */
static int reload(struct daemon *d, struct why *why) {
        _cleanup_(config_freep) struct config *fresh = NULL;
        unsigned keep_days = d->config->keep_days;
        struct config_changes changes;
        int r;

        r = d->setup.reread(&fresh, d->setup.userdata, why);
        if (r < 0) {
                log_error("The configuration can not be read again (%s), going on with the old one",
                          why->text);
                return r;
        }
        config_adopt(d->config, fresh, &changes);
        control_on_reload(d->control);
        if (d->keeper && d->config->keep_days != keep_days)
                keeper_set_keep_days(d->keeper, d->config->keep_days);
        if (changes.n_left > 0)
                log_notice("The configuration was read again, %u options changed; for a change of "
                           "%s restart the daemon",
                           changes.n_taken, changes.left);
        else
                log_notice("The configuration was read again, %u options changed%s",
                           changes.n_taken,
                           changes.is_other_model ? ", another model is being loaded" : "");
        /* What is on its way, or is to follow, may not be wanted any more. */
        if (!changes.is_other_model && !d->loading && !d->wanted)
                return 0;
        r = load_other(d, fresh, why);
        if (r < 0)
                log_error("%s, going on with the old one", why->text);
        return r < 0 ? r : 1;
}

static int on_reload(void *userdata, struct why *why) {
        return reload(userdata, why);
}

/* Reads the configuration again, unless it was the terminal that hung up: a program that was started
 * there ends with it. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct daemon *d = userdata;
        struct why why = {};

        (void) source;
        (void) info;
        if (d->has_terminal && !isatty(STDERR_FILENO))
                return sd_event_exit(d->loop, 0);

        /* Before it is ready, systemd would take the end of this for being so. */
        if (d->is_loaded)
                (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                                  (unsigned long long) (clock_now_ns() / 1000));
        (void) reload(d, &why);
        if (d->is_loaded)
                (void) sd_notify(0, "READY=1");
        return 0;
}

static int open_loop(struct daemon *d) {
        int r;

        r = sd_event_new(&d->loop);
        if (r < 0)
                return r;
        r = sd_event_set_signal_exit(d->loop, true);
        if (r < 0)
                return r;
        return sd_event_add_signal(d->loop, NULL, SIGHUP, on_hangup, d);
}

static int listen_at(struct daemon *d, const char *path, struct why *why) {
        _cleanup_(freep) char *copy = strdup(path);
        int fd;

        if (!copy)
                return because(why, -ENOMEM, "out of memory");
        fd = server_listen(path, why);
        if (fd == -EADDRINUSE)
                return because(why, fd, "gemmad is running already: something listens at %s", path);
        if (fd < 0)
                return fd;

        d->own_socket = TAKE_PTR(copy);
        return fd;
}

/* The socket that systemd holds for us, or one of our own. */
static int open_socket(struct daemon *d, struct why *why) {
        char path[PATH_MAX];
        int n, r;

        n = sd_listen_fds(1);
        if (n < 0)
                return because(why, n, "socket activation: %s", strerror(-n));
        if (n > 1)
                return because(why, -EINVAL, "socket activation: %d sockets instead of one", n);
        if (n == 1) {
                r = sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_STREAM, 1);
                if (r <= 0)
                        return because(why, -EINVAL, "socket activation: not a Unix stream socket");
                return SD_LISTEN_FDS_START;
        }

        if (*d->config->socket_path)
                return listen_at(d, d->config->socket_path, why);
        r = paths_socket(path, sizeof(path), why);
        if (r < 0)
                return r;
        return listen_at(d, path, why);
}

/* Without a history the assistant still answers, so its failure is no reason not to start. */
static void open_store(struct daemon *d) {
        char path[PATH_MAX];
        const char *directory = d->config->store_path;
        struct why why = {};
        int r = 0;

        if (!d->config->store_enabled) {
                (void) because(&d->store_missing, 0, "the history is off (Enabled=no in [Store])");
                return;
        }
        if (!*directory) {
                r = paths_state(path, sizeof(path), &why);
                directory = path;
        }
        if (r >= 0)
                r = keep_history(d, directory, &why);
        if (r >= 0)
                return;
        log_warning("The history can not be opened (%s), going on without it", why.text);
        (void) because(&d->store_missing, r, "the history can not be opened: %s", why.text);
}

static void on_short_of_memory(void *userdata) {
        struct daemon *d = userdata;

        inference_rest(d->inference);
}

static void open_pressure(struct daemon *d) {
        struct why why = {};

        if (pressure_open(&d->pressure, d->loop, on_short_of_memory, d, &why) < 0)
                log_debug("Nobody tells when memory runs short (%s), going on without it", why.text);
}

static void on_changed(void *userdata) {
        struct daemon *d = userdata;

        tell_systemd(d);
}

static void on_link(int link_fd, void *userdata) {
        struct daemon *d = userdata;

        inference_set_link(d->inference, link_fd);
}

static void on_news(const struct news *news, void *userdata) {
        struct daemon *d = userdata;

        control_on_news(news, d->control);
        if (d->has_newer && !turns_is_carrying_out(d->turns)) {
                d->has_newer = false;
                (void) take_loaded(d, &d->newer);
        }
}

static int open_control(struct daemon *d, struct why *why) {
        struct control_config config = {
                .config = d->config,
                .version = d->setup.version,
                .loop = d->loop,
                .keeper = d->keeper,
                .store_missing = d->store_missing,
                .sounds = &d->sounds,
                .forgotten = on_forgotten,
                .take_link = on_link,
                .changed = on_changed,
                .reload = on_reload,
                .userdata = d,
                .pipeline = d->pipeline,
                .toolbox = d->toolbox,
        };
        int r;

        config.listen_fd = d->listen_fd;
        r = control_new(&d->control, &config, why);
        if (r < 0)
                return r;

        d->listen_fd = -1;
        return 0;
}

/* Whether it is the one that clients come to. */
static bool has_socket(const struct daemon *d) {
        struct stat st;

        return lstat(d->own_socket, &st) == 0 && st.st_ino == d->socket_inode;
}

static void note_socket(struct daemon *d) {
        struct stat st;

        d->socket_inode = lstat(d->own_socket, &st) == 0 ? st.st_ino : 0;
}

static bool make_socket_again(struct daemon *d) {
        struct why why = {};
        int fd;

        fd = server_listen(d->own_socket, &why);
        if (fd >= 0 && control_listen_at(d->control, fd) >= 0) {
                note_socket(d);
                log_notice("The socket was taken away, and has been made again: %s", d->own_socket);
                return true;
        }
        closep(&fd);
        log_warning("The socket was taken away, and nobody can come any more (%s): start gemmad again", why.text);
        return false;
}

static void watch_socket(struct daemon *d);

/* Who takes the file of the socket away makes gemmad deaf to all who come later. */
static int on_socket_folder(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        if (!has_socket(d) && !make_socket_again(d))
                return 0;
        /* The folder that has it is another one. */
        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
                d->socket_watch = sd_event_source_disable_unref(d->socket_watch);
                watch_socket(d);
        }
        return 0;
}

/* One of systemd's is its own affair. */
static void watch_socket(struct daemon *d) {
        char folder[PATH_MAX];
        char *slash;
        int r;

        if (!d->own_socket)
                return;
        note_socket(d);
        (void) snprintf(folder, sizeof(folder), "%s", d->own_socket);
        slash = strrchr(folder, '/');
        if (slash)
                slash[slash == folder ? 1 : 0] = '\0';
        r = sd_event_add_inotify(d->loop, &d->socket_watch, slash ? folder : ".",
                                 IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF, on_socket_folder, d);
        if (r < 0)
                log_debug("The socket's folder can not be watched (%s), going on without it", strerror(-r));
}

static void on_interrupt(void *userdata) {
        struct daemon *d = userdata;

        control_interrupt(d->control);
}

static void on_heard_itself(void *userdata) {
        struct daemon *d = userdata;

        control_heard_itself(d->control);
}

static int open_turns(struct daemon *d) {
        struct turns_config config = {
                .config = d->config,
                .loop = d->loop,
                .inference = d->inference,
                .pipeline = d->pipeline,
                .keeper = d->keeper,
                .last_id = d->last_turn,
                .lacks_store = !d->keeper && d->config->store_enabled,
                .toolbox = d->toolbox,
                .notify = on_news,
                .interrupt = on_interrupt,
                .heard_itself = on_heard_itself,
                .userdata = d,
        };
        int r;

        r = turns_new(&d->turns, &config);
        if (r < 0)
                return r;

        control_set_turns(d->control, d->turns);
        return 0;
}

static int watch_events(struct daemon *d) {
        int r;

        r = sd_event_add_io(d->loop, &d->events, inference_events_fd(d->inference), EPOLLIN,
                            on_events, d);
        if (r < 0)
                return r;
        r = sd_event_add_io(d->loop, &d->ears, pipeline_events_fd(d->pipeline), EPOLLIN, on_ears,
                            d);
        if (r < 0)
                return r;
        return sd_event_source_set_exit_on_failure(d->events, true);
}

static int open_threads(struct daemon *d) {
        int r;

        r = sound_queue_init(&d->sounds);
        if (r < 0)
                return r;
        r = pipeline_new(&d->pipeline, d->setup.config, &d->sounds, d->setup.starter);
        if (r < 0)
                return r;
        return inference_new(&d->inference, d->setup.config, &d->sounds);
}

static int start(struct daemon *d, struct why *why) {
        int r;

        r = config_copy(&d->config, d->setup.config);
        if (r < 0)
                return because(why, r, "out of memory");
        r = open_loop(d);
        if (r < 0)
                return because(why, r, "event loop: %s", strerror(-r));
        /* First of all: where another one runs, nothing else is to be said or touched. */
        r = open_socket(d, why);
        if (r < 0)
                return r;
        d->listen_fd = r;
        r = open_threads(d);
        if (r < 0)
                return because(why, r, "queues: %s", strerror(-r));
        open_store(d);
        r = toolbox_new(&d->toolbox, d->loop, on_tools_changed, d);
        if (r < 0)
                return because(why, r, "tools: %s", strerror(-r));
        r = open_control(d, why);
        if (r < 0)
                return r;
        watch_socket(d);
        open_pressure(d);
        r = open_turns(d);
        if (r >= 0)
                r = watch_events(d);
        if (r >= 0)
                r = watch_over_threads(d);
        if (r >= 0)
                r = pipeline_start(d->pipeline);
        if (r >= 0)
                r = inference_start(d->inference);
        if (r < 0)
                return because(why, r, "starting: %s", strerror(-r));

        d->told = ACTIVITY_LOADING;
        (void) sd_notify(0, "STATUS=loading the model");
        return 0;
}

static void tell_threads(struct daemon *d) {
        if (d->pipeline)
                pipeline_stop(d->pipeline);
        if (d->inference)
                inference_stop(d->inference);
}

/* False when one of those that were told still runs. */
static bool join_threads(struct daemon *d, uint64_t until_ns) {
        bool ended = true;

        if (d->pipeline)
                ended = pipeline_join(d->pipeline, until_ns);
        if (d->inference)
                ended = inference_join(d->inference, until_ns) && ended;
        return ended;
}

/* What the disk and clients are owed, while the other threads end beside it.  False when a thread still runs;
 * what it may touch is left standing then. */
static bool stop(struct daemon *d) {
        uint64_t now_ns = clock_now_ns();
        bool has_kept;

        (void) sd_notify(0, "STOPPING=1\nSTATUS=stopping");
        if (d->has_newer)
                json_decref(d->newer.loaded.help);
        d->has_newer = false;
        if (d->turns)
                turns_stop(d->turns);
        d->socket_watch = sd_event_source_disable_unref(d->socket_watch);
        if (d->own_socket)
                (void) unlink(d->own_socket);
        closep(&d->listen_fd);
        d->pressure = pressure_close(d->pressure);
        if (d->toolbox)
                toolbox_stop(d->toolbox);
        tell_threads(d);
        has_kept = keeper_stop(d->keeper, now_ns + KEEPER_STOP_NS);
        if (d->turns)
                turns_give_up_keeping(d->turns);
        d->control = control_free(d->control);
        d->turns = turns_free(d->turns);
        d->toolbox = toolbox_free(d->toolbox);
        d->heartbeat = sd_event_source_disable_unref(d->heartbeat);
        d->events = sd_event_source_disable_unref(d->events);
        d->ears = sd_event_source_disable_unref(d->ears);
        return join_threads(d, now_ns + DAEMON_STOP_NS) && has_kept;
}

static struct daemon *daemon_free(struct daemon *d) {
        inference_free(d->inference);
        pipeline_free(d->pipeline);
        sound_queue_done(&d->sounds);
        sd_event_unref(d->loop);
        free(d->own_socket);
        config_free(d->config);
        config_free(d->loading);
        config_free(d->wanted);
        free(d);
        return NULL;
}

int daemon_run(const struct daemon_setup *setup, bool *left) {
        struct daemon *d;
        struct why why = {};
        int r;

        *left = false;
        d = calloc(1, sizeof(*d));
        if (!d) {
                log_error("Out of memory");
                return -ENOMEM;
        }
        d->setup = *setup;
        d->listen_fd = -1;
        d->has_terminal = isatty(STDERR_FILENO);
        d->sounds = (struct sound_queue){ .filled_fd = -1, .room_fd = -1 };

        r = start(d, &why);
        if (r < 0)
                log_error("%s", why.text);
        else
                r = sd_event_loop(d->loop);
        if (r >= 0)
                log_notice("Stopping");

        *left = !stop(d);
        if (!*left)
                daemon_free(d);
        return r;
}
