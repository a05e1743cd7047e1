/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the storage share: opening, single entries, locked sections. */
#ifndef EID_TESTS_STORAGE_TEST_H
#define EID_TESTS_STORAGE_TEST_H

#include "storage/storage_int.h"
#include "support/testutil.h"

eid_storage *st_open(const char *path);
eid_storage *st_memory(void);

/* Runs the calls in one storage transaction under the lock. */
#define ST_IN_TRANSACTION(storage, calls)            \
    do {                                             \
        eid_storage_lock(storage);                   \
        tu_assert_ok(eid_storage_begin(storage));    \
        calls;                                       \
        tu_assert_ok(eid_storage_commit(storage));   \
        eid_storage_unlock(storage);                 \
    } while (0)

/* An unsigned root entry; the salt makes it different from others. eid_entry_unref. */
eid_entry *st_root(unsigned salt);
/* A child of these entries with one store node per name (NULL-terminated list), without payload; store parents are the same
 * entries. `metadata_len` bytes of metadata make it as large as wanted. */
eid_entry *st_child(const eid_entry *root, eid_entry *const *parents, size_t parent_count, const char *const *stores,
                    unsigned salt, size_t metadata_len);
eid_id st_id(unsigned number); /* an ID nobody has */

/* Makes the tree of the root and admits the root; the caller is inside a transaction. Returns its n. */
int64_t st_admit_root(eid_storage *storage, const eid_entry *root, eid_tree **tree);
int64_t st_admit(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const int64_t *parents, size_t count);

#endif
