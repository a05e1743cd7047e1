/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving one entry at a time: every reason to refuse, each told apart, and nothing left of what was refused. */
#include "database_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

/* A database with an admin (1), a writer (2), a reader (3) and a revoked writer (4), in a core that received all of it. */
typedef struct fixture {
    eid_core *core;
    eid_database *database;
    eid_id root;
    eid_id settings[4]; /* the grants, oldest first */
    eid_id tip;         /* a data entry on top of them */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->core = dt_memory();
    f->database = dt_create(f->core);
    f->root = *eid_database_root_id(f->database);
    f->settings[0] = dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    f->settings[1] = dt_grant(f->database, 3, EID_PERM_READ, EID_KEY_ACTIVE);
    f->settings[2] = dt_grant(f->database, 4, EID_PERM_WRITE, EID_KEY_ACTIVE);
    f->settings[3] = dt_grant(f->database, 4, EID_PERM_WRITE, EID_KEY_REVOKED);
    f->tip = dt_commit_int(f->database, "s", "k", 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ti_check_core(f->core);
    eid_database_close(f->database);
    eid_core_close(f->core);
    free(f);
    return 0;
}

/* A good entry of this key; the tests spoil one thing each. */
static dt_draft good(const fixture *f, uint8_t key)
{
    return (dt_draft){.root = &f->root,
                      .parents = &f->tip,
                      .parent_count = 1,
                      .pins = &f->settings[3],
                      .pin_count = 1,
                      .height = 6,
                      .store = "s",
                      .payload = "{\"children\":{\"k\":{\"Int\":7000}}}",
                      .store_parents = &f->tip,
                      .store_parent_count = 1,
                      .key = key};
}

static void refuse(fixture *f, eid_entry *entry, eid_status reason)
{
    dt_assert_refused(f->core, &f->root, entry, reason);
}

/* Refused for the reason, and from then on as refused before. */
static void refuse_for_good(fixture *f, eid_entry *entry, eid_status reason)
{
    refuse(f, entry, reason);
    refuse(f, entry, EID_ERR_REFUSED_BEFORE);
    eid_entry_unref(entry);
}

static void accept(fixture *f, eid_entry *entry)
{
    eid_receipt receipt = dt_receive(f->core, &f->root, &entry, 1);
    if (receipt.admitted != 1)
        fail_msg("not admitted: %s", receipt.text);
    receipt = dt_receive(f->core, &f->root, &entry, 1);
    assert_true(receipt.held == 1 && receipt.admitted == 0);
    eid_entry_unref(entry);
}

static void test_good_entries_pass(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 1);
    accept(f, dt_make(&draft));
    assert_int_equal(dt_int(f->database, "s", "k"), 7000);
    draft = good(f, 2);
    accept(f, dt_make(&draft));
    draft.payload = NULL; /* takes part without data */
    accept(f, dt_make(&draft));
    draft.store = NULL; /* changes nothing at all */
    accept(f, dt_make(&draft));
    draft = good(f, 1);
    draft.store = EID_SETTINGS;
    draft.payload = "{\"children\":{\"name\":{\"Text\":\"new\"}}}";
    draft.store_parents = &f->settings[3];
    accept(f, dt_make(&draft));
    char *name;
    tu_assert_ok(eid_database_name(f->database, &name));
    assert_string_equal(name, "new");
    eid_free(name);
}

/* ---- Signatures ---- */

/* Features 7, 125 */
static void test_damaged_signatures(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 1);
    eid_entry *entry = dt_make(&draft);
    refuse_for_good(f, dt_tamper(entry, "\"Int\":7"), EID_ERR_BAD_SIGNATURE); /* the payload */
    refuse_for_good(f, dt_tamper(entry, "settings_tips"), EID_ERR_BAD_SIGNATURE);
    char first[9];
    memcpy(first, entry->signature, 8);
    first[8] = '\0';
    refuse_for_good(f, dt_tamper(entry, first), EID_ERR_BAD_SIGNATURE);
    accept(f, entry); /* the honest one is not harmed by its copies */
}

