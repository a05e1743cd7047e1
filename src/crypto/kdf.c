/* SPDX-License-Identifier: Apache-2.0 */
/* Argon2id on libargon2. libsodium has it too, but only for salts of 16 bytes, and the format's salt has 22. */
#include "crypto/kdf.h"

#include <argon2.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/random.h"
#include "codec/base.h"
#include "crypto/key.h"

#define SALT_BYTES 16

_Static_assert(EID_KDF_SALT_SIZE == EID_KDF_SALT_LEN + 1 && EID_BASE64_SIZE(SALT_BYTES) > EID_KDF_SALT_SIZE,
               "16 bytes are 24 characters with padding, 22 without");

void eid_kdf_new_salt(char out[EID_KDF_SALT_SIZE])
{
    uint8_t bytes[SALT_BYTES];
    char text[EID_BASE64_SIZE(SALT_BYTES)];
    eid_random_bytes(bytes, sizeof bytes);
    eid_base64_encode_unpadded(bytes, sizeof bytes, text);
    memcpy(out, text, EID_KDF_SALT_SIZE);
}

static eid_status check(eid_slice password, eid_slice salt, const eid_kdf_costs *costs)
{
    if (salt.len != EID_KDF_SALT_LEN)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a salt has %d characters, this one has %zu", EID_KDF_SALT_LEN, salt.len);
    if (password.len > EID_LIMIT_PASSWORD)
        return eid_fail(EID_ERR_LIMIT, "a password has at most %d bytes", EID_LIMIT_PASSWORD);
    if (costs->memory_kib > EID_LIMIT_KDF_MEMORY_KIB || costs->passes > EID_LIMIT_KDF_PASSES ||
        costs->lanes > EID_LIMIT_KDF_LANES)
        return eid_fail(EID_ERR_LIMIT,
                        "the password is to be stretched with %u KiB, %u passes and %u lanes; at most %d, %d and %d are allowed",
                        costs->memory_kib, costs->passes, costs->lanes, EID_LIMIT_KDF_MEMORY_KIB, EID_LIMIT_KDF_PASSES,
                        EID_LIMIT_KDF_LANES);
    if (costs->passes < ARGON2_MIN_TIME || costs->lanes < ARGON2_MIN_LANES || costs->memory_kib / 8 < costs->lanes)
        return eid_fail(EID_ERR_RANGE,
                        "there is no Argon2id with %u KiB, %u passes and %u lanes: each is at least 1, and a lane needs 8 KiB",
                        costs->memory_kib, costs->passes, costs->lanes);
    return EID_OK;
}

/* libargon2 wipes the block before it gives it back. */
static int take_block(uint8_t **memory, size_t size)
{
    *memory = eid_alloc(size);
    return *memory != NULL ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void give_block(uint8_t *memory, size_t size)
{
    (void)size;
    eid_free(memory);
}

eid_status eid_kdf_derive(eid_slice password, eid_slice salt, const eid_kdf_costs *costs, uint8_t out[EID_AEAD_KEY])
{
    EID_TRY(check(password, salt, costs));
    /* The library only reads password and salt unless it is asked to wipe them; its type does not say so. */
    argon2_context context = {
        .out = out,
        .outlen = EID_AEAD_KEY,
        .pwd = (uint8_t *)(uintptr_t)password.data,
        .pwdlen = (uint32_t)password.len,
        .salt = (uint8_t *)(uintptr_t)salt.data,
        .saltlen = (uint32_t)salt.len,
        .t_cost = costs->passes,
        .m_cost = costs->memory_kib,
        .lanes = costs->lanes,
        .threads = 1, /* lanes one after the other: the result is the same */
        .version = ARGON2_VERSION_13,
        .allocate_cbk = take_block,
        .free_cbk = give_block,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    int result = argon2id_ctx(&context);
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
        return eid_fail_memory();
    if (result != ARGON2_OK)
        return eid_fail(EID_ERR_INTERNAL, "Argon2id failed: %s", argon2_error_message(result));
    return EID_OK;
}

eid_status eid_kdf_derive_key(eid_slice password, eid_slice salt, const eid_kdf_costs *costs, eid_aead_key **out)
{
    EID_TRY(eid_crypto_init());
    uint8_t *bytes = sodium_malloc(EID_AEAD_KEY);
    if (bytes == NULL)
        return eid_fail_memory();
    eid_status status = eid_kdf_derive(password, salt, costs, bytes);
    if (status == EID_OK)
        status = eid_aead_key_new(bytes, out);
    sodium_free(bytes);
    return status;
}
