/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile peer. It speaks the protocol, hears everything that is said, may name any key as its own in
 * what nobody proves, and signs with one key, which some databases list as a writer. It sends what it made
 * up, what it heard, and what lies between; whoever asks it gets something too. */
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"
#include "play.h"

#define HEARD   24
#define FORGED  5
#define PROMISE 400 /* tips it claims, most of the time */

typedef struct heard {
    uint8_t *body;
    size_t len;
} heard;

struct foe {
    play *p;
    eid_keypair *key;
    eid_pubkey pubkey;
    bool active;
    heard heard[HEARD];
    size_t heard_count;
    uint64_t thrown;
};

static foe *foe_of(world *w)
{
    return ((play *)w->play)->foe;
}

/* ---- What it can find ---- */

static shared *some_database(foe *f)
{
    return &f->p->databases[below(&f->p->w, f->p->database_count)];
}

/* Any peer that is up; PEERS when none is. */
static size_t somebody(foe *f)
{
    world *w = &f->p->w;
    size_t first = below(w, w->peer_count);
    for (size_t i = 0; i < w->peer_count; i++)
        if (w->peers[(first + i) % w->peer_count].up)
            return (first + i) % w->peer_count;
    return PEERS;
}

/* An entry of the database that some peer holds; NULL when the one asked holds none of those tried. */
static eid_entry *some_entry(foe *f, const shared *s)
{
    world *w = &f->p->w;
    size_t who = somebody(f), skip = below(w, eid_map_len(s->made));
    eid_entry *entry = NULL;
    int64_t n, d;
    if (who == PEERS)
        return NULL;
    eid_map_entry *at = eid_map_first(s->made);
    while (skip-- > 0)
        at = eid_map_next(s->made, at);
    eid_id id = {.len = (uint8_t)at->key.len};
    memcpy(id.bytes, at->key.data, at->key.len);
    eid_storage *storage = eid_core_storage(eid_instance_core(w->peers[who].n.instance));
    eid_storage_lock(storage);
    if (eid_storage_find(storage, &id, &n, &d) == EID_OK && n != 0)
        tu_assert_ok(eid_storage_load(storage, n, &entry));
    eid_storage_unlock(storage);
    return entry;
}

static eid_id random_id(world *w, const eid_id *like)
{
    eid_id id = *like;
    for (size_t i = id.len - 8u; i < id.len; i++)
        id.bytes[i] = (uint8_t)below(w, 256);
    return id;
}

/* ---- Entries it makes ---- */

static void put_parents(foe *f, eid_entry_builder *builder, const eid_entry *base)
{
    world *w = &f->p->w;
    eid_id parents[2] = {base->id, base->id};
    size_t count = 1;
    if (chance(w, 15))
        parents[0] = random_id(w, &base->id); /* nobody has it */
    if (chance(w, 15)) {
        eid_entry *other = some_entry(f, some_database(f)); /* maybe of another database */
        if (other != NULL)
            parents[count++] = other->id;
        eid_entry_unref(other);
    }
    tu_assert_ok(eid_entry_builder_set_parents(builder, parents, count));
}

static void put_stores(foe *f, eid_entry_builder *builder, const eid_entry *base)
{
    world *w = &f->p->w;
    bool settings = chance(w, 15);
    for (size_t i = 0; i < base->subtree_count; i++) {
        const eid_subtree *tree = &base->subtrees[i];
        eid_slice data = eid_slice_of(tree->data, tree->data_len);
        uint64_t height = tree->height + (chance(w, 70) ? 1 : below(w, 1000));
        if ((strcmp(tree->name, "_settings") == 0) != settings || strcmp(tree->name, "_root") == 0)
            continue;
        tu_assert_ok(eid_entry_builder_set_subtree(builder, tree->name, &base->id, 1,
                                                   tree->has_data ? &data : NULL,
                                                   tree->has_height ? &height : NULL));
    }
}

