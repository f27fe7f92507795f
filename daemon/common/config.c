/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/parse.h"
#include "ipc/limits.h"

#define CONFIG_MAX_SIZE (256 * 1024)
#define CONFIG_MAX_NAME 32

enum kind {
        KIND_STRING,
        KIND_UNSIGNED,
        KIND_U64,
        KIND_AUTO, /* a double, or "auto" */
        KIND_BOOL,
        KIND_ENGINE, /* a bool: local or remote */
        KIND_MODE,
};

/* Whether a new value is taken over while the daemon runs.  That needs that only the main thread
 * reads it, or that the others are handed it with each turn.  Another model is loaded beside the old one,
 * and its options are taken over when it is there. */
enum reload {
        FIXED,
        TAKEN,
        LOADED,
};

struct option_row {
        const char *section;
        const char *key;
        enum kind kind;
        enum reload reload;
        size_t offset;
        double min, max; /* of numbers of limited range */
        const char *standard;
};

/* A field that keeps its value until a restart, one that a reload may change, and a string that is changed
 * when the model is loaded. */
#define AT(field)            FIXED, offsetof(struct config, field)
#define LIVE(field)          TAKEN, offsetof(struct config, field)
#define FILE_OF_MODEL(field) LOADED, offsetof(struct config, field)

/* The one place where an option is written down.  Options of a section stand together. */
/* clang-format off */
static const struct option_row options[] = {
        { "Model",  "Path",             KIND_STRING,   FILE_OF_MODEL(model_path), 0, 0,     "" },
        { "Model",  "Projector",        KIND_STRING,   FILE_OF_MODEL(projector_path), 0, 0, "" },
        { "Model",  "Drafter",          KIND_STRING,   FILE_OF_MODEL(drafter_path), 0, 0,   "auto" },
        { "Model",  "Engine",           KIND_ENGINE,   AT(is_remote),         0, 0,       "local" },
        { "Model",  "Threads",          KIND_UNSIGNED, AT(n_threads),         0, 256,     "0" },
        { "Model",  "ContextPositions", KIND_UNSIGNED, AT(context_positions), 64, 262144, "4096" },
        { "Model",  "ImagePositions",   KIND_UNSIGNED, AT(image_positions),   70, 1120,  "280" },
        { "Model",  "MaxTokens",        KIND_UNSIGNED, LIVE(max_tokens),      1, LIMIT_TOKENS, "512" },
        { "Model",  "MaxThought",       KIND_UNSIGNED, AT(max_thought),       1, LIMIT_TOKENS, "1024" },
        { "Model",  "Thinking",         KIND_BOOL,     AT(thinking),          0, 0,       "no" },
        { "Model",  "Temperature",      KIND_AUTO,     AT(temperature),       0, 10,      "auto" },
        { "Model",  "VoiceTemperature", KIND_AUTO,     AT(voice_temperature), 0, 10,      "0" },
        { "Model",  "TopK",             KIND_AUTO,     AT(top_k),             0, 262144,  "auto" },
        { "Model",  "TopP",             KIND_AUTO,     AT(top_p),             0, 1,       "auto" },
        { "Model",  "Seed",             KIND_U64,      AT(seed),              0, 0,       "0" },
        { "Model",  "IdleAfter",        KIND_UNSIGNED, AT(idle_after),        0, 604800,  "600" },
        { "Prompt", "System",           KIND_STRING,   AT(system_text),       0, 0,
          "You are the voice assistant of this desktop. Answer briefly, in plain spoken words." },
        { "Prompt", "Tools",            KIND_BOOL,     AT(tools),             0, 0,       "yes" },
        { "Prompt", "HistoryPositions", KIND_UNSIGNED, AT(history_positions), 0, 32768,   "256" },
        { "Prompt", "SpeechPositions",  KIND_UNSIGNED, AT(speech_positions),  0, 32768,   "450" },
        { "Audio",  "MaxSeconds",       KIND_UNSIGNED, LIVE(max_seconds),     1, 3600,    "30" },
        { "Audio",  "StallSeconds",     KIND_UNSIGNED, LIVE(stall_seconds),   1, 3600,    "10" },
        { "Audio",  "BatchFrames",      KIND_UNSIGNED, AT(batch_frames),      1, 64,      "16" },
        { "Audio",  "Device",           KIND_STRING,   AT(audio_device),      0, 0,       "" },
        { "Audio",  "Mode",             KIND_MODE,     AT(mode),              0, 0,       "push" },
        { "Audio",  "FollowUpSeconds",  KIND_UNSIGNED, AT(follow_up_seconds), 0, 600,     "8" },
        { "Audio",  "EndSilenceMs",     KIND_UNSIGNED, AT(end_silence_ms),    200, 5000,  "700" },
        { "Audio",  "SpeculateMs",      KIND_UNSIGNED, AT(speculate_ms),      0, 5000,    "200" },
        { "Audio",  "PreRollMs",        KIND_UNSIGNED, AT(preroll_ms),        0, 2000,    "200" },
        { "Audio",  "PatienceMs",       KIND_UNSIGNED, AT(patience_ms),       500, 60000, "8000" },
        { "Audio",  "Detector",         KIND_BOOL,     AT(has_detector),      0, 0,       "yes" },
        { "Audio",  "LingerSeconds",    KIND_UNSIGNED, LIVE(linger_seconds),  0, 86400,   "10" },
        { "Process", "RequireConfinement", KIND_BOOL,  AT(require_confinement), 0, 0,     "no" },
        { "Remote", "FallbackMs",       KIND_UNSIGNED, AT(remote_fallback_ms), 100, 600000, "8000" },
        { "Remote", "AnswerSeconds",    KIND_UNSIGNED, AT(remote_answer_seconds), 1, 3600, "180" },
        { "Remote", "HistoryKiB",       KIND_UNSIGNED, AT(remote_history_kib), 0, 256,    "8" },
        { "Socket", "Path",             KIND_STRING,   AT(socket_path),       0, 0,       "" },
        { "Socket", "MaxClients",       KIND_UNSIGNED, AT(max_clients),       1, 1024,    "32" },
        { "Socket", "MaxMessageKiB",    KIND_UNSIGNED, AT(max_message_kib),   4, 65536,   "2048" },
        { "Socket", "MaxUnsentKiB",     KIND_UNSIGNED, AT(max_unsent_kib),    64, 65536,  "1024" },
        { "Socket", "MaxTextKiB",       KIND_UNSIGNED, AT(max_text_kib),      1, 4096,    "64" },
        { "Socket", "MaxQueuedTurns",   KIND_UNSIGNED, LIVE(max_queued_turns), 0, 1024,    "8" },
        { "Store",  "Enabled",          KIND_BOOL,     AT(store_enabled),     0, 0,       "yes" },
        { "Store",  "Path",             KIND_STRING,   AT(store_path),        0, 0,       "" },
        { "Store",  "KeepDays",         KIND_UNSIGNED, LIVE(keep_days),       0, 36500,   "0" },
};
/* clang-format on */

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void *field(const struct config *c, const struct option_row *o) {
        return (char *) c + o->offset;
}

