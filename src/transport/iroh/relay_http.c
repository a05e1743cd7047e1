/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP side of a relay, by libmicrohttpd: connections become WebSockets (iroh-wire.md section 5.1), and
 * the small services beside that (section 5.5). */
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "transport/iroh/relay_int.h"
#include "transport/listen.h"
#include "transport/websocket.h"

#define REQUEST_S     10
#define CHALLENGE_MAX 63
#define PROTOCOL      "Sec-WebSocket-Protocol"

struct eid_relay_http {
    struct MHD_Daemon *daemon;
    eid_relay *relay;
};

/* A request, from its head to the end of its connection. */
typedef struct request {
    eid_relay_newcomer *newcomer; /* between the answer and on_upgrade */
} request;

/* ---- Answers ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    if (type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *sentence)
{
    return answer(connection, status, "text/plain", sentence);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value != NULL ? value : "";
}

/* Says that nobody stands between the client and the world: a login page would not know the challenge. */
static enum MHD_Result answer_portal_check(struct MHD_Connection *connection)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *challenge = header(connection, "X-Iroh-Challenge");
    size_t len = strlen(challenge);
    char text[CHALLENGE_MAX + sizeof "response "];
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    if (len > 0 && len <= CHALLENGE_MAX && strspn(challenge, allowed) == len) {
        snprintf(text, sizeof text, "response %s", challenge);
        MHD_add_response_header(response, "X-Iroh-Response", text);
    }
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- Becoming a WebSocket ---- */

/* Whether a list such as "a, b" names the word. */
static bool names(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t item = strcspn(at, " \t,");
        if (item == len && strncasecmp(at, word, len) == 0)
            return true;
        at += item;
    }
    return false;
}

/* The header that proves the client's ID by what only the two ends of the TLS connection know. */
static eid_status check_header(struct MHD_Connection *connection, eid_relay_newcomer *newcomer)
{
    const char *text = header(connection, EID_RELAY_HEADER);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    eid_relay_header_proof proof;
    char exported[32];
    if (text[0] == '\0')
        return EID_OK;
    EID_TRY(eid_relay_header_read(eid_slice_text(text), &proof));
    newcomer->proven = tls != NULL && tls->tls_session != NULL &&
                       gnutls_prf_rfc5705(tls->tls_session, sizeof EID_RELAY_EXPORTER_LABEL - 1,
                                          EID_RELAY_EXPORTER_LABEL, sizeof proof.id.bytes,
                                          (const char *)proof.id.bytes, sizeof exported, exported) == 0 &&
                       eid_relay_header_proves(&proof, (const uint8_t *)exported);
    newcomer->id = proof.id;
    return EID_OK;
}

static void on_upgrade(void *ctx, struct MHD_Connection *connection, void *place, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    eid_relay_http *http = ctx;
    request *asked = place;
    eid_relay_newcomer *newcomer = asked->newcomer;
    (void)connection;
    asked->newcomer = NULL;
    newcomer->fd = fd;
    newcomer->handle = handle;
    eid_buf_append(&newcomer->early, early, early_len);
    eid_relay_admit(http->relay, newcomer);
}

static struct MHD_Response *upgrade_response(eid_relay_http *http, struct MHD_Connection *connection,
                                             const eid_relay_newcomer *newcomer)
{
    char accept[EID_WS_ACCEPT_SIZE];
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, http);
    if (response == NULL)
        return NULL;
    eid_ws_accept(eid_slice_text(header(connection, "Sec-WebSocket-Key")), accept);
    MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket");
    MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
    MHD_add_response_header(response, PROTOCOL,
                            newcomer->version == 2 ? EID_RELAY_PROTOCOL_V2 : EID_RELAY_PROTOCOL_V1);
    return response;
}

