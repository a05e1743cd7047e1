/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in memory; see disk.h. A file has its present content, the content as of its last sync, and the
 * changes between the two. A power cut takes the synced content and, of the changes, none, the first, all, or
 * a random choice; the last one that stays may be torn. What was never synced may be missing altogether. */
#include "disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES        8 /* of a disk: two data files, their logs and journals */
#define NAME_MAX_LEN 300
#define TEAR         512

typedef struct content {
    uint8_t *data;
    size_t size, room;
    bool exists;
} content;

typedef struct change {
    size_t at, len; /* with `data` NULL: the new size is `at` */
    uint8_t *data;
} change;

typedef struct stored {
    char name[NAME_MAX_LEN];
    content now, synced, saved;
    change *changes;
    size_t change_count, change_room;
} stored;

typedef struct disk {
    char path[NAME_MAX_LEN];
    stored files[FILES];
    bool frozen, full;
    disk_end end;
    uint64_t freeze_in; /* writes; 0: not at all */
} disk;

static struct {
    char *dir;
    disk disks[DISKS];
    tu_random random;
} all;

/* ---- Content ---- */

static void resize(content *c, size_t size)
{
    if (size > c->room) {
        c->room = size + size / 2 + 4096;
        c->data = realloc(c->data, c->room);
        assert_non_null(c->data);
    }
    if (size > c->size)
        memset(c->data + c->size, 0, size - c->size);
    c->size = size;
    c->exists = true;
}

static void apply(content *c, const change *ch)
{
    if (ch->data == NULL) {
        resize(c, ch->at);
        return;
    }
    if (ch->at + ch->len > c->size)
        resize(c, ch->at + ch->len);
    memcpy(c->data + ch->at, ch->data, ch->len);
}

static void copy(content *to, const content *from)
{
    to->size = 0;
    resize(to, from->size);
    if (from->size != 0)
        memcpy(to->data, from->data, from->size);
    to->exists = from->exists;
}

static void forget_changes(stored *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        free(f->changes[i].data);
    f->change_count = 0;
}

static void wipe(stored *f)
{
    forget_changes(f);
    free(f->changes);
    free(f->now.data);
    free(f->synced.data);
    free(f->saved.data);
    memset(f, 0, sizeof *f);
}

/* ---- The end of a process or a machine ---- */

static bool chance(unsigned percent)
{
    return tu_random_below(&all.random, 100) < percent;
}

static void cut_power(stored *f)
{
    unsigned regime = (unsigned)tu_random_below(&all.random, 4);
    size_t first = (size_t)tu_random_below(&all.random, f->change_count + 1);
    copy(&f->saved, &f->synced);
    if (!f->synced.exists && (!f->now.exists || chance(50))) {
        f->saved.exists = false;
        return;
    }
    for (size_t i = 0; i < f->change_count; i++) {
        change ch = f->changes[i];
        bool stays = regime == 0 ? false : regime == 1 ? i < first : regime == 2 ? chance(50) : true;
        if (!stays)
            continue;
        if (ch.data != NULL && ch.len > TEAR && chance(10))
            ch.len = TEAR * (size_t)(1 + tu_random_below(&all.random, ch.len / TEAR));
        apply(&f->saved, &ch);
    }
    f->saved.exists = true;
}

static void freeze(disk *d, disk_end end)
{
    if (d->frozen)
        return;
    d->frozen = true;
    d->freeze_in = 0;
    for (size_t i = 0; i < FILES; i++) {
        if (end == DISK_POWER_CUT)
            cut_power(&d->files[i]);
        else
            copy(&d->files[i].saved, &d->files[i].now);
    }
}

void disk_freeze(size_t which, disk_end end)
{
    freeze(&all.disks[which], end);
}

void disk_freeze_at(size_t which, disk_end end, uint64_t writes)
{
    all.disks[which].end = end;
    all.disks[which].freeze_in = writes;
}

void disk_fill(size_t which, bool full)
{
    all.disks[which].full = full;
}

bool disk_is_frozen(size_t which)
{
    return all.disks[which].frozen;
}

void disk_thaw(size_t which)
{
    disk *d = &all.disks[which];
    assert_true(d->frozen);
    d->frozen = false;
    for (size_t i = 0; i < FILES; i++) {
        stored *f = &d->files[i];
        forget_changes(f);
        copy(&f->now, &f->saved);
        copy(&f->synced, &f->saved);
        free(f->saved.data);
        f->saved = (content){0};
    }
}

/* Before every write and sync. */
static void count_down(disk *d)
{
    if (d->freeze_in != 0 && --d->freeze_in == 0)
        freeze(d, d->end);
}

/* ---- SQLite's files ---- */

typedef struct handle {
    sqlite3_file base;
    disk *d;
    stored *f;
} handle;

static stored *file_of(sqlite3_file *file)
{
    return ((handle *)(void *)file)->f;
}

