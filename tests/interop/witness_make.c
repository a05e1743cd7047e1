/* SPDX-License-Identifier: Apache-2.0 */
/* Random entries. First a plan is drawn, then the builder is told the plan, then both are printed: what the
 * builder was told, in plain terms, and what it made. So a reader can make the same entry from the plan by
 * its own means. */
#include "witness.h"

#include <stdlib.h>

#include "base/limits.h"
#include "codec/cid.h"
#include "codec/varint.h"
#include "entry/entry.h"

#define MAX_IDS    12
#define MAX_STORES 9
#define MAX_TEXT   64

typedef struct id_list {
    eid_id ids[EID_LIMIT_DELEGATION_TIPS];
    size_t count;
} id_list;

typedef struct store_plan {
    char name[MAX_TEXT + 1];
    id_list parents;
    bool has_data;
    uint8_t *data;
    size_t data_len;
    bool has_height;
    uint64_t height;
} store_plan;

typedef struct plan {
    bool exotic; /* its identifiers may have codecs and hashes that nobody registered */
    eid_id root; /* empty: none */
    id_list parents;
    uint64_t height;
    bool has_metadata;
    uint8_t *metadata;
    size_t metadata_len;
    store_plan stores[MAX_STORES];
    size_t store_count;
    bool is_signed;
    uint8_t seed[32];
    bool default_sigkey; /* the builder is given no sigkey */
    bool is_delegation;
    bool has_pubkey, has_name, is_global;
    eid_pubkey pubkey;
    char name[MAX_TEXT + 1];
    size_t step_count;
    eid_id trees[EID_LIMIT_DELEGATION_STEPS];
    id_list tips[EID_LIMIT_DELEGATION_STEPS];
} plan;

typedef struct maker {
    tu_random random;
    plan plan;
    eid_buf line;
} maker;

static uint64_t below(maker *m, uint64_t bound)
{
    return tu_random_below(&m->random, bound);
}

static bool chance(maker *m, uint64_t one_in)
{
    return below(m, one_in) == 0;
}

/* ---- drawing ---- */

/* Numbers around the widths of the encodings, small ones, any. */
static uint64_t draw_number(maker *m)
{
    static const unsigned widths[] = {8, 16, 31, 32, 53, 63};
    switch (below(m, 5)) {
    case 0:
        return 0;
    case 1:
        return below(m, 30);
    case 2:
        return ((uint64_t)1 << widths[below(m, 6)]) + below(m, 3) - 1;
    case 3:
        return UINT64_MAX - below(m, 2);
    default:
        return tu_random_next(&m->random) >> below(m, 64);
    }
}

