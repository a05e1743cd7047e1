/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: a place in the order of arrival and a descriptor that is readable while something lies behind it.
 *
 * Entries are read from the data file when they are asked for, so a slow reader costs nothing and can not miss any. What
 * the file does not know, where an entry came from, is noted when it is committed: runs of arrival numbers with one source,
 * a bounded number of them. Runs that were not read when there are too many are forgotten, the oldest first.
 *
 * A feed is changed by its reader and by writers, both under the storage lock; only the entries read ahead are the reader's
 * alone.
 */
#include <eidetica/changes.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "database/history_int.h"

/* Cursors are "c1:NUMBER:ID" of the entry handed out last, or "" before the first. */
#define CURSOR_PREFIX "c1:"
/* Entries read under one hold of the lock, fewer when they are large. */
#define SLICE 32
#define SLICE_BYTES 65536

typedef struct source_run {
    int64_t up_to;           /* from behind the run before it */
    eid_write_source source;
} source_run;

struct eid_changes {
    eid_database *database;
    char *store;             /* NULL: the main DAG */
    int fd;
    bool readable;
    int64_t place;           /* of the entry handed out last; 0 before the first */
    eid_id place_id;
    int64_t known_from;      /* sources of entries up to here are not known */
    source_run runs[EID_LIMIT_CHANGES_RUNS]; /* ascending */
    size_t run_count;
    eid_entry *ahead[SLICE]; /* read, but not handed out */
    int64_t ahead_n[SLICE];
    size_t ahead_count;
    size_t ahead_at;
    eid_changes *next;
};

/* ---- The descriptor ---- */

static void set_readable(eid_changes *feed, bool readable)
{
    if (feed->readable == readable)
        return;
    /* The counter is 0 or 1, so neither call can block or fail for want of room. */
    uint64_t value = 1;
    ssize_t done;
    do {
        done = readable ? write(feed->fd, &value, sizeof value) : read(feed->fd, &value, sizeof value);
    } while (done < 0 && errno == EINTR);
    feed->readable = readable;
}

/* ---- Sources ---- */

static void forget_read_runs(eid_changes *feed, int64_t read_up_to)
{
    size_t gone = 0;
    while (gone < feed->run_count && feed->runs[gone].up_to <= read_up_to)
        gone++;
    if (gone > 0) {
        feed->known_from = feed->runs[gone - 1].up_to;
        feed->run_count -= gone;
        memmove(feed->runs, feed->runs + gone, feed->run_count * sizeof *feed->runs);
    }
}

static void note_source(eid_changes *feed, int64_t up_to, eid_write_source source)
{
    int64_t noted = feed->run_count > 0 ? feed->runs[feed->run_count - 1].up_to : feed->known_from;
    if (up_to <= noted)
        return; /* nothing was admitted */
    if (feed->run_count > 0 && feed->runs[feed->run_count - 1].source == source) {
        feed->runs[feed->run_count - 1].up_to = up_to;
        return;
    }
    if (feed->run_count == EID_LIMIT_CHANGES_RUNS)
        forget_read_runs(feed, feed->runs[0].up_to);
    feed->runs[feed->run_count++] = (source_run){up_to, source};
}

static eid_change_kind kind_of(const eid_changes *feed, int64_t n)
{
    for (size_t i = 0; n > feed->known_from && i < feed->run_count; i++)
        if (n <= feed->runs[i].up_to)
            return feed->runs[i].source == EID_WRITE_LOCAL ? EID_CHANGE_LOCAL : EID_CHANGE_REMOTE;
    return EID_CHANGE_EARLIER;
}

void eid_core_note(eid_core *core, const eid_id *database, eid_write_source source)
{
    if (core->feeds == NULL)
        return;
    eid_tree *tree;
    if (eid_storage_tree(core->storage, database, &tree) != EID_OK)
        return; /* it was just written to, so it is there; without it there is nothing to wake for */
    for (eid_changes *feed = core->feeds; feed != NULL; feed = feed->next) {
        if (!eid_id_equal(&feed->database->root, database))
            continue;
        const eid_tree_store *store = tree->main;
        if (feed->store != NULL)
            store = eid_map_get(tree->stores, eid_slice_text(feed->store));
        note_source(feed, tree->main->newest, source);
        if (store != NULL && store->newest > feed->place)
            set_readable(feed, true);
    }
}

/* ---- Opening ---- */

/* Finds the place to start from; the lock is held. */
static eid_status find_place(eid_changes *feed, const char *cursor)
{
    eid_storage *storage = feed->database->core->storage;
    eid_tree *tree;
    EID_TRY(eid_database_tree(feed->database, &tree));
    feed->known_from = tree->main->newest;
    if (cursor == NULL) {
        feed->place = tree->main->newest;
        return eid_storage_id(storage, feed->place, &feed->place_id);
    }
    if (cursor[0] == '\0')
        return EID_OK;
    uint64_t number;
    int64_t n, d;
    EID_TRY(eid_cursor_parse(cursor, CURSOR_PREFIX, &number, &feed->place_id));
    EID_TRY(eid_storage_find(storage, &feed->place_id, &n, &d));
    if (n == 0 || d != tree->d || (uint64_t)n != number)
        return eid_fail(EID_ERR_NOT_FOUND, "The place in the feed is of another data file or database; start again with \"\"");
    feed->place = n;
    return EID_OK;
}

