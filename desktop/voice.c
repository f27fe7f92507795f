/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/voice.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <speech-dispatcher/libspeechd.h>

#include "base/log.h"
#include "base/wake.h"

#define MAX_WAITING 64

/* After it could not be reached: it is not started again and again for every sentence. */
#define PAUSE_SECONDS 30

/* For a thread that hangs in the library. */
#define JOIN_SECONDS 1

struct voice {
        pthread_t thread;
        bool has_thread;
        int wake_fd;         /* owned; the thread has something to tell */
        sd_event_source *io; /* owned */
        bool has_complained;
        void (*told)(const struct voice_state *state, void *userdata);
        void *userdata;

        pthread_mutex_t lock; /* of all that follows */
        pthread_cond_t changed;
        char *waiting[MAX_WAITING]; /* owned, [n_waiting]; first in, first out */
        unsigned n_waiting;
        bool shall_stop, shall_end;
        char trouble[160]; /* "": none that has not been told */
        struct voice_state state;
        bool is_stale;  /* what is told is of before it was silenced */
        size_t last_id; /* of the library's messages, and of those that count any more */
        size_t stale_id;

        SPDConnection *connection; /* owned; the thread's, like the next */
        time_t paused_until;       /* on the monotonic clock; 0: it is not */
};

static struct voice *the_voice;

static void forget_waiting(struct voice *v) {
        while (v->n_waiting > 0)
                free(v->waiting[--v->n_waiting]);
}

static void tell_trouble(struct voice *v, const char *text) {
        (void) pthread_mutex_lock(&v->lock);
        (void) snprintf(v->trouble, sizeof(v->trouble), "%s", text);
        (void) pthread_mutex_unlock(&v->lock);
        wake_ring(v->wake_fd);
}

static void change_begun(struct voice_state *state) {
        state->n_begun++;
}

static void change_ended(struct voice_state *state) {
        state->n_ended++;
}

static void change(struct voice *v, void (*how)(struct voice_state *state)) {
        (void) pthread_mutex_lock(&v->lock);
        if (!v->is_stale)
                how(&v->state);
        (void) pthread_mutex_unlock(&v->lock);
        wake_ring(v->wake_fd);
}

/* On a thread of the library's. */
static void on_notification(size_t id, size_t client, SPDNotificationType type) {
        struct voice *v = the_voice;
        bool counts;

        (void) client;
        if (!v)
                return;
        (void) pthread_mutex_lock(&v->lock);
        counts = id > v->stale_id;
        (void) pthread_mutex_unlock(&v->lock);
        if (counts && type == SPD_EVENT_BEGIN)
                change(v, change_begun);
        else if (counts && (type == SPD_EVENT_END || type == SPD_EVENT_CANCEL))
                change(v, change_ended);
}

/* Of what it had nothing is told any more.  n_kept: so many that were taken out of the queue are not
 * given up; those of before a silence are counted in no state. */
static void hang_up(struct voice *v, unsigned n_kept) {
        unsigned n_left;

        if (v->connection)
                spd_close(v->connection);
        v->connection = NULL;
        (void) pthread_mutex_lock(&v->lock);
        n_left = v->n_waiting + n_kept;
        v->state.n_ended = v->state.n_said > n_left ? v->state.n_said - n_left : 0;
        (void) pthread_mutex_unlock(&v->lock);
        wake_ring(v->wake_fd);
}

static time_t now_seconds(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec;
}

/* What is to be said meanwhile is not said. */
static void pause_for_a_while(struct voice *v) {
        v->paused_until = now_seconds() + PAUSE_SECONDS;
}

/* Starts speech-dispatcher when it does not run yet. */
static bool connect_to_it(struct voice *v) {
        char *error = NULL;

        if (v->connection)
                return true;
        if (now_seconds() < v->paused_until)
                return false;
        v->connection = spd_open2("gemmad", "answers", NULL, SPD_MODE_THREADED, NULL, /* autospawn= */ 1,
                                  &error);
        if (!v->connection) {
                pause_for_a_while(v);
                tell_trouble(v, error ? error : "speech-dispatcher does not answer");
        }
        free(error);
        if (!v->connection)
                return false;
        v->connection->callback_begin = on_notification;
        v->connection->callback_end = on_notification;
        v->connection->callback_cancel = on_notification;
        (void) spd_set_notification_on(v->connection, SPD_BEGIN);
        (void) spd_set_notification_on(v->connection, SPD_END);
        (void) spd_set_notification_on(v->connection, SPD_CANCEL);
        /* A dispatcher that was started anew counts its messages anew. */
        (void) pthread_mutex_lock(&v->lock);
        v->last_id = v->stale_id = 0;
        (void) pthread_mutex_unlock(&v->lock);
        return true;
}

static void note_id(struct voice *v, int id) {
        (void) pthread_mutex_lock(&v->lock);
        v->last_id = (size_t) id;
        (void) pthread_mutex_unlock(&v->lock);
}

