/* SPDX-License-Identifier: Apache-2.0 */
/* Named keys: private keys of the instance itself, for programs that work without users. They stand in one record beside the
 * databases, so that a removed key is gone. */
#include "base/alloc.h"
#include "base/search.h"
#include "base/utf8.h"
#include "codec/fields.h"
#include "instance/instance_int.h"

static void free_key(eid_named_key *key)
{
    eid_free(key->name);
    eid_keypair_free(key->pair);
}

void eid_named_keys_free(eid_instance *instance)
{
    for (size_t i = 0; i < instance->named_key_count; i++)
        free_key(&instance->named_keys[i]);
    eid_free(instance->named_keys);
    instance->named_keys = NULL;
    instance->named_key_count = 0;
}

static int compare_name(const void *name, const void *key)
{
    return strcmp(name, ((const eid_named_key *)key)->name);
}

/* The index of the name, or where it would stand. */
static size_t place_of(const eid_instance *instance, const char *name, bool *found)
{
    return eid_search(name, instance->named_keys, instance->named_key_count, sizeof(eid_named_key), compare_name, found);
}

static eid_status reserve_key(eid_instance *instance)
{
    eid_named_key *grown =
        eid_realloc_array(instance->named_keys, instance->named_key_count + 1, sizeof(eid_named_key));

    if (grown == NULL)
        return eid_fail_memory();
    instance->named_keys = grown;
    return EID_OK;
}

/* There is room. */
static void put_key(eid_instance *instance, size_t at, const eid_named_key *key)
{
    memmove(instance->named_keys + at + 1, instance->named_keys + at,
            (instance->named_key_count - at) * sizeof(eid_named_key));
    instance->named_keys[at] = *key;
    instance->named_key_count++;
}

static void take_key(eid_instance *instance, size_t at)
{
    instance->named_key_count--;
    memmove(instance->named_keys + at, instance->named_keys + at + 1,
            (instance->named_key_count - at) * sizeof(eid_named_key));
}

/* ---- The record: an array of {name, key_id, storage, created_at} ---- */

typedef struct key_record {
    char *name;
    eid_pubkey key_id;
    eid_key_storage storage;
    int64_t created_at;
} key_record;

static eid_status read_record(eid_json *reader, key_record *record)
{
    static const char *const names[] = {"name", "key_id", "storage", "created_at"};
    EID_OBJECT(object, names, EID_FIELDS(4));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "named key"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == 0)
            EID_TRY(eid_field_text(reader, names[field], &record->name));
        else if (field == 1)
            EID_TRY(eid_field_key(reader, names[field], &record->key_id));
        else if (field == 2)
            EID_TRY(eid_key_storage_read(reader, &record->storage));
        else
            EID_TRY(eid_json_read_i64(reader, names[field], &record->created_at));
    }
}

/* Takes the name out of the record. */
static eid_status add_record(eid_instance *instance, key_record *record)
{
    eid_named_key key = {record->name, NULL, record->created_at};
    bool found;
    size_t at = place_of(instance, key.name, &found);

    if (found)
        return eid_fail(EID_ERR_DUPLICATE_KEY, "two keys are named \"%.256s\"", key.name);
    EID_TRY(reserve_key(instance));
    EID_TRY(eid_key_storage_open(&record->storage, instance->protection.encryption, &record->key_id, &key.pair));
    record->name = NULL;
    put_key(instance, at, &key);
    return EID_OK;
}

static eid_status read_records(eid_instance *instance, eid_json *reader)
{
    bool more;

    EID_TRY(eid_json_begin_array(reader, "named keys"));
    for (;;) {
        key_record record;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return eid_json_end(reader);
        memset(&record, 0, sizeof record);
        eid_status status = read_record(reader, &record);
        if (status == EID_OK)
            status = add_record(instance, &record);
        eid_key_storage_free(&record.storage);
        eid_free(record.name);
        EID_TRY(status);
    }
}

