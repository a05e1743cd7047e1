/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a database against its own entries, and making anew what does not follow from them.
 *
 * First the entries themselves, a few at a time, without holding up anybody. Then, in one storage transaction, everything
 * computed from them is computed once more into a shadow (storage.h), by the code that did it the first time, and compared
 * row by row. The transaction is rolled back, or the shadow takes the place of the old rows.
 */
#include <eidetica/maintenance.h>

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "database/database_int.h"

/* Entries read under one hold of the lock, fewer when they are large, and entries folded together. */
#define SLICE 64
#define FOLD_BATCH 512

typedef struct check {
    eid_core *core;
    eid_storage *storage;
    eid_id root;
    int64_t d;
    int64_t newest;          /* entry when the check began: what arrives later was judged just now */
    unsigned flags;
    bool found_root;
    uint64_t wrong_ids;      /* entries the index does not find */
    bool reindexed;
    eid_check_report report; /* of this database only */
    eid_buf text;
} check;

/* ---- Noting problems ---- */

/* What does not fit any more is counted all the same. */
static void note(check *c, uint64_t *counter, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(check *c, uint64_t *counter, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (*counter)++;
    c->report.problems++;
    size_t used = strlen(c->report.text), wanted = len < 0 ? 0 : strlen(line);
    if (used + wanted + 2 > sizeof c->report.text)
        return;
    memcpy(c->report.text + used, line, wanted);
    memcpy(c->report.text + used + wanted, "\n", 2);
}

/* ---- The entries themselves ---- */

static void rows_free(eid_entry_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_free(rows[i].bytes);
}

/* Why the bytes are not the entry they should be; NULL when they are. */
static const char *damage_of(const check *c, const eid_entry_row *r, const eid_entry *entry)
{
    if (entry->cbor_len != r->len || memcmp(entry->cbor, r->bytes, r->len) != 0)
        return "its bytes are not in the canonical form";
    if (eid_id_prefix(&entry->id) != r->h)
        return "its bytes are not those of its ID";
    if (!eid_id_equal(eid_entry_database_id(entry), &c->root))
        return "it belongs to another database";
    if (eid_entry_validate(entry) != EID_OK)
        return eid_last_error();
    return NULL;
}

/* Parses the row. *out NULL when it is damaged, which is noted if `noting`. */
static eid_status read_entry(check *c, const eid_entry_row *r, bool noting, eid_entry **out)
{
    eid_entry *entry = NULL;
    *out = NULL;
    eid_status status = eid_entry_read_cbor(r->bytes, r->len, &entry);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    const char *why = status != EID_OK ? eid_last_error() : damage_of(c, r, entry);
    if (why == NULL) {
        *out = entry;
        return EID_OK;
    }
    if (noting)
        note(c, &c->report.damaged_entries, "Entry number %lld is damaged: %s", (long long)r->n, why);
    eid_entry_unref(entry);
    return EID_OK;
}

static eid_status check_signature(check *c, const eid_entry *entry)
{
    eid_pubkey key;
    if (!eid_entry_is_signed(entry) || !eid_entry_signer(entry, &key))
        return EID_OK;
    c->report.signatures++;
    eid_status status = eid_entry_verify_signature(entry, &key);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(&entry->id, text);
        note(c, &c->report.bad_signatures, "Entry %s: its signature does not hold", text);
    }
    return EID_OK;
}

static eid_status check_row(check *c, const eid_entry_row *r, bool found)
{
    eid_entry *entry;
    c->report.entries++;
    EID_TRY(read_entry(c, r, true, &entry));
    if (entry == NULL)
        return EID_OK;
    if (!found) {
        c->wrong_ids++;
        note(c, &c->report.wrong_participation, "Entry number %lld is not found by its ID", (long long)r->n);
    }
    c->found_root = c->found_root || eid_id_equal(&entry->id, &c->root);
    eid_status status = (c->flags & EID_CHECK_SIGNATURES) != 0 ? check_signature(c, entry) : EID_OK;
    eid_entry_unref(entry);
    return status;
}

/* Whether the index finds the entry by its ID. */
static eid_status look_up(check *c, const eid_entry_row *r, bool *found)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(c->storage), "SELECT 1 FROM entry_id WHERE h = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, r->h);
    eid_sql_bind_i64(stmt, 2, r->n);
    EID_TRY(eid_sql_step(stmt, found));
    eid_sql_reset(stmt);
    return EID_OK;
}

