/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a database: every combination of what it allows and what a request claims and proves, asked of the
 * responder directly (sync-behaviour.md sections 4.1, 4.4 and 4.5). */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_MAX (16u << 20)

typedef enum kind_of_database {
    CLOSED,       /* only its keys */
    OPEN_READ,    /* everybody reads */
    OPEN_WRITE_10 /* everybody writes */
} kind_of_database;

typedef struct stage {
    node alice;
    eid_database *databases[3];
    eid_keypair *listed;  /* Write(5) in every database */
    eid_keypair *revoked; /* was Admin(0) */
    eid_keypair *stranger;
    eid_pubkey server;
} stage;

static void list_key(eid_database *database, const eid_keypair *pair, eid_permission permission,
                     eid_key_status status)
{
    eid_txn *txn;
    eid_pubkey key;
    eid_keypair_public(pair, &key);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "somebody", permission, status));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static int set_up(void **state)
{
    stage *s = calloc(1, sizeof *s);
    node_open(&s->alice, "alice");
    eid_instance_device_pubkey(s->alice.instance, &s->server);
    tu_assert_ok(eid_keypair_generate(&s->listed));
    tu_assert_ok(eid_keypair_generate(&s->revoked));
    tu_assert_ok(eid_keypair_generate(&s->stranger));
    for (int i = 0; i < 3; i++) {
        s->databases[i] = node_create(&s->alice, "notes", true);
        list_key(s->databases[i], s->listed, (eid_permission){EID_PERM_WRITE, 5}, EID_KEY_ACTIVE);
        list_key(s->databases[i], s->revoked, node_admin_0, EID_KEY_REVOKED);
    }
    node_set_global(s->databases[OPEN_READ], node_read_only);
    node_set_global(s->databases[OPEN_WRITE_10], node_write_10);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    stage *s = *state;
    for (int i = 0; i < 3; i++)
        eid_database_close(s->databases[i]);
    eid_keypair_free(s->listed);
    eid_keypair_free(s->revoked);
    eid_keypair_free(s->stranger);
    node_close(&s->alice);
    free(s);
    return 0;
}

/* ---- Asking ---- */

typedef struct claim {
    const eid_keypair *key; /* requesting_key; NULL: none */
    const char *name;       /* requesting_key_name */
    const eid_permission *permission;
    const eid_keypair *signer; /* of the proof; NULL: none */
    bool incremental;          /* our_tips: the root */
    int64_t clock_off_ms;      /* the signer's clock */
} claim;

static void ask(stage *s, kind_of_database kind, const claim *c, eid_sync_response *out)
{
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;
    eid_buf body, answer;
    eid_id tip;
    char name[32];

    tree->tree = tip = *eid_database_root_id(s->databases[kind]);
    if (c->incremental) {
        tree->tips = &tip;
        tree->tip_count = 1;
    }
    if (c->key != NULL) {
        tree->has_requesting_key = true;
        eid_keypair_public(c->key, &tree->requesting_key);
    }
    if (c->name != NULL) {
        snprintf(name, sizeof name, "%s", c->name);
        tree->requesting_key_name = name;
    }
    if (c->permission != NULL) {
        tree->has_permission = true;
        tree->permission = *c->permission;
    }
    if (c->signer != NULL)
        tu_assert_ok(
            eid_request_auth_sign(tree, &s->server, c->signer, s->alice.now_ms + (uint64_t)c->clock_off_ms));
    eid_buf_init(&body, BUFFER_MAX);
    eid_buf_init(&answer, BUFFER_MAX);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), out));
    eid_free(tree->proof.nonce);
    eid_free(tree->proof.signature);
    eid_buf_free(&body);
    eid_buf_free(&answer);
}

/* `wanted`: "yes" whole database, nothing granted; "yes read", "yes write:5", … with that grant; "pending";
 * or the beginning of an error text. */
