/* SPDX-License-Identifier: Apache-2.0 */
/* Asking in the streamed form, as steps of a session (steps.c is the other form; both go on with the same
 * push).
 *
 *     pull: my tips, and what the peer was last known to hold
 *         the same -> nothing to do
 *         follows  -> entries, parents first, stored while they come
 *         unsure   -> its tips are all held here: nothing to take; otherwise:
 *     compare: 64 sums -> 64 more for each that differs
 *     list: digests in the buckets that differ -> the entries among them that are missing here
 *     (too many differ: pull anyway, whatever comes twice)
 *
 * An answer comes in pieces, see session.c: a step runs for each, and the transport reads on only as they are
 * taken. What broke off needs no care: entries that came are stored, and the next pull names other tips.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "sync/engine_int.h"
#include "sync/stream.h"

#define FEW 256 /* entries that are worth storing before more have come */

typedef struct eid_taking {
    eid_stream_kind kind;
    bool anyway;
    bool was_held;         /* the database, before */
    bool wants_access;     /* that the key is not known to have */
    uint64_t count_before; /* entries held before */
    bool started;          /* the state has come */
    bool over;             /* and the end, or a refusal: nothing may follow */
    bool refused;
    eid_stream_verdict verdict;
    uint64_t announced, got;
    uint64_t held, strays; /* of those that came: were here already; were refused or wait for parents */
    eid_entry_list batch;  /* not stored yet */
    size_t batch_bytes;
    eid_id_array tips;   /* the peer's */
    eid_bucket *buckets; /* ours; of a comparison */
    uint32_t differing[EID_BUCKETS];
    size_t differing_count;
} eid_taking;

static eid_status on_answer(eid_session *s);

void eid_taking_free(eid_taking *taking)
{
    if (taking == NULL)
        return;
    eid_entry_list_free(&taking->batch);
    eid_id_array_free(&taking->tips);
    eid_free(taking->buckets);
    eid_free(taking);
}

static eid_status fail_stream(const char *what)
{
    return eid_fail(EID_ERR_PROTOCOL, "Sync protocol error: the peer's answer %s", what);
}

/* ---- Asking ---- */

static eid_status sign(eid_session *s, eid_stream_request *request)
{
    eid_tree_request signed_request = {
        .tree = request->database, .question_kind = request->kind, .question = request->question_bytes};
    EID_TRY(eid_session_sign(s, &signed_request));
    request->has_proof = true;
    request->proof = signed_request.proof;
    return EID_OK;
}

static eid_status send_question(eid_session *s, eid_stream_kind kind, const eid_stream_question *question)
{
    eid_taking *t = s->taking;
    eid_stream_request request = {
        .kind = kind, .database = eid_session_item(s)->database, .device = s->sync->device};
    eid_buf bytes;
    eid_buf_init(&bytes, EID_LIMIT_STREAM_FRAME);
    eid_stream_question_write(&bytes, kind, question);
    request.question_bytes = eid_buf_slice(&bytes);
    eid_status status = eid_buf_status(&bytes);
    if (status == EID_OK)
        status = sign(s, &request);
    eid_buf_reset(&s->body);
    if (status == EID_OK)
        eid_stream_request_write(&s->body, &request);
    eid_buf_free(&bytes);
    eid_stream_request_free(&request);
    EID_TRY(status);
    t->kind = kind;
    t->started = t->over = t->refused = false;
    t->announced = t->got = t->held = t->strays = 0;
    EID_TRY(eid_session_send(s, SIZE_MAX / 2, EID_LIMIT_SYNC_ANSWER_MS, on_answer));
    s->exchange.stream = true;
    s->in_pieces = true;
    return EID_OK;
}

/* Fills in what is held here; `have` takes the IDs. */
static eid_status describe_held(eid_session *s, eid_stream_question *question, eid_id_array *have)
{
    eid_taking *t = s->taking;
    eid_core *core = s->sync->core;
    const eid_id *database = &eid_session_item(s)->database;
    eid_id *tips = NULL;
    size_t count = 0, most = t->anyway ? EID_LIMIT_SENT_TIPS : EID_LIMIT_STREAM_TIPS;
    if (!t->was_held)
        return EID_OK;
    EID_TRY(eid_core_entry_count(core, database, &t->count_before));
    EID_TRY(eid_core_tips(core, database, &tips, &count));
    eid_stream_digest_tips(tips, count, question->tips_digest);
    question->count = t->count_before;
    eid_status status = eid_engine_known(s->engine, &s->peer, database, have);
    if (status == EID_OK)
        status = eid_session_keep_held(s->sync, have, NULL);
    if (status == EID_OK)
        status = eid_id_array_add(have, tips, count < most ? count : most);
    if (status == EID_OK) {
        eid_free(s->own_tips);
        s->own_tips = tips;
        s->own_tip_count = count;
        tips = NULL;
    }
    eid_free(tips);
    return status;
}

