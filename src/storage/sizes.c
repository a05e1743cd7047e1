/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a data file and its index are: counted by the pages of each table and index, or estimated from their rows. */
#include "storage/storage_int.h"

typedef struct part_of_file {
    const char *name;     /* of the table or index in the engine */
    size_t member;        /* where its bytes are added */
    const char *estimate; /* bytes of the content; NULL when another part's estimate has it */
} part_of_file;

typedef struct file_parts {
    const part_of_file *parts;
    size_t count;
} file_parts;

/* An estimate adds to the content a few bytes a row: the header, and the numbers, which are short. */
static const part_of_file journal_parts[] = {
    {"entry", offsetof(eid_sizes, entries), "SELECT SUM(LENGTH(bytes) + 20) FROM entry"},
    {"quarantine", offsetof(eid_sizes, quarantine), "SELECT SUM(LENGTH(bytes) + 3 * LENGTH(id) + LENGTH(missing)) FROM quarantine"},
    {"sqlite_autoindex_quarantine_1", offsetof(eid_sizes, quarantine), NULL},
    {"quarantine_missing", offsetof(eid_sizes, quarantine), NULL},
};
static const part_of_file index_parts[] = {
    {"fresh_id", offsetof(eid_sizes, entry_ids), "SELECT SUM(16) FROM entry_id"},
    {"old_id", offsetof(eid_sizes, entry_ids), NULL},
    {"part", offsetof(eid_sizes, participation), "SELECT SUM(LENGTH(parents) + 15) FROM part"},
    {"dangling", offsetof(eid_sizes, participation), "SELECT SUM(LENGTH(id) + 12) FROM dangling"},
    {"bucket", offsetof(eid_sizes, participation_order), "SELECT SUM(LENGTH(sum) + 9) FROM bucket"},
    {"part_order", offsetof(eid_sizes, participation_order), "SELECT SUM(14) FROM part_order"},
    {"cell", offsetof(eid_sizes, cells), "SELECT SUM(LENGTH(key) + LENGTH(value) + 20) FROM cell"},
    {"twig", offsetof(eid_sizes, cells), "SELECT SUM(LENGTH(parent) + LENGTH(name) + LENGTH(record) + 8) FROM twig"},
    {"kept", offsetof(eid_sizes, cells), "SELECT SUM(LENGTH(parent) + LENGTH(name) + COALESCE(LENGTH(record), 0) + 12) FROM kept"},
    {"touch", offsetof(eid_sizes, touches), "SELECT SUM(LENGTH(key) + 15) FROM touch"},
};
static const file_parts journal = {journal_parts, sizeof journal_parts / sizeof *journal_parts};
static const file_parts index_file = {index_parts, sizeof index_parts / sizeof *index_parts};

static uint64_t *member(eid_sizes *sizes, const part_of_file *part)
{
    return (uint64_t *)(void *)((char *)sizes + part->member);
}

static eid_status add_pages(eid_sql *sql, eid_sizes *out)
{
    int64_t page, count, gaps;
    EID_TRY(eid_sql_number(sql, "PRAGMA page_size", &page));
    EID_TRY(eid_sql_number(sql, "PRAGMA page_count", &count));
    EID_TRY(eid_sql_number(sql, "PRAGMA freelist_count", &gaps));
    out->total += (uint64_t)(count * page);
    out->free_bytes += (uint64_t)(gaps * page);
    return EID_OK;
}

/* `other` is what is left of the total. */
static void set_other(eid_sizes *sizes)
{
    uint64_t known = sizes->free_bytes + sizes->entries + sizes->entry_ids + sizes->participation + sizes->participation_order +
                     sizes->cells + sizes->touches + sizes->quarantine;
    sizes->other = sizes->total > known ? sizes->total - known : 0;
}

/* *can false: the engine was built without the table of pages. */
static eid_status count_pages(eid_sql *sql, const file_parts *file, eid_sizes *out, bool *can)
{
    int64_t modules;
    EID_TRY(eid_sql_number(sql, "SELECT COUNT(*) FROM pragma_module_list WHERE name = 'dbstat'", &modules));
    *can = modules > 0;
    if (!*can)
        return EID_OK;
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql, "SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE", &stmt));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_slice name = eid_sql_bytes(stmt, 0);
        for (size_t i = 0; i < file->count; i++)
            if (eid_slice_is(name, file->parts[i].name))
                *member(out, &file->parts[i]) += (uint64_t)eid_sql_i64(stmt, 1);
    }
}

/* Pages are not full: what the rows take is stretched to what the file has. */
static void stretch(eid_sizes *sizes)
{
    uint64_t used = sizes->total - (sizes->free_bytes < sizes->total ? sizes->free_bytes : sizes->total), known = 0;
    static const size_t members[] = {
        offsetof(eid_sizes, entries),       offsetof(eid_sizes, entry_ids),
        offsetof(eid_sizes, participation), offsetof(eid_sizes, participation_order),
        offsetof(eid_sizes, cells),         offsetof(eid_sizes, touches),
        offsetof(eid_sizes, quarantine)};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        known += *(uint64_t *)(void *)((char *)sizes + members[i]);
    if (known == 0)
        return;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        uint64_t *size = (uint64_t *)(void *)((char *)sizes + members[i]);
        *size = (uint64_t)((double)*size / (double)known * (double)used);
    }
}

static eid_status estimate(eid_sql *sql, const file_parts *file, eid_sizes *out)
{
    for (size_t i = 0; i < file->count; i++) {
        int64_t bytes = 0;
        if (file->parts[i].estimate != NULL)
            EID_TRY(eid_sql_number(sql, file->parts[i].estimate, &bytes));
        *member(out, &file->parts[i]) += (uint64_t)bytes;
    }
    return EID_OK;
}

eid_status eid_storage_sizes(eid_storage *storage, bool counted, eid_sizes *out)
{
    eid_sizes sizes = {0};
    EID_TRY(eid_storage_ready(storage));
    EID_TRY(add_pages(storage->journal, &sizes));
    EID_TRY(add_pages(storage->index, &sizes));
    if (counted)
        EID_TRY(count_pages(storage->journal, &journal, &sizes, &sizes.exact));
    if (sizes.exact)
        EID_TRY(count_pages(storage->index, &index_file, &sizes, &sizes.exact));
    if (!sizes.exact) {
        EID_TRY(estimate(storage->journal, &journal, &sizes));
        EID_TRY(estimate(storage->index, &index_file, &sizes));
        stretch(&sizes);
    }
    set_other(&sizes);
    *out = sizes;
    return EID_OK;
}

eid_status eid_storage_file_size(eid_storage *storage, uint64_t *out)
{
    eid_sizes sizes = {0};
    EID_TRY(eid_storage_ready(storage));
    EID_TRY(add_pages(storage->journal, &sizes));
    EID_TRY(add_pages(storage->index, &sizes));
    *out = sizes.total;
    return EID_OK;
}
