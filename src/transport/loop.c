/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's thread is a libuv loop. Other threads put work into a queue and wake it; slow work goes to hands, program
 * callbacks to a thread of their own. Hands are not libuv's, which are few and shared by the whole process: a write
 * callback of one instance must not keep another one from verifying. */
#include "transport/loop.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"

typedef struct work_queue {
    eid_work *first, *last;
} work_queue;

/* One or more threads that take work out of a queue. */
typedef struct hands {
    struct loop_host *host;
    work_queue queue;
    pthread_cond_t wanted;
    pthread_t threads[EID_LIMIT_SYNC_HANDS];
    size_t count, idle, most;
} hands;

typedef struct loop_host {
    eid_host base;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    eid_work *alarm;       /* what the timer runs; the loop's thread only */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    work_queue posted;
    hands workers;
    hands callbacks;
    size_t out;            /* pieces of work with hands */
    bool closing;
    bool hands_closing;
} loop_host;

static loop_host *loop_of(eid_host *host)
{
    return (loop_host *)(void *)host;
}

static void push(work_queue *queue, eid_work *work)
{
    work->next = NULL;
    if (queue->last != NULL)
        queue->last->next = work;
    else
        queue->first = work;
    queue->last = work;
}

static eid_work *pop(work_queue *queue)
{
    eid_work *work = queue->first;
    if (work == NULL)
        return NULL;
    queue->first = work->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return work;
}

/* ---- Time and chance ---- */

static uint64_t loop_now(eid_host *host)
{
    (void)host;
    return eid_monotonic_ns() / 1000000;
}

static uint64_t loop_random(eid_host *host)
{
    (void)host;
    return eid_random_u64();
}

/* ---- Hands ---- */

static void finish_work(loop_host *host, eid_work *work)
{
    pthread_mutex_lock(&host->mutex);
    host->out--;
    if (work != NULL)
        push(&host->posted, work);
    pthread_mutex_unlock(&host->mutex);
    uv_async_send(&host->wake);
}

/* Work that comes back from a hand is posted with `done` in the place of `run`. */
static void run_done(eid_work *work)
{
    work->done(work);
}

static void do_work(loop_host *host, eid_work *work)
{
    void (*done)(eid_work *) = work->done;
    work->run(work);
    finish_work(host, done == NULL ? NULL : work);
}

static void *live_as_hand(void *ctx)
{
    hands *group = ctx;
    loop_host *host = group->host;
    pthread_mutex_lock(&host->mutex);
    for (;;) {
        eid_work *work = pop(&group->queue);
        if (work == NULL && host->hands_closing)
            break;
        if (work == NULL) {
            group->idle++;
            pthread_cond_wait(&group->wanted, &host->mutex);
            group->idle--;
            continue;
        }
        pthread_mutex_unlock(&host->mutex);
        do_work(host, work);
        pthread_mutex_lock(&host->mutex);
    }
    pthread_mutex_unlock(&host->mutex);
    return NULL;
}

static void hand_over(hands *group, eid_work *work)
{
    loop_host *host = group->host;
    pthread_mutex_lock(&host->mutex);
    push(&group->queue, work);
    host->out++;
    bool stuck = false;
    if (group->idle != 0)
        pthread_cond_signal(&group->wanted);
    else if (group->count < group->most &&
             pthread_create(&group->threads[group->count], NULL, live_as_hand, group) == 0)
        group->count++;
    else
        stuck = group->count == 0;
    if (stuck)
        work = pop(&group->queue);
    pthread_mutex_unlock(&host->mutex);
    /* Not one thread to be had: late is better than never. */
    if (stuck)
        do_work(host, work);
}

static void loop_work(eid_host *host, eid_work *work)
{
    hand_over(&loop_of(host)->workers, work);
}

static void loop_call_back(eid_host *host, eid_work *work)
{
    hand_over(&loop_of(host)->callbacks, work);
}

static bool is_one_of(hands *group)
{
    pthread_t self = pthread_self();
    bool found = false;
    pthread_mutex_lock(&group->host->mutex);
    for (size_t i = 0; i < group->count; i++)
        found |= pthread_equal(self, group->threads[i]) != 0;
    pthread_mutex_unlock(&group->host->mutex);
    return found;
}

static bool loop_is_needed(eid_host *base)
{
    loop_host *host = loop_of(base);
    return pthread_equal(pthread_self(), host->thread) != 0 || is_one_of(&host->workers);
}

static bool loop_is_calling_back(eid_host *base)
{
    return is_one_of(&loop_of(base)->callbacks);
}

/* ---- The loop's thread ---- */

static void loop_post(eid_host *base, eid_work *work)
{
    loop_host *host = loop_of(base);
    pthread_mutex_lock(&host->mutex);
    push(&host->posted, work);
    pthread_mutex_unlock(&host->mutex);
    uv_async_send(&host->wake);
}

static void on_alarm(uv_timer_t *timer)
{
    loop_host *host = timer->data;
    eid_work *alarm = host->alarm;
    host->alarm = NULL;
    if (alarm != NULL)
        alarm->run(alarm);
}

static void loop_alarm(eid_host *base, uint64_t at_ms, eid_work *wake)
{
    loop_host *host = loop_of(base);
    host->alarm = wake;
    if (at_ms == UINT64_MAX) {
        uv_timer_stop(&host->timer);
        return;
    }
    uint64_t now = loop_now(base);
    uv_update_time(&host->loop);
    /* Never 0: set from inside its own callback, libuv would run such a timer again and again and nothing else. */
    uv_timer_start(&host->timer, on_alarm, at_ms <= now ? 1 : at_ms - now, 0);
}

