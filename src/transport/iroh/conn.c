/* SPDX-License-Identifier: Apache-2.0 */
/* One QUIC connection: making it, what ngtcp2 tells of it, reading and writing packets, its end. */
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "transport/iroh/quic_int.h"

#define MS NGTCP2_MILLISECONDS

static void end_conn(eid_iroh_conn *conn, eid_status status);

static eid_iroh_conn *conn_of(ngtcp2_crypto_conn_ref *ref)
{
    return (eid_iroh_conn *)(void *)ref;
}

static ngtcp2_conn *get_quic(ngtcp2_crypto_conn_ref *ref)
{
    return conn_of(ref)->quic;
}

void eid_iroh_conn_touch(eid_iroh_conn *conn)
{
    if (conn->dirty.next == NULL && conn->state != EID_CONN_ENDED) {
        eid_link_push(&conn->endpoint->dirty, &conn->dirty);
        eid_iroh_wake(conn->endpoint);
    }
}

/* ---- What ngtcp2 tells: marks only ---- */

static void on_rand(uint8_t *out, size_t len, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    eid_random_bytes(out, len);
}

static int on_new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
    eid_iroh_conn *conn = user;
    (void)quic;
    eid_random_bytes(cid->data, len);
    cid->datalen = len;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, conn->endpoint->reset_secret,
                                                     sizeof conn->endpoint->reset_secret, cid) != 0 ||
        eid_iroh_cid_add(conn, cid) != EID_OK)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_remove_cid(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user)
{
    (void)quic;
    eid_iroh_cid_remove(user, cid);
    return 0;
}

/* After the handshake TLS has nothing more to say but session tickets, which are not used. */
static int on_crypto_data(ngtcp2_conn *quic, ngtcp2_crypto_level level, uint64_t offset, const uint8_t *data,
                          size_t len, void *user)
{
    const eid_iroh_conn *conn = user;
    return conn->session == NULL ? 0
                                 : ngtcp2_crypto_recv_crypto_data_cb(quic, level, offset, data, len, user);
}

static int on_completed(ngtcp2_conn *quic, void *user)
{
    eid_iroh_conn *conn = user;
    (void)quic;
    conn->ready = true;
    return 0;
}

static int on_stream_open(ngtcp2_conn *quic, int64_t id, void *user)
{
    eid_iroh_conn *conn = user;
    eid_iroh_stream *stream;
    if (!ngtcp2_is_bidi_stream(id))
        return 0;
    if (eid_iroh_stream_new(conn->endpoint, conn->endpoint->request_max, &stream) != EID_OK)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    stream->incoming = true;
    stream->id = id;
    stream->conn = conn;
    eid_link_push(&conn->streams, &stream->of_owner);
    ngtcp2_conn_set_stream_user_data(quic, id, stream);
    return 0;
}

static int on_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data,
                          size_t len, void *user, void *stream)
{
    (void)user;
    (void)offset;
    ngtcp2_conn_extend_max_stream_offset(quic, id, len);
    ngtcp2_conn_extend_max_offset(quic, len);
    if (stream != NULL)
        eid_iroh_stream_take(stream, data, len, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    return 0;
}

static eid_status fail_broken_off(uint64_t code)
{
    return eid_fail(EID_ERR_NETWORK, "The peer broke the request off (code %llu)", (unsigned long long)code);
}

static int on_stream_reset(ngtcp2_conn *quic, int64_t id, uint64_t size, uint64_t code, void *user,
                           void *stream)
{
    (void)quic;
    (void)id;
    (void)size;
    (void)user;
    if (stream != NULL)
        eid_iroh_stream_abort(stream, fail_broken_off(code));
    return 0;
}

static int on_stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream)
{
    eid_iroh_conn *conn = user;
    (void)flags;
    if (ngtcp2_conn_is_local_stream(quic, id)) {
        if (conn->peer != NULL)
            eid_iroh_peer_touch(conn->peer);
    } else if (ngtcp2_is_bidi_stream(id))
        ngtcp2_conn_extend_max_streams_bidi(quic, 1);
    if (stream != NULL)
        eid_iroh_stream_closed(stream, fail_broken_off(code));
    return 0;
}

