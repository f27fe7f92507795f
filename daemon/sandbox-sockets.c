/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets the process can reach, by namespaces of its own, which need no privileges where there are
 * user namespaces: those with a path by one of mounts, those without by one of the network.  Landlock
 * knows no rule for the ones, and for the others only since Linux 6.12; seccomp does not see what is
 * connected to. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/sandbox.h"

/* Of the machine rather than the session: what starts programs there, and what types for the user. */
static const char *const places[] = { "/run/dbus",          "/run/systemd/private",
                                      "/run/docker.sock",   "/run/containerd",
                                      "/run/podman",        "/tmp/.X11-unix",
                                      "/tmp/.ICE-unix" };

static int write_file(const char *path, const char *text) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

/* The user and the group stay who they are; there are no others. */
static int map_self(uid_t uid, gid_t gid) {
        char text[64];
        int r;

        r = write_file("/proc/self/setgroups", "deny");
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "%u %u 1", uid, uid);
        r = write_file("/proc/self/uid_map", text);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "%u %u 1", gid, gid);
        return write_file("/proc/self/gid_map", text);
}

/* What is mounted later is still seen, as a disk with sound files is.  1: of the network, too. */
static int leave_namespaces(bool needs_names, struct why *why) {
        uid_t uid = geteuid();
        gid_t gid = getegid();
        int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), r;
        bool is_apart = !needs_names && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) >= 0;

        if (!is_apart && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return because(why, -errno, "no namespace of its own: %s", strerror(errno));
        /* Who is not dumpable can not write his own map. */
        (void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        r = map_self(uid, gid);
        if (dumpable != 1)
                (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (r < 0)
                return because(why, r, "no user in the namespace: %s", strerror(-r));
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return because(why, -errno, "mounts: %s", strerror(errno));
        return is_apart;
}

/* Lays something empty over a socket or a folder.  What a link leads to may be anywhere: of that only
 * sockets. */
static int cover(const char *path) {
        struct stat st, link;
        int r;

        if (lstat(path, &link) < 0 || stat(path, &st) < 0 ||
            (!S_ISSOCK(st.st_mode) && !S_ISDIR(link.st_mode)))
                return 0;
        if (S_ISDIR(st.st_mode))
                r = mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                          "size=4k,mode=0555");
        else
                r = mount("/dev/null", path, NULL, MS_BIND, NULL);
        return r < 0 ? -errno : 0;
}

/* Whether the one path is the other, or leads to it. */
static bool leads_to(const char *path, const char *to) {
        size_t size = strlen(path);

        return strncmp(path, to, size) == 0 && (to[size] == '\0' || to[size] == '/');
}

/* Whether it leads to something needed. */
static bool is_needed(const struct sandbox_sockets *s, const char *path) {
        for (size_t i = 0; s->needed[i]; i++)
                if (leads_to(path, s->needed[i]))
                        return true;
        return false;
}

/* Whether it is needed with all that is in it. */
static bool is_needed_whole(const struct sandbox_sockets *s, const char *path) {
        for (size_t i = 0; s->needed[i]; i++)
                if (leads_to(s->needed[i], path))
                        return true;
        return false;
}

/* Sound servers make their sockets anew when they start anew, so these keep their names. */
static bool is_sound(const char *name) {
        static const char *const beginnings[] = { "pulse", "pipewire-", "jack" };

        for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
                if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
                        return true;
        return false;
}

/* Of what is in a folder, all but what is needed; of a folder that leads to that, the rest of it. */
static int cover_around(const struct sandbox_sockets *s, const char *folder, unsigned depth) {
        DIR *directory = opendir(folder);
        struct dirent *entry;
        char path[PATH_MAX];
        int r = 0, first = 0;

        while (directory && (entry = readdir(directory))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    is_sound(entry->d_name) ||
                    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
                            (int) sizeof(path) ||
                    is_needed_whole(s, path))
                        continue;
                if (!is_needed(s, path))
                        r = cover(path);
                else if (entry->d_type == DT_DIR && depth > 0)
                        r = cover_around(s, path, depth - 1);
                if (r < 0 && first == 0)
                        first = r;
        }
        if (directory)
                (void) closedir(directory);
        return first;
}

/* As a runtime folder is: of the user, and nobody else has anything in it. */
static bool is_private(const char *folder) {
        struct stat st;

        return stat(folder, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

/* What unix:path= names in the addresses of a bus. */
static int cover_bus(const char *addresses) {
        static const char key[] = "unix:path=";
        const char *at = addresses;
        char path[PATH_MAX];
        int r = 0;

        while (at && (at = strstr(at, key))) {
                size_t size = strcspn(at += strlen(key), ",;");

                if (size < sizeof(path)) {
                        memcpy(path, at, size);
                        path[size] = '\0';
                        r = cover(path);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int sandbox_hide_sockets(const struct sandbox_sockets *s, struct why *why) {
        int r, is_apart;

        is_apart = leave_namespaces(s->needs_names, why);
        if (is_apart < 0)
                return is_apart;
        r = 0;
        for (size_t i = 0; s->buses[i]; i++) {
                r = cover_bus(s->buses[i]);
                if (r < 0)
                        return because(why, r, "%.200s: %s", s->buses[i], strerror(-r));
        }
        if (s->runtime_folder && is_private(s->runtime_folder))
                r = cover_around(s, s->runtime_folder, 2);
        if (r < 0)
                return because(why, r, "%.200s: %s", s->runtime_folder, strerror(-r));
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
                if (!is_needed(s, places[i]))
                        (void) cover(places[i]);
        return is_apart;
}
