/* SPDX-License-Identifier: Apache-2.0 */
/* An ordered table of byte strings in guarded memory: kept out of core dumps, out of swap as far as the system's limit
 * for locked memory goes, and wiped when it is freed. For decrypted data that lives longer than one call.
 *
 * Belongs to one thread at a time.
 */
#ifndef EID_CRYPTO_VAULT_H
#define EID_CRYPTO_VAULT_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/status.h"

typedef struct eid_vault eid_vault;

/* `max` bounds the bytes it takes. */
eid_status eid_vault_new(size_t max, eid_vault **out);
void eid_vault_free(eid_vault *vault); /* NULL is allowed */
void eid_vault_clear(eid_vault *vault);

/* Puts or replaces; the key and the value may not lie in the vault. O(log n). EID_ERR_LIMIT beyond the bound. */
eid_status eid_vault_put(eid_vault *vault, eid_slice key, eid_slice value);

/* Takes the entry of the key out and wipes its value; nothing happens when there is none. O(log n). */
void eid_vault_remove(eid_vault *vault, eid_slice key);

/* What is lent lives until the next change. Both cost O(log n). */
bool eid_vault_get(const eid_vault *vault, eid_slice key, eid_slice *value);
/* The first entry behind `after` (NULL: the first of all) in byte order; false when there is none. */
bool eid_vault_next(const eid_vault *vault, const eid_slice *after, eid_slice *key, eid_slice *value);

size_t eid_vault_count(const eid_vault *vault);

#endif
