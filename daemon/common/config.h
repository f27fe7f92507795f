/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_CONFIG_H
#define DAEMON_COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/mode.h"

/* What can be set.  The one that the threads read is filled before any of them starts and never
 * changed afterwards; what a reload changes is the main thread's copy of it.  Strings are owned and never NULL; "" means not set. */
#define CONFIG_AUTO (-1.0) /* of a number that can be auto */

struct config {
        char *model_path;
        char *projector_path;
        char *drafter_path; /* "auto": see drafter_find() */
        unsigned n_threads;
        unsigned image_positions;
        unsigned context_positions;
        unsigned max_tokens;
        unsigned max_thought;
        bool thinking;
        double temperature; /* CONFIG_AUTO: as the model's file says */
        double voice_temperature; /* of a turn that is heard; CONFIG_AUTO: as of all others */
        double top_k, top_p;      /* as temperature */
        uint64_t seed;
        unsigned idle_after;
        bool is_remote; /* Engine: what the model here does not understand is asked elsewhere */

        char *system_text;
        bool tools;
        unsigned history_positions;
        unsigned speech_positions;

        unsigned max_seconds;
        unsigned stall_seconds;
        unsigned batch_frames;
        char *audio_device;
        enum mode mode;
        unsigned follow_up_seconds;
        unsigned end_silence_ms;
        unsigned speculate_ms;
        unsigned preroll_ms;
        bool require_confinement;
        bool has_detector;
        unsigned patience_ms;
        unsigned linger_seconds;

        unsigned remote_fallback_ms;
        unsigned remote_answer_seconds;
        unsigned remote_history_kib;

        char *socket_path;
        unsigned max_clients;
        unsigned max_message_kib;
        unsigned max_unsent_kib;
        unsigned max_text_kib;
        unsigned max_queued_turns;

        bool store_enabled;
        char *store_path;
        unsigned keep_days;
};

/* Every option at its default.  0 or -ENOMEM. */
int config_new(struct config **ret);
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)

int config_copy(struct config **ret, const struct config *c);

/* One option from text, with its checks.  -ENOENT when there is no such option, -EINVAL or -ERANGE
 * for the value; each with a reason. */
int config_set(
        struct config *c, const char *section, const char *key, const char *value, struct why *why);

/* A whole file held in memory; name is for messages.  The first line at fault ends it: -EBADMSG and
 * "name:line: reason". */
int config_read(struct config *c, const char *text, size_t size, const char *name, struct why *why);

/* -ENOENT when there is no such file. */
int config_read_file(struct config *c, const char *path, struct why *why);

/* What no single option can tell: how they fit together.  -EINVAL with a reason. */
int config_check(const struct config *c, struct why *why);

struct config_changes {
        unsigned n_taken;
        unsigned n_left; /* options that need a restart to change */
        char left[512];  /* ... their names, as many as there is room for */
        bool is_other_model; /* the files of the model differ, which are not taken over here */
};

/* Takes over, by exchange, what differs in the other and can change while the daemon runs. */
void config_adopt(struct config *c, struct config *fresh, struct config_changes *ret);

/* The options that name the files of a model: 0 or -ENOMEM; whether they are the same. */
int config_copy_model(struct config *c, const struct config *from);
bool config_has_same_model(const struct config *a, const struct config *b);

/* From the next turn on; of an option that config_option_name() names. */
bool config_is_reloadable(size_t index);

/* All options in a form that config_read() accepts. */
void config_write(const struct config *c, FILE *out);

/* Walks the names of all options; false after the last. */
bool config_option_name(size_t index, const char **ret_section, const char **ret_key);

#endif
