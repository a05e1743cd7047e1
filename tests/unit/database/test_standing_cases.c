/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of revocation, case by case: every row of the table in docs/security.md, and what commits here make of it. Entries are
 * made by hand, as hostile writers would, and received one by one, forwards and backwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <eidetica/auth.h>
#include <eidetica/store.h>
#include <eidetica/verify.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "database/txn.h"
#include "review.h"

/* ---- Worlds ---- */

typedef struct right {
    uint8_t key;                 /* 0: no more; GLOBAL: the global permission */
    eid_permission_kind kind;
    uint32_t priority;
    eid_key_status status;
} right;

#define GLOBAL 255
#define MANY 24
#define ADMIN(n, p) {n, EID_PERM_ADMIN, p, EID_KEY_ACTIVE}
#define WRITE(n) {n, EID_PERM_WRITE, 10, EID_KEY_ACTIVE}
#define REVOKED(n) {n, EID_PERM_WRITE, 10, EID_KEY_REVOKED}

typedef struct world {
    eid_entry *entries[MANY];
    size_t count;
} world;

static char *rules(const right *rights)
{
    eid_doc *settings;
    char *json;
    tu_assert_ok(eid_doc_new(&settings));
    for (size_t i = 0; rights[i].key != 0; i++) {
        char path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.global";
        eid_doc *record;
        if (rights[i].key != GLOBAL) {
            eid_keypair *key = rv_key(rights[i].key);
            eid_pubkey pubkey;
            char text[EID_PUBKEY_TEXT_SIZE];
            eid_keypair_public(key, &pubkey);
            eid_pubkey_format(&pubkey, text);
            snprintf(path, sizeof path, "auth.keys.%s", text);
            eid_keypair_free(key);
        }
        tu_assert_ok(eid_auth_key_to_doc(NULL, (eid_permission){rights[i].kind, rights[i].priority}, rights[i].status, &record));
        tu_assert_ok(eid_doc_set_doc(settings, path, record));
        eid_doc_free(record);
    }
    tu_assert_ok(eid_doc_to_json(settings, &json, NULL));
    eid_doc_free(settings);
    return json;
}

static eid_entry *add(world *w, eid_entry *entry)
{
    assert_true(w->count < MANY);
    w->entries[w->count++] = entry;
    return entry;
}

static eid_entry *begin(world *w, uint8_t creator, const right *rights)
{
    char *json = rules(rights);
    eid_keypair *key = rv_key(creator);
    w->count = 0;
    eid_entry *root = add(w, rv_root(key, json, 1));
    eid_keypair_free(key);
    eid_free(json);
    return root;
}

#define NAMED(...) ((const eid_entry *const[]){__VA_ARGS__, NULL})

static void name(const eid_entry **out, const eid_entry *const *entries, uint64_t *height)
{
    for (size_t i = 0; entries[i] != NULL; i++) {
        out[i] = entries[i];
        if (height != NULL && entries[i]->height >= *height)
            *height = entries[i]->height + 1;
    }
}

/* A settings entry that builds in `_settings` on what it pins. */
static eid_entry *rule(world *w, uint8_t key, const eid_entry *const *parents, const eid_entry *const *pins, const right *rights)
{
    char *json = rules(rights);
    rv_spec spec = {.key = rv_key(key), .salt = w->count, .stores = {{"_settings", json, {NULL}}}};
    name(spec.parents, parents, &spec.height);
    name(spec.pins, pins, NULL);
    name(spec.stores[0].parents, pins, NULL);
    eid_entry *entry = add(w, rv_entry(w->entries[0], &spec));
    eid_keypair_free((eid_keypair *)(uintptr_t)spec.key);
    eid_free(json);
    return entry;
}

