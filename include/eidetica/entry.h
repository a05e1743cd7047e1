/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: the immutable, signed, content-addressed records a database is made of.
 *
 * Applications rarely make entries themselves: transactions do. This header reads them (callbacks, history) and
 * moves them in and out as bytes. An entry never changes once made and may be shared between threads; it is reference
 * counted. What getters lend lives as long as the entry.
 */
#ifndef EIDETICA_ENTRY_H
#define EIDETICA_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/export.h>
#include <eidetica/id.h>
#include <eidetica/key.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_entry eid_entry;

/* Reads DAG-CBOR, canonical or as tolerated (docs/format.md, "Entries"); the ID is that of the canonical form. Errors: the
 * format codes of status.h; EID_ERR_LIMIT beyond 1 MiB, 4096 parents, 1024 stores. Structure is not judged here. */
EID_API eid_status eid_entry_from_cbor(const void *data, size_t len, eid_entry **out);
/* Reads the JSON form in which entries travel. Errors as above. */
EID_API eid_status eid_entry_from_json(const char *text, size_t len, eid_entry **out);
EID_API eid_entry *eid_entry_ref(eid_entry *entry);
EID_API void eid_entry_unref(eid_entry *entry); /* NULL is allowed */

EID_API const eid_id *eid_entry_id(const eid_entry *entry);
/* Canonical DAG-CBOR: the bytes the ID is the hash of. Lent. */
EID_API void eid_entry_cbor(const eid_entry *entry, const void **data, size_t *len);
/* The JSON form; free with eid_free. */
EID_API eid_status eid_entry_to_json(const eid_entry *entry, char **text, size_t *len);

EID_API bool eid_entry_is_root(const eid_entry *entry);
/* The database the entry belongs to: tree.root, or its own ID for a root entry. The empty ID when it names none. */
EID_API const eid_id *eid_entry_database_id(const eid_entry *entry);
EID_API uint64_t eid_entry_height(const eid_entry *entry);
EID_API size_t eid_entry_parent_count(const eid_entry *entry);
EID_API const eid_id *eid_entry_parent(const eid_entry *entry, size_t index);
EID_API bool eid_entry_metadata(const eid_entry *entry, const void **data, size_t *len); /* false when absent */

EID_API size_t eid_entry_store_count(const eid_entry *entry);
/* Zero-terminated. A name received from elsewhere may hold a zero byte and then looks shorter here than it is. */
EID_API const char *eid_entry_store_name(const eid_entry *entry, size_t store);
EID_API size_t eid_entry_store_parent_count(const eid_entry *entry, size_t store);
EID_API const eid_id *eid_entry_store_parent(const eid_entry *entry, size_t store, size_t index);
/* The payload; false when the entry takes part in the store without data. */
EID_API bool eid_entry_store_data(const eid_entry *entry, size_t store, const void **data, size_t *len);
/* Own height of the store node, or the entry's height when it has none. */
EID_API uint64_t eid_entry_store_height(const eid_entry *entry, size_t store);

/* The public key named in the signature block; false when it names none. */
EID_API bool eid_entry_signer(const eid_entry *entry, eid_pubkey *out);
EID_API bool eid_entry_is_signed(const eid_entry *entry);

/* What every entry has to obey whoever signed it (parents of all but roots, names of stores, …); the first failure is told:
 * EID_ERR_INVALID_ENTRY or EID_ERR_INVALID_ID. */
EID_API eid_status eid_entry_validate(const eid_entry *entry);

#ifdef __cplusplus
}
#endif
#endif
