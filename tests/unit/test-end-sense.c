/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/end-sense.h"

#include "tests/tap.h"

static void note(struct end_sense *s, unsigned n, float probability) {
        while (n-- > 0)
                end_sense_note(s, probability);
}

static void a_model_is_believed_that_was_right(void) {
        struct end_sense s = { 0 };

        note(&s, 3, 0.8f);
        expect(!end_sense_counts(&s) && end_sense_judge(&s, 1) == ENDING_NONE);
        note(&s, 1, 0.8f);
        expect(end_sense_counts(&s));
        expect(end_sense_judge(&s, 0.95f) == ENDING_WHOLE);
        expect(end_sense_judge(&s, 0.6f) == ENDING_OPEN);
        expect(end_sense_judge(&s, 0.3f) == ENDING_NONE);
        expect(end_sense_judge(&s, 0.01f) == ENDING_UNFINISHED);
}

static void one_that_was_wrong_is_not(void) {
        struct end_sense s = { 0 };

        note(&s, 20, 0.02f);
        expect(end_sense_judge(&s, 0.01f) == ENDING_NONE);
        note(&s, 3, 0.8f);
        expect(!end_sense_counts(&s));
        note(&s, 1, 0.8f);
        expect(end_sense_counts(&s));
        note(&s, 1, 0.1f);
        expect(!end_sense_counts(&s) && end_sense_judge(&s, 0.95f) == ENDING_NONE);
        note(&s, 4, 0.5f);
        expect(end_sense_counts(&s));
}

int main(void) {
        rule("a model is believed that was right", a_model_is_believed_that_was_right);
        rule("one that was wrong is not", one_that_was_wrong_is_not);
        return tap_done();
}