static void test_foreign_signature(void **state)
{
    fixture *f = *state;
    /* Signed by key 5 in the name of key 1. */
    eid_pubkey admin = dt_pubkey(1);
    eid_sigkey sigkey;
    eid_sigkey_direct(&admin, &sigkey);
    dt_draft draft = good(f, 5);
    draft.sigkey = &sigkey;
    refuse_for_good(f, dt_make(&draft), EID_ERR_BAD_SIGNATURE);
    /* And in the name of a name: no key is claimed, so it is a matter of permission. */
    eid_sigkey named;
    tu_assert_ok(eid_sigkey_named(eid_slice_text("nobody"), &named));
    draft = good(f, 1);
    draft.sigkey = &named;
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
    eid_sigkey_free(&named);
}

/* ---- Permissions ---- */

/* Feature 103 */
static void test_permissions(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 5);
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED); /* not listed */
    draft = good(f, 3);
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED); /* may only read */
    draft = good(f, 4);
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED); /* revoked */
    draft = good(f, 2);
    draft.store = EID_SETTINGS;
    draft.payload = "{\"children\":{\"name\":{\"Text\":\"mine\"}}}";
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED); /* settings need admin */
    draft.payload = NULL;
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED); /* also without data */
    /* An entry can not grant itself what it needs. */
    char payload[512], text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey own = dt_pubkey(5);
    eid_pubkey_format(&own, text);
    snprintf(payload, sizeof payload,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":{\"Doc\":{\"_a\":true,"
             "\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Admin\"},\"priority\":{\"Int\":0}}}},"
             "\"status\":{\"Text\":\"Active\"}}}}}}}}}}}}",
             text);
    draft = good(f, 5);
    draft.store = EID_SETTINGS;
    draft.payload = payload;
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
    eid_pubkey claimed = dt_pubkey(5);
    eid_sigkey global;
    eid_sigkey_global(&claimed, &global);
    draft = good(f, 5);
    draft.sigkey = &global; /* nobody gave everybody anything */
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
}

static void test_unsigned(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 0);
    refuse_for_good(f, dt_make(&draft), EID_ERR_AUTH_REQUIRED);
    draft.pin_count = 0;
    refuse_for_good(f, dt_make(&draft), EID_ERR_AUTH_REQUIRED);
}

static void test_delegation_that_nobody_made(void **state)
{
    fixture *f = *state;
    eid_pubkey key = dt_pubkey(5);
    eid_delegation_step step = {.tree = f->root, .tips = &f->tip, .tip_count = 1};
    eid_sigkey sigkey = {.is_delegation = true, .hint = {.has_pubkey = true, .pubkey = key}, .path = &step, .path_count = 1};
    dt_draft draft = good(f, 5);
    draft.sigkey = &sigkey;
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
}

/* ---- Pins ---- */

static void test_pinning_nothing(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 1);
    draft.pin_count = 0;
    refuse_for_good(f, dt_make(&draft), EID_ERR_AUTH_REQUIRED);
    draft.no_metadata = true;
    refuse_for_good(f, dt_make(&draft), EID_ERR_AUTH_REQUIRED);
    draft = good(f, 1);
    draft.pins = &f->tip; /* held, but no settings */
    refuse_for_good(f, dt_make(&draft), EID_ERR_AUTH_REQUIRED);
    draft = good(f, 1);
    eid_database *other = dt_create(f->core);
    draft.pins = eid_database_root_id(other); /* settings, but of another database */
    refuse_for_good(f, dt_make(&draft), EID_ERR_WRONG_TREE);
    eid_database_close(other);
}

