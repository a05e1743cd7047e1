/* SPDX-License-Identifier: Apache-2.0 */
/* Records of instances and users: unknown, missing and doubled fields, mappings, short memory. The recorded
 * ones are in tests/vectors/test_users.c. */
#include "instance/records.h"

#include <string.h>

#include <eidetica/memory.h>

#include "support/testutil.h"

#define KEY       "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define SEED      "ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define OTHER_KEY "ed25519:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="
#define DB_1      "bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm"
#define DB_2      "bafyr4igwmeoiasoiyoxgfi34depgwcq6o77pb3xdrhariinxzo5yncq6u4"
#define CLEAR     "{\"type\":\"unencrypted\",\"key\":\"" SEED "\"}"

static void assert_written(eid_buf *buf, const char *wanted)
{
    tu_assert_ok(eid_buf_status(buf));
    assert_string_equal((const char *)buf->data, wanted);
    eid_buf_free(buf);
}

/* ---- Instances ---- */

static void metadata_form(void **state)
{
    static const char *const with_sync = "{\"id\":\"" KEY "\",\"users_db\":\"" DB_1
                                         "\",\"databases_db\":\"" DB_2 "\",\"sync_db\":\"" DB_1 "\"}";
    static const char *const without_sync =
        "{\"id\":\"" KEY "\",\"users_db\":\"" DB_1 "\",\"databases_db\":\"" DB_2 "\",\"sync_db\":null}";
    eid_instance_metadata metadata;
    eid_buf buf;

    (void)state;
    eid_buf_init(&buf, 4096);
    tu_assert_ok(eid_instance_metadata_read(eid_slice_text(with_sync), &metadata));
    assert_true(eid_id_equal(&metadata.sync_db, &metadata.users_db));
    eid_instance_metadata_write(&buf, &metadata);
    assert_written(&buf, with_sync);
    tu_assert_ok(eid_instance_metadata_read(eid_slice_text(without_sync), &metadata));
    eid_instance_metadata_write(&buf, &metadata);
    assert_written(&buf, without_sync);
}

static void bad_metadata(void **state)
{
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"", EID_ERR_TRUNCATED},
        {"[]", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_MISSING_FIELD},
        {"{\"id\":\"" KEY "\",\"users_db\":\"" DB_1 "\"}", EID_ERR_MISSING_FIELD},
        {"{\"id\":\"x\",\"users_db\":\"" DB_1 "\",\"databases_db\":\"" DB_2 "\"}", EID_ERR_INVALID_KEY},
        {"{\"id\":\"" KEY "\",\"users_db\":\"x\",\"databases_db\":\"" DB_2 "\"}", EID_ERR_INVALID_ID},
        {"{\"id\":\"" KEY "\",\"users_db\":null,\"databases_db\":\"" DB_2 "\"}", EID_ERR_WRONG_TYPE},
        {"{\"id\":\"" KEY "\",\"id\":\"" KEY "\"}", EID_ERR_DUPLICATE_KEY},
        {"{\"id\":\"" KEY "\",\"users_db\":\"" DB_1 "\",\"databases_db\":\"" DB_2 "\"} x",
         EID_ERR_TRAILING_DATA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_instance_metadata metadata;
        memset(&metadata, 0x55, sizeof metadata);
        eid_status status = eid_instance_metadata_read(eid_slice_text(cases[i].text), &metadata);
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].text, eid_status_name(status),
                     eid_status_name(cases[i].status));
        assert_int_equal(metadata.users_db.len, 0x55);
    }
}

static void secrets_form(void **state)
{
    eid_instance_secrets secrets;
    eid_buf buf;

    (void)state;
    tu_assert_ok(
        eid_instance_secrets_read(eid_slice_text("{\"more\":[1,{}],\"signing_key\":\"" SEED "\"}"), &secrets));
    assert_false(secrets.has_master || secrets.sealed || secrets.device.encrypted);
    assert_string_equal(secrets.device.key, SEED);
    eid_buf_init(&buf, 4096);
    eid_instance_secrets_write(&buf, &secrets);
    assert_written(&buf, "{\"signing_key\":\"" SEED "\"}");
    eid_instance_secrets_free(&secrets);
}

/* The 32 bytes of a master key that is kept in clear, and the 60 of a sealed one. */
#define BYTES_4   "7,7,7,7"
#define BYTES_32  BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4
#define BYTES_60  BYTES_32 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4 "," BYTES_4
#define SALT      "KqYgScADAobMg/kQvillIg"
#define CLOSED                                                                                                \
    "{\"signing_key\":{\"type\":\"encrypted\",\"algorithm\":\"aes-256-gcm\",\"ciphertext\":[1],\"nonce\":[2]},"                \
    "\"instance_key\":{\"salt\":\"" SALT "\",\"bytes\":[" BYTES_60 "]}}"
