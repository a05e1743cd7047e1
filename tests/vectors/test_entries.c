/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded entries: what was encoded, what was accepted and refused, what the builder made and refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/cid.h"
#include "crypto/key.h"
#include "entry/entry.h"
#include "support/jsondom.h"

static jd_node *root_of_file;

/* Recorded entries that our builder refuses to make, on purpose. They are read like all others. */
static const struct {
    const char *name;
    const char *reason;
} not_built[] = {
    {"signed: global without pubkey", "malformed: it is signed and names no key, so nobody could check it"},
    {"signed: default hint", "malformed: it is signed and names no key, so nobody could check it"},
    {"unsigned with pubkey hint", "malformed: it names a key and is not signed"},
    {"unsigned with name hint", "malformed: it names a key and is not signed"},
    {"unsigned delegation", "malformed: a delegation that is not signed"},
    {"signature is not base64",
     "the recorder wrote the signature text by hand; ours is always made by signing"},
    {"signature is empty", "the recorder wrote the signature text by hand; ours is always made by signing"},
    {"signature does not cover the changed key hint", "the recorder changed the hint after signing"},
};

static const char *reason_not_built(const char *name)
{
    for (size_t i = 0; i < sizeof not_built / sizeof *not_built; i++) {
        if (strcmp(not_built[i].name, name) == 0)
            return not_built[i].reason;
    }
    return NULL;
}

/* The rule a recorded sentence is about, and the words of ours that name the same rule. */
static const struct {
    const char *recorded;
    const char *ours;
    eid_status status;
} rules[] = {
    {"has _root marker but also has parents", "marker _root", EID_ERR_INVALID_ENTRY},
    {"tree root ID", "tree.root is present but empty", EID_ERR_INVALID_ID},
    {"has a subtree with empty name", "has an empty name", EID_ERR_INVALID_ENTRY},
    {"has empty main tree parents", "may have no parents", EID_ERR_INVALID_ENTRY},
    {"has empty parent ID in main tree", "the entry has an empty parent ID", EID_ERR_INVALID_ENTRY},
    {"' with empty parent ID", "has an empty parent ID", EID_ERR_INVALID_ENTRY},
};

/* Asserts that a structural judgement is the recorded one, for the recorded reason. */
static void assert_judged(const char *name, eid_status status, const jd_node *recorded)
{
    if (jd_get_bool(recorded, "ok")) {
        if (status != EID_OK)
            fail_msg("%s: refused: %s", name, eid_last_error());
        return;
    }
    const char *error = jd_get_str(recorded, "error");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strstr(error, rules[i].recorded) == NULL)
            continue;
        if (status != rules[i].status || strstr(eid_last_error(), rules[i].ours) == NULL)
            fail_msg("%s: recorded \"%s\", got %s \"%s\"", name, error, eid_status_name(status),
                     eid_last_error());
        return;
    }
    fail_msg("%s: no rule is known for the recorded \"%s\"", name, error);
}

static void assert_id_text(const char *name, const eid_id *id, const char *text)
{
    char have[EID_ID_TEXT_SIZE];
    eid_id_format(id, have);
    if (strcmp(have, text) != 0)
        fail_msg("%s: ID %s, recorded %s", name, have, text);
}

static void assert_cbor(const eid_entry *entry, const char *hex)
{
    const void *data;
    size_t len;
    eid_entry_cbor(entry, &data, &len);
    tu_assert_hex(data, len, hex);
}

static eid_id parse_id(const jd_node *text)
{
    eid_id id;
    tu_assert_ok(eid_id_parse(jd_str(text), &id));
    return id;
}

static eid_entry *read_hex(const jd_node *hex)
{
    size_t len;
    uint8_t *data = jd_hex(hex, &len);
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_from_cbor(data, len, &entry));
    free(data);
    return entry;
}

/* ---- entries ---- */

static void assert_payload(bool present, const void *data, size_t len, const jd_node *recorded)
{
    assert_int_equal(present, !jd_is_null(recorded));
    if (present)
        tu_assert_hex(data, len, jd_str(recorded));
}

