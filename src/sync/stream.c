/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the streamed form: writing and reading. */
#include "sync/stream.h"

#include "base/alloc.h"
#include "codec/cbor.h"
#include "codec/cid.h"
#include "crypto/blake3.h"

#define TIPS_PER_MESSAGE 1024
#define SIGNATURE_BYTES  64

/* ---- Frames ---- */

void eid_frame_write(eid_buf *out, eid_slice content)
{
    eid_cbor_write_bytes(out, content.data, content.len);
}

eid_status eid_frame_next(eid_slice *input, eid_slice *content, bool *found)
{
    *found = false;
    if (input->len == 0)
        return EID_OK;
    uint8_t first = input->data[0];
    if (first < 0x40 || first > 0x5a)
        return eid_fail(EID_ERR_WRONG_TYPE, "The stream holds something else than frames");
    size_t width = first < 0x58 ? 0 : (size_t)1 << (first - 0x58);
    if (input->len < 1 + width)
        return EID_OK;
    size_t len = width == 0 ? (size_t)first - 0x40 : 0;
    for (size_t i = 0; i < width; i++)
        len = len << 8 | input->data[1 + i];
    if (width > 0 && (width == 1 ? len < 24 : len >> 4 * width == 0))
        return eid_fail(EID_ERR_WRONG_TYPE, "The length of a frame is written longer than needed");
    if (len > EID_LIMIT_STREAM_FRAME)
        return eid_fail(EID_ERR_LIMIT, "A frame of %zu bytes is larger than any entry", len);
    if (input->len - 1 - width < len)
        return EID_OK;
    *content = eid_slice_of(input->data + 1 + width, len);
    *input = eid_slice_of(input->data + 1 + width + len, input->len - 1 - width - len);
    *found = true;
    return EID_OK;
}

bool eid_frame_is_entry(eid_slice content)
{
    return content.len > 0 && content.data[0] >> 5 == 5;
}

static void write_message(eid_buf *out, eid_buf *message)
{
    if (message->status == EID_OK)
        eid_frame_write(out, eid_buf_slice(message));
    else if (out->status == EID_OK)
        out->status = message->status;
    eid_buf_free(message);
}

static eid_status fail_shape(const char *what)
{
    return eid_fail(EID_ERR_WRONG_TYPE, "The stream has %s that is none", what);
}

/* ---- Pieces ---- */

static eid_status read_uint(eid_cbor *reader, uint64_t *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_UINT, "a number", &item));
    *out = item.number;
    return EID_OK;
}

static eid_status read_bool(eid_cbor *reader, bool *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_next(reader, &item));
    if (item.kind != EID_CBOR_TRUE && item.kind != EID_CBOR_FALSE)
        return fail_shape("a yes or no");
    *out = item.kind == EID_CBOR_TRUE;
    return EID_OK;
}

/* Of exactly so many bytes. */
static eid_status read_fixed(eid_cbor *reader, size_t len, const uint8_t **out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_BYTES, "a byte string", &item));
    if (item.bytes.len != len)
        return fail_shape("a byte string of a length");
    *out = item.bytes.data;
    return EID_OK;
}

static eid_status read_key(eid_cbor *reader, eid_pubkey *out)
{
    const uint8_t *bytes;
    EID_TRY(read_fixed(reader, sizeof out->bytes, &bytes));
    memcpy(out->bytes, bytes, sizeof out->bytes);
    return EID_OK;
}

static eid_status read_head(eid_cbor *reader, uint64_t items, const char *what)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, what, &item));
    return item.number == items ? EID_OK : fail_shape(what);
}

static eid_status read_ids(eid_cbor *reader, size_t most, eid_id **out, size_t *count)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "a list of entries", &item));
    if (item.number > most)
        return eid_fail(EID_ERR_LIMIT, "The stream names more than %zu entries at a time", most);
    size_t wanted = (size_t)item.number;
    eid_id *ids = eid_alloc_zero(wanted + 1, sizeof *ids);
    eid_status status = ids == NULL ? eid_fail_memory() : EID_OK;
    for (size_t i = 0; i < wanted && status == EID_OK; i++) {
        status = eid_cbor_expect(reader, EID_CBOR_ID, "an entry's ID", &item);
        if (status == EID_OK)
            ids[i] = item.id;
    }
    if (status != EID_OK) {
        eid_free(ids);
        return status;
    }
    *out = ids;
    *count = wanted;
    return EID_OK;
}