static int on_more_streams(ngtcp2_conn *quic, uint64_t max, void *user)
{
    eid_iroh_conn *conn = user;
    (void)quic;
    (void)max;
    if (conn->peer != NULL)
        eid_iroh_peer_touch(conn->peer);
    return 0;
}

static int on_more_room(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user, void *data)
{
    eid_iroh_conn *conn = user;
    eid_iroh_stream *stream = data;
    (void)quic;
    (void)id;
    (void)max;
    if (stream != NULL && stream->to_write.next == NULL && !stream->out_all && stream->out != NULL) {
        eid_link_push(&conn->to_write, &stream->to_write);
        eid_iroh_conn_touch(conn);
    }
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = on_crypto_data,
    .handshake_completed = on_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = on_stream_data,
    .stream_open = on_stream_open,
    .stream_close = on_stream_close,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .extend_max_local_streams_bidi = on_more_streams,
    .rand = on_rand,
    .get_new_connection_id = on_new_cid,
    .remove_connection_id = on_remove_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .stream_reset = on_stream_reset,
    .extend_max_stream_data = on_more_room,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* ---- Making one ---- */

static void set_parameters(ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = eid_monotonic_ns();
    settings->initial_rtt = EID_LIMIT_IROH_FIRST_RTT_MS * MS;
    settings->handshake_timeout = EID_LIMIT_IROH_HANDSHAKE_MS * MS;
    settings->max_tx_udp_payload_size = EID_LIMIT_IROH_PAYLOAD;
    settings->max_window = EID_LIMIT_IROH_MAX_WINDOW;
    settings->max_stream_window = EID_LIMIT_IROH_MAX_WINDOW;
    ngtcp2_transport_params_default(params);
    params->initial_max_data = EID_LIMIT_IROH_WINDOW;
    params->initial_max_stream_data_bidi_local = EID_LIMIT_IROH_STREAM_WINDOW;
    params->initial_max_stream_data_bidi_remote = EID_LIMIT_IROH_STREAM_WINDOW;
    params->initial_max_streams_bidi = EID_LIMIT_IROH_STREAMS;
    params->max_idle_timeout = EID_LIMIT_IROH_IDLE_MS * MS;
    params->max_udp_payload_size = EID_LIMIT_IROH_PAYLOAD_TAKEN;
    params->active_connection_id_limit = EID_LIMIT_IROH_PEER_CIDS;
}

static ngtcp2_path path_between(const eid_iroh_carrier *carrier, const eid_sockaddr *remote)
{
    ngtcp2_path path = {
        .local = {(ngtcp2_sockaddr *)(uintptr_t)&carrier->local.any, eid_sockaddr_len(&carrier->local)},
        .remote = {(ngtcp2_sockaddr *)(uintptr_t)&remote->any, eid_sockaddr_len(remote)},
        .user_data = NULL,
    };
    return path;
}

static void on_timer(uv_timer_t *timer);

static eid_iroh_conn *new_conn(eid_iroh_endpoint *endpoint, eid_iroh_carrier *carrier,
                               const eid_sockaddr *remote)
{
    eid_iroh_conn *conn = eid_alloc_zero(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->tls.ref.get_conn = get_quic;
    conn->endpoint = endpoint;
    conn->carrier = carrier;
    conn->remote_address = *remote;
    conn->used_ms = eid_iroh_now_ms(endpoint);
    eid_link_init(&conn->streams);
    eid_link_init(&conn->to_write);
    ngtcp2_connection_close_error_default(&conn->error);
    uv_timer_init(endpoint->loop, &conn->timer);
    conn->timer.data = conn;
    endpoint->handles++;
    eid_link_push(&endpoint->conns, &conn->of_endpoint);
    return conn;
}

static eid_status start_tls(eid_iroh_conn *conn)
{
    EID_TRY(eid_iroh_tls_session(conn->endpoint->tls, &conn->tls, &conn->session));
    ngtcp2_conn_set_tls_native_handle(conn->quic, conn->session);
    return EID_OK;
}

static eid_status fail_quic(int error)
{
    if (error == NGTCP2_ERR_NOMEM)
        return eid_fail_memory();
    return eid_fail(EID_ERR_INTERNAL, "a QUIC connection could not be made: %s", ngtcp2_strerror(error));
}

static void random_cid(ngtcp2_cid *cid, size_t len)
{
    uint8_t bytes[NGTCP2_MAX_CIDLEN];
    eid_random_bytes(bytes, len);
    ngtcp2_cid_init(cid, bytes, len);
}

static eid_status start_client(eid_iroh_conn *conn)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid source, destination;
    ngtcp2_path path = path_between(conn->carrier, &conn->remote_address);
    set_parameters(&settings, &params);
    random_cid(&source, EID_IROH_CID);
    random_cid(&destination, NGTCP2_MIN_INITIAL_DCIDLEN + 8);
    int error = ngtcp2_conn_client_new(&conn->quic, &destination, &source, &path, NGTCP2_PROTO_VER_V1,
                                       &callbacks, &settings, &params, NULL, conn);
    if (error != 0)
        return fail_quic(error);
    EID_TRY(eid_iroh_cid_add(conn, &source));
    ngtcp2_conn_set_keep_alive_timeout(conn->quic, EID_LIMIT_IROH_KEEP_ALIVE_MS * MS);
    return start_tls(conn);
}

eid_status eid_iroh_conn_dial(eid_iroh_peer *peer, eid_iroh_carrier *carrier, const eid_sockaddr *remote)
{
    eid_iroh_conn *conn = new_conn(peer->endpoint, carrier, remote);
    if (conn == NULL)
        return eid_fail_memory();
    conn->tls.remote = peer->addr.id;
    eid_status status = start_client(conn);
    if (status != EID_OK) {
        eid_iroh_conn_free(conn);
        return status;
    }
    conn->peer = peer;
    peer->attempts++;
    eid_link_push(&peer->conns, &conn->of_peer);
    eid_iroh_conn_touch(conn);
    return EID_OK;
}

static eid_status start_server(eid_iroh_conn *conn, const ngtcp2_pkt_hd *head, const ngtcp2_cid *original)
{
    eid_iroh_endpoint *endpoint = conn->endpoint;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid source;
    ngtcp2_path path = path_between(conn->carrier, &conn->remote_address);
    set_parameters(&settings, &params);
    random_cid(&source, EID_IROH_CID);
    params.original_dcid = original != NULL ? *original : head->dcid;
    if (original != NULL) {
        params.retry_scid = head->dcid;
        params.retry_scid_present = 1;
        settings.token = head->token;
    }
    params.stateless_reset_token_present = 1;
    if (ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token, endpoint->reset_secret,
                                                     sizeof endpoint->reset_secret, &source) != 0)
        return eid_fail(EID_ERR_INTERNAL, "a reset token could not be made");
    int error = ngtcp2_conn_server_new(&conn->quic, &head->scid, &source, &path, head->version, &callbacks,
                                       &settings, &params, NULL, conn);
    if (error != 0)
        return fail_quic(error);
    EID_TRY(eid_iroh_cid_add(conn, &source));
    EID_TRY(eid_iroh_cid_add(conn, &head->dcid));
    return start_tls(conn);
}

