/* SPDX-License-Identifier: Apache-2.0 */
/* The streamed form of the protocol, spoken between two peers of this library: its messages and their bytes (docs/protocol.md).
 *
 * A body is a sequence of frames; a frame is a CBOR byte string that holds one DAG-CBOR item: a map, which is an entry, or an
 * array, which is a message. So whoever reads knows from the first bytes of a frame how many to wait for, and needs no more
 * memory than the largest entry. Nothing is believed here beyond its shape.
 */
#ifndef EID_SYNC_STREAM_H
#define EID_SYNC_STREAM_H

#include "database/database.h"
#include "sync/message.h"
#include "sync/transport.h"

#define EID_STREAM_VERSION 1
#define EID_STREAM_GROUPS 64      /* of as many buckets each */
#define EID_STREAM_PRINT 16       /* bytes that stand for what is in a bucket, or in a group */
#define EID_STREAM_DIGEST 32

/* ---- Frames ---- */

void eid_frame_write(eid_buf *out, eid_slice content);
/* Takes the next frame off *input; its content is lent. *found false: it has not come to its end yet, and nothing is taken.
 * EID_ERR_LIMIT beyond EID_LIMIT_STREAM_FRAME, EID_ERR_WRONG_TYPE for anything but a byte string in its shortest form: both as
 * soon as its head is there. */
eid_status eid_frame_next(eid_slice *input, eid_slice *content, bool *found);
bool eid_frame_is_entry(eid_slice content);

/* ---- Requests: a head, a question (not of a push), entries (of a push) ---- */

typedef enum eid_stream_kind {
    EID_STREAM_PULL = 1, /* what I lack, by what I name */
    EID_STREAM_COMPARE,  /* where do we differ? */
    EID_STREAM_LIST,     /* what I lack in these buckets */
    EID_STREAM_PUSH      /* take these entries */
} eid_stream_kind;

typedef struct eid_stream_question {
    /* Of a pull. */
    uint64_t count;                      /* entries the asker holds */
    uint8_t tips_digest[EID_STREAM_DIGEST]; /* of all its tips */
    bool anyway;                         /* send what can not be told to be held, however much that is */
    bool has_permission;                 /* only if the key has this much */
    eid_permission permission;
    eid_id *have;                        /* entries it holds with their ancestors: all its tips, or the youngest, and others */
    size_t have_count;
    /* Of a compare. */
    uint8_t prints[EID_STREAM_GROUPS][EID_STREAM_PRINT];
    /* Of a list. */
    eid_bucket_held *held;               /* digests are lent from the body; buckets ascend */
    size_t held_count;
} eid_stream_question;

typedef struct eid_stream_request {
    eid_stream_kind kind;
    eid_id database;
    eid_pubkey device;                   /* of the asker; unproven */
    bool has_proof;
    eid_request_proof proof;             /* of a key that may read, over the question */
    eid_slice question_bytes;            /* as they came: lent from the body */
    eid_stream_question question;
    eid_slice rest;                      /* frames behind: the entries of a push */
} eid_stream_request;

/* The whole body. On failure nothing is left to free. EID_ERR_UNSUPPORTED for another version. */
eid_status eid_stream_request_read(eid_slice body, eid_stream_request *out);
void eid_stream_request_free(eid_stream_request *request); /* the members */
/* Writes the head, and the question as it is in `question_bytes`, which may be empty; failures stay in the buffer. */
void eid_stream_request_write(eid_buf *out, const eid_stream_request *request);
void eid_stream_question_write(eid_buf *out, eid_stream_kind kind, const eid_stream_question *question);

/* ---- Answers ---- */

typedef enum eid_stream_message_kind {
    EID_STREAM_REFUSED = 1, /* a sentence, and nothing behind it */
    EID_STREAM_STATE,       /* the first of every other answer */
    EID_STREAM_TIPS,        /* some of the answerer's, behind the state */
    EID_STREAM_PRINTS,      /* of the buckets of one group that differs */
    EID_STREAM_END          /* the last: nothing is missing */
} eid_stream_message_kind;

typedef enum eid_stream_verdict {
    EID_STREAM_SAME = 0,    /* we hold the same: nothing follows */
    EID_STREAM_FOLLOWS = 1, /* what you lack follows */
    EID_STREAM_UNSURE = 2   /* what you named says too little about what you lack */
} eid_stream_verdict;

typedef struct eid_stream_message {
    eid_stream_message_kind kind;
    eid_slice text;          /* of a refusal; lent */
    eid_stream_verdict verdict;
    uint64_t entries;        /* of a state: that follow; of an end: that were sent, or taken of a push */
    eid_id *tips;            /* eid_free */
    size_t tip_count;
    uint32_t group;
    const uint8_t *prints;   /* EID_STREAM_GROUPS of them; lent */
} eid_stream_message;

eid_status eid_stream_message_read(eid_slice content, eid_stream_message *out);
void eid_stream_write_refused(eid_buf *out, const char *text);
void eid_stream_write_state(eid_buf *out, eid_stream_verdict verdict, uint64_t entries);
void eid_stream_write_tips(eid_buf *out, const eid_id *tips, size_t count); /* as many messages as it takes */
void eid_stream_write_prints(eid_buf *out, uint32_t group, const eid_bucket *buckets);
void eid_stream_write_end(eid_buf *out, uint64_t entries);

/* ---- Digests ---- */

/* Over the sorted tips of a database. */
void eid_stream_digest_tips(const eid_id *tips, size_t count, uint8_t out[EID_STREAM_DIGEST]);
/* Of the sum of so many buckets. */
void eid_stream_print(const eid_bucket *buckets, size_t count, uint8_t out[EID_STREAM_PRINT]);

/* ---- stream_serve.c ---- */

/* The answer to a body of the streamed form, as an eid_request_handler. */
eid_handle_result eid_stream_handle(eid_slice body, const eid_request_origin *origin, eid_buf *answer, eid_source **rest,
                                    void *ctx);

#endif
