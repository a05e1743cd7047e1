/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of JSON records. */
#include "instance/fields_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"

eid_status eid_fields_begin(eid_fields *fields, eid_json *reader, const char *what, const char *const *names)
{
    fields->reader = reader;
    fields->names = names;
    fields->what = what;
    fields->seen = 0;
    return eid_json_begin_object(reader, what);
}

static int index_of(const eid_fields *fields, eid_slice key)
{
    for (int i = 0; fields->names[i] != NULL; i++) {
        if (eid_slice_is(key, fields->names[i]))
            return i;
    }
    return -1;
}

eid_status eid_fields_next(eid_fields *fields, int *index)
{
    eid_slice key;
    bool more;

    for (;;) {
        EID_TRY(eid_json_next_key(fields->reader, &key, &more));
        if (!more) {
            *index = -1;
            return EID_OK;
        }
        int found = index_of(fields, key);
        if (found < 0) {
            EID_TRY(eid_json_skip(fields->reader));
            continue;
        }
        if (eid_fields_seen(fields, found))
            return eid_fail(EID_ERR_DUPLICATE_KEY, "the %s names \"%s\" twice", fields->what,
                            fields->names[found]);
        fields->seen |= UINT32_C(1) << found;
        *index = found;
        return EID_OK;
    }
}

bool eid_fields_seen(const eid_fields *fields, int index)
{
    return (fields->seen >> index & 1) != 0;
}

eid_status eid_fields_need(const eid_fields *fields, int count)
{
    for (int i = 0; i < count; i++) {
        if (!eid_fields_seen(fields, i))
            return eid_fail(EID_ERR_MISSING_FIELD, "the %s has no \"%s\"", fields->what, fields->names[i]);
    }
    return EID_OK;
}

/* ---- Values ---- */

eid_status eid_read_string(eid_json *reader, const char *what, char **out)
{
    eid_slice text;
    char *copy;

    EID_TRY(eid_json_read_text(reader, what, &text));
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
        return eid_fail(EID_ERR_SYNTAX, "the text of \"%s\" holds a zero byte", what);
    copy = eid_memdup(text.data, text.len);
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

eid_status eid_read_string_or_null(eid_json *reader, const char *what, char **out)
{
    bool was_null;

    EID_TRY(eid_json_read_null(reader, &was_null));
    if (!was_null)
        return eid_read_string(reader, what, out);
    *out = NULL;
    return EID_OK;
}

eid_status eid_read_id(eid_json *reader, const char *what, eid_id *out)
{
    eid_slice text;

    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_id_parse_slice(text, out);
}

eid_status eid_read_pubkey(eid_json *reader, const char *what, eid_pubkey *out)
{
    eid_slice text;

    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_pubkey_parse_slice(text, out);
}

/* ---- Writing ---- */

void eid_write_id(eid_buf *buf, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(id, text);
    eid_json_write_cstr(buf, text);
}

void eid_write_pubkey(eid_buf *buf, const eid_pubkey *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(key, text);
    eid_json_write_cstr(buf, text);
}

void eid_write_string_or_null(eid_buf *buf, const char *text)
{
    if (text == NULL)
        eid_buf_append_text(buf, "null");
    else
        eid_json_write_cstr(buf, text);
}

void eid_write_bool(eid_buf *buf, bool value)
{
    eid_buf_append_text(buf, value ? "true" : "false");
}
