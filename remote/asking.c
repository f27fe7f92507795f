/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/asking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parcel.h"
#include "base/utf8.h"
#include "base/wipe.h"
#include "remote/http.h"
#include "remote/outbox.h"
#include "remote/request.h"

/* So often all servers are asked: what fails each time is no fault of the moment. */
#define MAX_ROUNDS 6

struct asking {
        struct asking_config config;
        uint32_t number;
        struct link_question question;
        int fds[1 + LINK_MAX_PICTURES]; /* owned copies, until the body is written */
        void *memory;                   /* owned; the question as it came */
        size_t memory_size;
        struct buffer body;

        struct exchange *exchange; /* owned; NULL between two tries */
        unsigned server;           /* the one of the last try */
        uint32_t tried;            /* in this round */
        unsigned n_rounds;
        uint64_t next_ns;  /* the next try */
        uint64_t give_up_ns; /* ... of this server, UINT64_MAX: it has begun to answer */
        uint64_t end_ns;   /* gemmad waits no longer for a beginning */
        uint64_t n_sent, n_received; /* of the tries before this one */
        struct why why;    /* of the last failure */
        bool is_over;
        struct outbox outbox;      /* what gemmad has yet to take */
        struct link_answer answer; /* large: room for the next message */
};

/* ---- back to gemmad ---- */

static void count(struct asking *a) {
        uint64_t sent = 0, received = 0;

        if (a->exchange)
                exchange_count(a->exchange, &sent, &received);
        a->answer.n_sent = a->n_sent + sent;
        a->answer.n_received = a->n_received + received;
}

static int tell(struct asking *a, enum link_answer_word word, const char *text, size_t size) {
        if (size > LINK_MAX_TEXT)
                return -EMSGSIZE;
        a->answer.word = word;
        a->answer.number = a->number;
        a->answer.text_size = (uint32_t) size;
        if (size > 0)
                memcpy(a->answer.text, text, size);
        count(a);
        return outbox_send(&a->outbox, &a->answer, link_answer_size(&a->answer), clock_now_ns());
}

static void tell_end(struct asking *a, enum link_answer_word word, const char *text) {
        a->is_over = true;
        (void) tell(a, word, text, strlen(text));
}

/* So much of it as one message takes, and no half character. */
static size_t cut(const char *text, size_t size) {
        size_t n = 0;

        if (size <= LINK_MAX_TEXT)
                return size;
        while (n < size) {
                int length = utf8_character(text + n, size - n);

                if (n + (size_t) (length > 0 ? length : 1) > LINK_MAX_TEXT)
                        break;
                n += (size_t) (length > 0 ? length : 1);
        }
        return n;
}

static int on_text(const char *text, size_t size, void *userdata) {
        struct asking *a = userdata;

        while (size > 0) {
                size_t n = cut(text, size);
                int r = tell(a, LINK_TEXT, text, n);

                if (r < 0)
                        return r;
                text += n;
                size -= n;
        }
        return 0;
}

/* What gemmad has not taken yet is enough; the server waits. */
static bool is_full(void *userdata) {
        const struct asking *a = userdata;

        return outbox_waits(&a->outbox);
}

static void on_begun(void *userdata) {
        struct asking *a = userdata;

        a->give_up_ns = UINT64_MAX;
        (void) tell(a, LINK_BEGUN, NULL, 0);
}

static int tell_call(struct asking *a, const struct stream_call *call) {
        json_t *arguments = json_loads(call->arguments, 0, NULL);
        json_t *object = json_pack("{s:s, s:s, s:o}", "id", call->id, "name", call->name, "arguments", arguments);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        int r = text ? tell(a, LINK_CALL, text, strlen(text)) : -ENOMEM;

        if (text)
                wipe(text, strlen(text));
        free(text);
        json_decref(object);
        return r;
}

static void tell_done(struct asking *a) {
        const struct stream *stream = exchange_stream(a->exchange);
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < stream_n_calls(stream); i++) {
                struct stream_call call = stream_call(stream, i);

                r = tell_call(a, &call);
        }
        if (r < 0) {
                tell_end(a, LINK_BROKEN, "a call is too long");
                return;
        }
        a->answer.finish = stream_n_calls(stream) > 0                ? LINK_CALLS
                           : stream_finish(stream) == STREAM_LENGTH ? LINK_LENGTH
                                                                    : LINK_STOP;
        tell_end(a, LINK_DONE, "");
}

/* ---- the question ---- */