static size_t put_character(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* At least one character: plain words, control characters, and the far ends of Unicode. */
static void draw_text(maker *m, char out[MAX_TEXT + 1])
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{'A', 'z'},       {'a', 'z'},       {1, 0x7f},          {0xa0, 0x7ff},
                  {0x4e00, 0x9fff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    size_t characters = 1 + below(m, chance(m, 8) ? MAX_TEXT / 4 : 8);
    size_t kinds = chance(m, 2) ? 2 : sizeof ranges / sizeof *ranges;
    size_t len = 0;
    for (size_t i = 0; i < characters; i++) {
        size_t range = below(m, kinds);
        uint32_t span = ranges[range].last - ranges[range].first + 1;
        len += put_character(ranges[range].first + (uint32_t)below(m, span), out + len);
    }
    out[len] = '\0';
}

static void make_id(maker *m, uint64_t codec, uint64_t hash, size_t digest_len, eid_id *out)
{
    uint8_t bytes[EID_ID_MAX_BYTES] = {1};
    size_t len = 1;
    len += eid_varint_put(bytes + len, codec);
    len += eid_varint_put(bytes + len, hash);
    len += eid_varint_put(bytes + len, digest_len);
    tu_random_fill(&m->random, bytes + len, digest_len);
    if (eid_id_from_binary(eid_slice_of(bytes, len + digest_len), out) != EID_OK)
        witness_fail("an identifier that was put together is not read");
}

static void draw_id(maker *m, bool exotic, eid_id *out)
{
    static const uint64_t codecs[] = {0x51, 0x55, 0x70, 0x71, 0x72, 0x78, 0x0129, 0x0200};
    static const struct {
        uint64_t code;
        size_t len;
    } hashes[] = {{0x00, 20}, {0x11, 20}, {0x12, 32}, {0x13, 64},
                  {0x16, 32}, {0x1e, 32}, {0x1e, 64}, {0xb220, 32}};
    uint64_t kind = below(m, exotic ? 10 : 8);
    if (kind < 4) {
        make_id(m, EID_CODEC_DAG_CBOR, EID_HASH_BLAKE3, 32, out);
    } else if (kind == 4) {
        make_id(m, EID_CODEC_RAW, EID_HASH_BLAKE3, 32, out);
    } else if (kind == 5) {
        uint8_t bytes[34] = {0x12, 0x20};
        tu_random_fill(&m->random, bytes + 2, 32);
        if (eid_id_from_binary(eid_slice_of(bytes, sizeof bytes), out) != EID_OK)
            witness_fail("an identifier of version 0 is not read");
    } else if (kind < 8) {
        size_t hash = below(m, sizeof hashes / sizeof *hashes);
        make_id(m, codecs[below(m, 8)], hashes[hash].code, hashes[hash].len, out);
    } else {
        /* Below 2^53, which JavaScript can tell apart. */
        uint64_t codec = tu_random_next(&m->random) >> (11 + below(m, 52));
        uint64_t hash = tu_random_next(&m->random) >> (11 + below(m, 52));
        make_id(m, codec, hash, below(m, EID_LIMIT_CID_DIGEST + 1), out);
    }
}

/* Unsorted, some twice. */
static void draw_ids(maker *m, size_t least, size_t most, id_list *out)
{
    out->count = least + below(m, chance(m, 4) ? most - least + 1 : 4 - least);
    for (size_t i = 0; i < out->count; i++) {
        if (i > 0 && chance(m, 5))
            out->ids[i] = out->ids[below(m, i)];
        else
            draw_id(m, m->plan.exotic, &out->ids[i]);
    }
}

/* Lengths around the widths of the heads; empty ones, too. */
static uint8_t *draw_bytes(maker *m, size_t *len)
{
    static const size_t around[] = {24, 256, 65536};
    *len = chance(m, 6)   ? 0
           : chance(m, 8) ? around[below(m, chance(m, 40) ? 3 : 2)] - below(m, 2)
                          : below(m, 120);
    uint8_t *bytes = malloc(*len + 1);
    if (bytes == NULL)
        witness_fail("no memory");
    tu_random_fill(&m->random, bytes, *len);
    return bytes;
}

static void draw_store(maker *m, store_plan *store)
{
    static const char *const reserved[] = {"_settings", "_index", "data"};
    if (chance(m, 3))
        strcpy(store->name, reserved[below(m, 3)]);
    else
        draw_text(m, store->name);
    draw_ids(m, 0, MAX_IDS, &store->parents);
    store->has_data = !chance(m, 4);
    if (store->has_data)
        store->data = draw_bytes(m, &store->data_len);
    store->has_height = chance(m, 3);
    store->height = draw_number(m);
}

static void draw_sigkey(maker *m)
{
    plan *p = &m->plan;
    tu_random_fill(&m->random, p->seed, sizeof p->seed);
    uint64_t kind = below(m, 8);
    p->default_sigkey = kind < 2;
    p->is_delegation = kind >= 5;
    p->has_pubkey = kind == 2 || kind == 4 || (p->is_delegation && chance(m, 2));
    p->has_name = kind == 3 || kind == 4 || (p->is_delegation && chance(m, 2));
    p->is_global = chance(m, 3);
    if (p->has_name)
        draw_text(m, p->name);
    if (!p->is_delegation)
        return;
    p->step_count = chance(m, 8) ? below(m, EID_LIMIT_DELEGATION_STEPS + 1) : 1 + below(m, 2);
    for (size_t i = 0; i < p->step_count; i++) {
        draw_id(m, p->exotic, &p->trees[i]);
        draw_ids(m, 0, chance(m, 10) ? EID_LIMIT_DELEGATION_TIPS : 4, &p->tips[i]);
    }
}

static void draw_plan(maker *m)
{
    plan *p = &m->plan;
    memset(p, 0, sizeof *p);
    p->exotic = chance(m, 8);
    bool is_root = chance(m, 5);
    if (is_root) {
        store_plan *marker = &p->stores[p->store_count++];
        strcpy(marker->name, "_root");
        marker->has_data = !chance(m, 4);
        if (marker->has_data)
            marker->data = draw_bytes(m, &marker->data_len);
        /* Only here an empty identifier may stand. */
        draw_ids(m, 0, 3, &marker->parents);
        if (marker->parents.count > 0 && chance(m, 2))
            memset(&marker->parents.ids[below(m, marker->parents.count)], 0, sizeof(eid_id));
    } else {
        if (!chance(m, 10))
            draw_id(m, p->exotic, &p->root);
        draw_ids(m, 1, MAX_IDS, &p->parents);
    }
    p->height = draw_number(m);
    p->has_metadata = !chance(m, 4);
    if (p->has_metadata)
        p->metadata = draw_bytes(m, &p->metadata_len);
    for (uint64_t stores = chance(m, 6) ? below(m, MAX_STORES) : below(m, 4); stores > 0; stores--)
        draw_store(m, &p->stores[p->store_count++]);
    p->is_signed = !chance(m, 5);
    if (p->is_signed)
        draw_sigkey(m);
}

static void free_plan(plan *p)
{
    free(p->metadata);
    for (size_t i = 0; i < p->store_count; i++)
        free(p->stores[i].data);
}

/* ---- building ---- */

static void must(eid_status status)
{
    if (status != EID_OK)
        witness_fail("the builder refuses the plan");
}

static void finish(const plan *p, const eid_entry_builder *builder, eid_keypair *key, eid_entry **out)
{
    eid_delegation_step steps[EID_LIMIT_DELEGATION_STEPS];
    for (size_t i = 0; i < p->step_count; i++)
        steps[i] = (eid_delegation_step){p->trees[i], (eid_id *)p->tips[i].ids, p->tips[i].count};
    eid_sigkey sigkey = {
        .is_delegation = p->is_delegation,
        .hint = {.has_pubkey = p->has_pubkey, .is_global = p->is_global, .pubkey = p->pubkey},
        .path = steps,
        .path_count = p->step_count,
    };
    if (p->has_name) {
        sigkey.hint.name = (char *)p->name;
        sigkey.hint.name_len = strlen(p->name);
    }
    must(eid_entry_builder_finish(builder, key, key == NULL || p->default_sigkey ? NULL : &sigkey, out));
}

static eid_entry *build(plan *p)
{
    eid_entry_builder *builder;
    eid_entry *entry = NULL;
    eid_keypair *key = NULL;
    if (p->is_signed) {
        must(eid_keypair_from_seed(p->seed, &key));
        eid_keypair_public(key, &p->pubkey);
    }
    must(eid_entry_builder_new(&p->root, &builder));
    must(eid_entry_builder_set_parents(builder, p->parents.ids, p->parents.count));
    eid_entry_builder_set_height(builder, p->height);
    if (p->has_metadata)
        must(eid_entry_builder_set_metadata(builder, eid_slice_of(p->metadata, p->metadata_len)));
    for (size_t i = 0; i < p->store_count; i++) {
        const store_plan *store = &p->stores[i];
        eid_slice data = eid_slice_of(store->data, store->data_len);
        must(eid_entry_builder_set_subtree(builder, store->name, store->parents.ids, store->parents.count,
                                           store->has_data ? &data : NULL,
                                           store->has_height ? &store->height : NULL));
    }
    finish(p, builder, key, &entry);
    eid_entry_builder_free(builder);
    eid_keypair_free(key);
    return entry;
}

/* ---- printing ---- */

static void put_name(eid_buf *out, const char *name)
{
    eid_buf_append_byte(out, '"');
    eid_buf_append_text(out, name);
    eid_buf_append_text(out, "\":");
}

static void put_bytes(eid_buf *out, const char *name, bool present, const void *data, size_t len)
{
    put_name(out, name);
    eid_buf_append_text(out, present ? "\"" : "null");
    if (present) {
        witness_put_hex(out, eid_slice_of(data, len));
        eid_buf_append_byte(out, '"');
    }
}

/* As text, because a reader may hold numbers as floats. */
static void put_number(eid_buf *out, const char *name, bool present, uint64_t number)
{
    put_name(out, name);
    if (present)
        eid_buf_appendf(out, "\"%llu\"", (unsigned long long)number);
    else
        eid_buf_append_text(out, "null");
}

/* Names go out as hexadecimal: whether JSON escapes them well is another question. */
static void put_ids(eid_buf *out, const char *name, const id_list *list)
{
    put_name(out, name);
    eid_buf_append_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        eid_buf_append_text(out, i == 0 ? "\"" : ",\"");
        witness_put_hex(out, eid_id_slice(&list->ids[i]));
        eid_buf_append_byte(out, '"');
    }
    eid_buf_append_byte(out, ']');
}

