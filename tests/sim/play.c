/* SPDX-License-Identifier: Apache-2.0 */
/* A run: set-up in good weather, trouble, healing, judgement. */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cid.h"
#include "database/database.h"
#include "support/track.h"

#define TEND_MS 2000

static play *play_of(world *w)
{
    return w->play;
}

/* ---- Records ---- */

made *play_note(shared *s, const eid_id *id)
{
    eid_map_entry *entry;
    tu_assert_ok(eid_map_put(s->made, eid_id_slice(id), &entry, NULL));
    if (entry->value == NULL) {
        entry->value = calloc(1, sizeof(made));
        assert_non_null(entry->value);
    }
    return entry->value;
}

eid_id play_id_of(const eid_map_entry *at)
{
    eid_id id = {.len = (uint8_t)at->key.len};
    memcpy(id.bytes, at->key.data, at->key.len);
    return id;
}

bool play_holds(play *p, size_t who, const eid_id *id)
{
    eid_storage *storage = eid_core_storage(eid_instance_core(p->w.peers[who].n.instance));
    int64_t n, d;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_find(storage, id, &n, &d));
    eid_storage_unlock(storage);
    return n != 0;
}

bool play_is_alive(play *p, size_t who)
{
    return p->w.peers[who].up && !disk_is_frozen(who);
}

/* ---- Membership ---- */

eid_status play_track(play *p, size_t who, size_t which)
{
    shared *s = &p->databases[which];
    return tu_track(p->w.peers[who].n.user, &s->id, &s->wishes[who]);
}

void play_open(play *p, size_t who, size_t which)
{
    peer *at = &p->w.peers[who];
    shared *s = &p->databases[which];
    if (at->handles[which] == NULL && node_count(&at->n, &s->id) != 0 && play_track(p, who, which) == EID_OK)
        tu_assert_ok(eid_user_open_database(at->n.user, &s->id, &at->handles[which]));
}

static void on_joined(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    (void)status;
    (void)sentence;
    (void)result;
    *(bool *)ctx = false;
}

static void ask_to_join(play *p, size_t who, size_t which)
{
    shared *s = &p->databases[which];
    peer *at = &p->w.peers[who];
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    eid_address *address;
    size_t from = below(&p->w, p->w.peer_count);
    if (s->asked[who] || !s->linked[who][from])
        return;
    tu_assert_ok(eid_address_new("sim", p->w.peers[from].name, &address));
    order.addresses = (const eid_address *const *)&address;
    order.address_count = 1;
    order.database = &s->id;
    order.timeout_ms = 60000;
    if (!s->open) {
        order.key = eid_user_default_keypair(at->n.user);
        order.ask_access = true;
        order.permission = node_read_only; /* what it may write is in the settings */
    }
    s->asked[who] = true;
    tu_assert_ok(eid_sync_order_async(at->n.sync, &order, on_joined, &s->asked[who], NULL));
    eid_address_free(address);
}

/* Every so often: members that do not have a database ask for it, those that got it begin to work. */
static void tend(world *w, uint64_t again)
{
    play *p = play_of(w);
    for (size_t which = 0; which < p->database_count; which++)
        for (size_t who = 0; who < w->peer_count; who++) {
            shared *s = &p->databases[which];
            if (!s->member[who] || (s->late[who] && !p->troubled) || !play_is_alive(p, who) ||
                s->shut_out[who])
                continue;
            /* Whoever does not have the first can not tell who may do what in the other. */
            if (s->delegated && w->peers[who].handles[0] == NULL)
                continue;
            play_open(p, who, which);
            if (play_is_alive(p, who) && w->peers[who].handles[which] == NULL)
                ask_to_join(p, who, which);
        }
    if (again)
        world_plan(w, TEND_MS, tend, 1);
}

static void know(play *p, size_t who, size_t whom, shared *s)
{
    eid_address *address;
    tu_assert_ok(eid_address_new("sim", p->w.peers[whom].name, &address));
    tu_assert_ok(eid_sync_register_sync_peer(p->w.peers[who].n.sync, &p->w.peers[whom].device, NULL, &s->id,
                                             (const eid_address *const *)&address, 1));
    eid_address_free(address);
    s->linked[who][whom] = true;
}

/* ---- Set-up ---- */

void play_flush(play *p, size_t who)
{
    if (eid_instance_flush(p->w.peers[who].n.instance) != EID_OK || disk_is_frozen(who))
        return;
    trace(&p->w, "flushed", who, 0);
    for (size_t which = 0; which < p->database_count; which++)
        for (eid_map_entry *at = eid_map_first(p->databases[which].made); at != NULL;
             at = eid_map_next(p->databases[which].made, at)) {
            made *m = at->value;
            eid_id id = play_id_of(at);
            m->durable |= m->acknowledged && !p->databases[which].shut_out[who] && play_holds(p, who, &id);
        }
}

