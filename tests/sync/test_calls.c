/* SPDX-License-Identifier: Apache-2.0 */
/* Every waiting call and its _async twin: the same outcome, progress that is told, an end that can be asked for; and calls made
 * inside callbacks. */
#include "net.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Node 0 shares one database with everybody and one with members only; node 1 asks. The direct transport plays HTTP, since
 * texts of addresses are of HTTP. */
#define THERE "there:80"

typedef struct scene {
    node alice, bob;
    manual_host *host;
    eid_database *open_one, *closed_one;
    eid_id open_id, closed_id;
    eid_address *address;
    eid_ticket *open_ticket, *closed_ticket;
    eid_keypair *member;
    eid_pubkey peer;
} scene;

static eid_ticket *ticket_for(const scene *s, const eid_id *id)
{
    eid_ticket *ticket;
    tu_assert_ok(eid_ticket_new(id, &ticket));
    tu_assert_ok(eid_ticket_add_address(ticket, s->address));
    return ticket;
}

static void list_member(scene *s)
{
    eid_txn *txn;
    eid_pubkey key;
    tu_assert_ok(eid_instance_add_private_key(s->bob.instance, "laptop", &key));
    tu_assert_ok(eid_database_new_transaction(s->closed_one, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "laptop", node_write_10, EID_KEY_ACTIVE));
    eid_keypair_public(s->member, &key);
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "member", node_write_10, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    node_list_key(s->closed_one, &s->bob, node_write_10);
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    node_open_bare(&s->alice, "alice");
    node_open_bare(&s->bob, "bob");
    s->host = manual_attach(&s->bob, "http");
    manual_add(s->host, THERE, &s->alice);
    s->open_one = node_create(&s->alice, "open", true);
    s->closed_one = node_create(&s->alice, "closed", true);
    s->open_id = *eid_database_root_id(s->open_one);
    s->closed_id = *eid_database_root_id(s->closed_one);
    node_set_global(s->open_one, node_write_10);
    tu_assert_ok(eid_address_http(THERE, &s->address));
    s->open_ticket = ticket_for(s, &s->open_id);
    s->closed_ticket = ticket_for(s, &s->closed_id);
    tu_assert_ok(eid_keypair_generate(&s->member));
    list_member(s);
    eid_instance_device_pubkey(s->alice.instance, &s->peer);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    eid_keypair_free(s->member);
    eid_ticket_free(s->open_ticket);
    eid_ticket_free(s->closed_ticket);
    eid_address_free(s->address);
    eid_database_close(s->open_one);
    eid_database_close(s->closed_one);
    node_close(&s->bob);
    node_close(&s->alice);
    free(s);
    return 0;
}

typedef struct heard {
    int times, progress;
    eid_status status;
    char sentence[300];
    eid_sync_result result;
    eid_sync_progress last;
    size_t trees;
} heard;

static void on_done(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    heard *h = ctx;
    h->times++;
    h->status = status;
    snprintf(h->sentence, sizeof h->sentence, "%s", sentence);
    h->result = *result;
}

static void on_trees(eid_status status, const char *sentence, const eid_offered_tree *trees, size_t count, void *ctx)
{
    heard *h = ctx;
    h->times++;
    h->status = status;
    snprintf(h->sentence, sizeof h->sentence, "%s", sentence);
    h->trees = count;
    if (count != 0)
        assert_string_equal(trees[0].name, "open");
}

static void on_progress(const eid_sync_progress *progress, void *ctx)
{
    heard *h = ctx;
    h->progress++;
    h->last = *progress;
}

/* ---- The table of twins ---- */

/* `done` NULL: the waiting form, and the other way round. */
typedef eid_status (*form)(scene *s, eid_sync_result *result, eid_sync_done done, heard *h, eid_sync_call **call);

#define FORM(name, waiting, async)                                                                                     \
    static eid_status name(scene *s, eid_sync_result *result, eid_sync_done done, heard *h, eid_sync_call **call)      \
    {                                                                                                                  \
        return done == NULL ? waiting : async;                                                                         \
    }

FORM(with_peer, eid_sync_with_peer(s->bob.sync, THERE, &s->open_id, result),
     eid_sync_with_peer_async(s->bob.sync, THERE, &s->open_id, done, h, call))