static void put_metadata(foe *f, eid_entry_builder *builder, const eid_entry *base)
{
    world *w = &f->p->w;
    eid_buf text;
    eid_id pin = random_id(w, &base->id);
    eid_buf_init(&text, 10000);
    uint64_t what = below(w, 100);
    if (what < 70 && base->has_metadata)
        eid_buf_append(&text, base->metadata, base->metadata_len);
    else if (what < 80)
        eid_metadata_write(&text, &pin, 1, NULL);
    else if (what < 90)
        eid_metadata_write(&text, &base->id, 1, NULL);
    if (text.len != 0)
        tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&text)));
    eid_buf_free(&text);
}

/* Signed in its own name, in everybody's, or in that of a peer whose key it does not have. */
static eid_entry *sign(foe *f, const eid_entry_builder *builder)
{
    world *w = &f->p->w;
    eid_entry *entry = NULL;
    eid_sigkey sigkey;
    uint64_t what = below(w, 100);
    if (what < 30)
        eid_sigkey_global(&f->pubkey, &sigkey);
    else
        eid_sigkey_direct(what < 80 ? &f->pubkey : &w->peers[below(w, w->peer_count)].user, &sigkey);
    (void)eid_entry_builder_finish(builder, chance(w, 95) ? f->key : NULL, &sigkey, &entry);
    return entry;
}

/* NULL when it would be no entry at all. */
static eid_entry *forge(foe *f, const shared *s)
{
    world *w = &f->p->w;
    eid_entry_builder *builder;
    eid_entry *base = some_entry(f, s);
    if (base == NULL)
        return NULL;
    tu_assert_ok(eid_entry_builder_new(chance(w, 95) ? &s->id : &some_database(f)->id, &builder));
    put_parents(f, builder, base);
    put_stores(f, builder, base);
    put_metadata(f, builder, base);
    eid_entry_builder_set_height(builder, chance(w, 60) ? base->height + 1 : below(w, 100000));
    eid_entry *entry = sign(f, builder);
    eid_entry_builder_free(builder);
    eid_entry_unref(base);
    return entry;
}

/* Forged ones and true ones, mixed. At the end of trouble it makes no new ones: those it has a right to would
 * go on changing what the others agree on. */
static void fill(foe *f, eid_entry_list *list, const shared *s)
{
    world *w = &f->p->w;
    list->items = eid_alloc_zero(FORGED, sizeof *list->items);
    assert_non_null(list->items);
    for (size_t i = 0, count = 1 + below(w, FORGED); i < count; i++) {
        eid_entry *entry = f->active && chance(w, 70) ? forge(f, s) : some_entry(f, s);
        if (entry != NULL)
            list->items[list->count++] = entry;
    }
}

static eid_id *random_tips(foe *f, const shared *s, size_t *count)
{
    world *w = &f->p->w;
    *count = chance(w, 2) ? 5000 : below(w, PROMISE);
    eid_id *tips = eid_realloc_array(NULL, *count + 1, sizeof *tips);
    assert_non_null(tips);
    for (size_t i = 0; i < *count; i++)
        tips[i] = random_id(w, &s->id);
    eid_entry *held = some_entry(f, s);
    if (held != NULL && chance(w, 50))
        tips[(*count)++] = held->id;
    eid_entry_unref(held);
    *count = eid_ids_sort(tips, *count);
    return tips;
}

bool foe_may_have_made(const foe *f, const shared *s, const eid_entry *entry)
{
    eid_pubkey signer;
    return (s->open || s->hostile_writes) && eid_entry_signer(entry, &signer) &&
           eid_pubkey_equal(&signer, &f->pubkey) && eid_entry_verify_signature(entry, &f->pubkey) == EID_OK &&
           eid_entry_subtree(entry, eid_slice_text("_settings")) == NULL;
}

/* ---- Requests ---- */

static void throw_body(foe *f, eid_slice body)
{
    world *w = &f->p->w;
    size_t to = below(w, w->peer_count);
    /* Who it claims to be: nobody, itself, somebody else. */
    const eid_pubkey *claims[] = {NULL, &f->pubkey, &w->peers[below(w, w->peer_count)].device};
    f->thrown++;
    world_throw(w, to, body.data, body.len, claims[below(w, 3)]);
}

static void throw_request(foe *f, const eid_sync_request *request)
{
    eid_buf body;
    eid_buf_init(&body, 8u << 20);
    eid_request_write(&body, request);
    tu_assert_ok(eid_buf_status(&body));
    throw_body(f, eid_buf_slice(&body));
    eid_buf_free(&body);
}

