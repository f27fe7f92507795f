/* SPDX-License-Identifier: Apache-2.0 */
#include "model/toolcall.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/toolcall-notation.h"

static int write_word(FILE *f, const char *word, struct why *why) {
        size_t n = strlen(word);

        for (size_t i = 0; i < n; i++)
                if (!notation_is_word_character(word[i]))
                        return because(why, -EBADMSG, "'%.64s' is not a plain word", word);
        if (n == 0 || n > NOTATION_MAX_WORD)
                return because(why, -EBADMSG, "a name is empty or longer than %u bytes",
                               NOTATION_MAX_WORD);

        return fputs(word, f) < 0 ? -ENOMEM : 0;
}

/* There is no way to write the quote itself, and a NUL would end the text in the middle. */
static int write_text(FILE *f, const char *text, size_t size, struct why *why) {
        if (memmem(text, size, NOTATION_QUOTE, strlen(NOTATION_QUOTE)))
                return because(why, -EBADMSG, "a string holds the quote marker %s", NOTATION_QUOTE);
        if (memchr(text, '\0', size))
                return because(why, -EBADMSG, "a string holds a NUL");

        if (fputs(NOTATION_QUOTE, f) < 0 || fwrite(text, 1, size, f) != size ||
            fputs(NOTATION_QUOTE, f) < 0)
                return -ENOMEM;
        return 0;
}

/* A tool may answer with keys of any letters: those that are no plain words stand in quotes. */
static int write_key(FILE *f, const char *key, struct why *why) {
        bool is_word = key[0] && strlen(key) <= NOTATION_MAX_WORD;

        for (size_t i = 0; is_word && key[i]; i++)
                is_word = notation_is_word_character(key[i]);
        return is_word ? write_word(f, key, why) : write_text(f, key, strlen(key), why);
}

/* With as few digits as say exactly this number, in any locale. */
static int write_real(FILE *f, const json_t *value) {
        for (unsigned digits = 15; digits <= 17; digits++) {
                size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits);
                _cleanup_(freep) char *text = json_dumps(value, flags);
                json_t *back;
                bool same;

                if (!text)
                        return -ENOMEM;
                back = json_loads(text, JSON_DECODE_ANY, NULL);
                same = back && json_equal(back, value);
                json_decref(back);
                if (same || digits == 17)
                        return fputs(text, f) < 0 ? -ENOMEM : 0;
        }
        return 0;
}

static int write_scalar(FILE *f, const json_t *value, struct why *why) {
        switch (json_typeof(value)) {
        case JSON_STRING:
                return write_text(f, json_string_value(value), json_string_length(value), why);
        case JSON_INTEGER:
                return fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0 ? -ENOMEM
                                                                                          : 0;
        case JSON_REAL:
                return write_real(f, value);
        case JSON_TRUE:
                return fputs("true", f) < 0 ? -ENOMEM : 0;
        case JSON_FALSE:
                return fputs("false", f) < 0 ? -ENOMEM : 0;
        case JSON_NULL:
                return fputs("null", f) < 0 ? -ENOMEM : 0;
        case JSON_OBJECT:
        case JSON_ARRAY:
                break;
        }
        return -EINVAL;
}

/* Without regard to case, as the model was trained; the rest of the order is only to have one. */
static int compare_keys(const void *a, const void *b) {
        const char *left = *(const char *const *) a, *right = *(const char *const *) b;
        int r = strcasecmp(left, right);

        return r != 0 ? r : strcmp(left, right);
}

/* The keys of an object in order, as a new array of pointers into it. */
static int sort_keys(const json_t *object, const char ***ret) {
        void *iter = json_object_iter((json_t *) object);
        const char **keys;
        size_t n = 0;

        keys = calloc(json_object_size(object) + 1, sizeof(*keys));
        if (!keys)
                return -ENOMEM;

        for (; iter; iter = json_object_iter_next((json_t *) object, iter))
                keys[n++] = json_object_iter_key(iter);
        qsort(keys, n, sizeof(*keys), compare_keys);
        *ret = keys;
        return 0;
}

