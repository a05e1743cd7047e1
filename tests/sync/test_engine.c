/* SPDX-License-Identifier: Apache-2.0 */
/* The engine step by step, on hosts without threads: what it does by itself, and when. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const eid_sync_settings on_commit = EID_SYNC_SETTINGS_ON_COMMIT;
static const eid_sync_settings enabled = EID_SYNC_SETTINGS_ENABLED;

static net *open_shared(size_t count, const eid_sync_settings *settings)
{
    net *n = net_open(count);
    net_share(n, settings);
    assert_true(net_agrees(n));
    return n;
}

static eid_peer_info *info_of(net *n, size_t who, size_t whom)
{
    eid_peer_info *info;
    tu_assert_ok(eid_sync_get_peer_info(n->nodes[who].sync, &n->keys[whom], &info));
    return info;
}

/* ---- Commits ---- */

/* Features 1, 4, 39, 105, 120 */
static void commits_go_out_at_once(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    node_write(n->handles[0], "a", "from 0");
    net_settle(n); /* no time passes */
    assert_string_equal(node_read(n->handles[1], "a"), "from 0");
    node_write(n->handles[1], "b", "from 1");
    net_settle(n);
    assert_string_equal(node_read(n->handles[0], "b"), "from 1");
    assert_true(net_agrees(n));
    net_close(n);
}

static void a_push_is_one_message(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    node_write(n->handles[0], "a", "0");
    net_settle(n);
    net_pass(n, 1000); /* nothing is passed back */
    size_t before = net_exchanges(n);
    node_write(n->handles[0], "a", "1");
    net_pass(n, 1000);
    assert_int_equal(net_exchanges(n) - before, 1);
    assert_true(net_agrees(n));
    net_close(n);
}

static void commits_during_a_push_go_together(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    manual_set_silent(n->hosts[0], "1", true);
    node_write(n->handles[0], "a", "first");
    net_settle(n);
    assert_int_equal(manual_under_way(n->hosts[0]), 1);
    for (int i = 0; i < 100; i++)
        node_write(n->handles[0], "a", "more");
    net_settle(n);
    assert_int_equal(manual_under_way(n->hosts[0]), 1);
    size_t before = manual_exchanges(n->hosts[0]);
    manual_set_silent(n->hosts[0], "1", false);
    net_pass(n, 3000);
    /* The push timed out: after two seconds a handshake, then all in one. */
    assert_int_equal(manual_exchanges(n->hosts[0]) - before, 2);
    assert_true(net_agrees(n));
    net_close(n);
}

/* Features 23, 41, 107 */
static void without_on_commit_they_wait_for_the_round(void **state)
{
    (void)state;
    net *n = open_shared(2, &enabled);
    node_write(n->handles[0], "a", "from 0");
    node_write(n->handles[1], "b", "from 1");
    net_pass(n, 250000);
    assert_null(node_read(n->handles[1], "a"));
    net_pass(n, 60000);
    assert_true(net_agrees(n)); /* every 300 s, both ways */
    assert_string_equal(node_read(n->handles[0], "b"), "from 1");
    net_close(n);
}

/* Features 63, 76 */
static void intervals_of_users(void **state)
{
    (void)state;
    eid_sync_settings often = EID_SYNC_SETTINGS_ENABLED;
    often.interval_seconds = 7;
    net *n = open_shared(2, &often);
    node_write(n->handles[0], "a", "from 0");
    net_pass(n, 8000);
    assert_string_equal(node_read(n->handles[1], "a"), "from 0");
    /* A change takes effect without a restart. */
    eid_sync_settings seldom = EID_SYNC_SETTINGS_ENABLED;
    seldom.interval_seconds = 1000;
    for (size_t i = 0; i < 2; i++) {
        eid_database_preferences prefs = EID_DATABASE_PREFERENCES_INIT;
        prefs.database_id = n->id;
        prefs.sync_settings = seldom;
        tu_assert_ok(eid_user_set_prefs(n->nodes[i].user, &prefs));
    }
    net_pass(n, 8000);
    node_write(n->handles[0], "b", "from 0");
    net_pass(n, 100000);
    assert_null(node_read(n->handles[1], "b"));
    net_close(n);
}

