/* SPDX-License-Identifier: Apache-2.0 */
/* What split values were before the last entries: so that a transaction others have left behind reads a hot key without
 * folding it from all that ever wrote it.
 *
 * Whatever an entry changes in a split value is copied first, to a row under the entry's arrival number, for as long as the
 * entry is among the last KEPT. The value as of an earlier number is the present one with these rows laid over it, the
 * oldest behind that number counting. A cell's row tells the newest entry that had touched the key then: when that is
 * older than the view, nothing is missing. Where twigs are removed, which is rare, only a wall is noted: nothing of the key in
 * front of it is known. Then, and for values that stand whole in their cell, the key is folded.
 */
#include "state/cells_int.h"

#include "base/alloc.h"
#include "crypto/key.h"

#define KEPT 1024 /* entries, of all databases of the file: a transaction is seldom further behind */

/* `parent` of the rows that are no twigs: no hash is so short. */
#define OF_CELL 'c'
#define OF_WALL 'w'
#define KEY_LEN 8 /* bytes of the hash of the key: what other keys have under the same is taken for nothing */

static const eid_tree_store *store_of(const eid_cells *cells)
{
    return cells->ctx;
}

/* ---- Keeping ---- */

static eid_status prepare(const eid_cells *cells, const char *text, eid_sql_stmt **out)
{
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), text, out));
    eid_sql_bind_i64(*out, 1, store_of(cells)->s);
    eid_sql_bind_i64(*out, 2, cells->entry);
    eid_sql_bind_blob(*out, 3, eid_slice_of(cells->key, KEY_LEN));
    return EID_OK;
}

static eid_status forget_older(const eid_cells *cells)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM kept WHERE s = ? AND n <= ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    eid_sql_bind_i64(stmt, 2, cells->entry - KEPT);
    return eid_sql_run(stmt);
}

eid_status eid_kept_cell(const eid_cells *cells, eid_slice key)
{
    eid_sql_stmt *stmt;
    if (cells->entry == 0)
        return EID_OK;
    EID_TRY(prepare(cells,
                    "INSERT INTO kept (s, n, key, parent, name, record, newest)"
                    " SELECT ?1, ?2, ?3, x'63', key, value, newest FROM cell"
                    " WHERE s = ?1 AND key = ?4 AND SUBSTR(value, 1, 1) = x'01' ON CONFLICT DO NOTHING",
                    &stmt));
    eid_sql_bind_blob(stmt, 4, key);
    EID_TRY(eid_sql_run(stmt));
    return eid_sql_changes(eid_storage_sql(cells->storage)) > 0 ? forget_older(cells) : EID_OK;
}

eid_status eid_kept_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name)
{
    eid_sql_stmt *stmt;
    if (cells->entry == 0)
        return EID_OK;
    EID_TRY(prepare(cells,
                    "INSERT INTO kept (s, n, key, parent, name, record, newest) VALUES (?1, ?2, ?3, ?4, ?5,"
                    " (SELECT record FROM twig WHERE s = ?1 AND parent = ?4 AND name = ?5), 0) ON CONFLICT DO NOTHING",
                    &stmt));
    eid_sql_bind_blob(stmt, 4, eid_slice_of(parent, EID_TWIG_HASH));
    eid_sql_bind_blob(stmt, 5, name);
    return eid_sql_run(stmt);
}

eid_status eid_kept_wall(const eid_cells *cells)
{
    eid_sql_stmt *stmt;
    if (cells->entry == 0)
        return EID_OK;
    EID_TRY(prepare(cells,
                    "INSERT INTO kept (s, n, key, parent, name, record, newest) VALUES (?, ?, ?, x'77', x'', NULL, 0)"
                    " ON CONFLICT DO NOTHING",
                    &stmt));
    return eid_sql_run(stmt);
}

eid_status eid_kept_forget(const eid_cells *cells)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM kept WHERE s = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    return eid_sql_run(stmt);
}

/* ---- Reading ---- */

/* A twig as it was: absent, or a record. */
typedef struct relic {
    bool absent;
    size_t len;
    uint8_t record[];
} relic;

typedef struct past {
    const eid_cells *present;
    eid_slice key;
    uint8_t hash[EID_TWIG_HASH];
    int64_t up_to;
    eid_map *relics;         /* parent and name -> relic */
    eid_buf cell;            /* as it was */
    int64_t newest;
    bool has_cell;
    bool has_wall;
} past;

static eid_status add_relic(past *p, eid_sql_stmt *stmt)
{
    eid_buf name;
    eid_map_entry *place = NULL;
    bool created = false;
    eid_buf_init(&name, SIZE_MAX / 2);
    eid_buf_append_slice(&name, eid_sql_bytes(stmt, 0));
    eid_buf_append_slice(&name, eid_sql_bytes(stmt, 1));
    eid_status status = eid_buf_status(&name);
    if (status == EID_OK)
        status = eid_map_put(p->relics, eid_buf_slice(&name), &place, &created);
    eid_buf_free(&name);
    EID_TRY(status);
    if (!created)
        return EID_OK; /* an older one counts */
    eid_slice record = eid_sql_bytes(stmt, 2);
    relic *made = eid_alloc(sizeof *made + record.len);
    if (made == NULL)
        return eid_fail_memory();
    made->absent = eid_sql_is_null(stmt, 2);
    made->len = record.len;
    if (record.len > 0)
        memcpy(made->record, record.data, record.len);
    place->value = made;
    return EID_OK;
}

