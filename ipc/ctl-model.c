/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "ipc/catalogue.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"
#include "ipc/fetch.h"

DEFINE_CLEANUP(struct client *, client_free)

/* gemmactl model: fetches the files of a model, keeps them in a folder of the model's name with a
 * manifest, and tells the daemon to use them. */

#define HUB            "https://huggingface.co"
#define MANIFEST       "manifest.json"
#define PROGRESS_NS    UINT64_C(200000000)
#define URL_SIZE       1024
#define MAX_MODEL_NAME 100
#define GIB            1073741824.0

/* What the names of a file's parts end in. */
#define PART_FORMAT "-%05u-of-%05u.gguf"
#define PART_SIZE   20
#define MAX_PARTS   99

extern char **environ;

/* ---- where things are ---- */

/* A name becomes a folder: letters, digits, '.', '_' and '-', and none that begins with a dot. */
static bool is_name(const char *name) {
        size_t n =
                strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

        return n > 0 && n <= MAX_MODEL_NAME && !name[n] && name[0] != '.';
}

/* FOLDER/NAME, or FOLDER/NAME/FILE. */
static int model_path(char ret[static PATH_MAX], const char *name, const char *file) {
        char folder[PATH_MAX];
        struct why why;
        int r, n = 0;

        r = paths_models(folder, sizeof(folder), &why);
        if (r >= 0)
                n = snprintf(ret, PATH_MAX, "%s/%s%s%s", folder, name, file ? "/" : "", file ? file : "");
        if (n >= PATH_MAX)
                r = because(&why, -ENAMETOOLONG, "%.100s: the path of the models' folder is too long", folder);
        if (r < 0)
                print_error("%s", why.text);
        return r;
}

/* Whoever has edited it: no name in it leads out of the folder.  The first that does, or "files". */
static const char *find_fault(const json_t *manifest) {
        json_t *files = json_object_get(manifest, "files"), *is;
        const char *file;

        if (!json_is_object(files))
                return "files";
        json_object_foreach(files, file, is) {
                if (!is_name(file) || strcmp(file, MANIFEST) == 0 || !json_is_object(is))
                        return file;
        }
        return NULL;
}

static json_t *read_manifest(const char *name) {
        char path[PATH_MAX];
        json_t *manifest;

        if (!is_name(name) || model_path(path, name, MANIFEST) < 0)
                return NULL;
        manifest = json_load_file(path, 0, NULL);
        if (manifest && !find_fault(manifest) &&
            json_object_set_new(manifest, "name", json_string(name)) == 0)
                return manifest;
        json_decref(manifest);
        return NULL;
}

/* False: it is not there at all. */
static bool is_manifest_damaged(const char *name) {
        json_auto_t *manifest = NULL;
        json_error_t error;
        char path[PATH_MAX];

        if (!is_name(name) || model_path(path, name, MANIFEST) < 0 || access(path, F_OK) < 0)
                return false;
        manifest = json_load_file(path, 0, &error);
        if (manifest)
                print_error("%s: '%s' is not as it was written; remove that folder by hand", path,
                            find_fault(manifest) ? find_fault(manifest) : "name");
        else
                print_error("%s:%d: %s; remove that folder by hand", path, error.line, error.text);
        return true;
}

/* Its bytes are on the disk before it gets its name. */
static int dump_file(json_t *manifest, const char *path) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        return fd < 0 || json_dumpfd(manifest, fd, JSON_INDENT(2)) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int write_manifest(const char *name, json_t *manifest) {
        char path[PATH_MAX], fresh[PATH_MAX];

        if (model_path(path, name, MANIFEST) < 0 || model_path(fresh, name, MANIFEST ".new") < 0)
                return -ENAMETOOLONG;
        if (dump_file(manifest, fresh) < 0 || rename(fresh, path) < 0) {
                print_error("%s: %s", path, strerror(errno));
                return -EIO;
        }
        return 0;
}

/* ---- progress ---- */

