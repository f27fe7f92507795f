/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/desktop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/toml.h"
#include "desktop/quiet.h"
#include "desktop/talk.h"
#include "desktop/tools.h"

/* For the sound server to put volumes back in. */
#define END_USEC UINT64_C(500000)

static void on_call(struct call *call, void *userdata) {
        struct desktop *d = userdata;
        const struct tool *tool = tools_find(call_name(call));

        if (user_tools_run(d->user_tools, call))
                return;
        for (unsigned i = 0; i < d->n_mcp; i++)
                if (mcp_run(d->mcp[i], call))
                        return;
        if (tool && tool->question)
                confirm_ask(d->confirm, call, tool->question, tool->run);
        else if (tool)
                tool->run(d, call);
        else
                call_fail(call, "There is no tool '%.60s'.", call_name(call));
}

static void on_event(json_t *event, void *userdata) {
        struct desktop *d = userdata;

        assistant_on_event(d->assistant, event);
        tray_on_event(d->tray, event);
        talk_heard_event(d, event);
        answers_on_event(d->answers, event);
        speaker_on_event(d->speaker, event);
        chime_on_event(d->chime, event);
}

static void duck(struct desktop *d) {
        loudness_duck(d->loudness, d->ducks && (d->is_listening || d->is_speaking));
}

static void on_speaking(bool is_speaking, void *userdata) {
        struct desktop *d = userdata;

        d->is_speaking = is_speaking;
        duck(d);
}

/* Why the microphone does not open by itself any more is not to be found in a log only. */
static void show_reason(struct desktop *d, json_t *status) {
        bool is_told = json_object_get(status, "mode_reason") != NULL;
        const struct notice_config notice = {
                .title = "gemmad hears itself",
                .body = "Its answers came back through the microphone and were taken for yours. It listens "
                        "while you hold a key only, until you choose another mode.",
                .icon = "audio-input-microphone",
        };

        if (is_told && !d->is_reason_told)
                notice_leave(notice_show(d->notify, &notice));
        d->is_reason_told = is_told;
}

static void on_status(json_t *status, void *userdata) {
        const char *state = json_string_value(json_object_get(status, "state"));
        struct desktop *d = userdata;

        assistant_on_status(d->assistant, status);
        tray_on_status(d->tray, status);
        show_reason(d, status);
        d->is_listening = state && strcmp(state, "listening") == 0;
        duck(d);
}

void desktop_expect(struct desktop *d) {
        const char *calls[EXPECT_MAX + 1] = {};
        unsigned n = 0;

        if (bell_is_ringing(d->bell)) {
                calls[n++] = "stop";
                calls[n++] = "snooze";
        }
        if (confirm_is_asking(d->confirm)) {
                calls[n++] = "yes";
                calls[n++] = "no";
        }
        expect_set(d->expect, calls);
}

static void on_ringing(void *userdata) {
        desktop_expect(userdata);
}

/* Where the timers are kept; made if need be.  False: nowhere. */
static bool state_directory(char *ret, size_t size) {
        if (paths_state(ret, size, NULL) < 0)
                return false;
        for (char *slash = strchr(ret + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                (void) mkdir(ret, 0700);
                *slash = '/';
        }
        return mkdir(ret, 0700) == 0 || errno == EEXIST;
}

/* Two of them would each keep timers that the other knows nothing of. */
static int lock_state(struct desktop *d, const char *directory, struct why *why) {
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/desktop.lock", directory) >= (int) sizeof(path))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", directory);
        d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (d->lock_fd < 0) {
                log_warning("%s: %s", path, strerror(errno));
                return 0;
        }
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                return because(why, -EBUSY, "gemmad-desktop is running already");
        return 0;
}