static eid_status add_row(past *p, eid_sql_stmt *stmt)
{
    eid_slice parent = eid_sql_bytes(stmt, 0);
    if (parent.len == EID_TWIG_HASH)
        return add_relic(p, stmt);
    bool of_cell = parent.len == 1 && parent.data[0] == OF_CELL;
    p->has_wall = p->has_wall || !of_cell;
    if (of_cell && !p->has_cell && eid_slice_equal(eid_sql_bytes(stmt, 1), p->key)) {
        p->has_cell = true;
        p->newest = eid_sql_i64(stmt, 3);
        eid_buf_append_slice(&p->cell, eid_sql_bytes(stmt, 2));
    }
    return eid_buf_status(&p->cell);
}

/* What other keys have among them is passed over without reading the records. That is why it goes on to the next store: to see
 * where a range ends, the engine would read every row whole. */
static eid_status read_rows(past *p)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(p->present->storage),
                            "SELECT parent, name, record, newest, s FROM kept WHERE (s, n) > (?1, ?2) AND (s > ?1 OR key = ?3)"
                            " ORDER BY s, n",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(p->present)->s);
    eid_sql_bind_i64(stmt, 2, p->up_to);
    eid_sql_bind_blob(stmt, 3, eid_slice_of(p->hash, KEY_LEN));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        bool own = eid_sql_i64(stmt, 4) == store_of(p->present)->s;
        eid_status status = own ? add_row(p, stmt) : EID_OK;
        if (status != EID_OK || p->has_wall || !own) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

static eid_status past_name(eid_buf *out, const uint8_t *parent, eid_slice name)
{
    eid_buf_init(out, SIZE_MAX / 2);
    eid_buf_append(out, parent, EID_TWIG_HASH);
    eid_buf_append_slice(out, name);
    return eid_buf_status(out);
}

static eid_status find_relic(const past *p, const uint8_t *parent, eid_slice name, const relic **out)
{
    eid_buf full;
    eid_status status = past_name(&full, parent, name);
    *out = status == EID_OK ? eid_map_get(p->relics, eid_buf_slice(&full)) : NULL;
    eid_buf_free(&full);
    return status;
}

static eid_status get_past_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_buf *record, bool *found)
{
    const past *p = cells->ctx;
    const relic *was;
    EID_TRY(find_relic(p, parent, name, &was));
    if (was == NULL)
        return p->present->calls->get_twig(p->present, parent, name, record, found);
    *found = !was->absent;
    eid_buf_append(record, was->record, was->len);
    return eid_buf_status(record);
}

typedef struct passing {
    const past *p;
    const uint8_t *parent;
    eid_twig_callback callback;
    void *ctx;
} passing;

static eid_status pass_untouched(eid_slice name, eid_slice record, void *ctx)
{
    const passing *through = ctx;
    const relic *was;
    EID_TRY(find_relic(through->p, through->parent, name, &was));
    return was == NULL ? through->callback(name, record, through->ctx) : EID_OK;
}

static eid_status each_past_twig(const eid_cells *cells, const uint8_t *parent, eid_twig_callback callback, void *ctx)
{
    const past *p = cells->ctx;
    passing through = {p, parent, callback, ctx};
    EID_TRY(p->present->calls->each_twig(p->present, parent, pass_untouched, &through));
    for (eid_map_entry *e = eid_map_seek(p->relics, eid_slice_of(parent, EID_TWIG_HASH));
         e != NULL && memcmp(e->key.data, parent, EID_TWIG_HASH) == 0; e = eid_map_next(p->relics, e)) {
        const relic *was = e->value;
        if (!was->absent)
            EID_TRY(callback(eid_slice_of(e->key.data + EID_TWIG_HASH, e->key.len - EID_TWIG_HASH),
                             eid_slice_of(was->record, was->len), ctx));
    }
    return EID_OK;
}

/* Only for reading. */
static const eid_cells_calls in_past = {.get_twig = get_past_twig, .each_twig = each_past_twig};

static void free_relic(void *value)
{
    eid_free(value);
}

eid_status eid_kept_read(const eid_cells *cells, eid_slice key, eid_slice path, int64_t up_to, bool *known, eid_value **out)
{
    past p = {.present = cells, .key = key, .up_to = up_to};
    EID_TRY(eid_map_new(&p.relics));
    eid_buf_init(&p.cell, SIZE_MAX / 2);
    eid_twig_hash_key(key, p.hash);
    eid_status status = read_rows(&p);
    *known = status == EID_OK && p.has_cell && !p.has_wall && p.newest <= up_to;
    if (*known) {
        eid_cells as_it_was = {.calls = &in_past, .storage = cells->storage, .ctx = &p};
        status = eid_cell_along(&as_it_was, key, path, eid_buf_slice(&p.cell), out);
    }
    eid_map_free(p.relics, free_relic);
    eid_buf_free(&p.cell);
    return status;
}