static int write_value(FILE *f, const json_t *value, unsigned depth, struct why *why) {
        _cleanup_(freep) const char **keys = NULL;
        bool is_object = json_is_object(value);
        size_t n = is_object ? json_object_size(value) : json_array_size(value);
        const json_t *member;
        int r;

        if (!is_object && !json_is_array(value))
                return write_scalar(f, value, why);
        if (depth > NOTATION_MAX_DEPTH)
                return because(why, -EBADMSG, "nested too deeply");
        if (is_object) {
                r = sort_keys(value, &keys);
                if (r < 0)
                        return r;
        }

        fputc(is_object ? '{' : '[', f);
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        fputc(',', f);
                if (is_object) {
                        r = write_key(f, keys[i], why);
                        if (r < 0)
                                return r;
                        fputc(':', f);
                }
                member = is_object ? json_object_get(value, keys[i]) : json_array_get(value, i);
                r = write_value(f, member, depth + 1, why);
                if (r < 0)
                        return r;
        }
        return fputc(is_object ? '}' : ']', f) == EOF ? -ENOMEM : 0;
}

/* A JSON Schema while it is written.  The outermost one, of all parameters, has neither description
 * nor empty properties in the notation. */
struct schema {
        FILE *f;
        const json_t *json;
        const char *type; /* in capitals */
        bool outermost;
        bool begun; /* a field has been written */
};

static bool is_type(const struct schema *s, const char *type) {
        return strcmp(s->type, type) == 0;
}

static void begin_field(struct schema *s, const char *name) {
        fprintf(s->f, "%s%s:", s->begun ? "," : "", name);
        s->begun = true;
}

/* Of a list of types the first counts. */
static int find_type(struct schema *s, struct why *why) {
        static const char *const types[] = {
                "ARRAY", "BOOLEAN", "INTEGER", "NULL", "NUMBER", "OBJECT", "STRING",
        };
        const json_t *type = json_object_get(s->json, "type");
        const char *text;

        text = json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
        if (!text)
                return because(why, -EBADMSG, "a schema has no type");

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (strcasecmp(text, types[i]) == 0) {
                        s->type = types[i];
                        return 0;
                }
        return because(why, -EBADMSG, "a schema has the unknown type '%.32s'", text);
}

static int write_nullable(struct schema *s) {
        if (s->outermost || !json_is_true(json_object_get(s->json, "nullable")))
                return 0;

        begin_field(s, "nullable");
        return fputs("true", s->f) < 0 ? -ENOMEM : 0;
}

/* A list of strings, if there is one that is not empty. */
static int write_strings(struct schema *s, const char *name, struct why *why) {
        const json_t *list = json_object_get(s->json, name);

        if (!list || (json_is_array(list) && json_array_size(list) == 0))
                return 0;
        if (!json_is_array(list))
                return because(why, -EBADMSG, "'%s' of a schema is not a list", name);
        for (size_t i = 0; i < json_array_size(list); i++)
                if (!json_is_string(json_array_get(list, i)))
                        return because(why, -EBADMSG, "'%s' of a schema holds no strings", name);

        begin_field(s, name);
        return write_value(s->f, list, 1, why);
}

/* What stands before the schemas that this one holds. */
static int write_front(struct schema *s, struct why *why) {
        const json_t *description = json_object_get(s->json, "description");
        int r = 0;

        if (json_string_length(description) > 0 && !s->outermost) {
                begin_field(s, "description");
                r = write_text(s->f, json_string_value(description),
                               json_string_length(description), why);
        }
        if (r >= 0 && is_type(s, "STRING"))
                r = write_strings(s, "enum", why);
        if (r >= 0 && !is_type(s, "ARRAY"))
                r = write_nullable(s);
        return r;
}

/* What stands behind them. */
static int write_back(struct schema *s, struct why *why) {
        int r = 0;

        if (is_type(s, "ARRAY"))
                r = write_nullable(s);
        if (r >= 0 && is_type(s, "OBJECT"))
                r = write_strings(s, "required", why);
        if (r < 0)
                return r;

        begin_field(s, "type");
        return write_text(s->f, s->type, strlen(s->type), why);
}

/* Begins the field of the schemas that this one holds: an object's properties (*ret_keyed), or an
 * array's items.  1, or 0 when it holds none. */
