/* SPDX-License-Identifier: Apache-2.0 */
/* All of ids.json: hashing, the text, JSON and DAG-CBOR forms of identifiers, and their order. */
#include "support/jsondom.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/cid.h"
#include "codec/json.h"
#include "crypto/blake3.h"

static int load(void **state)
{
    *state = jd_load("ids.json");
    return 0;
}

static int unload(void **state)
{
    jd_free(*state);
    return 0;
}

static void assert_text(const eid_id *id, const char *wanted)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    assert_string_equal(text, wanted);
}

static void assert_cbor(const eid_id *id, const char *wanted_hex)
{
    eid_buf buf;
    eid_buf_init(&buf, 256);
    eid_cbor_write_id(&buf, id);
    tu_assert_ok(eid_buf_status(&buf));
    tu_assert_hex(buf.data, buf.len, wanted_hex);
    eid_buf_free(&buf);
}

static uint8_t *make_input(const jd_node *input, size_t *len)
{
    if (jd_get(input, "hex") != NULL)
        return jd_hex(jd_need(input, "hex"), len);
    bool pattern = jd_get(input, "pattern_mod_251_len") != NULL;
    *len = (size_t)jd_get_u64(input, pattern ? "pattern_mod_251_len" : "len");
    uint8_t *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *len; i++)
        bytes[i] = (uint8_t)(pattern ? i % 251 : jd_get_u64(input, "repeat_byte"));
    return bytes;
}

static void hashes(void **state)
{
    const jd_node *cases = jd_need(*state, "hash");
    assert_int_equal(jd_len(cases), 128);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        size_t len;
        uint8_t *input = make_input(jd_need(one, "input"), &len);
        uint64_t codec = strcmp(jd_get_str(one, "codec"), "raw") == 0 ? EID_CODEC_RAW : EID_CODEC_DAG_CBOR;
        eid_id id;
        if (strcmp(jd_get_str(one, "hash"), "blake3") == 0) {
            eid_id_of_bytes(codec, input, len, &id);
            assert_int_equal(eid_id_is_entry(&id), codec == EID_CODEC_DAG_CBOR);
        } else {
            uint8_t binary[EID_CID_BYTES] = {1, (uint8_t)codec, 0x12, 32};
            crypto_hash_sha256(binary + 4, input, len);
            tu_assert_ok(eid_id_from_binary(eid_slice_of(binary, sizeof binary), &id));
            assert_false(eid_id_is_entry(&id));
        }
        tu_assert_hex(id.bytes, id.len, jd_get_str(one, "cid_hex"));
        assert_text(&id, jd_get_str(one, "id"));
        assert_cbor(&id, jd_get_str(one, "dagcbor_hex"));
        free(input);
    }
}

static void parsing(void **state)
{
    const jd_node *cases = jd_need(*state, "parse");
    size_t accepted = 0;
    assert_int_equal(jd_len(cases), 121);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_slice text = jd_slice(jd_need(one, "string"));
        eid_id id;
        memset(&id, 0xa5, sizeof id);
        eid_id before = id;
        eid_status status = eid_id_parse_slice(text, &id);
        if (status != (jd_get_bool(one, "ok") ? EID_OK : EID_ERR_INVALID_ID))
            fail_msg("%s: %s", jd_get_str(one, "name"), status == EID_OK ? "accepted" : eid_last_error());
        if (status != EID_OK) {
            assert_memory_equal(&id, &before, sizeof id);
            continue;
        }
        accepted++;
        assert_text(&id, jd_get_str(one, "id"));
        assert_int_equal(eid_id_is_empty(&id), jd_get_bool(one, "empty"));
        assert_int_equal(eid_slice_is(text, jd_get_str(one, "id")), jd_get_bool(one, "canonical_same"));
        if (!jd_is_null(jd_need(one, "cid_hex")))
            tu_assert_hex(id.bytes, id.len, jd_get_str(one, "cid_hex"));
        /* Bytes beyond the length are zero, whatever stood there. */
        for (size_t j = id.len; j < sizeof id.bytes; j++)
            assert_int_equal(id.bytes[j], 0);
    }
    assert_int_equal(accepted, 96);
}

