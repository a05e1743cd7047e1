/* SPDX-License-Identifier: Apache-2.0 */
/* Preferences when things go wrong: storage and memory that fail at any point of a change, rows that another
 * program wrote or damaged, calls that name what is not there. Their meaning is shown in test_features_f.c,
 * their threads in test_tracked.c. */
#include "features.h"

#include "instance/instance_int.h"
#include "instance/records.h"

/* ---- Changes ---- */

/* Alice's database, in which Bob may write; sync is on. */
typedef struct stage {
    fixture *f;
    eid_sync *sync;
    eid_user *alice, *bob;
    eid_database *notes;
    eid_database_preferences wanted;
} stage;

static stage stage_open(fixture *f)
{
    stage s = {.f = f, .sync = sync_on(f), .alice = login(f, "alice"), .bob = login(f, "bob")};

    s.notes = create(s.alice, "notes");
    grant(s.notes, s.bob, (eid_permission){EID_PERM_WRITE, 10});
    s.wanted = prefs_of(s.notes);
    s.wanted.sync_settings.sync_enabled = true;
    s.wanted.sync_settings.interval_seconds = 60;
    tu_assert_ok(eid_sync_settings_set_property(&s.wanted.sync_settings, "color", "red"));
    return s;
}

static void stage_close(stage *s)
{
    eid_database_preferences_clear(&s->wanted);
    eid_database_close(s->notes);
    eid_user_logout(s->alice);
    eid_user_logout(s->bob);
}

/* All that can be seen of Bob's preferences: his list, his private database's length, what sync makes of it,
 * what opens. */
static char *picture(stage *s)
{
    eid_database_preferences *list;
    eid_sync_settings combined;
    eid_database *private_database, *opened;
    size_t count;
    eid_buf text;
    char *copy;

    eid_buf_init(&text, 1 << 16);
    tu_assert_ok(eid_user_list_database_prefs(s->bob, &list, &count));
    for (size_t i = 0; i < count; i++) {
        eid_preferences_write(&text, &list[i]);
        eid_buf_appendf(&text, " %lld\n", (long long)list[i].added_at);
    }
    eid_database_preferences_free(list, count);
    tu_assert_ok(eid_user_private_database(s->bob, &private_database));
    eid_buf_appendf(&text, "%llu entries ", (unsigned long long)entries_of(private_database));
    tu_assert_ok(eid_sync_combined_settings(s->sync, &s->wanted.database_id, &combined));
    eid_sync_settings_write(&text, &combined);
    eid_sync_settings_clear(&combined);
    eid_status status = eid_user_open_database(s->bob, &s->wanted.database_id, &opened);
    if (status == EID_OK)
        eid_database_close(opened);
    eid_buf_append_text(&text, eid_status_name(status));
    tu_assert_ok(eid_buf_status(&text));
    copy = strdup((const char *)text.data);
    eid_buf_free(&text);
    return copy;
}

typedef eid_status (*change_call)(stage *s);

static eid_status add(stage *s)
{
    return eid_user_add_database(s->bob, &s->wanted);
}

static eid_status change(stage *s)
{
    s->wanted.sync_settings.sync_on_commit = true;
    return eid_user_set_prefs(s->bob, &s->wanted);
}

static eid_status disable(stage *s)
{
    return eid_user_disable_sync(s->bob, &s->wanted.database_id);
}

static eid_status enable(stage *s)
{
    return eid_user_enable_sync(s->bob, &s->wanted.database_id);
}

static eid_status take_out(stage *s)
{
    return eid_user_remove_database(s->bob, &s->wanted.database_id);
}

static const change_call changes[] = {add, change, disable, enable, take_out};

/* Every call of the storage fails in turn. What the private database did not take is not seen anywhere; a
 * failure behind it, when sync writes down what it has been told, is none of the call, and what sync then
 * does not know it learns from the next change. */
static void failing_storage_changes_nothing(void **state)
{
    stage s = stage_open(*state);
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(s.f->instance)));

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint64_t failures = 0;
        char *before = picture(&s);
        for (;;) {
            eid_sql_fail_after(sql, failures + 1);
            eid_status status = changes[i](&s);
            eid_sql_fail_after(sql, 0);
            if (status == EID_OK)
                break;
            failures++;
            char *now = picture(&s);
            assert_string_equal(now, before);
            free(now);
            assert_true(failures < 1000);
        }
        char *after = picture(&s);
        assert_string_not_equal(after, before);
        free(after);
        free(before);
        print_message("change %zu survived %llu failures of the storage\n", i, (unsigned long long)failures);
        assert_true(failures > 3);
    }
    stage_close(&s);
}

