/* SPDX-License-Identifier: Apache-2.0 */
/* Protecting the keys of an instance: key files and secrets, what is refused, what stands in the data file, changing and
 * removing the protection, failures in between. */
#include "fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "instance/instance_int.h"

typedef struct place {
    fixture f;
    char *dir, *path, *key_file, *other_file;
    char url[700];
} place;

static int place_open(void **state)
{
    place *p = calloc(1, sizeof *p);

    p->f.now_ms = 1700000000000;
    p->dir = tu_temp_dir();
    p->path = tu_path(p->dir, "a.db");
    p->key_file = tu_path(p->dir, "key");
    p->other_file = tu_path(p->dir, "other");
    snprintf(p->url, sizeof p->url, "sqlite:%s", p->path);
    tu_assert_ok(eid_key_file_create(p->key_file));
    tu_assert_ok(eid_key_file_create(p->other_file));
    *state = p;
    return 0;
}

static int place_close(void **state)
{
    place *p = *state;

    eid_instance_close(p->f.instance);
    free(p->path);
    free(p->key_file);
    free(p->other_file);
    tu_temp_dir_remove(p->dir);
    free(p);
    return 0;
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

static eid_status try_open(place *p, const char *key_file, const char *secret)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;

    options.now_ms = fixture_now;
    options.clock_ctx = &p->f;
    options.key_file = key_file;
    options.secret = secret;
    options.secret_len = secret == NULL ? 0 : strlen(secret);
    return eid_instance_open_url_with(p->url, &options, &p->f.instance);
}

static void close_it(place *p)
{
    eid_instance_close(p->f.instance);
    p->f.instance = NULL;
}

static void reopen(place *p, const char *key_file, const char *secret)
{
    close_it(p);
    tu_assert_ok(try_open(p, key_file, secret));
}

/* The text is in the data file, its log or its index. */
static bool on_disk(const place *p, const char *text)
{
    static const char *const suffixes[] = {"", "-wal", "-index", "-index-wal"};
    bool found = false;

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !found; i++) {
        char path[800];
        size_t len;
        snprintf(path, sizeof path, "%s%s", p->path, suffixes[i]);
        if (access(path, R_OK) != 0)
            continue;
        uint8_t *bytes = tu_read_file(path, &len);
        found = memmem(bytes, len, text, strlen(text)) != NULL;
        free(bytes);
    }
    return found;
}

static void device_text(const place *p, char out[EID_PUBKEY_TEXT_SIZE])
{
    eid_keypair_format(p->f.instance->device, out);
}

