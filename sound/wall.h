/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_WALL_H
#define SOUND_WALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/capture.h"
#include "audio/frame.h"
#include "base/why.h"

/* What stands between gemmad and the sound: the libraries that open devices and decode files are
 * large, parse what strangers made and were not written for that, so they live in other processes.
 *
 *   gemmad                              gemmad-sound, the starter      ... and a worker of it
 *   daemon/hear/starter.c  ─ a request with four descriptors ─→  fork()
 *   daemon/hear/ear.c      ─ one task (and the file) ──────────────────────→  sound/worker.c
 *                          ←─ frames through shared memory, a bell each way ──
 *                          ←─ a few words: opened, failed, listed ────────────
 *
 * A worker does one thing - one opening of the microphone, one file, one list of devices - and ends.
 * So nothing that a library leaks can add up, no file shares a process with the microphone or with
 * another file, a library that hangs is cured by killing its process, and what was heard goes back to
 * the kernel with the memory.  Before it looks at its task's sound it gives up what that task does
 * not need (sound/confine.h).
 *
 * What crosses the wall is frames of 640 samples at 16 kHz with the time of their last sample, what a
 * level meter wants to know of the raw sound, and the messages below; nothing else, and no pointer.
 * Where speech is in those frames is found on gemmad's side, by its own arithmetic over numbers that
 * are finite by then: what it knows of the room outlives a microphone that is closed or a worker that
 * is killed, and a turn that waits or is called back needs the very frames that were judged.
 *
 * gemmad believes nothing that comes through: its own index is in its own memory, each frame and each
 * message is copied first, and what is in the copy is checked and brought within bounds after that. */

#define WALL_VERSION 1

/* Room for so many frames, 5 s: the thread that reads them may be busy with something else. */
#define WALL_FRAMES 128

/* Whose room is less than this may wait for more: the bell is rung then when there is. */
#define WALL_LOW 32

/* One frame, and what it was before it was made fit. */
struct wall_frame {
        struct frame frame; /* framed_ns is the reader's to write */
        float offset;       /* of a microphone: what its samples are on the average, of full scale */
        float value;        /* ... its last sample */
        uint8_t is_still;   /* ... and whether all that came since the frame before were the same */
};

/* The memory that both have.  Written by the worker only: head, beat and the slots, which the reader wipes. */
struct wall {
        _Alignas(64) _Atomic uint32_t head;
        _Alignas(64) _Atomic uint32_t tail; /* written by the reader only */
        _Alignas(64) _Atomic uint32_t beat; /* counts up at least once a second */
        _Alignas(64) struct wall_frame slots[WALL_FRAMES];
};

/* A wall and the descriptor of its memory, of which neither side can change the size.  0 or -errno. */
int wall_make(struct wall **ret, int *ret_fd);

/* The same memory, by its descriptor, which stays the caller's. */
int wall_map(struct wall **ret, int fd);
struct wall *wall_unmap(struct wall *w);

/* The worker's side: for how many frames there is room, and one more.  False: there is none. */
bool wall_push(struct wall *w, const struct wall_frame *frame);
unsigned wall_room(const struct wall *w);

/* The reader's side, with its own count of what it took (0 at first).  1 and a frame that is sound in
 * all respects, 0: there is none, -EBADMSG: no worker of ours counts like that. */
int wall_pop(struct wall *w, uint32_t *tail, struct wall_frame *ret);

/* A bell across the wall.  Each side has an end of its own: a descriptor that both share one side could
 * make wait, and the other would.  Rung by wake_ring(), which never waits, nor does this.  0 or -errno. */
int wall_make_bell(int *ret_hearer_fd, int *ret_ringer_fd);
void wall_clear_bell(int hearer_fd);

/* What a worker is to do. */
enum wall_kind {
        WALL_MICROPHONE,
        WALL_FILE, /* comes with its descriptor */
        WALL_LIST,
};

struct wall_task {
        uint32_t version;
        uint32_t kind;
        char device[256];            /* of a microphone, as in struct capture_config; empty: any */
        uint64_t stall_ms, total_ms; /* of a file, as in struct input_config */
        uint64_t max_spooled;        /* ... and in struct source_config */
};

/* What a worker says, in this order. */
enum wall_word {
        WALL_HERE,   /* first of all, with a descriptor of the process */
        WALL_OPEN,   /* the microphone or file is open: frames follow */
        WALL_OTHER,  /* another microphone is the system's choice by now */
        WALL_LISTED, /* r of them; the end */
        WALL_FAILED, /* the end; r is negative */
};

struct wall_device {
        char name[128];
        uint32_t rate, n_channels;
        uint8_t is_default, is_bluetooth;
};

#define WALL_MAX_LISTED 32

struct wall_message {
        uint32_t word;
        int32_t r;
        union {
                struct why why;
                struct {
                        char device[128];
                        uint8_t is_live; /* of a file: it comes at the speed of its writer */
                } open;
                struct wall_device listed[WALL_MAX_LISTED];
        };
};

/* Brings a message that was received within its bounds: numbers, and texts that can be shown.  False
 * when there is no such message. */
bool wall_check(struct wall_message *message);

/* A request to the starter, with the descriptors it needs. */
enum wall_request {
        WALL_START_WORKER,  /* socket, wall, its ends of the bells: of gemmad's, of its own */
        WALL_START_STARTER, /* socket: another one like it, for when this one is no more */
};
#define WALL_MAX_FDS 4

#endif
