/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that lie, break off or flood: each is refused with its own error, and what is stored stays as it was.
 */
#include "node.h"
#include "support/track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_MAX (64u << 20)

typedef struct scene scene;

/* A transport that leads to Alice's responder and may change what she answers to SyncTree, or to Handshake.
 */
typedef struct crooked {
    eid_transport base;
    scene *s;
} crooked;

struct scene {
    node alice, bob;
    eid_database *notes, *other;
    eid_id id, other_id;
    /* Changes the answer in place; NULL: leaves it. */
    void (*twist)(scene *s, const eid_sync_request *request, eid_buf *answer);
    const char *text; /* for twists that put a text in its place */
    size_t pushes;    /* SendEntries requests that came through */
};

static eid_status crooked_request(eid_transport *transport, const char *address, eid_slice body,
                                  eid_buf *answer)
{
    scene *s = ((crooked *)(void *)transport)->s;
    eid_sync_request request;
    (void)address;
    tu_assert_ok(eid_request_read(body, &request));
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, answer), EID_HANDLED);
    s->pushes += request.kind == EID_REQUEST_SEND_ENTRIES;
    if (s->twist != NULL)
        s->twist(s, &request, answer);
    eid_request_free(&request);
    return EID_OK;
}

static void crooked_send(eid_transport *transport, eid_exchange *exchange)
{
    exchange->done(exchange, crooked_request(transport, exchange->address, exchange->body, &exchange->answer));
}

/* Nothing is ever under way. */
static void crooked_cancel(eid_transport *transport, eid_exchange *exchange)
{
    (void)transport, (void)exchange;
}

static eid_status crooked_start(eid_transport *transport, const char *address, eid_request_handler handler,
                                void *ctx)
{
    (void)transport, (void)address, (void)handler, (void)ctx;
    return EID_ERR_UNSUPPORTED;
}

static eid_status crooked_stop(eid_transport *transport)
{
    return (void)transport, EID_ERR_SERVER_NOT_RUNNING;
}

static eid_status crooked_address(eid_transport *transport, char **out)
{
    return (void)transport, (void)out, EID_ERR_SERVER_NOT_RUNNING;
}

static void crooked_close(eid_transport *transport)
{
    free(transport);
}

static const eid_transport_functions crooked_functions = {crooked_send, crooked_cancel, NULL, crooked_start,
                                                          crooked_stop, crooked_address, crooked_close};

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    crooked *transport = calloc(1, sizeof *transport);
    node_open(&s->alice, "alice");
    node_open(&s->bob, "bob");
    transport->base.functions = &crooked_functions;
    transport->base.type = "crooked";
    transport->s = s;
    tu_assert_ok(eid_sync_add_transport(s->bob.sync, NULL, &transport->base));
    s->notes = node_create(&s->alice, "notes", true);
    s->other = node_create(&s->alice, "other", true);
    s->id = *eid_database_root_id(s->notes);
    s->other_id = *eid_database_root_id(s->other);
    node_set_global(s->notes, node_write_10);
    node_set_global(s->other, node_write_10);
    node_write(s->notes, "a", "first");
    node_write(s->notes, "b", "second");
    node_write(s->other, "c", "third");
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    eid_database_close(s->notes);
    eid_database_close(s->other);
    node_close(&s->bob);
    node_close(&s->alice);
    free(s);
    return 0;
}

static eid_status bob_syncs(scene *s, eid_sync_result *result)
{
    eid_address *address;
    tu_assert_ok(eid_address_new("crooked", "anywhere", &address));
    eid_status status = eid_sync_with_address(s->bob.sync, address, &s->id, NULL, result);
    eid_address_free(address);
    return status;
}

static size_t databases_of(const node *n)
{
    eid_id *ids;
    size_t count;
    tu_assert_ok(eid_instance_list_databases(n->instance, &ids, &count));
    eid_free(ids);
    return count;
}

/* ---- Answers ---- */

static void put_text(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    eid_buf_reset(answer);
    eid_buf_append_text(answer, s->text);
}

static void cut_in_half(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind == EID_REQUEST_SYNC_TREE)
        answer->len /= 2;
}

