/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_HEADSET_H
#define AUDIO_HEADSET_H

#include "audio/server-card.h"

/* A Bluetooth headset either plays well or has a microphone as well: a profile each.  Whoever chose its
 * microphone gets it for as long as it is open, and has the profile of before again afterwards.  Where the
 * sound server changes profiles by itself, there is a microphone in the first place, and nothing is
 * done here. */
struct headset {
        char card[128]; /* "": nothing was changed */
        char before[64], during[64]; /* profiles */
};

/* Gives the headset that is meant by that name (of its card, of the microphone that it would have, or
 * of what people call it, or a part of those) a microphone, whose name is written to source.  1: it has
 * one now; 0: no such headset, none that could, or no server; else what stood in the way, and nothing has
 * changed. */
int headset_take(struct headset *h, const char *name, char source[256]);

/* Unless somebody else has changed it since, or listens to it by now. */
void headset_give_back(struct headset *h);

/* Writes the names of those that would have a microphone if they were taken; how many. */
int headset_list(char names[][128], int size);

#endif
