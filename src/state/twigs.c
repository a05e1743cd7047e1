/* SPDX-License-Identifier: Apache-2.0 */
/* Twigs: their records, and whole values made of them; see cells_int.h. */
#include "state/cells_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "codec/varint.h"
#include "crdt/list.h"
#include "crypto/blake3.h"
#include "crypto/key.h"

eid_status eid_seat_compare(eid_storage *storage, const eid_seat *a, const eid_seat *b, int *out)
{
    if (a->height != b->height) {
        *out = a->height < b->height ? -1 : 1;
        return EID_OK;
    }
    if (a->n == b->n) {
        *out = 0;
        return EID_OK;
    }
    eid_id left, right;
    EID_TRY(eid_storage_id(storage, a->n, &left));
    EID_TRY(eid_storage_id(storage, b->n, &right));
    *out = eid_id_compare_text(&left, &right);
    return EID_OK;
}

/* ---- Records: a byte of kind and flags, places as varints, the form of a position, the text of a leaf ---- */

#define KIND_MASK 0x07
#define ATOMIC    0x08
#define ODD       0x10
#define HAS_CUT   0x20
#define HAS_FORM  0x40

void eid_twig_write(eid_buf *out, const eid_twig *twig)
{
    unsigned head = (unsigned)twig->kind | (twig->atomic ? ATOMIC : 0u) | (twig->odd ? ODD : 0u) |
                    (twig->has_cut ? HAS_CUT : 0u) | (twig->has_form ? HAS_FORM : 0u);
    eid_buf_append_byte(out, (uint8_t)head);
    eid_varint_append(out, (uint64_t)twig->last.height);
    eid_varint_append(out, (uint64_t)twig->last.n);
    if (twig->has_cut) {
        eid_varint_append(out, (uint64_t)twig->cut.height);
        eid_varint_append(out, (uint64_t)twig->cut.n);
    }
    if (twig->has_form) {
        eid_varint_append(out, (uint64_t)twig->numerator);
        eid_varint_append(out, twig->denominator);
    }
    eid_buf_append_slice(out, twig->text);
}

static eid_status read_spot(eid_slice *input, eid_seat *out)
{
    uint64_t height, n;
    EID_TRY(eid_varint_read(input, &height));
    EID_TRY(eid_varint_read(input, &n));
    *out = (eid_seat){(int64_t)height, (int64_t)n};
    return EID_OK;
}

static eid_status read_fields(eid_slice *rest, eid_twig *twig)
{
    uint64_t numerator = 0;
    EID_TRY(read_spot(rest, &twig->last));
    if (twig->has_cut)
        EID_TRY(read_spot(rest, &twig->cut));
    if (twig->has_form) {
        EID_TRY(eid_varint_read(rest, &numerator));
        EID_TRY(eid_varint_read(rest, &twig->denominator));
        twig->numerator = (int64_t)numerator;
    }
    return EID_OK;
}

eid_status eid_twig_read(eid_slice record, eid_twig *out)
{
    eid_twig twig = {0};
    unsigned head = record.len == 0 ? 0 : record.data[0];
    eid_slice rest = eid_slice_of(record.data + 1, record.len == 0 ? 0 : record.len - 1);
    twig.kind = (eid_value_kind)(head & KIND_MASK);
    twig.atomic = (head & ATOMIC) != 0;
    twig.odd = (head & ODD) != 0;
    twig.has_cut = (head & HAS_CUT) != 0;
    twig.has_form = (head & HAS_FORM) != 0;
    if (record.len == 0 || head > 0x7f || (head & KIND_MASK) > EID_VALUE_DELETED || read_fields(&rest, &twig) != EID_OK ||
        (twig.has_form && twig.denominator == 0))
        return eid_fail(EID_ERR_CORRUPT, "A part of a merged value can not be read; check the database");
    twig.text = rest;
    *out = twig;
    return EID_OK;
}

static bool is_inner(eid_value_kind kind)
{
    return kind == EID_VALUE_DOC || kind == EID_VALUE_LIST;
}

/* ---- Names ---- */

#define NAME_KEY  'k'
#define NAME_SLOT 's'
#define SLOT_LEN  33

