/* SPDX-License-Identifier: Apache-2.0 */
/* Transports with names: kept in `_sync`, made again after a restart, forgotten when removed. */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    char *dir, *path;
    char url[512];
} place;

static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);
    p->dir = tu_temp_dir();
    p->path = tu_path(p->dir, "node.db");
    snprintf(p->url, sizeof p->url, "sqlite:%s", p->path);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;
    tu_temp_dir_remove(p->dir);
    free(p->path);
    free(p);
    return 0;
}

static uint64_t records(const node *n)
{
    return node_count(n, eid_database_root_id(n->sync->database));
}

static size_t count_addresses(node *n)
{
    char **all;
    size_t count = 0;
    tu_assert_ok(eid_sync_get_all_server_addresses(n->sync, &all));
    while (all[count] != NULL)
        count++;
    eid_free(all);
    return count;
}

static void serve_at(node *n, const char *name, const char *bind, const char *advertise)
{
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    options.bind_address = bind;
    options.advertise = advertise;
    options.requests_per_minute = 1234;
    tu_assert_ok(eid_sync_add_http_transport(n->sync, name, &options));
}

/* Features O2, 37 */
static void servers_come_back_after_a_restart(void **state)
{
    place *p = *state;
    node n;
    char *address;
    node_open_bare_url(&n, p->url, "alice");
    serve_at(&n, "inside", "127.0.0.1:0", NULL);
    serve_at(&n, "outside", "127.0.0.1:0", "chat.example.com:8080");
    tu_assert_ok(eid_sync_accept_connections(n.sync));
    assert_int_equal(count_addresses(&n), 2);
    uint64_t kept = records(&n);
    serve_at(&n, "inside", "127.0.0.1:0", NULL); /* the same again is nothing new */
    assert_int_equal(records(&n), kept);
    node_close(&n);

    node_open_bare_url(&n, p->url, "alice");
    tu_assert_fails(eid_sync_start_server(n.sync, "127.0.0.1:0"), EID_ERR_NO_TRANSPORT_ENABLED); /* not by itself */
    tu_assert_ok(eid_sync_restore_transports(n.sync));
    tu_assert_ok(eid_sync_restore_transports(n.sync)); /* what is there stays */
    tu_assert_ok(eid_sync_accept_connections(n.sync));
    assert_int_equal(count_addresses(&n), 2);
    tu_assert_ok(eid_sync_get_server_address_for(n.sync, "outside", &address));
    assert_string_equal(address, "chat.example.com:8080");
    eid_free(address);
    assert_int_equal(records(&n), kept);

    /* The first that is left is the one that is started by default. */
    serve_at(&n, "a third", NULL, NULL);
    serve_at(&n, "a fourth", NULL, NULL);
    tu_assert_ok(eid_sync_remove_transport(n.sync, "outside"));
    assert_string_equal(n.sync->transports[1].name, "a third");
    tu_assert_ok(eid_sync_remove_transport(n.sync, "a third"));
    tu_assert_ok(eid_sync_remove_transport(n.sync, "a fourth"));
    tu_assert_fails(eid_sync_remove_transport(n.sync, "outside"), EID_ERR_NOT_FOUND);
    assert_string_equal(eid_last_error(), "Transport not found: outside");
    tu_assert_fails(eid_sync_get_server_address_for(n.sync, "outside", &address), EID_ERR_NOT_FOUND);
    assert_int_equal(count_addresses(&n), 1);
    node_close(&n);

    node_open_bare_url(&n, p->url, "alice");
    tu_assert_ok(eid_sync_restore_transports(n.sync));
    tu_assert_ok(eid_sync_accept_connections(n.sync));
    assert_int_equal(count_addresses(&n), 1);
    node_close(&n);
}

/* The transport everybody enables is made as it was configured before; what was never configured leaves no record. */
static void the_plain_transport_remembers_its_configuration(void **state)
{
    place *p = *state;
    node n;
    node_open_bare_url(&n, p->url, "alice");
    uint64_t before = records(&n);
    tu_assert_ok(eid_sync_enable_http_transport(n.sync));
    assert_int_equal(records(&n), before);
    tu_assert_ok(eid_sync_accept_connections(n.sync)); /* for asking only: nothing to start */
    assert_int_equal(count_addresses(&n), 0);
    serve_at(&n, "http", "127.0.0.1:0", NULL);
    node_close(&n);
    node_open_bare_url(&n, p->url, "alice");
    tu_assert_ok(eid_sync_enable_http_transport(n.sync));
    tu_assert_ok(eid_sync_accept_connections(n.sync));
    assert_int_equal(count_addresses(&n), 1);
    node_close(&n);
}

