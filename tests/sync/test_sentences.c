/* SPDX-License-Identifier: Apache-2.0 */
/* The errors of sync as people know them: each row of sync-behaviour.md section 11 is provoked, or it is said why it can not
 * happen here. A text that ends in "…" is the beginning of the sentence; "{}" stands for what the row fills in. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Alice serves over HTTP; Bob only asks. Carol (0) and Dave (1) are on hosts without threads, where answers can be twisted. */
typedef struct scene {
    node alice, bob, bare;
    eid_database *closed;
    eid_id closed_id;
    net *n;
    const char *answer; /* in place of the one to SyncTree or, below, to Handshake */
    bool to_handshake;
    char filled[400];   /* what stands for "{}" */
} scene;

/* ---- Twisted answers ---- */

static eid_status replace_answer(const char *address, eid_slice body, eid_buf *answer, void *ctx)
{
    const scene *s = ctx;
    bool handshake = memmem(body.data, body.len, "{\"Handshake\"", 12) != NULL;
    (void)address;
    if (s->answer == NULL || handshake != s->to_handshake)
        return EID_OK;
    eid_buf_reset(answer);
    eid_buf_append_text(answer, s->answer);
    return EID_OK;
}

static eid_status ask_carol(scene *s, bool to_handshake, const char *answer)
{
    eid_address *address;
    s->answer = answer;
    s->to_handshake = to_handshake;
    tu_assert_ok(eid_address_new("direct", "0", &address));
    eid_status status = eid_sync_with_address(s->n->nodes[1].sync, address, &s->n->id, NULL, NULL);
    eid_address_free(address);
    s->answer = NULL;
    return status;
}

/* ---- The rows ---- */

static eid_status no_transport(scene *s)
{
    eid_pubkey peer;
    return eid_sync_connect_to_peer(s->bare.sync, "127.0.0.1:1", &peer);
}

static eid_status sync_not_enabled(scene *s)
{
    eid_instance *instance;
    eid_sync *sync;
    (void)s;
    tu_assert_ok(eid_instance_open_url("memory:", &instance));
    eid_status status = eid_instance_sync(instance, &sync);
    eid_instance_close(instance);
    return status;
}

static eid_status already_running(scene *s)
{
    snprintf(s->filled, sizeof s->filled, "%s", s->alice.address);
    return eid_sync_start_server(s->alice.sync, "127.0.0.1:0");
}

static eid_status not_running(scene *s)
{
    char *address;
    eid_status status = eid_sync_get_server_address(s->bob.sync, &address);
    return status == EID_ERR_SERVER_NOT_RUNNING ? eid_sync_stop_server(s->bob.sync) : status;
}

static eid_status unexpected(scene *s)
{
    return ask_carol(s, false, "\"Ack\"");
}

static eid_status network(scene *s)
{
    eid_keypair *pair;
    eid_pubkey key;
    tu_assert_ok(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &key);
    eid_keypair_free(pair);
    tu_assert_ok(eid_sync_register_peer(s->bob.sync, &key, NULL));
    return eid_sync_tree_with_peer(s->bob.sync, &key, &s->closed_id, NULL);
}

static eid_status transport_init(scene *s)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "node.db"), url[512];
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    node n;
    (void)s;
    snprintf(url, sizeof url, "sqlite:%s", path);
    node_open_bare_url(&n, url, "somebody");
    options.certificate_pem = options.private_key_pem = "PEM";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "secure", &options));
    node_close(&n);
    node_open_bare_url(&n, url, "somebody");
    eid_status status = eid_sync_restore_transports(n.sync);
    node_close(&n);
    tu_temp_dir_remove(dir);
    free(path);
    return status;
}

static eid_status server_bind(scene *s)
{
    snprintf(s->filled, sizeof s->filled, "%s", s->alice.address);
    return eid_sync_start_server(s->bob.sync, s->alice.address);
}

static eid_status connection_failed(scene *s)
{
    return eid_sync_with_peer(s->bob.sync, "127.0.0.1:1", &s->closed_id, NULL);
}

