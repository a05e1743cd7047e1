/* SPDX-License-Identifier: Apache-2.0 */
/* Taking what an entry wrote into a cell, wherever it sorts; the rules are told in cells_int.h. */
#include "state/cells_int.h"

#include "base/alloc.h"
#include "crdt/list.h"
#include "crypto/key.h"

/* A Doc or List of the payload whose children are being taken. */
typedef struct level {
    uint8_t hash[EID_TWIG_HASH];
    const eid_doc *doc;      /* one of the two is set */
    const eid_doc_cursor *cursor;
    const eid_list *list;
    size_t slot;
    bool fresh;              /* nothing stands below it yet */
} level;

typedef struct taking {
    const eid_cells *cells;
    eid_cells quiet;         /* the same, but what was there is not kept: nothing was below what was not there itself */
    eid_seat spot;           /* of what is taken */
    bool odd;                /* two forms of one position met */
    eid_buf name;
    eid_buf record;
    size_t depth;
    level levels[EID_TWIG_LEVELS];
} taking;

/* ---- What a write does to what stands there ---- */

typedef enum verdict {
    NOTHING,
    REPLACE,                 /* all of it */
    JOIN,                    /* child by child */
    CUT                      /* it takes away what was written before it */
} verdict;

static bool is_inner(eid_value_kind kind)
{
    return kind == EID_VALUE_DOC || kind == EID_VALUE_LIST;
}

static bool is_atomic(const eid_value *value)
{
    const eid_doc *doc;
    return eid_value_get_kind(value) == EID_VALUE_DOC && eid_value_as_doc(value, &doc) == EID_OK && eid_doc_is_atomic(doc);
}

static eid_status judge(eid_storage *storage, const eid_twig *old, const eid_seat *spot, const eid_value *value, bool *behind,
                        verdict *out)
{
    eid_value_kind kind = eid_value_get_kind(value);
    bool joins = is_inner(kind) && kind == old->kind && !is_atomic(value);
    int order;
    EID_TRY(eid_seat_compare(storage, spot, &old->last, &order));
    *behind = order > 0;
    if (*behind) {
        *out = joins ? JOIN : REPLACE;
        return EID_OK;
    }
    if (!is_inner(old->kind)) {
        *out = NOTHING;
        return EID_OK;
    }
    order = 1;
    if (old->has_cut)
        EID_TRY(eid_seat_compare(storage, spot, &old->cut, &order));
    *out = order < 0 ? NOTHING : joins ? JOIN : CUT;
    return EID_OK;
}

/* What stands there when the write replaced `old` (NULL: nothing stood there). */
static eid_twig replaced_by(const eid_twig *old, const eid_seat *spot, const eid_value *value)
{
    eid_twig twig = {.kind = eid_value_get_kind(value), .last = *spot, .atomic = is_atomic(value)};
    if (twig.atomic) {
        twig.has_cut = true;
        twig.cut = *spot;
    } else if (old != NULL && is_inner(twig.kind)) {
        twig.has_cut = true;
        twig.cut = old->last; /* of another kind, or they would have merged */
    }
    return twig;
}

static void cut_at(eid_twig *twig, const eid_seat *spot, const eid_value *value)
{
    twig->has_cut = true;
    twig->cut = *spot;
    twig->atomic = twig->kind == EID_VALUE_DOC && is_atomic(value);
}

/* ---- Going down ---- */

static eid_status enter(taking *t, const uint8_t *hash, const eid_value *value, bool fresh)
{
    if (t->depth == EID_TWIG_LEVELS)
        return eid_fail(EID_ERR_DEPTH, "A value is nested deeper than %d levels", EID_TWIG_LEVELS);
    level *down = &t->levels[t->depth];
    *down = (level){.fresh = fresh};
    memcpy(down->hash, hash, EID_TWIG_HASH);
    if (eid_value_as_doc(value, &down->doc) != EID_OK)
        EID_TRY(eid_value_as_list(value, &down->list));
    t->depth++;
    return EID_OK;
}

static eid_status enter_child(taking *t, const level *in, const eid_value *value, bool fresh)
{
    uint8_t hash[EID_TWIG_HASH];
    eid_twig_hash_child(in->hash, eid_buf_slice(&t->name), hash);
    return enter(t, hash, value, fresh);
}

