/* SPDX-License-Identifier: Apache-2.0 */
/* What the guide promises to who follows it from the start: databases of an instance without users, one call
 * that does everything, and the way of a request for access from the wish to the first entry of the newcomer.
 */
#include "net.h"

#include <eidetica/eidetica.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Alice serves a database of her instance; Bob has a key of the same name and nothing else. */
typedef struct scene {
    node alice, bob;
    eid_database *room;
    eid_id id;
    eid_pubkey bobs_key;
} scene;

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    eid_doc *settings;

    node_open(&s->alice, "alice");
    node_open(&s->bob, "bob");
    tu_assert_ok(eid_instance_add_private_key(s->alice.instance, "device_key", NULL));
    tu_assert_ok(eid_instance_add_private_key(s->bob.instance, "device_key", &s->bobs_key));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "Room"));
    tu_assert_ok(eid_instance_new_database(s->alice.instance, settings, "device_key", &s->room));
    eid_doc_free(settings);
    s->id = *eid_database_root_id(s->room);
    node_write(s->room, "a", "from Alice");
    node_serve(&s->alice);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    eid_database_close(s->room);
    node_close(&s->bob);
    node_close(&s->alice);
    free(s);
    return 0;
}

static eid_status ask(scene *s, const char *key_name, eid_permission permission, eid_sync_result *result)
{
    return eid_sync_with_peer_for_bootstrap(s->bob.sync, s->alice.address, &s->id, key_name, permission,
                                            result);
}

static eid_database *open_bobs(scene *s)
{
    eid_database *copy;

    tu_assert_ok(eid_database_open(s->bob.instance, &s->id, &copy));
    tu_assert_ok(eid_database_set_default_auth_key(copy, "device_key"));
    return copy;
}

/* The record of the key in Alice's settings; false when there is none. */
static bool listed(scene *s, const eid_pubkey *key, eid_auth_key_info *out)
{
    eid_auth_key_info *info;
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(s->room, &txn));
    eid_status status = eid_settings_get_auth_key(txn, key, &info);
    eid_txn_free(txn);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return false;
    tu_assert_ok(status);
    *out = *info;
    out->name = NULL;
    eid_free(info);
    return true;
}

static eid_bootstrap_request *the_request(scene *s)
{
    eid_bootstrap_request *requests;
    size_t count;

    tu_assert_ok(eid_sync_list_bootstrap_requests(s->alice.sync, "Pending", &requests, &count));
    assert_int_equal(count, 1);
    return requests;
}

static eid_status decide(scene *s, bool approve, const char *id)
{
    return approve ? eid_sync_approve_bootstrap_request(s->alice.sync, id, "device_key")
                   : eid_sync_reject_bootstrap_request(s->alice.sync, id, "device_key");
}

/* ---- The quick start ---- */

/* What everybody may do covers the wish, so nothing waits and no record is made. */
/* Features 16, 22b, 86, 88, 90, 91, 96, 100 */
static void what_everybody_may_do_is_granted_at_once(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_auth_key_info none;

    node_set_global(s->room, node_write_10);
    uint64_t before = node_count(&s->alice, &s->id);
    tu_assert_ok(ask(s, "device_key", (eid_permission){EID_PERM_WRITE, 15}, &result));
    assert_true(result.bootstrapped && result.key_approved);
    assert_int_equal(result.admitted, before);
    assert_int_equal(node_count(&s->alice, &s->id), before);
    assert_false(listed(s, &s->bobs_key, &none));
    node_assert_same(&s->alice, &s->bob, &s->id);

    eid_database *copy = open_bobs(s);
    node_write(copy, "b", "from Bob");
    tu_assert_ok(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, &result));
    assert_int_equal(result.sent, 1);
    assert_string_equal(node_read(s->room, "b"), "from Bob");
    eid_database_close(copy);
}

/* Feature 17 */
static void a_key_name_nobody_has(void **state)
{
    scene *s = *state;
    eid_peer_info *peers;
    size_t count;

    tu_assert_fails(ask(s, "other_key", node_write_10, NULL), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_string_equal(eid_last_error(), "Private key not found for key name: other_key");
    tu_assert_ok(eid_sync_list_peers(s->alice.sync, &peers, &count)); /* nothing was sent */
    assert_int_equal(count, 0);
    eid_peer_infos_free(peers, count);
}

/* Features 22b, 99 */
static void what_the_instance_stops_sharing_is_not_served(void **state)
{
    scene *s = *state;

    node_set_global(s->room, node_read_only);
    tu_assert_ok(eid_sync_set_database_enabled(s->alice.sync, &s->id, false));
    tu_assert_fails(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, NULL), EID_ERR_PROTOCOL);
    assert_int_equal(node_count(&s->bob, &s->id), 0);
    tu_assert_ok(eid_sync_set_database_enabled(s->alice.sync, &s->id, true));
    tu_assert_ok(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, NULL));
    node_assert_same(&s->alice, &s->bob, &s->id);
}

