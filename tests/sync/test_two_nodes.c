/* SPDX-License-Identifier: Apache-2.0 */
/* Two instances in one process over loopback HTTP: joining, syncing both ways, being refused. */
#include "node.h"
#include "support/track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    node alice;          /* serves */
    node bob;            /* asks */
    eid_database *notes; /* Alice's, shared */
    eid_id id;
} pair;

static int set_up(void **state)
{
    pair *p = calloc(1, sizeof *p);
    node_open(&p->alice, "alice");
    node_open(&p->bob, "bob");
    node_serve(&p->alice);
    p->notes = node_create(&p->alice, "notes", true);
    p->id = *eid_database_root_id(p->notes);
    node_write(p->notes, "a", "from Alice");
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    pair *p = *state;
    eid_database_close(p->notes);
    node_close(&p->bob);
    node_close(&p->alice);
    free(p);
    return 0;
}

static void of_http_alone(const char *reason)
{
    print_message("[ NOTE     ] not over Iroh: %s\n", reason);
    skip();
}

static eid_database *open_bobs(pair *p)
{
    eid_database *database;
    tu_assert_ok(eid_user_open_database(p->bob.user, &p->id, &database));
    return database;
}

static eid_status bob_syncs(pair *p, eid_sync_result *result)
{
    eid_ticket *ticket = node_ticket(&p->alice, &p->id);
    eid_status status = eid_user_sync_with_ticket(p->bob.user, ticket, result);
    eid_ticket_free(ticket);
    return status;
}

/* ---- Joining ---- */

/* Features 88, 90 */
static void a_listed_key_joins_at_once(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_list_key(p->notes, &p->bob, (eid_permission){EID_PERM_WRITE, 5});
    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result));
    assert_true(result.bootstrapped);
    assert_true(result.key_approved);
    assert_int_equal(result.received, node_count(&p->alice, &p->id));
    assert_int_equal(result.admitted, result.received);
    assert_int_equal(result.refused, 0);
    assert_int_equal(result.waiting, 0);
    assert_int_equal(result.sent, 0);
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_database *copy = open_bobs(p);
    assert_string_equal(node_read(copy, "a"), "from Alice");
    eid_database_close(copy);
}

/* Feature 100 */
static void everybody_joins_where_everybody_may(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_set_global(p->notes, node_write_10);
    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result));
    assert_true(result.key_approved);
    eid_database *copy = open_bobs(p);
    node_write(copy, "b", "from Bob");
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.sent, 1);
    assert_string_equal(node_read(p->notes, "b"), "from Bob");
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_database_close(copy);
}

/* Features 19, 21, 117 */
static void anonymous_readers_of_an_open_database(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_set_global(p->notes, node_read_only);
    tu_assert_ok(eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, &result));
    assert_true(result.bootstrapped);
    assert_false(result.key_approved);
    node_assert_same(&p->alice, &p->bob, &p->id);
}

/* Features 87, 99, N2 */
static void without_permission_no_data(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, &result), EID_ERR_PROTOCOL);
    assert_string_equal(
        eid_last_error(),
        "Sync protocol error: Authentication required: This database requires authenticated access. "
        "Please provide credentials (requesting_key, requesting_key_name, requested_permission) to "
        "bootstrap sync.");
    assert_int_equal(node_count(&p->bob, &p->id), 0);
    assert_int_equal(result.received, 0);
}

/* Feature A4 */
static void unknown_and_unshared_look_the_same(void **state)
{
    pair *p = *state;
    eid_id unknown = p->id;
    char wanted[300], text[EID_ID_TEXT_SIZE];

    unknown.bytes[unknown.len - 1] ^= 1;
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &unknown, NULL), EID_ERR_PROTOCOL);
    eid_id_format(&unknown, text);
    snprintf(wanted, sizeof wanted, "Sync protocol error: Tree not found: %s", text);
    assert_string_equal(eid_last_error(), wanted);

    node_set_sync(&p->alice, &p->id, false);
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, NULL), EID_ERR_PROTOCOL);
    eid_id_format(&p->id, text);
    snprintf(wanted, sizeof wanted, "Sync protocol error: Tree not found: %s", text);
    assert_string_equal(eid_last_error(), wanted);
}

