/* SPDX-License-Identifier: Apache-2.0 */
/* The growable buffer: the only byte builder of the library.
 *
 * It is born with its maximum. The first append that fails (memory, or the maximum) makes the buffer fail for
 * good: later appends do nothing, and eid_buf_status tells the cause once at the end. So writers append without
 * checking each step. The bytes are always followed by one zero byte that is not counted in len.
 */
#ifndef EID_BASE_BUF_H
#define EID_BASE_BUF_H

#include "base/slice.h"
#include "base/status.h"

typedef struct eid_buf {
    uint8_t *data;      /* NULL until the first append */
    size_t len;         /* bytes in use */
    size_t capacity;    /* bytes allocated, the zero byte included */
    size_t max;         /* len never exceeds this */
    eid_status status;  /* EID_OK, EID_ERR_NO_MEMORY or EID_ERR_LIMIT */
} eid_buf;

void eid_buf_init(eid_buf *buf, size_t max);
void eid_buf_free(eid_buf *buf);            /* releases the bytes; the buffer may be used again */
void eid_buf_reset(eid_buf *buf);           /* len 0, memory kept, failure forgotten */
void eid_buf_append(eid_buf *buf, const void *data, size_t len);
void eid_buf_append_byte(eid_buf *buf, uint8_t byte);
void eid_buf_append_text(eid_buf *buf, const char *text);
void eid_buf_append_slice(eid_buf *buf, eid_slice slice);
void eid_buf_appendf(eid_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void eid_buf_append_u64_be(eid_buf *buf, uint64_t value);

/* Makes room for `len` bytes and returns where to write them, or NULL when the buffer failed. The bytes count
 * only after eid_buf_commit(buf, written). */
uint8_t *eid_buf_reserve(eid_buf *buf, size_t len);
void eid_buf_commit(eid_buf *buf, size_t written);

/* EID_OK, or the failure with its sentence in eid_last_error(). */
eid_status eid_buf_status(const eid_buf *buf);

eid_slice eid_buf_slice(const eid_buf *buf);  /* lent until the next append */

/* Hands the bytes over (the caller eid_free()s them; never NULL on success) and leaves the buffer empty.
 * On a failed buffer: its status, nothing handed over, the buffer freed. `len` may be NULL. */
eid_status eid_buf_take(eid_buf *buf, uint8_t **data, size_t *len);
eid_status eid_buf_take_text(eid_buf *buf, char **text);

#endif
