/* SPDX-License-Identifier: Apache-2.0 */
/* Reading state: from cells where the view is current, else by folding what the view contains. */
#include "state/cells_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"
#include "crypto/key.h"

static eid_status parse_decoded(const eid_decoder *decoder, eid_slice payload, eid_doc **out)
{
    eid_buf text;
    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_status status = decoder->decode(decoder->ctx, payload, &text);
    if (status == EID_OK)
        status = eid_doc_parse(eid_buf_slice(&text), out);
    eid_buf_free_secret(&text);
    return status;
}

eid_status eid_state_payload(eid_storage *storage, const eid_tree_store *store, const eid_decoder *decoder, int64_t n,
                             eid_doc **out)
{
    eid_entry *entry;
    EID_TRY(eid_storage_load(storage, n, &entry));
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_of(store->name, store->name_len));
    eid_status status = EID_OK;
    *out = NULL;
    if (subtree != NULL && subtree->has_data && subtree->data_len > 0) {
        eid_slice payload = eid_slice_of(subtree->data, subtree->data_len);
        status = decoder == NULL ? eid_doc_parse(payload, out) : parse_decoded(decoder, payload, out);
        if (status != EID_OK && status != EID_ERR_NO_MEMORY) {
            *out = NULL;
            status = EID_OK;
        }
    }
    eid_entry_unref(entry);
    return status;
}

/* ---- One key ---- */

static eid_status read_touches(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_nodes *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "SELECT height, n FROM touch WHERE s = ?1 AND key = ?2"
                            " UNION ALL SELECT height, n FROM cell WHERE s = ?1 AND key = ?2",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_node node = {.n = eid_sql_i64(stmt, 1), .height = (uint64_t)eid_sql_i64(stmt, 0)};
        eid_status status = eid_storage_id(storage, node.n, &node.id);
        if (status == EID_OK && !(store->has_barrier && eid_node_compare(&node, &store->barrier) < 0))
            status = eid_nodes_add(out, &node);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_state_touches(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_nodes *out)
{
    EID_TRY(read_touches(storage, store, key, out));
    eid_nodes_sort(out->items, out->count);
    /* While a key is folded again its cell's place stands in the log too. */
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || out->items[kept - 1].n != out->items[i].n)
            out->items[kept++] = out->items[i];
    out->count = kept;
    return EID_OK;
}

bool eid_value_is_leaf(const eid_value *value)
{
    eid_value_kind kind = eid_value_get_kind(value);
    return kind != EID_VALUE_DOC && kind != EID_VALUE_LIST;
}

/* Whether the value makes everything before it irrelevant: leaves and atomic Docs. */
static bool replaces_all(const eid_value *value)
{
    const eid_doc *doc;
    if (eid_value_get_kind(value) == EID_VALUE_DOC)
        return eid_value_as_doc(value, &doc) == EID_OK && eid_doc_is_atomic(doc);
    return eid_value_is_leaf(value);
}

eid_status eid_state_load_child(eid_storage *storage, const eid_tree_store *store, eid_slice key, int64_t n, eid_value **out)
{
    eid_doc *doc;
    *out = NULL;
    EID_TRY(eid_state_payload(storage, store, NULL, n, &doc));
    if (doc != NULL)
        *out = eid_doc_take_child(doc, key);
    eid_doc_free(doc);
    return EID_OK;
}

/* The cell's value when it is what the view shows; *usable false when the key has to be folded. */
static eid_status child_from_cell(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice key,
                                  eid_slice path, bool *usable, eid_value **out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT newest, value FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    EID_TRY(eid_sql_step(stmt, &row));
    *out = NULL;
    *usable = true;
    if (!row)
        return EID_OK;
    eid_status status = EID_OK;
    eid_cells cells = eid_cells_of(storage, store);
    if (eid_sql_i64(stmt, 0) <= view->up_to)
        status = eid_cell_along(&cells, key, path, eid_sql_bytes(stmt, 1), out);
    else
        *usable = false;
    eid_sql_reset(stmt);
    return status;
}

static eid_status child_from_doc(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice key, eid_value **out)
{
    eid_doc *doc;
    EID_TRY(eid_state_doc(storage, store, view, &doc));
    *out = eid_doc_take_child(doc, key);
    eid_doc_free(doc);
    return EID_OK;
}

