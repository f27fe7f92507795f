/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/elsewhere.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audio/frame.h"
#include "base/cleanup.h"
#include "base/parcel.h"
#include "base/wipe.h"

void elsewhere_init(struct elsewhere *e, const struct config *config) {
        *e = (struct elsewhere){ .config = config, .link_fd = -1, .sound_fd = -1 };
}

static void close_fd(int *fd) {
        closep(fd);
        *fd = -1;
}

void elsewhere_end(struct elsewhere *e) {
        json_decref(e->messages);
        json_decref(e->calls);
        json_decref(e->seen);
        e->messages = e->calls = e->seen = NULL;
        close_fd(&e->sound_fd);
        e->sound_size = 0;
        pictures_done(&e->pictures);
        wipe(&e->answer, sizeof(e->answer));
}

void elsewhere_done(struct elsewhere *e) {
        elsewhere_end(e);
        elsewhere_forget(e);
        close_fd(&e->link_fd);
}

void elsewhere_set_link(struct elsewhere *e, int link_fd) {
        close_fd(&e->link_fd);
        e->link_fd = link_fd;
}

bool elsewhere_is_there(const struct elsewhere *e) {
        return e->link_fd >= 0;
}

/* ---- what is remembered ---- */

static void free_text(char *text) {
        if (text)
                wipe(text, strlen(text));
        free(text);
}

static void forget_oldest(struct elsewhere *e) {
        free_text(e->exchanges[0].heard);
        free_text(e->exchanges[0].answered);
        memmove(e->exchanges, e->exchanges + 1, --e->n_exchanges * sizeof(e->exchanges[0]));
}

void elsewhere_forget(struct elsewhere *e) {
        while (e->n_exchanges > 0)
                forget_oldest(e);
}

static size_t history_size(const struct elsewhere *e) {
        size_t size = 0;

        for (unsigned i = 0; i < e->n_exchanges; i++)
                size += strlen(e->exchanges[i].heard) + strlen(e->exchanges[i].answered);
        return size;
}

void elsewhere_remember(struct elsewhere *e, const char *heard, const char *answered) {
        if (e->n_exchanges == ELSEWHERE_MAX_EXCHANGES)
                forget_oldest(e);
        e->exchanges[e->n_exchanges].heard = strdup(heard);
        e->exchanges[e->n_exchanges].answered = strdup(answered);
        if (!e->exchanges[e->n_exchanges].heard || !e->exchanges[e->n_exchanges].answered) {
                free_text(e->exchanges[e->n_exchanges].heard);
                free_text(e->exchanges[e->n_exchanges].answered);
                return;
        }
        e->n_exchanges++;
        while (e->n_exchanges > 0 && history_size(e) > (size_t) e->config->remote_history_kib * 1024)
                forget_oldest(e);
}

/* ---- a question ---- */

static int add_message(struct elsewhere *e, json_t *message) {
        return !message || json_array_append_new(e->messages, message) < 0 ? -ENOMEM : 0;
}

static int add_words(struct elsewhere *e, const char *role, const char *text) {
        return add_message(e, json_pack("{s:s, s:s}", "role", role, "content", text));
}

static int add_past(struct elsewhere *e) {
        int r = 0;

        if (*e->config->system_text)
                r = add_words(e, "system", e->config->system_text);
        for (unsigned i = 0; r >= 0 && i < e->n_exchanges; i++) {
                r = add_words(e, "user", e->exchanges[i].heard);
                if (r >= 0)
                        r = add_words(e, "assistant", e->exchanges[i].answered);
        }
        return r;
}

/* Samples as everybody has them. */
static int write_samples(int fd, const float *samples, size_t n) {
        size_t size = n * sizeof(int16_t);
        int16_t *memory;

        if (ftruncate(fd, (off_t) size) < 0)
                return -errno;
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return -errno;
        for (size_t i = 0; i < n; i++) {
                float sample = samples[i] * 32767;

                memory[i] = (int16_t) (sample > 32767 ? 32767 : sample < -32767 ? -32767 : sample);
        }
        (void) munmap(memory, size);
        return 0;
}

static int keep_sound(struct elsewhere *e, const float *frames, size_t n_frames) {
        size_t n = n_frames * FRAME_SAMPLES;
        int r;

        if (n * sizeof(int16_t) > LINK_MAX_SOUND)
                n = LINK_MAX_SOUND / sizeof(int16_t);
        e->sound_fd = memfd_create("gemmad-sound", MFD_CLOEXEC);
        if (e->sound_fd < 0)
                return -errno;
        r = write_samples(e->sound_fd, frames, n);
        e->sound_size = n * sizeof(int16_t);
        return r;
}

