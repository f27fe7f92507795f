/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/media.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desktop/bus-step.h"
#include "desktop/desktop.h"
#include "desktop/songs.h"
#include "desktop/words.h"

#define PREFIX  "org.mpris.MediaPlayer2."
#define PATH    "/org/mpris/MediaPlayer2"
#define PLAYER  "org.mpris.MediaPlayer2.Player"
#define DBUS    "org.freedesktop.DBus"

/* Players that are asked, and whose last playing is remembered. */
#define MAX_PLAYERS 16
#define NAME_SIZE   256

/* A player that hangs is left out after this. */
#define PLAYER_USEC UINT64_C(1500000)

struct media {
        struct buses *buses; /* not owned */
        char last[MAX_PLAYERS][NAME_SIZE]; /* unique names; the one that played last comes first */
};

/* Unknown: it is there, and has not told in time, as one that seeks or opens something just now. */
enum status { STATUS_UNKNOWN, STATUS_STOPPED, STATUS_PAUSED, STATUS_PLAYING };

struct job;
struct player {
        struct job *job;
        char name[NAME_SIZE];   /* on the bus */
        char unique[NAME_SIZE]; /* where it is reached; "": it is gone */
        enum status status;
        char title[256], artist[256];
};

/* One call of a tool, while the players are asked. */
struct job {
        struct desktop *desktop; /* not owned */
        struct call *call;       /* owned reference */
        unsigned n_refs;
        unsigned n_asked; /* that have not answered yet */
        struct player players[MAX_PLAYERS];
        unsigned n_players;
        void (*decide)(struct job *job, struct player *player);
};

static void remember(struct media *m, const char *unique) {
        char name[NAME_SIZE];
        unsigned at = 0;

        (void) snprintf(name, sizeof(name), "%s", unique);
        while (at < MAX_PLAYERS - 1 && strcmp(m->last[at], name) != 0)
                at++;
        memmove(m->last[1], m->last[0], at * sizeof(m->last[0]));
        (void) snprintf(m->last[0], sizeof(m->last[0]), "%s", name);
}

static unsigned rank(const struct media *m, const char *unique) {
        unsigned at = 0;

        while (at < MAX_PLAYERS && strcmp(m->last[at], unique) != 0)
                at++;
        return at;
}

static enum status status_from_name(const char *name) {
        if (strcmp(name, "Playing") == 0)
                return STATUS_PLAYING;
        return strcmp(name, "Paused") == 0 ? STATUS_PAUSED : STATUS_STOPPED;
}

