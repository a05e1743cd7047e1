/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation in the settings: which other databases' members have rights here, within which bounds, and how old the state
 * of the other database may be that they refer to. */
#include "store/store_int.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/cid.h"
#include "database/delegation.h"

#define PATH_SIZE (sizeof "auth.delegations." + EID_ID_TEXT_SIZE)

static void path_of(const eid_id *root, char out[PATH_SIZE])
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(root, text);
    snprintf(out, PATH_SIZE, "auth.delegations.%s", text);
}

/* ---- Floors ---- */

typedef struct floor_ids {
    eid_id *ids; /* sorted; eid_free */
    size_t count;
} floor_ids;

static eid_status present_tips(eid_core *core, const eid_id *root, floor_ids *out)
{
    char text[EID_ID_TEXT_SIZE];

    EID_TRY(eid_core_tips(core, root, &out->ids, &out->count));
    if (out->count > 0)
        return EID_OK;
    eid_free(out->ids);
    eid_id_format(root, text);
    return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "the database %s is not held here; name the entries of the floor", text);
}

static eid_status make_floor(eid_txn *txn, const eid_id *root, const eid_id *floor, size_t count, floor_ids *out)
{
    memset(out, 0, sizeof *out);
    if (floor == NULL || count == 0) {
        EID_TRY(present_tips(eid_database_core(eid_txn_database(txn)), root, out));
    } else {
        for (size_t i = 0; i < count; i++)
            if (!eid_id_is_entry(&floor[i]))
                return eid_fail(EID_ERR_INVALID_ID, "the floor of a delegation names something that is no entry");
        out->ids = eid_memdup(floor, count * sizeof *floor);
        if (out->ids == NULL)
            return eid_fail_memory();
        out->count = eid_ids_sort(out->ids, count);
    }
    if (out->count <= EID_LIMIT_DELEGATION_TIPS)
        return EID_OK;
    eid_free(out->ids);
    return eid_fail(EID_ERR_LIMIT, "a floor of %zu entries is more than the %d a signature can claim; commit something to the"
                                   " other database to join them",
                    out->count, EID_LIMIT_DELEGATION_TIPS);
}

/* Numbers of the entries, ascending; lock held. */
static eid_status number_floor(eid_core *core, const eid_tree *tree, const floor_ids *floor, int64_t *out)
{
    for (size_t i = 0; i < floor->count; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(core->storage, &floor->ids[i], &n, &d));
        if (n == 0)
            return eid_fail(EID_ERR_ENTRY_NOT_FOUND, "an entry of the floor is not held here");
        if (d != tree->d)
            return eid_fail(EID_ERR_INVALID_TIP, "an entry of the floor belongs to another database");
        out[i] = n;
    }
    eid_numbers_sort(out, floor->count);
    return EID_OK;
}

static eid_status check_contains(eid_core *core, const eid_auth_delegation *record, const floor_ids *floor)
{
    int64_t numbers[EID_LIMIT_DELEGATION_TIPS];
    eid_tree *tree;
    bool contains;

    EID_TRY(eid_storage_tree(core->storage, &record->tree, &tree));
    EID_TRY(number_floor(core, tree, floor, numbers));
    EID_TRY(eid_snapshot_contains(eid_core_storage(core), tree, numbers, floor->count, record->floor, record->floor_count, &contains));
    if (!contains)
        return eid_fail(EID_ERR_INVALID_TIP, "the new floor of the delegation does not contain the one it has");
    return EID_OK;
}

/* ---- Staging ---- */

static eid_status stage(eid_txn *txn, const eid_id *root, const eid_id *tree, const floor_ids *floor, const eid_bounds *bounds)
{
    char path[PATH_SIZE];
    eid_doc *record;

    EID_TRY(eid_auth_delegation_to_doc(tree, floor->ids, floor->count, bounds, &record));
    path_of(root, path);
    return eid_settings_stage_record(txn, path, record);
}

static eid_status make_bounds(eid_permission max, const eid_permission *min, eid_bounds *out)
{
    eid_bounds bounds = {.max = max, .has_min = min != NULL};

    EID_TRY(eid_settings_check_permission(max));
    if (min != NULL) {
        EID_TRY(eid_settings_check_permission(*min));
        bounds.min = *min;
    }
    if (!eid_bounds_valid(&bounds))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the least permission of a delegation is above the greatest one");
    *out = bounds;
    return EID_OK;
}

static eid_status read_record(eid_txn *txn, const eid_id *root, bool *there)
{
    char path[PATH_SIZE];
    eid_value *value = NULL;

    path_of(root, path);
    eid_status status = eid_settings_get(txn, path, &value);
    eid_value_free(value);
    *there = status == EID_OK;
    return status == EID_ERR_KEY_NOT_FOUND ? EID_OK : status;
}

static eid_status not_delegated(const eid_id *root)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(root, text);
    return eid_fail(EID_ERR_KEY_NOT_FOUND, "nothing is delegated to the database %s", text);
}

