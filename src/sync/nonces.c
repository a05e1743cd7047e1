/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces that were spent within the window, in memory and, one row of instance metadata each, in the data file: a request that
 * was answered before a restart is not answered again after it. Rows are used again when their nonces have expired, so
 * there are never more than were within the window at one time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "sync/request_auth.h"

#define ROW_KEY  32
#define ROW_MAX  256
#define ROW_HEAD 8 /* the time, big-endian; then key and nonce */

struct eid_nonce {
    uint64_t spent_ms;
    uint32_t slot;                             /* its row */
    uint8_t len;                               /* of `bytes` */
    uint8_t bytes[32 + EID_LIMIT_NONCE_BYTES]; /* key and nonce */
};

eid_status eid_nonces_init(eid_nonces *nonces)
{
    eid_map *spent;
    EID_TRY(eid_map_new(&spent));
    if (pthread_mutex_init(&nonces->mutex, NULL) != 0) {
        eid_map_free(spent, NULL);
        return eid_fail(EID_ERR_IO, "the system gives no more mutexes");
    }
    pthread_mutex_t mutex = nonces->mutex;
    *nonces = (eid_nonces){.mutex = mutex, .spent = spent};
    return EID_OK;
}

void eid_nonces_free(eid_nonces *nonces)
{
    pthread_mutex_destroy(&nonces->mutex);
    eid_map_free(nonces->spent, NULL);
    eid_free(nonces->ring);
    eid_free(nonces->free_slots);
}

static eid_slice nonce_key(const struct eid_nonce *nonce)
{
    return eid_slice_of(nonce->bytes, nonce->len);
}

/* A nonce must be remembered until no clock within the window can accept its timestamp any more: its request
 * was up to one window old or one window ahead when it was spent. */
static void forget_expired(eid_nonces *nonces, uint64_t now_ms)
{
    while (nonces->count != 0) {
        struct eid_nonce *oldest = &nonces->ring[nonces->first];
        if (now_ms < oldest->spent_ms || now_ms - oldest->spent_ms <= 2 * (uint64_t)EID_FRESHNESS_WINDOW_MS)
            return;
        eid_map_remove(nonces->spent, nonce_key(oldest));
        nonces->free_slots[nonces->free_count++] = oldest->slot;
        nonces->first = (nonces->first + 1) % EID_LIMIT_NONCES;
        nonces->count--;
    }
}

static eid_status make_ring(eid_nonces *nonces)
{
    if (nonces->ring != NULL)
        return EID_OK;
    nonces->ring = eid_alloc_zero(EID_LIMIT_NONCES, sizeof *nonces->ring);
    nonces->free_slots = eid_alloc_zero(EID_LIMIT_NONCES, sizeof *nonces->free_slots);
    if (nonces->ring != NULL && nonces->free_slots != NULL)
        return EID_OK;
    eid_free(nonces->ring);
    eid_free(nonces->free_slots);
    nonces->ring = NULL;
    nonces->free_slots = NULL;
    return eid_fail_memory();
}

/* ---- Rows ---- */

static void row_key(uint32_t slot, char out[ROW_KEY])
{
    snprintf(out, ROW_KEY, "sync.nonce.%u", slot);
}

static eid_status store_row(eid_nonces *nonces, const struct eid_nonce *nonce)
{
    char key[ROW_KEY];
    eid_buf row;
    if (nonces->storage == NULL)
        return EID_OK;
    row_key(nonce->slot, key);
    eid_buf_init(&row, ROW_MAX);
    eid_buf_append_u64_be(&row, nonce->spent_ms);
    eid_buf_append(&row, nonce->bytes, nonce->len);
    eid_status status = eid_buf_status(&row);
    if (status == EID_OK)
        status = eid_storage_meta_store(nonces->storage, &(eid_meta_value){key, eid_buf_slice(&row)}, 1);
    eid_buf_free(&row);
    return status;
}

/* False for a row that can not be one. */
static bool read_row(const eid_buf *row, struct eid_nonce *out)
{
    if (row->len <= ROW_HEAD || row->len > ROW_HEAD + sizeof out->bytes)
        return false;
    out->spent_ms = 0;
    for (size_t i = 0; i < ROW_HEAD; i++)
        out->spent_ms = out->spent_ms << 8 | row->data[i];
    out->len = (uint8_t)(row->len - ROW_HEAD);
    memcpy(out->bytes, row->data + ROW_HEAD, out->len);
    return true;
}