/* True when nothing is left to be done anywhere; the mutex is held. */
static bool is_over(const loop_host *host)
{
    return host->closing && host->out == 0 && host->posted.first == NULL;
}

static void on_wake(uv_async_t *wake)
{
    loop_host *host = wake->data;
    pthread_mutex_lock(&host->mutex);
    eid_work *work;
    while ((work = pop(&host->posted)) != NULL) {
        pthread_mutex_unlock(&host->mutex);
        if (work->done != NULL)
            run_done(work);
        else
            work->run(work);
        pthread_mutex_lock(&host->mutex);
    }
    bool over = is_over(host);
    pthread_mutex_unlock(&host->mutex);
    if (over) {
        uv_close((uv_handle_t *)&host->timer, NULL);
        uv_close((uv_handle_t *)&host->wake, NULL);
    }
}

static void *live_as_loop(void *ctx)
{
    loop_host *host = ctx;
    uv_run(&host->loop, UV_RUN_DEFAULT);
    return NULL;
}

uv_loop_t *eid_loop_uv(eid_host *host)
{
    return &loop_of(host)->loop;
}

typedef struct waited_call {
    eid_work work;
    void (*run)(void *ctx);
    void *ctx;
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool done;
} waited_call;

static void run_call(eid_work *work)
{
    waited_call *call = (waited_call *)(void *)work;
    call->run(call->ctx);
    pthread_mutex_lock(&call->mutex);
    call->done = true;
    pthread_cond_signal(&call->over);
    pthread_mutex_unlock(&call->mutex);
}

void eid_loop_call(eid_host *host, void (*run)(void *ctx), void *ctx)
{
    waited_call call = {.work = {.run = run_call}, .run = run, .ctx = ctx};
    pthread_mutex_init(&call.mutex, NULL);
    pthread_cond_init(&call.over, NULL);
    loop_post(host, &call.work);
    pthread_mutex_lock(&call.mutex);
    while (!call.done)
        pthread_cond_wait(&call.over, &call.mutex);
    pthread_mutex_unlock(&call.mutex);
    pthread_cond_destroy(&call.over);
    pthread_mutex_destroy(&call.mutex);
}

/* ---- Life ---- */

static void join_hands(loop_host *host)
{
    pthread_mutex_lock(&host->mutex);
    host->hands_closing = true;
    pthread_cond_broadcast(&host->workers.wanted);
    pthread_cond_broadcast(&host->callbacks.wanted);
    pthread_mutex_unlock(&host->mutex);
    for (size_t i = 0; i < host->workers.count; i++)
        pthread_join(host->workers.threads[i], NULL);
    for (size_t i = 0; i < host->callbacks.count; i++)
        pthread_join(host->callbacks.threads[i], NULL);
}

static void free_host(loop_host *host)
{
    pthread_cond_destroy(&host->workers.wanted);
    pthread_cond_destroy(&host->callbacks.wanted);
    pthread_mutex_destroy(&host->mutex);
    eid_free(host);
}

static void loop_close(eid_host *base)
{
    loop_host *host = loop_of(base);
    pthread_mutex_lock(&host->mutex);
    host->closing = true;
    pthread_mutex_unlock(&host->mutex);
    uv_async_send(&host->wake);
    pthread_join(host->thread, NULL);
    join_hands(host);
    uv_loop_close(&host->loop);
    free_host(host);
}

static const eid_host_functions loop_functions = {
    .now_ms = loop_now,
    .random = loop_random,
    .post = loop_post,
    .work = loop_work,
    .call_back = loop_call_back,
    .alarm = loop_alarm,
    .is_needed = loop_is_needed,
    .is_calling_back = loop_is_calling_back,
    .pump = NULL,
    .close = loop_close,
};

static eid_status start_loop(loop_host *host)
{
    int error = uv_loop_init(&host->loop);
    if (error != 0)
        return eid_fail(EID_ERR_IO, "the event loop could not be made: %s", uv_strerror(error));
    error = uv_async_init(&host->loop, &host->wake, on_wake);
    if (error == 0)
        error = uv_timer_init(&host->loop, &host->timer);
    if (error == 0) {
        host->wake.data = host;
        host->timer.data = host;
        error = -pthread_create(&host->thread, NULL, live_as_loop, host);
    }
    if (error == 0)
        return EID_OK;
    /* Handles are closed by the loop they belong to. */
    if (host->wake.data != NULL) {
        uv_close((uv_handle_t *)&host->wake, NULL);
        uv_close((uv_handle_t *)&host->timer, NULL);
        uv_run(&host->loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(&host->loop);
    return eid_fail(EID_ERR_IO, "the thread of the sync engine could not be started: %s", uv_strerror(error));
}

eid_status eid_loop_new(eid_host **out)
{
    loop_host *host = eid_alloc_zero(1, sizeof *host);
    if (host == NULL)
        return eid_fail_memory();
    host->base.functions = &loop_functions;
    host->workers = (hands){.host = host, .most = EID_LIMIT_SYNC_HANDS};
    host->callbacks = (hands){.host = host, .most = 1};
    pthread_mutex_init(&host->mutex, NULL);
    pthread_cond_init(&host->workers.wanted, NULL);
    pthread_cond_init(&host->callbacks.wanted, NULL);
    eid_status status = start_loop(host);
    if (status != EID_OK) {
        free_host(host);
        return status;
    }
    *out = &host->base;
    return EID_OK;
}