FORM(with_address, eid_sync_with_address(s->bob.sync, s->address, &s->closed_id, s->member, result),
     eid_sync_with_address_async(s->bob.sync, s->address, &s->closed_id, s->member, done, h, call))
FORM(with_ticket, eid_sync_with_ticket(s->bob.sync, s->open_ticket, result),
     eid_sync_with_ticket_async(s->bob.sync, s->open_ticket, done, h, call))
FORM(tree_with_peer, eid_sync_tree_with_peer(s->bob.sync, &s->peer, &s->open_id, result),
     eid_sync_tree_with_peer_async(s->bob.sync, &s->peer, &s->open_id, done, h, call))
FORM(tree_with_peer_as, eid_sync_tree_with_peer_as(s->bob.sync, &s->peer, &s->closed_id, s->member, result),
     eid_sync_tree_with_peer_as_async(s->bob.sync, &s->peer, &s->closed_id, s->member, done, h, call))
FORM(for_bootstrap, eid_sync_with_peer_for_bootstrap(s->bob.sync, THERE, &s->closed_id, "laptop", node_write_10, result),
     eid_sync_with_peer_for_bootstrap_async(s->bob.sync, THERE, &s->closed_id, "laptop", node_write_10, done, h, call))
FORM(for_bootstrap_with_key,
     eid_sync_with_peer_for_bootstrap_with_key(s->bob.sync, THERE, &s->closed_id, s->member, "m", node_write_10, result),
     eid_sync_with_peer_for_bootstrap_with_key_async(s->bob.sync, THERE, &s->closed_id, s->member, "m", node_write_10,
                                                     done, h, call))
FORM(bootstrap_with_ticket,
     eid_sync_bootstrap_with_ticket(s->bob.sync, s->closed_ticket, s->member, "m", node_write_10, NULL, result),
     eid_sync_bootstrap_with_ticket_async(s->bob.sync, s->closed_ticket, s->member, "m", node_write_10, NULL, done, h,
                                          call))
FORM(request_access, eid_user_request_database_access(s->bob.user, s->closed_ticket, node_write_10, result),
     eid_user_request_database_access_async(s->bob.user, s->closed_ticket, node_write_10, done, h, call))
FORM(user_sync, eid_user_sync_with_ticket(s->bob.user, s->closed_ticket, result),
     eid_user_sync_with_ticket_async(s->bob.user, s->closed_ticket, done, h, call))

static const struct {
    const char *name;
    form call;
    bool closed; /* leads to the database for members */
} forms[] = {
    {"with_peer", with_peer, false},
    {"with_ticket", with_ticket, false},
    {"tree_with_peer", tree_with_peer, false},
    {"for_bootstrap", for_bootstrap, true},
    {"for_bootstrap_with_key", for_bootstrap_with_key, true},
    {"bootstrap_with_ticket", bootstrap_with_ticket, true},
    {"request_access", request_access, true},
    {"user_sync", user_sync, true},
    {"with_address", with_address, true},
    {"tree_with_peer_as", tree_with_peer_as, true},
};
#define FORMS (sizeof forms / sizeof forms[0])

/* Features 15, 16, 51 */
static void twins_do_the_same(void **state)
{
    scene *s = *state;
    for (size_t i = 0; i < FORMS; i++) {
        eid_database *database = forms[i].closed ? s->closed_one : s->open_one;
        const eid_id *id = forms[i].closed ? &s->closed_id : &s->open_id;
        eid_sync_result waited = EID_SYNC_RESULT_INIT;
        eid_sync_call *call;
        heard h = {.times = 0};

        node_write(database, "first", forms[i].name);
        tu_assert_ok(forms[i].call(s, &waited, NULL, NULL, NULL));
        assert_true(waited.admitted >= 1);
        node_assert_same(&s->alice, &s->bob, id);

        node_write(database, "second", forms[i].name);
        tu_assert_ok(forms[i].call(s, NULL, on_done, &h, &call));
        assert_int_equal(h.times, 0); /* nothing moved the host yet */
        eid_sync_call_set_progress(call, on_progress, &h);
        manual_settle(&s->host, 1);
        if (h.times != 1 || h.status != EID_OK)
            fail_msg("%s: %d times, %s", forms[i].name, h.times, h.sentence);
        assert_int_equal(h.result.admitted, 1);
        assert_true(eid_pubkey_equal(&h.result.peer, &s->peer));
        assert_true(h.progress >= 1); /* at the end at least */
        assert_true(h.last.entries_total >= 1 && h.last.entries_received == h.last.entries_total);
        tu_assert_ok(eid_sync_call_wait(call, 0, &waited));
        assert_int_equal(waited.admitted, 1);
        eid_sync_call_free(call);
        node_assert_same(&s->alice, &s->bob, id);
    }
}

