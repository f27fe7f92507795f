/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <sqlite3.h>

#include "tests/tap.h"

/* SQLite's own disk, and a test beside it that is asked before anything on it is changed. */
enum disk_use { DISK_OPEN, DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_GROW, DISK_DELETE };

/* Of the test, on whatever thread SQLite runs: SQLITE_OK, at once or later, or what becomes of it instead. */
static int before_disk(enum disk_use use);

struct disk_file {
        sqlite3_file base;
        sqlite3_file *real; /* owned */
};

static sqlite3_vfs *disk_under;

static sqlite3_file *disk_real(sqlite3_file *f) {
        return ((struct disk_file *) f)->real;
}

#define DISK_REAL(f) disk_real(f)->pMethods

static int disk_close(sqlite3_file *f) {
        int r = DISK_REAL(f)->xClose(disk_real(f));

        sqlite3_free(disk_real(f));
        return r;
}
static int disk_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
        return DISK_REAL(f)->xRead(disk_real(f), to, n, at);
}
static int disk_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
        int r = before_disk(DISK_WRITE);

        return r == SQLITE_OK ? DISK_REAL(f)->xWrite(disk_real(f), from, n, at) : r;
}
static int disk_truncate(sqlite3_file *f, sqlite3_int64 size) {
        int r = before_disk(DISK_TRUNCATE);

        return r == SQLITE_OK ? DISK_REAL(f)->xTruncate(disk_real(f), size) : r;
}
static int disk_sync(sqlite3_file *f, int flags) {
        int r = before_disk(DISK_SYNC);

        return r == SQLITE_OK ? DISK_REAL(f)->xSync(disk_real(f), flags) : r;
}
static int disk_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return DISK_REAL(f)->xFileSize(disk_real(f), ret);
}
static int disk_lock(sqlite3_file *f, int level) {
        return DISK_REAL(f)->xLock(disk_real(f), level);
}
static int disk_unlock(sqlite3_file *f, int level) {
        return DISK_REAL(f)->xUnlock(disk_real(f), level);
}
static int disk_reserved(sqlite3_file *f, int *ret) {
        return DISK_REAL(f)->xCheckReservedLock(disk_real(f), ret);
}
static int disk_control(sqlite3_file *f, int what, void *value) {
        return DISK_REAL(f)->xFileControl(disk_real(f), what, value);
}
static int disk_sector(sqlite3_file *f) {
        return DISK_REAL(f)->xSectorSize(disk_real(f));
}
static int disk_device(sqlite3_file *f) {
        return DISK_REAL(f)->xDeviceCharacteristics(disk_real(f));
}
static int disk_map(sqlite3_file *f, int page, int size, int grow, void volatile **ret) {
        int r = grow ? before_disk(DISK_GROW) : SQLITE_OK;

        return r == SQLITE_OK ? DISK_REAL(f)->xShmMap(disk_real(f), page, size, grow, ret) : r;
}
static int disk_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return DISK_REAL(f)->xShmLock(disk_real(f), offset, n, flags);
}
static void disk_barrier(sqlite3_file *f) {
        DISK_REAL(f)->xShmBarrier(disk_real(f));
}
static int disk_unmap(sqlite3_file *f, int remove) {
        return DISK_REAL(f)->xShmUnmap(disk_real(f), remove);
}

static const sqlite3_io_methods disk_methods = {
        .iVersion = 2,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_reserved,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_device,
        .xShmMap = disk_map,
        .xShmLock = disk_shm_lock,
        .xShmBarrier = disk_barrier,
        .xShmUnmap = disk_unmap,
};

static int disk_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
        struct disk_file *file = (struct disk_file *) f;
        int r;

        (void) v;
        file->base.pMethods = NULL;
        r = before_disk(DISK_OPEN);
        if (r != SQLITE_OK)
                return r;
        file->real = sqlite3_malloc(disk_under->szOsFile);
        if (!file->real)
                return SQLITE_NOMEM;
        r = disk_under->xOpen(disk_under, name, file->real, flags, ret_flags);
        if (r != SQLITE_OK) {
                sqlite3_free(file->real);
                return r;
        }
        file->base.pMethods = &disk_methods;
        return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *v, const char *name, int sync) {
        int r = before_disk(DISK_DELETE);

        (void) v;
        return r == SQLITE_OK ? disk_under->xDelete(disk_under, name, sync) : r;
}

/* All files that SQLite opens from now on are on it. */
static void add_disk(void) {
        static sqlite3_vfs shim;

        disk_under = sqlite3_vfs_find(NULL);
        shim = *disk_under;
        shim.zName = "asked";
        shim.szOsFile = sizeof(struct disk_file);
        shim.xOpen = disk_open;
        shim.xDelete = disk_delete;
        expect(sqlite3_vfs_register(&shim, 1) == SQLITE_OK);
}

#endif
