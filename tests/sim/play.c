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

static eid_id id_of(const eid_map_entry *at)
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

static bool is_alive(play *p, size_t who)
{
    return p->w.peers[who].up && !disk_is_frozen(who);
}

/* ---- Membership ---- */

static eid_status track(play *p, size_t who, size_t which)
{
    shared *s = &p->databases[which];
    return tu_track(p->w.peers[who].n.user, &s->id, &s->wishes[who]);
}

static void open_handle(play *p, size_t who, size_t which)
{
    peer *at = &p->w.peers[who];
    shared *s = &p->databases[which];
    if (at->handles[which] == NULL && node_count(&at->n, &s->id) != 0 && track(p, who, which) == EID_OK)
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
            if (!s->member[who] || (s->late[who] && !p->troubled) || !is_alive(p, who) || s->shut_out[who])
                continue;
            open_handle(p, who, which);
            if (is_alive(p, who) && w->peers[who].handles[which] == NULL)
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

/* What was committed so far will not be lost, whatever comes. */
static void flush(play *p, size_t who)
{
    if (eid_instance_flush(p->w.peers[who].n.instance) != EID_OK || disk_is_frozen(who))
        return;
    trace(&p->w, "flushed", who, 0);
    for (size_t which = 0; which < p->database_count; which++)
        for (eid_map_entry *at = eid_map_first(p->databases[which].made); at != NULL;
             at = eid_map_next(p->databases[which].made, at)) {
            made *m = at->value;
            eid_id id = id_of(at);
            m->durable |= m->acknowledged && !p->databases[which].shut_out[who] && play_holds(p, who, &id);
        }
}

static void list_keys(play *p, shared *s, eid_txn *txn)
{
    for (size_t i = 0; i < p->w.peer_count; i++) {
        const peer *at = &p->w.peers[i];
        if (!s->member[i])
            continue;
        if (i != s->owner)
            tu_assert_ok(eid_settings_set_auth_key(
                txn, &at->user, at->name, s->writes[i] ? node_write_10 : node_read_only, EID_KEY_ACTIVE));
        /* The engine's rounds ask with it. */
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

static eid_sync_settings some_wish(world *w)
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
    s->hostile_writes = !s->open && p->foe != NULL && chance(w, 30);
    for (size_t i = 0; i < w->peer_count; i++) {
        s->member[i] = i == s->owner || chance(w, 80);
        s->writes[i] = i == s->owner || s->open || chance(w, 75);
        s->late[i] = i != s->owner && chance(w, 20);
        s->wishes[i] = some_wish(w);
    }
}

static bool is_somebody_missing(void *ctx)
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

static void on_end(world *w, size_t who);

static void set_up(play *p, uint64_t seed, bool loud)
{
    world *w = &p->w;
    world_begin(w, seed);
    w->play = p;
    w->loud = loud;
    w->on_end = on_end;
    w->peer_count = 2 + below(w, PEERS - 1);
    w->weather = (weather){.delay_ms = 1 + below(w, 100), .tail_ms = 1000};
    for (size_t i = 0; i < w->peer_count; i++) {
        w->peers[i].durability = chance(w, 50) ? EID_DURABILITY_FULL : EID_DURABILITY_NORMAL;
        w->peers[i].streams = chance(w, 80);
        peer_start(w, i);
    }
    if (chance(w, 60))
        p->foe = foe_new(p);
    p->database_count = 1 + below(w, DATABASES);
    for (size_t i = 0; i < p->database_count; i++) {
        shared *s = &p->databases[i];
        choose(p, s);
        create(p, s, i == 0 ? "first" : "second");
        tu_assert_ok(track(p, s->owner, i));
        link_members(p, s);
    }
    world_plan(w, 1, tend, 1);
    assert_true(world_pass_while(w, is_somebody_missing, p, 600000));
    world_pass(w, 1000);
    for (size_t i = 0; i < w->peer_count; i++)
        flush(p, i); /* who they are and whom they know is not lost */
}

/* ---- Deaths ---- */

/* Who was shut out does not count: nobody asks it, and it asks in vain. */
static bool somebody_has(play *p, const shared *s, const eid_id *id)
{
    for (size_t i = 0; i < p->w.peer_count; i++)
        if (!s->shut_out[i] && is_alive(p, i) && play_holds(p, i, id))
            return true;
    return false;
}

static void write_off(play *p, shared *s)
{
    for (eid_map_entry *at = eid_map_first(s->made); at != NULL; at = eid_map_next(s->made, at)) {
        made *m = at->value;
        eid_id id = id_of(at);
        if (!m->durable && !somebody_has(p, s, &id))
            m->lost = true;
    }
}

static void wake(world *w, uint64_t who)
{
    play *p = play_of(w);
    if (w->peers[who].up)
        return;
    peer_start(w, who);
    for (size_t i = 0; i < p->database_count; i++) {
        p->databases[i].asked[who] = false;
        if (p->databases[i].member[who])
            open_handle(p, who, i);
    }
    /* After a power cut: what a disk that does not sync each commit has lost. */
    for (size_t i = 0; i < p->database_count && w->peers[who].durability == EID_DURABILITY_NORMAL; i++)
        write_off(p, &p->databases[i]);
}

static uint64_t time_away(world *w)
{
    return chance(w, 70) ? 500 + below(w, 5000) : 5000 + below(w, 120000);
}

static void on_end(world *w, size_t who)
{
    trace(w, "died", who, 0);
    play_of(w)->deaths++;
    peer_stop(w, who);
    world_plan(w, time_away(w), wake, who);
}

static void end_somebody(play *p, size_t who)
{
    world *w = &p->w;
    disk_end end = chance(w, 50) ? DISK_POWER_CUT : DISK_KILLED;
    p->cuts += end == DISK_POWER_CUT;
    trace(w, end == DISK_POWER_CUT ? "power cut" : "killed", who, p->w.peers[who].durability);
    if (chance(w, 20)) {
        p->deaths++;
        if (chance(w, 60)) /* in good order, but not to the end */
            disk_freeze_at(who, end, 1 + below(w, 40));
        peer_stop(w, who);
        world_plan(w, time_away(w), wake, who);
    } else if (chance(w, 40)) {
        disk_freeze(who, end);
    } else {
        disk_freeze_at(who, end, 1 + below(w, 60));
    }
}

/* ---- Trouble ---- */

static void stage_something(play *p, eid_txn *txn)
{
    world *w = &p->w;
    char key[32], text[64], row[EID_ROW_KEY_SIZE];
    snprintf(key, sizeof key, chance(w, 30) ? "deep.k%u" : "k%u", (unsigned)below(w, 6));
    snprintf(text, sizeof text, "%llu at %llu", (unsigned long long)p->commits,
             (unsigned long long)w->now_ms);
    switch (below(w, 6)) {
    case 0:
        tu_assert_ok(eid_docstore_delete(txn, "notes", key, NULL));
        break;
    case 1:
        tu_assert_ok(eid_docstore_set_json(txn, "notes", key, "{\"a\":[1,2,{\"b\":null}],\"c\":true}"));
        break;
    case 2:
        tu_assert_ok(eid_table_insert(txn, "rows", "{\"n\":1}", row));
        break;
    default:
        tu_assert_ok(eid_docstore_set_text(txn, "notes", key, text));
    }
    /* A deletion of nothing alone would be an empty transaction. */
    tu_assert_ok(eid_docstore_set_text(txn, "notes", "last", text));
}

/* A commit of the peer; a refused one must be for a lost right. */
static void finish(play *p, size_t who, shared *s, eid_txn *txn)
{
    eid_id id;
    eid_status status = eid_txn_commit_free(txn, &id);
    trace(&p->w, "committed", who, (uint64_t)status);
    if (status != EID_OK) {
        assert_int_equal(status, EID_ERR_PERMISSION_DENIED);
        assert_false(s->writes[who]);
        return;
    }
    made *m = play_note(s, &id);
    p->commits++;
    m->by = who;
    m->at_ms = p->w.now_ms;
    m->acknowledged = !disk_is_frozen(who);
    m->durable = m->acknowledged && p->w.peers[who].durability == EID_DURABILITY_FULL;
}

static eid_txn *begin(eid_database *handle)
{
    eid_txn *txn;
    return eid_database_new_transaction(handle, &txn) == EID_OK ? txn : NULL;
}

static void commit(play *p, size_t who)
{
    size_t which = below(&p->w, p->database_count);
    shared *s = &p->databases[which];
    eid_database *handle = p->w.peers[who].handles[which];
    if (handle == NULL || !s->writes[who])
        return;
    for (size_t i = 0, count = chance(&p->w, 80) ? 1 : 1 + below(&p->w, 12); i < count && is_alive(p, who);
         i++) {
        eid_txn *txn = begin(handle);
        stage_something(p, txn);
        finish(p, who, s, txn);
    }
}

/* What only a peer had that is shut out now, or was promised by its disk, may be gone. */
static void lean_on_others(play *p, shared *s)
{
    for (eid_map_entry *at = eid_map_first(s->made); at != NULL; at = eid_map_next(s->made, at)) {
        made *m = at->value;
        m->durable &= !s->shut_out[m->by] && p->w.peers[m->by].durability == EID_DURABILITY_FULL;
    }
    write_off(p, s);
}

/* Of somebody's right to write, and sometimes to read. */
static void revoke(play *p, shared *s)
{
    size_t whom = below(&p->w, p->w.peer_count);
    eid_txn *txn;
    for (size_t i = 0; i < PEERS && (whom == s->owner || !s->member[whom]); i++)
        whom = (whom + 1) % p->w.peer_count;
    if (s->open || !is_alive(p, s->owner) || !s->member[whom] || whom == s->owner || s->late[whom] ||
        p->revocations != 0)
        return;
    const peer *at = &p->w.peers[whom];
    txn = begin(p->w.peers[s->owner].handles[s - p->databases]);
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &at->user));
    s->writes[whom] = false;
    if (chance(&p->w, 50)) {
        tu_assert_ok(eid_settings_revoke_auth_key(txn, &at->device));
        s->shut_out[whom] = true;
    }
    finish(p, s->owner, s, txn);
    p->revocations++;
    if (s->shut_out[whom])
        lean_on_others(p, s);
}