static void what_is_not_shared_is_not_sent(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    tu_assert_ok(eid_user_disable_sync(n->nodes[0].user, &n->id));
    node_write(n->handles[0], "a", "private now");
    net_pass(n, 700000);
    assert_null(node_read(n->handles[1], "a"));
    tu_assert_ok(eid_user_enable_sync(n->nodes[0].user, &n->id));
    net_settle(n); /* at once, not with the next round */
    assert_string_equal(node_read(n->handles[1], "a"), "private now");
    net_close(n);
}

/* ---- Passing on ---- */

static void entries_are_passed_on(void **state)
{
    (void)state;
    net *n = open_shared(4, &on_commit); /* a star around 0 */
    node_write(n->handles[3], "a", "from 3");
    net_settle(n);
    assert_string_equal(node_read(n->handles[0], "a"), "from 3");
    assert_null(node_read(n->handles[1], "a"));
    net_pass(n, EID_LIMIT_SYNC_RELAY_MS);
    assert_true(net_agrees(n));
    net_close(n);
}

static void a_mesh_does_not_echo(void **state)
{
    (void)state;
    net *n = open_shared(4, &on_commit);
    for (size_t a = 1; a < n->count; a++)
        for (size_t b = a + 1; b < n->count; b++)
            net_join(n, a, b);
    net_pass(n, 1000);
    node_write(n->handles[2], "a", "once");
    net_pass(n, 1000);
    size_t before = net_exchanges(n);
    node_write(n->handles[2], "a", "twice");
    net_pass(n, 5000);
    assert_true(net_agrees(n));
    /* 3 pushes by the writer; the three others push to each other, as they can not know, and never back. */
    assert_in_range(net_exchanges(n) - before, 3, 9);
    net_close(n);
}

/* ---- Failures ---- */

static size_t attempts_of(net *n, uint64_t *next_ms)
{
    eid_retry *retries;
    size_t count, attempts = 0;
    tu_assert_ok(eid_sync_retry_queue_list(n->nodes[0].sync, &retries, &count));
    assert_int_equal(count, eid_sync_retry_queue_len(n->nodes[0].sync));
    if (count != 0) {
        assert_int_equal(count, 1);
        assert_true(eid_pubkey_equal(&retries[0].peer, &n->keys[1]));
        assert_true(eid_id_equal(&retries[0].database, &n->id));
        assert_non_null(strstr(retries[0].last_error, "nobody is there"));
        attempts = retries[0].attempts;
        if (next_ms != NULL)
            *next_ms = retries[0].next_attempt_ms;
    }
    eid_retries_free(retries, count);
    return attempts;
}

/* Features 40, 106, 148 */
static void retries_double_up_to_64_s(void **state)
{
    (void)state;
    static const uint64_t waits[] = {2, 4, 8, 16, 32, 64, 64, 64};
    net *n = open_shared(2, &on_commit);
    manual_remove(n->hosts[0], "1");
    manual_remove(n->hosts[1], "0"); /* or it would show itself */
    node_write(n->handles[0], "a", "for later");
    net_settle(n);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        uint64_t next;
        assert_int_equal(attempts_of(n, &next), i + 1);
        assert_in_range(next, waits[i] * 1000 * 15 / 16 - 1, waits[i] * 1000);
        net_pass(n, next);
    }
    manual_add(n->hosts[0], "1", &n->nodes[1]);
    net_pass(n, 64000);
    assert_int_equal(attempts_of(n, NULL), 0);
    assert_true(net_agrees(n));
    net_close(n);
}

/* Feature 132 */
static void a_peer_that_shows_itself_is_tried_at_once(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    manual_remove(n->hosts[0], "1");
    manual_remove(n->hosts[1], "0");
    node_write(n->handles[0], "a", "for later");
    net_pass(n, 200000);
    assert_true(attempts_of(n, NULL) > 5);
    manual_add(n->hosts[0], "1", &n->nodes[1]);
    manual_add(n->hosts[1], "0", &n->nodes[0]);
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    order.peer = &n->keys[0];
    order.handshake_only = true;
    tu_assert_ok(eid_sync_order_wait(n->nodes[1].sync, &order, NULL));
    net_settle(n);
    assert_int_equal(attempts_of(n, NULL), 0);
    assert_true(net_agrees(n));
    net_close(n);
}

