/* SPDX-License-Identifier: Apache-2.0 */
/* transcripts/: recorded exchanges between two Rust instances, played against our responder.
 *
 * Our instance gets the server's device key and the clock of the recording, holds the entries the server held
 * (found in the recorded answers, and taken in like any received entries), and is asked with the recorded
 * bytes. What can be equal must be: the kind of the answer, error texts, tips, the set of entries,
 * permissions, the handshake signature. Where we answer differently on purpose, the case stands in
 * `deviations` with the reason.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/jsondom.h"
#include "support/testutil.h"
#include "sync/sync_int.h"
#include <eidetica/eidetica.h>

static const char *const files[] = {
    "bootstrap_detect_permission",
    "bootstrap_key_listed",
    "bootstrap_pending_approve_retry",
    "bootstrap_rejected",
    "bootstrap_wildcard_anonymous",
    "bootstrap_wildcard_read",
    "bootstrap_wildcard_too_small",
    "bootstrap_wildcard_write",
    "handshake",
    "handshake_and_send_entries_variants",
    "incremental_both_ways",
    "incremental_unauthorized_device_key",
    "malformed",
    "request_auth",
    "sync_disabled",
    "sync_on_commit",
    "unknown_tree",
};
#define FILE_COUNT (sizeof files / sizeof files[0])

/* ---- Deliberate differences ---- */

typedef struct deviation {
    const char *file;
    uint64_t n;
    const char *answer; /* the whole body we give */
    const char *reason;
} deviation;

static const deviation deviations[] = {
    {"handshake_and_send_entries_variants", 2, "{\"Error\":\"Invalid challenge: expected 32 bytes, got 0\"}",
     "only challenges of exactly 32 bytes are signed: anything else could be an entry in disguise"},
    {"handshake_and_send_entries_variants", 3, "{\"Error\":\"Invalid challenge: expected 32 bytes, got 7\"}",
     "only challenges of exactly 32 bytes are signed"},
    {"handshake_and_send_entries_variants", 6, "{\"Count\":1}",
     "the orphan waits for its parents and is counted; the unsigned entry is refused, not stored"},
};

/* In every handshake: databases are listed only when they are shared and open to everybody, since the caller
 * has proven nothing; the recorded list has every root in the store. Names are filled. So the lists are not
 * compared. */

static const deviation *deviation_of(const char *file, uint64_t n)
{
    for (size_t i = 0; i < sizeof deviations / sizeof deviations[0]; i++)
        if (strcmp(deviations[i].file, file) == 0 && deviations[i].n == n)
            return &deviations[i];
    return NULL;
}

/* ---- What the recording leaves to be told ---- */

/* Set-up before one exchange, beyond the entries in its recorded answer. */
typedef struct stage {
    const char *file;
    uint64_t n;
    size_t
        hold; /* entries of the database, lowest first, that the server held; 0: only those of the answer */
    bool not_shared; /* sync is off for it at that time */
    bool stand_in;   /* its entries are recorded nowhere: a database of our own takes its place */
} stage;

static const stage stages[] = {
    {"bootstrap_detect_permission", 2, 3, false, false},     /* B's key is listed by the fourth entry */
    {"bootstrap_pending_approve_retry", 2, 3, false, false}, /* the fourth is A's approval */
    {"bootstrap_rejected", 2, 0, false, true},
    {"bootstrap_rejected", 4, 0, false, true},
    {"bootstrap_wildcard_too_small", 2, 0, false, true},
    {"handshake_and_send_entries_variants", 5, 1, false, false},
    {"incremental_unauthorized_device_key", 2, 9, false, false},
    {"sync_disabled", 2, 4, true, false},
    {"sync_disabled", 6, 4, true, false},
};

static const stage *stage_of(const char *file, uint64_t n)
{
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        if (strcmp(stages[i].file, file) == 0 && stages[i].n == n)
            return &stages[i];
    return NULL;
}

/* ---- All recorded entries ---- */

