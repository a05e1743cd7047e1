/* SPDX-License-Identifier: Apache-2.0 */
/* What sync writes into `_sync`, document by document, as the Rust implementation lays it out
 * (sync-behaviour.md section 10, users.md section 13), and how several users' wishes are combined. */
#include "node.h"
#include "support/track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text at a path of a store of `_sync`; free()d by the next call; NULL when there is none. */
static const char *stored(const node *n, const char *store, const char *key, const char *field)
{
    static char room[4096];
    char path[300];
    eid_value *value;
    const char *text;
    snprintf(path, sizeof path, "%s.%s", key, field);
    eid_status status = eid_database_get(n->sync->database, store, path, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return NULL;
    tu_assert_ok(status);
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_true(strlen(text) < sizeof room);
    strcpy(room, text);
    eid_value_free(value);
    return room;
}

static void assert_stored(const node *n, const char *store, const char *key, const char *field,
                          const char *wanted)
{
    const char *text = stored(n, store, key, field);
    if (wanted == NULL ? text != NULL : text == NULL || strcmp(text, wanted) != 0)
        fail_msg("%s of %s is '%s' instead of '%s'", field, key, text == NULL ? "(none)" : text,
                 wanted == NULL ? "(none)" : wanted);
}

static const char *id_text(const eid_database *database)
{
    static char texts[4][EID_ID_TEXT_SIZE];
    static int next;
    char *text = texts[next++ % 4];
    eid_id_format(eid_database_root_id(database), text);
    return text;
}

static uint64_t records(const node *n)
{
    return node_count(n, eid_database_root_id(n->sync->database));
}

/* ---- The database itself ---- */

/* Feature 110 */
static void the_sync_database(void **state)
{
    (void)state;
    node n;
    char *name;
    eid_doc *settings;
    const char *text;
    eid_auth_settings *auth;
    node_open(&n, "alice");
    tu_assert_ok(eid_database_name(n.sync->database, &name));
    assert_string_equal(name, "_sync");
    eid_free(name);
    tu_assert_ok(eid_database_store_state(n.sync->database, "_settings", &settings));
    tu_assert_ok(eid_doc_get_text(settings, "type", &text, NULL));
    assert_string_equal(text, "sync_settings");
    eid_doc_free(settings);
    tu_assert_ok(eid_database_auth(n.sync->database, &auth));
    assert_int_equal(eid_auth_settings_key_count(auth), 1);
    const eid_auth_key *device = eid_auth_settings_find(auth, &n.sync->device);
    assert_non_null(device);
    assert_int_equal(eid_permission_compare(device->permission, node_admin_0), 0);
    eid_auth_settings_unref(auth);
    assert_true(eid_instance_is_private_database(n.instance, eid_database_root_id(n.sync->database)));
    node_close(&n);
}

/* ---- Preferences ---- */

#define COMBINED(enabled, on_commit, interval)                                                               \
    "{\"sync_enabled\":" enabled ",\"sync_on_commit\":" on_commit ",\"interval_seconds\":" interval          \
    ",\"properties\":{}}"

static void one_users_wishes(void **state)
{
    (void)state;
    node n;
    char users[100], expected_tips[300], private_text[EID_ID_TEXT_SIZE], tip_text[EID_ID_TEXT_SIZE];
    eid_database *private_database;
    eid_id *tips;
    size_t count;

    node_open(&n, "alice");
    eid_database *notes = node_create(&n, "notes", false);
    const char *id = id_text(notes), *uuid = eid_user_id(n.user);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "users", NULL);
    assert_false(eid_sync_is_shared(n.sync, eid_database_root_id(notes)));

    eid_sync_settings settings = {sizeof settings, true, true, 60, NULL, 0};
    tu_assert_ok(tu_track(n.user, eid_database_root_id(notes), &settings));
    snprintf(users, sizeof users, "[{\"user_uuid\":\"%s\"}]", uuid);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "users", users);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "combined_settings", COMBINED("true", "true", "60"));
    assert_true(eid_sync_is_shared(n.sync, eid_database_root_id(notes)));

    tu_assert_ok(eid_user_private_database(n.user, &private_database));
    eid_id_format(eid_database_root_id(private_database), private_text);
    assert_stored(&n, EID_STORE_USER_TRACKING, uuid, "preferences_db_id", private_text);
    tu_assert_ok(eid_database_tips(private_database, &tips, &count));
    assert_int_equal(count, 1);
    eid_id_format(&tips[0], tip_text);
    eid_free(tips);
    snprintf(expected_tips, sizeof expected_tips, "[\"%s\"]", tip_text);
    assert_stored(&n, EID_STORE_USER_TRACKING, uuid, "preferences_tips", expected_tips);

    /* The same wish again writes nothing new about the database. */
    node_set_sync(&n, eid_database_root_id(notes), true);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "combined_settings", COMBINED("true", "false", "null"));
    node_set_sync(&n, eid_database_root_id(notes), false);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "users", NULL);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id, "combined_settings", NULL);
    assert_false(eid_sync_is_shared(n.sync, eid_database_root_id(notes)));
    eid_database_close(notes);
    node_close(&n);
}

