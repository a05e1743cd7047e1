/* SPDX-License-Identifier: Apache-2.0 */
/* Entries inside the library: the record itself, reading, writing, signing, building. */
#ifndef EID_ENTRY_ENTRY_H
#define EID_ENTRY_ENTRY_H

#include <eidetica/entry.h>

#include "base/buf.h"
#include "codec/json.h"

/* How the signature names its key (entry.md section 6). */
typedef struct eid_key_hint {
    bool has_pubkey;
    bool is_global;
    eid_pubkey pubkey;
    char *name;      /* NULL when absent; zero-terminated, but may hold zero bytes: */
    size_t name_len; /* its true length */
} eid_key_hint;

typedef struct eid_delegation_step {
    eid_id tree;
    eid_id *tips; /* in the order given */
    size_t tip_count;
} eid_delegation_step;

typedef struct eid_sigkey {
    bool is_delegation;
    eid_key_hint hint;
    eid_delegation_step *path; /* of a delegation */
    size_t path_count;
} eid_sigkey;

void eid_sigkey_free(eid_sigkey *sigkey); /* the members, not the struct; leaves it empty */
eid_status eid_sigkey_copy(const eid_sigkey *sigkey, eid_sigkey *out);
/* {"Direct":{"hint":{"pubkey":…}}}, without and with is_global; they hold no memory. */
void eid_sigkey_direct(const eid_pubkey *pubkey, eid_sigkey *out);
void eid_sigkey_global(const eid_pubkey *pubkey, eid_sigkey *out);
/* {"Direct":{"hint":{"name":…}}}; eid_sigkey_free it. */
eid_status eid_sigkey_named(eid_slice name, eid_sigkey *out);
bool eid_sigkey_equal(const eid_sigkey *a, const eid_sigkey *b);
/* JSON form, as in user records and the wire. */
void eid_sigkey_write_json(eid_buf *buf, const eid_sigkey *sigkey);
eid_status eid_sigkey_read_json(eid_json *reader, eid_sigkey *out);

typedef struct eid_subtree {
    char *name; /* zero-terminated UTF-8; a received name may hold zero bytes, so compare name_len bytes */
    size_t name_len;
    eid_id *parents;
    size_t parent_count;
    uint8_t *data;
    size_t data_len;
    bool has_data; /* false: takes part without data; true with data_len 0 is different and legal */
    bool has_height;
    uint64_t height;
} eid_subtree;

/* One block of memory: arrays, texts and canonical bytes follow the struct; payloads and metadata point into
 * the canonical bytes. So nothing of it is freed or changed on its own. */
struct eid_entry {
    _Atomic int references;
    eid_id id;   /* of the canonical bytes */
    eid_id root; /* tree.root; meaningful when has_root (may be present but empty) */
    bool has_root;
    bool is_root; /* a root entry in the sense of entry.md section 10 */
    bool has_metadata;
    uint64_t height;
    eid_id *parents;
    size_t parent_count;
    uint8_t *metadata;
    size_t metadata_len;
    eid_subtree *subtrees;
    size_t subtree_count;
    eid_sigkey sigkey;
    char *signature; /* text of sig.sig as received, NULL while unsigned; zero-terminated */
    size_t signature_len;
    uint8_t *cbor; /* canonical bytes */
    size_t cbor_len;
    size_t key_end; /* where in cbor the value of sig.key ends: sig.sig stands from here … */
    size_t sig_end; /* … to here; equal while unsigned */
};

/* Why the signature block is malformed, or NULL when it is not (entry.md section 6). Static text. */
const char *eid_entry_malformed(const eid_entry *entry);
bool eid_entry_is_unsigned(const eid_entry *entry);

/* Appends the bytes that are signed: canonical DAG-CBOR without sig.sig. */
void eid_entry_write_signing_bytes(eid_buf *buf, const eid_entry *entry);
/* Checks sig.sig over the signing bytes with this key. EID_ERR_BAD_SIGNATURE. */
eid_status eid_entry_verify_signature(const eid_entry *entry, const eid_pubkey *key);

/* Reading entries without asking whether the key they name is a point of the curve: that costs a third of a verification, and a
 * signature by another key never holds. For what was verified before it was stored, and what will be before it is admitted. */
eid_status eid_entry_read_cbor(const void *data, size_t len, eid_entry **out);
/* One JSON entry at the reader's place; the hot path of sync. On failure the reader stands before the entry
 * again, so that a caller may step over an entry it can not hold with eid_json_skip. */
eid_status eid_entry_read_json(eid_json *reader, eid_entry **out);
void eid_entry_write_json(eid_buf *buf, const eid_entry *entry);

/* The first of that name, or NULL. */
const eid_subtree *eid_entry_subtree(const eid_entry *entry, eid_slice name);

/* The pin inside metadata (entry.md section 12). Absent metadata gives count 0 and present false.
 * Metadata that can not be parsed is an error of the format codes; more than EID_LIMIT_SETTINGS_PIN tips
 * (duplicates counted) EID_ERR_LIMIT. eid_entry_pin_free it. */
typedef struct eid_entry_pin {
    bool present;
    eid_id *tips; /* sorted, without duplicates */
    size_t tip_count;
    bool has_entropy;
    uint64_t entropy;
} eid_entry_pin;
eid_status eid_entry_read_pin(const eid_entry *entry, eid_entry_pin *out);
void eid_entry_pin_free(eid_entry_pin *pin);
/* Appends metadata text; the tips are written in the order given (snapshots are sorted). */
void eid_metadata_write(eid_buf *buf, const eid_id *tips, size_t tip_count, const uint64_t *entropy_or_null);

/* ---- Builder ---- */

typedef struct eid_entry_builder eid_entry_builder;

/* `root` NULL or empty: a root entry. */
eid_status eid_entry_builder_new(const eid_id *root, eid_entry_builder **out);
void eid_entry_builder_free(eid_entry_builder *builder);
eid_status eid_entry_builder_set_parents(eid_entry_builder *builder, const eid_id *parents, size_t count);
void eid_entry_builder_set_height(eid_entry_builder *builder, uint64_t height);
/* A slice whose data is NULL removes the metadata; one of length 0 with data is empty metadata, which is
 * different. */
eid_status eid_entry_builder_set_metadata(eid_entry_builder *builder, eid_slice metadata);
/* Adds the subtree, or replaces the one of that name. `data` NULL: no data. `height` NULL: inherited.
 * Everything is copied. EID_ERR_UTF8 for a name that is not text. */
eid_status eid_entry_builder_set_subtree(eid_entry_builder *builder, const char *name, const eid_id *parents,
                                         size_t parent_count, const eid_slice *data, const uint64_t *height);
/* Sorts, removes duplicates, validates, signs when `key` is given (sigkey then names it; NULL: Direct with
 * the public key), computes bytes and ID. The builder stays usable. EID_ERR_INVALID_ENTRY and
 * EID_ERR_INVALID_ID as eid_entry_validate; EID_ERR_LIMIT; EID_ERR_INVALID_ARGUMENT when the entry would be
 * malformed in the sense of eid_entry_malformed: a sigkey without a key, or a direct sigkey that names
 * nothing. */
eid_status eid_entry_builder_finish(const eid_entry_builder *builder, const eid_keypair *key,
                                    const eid_sigkey *sigkey, eid_entry **out);

#endif
