/* SPDX-License-Identifier: Apache-2.0 */
/* Users with a password: logging in, what a wrong password may tell and how long it takes, keys at rest, several keys,
 * changing the password. */
#include "fixture.h"
#include "support/track.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "instance/instance_int.h"

static eid_user *login_with(fixture *f, const char *name, const char *password)
{
    eid_user *user;

    tu_assert_ok(eid_instance_login_user(f->instance, name, password, &user));
    return user;
}

static eid_user *created(fixture *f, const char *name, const char *password)
{
    tu_assert_ok(eid_instance_create_user(f->instance, name, password));
    return login_with(f, name, password);
}

static void assert_login_fails(fixture *f, const char *name, const char *password, eid_status wanted)
{
    eid_user *user = NULL;

    tu_assert_fails(eid_instance_login_user(f->instance, name, password, &user), wanted);
    assert_null(user);
}

/* How long the failing login took. */
static uint64_t time_wrong_login(fixture *f, const char *name, const char *password, char text[EID_LIMIT_ERROR_TEXT])
{
    uint64_t began = eid_monotonic_ns();

    assert_login_fails(f, name, password, EID_ERR_INVALID_PASSWORD);
    strcpy(text, eid_last_error());
    return (eid_monotonic_ns() - began) / 1000000;
}

/* ---- Logging in ---- */

static void a_password_lets_in(void **state)
{
    fixture *f = *state;
    eid_user *user = created(f, "alice", "correct horse"), *again;
    eid_pubkey first, second;

    eid_user_get_default_key(user, &first);
    eid_database *notes = create(user, "notes");
    tu_assert_ok(try_to_write(notes, "page"));
    eid_database_close(notes);
    eid_user_logout(user);
    again = login_with(f, "alice", "correct horse");
    eid_user_get_default_key(again, &second);
    assert_true(eid_pubkey_equal(&first, &second));
    eid_user_logout(again);

    assert_login_fails(f, "alice", NULL, EID_ERR_PASSWORD_REQUIRED);
    assert_login_fails(f, "alice", "correct horsf", EID_ERR_INVALID_PASSWORD);
    assert_login_fails(f, "alice", "", EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_instance_create_user(f->instance, "alice", "other"), EID_ERR_USER_EXISTS);
    again = login_with(f, "alice", "correct horse");
    eid_user_logout(again);
}

static void any_text_is_a_password(void **state)
{
    fixture *f = *state;
    char *longest = malloc(EID_LIMIT_PASSWORD + 2);

    eid_user_logout(created(f, "empty", ""));
    eid_user_logout(created(f, "unicode", "p\xc3\xa4ss \xf0\x9f\x98\x80"));
    memset(longest, 'x', EID_LIMIT_PASSWORD + 1);
    longest[EID_LIMIT_PASSWORD + 1] = '\0';
    tu_assert_fails(eid_instance_create_user(f->instance, "long", longest), EID_ERR_LIMIT);
    assert_login_fails(f, "unicode", longest, EID_ERR_LIMIT);
    assert_login_fails(f, "nobody", longest, EID_ERR_LIMIT);
    longest[EID_LIMIT_PASSWORD] = '\0';
    eid_user_logout(created(f, "long", longest));
    free(longest);
    assert_login_fails(f, "empty", NULL, EID_ERR_PASSWORD_REQUIRED);
}

