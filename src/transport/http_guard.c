/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of the HTTP server on time and numbers; see http_guard.h. */
#include "transport/http_guard.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/wait.h"

struct eid_guarded {
    int fd;
    uint64_t until_ns;
    eid_guarded *next, *previous;
};

/* What an address may still do: fills up with time. */
typedef struct bucket {
    double requests;
    uint64_t at_ns;
} bucket;

struct eid_http_guard {
    pthread_mutex_t mutex;
    pthread_cond_t stop;
    pthread_t thread;
    bool stopping;
    eid_guarded *connections;
    eid_map *buckets; /* IP bytes -> bucket */
    double per_second, burst;
    uint64_t head_ms;
};

/* ---- Requests ---- */

/* IPv6 hosts are counted by their /64: that is what one customer has. */
static eid_slice address_key(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return eid_slice_of(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr, 8);
    return eid_slice_of(&((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
}

/* Drops those that are full again: they say nothing. */
static void tidy(eid_http_guard *guard, uint64_t now)
{
    eid_map_entry *at = eid_map_first(guard->buckets);
    while (at != NULL) {
        bucket *b = at->value;
        eid_slice key = at->key;
        at = eid_map_next(guard->buckets, at);
        if (b->requests + (double)(now - b->at_ns) / 1e9 * guard->per_second >= guard->burst)
            eid_free(eid_map_remove(guard->buckets, key));
    }
}

static bucket *find_bucket(eid_http_guard *guard, const struct sockaddr *address, uint64_t now)
{
    eid_map_entry *entry;
    eid_slice key = address_key(address);
    bucket *found = eid_map_get(guard->buckets, key);
    if (found != NULL)
        return found;
    if (eid_map_len(guard->buckets) >= EID_LIMIT_HTTP_BUCKETS)
        tidy(guard, now);
    if (eid_map_len(guard->buckets) >= EID_LIMIT_HTTP_BUCKETS || eid_map_put(guard->buckets, key, &entry, NULL) != EID_OK)
        return NULL;
    entry->value = found = eid_alloc_zero(1, sizeof *found);
    if (found == NULL) {
        eid_map_remove(guard->buckets, key);
        return NULL;
    }
    *found = (bucket){guard->burst, now};
    return found;
}

bool eid_http_guard_allow(eid_http_guard *guard, const struct sockaddr *address)
{
    pthread_mutex_lock(&guard->mutex);
    uint64_t now = eid_monotonic_ns();
    bucket *b = find_bucket(guard, address, now);
    bool allowed = b != NULL;
    if (b != NULL) {
        b->requests += (double)(now - b->at_ns) / 1e9 * guard->per_second;
        if (b->requests > guard->burst)
            b->requests = guard->burst;
        b->at_ns = now;
        allowed = b->requests >= 1;
        if (allowed)
            b->requests -= 1;
    }
    pthread_mutex_unlock(&guard->mutex);
    return allowed;
}

/* ---- Connections ---- */

eid_guarded *eid_http_guard_enter(eid_http_guard *guard, int fd)
{
    eid_guarded *connection = eid_alloc_zero(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->fd = fd;
    connection->until_ns = eid_monotonic_ns() + guard->head_ms * UINT64_C(1000000);
    pthread_mutex_lock(&guard->mutex);
    connection->next = guard->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    guard->connections = connection;
    pthread_mutex_unlock(&guard->mutex);
    return connection;
}

void eid_http_guard_expect(eid_http_guard *guard, eid_guarded *connection, uint64_t within_ms)
{
    if (connection == NULL)
        return;
    pthread_mutex_lock(&guard->mutex);
    connection->until_ns = eid_monotonic_ns() + (within_ms != 0 ? within_ms : guard->head_ms) * UINT64_C(1000000);
    pthread_mutex_unlock(&guard->mutex);
}

void eid_http_guard_leave(eid_http_guard *guard, eid_guarded *connection)
{
    if (connection == NULL)
        return;
    pthread_mutex_lock(&guard->mutex);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        guard->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&guard->mutex);
    eid_free(connection);
}

static void *watch(void *ctx)
{
    eid_http_guard *guard = ctx;
    pthread_mutex_lock(&guard->mutex);
    while (!guard->stopping) {
        struct timespec next;
        uint64_t now = eid_monotonic_ns();
        for (eid_guarded *c = guard->connections; c != NULL; c = c->next)
            /* The server sees the end of the connection and closes it. */
            if (now > c->until_ns)
                (void)shutdown(c->fd, SHUT_RDWR);
        eid_wait_deadline(1000, &next);
        pthread_cond_timedwait(&guard->stop, &guard->mutex, &next);
    }
    pthread_mutex_unlock(&guard->mutex);
    return NULL;
}

/* ---- Life ---- */

static eid_status start_watch(eid_http_guard *guard)
{
    EID_TRY(eid_wait_init(&guard->mutex, &guard->stop));
    if (pthread_create(&guard->thread, NULL, watch, guard) == 0)
        return EID_OK;
    eid_wait_destroy(&guard->mutex, &guard->stop);
    return eid_fail(EID_ERR_IO, "the system gives no more threads");
}

eid_status eid_http_guard_new(uint32_t requests_per_minute, uint64_t head_ms, eid_http_guard **out)
{
    eid_http_guard *guard = eid_alloc_zero(1, sizeof *guard);
    if (guard == NULL)
        return eid_fail_memory();
    guard->head_ms = head_ms;
    guard->per_second = (double)requests_per_minute / 60;
    guard->burst = (double)requests_per_minute / 2 < 1 ? 1 : (double)requests_per_minute / 2;
    eid_status status = eid_map_new(&guard->buckets);
    if (status == EID_OK)
        status = start_watch(guard);
    if (status != EID_OK) {
        eid_map_free(guard->buckets, eid_free);
        eid_free(guard);
        return status;
    }
    *out = guard;
    return EID_OK;
}

void eid_http_guard_free(eid_http_guard *guard)
{
    if (guard == NULL)
        return;
    pthread_mutex_lock(&guard->mutex);
    guard->stopping = true;
    pthread_cond_signal(&guard->stop);
    pthread_mutex_unlock(&guard->mutex);
    pthread_join(guard->thread, NULL);
    eid_map_free(guard->buckets, eid_free);
    eid_wait_destroy(&guard->mutex, &guard->stop);
    eid_free(guard);
}
