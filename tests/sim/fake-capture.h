/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_FAKE_CAPTURE_H
#define TESTS_SIM_FAKE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/follow.h"

/* A microphone of 16 kHz that is linked in place of the real one and gives what a test says.  One at
 * a time; any thread. */

/* As it is after the start of the program: opens, gives nothing. */
void fake_mic_reset(void);

/* Opening fails with this, 0: succeeds. */
void fake_mic_refuse(int r);

/* The device is unplugged. */
void fake_mic_unplug(void);

/* Nobody has heard from the device for so long. */
void fake_mic_set_age(uint64_t ns);

/* So many samples were lost in all. */
void fake_mic_set_lost(uint64_t n);

/* What is given from now on is by so much above zero. */
void fake_mic_set_offset(float offset);

/* When it is opened next it has two channels, one of which is the other upside down. */
void fake_mic_set_opposite(void);

/* The sound server says that it is gone, or that another one is meant by now. */
void fake_mic_set_follow(enum follow_state state);

/* Gives samples, at once: a voice, a quiet room, or zeros.  False when it is not open. */
enum fake_sound { FAKE_VOICE, FAKE_ROOM, FAKE_ZEROS };
bool fake_mic_give(enum fake_sound sound, size_t n_frames);

/* Whether all that was given was read, and handed on: the reader has asked for more. */
bool fake_mic_is_empty(void);

/* Closing stands at a gate until it is opened again, as PortAudio does with a frozen server. */
void fake_mic_hold_close(bool held);

bool fake_mic_is_open(void);
unsigned fake_mic_n_opened(void);
unsigned fake_mic_n_closed(void);

#endif
