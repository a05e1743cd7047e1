/* SPDX-License-Identifier: Apache-2.0 */
/* Rights by the public interface: keys, everybody, delegations; what each call stages, keeps and refuses. */
#include "fixture.h"

#include <eidetica/auth.h>

#include "auth/auth.h"
#include "codec/cid.h"
#include "crypto/key.h"

static const eid_permission read_right = {EID_PERM_READ, 0}, write_3 = {EID_PERM_WRITE, 3}, write_10 = {EID_PERM_WRITE, 10},
                            admin_0 = {EID_PERM_ADMIN, 0}, admin_9 = {EID_PERM_ADMIN, 9};

static eid_pubkey key_of(uint8_t number)
{
    uint8_t seed[32] = {number};
    eid_keypair *pair;
    eid_pubkey key;

    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    eid_keypair_public(pair, &key);
    eid_keypair_free(pair);
    return key;
}

static void assert_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission, eid_key_status status)
{
    eid_auth_key_info *info;

    tu_assert_ok(eid_settings_get_auth_key(txn, key, &info));
    assert_true(eid_pubkey_equal(&info->key, key));
    if (name == NULL)
        assert_null(info->name);
    else
        assert_string_equal(info->name, name);
    assert_int_equal(eid_permission_compare(info->permission, permission), 0);
    assert_int_equal(info->status, status);
    eid_free(info);
}

/* ---- Keys ---- */

static void a_key_from_its_first_day_to_its_last(void **state)
{
    fixture *f = *state;
    eid_pubkey key = key_of(7);
    eid_auth_key_info *info = NULL;
    eid_txn *txn = begin(f);

    tu_assert_fails(eid_settings_get_auth_key(txn, &key, &info), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_settings_add_auth_key(txn, &key, "laptop", write_10));
    assert_key(txn, &key, "laptop", write_10, EID_KEY_ACTIVE);
    tu_assert_fails(eid_settings_add_auth_key(txn, &key, "again", admin_0), EID_ERR_ALREADY_EXISTS);
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_rank_auth_key(txn, &key, write_3));
    assert_key(txn, &key, "laptop", write_3, EID_KEY_ACTIVE);
    tu_assert_ok(eid_settings_rename_auth_key(txn, &key, "old laptop"));
    commit(txn);
    txn = begin(f);
    assert_key(txn, &key, "old laptop", write_3, EID_KEY_ACTIVE);
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &key));
    assert_key(txn, &key, "old laptop", write_3, EID_KEY_REVOKED);
    tu_assert_ok(eid_settings_rank_auth_key(txn, &key, admin_9)); /* ranked, and still revoked */
    assert_key(txn, &key, "old laptop", admin_9, EID_KEY_REVOKED);
    tu_assert_ok(eid_settings_rename_auth_key(txn, &key, NULL));
    assert_key(txn, &key, NULL, admin_9, EID_KEY_REVOKED);
    tu_assert_fails(eid_settings_add_auth_key(txn, &key, "anew", write_3), EID_ERR_ALREADY_EXISTS);
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_remove_auth_key(txn, &key));
    tu_assert_fails(eid_settings_get_auth_key(txn, &key, &info), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_remove_auth_key(txn, &key), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_rank_auth_key(txn, &key, write_3), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_revoke_auth_key(txn, &key), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_rename_auth_key(txn, &key, "x"), EID_ERR_KEY_NOT_FOUND);
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_add_auth_key(txn, &key, NULL, read_right));
    assert_key(txn, &key, NULL, read_right, EID_KEY_ACTIVE);
    commit(txn);
    assert_null(info);
}

static void records_that_can_not_be_read(void **state)
{
    fixture *f = *state;
    eid_pubkey key = key_of(7);
    char path[128] = "auth.keys.", text[EID_PUBKEY_TEXT_SIZE];
    eid_auth_key_info *info;
    eid_value *value;
    eid_txn *txn = begin(f);

    eid_pubkey_format(&key, text);
    strcat(path, text);
    tu_assert_ok(eid_value_new_int(5, &value));
    tu_assert_ok(eid_settings_set(txn, path, value));
    eid_value_free(value);
    tu_assert_fails(eid_settings_get_auth_key(txn, &key, &info), EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_settings_revoke_auth_key(txn, &key), EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_settings_add_auth_key(txn, &key, NULL, write_3), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, NULL, write_3, EID_KEY_ACTIVE));
    assert_key(txn, &key, NULL, write_3, EID_KEY_ACTIVE);
    commit(txn);
}

