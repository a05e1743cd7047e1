/* SPDX-License-Identifier: Apache-2.0 */
/* Following the path of a signature by delegation (spec auth.md section 5).
 *
 * Each step leads from the settings of one database to those of the next, as of the entries the signature claims there.
 * Three things may come of it: it leads on; it is proven wrong, and stays so, because the claims are part of the signed
 * entry and everything else is hashed; or something is not held here, and the entry waits for just that.
 */
#include "database/delegation.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "base/random.h"
#include "codec/cid.h"
#include "database/standing_int.h"

/* A step on the way: the settings reached so far, and whose history they have, with copies of their own. */
typedef struct stand {
    eid_auth_settings *settings;
    const eid_charter *charter; /* NULL: nobody asks for it */
    eid_runs acts;
} stand;

static void stand_free(stand *s)
{
    eid_auth_settings_unref(s->settings);
    eid_runs_free(&s->acts);
    memset(s, 0, sizeof *s);
}

static eid_status stand_at(eid_auth_settings *settings, const eid_charter *charter, const eid_runs *acts, stand *out)
{
    eid_runs copy = {NULL, 0, 0};
    if (charter != NULL)
        EID_TRY(eid_runs_unite(&copy, acts));
    *out = (stand){eid_auth_settings_ref(settings), charter, copy};
    return EID_OK;
}

/* ---- One step ---- */

static bool is_open(const eid_delegation_end *end)
{
    return end->refusal == EID_OK && eid_id_is_empty(&end->missing);
}

static eid_status wrong_claims(const eid_id *tree, const char *what)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(tree, text);
    return eid_fail(EID_ERR_INVALID_TIP, "the delegation to %s claims %s", text, what);
}

static const eid_auth_delegation *find_record(const eid_auth_settings *settings, const eid_id *tree,
                                              eid_delegation_end *end)
{
    const eid_auth_delegation *record = eid_auth_settings_delegation(settings, tree);
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(tree, text);
    if (record == NULL)
        end->refusal = eid_fail(EID_ERR_KEY_NOT_FOUND, "nothing is delegated to the database %s", text);
    else if (record->problem != NULL)
        end->refusal = eid_fail(EID_ERR_CORRUPTED_AUTH, "the delegation to the database %s can not be used: %s", text,
                                record->problem);
    return end->refusal == EID_OK ? record : NULL;
}

/* What is not held may still come, unless it was refused. Of several, one at random is waited for, so that the entry is looked
 * at again a few times and not at every arrival. */
static eid_status note_missing(eid_storage *storage, const eid_id *id, size_t so_far, eid_delegation_end *end)
{
    eid_status reason;
    EID_TRY(eid_storage_was_refused(storage, id, &reason));
    if (reason != EID_OK)
        end->refusal = eid_fail(EID_ERR_REFUSED_BEFORE, "the delegation claims an entry that was refused");
    else if (eid_random_u64() % so_far == 0)
        end->missing = *id;
    return EID_OK;
}

static eid_status find_tree(eid_storage *storage, const eid_id *root, eid_tree **out, eid_delegation_end *end)
{
    eid_status status = eid_storage_tree(storage, root, out);
    if (status != EID_ERR_DATABASE_NOT_FOUND)
        return status;
    return note_missing(storage, root, 1, end);
}

/* The numbers of the claims, ascending, without duplicates. */
static eid_status find_claims(eid_storage *storage, const eid_tree *tree, const eid_delegation_step *step, int64_t *claims,
                              size_t *count, eid_delegation_end *end)
{
    size_t missing = 0;
    *count = 0;
    if (step->tip_count == 0)
        end->refusal = wrong_claims(&step->tree, "no entry of it");
    for (size_t i = 0; i < step->tip_count && end->refusal == EID_OK; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(storage, &step->tips[i], &n, &d));
        if (n == 0)
            EID_TRY(note_missing(storage, &step->tips[i], ++missing, end));
        else if (d != tree->d)
            end->refusal = wrong_claims(&step->tree, "an entry of another database");
        else
            claims[(*count)++] = n;
    }
    if (!is_open(end))
        return EID_OK;
    eid_numbers_sort(claims, *count);
    size_t kept = 1;
    for (size_t i = 1; i < *count; i++)
        if (claims[i] != claims[kept - 1])
            claims[kept++] = claims[i];
    *count = kept;
    return EID_OK;
}