static eid_entry *write_by(world *w, uint8_t key, const eid_entry *const *parents, const eid_entry *const *pins)
{
    char json[64];
    snprintf(json, sizeof json, "{\"children\":{\"k%zu\":{\"Int\":%zu}}}", w->count, w->count);
    rv_spec spec = {.key = rv_key(key), .salt = w->count, .stores = {{"data", json, {NULL}}}};
    name(spec.parents, parents, &spec.height);
    name(spec.pins, pins, NULL);
    eid_entry *entry = add(w, rv_entry(w->entries[0], &spec));
    eid_keypair_free((eid_keypair *)(uintptr_t)spec.key);
    return entry;
}

/* ---- What is said of it ---- */

static eid_database *open_as(eid_core *core, const world *w, uint8_t number)
{
    eid_database *database;
    eid_keypair *key = number == 0 ? NULL : rv_key(number);
    tu_assert_ok(eid_database_open_as(core, &w->entries[0]->id, key, NULL, &database));
    eid_keypair_free(key);
    return database;
}

static bool is_named(const eid_entry *const *voids, const eid_entry *entry)
{
    for (size_t i = 0; voids[i] != NULL; i++)
        if (voids[i] == entry)
            return true;
    return false;
}

static void assert_standings(eid_core *core, const world *w, const eid_entry *const *voids)
{
    eid_database *database = open_as(core, w, 0);
    eid_doc *data;
    eid_verify_report report;
    size_t shown = 0;
    for (size_t i = 0; i < w->count; i++) {
        eid_entry_standing standing;
        char *reason;
        bool is_void = is_named(voids, w->entries[i]), is_data = eid_entry_subtree(w->entries[i], eid_slice_text("data")) != NULL;
        tu_assert_ok(eid_database_standing(database, &w->entries[i]->id, &standing, &reason));
        if (standing != (is_void ? EID_STANDING_VOID : EID_STANDING_COUNTS))
            fail_msg("entry %zu: %d, %s", i, (int)standing, reason == NULL ? "" : reason);
        assert_int_equal(reason != NULL, is_void);
        shown += is_data && !is_void;
        eid_free(reason);
    }
    tu_assert_ok(eid_database_store_state(database, "data", &data));
    assert_int_equal(eid_doc_len(data), shown);
    eid_doc_free(data);
    tu_assert_ok(eid_database_verify(database, &report));
    assert_string_equal(report.text, "");
    assert_int_equal(report.entries, w->count);
    assert_int_equal(report.counting + report.voids, w->count);
    eid_database_close(database);
}

static eid_core *receive_all(const world *w, bool backwards, bool at_once)
{
    eid_core *core = rv_core();
    eid_entry *order[MANY];
    for (size_t i = 0; i < w->count; i++)
        order[i] = w->entries[i == 0 || !backwards ? i : w->count - i];
    for (size_t i = 0; i < w->count && !at_once; i++)
        rv_receive(core, order[0], &order[i], 1, NULL);
    if (at_once)
        rv_receive(core, order[0], order, w->count, NULL);
    return core;
}

/* Exactly these are void, whatever came first. */
static void assert_voids(const world *w, const eid_entry *const *voids)
{
    for (int i = 0; i < 4; i++) {
        eid_core *core = receive_all(w, (i & 1) != 0, (i & 2) != 0);
        assert_standings(core, w, voids);
        eid_core_close(core);
    }
}

static void end(world *w)
{
    while (w->count > 0)
        eid_entry_unref(w->entries[--w->count]);
}

#define NOTHING ((const eid_entry *const[]){NULL})

/* ---- Rows of the table ---- */

