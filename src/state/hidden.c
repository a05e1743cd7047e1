/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a store whose payloads only a session can read: the same cells as in cells.c, kept in guarded memory.
 *
 * A cell holds its merged value and the place (height, n) of the last entry that touched the key. Entries that arrived
 * since are taken in, sorted among themselves. One that sorts before a cell's place changes nothing when the cell is a
 * leaf; else the whole store is folded again, because there is no log of who touched what: it would have to be kept in
 * guarded memory too, for a case that needs concurrent changes inside one document.
 */
#include "state/state_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "crypto/key.h"
#include "crypto/vault.h"

struct eid_hidden_state {
    eid_vault *cells;      /* key -> height and n, 8 bytes each, and the stored form of the value */
    int64_t done;          /* every participant up to this number is in */
    int64_t newest;        /* the largest number of one that is in */
    eid_node last;         /* the last one in fold order; n 0: none yet */
    bool has_barrier;
    eid_node barrier;
    uint64_t left_out;
};

/* What one call of follow works with. */
typedef struct following {
    eid_hidden_state *state;
    eid_storage *storage;
    eid_tree_store *store;
    const eid_decoder *decoder;
    bool again; /* an entry came late, and its effect is not known without folding again */
} following;

eid_status eid_hidden_state_new(eid_hidden_state **out)
{
    eid_hidden_state *state = eid_alloc_zero(1, sizeof *state);
    if (state == NULL)
        return eid_fail_memory();
    eid_status status = eid_vault_new(EID_LIMIT_HIDDEN_STATE_BYTES, &state->cells);
    if (status != EID_OK) {
        eid_free(state);
        return status;
    }
    *out = state;
    return EID_OK;
}

void eid_hidden_state_free(eid_hidden_state *state)
{
    if (state == NULL)
        return;
    eid_vault_free(state->cells);
    eid_free(state);
}

static void forget(eid_hidden_state *state)
{
    eid_vault *cells = state->cells;
    eid_vault_clear(cells);
    *state = (eid_hidden_state){.cells = cells};
}

/* ---- Cells ---- */

#define PLACE_LEN 16

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

static eid_slice text_of(eid_slice cell)
{
    return eid_slice_of(cell.data + PLACE_LEN, cell.len - PLACE_LEN);
}

static eid_status put_cell(eid_hidden_state *state, const eid_node *node, eid_slice key, const eid_value *value)
{
    eid_buf cell;
    eid_buf_init(&cell, SIZE_MAX / 2);
    eid_buf_append(&cell, &node->height, sizeof node->height);
    eid_buf_append(&cell, &node->n, sizeof node->n);
    eid_value_write(&cell, value);
    eid_status status = eid_buf_status(&cell);
    if (status == EID_OK)
        status = eid_vault_put(state->cells, key, eid_buf_slice(&cell));
    eid_buf_free_secret(&cell);
    return status;
}

/* Whether the node sorts behind the cell's place. Equal heights are rare enough to fetch the other ID then. */
static eid_status sorts_behind(const following *f, const eid_node *node, eid_slice cell, bool *out)
{
    eid_node other = {.height = read_u64(cell.data), .n = (int64_t)read_u64(cell.data + 8)};
    if (node->height == other.height)
        EID_TRY(eid_storage_id(f->storage, other.n, &other.id));
    *out = eid_node_compare(node, &other) > 0;
    return EID_OK;
}

static eid_status take_child(following *f, const eid_node *node, eid_slice key, const eid_value *value)
{
    eid_slice cell;
    if (!eid_vault_get(f->state->cells, key, &cell))
        return put_cell(f->state, node, key, value);
    bool behind;
    eid_value *merged = NULL;
    EID_TRY(sorts_behind(f, node, cell, &behind));
    if (behind && eid_value_is_leaf(value))
        return put_cell(f->state, node, key, value);
    EID_TRY(eid_value_parse(text_of(cell), &merged));
    eid_status status = EID_OK;
    if (behind) {
        status = eid_value_merge(&merged, value);
        if (status == EID_OK)
            status = put_cell(f->state, node, key, merged);
    } else {
        f->again = f->again || !eid_value_is_leaf(merged);
    }
    eid_value_free(merged);
    return status;
}

/* ---- Entries ---- */

