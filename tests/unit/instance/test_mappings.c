/* SPDX-License-Identifier: Apache-2.0 */
/* Which key opens which database, when there are many of them: written at once while they are few, together later, never
 * beyond the limit; opened all the same. */
#include "fixture.h"

#include "base/limits.h"
#include "instance/instance_int.h"
#include "support/track.h"

static bool count_row(const char *key, const char *row, size_t len, void *ctx)
{
    size_t *mapped = ctx;
    eid_user_key record;

    (void)key;
    tu_assert_ok(eid_user_key_read(eid_slice_of(row, len), &record));
    *mapped += record.mapping_count;
    eid_user_key_free(&record);
    return true;
}

/* Mappings in the rows of `keys`, which is where other implementations look. */
static size_t written(eid_user *user)
{
    size_t mapped = 0;

    tu_assert_ok(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, count_row, &mapped));
    return mapped;
}

static eid_id create_one(eid_user *user)
{
    eid_database *database = create(user, "notes");
    eid_id id = *eid_database_root_id(database);

    eid_database_close(database);
    return id;
}

static void assert_opens(eid_user *user, const eid_id *id)
{
    eid_permission permission;
    eid_database *database;

    tu_assert_ok(eid_user_open_database(user, id, &database));
    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_int_equal(permission.kind, EID_PERM_ADMIN);
    eid_database_close(database);
}

static void few_are_written_at_once(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");

    for (size_t i = 1; i <= 64; i++) {
        create_one(user);
        assert_int_equal(written(user), i);
    }
    eid_user_logout(user);
}

/* An eighth may be missing, never more; and what is not written opens, in other sessions and after a restart too. */
static void many_are_written_together(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), url[600];
    eid_id ids[400];
    size_t writes = 0, before = 0;
    eid_user *user, *other;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    user = login(f, "alice");
    other = login(f, "alice");
    for (size_t i = 0; i < 400; i++) {
        ids[i] = create_one(user);
        size_t now = written(user);
        writes += now != before;
        before = now;
        assert_true(now <= i + 1 && (i + 1 - now) * 8 < now + 8);
        assert_opens(i % 2 == 0 ? user : other, &ids[i]);
    }
    print_message("400 databases: %zu writes of the row\n", writes);
    assert_true(writes < 100);
    eid_user_logout(user);
    eid_user_logout(other);
    eid_instance_close(f->instance);
    fixture_open_url(f, url);
    user = login(f, "alice");
    for (size_t i = 0; i < 400; i++)
        assert_opens(user, &ids[i]);
    /* What an earlier session left is counted by the next. */
    for (size_t i = 0; i < 50; i++) {
        create_one(user);
        assert_true((400 + i + 1 - written(user)) * 8 < written(user) + 8);
    }
    eid_user_logout(user);
    tu_temp_dir_remove(dir);
}

/* A database that is no longer tracked has no row that says how to open it: the mapping is written with the removal. */
static void removing_writes_what_was_left(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_id ids[70];

    for (size_t i = 0; i < 70; i++)
        ids[i] = create_one(user);
    assert_true(written(user) < 70);
    tu_assert_ok(eid_user_remove_database(user, &ids[69]));
    assert_int_equal(written(user), 70);
    assert_opens(user, &ids[69]);
    eid_user_logout(user);
    user = login(f, "alice");
    assert_opens(user, &ids[69]);
    eid_user_logout(user);
}

/* Adds so many mappings of the default key, to databases that are not here. */
static void fill_row(eid_user *user, size_t count)
{
    eid_key_row row;
    eid_txn *txn;
    eid_id id;

    tu_assert_ok(eid_id_parse("bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm", &id));
    tu_assert_ok(eid_database_new_transaction(user->private_database, &txn));
    tu_assert_ok(eid_key_row_get(user, txn, eid_session_default_key(user), &row));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(id.bytes + id.len - sizeof i, &i, sizeof i);
        tu_assert_ok(eid_user_key_map(&row.record, &id, NULL));
    }
    tu_assert_ok(eid_key_row_stage(txn, &row));
    eid_key_row_free(&row);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void beyond_the_limit_none_are_written(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_id ids[40];

    fill_row(user, EID_LIMIT_KEY_MAPPINGS - 10);
    for (size_t i = 0; i < 40; i++)
        ids[i] = create_one(user);
    assert_true(written(user) <= EID_LIMIT_KEY_MAPPINGS);
    for (size_t i = 0; i < 40; i++)
        assert_opens(user, &ids[i]);
    /* Room for the first of them only. */
    tu_assert_ok(eid_user_remove_database(user, &ids[39]));
    assert_int_equal(written(user), EID_LIMIT_KEY_MAPPINGS);
    /* The row still fits into the entry that a change of the password writes. */
    tu_assert_ok(eid_user_change_password(user, NULL, "pw"));
    eid_user_logout(user);
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", "pw", &user));
    assert_opens(user, &ids[38]);
    eid_user_logout(user);
}

/* As many keys as a user may have, with the longest names, still change their password in one entry. */
static void all_keys_fit_into_one_entry(void **state)
{
    fixture *f = *state;
    char name[EID_LIMIT_KEY_NAME + 1];
    eid_user *user = login(f, "alice");

    memset(name, '"', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 1; i < EID_LIMIT_USER_KEYS; i++)
        tu_assert_ok(eid_user_add_private_key(user, name, NULL));
    tu_assert_fails(eid_user_add_private_key(user, name, NULL), EID_ERR_LIMIT);
    fill_row(user, EID_LIMIT_KEY_MAPPINGS);
    tu_assert_ok(eid_user_change_password(user, NULL, "pw"));
    eid_user_logout(user);
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", "pw", &user));
    assert_non_null(eid_session_key_at(user, EID_LIMIT_USER_KEYS - 1));
    eid_user_logout(user);
}

/* An identity that is not the default one can not be told from the tracked row. */
static void special_identities_are_always_written(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    eid_database *notes = create(alice, "notes"), *opened;
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_WRITE, 10}));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    fill_row(bob, 200);
    size_t before = written(bob);
    tu_assert_ok(tu_track(bob, eid_database_root_id(notes), &settings));
    assert_int_equal(written(bob), before + 1);
    tu_assert_ok(eid_user_open_database(bob, eid_database_root_id(notes), &opened));
    tu_assert_ok(try_to_write(opened, "page"));
    eid_database_close(opened);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* A creation that fails counts nothing, and what follows it is complete. */
static void failures_do_not_count(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->instance->core));
    eid_user *user = login(f, "alice");
    eid_id ids[20];

    fill_row(user, 64);
    for (size_t i = 0; i < 20; i++) {
        eid_database *database = NULL;
        for (uint64_t at = i % 7 + 1;; at += 25) {
            eid_sql_fail_after(sql, at);
            eid_status status = eid_user_create_database(user, "notes", &database);
            eid_sql_fail_after(sql, 0);
            if (status == EID_OK)
                break;
        }
        ids[i] = *eid_database_root_id(database);
        eid_database_close(database);
    }
    for (size_t i = 0; i < 20; i++)
        assert_opens(user, &ids[i]);
    assert_true((84 - written(user)) * 8 < written(user) + 8);
    eid_user_logout(user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(few_are_written_at_once),
        WITH_INSTANCE(many_are_written_together),
        WITH_INSTANCE(removing_writes_what_was_left),
        WITH_INSTANCE(beyond_the_limit_none_are_written),
        WITH_INSTANCE(all_keys_fit_into_one_entry),
        WITH_INSTANCE(special_identities_are_always_written),
        WITH_INSTANCE(failures_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
