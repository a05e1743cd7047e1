/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving entries: from bytes a stranger sent to members of the database.
 *
 * What each entry passes (design.md section 7): structure, own database, parents held, pinned settings held, signature,
 * permission. What fails is remembered by its ID and stays refused, with everything that builds on it; what misses parents
 * or pins waits in the quarantine and is judged when they arrive.
 *
 * Signatures are the expensive part and need nothing from the storage, so threads run ahead over the whole batch while this
 * thread stores what is checked already.
 */
#include "database/delegation.h"
#include "database/judging.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/workers.h"
#include "codec/cid.h"

/* Entries stored in one storage transaction: enough to share its cost, short enough not to hold the lock long. */
#define STORE_BATCH 512
/* Below this many entries threads cost more than they bring. */
#define THREADS_FROM 16

typedef enum check {
    CHECK_UNKNOWN,
    CHECK_HOLDS,      /* the signature by the key the hint names holds */
    CHECK_FAILS,
    CHECK_NONE        /* no signature, no public key named, or no memory to check it: judged later */
} check;

typedef struct reception {
    eid_core *core;
    const eid_id *database;
    eid_entry *const *entries;
    size_t *order;              /* indices, lowest height first */
    size_t count;
    _Atomic uint8_t *checks;    /* by place in order */
    _Atomic size_t next_check;
    eid_receipt *receipt;
    eid_verdict *verdicts;      /* by index */
    eid_entry **admitted;       /* for the hook; references are held */
    size_t admitted_count;
    size_t admitted_capacity;
    eid_entry **counting;       /* for the callbacks: those of them that count; lent */
    size_t counting_count;
    eid_entry **stack;          /* entries released from the quarantine, still to be judged; references are held */
    size_t stack_count;
    size_t stack_capacity;
    const eid_id *arrived;      /* when not NULL: no entries are brought, those that waited for this are taken */
    eid_pin_memo pins;
    eid_buf *woken;             /* of eid_waiting: what waits in other databases for something that came */
} reception;

/* ---- Signatures ahead ---- */

static check check_signature(const eid_entry *entry)
{
    eid_pubkey key;
    if (!eid_entry_is_signed(entry) || !eid_entry_signer(entry, &key))
        return CHECK_NONE;
    eid_status status = eid_entry_verify_signature(entry, &key);
    return status == EID_OK ? CHECK_HOLDS : status == EID_ERR_BAD_SIGNATURE ? CHECK_FAILS : CHECK_NONE;
}

/* Claims and checks the next unchecked entry at or before `limit`; false when there is none. */
static bool check_next(reception *r, size_t limit)
{
    size_t place = atomic_load(&r->next_check);
    do {
        if (place >= limit)
            return false;
    } while (!atomic_compare_exchange_weak(&r->next_check, &place, place + 1));
    atomic_store(&r->checks[place], (uint8_t)check_signature(r->entries[r->order[place]]));
    return true;
}

static void *check_thread(void *argument)
{
    reception *r = argument;
    while (check_next(r, r->count))
        continue;
    return NULL;
}

/* Returns when every entry before `limit` is checked; helps meanwhile. */
static void wait_for_checks(reception *r, size_t from, size_t limit)
{
    while (check_next(r, limit))
        continue;
    for (size_t i = from; i < limit; i++)
        while (atomic_load(&r->checks[i]) == CHECK_UNKNOWN)
            sched_yield();
}

/* ---- Verdicts ---- */

typedef struct candidate {
    size_t index;             /* in the caller's array; SIZE_MAX for one from the quarantine */
    eid_entry *entry;
    check signature;
    int64_t *parents;
    size_t parent_count;
    eid_judging judging;
} candidate;

static void set_verdict(reception *r, size_t index, eid_verdict verdict)
{
    if (index != SIZE_MAX)
        r->verdicts[index] = verdict;
}

static void note_refusal(reception *r, size_t index, eid_status reason)
{
    if (r->receipt->refused++ == 0) {
        r->receipt->first_refusal = reason;
        snprintf(r->receipt->text, sizeof r->receipt->text, "%s", eid_last_error());
    }
    set_verdict(r, index, EID_VERDICT_REFUSED);
}

