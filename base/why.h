/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

/* The human half of an error.  Functions return a negative errno for the program; where a person
 * needs to know which file, key or tensor was at fault they also fill a struct why.  Only daemon/
 * and the command-line programs print it.  Any thread; a struct why belongs to its caller. */
struct why {
        char text[320];
};

/* Formats the reason into why (which may be NULL) and returns r unchanged, so that a caller can
 * write `return because(why, -EBADMSG, "no tensor '%s'", name);`. */
int because(struct why *why, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of a reason that a lower layer has already given.  Returns r. */
int because_in(struct why *why, int r, const char *prefix);

#endif
