/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* Messages for the person who runs the daemon.  Called from the main thread only, and only by
 * daemon/: the layers below return errors.  What was said is never logged above LOG_DEBUG.
 *
 *   LOG_ERR      an operation is lost
 *   LOG_WARNING  degraded; the message says what is done instead
 *   LOG_NOTICE   start, stop, device change
 *   LOG_INFO     one line per turn
 *   LOG_DEBUG    anything */
#include <syslog.h>

/* Chooses the form (the journal's <N> prefix when standard error is the journal) and the least
 * urgent level that is written. */
void log_open(int max_level);

void log_say(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_say(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_say(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_say(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_say(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_say(LOG_DEBUG, __VA_ARGS__)

#endif
