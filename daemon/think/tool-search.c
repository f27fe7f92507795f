/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/tool-search.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/utf8.h"

#define MAX_WORD   32
#define MAX_TOPICS 96

/* What is found has to be read by the model before it can go on, at some fifty positions a second. */
#define MOST_FOUND     4
#define MAX_FOUND_SIZE 1500
#define MAX_NAMES_SIZE 1500
#define MAX_PARAMETER  80 /* bytes of what a parameter is said to mean */
#define MAX_DEPTH      4

static const char how[] = "Call one of them. What has a ? may be left out.";

/* ---- words ---- */

static bool is_in_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (unsigned char) c >= 0x80;
}

/* A word that is too long ends before a character that was cut. */
static size_t whole_characters(const char *word, size_t size) {
        size_t n = 0;

        while (n < size) {
                int length = utf8_character(word + n, size - n);

                if (length == 0)
                        break;
                n += length > 0 ? (size_t) length : 1;
        }
        return n;
}

/* Takes the next word off *text, in small letters.  False: there is none. */
static bool next_word(const char **text, char ret[static MAX_WORD]) {
        size_t n = 0;

        while (**text && !is_in_word(**text))
                (*text)++;
        for (; is_in_word(**text); (*text)++)
                if (n + 1 < MAX_WORD)
                        ret[n++] = **text >= 'A' && **text <= 'Z' ? (char) (**text + 32) : **text;
        n = whole_characters(ret, n);
        ret[n] = '\0';
        return n > 0;
}

/* "timers" is "timer", and "dim" is no "dimension". */
static bool are_alike(const char *a, const char *b) {
        size_t n_a = strlen(a), n_b = strlen(b), n = n_a < n_b ? n_a : n_b;
        size_t longer = n_a < n_b ? n_b : n_a;

        return strncmp(a, b, n) == 0 && (longer == n || (n >= 3 && longer - n <= 3));
}

static bool has_word(const char *text, const char *word, bool is_exact) {
        char other[MAX_WORD];

        while (next_word(&text, other))
                if (is_exact ? strcmp(word, other) == 0 : are_alike(word, other))
                        return true;
        return false;
}

/* ---- topics ---- */

/* Words of names and of questions that tell nothing of what is wanted. */
static bool says_little(const char *word) {
        static const char *const little[] = {
                "a",      "add", "all",  "an",  "and",  "are", "be",   "change", "do",
                "for",    "get", "in",   "is",  "it",   "me",  "my",   "not",    "of",
                "please", "set", "that", "the", "this", "to",  "what", "with",   "you",
        };

        for (size_t i = 0; i < sizeof(little) / sizeof(little[0]); i++)
                if (strcmp(word, little[i]) == 0)
                        return true;
        return false;
}

/* Appends it behind a comma; false when it has no room, or is there. */
static bool add_topic(const char *word, char *out, size_t out_size) {
        size_t used = strlen(out);
        int n;

        if (says_little(word) || has_word(out, word, true))
                return false;
        n = snprintf(out + used, out_size - used, "%s%s", used > 0 ? ", " : "", word);
        if (n > 0 && (size_t) n < out_size - used)
                return true;
        out[used] = '\0';
        return false;
}

size_t
tool_search_topics(const struct tool *tools, size_t n, size_t n_words, char *out, size_t out_size) {
        size_t n_topics = 0;

        out[0] = '\0';
        for (size_t i = 0; i < n; i++) {
                const char *name = tools[i].name;
                char word[MAX_WORD];

                while (n_topics < n_words && n_topics < MAX_TOPICS && next_word(&name, word))
                        n_topics += add_topic(word, out, out_size);
        }
        return n_topics;
}

/* ---- how a tool is called ---- */

static void write_schema(FILE *f, const json_t *schema, unsigned depth);

static bool is_required(const json_t *schema, const char *key) {
        const json_t *name;
        size_t i;

        json_array_foreach(json_object_get(schema, "required"), i, name) {
                if (strcmp(json_string_value(name) ? json_string_value(name) : "", key) == 0)
                        return true;
        }
        return false;
}

/* {key:NUMBER,other?:"a"|"b"} */
static void write_object(FILE *f, const json_t *schema, unsigned depth) {
        json_t *properties = json_object_get(schema, "properties"), *property;
        bool is_first = true;
        const char *key;

        (void) fputc('{', f);
        json_object_foreach(properties, key, property) {
                const char *meaning = json_string_value(json_object_get(property, "description"));

                (void) fprintf(f, "%s%s%s:", is_first ? "" : ",", key,
                               is_required(schema, key) ? "" : "?");
                is_first = false;
                write_schema(f, property, depth + 1);
                if (meaning && *meaning && strlen(meaning) <= MAX_PARAMETER)
                        (void) fprintf(f, " (%s)", meaning);
        }
        (void) fputc('}', f);
}