static eid_status pull(eid_session *s, bool anyway)
{
    eid_taking *t = s->taking;
    eid_item *item = eid_session_item(s);
    eid_id_array have = {NULL, 0, 0};
    eid_stream_question question = {.anyway = anyway};
    t->anyway = anyway;
    t->was_held = eid_core_holds(s->sync->core, &item->database);
    t->wants_access = eid_session_lacks_access(s, &item->database);
    question.has_permission = t->wants_access && !s->asking.poll;
    question.permission = s->asking.permission;
    eid_status status = describe_held(s, &question, &have);
    question.have = have.items;
    question.have_count = have.count;
    t->tips.count = 0;
    if (status == EID_OK)
        status = send_question(s, EID_STREAM_PULL, &question);
    eid_id_array_free(&have);
    return status;
}

eid_status eid_stream_ask(eid_session *s)
{
    eid_taking_free(s->taking);
    s->taking = eid_alloc_zero(1, sizeof *s->taking);
    return s->taking == NULL ? eid_fail_memory() : pull(s, false);
}

static eid_status compare(eid_session *s)
{
    eid_taking *t = s->taking;
    eid_stream_question question = {0};
    size_t width = EID_BUCKETS / EID_STREAM_GROUPS;
    t->buckets = eid_alloc_zero(EID_BUCKETS, sizeof *t->buckets);
    if (t->buckets == NULL)
        return eid_fail_memory();
    EID_TRY(eid_core_buckets(s->sync->core, &eid_session_item(s)->database, t->buckets));
    for (size_t i = 0; i < EID_STREAM_GROUPS; i++)
        eid_stream_print(t->buckets + i * width, width, question.prints[i]);
    t->differing_count = 0;
    return send_question(s, EID_STREAM_COMPARE, &question);
}

/* The digests of all buckets that differ, behind each other, and where each begins. */
static eid_status collect(eid_session *s, eid_buf *digests, eid_bucket_held *held)
{
    const eid_taking *t = s->taking;
    size_t starts[EID_LIMIT_STREAM_BUCKETS + 1] = {0};
    for (size_t i = 0; i < t->differing_count; i++) {
        EID_TRY(
            eid_core_bucket_digests(s->sync->core, &eid_session_item(s)->database, t->differing[i], digests));
        starts[i + 1] = digests->len;
    }
    for (size_t i = 0; i < t->differing_count; i++)
        held[i] = (eid_bucket_held){t->differing[i],
                                    eid_slice_of(digests->data + starts[i], starts[i + 1] - starts[i])};
    return EID_OK;
}

static eid_status list(eid_session *s)
{
    eid_taking *t = s->taking;
    eid_bucket_held held[EID_LIMIT_STREAM_BUCKETS];
    eid_buf digests;
    if (t->differing_count > EID_LIMIT_STREAM_BUCKETS)
        return pull(s, true);
    eid_buf_init(&digests, EID_LIMIT_STREAM_FRAME);
    eid_status status = collect(s, &digests, held);
    eid_stream_question question = {.held = held, .held_count = t->differing_count};
    if (status == EID_OK)
        status = send_question(s, EID_STREAM_LIST, &question);
    eid_buf_free(&digests);
    return status == EID_ERR_LIMIT ? pull(s, true) : status;
}

/* ---- Taking ---- */

/* Entries that are refused, that miss their parents or that were here before are not what was asked for. Some
 * may be: a peer judges by other limits, and others send meanwhile. */
static eid_status store(eid_session *s)
{
    eid_taking *t = s->taking;
    eid_receipt receipt;
    if (t->batch.count == 0)
        return EID_OK;
    eid_status status = eid_session_take(s, t->batch.items, t->batch.count, &receipt);
    eid_entry_list_free(&t->batch);
    t->batch_bytes = 0;
    EID_TRY(status);
    t->held += receipt.held;
    t->strays += receipt.waiting + receipt.refused;
    if (t->strays > EID_LIMIT_STREAM_STRAY)
        return fail_stream("holds too many entries that are refused or come before their parents");
    if (t->held > t->count_before + EID_LIMIT_STREAM_STRAY)
        return fail_stream("repeats itself");
    return EID_OK;
}