static enum MHD_Result upgrade(eid_relay_http *http, struct MHD_Connection *connection, request *asked)
{
    const char *protocols = header(connection, PROTOCOL);
    if (strcmp(header(connection, MHD_HTTP_HEADER_UPGRADE), "websocket") != 0 ||
        !names(header(connection, MHD_HTTP_HEADER_CONNECTION), "upgrade") ||
        header(connection, "Sec-WebSocket-Key")[0] == '\0')
        return refuse(connection, MHD_HTTP_UPGRADE_REQUIRED, "a WebSocket is expected here\n");
    if (strcmp(header(connection, "Sec-WebSocket-Version"), "13") != 0)
        return refuse(connection, MHD_HTTP_BAD_REQUEST, "this is WebSocket version 13\n");
    unsigned version = names(protocols, EID_RELAY_PROTOCOL_V2)   ? 2
                       : names(protocols, EID_RELAY_PROTOCOL_V1) ? 1
                                                                 : 0;
    if (version == 0)
        return refuse(connection, MHD_HTTP_BAD_REQUEST, "none of these protocols is spoken here\n");
    eid_relay_newcomer *newcomer = eid_alloc_zero(1, sizeof *newcomer);
    if (newcomer == NULL)
        return MHD_NO;
    newcomer->version = version;
    eid_buf_init(&newcomer->early, EID_RELAY_FRAME_MAX);
    struct MHD_Response *response =
        check_header(connection, newcomer) == EID_OK ? upgrade_response(http, connection, newcomer) : NULL;
    if (response == NULL) {
        eid_free(newcomer);
        return refuse(connection, MHD_HTTP_BAD_REQUEST, "the proof of an endpoint ID can not be read\n");
    }
    asked->newcomer = newcomer;
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body, size_t *body_len,
                                  void **place)
{
    (void)version;
    (void)body;
    (void)body_len;
    if (*place == NULL) { /* the head is here; the answer waits for the end of the request */
        *place = eid_alloc_zero(1, sizeof(request));
        return *place != NULL ? MHD_YES : MHD_NO;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "");
    if (strcmp(url, "/relay") == 0)
        return upgrade(ctx, connection, *place);
    if (strcmp(url, "/ping") == 0)
        return answer(connection, MHD_HTTP_OK, NULL, "");
    if (strcmp(url, "/generate_204") == 0)
        return answer_portal_check(connection);
    if (strcmp(url, "/healthz") == 0 || strcmp(url, "/health") == 0)
        return answer(connection, MHD_HTTP_OK, "application/json", "{\"status\":\"healthy\"}");
    return refuse(connection, MHD_HTTP_NOT_FOUND, "an Iroh relay\n");
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **place,
                         enum MHD_RequestTerminationCode code)
{
    request *asked = *place;
    (void)ctx;
    (void)connection;
    (void)code;
    if (asked != NULL)
        eid_free(asked->newcomer); /* nobody came: its buffer is empty */
    eid_free(asked);
    *place = NULL;
}

/* ---- Starting and stopping ---- */

static eid_status start_daemon(eid_relay_http *http, const eid_relay_options *options, int fd)
{
    bool secure = options->certificate_pem != NULL;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->private_key_pem},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned clients = options->clients != 0 ? options->clients : EID_LIMIT_RELAY_CLIENTS;
    unsigned per_host =
        options->clients_per_host != 0 ? options->clients_per_host : EID_LIMIT_HTTP_CONNECTIONS_PER_IP;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_UPGRADE | MHD_USE_ITC | (secure ? MHD_USE_TLS : 0u), 0,
        NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, clients,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_host, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)REQUEST_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY, secure ? tls : &tls[2],
        MHD_OPTION_END);
    if (http->daemon == NULL)
        return eid_fail(EID_ERR_SERVER_BIND,
                        secure ? "the relay could not be started: is the certificate right?"
                               : "the relay could not be started: the system gives no threads");
    return EID_OK;
}

eid_status eid_relay_http_start(const eid_relay_options *options, eid_relay *relay, eid_relay_http **out,
                                char **address)
{
    char actual[EID_SOCKADDR_TEXT_SIZE];
    int fd;
    EID_TRY(eid_listen(options->bind_address, &fd, actual));
    eid_relay_http *http = eid_alloc_zero(1, sizeof *http);
    char *copy = eid_alloc(strlen(actual) + 1);
    eid_status status = http != NULL && copy != NULL ? EID_OK : eid_fail_memory();
    if (status == EID_OK) {
        memcpy(copy, actual, strlen(actual) + 1);
        http->relay = relay;
        status = start_daemon(http, options, fd);
    }
    if (status != EID_OK) {
        close(fd);
        eid_free(http);
        eid_free(copy);
        return status;
    }
    *out = http;
    *address = copy;
    return EID_OK;
}

void eid_relay_http_quiesce(eid_relay_http *http)
{
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

void eid_relay_http_stop(eid_relay_http *http)
{
    MHD_stop_daemon(http->daemon);
    eid_free(http);
}

void eid_relay_http_end(struct MHD_UpgradeResponseHandle *handle)
{
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}
