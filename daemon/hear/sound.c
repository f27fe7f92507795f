/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/sound.h"

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

void sound_queue_done(struct sound_queue *q) {
        spsc_done(&q->queue);
        closep(&q->filled_fd);
        closep(&q->room_fd);
        q->filled_fd = q->room_fd = -1;
}
