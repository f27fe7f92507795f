/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* gemmactl record: sentences to read aloud, one after the other, into a folder that training/corpus.py
 * takes with --recordings.  The daemon is not asked and need not run; a program of the sound server's
 * records. */

#define RATE          16000
#define MAX_SECONDS   9 /* training takes no longer ones */
#define MAX_SAMPLES   (RATE * MAX_SECONDS)
#define LEAST_SECONDS 0.3
#define QUIET_PEAK    0.03 /* -30 dB */
#define CLIPPED_PEAK  0.995
#define MAX_SENTENCES 10000
#define MAX_SENTENCE  400
#define BAR_WIDTH     40
#define QUIET_DB      (-60.0)
#define TABLE         "transcripts.tsv"
#define HEADER        "file\ttext\n"

/* Each writes raw samples to standard output: 16 bits, one channel, 16 kHz. */
static const char *const recorders[] = {
        "pw-record --rate 16000 --channels 1 --format s16 -",
        "parec --rate=16000 --channels=1 --format=s16le",
        "arecord -q -t raw -f S16_LE -r 16000 -c 1",
};

struct recording {
        const struct ctl *ctl;
        const char *folder, *command;
        FILE *answers; /* what the user types */
        int16_t samples[MAX_SAMPLES];
        size_t n_samples, n_bytes; /* the last byte may be half a sample */
};

enum decision { KEEP, AGAIN, SKIP, QUIT };

static bool has_program(const char *command) {
        g_autofree char *name = g_strndup(command, strcspn(command, " "));
        g_autofree char *path = g_find_program_in_path(name);

        return path != NULL;
}

/* PipeWire's is installed on many machines whose sound server is another. */
static bool is_of_use(const char *command) {
        g_autofree char *socket = g_build_filename(g_get_user_runtime_dir(), "pipewire-0", NULL);

        if (!has_program(command))
                return false;
        return !g_str_has_prefix(command, "pw-record ") || getenv("PIPEWIRE_REMOTE") ||
               getenv("PIPEWIRE_RUNTIME_DIR") || g_file_test(socket, G_FILE_TEST_EXISTS);
}

static const char *find_recorder(const struct ctl *c) {
        if (c->recorder)
                return c->recorder;
        for (size_t i = 0; i < G_N_ELEMENTS(recorders); i++)
                if (is_of_use(recorders[i]))
                        return recorders[i];
        return NULL;
}

/* ---- one recording ---- */

static double peak_of(const int16_t *samples, size_t n) {
        int peak = 0;

        for (size_t i = 0; i < n; i++)
                peak = abs(samples[i]) > peak ? abs(samples[i]) : peak;
        return peak / 32768.0;
}

/* A bar of how loud the last of it was, over the one before. */
static void show_level(const struct recording *r, size_t n_new) {
        double peak = peak_of(r->samples + r->n_samples - n_new, n_new);
        double db = 20 * log10(peak + 1e-6);
        int n = (int) ((db - QUIET_DB) / -QUIET_DB * BAR_WIDTH);

        if (!r->ctl->to_terminal)
                return;
        n = n < 0 ? 0 : n > BAR_WIDTH ? BAR_WIDTH : n;
        (void) printf("\r  [%.*s%*s] %3.0f dB ", n, "########################################",
                      BAR_WIDTH - n, "", db);
        (void) fflush(stdout);
}

/* What the recorder has written.  False: it has ended, or there is enough. */
static bool take_samples(struct recording *r, int fd) {
        ssize_t n = read(fd, (char *) r->samples + r->n_bytes, sizeof(r->samples) - r->n_bytes);
        size_t n_before = r->n_samples;

        if (n <= 0)
                return n < 0 && errno == EINTR;
        r->n_bytes += (size_t) n;
        r->n_samples = r->n_bytes / sizeof(r->samples[0]);
        if (r->n_samples > n_before)
                show_level(r, r->n_samples - n_before);
        return r->n_samples < MAX_SAMPLES;
}