static int open_bell(struct desktop *d, struct why *why) {
        char path[PATH_MAX];
        struct bell_config config = {
                .loop = d->loop,
                .sound = d->sound,
                .notify = d->notify,
                .changed = on_ringing,
                .userdata = d,
        };
        int r;

        if (state_directory(path, sizeof(path))) {
                r = lock_state(d, path, why);
                if (r < 0)
                        return r;
                config.directory = path;
                d->state = strdup(path);
        } else
                log_warning("There is no place to keep timers in: they end with this program");
        r = loudness_new(&d->loudness, d->sound, config.directory);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        config.loudness = d->loudness;
        return bell_new(&d->bell, &config, why);
}

/* Those that ship and are not replaced.  NULL when there is no memory. */
static json_t *describe_tools(struct desktop *d) {
        json_t *tools = tools_describe();

        if (tools)
                user_tools_replace(d->user_tools, tools);
        return tools;
}

static void on_tools_changed(void *userdata) {
        struct desktop *d = userdata;
        _cleanup_(json_decrefp) json_t *ours = describe_tools(d);
        _cleanup_(json_decrefp) json_t *theirs = user_tools_describe(d->user_tools);

        if (!ours || !theirs)
                return;
        if (!json_equal(ours, d->offered)) {
                json_decref(d->offered);
                d->offered = json_incref(ours);
                link_set_tools(d->link, ours);
        }
        link_set_tools(d->user_link, theirs);
}

static int open_user_tools(struct desktop *d, struct why *why) {
        char path[PATH_MAX];
        const struct user_tools_config config = {
                .loop = d->loop,
                .desktop = d,
                .directory = path,
                .changed = on_tools_changed,
                .userdata = d,
        };
        int r;

        if (paths_config(path, sizeof(path), "tools", NULL) < 0)
                path[0] = 0;
        r = user_tools_new(&d->user_tools, &config);
        return r < 0 ? because(why, r, "%s", strerror(-r)) : 0;
}

static void on_mcp_changed(struct mcp *m, json_t *tools, void *userdata) {
        struct desktop *d = userdata;

        for (unsigned i = 0; i < d->n_mcp; i++)
                if (d->mcp[i] == m)
                        link_set_tools(d->mcp_links[i], tools);
}

/* One server, and its way to gemmad. */
static int
open_mcp(struct desktop *d, const char *name, json_t *settings, const char *path, struct why *why) {
        _cleanup_(json_decrefp) json_t *none = json_array();
        const struct mcp_config config = {
                .loop = d->loop,
                .desktop = d,
                .name = name,
                .settings = settings,
                .changed = on_mcp_changed,
                .userdata = d,
        };
        struct link_config link_config = {
                .loop = d->loop,
                .path = path,
                .tools = none,
                .call = on_call,
                .userdata = d,
        };
        struct mcp *m;
        int r;

        if (d->n_mcp == DESKTOP_MAX_MCP)
                return because(why, -E2BIG, "more than %d servers", DESKTOP_MAX_MCP);
        r = mcp_new(&m, &config, why);
        if (r < 0)
                return r;
        link_config.provider = mcp_name(m);
        r = link_new(&d->mcp_links[d->n_mcp], &link_config, why);
        if (r < 0) {
                (void) mcp_free(m);
                return r;
        }
        d->mcp[d->n_mcp++] = m;
        return 0;
}

/* What the user has configured; NULL: nothing, or nothing that can be understood. */
static json_t *read_settings(char *path, size_t size) {
        json_t *settings = NULL;
        struct why why = {};
        int r;

        if (paths_config(path, size, "desktop.toml", NULL) < 0)
                return NULL;
        r = toml_read_file(path, &settings, &why);
        if (r < 0 && r != -ENOENT)
                log_warning("The configuration is left out: %s", why.text);
        return settings;
}

/* What is wrong in the configuration is said, and left out. */
static void open_servers(struct desktop *d, json_t *servers, const char *path, const char *socket) {
        struct why why = {};
        const char *name;
        json_t *table;

        json_object_foreach(servers, name, table) if (open_mcp(d, name, table, socket, &why) < 0)
                log_warning("%s: [mcp.%s]: %s", path, name, why.text);
}

