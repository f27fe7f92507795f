/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/parse.h"
#include "base/toml.h"
#include "base/wipe.h"
#include "remote/link.h"

#define MAX_KEY 4096

static void free_key(char *key) {
        if (key)
                wipe(key, strlen(key));
        free(key);
}

struct settings *settings_free(struct settings *s) {
        if (!s)
                return NULL;

        for (unsigned i = 0; i < SETTINGS_MAX_SERVERS; i++) {
                struct server_settings *server = &s->servers[i];

                free(server->url);
                free(server->model);
                free(server->ca);
                free(server->certificate);
                free(server->certificate_key);
                free(server->key_file);
                free_key(server->key);
        }
        free(s);
        return NULL;
}

/* ---- what the file says ---- */

struct text_row {
        const char *name;
        size_t offset;
        bool is_path;
};

#define TEXT(name, field, is_path)                                                                 \
        { name, offsetof(struct server_settings, field), is_path }

/* Of all servers, or of one. */
static const struct text_row texts[] = {
        TEXT("model", model, false),
        TEXT("ca", ca, true),
        TEXT("certificate", certificate, true),
        TEXT("certificate_key", certificate_key, true),
        TEXT("key_file", key_file, true),
};

#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

static const struct number_row {
        const char *name;
        size_t offset;
        unsigned min, max, standard;
} numbers[] = {
        { "connect_ms", offsetof(struct settings, connect_ms), 50, 60000, 2000 },
        { "stall_seconds", offsetof(struct settings, stall_seconds), 1, 600, 20 },
        { "total_seconds", offsetof(struct settings, total_seconds), 1, 3600, 180 },
        { "check_seconds", offsetof(struct settings, check_seconds), 1, 3600, 30 },
};

#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static int read_number(struct settings *s, const struct number_row *row, const json_t *value, struct why *why) {
        json_int_t number = value ? json_integer_value(value) : (json_int_t) row->standard;

        if ((value && !json_is_integer(value)) || number < row->min || number > row->max)
                return because(why, -EBADMSG, "%s is not a whole number from %u to %u", row->name, row->min,
                               row->max);
        *(unsigned *) ((char *) s + row->offset) = (unsigned) number;
        return 0;
}

/* A path that is not absolute belongs to the folder of the file; a name that a service manager has put a
 * credential under belongs to that one's. */
static int complete_path(char **ret, const char *folder, const char *name) {
        const char *credentials = getenv("CREDENTIALS_DIRECTORY");
        static const char prefix[] = "credential:";

        if (strncmp(name, prefix, strlen(prefix)) == 0) {
                if (!credentials)
                        return -ENOENT;
                return asprintf(ret, "%s/%s", credentials, name + strlen(prefix)) < 0 ? -ENOMEM : 0;
        }
        if (name[0] == '/')
                return asprintf(ret, "%s", name) < 0 ? -ENOMEM : 0;
        return asprintf(ret, "%s/%s", folder, name) < 0 ? -ENOMEM : 0;
}

/* From the server's own table, or else from that of all. */
static int read_text(struct server_settings *server,
                     const struct text_row *row,
                     const json_t *own,
                     const json_t *all,
                     const char *folder,
                     struct why *why) {
        const json_t *value = json_object_get(own, row->name);
        char **at = (char **) ((char *) server + row->offset);
        int r;

        if (!value)
                value = json_object_get(all, row->name);
        if (!value)
                return 0;
        if (!json_is_string(value) || json_string_length(value) == 0)
                return because(why, -EBADMSG, "%s is not a text", row->name);
        if (row->is_path)
                r = complete_path(at, folder, json_string_value(value));
        else
                r = asprintf(at, "%s", json_string_value(value)) < 0 ? -ENOMEM : 0;
        if (r == -ENOENT)
                return because(why, r, "%s names a credential, and no service manager has given any", row->name);
        return r < 0 ? because(why, r, "out of memory") : 0;
}

/* ---- where it leads ---- */