/* Whether the claims contain every floor there was. */
static eid_status check_history(eid_storage *storage, const stand *at, const eid_id *delegation, eid_tree *tree,
                                const int64_t *claims, size_t count, bool *above)
{
    eid_buf ids;
    eid_buf_init(&ids, SIZE_MAX / 2);
    eid_status status = eid_charter_floors(at->charter, &at->acts, NULL, NULL, delegation, &ids);
    if (status == EID_OK)
        status = eid_snapshot_contains(storage, tree, claims, count, (const eid_id *)(const void *)ids.data,
                                       ids.len / sizeof(eid_id), above);
    eid_buf_free(&ids);
    return status;
}

static eid_status check_floors(eid_storage *storage, const stand *at, const eid_auth_delegation *record, eid_tree *tree,
                               const int64_t *claims, size_t count, eid_delegation_end *end)
{
    bool above;
    EID_TRY(eid_snapshot_contains(storage, tree, claims, count, record->floor, record->floor_count, &above));
    if (above && at->charter != NULL)
        EID_TRY(check_history(storage, at, &record->key, tree, claims, count, &above));
    if (!above)
        end->refusal = wrong_claims(&record->key, "a state of it below the floor that is set for it");
    return EID_OK;
}

/* Replaces *at by where the step leads, when it leads somewhere. */
static eid_status take_step(eid_storage *storage, const eid_delegation_step *step, eid_delegation_rule rule, stand *at,
                            eid_delegation_end *end)
{
    int64_t claims[EID_LIMIT_DELEGATION_TIPS];
    size_t count = 0;
    eid_tree *tree = NULL;
    const eid_auth_delegation *record = find_record(at->settings, &step->tree, end);
    if (record == NULL)
        return EID_OK;
    EID_TRY(find_tree(storage, &record->tree, &tree, end));
    if (is_open(end))
        EID_TRY(find_claims(storage, tree, step, claims, &count, end));
    if (is_open(end))
        EID_TRY(check_floors(storage, at, record, tree, claims, count, end));
    if (!is_open(end))
        return EID_OK;
    eid_snapshot snapshot;
    stand next;
    EID_TRY(eid_snapshot_at(storage, tree, claims, count, rule, &snapshot));
    EID_TRY(stand_at(snapshot.settings, snapshot.charter, snapshot.acts, &next));
    eid_bounds_narrow(&end->bounds, &record->bounds); /* the record dies with the stand it is of */
    stand_free(at);
    *at = next;
    return EID_OK;
}

/* ---- The path ---- */

static eid_status follow(eid_storage *storage, const eid_sigkey *sigkey, eid_delegation_rule rule, stand *at,
                         eid_delegation_end *end)
{
    for (size_t i = 0; i < sigkey->path_count && is_open(end); i++)
        EID_TRY(take_step(storage, &sigkey->path[i], rule, at, end));
    if (is_open(end))
        end->settings = eid_auth_settings_ref(at->settings);
    return EID_OK;
}

eid_status eid_delegation_resolve(eid_storage *storage, const eid_delegation_place *start, const eid_sigkey *sigkey,
                                  eid_delegation_rule rule, eid_delegation_end *out)
{
    /* The widest bounds there are: narrowed by every step. */
    eid_delegation_end end = {.bounds = {.max = {EID_PERM_ADMIN, 0}}};
    stand at = {0};
    end.refusal = eid_auth_check_path(sigkey);
    if (end.refusal == EID_OK) {
        EID_TRY(stand_at(start->settings, start->charter, start->acts, &at));
        eid_status status = follow(storage, sigkey, rule, &at, &end);
        stand_free(&at);
        EID_TRY(status);
    }
    *out = end;
    return EID_OK;
}

