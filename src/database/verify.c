/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying a database anew: every member judged from its bytes (eidetica/verify.h).
 *
 * Members are looked at in slices. Their bytes and signatures need no lock, and are spread over the cores; then the slice is judged
 * under the lock, by the code that admits. Whether acts count is decided once, by a charter made anew from the entries and compared
 * with the marks in the file; other entries then are compared one by one with what these acts make of them.
 */
#include <eidetica/verify.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/workers.h"
#include "codec/cid.h"
#include "database/judging.h"
#include "database/standing_int.h"

#define SLICE 512

typedef struct verified_row {
    eid_entry_row row;
    eid_entry *entry;        /* NULL: the bytes are none */
    bool has_key;            /* it names the key, … */
    eid_pubkey key;
    eid_status signature;    /* … by which its signature holds, or not */
} verified_row;

typedef struct verification {
    eid_database *database;
    eid_storage *storage;
    verified_row rows[SLICE];
    size_t count;
    _Atomic size_t next;
    int64_t last;
    int64_t newest;
    eid_pin_memo pins;
    eid_charter *charter;    /* as of the beginning; NULL when it could not be made */
    eid_verify_report report;
} verification;

static void note(verification *v, int64_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(verification *v, int64_t n, const char *format, ...)
{
    char why[512], line[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "Entry number %lld: %s\n", (long long)n, why);
    size_t used = strlen(v->report.text);
    if (used + strlen(line) < sizeof v->report.text)
        memcpy(v->report.text + used, line, strlen(line) + 1);
    v->report.wrong++;
}

/* ---- Bytes and signatures, without the lock ---- */

static void look_at(verified_row *row)
{
    if (eid_entry_read_cbor(row->row.bytes, row->row.len, &row->entry) != EID_OK) {
        row->entry = NULL;
        return;
    }
    row->has_key = eid_entry_is_signed(row->entry) && eid_entry_signer(row->entry, &row->key);
    row->signature = row->has_key ? eid_entry_verify_signature(row->entry, &row->key) : EID_OK;
}

static void *look_thread(void *argument)
{
    verification *v = argument;
    for (size_t i = atomic_fetch_add(&v->next, 1); i < v->count; i = atomic_fetch_add(&v->next, 1))
        look_at(&v->rows[i]);
    return NULL;
}

static void look_at_all(verification *v)
{
    eid_workers workers;
    atomic_store(&v->next, 0);
    eid_workers_start(&workers, look_thread, v);
    look_thread(v);
    eid_workers_join(&workers);
}

/* ---- One member, under the lock ---- */

/* What of it does not need the others; false when it is wrong, which is noted. */
static bool stands_alone(verification *v, const verified_row *row)
{
    const eid_entry *entry = row->entry;
    if (entry == NULL || entry->cbor_len != row->row.len || memcmp(entry->cbor, row->row.bytes, row->row.len) != 0)
        note(v, row->row.n, "its bytes are no entry");
    else if (eid_id_prefix(&entry->id) != row->row.h)
        note(v, row->row.n, "its bytes are not those of its ID");
    else if (eid_entry_validate(entry) != EID_OK)
        note(v, row->row.n, "%s", eid_last_error());
    else if (!eid_id_equal(eid_entry_database_id(entry), eid_database_root_id(v->database)))
        note(v, row->row.n, "it belongs to another database");
    else if (row->signature != EID_OK)
        note(v, row->row.n, "its signature does not hold");
    else
        return true;
    return false;
}

/* Parents in front of it, pinned settings, rights. */
static eid_status judge(verification *v, eid_tree *tree, const verified_row *row, bool *right)
{
    eid_judging judging = {.entry = row->entry, .memo = &v->pins, .verified = row->has_key ? &row->key : NULL};
    eid_core *core = v->database->core;
    bool before = true;
    for (size_t i = 0; i < row->entry->parent_count && judging.refusal == EID_OK; i++) {
        int64_t n;
        EID_TRY(eid_judging_find(&judging, core, tree, &row->entry->parents[i], &n));
        before = before && n < row->row.n;
    }
    if (eid_judging_is_open(&judging))
        EID_TRY(eid_judging_finish(&judging, core, tree));
    *right = false;
    if (judging.refusal != EID_OK)
        note(v, row->row.n, "%s", eid_last_error());
    else if (judging.missing_count > 0 || !before)
        note(v, row->row.n, "it names entries that are not held in front of it");
    else
        *right = true;
    return EID_OK;
}

static void compare(verification *v, int64_t n, bool counts, bool should)
{
    if (counts != should)
        note(v, n, counts ? "it counts, but should not" : "it does not count, but should");
    else if (counts)
        v->report.counting++;
    else
        v->report.voids++;
}

/* Acts were decided all at once, at the beginning: later ones may have changed their standing since. */
static eid_status compare_standing(verification *v, eid_tree *tree, const verified_row *row)
{
    eid_charter *charter;
    eid_standing_verdict verdict;
    const eid_act *act = eid_charter_act(v->charter, row->row.n);
    bool counts;
    if (act != NULL) {
        compare(v, row->row.n, act->status == EID_STANDS, act->next == EID_STANDS);
        return EID_OK;
    }
    EID_TRY(eid_charter_of(v->storage, tree, INT64_MAX, &charter));
    EID_TRY(eid_storage_counts(v->storage, tree, row->row.n, &counts));
    EID_TRY(eid_data_judge(v->storage, tree, charter, row->entry, row->row.n, &verdict));
    compare(v, row->row.n, counts, verdict.reason == EID_STANDS);
    return EID_OK;
}

static eid_status verify_row(verification *v, eid_tree *tree, const verified_row *row)
{
    bool right = false;
    v->report.entries++;
    if (!stands_alone(v, row))
        return EID_OK;
    if (v->charter == NULL) {
        note(v, row->row.n, "its rights can not be told, because settings entries are damaged");
        return EID_OK;
    }
    eid_status status = judge(v, tree, row, &right);
    if (status == EID_OK && right)
        status = compare_standing(v, tree, row);
    if (status != EID_ERR_CORRUPT)
        return status;
    note(v, row->row.n, "what it needs is damaged: %s", eid_last_error());
    return EID_OK;
}

/* ---- All ---- */

/* A charter made from the entries of the file, to see whether the marks say what it decides. */
static eid_status decide_acts(verification *v, eid_tree *tree)
{
    eid_status status = eid_charter_load(v->storage, tree, v->newest, &v->charter);
    if (status == EID_OK)
        status = eid_charter_decide(v->storage, tree, v->charter);
    if (status == EID_ERR_CORRUPT) {
        eid_charter_free(v->charter);
        v->charter = NULL;
        return EID_OK;
    }
    return status;
}

static eid_status begin(verification *v)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(v->database, &tree));
    v->newest = tree->main->newest;
    v->report.waiting = tree->waiting;
    return decide_acts(v, tree);
}