/* Feature W17 */
static void a_revoked_key_goes_on_writing(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    eid_entry *seen = write_by(&w, 2, NAMED(root), NAMED(root));
    eid_entry *revocation = rule(&w, 1, NAMED(seen), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_entry *before = write_by(&w, 2, NAMED(root), NAMED(root));
    eid_entry *after = write_by(&w, 2, NAMED(revocation), NAMED(root));
    eid_entry *above = write_by(&w, 1, NAMED(before, after), NAMED(revocation));
    assert_voids(&w, NAMED(before, after));
    assert_int_equal(above->parent_count, 2); /* built upon: it counts */
    end(&w);
}

static void granting_anew_brings_nothing_back(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    eid_entry *offline = write_by(&w, 2, NAMED(root), NAMED(root));
    eid_entry *revocation = rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_entry *grant = rule(&w, 1, NAMED(revocation), NAMED(revocation), (right[]){WRITE(2), {0}});
    eid_entry *again = write_by(&w, 2, NAMED(offline, grant), NAMED(grant));
    assert_voids(&w, NAMED(offline));
    assert_non_null(again);
    end(&w);
}

static void what_the_revoking_admin_had_seen_counts(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    eid_entry *first = write_by(&w, 2, NAMED(root), NAMED(root)), *second = write_by(&w, 2, NAMED(first), NAMED(root));
    rule(&w, 1, NAMED(second), NAMED(root), (right[]){REVOKED(2), {0}});
    assert_voids(&w, NOTHING);
    end(&w);
}

/* Feature W12 */
static void a_weaker_admin_touches_a_stronger_one(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), WRITE(3), {0}});
    eid_entry *revokes = rule(&w, 2, NAMED(root), NAMED(root), (right[]){REVOKED(1), {0}});
    eid_entry *lowers = rule(&w, 2, NAMED(root), NAMED(root), (right[]){ADMIN(1, 20), {0}});
    eid_entry *grants = rule(&w, 2, NAMED(root), NAMED(root), (right[]){ADMIN(3, 5), {0}});
    eid_entry *raises = rule(&w, 2, NAMED(root), NAMED(root), (right[]){ADMIN(2, 0), {0}});
    eid_entry *global = rule(&w, 2, NAMED(root), NAMED(root), (right[]){{GLOBAL, EID_PERM_ADMIN, 0, EID_KEY_ACTIVE}, {0}});
    eid_entry *fine = rule(&w, 2, NAMED(root), NAMED(root), (right[]){ADMIN(3, 10), {0}});
    write_by(&w, 1, NAMED(revokes, lowers, grants, raises, global, fine), NAMED(fine));
    assert_voids(&w, NAMED(revokes, lowers, grants, raises, global));
    end(&w);
}

static void a_weaker_admin_feigns_ignorance(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), {0}});
    eid_entry *grant = rule(&w, 1, NAMED(root), NAMED(root), (right[]){ADMIN(3, 0), {0}});
    eid_entry *work = write_by(&w, 3, NAMED(grant), NAMED(grant));
    eid_entry *feigned = rule(&w, 2, NAMED(root), NAMED(root), (right[]){REVOKED(3), {0}});
    assert_voids(&w, NAMED(feigned));
    assert_non_null(work);
    end(&w);
}

static void lowered_first_then_revoked(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), {0}});
    eid_entry *lowers = rule(&w, 2, NAMED(root), NAMED(root), (right[]){{1, EID_PERM_READ, 0, EID_KEY_ACTIVE}, {0}});
    eid_entry *revokes = rule(&w, 2, NAMED(lowers), NAMED(lowers), (right[]){REVOKED(1), {0}});
    write_by(&w, 1, NAMED(root), NAMED(root));
    assert_voids(&w, NAMED(lowers, revokes));
    end(&w);
}

static void an_accomplice_is_junior(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), {0}});
    eid_entry *grant = rule(&w, 1, NAMED(root), NAMED(root), (right[]){ADMIN(2, 0), {0}});
    eid_entry *accomplice = rule(&w, 2, NAMED(grant), NAMED(grant), (right[]){ADMIN(3, 0), {0}});
    eid_entry *treason = rule(&w, 3, NAMED(accomplice), NAMED(accomplice), (right[]){REVOKED(1), {0}});
    eid_entry *answer = rule(&w, 1, NAMED(grant), NAMED(grant), (right[]){REVOKED(2), {0}});
    /* The accomplice was granted by an act the answer cuts. */
    assert_voids(&w, NAMED(accomplice, treason));
    assert_non_null(answer);
    end(&w);
}

