/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile settings entries cost. Two chains of them that arrive in turn: what is remembered of each entry stays
 * small, and what is worked out instead is right.
 *
 * EID_TEST_ENTRIES=n measures for so many entries. */
#include <stdio.h>
#include <stdlib.h>

#include <eidetica/verify.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "database/standing_int.h"
#include "review.h"

#define KNOWING 48 /* entries in the test of answers: longer sets than are kept */

typedef struct chains {
    eid_entry **entries;    /* the root, then one of the first chain, one of the second, … */
    size_t count;
    eid_keypair *admin;
    eid_keypair *writer;    /* the root lets it write */
    eid_keypair *guest;     /* an entry of the second chain lets it write */
} chains;

/* Builds on these two in the main DAG and in `_settings`. The second may be NULL. */
static eid_entry *change(const chains *c, const char *payload, const eid_entry *below, const eid_entry *beside)
{
    rv_spec spec = {.key = c->admin, .parents = {below, beside}, .pins = {below}, .stores = {{"_settings", payload, {below}}}};
    spec.height = below->height + 1;
    spec.salt = beside == NULL ? 0 : 1;
    return rv_entry(c->entries[0], &spec);
}

static eid_entry *begin(chains *c, size_t count)
{
    c->admin = rv_key(1);
    c->writer = rv_key(2);
    c->guest = rv_key(3);
    char *admin = rv_grant(c->admin, EID_PERM_ADMIN, EID_KEY_ACTIVE), *writer = rv_grant(c->writer, EID_PERM_WRITE, EID_KEY_ACTIVE);
    eid_doc *both, *more;
    tu_assert_ok(eid_doc_parse(eid_slice_text(admin), &both));
    tu_assert_ok(eid_doc_parse(eid_slice_text(writer), &more));
    tu_assert_ok(eid_doc_merge(both, more));
    eid_free(admin);
    tu_assert_ok(eid_doc_to_json(both, &admin, NULL));
    c->entries = calloc(count + 1, sizeof *c->entries);
    c->entries[0] = rv_root(c->admin, admin, 1);
    c->count = 1;
    eid_doc_free(both);
    eid_doc_free(more);
    eid_free(admin);
    eid_free(writer);
    return c->entries[0];
}

static void make_chains(chains *c, size_t count)
{
    begin(c, count);
    char *grant = rv_grant(c->guest, EID_PERM_WRITE, EID_KEY_ACTIVE);
    while (c->count <= count) {
        const eid_entry *below = c->entries[c->count < 3 ? 0 : c->count - 2];
        char payload[96];
        snprintf(payload, sizeof payload, "{\"children\":{\"chain%zu\":{\"Int\":%zu}}}", c->count % 2, c->count);
        c->entries[c->count] = change(c, c->count == 2 ? grant : payload, below, NULL);
        c->count++;
    }
    eid_free(grant);
}

static void end(chains *c)
{
    for (size_t i = 0; i < c->count; i++)
        eid_entry_unref(c->entries[i]);
    free(c->entries);
    eid_keypair_free(c->admin);
    eid_keypair_free(c->writer);
    eid_keypair_free(c->guest);
}

static eid_core *receive_in_turn(const chains *c)
{
    eid_core *core = rv_core();
    rv_receive(core, c->entries[0], c->entries, c->count, NULL);
    return core;
}

/* What each act asks of its past, when a later one revokes somebody. */
static void ask_pasts(eid_storage *storage, eid_tree *tree, eid_charter *charter)
{
    for (size_t i = 1; i < charter->count; i++) {
        bool in_past;
        tu_assert_ok(eid_act_has_in_past(storage, tree, charter, charter->acts[i], charter->acts[i - 1]->node.n, &in_past));
        assert_int_equal(in_past, i == 1); /* the one before is of the other chain */
    }
}

typedef struct figures {
    size_t acts;
    size_t asked;
} figures;

