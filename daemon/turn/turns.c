/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/turns.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/turn/own-voice.h"
#include "daemon/turn/turns-internal.h"

/* What a loudspeaker and a room go on with when a voice has ended. */
#define HUSH_USEC UINT64_C(500000)

/* So many nanoseconds between two turns that answers begin by themselves are too few. */
#define ITSELF_NS UINT64_C(60000000000)

/* Of an answer so much is compared with what is heard. */
#define MAX_COMPARED 8192

size_t turns_max_text(const struct turns *t) {
        return (size_t) t->config.config->max_text_kib * 1024;
}

static void settle_later(struct turns *t) {
        (void) sd_event_source_set_enabled(t->settle, SD_EVENT_ONESHOT);
}

void turns_tell(struct turns *t, const struct news *news) {
        struct news complete = *news;

        if (news->turn)
                complete.id = news->turn->id;
        t->config.notify(&complete, t->config.userdata);
}

static uint64_t session_now(const struct turns *t) {
        return t->config.keeper ? keeper_state(t->config.keeper).session : 0;
}

int turns_record(const struct turns *t,
                 const struct turn *turn,
                 struct record *ret,
                 char **ret_calls_json) {
        char *calls;

        calls = json_dumps(turn->calls, JSON_COMPACT);
        if (!calls)
                return -ENOMEM;

        *ret = (struct record){
                .id = turn->id,
                .session = turn->session ? turn->session : session_now(t),
                .began_us = turn->began_us,
                .origin = turn->origin,
                .outcome = turn->outcome,
                .heard = text_data(&turn->heard),
                .heard_size = turn->heard.size,
                .answered = text_data(&turn->answered),
                .answered_size = turn->answered.size,
                .calls_json = calls,
                .error = turn->why.text[0] ? turn->why.text : NULL,
                .unanswered = turn->unanswered,
                .hint = turn->hint[0] ? turn->hint : NULL,
                .ending = turn->ending,
                .is_cut = turn->is_cut,
                .is_unkept = turn->is_unkept,
                .model = turn->model[0] ? turn->model : t->loaded.model,
                .timings = turn->timings,
                .remote = turn->remote,
        };
        *ret_calls_json = calls;
        return 0;
}

void turns_note_store(struct turns *t, int r, const struct why *why) {
        if (r < 0 && !t->has_store_failed)
                log_warning("The history can not be written (%s), and what it should have had is lost to it", why->text);
        else if (r > 0 && !t->has_store_failed)
                log_warning("The history can not be written (%s), trying again later", why->text);
        t->has_store_failed = r != 0;
}

static void log_turn(const struct turn *turn) {
        const struct timings *times = &turn->timings;

        log_info("Turn %llu: %s by %s after %.0f ms, %u frames%s, %u tokens%s%s",
                 (unsigned long long) turn->id, outcome_name(turn->outcome),
                 origin_name(turn->origin), times->done, times->n_frames,
                 turn->is_cut ? " and cut there" : "", times->n_tokens,
                 turn->why.text[0] ? ": " : "", turn->why.text);
        log_debug("Turn %llu: heard \"%s\", answered \"%s\"", (unsigned long long) turn->id,
                  text_data(&turn->heard), text_data(&turn->answered));
}

/* The beginning of a text, in the place of what is there. */
static void keep_text(struct text *text, const char *from, size_t size) {
        text_clear(text);
        (void) text_append(text, from, size < MAX_COMPARED ? size : MAX_COMPARED, MAX_COMPARED);
}

/* One that began beside an answer is compared with that before its own takes its place. */
static void keep_answer(struct turns *t, const struct turn *turn) {
        if (turn->is_beside && turn->heard.size > 0)
                turns_look_for_itself(t, text_data(&turn->heard));
        else if (turn->is_beside)
                t->beside_turn = turn->id;
        if (turn->answered.size > 0)
                keep_text(&t->last_answer, text_data(&turn->answered), turn->answered.size);
}