static void check_subtree(const eid_entry *entry, size_t index, const jd_node *recorded)
{
    const char *name = jd_get_str(recorded, "name");
    assert_string_equal(eid_entry_store_name(entry, index), name);
    assert_int_equal(entry->subtrees[index].name_len, strlen(name));
    assert_ptr_equal(eid_entry_subtree(entry, eid_slice_text(name)), &entry->subtrees[index]);

    const jd_node *parents = jd_need(recorded, "parents");
    assert_int_equal(eid_entry_store_parent_count(entry, index), jd_len(parents));
    for (size_t i = 0; i < jd_len(parents); i++)
        assert_id_text(name, eid_entry_store_parent(entry, index, i), jd_str(jd_at(parents, i)));

    const void *data = NULL;
    size_t len = 0;
    bool present = eid_entry_store_data(entry, index, &data, &len);
    assert_payload(present, data, len, jd_need(recorded, "data_hex"));

    const jd_node *own_height = jd_need(recorded, "own_height");
    assert_int_equal(entry->subtrees[index].has_height, !jd_is_null(own_height));
    if (!jd_is_null(own_height))
        assert_true(entry->subtrees[index].height == jd_u64(own_height));
    assert_true(eid_entry_store_height(entry, index) == jd_get_u64(recorded, "height"));
}

static void check_fields(const eid_entry *entry, const jd_node *recorded)
{
    const char *name = jd_get_str(recorded, "name");
    assert_judged(name, eid_entry_validate(entry), jd_need(recorded, "validate"));
    assert_int_equal(eid_entry_is_root(entry), jd_get_bool(recorded, "is_root"));

    const jd_node *root = jd_need(recorded, "root");
    assert_int_equal(entry->has_root, !jd_is_null(root));
    if (!jd_is_null(root))
        assert_id_text(name, eid_entry_database_id(entry), jd_str(root));
    else if (eid_entry_is_root(entry))
        assert_id_text(name, eid_entry_database_id(entry), jd_get_str(recorded, "id"));
    else
        assert_true(eid_id_is_empty(eid_entry_database_id(entry)));

    const jd_node *parents = jd_need(recorded, "parents");
    assert_int_equal(eid_entry_parent_count(entry), jd_len(parents));
    for (size_t i = 0; i < jd_len(parents); i++)
        assert_id_text(name, eid_entry_parent(entry, i), jd_str(jd_at(parents, i)));
    assert_true(eid_entry_height(entry) == jd_get_u64(recorded, "height"));

    const void *data = NULL;
    size_t len = 0;
    bool present = eid_entry_metadata(entry, &data, &len);
    assert_payload(present, data, len, jd_need(recorded, "metadata_hex"));

    const jd_node *subtrees = jd_need(recorded, "subtrees");
    assert_int_equal(eid_entry_store_count(entry), jd_len(subtrees));
    for (size_t i = 0; i < jd_len(subtrees); i++)
        check_subtree(entry, i, jd_at(subtrees, i));
}

