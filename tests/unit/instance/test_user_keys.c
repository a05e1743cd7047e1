/* SPDX-License-Identifier: Apache-2.0 */
/* Several keys of a user: importing and exporting them, their names, the default one; in other sessions, after a restart, when
 * the storage fails, and by several threads at once. */
#include "fixture.h"

#include <pthread.h>

#include "base/limits.h"
#include "instance/instance_int.h"

static eid_user_key_info info_of(eid_user *user, const eid_pubkey *key, char name[EID_LIMIT_KEY_NAME + 1])
{
    eid_user_key_info *list, found = {.created_at = -1};
    size_t count;

    name[0] = '\0';
    tu_assert_ok(eid_user_list_keys(user, &list, &count));
    for (size_t i = 0; i < count; i++) {
        if (!eid_pubkey_equal(&list[i].key, key))
            continue;
        found = list[i];
        if (list[i].display_name != NULL)
            strcpy(name, list[i].display_name);
    }
    assert_int_not_equal(found.created_at, -1);
    eid_free(list);
    return found;
}

static void assert_name(eid_user *user, const eid_pubkey *key, const char *wanted)
{
    char name[EID_LIMIT_KEY_NAME + 1];
    bool none = info_of(user, key, name).display_name == NULL;

    assert_int_equal(none, wanted == NULL);
    if (wanted != NULL)
        assert_string_equal(name, wanted);
}

static bool is_default(eid_user *user, const eid_pubkey *key)
{
    char name[EID_LIMIT_KEY_NAME + 1];

    return info_of(user, key, name).is_default;
}

static void keys_travel_between_users(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_keypair *exported, *parsed, *none = NULL;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_database *notes, *opened;
    eid_pubkey key, unknown;

    tu_assert_ok(eid_user_add_private_key(alice, "travels", &key));
    tu_assert_ok(eid_user_set_default_key(alice, &key));
    notes = create(alice, "notes");
    tu_assert_ok(eid_user_export_private_key(alice, &key, &exported));
    eid_keypair_format(exported, text);
    eid_keypair_free(exported);

    tu_assert_ok(eid_keypair_parse(text, &parsed));
    eid_wipe(text, sizeof text);
    tu_assert_ok(eid_user_import_private_key(bob, parsed, NULL));
    tu_assert_fails(eid_user_import_private_key(bob, parsed, "again"), EID_ERR_ALREADY_EXISTS);
    tu_assert_fails(eid_user_import_private_key(alice, parsed, "again"), EID_ERR_ALREADY_EXISTS);
    assert_name(bob, &key, NULL);
    eid_keypair_free(parsed);

    /* With the key come its rights. */
    eid_database_preferences wanted = EID_DATABASE_PREFERENCES_INIT;
    wanted.database_id = *eid_database_root_id(notes);
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_open_database(bob, &wanted.database_id, &opened));
    tu_assert_ok(try_to_write(opened, "page"));
    eid_database_close(opened);

    memset(&unknown, 3, sizeof unknown);
    tu_assert_fails(eid_user_export_private_key(alice, &unknown, &none), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_null(none);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

static void another_session_sees_an_import_at_its_next_login(void **state)
{
    fixture *f = *state;
    eid_user *first = login(f, "alice"), *second = login(f, "alice");
    eid_keypair *pair;
    eid_pubkey key;

    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &key);
    tu_assert_ok(eid_user_import_private_key(first, pair, "imported"));
    assert_null(eid_session_find_key(second, &key));
    /* It is not written twice, though this session does not know it. */
    tu_assert_fails(eid_user_import_private_key(second, pair, "imported"), EID_ERR_ALREADY_EXISTS);
    eid_keypair_free(pair);
    eid_user_logout(second);
    second = login(f, "alice");
    assert_non_null(eid_session_find_key(second, &key));
    eid_user_logout(first);
    eid_user_logout(second);
}