static void users_are_logged_in_or_created(void **state)
{
    fixture *f = *state;
    eid_user *user;

    tu_assert_ok(eid_instance_login_or_create_user(f->instance, "alice", "pw", &user));
    eid_user_logout(user);
    tu_assert_ok(eid_instance_login_or_create_user(f->instance, "alice", "pw", &user));
    eid_user_logout(user);
    user = NULL;
    tu_assert_fails(eid_instance_login_or_create_user(f->instance, "alice", "wrong", &user), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_instance_login_or_create_user(f->instance, "alice", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_or_create_user(f->instance, "", "pw", &user), EID_ERR_INVALID_ARGUMENT);
    assert_null(user);
}

/* ---- What a wrong password tells ---- */

/* The delay grows whoever is tried, and the sentence is the same for all. */
static void mistakes_can_not_be_told_apart(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"alice", "nobody", "passwordless", "alice"};
    char texts[4][EID_LIMIT_ERROR_TEXT];
    uint64_t wanted = EID_LIMIT_LOGIN_DELAY_MS / 32;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", "pw"));
    tu_assert_ok(eid_instance_create_user(f->instance, "passwordless", NULL));
    for (size_t i = 0; i < 4; i++, wanted *= 2) {
        uint64_t took = time_wrong_login(f, names[i], "guess", texts[i]);
        print_message("%s: %llu ms, due after %llu\n", names[i], (unsigned long long)took, (unsigned long long)wanted);
        assert_true(took >= wanted);
        assert_string_equal(texts[i], texts[0]);
        assert_null(strstr(texts[i], names[i]));
    }
    /* The right one waits for nobody, and does not clear the count. */
    uint64_t began = eid_monotonic_ns();
    eid_user_logout(login_with(f, "alice", "pw"));
    assert_true((eid_monotonic_ns() - began) / 1000000 < wanted / 2);
    assert_true(time_wrong_login(f, "nobody", "guess", texts[0]) >= wanted);
    assert_int_equal(f->instance->wrong_passwords, 5);
    /* Long ago: forgotten. */
    f->instance->last_wrong_ns -= (EID_LIMIT_LOGIN_MEMORY_S + 1) * UINT64_C(1000000000);
    assert_true(time_wrong_login(f, "nobody", "guess", texts[0]) < wanted);
    assert_int_equal(f->instance->wrong_passwords, 1);
}

static void the_delay_is_bounded(void **state)
{
    (void)state;
    uint64_t last = 0;

    for (unsigned wrong = 0; wrong < 100; wrong++) {
        uint64_t delay = eid_login_delay_ms(wrong);
        assert_true(delay >= last && delay >= EID_LIMIT_LOGIN_DELAY_MS / 32 && delay <= EID_LIMIT_LOGIN_DELAY_MS);
        last = delay;
    }
    assert_int_equal(eid_login_delay_ms(0), 100);
    assert_int_equal(eid_login_delay_ms(1), 200);
    assert_int_equal(last, 3200);
    assert_int_equal(eid_login_delay_ms(UINT32_MAX), 3200);
}

/* The sentence with the name taken out, and how long the refusal took. */
static uint64_t refused_in_ms(fixture *f, const char *name, char sentence[200])
{
    eid_user *user = NULL;
    uint64_t began = eid_monotonic_ns();

    tu_assert_fails(eid_instance_login_user(f->instance, name, NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    uint64_t took = (eid_monotonic_ns() - began) / 1000000;
    assert_null(user);
    const char *text = eid_last_error(), *at = strstr(text, name);
    assert_non_null(at);
    snprintf(sentence, 200, "%.*s%s", (int)(at - text), text, at + strlen(name));
    return took;
}

/* Without a password too, a name nobody has looks like one with a password; nothing is counted as a guess. */
static void without_a_password_names_are_not_told(void **state)
{
    fixture *f = *state;
    char known[200], unknown[200], disabled[200];

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", "pw"));
    tu_assert_ok(eid_instance_create_user(f->instance, "carol", "pw"));
    tu_assert_ok(eid_instance_disable_user(f->instance, "carol"));
    assert_true(refused_in_ms(f, "alice", known) >= 5);
    assert_true(refused_in_ms(f, "nobody", unknown) >= 5);
    assert_true(refused_in_ms(f, "carol", disabled) >= 5);
    assert_string_equal(known, unknown);
    assert_string_equal(known, disabled);
    assert_int_equal(f->instance->wrong_passwords, 0);
}

static void *try_wrong(void *ctx)
{
    fixture *f = ctx;
    eid_user *user = NULL;

    return eid_instance_login_user(f->instance, "alice", "guess", &user) == EID_ERR_INVALID_PASSWORD ? f : NULL;
}

/* Attempts at the same time do not get past the delay. */
static void attempts_stand_in_line(void **state)
{
    fixture *f = *state;
    pthread_t threads[3];
    uint64_t began;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", "pw"));
    began = eid_monotonic_ns();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, try_wrong, f), 0);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, f);
    }
    assert_true((eid_monotonic_ns() - began) / 1000000 >= 100 + 200 + 400);
    assert_int_equal(f->instance->wrong_passwords, 3);
}