struct pull {
        const struct ctl *c;
        const char *file;
        const char *role; /* of the file, as in the manifest */
        uint64_t told_ns, began_ns, began_at;
        bool is_shown;
};

static void show_bar(struct pull *p, uint64_t done, uint64_t total, bool is_hashing, uint64_t now) {
        double seconds = (double) (now - p->began_ns) / 1e9 + 1e-9;
        double rate = (double) (done - p->began_at) / seconds;
        double left = total > done && rate > 0 ? (double) (total - done) / rate : 0;

        (void) fprintf(stderr, "\r\033[K%s: %s%5.1f %%  %.2f of %.2f GB", p->file,
                       is_hashing ? "checking " : "",
                       total ? 100.0 * (double) done / (double) total : 0.0, (double) done / 1e9,
                       (double) total / 1e9);
        if (!is_hashing)
                (void) fprintf(stderr, "  %.1f MB/s, %.0f:%02.0f left", rate / 1e6,
                               (double) (uint64_t) (left / 60), (double) ((uint64_t) left % 60));
        p->is_shown = true;
}

static void print_step(const struct pull *p, const char *step, uint64_t done, uint64_t total) {
        json_t *line = json_pack("{s:s, s:s, s:I, s:I}", "file", p->file, "step", step, "done",
                                 (json_int_t) done, "total", (json_int_t) total);

        print_json(p->c, line);
        (void) fflush(stdout);
        json_decref(line);
}

static void on_progress(uint64_t done, uint64_t total, bool is_hashing, void *userdata) {
        struct pull *p = userdata;
        uint64_t now = clock_now_ns();

        if (p->began_ns == 0) {
                p->began_ns = now;
                p->began_at = done;
        }
        if (now - p->told_ns < PROGRESS_NS)
                return;
        p->told_ns = now;
        if (p->c->as_json)
                print_step(p, is_hashing ? "checking" : "fetching", done, total);
        else if (isatty(STDERR_FILENO))
                show_bar(p, done, total, is_hashing, now);
}

static void end_progress(const struct pull *p) {
        if (p->is_shown)
                (void) fputs("\r\033[K", stderr);
}

/* ---- a file may be what it says ---- */

/* The environment without what is nobody's business there. */
static char **own_environment(void) {
        static const char token[] = "HF_TOKEN=";
        size_t n = 0, k = 0;
        char **copy;

        while (environ[n])
                n++;
        copy = calloc(n + 1, sizeof(*copy));
        for (size_t i = 0; copy && i < n; i++)
                if (strncmp(environ[i], token, strlen(token)) != 0)
                        copy[k++] = environ[i];
        return copy;
}

/* gemmad knows: the same code reads it there, confined, that will run it. */
static int run_gemmad(const char *const *arguments, char *output, size_t size) {
        _cleanup_(freep) char **environment = own_environment();
        _cleanup_(closep) int from = -1;
        posix_spawn_file_actions_t actions;
        int pipe_fds[2], status = -1;
        ssize_t n, used = 0;
        pid_t pid;
        int r;

        if (!environment)
                return -ENOMEM;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        from = pipe_fds[0];
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDERR_FILENO);
        r = posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *) (uintptr_t) arguments,
                         environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) close(pipe_fds[1]);
        if (r != 0)
                return -r;
        while ((n = read(from, output + used, size - 1 - (size_t) used)) > 0)
                used += n;
        output[used] = '\0';
        output[strcspn(output, "\n")] = '\0';
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -EPIPE;
}

static const char *gemmad_program(void) {
        const char *chosen = getenv("GEMMAD");

        return chosen && chosen[0] ? chosen : GEMMAD_PROGRAM;
}

/* A model as a whole; of anything else that it is a GGUF file. */
static int check_model(const char *path, bool is_model, struct why *why) {
        const char *arguments[] = { gemmad_program(), "--check",
                                    is_model ? "--model" : "--projector", path, NULL };
        char output[512];
        int r;

        r = run_gemmad(arguments, output, sizeof(output));
        if (r < 0)
                return because(why, r, "%s can not be run: %s", arguments[0], strerror(-r));
        return r == 0 ? 0 : because(why, -EBADMSG, "%s", output);
}