void eid_twig_hash_key(eid_slice key, uint8_t out[EID_TWIG_HASH])
{
    static const uint8_t first = 0;
    uint8_t digest[32];
    eid_blake3 hasher;
    eid_blake3_init(&hasher);
    eid_blake3_update(&hasher, &first, 1);
    eid_blake3_update(&hasher, key.data, key.len);
    eid_blake3_final(&hasher, digest);
    memcpy(out, digest, EID_TWIG_HASH);
}

void eid_twig_hash_child(const uint8_t parent[EID_TWIG_HASH], eid_slice name, uint8_t out[EID_TWIG_HASH])
{
    static const uint8_t first = 1;
    uint8_t digest[32];
    eid_blake3 hasher;
    eid_blake3_init(&hasher);
    eid_blake3_update(&hasher, &first, 1);
    eid_blake3_update(&hasher, parent, EID_TWIG_HASH);
    eid_blake3_update(&hasher, name.data, name.len);
    eid_blake3_final(&hasher, digest);
    memcpy(out, digest, EID_TWIG_HASH);
}

void eid_twig_name_key(eid_buf *out, eid_slice key)
{
    eid_buf_reset(out);
    eid_buf_append_byte(out, NAME_KEY);
    eid_buf_append_slice(out, key);
}

/* In lowest terms, so that equal positions have one name. */
void eid_twig_name_slot(eid_buf *out, const eid_position *position)
{
    eid_position lowest = *position;
    (void)eid_position_make(position->numerator, position->denominator, &position->unique, &lowest); /* it is one */
    eid_buf_reset(out);
    eid_buf_append_byte(out, NAME_SLOT);
    eid_buf_append_u64_be(out, (uint64_t)lowest.numerator);
    eid_buf_append_u64_be(out, lowest.denominator);
    eid_buf_append(out, position->unique.bytes, sizeof position->unique.bytes);
}