eid_status eid_iroh_conn_accept(eid_iroh_carrier *carrier, const eid_sockaddr *remote,
                                const ngtcp2_pkt_hd *head, const ngtcp2_cid *original, eid_iroh_conn **out)
{
    eid_iroh_conn *conn = new_conn(carrier->endpoint, carrier, remote);
    if (conn == NULL)
        return eid_fail_memory();
    conn->tls.server = true;
    eid_status status = start_server(conn, head, original);
    if (status != EID_OK) {
        eid_iroh_conn_free(conn);
        return status;
    }
    conn->endpoint->counts.half_open++;
    *out = conn;
    return EID_OK;
}

/* ---- The end ---- */

static void free_memory(uv_handle_t *timer)
{
    eid_iroh_conn *conn = timer->data;
    eid_iroh_endpoint *endpoint = conn->endpoint;
    eid_free(conn->farewell);
    eid_free(conn);
    eid_iroh_let_go(endpoint);
}

static void drop_session(eid_iroh_conn *conn)
{
    if (conn->session != NULL)
        gnutls_deinit(conn->session);
    conn->session = NULL;
}

static void drop_quic(eid_iroh_conn *conn)
{
    if (conn->quic != NULL)
        ngtcp2_conn_del(conn->quic);
    conn->quic = NULL;
    drop_session(conn);
}

