/* SPDX-License-Identifier: Apache-2.0 */
/* From a draft to an entry: limits, canonical encoding, signature, layout in memory, ID.
 *
 * Only the bytes that are signed are ever encoded. The full encoding differs from them in two places of the
 * signature block, which comes first in canonical order: the head of its map counts one more pair, and the
 * pair sig.sig stands behind sig.key. So the signature is spliced in while the bytes are copied to their
 * final place.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/cbor.h"
#include "crypto/blake3.h"
#include "crypto/key.h"
#include "entry/entry_int.h"

#define FIRST_IDS      8
#define FIRST_SUBTREES 4

/* The key "sig", and the longest head of a text. */
#define SIG_PAIR_HEAD_MAX (4 + 9)

/* ---- growing lists ---- */

eid_status eid_id_list_slot(eid_id_list *list, size_t max, eid_id **out)
{
    if (list->count >= max)
        return eid_fail(EID_ERR_LIMIT, "more than %zu identifiers stand here", max);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? FIRST_IDS : list->capacity * 2;
        eid_id *ids = eid_realloc_array(list->ids, capacity, sizeof *ids);
        if (ids == NULL)
            return eid_fail_memory();
        list->ids = ids;
        list->capacity = capacity;
    }
    *out = &list->ids[list->count];
    return EID_OK;
}

void eid_id_list_free(eid_id_list *list)
{
    eid_free(list->ids);
    memset(list, 0, sizeof *list);
}

void eid_draft_init(eid_draft *draft)
{
    memset(draft, 0, sizeof *draft);
    eid_buf_init(&draft->storage_bytes, EID_LIMIT_ENTRY_BYTES);
}

void eid_draft_free(eid_draft *draft)
{
    eid_free(draft->subtrees);
    eid_id_list_free(&draft->storage_ids);
    eid_buf_free(&draft->storage_bytes);
}

eid_status eid_draft_add_subtree(eid_draft *draft, eid_draft_subtree **out)
{
    if (draft->subtree_count >= EID_LIMIT_ENTRY_SUBTREES)
        return eid_fail(EID_ERR_LIMIT, "an entry takes part in at most %d subtrees",
                        EID_LIMIT_ENTRY_SUBTREES);
    if (draft->subtree_count == draft->subtree_capacity) {
        size_t capacity = draft->subtree_capacity == 0 ? FIRST_SUBTREES : draft->subtree_capacity * 2;
        eid_draft_subtree *subtrees = eid_realloc_array(draft->subtrees, capacity, sizeof *subtrees);
        if (subtrees == NULL)
            return eid_fail_memory();
        draft->subtrees = subtrees;
        draft->subtree_capacity = capacity;
    }
    eid_draft_subtree *subtree = &draft->subtrees[draft->subtree_count++];
    memset(subtree, 0, sizeof *subtree);
    *out = subtree;
    return EID_OK;
}

/* ---- settling ---- */

static void settle_ids(const eid_draft *draft, eid_draft_ids *list)
{
    if (list->count > 0)
        list->ids = draft->storage_ids.ids + list->at;
}

static void settle_bytes(const eid_draft *draft, eid_draft_bytes *bytes)
{
    if (bytes->data == NULL && bytes->len > 0)
        bytes->data = draft->storage_bytes.data + bytes->at;
}

void eid_draft_settle(eid_draft *draft)
{
    settle_ids(draft, &draft->parents);
    settle_bytes(draft, &draft->metadata);
    settle_bytes(draft, &draft->signature);
    settle_bytes(draft, &draft->sigkey.name);
    for (size_t i = 0; i < draft->sigkey.step_count; i++)
        settle_ids(draft, &draft->sigkey.steps[i].tips);
    for (size_t i = 0; i < draft->subtree_count; i++) {
        settle_bytes(draft, &draft->subtrees[i].name);
        settle_bytes(draft, &draft->subtrees[i].data);
        settle_ids(draft, &draft->subtrees[i].parents);
    }
}

/* ---- measuring ---- */

typedef struct draft_size {
    size_t ids;
    size_t text;    /* names, hint name, with a zero each */
    size_t payload; /* metadata and data */
} draft_size;