static void what_is_no_key(void **state)
{
    fixture *f = *state;
    eid_pubkey none = {{2}};
    eid_permission odd = {(eid_permission_kind)9, 0};
    eid_pubkey key = key_of(7);
    eid_txn *txn = begin(f);

    assert_false(eid_pubkey_is_point(&none));
    tu_assert_fails(eid_settings_add_auth_key(txn, &none, NULL, write_3), EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_settings_set_auth_key(txn, &none, NULL, write_3, EID_KEY_ACTIVE), EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_settings_add_auth_key(txn, &key, NULL, odd), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_set_auth_key(txn, &key, NULL, write_3, (eid_key_status)7), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_set_global_permission(txn, odd), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_add_auth_key(txn, &key, "\xff", write_3), EID_ERR_UTF8);
    eid_txn_free(txn);
}

typedef struct listing {
    char last[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey last_key;
    size_t count;
    size_t stop_after;
} listing;

static bool list_key(const eid_auth_key_info *info, void *ctx)
{
    listing *l = ctx;
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(&info->key, text);
    assert_true(strcmp(l->last, text) < 0);
    memcpy(l->last, text, sizeof text);
    l->last_key = info->key;
    return ++l->count < l->stop_after;
}

static void listing_in_pages(void **state)
{
    fixture *f = *state;
    eid_auth_key_info *list;
    listing pages = {.stop_after = 7};
    eid_txn *txn = begin(f);
    size_t total, rounds = 0;

    for (uint8_t i = 1; i <= 40; i++) {
        eid_pubkey key = key_of(i);
        tu_assert_ok(eid_settings_add_auth_key(txn, &key, i % 2 != 0 ? "odd" : NULL, write_3));
    }
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_list_auth_keys(txn, &list, &total));
    assert_int_equal(total, 41); /* and the admin */
    eid_free(list);
    tu_assert_ok(eid_settings_each_auth_key(txn, NULL, list_key, &pages));
    while (pages.count < total && rounds++ < 100) {
        eid_pubkey after = pages.last_key;
        pages.stop_after = pages.count + 7;
        tu_assert_ok(eid_settings_each_auth_key(txn, &after, list_key, &pages));
    }
    assert_int_equal(pages.count, total);
    eid_pubkey end = pages.last_key;
    tu_assert_ok(eid_settings_each_auth_key(txn, &end, list_key, &pages));
    assert_int_equal(pages.count, total);
    eid_txn_free(txn);
}

/* ---- Everybody ---- */

static void a_permission_for_everybody(void **state)
{
    fixture *f = *state;
    eid_permission permission = admin_9;
    eid_txn *txn = begin(f);

    tu_assert_fails(eid_settings_get_global_permission(txn, &permission), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_revoke_global_permission(txn), EID_ERR_KEY_NOT_FOUND);
    assert_int_equal(eid_permission_compare(permission, admin_9), 0);
    tu_assert_ok(eid_settings_set_global_permission(txn, write_10));
    tu_assert_ok(eid_settings_get_global_permission(txn, &permission));
    assert_int_equal(eid_permission_compare(permission, write_10), 0);
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_revoke_global_permission(txn));
    tu_assert_fails(eid_settings_get_global_permission(txn, &permission), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_revoke_global_permission(txn), EID_ERR_KEY_NOT_FOUND);
    commit(txn);
    eid_auth_settings *settings;
    tu_assert_ok(eid_database_auth(f->database, &settings));
    assert_non_null(eid_auth_settings_global(settings));
    assert_int_equal(eid_auth_settings_global(settings)->status, EID_KEY_REVOKED);
    eid_auth_settings_unref(settings);
}

/* ---- Delegation ---- */

static eid_database *other_database(fixture *f)
{
    eid_database *other;
    eid_doc *settings;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "members"));
    tu_assert_ok(eid_database_create(f->core, settings, f->key, &other));
    eid_doc_free(settings);
    return other;
}

