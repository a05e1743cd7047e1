/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true when all is over. */
#include "codec/cid.h"
#include "database/database.h"
#include "play.h"

#include <string.h>

/* ---- Agreement ---- */

static bool agree_on(play *p, size_t which)
{
    const shared *s = &p->databases[which];
    eid_id *tips, *others;
    size_t count, other_count;
    bool same = true;
    tu_assert_ok(eid_database_tips(p->w.peers[s->owner].handles[which], &tips, &count));
    for (size_t i = 0; i < p->w.peer_count && same; i++) {
        if (!play_counts(p, s, i) || i == s->owner)
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

bool judge_agreement(play *p)
{
    if (play_is_somebody_missing(p))
        return false;
    for (size_t which = 0; which < p->database_count; which++)
        if (!agree_on(p, which))
            return false;
    return true;
}

void judge_tell(play *p)
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
uint64_t judge_time_allowed(const play *p)
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
        eid_id id = play_id_of(at);
        if (m->acknowledged && !m->lost && !s->shut_out[m->by] && !play_holds(p, who, &id))
            fail_msg("peer %zu lacks an entry that peer %zu had acknowledged at %llu ms%s", who, m->by,
                     (unsigned long long)m->at_ms, m->durable ? ", which was on a disk" : "");
    }
}

void judge_all(play *p, outcome *out)
{
    for (size_t which = 0; which < p->database_count; which++) {
        const shared *s = &p->databases[which];
        uint8_t first[32], other[32];
        size_t counted = 0;
        tu_assert_ok(eid_database_state_hash(p->w.peers[s->owner].handles[which], first));
        for (size_t i = 0; i < p->w.peer_count; i++) {
            judging j = {.p = p, .s = s};
            if (!play_counts(p, s, i))
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
void judge_silence(play *p)
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
    assert_true(judge_agreement(p));
}
