/* SPDX-License-Identifier: Apache-2.0 */
/* A member of one database works in another that delegates to it, over the network: gets it without being listed in it, writes,
 * sends, and is shut out when the membership ends. */
#include "node.h"

static void delegate(eid_database *database, const eid_database *members)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_add_delegation(txn, eid_database_root_id(members), NULL, 0, node_write_10, NULL));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void join(node *n, const node *from, const eid_id *database, eid_permission permission)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;

    tu_assert_ok(node_join(n, node_ticket(from, database), permission, &result));
    assert_true(node_count(n, database) > 0);
}

/* Brings both sides up to date. */
static void sync_with(node *n, const node *other, const eid_id *database)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_ticket *ticket = node_ticket(other, database);

    tu_assert_ok(eid_user_sync_with_ticket(n->user, ticket, &result));
    eid_ticket_free(ticket);
}

/* Features 68, 91 */
static void a_member_joins_writes_and_leaves(void **state)
{
    node alice, bob;

    (void)state;
    node_open(&alice, "alice");
    node_open(&bob, "bob");
    node_serve(&alice);
    eid_database *team = node_create(&alice, "team", true), *project = node_create(&alice, "project", true);
    eid_id team_id = *eid_database_root_id(team), project_id = *eid_database_root_id(project);
    eid_sync_result result = EID_SYNC_RESULT_INIT;

    delegate(project, team);
    node_write(project, "plan", "alice's");
    /* Not a member yet. */
    assert_int_not_equal(node_join(&bob, node_ticket(&alice, &project_id), node_write_10, &result), EID_OK);
    assert_int_equal(node_count(&bob, &project_id), 0);
    node_list_key(team, &bob, node_admin_0);
    join(&bob, &alice, &team_id, node_write_10); /* first: without it nobody here could tell what bob may do */
    join(&bob, &alice, &project_id, node_write_10);
    eid_database_preferences wish = EID_DATABASE_PREFERENCES_INIT;
    eid_database *shared;
    wish.database_id = project_id;
    tu_assert_ok(eid_user_add_database(bob.user, &wish)); /* finds the way over the team */
    tu_assert_ok(eid_user_open_database(bob.user, &project_id, &shared));
    node_write(shared, "roof", "bob's");
    sync_with(&bob, &alice, &project_id);
    assert_string_equal(node_read(project, "roof"), "bob's");
    node_assert_same(&alice, &bob, &project_id);

    /* The team moves on; an entry that claims what alice's team is not at yet would wait. */
    node_write(team, "news", "hello");
    sync_with(&bob, &alice, &team_id);
    node_write(shared, "windows", "bob's");
    sync_with(&bob, &alice, &project_id);
    assert_string_equal(node_read(project, "windows"), "bob's");

    /* Out of the team: neither written nor served any more. */
    eid_pubkey key;
    eid_txn *txn;
    eid_user_get_default_key(bob.user, &key);
    tu_assert_ok(eid_database_new_transaction(team, &txn));
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &key));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_database_new_transaction(project, &txn));
    tu_assert_ok(eid_settings_raise_delegation(txn, &team_id, NULL, 0));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    node_write(project, "secret", "after bob");
    uint64_t before = node_count(&bob, &project_id);
    eid_ticket *ticket = node_ticket(&alice, &project_id);
    assert_int_not_equal(eid_user_sync_with_ticket(bob.user, ticket, NULL), EID_OK);
    eid_ticket_free(ticket);
    assert_int_equal(node_count(&bob, &project_id), before);
    assert_null(node_read(shared, "secret"));
    eid_database_close(shared);
    eid_database_close(project);
    eid_database_close(team);
    node_close(&bob);
    node_close(&alice);
}

/* Who joins the project alone is brought the team too, over two steps, whichever form is used; and writes at once. */
/* Features 68, 91 */
static void delegated_databases_come_along(void **state)
{
    (void)state;
    for (int waiting = 0; waiting < 2; waiting++) {
        node alice, bob;
        node_open(&alice, "alice");
        node_open(&bob, "bob");
        node_serve(&alice);
        eid_database *company = node_create(&alice, "company", true), *team = node_create(&alice, "team", true),
                     *project = node_create(&alice, "project", true), *copy;
        eid_id company_id = *eid_database_root_id(company), project_id = *eid_database_root_id(project);
        node_list_key(company, &bob, node_admin_0);
        delegate(team, company);
        delegate(project, team);
        node_write(project, "plan", "alice's");
        eid_ticket *ticket = node_ticket(&alice, &project_id);
        if (waiting) {
            tu_assert_ok(eid_user_request_database_access(bob.user, ticket, node_write_10, NULL));
        } else {
            eid_sync_call *call;
            tu_assert_ok(eid_user_request_database_access_async(bob.user, ticket, node_write_10, NULL, NULL, &call));
            tu_assert_ok(eid_sync_call_wait(call, UINT64_MAX, NULL));
            eid_sync_call_free(call);
        }
        tu_assert_ok(eid_user_open_database(bob.user, &project_id, &copy));
        assert_string_equal(node_read(copy, "plan"), "alice's");
        node_write(copy, "roof", "bob's");
        tu_assert_ok(eid_user_sync_with_ticket(bob.user, ticket, NULL));
        assert_string_equal(node_read(project, "roof"), "bob's");
        node_assert_same(&alice, &bob, &company_id);
        node_assert_same(&alice, &bob, eid_database_root_id(team));
        eid_ticket_free(ticket);
        eid_database_close(copy);
        eid_database_close(company);
        eid_database_close(team);
        eid_database_close(project);
        node_close(&bob);
        node_close(&alice);
    }
}

/* What the peer does not share does not come, and nothing is asked of an admin. */
static void delegated_databases_that_stay_away(void **state)
{
    node alice, bob;
    size_t count;
    eid_bootstrap_request *requests;
    (void)state;
    node_open(&alice, "alice");
    node_open(&bob, "bob");
    node_serve(&alice);
    eid_database *team = node_create(&alice, "team", false), *project = node_create(&alice, "project", true);
    eid_id project_id = *eid_database_root_id(project);
    node_list_key(team, &bob, node_admin_0);
    delegate(project, team);
    tu_assert_fails(node_join(&bob, node_ticket(&alice, &project_id), node_write_10, NULL), EID_ERR_NO_KEY_FOR_DATABASE);
    assert_true(node_count(&bob, &project_id) > 0);
    assert_int_equal(node_count(&bob, eid_database_root_id(team)), 0);
    tu_assert_ok(eid_sync_list_bootstrap_requests(alice.sync, NULL, &requests, &count));
    assert_int_equal(count, 0);
    eid_bootstrap_requests_free(requests, count);
    eid_database_close(team);
    eid_database_close(project);
    node_close(&bob);
    node_close(&alice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_joins_writes_and_leaves),
        cmocka_unit_test(delegated_databases_come_along),
        cmocka_unit_test(delegated_databases_that_stay_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