/* Host and port of a URL; the host is as it stands there, so "[::1]" in brackets. */
static bool split_url(const char *url, char *host, size_t host_size, unsigned *ret_port, bool *ret_is_plain) {
        const char *at, *end, *colon;
        char port[8];

        *ret_is_plain = strncasecmp(url, "http://", 7) == 0;
        if (!*ret_is_plain && strncasecmp(url, "https://", 8) != 0)
                return false;
        at = url + (*ret_is_plain ? 7 : 8);
        end = at + strcspn(at, "/");
        if (memchr(at, '@', (size_t) (end - at)) || strpbrk(at, "?#"))
                return false;
        colon = *at == '[' ? memchr(at, ']', (size_t) (end - at)) : at;
        colon = colon ? memchr(colon, ':', (size_t) (end - colon)) : NULL;
        *ret_port = *ret_is_plain ? 80 : 443;
        if (colon) {
                if (end - colon < 2 || end - colon > 6)
                        return false;
                (void) snprintf(port, sizeof(port), "%.*s", (int) (end - colon - 1), colon + 1);
                if (parse_unsigned(port, ret_port) < 0 || *ret_port == 0 || *ret_port > 65535)
                        return false;
                end = colon;
        }
        if (end == at || (size_t) (end - at) >= host_size)
                return false;
        memcpy(host, at, (size_t) (end - at));
        host[end - at] = '\0';
        return true;
}

static bool is_this_machine(const char *host) {
        struct in_addr address;

        if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
                return true;
        return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* What can be shown, in an address: no space, no control character. */
static bool is_readable(const char *url) {
        for (; *url; url++)
                if (!isgraph((unsigned char) *url))
                        return false;
        return true;
}

static int read_url(struct server_settings *server, const json_t *own, const json_t *all, struct why *why) {
        const char *url = json_string_value(json_is_string(own) ? own : json_object_get(own, "url"));
        const json_t *plain = json_object_get(own, "plain");
        char host[LINK_MAX_SERVER];
        bool is_plain;
        size_t n;

        if (!plain)
                plain = json_object_get(all, "plain");
        if (!url || strlen(url) >= LINK_MAX_SERVER || !is_readable(url) ||
            !split_url(url, host, sizeof(host), &server->port, &is_plain))
                return because(why, -EBADMSG,
                               "a server is no address like \"https://host:8000/v1\" (no user, question or mark in it)");
        if (is_plain && !is_this_machine(host) && !json_is_true(plain))
                return because(why, -EBADMSG,
                               "%.100s: what is said would go over the network for all to read; use https, or say "
                               "plain = true",
                               url);
        n = strlen(url);
        while (n > 0 && url[n - 1] == '/')
                n--;
        server->url = strndup(url, n);
        return server->url ? 0 : because(why, -ENOMEM, "out of memory");
}

/* ---- keys ---- */

/* Nobody else's, and nobody else may read it. */
static int check_owner(int fd, const char *path, struct why *why) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%.200s: %s", path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return because(why, -EPERM, "%.200s is no file", path);
        if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 077) != 0)
                return because(why, -EPERM, "%.200s: others may read this key; chmod 600 helps", path);
        return 0;
}