static void check_signature(const eid_entry *entry, const jd_node *recorded)
{
    eid_buf signing;
    eid_buf_init(&signing, EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_signing_bytes(&signing, entry);
    tu_assert_ok(eid_buf_status(&signing));
    tu_assert_hex(signing.data, signing.len, jd_get_str(recorded, "signing_hex"));
    eid_buf_free(&signing);

    assert_int_equal(eid_entry_is_unsigned(entry), jd_get_bool(recorded, "unsigned"));
    const jd_node *malformed = jd_need(recorded, "malformed");
    if (jd_is_null(malformed))
        assert_null(eid_entry_malformed(entry));
    else
        assert_string_equal(eid_entry_malformed(entry), jd_str(malformed));

    const jd_node *signer = jd_get(recorded, "signer");
    assert_int_equal(eid_entry_is_signed(entry), !jd_is_null(signer));
    if (jd_is_null(signer))
        return;
    assert_string_equal(entry->signature, jd_get_str(signer, "signature"));
    eid_pubkey key;
    tu_assert_ok(eid_pubkey_parse(jd_get_str(signer, "public_key"), &key));
    if (jd_get_bool(signer, "verifies"))
        tu_assert_ok(eid_entry_verify_signature(entry, &key));
    else
        tu_assert_fails(eid_entry_verify_signature(entry, &key), EID_ERR_BAD_SIGNATURE);

    assert_false(jd_get_bool(signer, "verifies_with_other_key"));
    eid_keypair *other;
    const uint8_t seed[32] = {0x7e};
    tu_assert_ok(eid_keypair_from_seed(seed, &other));
    eid_keypair_public(other, &key);
    eid_keypair_free(other);
    tu_assert_fails(eid_entry_verify_signature(entry, &key), EID_ERR_BAD_SIGNATURE);
}

/* Reads the JSON text and asserts that the same entry comes out. */
static void check_json(const eid_entry *entry, eid_slice text)
{
    eid_entry *read;
    tu_assert_ok(eid_entry_from_json((const char *)text.data, text.len, &read));
    assert_true(eid_id_equal(eid_entry_id(read), eid_entry_id(entry)));
    assert_int_equal(read->cbor_len, entry->cbor_len);
    assert_memory_equal(read->cbor, entry->cbor, entry->cbor_len);
    assert_true(eid_sigkey_equal(&read->sigkey, &entry->sigkey));
    eid_entry_unref(read);
}

static void test_entries(void **state)
{
    (void)state;
    const jd_node *entries = jd_need(root_of_file, "entries");
    assert_int_equal(jd_len(entries), 80);
    size_t texts = 0;
    for (size_t i = 0; i < jd_len(entries); i++) {
        const jd_node *recorded = jd_at(entries, i);
        eid_entry *entry = read_hex(jd_need(recorded, "dagcbor_hex"));
        assert_id_text(jd_get_str(recorded, "name"), eid_entry_id(entry), jd_get_str(recorded, "id"));
        assert_cbor(entry, jd_get_str(recorded, "dagcbor_hex"));
        check_fields(entry, recorded);
        check_signature(entry, recorded);

        /* The one large entry has no JSON recorded. */
        const jd_node *json = jd_get(recorded, "json");
        if (json != NULL)
            check_json(entry, jd_source(json));
        char *written;
        size_t len;
        tu_assert_ok(eid_entry_to_json(entry, &written, &len));
        assert_int_equal(strlen(written), len);
        check_json(entry, eid_slice_of(written, len));
        const jd_node *text = jd_get(recorded, "json_text");
        if (!jd_is_null(text)) {
            assert_string_equal(written, jd_str(text));
            texts++;
        }
        eid_free(written);
        eid_entry_unref(entry);
    }
    assert_int_equal(texts, 79);
}

/* ---- the builder makes the same entries ---- */

/* IDs in the reverse of their order, and the first one twice: the builder must put that right. */
static eid_id *ids_disordered(const jd_node *texts, size_t *count)
{
    size_t len = jd_len(texts);
    eid_id *ids = malloc((len + 1) * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < len; i++)
        ids[len - 1 - i] = parse_id(jd_at(texts, i));
    if (len > 0)
        ids[len] = ids[0];
    *count = len == 0 ? 0 : len + 1;
    return ids;
}

static void add_subtree(eid_entry_builder *builder, const jd_node *recorded)
{
    size_t parent_count;
    eid_id *parents = ids_disordered(jd_need(recorded, "parents"), &parent_count);
    const jd_node *hex = jd_need(recorded, "data_hex");
    uint8_t *data = NULL;
    eid_slice slice = {NULL, 0};
    if (!jd_is_null(hex)) {
        data = jd_hex(hex, &slice.len);
        slice.data = data;
    }
    const jd_node *own_height = jd_need(recorded, "own_height");
    uint64_t height = jd_is_null(own_height) ? 0 : jd_u64(own_height);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, jd_get_str(recorded, "name"), parents, parent_count,
                                               data == NULL ? NULL : &slice,
                                               jd_is_null(own_height) ? NULL : &height));
    free(data);
    free(parents);
}

static eid_entry_builder *builder_of(const jd_node *recorded)
{
    eid_entry_builder *builder;
    const jd_node *root = jd_need(recorded, "root");
    eid_id root_id = {0};
    if (!jd_is_null(root))
        root_id = parse_id(root);
    tu_assert_ok(eid_entry_builder_new(&root_id, &builder));
    size_t count;
    eid_id *parents = ids_disordered(jd_need(recorded, "parents"), &count);
    tu_assert_ok(eid_entry_builder_set_parents(builder, parents, count));
    free(parents);
    eid_entry_builder_set_height(builder, jd_get_u64(recorded, "height"));
    const jd_node *metadata = jd_need(recorded, "metadata_hex");
    if (!jd_is_null(metadata)) {
        size_t len;
        uint8_t *data = jd_hex(metadata, &len);
        tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(data, len)));
        free(data);
    }
    const jd_node *subtrees = jd_need(recorded, "subtrees");
    for (size_t i = jd_len(subtrees); i > 0; i--)
        add_subtree(builder, jd_at(subtrees, i - 1));
    return builder;
}