/* A key is no thing for a history. Without it the server must not come back in clear. */
static void certificates_are_not_kept(void **state)
{
    place *p = *state;
    node n;
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    eid_doc *config;
    char *json;
    size_t len;
    node_open_bare_url(&n, p->url, "alice");
    options.bind_address = "127.0.0.1:0";
    options.certificate_pem = "CERTIFICATE TEXT";
    tu_assert_fails(eid_sync_add_http_transport(n.sync, "secure", &options), EID_ERR_INVALID_ARGUMENT);
    options.private_key_pem = "PRIVATE KEY TEXT";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "secure", &options));
    serve_at(&n, "plain", "127.0.0.1:0", NULL);
    tu_assert_ok(eid_sync_kept_transport(n.sync, "secure", "http:v0", &config));
    tu_assert_ok(eid_doc_to_json(config, &json, &len));
    assert_null(strstr(json, "TEXT"));
    eid_free(json);
    eid_doc_free(config);
    node_close(&n);
    node_open_bare_url(&n, p->url, "alice");
    tu_assert_fails(eid_sync_restore_transports(n.sync), EID_ERR_UNSUPPORTED);
    assert_string_equal(eid_last_error(), "Multiple transport errors: secure: Failed to initialize transport: certificate and "
                                          "key are not kept: add it anew");
    assert_false(eid_sync_has_transport(n.sync, "secure"));
    assert_true(eid_sync_has_transport(n.sync, "plain"));
    node_close(&n);
}

static void put_record(node *n, const char *name, const char *type, const char *data)
{
    eid_doc *record;
    eid_txn *txn;
    tu_assert_ok(eid_doc_new(&record));
    if (type != NULL)
        tu_assert_ok(eid_doc_set_string(record, "type", type));
    tu_assert_ok(eid_doc_set_string(record, "config.data", data));
    tu_assert_ok(eid_database_new_transaction(n->sync->database, &txn));
    tu_assert_ok(eid_docstore_set_doc(txn, "transports", name, record));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_doc_free(record);
}

/* Records of the Rust side are understood; damaged ones are told of and keep nobody away. */
static void records_of_others(void **state)
{
    place *p = *state;
    node n;
    node_open_bare_url(&n, p->url, "alice");
    put_record(&n, "rust", "http:v0", "{\"bind_address\":\"127.0.0.1:0\"}");
    tu_assert_ok(eid_sync_restore_transports(n.sync));
    tu_assert_ok(eid_sync_accept_connections(n.sync));
    assert_int_equal(count_addresses(&n), 1);

    put_record(&n, "pigeon", "pigeon:v0", "{}");
    tu_assert_fails(eid_sync_restore_transports(n.sync), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "Multiple transport errors: pigeon: Transport config type mismatch for 'pigeon': "
                                          "expected 'http:v0', found 'pigeon:v0'");
    tu_assert_fails(eid_sync_remove_transport(n.sync, "pigeon"), EID_ERR_NOT_FOUND); /* forgotten nevertheless */
    tu_assert_ok(eid_sync_restore_transports(n.sync));
    put_record(&n, "broken", "http:v0", "{\"bind_address\":");
    tu_assert_fails(eid_sync_restore_transports(n.sync), EID_ERR_CORRUPT);
    (void)eid_sync_remove_transport(n.sync, "broken");
    put_record(&n, "typeless", NULL, "{}");
    tu_assert_fails(eid_sync_restore_transports(n.sync), EID_ERR_CORRUPT);
    (void)eid_sync_remove_transport(n.sync, "typeless");
    put_record(&n, "odd", "http:v0", "{\"bind_address\":7,\"requests_per_minute\":-1,\"more\":[1]}");
    tu_assert_ok(eid_sync_restore_transports(n.sync)); /* nothing of it is meant for us */
    assert_true(eid_sync_has_transport(n.sync, "odd"));
    node_close(&n);
}

static void names(void **state)
{
    place *p = *state;
    node n;
    char long_name[EID_LIMIT_TRANSPORT_NAME + 2];
    node_open_bare_url(&n, p->url, "alice");
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    tu_assert_fails(eid_sync_add_http_transport(n.sync, "", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_sync_add_http_transport(n.sync, "a.b", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_sync_add_http_transport(n.sync, long_name, NULL), EID_ERR_INVALID_ARGUMENT);
    long_name[sizeof long_name - 2] = '\0';
    tu_assert_ok(eid_sync_add_http_transport(n.sync, long_name, NULL));
    for (int i = 1; i < EID_LIMIT_TRANSPORTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        tu_assert_ok(eid_sync_add_http_transport(n.sync, name, NULL));
    }
    uint64_t before = records(&n);
    tu_assert_fails(eid_sync_add_http_transport(n.sync, "one more", NULL), EID_ERR_LIMIT);
    assert_int_equal(records(&n), before);
    node_close(&n);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(servers_come_back_after_a_restart),
        IN_PLACE(the_plain_transport_remembers_its_configuration),
        IN_PLACE(certificates_are_not_kept),
        IN_PLACE(records_of_others),
        IN_PLACE(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
