/* SPDX-License-Identifier: Apache-2.0 */
/* Docs: one level of children under exact keys. Paths are in path.c. */
#include "crdt/crdt_int.h"

#include "base/alloc.h"
#include "base/utf8.h"

eid_status eid_doc_new(eid_doc **out)
{
    EID_NEED(out);
    eid_doc *doc = eid_alloc_zero(1, sizeof *doc);
    if (doc == NULL)
        return eid_fail_memory();
    *out = doc;
    return EID_OK;
}

eid_status eid_doc_new_atomic(eid_doc **out)
{
    EID_NEED(out);
    eid_doc *doc = NULL;
    EID_TRY(eid_doc_new(&doc));
    doc->atomic = true;
    *out = doc;
    return EID_OK;
}

eid_status eid_doc_copy(const eid_doc *doc, eid_doc **out)
{
    EID_NEED(doc && out);
    eid_doc *copy = NULL;
    EID_TRY(eid_doc_new(&copy));
    eid_status status = eid_doc_copy_into(doc, copy);
    if (status != EID_OK) {
        eid_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

void eid_doc_free(eid_doc *doc)
{
    if (doc == NULL)
        return;
    eid_doc_clear(doc);
    eid_free(doc);
}

bool eid_doc_is_atomic(const eid_doc *doc)
{
    return doc->atomic;
}

void eid_doc_set_atomic(eid_doc *doc, bool atomic)
{
    doc->atomic = atomic;
}

size_t eid_doc_len(const eid_doc *doc)
{
    return doc->live;
}

bool eid_doc_is_empty(const eid_doc *doc)
{
    return doc->live == 0;
}

/* ---- Children ---- */

eid_status eid_doc_entry(eid_doc *doc, eid_slice key, eid_map_entry **out, bool *created)
{
    if (doc->children == NULL)
        EID_TRY(eid_map_new(&doc->children));
    return eid_map_put(doc->children, key, out, created);
}

eid_value *eid_doc_place(eid_doc *doc, eid_map_entry *entry, eid_value *value)
{
    eid_value *before = entry->value;
    doc->live += (size_t)eid_value_is_live(value);
    doc->live -= (size_t)eid_value_is_live(before);
    entry->value = value;
    return before;
}

eid_status eid_doc_attach(eid_doc *doc, eid_slice key, eid_value *value)
{
    eid_map_entry *entry;
    EID_TRY(eid_doc_entry(doc, key, &entry, NULL));
    eid_value_free(eid_doc_place(doc, entry, value));
    return EID_OK;
}

const eid_value *eid_doc_child(const eid_doc *doc, eid_slice key)
{
    return doc->children == NULL ? NULL : eid_map_get(doc->children, key);
}

eid_status eid_doc_put_child(eid_doc *doc, eid_slice key, eid_value *value)
{
    if (!eid_utf8_valid(key))
        return eid_fail(EID_ERR_UTF8, "a key of a document must be valid UTF-8");
    EID_TRY(eid_check_depth(EID_CONTAINERS_ROOT, eid_value_containers(value)));
    return eid_doc_attach(doc, key, value);
}

eid_value *eid_doc_take_child(eid_doc *doc, eid_slice key)
{
    if (doc->children == NULL)
        return NULL;
    eid_value *value = eid_map_remove(doc->children, key);
    doc->live -= (size_t)eid_value_is_live(value);
    return value;
}

size_t eid_doc_child_count(const eid_doc *doc)
{
    return doc->children == NULL ? 0 : eid_map_len(doc->children);
}

/* ---- Iteration: a cursor is the map's entry under another name ---- */

bool eid_doc_next_raw(const eid_doc *doc, const eid_doc_cursor **cursor, const char **key, size_t *key_len,
                      const eid_value **value)
{
    if (doc->children == NULL)
        return false;
    const eid_map_entry *at = (const eid_map_entry *)*cursor;
    at = at == NULL ? eid_map_first(doc->children) : eid_map_next(doc->children, at);
    if (at == NULL)
        return false;
    *cursor = (const eid_doc_cursor *)at;
    *key = (const char *)at->key.data;
    *key_len = at->key.len;
    *value = at->value;
    return true;
}

bool eid_doc_next(const eid_doc *doc, const eid_doc_cursor **cursor, const char **key, size_t *key_len,
                  const eid_value **value)
{
    while (eid_doc_next_raw(doc, cursor, key, key_len, value))
        if (eid_value_is_live(*value))
            return true;
    return false;
}
