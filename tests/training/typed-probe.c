/* SPDX-License-Identifier: Apache-2.0 */
/* What a model file's grammar makes of typed texts, one a line on standard input; only the grammar and
 * the vocabulary of the file are read, so that it needs no weights:
 *
 *     typed-probe FILE        one line each: the calls in JSON, or a word, and the nearest sentence
 *     typed-probe FILE apart  ... of two sentences with a / between: what tells them apart
 *     typed-probe FILE answers ... of two or three texts with / between, the last one an answer: the call
 *     typed-probe FILE ends   ... "whole" or "open", whether the sentence could become another command
 *     typed-probe FILE words  ... by which its meaning is told
 *     typed-probe FILE means  ... as without, but by its meaning alone
 *     typed-probe FILE likely ... as without, behind the likeliest meaning and how likely that is; 0 if a sentence says it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/think/typed.h"
#include "model/toolcall.h"

DEFINE_CLEANUP(struct gguf *, gguf_close)
DEFINE_CLEANUP(struct tokenizer *, tokenizer_free)
DEFINE_CLEANUP(struct grammar *, grammar_free)

static void print_call(const struct tokenizer *tokenizer, const struct typed_command *command) {
        char text[2048], out[2048], *name;
        struct text_stream stream = { 0 };
        json_t *arguments;
        size_t used = 0;

        for (unsigned i = command->call + 1; i + 1 < command->n_tokens; i++) {
                struct gguf_string piece = tokenizer_piece(tokenizer, command->tokens[i]);
                int n;

                if (command->tokens[i] == tokenizer_special(tokenizer)->quote) {
                        memcpy(text + used, piece.text, piece.size);
                        used += piece.size;
                        continue;
                }
                n = text_stream_push(&stream, tokenizer, command->tokens[i], out, sizeof(out));
                if (n < 0 || used + (size_t) n >= sizeof(text))
                        abort();
                memcpy(text + used, out, (size_t) n);
                used += (size_t) n;
        }
        if (toolcall_parse(text, used, &name, &arguments, NULL) < 0)
                abort();
        {
                _cleanup_(freep) char *json = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);

                printf("%s%s", name, json);
        }
        json_decref(arguments);
        free(name);
}

static bool parse(const struct typed *typed, const char *text, size_t size, struct typed_result *ret) {
        struct wording wording;

        return wording_read(&wording, text, size) == 0 &&
               typed_parse(typed, &wording, ret) == TYPED_COMMANDS;
}

static void tell_end(const struct typed *typed, const char *line) {
        struct typed_result result;

        if (!parse(typed, line, strlen(line), &result))
                puts("nothing");
        else
                puts(typed_can_go_on(typed, result.commands[0].tokens, result.commands[0].call)
                             ? "open"
                             : "whole");
}

static void tell_apart(const struct typed *typed, const char *line) {
        struct typed_result a, b;
        size_t n = strcspn(line, "/");
        char question[256] = "";

        if (parse(typed, line, n, &a) && line[n] && parse(typed, line + n + 1, strlen(line + n + 1), &b))
                (void) typed_question(typed, a.commands[0].tokens, a.commands[0].n_tokens,
                                      &b.commands[0], question, sizeof(question));
        puts(question);
}

static void tell_words(const struct typed *typed, const char *line) {
        char text[2048] = "";
        struct wording wording;

        if (wording_read(&wording, line, strlen(line)) == 0)
                (void) typed_meaning_words(typed, &wording, text, sizeof(text));
        puts(text);
}

/* A call that is written as a model would. */
static void print_written(const char *call) {
        json_t *arguments;
        char *name;

        if (toolcall_parse(call, strlen(call), &name, &arguments, NULL) < 0)
                abort();
        {
                _cleanup_(freep) char *json = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);

                printf("%s%s\n", name, json);
        }
        json_decref(arguments);
        free(name);
}

/* Of a text that is no sentence. */
static bool tell_meaning(const struct typed *typed, const struct tokenizer *tokenizer, const struct wording *wording) {
        struct typed_meaning meaning;

        switch (typed_means(typed, wording, &meaning)) {
        case TYPED_MEANS_COMMAND:
                print_call(tokenizer, &meaning.command);
                (void) putchar('\n');
                return true;
        case TYPED_MEANS_CALL:
                print_written(meaning.call);
                return true;
        case TYPED_MEANS_REPLY:
                printf("told: %s\n", meaning.words);
                return true;
        case TYPED_MEANS_HINT:
                printf("nothing: %s\n", meaning.words);
                return true;
        case TYPED_MEANS_NOTHING:
                break;
        }
        return false;
}

static void tell_only_meaning(const struct typed *typed, const struct tokenizer *tokenizer, const char *line) {
        struct wording wording;

        if (wording_read(&wording, line, strlen(line)) < 0 || !tell_meaning(typed, tokenizer, &wording))
                puts("nothing");
}