/* Features 72, 76, W31 */
static void sharing_ends_with_the_preference(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_set_global(p->notes, node_write_10);
    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result));
    node_set_sync(&p->alice, &p->id, false);
    tu_assert_fails(bob_syncs(p, &result), EID_ERR_PROTOCOL);
    node_set_sync(&p->alice, &p->id, true);
    tu_assert_ok(bob_syncs(p, &result));
    tu_assert_ok(eid_user_remove_database(p->alice.user, &p->id));
    tu_assert_fails(bob_syncs(p, &result), EID_ERR_PROTOCOL);
}

/* Features W24, A4 */
static void system_databases_are_never_served(void **state)
{
    pair *p = *state;
    eid_id *ids;
    size_t count, refused = 0;
    tu_assert_ok(eid_instance_list_databases(p->alice.instance, &ids, &count));
    assert_true(count >= 5); /* _users, _databases, _sync, Alice's own, notes */
    for (size_t i = 0; i < count; i++) {
        if (eid_id_equal(&ids[i], &p->id))
            continue;
        tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &ids[i], NULL), EID_ERR_PROTOCOL);
        assert_memory_equal(eid_last_error(), "Sync protocol error: Tree not found: ", 37);
        refused++;
    }
    assert_int_equal(refused, count - 1);
    eid_free(ids);
}

/* ---- Requests for access ---- */

static eid_bootstrap_request *pending_of(node *n, size_t *count)
{
    eid_bootstrap_request *requests;
    tu_assert_ok(eid_sync_list_bootstrap_requests(n->sync, "Pending", &requests, count));
    return requests;
}

/* Features 86, 101 */
static void asking_waiting_approving_joining(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_pubkey bobs_key;
    size_t count;

    eid_user_get_default_key(p->bob.user, &bobs_key);
    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result),
                    EID_ERR_BOOTSTRAP_PENDING);
    assert_non_null(strstr(eid_last_error(), "Bootstrap request pending manual approval"));
    assert_int_equal(node_count(&p->bob, &p->id), 0);
    eid_database *copy = NULL;
    tu_assert_fails(eid_user_open_database(p->bob.user, &p->id, &copy), EID_ERR_DATABASE_ACCESS_PENDING);

    /* Asked again, it is still the one request. */
    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_bootstrap_request *requests = pending_of(&p->alice, &count);
    assert_int_equal(count, 1);
    assert_true(eid_id_equal(&requests[0].database, &p->id));
    assert_true(eid_pubkey_equal(&requests[0].key, &bobs_key));
    assert_int_equal(eid_permission_compare(requests[0].permission, node_write_10), 0);
    assert_string_equal(requests[0].status, "Pending");
    assert_string_equal(requests[0].timestamp, "2027-01-15T08:00:00+00:00");
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(&bobs_key, text);
    assert_string_equal(requests[0].key_name, text);

    tu_assert_ok(eid_user_approve_bootstrap_request(p->alice.user, requests[0].id));
    tu_assert_fails(eid_user_approve_bootstrap_request(p->alice.user, requests[0].id), EID_ERR_REQUEST_STATE);
    assert_non_null(strstr(eid_last_error(), "expected Pending, found Approved"));
    tu_assert_fails(eid_user_reject_bootstrap_request(p->alice.user, requests[0].id), EID_ERR_REQUEST_STATE);
    eid_bootstrap_requests_free(requests, count);

    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, &result));
    assert_true(result.key_approved);
    copy = open_bobs(p);
    node_write(copy, "b", "from Bob");
    tu_assert_ok(bob_syncs(p, &result));
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_database_close(copy);
}

/* Features 87, 101 */
static void rejecting(void **state)
{
    pair *p = *state;
    size_t count, all;
    uint64_t entries = node_count(&p->alice, &p->id);

    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_admin_0, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_bootstrap_request *requests = pending_of(&p->alice, &count);
    assert_int_equal(count, 1);
    tu_assert_ok(eid_user_reject_bootstrap_request(p->alice.user, requests[0].id));
    eid_bootstrap_requests_free(requests, count);
    assert_int_equal(node_count(&p->alice, &p->id), entries);
    eid_bootstrap_requests_free(pending_of(&p->alice, &count), 0);
    assert_int_equal(count, 0);
    tu_assert_ok(eid_sync_list_bootstrap_requests(p->alice.sync, NULL, &requests, &all));
    assert_int_equal(all, 1);
    assert_string_equal(requests[0].status, "Rejected");
    eid_bootstrap_requests_free(requests, all);

    /* Filed anew a few times, then no more. */
    for (int i = 0; i < EID_LIMIT_REQUEST_REPEATS; i++) {
        tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_admin_0, NULL),
                        EID_ERR_BOOTSTRAP_PENDING);
        requests = pending_of(&p->alice, &count);
        assert_int_equal(count, 1);
        tu_assert_ok(eid_user_reject_bootstrap_request(p->alice.user, requests[0].id));
        eid_bootstrap_requests_free(requests, count);
    }
    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_admin_0, NULL),
                    EID_ERR_BOOTSTRAP_REJECTED);
    assert_non_null(strstr(eid_last_error(), "rejected too often"));
}