static void protected_from_the_start(void **state)
{
    place *p = *state;
    char device[EID_PUBKEY_TEXT_SIZE], named[EID_PUBKEY_TEXT_SIZE], root[EID_PUBKEY_TEXT_SIZE],
        added[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey before, after, key;
    eid_keypair *pair;
    eid_user *alice;

    tu_assert_ok(try_open(p, p->key_file, NULL));
    assert_true(eid_instance_is_protected(p->f.instance));
    device_text(p, device);
    eid_instance_device_pubkey(p->f.instance, &before);
    tu_assert_ok(eid_instance_add_private_key(p->f.instance, "mine", NULL));
    tu_assert_ok(eid_instance_copy_private_key(p->f.instance, "mine", &pair));
    eid_keypair_format(pair, named);
    eid_keypair_free(pair);
    alice = login(&p->f, "alice");
    eid_keypair_format(eid_user_default_keypair(alice), root);
    tu_assert_ok(eid_user_add_private_key(alice, "more", &key));
    tu_assert_ok(eid_user_export_private_key(alice, &key, &pair));
    eid_keypair_format(pair, added);
    eid_keypair_free(pair);
    eid_user_logout(alice);
    for (int round = 0; round < 2; round++) {
        assert_false(on_disk(p, device) || on_disk(p, named) || on_disk(p, root) || on_disk(p, added));
        close_it(p);
        if (round == 0)
            tu_assert_ok(try_open(p, p->key_file, NULL));
    }
    tu_assert_ok(try_open(p, p->key_file, NULL));
    eid_instance_device_pubkey(p->f.instance, &after);
    assert_true(eid_pubkey_equal(&before, &after));
    alice = login(&p->f, "alice");
    assert_non_null(eid_session_find_key(alice, &key));
    eid_user_logout(alice);
    tu_assert_ok(eid_instance_get_public_key(p->f.instance, "mine", &key));
}

static void without_protection_the_keys_are_there(void **state)
{
    place *p = *state;
    char device[EID_PUBKEY_TEXT_SIZE];

    tu_assert_ok(try_open(p, NULL, NULL));
    device_text(p, device);
    tu_assert_ok(eid_instance_flush(p->f.instance));
    assert_true(on_disk(p, device)); /* so the other tests look in the right place */
    assert_false(eid_instance_is_protected(p->f.instance));
}

static void wrong_and_missing_secrets(void **state)
{
    place *p = *state;

    tu_assert_ok(try_open(p, NULL, "correct horse"));
    close_it(p);
    tu_assert_fails(try_open(p, NULL, NULL), EID_ERR_SECRET_REQUIRED);
    tu_assert_fails(try_open(p, NULL, "battery staple"), EID_ERR_WRONG_SECRET);
    tu_assert_fails(try_open(p, p->key_file, NULL), EID_ERR_WRONG_SECRET);
    tu_assert_fails(try_open(p, p->key_file, "correct horse"), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(try_open(p, NULL, ""), EID_ERR_INVALID_ARGUMENT);
    assert_null(p->f.instance);
    tu_assert_ok(try_open(p, NULL, "correct horse"));
}

static void a_secret_for_an_open_instance_is_no_protection(void **state)
{
    place *p = *state;

    tu_assert_ok(try_open(p, NULL, NULL));
    close_it(p);
    tu_assert_fails(try_open(p, NULL, "secret"), EID_ERR_CONFLICT);
    tu_assert_fails(try_open(p, p->key_file, NULL), EID_ERR_CONFLICT);
    tu_assert_ok(try_open(p, NULL, NULL));
}

static void key_files_are_looked_at(void **state)
{
    place *p = *state;
    char *missing = tu_path(p->dir, "missing"), *empty = tu_path(p->dir, "empty"), *large = tu_path(p->dir, "large");
    char *bytes = calloc(1, EID_LIMIT_SECRET + 1);
    struct stat about;

    assert_int_equal(stat(p->key_file, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    tu_assert_fails(eid_key_file_create(p->key_file), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(try_open(p, NULL, NULL));
    tu_assert_fails(eid_instance_protect(p->f.instance, missing, NULL, 0), EID_ERR_NOT_FOUND);
    tu_write_file(empty, "", 0);
    assert_int_equal(chmod(empty, 0600), 0);
    tu_assert_fails(eid_instance_protect(p->f.instance, empty, NULL, 0), EID_ERR_INVALID_ARGUMENT);
    tu_write_file(large, bytes, EID_LIMIT_SECRET + 1);
    assert_int_equal(chmod(large, 0600), 0);
    tu_assert_fails(eid_instance_protect(p->f.instance, large, NULL, 0), EID_ERR_LIMIT);
    tu_assert_fails(eid_instance_protect(p->f.instance, NULL, bytes, EID_LIMIT_SECRET + 1), EID_ERR_LIMIT);
    tu_assert_fails(eid_instance_protect(p->f.instance, p->dir, NULL, 0), EID_ERR_INVALID_ARGUMENT);
    assert_int_equal(chmod(p->key_file, 0640), 0);
    tu_assert_fails(eid_instance_protect(p->f.instance, p->key_file, NULL, 0), EID_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(eid_last_error(), "chmod 600"));
    tu_assert_fails(eid_instance_protect(p->f.instance, NULL, NULL, 0), EID_ERR_INVALID_ARGUMENT);
    assert_false(eid_instance_is_protected(p->f.instance));
    reopen(p, NULL, NULL);
    free(missing);
    free(empty);
    free(large);
    free(bytes);
}

/* Added later: what the file held before is overwritten. */
static void protection_is_added(void **state)
{
    place *p = *state;
    char device[EID_PUBKEY_TEXT_SIZE], named[EID_PUBKEY_TEXT_SIZE];
    eid_keypair *pair;

    tu_assert_ok(try_open(p, NULL, NULL));
    tu_assert_ok(eid_instance_add_private_key(p->f.instance, "mine", NULL));
    tu_assert_ok(eid_instance_copy_private_key(p->f.instance, "mine", &pair));
    eid_keypair_format(pair, named);
    eid_keypair_free(pair);
    device_text(p, device);
    tu_assert_ok(eid_instance_flush(p->f.instance));
    assert_true(on_disk(p, device) && on_disk(p, named));
    tu_assert_ok(eid_instance_protect(p->f.instance, p->key_file, NULL, 0));
    assert_true(eid_instance_is_protected(p->f.instance));
    assert_false(on_disk(p, device) || on_disk(p, named));
    close_it(p);
    assert_false(on_disk(p, device) || on_disk(p, named));
    tu_assert_fails(try_open(p, NULL, NULL), EID_ERR_SECRET_REQUIRED);
    tu_assert_ok(try_open(p, p->key_file, NULL));
}

static void protection_is_changed_and_removed(void **state)
{
    place *p = *state;
    eid_pubkey before, after;
    eid_user *alice, *bob;

    tu_assert_ok(try_open(p, p->key_file, NULL));
    eid_instance_device_pubkey(p->f.instance, &before);
    alice = login(&p->f, "alice");
    eid_user_logout(alice);
    tu_assert_ok(eid_instance_protect(p->f.instance, p->other_file, NULL, 0));
    close_it(p);
    tu_assert_fails(try_open(p, p->key_file, NULL), EID_ERR_WRONG_SECRET);
    tu_assert_ok(try_open(p, p->other_file, NULL));
    tu_assert_ok(eid_instance_protect(p->f.instance, NULL, "a secret of the environment", 27));
    reopen(p, NULL, "a secret of the environment");

    /* Without protection, keys from its time still open, and new ones stand in clear. */
    tu_assert_ok(eid_instance_unprotect(p->f.instance));
    tu_assert_ok(eid_instance_unprotect(p->f.instance));
    assert_false(eid_instance_is_protected(p->f.instance));
    reopen(p, NULL, NULL);
    eid_instance_device_pubkey(p->f.instance, &after);
    assert_true(eid_pubkey_equal(&before, &after));
    alice = login(&p->f, "alice");
    tu_assert_ok(eid_user_add_private_key(alice, "in clear", NULL));
    eid_user_logout(alice);
    bob = login(&p->f, "bob");
    eid_user_logout(bob);

    /* And once more, with both kinds of rows. */
    tu_assert_ok(eid_instance_protect(p->f.instance, p->key_file, NULL, 0));
    reopen(p, p->key_file, NULL);
    alice = login(&p->f, "alice");
    assert_non_null(eid_session_key_at(alice, 1));
    eid_user_logout(alice);
    eid_user_logout(login(&p->f, "bob"));
}

static bool root_is_encrypted(place *p, const char *name)
{
    char uuid[EID_UUID_TEXT_SIZE];
    eid_user_record record;

    tu_assert_ok(eid_user_find(p->f.instance, name, uuid));
    tu_assert_ok(eid_user_record_load(p->f.instance, uuid, &record));
    bool encrypted = record.root_key.encrypted;
    eid_user_record_free(&record);
    return encrypted;
}

/* Passwords and the instance's secret side by side: each user's keys are under one of them. */
static void users_with_and_without_password(void **state)
{
    place *p = *state;
    eid_user *alice, *none = NULL;

    tu_assert_ok(try_open(p, NULL, NULL));
    alice = login(&p->f, "alice");
    assert_false(root_is_encrypted(p, "alice"));
    tu_assert_ok(eid_instance_protect(p->f.instance, NULL, "secret", 6));
    /* A key added now is encrypted; the root key is when its record is written anew. */
    tu_assert_ok(eid_user_add_private_key(alice, "new", NULL));
    assert_false(root_is_encrypted(p, "alice"));
    tu_assert_ok(eid_user_change_password(alice, NULL, NULL));
    assert_true(root_is_encrypted(p, "alice"));
    tu_assert_ok(eid_user_change_password(alice, NULL, "pw"));
    eid_user_logout(alice);
    tu_assert_fails(eid_instance_login_user(p->f.instance, "alice", NULL, &none), EID_ERR_PASSWORD_REQUIRED);
    reopen(p, NULL, "secret");
    tu_assert_ok(eid_instance_login_user(p->f.instance, "alice", "pw", &alice));
    tu_assert_ok(eid_user_change_password(alice, "pw", NULL));
    assert_true(root_is_encrypted(p, "alice"));
    eid_user_logout(alice);
    reopen(p, NULL, "secret");
    tu_assert_ok(eid_instance_login_user(p->f.instance, "alice", NULL, &alice));
    assert_non_null(eid_session_key_at(alice, 1));
    /* Logged in without one, a password says no more than for anybody else. */
    tu_assert_fails(eid_instance_login_user(p->f.instance, "alice", "pw", &none), EID_ERR_INVALID_PASSWORD);
    eid_user_logout(alice);
}

/* What was removed is gone from the record; what is left can be read. */
static void removed_named_keys_are_gone(void **state)
{
    place *p = *state;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_keypair *pair;

    tu_assert_ok(try_open(p, NULL, NULL));
    tu_assert_ok(eid_instance_add_private_key(p->f.instance, "mine", NULL));
    tu_assert_ok(eid_instance_copy_private_key(p->f.instance, "mine", &pair));
    eid_keypair_format(pair, text);
    eid_keypair_free(pair);
    tu_assert_ok(eid_instance_flush(p->f.instance));
    assert_true(on_disk(p, text));
    tu_assert_ok(eid_instance_remove_private_key(p->f.instance, "mine"));
    tu_assert_ok(eid_instance_flush(p->f.instance));
    assert_false(on_disk(p, text));
    reopen(p, NULL, NULL);
    tu_assert_fails(eid_instance_copy_private_key(p->f.instance, "mine", &pair), EID_ERR_PRIVATE_KEY_NOT_FOUND);
}

/* Every call of the engine fails in turn: the instance is protected as before or as wished, and opens accordingly. */
static void failures_in_between(void **state)
{
    place *p = *state;
    uint64_t failures = 0;

    tu_assert_ok(try_open(p, NULL, "first"));
    for (;;) {
        eid_sql *sql = eid_storage_sql(eid_core_storage(p->f.instance->core));
        eid_sql_fail_after(sql, failures + 1);
        eid_status status = eid_instance_protect(p->f.instance, NULL, "second", 6);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        failures++;
        reopen(p, NULL, "first");
        assert_true(failures < 100);
    }
    print_message("protecting survived %llu failures of the storage\n", (unsigned long long)failures);
    assert_true(failures >= 3);
    close_it(p);
    tu_assert_fails(try_open(p, NULL, "first"), EID_ERR_WRONG_SECRET);
    tu_assert_ok(try_open(p, NULL, "second"));
}

static eid_status protect_once(void *ctx)
{
    place *p = ctx;
    eid_status status = try_open(p, NULL, NULL);

    if (status == EID_OK)
        status = eid_instance_add_private_key(p->f.instance, "mine", NULL);
    if (status == EID_OK)
        status = eid_instance_protect(p->f.instance, p->key_file, NULL, 0);
    if (status == EID_OK)
        status = eid_instance_unprotect(p->f.instance);
    close_it(p);
    return status;
}

static void short_memory(void **state)
{
    place *p = *state;

    strcpy(p->url, "memory:");
    assert_true(tu_alloc_fault_loop(protect_once, p) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(protected_from_the_start),
        WITH_PLACE(without_protection_the_keys_are_there),
        WITH_PLACE(wrong_and_missing_secrets),
        WITH_PLACE(a_secret_for_an_open_instance_is_no_protection),
        WITH_PLACE(key_files_are_looked_at),
        WITH_PLACE(protection_is_added),
        WITH_PLACE(protection_is_changed_and_removed),
        WITH_PLACE(users_with_and_without_password),
        WITH_PLACE(removed_named_keys_are_gone),
        WITH_PLACE(failures_in_between),
        WITH_PLACE(short_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