static void names_change(void **state)
{
    fixture *f = *state;
    char longest[EID_LIMIT_KEY_NAME + 2];
    eid_user *alice = login(f, "alice");
    eid_pubkey root, key, unknown;

    eid_user_get_default_key(alice, &root);
    tu_assert_ok(eid_user_add_private_key(alice, NULL, &key));
    assert_name(alice, &key, NULL);
    tu_assert_ok(eid_user_set_key_name(alice, &key, "Laptop \xc3\xa4 \"\\"));
    assert_name(alice, &key, "Laptop \xc3\xa4 \"\\");
    tu_assert_ok(eid_user_set_key_name(alice, &root, NULL));
    assert_name(alice, &root, NULL);
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    tu_assert_fails(eid_user_set_key_name(alice, &key, longest), EID_ERR_LIMIT);
    tu_assert_fails(eid_user_set_key_name(alice, &key, "\xf5"), EID_ERR_UTF8);
    tu_assert_fails(eid_user_set_key_name(alice, &key, "two\nlines"), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_user_add_private_key(alice, "\x7f", NULL), EID_ERR_INVALID_ARGUMENT);
    memset(&unknown, 3, sizeof unknown);
    tu_assert_fails(eid_user_set_key_name(alice, &unknown, "x"), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_name(alice, &key, "Laptop \xc3\xa4 \"\\");
    eid_user_logout(alice);
    alice = login(f, "alice");
    assert_name(alice, &key, "Laptop \xc3\xa4 \"\\");
    assert_name(alice, &root, NULL);
    eid_user_logout(alice);
}

/* A name is kept in clear; the key beside it stays encrypted as it was. */
static void names_and_passwords(void **state)
{
    fixture *f = *state;
    eid_user *alice;
    eid_pubkey key;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", "pw"));
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", "pw", &alice));
    tu_assert_ok(eid_user_add_private_key(alice, "one", &key));
    tu_assert_ok(eid_user_set_key_name(alice, &key, "two"));
    tu_assert_ok(eid_user_set_default_key(alice, &key));
    tu_assert_ok(eid_user_change_password(alice, "pw", "other"));
    eid_user_logout(alice);
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", "other", &alice));
    assert_name(alice, &key, "two");
    assert_true(is_default(alice, &key));
    eid_user_logout(alice);
}

static void one_key_is_the_default(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *other = login(f, "alice");
    eid_pubkey keys[4], found;

    eid_user_get_default_key(alice, &keys[0]);
    for (int i = 1; i < 4; i++)
        tu_assert_ok(eid_user_add_private_key(alice, "more", &keys[i]));
    for (int i = 3; i >= 0; i--) {
        tu_assert_ok(eid_user_set_default_key(alice, &keys[i]));
        for (int k = 0; k < 4; k++)
            assert_int_equal(is_default(alice, &keys[k]), k == i);
        eid_user *fresh = login(f, "alice");
        eid_user_get_default_key(fresh, &found);
        assert_true(eid_pubkey_equal(&found, &keys[i]));
        eid_user_logout(fresh);
        eid_user_get_default_key(other, &found);
        assert_true(eid_pubkey_equal(&found, &keys[0])); /* follows at its next login */
    }
    eid_user_logout(alice);
    eid_user_logout(other);
}

/* A session that does not know the present default key takes it down all the same. */
static void two_sessions_choose(void **state)
{
    fixture *f = *state;
    eid_user *first = login(f, "alice"), *second = login(f, "alice"), *fresh;
    eid_pubkey one, two, found;

    tu_assert_ok(eid_user_add_private_key(first, "one", &one));
    tu_assert_ok(eid_user_add_private_key(second, "two", &two));
    tu_assert_ok(eid_user_set_default_key(first, &one));
    tu_assert_ok(eid_user_set_default_key(second, &two));
    fresh = login(f, "alice");
    eid_user_get_default_key(fresh, &found);
    assert_true(eid_pubkey_equal(&found, &two));
    eid_doc *rows;
    const eid_doc_cursor *cursor = NULL;
    const eid_value *text;
    const char *key, *json;
    size_t len, defaults = 0;
    tu_assert_ok(eid_database_store_state(fresh->private_database, "keys", &rows));
    while (eid_doc_next(rows, &cursor, &key, &len, &text)) {
        tu_assert_ok(eid_value_as_text(text, &json, NULL));
        defaults += strstr(json, "\"is_default\":true") != NULL;
    }
    assert_int_equal(defaults, 1);
    eid_doc_free(rows);
    eid_user_logout(first);
    eid_user_logout(second);
    eid_user_logout(fresh);
}

/* ---- Failures in between ---- */

typedef struct trial {
    eid_user *user;
    eid_keypair *pair;
    eid_pubkey root, other;
} trial;

static eid_status rename_key(trial *t)
{
    return eid_user_set_key_name(t->user, &t->other, "after");
}

static eid_status choose_key(trial *t)
{
    return eid_user_set_default_key(t->user, &t->other);
}

static eid_status import_key(trial *t)
{
    return eid_user_import_private_key(t->user, t->pair, "imported");
}

static void failures_change_nothing(void **state)
{
    fixture *f = *state;
    eid_status (*const steps[])(trial *t) = {rename_key, choose_key, import_key};
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->instance->core));
    trial t = {.user = login(f, "alice")};
    eid_pubkey imported;

    eid_user_get_default_key(t.user, &t.root);
    tu_assert_ok(eid_user_add_private_key(t.user, "before", &t.other));
    tu_assert_ok(eid_keypair_generate(&t.pair));
    eid_keypair_public(t.pair, &imported);
    for (size_t i = 0; i < 3; i++) {
        uint64_t failures = 0, entries = entries_of(t.user->private_database);
        for (;;) {
            eid_sql_fail_after(sql, failures + 1);
            eid_status status = steps[i](&t);
            eid_sql_fail_after(sql, 0);
            if (status == EID_OK)
                break;
            failures++;
            assert_int_equal(entries_of(t.user->private_database), entries);
            assert_name(t.user, &t.other, i == 0 ? "before" : "after");
            assert_int_equal(is_default(t.user, &t.other), i == 2);
            assert_null(eid_session_find_key(t.user, &imported));
        }
        assert_int_equal(entries_of(t.user->private_database), entries + 1);
        assert_true(failures > 3);
    }
    assert_non_null(eid_session_find_key(t.user, &imported));
    eid_keypair_free(t.pair);
    eid_user_logout(t.user);
}

