/* SPDX-License-Identifier: Apache-2.0 */
/* Signing and checking tree requests. Each field is written behind its length, so that no two lists of fields
 * give the same bytes; the responder's key is one of them, so that a proof is worth nothing at another peer.
 */
#include "sync/request_auth.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/random.h"

#define DOMAIN          "eidetica/sync/tree-request/v1"
#define NONCE_BYTES     32
#define SIGNATURE_BYTES 64

/* ---- The signed bytes ---- */

static void append_field(eid_buf *buf, eid_slice field)
{
    eid_buf_append_u64_be(buf, field.len);
    eid_buf_append_slice(buf, field);
}

static void append_number(eid_buf *buf, uint64_t number)
{
    eid_buf_append_u64_be(buf, 8);
    eid_buf_append_u64_be(buf, number);
}

static void append_id(eid_buf *buf, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    append_field(buf, eid_slice_text(text));
}

void eid_request_auth_bytes(eid_buf *buf, const eid_pubkey *server, const eid_id *tree, const eid_id *tips,
                            size_t tip_count, uint64_t timestamp_ms, eid_slice nonce)
{
    char server_text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(server, server_text);

    append_field(buf, eid_slice_text(DOMAIN));
    append_field(buf, eid_slice_text(server_text));
    append_id(buf, tree);
    append_number(buf, tip_count);
    for (size_t i = 0; i < tip_count; i++)
        append_id(buf, &tips[i]);
    append_number(buf, timestamp_ms);
    append_field(buf, nonce);
}

/* Room for the longest list of tips and nonce a request can carry. */
static size_t bytes_max(const eid_tree_request *request)
{
    return 1024 + request->tip_count * (EID_ID_TEXT_SIZE + 8) + request->proof.nonce_len;
}

static void request_bytes(eid_buf *buf, const eid_tree_request *request, const eid_pubkey *server)
{
    eid_buf_init(buf, bytes_max(request));
    eid_request_auth_bytes(buf, server, &request->tree, request->tips, request->tip_count,
                           request->proof.timestamp_ms,
                           eid_slice_of(request->proof.nonce, request->proof.nonce_len));
}

eid_status eid_request_auth_sign(eid_tree_request *request, const eid_pubkey *server, const eid_keypair *key,
                                 uint64_t now_ms)
{
    eid_buf buf;
    eid_request_proof proof = {
        .timestamp_ms = now_ms, .nonce_len = NONCE_BYTES, .signature_len = SIGNATURE_BYTES};

    proof.nonce = eid_alloc(NONCE_BYTES);
    proof.signature = eid_alloc(SIGNATURE_BYTES);
    if (proof.nonce == NULL || proof.signature == NULL) {
        eid_free(proof.nonce);
        eid_free(proof.signature);
        return eid_fail_memory();
    }
    eid_random_bytes(proof.nonce, NONCE_BYTES);
    eid_keypair_public(key, &proof.key);
    eid_free(request->proof.nonce);
    eid_free(request->proof.signature);
    request->proof = proof;

    request_bytes(&buf, request, server);
    eid_status status = eid_buf_status(&buf);
    if (status == EID_OK)
        eid_keypair_sign(key, buf.data, buf.len, request->proof.signature);
    request->has_proof = status == EID_OK;
    eid_buf_free(&buf);
    return status;
}

/* ---- Spent nonces ---- */

struct eid_nonce {
    uint64_t spent_ms;
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
    nonces->spent = spent;
    nonces->ring = NULL;
    nonces->first = 0;
    nonces->count = 0;
    return EID_OK;
}

void eid_nonces_free(eid_nonces *nonces)
{
    pthread_mutex_destroy(&nonces->mutex);
    eid_map_free(nonces->spent, NULL);
    eid_free(nonces->ring);
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
        nonces->first = (nonces->first + 1) % EID_LIMIT_NONCES;
        nonces->count--;
    }
}

static eid_status remember(eid_nonces *nonces, const struct eid_nonce *nonce)
{
    eid_map_entry *entry;
    bool created;

    if (nonces->ring == NULL) {
        nonces->ring = eid_alloc_zero(EID_LIMIT_NONCES, sizeof *nonces->ring);
        if (nonces->ring == NULL)
            return eid_fail_memory();
    }
    if (eid_map_find(nonces->spent, nonce_key(nonce)) != NULL)
        return eid_fail(EID_ERR_AUTH_FAILED, "Authentication failed: request nonce already spent");
    if (nonces->count == EID_LIMIT_NONCES)
        return eid_fail(EID_ERR_AUTH_FAILED,
                        "Authentication failed: too many requests, try again in a minute");
    EID_TRY(eid_map_put(nonces->spent, nonce_key(nonce), &entry, &created));
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

/* ---- Checking ---- */

static bool signature_holds(const eid_tree_request *request, const eid_pubkey *server)
{
    eid_buf buf;
    if (request->proof.signature_len != SIGNATURE_BYTES)
        return false;
    request_bytes(&buf, request, server);
    bool holds = eid_buf_status(&buf) == EID_OK && eid_pubkey_verify(&request->proof.key, buf.data, buf.len,
                                                                     request->proof.signature) == EID_OK;
    eid_buf_free(&buf);
    return holds;
}

eid_status eid_request_auth_check(const eid_tree_request *request, const eid_pubkey *server, uint64_t now_ms)
{
    const eid_request_proof *proof = &request->proof;

    if (!request->has_proof) {
        char tree[EID_ID_TEXT_SIZE];
        eid_id_format(&request->tree, tree);
        return eid_fail(EID_ERR_AUTH_REQUIRED, "Authentication required to read database '%s'", tree);
    }
    if (!signature_holds(request, server))
        return eid_fail(EID_ERR_AUTH_FAILED, "Authentication failed: invalid request signature");
    uint64_t apart =
        now_ms > proof->timestamp_ms ? now_ms - proof->timestamp_ms : proof->timestamp_ms - now_ms;
    if (apart > EID_FRESHNESS_WINDOW_MS)
        return eid_fail(EID_ERR_AUTH_FAILED,
                        "Authentication failed: request timestamp outside the freshness window");
    return EID_OK;
}
