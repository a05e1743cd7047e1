/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a connection to a relay, and bytes over it; see relay_line.h. */
#include "transport/iroh/relay_line.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "sync/special.h"
#include "transport/http_int.h"
#include "transport/iroh/relay_frame.h"
#include "transport/websocket.h"

#define HEAD_MAX 8192u
#define ACCEPT   "sec-websocket-accept:"
#define PROTOCOL "sec-websocket-protocol:"

/* ---- Bytes ---- */

static eid_status fail_lost(CURLcode code)
{
    return eid_fail(EID_ERR_NETWORK, "The connection to the relay is lost: %s", curl_easy_strerror(code));
}

eid_status eid_relay_line_send(eid_relay_line *line, eid_slice bytes, size_t *len)
{
    CURLcode code = curl_easy_send(line->curl, bytes.data, bytes.len, len);
    if (code == CURLE_AGAIN)
        *len = 0;
    return code == CURLE_OK || code == CURLE_AGAIN ? EID_OK : fail_lost(code);
}

eid_status eid_relay_line_recv(eid_relay_line *line, void *bytes, size_t size, size_t *len)
{
    CURLcode code = curl_easy_recv(line->curl, bytes, size, len);
    if (code == CURLE_AGAIN) {
        *len = 0;
        return EID_OK;
    }
    if (code != CURLE_OK)
        return fail_lost(code);
    return *len > 0 ? EID_OK : eid_fail(EID_ERR_NETWORK, "The relay has closed the connection");
}

/* ---- Connecting ---- */

#define LOOK_MS 200 /* how often whoever waits looks whether the line is still wanted */

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const eid_relay_line_options *options = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(options->cancelled) ? 1 : 0;
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    eid_relay_line *line = ctx;
    (void)purpose;
    if (eid_special_address(&address->addr)) {
        line->special = true;
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode set_up(eid_relay_line *line, const eid_relay_line_options *options)
{
    CURLcode code = curl_easy_setopt(line->curl, CURLOPT_URL, options->url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_CONNECT_ONLY, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_PROXY, "");
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_TCP_NODELAY, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)EID_LIMIT_RELAY_CONNECT_MS);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_NOPROGRESS, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    if (code == CURLE_OK)
        code = curl_easy_setopt(line->curl, CURLOPT_XFERINFODATA, options);
    if (code == CURLE_OK && options->trusted_file != NULL)
        code = curl_easy_setopt(line->curl, CURLOPT_CAINFO, options->trusted_file);
    if (code == CURLE_OK && options->outside_only) {
        curl_easy_setopt(line->curl, CURLOPT_OPENSOCKETDATA, line);
        code = curl_easy_setopt(line->curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
    }
    return code;
}

static eid_status connect_line(eid_relay_line *line, const eid_relay_line_options *options)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode code = set_up(line, options);
    if (code == CURLE_OK)
        code = curl_easy_perform(line->curl);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(line->curl, CURLINFO_ACTIVESOCKET, &fd);
    line->fd = fd;
    if (line->special)
        return eid_fail(EID_ERR_CONNECTION_FAILED,
                        "The relay %s is at a special address: peers can not send us there", options->url);
    if (code != CURLE_OK || fd == CURL_SOCKET_BAD)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to the relay %s: %s", options->url,
                        curl_easy_strerror(code));
    return EID_OK;
}

/* ---- The handshake ---- */

/* How long the handshake may take, and whether anybody waits for it. */
typedef struct patience {
    uint64_t deadline; /* monotonic nanoseconds */
    const atomic_bool *cancelled;
} patience;

static eid_status wait_for(const eid_relay_line *line, short events, const patience *p)
{
    struct pollfd fd = {.fd = line->fd, .events = events};
    while (!atomic_load(p->cancelled) && eid_monotonic_ns() < p->deadline) {
        if (poll(&fd, 1, LOOK_MS) != 0)
            return EID_OK;
    }
    return eid_fail(EID_ERR_CONNECTION_FAILED, "The relay does not answer");
}

static eid_status send_all(eid_relay_line *line, eid_slice bytes, const patience *p)
{
    while (bytes.len > 0) {
        size_t len;
        EID_TRY(eid_relay_line_send(line, bytes, &len));
        if (len == 0)
            EID_TRY(wait_for(line, POLLOUT, p));
        bytes = eid_slice_of(bytes.data + len, bytes.len - len);
    }
    return EID_OK;
}

