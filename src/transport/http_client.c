/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: libcurl's easy handles, kept with their open connections for the next request to the same
 * peer. */
#include "transport/http_int.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/limits.h"

/* A handle at rest, with the address its connection leads to. */
typedef struct idle_handle {
    CURL *curl;
    char *address;
} idle_handle;

struct eid_http_client {
    eid_http_limits limits;
    struct curl_slist *headers;
    pthread_mutex_t mutex;
    idle_handle idle[EID_LIMIT_HTTP_IDLE_HANDLES]; /* oldest first */
    size_t idle_count;
};

/* libcurl wants to be readied once for the process, before its first handle. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void ready_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- Life ---- */

static struct curl_slist *make_headers(void)
{
    /* An empty Expect: the answer to "100-continue" would cost a round trip, or a second of waiting for peers
     * that do not know it. */
    static const char *const lines[] = {"Content-Type: application/json", "Accept: */*", "Expect:"};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

eid_status eid_http_client_new(const eid_http_limits *limits, eid_http_client **out)
{
    pthread_once(&curl_once, ready_curl);
    if (curl_ready != CURLE_OK)
        return eid_fail(EID_ERR_INTERNAL, "libcurl could not be started: %s", curl_easy_strerror(curl_ready));
    eid_http_client *client = eid_alloc_zero(1, sizeof *client);
    if (client == NULL)
        return eid_fail_memory();
    client->limits = *limits;
    client->headers = make_headers();
    if (client->headers == NULL || pthread_mutex_init(&client->mutex, NULL) != 0) {
        curl_slist_free_all(client->headers);
        eid_free(client);
        return eid_fail_memory();
    }
    *out = client;
    return EID_OK;
}

static void free_idle(idle_handle *idle)
{
    curl_easy_cleanup(idle->curl);
    eid_free(idle->address);
}

void eid_http_client_free(eid_http_client *client)
{
    if (client == NULL)
        return;
    for (size_t i = 0; i < client->idle_count; i++)
        free_idle(&client->idle[i]);
    curl_slist_free_all(client->headers);
    pthread_mutex_destroy(&client->mutex);
    eid_free(client);
}

/* ---- The pool ---- */

static void remove_idle(eid_http_client *client, size_t index)
{
    client->idle_count--;
    memmove(&client->idle[index], &client->idle[index + 1],
            (client->idle_count - index) * sizeof client->idle[0]);
}

/* The handle whose connection leads to this address, newest first, or a new one. NULL without memory. */
static CURL *take_handle(eid_http_client *client, const char *address)
{
    idle_handle found = {NULL, NULL};
    pthread_mutex_lock(&client->mutex);
    for (size_t i = client->idle_count; i-- > 0 && found.curl == NULL;) {
        if (strcmp(client->idle[i].address, address) == 0) {
            found = client->idle[i];
            remove_idle(client, i);
        }
    }
    pthread_mutex_unlock(&client->mutex);
    eid_free(found.address);
    return found.curl != NULL ? found.curl : curl_easy_init();
}

static void give_back(eid_http_client *client, CURL *curl, const char *address)
{
    idle_handle returned = {curl, eid_strdup(address)};
    idle_handle surplus = returned;

    /* The request's own buffers must not be reachable through the handle any more; its connection stays. */
    curl_easy_reset(curl);
    if (returned.address != NULL) {
        surplus = (idle_handle){NULL, NULL};
        pthread_mutex_lock(&client->mutex);
        if (client->idle_count == EID_LIMIT_HTTP_IDLE_HANDLES) {
            surplus = client->idle[0];
            remove_idle(client, 0);
        }
        client->idle[client->idle_count++] = returned;
        pthread_mutex_unlock(&client->mutex);
    }
    if (surplus.curl != NULL)
        free_idle(&surplus);
}

/* ---- One request ---- */

typedef struct http_call {
    CURL *curl;
    eid_buf *answer;
    size_t limit; /* bytes of the answer */
    size_t received;
    bool too_large;
} http_call;

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    http_call *call = ctx;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
        return len; /* the status says it all */
    if (len > call->limit - call->received) {
        call->too_large = true;
        return 0;
    }
    call->received += len;
    eid_buf_append(call->answer, data, len);
    return call->answer->status == EID_OK ? len : 0;
}