/* One line, of what can stand in a header. */
static int read_key(struct server_settings *server, struct why *why) {
        _cleanup_(closep) int fd = open(server->key_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char key[MAX_KEY];
        ssize_t n;
        int r;

        if (fd < 0)
                return because(why, -errno, "%.200s: %s", server->key_file, strerror(errno));
        r = check_owner(fd, server->key_file, why);
        if (r < 0)
                return r;
        n = read(fd, key, sizeof(key));
        while (n > 0 && isspace((unsigned char) key[n - 1]))
                n--;
        r = n <= 0 || n == sizeof(key) ? -EBADMSG : 0;
        for (ssize_t i = 0; i < n; i++)
                if (!isgraph((unsigned char) key[i]))
                        r = -EBADMSG;
        if (r >= 0)
                server->key = strndup(key, (size_t) n);
        wipe(key, sizeof(key));
        if (r < 0)
                return because(why, r, "%.200s is no key: one line without spaces", server->key_file);
        return server->key ? 0 : because(why, -ENOMEM, "out of memory");
}

static int check_certificate_key(const struct server_settings *server, struct why *why) {
        const char *path = server->certificate_key ? server->certificate_key : server->certificate;
        _cleanup_(closep) int fd = -1;

        if (!path)
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return because(why, -errno, "%.200s: %s", path, strerror(errno));
        return check_owner(fd, path, why);
}

/* ---- all of it ---- */

static bool is_known(const char *name, bool of_server) {
        if (strcmp(name, "plain") == 0 || strcmp(name, of_server ? "url" : "servers") == 0)
                return true;
        for (size_t i = 0; i < N_TEXTS; i++)
                if (strcmp(name, texts[i].name) == 0)
                        return true;
        for (size_t i = 0; !of_server && i < N_NUMBERS; i++)
                if (strcmp(name, numbers[i].name) == 0)
                        return true;
        return false;
}

/* A word that is misspelt would be a protection that is not there. */
static int check_names(json_t *table, bool of_server, struct why *why) {
        const char *name;
        json_t *value;

        json_object_foreach(table, name, value) {
                if (!is_known(name, of_server))
                        return because(why, -EBADMSG, "there is no '%.60s'%s", name,
                                       of_server ? " of a server" : "");
                if (strcmp(name, "plain") == 0 && !json_is_boolean(value))
                        return because(why, -EBADMSG, "plain is true or false");
        }
        return 0;
}

static int read_server(struct settings *s, json_t *own, const json_t *all, const char *folder, struct why *why) {
        struct server_settings *server = &s->servers[s->n_servers];
        int r;

        if (s->n_servers == SETTINGS_MAX_SERVERS)
                return because(why, -EBADMSG, "there are more than %d servers", SETTINGS_MAX_SERVERS);
        r = read_url(server, own, all, why);
        if (r >= 0 && json_is_object(own))
                r = check_names(own, true, why);
        for (size_t i = 0; r >= 0 && i < N_TEXTS; i++)
                r = read_text(server, &texts[i], own, all, folder, why);
        if (r >= 0 && !server->model)
                r = because(why, -EBADMSG, "%.100s: the name of the model is missing", server->url);
        if (r >= 0 && server->key_file)
                r = read_key(server, why);
        if (r >= 0)
                r = check_certificate_key(server, why);
        s->n_servers++;
        return r;
}

static int read_table(struct settings *s, json_t *table, const char *folder, struct why *why) {
        const json_t *servers = json_object_get(table, "servers");
        json_t *own;
        size_t i;
        int r;

        r = check_names(table, false, why);
        for (i = 0; r >= 0 && i < N_NUMBERS; i++)
                r = read_number(s, &numbers[i], json_object_get(table, numbers[i].name), why);
        if (r >= 0 && json_array_size(servers) == 0)
                r = because(why, -EBADMSG, "servers = [...] is missing");
        json_array_foreach(servers, i, own) {
                if (r >= 0)
                        r = read_server(s, own, table, folder, why);
        }
        return r;
}

int settings_read(struct settings **ret, const char *path, struct why *why) {
        _cleanup_(settings_freep) struct settings *s = calloc(1, sizeof(*s));
        const char *slash = strrchr(path, '/');
        char folder[PATH_MAX];
        json_t *table;
        int r;

        if (!s)
                return because(why, -ENOMEM, "out of memory");
        r = toml_read_file(path, &table, why);
        if (r < 0)
                return r;
        (void) snprintf(folder, sizeof(folder), "%.*s", slash ? (int) (slash - path) : 1, slash ? path : ".");
        r = read_table(s, table, folder, why);
        json_decref(table);
        if (r < 0)
                return because_in(why, r, path);

        *ret = TAKE_PTR(s);
        return 0;
}