static eid_status check_entries(check *c)
{
    eid_entry_row rows[SLICE];
    bool found[SLICE];
    size_t count;
    int64_t last = 0;
    do {
        eid_storage_lock(c->storage);
        eid_status status = eid_storage_rows(c->storage, c->d, last, c->newest, SLICE, rows, &count);
        for (size_t i = 0; i < count && status == EID_OK; i++)
            status = look_up(c, &rows[i], &found[i]);
        eid_storage_unlock(c->storage);
        for (size_t i = 0; i < count && status == EID_OK; i++) {
            last = rows[i].n;
            status = check_row(c, &rows[i], found[i]);
        }
        rows_free(rows, count);
        EID_TRY(status);
    } while (count > 0);
    if (!c->found_root)
        note(c, &c->report.damaged_entries, "The root entry of the database is not held");
    return EID_OK;
}

/* ---- Computing once more ---- */

typedef struct recomputation {
    check *c;
    eid_tree *shadow;
    eid_state_batch *batch;
    size_t in_batch;
    int64_t *parents;
    size_t capacity;
} recomputation;

static eid_status find_parents(recomputation *r, const eid_entry *entry, int64_t n, size_t *count)
{
    check *c = r->c;
    if (entry->parent_count > r->capacity) {
        int64_t *grown = eid_realloc_array(r->parents, entry->parent_count, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        r->parents = grown;
        r->capacity = entry->parent_count;
    }
    *count = 0;
    for (size_t i = 0; i < entry->parent_count; i++) {
        int64_t parent = 0, d = 0;
        EID_TRY(eid_storage_find(c->storage, &entry->parents[i], &parent, &d));
        if (parent != 0 && d == c->d && parent < n) {
            r->parents[(*count)++] = parent;
            continue;
        }
        char child_text[EID_ID_TEXT_SIZE], parent_text[EID_ID_TEXT_SIZE];
        eid_id_format(&entry->id, child_text);
        eid_id_format(&entry->parents[i], parent_text);
        note(c, &c->report.missing_parents, "Entry %s: its parent %s is not held in front of it", child_text, parent_text);
    }
    return EID_OK;
}

static eid_status recompute_row(recomputation *r, const eid_entry_row *row_of_entry)
{
    eid_entry *entry;
    size_t parent_count = 0;
    EID_TRY(read_entry(r->c, row_of_entry, false, &entry));
    if (entry == NULL)
        return eid_fail(EID_ERR_CONFLICT, "Entry number %lld was damaged during the check", (long long)row_of_entry->n);
    eid_status status = find_parents(r, entry, row_of_entry->n, &parent_count);
    if (status == EID_OK)
        status = eid_storage_shadow_join(r->c->storage, r->shadow, entry, row_of_entry->n, r->parents, parent_count);
    if (status == EID_OK)
        status = eid_standing_take(r->c->storage, r->batch, r->shadow, entry, row_of_entry->n);
    if (status == EID_OK && ++r->in_batch == FOLD_BATCH) {
        r->in_batch = 0;
        status = eid_state_batch_finish(r->batch);
    }
    eid_entry_unref(entry);
    return status;
}

static eid_status recompute(recomputation *r)
{
    eid_entry_row rows[SLICE];
    size_t count;
    int64_t last = 0;
    do {
        eid_status status = eid_storage_rows(r->c->storage, r->c->d, last, INT64_MAX, SLICE, rows, &count);
        for (size_t i = 0; i < count && status == EID_OK; i++) {
            last = rows[i].n;
            status = recompute_row(r, &rows[i]);
        }
        rows_free(rows, count);
        EID_TRY(status);
    } while (count > 0);
    EID_TRY(eid_standing_settle(r->c->storage, r->batch, r->shadow));
    EID_TRY(eid_state_batch_finish(r->batch));
    return eid_storage_shadow_settle(r->c->storage);
}

/* ---- Comparing ---- */

typedef struct store_pair {
    int64_t stored;
    int64_t computed;
    char name[64]; /* for messages; cut */
} store_pair;

static void copy_name(char out[64], eid_slice name)
{
    size_t len = name.len < 63 ? name.len : 63;
    if (len > 0)
        memcpy(out, name.data, len);
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < ' ')
            out[i] = '?';
    if (name.len == 0)
        strcpy(out, "(main)");
}

