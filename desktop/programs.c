/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/programs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gio/gdesktopappinfo.h>

/* Kinds of programs of which the user has chosen one, or of which any will do. */
struct kind {
        const char *name;
        const char *scheme;      /* of URLs that it opens; or */
        const char *type;        /* ... of files */
        const char *categories[4]; /* any that is in one of these */
};

/* clang-format off */
static const struct kind kinds[] = {
        { "browser", "https", NULL, { "WebBrowser" } },
        { "web browser", "https", NULL, { "WebBrowser" } },
        { "mail", "mailto", NULL, { "Email" } },
        { "email", "mailto", NULL, { "Email" } },
        { "calendar", NULL, "text/calendar", { "Calendar" } },
        { "music", NULL, "audio/mpeg", { "Music", "Audio", "AudioVideo", "Player" } },
        { "files", NULL, "inode/directory", { "FileManager" } },
        { "editor", NULL, "text/plain", { "TextEditor" } },
        { "terminal", NULL, NULL, { "TerminalEmulator" } },
        { "calculator", NULL, NULL, { "Calculator" } },
        { "settings", NULL, NULL, { "Settings" } },
};
/* clang-format on */

/* Who says this and has another one means that. */
static const struct {
        const char *name, *kind;
} stand_ins[] = { { "firefox", "browser" } };

static bool has_category(GDesktopAppInfo *info, const char *category) {
        const char *list = g_desktop_app_info_get_categories(info);
        size_t n = strlen(category);

        for (const char *at = list; at && *at; at += strcspn(at, ";"), at += *at == ';')
                if (strncmp(at, category, n) == 0 && (at[n] == ';' || !at[n]))
                        return true;
        return false;
}

/* A new reference, like all that find something below. */
static GDesktopAppInfo *find_in_category(const char *category) {
        GList *all = g_app_info_get_all();
        GDesktopAppInfo *found = NULL;

        for (GList *at = all; at; at = at->next) {
                GDesktopAppInfo *info = at->data;

                if (!g_app_info_should_show(at->data) || !has_category(info, category))
                        continue;
                /* The list has no order of its own. */
                if (!found || strcmp(g_app_info_get_id(G_APP_INFO(info)),
                                     g_app_info_get_id(G_APP_INFO(found))) < 0)
                        found = info;
        }
        if (found)
                (void) g_object_ref(found);
        g_list_free_full(all, g_object_unref);
        return found;
}

static bool is_of_kind(GDesktopAppInfo *info, const struct kind *kind) {
        for (unsigned i = 0; i < 4 && kind->categories[i]; i++)
                if (has_category(info, kind->categories[i]))
                        return true;
        return false;
}

/* Whether it says itself that it opens files of a type: any editor opens a calendar, as it is a text. */
static bool opens_type(GAppInfo *info, const char *type) {
        GList *all = g_app_info_get_recommended_for_type(type);
        bool found = false;

        for (GList *at = all; at && !found; at = at->next)
                found = g_app_info_equal(at->data, info);
        g_list_free_full(all, g_object_unref);
        return found;
}

/* The user's choice; of files it has to be for those. */
static GDesktopAppInfo *find_chosen(const struct kind *kind) {
        GAppInfo *info;

        if (kind->scheme)
                return G_DESKTOP_APP_INFO(g_app_info_get_default_for_uri_scheme(kind->scheme));
        info = kind->type ? g_app_info_get_default_for_type(kind->type, FALSE) : NULL;
        if (info && !opens_type(info, kind->type))
                g_clear_object(&info);
        return info ? G_DESKTOP_APP_INFO(info) : NULL;
}

/* A development environment opens folders, too, and is no file manager where there is one. */
static GDesktopAppInfo *find_kind(const struct kind *kind) {
        GDesktopAppInfo *chosen = find_chosen(kind);

        if (chosen && (kind->scheme || is_of_kind(chosen, kind)))
                return chosen;
        for (unsigned i = 0; i < 4 && kind->categories[i]; i++) {
                GDesktopAppInfo *found = find_in_category(kind->categories[i]);

                if (found) {
                        g_clear_object(&chosen);
                        return found;
                }
        }
        return chosen;
}

static bool is_same(const char *a, const char *b) {
        return a && b && strcasecmp(a, b) == 0;
}

