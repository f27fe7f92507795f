/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/headset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "audio/choose.h"

#define MAX_CARDS 16

static const struct server_profile *find_profile(const struct server_card *card, const char *name) {
        for (unsigned i = 0; i < card->n_profiles; i++)
                if (strcmp(card->profiles[i].name, name) == 0)
                        return &card->profiles[i];
        return NULL;
}

/* The best one that hears and plays; NULL: there is none.  One that only hears is that of a telephone. */
static const struct server_profile *hearing_profile(const struct server_card *card) {
        const struct server_profile *best = NULL;

        for (unsigned i = 0; i < card->n_profiles; i++) {
                const struct server_profile *p = &card->profiles[i];

                if (p->n_sources > 0 && p->n_sinks > 0 && p->is_available &&
                    (!best || p->priority > best->priority))
                        best = p;
        }
        return best;
}

/* One that only plays now, and could hear. */
static bool is_deaf_headset(const struct server_card *card) {
        const struct server_profile *now = find_profile(card, card->active);

        return card->is_bluetooth && !(now && now->n_sources > 0) && hearing_profile(card);
}

/* Its address, with which the names of its devices are made; "" where it has none. */
static const char *address_of(const struct server_card *card) {
        const char *dot = strchr(card->name, '.');

        return dot && strlen(dot + 1) >= 12 ? dot + 1 : "";
}

static bool is_meant(const struct server_card *card, const char *name) {
        const char *address = address_of(card);

        return strcasestr(card->label, name) || strcasestr(card->name, name) ||
               (*address && strcasestr(name, address));
}

static const struct server_card *choose(const struct server_card *cards, int n, const char *name) {
        const struct server_card *found = NULL;

        for (int i = 0; i < n; i++) {
                if (!is_deaf_headset(&cards[i]))
                        continue;
                if (strcmp(cards[i].label, name) == 0 || strcmp(cards[i].name, name) == 0)
                        return &cards[i];
                if (!found && is_meant(&cards[i], name))
                        found = &cards[i];
        }
        return found;
}

int headset_take(struct headset *h, const char *name, char source[256]) {
        struct server_card cards[MAX_CARDS];
        const struct server_card *card;
        int n, r;

        *h = (struct headset){};
        if (choose_is_default(name))
                return 0;
        n = server_cards(cards, MAX_CARDS);
        if (n < 0)
                return n == -ENOTCONN ? 0 : n;
        card = choose(cards, n, name);
        if (!card)
                return 0;
        (void) snprintf(h->card, sizeof(h->card), "%s", card->name);
        (void) snprintf(h->before, sizeof(h->before), "%s", card->active);
        (void) snprintf(h->during, sizeof(h->during), "%s", hearing_profile(card)->name);
        r = server_use_profile(h->card, h->during, source);
        if (r < 0)
                headset_give_back(h);
        return r < 0 ? r : 1;
}

void headset_give_back(struct headset *h) {
        struct server_card cards[MAX_CARDS];
        int n = h->card[0] ? server_cards(cards, MAX_CARDS) : 0;

        for (int i = 0; i < n; i++)
                if (strcmp(cards[i].name, h->card) == 0 && strcmp(cards[i].active, h->during) == 0 &&
                    !cards[i].is_recorded)
                        (void) server_use_profile(h->card, h->before, NULL);
        *h = (struct headset){};
}

int headset_list(char names[][128], int size) {
        struct server_card cards[MAX_CARDS];
        int n = server_cards(cards, MAX_CARDS), n_found = 0;

        for (int i = 0; i < n && n_found < size; i++)
                if (is_deaf_headset(&cards[i]))
                        (void) snprintf(names[n_found++], 128, "%s", cards[i].label);
        return n_found;
}