static eid_status all_changes(void *ctx)
{
    stage *s = ctx;

    s->wanted.sync_settings.sync_on_commit = false;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        EID_TRY(changes[i](s));
    return EID_OK;
}

/* Wherever memory ends, the call says so, and all of it works afterwards. */
static void short_memory_is_told(void **state)
{
    fixture *f = *state;
    size_t refused = 0;

    eid_instance_close(f->instance);
    tu_alloc_install(); /* opened inside, so that all it holds is counted */
    fixture_open_url(f, "memory:");
    stage s = stage_open(f);
    tu_assert_ok(all_changes(&s));
    for (size_t n = 1; n < 5000; n += 7) {
        eid_database_preferences found;
        tu_alloc_fail_at(n);
        eid_status status = all_changes(&s);
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        if (!fired)
            break;
        assert_true(status == EID_ERR_NO_MEMORY || status == EID_OK);
        refused += status == EID_ERR_NO_MEMORY;
        status = eid_user_database_prefs(s.bob, &s.wanted.database_id, &found);
        if (status == EID_OK) { /* it stopped on the way: a whole row, never a part of one */
            assert_string_equal(eid_sync_settings_get_property(&found.sync_settings, "color"), "red");
            assert_int_equal(found.sync_settings.interval_seconds, 60);
            eid_database_preferences_clear(&found);
            tu_assert_ok(take_out(&s));
        } else {
            assert_int_equal(status, EID_ERR_DATABASE_NOT_TRACKED);
        }
    }
    print_message("%zu refusals\n", refused);
    assert_true(refused > 50);
    s.wanted.sync_settings.sync_on_commit = false;
    tu_assert_ok(add(&s));
    assert_combined(s.sync, s.notes, true, false, 60);
    stage_close(&s);
    eid_instance_close(f->instance);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    fixture_open_url(f, "memory:");
}

/* ---- Rows ---- */

static void put_row(eid_user *user, const char *store, const char *key, const char *row)
{
    eid_database *private_database;
    eid_txn *txn;

    tu_assert_ok(eid_user_private_database(user, &private_database));
    tu_assert_ok(eid_database_new_transaction(private_database, &txn));
    tu_assert_ok(eid_table_set(txn, store, key, row));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

#define ID  "bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm"
#define KEY "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define OFF "{\"sync_enabled\":false,\"sync_on_commit\":false,\"interval_seconds\":null,\"properties\":{}}"

/* A row that can not be read is left out, costs the others nothing, and can be taken away and made anew. */
static void rows_that_are_none(void **state)
{
    static const char *const rows[] = {
        "null",
        "[]",
        "{}",
        "{\"database_id\":\"" ID "\"}",
        "{\"database_id\":\"\",\"key_id\":\"" KEY "\",\"sync_settings\":" OFF "}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"ed25519:x\",\"sync_settings\":" OFF "}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY "\",\"sync_settings\":{}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":1,\"sync_on_commit\":false}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":true,"
        "\"interval_seconds\":-1}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":true,"
        "\"interval_seconds\":18446744073709551616}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":true,"
        "\"properties\":{\"a\":1}}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":true,"
        "\"properties\":{\"a\\u0000b\":\"c\"}}}",
        "{\"database_id\":\"" ID "\",\"key_id\":\"" KEY "\",\"sync_settings\":" OFF
        "}", /* another database than it stands for */
        "{\"database_id\":\"" ID "\",\"database_id\":\"" ID "\",\"key_id\":\"" KEY "\",\"sync_settings\":" OFF
        "}",
    };
    stage s = stage_open(*state);
    eid_database *other = create(s.bob, "other");
    eid_database_preferences *list, found;
    char id[EID_ID_TEXT_SIZE];
    size_t count;

    eid_id_format(&s.wanted.database_id, id);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tu_assert_ok(add(&s));
        put_row(s.bob, EID_STORE_DATABASES, id, rows[i]);
        tu_assert_ok(eid_user_list_database_prefs(s.bob, &list, &count));
        if (count != 1)
            fail_msg("row %zu was taken", i);
        assert_true(eid_id_equal(&list[0].database_id, eid_database_root_id(other)));
        eid_database_preferences_free(list, count);
        assert_int_not_equal(eid_user_database_prefs(s.bob, &s.wanted.database_id, &found), EID_OK);
        assert_false(eid_user_is_sync_enabled(s.bob, &s.wanted.database_id));
        assert_int_not_equal(enable(&s), EID_OK);
        assert_int_not_equal(change(&s), EID_OK); /* what it said is not written over unseen */
        tu_assert_ok(eid_user_enable_sync(s.bob, eid_database_root_id(other)));
        tu_assert_ok(eid_user_disable_sync(s.bob, eid_database_root_id(other)));
        tu_assert_ok(take_out(&s));
    }
    tu_assert_ok(add(&s));
    tu_assert_ok(eid_user_database_prefs(s.bob, &s.wanted.database_id, &found));
    eid_database_preferences_clear(&found);
    eid_database_close(other);
    stage_close(&s);
}

