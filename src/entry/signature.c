/* SPDX-License-Identifier: Apache-2.0 */
/* The signature block of an entry: its kinds, the bytes it covers, checking it. */
#include <assert.h>
#include <string.h>

#include "crypto/key.h"
#include "entry/entry_int.h"

static bool hint_is_set(const eid_entry *entry)
{
    return entry->sigkey.hint.has_pubkey || entry->sigkey.hint.name != NULL;
}

bool eid_entry_is_unsigned(const eid_entry *entry)
{
    return !entry->sigkey.is_delegation && !hint_is_set(entry) && entry->signature == NULL;
}

const char *eid_entry_malformed(const eid_entry *entry)
{
    bool has_signature = entry->signature != NULL;
    if (entry->sigkey.is_delegation)
        return has_signature ? NULL : "delegation entry requires a signature";
    if (hint_is_set(entry) && !has_signature)
        return "entry has key hint but no signature";
    if (!hint_is_set(entry) && has_signature)
        return "entry has signature but no key hint";
    return NULL;
}

void eid_entry_write_signing_bytes(eid_buf *buf, const eid_entry *entry)
{
    assert(entry->key_end <= entry->sig_end && entry->sig_end <= entry->cbor_len);
    eid_buf_reserve(buf, entry->cbor_len);
    eid_buf_append(buf, entry->cbor, EID_SIG_MAP_AT);
    eid_buf_append_byte(buf, EID_CBOR_MAP_OF_1);
    eid_buf_append(buf, entry->cbor + EID_SIG_MAP_AT + 1, entry->key_end - EID_SIG_MAP_AT - 1);
    eid_buf_append(buf, entry->cbor + entry->sig_end, entry->cbor_len - entry->sig_end);
}

eid_status eid_entry_verify_signature(const eid_entry *entry, const eid_pubkey *key)
{
    if (entry->signature == NULL)
        return eid_fail(EID_ERR_BAD_SIGNATURE, "the entry carries no signature");
    uint8_t raw[64];
    EID_TRY(eid_signature_parse(eid_slice_of(entry->signature, entry->signature_len), raw));

    eid_buf message;
    eid_buf_init(&message, EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_signing_bytes(&message, entry);
    eid_status status = eid_buf_status(&message);
    if (status == EID_OK)
        status = eid_pubkey_verify(key, message.data, message.len, raw);
    eid_buf_free(&message);
    return status;
}
