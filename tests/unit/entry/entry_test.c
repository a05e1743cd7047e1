/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of entries share. */
#include "entry_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/cbor.h"
#include "codec/cid.h"
#include "crypto/blake3.h"
#include "support/jsondom.h"

eid_id et_id(unsigned n)
{
    eid_id id;
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, &n, sizeof n, &id);
    return id;
}

eid_id et_parse_id(const char *text)
{
    eid_id id;
    tu_assert_ok(eid_id_parse(text, &id));
    return id;
}

eid_keypair *et_key(void)
{
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    eid_keypair *key;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    return key;
}

eid_entry *et_from_text(const char *json)
{
    eid_entry *entry = NULL;
    eid_status status = eid_entry_from_json(json, strlen(json), &entry);
    if (status != EID_OK)
        fail_msg("%s: %s: %s", json, eid_status_name(status), eid_last_error());
    return entry;
}

eid_entry *et_from_bytes(const void *data, size_t len)
{
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_from_cbor(data, len, &entry));
    return entry;
}

/* ---- samples ---- */

eid_entry_builder *et_full_builder(void)
{
    eid_entry_builder *builder;
    eid_id root = et_id(1000);
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    eid_id ids[3] = {et_id(3), et_id(1), et_id(2)};
    const uint64_t zero = 0;
    const uint64_t height = 70000;
    const eid_slice data = eid_slice_text("{\"children\":{\"k\":{\"Text\":\"v\"}}}");
    const eid_slice empty = eid_slice_text("");
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, 3));
    eid_entry_builder_set_height(builder, 300);
    tu_assert_ok(eid_entry_builder_set_metadata(
        builder, eid_slice_text("{\"settings_tips\":[\"" ID_2 "\",\"" ID_1 "\"],\"entropy\":7}")));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "messages", ids, 2, &data, NULL));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "Zebra", NULL, 0, NULL, &zero));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "\xc3\xbc\"\n", ids + 2, 1, &empty, &height));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_index", ids, 3, NULL, NULL));
    return builder;
}

void et_full_sigkey(eid_sigkey *out)
{
    static const char text[] =
        "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_3 "\",\"" ID_2
        "\"]},{\"tree\":\"" ID_2 "\",\"tips\":[]}],\"hint\":{\"pubkey\":\"" KEY_1
        "\",\"name\":\"laptop\",\"is_global\":true}}}";
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    tu_assert_ok(eid_sigkey_read_json(&reader, out));
    eid_json_free(&reader);
}

eid_entry *et_full_entry(void)
{
    eid_entry_builder *builder = et_full_builder();
    eid_keypair *key = et_key();
    eid_sigkey sigkey;
    et_full_sigkey(&sigkey);
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, key, &sigkey, &entry));
    eid_sigkey_free(&sigkey);
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
    return entry;
}

eid_entry *et_small_entry(void)
{
    eid_entry_builder *builder;
    eid_id root = et_id(1);
    const eid_slice data = eid_slice_text("{\"children\":{}}");
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root, 1));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "notes", NULL, 0, &data, NULL));
    eid_keypair *key = et_key();
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &entry));
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
    return entry;
}

void et_assert_consistent(const eid_entry *entry)
{
    eid_entry *again = et_from_bytes(entry->cbor, entry->cbor_len);
    /* A root that is present but empty is the one thing the canonical bytes can not say: it reads as absent.
     */
    if (!(entry->has_root && eid_id_is_empty(&entry->root))) {
        assert_true(eid_id_equal(&again->id, &entry->id));
        assert_int_equal(again->cbor_len, entry->cbor_len);
        assert_memory_equal(again->cbor, entry->cbor, entry->cbor_len);
    }
    eid_entry_unref(again);
}

/* ---- JSON to DAG-CBOR ---- */

static bool is_payload(const char *key)
{
    return strcmp(key, "data") == 0 || strcmp(key, "metadata") == 0;
}

static bool is_identifier(eid_slice text)
{
    return text.len > 50 && memcmp(text.data, "baf", 3) == 0;
}

static void write_string(eid_buf *buf, eid_slice text, const char *key, bool in_array)
{
    if (is_identifier(text)) {
        eid_id id;
        tu_assert_ok(eid_id_parse_slice(text, &id));
        eid_cbor_write_id(buf, &id);
    } else if (in_array && text.len == 0) {
        eid_cbor_write_null(buf);
    } else if (is_payload(key)) {
        eid_cbor_write_bytes(buf, text.data, text.len);
    } else {
        eid_cbor_write_text_slice(buf, text);
    }
}

static void write_node(eid_buf *buf, const jd_node *node, const char *key, bool in_array)
{
    switch (jd_kind_of(node)) {
    case JD_NULL:
        eid_cbor_write_null(buf);
        break;
    case JD_BOOL:
        eid_cbor_write_bool(buf, jd_bool(node));
        break;
    case JD_NUMBER:
        if (jd_number_text(node)[0] == '-')
            eid_cbor_write_int(buf, jd_i64(node));
        else
            eid_cbor_write_uint(buf, jd_u64(node));
        break;
    case JD_STRING:
        write_string(buf, jd_slice(node), key, in_array);
        break;
    case JD_ARRAY:
        eid_cbor_write_array(buf, jd_len(node));
        for (size_t i = 0; i < jd_len(node); i++)
            write_node(buf, jd_at(node, i), "", true);
        break;
    case JD_OBJECT:
        eid_cbor_write_map(buf, jd_len(node));
        for (size_t i = 0; i < jd_len(node); i++) {
            eid_cbor_write_text(buf, jd_key_at(node, i));
            write_node(buf, jd_at(node, i), jd_key_at(node, i), false);
        }
        break;
    }
}

uint8_t *et_cbor_of_json(const char *json, size_t *len)
{
    jd_node *node = jd_parse(eid_slice_text(json));
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX / 2);
    write_node(&buf, node, "", false);
    jd_free(node);
    tu_assert_ok(eid_buf_status(&buf));
    uint8_t *copy = malloc(buf.len + 1);
    assert_non_null(copy);
    memcpy(copy, buf.data, buf.len);
    *len = buf.len;
    eid_buf_free(&buf);
    return copy;
}