/* Feature 78 */
static void several_users_wishes(void **state)
{
    (void)state;
    node n;
    eid_user *carol;
    char users[200];
    eid_pubkey key;
    eid_txn *txn;

    node_open(&n, "alice");
    eid_database *notes = node_create(&n, "notes", false);
    const eid_id *id = eid_database_root_id(notes);
    tu_assert_ok(eid_instance_login_or_create_user(n.instance, "carol", NULL, &carol));
    eid_user_get_default_key(carol, &key);
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "carol", node_write_10, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));

    eid_sync_settings slow = {sizeof slow, true, false, 300, NULL, 0}, fast = {sizeof fast, true, true, 60, NULL, 0};
    eid_sync_settings off = EID_SYNC_SETTINGS_DISABLED, plain = EID_SYNC_SETTINGS_ENABLED;
    tu_assert_ok(tu_track(n.user, id, &slow));
    tu_assert_ok(tu_track(carol, id, &fast));
    snprintf(users, sizeof users, "[{\"user_uuid\":\"%s\"},{\"user_uuid\":\"%s\"}]", eid_user_id(n.user),
             eid_user_id(carol));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "users", users);
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "combined_settings",
                  COMBINED("true", "true", "60"));

    /* Each changes alone; the others' wishes stay. */
    tu_assert_ok(tu_track(n.user, id, &plain));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "combined_settings",
                  COMBINED("true", "true", "60"));
    tu_assert_ok(tu_track(carol, id, &slow));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "combined_settings",
                  COMBINED("true", "false", "300"));
    tu_assert_ok(tu_track(n.user, id, &off));
    snprintf(users, sizeof users, "[{\"user_uuid\":\"%s\"}]", eid_user_id(carol));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "users", users);
    assert_true(eid_sync_is_shared(n.sync, id));
    tu_assert_ok(eid_user_remove_database(carol, id));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(notes), "users", NULL);
    assert_false(eid_sync_is_shared(n.sync, id));
    eid_user_logout(carol);
    eid_database_close(notes);
    node_close(&n);
}

/* Wishes made before sync was switched on count when it is. */
static void wishes_from_before(void **state)
{
    (void)state;
    eid_instance *instance;
    eid_user *user;
    eid_database *notes;
    eid_sync *sync;
    eid_sync_settings on = EID_SYNC_SETTINGS_ENABLED;
    tu_assert_ok(eid_instance_open_url("memory:", &instance));
    tu_assert_ok(eid_instance_login_or_create_user(instance, "alice", NULL, &user));
    tu_assert_ok(eid_user_create_database(user, "notes", &notes));
    tu_assert_ok(tu_track(user, eid_database_root_id(notes), &on));
    tu_assert_ok(eid_instance_enable_sync(instance));
    tu_assert_ok(eid_instance_sync(instance, &sync));
    assert_true(eid_sync_is_shared(sync, eid_database_root_id(notes)));
    eid_database_close(notes);
    eid_user_logout(user);
    eid_instance_close(instance);
}

/* Feature A4 */
static void private_databases_are_never_shared(void **state)
{
    (void)state;
    node n;
    eid_database *private_database;
    node_open(&n, "alice");
    tu_assert_ok(eid_user_private_database(n.user, &private_database));
    eid_sync_settings on = EID_SYNC_SETTINGS_ENABLED;
    /* Whether tracking is refused or not: the gate stays closed. */
    (void)tu_track(n.user, eid_database_root_id(private_database), &on);
    assert_false(eid_sync_is_shared(n.sync, eid_database_root_id(private_database)));
    assert_stored(&n, EID_STORE_DATABASE_USERS, id_text(private_database), "users", NULL);
    node_close(&n);
}

