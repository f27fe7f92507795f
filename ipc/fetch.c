/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* A connection that gives less than this a second for so long has stalled. */
#define STALLED_BYTES   1024L
#define STALLED_SECONDS 30
#define CONNECT_SECONDS 30L

/* Tries in a row that bring nothing; the pause before them doubles, and is different for everybody. */
#define MAX_TRIES      6
#define FIRST_PAUSE_MS 500

/* Left free on the disk. */
#define ROOM_LEFT (64 << 20)
#define ROOM_STEP (1 << 20)

#define TAG_SIZE 256

/* So often what has come is known to be on the disk: after a power cut, what lies behind that may be
 * anything. */
#define SYNC_BYTES (UINT64_C(64) << 20)
#define BOOT_SIZE  64

/* One file on its way. */
struct transfer {
        const struct fetch_job *job;
        int fd;         /* owned, PATH.part, locked */
        uint64_t at;    /* so many bytes are there */
        uint64_t total; /* 0: not known yet */
        char part[PATH_MAX], tag_path[PATH_MAX];
        char tag[TAG_SIZE];   /* of the version that the bytes belong to */
        char boot[BOOT_SIZE]; /* of the machine; empty: not known */
        uint64_t synced;      /* so many bytes are on the disk */
        CURL *curl;           /* owned */

        /* Of the answer under way. */
        char answer_tag[TAG_SIZE], published[FETCH_SHA256_SIZE];
        uint64_t length, range_start, range_total;
        bool has_range, is_accepted;
        int r; /* why the body was refused, which why says */
        struct why why;
};

static void transfer_done(struct transfer *t) {
        curl_easy_cleanup(t->curl);
        closep(&t->fd);
}

static bool is_local_http(const char *url) {
        static const char *const own[] = { "http://127.0.0.1:", "http://localhost:",
                                           "http://[::1]:" };

        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                if (strncmp(url, own[i], strlen(own[i])) == 0)
                        return true;
        return false;
}

/* ---- what is there already ---- */

static void read_boot(struct transfer *t) {
        _cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, t->boot, sizeof(t->boot) - 1);

        t->boot[n > 0 ? n : 0] = '\0';
        t->boot[strcspn(t->boot, "\n")] = '\0';
}

/* Cuts the next line off *text. */
static const char *next_line(char **text) {
        char *line = *text, *end = strchr(line, '\n');

        *text = end ? end + 1 : line + strlen(line);
        if (end)
                *end = '\0';
        return line;
}

/* Four lines: the tag, the machine's boot, how much was on the disk, and the sum that was published.  What
 * was written since the same boot is there, whoever was killed. */
static void read_tag(struct transfer *t) {
        _cleanup_(closep) int fd = open(t->tag_path, O_RDONLY | O_CLOEXEC);
        char text[2 * TAG_SIZE + BOOT_SIZE], *rest = text;
        const char *boot, *synced, *published;
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        (void) snprintf(t->tag, sizeof(t->tag), "%s", next_line(&rest));
        boot = next_line(&rest);
        synced = next_line(&rest);
        published = next_line(&rest);
        if (parse_u64(synced, &t->synced) < 0)
                t->synced = 0;
        if (strlen(published) == FETCH_SHA256_SIZE - 1)
                memcpy(t->published, published, sizeof(t->published));
        if (t->at > t->synced && (!t->boot[0] || strcmp(boot, t->boot) != 0))
                t->at = t->synced;
}