typedef struct pool {
    eid_entry *items[512];
    size_t count;
} pool;

static void pool_add(pool *p, eid_entry *entry)
{
    for (size_t i = 0; i < p->count; i++)
        if (eid_id_equal(eid_entry_id(p->items[i]), eid_entry_id(entry)))
            return;
    assert_true(p->count < sizeof p->items / sizeof p->items[0]);
    p->items[p->count++] = eid_entry_ref(entry);
}

static void pool_add_list(pool *p, const eid_entry_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (eid_entry_is_signed(list->items[i]))
            pool_add(p, list->items[i]);
}

static void pool_add_response(pool *p, const eid_sync_response *response)
{
    if (response->kind == EID_RESPONSE_BOOTSTRAP) {
        pool_add(p, response->as.bootstrap.root);
        pool_add_list(p, &response->as.bootstrap.entries);
    } else if (response->kind == EID_RESPONSE_INCREMENTAL) {
        pool_add_list(p, &response->as.incremental.entries);
    }
}

static eid_slice body_of(const jd_node *message)
{
    return jd_slice(jd_need(jd_need(message, "body"), "text"));
}

static jd_node *load_transcript(const char *file)
{
    char name[128];
    snprintf(name, sizeof name, "transcripts/%s.jsonl", file);
    return jd_load_lines(name);
}

static void pool_fill(pool *p)
{
    p->count = 0;
    for (size_t f = 0; f < FILE_COUNT; f++) {
        jd_node *lines = load_transcript(files[f]);
        for (size_t i = 0; i < jd_len(lines); i++) {
            const jd_node *line = jd_at(lines, i);
            eid_sync_response response;
            eid_sync_request request;
            if (jd_get(line, "request") == NULL)
                continue;
            if (eid_response_read(body_of(jd_need(line, "response")), &response) == EID_OK) {
                pool_add_response(p, &response);
                eid_response_free(&response);
            }
            if (eid_request_read(body_of(jd_need(line, "request")), &request) == EID_OK) {
                if (request.kind == EID_REQUEST_SEND_ENTRIES)
                    pool_add_list(p, &request.as.entries);
                eid_request_free(&request);
            }
        }
        jd_free(lines);
    }
}

static void pool_free(pool *p)
{
    for (size_t i = 0; i < p->count; i++)
        eid_entry_unref(p->items[i]);
}

/* ---- Our instance in the server's place ---- */

typedef struct stage_set {
    const char *file;
    const pool *pool;
    eid_instance *instance;
    eid_sync *sync;
    eid_keypair *device;
    eid_user *user;
    eid_database *stand_in;
    uint64_t now_ms;
} stage_set;

static uint64_t recorded_clock(void *ctx)
{
    return ((stage_set *)ctx)->now_ms;
}

static void open_set(stage_set *set, const jd_node *parties)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    tu_assert_ok(
        eid_keypair_parse(jd_get_str(jd_need(parties, "A (server)"), "device_private_key"), &set->device));
    options.device_key = set->device;
    options.now_ms = recorded_clock;
    options.clock_ctx = set;
    tu_assert_ok(eid_instance_open_url_with("memory:", &options, &set->instance));
    tu_assert_ok(eid_instance_login_or_create_user(set->instance, "alice", NULL, &set->user));
    tu_assert_ok(eid_instance_enable_sync(set->instance));
    tu_assert_ok(eid_instance_sync(set->instance, &set->sync));
}

static void close_set(stage_set *set)
{
    eid_database_close(set->stand_in);
    eid_user_logout(set->user);
    eid_instance_close(set->instance);
    eid_keypair_free(set->device);
}