static void test_unreadable_metadata(void **state)
{
    fixture *f = *state;
    static const char *const texts[] = {"{}", "", "[]", "{\"settings_tips\":null}", "{\"settings_tips\":[\"nonsense\"]}", "junk"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        dt_draft draft = good(f, 1);
        draft.metadata = texts[i];
        eid_entry *entry = dt_make(&draft);
        dt_print before = dt_fingerprint(f->core);
        eid_receipt receipt = dt_receive(f->core, &f->root, &entry, 1);
        assert_int_equal(receipt.refused, 1);
        assert_int_not_equal(receipt.first_refusal, EID_ERR_PERMISSION_DENIED);
        assert_int_not_equal(receipt.first_refusal, EID_ERR_BAD_SIGNATURE);
        dt_assert_unchanged(f->core, &before);
        refuse(f, entry, EID_ERR_REFUSED_BEFORE);
        eid_entry_unref(entry);
    }
}

static void test_too_many_pins(void **state)
{
    fixture *f = *state;
    eid_id *pins = calloc(EID_LIMIT_SETTINGS_PIN + 1, sizeof *pins);
    for (unsigned i = 0; i <= EID_LIMIT_SETTINGS_PIN; i++) {
        uint8_t digest[32] = {1};
        memcpy(digest + 4, &i, sizeof i);
        eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &pins[i]);
    }
    dt_draft draft = good(f, 1);
    draft.pins = pins;
    draft.pin_count = EID_LIMIT_SETTINGS_PIN + 1;
    refuse_for_good(f, dt_make(&draft), EID_ERR_LIMIT);
    free(pins);
}

/* What a key could do when the pinned settings were current counts, not what it can do now. */
static void test_judged_by_what_is_pinned(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 2);
    draft.pins = &f->root; /* before key 2 was let in */
    refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
    draft = good(f, 2);
    draft.pins = &f->settings[0];
    draft.parents = &f->settings[0];
    accept(f, dt_make(&draft));
    draft = good(f, 4);
    draft.pins = &f->settings[2];
    draft.parents = &f->settings[2]; /* written before the revocation was known: a branch */
    accept(f, dt_make(&draft));
}

/* Two concurrent settings, both pinned: what both say together counts. */
static void test_pinning_two_branches_of_settings(void **state)
{
    fixture *f = *state;
    eid_id branches[2];
    for (uint8_t i = 0; i < 2; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction_at(f->database, &f->tip, 1, &txn));
        eid_txn_store *settings;
        eid_value *value;
        eid_doc *record;
        char text[EID_PUBKEY_TEXT_SIZE], path[96] = "auth.keys.";
        eid_pubkey key = dt_pubkey((uint8_t)(6 + i));
        eid_pubkey_format(&key, text);
        strcat(path, text);
        tu_assert_ok(eid_auth_key_to_doc(NULL, (eid_permission){EID_PERM_WRITE, 1}, EID_KEY_ACTIVE, &record));
        tu_assert_ok(eid_value_new_doc(record, &value));
        eid_doc_free(record);
        tu_assert_ok(eid_txn_open_store(txn, EID_SETTINGS, NULL, &settings));
        tu_assert_ok(eid_txn_store_set(settings, eid_slice_text(path), value));
        tu_assert_ok(eid_txn_commit_free(txn, &branches[i]));
    }
    for (uint8_t i = 0; i < 2; i++) {
        dt_draft draft = good(f, (uint8_t)(6 + i));
        draft.pins = &branches[1 - i];
        refuse_for_good(f, dt_make(&draft), EID_ERR_PERMISSION_DENIED);
        draft.pins = branches;
        draft.pin_count = 2;
        accept(f, dt_make(&draft));
    }
}

/* ---- Whose entry ---- */

