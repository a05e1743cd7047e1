/* SPDX-License-Identifier: Apache-2.0 */
/* What survives a restart, and what is told of peers and past syncs. */
#include "net.h"
#include "sync/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const eid_sync_settings on_commit = EID_SYNC_SETTINGS_ON_COMMIT;
static const eid_sync_settings enabled = EID_SYNC_SETTINGS_ENABLED;

static char *folder;

/* Node 0 in a file. */
static net *open_filed(size_t count, const eid_sync_settings *settings)
{
    net *n = net_open(count);
    folder = tu_temp_dir();
    net_put_in_file(n, 0, folder);
    net_share(n, settings);
    return n;
}

static void close_filed(net *n)
{
    net_close(n);
    tu_temp_dir_remove(folder);
}

/* ---- Restarts ---- */

/* Features 8, 132 */
static void what_waited_is_sent_after_a_restart(void **state)
{
    (void)state;
    net *n = open_filed(2, &on_commit);
    manual_remove(n->hosts[0], "1");
    node_write(n->handles[0], "a", "before the restart");
    net_settle(n);
    assert_int_equal(eid_sync_retry_queue_len(n->nodes[0].sync), 1);
    net_restart(n, 0); /* 1 is there again */
    net_pass(n, 2000);
    assert_string_equal(node_read(n->handles[1], "a"), "before the restart");
    net_close(n);
    tu_temp_dir_remove(folder);
}

static void entries_queued_by_hand_survive_too(void **state)
{
    (void)state;
    net *n = open_filed(2, &enabled);
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[0].sync, &n->keys[1], &n->id));
    manual_remove(n->hosts[0], "1");
    eid_id id = node_write(n->handles[0], "a", "by hand");
    tu_assert_ok(eid_sync_queue_entry(n->nodes[0].sync, &n->keys[1], &id, &n->id));
    net_settle(n);
    net_restart(n, 0);
    net_pass(n, 2000);
    assert_string_equal(node_read(n->handles[1], "a"), "by hand");
    close_filed(n);
}

/* Both sides wrote while they were apart, one of them was restarted: the next sync costs the difference. */
/* Feature 123 */
static void after_a_restart_a_sync_costs_the_difference(void **state)
{
    (void)state;
    net *n = open_filed(2, &enabled);
    for (int i = 0; i < 500; i++)
        node_write(n->handles[0], "history", "a text of some length, so that it would be noticed");
    tu_assert_ok(eid_sync_tree_with_peer(n->nodes[0].sync, &n->keys[1], &n->id, NULL));
    assert_true(net_agrees(n));
    net_pass(n, 6000); /* what is known is written every five seconds */
    node_write(n->handles[0], "a", "one here");
    node_write(n->handles[1], "b", "one there");
    net_restart(n, 0);
    size_t before = manual_bytes(n->hosts[0]);
    tu_assert_ok(eid_sync_tree_with_peer(n->nodes[0].sync, &n->keys[1], &n->id, NULL));
    assert_true(net_agrees(n));
    /* Handshake, request, answer and push: some KB; the history would be half a MB each way. */
    assert_in_range(manual_bytes(n->hosts[0]) - before, 2000, 20000);
    close_filed(n);
}

/* What is remembered of a peer is wrong, as when it came back from an older copy of its data: pushes leave out what it lacks,
 * and the next full sync finds out. */
static void a_peer_that_lost_data_gets_it_again(void **state)
{
    (void)state;
    net *n = open_filed(2, &enabled);
    eid_id id = node_write(n->handles[0], "a", "believed to be there");
    eid_engine_learn(n->nodes[0].sync->engine, &n->keys[1], &n->id, &id, 1);
    assert_null(node_read(n->handles[1], "a"));
    tu_assert_ok(eid_sync_tree_with_peer(n->nodes[0].sync, &n->keys[1], &n->id, NULL));
    assert_string_equal(node_read(n->handles[1], "a"), "believed to be there");
    close_filed(n);
}

/* Features 8, 55 */
static void peers_and_relations_survive(void **state)
{
    (void)state;
    net *n = open_filed(3, &on_commit);
    net_pass(n, 6000);
    net_restart(n, 0);
    eid_peer_info *peers;
    eid_id *trees;
    eid_pubkey *keys;
    size_t count;
    tu_assert_ok(eid_sync_list_peers(n->nodes[0].sync, &peers, &count));
    assert_int_equal(count, 2);
    assert_non_null(peers[0].last_successful_sync);
    assert_non_null(peers[0].first_seen);
    eid_peer_infos_free(peers, count);
    tu_assert_ok(eid_sync_get_peer_trees(n->nodes[0].sync, &n->keys[2], &trees, &count));
    assert_int_equal(count, 1);
    assert_true(eid_id_equal(&trees[0], &n->id));
    eid_free(trees);
    tu_assert_ok(eid_sync_get_tree_peers(n->nodes[0].sync, &n->id, &keys, &count));
    assert_int_equal(count, 2);
    eid_free(keys);
    close_filed(n);
}