static eid_keypair *signer_of(const jd_node *recorded)
{
    const jd_node *signer = jd_get(recorded, "signer");
    if (jd_is_null(signer))
        return NULL;
    size_t len;
    uint8_t *seed = jd_hex(jd_need(signer, "seed_hex"), &len);
    assert_int_equal(len, 32);
    eid_keypair *key;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    free(seed);
    return key;
}

/* Unset where no JSON is recorded: that entry is unsigned. */
static void read_recorded_sigkey(const jd_node *recorded, eid_sigkey *out)
{
    const jd_node *json = jd_get(recorded, "json");
    if (json == NULL) {
        memset(out, 0, sizeof *out);
        assert_true(jd_get_bool(recorded, "unsigned"));
        return;
    }
    eid_json reader;
    eid_json_init(&reader, jd_source(jd_need(jd_need(json, "sig"), "key")));
    tu_assert_ok(eid_sigkey_read_json(&reader, out));
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
}

static void test_rebuilt(void **state)
{
    (void)state;
    const jd_node *entries = jd_need(root_of_file, "entries");
    size_t refused = 0;
    for (size_t i = 0; i < jd_len(entries); i++) {
        const jd_node *recorded = jd_at(entries, i);
        const char *name = jd_get_str(recorded, "name");
        eid_entry_builder *builder = builder_of(recorded);
        eid_keypair *key = signer_of(recorded);
        eid_sigkey sigkey;
        read_recorded_sigkey(recorded, &sigkey);
        bool names_key = sigkey.is_delegation || sigkey.hint.has_pubkey || sigkey.hint.name != NULL;

        eid_entry *built = NULL;
        eid_status status =
            eid_entry_builder_finish(builder, key, names_key || key != NULL ? &sigkey : NULL, &built);
        const char *reason = reason_not_built(name);
        if (reason == NULL) {
            if (status != EID_OK)
                fail_msg("%s: not built: %s", name, eid_last_error());
            assert_id_text(name, eid_entry_id(built), jd_get_str(recorded, "id"));
            assert_cbor(built, jd_get_str(recorded, "dagcbor_hex"));
            check_fields(built, recorded);
            check_signature(built, recorded);
        } else {
            char recorded_id[EID_ID_TEXT_SIZE] = "";
            if (status == EID_OK)
                eid_id_format(eid_entry_id(built), recorded_id);
            else
                assert_int_equal(status, EID_ERR_INVALID_ARGUMENT);
            assert_string_not_equal(recorded_id, jd_get_str(recorded, "id"));
            print_message("differs on purpose: %s: %s\n", name, reason);
            refused++;
        }
        eid_entry_unref(built);
        eid_sigkey_free(&sigkey);
        eid_keypair_free(key);
        eid_entry_builder_free(builder);
    }
    assert_int_equal(refused, sizeof not_built / sizeof *not_built);
}

/* ---- readers ---- */

typedef struct expected_failure {
    const char *name;
    eid_status status;
} expected_failure;

static const expected_failure json_failures[] = {
    {"_v 1", EID_ERR_VERSION},
    {"_v 256", EID_ERR_VERSION},
    {"_v string", EID_ERR_WRONG_TYPE},
    {"_v null", EID_ERR_WRONG_TYPE},
    {"missing sig", EID_ERR_MISSING_FIELD},
    {"missing tree", EID_ERR_MISSING_FIELD},
    {"missing subtrees", EID_ERR_MISSING_FIELD},
    {"missing tree.parents", EID_ERR_MISSING_FIELD},
    {"missing subtree parents", EID_ERR_MISSING_FIELD},
    {"missing subtree name", EID_ERR_MISSING_FIELD},
    {"tree.root bad", EID_ERR_INVALID_ID},
    {"h negative", EID_ERR_RANGE},
    {"h float", EID_ERR_WRONG_TYPE},
    {"h string", EID_ERR_WRONG_TYPE},
    {"h null", EID_ERR_WRONG_TYPE},
    {"data value 256", EID_ERR_RANGE},
    {"data value -1", EID_ERR_RANGE},
    {"sig key missing", EID_ERR_MISSING_FIELD},
    {"sig key Direct without hint", EID_ERR_MISSING_FIELD},
    {"sig key Direct flattened (as the doc comment says)", EID_ERR_MISSING_FIELD},
    {"sig key unknown variant", EID_ERR_WRONG_TYPE},
    {"sig key two variants", EID_ERR_WRONG_TYPE},
    {"sig key bad pubkey", EID_ERR_INVALID_KEY},
    {"delegation step without tips", EID_ERR_MISSING_FIELD},
    {"array instead of object (positional)", EID_ERR_WRONG_TYPE},
    {"duplicate field tree", EID_ERR_DUPLICATE_KEY},
    {"trailing characters", EID_ERR_TRAILING_DATA},
    {"truncated", EID_ERR_TRUNCATED},
};

