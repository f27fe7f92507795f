/* SPDX-License-Identifier: Apache-2.0 */
/* What the loudspeaker plays is taken out of what the microphone hears: in a room that is computed, with
 * recordings of tests/speech. */
#include "audio/echo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bench/room.h"
#include "tests/tap.h"
#include "tests/unit/recording.h"

DEFINE_CLEANUP(struct echo *, echo_free)

#define MAX_FRAMES 600
#define BEGAN_NS   UINT64_C(5000000000)

static float voice[MAX_FRAMES * FRAME_SAMPLES], said[MAX_FRAMES * FRAME_SAMPLES];
static float heard[MAX_FRAMES * FRAME_SAMPLES], clear[(MAX_FRAMES + 8) * FRAME_SAMPLES];
static size_t n_voice;

static void load_voice(void) {
        static const char *const names[] = {
                "how-are-you-today.flite-rms.wav",  "what-day-is-it-today.espeak-m8.wav",
                "set-a-timer-for-five-minutes.flite-rms.wav", "lock-the-screen.espeak-f5.wav",
                "what-time-is-it.flite-rms.wav",    "turn-the-volume-up.festival-ked.wav",
        };

        for (unsigned i = 0; n_voice < 500; i++)
                n_voice = load_recording(names[i % 6], voice, n_voice, MAX_FRAMES);
}

/* How things are between the two streams: each comes some ms after it was made, now more, now less. */
struct scene {
        unsigned delay_ms, jitter_ms;
        unsigned played_late_ms; /* what is played is told so much later */
        unsigned pause_from, pause_to; /* frames for which nothing of what is played, which is nothing, comes */
        bool is_said;
};

static float power(const float *samples, size_t first, size_t n) {
        double sum = 1e-12;

        for (size_t i = 0; i < n; i++)
                sum += (double) samples[first * FRAME_SAMPLES + i] *
                       (double) samples[first * FRAME_SAMPLES + i];
        return (float) (10 * log10(sum / (double) n));
}

static uint64_t jitter(unsigned ms) {
        return ms > 0 ? (uint64_t) (unsigned) (rand() % (int) ms) * 1000000 : 0;
}

/* Plays n frames of the voice; returns how many samples came out. */
static size_t play(const struct scene *s, size_t n) {
        const struct room_config config = {
                .delay_ms = s->delay_ms, .echo_ms = 250, .gain_db = -6, .noise_db = -70, .seed = 7,
        };
        _cleanup_(room_freep) struct room *room = NULL;
        _cleanup_(echo_freep) struct echo *echo = NULL;
        size_t n_out = 0;

        srand(3);
        expect(room_new(&room, &config) == 0 && echo_new(&echo) == 0);
        for (size_t i = 0; i < n; i++) {
                uint64_t now = BEGAN_NS + (i + 1) * UINT64_C(40000000);
                bool is_paused = i >= s->pause_from && i < s->pause_to;
                float *at = heard + i * FRAME_SAMPLES;

                room_hear(room, is_paused ? NULL : voice + i * FRAME_SAMPLES,
                          s->is_said ? said + i * FRAME_SAMPLES : NULL, FRAME_SAMPLES, at);
                if (!is_paused)
                        echo_play(echo, voice + i * FRAME_SAMPLES, FRAME_SAMPLES,
                                  now + s->played_late_ms * UINT64_C(1000000) + jitter(s->jitter_ms));
                n_out += echo_cancel(echo, at, FRAME_SAMPLES,
                                     now + 20000000 + jitter(s->jitter_ms), clear + n_out);
                expect(n_out <= (i + 1) * FRAME_SAMPLES);
                expect(n_out + (ECHO_HELD + 1) * ECHO_BLOCK > (i + 1) * FRAME_SAMPLES);
        }
        return n_out;
}

static void the_echo_goes(void) {
        static const struct scene scenes[] = {
                { .delay_ms = 10 },
                { .delay_ms = 60, .jitter_ms = 15 },
                { .delay_ms = 250, .jitter_ms = 15 },
                { .delay_ms = 500, .jitter_ms = 15 },
                { .delay_ms = 150, .jitter_ms = 15, .played_late_ms = 60 },
        };

        for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
                size_t n = 450 * FRAME_SAMPLES;
                float before, after;

                expect(play(&scenes[i], 460) >= n);
                before = power(heard, 250, 200 * FRAME_SAMPLES);
                after = power(clear, 250, 200 * FRAME_SAMPLES);
                printf("# %u ms: %.1f dB become %.1f\n", scenes[i].delay_ms, (double) before,
                       (double) after);
                expect(after < before - 20);
        }
}

