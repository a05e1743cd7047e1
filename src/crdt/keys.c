/* SPDX-License-Identifier: Apache-2.0 */
/* Exact keys, for documents whose keys hold dots, and paths made from parts. */
#include "crdt/crdt_int.h"

#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

eid_status eid_doc_get_key(const eid_doc *doc, const char *key, size_t len, const eid_value **out)
{
    EID_NEED(doc && (key || len == 0) && out);
    eid_slice name = eid_slice_of(key, len);
    const eid_value *found = eid_doc_child(doc, name);
    if (!eid_value_is_live(found))
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the document has no key \"%.*s\"",
                        (int)eid_utf8_cut(name, 200), key);
    *out = found;
    return EID_OK;
}

eid_status eid_doc_set_key(eid_doc *doc, const char *key, size_t len, const eid_value *value)
{
    EID_NEED(doc && (key || len == 0) && value);
    eid_value *copy = NULL;
    EID_TRY(eid_value_copy(value, &copy));
    eid_status status = eid_doc_put_child(doc, eid_slice_of(key, len), copy);
    if (status != EID_OK)
        eid_value_free(copy);
    return status;
}

eid_status eid_doc_remove_key(eid_doc *doc, const char *key, size_t len)
{
    EID_NEED(doc && (key || len == 0));
    eid_value *tombstone = NULL;
    EID_TRY(eid_value_new_deleted(&tombstone));
    eid_status status = eid_doc_put_child(doc, eid_slice_of(key, len), tombstone);
    if (status != EID_OK)
        eid_value_free(tombstone);
    return status;
}

/* ---- Paths ---- */

static eid_status check_component(const char *component)
{
    eid_slice text = eid_slice_text(component);
    if (text.len == 0)
        return eid_fail(EID_ERR_INVALID_PATH, "an empty key can not be part of a path");
    if (memchr(text.data, '.', text.len) != NULL)
        return eid_fail(
            EID_ERR_INVALID_PATH,
            "the key \"%.*s\" holds a dot and can not be part of a path; use the functions for exact keys",
            (int)eid_utf8_cut(text, 200), component);
    if (!eid_utf8_valid(text))
        return eid_fail(EID_ERR_UTF8, "a key of a document must be valid UTF-8");
    return EID_OK;
}

eid_status eid_path_join(const char *const *components, size_t count, char **out)
{
    EID_NEED((components || count == 0) && out);
    if (count == 0)
        return eid_fail(EID_ERR_INVALID_PATH, "a path needs at least one key");
    if (count > EID_LIMIT_DOC_PATH)
        return eid_fail(EID_ERR_DEPTH,
                        "a path of %zu components is too deep to be read back; %d are possible", count,
                        EID_LIMIT_DOC_PATH);
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        eid_status status = check_component(components[i]);
        if (status != EID_OK) {
            eid_buf_free(&buf);
            return status;
        }
        if (i > 0)
            eid_buf_append_byte(&buf, '.');
        eid_buf_append_text(&buf, components[i]);
    }
    return eid_buf_take_text(&buf, out);
}