/* One of several parts is looked at when all are there. */
static int check_file(const char *path, void *userdata, struct why *why) {
        const struct pull *p = userdata;

        if (strcmp(p->role, "part") == 0)
                return 0;
        return check_model(path, strcmp(p->role, "model") == 0, why);
}

static enum ctl_exit remove_files(const char *name, json_t *manifest) {
        const char *file;
        char path[PATH_MAX];
        json_t *is;

        json_object_foreach(json_object_get(manifest, "files"), file,
                            is) if (model_path(path, name, file) < 0 ||
                                    (unlink(path) < 0 && errno != ENOENT)) {
                print_error("%s: %s", path, strerror(errno));
                return CTL_EXIT_FAILED;
        }
        if (model_path(path, name, MANIFEST) == 0)
                (void) unlink(path);
        if (model_path(path, name, NULL) == 0 && rmdir(path) < 0 && errno != ENOTEMPTY)
                print_error("%s: %s", path, strerror(errno));
        return CTL_EXIT_OK;
}

/* ---- pull ---- */

static const char *hub(void) {
        const char *chosen = getenv("HF_ENDPOINT");

        return chosen && chosen[0] ? chosen : HUB;
}

static enum ctl_exit failed(int r, const struct why *why) {
        print_error("%s", why->text);
        return r == -EBUSY ? CTL_EXIT_BUSY : r == -EPROTO ? CTL_EXIT_UNREACHABLE : CTL_EXIT_FAILED;
}

/* The hub itself, and no host whose name only begins so. */
static bool is_at_hub(const char *url) {
        size_t size = strlen(hub());

        while (size > 0 && hub()[size - 1] == '/')
                size--;
        return strncmp(url, hub(), size) == 0 && url[size] == '/';
}

struct wanted {
        const char *url;
        struct catalogue_file file;
        const char *role;
};

/* Fetches one file into the model's folder, unless the manifest says that it is there. */
static enum ctl_exit
pull_file(const struct ctl *c, const char *name, const struct wanted *w, json_t *files) {
        struct pull p = { c, w->file.name, w->role, 0, 0, 0, false };
        const char *token = getenv("HF_TOKEN");
        char path[PATH_MAX], sha256[FETCH_SHA256_SIZE];
        struct fetch_job job = { .url = w->url,
                                 .path = path,
                                 .size = w->file.size,
                                 .sha256 = w->file.sha256,
                                 .progress = on_progress,
                                 .check = check_file,
                                 .userdata = &p };
        struct why why = {};
        struct stat st;
        int r;

        if (model_path(path, name, w->file.name) < 0)
                return CTL_EXIT_FAILED;
        if (json_object_get(files, w->file.name) && access(path, R_OK) == 0)
                return CTL_EXIT_OK;
        if (token && token[0] && is_at_hub(w->url))
                job.token = token;
        r = fetch_file(&job, sha256, &why);
        end_progress(&p);
        if (r < 0)
                return failed(r, &why);
        if (stat(path, &st) < 0)
                st.st_size = 0;
        if (c->as_json)
                print_step(&p, "done", (uint64_t) st.st_size, (uint64_t) st.st_size);
        (void) json_object_set_new(files, w->file.name,
                                   json_pack("{s:s, s:I, s:s, s:s}", "sha256", sha256, "size",
                                             (json_int_t) st.st_size, "url", w->url, "role",
                                             w->role));
        return CTL_EXIT_OK;
}

static int make_folder(const char *name) {
        char path[PATH_MAX];

        if (model_path(path, name, NULL) < 0)
                return -ENAMETOOLONG;
        if (g_mkdir_with_parents(path, 0700) == 0)
                return 0;
        print_error("%s: %s", path, strerror(errno));
        return -errno;
}

/* What is fetched for one model, and what it has by now. */
struct fetched {
        const char *name;
        json_t *manifest; /* owned */
};

static void fetched_done(struct fetched *f) {
        json_decref(f->manifest);
}