/* Rows of another program that say odd things in the right form. */
static void rows_that_say_odd_things(void **state)
{
    stage s = stage_open(*state);
    eid_database_preferences found;
    eid_database *opened;
    char id[EID_ID_TEXT_SIZE], row[1024], text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey key;

    eid_id_format(&s.wanted.database_id, id);
    eid_user_get_default_key(s.bob, &key);
    eid_pubkey_format(&key, text);
    /* Somebody else's key, unknown fields, the largest period. */
    snprintf(row, sizeof row,
             "{\"x\":[{}],\"database_id\":\"%s\",\"key_id\":\"" KEY
             "\",\"sync_settings\":{\"sync_enabled\":true,"
             "\"sync_on_commit\":false,\"interval_seconds\":18446744073709551615,\"properties\":{\"a\":"
             "\"\\u0001\"}}}",
             id);
    put_row(s.bob, EID_STORE_DATABASES, id, row);
    tu_assert_ok(eid_user_database_prefs(s.bob, &s.wanted.database_id, &found));
    assert_true(found.sync_settings.interval_seconds == UINT64_MAX);
    eid_database_preferences_clear(&found);
    tu_assert_fails(eid_user_open_database(s.bob, &s.wanted.database_id, &opened),
                    EID_ERR_NO_KEY_FOR_DATABASE);
    /* Asked for with one of the user's own, it is his. */
    s.wanted.key_id = key;
    tu_assert_ok(eid_user_set_prefs(s.bob, &s.wanted));
    assert_combined(s.sync, s.notes, true, false, 60);
    tu_assert_ok(eid_user_open_database(s.bob, &s.wanted.database_id, &opened));
    tu_assert_ok(try_to_write(opened, "page"));
    eid_database_close(opened);
    stage_close(&s);
}

/* When it was added stands in a row of its own, which may be anything. */
static void odd_times(void **state)
{
    static const struct {
        const char *row;
        int64_t seconds;
    } cases[] = {{"5999", 5},
                 {"0", 0},
                 {"null", 0},
                 {"-1", 0},
                 {"\"5\"", 0},
                 {"1.5", 0},
                 {"1e3", 0},
                 {"{}", 0},
                 {"[5]", 0},
                 {"99999999999999999999", 0},
                 {"18446744073709551615", 0},
                 {"9223372036854775807", INT64_MAX / 1000}};
    stage s = stage_open(*state);
    eid_database_preferences *list, found;
    char id[EID_ID_TEXT_SIZE];
    size_t count;

    tu_assert_ok(add(&s));
    eid_id_format(&s.wanted.database_id, id);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_row(s.bob, EID_STORE_TRACKED_SINCE, id, cases[i].row);
        tu_assert_ok(eid_user_database_prefs(s.bob, &s.wanted.database_id, &found));
        assert_int_equal(found.added_at, cases[i].seconds);
        eid_database_preferences_clear(&found);
        tu_assert_ok(eid_user_list_database_prefs(s.bob, &list, &count));
        assert_int_equal(count, 1);
        assert_int_equal(list[0].added_at, cases[i].seconds);
        eid_database_preferences_free(list, count);
    }
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(failing_storage_changes_nothing),
        WITH_INSTANCE(short_memory_is_told),
        WITH_INSTANCE(rows_that_are_none),
        WITH_INSTANCE(rows_that_say_odd_things),
        WITH_INSTANCE(odd_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
