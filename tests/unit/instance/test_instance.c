/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: creating, opening again, one process at a time, files that can not be used, damaged metadata. */
#include "instance/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <eidetica/memory.h>

#include "support/testutil.h"

typedef struct place {
    char *dir;
    char url[512];
    char path[500];
} place;

static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);

    p->dir = tu_temp_dir();
    snprintf(p->path, sizeof p->path, "%s/notes.db", p->dir);
    snprintf(p->url, sizeof p->url, "sqlite:%s", p->path);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;

    tu_temp_dir_remove(p->dir);
    free(p);
    return 0;
}

static eid_instance *open_url(const char *url)
{
    eid_instance *instance;

    tu_assert_ok(eid_instance_open_url(url, &instance));
    return instance;
}

/* ---- New instances ---- */

static void assert_setting(eid_instance *instance, const eid_id *id, const char *path, const char *wanted)
{
    eid_database *database;
    eid_value *value;
    const char *text;

    tu_assert_ok(eid_database_open(instance, id, &database));
    tu_assert_ok(eid_database_get(database, "_settings", path, &value));
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_string_equal(text, wanted);
    eid_value_free(value);
    eid_database_close(database);
}

/* Feature 10 */
static void a_new_instance_has_its_system_databases(void **state)
{
    eid_instance *instance = open_url("memory:");
    eid_pubkey device;
    eid_id *ids;
    size_t count;

    (void)state;
    tu_assert_ok(eid_instance_list_databases(instance, &ids, &count));
    assert_int_equal(count, 2);
    assert_setting(instance, &ids[0], "name", "_users");
    assert_setting(instance, &ids[0], "type", "system");
    assert_setting(instance, &ids[0], "description", "User directory database");
    assert_setting(instance, &ids[1], "name", "_databases");
    assert_setting(instance, &ids[1], "type", "system");
    assert_setting(instance, &ids[1], "description", "Database tracking and registry");
    eid_instance_device_pubkey(instance, &device);
    for (size_t i = 0; i < count; i++) {
        eid_auth_settings *auth;
        assert_true(eid_instance_is_system_database(instance, &ids[i]));
        assert_true(eid_instance_is_private_database(instance, &ids[i]));
        tu_assert_ok(eid_core_auth(eid_instance_core(instance), &ids[i], &auth));
        assert_int_equal(eid_auth_settings_key_count(auth), 1);
        assert_int_equal(eid_auth_settings_find(auth, &device)->permission.kind, EID_PERM_ADMIN);
        eid_auth_settings_unref(auth);
    }
    eid_id none = {0};
    assert_false(eid_instance_is_system_database(instance, &none));
    eid_free(ids);
    eid_instance_close(instance);
    eid_instance_close(NULL);
}