/* The name of its .desktop file, or of what that runs. */
static bool is_called(GAppInfo *info, const char *name) {
        const char *id = g_app_info_get_id(info), *program = g_app_info_get_executable(info);
        const char *slash = program ? strrchr(program, '/') : NULL;

        return (id && strncasecmp(id, name, strlen(name)) == 0 && strcmp(id + strlen(name), ".desktop") == 0) ||
               is_same(slash ? slash + 1 : program, name);
}

static bool has_keyword(GDesktopAppInfo *info, const char *name) {
        const char *const *keywords = g_desktop_app_info_get_keywords(info);

        for (; keywords && *keywords; keywords++)
                if (is_same(*keywords, name))
                        return true;
        return false;
}

/* All words of the name among those of a program's name, of what it is, and of its keywords. */
static bool has_words(GDesktopAppInfo *info, const char *name) {
        const char *const *keywords = g_desktop_app_info_get_keywords(info);
        const char *generic = g_desktop_app_info_get_generic_name(info);
        char *own = keywords ? g_strjoinv(" ", (char **) keywords) : NULL;
        char *all = g_strjoin(" ", g_app_info_get_display_name(G_APP_INFO(info)), generic ? generic : "",
                              own ? own : "", NULL);
        bool found = g_str_match_string(name, all, TRUE);

        g_free(all);
        g_free(own);
        return found;
}

/* How well a program fits: 0 not at all; its whole name best.  What its description says is of no account:
 * every editor is one "for files". */
static int fitness(GAppInfo *info, const char *name) {
        GDesktopAppInfo *desktop = G_DESKTOP_APP_INFO(info);

        if (is_same(g_app_info_get_name(info), name) || is_same(g_app_info_get_display_name(info), name))
                return 7;
        if (is_called(info, name))
                return 6;
        if (is_same(g_desktop_app_info_get_generic_name(desktop), name))
                return 5;
        if (g_str_match_string(name, g_app_info_get_display_name(info), TRUE))
                return 4;
        if (has_keyword(desktop, name))
                return 3;
        return has_words(desktop, name) ? 2 : 0;
}

static GDesktopAppInfo *find_by_name(const char *name) {
        GList *all = g_app_info_get_all();
        GAppInfo *found = NULL;
        int best = 0;

        for (GList *at = all; at; at = at->next) {
                int fits = g_app_info_should_show(at->data) ? fitness(at->data, name) : 0;
                /* The list has no order of its own. */
                bool is_first = fits == best && found &&
                                strcmp(g_app_info_get_id(at->data), g_app_info_get_id(found)) < 0;

                if (fits > best || (fits > 0 && is_first)) {
                        best = fits;
                        found = at->data;
                }
        }
        if (found)
                (void) g_object_ref(found);
        g_list_free_full(all, g_object_unref);
        return found ? G_DESKTOP_APP_INFO(found) : NULL;
}

static GDesktopAppInfo *find_by_kind(const char *name) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcasecmp(kinds[i].name, name) == 0)
                        return find_kind(&kinds[i]);
        return NULL;
}

static GDesktopAppInfo *find(const char *name) {
        GDesktopAppInfo *found = find_by_kind(name);

        if (!found)
                found = find_by_name(name);
        for (size_t i = 0; !found && i < sizeof(stand_ins) / sizeof(stand_ins[0]); i++)
                if (strcasecmp(stand_ins[i].name, name) == 0)
                        found = find_by_kind(stand_ins[i].kind);
        return found;
}

static int add(struct program *p, unsigned *n, const char *word) {
        if (*n == PROGRAM_MAX_ARGS)
                return -E2BIG;
        p->argv[*n] = strdup(word);
        return p->argv[(*n)++] ? 0 : -ENOMEM;
}

/* What a %-code in a word stands for: nothing, unless it is the name of the program. */
static int add_expanded(struct program *p, unsigned *n, GDesktopAppInfo *info, const char *word) {
        char text[4096];
        size_t used = 0;

        for (; *word && used < sizeof(text) - 1; word++) {
                const char *insert = "";

                if (*word != '%') {
                        text[used++] = *word;
                        continue;
                }
                word++;
                if (!*word)
                        break;
                if (*word == '%')
                        insert = "%";
                else if (*word == 'c')
                        insert = g_app_info_get_name(G_APP_INFO(info));
                else if (*word == 'k')
                        insert = g_desktop_app_info_get_filename(info);
                used += (size_t) snprintf(text + used, sizeof(text) - used, "%s", insert);
                if (used >= sizeof(text))
                        return -E2BIG;
        }
        text[used] = 0;
        return add(p, n, text);
}