/* Until the user presses Enter.  0, or -errno. */
static int record(struct recording *r) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c", NULL, NULL };
        g_autofree char *command = g_strdup_printf("exec %s", r->command);
        struct pollfd fds[2] = { { .fd = fileno(r->answers), .events = POLLIN } };
        g_autoptr(GError) error = NULL;
        char line[64];
        GPid pid;

        r->n_samples = r->n_bytes = 0;
        argv[2] = command;
        if (!g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                                      NULL, &fds[1].fd, NULL, &error)) {
                print_error("record: %s", error->message);
                return -EIO;
        }
        fds[1].events = POLLIN;
        for (;;) {
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if (fds[1].revents && !take_samples(r, fds[1].fd))
                        break;
                if (fds[0].revents) {
                        (void) fgets(line, sizeof(line), r->answers);
                        break;
                }
        }
        (void) kill(pid, SIGTERM);
        (void) close(fds[1].fd);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

static void put_le(uint8_t *at, uint32_t value, unsigned size) {
        for (unsigned i = 0; i < size; i++)
                at[i] = (uint8_t) (value >> (8 * i));
}

/* A WAV file, whole or not there. */
static int save_sound(const struct recording *r, const char *path) {
        uint32_t size = (uint32_t) (r->n_samples * sizeof(r->samples[0]));
        g_autofree uint8_t *file = g_malloc(44 + size);
        g_autoptr(GError) error = NULL;

        memcpy(file, "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0", 24);
        put_le(file + 4, 36 + size, 4);
        put_le(file + 24, RATE, 4);
        put_le(file + 28, RATE * 2, 4);
        put_le(file + 32, 2, 2);
        put_le(file + 34, 16, 2);
        memcpy(file + 36, "data", 4);
        put_le(file + 40, size, 4);
        for (size_t i = 0; i < r->n_samples; i++)
                put_le(file + 44 + 2 * i, (uint16_t) r->samples[i], 2);
        if (g_file_set_contents(path, (const char *) file, 44 + (gssize) size, &error))
                return 0;
        print_error("record: %s", error->message);
        return -EIO;
}

/* ---- the folder ---- */

/* What was recorded before, as the table has it; "" when there is no table. */
static char *read_table(const char *folder) {
        g_autofree char *path = g_build_filename(folder, TABLE, NULL);
        char *text = NULL;

        return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static bool has_sentence(const char *table, const char *sentence) {
        g_autofree char *ending = g_strdup_printf("\t%s\n", sentence);

        return strstr(table, ending) != NULL;
}

/* The next number that no file has. */
static char *free_name(const char *folder) {
        for (unsigned number = 1; number <= 99999; number++) {
                g_autofree char *name = g_strdup_printf("%05u.wav", number);
                g_autofree char *path = g_build_filename(folder, name, NULL);

                if (access(path, F_OK) < 0)
                        return g_steal_pointer(&name);
        }
        return NULL;
}

static int keep(const struct recording *r, const char *sentence) {
        g_autofree char *name = free_name(r->folder);
        g_autofree char *path = name ? g_build_filename(r->folder, name, NULL) : NULL;
        g_autofree char *table_path = g_build_filename(r->folder, TABLE, NULL);
        bool is_new = access(table_path, F_OK) < 0;
        FILE *table;
        bool is_written;

        if (!path || save_sound(r, path) < 0)
                return -EIO;
        table = fopen(table_path, "ae");
        if (!table) {
                print_error("record: %s: %s", table_path, strerror(errno));
                return -EIO;
        }
        is_written = fprintf(table, "%s%s\t%s\n", is_new ? HEADER : "", name, sentence) > 0;
        is_written = fclose(table) == 0 && is_written;
        if (!is_written)
                print_error("record: %s could not be written", table_path);
        return is_written ? 0 : -EIO;
}

/* ---- the sentences ---- */

/* One of each line of a file that is no comment, in lower case; owned by the array. */
static GPtrArray *read_sentences(const char *path) {
        g_autoptr(GPtrArray) sentences = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) lines = NULL;

        if (!g_file_get_contents(path, &text, NULL, &error)) {
                print_error("record: %s", error->message);
                return NULL;
        }
        if (!g_utf8_validate(text, -1, NULL) || g_str_has_prefix(text, "context:") ||
            strstr(text, "\ncontext:")) {
                print_error("record: %s is no list of sentences; of a context training/context.py "
                            "--say 100 "
                            "makes one",
                            path);
                return NULL;
        }
        lines = g_strsplit(text, "\n", MAX_SENTENCES);
        for (char **line = lines; *line; line++) {
                g_strstrip(*line);
                if (**line && **line != '#' && strlen(*line) <= MAX_SENTENCE &&
                    !strchr(*line, '\t'))
                        g_ptr_array_add(sentences, g_utf8_strdown(*line, -1));
        }
        return g_steal_pointer(&sentences);
}

