/* SPDX-License-Identifier: Apache-2.0 */
/* Reading entries and signature keys from JSON: the hot path of sync.
 *
 * Everything is decoded into the storage of the draft, which grows by doubling, so an entry costs a handful
 * of allocations whatever it holds. Places become pointers once, in eid_draft_settle. */
#include <string.h>

#include "codec/cid.h"
#include "crypto/key.h"
#include "entry/entry_int.h"

/* ---- objects ---- */

typedef struct object_reader {
    const eid_fields *fields;
    unsigned seen;
} object_reader;

static eid_status object_begin(eid_json *reader, const eid_fields *fields, object_reader *object)
{
    EID_TRY(eid_json_begin_object(reader, fields->record));
    *object = (object_reader){fields, 0};
    return EID_OK;
}

/* The next known field; *more is false at the end of the object, when all required fields were seen. */
static eid_status object_next(eid_json *reader, object_reader *object, size_t *field, bool *more)
{
    for (;;) {
        eid_slice key;
        EID_TRY(eid_json_next_key(reader, &key, more));
        if (!*more)
            return eid_fields_complete(object->fields, object->seen);
        EID_TRY(eid_fields_find(object->fields, key, &object->seen, field));
        if (*field != EID_FIELD_UNKNOWN)
            return EID_OK;
        EID_TRY(eid_json_skip(reader));
    }
}

/* ---- values ---- */

/* Copies text into the storage: what the reader lends lives only until its next call. */
static eid_status read_text(eid_json *reader, eid_draft *draft, const char *what, eid_draft_bytes *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    size_t at = draft->storage_bytes.len;
    eid_buf_append_slice(&draft->storage_bytes, text);
    EID_TRY(eid_buf_status(&draft->storage_bytes));
    *out = (eid_draft_bytes){NULL, text.len, at, true};
    return EID_OK;
}

static eid_status read_optional_text(eid_json *reader, eid_draft *draft, const char *what,
                                     eid_draft_bytes *out)
{
    bool is_null;
    EID_TRY(eid_json_read_null(reader, &is_null));
    if (is_null)
        return EID_OK;
    return read_text(reader, draft, what, out);
}

/* An array of numbers, a text that stands for its bytes, or null. */
static eid_status read_payload(eid_json *reader, eid_draft *draft, const char *what, eid_draft_bytes *out)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token != EID_JSON_BEGIN_ARRAY)
        return read_optional_text(reader, draft, what, out);
    size_t at = draft->storage_bytes.len;
    EID_TRY(eid_json_read_bytes(reader, what, &draft->storage_bytes));
    *out = (eid_draft_bytes){NULL, draft->storage_bytes.len - at, at, true};
    return EID_OK;
}

static eid_status read_id(eid_json *reader, const char *what, eid_id *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_id_parse_slice(text, out);
}

static eid_status read_ids(eid_json *reader, eid_id_list *storage, size_t max, const char *what,
                           eid_draft_ids *out)
{
    EID_TRY(eid_json_begin_array(reader, what));
    eid_draft_ids list = {NULL, 0, storage->count};
    for (;;) {
        bool more;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            break;
        eid_id *slot;
        EID_TRY(eid_id_list_slot(storage, max, &slot));
        EID_TRY(read_id(reader, what, slot));
        storage->count++;
        list.count++;
    }
    *out = list;
    return EID_OK;
}

static eid_status read_draft_ids(eid_json *reader, eid_draft *draft, const char *what, eid_draft_ids *out)
{
    return read_ids(reader, &draft->storage_ids, EID_LIMIT_ENTRY_IDS, what, out);
}

/* ---- records ---- */

static eid_status read_hint(eid_json *reader, eid_draft *draft)
{
    eid_draft_sigkey *sigkey = &draft->sigkey;
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_hint, &object));
    for (;;) {
        size_t field;
        bool more;
        bool is_null;
        eid_slice text;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case HINT_PUBKEY:
            EID_TRY(eid_json_read_null(reader, &is_null));
            if (is_null)
                break;
            EID_TRY(eid_json_read_text(reader, "pubkey", &text));
            EID_TRY(eid_pubkey_decode_slice(text, &sigkey->pubkey));
            sigkey->has_pubkey = true;
            break;
        case HINT_NAME:
            EID_TRY(read_optional_text(reader, draft, "the name in a key hint", &sigkey->name));
            break;
        case HINT_GLOBAL:
            EID_TRY(eid_json_read_bool(reader, "is_global", &sigkey->is_global));
            break;
        }
    }
}

