/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: bodies in, bodies out, on a small pool of threads of libmicrohttpd.
 *
 * A request that will be refused is still read (up to a bound) before the refusal is sent: a client that is
 * busy sending would otherwise see a broken connection in place of the status.
 */
#include "transport/http_guard.h"
#include "transport/http_int.h"
#include "transport/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/wait.h"

#define TEXT_TYPE      "text/plain; charset=utf-8"
#define JSON_TYPE      "application/json"
#define PIECE_BYTES    65536 /* of a streamed answer, at a time */

struct eid_http_server {
    struct MHD_Daemon *daemon;
    eid_http_guard *guard;
    eid_request_handler handler;
    void *ctx;
    uint64_t body_ms; /* patience with a request body */
    char address[EID_SOCKADDR_TEXT_SIZE];
    pthread_mutex_t mutex;
    pthread_cond_t idle; /* signalled when the last open request is done */
    size_t open_requests;
    bool stopping;
};

/* One request while it arrives. */
typedef struct http_exchange {
    unsigned refusal; /* HTTP status decided from the head, 0 when the body is wanted; 200: the answer of /health */
    bool stream;      /* the body is of the streamed form */
    eid_buf body;
    size_t drained;       /* bytes of a refused body */
    uint64_t deadline_ns; /* the whole body must be here by then */
} http_exchange;

/* ---- Addresses ---- */

void eid_http_format_ip(const struct sockaddr *address, char out[64])
{
    char ip[INET6_ADDRSTRLEN] = "";
    bool v6 = address->sa_family == AF_INET6;
    const void *bytes = v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
                           : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    inet_ntop(address->sa_family, bytes, ip, sizeof ip);
    snprintf(out, 64, v6 ? "[%s]" : "%s", ip);
}

static void format_address(const struct sockaddr *address, char out[EID_SOCKADDR_TEXT_SIZE])
{
    eid_sockaddr copy;
    memcpy(&copy, address, address->sa_family == AF_INET6 ? sizeof copy.v6 : sizeof copy.v4);
    eid_sockaddr_format(&copy, out);
}

/* ---- Answering ---- */

static const char HEALTHY[] = "{\"status\":\"healthy\"}";

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, const char *type,
                             struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    if (type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    const char *accepted = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    if (accepted != NULL && strstr(accepted, EID_HTTP_STREAM_TYPE) != NULL)
        MHD_add_response_header(response, EID_HTTP_STREAM_HEADER, EID_HTTP_STREAM_VERSION);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "POST");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Static text, possibly none. */
static enum MHD_Result queue_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return queue(
        connection, status, text[0] == '\0' ? NULL : TEXT_TYPE,
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

/* The bytes of the buffer, which is emptied. */
static enum MHD_Result queue_buffer(struct MHD_Connection *connection, unsigned status, const char *type,
                                    eid_buf *bytes)
{
    uint8_t *data;
    size_t len;
    if (eid_buf_take(bytes, &data, &len) != EID_OK)
        return queue_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer could not be made");
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(len, data, eid_free);
    if (response == NULL)
        eid_free(data);
    return queue(connection, status, type, response);
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status)
{
    switch (status) {
    case MHD_HTTP_UNSUPPORTED_MEDIA_TYPE:
        return queue_text(connection, status, "Expected request with `Content-Type: application/json`");
    case MHD_HTTP_CONTENT_TOO_LARGE:
        return queue_text(connection, status, "Failed to buffer the request body: length limit exceeded");
    case MHD_HTTP_TOO_MANY_REQUESTS:
        return queue_text(connection, status, "Too many requests from this address: try again later");
    case MHD_HTTP_OK:
        return queue(connection, status, JSON_TYPE,
                     MHD_create_response_from_buffer(sizeof HEALTHY - 1, (void *)(uintptr_t)HEALTHY, MHD_RESPMEM_PERSISTENT));
    default:
        return queue_text(connection, status, "");
    }
}

/* ---- The guard ---- */

static eid_guarded *guarded_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **place,
                          enum MHD_ConnectionNotificationCode code)
{
    eid_http_server *server = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *place = info == NULL ? NULL : eid_http_guard_enter(server->guard, info->connect_fd);
    } else {
        eid_http_guard_leave(server->guard, *place);
        *place = NULL;
    }
}

