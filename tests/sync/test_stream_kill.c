/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is killed in the middle of a bootstrap: what it had stored is there, and the next sync
 * brings the rest. */
#include "node.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 9000

static int told = -1; /* the child's end of the pipe */

static void on_progress(const eid_sync_progress *progress, void *ctx)
{
    char byte = 1;
    (void)ctx;
    if (progress->entries_received > 0 && write(told, &byte, 1) != 1)
        _exit(3);
}

static eid_status join(node *n, const char *ticket_text, eid_sync_progress_callback progress,
                       eid_sync_result *result)
{
    eid_ticket *ticket;
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    tu_assert_ok(eid_ticket_parse(ticket_text, &ticket));
    const eid_address *addresses[1] = {eid_ticket_address(ticket, 0)};
    order.addresses = addresses;
    order.address_count = 1;
    order.database = eid_ticket_database_id(ticket);
    order.progress = progress;
    eid_status status = eid_sync_order_wait(n->sync, &order, result);
    eid_ticket_free(ticket);
    return status;
}

/* Reads the ticket, joins, and tells of each progress until it is killed. */
static void be_killed(int in, int out, const char *url)
{
    char ticket[4096] = "";
    size_t len = 0;
    while (len + 1 < sizeof ticket && read(in, ticket + len, 1) == 1 && ticket[len] != '\n')
        len++;
    ticket[len] = '\0';
    told = out;
    node n;
    node_open_url(&n, url, "bob");
    (void)join(&n, ticket, on_progress, NULL);
    for (;;)
        pause();
}

static void what_a_killed_process_had_is_not_fetched_again(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "bob.db"), url[512], byte;
    int to_child[2], to_parent[2];
    snprintf(url, sizeof url, "sqlite:%s", path);
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(to_parent), 0);
    pid_t child = fork();
    if (child == 0) {
        close(to_child[1]);
        close(to_parent[0]);
        be_killed(to_child[0], to_parent[1], url);
    }
    close(to_child[0]);
    close(to_parent[1]);

    node alice, bob;
    node_open(&alice, "alice");
    node_serve(&alice);
    eid_database *notes = node_create(&alice, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    node_set_global(notes, node_write_10);
    for (int i = 0; i < ENTRIES; i++)
        node_write(notes, "key", "one of many");
    eid_ticket *ticket = node_ticket(&alice, &id);
    char *text;
    tu_assert_ok(eid_ticket_format(ticket, &text));
    assert_int_equal(write(to_child[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(write(to_child[1], "\n", 1), 1);
    assert_int_equal(read(to_parent[0], &byte, 1), 1); /* some entries are stored, many are not */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);

    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_open_url(&bob, url, "bob");
    uint64_t all = node_count(&alice, &id), held = node_count(&bob, &id);
    print_message("killed with %llu of %llu entries\n", (unsigned long long)held, (unsigned long long)all);
    assert_true(held > 0 && held <= all);
    tu_assert_ok(join(&bob, text, NULL, &result));
    assert_int_equal(result.received, all - held);
    assert_int_equal(result.admitted, all - held);
    node_assert_same(&alice, &bob, &id);

    eid_free(text);
    eid_ticket_free(ticket);
    eid_database_close(notes);
    node_close(&bob);
    node_close(&alice);
    close(to_child[1]);
    close(to_parent[0]);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_killed_process_had_is_not_fetched_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
