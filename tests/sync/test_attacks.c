/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a node through its messages that have no other place; docs/features.md lists all of them with their tests. */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const eid_sync_settings on_commit = EID_SYNC_SETTINGS_ON_COMMIT;

static void read_answer(eid_buf *answer, eid_sync_response *out)
{
    tu_assert_ok(eid_response_read(eid_buf_slice(answer), out));
    eid_buf_free(answer);
}

/* Hands the request to node 0 as if it came from this address. */
static void ask_0(net *n, const eid_sync_request *request, const char *claimed_peer, eid_sync_response *out)
{
    eid_request_origin origin = {.transport = "direct", .address = "here:1", .peer = claimed_peer};
    eid_source *rest = NULL;
    eid_buf body, answer;
    eid_buf_init(&body, 1 << 20);
    eid_buf_init(&answer, 1 << 20);
    eid_request_write(&body, request);
    assert_int_equal(eid_sync_handle(eid_buf_slice(&body), &origin, &answer, &rest, n->nodes[0].sync), EID_HANDLED);
    eid_buf_free(&body);
    read_answer(&answer, out);
}

static eid_response_kind kind_of_answer(net *n, const eid_sync_request *request, const char *claimed_peer)
{
    eid_sync_response response;
    ask_0(n, request, claimed_peer, &response);
    eid_response_kind kind = response.kind;
    eid_response_free(&response);
    return kind;
}

/* Node 0 has a database only its members read; node 1 is one of them. Both push on every commit. */
static net *open_closed(size_t count)
{
    net *n = net_open(count);
    eid_database_preferences prefs = EID_DATABASE_PREFERENCES_INIT;
    n->handles[0] = node_create(&n->nodes[0], "members only", false);
    n->id = *eid_database_root_id(n->handles[0]);
    prefs.database_id = n->id;
    prefs.sync_settings = on_commit;
    tu_assert_ok(eid_user_set_prefs(n->nodes[0].user, &prefs));
    node_list_key(n->handles[0], &n->nodes[1], node_write_10);
    node_write(n->handles[0], "a", "for members");
    return n;
}

/* ---- Push before authorisation ---- */

/* Fails when an entry leaves for a peer. */
static eid_status no_entries(const char *address, eid_slice body, eid_buf *answer, void *ctx)
{
    (void)answer, (void)ctx;
    if (strcmp(address, "2") == 0 && memmem(body.data, body.len, "SendEntries", 11) != NULL)
        fail_msg("entries went to the stranger");
    return EID_OK;
}

/* The Rust side notes who names a database before it looks whether they may have it, and pushes every later commit to them. */
/* Feature A2 */
static void naming_a_database_is_no_subscription(void **state)
{
    (void)state;
    net *n = open_closed(3);
    eid_address *address;
    eid_pubkey *peers;
    eid_keypair *key;
    size_t count;
    manual_set_twist(n->hosts[0], no_entries, NULL);
    tu_assert_ok(eid_address_new("direct", "0", &address));
    /* Every way of asking, each with the stranger's own name and address in the handshake before. */
    tu_assert_ok(eid_keypair_generate(&key));
    tu_assert_fails(eid_sync_with_address(n->nodes[2].sync, address, &n->id, NULL, NULL), EID_ERR_PROTOCOL);
    tu_assert_fails(eid_sync_with_address(n->nodes[2].sync, address, &n->id, key, NULL), EID_ERR_PROTOCOL);
    eid_ticket *ticket;
    tu_assert_ok(eid_ticket_new(&n->id, &ticket));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    tu_assert_fails(eid_sync_bootstrap_with_ticket(n->nodes[2].sync, ticket, key, "me", node_read_only, NULL, NULL),
                    EID_ERR_BOOTSTRAP_PENDING);
    eid_sync_request with_tips = {.kind = EID_REQUEST_SYNC_TREE,
                                  .as.tree = {.tree = n->id, .tips = &n->id, .tip_count = 1, .has_peer_key = true,
                                              .peer_key = n->keys[2]}};
    assert_int_equal(kind_of_answer(n, &with_tips, NULL), EID_RESPONSE_ERROR);
    eid_address_free(address);
    tu_assert_ok(eid_address_new("direct", "2", &address));
    tu_assert_ok(eid_sync_add_peer_address(n->nodes[0].sync, &n->keys[2], address));

    tu_assert_ok(eid_sync_get_tree_peers(n->nodes[0].sync, &n->id, &peers, &count));
    assert_int_equal(count, 0);
    eid_free(peers);
    node_write(n->handles[0], "b", "not for strangers");
    net_pass(n, 700000);
    assert_int_equal(node_count(&n->nodes[2], &n->id), 0);
    eid_address_free(address);
    eid_ticket_free(ticket);
    eid_keypair_free(key);
    net_close(n);
}

/* ---- Blocked peers ---- */

