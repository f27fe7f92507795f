/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "audio/source.h"
#include "base/cleanup.h"
#include "tests/tap.h"

/* The sounds made here are nobody's, which the second stage knows. */
#define FIRST_STAGE                                                                                \
        ((struct endpoint_config){                                                                 \
                .start_ms = 100, .pause_ms = 200, .end_ms = 700, .is_unlearned = true })

#define FRAME_MS  40
#define CLIPS_MAX 12
#define PAUSE     50 /* frames of silence around each clip: 2 s */
#define AROUND    5  /* frames before and after a clip that are neither right nor wrong */
#define ACTIVE_DB -26.0
#define ROOM_DB   -80.0 /* the noise where there is "none" */

DEFINE_CLEANUP(struct endpoint *, endpoint_free)
DEFINE_CLEANUP(struct source *, source_close)

enum label { LABEL_SILENCE, LABEL_SPEECH, LABEL_EITHER };

/* Several clips with pauses between them, each brought to the same level. */
static struct {
        float *samples;        /* owned, whole frames */
        unsigned char *labels; /* owned, one per frame */
        size_t n_frames;
        unsigned n_clips;
} scene;

struct score {
        double hit, false_alarm;
        unsigned n_starts, n_ends;
};

static float random_sample(uint32_t *state) {
        *state = *state * 1664525u + 1013904223u;
        return (float) (*state >> 8) / 8388608.0f - 1;
}

static double power(const float *samples, size_t n) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += (double) samples[i] * (double) samples[i];
        return n > 0 ? sum / (double) n : 0;
}

static double from_db(double db) {
        return pow(10, db / 10);
}

static void grow(size_t n_frames) {
        size_t n = scene.n_frames + n_frames;

        scene.samples = realloc(scene.samples, n * FRAME_SAMPLES * sizeof(*scene.samples));
        scene.labels = realloc(scene.labels, n);
        if (!scene.samples || !scene.labels)
                abort();
        memset(scene.samples + scene.n_frames * FRAME_SAMPLES, 0,
               n_frames * FRAME_SAMPLES * sizeof(*scene.samples));
        memset(scene.labels + scene.n_frames, LABEL_SILENCE, n_frames);
        scene.n_frames = n;
}

/* What is within 30 dB of the loudest frame is speech; brings the speech to the level. */
static void label_clip(size_t first, size_t n_frames) {
        float *samples = scene.samples + first * FRAME_SAMPLES;
        double loudest = 0, sum = 0, gain;
        size_t n_active = 0;

        for (size_t f = 0; f < n_frames; f++)
                loudest = fmax(loudest, power(samples + f * FRAME_SAMPLES, FRAME_SAMPLES));
        for (size_t f = 0; f < n_frames; f++) {
                double p = power(samples + f * FRAME_SAMPLES, FRAME_SAMPLES);
                bool is_active = p > loudest * from_db(-30);

                scene.labels[first + f] = is_active ? LABEL_SPEECH : LABEL_EITHER;
                sum += is_active ? p : 0;
                n_active += is_active;
        }

        gain = sqrt(from_db(ACTIVE_DB) / (sum / (double) n_active));
        for (size_t i = 0; i < n_frames * FRAME_SAMPLES; i++)
                samples[i] *= (float) gain;
}

static void add_clip(const char *path) {
        const struct source_config config = {};
        _cleanup_(source_closep) struct source *s = NULL;
        _cleanup_(closep) int fd = -1;
        size_t first = scene.n_frames, n;
        struct frame frame;
        struct why why;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || source_open(&s, fd, &config, &why) < 0)
                return;
        while (source_read(s, &frame, &why) == 1) {
                grow(1);
                memcpy(scene.samples + (scene.n_frames - 1) * FRAME_SAMPLES, frame.samples,
                       sizeof(frame.samples));
        }
        n = scene.n_frames - first;
        label_clip(first, n);
        grow(PAUSE);
        for (unsigned k = 1; k <= AROUND; k++) {
                scene.labels[first - k] = LABEL_EITHER;
                scene.labels[first + n + k - 1] = LABEL_EITHER;
        }
        scene.n_clips++;
}

static void make_scene(void) {
        const char *dir = getenv("SPEECH_DIR");
        char pattern[4096];
        glob_t found;

        (void) snprintf(pattern, sizeof(pattern), "%s/*.wav", dir ? dir : "tests/speech");

        grow(2 * PAUSE);
        if (glob(pattern, 0, NULL, &found) == 0)
                for (size_t i = 0; i < found.gl_pathc && scene.n_clips < CLIPS_MAX; i++)
                        add_clip(found.gl_pathv[i]);
        globfree(&found);
}

enum noise { NOISE_WHITE, NOISE_PINK, NOISE_RUMBLE, NOISE_SWELLING };