static eid_status check_parents(size_t count)
{
    if (count > EID_LIMIT_ENTRY_PARENTS)
        return eid_fail(EID_ERR_LIMIT, "an entry with %zu parents has more than the %d allowed", count,
                        EID_LIMIT_ENTRY_PARENTS);
    return EID_OK;
}

/* Checks every limit but that of the encoded size, and measures. What is added up is bounded at each step, so
 * the sums can not overflow. */
static eid_status measure(const eid_draft *draft, draft_size *out)
{
    draft_size size = {0, 0, 0};
    EID_TRY(eid_draft_sigkey_check(&draft->sigkey));
    for (size_t i = 0; i < draft->sigkey.step_count; i++)
        size.ids += draft->sigkey.steps[i].tips.count;
    EID_TRY(check_parents(draft->parents.count));
    size.ids += draft->parents.count;
    const eid_draft_bytes *singles[] = {&draft->sigkey.name, &draft->signature, &draft->metadata};
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        if (singles[i]->len > EID_LIMIT_ENTRY_BYTES)
            return eid_fail(EID_ERR_LIMIT, "an entry holds at most %u bytes", EID_LIMIT_ENTRY_BYTES);
    }
    size.text += draft->sigkey.name.len + 1;
    size.payload += draft->metadata.len;

    for (size_t i = 0; i < draft->subtree_count; i++) {
        const eid_draft_subtree *subtree = &draft->subtrees[i];
        EID_TRY(check_parents(subtree->parents.count));
        if (subtree->name.len > EID_LIMIT_STORE_NAME)
            return eid_fail(EID_ERR_LIMIT, "a store name of %zu bytes is longer than the %d allowed",
                            subtree->name.len, EID_LIMIT_STORE_NAME);
        size.text += subtree->name.len + 1;
        if (subtree->data.len > EID_LIMIT_ENTRY_BYTES - size.payload)
            return eid_fail(EID_ERR_LIMIT, "an entry holds at most %u bytes", EID_LIMIT_ENTRY_BYTES);
        size.payload += subtree->data.len;
        size.ids += subtree->parents.count;
        if (size.ids > EID_LIMIT_ENTRY_IDS)
            return eid_fail(EID_ERR_LIMIT, "an entry holds at most %d identifiers", EID_LIMIT_ENTRY_IDS);
    }
    *out = size;
    return EID_OK;
}

/* ---- encoding ---- */

static void write_ids(eid_buf *buf, const eid_draft_ids *list)
{
    eid_cbor_write_array(buf, list->count);
    for (size_t i = 0; i < list->count; i++)
        eid_cbor_write_id(buf, &list->ids[i]);
}

/* Writes the byte string and returns where its content starts. */
static size_t write_payload(eid_buf *buf, const eid_draft_bytes *bytes)
{
    eid_cbor_write_bytes(buf, bytes->data, bytes->len);
    return buf->len - bytes->len;
}

/* Canonical key order: h, root, parents, metadata. */
static void write_tree(eid_buf *buf, eid_draft *draft)
{
    eid_cbor_write_map(buf, (size_t)1 + (draft->height != 0) + draft->has_root + draft->metadata.present);
    if (draft->height != 0) {
        eid_cbor_write_text(buf, "h");
        eid_cbor_write_uint(buf, draft->height);
    }
    if (draft->has_root) {
        eid_cbor_write_text(buf, "root");
        eid_cbor_write_id(buf, &draft->root);
    }
    eid_cbor_write_text(buf, "parents");
    write_ids(buf, &draft->parents);
    if (draft->metadata.present) {
        eid_cbor_write_text(buf, "metadata");
        draft->metadata_encoded_at = write_payload(buf, &draft->metadata);
    }
}

/* Canonical key order: h, data, name, parents. */
static void write_subtree(eid_buf *buf, eid_draft_subtree *subtree)
{
    eid_cbor_write_map(buf, (size_t)2 + subtree->has_height + subtree->data.present);
    if (subtree->has_height) {
        eid_cbor_write_text(buf, "h");
        eid_cbor_write_uint(buf, subtree->height);
    }
    if (subtree->data.present) {
        eid_cbor_write_text(buf, "data");
        subtree->encoded_at = write_payload(buf, &subtree->data);
    }
    eid_cbor_write_text(buf, "name");
    eid_cbor_write_text_slice(buf, eid_slice_of(subtree->name.data, subtree->name.len));
    eid_cbor_write_text(buf, "parents");
    write_ids(buf, &subtree->parents);
}