static void put_store(eid_buf *out, const store_plan *store)
{
    eid_buf_append_byte(out, '{');
    put_bytes(out, "name", true, store->name, strlen(store->name));
    eid_buf_append_byte(out, ',');
    put_ids(out, "parents", &store->parents);
    eid_buf_append_byte(out, ',');
    put_bytes(out, "data", store->has_data, store->data, store->data_len);
    eid_buf_append_byte(out, ',');
    put_number(out, "height", store->has_height, store->height);
    eid_buf_append_byte(out, '}');
}

static void put_sigkey(eid_buf *out, const plan *p)
{
    put_bytes(out, "seed", p->is_signed, p->seed, sizeof p->seed);
    if (!p->is_signed)
        return;
    eid_buf_appendf(out, ",\"kind\":\"%s\",\"has_pubkey\":%s,\"global\":%s,",
                    p->default_sigkey  ? "default"
                    : p->is_delegation ? "delegation"
                                       : "direct",
                    p->has_pubkey ? "true" : "false", p->is_global ? "true" : "false");
    put_bytes(out, "key_name", p->has_name, p->name, strlen(p->name));
    eid_buf_append_text(out, ",\"path\":[");
    for (size_t i = 0; i < p->step_count; i++) {
        eid_buf_append_text(out, i == 0 ? "{" : ",{");
        put_bytes(out, "tree", true, p->trees[i].bytes, p->trees[i].len);
        eid_buf_append_byte(out, ',');
        put_ids(out, "tips", &p->tips[i]);
        eid_buf_append_byte(out, '}');
    }
    eid_buf_append_byte(out, ']');
}