static void shared_databases_are_listed(void **state)
{
    (void)state;
    node n;
    eid_database *databases[5];
    eid_id *ids;
    size_t count;
    node_open(&n, "alice");
    for (int i = 0; i < 5; i++)
        databases[i] = node_create(&n, "d", i != 2);
    tu_assert_ok(eid_sync_shared_databases(n.sync, 100, &ids, &count));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_false(eid_id_equal(&ids[i], eid_database_root_id(databases[2])));
    eid_free(ids);
    tu_assert_ok(eid_sync_shared_databases(n.sync, 3, &ids, &count));
    assert_int_equal(count, 3);
    eid_free(ids);
    for (int i = 0; i < 5; i++)
        eid_database_close(databases[i]);
    node_close(&n);
}

/* Records that somebody damaged keep their database closed and do not stop the instance. */
static void damaged_preferences(void **state)
{
    (void)state;
    static const struct {
        const char *users, *settings;
    } cases[] = {
        {"[{\"user_uuid\":\"x\"}]", "{\"sync_enabled\":true}"},
        {"[{\"user_uuid\":\"x\"}]", "not JSON"},
        {"{}", COMBINED("true", "true", "60")},
        {"[{}]", "[]"},
        {"[{\"user_uuid\":\"a text that is far longer than any UUID can ever be\"}]",
         COMBINED("true", "true", "60")},
        {"[]", COMBINED("true", "true", "60")},
    };
    node n;
    node_open(&n, "alice");
    eid_database *notes = node_create(&n, "notes", false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_txn *txn;
        eid_doc *record;
        tu_assert_ok(eid_doc_new(&record));
        tu_assert_ok(eid_doc_set_string(record, "users", cases[i].users));
        tu_assert_ok(eid_doc_set_string(record, "combined_settings", cases[i].settings));
        tu_assert_ok(eid_database_new_transaction(n.sync->database, &txn));
        tu_assert_ok(eid_docstore_set_doc(txn, EID_STORE_DATABASE_USERS, id_text(notes), record));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
        eid_doc_free(record);
        tu_assert_ok(eid_shared_load(n.sync));
        if (eid_sync_is_shared(n.sync, eid_database_root_id(notes)))
            fail_msg("case %zu opened the gate", i);
    }
    eid_database_close(notes);
    node_close(&n);
}

/* ---- Peers ---- */

static eid_address *http_address(const char *text)
{
    eid_address *address;
    tu_assert_ok(eid_address_http(text, &address));
    return address;
}

static void peer_records(void **state)
{
    (void)state;
    node n;
    eid_keypair *pair;
    eid_pubkey peer;
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_address *addresses[3] = {http_address("10.0.0.1:1"), http_address("10.0.0.2:2"),
                                 http_address("10.0.0.1:1")};

    node_open(&n, "alice");
    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &peer);
    eid_pubkey_format(&peer, key);
    uint64_t before = records(&n);
    tu_assert_ok(eid_peer_note(n.sync, &peer, "A name", addresses, 1));
    assert_int_equal(records(&n), before + 1);
    assert_stored(&n, EID_STORE_PEERS, key, "pubkey", key);
    assert_stored(&n, EID_STORE_PEERS, key, "display_name", "A name");
    assert_stored(&n, EID_STORE_PEERS, key, "status", "active");
    assert_stored(&n, EID_STORE_PEERS, key, "first_seen", "2027-01-15T08:00:00+00:00");
    assert_stored(&n, EID_STORE_PEERS, key, "last_seen", "2027-01-15T08:00:00+00:00");
    assert_stored(&n, EID_STORE_PEERS, key, "addresses",
                  "[{\"transport_type\":\"http\",\"address\":\"10.0.0.1:1\"}]");

    /* A new address is added behind the others, a known one is not; the name stays. */
    n.now_ms += 1000;
    tu_assert_ok(eid_peer_note(n.sync, &peer, "Another name", addresses, 3));
    assert_int_equal(records(&n), before + 2);
    assert_stored(&n, EID_STORE_PEERS, key, "addresses",
                  "[{\"transport_type\":\"http\",\"address\":\"10.0.0.1:1\"},"
                  "{\"transport_type\":\"http\",\"address\":\"10.0.0.2:2\"}]");
    assert_stored(&n, EID_STORE_PEERS, key, "display_name", "A name");
    assert_stored(&n, EID_STORE_PEERS, key, "first_seen", "2027-01-15T08:00:00+00:00");
    tu_assert_ok(eid_peer_note(n.sync, &peer, NULL, addresses, 3));
    tu_assert_ok(eid_peer_note(n.sync, &peer, NULL, NULL, 0));
    assert_int_equal(records(&n), before + 2);
    for (int i = 0; i < 3; i++)
        eid_address_free(addresses[i]);
    eid_keypair_free(pair);
    node_close(&n);
}

