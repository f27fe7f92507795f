/* SPDX-License-Identifier: Apache-2.0 */
/* Turns that a server answers, with a scripted model here and a scripted gemmad-remote. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parcel.h"
#include "remote/link.h"
#include "tests/sim/scene.h"

#define MAX_QUESTIONS 8

/* What the one turn of a rule has told. */
static struct {
        char story[512], answered[256], error[200], why[400];
        unsigned n_done;
        size_t answered_size;
        enum outcome outcome;
        bool is_remote;
} told;

static void on_news(const struct news *news, void *userdata) {
        static const char *const words[] = {
                [NEWS_STARTED] = "started", [NEWS_HEARD] = "heard",   [NEWS_TOKEN] = "token",
                [NEWS_CALL] = "call",       [NEWS_RESULT] = "result", [NEWS_REMOTE] = "remote",
                [NEWS_DONE] = "done",       [NEWS_TRANSCRIPT] = "transcript",
        };
        size_t used = strlen(told.story);

        (void) userdata;
        (void) snprintf(told.story + used, sizeof(told.story) - used, "%s%s", used ? " " : "", words[news->kind]);
        if (news->kind != NEWS_DONE)
                return;
        told.n_done++;
        told.outcome = news->turn->outcome;
        told.is_remote = news->turn->remote.server[0] != '\0';
        told.answered_size = news->turn->answered.size;
        (void) snprintf(told.answered, sizeof(told.answered), "%s", text_data(&news->turn->answered));
        (void) snprintf(told.error, sizeof(told.error), "%s", news->turn->remote.error);
        (void) snprintf(told.why, sizeof(told.why), "%s", news->turn->why.text);
}

/* The other end of the link: what was asked, and what is answered to each question in turn. */
enum how { SAYS, SAYS_HALF, SAYS_MUCH, CALLS, NOBODY, WAITS, DIES };

/* More pieces than the queue of events and the link take together. */
#define N_MUCH 5000

static struct {
        int fd;
        pthread_t thread;
        enum how plan[MAX_QUESTIONS];
        unsigned n_planned;
        char questions[MAX_QUESTIONS][8192];
        unsigned sound_sizes[MAX_QUESTIONS];
        int16_t first_frame[640]; /* of the last sound */
        _Atomic unsigned n_questions, n_left;
        _Atomic unsigned n_said; /* of much */
        _Atomic unsigned n_full; /* so often in a row there was no room */
} far;

static void send_word(uint32_t number, enum link_answer_word word, enum link_finish finish, const char *text) {
        static struct link_answer a;

        a = (struct link_answer){
                .word = word,
                .number = number,
                .finish = finish,
                .text_size = (uint32_t) strlen(text),
                .n_sent = 100,
                .n_received = 10,
                .server = "https://far/v1",
        };
        memcpy(a.text, text, strlen(text));
        while (parcel_send(far.fd, &a, link_answer_size(&a), NULL, 0) == -EAGAIN) {
                far.n_full++;
                (void) poll(NULL, 0, 1);
        }
        far.n_full = 0;
}

static void answer(uint32_t number, enum how how) {
        if (how == NOBODY) {
                send_word(number, LINK_NOBODY, 0, "nobody is there");
                return;
        }
        send_word(number, LINK_SENT, 0, "");
        if (how == WAITS)
                return;
        send_word(number, LINK_BEGUN, 0, "");
        if (how == CALLS) {
                send_word(number, LINK_CALL, 0, "{\"id\":\"a\",\"name\":\"get_time\",\"arguments\":{}}");
                send_word(number, LINK_DONE, LINK_CALLS, "");
                return;
        }
        for (; how == SAYS_MUCH && far.n_said < N_MUCH; far.n_said++)
                send_word(number, LINK_TEXT, 0, "x");
        if (how == SAYS_MUCH) {
                send_word(number, LINK_DONE, LINK_STOP, "");
                return;
        }
        /* What belongs to another question is nobody's. */
        send_word(number - 1, LINK_TEXT, 0, "late");
        send_word(number, LINK_TEXT, 0, "far");
        if (how == SAYS_HALF) {
                send_word(number, LINK_BROKEN, 0, "cut");
                return;
        }
        send_word(number, LINK_TEXT, 0, " away");
        send_word(number, LINK_DONE, LINK_STOP, "");
}

