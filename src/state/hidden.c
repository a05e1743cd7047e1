/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a store whose payloads only a session can read: the same cells and twigs as in the data file (cells_int.h),
 * kept in guarded memory.
 *
 * Entries that arrived since are taken in, sorted among themselves, wherever they sort among those that are in. There is no
 * log of who touched what: it would have to be kept in guarded memory too, for the one case in which a late entry makes a key
 * be folded again (an odd key, see cells_int.h). Here that folds the whole store.
 */
#include "state/cells_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "crypto/key.h"
#include "crypto/vault.h"

struct eid_hidden_state {
    eid_vault *vault;      /* cells and twigs */
    int64_t done;          /* every participant up to this number is in */
    int64_t newest;        /* the largest number of one that is in */
    uint64_t marks;        /* eid_storage_marks when it was made: entries taken in may have ceased to count since */
    bool has_barrier;
    bool again;            /* an odd key is to be folded from its entries, see cells_int.h */
    eid_node barrier;
    uint64_t left_out;
};

/* What one call of follow works with. */
typedef struct following {
    eid_hidden_state *state;
    eid_storage *storage;
    eid_tree_store *store;
    const eid_decoder *decoder;
} following;

eid_status eid_hidden_state_new(eid_hidden_state **out)
{
    eid_hidden_state *state = eid_alloc_zero(1, sizeof *state);
    if (state == NULL)
        return eid_fail_memory();
    eid_status status = eid_vault_new(EID_LIMIT_HIDDEN_STATE_BYTES, &state->vault);
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
    eid_vault_free(state->vault);
    eid_free(state);
}

static void forget(eid_hidden_state *state)
{
    eid_vault *vault = state->vault;
    eid_vault_clear(vault);
    *state = (eid_hidden_state){.vault = vault, .marks = state->marks};
}

/* ---- Entries of the vault ----
 *
 * A cell stands under CELL and its key: height and n of its place, 8 bytes each, and its stored form. A twig stands under
 * TWIG, the hash of its container, and its name. Cells come first. */

#define CELL      'c'
#define TWIG      't'
#define PLACE_LEN 16

static eid_vault *vault_of(const eid_cells *cells)
{
    return ((const eid_hidden_state *)cells->ctx)->vault;
}

static eid_status cell_name(eid_buf *out, eid_slice key)
{
    eid_buf_init(out, SIZE_MAX / 2);
    eid_buf_append_byte(out, CELL);
    eid_buf_append_slice(out, key);
    return eid_buf_status(out);
}

static eid_status twig_name(eid_buf *out, const uint8_t *parent, eid_slice name)
{
    eid_buf_init(out, SIZE_MAX / 2);
    eid_buf_append_byte(out, TWIG);
    eid_buf_append(out, parent, EID_TWIG_HASH);
    eid_buf_append_slice(out, name);
    return eid_buf_status(out);
}

/* Puts the value under the name and frees the name, which may have failed to be made. */
static eid_status put_under(const eid_cells *cells, eid_status status, eid_buf *name, eid_slice value)
{
    if (status == EID_OK)
        status = eid_vault_put(vault_of(cells), eid_buf_slice(name), value);
    eid_buf_free_secret(name);
    return status;
}

/* The first cell behind the key (NULL: the first of all); what is lent lives until the next change. */
static eid_status next_of(const eid_vault *vault, const eid_slice *after, eid_slice *key, eid_slice *cell, bool *found)
{
    eid_buf name;
    eid_slice place;
    EID_TRY(cell_name(&name, after == NULL ? eid_slice_of(NULL, 0) : *after));
    place = eid_buf_slice(&name);
    *found = eid_vault_next(vault, after == NULL ? NULL : &place, key, cell) && key->data[0] == CELL;
    eid_buf_free_secret(&name);
    if (*found)
        *key = eid_slice_of(key->data + 1, key->len - 1);
    return EID_OK;
}

static eid_slice stored_of(eid_slice cell)
{
    return eid_slice_of(cell.data + PLACE_LEN, cell.len - PLACE_LEN);
}

/* ---- Cells ---- */

static eid_status row_from(eid_slice cell, eid_cell_row *row)
{
    eid_slice stored = stored_of(cell);
    memcpy(&row->place.height, cell.data, sizeof row->place.height);
    memcpy(&row->place.n, cell.data + sizeof row->place.height, sizeof row->place.n);
    row->newest = 0;
    row->leaf = eid_cell_is_leaf(stored);
    eid_buf_reset(&row->value);
    if (!row->leaf)
        eid_buf_append_slice(&row->value, stored);
    return eid_buf_status(&row->value);
}

static eid_status read_cell(const eid_cells *cells, eid_slice key, eid_cell_row *row)
{
    eid_buf name;
    eid_slice cell;
    eid_status status = cell_name(&name, key);
    row->found = status == EID_OK && eid_vault_get(vault_of(cells), eid_buf_slice(&name), &cell);
    eid_buf_free_secret(&name);
    return row->found ? row_from(cell, row) : status;
}