/* Whatever their keys are: who was granted first. */
static void two_admins_of_equal_priority_revoke_each_other(void **state)
{
    (void)state;
    for (uint8_t senior = 2; senior <= 3; senior++) {
        world w;
        uint8_t junior = (uint8_t)(5 - senior);
        eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), {0}});
        eid_entry *first = rule(&w, 1, NAMED(root), NAMED(root), (right[]){ADMIN(senior, 5), {0}});
        eid_entry *second = rule(&w, 1, NAMED(first), NAMED(first), (right[]){ADMIN(junior, 5), {0}});
        eid_entry *by_senior = rule(&w, senior, NAMED(second), NAMED(second), (right[]){REVOKED(junior), {0}});
        eid_entry *by_junior = rule(&w, junior, NAMED(second), NAMED(second), (right[]){REVOKED(senior), {0}});
        eid_entry *work = write_by(&w, senior, NAMED(second), NAMED(second)), *lost = write_by(&w, junior, NAMED(second), NAMED(second));
        assert_voids(&w, NAMED(by_junior, lost));
        assert_true(by_senior != NULL && work != NULL);
        end(&w);
    }
}

static void a_revoked_admin_backdates_grants(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 5), {0}});
    rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_entry *grant = rule(&w, 2, NAMED(root), NAMED(root), (right[]){ADMIN(3, 5), {0}});
    eid_entry *further = rule(&w, 3, NAMED(grant), NAMED(grant), (right[]){WRITE(4), {0}});
    eid_entry *written = write_by(&w, 4, NAMED(further), NAMED(further));
    eid_entry *revokes = rule(&w, 2, NAMED(root), NAMED(root), (right[]){REVOKED(1), {0}});
    assert_voids(&w, NAMED(grant, further, written, revokes));
    end(&w);
}

static void a_revoked_admin_backdates_a_revocation_of_a_weaker_one(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 5), ADMIN(3, 10), {0}});
    rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_entry *act = rule(&w, 3, NAMED(root), NAMED(root), (right[]){WRITE(4), {0}});
    eid_entry *work = write_by(&w, 4, NAMED(act), NAMED(act)), *own = write_by(&w, 3, NAMED(root), NAMED(root));
    eid_entry *backdated = rule(&w, 2, NAMED(root), NAMED(root), (right[]){REVOKED(3), {0}});
    assert_voids(&w, NAMED(backdated));
    assert_true(work != NULL && own != NULL);
    end(&w);
}

/* The price that is stated: settings changes of the older of two equals stand, its data does not. */
static void a_stolen_key_that_is_older_and_as_strong(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), {0}});
    eid_entry *grant = rule(&w, 1, NAMED(root), NAMED(root), (right[]){ADMIN(2, 0), {0}});
    eid_entry *revocation = rule(&w, 2, NAMED(grant), NAMED(grant), (right[]){REVOKED(1), {0}});
    eid_entry *data = write_by(&w, 1, NAMED(grant), NAMED(grant));
    eid_entry *settings = rule(&w, 1, NAMED(grant), NAMED(grant), (right[]){WRITE(4), {0}});
    assert_voids(&w, NAMED(data));
    assert_true(revocation != NULL && settings != NULL);
    end(&w);
}

/* What was cut comes back when the revocation turns out to be void, and goes again with what voids that. */
static void void_by_turns(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 5), ADMIN(3, 10), WRITE(4), {0}});
    eid_entry *work = write_by(&w, 4, NAMED(root), NAMED(root));
    eid_entry *ends_work = rule(&w, 3, NAMED(root), NAMED(root), (right[]){REVOKED(4), {0}});
    assert_voids(&w, NAMED(work));
    eid_entry *ends_that = rule(&w, 2, NAMED(root), NAMED(root), (right[]){REVOKED(3), {0}});
    assert_voids(&w, NAMED(ends_work));
    rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    assert_voids(&w, NAMED(ends_that, work));
    end(&w);
}