static void set_status(fixture *f, const char *uuid, eid_user_status status)
{
    eid_user_record record;
    eid_buf text;
    eid_txn *txn;

    tu_assert_ok(eid_user_record_load(f->instance, uuid, &record));
    record.status = status;
    eid_buf_init(&text, 65536);
    eid_user_record_write(&text, &record);
    tu_assert_ok(eid_buf_status(&text));
    tu_assert_ok(eid_database_new_transaction(f->instance->users, &txn));
    tu_assert_ok(eid_table_set(txn, "users", uuid, (const char *)text.data));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_buf_free(&text);
    eid_user_record_free(&record);
}

static void being_disabled_is_told_to_the_user_only(void **state)
{
    fixture *f = *state;
    eid_user *user = created(f, "alice", "pw");
    char uuid[EID_UUID_TEXT_SIZE];

    strcpy(uuid, eid_user_id(user));
    eid_user_logout(user);
    set_status(f, uuid, EID_USER_DISABLED);
    assert_login_fails(f, "alice", "guess", EID_ERR_INVALID_PASSWORD);
    assert_login_fails(f, "alice", "pw", EID_ERR_USER_DISABLED);
    set_status(f, uuid, EID_USER_ACTIVE);
    eid_user_logout(login_with(f, "alice", "pw"));
}

/* ---- Keys at rest ---- */

typedef struct row_list {
    size_t encrypted, clear;
} row_list;

static bool look_at_row(const char *key, const char *row, size_t len, void *ctx)
{
    row_list *list = ctx;
    eid_user_key record;

    (void)key;
    tu_assert_ok(eid_user_key_read(eid_slice_of(row, len), &record));
    (*(record.storage.encrypted ? &list->encrypted : &list->clear))++;
    eid_user_key_free(&record);
    return true;
}

static void assert_rows(eid_user *user, size_t encrypted, size_t clear)
{
    row_list list = {0, 0};
    eid_user_record record;

    tu_assert_ok(eid_database_table_scan(user->private_database, "keys", NULL, look_at_row, &list));
    assert_int_equal(list.encrypted, encrypted);
    assert_int_equal(list.clear, clear);
    tu_assert_ok(eid_user_record_load(user->instance, eid_user_id(user), &record));
    assert_int_equal(record.root_key.encrypted, encrypted > 0);
    assert_int_equal(record.password_salt != NULL, encrypted > 0);
    eid_user_record_free(&record);
}

static void assert_file_holds(const char *path, const char *text, size_t len, bool wanted)
{
    size_t size;
    uint8_t *bytes = tu_read_file(path, &size);

    assert_int_equal(memmem(bytes, size, text, len) != NULL, wanted);
    free(bytes);
}