/* Feature 101 */
static void only_admins_decide(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    size_t count;

    /* A second user of Alice's instance who may only write. */
    eid_user *carol;
    eid_pubkey key;
    eid_txn *txn;
    tu_assert_ok(eid_instance_login_or_create_user(p->alice.instance, "carol", NULL, &carol));
    eid_user_get_default_key(carol, &key);
    tu_assert_ok(eid_database_new_transaction(p->notes, &txn));
    tu_assert_ok(
        eid_settings_set_auth_key(txn, &key, NULL, (eid_permission){EID_PERM_WRITE, 5}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_sync_settings on = EID_SYNC_SETTINGS_ENABLED;
    tu_assert_ok(tu_track(carol, &p->id, &on));

    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_read_only, &result),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_bootstrap_request *requests = pending_of(&p->alice, &count);
    tu_assert_fails(eid_user_approve_bootstrap_request(carol, requests[0].id), EID_ERR_PERMISSION_DENIED);
    char wanted[200];
    snprintf(wanted, sizeof wanted,
             "Insufficient permission for request '%s': required Admin, but key has write:5", requests[0].id);
    assert_string_equal(eid_last_error(), wanted);
    tu_assert_fails(eid_user_reject_bootstrap_request(carol, requests[0].id), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_user_approve_bootstrap_request(p->alice.user, requests[0].id));
    eid_bootstrap_requests_free(requests, count);
    tu_assert_fails(eid_user_approve_bootstrap_request(p->alice.user, "11111111-1111-4111-8111-111111111111"),
                    EID_ERR_REQUEST_NOT_FOUND);
    eid_user_logout(carol);
}

/* A request filed by somebody with a wrong clock must not cost the key what it has. */
static void approving_never_takes_away(void **state)
{
    pair *p = *state;
    size_t count;
    eid_pubkey key;
    eid_auth_settings *auth;

    node_list_key(p->notes, &p->bob, node_admin_0);
    p->bob.now_ms += 3600 * 1000;
    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_read_only, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_bootstrap_request *requests = pending_of(&p->alice, &count);
    assert_int_equal(count, 1);
    tu_assert_ok(eid_user_approve_bootstrap_request(p->alice.user, requests[0].id));
    eid_bootstrap_requests_free(requests, count);
    eid_user_get_default_key(p->bob.user, &key);
    tu_assert_ok(eid_core_auth(p->alice.sync->core, &p->id, &auth));
    assert_int_equal(eid_permission_compare(eid_auth_settings_find(auth, &key)->permission, node_admin_0), 0);
    eid_auth_settings_unref(auth);
}

/* ---- Both ways ---- */

static void join(pair *p)
{
    node_list_key(p->notes, &p->bob, node_write_10);
    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, NULL));
}

/* Features 22, 23, 124 */
static void incremental_both_ways(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    join(p);
    eid_database *copy = open_bobs(p);

    node_write(p->notes, "a", "Alice again");
    node_write(p->notes, "a2", "second");
    node_write(copy, "b", "from Bob");
    tu_assert_ok(bob_syncs(p, &result));
    assert_false(result.bootstrapped);
    assert_int_equal(result.received, 2); /* the difference, not the history */
    assert_int_equal(result.admitted, 2);
    assert_int_equal(result.sent, 1);
    node_assert_same(&p->alice, &p->bob, &p->id);

    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.received, 0);
    assert_int_equal(result.sent, 0);

    node_write(p->notes, "a3", "third");
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.received, 1);
    assert_int_equal(result.sent, 0);
    node_write(copy, "b2", "Bob again");
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.received, 0);
    assert_int_equal(result.sent, 1);
    assert_string_equal(node_read(p->notes, "b2"), "Bob again");
    assert_string_equal(node_read(copy, "a"), "Alice again");
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_database_close(copy);
}