/* Its index is where it will be found; 1: there is no room for it. */
static int add_picture(struct elsewhere *e, json_t *content, const struct pixels *pixels) {
        struct pixels copy = *pixels;

        static_assert(LINK_MAX_PICTURES == LIMIT_IMAGES, "as many as struct pictures has room for");
        if (e->pictures.n == LINK_MAX_PICTURES)
                return 1;
        if (json_array_append_new(content, json_pack("{s:s, s:i}", "type", "picture", "index",
                                                     (int) e->pictures.n)) < 0)
                return -ENOMEM;
        copy.fd = fcntl(pixels->fd, F_DUPFD_CLOEXEC, 3);
        if (copy.fd < 0)
                return -errno;
        e->pictures.list[e->pictures.n++] = copy;
        return 0;
}

static int add_pictures(struct elsewhere *e, json_t *content, const struct pictures *pictures) {
        int r = 0;

        for (unsigned i = 0; r == 0 && i < pictures->n; i++)
                r = add_picture(e, content, &pictures->list[i]);
        return r < 0 ? r : 0;
}

static int fill_content(struct elsewhere *e, json_t *content, const struct elsewhere_turn *turn) {
        int r = add_pictures(e, content, turn->pictures);

        if (r >= 0 && turn->text &&
            json_array_append_new(content, json_pack("{s:s, s:s%}", "type", "text", "text", turn->text,
                                                     turn->text_size)) < 0)
                r = -ENOMEM;
        if (r >= 0 && !turn->text) {
                r = keep_sound(e, turn->frames, turn->n_frames);
                if (r >= 0 && json_array_append_new(content, json_pack("{s:s}", "type", "sound")) < 0)
                        r = -ENOMEM;
        }
        return r;
}

/* A text alone is one, which every server takes. */
static int add_question(struct elsewhere *e, const struct elsewhere_turn *turn) {
        json_t *content;
        int r;

        if (turn->text && turn->pictures->n == 0)
                return add_message(e, json_pack("{s:s, s:s%}", "role", "user", "content", turn->text,
                                                turn->text_size));
        content = json_array();
        r = fill_content(e, content, turn);
        if (r >= 0)
                return add_message(e, json_pack("{s:s, s:o}", "role", "user", "content", content));
        json_decref(content);
        return r;
}

int elsewhere_begin(struct elsewhere *e, const struct elsewhere_turn *turn) {
        int r;

        elsewhere_end(e);
        e->messages = json_array();
        e->calls = json_array();
        e->seen = json_array();
        if (!e->messages || !e->calls || !e->seen)
                return -ENOMEM;
        r = add_past(e);
        return r < 0 ? r : add_question(e, turn);
}

static int add_tool(json_t *list, const struct tool *tool) {
        json_t *parameters = json_loads(tool->parameters_json, 0, NULL);
        json_t *object = json_pack("{s:s, s:{s:s, s:s, s:o}}", "type", "function", "function", "name", tool->name,
                                   "description", tool->description, "parameters", parameters);

        return !object || json_array_append_new(list, object) < 0 ? -ENOMEM : 0;
}

/* Those of clients, and those of ours that no client has. */
static json_t *declare(const struct toolset *tools) {
        size_t n;
        const struct tool *own = tools_declared(&n);
        json_t *list = json_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (!toolset_has(tools, own[i].name))
                        r = add_tool(list, &own[i]);
        for (size_t i = 0; r >= 0 && tools && i < tools->n_tools; i++)
                r = add_tool(list, &tools->tools[i]);
        if (r >= 0)
                return list;
        json_decref(list);
        return NULL;
}

static char *write_question(struct elsewhere *e, const struct toolset *tools, unsigned max_tokens) {
        json_t *declared = e->config->tools ? declare(tools) : json_array();
        json_t *object = json_pack("{s:O, s:i}", "messages", e->messages, "max_tokens", (int) max_tokens);
        char *text = NULL;

        if (declared && object && json_array_size(declared) > 0)
                (void) json_object_set(object, "tools", declared);
        if (declared && object)
                text = json_dumps(object, JSON_COMPACT);
        json_decref(declared);
        json_decref(object);
        return text;
}

static int copy_sound(struct elsewhere *e, int fd, size_t at) {
        void *sound;
        ssize_t n;

        if (e->sound_size == 0)
                return 0;
        sound = mmap(NULL, e->sound_size, PROT_READ, MAP_SHARED, e->sound_fd, 0);
        if (sound == MAP_FAILED)
                return -errno;
        n = pwrite(fd, sound, e->sound_size, (off_t) at);
        (void) munmap(sound, e->sound_size);
        return n == (ssize_t) e->sound_size ? 0 : -EIO;
}

