/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted stores, for the tests of password stores. */
#ifndef EID_TESTS_STORE_PASSWORD_FIXTURE_H
#define EID_TESTS_STORE_PASSWORD_FIXTURE_H

#include "fixture.h"

#include "database/txn.h"
#include "store/password_int.h"

/* Where the password is not what the test is about. */
static const eid_kdf_costs cheap = {8, 1, 1};

/* Makes the store and one value in it. */
static inline void make_store(fixture *f, const char *store, const char *password)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_password_store_initialize(txn, store, password, EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_text(txn, store, "k", "v"));
    commit(txn);
}

static inline eid_password_session *session_of(fixture *f, const char *store, const char *password)
{
    eid_password_session *session;

    tu_assert_ok(eid_password_session_open(f->database, store, password, &session));
    return session;
}

static inline eid_txn *unlocked(fixture *f, eid_password_session *session)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_password_session_unlock(session, txn));
    return txn;
}

/* Puts a record into the registry as somebody else would. */
static inline void put_record(fixture *f, const char *store, eid_value *record)
{
    eid_txn *txn = begin(f);
    eid_txn_store *index;

    tu_assert_ok(eid_txn_open_store(txn, "_index", NULL, &index));
    tu_assert_ok(eid_txn_store_put(index, eid_slice_text(store), record));
    commit(txn);
}

#endif