static void change_rank(play *p, shared *s)
{
    size_t whom = below(&p->w, p->w.peer_count);
    if (s->open || !is_alive(p, s->owner) || whom == s->owner || !s->member[whom] || !s->writes[whom])
        return;
    eid_txn *txn = begin(p->w.peers[s->owner].handles[s - p->databases]);
    eid_permission permission = {EID_PERM_WRITE, (uint32_t)below(&p->w, 20)};
    tu_assert_ok(eid_settings_rank_auth_key(txn, &p->w.peers[whom].user, permission));
    finish(p, s->owner, s, txn);
}

static void part(world *w)
{
    bool side[PLACES];
    bool one_way = chance(w, 20);
    for (size_t i = 0; i < PLACES; i++)
        side[i] = chance(w, 50);
    for (size_t a = 0; a < PLACES; a++)
        for (size_t b = 0; b < PLACES; b++)
            w->weather.apart[a][b] = side[a] != side[b] && (!one_way || side[a]);
}

static void change_weather(world *w)
{
    static const unsigned losses[] = {0, 0, 2, 10, 40};
    w->weather.loss = losses[below(w, 5)];
    w->weather.repeat = (unsigned)below(w, 15);
    w->weather.cut = (unsigned)below(w, 10);
    w->weather.delay_ms = 1 + below(w, chance(w, 30) ? 3000 : 100);
    w->weather.tail_ms = 1 + below(w, 50000);
}