/* ---- Requests ---- */

static void write_proof(eid_buf *out, const eid_stream_request *request)
{
    const eid_request_proof *proof = &request->proof;
    if (!request->has_proof) {
        eid_cbor_write_null(out);
        return;
    }
    eid_cbor_write_array(out, 4);
    eid_cbor_write_bytes(out, proof->key.bytes, sizeof proof->key.bytes);
    eid_cbor_write_uint(out, proof->timestamp_ms);
    eid_cbor_write_bytes(out, proof->nonce, proof->nonce_len);
    eid_cbor_write_bytes(out, proof->signature, proof->signature_len);
}

void eid_stream_request_write(eid_buf *out, const eid_stream_request *request)
{
    eid_buf head;
    eid_buf_init(&head, 4096);
    eid_cbor_write_array(&head, 5);
    eid_cbor_write_uint(&head, EID_STREAM_VERSION);
    eid_cbor_write_uint(&head, request->kind);
    eid_cbor_write_id(&head, &request->database);
    eid_cbor_write_bytes(&head, request->device.bytes, sizeof request->device.bytes);
    write_proof(&head, request);
    write_message(out, &head);
    if (request->kind != EID_STREAM_PUSH)
        eid_frame_write(out, request->question_bytes);
}

static void write_pull(eid_buf *out, const eid_stream_question *question)
{
    eid_cbor_write_array(out, 5);
    eid_cbor_write_uint(out, question->count);
    eid_cbor_write_bytes(out, question->tips_digest, sizeof question->tips_digest);
    eid_cbor_write_bool(out, question->anyway);
    if (question->has_permission) {
        eid_cbor_write_array(out, 2);
        eid_cbor_write_uint(out, question->permission.kind);
        eid_cbor_write_uint(out, question->permission.priority);
    } else {
        eid_cbor_write_null(out);
    }
    eid_cbor_write_array(out, question->have_count);
    for (size_t i = 0; i < question->have_count; i++)
        eid_cbor_write_id(out, &question->have[i]);
}

static void write_list(eid_buf *out, const eid_stream_question *question)
{
    eid_cbor_write_array(out, question->held_count);
    for (size_t i = 0; i < question->held_count; i++) {
        eid_cbor_write_array(out, 2);
        eid_cbor_write_uint(out, question->held[i].bucket);
        eid_cbor_write_bytes(out, question->held[i].digests.data, question->held[i].digests.len);
    }
}

void eid_stream_question_write(eid_buf *out, eid_stream_kind kind, const eid_stream_question *question)
{
    if (kind == EID_STREAM_PULL) {
        write_pull(out, question);
    } else if (kind == EID_STREAM_COMPARE) {
        eid_cbor_write_array(out, 1);
        eid_cbor_write_bytes(out, question->prints, sizeof question->prints);
    } else if (kind == EID_STREAM_LIST) {
        write_list(out, question);
    }
}

static eid_status copy_bytes(eid_cbor *reader, size_t most, uint8_t **out, size_t *len)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_BYTES, "a byte string", &item));
    if (item.bytes.len > most)
        return fail_shape("a byte string of a length");
    *out = eid_memdup(item.bytes.data, item.bytes.len);
    *len = item.bytes.len;
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status read_proof(eid_cbor *reader, eid_stream_request *out)
{
    eid_cbor ahead = *reader;
    eid_cbor_item item;
    EID_TRY(eid_cbor_next(&ahead, &item));
    if (item.kind == EID_CBOR_NULL) {
        *reader = ahead;
        return EID_OK;
    }
    EID_TRY(read_head(reader, 4, "a proof"));
    EID_TRY(read_key(reader, &out->proof.key));
    EID_TRY(read_uint(reader, &out->proof.timestamp_ms));
    EID_TRY(copy_bytes(reader, EID_LIMIT_NONCE_BYTES, &out->proof.nonce, &out->proof.nonce_len));
    EID_TRY(copy_bytes(reader, SIGNATURE_BYTES, &out->proof.signature, &out->proof.signature_len));
    out->has_proof = true;
    return EID_OK;
}