static enum ctl_exit begin_fetch(struct fetched *f, const char *name) {
        if (make_folder(name) < 0)
                return CTL_EXIT_FAILED;
        f->name = name;
        f->manifest = read_manifest(name);
        if (!f->manifest)
                f->manifest = json_pack("{s:s, s:{}}", "name", name, "files");
        return CTL_EXIT_OK;
}

/* From prefix, behind which the file has its own name. */
static enum ctl_exit fetch(const struct ctl *c,
                           struct fetched *f,
                           const char *prefix,
                           const struct catalogue_file *file,
                           const char *role) {
        char url[URL_SIZE];
        struct wanted wanted = { url, *file, role };
        enum ctl_exit e;

        if (snprintf(url, sizeof(url), "%s%s", prefix, file->name) >= (int) sizeof(url)) {
                print_error("the address is too long");
                return CTL_EXIT_USAGE;
        }
        e = pull_file(c, f->name, &wanted, json_object_get(f->manifest, "files"));
        if (e == CTL_EXIT_OK && write_manifest(f->name, f->manifest) < 0)
                e = CTL_EXIT_FAILED;
        return e;
}

static enum ctl_exit end_fetch(const struct ctl *c, const struct fetched *f) {
        if (!c->as_json)
                (void) printf("%s is here; gemmactl model use %s makes it answer\n", f->name,
                              f->name);
        return CTL_EXIT_OK;
}

static double memory_size(void) {
        return (double) sysconf(_SC_PHYS_PAGES) * (double) sysconf(_SC_PAGESIZE);
}

const char *ctl_model_advice(char *buffer, size_t size) {
        const struct catalogue_model *m = catalogue_for(memory_size());

        (void) snprintf(buffer, size, "%s%s", m ? "gemmactl model use " : "", m ? m->name : "");
        return buffer;
}

static const char *verdict(const struct catalogue_model *m) {
        return memory_size() >= 1.15 * (double) m->memory ? "fits"
               : memory_size() >= (double) m->memory      ? "fits barely"
                                                          : "does not fit";
}

static void hub_prefix(char ret[static URL_SIZE], const char *repository) {
        (void) snprintf(ret, URL_SIZE, "%s/%s/resolve/main/", hub(), repository);
}

/* It only makes answers come sooner, so that there is none is no failure. */
static void fetch_drafter(const struct ctl *c, struct fetched *f, const struct catalogue_model *m) {
        const struct catalogue_file file = { m->drafter, m->drafter_size, NULL };
        char prefix[URL_SIZE];

        hub_prefix(prefix, m->drafter_repository ? m->drafter_repository : m->repository);
        if (m->drafter && fetch(c, f, prefix, &file, "drafter") != CTL_EXIT_OK)
                print_error("going on without a drafter, which would only make it faster");
}

static enum ctl_exit pull_known(const struct ctl *c, const struct catalogue_model *m) {
        static const char *const roles[CATALOGUE_MAX_FILES] = { "model", "projector" };
        _cleanup_(fetched_done) struct fetched f = { 0 };
        char prefix[URL_SIZE];
        enum ctl_exit e;

        if (!c->as_json)
                (void) printf("this machine has %.1f GiB, %s needs %.1f: %s\n"
                              "its licence is %s, see %s/%s\n",
                              memory_size() / GIB, m->name, (double) m->memory / GIB, verdict(m),
                              m->licence, HUB, m->repository);
        (void) fflush(stdout);
        hub_prefix(prefix, m->repository);
        e = begin_fetch(&f, m->name);
        for (unsigned i = 0; e == CTL_EXIT_OK && i < CATALOGUE_MAX_FILES && m->files[i].name; i++)
                e = fetch(c, &f, prefix, &m->files[i], roles[i]);
        if (e != CTL_EXIT_OK)
                return e;
        fetch_drafter(c, &f, m);
        return end_fetch(c, &f);
}

