/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about requests for access: who hears of them and how, what is left after restarts, caps, all or nothing. */
#include "net.h"
#include "support/track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct heard {
    int times;
    eid_status status;
    char sentence[300];
} heard;

static void on_done(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    heard *h = ctx;
    (void)result;
    h->times++;
    h->status = status;
    snprintf(h->sentence, sizeof h->sentence, "%s", sentence);
}

/* Node 0, and, when wanted, node 1 in files; node 0 shares a database that only its user may read. */
typedef struct scene {
    net *n;
    char *dir;
    heard h;
    eid_sync_call *call;
} scene;

static scene *scene_open(size_t nodes, bool in_files)
{
    scene *s = calloc(1, sizeof *s);
    s->n = net_open(nodes);
    s->dir = tu_temp_dir();
    for (size_t i = 0; i < nodes && in_files; i++)
        net_put_in_file(s->n, i, s->dir);
    s->n->handles[0] = node_create(&s->n->nodes[0], "notes", true);
    s->n->id = *eid_database_root_id(s->n->handles[0]);
    node_write(s->n->handles[0], "a", "for members");
    return s;
}

static void scene_close(scene *s)
{
    eid_sync_call_free(s->call);
    net_close(s->n);
    tu_temp_dir_remove(s->dir);
    free(s);
}

static eid_ticket *ticket_to_0(const scene *s)
{
    eid_ticket *ticket;
    eid_address *address;
    tu_assert_ok(eid_ticket_new(&s->n->id, &ticket));
    tu_assert_ok(eid_address_new("direct", "0", &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    return ticket;
}

static void await_access(scene *s)
{
    eid_ticket *ticket = ticket_to_0(s);
    memset(&s->h, 0, sizeof s->h);
    eid_sync_call_free(s->call);
    tu_assert_ok(eid_user_await_database_access(s->n->nodes[1].user, ticket, node_write_10, NULL, on_done, &s->h, &s->call));
    eid_ticket_free(ticket);
    net_settle(s->n);
}

static eid_status ask(scene *s)
{
    eid_ticket *ticket = ticket_to_0(s);
    eid_status status = eid_user_request_database_access(s->n->nodes[1].user, ticket, node_write_10, NULL);
    eid_ticket_free(ticket);
    return status;
}

/* The one request that is pending. */
static void pending_id(const scene *s, char id[37])
{
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_ok(eid_sync_pending_bootstrap_requests(s->n->nodes[0].sync, &requests, &count));
    assert_int_equal(count, 1);
    strcpy(id, requests[0].id);
    eid_bootstrap_requests_free(requests, count);
}

static size_t count_pending(const scene *s)
{
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_ok(eid_sync_pending_bootstrap_requests(s->n->nodes[0].sync, &requests, &count));
    eid_bootstrap_requests_free(requests, count);
    return count;
}

static eid_access_state access_of(const scene *s)
{
    eid_access_state state;
    tu_assert_ok(eid_user_database_access(s->n->nodes[1].user, &s->n->id, &state));
    return state;
}

static void assert_refused(const scene *s, const char *id)
{
    char wanted[200];
    eid_database *none;
    snprintf(wanted, sizeof wanted, "Bootstrap request rejected (request_id: %s): an admin of the database refused it", id);
    assert_int_equal(s->h.times, 1);
    assert_int_equal(s->h.status, EID_ERR_BOOTSTRAP_REJECTED);
    assert_string_equal(s->h.sentence, wanted);
    assert_int_equal(access_of(s), EID_ACCESS_REJECTED);
    tu_assert_fails(eid_user_open_database(s->n->nodes[1].user, &s->n->id, &none), EID_ERR_BOOTSTRAP_REJECTED);
    assert_string_equal(eid_last_error(), wanted);
}

/* ---- Rejection ---- */

/* Feature 101 */
static void the_waiting_peer_learns_of_a_rejection_by_asking(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    char id[37];
    assert_int_equal(access_of(s), EID_ACCESS_NONE);
    await_access(s);
    assert_int_equal(access_of(s), EID_ACCESS_PENDING);
    pending_id(s, id);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id));
    assert_int_equal(s->h.times, 0);
    net_pass(s->n, 65000);
    assert_refused(s, id);
    size_t before = manual_exchanges(s->n->hosts[1]);
    net_pass(s->n, 50000);
    assert_int_equal(manual_exchanges(s->n->hosts[1]), before); /* nobody asks any more */
    scene_close(s);
}