static void json_forms(void **state)
{
    const jd_node *cases = jd_need(*state, "json_decode");
    assert_int_equal(jd_len(cases), 8);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_json reader;
        eid_slice text;
        eid_id id;
        eid_json_init(&reader, jd_source(jd_need(one, "json")));
        eid_status status = eid_json_read_text(&reader, "the identifier", &text);
        if (status == EID_OK)
            status = eid_id_parse_slice(text, &id);
        assert_int_equal(status == EID_OK, jd_get_bool(one, "ok"));
        if (status == EID_OK)
            assert_text(&id, jd_get_str(one, "id"));
        eid_json_free(&reader);
    }
}

/* An identifier in a field: tag 42, or null for the empty one; nothing may follow. */
static eid_status decode_cbor(eid_slice input, bool strict, eid_id *out)
{
    eid_cbor reader;
    eid_cbor_item item;
    eid_cbor_init(&reader, input, strict);
    EID_TRY(eid_cbor_next(&reader, &item));
    if (item.kind == EID_CBOR_NULL)
        memset(&item.id, 0, sizeof item.id);
    else if (item.kind != EID_CBOR_ID)
        return eid_fail(EID_ERR_WRONG_TYPE, "not an identifier");
    EID_TRY(eid_cbor_end(&reader));
    *out = item.id;
    return EID_OK;
}

static void cbor_forms(void **state)
{
    const jd_node *cases = jd_need(*state, "cbor_decode");
    assert_int_equal(jd_len(cases), 20);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(one, "hex"), &len);
        eid_slice input = eid_slice_of(bytes, len);
        bool wanted = jd_get_bool(one, "ok");
        eid_id id;
        eid_status status = decode_cbor(input, false, &id);
        if ((status == EID_OK) != wanted)
            fail_msg("%s: %s", jd_get_str(one, "name"), status == EID_OK ? "accepted" : eid_last_error());
        if (wanted) {
            assert_text(&id, jd_get_str(one, "id"));
            assert_cbor(&id, jd_get_str(one, "reencoded_hex"));
        }
        /* The strict reader takes exactly what encodes back to the same bytes. */
        bool canonical = wanted && strcmp(jd_get_str(one, "hex"), jd_get_str(one, "reencoded_hex")) == 0;
        if ((decode_cbor(input, true, &id) == EID_OK) != canonical)
            fail_msg("%s: the strict reader is wrong", jd_get_str(one, "name"));
        free(bytes);
    }
}

static eid_id *parse_all(const jd_node *texts, size_t *count)
{
    *count = jd_len(texts);
    eid_id *ids = calloc(*count, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < *count; i++)
        tu_assert_ok(eid_id_parse(jd_str(jd_at(texts, i)), &ids[i]));
    return ids;
}

static void orders(void **state)
{
    const jd_node *order = jd_need(*state, "order");
    size_t count, wanted_count;
    eid_id *ids = parse_all(jd_need(order, "input"), &count);
    eid_id *wanted = parse_all(jd_need(order, "sorted"), &wanted_count);
    assert_int_equal(wanted_count, count);
    assert_int_equal(eid_ids_sort(ids, count), count);
    for (size_t i = 0; i < count; i++)
        assert_true(eid_id_equal(&ids[i], &wanted[i]));

    /* Every pair, in both orders; the order of the texts is the one of strcmp. */
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int binary = eid_id_compare(&wanted[i], &wanted[j]);
            assert_int_equal((binary > 0) - (binary < 0), (i > j) - (i < j));
            char left[EID_ID_TEXT_SIZE], right[EID_ID_TEXT_SIZE];
            eid_id_format(&wanted[i], left);
            eid_id_format(&wanted[j], right);
            int text = eid_id_compare_text(&wanted[i], &wanted[j]);
            int by_text = strcmp(left, right);
            assert_int_equal((text > 0) - (text < 0), (by_text > 0) - (by_text < 0));
        }
    }
    free(ids);
    free(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes),     cmocka_unit_test(parsing), cmocka_unit_test(json_forms),
        cmocka_unit_test(cbor_forms), cmocka_unit_test(orders),
    };
    return cmocka_run_group_tests_name("vectors-ids", tests, load, unload);
}