static eid_id write_to(eid_database *database, int64_t value)
{
    eid_txn *txn;
    eid_id id;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", value));
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

static bool count_delegation(const eid_delegation_info *info, void *ctx)
{
    size_t *count = ctx;

    assert_false(eid_id_is_empty(&info->root));
    return ++*count < 2;
}

static void a_delegation_from_its_first_day_to_its_last(void **state)
{
    fixture *f = *state;
    eid_database *other = other_database(f);
    eid_id root = *eid_database_root_id(other), first = write_to(other, 1), second = write_to(other, 2), id;
    eid_delegation_info *info = NULL;
    eid_txn *txn = begin(f);
    char text[EID_ID_TEXT_SIZE], tip[EID_ID_TEXT_SIZE], wanted[1024];

    tu_assert_fails(eid_settings_get_delegation(txn, &root, &info), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_remove_delegation(txn, &root), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_raise_delegation(txn, &root, NULL, 0), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_bound_delegation(txn, &root, write_3, NULL), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_settings_add_delegation(txn, &root, &first, 1, write_10, &read_right));
    tu_assert_fails(eid_settings_add_delegation(txn, &root, &first, 1, write_10, NULL), EID_ERR_ALREADY_EXISTS);
    id = commit(txn);
    /* The recorded form (auth.md, examples). */
    eid_id_format(&root, text);
    eid_id_format(&first, tip);
    snprintf(wanted, sizeof wanted,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":{\"Doc\":{\"children\":{\"%s\":{\"Doc\":{\"_a\":true,"
             "\"children\":{\"permission_bounds\":{\"Doc\":{\"children\":{\"max\":{\"Doc\":{\"children\":{\"priority\":{\"Int\":10},"
             "\"type\":{\"Text\":\"Write\"}}}},\"min\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Read\"}}}}}}},\"tree\":{\"Doc\":{"
             "\"children\":{\"root\":{\"Text\":\"%s\"},\"tips\":{\"Doc\":{\"children\":{\"0\":{\"Text\":\"%s\"}}}}}}}}}}}}}}}}}}",
             text, text, tip);
    assert_payload(f, &id, "_settings", wanted);

    txn = begin(f);
    tu_assert_ok(eid_settings_get_delegation(txn, &root, &info));
    assert_true(eid_id_equal(&info->root, &root));
    assert_true(info->has_min && info->min.kind == EID_PERM_READ);
    assert_int_equal(info->floor_count, 1);
    assert_true(eid_id_equal(&info->floor[0], &first));
    eid_free(info);
    tu_assert_ok(eid_settings_raise_delegation(txn, &root, NULL, 0)); /* to the present */
    tu_assert_ok(eid_settings_get_delegation(txn, &root, &info));
    assert_true(info->floor_count == 1 && eid_id_equal(&info->floor[0], &second) && info->has_min);
    eid_free(info);
    tu_assert_fails(eid_settings_raise_delegation(txn, &root, &first, 1), EID_ERR_INVALID_TIP);
    tu_assert_ok(eid_settings_bound_delegation(txn, &root, write_3, NULL));
    tu_assert_ok(eid_settings_get_delegation(txn, &root, &info));
    assert_true(info->floor_count == 1 && !info->has_min && eid_permission_compare(info->max, write_3) == 0);
    eid_free(info);
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_remove_delegation(txn, &root));
    tu_assert_fails(eid_settings_get_delegation(txn, &root, &info), EID_ERR_KEY_NOT_FOUND);
    commit(txn);
    eid_database_close(other);
}

static void delegations_that_make_no_sense(void **state)
{
    fixture *f = *state;
    eid_database *other = other_database(f);
    eid_id root = *eid_database_root_id(other), none = {0}, unknown, own = *eid_database_root_id(f->database), many[65];
    uint8_t digest[32] = {9};
    eid_permission odd = {(eid_permission_kind)9, 0};
    eid_txn *txn = begin(f);

    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &unknown);
    tu_assert_fails(eid_settings_add_delegation(txn, &none, NULL, 0, write_10, NULL), EID_ERR_INVALID_ID);
    tu_assert_fails(eid_settings_add_delegation(txn, &unknown, NULL, 0, write_10, NULL), EID_ERR_DATABASE_NOT_FOUND);
    tu_assert_fails(eid_settings_add_delegation(txn, &root, NULL, 0, write_10, &admin_0), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_add_delegation(txn, &root, NULL, 0, odd, NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_add_delegation(txn, &root, NULL, 0, write_10, &odd), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_add_delegation(txn, &root, &none, 1, write_10, NULL), EID_ERR_INVALID_ID);
    for (uint8_t i = 0; i < 65; i++) {
        digest[1] = i;
        eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &many[i]);
    }
    tu_assert_fails(eid_settings_add_delegation(txn, &root, many, 65, write_10, NULL), EID_ERR_LIMIT);
    /* A database that is not held can be delegated to by whoever knows what the floor is. */
    tu_assert_ok(eid_settings_add_delegation(txn, &unknown, &unknown, 1, write_10, NULL));
    tu_assert_ok(eid_settings_add_delegation(txn, &root, NULL, 0, write_10, NULL));
    tu_assert_fails(eid_settings_raise_delegation(txn, &root, &unknown, 1), EID_ERR_ENTRY_NOT_FOUND);
    tu_assert_fails(eid_settings_raise_delegation(txn, &root, &own, 1), EID_ERR_INVALID_TIP);
    tu_assert_fails(eid_settings_raise_delegation(txn, &unknown, &unknown, 1), EID_ERR_DATABASE_NOT_FOUND);
    size_t count = 0;
    tu_assert_ok(eid_settings_each_delegation(txn, NULL, count_delegation, &count));
    assert_int_equal(count, 2);
    tu_assert_ok(eid_settings_each_delegation(txn, eid_id_compare_text(&root, &unknown) < 0 ? &root : &unknown, count_delegation, &count));
    assert_int_equal(count, 3);
    eid_txn_free(txn);
    eid_database_close(other);
}