/* Features 22, 123 */
static void long_divergence_costs_its_length(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    join(p);
    eid_database *copy = open_bobs(p);
    for (int i = 0; i < 200; i++)
        node_write(p->notes, "common", "x");
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.received, 200);
    for (int i = 0; i < 30; i++) {
        node_write(p->notes, "left", "x");
        node_write(copy, "right", "x");
    }
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.received, 30);
    assert_int_equal(result.sent, 30);
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_database_close(copy);
}

static void large_pushes_are_split(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    join(p);
    eid_database *copy = open_bobs(p);
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    /* 30 entries of 100 kB are about 11 MB of JSON: far above what one request may hold. */
    for (int i = 0; i < 30; i++) {
        eid_txn *txn;
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        tu_assert_ok(eid_database_new_transaction(copy, &txn));
        tu_assert_ok(eid_docstore_set_text(txn, "notes", key, text));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.sent, 30);
    node_assert_same(&p->alice, &p->bob, &p->id);
    free(text);
    eid_database_close(copy);
}

/* Features 81, 150 */
static void a_device_key_without_rights_is_refused(void **state)
{
    pair *p = *state;
    eid_pubkey device;
    char wanted[400], key[EID_PUBKEY_TEXT_SIZE], id[EID_ID_TEXT_SIZE];
    join(p);
    eid_instance_device_pubkey(p->bob.instance, &device);
    eid_pubkey_format(&device, key);
    eid_id_format(&p->id, id);
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, NULL), EID_ERR_PROTOCOL);
    snprintf(wanted, sizeof wanted,
             "Sync protocol error: Permission denied: key %s is not authorized to read %s", key, id);
    assert_string_equal(eid_last_error(), wanted);
}

/* Features 103, A3 */
static void readers_may_not_write(void **state)
{
    pair *p = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_list_key(p->notes, &p->bob, node_read_only);
    tu_assert_ok(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_read_only, &result));
    eid_database *copy = open_bobs(p);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(copy, &txn));
    tu_assert_ok(eid_docstore_set_text(txn, "notes", "b", "not allowed"));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(bob_syncs(p, &result));
    assert_int_equal(result.sent, 0);
    eid_database_close(copy);
}

static void clocks_apart(void **state)
{
    pair *p = *state;
    join(p);
    p->bob.now_ms += EID_FRESHNESS_WINDOW_MS;
    tu_assert_ok(bob_syncs(p, NULL));
    p->bob.now_ms += 1;
    tu_assert_fails(bob_syncs(p, NULL), EID_ERR_PROTOCOL);
    assert_string_equal(eid_last_error(),
                        "Sync protocol error: Authentication failed: request timestamp outside the "
                        "freshness window");
}

/* ---- Peers ---- */

/* Features 56, 104, 121, 142, 147 */
static void peers_are_known_after_a_handshake(void **state)
{
    pair *p = *state;
    eid_pubkey alices, bobs, seen;
    eid_peer_info *peers;
    size_t count;
    char address[200];

    eid_instance_device_pubkey(p->alice.instance, &alices);
    eid_instance_device_pubkey(p->bob.instance, &bobs);
    node_serve(&p->bob);
    tu_assert_ok(eid_sync_connect_to_peer(p->bob.sync, p->alice.address, &seen));
    assert_true(eid_pubkey_equal(&seen, &alices));

    tu_assert_ok(eid_sync_list_peers(p->bob.sync, &peers, &count));
    assert_int_equal(count, 1);
    assert_true(eid_pubkey_equal(&peers[0].pubkey, &alices));
    assert_string_equal(peers[0].display_name, "Eidetica Peer");
    assert_string_equal(peers[0].status, "active");
    snprintf(address, sizeof address, "%s:%s", node_over_iroh() ? "iroh" : "http", p->alice.address);
    assert_string_equal(peers[0].addresses[0], address);
    assert_null(peers[0].addresses[1]);
    eid_peer_infos_free(peers, count);

    /* Alice knows Bob by the address he listens on, not by the port his request came from. */
    tu_assert_ok(eid_sync_list_peers(p->alice.sync, &peers, &count));
    assert_int_equal(count, 1);
    assert_true(eid_pubkey_equal(&peers[0].pubkey, &bobs));
    assert_string_equal(peers[0].display_name, "BackgroundSync");
    snprintf(address, sizeof address, "%s:%s", node_over_iroh() ? "iroh" : "http", p->bob.address);
    assert_string_equal(peers[0].addresses[0], address);
    assert_null(peers[0].addresses[1]);
    eid_peer_infos_free(peers, count);
}