/* A file that was published in parts; its name without "-00001-of-0000N.gguf" is the model's. */
static enum ctl_exit
pull_parts(const struct ctl *c, const char *prefix, const char *name, unsigned n_parts) {
        _cleanup_(fetched_done) struct fetched f = { 0 };
        char first[PATH_MAX], part[NAME_MAX + 1];
        struct catalogue_file file = { part, 0, NULL };
        struct why why = {};
        enum ctl_exit e = begin_fetch(&f, name);

        for (unsigned i = n_parts; e == CTL_EXIT_OK && i > 0; i--) {
                (void) snprintf(part, sizeof(part), "%.*s" PART_FORMAT, MAX_MODEL_NAME, name, i,
                                n_parts);
                e = fetch(c, &f, prefix, &file, "part");
        }
        if (e != CTL_EXIT_OK || model_path(first, name, part) < 0)
                return e == CTL_EXIT_OK ? CTL_EXIT_FAILED : e;
        if (check_model(first, true, &why) < 0) {
                (void) remove_files(name, f.manifest);
                return failed(-EBADMSG, &why);
        }
        (void) json_object_set_new(json_object_get(json_object_get(f.manifest, "files"), part),
                                   "role", json_string("model"));
        return write_manifest(name, f.manifest) < 0 ? CTL_EXIT_FAILED : end_fetch(c, &f);
}

/* How many parts a file of this name is of, which is the first; 0: it is whole. */
static unsigned count_parts(const char *file, size_t size) {
        unsigned number, count;
        int end = 0;

        if (size <= PART_SIZE ||
            sscanf(file + size - PART_SIZE, "-%5u-of-%5u.gguf%n", &number, &count, &end) != 2 ||
            end != PART_SIZE || number != 1 || count < 2 || count > MAX_PARTS)
                return 0;
        return count;
}

/* Any address: the file's name without .gguf is the model's. */
static enum ctl_exit pull_url(const struct ctl *c, const char *url) {
        _cleanup_(fetched_done) struct fetched f = { 0 };
        const char *slash = strrchr(url, '/');
        char prefix[URL_SIZE], file[NAME_MAX + 1], name[NAME_MAX + 1];
        const struct catalogue_file model = { .name = file };
        unsigned n_parts;
        size_t size;
        enum ctl_exit e;

        (void) snprintf(file, sizeof(file), "%.*s", (int) strcspn(slash + 1, "?#"), slash + 1);
        size = strlen(file);
        if (size <= 5 || strcmp(file + size - 5, ".gguf") != 0 || !is_name(file)) {
                print_error("%s: not the address of a .gguf file", url);
                return CTL_EXIT_USAGE;
        }
        n_parts = count_parts(file, size);
        (void) snprintf(name, sizeof(name), "%.*s", (int) (size - (n_parts ? PART_SIZE : 5)), file);
        (void) snprintf(prefix, sizeof(prefix), "%.*s", (int) (slash + 1 - url), url);
        if (n_parts)
                return pull_parts(c, prefix, name, n_parts);
        e = begin_fetch(&f, name);
        if (e == CTL_EXIT_OK)
                e = fetch(c, &f, prefix, &model, "model");
        return e == CTL_EXIT_OK ? end_fetch(c, &f) : e;
}

static enum ctl_exit unknown_model(const char *name) {
        print_error("no model '%s'; gemmactl model list tells what there is", name);
        return CTL_EXIT_USAGE;
}

/* The list names models that are still to be fetched. */
static enum ctl_exit not_here(const char *name) {
        if (is_manifest_damaged(name))
                return CTL_EXIT_BAD_INPUT;
        if (!catalogue_find(name))
                return unknown_model(name);
        print_error("%s is not here; gemmactl model pull %s fetches it", name, name);
        return CTL_EXIT_USAGE;
}

static enum ctl_exit model_pull(const struct ctl *c, const char *name) {
        const struct catalogue_model *m = catalogue_find(name);

        if (m)
                return pull_known(c, m);
        if (strstr(name, "://") && strlen(name) < URL_SIZE)
                return pull_url(c, name);
        return unknown_model(name);
}

