/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/inference.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/wake.h"
#include "daemon/common/thread.h"
#include "daemon/think/conversation-internal.h"
#include "daemon/think/typed-help.h"

/* What has loaded ends at once. */
#define LOADER_END_NS UINT64_C(60000000000)

/* Results that may wait: those of one round of calls, and of one that was given up. */
#define INFERENCE_MAX_RESPONSES (2 * CALLS_MAX)

/* Where another model is on its way: the main thread starts it and ends it, its own thread loads, and the
 * model thread takes what is there. */
enum load_state {
        LOAD_NONE,
        LOAD_UNDER_WAY,
        LOAD_DONE,
        LOAD_TAKEN,
};

struct load {
        struct inference *inference; /* not owned */
        struct thread thread;
        struct command command;
        struct config *config; /* owned */
        struct conversation conversation;
        int r;
        struct why why;
        _Atomic(enum load_state) state;
};

struct inference {
        struct sound_queue *sounds;  /* not owned */
        const struct config *config; /* not owned; of all but another model's files */
        struct spsc requests;        /* of struct request, main to inference */
        struct spsc responses;       /* of struct response, main to inference */
        struct toolset
                *_Atomic tools;    /* main to inference: the newest ones, until they are taken */
        atomic_int link_fd;        /* main to inference: the newest one, until it is taken; -1: none */
        struct event_queue events; /* inference to main */
        struct command command;
        struct thread thread;
        struct conversation conversation; /* the thread's own while it runs */
        struct config
                *own_config; /* owned; of a conversation that was loaded later, NULL: config */
        struct load load;
};

static void say_loaded(struct inference *i) {
        const struct dialogue *d = i->conversation.dialogue;
        const struct engine *engine = dialogue_engine(d);
        struct event event = { .kind = EVENT_LOADED, .position = dialogue_position(d) };
        struct event_loaded *loaded = &event.loaded;
        struct session_drafting drafting;

        (void) snprintf(loaded->model, sizeof(loaded->model), "%s", engine_name(engine));
        (void) snprintf(loaded->kernels, sizeof(loaded->kernels), "%s", engine_kernels(engine));
        loaded->n_threads = engine_n_threads(engine);
        loaded->max_positions = dialogue_max_positions(d);
        loaded->hears = engine_hears(engine);
        loaded->sees = engine_sees(engine);
        loaded->has_drafter = dialogue_drafting(d, &drafting);
        (void) snprintf(loaded->drafter_error, sizeof(loaded->drafter_error), "%.199s",
                        dialogue_drafter_error(d));
        loaded->help = i->conversation.typed ? typed_help(i->conversation.typed) : NULL;
        event_push_always(&i->events, &event);
}

static void drop_other(struct load *load) {
        conversation_done(&load->conversation);
        load->conversation = (struct conversation){};
        load->config = config_free(load->config);
}

/* Nothing is left to do for the old model: the new one takes its place. */
static void take_other(struct inference *i) {
        struct load *load = &i->load;
        struct event failed = { .kind = EVENT_NOT_LOADED, .why = load->why };

        if (load->r < 0) {
                drop_other(load);
                atomic_store_explicit(&load->state, LOAD_TAKEN, memory_order_release);
                event_push_always(&i->events, &failed);
                return;
        }
        conversation_wake(&i->conversation);
        elsewhere_set_link(&load->conversation.elsewhere, TAKE_FD(i->conversation.elsewhere.link_fd));
        conversation_done(&i->conversation);
        config_free(i->own_config);
        i->own_config = TAKE_PTR(load->config);
        i->conversation = load->conversation;
        i->conversation.command = &i->command;
        i->conversation.rested = command_rested(&i->command);
        i->conversation.forgotten = command_forgotten(&i->command);
        conversation_note_use(&i->conversation);
        load->conversation = (struct conversation){};
        atomic_store_explicit(&load->state, LOAD_TAKEN, memory_order_release);
        say_loaded(i);
}

static void serve(struct inference *i) {
        struct request request;

        while (!command_stops(&i->command)) {
                if (spsc_pop(&i->requests, &request, 1) == 1)
                        conversation_run(&i->conversation, &request);
                else if (conversation_work_ahead(&i->conversation))
                        continue;
                else if (atomic_load_explicit(&i->load.state, memory_order_acquire) == LOAD_DONE)
                        take_other(i);
                else
                        conversation_wait(&i->conversation);
        }
}

static void load_run(void *userdata) {
        struct load *load = userdata;

        load->r = conversation_load(&load->conversation, &load->why);
        atomic_store_explicit(&load->state, LOAD_DONE, memory_order_release);
        wake_ring(load->inference->sounds->filled_fd);
}

static void inference_run(void *userdata) {
        struct inference *i = userdata;
        struct event failed = { .kind = EVENT_LOAD_FAILED };

        if (conversation_load(&i->conversation, &failed.why) >= 0) {
                say_loaded(i);
                serve(i);
        } else {
                event_push_always(&i->events, &failed);
        }

        conversation_done(&i->conversation);
}