/* What was said before does not count any more, and what is told now is of what comes. */
static void be_silent(struct voice *v) {
        if (v->connection && spd_cancel(v->connection) < 0)
                hang_up(v, 0);
        (void) pthread_mutex_lock(&v->lock);
        v->stale_id = v->last_id;
        v->is_stale = v->shall_stop;
        (void) pthread_mutex_unlock(&v->lock);
}

/* Twice, as it ends by itself when nobody has spoken for a while. */
static void speak(struct voice *v, const char *sentence) {
        for (unsigned i = 0; i < 2; i++) {
                int id;

                if (!connect_to_it(v)) {
                        change(v, change_ended);
                        return;
                }
                id = spd_say(v->connection, SPD_MESSAGE, sentence);
                if (id >= 0) {
                        note_id(v, id);
                        return;
                }
                hang_up(v, 1);
        }
        change(v, change_ended);
        pause_for_a_while(v);
        tell_trouble(v, "speech-dispatcher takes nothing");
}

/* The next thing to do: a sentence, which the caller frees, or NULL for silence.  False: the end. */
static bool wait_for_work(struct voice *v, char **ret) {
        bool goes_on;

        (void) pthread_mutex_lock(&v->lock);
        while (!v->shall_end && !v->shall_stop && v->n_waiting == 0)
                (void) pthread_cond_wait(&v->changed, &v->lock);
        goes_on = !v->shall_end;
        *ret = NULL;
        if (v->shall_stop) {
                v->shall_stop = false;
        } else if (v->n_waiting > 0) {
                *ret = v->waiting[0];
                memmove(v->waiting, v->waiting + 1, --v->n_waiting * sizeof(v->waiting[0]));
        }
        (void) pthread_mutex_unlock(&v->lock);
        return goes_on;
}

static void *run(void *userdata) {
        struct voice *v = userdata;
        char *sentence;

        while (wait_for_work(v, &sentence)) {
                if (sentence)
                        speak(v, sentence);
                else
                        be_silent(v);
                free(sentence);
        }
        free(sentence);
        if (v->connection)
                (void) spd_cancel(v->connection);
        hang_up(v, 0);
        return NULL;
}

static int on_told(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct voice *v = userdata;
        char text[sizeof(v->trouble)];
        struct voice_state state;

        (void) source, (void) events;
        wake_clear(fd);
        (void) pthread_mutex_lock(&v->lock);
        (void) snprintf(text, sizeof(text), "%s", v->trouble);
        v->trouble[0] = '\0';
        state = v->state;
        (void) pthread_mutex_unlock(&v->lock);
        v->told(&state, v->userdata);
        if (!text[0])
                return 0;
        if (!v->has_complained)
                log_warning("Answers are not spoken (%s); the packages for it are speech-dispatcher "
                            "and speech-dispatcher-espeak-ng",
                            text);
        v->has_complained = true;
        return 0;
}

int voice_new(struct voice **ret,
              sd_event *loop,
              void (*changed)(const struct voice_state *state, void *userdata),
              void *userdata) {
        struct voice *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        v->told = changed;
        v->userdata = userdata;
        the_voice = v;
        (void) pthread_mutex_init(&v->lock, NULL);
        (void) pthread_cond_init(&v->changed, NULL);
        v->wake_fd = wake_open();
        r = v->wake_fd;
        if (r >= 0)
                r = sd_event_add_io(loop, &v->io, v->wake_fd, EPOLLIN, on_told, v);
        if (r >= 0)
                r = -pthread_create(&v->thread, NULL, run, v);
        v->has_thread = r >= 0;
        if (r < 0) {
                (void) voice_free(v);
                return r;
        }
        *ret = v;
        return 0;
}

struct voice *voice_free(struct voice *v) {
        struct timespec until;

        if (!v)
                return NULL;
        (void) sd_event_source_disable_unref(v->io);
        (void) pthread_mutex_lock(&v->lock);
        v->shall_end = true;
        forget_waiting(v);
        (void) pthread_cond_signal(&v->changed);
        (void) pthread_mutex_unlock(&v->lock);

        (void) clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += JOIN_SECONDS;
        /* One that hangs keeps what it uses; the program ends. */
        if (v->has_thread && pthread_timedjoin_np(v->thread, NULL, &until) != 0)
                return NULL;
        the_voice = NULL;
        closep(&v->wake_fd);
        (void) pthread_cond_destroy(&v->changed);
        (void) pthread_mutex_destroy(&v->lock);
        free(v);
        return NULL;
}

void voice_say(struct voice *v, const char *sentence) {
        char *copy = strdup(sentence);

        (void) pthread_mutex_lock(&v->lock);
        if (copy && v->n_waiting < MAX_WAITING) {
                v->waiting[v->n_waiting++] = TAKE_PTR(copy);
                v->state.n_said++;
        }
        (void) pthread_cond_signal(&v->changed);
        (void) pthread_mutex_unlock(&v->lock);
        free(copy);
}

void voice_stop(struct voice *v) {
        (void) pthread_mutex_lock(&v->lock);
        forget_waiting(v);
        v->shall_stop = v->is_stale = true;
        v->state = (struct voice_state){};
        (void) pthread_cond_signal(&v->changed);
        (void) pthread_mutex_unlock(&v->lock);
}