static bool may_ask(eid_http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL || info->client_addr == NULL || eid_http_guard_allow(server->guard, info->client_addr);
}

/* ---- Answers of any length ---- */

typedef struct pouring {
    eid_http_server *server;
    eid_guarded *guarded;
    eid_source *source;
    eid_buf piece;
    size_t at; /* bytes of it that are sent */
} pouring;

static bool is_stopping(eid_http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    bool stopping = server->stopping;
    pthread_mutex_unlock(&server->mutex);
    return stopping;
}

/* Called when the connection has room: who does not take what was sent is not sent more. */
static ssize_t pour(void *ctx, uint64_t position, char *out, size_t max)
{
    pouring *p = ctx;
    (void)position;
    if (p->at == p->piece.len) {
        p->at = 0;
        eid_buf_reset(&p->piece);
        if (is_stopping(p->server) || p->source->read(p->source, &p->piece) != EID_OK || p->piece.status != EID_OK)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (p->piece.len == 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        eid_http_guard_expect(p->server->guard, p->guarded,
                              EID_LIMIT_HTTP_HEAD_MS + p->piece.len * 1000 / EID_LIMIT_HTTP_RATE);
    }
    size_t len = p->piece.len - p->at < max ? p->piece.len - p->at : max;
    memcpy(out, p->piece.data + p->at, len);
    p->at += len;
    return (ssize_t)len;
}

static void end_pouring(void *ctx)
{
    pouring *p = ctx;
    p->source->close(p->source);
    eid_buf_free(&p->piece);
    eid_free(p);
}

/* The bytes of the buffer and what follows them. Closes the source. */
static enum MHD_Result queue_stream(eid_http_server *server, struct MHD_Connection *connection, eid_buf *begin,
                                    eid_source *rest)
{
    if (rest == NULL)
        return queue_buffer(connection, MHD_HTTP_OK, EID_HTTP_STREAM_TYPE, begin);
    pouring *p = eid_alloc_zero(1, sizeof *p);
    if (p == NULL) {
        rest->close(rest);
        return MHD_NO;
    }
    *p = (pouring){.server = server, .guarded = guarded_of(connection), .source = rest, .piece = *begin};
    eid_buf_init(begin, 0);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, pour, p, end_pouring);
    if (response == NULL)
        end_pouring(p);
    return queue(connection, MHD_HTTP_OK, EID_HTTP_STREAM_TYPE, response);
}

static enum MHD_Result serve(eid_http_server *server, struct MHD_Connection *connection,
                             http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char remote[EID_SOCKADDR_TEXT_SIZE] = "";
    if (info != NULL && info->client_addr != NULL)
        format_address(info->client_addr, remote);
    eid_request_origin origin = {
        "http", remote, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, EID_HTTP_PEER_HEADER), exchange->stream,
        0};
    eid_source *rest = NULL;
    eid_buf answer;
    eid_buf_init(&answer, EID_LIMIT_HTTP_RESPONSE_BYTES);

    enum MHD_Result result;
    eid_guarded *guarded = guarded_of(connection);
    eid_http_guard_expect(server->guard, guarded, EID_LIMIT_HTTP_SERVE_MS);
    eid_handle_result handled = server->handler(eid_buf_slice(&exchange->body), &origin, &answer, &rest, server->ctx);
    /* From here the peer has to take the answer, at no less than the slowest line we put up with. */
    eid_http_guard_expect(server->guard, guarded, EID_LIMIT_HTTP_HEAD_MS + answer.len * 1000 / EID_LIMIT_HTTP_RATE);
    switch (handled) {
    case EID_HANDLED:
        result = exchange->stream ? queue_stream(server, connection, &answer, rest)
                                  : queue_buffer(connection, MHD_HTTP_OK, JSON_TYPE, &answer);
        break;
    case EID_BODY_MALFORMED:
        result = queue_buffer(connection, MHD_HTTP_BAD_REQUEST, TEXT_TYPE, &answer);
        break;
    case EID_BODY_WRONG_SHAPE:
        result = queue_buffer(connection, MHD_HTTP_UNPROCESSABLE_CONTENT, TEXT_TYPE, &answer);
        break;
    default:
        result = queue_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the request could not be served");
        break;
    }
    eid_buf_free(&answer);
    return result;
}