/* Writes the combined preference into `_sync`, as it stands there in a running node, and has it read. */
static void set_shared(stage_set *set, const eid_id *database, bool shared)
{
    char id[EID_ID_TEXT_SIZE];
    eid_txn *txn;
    eid_doc *record;

    eid_id_format(database, id);
    tu_assert_ok(eid_doc_new(&record));
    tu_assert_ok(
        eid_doc_set_string(record, "users", "[{\"user_uuid\":\"5de07c6e-0000-4000-8000-000000000000\"}]"));
    tu_assert_ok(eid_doc_set_string(
        record, "combined_settings",
        shared ? "{\"sync_enabled\":true,\"sync_on_commit\":false,\"interval_seconds\":null,"
                 "\"properties\":{}}"
               : "{\"sync_enabled\":false,\"sync_on_commit\":false,\"interval_seconds\":null,"
                 "\"properties\":{}}"));
    tu_assert_ok(eid_database_new_transaction(set->sync->database, &txn));
    tu_assert_ok(eid_docstore_set_doc(txn, EID_STORE_DATABASE_USERS, id, record));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_doc_free(record);
    tu_assert_ok(eid_shared_load(set->sync));
}

/* The recorded entries of the database in order of height. */
static size_t entries_of(const pool *p, const eid_id *database, eid_entry **out)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!eid_id_equal(eid_entry_database_id(p->items[i]), database))
            continue;
        size_t at = count++;
        while (at > 0 && eid_entry_height(out[at - 1]) > eid_entry_height(p->items[i])) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = p->items[i];
    }
    return count;
}

static void take(stage_set *set, const eid_id *database, eid_entry *const *entries, size_t count)
{
    eid_receipt receipt;
    if (count == 0)
        return;
    tu_assert_ok(eid_core_receive(set->sync->core, database, entries, count, &receipt, NULL));
    if (receipt.refused != 0 || receipt.waiting != 0)
        fail_msg("%s: %llu recorded entries refused (%s), %llu waiting", set->file,
                 (unsigned long long)receipt.refused, receipt.text, (unsigned long long)receipt.waiting);
}

/* Everything the server held when it gave this answer, as far as it was recorded. */
static void hold(stage_set *set, const eid_id *database, const stage *s, const eid_sync_response *recorded)
{
    eid_entry *sorted[512];
    pool answered = {.count = 0};
    size_t count = entries_of(set->pool, database, sorted);

    if (count == 0)
        return;
    take(set, database, sorted, s != NULL && s->hold != 0 ? s->hold : 1);
    pool_add_response(&answered, recorded);
    take(set, database, answered.items, answered.count);
    pool_free(&answered);
    set_shared(set, database, s == NULL || !s->not_shared);
}

/* A protected or open database of our own, whose ID is put into the request. */
static void make_stand_in(stage_set *set, bool open)
{
    eid_txn *txn;
    if (set->stand_in != NULL)
        return;
    tu_assert_ok(eid_user_create_database(set->user, "stand-in", &set->stand_in));
    if (open) {
        tu_assert_ok(eid_database_new_transaction(set->stand_in, &txn));
        tu_assert_ok(eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_READ, 0}));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    set_shared(set, eid_database_root_id(set->stand_in), true);
}

/* The body with the ID of our database in the place of the recorded one; free() it. */
static char *replace_tree(eid_slice body, const eid_id *recorded, const eid_id *ours)
{
    char from[EID_ID_TEXT_SIZE], to[EID_ID_TEXT_SIZE];
    char *copy = malloc(body.len + 1);
    memcpy(copy, body.data, body.len);
    copy[body.len] = '\0';
    eid_id_format(recorded, from);
    eid_id_format(ours, to);
    assert_int_equal(strlen(from), strlen(to));
    char *at = strstr(copy, from);
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    return copy;
}

/* ---- Comparing ---- */

static int compare_id_pointers(const void *a, const void *b)
{
    return eid_id_compare(*(const eid_id *const *)a, *(const eid_id *const *)b);
}