static void write_tag(const struct transfer *t) {
        char text[2 * TAG_SIZE + BOOT_SIZE];
        _cleanup_(closep) int fd = open(t->tag_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        int n = snprintf(text, sizeof(text), "%s\n%s\n%" PRIu64 "\n%s\n", t->tag, t->boot,
                         t->synced, t->published);

        /* Without it the next try begins at the start, which is right though slow. */
        if (fd >= 0 && (write(fd, text, (size_t) n) < n || ftruncate(fd, n) < 0))
                (void) unlink(t->tag_path);
}

static void sync_part(struct transfer *t) {
        if (t->at < t->synced + SYNC_BYTES || fdatasync(t->fd) < 0)
                return;
        t->synced = t->at;
        write_tag(t);
}

static int restart(struct transfer *t) {
        t->at = t->synced = 0;
        return ftruncate(t->fd, 0) < 0 ? -errno : 0;
}

static void discard(struct transfer *t) {
        (void) unlink(t->tag_path);
        (void) unlink(t->part);
}

static int open_part(struct transfer *t, struct why *why) {
        struct stat st;

        if (snprintf(t->part, sizeof(t->part), "%s.part", t->job->path) >= (int) sizeof(t->part) ||
            snprintf(t->tag_path, sizeof(t->tag_path), "%s.tag", t->part) >=
                    (int) sizeof(t->tag_path))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", t->job->path);
        t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (t->fd < 0)
                return because(why, -errno, "%s: %s", t->part, strerror(errno));
        if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
                return because(why, -EBUSY, "%s is being fetched by another process", t->job->path);
        if (fstat(t->fd, &st) < 0)
                return because(why, -errno, "%s: %s", t->part, strerror(errno));

        t->at = (uint64_t) st.st_size;
        read_boot(t);
        read_tag(t);
        /* Of what version it is nobody knows. */
        if (t->at > 0 && !t->tag[0])
                return restart(t);
        return ftruncate(t->fd, (off_t) t->at) < 0 ? -errno : 0;
}

static int check_room(const struct transfer *t, struct why *why) {
        uint64_t to_come = t->total > t->at ? t->total - t->at : 0, room;
        struct statvfs fs;

        if (fstatvfs(t->fd, &fs) < 0)
                return 0;
        room = (uint64_t) fs.f_bavail * fs.f_frsize;
        if (room >= ROOM_LEFT && to_come <= room - ROOM_LEFT)
                return 0;
        if (t->total == 0)
                return because(why, -ENOSPC,
                               "%s: %.1f GB have come, no end is announced, and the disk has room for "
                               "%.1f",
                               t->job->path, (double) t->at / 1e9, (double) room / 1e9);
        return because(why, -ENOSPC, "%s: %.1f GB are still to come, the disk has room for %.1f",
                       t->job->path, (double) to_come / 1e9, (double) room / 1e9);
}

/* ---- one request ---- */

/* "Name: value\r\n" of this name; the value is trimmed into ret.  False for another name. */
static bool header_is(const char *line, size_t size, const char *name, char *ret, size_t ret_size) {
        size_t n = strlen(name);

        if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
                return false;
        line += n + 1;
        size -= n + 1;
        while (size > 0 && (*line == ' ' || *line == '\t')) {
                line++;
                size--;
        }
        while (size > 0 && strchr("\r\n \t", line[size - 1]))
                size--;
        if (size >= ret_size)
                size = 0;
        memcpy(ret, line, size);
        ret[size] = '\0';
        return true;
}

/* The store behind a redirection publishes the sum of a file as a tag of its own. */
static void take_published(struct transfer *t, const char *value) {
        char hex[FETCH_SHA256_SIZE];

        if (strlen(value) == 66 && value[0] == '"') {
                memcpy(hex, value + 1, 64);
                hex[64] = '\0';
        } else if (strlen(value) == 64)
                memcpy(hex, value, 65);
        else
                return;
        if (strspn(hex, "0123456789abcdef") == 64)
                memcpy(t->published, hex, sizeof(hex));
}

static size_t on_header(char *line, size_t one, size_t size, void *userdata) {
        struct transfer *t = userdata;
        char value[TAG_SIZE];

        (void) one;
        if (strncmp(line, "HTTP/", 5) == 0) {
                t->answer_tag[0] = '\0';
                t->has_range = false;
                t->length = 0;
        } else if (header_is(line, size, "etag", value, sizeof(value)))
                memcpy(t->answer_tag, value, sizeof(value));
        else if (header_is(line, size, "x-linked-etag", value, sizeof(value)))
                take_published(t, value);
        else if (header_is(line, size, "content-length", value, sizeof(value)))
                (void) parse_u64(value, &t->length);
        else if (header_is(line, size, "content-range", value, sizeof(value)))
                t->has_range = sscanf(value, "bytes %" SCNu64 "-%*u/%" SCNu64, &t->range_start,
                                      &t->range_total) == 2;
        return size;
}

/* The head of an answer is complete: whether its body is the rest of what is there. */
static int accept_body(struct transfer *t) {
        long status = 0;
        int r = 0;

        (void) curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 206 && (!t->has_range || t->range_start != t->at))
                return because(&t->why, -EPROTO, "%s: the server sends another part than asked for",
                               t->job->url);
        if (status != 206)
                r = restart(t);
        if (r < 0)
                return because(&t->why, r, "%s: %s", t->part, strerror(-r));
        t->total = status == 206 ? t->range_total : t->length;
        if (t->job->size > 0 && t->total > 0 && t->total != t->job->size)
                return because(&t->why, -EBADMSG,
                               "%s: it has %" PRIu64 " bytes on the server, %" PRIu64 " published",
                               t->job->url, t->total, t->job->size);
        if (t->total == 0)
                t->total = t->job->size;
        memcpy(t->tag, t->answer_tag, sizeof(t->tag));
        write_tag(t);
        return check_room(t, &t->why);
}