static int begin_parts(struct schema *s, const json_t **ret, bool *ret_keyed, struct why *why) {
        const json_t *parts;
        const char *name;

        if (!is_type(s, "OBJECT") && !is_type(s, "ARRAY"))
                return 0;

        name = is_type(s, "OBJECT") ? "properties" : "items";
        parts = json_object_get(s->json, name);
        if (parts && !json_is_object(parts))
                return because(why, -EBADMSG, "'%s' of a schema is not an object", name);
        if (json_object_size(parts) == 0 && (s->outermost || is_type(s, "ARRAY")))
                return 0;

        begin_field(s, name);
        *ret = parts;
        *ret_keyed = is_type(s, "OBJECT");
        return 1;
}

/* Either one schema, or an object whose members are schemas; with braces. */
static int write_schemas(FILE *f, const json_t *json, bool keyed, unsigned depth, struct why *why) {
        _cleanup_(freep) const char **keys = NULL;
        size_t n = keyed ? json_object_size(json) : 1;
        const json_t *parts = NULL;
        bool parts_keyed = false;
        int r;

        if (depth > NOTATION_MAX_DEPTH)
                return because(why, -EBADMSG, "a schema is nested too deeply");
        r = keyed ? sort_keys(json, &keys) : 0;
        if (r < 0)
                return r;

        fputc('{', f);
        for (size_t i = 0; i < n; i++) {
                struct schema s = { .f = f, .json = json, .outermost = depth == 0 };

                if (keyed) {
                        s.json = json_object_get(json, keys[i]);
                        fputs(i > 0 ? "," : "", f);
                        r = write_word(f, keys[i], why);
                        if (r < 0)
                                return r;
                        fputs(":{", f);
                }

                r = find_type(&s, why);
                if (r >= 0)
                        r = write_front(&s, why);
                if (r >= 0)
                        r = begin_parts(&s, &parts, &parts_keyed, why);
                if (r > 0)
                        r = write_schemas(f, parts, parts_keyed, depth + 1, why);
                if (r >= 0)
                        r = write_back(&s, why);
                if (r < 0)
                        return r;
                fputs(keyed ? "}" : "", f);
        }
        return fputc('}', f) == EOF ? -ENOMEM : 0;
}

/* Closes the stream that wrote *text, which is then complete, and hands it over. */
static int finish(char **ret, FILE *f, char **text, int r) {
        bool failed = ferror(f);

        if (fclose(f) != 0 || failed)
                r = r < 0 ? r : -ENOMEM;
        if (r < 0)
                return r;

        *ret = TAKE_PTR(*text);
        return 0;
}

int toolcall_write_value(char **ret, const json_t *value, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = write_value(f, value, 1, why);
        return finish(ret, f, &text, r);
}

static int write_response(FILE *f, const char *name, const json_t *result, struct why *why) {
        bool is_object = json_is_object(result);
        int r;

        fputs("response:", f);
        r = write_word(f, name, why);
        if (r < 0)
                return r;
        fputs(is_object ? "" : "{value:", f);
        r = write_value(f, result, 1, why);
        if (r < 0)
                return r;
        return fputs(is_object ? "" : "}", f) < 0 ? -ENOMEM : 0;
}

int toolcall_write_response(char **ret, const char *name, const json_t *result, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = write_response(f, name, result, why);
        return finish(ret, f, &text, r);
}

static int write_declaration(FILE *f,
                             const char *name,
                             const char *description,
                             const json_t *parameters,
                             struct why *why) {
        int r;

        fputs("declaration:", f);
        r = write_word(f, name, why);
        if (r < 0)
                return r;
        fputs("{description:", f);
        r = write_text(f, description, strlen(description), why);
        if (r < 0)
                return r;

        if (parameters) {
                fputs(",parameters:", f);
                r = write_schemas(f, parameters, /* keyed= */ false, 0, why);
                if (r < 0)
                        return r;
        }
        return fputc('}', f) == EOF ? -ENOMEM : 0;
}

int toolcall_write_declaration(char **ret,
                               const char *name,
                               const char *description,
                               const json_t *parameters,
                               struct why *why) {
        _cleanup_(freep) char *text = NULL;
        struct schema s = { .json = parameters };
        size_t size;
        FILE *f;
        int r;

        if (parameters) {
                r = find_type(&s, why);
                if (r < 0)
                        return r;
                if (!is_type(&s, "OBJECT"))
                        return because(why, -EBADMSG, "the parameters are not an object");
        }

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = write_declaration(f, name, description ? description : "", parameters, why);
        return finish(ret, f, &text, r);
}