static eid_status next_cell(const eid_cells *cells, const eid_slice *after, eid_buf *key, eid_cell_row *row)
{
    eid_slice found, cell;
    EID_TRY(next_of(vault_of(cells), after, &found, &cell, &row->found));
    if (!row->found)
        return EID_OK;
    eid_buf_reset(key);
    eid_buf_append_slice(key, found);
    EID_TRY(row_from(cell, row));
    return eid_buf_status(key);
}

static eid_status write_cell(const eid_cells *cells, eid_slice key, eid_slice value, const eid_seat *place, int64_t newest)
{
    (void)newest; /* the state has one number for all cells */
    eid_buf name, cell;
    eid_buf_init(&cell, SIZE_MAX / 2);
    eid_buf_append(&cell, &place->height, sizeof place->height);
    eid_buf_append(&cell, &place->n, sizeof place->n);
    eid_buf_append_slice(&cell, value);
    eid_status status = cell_name(&name, key);
    if (status == EID_OK)
        status = eid_buf_status(&cell);
    status = put_under(cells, status, &name, eid_buf_slice(&cell));
    eid_buf_free_secret(&cell);
    return status;
}

static eid_status renew_cell(const eid_cells *cells, eid_slice key, int64_t newest)
{
    (void)cells;
    (void)key;
    (void)newest;
    return EID_OK;
}

static eid_status retire_cell(const eid_cells *cells, eid_slice key, const eid_cell_row *row)
{
    (void)row; /* there is no log of touches */
    eid_buf name;
    eid_status status = cell_name(&name, key);
    if (status == EID_OK)
        eid_vault_remove(vault_of(cells), eid_buf_slice(&name));
    eid_buf_free_secret(&name);
    return status;
}

/* ---- Twigs ---- */

static eid_status get_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_buf *record, bool *found)
{
    eid_buf full;
    eid_slice value;
    eid_status status = twig_name(&full, parent, name);
    *found = status == EID_OK && eid_vault_get(vault_of(cells), eid_buf_slice(&full), &value);
    eid_buf_free_secret(&full);
    if (!*found)
        return status;
    eid_buf_append_slice(record, value);
    return eid_buf_status(record);
}

static eid_status put_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_slice record)
{
    eid_buf full;
    eid_status status = twig_name(&full, parent, name);
    return put_under(cells, status, &full, record);
}

static eid_status remove_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name)
{
    eid_buf full;
    eid_status status = twig_name(&full, parent, name);
    if (status == EID_OK)
        eid_vault_remove(vault_of(cells), eid_buf_slice(&full));
    eid_buf_free_secret(&full);
    return status;
}

/* The next twig of the container behind `after`; the name is cut out of its key. */
static bool next_twig(const eid_cells *cells, const uint8_t *parent, eid_slice after, eid_slice *key, eid_slice *name,
                      eid_slice *record)
{
    if (!eid_vault_next(vault_of(cells), &after, key, record) || key->data[0] != TWIG || key->len < 1 + EID_TWIG_HASH ||
        memcmp(key->data + 1, parent, EID_TWIG_HASH) != 0)
        return false;
    *name = eid_slice_of(key->data + 1 + EID_TWIG_HASH, key->len - 1 - EID_TWIG_HASH);
    return true;
}

static eid_status remove_twigs(const eid_cells *cells, const uint8_t *parent)
{
    eid_buf begin;
    eid_slice key, name, record;
    eid_status status = twig_name(&begin, parent, eid_slice_of(NULL, 0));
    while (status == EID_OK && next_twig(cells, parent, eid_buf_slice(&begin), &key, &name, &record))
        eid_vault_remove(vault_of(cells), key);
    eid_buf_free_secret(&begin);
    return status;
}

static eid_status each_twig(const eid_cells *cells, const uint8_t *parent, eid_twig_callback callback, void *ctx)
{
    eid_buf begin;
    eid_status status = twig_name(&begin, parent, eid_slice_of(NULL, 0));
    eid_slice key = eid_buf_slice(&begin), name, record;
    while (status == EID_OK && next_twig(cells, parent, key, &key, &name, &record))
        status = callback(name, record, ctx);
    eid_buf_free_secret(&begin);
    return status;
}

static eid_status refold(const eid_cells *cells, eid_slice key, bool due)
{
    (void)key; /* all of them */
    eid_hidden_state *state = cells->ctx;
    state->again = state->again || due;
    return EID_OK;
}

static const eid_cells_calls in_vault = {
    .read = read_cell,
    .write = write_cell,
    .renew = renew_cell,
    .retire = retire_cell,
    .next = next_cell,
    .get_twig = get_twig,
    .put_twig = put_twig,
    .remove_twig = remove_twig,
    .remove_twigs = remove_twigs,
    .each_twig = each_twig,
    .refold = refold,
};