static eid_status take_entry(eid_session *s, eid_slice content)
{
    eid_taking *t = s->taking;
    eid_entry *entry;
    if (!t->started || t->verdict != EID_STREAM_FOLLOWS || t->kind == EID_STREAM_COMPARE ||
        t->got == t->announced)
        return fail_stream("holds an entry that was not announced");
    EID_TRY(eid_entry_from_cbor(content.data, content.len, &entry));
    eid_status status = eid_entry_list_add(&t->batch, entry);
    if (status != EID_OK) {
        eid_entry_unref(entry);
        return status;
    }
    t->got++;
    t->batch_bytes += content.len;
    if (t->batch.count < EID_LIMIT_SYNC_SLICE && t->batch_bytes < EID_LIMIT_IMPORT_BYTES)
        return EID_OK;
    return store(s);
}

static eid_status take_prints(eid_taking *t, const eid_stream_message *message)
{
    uint32_t width = EID_BUCKETS / EID_STREAM_GROUPS;
    for (uint32_t i = 0; i < width; i++) {
        uint32_t bucket = message->group * width + i;
        uint8_t print[EID_STREAM_PRINT];
        eid_stream_print(&t->buckets[bucket], 1, print);
        if (memcmp(print, message->prints + i * sizeof print, sizeof print) == 0)
            continue;
        /* In order, each once. */
        if (t->differing_count > 0 && t->differing[t->differing_count - 1] >= bucket)
            return fail_stream("tells of the same entries twice");
        t->differing[t->differing_count++] = bucket;
    }
    return EID_OK;
}

static eid_status take_state(eid_session *s, const eid_stream_message *message)
{
    eid_taking *t = s->taking;
    if (t->started)
        return fail_stream("begins twice");
    t->started = true;
    t->verdict = message->verdict;
    t->announced = message->entries;
    s->progress.entries_total += t->announced;
    return EID_OK;
}

static eid_status take_message(eid_session *s, const eid_stream_message *message)
{
    eid_taking *t = s->taking;
    if (message->kind == EID_STREAM_STATE)
        return take_state(s, message);
    if (message->kind == EID_STREAM_REFUSED && !t->started) {
        t->over = t->refused = true;
        return EID_OK;
    }
    if (!t->started)
        return fail_stream("has no beginning");
    if (message->kind == EID_STREAM_TIPS && t->kind == EID_STREAM_PULL &&
        t->tips.count + message->tip_count <= EID_LIMIT_SYNC_TIPS)
        return eid_id_array_add(&t->tips, message->tips, message->tip_count);
    if (message->kind == EID_STREAM_PRINTS && t->kind == EID_STREAM_COMPARE)
        return take_prints(t, message);
    if (message->kind != EID_STREAM_END)
        return fail_stream("holds what was not asked for");
    t->over = true;
    return t->got == t->announced && message->entries == t->got
               ? EID_OK
               : fail_stream("holds fewer entries than announced");
}

static eid_status take_frame(eid_session *s, eid_slice content)
{
    eid_stream_message message;
    if (s->taking->over)
        return fail_stream("goes on behind its end");
    if (eid_frame_is_entry(content))
        return take_entry(s, content);
    EID_TRY(eid_stream_message_read(content, &message));
    eid_status status = take_message(s, &message);
    eid_free(message.tips);
    return status;
}

/* Takes the whole frames out of the piece. */
static eid_status take_piece(eid_session *s)
{
    EID_TRY(eid_buf_status(&s->piece));
    eid_slice input = eid_buf_slice(&s->piece), content;
    bool found = true;
    while (found) {
        EID_TRY(eid_frame_next(&input, &content, &found));
        if (found)
            EID_TRY(take_frame(s, content));
    }
    if (input.len > 0)
        memmove(s->piece.data, input.data, input.len);
    s->piece.len = input.len;
    return EID_OK;
}

/* ---- At the end of an answer ---- */

static eid_status begin_push(eid_session *s)
{
    eid_taking *t = s->taking;
    EID_TRY(eid_relation_note(s->sync, &eid_session_item(s)->database, &s->peer));
    EID_TRY(eid_id_array_add(&s->peer_has, t->tips.items, t->tips.count));
    bool complete = !t->was_held;
    s->result.bootstrapped |= complete;
    eid_taking_free(t);
    s->taking = NULL;
    return eid_session_begin_push(s, complete);
}