/* Features 19, 20, 21, 22, 44, 45, 117, 118, 119, 127, 133 */
static void one_call_does_everything(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_peer_info *peers;
    eid_pubkey alice;
    size_t count;

    node_set_global(s->room, node_read_only);
    eid_instance_device_pubkey(s->alice.instance, &alice);
    for (int i = 0; i < 3; i++) {
        node_write(s->room, "news", i == 0 ? "first" : "later");
        tu_assert_ok(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, &result));
        assert_true(eid_pubkey_equal(&result.peer, &alice));
        assert_int_equal(result.bootstrapped, i == 0);
        assert_int_equal(result.received, i == 0 ? node_count(&s->alice, &s->id) : 1);
        node_assert_same(&s->alice, &s->bob, &s->id);
        tu_assert_ok(eid_sync_list_peers(s->bob.sync, &peers, &count));
        assert_int_equal(count, 1);
        assert_true(eid_pubkey_equal(&peers[0].pubkey, &alice));
        assert_non_null(strstr(peers[0].addresses[0], s->alice.address));
        assert_null(peers[0].addresses[1]);
        eid_peer_infos_free(peers, count);
        assert_true(eid_sync_is_tree_synced_with_peer(s->bob.sync, &alice, &s->id));
    }
    tu_assert_ok(eid_sync_tree_with_peer(s->bob.sync, &alice, &s->id,
                                         &result)); /* by hand, at the remembered address */
    assert_int_equal(result.received, 0);
}

/* A program that was built when results had fewer fields gets those, and nothing behind them. */
static void results_of_an_older_header(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;

    node_set_global(s->room, node_read_only);
    result.struct_size = offsetof(eid_sync_result, databases);
    result.databases = 4711;
    tu_assert_ok(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, &result));
    assert_true(result.bootstrapped);
    assert_int_equal(result.struct_size, offsetof(eid_sync_result, databases));
    assert_int_equal(result.databases, 4711);
    result.struct_size = sizeof result + 1;
    tu_assert_fails(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, &result), EID_ERR_INVALID_ARGUMENT);
    result.struct_size = 0;
    tu_assert_fails(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, &result), EID_ERR_INVALID_ARGUMENT);
}

/* Feature 25 */
static void host_names(void **state)
{
    scene *s = *state;
    eid_pubkey found, alice;
    char address[64];

    snprintf(address, sizeof address, "localhost%s", strrchr(s->alice.address, ':'));
    tu_assert_ok(eid_sync_connect_to_peer(s->bob.sync, address, &found));
    eid_instance_device_pubkey(s->alice.instance, &alice);
    assert_true(eid_pubkey_equal(&found, &alice));
}

/* Feature 26 */
static void without_a_port_it_is_port_80(void **state)
{
    static const char here[] = "127.0.0.77"; /* loopback too, and nobody's */
    scene *s = *state;
    eid_pubkey found, alice;

    tu_assert_fails(eid_sync_connect_to_peer(s->bob.sync, here, &found), EID_ERR_CONNECTION_FAILED);
    tu_assert_ok(eid_sync_stop_server(s->alice.sync));
    if (eid_sync_start_server(s->alice.sync, "127.0.0.77:80") != EID_OK) {
        print_message("[ SKIPPED  ] a server at port 80: %s\n", eid_last_error());
        skip();
    }
    tu_assert_ok(eid_sync_connect_to_peer(s->bob.sync, here, &found));
    eid_instance_device_pubkey(s->alice.instance, &alice);
    assert_true(eid_pubkey_equal(&found, &alice));
}

/* ---- Asking ---- */

/* Features 16, 18, 86, 87 */
static void requests_tell_key_name_and_permission(void **state)
{
    static const struct {
        const char *name;
        eid_permission permission;
    } cases[] = {
        {"reader", {EID_PERM_READ, 0}}, {"writer", {EID_PERM_WRITE, 15}}, {"owner", {EID_PERM_ADMIN, 3}}};
    scene *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_pubkey key;
        tu_assert_ok(eid_instance_add_private_key(s->bob.instance, cases[i].name, &key));
        tu_assert_fails(ask(s, cases[i].name, cases[i].permission, NULL), EID_ERR_BOOTSTRAP_PENDING);
        eid_bootstrap_request *request = the_request(s);
        assert_string_equal(request->key_name, cases[i].name);
        assert_true(eid_pubkey_equal(&request->key, &key));
        assert_int_equal(eid_permission_compare(request->permission, cases[i].permission), 0);
        tu_assert_ok(decide(s, false, request->id));
        eid_bootstrap_requests_free(request, 1);
    }
    assert_int_equal(node_count(&s->bob, &s->id), 0);
}