/* The first of a list of artists. */
static int read_artist(sd_bus_message *message, struct player *player) {
        const char *artist;
        int r;

        r = bus_enter_variant(message, "as");
        if (r <= 0)
                return r;
        r = sd_bus_message_enter_container(message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(message, "s", &artist)) > 0)
                if (!*player->artist)
                        (void) snprintf(player->artist, sizeof(player->artist), "%s", artist);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_text(sd_bus_message *message, char *ret, size_t size) {
        const char *text;
        int r;

        r = bus_enter_variant(message, "s");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(message, "s", &text);
        if (r >= 0)
                (void) snprintf(ret, size, "%s", text);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Calls read for each entry of a dictionary of variants. */
static int read_entries(sd_bus_message *message,
                        struct player *player,
                        int (*read)(sd_bus_message *message, const char *key, struct player *player)) {
        const char *key;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", &key);
                if (r >= 0)
                        r = read(message, key, player);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_metadata(sd_bus_message *message, const char *key, struct player *player) {
        if (strcmp(key, "xesam:title") == 0)
                return read_text(message, player->title, sizeof(player->title));
        if (strcmp(key, "xesam:artist") == 0)
                return read_artist(message, player);
        return sd_bus_message_skip(message, "v");
}

static int read_property(sd_bus_message *message, const char *key, struct player *player) {
        char status[32] = "";
        int r;

        if (strcmp(key, "PlaybackStatus") == 0) {
                r = read_text(message, status, sizeof(status));
                player->status = status_from_name(status);
                return r;
        }
        if (strcmp(key, "Metadata") != 0)
                return sd_bus_message_skip(message, "v");
        r = bus_enter_variant(message, "a{sv}");
        if (r <= 0)
                return r;
        r = read_entries(message, player, read_metadata);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *interface, *sender = sd_bus_message_get_sender(message);
        struct player player = {};

        (void) error;
        if (sd_bus_message_read(message, "s", &interface) >= 0 && strcmp(interface, PLAYER) == 0 &&
            sender && read_entries(message, &player, read_property) >= 0 &&
            player.status == STATUS_PLAYING)
                remember(userdata, sender);
        return 0;
}

static void on_bus(sd_bus *bus, void *userdata) {
        (void) sd_bus_match_signal_async(bus, NULL, NULL, PATH, DBUS ".Properties",
                                         "PropertiesChanged", on_properties, NULL, userdata);
}

int media_new(struct media **ret, struct buses *buses) {
        struct media *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->buses = buses;
        buses_on_session(buses, on_bus, m);
        *ret = m;
        return 0;
}

struct media *media_free(struct media *m) {
        free(m);
        return NULL;
}

static void job_unref(void *userdata) {
        struct job *job = userdata;

        if (--job->n_refs > 0)
                return;
        (void) call_unref(job->call);
        free(job);
}

/* The one that plays, else the one that played last. */
static struct player *choose(struct job *job) {
        struct player *best = NULL;

        for (unsigned i = 0; i < job->n_players; i++) {
                struct player *p = &job->players[i];
                const struct media *m = job->desktop->media;

                if (!*p->unique)
                        continue;
                if (!best || (p->status == STATUS_PLAYING) > (best->status == STATUS_PLAYING) ||
                    ((p->status == STATUS_PLAYING) == (best->status == STATUS_PLAYING) &&
                     (rank(m, p->unique) < rank(m, best->unique) ||
                      (rank(m, p->unique) == rank(m, best->unique) && p->status > best->status))))
                        best = p;
        }
        return best;
}

static void decide(struct job *job) {
        struct player *player = choose(job);

        if (call_is_answered(job->call))
                return;
        if (player)
                job->decide(job, player);
        else
                call_fail(job->call, "No player is running.");
}

static void release_player(void *userdata) {
        struct player *player = userdata;

        job_unref(player->job);
}

static int on_player(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct player *player = userdata;
        const char *sender = sd_bus_message_get_sender(reply);
        const sd_bus_error *refusal = sd_bus_message_get_error(reply);

        (void) error;
        if (refusal && !bus_is_missing(refusal))
                memcpy(player->unique, player->name, sizeof(player->unique));
        else if (!refusal && sender && read_entries(reply, player, read_property) >= 0)
                (void) snprintf(player->unique, sizeof(player->unique), "%s", sender);
        if (--player->job->n_asked == 0)
                decide(player->job);
        return 0;
}

static int ask_player(struct job *job, sd_bus *bus, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        struct player *player = &job->players[job->n_players];
        sd_bus_slot *slot = NULL;
        int r;

        *player = (struct player){ .job = job };
        (void) snprintf(player->name, sizeof(player->name), "%s", name);
        r = sd_bus_message_new_method_call(bus, &message, name, PATH, DBUS ".Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", PLAYER);
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, message, on_player, player, PLAYER_USEC);
        if (r < 0)
                return r;

        job->n_refs++;
        job->n_players++;
        job->n_asked++;
        (void) sd_bus_slot_set_destroy_callback(slot, release_player);
        (void) sd_bus_slot_set_floating(slot, 1);
        (void) sd_bus_slot_unref(slot);
        return 0;
}

static void on_names(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        struct job *job = step->data;
        const char *name;

        (void) error;
        step->data = NULL;
        if (reply && sd_bus_message_enter_container(reply, 'a', "s") >= 0)
                while (job->n_players < MAX_PLAYERS && sd_bus_message_read(reply, "s", &name) > 0)
                        if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
                                (void) ask_player(job, sd_bus_message_get_bus(reply), name);
        if (job->n_asked == 0)
                decide(job);
        job_unref(job);
}

/* Asks all players how they are, then decides. */
static void ask_players(struct desktop *d,
                        struct call *call,
                        void (*decide_then)(struct job *job, struct player *player)) {
        const struct bus_method method = { buses_session(d->buses), DBUS, "/org/freedesktop/DBus",
                                           DBUS, "ListNames", job_unref };
        struct job *job = calloc(1, sizeof(*job));

        if (!job)
                return;
        job->desktop = d;
        job->call = call_ref(call);
        job->n_refs = 1;
        job->decide = decide_then;
        if (!method.bus) {
                call_fail(call, "There is no session bus.");
                job_unref(job);
                return;
        }
        if (bus_step_call(d, call, &method, job, on_names, NULL) < 0)
                call_fail(call, "The session bus does not answer.");
}

/* What the player is called, of its name on the bus. */
static const char *title_of(const struct player *player) {
        return player->name + strlen(PREFIX);
}

static void on_done(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                call_say(step->call, NULL, "%s", (const char *) step->data);
        else
                call_fail(step->call, "The player does not do that: %s",
                          error->message ? error->message : error->name);
}

/* One method of a player, and what is said when it has done so. */
static void tell_player(struct job *job, const struct player *player, const char *method, const char *said) {
        const struct bus_method m = { buses_session(job->desktop->buses), player->unique, PATH, PLAYER,
                                      method, NULL };

        if (bus_step_call(job->desktop, job->call, &m, strdup(said), on_done, NULL) < 0)
                call_fail(job->call, "The session bus is gone.");
}

static bool pause_all_that(struct job *job, enum status status) {
        bool is_any = false;

        for (unsigned i = 0; i < job->n_players; i++) {
                const struct player *player = &job->players[i];

                if (*player->unique && player->status == status) {
                        tell_player(job, player, "Pause", "Paused.");
                        is_any = true;
                }
        }
        return is_any;
}

/* Silence is what is wanted: of all that play, or else of those that may. */
static void pause_all(struct job *job) {
        if (!pause_all_that(job, STATUS_PLAYING) && !pause_all_that(job, STATUS_UNKNOWN))
                call_say(job->call, NULL, "Nothing is playing.");
}

static void control(struct job *job, struct player *player) {
        static const char *const actions[][3] = {
                { "play", "Play", "Playing." },
                { "next", "Next", "Next." },
                { "previous", "Previous", "The one before." },
                { "stop", "Stop", "Stopped." },
        };
        const char *action = call_string(job->call, "action");

        if (strcmp(action, "pause") == 0) {
                pause_all(job);
                return;
        }
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (strcmp(action, actions[i][0]) == 0) {
                        tell_player(job, player, actions[i][1], actions[i][2]);
                        return;
                }
        call_fail(job->call, "A player can play, pause, stop, and go to the next or previous one.");
}

void media_control(struct desktop *d, struct call *call) {
        const char *action = call_string(call, "action");

        if (!action)
                call_fail(call, "What shall the player do?");
        else if (strcmp(action, "play") == 0 && call_string(call, "name"))
                songs_play(d, call);
        else
                ask_players(d, call, control);
}

static void tell_playing(struct job *job, struct player *player) {
        bool is_playing = player->status == STATUS_PLAYING;
        json_t *result = json_pack("{s:b, s:s, s:s, s:s}", "playing", (int) is_playing, "title",
                                   player->title, "artist", player->artist, "player",
                                   title_of(player));
        const char *begin = is_playing ? "This is" : "Paused is";

        if (player->status == STATUS_UNKNOWN) {
                json_decref(result);
                call_fail(job->call, "%s does not answer.", title_of(player));
        } else if (player->status == STATUS_STOPPED)
                call_say(job->call, result, "Nothing is playing.");
        else if (*player->title && *player->artist)
                call_say(job->call, result, "%s %s by %s.", begin, player->title, player->artist);
        else if (*player->title)
                call_say(job->call, result, "%s %s.", begin, player->title);
        else
                call_say(job->call, result, "%s something without a title, in %s.", begin,
                         title_of(player));
}

void media_get_playing(struct desktop *d, struct call *call) {
        ask_players(d, call, tell_playing);
}

static void seek(struct job *job, struct player *player) {
        const struct bus_method m = { buses_session(job->desktop->buses), player->unique, PATH, PLAYER,
                                      "Seek", NULL };
        double seconds = 0;
        char words[128], said[160];

        (void) call_number(job->call, "seconds", &seconds);
        (void) words_duration(words, sizeof(words),
                              (int64_t) ((seconds < 0 ? -seconds : seconds) * 1e6));
        (void) snprintf(said, sizeof(said), "%s %s.", seconds < 0 ? "Back" : "Forward", words);
        if (bus_step_call(job->desktop, job->call, &m, strdup(said), on_done, "x",
                          (int64_t) (seconds * 1e6)) < 0)
                call_fail(job->call, "The session bus is gone.");
}

void media_seek(struct desktop *d, struct call *call) {
        double seconds;

        if (call_number(call, "seconds", &seconds) && seconds >= -86400 && seconds <= 86400)
                ask_players(d, call, seek);
        else
                call_fail(call, "By how many seconds?");
}
