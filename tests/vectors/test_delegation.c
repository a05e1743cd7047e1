/* SPDX-License-Identifier: Apache-2.0 */
/* auth.json, delegation: signatures resolved through other databases, recorded from the Rust implementation.
 *
 * Recorded is, for each pair of settings and entry, whether the entry is valid, and what the signature resolves to or why
 * it does not. What the Rust side calls not valid for lack of entries waits here; where the reason differs otherwise the case
 * stands in the table below. */
#include <stdlib.h>

#include "database/delegation.h"
#include "support/jsondom.h"

static const jd_node *vectors;

/* ---- Deliberate differences ---- */

typedef enum outcome {
    LEADS,  /* to settings */
    WAITS,  /* for something that is not held */
    REFUSED /* proven wrong */
} outcome;

typedef struct difference {
    const char *settings; /* NULL: all */
    const char *entry;    /* NULL: all whose claims are held */
    const char *class;    /* recorded */
    outcome ours;
    const char *reason;
    size_t met;
} difference;

static difference differences[] = {
    {NULL, "unknown tip", "Auth.InvalidDelegationTips", WAITS,
     "a claim that is not held may come yet; the Rust side says so only when there is a floor to look for", 0},
    {NULL, "known tip and unknown tip", "Auth.InvalidDelegationTips", WAITS,
     "a claim that is not held may come yet, whatever the others contain", 0},
    {"floor is an unknown entry", NULL, "Auth.DelegatedTreeUnsynced", REFUSED,
     "what is held is complete below the claims: an entry that is not among it is not below them", 0},
};

#define COUNT (sizeof differences / sizeof *differences)

/* ---- What is held ---- */

static eid_entry *read_entry(const jd_node *node)
{
    size_t len;
    uint8_t *bytes = jd_hex(jd_need(node, "dagcbor_hex"), &len);
    eid_entry *entry = NULL;
    eid_status status = eid_entry_from_cbor(bytes, len, &entry);

    /* Ten steps and 64 tips are bounds of the reader already: such an entry does not even get here. */
    assert_true(status == EID_OK || status == EID_ERR_LIMIT);
    free(bytes);
    return entry;
}

static void receive_tree(eid_core *core, const jd_node *tree)
{
    const jd_node *rows = jd_need(tree, "entries");
    eid_entry *entries[16];
    eid_receipt receipt;
    eid_id root;

    assert_true(jd_len(rows) <= 16);
    tu_assert_ok(eid_id_parse(jd_get_str(tree, "root"), &root));
    for (size_t i = 0; i < jd_len(rows); i++)
        entries[i] = read_entry(jd_at(rows, i));
    tu_assert_ok(eid_core_receive(core, &root, entries, jd_len(rows), &receipt, NULL));
    assert_int_equal(receipt.admitted, jd_len(rows));
    for (size_t i = 0; i < jd_len(rows); i++)
        eid_entry_unref(entries[i]);
}

static eid_core *open_core(void)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_core *core;

    tu_assert_ok(eid_core_open(&options, &core));
    return core;
}

static eid_auth_settings *parse_settings(const jd_node *row)
{
    eid_slice text = jd_source(jd_need(row, "auth"));
    eid_auth_settings *settings;
    eid_doc *doc, *auth;

    tu_assert_ok(eid_doc_from_json((const char *)text.data, text.len, &auth));
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_doc(doc, "auth", auth));
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    eid_doc_free(doc);
    eid_doc_free(auth);
    return settings;
}

/* ---- One pair ---- */

typedef struct pair {
    const char *settings_name;
    const char *entry_name;
    const jd_node *row;
    eid_auth_settings *settings;
    eid_entry *entry;
} pair;

static outcome outcome_of(const eid_delegation_end *end)
{
    if (end->settings != NULL)
        return LEADS;
    return end->refusal != EID_OK ? REFUSED : WAITS;
}

/* The class of ours that stands for a recorded one, as far as the path itself is concerned. */
static eid_status code_of(const char *class)
{
    if (strcmp(class, "Auth.DelegationNotFound") == 0)
        return EID_ERR_KEY_NOT_FOUND;
    if (strcmp(class, "Auth.InvalidDelegationTips") == 0)
        return EID_ERR_INVALID_TIP;
    if (strcmp(class, "Auth.InvalidDelegationStep") == 0)
        return EID_ERR_PERMISSION_DENIED;
    return EID_OK;
}

