/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259): a pull reader that never builds a tree, and a writer.
 *
 * The reader walks lent bytes with an explicit stack of at most EID_LIMIT_JSON_DEPTH containers. Integers stay
 * exact over the whole range of 64 bits; arrays of numbers that stand for bytes are read straight into bytes.
 * Grammar is checked completely (escapes, surrogate pairs, UTF-8, no leading zeros, no trailing commas).
 */
#ifndef EID_CODEC_JSON_H
#define EID_CODEC_JSON_H

#include "base/buf.h"
#include "base/limits.h"

typedef enum eid_json_token {
    EID_JSON_NULL,
    EID_JSON_FALSE,
    EID_JSON_TRUE,
    EID_JSON_NUMBER,       /* reader->text is the number as written */
    EID_JSON_STRING,       /* reader->text is the decoded text */
    EID_JSON_KEY,          /* reader->text is the decoded member name; its value follows */
    EID_JSON_BEGIN_ARRAY,
    EID_JSON_END_ARRAY,
    EID_JSON_BEGIN_OBJECT,
    EID_JSON_END_OBJECT,
    EID_JSON_END           /* the document is complete and nothing but white space follows */
} eid_json_token;

typedef struct eid_json {
    eid_slice input;                       /* the whole document */
    size_t at;                             /* next byte to read */
    eid_slice text;                        /* of the last NUMBER, STRING or KEY; lent until the next call */
    eid_buf scratch;                       /* decoded form of strings with escapes */
    size_t depth;                          /* open containers */
    uint8_t stack[EID_LIMIT_JSON_DEPTH + 1]; /* what each open container is and expects next */
    uint8_t state;                         /* where in the grammar the reader stands */
    bool peeked;                           /* `token` was read ahead by eid_json_peek */
    eid_json_token token;
} eid_json;

void eid_json_init(eid_json *reader, eid_slice input);
void eid_json_free(eid_json *reader);

/* Reads one token. EID_ERR_SYNTAX, EID_ERR_UTF8, EID_ERR_TRUNCATED, EID_ERR_DEPTH, EID_ERR_TRAILING_DATA; the
 * sentence tells the byte offset. After END every further call gives END. */
eid_status eid_json_next(eid_json *reader, eid_json_token *out);
/* The next token without consuming it. */
eid_status eid_json_peek(eid_json *reader, eid_json_token *out);
/* Consumes one token that must be `token`; `what` names the field in the error (EID_ERR_WRONG_TYPE). */
eid_status eid_json_expect(eid_json *reader, eid_json_token token, const char *what);
/* Consumes one whole value, whatever it is. */
eid_status eid_json_skip(eid_json *reader);
/* Consumes the end of the document. */
eid_status eid_json_end(eid_json *reader);

/* Typed values. Integers must be written without fraction or exponent (EID_ERR_WRONG_TYPE) and fit (EID_ERR_RANGE).
 * The text lent by read_text lives until the next call on the reader. */
eid_status eid_json_read_text(eid_json *reader, const char *what, eid_slice *out);
eid_status eid_json_read_u64(eid_json *reader, const char *what, uint64_t *out);
eid_status eid_json_read_i64(eid_json *reader, const char *what, int64_t *out);
eid_status eid_json_read_bool(eid_json *reader, const char *what, bool *out);
/* True and consumed when the next value is null; false and nothing consumed otherwise. */
eid_status eid_json_read_null(eid_json *reader, bool *was_null);
/* An array of integers 0-255, appended to `out` without going through tokens: this is the hot path of sync. */
eid_status eid_json_read_bytes(eid_json *reader, const char *what, eid_buf *out);

/* Objects: after BEGIN_OBJECT (eid_json_begin_object), call until *more is false. `key` is lent until the next call:
 * compare it before reading the value. */
eid_status eid_json_begin_object(eid_json *reader, const char *what);
eid_status eid_json_next_key(eid_json *reader, eid_slice *key, bool *more);
eid_status eid_json_begin_array(eid_json *reader, const char *what);
/* *more is true when a value stands next, false when the array ended (and its end was consumed). */
eid_status eid_json_next_item(eid_json *reader, bool *more);

/* Appends the text that stands between the quotes of a string, `inside`. EID_ERR_SYNTAX, EID_ERR_UTF8; nothing is appended
 * then. */
eid_status eid_json_unescape(eid_slice inside, eid_buf *out);

/* Writing: plain appends in compact form, escaped as crdt.md section 4 says. The caller writes punctuation. */
void eid_json_write_text(eid_buf *buf, eid_slice text);       /* quotes included; text must be UTF-8 */
void eid_json_write_cstr(eid_buf *buf, const char *text);
void eid_json_write_u64(eid_buf *buf, uint64_t value);
void eid_json_write_i64(eid_buf *buf, int64_t value);
void eid_json_write_bytes(eid_buf *buf, eid_slice bytes);     /* [1,2,255]: table-driven, the other hot path */

#endif
