/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/interruption.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/common/expected.h"
#include "daemon/common/text.h"

/* The phrase is over within the first; the second is how much later it is looked for again. */
#define WINDOW 40 /* frames */
#define STEP   12

void interruption_done(struct interruption *i) {
        i->gate = gate_close(i->gate);
}

void interruption_reset(struct interruption *i) {
        i->n_seen = i->n_before = 0;
        i->is_decided = i->has_failed = false;
}

static int begin(struct interruption *i, bool hears_stop, struct why *why) {
        int r;

        r = i->gate ? 0 : gate_open(&i->gate, why);
        return r < 0 ? r : gate_begin(i->gate, hears_stop);
}

/* At the end of the speech, of which all is known now. */
static int decide(struct interruption *i, bool hears_stop) {
        struct expected stop = {};
        const struct text *heard, *call;
        int r;

        r = gate_decide(i->gate);
        if (r != GATE_NO || !hears_stop)
                return r < 0 ? r : r == GATE_NO ? INTERRUPTION_NOT_CALLED : INTERRUPTION_CALLED;
        r = expected_add(&stop, "stop");
        if (r >= 0)
                r = gate_take_for(i->gate, &heard, &call);
        if (r < 0)
                return r;
        return r == 1 && expected_has_call(&stop, text_data(call), call->size)
                       ? INTERRUPTION_STOPPED
                       : INTERRUPTION_NOT_CALLED;
}

/* What was not found in any part of it may be heard in the whole. */
static int conclude(struct interruption *i, const struct hearing *speech, bool hears_stop) {
        const struct frame *frame;
        int r;

        r = decide(i, hears_stop && i->n_before == 0);
        if (r != INTERRUPTION_NOT_CALLED || i->n_before == 0)
                return r;
        i->n_before = 0;
        r = gate_begin(i->gate, hears_stop);
        for (size_t n = 0; r >= 0 && (frame = hearing_peek(speech, n)); n++)
                r = gate_append(i->gate, frame->samples, 1);
        return r < 0 ? r : decide(i, hears_stop);
}

/* A verdict, or -errno. */
static int look(struct interruption *i,
                const struct hearing *speech,
                bool hears_stop,
                struct why *why) {
        const struct frame *frame;
        int r;

        if (i->n_seen == 0) {
                r = begin(i, hears_stop, why);
                if (r < 0)
                        return r;
        }
        while ((frame = hearing_peek(speech, i->n_seen))) {
                r = gate_append(i->gate, frame->samples, 1);
                if (r < 0)
                        return r;
                i->n_seen++;
                if (gate_has_phrase(i->gate))
                        return INTERRUPTION_CALLED;
                if (gate_has_stop(i->gate))
                        return INTERRUPTION_STOPPED;
                if (i->n_seen - i->n_before < WINDOW)
                        continue;
                /* In the midst of other words one may be taken for "stop". */
                i->n_seen = i->n_before += STEP;
                r = gate_begin(i->gate, false);
                if (r < 0)
                        return r;
        }
        return hearing_has_ended(speech) ? conclude(i, speech, hears_stop) : INTERRUPTION_UNDECIDED;
}

enum interruption_verdict interruption_look(struct interruption *i,
                                            const struct hearing *speech,
                                            bool hears_stop) {
        struct why why = {};
        int r;

        if (i->is_decided || !hearing_has_begun(speech))
                return INTERRUPTION_UNDECIDED;
        r = i->has_failed ? 0 : look(i, speech, hears_stop, &why);
        if (r < 0)
                log_notice("Speech beside an answer can not be looked at: %s", why.text[0] ? why.text : strerror(-r));
        i->has_failed = i->has_failed || r < 0;
        /* What may be the answer itself is not heard unless it calls; anything else waits until it can be. */
        if (i->has_failed)
                r = hears_stop ? INTERRUPTION_NOT_CALLED : INTERRUPTION_UNDECIDED;
        i->is_decided = r != INTERRUPTION_UNDECIDED;
        return (enum interruption_verdict) r;
}