static eid_status holds_its_tips(eid_session *s, bool *all)
{
    const eid_taking *t = s->taking;
    eid_id_array its = {NULL, 0, 0};
    eid_status status = eid_id_array_add(&its, t->tips.items, t->tips.count);
    if (status == EID_OK)
        status = eid_session_keep_held(s->sync, &its, all);
    eid_id_array_free(&its);
    return status;
}

static eid_status after_pull(eid_session *s)
{
    eid_taking *t = s->taking;
    bool all;
    if (!eid_core_holds(s->sync->core, &eid_session_item(s)->database))
        return fail_stream("brings nothing of the database");
    s->result.key_approved |= t->wants_access;
    if (t->verdict == EID_STREAM_SAME) {
        EID_TRY(eid_relation_note(s->sync, &eid_session_item(s)->database, &s->peer));
        eid_session_skip_push(s);
        return EID_OK;
    }
    if (t->verdict == EID_STREAM_FOLLOWS)
        return begin_push(s);
    if (t->anyway)
        return fail_stream("is not what was asked for");
    EID_TRY(holds_its_tips(s, &all));
    return all ? begin_push(s) : compare(s);
}

/* Equal sums do not prove equal sets: who may write could, at great cost, make two sets with one sum. Tips that are missing all the
 * same tell. */
static eid_status after_compare(eid_session *s)
{
    bool all;
    if (s->taking->differing_count > 0)
        return list(s);
    EID_TRY(holds_its_tips(s, &all));
    return all ? begin_push(s) : pull(s, true);
}

static eid_status after_answer(eid_session *s)
{
    eid_taking *t = s->taking;
    if (t->kind == EID_STREAM_PULL)
        return after_pull(s);
    if (t->kind == EID_STREAM_COMPARE)
        return after_compare(s);
    return begin_push(s);
}

/* The other form says why, or asks an admin. */
static eid_status ask_otherwise(eid_session *s)
{
    eid_item *item = eid_session_item(s);
    eid_session_forget_item(s);
    return eid_session_ask(s, item);
}

static eid_status on_answer(eid_session *s)
{
    eid_taking *t = s->taking;
    eid_status status = take_piece(s);
    EID_TRY(status);
    s->contacted |= t->started;
    if (!s->answered) {
        s->reading = true;
        return t->batch.count < FEW ? EID_OK : store(s);
    }
    if (t->refused)
        return ask_otherwise(s);
    EID_TRY(store(s));
    status = eid_session_take_exchange(s);
    /* A peer that spoke this form before and does not any more. */
    if (status == EID_ERR_NETWORK && !s->exchange.peer_streams && !t->started) {
        s->streams = false;
        return ask_otherwise(s);
    }
    EID_TRY(status);
    if (!t->over || s->piece.len > 0)
        return fail_stream("breaks off");
    return after_answer(s);
}

/* ---- Pushing ---- */

void eid_stream_push_head(eid_session *s)
{
    eid_stream_request request = {
        .kind = EID_STREAM_PUSH, .database = eid_session_item(s)->database, .device = s->sync->device};
    eid_stream_request_write(&s->body, &request);
}

/* One answer as a whole: a state and an end. */
static eid_status read_pushed(eid_slice answer, uint64_t *taken)
{
    eid_stream_message message = {.kind = EID_STREAM_TIPS};
    for (bool found = true; answer.len > 0 && message.kind != EID_STREAM_END;) {
        eid_slice content;
        EID_TRY(eid_frame_next(&answer, &content, &found));
        if (!found)
            return fail_stream("breaks off");
        EID_TRY(eid_stream_message_read(content, &message));
        eid_free(message.tips);
        if (message.kind == EID_STREAM_REFUSED)
            return eid_fail(EID_ERR_NETWORK, "Network error: Server error receiving entries: %.*s",
                            (int)message.text.len, (const char *)message.text.data);
    }
    if (message.kind != EID_STREAM_END)
        return fail_stream("breaks off");
    *taken = message.entries;
    return EID_OK;
}

eid_status eid_stream_read_pushed(eid_session *s, uint64_t *taken)
{
    EID_TRY(eid_session_take_exchange(s));
    s->contacted = true;
    eid_status status = read_pushed(eid_buf_slice(&s->exchange.answer), taken);
    eid_buf_free(&s->exchange.answer);
    return status;
}
