/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying a database anew: a sound one, and files that were changed behind the library's back. */
#include <string.h>

#include <eidetica/verify.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "review.h"

#define WRITES 700 /* more than a slice */

typedef struct fixture {
    eid_core *core;
    eid_database *database;
    eid_keypair *admin, *writer;
    eid_entry *root, *grant, *revocation, *data, *unseen;
} fixture;

static eid_entry *make(fixture *f, const eid_keypair *key, const eid_entry *parent, const eid_entry *pin, const char *store,
                       const char *payload, uint64_t salt)
{
    rv_spec spec = {.key = key, .height = parent->height + 1, .parents = {parent}, .pins = {pin}, .salt = salt,
                    .stores = {{store, payload, {NULL}}}};
    if (strcmp(store, "_settings") == 0)
        spec.stores[0].parents[0] = pin;
    eid_entry *entry = rv_entry(f->root, &spec);
    assert_int_equal(rv_receive_one(f->core, f->root, entry), EID_VERDICT_ADMITTED);
    return entry;
}

static int set_up(void **state)
{
    static fixture f;
    f.core = rv_core();
    f.admin = rv_key(1);
    f.writer = rv_key(2);
    char *rules = rv_grant(f.admin, EID_PERM_ADMIN, EID_KEY_ACTIVE);
    f.root = rv_root(f.admin, rules, 1);
    eid_free(rules);
    rv_receive_one(f.core, f.root, f.root);
    rules = rv_grant(f.writer, EID_PERM_WRITE, EID_KEY_ACTIVE);
    f.grant = make(&f, f.admin, f.root, f.root, "_settings", rules, 2);
    eid_free(rules);
    f.data = make(&f, f.writer, f.grant, f.grant, "data", "{\"children\":{\"a\":{\"Int\":1}}}", 3);
    rules = rv_grant(f.writer, EID_PERM_WRITE, EID_KEY_REVOKED);
    f.revocation = make(&f, f.admin, f.data, f.grant, "_settings", rules, 4);
    eid_free(rules);
    f.unseen = make(&f, f.writer, f.grant, f.grant, "data", "{\"children\":{\"b\":{\"Int\":1}}}", 5);
    tu_assert_ok(eid_database_open_as(f.core, &f.root->id, f.admin, NULL, &f.database));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    eid_database_close(f->database);
    eid_core_close(f->core);
    eid_entry_unref(f->root);
    eid_entry_unref(f->grant);
    eid_entry_unref(f->revocation);
    eid_entry_unref(f->data);
    eid_entry_unref(f->unseen);
    eid_keypair_free(f->admin);
    eid_keypair_free(f->writer);
    return 0;
}

static eid_verify_report verify(fixture *f)
{
    eid_verify_report report;
    tu_assert_ok(eid_database_verify(f->database, &report));
    assert_int_equal(report.entries, report.counting + report.voids + report.wrong);
    assert_int_equal(report.wrong > 0, report.text[0] != '\0');
    return report;
}

static void test_sound(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < WRITES; i++) {
        eid_entry *entry = make(f, f->admin, f->revocation, f->revocation, "data", "{\"children\":{\"c\":{\"Int\":1}}}", 100 + (uint64_t)i);
        eid_entry_unref(entry);
    }
    eid_verify_report report = verify(f);
    assert_int_equal(report.entries, 5 + WRITES);
    assert_int_equal(report.voids, 1);
    assert_int_equal(report.wrong, 0);
    assert_int_equal(report.waiting, 0);
}

static void test_standings(void **state)
{
    fixture *f = *state;
    eid_entry_standing standing;
    char *reason;
    tu_assert_ok(eid_database_standing(f->database, &f->data->id, &standing, &reason));
    assert_true(standing == EID_STANDING_COUNTS && reason == NULL);
    tu_assert_ok(eid_database_standing(f->database, &f->unseen->id, &standing, &reason));
    assert_int_equal(standing, EID_STANDING_VOID);
    char id[EID_ID_TEXT_SIZE];
    eid_id_format(&f->revocation->id, id);
    assert_non_null(strstr(reason, id)); /* the sentence names the ending */
    eid_free(reason);
    rv_spec spec = {.key = f->admin, .height = 9, .parents = {f->revocation}, .pins = {f->revocation}, .salt = 6,
                    .stores = {{"data", "{\"children\":{}}", {NULL}}}};
    eid_entry *later = rv_entry(f->root, &spec);
    tu_assert_ok(eid_database_standing(f->database, &later->id, &standing, NULL));
    assert_int_equal(standing, EID_STANDING_UNKNOWN);
    spec.parents[0] = later;
    eid_entry *waiting = rv_entry(f->root, &spec);
    assert_int_equal(rv_receive_one(f->core, f->root, waiting), EID_VERDICT_WAITING);
    tu_assert_ok(eid_database_standing(f->database, &waiting->id, &standing, &reason));
    assert_true(standing == EID_STANDING_WAITING && reason == NULL);
    assert_int_equal(verify(f).waiting, 1);
    spec.parents[0] = f->revocation;
    spec.key = f->writer;
    eid_entry *refused = rv_entry(f->root, &spec);
    assert_int_equal(rv_receive_one(f->core, f->root, refused), EID_VERDICT_REFUSED);
    tu_assert_ok(eid_database_standing(f->database, &refused->id, &standing, &reason));
    assert_int_equal(standing, EID_STANDING_REFUSED);
    assert_non_null(strstr(reason, "PERMISSION_DENIED"));
    eid_free(reason);
    eid_entry_unref(later);
    eid_entry_unref(waiting);
    eid_entry_unref(refused);
}

