/* SPDX-License-Identifier: Apache-2.0 */
/* Records of instances and users: what is read is written in a form that reads back to the same, and takes no more than it may;
 * named keys of an instance besides. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "instance/instance_int.h"

#define MAX (1u << 24)

typedef union record {
    eid_instance_metadata metadata;
    eid_instance_secrets secrets;
    eid_user_record user;
    eid_user_key key;
    eid_database_preferences preferences;
} record;

/* One kind of record. */
typedef struct kind {
    eid_status (*read)(eid_slice text, record *out);
    void (*write)(eid_buf *buf, const record *r);
    void (*release)(record *r);
} kind;

static eid_status read_metadata(eid_slice text, record *out)
{
    return eid_instance_metadata_read(text, &out->metadata);
}

static void write_metadata(eid_buf *buf, const record *r)
{
    eid_instance_metadata_write(buf, &r->metadata);
}

static void release_metadata(record *r)
{
    (void)r;
}

static eid_status read_secrets(eid_slice text, record *out)
{
    return eid_instance_secrets_read(text, &out->secrets);
}

static void write_secrets(eid_buf *buf, const record *r)
{
    eid_instance_secrets_write(buf, &r->secrets);
}

static void release_secrets(record *r)
{
    eid_instance_secrets_free(&r->secrets);
}

static eid_status read_user(eid_slice text, record *out)
{
    return eid_user_record_read(text, &out->user);
}

static void write_user(eid_buf *buf, const record *r)
{
    eid_user_record_write(buf, &r->user);
}

static void release_user(record *r)
{
    eid_user_record_free(&r->user);
}

/* A key that is read may also be given mappings. */
static eid_status read_key(eid_slice text, record *out)
{
    eid_status status = eid_user_key_read(text, &out->key);
    if (status == EID_OK && out->key.mapping_count > 0) {
        eid_id id = out->key.mappings[0].database;
        FUZZ_CHECK(eid_user_key_map(&out->key, &id, NULL) == EID_OK);
        FUZZ_CHECK(!eid_user_key_mapping(&out->key, &id)->has_identity);
    }
    return status;
}

static void write_key(eid_buf *buf, const record *r)
{
    eid_user_key_write(buf, &r->key);
}

static void release_key(record *r)
{
    eid_user_key_free(&r->key);
}

static eid_status read_preferences(eid_slice text, record *out)
{
    return eid_preferences_read(text, &out->preferences);
}

static void write_preferences(eid_buf *buf, const record *r)
{
    eid_preferences_write(buf, &r->preferences);
}

static void release_preferences(record *r)
{
    eid_database_preferences_clear(&r->preferences);
}

static const kind kinds[] = {
    {read_metadata, write_metadata, release_metadata}, {read_secrets, write_secrets, release_secrets},
    {read_user, write_user, release_user},             {read_key, write_key, release_key},
    {read_preferences, write_preferences, release_preferences},
};

static void check(const kind *k, eid_slice input)
{
    eid_buf first, second;
    record r;

    if (k->read(input, &r) != EID_OK)
        return;
    eid_buf_init(&first, MAX);
    k->write(&first, &r);
    k->release(&r);
    FUZZ_CHECK(eid_buf_status(&first) == EID_OK);
    FUZZ_CHECK(k->read(eid_buf_slice(&first), &r) == EID_OK);
    eid_buf_init(&second, MAX);
    k->write(&second, &r);
    k->release(&r);
    FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&first), eid_buf_slice(&second)));
    eid_buf_free(&first);
    eid_buf_free(&second);
}

static void check_named_keys(eid_slice input)
{
    eid_instance instance;
    eid_buf buf;

    memset(&instance, 0, sizeof instance);
    bool read = eid_named_keys_read(&instance, input) == EID_OK;
    for (size_t i = 1; i < instance.named_key_count; i++)
        FUZZ_CHECK(strcmp(instance.named_keys[i - 1].name, instance.named_keys[i].name) < 0);
    if (read) {
        eid_buf_init(&buf, MAX);
        FUZZ_CHECK(eid_named_keys_write(&buf, instance.named_keys, instance.named_key_count, NULL) == EID_OK);
        eid_named_keys_free(&instance);
        FUZZ_CHECK(eid_named_keys_read(&instance, eid_buf_slice(&buf)) == EID_OK);
        eid_buf_free(&buf);
    }
    eid_named_keys_free(&instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_slice input = eid_slice_of(data, size);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        check(&kinds[i], input);
    check_named_keys(input);
    return 0;
}
