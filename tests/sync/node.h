/* SPDX-License-Identifier: Apache-2.0 */
/* One peer of a sync test: an instance in memory with a user, sync over HTTP and, when wanted, a server. */
#ifndef EID_TESTS_SYNC_NODE_H
#define EID_TESTS_SYNC_NODE_H

#include "support/testutil.h"
#include "sync/sync_int.h"
#include <eidetica/eidetica.h>

typedef struct node {
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    char *address;   /* of the server; NULL while none was started */
    _Atomic uint64_t now_ms; /* the instance's clock, which its engine reads too */
} node;

/* The clock starts at 1 800 000 000 000 and stands still unless a test moves it. */
void node_open(node *n, const char *user_name);
/* Whether the transport is Iroh in place of HTTP: EID_TEST_TRANSPORT=iroh. */
bool node_over_iroh(void);
/* The same over a data file, which may exist already. */
void node_open_url(node *n, const char *url, const char *user_name);
/* Without any transport. */
void node_open_bare(node *n, const char *user_name);
void node_open_bare_url(node *n, const char *url, const char *user_name);
void node_serve(node *n); /* starts a server on a free port of 127.0.0.1 */
void node_close(node *n);

/* A database of the node's user; shared with peers when `shared`. */
eid_database *node_create(node *n, const char *name, bool shared);
void node_set_sync(node *n, const eid_id *database, bool enabled);
/* One committed entry: `key` := `text` in the DocStore "notes". */
eid_id node_write(eid_database *database, const char *key, const char *text);
void node_set_global(eid_database *database, eid_permission permission);
/* The user's default key listed in a database of another node. */
void node_list_key(eid_database *database, const node *whose, eid_permission permission);

/* The text under the key, free()d by the next call; NULL when there is none. */
const char *node_read(eid_database *database, const char *key);
uint64_t node_count(const node *n, const eid_id *database); /* entries; 0 when not held */
/* Asserts that both hold the same tips and show the same state. */
void node_assert_same(const node *a, const node *b, const eid_id *database);

/* A ticket with the node's server address. */
eid_ticket *node_ticket(const node *n, const eid_id *database);
/* The user of `n` asks for access at the ticket, and the ticket is freed. */
eid_status node_join(node *n, eid_ticket *ticket, eid_permission permission, eid_sync_result *result);

static const eid_permission node_read_only = {EID_PERM_READ, 0};
static const eid_permission node_write_10 = {EID_PERM_WRITE, 10};
static const eid_permission node_admin_0 = {EID_PERM_ADMIN, 0};

/* Hands a body straight to the node's responder; the answer is in `answer`, which is reset before. */
eid_handle_result node_ask(const node *n, const char *body, size_t len, eid_buf *answer);

#endif
