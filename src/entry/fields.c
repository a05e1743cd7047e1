/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the fields of each record, shared by the DAG-CBOR and the JSON reader. */
#include "entry/entry_int.h"

#define BIT(index) (1u << (index))

const eid_fields eid_fields_entry = {"the entry",
                                     BIT(ENTRY_TREE) | BIT(ENTRY_SUBTREES) | BIT(ENTRY_SIG),
                                     4,
                                     {"_v", "tree", "subtrees", "sig"}};
const eid_fields eid_fields_tree = {
    "the tree node", BIT(TREE_PARENTS), 4, {"root", "parents", "metadata", "h"}};
const eid_fields eid_fields_subtree = {
    "the subtree node", BIT(SUBTREE_NAME) | BIT(SUBTREE_PARENTS), 4, {"name", "parents", "data", "h"}};
const eid_fields eid_fields_sig = {"the signature block", BIT(SIG_KEY), 2, {"sig", "key"}};
const eid_fields eid_fields_direct = {"the direct key", BIT(KEY_HINT), 1, {"hint"}};
const eid_fields eid_fields_delegation = {
    "the delegated key", BIT(KEY_HINT) | BIT(KEY_PATH), 2, {"hint", "path"}};
const eid_fields eid_fields_hint = {"the key hint", 0, 3, {"pubkey", "name", "is_global"}};
const eid_fields eid_fields_step = {
    "the delegation step", BIT(STEP_TREE) | BIT(STEP_TIPS), 2, {"tree", "tips"}};
const eid_fields eid_fields_pin = {"the metadata", BIT(PIN_TIPS), 2, {"settings_tips", "entropy"}};

eid_status eid_fields_find(const eid_fields *fields, eid_slice key, unsigned *seen, size_t *index)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (!eid_slice_is(key, fields->names[i]))
            continue;
        if ((*seen & BIT(i)) != 0)
            return eid_fail(EID_ERR_DUPLICATE_KEY, "%s has the field %s twice", fields->record,
                            fields->names[i]);
        *seen |= BIT(i);
        *index = i;
        return EID_OK;
    }
    *index = EID_FIELD_UNKNOWN;
    return EID_OK;
}

eid_status eid_fields_complete(const eid_fields *fields, unsigned seen)
{
    for (size_t i = 0; i < fields->count; i++) {
        if ((fields->required & BIT(i)) != 0 && (seen & BIT(i)) == 0)
            return eid_fail(EID_ERR_MISSING_FIELD, "%s has no field %s", fields->record, fields->names[i]);
    }
    return EID_OK;
}

eid_status eid_entry_check_version(uint64_t version)
{
    if (version != 0)
        return eid_fail(
            EID_ERR_VERSION,
            "the entry has format version %llu and this library knows only version 0; a newer library "
            "is needed to read it",
            (unsigned long long)version);
    return EID_OK;
}

eid_status eid_sigkey_alternative(eid_slice name, bool *is_delegation)
{
    bool delegation = eid_slice_is(name, "Delegation");
    if (!delegation && !eid_slice_is(name, "Direct"))
        return eid_fail(EID_ERR_WRONG_TYPE, "sig.key must be Direct or Delegation");
    *is_delegation = delegation;
    return EID_OK;
}