/* The next child of the deepest level, its name into t->name; false at the end. */
static bool next_child(taking *t, level *in, const eid_value **value, eid_position *position)
{
    const char *key;
    size_t len;
    if (in->doc != NULL) {
        if (!eid_doc_next_raw(in->doc, &in->cursor, &key, &len, value))
            return false;
        eid_twig_name_key(&t->name, eid_slice_of(key, len));
        return true;
    }
    if (in->slot == eid_list_slots(in->list))
        return false;
    eid_list_slot(in->list, in->slot++, position, value);
    eid_twig_name_slot(&t->name, position);
    return true;
}

/* ---- One child ---- */

static eid_status put_twig(taking *t, const level *in, eid_twig *twig, const eid_value *leaf)
{
    eid_buf text;
    eid_buf_init(&text, SIZE_MAX / 2);
    if (leaf != NULL)
        eid_value_write(&text, leaf);
    twig->text = eid_buf_slice(&text);
    eid_buf_reset(&t->record);
    eid_twig_write(&t->record, twig);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = eid_buf_status(&t->record);
    if (status == EID_OK)
        status = t->cells->calls->put_twig(in->fresh ? &t->quiet : t->cells, in->hash, eid_buf_slice(&t->name),
                                           eid_buf_slice(&t->record));
    eid_buf_free_secret(&text);
    return status;
}

static void set_form(eid_twig *twig, const level *in, const eid_position *position)
{
    eid_position lowest;
    if (in->list == NULL || eid_position_make(position->numerator, position->denominator, &position->unique, &lowest) != EID_OK)
        return;
    twig->has_form = lowest.denominator != position->denominator;
    twig->numerator = position->numerator;
    twig->denominator = position->denominator;
}

static bool same_form(const eid_twig *a, const eid_twig *b)
{
    return a->has_form == b->has_form && (!a->has_form || (a->numerator == b->numerator && a->denominator == b->denominator));
}

static eid_status put_new(taking *t, const level *in, eid_twig *twig, const eid_value *value)
{
    bool inner = is_inner(twig->kind);
    EID_TRY(put_twig(t, in, twig, inner ? NULL : value));
    return inner ? enter_child(t, in, value, true) : EID_OK;
}

static eid_status replace(taking *t, const level *in, const eid_twig *old, const eid_value *value)
{
    eid_twig twig = replaced_by(old, &t->spot, value);
    /* A list goes on naming the position as the first who wrote it. */
    twig.has_form = old->has_form;
    twig.numerator = old->numerator;
    twig.denominator = old->denominator;
    if (is_inner(old->kind)) {
        uint8_t hash[EID_TWIG_HASH];
        eid_twig_hash_child(in->hash, eid_buf_slice(&t->name), hash);
        EID_TRY(eid_twigs_clear(t->cells, hash));
    }
    return put_new(t, in, &twig, value);
}

static eid_status cut_child(taking *t, const level *in, eid_twig *twig, const eid_value *value)
{
    uint8_t hash[EID_TWIG_HASH];
    eid_twig_hash_child(in->hash, eid_buf_slice(&t->name), hash);
    EID_TRY(eid_twigs_trim(t->cells, hash, &t->spot));
    cut_at(twig, &t->spot, value);
    EID_TRY(put_twig(t, in, twig, NULL));
    return twig->atomic ? enter(t, hash, value, false) : EID_OK;
}

static eid_status take_child(taking *t, const level *in, const eid_position *position, const eid_value *value)
{
    eid_twig fresh = replaced_by(NULL, &t->spot, value), old;
    bool found = false, behind;
    verdict what;
    set_form(&fresh, in, position);
    EID_TRY(eid_buf_status(&t->name));
    eid_buf_reset(&t->record);
    if (!in->fresh)
        EID_TRY(t->cells->calls->get_twig(t->cells, in->hash, eid_buf_slice(&t->name), &t->record, &found));
    if (!found)
        return put_new(t, in, &fresh, value);
    EID_TRY(eid_twig_read(eid_buf_slice(&t->record), &old));
    t->odd = t->odd || !same_form(&old, &fresh);
    EID_TRY(judge(t->cells->storage, &old, &t->spot, value, &behind, &what));
    switch (what) {
    case NOTHING:
        return EID_OK;
    case REPLACE:
        return replace(t, in, &old, value);
    case CUT:
        return cut_child(t, in, &old, value);
    case JOIN:
        break;
    }
    if (behind) {
        old.last = t->spot;
        EID_TRY(put_twig(t, in, &old, NULL));
    }
    return enter_child(t, in, value, false);
}