static eid_status start(eid_changes *feed, const char *cursor)
{
    eid_core *core = feed->database->core;
    eid_storage_lock(core->storage);
    eid_status status = find_place(feed, cursor);
    if (status == EID_OK) {
        feed->next = core->feeds;
        core->feeds = feed;
        /* Whether something waits is found out by the first reading. */
        if (cursor != NULL)
            set_readable(feed, true);
    }
    eid_storage_unlock(core->storage);
    return status;
}

static void feed_free(eid_changes *feed)
{
    while (feed->ahead_at < feed->ahead_count)
        eid_entry_unref(feed->ahead[feed->ahead_at++]);
    if (feed->fd >= 0)
        close(feed->fd);
    eid_free(feed->store);
    eid_free(feed);
}

eid_status eid_changes_open(eid_database *database, const char *store, const char *cursor, eid_changes **out)
{
    EID_NEED(database && out);
    eid_changes *feed = eid_alloc_zero(1, sizeof *feed);
    if (feed == NULL)
        return eid_fail_memory();
    feed->database = database;
    feed->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    eid_status status = EID_OK;
    if (feed->fd < 0)
        status = eid_fail(EID_ERR_IO, "No descriptor for the change feed: %s", strerror(errno));
    if (status == EID_OK && store != NULL) {
        feed->store = eid_strdup(store);
        if (feed->store == NULL)
            status = eid_fail_memory();
    }
    if (status == EID_OK)
        status = start(feed, cursor);
    if (status != EID_OK) {
        feed_free(feed);
        return status;
    }
    *out = feed;
    return EID_OK;
}

void eid_changes_close(eid_changes *feed)
{
    if (feed == NULL)
        return;
    eid_core *core = feed->database->core;
    eid_storage_lock(core->storage);
    eid_changes **link = &core->feeds;
    while (*link != feed)
        link = &(*link)->next;
    *link = feed->next;
    eid_storage_unlock(core->storage);
    feed_free(feed);
}

int eid_changes_fd(const eid_changes *feed)
{
    return feed->fd;
}

/* ---- Reading ---- */

/* Entries that do not count are stepped over. */
static eid_status next_numbers(eid_changes *feed, const eid_tree_store *main, const eid_tree_store *store, size_t *count)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(feed->database->core->storage),
                            "SELECT part.n FROM part JOIN part AS main ON main.s = ? AND main.n = part.n AND main.flags & 1 <> 0"
                            " WHERE part.s = ? AND part.n > ? ORDER BY part.n LIMIT ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, main->s);
    eid_sql_bind_i64(stmt, 2, store->s);
    eid_sql_bind_i64(stmt, 3, feed->place);
    eid_sql_bind_i64(stmt, 4, SLICE);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        feed->ahead_n[(*count)++] = eid_sql_i64(stmt, 0);
    }
}

/* Reads the next slice; the lock is held. */
static eid_status read_ahead(eid_changes *feed)
{
    eid_storage *storage = feed->database->core->storage;
    eid_tree *tree;
    eid_tree_store *store;
    size_t count = 0, loaded = 0;
    feed->ahead_count = 0;
    feed->ahead_at = 0;
    EID_TRY(eid_database_tree(feed->database, &tree));
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(feed->store == NULL ? "" : feed->store), &store));
    if (store != NULL)
        EID_TRY(next_numbers(feed, tree->main, store, &count));
    eid_status status = EID_OK;
    for (size_t bytes = 0; loaded < count && bytes < SLICE_BYTES && status == EID_OK;) {
        status = eid_storage_load(storage, feed->ahead_n[loaded], &feed->ahead[loaded]);
        if (status == EID_OK)
            bytes += feed->ahead[loaded++]->cbor_len;
    }
    /* What was loaded before a failure is handed out first. */
    if (status != EID_OK && loaded == 0)
        return status;
    feed->ahead_count = loaded;
    if (loaded == 0) {
        forget_read_runs(feed, tree->main->newest);
        set_readable(feed, false);
    }
    return EID_OK;
}

eid_status eid_changes_next(eid_changes *feed, eid_change *out)
{
    EID_NEED(feed && out);
    eid_storage *storage = feed->database->core->storage;
    eid_status status = EID_OK;
    eid_change change = {EID_CHANGE_NONE, NULL};
    eid_storage_lock(storage);
    if (feed->ahead_at == feed->ahead_count)
        status = read_ahead(feed);
    if (status == EID_OK && feed->ahead_at < feed->ahead_count) {
        int64_t n = feed->ahead_n[feed->ahead_at];
        change.entry = feed->ahead[feed->ahead_at++];
        change.kind = kind_of(feed, n);
        feed->place = n;
        feed->place_id = *eid_entry_id(change.entry);
        forget_read_runs(feed, n);
    }
    eid_storage_unlock(storage);
    EID_TRY(status);
    *out = change;
    return EID_OK;
}

eid_status eid_changes_cursor(const eid_changes *feed, char **out)
{
    EID_NEED(feed && out);
    if (feed->place != 0)
        return eid_cursor_format(CURSOR_PREFIX, (uint64_t)feed->place, &feed->place_id, out);
    char *copy = eid_strdup("");
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}