void eid_iroh_conn_free(eid_iroh_conn *conn)
{
    drop_quic(conn);
    eid_link_remove(&conn->of_endpoint);
    eid_link_remove(&conn->of_peer);
    eid_link_remove(&conn->dirty);
    while (conn->cid_count != 0)
        eid_iroh_cid_remove(conn, &conn->cids[conn->cid_count - 1]);
    if (conn->state == EID_CONN_ENDED)
        conn->endpoint->counts.ended--;
    uv_timer_stop(&conn->timer);
    uv_close((uv_handle_t *)&conn->timer, free_memory);
}

/* Requests that went over a connection which had worked before, and brought nothing, are asked again over a
 * new one, once. */
static bool ask_again(eid_iroh_conn *conn, eid_iroh_stream *stream)
{
    if (stream->incoming || stream->ended || stream->again || !conn->used || conn->peer == NULL ||
        stream->exchange == NULL || stream->exchange->answer.len != 0 || conn->endpoint->closing)
        return false;
    eid_link_remove(&stream->of_owner);
    eid_link_remove(&stream->to_write);
    stream->conn = NULL;
    stream->id = -1;
    stream->out_at = 0;
    stream->out_all = false;
    stream->again = true;
    eid_link_push(&conn->peer->waiting, &stream->of_owner);
    return true;
}

/* The sentence of `status` is in eid_last_error(). */
static void end_conn(eid_iroh_conn *conn, eid_status status)
{
    eid_iroh_endpoint *endpoint = conn->endpoint;
    if (conn->state == EID_CONN_ENDED)
        return;
    uint64_t linger_ms = conn->quic == NULL ? 1 : 3 * ngtcp2_conn_get_pto(conn->quic) / MS + 1;
    if (linger_ms > EID_LIMIT_IROH_LINGER_MS)
        linger_ms = EID_LIMIT_IROH_LINGER_MS;
    if (conn->state == EID_CONN_OPEN)
        endpoint->counts.connections--;
    else if (conn->tls.server)
        endpoint->counts.half_open--;
    bool attempt = conn->state == EID_CONN_HANDSHAKE && !conn->tls.server;
    conn->state = EID_CONN_ENDED;
    endpoint->counts.ended++;
    eid_link_remove(&conn->dirty);
    eid_link_remove(&conn->of_peer);
    while (!eid_link_is_empty(&conn->streams)) {
        eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, conn->streams.next, of_owner);
        if (!ask_again(conn, stream))
            eid_iroh_stream_closed(stream, status);
    }
    drop_quic(conn);
    if (conn->peer != NULL)
        eid_iroh_peer_lost(conn, attempt, status);
    conn->peer = NULL;
    uv_timer_start(&conn->timer, on_timer, linger_ms, 0);
}