/* ---- Peers by hand ---- */

/* Features 46, 47, 52, 53, 54, 55, 57, O4 */
static void peers_by_hand(void **state)
{
    (void)state;
    net *n = net_open(1);
    eid_sync *sync = n->nodes[0].sync;
    eid_keypair *pair;
    eid_pubkey key, other = {{0}};
    eid_peer_info *info;
    eid_address *one, *two, **list;
    size_t count;
    bool removed;

    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &key);
    eid_keypair_free(pair);
    tu_assert_ok(eid_sync_register_peer(sync, &key, "Alice's Device"));
    tu_assert_fails(eid_sync_register_peer(sync, &key, "again"), EID_ERR_PEER_EXISTS);
    tu_assert_ok(eid_sync_get_peer_info(sync, &key, &info));
    assert_string_equal(info->display_name, "Alice's Device");
    assert_string_equal(eid_peer_status_str(info->peer_status), "Active");
    assert_int_equal(info->connection_state, EID_PEER_DISCONNECTED);
    assert_non_null(info->first_seen);
    assert_null(info->addresses[0]);
    assert_null(info->last_error);
    assert_null(info->last_successful_sync);
    eid_peer_infos_free(info, 1);
    tu_assert_fails(eid_sync_get_peer_info(sync, &other, &info), EID_ERR_PEER_NOT_FOUND);

    tu_assert_ok(eid_address_http("192.168.1.100:8080", &one));
    tu_assert_ok(eid_address_new("iroh", "somewhere", &two));
    tu_assert_ok(eid_sync_add_peer_address(sync, &key, one));
    tu_assert_ok(eid_sync_add_peer_address(sync, &key, one)); /* once */
    tu_assert_ok(eid_sync_add_peer_address(sync, &key, two));
    tu_assert_fails(eid_sync_add_peer_address(sync, &other, one), EID_ERR_PEER_NOT_FOUND);
    tu_assert_ok(eid_sync_get_peer_addresses(sync, &key, NULL, &list, &count));
    assert_int_equal(count, 2);
    assert_string_equal(eid_address_text(list[0]), "192.168.1.100:8080");
    eid_sync_addresses_free(list, count);
    tu_assert_ok(eid_sync_get_peer_addresses(sync, &key, "iroh", &list, &count));
    assert_int_equal(count, 1);
    eid_sync_addresses_free(list, count);
    tu_assert_ok(eid_sync_remove_peer_address(sync, &key, two, &removed));
    assert_true(removed);
    tu_assert_ok(eid_sync_remove_peer_address(sync, &key, two, &removed));
    assert_false(removed);
    for (int i = 1; i < EID_LIMIT_PEER_ADDRESSES; i++) {
        char text[32];
        eid_address *more;
        snprintf(text, sizeof text, "10.0.0.1:%d", i);
        tu_assert_ok(eid_address_http(text, &more));
        tu_assert_ok(eid_sync_add_peer_address(sync, &key, more));
        eid_address_free(more);
    }
    tu_assert_fails(eid_sync_add_peer_address(sync, &key, two), EID_ERR_LIMIT);

    /* Removed is blocked: not listed, not found, and not to be registered anew. */
    tu_assert_ok(eid_sync_remove_peer(sync, &key));
    eid_peer_info *peers;
    tu_assert_ok(eid_sync_list_peers(sync, &peers, &count));
    assert_int_equal(count, 0);
    eid_peer_infos_free(peers, count);
    tu_assert_fails(eid_sync_get_peer_info(sync, &key, &info), EID_ERR_PEER_NOT_FOUND);
    tu_assert_fails(eid_sync_register_peer(sync, &key, NULL), EID_ERR_PEER_EXISTS);
    tu_assert_ok(eid_sync_update_peer_status(sync, &key, EID_PEER_ACTIVE));
    tu_assert_ok(eid_sync_get_peer_info(sync, &key, &info));
    eid_peer_infos_free(info, 1);
    tu_assert_fails(eid_sync_update_peer_status(sync, &other, EID_PEER_ACTIVE), EID_ERR_PEER_NOT_FOUND);
    tu_assert_fails(eid_sync_update_peer_status(sync, &key, (eid_peer_status)7), EID_ERR_INVALID_ARGUMENT);
    eid_address_free(one);
    eid_address_free(two);
    net_close(n);
}

