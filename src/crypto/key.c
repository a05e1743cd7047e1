/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys and signatures on libsodium.
 *
 * The verification rule is one for all peers of a database, or they would disagree about which entries exist.
 * It is the rule of crypto_sign_verify_detached in libsodium 1.0.18; tests/vectors/test_keys.c holds cases
 * for every part of it, so a library with another rule fails there.
 */
#include "crypto/key.h"

#include <sodium.h>
#include <string.h>

#include "codec/base.h"

#define PREFIX     "ed25519:"
#define PREFIX_LEN (sizeof PREFIX - 1)

struct eid_keypair {
    uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* the seed, then the public key */
};

_Static_assert(EID_PUBKEY_TEXT_SIZE == PREFIX_LEN + EID_BASE64_SIZE(32), "the text size fits the form");
_Static_assert(EID_SIGNATURE_TEXT_SIZE == EID_BASE64_SIZE(64), "the signature size fits the form");

eid_status eid_crypto_init(void)
{
    if (sodium_init() < 0)
        return eid_fail(EID_ERR_INTERNAL,
                        "libsodium could not be made ready: the system gives no randomness");
    return EID_OK;
}

void eid_wipe(void *memory, size_t len)
{
    sodium_memzero(memory, len);
}

void eid_buf_free_secret(eid_buf *buf)
{
    if (buf->data != NULL)
        sodium_memzero(buf->data, buf->capacity);
    eid_buf_free(buf);
}

/* ---- public keys ---- */

/* The part after "ed25519:", or a sentence about what stands there instead. */
static eid_status after_prefix(eid_slice text, eid_slice *out)
{
    if (text.len < PREFIX_LEN || memcmp(text.data, PREFIX, PREFIX_LEN) != 0)
        return eid_fail(EID_ERR_INVALID_KEY,
                        "a key must be written as \"" PREFIX "\" and 44 characters of base64");
    *out = eid_slice_of(text.data + PREFIX_LEN, text.len - PREFIX_LEN);
    return EID_OK;
}

/* Whether the bytes decode to a point of the curve, of whatever order. libsodium's own validity check asks
 * for more (the main subgroup); adding the point to itself fails exactly when it can not be decoded. */
static bool is_point(const uint8_t bytes[32])
{
    uint8_t sum[crypto_core_ed25519_BYTES];
    return crypto_core_ed25519_add(sum, bytes, bytes) == 0;
}

bool eid_pubkey_is_point(const eid_pubkey *key)
{
    return eid_crypto_init() == EID_OK && is_point(key->bytes);
}

eid_status eid_pubkey_check(const eid_pubkey *key)
{
    EID_TRY(eid_crypto_init());
    if (!is_point(key->bytes))
        return eid_fail(EID_ERR_INVALID_KEY, "the 32 bytes of the public key are not a point of the curve");
    return EID_OK;
}

eid_status eid_pubkey_decode_slice(eid_slice text, eid_pubkey *out)
{
    eid_slice body = {NULL, 0};
    eid_pubkey key;
    size_t len = 0;
    EID_TRY(eid_crypto_init());
    EID_TRY(after_prefix(text, &body));
    if (eid_base64_decode(body, key.bytes, sizeof key.bytes, &len) != EID_OK)
        return eid_fail_context(EID_ERR_INVALID_KEY, "a public key is 32 bytes in padded base64");
    if (len != sizeof key.bytes)
        return eid_fail(EID_ERR_INVALID_KEY, "a public key has 32 bytes, not %zu", len);
    *out = key;
    return EID_OK;
}

eid_status eid_pubkey_parse_slice(eid_slice text, eid_pubkey *out)
{
    eid_pubkey key;
    EID_TRY(eid_pubkey_decode_slice(text, &key));
    EID_TRY(eid_pubkey_check(&key));
    *out = key;
    return EID_OK;
}

eid_status eid_pubkey_parse(const char *text, eid_pubkey *out)
{
    EID_NEED(text && out);
    eid_status status = eid_pubkey_parse_slice(eid_slice_text(text), out);
    return status == EID_ERR_INVALID_KEY ? eid_fail_context(status, "Invalid public key") : status;
}

void eid_pubkey_format(const eid_pubkey *key, char out[EID_PUBKEY_TEXT_SIZE])
{
    memcpy(out, PREFIX, PREFIX_LEN);
    eid_base64_encode(key->bytes, sizeof key->bytes, out + PREFIX_LEN);
}

eid_status eid_field_key(eid_json *reader, const char *what, eid_pubkey *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_pubkey_parse_slice(text, out);
}

void eid_write_key_text(eid_buf *buf, const eid_pubkey *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    eid_json_write_cstr(buf, text);
}

