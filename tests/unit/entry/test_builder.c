/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: order, duplicates, what it refuses, what it signs; and the worked examples of entry.md
 * section 17. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "entry_test.h"

static eid_entry *finish(const eid_entry_builder *builder)
{
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    return entry;
}

static eid_entry_builder *child_builder(void)
{
    eid_entry_builder *builder;
    eid_id root = et_parse_id(ID_1);
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root, 1));
    return builder;
}

static void assert_same_entry(const eid_entry *a, const eid_entry *b)
{
    assert_true(eid_id_equal(&a->id, &b->id));
    assert_int_equal(a->cbor_len, b->cbor_len);
    assert_memory_equal(a->cbor, b->cbor, a->cbor_len);
}

/* ---- order ---- */

static void test_parents_sorted(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    eid_id ids[2 * COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        ids[i] = ids[2 * COUNT - 1 - i] = et_id(i);
    eid_entry_builder *builder = child_builder();
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, 2 * COUNT));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", ids, 2 * COUNT, NULL, NULL));
    eid_entry *entry = finish(builder);
    assert_int_equal(eid_entry_parent_count(entry), COUNT);
    assert_int_equal(eid_entry_store_parent_count(entry, 0), COUNT);
    for (size_t i = 1; i < COUNT; i++) {
        assert_true(eid_id_compare(eid_entry_parent(entry, i - 1), eid_entry_parent(entry, i)) < 0);
        assert_true(
            eid_id_compare(eid_entry_store_parent(entry, 0, i - 1), eid_entry_store_parent(entry, 0, i)) < 0);
    }
    eid_entry_unref(entry);

    /* Set again means replaced. */
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, 1));
    entry = finish(builder);
    assert_int_equal(eid_entry_parent_count(entry), 1);
    assert_true(eid_id_equal(eid_entry_parent(entry, 0), &ids[0]));
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
}

/* Identifiers are not in the order of their texts: this pair stands the other way round there. */
static void test_order_is_not_text_order(void **state)
{
    (void)state;
    eid_id first = et_parse_id("bafkr4iawwfv3c2ufjsxb7xhaaoh7w7ehuulgtwqiu6hsgqxu2gvuyfcymy");
    eid_id second = et_parse_id("bafkr4ia4gefwxww5ngmrzvhf3pxznqtdqu3mgk2tjy7nmr4fqrv7z26say");
    eid_id given[2] = {second, first};
    eid_entry_builder *builder = child_builder();
    tu_assert_ok(eid_entry_builder_set_parents(builder, given, 2));
    eid_entry *entry = finish(builder);
    assert_true(eid_id_equal(eid_entry_parent(entry, 0), &first));
    assert_true(eid_id_equal(eid_entry_parent(entry, 1), &second));
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
}

static void test_subtrees_sorted(void **state)
{
    (void)state;
    /* By bytes: upper case, underscore, lower case, then what is not ASCII; length does not count. */
    static const char *const sorted[] = {"A", "Zzz", "_index", "_root2", "a", "aa", "ab", "b", "\xc3\xbc"};
    enum { COUNT = sizeof sorted / sizeof *sorted };
    for (size_t shift = 0; shift < COUNT; shift++) {
        eid_entry_builder *builder = child_builder();
        for (size_t i = 0; i < COUNT; i++)
            tu_assert_ok(
                eid_entry_builder_set_subtree(builder, sorted[(i * 4 + shift) % COUNT], NULL, 0, NULL, NULL));
        eid_entry *entry = finish(builder);
        assert_int_equal(eid_entry_store_count(entry), COUNT);
        for (size_t i = 0; i < COUNT; i++)
            assert_string_equal(eid_entry_store_name(entry, i), sorted[i]);
        eid_entry_unref(entry);
        eid_entry_builder_free(builder);
    }
}