/* Features 6, 146 */
static void relations(void **state)
{
    (void)state;
    net *n = net_open(2);
    net_share(n, &enabled);
    eid_sync *sync = n->nodes[0].sync;
    eid_pubkey stranger = {{1}};
    eid_id *trees;
    size_t count;
    assert_true(eid_sync_is_tree_synced_with_peer(sync, &n->keys[1], &n->id));
    tu_assert_ok(eid_sync_add_tree_sync(sync, &n->keys[1], &n->id)); /* nothing new */
    tu_assert_ok(eid_sync_remove_tree_sync(sync, &n->keys[1], &n->id));
    assert_false(eid_sync_is_tree_synced_with_peer(sync, &n->keys[1], &n->id));
    tu_assert_ok(eid_sync_get_peer_trees(sync, &n->keys[1], &trees, &count));
    assert_int_equal(count, 0);
    eid_free(trees);
    tu_assert_fails(eid_sync_add_tree_sync(sync, &stranger, &n->id), EID_ERR_PEER_NOT_FOUND);
    tu_assert_ok(eid_sync_add_tree_sync(sync, &n->keys[1], &n->id));
    assert_true(eid_sync_is_tree_synced_with_peer(sync, &n->keys[1], &n->id));
    net_close(n);
}

/* Features 51, 127, N2, O6 */
static void errors_of_syncs_with_peers(void **state)
{
    (void)state;
    net *n = net_open(2);
    net_share(n, &enabled);
    eid_pubkey stranger = {{1}};
    eid_keypair *pair;
    eid_pubkey key;
    char wanted[200], text[EID_PUBKEY_TEXT_SIZE];
    tu_assert_fails(eid_sync_tree_with_peer(n->nodes[0].sync, &stranger, &n->id, NULL), EID_ERR_PEER_NOT_FOUND);
    eid_pubkey_format(&stranger, text);
    snprintf(wanted, sizeof wanted, "Peer not found: %s", text);
    assert_string_equal(eid_last_error(), wanted);
    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &key);
    tu_assert_ok(eid_sync_register_peer(n->nodes[0].sync, &key, NULL));
    tu_assert_fails(eid_sync_tree_with_peer(n->nodes[0].sync, &key, &n->id, NULL), EID_ERR_NETWORK);
    assert_string_equal(eid_last_error(), "Network error: No addresses found for peer");
    /* A transport nobody has. */
    eid_address *address;
    tu_assert_ok(eid_address_new("pigeon", "loft 7", &address));
    tu_assert_fails(eid_sync_with_address(n->nodes[0].sync, address, &n->id, NULL, NULL),
                    EID_ERR_NO_TRANSPORT_FOR_ADDRESS);
    assert_string_equal(eid_last_error(), "No transport can handle address: Address { transport_type: \"pigeon\", "
                                          "address: \"loft 7\" }");
    /* Another key than the device's. */
    tu_assert_ok(eid_sync_tree_with_peer_as(n->nodes[0].sync, &n->keys[1], &n->id, pair, NULL));
    eid_address_free(address);
    eid_keypair_free(pair);
    net_close(n);
}

/* Before any transport, every call that needs one says so. */
/* Features 144, N2 */
static void no_transport(void **state)
{
    (void)state;
    node n;
    eid_pubkey key;
    eid_id id = {.len = 1};
    eid_offered_tree *trees;
    size_t count;
    node_open_bare(&n, "alone");
    eid_instance_device_pubkey(n.instance, &key);
    static const char wanted[] = "No transport enabled. Call enable_http_transport() first";
#define SAYS_SO(call)                                                                                                  \
    do {                                                                                                               \
        tu_assert_fails(call, EID_ERR_NO_TRANSPORT_ENABLED);                                                           \
        assert_string_equal(eid_last_error(), wanted);                                                                 \
    } while (0)
    SAYS_SO(eid_sync_start_server(n.sync, "127.0.0.1:0"));
    SAYS_SO(eid_sync_start_server_async(n.sync, "127.0.0.1:0", NULL, NULL, NULL));
    SAYS_SO(eid_sync_connect_to_peer(n.sync, "127.0.0.1:1", &key));
    SAYS_SO(eid_sync_with_peer(n.sync, "127.0.0.1:1", &id, NULL));
    SAYS_SO(eid_sync_with_peer(n.sync, "127.0.0.1:1", NULL, NULL));
    SAYS_SO(eid_sync_with_peer_async(n.sync, "127.0.0.1:1", &id, NULL, NULL, NULL));
    SAYS_SO(eid_sync_tree_with_peer(n.sync, &key, &id, NULL));
    SAYS_SO(eid_sync_queue_entry(n.sync, &key, &id, &id));
    SAYS_SO(eid_sync_discover_peer_trees(n.sync, "127.0.0.1:1", &trees, &count));
    eid_ticket *ticket;
    SAYS_SO(eid_sync_create_ticket(n.sync, &id, &ticket));
#undef SAYS_SO
    tu_assert_ok(eid_sync_flush(n.sync, 1000)); /* nothing can wait */
    node_close(&n);
}

