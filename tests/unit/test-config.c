/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

static struct config *fresh(void) {
        struct config *c = NULL;

        expect(config_new(&c) == 0);
        return c;
}

static int read_text(struct config *c, const char *text, struct why *why) {
        return config_read(c, text, strlen(text), "x.conf", why);
}

static void defaults_fit_together(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(config_check(c, &why) == 0);
        expect(c->context_positions == 4096 && c->max_tokens == 512);
        expect(!c->thinking && c->store_enabled);
        expect(c->temperature == CONFIG_AUTO && c->top_k == CONFIG_AUTO && c->top_p == CONFIG_AUTO);
        expect(c->voice_temperature == 0);
        expect(strcmp(c->model_path, "") == 0 && strlen(c->system_text) > 0);
}

static void values_are_read(void) {
        static const char text[] = "# a comment\n"
                                   "; another\n"
                                   "\n"
                                   "[Model]\n"
                                   "Path = /a b/c.gguf \r\n"
                                   "  Threads=7\n"
                                   "Temperature=0.75\n"
                                   "Seed=18446744073709551615\n"
                                   "Thinking=yes\n"
                                   "[Prompt]\n"
                                   "System=a = b # not a comment\n"
                                   "[Store]\n"
                                   "Enabled=off";
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(read_text(c, text, &why) == 0);
        expect(strcmp(c->model_path, "/a b/c.gguf") == 0);
        expect(c->n_threads == 7 && c->thinking && !c->store_enabled);
        expect(c->temperature > 0.74 && c->temperature < 0.76);
        expect(c->seed == UINT64_MAX);
        expect(strcmp(c->system_text, "a = b # not a comment") == 0);
}

static void the_last_value_wins(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(read_text(c, "[Model]\nPath=a\nPath=b\nThreads=1\n[Model]\nThreads=2\n", &why) == 0);
        expect(strcmp(c->model_path, "b") == 0 && c->n_threads == 2);
        expect(read_text(c, "[Model]\nPath=\n", &why) == 0);
        expect(strcmp(c->model_path, "") == 0);
}

static void bad_lines_are_named(void) {
        static const struct {
                const char *text, *reason;
        } lines[] = {
                { "[Model]\nThreads=seven\n", "x.conf:2: Threads=seven is not a whole number" },
                { "[Model]\nThreads=\n", "x.conf:2: Threads= is not a whole number" },
                { "[Model]\nThreads=-1\n", "x.conf:2: Threads=-1 is not a whole number" },
                { "[Model]\nThreads=257\n", "x.conf:2: Threads=257 is not between 0 and 256" },
                { "[Model]\nThreads=99999999999999999999\n",
                  "x.conf:2: Threads=99999999999999999999 is not between 0 and 256" },
                { "[Model]\nSeed=18446744073709551616\n",
                  "x.conf:2: Seed=18446744073709551616 is too large" },
                { "[Model]\nTopP=1.5\n", "x.conf:2: TopP=1.5 is not between 0 and 1" },
                { "[Model]\nTopP=nan\n", "x.conf:2: TopP=nan is not a number, or auto" },
                { "[Model]\nThinking=maybe\n", "x.conf:2: Thinking=maybe is not yes or no" },
                { "[Model]\nThread=1\n", "x.conf:2: no option 'Thread' in [Model]" },
                { "[Model]\nSystem=x\n", "x.conf:2: no option 'System' in [Model]" },
                { "\n\n[Modell]\n", "x.conf:3: no section [Modell]" },
                { "[Model\n", "x.conf:1: a section looks like [Name]" },
                { "[Model] x\n", "x.conf:1: a section looks like [Name]" },
                { "Threads=1\n", "x.conf:1: an option before the first [Section]" },
                { "[Model]\njust words",
                  "x.conf:2: neither [Section] nor Key=value: 'just words'" },
                { "[]\n", "x.conf:1: no section []" },
        };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                _cleanup_(config_freep) struct config *c = fresh();
                struct why why = {};

                expect(read_text(c, lines[i].text, &why) == -EBADMSG);
                expect(strcmp(why.text, lines[i].reason) == 0);
                if (strcmp(why.text, lines[i].reason) != 0)
                        printf("# got '%s'\n", why.text);
        }
}

static void a_nul_byte_is_refused(void) {
        static const char text[] = "[Model]\nPath=a\0b\n";
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(config_read(c, text, sizeof(text) - 1, "x.conf", &why) == -EBADMSG);
        expect(strcmp(why.text, "x.conf:2: a NUL byte") == 0);
}

