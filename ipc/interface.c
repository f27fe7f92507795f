/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/interface.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"

/* Types within one another; a named type counts once more for each use when values are checked,
 * but there the depth of the JSON is the bound. */
#define MAX_DEPTH 16

enum kind {
        KIND_BOOL,
        KIND_INT,
        KIND_FLOAT,
        KIND_STRING,
        KIND_OBJECT,
        KIND_NAMED,
        KIND_ENUM,
        KIND_STRUCT,
        KIND_ARRAY,
        KIND_MAP,
};

struct type;

/* A field of a struct, or a value of an enum (which has no type). */
struct field {
        SIMPLEQ_ENTRY(field) link;
        char *name;        /* owned */
        struct type *type; /* owned */
};

SIMPLEQ_HEAD(fields, field);

struct type {
        enum kind kind;
        bool may_be_null;
        char *name;            /* owned; KIND_NAMED */
        struct type *element;  /* owned; KIND_ARRAY, KIND_MAP */
        struct fields members; /* owned; KIND_STRUCT, KIND_ENUM */
};

enum member_kind { MEMBER_TYPE, MEMBER_METHOD, MEMBER_ERROR };

struct member {
        SIMPLEQ_ENTRY(member) link;
        enum member_kind kind;
        char *name;         /* owned */
        struct type *type;  /* owned; what goes in, or what the type is */
        struct type *reply; /* owned; MEMBER_METHOD */
};

SIMPLEQ_HEAD(members, member);

struct interface {
        char *name; /* owned */
        char *text; /* owned */
        struct members members;
};

struct parser {
        const char *start, *at;
        struct why *why;
};

DEFINE_CLEANUP(struct interface *, interface_free)

static void fields_free(struct fields *fields);

static struct type *type_free(struct type *t) {
        if (!t)
                return NULL;

        free(t->name);
        type_free(t->element);
        fields_free(&t->members);
        free(t);
        return NULL;
}

static void field_free(struct field *f) {
        free(f->name);
        type_free(f->type);
        free(f);
}

static void fields_free(struct fields *fields) {
        struct field *f;

        while ((f = SIMPLEQ_FIRST(fields))) {
                SIMPLEQ_REMOVE_HEAD(fields, link);
                field_free(f);
        }
}

static struct member *member_free(struct member *m) {
        if (!m)
                return NULL;

        free(m->name);
        type_free(m->type);
        type_free(m->reply);
        free(m);
        return NULL;
}

DEFINE_CLEANUP(struct type *, type_free)
DEFINE_CLEANUP(struct member *, member_free)

static struct type *type_new(enum kind kind) {
        struct type *t;

        t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->kind = kind;
        SIMPLEQ_INIT(&t->members);
        return t;
}