/* `storage` is needed for taking in, not for reading. */
static eid_cells cells_of(const eid_hidden_state *state, eid_storage *storage)
{
    return (eid_cells){.calls = &in_vault, .storage = storage, .ctx = (void *)(uintptr_t)state};
}

/* ---- Entries ---- */

static eid_status take_doc(following *f, const eid_node *node, const eid_doc *doc)
{
    eid_hidden_state *state = f->state;
    eid_cells cells = cells_of(state, f->storage);
    if (state->has_barrier && eid_node_compare(node, &state->barrier) < 0)
        return EID_OK;
    if (eid_doc_is_atomic(doc)) {
        state->has_barrier = true;
        state->barrier = *node;
        EID_TRY(eid_cells_cut(&cells, node));
    }
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value)) {
        eid_taken taken;
        EID_TRY(eid_cells_take(&cells, node, eid_slice_of(key, key_len), value, &taken));
    }
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
    state->newest = node->n > state->newest ? node->n : state->newest;
    return status;
}

static eid_status take_arrived(following *f, int64_t up_to)
{
    eid_nodes nodes = {NULL, 0, 0};
    eid_status status = eid_state_arrived(f->storage, f->store, f->state->done, up_to, &nodes);
    for (size_t i = 0; i < nodes.count && status == EID_OK && !f->state->again; i++)
        status = take_entry(f, &nodes.items[i]);
    eid_free(nodes.items);
    return status;
}

eid_status eid_hidden_state_follow(eid_hidden_state *state, eid_storage *storage, eid_tree_store *store,
                                   const eid_decoder *decoder, int64_t up_to, bool *shows)
{
    following f = {state, storage, store, decoder};
    int64_t end = store->newest < up_to ? store->newest : up_to;
    eid_status status = EID_OK;
    if (state->marks != eid_storage_marks(storage)) {
        forget(state);
        state->marks = eid_storage_marks(storage);
    }
    if (end > state->done) {
        status = take_arrived(&f, end);
        if (status == EID_OK && state->again) {
            forget(state);
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

static eid_status read_key(const eid_hidden_state *state, eid_slice key, eid_slice path, eid_value **out)
{
    eid_cells cells = cells_of(state, NULL);
    eid_buf name;
    eid_slice cell;
    eid_status status = cell_name(&name, key);
    bool found = status == EID_OK && eid_vault_get(state->vault, eid_buf_slice(&name), &cell);
    eid_buf_free_secret(&name);
    if (found)
        return eid_cell_along(&cells, key, path, stored_of(cell), out);
    *out = NULL;
    return status;
}

eid_status eid_hidden_state_child(const eid_hidden_state *state, eid_slice key, eid_value **out)
{
    return read_key(state, key, eid_slice_of(NULL, 0), out);
}

eid_status eid_hidden_state_along(const eid_hidden_state *state, eid_slice path, eid_value **out)
{
    eid_slice key;
    *out = NULL;
    return eid_path_split(&path, &key) ? read_key(state, key, path, out) : EID_OK;
}

static eid_status copy_cell(const eid_hidden_state *state, eid_slice key, eid_slice cell, eid_cell *out)
{
    eid_cells cells = cells_of(state, NULL);
    *out = (eid_cell){.key = eid_memdup(key.data, key.len), .key_len = key.len};
    if (out->key == NULL)
        return eid_fail_memory();
    eid_status status = eid_cell_value(&cells, key, stored_of(cell), &out->value);
    if (status != EID_OK)
        eid_free(out->key);
    return status;
}

eid_status eid_hidden_state_cells(const eid_hidden_state *state, const eid_slice *after, size_t limit, eid_cell *out,
                                  size_t *count)
{
    eid_slice key, cell;
    size_t made = 0;
    bool more = true;
    eid_status status = next_of(state->vault, after, &key, &cell, &more);
    while (more && made < limit && status == EID_OK) {
        status = copy_cell(state, key, cell, &out[made]);
        if (status != EID_OK)
            break;
        made++;
        status = next_of(state->vault, &key, &key, &cell, &more);
    }
    if (status != EID_OK) {
        eid_cells_free(out, made);
        made = 0;
    }
    *count = made;
    return status;
}

static eid_status put_child(const eid_cells *cells, eid_slice key, eid_slice cell, eid_doc *doc)
{
    eid_value *value = NULL;
    EID_TRY(eid_cell_value(cells, key, stored_of(cell), &value));
    eid_status status = eid_doc_put_child(doc, key, value);
    if (status != EID_OK)
        eid_value_free(value);
    return status;
}

eid_status eid_hidden_state_doc(const eid_hidden_state *state, eid_doc **out)
{
    eid_cells cells = cells_of(state, NULL);
    eid_doc *doc;
    eid_slice key, cell;
    bool more;
    EID_TRY(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, state->has_barrier);
    eid_status status = next_of(state->vault, NULL, &key, &cell, &more);
    while (status == EID_OK && more) {
        status = put_child(&cells, key, cell, doc);
        if (status == EID_OK)
            status = next_of(state->vault, &key, &key, &cell, &more);
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