static void test_subtree_replaced(void **state)
{
    (void)state;
    eid_entry_builder *builder = child_builder();
    const eid_slice first = eid_slice_text("first");
    const eid_slice second = eid_slice_text("second, longer");
    const uint64_t height = 9;
    eid_id parent = et_id(5);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", &parent, 1, &first, &height));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "t", NULL, 0, NULL, NULL));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &second, NULL));
    eid_entry *entry = finish(builder);
    assert_int_equal(eid_entry_store_count(entry), 2);
    assert_int_equal(eid_entry_store_parent_count(entry, 0), 0);
    assert_false(entry->subtrees[0].has_height);
    const void *data;
    size_t len;
    assert_true(eid_entry_store_data(entry, 0, &data, &len));
    assert_true(eid_slice_equal(eid_slice_of(data, len), second));
    assert_false(eid_entry_store_data(entry, 1, &data, &len));
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
}

static void test_many_subtrees(void **state)
{
    (void)state;
    eid_entry_builder *builder = child_builder();
    char name[16];
    for (unsigned i = 0; i <= EID_LIMIT_ENTRY_SUBTREES; i++) {
        if (i == EID_LIMIT_ENTRY_SUBTREES) {
            eid_entry *full = finish(builder);
            assert_int_equal(eid_entry_store_count(full), EID_LIMIT_ENTRY_SUBTREES);
            et_assert_consistent(full);
            eid_entry_unref(full);
        }
        snprintf(name, sizeof name, "%u", i * 7919 % 2048);
        tu_assert_ok(eid_entry_builder_set_subtree(builder, name, NULL, 0, NULL, NULL));
    }
    eid_entry *entry = NULL;
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    assert_null(entry);
    eid_entry_builder_free(builder);
}

/* ---- fields ---- */

static void test_metadata(void **state)
{
    (void)state;
    eid_entry_builder *builder = child_builder();
    eid_entry *without = finish(builder);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_text("")));
    eid_entry *empty = finish(builder);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_text("meta")));
    eid_entry *with = finish(builder);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(NULL, 0)));
    eid_entry *removed = finish(builder);

    const void *data;
    size_t len = 7;
    assert_false(eid_entry_metadata(without, &data, &len));
    assert_true(eid_entry_metadata(empty, &data, &len));
    assert_int_equal(len, 0);
    assert_true(eid_entry_metadata(with, &data, &len));
    assert_true(eid_slice_is(eid_slice_of(data, len), "meta"));
    assert_same_entry(without, removed);
    assert_false(eid_id_equal(&without->id, &empty->id));
    eid_entry_unref(without);
    eid_entry_unref(empty);
    eid_entry_unref(with);
    eid_entry_unref(removed);
    eid_entry_builder_free(builder);
}

static void test_empty_root_is_none(void **state)
{
    (void)state;
    const eid_id empty = {0};
    eid_entry_builder *builders[2];
    eid_entry *entries[2];
    tu_assert_ok(eid_entry_builder_new(NULL, &builders[0]));
    tu_assert_ok(eid_entry_builder_new(&empty, &builders[1]));
    for (size_t i = 0; i < 2; i++) {
        tu_assert_ok(eid_entry_builder_set_subtree(builders[i], "_root", NULL, 0, NULL, NULL));
        entries[i] = finish(builders[i]);
        assert_true(eid_entry_is_root(entries[i]));
        assert_false(entries[i]->has_root);
        eid_entry_builder_free(builders[i]);
    }
    assert_same_entry(entries[0], entries[1]);
    eid_entry_unref(entries[0]);
    eid_entry_unref(entries[1]);
}