static void add_rubbish(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind == EID_REQUEST_SYNC_TREE)
        eid_buf_append_text(answer, " {}");
}

static void nest_deeply(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    eid_buf_reset(answer);
    eid_buf_append_text(answer, "{\"Bootstrap\":{\"x\":");
    for (int i = 0; i < 100000; i++)
        eid_buf_append_byte(answer, '[');
}

static void assert_refused(scene *s, eid_status wanted, const char *part)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    size_t databases = databases_of(&s->bob);
    uint64_t entries = node_count(&s->bob, &s->id);

    eid_status status = bob_syncs(s, &result);
    if (status != wanted || (part != NULL && strstr(eid_last_error(), part) == NULL))
        fail_msg("%s (%s) instead of %s (%s)", eid_status_name(status), eid_last_error(),
                 eid_status_name(wanted), part);
    assert_int_equal(result.received, 0);
    assert_int_equal(databases_of(&s->bob), databases);
    assert_int_equal(node_count(&s->bob, &s->id), entries);
    assert_int_equal(node_count(&s->bob, &s->other_id), 0);
}

/* The same twists are tried when nothing is held (bootstrap) and when something is (incremental). */
static void unreadable(scene *s)
{
    s->twist = cut_in_half;
    assert_refused(s, EID_ERR_TRUNCATED, "Network error: Failed to parse response: ");
    s->twist = add_rubbish;
    assert_refused(s, EID_ERR_TRAILING_DATA, NULL);
    s->twist = nest_deeply;
    assert_refused(s, EID_ERR_DEPTH, NULL);
    s->twist = put_text;
    s->text = "";
    assert_refused(s, EID_ERR_TRUNCATED, NULL);
    s->text = "<html>404</html>";
    assert_refused(s, EID_ERR_SYNTAX, NULL);
    s->text = "{\"Error\":\"\xff\"}";
    assert_refused(s, EID_ERR_UTF8, NULL);
    s->text = "{\"Bootstrap\":{}}";
    assert_refused(s, EID_ERR_MISSING_FIELD, "tree_id");
    s->text = "{\"Bootstrap\":{\"tree_id\":\"\",\"tree_id\":\"\"}}";
    assert_refused(s, EID_ERR_DUPLICATE_KEY, "tree_id");
    s->text = "{\"Bootstrap\":{\"tree_id\":17}}";
    assert_refused(s, EID_ERR_WRONG_TYPE, NULL);
    s->text = "{\"Count\":99999999999999999999}";
    assert_refused(s, EID_ERR_RANGE, NULL);
    s->text = "{\"Later\":{}}";
    assert_refused(s, EID_ERR_WRONG_TYPE, "unknown variant `Later`");
    s->text = "\"Ack\"";
    assert_refused(s, EID_ERR_UNEXPECTED_RESPONSE, "expected Bootstrap or Incremental, got Ack");
    s->text = "{\"Count\":3}";
    assert_refused(s, EID_ERR_UNEXPECTED_RESPONSE, "got Count");
    s->text = "{\"Error\":\"go away\"}";
    assert_refused(s, EID_ERR_PROTOCOL, "Sync protocol error: go away");
    s->text = "{\"BootstrapPending\":{\"request_id\":\"7\",\"message\":\"wait\"}}";
    assert_refused(s, EID_ERR_BOOTSTRAP_PENDING, "request_id: 7): wait");
    s->twist = NULL;
}

/* Feature A14 */
static void unreadable_answers(void **state)
{
    scene *s = *state;
    unreadable(s);
    tu_assert_ok(bob_syncs(s, NULL));
    node_write(s->notes, "d", "one more");
    unreadable(s);
    tu_assert_ok(bob_syncs(s, NULL));
    node_assert_same(&s->alice, &s->bob, &s->id);
}

/* ---- Contents ---- */

/* Alice's honest answer about a database, as a record. */
static void honest_bootstrap(scene *s, const eid_id *database, eid_sync_response *out)
{
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_buf body, answer;
    request.as.tree.tree = *database;
    eid_buf_init(&body, BUFFER_MAX);
    eid_buf_init(&answer, BUFFER_MAX);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), out));
    assert_int_equal(out->kind, EID_RESPONSE_BOOTSTRAP);
    eid_buf_free(&body);
    eid_buf_free(&answer);
}

