/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/server-card.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "audio/server-link.h"

#define PATIENCE_NS UINT64_C(2000000000)

/* A headset takes its time to begin to record. */
#define PROFILE_NS UINT64_C(5000000000)

#define MAX_CARDS   32
#define MAX_SOURCES 64

struct query {
        struct server_link link;
        struct server_card *cards; /* not owned, [size] */
        size_t size, n;
        uint32_t indices[MAX_CARDS]; /* of the cards, [n] */
        struct {
                uint32_t index, card;
        } sources[MAX_SOURCES]; /* [n_sources] */
        unsigned n_sources;
};

static const char *or_empty(const char *text) {
        return text ? text : "";
}

static bool is_bluetooth(const pa_card_info *info) {
        return strcasestr(or_empty(info->name), "bluez") ||
               strcasestr(or_empty(pa_proplist_gets(info->proplist, PA_PROP_DEVICE_BUS)), "bluetooth");
}

static void describe_profile(struct server_profile *ret, const pa_card_profile_info2 *info) {
        *ret = (struct server_profile){
                .priority = info->priority,
                .n_sinks = info->n_sinks,
                .n_sources = info->n_sources,
                .is_available = info->available != 0,
        };
        (void) snprintf(ret->name, sizeof(ret->name), "%s", info->name);
}

static void describe(struct server_card *ret, const pa_card_info *info) {
        const char *label = pa_proplist_gets(info->proplist, PA_PROP_DEVICE_DESCRIPTION);

        *ret = (struct server_card){ .is_bluetooth = is_bluetooth(info) };
        (void) snprintf(ret->name, sizeof(ret->name), "%s", info->name);
        (void) snprintf(ret->label, sizeof(ret->label), "%s", label ? label : info->name);
        if (info->active_profile2)
                (void) snprintf(ret->active, sizeof(ret->active), "%s", info->active_profile2->name);
        for (uint32_t i = 0; i < info->n_profiles && ret->n_profiles < SERVER_MAX_PROFILES; i++)
                describe_profile(&ret->profiles[ret->n_profiles++], info->profiles2[i]);
}

static void on_card(pa_context *context, const pa_card_info *info, int end, void *userdata) {
        struct query *q = userdata;

        (void) context;
        if (end != 0 || !info || q->n >= q->size || q->n >= MAX_CARDS)
                return;
        q->indices[q->n] = info->index;
        describe(&q->cards[q->n++], info);
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *userdata) {
        struct query *q = userdata;

        (void) context;
        if (end != 0 || !info || q->n_sources >= MAX_SOURCES ||
            info->monitor_of_sink != PA_INVALID_INDEX)
                return;
        q->sources[q->n_sources].index = info->index;
        q->sources[q->n_sources++].card = info->card;
}

static void on_output(pa_context *context, const pa_source_output_info *info, int end, void *userdata) {
        struct query *q = userdata;

        (void) context;
        for (unsigned i = 0; end == 0 && info && i < q->n_sources; i++)
                for (size_t j = 0; q->sources[i].index == info->source && j < q->n; j++)
                        q->cards[j].is_recorded |= q->indices[j] == q->sources[i].card;
}

int server_cards(struct server_card *cards, size_t size) {
        struct query q = { .cards = cards, .size = size };
        int r;

        r = server_link_open(&q.link, PATIENCE_NS);
        if (r >= 0 &&
            !(server_link_wait(&q.link, pa_context_get_card_info_list(q.link.context, on_card, &q)) &&
              server_link_wait(&q.link,
                               pa_context_get_source_info_list(q.link.context, on_source, &q)) &&
              server_link_wait(&q.link, pa_context_get_source_output_info_list(q.link.context,
                                                                               on_output, &q))))
                r = server_link_error(&q.link);
        server_link_close(&q.link);
        return r < 0 ? r : (int) q.n;
}

/* The card whose microphone is waited for. */
struct change {
        struct server_link link;
        const char *card;
        uint32_t index;
        bool is_taken, is_news;
        char *source; /* not owned, [256]; "": there is none yet */
};

static void on_taken(pa_context *context, int is_success, void *userdata) {
        struct change *c = userdata;

        (void) context;
        c->is_taken = is_success;
}

static void on_this_card(pa_context *context, const pa_card_info *info, int end, void *userdata) {
        struct change *c = userdata;

        (void) context;
        if (end == 0 && info)
                c->index = info->index;
}

static void on_its_source(pa_context *context, const pa_source_info *info, int end, void *userdata) {
        struct change *c = userdata;

        (void) context;
        if (end == 0 && info && info->card == c->index && info->monitor_of_sink == PA_INVALID_INDEX)
                (void) snprintf(c->source, 256, "%s", info->name);
}

static void on_event(pa_context *context,
                     pa_subscription_event_type_t type,
                     uint32_t index,
                     void *userdata) {
        struct change *c = userdata;

        (void) context, (void) type, (void) index;
        c->is_news = true;
}

static int wait_for_source(struct change *c) {
        struct server_link *l = &c->link;

        while (server_link_wait(l, pa_context_get_source_info_list(l->context, on_its_source, c))) {
                if (c->source[0])
                        return 0;
                while (!c->is_news)
                        if (!server_link_turn(l))
                                return server_link_error(l);
                c->is_news = false;
        }
        return server_link_error(l);
}

static int use(struct change *c, const char *profile) {
        pa_context *context = c->link.context;

        pa_context_set_subscribe_callback(context, on_event, c);
        if (!server_link_wait(&c->link, pa_context_subscribe(context, PA_SUBSCRIPTION_MASK_SOURCE, NULL, NULL)) ||
            !server_link_wait(&c->link,
                              pa_context_get_card_info_by_name(context, c->card, on_this_card, c)) ||
            !server_link_wait(&c->link, pa_context_set_card_profile_by_name(context, c->card, profile,
                                                                            on_taken, c)))
                return server_link_error(&c->link);
        if (!c->is_taken)
                return -EIO;
        return c->source ? wait_for_source(c) : 0;
}

int server_use_profile(const char *card, const char *profile, char source[256]) {
        struct change c = { .card = card, .index = PA_INVALID_INDEX, .source = source };
        int r;

        if (source)
                source[0] = '\0';
        r = server_link_open(&c.link, source ? PROFILE_NS : PATIENCE_NS);
        if (r >= 0)
                r = use(&c, profile);
        server_link_close(&c.link);
        return r;
}