static void a_delegation_that_can_not_be_read(void **state)
{
    fixture *f = *state;
    eid_database *other = other_database(f);
    eid_id root = *eid_database_root_id(other);
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.", text[EID_ID_TEXT_SIZE];
    eid_delegation_info *info;
    eid_value *value;
    size_t count = 0;
    eid_txn *txn = begin(f);

    eid_id_format(&root, text);
    strcat(path, text);
    tu_assert_ok(eid_value_new_int(5, &value));
    tu_assert_ok(eid_settings_set(txn, path, value));
    eid_value_free(value);
    tu_assert_fails(eid_settings_get_delegation(txn, &root, &info), EID_ERR_CORRUPTED_AUTH);
    tu_assert_fails(eid_settings_raise_delegation(txn, &root, NULL, 0), EID_ERR_CORRUPTED_AUTH);
    tu_assert_fails(eid_settings_add_delegation(txn, &root, NULL, 0, write_3, NULL), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(eid_settings_each_delegation(txn, NULL, count_delegation, &count));
    assert_int_equal(count, 0);
    tu_assert_ok(eid_settings_remove_delegation(txn, &root));
    tu_assert_ok(eid_settings_add_delegation(txn, &root, NULL, 0, write_3, NULL));
    eid_txn_free(txn);
    eid_database_close(other);
}

/* ---- Identities ---- */

static void ways_to_act(void **state)
{
    fixture *f = *state;
    eid_database *other = other_database(f);
    eid_id root = *eid_database_root_id(other);
    eid_pubkey member = key_of(7), stranger = key_of(8);
    eid_sigkey_info *ways;
    size_t count;
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(other, &txn));
    tu_assert_ok(eid_settings_add_auth_key(txn, &member, NULL, admin_0));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    tu_assert_ok(eid_settings_add_delegation(txn, &root, NULL, 0, write_10, NULL));
    tu_assert_ok(eid_settings_add_auth_key(txn, &member, "m", read_right));
    tu_assert_ok(eid_settings_set_global_permission(txn, write_10));
    commit(txn);
    tu_assert_ok(eid_database_find_sigkeys(f->database, &member, &ways, &count));
    assert_int_equal(count, 3);
    /* Equally strong: everybody's permission before the membership; then the own record, which is weaker. */
    assert_true(ways[0].is_global && ways[0].steps == 0 && ways[0].permission.kind == EID_PERM_WRITE);
    assert_true(!ways[1].is_global && ways[1].steps == 1 && eid_permission_compare(ways[1].permission, write_10) == 0);
    assert_true(!ways[2].is_global && ways[2].steps == 0 && ways[2].permission.kind == EID_PERM_READ);
    assert_non_null(strstr(ways[1].text, "{\"Delegation\":"));
    assert_non_null(strstr(ways[2].text, "{\"Direct\":"));
    eid_free(ways);
    tu_assert_ok(eid_database_find_sigkeys(f->database, &stranger, &ways, &count));
    assert_int_equal(count, 1);
    assert_true(ways[0].is_global);
    eid_free(ways);
    tu_assert_ok(eid_database_find_sigkeys(other, &stranger, &ways, &count));
    assert_int_equal(count, 0);
    eid_free(ways);
    eid_database_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(a_key_from_its_first_day_to_its_last),
        WITH_DATABASE(records_that_can_not_be_read),
        WITH_DATABASE(what_is_no_key),
        WITH_DATABASE(listing_in_pages),
        WITH_DATABASE(a_permission_for_everybody),
        WITH_DATABASE(a_delegation_from_its_first_day_to_its_last),
        WITH_DATABASE(delegations_that_make_no_sense),
        WITH_DATABASE(a_delegation_that_can_not_be_read),
        WITH_DATABASE(ways_to_act),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