static void say_farewell(eid_iroh_conn *conn)
{
    uint8_t packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize len = ngtcp2_conn_write_connection_close(conn->quic, &path.path, &info, packet,
                                                          sizeof packet, &conn->error, eid_monotonic_ns());
    if (len <= 0)
        return;
    conn->farewell = eid_memdup(packet, (size_t)len);
    conn->farewell_len = conn->farewell == NULL ? 0 : (size_t)len;
    eid_iroh_batch batch = {packet, (size_t)len, (size_t)len, 0};
    if (!conn->carrier->blocked)
        conn->carrier->functions->send(conn->carrier, &conn->remote_address, &batch);
}

void eid_iroh_conn_close(eid_iroh_conn *conn, uint64_t code)
{
    if (conn->state == EID_CONN_ENDED)
        return;
    ngtcp2_connection_close_error_set_application_error(&conn->error, code, NULL, 0);
    say_farewell(conn);
    end_conn(conn, eid_fail(EID_ERR_NETWORK, "The connection to the Iroh endpoint was closed"));
}

/* What the other side said, or what went wrong here, as a sentence. */
static eid_status fail_ended(const eid_iroh_conn *conn, int error)
{
    ngtcp2_connection_close_error close;
    eid_status status = conn->state == EID_CONN_HANDSHAKE ? EID_ERR_CONNECTION_FAILED : EID_ERR_NETWORK;
    switch (error) {
    case NGTCP2_ERR_DRAINING:
        ngtcp2_conn_get_connection_close_error(conn->quic, &close);
        if (close.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION)
            return eid_fail(status, "The Iroh endpoint closed the connection (code %llu)",
                            (unsigned long long)close.error_code);
        if (close.error_code == 0x178)
            return eid_fail(status, "The Iroh endpoint does not speak our protocol");
        return eid_fail(status, "The Iroh endpoint refused the connection (error 0x%llx)",
                        (unsigned long long)close.error_code);
    case NGTCP2_ERR_CRYPTO:
        if (!conn->tls.server && !conn->tls.proven)
            return eid_fail(status, "The Iroh endpoint did not prove the key that was dialled");
        return eid_fail(
            status, "The TLS handshake with the Iroh endpoint failed: %s",
            gnutls_alert_get_name((gnutls_alert_description_t)ngtcp2_conn_get_tls_alert(conn->quic)));
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        return eid_fail(status, "The Iroh endpoint does not answer");
    default:
        return eid_fail(status, "The connection to the Iroh endpoint broke: %s", ngtcp2_strerror(error));
    }
}

static void fail_conn(eid_iroh_conn *conn, int error)
{
    eid_status status = fail_ended(conn, error);
    switch (error) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        break; /* nothing to be said, or nobody to say it to */
    case NGTCP2_ERR_CRYPTO:
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &conn->error, ngtcp2_conn_get_tls_alert(conn->quic), NULL, 0);
        say_farewell(conn);
        break;
    default:
        ngtcp2_connection_close_error_set_transport_error_liberr(&conn->error, error, NULL, 0);
        say_farewell(conn);
    }
    status = eid_fail(status, "%s", eid_last_error());
    end_conn(conn, status);
}

/* ---- Reading ---- */

/* After the end: the farewell again, for the first packet, the second, the fourth … */
static void answer_late(eid_iroh_conn *conn)
{
    eid_iroh_batch batch = {conn->farewell, conn->farewell_len, conn->farewell_len, 0};
    conn->late++;
    if (conn->farewell_len != 0 && (conn->late & (conn->late - 1)) == 0 && !conn->carrier->blocked)
        conn->carrier->functions->send(conn->carrier, &conn->remote_address, &batch);
}

static void after_handshake(eid_iroh_conn *conn)
{
    conn->ready = false;
    conn->state = EID_CONN_OPEN;
    /* The keys are ngtcp2's now: an idle connection need not keep a session. */
    ngtcp2_conn_set_tls_native_handle(conn->quic, NULL);
    drop_session(conn);
    conn->endpoint->counts.connections++;
    if (conn->tls.server)
        conn->endpoint->counts.half_open--;
    eid_iroh_peer_ready(conn);
}

