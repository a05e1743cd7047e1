/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP as a transport of sync: one client, and at most one server. */
#include <pthread.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "transport/http_int.h"

typedef struct http_transport {
    eid_transport base;
    eid_http_client *client;
    pthread_mutex_t mutex;   /* of `server`; starting and stopping hold it throughout */
    eid_http_server *server; /* NULL while none runs */
} http_transport;

static http_transport *http_of(eid_transport *transport)
{
    return (http_transport *)(void *)transport;
}

static eid_status http_request(eid_transport *transport, const char *address, eid_slice body, eid_buf *answer)
{
    return eid_http_client_request(http_of(transport)->client, address, body, answer);
}

static eid_status http_start(eid_transport *transport, const char *bind_address, eid_request_handler handler,
                             void *ctx)
{
    http_transport *http = http_of(transport);
    eid_status status;

    pthread_mutex_lock(&http->mutex);
    if (http->server != NULL)
        status = eid_fail(EID_ERR_SERVER_ALREADY_RUNNING, "Server already running on %s",
                          eid_http_server_address(http->server));
    else
        status = eid_http_server_start(bind_address, handler, ctx, &http->server);
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

static eid_status http_server_address(eid_transport *transport, char **out)
{
    http_transport *http = http_of(transport);
    char *copy = NULL;

    pthread_mutex_lock(&http->mutex);
    bool running = http->server != NULL;
    if (running)
        copy = eid_strdup(eid_http_server_address(http->server));
    pthread_mutex_unlock(&http->mutex);
    if (!running)
        return fail_not_running();
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

static void http_close(eid_transport *transport)
{
    http_transport *http = http_of(transport);
    eid_http_server_stop(http->server);
    eid_http_client_free(http->client);
    pthread_mutex_destroy(&http->mutex);
    eid_free(http);
}

static const eid_transport_functions http_functions = {
    .request = http_request,
    .start = http_start,
    .stop = http_stop,
    .server_address = http_server_address,
    .close = http_close,
};

eid_status eid_sync_enable_http_transport(eid_sync *sync)
{
    static const eid_http_limits limits = {EID_LIMIT_HTTP_CONNECT_MS, EID_LIMIT_HTTP_STALL_S,
                                           EID_LIMIT_HTTP_RESPONSE_BYTES};

    /* Asked for twice, the second time changes nothing: a running server goes on. */
    if (eid_sync_has_transport(sync, "http"))
        return EID_OK;
    http_transport *http = eid_alloc_zero(1, sizeof *http);
    if (http == NULL)
        return eid_fail_memory();
    http->base.functions = &http_functions;
    http->base.type = "http";
    eid_status status = eid_http_client_new(&limits, &http->client);
    if (status == EID_OK && pthread_mutex_init(&http->mutex, NULL) != 0) {
        eid_http_client_free(http->client);
        status = eid_fail(EID_ERR_IO, "the system gives no more mutexes");
    }
    if (status != EID_OK) {
        eid_free(http);
        return status;
    }
    return eid_sync_add_transport(sync, &http->base);
}