static eid_status compare_store_rows(check *c, eid_buf *pairs)
{
    static const char *const what[] = {"tips", "number of entries", "newest entry", "barrier", "late parents",
                                       "number of unreadable payloads", "largest height"};
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(c->storage),
                            "SELECT a.s, b.s, a.name, a.tips = b.tips, a.count = b.count, a.newest = b.newest,"
                            " a.barrier = b.barrier, a.dangling = b.dangling, a.unreadable = b.unreadable, a.top = b.top"
                            " FROM store a JOIN store b ON b.d = ? AND b.name = a.name WHERE a.d = ? ORDER BY a.name",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, -c->d);
    eid_sql_bind_i64(stmt, 2, c->d);
    for (;;) {
        bool more;
        EID_TRY(eid_sql_step(stmt, &more));
        if (!more)
            return eid_buf_status(pairs);
        store_pair pair = {.stored = eid_sql_i64(stmt, 0), .computed = eid_sql_i64(stmt, 1)};
        copy_name(pair.name, eid_sql_bytes(stmt, 2));
        for (int i = 0; i < 7; i++)
            if (eid_sql_i64(stmt, 3 + i) == 0)
                note(c, &c->report.wrong_stores, "Store %s: its %s does not follow from the entries", pair.name, what[i]);
        eid_buf_append(pairs, &pair, sizeof pair);
    }
}

/* Stores of one side that the other does not have. */
static eid_status find_lone_stores(check *c, int64_t d, int64_t other, const char *complaint)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(c->storage),
                            "SELECT a.name FROM store a LEFT JOIN store b ON b.d = ? AND b.name = a.name"
                            " WHERE a.d = ? AND b.s IS NULL ORDER BY a.name",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, other);
    eid_sql_bind_i64(stmt, 2, d);
    for (;;) {
        bool more;
        char name[64];
        EID_TRY(eid_sql_step(stmt, &more));
        if (!more)
            return EID_OK;
        copy_name(name, eid_sql_bytes(stmt, 0));
        note(c, &c->report.wrong_stores, "Store %s: %s", name, complaint);
    }
}

/* One table of a store: rows that are wrong or too many (`stored` against `computed`), and rows that are missing. The first
 * column tells the key or number, the second whether there is a counterpart. */
typedef struct comparison {
    const char *wrong;
    const char *missing;
    const char *kind;
    size_t counter; /* offset into the report */
} comparison;