/* All is done that was to be, and those who wait are told. */
static void end(struct turns *t, struct turn *turn) {
        struct news news = { .kind = NEWS_DONE, .turn = turn };

        log_turn(turn);
        t->n_done++;
        turns_tell(t, &news);
        turn_free(turn);
}

/* It is told as one that is not kept yet. */
static void end_unkept(struct turns *t) {
        struct turn *turn = TAKE_PTR(t->kept);

        t->n_late++;
        turn->is_unkept = true;
        end(t, turn);
}

static void on_kept(int r, uint64_t id, const struct why *why, void *userdata) {
        struct turns *t = userdata;
        struct turn *turn = t->kept;

        turns_note_store(t, r, why);
        /* The disk has answered after all. */
        if (!turn || turn->id != id) {
                t->n_late--;
                return;
        }
        t->kept = NULL;
        turn->is_unkept = r != 0;
        end(t, turn);
        settle_later(t);
}

/* Nobody waits any longer for a disk that does not answer; what is to be written goes on waiting for it. */
static int on_patience(sd_event_source *source, uint64_t usec, void *userdata) {
        struct turns *t = userdata;

        (void) source, (void) usec;
        if (!t->kept)
                return 0;
        turns_note_store(t, 1, &(struct why){ .text = "the disk does not answer" });
        end_unkept(t);
        settle_later(t);
        return 0;
}

static void be_patient(struct turns *t) {
        (void) sd_event_source_set_time_relative(t->patience, KEEPER_PATIENCE_NS / 1000);
        (void) sd_event_source_set_enabled(t->patience, SD_EVENT_ONESHOT);
}

/* False when there is nothing to wait for. */
static bool keep(struct turns *t, struct turn *turn) {
        _cleanup_(freep) char *calls = NULL;
        struct record record;
        struct why why = {};
        int r;

        turn->is_unkept = t->config.lacks_store;
        if (!t->config.keeper)
                return false;

        r = turns_record(t, turn, &record, &calls);
        if (r >= 0)
                r = keeper_keep(t->config.keeper, &record, &(struct keeper_waiter){ on_kept, t }, &why);
        else
                (void) because(&why, r, "%s", strerror(-r));
        turn->is_unkept = true;
        if (r < 0) {
                turns_note_store(t, r, &why);
                return false;
        }
        /* Those before it wait for the disk, and nobody for them. */
        if (t->n_late > 0) {
                t->n_late++;
                return false;
        }
        t->kept = turn;
        be_patient(t);
        return true;
}

/* The end of every turn.  Written down before anybody is told, so that what was told is there after
 * a crash.  A turn that never ran is no history. */
static void finish(struct turns *t, struct turn *turn) {
        if (turn->is_hidden && turn->fault != FAULT_MODEL) {
                log_debug("Turn %llu: speech that does not count, %u frames",
                          (unsigned long long) turn->id, turn->timings.n_frames);
                turn_free(turn);
                return;
        }
        (void) snprintf(turn->model, sizeof(turn->model), "%s", t->loaded.model);
        turn->session = session_now(t);
        handsfree_on_done(&t->handsfree, turn);
        keep_answer(t, turn);
        if (!turn->has_run || !keep(t, turn))
                end(t, turn);
}

void turns_finish_running(struct turns *t) {
        struct turn *turn = TAKE_PTR(t->running);

        t->activity = ACTIVITY_IDLE;
        turns_give_up_errand(t, turn);
        pipeline_set_answering(t->config.pipeline, false);
        pipeline_end_turn(t->config.pipeline, turn->id);
        finish(t, turn);
        settle_later(t);
}

/* A turn that ends without the model: cancelled while it waited, or never begun. */
static void
finish_waiting(struct turns *t, struct turn *turn, enum outcome outcome, enum fault fault) {
        turn->outcome = outcome;
        turn->fault = fault;
        turn->timings.done = clock_ms(clock_now_ns() - turn->asked_ns);
        finish(t, turn);
}

