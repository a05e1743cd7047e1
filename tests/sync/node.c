/* SPDX-License-Identifier: Apache-2.0 */
/* Peers for sync tests. */
#include "node.h"
#include "support/track.h"

#include <stdlib.h>
#include <string.h>

static uint64_t node_clock(void *ctx)
{
    return ((node *)ctx)->now_ms;
}

void node_open_bare_url(node *n, const char *url, const char *user_name)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    memset(n, 0, sizeof *n);
    n->now_ms = UINT64_C(1800000000000);
    options.now_ms = node_clock;
    options.clock_ctx = n;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &n->instance));
    tu_assert_ok(eid_instance_login_or_create_user(n->instance, user_name, NULL, &n->user));
    tu_assert_ok(eid_instance_enable_sync(n->instance));
    tu_assert_ok(eid_instance_sync(n->instance, &n->sync));
}

void node_open_bare(node *n, const char *user_name)
{
    node_open_bare_url(n, "memory:", user_name);
}

bool node_over_iroh(void)
{
    const char *name = getenv("EID_TEST_TRANSPORT");
    return name != NULL && strcmp(name, "iroh") == 0;
}

void node_open_url(node *n, const char *url, const char *user_name)
{
    eid_iroh_config *direct;
    node_open_bare_url(n, url, user_name);
    if (!node_over_iroh()) {
        tu_assert_ok(eid_sync_enable_http_transport(n->sync));
        return;
    }
    tu_assert_ok(eid_iroh_config_new(&direct));
    tu_assert_ok(eid_iroh_config_set_relay_mode(direct, EID_IROH_RELAY_DISABLED));
    tu_assert_ok(eid_sync_enable_iroh_transport_with_config(n->sync, direct));
    eid_iroh_config_free(direct);
}

void node_open(node *n, const char *user_name)
{
    node_open_url(n, "memory:", user_name);
}

void node_serve(node *n)
{
    tu_assert_ok(eid_sync_start_server(n->sync, "127.0.0.1:0"));
    tu_assert_ok(eid_sync_get_server_address(n->sync, &n->address));
}

void node_close(node *n)
{
    eid_free(n->address);
    eid_user_logout(n->user);
    eid_instance_close(n->instance);
}

void node_set_sync(node *n, const eid_id *database, bool enabled)
{
    eid_sync_settings on = EID_SYNC_SETTINGS_ENABLED;
    eid_sync_settings off = EID_SYNC_SETTINGS_DISABLED;
    tu_assert_ok(tu_track(n->user, database, enabled ? &on : &off));
}

eid_database *node_create(node *n, const char *name, bool shared)
{
    eid_database *database;
    tu_assert_ok(eid_user_create_database(n->user, name, &database));
    if (shared)
        node_set_sync(n, eid_database_root_id(database), true);
    return database;
}

static eid_txn *begin(eid_database *database)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    return txn;
}

eid_id node_write(eid_database *database, const char *key, const char *text)
{
    eid_id id;
    eid_txn *txn = begin(database);
    tu_assert_ok(eid_docstore_set_text(txn, "notes", key, text));
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

void node_set_global(eid_database *database, eid_permission permission)
{
    eid_txn *txn = begin(database);
    tu_assert_ok(eid_settings_set_global_permission(txn, permission));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

void node_list_key(eid_database *database, const node *whose, eid_permission permission)
{
    eid_pubkey key;
    eid_txn *txn = begin(database);
    eid_user_get_default_key(whose->user, &key);
    tu_assert_ok(
        eid_settings_set_auth_key(txn, &key, eid_user_name(whose->user), permission, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

const char *node_read(eid_database *database, const char *key)
{
    static char room[256];
    eid_value *value;
    const char *text;
    eid_status status = eid_database_get(database, "notes", key, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return NULL;
    tu_assert_ok(status);
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_true(strlen(text) < sizeof room);
    strcpy(room, text);
    eid_value_free(value);
    return room;
}

uint64_t node_count(const node *n, const eid_id *database)
{
    uint64_t count = 0;
    if (eid_core_holds(n->sync->core, database))
        tu_assert_ok(eid_core_entry_count(n->sync->core, database, &count));
    return count;
}

void node_assert_same(const node *a, const node *b, const eid_id *database)
{
    const node *both[2] = {a, b};
    uint8_t hashes[2][32];
    eid_id *tips[2];
    size_t counts[2];
    for (int i = 0; i < 2; i++) {
        eid_database *opened;
        tu_assert_ok(eid_database_open(both[i]->instance, database, &opened));
        tu_assert_ok(eid_database_state_hash(opened, hashes[i]));
        tu_assert_ok(eid_database_tips(opened, &tips[i], &counts[i]));
        eid_database_close(opened);
    }
    assert_int_equal(node_count(a, database), node_count(b, database));
    assert_int_equal(counts[0], counts[1]);
    for (size_t i = 0; i < counts[0]; i++)
        assert_true(eid_id_equal(&tips[0][i], &tips[1][i]));
    assert_memory_equal(hashes[0], hashes[1], 32);
    eid_free(tips[0]);
    eid_free(tips[1]);
}

eid_ticket *node_ticket(const node *n, const eid_id *database)
{
    eid_ticket *ticket;
    tu_assert_ok(eid_sync_create_ticket(n->sync, database, &ticket));
    assert_int_equal(eid_ticket_address_count(ticket), 1);
    return ticket;
}

eid_status node_join(node *n, eid_ticket *ticket, eid_permission permission, eid_sync_result *result)
{
    eid_status status = eid_user_request_database_access(n->user, ticket, permission, result);
    eid_ticket_free(ticket);
    return status;
}

eid_handle_result node_ask(const node *n, const char *body, size_t len, eid_buf *answer)
{
    eid_request_origin origin = {"http", "127.0.0.1:1", NULL, false, 0};
    eid_source *rest = NULL;
    eid_buf_reset(answer);
    return eid_sync_handle(eid_slice_of(body, len), &origin, answer, &rest, n->sync);
}