static eid_status take_doc(following *f, const eid_node *node, const eid_doc *doc)
{
    eid_hidden_state *state = f->state;
    if (state->has_barrier && eid_node_compare(node, &state->barrier) < 0)
        return EID_OK;
    if (eid_doc_is_atomic(doc)) {
        /* Everything that sorts before it stops counting; what sorts behind it and is in already does not. */
        f->again = f->again || (state->last.n != 0 && eid_node_compare(node, &state->last) < 0);
        state->has_barrier = true;
        state->barrier = *node;
        eid_vault_clear(state->cells);
    }
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value))
        EID_TRY(take_child(f, node, eid_slice_of(key, key_len), value));
    return EID_OK;
}

static eid_status take_entry(following *f, const eid_node *node)
{
    eid_hidden_state *state = f->state;
    eid_doc *doc = NULL;
    EID_TRY(eid_state_payload(f->storage, f->store, f->decoder, node->n, &doc));
    eid_status status = EID_OK;
    if (doc == NULL)
        state->left_out++;
    else
        status = take_doc(f, node, doc);
    eid_doc_free(doc);
    if (state->last.n == 0 || eid_node_compare(node, &state->last) > 0)
        state->last = *node;
    state->newest = node->n > state->newest ? node->n : state->newest;
    return status;
}

static eid_status take_arrived(following *f, int64_t up_to)
{
    eid_nodes nodes = {NULL, 0, 0};
    eid_status status = eid_state_arrived(f->storage, f->store, f->state->done, up_to, &nodes);
    for (size_t i = 0; i < nodes.count && status == EID_OK && !f->again; i++)
        status = take_entry(f, &nodes.items[i]);
    eid_free(nodes.items);
    return status;
}

eid_status eid_hidden_state_follow(eid_hidden_state *state, eid_storage *storage, eid_tree_store *store,
                                   const eid_decoder *decoder, int64_t up_to, bool *shows)
{
    following f = {state, storage, store, decoder, false};
    int64_t end = store->newest < up_to ? store->newest : up_to;
    eid_status status = EID_OK;
    if (end > state->done) {
        status = take_arrived(&f, end);
        if (status == EID_OK && f.again) {
            forget(state);
            f.again = false;
            status = take_arrived(&f, end); /* all in fold order, so nothing is late */
        }
        if (status != EID_OK) {
            forget(state);
            return status;
        }
        state->done = end;
    }
    *shows = state->newest <= up_to;
    return EID_OK;
}

/* ---- Reading ---- */

eid_status eid_hidden_state_child(const eid_hidden_state *state, eid_slice key, eid_value **out)
{
    eid_slice cell;
    if (eid_vault_get(state->cells, key, &cell))
        return eid_value_parse(text_of(cell), out);
    *out = NULL;
    return EID_OK;
}

static eid_status copy_cell(eid_slice key, eid_slice cell, eid_cell *out)
{
    *out = (eid_cell){.key = eid_memdup(key.data, key.len), .key_len = key.len};
    if (out->key == NULL)
        return eid_fail_memory();
    eid_status status = eid_value_parse(text_of(cell), &out->value);
    if (status != EID_OK)
        eid_free(out->key);
    return status;
}

eid_status eid_hidden_state_cells(const eid_hidden_state *state, const eid_slice *after, size_t limit, eid_cell *out,
                                  size_t *count)
{
    eid_slice key, cell;
    eid_status status = EID_OK;
    size_t made = 0;
    bool more = eid_vault_next(state->cells, after, &key, &cell);
    while (more && made < limit && status == EID_OK) {
        status = copy_cell(key, cell, &out[made]);
        if (status == EID_OK) {
            made++;
            more = eid_vault_next(state->cells, &key, &key, &cell);
        }
    }
    if (status != EID_OK) {
        eid_cells_free(out, made);
        made = 0;
    }
    *count = made;
    return status;
}

eid_status eid_hidden_state_doc(const eid_hidden_state *state, eid_doc **out)
{
    eid_doc *doc;
    eid_slice key, cell;
    EID_TRY(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, state->has_barrier);
    eid_status status = EID_OK;
    bool more = eid_vault_next(state->cells, NULL, &key, &cell);
    while (more && status == EID_OK) {
        eid_value *value = NULL;
        status = eid_value_parse(text_of(cell), &value);
        if (status == EID_OK)
            status = eid_doc_put_child(doc, key, value);
        if (status != EID_OK)
            eid_value_free(value);
        else
            more = eid_vault_next(state->cells, &key, &key, &cell);
    }
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

uint64_t eid_hidden_state_left_out(const eid_hidden_state *state)
{
    return state->left_out;
}