eid_status eid_settings_add_delegation(eid_txn *txn, const eid_id *root, const eid_id *floor, size_t floor_count,
                                       eid_permission max, const eid_permission *min)
{
    EID_NEED(txn && root && (floor || floor_count == 0));
    eid_bounds bounds;
    floor_ids made;
    bool there;

    if (!eid_id_is_entry(root))
        return eid_fail(EID_ERR_INVALID_ID, "the database to delegate to is not named by the ID of an entry");
    EID_TRY(make_bounds(max, min, &bounds));
    EID_TRY(read_record(txn, root, &there));
    if (there)
        return eid_fail(EID_ERR_ALREADY_EXISTS, "rights are delegated to that database already");
    EID_TRY(make_floor(txn, root, floor, floor_count, &made));
    eid_status status = stage(txn, root, root, &made, &bounds);
    eid_free(made.ids);
    return status;
}

/* The record; unref *settings, which it is lent by. */
static eid_status find_record(eid_txn *txn, const eid_id *root, eid_auth_settings **settings, const eid_auth_delegation **out)
{
    eid_auth_settings *found;
    eid_status status = EID_OK;

    EID_TRY(eid_settings_auth(txn, &found));
    *out = eid_auth_settings_delegation(found, root);
    if (*out == NULL)
        status = not_delegated(root);
    else if ((*out)->problem != NULL)
        status = eid_fail(EID_ERR_CORRUPTED_AUTH, "the delegation can not be used: %s; remove it and add it anew",
                          (*out)->problem);
    if (status != EID_OK) {
        eid_auth_settings_unref(found);
        return status;
    }
    *settings = found;
    return EID_OK;
}

eid_status eid_settings_raise_delegation(eid_txn *txn, const eid_id *root, const eid_id *floor, size_t floor_count)
{
    EID_NEED(txn && root && (floor || floor_count == 0));
    eid_core *core = eid_database_core(eid_txn_database(txn));
    const eid_auth_delegation *record;
    eid_auth_settings *settings;
    floor_ids made;

    EID_TRY(find_record(txn, root, &settings, &record));
    eid_status status = make_floor(txn, &record->tree, floor, floor_count, &made);
    if (status == EID_OK) {
        eid_storage_lock(core->storage);
        status = check_contains(core, record, &made);
        eid_storage_unlock(core->storage);
        if (status == EID_OK)
            status = stage(txn, root, &record->tree, &made, &record->bounds);
        eid_free(made.ids);
    }
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_bound_delegation(eid_txn *txn, const eid_id *root, eid_permission max, const eid_permission *min)
{
    EID_NEED(txn && root);
    const eid_auth_delegation *record;
    eid_auth_settings *settings;
    eid_bounds bounds;

    EID_TRY(make_bounds(max, min, &bounds));
    EID_TRY(find_record(txn, root, &settings, &record));
    floor_ids same = {record->floor, record->floor_count};
    eid_status status = stage(txn, root, &record->tree, &same, &bounds);
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_remove_delegation(eid_txn *txn, const eid_id *root)
{
    EID_NEED(txn && root);
    char path[PATH_SIZE];
    bool there;

    EID_TRY(read_record(txn, root, &there));
    if (!there)
        return not_delegated(root);
    path_of(root, path);
    return eid_settings_stage_record(txn, path, NULL);
}

/* ---- Reading ---- */

static eid_delegation_info info_of(const eid_auth_delegation *record)
{
    return (eid_delegation_info){.root = record->key,
                                 .max = record->bounds.max,
                                 .has_min = record->bounds.has_min,
                                 .min = record->bounds.min,
                                 .floor = record->floor,
                                 .floor_count = record->floor_count};
}

eid_status eid_settings_get_delegation(eid_txn *txn, const eid_id *root, eid_delegation_info **out)
{
    EID_NEED(txn && root && out);
    const eid_auth_delegation *record;
    eid_auth_settings *settings;
    eid_status status = EID_OK;

    EID_TRY(find_record(txn, root, &settings, &record));
    eid_delegation_info *info = eid_alloc(sizeof *info + record->floor_count * sizeof *record->floor);
    if (info == NULL) {
        status = eid_fail_memory();
    } else {
        eid_id *floor = (eid_id *)(void *)(info + 1);
        if (record->floor_count > 0)
            memcpy(floor, record->floor, record->floor_count * sizeof *floor);
        *info = info_of(record);
        info->floor = floor;
        *out = info;
    }
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_each_delegation(eid_txn *txn, const eid_id *after, eid_delegation_callback callback, void *ctx)
{
    EID_NEED(txn && callback);
    eid_auth_settings *settings;
    bool wanted = true;

    EID_TRY(eid_settings_auth(txn, &settings));
    for (size_t i = 0; i < eid_auth_settings_delegation_count(settings) && wanted; i++) {
        const eid_auth_delegation *record = eid_auth_settings_delegation_at(settings, i);
        if (record->problem != NULL || (after != NULL && eid_id_compare_text(&record->key, after) <= 0))
            continue;
        eid_delegation_info info = info_of(record);
        wanted = callback(&info, ctx);
    }
    eid_auth_settings_unref(settings);
    return EID_OK;
}