static enum when read_when(json_t *settings, const char *key, const char *path) {
        json_t *setting = json_object_get(settings, key);
        const char *name = json_string_value(setting);
        enum when when = WHEN_SPOKEN;

        if (setting && (!name || !when_from_name(name, &when)))
                log_warning("%s: %s is none of \"spoken\", \"always\" and \"never\"", path, key);
        return when;
}

static bool read_flag(json_t *settings, const char *key, bool standard, const char *path) {
        json_t *setting = json_object_get(settings, key);

        if (setting && !json_is_boolean(setting))
                log_warning("%s: %s is neither true nor false", path, key);
        return json_is_boolean(setting) ? json_is_true(setting) : standard;
}

static bool is_setting(const char *name, json_t *value) {
        static const char *const known[] = { "answers", "speak", "bus", "sounds", "ducking", "tray",
                                             "push_to_talk" };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (strcmp(name, known[i]) == 0)
                        return true;
        return strcmp(name, "mcp") == 0 && json_is_object(value);
}

static int open_configured(struct desktop *d, const char *socket) {
        char path[PATH_MAX] = "";
        struct speaker_config speaker = {
                .loop = d->loop,
                .path = socket,
                .peer = d->peer,
                .changed = on_speaking,
                .userdata = d,
        };
        _cleanup_(json_decrefp) json_t *settings = read_settings(path, sizeof(path));
        json_t *value, *key = json_object_get(settings, "push_to_talk");
        const char *name;
        int r;

        if (key && !json_is_string(key))
                log_warning("%s: push_to_talk is not the name of a key", path);
        json_object_foreach(settings, name, value) if (!is_setting(name, value))
                log_warning("%s: there is no '%s'", path, name);
        open_servers(d, json_object_get(settings, "mcp"), path, socket);
        r = answers_new(&d->answers, d->notify, read_when(settings, "answers", path));
        if (r < 0)
                return r;
        d->ducks = read_flag(settings, "ducking", true, path);
        speaker.when = read_when(settings, "speak", path);
        r = speaker_new(&d->speaker, &speaker);
        if (r >= 0 && read_flag(settings, "sounds", true, path))
                r = chime_new(&d->chime, d->sound);
        if (r >= 0 && read_flag(settings, "bus", true, path))
                r = assistant_new(&d->assistant, d->buses, d->peer);
        if (r >= 0 && read_flag(settings, "tray", true, path))
                r = tray_new(&d->tray, d->buses, d->peer);
        if (r >= 0 && json_is_string(key))
                r = shortcut_new(&d->shortcut, d->buses, d->peer, json_string_value(key));
        return r;
}

/* gemmad, and who tells it of the machine. */
static int open_peer(struct desktop *d, const char *path) {
        const struct peer_config config = {
                .loop = d->loop,
                .path = path,
                .event = on_event,
                .status = on_status,
                .userdata = d,
        };
        int r;

        r = sleep_open(&d->sleep, d->loop, path);
        if (r < 0)
                log_debug("No system bus (%s), going on without it", strerror(-r));
        return peer_new(&d->peer, &config);
}

static int open_links(struct desktop *d, const struct desktop_setup *setup, struct why *why) {
        _cleanup_(json_decrefp) json_t *theirs = user_tools_describe(d->user_tools);
        char usual[PATH_MAX];
        const char *path = setup->socket_path ? setup->socket_path : usual;
        struct link_config config = {
                .loop = d->loop,
                .path = path,
                .call = on_call,
                .userdata = d,
        };
        int r;

        d->offered = describe_tools(d);
        if (!d->offered || !theirs)
                return because(why, -ENOMEM, "out of memory");
        if (!setup->socket_path) {
                r = paths_socket(usual, sizeof(usual), why);
                if (r < 0)
                        return r;
        }
        config.provider = "tools of the user";
        config.tools = theirs;
        r = link_new(&d->user_link, &config, why);
        if (r < 0)
                return r;
        config.provider = "gemmad-desktop";
        config.tools = d->offered;
        r = link_new(&d->link, &config, why);
        if (r < 0)
                return r;
        r = expect_new(&d->expect, d->loop, path);
        if (r >= 0)
                r = open_peer(d, path);
        if (r >= 0)
                r = open_configured(d, path);
        if (r >= 0) {
                desktop_expect(d);
                quiet_resume(d);
        }
        return r < 0 ? because(why, r, "%s", strerror(-r)) : 0;
}