/* Whether every key the view shows has a cell, though perhaps with a newer value. A barrier that came later has wiped cells
 * the view still shows. */
static bool cells_know_keys(const eid_view *view, const eid_tree_store *store)
{
    return view->members == NULL && !(store->has_barrier && store->barrier.n > view->up_to);
}

/* ---- One key in the past ---- */

/* Reads the places of a key from the last to the first, no further than to a value that replaces everything before it: a
 * key everybody writes costs what was written since, not all that ever was. */
typedef struct rewind {
    eid_storage *storage;
    const eid_tree_store *store;
    eid_slice key;
    int64_t up_to;
    eid_nodes group;     /* places of one height, still to be put in order */
    eid_value **values;  /* the last one first */
    size_t count;
    size_t capacity;
    bool enough;
} rewind;

static eid_status keep_value(rewind *r, eid_value *value)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity == 0 ? 8 : r->capacity * 2;
        eid_value **grown = eid_realloc_array(r->values, capacity, sizeof(eid_value *));
        if (grown == NULL) {
            eid_value_free(value);
            return eid_fail_memory();
        }
        r->values = grown;
        r->capacity = capacity;
    }
    r->values[r->count++] = value;
    r->enough = replaces_all(value);
    return EID_OK;
}

static eid_status load_group(rewind *r)
{
    eid_nodes_sort(r->group.items, r->group.count);
    while (r->group.count > 0 && !r->enough) {
        eid_value *value;
        EID_TRY(eid_state_load_child(r->storage, r->store, r->key, r->group.items[--r->group.count].n, &value));
        if (value != NULL)
            EID_TRY(keep_value(r, value));
    }
    r->group.count = 0;
    return EID_OK;
}

static eid_status take_place(rewind *r, eid_sql_stmt *stmt)
{
    eid_node node = {.n = eid_sql_i64(stmt, 1), .height = (uint64_t)eid_sql_i64(stmt, 0)};
    if (r->group.count > 0 && r->group.items[0].height != node.height)
        EID_TRY(load_group(r));
    if (node.n > r->up_to || r->enough)
        return EID_OK;
    EID_TRY(eid_storage_id(r->storage, node.n, &node.id));
    if (r->store->has_barrier && eid_node_compare(&node, &r->store->barrier) < 0)
        return EID_OK;
    return eid_nodes_add(&r->group, &node);
}

static eid_status take_places(rewind *r, const char *text)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(r->storage), text, &stmt));
    eid_sql_bind_i64(stmt, 1, r->store->s);
    eid_sql_bind_blob(stmt, 2, r->key);
    while (!r->enough) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_status status = take_place(r, stmt);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
    eid_sql_reset(stmt);
    return EID_OK;
}

/* The key without what came later; *out NULL when there was nothing. */
static eid_status fold_past(eid_storage *storage, const eid_tree_store *store, eid_slice key, int64_t up_to, eid_value **out)
{
    rewind r = {.storage = storage, .store = store, .key = key, .up_to = up_to};
    /* The cell stands at the last place of all. */
    eid_status status = take_places(&r, "SELECT height, n FROM cell WHERE s = ? AND key = ?");
    if (status == EID_OK)
        status = take_places(&r, "SELECT height, n FROM touch WHERE s = ? AND key = ? ORDER BY height DESC");
    if (status == EID_OK)
        status = load_group(&r);
    eid_value *value = NULL;
    while (r.count > 0) {
        eid_value *next = r.values[--r.count];
        if (status == EID_OK)
            status = eid_value_merge(&value, next);
        eid_value_free(next);
    }
    eid_free(r.values);
    eid_free(r.group.items);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    *out = value;
    return EID_OK;
}

static eid_status read_past(eid_storage *storage, eid_tree_store *store, eid_slice key, eid_slice path, int64_t up_to,
                            eid_value **out)
{
    eid_cells cells = eid_cells_of(storage, store);
    bool known;
    EID_TRY(eid_kept_read(&cells, key, path, up_to, &known, out));
    return known ? EID_OK : fold_past(storage, store, key, up_to, out);
}

/* ---- Reading one key ---- */