static eid_status read_request_head(eid_slice content, eid_stream_request *out)
{
    eid_cbor reader;
    eid_cbor_item item;
    uint64_t number;
    eid_cbor_init(&reader, content, true);
    EID_TRY(eid_cbor_expect(&reader, EID_CBOR_ARRAY, "the head of a request", &item));
    EID_TRY(read_uint(&reader, &number));
    if (number != EID_STREAM_VERSION)
        return eid_fail(EID_ERR_UNSUPPORTED,
                        "The streamed form is of version %llu; version %d is spoken here",
                        (unsigned long long)number, EID_STREAM_VERSION);
    if (item.number != 5)
        return fail_shape("a head");
    EID_TRY(read_uint(&reader, &number));
    if (number < EID_STREAM_PULL || number > EID_STREAM_PUSH)
        return fail_shape("a request");
    out->kind = (eid_stream_kind)number;
    EID_TRY(eid_cbor_expect(&reader, EID_CBOR_ID, "a database's ID", &item));
    out->database = item.id;
    EID_TRY(read_key(&reader, &out->device));
    EID_TRY(read_proof(&reader, out));
    return eid_cbor_end(&reader);
}

static eid_status read_permission(eid_cbor *reader, eid_stream_question *out)
{
    eid_cbor ahead = *reader;
    eid_cbor_item item;
    uint64_t kind, priority;
    EID_TRY(eid_cbor_next(&ahead, &item));
    out->has_permission = item.kind != EID_CBOR_NULL;
    if (!out->has_permission) {
        *reader = ahead;
        return EID_OK;
    }
    EID_TRY(read_head(reader, 2, "a permission"));
    EID_TRY(read_uint(reader, &kind));
    EID_TRY(read_uint(reader, &priority));
    if (kind > EID_PERM_ADMIN || priority > UINT32_MAX)
        return fail_shape("a permission");
    out->permission = (eid_permission){(eid_permission_kind)kind, (uint32_t)priority};
    return EID_OK;
}

static eid_status read_pull(eid_cbor *reader, eid_stream_question *out)
{
    const uint8_t *digest;
    EID_TRY(read_head(reader, 5, "a pull"));
    EID_TRY(read_uint(reader, &out->count));
    EID_TRY(read_fixed(reader, sizeof out->tips_digest, &digest));
    memcpy(out->tips_digest, digest, sizeof out->tips_digest);
    EID_TRY(read_bool(reader, &out->anyway));
    EID_TRY(read_permission(reader, out));
    return read_ids(reader, EID_LIMIT_SYNC_TIPS, &out->have, &out->have_count);
}

static eid_status read_compare(eid_cbor *reader, eid_stream_question *out)
{
    const uint8_t *prints;
    EID_TRY(read_head(reader, 1, "a comparison"));
    EID_TRY(read_fixed(reader, sizeof out->prints, &prints));
    memcpy(out->prints, prints, sizeof out->prints);
    return EID_OK;
}

/* Ascending, so that one walk through both sides tells them apart. */
static bool ascends(eid_slice digests)
{
    if (digests.len % EID_SHORT_DIGEST != 0)
        return false;
    for (size_t i = EID_SHORT_DIGEST; i < digests.len; i += EID_SHORT_DIGEST)
        if (memcmp(digests.data + i - EID_SHORT_DIGEST, digests.data + i, EID_SHORT_DIGEST) >= 0)
            return false;
    return true;
}