/* Takes the children of a Doc or List into what stands below the hash. */
static eid_status take_below(taking *t, const uint8_t *hash, const eid_value *value, const eid_seat *spot, bool fresh)
{
    t->spot = *spot;
    t->depth = 0;
    EID_TRY(enter(t, hash, value, fresh));
    while (t->depth > 0) {
        level *in = &t->levels[t->depth - 1];
        eid_position position = {0};
        const eid_value *child;
        if (!next_child(t, in, &child, &position)) {
            t->depth--;
            continue;
        }
        EID_TRY(take_child(t, in, &position, child));
    }
    return EID_OK;
}

/* ---- One cell ---- */

static eid_status write_cell(const eid_cells *cells, eid_slice key, const eid_twig *root, const eid_value *whole, int64_t newest)
{
    eid_buf stored;
    eid_buf_init(&stored, SIZE_MAX / 2);
    eid_status status = eid_cell_store(&stored, root, whole);
    if (status == EID_OK)
        status = cells->calls->write(cells, key, eid_buf_slice(&stored), &root->last, newest);
    eid_buf_free_secret(&stored);
    return status;
}

typedef struct cell {
    eid_slice key;
    eid_cell_row row;
    eid_twig root;
    eid_value *inner;        /* a Doc or List that stands in the cell; NULL: a leaf, or split */
    uint8_t hash[EID_TWIG_HASH];
} cell;

static eid_status replace_cell(const eid_cells *cells, cell *c, const eid_seat *spot, const eid_value *value, int64_t newest)
{
    eid_twig root = replaced_by(&c->root, spot, value);
    if (c->root.odd)
        EID_TRY(cells->calls->refold(cells, c->key, false));
    if (is_inner(c->root.kind) && c->inner == NULL)
        EID_TRY(eid_twigs_clear(cells, c->hash));
    return write_cell(cells, c->key, &root, value, newest);
}

static eid_status merge_cell(const eid_cells *cells, cell *c, const eid_seat *spot, const eid_value *value, verdict what,
                             bool behind, int64_t newest)
{
    if (what == CUT && c->inner != NULL && !(c->root.kind == EID_VALUE_DOC && is_atomic(value))) {
        /* What one entry wrote stays whole: all of it lies behind the cut. */
        cut_at(&c->root, spot, value);
        return write_cell(cells, c->key, &c->root, c->inner, newest);
    }
    taking *t = eid_alloc_zero(1, sizeof *t);
    if (t == NULL)
        return eid_fail_memory();
    t->quiet = *cells;
    t->quiet.entry = 0;
    t->cells = c->inner != NULL ? &t->quiet : cells;
    eid_buf_init(&t->name, SIZE_MAX / 2);
    eid_buf_init(&t->record, SIZE_MAX / 2);
    eid_status status = EID_OK;
    if (c->inner != NULL)
        status = take_below(t, c->hash, c->inner, &c->root.last, true);
    if (status == EID_OK && what == CUT) {
        cut_at(&c->root, spot, value);
        status = eid_twigs_trim(t->cells, c->hash, spot);
    }
    if (status == EID_OK && (what == JOIN || c->root.atomic))
        status = take_below(t, c->hash, value, spot, false);
    c->root.odd = c->root.odd || t->odd;
    if (behind)
        c->root.last = *spot;
    if (status == EID_OK)
        status = write_cell(cells, c->key, &c->root, NULL, newest);
    eid_buf_free_secret(&t->name);
    eid_buf_free_secret(&t->record);
    eid_free(t);
    return status;
}

static eid_status take_into(const eid_cells *cells, const eid_node *node, cell *c, const eid_value *value, eid_taken *out)
{
    eid_seat spot = {(int64_t)node->height, node->n};
    int64_t newest = c->row.newest > node->n ? c->row.newest : node->n;
    verdict what;
    bool behind;
    EID_TRY(eid_cell_root(&c->row, &c->root, &c->inner));
    EID_TRY(judge(cells->storage, &c->root, &spot, value, &behind, &what));
    if (!c->row.leaf) {
        eid_twig_hash_key(c->key, c->hash);
        EID_TRY(eid_kept_cell(cells, c->key));
    }
    *out = (eid_taken){.found = true, .behind = behind, .place = c->row.place};
    if (what == NOTHING)
        return cells->calls->renew(cells, c->key, newest);
    if (what == REPLACE)
        return replace_cell(cells, c, &spot, value, newest);
    EID_TRY(merge_cell(cells, c, &spot, value, what, behind, newest));
    return c->root.odd && !behind ? cells->calls->refold(cells, c->key, true) : EID_OK;
}

