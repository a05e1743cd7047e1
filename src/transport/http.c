/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP as a transport of sync: one client, and at most one server. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "transport/http_int.h"
#include "transport/interfaces.h"

typedef struct http_transport {
    eid_transport base;
    eid_http_client *client;
    char *bind_address; /* NULL: client only */
    char *advertise;    /* NULL: the server's own addresses */
    eid_http_server_options options;
    pthread_mutex_t mutex;   /* of `server`; starting and stopping hold it throughout */
    eid_http_server *server; /* NULL while none runs */
} http_transport;

static http_transport *http_of(eid_transport *transport)
{
    return (http_transport *)(void *)transport;
}

static void http_send(eid_transport *transport, eid_exchange *exchange)
{
    eid_http_client_send(http_of(transport)->client, exchange);
}

static void http_cancel(eid_transport *transport, eid_exchange *exchange)
{
    eid_http_client_cancel(http_of(transport)->client, exchange);
}

static void http_resume(eid_transport *transport, eid_exchange *exchange)
{
    eid_http_client_resume(http_of(transport)->client, exchange);
}

static eid_status http_start(eid_transport *transport, const char *bind_address, eid_request_handler handler,
                             void *ctx)
{
    http_transport *http = http_of(transport);
    eid_status status;

    if (bind_address == NULL)
        bind_address = http->bind_address;
    if (bind_address == NULL)
        return eid_fail(EID_ERR_UNSUPPORTED, "The transport has no bind address: it is for asking only");
    pthread_mutex_lock(&http->mutex);
    if (http->server != NULL)
        status = eid_fail(EID_ERR_SERVER_ALREADY_RUNNING, "Server already running on %s",
                          eid_http_server_address(http->server));
    else
        status = eid_http_server_start(bind_address, &http->options, handler, ctx, &http->server);
    pthread_mutex_unlock(&http->mutex);
    return status;
}

static eid_status fail_not_running(void)
{
    return eid_fail(EID_ERR_SERVER_NOT_RUNNING, "Server not running");
}

static eid_status http_stop(eid_transport *transport)
{
    http_transport *http = http_of(transport);
    pthread_mutex_lock(&http->mutex);
    eid_http_server *server = http->server;
    http->server = NULL;
    eid_http_server_stop(server);
    pthread_mutex_unlock(&http->mutex);
    return server != NULL ? EID_OK : fail_not_running();
}

/* ---- Where it can be reached ---- */

static void add_line(eid_buf *out, bool secure, const char *text)
{
    if (out->len != 0)
        eid_buf_append_byte(out, '\n');
    eid_buf_appendf(out, "%s%s", secure ? "https://" : "", text);
}

typedef struct interface_lines {
    eid_buf *out;
    bool secure;
    const char *port;
} interface_lines;

static void add_interface(const struct sockaddr *address, void *ctx)
{
    const interface_lines *lines = ctx;
    char host[64], text[96];
    eid_http_format_ip(address, host);
    snprintf(text, sizeof text, "%s:%s", host, lines->port);
    add_line(lines->out, lines->secure, text);
}

static void write_addresses(const http_transport *http, eid_buf *out)
{
    const char *bound = eid_http_server_address(http->server);
    bool secure = http->options.certificate_pem != NULL;
    bool all4 = strncmp(bound, "0.0.0.0:", 8) == 0, all6 = strncmp(bound, "[::]:", 5) == 0;
    const char *port = strrchr(bound, ':') + 1;
    char text[96];

    if (http->advertise != NULL) {
        const char *at = http->advertise + strspn(http->advertise, " ");
        while (*at != '\0') {
            size_t len = strcspn(at, " ");
            if (out->len != 0)
                eid_buf_append_byte(out, '\n');
            if (secure && strncmp(at, "https://", 8) != 0)
                eid_buf_append_text(out, "https://");
            eid_buf_append(out, at, len);
            at += len + strspn(at + len, " ");
        }
        return;
    }
    if (all4 || all6)
        eid_interfaces_visit(true, all6, add_interface, &(interface_lines){out, secure, port});
    else
        add_line(out, secure, bound);
    if (out->len == 0) {
        snprintf(text, sizeof text, "127.0.0.1:%s", port);
        add_line(out, secure, text);
    }
}

static eid_status http_server_address(eid_transport *transport, char **out)
{
    http_transport *http = http_of(transport);
    eid_buf text;

    eid_buf_init(&text, EID_LIMIT_ADDRESS_TEXT * EID_LIMIT_PEER_ADDRESSES);
    pthread_mutex_lock(&http->mutex);
    bool running = http->server != NULL;
    if (running)
        write_addresses(http, &text);
    pthread_mutex_unlock(&http->mutex);
    if (!running)
        return fail_not_running();
    return eid_buf_take_text(&text, out);
}

/* ---- Life ---- */

static void free_http(http_transport *http)
{
    eid_http_server_stop(http->server);
    eid_http_client_free(http->client);
    pthread_mutex_destroy(&http->mutex);
    eid_free(http->bind_address);
    eid_free(http->advertise);
    eid_free(http->options.certificate_pem);
    if (http->options.private_key_pem != NULL)
        eid_wipe(http->options.private_key_pem, strlen(http->options.private_key_pem));
    eid_free(http->options.private_key_pem);
    eid_free(http);
}

static void http_close(eid_transport *transport)
{
    free_http(http_of(transport));
}

static const eid_transport_functions http_functions = {
    .send = http_send,
    .cancel = http_cancel,
    .resume = http_resume,
    .start = http_start,
    .stop = http_stop,
    .server_address = http_server_address,
    .close = http_close,
};

static eid_status copy_text(const char *text, char **out)
{
    *out = text == NULL ? NULL : eid_strdup(text);
    return text != NULL && *out == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status fill_http(eid_host *host, const eid_http_options *options, http_transport *http)
{
    EID_TRY(copy_text(options->bind_address, &http->bind_address));
    EID_TRY(copy_text(options->advertise, &http->advertise));
    EID_TRY(copy_text(options->certificate_pem, &http->options.certificate_pem));
    EID_TRY(copy_text(options->private_key_pem, &http->options.private_key_pem));
    http->options.requests_per_minute = options->requests_per_minute;
    http->options.connections = options->connections;
    http->options.connections_per_address = options->connections_per_address;
    return eid_http_client_new(host, options->trusted_file, &http->client);
}

eid_status eid_http_transport_add(eid_sync *sync, const char *name, const eid_http_options *options)
{
    eid_host *host;

    EID_TRY(eid_sync_host(sync, eid_loop_new, &host));
    http_transport *http = eid_alloc_zero(1, sizeof *http);
    if (http == NULL)
        return eid_fail_memory();
    http->base.functions = &http_functions;
    http->base.type = EID_HTTP_NAME;
    pthread_mutex_init(&http->mutex, NULL);
    eid_status status = fill_http(host, options, http);
    if (status != EID_OK) {
        free_http(http);
        return status;
    }
    return eid_sync_add_transport(sync, name, &http->base);
}