/* How alike what came out is to what was said, where it was said. */
static float likeness(size_t first, size_t n, int shift) {
        double a = 0, b = 0, product = 0;

        for (size_t i = first * FRAME_SAMPLES; i < (first + n) * FRAME_SAMPLES; i++) {
                double x = (double) said[i], y = (double) clear[i + (size_t) shift];

                product += x * y;
                a += x * x;
                b += y * y;
        }
        return (float) (product / sqrt(a * b + 1e-12));
}

static void who_speaks_over_it_stays(void) {
        const struct scene scene = { .delay_ms = 150, .jitter_ms = 15, .is_said = true };
        size_t n;
        float most = 0;

        memset(said, 0, sizeof(said));
        n = load_recording("hey-gemma-play-some-music.festival-ked.wav", said, 300, MAX_FRAMES) - 300;
        (void) play(&scene, 460);
        for (int shift = 0; shift < 3 * ECHO_BLOCK; shift++)
                most = fmaxf(most, likeness(300, n, shift));
        printf("# likeness %.2f\n", (double) most);
        expect(most > 0.9f);
}

static void silence_costs_nothing(void) {
        static float quiet[MAX_FRAMES * FRAME_SAMPLES];
        _cleanup_(echo_freep) struct echo *echo = NULL;
        size_t n_out = 0;

        expect(echo_new(&echo) == 0);
        for (size_t i = 0; i < 100; i++) {
                uint64_t now = BEGAN_NS + (i + 1) * UINT64_C(40000000);

                echo_play(echo, quiet + i * FRAME_SAMPLES, FRAME_SAMPLES, now);
                n_out += echo_cancel(echo, voice + i * FRAME_SAMPLES, FRAME_SAMPLES, now,
                                     clear + n_out);
        }
        expect(!echo_is_active(echo) && n_out == 100 * FRAME_SAMPLES);
        expect(memcmp(clear, voice, n_out * sizeof(float)) == 0);
}

/* A server that has put its loudspeaker to sleep sends nothing meanwhile. */
static void what_sleeps_is_found_again(void) {
        const struct scene scene = {
                .delay_ms = 150, .jitter_ms = 15, .pause_from = 200, .pause_to = 330,
        };

        (void) play(&scene, 500);
        printf("# %.1f dB become %.1f\n", (double) power(heard, 380, 100 * FRAME_SAMPLES),
               (double) power(clear, 380, 100 * FRAME_SAMPLES));
        expect(power(clear, 380, 100 * FRAME_SAMPLES) < power(heard, 380, 100 * FRAME_SAMPLES) - 10);
}

/* Whatever comes, and whenever, what goes out is as much as came in, and no more is held than is said. */
static void anything_may_come(void) {
        _cleanup_(echo_freep) struct echo *echo = NULL;
        size_t n_in = 0, n_out = 0;
        uint64_t now = BEGAN_NS;

        srand(11);
        expect(echo_new(&echo) == 0);
        for (unsigned i = 0; i < 4000; i++) {
                size_t n = (size_t) (rand() % 1024), n_now;

                now += (uint64_t) (unsigned) (rand() % 200) * 1000000;
                if (rand() % 4 > 0)
                        echo_play(echo, voice, (size_t) (rand() % 16000), now);
                n_now = echo_cancel(echo, voice + 1000, n, now - UINT64_C(1000000000), clear);
                expect(n_now <= n + ECHO_HELD * ECHO_BLOCK + ECHO_BLOCK && n_now % ECHO_BLOCK == 0);
                for (size_t k = 0; k < n_now; k++)
                        if (!isfinite(clear[k])) {
                                expect(!"a number");
                                break;
                        }
                n_in += n;
                n_out += n_now;
                expect(n_out <= n_in && n_out + (ECHO_HELD + 1) * ECHO_BLOCK >= n_in);
        }
        echo_gap(echo, 16000);
}

int main(void) {
        load_voice();
        rule("an echo goes, whatever lies between", the_echo_goes);
        rule("who speaks over it stays", who_speaks_over_it_stays);
        rule("while nothing is played, sound passes as it is", silence_costs_nothing);
        rule("a loudspeaker that slept is found again", what_sleeps_is_found_again);
        rule("anything may come at any time", anything_may_come);
        return tap_done();
}