static void expect(stage *s, int line, kind_of_database kind, const claim *c, const char *wanted)
{
    eid_sync_response response;
    char got[1400];

    ask(s, kind, c, &response);
    switch (response.kind) {
    case EID_RESPONSE_BOOTSTRAP: {
        char granted[EID_PERMISSION_TEXT_SIZE] = "";
        const eid_bootstrap_response *bootstrap = &response.as.bootstrap;
        assert_int_equal(bootstrap->entries.count + 1,
                         node_count(&s->alice, eid_database_root_id(s->databases[kind])));
        assert_int_equal(bootstrap->key_approved, bootstrap->has_permission);
        if (bootstrap->has_permission)
            eid_permission_format(bootstrap->permission, granted);
        snprintf(got, sizeof got, "yes%s%s", granted[0] == '\0' ? "" : " ", granted);
        break;
    }
    case EID_RESPONSE_INCREMENTAL:
        assert_int_equal(response.as.incremental.entries.count + 1,
                         node_count(&s->alice, eid_database_root_id(s->databases[kind])));
        snprintf(got, sizeof got, "yes");
        break;
    case EID_RESPONSE_PENDING:
        snprintf(got, sizeof got, "pending");
        break;
    case EID_RESPONSE_ERROR:
        snprintf(got, sizeof got, "%s", response.as.error);
        break;
    default:
        snprintf(got, sizeof got, "%s", eid_response_kind_name(response.kind));
        break;
    }
    if (strncmp(got, wanted, strlen(wanted)) != 0 ||
        (strncmp(wanted, "yes", 3) == 0 && strcmp(got, wanted) != 0))
        fail_msg("line %d: '%s' instead of '%s'", line, got, wanted);
    eid_response_free(&response);
}

#define EXPECT(kind, wanted, ...) expect(s, __LINE__, kind, &(claim){__VA_ARGS__}, wanted)

static const eid_permission write_5 = {EID_PERM_WRITE, 5};
static const eid_permission write_4 = {EID_PERM_WRITE, 4};

#define NEEDS_CREDENTIALS                                                                                    \
    "Authentication required: This database requires authenticated access. Please provide "
#define NOT_AUTHORIZED "Authentication required: provided key is not authorized for this database"
#define MUST_PROVE     "Authentication required to read database '"

/* ---- The whole database ---- */

static void nothing_claimed(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, NEEDS_CREDENTIALS, .key = NULL);
    EXPECT(CLOSED, NEEDS_CREDENTIALS, .signer = s->listed);
    EXPECT(CLOSED, NEEDS_CREDENTIALS, .name = "n", .permission = &write_5);
    EXPECT(OPEN_READ, "yes", .key = NULL);
    EXPECT(OPEN_WRITE_10, "yes", .signer = s->stranger);
}

static void a_key_without_a_name(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, MUST_PROVE, .key = s->listed, .signer = s->listed);
    EXPECT(CLOSED, MUST_PROVE, .key = s->listed, .signer = s->listed, .permission = &write_5);
    EXPECT(OPEN_READ, "yes", .key = s->listed, .permission = &write_5);
}

/* Features 86, 87, 88, 99 */
static void key_name_and_permission_of_a_closed_database(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, "yes write:5", .key = s->listed, .name = "n", .permission = &write_5, .signer = s->listed);
    EXPECT(CLOSED, "yes write:10", .key = s->listed, .name = "n", .permission = &node_write_10,
           .signer = s->listed);
    EXPECT(CLOSED, "yes read", .key = s->listed, .name = "n", .permission = &node_read_only,
           .signer = s->listed);
    EXPECT(CLOSED, "pending", .key = s->listed, .name = "n", .permission = &write_4, .signer = s->listed);
    EXPECT(CLOSED, "pending", .key = s->listed, .name = "n", .permission = &node_admin_0,
           .signer = s->listed);
    /* Without proof of the key it is a request like a stranger's. */
    EXPECT(CLOSED, "pending", .key = s->listed, .name = "n", .permission = &write_5);
    EXPECT(CLOSED, "pending", .key = s->listed, .name = "n", .permission = &write_5, .signer = s->stranger);
    EXPECT(CLOSED, "pending", .key = s->listed, .name = "n", .permission = &write_5, .signer = s->listed,
           .clock_off_ms = 60001);
    EXPECT(CLOSED, "pending", .key = s->stranger, .name = "n", .permission = &node_read_only,
           .signer = s->stranger);
    EXPECT(CLOSED, "pending", .key = s->revoked, .name = "n", .permission = &node_read_only,
           .signer = s->revoked);
}

/* Features 96, 100 */
static void key_name_and_permission_of_an_open_database(void **state)
{
    stage *s = *state;
    EXPECT(OPEN_READ, "yes read", .key = s->stranger, .name = "n", .permission = &node_read_only);
    EXPECT(OPEN_READ, "pending", .key = s->stranger, .name = "n", .permission = &node_write_10);
    EXPECT(OPEN_WRITE_10, "yes write:10", .key = s->stranger, .name = "n", .permission = &node_write_10);
    EXPECT(OPEN_WRITE_10, "pending", .key = s->stranger, .name = "n", .permission = &write_5);
    /* What the key has of its own counts when it is proven. */
    EXPECT(OPEN_READ, "pending", .key = s->listed, .name = "n", .permission = &write_5);
    EXPECT(OPEN_READ, "pending", .key = s->listed, .name = "n", .permission = &write_5,
           .signer = s->stranger);
    EXPECT(OPEN_READ, "yes write:5", .key = s->listed, .name = "n", .permission = &write_5,
           .signer = s->listed);
    EXPECT(OPEN_READ, "pending", .key = s->listed, .name = "n", .permission = &write_4, .signer = s->listed);
}