static eid_status read_key(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice key, eid_slice path,
                           eid_value **out)
{
    if (!cells_know_keys(view, store))
        return child_from_doc(storage, store, view, key, out);
    bool usable;
    EID_TRY(child_from_cell(storage, store, view, key, path, &usable, out));
    return usable ? EID_OK : read_past(storage, store, key, path, view->up_to, out);
}

eid_status eid_state_child(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice key, eid_value **out)
{
    return read_key(storage, store, view, key, eid_slice_of(NULL, 0), out);
}

eid_status eid_state_along(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice path, eid_value **out)
{
    eid_slice key;
    *out = NULL;
    return eid_path_split(&path, &key) ? read_key(storage, store, view, key, path, out) : EID_OK;
}

/* ---- Whole documents ---- */

static eid_status fold(eid_storage *storage, eid_tree_store *store, const eid_decoder *decoder, const eid_node *nodes,
                       size_t count, eid_doc **out)
{
    eid_doc *state;
    EID_TRY(eid_doc_new(&state));
    for (size_t i = 0; i < count; i++) {
        eid_doc *doc = NULL;
        eid_status status = eid_state_payload(storage, store, decoder, nodes[i].n, &doc);
        if (status == EID_OK && doc != NULL)
            status = eid_doc_merge(state, doc);
        eid_doc_free(doc);
        if (status != EID_OK) {
            eid_doc_free(state);
            return status;
        }
    }
    *out = state;
    return EID_OK;
}

typedef struct gathering {
    eid_nodes *nodes;
    eid_status status;
} gathering;

static bool gather(const eid_participation *part, void *ctx)
{
    gathering *g = ctx;
    eid_node node = {.n = part->n, .height = part->height};
    if (part->has_data)
        g->status = eid_nodes_add(g->nodes, &node);
    return g->status == EID_OK;
}

eid_status eid_state_arrived(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to, eid_nodes *nodes)
{
    gathering g = {nodes, EID_OK};
    EID_TRY(eid_storage_each_participation(storage, store, after, up_to, gather, &g));
    EID_TRY(g.status);
    for (size_t i = 0; i < nodes->count; i++)
        EID_TRY(eid_storage_id(storage, nodes->items[i].n, &nodes->items[i].id));
    eid_nodes_sort(nodes->items, nodes->count);
    return EID_OK;
}

/* What had arrived by a moment is closed under parents, so every participant of it counts. */
static eid_status fold_arrived(eid_storage *storage, eid_tree_store *store, const eid_decoder *decoder, int64_t up_to,
                               eid_doc **out)
{
    eid_nodes nodes = {NULL, 0, 0};
    eid_status status = eid_state_arrived(storage, store, 0, up_to, &nodes);
    if (status == EID_OK)
        status = fold(storage, store, decoder, nodes.items, nodes.count, out);
    eid_free(nodes.items);
    return status;
}

/* Of a closure, the participants whose payloads count. */
static eid_status keep_counting(eid_storage *storage, const eid_tree_store *store, eid_node *nodes, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool counts;
        EID_TRY(eid_storage_has_data(storage, store, nodes[i].n, &counts));
        if (counts)
            nodes[kept++] = nodes[i];
    }
    *count = kept;
    return EID_OK;
}

static eid_status fold_members(eid_storage *storage, eid_tree_store *store, const eid_decoder *decoder, const eid_view *view,
                               eid_doc **out)
{
    eid_node *tips = NULL, *nodes = NULL;
    int64_t *numbers = NULL;
    size_t tip_count = 0, count = 0;
    eid_status status = eid_state_tips(storage, store, view, &tips, &tip_count);
    if (status == EID_OK) {
        numbers = eid_realloc_array(NULL, tip_count + 1, sizeof *numbers);
        status = numbers == NULL ? eid_fail_memory() : EID_OK;
    }
    if (status == EID_OK) {
        for (size_t i = 0; i < tip_count; i++)
            numbers[i] = tips[i].n;
        status = eid_state_closure_up_to(storage, store, view->up_to, numbers, tip_count, &nodes, &count);
    }
    if (status == EID_OK)
        status = keep_counting(storage, store, nodes, &count);
    if (status == EID_OK)
        status = fold(storage, store, decoder, nodes, count, out);
    eid_free(nodes);
    eid_free(numbers);
    eid_free(tips);
    return status;
}