/* Feature 148 */
static void refusals_are_retried_too_but_hold_nothing_up(void **state)
{
    (void)state;
    net *n = open_shared(3, &on_commit);
    tu_assert_ok(eid_user_disable_sync(n->nodes[1].user, &n->id)); /* 1 does not know the database any more */
    node_write(n->handles[0], "a", "new");
    net_settle(n);
    assert_string_equal(node_read(n->handles[2], "a"), "new");
    net_pass(n, 310000); /* the round finds out: "Tree not found" */
    eid_retry *retries;
    size_t count;
    tu_assert_ok(eid_sync_retry_queue_list(n->nodes[0].sync, &retries, &count));
    assert_int_equal(count, 1);
    assert_non_null(strstr(retries[0].last_error, "Tree not found"));
    eid_retries_free(retries, count);
    eid_peer_info *info = info_of(n, 0, 1);
    assert_int_equal(info->connection_state, EID_PEER_CONNECTED); /* it is there, it only refuses */
    eid_peer_infos_free(info, 1);
    tu_assert_ok(eid_user_enable_sync(n->nodes[1].user, &n->id));
    net_pass(n, 65000);
    assert_true(net_agrees(n));
    net_close(n);
}

/* Features 42, 57, 107, 147 */
static void looks_every_60_s(void **state)
{
    (void)state;
    net *n = open_shared(2, &enabled);
    net_pass(n, 61000);
    eid_peer_info *info = info_of(n, 0, 1);
    assert_int_equal(info->connection_state, EID_PEER_CONNECTED);
    assert_null(info->last_error);
    eid_peer_infos_free(info, 1);
    manual_remove(n->hosts[0], "1");
    net_pass(n, 61000);
    info = info_of(n, 0, 1);
    assert_int_equal(info->connection_state, EID_PEER_FAILED);
    assert_true(info->connection_attempts >= 1);
    assert_non_null(strstr(info->last_error, "nobody is there"));
    eid_peer_infos_free(info, 1);
    manual_add(n->hosts[0], "1", &n->nodes[1]);
    net_pass(n, 64000);
    info = info_of(n, 0, 1);
    assert_int_equal(info->connection_state, EID_PEER_CONNECTED);
    assert_int_equal(info->connection_attempts, 0);
    eid_peer_infos_free(info, 1);
    net_close(n);
}

/* Features 2, O3, A10 */
static void silent_peers_delay_nobody(void **state)
{
    (void)state;
    enum { SILENT = 50 };
    net *n = open_shared(2, &on_commit);
    for (int i = 0; i < SILENT; i++) {
        char name[16];
        eid_keypair *pair;
        eid_pubkey key;
        eid_address *address;
        const eid_address *list[1];
        snprintf(name, sizeof name, "silent%d", i);
        manual_add(n->hosts[0], name, &n->nodes[1]);
        manual_set_silent(n->hosts[0], name, true);
        tu_assert_ok(eid_keypair_generate(&pair));
        eid_keypair_public(pair, &key);
        eid_keypair_free(pair);
        tu_assert_ok(eid_address_new("direct", name, &address));
        list[0] = address;
        tu_assert_ok(eid_sync_register_sync_peer(n->nodes[0].sync, &key, NULL, &n->id, list, 1));
        eid_address_free(address);
    }
    net_settle(n);
    assert_int_equal(manual_under_way(n->hosts[0]), SILENT);
    for (int i = 0; i < 5; i++) {
        node_write(n->handles[0], "a", "to whoever listens");
        net_settle(n); /* no time passes */
        assert_true(net_agrees(n));
    }
    assert_int_equal(manual_under_way(n->hosts[0]), SILENT);
    net_close(n); /* and closing does not wait for them */
}

/* ---- With whose key ---- */