static const comparison comparisons[] = {
    {"SELECT a.n, b.n IS NOT NULL FROM part a LEFT JOIN part b ON b.s = ?1 AND b.n = a.n WHERE a.s = ?2 AND"
     " (b.n IS NULL OR b.height <> a.height OR b.parents <> a.parents OR b.flags <> a.flags)",
     "SELECT a.n FROM part a LEFT JOIN part b ON b.s = ?1 AND b.n = a.n WHERE a.s = ?2 AND b.n IS NULL",
     "participation of entry number", offsetof(eid_check_report, wrong_participation)},
    {"SELECT a.n, 0 FROM part_order a LEFT JOIN part_order b ON b.s = ?1 AND b.late = a.late AND b.height = a.height AND b.n = a.n"
     " WHERE a.s = ?2 AND b.n IS NULL",
     "SELECT a.n FROM part_order a LEFT JOIN part_order b ON b.s = ?1 AND b.late = a.late AND b.height = a.height AND b.n = a.n"
     " WHERE a.s = ?2 AND b.n IS NULL",
     "place of entry number", offsetof(eid_check_report, wrong_participation)},
    {"SELECT a.b, b.s IS NOT NULL FROM bucket a LEFT JOIN bucket b ON b.s = ?1 AND b.b = a.b WHERE a.s = ?2 AND"
     " (b.s IS NULL OR b.count <> a.count OR b.sum <> a.sum)",
     "SELECT a.b FROM bucket a LEFT JOIN bucket b ON b.s = ?1 AND b.b = a.b WHERE a.s = ?2 AND b.s IS NULL",
     "sum of bucket", offsetof(eid_check_report, wrong_participation)},
    {"SELECT a.n, 0 FROM dangling a LEFT JOIN dangling b ON b.s = ?1 AND b.id = a.id AND b.n = a.n WHERE a.s = ?2 AND"
     " b.n IS NULL",
     "SELECT a.n FROM dangling a LEFT JOIN dangling b ON b.s = ?1 AND b.id = a.id AND b.n = a.n WHERE a.s = ?2 AND b.n IS NULL",
     "late parent of entry number", offsetof(eid_check_report, wrong_participation)},
    {"SELECT a.key, b.n IS NOT NULL FROM cell a LEFT JOIN cell b ON b.s = ?1 AND b.key = a.key WHERE a.s = ?2 AND"
     " (b.n IS NULL OR b.value <> a.value OR b.height <> a.height OR b.n <> a.n OR b.newest <> a.newest)",
     "SELECT a.key FROM cell a LEFT JOIN cell b ON b.s = ?1 AND b.key = a.key WHERE a.s = ?2 AND b.n IS NULL", "value of key",
     offsetof(eid_check_report, wrong_cells)},
    {"SELECT a.name, b.s IS NOT NULL FROM twig a LEFT JOIN twig b ON b.s = ?1 AND b.parent = a.parent AND b.name = a.name"
     " WHERE a.s = ?2 AND (b.s IS NULL OR b.record <> a.record)",
     "SELECT a.name FROM twig a LEFT JOIN twig b ON b.s = ?1 AND b.parent = a.parent AND b.name = a.name"
     " WHERE a.s = ?2 AND b.s IS NULL",
     "part of a value", offsetof(eid_check_report, wrong_cells)},
    {"SELECT a.key, 0 FROM touch a LEFT JOIN touch b ON b.s = ?1 AND b.key = a.key AND b.height = a.height AND b.n = a.n"
     " WHERE a.s = ?2 AND b.n IS NULL",
     "SELECT a.key FROM touch a LEFT JOIN touch b ON b.s = ?1 AND b.key = a.key AND b.height = a.height AND b.n = a.n"
     " WHERE a.s = ?2 AND b.n IS NULL",
     "write of key", offsetof(eid_check_report, wrong_touches)},
    /* Only of indexes that are complete and declared; the shadow's are. */
    {"SELECT a.key, 0 FROM index_row a JOIN index_state i ON i.s = a.s AND i.i = a.i AND i.ready = 1"
     " JOIN index_state j ON j.s = ?1 AND j.i = a.i LEFT JOIN index_row b"
     " ON b.s = ?1 AND b.i = a.i AND b.value = a.value AND b.key = a.key WHERE a.s = ?2 AND b.s IS NULL",
     "SELECT a.key FROM index_row a JOIN index_state i ON i.s = ?1 AND i.i = a.i AND i.ready = 1 LEFT JOIN index_row b"
     " ON b.s = ?1 AND b.i = a.i AND b.value = a.value AND b.key = a.key WHERE a.s = ?2 AND b.s IS NULL",
     "index row of key", offsetof(eid_check_report, wrong_indexes)},
};

static eid_status run_comparison(check *c, const store_pair *pair, const comparison *rule, bool missing)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(c->storage), missing ? rule->missing : rule->wrong, &stmt));
    eid_sql_bind_i64(stmt, 1, missing ? pair->stored : pair->computed);
    eid_sql_bind_i64(stmt, 2, missing ? pair->computed : pair->stored);
    uint64_t *counter = (uint64_t *)(void *)((char *)&c->report + rule->counter);
    for (;;) {
        bool more;
        char name[64];
        EID_TRY(eid_sql_step(stmt, &more));
        if (!more)
            return EID_OK;
        copy_name(name, eid_sql_bytes(stmt, 0));
        const char *complaint = missing ? "missing" : eid_sql_i64(stmt, 1) != 0 ? "wrong" : "too many";
        note(c, counter, "Store %s: %s %s: %s", pair->name, rule->kind, name, complaint);
    }
}

static eid_status compare_all(check *c)
{
    eid_buf pairs;
    eid_buf_init(&pairs, SIZE_MAX / 2);
    eid_status status = compare_store_rows(c, &pairs);
    if (status == EID_OK)
        status = find_lone_stores(c, c->d, -c->d, "no entry takes part in it");
    if (status == EID_OK)
        status = find_lone_stores(c, -c->d, c->d, "missing");
    for (size_t i = 0; i < pairs.len / sizeof(store_pair) && status == EID_OK; i++) {
        store_pair pair;
        memcpy(&pair, pairs.data + i * sizeof pair, sizeof pair);
        for (size_t k = 0; k < sizeof comparisons / sizeof *comparisons && status == EID_OK; k++) {
            status = run_comparison(c, &pair, &comparisons[k], false);
            if (status == EID_OK)
                status = run_comparison(c, &pair, &comparisons[k], true);
        }
    }
    eid_buf_free(&pairs);
    return status;
}

