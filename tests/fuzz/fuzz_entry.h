/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for every entry that could be read, from whatever bytes. */
#ifndef EID_TESTS_FUZZ_ENTRY_H
#define EID_TESTS_FUZZ_ENTRY_H

#include <string.h>

#include "base/alloc.h"
#include "entry/entry.h"
#include "fuzz/fuzz.h"

static void check_same(const eid_entry *a, const eid_entry *b)
{
    FUZZ_CHECK(eid_id_equal(&a->id, &b->id));
    FUZZ_CHECK(a->cbor_len == b->cbor_len && memcmp(a->cbor, b->cbor, a->cbor_len) == 0);
    FUZZ_CHECK(eid_sigkey_equal(&a->sigkey, &b->sigkey));
    FUZZ_CHECK(a->height == b->height && a->is_root == b->is_root);
    FUZZ_CHECK(a->parent_count == b->parent_count && a->subtree_count == b->subtree_count);
}

static void check_getters(const eid_entry *entry)
{
    const void *data;
    size_t len;
    for (size_t i = 0; i < eid_entry_store_count(entry); i++) {
        FUZZ_CHECK(strlen(eid_entry_store_name(entry, i)) <= entry->subtrees[i].name_len);
        eid_slice name = eid_slice_of(entry->subtrees[i].name, entry->subtrees[i].name_len);
        const eid_subtree *first = eid_entry_subtree(entry, name);
        FUZZ_CHECK(first != NULL && first <= &entry->subtrees[i]);
        if (eid_entry_store_data(entry, i, &data, &len) && len > 0)
            FUZZ_CHECK((const uint8_t *)data >= entry->cbor &&
                       (const uint8_t *)data + len <= entry->cbor + entry->cbor_len);
    }
    FUZZ_CHECK(!eid_entry_is_unsigned(entry) || eid_entry_malformed(entry) == NULL);
    eid_entry_pin pin;
    if (eid_entry_read_pin(entry, &pin) == EID_OK) {
        for (size_t i = 1; i < pin.tip_count; i++)
            FUZZ_CHECK(eid_id_compare(&pin.tips[i - 1], &pin.tips[i]) < 0);
        eid_entry_pin_free(&pin);
    }
    /* A root entry names itself, a valid other entry is under parents. */
    if (eid_entry_validate(entry) == EID_OK)
        FUZZ_CHECK(eid_entry_is_root(entry) != (eid_entry_parent_count(entry) > 0));
}

/* The signing bytes are an entry themselves: the same one, unsigned. */
static void check_signing_bytes(const eid_entry *entry)
{
    eid_buf signing;
    eid_buf_init(&signing, EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_signing_bytes(&signing, entry);
    FUZZ_CHECK(eid_buf_status(&signing) == EID_OK);
    eid_entry *unsigned_entry;
    FUZZ_CHECK(eid_entry_from_cbor(signing.data, signing.len, &unsigned_entry) == EID_OK);
    FUZZ_CHECK(!eid_entry_is_signed(unsigned_entry));
    FUZZ_CHECK(eid_sigkey_equal(&unsigned_entry->sigkey, &entry->sigkey));
    FUZZ_CHECK(eid_entry_is_signed(entry) || eid_id_equal(&unsigned_entry->id, &entry->id) ||
               (entry->has_root && eid_id_is_empty(&entry->root)));
    eid_entry_unref(unsigned_entry);
    eid_buf_free(&signing);
}

/* Checks the entry from all sides and lets it go. */
static void check_entry(eid_entry *entry)
{
    eid_entry *again;
    FUZZ_CHECK(eid_entry_from_cbor(entry->cbor, entry->cbor_len, &again) == EID_OK);
    /* A root that is present and empty reads as absent from DAG-CBOR. */
    if (!entry->has_root || !eid_id_is_empty(&entry->root))
        check_same(entry, again);
    eid_entry_unref(again);

    char *text;
    char *text_again;
    size_t len;
    FUZZ_CHECK(eid_entry_to_json(entry, &text, &len) == EID_OK);
    FUZZ_CHECK(eid_entry_from_json(text, len, &again) == EID_OK);
    check_same(entry, again);
    FUZZ_CHECK(eid_entry_to_json(again, &text_again, NULL) == EID_OK);
    FUZZ_CHECK(strcmp(text, text_again) == 0);
    eid_entry_unref(again);
    eid_free(text_again);
    eid_free(text);

    check_signing_bytes(entry);
    check_getters(entry);
    eid_entry_unref(entry);
}

#endif