#define OPENED                                                                                                \
    "{\"signing_key\":\"" SEED "\",\"instance_key\":{\"salt\":null,\"bytes\":[" BYTES_32 "]}}"

static void protected_secrets_form(void **state)
{
    static const char *const forms[] = {CLOSED, OPENED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        eid_instance_secrets secrets;
        eid_buf buf;
        tu_assert_ok(eid_instance_secrets_read(eid_slice_text(forms[i]), &secrets));
        assert_true(secrets.has_master && secrets.sealed == (i == 0) && secrets.device.encrypted == (i == 0));
        assert_string_equal(secrets.salt, i == 0 ? SALT : "");
        eid_buf_init(&buf, 4096);
        eid_instance_secrets_write(&buf, &secrets);
        assert_written(&buf, forms[i]);
        eid_instance_secrets_free(&secrets);
        for (size_t len = 0; len < strlen(forms[i]); len++)
            assert_int_not_equal(eid_instance_secrets_read(eid_slice_of(forms[i], len), &secrets), EID_OK);
    }
}

static void bad_secrets(void **state)
{
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"{}", EID_ERR_MISSING_FIELD},
        {"{\"signing_key\":\"" SEED "\",\"signing_key\":\"" SEED "\"}", EID_ERR_DUPLICATE_KEY},
        {"{\"signing_key\":\"" SEED "\"}]", EID_ERR_TRAILING_DATA},
        {"{\"signing_key\":7}", EID_ERR_WRONG_TYPE},
        {"{\"signing_key\":\"" SEED "\",\"instance_key\":{}}", EID_ERR_MISSING_FIELD},
        {"{\"signing_key\":\"" SEED "\",\"instance_key\":{\"salt\":null,\"bytes\":[" BYTES_60 "]}}", EID_ERR_RANGE},
        {"{\"signing_key\":\"" SEED "\",\"instance_key\":{\"salt\":\"" SALT "\",\"bytes\":[" BYTES_32 "]}}",
         EID_ERR_RANGE},
        {"{\"signing_key\":\"" SEED "\",\"instance_key\":{\"salt\":\"short\",\"bytes\":[]}}", EID_ERR_RANGE},
        {"{\"signing_key\":\"" SEED "\",\"instance_key\":{\"bytes\":[" BYTES_60 ",7],\"salt\":null}}", EID_ERR_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_instance_secrets secrets;
        memset(&secrets, 0, sizeof secrets);
        eid_status status = eid_instance_secrets_read(eid_slice_text(cases[i].text), &secrets);
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].text, eid_status_name(status), eid_status_name(cases[i].status));
        assert_null(secrets.device.key);
    }
}

/* ---- Stored keys ---- */

static eid_status read_storage(const char *text, eid_key_storage *out)
{
    eid_json reader;

    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = eid_key_storage_read(&reader, out);
    eid_json_free(&reader);
    return status;
}

static void stored_keys(void **state)
{
    static const char *const encrypted =
        "{\"type\":\"encrypted\",\"algorithm\":\"aes-256-gcm\",\"ciphertext\":[0,255,7],\"nonce\":[1,2]}";
    eid_key_storage storage;
    eid_pubkey key, other;
    eid_keypair *pair = NULL;
    eid_buf buf;

    (void)state;
    tu_assert_ok(eid_pubkey_parse(KEY, &key));
    tu_assert_ok(eid_pubkey_parse(OTHER_KEY, &other));
    eid_buf_init(&buf, 4096);
    tu_assert_ok(read_storage(CLEAR, &storage));
    eid_key_storage_write(&buf, &storage);
    assert_written(&buf, CLEAR);
    tu_assert_fails(eid_key_storage_open(&storage, NULL, &other, &pair), EID_ERR_CORRUPT);
    assert_null(pair);
    tu_assert_ok(eid_key_storage_open(&storage, NULL, &key, &pair));
    eid_keypair_free(pair);
    eid_key_storage_free(&storage);

    tu_assert_ok(read_storage(encrypted, &storage));
    assert_int_equal(storage.ciphertext_len, 3);
    assert_int_equal(storage.ciphertext[1], 255);
    eid_key_storage_write(&buf, &storage);
    assert_written(&buf, encrypted);
    tu_assert_fails(eid_key_storage_open(&storage, NULL, &key, &pair), EID_ERR_PASSWORD_REQUIRED);
    eid_key_storage_free(&storage);
}