static void test_entries_of_another_database(void **state)
{
    fixture *f = *state;
    eid_database *other = dt_create(f->core);
    eid_id id = dt_commit_int(other, "s", "k", 1);
    eid_entry *entry = dt_entry(other, &id), *root = dt_entry(other, eid_database_root_id(other));
    for (int i = 0; i < 2; i++) { /* says nothing against the entry itself, so it is not remembered */
        refuse(f, entry, EID_ERR_WRONG_TREE);
        refuse(f, root, EID_ERR_WRONG_TREE);
    }
    dt_draft draft = good(f, 1);
    eid_id parents[2] = {f->tip, id};
    draft.parents = parents;
    draft.parent_count = 2;
    refuse_for_good(f, dt_make(&draft), EID_ERR_WRONG_TREE);
    draft.parents = &parents[1];
    draft.parent_count = 1;
    refuse_for_good(f, dt_make(&draft), EID_ERR_WRONG_TREE);
    eid_entry_unref(entry);
    eid_entry_unref(root);
    eid_database_close(other);
}

static eid_entry *from_json(const char *format, const fixture *f)
{
    char root[EID_ID_TEXT_SIZE], tip[EID_ID_TEXT_SIZE], *text;
    eid_entry *entry;
    eid_id_format(&f->root, root);
    eid_id_format(&f->tip, tip);
    char *with_root = NULL;
    const char *place = strstr(format, "ROOT");
    assert_true(asprintf(&with_root, "%.*s%s%s", (int)(place - format), format, root, place + 4) > 0);
    place = strstr(with_root, "TIP");
    if (place == NULL)
        text = strdup(with_root);
    else
        assert_true(asprintf(&text, "%.*s%s%s", (int)(place - with_root), with_root, tip, place + 3) > 0);
    tu_assert_ok(eid_entry_from_json(text, strlen(text), &entry));
    free(with_root);
    free(text);
    return entry;
}

static void test_wrong_structure(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text;
        eid_status reason;
    } cases[] = {
        {"{\"tree\":{\"root\":\"ROOT\",\"parents\":[]},\"subtrees\":[],\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}}", EID_ERR_INVALID_ENTRY},
        {"{\"tree\":{\"root\":\"ROOT\",\"parents\":[\"TIP\"]},\"subtrees\":[{\"name\":\"\",\"parents\":[]}],"
         "\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}}",
         EID_ERR_INVALID_ENTRY},
        {"{\"tree\":{\"root\":\"ROOT\",\"parents\":[\"TIP\"]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}],"
         "\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}}",
         EID_ERR_INVALID_ENTRY},
        {"{\"tree\":{\"root\":\"ROOT\",\"parents\":[\"TIP\",\"\"]},\"subtrees\":[],\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}}",
         EID_ERR_INVALID_ENTRY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *entry = from_json(cases[i].text, f);
        refuse(f, entry, cases[i].reason);
        eid_entry_unref(entry);
    }
}

