/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator that counts and refuses. The counters are atomic: the library may allocate on any thread. */
#include "support/testutil.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <eidetica/memory.h>

static struct {
    atomic_size_t count;   /* requests since the counting started */
    atomic_size_t live;    /* blocks given and not returned */
    atomic_size_t bytes;   /* in them, as the system counts them */
    atomic_size_t fail_at; /* the request to refuse, 0 for none */
    atomic_bool for_good;  /* all later ones too */
    atomic_bool fired;
} alloc_state;

static bool refused(void)
{
    size_t number = atomic_fetch_add(&alloc_state.count, 1) + 1;
    size_t fail_at = atomic_load(&alloc_state.fail_at);
    bool refuse = fail_at != 0 && (number == fail_at || (number > fail_at && alloc_state.for_good));
    if (refuse)
        atomic_store(&alloc_state.fired, true);
    return refuse;
}

static void *counted_allocate(size_t size, void *ctx)
{
    (void)ctx;
    void *memory = refused() ? NULL : malloc(size);
    if (memory != NULL) {
        atomic_fetch_add(&alloc_state.live, 1);
        atomic_fetch_add(&alloc_state.bytes, malloc_usable_size(memory));
    }
    return memory;
}

static void *counted_reallocate(void *memory, size_t size, void *ctx)
{
    (void)ctx;
    size_t before = malloc_usable_size(memory);
    void *moved = refused() ? NULL : realloc(memory, size);
    if (moved != NULL)
        atomic_fetch_add(&alloc_state.bytes, malloc_usable_size(moved) - before);
    return moved;
}

static void counted_release(void *memory, void *ctx)
{
    (void)ctx;
    atomic_fetch_sub(&alloc_state.bytes, malloc_usable_size(memory));
    free(memory);
    size_t before = atomic_fetch_sub(&alloc_state.live, 1);
    if (before == 0)
        fail_msg("more blocks were freed than allocated");
}

static void arm(size_t n, bool for_good)
{
    atomic_store(&alloc_state.count, 0);
    atomic_store(&alloc_state.fired, false);
    atomic_store(&alloc_state.for_good, for_good);
    atomic_store(&alloc_state.fail_at, n);
}

void tu_alloc_install(void)
{
    static const eid_allocator counting = {counted_allocate, counted_reallocate, counted_release, NULL};
    arm(0, false);
    atomic_store(&alloc_state.live, 0);
    atomic_store(&alloc_state.bytes, 0);
    tu_assert_ok(eid_set_allocator(&counting));
}

void tu_alloc_remove(void)
{
    arm(0, false);
    tu_assert_ok(eid_set_allocator(NULL));
}

void tu_alloc_fail_at(size_t n)
{
    arm(n, false);
}

void tu_alloc_fail_from(size_t n)
{
    arm(n, true);
}

size_t tu_alloc_count(void)
{
    return atomic_load(&alloc_state.count);
}

size_t tu_alloc_live(void)
{
    return atomic_load(&alloc_state.live);
}

size_t tu_alloc_bytes(void)
{
    return atomic_load(&alloc_state.bytes);
}

bool tu_alloc_fired(void)
{
    return atomic_load(&alloc_state.fired);
}

/* One sweep over all points. */
static size_t sweep(eid_status (*step)(void *ctx), void *ctx, bool for_good)
{
    size_t points = 0;
    for (;;) {
        size_t live_before = tu_alloc_live();
        arm(points + 1, for_good);
        eid_status status = step(ctx);
        bool fired = tu_alloc_fired();
        arm(0, false);
        if (tu_alloc_live() != live_before)
            fail_msg("allocation %zu failing: %zu blocks before, %zu after", points + 1, live_before,
                     tu_alloc_live());
        if (!fired) {
            tu_assert_ok(status);
            return points;
        }
        if (status != EID_ERR_NO_MEMORY)
            fail_msg("allocation %zu failing: the answer was %s", points + 1, eid_status_name(status));
        points++;
    }
}

size_t tu_alloc_fault_loop(eid_status (*step)(void *ctx), void *ctx)
{
    tu_alloc_install();
    size_t points = sweep(step, ctx, false);
    sweep(step, ctx, true);
    tu_alloc_remove();
    return points;
}
