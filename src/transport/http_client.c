/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: libcurl's multi interface on the engine's loop, so that any number of requests wait at once and none
 * holds up another. libcurl says which sockets to watch and when to wake it; connections stay open in its cache for the
 * next request to the same peer. */
#include "transport/http_int.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "sync/special.h"

typedef struct http_call http_call;

struct eid_http_client {
    eid_host *host;
    char *trusted_file;
    CURLM *multi;
    uv_timer_t timer;
    http_call *calls; /* under way */
};

struct http_call {
    eid_http_client *client;
    eid_exchange *exchange;
    CURL *curl;
    struct curl_slist *headers;
    uint64_t received;
    uint64_t started_ms;
    bool too_large;
    bool paused;  /* what came is to be taken first */
    bool special; /* the address is one the engine does not go to by itself */
    http_call *next, *previous;
};

/* A socket of libcurl's and who watches it. */
typedef struct watched {
    uv_poll_t poll;
    eid_http_client *client;
    curl_socket_t fd;
} watched;

/* libcurl wants to be readied once for the process, before its first handle. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void ready_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

eid_status eid_curl_init(void)
{
    pthread_once(&curl_once, ready_curl);
    if (curl_ready != CURLE_OK)
        return eid_fail(EID_ERR_INTERNAL, "libcurl could not be started: %s", curl_easy_strerror(curl_ready));
    return EID_OK;
}

static uint64_t now_ms(const eid_http_client *client)
{
    return client->host->functions->now_ms(client->host);
}

/* ---- The outcome of a request ---- */

static const char *reason_of(long status)
{
    static const struct {
        long status;
        const char *reason;
    } known[] = {
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {411, "Length Required"},
        {413, "Payload Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Entity"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "unknown status";
}


static eid_status fail_connect(const http_call *call, CURLcode code)
{
    long error = 0;
    char text[128] = "";
    const char *address = call->exchange->address;
    curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &error);
    if (call->special)
        return eid_fail(EID_ERR_CONNECTION_FAILED,
                        "Failed to connect to %s: the engine does not go to special addresses by itself", address);
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: no such host is known", address);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: no answer within %llu ms", address,
                        (unsigned long long)call->exchange->connect_ms);
    return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: %s", address,
                    error == 0 ? curl_easy_strerror(code) : strerror_r((int)error, text, sizeof text));
}

static eid_status fail_timeout(const http_call *call)
{
    const eid_exchange *exchange = call->exchange;
    if (now_ms(call->client) - call->started_ms >= exchange->total_ms)
        return eid_fail(EID_ERR_TIMEOUT, "Network error: %s took longer than %llu ms", exchange->address,
                        (unsigned long long)exchange->total_ms);
    return eid_fail(EID_ERR_TIMEOUT, "Network error: %s went silent for %llu s", exchange->address,
                    (unsigned long long)(exchange->silence_ms / 1000));
}

static bool is_tls_failure(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
}

static eid_status judge(const http_call *call, CURLcode code)
{
    long status = 0;
    curl_off_t connected_us = 0;
    eid_exchange *exchange = call->exchange;

    if (call->too_large)
        return eid_fail(EID_ERR_LIMIT, "Network error: the answer of %s is larger than %zu bytes", exchange->address,
                        exchange->answer_max);
    if (code == CURLE_WRITE_ERROR && exchange->answer.status != EID_OK)
        return eid_buf_status(&exchange->answer);
    if (code == CURLE_OUT_OF_MEMORY)
        return eid_fail_memory();
    curl_easy_getinfo(call->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || is_tls_failure(code) ||
        (code == CURLE_OPERATION_TIMEDOUT && connected_us == 0))
        return fail_connect(call, code);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail_timeout(call);
    if (code == CURLE_URL_MALFORMAT)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: '%s' is not host:port", exchange->address);
    if (code != CURLE_OK)
        return eid_fail(EID_ERR_NETWORK, "Network error: request to %s failed: %s", exchange->address,
                        curl_easy_strerror(code));
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
        return eid_fail(EID_ERR_NETWORK, "Network error: Server returned error: %ld %s", status, reason_of(status));
    return EID_OK;
}

/* ---- One request ---- */

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    http_call *call = ctx;
    eid_exchange *exchange = call->exchange;
    size_t len = size * count;
    long status = 0;
    curl_off_t total = 0;

    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
        return len; /* the status says it all */
    if (exchange->arrived != NULL && exchange->answer.len >= EID_LIMIT_STREAM_HELD) {
        call->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (len > exchange->answer_max - call->received) {
        call->too_large = true;
        return 0;
    }
    call->received += len;
    eid_buf_append(&exchange->answer, data, len);
    if (exchange->progress != NULL) {
        curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
        exchange->progress(exchange, call->received, total > 0 ? (uint64_t)total : 0);
    }
    if (exchange->answer.status != EID_OK)
        return 0;
    if (exchange->arrived != NULL)
        exchange->arrived(exchange);
    return len;
}

