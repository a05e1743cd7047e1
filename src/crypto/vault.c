/* SPDX-License-Identifier: Apache-2.0 */
/* A skip list in one guarded block.
 *
 * Guarded memory costs pages, so nodes share one block and name each other by offset; the block doubles when it is
 * full. A value that outgrows its room moves to the end, a removed entry stays where it was; when more than half of the
 * block is such waste, it is built anew. Levels are drawn at random, so no choice of keys makes the list slow.
 */
#include "crypto/vault.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/random.h"
#include "crypto/key.h"

#define LEVELS     16 /* a quarter of each level reaches the next: enough for 4^16 entries */
#define FIRST_SIZE 4096
#define NONE       0 /* offset 0 is the head, which is nobody's next */

typedef struct node {
    uint64_t value; /* offset of the value's bytes */
    uint32_t value_len;
    uint32_t value_room;
    uint32_t key_len;
    uint32_t levels;
    uint64_t next[]; /* one a level, then the bytes of the key */
} node;

struct eid_vault {
    uint8_t *block;
    size_t size;
    size_t used;
    size_t waste;
    size_t max;
    size_t count;
    uint64_t dice;
};

static size_t aligned(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

static node *at(const eid_vault *vault, uint64_t offset)
{
    return (node *)(void *)(vault->block + offset);
}

static eid_slice key_of(const eid_vault *vault, uint64_t offset)
{
    const node *n = at(vault, offset);
    return eid_slice_of(n->next + n->levels, n->key_len);
}

static eid_slice value_of(const eid_vault *vault, uint64_t offset)
{
    const node *n = at(vault, offset);
    return eid_slice_of(vault->block + n->value, n->value_len);
}

/* ---- Birth and death ---- */

static void put_head(eid_vault *vault)
{
    node *head = at(vault, 0);
    memset(head, 0, sizeof *head + LEVELS * sizeof head->next[0]);
    head->levels = LEVELS;
    vault->used = sizeof *head + LEVELS * sizeof head->next[0];
    vault->waste = 0;
    vault->count = 0;
}

eid_status eid_vault_new(size_t max, eid_vault **out)
{
    EID_TRY(eid_crypto_init());
    eid_vault *vault = eid_alloc_zero(1, sizeof *vault);
    if (vault == NULL)
        return eid_fail_memory();
    vault->block = sodium_malloc(FIRST_SIZE);
    if (vault->block == NULL) {
        eid_free(vault);
        return eid_fail_memory();
    }
    vault->size = FIRST_SIZE;
    vault->max = max;
    vault->dice = eid_random_u64();
    put_head(vault);
    *out = vault;
    return EID_OK;
}

void eid_vault_free(eid_vault *vault)
{
    if (vault == NULL)
        return;
    sodium_free(vault->block); /* wipes it */
    eid_free(vault);
}

void eid_vault_clear(eid_vault *vault)
{
    sodium_memzero(vault->block, vault->used);
    put_head(vault);
}

/* ---- Finding ---- */

/* On each level, the last node in front of the key. */
static void find_before(const eid_vault *vault, eid_slice key, uint64_t before[LEVELS])
{
    uint64_t place = 0;
    for (size_t level = LEVELS; level-- > 0;) {
        for (;;) {
            uint64_t next = at(vault, place)->next[level];
            if (next == NONE || eid_slice_compare(key_of(vault, next), key) >= 0)
                break;
            place = next;
        }
        before[level] = place;
    }
}

static uint64_t find(const eid_vault *vault, eid_slice key, uint64_t before[LEVELS])
{
    find_before(vault, key, before);
    uint64_t found = at(vault, before[0])->next[0];
    return found != NONE && eid_slice_equal(key_of(vault, found), key) ? found : NONE;
}

bool eid_vault_get(const eid_vault *vault, eid_slice key, eid_slice *value)
{
    uint64_t before[LEVELS], found = find(vault, key, before);
    if (found == NONE)
        return false;
    *value = value_of(vault, found);
    return true;
}

bool eid_vault_next(const eid_vault *vault, const eid_slice *after, eid_slice *key, eid_slice *value)
{
    uint64_t before[LEVELS] = {0}, found = NONE;
    if (after != NULL)
        found = find(vault, *after, before);
    found = at(vault, found != NONE ? found : before[0])->next[0];
    if (found == NONE)
        return false;
    *key = key_of(vault, found);
    *value = value_of(vault, found);
    return true;
}

size_t eid_vault_count(const eid_vault *vault)
{
    return vault->count;
}

/* ---- Putting ---- */

static eid_status make_room(eid_vault *vault, size_t len)
{
    size_t size = vault->size;
    if (len > vault->max || vault->used > vault->max - len)
        return eid_fail(EID_ERR_LIMIT, "the decrypted data would take more than the %zu bytes allowed here", vault->max);
    while (size - vault->used < len)
        size *= 2; /* ends: max is far below the address space, or the allocation fails */
    if (size == vault->size)
        return EID_OK;
    uint8_t *block = sodium_malloc(size);
    if (block == NULL)
        return eid_fail_memory();
    memcpy(block, vault->block, vault->used);
    sodium_free(vault->block);
    vault->block = block;
    vault->size = size;
    return EID_OK;
}

/* The place of `len` bytes at the end, for which there is room. */
static uint64_t take(eid_vault *vault, size_t len)
{
    uint64_t place = vault->used;
    vault->used += aligned(len);
    return place;
}

static uint32_t draw_levels(eid_vault *vault)
{
    uint32_t levels = 1;
    vault->dice = vault->dice * 6364136223846793005u + 1442695040888963407u;
    for (uint64_t bits = vault->dice >> 32; levels < LEVELS && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

static eid_status insert(eid_vault *vault, eid_slice key, eid_slice value, const uint64_t before[LEVELS])
{
    uint32_t levels = draw_levels(vault);
    size_t node_size = sizeof(node) + levels * sizeof(uint64_t) + key.len;
    EID_TRY(make_room(vault, aligned(node_size) + aligned(value.len)));
    uint64_t place = take(vault, node_size);
    node *n = at(vault, place);
    n->value_len = (uint32_t)value.len;
    n->value_room = (uint32_t)aligned(value.len);
    n->key_len = (uint32_t)key.len;
    n->levels = levels;
    for (uint32_t level = 0; level < levels; level++) {
        n->next[level] = at(vault, before[level])->next[level];
        at(vault, before[level])->next[level] = place;
    }
    if (key.len > 0)
        memcpy(n->next + levels, key.data, key.len);
    n->value = take(vault, value.len);
    if (value.len > 0)
        memcpy(vault->block + n->value, value.data, value.len);
    vault->count++;
    return EID_OK;
}

static eid_status replace(eid_vault *vault, uint64_t place, eid_slice value)
{
    if (value.len > at(vault, place)->value_room) {
        EID_TRY(make_room(vault, aligned(value.len)));
        node *n = at(vault, place);
        vault->waste += n->value_room;
        sodium_memzero(vault->block + n->value, n->value_room);
        n->value = take(vault, value.len);
        n->value_room = (uint32_t)aligned(value.len);
    }
    node *n = at(vault, place);
    if (value.len > 0)
        memcpy(vault->block + n->value, value.data, value.len);
    n->value_len = (uint32_t)value.len;
    return EID_OK;
}

/* A second vault with the same entries takes the place of the first. */
static eid_status build_anew(eid_vault *vault)
{
    eid_vault *fresh = NULL;
    EID_TRY(eid_vault_new(vault->max, &fresh));
    eid_status status = EID_OK;
    for (uint64_t place = at(vault, 0)->next[0]; place != NONE && status == EID_OK; place = at(vault, place)->next[0])
        status = eid_vault_put(fresh, key_of(vault, place), value_of(vault, place));
    if (status == EID_OK) {
        eid_vault old = *vault;
        *vault = *fresh;
        *fresh = old;
    }
    eid_vault_free(fresh);
    return status;
}

eid_status eid_vault_put(eid_vault *vault, eid_slice key, eid_slice value)
{
    uint64_t before[LEVELS];
    if (key.len > UINT32_MAX / 2 || value.len > UINT32_MAX / 2)
        return eid_fail(EID_ERR_LIMIT, "%zu bytes under a key of %zu are too many", value.len, key.len);
    if (vault->waste > vault->used / 2)
        EID_TRY(build_anew(vault));
    uint64_t place = find(vault, key, before);
    return place != NONE ? replace(vault, place, value) : insert(vault, key, value, before);
}

/* ---- Removing ---- */

void eid_vault_remove(eid_vault *vault, eid_slice key)
{
    uint64_t before[LEVELS], place = find(vault, key, before);
    if (place == NONE)
        return;
    node *n = at(vault, place);
    for (uint32_t level = 0; level < n->levels; level++)
        at(vault, before[level])->next[level] = n->next[level];
    sodium_memzero(vault->block + n->value, n->value_room);
    vault->waste += n->value_room + aligned(sizeof(node) + n->levels * sizeof(uint64_t) + n->key_len);
    sodium_memzero(n->next + n->levels, n->key_len);
    vault->count--;
}