/* Only the user of 1 is listed, not its device, and 0 can not reach 1: what 1 gets it fetches in its rounds. */
static void rounds_ask_with_the_key_of_who_works_here(void **state)
{
    (void)state;
    net *n = net_open(2);
    eid_database *room = node_create(&n->nodes[0], "room", true);
    const eid_id *id = eid_database_root_id(room);
    node *member = &n->nodes[1];
    eid_address *address;
    node_list_key(room, member, node_write_10);
    tu_assert_ok(eid_address_new("direct", "0", &address));
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    order.addresses = (const eid_address *const *)&address;
    order.address_count = 1;
    order.database = id;
    order.key = eid_user_default_keypair(member->user);
    order.ask_access = true;
    order.permission = node_write_10;
    tu_assert_ok(eid_sync_order_wait(member->sync, &order, NULL));
    eid_address_free(address);
    node_set_sync(member, id, true);

    node_write(room, "a", "for members");
    net_pass(n, 310000);
    assert_int_equal(node_count(member, id), node_count(&n->nodes[0], id));

    /* Logged out, the key is gone, and the device has no right. */
    eid_user_logout(member->user);
    node_write(room, "b", "for later");
    net_pass(n, 400000);
    assert_int_equal(node_count(member, id), node_count(&n->nodes[0], id) - 1);
    tu_assert_ok(eid_instance_login_user(member->instance, "1", NULL, &member->user));
    net_pass(n, 400000);
    assert_int_equal(node_count(member, id), node_count(&n->nodes[0], id));
    eid_database_close(room);
    net_close(n);
}

/* ---- Who is spoken with ---- */

/* Features 58, 145, A5 */
static void only_active_peers_are_contacted(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    tu_assert_ok(eid_sync_update_peer_status(n->nodes[0].sync, &n->keys[1], EID_PEER_INACTIVE));
    size_t before = manual_exchanges(n->hosts[0]);
    node_write(n->handles[0], "a", "kept");
    net_pass(n, 1000);
    assert_int_equal(manual_exchanges(n->hosts[0]), before);
    tu_assert_ok(eid_sync_update_peer_status(n->nodes[0].sync, &n->keys[1], EID_PEER_ACTIVE));
    net_settle(n);
    assert_true(net_agrees(n));

    tu_assert_ok(eid_sync_update_peer_status(n->nodes[0].sync, &n->keys[1], EID_PEER_BLOCKED));
    node_write(n->handles[0], "b", "not for 1");
    net_pass(n, 700000);
    assert_null(node_read(n->handles[1], "b"));
    /* Nor is it served: its own rounds fail. */
    tu_assert_fails(eid_sync_tree_with_peer(n->nodes[1].sync, &n->keys[0], &n->id, NULL), EID_ERR_HANDSHAKE_FAILED);
    assert_non_null(strstr(eid_last_error(), "blocked"));
    net_close(n);
}

/* Somebody else answers at the peer's address: nothing is sent there. */
/* Features 7, 80, A13 */
static void pushes_go_to_proven_keys_only(void **state)
{
    (void)state;
    net *n = open_shared(3, &on_commit);
    net_pass(n, EID_LIMIT_SYNC_PROVEN_MS + 1000); /* what was proven is old by now */
    manual_add(n->hosts[0], "1", &n->nodes[2]);   /* 2 has taken 1's address over */
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[0].sync, &n->keys[2], &n->id));
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[2].sync, &n->keys[0], &n->id));
    net_pass(n, EID_LIMIT_SYNC_PROVEN_MS + 1000);
    node_write(n->handles[0], "a", "for 1 alone");
    net_pass(n, 200000);
    assert_null(node_read(n->handles[2], "a"));
    eid_peer_info *info = info_of(n, 0, 1);
    assert_int_equal(info->connection_state, EID_PEER_FAILED);
    assert_non_null(strstr(info->last_error, "another peer than the one expected"));
    eid_peer_infos_free(info, 1);
    net_close(n);
}