/* ---- Receiving ---- */

static bool has_suffix(const char *text, size_t len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strncasecmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

static bool is_type(const char *type, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(type, wanted, len) == 0;
}

/* application/json or application/…+json or the streamed form, whatever parameters follow. */
static bool is_known_type(const char *type, bool *stream)
{
    if (type == NULL)
        return false;
    type += strspn(type, " \t");
    size_t len = strcspn(type, ";");
    while (len != 0 && (type[len - 1] == ' ' || type[len - 1] == '\t'))
        len--;
    *stream = is_type(type, len, EID_HTTP_STREAM_TYPE);
    return *stream || is_type(type, len, JSON_TYPE) ||
           (strncasecmp(type, "application/", 12) == 0 && has_suffix(type, len, "+json"));
}

static uint64_t declared_length(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

/* What the head of the request alone decides; 0 when nothing speaks against it. */
static unsigned judge_head(eid_http_server *server, struct MHD_Connection *connection, const char *url,
                           const char *method, bool *stream)
{
    if (!may_ask(server, connection))
        return MHD_HTTP_TOO_MANY_REQUESTS;
    if (strcmp(url, EID_HTTP_HEALTH_PATH) == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return MHD_HTTP_OK;
    if (strcmp(url, EID_HTTP_PATH) != 0)
        return MHD_HTTP_NOT_FOUND;
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!is_known_type(type, stream))
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    if (declared_length(connection) > EID_LIMIT_HTTP_REQUEST_BYTES)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    return 0;
}

static bool begin_request(eid_http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    bool accepted = !server->stopping;
    server->open_requests += accepted;
    pthread_mutex_unlock(&server->mutex);
    return accepted;
}

static void end_request(eid_http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    if (--server->open_requests == 0)
        pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->mutex);
}

static enum MHD_Result begin_exchange(eid_http_server *server, struct MHD_Connection *connection,
                                      const char *url, const char *method, void **state)
{
    bool stream = false;
    unsigned refusal = judge_head(server, connection, url, method, &stream);
    eid_http_guard_expect(server->guard, guarded_of(connection), server->body_ms);
    if (!begin_request(server))
        return MHD_NO;
    http_exchange *exchange = eid_alloc_zero(1, sizeof *exchange);
    if (exchange == NULL) {
        end_request(server);
        return MHD_NO;
    }
    exchange->refusal = refusal;
    exchange->stream = stream;
    exchange->deadline_ns = eid_monotonic_ns() + server->body_ms * UINT64_C(1000000);
    eid_buf_init(&exchange->body, EID_LIMIT_HTTP_REQUEST_BYTES);
    *state = exchange;
    if (refusal != 0 && declared_length(connection) > EID_LIMIT_HTTP_DRAIN_BYTES)
        return refuse(connection, refusal);
    return MHD_YES;
}

/* MHD_NO closes the connection: nothing else stops a sender that goes on and on. */
static enum MHD_Result take_upload(http_exchange *exchange, const char *data, size_t len)
{
    if (eid_monotonic_ns() > exchange->deadline_ns)
        return MHD_NO;
    if (exchange->refusal == 0) {
        eid_buf_append(&exchange->body, data, len);
        if (exchange->body.status == EID_OK)
            return MHD_YES;
        exchange->refusal = exchange->body.status == EID_ERR_LIMIT ? MHD_HTTP_CONTENT_TOO_LARGE
                                                                   : MHD_HTTP_INTERNAL_SERVER_ERROR;
        eid_buf_free(&exchange->body);
    }
    exchange->drained += len;
    return exchange->drained > EID_LIMIT_HTTP_DRAIN_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    eid_http_server *server = ctx;
    http_exchange *exchange = *state;
    (void)version;

    if (exchange == NULL)
        return begin_exchange(server, connection, url, method, state);
    if (*upload_len != 0) {
        enum MHD_Result result = take_upload(exchange, upload, *upload_len);
        *upload_len = 0;
        return result;
    }
    if (exchange->refusal != 0)
        return refuse(connection, exchange->refusal);
    return serve(server, connection, exchange);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    eid_http_server *server = ctx;
    http_exchange *exchange = *state;
    (void)why;
    if (exchange == NULL)
        return;
    eid_http_guard_expect(server->guard, guarded_of(connection), 0);
    *state = NULL;
    eid_buf_free(&exchange->body);
    eid_free(exchange);
    end_request(server);
}

/* ---- Life ---- */

static void free_server(eid_http_server *server)
{
    eid_http_guard_free(server->guard);
    eid_wait_destroy(&server->mutex, &server->idle);
    eid_free(server);
}

/* poll, not epoll: libmicrohttpd 0.9.75 overlooks the end of a connection that arrives together with its
 * last bytes when it is told by epoll's edges, and keeps such connections until they time out. A few
 * dozen connections a thread cost poll nothing. */
static eid_status start_daemon(eid_http_server *server, int fd, const eid_http_server_options *options)
{
    static const eid_http_server_options defaults = {.certificate_pem = NULL};
    if (options == NULL)
        options = &defaults;
    bool secure = options->certificate_pem != NULL;
    unsigned most = options->connections != 0 ? options->connections : EID_LIMIT_HTTP_CONNECTIONS;
    unsigned most_of_one = options->connections_per_address != 0 ? options->connections_per_address
                                                                 : EID_LIMIT_HTTP_CONNECTIONS_PER_IP;
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, secure ? options->private_key_pem : NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (secure) {
        more[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, options->certificate_pem};
        if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
            return eid_fail(EID_ERR_UNSUPPORTED, "libmicrohttpd was built without TLS");
    }
    server->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | (secure ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)EID_LIMIT_HTTP_THREADS,
        MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_PER_IP_CONNECTION_LIMIT, most_of_one, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)EID_LIMIT_HTTP_IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (server->daemon == NULL)
        return eid_fail(EID_ERR_SERVER_BIND, secure ? "the server could not be started: is the certificate right?"
                                                    : "the server threads could not be started");
    return EID_OK;
}