static void assert_same_entries(const char *where, const eid_entry_list *got, const eid_entry_list *wanted)
{
    const eid_id *left[512], *right[512];
    if (got->count != wanted->count)
        fail_msg("%s: %zu entries instead of %zu", where, got->count, wanted->count);
    for (size_t i = 0; i < got->count; i++) {
        left[i] = eid_entry_id(got->items[i]);
        right[i] = eid_entry_id(wanted->items[i]);
    }
    qsort(left, got->count, sizeof left[0], compare_id_pointers);
    qsort(right, got->count, sizeof right[0], compare_id_pointers);
    for (size_t i = 0; i < got->count; i++)
        if (!eid_id_equal(left[i], right[i]))
            fail_msg("%s: other entries than recorded", where);
}

static void assert_same_handshake(const char *where, const eid_handshake_response *got,
                                  const eid_handshake_response *wanted)
{
    if (!eid_pubkey_equal(&got->public_key, &wanted->public_key) ||
        !eid_pubkey_equal(&got->device_id, &wanted->device_id))
        fail_msg("%s: another key", where);
    assert_string_equal(got->display_name, wanted->display_name);
    assert_int_equal(got->protocol_version, wanted->protocol_version);
    assert_int_equal(got->challenge_response_len, wanted->challenge_response_len);
    assert_memory_equal(got->challenge_response, wanted->challenge_response, wanted->challenge_response_len);
    assert_int_equal(got->new_challenge_len, wanted->new_challenge_len);
}

static void assert_same_bootstrap(const char *where, const eid_bootstrap_response *got,
                                  const eid_bootstrap_response *wanted)
{
    assert_true(eid_id_equal(&got->tree, &wanted->tree));
    assert_true(eid_id_equal(eid_entry_id(got->root), eid_entry_id(wanted->root)));
    assert_same_entries(where, &got->entries, &wanted->entries);
    assert_int_equal(got->key_approved, wanted->key_approved);
    assert_int_equal(got->has_permission, wanted->has_permission);
    if (wanted->has_permission)
        assert_int_equal(eid_permission_compare(got->permission, wanted->permission), 0);
}

static void assert_same_incremental(const char *where, const eid_incremental_response *got,
                                    const eid_incremental_response *wanted)
{
    assert_true(eid_id_equal(&got->tree, &wanted->tree));
    if (got->tip_count != wanted->tip_count)
        fail_msg("%s: %zu tips instead of %zu", where, got->tip_count, wanted->tip_count);
    for (size_t i = 0; i < got->tip_count; i++)
        assert_true(eid_id_equal(&got->tips[i], &wanted->tips[i]));
    assert_same_entries(where, &got->entries, &wanted->entries);
}

static void assert_same_answer(const char *where, const eid_sync_response *got,
                               const eid_sync_response *wanted)
{
    if (got->kind != wanted->kind)
        fail_msg("%s: %s instead of %s%s%s", where, eid_response_kind_name(got->kind),
                 eid_response_kind_name(wanted->kind), got->kind == EID_RESPONSE_ERROR ? ": " : "",
                 got->kind == EID_RESPONSE_ERROR ? got->as.error : "");
    switch (wanted->kind) {
    case EID_RESPONSE_HANDSHAKE:
        assert_same_handshake(where, &got->as.handshake, &wanted->as.handshake);
        break;
    case EID_RESPONSE_BOOTSTRAP:
        assert_same_bootstrap(where, &got->as.bootstrap, &wanted->as.bootstrap);
        break;
    case EID_RESPONSE_INCREMENTAL:
        assert_same_incremental(where, &got->as.incremental, &wanted->as.incremental);
        break;
    case EID_RESPONSE_PENDING:
        assert_int_equal(strlen(got->as.pending.request_id), strlen(wanted->as.pending.request_id));
        assert_string_equal(got->as.pending.message, wanted->as.pending.message);
        break;
    case EID_RESPONSE_COUNT:
        assert_int_equal(got->as.count, wanted->as.count);
        break;
    case EID_RESPONSE_ERROR:
        if (strcmp(got->as.error, wanted->as.error) != 0)
            fail_msg("%s:\n  got    %s\n  wanted %s", where, got->as.error, wanted->as.error);
        break;
    case EID_RESPONSE_ACK:
        break;
    }
}

