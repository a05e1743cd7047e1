/* SPDX-License-Identifier: Apache-2.0 */
/* Memory running out at every place of a sync in turn, on either side: nothing is lost, nothing leaks, and
 * the next sync with memory makes all well. */
#include "net.h"

#include <stdlib.h>

static eid_ticket *direct_ticket(const eid_id *database)
{
    eid_ticket *ticket;
    eid_address *address;
    tu_assert_ok(eid_ticket_new(database, &ticket));
    tu_assert_ok(eid_address_new("direct", "there", &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    return ticket;
}

/* Fails one allocation after the other until the sync needs no more; returns how many there were. */
static size_t fail_each(node *asking, const eid_ticket *ticket, bool joining)
{
    for (size_t n = 1;; n++) {
        tu_alloc_fail_at(n);
        eid_status status = joining
                                ? eid_user_request_database_access(asking->user, ticket, node_write_10, NULL)
                                : eid_user_sync_with_ticket(asking->user, ticket, NULL);
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        if (!fired) {
            assert_int_equal(status, EID_OK);
            return n - 1;
        }
        /* A failure of the asking side says so; one of the answering side comes as the peer's refusal. One
         * that only cost a convenience (a remembered tip, a log line) may pass. */
        if (status != EID_OK && status != EID_ERR_NO_MEMORY && status != EID_ERR_NETWORK &&
            status != EID_ERR_PROTOCOL && status != EID_ERR_HANDSHAKE_FAILED &&
            status != EID_ERR_BOOTSTRAP_PENDING)
            fail_msg("allocation %zu: %s: %s", n, eid_status_name(status), eid_last_error());
    }
}

static void memory_runs_out(void **state)
{
    (void)state;
    node alice, bob;
    tu_alloc_install();
    node_open_bare(&alice, "alice");
    node_open_bare(&bob, "bob");
    manual_add(manual_attach(&bob, NULL), "there", &alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    node_list_key(notes, &bob, node_write_10);
    node_write(notes, "a", "first");
    eid_ticket *ticket = direct_ticket(&id);

    assert_true(fail_each(&bob, ticket, true) > 50);
    node_assert_same(&alice, &bob, &id);
    eid_database *copy;
    tu_assert_ok(eid_user_open_database(bob.user, &id, &copy));
    node_write(notes, "a", "second");
    node_write(copy, "b", "third");
    assert_true(fail_each(&bob, ticket, false) > 50);
    tu_assert_ok(eid_user_sync_with_ticket(bob.user, ticket, NULL));
    node_assert_same(&alice, &bob, &id);
    assert_string_equal(node_read(notes, "b"), "third");

    eid_database_close(copy);
    eid_database_close(notes);
    eid_ticket_free(ticket);
    node_close(&bob);
    node_close(&alice);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

/* ---- Rounds of the engine ---- */

#define MINUTE_MS 60000

/* One entry on either side is on its way while allocation n fails; true when one did. Then there is memory again, and time for
 * what failed to be tried once more. */
static bool round_without(net *n, size_t allocation, uint64_t during_ms, bool for_good)
{
    node_write(n->handles[0], "a", "here");
    node_write(n->handles[1], "b", "there");
    if (for_good)
        tu_alloc_fail_from(allocation);
    else
        tu_alloc_fail_at(allocation);
    net_pass(n, during_ms);
    bool fired = tu_alloc_fired();
    tu_alloc_fail_at(0);
    net_pass(n, 3 * MINUTE_MS);
    if (!net_agrees(n))
        net_pass(n, 5 * MINUTE_MS); /* a push that was believed to be taken: the next round finds out */
    if (!net_agrees(n))
        fail_msg("allocation %zu: the two sides stay different", allocation);
    return fired;
}

static void each_allocation(const eid_sync_settings *settings, uint64_t during_ms, bool for_good)
{
    tu_alloc_install();
    net *n = net_open(2);
    net_share(n, settings);
    size_t allocation = 1;
    while (round_without(n, allocation, during_ms, for_good))
        allocation += for_good ? 7 : 1;
    assert_true(allocation > 100);
    eid_sync_engine_stats stats = {.struct_size = sizeof stats};
    for (int i = 0; i < 2; i++) {
        eid_sync_get_engine_stats(n->nodes[i].sync, &stats);
        assert_true(stats.running);
        assert_int_equal(stats.sessions, 0);
        assert_int_equal(stats.to_send, 0);
    }
    net_close(n);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

/* Feature 132 */
static void pushes_survive_every_failure_of_memory(void **state)
{
    static const eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    (void)state;
    each_allocation(&settings, 1000, false);
}

static void rounds_survive_every_failure_of_memory(void **state)
{
    static const eid_sync_settings settings = {.struct_size = sizeof settings, .sync_enabled = true, .interval_seconds = 30};
    (void)state;
    each_allocation(&settings, 31000, false);
}

/* Nothing is to be had for a while. */
static void engines_survive_without_memory(void **state)
{
    static const eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    (void)state;
    each_allocation(&settings, MINUTE_MS, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(pushes_survive_every_failure_of_memory),
        cmocka_unit_test(rounds_survive_every_failure_of_memory),
        cmocka_unit_test(engines_survive_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