static CURLcode set_up(const eid_http_client *client, http_call *call, const char *url, eid_slice body)
{
    CURL *curl = call->curl;
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (code == CURLE_OK)                                                                                \
            code = curl_easy_setopt(curl, option, value);                                                    \
    } while (0)
    SET(CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http");
#else
    SET(CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTP);
#endif
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTPHEADER, client->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, body.len == 0 ? "" : (const char *)body.data);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    SET(CURLOPT_CONNECTTIMEOUT_MS, client->limits.connect_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)EID_LIMIT_HTTP_RATE);
    SET(CURLOPT_LOW_SPEED_TIME, client->limits.stall_s);
    SET(CURLOPT_BUFFERSIZE, 256L * 1024);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
#undef SET
    return code;
}

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

static eid_status fail_connect(const eid_http_client *client, const http_call *call, CURLcode code,
                               const char *address)
{
    long error = 0;
    char text[128] = "";
    curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: no such host is known", address);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: no answer within %ld ms",
                        address, client->limits.connect_ms);
    return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: %s", address,
                    error == 0 ? curl_easy_strerror(code) : strerror_r((int)error, text, sizeof text));
}

static eid_status judge(const eid_http_client *client, const http_call *call, CURLcode code,
                        const char *address)
{
    long status = 0;
    curl_off_t connected_us = 0;

    if (call->too_large)
        return eid_fail(EID_ERR_LIMIT, "Network error: the answer of %s is larger than %zu bytes", address,
                        call->limit);
    if (code == CURLE_WRITE_ERROR && call->answer->status != EID_OK)
        return eid_buf_status(call->answer);
    if (code == CURLE_OUT_OF_MEMORY)
        return eid_fail_memory();
    curl_easy_getinfo(call->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        (code == CURLE_OPERATION_TIMEDOUT && connected_us == 0))
        return fail_connect(client, call, code, address);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return eid_fail(EID_ERR_TIMEOUT, "Network error: %s went silent for %ld s", address,
                        client->limits.stall_s);
    if (code == CURLE_URL_MALFORMAT)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: '%s' is not host:port", address);
    if (code != CURLE_OK)
        return eid_fail(EID_ERR_NETWORK, "Network error: request to %s failed: %s", address,
                        curl_easy_strerror(code));
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299)
        return eid_fail(EID_ERR_NETWORK, "Network error: Server returned error: %ld %s", status,
                        reason_of(status));
    return EID_OK;
}

static eid_status perform(eid_http_client *client, const char *address, const char *url, eid_slice body,
                          eid_buf *answer)
{
    http_call call = {take_handle(client, address), answer, client->limits.response_bytes, 0, false};
    if (call.curl == NULL)
        return eid_fail_memory();
    CURLcode code = set_up(client, &call, url, body);
    if (code == CURLE_OK)
        code = curl_easy_perform(call.curl);
    eid_status status = judge(client, &call, code, address);
    if (code == CURLE_OK)
        give_back(client, call.curl, address);
    else
        curl_easy_cleanup(call.curl);
    return status;
}

eid_status eid_http_client_request(eid_http_client *client, const char *address, eid_slice body,
                                   eid_buf *answer)
{
    eid_address *checked;
    eid_buf url;

    /* Only host and port: nothing a peer advertises can name a path, a user or another scheme. */
    EID_TRY(eid_address_http(address, &checked));
    eid_address_free(checked);
    eid_buf_init(&url, EID_LIMIT_ADDRESS_TEXT + 64);
    eid_buf_appendf(&url, "http://%s%s", address, EID_HTTP_PATH);
    eid_status status = eid_buf_status(&url);
    if (status == EID_OK)
        status = perform(client, address, (const char *)url.data, body, answer);
    eid_buf_free(&url);
    return status;
}