/* A global permission that is withdrawn ends what everybody wrote unseen, not what keys wrote. */
static void the_global_permission_ends(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {GLOBAL, EID_PERM_WRITE, 10, EID_KEY_ACTIVE}, {0}});
    eid_keypair *stranger = rv_key(9);
    eid_pubkey pubkey;
    eid_sigkey sigkey;
    eid_keypair_public(stranger, &pubkey);
    eid_sigkey_global(&pubkey, &sigkey);
    rv_spec spec = {.key = stranger, .sigkey = &sigkey, .height = 1, .parents = {root}, .pins = {root}, .salt = 77,
                    .stores = {{"data", "{\"children\":{\"g\":{\"Int\":1}}}", {NULL}}}};
    eid_entry *unseen = add(&w, rv_entry(root, &spec));
    write_by(&w, 2, NAMED(root), NAMED(root));
    assert_voids(&w, NOTHING);
    rule(&w, 1, NAMED(root), NAMED(root), (right[]){{GLOBAL, EID_PERM_WRITE, 10, EID_KEY_REVOKED}, {0}});
    assert_voids(&w, NAMED(unseen));
    eid_keypair_free(stranger);
    end(&w);
}

/* ---- Commits here ---- */

static eid_status grant_by(eid_database *database, uint8_t number, eid_permission permission, eid_key_status status)
{
    eid_keypair *key = rv_key(number);
    eid_pubkey pubkey;
    eid_txn *txn;
    eid_keypair_public(key, &pubkey);
    eid_keypair_free(key);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &pubkey, NULL, permission, status));
    return eid_txn_commit_free(txn, NULL);
}

static eid_status write_here(eid_database *database)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "data", "here", 1));
    return eid_txn_commit_free(txn, NULL);
}

static void commits_beyond_ones_right_are_refused(void **state)
{
    (void)state;
    world w;
    begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), WRITE(3), {0}});
    eid_core *core = receive_all(&w, false, true);
    eid_database *strong = open_as(core, &w, 1), *weak = open_as(core, &w, 2), *writer = open_as(core, &w, 3);
    eid_permission top = {EID_PERM_ADMIN, 0}, low = {EID_PERM_ADMIN, 10}, write = {EID_PERM_WRITE, 0};
    uint64_t before, after;
    tu_assert_ok(eid_core_entry_count(core, &w.entries[0]->id, &before));
    tu_assert_fails(grant_by(weak, 1, write, EID_KEY_REVOKED), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(grant_by(weak, 1, top, EID_KEY_ACTIVE), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(grant_by(weak, 4, top, EID_KEY_ACTIVE), EID_ERR_PERMISSION_DENIED);
    assert_non_null(strstr(eid_last_error(), "stronger than those of the key"));
    tu_assert_fails(grant_by(writer, 4, write, EID_KEY_ACTIVE), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_core_entry_count(core, &w.entries[0]->id, &after));
    assert_int_equal(before, after);
    tu_assert_ok(grant_by(weak, 4, low, EID_KEY_ACTIVE));
    tu_assert_ok(grant_by(strong, 2, low, EID_KEY_REVOKED));
    tu_assert_fails(write_here(weak), EID_ERR_PERMISSION_DENIED);
    eid_database_close(strong);
    eid_database_close(weak);
    eid_database_close(writer);
    eid_core_close(core);
    end(&w);
}

/* What is void is not built on, whenever the transaction began. */
static void an_open_transaction_sees_it_go(void **state)
{
    (void)state;
    world w;
    int64_t value;
    eid_txn *txn;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    write_by(&w, 2, NAMED(root), NAMED(root)); /* k1 := 1 */
    eid_core *core = receive_all(&w, false, true);
    eid_database *database = open_as(core, &w, 1);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_get_int(txn, "data", "k1", &value));
    eid_entry *revocation = rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    assert_int_equal(rv_receive_one(core, root, revocation), EID_VERDICT_ADMITTED);
    tu_assert_fails(eid_docstore_get_int(txn, "data", "k1", &value), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_docstore_set_int(txn, "data", "mine", 2));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database_close(database);
    eid_core_close(core);
    end(&w);
}

