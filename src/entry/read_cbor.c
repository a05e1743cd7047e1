/* SPDX-License-Identifier: Apache-2.0 */
/* Reading entries from DAG-CBOR, as tolerantly as peers do (entry.md section 4): keys in any order, heads
 * longer than needed, explicit nulls, unknown keys. None of that survives: the ID is that of the canonical
 * form. */
#include "codec/cbor.h"
#include "crypto/key.h"
#include "entry/entry_int.h"

static eid_status fail_type(const char *what)
{
    return eid_fail(EID_ERR_WRONG_TYPE, "%s has another type than the format says", what);
}

/* ---- maps ---- */

/* A map being read: `left` pairs are still to come. */
typedef struct map_reader {
    const eid_fields *fields;
    uint64_t left;
    unsigned seen;
} map_reader;

static eid_status map_begin(eid_cbor *reader, const eid_fields *fields, map_reader *map)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_MAP, fields->record, &item));
    *map = (map_reader){fields, item.number, 0};
    return EID_OK;
}

/* The next known field; *more is false at the end of the map, when all required fields were seen. */
static eid_status map_next(eid_cbor *reader, map_reader *map, size_t *field, bool *more)
{
    while (map->left > 0) {
        eid_cbor_item key;
        EID_TRY(eid_cbor_expect(reader, EID_CBOR_TEXT, "a field name", &key));
        map->left--;
        EID_TRY(eid_fields_find(map->fields, key.bytes, &map->seen, field));
        if (*field != EID_FIELD_UNKNOWN) {
            *more = true;
            return EID_OK;
        }
        EID_TRY(eid_cbor_skip(reader));
    }
    *more = false;
    return eid_fields_complete(map->fields, map->seen);
}

/* ---- values ---- */

static eid_status read_number(eid_cbor *reader, const char *what, uint64_t *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_UINT, what, &item));
    *out = item.number;
    return EID_OK;
}

/* The item, or null for an absent optional. */
static eid_status read_optional(eid_cbor *reader, eid_cbor_kind kind, const char *what, eid_cbor_item *item,
                                bool *present)
{
    EID_TRY(eid_cbor_next(reader, item));
    if (item->kind != kind && item->kind != EID_CBOR_NULL)
        return fail_type(what);
    *present = item->kind == kind;
    return EID_OK;
}

static eid_status read_optional_bytes(eid_cbor *reader, eid_cbor_kind kind, const char *what,
                                      eid_draft_bytes *out)
{
    eid_cbor_item item;
    bool present = false;
    EID_TRY(read_optional(reader, kind, what, &item, &present));
    if (present)
        *out = (eid_draft_bytes){item.bytes.data, item.bytes.len, 0, true};
    return EID_OK;
}

/* An ID; null is the empty one. */
static eid_status read_id(eid_cbor *reader, const char *what, eid_id *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_next(reader, &item));
    if (item.kind == EID_CBOR_ID)
        *out = item.id;
    else if (item.kind == EID_CBOR_NULL)
        *out = (eid_id){0};
    else
        return fail_type(what);
    return EID_OK;
}

static eid_status read_ids(eid_cbor *reader, eid_draft *draft, const char *what, eid_draft_ids *out)
{
    eid_cbor_item head;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, what, &head));
    eid_draft_ids list = {NULL, 0, draft->storage_ids.count};
    for (uint64_t i = 0; i < head.number; i++) {
        eid_id *slot;
        EID_TRY(eid_id_list_slot(&draft->storage_ids, EID_LIMIT_ENTRY_IDS, &slot));
        EID_TRY(read_id(reader, what, slot));
        draft->storage_ids.count++;
        list.count++;
    }
    *out = list;
    return EID_OK;
}

/* ---- records ---- */

static eid_status read_hint(eid_cbor *reader, eid_draft_sigkey *sigkey)
{
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_hint, &map));
    for (;;) {
        size_t field;
        bool more;
        eid_cbor_item item;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case HINT_PUBKEY:
            EID_TRY(read_optional(reader, EID_CBOR_TEXT, "pubkey", &item, &sigkey->has_pubkey));
            if (sigkey->has_pubkey)
                EID_TRY(eid_pubkey_decode_slice(item.bytes, &sigkey->pubkey));
            break;
        case HINT_NAME:
            EID_TRY(read_optional_bytes(reader, EID_CBOR_TEXT, "the name in a key hint", &sigkey->name));
            break;
        case HINT_GLOBAL:
            EID_TRY(eid_cbor_next(reader, &item));
            if (item.kind != EID_CBOR_TRUE && item.kind != EID_CBOR_FALSE)
                return fail_type("is_global");
            sigkey->is_global = item.kind == EID_CBOR_TRUE;
            break;
        }
    }
}

static eid_status read_step(eid_cbor *reader, eid_draft *draft, eid_draft_step *step)
{
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_step, &map));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        if (field == STEP_TREE)
            EID_TRY(read_id(reader, "tree of a delegation step", &step->tree));
        else
            EID_TRY(read_ids(reader, draft, "tips of a delegation step", &step->tips));
    }
}

static eid_status read_path(eid_cbor *reader, eid_draft *draft)
{
    eid_draft_sigkey *sigkey = &draft->sigkey;
    eid_cbor_item head;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "path", &head));
    if (head.number > EID_LIMIT_DELEGATION_STEPS)
        return eid_fail(EID_ERR_LIMIT, "a delegation path has at most %d steps", EID_LIMIT_DELEGATION_STEPS);
    for (size_t i = 0; i < head.number; i++)
        EID_TRY(read_step(reader, draft, &sigkey->steps[i]));
    sigkey->step_count = (size_t)head.number;
    return EID_OK;
}