static void the_rejecting_side_tells_a_peer_it_can_reach(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    char id[37];
    eid_address *address;
    await_access(s);
    pending_id(s, id);
    tu_assert_ok(eid_address_new("direct", "1", &address));
    tu_assert_ok(eid_sync_add_peer_address(s->n->nodes[0].sync, &s->n->keys[1], address));
    eid_address_free(address);
    net_pass(s->n, 200000);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id));
    net_settle(s->n); /* no time passes */
    assert_refused(s, id);
    scene_close(s);
}

/* Asking again is a wish of its own: it is filed, and what was refused before does not count against it. */
static void asking_again_after_a_rejection(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    char first[37], second[37];
    await_access(s);
    pending_id(s, first);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, first));
    net_pass(s->n, 65000);
    assert_refused(s, first);
    await_access(s);
    assert_int_equal(s->h.times, 0);
    assert_int_equal(access_of(s), EID_ACCESS_PENDING);
    pending_id(s, second);
    assert_string_not_equal(first, second);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, second));
    net_pass(s->n, 65000);
    assert_int_equal(s->h.times, 1);
    assert_int_equal(s->h.status, EID_OK);
    assert_int_equal(access_of(s), EID_ACCESS_GRANTED);
    scene_close(s);
}

/* Only who proves the key hears of it: to others the key is one of many that may not read. */
/* Feature A4 */
static void a_rejection_is_told_to_its_key_only(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    char id[37];
    eid_keypair *other;
    await_access(s);
    pending_id(s, id);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id));
    tu_assert_ok(eid_keypair_generate(&other));
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;
    eid_sync_response response;
    eid_buf body, answer;
    char name[] = "somebody";
    tree->tree = s->n->id;
    tree->has_requesting_key = true;
    eid_user_get_default_key(s->n->nodes[1].user, &tree->requesting_key);
    tree->requesting_key_name = name;
    tu_assert_ok(eid_request_auth_sign(tree, &s->n->keys[0], other, s->n->nodes[0].now_ms));
    eid_buf_init(&body, 1 << 20);
    eid_buf_init(&answer, 1 << 20);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->n->nodes[0], (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    assert_int_equal(response.kind, EID_RESPONSE_ERROR);
    assert_null(strstr(response.as.error, "rejected"));
    eid_response_free(&response);
    eid_free(tree->proof.nonce);
    eid_free(tree->proof.signature);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    eid_keypair_free(other);
    scene_close(s);
}

/* Somebody who asked for two things and was refused one still waits for the other. */
static void one_of_two_requests_is_rejected(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    char first[37];
    await_access(s);
    pending_id(s, first);
    eid_ticket *ticket = ticket_to_0(s);
    tu_assert_fails(eid_sync_bootstrap_with_ticket(s->n->nodes[1].sync, ticket, eid_user_default_keypair(s->n->nodes[1].user),
                                                   "more", node_admin_0, NULL, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_ticket_free(ticket);
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_ok(eid_sync_pending_bootstrap_requests(s->n->nodes[0].sync, &requests, &count));
    assert_int_equal(count, 2);
    const char *second = strcmp(requests[0].id, first) == 0 ? requests[1].id : requests[0].id;
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, second));
    eid_bootstrap_requests_free(requests, count);
    net_pass(s->n, 200000);
    assert_int_equal(s->h.times, 0);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, first));
    net_pass(s->n, 65000);
    assert_int_equal(s->h.status, EID_OK);
    assert_int_equal(s->h.times, 1);
    scene_close(s);
}

/* ---- Restarts ---- */

static void restart_asker(scene *s)
{
    /* Not net_restart: the database is not there to be opened. */
    node_close(&s->n->nodes[1]);
    char *path = tu_path(s->dir, "node1.db"), url[512];
    snprintf(url, sizeof url, "sqlite:%s", path);
    free(path);
    uint64_t now = s->n->nodes[0].now_ms;
    node_open_bare_url(&s->n->nodes[1], url, "1");
    s->n->nodes[1].now_ms = now;
    s->n->hosts[1] = manual_attach(&s->n->nodes[1], NULL);
    manual_set_clock(s->n->hosts[1], s->n->hosts[0]);
    manual_add(s->n->hosts[1], "0", &s->n->nodes[0]);
}

