/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the database tests. */
#include "database_test.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/blake3.h"

/* ---- Cores and keys ---- */

static _Atomic uint64_t clock_ms = 1000000;

static uint64_t read_clock(void *ctx)
{
    (void)ctx;
    return clock_ms;
}

void dt_set_clock(uint64_t now_ms)
{
    clock_ms = now_ms;
}

eid_core *dt_open(const char *path)
{
    eid_core_options options = {.path = path, .clock = {read_clock, NULL}};
    eid_core *core;
    tu_assert_ok(eid_core_open(&options, &core));
    return core;
}

eid_core *dt_memory(void)
{
    return dt_open(":memory:");
}

eid_keypair *dt_key(uint8_t number)
{
    uint8_t seed[32] = {number, 0x5a};
    eid_keypair *key;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    return key;
}

eid_pubkey dt_pubkey(uint8_t number)
{
    eid_keypair *key = dt_key(number);
    eid_pubkey out;
    eid_keypair_public(key, &out);
    eid_keypair_free(key);
    return out;
}

eid_database *dt_create(eid_core *core)
{
    eid_keypair *key = dt_key(1);
    eid_doc *settings;
    eid_database *database;
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "test"));
    tu_assert_ok(eid_database_create(core, settings, key, &database));
    eid_doc_free(settings);
    eid_keypair_free(key);
    return database;
}

eid_database *dt_open_as(eid_core *core, const eid_id *id, uint8_t number)
{
    eid_database *database;
    if (number == 0) {
        tu_assert_ok(eid_database_open_as(core, id, NULL, NULL, &database));
        return database;
    }
    eid_keypair *key = dt_key(number);
    tu_assert_ok(eid_database_open_as(core, id, key, NULL, &database));
    eid_keypair_free(key);
    return database;
}

eid_id dt_grant(eid_database *admin, uint8_t number, eid_permission_kind kind, eid_key_status status)
{
    eid_txn *txn;
    eid_txn_store *settings;
    eid_doc *record;
    eid_value *value;
    eid_id id;
    char text[EID_PUBKEY_TEXT_SIZE], path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.";
    eid_pubkey key = dt_pubkey(number);
    eid_pubkey_format(&key, text);
    strcat(path, text);
    tu_assert_ok(eid_auth_key_to_doc(NULL, (eid_permission){kind, kind == EID_PERM_READ ? 0 : 10}, status, &record));
    tu_assert_ok(eid_value_new_doc(record, &value));
    eid_doc_free(record);
    tu_assert_ok(eid_database_new_transaction(admin, &txn));
    tu_assert_ok(eid_txn_open_store(txn, EID_SETTINGS, NULL, &settings));
    tu_assert_ok(eid_txn_store_set(settings, eid_slice_text(path), value));
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

/* ---- Staging and reading ---- */

eid_txn_store *dt_store(eid_txn *txn, const char *store)
{
    eid_txn_store *out;
    tu_assert_ok(eid_txn_open_store(txn, store, EID_TYPE_DOCSTORE, &out));
    return out;
}

void dt_put_int(eid_txn *txn, const char *store, const char *key, int64_t number)
{
    eid_value *value;
    tu_assert_ok(eid_value_new_int(number, &value));
    tu_assert_ok(eid_txn_store_put(dt_store(txn, store), eid_slice_text(key), value));
}

void dt_put_deleted(eid_txn *txn, const char *store, const char *key)
{
    eid_value *value;
    tu_assert_ok(eid_value_new_deleted(&value));
    tu_assert_ok(eid_txn_store_put(dt_store(txn, store), eid_slice_text(key), value));
}

void dt_set_int(eid_txn *txn, const char *store, const char *path, int64_t number)
{
    eid_value *value;
    tu_assert_ok(eid_value_new_int(number, &value));
    tu_assert_ok(eid_txn_store_set(dt_store(txn, store), eid_slice_text(path), value));
}

eid_id dt_commit_int(eid_database *database, const char *store, const char *key, int64_t number)
{
    eid_txn *txn;
    eid_id id;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    dt_put_int(txn, store, key, number);
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

static int64_t take_int(eid_value *value)
{
    int64_t number = INT64_MIN;
    if (value != NULL)
        tu_assert_ok(eid_value_as_int(value, &number));
    eid_value_free(value);
    return number;
}

int64_t dt_txn_int(eid_txn *txn, const char *store, const char *key)
{
    eid_value *value;
    tu_assert_ok(eid_txn_store_child(dt_store(txn, store), eid_slice_text(key), &value));
    return take_int(value);
}

int64_t dt_int(eid_database *database, const char *store, const char *path)
{
    eid_value *value = NULL;
    eid_status status = eid_database_get(database, store, path, &value);
    if (status != EID_ERR_KEY_NOT_FOUND)
        tu_assert_ok(status);
    return take_int(value);
}

typedef struct collection {
    eid_entry **entries;
    size_t count;
} collection;

static bool collect(eid_entry *entry, void *ctx)
{
    collection *c = ctx;
    c->entries = realloc(c->entries, (c->count + 1) * sizeof(eid_entry *));
    c->entries[c->count++] = eid_entry_ref(entry);
    return true;
}

eid_entry **dt_entries(eid_core *core, const eid_id *database, size_t *count)
{
    collection c = {NULL, 0};
    tu_assert_ok(eid_core_difference(core, database, NULL, 0, collect, &c));
    *count = c.count;
    return c.entries;
}

eid_entry *dt_entry(eid_database *database, const eid_id *id)
{
    eid_entry *entry;
    tu_assert_ok(eid_database_get_entry(database, id, &entry));
    return entry;
}

/* ---- Entries by hand ---- */

static void set_metadata(eid_entry_builder *builder, const dt_draft *draft)
{
    eid_buf buf;
    eid_buf_init(&buf, 1 << 20);
    if (draft->no_metadata)
        return;
    if (draft->metadata != NULL)
        eid_buf_append_text(&buf, draft->metadata);
    else
        eid_metadata_write(&buf, draft->pins, draft->pin_count, NULL);
    tu_assert_ok(eid_buf_status(&buf));
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&buf)));
    eid_buf_free(&buf);
}