static figures measure(size_t count)
{
    chains c;
    eid_tree *tree;
    eid_charter *charter;
    make_chains(&c, count);
    eid_core *core = receive_in_turn(&c);
    eid_storage *storage = eid_core_storage(core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &c.entries[0]->id, &tree));
    size_t before = tu_alloc_bytes();
    tu_assert_ok(eid_charter_load(storage, tree, INT64_MAX, &charter));
    assert_int_equal(charter->count, count + 1);
    figures f = {.acts = tu_alloc_bytes() - before};
    ask_pasts(storage, tree, charter);
    f.asked = tu_alloc_bytes() - before;
    eid_charter_free(charter);
    eid_storage_unlock(storage);
    eid_core_close(core);
    end(&c);
    print_message("%zu entries: %zu bytes, %zu with their pasts\n", count, f.acts, f.asked);
    return f;
}

static void memory_grows_with_the_entries(void **state)
{
    (void)state;
    const char *given = getenv("EID_TEST_ENTRIES");
    if (given != NULL && given[0] != '\0') {
        measure((size_t)strtoul(given, NULL, 10));
        return;
    }
    figures half = measure(400), whole = measure(800);
    assert_true(whole.acts < half.acts * 9 / 4);
    assert_true(whole.acts < 800 * 1024);
    assert_true(whole.asked - whole.acts < 800 * 256); /* a bit for each entry before */
}

/* ---- Answers ---- */

static eid_entry *write_by(const chains *c, const eid_keypair *key, const eid_entry *above, uint64_t salt)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"children\":{\"k%u\":{\"Int\":1}}}", (unsigned)salt);
    rv_spec spec = {.key = key, .height = above->height + 1, .parents = {above}, .pins = {above}, .salt = salt};
    spec.stores[0] = (rv_store){"data", payload, {NULL}};
    return rv_entry(c->entries[0], &spec);
}

/* Knowledge that is not kept: the guest is known in one chain, and unknown in the other. */
static void long_knowledge_is_right(void **state)
{
    (void)state;
    chains c;
    make_chains(&c, KNOWING);
    eid_core *core = receive_in_turn(&c);
    eid_entry *ignorant = write_by(&c, c.guest, c.entries[KNOWING - 1], 1);
    eid_entry *knowing = write_by(&c, c.guest, c.entries[KNOWING], 2);
    eid_entry *joined = change(&c, "{\"children\":{}}", c.entries[KNOWING - 1], c.entries[KNOWING]);
    assert_int_equal(rv_receive_one(core, c.entries[0], ignorant), EID_VERDICT_REFUSED);
    assert_int_equal(rv_receive_one(core, c.entries[0], knowing), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(core, c.entries[0], joined), EID_VERDICT_ADMITTED);
    eid_entry_unref(ignorant);
    eid_entry_unref(knowing);
    eid_entry_unref(joined);
    eid_core_close(core);
    end(&c);
}

/* Two chains in the main DAG, both by the writer, who knows the root only. */
static void write_chains(chains *c, eid_core *core)
{
    begin(c, KNOWING + 2);
    rv_receive_one(core, c->entries[0], c->entries[0]);
    for (; c->count <= KNOWING; c->count++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"children\":{\"k%zu\":{\"Int\":1}}}", c->count);
        rv_spec spec = {.key = c->writer, .height = c->count, .pins = {c->entries[0]}, .stores = {{"data", payload, {NULL}}}};
        spec.parents[0] = c->entries[c->count < 3 ? 0 : c->count - 2];
        c->entries[c->count] = rv_entry(c->entries[0], &spec);
        assert_int_equal(rv_receive_one(core, c->entries[0], c->entries[c->count]), EID_VERDICT_ADMITTED);
    }
}