/* Neither keys nor passwords are anywhere in the file. */
/* Feature 134 */
static void the_file_tells_nothing(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "a.db"), url[600], text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey added;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s", path);
    fixture_open_url(f, url);
    eid_user *user = created(f, "alice", "correct horse"), *open = created(f, "bob", NULL);
    tu_assert_ok(eid_user_add_private_key(user, "work", &added));
    eid_pubkey_format(&added, text);
    eid_keypair *root, *second, *clear;
    tu_assert_ok(eid_keypair_copy(eid_user_default_keypair(user), &root));
    tu_assert_ok(eid_keypair_copy(eid_session_find_key(user, &added)->pair, &second));
    tu_assert_ok(eid_keypair_copy(eid_user_default_keypair(open), &clear));
    eid_user_logout(user);
    eid_user_logout(open);
    eid_instance_close(f->instance);

    assert_file_holds(path, text + 8, 44, true); /* the check can find something */
    eid_keypair_format(clear, text);
    assert_file_holds(path, text + 8, 44, true);
    eid_keypair_format(root, text);
    assert_file_holds(path, text + 8, 44, false);
    eid_keypair_format(second, text);
    assert_file_holds(path, text + 8, 44, false);
    assert_file_holds(path, "correct horse", 13, false);

    fixture_open_url(f, url);
    user = login_with(f, "alice", "correct horse");
    assert_rows(user, 2, 0);
    assert_non_null(eid_session_find_key(user, &added));
    eid_user_logout(user);
    eid_keypair_free(root);
    eid_keypair_free(second);
    eid_keypair_free(clear);
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Several keys ---- */

static void assert_keys(eid_user *user, const char *const *names, size_t wanted)
{
    eid_user_key_info *keys;
    size_t count, defaults = 0;

    tu_assert_ok(eid_user_list_keys(user, &keys, &count));
    assert_int_equal(count, wanted);
    for (size_t i = 0; i < count; i++) {
        if (names[i] == NULL)
            assert_null(keys[i].display_name);
        else
            assert_string_equal(keys[i].display_name, names[i]);
        assert_true(i == 0 || keys[i - 1].created_at <= keys[i].created_at);
        defaults += keys[i].is_default;
    }
    assert_true(keys[0].is_default && defaults == 1);
    eid_free(keys);
}

static void keys_are_added_and_listed(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"Root Key", "work", NULL, "", "w\xc3\xb6rk"};
    static const char *const passwords[] = {"pw", NULL};
    char long_name[EID_LIMIT_KEY_NAME + 2];

    memset(long_name, 'n', sizeof long_name);
    long_name[EID_LIMIT_KEY_NAME + 1] = '\0';
    for (size_t p = 0; p < 2; p++) {
        eid_user *user = created(f, p == 0 ? "alice" : "bob", passwords[p]);
        eid_pubkey added[5];
        assert_keys(user, names, 1);
        for (size_t i = 1; i < 5; i++) {
            f->now_ms += 1000;
            tu_assert_ok(eid_user_add_private_key(user, names[i], i == 4 ? NULL : &added[i]));
            assert_keys(user, names, i + 1);
        }
        tu_assert_fails(eid_user_add_private_key(user, long_name, NULL), EID_ERR_LIMIT);
        tu_assert_fails(eid_user_add_private_key(user, "\xc3", NULL), EID_ERR_UTF8);
        assert_keys(user, names, 5);
        assert_rows(user, p == 0 ? 5 : 0, p == 0 ? 0 : 5);
        eid_user_logout(user);
        user = login_with(f, p == 0 ? "alice" : "bob", passwords[p]);
        assert_keys(user, names, 5);
        for (size_t i = 1; i < 4; i++)
            assert_non_null(eid_session_find_key(user, &added[i]));
        eid_user_logout(user);
    }
}

