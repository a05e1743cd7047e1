/* SPDX-License-Identifier: Apache-2.0 */
/* Iroh as a transport: what is remembered of it, where its server is, and the same beside HTTP. What sync
 * does over it is in the tests that run over either. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/relay.h>

#include "node.h"
#include "transport/iroh/config_int.h"

static void enable(node *n, eid_iroh_relay_mode mode)
{
    eid_iroh_config *config;
    tu_assert_ok(eid_iroh_config_new(&config));
    tu_assert_ok(eid_iroh_config_set_relay_mode(config, mode));
    tu_assert_ok(eid_sync_enable_iroh_transport_with_config(n->sync, config));
    eid_iroh_config_free(config);
}

static eid_pubkey id_of(const node *n)
{
    eid_iroh_addr addr;
    tu_assert_ok(eid_iroh_addr_parse(eid_slice_text(n->address), &addr));
    eid_pubkey id = addr.id;
    eid_iroh_addr_clear(&addr);
    return id;
}

static void saved_mode(const node *n, const char *wanted)
{
    eid_doc *doc;
    const char *mode;
    size_t len;
    tu_assert_ok(eid_sync_kept_transport(n->sync, "iroh", "iroh:v0", &doc));
    tu_assert_ok(eid_doc_get_text(doc, "relay_mode", &mode, &len));
    assert_string_equal(mode, wanted);
    eid_doc_free(doc);
}

/* The key and the configuration are of the instance: peers find it again after a restart. */
/* Feature 37 */
static void remembered(void **state)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db"), url[512];
    node n;
    (void)state;
    snprintf(url, sizeof url, "sqlite:%s", path);
    node_open_bare_url(&n, url, "alice");
    enable(&n, EID_IROH_RELAY_DISABLED);
    node_serve(&n);
    eid_pubkey id = id_of(&n);
    saved_mode(&n, "Disabled");
    node_close(&n);

    node_open_bare_url(&n, url, "alice");
    saved_mode(&n, "Disabled");
    tu_assert_ok(eid_sync_restore_transports(n.sync));
    tu_assert_ok(eid_sync_enable_iroh_transport(n.sync));
    node_serve(&n);
    eid_pubkey again = id_of(&n);
    assert_true(eid_pubkey_equal(&id, &again));
    /* The same configuration once more is no entry. */
    uint64_t before = node_count(&n, eid_database_root_id(n.sync->database));
    enable(&n, EID_IROH_RELAY_DISABLED);
    assert_int_equal(node_count(&n, eid_database_root_id(n.sync->database)), before);
    enable(&n, EID_IROH_RELAY_STAGING);
    assert_true(node_count(&n, eid_database_root_id(n.sync->database)) > before);
    saved_mode(&n, "Staging");
    node_close(&n);
    free(path);
    tu_temp_dir_remove(dir);
}

/* The key stands with the other keys: a secret protects it as it protects them. */
static void its_key_is_protected(void **state)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db"), url[512];
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_instance *instance;
    eid_keypair *key;
    eid_sync *sync;
    size_t len;
    (void)state;
    snprintf(url, sizeof url, "sqlite:%s", path);
    options.secret = "open sesame";
    options.secret_len = strlen("open sesame");
    tu_assert_ok(eid_instance_open_url_with(url, &options, &instance));
    tu_assert_ok(eid_instance_enable_sync(instance));
    tu_assert_ok(eid_instance_sync(instance, &sync));
    tu_assert_ok(eid_sync_enable_iroh_transport(sync));
    tu_assert_ok(eid_sync_transport_key(sync, "iroh", &key));
    eid_keypair_format(key, text);
    eid_keypair_free(key);
    tu_assert_ok(eid_instance_flush(instance));
    eid_instance_close(instance);
    uint8_t *file = tu_read_file(path, &len);
    assert_null(memmem(file, len, text + 8, strlen(text) - 8));
    free(file);
    free(path);
    tu_temp_dir_remove(dir);
}