static int set_string(struct config *c, const struct option_row *o, const char *value) {
        char **at = field(c, o);
        char *copy;

        copy = strdup(value);
        if (!copy)
                return -ENOMEM;

        free(*at);
        *at = copy;
        return 0;
}

static int set_unsigned(struct config *c, const struct option_row *o, const char *value) {
        unsigned number;
        int r;

        r = parse_unsigned(value, &number);
        if (r < 0)
                return r;
        if (number < o->min || number > o->max)
                return -ERANGE;

        *(unsigned *) field(c, o) = number;
        return 0;
}

static int set_number_or_auto(struct config *c, const struct option_row *o, const char *value) {
        double number;
        int r;

        if (strcmp(value, "auto") == 0) {
                *(double *) field(c, o) = CONFIG_AUTO;
                return 0;
        }
        r = parse_double(value, &number);
        if (r < 0)
                return r;
        if (number < o->min || number > o->max)
                return -ERANGE;
        if (o->offset == offsetof(struct config, top_k) && number != (unsigned) number)
                return -EINVAL;

        /* -0 is in range and would be written as a value that reads differently. */
        *(double *) field(c, o) = number == 0 ? 0 : number;
        return 0;
}

static int set_engine(const char *value, bool *ret) {
        *ret = strcmp(value, "remote") == 0;
        return *ret || strcmp(value, "local") == 0 ? 0 : -EINVAL;
}