static void rewrite(eid_buf *answer, const eid_sync_response *response)
{
    eid_buf_reset(answer);
    eid_response_write(answer, response);
    tu_assert_ok(eid_buf_status(answer));
}

static void another_database(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response other;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    honest_bootstrap(s, &s->other_id, &other);
    rewrite(answer, &other);
    eid_response_free(&other);
}

static void another_root(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response other;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    honest_bootstrap(s, &s->other_id, &other);
    other.as.bootstrap.tree = s->id;
    rewrite(answer, &other);
    eid_response_free(&other);
}

static void a_foreign_entry(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response honest, other;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    honest_bootstrap(s, &s->id, &honest);
    honest_bootstrap(s, &s->other_id, &other);
    eid_entry **place = &honest.as.bootstrap.entries.items[honest.as.bootstrap.entries.count - 1];
    eid_entry *kept = *place;
    *place = other.as.bootstrap.entries.items[0];
    rewrite(answer, &honest);
    *place = kept;
    eid_response_free(&honest);
    eid_response_free(&other);
}

/* Changes the first payload byte of the n-th "data" from the end: the entry is another one, its signature a
 * lie. */
static void falsify(eid_buf *answer, int from_end)
{
    static const char mark[] = "\"data\":[123,";
    uint8_t *at = answer->data + answer->len;
    while (from_end >= 0) {
        do {
            at--;
            assert_true(at > answer->data);
        } while (memcmp(at, mark, at + sizeof mark - 1 <= answer->data + answer->len ? sizeof mark - 1 : 1) !=
                     0 ||
                 at + sizeof mark - 1 > answer->data + answer->len);
        from_end--;
    }
    at[10] = '2'; /* 123 -> 122 */
}

static void falsify_last(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind == EID_REQUEST_SYNC_TREE)
        falsify(answer, 0);
}

static void falsify_root(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    uint8_t *at = (uint8_t *)strstr((char *)answer->data, "\"data\":[123,");
    at[10] = '2';
}

static void unsign_last(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)s;
    if (request->kind != EID_REQUEST_SYNC_TREE)
        return;
    char *last = NULL, *at = (char *)answer->data;
    while ((at = strstr(at, "\"sig\":{\"sig\":\"")) != NULL)
        last = at++;
    memcpy(last, "\"sig\":{\"xxx\":\"", 14); /* an unknown field: the entry has no signature */
}

/* Feature A6 */
static void answers_of_other_databases(void **state)
{
    scene *s = *state;
    s->twist = another_database;
    assert_refused(s, EID_ERR_UNEXPECTED_RESPONSE, "another database");
    s->twist = another_root;
    assert_refused(s, EID_ERR_INVALID_ENTRY, "Invalid entry: root entry content hashes to ");
    s->twist = a_foreign_entry;
    assert_refused(s, EID_ERR_WRONG_TREE, "is not of database");
    s->twist = falsify_root;
    assert_refused(s, EID_ERR_INVALID_ENTRY, "Invalid entry: root entry content hashes to ");
    s->twist = NULL;
    tu_assert_ok(bob_syncs(s, NULL));
    node_assert_same(&s->alice, &s->bob, &s->id);
}

/* One bad entry does not keep the good ones away, and is never stored. */
/* Features 7, 125, A3 */
static void falsified_entries(void **state)
{
    scene *s = *state;
    static void (*const twists[])(scene *, const eid_sync_request *, eid_buf *) = {falsify_last, unsign_last};
    for (size_t i = 0; i < 2; i++) {
        eid_sync_result result = EID_SYNC_RESULT_INIT;
        s->twist = twists[i];
        node_write(s->notes, "more", i == 0 ? "x" : "y");
        tu_assert_ok(bob_syncs(s, &result));
        assert_int_equal(result.refused, 1);
        assert_int_equal(node_count(&s->bob, &s->id), node_count(&s->alice, &s->id) - 1);
        s->twist = NULL;
        tu_assert_ok(bob_syncs(s, &result));
        assert_int_equal(result.admitted, 1);
        node_assert_same(&s->alice, &s->bob, &s->id);
    }
}