/* The first texts are what a question was about. */
static void tell_answer(const struct typed *typed, const struct tokenizer *tokenizer, char *line) {
        struct typed_asked asked = { 0 };
        struct typed_result result;
        struct typed_command command;
        struct wording wording;
        char *said = strrchr(line, '/'), *other = strchr(line, '/');

        if (!said || !parse(typed, line, (size_t) (other - line), &result))
                abort();
        asked.command = result.commands[0];
        if (other != said) {
                if (!parse(typed, other + 1, (size_t) (said - other - 1), &result))
                        abort();
                asked.other = result.commands[0];
        } else if (!typed_asks(typed, &asked.command)) {
                abort();
        }
        if (wording_read(&wording, said + 1, strlen(said + 1)) < 0)
                abort();
        switch (typed_answer(typed, &asked, &wording, &command)) {
        case TYPED_COMMANDS:
                print_call(tokenizer, &command);
                (void) putchar('\n');
                break;
        case TYPED_TAKEN_BACK:
                puts("taken back");
                break;
        case TYPED_NOTHING:
        case TYPED_IN_PART:
                puts("nothing");
                break;
        }
}

static void answer(const struct typed *typed, const struct tokenizer *tokenizer, const char *line) {
        static const char *const words[] = {
                [TYPED_NOTHING] = "nothing",
                [TYPED_TAKEN_BACK] = "taken back",
                [TYPED_IN_PART] = "in part",
        };
        char hint[TYPED_MAX_SENTENCE] = "", call[TYPED_MAX_CALL];
        struct typed_result result;
        struct wording wording;
        enum typed_verdict verdict;
        const char *reply;
        bool is_taken;

        if (wording_read(&wording, line, strlen(line)) < 0) {
                puts("too long");
                return;
        }
        verdict = typed_parse(typed, &wording, &result);
        is_taken = verdict == TYPED_COMMANDS && result.n_commands == 1 &&
                   typed_takes(typed, &wording, &result.commands[0], call);
        reply = verdict == TYPED_IN_PART ? typed_postpones(typed, &wording)
                : verdict != TYPED_COMMANDS
                        ? NULL
                        : typed_beyond(typed, &wording, result.commands, is_taken ? 0 : result.n_commands);
        if (reply) {
                printf("told: %s\n", reply);
                return;
        }
        if (is_taken) {
                print_written(call);
                return;
        }
        if (verdict == TYPED_COMMANDS) {
                for (unsigned i = 0; i < result.n_commands; i++) {
                        if (i > 0)
                                (void) fputs("; ", stdout);
                        print_call(tokenizer, &result.commands[i]);
                }
                (void) putchar('\n');
                return;
        }
        if (verdict == TYPED_NOTHING && tell_meaning(typed, tokenizer, &wording))
                return;
        (void) typed_suggest(typed, &wording, hint, sizeof(hint));
        printf("%s%s%s\n", words[verdict], hint[0] ? ": " : "", hint);
}

static void tell_likely(const struct typed *typed,
                        const struct tokenizer *tokenizer,
                        const struct grammar *grammar,
                        const char *line) {
        struct typed_result result;
        struct wording wording;
        char words[2048];
        float likelihood = 0;
        unsigned meaning = 0;

        if (wording_read(&wording, line, strlen(line)) == 0 &&
            typed_parse(typed, &wording, &result) == TYPED_NOTHING &&
            typed_meaning_words(typed, &wording, words, sizeof(words)))
                meaning = meanings_judge(grammar_meanings(grammar), words, &likelihood);
        printf("%u %.3f ", meaning, (double) likelihood);
        answer(typed, tokenizer, line);
}

int main(int argc, char **argv) {
        _cleanup_(gguf_closep) struct gguf *file = NULL;
        _cleanup_(tokenizer_freep) struct tokenizer *tokenizer = NULL;
        _cleanup_(grammar_freep) struct grammar *grammar = NULL;
        _cleanup_(typed_freep) struct typed *typed = NULL;
        struct why why = {};
        char line[4096];

        if (argc < 2 || gguf_open(&file, argv[1], &why) < 0 ||
            tokenizer_new(&tokenizer, file, &why) < 0 ||
            grammar_read(&grammar, file, tokenizer_n_tokens(tokenizer), &why) < 0 ||
            typed_new(&typed, grammar, tokenizer) < 0) {
                (void) fprintf(stderr, "typed-probe: %s\n", argc > 1 ? why.text : "which file?");
                return 2;
        }
        while (fgets(line, sizeof(line), stdin))
                if (argc > 2 && strcmp(argv[2], "apart") == 0)
                        tell_apart(typed, line);
                else if (argc > 2 && strcmp(argv[2], "answers") == 0)
                        tell_answer(typed, tokenizer, line);
                else if (argc > 2 && strcmp(argv[2], "words") == 0)
                        tell_words(typed, line);
                else if (argc > 2 && strcmp(argv[2], "likely") == 0)
                        tell_likely(typed, tokenizer, grammar, line);
                else if (argc > 2 && strcmp(argv[2], "means") == 0)
                        tell_only_meaning(typed, tokenizer, line);
                else if (argc > 2)
                        tell_end(typed, line);
                else
                        answer(typed, tokenizer, line);
        return 0;
}