/* ---- list ---- */

static void list_row(const struct ctl *c,
                     const char *name,
                     const char *what,
                     const char *suits,
                     double gb,
                     bool is_here) {
        if (c->as_json) {
                json_t *row = json_pack("{s:s, s:s, s:s, s:f, s:b}", "name", name, "what", what,
                                        "suits", suits, "gigabytes", gb, "here", (int) is_here);

                print_json(c, row);
                json_decref(row);
                return;
        }
        (void) printf("%-22s %5.1f GB  %-4s  %s%s%s\n", name, gb, is_here ? "here" : "", what,
                      suits[0] ? "; " : "", suits);
}

static double size_of(json_t *manifest) {
        double bytes = 0;
        const char *key;
        json_t *file;

        json_object_foreach(json_object_get(manifest, "files"), key, file) bytes +=
                (double) field_int(file, "size");
        return bytes / 1e9;
}

static void list_others(const struct ctl *c) {
        char folder[PATH_MAX];
        struct dirent *entry;
        DIR *d;

        d = paths_models(folder, sizeof(folder), NULL) >= 0 ? opendir(folder) : NULL;
        while (d && (entry = readdir(d))) {
                json_t *manifest = read_manifest(entry->d_name);

                if (manifest && !catalogue_find(entry->d_name))
                        list_row(c, entry->d_name, "fetched by its address", "", size_of(manifest),
                                 true);
                json_decref(manifest);
        }
        if (d)
                (void) closedir(d);
}

static enum ctl_exit model_list(const struct ctl *c) {
        for (size_t i = 0; i < catalogue_size; i++) {
                const struct catalogue_model *m = &catalogue[i];
                json_t *manifest = read_manifest(m->name);
                double gb = (double) (m->files[0].size + m->files[1].size) / 1e9;

                list_row(c, m->name, m->what, m->suits,
                         m->files[0].size ? gb : (double) m->memory / 1e9, manifest != NULL);
                json_decref(manifest);
        }
        list_others(c);
        return CTL_EXIT_OK;
}

/* ---- verify, use, remove ---- */

static enum ctl_exit
verify_file(const struct ctl *c, const char *name, const char *file, json_t *is) {
        struct pull p = { c, file, NULL, 0, 0, 0, false };
        char path[PATH_MAX], sha256[FETCH_SHA256_SIZE];
        struct why why = {};
        int r;

        if (model_path(path, name, file) < 0)
                return CTL_EXIT_FAILED;
        r = fetch_sha256(path, on_progress, &p, sha256, &why);
        end_progress(&p);
        if (r < 0)
                return failed(r, &why);
        if (strcmp(sha256, field_string(is, "sha256")) != 0) {
                print_error("%s has changed: its sha256 is %s and was %s; remove it and pull again",
                            path, sha256, field_string(is, "sha256"));
                return CTL_EXIT_BAD_INPUT;
        }
        if (!c->as_json)
                (void) printf("%s is as it was fetched\n", file);
        return CTL_EXIT_OK;
}

static enum ctl_exit model_verify(const struct ctl *c, const char *name) {
        json_auto_t *manifest = read_manifest(name);
        enum ctl_exit e = CTL_EXIT_OK;
        const char *file;
        json_t *is;

        if (!manifest)
                return not_here(name);
        json_object_foreach(json_object_get(manifest, "files"), file, is) if (e == CTL_EXIT_OK) e =
                verify_file(c, name, file, is);
        return e;
}

/* The path of the file with this role, "" when there is none. */
static int path_of(json_t *manifest, const char *role, char ret[static PATH_MAX]) {
        const char *file;
        json_t *is;

        ret[0] = '\0';
        json_object_foreach(json_object_get(manifest, "files"), file,
                            is) if (strcmp(field_string(is, "role"), role) ==
                                    0) return model_path(ret, field_string(manifest, "name"), file);
        return 0;
}

static int config_path(char ret[static PATH_MAX], struct why *why) {
        return paths_config(ret, PATH_MAX, "gemmad.conf", why);
}