static int map(struct asking *a, int fd) {
        size_t size = (size_t) a->question.json_size + a->question.sound_size;
        struct stat st;

        /* What is shorter than it says would end us. */
        if (size == 0 || fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t) st.st_size != size)
                return -EBADMSG;
        a->memory = malloc(size);
        if (!a->memory)
                return -ENOMEM;
        a->memory_size = size;
        return pread(fd, a->memory, size, 0) == (ssize_t) size ? 0 : -EBADMSG;
}

static void unmap(struct request_picture *p) {
        if (p->rgb)
                (void) munmap((void *) (uintptr_t) p->rgb, (size_t) p->size.width * p->size.height * 3);
        p->rgb = NULL;
}

/* A sealed memory of just that size: gemmad has taken no other from its clients. */
static int map_picture(struct request_picture *ret, int fd, const struct link_picture *size) {
        size_t bytes = (size_t) size->width * size->height * 3;
        int seals = fcntl(fd, F_GET_SEALS);
        struct stat st;
        void *rgb;

        if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || (size_t) st.st_size != bytes)
                return -EBADMSG;
        rgb = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (rgb == MAP_FAILED)
                return -errno;
        *ret = (struct request_picture){ rgb, *size };
        return 0;
}

/* Each server may call the model by another name. */
static int write_body(struct asking *a, struct why *why) {
        struct request_parts parts = {
                .json = a->memory,
                .json_size = a->question.json_size,
                .sound = (const char *) a->memory + a->question.json_size,
                .sound_size = a->question.sound_size,
                .n_pictures = a->question.n_pictures,
                .model = a->config.settings->servers[a->server].model,
        };
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < parts.n_pictures; i++)
                r = map_picture(&parts.pictures[i], a->fds[1 + i], &a->question.pictures[i]);
        buffer_clear(&a->body);
        if (r >= 0)
                r = request_write(&a->body, &parts, why);
        else
                (void) because(why, r, "a picture can not be read");
        for (unsigned i = 0; i < parts.n_pictures; i++)
                unmap(&parts.pictures[i]);
        return r;
}

/* ---- servers ---- */