static void test_names(void **state)
{
    (void)state;
    eid_entry_builder *builder = child_builder();
    tu_assert_fails(eid_entry_builder_set_subtree(builder, "\xc3", NULL, 0, NULL, NULL), EID_ERR_UTF8);
    eid_entry *entry = finish(builder);
    assert_int_equal(eid_entry_store_count(entry), 0);
    eid_entry_unref(entry);

    char name[EID_LIMIT_STORE_NAME + 2];
    memset(name, 'n', sizeof name - 1);
    name[EID_LIMIT_STORE_NAME] = '\0';
    tu_assert_ok(eid_entry_builder_set_subtree(builder, name, NULL, 0, NULL, NULL));
    eid_entry_unref(finish(builder));
    name[EID_LIMIT_STORE_NAME] = 'n';
    name[EID_LIMIT_STORE_NAME + 1] = '\0';
    tu_assert_ok(eid_entry_builder_set_subtree(builder, name, NULL, 0, NULL, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    eid_entry_builder_free(builder);
}

static void test_too_large(void **state)
{
    (void)state;
    uint8_t *large = calloc(EID_LIMIT_ENTRY_BYTES, 1);
    assert_non_null(large);
    eid_keypair *key = et_key();
    eid_entry *entry = NULL;

    /* The exact edge: the signature counts too. */
    eid_entry_builder *builder = child_builder();
    eid_slice data = eid_slice_of(large, EID_LIMIT_ENTRY_BYTES - 1000);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &data, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &entry));
    data.len += EID_LIMIT_ENTRY_BYTES - entry->cbor_len;
    eid_entry_unref(entry);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &data, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &entry));
    assert_int_equal(entry->cbor_len, EID_LIMIT_ENTRY_BYTES);
    et_assert_consistent(entry);
    eid_entry_unref(entry);
    entry = NULL;
    data.len++;
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &data, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, key, NULL, &entry), EID_ERR_LIMIT);
    assert_null(entry);
    eid_entry_unref(finish(builder));

    /* Many parts that are too large only together. */
    data.len = EID_LIMIT_ENTRY_BYTES;
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "t", NULL, 0, &data, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    eid_entry_builder_free(builder);
    builder = child_builder();
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(large, EID_LIMIT_ENTRY_BYTES)));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    assert_null(entry);
    eid_entry_builder_free(builder);
    eid_keypair_free(key);
    free(large);
}

static void test_too_many_parents(void **state)
{
    (void)state;
    eid_id *ids = calloc(EID_LIMIT_ENTRY_PARENTS + 1, sizeof *ids);
    assert_non_null(ids);
    for (unsigned i = 0; i <= EID_LIMIT_ENTRY_PARENTS; i++)
        ids[i] = et_id(i);
    eid_entry_builder *builder = child_builder();
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, EID_LIMIT_ENTRY_PARENTS));
    eid_entry_unref(finish(builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, EID_LIMIT_ENTRY_PARENTS + 1));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    assert_null(entry);

    /* All lists together: the bound is met exactly, then passed by one. */
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, 1));
    char name[] = "a";
    for (size_t left = EID_LIMIT_ENTRY_IDS - 1; left > 0; name[0]++) {
        size_t count = left < EID_LIMIT_ENTRY_PARENTS ? left : EID_LIMIT_ENTRY_PARENTS;
        tu_assert_ok(eid_entry_builder_set_subtree(builder, name, ids, count, NULL, NULL));
        left -= count;
    }
    /* So many real identifiers do not fit: only the reason tells which bound it was. */
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    assert_null(strstr(eid_last_error(), "identifiers"));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, name, ids, 1, NULL, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_LIMIT);
    assert_non_null(strstr(eid_last_error(), "identifiers"));
    assert_null(entry);
    eid_entry_builder_free(builder);
    free(ids);
}

/* ---- signing ---- */

static void test_signed(void **state)
{
    (void)state;
    eid_entry_builder *builder = et_full_builder();
    eid_keypair *key = et_key();
    eid_pubkey pubkey;
    eid_keypair_public(key, &pubkey);
    eid_entry *unsigned_entry = finish(builder);
    eid_entry *entry;
    eid_entry *again;
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &entry));
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &again));
    assert_same_entry(entry, again);
    assert_false(eid_id_equal(&entry->id, &unsigned_entry->id));
    assert_true(eid_entry_is_unsigned(unsigned_entry));
    tu_assert_ok(eid_entry_verify_signature(entry, &pubkey));

    eid_sigkey direct;
    eid_sigkey_direct(&pubkey, &direct);
    assert_true(eid_sigkey_equal(&entry->sigkey, &direct));
    eid_pubkey signer;
    assert_true(eid_entry_signer(entry, &signer));
    assert_true(eid_pubkey_equal(&signer, &pubkey));
    eid_entry_unref(again);
    eid_entry_unref(entry);
    eid_entry_unref(unsigned_entry);
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
}