/* A database that lets in only the added key is opened with it. */
/* Feature 134 */
static void an_added_key_opens_databases(void **state)
{
    fixture *f = *state;
    eid_user *owner = created(f, "owner", NULL), *user = created(f, "alice", "pw");
    eid_database *database = create(owner, "shared"), *opened;
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    const eid_id *id = eid_database_root_id(database);
    eid_pubkey added, signing;
    eid_txn *txn;

    tu_assert_ok(eid_user_add_private_key(user, "guest", &added));
    tu_assert_fails(tu_track(user, id, &settings), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &added, "guest", (eid_permission){EID_PERM_WRITE, 10}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(tu_track(user, id, &settings));
    tu_assert_ok(eid_user_open_database(user, id, &opened));
    tu_assert_ok(try_to_write(opened, "page"));
    eid_keypair_public(eid_database_key(opened), &signing);
    assert_true(eid_pubkey_equal(&signing, &added));
    eid_database_close(opened);
    assert_rows(user, 2, 0);
    eid_user_logout(user);
    user = login_with(f, "alice", "pw");
    tu_assert_ok(eid_user_open_database(user, id, &opened));
    tu_assert_ok(try_to_write(opened, "page2"));
    eid_database_close(opened);
    eid_user_logout(user);
    eid_database_close(database);
    eid_user_logout(owner);
}

/* ---- Changing the password ---- */

/* Feature W24 */
static void passwords_are_changed(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"Root Key", "work", "after"};
    /* From none, to another, to the same, to the empty one, to none. */
    static const char *const passwords[] = {NULL, "one", "two", "two", "", NULL};
    eid_user *user = created(f, "alice", NULL);
    eid_database *notes = create(user, "notes");
    eid_id id = *eid_database_root_id(notes);

    eid_database_close(notes);
    f->now_ms += 1000;
    tu_assert_ok(eid_user_add_private_key(user, "work", NULL));
    for (size_t i = 1; i < sizeof passwords / sizeof *passwords; i++) {
        bool protected = passwords[i] != NULL;
        eid_user_record before, after;
        tu_assert_ok(eid_user_record_load(f->instance, eid_user_id(user), &before));
        tu_assert_ok(eid_user_change_password(user, passwords[i - 1], passwords[i]));
        tu_assert_ok(eid_user_record_load(f->instance, eid_user_id(user), &after));
        if (before.password_salt != NULL && after.password_salt != NULL)
            assert_string_not_equal(before.password_salt, after.password_salt);
        eid_user_record_free(&before);
        eid_user_record_free(&after);
        assert_rows(user, protected ? 2 : 0, protected ? 0 : 2);
        /* The session goes on, the next one has everything. */
        tu_assert_ok(eid_user_open_database(user, &id, &notes));
        tu_assert_ok(try_to_write(notes, "page"));
        eid_database_close(notes);
        eid_user_logout(user);
        if (passwords[i - 1] != NULL && (passwords[i] == NULL || strcmp(passwords[i], passwords[i - 1]) != 0))
            assert_login_fails(f, "alice", passwords[i - 1], EID_ERR_INVALID_PASSWORD);
        if (protected)
            assert_login_fails(f, "alice", NULL, EID_ERR_PASSWORD_REQUIRED);
        user = login_with(f, "alice", passwords[i]);
        assert_keys(user, names, 2);
        f->instance->wrong_passwords = 0; /* the delays have their own test */
    }
    tu_assert_ok(eid_user_change_password(user, NULL, "last"));
    f->now_ms += 1000;
    tu_assert_ok(eid_user_add_private_key(user, "after", NULL));
    eid_user_logout(user);
    user = login_with(f, "alice", "last");
    assert_keys(user, names, 3);
    assert_rows(user, 3, 0);
    eid_user_logout(user);
}

static void a_wrong_old_password_changes_nothing(void **state)
{
    fixture *f = *state;
    eid_user *user = created(f, "alice", "pw"), *open = created(f, "bob", NULL);
    uint64_t entries = entries_of(user->private_database), users = entries_of(f->instance->users);
    char *longest = calloc(EID_LIMIT_PASSWORD + 2, 1);

    tu_assert_fails(eid_user_change_password(user, "wrong", "new"), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_user_change_password(user, NULL, "new"), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_user_change_password(open, "pw", "new"), EID_ERR_INVALID_PASSWORD);
    memset(longest, 'x', EID_LIMIT_PASSWORD + 1);
    tu_assert_fails(eid_user_change_password(user, "pw", longest), EID_ERR_LIMIT);
    free(longest);
    assert_int_equal(f->instance->wrong_passwords, 2); /* slowed like logins */
    assert_int_equal(entries_of(user->private_database), entries);
    assert_int_equal(entries_of(f->instance->users), users);
    eid_user_logout(user);
    eid_user_logout(open);
    eid_user_logout(login_with(f, "alice", "pw"));
    eid_user_logout(login_with(f, "bob", NULL));
}