/* A stranger shakes hands in 1's name and gives its own address. */
/* Feature A13 */
static void a_claimed_address_gets_nothing(void **state)
{
    (void)state;
    net *n = open_shared(3, &on_commit);
    eid_address *address;
    eid_buf answer, body;
    uint8_t challenge[32] = {1};
    char name[] = "not 1";
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[0].sync, &n->keys[2], &n->id));
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[2].sync, &n->keys[0], &n->id));
    manual_remove(n->hosts[0], "1");
    tu_assert_ok(eid_address_new("direct", "2", &address));
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE,
                                .as.handshake = {.device_id = n->keys[1],
                                                 .public_key = n->keys[1],
                                                 .display_name = name,
                                                 .challenge = challenge,
                                                 .challenge_len = sizeof challenge,
                                                 .addresses = &address,
                                                 .address_count = 1}};
    eid_buf_init(&body, 100000);
    eid_buf_init(&answer, 100000);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&n->nodes[0], (const char *)body.data, body.len, &answer), EID_HANDLED);
    node_write(n->handles[0], "a", "for 1 alone");
    net_pass(n, 400000);
    assert_null(node_read(n->handles[2], "a"));
    manual_add(n->hosts[0], "1", &n->nodes[1]);
    net_pass(n, 70000);
    assert_string_equal(node_read(n->handles[1], "a"), "for 1 alone");
    eid_address_free(address);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    net_close(n);
}

/* Feature 50 */
static void all_addresses_are_tried_the_last_good_one_first(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    eid_address *address;
    tu_assert_ok(eid_address_new("direct", "1b", &address));
    tu_assert_ok(eid_sync_add_peer_address(n->nodes[0].sync, &n->keys[1], address));
    eid_address_free(address);
    manual_add(n->hosts[0], "1b", &n->nodes[1]);
    manual_remove(n->hosts[0], "1");
    node_write(n->handles[0], "a", "by the other way");
    net_pass(n, 3000);
    assert_true(net_agrees(n));
    size_t before = manual_exchanges(n->hosts[0]);
    node_write(n->handles[0], "a", "by the same way");
    net_settle(n);
    assert_int_equal(manual_exchanges(n->hosts[0]) - before, 1); /* straight to 1b */
    assert_true(net_agrees(n));
    net_close(n);
}

/* ---- By hand ---- */

/* Feature 137 */
static void entries_queued_by_hand(void **state)
{
    (void)state;
    net *n = open_shared(2, &enabled);
    tu_assert_ok(eid_sync_remove_tree_sync(n->nodes[0].sync, &n->keys[1], &n->id));
    eid_id id = node_write(n->handles[0], "a", "by hand");
    tu_assert_ok(eid_sync_queue_entry(n->nodes[0].sync, &n->keys[1], &id, &n->id));
    net_settle(n);
    assert_string_equal(node_read(n->handles[1], "a"), "by hand");
    eid_pubkey stranger = n->keys[1];
    stranger.bytes[0] ^= 1;
    tu_assert_fails(eid_sync_queue_entry(n->nodes[0].sync, &stranger, &id, &n->id), EID_ERR_PEER_NOT_FOUND);
    net_close(n);
}

/* Features 43, O7 */
static void flush_sends_what_waits(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    manual_remove(n->hosts[0], "1");
    node_write(n->handles[0], "a", "waits");
    net_pass(n, 100000);
    tu_assert_fails(eid_sync_flush(n->nodes[0].sync, 5000), EID_ERR_NETWORK);
    assert_string_equal(eid_last_error(),
                        "Network error: Flush had failures: 1 from retry queue, 0 from new entries");
    manual_add(n->hosts[0], "1", &n->nodes[1]);
    tu_assert_ok(eid_sync_flush(n->nodes[0].sync, 5000)); /* the clock stands still: backoff does not count */
    assert_true(net_agrees(n));
    tu_assert_ok(eid_instance_flush_sync(n->nodes[0].instance, 5000));
    net_close(n);
}

typedef struct flushed {
    int times;
    eid_status status;
} flushed;

static void on_flushed(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    flushed *f = ctx;
    (void)sentence, (void)result;
    f->times++;
    f->status = status;
}