/* ASCII only, whatever the locale says. */
static bool is_upper(char c) {
        return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c) {
        return is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool is_alnum(char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
}

static int wrong(const struct parser *p, const char *expected) {
        unsigned line = 1;

        for (const char *c = p->start; c < p->at; c++)
                line += *c == '\n';
        return because(p->why, -EBADMSG, "line %u: %s expected", line, expected);
}

static void skip_space(struct parser *p) {
        for (;;) {
                p->at += strspn(p->at, " \t\r\n");
                if (*p->at != '#')
                        return;
                p->at += strcspn(p->at, "\n");
        }
}

/* Whether the text goes on with this, which is then passed. */
static bool accept_text(struct parser *p, const char *text) {
        size_t size = strlen(text);

        skip_space(p);
        if (strncmp(p->at, text, size) != 0)
                return false;
        p->at += size;
        return true;
}

/* Like accept_text(), but "inter" does not go on with "int". */
static bool accept_word(struct parser *p, const char *word) {
        size_t size = strlen(word);

        skip_space(p);
        if (strncmp(p->at, word, size) != 0 || is_alnum(p->at[size]) || p->at[size] == '_')
                return false;
        p->at += size;
        return true;
}

static int expect_text(struct parser *p, const char *text, const char *expected) {
        return accept_text(p, text) ? 0 : wrong(p, expected);
}

static int take_text(struct parser *p, size_t size, char **ret) {
        char *text;

        text = strndup(p->at, size);
        if (!text)
                return -ENOMEM;
        p->at += size;
        *ret = text;
        return 0;
}

/* Letters and digits, a letter first, single underscores between. */
static int parse_field_name(struct parser *p, char **ret) {
        const char *c;

        skip_space(p);
        if (!is_letter(*p->at))
                return wrong(p, "a name");
        for (c = p->at; is_alnum(*c) || (*c == '_' && is_alnum(c[1])); c++)
                ;
        return take_text(p, (size_t) (c - p->at), ret);
}

static int parse_member_name(struct parser *p, char **ret) {
        const char *c;

        skip_space(p);
        if (!is_upper(*p->at))
                return wrong(p, "a name that begins with a capital letter");
        for (c = p->at; is_alnum(*c); c++)
                ;
        return take_text(p, (size_t) (c - p->at), ret);
}

/* Two parts at least, with dots between; hyphens only inside a part. */
static int parse_interface_name(struct parser *p, char **ret) {
        static const char expected[] = "an interface name like 'org.example.thing'";
        const char *c;
        unsigned n_parts = 0;

        skip_space(p);
        for (c = p->at;; c++) {
                if (n_parts == 0 ? !is_letter(*c) : !is_alnum(*c))
                        return wrong(p, expected);
                while (is_alnum(*c) || (*c == '-' && (c[1] == '-' || is_alnum(c[1]))))
                        c++;
                n_parts++;
                if (*c != '.')
                        break;
        }
        if (n_parts < 2)
                return wrong(p, expected);
        return take_text(p, (size_t) (c - p->at), ret);
}

static struct field *fields_find(const struct fields *fields, const char *name) {
        struct field *f;

        SIMPLEQ_FOREACH(f, fields, link) {
                if (strcmp(f->name, name) == 0)
                        return f;
        }
        return NULL;
}

static int parse_type(struct parser *p, unsigned depth, struct type **ret);

/* One "name: type", or one value of an enum.  The first field says which of the two t is. */
static int parse_field(struct parser *p, unsigned depth, struct type *t) {
        bool is_first = SIMPLEQ_EMPTY(&t->members);
        struct field *f;
        int r;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        r = parse_field_name(p, &f->name);
        if (r >= 0 && fields_find(&t->members, f->name))
                r = wrong(p, "a name that was not used before");
        if (r >= 0 && accept_text(p, ":")) {
                r = is_first || t->kind == KIND_STRUCT ? 0 : wrong(p, "',' or ')'");
                t->kind = KIND_STRUCT;
                if (r >= 0)
                        r = parse_type(p, depth, &f->type);
        } else if (r >= 0) {
                r = is_first || t->kind == KIND_ENUM ? 0 : wrong(p, "':'");
                t->kind = KIND_ENUM;
        }
        if (r < 0) {
                field_free(f);
                return r;
        }

        SIMPLEQ_INSERT_TAIL(&t->members, f, link);
        return 0;
}

/* "(...)": a struct or an enum. */
static int parse_members(struct parser *p, unsigned depth, struct type **ret) {
        _cleanup_(type_freep) struct type *t = NULL;
        int r;

        r = expect_text(p, "(", "'('");
        if (r < 0)
                return r;
        t = type_new(KIND_STRUCT);
        if (!t)
                return -ENOMEM;

        if (accept_text(p, ")")) {
                *ret = TAKE_PTR(t);
                return 0;
        }
        do {
                r = parse_field(p, depth, t);
                if (r < 0)
                        return r;
        } while (accept_text(p, ","));
        r = expect_text(p, ")", "',' or ')'");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

static int parse_struct(struct parser *p, struct type **ret) {
        _cleanup_(type_freep) struct type *t = NULL;
        int r;

        r = parse_members(p, 0, &t);
        if (r < 0)
                return r;
        if (t->kind != KIND_STRUCT)
                return wrong(p, "fields with types");

        *ret = TAKE_PTR(t);
        return 0;
}

static int parse_plain_type(struct parser *p, unsigned depth, struct type **ret) {
        static const char *const words[] = {
                [KIND_BOOL] = "bool",     [KIND_INT] = "int",       [KIND_FLOAT] = "float",
                [KIND_STRING] = "string", [KIND_OBJECT] = "object",
        };
        _cleanup_(type_freep) struct type *t = NULL;
        int r;

        skip_space(p);
        if (*p->at == '(')
                return parse_members(p, depth + 1, ret);

        t = type_new(KIND_NAMED);
        if (!t)
                return -ENOMEM;
        for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
                if (!accept_word(p, words[k]))
                        continue;
                t->kind = (enum kind) k;
                *ret = TAKE_PTR(t);
                return 0;
        }
        if (!is_upper(*p->at))
                return wrong(p, "a type");
        r = parse_member_name(p, &t->name);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

static int parse_type(struct parser *p, unsigned depth, struct type **ret) {
        _cleanup_(type_freep) struct type *t = NULL;
        bool may_be_null, is_array;
        int r;

        if (depth > MAX_DEPTH)
                return wrong(p, "less nesting");
        may_be_null = accept_text(p, "?");
        is_array = accept_text(p, "[]");
        if (is_array || accept_text(p, "[string]")) {
                t = type_new(is_array ? KIND_ARRAY : KIND_MAP);
                if (!t)
                        return -ENOMEM;
                r = parse_type(p, depth + 1, &t->element);
        } else {
                r = parse_plain_type(p, depth, &t);
        }
        if (r < 0)
                return r;

        t->may_be_null = may_be_null;
        *ret = TAKE_PTR(t);
        return 0;
}

static const struct member *
find_member(const struct interface *i, enum member_kind kind, const char *name) {
        struct member *m;

        SIMPLEQ_FOREACH(m, &i->members, link) {
                if (m->kind == kind && strcmp(m->name, name) == 0)
                        return m;
        }
        return NULL;
}

static int parse_member(struct parser *p, struct interface *i) {
        _cleanup_(member_freep) struct member *m = NULL;
        struct member *other;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        if (accept_word(p, "type"))
                m->kind = MEMBER_TYPE;
        else if (accept_word(p, "method"))
                m->kind = MEMBER_METHOD;
        else if (accept_word(p, "error"))
                m->kind = MEMBER_ERROR;
        else
                return wrong(p, "'type', 'method' or 'error'");

        r = parse_member_name(p, &m->name);
        if (r < 0)
                return r;
        SIMPLEQ_FOREACH(other, &i->members, link) {
                if (strcmp(other->name, m->name) == 0)
                        return wrong(p, "a name that was not used before");
        }
        r = m->kind == MEMBER_TYPE ? parse_members(p, 0, &m->type) : parse_struct(p, &m->type);
        if (r >= 0 && m->kind == MEMBER_METHOD)
                r = expect_text(p, "->", "'->'");
        if (r >= 0 && m->kind == MEMBER_METHOD)
                r = parse_struct(p, &m->reply);
        if (r < 0)
                return r;

        other = TAKE_PTR(m);
        SIMPLEQ_INSERT_TAIL(&i->members, other, link);
        return 0;
}

/* Every name that is used for a type must be one. */
static int resolve(const struct interface *i, const struct type *t, struct why *why) {
        struct field *f;
        int r;

        if (!t)
                return 0;
        if (t->kind == KIND_NAMED && !find_member(i, MEMBER_TYPE, t->name))
                return because(why, -EBADMSG, "no type '%s'", t->name);

        r = resolve(i, t->element, why);
        SIMPLEQ_FOREACH(f, &t->members, link) {
                if (r >= 0)
                        r = resolve(i, f->type, why);
        }
        return r;
}

int interface_parse(struct interface **ret, const char *text, struct why *why) {
        struct parser p = { .start = text, .at = text, .why = why };
        _cleanup_(interface_freep) struct interface *i = NULL;
        struct member *m;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        SIMPLEQ_INIT(&i->members);
        i->text = strdup(text);
        if (!i->text)
                return -ENOMEM;

        if (!accept_word(&p, "interface"))
                return wrong(&p, "'interface'");
        r = parse_interface_name(&p, &i->name);
        if (r < 0)
                return r;
        for (skip_space(&p); *p.at; skip_space(&p)) {
                r = parse_member(&p, i);
                if (r < 0)
                        return r;
        }
        SIMPLEQ_FOREACH(m, &i->members, link) {
                r = resolve(i, m->type, why);
                if (r >= 0)
                        r = resolve(i, m->reply, why);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(i);
        return 0;
}

struct interface *interface_free(struct interface *i) {
        struct member *m;

        if (!i)
                return NULL;

        while ((m = SIMPLEQ_FIRST(&i->members))) {
                SIMPLEQ_REMOVE_HEAD(&i->members, link);
                member_free(m);
        }
        free(i->name);
        free(i->text);
        free(i);
        return NULL;
}

const char *interface_name(const struct interface *i) {
        return i->name;
}

const char *interface_text(const struct interface *i) {
        return i->text;
}

bool interface_has_method(const struct interface *i, const char *method) {
        return find_member(i, MEMBER_METHOD, method);
}

static bool is_of_type(const struct interface *i, const struct type *t, json_t *value);

/* NULL, or the name of the first field that is wrong, missing or unknown. */
static const char *
find_wrong_field(const struct interface *i, const struct type *t, json_t *object) {
        struct field *f;
        const char *key;
        json_t *value;

        SIMPLEQ_FOREACH(f, &t->members, link) {
                if (!is_of_type(i, f->type, json_object_get(object, f->name)))
                        return f->name;
        }
        json_object_foreach(object, key, value) {
                if (!fields_find(&t->members, key))
                        return key;
        }
        return NULL;
}

static bool are_of_type(const struct interface *i, const struct type *t, json_t *container) {
        const char *key;
        json_t *value;
        size_t index;

        json_array_foreach(container, index, value) {
                if (!is_of_type(i, t, value))
                        return false;
        }
        json_object_foreach(container, key, value) {
                if (!is_of_type(i, t, value))
                        return false;
        }
        return true;
}

/* A value that is not there is NULL, and means null. */
static bool is_of_type(const struct interface *i, const struct type *t, json_t *value) {
        if (!value || json_is_null(value))
                return t->may_be_null;

        switch (t->kind) {
        case KIND_BOOL:
                return json_is_boolean(value);
        case KIND_INT:
                return json_is_integer(value);
        case KIND_FLOAT:
                return json_is_number(value);
        case KIND_STRING:
                return json_is_string(value);
        case KIND_OBJECT:
                return json_is_object(value);
        case KIND_NAMED:
                return is_of_type(i, find_member(i, MEMBER_TYPE, t->name)->type, value);
        case KIND_ENUM:
                return json_is_string(value) && fields_find(&t->members, json_string_value(value));
        case KIND_STRUCT:
                return json_is_object(value) && !find_wrong_field(i, t, value);
        case KIND_ARRAY:
                return json_is_array(value) && are_of_type(i, t->element, value);
        case KIND_MAP:
                return json_is_object(value) && are_of_type(i, t->element, value);
        }
        return false;
}

int interface_check(const struct interface *i,
                    enum interface_side side,
                    const char *member,
                    json_t *parameters,
                    const char **ret) {
        enum member_kind kind = side == INTERFACE_ERROR ? MEMBER_ERROR : MEMBER_METHOD;
        const struct member *m = find_member(i, kind, member);
        const char *fault;

        assert(m);
        fault = find_wrong_field(i, side == INTERFACE_REPLY ? m->reply : m->type, parameters);
        if (!fault)
                return 0;

        *ret = fault;
        return -EINVAL;
}