static eid_status load_row(eid_nonces *nonces, uint32_t slot, bool *there)
{
    char key[ROW_KEY];
    eid_map_entry *entry;
    eid_buf row;
    bool created = false;
    struct eid_nonce *place = &nonces->ring[nonces->count];

    row_key(slot, key);
    eid_buf_init(&row, ROW_MAX);
    eid_status status = eid_storage_meta_get(nonces->storage, key, &row);
    *there = status == EID_OK;
    if (status == EID_OK && read_row(&row, place)) {
        place->slot = slot;
        status = eid_map_put(nonces->spent, nonce_key(place), &entry, &created);
    }
    if (created)
        nonces->count++;
    else if (*there)
        nonces->free_slots[nonces->free_count++] = slot;
    eid_buf_free(&row);
    return status == EID_ERR_NOT_FOUND ? EID_OK : status;
}

static int by_time(const void *a, const void *b)
{
    const struct eid_nonce *left = a, *right = b;
    return left->spent_ms < right->spent_ms ? -1 : left->spent_ms > right->spent_ms;
}

eid_status eid_nonces_load(eid_nonces *nonces, eid_storage *storage)
{
    bool there = true;
    EID_TRY(make_ring(nonces));
    nonces->storage = storage;
    eid_status status = EID_OK;
    eid_storage_lock(storage);
    while (status == EID_OK && there && nonces->slots < EID_LIMIT_NONCES) {
        status = load_row(nonces, nonces->slots, &there);
        nonces->slots += there;
    }
    eid_storage_unlock(storage);
    if (nonces->count > 1)
        qsort(nonces->ring, nonces->count, sizeof *nonces->ring, by_time);
    return status;
}

/* ---- Spending ---- */

static eid_status remember(eid_nonces *nonces, struct eid_nonce *nonce)
{
    eid_map_entry *entry;
    bool created;

    EID_TRY(make_ring(nonces));
    if (eid_map_find(nonces->spent, nonce_key(nonce)) != NULL)
        return eid_fail(EID_ERR_AUTH_FAILED, "Authentication failed: request nonce already spent");
    if (nonces->count == EID_LIMIT_NONCES)
        return eid_fail(EID_ERR_AUTH_FAILED,
                        "Authentication failed: too many requests, try again in a minute");
    EID_TRY(eid_map_put(nonces->spent, nonce_key(nonce), &entry, &created));
    nonce->slot = nonces->free_count != 0 ? nonces->free_slots[nonces->free_count - 1] : nonces->slots;
    eid_status status = store_row(nonces, nonce);
    if (status != EID_OK) {
        eid_map_remove(nonces->spent, nonce_key(nonce));
        return status;
    }
    if (nonces->free_count != 0)
        nonces->free_count--;
    else
        nonces->slots++;
    nonces->ring[(nonces->first + nonces->count) % EID_LIMIT_NONCES] = *nonce;
    nonces->count++;
    return EID_OK;
}

eid_status eid_request_auth_spend(const eid_tree_request *request, uint64_t now_ms, eid_nonces *nonces)
{
    const eid_request_proof *proof = &request->proof;
    struct eid_nonce nonce = {.spent_ms = now_ms};

    if (proof->nonce_len > EID_LIMIT_NONCE_BYTES)
        return eid_fail(EID_ERR_AUTH_FAILED, "Authentication failed: request nonce is longer than %d bytes",
                        EID_LIMIT_NONCE_BYTES);
    memcpy(nonce.bytes, proof->key.bytes, 32);
    if (proof->nonce_len != 0)
        memcpy(nonce.bytes + 32, proof->nonce, proof->nonce_len);
    nonce.len = (uint8_t)(32 + proof->nonce_len);

    pthread_mutex_lock(&nonces->mutex);
    forget_expired(nonces, now_ms);
    eid_status status = remember(nonces, &nonce);
    pthread_mutex_unlock(&nonces->mutex);
    return status;
}
