/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/fake-capture.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "audio/capture.h"
#include "audio/follow.h"
#include "audio/frame.h"
#include "base/wake.h"

#define CAPACITY (FRAME_SAMPLES * 2000)

struct capture {
        int wake_fd;
        bool is_active, is_emptied;
        uint64_t lost, age_ns;
        unsigned n_channels;
        float *samples; /* owned; interleaved */
        size_t head, tail;
};

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct capture *open;
        int refusal;
        bool is_held;
        unsigned n_opened, n_closed;
        size_t n_given; /* samples; the place in the voice */
        float offset;
        bool is_opposite;
        uint32_t noise;
        enum follow_state follow;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void lock(void) {
        (void) pthread_mutex_lock(&fake.lock);
}

static void unlock(void) {
        (void) pthread_cond_broadcast(&fake.changed);
        (void) pthread_mutex_unlock(&fake.lock);
}

void fake_mic_reset(void) {
        lock();
        fake.refusal = 0;
        fake.is_held = false;
        fake.n_opened = fake.n_closed = 0;
        fake.n_given = 0;
        fake.offset = 0;
        fake.is_opposite = false;
        fake.noise = 1;
        fake.follow = FOLLOW_SAME;
        unlock();
}

void fake_mic_refuse(int r) {
        lock();
        fake.refusal = r;
        unlock();
}

void fake_mic_unplug(void) {
        lock();
        if (fake.open) {
                fake.open->is_active = false;
                wake_ring(fake.open->wake_fd);
        }
        unlock();
}

void fake_mic_set_age(uint64_t ns) {
        lock();
        if (fake.open)
                fake.open->age_ns = ns;
        unlock();
}

void fake_mic_set_lost(uint64_t n) {
        lock();
        if (fake.open)
                fake.open->lost = n;
        unlock();
}

void fake_mic_set_opposite(void) {
        lock();
        fake.is_opposite = true;
        unlock();
}

void fake_mic_set_offset(float offset) {
        lock();
        fake.offset = offset;
        unlock();
}

/* Never zero, and every band has some of it. */
static float noise(void) {
        fake.noise = fake.noise * 1664525 + 1013904223;
        return ((float) (fake.noise >> 16) - 32767.5f) / 32768;
}

/* A buzz of 130 Hz with a formant, four syllables a second. */
static float voice(size_t i) {
        float t = (float) i / FRAME_RATE, s = 0;

        for (int k = 1; k <= 20; k++)
                s += sinf(2 * (float) M_PI * 130 * (float) k * t) / (1 + fabsf((float) k - 5));
        return s * 0.08f * (0.6f + 0.4f * sinf(2 * (float) M_PI * 4 * t));
}

bool fake_mic_give(enum fake_sound sound, size_t n_frames) {
        bool is_open;

        lock();
        is_open = fake.open != NULL;
        if (is_open && n_frames > 0)
                fake.open->is_emptied = false;
        for (size_t i = 0; is_open && i < n_frames * FRAME_SAMPLES; i++) {
                float s = sound == FAKE_ZEROS ? 0 : noise() * 0.001f;

                if (sound == FAKE_VOICE)
                        s += voice(fake.n_given);
                fake.n_given++;
                fake.open->samples[fake.open->head++ % CAPACITY] = s + fake.offset;
                if (fake.open->n_channels == 2)
                        fake.open->samples[fake.open->head++ % CAPACITY] = -s;
        }
        if (is_open)
                wake_ring(fake.open->wake_fd);
        unlock();
        return is_open;
}

bool fake_mic_is_empty(void) {
        bool is_empty;

        lock();
        is_empty = !fake.open || fake.open->is_emptied;
        unlock();
        return is_empty;
}

void fake_mic_hold_close(bool held) {
        lock();
        fake.is_held = held;
        unlock();
}

bool fake_mic_is_open(void) {
        bool is_open;

        lock();
        is_open = fake.open != NULL;
        unlock();
        return is_open;
}

unsigned fake_mic_n_opened(void) {
        unsigned n;

        lock();
        n = fake.n_opened;
        unlock();
        return n;
}

unsigned fake_mic_n_closed(void) {
        unsigned n;

        lock();
        n = fake.n_closed;
        unlock();
        return n;
}

int capture_open(struct capture **ret, const struct capture_config *config, struct why *why) {
        struct capture *c;
        int refusal;

        lock();
        refusal = fake.refusal;
        if (!refusal) {
                c = calloc(1, sizeof(*c));
                c->samples = calloc(CAPACITY, sizeof(*c->samples));
                c->wake_fd = config->wake_fd;
                c->n_channels = fake.is_opposite ? 2 : 1;
                c->is_active = c->is_emptied = true;
                fake.open = c;
                fake.n_opened++;
                *ret = c;
        }
        unlock();
        return refusal ? because(why, refusal, "no microphone is plugged in") : 0;
}

struct capture *capture_close(struct capture *c) {
        if (!c)
                return NULL;

        lock();
        while (fake.is_held)
                (void) pthread_cond_wait(&fake.changed, &fake.lock);
        if (fake.open == c)
                fake.open = NULL;
        fake.n_closed++;
        unlock();
        free(c->samples);
        free(c);
        return NULL;
}

void fake_mic_set_follow(enum follow_state state) {
        lock();
        fake.follow = state;
        if (fake.open)
                wake_ring(fake.open->wake_fd);
        unlock();
}

int follow_start(struct follow **ret, const char *device, const char *source, int wake_fd) {
        (void) device;
        (void) wake_fd;
        (void) source;
        *ret = (struct follow *) &fake;
        return 0;
}

struct follow *follow_stop(struct follow *f) {
        (void) f;
        return NULL;
}

size_t follow_read_played(struct follow *f, float *samples, size_t n, uint64_t *ret_ns) {
        (void) f, (void) samples, (void) n, (void) ret_ns;
        return 0;
}

enum follow_state follow_state(const struct follow *f) {
        enum follow_state state;

        (void) f;
        lock();
        state = fake.follow;
        unlock();
        return state;
}

int capture_list(struct capture_device *devices, size_t size, struct why *why) {
        (void) why;
        if (size > 0)
                devices[0] = (struct capture_device){
                        .name = "fake",
                        .rate = FRAME_RATE,
                        .n_channels = 1,
                        .is_default = true,
                };
        return size > 0;
}

size_t capture_read(struct capture *c, float *samples, size_t n) {
        size_t i = 0;

        lock();
        n *= c->n_channels;
        c->is_emptied = c->tail == c->head;
        while (i < n && c->tail != c->head)
                samples[i++] = c->samples[c->tail++ % CAPACITY];
        unlock();
        return i / c->n_channels;
}

unsigned capture_channels(const struct capture *c) {
        return c->n_channels;
}

unsigned capture_rate(const struct capture *c) {
        (void) c;
        return FRAME_RATE;
}

const char *capture_device(const struct capture *c) {
        (void) c;
        return "fake";
}

const char *capture_source(const struct capture *c) {
        (void) c;
        return "fake source";
}

uint64_t capture_lost(const struct capture *c) {
        uint64_t n;

        lock();
        n = c->lost;
        unlock();
        return n;
}

uint64_t capture_age(const struct capture *c) {
        uint64_t ns;

        lock();
        ns = c->age_ns;
        unlock();
        return ns;
}

bool capture_is_active(const struct capture *c) {
        bool is_active;

        lock();
        is_active = c->is_active;
        unlock();
        return is_active;
}