static void revoke_writer(chains *c, eid_core *core, const eid_entry *seen)
{
    char *payload = rv_grant(c->writer, EID_PERM_WRITE, EID_KEY_REVOKED);
    rv_spec spec = {.key = c->admin, .height = KNOWING + 1, .parents = {seen}, .pins = {c->entries[0]}, .salt = c->count};
    spec.stores[0] = (rv_store){"_settings", payload, {c->entries[0]}};
    c->entries[c->count] = rv_entry(c->entries[0], &spec);
    assert_int_equal(rv_receive_one(core, c->entries[0], c->entries[c->count]), EID_VERDICT_ADMITTED);
    c->count++;
    eid_free(payload);
}

static void assert_shown(eid_core *core, const chains *c, size_t shown)
{
    eid_database *database;
    eid_verify_report report;
    eid_doc *data;
    tu_assert_ok(eid_database_open_as(core, &c->entries[0]->id, NULL, NULL, &database));
    tu_assert_ok(eid_database_store_state(database, "data", &data));
    assert_int_equal(eid_doc_len(data), shown);
    eid_doc_free(data);
    tu_assert_ok(eid_database_verify(database, &report));
    assert_string_equal(report.text, "");
    assert_int_equal(report.voids, KNOWING - shown);
    eid_database_close(database);
}

static eid_charter *charter_of(eid_core *core, const chains *c)
{
    eid_tree *tree;
    eid_charter *charter;
    eid_storage_lock(eid_core_storage(core));
    tu_assert_ok(eid_storage_tree(eid_core_storage(core), &c->entries[0]->id, &tree));
    tu_assert_ok(eid_charter_of(eid_core_storage(core), tree, INT64_MAX, &charter));
    eid_storage_unlock(eid_core_storage(core));
    return charter;
}

/* A past that is kept as bits: a revocation has seen what was written into one chain only. When there is no room for more of them
 * the older ones are forgotten, and found again. */
static void a_long_past_is_right(void **state)
{
    (void)state;
    chains c;
    eid_core *core = rv_core();
    write_chains(&c, core);
    assert_shown(core, &c, KNOWING);
    revoke_writer(&c, core, c.entries[KNOWING]);
    assert_shown(core, &c, KNOWING / 2);
    eid_charter *charter = charter_of(core, &c);
    assert_true(charter->acts[1]->outside.bits != NULL && charter->long_bytes > 0);
    charter->long_bytes = EID_LIMIT_LONG_PASTS;
    revoke_writer(&c, core, c.entries[KNOWING - 1]);
    assert_shown(core, &c, 0);
    assert_true(charter->long_bytes < 64);
    eid_core_close(core);
    end(&c);
}

/* ---- Strange payloads ---- */

#define KEYS(flag, records) "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{" flag "\"children\":{" records "}}}}}}}}"
#define ACTIVE(type) "\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"" type "\"},\"priority\":{\"Int\":7}}}}," \
                     "\"status\":{\"Text\":\"Active\"}"

/* The power of a holder by all that is known, and whether a fold was needed to tell. */
static uint64_t power_of(eid_core *core, const chains *c, const char *holder, bool folds)
{
    eid_charter *charter = charter_of(core, c);
    eid_runs all = {NULL, 0, 0};
    uint64_t power;
    tu_assert_ok(eid_charter_counting(charter, &all));
    eid_powers powers = {eid_core_storage(core), charter, &all, NULL, NULL, NULL};
    eid_storage_lock(eid_core_storage(core));
    tu_assert_ok(eid_powers_read(&powers, eid_charter_find(charter, eid_slice_text(holder)), &power));
    eid_storage_unlock(eid_core_storage(core));
    assert_int_equal(powers.folded != NULL, folds);
    eid_powers_free(&powers);
    eid_runs_free(&all);
    return power;
}

static void then(chains *c, eid_core *core, const char *payload)
{
    c->entries[c->count] = change(c, payload, c->entries[c->count - 1], NULL);
    assert_int_equal(rv_receive_one(core, c->entries[0], c->entries[c->count]), EID_VERDICT_ADMITTED);
    c->count++;
}

