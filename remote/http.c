/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/wipe.h"

/* Of an answer that is none, to find a reason in; of what stands before an answer; each. */
#define MAX_COMPLAINT (256 * 1024)
#define TELLING_PART  8 /* characters of a key in a row */

/* What a look may take when the server is connected. */
#define LOOK_MS 5000

struct exchange {
        struct exchange_config config;
        CURL *curl;                  /* owned; in the multi handle */
        struct curl_slist *headers;  /* owned; wiped: the key is in it */
        struct stream *stream;       /* owned; NULL of a look */
        struct buffer complaint;     /* what came with a status that is not 200 */
        char error[CURL_ERROR_SIZE]; /* by curl */
        int r;                       /* of the stream, which why says */
        struct why why;
        size_t n_header;
        uint64_t n_sent, n_received;
        bool has_begun;
};

static void free_headers(struct curl_slist *headers) {
        for (struct curl_slist *h = headers; h; h = h->next)
                wipe(h->data, strlen(h->data));
        curl_slist_free_all(headers);
}

struct exchange *exchange_free(struct exchange *e) {
        if (!e)
                return NULL;

        if (e->curl) {
                (void) curl_multi_remove_handle(e->config.multi, e->curl);
                curl_easy_cleanup(e->curl);
        }
        free_headers(e->headers);
        stream_free(e->stream);
        buffer_done(&e->complaint);
        free(e);
        return NULL;
}

static long status_of(const struct exchange *e) {
        long status = 0;

        (void) curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
        return status;
}

static int take_answer(struct exchange *e, const char *bytes, size_t size) {
        int r = stream_push(e->stream, bytes, size, &e->why);

        if (r >= 0 && !e->has_begun && stream_has_begun(e->stream)) {
                e->has_begun = true;
                e->config.begun(e->config.userdata);
        }
        return r;
}

/* A look does not need what it sees, and a complaint is read only at its beginning. */
static size_t on_bytes(char *bytes, size_t one, size_t size, void *userdata) {
        struct exchange *e = userdata;

        (void) one;
        if (status_of(e) == 200 && e->stream) {
                if (e->config.is_full(e->config.userdata))
                        return CURL_WRITEFUNC_PAUSE;
                e->r = take_answer(e, bytes, size);
                return e->r < 0 ? 0 : size;
        }
        if (buffer_append(&e->complaint, bytes, size, MAX_COMPLAINT) < 0)
                return 0;
        return size;
}

static size_t on_header(char *bytes, size_t one, size_t size, void *userdata) {
        struct exchange *e = userdata;

        (void) bytes;
        (void) one;
        e->n_header += size;
        return e->n_header > MAX_COMPLAINT ? 0 : size;
}

/* Only counts: curl's own numbers take a body in or leave it out as it happens to be sent. */
static int on_wire(CURL *curl, curl_infotype type, char *bytes, size_t size, void *userdata) {
        struct exchange *e = userdata;

        (void) curl;
        (void) bytes;
        if (type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT)
                e->n_sent += size;
        else if (type == CURLINFO_HEADER_IN || type == CURLINFO_DATA_IN)
                e->n_received += size;
        return 0;
}

static int add_header(struct exchange *e, const char *line) {
        struct curl_slist *longer = curl_slist_append(e->headers, line);

        if (!longer)
                return -ENOMEM;
        e->headers = longer;
        return 0;
}

static int add_headers(struct exchange *e) {
        _cleanup_(freep) char *line = NULL;
        int r;

        r = add_header(e, e->stream ? "Accept: text/event-stream, application/json" : "Accept: application/json");
        if (r >= 0 && e->stream)
                r = add_header(e, "Content-Type: application/json");
        /* Nobody has to say first that he will take it. */
        if (r >= 0)
                r = add_header(e, "Expect:");
        if (r < 0 || !e->config.server->key)
                return r;
        if (asprintf(&line, "Authorization: Bearer %s", e->config.server->key) < 0)
                return -ENOMEM;
        r = add_header(e, line);
        wipe(line, strlen(line));
        return r;
}