static outcome recorded_outcome(const char *class)
{
    if (strcmp(class, "Auth.KeyNotFound") == 0)
        return LEADS;
    if (strcmp(class, "Auth.DelegatedTreeUnsynced") == 0 || strcmp(class, "Auth.DelegatedTreeLoadFailed") == 0)
        return WAITS;
    return REFUSED;
}

static difference *difference_of(const pair *p, const char *class, outcome ours)
{
    for (size_t i = 0; i < COUNT; i++) {
        difference *d = &differences[i];
        if ((d->settings == NULL || strcmp(d->settings, p->settings_name) == 0) &&
            (d->entry == NULL || strcmp(d->entry, p->entry_name) == 0) && strcmp(d->class, class) == 0 && d->ours == ours)
            return d;
    }
    return NULL;
}

static void assert_failure(const pair *p, const eid_delegation_end *end, const char *class)
{
    outcome ours = outcome_of(end), wanted = recorded_outcome(class);
    eid_auth_candidate candidates[4];
    size_t count;

    if (ours != wanted) {
        difference *d = difference_of(p, class, ours);
        if (d == NULL)
            fail_msg("%s / %s: %d, recorded %s (%s)", p->settings_name, p->entry_name, (int)ours, class, eid_last_error());
        d->met++;
        return;
    }
    if (ours == REFUSED)
        assert_int_equal(end->refusal, code_of(class));
    else if (ours == LEADS)
        tu_assert_fails(eid_auth_candidates(end->settings, &p->entry->sigkey.hint, candidates, 4, &count), EID_ERR_KEY_NOT_FOUND);
}

static eid_permission permission_of(const jd_node *node)
{
    eid_permission permission;
    eid_json reader;

    eid_json_init(&reader, jd_source(node));
    tu_assert_ok(eid_permission_read_json(&reader, &permission));
    eid_json_free(&reader);
    return permission;
}

static void assert_candidates(const pair *p, const eid_delegation_end *end, const jd_node *wanted)
{
    eid_auth_candidate candidates[4];
    size_t count;

    if (outcome_of(end) != LEADS)
        fail_msg("%s / %s leads nowhere: %s", p->settings_name, p->entry_name, eid_last_error());
    tu_assert_ok(eid_auth_candidates(end->settings, &p->entry->sigkey.hint, candidates, 4, &count));
    assert_int_equal(count, jd_len(wanted));
    for (size_t i = 0; i < count; i++) {
        const jd_node *row = jd_at(wanted, i);
        eid_permission got = eid_bounds_apply(&end->bounds, candidates[i].permission);
        char key[EID_PUBKEY_TEXT_SIZE];
        assert_int_equal(eid_permission_compare(got, permission_of(jd_need(row, "permission"))), 0);
        assert_int_equal(candidates[i].status == EID_KEY_ACTIVE, strcmp(jd_get_str(row, "status"), "Active") == 0);
        eid_pubkey_format(&candidates[i].key, key);
        assert_string_equal(key, jd_get_str(row, "public_key"));
        assert_int_equal(eid_entry_verify_signature(p->entry, &candidates[i].key) == EID_OK,
                         jd_get_bool(row, "signature_verifies"));
    }
}

/* The whole judgement of the entry, as reception makes it. */
static bool is_valid(eid_core *core, const pair *p)
{
    eid_delegation_place start = {p->settings, NULL, NULL};
    eid_status refusal = eid_auth_judge(p->settings, p->entry, NULL);
    eid_id missing = {0};

    if (refusal != EID_ERR_UNSUPPORTED)
        return refusal == EID_OK;
    refusal = EID_OK;
    tu_assert_ok(eid_delegation_judge(eid_core_storage(core), &start, p->entry, NULL, &missing, &refusal));
    if (refusal != EID_OK)
        assert_true(refusal == EID_ERR_PERMISSION_DENIED || refusal == EID_ERR_BAD_SIGNATURE);
    return refusal == EID_OK && eid_id_is_empty(&missing);
}