/* Feature 37 */
static void modes_and_relays(void **state)
{
    eid_iroh_config *config, *read;
    eid_doc *doc;
    (void)state;
    tu_assert_ok(eid_iroh_config_new(&config));
    assert_int_equal(eid_iroh_config_relay_mode(config), EID_IROH_RELAY_DEFAULT);
    assert_null(eid_iroh_config_relay(config, 0));
    tu_assert_fails(eid_iroh_config_set_relay_mode(config, (eid_iroh_relay_mode)9), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_iroh_config_add_relay(config, "relay"), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_iroh_config_set_bind_address(config, "here"), EID_ERR_INVALID_ADDRESS);
    tu_assert_ok(eid_iroh_config_add_relay(config, "HTTPS://relay.example.com"));
    tu_assert_ok(eid_iroh_config_add_relay(config, "http://127.0.0.1:3340/"));
    tu_assert_ok(eid_iroh_config_set_bind_address(config, "[::1]:4433"));
    assert_int_equal(eid_iroh_config_relay_mode(config), EID_IROH_RELAY_CUSTOM);
    tu_assert_ok(eid_iroh_config_write(config, &doc));
    tu_assert_ok(eid_iroh_config_read(doc, &read));
    assert_int_equal(eid_iroh_config_relay_mode(read), EID_IROH_RELAY_CUSTOM);
    assert_int_equal(eid_iroh_config_relay_count(read), 2);
    assert_string_equal(eid_iroh_config_relay(read, 0), "https://relay.example.com/");
    assert_string_equal(eid_iroh_config_relay(read, 1), "http://127.0.0.1:3340/");
    assert_true(read->has_bind);
    eid_iroh_config_free(read);
    eid_doc_free(doc);
    for (int i = 2; i < EID_LIMIT_ENDPOINT_RELAYS; i++)
        tu_assert_ok(eid_iroh_config_add_relay(config, "https://a"));
    tu_assert_fails(eid_iroh_config_add_relay(config, "https://a"), EID_ERR_LIMIT);
    eid_iroh_config_free(config);
    /* As the Rust implementation writes it; and what is none. */
    static const char *const texts[] = {"{\"secret_key_hex\":null,\"relay_mode\":\"Staging\"}",
                                        "{}",
                                        "{\"relay_mode\":\"None\"}",
                                        "{\"relay_mode\":1}",
                                        "{\"relay_mode\":\"Custom\",\"relays\":[1]}",
                                        "{\"relay_mode\":\"Custom\",\"relays\":[\"x\"]}",
                                        "{\"relay_mode\":\"Default\",\"bind_address\":\"x\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        eid_value *value;
        const eid_doc *given;
        tu_assert_ok(eid_value_from_plain_json(texts[i], strlen(texts[i]), &value));
        tu_assert_ok(eid_value_as_doc(value, &given));
        if (i > 0)
            tu_assert_fails(eid_iroh_config_read(given, &read), EID_ERR_CORRUPT);
        else {
            tu_assert_ok(eid_iroh_config_read(given, &read));
            assert_int_equal(eid_iroh_config_relay_mode(read), EID_IROH_RELAY_STAGING);
            eid_iroh_config_free(read);
        }
        eid_value_free(value);
    }
}

/* Features 28, 29 */
static void servers(void **state)
{
    node n;
    char *address;
    eid_iroh_addr addr;
    (void)state;
    node_open_bare(&n, "alice");
    enable(&n, EID_IROH_RELAY_DISABLED);
    tu_assert_fails(eid_sync_get_server_address(n.sync, &address), EID_ERR_SERVER_NOT_RUNNING);
    tu_assert_fails(eid_sync_stop_server(n.sync), EID_ERR_SERVER_NOT_RUNNING);
    /* What is no numeric address is ignored: every address of this machine. */
    tu_assert_ok(eid_sync_start_server(n.sync, "ignored"));
    tu_assert_fails(eid_sync_start_server(n.sync, "127.0.0.1:0"), EID_ERR_SERVER_ALREADY_RUNNING);
    tu_assert_ok(eid_sync_get_server_address(n.sync, &address));
    tu_assert_ok(eid_iroh_addr_parse(eid_slice_text(address), &addr));
    assert_true(addr.direct_count >= 1);
    assert_int_equal(addr.relay_count, 0);
    eid_iroh_addr_clear(&addr);
    eid_free(address);
    tu_assert_ok(eid_sync_stop_server(n.sync));
    tu_assert_fails(eid_sync_get_server_address(n.sync, &address), EID_ERR_SERVER_NOT_RUNNING);
    /* The address is worked out when it is asked for: another socket, another ticket. */
    tu_assert_ok(eid_sync_start_server(n.sync, "127.0.0.1:0"));
    tu_assert_ok(eid_sync_get_server_address(n.sync, &address));
    tu_assert_ok(eid_iroh_addr_parse(eid_slice_text(address), &addr));
    assert_int_equal(addr.direct[0].any.sa_family, AF_INET);
    eid_iroh_addr_clear(&addr);
    eid_free(address);
    assert_true(eid_sync_is_server_running(n.sync));
    node_close(&n);
}