static eid_status read_list(eid_cbor *reader, eid_stream_question *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "a list of buckets", &item));
    if (item.number > EID_LIMIT_STREAM_BUCKETS)
        return eid_fail(EID_ERR_LIMIT, "The stream asks for more than %d buckets at a time",
                        EID_LIMIT_STREAM_BUCKETS);
    out->held = eid_alloc_zero((size_t)item.number + 1, sizeof *out->held);
    if (out->held == NULL)
        return eid_fail_memory();
    for (out->held_count = 0; out->held_count < item.number; out->held_count++) {
        eid_cbor_item digests;
        uint64_t bucket;
        eid_bucket_held *held = &out->held[out->held_count];
        EID_TRY(read_head(reader, 2, "a bucket"));
        EID_TRY(read_uint(reader, &bucket));
        EID_TRY(eid_cbor_expect(reader, EID_CBOR_BYTES, "digests", &digests));
        if (bucket >= EID_BUCKETS || !ascends(digests.bytes) ||
            (out->held_count > 0 && bucket <= held[-1].bucket))
            return fail_shape("a list of buckets");
        *held = (eid_bucket_held){(uint32_t)bucket, digests.bytes};
    }
    return EID_OK;
}

static eid_status read_question(eid_stream_request *out)
{
    eid_cbor reader;
    eid_cbor_init(&reader, out->question_bytes, true);
    EID_TRY(out->kind == EID_STREAM_PULL      ? read_pull(&reader, &out->question)
            : out->kind == EID_STREAM_COMPARE ? read_compare(&reader, &out->question)
                                              : read_list(&reader, &out->question));
    return eid_cbor_end(&reader);
}

static eid_status take_frame(eid_slice *input, eid_slice *content)
{
    bool found;
    EID_TRY(eid_frame_next(input, content, &found));
    return found ? EID_OK : eid_fail(EID_ERR_TRUNCATED, "The stream ends inside a frame");
}

static eid_status read_request(eid_slice body, eid_stream_request *out)
{
    eid_slice head;
    EID_TRY(take_frame(&body, &head));
    EID_TRY(read_request_head(head, out));
    if (out->kind != EID_STREAM_PUSH) {
        EID_TRY(take_frame(&body, &out->question_bytes));
        EID_TRY(read_question(out));
        if (body.len != 0)
            return eid_fail(EID_ERR_TRAILING_DATA, "The stream goes on behind the question");
    }
    out->rest = body;
    return EID_OK;
}

eid_status eid_stream_request_read(eid_slice body, eid_stream_request *out)
{
    memset(out, 0, sizeof *out);
    eid_status status = read_request(body, out);
    if (status != EID_OK)
        eid_stream_request_free(out);
    return status;
}

void eid_stream_request_free(eid_stream_request *request)
{
    eid_free(request->proof.nonce);
    eid_free(request->proof.signature);
    eid_free(request->question.have);
    eid_free(request->question.held);
    memset(request, 0, sizeof *request);
}

/* ---- Answers ---- */

static void begin_message(eid_buf *message, eid_stream_message_kind kind, size_t items)
{
    eid_buf_init(message, EID_LIMIT_STREAM_FRAME);
    eid_cbor_write_array(message, items);
    eid_cbor_write_uint(message, kind);
}

void eid_stream_write_refused(eid_buf *out, const char *text)
{
    eid_buf message;
    begin_message(&message, EID_STREAM_REFUSED, 2);
    eid_cbor_write_text(&message, text);
    write_message(out, &message);
}

void eid_stream_write_state(eid_buf *out, eid_stream_verdict verdict, uint64_t entries)
{
    eid_buf message;
    begin_message(&message, EID_STREAM_STATE, 3);
    eid_cbor_write_uint(&message, verdict);
    eid_cbor_write_uint(&message, entries);
    write_message(out, &message);
}

void eid_stream_write_tips(eid_buf *out, const eid_id *tips, size_t count)
{
    for (size_t from = 0; from < count; from += TIPS_PER_MESSAGE) {
        size_t some = count - from < TIPS_PER_MESSAGE ? count - from : TIPS_PER_MESSAGE;
        eid_buf message;
        begin_message(&message, EID_STREAM_TIPS, 2);
        eid_cbor_write_array(&message, some);
        for (size_t i = 0; i < some; i++)
            eid_cbor_write_id(&message, &tips[from + i]);
        write_message(out, &message);
    }
}

void eid_stream_write_prints(eid_buf *out, uint32_t group, const eid_bucket *buckets)
{
    uint8_t prints[EID_STREAM_GROUPS][EID_STREAM_PRINT];
    eid_buf message;
    for (size_t i = 0; i < EID_STREAM_GROUPS; i++)
        eid_stream_print(&buckets[i], 1, prints[i]);
    begin_message(&message, EID_STREAM_PRINTS, 3);
    eid_cbor_write_uint(&message, group);
    eid_cbor_write_bytes(&message, prints, sizeof prints);
    write_message(out, &message);
}