/* Feature 45 */
static void repeated_handshakes_leave_no_trace(void **state)
{
    pair *p = *state;
    eid_pubkey seen;
    eid_id sync_database = *eid_database_root_id(p->alice.sync->database);
    tu_assert_ok(eid_sync_connect_to_peer(p->bob.sync, p->alice.address, &seen));
    uint64_t before = node_count(&p->alice, &sync_database);
    for (int i = 0; i < 5; i++)
        tu_assert_ok(eid_sync_connect_to_peer(p->bob.sync, p->alice.address, &seen));
    assert_int_equal(node_count(&p->alice, &sync_database), before);
    join(p);
    tu_assert_ok(bob_syncs(p, NULL));
    before = node_count(&p->alice, &sync_database);
    for (int i = 0; i < 3; i++)
        tu_assert_ok(bob_syncs(p, NULL));
    assert_int_equal(node_count(&p->alice, &sync_database), before);
}

static bool has_relation(const node *n, const eid_id *database)
{
    char id[EID_ID_TEXT_SIZE];
    eid_value *value;
    eid_id_format(database, id);
    eid_status status = eid_database_get(n->sync->database, EID_STORE_TREES, id, &value);
    if (status == EID_OK)
        eid_value_free(value);
    return status == EID_OK;
}

/* Feature A2 */
static void relations_come_with_success_only(void **state)
{
    pair *p = *state;
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, NULL), EID_ERR_PROTOCOL);
    tu_assert_fails(node_join(&p->bob, node_ticket(&p->alice, &p->id), node_write_10, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    assert_false(has_relation(&p->alice, &p->id));
    assert_false(has_relation(&p->bob, &p->id));
    join(p);
    assert_true(has_relation(&p->alice, &p->id));
    assert_true(has_relation(&p->bob, &p->id));
}

/* Features 122, 130, 131, A4 */
static void handshakes_list_open_databases(void **state)
{
    pair *p = *state;
    eid_database *open = node_create(&p->alice, "everybody's", true);
    eid_database *hidden = node_create(&p->alice, "hidden", false);
    node_set_global(open, node_read_only);
    node_set_global(hidden, node_read_only);

    uint8_t challenge[32] = {1};
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE};
    eid_sync_response response;
    eid_buf body, answer;
    eid_instance_device_pubkey(p->bob.instance, &request.as.handshake.public_key);
    request.as.handshake.device_id = request.as.handshake.public_key;
    request.as.handshake.challenge = challenge;
    request.as.handshake.challenge_len = sizeof challenge;
    eid_buf_init(&body, 100000);
    eid_buf_init(&answer, 100000);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&p->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    assert_int_equal(response.kind, EID_RESPONSE_HANDSHAKE);
    assert_int_equal(response.as.handshake.tree_count, 1);
    const eid_tree_info *info = &response.as.handshake.trees[0];
    assert_true(eid_id_equal(&info->tree, eid_database_root_id(open)));
    assert_string_equal(info->name, "everybody's");
    assert_int_equal(info->entry_count, node_count(&p->alice, &info->tree));
    eid_response_free(&response);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    eid_database_close(open);
    eid_database_close(hidden);
}

static void an_instance_does_not_peer_with_itself(void **state)
{
    pair *p = *state;
    eid_pubkey peer;
    if (node_over_iroh())
        of_http_alone("an Iroh endpoint knows itself by its ID");
    tu_assert_fails(eid_sync_connect_to_peer(p->alice.sync, p->alice.address, &peer),
                    EID_ERR_HANDSHAKE_FAILED);
    assert_non_null(strstr(eid_last_error(), "leads back to this instance"));
}

/* ---- Tickets and servers ---- */

