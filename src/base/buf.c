/* SPDX-License-Identifier: Apache-2.0 */
/* The growable buffer. Capacity doubles, so a byte is copied a constant number of times on average. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_CAPACITY 64

void eid_buf_init(eid_buf *buf, size_t max)
{
    memset(buf, 0, sizeof *buf);
    /* One byte of the address space stays free for the zero after the text. */
    buf->max = max < SIZE_MAX - 1 ? max : SIZE_MAX - 1;
}

void eid_buf_free(eid_buf *buf)
{
    eid_free(buf->data);
    eid_buf_init(buf, buf->max);
}

void eid_buf_reset(eid_buf *buf)
{
    buf->len = 0;
    buf->status = EID_OK;
    if (buf->data != NULL)
        buf->data[0] = 0;
}

uint8_t *eid_buf_reserve(eid_buf *buf, size_t len)
{
    if (buf->status != EID_OK)
        return NULL;
    if (len > buf->max - buf->len) {
        buf->status = EID_ERR_LIMIT;
        return NULL;
    }
    size_t needed = buf->len + len + 1;
    if (needed > buf->capacity) {
        size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;
        while (capacity < needed)
            capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
        /* Never more than the maximum and its zero: a small cap should also mean little memory. */
        if (capacity > buf->max + 1)
            capacity = buf->max + 1;
        uint8_t *data = eid_realloc_array(buf->data, capacity, 1);
        if (data == NULL) {
            buf->status = EID_ERR_NO_MEMORY;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
        buf->data[buf->len] = 0;
    }
    return buf->data + buf->len;
}

void eid_buf_commit(eid_buf *buf, size_t written)
{
    if (buf->status != EID_OK || written == 0)
        return;
    assert(buf->data != NULL && written < buf->capacity - buf->len);
    buf->len += written;
    buf->data[buf->len] = 0;
}

void eid_buf_append(eid_buf *buf, const void *data, size_t len)
{
    uint8_t *out = eid_buf_reserve(buf, len);
    if (out == NULL || len == 0)
        return;
    memcpy(out, data, len);
    eid_buf_commit(buf, len);
}

void eid_buf_append_byte(eid_buf *buf, uint8_t byte)
{
    eid_buf_append(buf, &byte, 1);
}

void eid_buf_append_text(eid_buf *buf, const char *text)
{
    eid_buf_append(buf, text, strlen(text));
}

void eid_buf_append_slice(eid_buf *buf, eid_slice slice)
{
    eid_buf_append(buf, slice.data, slice.len);
}

void eid_buf_appendf(eid_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (wanted < 0) {
        if (buf->status == EID_OK)
            buf->status = EID_ERR_LIMIT;
    } else {
        uint8_t *out = eid_buf_reserve(buf, (size_t)wanted);
        if (out != NULL) {
            /* The zero that vsnprintf adds falls on the byte kept for it. */
            vsnprintf((char *)out, (size_t)wanted + 1, format, again);
            eid_buf_commit(buf, (size_t)wanted);
        }
    }
    va_end(again);
}

void eid_buf_append_u64_be(eid_buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    eid_buf_append(buf, bytes, sizeof bytes);
}

eid_status eid_buf_status(const eid_buf *buf)
{
    switch (buf->status) {
    case EID_OK:
        return EID_OK;
    case EID_ERR_NO_MEMORY:
        return eid_fail_memory();
    default:
        return eid_fail(buf->status, "the data would be larger than the %zu bytes allowed here", buf->max);
    }
}

eid_slice eid_buf_slice(const eid_buf *buf)
{
    return eid_slice_of(buf->data, buf->len);
}

eid_status eid_buf_take(eid_buf *buf, uint8_t **data, size_t *len)
{
    /* An empty buffer has no bytes yet, but a taker expects some to free. */
    eid_buf_reserve(buf, 0);
    eid_status status = eid_buf_status(buf);
    if (status != EID_OK) {
        eid_buf_free(buf);
        return status;
    }
    *data = buf->data;
    if (len != NULL)
        *len = buf->len;
    eid_buf_init(buf, buf->max);
    return EID_OK;
}

eid_status eid_buf_take_text(eid_buf *buf, char **text)
{
    uint8_t *data;
    EID_TRY(eid_buf_take(buf, &data, NULL));
    *text = (char *)data;
    return EID_OK;
}
