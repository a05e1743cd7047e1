/* SPDX-License-Identifier: Apache-2.0 */
/* Signing and checking tree requests. Each field is written behind its length, so that no two lists of fields
 * give the same bytes; the responder's key is one of them, so that a proof is worth nothing at another peer.
 */
#include "sync/request_auth.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/random.h"
#include "crypto/blake3.h"

#define DOMAIN          "eidetica/sync/tree-request/v1"
#define STREAM_DOMAIN   "eidetica/sync/stream/v1"
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

/* Of a question in the streamed form. */
static void question_bytes(eid_buf *buf, const eid_tree_request *request, const eid_pubkey *server)
{
    char server_text[EID_PUBKEY_TEXT_SIZE];
    uint8_t digest[32];
    eid_pubkey_format(server, server_text);
    eid_blake3_hash(request->question.data, request->question.len, digest);
    append_field(buf, eid_slice_text(STREAM_DOMAIN));
    append_field(buf, eid_slice_text(server_text));
    append_id(buf, &request->tree);
    append_number(buf, request->question_kind);
    append_field(buf, eid_slice_of(digest, sizeof digest));
    append_number(buf, request->proof.timestamp_ms);
    append_field(buf, eid_slice_of(request->proof.nonce, request->proof.nonce_len));
}

static void request_bytes(eid_buf *buf, const eid_tree_request *request, const eid_pubkey *server)
{
    eid_buf_init(buf, bytes_max(request));
    if (request->question_kind != 0) {
        question_bytes(buf, request, server);
        return;
    }
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