/* ---- Files changed behind the library's back ---- */

static int64_t number_of(fixture *f, const eid_entry *entry)
{
    int64_t n;
    eid_storage *storage = eid_core_storage(f->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_find(storage, &entry->id, &n, NULL));
    eid_storage_unlock(storage);
    return n;
}

static void put_bytes(fixture *f, int64_t n, const uint8_t *bytes, size_t len, int64_t h)
{
    eid_sql_stmt *stmt;
    eid_storage *storage = eid_core_storage(f->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), "UPDATE entry SET bytes = ?, h = ? WHERE n = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_slice_of(bytes, len));
    eid_sql_bind_i64(stmt, 2, h);
    eid_sql_bind_i64(stmt, 3, n);
    tu_assert_ok(eid_sql_run(stmt));
    eid_storage_unlock(storage);
}

/* One bit of a payload. */
static void test_a_changed_payload(void **state)
{
    fixture *f = *state;
    uint8_t *bytes = eid_memdup(f->data->cbor, f->data->cbor_len);
    uint8_t *place = memmem(bytes, f->data->cbor_len, "{\"Int\":1}", 9);
    assert_non_null(place);
    place[7] = '7';
    put_bytes(f, number_of(f, f->data), bytes, f->data->cbor_len, eid_id_prefix(&f->data->id));
    eid_verify_report report = verify(f);
    assert_true(report.wrong >= 1);
    assert_non_null(strstr(report.text, "its bytes are not those of its ID"));
    eid_free(bytes);
}

static void test_changed_rights(void **state)
{
    fixture *f = *state;
    uint8_t *bytes = eid_memdup(f->revocation->cbor, f->revocation->cbor_len);
    uint8_t *place = memmem(bytes, f->revocation->cbor_len, "Revoked", 7);
    assert_non_null(place);
    memcpy(place, "Active ", 7);
    put_bytes(f, number_of(f, f->revocation), bytes, f->revocation->cbor_len, eid_id_prefix(&f->revocation->id));
    assert_true(verify(f).wrong >= 1);
    eid_free(bytes);
}

/* A row that was replaced by an entry somebody made: its ID is right, its signature is not. */
static void test_a_forged_row(void **state)
{
    fixture *f = *state;
    eid_pubkey pubkey;
    eid_sigkey sigkey;
    eid_keypair_public(f->writer, &pubkey);
    eid_sigkey_direct(&pubkey, &sigkey);
    eid_keypair *forger = rv_key(7);
    rv_spec spec = {.key = forger, .sigkey = &sigkey, .height = 2, .parents = {f->grant}, .pins = {f->grant}, .salt = 3,
                    .stores = {{"data", "{\"children\":{\"a\":{\"Int\":66}}}", {NULL}}}};
    eid_entry *forged = rv_entry(f->root, &spec);
    put_bytes(f, number_of(f, f->data), forged->cbor, forged->cbor_len, eid_id_prefix(&forged->id));
    eid_verify_report report = verify(f);
    assert_true(report.wrong >= 1);
    assert_non_null(strstr(report.text, "its signature does not hold"));
    eid_entry_unref(forged);
    eid_keypair_free(forger);
}

static void test_changed_marks(void **state)
{
    fixture *f = *state;
    const struct {
        const eid_entry *entry;
        bool counts;
        const char *text;
    } cases[] = {{f->unseen, true, "it counts, but should not"}, {f->data, false, "it does not count, but should"},
                 {f->revocation, false, "it does not count, but should"}};
    eid_storage *storage = eid_core_storage(f->core);
    for (size_t i = 0; i < 3; i++) {
        eid_tree *tree;
        int64_t n = number_of(f, cases[i].entry);
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_tree(storage, &f->root->id, &tree));
        tu_assert_ok(eid_storage_mark(storage, tree, cases[i].entry, n, cases[i].counts));
        eid_storage_unlock(storage);
        eid_verify_report report = verify(f);
        assert_true(report.wrong >= 1);
        assert_non_null(strstr(report.text, cases[i].text));
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_mark(storage, tree, cases[i].entry, n, !cases[i].counts));
        eid_storage_unlock(storage);
        assert_int_equal(verify(f).wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_standings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_changed_payload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_forged_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed_marks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