/* ---- Playing ---- */

/* The clock follows the recording; proofs that were made too early or too late on purpose do not move it. */
static void set_clock(stage_set *set, const eid_sync_request *request)
{
    if (request->kind != EID_REQUEST_SYNC_TREE || !request->as.tree.has_proof)
        return;
    uint64_t stamp = request->as.tree.proof.timestamp_ms;
    if (set->now_ms == 0 || (stamp > set->now_ms && stamp - set->now_ms < 30000))
        set->now_ms = stamp;
}

static const eid_id *database_of(const eid_sync_request *request)
{
    if (request->kind == EID_REQUEST_SYNC_TREE)
        return &request->as.tree.tree;
    if (request->kind == EID_REQUEST_SEND_ENTRIES && request->as.entries.count != 0)
        return eid_entry_database_id(request->as.entries.items[0]);
    return NULL;
}

static void answer_of(stage_set *set, eid_slice body, eid_buf *out)
{
    eid_request_origin origin = {"http", "127.0.0.1:40000", NULL, false, 0};
    eid_source *rest = NULL;
    assert_int_equal(eid_sync_handle(body, &origin, out, &rest, set->sync), EID_HANDLED);
}

static void play(stage_set *set, const jd_node *line)
{
    uint64_t n = jd_get_u64(line, "n");
    const stage *s = stage_of(set->file, n);
    const deviation *d = deviation_of(set->file, n);
    eid_slice body = body_of(jd_need(line, "request"));
    eid_sync_request request;
    eid_sync_response wanted, got;
    eid_buf answer;
    char where[128];
    char *replaced = NULL;

    snprintf(where, sizeof where, "%s, exchange %llu", set->file, (unsigned long long)n);
    tu_assert_ok(eid_request_read(body, &request));
    tu_assert_ok(eid_response_read(body_of(jd_need(line, "response")), &wanted));
    set_clock(set, &request);
    if (s != NULL && s->stand_in) {
        make_stand_in(set, request.as.tree.has_requesting_key);
        replaced = replace_tree(body, &request.as.tree.tree, eid_database_root_id(set->stand_in));
        body = eid_slice_text(replaced);
    } else if (database_of(&request) != NULL) {
        hold(set, database_of(&request), s, &wanted);
    }
    eid_buf_init(&answer, 1u << 20);
    answer_of(set, body, &answer);
    if (d != NULL) {
        print_message("[ DIFFERS  ] %s: %s\n", where, d->reason);
        assert_string_equal((const char *)answer.data, d->answer);
    } else {
        tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &got));
        assert_same_answer(where, &got, &wanted);
        eid_response_free(&got);
    }
    free(replaced);
    eid_buf_free(&answer);
    eid_response_free(&wanted);
    eid_request_free(&request);
}

/* Features 24, 124 */
static void exchanges(void **state)
{
    (void)state;
    pool p;
    size_t played = 0;
    pool_fill(&p);
    assert_true(p.count > 30);
    for (size_t f = 0; f < FILE_COUNT; f++) {
        if (strcmp(files[f], "malformed") == 0)
            continue; /* played over HTTP below */
        jd_node *lines = load_transcript(files[f]);
        stage_set set = {.file = files[f], .pool = &p};
        open_set(&set, jd_need(jd_at(lines, 0), "parties"));
        for (size_t i = 0; i < jd_len(lines); i++) {
            if (jd_get(jd_at(lines, i), "request") == NULL)
                continue;
            play(&set, jd_at(lines, i));
            played++;
        }
        close_set(&set);
        jd_free(lines);
    }
    assert_int_equal(played, 60);
    pool_free(&p);
}

/* ---- malformed: the HTTP side ---- */

static void send_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len != 0;) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        len -= (size_t)sent;
    }
}