/* Puts what waited for this entry on the stack: to be judged by it, or to be refused with it. */
static eid_status release_waiting(reception *r, eid_tree *tree, const eid_id *arrived)
{
    if (r->core->waits_across)
        EID_TRY(eid_storage_waiting_elsewhere(r->core->storage, tree, arrived, r->woken));
    if (tree->waiting == 0)
        return EID_OK;
    eid_entry **released = NULL;
    size_t count = 0;
    EID_TRY(eid_storage_quarantine_take(r->core->storage, tree, arrived, &released, &count));
    eid_status status = EID_OK;
    if (r->stack_count + count > r->stack_capacity) {
        size_t capacity = (r->stack_count + count) * 2;
        eid_entry **grown = eid_realloc_array(r->stack, capacity, sizeof(eid_entry *));
        if (grown == NULL) {
            status = eid_fail_memory();
        } else {
            r->stack = grown;
            r->stack_capacity = capacity;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (status == EID_OK)
            r->stack[r->stack_count++] = released[i];
        else
            eid_entry_unref(released[i]);
    }
    eid_free(released);
    return status;
}

/* Refuses for good: the ID covers everything the judgement depends on. What waits for the entry is refused with it. */
static eid_status refuse(reception *r, eid_tree *tree, const candidate *c, eid_status reason)
{
    note_refusal(r, c->index, reason);
    EID_TRY(eid_storage_refuse(r->core->storage, &c->entry->id, reason));
    return release_waiting(r, tree, &c->entry->id);
}

static eid_status wait_for_missing(reception *r, eid_tree *tree, const candidate *c)
{
    EID_TRY(eid_storage_quarantine_add(r->core->storage, tree, c->entry, &c->judging.missing));
    set_verdict(r, c->index, EID_VERDICT_WAITING);
    return EID_OK;
}

/* ---- Judging one entry ---- */

static eid_status find_parents(reception *r, const eid_tree *tree, candidate *c)
{
    const eid_entry *entry = c->judging.entry;
    c->parents = eid_realloc_array(NULL, entry->parent_count + 1, sizeof *c->parents);
    if (c->parents == NULL)
        return eid_fail_memory();
    c->parent_count = entry->parent_count;
    for (size_t i = 0; i < entry->parent_count && c->judging.refusal == EID_OK; i++)
        EID_TRY(eid_judging_find(&c->judging, r->core, tree, &entry->parents[i], &c->parents[i]));
    return EID_OK;
}

/* Store parents may arrive behind their child, but not in the settings: whoever pins these would be judged by less than they
 * say as long as something below them is missing. What was refused below them never counts. */
static eid_status find_settings_parents(reception *r, const eid_tree *tree, candidate *c)
{
    const eid_subtree *subtree = eid_entry_subtree(c->judging.entry, eid_slice_text(EID_SETTINGS));
    for (size_t i = 0; subtree != NULL && i < subtree->parent_count && c->judging.refusal == EID_OK; i++) {
        eid_status reason;
        int64_t n;
        EID_TRY(eid_storage_was_refused(r->core->storage, &subtree->parents[i], &reason));
        if (reason == EID_OK)
            EID_TRY(eid_judging_find(&c->judging, r->core, tree, &subtree->parents[i], &n));
    }
    return EID_OK;
}

static eid_status remember_admitted(reception *r, eid_entry *entry)
{
    if (r->admitted_count == r->admitted_capacity) {
        size_t capacity = r->admitted_capacity == 0 ? 64 : r->admitted_capacity * 2;
        eid_entry **grown = eid_realloc_array(r->admitted, capacity, sizeof(eid_entry *));
        if (grown == NULL)
            return eid_fail_memory();
        r->admitted = grown;
        r->admitted_capacity = capacity;
    }
    r->admitted[r->admitted_count++] = eid_entry_ref(entry);
    return EID_OK;
}

eid_status eid_core_store_entry(eid_core *core, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry,
                                const int64_t *parents, size_t parent_count)
{
    int64_t n;
    EID_TRY(eid_storage_admit(core->storage, tree, entry, parents, parent_count, &n));
    return eid_standing_take(core->storage, batch, tree, entry, n);
}

/* Anything known of the entry already? *done true when the verdict is given. */
static eid_status known_before(reception *r, eid_tree *tree, const candidate *c, bool *done)
{
    int64_t n;
    *done = true;
    EID_TRY(eid_storage_find(r->core->storage, &c->entry->id, &n, NULL));
    if (n != 0) {
        r->receipt->held++;
        set_verdict(r, c->index, EID_VERDICT_HELD);
        return EID_OK;
    }
    eid_status reason;
    EID_TRY(eid_storage_was_refused(r->core->storage, &c->entry->id, &reason));
    if (reason != EID_OK) {
        note_refusal(r, c->index, eid_fail(EID_ERR_REFUSED_BEFORE, "The entry was refused before: %s", eid_status_name(reason)));
        return EID_OK;
    }
    bool waits = false;
    if (tree->waiting > 0)
        EID_TRY(eid_storage_is_quarantined(r->core->storage, &c->entry->id, &waits));
    if (waits)
        set_verdict(r, c->index, EID_VERDICT_WAITING);
    *done = waits;
    return EID_OK;
}

static eid_status take_one(reception *r, eid_state_batch *batch, eid_tree *tree, candidate *c)
{
    bool done;
    EID_TRY(known_before(r, tree, c, &done));
    if (done)
        return EID_OK;
    eid_pubkey key;
    eid_judging *j = &c->judging;
    *j = (eid_judging){.entry = c->entry, .memo = &r->pins};
    if (c->signature == CHECK_FAILS)
        j->refusal = eid_fail(EID_ERR_BAD_SIGNATURE, "The signature of the entry does not hold");
    else if (c->signature == CHECK_HOLDS && eid_entry_signer(c->entry, &key))
        j->verified = &key;
    if (j->refusal == EID_OK)
        EID_TRY(find_parents(r, tree, c));
    if (eid_judging_is_open(j))
        EID_TRY(find_settings_parents(r, tree, c));
    if (eid_judging_is_open(j))
        EID_TRY(eid_judging_finish(j, r->core, tree));
    if (j->refusal == EID_ERR_NO_MEMORY || j->refusal == EID_ERR_STORAGE)
        return j->refusal;
    if (j->refusal != EID_OK)
        return refuse(r, tree, c, j->refusal);
    if (j->missing_count > 0)
        return wait_for_missing(r, tree, c);
    EID_TRY(eid_core_store_entry(r->core, batch, tree, c->entry, c->parents, c->parent_count));
    EID_TRY(remember_admitted(r, c->entry));
    r->receipt->admitted++;
    set_verdict(r, c->index, EID_VERDICT_ADMITTED);
    return release_waiting(r, tree, &c->entry->id);
}

static eid_status take_released(reception *r, eid_state_batch *batch, eid_tree *tree)
{
    eid_status status = EID_OK;
    while (status == EID_OK && r->stack_count > 0) {
        eid_entry *released = r->stack[--r->stack_count];
        candidate next = {.index = SIZE_MAX, .entry = released, .signature = CHECK_NONE};
        status = take_one(r, batch, tree, &next);
        eid_free(next.parents);
        eid_entry_unref(released);
    }
    return status;
}

static eid_status take_and_release(reception *r, eid_state_batch *batch, eid_tree *tree, size_t index, eid_entry *entry, check sig)
{
    candidate c = {.index = index, .entry = entry, .signature = sig};
    eid_status status = take_one(r, batch, tree, &c);
    eid_free(c.parents);
    return status == EID_OK ? take_released(r, batch, tree) : status;
}

/* ---- The batch ---- */

/* Wrong before anything is looked up: structure, size, and whose entry it is. */
static eid_status outer_check(const reception *r, const eid_entry *entry)
{
    EID_TRY(eid_entry_validate(entry));
    if (!eid_id_equal(eid_entry_database_id(entry), r->database))
        return eid_fail(EID_ERR_WRONG_TREE, "The entry belongs to another database");
    return EID_OK;
}

/* Finds the tree, making it when its root is among the entries. */
static eid_status open_tree(reception *r, eid_tree **out)
{
    eid_status status = eid_storage_tree(r->core->storage, r->database, out);
    if (status != EID_ERR_DATABASE_NOT_FOUND)
        return status;
    for (size_t i = 0; i < r->count; i++) {
        const eid_entry *entry = r->entries[r->order[i]];
        if (entry->is_root && eid_id_equal(&entry->id, r->database))
            return eid_storage_tree_create(r->core->storage, r->database, out);
    }
    return eid_storage_tree(r->core->storage, r->database, out);
}

/* What does not count is carried on, but nobody is told that something was written. */
static eid_status find_counting(reception *r, eid_tree *tree, size_t from)
{
    eid_entry **grown = eid_realloc_array(r->counting, r->admitted_count + 1, sizeof(eid_entry *));
    if (grown == NULL)
        return eid_fail_memory();
    r->counting = grown;
    for (size_t i = from; i < r->admitted_count; i++) {
        bool counts;
        EID_TRY(eid_standing_counts(r->core->storage, tree, &r->admitted[i]->id, &counts));
        if (counts)
            r->counting[r->counting_count++] = r->admitted[i];
    }
    return EID_OK;
}

static eid_status take_range(reception *r, size_t from, size_t to)
{
    eid_tree *tree;
    size_t before = r->admitted_count;
    EID_TRY(open_tree(r, &tree));
    eid_state_batch *batch;
    EID_TRY(eid_state_batch_new(r->core->storage, &batch));
    eid_status status = EID_OK;
    for (size_t i = from; i < to && status == EID_OK; i++) {
        size_t index = r->order[i];
        eid_entry *entry = r->entries[index];
        eid_status wrong = outer_check(r, entry);
        if (wrong != EID_OK)
            note_refusal(r, index, wrong);
        else
            status = take_and_release(r, batch, tree, index, entry, (check)atomic_load(&r->checks[i]));
    }
    if (r->arrived != NULL) {
        status = release_waiting(r, tree, r->arrived);
        if (status == EID_OK)
            status = take_released(r, batch, tree);
    }
    if (status == EID_OK && tree->main->count > 0)
        status = eid_standing_settle(r->core->storage, batch, tree);
    if (status == EID_OK)
        status = eid_state_batch_finish(batch);
    eid_state_batch_free(batch);
    if (status == EID_OK && tree->main->count > 0)
        status = find_counting(r, tree, before);
    /* A root that did not pass must not leave an empty database behind. */
    if (status == EID_OK && tree->main->count == 0)
        status = eid_fail(EID_ERR_DATABASE_NOT_FOUND, "The root entry of the database was refused: %s", r->receipt->text);
    return status;
}

static eid_status store_range(reception *r, size_t from, size_t to)
{
    eid_receipt before = *r->receipt;
    size_t admitted_before = r->admitted_count, counting_before = r->counting_count, woken_before = r->woken->len;
    eid_storage_lock(r->core->storage);
    eid_status status = eid_storage_begin(r->core->storage);
    if (status == EID_OK) {
        status = take_range(r, from, to);
        if (status == EID_OK)
            status = eid_storage_commit(r->core->storage);
        else
            eid_storage_rollback(r->core->storage);
        eid_pin_memo_forget(&r->pins);
    }
    if (status == EID_OK)
        eid_core_note(r->core, r->database, EID_WRITE_REMOTE);
    eid_storage_unlock(r->core->storage);
    if (status != EID_OK) {
        *r->receipt = before;
        r->woken->len = woken_before;
        r->counting_count = counting_before;
        while (r->admitted_count > admitted_before)
            eid_entry_unref(r->admitted[--r->admitted_count]);
        while (r->stack_count > 0)
            eid_entry_unref(r->stack[--r->stack_count]);
    }
    return status;
}

typedef struct height_key {
    uint64_t height;
    size_t index;
} height_key;

static int compare_heights(const void *a, const void *b)
{
    const height_key *left = a, *right = b;
    if (left->height != right->height)
        return left->height < right->height ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Lowest height first: parents before children for honest entries, and the root at the front. */
static eid_status make_order(reception *r)
{
    height_key *keys = eid_realloc_array(NULL, r->count + 1, sizeof *keys);
    r->order = eid_realloc_array(NULL, r->count + 1, sizeof *r->order);
    r->checks = eid_alloc_zero(r->count + 1, sizeof *r->checks);
    if (keys == NULL || r->order == NULL || r->checks == NULL) {
        eid_free(keys);
        return eid_fail_memory();
    }
    for (size_t i = 0; i < r->count; i++)
        keys[i] = (height_key){r->entries[i]->is_root ? 0 : r->entries[i]->height, i};
    qsort(keys, r->count, sizeof *keys, compare_heights);
    /* A root claims no parents, so it goes before everything, whatever the others' heights say. */
    size_t place = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->entries[keys[i].index]->is_root)
            r->order[place++] = keys[i].index;
    for (size_t i = 0; i < r->count; i++)
        if (!r->entries[keys[i].index]->is_root)
            r->order[place++] = keys[i].index;
    eid_free(keys);
    return EID_OK;
}

/* Entries that waited when their verdict was written may have been released by a later one. */
static eid_status settle_verdict(reception *r, size_t index)
{
    int64_t n;
    bool waits;
    eid_status reason;
    EID_TRY(eid_storage_find(r->core->storage, &r->entries[index]->id, &n, NULL));
    EID_TRY(eid_storage_was_refused(r->core->storage, &r->entries[index]->id, &reason));
    EID_TRY(eid_storage_is_quarantined(r->core->storage, &r->entries[index]->id, &waits));
    if (n != 0)
        r->verdicts[index] = EID_VERDICT_ADMITTED;
    else if (reason != EID_OK)
        r->verdicts[index] = EID_VERDICT_REFUSED;
    else if (waits)
        r->receipt->waiting++;
    else
        note_refusal(r, index, eid_fail(EID_ERR_LIMIT, "Too many entries wait for others: this one has left, and may come again"));
    return EID_OK;
}

/* All is stored by now, so a failure to look is no failure to receive: what can not be asked about is told to wait. */
static void settle_verdicts(reception *r)
{
    eid_storage_lock(r->core->storage);
    for (size_t i = 0; i < r->count; i++)
        if (r->verdicts[i] == EID_VERDICT_WAITING && settle_verdict(r, i) != EID_OK)
            r->receipt->waiting++;
    eid_storage_unlock(r->core->storage);
}

static void announce_and_free(reception *r)
{
    eid_core_announce(r->core, r->database, r->admitted, r->admitted_count, EID_WRITE_REMOTE);
    eid_core_tell(r->core, r->database, r->counting, r->counting_count, EID_WRITE_REMOTE);
    for (size_t i = 0; i < r->admitted_count; i++)
        eid_entry_unref(r->admitted[i]);
    eid_free(r->admitted);
    eid_free(r->counting);
    eid_free(r->stack);
    eid_free(r->order);
    eid_free((void *)r->checks);
}

eid_status eid_core_take_waiting(eid_core *core, const eid_id *database, const eid_id *arrived, eid_buf *woken)
{
    eid_receipt receipt = {0};
    reception r = {.core = core, .database = database, .arrived = arrived, .receipt = &receipt, .woken = woken};
    eid_status status = store_range(&r, 0, 0);
    announce_and_free(&r);
    return status;
}

eid_status eid_core_receive(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count,
                            eid_receipt *receipt, eid_verdict *verdicts)
{
    eid_receipt own;
    eid_buf woken;
    eid_buf_init(&woken, SIZE_MAX / 2);
    reception r = {.core = core,
                   .database = database,
                   .entries = entries,
                   .count = count,
                   .receipt = receipt != NULL ? receipt : &own,
                   .verdicts = verdicts != NULL ? verdicts : eid_realloc_array(NULL, count + 1, sizeof *verdicts),
                   .woken = &woken};
    memset(r.receipt, 0, sizeof *r.receipt);
    eid_workers workers = {0};
    eid_status status = r.verdicts == NULL ? eid_fail_memory() : make_order(&r);
    if (status == EID_OK && count >= THREADS_FROM)
        eid_workers_start(&workers, check_thread, &r);
    for (size_t from = 0; from < count && status == EID_OK; from += STORE_BATCH) {
        size_t to = count - from < STORE_BATCH ? count : from + STORE_BATCH;
        wait_for_checks(&r, from, to);
        status = store_range(&r, from, to);
    }
    if (status != EID_OK)
        atomic_store(&r.next_check, count); /* the threads have nothing left to do */
    eid_workers_join(&workers);
    if (status == EID_OK)
        settle_verdicts(&r);
    announce_and_free(&r);
    if (verdicts == NULL)
        eid_free(r.verdicts);
    eid_core_wake(core, &woken);
    return status;
}