/* Feature 101 */
static void decisions_made_while_the_asker_was_away(void **state)
{
    (void)state;
    for (int approve = 0; approve < 2; approve++) {
        scene *s = scene_open(2, true);
        char id[37];
        await_access(s);
        pending_id(s, id);
        restart_asker(s);
        assert_int_equal(s->h.times, 1); /* cancelled by closing */
        assert_int_equal(access_of(s), EID_ACCESS_PENDING);
        if (approve)
            tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
        else
            tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id));
        await_access(s);
        if (approve) {
            assert_int_equal(s->h.status, EID_OK);
            assert_int_equal(access_of(s), EID_ACCESS_GRANTED);
        } else {
            assert_refused(s, id);
        }
        assert_int_equal(count_pending(s), 0); /* nothing was filed anew */
        restart_asker(s);
        assert_int_equal(access_of(s), approve ? EID_ACCESS_GRANTED : EID_ACCESS_REJECTED);
        scene_close(s);
    }
}

/* Waiting goes on after a restart of the asker, and what the other side lost is filed again. */
static void waiting_goes_on_after_a_restart(void **state)
{
    (void)state;
    scene *s = scene_open(2, true);
    char id[37], again[37];
    await_access(s);
    pending_id(s, id);
    restart_asker(s);
    await_access(s);
    pending_id(s, again);
    assert_string_equal(id, again); /* still the same request */
    assert_int_equal(s->h.times, 0);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
    net_pass(s->n, 65000);
    assert_int_equal(s->h.times, 1);
    assert_int_equal(s->h.status, EID_OK);
    scene_close(s);
}

static void the_deciding_side_remembers_after_a_restart(void **state)
{
    (void)state;
    scene *s = scene_open(2, true);
    char id[37];
    await_access(s);
    pending_id(s, id);
    net_restart(s->n, 0);
    net_pass(s->n, 65000); /* asked again, it is the same request */
    pending_id(s, id);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id));
    net_restart(s->n, 0);
    net_pass(s->n, 65000);
    assert_refused(s, id);
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_ok(eid_sync_rejected_bootstrap_requests(s->n->nodes[0].sync, &requests, &count));
    assert_int_equal(count, 1);
    assert_string_equal(requests[0].id, id);
    eid_bootstrap_requests_free(requests, count);
    scene_close(s);
}

/* ---- What an approver sees ---- */