eid_status eid_named_keys_read(eid_instance *instance, eid_slice text)
{
    eid_json reader;

    eid_json_init(&reader, text);
    eid_status status = read_records(instance, &reader);
    eid_json_free(&reader);
    return status == EID_OK ? EID_OK : eid_fail_context(status, "the named keys of the instance can not be read");
}

static eid_status write_record(eid_buf *buf, const eid_named_key *key, const eid_aead_key *encryption)
{
    eid_key_storage storage;
    eid_pubkey pubkey;

    EID_TRY(eid_key_storage_make(key->pair, encryption, &storage));
    eid_keypair_public(key->pair, &pubkey);
    eid_buf_append_text(buf, "{\"name\":");
    eid_json_write_cstr(buf, key->name);
    eid_buf_append_text(buf, ",\"key_id\":");
    eid_write_key_text(buf, &pubkey);
    eid_buf_append_text(buf, ",\"storage\":");
    eid_key_storage_write(buf, &storage);
    eid_buf_append_text(buf, ",\"created_at\":");
    eid_json_write_i64(buf, key->created_at);
    eid_buf_append_byte(buf, '}');
    eid_key_storage_free(&storage);
    return EID_OK;
}

eid_status eid_named_keys_write(eid_buf *buf, const eid_named_key *keys, size_t count, const eid_aead_key *encryption)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            eid_buf_append_byte(buf, ',');
        EID_TRY(write_record(buf, &keys[i], encryption));
    }
    eid_buf_append_byte(buf, ']');
    return eid_buf_status(buf);
}

/* ---- Adding and removing; change_mutex is held ---- */