/* ---- asking ---- */

static enum decision decide(const struct recording *r) {
        char line[64] = "";

        (void) fflush(stdout);
        if (!fgets(line, sizeof(line), r->answers))
                return QUIT;
        switch (g_ascii_tolower(line[strspn(line, " \t")])) {
        case 'r':
                return AGAIN;
        case 's':
                return SKIP;
        case 'q':
                return QUIT;
        default:
                return KEEP;
        }
}

/* What a person should know before it is kept.  False: there is nothing to keep. */
static bool describe(const struct recording *r) {
        double seconds = (double) r->n_samples / RATE, peak = peak_of(r->samples, r->n_samples);

        if (seconds < LEAST_SECONDS || peak <= 0) {
                (void) printf("\n  nothing was recorded: does '%s' work?\n", r->command);
                return false;
        }
        (void) printf("%s  %.1f s, loudest %.0f dB%s\n", r->ctl->to_terminal ? "\n" : "", seconds,
                      20 * log10(peak),
                      peak >= CLIPPED_PEAK ? ": too loud, it is cut off"
                      : peak < QUIET_PEAK  ? ": very quiet"
                                           : "");
        return true;
}

/* One sentence, as often as it takes. */
static enum decision take(struct recording *r, const char *sentence) {
        enum decision decision = AGAIN;

        while (decision == AGAIN) {
                (void) printf("  Enter to begin, s to skip, q to end: ");
                decision = decide(r);
                if (decision == SKIP || decision == QUIT)
                        return decision;
                (void) printf("  speak, then Enter\n");
                (void) fflush(stdout);
                if (record(r) < 0)
                        return QUIT;
                decision = AGAIN;
                if (!describe(r))
                        continue;
                (void) printf("  Enter to keep, r to record it again, s to skip, q to end: ");
                decision = decide(r);
        }
        if (decision == KEEP && keep(r, sentence) < 0)
                return QUIT;
        return decision;
}

static enum ctl_exit take_all(struct recording *r, const GPtrArray *sentences) {
        g_autofree char *table = read_table(r->folder);
        unsigned n_kept = 0;

        for (unsigned i = 0; i < sentences->len; i++) {
                const char *sentence = g_ptr_array_index(sentences, i);
                enum decision decision;

                if (has_sentence(table, sentence))
                        continue;
                (void) printf("%u/%u  ", i + 1, sentences->len);
                print_styled(r->ctl, STYLE_STRONG, sentence);
                (void) putchar('\n');
                decision = take(r, sentence);
                n_kept += decision == KEEP;
                if (decision == QUIT)
                        break;
        }
        (void) printf("%u recorded, in %s\n", n_kept, r->folder);
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_record(const struct ctl *c) {
        _cleanup_(freep) struct recording *r = NULL;
        g_autoptr(GPtrArray) sentences = NULL;

        if (c->n_arguments != 1 || !c->context) {
                print_error("record: which folder, and --context of which file with sentences?");
                return CTL_EXIT_USAGE;
        }
        sentences = read_sentences(c->context);
        if (!sentences)
                return CTL_EXIT_BAD_INPUT;
        if (g_mkdir_with_parents(c->arguments[0], 0700) < 0) {
                print_error("record: %s: %s", c->arguments[0], strerror(errno));
                return CTL_EXIT_FAILED;
        }
        r = calloc(1, sizeof(*r));
        if (!r)
                return CTL_EXIT_FAILED;
        r->ctl = c;
        r->folder = c->arguments[0];
        r->answers = stdin;
        r->command = find_recorder(c);
        if (!r->command) {
                print_error("record: none of pw-record (with PipeWire running), parec and arecord is there; name one with "
                            "--recorder");
                return CTL_EXIT_FAILED;
        }
        /* What is typed while sound is awaited must not wait in a buffer. */
        (void) setvbuf(stdin, NULL, _IONBF, 0);
        return take_all(r, sentences);
}
