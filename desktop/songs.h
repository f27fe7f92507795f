/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SONGS_H
#define DESKTOP_SONGS_H

#include "desktop/call.h"

struct desktop;

/* The tool media, told to play a name: what in the user's folder of music has all words of a name, in those of the file and of
 * the folders that it is in, is opened in the program for it; several songs as a playlist.  The folder is looked
 * through beside the loop, one name at a time. */
void songs_play(struct desktop *d, struct call *call);

#endif
