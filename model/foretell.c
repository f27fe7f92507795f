/* SPDX-License-Identifier: Apache-2.0 */
#include "model/foretell.h"

#include <string.h>

#include "model/kernels.h"

_Static_assert(FORETELL_MAX_ROWS <= KERNELS_MAX_QUERIES, "rows");

void foretell_begin(struct foretold *f, const int32_t *likely, unsigned n) {
        f->n_said = 0;
        f->n_likely = n < FORETELL_MAX_LIKELY ? n : FORETELL_MAX_LIKELY;
        if (f->n_likely > 0)
                memcpy(f->likely, likely, f->n_likely * sizeof(likely[0]));
}

unsigned foretell(struct foretold *f,
                  const struct engine *e,
                  const struct grammar_place *place,
                  unsigned most) {
        struct grammar_place at = *place;
        unsigned n;

        most = most < FORETELL_MAX_ROWS - 1 ? most : FORETELL_MAX_ROWS - 1;
        for (n = 0; n < most; n++) {
                int32_t token;

                /* Where another word was heard than before, those behind it are the same mostly. */
                if (grammar_n_options(e->grammar, &at) == 1)
                        token = grammar_option(e->grammar, &at, 0);
                else if (f->n_said + n < f->n_likely)
                        token = f->likely[f->n_said + n];
                else
                        break;
                /* Nothing comes behind the end of a turn, and it is chosen without a position. */
                if (engine_is_stop(e, token) || grammar_follow(e->grammar, &at, token) < 0)
                        break;
                f->tokens[n] = token;
        }
        f->n_tokens = n;
        f->n_held = 0;
        return n;
}

unsigned foretell_ahead(const struct foretold *f) {
        return f->n_tokens - f->n_held;
}

bool foretell_holds(struct foretold *f, int32_t token) {
        if (foretell_ahead(f) == 0 || f->tokens[f->n_held] != token)
                return false;
        f->n_held++;
        return true;
}