static eid_status check_name(const char *name)
{
    eid_slice text = eid_slice_text(name);

    if (text.len == 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a key needs a name that is not empty");
    if (text.len > EID_LIMIT_KEY_NAME)
        return eid_fail(EID_ERR_LIMIT, "the name of a key has at most %d bytes, this one has %zu", EID_LIMIT_KEY_NAME,
                        text.len);
    if (!eid_utf8_valid(text))
        return eid_fail(EID_ERR_UTF8, "the name of a key must be valid UTF-8");
    return EID_OK;
}

static eid_status no_key(const char *name)
{
    return eid_fail(EID_ERR_PRIVATE_KEY_NOT_FOUND, "Private key not found for key name: %.256s", name);
}

/* Takes the key on success. Readers never see it before it is stored. */
static eid_status add_key(eid_instance *instance, eid_named_key *key)
{
    bool found;
    size_t at = place_of(instance, key->name, &found);

    if (found)
        return eid_fail(EID_ERR_ALREADY_EXISTS, "the instance has a key named \"%.256s\" already", key->name);
    if (instance->named_key_count >= EID_LIMIT_NAMED_KEYS)
        return eid_fail(EID_ERR_LIMIT, "an instance has at most %d named keys", EID_LIMIT_NAMED_KEYS);
    pthread_mutex_lock(&instance->mutex);
    eid_status status = reserve_key(instance);
    if (status == EID_OK) {
        put_key(instance, at, key);
        status = eid_secrets_store(instance);
        if (status != EID_OK)
            take_key(instance, at);
    }
    pthread_mutex_unlock(&instance->mutex);
    return status;
}

/* Takes the pair, on failure too. */
static eid_status add_pair(eid_instance *instance, const char *name, eid_keypair *pair, eid_pubkey *out)
{
    eid_named_key key = {NULL, pair, (int64_t)(eid_clock_now_ms(eid_instance_clock(instance)) / 1000)};
    eid_pubkey pubkey;

    eid_keypair_public(pair, &pubkey);
    key.name = eid_strdup(name);
    eid_status status = key.name != NULL ? EID_OK : eid_fail_memory();
    if (status == EID_OK) {
        pthread_mutex_lock(&instance->change_mutex);
        status = add_key(instance, &key);
        pthread_mutex_unlock(&instance->change_mutex);
    }
    if (status != EID_OK)
        free_key(&key);
    else if (out != NULL)
        *out = pubkey;
    return status;
}

eid_status eid_instance_add_private_key(eid_instance *instance, const char *name, eid_pubkey *out)
{
    EID_NEED(instance && name);
    eid_keypair *pair;

    EID_TRY(check_name(name));
    EID_TRY(eid_keypair_generate(&pair));
    return add_pair(instance, name, pair, out);
}

eid_status eid_instance_import_private_key(eid_instance *instance, const char *name, const eid_keypair *key)
{
    EID_NEED(instance && name && key);
    eid_keypair *pair;

    EID_TRY(check_name(name));
    EID_TRY(eid_keypair_copy(key, &pair));
    return add_pair(instance, name, pair, NULL);
}

eid_status eid_instance_remove_private_key(eid_instance *instance, const char *name)
{
    EID_NEED(instance && name);
    bool found;

    pthread_mutex_lock(&instance->change_mutex);
    pthread_mutex_lock(&instance->mutex);
    size_t at = place_of(instance, name, &found);
    eid_status status = found ? EID_OK : no_key(name);
    if (status == EID_OK) {
        eid_named_key key = instance->named_keys[at];
        take_key(instance, at);
        status = eid_secrets_store(instance);
        if (status == EID_OK)
            free_key(&key);
        else
            put_key(instance, at, &key);
    }
    pthread_mutex_unlock(&instance->mutex);
    pthread_mutex_unlock(&instance->change_mutex);
    return status;
}

/* ---- Asking ---- */

eid_status eid_instance_copy_private_key(eid_instance *instance, const char *name, eid_keypair **out)
{
    bool found;

    pthread_mutex_lock(&instance->mutex);
    size_t at = place_of(instance, name, &found);
    eid_status status = found ? eid_keypair_copy(instance->named_keys[at].pair, out) : no_key(name);
    pthread_mutex_unlock(&instance->mutex);
    return status;
}

eid_status eid_instance_get_public_key(eid_instance *instance, const char *name, eid_pubkey *out)
{
    EID_NEED(instance && name && out);
    bool found;

    pthread_mutex_lock(&instance->mutex);
    size_t at = place_of(instance, name, &found);
    if (found)
        eid_keypair_public(instance->named_keys[at].pair, out);
    pthread_mutex_unlock(&instance->mutex);
    return found ? EID_OK : no_key(name);
}

eid_status eid_instance_get_formatted_public_key(eid_instance *instance, const char *name, char out[EID_PUBKEY_TEXT_SIZE])
{
    EID_NEED(instance && name && out);
    eid_pubkey key;

    EID_TRY(eid_instance_get_public_key(instance, name, &key));
    eid_pubkey_format(&key, out);
    return EID_OK;
}

/* One block: the list, then the names it points to. */
static eid_status list_keys(const eid_instance *instance, eid_named_key_info **out, size_t *count)
{
    size_t names = 1;

    for (size_t i = 0; i < instance->named_key_count; i++)
        names += strlen(instance->named_keys[i].name) + 1;
    eid_named_key_info *list = eid_alloc_zero(1, instance->named_key_count * sizeof *list + names);
    if (list == NULL)
        return eid_fail_memory();
    char *name = (char *)(list + instance->named_key_count);
    for (size_t i = 0; i < instance->named_key_count; i++) {
        const eid_named_key *key = &instance->named_keys[i];
        size_t size = strlen(key->name) + 1;
        list[i].name = memcpy(name, key->name, size);
        list[i].created_at = key->created_at;
        eid_keypair_public(key->pair, &list[i].key);
        name += size;
    }
    *out = list;
    *count = instance->named_key_count;
    return EID_OK;
}

eid_status eid_instance_list_private_keys(eid_instance *instance, eid_named_key_info **out, size_t *count)
{
    EID_NEED(instance && out && count);
    pthread_mutex_lock(&instance->mutex);
    eid_status status = list_keys(instance, out, count);
    pthread_mutex_unlock(&instance->mutex);
    return status;
}
