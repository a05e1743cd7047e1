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

/* A step on the way: the settings reached so far, with a reference of their own. */
typedef struct stand {
    eid_auth_settings *settings;
    eid_tree *tree;
    int64_t *pins;
    size_t pin_count;
} stand;

static void stand_free(stand *s)
{
    eid_auth_settings_unref(s->settings);
    eid_free(s->pins);
    memset(s, 0, sizeof *s);
}

static eid_status stand_at(eid_auth_settings *settings, eid_tree *tree, const int64_t *pins, size_t count, stand *out)
{
    int64_t *copy = eid_memdup(pins, count * sizeof *pins);
    if (copy == NULL)
        return eid_fail_memory();
    *out = (stand){eid_auth_settings_ref(settings), tree, copy, count};
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
static eid_status note_missing(eid_core *core, const eid_id *id, size_t so_far, eid_delegation_end *end)
{
    eid_status reason;
    EID_TRY(eid_storage_was_refused(core->storage, id, &reason));
    if (reason != EID_OK)
        end->refusal = eid_fail(EID_ERR_REFUSED_BEFORE, "the delegation claims an entry that was refused");
    else if (eid_random_u64() % so_far == 0)
        end->missing = *id;
    return EID_OK;
}

static eid_status find_tree(eid_core *core, const eid_id *root, eid_tree **out, eid_delegation_end *end)
{
    eid_status status = eid_storage_tree(core->storage, root, out);
    if (status != EID_ERR_DATABASE_NOT_FOUND)
        return status;
    return note_missing(core, root, 1, end);
}

/* The numbers of the claims, ascending, without duplicates. */
static eid_status find_claims(eid_core *core, const eid_tree *tree, const eid_delegation_step *step, int64_t *claims,
                              size_t *count, eid_delegation_end *end)
{
    size_t missing = 0;
    *count = 0;
    if (step->tip_count == 0)
        end->refusal = wrong_claims(&step->tree, "no entry of it");
    for (size_t i = 0; i < step->tip_count && end->refusal == EID_OK; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(core->storage, &step->tips[i], &n, &d));
        if (n == 0)
            EID_TRY(note_missing(core, &step->tips[i], ++missing, end));
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

/* The claims have to contain the floor, and every floor there was before. */
static eid_status check_floors(eid_core *core, const stand *at, const eid_auth_delegation *record, eid_tree *tree,
                               const int64_t *claims, size_t count, eid_delegation_end *end)
{
    bool above;
    EID_TRY(eid_snapshot_contains(core, tree, claims, count, record->floor, record->floor_count, &above));
    if (above && at->tree != NULL) {
        const eid_auth_floors *floors;
        size_t floor_count;
        EID_TRY(eid_floors_at(core, at->tree, at->pins, at->pin_count, &floors));
        const eid_id *ids = eid_auth_floors_of(floors, &record->key, &floor_count);
        EID_TRY(eid_snapshot_contains(core, tree, claims, count, ids, floor_count, &above));
    }
    if (!above)
        end->refusal = wrong_claims(&record->key, "a state of it below the floor that is set for it");
    return EID_OK;
}

/* Replaces *at by where the step leads, when it leads somewhere. */
static eid_status take_step(eid_core *core, const eid_delegation_step *step, stand *at, eid_delegation_end *end)
{
    int64_t claims[EID_LIMIT_DELEGATION_TIPS];
    size_t count = 0;
    eid_tree *tree = NULL;
    const eid_auth_delegation *record = find_record(at->settings, &step->tree, end);
    if (record == NULL)
        return EID_OK;
    EID_TRY(find_tree(core, &record->tree, &tree, end));
    if (is_open(end))
        EID_TRY(find_claims(core, tree, step, claims, &count, end));
    if (is_open(end))
        EID_TRY(check_floors(core, at, record, tree, claims, count, end));
    if (!is_open(end))
        return EID_OK;
    eid_snapshot snapshot;
    stand next;
    EID_TRY(eid_snapshot_at(core, tree, claims, count, &snapshot));
    EID_TRY(stand_at(snapshot.settings, tree, snapshot.pins, snapshot.pin_count, &next));
    eid_bounds_narrow(&end->bounds, &record->bounds); /* the record dies with the stand it is of */
    stand_free(at);
    *at = next;
    return EID_OK;
}

/* ---- The path ---- */

static eid_status follow(eid_core *core, const eid_sigkey *sigkey, stand *at, eid_delegation_end *end)
{
    for (size_t i = 0; i < sigkey->path_count && is_open(end); i++)
        EID_TRY(take_step(core, &sigkey->path[i], at, end));
    if (is_open(end))
        end->settings = eid_auth_settings_ref(at->settings);
    return EID_OK;
}

eid_status eid_delegation_resolve(eid_core *core, const eid_delegation_place *start, const eid_sigkey *sigkey,
                                  eid_delegation_end *out)
{
    /* The widest bounds there are: narrowed by every step. */
    eid_delegation_end end = {.bounds = {.max = {EID_PERM_ADMIN, 0}}};
    stand at = {0};
    end.refusal = eid_auth_check_path(sigkey);
    if (end.refusal == EID_OK) {
        EID_TRY(stand_at(start->settings, start->tree, start->pins, start->pin_count, &at));
        eid_status status = follow(core, sigkey, &at, &end);
        stand_free(&at);
        EID_TRY(status);
    }
    *out = end;
    return EID_OK;
}

eid_status eid_delegation_judge(eid_core *core, const eid_delegation_place *start, const eid_entry *entry,
                                const eid_pubkey *verified_key, eid_id *missing, eid_status *refusal)
{
    eid_delegation_end end;
    EID_TRY(eid_delegation_resolve(core, start, &entry->sigkey, &end));
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

/* ---- Claiming ---- */

static eid_status claim_step(eid_core *core, eid_delegation_step *step)
{
    eid_tree *tree;
    eid_status status = eid_storage_tree(core->storage, &step->tree, &tree);
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

eid_status eid_delegation_claim(eid_core *core, const eid_sigkey *identity, eid_sigkey *out)
{
    eid_sigkey claimed;
    EID_TRY(eid_sigkey_copy(identity, &claimed));
    for (size_t i = 0; i < claimed.path_count; i++) {
        eid_status status = claim_step(core, &claimed.path[i]);
        if (status != EID_OK) {
            eid_sigkey_free(&claimed);
            return status;
        }
    }
    *out = claimed;
    return EID_OK;
}