static int set_option(struct config *c, const struct option_row *o, const char *value) {
        switch (o->kind) {
        case KIND_STRING:
                return set_string(c, o, value);
        case KIND_UNSIGNED:
                return set_unsigned(c, o, value);
        case KIND_U64:
                return parse_u64(value, field(c, o));
        case KIND_AUTO:
                return set_number_or_auto(c, o, value);
        case KIND_BOOL:
                return parse_bool(value, field(c, o));
        case KIND_ENGINE:
                return set_engine(value, field(c, o));
        case KIND_MODE:
                return mode_from_name(value, field(c, o));
        }
        return -EINVAL;
}

static int explain(const struct option_row *o, const char *value, int r, struct why *why) {
        static const char *const expected[] = {
                [KIND_STRING] = "a text",      [KIND_UNSIGNED] = "a whole number",
                [KIND_U64] = "a whole number", [KIND_AUTO] = "a number, or auto",
                [KIND_BOOL] = "yes or no",     [KIND_ENGINE] = "local or remote",
                [KIND_MODE] = "push, open or wake",
        };

        if (r == -ENOMEM)
                return because(why, r, "out of memory");
        if (r == -ERANGE && o->kind == KIND_U64)
                return because(why, r, "%s=%.60s is too large", o->key, value);
        if (r == -ERANGE)
                return because(why, r, "%s=%.60s is not between %g and %g", o->key, value, o->min,
                               o->max);
        return because(why, r, "%s=%.60s is not %s", o->key, value, expected[o->kind]);
}

static const struct option_row *find_option(const char *section, const char *key) {
        for (size_t i = 0; i < N_OPTIONS; i++)
                if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0)
                        return &options[i];
        return NULL;
}

/* Options that there were once.  They are no error, so that an old file goes on to be one. */
static const struct {
        const char *section, *key, *now;
} former[] = {
        { "Bus", "Enabled", "gemmad-desktop is on the bus now, unless desktop.toml says bus = false" },
};

#define N_FORMER (sizeof(former) / sizeof(former[0]))

static bool is_former(const char *section, const char *key) {
        for (size_t i = 0; i < N_FORMER; i++)
                if (strcmp(former[i].section, section) == 0 && strcmp(former[i].key, key) == 0) {
                        log_warning("%s in [%s] is no option any more: %s", key, section,
                                    former[i].now);
                        return true;
                }
        return false;
}

static bool is_section(const char *name) {
        for (size_t i = 0; i < N_OPTIONS; i++)
                if (strcmp(options[i].section, name) == 0)
                        return true;
        for (size_t i = 0; i < N_FORMER; i++)
                if (strcmp(former[i].section, name) == 0)
                        return true;
        return false;
}

