/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, by the pocket model in the program and recordings of tests/speech. */
#include "daemon/hear/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/common/expected.h"
#include "daemon/common/text.h"
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
        expect(gate_begin(gate, false) == 0);
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

/* Without the phrase, but somebody may wait for it. */
static void what_was_said_instead_is_known(void) {
        const struct text *heard, *call;
        struct expected expected = {};

        expect(expected_add(&expected, "snooze") == 0 && expected_add(&expected, "stop") == 0);
        expect(expected_add(&expected, "two words") == -EINVAL && expected_add(&expected, "") == -EINVAL);
        expect(decide(load("ringing/stop.flite-rms.wav", 0), 16) == GATE_NO);
        expect(gate_take_for(gate, &heard, &call) == 1);
        expect(strcmp(text_data(heard), "stop") == 0 && strcmp(text_data(call), "call:stop{}") == 0);
        expect(expected_has_call(&expected, text_data(call), call->size));

        expect(decide(load("what-time-is-it.flite-rms.wav", 0), 16) == GATE_NO);
        expect(gate_take_for(gate, &heard, &call) == 1);
        expect(!expected_has_call(&expected, text_data(call), call->size));
        expect(decide(load("how-are-you-today.flite-rms.wav", 0), 16) == GATE_NO);
        expect(gate_take_for(gate, &heard, &call) == 0);
}

/* How many frames it takes until "stop" is known; 0: it was not. */
static size_t stop_is_known(const char *name, bool is_asked) {
        size_t n = load(name, 0);

        expect(gate_begin(gate, is_asked) == 0);
        for (size_t i = 0; i < n; i++) {
                expect(gate_append(gate, samples + i * FRAME_SAMPLES, 1) == 0);
                if (gate_has_stop(gate))
                        return i + 1;
        }
        return 0;
}

/* Before anything tells that the speech is over. */
static void stop_is_known_at_once(void) {
        size_t n = stop_is_known("ringing/stop.flite-rms.wav", true);

        printf("# known after %zu frames of %zu\n", n, load("ringing/stop.flite-rms.wav", 0));
        expect(n > 0);
        expect(stop_is_known("ringing/stop.flite-rms.wav", false) == 0);
        expect(stop_is_known("set-a-timer-for-five-minutes.flite-rms.wav", true) == 0);
        expect(stop_is_known("how-are-you-today.flite-rms.wav", true) == 0);
        expect(stop_is_known("hey-gemma-play-some-music.festival-ked.wav", true) == 0);
}

static void what_is_expected_has_its_bounds(void) {
        struct expected expected = {}, more = {};
        char name[16];
        unsigned n = 0;

        expect(expected_is_empty(&expected) && !expected_has_call(&expected, "call:{}", 7));
        while (n < 100 && snprintf(name, sizeof(name), "name_%02u", n) > 0 &&
               expected_add(&expected, name) == 0)
                n++;
        expect(n == 31 && expected_add(&expected, name) == -ENOSPC);
        expect(expected_add(&expected, "name_03") == 0);
        expect(expected_has_call(&expected, "call:name_30{a:1}", 17));
        expect(!expected_has_call(&expected, "call:name_3{}", 13));
        expect(!expected_has_call(&expected, "call:name_30", 12));
        expect(expected_add_all(&more, &expected) == 0 && strcmp(more.names, expected.names) == 0);
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
        rule("what was said instead of the phrase is known", what_was_said_instead_is_known);
        rule("stop is known at once, where it counts", stop_is_known_at_once);
        rule("what is expected has its bounds", what_is_expected_has_its_bounds);
        gate_close(gate);
        return tap_done();
}