static void write_choices(FILE *f, const json_t *choices) {
        const json_t *choice;
        size_t i;

        json_array_foreach(choices, i, choice) {
                _cleanup_(freep) char *text = json_dumps(choice, JSON_ENCODE_ANY | JSON_COMPACT);

                (void) fprintf(f, "%s%s", i > 0 ? "|" : "", text ? text : "null");
        }
}

static void write_type(FILE *f, const json_t *schema) {
        const json_t *type = json_object_get(schema, "type");
        const char *text = json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);

        for (text = text ? text : "any"; *text; text++)
                (void) fputc(*text >= 'a' && *text <= 'z' ? *text - 32 : *text, f);
}

static bool is_of_type(const json_t *schema, const char *type) {
        const char *text = json_string_value(json_object_get(schema, "type"));

        return text && strcasecmp(text, type) == 0;
}

static void write_schema(FILE *f, const json_t *schema, unsigned depth) {
        const json_t *choices = json_object_get(schema, "enum");

        if (json_array_size(choices) > 0)
                write_choices(f, choices);
        else if (depth < MAX_DEPTH && is_of_type(schema, "object"))
                write_object(f, schema, depth);
        else if (depth < MAX_DEPTH && is_of_type(schema, "array")) {
                (void) fputc('[', f);
                write_schema(f, json_object_get(schema, "items"), depth + 1);
                (void) fputc(']', f);
        } else
                write_type(f, schema);
}

/* set_volume{percent:NUMBER} Sets the volume of the speakers. */
static char *write_call(const struct tool *tool) {
        json_t *parameters =
                json_loads(tool->parameters_json ? tool->parameters_json : "{}", 0, NULL);
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f) {
                json_decref(parameters);
                return NULL;
        }
        (void) fputs(tool->name, f);
        write_object(f, parameters, 0);
        (void) fprintf(f, " %s", tool->description ? tool->description : "");
        json_decref(parameters);
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

/* ---- which fit ---- */

/* In what of a tool a word is: its name, the names and choices of its parameters, what is said of it. */
static double fit(const struct tool *tool, const char *word) {
        if (has_word(tool->name, word, /* is_exact= */ true))
                return 6;
        if (has_word(tool->name, word, false))
                return 3;
        if (tool->parameters_json && has_word(tool->parameters_json, word, false))
                return 2;
        return tool->description && has_word(tool->description, word, false) ? 1 : 0;
}

/* What many tools have counts little. */
static void score(const struct tool *tools, size_t n, const char *word, double *scores) {
        size_t n_fit = 0;

        for (size_t i = 0; i < n; i++)
                n_fit += fit(&tools[i], word) > 0;
        for (size_t i = 0; n_fit > 0 && i < n; i++)
                scores[i] += fit(&tools[i], word) * log((double) (n + 1) / (double) n_fit);
}

/* The best one of at least this score, which is taken out; n: none is left. */
static size_t take_best(double *scores, size_t n, double least) {
        size_t best = n;

        for (size_t i = 0; i < n; i++)
                if (scores[i] > least && (best == n || scores[i] > scores[best]))
                        best = i;
        if (best < n)
                scores[best] = 0;
        return best;
}

/* What fits a quarter as well as the best is no answer any more. */
static json_t *find(const struct tool *tools, size_t n, double *scores) {
        json_t *found = json_array();
        double least = 0;
        size_t used = 0;

        for (size_t i = 0; i < n; i++)
                least = scores[i] / 4 > least ? scores[i] / 4 : least;
        while (json_array_size(found) < MOST_FOUND) {
                size_t at = take_best(scores, n, least);
                _cleanup_(freep) char *line = at < n ? write_call(&tools[at]) : NULL;

                used += line ? strlen(line) : 0;
                if (!line || (json_array_size(found) > 0 && used > MAX_FOUND_SIZE))
                        break;
                (void) json_array_append_new(found, json_string(line));
        }
        return found;
}

static json_t *name_all(const struct tool *tools, size_t n) {
        char names[MAX_NAMES_SIZE] = "";
        size_t used = 0;

        for (size_t i = 0; i < n; i++) {
                int k = snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "",
                                 tools[i].name);

                if (k < 0 || (size_t) k >= sizeof(names) - used) {
                        names[used] = '\0';
                        break;
                }
                used += (size_t) k;
        }
        return json_pack("{s:s, s:s}", "error", "Nothing is called so.", "there_are", names);
}

char *tool_search(const struct tool *tools, size_t n, const char *about) {
        _cleanup_(freep) double *scores = calloc(n + 1, sizeof(*scores));
        char word[MAX_WORD], *text;
        json_t *found, *all;

        if (!scores)
                return NULL;
        while (next_word(&about, word))
                if (!says_little(word))
                        score(tools, n, word, scores);
        found = find(tools, n, scores);
        if (json_array_size(found) > 0) {
                all = json_pack("{s:s, s:o}", "how", how, "tools", found);
        } else {
                json_decref(found);
                all = name_all(tools, n);
        }
        text = json_dumps(all, JSON_COMPACT);
        json_decref(all);
        return text;
}
