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

        pthread_mutex_t lock; /* of all that follows */
        pthread_cond_t changed;
        char *waiting[MAX_WAITING]; /* owned, [n_waiting]; first in, first out */
        unsigned n_waiting;
        bool shall_stop, shall_end;
        char trouble[160]; /* "": none that has not been told */

        SPDConnection *connection; /* owned; the thread's, like the next */
        time_t paused_until;       /* on the monotonic clock; 0: it is not */
};

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

static void hang_up(struct voice *v) {
        if (v->connection)
                spd_close(v->connection);
        v->connection = NULL;
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
        v->connection = spd_open2("gemmad", "answers", NULL, SPD_MODE_SINGLE, NULL, /* autospawn= */ 1,
                                  &error);
        if (!v->connection) {
                pause_for_a_while(v);
                tell_trouble(v, error ? error : "speech-dispatcher does not answer");
        }
        free(error);
        return v->connection != NULL;
}

/* Twice, as it ends by itself when nobody has spoken for a while. */
static void speak(struct voice *v, const char *sentence) {
        for (unsigned i = 0; i < 2; i++) {
                if (!connect_to_it(v))
                        return;
                if (spd_say(v->connection, SPD_MESSAGE, sentence) >= 0)
                        return;
                hang_up(v);
        }
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
                else if (v->connection && spd_cancel(v->connection) < 0)
                        hang_up(v);
                free(sentence);
        }
        free(sentence);
        if (v->connection)
                (void) spd_cancel(v->connection);
        hang_up(v);
        return NULL;
}

static int on_trouble(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct voice *v = userdata;
        char text[sizeof(v->trouble)];

        (void) source, (void) events;
        wake_clear(fd);
        (void) pthread_mutex_lock(&v->lock);
        (void) snprintf(text, sizeof(text), "%s", v->trouble);
        (void) pthread_mutex_unlock(&v->lock);
        if (!v->has_complained)
                log_warning("Answers are not spoken (%s); the packages for it are speech-dispatcher "
                            "and speech-dispatcher-espeak-ng",
                            text);
        v->has_complained = true;
        return 0;
}

int voice_new(struct voice **ret, sd_event *loop) {
        struct voice *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        (void) pthread_mutex_init(&v->lock, NULL);
        (void) pthread_cond_init(&v->changed, NULL);
        v->wake_fd = wake_open();
        r = v->wake_fd;
        if (r >= 0)
                r = sd_event_add_io(loop, &v->io, v->wake_fd, EPOLLIN, on_trouble, v);
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
        closep(&v->wake_fd);
        (void) pthread_cond_destroy(&v->changed);
        (void) pthread_mutex_destroy(&v->lock);
        free(v);
        return NULL;
}

void voice_say(struct voice *v, const char *sentence) {
        char *copy = strdup(sentence);

        (void) pthread_mutex_lock(&v->lock);
        if (copy && v->n_waiting < MAX_WAITING)
                v->waiting[v->n_waiting++] = TAKE_PTR(copy);
        (void) pthread_cond_signal(&v->changed);
        (void) pthread_mutex_unlock(&v->lock);
        free(copy);
}

void voice_stop(struct voice *v) {
        (void) pthread_mutex_lock(&v->lock);
        forget_waiting(v);
        v->shall_stop = true;
        (void) pthread_cond_signal(&v->changed);
        (void) pthread_mutex_unlock(&v->lock);
}