static void write_signing_bytes(eid_buf *buf, eid_draft *draft)
{
    eid_cbor_write_map(buf, 3);
    eid_cbor_write_text(buf, "sig");
    eid_cbor_write_map(buf, 1);
    eid_cbor_write_text(buf, "key");
    eid_draft_sigkey_write(buf, &draft->sigkey);
    draft->key_end = buf->len;
    eid_cbor_write_text(buf, "tree");
    write_tree(buf, draft);
    eid_cbor_write_text(buf, "subtrees");
    eid_cbor_write_array(buf, draft->subtree_count);
    for (size_t i = 0; i < draft->subtree_count; i++)
        write_subtree(buf, &draft->subtrees[i]);
}

/* ---- laying out ---- */

/* The parts of the block of an entry that are still free. */
typedef struct block_rest {
    eid_id *ids;
    char *text;
} block_rest;

static eid_id *place_ids(block_rest *rest, const eid_draft_ids *list)
{
    eid_id *place = rest->ids;
    if (list->count > 0)
        memcpy(place, list->ids, list->count * sizeof *place);
    rest->ids += list->count;
    return place;
}

static char *place_text(block_rest *rest, const eid_draft_bytes *text)
{
    char *place = rest->text;
    if (text->len > 0)
        memcpy(place, text->data, text->len);
    place[text->len] = '\0';
    rest->text += text->len + 1;
    return place;
}

/* Copies the signing bytes to their final place and puts the signature pair in between. */
static void splice(eid_entry *entry, eid_slice unsigned_bytes, eid_slice pair)
{
    uint8_t *at = entry->cbor;
    memcpy(at, unsigned_bytes.data, entry->key_end);
    if (pair.len > 0) {
        at[EID_SIG_MAP_AT] = EID_CBOR_MAP_OF_2;
        memcpy(at + entry->key_end, pair.data, pair.len);
    }
    entry->sig_end = entry->key_end + pair.len;
    memcpy(at + entry->sig_end, unsigned_bytes.data + entry->key_end, unsigned_bytes.len - entry->key_end);
}

static void place_subtrees(eid_entry *entry, const eid_draft *draft, block_rest *rest)
{
    size_t shift = entry->sig_end - entry->key_end;
    for (size_t i = 0; i < draft->subtree_count; i++) {
        const eid_draft_subtree *from = &draft->subtrees[i];
        eid_subtree *subtree = &entry->subtrees[i];
        memset(subtree, 0, sizeof *subtree);
        subtree->name = place_text(rest, &from->name);
        subtree->name_len = from->name.len;
        subtree->parents = place_ids(rest, &from->parents);
        subtree->parent_count = from->parents.count;
        subtree->has_data = from->data.present;
        if (from->data.present)
            subtree->data = entry->cbor + from->encoded_at + shift;
        subtree->data_len = from->data.len;
        subtree->has_height = from->has_height;
        subtree->height = from->height;
        if (eid_subtree_is_root_marker(subtree) && draft->parents.count == 0 && !draft->has_root)
            entry->is_root = true;
    }
}

static void place_sigkey(eid_entry *entry, const eid_draft_sigkey *from, block_rest *rest)
{
    eid_sigkey *sigkey = &entry->sigkey;
    sigkey->is_delegation = from->is_delegation;
    sigkey->hint.has_pubkey = from->has_pubkey;
    sigkey->hint.is_global = from->is_global;
    sigkey->hint.pubkey = from->pubkey;
    if (from->name.present) {
        sigkey->hint.name = place_text(rest, &from->name);
        sigkey->hint.name_len = from->name.len;
    }
    for (size_t i = 0; i < from->step_count; i++) {
        sigkey->path[i].tree = from->steps[i].tree;
        sigkey->path[i].tips = place_ids(rest, &from->steps[i].tips);
        sigkey->path[i].tip_count = from->steps[i].tips.count;
    }
    sigkey->path_count = from->step_count;
}

/* The order of the block is: struct, subtrees, steps (all aligned like pointers), IDs, texts, canonical
 * bytes. */