/* ---- Handshakes ---- */

static void other_key(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response response;
    (void)request;
    tu_assert_ok(eid_response_read(eid_buf_slice(answer), &response));
    eid_user_get_default_key(s->alice.user, &response.as.handshake.public_key);
    rewrite(answer, &response);
    eid_response_free(&response);
}

static void later_version(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response response;
    (void)s;
    (void)request;
    tu_assert_ok(eid_response_read(eid_buf_slice(answer), &response));
    response.as.handshake.protocol_version = 1;
    rewrite(answer, &response);
    eid_response_free(&response);
}

static void short_signature(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    eid_sync_response response;
    (void)s;
    (void)request;
    tu_assert_ok(eid_response_read(eid_buf_slice(answer), &response));
    response.as.handshake.challenge_response_len = 63;
    rewrite(answer, &response);
    eid_response_free(&response);
}

static void any_text(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    (void)request;
    eid_buf_reset(answer);
    eid_buf_append_text(answer, s->text);
}

/* Features 7, 104, 150, A13 */
static void dishonest_handshakes(void **state)
{
    scene *s = *state;
    eid_peer_info *peers;
    size_t count;

    s->twist = other_key;
    assert_refused(s, EID_ERR_HANDSHAKE_FAILED, "Handshake failed: Signature verification failed");
    s->twist = short_signature;
    assert_refused(s, EID_ERR_HANDSHAKE_FAILED, "Signature verification failed");
    s->twist = later_version;
    assert_refused(s, EID_ERR_PROTOCOL_MISMATCH, "Protocol version mismatch: expected 0, received 1");
    s->twist = any_text;
    s->text = "{\"Error\":\"not today\"}";
    assert_refused(s, EID_ERR_HANDSHAKE_FAILED, "Handshake failed: not today");
    s->text = "\"Ack\"";
    assert_refused(s, EID_ERR_HANDSHAKE_FAILED, "Handshake failed: Unexpected response type");
    tu_assert_ok(eid_sync_list_peers(s->bob.sync, &peers, &count));
    assert_int_equal(count, 0);
    eid_peer_infos_free(peers, count);
}

/* ---- Answers to a push ---- */

static void refuse_push(scene *s, const eid_sync_request *request, eid_buf *answer)
{
    if (request->kind != EID_REQUEST_SEND_ENTRIES)
        return;
    eid_buf_reset(answer);
    eid_buf_append_text(answer, s->text);
}

static void refused_pushes(void **state)
{
    scene *s = *state;
    eid_database *copy;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    tu_assert_ok(bob_syncs(s, &result));
    eid_sync_settings off = EID_SYNC_SETTINGS_DISABLED;
    tu_assert_ok(tu_track(s->bob.user, &s->id, &off));
    tu_assert_ok(eid_user_open_database(s->bob.user, &s->id, &copy));
    node_write(copy, "bob", "was here");
    s->twist = refuse_push;
    s->text = "{\"Error\":\"disk full\"}";
    tu_assert_fails(bob_syncs(s, &result), EID_ERR_NETWORK);
    assert_string_equal(eid_last_error(), "Network error: Server error receiving entries: disk full");
    node_write(copy, "bob", "is here again");
    s->text = "{\"BootstrapPending\":{\"request_id\":\"7\",\"message\":\"wait\"}}";
    tu_assert_fails(bob_syncs(s, &result), EID_ERR_UNEXPECTED_RESPONSE);
    assert_non_null(strstr(eid_last_error(), "expected Ack or Count, got BootstrapPending"));
    s->twist = NULL;
    node_write(copy, "bob", "stays");
    tu_assert_ok(bob_syncs(s, &result));
    assert_int_equal(result.sent, 1);
    node_assert_same(&s->alice, &s->bob, &s->id);
    assert_int_equal(s->pushes, 3);
    eid_database_close(copy);
}

/* ---- Requests to our responder ---- */

