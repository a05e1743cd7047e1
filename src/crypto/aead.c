/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM on nettle, which leaves it to its caller where the expanded key stands: here, in guarded memory. */
#include "crypto/aead.h"

#include <assert.h>
#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <sodium.h>

#include "base/random.h"
#include "crypto/key.h"

_Static_assert(EID_AEAD_KEY == AES256_KEY_SIZE && EID_AEAD_NONCE == GCM_IV_SIZE && EID_AEAD_TAG == GCM_DIGEST_SIZE,
               "the sizes of the format are those of the cipher");

struct eid_aead_key {
    struct aes256_ctx cipher;
    struct gcm_key hash;
};

/* nettle calls the cipher through a pointer to a function on untyped memory. */
static void encrypt_blocks(const void *cipher, size_t len, uint8_t *out, const uint8_t *in)
{
    aes256_encrypt(cipher, len, out, in);
}

eid_status eid_aead_key_new(const uint8_t bytes[EID_AEAD_KEY], eid_aead_key **out)
{
    EID_TRY(eid_crypto_init());
    eid_aead_key *key = sodium_malloc(sizeof *key);
    if (key == NULL)
        return eid_fail_memory();
    aes256_set_encrypt_key(&key->cipher, bytes);
    gcm_set_key(&key->hash, &key->cipher, encrypt_blocks);
    /* Where the system can not protect the page, the key is still in memory that is wiped. */
    (void)sodium_mprotect_readonly(key);
    *out = key;
    return EID_OK;
}

void eid_aead_key_free(eid_aead_key *key)
{
    sodium_free(key);
}

void eid_aead_encrypt(const eid_aead_key *key, const uint8_t nonce[EID_AEAD_NONCE], eid_slice plain, uint8_t *out)
{
    struct gcm_ctx message;
    gcm_set_iv(&message, &key->hash, EID_AEAD_NONCE, nonce);
    gcm_encrypt(&message, &key->hash, &key->cipher, encrypt_blocks, plain.len, out, plain.data);
    gcm_digest(&message, &key->hash, &key->cipher, encrypt_blocks, EID_AEAD_TAG, out + plain.len);
    sodium_memzero(&message, sizeof message);
}

eid_status eid_aead_decrypt(const eid_aead_key *key, const uint8_t nonce[EID_AEAD_NONCE], eid_slice sealed, uint8_t *out)
{
    struct gcm_ctx message;
    uint8_t found[EID_AEAD_TAG], tag[EID_AEAD_TAG];
    if (sealed.len < EID_AEAD_TAG)
        return eid_fail(EID_ERR_DECRYPTION, "%zu bytes are too few to be encrypted: the tag alone has %d", sealed.len,
                        EID_AEAD_TAG);
    size_t len = sealed.len - EID_AEAD_TAG;
    memcpy(tag, sealed.data + len, sizeof tag);
    gcm_set_iv(&message, &key->hash, EID_AEAD_NONCE, nonce);
    gcm_decrypt(&message, &key->hash, &key->cipher, encrypt_blocks, len, out, sealed.data);
    gcm_digest(&message, &key->hash, &key->cipher, encrypt_blocks, sizeof found, found);
    bool fits = sodium_memcmp(found, tag, sizeof found) == 0;
    sodium_memzero(&message, sizeof message);
    sodium_memzero(found, sizeof found);
    if (fits)
        return EID_OK;
    sodium_memzero(out, len);
    return eid_fail(EID_ERR_DECRYPTION, "the data does not decrypt: it was encrypted under another key, or is damaged");
}

void eid_aead_seal(const eid_aead_key *key, eid_slice plain, eid_buf *out)
{
    const size_t around = EID_AEAD_NONCE + EID_AEAD_TAG;
    /* A length near the top of the address space must fail in the buffer, not wrap around. */
    uint8_t *at = eid_buf_reserve(out, plain.len > SIZE_MAX - around ? SIZE_MAX : plain.len + around);
    if (at == NULL)
        return;
    eid_random_bytes(at, EID_AEAD_NONCE);
    eid_aead_encrypt(key, at, plain, at + EID_AEAD_NONCE);
    eid_buf_commit(out, plain.len + around);
}

eid_status eid_aead_unseal(const eid_aead_key *key, eid_slice piece, eid_buf *out)
{
    if (piece.len < EID_AEAD_NONCE + EID_AEAD_TAG)
        return eid_fail(EID_ERR_DECRYPTION, "%zu bytes are too few to be encrypted: nonce and tag alone have %d", piece.len,
                        EID_AEAD_NONCE + EID_AEAD_TAG);
    eid_slice sealed = eid_slice_of(piece.data + EID_AEAD_NONCE, piece.len - EID_AEAD_NONCE);
    uint8_t *at = eid_buf_reserve(out, sealed.len - EID_AEAD_TAG);
    if (at == NULL)
        return eid_buf_status(out);
    EID_TRY(eid_aead_decrypt(key, piece.data, sealed, at));
    eid_buf_commit(out, sealed.len - EID_AEAD_TAG);
    return EID_OK;
}
