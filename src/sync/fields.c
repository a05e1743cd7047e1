/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON records member by member. */
#include "sync/fields_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"

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

eid_status eid_field_key(eid_json *reader, const char *what, eid_pubkey *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_pubkey_parse_slice(text, out);
}

eid_status eid_field_id(eid_json *reader, const char *what, eid_id *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, what, &text));
    return eid_id_parse_slice(text, out);
}

eid_status eid_make_room(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return EID_OK;
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *grown = eid_realloc_array(*items, wanted, size);
    if (grown == NULL)
        return eid_fail_memory();
    *items = grown;
    *capacity = wanted;
    return EID_OK;
}

void eid_write_key_text(eid_buf *buf, const eid_pubkey *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    eid_json_write_cstr(buf, text);
}

void eid_write_id_text(eid_buf *buf, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    eid_json_write_cstr(buf, text);
}