static size_t on_body(char *bytes, size_t one, size_t size, void *userdata) {
        struct transfer *t = userdata;

        (void) one;
        if (!t->is_accepted) {
                t->r = accept_body(t);
                if (t->r < 0)
                        return 0;
                t->is_accepted = true;
        }
        if (t->total > 0 && size > t->total - t->at) {
                t->r = because(&t->why, -EBADMSG,
                               "%s: more comes than the %" PRIu64 " bytes announced", t->job->url,
                               t->total);
                return 0;
        }
        for (size_t n = 0; n < size;) {
                ssize_t written = pwrite(t->fd, bytes + n, size - n, (off_t) (t->at + n));

                if (written < 0 && errno != EINTR) {
                        t->r = because(&t->why, -errno, "%s: %s", t->part, strerror(errno));
                        return 0;
                }
                n += written > 0 ? (size_t) written : 0;
        }
        t->at += size;
        sync_part(t);
        /* Of what has no announced end the disk is not filled either. */
        if (t->total == 0 && t->at / ROOM_STEP != (t->at - size) / ROOM_STEP)
                t->r = check_room(t, &t->why);
        return t->r < 0 ? 0 : size;
}

static int on_progress(void *userdata, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
        const struct transfer *t = userdata;

        (void) a, (void) b, (void) c, (void) d;
        if (t->job->progress)
                t->job->progress(t->at, t->total, false, t->job->userdata);
        return 0;
}

static struct curl_slist *make_headers(const struct transfer *t) {
        struct curl_slist *headers = NULL;
        char line[2 * TAG_SIZE];

        if (t->at > 0) {
                (void) snprintf(line, sizeof(line), "If-Range: %s", t->tag);
                headers = curl_slist_append(headers, line);
        }
        return headers;
}

static long stalled_seconds(void) {
        const char *chosen = getenv("GEMMACTL_STALL");
        uint64_t seconds;

        return chosen && parse_u64(chosen, &seconds) == 0 && seconds > 0 && seconds < 3600
                       ? (long) seconds
                       : STALLED_SECONDS;
}

static void set_options(struct transfer *t, struct curl_slist *headers) {
        const char *schemes = is_local_http(t->job->url) ? "http,https" : "https";
        CURL *curl = t->curl;
        char range[32];

        curl_easy_reset(curl);
        (void) curl_easy_setopt(curl, CURLOPT_URL, t->job->url);
        (void) curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, schemes);
        (void) curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
        (void) curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
        (void) curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
        (void) curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
        (void) curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
        (void) curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALLED_BYTES);
        (void) curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stalled_seconds());
        (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
        (void) curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
        (void) curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
        (void) curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        (void) curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void) curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
        /* Not CURLOPT_RESUME_FROM, which takes the whole file for an error: here it is a restart. */
        (void) snprintf(range, sizeof(range), "%" PRIu64 "-", t->at);
        if (t->at > 0)
                (void) curl_easy_setopt(curl, CURLOPT_RANGE, range);
        if (t->job->token) {
                (void) curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
                (void) curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, t->job->token);
        }
}

/* Whether the same request may go better in a moment. */
static bool may_pass(CURLcode code, long status) {
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_PARTIAL_FILE:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
        case CURLE_SSL_CONNECT_ERROR:
                return true;
        case CURLE_HTTP_RETURNED_ERROR:
                return status >= 500 || status == 429 || status == 408;
        default:
                return false;
        }
}

/* 0: the answer was read to its end; 1: it broke off and may go on, for why; negative: it is over. */
static int request(struct transfer *t, struct why *why) {
        struct curl_slist *headers = make_headers(t);
        CURLcode code;
        long status = 0;

        t->is_accepted = false;
        t->r = 0;
        set_options(t, headers);
        code = curl_easy_perform(t->curl);
        curl_slist_free_all(headers);
        (void) curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        if (t->r < 0) {
                *why = t->why;
                return t->r;
        }
        if (code == CURLE_OK)
                return 0;
        /* All of it is there, or the file there has become shorter. */
        if (status == 416 && t->at > 0)
                return t->at == t->job->size ? 0 : restart(t) < 0 ? -EIO : 1;

        if (status == 401 || status == 403)
                return because(why, -EPROTO,
                               "%s: the server refuses (%ld); accept the licence on its page and "
                               "set HF_TOKEN",
                               t->job->url, status);
        if (status >= 400)
                (void) because(why, -EPROTO, "%s: the server answers %ld", t->job->url, status);
        else
                (void) because(why, -EPROTO, "%s: %s", t->job->url, curl_easy_strerror(code));
        return may_pass(code, status) ? 1 : -EPROTO;
}