/* ---- What a peer offers ---- */

/* Features 122, 129, 130, 131 */
static void databases_of_a_peer(void **state)
{
    (void)state;
    net *n = net_open(2);
    net_share(n, &enabled);
    eid_database_close(node_create(&n->nodes[0], "private", true)); /* shared, but not with everybody: not named */
    eid_offered_tree *trees;
    size_t count;
    /* Texts of addresses are of HTTP or Iroh; the direct transport plays HTTP here. */
    node http;
    node_open_bare(&http, "asker");
    manual_host *asker = manual_attach(&http, "http");
    manual_add(asker, "zero:80", &n->nodes[0]);
    tu_assert_ok(eid_sync_discover_peer_trees(http.sync, "zero:80", &trees, &count));
    assert_int_equal(count, 1);
    assert_true(eid_id_equal(&trees[0].id, &n->id));
    assert_string_equal(trees[0].name, "shared");
    assert_int_equal(trees[0].entry_count, node_count(&n->nodes[0], &n->id));
    assert_int_equal(trees[0].last_modified, n->nodes[0].now_ms / 1000);
    eid_offered_trees_free(trees, count);
    node_close(&http);
    net_close(n);
}

/* Feature 19 */
static void without_a_database_all_shared_ones(void **state)
{
    (void)state;
    net *n = net_open(2);
    net_share(n, &enabled);
    node_write(n->handles[0], "a", "from 0");
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_address *address;
    tu_assert_ok(eid_address_new("direct", "0", &address));
    tu_assert_ok(eid_sync_with_address(n->nodes[1].sync, address, NULL, NULL, &result));
    assert_int_equal(result.databases, 1);
    assert_true(eid_pubkey_equal(&result.peer, &n->keys[0]));
    assert_true(net_agrees(n));
    eid_address_free(address);
    net_close(n);
}

/* ---- Statistics ---- */

/* Features 8, 110, 111, 112, 113, 114, 115, 116 */
static void cursors_and_statistics(void **state)
{
    (void)state;
    net *n = open_filed(2, &on_commit);
    eid_sync *sync = n->nodes[0].sync;
    eid_sync_cursor cursor = {.struct_size = sizeof cursor};
    eid_sync_metadata metadata = {.struct_size = sizeof metadata};
    eid_sync_history_entry *history;
    eid_pubkey stranger = {{1}};
    size_t count;

    eid_id id = node_write(n->handles[0], "a", "counted");
    net_settle(n);
    tu_assert_ok(eid_sync_get_sync_cursor(sync, &n->keys[1], &n->id, &cursor));
    assert_true(eid_id_equal(&cursor.last_synced_entry, &id));
    assert_int_equal(cursor.last_sync_count, 1);
    assert_int_equal(cursor.last_sync_time_ms, n->nodes[0].now_ms);
    tu_assert_ok(eid_sync_get_sync_metadata(sync, &n->keys[1], &metadata));
    assert_true(metadata.successful_sync_count >= 1);
    assert_int_equal(metadata.failed_sync_count, 0);
    assert_true(metadata.total_entries_synced >= 1);
    assert_true(metadata.total_bytes_synced > 100);
    assert_true(eid_sync_metadata_success_rate(&metadata) == 1.0);
    assert_true(metadata.sync_established_ms != 0);

    manual_remove(n->hosts[0], "1");
    node_write(n->handles[0], "a", "not sent");
    net_settle(n);
    tu_assert_ok(eid_sync_get_sync_metadata(sync, &n->keys[1], &metadata));
    assert_int_equal(metadata.failed_sync_count, 1);
    double rate = eid_sync_metadata_success_rate(&metadata);
    assert_true(rate > 0 && rate < 1);
    tu_assert_ok(eid_sync_get_sync_history(sync, &n->keys[1], 100, &history, &count));
    assert_in_range(count, 2, EID_LIMIT_SYNC_HISTORY);
    assert_false(history[0].success);
    assert_non_null(strstr(history[0].error, "nobody is there"));
    assert_true(history[1].success);
    assert_int_equal(history[1].entries, 1);
    eid_sync_history_free(history, count);

    /* All of it is there after a restart, and `_sync` itself has not grown by it. */
    uint64_t before, after;
    tu_assert_ok(eid_database_entry_count(eid_sync_sync_tree(sync), &before));
    net_restart(n, 0);
    sync = n->nodes[0].sync;
    eid_sync_metadata again = {.struct_size = sizeof again};
    tu_assert_ok(eid_sync_get_sync_metadata(sync, &n->keys[1], &again));
    assert_int_equal(again.successful_sync_count, metadata.successful_sync_count);
    assert_int_equal(again.failed_sync_count, 1);
    tu_assert_ok(eid_sync_get_sync_cursor(sync, &n->keys[1], &n->id, &cursor));
    assert_true(eid_id_equal(&cursor.last_synced_entry, &id));
    for (int i = 0; i < 50; i++) {
        node_write(n->handles[0], "a", "many syncs");
        net_settle(n);
    }
    net_pass(n, 600000);
    tu_assert_ok(eid_database_entry_count(eid_sync_sync_tree(sync), &after));
    assert_int_equal(after, before);
    tu_assert_ok(eid_sync_get_sync_history(sync, &n->keys[1], 100, &history, &count));
    assert_int_equal(count, EID_LIMIT_SYNC_HISTORY);
    eid_sync_history_free(history, count);

    /* Of strangers: nothing, and no failure. */
    tu_assert_ok(eid_sync_get_sync_metadata(sync, &stranger, &again));
    assert_true(eid_sync_metadata_success_rate(&again) == 0.0);
    tu_assert_ok(eid_sync_get_sync_cursor(sync, &stranger, &n->id, &cursor));
    assert_true(eid_id_is_empty(&cursor.last_synced_entry));
    close_filed(n);
}