/* Features 101, O5, 18, 101, O5 */
static void requests_show_everything(void **state)
{
    (void)state;
    scene *s = scene_open(2, false);
    eid_sync *sync = s->n->nodes[0].sync;
    eid_ticket *ticket = ticket_to_0(s);
    eid_bootstrap_request *requests;
    eid_keypair *key;
    eid_pubkey admin;
    eid_doc *metadata;
    char admin_text[EID_PUBKEY_TEXT_SIZE], id[37];
    size_t count;
    tu_assert_ok(eid_keypair_generate(&key));
    tu_assert_ok(eid_doc_new(&metadata));
    tu_assert_ok(eid_doc_set_string(metadata, "note", "it is me, Bob"));
    tu_assert_fails(eid_sync_bootstrap_with_ticket(s->n->nodes[1].sync, ticket, key, "Bob's phone", node_write_10, metadata,
                                                   NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    tu_assert_ok(eid_sync_pending_bootstrap_requests(sync, &requests, &count));
    assert_int_equal(count, 1);
    assert_string_equal(requests[0].key_name, "Bob's phone");
    assert_string_equal(requests[0].address, "direct:here:1");
    const char *text;
    size_t len;
    tu_assert_ok(eid_doc_get_text(requests[0].metadata, "note", &text, &len));
    assert_string_equal(text, "it is me, Bob");
    assert_null(requests[0].decided_by);
    assert_null(requests[0].decided_at);
    strcpy(id, requests[0].id);
    eid_bootstrap_requests_free(requests, count);

    /* By a named key of the instance, as programs without users do it. */
    tu_assert_fails(eid_sync_approve_bootstrap_request(sync, id, "no such"), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    tu_assert_ok(eid_instance_add_private_key(s->n->nodes[0].instance, "gatekeeper", &admin));
    tu_assert_fails(eid_sync_approve_bootstrap_request(sync, id, "gatekeeper"), EID_ERR_PERMISSION_DENIED);
    assert_non_null(strstr(eid_last_error(), "required Admin, but key has none"));
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(s->n->handles[0], &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &admin, "gatekeeper", (eid_permission){EID_PERM_ADMIN, 5}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_sync_approve_bootstrap_request(sync, id, "gatekeeper"));
    tu_assert_fails(eid_sync_reject_bootstrap_request(sync, id, "gatekeeper"), EID_ERR_REQUEST_STATE);
    tu_assert_ok(eid_sync_approved_bootstrap_requests(sync, &requests, &count));
    assert_int_equal(count, 1);
    eid_pubkey_format(&admin, admin_text);
    assert_string_equal(requests[0].decided_by, admin_text);
    assert_non_null(requests[0].decided_at);
    assert_string_equal(requests[0].status, "Approved");
    eid_bootstrap_requests_free(requests, count);
    tu_assert_ok(eid_sync_bootstrap_with_ticket(s->n->nodes[1].sync, ticket, key, "Bob's phone", node_write_10, NULL, NULL));
    eid_doc_free(metadata);
    eid_keypair_free(key);
    eid_ticket_free(ticket);
    scene_close(s);
}

/* ---- Caps ---- */

/* Fresh keys and many databases, all from one host: at some point it has had its share; others have theirs. */
/* Feature A8 */
static void one_host_can_not_fill_the_queues(void **state)
{
    (void)state;
    enum { DATABASES = EID_LIMIT_PENDING_REQUESTS_PER_HOST / EID_LIMIT_PENDING_REQUESTS_PER_TREE + 1 };
    scene *s = scene_open(1, false);
    eid_sync *sync = s->n->nodes[0].sync;
    eid_request_origin flood = {.transport = "http"},
                       neighbour = {.transport = "http", .address = "203.0.113.8:4711"};
    eid_tree_request request = {.has_requesting_key = true, .has_permission = true, .permission = node_read_only};
    char name[] = "k", id[EID_UUID_TEXT_SIZE], port[32];
    size_t filed = 0;
    request.requesting_key_name = name;
    for (int d = 0; d < DATABASES; d++) {
        request.tree = s->n->id;
        request.tree.bytes[10] = (uint8_t)d;
        for (int i = 0; i < EID_LIMIT_PENDING_REQUESTS_PER_TREE - 1; i++) {
            request.requesting_key.bytes[0] = (uint8_t)i;
            request.requesting_key.bytes[1] = (uint8_t)d;
            snprintf(port, sizeof port, "203.0.113.7:%d", 1024 + i); /* another port each time */
            flood.address = port;
            eid_status status = eid_request_file(sync, &request, &flood, id);
            filed += status == EID_OK;
            if (status != EID_OK) {
                assert_int_equal(status, EID_ERR_LIMIT);
                assert_string_equal(eid_last_error(), "too many requests from this address are pending");
            }
        }
    }
    assert_int_equal(filed, EID_LIMIT_PENDING_REQUESTS_PER_HOST);
    request.requesting_key.bytes[2] = 1;
    tu_assert_ok(eid_request_file(sync, &request, &neighbour, id));
    scene_close(s);
}

/* ---- All or nothing ---- */

static bool is_listed(scene *s)
{
    eid_pubkey key;
    eid_permission held;
    eid_user_get_default_key(s->n->nodes[1].user, &key);
    return eid_core_permission_of(s->n->nodes[0].sync->core, &s->n->id, &key, &held) == EID_OK;
}

/* Memory fails at each place of an approval in turn: the key is listed exactly when the decision is recorded. */
/* Features 101, 101 */
static void approving_is_all_or_nothing(void **state)
{
    (void)state;
    tu_alloc_install();
    scene *s = scene_open(2, false);
    char id[37];
    bool fired = true;
    tu_assert_fails(ask(s), EID_ERR_BOOTSTRAP_PENDING);
    pending_id(s, id);
    size_t n = 0;
    while (fired) {
        tu_alloc_fail_at(++n);
        eid_status status = eid_user_approve_bootstrap_request(s->n->nodes[0].user, id);
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        bool decided = count_pending(s) == 0;
        if (decided != is_listed(s) || (status == EID_OK) != decided)
            fail_msg("allocation %zu: %s, but %s and %s", n, eid_status_name(status), decided ? "decided" : "pending",
                     is_listed(s) ? "listed" : "not listed");
        if (decided)
            break;
    }
    assert_true(n > 20);
    tu_assert_ok(ask(s));
    scene_close(s);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_waiting_peer_learns_of_a_rejection_by_asking),
        cmocka_unit_test(the_rejecting_side_tells_a_peer_it_can_reach),
        cmocka_unit_test(asking_again_after_a_rejection),
        cmocka_unit_test(a_rejection_is_told_to_its_key_only),
        cmocka_unit_test(one_of_two_requests_is_rejected),
        cmocka_unit_test(decisions_made_while_the_asker_was_away),
        cmocka_unit_test(waiting_goes_on_after_a_restart),
        cmocka_unit_test(the_deciding_side_remembers_after_a_restart),
        cmocka_unit_test(requests_show_everything),
        cmocka_unit_test(one_host_can_not_fill_the_queues),
        cmocka_unit_test(approving_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
