/* SPDX-License-Identifier: Apache-2.0 */
/* The time of trouble: what peers do meanwhile, and what is done to them. */
#include "database/database.h"
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE 300000 /* bytes: four such entries do not fit into one push */

static play *play_of(world *w)
{
    return w->play;
}

/* ---- Deaths ---- */

/* Who was shut out does not count: nobody asks it, and it asks in vain. */
static bool somebody_has(play *p, const shared *s, const eid_id *id)
{
    for (size_t i = 0; i < p->w.peer_count; i++)
        if (!s->shut_out[i] && play_is_alive(p, i) && play_holds(p, i, id))
            return true;
    return false;
}

static void write_off(play *p, shared *s)
{
    for (eid_map_entry *at = eid_map_first(s->made); at != NULL; at = eid_map_next(s->made, at)) {
        made *m = at->value;
        eid_id id = play_id_of(at);
        if (!m->durable && !somebody_has(p, s, &id))
            m->lost = true;
    }
}

void trouble_wake_peer(world *w, uint64_t who)
{
    play *p = play_of(w);
    if (w->peers[who].up)
        return;
    peer_start(w, who);
    for (size_t i = 0; i < p->database_count; i++) {
        p->databases[i].asked[who] = false;
        if (p->databases[i].member[who])
            play_open(p, who, i);
    }
    /* After a power cut: what a disk that does not sync each commit has lost. */
    for (size_t i = 0; i < p->database_count && w->peers[who].durability == EID_DURABILITY_NORMAL; i++)
        write_off(p, &p->databases[i]);
}

static uint64_t time_away(world *w)
{
    return chance(w, 70) ? 500 + below(w, 5000) : 5000 + below(w, 120000);
}

void trouble_end_peer(world *w, size_t who)
{
    trace(w, "died", who, 0);
    play_of(w)->deaths++;
    peer_stop(w, who);
    world_plan(w, time_away(w), trouble_wake_peer, who);
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
        world_plan(w, time_away(w), trouble_wake_peer, who);
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
    if (p->bulky && chance(w, 10)) {
        char *large = malloc(LARGE + 1);
        assert_non_null(large);
        memset(large, 'x', LARGE);
        large[LARGE] = '\0';
        tu_assert_ok(eid_docstore_set_text(txn, "notes", key, large));
        free(large);
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
        if (!p->was_full[who]) {
            /* Whoever heard of a raised floor before what it is raised to has to wait. */
            if (status != EID_ERR_PERMISSION_DENIED || (s->writes[who] && !s->delegated))
                fail_msg("a commit of peer %zu to database %zu failed: %s", who, (size_t)(s - p->databases),
                         eid_last_error());
        }
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
    for (size_t i = 0, count = chance(&p->w, 80) ? 1 : 1 + below(&p->w, p->bulky ? 60 : 10);
         i < count && play_is_alive(p, who); i++) {
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
    if (s->open || s->delegated || !play_is_alive(p, s->owner) || !s->member[whom] || whom == s->owner ||
        s->late[whom] || p->revocations != 0)
        return;
    const peer *at = &p->w.peers[whom];
    txn = begin(p->w.peers[s->owner].handles[s - p->databases]);
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &at->user));
    s->writes[whom] = false;
    if (!s->devices || chance(&p->w, 50)) {
        if (s->devices)
            tu_assert_ok(eid_settings_revoke_auth_key(txn, &at->device));
        s->shut_out[whom] = true;
    }
    finish(p, s->owner, s, txn);
    p->revocations++;
    if (s->shut_out[whom])
        lean_on_others(p, s);
    shared *other = &p->databases[1];
    if (s != other && other->delegated) {
        other->writes[whom] = false;
        other->shut_out[whom] = s->shut_out[whom] && other->member[whom];
        lean_on_others(p, other);
    }
}

/* From now on the members count as they are now. */
static void raise_floor(play *p, shared *s)
{
    eid_txn *txn;
    if (!s->delegated || !play_is_alive(p, s->owner))
        return;
    txn = begin(p->w.peers[s->owner].handles[s - p->databases]);
    tu_assert_ok(eid_settings_raise_delegation(txn, &p->databases[0].id, NULL, 0));
    finish(p, s->owner, s, txn);
}

static void change_rank(play *p, shared *s)
{
    size_t whom = below(&p->w, p->w.peer_count);
    if (s->open || s->delegated || !play_is_alive(p, s->owner) || whom == s->owner || !s->member[whom] ||
        !s->writes[whom])
        return;
    eid_txn *txn = begin(p->w.peers[s->owner].handles[s - p->databases]);
    eid_permission permission = {EID_PERM_WRITE, (uint32_t)below(&p->w, 20)};
    tu_assert_ok(eid_settings_rank_auth_key(txn, &p->w.peers[whom].user, permission));
    finish(p, s->owner, s, txn);
}

static void make_room(world *w, uint64_t who)
{
    (void)w;
    disk_fill(who, false);
}

static void fill_disk(play *p, size_t who)
{
    p->was_full[who] = true;
    disk_fill(who, true);
    world_plan(&p->w, below(&p->w, 60000), make_room, who);
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
    s->wishes[who] = play_some_wish(&p->w);
    s->wishes[who].sync_enabled = chance(&p->w, 60);
    (void)play_track(p, who, which); /* whoever has lost the right can not */
}

static void trouble(world *w, uint64_t left)
{
    play *p = play_of(w);
    size_t who = below(w, w->peer_count);
    shared *s = &p->databases[below(w, p->database_count)];
    uint64_t what = below(w, 100);
    if (what < 62 && play_is_alive(p, who))
        commit(p, who);
    else if (what < 66)
        part(w);
    else if (what < 72)
        memset(w->weather.apart, 0, sizeof w->weather.apart);
    else if (what < 77)
        change_weather(w);
    else if (what < 83 && play_is_alive(p, who))
        end_somebody(p, who);
    else if (what < 86)
        w->peers[who].skew_ms = (int64_t)below(w, 400000) - 200000;
    else if (what < 89 && play_is_alive(p, who))
        play_flush(p, who);
    else if (what < 93 && play_is_alive(p, who))
        call(p, who);
    else if (what < 95)
        change_rank(p, s);
    else if (what < 97)
        revoke(p, s);
    else if (what < 98)
        raise_floor(p, s);
    else if (what < 99)
        fill_disk(p, who);
    else if (play_is_alive(p, who))
        change_wish(p, who);
    if (left != 0)
        world_plan(w, chance(w, 70) ? below(w, 500) : below(w, 20000), trouble, left - 1);
    else
        p->troubled = false;
}

bool trouble_is_on(void *ctx)
{
    return ((play *)ctx)->troubled;
}

void trouble_begin(play *p, uint64_t turns)
{
    p->troubled = true;
    world_plan(&p->w, 0, trouble, turns);
}
