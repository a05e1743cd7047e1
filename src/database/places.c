/* SPDX-License-Identifier: Apache-2.0 */
/* Windows over entries in the order of the fold, see places.h. */
#include "database/places.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

#define FIRST_WINDOW 4
#define GROWTH 4

void eid_places_free(eid_places *places)
{
    eid_free(places->nodes);
    places->nodes = NULL;
}

int eid_places_compare(const eid_node *a, const eid_node *b)
{
    if (a->height != b->height)
        return a->height < b->height ? -1 : 1;
    return eid_id_compare_text(&a->id, &b->id);
}

static int compare_in_direction(const eid_places *places, const eid_node *a, const eid_node *b)
{
    int order = eid_places_compare(a, b);
    return places->newest_first ? -order : order;
}

static eid_status prepare_key(eid_places *places, eid_sql *sql, int64_t s, int64_t from, eid_sql_stmt **out)
{
    EID_TRY(eid_sql_prepare(sql,
                            "SELECT height, n FROM touch WHERE s = ? AND key = ? AND height <= ? ORDER BY height DESC, n DESC",
                            out));
    eid_sql_bind_i64(*out, 1, s);
    eid_sql_bind_blob(*out, 2, places->key);
    eid_sql_bind_i64(*out, 3, from);
    return EID_OK;
}

static eid_status prepare(eid_places *places, eid_sql *sql, int64_t s, eid_sql_stmt **out)
{
    int64_t from = places->newest_first ? INT64_MAX : INT64_MIN;
    if (places->has_place)
        from = places->place.height > INT64_MAX ? INT64_MAX : (int64_t)places->place.height;
    if (places->of_key)
        return prepare_key(places, sql, s, from, out);
    if (places->newest_first)
        EID_TRY(eid_sql_prepare(sql,
                                "SELECT height, n FROM part WHERE s = ? AND height <= ? ORDER BY height DESC, n DESC",
                                out));
    else
        EID_TRY(eid_sql_prepare(sql,
                                "SELECT height, n FROM part WHERE s = ? AND height >= ? ORDER BY height, n",
                                out));
    eid_sql_bind_i64(*out, 1, s);
    eid_sql_bind_i64(*out, 2, from);
    return EID_OK;
}

/* Sorts the window and drops what does not fit into it. Fold order is ascending; newest first is its mirror. */
static void settle(eid_places *places)
{
    eid_nodes_sort(places->nodes, places->count);
    if (places->newest_first)
        for (size_t i = 0; i < places->count / 2; i++) {
            eid_node swap = places->nodes[i];
            places->nodes[i] = places->nodes[places->count - 1 - i];
            places->nodes[places->count - 1 - i] = swap;
        }
    if (places->count > places->wanted) {
        places->count = places->wanted;
        places->done = false;
    }
}

/* The node goes into the window when it is wanted and lies behind the place. The array has room for two windows, so that
 * sorting is rare. */
static void consider(eid_places *places, const eid_node *node)
{
    if (node->n > places->up_to)
        return;
    if (places->sides != NULL && (eid_sides_of(places->sides, node->n) & places->side) == 0)
        return;
    if (places->has_place && compare_in_direction(places, node, &places->place) <= 0)
        return;
    places->nodes[places->count++] = *node;
    if (places->count == 2 * places->wanted)
        settle(places);
}

static eid_status read_row(eid_storage *storage, eid_sql_stmt *stmt, eid_node *out)
{
    out->height = (uint64_t)eid_sql_i64(stmt, 0);
    out->n = eid_sql_i64(stmt, 1);
    return eid_storage_id(storage, out->n, &out->id);
}

/* The last write of a key stands in its cell. */
static eid_status consider_cell(eid_places *places, eid_storage *storage, int64_t s)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "SELECT height, n FROM cell WHERE s = ? AND key = ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_blob(stmt, 2, places->key);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_node node;
    eid_status status = read_row(storage, stmt, &node);
    eid_sql_reset(stmt);
    if (status == EID_OK)
        consider(places, &node);
    return status;
}

/* Rows come by height, so once the window is full and a height ends, nothing behind can belong to it. */
static eid_status fill(eid_places *places, eid_storage *storage, int64_t s)
{
    eid_sql *sql = eid_storage_sql(storage);
    eid_sql_stmt *stmt;
    places->count = 0;
    places->at = 0;
    places->done = true;
    if (places->of_key)
        EID_TRY(consider_cell(places, storage, s));
    EID_TRY(prepare(places, sql, s, &stmt));
    uint64_t last_height = 0;
    for (;;) {
        bool row;
        eid_node node;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            break;
        eid_status status = read_row(storage, stmt, &node);
        if (status == EID_OK && places->count >= places->wanted && node.height != last_height) {
            places->done = false;
            eid_sql_reset(stmt);
            break;
        }
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
        last_height = node.height;
        consider(places, &node);
    }
    settle(places);
    return EID_OK;
}

static eid_status grow(eid_places *places)
{
    size_t wanted = places->wanted == 0 ? FIRST_WINDOW : places->wanted * GROWTH;
    if (wanted > EID_LIMIT_HISTORY_WINDOW)
        return EID_OK;
    eid_node *grown = eid_realloc_array(places->nodes, 2 * wanted, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    places->nodes = grown;
    places->wanted = wanted;
    return EID_OK;
}

eid_status eid_places_next(eid_places *places, eid_storage *storage, const eid_tree_store *store, eid_node *out, bool *found)
{
    if (places->at == places->count && !places->done && store != NULL) {
        EID_TRY(grow(places));
        eid_status status = fill(places, storage, store->s);
        if (status != EID_OK) {
            places->count = 0;
            places->at = 0;
            places->done = false;
            return status;
        }
    }
    *found = places->at < places->count;
    if (*found) {
        *out = places->nodes[places->at++];
        places->place = *out;
        places->has_place = true;
    }
    return EID_OK;
}
