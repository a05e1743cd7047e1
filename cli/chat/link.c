/* SPDX-License-Identifier: Apache-2.0 */
/* The sync thread; see link.h. */
#include "link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "util.h"
#include "wake.h"

struct link {
    struct room *room;
    unsigned refresh_ms;
    pthread_t thread;
    pthread_mutex_t lock;   /* guards everything below */
    pthread_cond_t changed; /* a request came, or the end; and, the other way, the thread is over */
    uint64_t wanted;        /* number of the last request */
    bool ending;
    bool ended;
    struct link_state state;
};

static void time_from_now(unsigned milliseconds, struct timespec *out)
{
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += milliseconds / 1000;
    out->tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

/* One round, without the lock. */
static void sync_once(struct room *room, struct link_state *state)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_status status = eid_user_sync_with_ticket(room->user, room->peers, &result);
    if (status == EID_OK) {
        state->kind = LINK_ONLINE;
        state->problem[0] = '\0';
        state->received = result.admitted;
        state->sent = result.sent;
        state->synced_at = (int64_t)time(NULL);
        return;
    }
    char *problem = room_problem(status, room->peers);
    state->kind = LINK_OFFLINE;
    snprintf(state->problem, sizeof state->problem, "%s", problem);
    free(problem);
}

static void *run(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->lock);
    /* What was asked for before the end is still done: it may carry the last message. */
    while (!link->ending || link->wanted != link->state.done) {
        uint64_t serving = link->wanted;
        struct link_state state = link->state;
        if (link->room->peers != NULL) {
            pthread_mutex_unlock(&link->lock);
            sync_once(link->room, &state);
            pthread_mutex_lock(&link->lock);
        }
        state.done = serving;
        link->state = state;
        wake_ring();

        struct timespec next;
        time_from_now(link->refresh_ms, &next);
        int waited = 0;
        while (!link->ending && link->wanted == serving && waited == 0)
            waited = pthread_cond_timedwait(&link->changed, &link->lock, &next);
    }
    link->ended = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    return NULL;
}

bool link_start(struct room *room, unsigned refresh_ms, struct link **out)
{
    struct link *link = cli_alloc(sizeof *link);
    link->room = room;
    link->refresh_ms = refresh_ms;
    link->state.kind = room->peers != NULL ? LINK_CONNECTING : LINK_SERVING;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&link->thread, NULL, run, link) != 0) {
        free(link);
        return false;
    }
    *out = link;
    return true;
}

uint64_t link_request(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    uint64_t number = ++link->wanted;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    return number;
}

void link_get(struct link *link, struct link_state *out)
{
    pthread_mutex_lock(&link->lock);
    *out = link->state;
    pthread_mutex_unlock(&link->lock);
}

bool link_stop(struct link *link, unsigned wait_ms)
{
    struct timespec last;
    time_from_now(wait_ms, &last);
    pthread_mutex_lock(&link->lock);
    link->ending = true;
    pthread_cond_broadcast(&link->changed);
    int waited = 0;
    while (!link->ended && waited == 0)
        waited = pthread_cond_timedwait(&link->changed, &link->lock, &last);
    bool ended = link->ended;
    pthread_mutex_unlock(&link->lock);
    if (!ended)
        return false;
    pthread_join(link->thread, NULL);
    pthread_mutex_destroy(&link->lock);
    pthread_cond_destroy(&link->changed);
    free(link);
    return true;
}
