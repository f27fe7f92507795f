/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/songs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "desktop/desktop.h"
#include "desktop/launch.h"

/* Who plays these plays the others, and lists of them. */
#define PLAYED "audio/mpeg"

#define MAX_SONGS   200
#define MAX_DEPTH   6
#define MAX_ENTRIES 50000 /* that are looked at: a folder of music may lie on a slow disk */

static const char *const endings[] = { "mp3", "ogg", "oga", "opus", "flac", "m4a", "aac", "wav", "wma" };

struct found {
        const char *name;   /* what is looked for */
        size_t root_size;   /* of the folder's own path */
        unsigned n_entries; /* looked at so far */
        char *songs[MAX_SONGS]; /* owned */
        unsigned n;
};

static void found_done(struct found *f) {
        for (unsigned i = 0; i < f->n; i++)
                free(f->songs[i]);
}

static bool is_song(const char *name) {
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
                if (strcasecmp(dot + 1, endings[i]) == 0)
                        return true;
        return false;
}

/* GLib compares words without regard to case and accents. */
static void take_song(struct found *f, const char *path) {
        if (f->n < MAX_SONGS && g_utf8_validate(path, -1, NULL) &&
            g_str_match_string(f->name, path + f->root_size, TRUE) && (f->songs[f->n] = strdup(path)))
                f->n++;
}

static void search(struct found *f, const char *folder, unsigned depth) {
        DIR *dir = opendir(folder);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)) && f->n_entries++ < MAX_ENTRIES) {
                char path[PATH_MAX];
                struct stat status;

                if (entry->d_name[0] == '.' ||
                    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int) sizeof(path) ||
                    lstat(path, &status) < 0)
                        continue;
                if (S_ISDIR(status.st_mode) && depth < MAX_DEPTH)
                        search(f, path, depth + 1);
                else if (S_ISREG(status.st_mode) && is_song(entry->d_name))
                        take_song(f, path);
        }
        if (dir)
                (void) closedir(dir);
}

/* Words that stand between a song and whose it is. */
static char *without_joints(const char *name) {
        static const char joints[] = " by from of the and a an s ";
        char *kept = calloc(1, strlen(name) + 2);
        size_t used = 0;

        while (kept && *name) {
                size_t n = strcspn(name, " ");
                char word[16];

                if (n == 0 || (n < 8 && snprintf(word, sizeof(word), " %.*s ", (int) n, name) > 0 &&
                               strstr(joints, word))) {
                        name += n + (name[n] == ' ');
                        continue;
                }
                memcpy(kept + used, name, n);
                used += n;
                kept[used++] = ' ';
                name += n + (name[n] == ' ');
        }
        if (kept)
                kept[used > 0 ? used - 1 : 0] = '\0';
        return kept;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Where players read what they are to play; false: nowhere. */
static bool write_playlist(const struct found *f, char *path, size_t size) {
        FILE *file;
        bool is_written;
        int fd;

        if (snprintf(path, size, "%s/gemmad-songs.m3u", g_get_user_runtime_dir()) >= (int) size)
                return false;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        file = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (!file) {
                if (fd >= 0)
                        (void) close(fd);
                return false;
        }
        for (unsigned i = 0; i < f->n; i++)
                (void) fprintf(file, "%s\n", f->songs[i]);
        is_written = !ferror(file);
        return fclose(file) == 0 && is_written;
}

static void title_of(const char *path, char *out, size_t size) {
        const char *name = strrchr(path, '/') + 1;

        (void) snprintf(out, size, "%.*s", (int) (strrchr(name, '.') - name), name);
}

static void play(struct desktop *d, struct call *call, struct found *f) {
        char path[PATH_MAX], title[256];

        if (f->n == 1) {
                title_of(f->songs[0], title, sizeof(title));
                launch_file(d, call, f->songs[0], PLAYED, title);
                return;
        }
        qsort(f->songs, f->n, sizeof(f->songs[0]), compare);
        (void) snprintf(title, sizeof(title), "%u songs", f->n);
        if (write_playlist(f, path, sizeof(path)))
                launch_file(d, call, path, PLAYED, title);
        else
                call_fail(call, "There is no room for a list of songs.");
}

void songs_play(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name"), *folder = g_get_user_special_dir(G_USER_DIRECTORY_MUSIC);
        _cleanup_(found_done) struct found found = {};
        _cleanup_(freep) char *words = NULL, *home = NULL;

        words = without_joints(name ? name : "");
        if (!folder) {
                home = g_build_filename(g_get_home_dir(), "Music", NULL);
                folder = home;
        }
        if (!words || !*words) {
                call_fail(call, "Play what?");
                return;
        }
        found.name = words;
        found.root_size = strlen(folder);
        search(&found, folder, 0);
        if (found.n == 0)
                call_fail(call, "There is no %.100s in your folder of music.", name);
        else
                play(d, call, &found);
}