static uint64_t read_u64_be(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* The position as it was received. */
static eid_position slot_position(eid_slice name, const eid_twig *twig)
{
    eid_position position = {(int64_t)read_u64_be(name.data + 1), read_u64_be(name.data + 9), {{0}}};
    if (twig->has_form) {
        position.numerator = twig->numerator;
        position.denominator = twig->denominator;
    }
    memcpy(position.unique.bytes, name.data + 17, sizeof position.unique.bytes);
    return position;
}

/* ---- The stored form of a cell ----
 *
 * The JSON of the value, or, behind a byte that no JSON begins with, the record of a twig whose text is that JSON, or empty
 * where the value is split. The place of the last write is that of the cell and stands in the record as zero. */

#define NOT_PLAIN 0x01

bool eid_cell_is_leaf(eid_slice stored)
{
    static const char doc[] = "{\"Doc\"", list[] = "{\"List\"";
    if (stored.len > 0 && stored.data[0] == NOT_PLAIN)
        return false;
    return !(stored.len > sizeof list &&
             (memcmp(stored.data, doc, sizeof doc - 1) == 0 || memcmp(stored.data, list, sizeof list - 1) == 0));
}

eid_status eid_cell_store(eid_buf *out, const eid_twig *root, const eid_value *whole)
{
    if (whole == NULL || root->odd || (root->has_cut && !root->atomic)) {
        eid_twig record = *root;
        record.last = (eid_seat){0, 0};
        record.text = eid_slice_of(NULL, 0);
        eid_buf_append_byte(out, NOT_PLAIN);
        eid_twig_write(out, &record);
    }
    if (whole != NULL)
        eid_value_write(out, whole);
    return eid_buf_status(out);
}

static bool is_atomic(const eid_value *value)
{
    const eid_doc *doc;
    return eid_value_get_kind(value) == EID_VALUE_DOC && eid_value_as_doc(value, &doc) == EID_OK && eid_doc_is_atomic(doc);
}

eid_status eid_cell_root(const eid_cell_row *row, eid_twig *out, eid_value **inner)
{
    eid_twig root = {.kind = EID_VALUE_NULL, .last = row->place};
    *inner = NULL;
    if (row->leaf) {
        *out = root;
        return EID_OK;
    }
    eid_slice text = eid_buf_slice(&row->value);
    bool plain = text.len == 0 || text.data[0] != NOT_PLAIN;
    if (!plain) {
        EID_TRY(eid_twig_read(eid_slice_of(text.data + 1, text.len - 1), &root));
        root.last = row->place;
        text = root.text;
    }
    if (plain || text.len > 0) {
        EID_TRY(eid_value_parse(text, inner));
        root.kind = eid_value_get_kind(*inner);
    }
    if (plain && is_atomic(*inner)) {
        root.atomic = true;
        root.has_cut = true;
        root.cut = row->place;
    }
    root.text = eid_slice_of(NULL, 0);
    *out = root;
    return EID_OK;
}

/* ---- Containers still to be gone through ---- */

typedef struct pending {
    uint8_t hash[EID_TWIG_HASH];
    eid_value *value; /* when a value is built: where its children go */
} pending;

typedef struct agenda {
    pending *items;
    size_t count;
    size_t capacity;
} agenda;

static eid_status add_pending(agenda *todo, const uint8_t *hash, eid_value *value)
{
    if (todo->count == todo->capacity) {
        size_t capacity = todo->capacity == 0 ? 8 : todo->capacity * 2;
        pending *grown = eid_realloc_array(todo->items, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        todo->items = grown;
        todo->capacity = capacity;
    }
    memcpy(todo->items[todo->count].hash, hash, EID_TWIG_HASH);
    todo->items[todo->count++].value = value;
    return EID_OK;
}

static eid_status add_child(agenda *todo, const uint8_t *parent, eid_slice name, eid_value *value)
{
    uint8_t hash[EID_TWIG_HASH];
    eid_twig_hash_child(parent, name, hash);
    return add_pending(todo, hash, value);
}

/* ---- Building ---- */

typedef struct building {
    agenda todo;
    pending now;
} building;

static eid_status new_container(const eid_twig *twig, eid_value **out)
{
    eid_doc *doc = NULL;
    eid_list *list = NULL;
    eid_status status;
    if (twig->kind == EID_VALUE_LIST) {
        EID_TRY(eid_list_new(&list));
        status = eid_value_new_list(list, out);
        eid_list_free(list);
        return status;
    }
    EID_TRY(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, twig->atomic);
    status = eid_value_new_doc(doc, out);
    eid_doc_free(doc);
    return status;
}

static eid_status attach(eid_value *container, eid_slice name, const eid_twig *twig, eid_value *child)
{
    eid_list *list = eid_value_edit_list(container);
    bool slot = name.len == SLOT_LEN && name.data[0] == NAME_SLOT;
    if (list != NULL && slot) {
        eid_position position = slot_position(name, twig);
        return eid_list_put(list, &position, child);
    }
    if (list != NULL || name.len == 0 || name.data[0] != NAME_KEY)
        return eid_fail(EID_ERR_CORRUPT, "A part of a merged value has a name that does not fit; check the database");
    return eid_doc_put_child(eid_value_edit_doc(container), eid_slice_of(name.data + 1, name.len - 1), child);
}

static eid_status build_child(eid_slice name, eid_slice record, void *ctx)
{
    building *b = ctx;
    eid_twig twig;
    eid_value *child = NULL;
    EID_TRY(eid_twig_read(record, &twig));
    EID_TRY(is_inner(twig.kind) ? new_container(&twig, &child) : eid_value_parse(twig.text, &child));
    eid_status status = attach(b->now.value, name, &twig, child);
    if (status != EID_OK) {
        eid_value_free(child);
        return status;
    }
    return is_inner(twig.kind) ? add_child(&b->todo, b->now.hash, name, child) : EID_OK;
}

static eid_status build(const eid_cells *cells, const uint8_t *hash, const eid_twig *twig, eid_value **out)
{
    building b = {{NULL, 0, 0}, {{0}, NULL}};
    eid_value *value = NULL;
    EID_TRY(new_container(twig, &value));
    eid_status status = add_pending(&b.todo, hash, value);
    while (status == EID_OK && b.todo.count > 0) {
        b.now = b.todo.items[--b.todo.count];
        status = cells->calls->each_twig(cells, b.now.hash, build_child, &b);
    }
    eid_free(b.todo.items);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    *out = value;
    return EID_OK;
}

/* *root is set and *out NULL when the value is split. */
static eid_status read_stored(eid_slice stored, eid_twig *root, eid_value **out)
{
    *out = NULL;
    if (stored.len == 0 || stored.data[0] != NOT_PLAIN)
        return eid_value_parse(stored, out);
    EID_TRY(eid_twig_read(eid_slice_of(stored.data + 1, stored.len - 1), root));
    return root->text.len > 0 ? eid_value_parse(root->text, out) : EID_OK;
}

eid_status eid_cell_value(const eid_cells *cells, eid_slice key, eid_slice stored, eid_value **out)
{
    eid_twig root;
    eid_value *value;
    uint8_t hash[EID_TWIG_HASH];
    EID_TRY(read_stored(stored, &root, &value));
    if (value == NULL) {
        eid_twig_hash_key(key, hash);
        EID_TRY(build(cells, hash, &root, &value));
    }
    *out = value;
    return EID_OK;
}

/* ---- Along a path ---- */

typedef struct stem {
    const eid_cells *cells;
    uint8_t hash[EID_TWIG_HASH];
    eid_value *tip;    /* the Doc that is to get its one child; NULL: the path ended */
    eid_slice path;    /* from there on */
    eid_buf name;
    eid_buf record;
} stem;

bool eid_path_split(eid_slice *path, eid_slice *first)
{
    if (!eid_path_first(*path, first))
        return false;
    size_t used = path->len == 0 ? 0 : (size_t)(first->data - path->data) + first->len;
    *path = eid_slice_of(path->data == NULL ? NULL : path->data + used, path->len - used);
    return true;
}

static eid_status grow_child(stem *s, const eid_twig *twig)
{
    bool on = twig->kind == EID_VALUE_DOC && s->path.len > 0 && eid_path_components(s->path) > 0;
    eid_value *child = NULL;
    eid_twig_hash_child(s->hash, eid_buf_slice(&s->name), s->hash);
    if (on)
        EID_TRY(new_container(twig, &child));
    else
        EID_TRY(is_inner(twig->kind) ? build(s->cells, s->hash, twig, &child) : eid_value_parse(twig->text, &child));
    eid_status status = attach(s->tip, eid_buf_slice(&s->name), twig, child);
    if (status != EID_OK) {
        eid_value_free(child);
        return status;
    }
    s->tip = on ? child : NULL;
    return EID_OK;
}

static eid_status grow(stem *s)
{
    eid_slice component;
    while (s->tip != NULL && s->path.len > 0 && eid_path_split(&s->path, &component)) {
        eid_twig twig;
        bool found;
        eid_twig_name_key(&s->name, component);
        EID_TRY(eid_buf_status(&s->name));
        eid_buf_reset(&s->record);
        EID_TRY(s->cells->calls->get_twig(s->cells, s->hash, eid_buf_slice(&s->name), &s->record, &found));
        if (!found)
            return EID_OK;
        EID_TRY(eid_twig_read(eid_buf_slice(&s->record), &twig));
        EID_TRY(grow_child(s, &twig));
    }
    return EID_OK;
}

eid_status eid_cell_along(const eid_cells *cells, eid_slice key, eid_slice path, eid_slice stored, eid_value **out)
{
    eid_twig root;
    eid_value *value;
    if (path.len == 0 || eid_path_components(path) == 0)
        return eid_cell_value(cells, key, stored, out);
    EID_TRY(read_stored(stored, &root, &value));
    if (value != NULL || root.kind != EID_VALUE_DOC) {
        eid_value_free(value);
        return eid_cell_value(cells, key, stored, out);
    }
    stem s = {.cells = cells, .path = path};
    eid_twig_hash_key(key, s.hash);
    EID_TRY(new_container(&root, &s.tip));
    value = s.tip;
    eid_buf_init(&s.name, SIZE_MAX / 2);
    eid_buf_init(&s.record, SIZE_MAX / 2);
    eid_status status = grow(&s);
    eid_buf_free_secret(&s.name);
    eid_buf_free_secret(&s.record);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    *out = value;
    return EID_OK;
}

/* ---- Taking away ---- */

typedef struct clearing {
    agenda todo;
    pending now;
} clearing;

static eid_status find_inner(eid_slice name, eid_slice record, void *ctx)
{
    clearing *c = ctx;
    eid_twig twig;
    EID_TRY(eid_twig_read(record, &twig));
    return is_inner(twig.kind) ? add_child(&c->todo, c->now.hash, name, NULL) : EID_OK;
}

eid_status eid_twigs_clear(const eid_cells *cells, const uint8_t *parent)
{
    clearing c = {{NULL, 0, 0}, {{0}, NULL}};
    eid_status status = add_pending(&c.todo, parent, NULL);
    while (status == EID_OK && c.todo.count > 0) {
        c.now = c.todo.items[--c.todo.count];
        status = cells->calls->each_twig(cells, c.now.hash, find_inner, &c);
        if (status == EID_OK)
            status = cells->calls->remove_twigs(cells, c.now.hash);
    }
    eid_free(c.todo.items);
    return status;
}

/* What is to be done with the children of one container is noted first: nothing may change while they are read. A note is
 * the length of the name, the name, and the record that takes the twig's place; an empty one removes it. */
typedef struct trimming {
    const eid_cells *cells;
    const eid_seat *cut;
    agenda todo;
    agenda gone;
    pending now;
    eid_buf notes;
} trimming;

static void note(trimming *t, eid_slice name, const eid_twig *twig)
{
    eid_buf_append_u64_be(&t->notes, name.len);
    eid_buf_append_slice(&t->notes, name);
    size_t start = t->notes.len;
    eid_buf_append_u64_be(&t->notes, 0);
    if (twig == NULL)
        return;
    eid_twig_write(&t->notes, twig);
    uint64_t len = t->notes.len - start - sizeof len;
    for (int i = 0; i < 8 && t->notes.status == EID_OK; i++)
        t->notes.data[start + (size_t)i] = (uint8_t)(len >> (8 * (7 - i)));
}

static eid_status trim_child(eid_slice name, eid_slice record, void *ctx)
{
    trimming *t = ctx;
    eid_twig twig;
    int order, cut_order = 0;
    EID_TRY(eid_twig_read(record, &twig));
    EID_TRY(eid_seat_compare(t->cells->storage, &twig.last, t->cut, &order));
    if (order < 0) {
        note(t, name, NULL);
        return is_inner(twig.kind) ? add_child(&t->gone, t->now.hash, name, NULL) : EID_OK;
    }
    if (!is_inner(twig.kind))
        return EID_OK;
    if (twig.atomic)
        EID_TRY(eid_seat_compare(t->cells->storage, &twig.cut, t->cut, &cut_order));
    if (cut_order < 0) {
        twig.atomic = false;
        note(t, name, &twig);
    }
    return add_child(&t->todo, t->now.hash, name, NULL);
}

static eid_status apply_notes(trimming *t)
{
    EID_TRY(eid_buf_status(&t->notes));
    for (size_t at = 0; at < t->notes.len;) {
        size_t name_len = (size_t)read_u64_be(t->notes.data + at);
        eid_slice name = eid_slice_of(t->notes.data + at + 8, name_len);
        size_t len = (size_t)read_u64_be(name.data + name_len);
        eid_slice record = eid_slice_of(name.data + name_len + 8, len);
        at += 16 + name_len + len;
        EID_TRY(len == 0 ? t->cells->calls->remove_twig(t->cells, t->now.hash, name)
                         : t->cells->calls->put_twig(t->cells, t->now.hash, name, record));
    }
    eid_buf_reset(&t->notes);
    return EID_OK;
}

eid_status eid_twigs_trim(const eid_cells *cells, const uint8_t *parent, const eid_seat *cut)
{
    trimming t = {.cells = cells, .cut = cut};
    eid_buf_init(&t.notes, SIZE_MAX / 2);
    eid_status status = add_pending(&t.todo, parent, NULL);
    while (status == EID_OK && t.todo.count > 0) {
        t.now = t.todo.items[--t.todo.count];
        status = cells->calls->each_twig(cells, t.now.hash, trim_child, &t);
        if (status == EID_OK)
            status = apply_notes(&t);
        while (status == EID_OK && t.gone.count > 0)
            status = eid_twigs_clear(cells, t.gone.items[--t.gone.count].hash);
    }
    eid_buf_free_secret(&t.notes);
    eid_free(t.gone.items);
    eid_free(t.todo.items);
    return status;
}
