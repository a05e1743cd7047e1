/* SPDX-License-Identifier: Apache-2.0 */
/* The signature block: its kinds, the bytes it covers, what a check refuses. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/key.h"
#include "entry_test.h"

#define BLOCK(members)   "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{" members "}}"
#define DIRECT(hint)     "\"key\":{\"Direct\":{\"hint\":{" hint "}}}"
#define DELEGATION(hint) "\"key\":{\"Delegation\":{\"path\":[],\"hint\":{" hint "}}}"
#define SIGNED           "\"sig\":\"x\","

static void test_kinds(void **state)
{
    (void)state;
    static const char no_signature[] = "entry has key hint but no signature";
    static const char no_hint[] = "entry has signature but no key hint";
    static const char delegation[] = "delegation entry requires a signature";
    static const struct {
        const char *text;
        bool is_unsigned;
        const char *malformed;
    } cases[] = {
        {BLOCK(DIRECT("")), true, NULL},
        {BLOCK(DIRECT("\"is_global\":true")), true, NULL},
        {BLOCK(DIRECT("\"name\":\"n\"")), false, no_signature},
        {BLOCK(DIRECT("\"name\":\"\"")), false, no_signature},
        {BLOCK(DIRECT("\"pubkey\":\"" KEY_1 "\"")), false, no_signature},
        {BLOCK(SIGNED DIRECT("")), false, no_hint},
        {BLOCK("\"sig\":\"\"," DIRECT("")), false, no_hint},
        {BLOCK(SIGNED DIRECT("\"is_global\":true")), false, no_hint},
        {BLOCK(SIGNED DIRECT("\"name\":\"n\"")), false, NULL},
        {BLOCK(SIGNED DIRECT("\"pubkey\":\"" KEY_1 "\"")), false, NULL},
        {BLOCK(SIGNED DIRECT("\"pubkey\":\"" KEY_1 "\",\"name\":\"n\"")), false, NULL},
        {BLOCK(SIGNED DIRECT("\"pubkey\":\"" KEY_1 "\",\"is_global\":true")), false, NULL},
        {BLOCK(DELEGATION("")), false, delegation},
        {BLOCK(DELEGATION("\"name\":\"n\"")), false, delegation},
        {BLOCK(SIGNED DELEGATION("")), false, NULL},
        {BLOCK(SIGNED DELEGATION("\"pubkey\":\"" KEY_1 "\"")), false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *entry = et_from_text(cases[i].text);
        assert_int_equal(eid_entry_is_unsigned(entry), cases[i].is_unsigned);
        const char *malformed = eid_entry_malformed(entry);
        if (malformed == NULL || cases[i].malformed == NULL)
            assert_ptr_equal(malformed, cases[i].malformed);
        else
            assert_string_equal(malformed, cases[i].malformed);
        eid_pubkey key;
        assert_int_equal(eid_entry_signer(entry, &key), entry->sigkey.hint.has_pubkey);
        eid_entry_unref(entry);
    }
}

/* ---- signing bytes ---- */

static uint8_t *signing_bytes(const eid_entry *entry, size_t *len)
{
    eid_buf buf;
    eid_buf_init(&buf, EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_signing_bytes(&buf, entry);
    uint8_t *data;
    tu_assert_ok(eid_buf_take(&buf, &data, len));
    return data;
}

/* They are the canonical bytes of the same entry without sig.sig. */
static void test_signing_bytes(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {BLOCK(SIGNED DIRECT("\"name\":\"n\"")), BLOCK(DIRECT("\"name\":\"n\""))},
        {BLOCK("\"sig\":\"\"," DIRECT("")), BLOCK(DIRECT(""))},
        {BLOCK("\"sig\":\"\\u0000\\u0000\"," DELEGATION("\"pubkey\":\"" KEY_1 "\"")),
         BLOCK(DELEGATION("\"pubkey\":\"" KEY_1 "\""))},
        {BLOCK(DIRECT("")), BLOCK(DIRECT(""))},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        eid_entry *with = et_from_text(pairs[i][0]);
        eid_entry *without = et_from_text(pairs[i][1]);
        size_t len;
        uint8_t *data = signing_bytes(with, &len);
        assert_int_equal(len, without->cbor_len);
        assert_memory_equal(data, without->cbor, len);
        eid_free(data);
        eid_entry_unref(with);
        eid_entry_unref(without);
    }
}