static eid_entry *finish(eid_entry_builder *builder, uint8_t number, const eid_sigkey *sigkey)
{
    eid_keypair *key = number == 0 ? NULL : dt_key(number);
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, key, sigkey, &entry));
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
    return entry;
}

eid_entry *dt_make(const dt_draft *draft)
{
    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(draft->root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, draft->parents, draft->parent_count));
    eid_entry_builder_set_height(builder, draft->height);
    set_metadata(builder, draft);
    if (draft->store != NULL) {
        eid_slice payload = draft->payload == NULL ? eid_slice_of(NULL, 0) : eid_slice_text(draft->payload);
        tu_assert_ok(eid_entry_builder_set_subtree(builder, draft->store, draft->store_parents, draft->store_parent_count,
                                                   draft->payload == NULL ? NULL : &payload, NULL));
    }
    return finish(builder, draft->key, draft->sigkey);
}

eid_entry *dt_make_root(const char *settings, uint8_t key, unsigned salt)
{
    eid_entry_builder *builder;
    eid_slice marker = eid_slice_text("\"\"");
    uint64_t entropy = salt;
    eid_buf metadata;
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, EID_ROOT_MARKER, NULL, 0, &marker, NULL));
    if (settings != NULL) {
        eid_slice payload = eid_slice_text(settings);
        tu_assert_ok(eid_entry_builder_set_subtree(builder, EID_SETTINGS, NULL, 0, &payload, NULL));
    }
    eid_buf_init(&metadata, 256);
    eid_metadata_write(&metadata, NULL, 0, &entropy);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata)));
    eid_buf_free(&metadata);
    return finish(builder, key, NULL);
}

eid_entry *dt_tamper(const eid_entry *entry, const char *needle)
{
    uint8_t *bytes = malloc(entry->cbor_len);
    memcpy(bytes, entry->cbor, entry->cbor_len);
    uint8_t *place = memmem(bytes, entry->cbor_len, needle, strlen(needle));
    assert_non_null(place);
    place[strlen(needle) - 1] ^= 1;
    eid_entry *out;
    tu_assert_ok(eid_entry_from_cbor(bytes, entry->cbor_len, &out));
    assert_false(eid_id_equal(&out->id, &entry->id));
    free(bytes);
    return out;
}

/* ---- Receiving ---- */

eid_receipt dt_receive(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count)
{
    eid_receipt receipt;
    tu_assert_ok(eid_core_receive(core, database, entries, count, &receipt, NULL));
    return receipt;
}

void dt_assert_refused(eid_core *core, const eid_id *database, eid_entry *entry, eid_status reason)
{
    dt_print before = dt_fingerprint(core);
    eid_receipt receipt;
    eid_verdict verdict;
    tu_assert_ok(eid_core_receive(core, database, &entry, 1, &receipt, &verdict));
    if (receipt.refused != 1 || receipt.first_refusal != reason)
        fail_msg("refused %llu, %s: %s; wanted %s", (unsigned long long)receipt.refused, eid_status_name(receipt.first_refusal),
                 receipt.text, eid_status_name(reason));
    assert_int_equal(verdict, EID_VERDICT_REFUSED);
    assert_true(receipt.admitted == 0 && receipt.held == 0 && receipt.waiting == 0);
    assert_true(receipt.text[0] != '\0');
    dt_assert_unchanged(core, &before);
}

/* ---- Fingerprints ---- */

static void hash_database(eid_core *core, const eid_id *id, eid_blake3 *hasher)
{
    eid_database *database = dt_open_as(core, id, 0);
    uint8_t hash[32];
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_state_hash(database, hash));
    eid_blake3_update(hasher, hash, sizeof hash);
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    for (size_t i = 0; i < count; i++)
        eid_blake3_update(hasher, tips[i].bytes, tips[i].len);
    eid_free(tips);
    eid_database_close(database);
}

dt_print dt_fingerprint(eid_core *core)
{
    static const char *const counts[] = {
        "SELECT COUNT(*) FROM entry", "SELECT COUNT(*) FROM tree",     "SELECT COUNT(*) FROM store", "SELECT COUNT(*) FROM part",
        "SELECT COUNT(*) FROM touch", "SELECT COUNT(*) FROM dangling", "SELECT COUNT(*) FROM quarantine"};
    dt_print print;
    eid_blake3 hasher;
    eid_id *ids;
    size_t count;
    memset(&print, 0, sizeof print);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        print.rows[i] = ti_number(core, counts[i]);
    eid_blake3_init(&hasher);
    eid_storage_lock(eid_core_storage(core));
    tu_assert_ok(eid_storage_trees(eid_core_storage(core), &ids, &count));
    eid_storage_unlock(eid_core_storage(core));
    for (size_t i = 0; i < count; i++)
        hash_database(core, &ids[i], &hasher);
    eid_blake3_final(&hasher, print.digest);
    eid_free(ids);
    return print;
}

void dt_assert_unchanged(eid_core *core, const dt_print *before)
{
    dt_print now = dt_fingerprint(core);
    for (size_t i = 0; i < sizeof now.rows / sizeof *now.rows; i++)
        assert_int_equal(now.rows[i], before->rows[i]);
    assert_memory_equal(now.digest, before->digest, sizeof now.digest);
}