/* Feature O4 */
static void settings_of_the_program(void **state)
{
    (void)state;
    net *n = net_open(1);
    char *value = NULL;
    tu_assert_ok(eid_sync_get_setting(n->nodes[0].sync, "theme", &value));
    assert_null(value);
    tu_assert_ok(eid_sync_set_setting(n->nodes[0].sync, "theme", "dark"));
    tu_assert_ok(eid_sync_get_setting(n->nodes[0].sync, "theme", &value));
    assert_string_equal(value, "dark");
    eid_free(value);
    net_close(n);
}

/* Rows that were damaged cost what they held, nothing else. */
static void damaged_rows_are_as_good_as_none(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "{", "[]", "{\"v\":2}", "{\"v\":1,\"links\":[{\"known\":[]}]}",
                                       "{\"v\":1,\"links\":[{\"tree\":\"x\"}]}", "{\"v\":1,\"good\":[{}]}"};
    net *n = open_filed(2, &on_commit);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[100] = "sync.peer.", text[EID_PUBKEY_TEXT_SIZE];
        net_pass(n, 6000);
        eid_storage *storage = eid_core_storage(n->nodes[0].sync->core);
        eid_pubkey_format(&n->keys[1], text);
        strcat(key, text);
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_begin(storage));
        tu_assert_ok(eid_storage_meta_set(storage, key, eid_slice_text(rows[i])));
        tu_assert_ok(eid_storage_meta_set(storage, "sync.modified", eid_slice_text(rows[i])));
        tu_assert_ok(eid_storage_meta_set(storage, "sync.nonce.0", eid_slice_text(rows[i])));
        tu_assert_ok(eid_storage_commit(storage));
        eid_storage_unlock(storage);
        net_restart(n, 0);
        node_write(n->handles[0], "a", rows[i]);
        net_pass(n, 3000);
        assert_true(net_agrees(n));
    }
    close_filed(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waited_is_sent_after_a_restart),
        cmocka_unit_test(entries_queued_by_hand_survive_too),
        cmocka_unit_test(after_a_restart_a_sync_costs_the_difference),
        cmocka_unit_test(a_peer_that_lost_data_gets_it_again),
        cmocka_unit_test(peers_and_relations_survive),
        cmocka_unit_test(peers_by_hand),
        cmocka_unit_test(relations),
        cmocka_unit_test(errors_of_syncs_with_peers),
        cmocka_unit_test(no_transport),
        cmocka_unit_test(databases_of_a_peer),
        cmocka_unit_test(without_a_database_all_shared_ones),
        cmocka_unit_test(cursors_and_statistics),
        cmocka_unit_test(settings_of_the_program),
        cmocka_unit_test(damaged_rows_are_as_good_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