static void peers_without_name_and_addresses(void **state)
{
    (void)state;
    node n;
    eid_keypair *pair;
    eid_pubkey peer;
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_peer_info *peers;
    size_t count;
    node_open(&n, "alice");
    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &peer);
    eid_pubkey_format(&peer, key);
    tu_assert_ok(eid_peer_note(n.sync, &peer, NULL, NULL, 0));
    assert_stored(&n, EID_STORE_PEERS, key, "display_name", NULL);
    assert_stored(&n, EID_STORE_PEERS, key, "addresses", NULL);
    tu_assert_ok(eid_sync_list_peers(n.sync, &peers, &count));
    assert_int_equal(count, 1);
    assert_null(peers[0].display_name);
    assert_null(peers[0].addresses[0]);
    eid_peer_infos_free(peers, count);
    eid_keypair_free(pair);
    node_close(&n);
}

/* Feature A8 */
static void the_number_of_peers_is_bounded(void **state)
{
    (void)state;
    node n;
    eid_keypair *pair;
    eid_pubkey peer;
    eid_address *address = http_address("10.0.0.1:1");
    node_open(&n, "alice");
    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &peer);
    tu_assert_ok(eid_peer_note(n.sync, &peer, NULL, NULL, 0));
    n.sync->peer_count = EID_LIMIT_PEERS;
    uint64_t full = records(&n);
    eid_pubkey other = n.sync->device;
    tu_assert_ok(eid_peer_note(n.sync, &other, NULL, NULL, 0));
    assert_int_equal(records(&n), full);
    /* One that is known may still tell where it lives. */
    tu_assert_ok(eid_peer_note(n.sync, &peer, NULL, &address, 1));
    assert_int_equal(records(&n), full + 1);
    eid_address_free(address);
    eid_keypair_free(pair);
    node_close(&n);
}

static void relations(void **state)
{
    (void)state;
    node n;
    eid_keypair *pairs[2];
    eid_pubkey peers[2];
    char keys[2][EID_PUBKEY_TEXT_SIZE], wanted[300];

    node_open(&n, "alice");
    eid_database *notes = node_create(&n, "notes", true);
    const eid_id *id = eid_database_root_id(notes);
    for (int i = 0; i < 2; i++) {
        tu_assert_ok(eid_keypair_generate(&pairs[i]));
        eid_keypair_public(pairs[i], &peers[i]);
        eid_pubkey_format(&peers[i], keys[i]);
    }
    /* Not registered: nothing is written. */
    uint64_t before = records(&n);
    tu_assert_ok(eid_relation_note(n.sync, id, &peers[0]));
    assert_int_equal(records(&n), before);
    for (int i = 0; i < 2; i++)
        tu_assert_ok(eid_peer_note(n.sync, &peers[i], NULL, NULL, 0));
    tu_assert_ok(eid_relation_note(n.sync, id, &peers[0]));
    snprintf(wanted, sizeof wanted, "[\"%s\"]", keys[0]);
    assert_stored(&n, EID_STORE_TREES, id_text(notes), "peer_pubkeys", wanted);
    assert_stored(&n, EID_STORE_TREES, id_text(notes), "tree_id", id_text(notes));
    tu_assert_ok(eid_relation_note(n.sync, id, &peers[1]));
    snprintf(wanted, sizeof wanted, "[\"%s\",\"%s\"]", keys[0], keys[1]);
    assert_stored(&n, EID_STORE_TREES, id_text(notes), "peer_pubkeys", wanted);
    before = records(&n);
    tu_assert_ok(eid_relation_note(n.sync, id, &peers[0]));
    tu_assert_ok(eid_relation_note(n.sync, id, &peers[1]));
    assert_int_equal(records(&n), before);
    for (int i = 0; i < 2; i++)
        eid_keypair_free(pairs[i]);
    eid_database_close(notes);
    node_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sync_database),
        cmocka_unit_test(one_users_wishes),
        cmocka_unit_test(several_users_wishes),
        cmocka_unit_test(wishes_from_before),
        cmocka_unit_test(private_databases_are_never_shared),
        cmocka_unit_test(shared_databases_are_listed),
        cmocka_unit_test(damaged_preferences),
        cmocka_unit_test(peer_records),
        cmocka_unit_test(peers_without_name_and_addresses),
        cmocka_unit_test(the_number_of_peers_is_bounded),
        cmocka_unit_test(relations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