static int disk_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int disk_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    const content *c = &file_of(file)->now;
    size_t from = (size_t)at, wanted = (size_t)len;
    size_t have = from >= c->size ? 0 : c->size - from < wanted ? c->size - from : wanted;
    if (have != 0)
        memcpy(out, c->data + from, have);
    memset((uint8_t *)out + have, 0, wanted - have);
    return have == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static void change_file(sqlite3_file *file, const change *ch)
{
    stored *f = file_of(file);
    count_down(((handle *)(void *)file)->d);
    if (f->change_count == f->change_room) {
        f->change_room = f->change_room * 2 + 64;
        f->changes = realloc(f->changes, f->change_room * sizeof *f->changes);
        assert_non_null(f->changes);
    }
    apply(&f->now, ch);
    f->changes[f->change_count++] = *ch;
}

static int disk_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (((handle *)(void *)file)->d->full && (size_t)at + (size_t)len > file_of(file)->now.size)
        return SQLITE_FULL;
    change ch = {(size_t)at, (size_t)len, malloc((size_t)len + 1)};
    assert_non_null(ch.data);
    memcpy(ch.data, data, (size_t)len);
    change_file(file, &ch);
    return SQLITE_OK;
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    change ch = {(size_t)size, 0, NULL};
    change_file(file, &ch);
    return SQLITE_OK;
}

static int disk_sync(sqlite3_file *file, int flags)
{
    stored *f = file_of(file);
    (void)flags;
    count_down(((handle *)(void *)file)->d);
    for (size_t i = 0; i < f->change_count; i++)
        apply(&f->synced, &f->changes[i]);
    f->synced.exists = true;
    forget_changes(f);
    return SQLITE_OK;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)file_of(file)->now.size;
    return SQLITE_OK;
}

static int disk_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int disk_is_reserved(sqlite3_file *file, int *out)
{
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int disk_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

/* As SQLite believes of the disks of today. */
static int disk_character(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_lock,
    .xCheckReservedLock = disk_is_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_character,
};

/* ---- The file system ---- */

static disk *disk_of(const char *name)
{
    for (size_t i = 0; i < DISKS; i++)
        if (strncmp(name, all.disks[i].path, strlen(all.disks[i].path)) == 0)
            return &all.disks[i];
    return NULL;
}

static stored *find(const char *name)
{
    disk *d = disk_of(name);
    for (size_t i = 0; d != NULL && i < FILES; i++)
        if (strcmp(d->files[i].name, name) == 0)
            return &d->files[i];
    return NULL;
}

static stored *make(disk *d, const char *name)
{
    for (size_t i = 0; i < FILES; i++) {
        if (d->files[i].name[0] != '\0')
            continue;
        snprintf(d->files[i].name, sizeof d->files[i].name, "%s", name);
        return &d->files[i];
    }
    return NULL;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    handle *h = (handle *)(void *)file;
    (void)vfs;
    memset(h, 0, sizeof *h);
    h->d = name == NULL ? NULL : disk_of(name);
    if (h->d == NULL)
        return SQLITE_CANTOPEN;
    h->f = find(name);
    if (h->f == NULL)
        h->f = make(h->d, name);
    if (h->f == NULL)
        return SQLITE_CANTOPEN;
    h->f->now.exists = true;
    h->base.pMethods = &methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    stored *f = find(name);
    (void)vfs;
    (void)sync_folder;
    if (f == NULL || !f->now.exists)
        return SQLITE_IOERR_DELETE_NOENT;
    count_down(disk_of(name));
    forget_changes(f);
    f->now.size = f->synced.size = 0;
    f->now.exists = f->synced.exists = false;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    const stored *f = find(name);
    (void)vfs;
    (void)flags;
    *out = f != NULL && f->now.exists;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)size, "%s", name);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    tu_random_fill(&all.random, out, (size_t)len);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    *out = 2461000.5;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    (void)len;
    (void)out;
    return 0;
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(handle),
    .mxPathname = NAME_MAX_LEN,
    .zName = "disks in memory",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_last_error,
};

/* ---- For the simulator ---- */

void disk_mount(void)
{
    all.dir = tu_temp_dir(); /* the library makes its file by itself before SQLite opens it */
    for (size_t i = 0; i < DISKS; i++)
        snprintf(all.disks[i].path, sizeof all.disks[i].path, "%s/disk%zu.db", all.dir, i);
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
    disk_format(0);
}

void disk_format(uint64_t seed)
{
    all.random.state = seed * 2 + 1;
    for (size_t i = 0; i < DISKS; i++) {
        for (size_t k = 0; k < FILES; k++)
            wipe(&all.disks[i].files[k]);
        all.disks[i].frozen = all.disks[i].full = false;
        all.disks[i].freeze_in = 0;
    }
    sqlite3_randomness(0, NULL); /* it gathers chance once and keeps it */
}

void disk_unmount(void)
{
    disk_format(0);
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    tu_temp_dir_remove(all.dir);
    all.dir = NULL;
}

const char *disk_path(size_t which)
{
    return all.disks[which].path;
}