static void list_keys(play *p, shared *s, eid_txn *txn)
{
    if (s->delegated) {
        tu_assert_ok(eid_settings_add_delegation(txn, &p->databases[0].id, NULL, 0, node_write_10, NULL));
        return;
    }
    for (size_t i = 0; i < p->w.peer_count; i++) {
        const peer *at = &p->w.peers[i];
        if (!s->member[i])
            continue;
        if (i != s->owner)
            tu_assert_ok(eid_settings_set_auth_key(
                txn, &at->user, at->name, s->writes[i] ? node_write_10 : node_read_only, EID_KEY_ACTIVE));
        if (s->devices)
            tu_assert_ok(eid_settings_set_auth_key(txn, &at->device, NULL, node_read_only, EID_KEY_ACTIVE));
    }
}

static void create(play *p, shared *s, const char *name)
{
    peer *owner = &p->w.peers[s->owner];
    eid_database **handle = &owner->handles[s - p->databases];
    eid_txn *txn;
    eid_id id;
    tu_assert_ok(eid_user_create_database(owner->n.user, name, handle));
    s->id = *eid_database_root_id(*handle);
    *play_note(s, &s->id) = (made){.acknowledged = true, .by = s->owner};
    tu_assert_ok(eid_database_new_transaction(*handle, &txn));
    if (s->open)
        tu_assert_ok(eid_settings_set_global_permission(txn, node_write_10));
    else
        list_keys(p, s, txn);
    if (s->hostile_writes)
        foe_list(p->foe, txn);
    tu_assert_ok(eid_docstore_set_text(txn, "notes", "last", "made"));
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    *play_note(s, &id) = (made){.acknowledged = true, .by = s->owner};
}

/* A tree of members in which everybody hears of everybody, and more ways; some know each other one way only.
 */
static void link_members(play *p, shared *s)
{
    world *w = &p->w;
    size_t joined[PEERS] = {s->owner}, count = 1;
    for (size_t i = 0; i < w->peer_count; i++) {
        if (!s->member[i] || i == s->owner)
            continue;
        size_t to = joined[below(w, count)];
        know(p, i, to, s);
        if (!chance(w, 20))
            know(p, to, i, s);
        size_t other = joined[below(w, count)];
        if (chance(w, 40))
            know(p, i, other, s);
        if (!s->late[i])
            joined[count++] = i;
    }
}

eid_sync_settings play_some_wish(world *w)
{
    static const uint64_t intervals[] = {0, 5, 10, 20, 60, 300};
    eid_sync_settings wish = EID_SYNC_SETTINGS_ENABLED;
    wish.sync_on_commit = chance(w, 75);
    wish.interval_seconds = intervals[below(w, 6)];
    return wish;
}

static void choose(play *p, shared *s)
{
    world *w = &p->w;
    tu_assert_ok(eid_map_new(&s->made));
    s->owner = below(w, w->peer_count);
    s->open = chance(w, 40);
    s->devices = chance(w, 50);
    s->hostile_writes = !s->open && p->foe != NULL && chance(w, 30);
    for (size_t i = 0; i < w->peer_count; i++) {
        s->member[i] = i == s->owner || chance(w, 80);
        s->writes[i] = i == s->owner || s->open || chance(w, 75);
        s->late[i] = i != s->owner && chance(w, 20);
        s->wishes[i] = play_some_wish(w);
    }
    const shared *first = &p->databases[0];
    if (s == first || first->open || !chance(w, 50))
        return;
    s->delegated = true;
    s->open = s->hostile_writes = false;
    s->owner = first->owner;
    for (size_t i = 0; i < w->peer_count; i++) {
        s->member[i] = first->member[i] && (s->member[i] || i == s->owner);
        s->writes[i] = first->writes[i];
        s->late[i] = first->late[i] || (s->late[i] && i != s->owner);
    }
}

bool play_is_somebody_missing(void *ctx)
{
    play *p = ctx;
    for (size_t which = 0; which < p->database_count; which++)
        for (size_t who = 0; who < p->w.peer_count; who++) {
            const shared *s = &p->databases[which];
            if (s->member[who] && !s->shut_out[who] && (p->troubled || !s->late[who]) &&
                p->w.peers[who].handles[which] == NULL)
                return true;
        }
    return false;
}

