/* SPDX-License-Identifier: Apache-2.0 */
/* Named keys of an instance: adding, importing, listing, removing, and what is refused. */
#include "fixture.h"

#include <pthread.h>

#include <eidetica/auth.h>

#include "base/limits.h"
#include "instance/instance_int.h"

/* Feature 12 */
static void keys_have_names(void **state)
{
    fixture *f = *state;
    eid_pubkey added, found;
    char text[EID_PUBKEY_TEXT_SIZE], wanted[EID_PUBKEY_TEXT_SIZE];

    tu_assert_ok(eid_instance_add_private_key(f->instance, "one", &added));
    tu_assert_ok(eid_instance_get_public_key(f->instance, "one", &found));
    assert_true(eid_pubkey_equal(&added, &found));
    tu_assert_ok(eid_instance_get_formatted_public_key(f->instance, "one", text));
    eid_pubkey_format(&added, wanted);
    assert_string_equal(text, wanted);
    tu_assert_fails(eid_instance_get_public_key(f->instance, "two", &found), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_string_equal(eid_last_error(), "Private key not found for key name: two");
    tu_assert_fails(eid_instance_get_formatted_public_key(f->instance, "two", text),
                    EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_true(eid_pubkey_equal(&added, &found));
}

static void keys_are_imported(void **state)
{
    fixture *f = *state;
    static const uint8_t seed[32] = {7};
    eid_keypair *pair, *copy;
    char before[EID_PUBKEY_TEXT_SIZE], after[EID_PUBKEY_TEXT_SIZE];

    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    eid_keypair_format(pair, before);
    tu_assert_ok(eid_instance_import_private_key(f->instance, "mine", pair));
    tu_assert_fails(eid_instance_import_private_key(f->instance, "mine", pair), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(eid_instance_import_private_key(f->instance, "the same under another name", pair));
    eid_keypair_free(pair);
    tu_assert_ok(eid_instance_copy_private_key(f->instance, "mine", &copy));
    eid_keypair_format(copy, after);
    assert_string_equal(before, after);
    eid_keypair_free(copy);
}

static void names_are_checked(void **state)
{
    fixture *f = *state;
    char name[EID_LIMIT_KEY_NAME + 2];

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    tu_assert_fails(eid_instance_add_private_key(f->instance, name, NULL), EID_ERR_LIMIT);
    tu_assert_fails(eid_instance_add_private_key(f->instance, "", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_instance_add_private_key(f->instance, "\xc3", NULL), EID_ERR_UTF8);
    name[EID_LIMIT_KEY_NAME] = '\0';
    tu_assert_ok(eid_instance_add_private_key(f->instance, name, NULL));
    tu_assert_ok(eid_instance_add_private_key(f->instance, "quotes \" and \\ and\nlines", NULL));
}

static void removed_keys_leave_the_list(void **state)
{
    fixture *f = *state;
    eid_named_key_info *list;
    size_t count;

    tu_assert_ok(eid_instance_list_private_keys(f->instance, &list, &count));
    assert_int_equal(count, 0);
    assert_non_null(list);
    eid_free(list);
    tu_assert_ok(eid_instance_add_private_key(f->instance, "b", NULL));
    f->now_ms += 5000;
    tu_assert_ok(eid_instance_add_private_key(f->instance, "c", NULL));
    tu_assert_ok(eid_instance_add_private_key(f->instance, "a", NULL));
    tu_assert_ok(eid_instance_remove_private_key(f->instance, "b"));
    tu_assert_fails(eid_instance_remove_private_key(f->instance, "b"), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    tu_assert_ok(eid_instance_list_private_keys(f->instance, &list, &count));
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "a");
    assert_string_equal(list[1].name, "c");
    assert_int_equal(list[1].created_at, 1700000005);
    eid_free(list);
    tu_assert_ok(eid_instance_add_private_key(f->instance, "b", NULL)); /* the name is free again */
}

static void keys_are_there_after_a_restart(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), url[600], name[24];
    eid_named_key_info *before, *after;
    size_t count;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "key %d \"\xc3\xa4\"", i);
        tu_assert_ok(eid_instance_add_private_key(f->instance, name, NULL));
    }
    tu_assert_ok(eid_instance_list_private_keys(f->instance, &before, &count));
    eid_instance_close(f->instance);
    fixture_open_url(f, url);
    tu_assert_ok(eid_instance_list_private_keys(f->instance, &after, &count));
    assert_int_equal(count, 40);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(before[i].name, after[i].name);
        assert_true(eid_pubkey_equal(&before[i].key, &after[i].key));
        assert_int_equal(before[i].created_at, after[i].created_at);
    }
    eid_free(before);
    eid_free(after);
    tu_temp_dir_remove(dir);
}

static void there_is_a_limit(void **state)
{
    fixture *f = *state;
    char name[16];

    for (int i = 0; i < EID_LIMIT_NAMED_KEYS; i++) {
        snprintf(name, sizeof name, "%d", i);
        tu_assert_ok(eid_instance_add_private_key(f->instance, name, NULL));
    }
    tu_assert_fails(eid_instance_add_private_key(f->instance, "one more", NULL), EID_ERR_LIMIT);
}