/* Feature O7 */
static void flushing_without_waiting(void **state)
{
    (void)state;
    net *n = open_shared(2, &on_commit);
    eid_sync *sync = n->nodes[0].sync;
    flushed f = {0, EID_OK};
    eid_sync_call *call;
    /* Nothing to send; something; somebody who does not answer, with a deadline and then without. */
    tu_assert_ok(eid_sync_flush_async(sync, 1000, on_flushed, &f, NULL));
    net_settle(n);
    assert_int_equal(f.times, 1);
    node_write(n->handles[0], "a", "sent");
    tu_assert_ok(eid_sync_flush_async(sync, 1000, on_flushed, &f, NULL));
    net_settle(n);
    assert_int_equal(f.times, 2);
    assert_int_equal(f.status, EID_OK);
    assert_true(net_agrees(n));

    manual_set_silent(n->hosts[0], "1", true);
    node_write(n->handles[0], "a", "under way for ever");
    net_settle(n);
    tu_assert_ok(eid_sync_flush_async(sync, 1000, on_flushed, &f, NULL));
    net_pass(n, 999);
    assert_int_equal(f.times, 2);
    net_pass(n, 1);
    assert_int_equal(f.times, 3);
    assert_int_equal(f.status, EID_ERR_TIMEOUT);
    tu_assert_ok(eid_sync_flush_async(sync, UINT64_MAX, on_flushed, &f, &call));
    net_pass(n, 5000);
    assert_int_equal(f.times, 3);
    eid_sync_call_cancel(call);
    net_settle(n);
    assert_int_equal(f.times, 4);
    tu_assert_fails(eid_sync_call_wait(call, 0, NULL), EID_ERR_CANCELLED);
    eid_sync_call_free(call);
    tu_assert_ok(eid_sync_flush_async(sync, UINT64_MAX, on_flushed, &f, NULL));
    net_close(n); /* closing ends it */
    assert_int_equal(f.times, 5);
    assert_int_equal(f.status, EID_ERR_CANCELLED);
}

static void settings_of_the_engine(void **state)
{
    (void)state;
    net *n = open_shared(2, &enabled);
    eid_sync_config config = EID_SYNC_CONFIG_INIT, read = EID_SYNC_CONFIG_INIT;
    config.periodic_seconds = 5;
    tu_assert_ok(eid_sync_set_config(n->nodes[0].sync, &config));
    eid_sync_get_config(n->nodes[0].sync, &read);
    assert_int_equal(read.periodic_seconds, 5);
    assert_int_equal(read.retry_max_seconds, 64);
    node_write(n->handles[1], "a", "soon");
    net_pass(n, 6000);
    assert_string_equal(node_read(n->handles[0], "a"), "soon");
    config.check_seconds = 0;
    tu_assert_fails(eid_sync_set_config(n->nodes[0].sync, &config), EID_ERR_INVALID_ARGUMENT);
    eid_sync_engine_stats stats = {.struct_size = sizeof stats};
    eid_sync_get_engine_stats(n->nodes[0].sync, &stats);
    assert_true(stats.running);
    assert_int_equal(stats.peers, 1);
    assert_int_equal(stats.relations, 1);
    assert_int_equal(stats.to_send, 0);
    assert_true(stats.completed > 0);
    net_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_go_out_at_once),
        cmocka_unit_test(a_push_is_one_message),
        cmocka_unit_test(commits_during_a_push_go_together),
        cmocka_unit_test(without_on_commit_they_wait_for_the_round),
        cmocka_unit_test(intervals_of_users),
        cmocka_unit_test(what_is_not_shared_is_not_sent),
        cmocka_unit_test(entries_are_passed_on),
        cmocka_unit_test(a_mesh_does_not_echo),
        cmocka_unit_test(retries_double_up_to_64_s),
        cmocka_unit_test(a_peer_that_shows_itself_is_tried_at_once),
        cmocka_unit_test(refusals_are_retried_too_but_hold_nothing_up),
        cmocka_unit_test(looks_every_60_s),
        cmocka_unit_test(silent_peers_delay_nobody),
        cmocka_unit_test(rounds_ask_with_the_key_of_who_works_here),
        cmocka_unit_test(only_active_peers_are_contacted),
        cmocka_unit_test(pushes_go_to_proven_keys_only),
        cmocka_unit_test(a_claimed_address_gets_nothing),
        cmocka_unit_test(all_addresses_are_tried_the_last_good_one_first),
        cmocka_unit_test(entries_queued_by_hand),
        cmocka_unit_test(flush_sends_what_waits),
        cmocka_unit_test(flushing_without_waiting),
        cmocka_unit_test(settings_of_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