/* Feature 3 */
static void every_twin_can_be_cancelled(void **state)
{
    scene *s = *state;
    for (size_t i = 0; i < FORMS; i++) { /* peer and key mapping have to be there */
        tu_assert_ok(forms[i].call(s, NULL, NULL, NULL, NULL));
    }
    for (size_t i = 0; i < FORMS; i++) {
        eid_sync_call *call;
        heard h = {.times = 0};
        manual_set_silent(s->host, THERE, true);
        tu_assert_ok(forms[i].call(s, NULL, on_done, &h, &call));
        manual_settle(&s->host, 1);
        assert_int_equal(h.times, 0);
        assert_int_equal(manual_under_way(s->host), 1);
        eid_sync_call_cancel(call);
        manual_settle(&s->host, 1);
        assert_int_equal(h.times, 1);
        if (h.status != EID_ERR_CANCELLED)
            fail_msg("%s: %s", forms[i].name, h.sentence);
        assert_int_equal(manual_under_way(s->host), 0);
        tu_assert_fails(eid_sync_call_wait(call, 0, NULL), EID_ERR_CANCELLED);
        eid_sync_call_free(call);
        manual_set_silent(s->host, THERE, false);
    }
}

/* Cancelled before it could start, and without a handle at all. */
static void ends_nobody_waits_for(void **state)
{
    scene *s = *state;
    eid_sync_call *call;
    heard h = {.times = 0};
    tu_assert_ok(eid_sync_with_peer_async(s->bob.sync, THERE, &s->open_id, on_done, &h, &call));
    eid_sync_call_cancel(call);
    eid_sync_call_free(call);
    manual_settle(&s->host, 1);
    assert_int_equal(h.times, 1);
    assert_int_equal(h.status, EID_ERR_CANCELLED);
    assert_int_equal(manual_exchanges(s->host), 0);
    tu_assert_ok(eid_sync_with_peer_async(s->bob.sync, THERE, &s->open_id, NULL, NULL, NULL));
    manual_settle(&s->host, 1);
    node_assert_same(&s->alice, &s->bob, &s->open_id);
}

/* Feature 129 */
static void offered_trees_without_waiting(void **state)
{
    scene *s = *state;
    eid_sync_call *call;
    heard h = {.times = 0};
    tu_assert_ok(eid_sync_discover_peer_trees_async(s->bob.sync, THERE, on_trees, &h, &call));
    manual_settle(&s->host, 1);
    assert_int_equal(h.times, 1);
    assert_int_equal(h.trees, 1);
    eid_sync_call_free(call);
    manual_remove(s->host, THERE);
    tu_assert_ok(eid_sync_discover_peer_trees_async(s->bob.sync, THERE, on_trees, &h, NULL));
    manual_settle(&s->host, 1);
    assert_int_equal(h.times, 2);
    assert_int_equal(h.status, EID_ERR_CONNECTION_FAILED);
    assert_string_equal(h.sentence, "Failed to connect to there:80: nobody is there");
    assert_int_equal(h.trees, 0);
    tu_assert_fails(eid_sync_discover_peer_trees_async(s->bob.sync, "a b", on_trees, &h, NULL), EID_ERR_INVALID_ADDRESS);
    assert_int_equal(h.times, 2);
}

