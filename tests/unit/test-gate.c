/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, by the pocket model in the program and recordings of tests/speech. */
#include "daemon/hear/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/session.h"
#include "tests/tap.h"
#include "tests/unit/recording.h"

#define MAX_FRAMES 400

static struct gate *gate;
static float samples[MAX_FRAMES * FRAME_SAMPLES];

static size_t load(const char *name, size_t at) {
        return load_recording(name, samples, at, MAX_FRAMES);
}

/* Appended as the cut says, so many frames at a time. */
static int decide(size_t n, size_t cut) {
        expect(gate_begin(gate) == 0);
        for (size_t i = 0; i < n; i += cut)
                expect(gate_append(gate, samples + i * FRAME_SAMPLES, n - i < cut ? n - i : cut) ==
                       0);
        return gate_decide(gate);
}

static void the_phrase_is_heard(void) {
        size_t n = load("hey-gemma-play-some-music.festival-ked.wav", 0);

        expect(decide(n, 16) == GATE_PHRASE_FIRST);
        n = load("hey-gemma.espeak-annie.wav", 0);
        expect(decide(n, 16) == GATE_PHRASE_ALONE);
}

static void other_speech_is_kept_out(void) {
        static const char *const names[] = {
                "how-are-you-today.flite-rms.wav",
                "lock-the-screen.espeak-f5.wav",
                "turn-the-volume-up.festival-ked.wav",
                "what-time-is-it.flite-rms.wav",
                "set-a-timer-for-five-minutes.flite-rms.wav",
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                expect(decide(load(names[i], 0), 16) == GATE_NO);
}

/* What comes behind the phrase is nothing that the pocket model knows. */
static void any_question_may_follow(void) {
        size_t n = load("hey-gemma.espeak-annie.wav", 0);

        n = load("how-are-you-today.flite-rms.wav", n);
        n = load("how-are-you-today.flite-rms.wav", n);
        expect(decide(n, 16) == GATE_PHRASE_FIRST);
}

static void the_cut_does_not_matter(void) {
        size_t n = load("hey-gemma-play-some-music.festival-ked.wav", 0);

        for (size_t cut = 1; cut <= n; cut += 5)
                expect(decide(n, cut) == GATE_PHRASE_FIRST);
        n = load("what-time-is-it.flite-rms.wav", 0);
        for (size_t cut = 1; cut <= n; cut += 5)
                expect(decide(n, cut) == GATE_NO);
}

/* More than the gate looks at. */
static void long_speech_fits(void) {
        size_t n = load("hey-gemma-play-some-music.festival-ked.wav", 0);

        while (n < MAX_FRAMES)
                n = load("how-are-you-today.flite-rms.wav", n);
        expect(decide(n, 64) == GATE_PHRASE_FIRST);
}

static void a_transcript_is_judged_by_its_words(void) {
        static const struct {
                const char *text;
                enum gate_verdict verdict;
        } rows[] = {
                { "hey gemma", GATE_PHRASE_ALONE },
                { "Hey Gemma ", GATE_PHRASE_ALONE },
                { "hey gemma stop", GATE_PHRASE_FIRST },
                { "Hey Gemma, stop", GATE_PHRASE_FIRST },
                { "hey gemmas", GATE_NO },
                { "hey gemm", GATE_NO },
                { "stop hey gemma", GATE_NO },
                { "", GATE_NO },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                expect(gate_judge(rows[i].text, strlen(rows[i].text)) == rows[i].verdict);
}

int main(void) {
        struct why why = {};

        if (gate_open(&gate, &why) < 0) {
                (void) printf("Bail out! %s\n", why.text);
                return 1;
        }
        rule("the phrase is heard", the_phrase_is_heard);
        rule("other speech is kept out", other_speech_is_kept_out);
        rule("any question may follow the phrase", any_question_may_follow);
        rule("how the sound is cut does not matter", the_cut_does_not_matter);
        rule("speech longer than what is looked at fits", long_speech_fits);
        rule("a transcript is judged by its words", a_transcript_is_judged_by_its_words);
        gate_close(gate);
        return tap_done();
}