static void put_plan(eid_buf *out, const plan *p)
{
    eid_buf_appendf(out, "{\"exotic\":%s,", p->exotic ? "true" : "false");
    put_bytes(out, "root", p->root.len > 0, p->root.bytes, p->root.len);
    eid_buf_append_byte(out, ',');
    put_ids(out, "parents", &p->parents);
    eid_buf_append_byte(out, ',');
    put_number(out, "height", true, p->height);
    eid_buf_append_byte(out, ',');
    put_bytes(out, "metadata", p->has_metadata, p->metadata, p->metadata_len);
    eid_buf_append_text(out, ",\"stores\":[");
    for (size_t i = 0; i < p->store_count; i++) {
        if (i > 0)
            eid_buf_append_byte(out, ',');
        put_store(out, &p->stores[i]);
    }
    eid_buf_append_text(out, "],");
    put_sigkey(out, p);
    eid_buf_append_byte(out, '}');
}

static void put_entry(eid_buf *out, const eid_entry *entry)
{
    char text[EID_ID_TEXT_SIZE];
    eid_buf signing, json;
    eid_buf_init(&signing, WITNESS_LINE_MAX);
    eid_buf_init(&json, WITNESS_LINE_MAX);
    eid_entry_write_signing_bytes(&signing, entry);
    eid_entry_write_json(&json, entry);
    eid_id_format(&entry->id, text);
    eid_buf_appendf(out, "\"id\":\"%s\",\"signature\":\"%s\",", text,
                    entry->signature == NULL ? "" : entry->signature);
    put_bytes(out, "cbor", true, entry->cbor, entry->cbor_len);
    eid_buf_append_byte(out, ',');
    put_bytes(out, "signing", true, signing.data, signing.len);
    eid_buf_append_byte(out, ',');
    put_bytes(out, "json", true, json.data, json.len);
    eid_buf_free(&signing);
    eid_buf_free(&json);
}

void witness_make_entries(uint64_t seed, size_t count)
{
    maker *m = calloc(1, sizeof *m);
    if (m == NULL)
        witness_fail("no memory");
    m->random.state = seed;
    eid_buf_init(&m->line, WITNESS_LINE_MAX);
    for (size_t i = 0; i < count; i++) {
        draw_plan(m);
        eid_entry *entry = build(&m->plan);
        eid_buf_append_text(&m->line, "{\"plan\":");
        put_plan(&m->line, &m->plan);
        eid_buf_append_byte(&m->line, ',');
        put_entry(&m->line, entry);
        eid_buf_append_byte(&m->line, '}');
        witness_print(&m->line);
        eid_entry_unref(entry);
        free_plan(&m->plan);
    }
    eid_buf_free(&m->line);
    free(m);
}

void witness_make_ids(uint64_t seed, size_t count)
{
    maker *m = calloc(1, sizeof *m);
    if (m == NULL)
        witness_fail("no memory");
    m->random.state = seed;
    eid_buf_init(&m->line, WITNESS_LINE_MAX);
    for (size_t i = 0; i < count; i++) {
        eid_id id;
        char text[EID_ID_TEXT_SIZE];
        draw_id(m, chance(m, 4), &id);
        eid_id_format(&id, text);
        witness_put_hex(&m->line, eid_id_slice(&id));
        eid_buf_appendf(&m->line, " %s", text);
        witness_print(&m->line);
    }
    eid_buf_free(&m->line);
    free(m);
}