void eid_stream_write_end(eid_buf *out, uint64_t entries)
{
    eid_buf message;
    begin_message(&message, EID_STREAM_END, 2);
    eid_cbor_write_uint(&message, entries);
    write_message(out, &message);
}

static eid_status read_state(eid_cbor *reader, eid_stream_message *out)
{
    uint64_t verdict;
    EID_TRY(read_uint(reader, &verdict));
    if (verdict > EID_STREAM_UNSURE)
        return fail_shape("a state");
    out->verdict = (eid_stream_verdict)verdict;
    return read_uint(reader, &out->entries);
}

static eid_status read_prints(eid_cbor *reader, eid_stream_message *out)
{
    uint64_t group;
    EID_TRY(read_uint(reader, &group));
    if (group >= EID_STREAM_GROUPS)
        return fail_shape("a group");
    out->group = (uint32_t)group;
    return read_fixed(reader, EID_STREAM_GROUPS * EID_STREAM_PRINT, &out->prints);
}

static eid_status read_text(eid_cbor *reader, eid_slice *out)
{
    eid_cbor_item item;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_TEXT, "a sentence", &item));
    *out = item.bytes;
    return EID_OK;
}

static eid_status read_message(eid_cbor *reader, eid_stream_message *out)
{
    static const uint64_t items[] = {0, 2, 3, 2, 3, 2};
    eid_cbor_item item;
    uint64_t kind;
    EID_TRY(eid_cbor_expect(reader, EID_CBOR_ARRAY, "a message", &item));
    EID_TRY(read_uint(reader, &kind));
    if (kind < EID_STREAM_REFUSED || kind > EID_STREAM_END || item.number != items[kind])
        return fail_shape("a message");
    out->kind = (eid_stream_message_kind)kind;
    switch (out->kind) {
    case EID_STREAM_REFUSED:
        return read_text(reader, &out->text);
    case EID_STREAM_STATE:
        return read_state(reader, out);
    case EID_STREAM_TIPS:
        return read_ids(reader, TIPS_PER_MESSAGE, &out->tips, &out->tip_count);
    case EID_STREAM_PRINTS:
        return read_prints(reader, out);
    case EID_STREAM_END:
        return read_uint(reader, &out->entries);
    }
    return fail_shape("a message");
}

eid_status eid_stream_message_read(eid_slice content, eid_stream_message *out)
{
    eid_cbor reader;
    eid_stream_message message = {.kind = EID_STREAM_END};
    eid_cbor_init(&reader, content, true);
    eid_status status = read_message(&reader, &message);
    if (status == EID_OK)
        status = eid_cbor_end(&reader);
    if (status != EID_OK) {
        eid_free(message.tips);
        return status;
    }
    *out = message;
    return EID_OK;
}

/* ---- Digests ---- */

void eid_stream_digest_tips(const eid_id *tips, size_t count, uint8_t out[EID_STREAM_DIGEST])
{
    eid_blake3 hasher;
    eid_blake3_init(&hasher);
    for (size_t i = 0; i < count; i++)
        eid_blake3_update(&hasher, tips[i].bytes, tips[i].len);
    eid_blake3_final(&hasher, out);
}

void eid_stream_print(const eid_bucket *buckets, size_t count, uint8_t out[EID_STREAM_PRINT])
{
    eid_bucket sum = {0};
    uint8_t digest[32], bytes[40]; /* the count, then the sum, big endian */
    for (size_t i = 0; i < count; i++)
        eid_bucket_add(&sum, &buckets[i]);
    for (size_t i = 0; i < sizeof bytes; i++) {
        uint64_t limb = i < 8 ? sum.count : sum.sum[3 - (i / 8 - 1)];
        bytes[i] = (uint8_t)(limb >> (56 - 8 * (i % 8)));
    }
    eid_blake3_hash(bytes, sizeof bytes, digest);
    memcpy(out, digest, EID_STREAM_PRINT);
}