eid_status eid_cells_take(const eid_cells *cells, const eid_node *node, eid_slice key, const eid_value *value, eid_taken *out)
{
    cell c = {.key = key};
    *out = (eid_taken){0};
    eid_buf_init(&c.row.value, SIZE_MAX / 2);
    eid_status status = cells->calls->read(cells, key, &c.row);
    if (status == EID_OK && c.row.found) {
        eid_cells of_key = *cells;
        of_key.key = c.hash;
        status = take_into(&of_key, node, &c, value, out);
    } else if (status == EID_OK) {
        eid_seat spot = {(int64_t)node->height, node->n};
        eid_twig root = replaced_by(NULL, &spot, value);
        status = write_cell(cells, key, &root, value, node->n);
    }
    eid_value_free(c.inner);
    eid_buf_free_secret(&c.row.value);
    return status;
}

/* ---- Barriers ---- */

static eid_status cut_cell(const eid_cells *all, eid_slice key, const eid_cell_row *row, const eid_seat *spot)
{
    eid_twig root;
    eid_value *inner;
    uint8_t hash[EID_TWIG_HASH];
    int order;
    eid_cells of_key = *all;
    const eid_cells *cells = &of_key;
    of_key.key = hash;
    EID_TRY(eid_cell_root(row, &root, &inner));
    bool split = is_inner(root.kind) && inner == NULL;
    eid_value_free(inner);
    eid_twig_hash_key(key, hash);
    EID_TRY(eid_seat_compare(cells->storage, &row->place, spot, &order));
    if (order < 0) {
        if (split)
            EID_TRY(eid_twigs_clear(cells, hash));
        return cells->calls->retire(cells, key, row);
    }
    if (root.odd)
        EID_TRY(cells->calls->refold(cells, key, true));
    /* What one entry wrote stays whole. */
    if (!split)
        return EID_OK;
    EID_TRY(eid_twigs_trim(cells, hash, spot));
    if (!root.atomic)
        return EID_OK;
    EID_TRY(eid_seat_compare(cells->storage, &root.cut, spot, &order));
    root.atomic = order > 0;
    if (order > 0)
        return EID_OK;
    EID_TRY(eid_kept_cell(cells, key));
    return write_cell(cells, key, &root, NULL, row->newest);
}

eid_status eid_cells_cut(const eid_cells *cells, const eid_node *barrier)
{
    eid_seat spot = {(int64_t)barrier->height, barrier->n};
    eid_buf keys[2];
    eid_cell_row row = {.found = true};
    eid_status status = EID_OK;
    size_t now = 0;
    bool started = false;
    eid_buf_init(&keys[0], SIZE_MAX / 2);
    eid_buf_init(&keys[1], SIZE_MAX / 2);
    eid_buf_init(&row.value, SIZE_MAX / 2);
    while (status == EID_OK && row.found) {
        eid_slice after = eid_buf_slice(&keys[now]);
        now = 1 - now;
        status = cells->calls->next(cells, started ? &after : NULL, &keys[now], &row);
        started = true;
        if (status == EID_OK && row.found)
            status = cut_cell(cells, eid_buf_slice(&keys[now]), &row, &spot);
    }
    eid_buf_free_secret(&keys[0]);
    eid_buf_free_secret(&keys[1]);
    eid_buf_free_secret(&row.value);
    return status;
}

/* ---- Odd keys ---- */

static eid_status mark_odd(const eid_cells *cells, eid_slice key, const eid_cell_row *row)
{
    eid_twig root;
    eid_value *inner;
    EID_TRY(eid_cell_root(row, &root, &inner));
    eid_status status = EID_OK;
    if (is_inner(root.kind) && !root.odd) {
        root.odd = true;
        status = write_cell(cells, key, &root, inner, row->newest);
    }
    eid_value_free(inner);
    return status;
}

eid_status eid_cells_stay_odd(const eid_cells *cells, eid_slice key, eid_seat *place)
{
    eid_cell_row row = {0};
    eid_buf_init(&row.value, SIZE_MAX / 2);
    eid_status status = cells->calls->read(cells, key, &row);
    if (status == EID_OK && !row.found)
        status = eid_fail(EID_ERR_CORRUPT, "The entries that wrote a key are not found; check the database");
    if (status == EID_OK)
        status = mark_odd(cells, key, &row);
    *place = row.place;
    eid_buf_free_secret(&row.value);
    return status;
}