/* Two transports in one ticket; either is enough. */
/* Features 5, 27, 36, O2 */
static void beside_http(void **state)
{
    node alice, bob, carol;
    eid_ticket *ticket;
    (void)state;
    node_open_bare(&alice, "alice");
    node_open_bare(&bob, "bob");
    node_open_bare(&carol, "carol");
    eid_http_options http = EID_HTTP_OPTIONS_INIT;
    http.bind_address = "127.0.0.1:0";
    tu_assert_ok(eid_sync_add_http_transport(alice.sync, "http", &http));
    enable(&alice, EID_IROH_RELAY_DISABLED);
    enable(&bob, EID_IROH_RELAY_DISABLED);
    tu_assert_ok(eid_sync_enable_http_transport(carol.sync));
    tu_assert_ok(eid_sync_accept_connections(alice.sync));
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    node_set_global(notes, node_read_only);
    node_write(notes, "a", "for both");
    tu_assert_ok(eid_sync_create_ticket(alice.sync, &id, &ticket));
    assert_true(eid_ticket_address_count(ticket) >= 2);
    tu_assert_ok(eid_sync_with_ticket(bob.sync, ticket, NULL));
    tu_assert_ok(eid_sync_with_ticket(carol.sync, ticket, NULL));
    node_assert_same(&alice, &bob, &id);
    node_assert_same(&alice, &carol, &id);
    eid_ticket_free(ticket);
    eid_database_close(notes);
    node_close(&carol);
    node_close(&bob);
    node_close(&alice);
}

/* ---- By a relay ---- */

static void enable_with_relay(node *n, const char *url)
{
    eid_iroh_config *config;
    tu_assert_ok(eid_iroh_config_new(&config));
    tu_assert_ok(eid_iroh_config_add_relay(config, url));
    tu_assert_ok(eid_sync_enable_iroh_transport_with_config(n->sync, config));
    eid_iroh_config_free(config);
}

/* The node's address without the direct ways: what is left when a wall stands between. Free with eid_free. */
static char *without_direct_ways(const node *n)
{
    eid_iroh_addr addr;
    char *text;
    tu_assert_ok(eid_iroh_addr_parse(eid_slice_text(n->address), &addr));
    assert_true(addr.direct_count > 0);
    assert_int_equal(addr.relay_count, 1);
    addr.direct_count = 0;
    tu_assert_ok(eid_iroh_addr_format(&addr, &text));
    eid_iroh_addr_clear(&addr);
    return text;
}