static void pause_before_try(unsigned n) {
        unsigned char any = 0;
        unsigned ms = FIRST_PAUSE_MS << n;

        if (getrandom(&any, 1, 0) != 1)
                any = 0;
        ms += ms * any / 512;
        (void) usleep(ms * 1000);
}

static int fetch_all(struct transfer *t, struct why *why) {
        unsigned n_tries = 0;

        for (;;) {
                uint64_t before = t->at;
                int r;

                r = request(t, why);
                if (r < 0)
                        return r;
                if (r == 0 && (t->total == 0 || t->at == t->total))
                        return 0;
                if (r == 0)
                        (void) because(why, -EPROTO,
                                       "%s: it ends after %" PRIu64 " of %" PRIu64 " bytes",
                                       t->job->url, t->at, t->total);
                n_tries = t->at > before ? 0 : n_tries + 1;
                if (n_tries == MAX_TRIES)
                        return -EPROTO;
                pause_before_try(n_tries);
        }
}

/* ---- the whole file ---- */

int fetch_sha256(const char *path,
                 void (*progress)(uint64_t done, uint64_t total, bool is_hashing, void *userdata),
                 void *userdata,
                 char ret_sha256[static FETCH_SHA256_SIZE],
                 struct why *why) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_(freep) unsigned char *buffer = malloc(1 << 20);
        GChecksum *sum;
        struct stat st;
        uint64_t done = 0;
        ssize_t n;

        if (!buffer)
                return because(why, -ENOMEM, "out of memory");
        if (fd < 0 || fstat(fd, &st) < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        sum = g_checksum_new(G_CHECKSUM_SHA256);
        while ((n = read(fd, buffer, 1 << 20)) > 0) {
                g_checksum_update(sum, buffer, n);
                done += (uint64_t) n;
                if (progress)
                        progress(done, (uint64_t) st.st_size, true, userdata);
        }
        (void) snprintf(ret_sha256, FETCH_SHA256_SIZE, "%s", g_checksum_get_string(sum));
        g_checksum_free(sum);
        return n < 0 ? because(why, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int check_sum(struct transfer *t, char sha256[static FETCH_SHA256_SIZE], struct why *why) {
        const char *published = t->job->sha256 ? t->job->sha256 : t->published;
        int r;

        r = fetch_sha256(t->part, t->job->progress, t->job->userdata, sha256, why);
        if (r < 0 || !published[0] || strcmp(published, sha256) == 0)
                return r;
        return because(why, -EBADMSG, "%s: its sha256 is %s, published is %s", t->job->url, sha256,
                       published);
}

/* That the name is on the disk, too, is worth a try: without it the file is fetched again. */
static void sync_folder(const char *path) {
        g_autofree char *folder = g_path_get_dirname(path);
        _cleanup_(closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
                (void) fsync(fd);
}

/* The bytes are on the disk before the name is. */
static int give_name(struct transfer *t, struct why *why) {
        if (fsync(t->fd) < 0)
                return because(why, -errno, "%s: %s", t->part, strerror(errno));
        if (rename(t->part, t->job->path) < 0)
                return because(why, -errno, "%s: %s", t->job->path, strerror(errno));
        sync_folder(t->job->path);
        (void) unlink(t->tag_path);
        return 0;
}

int fetch_file(const struct fetch_job *job,
               char ret_sha256[static FETCH_SHA256_SIZE],
               struct why *why) {
        _cleanup_(transfer_done) struct transfer t = { .job = job, .fd = -1 };
        int r;

        if (strncmp(job->url, "https://", 8) != 0 && !is_local_http(job->url))
                return because(why, -EPROTO, "%s: only https:// is fetched", job->url);
        t.curl = curl_easy_init();
        if (!t.curl)
                return because(why, -ENOMEM, "out of memory");
        r = open_part(&t, why);
        if (r < 0)
                return r;

        if (job->size == 0 || t.at != job->size)
                r = fetch_all(&t, why);
        if (r >= 0)
                r = check_sum(&t, ret_sha256, why);
        if (r >= 0 && job->check)
                r = job->check(t.part, job->userdata, why);
        if (r >= 0)
                return give_name(&t, why);
        if (r == -EBADMSG || t.at == 0)
                discard(&t);
        return r;
}
