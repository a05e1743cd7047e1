/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that find each other by a relay: the only way, one of two ways, one that goes and comes back, one that is none. */
#include "support/iroh.h"
#include "support/testutil.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/relay.h>

#include "base/clock.h"
#include "base/limits.h"
#include "transport/iroh/relay_client.h"

#define WAIT_MS 60000

static eid_relay *start_relay(const char *bind)
{
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay *relay;
    options.bind_address = bind;
    tu_assert_ok(eid_relay_start(&options, &relay));
    return relay;
}

static void url_of(const eid_relay *relay, char out[100])
{
    snprintf(out, 100, "http://%s/", eid_relay_address(relay));
}

static eid_relay_stats stats_of(eid_relay *relay)
{
    eid_relay_stats stats = {.struct_size = sizeof stats};
    eid_relay_get_stats(relay, &stats);
    return stats;
}

static void wait_for_clients(eid_relay *relay, uint64_t wanted)
{
    uint64_t deadline = eid_monotonic_ns() + (uint64_t)WAIT_MS * 1000000;
    while (stats_of(relay).clients != wanted && eid_monotonic_ns() < deadline)
        poll(NULL, 0, 5);
    assert_int_equal(stats_of(relay).clients, wanted);
}

typedef struct homing {
    ti_node *node;
    const char *url;
    eid_status status;
} homing;

static void add_home(void *ctx)
{
    homing *h = ctx;
    h->status = eid_iroh_endpoint_add_home(ti_endpoint(h->node), h->url);
}

static void settle_at(ti_node *node, const char *url)
{
    homing h = {node, url, EID_OK};
    ti_run(node, add_home, &h);
    tu_assert_ok(h.status);
}

/* The node's ID and the relay alone. */
static eid_iroh_addr behind(const ti_node *node, const char *url)
{
    eid_iroh_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.id = ti_addr(node)->id;
    tu_assert_ok(eid_iroh_addr_add_relay(&addr, eid_slice_text(url)));
    return addr;
}

static void expect_echo(ti_node *from, const eid_iroh_addr *to, const void *body, size_t len)
{
    eid_slice answer;
    ti_call *call = ti_ask_within(from, to, body, len, WAIT_MS, WAIT_MS, WAIT_MS);
    tu_assert_ok(ti_wait(call, &answer));
    assert_int_equal(answer.len, len);
    assert_true(len == 0 || memcmp(answer.data, body, len) == 0);
    ti_forget(call);
}

/* A relay, a server at home there, a client that knows nothing but its ticket. */
typedef struct scene {
    eid_relay *relay;
    char url[100];
    ti_node *server, *client;
    eid_iroh_addr by_relay;
} scene;

static void scene_start(scene *s)
{
    memset(s, 0, sizeof *s);
    s->relay = start_relay("127.0.0.1:0");
    url_of(s->relay, s->url);
    s->server = ti_new(&(ti_options){.seed = 1});
    s->client = ti_new(&(ti_options){.seed = 2});
    settle_at(s->server, s->url);
    wait_for_clients(s->relay, 1);
    s->by_relay = behind(s->server, s->url);
}

static void scene_end(scene *s)
{
    ti_free(s->client);
    ti_free(s->server);
    eid_iroh_addr_clear(&s->by_relay);
    eid_relay_stop(s->relay);
}

/* ---- ---- */

static void the_only_way(void **state)
{
    (void)state;
    scene s;
    scene_start(&s);
    expect_echo(s.client, &s.by_relay, "hello", 5);
    expect_echo(s.client, &s.by_relay, "again", 5);
    assert_int_equal(ti_counts(s.client).connections, 1);
    assert_true(stats_of(s.relay).forwarded > 4);
    scene_end(&s);
}

static void large_bodies(void **state)
{
    (void)state;
    scene s;
    size_t len = 1000000;
    uint8_t *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = (uint8_t)(i * 7);
    scene_start(&s);
    expect_echo(s.client, &s.by_relay, body, len);
    assert_true(stats_of(s.relay).bytes > 2 * len);
    scene_end(&s);
    free(body);
}

/* Both ways known: the direct one is taken, and the relay carries nothing. */
static void direct_is_preferred(void **state)
{
    (void)state;
    scene s;
    scene_start(&s);
    eid_iroh_addr both = behind(s.server, s.url);
    for (size_t i = 0; i < ti_addr(s.server)->direct_count; i++)
        tu_assert_ok(eid_iroh_addr_add_direct(&both, &ti_addr(s.server)->direct[i]));
    expect_echo(s.client, &both, "hello", 5);
    assert_int_equal(stats_of(s.relay).forwarded, 0);
    eid_iroh_addr_clear(&both);
    scene_end(&s);
}

/* A direct address where nobody is: the relay takes over after the head start. */
static void relay_takes_over(void **state)
{
    (void)state;
    scene s;
    eid_sockaddr nowhere;
    scene_start(&s);
    eid_iroh_addr both = behind(s.server, s.url);
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("127.0.0.1:9"), &nowhere));
    tu_assert_ok(eid_iroh_addr_add_direct(&both, &nowhere));
    expect_echo(s.client, &both, "hello", 5);
    assert_true(stats_of(s.relay).forwarded > 0);
    eid_iroh_addr_clear(&both);
    scene_end(&s);
}

