/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a user's private database: keys and tracked databases. */
#include "base/alloc.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "crypto/key.h"
#include "instance/records.h"

/* ---- Keys of a user ---- */

void eid_user_key_free(eid_user_key *key)
{
    eid_key_storage_free(&key->storage);
    eid_free(key->display_name);
    for (size_t i = 0; i < key->mapping_count; i++)
        eid_sigkey_free(&key->mappings[i].identity);
    eid_free(key->mappings);
    memset(key, 0, sizeof *key);
}

/* From the end, so that of a database named twice the last mapping counts. */
eid_key_mapping *eid_user_key_mapping(const eid_user_key *key, const eid_id *database)
{
    for (size_t i = key->mapping_count; i-- > 0;) {
        if (eid_id_equal(&key->mappings[i].database, database))
            return &key->mappings[i];
    }
    return NULL;
}

/* An empty mapping for the database behind the others. */
static eid_status add_mapping(eid_user_key *key, const eid_id *database, eid_key_mapping **out)
{
    /* Doubling at the powers of two keeps many mappings cheap without a field for the capacity. */
    if ((key->mapping_count & (key->mapping_count - 1)) == 0) {
        size_t capacity = key->mapping_count == 0 ? 1 : key->mapping_count * 2;
        eid_key_mapping *grown = eid_realloc_array(key->mappings, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        key->mappings = grown;
    }
    *out = &key->mappings[key->mapping_count++];
    memset(*out, 0, sizeof **out);
    (*out)->database = *database;
    return EID_OK;
}

eid_status eid_user_key_map(eid_user_key *key, const eid_id *database, const eid_sigkey *identity)
{
    eid_key_mapping *mapping = eid_user_key_mapping(key, database);
    eid_sigkey usual, copy;
    bool special;

    eid_sigkey_direct(&key->key_id, &usual);
    special = identity != NULL && !eid_sigkey_equal(identity, &usual);
    memset(&copy, 0, sizeof copy);
    if (special)
        EID_TRY(eid_sigkey_copy(identity, &copy));
    if (mapping == NULL) {
        eid_status status = add_mapping(key, database, &mapping);
        if (status != EID_OK) {
            eid_sigkey_free(&copy);
            return status;
        }
    }
    eid_sigkey_free(&mapping->identity);
    mapping->has_identity = special;
    mapping->identity = copy;
    return EID_OK;
}

static eid_status read_mappings(eid_json *reader, eid_user_key *key)
{
    eid_key_mapping *mapping;
    eid_id database;
    eid_slice text;
    bool more, was_null;

    EID_TRY(eid_json_begin_object(reader, "database_sigkeys"));
    for (;;) {
        EID_TRY(eid_json_next_key(reader, &text, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_id_parse_slice(text, &database));
        EID_TRY(eid_json_read_null(reader, &was_null));
        EID_TRY(add_mapping(key, &database, &mapping));
        if (!was_null) {
            EID_TRY(eid_sigkey_read_json(reader, &mapping->identity));
            mapping->has_identity = true;
        }
    }
}

static eid_status read_key_field(eid_json *reader, size_t field, eid_user_key *key)
{
    bool was_null;

    switch (field) {
    case 0:
        return eid_field_key(reader, "key_id", &key->key_id);
    case 1:
        return eid_key_storage_read(reader, &key->storage);
    case 2:
        return eid_json_read_i64(reader, "created_at", &key->created_at);
    case 3:
        return eid_json_read_bool(reader, "is_default", &key->is_default);
    case 4:
        return read_mappings(reader, key);
    case 5:
        return eid_field_text_or_null(reader, "display_name", &key->display_name);
    default:
        EID_TRY(eid_json_read_null(reader, &was_null));
        key->has_last_used = !was_null;
        return was_null ? EID_OK : eid_json_read_i64(reader, "last_used", &key->last_used);
    }
}

static eid_status read_key(eid_json *reader, eid_user_key *key)
{
    /* The last two may be absent, which is null. */
    static const char *const names[] = {"key_id",           "storage",      "created_at", "is_default",
                                        "database_sigkeys", "display_name", "last_used"};
    EID_OBJECT(object, names, EID_FIELDS(5));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "user key"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        EID_TRY(read_key_field(reader, field, key));
    }
}

eid_status eid_user_key_read(eid_slice text, eid_user_key *out)
{
    eid_user_key key;
    eid_status status;
    eid_json reader;

    memset(&key, 0, sizeof key);
    eid_json_init(&reader, text);
    status = read_key(&reader, &key);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status == EID_OK)
        *out = key;
    else
        eid_user_key_free(&key);
    return status;
}

void eid_user_key_write(eid_buf *buf, const eid_user_key *key)
{
    eid_buf_append_text(buf, "{\"key_id\":");
    eid_write_key_text(buf, &key->key_id);
    eid_buf_append_text(buf, ",\"storage\":");
    eid_key_storage_write(buf, &key->storage);
    eid_buf_append_text(buf, ",\"display_name\":");
    eid_write_text_or_null(buf, key->display_name);
    eid_buf_append_text(buf, ",\"created_at\":");
    eid_json_write_i64(buf, key->created_at);
    eid_buf_append_text(buf, ",\"last_used\":");
    if (key->has_last_used)
        eid_json_write_i64(buf, key->last_used);
    else
        eid_buf_append_text(buf, "null");
    eid_buf_append_text(buf, ",\"is_default\":");
    eid_write_bool(buf, key->is_default);
    eid_buf_append_text(buf, ",\"database_sigkeys\":{");
    for (size_t i = 0; i < key->mapping_count; i++) {
        if (i > 0)
            eid_buf_append_byte(buf, ',');
        eid_write_id_text(buf, &key->mappings[i].database);
        eid_buf_append_byte(buf, ':');
        if (key->mappings[i].has_identity)
            eid_sigkey_write_json(buf, &key->mappings[i].identity);
        else
            eid_buf_append_text(buf, "null");
    }
    eid_buf_append_text(buf, "}}");
}

/* ---- Tracked databases ---- */

static eid_status read_preferences(eid_json *reader, eid_database_preferences *preferences)
{
    static const char *const names[] = {"database_id", "key_id", "sync_settings"};
    EID_OBJECT(object, names, EID_FIELDS(3));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "tracked database"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case 0:
            EID_TRY(eid_field_id(reader, names[field], &preferences->database_id));
            break;
        case 1:
            EID_TRY(eid_field_key(reader, names[field], &preferences->key_id));
            break;
        default:
            EID_TRY(eid_sync_settings_read(reader, &preferences->sync_settings));
            break;
        }
    }
}

eid_status eid_preferences_read(eid_slice text, eid_database_preferences *out)
{
    eid_database_preferences preferences = EID_DATABASE_PREFERENCES_INIT;
    eid_status status;
    eid_json reader;

    eid_json_init(&reader, text);
    status = read_preferences(&reader, &preferences);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status == EID_OK)
        *out = preferences;
    else
        eid_database_preferences_clear(&preferences);
    return status;
}

void eid_preferences_write(eid_buf *buf, const eid_database_preferences *preferences)
{
    eid_buf_append_text(buf, "{\"database_id\":");
    eid_write_id_text(buf, &preferences->database_id);
    eid_buf_append_text(buf, ",\"key_id\":");
    eid_write_key_text(buf, &preferences->key_id);
    eid_buf_append_text(buf, ",\"sync_settings\":");
    eid_sync_settings_write(buf, &preferences->sync_settings);
    eid_buf_append_byte(buf, '}');
}