static void forget_call(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    (void)sentence;
    (void)result;
    trace(ctx, "called", (uint64_t)status, 0);
}

static void call(play *p, size_t who)
{
    size_t which = below(&p->w, p->database_count), whom = below(&p->w, p->w.peer_count);
    shared *s = &p->databases[which];
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    if (!s->linked[who][whom] || p->w.peers[who].handles[which] == NULL)
        return;
    order.peer = &p->w.peers[whom].device;
    order.database = chance(&p->w, 20) ? NULL : &s->id;
    order.timeout_ms = 1 + below(&p->w, 30000);
    eid_sync_call *made_call;
    tu_assert_ok(eid_sync_order_async(p->w.peers[who].n.sync, &order, forget_call, &p->w, &made_call));
    if (chance(&p->w, 20))
        eid_sync_call_cancel(made_call);
    eid_sync_call_free(made_call);
}

static void change_wish(play *p, size_t who)
{
    size_t which = below(&p->w, p->database_count);
    shared *s = &p->databases[which];
    if (p->w.peers[who].handles[which] == NULL || s->shut_out[who])
        return;
    s->wishes[who] = some_wish(&p->w);
    s->wishes[who].sync_enabled = chance(&p->w, 60);
    (void)track(p, who, which); /* whoever has lost the right can not */
}