static void a_bad_value_leaves_the_old_one(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(config_set(c, "Model", "Threads", "5", &why) == 0);
        expect(config_set(c, "Model", "Threads", "500", &why) == -ERANGE);
        expect(config_set(c, "Model", "Nothing", "5", &why) == -ENOENT);
        expect(c->n_threads == 5);
}

static void what_does_not_fit_together_is_refused(void) {
        static const char *const texts[] = {
                "[Socket]\nMaxTextKiB=100\nMaxUnsentKiB=1000\n",
                "[Model]\nContextPositions=128\n[Prompt]\nHistoryPositions=128\n",
                "[Model]\nImagePositions=100\n",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                _cleanup_(config_freep) struct config *c = fresh();
                struct why why = {};

                expect(read_text(c, texts[i], &why) == 0);
                expect(config_check(c, &why) == -EINVAL);
                expect(strlen(why.text) > 0);
        }
}

static char *written(const struct config *c) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        config_write(c, out);
        (void) fclose(out);
        return text;
}

static void what_is_written_reads_the_same(void) {
        static const char text[] = "[Model]\nTemperature=0.0001\nVoiceTemperature=auto\nTopP=0.123456789\nSeed=42\n"
                                   "[Prompt]\nSystem=[x] = ; #\n[Socket]\nMaxQueuedTurns=0\n";
        _cleanup_(config_freep) struct config *a = fresh();
        _cleanup_(config_freep) struct config *b = fresh();
        _cleanup_(freep) char *first = NULL;
        _cleanup_(freep) char *second = NULL;
        struct why why = {};

        expect(read_text(a, text, &why) == 0);
        first = written(a);
        expect(read_text(b, first, &why) == 0);
        second = written(b);
        expect(strcmp(first, second) == 0);
        expect(strstr(first, "\nVoiceTemperature=auto\nTopK=auto\n"));
        expect(strstr(first, "\nTemperature=0.0001\n") && strstr(first, "\nSystem=[x] = ; #\n"));
}

static void a_file_that_is_none_is_refused(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        struct why why = {};

        expect(config_read_file(c, "/nonexistent/gemmad.conf", &why) == -ENOENT);
        expect(strstr(why.text, "/nonexistent/gemmad.conf: "));
        expect(config_read_file(c, "/", &why) == -EINVAL);
        expect(config_read_file(c, "/dev/zero", &why) == -EINVAL);
}

static void a_file_is_read(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        char path[] = "/tmp/test-config-XXXXXX";
        struct why why = {};
        int fd = mkstemp(path);

        expect(fd >= 0 && write(fd, "[Model]\nTopK=3\n", 15) == 15);
        (void) close(fd);
        expect(config_read_file(c, path, &why) == 0);
        expect(c->top_k == 3);
        (void) unlink(path);
}

/* The page is mdoc: an option is introduced by `.It Va Key =`. */
static void the_manual_names_every_option(void) {
        static char page[64 * 1024];
        const char *dir = getenv("SOURCE_DIR") ? getenv("SOURCE_DIR") : ".";
        const char *section, *key;
        char path[4096], wanted[96];
        FILE *in;

        (void) snprintf(path, sizeof(path), "%s/man/gemmad.conf.5", dir);
        in = fopen(path, "r");
        expect(in);
        if (!in)
                return;
        (void) !fread(page, 1, sizeof(page) - 1, in);
        (void) fclose(in);

        for (size_t i = 0; config_option_name(i, &section, &key); i++) {
                (void) snprintf(wanted, sizeof(wanted), "\n.It Va %s ", key);
                if (!strstr(page, wanted))
                        printf("# not in the manual: %s\n", key);
                expect(strstr(page, wanted));
                (void) snprintf(wanted, sizeof(wanted), "\n.Ss The [%s] section\n", section);
                expect(strstr(page, wanted));
        }
}

/* What the manual says under "Reading it again", and of these options nothing else. */
static void the_manual_tells_what_is_reloaded(void) {
        const char *dir = getenv("SOURCE_DIR"), *section, *key;
        char path[512], text[65536], name[64], *from, *to;
        FILE *in;

        if (!dir)
                dir = ".";
        (void) snprintf(path, sizeof(path), "%s/man/gemmad.conf.5", dir);
        in = fopen(path, "r");
        expect(in);
        if (!in)
                return;
        text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
        (void) fclose(in);
        from = strstr(text, ".Ss Reading it again");
        to = from ? strstr(from + 1, ".Ss ") : NULL;
        expect(from && to);
        if (!from || !to)
                return;
        *to = '\0';
        for (size_t i = 0; config_option_name(i, &section, &key); i++) {
                bool is_named;

                (void) snprintf(name, sizeof(name), ".Va %s", key);
                is_named = strstr(from, name) != NULL;
                if (is_named != config_is_reloadable(i))
                        printf("# %s.%s\n", section, key);
                expect(is_named == config_is_reloadable(i));
        }
}

