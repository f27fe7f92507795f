/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/sound.h"

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/wake.h"

int sound_queue_init(struct sound_queue *q) {
        int r;

        *q = (struct sound_queue){ .filled_fd = -1, .room_fd = -1 };

        r = spsc_init(&q->queue, SOUND_QUEUE_FRAMES, sizeof(struct sound));
        if (r < 0)
                return r;
        r = q->filled_fd = wake_open();
        if (r >= 0)
                r = q->room_fd = wake_open();
        if (r < 0) {
                sound_queue_done(q);
                return r;
        }
        return 0;
}

/* Turn, pause and verdict in one word, so that none can be taken for that of another pause.  Of the
 * numbers the last digits will do: the word before is not that old. */
static uint64_t word_of(uint64_t turn, unsigned pause, enum ending ending) {
        return (turn & 0xffffffff) << 32 | (uint64_t) (pause & 0xffffff) << 8 | (uint64_t) ending;
}

void sound_judge(struct sound_queue *q, uint64_t turn, unsigned pause, enum ending ending) {
        atomic_store_explicit(&q->judged, word_of(turn, pause, ending), memory_order_release);
        wake_ring(q->room_fd);
}

enum ending sound_judged(const struct sound_queue *q, uint64_t turn, unsigned pause) {
        uint64_t word = atomic_load_explicit(&q->judged, memory_order_acquire);

        if (word >> 8 != word_of(turn, pause, ENDING_NONE) >> 8)
                return ENDING_NONE;
        return (enum ending)(word & 0xff);
}

void sound_queue_done(struct sound_queue *q) {
        spsc_done(&q->queue);
        closep(&q->filled_fd);
        closep(&q->room_fd);
        q->filled_fd = q->room_fd = -1;
}