static void trouble(world *w, uint64_t left)
{
    play *p = play_of(w);
    size_t who = below(w, w->peer_count);
    shared *s = &p->databases[below(w, p->database_count)];
    uint64_t what = below(w, 100);
    if (what < 62 && is_alive(p, who))
        commit(p, who);
    else if (what < 66)
        part(w);
    else if (what < 72)
        memset(w->weather.apart, 0, sizeof w->weather.apart);
    else if (what < 77)
        change_weather(w);
    else if (what < 83 && is_alive(p, who))
        end_somebody(p, who);
    else if (what < 86)
        w->peers[who].skew_ms = (int64_t)below(w, 400000) - 200000;
    else if (what < 89 && is_alive(p, who))
        flush(p, who);
    else if (what < 93 && is_alive(p, who))
        call(p, who);
    else if (what < 95)
        change_rank(p, s);
    else if (what < 98)
        revoke(p, s);
    else if (is_alive(p, who))
        change_wish(p, who);
    if (left != 0)
        world_plan(w, chance(w, 70) ? below(w, 500) : below(w, 20000), trouble, left - 1);
    else
        p->troubled = false;
}

static bool is_troubled(void *ctx)
{
    return ((play *)ctx)->troubled;
}

/* ---- Healing ---- */

static bool counts(const play *p, const shared *s, size_t who)
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
        if (counts(p, s, i) && i != s->owner && !s->linked[i][s->owner])
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
        wake(w, who);
        w->peers[who].skew_ms = (int64_t)below(w, 20000) - 10000;
        for (size_t which = 0; which < p->database_count; which++) {
            shared *s = &p->databases[which];
            s->wishes[who].sync_enabled = true;
            if (w->peers[who].handles[which] != NULL && !s->shut_out[who])
                tu_assert_ok(track(p, who, which));
        }
    }
    for (size_t which = 0; which < p->database_count; which++)
        link_around(p, &p->databases[which]);
}

static bool agree_on(play *p, size_t which)
{
    const shared *s = &p->databases[which];
    eid_id *tips, *others;
    size_t count, other_count;
    bool same = true;
    tu_assert_ok(eid_database_tips(p->w.peers[s->owner].handles[which], &tips, &count));
    for (size_t i = 0; i < p->w.peer_count && same; i++) {
        if (!counts(p, s, i) || i == s->owner)
            continue;
        tu_assert_ok(eid_database_tips(p->w.peers[i].handles[which], &others, &other_count));
        same = count == other_count;
        for (size_t k = 0; k < count && same; k++)
            same = eid_id_equal(&tips[k], &others[k]);
        eid_free(others);
    }
    eid_free(tips);
    return same;
}

static bool do_all_agree(play *p)
{
    if (is_somebody_missing(p))
        return false;
    for (size_t which = 0; which < p->database_count; which++)
        if (!agree_on(p, which))
            return false;
    return true;
}

static void tell_states(play *p)
{
    for (size_t which = 0; which < p->database_count; which++)
        for (size_t i = 0; i < p->w.peer_count; i++) {
            const shared *s = &p->databases[which];
            eid_id *tips = NULL;
            size_t count = 0;
            char text[EID_ID_TEXT_SIZE] = "";
            tu_assert_ok(eid_core_tips(eid_instance_core(p->w.peers[i].n.instance), &s->id, &tips, &count));
            if (count != 0)
                eid_id_format(&tips[0], text);
            print_message("database %zu (%s) at peer %zu (%s%s%s%s): %llu entries, %zu tips, %s\n", which,
                          s->open ? "open" : "keys", i,
                          s->owner == i  ? "owner"
                          : s->member[i] ? "member"
                                         : "stranger",
                          s->late[i] ? ", late" : "",
                          s->shut_out[i] ? ", shut out"
                          : s->writes[i] ? ", writes"
                                         : "",
                          p->w.peers[i].handles[which] == NULL ? ", has it not open" : "",
                          (unsigned long long)node_count(&p->w.peers[i].n, &s->id), count, text);
            eid_free(tips);
        }
}

/* The longest way an entry may have to go, each step of it with the longest pause between two rounds and a
 * few attempts that failed before. */
static uint64_t time_allowed(const play *p)
{
    uint64_t interval = 0;
    for (size_t which = 0; which < p->database_count; which++)
        for (size_t i = 0; i < p->w.peer_count; i++) {
            uint64_t seconds = p->databases[which].wishes[i].interval_seconds;
            seconds = seconds == 0 ? 300 : seconds;
            interval = seconds > interval ? seconds : interval;
        }
    return (p->w.peer_count + 1) * (interval + 2 * 64 + 60) * 1000;
}