static void assert_body_refused(const scene *s, eid_slice body, eid_handle_result wanted, const char *words)
{
    eid_buf answer;
    eid_id sync_database = *eid_database_root_id(s->alice.sync->database);
    uint64_t before = node_count(&s->alice, &sync_database);
    uint64_t entries = node_count(&s->alice, &s->id);
    eid_buf_init(&answer, BUFFER_MAX);
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), wanted);
    if (words != NULL && (answer.data == NULL || strstr((const char *)answer.data, words) == NULL))
        fail_msg("'%s' instead of '%s'", answer.data == NULL ? "" : (const char *)answer.data, words);
    assert_int_equal(node_count(&s->alice, &sync_database), before);
    assert_int_equal(node_count(&s->alice, &s->id), entries);
    eid_buf_free(&answer);
}

/* Feature A14 */
static void bodies_that_are_no_requests(void **state)
{
    scene *s = *state;
    static const struct {
        const char *body;
        eid_handle_result result;
        const char *words;
    } cases[] = {
        {"", EID_BODY_MALFORMED, "Failed to parse the request body as JSON: "},
        {"{", EID_BODY_MALFORMED, NULL},
        {"nul", EID_BODY_MALFORMED, NULL},
        {"{\"SendEntries\":[]} x", EID_BODY_MALFORMED, NULL},
        {"{\"SendEntries\":[],}", EID_BODY_MALFORMED, NULL},
        {"{\"SendEntries\":[1]}", EID_BODY_WRONG_SHAPE,
         "Failed to deserialize the JSON body into the target type: "},
        {"{\"SendEntries\":[[]]}", EID_BODY_WRONG_SHAPE, NULL},
        {"{\"SyncTree\":[]}", EID_BODY_WRONG_SHAPE, NULL},
        {"{\"Handshake\":null}", EID_BODY_WRONG_SHAPE, NULL},
        {"\"SyncTree\"", EID_BODY_WRONG_SHAPE, NULL},
        {"{\"Handshake\":{\"device_id\":\"x\"}}", EID_BODY_WRONG_SHAPE, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_body_refused(s, eid_slice_text(cases[i].body), cases[i].result, cases[i].words);
    char *deep = malloc(300000);
    memset(deep, '[', 300000);
    memcpy(deep, "{\"SendEntries\":[{\"x\":", 21);
    assert_body_refused(s, eid_slice_of(deep, 300000), EID_BODY_MALFORMED, NULL);
    free(deep);
}

/* Every beginning of a good request is refused as incomplete, and changes nothing. */
static void bodies_that_break_off(void **state)
{
    scene *s = *state;
    eid_sync_response honest;
    eid_sync_request request = {.kind = EID_REQUEST_SEND_ENTRIES};
    eid_buf body;
    honest_bootstrap(s, &s->id, &honest);
    request.as.entries = honest.as.bootstrap.entries;
    eid_buf_init(&body, BUFFER_MAX);
    eid_request_write(&body, &request);
    for (size_t len = 0; len < body.len; len += 7)
        assert_body_refused(s, eid_slice_of(body.data, len), EID_BODY_MALFORMED, NULL);
    eid_buf_free(&body);
    eid_response_free(&honest);
}

/* Feature A8 */
static void too_many_tips(void **state)
{
    scene *s = *state;
    char id[EID_ID_TEXT_SIZE];
    eid_buf body;
    eid_id_format(&s->id, id);
    eid_buf_init(&body, BUFFER_MAX);
    eid_buf_appendf(&body, "{\"SyncTree\":{\"tree_id\":\"%s\",\"our_tips\":[\"\"", id);
    for (int i = 0; i < EID_LIMIT_SYNC_TIPS; i++)
        eid_buf_append_text(&body, ",\"\"");
    eid_buf_append_text(&body, "]}}");
    assert_body_refused(s, eid_buf_slice(&body), EID_BODY_WRONG_SHAPE, "more than 65536 IDs");
    eid_buf_free(&body);
}

static uint64_t send_entries(scene *s, const eid_entry_list *list)
{
    eid_sync_request request = {.kind = EID_REQUEST_SEND_ENTRIES, .as.entries = *list};
    eid_sync_response response;
    eid_buf body, answer;
    uint64_t count = UINT64_MAX;
    eid_buf_init(&body, BUFFER_MAX);
    eid_buf_init(&answer, BUFFER_MAX);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    if (response.kind == EID_RESPONSE_COUNT)
        count = response.as.count;
    else
        assert_int_equal(response.kind, EID_RESPONSE_ACK);
    eid_response_free(&response);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    return count;
}

/* Nobody can put databases here, or entries into databases that are not shared. */
/* Feature A3 */
static void entries_nobody_asked_for(void **state)
{
    scene *s = *state;
    node eve;
    eid_sync_response mine;
    eid_entry_list all = {NULL, 0, 0};
    size_t databases = databases_of(&s->alice);

    node_open(&eve, "eve");
    eid_database *spam = node_create(&eve, "spam", true);
    node_write(spam, "a", "spam");
    node_set_global(spam, node_read_only);
    scene eves = {.alice = eve};
    honest_bootstrap(&eves, eid_database_root_id(spam), &mine);
    all.items = calloc(mine.as.bootstrap.entries.count + 1, sizeof *all.items);
    all.items[all.count++] = mine.as.bootstrap.root;
    for (size_t i = 0; i < mine.as.bootstrap.entries.count; i++)
        all.items[all.count++] = mine.as.bootstrap.entries.items[i];
    assert_int_equal(send_entries(s, &all), 0);
    assert_int_equal(databases_of(&s->alice), databases);
    assert_int_equal(node_count(&s->alice, eid_database_root_id(spam)), 0);
    free(all.items);
    eid_response_free(&mine);
    eid_database_close(spam);
    node_close(&eve);

    /* Bob writes with permission, but Alice does not share any more. */
    eid_database *copy;
    eid_sync_settings off = EID_SYNC_SETTINGS_DISABLED;
    tu_assert_ok(bob_syncs(s, NULL));
    tu_assert_ok(tu_track(s->bob.user, &s->id, &off));
    tu_assert_ok(eid_user_open_database(s->bob.user, &s->id, &copy));
    eid_id first = node_write(copy, "bob", "1");
    eid_id second = node_write(copy, "bob", "2");
    eid_entry *entries[2];
    tu_assert_ok(eid_database_get_entry(copy, &first, &entries[0]));
    tu_assert_ok(eid_database_get_entry(copy, &second, &entries[1]));
    eid_entry_list list = {entries, 2, 2};
    uint64_t before = node_count(&s->alice, &s->id);
    node_set_sync(&s->alice, &s->id, false);
    assert_int_equal(send_entries(s, &list), 0);
    assert_int_equal(node_count(&s->alice, &s->id), before);
    node_set_sync(&s->alice, &s->id, true);
    assert_int_equal(send_entries(s, &list), 2);
    assert_int_equal(node_count(&s->alice, &s->id), before + 2);
    assert_int_equal(send_entries(s, &list), 2); /* held already: no harm, no change */
    assert_int_equal(node_count(&s->alice, &s->id), before + 2);
    eid_entry_unref(entries[0]);
    eid_entry_unref(entries[1]);
    eid_database_close(copy);
}

/* ---- Floods ---- */

static eid_response_kind ask_for_access(scene *s, const eid_keypair *key, const eid_id *database,
                                        const char *name, size_t metadata_len)
{
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;
    eid_sync_response response;
    eid_buf body, answer;
    tree->tree = *database;
    tree->has_requesting_key = true;
    eid_keypair_public(key, &tree->requesting_key);
    tree->requesting_key_name = malloc(strlen(name) + 1);
    strcpy(tree->requesting_key_name, name);
    tree->has_permission = true;
    tree->permission = node_admin_0;
    if (metadata_len != 0) {
        char *text = malloc(metadata_len);
        memset(text, 'm', metadata_len);
        tu_assert_ok(eid_doc_new(&tree->metadata));
        tu_assert_ok(eid_doc_set_text(tree->metadata, "m", text, metadata_len));
        free(text);
    }
    eid_buf_init(&body, BUFFER_MAX);
    eid_buf_init(&answer, BUFFER_MAX);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    eid_response_kind kind = response.kind;
    eid_response_free(&response);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    free(tree->requesting_key_name);
    eid_doc_free(tree->metadata);
    return kind;
}

/* Feature A8 */
static void floods_of_requests(void **state)
{
    scene *s = *state;
    eid_keypair *key;
    char long_name[EID_LIMIT_KEY_NAME + 2];
    eid_id sync_database = *eid_database_root_id(s->alice.sync->database);

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    tu_assert_ok(eid_keypair_generate(&key));
    assert_int_equal(ask_for_access(s, key, &s->id, long_name, 0), EID_RESPONSE_ERROR);
    assert_int_equal(ask_for_access(s, key, &s->id, "k", EID_LIMIT_REQUEST_METADATA_BYTES),
                     EID_RESPONSE_ERROR);
    assert_int_equal(ask_for_access(s, key, &s->id, "k", EID_LIMIT_REQUEST_METADATA_BYTES / 2),
                     EID_RESPONSE_PENDING);
    long_name[sizeof long_name - 2] = '\0';
    assert_int_equal(ask_for_access(s, key, &s->id, long_name, 0),
                     EID_RESPONSE_PENDING); /* the same request */
    eid_keypair_free(key);
    for (int i = 1; i < EID_LIMIT_PENDING_REQUESTS_PER_TREE; i++) {
        tu_assert_ok(eid_keypair_generate(&key));
        assert_int_equal(ask_for_access(s, key, &s->id, "k", 0), EID_RESPONSE_PENDING);
        eid_keypair_free(key);
    }
    uint64_t full = node_count(&s->alice, &sync_database);
    tu_assert_ok(eid_keypair_generate(&key));
    assert_int_equal(ask_for_access(s, key, &s->id, "k", 0), EID_RESPONSE_ERROR);
    assert_int_equal(node_count(&s->alice, &sync_database), full);
    /* Another database has room of its own. */
    assert_int_equal(ask_for_access(s, key, &s->other_id, "k", 0), EID_RESPONSE_PENDING);
    eid_keypair_free(key);
}

/* Feature A8 */
static void floods_of_addresses(void **state)
{
    scene *s = *state;
    eid_peer_info *peers;
    size_t count, kept = 0;
    for (int round = 0; round < 3; round++) {
        eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE};
        eid_handshake_request *handshake = &request.as.handshake;
        eid_address *addresses[20];
        uint8_t challenge[32] = {0};
        char name[2000];
        eid_buf body, answer;
        for (int i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "10.0.%d.%d:80", round, i);
            tu_assert_ok(eid_address_http(text, &addresses[i]));
        }
        memset(name, 'p', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        eid_instance_device_pubkey(s->bob.instance, &handshake->public_key);
        handshake->device_id = handshake->public_key;
        handshake->display_name = name;
        handshake->challenge = challenge;
        handshake->challenge_len = sizeof challenge;
        handshake->addresses = addresses;
        handshake->address_count = 20;
        eid_buf_init(&body, BUFFER_MAX);
        eid_buf_init(&answer, BUFFER_MAX);
        eid_request_write(&body, &request);
        assert_int_equal(node_ask(&s->alice, (const char *)body.data, body.len, &answer), EID_HANDLED);
        assert_memory_equal(answer.data, "{\"Handshake\":", 13);
        eid_buf_free(&body);
        eid_buf_free(&answer);
        for (int i = 0; i < 20; i++)
            eid_address_free(addresses[i]);
    }
    tu_assert_ok(eid_sync_list_peers(s->alice.sync, &peers, &count));
    assert_int_equal(count, 1);
    while (peers[0].addresses[kept] != NULL)
        kept++;
    assert_int_equal(kept, EID_LIMIT_PEER_ADDRESSES);
    assert_string_equal(peers[0].addresses[0], "http:10.0.0.0:80");
    assert_int_equal(strlen(peers[0].display_name), EID_LIMIT_DISPLAY_NAME);
    eid_peer_infos_free(peers, count);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(unreadable_answers),       IN_SCENE(answers_of_other_databases),
        IN_SCENE(falsified_entries),        IN_SCENE(dishonest_handshakes),
        IN_SCENE(refused_pushes),           IN_SCENE(bodies_that_are_no_requests),
        IN_SCENE(bodies_that_break_off),    IN_SCENE(too_many_tips),
        IN_SCENE(entries_nobody_asked_for), IN_SCENE(floods_of_requests),
        IN_SCENE(floods_of_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