static void key_and_name_alone(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, "yes write:5", .key = s->listed, .name = "n", .signer = s->listed);
    EXPECT(CLOSED, MUST_PROVE, .key = s->listed, .name = "n");
    EXPECT(CLOSED, "Authentication failed: request is signed by ed25519:", .key = s->listed, .name = "n",
           .signer = s->stranger);
    EXPECT(CLOSED, "Authentication failed: request timestamp outside the freshness window", .key = s->listed,
           .name = "n", .signer = s->listed, .clock_off_ms = -60001);
    EXPECT(CLOSED, NOT_AUTHORIZED, .key = s->stranger, .name = "n", .signer = s->stranger);
    EXPECT(CLOSED, NOT_AUTHORIZED, .key = s->revoked, .name = "n", .signer = s->revoked);
    EXPECT(OPEN_READ, "yes read", .key = s->stranger, .name = "n");
    EXPECT(OPEN_WRITE_10, "yes write:10", .key = s->stranger, .name = "n");
}

/* ---- The difference ---- */

/* Feature 99 */
static void increments(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, "yes", .incremental = true, .signer = s->listed);
    EXPECT(CLOSED, MUST_PROVE, .incremental = true);
    EXPECT(CLOSED, "Permission denied: key ed25519:", .incremental = true, .signer = s->stranger);
    EXPECT(CLOSED, "Permission denied: key ed25519:", .incremental = true, .signer = s->revoked);
    EXPECT(CLOSED, "Authentication failed: request timestamp outside the freshness window",
           .incremental = true, .signer = s->listed, .clock_off_ms = 60001);
    EXPECT(OPEN_READ, "yes", .incremental = true);
    EXPECT(OPEN_READ, "yes", .incremental = true, .signer = s->stranger, .clock_off_ms = 3600000);
}

/* ---- What refusing leaves behind ---- */

static void refusals_leave_nothing_behind(void **state)
{
    stage *s = *state;
    eid_id sync_database = *eid_database_root_id(s->alice.sync->database);
    uint64_t before = node_count(&s->alice, &sync_database);
    for (int i = 0; i < 3; i++) {
        EXPECT(CLOSED, NEEDS_CREDENTIALS, .key = NULL);
        EXPECT(CLOSED, NOT_AUTHORIZED, .key = s->stranger, .name = "n", .signer = s->stranger);
        EXPECT(CLOSED, "Permission denied: ", .incremental = true, .signer = s->stranger);
    }
    assert_int_equal(node_count(&s->alice, &sync_database), before);
    assert_int_equal(s->alice.sync->nonces.count, 0);
    /* One line for one pending request, however often it is made. */
    for (int i = 0; i < 3; i++)
        EXPECT(CLOSED, "pending", .key = s->stranger, .name = "n", .permission = &write_5,
               .signer = s->stranger);
    assert_int_equal(node_count(&s->alice, &sync_database), before + 1);
}

/* Revoking works at once, and so does listing. */
/* Feature 95 */
static void changes_of_settings_count_at_once(void **state)
{
    stage *s = *state;
    EXPECT(CLOSED, "yes", .incremental = true, .signer = s->listed);
    list_key(s->databases[CLOSED], s->listed, write_5, EID_KEY_REVOKED);
    EXPECT(CLOSED, "Permission denied: ", .incremental = true, .signer = s->listed);
    list_key(s->databases[CLOSED], s->stranger, node_read_only, EID_KEY_ACTIVE);
    EXPECT(CLOSED, "yes", .incremental = true, .signer = s->stranger);
    EXPECT(CLOSED, "yes read", .key = s->stranger, .name = "n", .signer = s->stranger);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(nothing_claimed),
        ON_STAGE(a_key_without_a_name),
        ON_STAGE(key_name_and_permission_of_a_closed_database),
        ON_STAGE(key_name_and_permission_of_an_open_database),
        ON_STAGE(key_and_name_alone),
        ON_STAGE(increments),
        ON_STAGE(refusals_leave_nothing_behind),
        ON_STAGE(changes_of_settings_count_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
