/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/interruption.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

void interruption_done(struct interruption *i) {
        i->gate = gate_close(i->gate);
}

void interruption_reset(struct interruption *i) {
        i->n_seen = 0;
        i->is_decided = false;
}

static int begin(struct interruption *i, struct why *why) {
        int r;

        r = i->gate ? 0 : gate_open(&i->gate, why);
        return r < 0 ? r : gate_begin(i->gate);
}

/* A verdict of the gate, or -EAGAIN while there is none. */
static int look(struct interruption *i, const struct hearing *speech, struct why *why) {
        const struct frame *frame;
        int r;

        if (i->n_seen == 0) {
                r = begin(i, why);
                if (r < 0)
                        return r;
        }
        while ((frame = hearing_peek(speech, i->n_seen))) {
                r = gate_append(i->gate, frame->samples, 1);
                if (r < 0)
                        return r;
                i->n_seen++;
                if (gate_has_phrase(i->gate))
                        return GATE_PHRASE_FIRST;
        }
        return hearing_has_ended(speech) ? gate_decide(i->gate) : -EAGAIN;
}

enum interruption_verdict interruption_look(struct interruption *i, const struct hearing *speech) {
        struct why why = {};
        int r;

        if (i->is_decided || !hearing_has_begun(speech))
                return INTERRUPTION_UNDECIDED;
        r = look(i, speech, &why);
        if (r == -EAGAIN)
                return INTERRUPTION_UNDECIDED;
        i->is_decided = true;
        if (r >= 0)
                return r == GATE_NO ? INTERRUPTION_NOT_CALLED : INTERRUPTION_CALLED;
        log_debug("Speech beside an answer can not be looked at: %s",
                  why.text[0] ? why.text : strerror(-r));
        return INTERRUPTION_UNDECIDED;
}