/* Feature O1 */
static void sharing(void **state)
{
    pair *p = *state;
    eid_database *more = node_create(&p->alice, "more", false);
    eid_id id = *eid_database_root_id(more), unknown = id;
    eid_database_preferences tracked;
    eid_ticket *ticket;

    node_set_global(more, node_read_only);
    tu_assert_fails(eid_sync_with_peer(p->bob.sync, p->alice.address, &id, NULL), EID_ERR_PROTOCOL);
    tu_assert_ok(eid_user_share(p->alice.user, &id, &ticket));
    tu_assert_ok(eid_user_database_prefs(p->alice.user, &id, &tracked));
    assert_true(tracked.sync_settings.sync_enabled);
    assert_true(eid_id_equal(eid_ticket_database_id(ticket), &id));
    assert_string_equal(eid_address_text(eid_ticket_address(ticket, 0)), p->alice.address);
    tu_assert_ok(eid_sync_with_ticket(p->bob.sync, ticket, NULL));
    node_assert_same(&p->alice, &p->bob, &id);
    eid_ticket_free(ticket);

    unknown.bytes[20] ^= 1;
    tu_assert_fails(eid_user_share(p->alice.user, &unknown, &ticket), EID_ERR_DATABASE_NOT_TRACKED);
    tu_assert_fails(eid_sync_create_ticket(p->alice.sync, &unknown, &ticket), EID_ERR_DATABASE_NOT_FOUND);
    eid_database_close(more);
}

