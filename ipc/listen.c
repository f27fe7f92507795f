/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "ipc/server.h"

static int fill_address(struct sockaddr_un *address, const char *path, struct why *why) {
        size_t size = strlen(path);

        if (size == 0 || size >= sizeof(address->sun_path))
                return because(why, -ENAMETOOLONG, "%s: a socket's path has 1 to %zu bytes", path,
                               sizeof(address->sun_path) - 1);

        *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(address->sun_path, path, size);
        return 0;
}

/* Opens the directory that the socket goes into, created when only it is missing, and locks it:
 * two daemons that start at once must not both find the old file stale.  Nobody else's lock is
 * waited for. */
static int open_directory(const char *path, struct why *why) {
        char directory[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
        const char *slash = strrchr(path, '/');
        size_t size = slash ? (size_t) (slash - path) : 0;
        _cleanup_(closep) int fd = -1;

        memcpy(directory, path, size);
        directory[size] = 0;
        if (!slash)
                strcpy(directory, ".");
        else if (size == 0)
                strcpy(directory, "/");

        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return because(why, -errno, "%s: %m", directory);
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return because(why, -errno, "%s: %m", directory);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return because(why, -errno, "%s: %s", directory,
                               errno == EWOULDBLOCK ? "another program starts there right now"
                                                    : strerror(errno));
        return TAKE_FD(fd);
}

/* Removes a socket that nobody listens on any more; anything else is left alone. */
static int remove_stale(const struct sockaddr_un *address, struct why *why) {
        const char *path = address->sun_path;
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : because(why, -errno, "%s: %m", path);
        if (!S_ISSOCK(st.st_mode))
                return because(why, -EEXIST, "%s: exists and is not a socket", path);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return because(why, -errno, "socket: %m");
        if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 ||
            errno != ECONNREFUSED)
                return because(why, -EADDRINUSE, "%s: another program listens there", path);
        if (unlink(path) < 0)
                return because(why, -errno, "%s: %m", path);
        return 0;
}

int server_listen(const char *path, struct why *why) {
        _cleanup_(closep) int fd = -1, directory_fd = -1;
        struct sockaddr_un address;
        int r;

        r = fill_address(&address, path, why);
        if (r < 0)
                return r;
        directory_fd = open_directory(path, why);
        if (directory_fd < 0)
                return directory_fd;
        r = remove_stale(&address, why);
        if (r < 0)
                return r;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return because(why, -errno, "socket: %m");
        /* The file takes the mode that the socket has when it is bound: at no time can others
         * open it, whatever the umask. */
        if (fchmod(fd, 0600) < 0 ||
            bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(fd, SOMAXCONN) < 0)
                return because(why, -errno, "%s: %m", path);
        return TAKE_FD(fd);
}