static void the_last_admin_stays(void **state)
{
    (void)state;
    world w;
    begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {GLOBAL, EID_PERM_ADMIN, 20, EID_KEY_ACTIVE}, {0}});
    eid_core *core = receive_all(&w, false, true);
    eid_database *admin = open_as(core, &w, 1);
    eid_permission top = {EID_PERM_ADMIN, 0}, write = {EID_PERM_WRITE, 0};
    tu_assert_fails(grant_by(admin, 1, top, EID_KEY_REVOKED), EID_ERR_PERMISSION_DENIED);
    assert_non_null(strstr(eid_last_error(), "nobody who may change the settings"));
    tu_assert_fails(grant_by(admin, 1, write, EID_KEY_ACTIVE), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(grant_by(admin, 2, top, EID_KEY_ACTIVE));
    tu_assert_ok(grant_by(admin, 1, top, EID_KEY_REVOKED));
    tu_assert_fails(write_here(admin), EID_ERR_PERMISSION_DENIED);
    eid_database_close(admin);
    eid_core_close(core);
    end(&w);
}

/* Whoever can not see that something is void judges our entries by what they pin: that must not be among it. */
static void commits_pin_what_counts(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), {0}});
    eid_entry *fine = rule(&w, 2, NAMED(root), NAMED(root), (right[]){WRITE(3), {0}});
    eid_entry *unlawful = rule(&w, 2, NAMED(fine), NAMED(fine), (right[]){REVOKED(1), {0}});
    eid_core *core = receive_all(&w, false, false);
    assert_standings(core, &w, NAMED(unlawful));
    eid_database *admin = open_as(core, &w, 1);
    eid_txn *txn;
    eid_id id;
    eid_entry *made;
    eid_entry_pin pin;
    tu_assert_ok(eid_database_new_transaction(admin, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "mine"));
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    tu_assert_ok(eid_database_get_entry(admin, &id, &made));
    tu_assert_ok(eid_entry_read_pin(made, &pin));
    assert_int_equal(pin.tip_count, 1);
    assert_true(eid_id_equal(&pin.tips[0], &fine->id));
    const eid_subtree *settings = eid_entry_subtree(made, eid_slice_text("_settings"));
    assert_int_equal(settings->parent_count, 1);
    assert_true(eid_id_equal(&settings->parents[0], &fine->id));
    assert_true(eid_id_equal(&made->parents[0], &unlawful->id)); /* the DAG goes on from what is void too */
    eid_entry_pin_free(&pin);
    eid_entry_unref(made);
    eid_database_close(admin);
    eid_core_close(core);
    end(&w);
}

/* ---- Who is told ---- */

static void count_calls(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    ++*(int *)ctx;
}

static void nobody_is_told_of_what_is_void(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    eid_entry *revocation = rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_core *core = receive_all(&w, false, true);
    eid_database *database = open_as(core, &w, 0);
    eid_callback *callback;
    eid_changes *feed;
    eid_change change;
    int calls = 0;
    tu_assert_ok(eid_database_on_write(database, count_calls, &calls, &callback));
    tu_assert_ok(eid_changes_open(database, "data", NULL, &feed));
    rv_receive_one(core, root, write_by(&w, 2, NAMED(root), NAMED(root)));
    assert_int_equal(calls, 0);
    tu_assert_ok(eid_changes_next(feed, &change));
    assert_int_equal(change.kind, EID_CHANGE_NONE);
    eid_entry *good = write_by(&w, 1, NAMED(revocation), NAMED(revocation));
    rv_receive_one(core, root, good);
    assert_int_equal(calls, 1);
    tu_assert_ok(eid_changes_next(feed, &change));
    assert_true(eid_id_equal(&change.entry->id, &good->id));
    eid_entry_unref(change.entry);
    eid_changes_close(feed);
    eid_callback_remove(callback);
    eid_database_close(database);
    eid_core_close(core);
    end(&w);
}