static uint64_t at_most(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* What is left of gemmad's patience is not spent on the first server alone when there is another one. */
static void try_server(struct asking *a, unsigned index, uint64_t now_ns) {
        const struct server_settings *server = &a->config.settings->servers[index];
        const struct stream_handler handler = { on_text, a };
        struct exchange_config config = {
                .multi = a->config.multi,
                .server = server,
                .settings = a->config.settings,
                .body = &a->body,
                .handler = &handler,
                .begun = on_begun,
                .is_full = is_full,
                .userdata = a,
        };
        bool is_last;

        a->server = index;
        a->tried |= UINT32_C(1) << index;
        is_last = servers_next(a->config.servers, a->tried, now_ns) == SERVERS_NONE;
        a->give_up_ns = is_last ? a->end_ns : now_ns + (a->end_ns - now_ns) / 2;
        (void) snprintf(a->answer.server, sizeof(a->answer.server), "%s", server->url);
        if (write_body(a, &a->why) < 0 || exchange_start(&a->exchange, &config, &a->why) < 0) {
                tell_end(a, LINK_NOBODY, a->why.text);
                return;
        }
        if (tell(a, LINK_SENT, NULL, 0) < 0)
                a->is_over = true;
}

/* All that are there have been asked, or none is.  Who is busy, or has failed once, may not be for long. */
static void begin_round(struct asking *a, uint64_t now_ns) {
        uint64_t pause = servers_pause(a->config.servers, a->n_rounds);

        if (servers_next(a->config.servers, 0, UINT64_MAX) == SERVERS_NONE) {
                tell_end(a, LINK_NOBODY,
                         a->why.text[0] ? a->why.text : a->config.servers->list[0].why.text);
                return;
        }
        /* Who has only waited for the busy has asked nobody. */
        a->n_rounds += a->tried != 0;
        a->tried = 0;
        a->next_ns = now_ns + pause;
        if (a->next_ns >= a->end_ns || a->n_rounds == MAX_ROUNDS)
                tell_end(a, LINK_NOBODY, a->why.text[0] ? a->why.text : "all servers have too much to do");
}

static void fail(struct asking *a, enum exchange_end end, const struct why *why, uint64_t now_ns) {
        const char *url = a->config.settings->servers[a->server].url;

        if (end == EXCHANGE_BUSY)
                servers_note_busy(a->config.servers, a->server, exchange_retry_after(a->exchange), now_ns);
        else
                servers_note_failure(a->config.servers, a->server,
                                     end == EXCHANGE_LOST || end == EXCHANGE_REFUSED, why, now_ns);
        (void) because(&a->why, 0, "%.100s: %.200s", url, why->text);
        log_info("%s: %s", url, why->text);
        a->config.changed(a->config.userdata);
}

static void drop_exchange(struct asking *a) {
        uint64_t sent = 0, received = 0;

        if (a->exchange)
                exchange_count(a->exchange, &sent, &received);
        a->n_sent += sent;
        a->n_received += received;
        a->exchange = exchange_free(a->exchange);
}

bool asking_on_done(struct asking *a, CURL *curl, CURLcode result, uint64_t now_ns) {
        struct why why = { 0 };
        enum exchange_end end;

        if (!a->exchange || exchange_of(curl) != a->exchange)
                return false;
        end = exchange_finish(a->exchange, result, &why);
        if (end == EXCHANGE_WELL) {
                servers_note_up(a->config.servers, a->server, now_ns);
                tell_done(a);
        } else {
                fail(a, end, &why, now_ns);
                if (end == EXCHANGE_BROKEN)
                        tell_end(a, LINK_BROKEN, a->why.text);
        }
        drop_exchange(a);
        return true;
}

/* What waits for gemmad.  False: it is not there any more, or all is over and told. */
static bool hand_over(struct asking *a, uint64_t now_ns) {
        bool did_wait = outbox_waits(&a->outbox);
        int r = outbox_flush(&a->outbox, now_ns);

        if (r == 0 && did_wait && a->exchange)
                exchange_go_on(a->exchange);
        return r > 0 || (r == 0 && !a->is_over);
}

bool asking_step(struct asking *a, uint64_t now_ns) {
        const struct why silent = { "it does not answer in time" };
        unsigned index;

        if (!hand_over(a, now_ns))
                return false;
        if (a->is_over)
                return true;
        if (a->exchange && now_ns >= a->give_up_ns) {
                fail(a, EXCHANGE_LOST, &silent, now_ns);
                drop_exchange(a);
        }
        if (a->exchange)
                return true;
        if (now_ns >= a->end_ns) {
                tell_end(a, LINK_NOBODY, a->why.text);
                return false;
        }
        if (now_ns < a->next_ns)
                return true;
        index = servers_next(a->config.servers, a->tried, now_ns);
        if (index == SERVERS_NONE)
                begin_round(a, now_ns);
        else
                try_server(a, index, now_ns);
        return !a->is_over || outbox_waits(&a->outbox);
}

bool asking_waits(const struct asking *a) {
        return outbox_waits(&a->outbox);
}

uint64_t asking_deadline(const struct asking *a) {
        uint64_t at = outbox_deadline(&a->outbox);

        if (a->is_over)
                return at;
        return at_most(at, a->exchange ? a->give_up_ns : at_most(a->next_ns, a->end_ns));
}

uint32_t asking_number(const struct asking *a) {
        return a->number;
}

struct asking *asking_free(struct asking *a) {
        if (!a)
                return NULL;

        a->exchange = exchange_free(a->exchange);
        for (size_t i = 0; i < 1 + LINK_MAX_PICTURES; i++)
                closep(&a->fds[i]);
        wipe(a->memory, a->memory_size);
        free(a->memory);
        buffer_done(&a->body);
        outbox_done(&a->outbox);
        wipe(a, sizeof(*a));
        free(a);
        return NULL;
}

int asking_start(struct asking **ret,
                 const struct asking_config *config,
                 const struct link_question *question,
                 const int *fds,
                 uint64_t now_ns) {
        _cleanup_(asking_freep) struct asking *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->config = *config;
        a->outbox.fd = config->link_fd;
        a->question = *question;
        a->number = question->number;
        a->next_ns = now_ns;
        a->end_ns = now_ns + (uint64_t) question->patience_ms * 1000000;
        for (size_t i = 0; i < 1 + LINK_MAX_PICTURES; i++)
                a->fds[i] = -1;
        for (size_t i = 0; i < question->n_pictures; i++) {
                a->fds[1 + i] = fcntl(fds[1 + i], F_DUPFD_CLOEXEC, 3);
                if (a->fds[1 + i] < 0)
                        return -errno;
        }
        r = map(a, fds[0]);
        if (r < 0) {
                tell_end(a, LINK_NOBODY, "the question can not be read");
                return r;
        }

        *ret = TAKE_PTR(a);
        return 0;
}