/* A session from before the change would write keys that the new password can not open. */
static void outdated_sessions_add_no_keys(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"Root Key", "late"};
    static const char *const changes[][2] = {{NULL, "pw"}, {"pw", "other"}, {"other", NULL}};
    eid_user *user = created(f, "alice", NULL);

    for (size_t i = 0; i < 3; i++) {
        eid_user *outdated = login_with(f, "alice", changes[i][0]);
        tu_assert_ok(eid_user_change_password(user, changes[i][0], changes[i][1]));
        tu_assert_fails(eid_user_add_private_key(outdated, "lost", NULL), EID_ERR_CONFLICT);
        assert_keys(outdated, names, 1);
        /* What needs no new key goes on. */
        eid_database *database = create(outdated, "notes");
        tu_assert_ok(try_to_write(database, "page"));
        eid_database_close(database);
        tu_assert_ok(eid_user_change_password(outdated, changes[i][1], changes[i][1]));
        eid_user_logout(user);
        user = outdated;
    }
    f->now_ms += 1000;
    tu_assert_ok(eid_user_add_private_key(user, "late", NULL));
    eid_user_logout(user);
    user = login_with(f, "alice", NULL);
    assert_keys(user, names, 2);
    eid_user_logout(user);
}

/* ---- Failures in between ---- */

/* Every call of the storage fails in turn: the old password and all keys under it stay, or the new one and all under
 * that. From no password, so that there is one Argon2id less to wait for. */
static void changing_is_all_or_nothing(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"Root Key", "work"};
    eid_user *user = created(f, "alice", NULL);
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(f->instance)));
    uint64_t failures = 0;

    f->now_ms += 1000;
    tu_assert_ok(eid_user_add_private_key(user, "work", NULL));
    uint64_t entries = entries_of(user->private_database), users = entries_of(f->instance->users);
    for (;;) {
        eid_sql_fail_after(sql, failures + 1);
        eid_status status = eid_user_change_password(user, NULL, "pw");
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        failures++;
        assert_int_equal(entries_of(user->private_database), entries);
        assert_int_equal(entries_of(f->instance->users), users);
        assert_rows(user, 0, 2);
        assert_null(user->encryption);
        assert_true(failures < 1000);
    }
    print_message("%llu failures of the storage\n", (unsigned long long)failures);
    assert_true(failures > 10);
    assert_int_equal(entries_of(user->private_database), entries + 1);
    assert_int_equal(entries_of(f->instance->users), users + 1);
    assert_rows(user, 2, 0);
    eid_user_logout(user);
    user = login_with(f, "alice", "pw");
    assert_keys(user, names, 2);
    eid_user_logout(user);
}

static eid_status log_in_and_out(void *ctx)
{
    fixture *f = ctx;
    eid_user *user = NULL;
    eid_status status = eid_instance_login_user(f->instance, "alice", "pw", &user);

    eid_user_logout(user);
    return status;
}