#define SET(curl, option, value)                                                                   \
        do {                                                                                       \
                if (curl_easy_setopt((curl), (option), (value)) != CURLE_OK)                       \
                        return -ENOMEM;                                                            \
        } while (0)

/* What is trusted, and who we are. */
static int set_identity(CURL *curl, const struct server_settings *server) {
        SET(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        SET(curl, CURLOPT_SSL_VERIFYPEER, 1L);
        SET(curl, CURLOPT_SSL_VERIFYHOST, 2L);
        if (server->ca) {
                SET(curl, CURLOPT_CAINFO, server->ca);
                SET(curl, CURLOPT_CAPATH, NULL);
        }
        if (server->certificate) {
                SET(curl, CURLOPT_SSLCERT, server->certificate);
                SET(curl, CURLOPT_SSLKEY, server->certificate_key ? server->certificate_key : server->certificate);
        }
        return 0;
}

/* Nothing of the environment has a say in where it goes: no proxy, no .netrc; and no server in where it goes
 * next. */
static int set_way(struct exchange *e, const char *url) {
        SET(e->curl, CURLOPT_URL, url);
        SET(e->curl, CURLOPT_PROTOCOLS_STR, "http,https");
        SET(e->curl, CURLOPT_PROXY, "");
        SET(e->curl, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
        SET(e->curl, CURLOPT_FOLLOWLOCATION, 0L);
        SET(e->curl, CURLOPT_NOSIGNAL, 1L);
        SET(e->curl, CURLOPT_TCP_KEEPALIVE, 1L);
        SET(e->curl, CURLOPT_CONNECTTIMEOUT_MS, (long) e->config.settings->connect_ms);
        SET(e->curl, CURLOPT_USERAGENT, "gemmad-remote/" GEMMAD_VERSION);
        SET(e->curl, CURLOPT_ERRORBUFFER, e->error);
        SET(e->curl, CURLOPT_PRIVATE, e);
        SET(e->curl, CURLOPT_HTTPHEADER, e->headers);
        SET(e->curl, CURLOPT_WRITEFUNCTION, on_bytes);
        SET(e->curl, CURLOPT_WRITEDATA, e);
        SET(e->curl, CURLOPT_HEADERFUNCTION, on_header);
        SET(e->curl, CURLOPT_HEADERDATA, e);
        SET(e->curl, CURLOPT_DEBUGFUNCTION, on_wire);
        SET(e->curl, CURLOPT_DEBUGDATA, e);
        SET(e->curl, CURLOPT_VERBOSE, 1L);
        return set_identity(e->curl, e->config.server);
}

static int set_task(struct exchange *e) {
        const struct settings *settings = e->config.settings;

        if (!e->config.body) {
                SET(e->curl, CURLOPT_TIMEOUT_MS, (long) settings->connect_ms + LOOK_MS);
                return 0;
        }
        SET(e->curl, CURLOPT_POST, 1L);
        SET(e->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) e->config.body->size);
        SET(e->curl, CURLOPT_POSTFIELDS, e->config.body->data);
        SET(e->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(e->curl, CURLOPT_LOW_SPEED_TIME, (long) settings->stall_seconds);
        SET(e->curl, CURLOPT_TIMEOUT, (long) settings->total_seconds);
        return 0;
}

static int start(struct exchange *e) {
        _cleanup_(freep) char *url = NULL;
        int r;

        if (e->config.body) {
                r = stream_new(&e->stream, e->config.handler);
                if (r < 0)
                        return r;
        }
        e->curl = curl_easy_init();
        if (!e->curl ||
            asprintf(&url, "%s/%s", e->config.server->url, e->config.body ? "chat/completions" : "models") < 0)
                return -ENOMEM;
        r = add_headers(e);
        if (r >= 0)
                r = set_way(e, url);
        if (r >= 0)
                r = set_task(e);
        if (r >= 0 && curl_multi_add_handle(e->config.multi, e->curl) != CURLM_OK)
                r = -ENOMEM;
        return r;
}

int exchange_start(struct exchange **ret, const struct exchange_config *config, struct why *why) {
        _cleanup_(exchange_freep) struct exchange *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return because(why, -ENOMEM, "out of memory");
        e->config = *config;
        r = start(e);
        if (r < 0)
                return because(why, r, "the request can not be made: %s", strerror(-r));

        *ret = TAKE_PTR(e);
        return 0;
}

struct exchange *exchange_of(CURL *curl) {
        char *e = NULL;

        (void) curl_easy_getinfo(curl, CURLINFO_PRIVATE, &e);
        return (struct exchange *) (void *) e;
}

/* What a status other than 200 means. */
static enum exchange_end judge(struct exchange *e, long status, struct why *why) {
        struct why said = { 0 };
        bool has_said = stream_read_error(e->complaint.data, e->complaint.size, &said);

        (void) because(why, -EREMOTEIO, "it answers %ld%s%s", status, has_said ? ", " : "", has_said ? said.text : "");
        if (status == 429 || status == 503)
                return EXCHANGE_BUSY;
        if (status >= 500 || status == 408)
                return EXCHANGE_FAILED;
        return EXCHANGE_REFUSED;
}

/* It is there when it answers a look at all; that it has no list of its models is no fault. */
static enum exchange_end judge_look(struct exchange *e, long status, struct why *why) {
        if (status >= 500 || status == 401 || status == 403)
                return judge(e, status, why);
        return EXCHANGE_WELL;
}

static enum exchange_end explain_loss(struct exchange *e, CURLcode result, struct why *why) {
        const char *what = e->error[0] ? e->error : curl_easy_strerror(result);

        if (result == CURLE_OPERATION_TIMEDOUT)
                (void) because(why, -ETIMEDOUT, "it does not answer (%.200s)", what);
        else
                (void) because(why, -EIO, "%.250s", what);
        return e->stream && stream_has_said(e->stream) ? EXCHANGE_BROKEN : EXCHANGE_LOST;
}

static enum exchange_end finish(struct exchange *e, CURLcode result, struct why *why) {
        long status = status_of(e);

        if (e->r < 0) {
                *why = e->why;
                return stream_has_said(e->stream) ? EXCHANGE_BROKEN : EXCHANGE_FAILED;
        }
        /* Of a long complaint or list the rest was not taken. */
        if (result != CURLE_OK && (result != CURLE_WRITE_ERROR || e->n_header > MAX_COMPLAINT))
                return explain_loss(e, result, why);
        if (!e->stream)
                return judge_look(e, status, why);
        if (status != 200)
                return judge(e, status, why);
        if (stream_end(e->stream, why) >= 0)
                return EXCHANGE_WELL;
        return stream_has_said(e->stream) ? EXCHANGE_BROKEN : EXCHANGE_FAILED;
}

/* Whether it has the key in it, or so much of it that it was cut off or its middle starred out. */
static bool repeats(const char *text, const char *key) {
        size_t size = strlen(key), n = size < TELLING_PART ? size : TELLING_PART;

        for (size_t i = 0; i + n <= size; i++)
                if (memmem(text, strlen(text), key + i, n))
                        return true;
        return false;
}

/* Some servers say which key they do not take. */
static void hide_key(const struct exchange *e, struct why *why) {
        if (e->config.server->key && repeats(why->text, e->config.server->key))
                (void) because(why, 0, "it says something with the key in it, which is not repeated here");
}

enum exchange_end exchange_finish(struct exchange *e, CURLcode result, struct why *why) {
        enum exchange_end end = finish(e, result, why);

        hide_key(e, why);
        return end;
}

const struct stream *exchange_stream(const struct exchange *e) {
        return e->stream;
}

void exchange_go_on(struct exchange *e) {
        (void) curl_easy_pause(e->curl, CURLPAUSE_CONT);
}

bool exchange_has_begun(const struct exchange *e) {
        return e->has_begun;
}

unsigned exchange_retry_after(const struct exchange *e) {
        curl_off_t seconds = 0;

        if (curl_easy_getinfo(e->curl, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
                return 0;
        return seconds > 3600 ? 3600 : (unsigned) seconds;
}

void exchange_count(const struct exchange *e, uint64_t *ret_sent, uint64_t *ret_received) {
        *ret_sent = e->n_sent;
        *ret_received = e->n_received;
}