static eid_status invalid_address(scene *s)
{
    return eid_sync_with_peer(s->bob.sync, "a b", &s->closed_id, NULL);
}

static eid_status peer_not_found(scene *s)
{
    eid_pubkey key;
    eid_instance_device_pubkey(s->bare.instance, &key);
    eid_pubkey_format(&key, s->filled);
    return eid_sync_update_peer_status(s->bob.sync, &key, EID_PEER_ACTIVE);
}

static eid_status peer_exists(scene *s)
{
    eid_pubkey key;
    eid_instance_device_pubkey(s->n->nodes[0].instance, &key);
    eid_pubkey_format(&key, s->filled);
    tu_assert_ok(eid_sync_register_peer(s->bob.sync, &key, NULL));
    return eid_sync_register_peer(s->bob.sync, &key, NULL);
}

static const char *version_1(scene *s)
{
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(&s->n->keys[0], key);
    snprintf(s->filled, sizeof s->filled,
             "{\"Handshake\":{\"device_id\":\"%s\",\"public_key\":\"%s\",\"display_name\":null,\"protocol_version\":1,"
             "\"challenge_response\":[],\"new_challenge\":[],\"available_trees\":[]}}",
             key, key);
    return s->filled;
}

static eid_status protocol_mismatch(scene *s)
{
    return ask_carol(s, true, version_1(s));
}

static eid_status handshake_failed(scene *s)
{
    return ask_carol(s, true, "{\"Error\":\"not today\"}");
}

static eid_status entry_not_found(scene *s)
{
    eid_entry *entry;
    eid_id id = s->closed_id;
    id.bytes[10] ^= 1;
    eid_id_format(&id, s->filled);
    return eid_database_get_entry(s->closed, &id, &entry);
}