/* Takes out the first waiting turn, or the first that is cancelled. */
static struct turn *take_waiting(struct turns *t, bool cancelled) {
        for (struct turn **at = &t->waiting; *at; at = &(*at)->next) {
                struct turn *turn = *at;

                if (cancelled && !turn->is_cancelled)
                        continue;
                *at = turn->next;
                turn->next = NULL;
                return turn;
        }
        return NULL;
}

static int send_request(struct turns *t, struct turn *turn) {
        _cleanup_(freep) char *text = NULL;
        struct request request = {
                .turn = turn->id,
                .origin = turn->origin,
                .text_size = turn->heard.size,
                .is_uncalled = turn->is_uncalled,
                .needs_phrase = turn->needs_phrase,
                .needs_words = turn->needs_words,
                .expected = turn->expected,
                .thinking = turn->thinking,
                .max_tokens = turn->max_tokens,
                .asked_ns = turn->asked_ns,
                .pictures = turn->pictures,
        };
        int r;

        if (turn->origin == ORIGIN_TEXT) {
                request.expected = t->handsfree.expected;
                text = malloc(turn->heard.size + 1);
                if (!text)
                        return -ENOMEM;
                memcpy(text, text_data(&turn->heard), turn->heard.size + 1);
        }
        request.text = text;
        r = inference_ask(t->config.inference, &request);
        if (r < 0)
                return r;

        text = NULL;
        (void) pictures_take(&turn->pictures);
        return 0;
}

static int begin(struct turns *t, struct turn *turn) {
        const struct config *config = t->config.config;
        struct pipeline_job job = {
                .turn = turn->id,
                .fd = turn->audio_fd,
                .realtime = turn->realtime,
                .is_held = turn->is_held,
                .is_uncalled = turn->is_uncalled,
                .max_frames = turn->max_frames,
                .max_seconds = config->max_seconds,
                .stall_seconds = config->stall_seconds,
                .linger_seconds = config->linger_seconds,
        };
        int r;

        /* Its microphone takes the place of what waited. */
        if (turn->origin == ORIGIN_MICROPHONE && !turn->is_uncalled && handsfree_is_judged(&t->handsfree))
                t->handsfree.is_waiting = false;
        if (turn->origin != ORIGIN_TEXT) {
                r = pipeline_play(t->config.pipeline, &job);
                if (r < 0)
                        return r;
                turn->audio_fd = -1;
                if (turn->is_finished)
                        pipeline_finish(t->config.pipeline, turn->id);
        }
        return send_request(t, turn);
}

/* The next one in the queue, or else what was said without being called for. */
static struct turn *take_next(struct turns *t) {
        struct turn *turn = take_waiting(t, false);
        struct ask ask;

        if (turn || !handsfree_take(&t->handsfree, &ask))
                return turn;
        if (turn_new(&turn, &ask, turns_max_text(t)) < 0)
                return NULL;
        turn->id = ++t->last_id;
        return turn;
}

/* What was typed or played is answered to its end, whoever calls in the room. */
void turns_show_running(struct turns *t) {
        pipeline_set_answering(t->config.pipeline, t->running->origin == ORIGIN_MICROPHONE);
}

/* Gives the model to the next one. */
static void begin_next(struct turns *t) {
        struct turn *turn;
        int r;

        if (t->activity == ACTIVITY_LOADING || t->running || t->kept || t->is_stopping)
                return;
        turn = take_next(t);
        if (!turn)
                return;

        r = begin(t, turn);
        if (r < 0) {
                (void) because(&turn->why, r, "the turn could not be begun: %s", strerror(-r));
                pipeline_end_turn(t->config.pipeline, turn->id);
                finish_waiting(t, turn, OUTCOME_FAILED, FAULT_MODEL);
                settle_later(t);
                return;
        }
        t->running = turn;
        turn->has_run = true;
        if (turn->is_hidden)
                return;
        turns_show_running(t);
        t->activity = turn->origin == ORIGIN_TEXT ? ACTIVITY_THINKING : ACTIVITY_LISTENING;
}