/* Names are resolved by now: this is the address that would really be spoken to. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    http_call *call = ctx;
    (void)purpose;
    if (call->exchange->outside_only && eid_special_address(&address->addr)) {
        call->special = true;
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static struct curl_slist *make_headers(const char *peer, bool stream)
{
    /* An empty Expect: the answer to "100-continue" would cost a round trip, or a second of waiting for peers
     * that do not know it. */
    char own[128];
    const char *lines[] = {stream ? "Content-Type: " EID_HTTP_STREAM_TYPE : "Content-Type: application/json",
                           "Accept: */*, " EID_HTTP_STREAM_TYPE, "Expect:", own};
    struct curl_slist *list = NULL;
    size_t count = peer != NULL ? 4 : 3;
    if (peer != NULL)
        snprintf(own, sizeof own, EID_HTTP_PEER_HEADER ": %s", peer);
    for (size_t i = 0; i < count; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static long at_most_long(uint64_t ms)
{
    return ms > INT32_MAX ? INT32_MAX : (long)ms;
}

static CURLcode set_up(http_call *call, const char *url)
{
    CURL *curl = call->curl;
    const eid_exchange *exchange = call->exchange;
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        if (code == CURLE_OK)                                                                                          \
            code = curl_easy_setopt(curl, option, value);                                                              \
    } while (0)
    SET(CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTPHEADER, call->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, exchange->body.len == 0 ? "" : (const char *)exchange->body.data);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len);
    SET(CURLOPT_CONNECTTIMEOUT_MS, at_most_long(exchange->connect_ms));
    SET(CURLOPT_TIMEOUT_MS, at_most_long(exchange->total_ms));
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)EID_LIMIT_HTTP_RATE);
    SET(CURLOPT_LOW_SPEED_TIME, at_most_long((exchange->silence_ms + 999) / 1000));
    SET(CURLOPT_BUFFERSIZE, 256L * 1024);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, call);
    if (call->client->trusted_file != NULL)
        SET(CURLOPT_CAINFO, call->client->trusted_file);
#undef SET
    return code;
}

static void free_call(http_call *call)
{
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->headers);
    eid_free(call);
}

static bool answered_by_streamer(const http_call *call)
{
    struct curl_header *header;
    return curl_easy_header(call->curl, EID_HTTP_STREAM_HEADER, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
           strcmp(header->value, EID_HTTP_STREAM_VERSION) == 0;
}

/* Takes the call out and tells its end, whose sentence is in eid_last_error(). */
static void end_call(http_call *call, eid_status status)
{
    eid_exchange *exchange = call->exchange;
    eid_http_client *client = call->client;
    curl_multi_remove_handle(client->multi, call->curl);
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        client->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    exchange->state = NULL;
    exchange->peer_streams = answered_by_streamer(call);
    free_call(call);
    exchange->done(exchange, status);
}

static eid_status start_call(http_call *call)
{
    eid_exchange *exchange = call->exchange;
    eid_address *checked;
    eid_buf url;

    /* Only host and port: nothing a peer advertises can name a path or a user. */
    EID_TRY(eid_address_http(exchange->address, &checked));
    bool secure = strncmp(eid_address_text(checked), "https://", 8) == 0;
    eid_buf_init(&url, EID_LIMIT_ADDRESS_TEXT + 64);
    eid_buf_appendf(&url, "%s%s%s", secure ? "" : "http://", eid_address_text(checked), EID_HTTP_PATH);
    eid_address_free(checked);
    eid_status status = eid_buf_status(&url);
    call->curl = status == EID_OK ? curl_easy_init() : NULL;
    call->headers = make_headers(exchange->peer, exchange->stream);
    if (status == EID_OK && (call->curl == NULL || call->headers == NULL))
        status = eid_fail_memory();
    if (status == EID_OK) {
        CURLcode code = set_up(call, (const char *)url.data);
        if (code != CURLE_OK || curl_multi_add_handle(call->client->multi, call->curl) != CURLM_OK)
            status = code == CURLE_OUT_OF_MEMORY ? eid_fail_memory()
                                                 : eid_fail(EID_ERR_INTERNAL, "libcurl refused the request: %s",
                                                            curl_easy_strerror(code));
    }
    eid_buf_free(&url);
    return status;
}

void eid_http_client_send(eid_http_client *client, eid_exchange *exchange)
{
    http_call *call = eid_alloc_zero(1, sizeof *call);
    if (call == NULL) {
        exchange->done(exchange, eid_fail_memory());
        return;
    }
    call->client = client;
    call->exchange = exchange;
    call->started_ms = now_ms(client);
    eid_status status = start_call(call);
    if (status != EID_OK) {
        free_call(call);
        exchange->done(exchange, status);
        return;
    }
    exchange->state = call;
    call->next = client->calls;
    if (call->next != NULL)
        call->next->previous = call;
    client->calls = call;
}

void eid_http_client_resume(eid_http_client *client, eid_exchange *exchange)
{
    http_call *call = exchange->state;
    (void)client;
    if (call == NULL || !call->paused || exchange->answer.len >= EID_LIMIT_STREAM_HELD)
        return;
    call->paused = false;
    curl_easy_pause(call->curl, CURLPAUSE_CONT);
}

void eid_http_client_cancel(eid_http_client *client, eid_exchange *exchange)
{
    (void)client;
    if (exchange->state != NULL)
        end_call(exchange->state, eid_fail(EID_ERR_CANCELLED, "The request was broken off"));
}

/* ---- libcurl on the loop ---- */

static void take_ended(eid_http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        http_call *call;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        end_call(call, judge(call, code));
    }
}

