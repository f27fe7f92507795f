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

#include "desktop/aside.h"
#include "desktop/desktop.h"
#include "desktop/launch.h"

/* Who plays these plays the others, and lists of them. */
#define PLAYED "audio/mpeg"

#define MAX_SONGS   200
#define MAX_DEPTH   6
#define MAX_ENTRIES 50000 /* that are looked at: a folder of music may lie on a slow disk */

static const char *const endings[] = { "mp3", "ogg", "oga", "opus", "flac", "m4a", "aac", "wav", "wma" };

/* One call that looks for songs: the thread's while it looks. */
struct found {
        struct desktop *desktop; /* not owned; the loop's */
        struct call *call;       /* owned reference; the loop's */
        char *folder;       /* owned */
        char *name;         /* owned; what is looked for */
        unsigned n_entries; /* looked at so far */
        char *songs[MAX_SONGS]; /* owned */
        unsigned n;
};

static struct found *found_free(struct found *f) {
        if (!f)
                return NULL;
        for (unsigned i = 0; i < f->n; i++)
                free(f->songs[i]);
        free(f->folder);
        free(f->name);
        (void) call_unref(f->call);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(struct found *, found_free)

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
            g_str_match_string(f->name, path + strlen(f->folder), TRUE) && (f->songs[f->n] = strdup(path)))
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

static void play(struct found *f) {
        char path[PATH_MAX], title[256];

        if (f->n == 1) {
                title_of(f->songs[0], title, sizeof(title));
                launch_file(f->desktop, f->call, f->songs[0], PLAYED, title);
                return;
        }
        qsort(f->songs, f->n, sizeof(f->songs[0]), compare);
        (void) snprintf(title, sizeof(title), "%u songs", f->n);
        if (write_playlist(f, path, sizeof(path)))
                launch_file(f->desktop, f->call, path, PLAYED, title);
        else
                call_fail(f->call, "There is no room for a list of songs.");
}

static void look(void *userdata) {
        struct found *f = userdata;

        search(f, f->folder, 0);
}

/* What nobody waits for any more is not played by surprise. */
static void on_looked(void *userdata) {
        _cleanup_(found_freep) struct found *f = userdata;

        f->desktop->looks_for_songs = false;
        if (call_is_answered(f->call))
                return;
        if (f->n == 0)
                call_fail(f->call, "There is no %.100s in your folder of music.", call_string(f->call, "name"));
        else
                play(f);
}

static char *music_folder(void) {
        const char *folder = g_get_user_special_dir(G_USER_DIRECTORY_MUSIC);
        char path[PATH_MAX];

        if (folder)
                return strdup(folder);
        return snprintf(path, sizeof(path), "%s/Music", g_get_home_dir()) < (int) sizeof(path) ? strdup(path) : NULL;
}

void songs_play(struct desktop *d, struct call *call) {
        _cleanup_(found_freep) struct found *f = calloc(1, sizeof(*f));

        if (!f)
                return;
        *f = (struct found){ .desktop = d, .call = call_ref(call), .folder = music_folder() };
        f->name = without_joints(call_string(call, "name"));
        if (!f->folder || !f->name)
                return;
        if (!*f->name)
                call_fail(call, "Play what?");
        else if (d->looks_for_songs)
                call_fail(call, "I am still looking through your folder of music.");
        else if (aside_run(d->loop, look, on_looked, f) >= 0) {
                d->looks_for_songs = true;
                TAKE_PTR(f);
        }
}