/* ---- What is made again ---- */

#define SLOT(above, below, number)                                                                                             \
    "{\"children\":{\"k\":{\"List\":[[{\"numerator\":" #above ",\"denominator\":" #below                                            \
    ",\"unique_id\":\"00000000-0000-4000-8000-000000000000\"},{\"Int\":" #number "}]]}}}"

static char *list_of(eid_core *core, const world *w)
{
    eid_database *database = open_as(core, w, 0);
    eid_doc *data;
    char *json;
    tu_assert_ok(eid_database_store_state(database, "data", &data));
    tu_assert_ok(eid_doc_to_json(data, &json, NULL));
    eid_doc_free(data);
    eid_database_close(database);
    return json;
}

/* A list names a position as the first who wrote it, in the order of the fold. That the void entry was there before it was void
 * leaves no trace. */
static void forms_of_positions_are_those_of_what_counts(void **state)
{
    (void)state;
    static const char *const slots[] = {SLOT(2, 4, 1), SLOT(1, 2, 2), SLOT(3, 6, 3)};
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}});
    for (uint64_t i = 0; i < 3; i++) { /* each sorts before the one that arrived before it; the last writer is revoked */
        rv_spec spec = {.key = rv_key(i == 2 ? 2 : 1), .height = 30 - 10 * i, .parents = {root}, .pins = {root},
                        .stores = {{"data", slots[i], {NULL}}}};
        add(&w, rv_entry(root, &spec));
        eid_keypair_free((eid_keypair *)(uintptr_t)spec.key);
    }
    eid_entry *revocation = rule(&w, 1, NAMED(root), NAMED(root), (right[]){REVOKED(2), {0}});
    eid_core *had = receive_all(&w, false, false), *never = rv_core();
    rv_receive(never, root, w.entries, 3, NULL);
    rv_receive_one(never, root, revocation);
    char *with = list_of(had, &w), *without = list_of(never, &w);
    assert_string_equal(with, without);
    assert_non_null(strstr(with, "\"numerator\":1,\"denominator\":2"));
    eid_free(with);
    eid_free(without);
    eid_core_close(had);
    eid_core_close(never);
    end(&w);
}

/* ---- What it costs ---- */

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#define WIDE_KEYS 1000
#define WIDE_ENTRIES 20

/* Many keys, each written by each of many entries. What the last of them wrote is to be taken back, so every key is made again; at
 * the price of reading the entries once, not once for every key. */
static void wide_entries_do_not_make_a_revocation_dear(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), WRITE(2), {0}}), *last = root, *seen = root;
    eid_core *core = receive_all(&w, false, true);
    eid_keypair *writer = rv_key(2);
    eid_buf payload;
    eid_doc *data;
    eid_verify_report report;
    int64_t value = -1;
    double start = thread_seconds();
    for (int i = 0; i < WIDE_ENTRIES; i++) {
        eid_buf_init(&payload, 1 << 20);
        for (int k = 0; k < WIDE_KEYS; k++)
            eid_buf_appendf(&payload, "%s\"k%d\":{\"Int\":%d}", k == 0 ? "{\"children\":{" : ",", k, i);
        eid_buf_append(&payload, "}}", 3);
        rv_spec spec = {.key = writer, .height = last->height + 1, .parents = {last}, .pins = {root},
                        .stores = {{"data", (const char *)payload.data, {i == 0 ? NULL : last}}}};
        seen = last;
        last = add(&w, rv_entry(root, &spec));
        eid_buf_free(&payload);
        assert_int_equal(rv_receive_one(core, root, last), EID_VERDICT_ADMITTED);
    }
    double admitting = thread_seconds() - start;
    start = thread_seconds();
    rv_receive_one(core, root, rule(&w, 1, NAMED(seen), NAMED(root), (right[]){REVOKED(2), {0}}));
    double revoking = thread_seconds() - start;
    if (revoking > 15 * admitting)
        fail_msg("admitting took %.3f s, the revocation %.3f s", admitting, revoking);
    eid_database *database = open_as(core, &w, 0);
    tu_assert_ok(eid_database_store_state(database, "data", &data));
    assert_int_equal(eid_doc_len(data), WIDE_KEYS);
    tu_assert_ok(eid_doc_get_int(data, "k999", &value));
    assert_int_equal(value, WIDE_ENTRIES - 2);
    eid_doc_free(data);
    tu_assert_ok(eid_database_verify(database, &report));
    assert_string_equal(report.text, "");
    assert_int_equal(report.voids, 1);
    eid_database_close(database);
    eid_keypair_free(writer);
    eid_core_close(core);
    end(&w);
}

