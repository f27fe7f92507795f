/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doubt.h"

/* Natural logarithm of a share: 2 %. */
#define LEAST (-4.0f)

unsigned doubt_find(const float *log_shares, const float *odds, unsigned n, unsigned ret[DOUBT_MAX]) {
        unsigned n_found = 0;

        for (unsigned i = 0; i < n; i++) {
                float share = log_shares[i] + odds[i];
                unsigned at = n_found;

                if (share < LEAST)
                        continue;
                while (at > 0 && share > log_shares[ret[at - 1]] + odds[ret[at - 1]])
                        at--;
                if (at == DOUBT_MAX)
                        continue;
                if (n_found < DOUBT_MAX)
                        n_found++;
                for (unsigned k = n_found - 1; k > at; k--)
                        ret[k] = ret[k - 1];
                ret[at] = i;
        }
        return n_found;
}
