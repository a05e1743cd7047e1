/* SPDX-License-Identifier: Apache-2.0 */
/* Judging one entry, see judging.h. */
#include "database/judging.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "base/random.h"
#include "database/delegation.h"

bool eid_judging_is_open(const eid_judging *j)
{
    return j->refusal == EID_OK && j->missing_count == 0;
}

static void note_missing(eid_judging *j, const eid_id *id)
{
    if (eid_random_u64() % ++j->missing_count == 0)
        j->missing = *id;
}

eid_status eid_judging_find(eid_judging *j, eid_core *core, const eid_tree *tree, const eid_id *id, int64_t *n)
{
    int64_t d;
    EID_TRY(eid_storage_find(core->storage, id, n, &d));
    if (*n == 0) {
        eid_status reason;
        EID_TRY(eid_storage_was_refused(core->storage, id, &reason));
        if (reason != EID_OK)
            j->refusal = eid_fail(EID_ERR_REFUSED_BEFORE, "The entry builds on one that was refused");
        else
            note_missing(j, id);
    } else if (d != tree->d) {
        j->refusal = eid_fail(EID_ERR_WRONG_TREE, "The entry builds on one of another database");
    }
    return EID_OK;
}

/* The numbers of the pinned entries that take part in `_settings`, ascending. */
static eid_status find_pins(eid_judging *j, eid_core *core, eid_tree *tree, const eid_entry_pin *pin, int64_t *pins, size_t *count)
{
    eid_tree_store *settings;
    EID_TRY(eid_storage_store(core->storage, tree, eid_slice_text(EID_SETTINGS), &settings));
    *count = 0;
    for (size_t i = 0; i < pin->tip_count && j->refusal == EID_OK; i++) {
        int64_t n;
        EID_TRY(eid_judging_find(j, core, tree, &pin->tips[i], &n));
        if (settings == NULL || n == 0 || j->refusal != EID_OK)
            continue;
        eid_status status = eid_storage_participation(core->storage, settings, n, NULL, NULL, NULL);
        if (status == EID_OK)
            pins[(*count)++] = n;
        else if (status != EID_ERR_NOT_FOUND)
            return status;
    }
    eid_numbers_sort(pins, *count);
    return EID_OK;
}

/* An entry signed by delegation, in which nothing was wrong so far: it may have to wait for one of another database. */
static eid_status judge_delegation(eid_judging *j, eid_core *core, eid_auth_settings *settings)
{
    eid_delegation_place start = {settings, NULL, NULL};
    eid_id missing = {0};
    j->refusal = EID_OK;
    EID_TRY(eid_delegation_judge(core->storage, &start, j->entry, j->verified, &missing, &j->refusal));
    if (!eid_id_is_empty(&missing)) {
        note_missing(j, &missing);
        core->waits_across = true;
    }
    return EID_OK;
}

static eid_status judge_member(eid_judging *j, eid_core *core, eid_tree *tree, const int64_t *pins, size_t count)
{
    eid_auth_settings *settings;
    EID_TRY(eid_settings_resolve(core->storage, tree, pins, count, &settings));
    eid_status status = judge_delegation(j, core, settings);
    eid_auth_settings_unref(settings);
    return status;
}

/* A root entry is judged by its own settings. */
static eid_status judge_root(eid_judging *j, eid_core *core)
{
    const eid_subtree *subtree = eid_entry_subtree(j->entry, eid_slice_text(EID_SETTINGS));
    eid_auth_settings *settings;
    eid_doc *doc = NULL;
    eid_status status = subtree == NULL || !subtree->has_data
                            ? eid_doc_new(&doc)
                            : eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK) {
        j->refusal = eid_fail_context(status, "The settings of the root entry can not be read");
        return EID_OK;
    }
    status = eid_auth_settings_parse(doc, &settings);
    eid_doc_free(doc);
    EID_TRY(status);
    j->refusal = eid_auth_judge(settings, j->entry, j->verified);
    if (j->refusal == EID_ERR_UNSUPPORTED)
        status = judge_delegation(j, core, settings);
    eid_auth_settings_unref(settings);
    return status;
}

/* An entry that pins no settings at all is judged by those of the root, and only an unsigned one in a database without auth
 * can pass (the Rust side accepts such entries from anyone: vectors README, surprise 4). */
static eid_status judge_unpinned(eid_judging *j, eid_core *core, eid_tree *tree)
{
    int64_t root_n;
    EID_TRY(eid_storage_find(core->storage, &tree->root, &root_n, NULL));
    EID_TRY(eid_standing_judge(core, tree, &root_n, 1, j->entry, j->verified, &j->refusal));
    if (j->refusal == EID_ERR_UNSUPPORTED || (j->refusal == EID_OK && eid_entry_is_signed(j->entry)))
        j->refusal = eid_fail(EID_ERR_AUTH_REQUIRED, "The entry names no settings of its database to be judged by");
    return EID_OK;
}

static eid_status read_pins(eid_judging *j, eid_core *core, eid_tree *tree, int64_t *pins, size_t *count)
{
    eid_entry_pin pin;
    eid_status status = eid_entry_read_pin(j->entry, &pin);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK) {
        j->refusal = eid_fail_context(status, "The metadata of the entry can not be read");
        return EID_OK;
    }
    status = find_pins(j, core, tree, &pin, pins, count);
    eid_entry_pin_free(&pin);
    return status;
}

static bool is_remembered(const eid_pin_memo *memo, const eid_entry *entry)
{
    return memo->metadata != NULL && entry->has_metadata &&
           eid_slice_equal(eid_slice_of(memo->metadata, memo->metadata_len), eid_slice_of(entry->metadata, entry->metadata_len));
}

void eid_pin_memo_forget(eid_pin_memo *memo)
{
    eid_free(memo->metadata);
    memo->metadata = NULL;
}

/* The same through the memo, which remembers only what is held. */
static eid_status recall_pins(eid_judging *j, eid_core *core, eid_tree *tree)
{
    eid_pin_memo *memo = j->memo;
    const eid_entry *entry = j->entry;
    if (is_remembered(memo, entry))
        return EID_OK;
    eid_pin_memo_forget(memo);
    EID_TRY(read_pins(j, core, tree, memo->pins, &memo->count));
    if (!eid_judging_is_open(j) || !entry->has_metadata)
        return EID_OK;
    memo->metadata = eid_memdup(entry->metadata, entry->metadata_len);
    memo->metadata_len = entry->metadata_len;
    return memo->metadata == NULL ? eid_fail_memory() : EID_OK;
}

eid_status eid_judging_finish(eid_judging *j, eid_core *core, eid_tree *tree)
{
    EID_TRY(recall_pins(j, core, tree));
    const int64_t *pins = j->memo->pins;
    size_t count = j->memo->count;
    if (!eid_judging_is_open(j))
        return EID_OK;
    if (j->entry->is_root)
        return judge_root(j, core);
    if (count == 0)
        return judge_unpinned(j, core, tree);
    EID_TRY(eid_standing_judge(core, tree, pins, count, j->entry, j->verified, &j->refusal));
    return j->refusal == EID_ERR_UNSUPPORTED ? judge_member(j, core, tree, pins, count) : EID_OK;
}