static const expected_failure cbor_failures[] = {
    {"_v 1", EID_ERR_VERSION},
    {"missing sig", EID_ERR_MISSING_FIELD},
    {"duplicate key tree", EID_ERR_DUPLICATE_KEY},
    {"trailing byte", EID_ERR_TRAILING_DATA},
    {"truncated", EID_ERR_TRUNCATED},
    {"data as text", EID_ERR_WRONG_TYPE},
    {"data as array of integers", EID_ERR_WRONG_TYPE},
    {"parent as text", EID_ERR_WRONG_TYPE},
    {"h negative", EID_ERR_WRONG_TYPE},
    {"h float 5.0", EID_ERR_SYNTAX},
    {"indefinite length map", EID_ERR_SYNTAX},
    {"indefinite length array of subtrees", EID_ERR_SYNTAX},
    {"invalid utf-8 name", EID_ERR_UTF8},
    {"positional array", EID_ERR_WRONG_TYPE},
    {"empty", EID_ERR_TRUNCATED},
    {"null", EID_ERR_WRONG_TYPE},
};

static void assert_expected(const expected_failure *table, size_t count, const char *name, eid_status status)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        if (table[i].status != status)
            fail_msg("%s: %s (%s), wanted %s", name, eid_status_name(status), eid_last_error(),
                     eid_status_name(table[i].status));
        return;
    }
    fail_msg("%s: recorded as refused and not in the table here; we answered %s (%s)", name,
             eid_status_name(status), eid_last_error());
}

static void test_json_decode(void **state)
{
    (void)state;
    const jd_node *cases = jd_need(root_of_file, "json_decode");
    size_t failures = 0;
    assert_true(jd_len(cases) > 60);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *recorded = jd_at(cases, i);
        const char *name = jd_get_str(recorded, "name");
        eid_slice text = jd_slice(jd_need(recorded, "json"));
        eid_entry *entry = NULL;
        eid_status status = eid_entry_from_json((const char *)text.data, text.len, &entry);
        if (!jd_get_bool(recorded, "decodes")) {
            assert_expected(json_failures, sizeof json_failures / sizeof *json_failures, name, status);
            assert_null(entry);
            failures++;
            continue;
        }
        if (status != EID_OK)
            fail_msg("%s: refused: %s", name, eid_last_error());
        assert_cbor(entry, jd_get_str(recorded, "dagcbor_hex"));
        assert_id_text(name, eid_entry_id(entry), jd_get_str(recorded, "id"));
        assert_int_equal(eid_entry_is_root(entry), jd_get_bool(recorded, "is_root"));
        assert_judged(name, eid_entry_validate(entry), jd_need(recorded, "validate"));
        eid_entry_unref(entry);
    }
    assert_int_equal(failures, sizeof json_failures / sizeof *json_failures);
}

static void test_cbor_decode(void **state)
{
    (void)state;
    const jd_node *cases = jd_need(root_of_file, "cbor_decode");
    size_t failures = 0;
    assert_true(jd_len(cases) > 25);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *recorded = jd_at(cases, i);
        const char *name = jd_get_str(recorded, "name");
        size_t len;
        uint8_t *data = jd_hex(jd_need(recorded, "hex"), &len);
        eid_entry *entry = NULL;
        eid_status status = eid_entry_from_cbor(data, len, &entry);
        if (!jd_get_bool(recorded, "decodes")) {
            assert_expected(cbor_failures, sizeof cbor_failures / sizeof *cbor_failures, name, status);
            assert_null(entry);
            failures++;
            free(data);
            continue;
        }
        if (status != EID_OK)
            fail_msg("%s: refused: %s", name, eid_last_error());
        assert_cbor(entry, jd_get_str(recorded, "reencoded_hex"));
        assert_id_text(name, eid_entry_id(entry), jd_get_str(recorded, "id"));
        bool same = entry->cbor_len == len && memcmp(entry->cbor, data, len) == 0;
        assert_int_equal(same, jd_get_bool(recorded, "same_bytes"));
        assert_judged(name, eid_entry_validate(entry), jd_need(recorded, "validate"));
        eid_entry_unref(entry);
        free(data);
    }
    assert_int_equal(failures, sizeof cbor_failures / sizeof *cbor_failures);
}