int config_new(struct config **ret) {
        _cleanup_(config_freep) struct config *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;

        for (size_t i = 0; i < N_OPTIONS; i++) {
                r = set_option(c, &options[i], options[i].standard);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(c);
        return 0;
}

struct config *config_free(struct config *c) {
        if (!c)
                return NULL;

        for (size_t i = 0; i < N_OPTIONS; i++)
                if (options[i].kind == KIND_STRING)
                        free(*(char **) field(c, &options[i]));
        free(c);
        return NULL;
}

int config_set(struct config *c,
               const char *section,
               const char *key,
               const char *value,
               struct why *why) {
        const struct option_row *o;
        int r;

        o = find_option(section, key);
        if (!o && is_former(section, key))
                return 0;
        if (!o)
                return because(why, -ENOENT, "no option '%.60s' in [%s]", key, section);

        r = set_option(c, o, value);
        if (r < 0)
                return explain(o, value, r, why);
        return 0;
}

/* The text without white space at its ends; cuts it in place. */
static char *strip(char *text) {
        size_t size;

        while (isspace((unsigned char) *text))
                text++;
        size = strlen(text);
        while (size > 0 && isspace((unsigned char) text[size - 1]))
                size--;
        text[size] = '\0';
        return text;
}

static int read_section(char section[static CONFIG_MAX_NAME], char *line, struct why *why) {
        char *end = strchr(line, ']');

        if (!end || end[1])
                return because(why, -EBADMSG, "a section looks like [Name]");
        *end = '\0';
        if (!is_section(line + 1))
                return because(why, -EBADMSG, "no section [%.60s]", line + 1);

        (void) snprintf(section, CONFIG_MAX_NAME, "%s", line + 1);
        return 0;
}

/* One line without its end, changed in place. */
static int
read_line(struct config *c, char section[static CONFIG_MAX_NAME], char *line, struct why *why) {
        char *equals;

        line = strip(line);
        if (*line == '\0' || *line == '#' || *line == ';')
                return 0;
        if (*line == '[')
                return read_section(section, line, why);

        equals = strchr(line, '=');
        if (!equals)
                return because(why, -EBADMSG, "neither [Section] nor Key=value: '%.60s'", line);
        if (!section[0])
                return because(why, -EBADMSG, "an option before the first [Section]");

        *equals = '\0';
        return config_set(c, section, strip(line), strip(equals + 1), why);
}

int config_read(
        struct config *c, const char *text, size_t size, const char *name, struct why *why) {
        char section[CONFIG_MAX_NAME] = "";
        unsigned number = 0;
        int r;

        while (size > 0) {
                const char *newline = memchr(text, '\n', size);
                size_t length = newline ? (size_t) (newline - text) : size;
                _cleanup_(freep) char *line = NULL;
                struct why inner = {};

                number++;
                if (memchr(text, '\0', length))
                        return because(why, -EBADMSG, "%s:%u: a NUL byte", name, number);
                line = strndup(text, length);
                if (!line)
                        return because(why, -ENOMEM, "%s: out of memory", name);

                r = read_line(c, section, line, &inner);
                if (r < 0)
                        return because(why, -EBADMSG, "%s:%u: %s", name, number, inner.text);

                length += newline != NULL;
                text += length;
                size -= length;
        }
        return 0;
}

/* Reads up to size bytes; how many there were, or -errno. */
static ssize_t read_all(int fd, char *buffer, size_t size) {
        size_t have = 0;

        while (have < size) {
                ssize_t n = read(fd, buffer + have, size - have);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                have += (size_t) n;
        }
        return (ssize_t) have;
}

int config_read_file(struct config *c, const char *path, struct why *why) {
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        ssize_t n;

        /* Non-blocking, so that a FIFO by this name is seen before it can hold up the start. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return because(why, -EINVAL, "%s: not a regular file", path);

        text = malloc(CONFIG_MAX_SIZE + 1);
        if (!text)
                return because(why, -ENOMEM, "%s: out of memory", path);
        n = read_all(fd, text, CONFIG_MAX_SIZE + 1);
        if (n < 0)
                return because(why, (int) n, "%s: %s", path, strerror((int) -n));
        if (n > CONFIG_MAX_SIZE)
                return because(why, -EFBIG, "%s: larger than %d KiB", path, CONFIG_MAX_SIZE / 1024);
        return config_read(c, text, (size_t) n, path, why);
}

/* JSON may write one byte of text as six (\u001f), and the last event of a turn holds what was
 * heard and what was answered. */
#define UNSENT_PER_TEXT 16

/* What the model was made for. */
static bool is_image_budget(unsigned n) {
        return n == 70 || n == 140 || n == 280 || n == 560 || n == 1120;
}

int config_check(const struct config *c, struct why *why) {
        if (!is_image_budget(c->image_positions))
                return because(why, -EINVAL,
                               "ImagePositions=%u is none of 70, 140, 280, 560 and 1120",
                               c->image_positions);
        if (c->max_unsent_kib < UNSENT_PER_TEXT * c->max_text_kib)
                return because(why, -EINVAL,
                               "MaxUnsentKiB=%u has to be at least %d times MaxTextKiB=%u, so that "
                               "a turn fits into it",
                               c->max_unsent_kib, UNSENT_PER_TEXT, c->max_text_kib);
        if (c->history_positions >= c->context_positions)
                return because(why, -EINVAL,
                               "HistoryPositions=%u leaves nothing of ContextPositions=%u",
                               c->history_positions, c->context_positions);
        return 0;
}

/* parse_double() knows no exponent, so %g will not do. */
static void write_double(double value, FILE *out) {
        char text[64];
        size_t size;

        size = (size_t) snprintf(text, sizeof(text), "%.9f", value);
        while (text[size - 1] == '0')
                size--;
        if (text[size - 1] == '.')
                size--;
        (void) fprintf(out, "%.*s\n", (int) size, text);
}

static void write_value(const struct config *c, const struct option_row *o, FILE *out) {
        const void *at = field(c, o);

        switch (o->kind) {
        case KIND_STRING:
                (void) fprintf(out, "%s\n", *(char *const *) at);
                break;
        case KIND_UNSIGNED:
                (void) fprintf(out, "%u\n", *(const unsigned *) at);
                break;
        case KIND_U64:
                (void) fprintf(out, "%" PRIu64 "\n", *(const uint64_t *) at);
                break;
        case KIND_AUTO:
                if (*(const double *) at == CONFIG_AUTO)
                        (void) fprintf(out, "auto\n");
                else
                        write_double(*(const double *) at, out);
                break;
        case KIND_BOOL:
                (void) fprintf(out, "%s\n", *(const bool *) at ? "yes" : "no");
                break;
        case KIND_ENGINE:
                (void) fprintf(out, "%s\n", *(const bool *) at ? "remote" : "local");
                break;
        case KIND_MODE:
                (void) fprintf(out, "%s\n", mode_name(*(const enum mode *) at));
                break;
        }
}

void config_write(const struct config *c, FILE *out) {
        const char *section = "";

        for (size_t i = 0; i < N_OPTIONS; i++) {
                if (strcmp(options[i].section, section) != 0) {
                        (void) fprintf(out, "%s[%s]\n", i ? "\n" : "", options[i].section);
                        section = options[i].section;
                }
                (void) fprintf(out, "%s=", options[i].key);
                write_value(c, &options[i], out);
        }
}

static size_t size_of(enum kind kind) {
        switch (kind) {
        case KIND_STRING:
                return sizeof(char *);
        case KIND_UNSIGNED:
                return sizeof(unsigned);
        case KIND_U64:
                return sizeof(uint64_t);
        case KIND_AUTO:
                return sizeof(double);
        case KIND_BOOL:
        case KIND_ENGINE:
                return sizeof(bool);
        case KIND_MODE:
                return sizeof(enum mode);
        }
        return 0;
}

static bool is_equal(const struct config *a, const struct config *b, const struct option_row *o) {
        if (o->kind == KIND_STRING)
                return strcmp(*(char **) field(a, o), *(char **) field(b, o)) == 0;
        return memcmp(field(a, o), field(b, o), size_of(o->kind)) == 0;
}

int config_copy(struct config **ret, const struct config *c) {
        _cleanup_(config_freep) struct config *copy = NULL;
        int r;

        r = config_new(&copy);
        if (r < 0)
                return r;
        for (size_t i = 0; i < N_OPTIONS; i++) {
                const struct option_row *o = &options[i];

                if (o->kind != KIND_STRING)
                        memcpy(field(copy, o), field(c, o), size_of(o->kind));
                else if (set_string(copy, o, *(char **) field(c, o)) < 0)
                        return -ENOMEM;
        }

        *ret = TAKE_PTR(copy);
        return 0;
}

/* Names that find no room are left out, as a line in the log has an end. */
static void add_name(struct config_changes *changes, const struct option_row *o) {
        size_t used = strlen(changes->left), room = sizeof(changes->left) - used;
        int n;

        n = snprintf(changes->left + used, room, "%s%s.%s", used ? ", " : "", o->section, o->key);
        if (n < 0 || (size_t) n >= room)
                changes->left[used] = '\0';
        changes->n_left++;
}

void config_adopt(struct config *c, struct config *fresh, struct config_changes *ret) {
        *ret = (struct config_changes){};
        for (size_t i = 0; i < N_OPTIONS; i++) {
                const struct option_row *o = &options[i];
                char saved[sizeof(uint64_t)];

                if (is_equal(c, fresh, o))
                        continue;
                if (o->reload == LOADED) {
                        ret->is_other_model = true;
                        continue;
                }
                if (o->reload == FIXED) {
                        add_name(ret, o);
                        continue;
                }
                memcpy(saved, field(c, o), size_of(o->kind));
                memcpy(field(c, o), field(fresh, o), size_of(o->kind));
                memcpy(field(fresh, o), saved, size_of(o->kind));
                ret->n_taken++;
        }
}

int config_copy_model(struct config *c, const struct config *from) {
        for (size_t i = 0; i < N_OPTIONS; i++)
                if (options[i].reload == LOADED &&
                    set_string(c, &options[i], *(char **) field(from, &options[i])) < 0)
                        return -ENOMEM;
        return 0;
}

bool config_has_same_model(const struct config *a, const struct config *b) {
        for (size_t i = 0; i < N_OPTIONS; i++)
                if (options[i].reload == LOADED && !is_equal(a, b, &options[i]))
                        return false;
        return true;
}

bool config_is_reloadable(size_t index) {
        return options[index].reload == TAKEN;
}

bool config_option_name(size_t index, const char **ret_section, const char **ret_key) {
        if (index >= N_OPTIONS)
                return false;

        *ret_section = options[index].section;
        *ret_key = options[index].key;
        return true;
}