/* "https://host:port/path" -> "host:port". */
static eid_slice host_of(const char *url)
{
    const char *start = strstr(url, "://");
    start = start != NULL ? start + 3 : url;
    return eid_slice_of(start, strcspn(start, "/"));
}

static eid_status ask(eid_relay_line *line, const char *url, const char *key, const patience *p)
{
    eid_buf request;
    eid_slice host = host_of(url);
    eid_buf_init(&request, HEAD_MAX);
    eid_buf_appendf(&request,
                    "GET /relay HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Protocol: " EID_RELAY_PROTOCOL_V2 ", " EID_RELAY_PROTOCOL_V1 "\r\n\r\n",
                    (int)host.len, (const char *)host.data, key);
    eid_status status = eid_buf_status(&request);
    if (status == EID_OK)
        status = send_all(line, eid_buf_slice(&request), p);
    eid_buf_free(&request);
    return status;
}

/* The value of a header, without white space around it; empty when there is none of the name. `name` ends
 * with a colon. */
static eid_slice header(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0)
            continue;
        const char *value = line + 2 + len;
        value += strspn(value, " \t");
        size_t end = strcspn(value, "\r\n");
        while (end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'))
            end--;
        return eid_slice_of(value, end);
    }
    return eid_slice_of("", 0);
}

static eid_status check_head(const char *head, const char *key, const char *url)
{
    char accept[EID_WS_ACCEPT_SIZE];
    eid_slice protocol = header(head, PROTOCOL);
    eid_ws_accept(eid_slice_text(key), accept);
    if (strncmp(head, "HTTP/1.1 101", 12) != 0)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "%s is no relay: it answered \"%.*s\"", url,
                        (int)strcspn(head, "\r\n"), head);
    if (!eid_slice_is(header(head, ACCEPT), accept))
        return eid_fail(EID_ERR_CONNECTION_FAILED, "%s is no relay: it does not speak WebSocket", url);
    if (!eid_slice_is(protocol, EID_RELAY_PROTOCOL_V1) && !eid_slice_is(protocol, EID_RELAY_PROTOCOL_V2))
        return eid_fail(EID_ERR_CONNECTION_FAILED, "The relay %s speaks a protocol that is not known here",
                        url);
    return EID_OK;
}

/* Reads up to the end of the head; what follows it becomes `early`. */
static eid_status read_head(eid_relay_line *line, eid_buf *head, const patience *p)
{
    for (;;) {
        uint8_t bytes[2048];
        size_t len;
        EID_TRY(eid_relay_line_recv(line, bytes, sizeof bytes, &len));
        if (len == 0) {
            EID_TRY(wait_for(line, POLLIN, p));
            continue;
        }
        eid_buf_append(head, bytes, len);
        EID_TRY(eid_buf_status(head));
        const uint8_t *end = memmem(head->data, head->len, "\r\n\r\n", 4);
        if (end == NULL)
            continue;
        size_t head_len = (size_t)(end - head->data) + 4;
        eid_buf_append(&line->early, head->data + head_len, head->len - head_len);
        head->data[head_len] = '\0';
        return eid_buf_status(&line->early);
    }
}

static eid_status shake_hands(eid_relay_line *line, const eid_relay_line_options *options)
{
    char key[EID_WS_KEY_SIZE];
    eid_buf head;
    patience p = {eid_monotonic_ns() + (uint64_t)EID_LIMIT_RELAY_CONNECT_MS * 1000000, options->cancelled};
    eid_ws_new_key(key);
    EID_TRY(ask(line, options->url, key, &p));
    eid_buf_init(&head, HEAD_MAX);
    eid_status status = read_head(line, &head, &p);
    if (status == EID_OK)
        status = check_head((const char *)head.data, key, options->url);
    eid_buf_free(&head);
    return status;
}

eid_status eid_relay_line_open(const eid_relay_line_options *options, eid_relay_line *out)
{
    eid_relay_line line = {.fd = -1};
    EID_TRY(eid_curl_init());
    eid_buf_init(&line.early, HEAD_MAX);
    line.curl = curl_easy_init();
    if (line.curl == NULL)
        return eid_fail_memory();
    eid_status status = connect_line(&line, options);
    if (status == EID_OK)
        status = shake_hands(&line, options);
    if (status == EID_OK)
        *out = line;
    else
        eid_relay_line_close(&line);
    return status;
}

void eid_relay_line_close(eid_relay_line *line)
{
    curl_easy_cleanup(line->curl);
    eid_buf_free(&line->early);
    line->curl = NULL;
    line->fd = -1;
}