static void test_sigkeys(void **state)
{
    (void)state;
    eid_entry_builder *builder = et_full_builder();
    eid_keypair *key = et_key();
    eid_pubkey pubkey;
    eid_keypair_public(key, &pubkey);
    eid_sigkey sigkeys[4];
    eid_sigkey_direct(&pubkey, &sigkeys[0]);
    eid_sigkey_global(&pubkey, &sigkeys[1]);
    tu_assert_ok(eid_sigkey_named(eid_slice_text("laptop"), &sigkeys[2]));
    et_full_sigkey(&sigkeys[3]);
    for (size_t i = 0; i < 4; i++) {
        eid_entry *entry;
        tu_assert_ok(eid_entry_builder_finish(builder, key, &sigkeys[i], &entry));
        assert_true(eid_sigkey_equal(&entry->sigkey, &sigkeys[i]));
        tu_assert_ok(eid_entry_verify_signature(entry, &pubkey));
        assert_null(eid_entry_malformed(entry));
        et_assert_consistent(entry);
        eid_entry_unref(entry);
        eid_sigkey_free(&sigkeys[i]);
    }
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
}

static void test_refused_sigkeys(void **state)
{
    (void)state;
    eid_entry_builder *builder = et_full_builder();
    eid_keypair *key = et_key();
    eid_entry *entry = NULL;
    eid_sigkey sigkey;
    memset(&sigkey, 0, sizeof sigkey);
    tu_assert_fails(eid_entry_builder_finish(builder, key, &sigkey, &entry), EID_ERR_INVALID_ARGUMENT);
    sigkey.hint.is_global = true;
    tu_assert_fails(eid_entry_builder_finish(builder, key, &sigkey, &entry), EID_ERR_INVALID_ARGUMENT);
    char bad_name[] = "\xff";
    sigkey.hint.name = bad_name;
    sigkey.hint.name_len = 1;
    tu_assert_fails(eid_entry_builder_finish(builder, key, &sigkey, &entry), EID_ERR_UTF8);
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, &sigkey, &entry), EID_ERR_INVALID_ARGUMENT);

    eid_delegation_step steps[EID_LIMIT_DELEGATION_STEPS + 1];
    memset(steps, 0, sizeof steps);
    sigkey = (eid_sigkey){.is_delegation = true, .path = steps, .path_count = EID_LIMIT_DELEGATION_STEPS};
    tu_assert_ok(eid_entry_builder_finish(builder, key, &sigkey, &entry));
    eid_entry_unref(entry);
    entry = NULL;
    sigkey.path_count++;
    tu_assert_fails(eid_entry_builder_finish(builder, key, &sigkey, &entry), EID_ERR_LIMIT);
    eid_id tips[EID_LIMIT_DELEGATION_TIPS + 1];
    memset(tips, 0, sizeof tips);
    sigkey.path_count = 1;
    steps[0].tips = tips;
    steps[0].tip_count = EID_LIMIT_DELEGATION_TIPS + 1;
    tu_assert_fails(eid_entry_builder_finish(builder, key, &sigkey, &entry), EID_ERR_LIMIT);
    assert_null(entry);
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
}

/* A path that a direct key happens to carry is not part of the entry. */
static void test_direct_ignores_path(void **state)
{
    (void)state;
    eid_entry_builder *builder = et_full_builder();
    eid_keypair *key = et_key();
    eid_pubkey pubkey;
    eid_keypair_public(key, &pubkey);
    eid_delegation_step step;
    memset(&step, 0, sizeof step);
    eid_sigkey sigkey;
    eid_sigkey_direct(&pubkey, &sigkey);
    sigkey.path = &step;
    sigkey.path_count = 1;
    eid_entry *with;
    eid_entry *without;
    tu_assert_ok(eid_entry_builder_finish(builder, key, &sigkey, &with));
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &without));
    assert_same_entry(with, without);
    assert_int_equal(with->sigkey.path_count, 0);
    eid_entry_unref(with);
    eid_entry_unref(without);
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
}