/* The root of another database, declared as the one that was asked for. */
static eid_status invalid_entry(scene *s)
{
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_sync_response response;
    eid_buf body, answer;
    eid_database *other = node_create(&s->n->nodes[0], "other", true);
    node_set_global(other, node_read_only);
    request.as.tree.tree = *eid_database_root_id(other);
    eid_buf_init(&body, 1 << 20);
    eid_buf_init(&answer, 1 << 20);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(&s->n->nodes[0], (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    response.as.bootstrap.tree = s->n->id;
    eid_buf_reset(&answer);
    eid_response_write(&answer, &response);
    eid_response_free(&response);
    eid_buf_append_byte(&answer, '\0');
    eid_status status = ask_carol(s, false, (const char *)answer.data);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    eid_database_close(other);
    return status;
}

static eid_status protocol_error(scene *s)
{
    eid_id id = s->closed_id;
    id.bytes[10] ^= 1;
    return eid_sync_with_peer(s->bob.sync, s->alice.address, &id, NULL);
}

static eid_status request_not_found(scene *s)
{
    return eid_user_approve_bootstrap_request(s->alice.user, "11111111-1111-4111-8111-111111111111");
}

/* Files a request and gives its ID. */
static void file_request(scene *s, eid_permission permission, char id[37])
{
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_fails(node_join(&s->bob, node_ticket(&s->alice, &s->closed_id), permission, NULL), EID_ERR_BOOTSTRAP_PENDING);
    tu_assert_ok(eid_sync_pending_bootstrap_requests(s->alice.sync, &requests, &count));
    strcpy(id, requests[count - 1].id);
    eid_bootstrap_requests_free(requests, count);
}

static eid_status request_state(scene *s)
{
    char id[37];
    file_request(s, node_admin_0, id);
    tu_assert_ok(eid_user_reject_bootstrap_request(s->alice.user, id));
    strcpy(s->filled, id);
    return eid_user_approve_bootstrap_request(s->alice.user, id);
}

static eid_status insufficient(scene *s)
{
    char id[37];
    eid_keypair *nobody;
    file_request(s, node_admin_0, id);
    strcpy(s->filled, id);
    tu_assert_ok(eid_keypair_generate(&nobody));
    eid_status status = eid_sync_approve_bootstrap_request_with_key(s->alice.sync, id, nobody);
    eid_keypair_free(nobody);
    return status;
}

static eid_status invalid_data(scene *s)
{
    return ask_carol(s, false,
                     "{\"Incremental\":{\"tree_id\":\"bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4\","
                     "\"their_tips\":[],\"missing_entries\":[]}}");
}

/* What the responder says about who asks comes behind "Sync protocol error: ". */
static eid_status tree_with(scene *s, const eid_keypair *key)
{
    eid_pubkey peer;
    tu_assert_ok(eid_sync_connect_to_peer(s->bob.sync, s->alice.address, &peer));
    return key == NULL ? eid_sync_tree_with_peer(s->bob.sync, &peer, &s->closed_id, NULL)
                       : eid_sync_tree_with_peer_as(s->bob.sync, &peer, &s->closed_id, key, NULL);
}

static eid_status authentication_required(scene *s)
{
    return tree_with(s, NULL);
}

/* A member whose clock is far behind. */
static eid_status authentication_failed(scene *s)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    node_list_key(s->closed, &s->bob, node_write_10);
    tu_assert_ok(node_join(&s->bob, node_ticket(&s->alice, &s->closed_id), node_write_10, &result));
    s->bob.now_ms -= 3 * EID_FRESHNESS_WINDOW_MS;
    eid_status status = tree_with(s, eid_user_default_keypair(s->bob.user));
    s->bob.now_ms += 3 * EID_FRESHNESS_WINDOW_MS;
    return status;
}

/* Bob holds the database now; another key of his may not read it. */
static eid_status permission_denied(scene *s)
{
    eid_keypair *nobody;
    eid_pubkey key;
    char id[EID_ID_TEXT_SIZE], text[EID_PUBKEY_TEXT_SIZE];
    tu_assert_ok(eid_keypair_generate(&nobody));
    eid_keypair_public(nobody, &key);
    eid_pubkey_format(&key, text);
    eid_id_format(&s->closed_id, id);
    snprintf(s->filled, sizeof s->filled, "key %s is not authorized to read %s", text, id);
    eid_status status = tree_with(s, nobody);
    eid_keypair_free(nobody);
    return status;
}

static eid_status invalid_public_key(scene *s)
{
    eid_pubkey key;
    (void)s;
    return eid_pubkey_parse("abc123", &key);
}

static eid_status invalid_key_name(scene *s)
{
    eid_keypair *key;
    tu_assert_ok(eid_keypair_generate(&key));
    eid_status status = eid_sync_with_peer_for_bootstrap_with_key(s->bob.sync, s->alice.address, &s->closed_id, key, "",
                                                                  node_write_10, NULL);
    eid_keypair_free(key);
    return status;
}

static eid_status pending(scene *s)
{
    return node_join(&s->bob, node_ticket(&s->alice, &s->closed_id), node_admin_0, NULL);
}

static eid_status type_mismatch(scene *s)
{
    eid_doc *config;
    tu_assert_ok(eid_doc_new(&config));
    tu_assert_ok(eid_sync_keep_transport(s->bob.sync, "odd", "pigeon:v0", config));
    eid_doc_free(config);
    return eid_sync_kept_transport(s->bob.sync, "odd", "http:v0", &config);
}

static eid_status transport_not_found(scene *s)
{
    return eid_sync_accept_connections_on(s->bob.sync, "third");
}

static eid_status no_transport_for_address(scene *s)
{
    eid_address *address;
    tu_assert_ok(eid_address_new("pigeon", "loft 7", &address));
    eid_status status = eid_sync_with_address(s->bob.sync, address, &s->closed_id, NULL, NULL);
    eid_address_free(address);
    return status;
}

static eid_status multiple(scene *s)
{
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    options.bind_address = s->alice.address; /* taken */
    tu_assert_ok(eid_sync_add_http_transport(s->bare.sync, "one", &options));
    tu_assert_ok(eid_sync_add_http_transport(s->bare.sync, "two", &options));
    snprintf(s->filled, sizeof s->filled,
             "one: Failed to bind server to %s: another program already listens there; choose another port, or 0, two: ",
             s->alice.address);
    return eid_sync_accept_connections(s->bare.sync);
}

static const struct {
    const char *name;
    eid_status (*provoke)(scene *s); /* NULL: can not happen, for the reason in `text` */
    eid_status status;
    const char *text;
} rows[] = {
    {"NoTransportEnabled", no_transport, EID_ERR_NO_TRANSPORT_ENABLED,
     "No transport enabled. Call enable_http_transport() first"},
    {"SyncNotEnabled", sync_not_enabled, EID_ERR_SYNC_NOT_ENABLED,
     "Sync is not enabled on this Instance. Call eid_instance_enable_sync() first"},
    {"ServerAlreadyRunning", already_running, EID_ERR_SERVER_ALREADY_RUNNING, "Server already running on {}"},
    {"ServerNotRunning", not_running, EID_ERR_SERVER_NOT_RUNNING, "Server not running"},
    {"UnexpectedResponse", unexpected, EID_ERR_UNEXPECTED_RESPONSE,
     "Unexpected response type: expected Bootstrap or Incremental, got Ack"},
    {"Network", network, EID_ERR_NETWORK, "Network error: No addresses found for peer"},
    {"CommandSendError", NULL, EID_OK, "commands are queued without bound on memory but the caller's; closing cancels them"},
    {"TransportInit", transport_init, EID_ERR_UNSUPPORTED,
     "Multiple transport errors: secure: Failed to initialize transport: …"},
    {"RuntimeCreation", NULL, EID_OK, "there is no runtime; a thread that can not be started is EID_ERR_IO"},
    {"ServerBind", server_bind, EID_ERR_SERVER_BIND,
     "Failed to bind server to {}: another program already listens there; choose another port, or 0"},
    {"ConnectionFailed", connection_failed, EID_ERR_CONNECTION_FAILED,
     "Failed to connect to 127.0.0.1:1: Connection refused"},
    {"DeviceKeyNotFound", NULL, EID_OK, "an instance without its device key does not open"},
    {"UnsupportedTransport", NULL, EID_OK, "transports are made by functions, not by names of types"},
    {"InvalidAddress", invalid_address, EID_ERR_INVALID_ADDRESS, "Invalid address: 'a b' is not host:port…"},
    {"PeerNotFound", peer_not_found, EID_ERR_PEER_NOT_FOUND, "Peer not found: {}"},
    {"PeerAlreadyExists", peer_exists, EID_ERR_PEER_EXISTS, "Peer already exists: {}"},
    {"SerializationError", NULL, EID_OK, "what can not be written is a failure of memory or a limit"},
    {"ProtocolMismatch", protocol_mismatch, EID_ERR_PROTOCOL_MISMATCH,
     "Protocol version mismatch: expected 0, received 1"},
    {"HandshakeFailed", handshake_failed, EID_ERR_HANDSHAKE_FAILED, "Handshake failed: not today"},
    {"EntryNotFound", entry_not_found, EID_ERR_ENTRY_NOT_FOUND, "Entry not found: {}"},
    {"InvalidEntry", invalid_entry, EID_ERR_INVALID_ENTRY, "Invalid entry: root entry content hashes to …"},
    {"SyncProtocolError", protocol_error, EID_ERR_PROTOCOL, "Sync protocol error: Tree not found: …"},
    {"BackendError", NULL, EID_OK, "storage keeps its own codes, EID_ERR_STORAGE and its kin"},
    {"RequestNotFound", request_not_found, EID_ERR_REQUEST_NOT_FOUND,
     "Bootstrap request not found: 11111111-1111-4111-8111-111111111111"},
    {"RequestAlreadyExists", NULL, EID_OK, "IDs are made here, and asking the same again gives the same request"},
    {"InvalidRequestState", request_state, EID_ERR_REQUEST_STATE,
     "Invalid request state for '{}': expected Pending, found Rejected"},
    {"InvalidData", invalid_data, EID_ERR_UNEXPECTED_RESPONSE, "Invalid data: the peer answered about another database…"},
    {"InsufficientPermission", insufficient, EID_ERR_PERMISSION_DENIED,
     "Insufficient permission for request '{}': required Admin, but key has none"},
    {"BootstrapPending", pending, EID_ERR_BOOTSTRAP_PENDING, "Bootstrap request pending approval (request_id: …"},
    {"AuthenticationRequired", authentication_required, EID_ERR_PROTOCOL,
     "Sync protocol error: Authentication required: …"},
    {"AuthenticationFailed", authentication_failed, EID_ERR_PROTOCOL,
     "Sync protocol error: Authentication failed: request timestamp outside the freshness window"},
    {"PermissionDenied", permission_denied, EID_ERR_PROTOCOL, "Sync protocol error: Permission denied: {}"},
    {"InvalidPublicKey", invalid_public_key, EID_ERR_INVALID_KEY, "Invalid public key: a key must be written as …"},
    {"InvalidKeyName", invalid_key_name, EID_ERR_INVALID_ARGUMENT, "Invalid key name: Key name cannot be empty"},
    {"InstanceDropped", NULL, EID_OK, "handles must be closed before the instance"},
    {"TransportTypeMismatch", type_mismatch, EID_ERR_TYPE_MISMATCH,
     "Transport config type mismatch for 'odd': expected 'http:v0', found 'pigeon:v0'"},
    {"TransportNotFound", transport_not_found, EID_ERR_NOT_FOUND, "Transport not found: third"},
    {"NoTransportForAddress", no_transport_for_address, EID_ERR_NO_TRANSPORT_FOR_ADDRESS,
     "No transport can handle address: Address { transport_type: \"pigeon\", address: \"loft 7\" }"},
    {"MultipleTransportErrors", multiple, EID_ERR_SERVER_BIND, "Multiple transport errors: {}…"},
};

/* The text with what was filled in; *whole tells whether it is all of the sentence. */
static void expected(const scene *s, const char *text, char out[1000], bool *whole)
{
    const char *hole = strstr(text, "{}");
    if (hole == NULL)
        snprintf(out, 1000, "%s", text);
    else
        snprintf(out, 1000, "%.*s%s%s", (int)(hole - text), text, s->filled, hole + 2);
    size_t len = strlen(out), mark = strlen("…");
    *whole = len < mark || strcmp(out + len - mark, "…") != 0;
    if (!*whole)
        out[len - mark] = '\0';
}

/* Features 144, 150, N2 */
static void sentences_are_those_people_know(void **state)
{
    scene *s = *state;
    size_t provoked = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char wanted[1000];
        bool whole;
        if (rows[i].provoke == NULL)
            continue;
        eid_status status = rows[i].provoke(s);
        const char *sentence = eid_last_error();
        expected(s, rows[i].text, wanted, &whole);
        bool fits = whole ? strcmp(sentence, wanted) == 0 : strncmp(sentence, wanted, strlen(wanted)) == 0;
        if (status != rows[i].status || !fits)
            fail_msg("%s: %s (%s) instead of %s (%s)", rows[i].name, eid_status_name(status), sentence,
                     eid_status_name(rows[i].status), wanted);
        provoked++;
    }
    assert_int_equal(provoked, 31);
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    eid_sync_settings enabled = EID_SYNC_SETTINGS_ENABLED;
    node_open(&s->alice, "alice");
    node_open(&s->bob, "bob");
    node_open_bare(&s->bare, "bare");
    node_serve(&s->alice);
    s->closed = node_create(&s->alice, "closed", true);
    s->closed_id = *eid_database_root_id(s->closed);
    s->n = net_open(2);
    net_share(s->n, &enabled);
    manual_set_twist(s->n->hosts[1], replace_answer, s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    net_close(s->n);
    eid_database_close(s->closed);
    node_close(&s->bare);
    node_close(&s->bob);
    node_close(&s->alice);
    free(s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sentences_are_those_people_know, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