static int send_question(struct elsewhere *e, const char *text) {
        struct link_question question = {
                .version = LINK_VERSION,
                .word = LINK_ASK,
                .number = ++e->number,
                .json_size = (uint32_t) strlen(text),
                .sound_size = (uint32_t) e->sound_size,
                .patience_ms = e->config->remote_fallback_ms,
                .n_pictures = e->pictures.n,
        };
        _cleanup_(closep) int fd = memfd_create("gemmad-question", MFD_CLOEXEC);
        int fds[1 + LINK_MAX_PICTURES] = { fd }, r;

        if (fd < 0)
                return -errno;
        if (question.json_size > LINK_MAX_JSON)
                return -EFBIG;
        if (pwrite(fd, text, question.json_size, 0) != (ssize_t) question.json_size)
                return -EIO;
        r = copy_sound(e, fd, question.json_size);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < e->pictures.n; i++) {
                question.pictures[i] = (struct link_picture){ e->pictures.list[i].width,
                                                              e->pictures.list[i].height };
                fds[1 + i] = e->pictures.list[i].fd;
        }
        return parcel_send(e->link_fd, &question, sizeof(question), fds, 1 + e->pictures.n);
}

/* Results are texts: what they show is said by us, behind the last of them. */
static int add_seen(struct elsewhere *e) {
        int r = 0;

        if (json_array_size(e->seen) > 0)
                r = add_message(e, json_pack("{s:s, s:o}", "role", "user", "content", json_copy(e->seen)));
        json_array_clear(e->seen);
        return r;
}

int elsewhere_ask(struct elsewhere *e, const struct toolset *tools, unsigned max_tokens) {
        char *text;
        int r;

        if (e->link_fd < 0)
                return -EPIPE;
        r = add_seen(e);
        text = r < 0 ? NULL : write_question(e, tools, max_tokens);
        if (!text)
                return -ENOMEM;
        r = send_question(e, text);
        free_text(text);
        json_array_clear(e->calls);
        if (r == -EPIPE)
                close_fd(&e->link_fd);
        return r;
}

/* Answers to questions that nobody waits for any more are dropped. */
int elsewhere_next(struct elsewhere *e) {
        for (;;) {
                size_t n_fds = 0;
                int n = e->link_fd < 0 ? 0
                                       : parcel_receive(e->link_fd, &e->answer, sizeof(e->answer), NULL, &n_fds);

                if (n == -EAGAIN)
                        return 0;
                if (n <= 0 || !link_check_answer(&e->answer, (size_t) n)) {
                        close_fd(&e->link_fd);
                        return -EPIPE;
                }
                if (e->answer.number == e->number)
                        return 1;
        }
}

void elsewhere_leave(struct elsewhere *e) {
        const struct link_question question = { .version = LINK_VERSION, .word = LINK_LEAVE, .number = e->number };

        if (e->link_fd >= 0)
                (void) parcel_send(e->link_fd, &question, sizeof(question), NULL, 0);
        e->number++;
}

/* ---- what was answered ---- */

/* The message of the answer at hand: the last one, or a new one. */
static json_t *own_message(struct elsewhere *e) {
        size_t n = json_array_size(e->messages);
        json_t *last = n > 0 ? json_array_get(e->messages, n - 1) : NULL;
        const char *role = json_string_value(json_object_get(last, "role"));

        if (role && strcmp(role, "assistant") == 0)
                return last;
        if (add_words(e, "assistant", "") < 0)
                return NULL;
        return json_array_get(e->messages, n);
}

int elsewhere_note_text(struct elsewhere *e, const char *text, size_t size) {
        json_t *message = own_message(e);

        if (!message || json_object_set_new(message, "content", json_stringn(text, size)) < 0)
                return -ENOMEM;
        return 0;
}

int elsewhere_note_call(struct elsewhere *e, json_t *call) {
        json_t *message = own_message(e), *calls, *noted;
        char *arguments = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT);
        int r = 0;

        noted = json_pack("{s:O, s:s, s:{s:O, s:s}}", "id", json_object_get(call, "id"), "type", "function",
                          "function", "name", json_object_get(call, "name"), "arguments",
                          arguments ? arguments : "");
        if (!message || !arguments || !noted) {
                json_decref(noted);
                noted = NULL;
                r = -ENOMEM;
        }
        free_text(arguments);
        if (r < 0)
                return r;
        calls = json_object_get(message, "tool_calls");
        if (!calls) {
                calls = json_array();
                if (json_object_set_new(message, "tool_calls", calls) < 0) {
                        json_decref(noted);
                        return -ENOMEM;
                }
        }
        if (json_array_append_new(calls, noted) < 0)
                return -ENOMEM;
        return json_array_append(e->calls, call) < 0 ? -ENOMEM : 0;
}

int elsewhere_note_result(struct elsewhere *e, const char *id, const char *result_json, const struct pictures *pictures) {
        int r = add_message(e, json_pack("{s:s, s:s, s:s}", "role", "tool", "tool_call_id", id, "content",
                                         result_json));

        return r < 0 ? r : add_pictures(e, e->seen, pictures);
}