#define STRANGE_RECORDS 2000

/* Records that are no whole ones make rights be read from real folds: one fold for an entry, not one for each record it names. */
static void many_strange_records_are_judged_by_one_fold(void **state)
{
    (void)state;
    world w;
    eid_entry *root = begin(&w, 1, (right[]){ADMIN(1, 0), ADMIN(2, 10), {0}}), *last = root;
    eid_core *core = receive_all(&w, false, true);
    eid_keypair *admin = rv_key(2);
    eid_buf payload;
    double seconds[2];
    eid_buf_init(&payload, 1 << 20);
    for (int i = 0; i < STRANGE_RECORDS; i++)
        eid_buf_appendf(&payload, "%s\"f%d\":{\"Doc\":{\"children\":{}}}",
                        i == 0 ? "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{" : ",", i);
    eid_buf_append(&payload, "}}}}}}}}", 9);
    for (int i = 0; i < 2; i++) {
        rv_spec spec = {.key = admin, .height = last->height + 1, .parents = {last}, .pins = {last},
                        .stores = {{"_settings", (const char *)payload.data, {last}}}};
        last = add(&w, rv_entry(root, &spec));
        double start = thread_seconds();
        assert_int_equal(rv_receive_one(core, root, last), EID_VERDICT_ADMITTED);
        seconds[i] = thread_seconds() - start;
    }
    /* What the first one wrote is in the knowledge of the second. */
    if (seconds[1] > 20 * seconds[0])
        fail_msg("the first took %.3f s, the second %.3f s", seconds[0], seconds[1]);
    eid_buf_free(&payload);
    eid_keypair_free(admin);
    assert_standings(core, &w, NOTHING);
    eid_core_close(core);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revoked_key_goes_on_writing),
        cmocka_unit_test(granting_anew_brings_nothing_back),
        cmocka_unit_test(what_the_revoking_admin_had_seen_counts),
        cmocka_unit_test(a_weaker_admin_touches_a_stronger_one),
        cmocka_unit_test(a_weaker_admin_feigns_ignorance),
        cmocka_unit_test(lowered_first_then_revoked),
        cmocka_unit_test(an_accomplice_is_junior),
        cmocka_unit_test(two_admins_of_equal_priority_revoke_each_other),
        cmocka_unit_test(a_revoked_admin_backdates_grants),
        cmocka_unit_test(a_revoked_admin_backdates_a_revocation_of_a_weaker_one),
        cmocka_unit_test(a_stolen_key_that_is_older_and_as_strong),
        cmocka_unit_test(void_by_turns),
        cmocka_unit_test(the_global_permission_ends),
        cmocka_unit_test(commits_beyond_ones_right_are_refused),
        cmocka_unit_test(an_open_transaction_sees_it_go),
        cmocka_unit_test(the_last_admin_stays),
        cmocka_unit_test(commits_pin_what_counts),
        cmocka_unit_test(nobody_is_told_of_what_is_void),
        cmocka_unit_test(forms_of_positions_are_those_of_what_counts),
        cmocka_unit_test(wide_entries_do_not_make_a_revocation_dear),
        cmocka_unit_test(many_strange_records_are_judged_by_one_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