void eid_iroh_conn_read(eid_iroh_conn *conn, eid_iroh_carrier *carrier, const eid_sockaddr *from, uint8_t ecn,
                        const uint8_t *packet, size_t len)
{
    if (conn->state == EID_CONN_ENDED) {
        answer_late(conn);
        return;
    }
    ngtcp2_path path = path_between(carrier, from);
    ngtcp2_pkt_info info = {ecn};
    int error = ngtcp2_conn_read_pkt(conn->quic, &path, &info, packet, len, eid_monotonic_ns());
    if (error != 0) {
        fail_conn(conn, error);
        return;
    }
    eid_iroh_conn_touch(conn);
    if (conn->ready)
        after_handshake(conn);
}

/* ---- Writing ---- */

/* Packets for one place, gathered. */
typedef struct gathered {
    eid_iroh_carrier *carrier;
    eid_sockaddr to;
    size_t len, segment;
    uint8_t ecn;
} gathered;

static void send_gathered(eid_iroh_endpoint *endpoint, gathered *batch)
{
    eid_iroh_batch out = {endpoint->out, batch->len, batch->segment, batch->ecn};
    if (batch->len != 0 && batch->carrier != NULL && !batch->carrier->blocked)
        batch->carrier->functions->send(batch->carrier, &batch->to, &out);
    batch->len = 0;
}

/* The packet stands at the end of what was gathered. False: the batch is complete. */
static bool gather(eid_iroh_endpoint *endpoint, gathered *batch, const ngtcp2_path *path, uint8_t ecn,
                   size_t len)
{
    eid_sockaddr to;
    memset(&to, 0, sizeof to);
    memcpy(&to, path->remote.addr, path->remote.addrlen);
    eid_iroh_carrier *carrier = eid_iroh_carrier_at(endpoint, &path->local);
    if (batch->len != 0 && (carrier != batch->carrier || ecn != batch->ecn || len > batch->segment ||
                            eid_sockaddr_compare(&to, &batch->to) != 0)) {
        size_t before = batch->len;
        send_gathered(endpoint, batch);
        memmove(endpoint->out, endpoint->out + before, len);
    }
    if (batch->len == 0) {
        batch->carrier = carrier;
        batch->to = to;
        batch->ecn = ecn;
        batch->segment = len;
    }
    batch->len += len;
    return len == batch->segment && batch->len + EID_LIMIT_IROH_PAYLOAD <= sizeof endpoint->out &&
           batch->len / batch->segment < EID_LIMIT_IROH_SEGMENTS;
}

/* What was taken of the stream at the head of the list. */
static void advance(eid_iroh_conn *conn, eid_iroh_stream *stream, size_t taken)
{
    stream->out_at += taken;
    eid_link_remove(&stream->to_write);
    if (stream->out_at < stream->out_len)
        eid_link_push(&conn->to_write, &stream->to_write); /* the others first */
    else
        stream->out_all = true;
}

/* One packet, or a part of one: its bytes, 0 when nothing can be written now, or an error that ends the
 * connection. */