/* ---- what the builder refuses ---- */

/* The recorded cases hold only names and answers; what was tried is said by the name. */
static eid_status try_case(const char *name)
{
    eid_id some;
    tu_assert_ok(eid_id_parse("bafyr4ifr65w3wam3km3lrjg2zol6fzttig7vus5amugztdbsevt2zptraq", &some));
    const eid_id empty = {0};
    bool marker_with_parents = strcmp(name, "root with parents") == 0;
    bool marker_with_root = strcmp(name, "marker with tree root set") == 0;
    bool nothing = strcmp(name, "no parents, no marker") == 0;

    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(marker_with_parents ? NULL : &some, &builder));
    if (!marker_with_root && !nothing) {
        bool empty_parent = strcmp(name, "empty parent id") == 0;
        tu_assert_ok(eid_entry_builder_set_parents(builder, empty_parent ? &empty : &some, 1));
    }
    if (marker_with_root || marker_with_parents)
        tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, NULL, NULL));
    else if (strcmp(name, "empty subtree name") == 0)
        tu_assert_ok(eid_entry_builder_set_subtree(builder, "", NULL, 0, NULL, NULL));
    else if (strcmp(name, "empty subtree parent") == 0)
        tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", &empty, 1, NULL, NULL));
    else if (!nothing && strcmp(name, "empty parent id") != 0)
        fail_msg("an unknown recorded case: %s", name);

    eid_entry *entry = NULL;
    eid_status status = eid_entry_builder_finish(builder, NULL, NULL, &entry);
    assert_true(status == EID_OK || entry == NULL);
    eid_entry_unref(entry);
    eid_entry_builder_free(builder);
    return status;
}

static void test_builder(void **state)
{
    (void)state;
    const jd_node *cases = jd_need(root_of_file, "builder");
    assert_int_equal(jd_len(cases), 6);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const char *name = jd_get_str(jd_at(cases, i), "name");
        assert_judged(name, try_case(name), jd_need(jd_at(cases, i), "result"));
    }
}

/* ---- every entry of the recorded histories ---- */

static void test_histories(void **state)
{
    (void)state;
    jd_node *file = jd_load("dags.json");
    const jd_node *dags = jd_need(file, "dags");
    size_t seen = 0;
    for (size_t i = 0; i < jd_len(dags); i++) {
        const jd_node *dag = jd_at(dags, i);
        const jd_node *entries = jd_need(dag, "entries");
        for (size_t j = 0; j < jd_len(entries); j++) {
            const jd_node *recorded = jd_at(entries, j);
            eid_entry *entry = read_hex(jd_need(recorded, "dagcbor_hex"));
            const char *id = jd_get_str(recorded, "id");
            assert_id_text(id, eid_entry_id(entry), id);
            assert_cbor(entry, jd_get_str(recorded, "dagcbor_hex"));
            tu_assert_ok(eid_entry_validate(entry));
            assert_id_text(id, eid_entry_database_id(entry), jd_get_str(dag, "root"));
            eid_pubkey key;
            assert_true(eid_entry_signer(entry, &key));
            tu_assert_ok(eid_entry_verify_signature(entry, &key));
            eid_entry_pin pin;
            tu_assert_ok(eid_entry_read_pin(entry, &pin));
            assert_true(pin.present);
            assert_int_equal(pin.has_entropy, eid_entry_is_root(entry));
            eid_entry_pin_free(&pin);
            char *text;
            size_t len;
            tu_assert_ok(eid_entry_to_json(entry, &text, &len));
            check_json(entry, eid_slice_of(text, len));
            eid_free(text);
            eid_entry_unref(entry);
            seen++;
        }
    }
    assert_int_equal(seen, 928);
    jd_free(file);
}

static int load_file(void **state)
{
    (void)state;
    root_of_file = jd_load("entries.json");
    return 0;
}

static int free_file(void **state)
{
    (void)state;
    jd_free(root_of_file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),     cmocka_unit_test(test_rebuilt),
        cmocka_unit_test(test_json_decode), cmocka_unit_test(test_cbor_decode),
        cmocka_unit_test(test_builder),     cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, load_file, free_file);
}