/* ---- what structure the builder refuses ---- */

static void test_refused_structure(void **state)
{
    (void)state;
    eid_entry *entry = NULL;
    const eid_id empty = {0};
    eid_id some = et_id(1);
    eid_keypair *key = et_key();

    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    tu_assert_fails(eid_entry_builder_finish(builder, key, NULL, &entry), EID_ERR_INVALID_ENTRY);
    tu_assert_ok(eid_entry_builder_set_parents(builder, &some, 1));
    eid_entry_unref(finish(builder));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, NULL, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, NULL, NULL, &entry), EID_ERR_INVALID_ENTRY);
    tu_assert_ok(eid_entry_builder_set_parents(builder, NULL, 0));
    eid_entry_unref(finish(builder));
    eid_entry_builder_free(builder);

    builder = child_builder();
    tu_assert_ok(eid_entry_builder_set_parents(builder, &empty, 1));
    tu_assert_fails(eid_entry_builder_finish(builder, key, NULL, &entry), EID_ERR_INVALID_ENTRY);
    tu_assert_ok(eid_entry_builder_set_parents(builder, &some, 1));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "", NULL, 0, NULL, NULL));
    tu_assert_fails(eid_entry_builder_finish(builder, key, NULL, &entry), EID_ERR_INVALID_ENTRY);
    assert_null(entry);
    eid_entry_builder_free(builder);
    eid_keypair_free(key);
    eid_entry_builder_free(NULL);
}

/* ---- worked examples ---- */

static void assert_example(const eid_entry *entry, const char *id, const char *hex)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(&entry->id, text);
    assert_string_equal(text, id);
    if (hex != NULL)
        tu_assert_hex(entry->cbor, entry->cbor_len, hex);
}

static void test_example_root(void **state)
{
    (void)state;
    eid_entry_builder *builder;
    const eid_slice data = eid_slice_text("\"\"");
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, &data, NULL));
    eid_entry *entry = finish(builder);
    assert_example(entry, ID_1,
                   "a363736967a1636b6579a166446972656374a16468696e74a0"
                   "6474726565a167706172656e747380"
                   "68737562747265657381a36464617461422222646e616d65655f726f6f7467706172656e747380");
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
}

static void test_example_signed(void **state)
{
    (void)state;
    eid_id parents[2];
    /* The parents of the example are the raw identifiers of "parent1" and "parent2". */
    static const uint8_t head[] = {0x01, 0x55, 0x1e, 0x20};
    static const char *const digests[] = {"65010f3497e3562076f0ae71ef16cb79c797aade7b4aca85d8785521ab991d65",
                                          "03ed645adbb6e91eaffd8b468305c542b02b30180481161c784c837c0a10c16d"};
    for (size_t i = 0; i < 2; i++) {
        size_t len;
        uint8_t *digest = tu_hex_decode(digests[i], &len);
        memset(&parents[i], 0, sizeof parents[i]);
        parents[i].len = 36;
        memcpy(parents[i].bytes, head, sizeof head);
        memcpy(parents[i].bytes + sizeof head, digest, len);
        free(digest);
    }
    eid_id root = et_parse_id(ID_3);
    const uint64_t height = 3;
    const eid_slice data = eid_slice_text("{\"children\":{\"k\":{\"Text\":\"v\"}}}");
    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, parents, 2));
    eid_entry_builder_set_height(builder, 7);
    tu_assert_ok(
        eid_entry_builder_set_metadata(builder, eid_slice_text("{\"settings_tips\":[],\"entropy\":null}")));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "data", &parents[0], 1, &data, &height));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "aux", NULL, 0, NULL, NULL));
    eid_keypair *key = et_key();
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, key, NULL, &entry));
    assert_example(entry, "bafyr4icvmajpqzuncxdujmsda6tvyfiae4dl6tb5ojomaymv7x26ntcwke", NULL);
    assert_int_equal(entry->cbor_len, 503);
    assert_string_equal(
        entry->signature,
        "rHDzt0m4qppQ8SCQx1ICplr8sqWHAYLCdCE2hO2Nw3UBJRTjAvSum+ALxZUBWPzuUBJoftuv0fBXsumHI9WyDw==");
    eid_buf signing;
    eid_buf_init(&signing, EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_signing_bytes(&signing, entry);
    assert_int_equal(signing.len, 409);
    eid_buf_free(&signing);
    eid_entry_unref(entry);
    eid_keypair_free(key);
    eid_entry_builder_free(builder);
}

