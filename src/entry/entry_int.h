/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: the draft, which is an entry before it has bytes, and the field names.
 *
 * Both readers and the builder fill a draft; eid_draft_seal makes an entry of it. So encoding, limits,
 * signing and the layout of an entry in memory exist once.
 */
#ifndef EID_ENTRY_ENTRY_INT_H
#define EID_ENTRY_ENTRY_INT_H

#include "base/limits.h"
#include "entry/entry.h"

/* ---- Growing lists of IDs ---- */

typedef struct eid_id_list {
    eid_id *ids;
    size_t count;
    size_t capacity;
} eid_id_list;

/* The next free place, not zeroed and not counted yet: the caller fills it and then increments count. */
eid_status eid_id_list_slot(eid_id_list *list, size_t max, eid_id **out);
void eid_id_list_free(eid_id_list *list);

/* ---- Drafts ---- */

/* Bytes of a draft. A reader that decodes into the draft's own storage knows only the place (`at`) until the
 * storage stops growing; eid_draft_settle turns places into pointers. Lent bytes have their pointer from the
 * start. */
typedef struct eid_draft_bytes {
    const uint8_t *data;
    size_t len;
    size_t at;
    bool present;
} eid_draft_bytes;

/* IDs of a draft, in the same two ways. */
typedef struct eid_draft_ids {
    const eid_id *ids;
    size_t count;
    size_t at;
} eid_draft_ids;

typedef struct eid_draft_step {
    eid_id tree;
    eid_draft_ids tips;
} eid_draft_step;

typedef struct eid_draft_sigkey {
    bool is_delegation;
    bool has_pubkey;
    bool is_global;
    eid_pubkey pubkey;
    eid_draft_bytes name;
    size_t step_count;
    eid_draft_step steps[EID_LIMIT_DELEGATION_STEPS];
} eid_draft_sigkey;

typedef struct eid_draft_subtree {
    eid_draft_bytes name;
    eid_draft_bytes data;
    eid_draft_ids parents;
    uint64_t height;
    bool has_height;
    size_t encoded_at; /* set by the encoder: where the payload stands in the signing bytes */
} eid_draft_subtree;

typedef struct eid_draft {
    bool has_root;
    eid_id root;
    uint64_t height;
    eid_draft_ids parents;
    eid_draft_bytes metadata;
    size_t metadata_encoded_at;
    eid_draft_bytes signature;
    size_t key_end; /* set by the encoder, as in eid_entry */
    eid_draft_subtree *subtrees;
    size_t subtree_count;
    size_t subtree_capacity;
    eid_id_list storage_ids;
    eid_buf storage_bytes;
    eid_draft_sigkey sigkey;
} eid_draft;

void eid_draft_init(eid_draft *draft);
void eid_draft_free(eid_draft *draft);
/* A new empty subtree at the end; valid until the next one is added. */
eid_status eid_draft_add_subtree(eid_draft *draft, eid_draft_subtree **out);
void eid_draft_settle(eid_draft *draft);
/* Checks the limits, encodes, signs when `key` is given (else takes draft->signature), hashes. */
eid_status eid_draft_seal(eid_draft *draft, const eid_keypair *key, eid_entry **out);

/* Offset in canonical bytes of the head of the map in sig: behind map(3) and the four bytes of the key "sig".
 * Only its count, 1 or 2 pairs, tells signing bytes from full bytes besides the pair sig.sig itself. */
#define EID_SIG_MAP_AT    5
#define EID_CBOR_MAP_OF_1 0xa1
#define EID_CBOR_MAP_OF_2 0xa2

/* The subtree that marks the first entry of a database. */
#define EID_ROOT_MARKER "_root"
static inline bool eid_subtree_is_root_marker(const eid_subtree *subtree)
{
    return eid_slice_is(eid_slice_of(subtree->name, subtree->name_len), EID_ROOT_MARKER);
}

/* ---- Signature keys between their two forms ---- */

bool eid_draft_sigkey_hint_is_set(const eid_draft_sigkey *sigkey);
/* Lends the members. EID_ERR_LIMIT when there are more steps than a draft holds. */
eid_status eid_draft_sigkey_view(const eid_sigkey *sigkey, eid_draft_sigkey *out);
/* The bounds of delegation (auth.md section 5). */
eid_status eid_draft_sigkey_check(const eid_draft_sigkey *sigkey);
/* Copies into memory of its own, which eid_sigkey_free releases. */
eid_status eid_draft_sigkey_copy(const eid_draft_sigkey *sigkey, eid_sigkey *out);
/* Appends the DAG-CBOR form. */
void eid_draft_sigkey_write(eid_buf *buf, const eid_draft_sigkey *sigkey);

/* ---- Field names ---- */

typedef struct eid_fields {
    const char *record; /* for error sentences */
    unsigned required;  /* a bit per name */
    size_t count;
    const char *names[4]; /* index is bit number */
} eid_fields;

enum { ENTRY_VERSION, ENTRY_TREE, ENTRY_SUBTREES, ENTRY_SIG };
enum { TREE_ROOT, TREE_PARENTS, TREE_METADATA, TREE_HEIGHT };
enum { SUBTREE_NAME, SUBTREE_PARENTS, SUBTREE_DATA, SUBTREE_HEIGHT };
enum { SIG_SIG, SIG_KEY };
enum { KEY_HINT, KEY_PATH };
enum { HINT_PUBKEY, HINT_NAME, HINT_GLOBAL };
enum { STEP_TREE, STEP_TIPS };
enum { PIN_TIPS, PIN_ENTROPY };

extern const eid_fields eid_fields_entry;
extern const eid_fields eid_fields_tree;
extern const eid_fields eid_fields_subtree;
extern const eid_fields eid_fields_sig;
extern const eid_fields eid_fields_direct;
extern const eid_fields eid_fields_delegation;
extern const eid_fields eid_fields_hint;
extern const eid_fields eid_fields_step;
extern const eid_fields eid_fields_pin;

#define EID_FIELD_UNKNOWN SIZE_MAX

/* Which field the key names (EID_FIELD_UNKNOWN for none), marking it in *seen. EID_ERR_DUPLICATE_KEY. */
eid_status eid_fields_find(const eid_fields *fields, eid_slice key, unsigned *seen, size_t *index);
/* EID_ERR_MISSING_FIELD when a required one was not seen. */
eid_status eid_fields_complete(const eid_fields *fields, unsigned seen);

/* `_v` of an entry. EID_ERR_VERSION. */
eid_status eid_entry_check_version(uint64_t version);
/* The alternative of a sigkey. EID_ERR_WRONG_TYPE for an unknown one. */
eid_status eid_sigkey_alternative(eid_slice name, bool *is_delegation);

#endif
