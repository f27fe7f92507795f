/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_HTTP_H
#define REMOTE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "remote/buffer.h"
#include "remote/settings.h"
#include "remote/stream.h"

/* One request to one server: a question, or a look at whether it is there.  All of them share the connections of one
 * multi handle, so that the next question needs no new one.  Owned by one thread. */
struct exchange;

enum exchange_end {
        EXCHANGE_WELL,    /* it has answered, to the end */
        EXCHANGE_BROKEN,  /* it had begun to say something, and did not come to the end */
        EXCHANGE_BUSY,    /* it has too much to do (429, 503) */
        EXCHANGE_FAILED,  /* it answers, but not this: another time it may */
        EXCHANGE_REFUSED, /* it does not want us, or does not know what we want: only people can change that */
        EXCHANGE_LOST,    /* it can not be reached, or is not who it should be */
};

struct exchange_config {
        CURLM *multi;                         /* not owned, like all of it; alive as long as the exchange */
        const struct server_settings *server;
        const struct settings *settings;
        const struct buffer *body;            /* of a question; NULL: only a look */
        const struct stream_handler *handler; /* of a question */
        void (*begun)(void *userdata);        /* ... it has begun to be answered */
        bool (*is_full)(void *userdata);      /* ... no more of the answer is wanted, until exchange_go_on() */
        void *userdata;
};

int exchange_start(struct exchange **ret, const struct exchange_config *config, struct why *why);
struct exchange *exchange_free(struct exchange *e);
DEFINE_CLEANUP(struct exchange *, exchange_free)

/* The exchange that this handle belongs to. */
struct exchange *exchange_of(CURL *curl);

/* What came of it, when curl has done with it; with a reason unless all is well. */
enum exchange_end exchange_finish(struct exchange *e, CURLcode result, struct why *why);

/* Of an answer that is complete. */
const struct stream *exchange_stream(const struct exchange *e);

/* More is wanted. */
void exchange_go_on(struct exchange *e);

bool exchange_has_begun(const struct exchange *e);

/* So many seconds the server wants to be left alone; 0: it did not say. */
unsigned exchange_retry_after(const struct exchange *e);

/* Bytes that went and came, with all that is around them but for TLS. */
void exchange_count(const struct exchange *e, uint64_t *ret_sent, uint64_t *ret_received);

#endif