/* Features 87, 88, 99 */
static void nothing_is_served_before_somebody_approves(void **state)
{
    scene *s = *state;
    uint64_t before = node_count(&s->alice, &s->id);
    eid_auth_key_info none;

    for (int i = 0; i < 3; i++)
        tu_assert_fails(ask(s, "device_key", node_read_only, NULL), EID_ERR_BOOTSTRAP_PENDING);
    tu_assert_fails(eid_sync_with_peer(s->bob.sync, s->alice.address, &s->id, NULL), EID_ERR_PROTOCOL);
    assert_int_equal(node_count(&s->bob, &s->id), 0);
    assert_int_equal(node_count(&s->alice, &s->id), before);
    assert_false(listed(s, &s->bobs_key, &none));

    eid_bootstrap_request *request = the_request(s);
    tu_assert_ok(decide(s, false, request->id));
    eid_bootstrap_requests_free(request, 1);
    assert_false(listed(s, &s->bobs_key, &none));
    tu_assert_fails(ask(s, "device_key", node_read_only, NULL), EID_ERR_BOOTSTRAP_PENDING);
    assert_int_equal(node_count(&s->bob, &s->id), 0);
}

/* Features 89, 90, 91, 101, 102, 103 */
static void approving_lists_the_key_and_lets_it_work(void **state)
{
    scene *s = *state;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_verify_report report;
    eid_auth_key_info record;
    eid_pubkey signer, admin;
    eid_entry *entry;
    eid_id *tips;
    size_t count;

    tu_assert_fails(ask(s, "device_key", node_write_10, NULL), EID_ERR_BOOTSTRAP_PENDING);
    uint64_t before = node_count(&s->alice, &s->id);
    eid_bootstrap_request *request = the_request(s);
    tu_assert_ok(decide(s, true, request->id));
    eid_bootstrap_requests_free(request, 1);

    /* One entry, signed by who approved, that lists the key as it asked. */
    assert_int_equal(node_count(&s->alice, &s->id), before + 1);
    tu_assert_ok(eid_database_tips(s->room, &tips, &count));
    assert_int_equal(count, 1);
    tu_assert_ok(eid_database_get_entry(s->room, &tips[0], &entry));
    tu_assert_ok(eid_instance_get_public_key(s->alice.instance, "device_key", &admin));
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &admin));
    eid_entry_unref(entry);
    eid_free(tips);
    assert_true(listed(s, &s->bobs_key, &record));
    assert_int_equal(eid_permission_compare(record.permission, node_write_10), 0);
    assert_int_equal(record.status, EID_KEY_ACTIVE);

    tu_assert_ok(ask(s, "device_key", node_write_10, &result));
    assert_true(result.bootstrapped && result.key_approved);
    node_assert_same(&s->alice, &s->bob, &s->id);
    eid_database *copy = open_bobs(s);
    node_write(copy, "b", "from Bob");
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(copy, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "Bob's room"));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(ask(s, "device_key", node_write_10, &result));
    assert_int_equal(result.sent, 1);
    assert_string_equal(node_read(s->room, "b"), "from Bob");
    tu_assert_ok(eid_database_verify(s->room, &report));
    assert_int_equal(report.wrong + report.voids + report.waiting, 0);
    assert_int_equal(report.counting, node_count(&s->alice, &s->id));
    eid_database_close(copy);
}

/* ---- Callbacks ---- */

typedef struct hook {
    eid_sync *sync;
    eid_pubkey peer;
    int calls;
} hook;

static void queue_it(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    hook *h = ctx;

    assert_int_equal(source, EID_WRITE_LOCAL);
    tu_assert_ok(
        eid_sync_queue_entry(h->sync, &h->peer, eid_entry_id(entry), eid_database_root_id(database)));
    h->calls++;
}

/* A program that decides itself what goes where: the engine has no relation that would send it. */
/* Features 135, 136, 137, 138 */
static void a_callback_queues_what_was_committed(void **state)
{
    static const eid_sync_settings enabled = EID_SYNC_SETTINGS_ENABLED;
    net *n = net_open(2);
    eid_callback *registration;

    (void)state;
    net_share(n, &enabled);
    hook h = {n->nodes[0].sync, n->keys[1], 0};
    tu_assert_ok(eid_sync_remove_tree_sync(h.sync, &h.peer, &n->id));
    tu_assert_ok(eid_database_on_local_write(n->handles[0], queue_it, &h, &registration));
    node_write(n->handles[0], "a", "queued");
    node_write(n->handles[0], "b", "queued too");
    assert_int_equal(h.calls, 2);
    net_settle(n);
    assert_string_equal(node_read(n->handles[1], "a"), "queued");
    assert_string_equal(node_read(n->handles[1], "b"), "queued too");
    eid_callback_remove(registration);
    node_write(n->handles[0], "c", "not queued");
    net_settle(n);
    assert_int_equal(h.calls, 2);
    assert_null(node_read(n->handles[1], "c"));
    net_close(n);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(what_everybody_may_do_is_granted_at_once),
        IN_SCENE(a_key_name_nobody_has),
        IN_SCENE(what_the_instance_stops_sharing_is_not_served),
        IN_SCENE(one_call_does_everything),
        IN_SCENE(results_of_an_older_header),
        IN_SCENE(host_names),
        IN_SCENE(without_a_port_it_is_port_80),
        IN_SCENE(requests_tell_key_name_and_permission),
        IN_SCENE(nothing_is_served_before_somebody_approves),
        IN_SCENE(approving_lists_the_key_and_lets_it_work),
        cmocka_unit_test(a_callback_queues_what_was_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