/* Sets the two keys and leaves all else in the file as it is, comments included. */
static int write_config(const char *model, const char *projector) {
        g_autoptr(GKeyFile) file = g_key_file_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *folder = NULL;
        char path[PATH_MAX];
        struct why why;
        int r;

        r = config_path(path, &why);
        if (r < 0) {
                print_error("%s", why.text);
                return r;
        }
        folder = g_path_get_dirname(path);
        if (!g_key_file_load_from_file(file, path, G_KEY_FILE_KEEP_COMMENTS, &error) &&
            !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
                print_error("%s: %s", path, error->message);
                return -EBADMSG;
        }
        g_clear_error(&error);
        g_key_file_set_string(file, "Model", "Path", model);
        if (projector[0])
                g_key_file_set_string(file, "Model", "Projector", projector);
        else
                (void) g_key_file_remove_key(file, "Model", "Projector", NULL);
        if (g_mkdir_with_parents(folder, 0700) == 0 && g_key_file_save_to_file(file, path, &error))
                return 0;
        print_error("%s: %s", path, error ? error->message : strerror(errno));
        return -EIO;
}

/* What the file was, to be put back; NULL: there was none. */
static char *read_config(void) {
        char path[PATH_MAX], *text = NULL;

        if (config_path(path, NULL) >= 0)
                (void) g_file_get_contents(path, &text, NULL, NULL);
        return text;
}

static void put_config_back(const char *text) {
        char path[PATH_MAX];

        if (config_path(path, NULL) < 0)
                return;
        if (!text)
                (void) unlink(path);
        else if (!g_file_set_contents(path, text, -1, NULL))
                print_error("%s: it can not be written back", path);
}

/* A daemon that runs loads the model and answers with the old one until it has. */
static enum ctl_exit reload(const struct ctl *c, const char *name, const char *old_config) {
        const struct client_call call = { .method = "io.gemmad.Assistant.Reload" };
        _cleanup_(client_freep) struct client *client = NULL;
        struct varlink_reply reply;
        enum ctl_exit e = CTL_EXIT_OK;
        struct why why = {};

        if (client_connect(&client, c->socket, &why) < 0) {
                if (!c->as_json)
                        (void) printf("%s is configured\n", name);
                return CTL_EXIT_OK;
        }
        if (!c->as_json)
                (void) printf("%s is configured, and being loaded ...\n", name);
        (void) fflush(stdout);
        if (client_send(client, &call, &why) < 0 || client_next(client, -1, &reply, &why) < 0)
                return ctl_lost(&why);
        if (!reply.error) {
                if (c->as_json)
                        print_json(c, reply.parameters);
                else
                        (void) printf("%s answers now\n", field_string(reply.parameters, "model"));
        } else if (strcmp(reply.error, "io.gemmad.Assistant.NotReloaded") == 0 &&
                   !strstr(field_string(reply.parameters, "reason"), strerror(EACCES))) {
                print_error("%s; the configuration is as it was",
                            field_string(reply.parameters, "reason"));
                put_config_back(old_config);
                e = CTL_EXIT_FAILED;
        } else {
                print_error("%s needs a restart to begin: systemctl --user restart gemmad", name);
                e = CTL_EXIT_FAILED;
        }
        varlink_reply_done(&reply);
        return e;
}

/* A known model is fetched first, or what is missing of it. */
static enum ctl_exit fetch_for_use(const struct ctl *c, const char *name) {
        const struct catalogue_model *m = catalogue_find(name);
        json_auto_t *manifest = read_manifest(name);
        json_t *files = json_object_get(manifest, "files");
        bool is_whole = m != NULL;

        for (unsigned i = 0; m && i < CATALOGUE_MAX_FILES && m->files[i].name; i++)
                is_whole = is_whole && json_object_get(files, m->files[i].name);
        return !m || is_whole ? CTL_EXIT_OK : pull_known(c, m);
}