eid_status eid_delegation_judge(eid_storage *storage, const eid_delegation_place *start, const eid_entry *entry,
                                const eid_pubkey *verified_key, eid_id *missing, eid_status *refusal)
{
    eid_delegation_end end;
    EID_TRY(eid_delegation_resolve(storage, start, &entry->sigkey, EID_PATH_ADMITS, &end));
    if (end.refusal == EID_OK)
        *missing = end.missing;
    if (end.refusal == EID_ERR_REFUSED_BEFORE)
        *refusal = end.refusal;
    else if (end.refusal != EID_OK)
        *refusal = eid_fail_context(EID_ERR_PERMISSION_DENIED, "nobody who may sign");
    else if (end.settings != NULL)
        *refusal = eid_auth_judge_delegated(end.settings, &end.bounds, entry, verified_key);
    eid_auth_settings_unref(end.settings);
    return EID_OK;
}

/* What could be admitted has claims that can be found, unless the other database was lost since. */
static eid_status read_claims(eid_storage *storage, const eid_auth_settings *settings, const eid_delegation_step *step,
                              eid_delegation_claims *out)
{
    const eid_auth_delegation *record = eid_auth_settings_delegation(settings, &step->tree);
    eid_delegation_end end = {.refusal = EID_OK};
    eid_tree *tree = NULL;
    memset(out, 0, sizeof *out);
    if (record == NULL)
        return EID_OK;
    out->key = record->key;
    out->tree = record->tree;
    EID_TRY(find_tree(storage, &record->tree, &tree, &end));
    if (is_open(&end))
        EID_TRY(find_claims(storage, tree, step, out->numbers, &out->count, &end));
    if (!is_open(&end))
        out->count = 0;
    return EID_OK;
}

static eid_status judge_counting(eid_storage *storage, const eid_delegation_place *start, const eid_entry *entry, bool *out)
{
    const eid_pubkey *key = entry->sigkey.hint.has_pubkey ? &entry->sigkey.hint.pubkey : NULL; /* it signed, or was not admitted */
    eid_delegation_end end;
    EID_TRY(eid_delegation_resolve(storage, start, &entry->sigkey, EID_PATH_COUNTS, &end));
    eid_status refusal = end.refusal;
    if (end.settings != NULL)
        refusal = eid_auth_judge_delegated(end.settings, &end.bounds, entry, key);
    eid_auth_settings_unref(end.settings);
    if (refusal == EID_ERR_NO_MEMORY)
        return refusal;
    *out = refusal == EID_OK;
    return EID_OK;
}

eid_status eid_delegation_counts(eid_storage *storage, eid_tree *tree, const int64_t *pins, size_t count, const eid_entry *entry,
                                 eid_delegation_claims *claims, bool *out)
{
    eid_auth_settings *settings;
    EID_TRY(eid_settings_resolve(storage, tree, pins, count, &settings));
    eid_delegation_place start = {settings, NULL, NULL};
    eid_status status = judge_counting(storage, &start, entry, out);
    if (status == EID_OK)
        status = read_claims(storage, settings, &entry->sigkey.path[0], claims);
    eid_auth_settings_unref(settings);
    return status;
}

/* ---- Claiming ---- */

static eid_status claim_step(eid_storage *storage, eid_delegation_step *step)
{
    eid_tree *tree;
    eid_status status = eid_storage_tree(storage, &step->tree, &tree);
    if (status != EID_OK)
        return eid_fail_context(status, "the rights come by delegation from a database that is not held");
    size_t count = tree->main->tip_count;
    size_t skipped = count > EID_LIMIT_DELEGATION_TIPS ? count - EID_LIMIT_DELEGATION_TIPS : 0;
    eid_id *tips = eid_realloc_array(NULL, count - skipped + 1, sizeof *tips);
    if (tips == NULL)
        return eid_fail_memory();
    for (size_t i = skipped; i < count; i++)
        tips[i - skipped] = tree->main->tips[i].id;
    eid_free(step->tips);
    step->tips = tips;
    step->tip_count = eid_ids_sort(tips, count - skipped);
    return EID_OK;
}

eid_status eid_delegation_claim(eid_storage *storage, const eid_sigkey *identity, eid_sigkey *out)
{
    eid_sigkey claimed;
    EID_TRY(eid_sigkey_copy(identity, &claimed));
    for (size_t i = 0; i < claimed.path_count; i++) {
        eid_status status = claim_step(storage, &claimed.path[i]);
        if (status != EID_OK) {
            eid_sigkey_free(&claimed);
            return status;
        }
    }
    *out = claimed;
    return EID_OK;
}