/* A record that merges is read from a fold, until it is written whole; others are not. */
static void a_strange_record_comes_to_an_end(void **state)
{
    (void)state;
    chains c;
    eid_core *core = rv_core();
    begin(&c, 8);
    rv_receive_one(core, c.entries[0], c.entries[0]);
    then(&c, core,
         KEYS("", "\"a\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Write") "}}},"
                  "\"b\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Read") "}}}"));
    uint64_t whole = power_of(core, &c, "ka", false);
    then(&c, core, KEYS("", "\"a\":{\"Doc\":{\"children\":{\"status\":{\"Text\":\"Revoked\"}}}}"));
    assert_int_equal(power_of(core, &c, "ka", true), EID_POWER_NONE);
    assert_int_equal(power_of(core, &c, "kb", false), EID_POWER_READ);
    assert_int_equal(power_of(core, &c, "", false), EID_POWER_NONE);
    then(&c, core, KEYS("", "\"a\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Write") "}}}"));
    assert_true(power_of(core, &c, "ka", false) == whole && whole > EID_POWER_READ);
    eid_core_close(core);
    end(&c);
}

/* Replaced groups need no fold; those who were not named have nothing, those of other groups what they had. */
static void replaced_groups_need_no_fold(void **state)
{
    (void)state;
    chains c;
    eid_core *core = rv_core();
    begin(&c, 8);
    rv_receive_one(core, c.entries[0], c.entries[0]);
    then(&c, core, KEYS("", "\"a\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Write") "}}}"));
    then(&c, core, "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":{\"Doc\":{\"_a\":true,\"children\":{}}}}}}}}");
    assert_true(power_of(core, &c, "ka", false) > EID_POWER_READ);
    assert_int_equal(power_of(core, &c, "", false), EID_POWER_NONE);
    then(&c, core, KEYS("\"_a\":true,", "\"b\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Admin") "}}}"));
    assert_int_equal(power_of(core, &c, "ka", false), EID_POWER_NONE);
    assert_true(power_of(core, &c, "kb", false) >= EID_POWER_ADMIN);
    assert_int_equal(power_of(core, &c, "", false), EID_POWER_NONE);
    eid_core_close(core);
    end(&c);
}

/* The effective rights are read again after a change of rights, and of nothing else. */
static void other_settings_leave_the_rights_alone(void **state)
{
    (void)state;
    chains c;
    eid_core *core = rv_core();
    eid_auth_settings *before, *same, *after;
    begin(&c, 8);
    rv_receive_one(core, c.entries[0], c.entries[0]);
    tu_assert_ok(eid_core_auth(core, &c.entries[0]->id, &before));
    then(&c, core, "{\"children\":{\"name\":{\"Text\":\"other\"}}}");
    tu_assert_ok(eid_core_auth(core, &c.entries[0]->id, &same));
    assert_ptr_equal(before, same);
    then(&c, core, KEYS("", "\"a\":{\"Doc\":{\"_a\":true,\"children\":{" ACTIVE("Write") "}}}"));
    then(&c, core, "{\"children\":{\"name\":{\"Text\":\"third\"}}}");
    tu_assert_ok(eid_core_auth(core, &c.entries[0]->id, &after));
    assert_ptr_not_equal(before, after);
    then(&c, core, "{\"children\":{\"auth\":\"Deleted\"}}");
    eid_auth_settings_unref(same);
    tu_assert_ok(eid_core_auth(core, &c.entries[0]->id, &same));
    assert_int_equal(eid_auth_settings_key_count(same), 0);
    eid_auth_settings_unref(before);
    eid_auth_settings_unref(same);
    eid_auth_settings_unref(after);
    eid_core_close(core);
    end(&c);
}

int main(void)
{
    tu_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_grows_with_the_entries),
        cmocka_unit_test(long_knowledge_is_right),
        cmocka_unit_test(a_long_past_is_right),
        cmocka_unit_test(a_strange_record_comes_to_an_end),
        cmocka_unit_test(replaced_groups_need_no_fold),
        cmocka_unit_test(other_settings_leave_the_rights_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