/* ---- memory ---- */

typedef struct build_context {
    eid_keypair *key;
    eid_sigkey sigkey;
    eid_id ids[3];
} build_context;

static eid_status build_all(const build_context *context, eid_entry_builder *builder, eid_entry **out)
{
    const eid_slice data = eid_slice_text("data");
    const uint64_t height = 4;
    EID_TRY(eid_entry_builder_set_parents(builder, context->ids, 3));
    EID_TRY(eid_entry_builder_set_metadata(builder, eid_slice_text("{}")));
    EID_TRY(eid_entry_builder_set_subtree(builder, "b", context->ids, 2, &data, &height));
    EID_TRY(eid_entry_builder_set_subtree(builder, "a", NULL, 0, NULL, NULL));
    EID_TRY(eid_entry_builder_set_subtree(builder, "b", context->ids, 3, &data, NULL));
    return eid_entry_builder_finish(builder, context->key, &context->sigkey, out);
}

static eid_status build_step(void *ctx)
{
    const build_context *context = ctx;
    eid_entry_builder *builder = NULL;
    EID_TRY(eid_entry_builder_new(&context->ids[0], &builder));
    eid_entry *entry = NULL;
    eid_status status = build_all(context, builder, &entry);
    assert_int_equal(status == EID_OK, entry != NULL);
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
    return status;
}

static void test_memory_failures(void **state)
{
    (void)state;
    build_context context = {et_key(), {0}, {et_id(1), et_id(2), et_id(3)}};
    et_full_sigkey(&context.sigkey);
    assert_true(tu_alloc_fault_loop(build_step, &context) >= 12);
    eid_sigkey_free(&context.sigkey);
    eid_keypair_free(context.key);
}

/* A setter that fails leaves the builder as it was. */
static eid_status change_step(void *ctx)
{
    eid_entry_builder *builder = ctx;
    const eid_slice data = eid_slice_text("other data");
    eid_id ids[2] = {et_id(7), et_id(8)};
    EID_TRY(eid_entry_builder_set_subtree(builder, "messages", ids, 2, &data, NULL));
    EID_TRY(eid_entry_builder_set_parents(builder, ids, 2));
    return eid_entry_builder_set_metadata(builder, data);
}

static void test_failed_setters_change_nothing(void **state)
{
    (void)state;
    tu_alloc_install();
    for (size_t n = 1; n <= 3; n++) {
        eid_entry_builder *builder = et_full_builder();
        eid_entry *before = finish(builder);
        /* Memory gives out for good inside the first setter, at its name, its data, its parents. */
        tu_alloc_fail_from(n);
        assert_int_equal(change_step(builder), EID_ERR_NO_MEMORY);
        tu_alloc_fail_at(0);
        eid_entry *after = finish(builder);
        assert_same_entry(before, after);
        eid_entry_unref(before);
        eid_entry_unref(after);
        eid_entry_builder_free(builder);
    }
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parents_sorted),
        cmocka_unit_test(test_order_is_not_text_order),
        cmocka_unit_test(test_subtrees_sorted),
        cmocka_unit_test(test_subtree_replaced),
        cmocka_unit_test(test_many_subtrees),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_empty_root_is_none),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_too_many_parents),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_sigkeys),
        cmocka_unit_test(test_refused_sigkeys),
        cmocka_unit_test(test_direct_ignores_path),
        cmocka_unit_test(test_refused_structure),
        cmocka_unit_test(test_example_root),
        cmocka_unit_test(test_example_signed),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_failed_setters_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