/* The configuration takes no other paths. */
static enum ctl_exit absolute(const char *path, char ret[static PATH_MAX]) {
        if (realpath(path, ret))
                return CTL_EXIT_OK;
        print_error("%s: %s", path, strerror(errno));
        return CTL_EXIT_BAD_INPUT;
}

/* The files of a model by its name, or the model and its projector by their paths, which have a slash in
 * them. */
static enum ctl_exit
find_files(const struct ctl *c, char model[static PATH_MAX], char projector[static PATH_MAX]) {
        const char *name = c->arguments[1];
        json_auto_t *manifest = NULL;
        enum ctl_exit e;

        model[0] = projector[0] = '\0';
        if (strchr(name, '/')) {
                e = absolute(name, model);
                return e == CTL_EXIT_OK && c->n_arguments > 2 ? absolute(c->arguments[2], projector)
                                                              : e;
        }
        if (c->n_arguments > 2) {
                print_error("model use: a projector follows the path of a model, not a name");
                return CTL_EXIT_USAGE;
        }
        if (strcmp(name, "pocket") == 0)
                return CTL_EXIT_OK;
        e = fetch_for_use(c, name);
        if (e != CTL_EXIT_OK)
                return e;
        manifest = read_manifest(name);
        if (!manifest)
                return not_here(name);
        if (path_of(manifest, "model", model) < 0 || path_of(manifest, "projector", projector) < 0)
                return CTL_EXIT_FAILED;
        return CTL_EXIT_OK;
}

static enum ctl_exit model_use(const struct ctl *c, const char *name) {
        g_autofree char *old_config = NULL;
        char model[PATH_MAX], projector[PATH_MAX], output[512];
        const char *arguments[] = { gemmad_program(), "--check", "--model", model,
                                    "--projector",    projector, NULL };
        enum ctl_exit e;
        int r;

        e = find_files(c, model, projector);
        if (e != CTL_EXIT_OK)
                return e;
        if (!projector[0])
                arguments[4] = NULL;
        r = model[0] ? run_gemmad(arguments, output, sizeof(output)) : 0;
        if (r != 0) {
                print_error("%s", r < 0 ? strerror(-r) : output);
                return CTL_EXIT_BAD_INPUT;
        }
        old_config = read_config();
        if (write_config(model, projector) < 0)
                return CTL_EXIT_FAILED;
        return reload(c, name, old_config);
}

/* Not the one that is configured: the daemon would not start again. */
static enum ctl_exit model_remove(const struct ctl *c, const char *name) {
        json_auto_t *manifest = read_manifest(name);
        g_autoptr(GKeyFile) config = g_key_file_new();
        g_autofree char *used = NULL;
        char path[PATH_MAX], model[PATH_MAX];

        (void) c;
        if (!manifest)
                return not_here(name);
        if (config_path(path, NULL) >= 0 && g_key_file_load_from_file(config, path, 0, NULL))
                used = g_key_file_get_string(config, "Model", "Path", NULL);
        if (path_of(manifest, "model", model) == 0 && used && strcmp(used, model) == 0) {
                print_error("%s is in use; gemmactl model use pocket first", name);
                return CTL_EXIT_FAILED;
        }
        return remove_files(name, manifest);
}

enum ctl_exit ctl_model(const struct ctl *c) {
        static const struct {
                const char *name;
                enum ctl_exit (*run)(const struct ctl *c, const char *model);
        } verbs[] = {
                { "pull", model_pull },
                { "verify", model_verify },
                { "use", model_use },
                { "remove", model_remove },
        };
        const char *verb = c->n_arguments > 0 ? c->arguments[0] : "list";

        if (strcmp(verb, "list") == 0 && c->n_arguments <= 1)
                return model_list(c);
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(verb, verbs[i].name) == 0 && c->n_arguments >= 2 &&
                    (c->n_arguments == 2 || verbs[i].run == model_use))
                        return verbs[i].run(c, c->arguments[1]);
        print_error("model: list, pull NAME, verify NAME, use NAME, use FILE [PROJECTOR] or "
                    "remove NAME");
        return CTL_EXIT_USAGE;
}