static void throw_garbage(foe *f)
{
    uint8_t bytes[600];
    size_t len = below(&f->p->w, sizeof bytes);
    tu_random_fill(&f->p->w.random, bytes, len);
    throw_body(f, eid_slice_of(bytes, len));
}

/* What it heard, as it was or damaged. */
static void throw_heard(foe *f, bool damaged)
{
    world *w = &f->p->w;
    if (f->heard_count == 0)
        return;
    const heard *h = &f->heard[below(w, f->heard_count < HEARD ? f->heard_count : HEARD)];
    uint8_t *copy = malloc(h->len + 1);
    size_t len = h->len;
    assert_non_null(copy);
    memcpy(copy, h->body, len);
    for (size_t i = 0; damaged && len != 0 && i < 1 + below(w, 3); i++)
        copy[below(w, len)] = (uint8_t)(chance(w, 80) ? 32 + below(w, 95) : below(w, 256));
    if (damaged && chance(w, 20))
        len = below(w, len + 1);
    throw_body(f, eid_slice_of(copy, len));
    free(copy);
}

static void throw_entries(foe *f)
{
    eid_sync_request request = {.kind = EID_REQUEST_SEND_ENTRIES};
    fill(f, &request.as.entries, some_database(f));
    throw_request(f, &request);
    eid_entry_list_free(&request.as.entries);
}

/* Handshakes in its own name or another's, always with its own address. */
static void throw_handshake(foe *f)
{
    world *w = &f->p->w;
    uint8_t challenge[32] = {0};
    char name[] = "a friend";
    eid_address *address;
    eid_pubkey claimed = chance(w, 60) ? f->pubkey : w->peers[below(w, w->peer_count)].device;
    tu_assert_ok(eid_address_new("sim", w->peers[HOSTILE].name, &address));
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE,
                                .as.handshake = {.device_id = claimed,
                                                 .public_key = claimed,
                                                 .display_name = name,
                                                 .challenge = challenge,
                                                 .challenge_len = chance(w, 90) ? sizeof challenge : 7,
                                                 .addresses = &address,
                                                 .address_count = 1}};
    throw_request(f, &request);
    eid_address_free(address);
}

/* Asks for a database, with all it can claim. */
static void throw_question(foe *f)
{
    world *w = &f->p->w;
    const shared *s = some_database(f);
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;
    tree->tree = chance(w, 90) ? s->id : random_id(w, &s->id);
    tree->tips = random_tips(f, s, &tree->tip_count);
    tree->has_peer_key = true;
    tree->peer_key = chance(w, 50) ? f->pubkey : w->peers[below(w, w->peer_count)].device;
    if (chance(w, 30)) {
        tree->tip_count = 0;
        tree->has_requesting_key = true;
        tree->requesting_key = f->pubkey;
        tree->requesting_key_name = eid_strdup("a friend");
        tree->has_permission = chance(w, 70);
        tree->permission = node_admin_0;
    }
    if (chance(w, 60))
        tu_assert_ok(eid_request_auth_sign(tree, &w->peers[below(w, w->peer_count)].device, f->key,
                                           UINT64_C(1800000000000) + w->now_ms));
    throw_request(f, &request);
    eid_request_free(&request);
}

static void attack(world *w, uint64_t arg)
{
    foe *f = foe_of(w);
    (void)arg;
    if (!f->active)
        return;
    uint64_t what = below(w, 100);
    if (what < 5)
        throw_garbage(f);
    else if (what < 25)
        throw_heard(f, true);
    else if (what < 40)
        throw_heard(f, false);
    else if (what < 75)
        throw_entries(f);
    else if (what < 85)
        throw_handshake(f);
    else
        throw_question(f);
    world_plan(w, chance(w, 50) ? below(w, 300) : below(w, 8000), attack, 0);
}

/* ---- Answers ---- */

static void say_garbage(foe *f, eid_buf *answer)
{
    size_t len = below(&f->p->w, 300);
    for (size_t i = 0; i < len; i++)
        eid_buf_append_byte(answer, (uint8_t)below(&f->p->w, 256));
}

