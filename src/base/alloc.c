/* SPDX-License-Identifier: Apache-2.0 */
/* Memory through one replaceable allocator. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static void *system_allocate(size_t size, void *ctx)
{
    (void)ctx;
    return malloc(size);
}

static void *system_reallocate(void *memory, size_t size, void *ctx)
{
    (void)ctx;
    return realloc(memory, size);
}

static void system_release(void *memory, void *ctx)
{
    (void)ctx;
    free(memory);
}

static const eid_allocator system_allocator = {system_allocate, system_reallocate, system_release, NULL};

/* A process hook: set before any other call, then only read. */
static eid_allocator current = {system_allocate, system_reallocate, system_release, NULL};

eid_status eid_set_allocator(const eid_allocator *allocator)
{
    if (allocator == NULL) {
        current = system_allocator;
        return EID_OK;
    }
    if (allocator->allocate == NULL || allocator->reallocate == NULL || allocator->release == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT,
                        "an allocator needs all three functions: allocate, reallocate and release");
    current = *allocator;
    return EID_OK;
}

void *eid_alloc(size_t size)
{
    return current.allocate(size == 0 ? 1 : size, current.ctx);
}

void *eid_alloc_zero(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = eid_alloc(total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

void *eid_realloc_array(void *memory, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    if (memory == NULL)
        return eid_alloc(total);
    /* A reallocation to nothing may free the block and answer NULL, which would look like a failure. */
    return current.reallocate(memory, total == 0 ? 1 : total, current.ctx);
}

void *eid_memdup(const void *data, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    uint8_t *copy = eid_alloc(len + 1);
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = 0;
    return copy;
}

char *eid_strdup(const char *text)
{
    return eid_memdup(text, strlen(text));
}

void eid_free(void *memory)
{
    if (memory != NULL)
        current.release(memory, current.ctx);
}

eid_status eid_make_room(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return EID_OK;
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *grown = eid_realloc_array(*items, wanted, size);
    if (grown == NULL)
        return eid_fail_memory();
    *items = grown;
    *capacity = wanted;
    return EID_OK;
}