/* Inside the open transaction. */
static eid_status compare_in_transaction(check *c, eid_tree **shadow)
{
    recomputation r = {.c = c};
    EID_TRY(eid_storage_shadow_new(c->storage, &c->root, c->d, shadow));
    r.shadow = *shadow;
    EID_TRY(eid_state_batch_new(c->storage, &r.batch));
    eid_status status = recompute(&r);
    eid_state_batch_free(r.batch);
    eid_free(r.parents);
    EID_TRY(status);
    return compare_all(c);
}

static bool is_repairable(const check *c)
{
    return (c->flags & EID_CHECK_REPAIR) != 0 && c->report.problems > c->wrong_ids && c->report.missing_parents == 0 &&
           c->report.bad_signatures == 0;
}

/* Under the lock. */
static eid_status check_computed(check *c)
{
    eid_tree *shadow = NULL;
    /* The transaction is mostly rolled back, which undoes what the index has not committed. */
    EID_TRY(eid_storage_settle(c->storage));
    EID_TRY(eid_storage_begin(c->storage));
    eid_status status = compare_in_transaction(c, &shadow);
    bool repair = status == EID_OK && is_repairable(c);
    if (repair)
        status = eid_storage_shadow_adopt(c->storage, shadow);
    if (repair && status == EID_OK)
        status = eid_storage_commit(c->storage);
    else
        eid_storage_rollback(c->storage);
    eid_storage_shadow_free(c->storage, shadow);
    c->report.repaired = repair && status == EID_OK;
    return status;
}

/* ---- One database ---- */

static eid_status find_number(check *c)
{
    eid_sql_stmt *stmt;
    bool found;
    EID_TRY(eid_storage_ready(c->storage));
    EID_TRY(eid_sql_prepare(eid_storage_journal(c->storage), "SELECT d FROM tree WHERE root = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(&c->root));
    EID_TRY(eid_sql_step(stmt, &found));
    if (!found) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(&c->root, text);
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "Database not found: %s", text);
    }
    c->d = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    EID_TRY(eid_sql_prepare(eid_storage_journal(c->storage), "SELECT MAX(n) FROM entry", &stmt));
    EID_TRY(eid_sql_step(stmt, &found));
    c->newest = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return EID_OK;
}

static void add_report(eid_check_report *sum, const eid_check_report *one)
{
    sum->databases += one->databases;
    sum->entries += one->entries;
    sum->signatures += one->signatures;
    sum->problems += one->problems;
    sum->damaged_entries += one->damaged_entries;
    sum->bad_signatures += one->bad_signatures;
    sum->missing_parents += one->missing_parents;
    sum->wrong_participation += one->wrong_participation;
    sum->wrong_stores += one->wrong_stores;
    sum->wrong_cells += one->wrong_cells;
    sum->wrong_touches += one->wrong_touches;
    sum->wrong_indexes += one->wrong_indexes;
    sum->wrong_file += one->wrong_file;
    if (one->problems > 0) /* everything is repaired when each part is */
        sum->repaired = one->repaired && (sum->repaired || sum->problems == one->problems);
    size_t used = strlen(sum->text), wanted = strlen(one->text);
    if (used + wanted < sizeof sum->text)
        memcpy(sum->text + used, one->text, wanted + 1);
}

static eid_status check_database(eid_core *core, const eid_id *id, unsigned flags, eid_check_report *out)
{
    check c = {.core = core, .storage = core->storage, .root = *id, .flags = flags, .report = {.databases = 1}};
    eid_storage_lock(c.storage);
    eid_status status = find_number(&c);
    eid_storage_unlock(c.storage);
    if (status == EID_OK)
        status = check_entries(&c);
    /* What damaged entries lead to is not worth comparing, nor is what can not be computed without finding entries. */
    if (status == EID_OK && c.report.damaged_entries == 0) {
        eid_storage_lock(c.storage);
        if (c.wrong_ids > 0 && (flags & EID_CHECK_REPAIR) != 0) {
            status = eid_storage_reindex(c.storage);
            c.reindexed = status == EID_OK;
        }
        if (status == EID_OK && (c.wrong_ids == 0 || c.reindexed))
            status = check_computed(&c);
        eid_storage_unlock(c.storage);
    }
    EID_TRY(status);
    if (c.reindexed && c.report.problems == c.wrong_ids)
        c.report.repaired = true;
    *out = c.report;
    return EID_OK;
}