static void act(eid_http_client *client, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(client->multi, fd, events, &running);
    take_ended(client);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    watched *socket = poll->data;
    int flags = 0;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(socket->client, socket->fd, flags);
}

static void on_timeout(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *ctx)
{
    eid_http_client *client = ctx;
    (void)multi;
    if (timeout_ms < 0) {
        uv_timer_stop(&client->timer);
        return 0;
    }
    uv_update_time(client->timer.loop);
    uv_timer_start(&client->timer, on_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

static void free_watched(uv_handle_t *handle)
{
    eid_free(handle->data);
}

static watched *watch_socket(eid_http_client *client, curl_socket_t fd)
{
    watched *socket = eid_alloc_zero(1, sizeof *socket);
    if (socket == NULL)
        return NULL;
    if (uv_poll_init_socket(client->timer.loop, &socket->poll, fd) != 0) {
        eid_free(socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->client = client;
    socket->fd = fd;
    curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int on_socket_wish(CURL *curl, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    eid_http_client *client = ctx;
    watched *socket = assigned;
    int events = 0;
    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL) {
            uv_poll_stop(&socket->poll);
            uv_close((uv_handle_t *)&socket->poll, free_watched);
            curl_multi_assign(client->multi, fd, NULL);
        }
        return 0;
    }
    if (socket == NULL)
        socket = watch_socket(client, fd);
    if (socket == NULL)
        return -1;
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&socket->poll, events, on_ready) == 0 ? 0 : -1;
}

/* ---- Life ---- */

static void set_up_multi(void *ctx)
{
    eid_http_client *client = ctx;
    uv_timer_init(eid_loop_uv(client->host), &client->timer);
    client->timer.data = client;
    client->multi = curl_multi_init();
    if (client->multi == NULL)
        return;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)EID_LIMIT_HTTP_KEPT_CONNECTIONS);
}

/* The memory goes when the loop has let go of the timer. */
static void free_client(uv_handle_t *timer)
{
    eid_http_client *client = timer->data;
    eid_free(client->trusted_file);
    eid_free(client);
}

static void take_down(void *ctx)
{
    eid_http_client *client = ctx;
    while (client->calls != NULL)
        end_call(client->calls, eid_fail(EID_ERR_CANCELLED, "The transport was closed"));
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi);
    uv_timer_stop(&client->timer);
    uv_close((uv_handle_t *)&client->timer, free_client);
}

eid_status eid_http_client_new(eid_host *host, const char *trusted_file, eid_http_client **out)
{
    EID_TRY(eid_curl_init());
    eid_http_client *client = eid_alloc_zero(1, sizeof *client);
    if (client == NULL)
        return eid_fail_memory();
    client->host = host;
    if (trusted_file != NULL && (client->trusted_file = eid_strdup(trusted_file)) == NULL) {
        eid_free(client);
        return eid_fail_memory();
    }
    eid_loop_call(host, set_up_multi, client);
    if (client->multi == NULL) {
        eid_loop_call(host, take_down, client);
        return eid_fail_memory();
    }
    *out = client;
    return EID_OK;
}

void eid_http_client_free(eid_http_client *client)
{
    if (client != NULL)
        eid_loop_call(client->host, take_down, client);
}