/* A record that somebody wrote over is refused as a whole, with a sentence that says which. */
static void broken_records_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const broken[] = {
        "",
        "{}",
        "[{}]",
        "[1]",
        "[] []",
        "[{\"name\":\"a\",\"key_id\":\"ed25519:x\",\"storage\":{},\"created_at\":1}]",
        /* a private key that is not the public one's */
        ("[{\"name\":\"a\",\"key_id\":\"ed25519:eI8Cg5eFu6EhbvH13nojcuBc1Q7egzyeh3riSNp4DBQ=\",\"storage\":"
         "{\"type\":\"unencrypted\",\"key\":\"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},"
         "\"created_at\":1}]"),
    };

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_not_equal(eid_named_keys_read(f->instance, eid_slice_text(broken[i])), EID_OK);
        assert_non_null(strstr(eid_last_error(), "named keys"));
        assert_int_equal(f->instance->named_key_count, 0);
    }
}

static void failures_add_and_remove_nothing(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->instance->core));
    uint64_t failures = 0;
    eid_pubkey key;

    for (int step = 0; step < 2; step++) {
        for (uint64_t at = 1;; at++) {
            eid_sql_fail_after(sql, at);
            eid_status status = step == 0 ? eid_instance_add_private_key(f->instance, "mine", NULL)
                                          : eid_instance_remove_private_key(f->instance, "mine");
            eid_sql_fail_after(sql, 0);
            if (status == EID_OK)
                break;
            failures++;
            assert_int_equal(eid_instance_get_public_key(f->instance, "mine", &key) == EID_OK, step == 1);
        }
    }
    print_message("%llu failures of the storage\n", (unsigned long long)failures);
    assert_true(failures >= 6);
}

static size_t databases_of(fixture *f)
{
    eid_id *ids;
    size_t count;

    tu_assert_ok(eid_instance_list_databases(f->instance, &ids, &count));
    eid_free(ids);
    return count;
}

static eid_status make(fixture *f, eid_database **out)
{
    eid_doc *settings;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "notes"));
    eid_status status = eid_instance_new_database(f->instance, settings, "mine", out);
    eid_doc_free(settings);
    return status;
}

static bool signed_by(fixture *f, eid_database *database, const char *name)
{
    eid_pubkey wanted, signer;
    eid_entry *entry;
    eid_id *tips;
    size_t count;

    tu_assert_ok(eid_instance_get_public_key(f->instance, name, &wanted));
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    assert_int_equal(count, 1);
    tu_assert_ok(eid_database_get_entry(database, &tips[0], &entry));
    bool same = eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &wanted);
    eid_entry_unref(entry);
    eid_free(tips);
    return same;
}

/* The storage fails at every place of making a database and of choosing its key: no database, and the key as
 * before. */
static void failures_leave_databases_and_handles_alone(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->instance->core));
    uint64_t failures[3] = {0};
    eid_database *notes = NULL;
    eid_permission permission;
    eid_pubkey other;
    eid_txn *txn = NULL;
    eid_status status;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "mine", NULL));
    tu_assert_ok(eid_instance_add_private_key(f->instance, "other", &other));
    size_t before = databases_of(f);
    for (;; failures[0]++) {
        eid_sql_fail_after(sql, failures[0] + 1);
        status = make(f, &notes);
        eid_sql_fail_after(sql, 0);
        assert_int_equal(databases_of(f), before + (status == EID_OK));
        if (status == EID_OK)
            break;
        assert_null(notes);
    }
    tu_assert_ok(eid_database_current_permission(notes, &permission));
    assert_true(permission.kind == EID_PERM_ADMIN && permission.priority == 0);

    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_add_auth_key(txn, &other, "other", (eid_permission){EID_PERM_WRITE, 10}));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = NULL;
    for (;; failures[1]++) {
        eid_sql_fail_after(sql, failures[1] + 1);
        status = eid_database_new_authenticated_operation(notes, "other", &txn);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        assert_null(txn);
    }
    eid_txn_free(txn);
    for (;; failures[2]++) {
        eid_sql_fail_after(sql, failures[2] + 1);
        status = eid_database_set_default_auth_key(notes, "other");
        eid_sql_fail_after(sql, 0);
        tu_assert_ok(try_to_write(notes, "page"));
        assert_true(signed_by(f, notes, status == EID_OK ? "other" : "mine"));
        if (status == EID_OK)
            break;
    }
    print_message("%llu, %llu and %llu failures of the storage\n", (unsigned long long)failures[0],
                  (unsigned long long)failures[1], (unsigned long long)failures[2]);
    assert_true(failures[0] > 10);
    eid_database_close(notes);
}