eid_status eid_http_server_start(const char *bind_address, const eid_http_server_options *options,
                                 eid_request_handler handler, void *ctx, eid_http_server **out)
{
    int fd = -1;
    eid_http_server *server = eid_alloc_zero(1, sizeof *server);
    if (server == NULL)
        return eid_fail_memory();
    eid_status status = eid_wait_init(&server->mutex, &server->idle);
    if (status != EID_OK) {
        eid_free(server);
        return status;
    }
    status = eid_listen(bind_address, &fd, server->address);
    if (status != EID_OK) {
        free_server(server);
        return status;
    }
    server->handler = handler;
    server->ctx = ctx;
    server->body_ms = options != NULL && options->body_ms != 0 ? options->body_ms : EID_LIMIT_HTTP_UPLOAD_MS;
    status = eid_http_guard_new(options != NULL && options->requests_per_minute != 0
                                    ? options->requests_per_minute
                                    : EID_LIMIT_HTTP_REQUESTS_PER_MINUTE,
                                options != NULL && options->head_ms != 0 ? options->head_ms : EID_LIMIT_HTTP_HEAD_MS,
                                &server->guard);
    if (status == EID_OK)
        status = start_daemon(server, fd, options);
    if (status != EID_OK) {
        close(fd);
        free_server(server);
        return eid_fail_context(status, "Failed to bind server to %s", bind_address);
    }
    *out = server;
    return EID_OK;
}

static void wait_for_open_requests(eid_http_server *server)
{
    struct timespec deadline;
    eid_wait_deadline(EID_LIMIT_HTTP_STOP_MS, &deadline);

    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    int error = 0;
    while (server->open_requests != 0 && error == 0)
        error = pthread_cond_timedwait(&server->idle, &server->mutex, &deadline);
    pthread_mutex_unlock(&server->mutex);
}

void eid_http_server_stop(eid_http_server *server)
{
    if (server == NULL)
        return;
    MHD_socket listener = MHD_quiesce_daemon(server->daemon);
    wait_for_open_requests(server);
    MHD_stop_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    free_server(server);
}

const char *eid_http_server_address(const eid_http_server *server)
{
    return server->address;
}
