/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that delegate to each other, members of them, and entries by delegation made by hand. */
#ifndef EID_TESTS_DELEGATION_TEST_H
#define EID_TESTS_DELEGATION_TEST_H

#include <eidetica/store.h>

#include "database/delegation.h"
#include "database_test.h"

static const eid_permission dl_write_10 = {EID_PERM_WRITE, 10}, dl_write_0 = {EID_PERM_WRITE, 0},
                            dl_admin_0 = {EID_PERM_ADMIN, 0}, dl_admin_5 = {EID_PERM_ADMIN, 5}, dl_read = {EID_PERM_READ, 0};

/* Transactions of one change each; the ID of the entry. `floor` NULL: the present tips. */
eid_id dl_delegate(eid_database *admin, const eid_id *members, const eid_id *floor, eid_permission max);
eid_id dl_raise(eid_database *admin, const eid_id *members, const eid_id *floor);
eid_id dl_remove(eid_database *admin, const eid_id *members);
eid_id dl_grant(eid_database *admin, uint8_t key, eid_permission permission);
eid_id dl_revoke(eid_database *admin, uint8_t key);
/* A record for the delegation, whatever our own functions would say to it. */
eid_id dl_force(eid_database *admin, const eid_id *members, const eid_id *floor, size_t count, eid_permission max);

/* The database as the best identity of the key; NULL when it may do nothing. */
eid_database *dl_open(eid_core *core, const eid_id *database, uint8_t key);
eid_status dl_write(eid_database *database, const char *key, int64_t value);

/* An entry of the database on its present tips, pinning its present settings unless `pins` are given, that sets "d" : key :=
 * value. Steps claim what they are given. */
typedef struct dl_step {
    const eid_id *tree;
    const eid_id *claims;
    size_t count;
} dl_step;
eid_entry *dl_make(eid_database *database, uint8_t key, const dl_step *steps, size_t count, const char *name, const eid_id *pins,
                   size_t pin_count);
/* One step that claims one entry. */
eid_entry *dl_make_one(eid_database *database, uint8_t key, const eid_id *tree, const eid_id *claim, const char *name);

/* What becomes of an entry. */
eid_verdict dl_receive(eid_core *core, const eid_id *database, eid_entry *entry);
/* All entries of a database of one core, received by another. */
eid_receipt dl_copy(eid_core *from, eid_core *to, const eid_id *database);
void dl_assert_same(eid_core *a, eid_core *b, const eid_id *database);

#endif
