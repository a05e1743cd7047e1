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

/* Rows of a key's log, or of the order by height. */
typedef struct source {
    eid_sql_stmt *stmt;
    eid_order order;
} source;

static int64_t first_height(const eid_places *places)
{
    if (places->has_place)
        return places->place.height > INT64_MAX ? INT64_MAX : (int64_t)places->place.height;
    return places->newest_first ? INT64_MAX : INT64_MIN;
}

static eid_status open_source(const eid_places *places, eid_storage *storage, const eid_tree_store *store, source *out)
{
    out->stmt = NULL;
    if (!places->of_key)
        return eid_storage_order_start(storage, store, places->newest_first, first_height(places),
                                       places->newest_first ? INT64_MAX : 0, &out->order); /* all of that height */
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "SELECT height, n FROM touch WHERE s = ? AND key = ? AND height <= ? ORDER BY height DESC, n DESC",
                            &out->stmt));
    eid_sql_bind_i64(out->stmt, 1, store->s);
    eid_sql_bind_blob(out->stmt, 2, places->key);
    eid_sql_bind_i64(out->stmt, 3, first_height(places));
    return EID_OK;
}

static eid_status next_place(source *from, eid_node *out, bool *found)
{
    int64_t height = 0;
    if (from->stmt == NULL) {
        EID_TRY(eid_storage_order_next(&from->order, &height, &out->n, found));
    } else {
        EID_TRY(eid_sql_step(from->stmt, found));
        height = *found ? eid_sql_i64(from->stmt, 0) : 0;
        out->n = *found ? eid_sql_i64(from->stmt, 1) : 0;
    }
    out->height = (uint64_t)height;
    return EID_OK;
}

static void close_source(source *from)
{
    if (from->stmt == NULL)
        eid_storage_order_stop(&from->order);
    else
        eid_sql_reset(from->stmt);
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

/* The last write of a key stands in its cell. */
static eid_status consider_cell(eid_places *places, eid_storage *storage, int64_t s)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_node node = {0};
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT height, n FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_blob(stmt, 2, places->key);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    node.height = (uint64_t)eid_sql_i64(stmt, 0);
    node.n = eid_sql_i64(stmt, 1);
    eid_sql_reset(stmt);
    EID_TRY(eid_storage_id(storage, node.n, &node.id));
    consider(places, &node);
    return EID_OK;
}

/* Rows come by height, so once the window is full and a height ends, nothing behind can belong to it. */
static eid_status fill_from(eid_places *places, eid_storage *storage, source *from)
{
    uint64_t last_height = 0;
    for (;;) {
        bool found;
        eid_node node;
        EID_TRY(next_place(from, &node, &found));
        if (!found)
            return EID_OK;
        if (places->count >= places->wanted && node.height != last_height) {
            places->done = false;
            return EID_OK;
        }
        EID_TRY(eid_storage_id(storage, node.n, &node.id));
        last_height = node.height;
        consider(places, &node);
    }
}

static eid_status fill(eid_places *places, eid_storage *storage, const eid_tree_store *store)
{
    source from;
    places->count = 0;
    places->at = 0;
    places->done = true;
    if (places->of_key)
        EID_TRY(consider_cell(places, storage, store->s));
    EID_TRY(open_source(places, storage, store, &from));
    eid_status status = fill_from(places, storage, &from);
    close_source(&from);
    EID_TRY(status);
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
        eid_status status = fill(places, storage, store);
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