/* A key that is taken away while it is in use: what was begun with it goes on, nothing new is. */
static void removed_while_in_use(void **state)
{
    fixture *f = *state;
    eid_database *notes, *again;
    eid_pubkey key, signer;
    eid_entry *entry;
    eid_txn *begun, *txn = NULL;
    eid_id id;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "mine", &key));
    tu_assert_ok(make(f, &notes));
    tu_assert_ok(eid_database_new_authenticated_operation(notes, "mine", &begun));
    tu_assert_ok(eid_docstore_set_text(begun, "pages", "begun", "text"));
    tu_assert_ok(eid_instance_remove_private_key(f->instance, "mine"));
    tu_assert_ok(eid_txn_commit_free(begun, &id));
    tu_assert_ok(eid_database_get_entry(notes, &id, &entry));
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &key));
    eid_entry_unref(entry);
    tu_assert_ok(try_to_write(notes, "page")); /* the handle was opened with it */

    tu_assert_fails(eid_database_new_authenticated_operation(notes, "mine", &txn),
                    EID_ERR_PRIVATE_KEY_NOT_FOUND);
    tu_assert_fails(eid_database_set_default_auth_key(notes, "mine"), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    tu_assert_fails(make(f, &again), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_null(txn);
    /* A new key of that name is another key. */
    tu_assert_ok(eid_instance_add_private_key(f->instance, "mine", NULL));
    tu_assert_fails(eid_database_new_authenticated_operation(notes, "mine", &txn), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_database_set_default_auth_key(notes, "mine"), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(try_to_write(notes, "page"));
    eid_database_close(notes);
}

static eid_status use_keys(void *ctx)
{
    fixture *f = ctx;
    eid_named_key_info *list;
    eid_database *database = NULL;
    eid_doc *settings = NULL;
    eid_txn *txn = NULL;
    size_t count;

    eid_status status = eid_instance_add_private_key(f->instance, "mine", NULL);
    if (status == EID_ERR_ALREADY_EXISTS)
        status = EID_OK;
    if (status == EID_OK && (status = eid_instance_list_private_keys(f->instance, &list, &count)) == EID_OK)
        eid_free(list);
    if (status == EID_OK)
        status = eid_doc_new(&settings);
    if (status == EID_OK)
        status = eid_instance_new_database(f->instance, settings, "mine", &database);
    if (status == EID_OK)
        status = eid_database_set_default_auth_key(database, "mine");
    if (status == EID_OK)
        status = eid_database_new_authenticated_operation(database, "mine", &txn);
    eid_txn_free(txn);
    eid_database_close(database);
    eid_doc_free(settings);
    return status;
}

/* Not a full loop: the instance keeps what it caches, so single points are tried. */
static void short_memory(void **state)
{
    fixture *f = *state;
    size_t refused = 0;

    tu_assert_ok(use_keys(f));
    for (size_t n = 1; n < 400; n++) {
        tu_alloc_install();
        tu_alloc_fail_at(n);
        fixture inner = {NULL, f->now_ms};
        eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
        eid_status status = eid_instance_open_url_with("memory:", &options, &inner.instance);
        if (status == EID_OK) {
            status = use_keys(&inner);
            eid_instance_close(inner.instance);
        }
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        tu_alloc_remove();
        if (!fired)
            break;
        assert_int_equal(status, EID_ERR_NO_MEMORY);
        refused++;
    }
    assert_true(refused > 100);
}

/* ---- Threads ---- */

static void *use_names(void *ctx)
{
    eid_instance *instance = ctx;
    eid_named_key_info *list;
    char name[32];
    size_t count;
    eid_pubkey key;
    uintptr_t wrong = 0;

    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%p %d", (void *)&key, i);
        wrong += eid_instance_add_private_key(instance, name, &key) != EID_OK;
        wrong += eid_instance_get_public_key(instance, name, &key) != EID_OK;
        wrong += eid_instance_list_private_keys(instance, &list, &count) != EID_OK;
        eid_free(list);
        if (i % 2 == 0)
            wrong += eid_instance_remove_private_key(instance, name) != EID_OK;
        if (i % 5 == 0)
            wrong += eid_instance_is_protected(instance)
                         ? eid_instance_unprotect(instance) != EID_OK
                         : eid_instance_protect(instance, NULL, name, strlen(name)) != EID_OK;
    }
    return (void *)wrong;
}

static void threads_share_the_names(void **state)
{
    fixture *f = *state;
    eid_named_key_info *list;
    pthread_t threads[3];
    size_t count;

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_names, f->instance), 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    tu_assert_ok(eid_instance_list_private_keys(f->instance, &list, &count));
    assert_int_equal(count, 3 * 10);
    eid_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(keys_have_names),
        WITH_INSTANCE(keys_are_imported),
        WITH_INSTANCE(names_are_checked),
        WITH_INSTANCE(removed_keys_leave_the_list),
        WITH_INSTANCE(keys_are_there_after_a_restart),
        WITH_INSTANCE(there_is_a_limit),
        WITH_INSTANCE(broken_records_are_refused),
        WITH_INSTANCE(failures_add_and_remove_nothing),
        WITH_INSTANCE(failures_leave_databases_and_handles_alone),
        WITH_INSTANCE(removed_while_in_use),
        WITH_INSTANCE(short_memory),
        WITH_INSTANCE(threads_share_the_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