static void take_question(const struct link_question *q, int fd) {
        unsigned i = far.n_questions;

        if (i == MAX_QUESTIONS)
                return;
        far.sound_sizes[i] = q->sound_size;
        (void) !pread(fd, far.first_frame, sizeof(far.first_frame), q->json_size);
        (void) !pread(fd, far.questions[i], q->json_size < 8191 ? q->json_size : 8191, 0);
        far.n_questions = i + 1;
        answer(q->number, i < far.n_planned ? far.plan[i] : SAYS);
}

static void *run_far(void *unused) {
        (void) unused;
        for (;;) {
                struct pollfd in = { .fd = far.fd, .events = POLLIN };
                struct link_question q;
                int fds[PARCEL_MAX_FDS], n;
                size_t n_fds = PARCEL_MAX_FDS;

                (void) poll(&in, 1, -1);
                n = parcel_receive(far.fd, &q, sizeof(q), fds, &n_fds);
                if (n <= 0)
                        return NULL;
                expect(link_check_question(&q, (size_t) n, n_fds));
                if (q.word == LINK_LEAVE)
                        far.n_left++;
                else if (far.n_questions < far.n_planned && far.plan[far.n_questions] == DIES)
                        (void) shutdown(far.fd, SHUT_RDWR);
                else
                        take_question(&q, fds[0]);
                while (n_fds > 0)
                        closep(&fds[--n_fds]);
        }
}

static void connect_far(void) {
        int pair[2];

        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        far.fd = pair[0];
        expect(pthread_create(&far.thread, NULL, run_far, NULL) == 0);
        inference_set_link(scene.inference, pair[1]);
}

#define REMOTE "[Model]\nEngine=remote\n[Remote]\nFallbackMs=600000\n"

static void begin(const char *model, const char *options, enum how how) {
        memset(&told, 0, sizeof(told));
        memset(&far, 0, sizeof(far));
        far.plan[0] = how;
        far.n_planned = 1;
        scene_open(120, model, options, NULL, on_news);
        while (!scene.is_loaded)
                (void) sd_event_run(scene.loop, UINT64_MAX);
        connect_far();
}

static void end(void) {
        scene_close();
        (void) shutdown(far.fd, SHUT_RDWR);
        (void) pthread_join(far.thread, NULL);
        closep(&far.fd);
}

static void ask(const char *text) {
        struct ask ask = { .text = text, .text_size = strlen(text), .audio_fd = -1, .max_tokens = 100 };
        struct turn *turn;

        expect(turns_ask(scene.turns, &ask, &turn) == 0);
}

static void wait_done(unsigned n) {
        while (told.n_done < n)
                (void) sd_event_run(scene.loop, UINT64_MAX);
}

/* ---- a model that answers freely ---- */

static void instead_of_the_model_here(void) {
        begin("fake:", REMOTE, SAYS);
        ask("say near");
        wait_done(1);
        expect(strcmp(told.answered, "far away") == 0 && told.outcome == OUTCOME_ANSWERED && told.is_remote);
        expect(strcmp(told.story, "started remote token token done") == 0);
        expect(strstr(far.questions[0], "say near") && far.sound_sizes[0] == 0);
        /* The next question brings this one along. */
        ask("say more");
        wait_done(2);
        expect(strstr(far.questions[1], "say near") && strstr(far.questions[1], "far away"));
        end();
}

/* All of it at once, while the main thread does something else: nothing of it is lost, and it is no fault. */
static void faster_than_it_is_taken(void) {
        begin("fake:", REMOTE, SAYS_MUCH);
        ask("say near");
        while (far.n_questions == 0)
                (void) sd_event_run(scene.loop, 1000);
        while (far.n_said < EVENT_QUEUE_SIZE || far.n_full < 100)
                (void) poll(NULL, 0, 1);
        wait_done(1);
        expect(told.outcome == OUTCOME_ANSWERED && told.answered_size == N_MUCH && told.why[0] == '\0');
        end();
}

