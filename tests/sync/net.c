/* SPDX-License-Identifier: Apache-2.0 */
/* A few nodes on hosts without threads. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *paths[NET_MOST];

static void name_of(size_t i, char out[8])
{
    snprintf(out, 8, "%zu", i % NET_MOST);
}

/* Everybody reaches i, and i everybody. */
static void attach(net *n, size_t i)
{
    char name[8];
    n->hosts[i] = manual_attach(&n->nodes[i], NULL);
    eid_instance_device_pubkey(n->nodes[i].instance, &n->keys[i]);
    for (size_t k = 0; k < n->count; k++) {
        if (k == i || n->hosts[k] == NULL)
            continue;
        manual_set_clock(n->hosts[i], n->hosts[k]);
        name_of(k, name);
        manual_add(n->hosts[i], name, &n->nodes[k]);
        name_of(i, name);
        manual_add(n->hosts[k], name, &n->nodes[i]);
    }
}

net *net_open(size_t count)
{
    net *n = calloc(1, sizeof *n);
    char name[8];
    assert_true(count <= NET_MOST);
    n->count = count;
    for (size_t i = 0; i < count; i++) {
        name_of(i, name);
        node_open_bare(&n->nodes[i], name);
        attach(n, i);
    }
    return n;
}

void net_close(net *n)
{
    for (size_t i = 0; i < n->count; i++) {
        eid_database_close(n->handles[i]);
        if (n->nodes[i].instance != NULL)
            node_close(&n->nodes[i]);
        free(paths[i]);
        paths[i] = NULL;
    }
    free(n);
}

static void open_again(net *n, size_t i)
{
    char url[512], name[8];
    name_of(i, name);
    snprintf(url, sizeof url, "sqlite:%s", paths[i]);
    uint64_t now = n->nodes[i].now_ms;
    node_open_bare_url(&n->nodes[i], url, name);
    if (now != 0)
        n->nodes[i].now_ms = now;
    attach(n, i);
}

void net_put_in_file(net *n, size_t i, const char *dir)
{
    char name[16];
    snprintf(name, sizeof name, "node%zu.db", i % NET_MOST);
    node_close(&n->nodes[i]);
    paths[i] = tu_path(dir, name);
    open_again(n, i);
}

void net_restart(net *n, size_t i)
{
    eid_database_close(n->handles[i]);
    n->handles[i] = NULL;
    node_close(&n->nodes[i]);
    open_again(n, i);
    tu_assert_ok(eid_user_open_database(n->nodes[i].user, &n->id, &n->handles[i]));
}

static void set_wish(net *n, size_t i, const eid_sync_settings *settings)
{
    eid_database_preferences prefs = EID_DATABASE_PREFERENCES_INIT;
    prefs.database_id = n->id;
    prefs.sync_settings = *settings;
    tu_assert_ok(eid_user_set_prefs(n->nodes[i].user, &prefs));
}

static void know(net *n, size_t who, size_t whom)
{
    char name[8];
    eid_address *address;
    const eid_address *list[1];
    name_of(whom, name);
    tu_assert_ok(eid_address_new("direct", name, &address));
    list[0] = address;
    tu_assert_ok(eid_sync_register_sync_peer(n->nodes[who].sync, &n->keys[whom], name, &n->id, list, 1));
    eid_address_free(address);
}

void net_join(net *n, size_t a, size_t b)
{
    know(n, a, b);
    know(n, b, a);
    net_settle(n);
}

void net_share(net *n, const eid_sync_settings *settings)
{
    eid_address *address;
    n->handles[0] = node_create(&n->nodes[0], "shared", false);
    n->id = *eid_database_root_id(n->handles[0]);
    node_set_global(n->handles[0], node_write_10);
    node_write(n->handles[0], "first", "from 0");
    set_wish(n, 0, settings);
    tu_assert_ok(eid_address_new("direct", "0", &address));
    for (size_t i = 1; i < n->count; i++) {
        tu_assert_ok(eid_sync_with_address(n->nodes[i].sync, address, &n->id, NULL, NULL));
        set_wish(n, i, settings);
        tu_assert_ok(eid_user_open_database(n->nodes[i].user, &n->id, &n->handles[i]));
        net_join(n, 0, i);
    }
    eid_address_free(address);
    net_settle(n);
}

void net_settle(net *n)
{
    manual_settle(n->hosts, n->count);
}

void net_pass(net *n, uint64_t ms)
{
    manual_pass(n->hosts, n->count, ms);
}

size_t net_exchanges(const net *n)
{
    size_t all = 0;
    for (size_t i = 0; i < n->count; i++)
        all += manual_exchanges(n->hosts[i]);
    return all;
}

bool net_agrees(net *n)
{
    uint8_t first[32], other[32];
    tu_assert_ok(eid_database_state_hash(n->handles[0], first));
    for (size_t i = 1; i < n->count; i++) {
        tu_assert_ok(eid_database_state_hash(n->handles[i], other));
        if (node_count(&n->nodes[i], &n->id) != node_count(&n->nodes[0], &n->id) || memcmp(first, other, 32) != 0)
            return false;
    }
    return true;
}