static eid_status read_step(eid_json *reader, eid_draft *draft, eid_draft_step *step)
{
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_step, &object));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == STEP_TREE)
            EID_TRY(read_id(reader, "tree of a delegation step", &step->tree));
        else
            EID_TRY(read_draft_ids(reader, draft, "tips of a delegation step", &step->tips));
    }
}

static eid_status read_path(eid_json *reader, eid_draft *draft)
{
    eid_draft_sigkey *sigkey = &draft->sigkey;
    EID_TRY(eid_json_begin_array(reader, "path"));
    for (;;) {
        bool more;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        if (sigkey->step_count == EID_LIMIT_DELEGATION_STEPS)
            return eid_fail(EID_ERR_LIMIT, "a delegation path has at most %d steps",
                            EID_LIMIT_DELEGATION_STEPS);
        EID_TRY(read_step(reader, draft, &sigkey->steps[sigkey->step_count]));
        sigkey->step_count++;
    }
}

static eid_status read_alternative(eid_json *reader, eid_draft *draft)
{
    object_reader object;
    const eid_fields *fields = draft->sigkey.is_delegation ? &eid_fields_delegation : &eid_fields_direct;
    EID_TRY(object_begin(reader, fields, &object));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == KEY_HINT)
            EID_TRY(read_hint(reader, draft));
        else
            EID_TRY(read_path(reader, draft));
    }
}

/* {"Direct": {…}} or {"Delegation": {…}} */
static eid_status read_sigkey(eid_json *reader, eid_draft *draft)
{
    eid_slice name;
    bool more;
    EID_TRY(eid_json_begin_object(reader, "sig.key"));
    EID_TRY(eid_json_next_key(reader, &name, &more));
    if (more) {
        EID_TRY(eid_sigkey_alternative(name, &draft->sigkey.is_delegation));
        EID_TRY(read_alternative(reader, draft));
        EID_TRY(eid_json_next_key(reader, &name, &more));
        if (!more)
            return EID_OK;
    }
    return eid_fail(EID_ERR_WRONG_TYPE, "sig.key must be exactly one of Direct and Delegation");
}

static eid_status read_sig(eid_json *reader, eid_draft *draft)
{
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_sig, &object));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == SIG_SIG)
            EID_TRY(read_optional_text(reader, draft, "sig.sig", &draft->signature));
        else
            EID_TRY(read_sigkey(reader, draft));
    }
}

static eid_status read_root(eid_json *reader, eid_draft *draft)
{
    bool is_null;
    EID_TRY(eid_json_read_null(reader, &is_null));
    if (is_null)
        return EID_OK;
    EID_TRY(read_id(reader, "tree.root", &draft->root));
    draft->has_root = true;
    return EID_OK;
}

static eid_status read_tree(eid_json *reader, eid_draft *draft)
{
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_tree, &object));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case TREE_ROOT:
            EID_TRY(read_root(reader, draft));
            break;
        case TREE_PARENTS:
            EID_TRY(read_draft_ids(reader, draft, "tree.parents", &draft->parents));
            break;
        case TREE_METADATA:
            EID_TRY(read_payload(reader, draft, "tree.metadata", &draft->metadata));
            break;
        case TREE_HEIGHT:
            EID_TRY(eid_json_read_u64(reader, "tree.h", &draft->height));
            break;
        }
    }
}

static eid_status read_subtree_height(eid_json *reader, eid_draft_subtree *subtree)
{
    bool is_null;
    EID_TRY(eid_json_read_null(reader, &is_null));
    if (is_null)
        return EID_OK;
    EID_TRY(eid_json_read_u64(reader, "the height of a subtree", &subtree->height));
    subtree->has_height = true;
    return EID_OK;
}

static eid_status read_subtree(eid_json *reader, eid_draft *draft)
{
    eid_draft_subtree *subtree;
    EID_TRY(eid_draft_add_subtree(draft, &subtree));
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_subtree, &object));
    for (;;) {
        size_t field;
        bool more;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case SUBTREE_NAME:
            EID_TRY(read_text(reader, draft, "the name of a subtree", &subtree->name));
            break;
        case SUBTREE_PARENTS:
            EID_TRY(read_draft_ids(reader, draft, "the parents of a subtree", &subtree->parents));
            break;
        case SUBTREE_DATA:
            EID_TRY(read_payload(reader, draft, "the data of a subtree", &subtree->data));
            break;
        case SUBTREE_HEIGHT:
            EID_TRY(read_subtree_height(reader, subtree));
            break;
        }
    }
}