/* Feature A5 */
static void blocked_peers_get_nothing(void **state)
{
    (void)state;
    net *n = net_open(2);
    net_share(n, &on_commit);
    eid_id sync_id = *eid_database_root_id(n->nodes[0].sync->database);
    char blocked[EID_PUBKEY_TEXT_SIZE];
    uint8_t challenge[32] = {1};
    char name[] = "it is me";
    eid_pubkey_format(&n->keys[1], blocked);
    tu_assert_ok(eid_sync_update_peer_status(n->nodes[0].sync, &n->keys[1], EID_PEER_BLOCKED));
    uint64_t before = node_count(&n->nodes[0], &n->id), records = node_count(&n->nodes[0], &sync_id);

    eid_sync_request handshake = {.kind = EID_REQUEST_HANDSHAKE,
                                  .as.handshake = {.device_id = n->keys[1], .public_key = n->keys[1],
                                                   .display_name = name, .challenge = challenge,
                                                   .challenge_len = sizeof challenge}};
    assert_int_equal(kind_of_answer(n, &handshake, NULL), EID_RESPONSE_ERROR);

    /* Open to everybody, but not to it: with its name, or with a proof by its key. */
    eid_sync_request tree = {.kind = EID_REQUEST_SYNC_TREE, .as.tree = {.tree = n->id}};
    assert_int_equal(kind_of_answer(n, &tree, NULL), EID_RESPONSE_BOOTSTRAP);
    tree.as.tree.has_peer_key = true;
    tree.as.tree.peer_key = n->keys[1];
    eid_sync_response response;
    ask_0(n, &tree, NULL, &response);
    assert_int_equal(response.kind, EID_RESPONSE_ERROR);
    assert_memory_equal(response.as.error, "Tree not found: ", 16); /* as if it were not there */
    eid_response_free(&response);
    tree.as.tree.has_peer_key = false;
    tu_assert_ok(eid_request_auth_sign(&tree.as.tree, &n->keys[0], n->nodes[1].sync->device_key, n->nodes[0].now_ms));
    assert_int_equal(kind_of_answer(n, &tree, NULL), EID_RESPONSE_ERROR);
    eid_free(tree.as.tree.proof.nonce);
    eid_free(tree.as.tree.proof.signature);

    eid_id id = node_write(n->handles[1], "b", "from the blocked one");
    eid_entry *entry;
    tu_assert_ok(eid_database_get_entry(n->handles[1], &id, &entry));
    eid_sync_request push = {.kind = EID_REQUEST_SEND_ENTRIES, .as.entries = {&entry, 1, 1}};
    assert_int_equal(kind_of_answer(n, &push, blocked), EID_RESPONSE_ERROR);
    eid_entry_unref(entry);
    node_write(n->handles[0], "c", "not for the blocked one");
    net_pass(n, 700000);
    assert_null(node_read(n->handles[1], "c"));
    assert_null(node_read(n->handles[0], "b"));
    assert_int_equal(node_count(&n->nodes[0], &n->id), before + 1);
    assert_int_equal(node_count(&n->nodes[0], &sync_id), records);
    net_close(n);
}

/* ---- Replays at another server of the instance ---- */

static void post(const char *address, eid_slice body, char *answer, size_t size)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char head[300];
    size_t len = 0;
    ssize_t got;
    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    int head_len = snprintf(head, sizeof head,
                            "POST /api/v0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            body.len);
    assert_int_equal(send(fd, head, (size_t)head_len, MSG_NOSIGNAL), head_len);
    assert_int_equal(send(fd, body.data, body.len, MSG_NOSIGNAL), (ssize_t)body.len);
    while (len < size - 1 && (got = recv(fd, answer + len, size - 1 - len, 0)) > 0)
        len += (size_t)got;
    answer[len] = '\0';
    close(fd);
}

/* Feature A7 */
static void a_request_is_spent_at_all_servers(void **state)
{
    (void)state;
    node n;
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    char *second, answer[4000];
    eid_pubkey server;
    eid_buf body;
    node_open(&n, "alice");
    node_serve(&n);
    options.bind_address = "127.0.0.1:0";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "second", &options));
    tu_assert_ok(eid_sync_accept_connections_on(n.sync, "second"));
    tu_assert_ok(eid_sync_get_server_address_for(n.sync, "second", &second));
    assert_string_not_equal(n.address, second);
    eid_database *closed = node_create(&n, "closed", true);
    eid_id id = *eid_database_root_id(closed);
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE, .as.tree = {.tree = id, .tips = &id, .tip_count = 1}};
    eid_instance_device_pubkey(n.instance, &server);
    tu_assert_ok(eid_request_auth_sign(&request.as.tree, &server, eid_user_default_keypair(n.user), n.now_ms));
    eid_buf_init(&body, 1 << 20);
    eid_request_write(&body, &request);
    post(n.address, eid_buf_slice(&body), answer, sizeof answer);
    assert_non_null(strstr(answer, "{\"Incremental\":"));
    post(second, eid_buf_slice(&body), answer, sizeof answer);
    assert_non_null(strstr(answer, "{\"Error\":\"Authentication failed: request nonce already spent\"}"));
    post(n.address, eid_buf_slice(&body), answer, sizeof answer);
    assert_non_null(strstr(answer, "request nonce already spent"));
    /* When the nonce is forgotten the time stamp is long stale. */
    n.now_ms += 3 * EID_FRESHNESS_WINDOW_MS;
    post(second, eid_buf_slice(&body), answer, sizeof answer);
    assert_non_null(strstr(answer, "request timestamp outside the freshness window"));
    eid_free(request.as.tree.proof.nonce);
    eid_free(request.as.tree.proof.signature);
    eid_buf_free(&body);
    eid_free(second);
    eid_database_close(closed);
    node_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naming_a_database_is_no_subscription),
        cmocka_unit_test(blocked_peers_get_nothing),
        cmocka_unit_test(a_request_is_spent_at_all_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