/* ---- The file ---- */

static eid_status check_structure(check *c, eid_sql *sql, const char *name, uint64_t *problems)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql, "PRAGMA integrity_check(20)", &stmt));
    for (;;) {
        bool more;
        char line[256];
        EID_TRY(eid_sql_step(stmt, &more));
        if (!more)
            return EID_OK;
        eid_slice text = eid_sql_bytes(stmt, 0);
        snprintf(line, sizeof line, "%.*s", (int)(text.len < 255 ? text.len : 255), (const char *)text.data);
        if (strcmp(line, "ok") != 0) {
            note(c, &c->report.wrong_file, "The %s: %s", name, line);
            (*problems)++;
        }
    }
}

static eid_status is_tree(check *c, int64_t d, bool *is)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_journal(c->storage), "SELECT 1 FROM tree WHERE d = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, d);
    EID_TRY(eid_sql_step(stmt, is));
    eid_sql_reset(stmt);
    return EID_OK;
}

static eid_status count_lone_stores(check *c, int64_t *out)
{
    eid_sql_stmt *stmt;
    *out = 0;
    EID_TRY(eid_sql_prepare(eid_storage_sql(c->storage), "SELECT d, COUNT(*) FROM store GROUP BY d", &stmt));
    for (;;) {
        bool more, is;
        EID_TRY(eid_sql_step(stmt, &more));
        if (!more)
            return EID_OK;
        eid_status status = is_tree(c, eid_sql_i64(stmt, 0), &is);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
        if (!is)
            *out += eid_sql_i64(stmt, 1);
    }
}

static void note_orphans(check *c, int64_t count, const char *what, uint64_t *problems)
{
    if (count == 0)
        return;
    note(c, &c->report.wrong_file, "The file holds %lld %s", (long long)count, what);
    (*problems)++;
}

/* Rows of the index that belong to no database, store or entry. */
static eid_status check_index_orphans(check *c, uint64_t *problems)
{
    static const struct {
        const char *count;
        const char *what;
    } orphans[] = {
        {"SELECT COUNT(*) FROM part WHERE s NOT IN (SELECT s FROM store)", "participations in no store"},
        {"SELECT COUNT(*) FROM part_order WHERE s NOT IN (SELECT s FROM store)", "places in no store"},
        {"SELECT COUNT(*) FROM bucket WHERE s NOT IN (SELECT s FROM store)", "sums of no store"},
        {"SELECT COUNT(*) FROM cell WHERE s NOT IN (SELECT s FROM store)", "values of no store"},
        {"SELECT COUNT(*) FROM twig WHERE s NOT IN (SELECT s FROM store)", "parts of values of no store"},
        {"SELECT COUNT(*) FROM touch WHERE s NOT IN (SELECT s FROM store)", "writes of no store"},
        {"SELECT COUNT(*) FROM dangling WHERE s NOT IN (SELECT s FROM store)", "late parents of no store"},
    };
    int64_t count, entries;
    EID_TRY(count_lone_stores(c, &count));
    note_orphans(c, count, "stores of no database", problems);
    for (size_t i = 0; i < sizeof orphans / sizeof *orphans; i++) {
        EID_TRY(eid_sql_number(eid_storage_sql(c->storage), orphans[i].count, &count));
        note_orphans(c, count, orphans[i].what, problems);
    }
    EID_TRY(eid_sql_number(eid_storage_sql(c->storage), "SELECT COUNT(*) FROM entry_id", &count));
    EID_TRY(eid_sql_number(eid_storage_journal(c->storage), "SELECT COUNT(*) FROM entry", &entries));
    if (count > entries)
        note_orphans(c, count - entries, "IDs of no entry", problems);
    return EID_OK;
}

