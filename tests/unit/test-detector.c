/* SPDX-License-Identifier: Apache-2.0 */
/* What has been learnt of people, on recordings of tests/speech and sounds that are made here. */
#include "audio/endpoint.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/tap.h"
#include "tests/unit/recording.h"

#define MAX_FRAMES 1000

DEFINE_CLEANUP(struct endpoint *, endpoint_free)

static float samples[MAX_FRAMES * FRAME_SAMPLES];
static float voice[MAX_FRAMES];                 /* by the second look */
static enum endpoint_verdict verdicts[MAX_FRAMES];
static uint32_t seed = 1;

static const char *const recordings[] = {
        "set-a-timer-for-five-minutes.flite-rms.wav", "turn-the-volume-up.festival-ked.wav",
        "lock-the-screen.espeak-f5.wav",              "hey-gemma-play-some-music.festival-ked.wav",
        "what-day-is-it-today.espeak-m8.wav",
};
#define N_RECORDINGS (sizeof(recordings) / sizeof(recordings[0]))

static float noise(void) {
        seed = seed * 1664525u + 1013904223u;
        return (float) (seed >> 8) / 8388608.0f - 1;
}

static unsigned between(unsigned low, unsigned high) {
        return low + (unsigned) ((noise() + 1) / 2 * (float) (high - low));
}

/* A room of -70 dB. */
static void make_room(size_t n_frames) {
        for (size_t i = 0; i < n_frames * FRAME_SAMPLES; i++)
                samples[i] = 0.0005f * noise();
}

/* Six resonances that were struck. */
static void strike(size_t at, float loud) {
        for (unsigned k = 0; k < 6; k++) {
                float hz = (float) between(900, 5000), die = 0.004f + 0.06f * (noise() + 1);

                for (size_t i = 0; i < 8000; i++) {
                        float t = (float) i / FRAME_RATE;

                        samples[at + i] += loud / 6 * sinf(2 * (float) M_PI * hz * t) * expf(-t / die);
                }
        }
}

static void clatter(size_t first_frame, size_t n_frames, float loud) {
        size_t at = first_frame * FRAME_SAMPLES, end = (first_frame + n_frames) * FRAME_SAMPLES - 8000;

        while (at < end) {
                strike(at, loud);
                at += between(1500, 12000);
        }
}

static void tone(size_t first_frame, size_t n_frames, float loud) {
        for (size_t i = 0; i < n_frames * FRAME_SAMPLES; i++)
                samples[first_frame * FRAME_SAMPLES + i] +=
                        loud * sinf(2 * (float) M_PI * 880 * (float) i / FRAME_RATE);
}

/* Over the room; how many frames. */
static size_t say(const char *name, size_t at) {
        static float said[400 * FRAME_SAMPLES];
        size_t n;

        memset(said, 0, sizeof(said));
        n = load_recording(name, said, 0, 400);
        for (size_t i = 0; i < n * FRAME_SAMPLES; i++)
                samples[at * FRAME_SAMPLES + i] += said[i];
        return n;
}

static void listen(size_t n_frames) {
        const struct endpoint_config config = ENDPOINT_DEFAULTS;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;

        expect(endpoint_new(&e, &config) == 0);
        for (size_t f = 0; f < n_frames; f++) {
                struct frame frame = { .n_valid = FRAME_SAMPLES };

                memcpy(frame.samples, samples + f * FRAME_SAMPLES, sizeof(frame.samples));
                verdicts[f] = endpoint_push(e, &frame);
                for (unsigned k = 0; k <= ENDPOINT_LATE && k <= f; k++)
                        voice[f - k] = endpoint_probability(e, k);
                for (unsigned k = 1;
                     verdicts[f] == ENDPOINT_START && k <= endpoint_onset(e) && k <= f; k++)
                        verdicts[f - k] = ENDPOINT_SPEECH;
        }
}

static unsigned count(size_t from, size_t to) {
        unsigned n = 0;

        for (size_t f = from; f < to; f++)
                n += verdicts[f] == ENDPOINT_SPEECH || verdicts[f] == ENDPOINT_START;
        return n;
}