static eid_status read_slice(verification *v)
{
    eid_entry_row rows[SLICE];
    eid_tree *tree;
    v->count = 0;
    EID_TRY(eid_database_tree(v->database, &tree));
    EID_TRY(eid_storage_rows(v->storage, tree->d, v->last, v->newest, SLICE, rows, &v->count));
    for (size_t i = 0; i < v->count; i++)
        v->rows[i] = (verified_row){.row = rows[i]};
    return EID_OK;
}

static eid_status judge_slice(verification *v)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(v->database, &tree));
    eid_status status = EID_OK;
    for (size_t i = 0; i < v->count && status == EID_OK; i++)
        status = verify_row(v, tree, &v->rows[i]);
    eid_pin_memo_forget(&v->pins);
    return status;
}

static void free_slice(verification *v)
{
    for (size_t i = 0; i < v->count; i++) {
        eid_entry_unref(v->rows[i].entry);
        eid_free(v->rows[i].row.bytes);
        v->last = v->rows[i].row.n;
    }
}

static eid_status verify_all(verification *v)
{
    eid_storage_lock(v->storage);
    eid_status status = begin(v);
    eid_storage_unlock(v->storage);
    do {
        eid_storage_lock(v->storage);
        if (status == EID_OK)
            status = read_slice(v);
        eid_storage_unlock(v->storage);
        EID_TRY(status);
        look_at_all(v);
        eid_storage_lock(v->storage);
        status = judge_slice(v);
        eid_storage_unlock(v->storage);
        free_slice(v);
        EID_TRY(status);
    } while (v->count > 0);
    return EID_OK;
}

eid_status eid_database_verify(eid_database *database, eid_verify_report *report)
{
    EID_NEED(database && report);
    verification *v = eid_alloc_zero(1, sizeof *v);
    if (v == NULL)
        return eid_fail_memory();
    v->database = database;
    v->storage = database->core->storage;
    eid_status status = verify_all(v);
    if (status == EID_OK)
        *report = v->report;
    eid_charter_free(v->charter);
    eid_free(v);
    return status;
}

/* ---- One entry ---- */

static eid_status standing_of_member(eid_database *database, int64_t n, eid_entry_standing *out, eid_buf *sentence)
{
    eid_tree *tree;
    bool counts;
    eid_standing_reason reason;
    eid_storage *storage = database->core->storage;
    EID_TRY(eid_database_tree(database, &tree));
    EID_TRY(eid_storage_counts(storage, tree, n, &counts));
    *out = counts ? EID_STANDING_COUNTS : EID_STANDING_VOID;
    return counts ? EID_OK : eid_standing_explain(storage, tree, n, &reason, sentence);
}

static eid_status standing_of(eid_database *database, const eid_id *id, eid_entry_standing *out, eid_buf *sentence)
{
    eid_storage *storage = database->core->storage;
    eid_tree *tree;
    int64_t n, d;
    bool waits;
    eid_status refusal;
    EID_TRY(eid_database_tree(database, &tree));
    EID_TRY(eid_storage_find(storage, id, &n, &d));
    if (n != 0 && d == tree->d)
        return standing_of_member(database, n, out, sentence);
    EID_TRY(eid_storage_is_quarantined(storage, id, &waits));
    EID_TRY(eid_storage_was_refused(storage, id, &refusal));
    *out = waits ? EID_STANDING_WAITING : refusal != EID_OK ? EID_STANDING_REFUSED : EID_STANDING_UNKNOWN;
    if (*out == EID_STANDING_REFUSED)
        eid_buf_appendf(sentence, "the entry was refused: %s", eid_status_name(refusal));
    return eid_buf_status(sentence);
}

eid_status eid_database_standing(eid_database *database, const eid_id *id, eid_entry_standing *out, char **reason)
{
    EID_NEED(database && id && out);
    eid_buf sentence;
    eid_entry_standing standing = EID_STANDING_UNKNOWN;
    char *text = NULL;
    eid_buf_init(&sentence, 4096);
    eid_storage_lock(database->core->storage);
    eid_status status = standing_of(database, id, &standing, &sentence);
    eid_storage_unlock(database->core->storage);
    if (status == EID_OK && reason != NULL && sentence.len > 0)
        status = eid_buf_take_text(&sentence, &text);
    eid_buf_free(&sentence);
    EID_TRY(status);
    *out = standing;
    if (reason != NULL)
        *reason = text;
    return EID_OK;
}
