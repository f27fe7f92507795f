/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CTL_H
#define IPC_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "ipc/client.h"
#include "ipc/limits.h"

/* The parts of gemmactl: one thread, one process, gone after one command.  The only part of ipc/
 * that prints. */

/* Documented in gemmactl(1). */
enum ctl_exit {
        CTL_EXIT_OK = 0,
        CTL_EXIT_FAILED = 1,
        CTL_EXIT_USAGE = 2,
        CTL_EXIT_UNREACHABLE = 3,
        CTL_EXIT_BAD_INPUT = 4,
        CTL_EXIT_BUSY = 5,
        CTL_EXIT_INTERRUPTED = 130,
};

/* The command line, understood. */
struct ctl {
        const char *socket; /* where the daemon is */
        bool as_json;
        bool to_terminal; /* standard output is one */
        bool in_colour;   /* and colours are wanted there */

        const char *audio; /* a file, "-", or NULL */
        const char *images[LIMIT_IMAGES]; /* files, or once "-" */
        unsigned n_images;
        const char *svg;   /* a file, or NULL */
        bool realtime, thinking, follow, hold, press, release;
        bool has_max_tokens, has_limit;
        uint64_t max_tokens, limit;
        json_int_t before; /* the number of a turn, or 0 */
        const char *context, *recorder; /* a file, a command; or NULL */
        bool has_since, all, yes, wants_help;
        uint64_t since_ms; /* ago */

        char **arguments; /* what is left after options and command */
        int n_arguments;
};

/* A command runs to its end and returns what the program exits with. */
enum ctl_exit ctl_ask(const struct ctl *c);
enum ctl_exit ctl_prompt(const struct ctl *c);
enum ctl_exit ctl_listen(const struct ctl *c);
enum ctl_exit ctl_mute(const struct ctl *c);
enum ctl_exit ctl_unmute(const struct ctl *c);
enum ctl_exit ctl_mode(const struct ctl *c);
enum ctl_exit ctl_devices(const struct ctl *c);
enum ctl_exit ctl_meter(const struct ctl *c);
enum ctl_exit ctl_doctor(const struct ctl *c);
enum ctl_exit ctl_status(const struct ctl *c);
enum ctl_exit ctl_watch(const struct ctl *c);
enum ctl_exit ctl_history(const struct ctl *c);
enum ctl_exit ctl_search(const struct ctl *c);
enum ctl_exit ctl_show(const struct ctl *c);
enum ctl_exit ctl_forget(const struct ctl *c);
enum ctl_exit ctl_cancel(const struct ctl *c);
enum ctl_exit ctl_help(const struct ctl *c);
enum ctl_exit ctl_stats(const struct ctl *c);
enum ctl_exit ctl_trace(const struct ctl *c);
enum ctl_exit ctl_tools(const struct ctl *c);
enum ctl_exit ctl_do(const struct ctl *c); /* "call", a name that is taken below */
enum ctl_exit ctl_monitor(const struct ctl *c);
enum ctl_exit ctl_model(const struct ctl *c);
enum ctl_exit ctl_record(const struct ctl *c);

/* How each tool is called, a line each. */
enum ctl_exit ctl_show_calls(const struct ctl *c);

/* The one command that brings a larger model, of those that this machine has memory for; "" when there
 * is none. */
const char *ctl_model_advice(char *buffer, size_t size);

/* What the commands share.  Each says on standard error what went wrong. */

/* The number of a turn, or 0, which is none. */
json_int_t ctl_turn_number(const char *text);

/* All arguments with spaces between, which the caller frees; NULL: out of memory. */
char *ctl_join_arguments(const struct ctl *c);

enum ctl_exit ctl_connect(const struct ctl *c, struct client **ret);

/* Reports why a client function failed. */
enum ctl_exit ctl_lost(const struct why *why);

/* Reports an error that the daemon answered with. */
enum ctl_exit ctl_refused(const struct ctl *c, const struct varlink_reply *reply);

/* Decodes the pictures of the command line and adds them to the parameters and to the descriptors that go along, of which
 * there are *n and the caller's to close. */
enum ctl_exit ctl_add_images(const struct ctl *c, json_t *parameters, int *fds, unsigned *n);

/* One call with one answer on a connection of its own; parameters is stolen and may be NULL.  On
 * CTL_EXIT_OK the caller ends *ret. */
enum ctl_exit
ctl_call(const struct ctl *c, const char *method, json_t *parameters, struct varlink_reply *ret);

/* One call with many answers on a connection of its own, each printed as JSON or by show(), until
 * one can not be written. */
enum ctl_exit ctl_follow(const struct ctl *c,
                         const char *method,
                         void (*show)(const struct ctl *c, json_t *parameters));

#endif