static void bad_stored_keys(void **state)
{
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"{}", EID_ERR_MISSING_FIELD},
        {"{\"type\":\"Encrypted\"}", EID_ERR_WRONG_TYPE},
        {"{\"type\":\"unencrypted\"}", EID_ERR_MISSING_FIELD},
        {"{\"type\":\"encrypted\",\"key\":\"x\"}", EID_ERR_MISSING_FIELD},
        {"{\"type\":\"encrypted\",\"algorithm\":\"a\",\"ciphertext\":[1]}", EID_ERR_MISSING_FIELD},
        {"{\"type\":\"encrypted\",\"algorithm\":\"a\",\"ciphertext\":[256],\"nonce\":[]}", EID_ERR_RANGE},
        {"{\"type\":\"unencrypted\",\"key\":\"a\\u0000b\"}", EID_ERR_WRONG_TYPE},
        {"{\"type\":\"unencrypted\",\"type\":\"unencrypted\"}", EID_ERR_DUPLICATE_KEY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_key_storage storage;
        memset(&storage, 0, sizeof storage);
        eid_status status = read_storage(cases[i].text, &storage);
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].text, eid_status_name(status),
                     eid_status_name(cases[i].status));
        assert_null(storage.key);
    }
}

/* ---- Users ---- */

#define USER                                                                                                 \
    "{\"username\":\"\\u00fc\",\"user_database_id\":\"" DB_1 "\",\"credentials\":{\"root_key_id\":\"" KEY    \
    "\",\"root_key\":" CLEAR ",\"password_salt\":null},\"created_at\":-5,\"status\":\"Locked\"}"

static void user_record(void **state)
{
    eid_user_record record;
    eid_buf buf;

    (void)state;
    tu_assert_ok(eid_user_record_read(eid_slice_text(USER), &record));
    assert_string_equal(record.username, "ü");
    assert_int_equal(record.created_at, -5);
    assert_int_equal(record.status, EID_USER_LOCKED);
    eid_buf_init(&buf, 4096);
    eid_user_record_write(&buf, &record);
    assert_written(&buf, "{\"username\":\"ü\",\"user_database_id\":\"" DB_1
                         "\",\"credentials\":{\"root_key_id\":\"" KEY "\",\"root_key\":" CLEAR
                         ",\"password_salt\":null},\"created_at\":-5,\"status\":\"Locked\"}");
    eid_user_record_free(&record);
    eid_user_record_free(&record); /* an emptied record may be freed again */
}

/* Each prefix of a good record is no record, and frees what it had read. */
static void cut_user_records(void **state)
{
    eid_user_record record;

    (void)state;
    for (size_t len = 0; len < strlen(USER); len++)
        assert_int_not_equal(eid_user_record_read(eid_slice_of(USER, len), &record), EID_OK);
}

static void bad_user_records(void **state)
{
    static const char *const bad[] = {
        "{\"username\":\"a\",\"user_database_id\":\"" DB_1 "\",\"created_at\":1,\"status\":\"Active\"}",
        "{\"username\":\"a\",\"user_database_id\":\"" DB_1 "\",\"credentials\":{\"root_key_id\":\"" KEY
        "\"},\"created_at\":1,\"status\":\"Active\"}",
        "{\"username\":\"a\",\"user_database_id\":\"" DB_1 "\",\"credentials\":{\"root_key_id\":\"" KEY
        "\",\"root_key\":" CLEAR "},\"created_at\":1,\"status\":\"active\"}",
        "{\"username\":\"a\",\"user_database_id\":\"" DB_1 "\",\"credentials\":{\"root_key_id\":\"" KEY
        "\",\"root_key\":" CLEAR "},\"created_at\":1.5,\"status\":\"Active\"}",
        "{\"username\":null,\"user_database_id\":\"" DB_1 "\",\"credentials\":{\"root_key_id\":\"" KEY
        "\",\"root_key\":" CLEAR "},\"created_at\":1,\"status\":\"Active\"}",
    };
    eid_user_record record;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(eid_user_record_read(eid_slice_text(bad[i]), &record), EID_OK);
}

/* ---- Keys and mappings ---- */

#define USER_KEY(mappings)                                                                                   \
    "{\"key_id\":\"" KEY "\",\"storage\":" CLEAR ",\"display_name\":null,\"created_at\":7,\"last_used\":9,"  \
    "\"is_default\":false,\"database_sigkeys\":{" mappings "}}"

static void key_mappings(void **state)
{
    static const char *const before =
        USER_KEY("\"" DB_1 "\":{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY "\",\"is_global\":true}}}");
    static const char *const after = USER_KEY("\"" DB_1 "\":null,\"" DB_2 "\":null");
    eid_user_key key;
    eid_sigkey identity;
    eid_id first, second;
    eid_buf buf;

    (void)state;
    tu_assert_ok(eid_id_parse(DB_1, &first));
    tu_assert_ok(eid_id_parse(DB_2, &second));
    tu_assert_ok(eid_user_key_read(eid_slice_text(before), &key));
    assert_true(key.has_last_used && key.last_used == 9);
    assert_null(key.display_name);
    assert_null(eid_user_key_mapping(&key, &second));
    assert_true(eid_user_key_mapping(&key, &first)->has_identity);
    eid_sigkey_global(&key.key_id, &identity);
    assert_true(eid_sigkey_equal(&eid_user_key_mapping(&key, &first)->identity, &identity));

    /* The default identity is null, however it is given. */
    eid_sigkey_direct(&key.key_id, &identity);
    tu_assert_ok(eid_user_key_map(&key, &first, &identity));
    tu_assert_ok(eid_user_key_map(&key, &second, NULL));
    eid_buf_init(&buf, 4096);
    eid_user_key_write(&buf, &key);
    assert_written(&buf, after);
    eid_user_key_free(&key);
}