bool eid_pubkey_equal(const eid_pubkey *a, const eid_pubkey *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

eid_status eid_pubkey_verify(const eid_pubkey *key, const void *message, size_t len,
                             const uint8_t signature[64])
{
    EID_NEED(key && (message || len == 0) && signature);
    EID_TRY(eid_crypto_init());
    if (crypto_sign_verify_detached(signature, message, len, key->bytes) != 0)
        return eid_fail(EID_ERR_BAD_SIGNATURE, "the signature does not fit the message and the public key");
    return EID_OK;
}

/* ---- key pairs ---- */

eid_status eid_keypair_from_seed(const uint8_t seed[32], eid_keypair **out)
{
    EID_NEED(seed && out);
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES];
    EID_TRY(eid_crypto_init());
    eid_keypair *key = sodium_malloc(sizeof *key);
    if (key == NULL)
        return eid_fail_memory();
    crypto_sign_seed_keypair(public_half, key->secret, seed);
    /* Where the system can not protect the page, the key is still in memory that is wiped. */
    (void)sodium_mprotect_readonly(key);
    *out = key;
    return EID_OK;
}

eid_status eid_keypair_generate(eid_keypair **out)
{
    EID_NEED(out);
    uint8_t seed[crypto_sign_SEEDBYTES];
    EID_TRY(eid_crypto_init());
    randombytes_buf(seed, sizeof seed);
    eid_status status = eid_keypair_from_seed(seed, out);
    sodium_memzero(seed, sizeof seed);
    return status;
}

eid_status eid_keypair_copy(const eid_keypair *key, eid_keypair **out)
{
    return eid_keypair_from_seed(key->secret, out);
}

/* libsodium's decoder takes the same time for every key, other than the tables of codec/base.h; but it mistakes some bytes
 * above ASCII for digits. */
static bool decode_seed(eid_slice body, uint8_t seed[crypto_sign_SEEDBYTES])
{
    uint8_t all = 0;
    size_t len = 0;
    for (size_t i = 0; i < body.len; i++)
        all |= body.data[i];
    return all < 0x80 &&
           sodium_base642bin(seed, crypto_sign_SEEDBYTES, (const char *)body.data, body.len, NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == crypto_sign_SEEDBYTES;
}

eid_status eid_keypair_parse_slice(eid_slice text, eid_keypair **out)
{
    eid_slice body = {NULL, 0};
    uint8_t seed[crypto_sign_SEEDBYTES];
    EID_TRY(eid_crypto_init());
    EID_TRY(after_prefix(text, &body));
    eid_status status = decode_seed(body, seed)
                            ? eid_keypair_from_seed(seed, out)
                            : eid_fail(EID_ERR_INVALID_KEY, "a private key is 32 bytes in padded base64");
    sodium_memzero(seed, sizeof seed);
    return status;
}

eid_status eid_keypair_parse(const char *text, eid_keypair **out)
{
    EID_NEED(text && out);
    return eid_keypair_parse_slice(eid_slice_text(text), out);
}

void eid_keypair_free(eid_keypair *key)
{
    sodium_free(key);
}

void eid_keypair_public(const eid_keypair *key, eid_pubkey *out)
{
    memcpy(out->bytes, key->secret + crypto_sign_SEEDBYTES, sizeof out->bytes);
}

void eid_keypair_format(const eid_keypair *key, char out[EID_PUBKEY_TEXT_SIZE])
{
    memcpy(out, PREFIX, PREFIX_LEN);
    sodium_bin2base64(out + PREFIX_LEN, EID_PUBKEY_TEXT_SIZE - PREFIX_LEN, key->secret, crypto_sign_SEEDBYTES,
                      sodium_base64_VARIANT_ORIGINAL);
}

void eid_keypair_sign(const eid_keypair *key, const void *message, size_t len, uint8_t signature[64])
{
    crypto_sign_detached(signature, NULL, message, len, key->secret);
}

/* ---- signature text ---- */

eid_status eid_signature_parse(eid_slice text, uint8_t out[64])
{
    uint8_t bytes[crypto_sign_BYTES];
    size_t len = 0;
    if (eid_base64_decode(text, bytes, sizeof bytes, &len) != EID_OK)
        return eid_fail_context(EID_ERR_BAD_SIGNATURE, "a signature is 64 bytes in padded base64");
    if (len != sizeof bytes)
        return eid_fail(EID_ERR_BAD_SIGNATURE, "a signature has 64 bytes, not %zu", len);
    memcpy(out, bytes, sizeof bytes);
    return EID_OK;
}

void eid_signature_format(const uint8_t signature[64], char out[EID_SIGNATURE_TEXT_SIZE])
{
    eid_base64_encode(signature, crypto_sign_BYTES, out);
}