/* A bootstrap and changes both ways between two that see nothing but a relay. */
/* Features 32, 34 */
static void behind_a_relay(void **state)
{
    node alice, bob;
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay_stats stats = {.struct_size = sizeof stats};
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_relay *relay;
    char url[100];
    (void)state;
    options.bind_address = "127.0.0.1:0";
    tu_assert_ok(eid_relay_start(&options, &relay));
    snprintf(url, sizeof url, "http://%s/", eid_relay_address(relay));
    node_open_bare(&alice, "alice");
    node_open_bare(&bob, "bob");
    enable_with_relay(&alice, url);
    enable(&bob, EID_IROH_RELAY_DISABLED); /* who calls needs none of its own */
    node_serve(&alice);
    char *address = without_direct_ways(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    node_set_global(notes, node_write_10);
    node_write(notes, "a", "by a detour");
    tu_assert_ok(eid_sync_with_peer(bob.sync, address, &id, &result));
    assert_true(result.bootstrapped);
    node_assert_same(&alice, &bob, &id);
    node_write(notes, "b", "once more");
    tu_assert_ok(eid_sync_with_peer(bob.sync, address, &id, &result));
    assert_int_equal(result.admitted, 1);
    node_assert_same(&alice, &bob, &id);
    eid_relay_get_stats(relay, &stats);
    assert_true(stats.forwarded > 0);
    eid_free(address);
    eid_database_close(notes);
    node_close(&bob);
    node_close(&alice);
    eid_relay_stop(relay);
}

/* ---- Answers in parts: no Rust client takes more than 1 MiB ---- */

static void assert_parts(const node *n, const eid_id *id, size_t max)
{
    eid_request_origin origin = {.transport = "iroh", .address = "here", .answer_max = max};
    eid_source *rest = NULL;
    char id_text[EID_ID_TEXT_SIZE], body[400];
    eid_buf answer;
    eid_id_format(id, id_text);
    int len = snprintf(
        body, sizeof body,
        "{\"SyncTree\":{\"tree_id\":\"%s\",\"our_tips\":[],\"peer_pubkey\":null,\"requesting_key\":null,"
        "\"requesting_key_name\":null,\"requested_permission\":null}}",
        id_text);
    eid_buf_init(&answer, 64u << 20);
    assert_int_equal(eid_sync_handle(eid_slice_of(body, (size_t)len), &origin, &answer, &rest, n->sync),
                     EID_HANDLED);
    bool part = memmem(answer.data, answer.len, "\"more\":true", 11) != NULL;
    assert_int_equal(part, max != 0);
    if (max != 0)
        assert_true(answer.len <= max);
    eid_buf_free(&answer);
}

static void large_databases_come_in_parts(void **state)
{
    enum { ENTRIES = 60, BYTES = 30000 };
    node alice, bob;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    char *text = calloc(1, BYTES + 1), key[16];
    (void)state;
    memset(text, 'x', BYTES);
    node_open_bare(&alice, "alice");
    node_open_bare(&bob, "bob");
    enable(&alice, EID_IROH_RELAY_DISABLED);
    enable(&bob, EID_IROH_RELAY_DISABLED);
    node_serve(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    node_set_global(notes, node_write_10);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof key, "k%d", i);
        node_write(notes, key, text);
    }
    assert_parts(&alice, &id, 200000);
    assert_parts(&alice, &id, 0);
    /* A bootstrap of some seven parts, in one call. */
    tu_assert_ok(eid_sync_with_peer(bob.sync, alice.address, &id, &result));
    assert_true(result.bootstrapped);
    assert_int_equal(result.admitted, node_count(&alice, &id));
    node_assert_same(&alice, &bob, &id);
    /* And what came since. */
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof key, "l%d", i);
        node_write(notes, key, text);
    }
    tu_assert_ok(eid_sync_with_peer(bob.sync, alice.address, &id, &result));
    assert_int_equal(result.admitted, ENTRIES);
    assert_int_equal(result.sent, 0);
    node_assert_same(&alice, &bob, &id);
    eid_database_close(notes);
    free(text);
    node_close(&bob);
    node_close(&alice);
}

/* Who joins asks for access with the first part; the others come by the tips, also when the key stands in
 * none of them yet. */
static void joining_in_parts(void **state)
{
    enum { ENTRIES = 60, BYTES = 30000 };
    node alice, bob;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    char *text = calloc(1, BYTES + 1);
    (void)state;
    memset(text, 'y', BYTES);
    node_open_bare(&alice, "alice");
    node_open_bare(&bob, "bob");
    enable(&alice, EID_IROH_RELAY_DISABLED);
    enable(&bob, EID_IROH_RELAY_DISABLED);
    node_serve(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    for (int i = 0; i < ENTRIES; i++)
        node_write(notes, "k", text);
    node_list_key(notes, &bob, node_write_10);
    tu_assert_ok(node_join(&bob, node_ticket(&alice, &id), node_write_10, &result));
    assert_true(result.key_approved);
    node_assert_same(&alice, &bob, &id);
    eid_database_close(notes);
    free(text);
    node_close(&bob);
    node_close(&alice);
}

static void addresses_that_are_none(void **state)
{
    node n;
    eid_address *address;
    (void)state;
    node_open_bare(&n, "alice");
    enable(&n, EID_IROH_RELAY_DISABLED);
    tu_assert_ok(eid_address_new("iroh", "endpointabc", &address));
    tu_assert_fails(eid_sync_with_address(n.sync, address, NULL, NULL, NULL), EID_ERR_INVALID_ADDRESS);
    eid_address_free(address);
    /* An ID alone, of somebody who is not connected. */
    tu_assert_ok(
        eid_address_iroh("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", &address));
    tu_assert_fails(eid_sync_with_address(n.sync, address, NULL, NULL, NULL), EID_ERR_CONNECTION_FAILED);
    assert_non_null(strstr(eid_last_error(), "No way to the Iroh endpoint"));
    eid_address_free(address);
    node_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered),
        cmocka_unit_test(its_key_is_protected),
        cmocka_unit_test(modes_and_relays),
        cmocka_unit_test(servers),
        cmocka_unit_test(beside_http),
        cmocka_unit_test(behind_a_relay),
        cmocka_unit_test(addresses_that_are_none),
        cmocka_unit_test(large_databases_come_in_parts),
        cmocka_unit_test(joining_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