/* ---- Judgement ---- */

typedef struct judging {
    play *p;
    const shared *s;
    size_t count, planted;
} judging;

static bool judge_entry(eid_entry *entry, void *ctx)
{
    judging *j = ctx;
    j->count++;
    if (eid_map_get(j->s->made, eid_id_slice(eid_entry_id(entry))) != NULL)
        return true;
    assert_non_null(j->p->foe); /* nobody else could have made it */
    assert_true(foe_may_have_made(j->p->foe, j->s, entry));
    j->planted++;
    return true;
}

static void judge_acknowledged(play *p, const shared *s, size_t who)
{
    for (eid_map_entry *at = eid_map_first(s->made); at != NULL; at = eid_map_next(s->made, at)) {
        const made *m = at->value;
        eid_id id = id_of(at);
        if (m->acknowledged && !m->lost && !s->shut_out[m->by] && !play_holds(p, who, &id))
            fail_msg("peer %zu lacks an entry that peer %zu had acknowledged at %llu ms%s", who, m->by,
                     (unsigned long long)m->at_ms, m->durable ? ", which was on a disk" : "");
    }
}

static void judge(play *p, outcome *out)
{
    for (size_t which = 0; which < p->database_count; which++) {
        const shared *s = &p->databases[which];
        uint8_t first[32], other[32];
        size_t counted = 0;
        tu_assert_ok(eid_database_state_hash(p->w.peers[s->owner].handles[which], first));
        for (size_t i = 0; i < p->w.peer_count; i++) {
            judging j = {.p = p, .s = s};
            if (!counts(p, s, i))
                continue;
            tu_assert_ok(eid_database_each_entry(p->w.peers[i].handles[which], judge_entry, &j));
            tu_assert_ok(eid_database_state_hash(p->w.peers[i].handles[which], other));
            assert_memory_equal(first, other, 32);
            assert_true(counted == 0 || counted == j.count);
            counted = j.count;
            judge_acknowledged(p, s, i);
            out->planted += i == s->owner ? j.planted : 0;
        }
        trace_bytes(&p->w, "agreed", which, counted, eid_slice_of(first, sizeof first));
        out->entries += counted;
    }
    size_t who = below(&p->w, p->w.peer_count);
    eid_check_report report = {0};
    tu_assert_ok(eid_core_check(eid_instance_core(p->w.peers[who].n.instance), NULL, 0, &report));
    if (report.problems != 0)
        fail_msg("peer %zu: %s", who, report.text);
}

/* When all is said the peers only look after each other: no entry goes round for ever. */
static void judge_silence(play *p)
{
    world *w = &p->w;
    uint64_t links = 0, rounds = 0, minutes = 11;
    world_pass(w, 70000);
    size_t before = w->exchanges;
    world_pass(w, minutes * 60000);
    for (size_t which = 0; which < p->database_count; which++)
        for (size_t i = 0; i < w->peer_count; i++) {
            uint64_t seconds = p->databases[which].wishes[i].interval_seconds;
            rounds += w->peer_count * (1 + minutes * 60 / (seconds == 0 ? 300 : seconds));
            links += w->peer_count;
        }
    /* A round is a request, and now and then a handshake; a look is a handshake; who was shut out asks again
     * every minute. */
    if (w->exchanges - before > 2 * rounds + links * (minutes + 1) * 2)
        fail_msg("%zu exchanges in %u minutes of silence", w->exchanges - before, (unsigned)minutes);
    assert_true(do_all_agree(p));
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
    world_plan(&p->w, 0, trouble, 20 + below(&p->w, 80));
    assert_true(world_pass_while(&p->w, is_troubled, p, UINT64_MAX / 2));
    heal(p);
    uint64_t began = p->w.now_ms;
    out.allowed_ms = time_allowed(p);
    while (!do_all_agree(p)) {
        if (p->w.now_ms - began > out.allowed_ms) {
            tell_states(p);
            fail_msg("after %llu s of peace the peers do not agree",
                     (unsigned long long)(out.allowed_ms / 1000));
        }
        world_pass(&p->w, 1000);
    }
    out.healed_ms = p->w.now_ms - began;
    judge(p, &out);
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