/* Lists a reader must tolerate: the same parent twice, the same store twice. */
static void test_tolerated_structure(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root(NULL, 0, 1);
    char id[EID_ID_TEXT_SIZE], text[2048];
    eid_id_format(&root->id, id);
    dt_receive(core, &root->id, &root, 1);
    snprintf(text, sizeof text,
             "{\"tree\":{\"root\":\"%s\",\"parents\":[\"%s\",\"%s\"],\"h\":1},\"subtrees\":["
             "{\"name\":\"s\",\"parents\":[\"%s\",\"%s\"],\"data\":[123,125]},{\"name\":\"s\",\"parents\":[]}],"
             "\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}}",
             id, id, id, id, id);
    eid_entry *entry;
    tu_assert_ok(eid_entry_from_json(text, strlen(text), &entry));
    eid_receipt receipt = dt_receive(core, &root->id, &entry, 1);
    if (receipt.admitted != 1)
        fail_msg("%s", receipt.text);
    ti_check_core(core);
    eid_entry_unref(entry);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* ---- Databases without auth ---- */

static void test_open_database(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root("{\"children\":{\"name\":{\"Text\":\"open\"}}}", 0, 1);
    eid_receipt receipt = dt_receive(core, &root->id, &root, 1);
    assert_int_equal(receipt.admitted, 1);
    dt_draft draft = {.root = &root->id, .parents = &root->id, .parent_count = 1, .height = 1, .store = "s", .payload = "{}"};
    eid_entry *free_entry = dt_make(&draft);
    assert_int_equal(dt_receive(core, &root->id, &free_entry, 1).admitted, 1);
    draft.pins = &root->id;
    draft.pin_count = 1;
    eid_entry *pinned = dt_make(&draft);
    assert_int_equal(dt_receive(core, &root->id, &pinned, 1).admitted, 1);
    draft.key = 1;
    eid_entry *signed_entry = dt_make(&draft);
    dt_assert_refused(core, &root->id, signed_entry, EID_ERR_PERMISSION_DENIED);
    char id[EID_ID_TEXT_SIZE], text[1024]; /* names a key, but carries no signature */
    eid_id_format(&root->id, id);
    snprintf(text, sizeof text,
             "{\"tree\":{\"root\":\"%s\",\"parents\":[\"%s\"]},\"subtrees\":[],\"sig\":{\"key\":{\"Direct\":{\"hint\":"
             "{\"name\":\"x\"}}}}}",
             id, id);
    eid_entry *malformed;
    tu_assert_ok(eid_entry_from_json(text, strlen(text), &malformed));
    dt_assert_refused(core, &root->id, malformed, EID_ERR_BAD_SIGNATURE);
    eid_entry_unref(malformed);
    ti_check_core(core);
    eid_entry_unref(signed_entry);
    eid_entry_unref(pinned);
    eid_entry_unref(free_entry);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* ---- Roots ---- */

static void refuse_root(eid_core *core, const eid_id *database, eid_entry *root)
{
    dt_print before = dt_fingerprint(core);
    eid_receipt receipt;
    assert_int_equal(eid_core_receive(core, database, &root, 1, &receipt, NULL), EID_ERR_DATABASE_NOT_FOUND);
    dt_assert_unchanged(core, &before);
    assert_false(eid_core_holds(core, database));
    assert_int_equal(receipt.admitted, 0);
}

static void test_roots(void **state)
{
    fixture *f = *state;
    eid_core *core = dt_memory();
    size_t count;
    eid_entry **entries = dt_entries(f->core, &f->root, &count), *root = entries[0];
    assert_true(root->is_root);
    uint64_t number;
    assert_int_equal(eid_core_entry_count(core, &f->root, &number), EID_ERR_DATABASE_NOT_FOUND);
    /* Without the root nothing of an unknown database is kept, not even waiting. */
    dt_print nothing = dt_fingerprint(core);
    eid_receipt receipt;
    assert_int_equal(eid_core_receive(core, &f->root, entries + 1, count - 1, &receipt, NULL), EID_ERR_DATABASE_NOT_FOUND);
    assert_int_equal(eid_core_receive(core, &f->root, NULL, 0, &receipt, NULL), EID_OK);
    dt_assert_unchanged(core, &nothing);
    refuse_root(core, &f->tip, root); /* a root, but not that one's */
    eid_entry *tampered = dt_tamper(root, "\"test");
    refuse_root(core, &tampered->id, tampered);
    eid_entry *unsigned_root = dt_make_root("{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":"
                                            "{\"x\":{\"Int\":1}}}}}}}}}",
                                            0, 2);
    refuse_root(core, &unsigned_root->id, unsigned_root);
    eid_entry *bad_settings = dt_make_root("no document", 1, 3);
    refuse_root(core, &bad_settings->id, bad_settings);
    eid_entry *stranger = dt_make_root("{\"children\":{}}", 5, 4); /* signed, but its own settings name nobody */
    refuse_root(core, &stranger->id, stranger);
    receipt = dt_receive(core, &f->root, entries, count);
    assert_int_equal(receipt.admitted, count);
    eid_entry_unref(stranger);
    eid_entry_unref(bad_settings);
    eid_entry_unref(unsigned_root);
    eid_entry_unref(tampered);
    th_free_entries(entries, count);
    eid_core_close(core);
}

/* ---- Keys that are no keys ---- */

/* The same bytes with another key in the place of the signer's: the 32 bytes of no point of the curve. */
static void forge_key(eid_slice entry, const eid_pubkey *signer)
{
    eid_pubkey forged = *signer;
    char before[EID_PUBKEY_TEXT_SIZE], after[EID_PUBKEY_TEXT_SIZE];
    while (eid_pubkey_is_point(&forged))
        forged.bytes[0]++;
    eid_pubkey_format(signer, before);
    eid_pubkey_format(&forged, after);
    uint8_t *found = memmem(entry.data, entry.len, before, strlen(before));
    assert_non_null(found);
    memcpy(found, after, strlen(after));
}

/* Who reads an entry for a program asks whether its key can be one; who receives it needs not, because no signature holds by it. */
static void test_key_that_is_no_point(void **state)
{
    fixture *f = *state;
    dt_draft draft = good(f, 1);
    eid_entry *entry = dt_make(&draft), *forged = NULL, *from_json = NULL;
    eid_pubkey signer = dt_pubkey(1);
    char *json;
    size_t json_len;
    eid_json reader;
    tu_assert_ok(eid_entry_to_json(entry, &json, &json_len));
    uint8_t *bytes = malloc(entry->cbor_len);
    memcpy(bytes, entry->cbor, entry->cbor_len);
    forge_key(eid_slice_of(bytes, entry->cbor_len), &signer);
    forge_key(eid_slice_of(json, json_len), &signer);
    tu_assert_fails(eid_entry_from_cbor(bytes, entry->cbor_len, &forged), EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_entry_from_json(json, json_len, &forged), EID_ERR_INVALID_KEY);
    tu_assert_ok(eid_entry_read_cbor(bytes, entry->cbor_len, &forged));
    eid_json_init(&reader, eid_slice_of(json, json_len));
    tu_assert_ok(eid_entry_read_json(&reader, &from_json));
    eid_json_free(&reader);
    assert_true(eid_id_equal(&from_json->id, &forged->id));
    refuse_for_good(f, forged, EID_ERR_BAD_SIGNATURE);
    eid_entry_unref(from_json);
    eid_entry_unref(entry);
    free(bytes);
    eid_free(json);
}

/* What was found out about the pins of one entry of a batch holds for those that pin the same, and for no other. */
static void test_pins_of_a_batch(void **state)
{
    fixture *f = *state;
    enum { COUNT = 6 };
    static const size_t pins[COUNT] = {2, 2, 3, 2, 3, 2}; /* key 4 may write by the third grant, and is revoked by the fourth */
    eid_entry *entries[COUNT];
    eid_verdict verdicts[COUNT];
    eid_receipt receipt;
    for (size_t i = 0; i < COUNT; i++) {
        dt_draft draft = good(f, 4);
        draft.height += i;
        draft.pins = &f->settings[pins[i]];
        entries[i] = dt_make(&draft);
    }
    tu_assert_ok(eid_core_receive(f->core, &f->root, entries, COUNT, &receipt, verdicts));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(verdicts[i], pins[i] == 2 ? EID_VERDICT_ADMITTED : EID_VERDICT_REFUSED);
        eid_entry_unref(entries[i]);
    }
    assert_int_equal(receipt.first_refusal, EID_ERR_PERMISSION_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_entries_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_signatures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_permissions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unsigned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delegation_that_nobody_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pinning_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable_metadata, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_pins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_judged_by_what_is_pinned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pinning_two_branches_of_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_entries_of_another_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_structure, set_up, tear_down),
        cmocka_unit_test(test_tolerated_structure),
        cmocka_unit_test(test_open_database),
        cmocka_unit_test_setup_teardown(test_roots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_that_is_no_point, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pins_of_a_batch, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