/* {"Direct": {…}} or {"Delegation": {…}} */
static eid_status read_sigkey(eid_cbor *reader, eid_draft *draft)
{
    eid_draft_sigkey *sigkey = &draft->sigkey;
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_MAP, "sig.key", &item));
    if (item.number != 1)
        return eid_fail(EID_ERR_WRONG_TYPE, "sig.key must be exactly one of Direct and Delegation");
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_TEXT, "the alternative of sig.key", &item));
    EID_TRY(eid_sigkey_alternative(item.bytes, &sigkey->is_delegation));

    map_reader map;
    EID_TRY(map_begin(reader, sigkey->is_delegation ? &eid_fields_delegation : &eid_fields_direct, &map));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        if (field == KEY_HINT)
            EID_TRY(read_hint(reader, sigkey));
        else
            EID_TRY(read_path(reader, draft));
    }
}

static eid_status read_sig(eid_cbor *reader, eid_draft *draft)
{
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_sig, &map));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        if (field == SIG_SIG)
            EID_TRY(read_optional_bytes(reader, EID_CBOR_TEXT, "sig.sig", &draft->signature));
        else
            EID_TRY(read_sigkey(reader, draft));
    }
}

static eid_status read_tree(eid_cbor *reader, eid_draft *draft)
{
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_tree, &map));
    for (;;) {
        size_t field;
        bool more;
        eid_cbor_item item;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case TREE_ROOT:
            EID_TRY(read_optional(reader, EID_CBOR_ID, "tree.root", &item, &draft->has_root));
            if (draft->has_root)
                draft->root = item.id;
            break;
        case TREE_PARENTS:
            EID_TRY(read_ids(reader, draft, "tree.parents", &draft->parents));
            break;
        case TREE_METADATA:
            EID_TRY(read_optional_bytes(reader, EID_CBOR_BYTES, "tree.metadata", &draft->metadata));
            break;
        case TREE_HEIGHT:
            EID_TRY(read_number(reader, "tree.h", &draft->height));
            break;
        }
    }
}

static eid_status read_subtree_name(eid_cbor *reader, eid_draft_subtree *subtree)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_TEXT, "the name of a subtree", &item));
    subtree->name = (eid_draft_bytes){item.bytes.data, item.bytes.len, 0, true};
    return EID_OK;
}

static eid_status read_subtree(eid_cbor *reader, eid_draft *draft)
{
    eid_draft_subtree *subtree;
    EID_TRY(eid_draft_add_subtree(draft, &subtree));
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_subtree, &map));
    for (;;) {
        size_t field;
        bool more;
        eid_cbor_item item;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case SUBTREE_NAME:
            EID_TRY(read_subtree_name(reader, subtree));
            break;
        case SUBTREE_PARENTS:
            EID_TRY(read_ids(reader, draft, "the parents of a subtree", &subtree->parents));
            break;
        case SUBTREE_DATA:
            EID_TRY(read_optional_bytes(reader, EID_CBOR_BYTES, "the data of a subtree", &subtree->data));
            break;
        case SUBTREE_HEIGHT:
            EID_TRY(
                read_optional(reader, EID_CBOR_UINT, "the height of a subtree", &item, &subtree->has_height));
            if (subtree->has_height)
                subtree->height = item.number;
            break;
        }
    }
}

static eid_status read_subtrees(eid_cbor *reader, eid_draft *draft)
{
    eid_cbor_item head;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "subtrees", &head));
    for (uint64_t i = 0; i < head.number; i++)
        EID_TRY(read_subtree(reader, draft));
    return EID_OK;
}

static eid_status read_entry(eid_cbor *reader, eid_draft *draft)
{
    map_reader map;
    EID_TRY(map_begin(reader, &eid_fields_entry, &map));
    for (;;) {
        size_t field;
        bool more;
        uint64_t version;
        EID_TRY(map_next(reader, &map, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case ENTRY_VERSION:
            EID_TRY(read_number(reader, "_v", &version));
            EID_TRY(eid_entry_check_version(version));
            break;
        case ENTRY_TREE:
            EID_TRY(read_tree(reader, draft));
            break;
        case ENTRY_SUBTREES:
            EID_TRY(read_subtrees(reader, draft));
            break;
        case ENTRY_SIG:
            EID_TRY(read_sig(reader, draft));
            break;
        }
    }
}

eid_status eid_entry_read_cbor(const void *data, size_t len, eid_entry **out)
{
    if (len > EID_LIMIT_ENTRY_BYTES)
        return eid_fail(EID_ERR_LIMIT, "an entry of %zu bytes is larger than the %u allowed", len,
                        EID_LIMIT_ENTRY_BYTES);
    eid_cbor reader;
    eid_cbor_init(&reader, eid_slice_of(data, len), false);
    eid_draft draft;
    eid_draft_init(&draft);
    eid_entry *entry = NULL;
    eid_status status;
    EID_TRY_GOTO(status, read_entry(&reader, &draft), done);
    EID_TRY_GOTO(status, eid_cbor_end(&reader), done);
    eid_draft_settle(&draft);
    EID_TRY_GOTO(status, eid_draft_seal(&draft, NULL, &entry), done);
    *out = entry;

done:
    eid_draft_free(&draft);
    return status;
}

eid_status eid_entry_from_cbor(const void *data, size_t len, eid_entry **out)
{
    EID_NEED((data || len == 0) && out);
    eid_entry *entry;
    EID_TRY(eid_entry_read_cbor(data, len, &entry));
    eid_status status = entry->sigkey.hint.has_pubkey ? eid_pubkey_check(&entry->sigkey.hint.pubkey) : EID_OK;
    if (status != EID_OK) {
        eid_entry_unref(entry);
        return status;
    }
    *out = entry;
    return EID_OK;
}
