/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: what the library gives away, and how to lend it another allocator. */
#ifndef EIDETICA_MEMORY_H
#define EIDETICA_MEMORY_H

#include <stddef.h>

#include <eidetica/export.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frees a buffer or text that a function of this library handed over and whose contract names eid_free.
 * NULL is allowed. */
EID_API void eid_free(void *memory);

/* The three functions of an allocator, with the contracts of malloc, realloc and free. */
typedef struct eid_allocator {
    void *(*allocate)(size_t size, void *ctx);
    void *(*reallocate)(void *memory, size_t size, void *ctx);
    void (*release)(void *memory, void *ctx);
    void *ctx;
} eid_allocator;

/* Makes the whole process use another allocator (NULL: back to malloc). Call it before any other function of
 * the library: memory must be freed by the allocator that gave it. Not thread safe.
 * EID_ERR_INVALID_ARGUMENT when a function is missing. */
EID_API eid_status eid_set_allocator(const eid_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