/* Two recorded bodies are only described: spaces inside an otherwise complete message. */
static eid_slice real_body(eid_slice recorded, uint8_t **room)
{
    const char *text = (const char *)recorded.data;
    const char *total = recorded.len < 200 ? strstr(text, "total ") : NULL;
    *room = NULL;
    if (total == NULL)
        return recorded;
    size_t len = strtoul(total + 6, NULL, 10);
    *room = malloc(len);
    memset(*room, ' ', len);
    memcpy(*room, "{\"SendEntries\":[]", 17);
    (*room)[len - 1] = '}';
    return eid_slice_of(*room, len);
}

static void exchange_http(const char *address, const jd_node *request, eid_buf *answer)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {10, 0};
    const jd_node *headers = jd_need(request, "headers");
    uint8_t *room;
    eid_slice body = real_body(body_of(request), &room);
    eid_buf head;
    char piece[4096];

    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    eid_buf_init(&head, 4096);
    eid_buf_appendf(&head, "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n",
                    jd_get_str(request, "method"), jd_get_str(request, "path"), body.len);
    for (size_t i = 0; i < jd_len(headers); i++) {
        const char *name = jd_str(jd_at(jd_at(headers, i), 0));
        if (strcmp(name, "content-length") != 0)
            eid_buf_appendf(&head, "%s: %s\r\n", name, jd_str(jd_at(jd_at(headers, i), 1)));
    }
    eid_buf_append_text(&head, "\r\n");
    send_all(fd, head.data, head.len);
    send_all(fd, body.data, body.len);
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            break;
        eid_buf_append(answer, piece, (size_t)got);
    }
    close(fd);
    eid_buf_free(&head);
    free(room);
}

/* The text of a body error is our own behind the recorded first words; everything else is the same. */
static void assert_same_http(uint64_t n, const jd_node *response, const eid_buf *answer)
{
    const char *text = (const char *)answer->data;
    const char *body = answer->data == NULL ? NULL : strstr(text, "\r\n\r\n");
    uint64_t wanted = jd_get_u64(response, "status");
    int status = 0;

    if (body == NULL || sscanf(text, "HTTP/1.1 %d", &status) != 1 || (uint64_t)status != wanted)
        fail_msg("malformed, exchange %llu: status %d instead of %llu", (unsigned long long)n, status,
                 (unsigned long long)wanted);
    const char *recorded = jd_str(jd_need(jd_need(response, "body"), "text"));
    if (wanted == 400 || wanted == 422) {
        size_t words = (size_t)(strchr(recorded, ':') - recorded) + 1;
        assert_memory_equal(body + 4, recorded, words);
        assert_non_null(strstr(text, "Content-Type: text/plain; charset=utf-8\r\n"));
    } else {
        assert_string_equal(body + 4, recorded);
    }
    if (wanted == 405)
        assert_non_null(strstr(text, "Allow: POST\r\n"));
    if (wanted == 200)
        assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
}

/* Feature 24 */
static void malformed_bodies(void **state)
{
    (void)state;
    jd_node *lines = load_transcript("malformed");
    stage_set set = {.file = "malformed", .now_ms = UINT64_C(1795427378000)};
    size_t played = 0;
    char *address;

    open_set(&set, jd_need(jd_at(lines, 0), "parties"));
    tu_assert_ok(eid_sync_enable_http_transport(set.sync));
    tu_assert_ok(eid_sync_start_server(set.sync, "127.0.0.1:0"));
    tu_assert_ok(eid_sync_get_server_address(set.sync, &address));
    for (size_t i = 0; i < jd_len(lines); i++) {
        const jd_node *line = jd_at(lines, i);
        eid_buf answer;
        if (jd_get(line, "request") == NULL)
            continue;
        eid_buf_init(&answer, 1u << 20);
        exchange_http(address, jd_need(line, "request"), &answer);
        assert_same_http(jd_get_u64(line, "n"), jd_need(line, "response"), &answer);
        eid_buf_free(&answer);
        played++;
    }
    assert_int_equal(played, 21);
    eid_free(address);
    close_set(&set);
    jd_free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanges),
        cmocka_unit_test(malformed_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
