/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that does what the chat itself never does, for its tests.
 *
 *   peer rows TICKET       joins, and writes each line of its input ("KEY<tab>ROW") as a row of `messages`
 *   peer delete TICKET     joins, and deletes each key of its input from `messages`
 *   peer document TICKET   joins, and makes `messages` a document instead of a table
 *   peer rename TICKET     joins, and tries to give the room another name (needs admin rights: must fail)
 *   peer closed            makes a room that lets nobody in, prints its ticket, and obeys its input:
 *                          "requests" prints how many wait, "approve" and "reject" decide all, end of input
 * ends
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/eidetica.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            printf("error: %s: %s\n", #call, eid_last_error());                                              \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

struct node {
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_database *room;
    eid_ticket *ticket;
};

static void start(struct node *node)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    CHECK(eid_instance_open_url("memory:", &node->instance));
    CHECK(eid_instance_login_or_create_user(node->instance, "stranger", NULL, &node->user));
    CHECK(eid_instance_enable_sync(node->instance));
    CHECK(eid_instance_sync(node->instance, &node->sync));
    CHECK(eid_sync_enable_http_transport(node->sync));
}

static void stop(struct node *node)
{
    eid_ticket_free(node->ticket);
    eid_database_close(node->room);
    eid_user_logout(node->user);
    eid_instance_close(node->instance);
}

static void join(struct node *node, const char *ticket)
{
    CHECK(eid_ticket_detect(ticket, &node->ticket));
    CHECK(eid_user_request_database_access(node->user, node->ticket, (eid_permission){EID_PERM_WRITE, 5},
                                           NULL));
    CHECK(eid_user_open_database(node->user, eid_ticket_database_id(node->ticket), &node->room));
}

/* One line of the input without its end; false at the end. */
static bool read_line(char **line, size_t *room)
{
    ssize_t len = getline(line, room, stdin);
    if (len <= 0)
        return false;
    if ((*line)[len - 1] == '\n')
        (*line)[len - 1] = '\0';
    return true;
}

static void write_rows(struct node *node, bool delete)
{
    char *line = NULL;
    size_t room = 0;
    while (read_line(&line, &room)) {
        eid_txn *txn;
        CHECK(eid_database_new_transaction(node->room, &txn));
        char *tab = strchr(line, '\t');
        if (delete) {
            CHECK(eid_table_delete(txn, "messages", line, NULL));
        } else {
            if (tab == NULL) {
                printf("error: no tab in the line\n");
                exit(1);
            }
            *tab = '\0';
            CHECK(eid_table_set(txn, "messages", line, tab + 1));
        }
        CHECK(eid_txn_commit_free(txn, NULL));
    }
    free(line);
}

static void write_document(struct node *node)
{
    eid_txn *txn;
    CHECK(eid_database_new_transaction(node->room, &txn));
    CHECK(eid_docstore_set_text(txn, "messages", "key", "no row"));
    CHECK(eid_txn_commit_free(txn, NULL));
}

static void rename_room(struct node *node)
{
    eid_txn *txn;
    CHECK(eid_database_new_transaction(node->room, &txn));
    CHECK(eid_settings_set_name(txn, "stolen"));
    printf("commit: %s\n", eid_status_name(eid_txn_commit_free(txn, NULL)));
}

/* Decides about every request that waits; returns how many there were. */
static size_t decide(struct node *node, const char *decision)
{
    eid_bootstrap_request *requests;
    size_t count;
    CHECK(eid_sync_list_bootstrap_requests(node->sync, "Pending", &requests, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(decision, "approve") == 0)
            CHECK(eid_user_approve_bootstrap_request(node->user, requests[i].id));
        else if (strcmp(decision, "reject") == 0)
            CHECK(eid_user_reject_bootstrap_request(node->user, requests[i].id));
    }
    eid_bootstrap_requests_free(requests, count);
    return count;
}

static void serve_closed(struct node *node)
{
    char *text, *line = NULL;
    size_t room = 0;
    CHECK(eid_user_create_database(node->user, "Closed", &node->room));
    CHECK(eid_sync_start_server(node->sync, "127.0.0.1:0"));
    CHECK(eid_user_share(node->user, eid_database_root_id(node->room), &node->ticket));
    CHECK(eid_ticket_format(node->ticket, &text));
    printf("ticket: %s\n", text);
    eid_free(text);
    while (read_line(&line, &room))
        printf("%s: %zu\n", line, decide(node, line));
    free(line);
    CHECK(eid_sync_stop_server(node->sync));
}

int main(int argc, char **argv)
{
    struct node node;
    memset(&node, 0, sizeof node);
    const char *what = argc > 1 ? argv[1] : "";
    start(&node);
    if (strcmp(what, "closed") == 0) {
        serve_closed(&node);
    } else if (argc == 3) {
        join(&node, argv[2]);
        if (strcmp(what, "rows") == 0)
            write_rows(&node, false);
        else if (strcmp(what, "delete") == 0)
            write_rows(&node, true);
        else if (strcmp(what, "document") == 0)
            write_document(&node);
        else if (strcmp(what, "rename") == 0)
            rename_room(&node);
        CHECK(eid_user_sync_with_ticket(node.user, node.ticket, NULL));
        printf("done\n");
    } else {
        printf("error: see the comment at the head of the source\n");
        return 2;
    }
    stop(&node);
    return 0;
}