/* The first of its relays is gone, the second leads there. */
static void the_second_relay(void **state)
{
    (void)state;
    scene s;
    scene_start(&s);
    eid_iroh_addr two = behind(s.server, s.url);
    tu_assert_ok(eid_iroh_addr_add_relay(&two, eid_slice_text("http://127.0.0.1:1/")));
    expect_echo(s.client, &two, "hello", 5);
    eid_iroh_addr_clear(&two);
    scene_end(&s);
}

/* Both come back to a relay that was restarted at its address, and go on. */
static void a_relay_restarts(void **state)
{
    (void)state;
    scene s;
    char address[100];
    scene_start(&s);
    expect_echo(s.client, &s.by_relay, "before", 6);
    snprintf(address, sizeof address, "%s", eid_relay_address(s.relay));
    eid_relay_stop(s.relay);
    s.relay = start_relay(address);
    wait_for_clients(s.relay, 2);
    expect_echo(s.client, &s.by_relay, "behind", 6);
    scene_end(&s);
}

static void no_relay_there(void **state)
{
    (void)state;
    ti_node *client = ti_new(&(ti_options){.seed = 2}), *server = ti_new(&(ti_options){.seed = 1});
    eid_iroh_addr nowhere = behind(server, "http://127.0.0.1:1/");
    eid_slice answer;
    ti_call *call = ti_ask_within(client, &nowhere, "hello", 5, WAIT_MS, WAIT_MS, WAIT_MS);
    tu_assert_fails(ti_wait(call, &answer), EID_ERR_CONNECTION_FAILED);
    assert_non_null(strstr(eid_last_error(), "http://127.0.0.1:1/"));
    ti_forget(call);
    eid_iroh_addr_clear(&nowhere);
    ti_free(client);
    ti_free(server);
}

static eid_pubkey someone_else(void)
{
    uint8_t seed[32] = {99};
    eid_keypair *key;
    eid_pubkey id;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    eid_keypair_public(key, &id);
    eid_keypair_free(key);
    return id;
}

/* A peer that is not there does not answer, which is told within the caller's patience; the relay is of use to others. */
static void nobody_behind_it(void **state)
{
    (void)state;
    scene s;
    eid_slice answer;
    scene_start(&s);
    eid_iroh_addr absent = s.by_relay;
    absent.id = someone_else();
    ti_call *call = ti_ask_within(s.client, &absent, "hello", 5, 1500, 1500, 3000);
    assert_int_not_equal(ti_wait(call, &answer), EID_OK);
    ti_forget(call);
    expect_echo(s.client, &s.by_relay, "hello", 5);
    scene_end(&s);
}

/* A stranger's ticket may not send us to the cloud's metadata service by way of a relay. */
static void special_relays(void **state)
{
    (void)state;
    ti_node *client = ti_new(&(ti_options){.seed = 2}), *server = ti_new(&(ti_options){.seed = 1});
    eid_iroh_addr special = behind(server, "http://169.254.169.254/");
    eid_slice answer;
    ti_call *call = ti_ask_outside(client, &special, "hello", 5);
    tu_assert_fails(ti_wait(call, &answer), EID_ERR_CONNECTION_FAILED);
    ti_forget(call);
    eid_iroh_addr_clear(&special);
    ti_free(client);
    ti_free(server);
}

/* Tickets that name ever other relays fill no table for good. */
static void many_dead_relays(void **state)
{
    (void)state;
    scene s;
    scene_start(&s);
    for (int i = 0; i < EID_LIMIT_IROH_RELAYS + 5; i++) {
        char url[100];
        eid_slice answer;
        snprintf(url, sizeof url, "http://127.0.0.1:1/%d/", i);
        eid_iroh_addr dead = behind(s.server, url);
        ti_call *call = ti_ask_within(s.client, &dead, "hello", 5, WAIT_MS, WAIT_MS, WAIT_MS);
        tu_assert_fails(ti_wait(call, &answer), EID_ERR_CONNECTION_FAILED);
        ti_forget(call);
        eid_iroh_addr_clear(&dead);
    }
    expect_echo(s.client, &s.by_relay, "hello", 5);
    scene_end(&s);
}

/* Closing while a relay is being connected to, or stands, leaves nothing behind and waits for nobody. */
static void closing_meanwhile(void **state)
{
    (void)state;
    eid_relay *relay = start_relay("127.0.0.1:0");
    char url[100];
    url_of(relay, url);
    for (int i = 0; i < 20; i++) {
        ti_node *node = ti_new(&(ti_options){.seed = 1});
        settle_at(node, i % 2 == 0 ? url : "http://127.0.0.1:1/");
        poll(NULL, 0, i / 2);
        ti_free(node);
    }
    wait_for_clients(relay, 0);
    eid_relay_stop(relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_only_way),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(direct_is_preferred),
        cmocka_unit_test(relay_takes_over),
        cmocka_unit_test(the_second_relay),
        cmocka_unit_test(a_relay_restarts),
        cmocka_unit_test(no_relay_there),
        cmocka_unit_test(nobody_behind_it),
        cmocka_unit_test(special_relays),
        cmocka_unit_test(many_dead_relays),
        cmocka_unit_test(closing_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