static void check_pair(eid_core *core, const pair *p)
{
    const jd_node *candidates = jd_need(p->row, "candidates");
    eid_delegation_place start = {p->settings, NULL, NULL};
    eid_delegation_end end;

    eid_storage_lock(eid_core_storage(core));
    tu_assert_ok(eid_delegation_resolve(eid_core_storage(core), &start, &p->entry->sigkey, EID_PATH_ADMITS, &end));
    if (jd_kind_of(candidates) == JD_OBJECT)
        assert_failure(p, &end, jd_get_str(candidates, "class"));
    else
        assert_candidates(p, &end, candidates);
    eid_auth_settings_unref(end.settings);
    if (is_valid(core, p) != jd_get_bool(p->row, "valid"))
        fail_msg("%s / %s: %s", p->settings_name, p->entry_name, eid_last_error());
    eid_storage_unlock(eid_core_storage(core));
}

static void matrix(void **state)
{
    const jd_node *delegation = jd_need(vectors, "delegation"), *rows = jd_need(delegation, "matrix"),
                  *settings_rows = jd_need(delegation, "settings"), *entry_rows = jd_need(delegation, "entries");
    eid_core *core = open_core();
    size_t beyond = 0, valid = 0;

    (void)state;
    receive_tree(core, jd_need(delegation, "delegated_tree"));
    receive_tree(core, jd_need(delegation, "middle_tree"));
    for (size_t i = 0; i < jd_len(rows); i++) {
        const jd_node *row = jd_at(rows, i), *settings = jd_at(settings_rows, (size_t)jd_get_u64(row, "settings")),
                      *entry = jd_at(entry_rows, (size_t)jd_get_u64(row, "entry"));
        pair p = {jd_get_str(settings, "name"), jd_get_str(entry, "name"), row, parse_settings(settings), read_entry(entry)};
        if (p.entry == NULL) {
            assert_false(jd_get_bool(row, "valid"));
            beyond++;
        } else {
            check_pair(core, &p);
            valid += jd_get_bool(row, "valid");
        }
        eid_entry_unref(p.entry);
        eid_auth_settings_unref(p.settings);
    }
    assert_int_equal(jd_len(rows), 310);
    for (size_t i = 0; i < COUNT; i++) {
        if (differences[i].met == 0)
            fail_msg("no case shows the listed difference \"%s\"", differences[i].reason);
        print_message("differs in the reason, %zu pairs: %s / %s: %s\n", differences[i].met,
                      differences[i].settings != NULL ? differences[i].settings : "(any settings)",
                      differences[i].entry != NULL ? differences[i].entry : "(any entry)", differences[i].reason);
    }
    print_message("%zu pairs, %zu valid, all verdicts as recorded; %zu of them beyond the bounds of the reader\n",
                  jd_len(rows), valid, beyond);
    eid_core_close(core);
}

/* The records of the settings, read and written again, are the same documents. */
static void records(void **state)
{
    const jd_node *rows = jd_need(jd_need(vectors, "delegation"), "settings");
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < jd_len(rows); i++) {
        eid_slice text = jd_source(jd_need(jd_at(rows, i), "auth"));
        eid_auth_settings *settings = parse_settings(jd_at(rows, i));
        const eid_doc *group, *recorded;
        eid_doc *auth, *written;

        tu_assert_ok(eid_doc_from_json((const char *)text.data, text.len, &auth));
        tu_assert_ok(eid_doc_get_doc(auth, "delegations", &group));
        assert_true(eid_auth_settings_configured(settings));
        for (size_t k = 0; k < eid_auth_settings_delegation_count(settings); k++, seen++) {
            const eid_auth_delegation *record = eid_auth_settings_delegation_at(settings, k);
            char key[EID_ID_TEXT_SIZE];
            assert_null(record->problem);
            eid_id_format(&record->key, key);
            tu_assert_ok(eid_doc_get_doc(group, key, &recorded));
            tu_assert_ok(eid_auth_delegation_to_doc(&record->tree, record->floor, record->floor_count, &record->bounds, &written));
            assert_true(eid_doc_equal(written, recorded));
            eid_doc_free(written);
        }
        eid_doc_free(auth);
        eid_auth_settings_unref(settings);
    }
    assert_int_equal(seen, jd_len(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix),
        cmocka_unit_test(records),
    };
    jd_node *root = jd_load("auth.json");
    int failed;

    vectors = root;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    jd_free(root);
    return failed;
}