static void only_if_it_is_to(void) {
        begin("fake:", "", SAYS);
        ask("say near");
        wait_done(1);
        expect(strcmp(told.answered, "near") == 0 && !told.is_remote && far.n_questions == 0);
        end();
}

static void the_model_here_where_nobody_answers(void) {
        static const enum how hows[] = { NOBODY, DIES };

        for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
                begin("fake:", REMOTE, hows[i]);
                ask("say near");
                wait_done(1);
                expect(strcmp(told.answered, "near") == 0 && told.outcome == OUTCOME_ANSWERED);
                expect(told.error[0]);
                end();
        }
}

/* Of what has not gone out the model here knows as much as any server. */
static void nor_where_it_can_not_be_sent(void) {
        begin("fake:", REMOTE, SAYS);
        inference_set_link(scene.inference, memfd_create("no socket", MFD_CLOEXEC));
        ask("say near");
        wait_done(1);
        expect(strcmp(told.answered, "near") == 0 && told.outcome == OUTCOME_ANSWERED);
        expect(strstr(told.error, "can not be sent") && far.n_questions == 0);
        end();
}

static void what_broke_off_is_not_answered_here(void) {
        begin("fake:", REMOTE, SAYS_HALF);
        ask("say near");
        wait_done(1);
        expect(strcmp(told.answered, "far") == 0 && told.outcome == OUTCOME_FAILED && strstr(told.why, "broke off: cut"));
        end();
}

static void calls_and_their_results(void) {
        begin("fake:", REMOTE, CALLS);
        ask("say near");
        wait_done(1);
        expect(strcmp(told.story, "started remote call result remote token token done") == 0);
        expect(strcmp(told.answered, "far away") == 0 && far.n_questions == 2);
        expect(strstr(far.questions[1], "\"tool_call_id\":\"a\"") && strstr(far.questions[1], "It is "));
        end();
}

static void one_that_waits_is_left(void) {
        begin("fake:", REMOTE, WAITS);
        ask("say near");
        while (!strstr(told.story, "remote"))
                (void) sd_event_run(scene.loop, UINT64_MAX);
        expect(turns_cancel(scene.turns, 0));
        wait_done(1);
        expect(told.outcome == OUTCOME_CANCELLED);
        while (far.n_left == 0)
                (void) poll(NULL, 0, 1);
        ask("say near");
        wait_done(2);
        expect(strcmp(told.answered, "far away") == 0);
        end();
}

static void what_is_forgotten_does_not_go_along(void) {
        begin("fake:", REMOTE, SAYS);
        ask("say near");
        wait_done(1);
        inference_forget(scene.inference);
        ask("say more");
        wait_done(2);
        expect(!strstr(far.questions[1], "say near") && !strstr(far.questions[1], "far away"));
        end();
}

static void another_link_takes_its_place(void) {
        int old;

        begin("fake:", REMOTE, DIES);
        (void) shutdown(far.fd, SHUT_RDWR);
        (void) pthread_join(far.thread, NULL);
        old = far.fd;
        far.n_planned = 0;
        connect_far();
        ask("say near");
        wait_done(1);
        expect(strcmp(told.answered, "far away") == 0);
        closep(&old);
        end();
}

/* ---- speech that nobody has called for ---- */

static void say_aloud(enum mode mode, const char *words) {
        turns_set_mode(scene.turns, mode);
        pipeline_set_hands_free(scene.pipeline, scene.config->max_seconds * FRAMES_PER_SECOND);
        fake_say(words);
        scene_speak(FAKE_ROOM, 25);
        scene_speak(FAKE_VOICE, 40);
        scene_speak(FAKE_ROOM, 25);
}

