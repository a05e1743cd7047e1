/* SPDX-License-Identifier: Apache-2.0 */
/* Answering in the streamed form. What a stranger may learn or change is decided where the other form asks
 * too (responder_int.h); here is only how it is told. Entries are read from the storage as they are sent,
 * some at a time, so an answer needs no memory in proportion to what it holds, nor the lock while somebody
 * slow takes it.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "sync/responder_int.h"
#include "sync/stream.h"

#define PIECE_BYTES (64u << 10)

/* ---- Entries behind an answer ---- */

typedef struct entries {
    eid_source source;
    eid_difference *difference;
    uint64_t sent;
    bool over;
} entries;

static eid_status read_entries(eid_source *source, eid_buf *out)
{
    entries *e = (entries *)(void *)source;
    size_t count;
    if (e->over)
        return EID_OK;
    EID_TRY(eid_difference_append(e->difference, out->len + PIECE_BYTES, out, &count));
    e->sent += count;
    if (eid_difference_left(e->difference) == 0) {
        eid_stream_write_end(out, e->sent);
        e->over = true;
    }
    return eid_buf_status(out);
}

static void close_entries(eid_source *source)
{
    entries *e = (entries *)(void *)source;
    eid_difference_close(e->difference);
    eid_free(e);
}

/* Lets the entries follow what is in `answer`; takes the difference over. What fits into one piece is put
 * there at once. */
static eid_status send_entries(eid_buf *answer, eid_difference *difference, eid_source **rest)
{
    entries *e = eid_alloc_zero(1, sizeof *e);
    if (e == NULL) {
        eid_difference_close(difference);
        return eid_fail_memory();
    }
    *e = (entries){.source = {read_entries, close_entries}, .difference = difference};
    eid_status status = read_entries(&e->source, answer);
    if (status == EID_OK && !e->over)
        *rest = &e->source;
    else
        close_entries(&e->source);
    return status;
}

/* ---- Access ---- */

/* The same as a record of the other form, so that both are judged by the same code; lent from the request. */
static eid_tree_request as_tree_request(const eid_stream_request *request)
{
    return (eid_tree_request){.tree = request->database,
                              .has_peer_key = true,
                              .peer_key = request->device,
                              .has_proof = request->has_proof,
                              .proof = request->proof,
                              .question_kind = request->kind,
                              .question = request->question_bytes};
}

/* An asker that wants more than to read is served only when it has that: otherwise it will ask an admin, in
 * the other form. */
static eid_status check_permission(eid_sync *sync, const eid_stream_request *request)
{
    eid_permission held;
    if (!request->question.has_permission)
        return EID_OK;
    if (request->has_proof &&
        eid_core_permission_of(sync->core, &request->database, &request->proof.key, &held) == EID_OK &&
        eid_permission_compare(held, request->question.permission) >= 0)
        return EID_OK;
    return eid_fail(EID_ERR_PERMISSION_DENIED, "The key does not have the permission that is asked for");
}

/* ---- Pull ---- */

/* What the asker holds and would get again is at most what it holds, less what is left out because it is an
 * ancestor of something it named: little when it named all its tips and all are known here. */
static eid_status most_to_send(eid_sync *sync, const eid_stream_request *request, uint64_t *out)
{
    uint64_t held, its = request->question.count;
    EID_TRY(eid_core_entry_count(sync->core, &request->database, &held));
    *out = request->question.anyway ? UINT64_MAX : EID_LIMIT_STREAM_WASTE + (held > its ? held - its : 0);
    return EID_OK;
}

static eid_status serve_difference(eid_sync *sync, const eid_stream_request *request, const eid_id *tips,
                                   size_t tip_count, eid_buf *answer, eid_source **rest)
{
    const eid_stream_question *question = &request->question;
    eid_difference *difference;
    uint64_t most;
    EID_TRY(most_to_send(sync, request, &most));
    EID_TRY(eid_difference_open(sync->core, &request->database, question->have, question->have_count, most,
                                &difference));
    if (difference == NULL) {
        eid_stream_write_state(answer, EID_STREAM_UNSURE, 0);
        eid_stream_write_tips(answer, tips, tip_count);
        eid_stream_write_end(answer, 0);
        return eid_buf_status(answer);
    }
    eid_stream_write_state(answer, EID_STREAM_FOLLOWS, eid_difference_left(difference));
    eid_stream_write_tips(answer, tips, tip_count);
    return send_entries(answer, difference, rest);
}

static eid_status serve_pull(eid_sync *sync, const eid_stream_request *request, eid_buf *answer,
                             eid_source **rest)
{
    uint8_t digest[EID_STREAM_DIGEST];
    eid_id *tips;
    size_t count;
    EID_TRY(check_permission(sync, request));
    EID_TRY(eid_core_tips(sync->core, &request->database, &tips, &count));
    eid_stream_digest_tips(tips, count, digest);
    eid_status status = EID_OK;
    if (memcmp(digest, request->question.tips_digest, sizeof digest) == 0) {
        eid_stream_write_state(answer, EID_STREAM_SAME, 0);
        eid_stream_write_end(answer, 0);
    } else {
        status = serve_difference(sync, request, tips, count, answer, rest);
    }
    eid_free(tips);
    return status;
}