static eid_status use_keys(void *ctx)
{
    eid_instance *instance = NULL;
    eid_user *user = NULL;
    eid_pubkey key;

    (void)ctx;
    eid_status status = eid_instance_open_url("memory:", &instance);
    if (status == EID_OK)
        status = eid_instance_login_or_create_user(instance, "alice", NULL, &user);
    if (status == EID_OK)
        status = eid_user_add_private_key(user, "one", &key);
    if (status == EID_OK)
        status = eid_user_set_key_name(user, &key, "two");
    if (status == EID_OK)
        status = eid_user_set_default_key(user, &key);
    eid_user_logout(user);
    eid_instance_close(instance);
    return status;
}

/* A login goes on without its notes, so some refusals are answered with success; none may leak or crash. */
static void short_memory(void **state)
{
    size_t refused = 0;

    (void)state;
    for (size_t n = 1;; n++) {
        tu_alloc_install();
        tu_alloc_fail_at(n);
        eid_status status = use_keys(NULL);
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_int_equal(tu_alloc_live(), 0);
        tu_alloc_remove();
        if (!fired)
            break;
        assert_true(status == EID_OK || status == EID_ERR_NO_MEMORY);
        refused += status != EID_OK;
    }
    print_message("%zu refusals\n", refused);
    assert_true(refused > 300);
}

/* ---- Threads ---- */

typedef struct worker {
    fixture *f;
    eid_user *user;
    eid_pubkey key;
    int number;
    bool failed;
} worker;

static eid_status work(worker *w)
{
    eid_user_key_info *list;
    eid_pubkey found;
    char name[24];
    size_t count;

    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%d-%d", w->number, i);
        EID_TRY(eid_user_add_private_key(w->user, name, &w->key));
        EID_TRY(eid_user_set_default_key(w->user, &w->key));
        eid_user_get_default_key(w->user, &found);
        EID_TRY(eid_user_set_key_name(w->user, &w->key, "renamed"));
        EID_TRY(eid_user_list_keys(w->user, &list, &count));
        eid_free(list);
        eid_database *database;
        EID_TRY(eid_user_create_database(w->user, name, &database));
        eid_id id = *eid_database_root_id(database);
        eid_database_close(database);
        EID_TRY(eid_user_enable_sync(w->user, &id));
        EID_TRY(eid_user_open_database(w->user, &id, &database));
        eid_database_close(database);
    }
    return EID_OK;
}

static void *run_worker(void *ctx)
{
    worker *w = ctx;

    w->failed = work(w) != EID_OK;
    return NULL;
}

/* Two threads in each of two sessions of one user. */
static void threads_share_a_user(void **state)
{
    fixture *f = *state;
    eid_user *sessions[2] = {login(f, "alice"), login(f, "alice")}, *fresh;
    pthread_t threads[4];
    worker workers[4];
    eid_user_key_info *list;
    size_t count, defaults = 0;

    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.f = f, .user = sessions[i % 2], .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_false(workers[i].failed);
    }
    eid_user_logout(sessions[0]);
    eid_user_logout(sessions[1]);
    fresh = login(f, "alice");
    tu_assert_ok(eid_user_list_keys(fresh, &list, &count));
    assert_int_equal(count, 1 + 4 * 8);
    for (size_t i = 0; i < count; i++) {
        defaults += list[i].is_default;
        if (strcmp(list[i].display_name, "Root Key") != 0)
            assert_string_equal(list[i].display_name, "renamed");
    }
    assert_int_equal(defaults, 1);
    eid_free(list);
    eid_user_logout(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(keys_travel_between_users),
        WITH_INSTANCE(another_session_sees_an_import_at_its_next_login),
        WITH_INSTANCE(names_change),
        WITH_INSTANCE(names_and_passwords),
        WITH_INSTANCE(one_key_is_the_default),
        WITH_INSTANCE(two_sessions_choose),
        WITH_INSTANCE(failures_change_nothing),
        cmocka_unit_test(short_memory),
        WITH_INSTANCE(threads_share_a_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