/* A request that waits for an admin is remembered, whichever form made it. */
static void pending_access_is_remembered(void **state)
{
    scene *s = *state;
    eid_database *early;
    heard h = {.times = 0};
    tu_assert_ok(eid_user_request_database_access_async(s->bob.user, s->closed_ticket, node_admin_0, on_done, &h, NULL));
    manual_settle(&s->host, 1);
    assert_int_equal(h.status, EID_ERR_BOOTSTRAP_PENDING);
    assert_non_null(strstr(h.sentence, "Bootstrap request pending approval (request_id: "));
    tu_assert_fails(eid_user_open_database(s->bob.user, &s->closed_id, &early), EID_ERR_DATABASE_ACCESS_PENDING);
}

/* What is wrong with the arguments is said at once, and nothing is called. */
static void refused_at_once(void **state)
{
    scene *s = *state;
    heard h = {.times = 0};
    eid_sync_call *call = NULL;
    eid_pubkey stranger = {{1}};
    tu_assert_fails(eid_sync_with_peer_for_bootstrap_async(s->bob.sync, THERE, &s->closed_id, "no such key",
                                                           node_write_10, on_done, &h, &call),
                    EID_ERR_PRIVATE_KEY_NOT_FOUND);
    tu_assert_fails(eid_sync_with_peer_for_bootstrap_with_key_async(s->bob.sync, THERE, &s->closed_id, s->member, "",
                                                                    node_write_10, on_done, &h, &call),
                    EID_ERR_INVALID_ARGUMENT);
    assert_string_equal(eid_last_error(), "Invalid key name: Key name cannot be empty");
    tu_assert_fails(eid_sync_tree_with_peer_as_async(s->bob.sync, &stranger, &s->open_id, s->member, on_done, &h, &call),
                    EID_ERR_PEER_NOT_FOUND);
    eid_ticket *bare;
    tu_assert_ok(eid_ticket_new(&s->closed_id, &bare));
    tu_assert_fails(eid_user_request_database_access_async(s->bob.user, bare, node_write_10, on_done, &h, &call),
                    EID_ERR_INVALID_ADDRESS);
    eid_ticket_free(bare);
    manual_settle(&s->host, 1);
    assert_int_equal(h.times, 0);
    assert_null(call);
}

/* ---- Inside callbacks, on real threads ---- */

typedef struct inside {
    node *n;
    const char *address;
    const eid_id *id;
    eid_status waited, watched;
    eid_sync_call *other;
    atomic_int over;
} inside;

static void call_inside(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    inside *in = ctx;
    (void)status, (void)sentence, (void)result;
    in->waited = eid_sync_with_peer(in->n->sync, in->address, in->id, NULL);
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    eid_address *address;
    tu_assert_ok(eid_address_detect(in->address, &address));
    const eid_address *list[1] = {address};
    order.addresses = list;
    order.address_count = 1;
    order.progress = on_progress;
    in->watched = eid_sync_order_wait(in->n->sync, &order, NULL);
    eid_address_free(address);
    in->over = 1;
}

/* A waiting form without callbacks of its own works inside `done`; one with them would wait for itself. */
static void waiting_inside_done(void **state)
{
    (void)state;
    node alice, bob;
    node_open(&alice, "alice");
    node_open(&bob, "bob");
    node_serve(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    node_set_global(notes, node_read_only);
    inside in = {.n = &bob, .address = alice.address, .id = eid_database_root_id(notes)};
    eid_sync_call *call;
    tu_assert_ok(eid_sync_connect_to_peer_async(bob.sync, alice.address, call_inside, &in, &call));
    tu_assert_ok(eid_sync_call_wait(call, 60000, NULL));
    assert_int_equal(in.over, 1);
    assert_int_equal(in.waited, EID_OK);
    assert_int_equal(in.watched, EID_ERR_CONFLICT);
    node_assert_same(&alice, &bob, in.id);
    eid_sync_call_free(call);
    eid_database_close(notes);
    node_close(&bob);
    node_close(&alice);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(twins_do_the_same),
        IN_SCENE(every_twin_can_be_cancelled),
        IN_SCENE(ends_nobody_waits_for),
        IN_SCENE(offered_trees_without_waiting),
        IN_SCENE(pending_access_is_remembered),
        IN_SCENE(refused_at_once),
        cmocka_unit_test(waiting_inside_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