static void set_up(play *p, uint64_t seed, bool loud)
{
    world *w = &p->w;
    world_begin(w, seed);
    w->play = p;
    w->loud = loud;
    w->on_end = trouble_end_peer;
    w->peer_count = 2 + below(w, PEERS - 1);
    w->weather = (weather){.delay_ms = 1 + below(w, 100), .tail_ms = 1000};
    for (size_t i = 0; i < w->peer_count; i++) {
        w->peers[i].durability = chance(w, 50) ? EID_DURABILITY_FULL : EID_DURABILITY_NORMAL;
        w->peers[i].streams = chance(w, 80);
        peer_start(w, i);
    }
    if (chance(w, 60))
        p->foe = foe_new(p);
    p->bulky = chance(w, 6);
    p->database_count = 1 + below(w, DATABASES);
    for (size_t i = 0; i < p->database_count; i++) {
        shared *s = &p->databases[i];
        choose(p, s);
        create(p, s, i == 0 ? "first" : "second");
        tu_assert_ok(play_track(p, s->owner, i));
        link_members(p, s);
    }
    world_plan(w, 1, tend, 1);
    assert_true(world_pass_while(w, play_is_somebody_missing, p, 600000));
    world_pass(w, 1000);
    for (size_t i = 0; i < w->peer_count; i++)
        play_flush(p, i); /* who they are and whom they know is not lost */
}

/* ---- Healing ---- */

bool play_counts(const play *p, const shared *s, size_t who)
{
    return who < p->w.peer_count && s->member[who] && !s->shut_out[who];
}

/* Who was shut out may have been the only way between others. */
static void link_around(play *p, shared *s)
{
    bool any = false;
    for (size_t i = 0; i < PEERS; i++)
        any |= s->shut_out[i];
    for (size_t i = 0; any && i < p->w.peer_count; i++)
        if (play_counts(p, s, i) && i != s->owner && !s->linked[i][s->owner])
            know(p, i, s->owner, s);
}

static void heal(play *p)
{
    world *w = &p->w;
    w->weather = (weather){.delay_ms = 50, .tail_ms = 200};
    if (p->foe != NULL)
        foe_end(p->foe);
    p->troubled = true; /* those who are late may come now at the latest */
    for (size_t who = 0; who < w->peer_count; who++) {
        disk_freeze_at(who, DISK_KILLED, 0);
        disk_fill(who, false);
        trouble_wake_peer(w, who);
        w->peers[who].skew_ms = (int64_t)below(w, 20000) - 10000;
        for (size_t which = 0; which < p->database_count; which++) {
            shared *s = &p->databases[which];
            s->wishes[who].sync_enabled = true;
            if (w->peers[who].handles[which] != NULL && !s->shut_out[who])
                tu_assert_ok(play_track(p, who, which));
        }
    }
    for (size_t which = 0; which < p->database_count; which++)
        link_around(p, &p->databases[which]);
}

/* ---- A run ---- */

static void end_run(play *p)
{
    world_end(&p->w);
    for (size_t i = 0; i < p->database_count; i++) {
        for (eid_map_entry *at = eid_map_first(p->databases[i].made); at != NULL;
             at = eid_map_next(p->databases[i].made, at))
            free(at->value);
        eid_map_free(p->databases[i].made, NULL);
    }
    foe_free(p->foe);
}

outcome play_seed(uint64_t seed, bool loud)
{
    outcome out = {0};
    play *p = calloc(1, sizeof *p);
    assert_non_null(p);
    set_up(p, seed, loud);
    p->troubled = true;
    if (p->foe != NULL)
        foe_begin(p->foe);
    trouble_begin(p, 20 + below(&p->w, 80));
    assert_true(world_pass_while(&p->w, trouble_is_on, p, UINT64_MAX / 2));
    heal(p);
    uint64_t began = p->w.now_ms;
    out.allowed_ms = judge_time_allowed(p);
    while (!judge_agreement(p)) {
        if (p->w.now_ms - began > out.allowed_ms) {
            judge_tell(p);
            fail_msg("after %llu s of peace the peers do not agree",
                     (unsigned long long)(out.allowed_ms / 1000));
        }
        world_pass(&p->w, 1000);
    }
    out.healed_ms = p->w.now_ms - began;
    judge_all(p, &out);
    judge_silence(p);
    out.trace = p->w.trace;
    out.commits = p->commits;
    out.deaths = p->deaths;
    out.cuts = p->cuts;
    out.revocations = p->revocations;
    out.thrown = p->foe == NULL ? 0 : foe_thrown(p->foe);
    end_run(p);
    free(p);
    return out;
}