/* Signatures of every length of text, over each length of its head. */
static void test_signature_lengths(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 23, 24, 88, 255, 256, 65535, 65536};
    eid_entry *without = et_from_text(CHILD);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        eid_buf text;
        eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
        eid_buf_append_text(&text, "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{\"sig\":\"");
        for (size_t j = 0; j < lengths[i]; j++)
            eid_buf_append_byte(&text, 's');
        eid_buf_append_text(&text, "\",\"key\":{\"Direct\":{\"hint\":{}}}}}");
        eid_entry *entry = et_from_text((const char *)text.data);
        assert_int_equal(entry->signature_len, lengths[i]);
        assert_int_equal(strlen(entry->signature), lengths[i]);
        et_assert_consistent(entry);
        size_t len;
        uint8_t *data = signing_bytes(entry, &len);
        assert_int_equal(len, without->cbor_len);
        assert_memory_equal(data, without->cbor, len);
        eid_free(data);
        eid_entry_unref(entry);
        eid_buf_free(&text);
    }
    eid_entry_unref(without);
}

/* ---- checking ---- */

static void test_check(void **state)
{
    (void)state;
    eid_entry *entry = et_small_entry();
    eid_pubkey key;
    assert_true(eid_entry_signer(entry, &key));
    tu_assert_ok(eid_entry_verify_signature(entry, &key));

    eid_keypair *other;
    eid_pubkey other_key;
    tu_assert_ok(eid_keypair_generate(&other));
    eid_keypair_public(other, &other_key);
    tu_assert_fails(eid_entry_verify_signature(entry, &other_key), EID_ERR_BAD_SIGNATURE);
    eid_keypair_free(other);
    eid_entry_unref(entry);
}

/* Any bit of the content that changes makes the signature void, or is not read at all. */
static void test_covers_everything(void **state)
{
    (void)state;
    eid_entry *entry = et_small_entry();
    eid_pubkey key;
    assert_true(eid_entry_signer(entry, &key));
    uint8_t *changed = malloc(entry->cbor_len);
    assert_non_null(changed);
    memcpy(changed, entry->cbor, entry->cbor_len);
    size_t checked = 0;
    for (size_t bit = 0; bit < 8 * entry->cbor_len; bit++) {
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        eid_entry *forged;
        if (eid_entry_from_cbor(changed, entry->cbor_len, &forged) == EID_OK) {
            tu_assert_fails(eid_entry_verify_signature(forged, &key), EID_ERR_BAD_SIGNATURE);
            eid_entry_unref(forged);
            checked++;
        }
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(checked > 500);
    free(changed);
    eid_entry_unref(entry);
}

static void test_refused_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        BLOCK(DIRECT("\"pubkey\":\"" KEY_1 "\"")),
        BLOCK("\"sig\":\"\"," DIRECT("\"pubkey\":\"" KEY_1 "\"")),
        BLOCK("\"sig\":\"not base64\"," DIRECT("\"pubkey\":\"" KEY_1 "\"")),
        BLOCK("\"sig\":\"AAAA\"," DIRECT("\"pubkey\":\"" KEY_1 "\"")),
    };
    eid_pubkey key;
    tu_assert_ok(eid_pubkey_parse(KEY_1, &key));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        eid_entry *entry = et_from_text(texts[i]);
        tu_assert_fails(eid_entry_verify_signature(entry, &key), EID_ERR_BAD_SIGNATURE);
        eid_entry_unref(entry);
    }
}

/* A zero byte behind a good signature is part of the text: it is not that signature. */
static void test_hidden_zero(void **state)
{
    (void)state;
    eid_entry *entry = et_small_entry();
    eid_pubkey key;
    assert_true(eid_entry_signer(entry, &key));
    char *text;
    tu_assert_ok(eid_entry_to_json(entry, &text, NULL));
    char *quote = strstr(text, "==\",\"key\"");
    assert_non_null(quote);
    eid_buf changed;
    eid_buf_init(&changed, EID_LIMIT_ENTRY_BYTES);
    eid_buf_append(&changed, text, (size_t)(quote + 2 - text));
    eid_buf_append_text(&changed, "\\u0000");
    eid_buf_append_text(&changed, quote + 2);
    eid_entry *forged = et_from_text((const char *)changed.data);
    assert_string_equal(forged->signature, entry->signature);
    assert_false(eid_id_equal(&forged->id, &entry->id));
    tu_assert_fails(eid_entry_verify_signature(forged, &key), EID_ERR_BAD_SIGNATURE);
    eid_entry_unref(forged);
    eid_buf_free(&changed);
    eid_free(text);
    eid_entry_unref(entry);
}

static eid_status verify_step(void *ctx)
{
    const eid_entry *entry = ctx;
    eid_pubkey key;
    assert_true(eid_entry_signer(entry, &key));
    return eid_entry_verify_signature(entry, &key);
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_entry *entry = et_small_entry();
    assert_true(tu_alloc_fault_loop(verify_step, entry) >= 1);
    eid_entry_unref(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_signing_bytes),   cmocka_unit_test(test_signature_lengths),
        cmocka_unit_test(test_check),           cmocka_unit_test(test_covers_everything),
        cmocka_unit_test(test_refused_texts),   cmocka_unit_test(test_hidden_zero),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