static eid_status read_subtrees(eid_json *reader, eid_draft *draft)
{
    EID_TRY(eid_json_begin_array(reader, "subtrees"));
    for (;;) {
        bool more;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        EID_TRY(read_subtree(reader, draft));
    }
}

static eid_status read_entry(eid_json *reader, eid_draft *draft)
{
    object_reader object;
    EID_TRY(object_begin(reader, &eid_fields_entry, &object));
    for (;;) {
        size_t field;
        bool more;
        uint64_t version;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case ENTRY_VERSION:
            EID_TRY(eid_json_read_u64(reader, "_v", &version));
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

/* ---- entry points ---- */

/* Puts the reader back to where the copy was taken. Only the memory for decoded strings stays the newer one.
 */
static void go_back(eid_json *reader, const eid_json *start)
{
    eid_buf scratch = reader->scratch;
    *reader = *start;
    reader->scratch = scratch;
}

eid_status eid_entry_read_json(eid_json *reader, eid_entry **out)
{
    eid_json start = *reader;
    eid_draft draft;
    eid_draft_init(&draft);
    eid_status status;
    EID_TRY_GOTO(status, read_entry(reader, &draft), done);
    eid_draft_settle(&draft);
    EID_TRY_GOTO(status, eid_draft_seal(&draft, NULL, out), done);

done:
    if (status != EID_OK)
        go_back(reader, &start);
    eid_draft_free(&draft);
    return status;
}

eid_status eid_entry_from_json(const char *text, size_t len, eid_entry **out)
{
    EID_NEED((text || len == 0) && out);
    eid_json reader;
    eid_json_init(&reader, eid_slice_of(text, len));
    eid_entry *entry = NULL;
    eid_status status;
    EID_TRY_GOTO(status, eid_entry_read_json(&reader, &entry), done);
    EID_TRY_GOTO(status, eid_json_end(&reader), done);
    if (entry->sigkey.hint.has_pubkey)
        EID_TRY_GOTO(status, eid_pubkey_check(&entry->sigkey.hint.pubkey), done);
    *out = entry;
    entry = NULL;

done:
    eid_entry_unref(entry);
    eid_json_free(&reader);
    return status;
}

eid_status eid_sigkey_read_json(eid_json *reader, eid_sigkey *out)
{
    eid_json start = *reader;
    eid_draft draft;
    eid_draft_init(&draft);
    eid_status status;
    EID_TRY_GOTO(status, read_sigkey(reader, &draft), done);
    if (draft.sigkey.has_pubkey)
        EID_TRY_GOTO(status, eid_pubkey_check(&draft.sigkey.pubkey), done);
    eid_draft_settle(&draft);
    EID_TRY_GOTO(status, eid_draft_sigkey_check(&draft.sigkey), done);
    EID_TRY_GOTO(status, eid_draft_sigkey_copy(&draft.sigkey, out), done);

done:
    if (status != EID_OK)
        go_back(reader, &start);
    eid_draft_free(&draft);
    return status;
}

/* ---- the pin ---- */

static eid_status read_pin(eid_json *reader, eid_id_list *tips, eid_entry_pin *pin)
{
    object_reader object;
    eid_draft_ids list;
    EID_TRY(object_begin(reader, &eid_fields_pin, &object));
    for (;;) {
        size_t field;
        bool more;
        bool is_null;
        EID_TRY(object_next(reader, &object, &field, &more));
        if (!more)
            return eid_json_end(reader);
        if (field == PIN_TIPS) {
            EID_TRY(read_ids(reader, tips, EID_LIMIT_SETTINGS_PIN, "settings_tips", &list));
            continue;
        }
        EID_TRY(eid_json_read_null(reader, &is_null));
        if (is_null)
            continue;
        EID_TRY(eid_json_read_u64(reader, "entropy", &pin->entropy));
        pin->has_entropy = true;
    }
}

eid_status eid_entry_read_pin(const eid_entry *entry, eid_entry_pin *out)
{
    eid_entry_pin pin;
    memset(&pin, 0, sizeof pin);
    if (!entry->has_metadata) {
        *out = pin;
        return EID_OK;
    }
    eid_json reader;
    eid_json_init(&reader, eid_slice_of(entry->metadata, entry->metadata_len));
    eid_id_list tips = {NULL, 0, 0};
    eid_status status = read_pin(&reader, &tips, &pin);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_id_list_free(&tips);
        return eid_fail_context(status, "the metadata of the entry");
    }
    pin.present = true;
    pin.tips = tips.ids;
    pin.tip_count = tips.count == 0 ? 0 : eid_ids_sort(tips.ids, tips.count);
    *out = pin;
    return EID_OK;
}