static void doubled_mappings_and_growth(void **state)
{
    eid_user_key key;
    eid_id id;

    (void)state;
    tu_assert_ok(eid_id_parse(DB_1, &id));
    tu_assert_ok(eid_user_key_read(
        eid_slice_text(USER_KEY("\"" DB_1 "\":{\"Direct\":{\"hint\":{\"name\":\"n\"}}},\"" DB_1 "\":null")),
        &key));
    assert_false(eid_user_key_mapping(&key, &id)->has_identity);
    id.bytes[id.len - 2] ^= 1;
    for (uint8_t i = 0; i < 100; i++) {
        id.bytes[id.len - 1] = i;
        tu_assert_ok(eid_user_key_map(&key, &id, NULL));
    }
    for (uint8_t i = 0; i < 100; i++) {
        id.bytes[id.len - 1] = i;
        assert_non_null(eid_user_key_mapping(&key, &id));
    }
    assert_int_equal(key.mapping_count, 102);
    eid_user_key_free(&key);
}

/* ---- Tracked databases ---- */

static void tracked_rows(void **state)
{
    static const char *const text =
        "{\"database_id\":\"" DB_1 "\",\"key_id\":\"" KEY
        "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":false,"
        "\"interval_seconds\":60,\"properties\":{\"a\":\"\\\"b\\\"\",\"c\":\"\"}}}";
    eid_database_preferences row;
    eid_buf buf;

    (void)state;
    tu_assert_ok(eid_preferences_read(eid_slice_text(text), &row));
    assert_true(row.sync_settings.sync_enabled && !row.sync_settings.sync_on_commit);
    assert_int_equal(row.sync_settings.interval_seconds, 60);
    assert_int_equal(row.sync_settings.struct_size, sizeof(eid_sync_settings));
    eid_buf_init(&buf, 4096);
    eid_preferences_write(&buf, &row);
    assert_written(&buf, text);
    eid_database_preferences_clear(&row);

    for (size_t len = 0; len < strlen(text); len++)
        assert_int_not_equal(eid_preferences_read(eid_slice_of(text, len), &row), EID_OK);
    assert_int_not_equal(
        eid_preferences_read(
            eid_slice_text("{\"database_id\":\"" DB_1 "\",\"key_id\":\"" KEY
                           "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":false,"
                           "\"interval_seconds\":null,\"properties\":{\"a\":1}}}"),
            &row),
        EID_OK);
}

/* ---- Short memory ---- */

static eid_status read_all(void *ctx)
{
    eid_user_record user;
    eid_user_key key;
    eid_database_preferences row;

    (void)ctx;
    EID_TRY(eid_user_record_read(eid_slice_text(USER), &user));
    eid_user_record_free(&user);
    EID_TRY(eid_user_key_read(
        eid_slice_text(USER_KEY("\"" DB_1 "\":{\"Direct\":{\"hint\":{\"name\":\"n\"}}},\"" DB_2 "\":null")),
        &key));
    eid_user_key_free(&key);
    EID_TRY(eid_preferences_read(
        eid_slice_text("{\"database_id\":\"" DB_1 "\",\"key_id\":\"" KEY
                       "\",\"sync_settings\":{\"sync_enabled\":true,\"sync_on_commit\":false,"
                       "\"interval_seconds\":null,\"properties\":{\"a\":\"b\"}}}"),
        &row));
    eid_database_preferences_clear(&row);
    return EID_OK;
}

static void reading_survives_short_memory(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(read_all, NULL) >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_form),    cmocka_unit_test(bad_metadata),
        cmocka_unit_test(secrets_form),
        cmocka_unit_test(protected_secrets_form),
        cmocka_unit_test(bad_secrets),     cmocka_unit_test(stored_keys),
        cmocka_unit_test(bad_stored_keys),  cmocka_unit_test(user_record),
        cmocka_unit_test(cut_user_records), cmocka_unit_test(bad_user_records),
        cmocka_unit_test(key_mappings),     cmocka_unit_test(doubled_mappings_and_growth),
        cmocka_unit_test(tracked_rows),     cmocka_unit_test(reading_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
