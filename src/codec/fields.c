/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON records field by field. */
#include "codec/fields.h"

#include "base/alloc.h"
#include "codec/cid.h"

eid_status eid_object_next(eid_json *reader, eid_object *object, size_t *field, bool *more)
{
    for (;;) {
        eid_slice key;
        EID_TRY(eid_json_next_key(reader, &key, more));
        if (!*more)
            break;
        size_t i = 0;
        while (i < object->count && !eid_slice_is(key, object->names[i]))
            i++;
        if (i == object->count) {
            EID_TRY(eid_json_skip(reader));
            continue;
        }
        if (object->seen & EID_FIELD(i))
            return eid_fail(EID_ERR_DUPLICATE_KEY, "duplicate field `%s`", object->names[i]);
        object->seen |= EID_FIELD(i);
        *field = i;
        return EID_OK;
    }
    for (size_t i = 0; i < object->count; i++)
        if (object->required & ~object->seen & EID_FIELD(i))
            return eid_fail(EID_ERR_MISSING_FIELD, "missing field `%s`", object->names[i]);
    return EID_OK;
}

eid_status eid_field_text(eid_json *reader, const char *what, char **out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    if (text.len != 0 && memchr(text.data, 0, text.len) != NULL)
        return eid_fail(EID_ERR_WRONG_TYPE, "%s holds a zero character", what);
    char *copy = eid_memdup(text.data, text.len);
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

eid_status eid_field_text_or_null(eid_json *reader, const char *what, char **out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    if (!was_null)
        return eid_field_text(reader, what, out);
    *out = NULL;
    return EID_OK;
}

eid_status eid_field_id(eid_json *reader, const char *what, eid_id *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_id_parse_slice(text, out);
}

void eid_write_id_text(eid_buf *buf, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    eid_json_write_cstr(buf, text);
}

void eid_write_text_or_null(eid_buf *buf, const char *text)
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