/* Feature O1 */
static void tickets_try_their_addresses_in_turn(void **state)
{
    pair *p = *state;
    eid_ticket *ticket;
    eid_address *address;
    if (node_over_iroh())
        of_http_alone("the addresses are HTTP's");
    node_set_global(p->notes, node_read_only);
    tu_assert_ok(eid_ticket_new(&p->id, &ticket));
    tu_assert_fails(eid_sync_with_ticket(p->bob.sync, ticket, NULL), EID_ERR_INVALID_ADDRESS);
    assert_string_equal(eid_last_error(), "Invalid address: Ticket has no address hints");

    tu_assert_ok(eid_address_new("iroh", "endpointabc", &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    tu_assert_fails(eid_sync_with_ticket(p->bob.sync, ticket, NULL), EID_ERR_NO_TRANSPORT_FOR_ADDRESS);
    tu_assert_ok(eid_address_http("127.0.0.1:1", &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    tu_assert_fails(eid_sync_with_ticket(p->bob.sync, ticket, NULL), EID_ERR_CONNECTION_FAILED);
    tu_assert_ok(eid_address_http(p->alice.address, &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    tu_assert_ok(eid_sync_with_ticket(p->bob.sync, ticket, NULL));
    node_assert_same(&p->alice, &p->bob, &p->id);
    eid_ticket_free(ticket);
}

/* Features 14, 15, 29, 109, 140, 141, N2 */
static void servers_start_and_stop(void **state)
{
    pair *p = *state;
    char wanted[200], *address;
    if (node_over_iroh())
        of_http_alone("the sentences are HTTP's");
    assert_false(eid_sync_is_server_running(p->bob.sync));
    tu_assert_fails(eid_sync_get_server_address(p->bob.sync, &address), EID_ERR_SERVER_NOT_RUNNING);
    tu_assert_fails(eid_sync_stop_server(p->bob.sync), EID_ERR_SERVER_NOT_RUNNING);
    tu_assert_fails(eid_sync_start_server(p->bob.sync, p->alice.address), EID_ERR_SERVER_BIND);
    snprintf(wanted, sizeof wanted,
             "Failed to bind server to %s: another program already listens there; choose another port, or 0",
             p->alice.address);
    assert_string_equal(eid_last_error(), wanted);

    assert_true(eid_sync_is_server_running(p->alice.sync));
    tu_assert_fails(eid_sync_start_server(p->alice.sync, "127.0.0.1:0"), EID_ERR_SERVER_ALREADY_RUNNING);
    snprintf(wanted, sizeof wanted, "Server already running on %s", p->alice.address);
    assert_string_equal(eid_last_error(), wanted);
    /* Enabling the transport again leaves the server alone. */
    tu_assert_ok(eid_sync_enable_http_transport(p->alice.sync));
    assert_true(eid_sync_is_server_running(p->alice.sync));
    tu_assert_ok(eid_sync_stop_server(p->alice.sync));
    assert_false(eid_sync_is_server_running(p->alice.sync));
    eid_pubkey peer;
    tu_assert_fails(eid_sync_connect_to_peer(p->bob.sync, p->alice.address, &peer),
                    EID_ERR_CONNECTION_FAILED);
    snprintf(wanted, sizeof wanted, "Failed to connect to %s: Connection refused", p->alice.address);
    assert_string_equal(eid_last_error(), wanted);
    tu_assert_ok(eid_sync_start_server(p->alice.sync, p->alice.address));
    tu_assert_ok(eid_sync_connect_to_peer(p->bob.sync, p->alice.address, &peer));
}

/* Features 11, 13 */
static void what_is_not_enabled(void **state)
{
    (void)state;
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_database *database;
    eid_ticket *ticket;
    tu_assert_ok(eid_instance_open_url("memory:", &instance));
    tu_assert_ok(eid_instance_login_or_create_user(instance, "dora", NULL, &user));
    tu_assert_ok(eid_user_create_database(user, "d", &database));
    tu_assert_fails(eid_instance_sync(instance, &sync), EID_ERR_SYNC_NOT_ENABLED);
    tu_assert_fails(eid_user_share(user, eid_database_root_id(database), &ticket), EID_ERR_SYNC_NOT_ENABLED);
    tu_assert_ok(eid_instance_enable_sync(instance));
    tu_assert_ok(eid_instance_enable_sync(instance));
    tu_assert_ok(eid_instance_sync(instance, &sync));
    tu_assert_fails(eid_sync_start_server(sync, "127.0.0.1:0"), EID_ERR_NO_TRANSPORT_ENABLED);
    tu_assert_fails(eid_sync_with_peer(sync, "127.0.0.1:1", NULL, NULL), EID_ERR_NO_TRANSPORT_ENABLED);
    tu_assert_fails(eid_user_share(user, eid_database_root_id(database), &ticket),
                    EID_ERR_NO_TRANSPORT_ENABLED);
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
}

/* ---- After a restart ---- */

/* Feature 8 */
static void what_was_shared_stays_shared(void **state)
{
    (void)state;
    node alice, bob;
    char *dir = tu_temp_dir();
    char *path = tu_path(dir, "alice.db");
    char url[512];
    size_t count;

    snprintf(url, sizeof url, "sqlite:%s", path);
    node_open_url(&alice, url, "alice");
    node_open(&bob, "bob");
    node_serve(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    eid_id sync_database = *eid_database_root_id(alice.sync->database);
    node_write(notes, "a", "kept");
    tu_assert_fails(node_join(&bob, node_ticket(&alice, &id), node_write_10, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_database_close(notes);
    node_close(&alice);

    node_open_url(&alice, url, "alice");
    node_serve(&alice);
    assert_true(eid_id_equal(&sync_database, eid_database_root_id(alice.sync->database)));
    /* The request is still there, and still the only one. */
    tu_assert_fails(node_join(&bob, node_ticket(&alice, &id), node_write_10, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_bootstrap_request *requests = pending_of(&alice, &count);
    assert_int_equal(count, 1);
    tu_assert_ok(eid_user_approve_bootstrap_request(alice.user, requests[0].id));
    eid_bootstrap_requests_free(requests, count);
    tu_assert_ok(node_join(&bob, node_ticket(&alice, &id), node_write_10, NULL));
    node_assert_same(&alice, &bob, &id);
    node_close(&alice);
    node_close(&bob);
    free(path);
    tu_temp_dir_remove(dir);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(a_listed_key_joins_at_once),
        WITH_PAIR(everybody_joins_where_everybody_may),
        WITH_PAIR(anonymous_readers_of_an_open_database),
        WITH_PAIR(without_permission_no_data),
        WITH_PAIR(unknown_and_unshared_look_the_same),
        WITH_PAIR(sharing_ends_with_the_preference),
        WITH_PAIR(system_databases_are_never_served),
        WITH_PAIR(asking_waiting_approving_joining),
        WITH_PAIR(rejecting),
        WITH_PAIR(only_admins_decide),
        WITH_PAIR(approving_never_takes_away),
        WITH_PAIR(incremental_both_ways),
        WITH_PAIR(long_divergence_costs_its_length),
        WITH_PAIR(large_pushes_are_split),
        WITH_PAIR(a_device_key_without_rights_is_refused),
        WITH_PAIR(readers_may_not_write),
        WITH_PAIR(clocks_apart),
        WITH_PAIR(peers_are_known_after_a_handshake),
        WITH_PAIR(repeated_handshakes_leave_no_trace),
        WITH_PAIR(relations_come_with_success_only),
        WITH_PAIR(handshakes_list_open_databases),
        WITH_PAIR(an_instance_does_not_peer_with_itself),
        WITH_PAIR(sharing),
        WITH_PAIR(tickets_try_their_addresses_in_turn),
        WITH_PAIR(servers_start_and_stop),
        cmocka_unit_test(what_is_not_enabled),
        cmocka_unit_test(what_was_shared_stays_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