/* Feature 10 */
static void an_instance_is_there_again(void **state)
{
    place *p = *state;
    eid_instance *instance = open_url(p->url);
    eid_pubkey before, after;
    eid_id *first, *second;
    size_t first_count, second_count;
    struct stat info;

    eid_instance_device_pubkey(instance, &before);
    tu_assert_ok(eid_instance_list_databases(instance, &first, &first_count));
    tu_assert_ok(eid_instance_flush(instance));
    eid_instance_close(instance);
    assert_int_equal(stat(p->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    options.must_exist = true;
    options.durability = EID_DURABILITY_FULL;
    tu_assert_ok(eid_instance_open_url_with(p->url, &options, &instance));
    eid_instance_device_pubkey(instance, &after);
    assert_true(eid_pubkey_equal(&before, &after));
    tu_assert_ok(eid_instance_list_databases(instance, &second, &second_count));
    assert_int_equal(first_count, second_count);
    assert_true(eid_id_equal(&first[0], &second[0]) && eid_id_equal(&first[1], &second[1]));
    eid_free(first);
    eid_free(second);
    eid_instance_close(instance);
}

/* Feature 9 */
static void memory_ends_with_the_instance(void **state)
{
    eid_instance *instance = open_url("memory:"), *other = open_url("memory:");
    eid_pubkey first, second;
    eid_user *user;

    (void)state;
    tu_assert_ok(eid_instance_create_user(instance, "alice", NULL));
    eid_instance_device_pubkey(instance, &first);
    eid_instance_device_pubkey(other, &second);
    assert_false(eid_pubkey_equal(&first, &second)); /* each is alone */
    tu_assert_fails(eid_instance_login_user(other, "alice", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    eid_instance_close(other);
    eid_instance_close(instance);
    instance = open_url("memory:");
    tu_assert_fails(eid_instance_login_user(instance, "alice", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    eid_instance_close(instance);
}

static uint64_t fixed_clock(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void options_are_used(void **state)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    uint64_t now = 1700000000123;
    uint8_t seed[32] = {5};
    eid_pubkey wanted, found;
    eid_keypair *key;
    eid_instance *instance;

    (void)state;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    eid_keypair_public(key, &wanted);
    options.device_key = key;
    options.now_ms = fixed_clock;
    options.clock_ctx = &now;
    tu_assert_ok(eid_instance_open_url_with("memory:", &options, &instance));
    eid_keypair_free(key);
    eid_instance_device_pubkey(instance, &found);
    assert_true(eid_pubkey_equal(&wanted, &found));
    eid_keypair_public(eid_instance_device_key(instance), &found);
    assert_true(eid_pubkey_equal(&wanted, &found));
    assert_true(eid_clock_now_ms(eid_instance_clock(instance)) == now);
    eid_instance_close(instance);

    /* Options of a program that knows only the first field mean the defaults for the rest. */
    options.struct_size = sizeof options.struct_size;
    tu_assert_ok(eid_instance_open_url_with("memory:", &options, &instance));
    assert_true(eid_clock_now_ms(eid_instance_clock(instance)) != now);
    eid_instance_close(instance);
}

static void what_must_exist_is_not_made(void **state)
{
    place *p = *state;
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    eid_instance *instance = NULL;

    options.must_exist = true;
    tu_assert_fails(eid_instance_open_url_with(p->url, &options, &instance), EID_ERR_NOT_INITIALIZED);
    assert_int_equal(access(p->path, F_OK), -1);
    tu_assert_fails(eid_instance_open_url_with("memory:", &options, &instance), EID_ERR_NOT_INITIALIZED);
    assert_null(instance);
}

/* ---- Files that can not be used ---- */

static void one_instance_at_a_time(void **state)
{
    place *p = *state;
    eid_instance *instance = open_url(p->url), *second = NULL;

    tu_assert_fails(eid_instance_open_url(p->url, &second), EID_ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(eid_last_error(), "notes.db"));

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(eid_instance_open_url(p->url, &second) == EID_ERR_BUSY &&
                      strstr(eid_last_error(), "notes.db") != NULL
                  ? 0
                  : 1);
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);

    eid_instance_close(instance);
    eid_instance_close(open_url(p->url));
}

static void one_sentence(eid_status status, eid_status wanted, eid_status or_wanted, const char *names)
{
    if (status != wanted && status != or_wanted)
        fail_msg("%s: %s", eid_status_name(status), eid_last_error());
    if (strstr(eid_last_error(), names) == NULL || strchr(eid_last_error(), '\n') != NULL)
        fail_msg("not one sentence that names %s: %s", names, eid_last_error());
}

static void unusable_places_give_one_sentence(void **state)
{
    place *p = *state;
    eid_instance *instance = NULL;
    char url[600];

    snprintf(url, sizeof url, "sqlite:%s/missing/notes.db", p->dir);
    one_sentence(eid_instance_open_url(url, &instance), EID_ERR_READ_ONLY, EID_ERR_IO, "missing/notes.db");
    snprintf(url, sizeof url, "sqlite:%s", p->dir);
    one_sentence(eid_instance_open_url(url, &instance), EID_ERR_READ_ONLY, EID_ERR_IO, p->dir);
    /* Nobody can create files there, not even the superuser. */
    one_sentence(eid_instance_open_url("sqlite:/proc/notes.db", &instance), EID_ERR_READ_ONLY, EID_ERR_IO,
                 "/proc/notes.db");
    assert_null(instance);
    if (geteuid() == 0) {
        print_message("skipped the directory without write permission: the superuser may write everywhere\n");
        return;
    }
    assert_int_equal(chmod(p->dir, 0500), 0);
    one_sentence(eid_instance_open_url(p->url, &instance), EID_ERR_READ_ONLY, EID_ERR_IO, "notes.db");
    assert_int_equal(chmod(p->dir, 0700), 0);
}

static void other_files_are_refused(void **state)
{
    place *p = *state;
    eid_instance *instance = NULL;
    const char *text =
        "this is a letter to my grandmother, and no data file; it is longer than a header of SQLite would "
        "be, so that nothing depends on its length";
    uint8_t *data;
    size_t len;

    tu_write_file(p->path, text, strlen(text));
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_CORRUPT);
    assert_null(instance);
    data = tu_read_file(p->path, &len);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(data, text, len);
    free(data);
}

/* ---- Metadata ---- */

static void put_meta(const place *p, const char *key, const char *value)
{
    eid_core_options options = {.path = p->path, .clock = eid_clock_system};
    eid_core *core;
    eid_storage *storage;

    tu_assert_ok(eid_core_open(&options, &core));
    storage = eid_core_storage(core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_storage_meta_set(storage, key, eid_slice_text(value)));
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
    eid_core_close(core);
}

/* Feature W22 */
static void an_interrupted_creation_is_begun_anew(void **state)
{
    place *p = *state;
    eid_instance *instance;
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    eid_pubkey device;

    /* Secrets, but no metadata: the crash came in between. */
    put_meta(p, "instance_secrets",
             "{\"signing_key\":\"ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}");
    options.must_exist = true;
    tu_assert_fails(eid_instance_open_url_with(p->url, &options, &instance), EID_ERR_NOT_INITIALIZED);
    instance = open_url(p->url);
    eid_instance_device_pubkey(instance, &device);
    eid_instance_close(instance);
    instance = open_url(p->url);
    eid_pubkey again;
    eid_instance_device_pubkey(instance, &again);
    assert_true(eid_pubkey_equal(&device, &again));
    eid_instance_close(instance);
}

static void damaged_metadata_is_told(void **state)
{
    place *p = *state;
    eid_instance *instance = NULL;

    eid_instance_close(open_url(p->url));
    put_meta(p, "instance_secrets",
             "{\"signing_key\":\"ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}");
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_CORRUPT);
    put_meta(p, "instance_secrets", "{}");
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_MISSING_FIELD);
    put_meta(p, "instance_metadata", "nonsense");
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_SYNTAX);
    assert_null(instance);
}

static void lost_secrets_are_told(void **state)
{
    place *p = *state;
    eid_instance *instance = NULL;

    put_meta(
        p, "instance_metadata",
        "{\"id\":\"ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\","
        "\"users_db\":\"bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm\","
        "\"databases_db\":\"bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm\",\"sync_db\":null}");
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_CORRUPT);
    assert_non_null(strstr(eid_last_error(), "device key"));
}