eid_status eid_state_doc_decoded(eid_storage *storage, eid_tree_store *store, const eid_view *view, const eid_decoder *decoder,
                                 eid_doc **out)
{
    if (view->members != NULL)
        return fold_members(storage, store, decoder, view, out);
    return fold_arrived(storage, store, decoder, view->up_to, out);
}

/* Cells a slice: enough to make the statement's start cheap, little enough to stay small. */
#define SLICE 256

/* Moves the cell into the document, or what the key held before somebody touched it later. */
static eid_status put_cell(eid_storage *storage, const eid_tree_store *store, int64_t up_to, eid_cell *cell, eid_doc *doc)
{
    eid_slice key = eid_slice_of(cell->key, cell->key_len);
    if (cell->newest > up_to) {
        eid_value *past;
        EID_TRY(fold_past(storage, store, key, up_to, &past));
        eid_value_free(cell->value);
        cell->value = past;
    }
    if (cell->value != NULL) {
        EID_TRY(eid_doc_put_child(doc, key, cell->value));
        cell->value = NULL;
    }
    return EID_OK;
}

static eid_status put_slices(eid_storage *storage, eid_tree_store *store, int64_t up_to, eid_buf *last, eid_doc *doc)
{
    eid_cell cells[SLICE];
    size_t count;
    eid_status status = EID_OK;
    do {
        eid_slice after = eid_buf_slice(last);
        EID_TRY(eid_state_cells(storage, store, last->data == NULL ? NULL : &after, SLICE, cells, &count));
        if (count == SLICE) {
            eid_buf_reset(last);
            eid_buf_append(last, cells[count - 1].key, cells[count - 1].key_len);
            status = eid_buf_status(last);
        }
        for (size_t i = 0; i < count && status == EID_OK; i++)
            status = put_cell(storage, store, up_to, &cells[i], doc);
        eid_cells_free(cells, count);
    } while (status == EID_OK && count == SLICE);
    return status;
}

/* The cost is that of the cells, and of the keys touched after the view; not of the history. */
eid_status eid_state_doc(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_doc **out)
{
    if (!cells_know_keys(view, store))
        return eid_state_doc_decoded(storage, store, view, NULL, out);
    eid_doc *doc;
    EID_TRY(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, store->has_barrier);
    eid_buf last;
    eid_buf_init(&last, SIZE_MAX / 2);
    eid_status status = put_slices(storage, store, view->up_to, &last, doc);
    eid_buf_free(&last);
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

static eid_status read_cells(const eid_cells *cells, eid_sql_stmt *stmt, eid_cell *out, size_t *count)
{
    *count = 0;
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_slice key = eid_sql_bytes(stmt, 0);
        eid_cell cell = {.key = eid_memdup(key.data, key.len), .key_len = key.len, .newest = eid_sql_i64(stmt, 2)};
        eid_status status = cell.key == NULL ? eid_fail_memory() : eid_cell_value(cells, key, eid_sql_bytes(stmt, 1), &cell.value);
        if (status != EID_OK) {
            eid_free(cell.key);
            eid_sql_reset(stmt);
            return status;
        }
        out[(*count)++] = cell;
    }
}

eid_status eid_state_cells(eid_storage *storage, eid_tree_store *store, const eid_slice *after, size_t limit, eid_cell *out,
                           size_t *count)
{
    eid_sql_stmt *stmt;
    eid_sql *sql = eid_storage_sql(storage);
    if (after != NULL) {
        EID_TRY(eid_sql_prepare(sql, "SELECT key, value, newest FROM cell WHERE s = ? AND key > ? ORDER BY key LIMIT ?", &stmt));
        eid_sql_bind_blob(stmt, 2, *after);
        eid_sql_bind_i64(stmt, 3, (int64_t)limit);
    } else {
        EID_TRY(eid_sql_prepare(sql, "SELECT key, value, newest FROM cell WHERE s = ? ORDER BY key LIMIT ?", &stmt));
        eid_sql_bind_i64(stmt, 2, (int64_t)limit);
    }
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_cells cells = eid_cells_of(storage, store);
    eid_status status = read_cells(&cells, stmt, out, count);
    if (status != EID_OK) {
        eid_cells_free(out, *count);
        *count = 0;
    }
    return status;
}

void eid_cells_free(eid_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_free(cells[i].key);
        eid_value_free(cells[i].value);
    }
}