/* Of a room no frame is all zeros, as what is in front of the kept ones is. */
static bool is_nothing(const int16_t *samples, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (samples[i] != 0)
                        return false;
        return true;
}

/* Turns the loop until a segment was found not to count, or a turn is over. */
static void wait_heard(void) {
        struct pollfd bell = { .fd = pipeline_events_fd(scene.pipeline), .events = POLLIN };
        struct pipeline_event event;

        while (turns_n_ignored(scene.turns) == 0 && told.n_done == 0) {
                (void) sd_event_run(scene.loop, 10000);
                while (pipeline_next_event(scene.pipeline, &event)) {
                        if (event.kind == PIPELINE_SPEECH)
                                turns_on_speech(scene.turns);
                        if (event.kind == PIPELINE_NOT_CALLED)
                                turns_on_not_called(scene.turns);
                }
                wake_clear(bell.fd);
        }
}

static void the_room_is_not_listened_to(void) {
        static const struct {
                const char *model;
                enum mode mode;
                const char *words;
        } rows[] = {
                { "fake:transcript unsure", MODE_OPEN, "and now the weather" },
                { "fake:transcript unsure", MODE_WAKE, "and now the weather" },
                { "fake:transcript unsure", MODE_OPEN, "hey gemma tell me a story" },
                { "fake:", MODE_WAKE, "and now the weather" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                begin(rows[i].model, REMOTE, SAYS);
                say_aloud(rows[i].mode, rows[i].words);
                wait_heard();
                expect(far.n_questions == 0 && told.n_done == 0);
                end();
        }
        /* A model that answers all that is said does so here. */
        begin("fake:", REMOTE, SAYS);
        say_aloud(MODE_OPEN, "and now the weather");
        wait_heard();
        expect(far.n_questions == 0 && told.n_done == 1 && !told.is_remote);
        end();
}

/* Whether the phrase was said can not be told: it counts as little as if it was not, and is no fault of the turn. */
static void what_can_not_be_looked_at_stays(void) {
        begin("fake:transcript unsure", REMOTE, SAYS);
        fake_fail_phrase(true);
        say_aloud(MODE_WAKE, "hey gemma tell me a story");
        wait_heard();
        expect(fake_n_failed() > 0 && far.n_questions == 0 && told.n_done == 0);
        end();
}

static void the_phrase_lets_it_out(void) {
        static const char *const models[] = { "fake:transcript unsure", "fake:" };

        for (size_t i = 0; i < 2; i++) {
                begin(models[i], REMOTE, SAYS);
                say_aloud(MODE_WAKE, "hey gemma tell me a story");
                wait_heard();
                expect(far.n_questions == 1 && told.n_done == 1 && strcmp(told.answered, "far away") == 0);
                expect(far.sound_sizes[0] >= 40 * 640 * 2 && strstr(far.questions[0], "\"sound\""));
                expect(!strstr(far.questions[0], "hey gemma") && !is_nothing(far.first_frame, 640));
                end();
        }
}

int main(void) {
        rule("a server answers in the place of a model that answers freely", instead_of_the_model_here);
        rule("what it says faster than it is taken waits", faster_than_it_is_taken);
        rule("nothing goes out unless it is to", only_if_it_is_to);
        rule("where nobody answers the model here does", the_model_here_where_nobody_answers);
        rule("nor where the question can not be sent", nor_where_it_can_not_be_sent);
        rule("what broke off is not answered once more here", what_broke_off_is_not_answered_here);
        rule("calls are carried out, and their results go back", calls_and_their_results);
        rule("a server that is not waited for any more is left", one_that_waits_is_left);
        rule("what is forgotten does not go along", what_is_forgotten_does_not_go_along);
        rule("another link takes the place of the one before", another_link_takes_its_place);
        rule("what is said in a room without the phrase stays there", the_room_is_not_listened_to);
        rule("what can not be looked at stays there", what_can_not_be_looked_at_stays);
        rule("the phrase lets out what is not understood", the_phrase_lets_it_out);
        return tap_done();
}