/* The parts of a conversation that are this inference's; its own are NULL. */
static struct conversation
new_conversation(struct inference *i, const struct config *config, struct command *command) {
        return (struct conversation){
                .config = config,
                .sounds = i->sounds,
                .events = &i->events,
                .command = command,
                .responses = &i->responses,
                .tools = &i->tools,
                .link_fd = &i->link_fd,
        };
}

int inference_new(struct inference **ret, const struct config *config, struct sound_queue *sounds) {
        _cleanup_(inference_freep) struct inference *i = NULL;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        i->sounds = sounds;
        i->events.bell_fd = -1;
        i->config = config;
        i->load.inference = i;
        atomic_init(&i->link_fd, -1);
        i->conversation = new_conversation(i, config, &i->command);

        r = spsc_init(&i->requests, 1, sizeof(struct request));
        if (r < 0)
                return r;
        r = spsc_init(&i->responses, INFERENCE_MAX_RESPONSES, sizeof(struct response));
        if (r < 0)
                return r;
        r = event_queue_init(&i->events);
        if (r < 0)
                return r;
        r = conversation_init(&i->conversation);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(i);
        return 0;
}

struct inference *inference_free(struct inference *i) {
        struct event event;
        struct request request;
        struct response response;

        if (!i)
                return NULL;

        while (i->requests.slots && spsc_pop(&i->requests, &request, 1) == 1) {
                free(request.text);
                pictures_done(&request.pictures);
        }
        spsc_done(&i->requests);
        while (i->responses.slots && spsc_pop(&i->responses, &response, 1) == 1)
                response_done(&response);
        spsc_done(&i->responses);
        toolset_free(atomic_load(&i->tools));
        inference_set_link(i, -1);
        while (i->events.queue.slots && event_pop(&i->events, &event))
                if (event.kind == EVENT_LOADED)
                        json_decref(event.loaded.help);
        event_queue_done(&i->events);
        conversation_done(&i->conversation);
        drop_other(&i->load);
        config_free(i->own_config);
        free(i);
        return NULL;
}

int inference_load(struct inference *i, const struct config *config) {
        struct load *load = &i->load;
        int r;

        if (atomic_load_explicit(&load->state, memory_order_acquire) != LOAD_NONE)
                return -EBUSY;
        r = config_copy(&load->config, i->config);
        if (r >= 0)
                r = config_copy_model(load->config, config);
        if (r >= 0) {
                load->why = (struct why){};
                load->conversation = new_conversation(i, load->config, &load->command);
                r = conversation_init(&load->conversation);
        }
        if (r >= 0) {
                atomic_store_explicit(&load->state, LOAD_UNDER_WAY, memory_order_release);
                r = thread_start(&load->thread, "gemmad-loader", load_run, load);
        }
        if (r >= 0)
                return 0;

        atomic_store_explicit(&load->state, LOAD_NONE, memory_order_release);
        drop_other(load);
        return r;
}

void inference_end_load(struct inference *i) {
        if (atomic_load_explicit(&i->load.state, memory_order_acquire) != LOAD_TAKEN)
                return;
        (void) thread_join(&i->load.thread, clock_now_ns() + LOADER_END_NS);
        atomic_store_explicit(&i->load.state, LOAD_NONE, memory_order_release);
}

int inference_start(struct inference *i) {
        return thread_start(&i->thread, "gemmad-model", inference_run, i);
}

void inference_stop(struct inference *i) {
        command_stop(&i->command);
        command_stop(&i->load.command);
        wake_ring(i->sounds->filled_fd);
}

bool inference_join(struct inference *i, uint64_t until_ns) {
        bool is_loader_over = thread_join(&i->load.thread, until_ns);

        return thread_join(&i->thread, until_ns) && is_loader_over;
}

int inference_ask(struct inference *i, const struct request *request) {
        if (spsc_push(&i->requests, request, 1) != 1)
                return -EBUSY;

        wake_ring(i->sounds->filled_fd);
        return 0;
}

int inference_respond(struct inference *i, const struct response *response) {
        if (spsc_push(&i->responses, response, 1) != 1)
                return -EBUSY;

        wake_ring(i->sounds->filled_fd);
        return 0;
}

/* Whoever takes them out of the pointer owns them: nobody else can have them. */
void inference_set_tools(struct inference *i, struct toolset *tools) {
        toolset_free(atomic_exchange_explicit(&i->tools, tools, memory_order_acq_rel));
        wake_ring(i->sounds->filled_fd);
}

/* As with the tools. */
void inference_set_link(struct inference *i, int link_fd) {
        int old = atomic_exchange_explicit(&i->link_fd, link_fd, memory_order_acq_rel);

        closep(&old);
}

void inference_end_turn(struct inference *i, uint64_t turn) {
        command_end_turn(&i->command, turn);
        wake_ring(i->sounds->filled_fd);
}

void inference_forget(struct inference *i) {
        command_forget(&i->command);
        wake_ring(i->sounds->filled_fd);
}

void inference_rest(struct inference *i) {
        command_rest(&i->command);
        wake_ring(i->sounds->filled_fd);
}

int inference_events_fd(const struct inference *i) {
        return i->events.bell_fd;
}

bool inference_next_event(struct inference *i, struct event *ret) {
        return event_pop(&i->events, ret);
}

unsigned long inference_beat(const struct inference *i) {
        return command_beat(&i->command);
}