/* Each of these needs some allocations in front of Argon2id and many behind it. */
static void memory_may_fail(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"Root Key", "more"};
    size_t points = 0;

    eid_instance_close(f->instance);
    /* The instance is opened inside, so that all it holds comes from the counted allocator. */
    tu_alloc_install();
    fixture_open_url(f, "memory:");
    eid_user *user = created(f, "alice", "pw");
    f->now_ms += 1000;
    for (bool fired = true; fired; points++) {
        tu_alloc_fail_at(points + 1);
        eid_status status = eid_user_add_private_key(user, "more", NULL);
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_int_equal(status, fired ? EID_ERR_NO_MEMORY : EID_OK);
        assert_keys(user, names, fired ? 1 : 2);
        assert_rows(user, fired ? 1 : 2, 0);
    }
    print_message("adding a key: %zu places\n", points);
    assert_true(points > 20);
    points = 0;
    for (bool fired = true; fired; points++) {
        tu_alloc_fail_at(points + 1);
        eid_status status = eid_user_change_password(user, "pw", "pw");
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_int_equal(status, fired ? EID_ERR_NO_MEMORY : EID_OK);
    }
    print_message("changing the password: %zu places\n", points);
    assert_true(points > 50);
    assert_rows(user, 2, 0);
    eid_user_logout(user);
    /* A login without memory for its notes is still one; so not every failure shows. */
    points = 0;
    for (bool fired = true; fired; points++) {
        tu_alloc_fail_at(points + 1);
        eid_status status = log_in_and_out(f);
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_true(status == EID_OK || (fired && status == EID_ERR_NO_MEMORY));
    }
    print_message("logging in: %zu places\n", points);
    assert_true(points > 20);
    eid_instance_close(f->instance);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    fixture_open_url(f, "memory:");
}

/* ---- Threads ---- */

typedef struct worker {
    fixture *f;
    eid_user *user;
    size_t failures;
} worker;

static void *add_keys(void *ctx)
{
    worker *w = ctx;

    for (int i = 0; i < 10; i++) {
        eid_pubkey added;
        eid_user_key_info *keys;
        size_t count;
        w->failures += eid_user_add_private_key(w->user, "thread", &added) != EID_OK;
        w->failures += eid_session_find_key(w->user, &added) == NULL;
        w->failures += eid_user_list_keys(w->user, &keys, &count) != EID_OK;
        eid_free(keys);
    }
    return NULL;
}

static void *change_and_log_in(void *ctx)
{
    worker *w = ctx;
    static const char *const passwords[] = {"pw", "one", "pw"};

    for (int i = 0; i < 2; i++) {
        eid_user *user = NULL;
        w->failures += eid_user_change_password(w->user, passwords[i], passwords[i + 1]) != EID_OK;
        w->failures += eid_instance_login_user(w->f->instance, "alice", passwords[i + 1], &user) != EID_OK;
        eid_user_logout(user);
    }
    return NULL;
}

/* One session in three threads: keys come in while the password changes, and all end under the last one. */
static void a_session_serves_several_threads(void **state)
{
    fixture *f = *state;
    eid_user *user = created(f, "alice", "pw");
    worker workers[3];
    pthread_t threads[3];
    size_t count;
    eid_user_key_info *keys;

    for (int i = 0; i < 3; i++) {
        workers[i] = (worker){f, user, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? change_and_log_in : add_keys, &workers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    eid_user_logout(user);
    user = login_with(f, "alice", "pw");
    tu_assert_ok(eid_user_list_keys(user, &keys, &count));
    assert_int_equal(count, 21);
    eid_free(keys);
    assert_rows(user, 21, 0);
    eid_user_logout(user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(a_password_lets_in),
        WITH_INSTANCE(any_text_is_a_password),
        WITH_INSTANCE(users_are_logged_in_or_created),
        WITH_INSTANCE(mistakes_can_not_be_told_apart),
        cmocka_unit_test(the_delay_is_bounded),
        WITH_INSTANCE(without_a_password_names_are_not_told),
        WITH_INSTANCE(attempts_stand_in_line),
        WITH_INSTANCE(being_disabled_is_told_to_the_user_only),
        WITH_INSTANCE(the_file_tells_nothing),
        WITH_INSTANCE(keys_are_added_and_listed),
        WITH_INSTANCE(an_added_key_opens_databases),
        WITH_INSTANCE(passwords_are_changed),
        WITH_INSTANCE(a_wrong_old_password_changes_nothing),
        WITH_INSTANCE(outdated_sessions_add_no_keys),
        WITH_INSTANCE(changing_is_all_or_nothing),
        WITH_INSTANCE(memory_may_fail),
        WITH_INSTANCE(a_session_serves_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