/* One word of the command line of a .desktop file; a code alone is what it shall open, or no word. */
static int add_word(struct program *p, unsigned *n, GDesktopAppInfo *info, const char *word, const char *target) {
        if (word[0] == '%' && word[1] && !word[2] && strchr("uUfF", word[1]))
                return target ? add(p, n, target) : 0;
        if (word[0] == '%' && word[1] && !word[2] && !strchr("%ck", word[1]))
                return 0;
        return add_expanded(p, n, info, word);
}

/* The words that open a terminal, in front of a command that needs one. */
static int add_terminal(struct program *p, unsigned *n) {
        int r;

        r = add(p, n, "x-terminal-emulator");
        return r < 0 ? r : add(p, n, "-e");
}

static int fill(struct program *p, GDesktopAppInfo *info, const char *target) {
        _cleanup_(freep) char *line = NULL;
        char **words = NULL;
        unsigned n = 0;
        int n_words, r = 0;
        char *exec = g_desktop_app_info_get_string(info, "Exec");

        line = exec ? strdup(exec) : NULL;
        g_free(exec);
        if (!line || !g_shell_parse_argv(line, &n_words, &words, NULL))
                return -EBADMSG;

        if (g_desktop_app_info_get_boolean(info, "Terminal"))
                r = add_terminal(p, &n);
        for (int i = 0; i < n_words && r >= 0; i++)
                r = add_word(p, &n, info, words[i], target);
        g_strfreev(words);
        if (r < 0)
                return r;

        p->id = strdup(g_app_info_get_id(G_APP_INFO(info)) ? g_app_info_get_id(G_APP_INFO(info)) : "program");
        p->title = strdup(g_app_info_get_display_name(G_APP_INFO(info)));
        if (!p->id || !p->title)
                return -ENOMEM;
        if (strlen(p->id) > 8 && strcmp(p->id + strlen(p->id) - 8, ".desktop") == 0)
                p->id[strlen(p->id) - 8] = 0;
        return n > 0 ? 0 : -EBADMSG;
}

/* Takes the reference over. */
static int take(GDesktopAppInfo *info, const char *target, struct program *ret, struct why *why) {
        struct program p = {};
        int r;

        r = fill(&p, info, target);
        if (r < 0) {
                program_done(&p);
                r = because(why, r, "%.100s can not be started.",
                            g_app_info_get_display_name(G_APP_INFO(info)));
        } else {
                *ret = p;
        }
        g_object_unref(info);
        return r;
}

int programs_find(const char *name, const char *target, struct program *ret, struct why *why) {
        GDesktopAppInfo *info = find(name);

        if (!info)
                return because(why, -ENOENT, "No program here is called %.60s.", name);
        return take(info, target, ret, why);
}

/* The type of a file is guessed by its name; a folder is one. */
static GAppInfo *default_for(const char *target) {
        char *scheme = g_uri_parse_scheme(target), *type;
        GAppInfo *info;

        if (scheme) {
                info = g_app_info_get_default_for_uri_scheme(scheme);
                g_free(scheme);
                return info;
        }
        if (g_file_test(target, G_FILE_TEST_IS_DIR))
                return g_app_info_get_default_for_type("inode/directory", FALSE);
        type = g_content_type_guess(target, NULL, 0, NULL);
        info = g_app_info_get_default_for_type(type, FALSE);
        g_free(type);
        return info;
}

int programs_find_for(const char *target, const char *type, struct program *ret, struct why *why) {
        GAppInfo *info = type ? g_app_info_get_default_for_type(type, FALSE) : default_for(target);

        if (!info)
                return because(why, -ENOENT, "No program here opens %.100s.", target);
        return take(G_DESKTOP_APP_INFO(info), target, ret, why);
}

void program_done(struct program *p) {
        free(p->id);
        free(p->title);
        for (unsigned i = 0; i < PROGRAM_MAX_ARGS; i++)
                free(p->argv[i]);
        *p = (struct program){};
}
