/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

/* Thirty lines of Test Anything Protocol.  A test names the rule that it proves; expect() inside a
 * rule reports the place and goes on, so that one run shows everything that is broken. */
#include <stdbool.h>
#include <stdio.h>

static int tap_n_rules, tap_n_failed;
static bool tap_rule_failed;

#define expect(condition)                                                                          \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);         \
                        tap_rule_failed = true;                                                    \
                }                                                                                  \
        } while (0)

/* Runs a void(void) function as one rule. */
static inline void rule(const char *name, void (*run)(void)) {
        tap_rule_failed = false;
        run();
        tap_n_failed += tap_rule_failed;
        printf("%sok %d - %s\n", tap_rule_failed ? "not " : "", ++tap_n_rules, name);
        fflush(stdout);
}

static inline int tap_done(void) {
        printf("1..%d\n", tap_n_rules);
        return tap_n_failed > 0;
}

#endif