static int on_settle(sd_event_source *source, void *userdata) {
        struct turns *t = userdata;
        struct turn *turn;

        (void) source;
        while ((turn = take_waiting(t, true)))
                finish_waiting(t, turn, OUTCOME_CANCELLED, FAULT_NONE);
        (void) turns_end_cancelled(t);
        begin_next(t);
        return 0;
}

/* What waits beside an answer is judged to its end, though that is over. */
static void judge(struct turns *t) {
        pipeline_set_speaking(t->config.pipeline,
                              t->handsfree.is_speaking || handsfree_is_judged(&t->handsfree));
}

static int on_hush(sd_event_source *source, uint64_t usec, void *userdata) {
        struct turns *t = userdata;

        (void) source, (void) usec;
        t->handsfree.is_speaking = false;
        judge(t);
        return 0;
}

static int add_sources(struct turns *t) {
        int r;

        r = sd_event_add_defer(t->config.loop, &t->settle, on_settle, t);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(t->settle, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(t->settle, "settle-turns");
        r = sd_event_add_time_relative(t->config.loop, &t->hush, CLOCK_MONOTONIC, 0, 0, on_hush, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->hush, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(t->config.loop, &t->patience, CLOCK_MONOTONIC, 0, 0, on_patience, t);
        return r < 0 ? r : sd_event_source_set_enabled(t->patience, SD_EVENT_OFF);
}

int turns_new(struct turns **ret, const struct turns_config *config) {
        _cleanup_(turns_freep) struct turns *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->config = *config;
        t->handsfree = (struct handsfree){ .config = config->config };

        t->last_id = config->last_id;
        r = add_sources(t);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

struct turns *turns_free(struct turns *t) {
        if (!t)
                return NULL;

        while (t->waiting)
                turn_free(take_waiting(t, false));
        turn_free(t->running);
        turn_free(t->kept);
        text_done(&t->transcript);
        text_done(&t->last_answer);
        text_done(&t->beside_what);
        sd_event_source_disable_unref(t->settle);
        sd_event_source_disable_unref(t->hush);
        sd_event_source_disable_unref(t->patience);
        free(t);
        return NULL;
}

struct event_drafting turns_drafting(const struct turns *t) {
        return t->drafting;
}

void turns_set_loaded(struct turns *t, const struct event *event) {
        t->loaded = event->loaded;
        t->position = event->position;
        /* Another model, which may have a turn already. */
        if (t->activity != ACTIVITY_LOADING)
                return;
        t->activity = ACTIVITY_IDLE;
        settle_later(t);
}

static void cancel(struct turns *t, struct turn *turn) {
        turn->is_cancelled = true;
        if (turn != t->running) {
                settle_later(t);
                return;
        }
        pipeline_end_turn(t->config.pipeline, turn->id);
        inference_end_turn(t->config.inference, turn->id);
        turns_give_up_errand(t, turn);
        if (turn->is_model_done)
                settle_later(t);
}

static bool is_hidden(const struct turn *turn) {
        return turn && turn->is_hidden;
}

/* Of so many places in the queue a process leaves a quarter to others. */
static unsigned share_of(unsigned limit) {
        return limit - limit / 4;
}

static unsigned n_waiting_of(const struct turns *t, pid_t who) {
        unsigned n = 0;

        for (const struct turn *turn = t->waiting; turn; turn = turn->next)
                n += turn->who == who;
        return n;
}

int turns_ask(struct turns *t, const struct ask *ask, struct turn **ret) {
        struct turn **end = &t->waiting;
        struct turn *turn;
        unsigned limit = t->config.config->max_queued_turns;
        int r;

        if (t->is_stopping)
                return -ESHUTDOWN;

        /* The one that is about to run does not count as waiting. */
        if ((!t->running || is_hidden(t->running)) && t->activity != ACTIVITY_LOADING)
                limit++;
        if (turns_n_waiting(t) >= limit)
                return -EBUSY;
        if (ask->who != 0 && n_waiting_of(t, ask->who) >= share_of(limit))
                return -EBUSY;

        r = turn_new(&turn, ask, turns_max_text(t));
        if (r < 0)
                return r;
        turn->id = ++t->last_id;
        turn->audio_fd = turn->origin == ORIGIN_AUDIO ? ask->audio_fd : -1;
        turn->pictures = ask->pictures;
        while (*end)
                end = &(*end)->next;
        *end = turn;
        settle_later(t);

        /* Who calls does not wait for what may be the television. */
        if (is_hidden(t->running))
                cancel(t, t->running);

        *ret = turn;
        return 0;
}

bool turns_cancel(struct turns *t, uint64_t id) {
        if (t->running && !is_hidden(t->running) && (id == 0 || id == t->running->id)) {
                cancel(t, t->running);
                return true;
        }
        for (struct turn *turn = t->waiting; id != 0 && turn; turn = turn->next) {
                if (turn->id != id || turn->is_cancelled)
                        continue;
                cancel(t, turn);
                return true;
        }
        return false;
}

bool turns_finish(struct turns *t) {
        struct turn *turn = t->running;

        if (turn && turn->origin == ORIGIN_MICROPHONE && t->activity == ACTIVITY_LISTENING) {
                pipeline_finish(t->config.pipeline, turn->id);
                return true;
        }
        for (turn = t->waiting; turn; turn = turn->next) {
                if (turn->origin != ORIGIN_MICROPHONE || turn->is_finished || turn->is_cancelled)
                        continue;
                turn->is_finished = true;
                return true;
        }
        return false;
}

void turns_cancel_live(struct turns *t) {
        struct turn *turn = t->running;

        t->handsfree.is_waiting = false;
        if (turn && turn->origin == ORIGIN_MICROPHONE &&
            (t->activity == ACTIVITY_LISTENING || turn->is_hidden))
                cancel(t, turn);
        for (turn = t->waiting; turn; turn = turn->next)
                if (turn->origin == ORIGIN_MICROPHONE && !turn->is_cancelled)
                        cancel(t, turn);
}

void turns_set_mode(struct turns *t, enum mode mode) {
        if (mode == t->handsfree.mode)
                return;
        t->handsfree.mode = mode;
        t->handsfree.follow_until_ns = 0;
        t->handsfree.is_waiting = false;
        judge(t);
        if (is_hidden(t->running))
                cancel(t, t->running);
}

void turns_set_expected(struct turns *t, const struct expected *expected) {
        t->handsfree.expected = *expected;
}

void turns_on_speech(struct turns *t) {
        handsfree_on_speech(&t->handsfree, t->running && !is_hidden(t->running),
                            is_hidden(t->running));
        settle_later(t);
}

void turns_set_speaking(struct turns *t, bool is_speaking) {
        (void) sd_event_source_set_enabled(t->hush, SD_EVENT_OFF);
        if (is_speaking) {
                handsfree_begin_speaking(&t->handsfree);
                judge(t);
                return;
        }
        handsfree_end_speaking(&t->handsfree);
        (void) sd_event_source_set_time_relative(t->hush, HUSH_USEC);
        (void) sd_event_source_set_enabled(t->hush, SD_EVENT_ONESHOT);
}

/* The answer may be the one that is still being made. */
static void keep_beside_what(struct turns *t) {
        const struct text *answer = &t->last_answer;

        if (t->running && !is_hidden(t->running) && t->running->answered.size > 0)
                answer = &t->running->answered;
        keep_text(&t->beside_what, text_data(answer), answer->size);
}

void turns_look_for_itself(struct turns *t, const char *heard) {
        uint64_t now = clock_now_ns();

        if (!own_voice_is(heard, text_data(&t->beside_what)))
                return;
        log_notice("What was heard beside an answer may have been the answer itself");
        if (t->itself_ns != 0 && now - t->itself_ns < ITSELF_NS && t->config.heard_itself)
                t->config.heard_itself(t->config.userdata);
        t->itself_ns = now;
}

/* Somebody speaks to us, beside the voice or the making of an answer. */
static void interrupt(struct turns *t) {
        if (t->handsfree.is_speaking && t->config.interrupt)
                t->config.interrupt(t->config.userdata);
        if (t->running && !is_hidden(t->running) && t->running->origin == ORIGIN_MICROPHONE)
                cancel(t, t->running);
}

void turns_on_called(struct turns *t) {
        if (!t->handsfree.is_waiting)
                return;
        if (t->handsfree.is_beside)
                keep_beside_what(t);
        t->handsfree.is_called = true;
        interrupt(t);
        judge(t);
        settle_later(t);
}

/* Of the word nothing is left to be done, unless something rings. */
void turns_on_stopped(struct turns *t) {
        if (!t->handsfree.is_waiting)
                return;
        keep_beside_what(t);
        interrupt(t);
        turns_look_for_itself(t, "stop");
        turns_on_not_called(t);
}

void turns_on_not_called(struct turns *t) {
        if (handsfree_drop(&t->handsfree))
                pipeline_drop_speech(t->config.pipeline);
        judge(t);
        settle_later(t);
}

static int keep_spoken(struct turns *t,
                       uint64_t id,
                       const char *text,
                       size_t size,
                       const struct keeper_waiter *waiter,
                       struct why *why) {
        int r;

        if (!t->config.keeper)
                return because(why, -ENOENT, "there is no history");
        r = keeper_set_answered(t->config.keeper, id, text, size, waiter, why);
        return r < 0 ? r : 1;
}

int turns_set_spoken(struct turns *t,
                     uint64_t id,
                     const char *text,
                     size_t size,
                     const struct keeper_waiter *waiter,
                     struct why *why) {
        struct turn *turn = t->running;
        int r;

        if (size > turns_max_text(t))
                return because(why, -EFBIG, "the text is too long");
        if (!turn || is_hidden(turn) || turn->id != id)
                return keep_spoken(t, id, text, size, waiter, why);
        text_clear(&turn->answered);
        turn->is_spoken_known = true;
        r = text_append(&turn->answered, text, size, turns_max_text(t));
        return r < 0 ? because(why, r, "out of memory") : 0;
}

void turns_leave(struct turn *turn) {
        turn->owner = NULL;
}

void turns_disown(struct turns *t, struct turn *turn) {
        turn->owner = NULL;
        cancel(t, turn);
}

void turns_stop(struct turns *t) {
        struct turn *turn;

        t->is_stopping = true;
        if (t->running) {
                turn = t->running;
                cancel(t, turn);
                turn->outcome = OUTCOME_CANCELLED;
                turn->fault = FAULT_NONE;
                turn->timings.done = clock_ms(clock_now_ns() - turn->asked_ns);
                turns_finish_running(t);
        }
        while ((turn = take_waiting(t, false)))
                finish_waiting(t, turn, OUTCOME_CANCELLED, FAULT_STOPPING);
}

void turns_give_up_keeping(struct turns *t) {
        if (t->kept)
                end_unkept(t);
}

bool turns_is_carrying_out(const struct turns *t) {
        return t->running && t->running->is_model_done;
}

enum activity turns_activity(const struct turns *t) {
        return t->activity;
}

enum mode turns_mode(const struct turns *t) {
        return t->handsfree.mode;
}

uint64_t turns_n_ignored(const struct turns *t) {
        return t->handsfree.n_ignored;
}

unsigned turns_n_waiting(const struct turns *t) {
        unsigned n = 0;

        for (const struct turn *turn = t->waiting; turn; turn = turn->next)
                n++;
        return n;
}

uint64_t turns_n_done(const struct turns *t) {
        return t->n_done;
}

uint64_t turns_n_cut(const struct turns *t) {
        return t->n_cut;
}

unsigned turns_position(const struct turns *t) {
        return t->position;
}