static void answer_handshake(foe *f, const eid_handshake_request *request, eid_buf *answer)
{
    world *w = &f->p->w;
    uint8_t signature[64], challenge[32] = {1};
    eid_pubkey claimed = chance(w, 80) ? f->pubkey : w->peers[below(w, w->peer_count)].device;
    eid_sync_response response = {.kind = EID_RESPONSE_HANDSHAKE,
                                  .as.handshake = {.device_id = claimed,
                                                   .public_key = claimed,
                                                   .challenge_response = signature,
                                                   .challenge_response_len = sizeof signature,
                                                   .new_challenge = challenge,
                                                   .new_challenge_len = sizeof challenge}};
    eid_keypair_sign(f->key, request->challenge, request->challenge_len, signature);
    eid_response_write(answer, &response);
}

/* Answers that promise much: tips nobody has, entries it made up, a history that has no end. */
static void answer_question(foe *f, const eid_tree_request *request, eid_buf *answer)
{
    world *w = &f->p->w;
    const shared *s = some_database(f);
    eid_sync_response response = {.kind = EID_RESPONSE_INCREMENTAL};
    eid_entry *root = some_entry(f, s);
    if (root != NULL && (request->tip_count == 0 || chance(w, 20))) {
        eid_bootstrap_response *bootstrap = &response.as.bootstrap;
        response.kind = EID_RESPONSE_BOOTSTRAP;
        bootstrap->tree = chance(w, 80) ? request->tree : s->id;
        bootstrap->root = eid_entry_ref(root);
        fill(f, &bootstrap->entries, s);
    } else {
        eid_incremental_response *incremental = &response.as.incremental;
        incremental->tree = chance(w, 90) ? request->tree : s->id;
        incremental->tips = random_tips(f, s, &incremental->tip_count);
        fill(f, &incremental->entries, s);
    }
    eid_response_write(answer, &response);
    eid_response_free(&response);
    eid_entry_unref(root);
}

static bool answer_anything(world *w, size_t from, eid_slice body, eid_buf *answer)
{
    foe *f = foe_of(w);
    eid_sync_request request;
    (void)from;
    if (chance(w, 15) || eid_request_read(body, &request) != EID_OK)
        return false;
    uint64_t what = below(w, 100);
    if (what < 8)
        say_garbage(f, answer);
    else if (what < 12)
        eid_response_write_error(answer, "no");
    else if (what < 15)
        eid_response_write_pending(answer, "1", "later");
    else if (request.kind == EID_REQUEST_HANDSHAKE)
        answer_handshake(f, &request.as.handshake, answer);
    else if (request.kind == EID_REQUEST_SYNC_TREE)
        answer_question(f, &request.as.tree, answer);
    else if (chance(w, 50))
        eid_response_write_count(answer, below(w, 1000));
    else
        eid_response_write_ack(answer);
    eid_request_free(&request);
    return true;
}

static void overhear(world *w, eid_slice body)
{
    foe *f = foe_of(w);
    if (f == NULL || body.len > 100000 || !chance(w, 30))
        return;
    heard *h = &f->heard[f->heard_count++ % HEARD];
    free(h->body);
    h->body = malloc(body.len + 1);
    assert_non_null(h->body);
    memcpy(h->body, body.data, body.len);
    h->len = body.len;
}

/* ---- Life ---- */

foe *foe_new(play *p)
{
    foe *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->p = p;
    tu_assert_ok(eid_keypair_generate(&f->key));
    eid_keypair_public(f->key, &f->pubkey);
    p->w.hostile = answer_anything;
    p->w.overhear = overhear;
    return f;
}

void foe_free(foe *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < HEARD; i++)
        free(f->heard[i].body);
    eid_keypair_free(f->key);
    free(f);
}

void foe_list(foe *f, eid_txn *txn)
{
    tu_assert_ok(eid_settings_set_auth_key(txn, &f->pubkey, "a friend", node_write_10, EID_KEY_ACTIVE));
}

void foe_begin(foe *f)
{
    f->active = true;
    world_plan(&f->p->w, 1, attack, 0);
}

void foe_end(foe *f)
{
    f->active = false;
}

uint64_t foe_thrown(const foe *f)
{
    return f->thrown;
}