/* Rows of the journal that belong to no database. Waiting ones can be done without, entries can not. */
static eid_status check_journal_orphans(check *c, uint64_t *removed)
{
    int64_t waiting, entries;
    uint64_t problems = 0;
    eid_sql *sql = eid_storage_journal(c->storage);
    EID_TRY(eid_sql_number(sql, "SELECT COUNT(*) FROM quarantine WHERE d NOT IN (SELECT d FROM tree)", &waiting));
    EID_TRY(eid_sql_number(sql, "SELECT COUNT(*) FROM entry WHERE d NOT IN (SELECT d FROM tree)", &entries));
    note_orphans(c, waiting, "waiting entries of no database", &problems);
    note_orphans(c, entries, "entries of no database", &problems);
    if (waiting > 0 && (c->flags & EID_CHECK_REPAIR) != 0) {
        EID_TRY(eid_sql_exec(sql, "DELETE FROM quarantine WHERE d NOT IN (SELECT d FROM tree)"));
        (*removed)++;
    }
    return EID_OK;
}

/* Under the lock. */
static eid_status check_files(check *c)
{
    uint64_t journal = 0, index = 0, removed = 0;
    EID_TRY(eid_storage_ready(c->storage));
    if ((c->flags & EID_CHECK_FILE) != 0) {
        EID_TRY(check_structure(c, eid_storage_journal(c->storage), "file", &journal));
        EID_TRY(check_structure(c, eid_storage_sql(c->storage), "index", &index));
    }
    EID_TRY(check_index_orphans(c, &index));
    EID_TRY(check_journal_orphans(c, &removed));
    bool again = index > 0 && (c->flags & EID_CHECK_REPAIR) != 0;
    if (again)
        EID_TRY(eid_storage_reindex(c->storage));
    c->report.repaired = (again || removed > 0) && removed + (again ? index : 0) == c->report.problems;
    return EID_OK;
}

static eid_status check_whole_file(eid_core *core, unsigned flags, eid_check_report *out)
{
    check c = {.core = core, .storage = core->storage, .flags = flags};
    eid_storage_lock(c.storage);
    eid_status status = check_files(&c);
    eid_storage_unlock(c.storage);
    EID_TRY(status);
    *out = c.report;
    return EID_OK;
}

static eid_status check_every_database(eid_core *core, unsigned flags, eid_check_report *sum)
{
    eid_id *ids;
    size_t count;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_trees(core->storage, &ids, &count);
    eid_storage_unlock(core->storage);
    EID_TRY(status);
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        eid_check_report one;
        status = check_database(core, &ids[i], flags, &one);
        if (status == EID_OK)
            add_report(sum, &one);
    }
    eid_free(ids);
    return status;
}

static eid_status check_all(eid_core *core, const eid_id *id, unsigned flags, eid_check_report *out)
{
    eid_check_report sum = {0}, file;
    if (id == NULL)
        EID_TRY(check_every_database(core, flags, &sum));
    else
        EID_TRY(check_database(core, id, flags, &sum));
    if (id == NULL || (flags & EID_CHECK_FILE) != 0) {
        EID_TRY(check_whole_file(core, flags, &file));
        add_report(&sum, &file);
    }
    *out = sum;
    return EID_OK;
}

/* An index that can not even be read is made anew before anything else can be told. */
static bool index_is_damaged(eid_core *core)
{
    eid_storage_lock(core->storage);
    bool damaged = eid_storage_index_is_damaged(core->storage);
    eid_storage_unlock(core->storage);
    return damaged;
}

eid_status eid_core_check(eid_core *core, const eid_id *id, unsigned flags, eid_check_report *report)
{
    const unsigned known = EID_CHECK_SIGNATURES | EID_CHECK_REPAIR | EID_CHECK_FILE;
    if ((flags & ~known) != 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "Unknown flags for a check: %u", flags & ~known);
    eid_check_report sum;
    check again = {.report = {.repaired = true}};
    eid_status status = check_all(core, id, flags, &sum);
    if (status == EID_ERR_CORRUPT && index_is_damaged(core)) {
        note(&again, &again.report.wrong_file, "The index was damaged; it was made anew");
        status = check_all(core, id, flags, &sum);
        if (status == EID_OK)
            add_report(&sum, &again.report);
    }
    EID_TRY(status);
    *report = sum;
    return EID_OK;
}

eid_status eid_database_check(eid_database *database, unsigned flags, eid_check_report *report)
{
    EID_NEED(database && report);
    return eid_core_check(database->core, &database->root, flags, report);
}