/* tests/golden/detector.txt has what training/detector.py --golden says of a recording. */
static void it_is_the_net_that_was_trained(void) {
        const char *dir = getenv("GOLDEN_DIR");
        char path[4096];
        float want, worst = 0;
        size_t n, at = 0;
        FILE *file;

        (void) snprintf(path, sizeof(path), "%s/detector.txt", dir ? dir : "tests/golden");
        file = fopen(path, "re");
        expect(file);
        memset(samples, 0, sizeof(samples));
        n = load_recording(recordings[0], samples, 0, MAX_FRAMES);
        listen(n);
        while (file && fscanf(file, "%f", &want) == 1)
                worst = fmaxf(worst, fabsf(want - voice[at++]));
        if (file)
                (void) fclose(file);
        printf("# %zu frames, at worst %.4f from PyTorch's\n", at, (double) worst);
        expect(at + ENDPOINT_LATE == n && worst < 0.02f);
}

static void people_are_heard(void) {
        for (size_t i = 0; i < N_RECORDINGS; i++) {
                size_t n;

                make_room(300);
                n = say(recordings[i], 60);
                listen(60 + n + 40);
                printf("# %s: %u of %zu frames\n", recordings[i], count(60, 60 + n), n);
                expect(count(60, 60 + n) * 10 > n * 7);
                expect(count(0, 52) == 0);
                expect(verdicts[60 + n + 30] == ENDPOINT_SILENCE);
        }
}

static void clatter_is_not(void) {
        static const float louds[] = { 0.02f, 0.1f, 0.4f };

        for (size_t i = 0; i < 3; i++) {
                make_room(800);
                clatter(50, 700, louds[i]);
                listen(800);
                printf("# %.2f: %u frames\n", (double) louds[i], count(0, 800));
                expect(count(0, 800) < 40);
        }
}

/* The words are found among it, and the utterance is about as long as they are. */
static void people_are_heard_in_clatter(void) {
        unsigned n_found = 0;

        for (size_t i = 0; i < N_RECORDINGS; i++) {
                size_t n;

                make_room(400);
                clatter(10, 380, 0.1f);
                n = say(recordings[i], 120);
                listen(400);
                n_found += count(120, 120 + n) * 10 > n * 6;
                printf("# %s: %u of %zu frames, %u others\n", recordings[i], count(120, 120 + n), n,
                       count(0, 400) - count(120, 120 + n));
                expect(count(0, 110) + count(120 + n + 10, 400) < 60);
        }
        expect(n_found + 1 >= N_RECORDINGS);
}

static void a_start_tone_is_no_word(void) {
        make_room(300);
        tone(20, 6, 0.3f);
        (void) say(recordings[0], 45);
        listen(200);
        expect(count(0, 36) == 0 && count(45, 90) > 30);
}

/* It remembers nothing that would make it deaf. */
static void it_hears_as_well_after_ten_minutes(void) {
        const struct endpoint_config config = ENDPOINT_DEFAULTS;
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        unsigned n_speech = 0, n_before = 0;
        size_t n;

        expect(endpoint_new(&e, &config) == 0);
        make_room(750);
        clatter(300, 100, 0.1f);
        n = say(recordings[0], 600);
        for (size_t f = 0; f < 15750; f++) {
                size_t at = f < 15000 ? f % 500 : f - 15000;
                struct frame frame = { .n_valid = FRAME_SAMPLES };
                enum endpoint_verdict v;

                memcpy(frame.samples, samples + at * FRAME_SAMPLES, sizeof(frame.samples));
                v = endpoint_push(e, &frame);
                if (v == ENDPOINT_START || v == ENDPOINT_SPEECH)
                        *(f < 15600 ? &n_before : &n_speech) += 1;
        }
        printf("# %u of %zu frames, %u before\n", n_speech, n, n_before);
        expect(n_speech * 10 > n * 6 && n_before < 15600 / 20);
}

static void what_is_no_number_spoils_nothing(void) {
        size_t n;

        make_room(300);
        samples[10 * FRAME_SAMPLES] = NAN;
        samples[30 * FRAME_SAMPLES] = INFINITY;
        n = say(recordings[0], 60);
        listen(60 + n + 40);
        expect(count(60, 60 + n) * 10 > n * 7 && count(0, 50) == 0);
}

int main(void) {
        rule("it is the net that was trained", it_is_the_net_that_was_trained);
        rule("people are heard", people_are_heard);
        rule("clatter is not, however loud", clatter_is_not);
        rule("people are heard in clatter", people_are_heard_in_clatter);
        rule("a start tone is no word", a_start_tone_is_no_word);
        rule("it hears as well after ten minutes", it_hears_as_well_after_ten_minutes);
        rule("what is no number spoils nothing", what_is_no_number_spoils_nothing);
        return tap_done();
}