static float *make_noise(enum noise kind, size_t n) {
        float *noise = calloc(n, sizeof(*noise));
        double slow = 0, middle = 0, fast = 0;
        uint32_t state = 7;

        for (size_t i = 0; noise && i < n; i++) {
                double w = (double) (random_sample(&state) + random_sample(&state));

                slow = 0.998 * slow + 0.1 * w;
                middle = 0.963 * middle + 0.3 * w;
                fast = 0.57 * fast + 1.05 * w;
                switch (kind) {
                case NOISE_WHITE:
                        break;
                case NOISE_PINK:
                        w = slow + middle + fast + 0.18 * w;
                        break;
                case NOISE_RUMBLE:
                        w = slow + 0.3 * middle;
                        break;
                case NOISE_SWELLING:
                        w *= 1 + 0.3 * sin(2 * M_PI * 0.7 * (double) i / FRAME_RATE);
                        break;
                }
                noise[i] = (float) w;
        }
        return noise;
}

static struct score judge(const float *noise, double noise_db) {
        struct endpoint_config config = { .start_ms = 100, .pause_ms = 120, .end_ms = 700, .is_unlearned = true };
        const float gain =
                (float) sqrt(from_db(noise_db) / power(noise, scene.n_frames * FRAME_SAMPLES));
        _cleanup_(freep) bool *verdicts = calloc(scene.n_frames, sizeof(*verdicts));
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        size_t counts[2] = { 0 }, positives[2] = { 0 };
        struct score score = { 0 };

        expect(endpoint_new(&e, &config) == 0);
        for (size_t f = 0; f < scene.n_frames; f++) {
                struct frame frame = { 0 };
                enum endpoint_verdict v;

                for (size_t i = 0; i < FRAME_SAMPLES; i++)
                        frame.samples[i] = scene.samples[f * FRAME_SAMPLES + i] +
                                           gain * noise[f * FRAME_SAMPLES + i];
                v = endpoint_push(e, &frame);
                verdicts[f] = v == ENDPOINT_START || v == ENDPOINT_SPEECH;
                score.n_starts += v == ENDPOINT_START;
                score.n_ends += v == ENDPOINT_END;
                for (unsigned k = 1; v == ENDPOINT_START && k <= endpoint_onset(e) && k <= f; k++)
                        verdicts[f - k] = true;
        }

        for (size_t f = PAUSE; f < scene.n_frames; f++) {
                if (scene.labels[f] == LABEL_EITHER)
                        continue;
                counts[scene.labels[f]]++;
                positives[scene.labels[f]] += verdicts[f];
        }
        score.hit = (double) positives[LABEL_SPEECH] / (double) counts[LABEL_SPEECH];
        score.false_alarm = (double) positives[LABEL_SILENCE] / (double) counts[LABEL_SILENCE];
        return score;
}

/* Frames found (with the onset), silent frames taken for speech, utterances. */
static void in_noise(void) {
        static const char *const names[] = { "white", "pink", "rumble", "swelling" };
        /* clang-format off */
        static const struct {
                double snr_db, hit_min, false_max;
        } rows[] = {
                { ACTIVE_DB - ROOM_DB, 0.98, 0.01 },
                { 20, 0.98, 0.01 },
                { 10, 0.95, 0.01 },
                {  5, 0.88, 0.01 },
        };
        /* clang-format on */
        expect(scene.n_clips >= 3);
        for (size_t k = 0; k < 4; k++) {
                _cleanup_(freep) float *noise =
                        make_noise((enum noise) k, scene.n_frames * FRAME_SAMPLES);

                for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                        struct score s = judge(noise, ACTIVE_DB - rows[i].snr_db);

                        printf("# %-8s %2.0f dB: hit %.3f false %.3f, %u starts, %u ends of %u\n",
                               names[k], rows[i].snr_db, s.hit, s.false_alarm, s.n_starts, s.n_ends,
                               scene.n_clips);
                        expect(s.hit >= rows[i].hit_min);
                        expect(s.false_alarm <= rows[i].false_max);
                        expect(s.n_starts == scene.n_clips && s.n_ends == scene.n_clips);
                }
        }
}

static void fill(struct frame *frame, uint32_t *state, double db) {
        for (size_t i = 0; i < FRAME_SAMPLES; i++)
                frame->samples[i] = random_sample(state) * (float) sqrt(3 * from_db(db));
}

/* A loud sound that is not there otherwise, n frames long, in a quiet room; returns where START
 * was, counted from its beginning, or -1. */
static int burst(struct endpoint *e, unsigned n_frames, unsigned n_after, unsigned counts[5]) {
        uint32_t state = 3;
        int start = -1;

        for (int f = -60; f < (int) (n_frames + n_after); f++) {
                struct frame frame = { 0 };
                enum endpoint_verdict v;

                fill(&frame, &state, f >= 0 && f < (int) n_frames ? -30 : -75);
                v = endpoint_push(e, &frame);
                if (v == ENDPOINT_START)
                        start = f;
                counts[v]++;
        }
        return start;
}