static void on_settled(void *userdata) {
        struct desktop *d = userdata;

        (void) sd_event_exit(d->loop, 0);
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        on_settled(userdata);
        return 0;
}

/* What was changed of the user's volumes is put back, which a sound server gets a moment for. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct desktop *d = userdata;

        (void) source, (void) info;
        if (d->end)
                return 0;
        (void) sd_event_add_time_relative(d->loop, &d->end, CLOCK_MONOTONIC, END_USEC, 0, on_end, d);
        if (d->loudness)
                loudness_settle(d->loudness, on_settled, d);
        return d->loudness && d->end ? 0 : sd_event_exit(d->loop, 0);
}

static int start(struct desktop *d, const struct desktop_setup *setup, struct why *why) {
        int r;

        r = sd_event_new(&d->loop);
        if (r >= 0)
                r = sd_event_add_signal(d->loop, NULL, SIGTERM, on_signal, d);
        if (r >= 0)
                r = sd_event_add_signal(d->loop, NULL, SIGINT, on_signal, d);
        if (r >= 0)
                r = buses_new(&d->buses, d->loop);
        if (r >= 0)
                r = notify_new(&d->notify, d->buses);
        if (r >= 0)
                r = media_new(&d->media, d->buses);
        if (r >= 0)
                r = sound_new(&d->sound, d->loop);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        r = open_bell(d, why);
        if (r < 0)
                return r;
        r = confirm_new(&d->confirm, d);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        r = open_user_tools(d, why);
        if (r < 0)
                return r;
        return open_links(d, setup, why);
}

/* The link first, so that nothing that ends here answers a call; the sound before those who wait for
 * it, whom it tells. */
static void stop(struct desktop *d) {
        d->link = link_free(d->link);
        d->user_link = link_free(d->user_link);
        for (unsigned i = 0; i < d->n_mcp; i++) {
                (void) link_free(d->mcp_links[i]);
                (void) mcp_free(d->mcp[i]);
        }
        d->expect = expect_free(d->expect);
        d->peer = peer_free(d->peer);
        d->sleep = sleep_close(d->sleep);
        json_decref(d->offered);
        d->end = sd_event_source_disable_unref(d->end);
        d->quiet_end = sd_event_source_disable_unref(d->quiet_end);
        d->chime = chime_free(d->chime);
        d->sound = sound_free(d->sound);
        d->user_tools = user_tools_free(d->user_tools);
        d->confirm = confirm_free(d->confirm);
        d->speaker = speaker_free(d->speaker);
        d->answers = answers_free(d->answers);
        d->bell = bell_free(d->bell);
        d->loudness = loudness_free(d->loudness);
        d->assistant = assistant_free(d->assistant);
        d->tray = tray_free(d->tray);
        d->shortcut = shortcut_free(d->shortcut);
        d->media = media_free(d->media);
        d->notify = notify_free(d->notify);
        d->buses = buses_free(d->buses);
        d->loop = sd_event_unref(d->loop);
        free(d->last_answer);
        free(d->state);
        closep(&d->lock_fd);
}

int desktop_run(const struct desktop_setup *setup) {
        struct desktop d = { .lock_fd = -1 };
        struct why why = {};
        int r;

        r = start(&d, setup, &why);
        if (r < 0) {
                log_error("%s", why.text);
        } else {
                (void) sd_event_set_watchdog(d.loop, true);
                (void) sd_notify(0, "READY=1");
                r = sd_event_loop(d.loop);
        }
        stop(&d);
        return r;
}