/* ---- Comparing ---- */

static eid_status serve_compare(eid_sync *sync, const eid_stream_request *request, eid_buf *answer)
{
    eid_bucket *buckets = eid_alloc_zero(EID_BUCKETS, sizeof *buckets);
    eid_status status =
        buckets == NULL ? eid_fail_memory() : eid_core_buckets(sync->core, &request->database, buckets);
    if (status == EID_OK)
        eid_stream_write_state(answer, EID_STREAM_FOLLOWS, 0);
    for (uint32_t i = 0; i < EID_STREAM_GROUPS && status == EID_OK; i++) {
        const eid_bucket *group = buckets + i * (EID_BUCKETS / EID_STREAM_GROUPS);
        uint8_t print[EID_STREAM_PRINT];
        eid_stream_print(group, EID_BUCKETS / EID_STREAM_GROUPS, print);
        if (memcmp(print, request->question.prints[i], sizeof print) != 0)
            eid_stream_write_prints(answer, i, group);
    }
    if (status == EID_OK)
        eid_stream_write_end(answer, 0);
    eid_free(buckets);
    return status;
}

static eid_status serve_list(eid_sync *sync, const eid_stream_request *request, eid_buf *answer,
                             eid_source **rest)
{
    eid_difference *difference;
    EID_TRY(eid_difference_open_buckets(sync->core, &request->database, request->question.held,
                                        request->question.held_count, &difference));
    eid_stream_write_state(answer, EID_STREAM_FOLLOWS, eid_difference_left(difference));
    return send_entries(answer, difference, rest);
}

/* ---- Push ---- */

static eid_status read_pushed(eid_slice frames, eid_entry_list *list)
{
    while (frames.len != 0) {
        eid_slice content;
        eid_entry *entry;
        bool found;
        EID_TRY(eid_frame_next(&frames, &content, &found));
        if (!found || !eid_frame_is_entry(content))
            return eid_fail(EID_ERR_WRONG_TYPE, "The stream holds something else than whole entries");
        EID_TRY(eid_entry_from_cbor(content.data, content.len, &entry));
        eid_status status = eid_entry_list_add(list, entry);
        if (status != EID_OK) {
            eid_entry_unref(entry);
            return status;
        }
    }
    return EID_OK;
}

static eid_status serve_push(eid_serving *s, const eid_stream_request *request)
{
    eid_entry_list list = {NULL, 0, 0};
    eid_status status = eid_serving_sender_is_blocked(s)
                            ? eid_fail(EID_ERR_PERMISSION_DENIED, "Permission denied: this peer is blocked")
                            : read_pushed(request->rest, &list);
    if (status == EID_OK) {
        uint64_t taken = eid_serving_store(s, &request->database, list.items, list.count);
        eid_stream_write_state(s->answer, EID_STREAM_FOLLOWS, 0);
        eid_stream_write_end(s->answer, taken);
    }
    eid_entry_list_free(&list);
    return status;
}

/* ---- Entry ---- */

static eid_status serve(eid_serving *s, const eid_stream_request *request, eid_source **rest)
{
    eid_tree_request asked = as_tree_request(request);
    if (request->kind == EID_STREAM_PUSH)
        return serve_push(s, request);
    EID_TRY(eid_serving_may_read(s, &asked));
    EID_TRY(request->kind == EID_STREAM_PULL      ? serve_pull(s->sync, request, s->answer, rest)
            : request->kind == EID_STREAM_COMPARE ? serve_compare(s->sync, request, s->answer)
                                                  : serve_list(s->sync, request, s->answer, rest));
    eid_serving_note_relation(s, &asked);
    return EID_OK;
}

eid_handle_result eid_stream_handle(eid_slice body, const eid_request_origin *origin, eid_buf *answer,
                                    eid_source **rest, void *ctx)
{
    eid_stream_request request;
    eid_serving s;
    eid_serving_begin(&s, ctx, origin, answer);
    eid_status status = eid_stream_request_read(body, &request);
    if (status != EID_OK) {
        if (status == EID_ERR_NO_MEMORY)
            return EID_HANDLER_FAILED;
        eid_buf_appendf(answer, "Failed to read the request: %s", eid_last_error());
        return EID_BODY_MALFORMED;
    }
    status = serve(&s, &request, rest);
    if (status != EID_OK) {
        eid_buf_reset(answer);
        eid_stream_write_refused(answer, eid_last_error());
    }
    eid_stream_request_free(&request);
    return answer->status == EID_OK ? EID_HANDLED : EID_HANDLER_FAILED;
}