/* Lines of the example that are options or sections, with the comment sign before an option taken away;
 * returned: their text, to be freed. */
static char *uncommented_example(void) {
        const char *dir = getenv("SOURCE_DIR") ? getenv("SOURCE_DIR") : ".";
        char path[512], line[512], *text = NULL;
        size_t size;
        FILE *in, *out;

        (void) snprintf(path, sizeof(path), "%s/man/gemmad.conf.example", dir);
        in = fopen(path, "r");
        out = open_memstream(&text, &size);
        expect(in && out);
        while (in && out && fgets(line, sizeof(line), in)) {
                bool is_option = line[0] == '#' && line[1] >= 'A' && line[1] <= 'Z' && strchr(line, '=');

                if (is_option || line[0] == '[')
                        (void) fputs(line + is_option, out);
        }
        if (in)
                (void) fclose(in);
        if (out)
                (void) fclose(out);
        return text;
}

/* Every option is there once, in its place, with its default. */
static void the_example_has_the_defaults(void) {
        _cleanup_(config_freep) struct config *c = fresh();
        char *example = uncommented_example(), *written = NULL;
        size_t size;
        FILE *out = open_memstream(&written, &size);

        expect(out);
        if (out) {
                const char *left = example, *right;

                config_write(c, out);
                (void) fclose(out);
                right = written;
                while (*left && *right) {
                        size_t n = strcspn(right, "\n"), m = strcspn(left, "\n");

                        if (n > 0) {
                                if (n != m || memcmp(left, right, n) != 0)
                                        printf("# '%.*s' is by default '%.*s'\n", (int) m, left, (int) n,
                                               right);
                                expect(n == m && memcmp(left, right, n) == 0);
                                left += m + (left[m] == '\n');
                        }
                        right += n + (right[n] == '\n');
                }
                expect(!*left && !*right);
        }
        free(example);
        free(written);
}

static void a_reload_takes_what_it_may(void) {
        _cleanup_(config_freep) struct config *c = fresh(), *new = fresh(), *copy = NULL;
        struct config_changes changes;
        struct why why = {};

        expect(read_text(new,
                         "[Model]\nPath=/x\nMaxTokens=7\nTopP=0.5\nSeed=9\n"
                         "[Store]\nKeepDays=3\nEnabled=no\n",
                         &why) == 0);
        config_adopt(c, new, &changes);
        expect(changes.n_taken == 2 && c->max_tokens == 7 && c->keep_days == 3);
        expect(changes.n_left == 3 && c->seed == 0 && c->store_enabled && !*c->model_path);
        expect(strcmp(changes.left, "Model.TopP, Model.Seed, Store.Enabled") == 0);

        /* The model's files are taken when it is loaded. */
        expect(changes.is_other_model && !config_has_same_model(c, new));
        expect(config_copy_model(c, new) == 0 && strcmp(c->model_path, "/x") == 0);
        expect(config_has_same_model(c, new) && c->seed == 0);

        /* Once more is nothing new; and a copy is the same, but of its own. */
        expect(config_copy(&copy, c) == 0);
        config_adopt(copy, c, &changes);
        expect(changes.n_taken == 0 && changes.n_left == 0 && changes.left[0] == '\0');
        expect(!changes.is_other_model);
        expect(copy->system_text != c->system_text && copy->max_tokens == 7);
}

int main(void) {
        rule("the defaults fit together", defaults_fit_together);
        rule("values are read", values_are_read);
        rule("the last value wins", the_last_value_wins);
        rule("bad lines are named with file, line and reason", bad_lines_are_named);
        rule("a NUL byte is refused", a_nul_byte_is_refused);
        rule("a bad value leaves the old one", a_bad_value_leaves_the_old_one);
        rule("what does not fit together is refused", what_does_not_fit_together_is_refused);
        rule("what is written reads the same", what_is_written_reads_the_same);
        rule("a file that is none is refused", a_file_that_is_none_is_refused);
        rule("a file is read", a_file_is_read);
        rule("the manual names every option", the_manual_names_every_option);
        rule("the manual tells what is reloaded", the_manual_tells_what_is_reloaded);
        rule("the example has every option with its default", the_example_has_the_defaults);
        rule("a reload takes what it may", a_reload_takes_what_it_may);
        return tap_done();
}