static ngtcp2_ssize write_packet(eid_iroh_conn *conn, ngtcp2_path_storage *path, ngtcp2_pkt_info *info,
                                 uint8_t *out, uint64_t now)
{
    bool full = false; /* the peer takes no more on the whole connection: what it says about that makes us
                          write again */
    for (;;) {
        eid_iroh_stream *stream = NULL;
        ngtcp2_vec bytes = {NULL, 0};
        ngtcp2_ssize taken = -1;
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
        if (!full && !eid_link_is_empty(&conn->to_write)) {
            stream = EID_LINK_OF(eid_iroh_stream, conn->to_write.next, to_write);
            bytes = (ngtcp2_vec){stream->out + stream->out_at, stream->out_len - stream->out_at};
            flags = NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_FIN;
        }
        ngtcp2_ssize len = ngtcp2_conn_writev_stream(
            conn->quic, &path->path, info, out, EID_LIMIT_IROH_PAYLOAD, &taken, flags,
            stream == NULL ? -1 : stream->id, &bytes, stream == NULL ? 0 : 1, now);
        if (stream != NULL && taken >= 0)
            advance(conn, stream, (size_t)taken);
        if (len == NGTCP2_ERR_STREAM_DATA_BLOCKED && ngtcp2_conn_get_max_data_left(conn->quic) == 0)
            full = true;
        else if (len == NGTCP2_ERR_STREAM_DATA_BLOCKED || len == NGTCP2_ERR_STREAM_SHUT_WR ||
                 len == NGTCP2_ERR_STREAM_NOT_FOUND)
            eid_link_remove(&stream->to_write);
        else if (len != NGTCP2_ERR_WRITE_MORE)
            return len;
    }
}

/* Until the connection's next wish. A timer that is past runs in the next turn of the loop. */
static void set_timer(eid_iroh_conn *conn, uint64_t now)
{
    uint64_t expiry = ngtcp2_conn_get_expiry(conn->quic);
    if (expiry == UINT64_MAX) {
        uv_timer_stop(&conn->timer);
        return;
    }
    uv_update_time(conn->endpoint->loop);
    uv_timer_start(&conn->timer, on_timer, expiry <= now ? 1 : (expiry - now + MS - 1) / MS, 0);
}

/* Pacing needs finer timers than the loop's, unless a round trip takes long enough for whole milliseconds. */
static void pace(eid_iroh_conn *conn, uint64_t now)
{
    ngtcp2_conn_stat stat;
    ngtcp2_conn_get_conn_stat(conn->quic, &stat);
    if (conn->state == EID_CONN_OPEN && stat.smoothed_rtt >= EID_LIMIT_IROH_PACED_RTT_MS * MS)
        ngtcp2_conn_update_pkt_tx_time(conn->quic, now);
}

void eid_iroh_conn_write(eid_iroh_conn *conn)
{
    eid_iroh_endpoint *endpoint = conn->endpoint;
    uint64_t now = eid_monotonic_ns();
    gathered batch = {.carrier = NULL};
    size_t packets = 0;
    bool more = true;

    eid_link_remove(&conn->dirty);
    if (conn->carrier->blocked)
        return; /* eid_iroh_carrier_ready brings it back */
    while (more && packets < EID_LIMIT_IROH_BURST) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info info = {0};
        ngtcp2_path_storage_zero(&path);
        ngtcp2_ssize len = write_packet(conn, &path, &info, endpoint->out + batch.len, now);
        if (len < 0) {
            send_gathered(endpoint, &batch);
            fail_conn(conn, (int)len);
            return;
        }
        more = len > 0;
        packets += more;
        if (more && !gather(endpoint, &batch, &path.path, (uint8_t)info.ecn, (size_t)len)) {
            send_gathered(endpoint, &batch);
            more = !conn->carrier->blocked;
        }
    }
    send_gathered(endpoint, &batch);
    pace(conn, now);
    set_timer(conn, now);
    /* The burst was long: the rest in the next turn. */
    if (packets >= EID_LIMIT_IROH_BURST)
        eid_iroh_conn_touch(conn);
}

static void on_timer(uv_timer_t *timer)
{
    eid_iroh_conn *conn = timer->data;
    if (conn->state == EID_CONN_ENDED) {
        eid_iroh_conn_free(conn);
        return;
    }
    int error = ngtcp2_conn_handle_expiry(conn->quic, eid_monotonic_ns());
    if (error != 0)
        fail_conn(conn, error);
    else
        eid_iroh_conn_touch(conn);
}
