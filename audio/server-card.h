/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SERVER_CARD_H
#define AUDIO_SERVER_CARD_H

#include <stdbool.h>
#include <stddef.h>

/* The cards of a sound server: what has profiles, of which one is in force, and says whether it plays,
 * records, or both.  To be called by one thread, which waits for the server. */
#define SERVER_MAX_PROFILES 16

struct server_profile {
        char name[64];
        unsigned priority, n_sinks, n_sources;
        bool is_available;
};

struct server_card {
        char name[128];  /* the server's own */
        char label[128]; /* for people */
        bool is_bluetooth;
        bool is_recorded; /* somebody listens to one of its microphones */
        char active[64];  /* profile */
        struct server_profile profiles[SERVER_MAX_PROFILES];
        unsigned n_profiles;
};

/* Writes at most size of them; how many it wrote.  -ENOTCONN, -ETIMEDOUT (after two seconds), -ENOMEM. */
int server_cards(struct server_card *cards, size_t size);

/* Puts a profile in force.  Where source is not NULL, it waits until the card has a microphone, at most
 * five seconds, and writes the server's name of that.  0 or as above; -EIO: the server refuses. */
int server_use_profile(const char *card, const char *profile, char source[256]);

#endif