static void order_and_times(void) {
        struct endpoint_config config = { .start_ms = 100, .pause_ms = 200, .end_ms = 700, .is_unlearned = true };
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned counts[5] = { 0 }, speech_frames = 20;
        int start;

        expect(endpoint_new(&e, &config) == 0);
        start = burst(e, speech_frames, 40, counts);

        /* 100 ms are certain within the third frame; what came before is in the onset. */
        expect(start == 2);
        expect(endpoint_onset(e) >= (unsigned) start && endpoint_onset(e) <= ENDPOINT_ONSET_MAX);
        expect(counts[ENDPOINT_START] == 1 && counts[ENDPOINT_END] == 1);

        /* Speech lasts until 200 ms of silence, the pause until 700 ms, give or take a frame. */
        expect(counts[ENDPOINT_SPEECH] >= speech_frames - 3 + 4);
        expect(counts[ENDPOINT_SPEECH] <= speech_frames - 3 + 7);
        expect(counts[ENDPOINT_PAUSE] >= 11 && counts[ENDPOINT_PAUSE] <= 13);
}

static void clicks(void) {
        struct endpoint_config config = FIRST_STAGE;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned counts[5] = { 0 };

        expect(endpoint_new(&e, &config) == 0);
        expect(burst(e, 1, 30, counts) == -1);
        expect(counts[ENDPOINT_SILENCE] == 60 + 1 + 30);
}

static void quiet_rooms(void) {
        static const double rooms_db[] = { -200, -100, -70, -50, -40 };
        struct endpoint_config config = FIRST_STAGE;

        for (size_t i = 0; i < sizeof(rooms_db) / sizeof(rooms_db[0]); i++) {
                _cleanup_(endpoint_freep) struct endpoint *e = NULL;
                uint32_t state = 1;

                expect(endpoint_new(&e, &config) == 0);
                for (unsigned f = 0; f < 1500; f++) {
                        struct frame frame = { 0 };

                        fill(&frame, &state, rooms_db[i]);
                        expect(endpoint_push(e, &frame) == ENDPOINT_SILENCE);
                }
                if (rooms_db[i] >= -70)
                        expect(fabs((double) endpoint_noise_db(e) - rooms_db[i]) < 3);
        }
}

static void new_fan(void) {
        struct endpoint_config config = FIRST_STAGE;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        uint32_t state = 1;
        int last = -1;

        expect(endpoint_new(&e, &config) == 0);
        for (int f = 0; f < 400; f++) {
                struct frame frame = { 0 };

                fill(&frame, &state, f < 100 ? -70 : -35);
                if (endpoint_push(e, &frame) != ENDPOINT_SILENCE)
                        last = f;
        }
        expect(last < 100 + 2600 / FRAME_MS);
}

static void a_slammed_door(void) {
        struct endpoint_config config = FIRST_STAGE;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned counts[5] = { 0 };
        uint32_t state = 1;

        expect(endpoint_new(&e, &config) == 0);
        for (int f = 0; f < 80; f++) {
                struct frame frame = { 0 };

                fill(&frame, &state, f >= 50 && f < 60 ? -1 : -70);
                (void) endpoint_push(e, &frame);
        }
        endpoint_abandon(e);
        expect(burst(e, 20, 30, counts) == 2);
}

static void abandoned(void) {
        struct endpoint_config config = FIRST_STAGE;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned counts[5] = { 0 };
        struct frame silence = { 0 };

        expect(endpoint_new(&e, &config) == 0);
        expect(burst(e, 20, 0, counts) == 2);
        endpoint_abandon(e);
        for (unsigned i = 0; i < 50; i++)
                expect(endpoint_push(e, &silence) == ENDPOINT_SILENCE);
        expect(burst(e, 20, 40, counts) == 2);
        expect(!endpoint_free(NULL));
}

static void no_numbers(void) {
        struct endpoint_config config = FIRST_STAGE;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned counts[5] = { 0 };
        struct frame bad = { 0 };

        expect(endpoint_new(&e, &config) == 0);
        bad.samples[100] = NAN;
        bad.samples[300] = INFINITY;
        (void) endpoint_push(e, &bad);
        expect(burst(e, 20, 40, counts) == 2);
}

int main(void) {
        make_scene();
        rule("speech is found in noise down to 5 dB, and noise is not speech", in_noise);
        rule("start, speech, pause and end come in order and on time", order_and_times);
        rule("a click starts nothing", clicks);
        rule("a steady room is silence, however loud", quiet_rooms);
        rule("a new fan belongs to the room after 2.6 s", new_fan);
        rule("a slammed door makes nobody unheard", a_slammed_door);
        rule("an abandoned utterance leaves no trace", abandoned);
        rule("what is no number spoils nothing", no_numbers);
        free(scene.samples);
        free(scene.labels);
        return tap_done();
}