static eid_status lay_out(const eid_draft *draft, const draft_size *size, eid_slice unsigned_bytes,
                          const eid_draft_bytes *signature, eid_slice pair, eid_entry **out)
{
    size_t cbor_len = unsigned_bytes.len + pair.len;
    if (cbor_len > EID_LIMIT_ENTRY_BYTES)
        return eid_fail(EID_ERR_LIMIT, "an entry of %zu bytes is larger than the %u allowed", cbor_len,
                        EID_LIMIT_ENTRY_BYTES);
    size_t subtrees_size = draft->subtree_count * sizeof(eid_subtree);
    size_t steps_size = draft->sigkey.step_count * sizeof(eid_delegation_step);
    size_t ids_size = size->ids * sizeof(eid_id);
    size_t text_size = size->text + signature->len + 1;

    eid_entry *entry =
        eid_alloc(sizeof *entry + subtrees_size + steps_size + ids_size + text_size + cbor_len);
    if (entry == NULL)
        return eid_fail_memory();
    memset(entry, 0, sizeof *entry);
    uint8_t *at = (uint8_t *)(entry + 1);
    entry->subtrees = (eid_subtree *)(void *)at;
    entry->sigkey.path = (eid_delegation_step *)(void *)(at + subtrees_size);
    block_rest rest = {(eid_id *)(void *)(at + subtrees_size + steps_size), NULL};
    rest.text = (char *)rest.ids + ids_size;
    entry->cbor = (uint8_t *)rest.text + text_size;
    entry->cbor_len = cbor_len;
    entry->key_end = draft->key_end;
    splice(entry, unsigned_bytes, pair);

    atomic_init(&entry->references, 1);
    entry->has_root = draft->has_root;
    entry->root = draft->root;
    entry->height = draft->height;
    entry->parents = place_ids(&rest, &draft->parents);
    entry->parent_count = draft->parents.count;
    entry->has_metadata = draft->metadata.present;
    if (draft->metadata.present)
        entry->metadata = entry->cbor + draft->metadata_encoded_at + pair.len;
    entry->metadata_len = draft->metadata.len;
    entry->subtree_count = draft->subtree_count;
    place_subtrees(entry, draft, &rest);
    place_sigkey(entry, &draft->sigkey, &rest);
    if (signature->present) {
        entry->signature = place_text(&rest, signature);
        entry->signature_len = signature->len;
    }
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, entry->cbor, entry->cbor_len, &entry->id);
    *out = entry;
    return EID_OK;
}

/* ---- sealing ---- */

/* Room for the bytes in one step. Too much does no harm, the buffer lives briefly. */
static size_t expected_size(const eid_draft *draft, const draft_size *size)
{
    size_t expected = 256 + size->payload + size->text + size->ids * 44 + draft->subtree_count * 48;
    return expected < EID_LIMIT_ENTRY_BYTES ? expected : EID_LIMIT_ENTRY_BYTES;
}

eid_status eid_draft_seal(eid_draft *draft, const eid_keypair *key, eid_entry **out)
{
    draft_size size = {0, 0, 0};
    EID_TRY(measure(draft, &size));

    eid_buf encoded;
    eid_buf pair;
    eid_buf_init(&encoded, EID_LIMIT_ENTRY_BYTES);
    eid_buf_init(&pair, EID_LIMIT_ENTRY_BYTES + SIG_PAIR_HEAD_MAX);
    eid_buf_reserve(&encoded, expected_size(draft, &size));
    write_signing_bytes(&encoded, draft);
    eid_status status;
    EID_TRY_GOTO(status, eid_buf_status(&encoded), done);

    eid_draft_bytes signature = draft->signature;
    char made[EID_SIGNATURE_TEXT_SIZE];
    if (key != NULL) {
        uint8_t raw[64];
        eid_keypair_sign(key, encoded.data, encoded.len, raw);
        eid_signature_format(raw, made);
        signature = (eid_draft_bytes){(const uint8_t *)made, strlen(made), 0, true};
    }
    if (signature.present) {
        eid_cbor_write_text(&pair, "sig");
        eid_cbor_write_text_slice(&pair, eid_slice_of(signature.data, signature.len));
        EID_TRY_GOTO(status, eid_buf_status(&pair), done);
    }
    status = lay_out(draft, &size, eid_buf_slice(&encoded), &signature, eid_buf_slice(&pair), out);

done:
    eid_buf_free(&pair);
    eid_buf_free(&encoded);
    return status;
}
