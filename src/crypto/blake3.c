/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3, written from its public specification.
 *
 * The input is cut into chunks of 1024 bytes. A chunk is compressed block by block (64 bytes) into a chaining
 * value; chaining values are the leaves of a binary tree whose left subtrees are always complete, and each
 * inner node is the compression of its two children. What is compressed last, chunk or inner node, carries
 * the flag ROOT and gives the hash. While bytes come in, `stack` holds one chaining value for each complete
 * subtree on the way, so there are as many as the number of finished chunks has one bits.
 *
 * Because any compression could be the last one, it is put off until more input proves that it is not: a full
 * block stays in `block`, a full chunk stays in the state, until the next byte arrives.
 */
#include "crypto/blake3.h"

#include <string.h>

#define BLOCK_BYTES  64
#define CHUNK_BLOCKS 16

enum flag {
    CHUNK_START = 1,
    CHUNK_END = 2,
    PARENT = 4,
    ROOT = 8,
    DERIVE_KEY_CONTEXT = 32,
    DERIVE_KEY_MATERIAL = 64
};

static const uint32_t initial_value[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* ---- the compression function ---- */

static inline uint32_t rotate_right(uint32_t value, unsigned by)
{
    return value >> by | value << (32 - by);
}

static inline void quarter(uint32_t state[16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t first,
                           uint32_t second)
{
    state[a] += state[b] + first;
    state[d] = rotate_right(state[d] ^ state[a], 16);
    state[c] += state[d];
    state[b] = rotate_right(state[b] ^ state[c], 12);
    state[a] += state[b] + second;
    state[d] = rotate_right(state[d] ^ state[a], 8);
    state[c] += state[d];
    state[b] = rotate_right(state[b] ^ state[c], 7);
}

/* One round; the sixteen numbers say in which order it takes the words of the message. They are constants at
 * each call, so the compiler keeps the state in registers. */
static inline void mix_round(uint32_t s[16], const uint32_t m[16], const uint8_t order[16])
{
    quarter(s, 0, 4, 8, 12, m[order[0]], m[order[1]]);
    quarter(s, 1, 5, 9, 13, m[order[2]], m[order[3]]);
    quarter(s, 2, 6, 10, 14, m[order[4]], m[order[5]]);
    quarter(s, 3, 7, 11, 15, m[order[6]], m[order[7]]);
    quarter(s, 0, 5, 10, 15, m[order[8]], m[order[9]]);
    quarter(s, 1, 6, 11, 12, m[order[10]], m[order[11]]);
    quarter(s, 2, 7, 8, 13, m[order[12]], m[order[13]]);
    quarter(s, 3, 4, 9, 14, m[order[14]], m[order[15]]);
}

/* Each row is the one before it taken through the permutation of the specification. */
static const uint8_t message_order[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

static inline uint32_t load_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Compresses one block of `len` bytes (the rest of it zeros) into the chaining value cv. */
static void compress(uint32_t cv[8], const uint8_t block[BLOCK_BYTES], uint32_t len, uint64_t counter,
                     uint32_t flags)
{
    uint32_t message[16];
    for (size_t i = 0; i < 16; i++)
        message[i] = load_word(block + 4 * i);

    uint32_t state[16];
    memcpy(state, cv, 8 * sizeof *state);
    memcpy(state + 8, initial_value, 4 * sizeof *state);
    state[12] = (uint32_t)counter;
    state[13] = (uint32_t)(counter >> 32);
    state[14] = len;
    state[15] = flags;

    mix_round(state, message, message_order[0]);
    mix_round(state, message, message_order[1]);
    mix_round(state, message, message_order[2]);
    mix_round(state, message, message_order[3]);
    mix_round(state, message, message_order[4]);
    mix_round(state, message, message_order[5]);
    mix_round(state, message, message_order[6]);

    for (size_t i = 0; i < 8; i++)
        cv[i] = state[i] ^ state[i + 8];
}

static void store_words(const uint32_t words[8], uint8_t out[32])
{
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
}

/* ---- chunks ---- */

static void start_chunk(eid_blake3 *hasher)
{
    memcpy(hasher->chunk_cv, hasher->key, sizeof hasher->chunk_cv);
    hasher->block_len = 0;
    hasher->blocks_compressed = 0;
}

static uint32_t block_flags(const eid_blake3 *hasher)
{
    return hasher->flags | (hasher->blocks_compressed == 0 ? CHUNK_START : 0u);
}

/* Compresses a full block that is not the last of its chunk. */
static void compress_full_block(eid_blake3 *hasher, const uint8_t block[BLOCK_BYTES])
{
    compress(hasher->chunk_cv, block, BLOCK_BYTES, hasher->chunk_counter, block_flags(hasher));
    hasher->blocks_compressed++;
}

/* Compresses the block held back as the last of its chunk; the result is left in cv. */
static void finish_chunk(const eid_blake3 *hasher, uint32_t extra_flags, uint32_t cv[8])
{
    uint8_t block[BLOCK_BYTES] = {0};
    memcpy(block, hasher->block, hasher->block_len);
    memcpy(cv, hasher->chunk_cv, sizeof hasher->chunk_cv);
    compress(cv, block, hasher->block_len, hasher->chunk_counter,
             block_flags(hasher) | CHUNK_END | extra_flags);
}

/* ---- the tree ---- */

/* The inner node over two children; the result replaces `right`. */
static void join(const eid_blake3 *hasher, const uint32_t left[8], uint32_t right[8], uint32_t extra_flags)
{
    uint8_t block[BLOCK_BYTES];
    store_words(left, block);
    store_words(right, block + 32);
    memcpy(right, hasher->key, 8 * sizeof *right);
    compress(right, block, BLOCK_BYTES, 0, hasher->flags | PARENT | extra_flags);
}

/* Ends the current chunk, which is known not to be the last one, and joins all subtrees that are now
 * complete. */
static void push_chunk(eid_blake3 *hasher)
{
    uint32_t cv[8];
    finish_chunk(hasher, 0, cv);
    hasher->chunk_counter++;
    for (uint64_t chunks = hasher->chunk_counter; (chunks & 1) == 0; chunks >>= 1)
        join(hasher, hasher->stack[--hasher->stack_len], cv, 0);
    memcpy(hasher->stack[hasher->stack_len++], cv, sizeof cv);
    start_chunk(hasher);
}

/* ---- the interface ---- */

static void init_mode(eid_blake3 *hasher, const uint32_t key[8], uint32_t flags)
{
    memcpy(hasher->key, key, sizeof hasher->key);
    hasher->flags = (uint8_t)flags;
    hasher->chunk_counter = 0;
    hasher->stack_len = 0;
    start_chunk(hasher);
}

void eid_blake3_init(eid_blake3 *hasher)
{
    init_mode(hasher, initial_value, 0);
}

void eid_blake3_init_derive_key(eid_blake3 *hasher, const char *context)
{
    uint8_t bytes[32];
    uint32_t key[8];
    init_mode(hasher, initial_value, DERIVE_KEY_CONTEXT);
    eid_blake3_update(hasher, context, strlen(context));
    eid_blake3_final(hasher, bytes);
    for (size_t i = 0; i < 8; i++)
        key[i] = load_word(bytes + 4 * i);
    init_mode(hasher, key, DERIVE_KEY_MATERIAL);
}

void eid_blake3_update(eid_blake3 *hasher, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    while (len > 0) {
        if (hasher->block_len == BLOCK_BYTES) {
            if (hasher->blocks_compressed == CHUNK_BLOCKS - 1) {
                push_chunk(hasher);
            } else {
                compress_full_block(hasher, hasher->block);
                hasher->block_len = 0;
            }
        }
        /* Whole blocks that more input follows need no copy. */
        while (hasher->block_len == 0 && len > BLOCK_BYTES && hasher->blocks_compressed < CHUNK_BLOCKS - 1) {
            compress_full_block(hasher, bytes);
            bytes += BLOCK_BYTES;
            len -= BLOCK_BYTES;
        }
        size_t room = BLOCK_BYTES - (size_t)hasher->block_len;
        size_t taken = len < room ? len : room;
        memcpy(hasher->block + hasher->block_len, bytes, taken);
        hasher->block_len = (uint8_t)(hasher->block_len + taken);
        bytes += taken;
        len -= taken;
    }
}

void eid_blake3_final(const eid_blake3 *hasher, uint8_t out[32])
{
    uint32_t cv[8];
    size_t left = hasher->stack_len;
    finish_chunk(hasher, left == 0 ? ROOT : 0, cv);
    while (left > 0) {
        left--;
        join(hasher, hasher->stack[left], cv, left == 0 ? ROOT : 0);
    }
    store_words(cv, out);
}

void eid_blake3_hash(const void *data, size_t len, uint8_t out[32])
{
    eid_blake3 hasher;
    eid_blake3_init(&hasher);
    eid_blake3_update(&hasher, data, len);
    eid_blake3_final(&hasher, out);
}

void eid_id_of_bytes(uint64_t codec, const void *data, size_t len, eid_id *out)
{
    uint8_t digest[32];
    eid_blake3_hash(data, len, digest);
    eid_id_from_digest(codec, digest, out);
}