static void the_sync_database_is_remembered(void **state)
{
    place *p = *state;
    eid_instance *instance = open_url(p->url);
    eid_id id, found;

    tu_assert_ok(eid_id_parse("bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm", &id));
    tu_assert_ok(eid_instance_get_sync_db(instance, &found));
    assert_true(eid_id_is_empty(&found));
    assert_false(eid_instance_is_system_database(instance, &id));
    tu_assert_ok(eid_instance_set_sync_db(instance, &id));
    eid_instance_close(instance);

    instance = open_url(p->url);
    tu_assert_ok(eid_instance_get_sync_db(instance, &found));
    assert_true(eid_id_equal(&id, &found));
    assert_true(eid_instance_is_system_database(instance, &id));
    eid_instance_close(instance);
}

/* ---- Sync hangs on the instance ---- */

static int closed_syncs;

static void close_sync(eid_sync *sync)
{
    assert_ptr_equal(sync, &closed_syncs);
    closed_syncs++;
}

static void sync_is_closed_with_the_instance(void **state)
{
    eid_instance *instance = open_url("memory:");

    (void)state;
    closed_syncs = 0;
    assert_null(eid_instance_attached_sync(instance));
    eid_instance_attach_sync(instance, (eid_sync *)(void *)&closed_syncs, close_sync);
    assert_ptr_equal(eid_instance_attached_sync(instance), &closed_syncs);
    eid_instance_close(instance);
    assert_int_equal(closed_syncs, 1);
}

static void reading_handles_can_not_write(void **state)
{
    eid_instance *instance = open_url("memory:");
    eid_database *database;
    eid_permission permission;
    eid_txn *txn;
    eid_id *ids, unknown;
    size_t count;

    (void)state;
    tu_assert_ok(eid_instance_list_databases(instance, &ids, &count));
    tu_assert_ok(eid_database_open(instance, &ids[1], &database));
    assert_ptr_equal(eid_database_instance(database), instance);
    assert_true(eid_id_equal(eid_database_root_id(database), &ids[1]));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 1));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_AUTH_REQUIRED);
    tu_assert_fails(eid_database_current_permission(database, &permission), EID_ERR_AUTH_REQUIRED);
    eid_database_close(database);
    tu_assert_ok(eid_id_parse("bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm", &unknown));
    tu_assert_fails(eid_database_open(instance, &unknown, &database), EID_ERR_DATABASE_NOT_FOUND);
    eid_free(ids);
    eid_instance_close(instance);
}

/* ---- Short memory ---- */

static eid_status open_and_close(void *ctx)
{
    eid_instance *instance;

    EID_TRY(eid_instance_open_url(ctx, &instance));
    eid_instance_close(instance);
    return EID_OK;
}

static void opening_survives_short_memory(void **state)
{
    place *p = *state;

    (void)tu_alloc_fault_loop(open_and_close, (void *)(uintptr_t) "memory:");
    eid_instance_close(open_url(p->url));
    assert_true(tu_alloc_fault_loop(open_and_close, p->url) > 10);
}

int main(void)
{
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_instance_has_its_system_databases),
        WITH_PLACE(an_instance_is_there_again),
        cmocka_unit_test(memory_ends_with_the_instance),
        cmocka_unit_test(options_are_used),
        WITH_PLACE(what_must_exist_is_not_made),
        WITH_PLACE(one_instance_at_a_time),
        WITH_PLACE(unusable_places_give_one_sentence),
        WITH_PLACE(other_files_are_refused),
        WITH_PLACE(an_interrupted_creation_is_begun_anew),
        WITH_PLACE(damaged_metadata_is_told),
        WITH_PLACE(lost_secrets_are_told),
        WITH_PLACE(the_sync_database_is_remembered),
        cmocka_unit_test(sync_is_closed_with_the_instance),
        cmocka_unit_test(reading_handles_can_not_write),
        WITH_PLACE(opening_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
