/* SPDX-License-Identifier: Apache-2.0 */
/* Editors: a place of a document that paths are relative to. An editor holds no values: it reads and stages
 * like the functions of the store, at its path and the given one joined. */
#include <eidetica/editor.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "store/spot_int.h"

struct eid_editor {
    eid_txn_store *store;
    char *path; /* NULL: the whole document */
};

static eid_status editor_new(eid_txn_store *store, const char *path, eid_editor **out)
{
    eid_editor *editor = eid_alloc_zero(1, sizeof *editor);

    if (editor == NULL)
        return eid_fail_memory();
    editor->store = store;
    editor->path = path == NULL ? NULL : eid_strdup(path);
    if (path != NULL && editor->path == NULL) {
        eid_free(editor);
        return eid_fail_memory();
    }
    *out = editor;
    return EID_OK;
}

/* A part of a longer path: an empty one, or one of dots only, would silently mean the place itself. */
static eid_status check_part(const char *path)
{
    eid_slice text = eid_slice_text(path);

    if (text.len == 0 || eid_path_components(text) == 0)
        return eid_fail(EID_ERR_INVALID_PATH,
                        "the path \"%.*s\" names no key that an editor can stand at or go on from",
                        (int)eid_utf8_cut(text, 200), path);
    return EID_OK;
}

/* The place the path names from here; *joined is freed when the call is over. */
static eid_status place_of(const eid_editor *editor, const char *path, eid_spot *out, char **joined)
{
    eid_buf buf;

    *joined = NULL;
    out->store = editor->store;
    out->path = path == NULL ? editor->path : path;
    if (path == NULL || editor->path == NULL)
        return EID_OK;
    EID_TRY(check_part(path));
    eid_buf_init(&buf, SIZE_MAX / 2);
    eid_buf_append_text(&buf, editor->path);
    eid_buf_append_byte(&buf, '.');
    eid_buf_append_text(&buf, path);
    EID_TRY(eid_buf_take_text(&buf, joined));
    out->path = *joined;
    return EID_OK;
}

/* ---- Beginning and end ---- */

eid_status eid_docstore_edit(eid_txn *txn, const char *store, const char *path, eid_editor **out)
{
    EID_NEED(txn && store && out);
    eid_txn_store *opened;

    if (path != NULL)
        EID_TRY(check_part(path));
    EID_TRY(eid_txn_open_store(txn, store, EID_TYPE_DOCSTORE, &opened));
    return editor_new(opened, path, out);
}

eid_status eid_settings_edit(eid_txn *txn, const char *path, eid_editor **out)
{
    EID_NEED(txn && out);
    eid_txn_store *opened;

    if (path != NULL)
        EID_TRY(check_part(path));
    EID_TRY(eid_txn_open_store(txn, "_settings", NULL, &opened));
    return editor_new(opened, path, out);
}

eid_status eid_editor_enter(const eid_editor *editor, const char *path, eid_editor **out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    if (path != NULL)
        EID_TRY(check_part(path));
    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = editor_new(editor->store, place.path, out);
    eid_free(joined);
    return status;
}

void eid_editor_close(eid_editor *editor)
{
    if (editor == NULL)
        return;
    eid_free(editor->path);
    eid_free(editor);
}

const char *eid_editor_path(const eid_editor *editor)
{
    return editor->path;
}

/* ---- Getting ---- */

eid_status eid_editor_get(const eid_editor *editor, const char *path, eid_value **out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_bool(const eid_editor *editor, const char *path, bool *out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_bool(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_int(const eid_editor *editor, const char *path, int64_t *out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_int(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_text(const eid_editor *editor, const char *path, char **out, size_t *len)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_text(&place, out, len);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_doc(const eid_editor *editor, const char *path, eid_doc **out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_doc(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_list(const eid_editor *editor, const char *path, eid_list **out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_list(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_json(const eid_editor *editor, const char *path, char **out, size_t *len)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_json(&place, out, len);
    eid_free(joined);
    return status;
}

eid_status eid_editor_contains(const eid_editor *editor, const char *path, bool *out)
{
    EID_NEED(editor && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_contains(&place, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_scan(const eid_editor *editor, const char *path, const char *after,
                           eid_key_callback callback, void *ctx)
{
    EID_NEED(editor && callback);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_scan(&place, after, callback, ctx);
    eid_free(joined);
    return status;
}

/* ---- Setting ---- */

/* Stages a value made for this purpose; takes it, also on failure. */
static eid_status set_made(const eid_editor *editor, const char *path, eid_value *made)
{
    eid_spot place;
    char *joined;
    eid_status status = place_of(editor, path, &place, &joined);

    if (status != EID_OK) {
        eid_value_free(made);
        return status;
    }
    status = eid_spot_set_made(&place, made);
    eid_free(joined);
    return status;
}

eid_status eid_editor_set(const eid_editor *editor, const char *path, const eid_value *value)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_set(&place, value);
    eid_free(joined);
    return status;
}

eid_status eid_editor_set_null(const eid_editor *editor, const char *path)
{
    EID_NEED(editor);
    eid_value *made;

    EID_TRY(eid_value_new_null(&made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_bool(const eid_editor *editor, const char *path, bool value)
{
    EID_NEED(editor);
    eid_value *made;

    EID_TRY(eid_value_new_bool(value, &made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_int(const eid_editor *editor, const char *path, int64_t value)
{
    EID_NEED(editor);
    eid_value *made;

    EID_TRY(eid_value_new_int(value, &made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_text(const eid_editor *editor, const char *path, const char *text)
{
    EID_NEED(editor && text);
    eid_value *made;

    EID_TRY(eid_value_new_text(text, strlen(text), &made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_doc(const eid_editor *editor, const char *path, const eid_doc *value)
{
    EID_NEED(editor && value);
    eid_value *made;

    EID_TRY(eid_value_new_doc(value, &made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_list(const eid_editor *editor, const char *path, const eid_list *value)
{
    EID_NEED(editor && value);
    eid_value *made;

    EID_TRY(eid_value_new_list(value, &made));
    return set_made(editor, path, made);
}

eid_status eid_editor_set_json(const eid_editor *editor, const char *path, const char *json)
{
    EID_NEED(editor && json);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_set_json(&place, json);
    eid_free(joined);
    return status;
}

eid_status eid_editor_replace(const eid_editor *editor, const char *path, const eid_value *value)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_replace(&place, value);
    eid_free(joined);
    return status;
}

eid_status eid_editor_update(const eid_editor *editor, const char *path, const eid_value *value)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_update(&place, value);
    eid_free(joined);
    return status;
}

eid_status eid_editor_get_or_set(const eid_editor *editor, const char *path, const eid_value *initial,
                                 eid_value **out)
{
    EID_NEED(editor && initial && out);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_get_or_set(&place, initial, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_delete(const eid_editor *editor, const char *path, bool *deleted)
{
    EID_NEED(editor);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_delete(&place, deleted);
    eid_free(joined);
    return status;
}

/* ---- Lists ---- */

eid_status eid_editor_push(const eid_editor *editor, const char *path, const eid_value *value)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_insert(&place, EID_SPOT_END, value);
    eid_free(joined);
    return status;
}

eid_status eid_editor_insert(const eid_editor *editor, const char *path, size_t index, const eid_value *value)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_insert(&place, index, value);
    eid_free(joined);
    return status;
}

eid_status eid_editor_insert_after(const eid_editor *editor, const char *path,
                                   const eid_list_position *neighbour, const eid_value *value,
                                   eid_list_position *out)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_insert_beside(&place, true, neighbour, value, out);
    eid_free(joined);
    return status;
}

eid_status eid_editor_insert_before(const eid_editor *editor, const char *path,
                                    const eid_list_position *neighbour, const eid_value *value,
                                    eid_list_position *out)
{
    EID_NEED(editor && value);
    eid_spot place;
    char *joined;

    EID_TRY(place_of(editor, path, &place, &joined));
    eid_status status = eid_spot_insert_beside(&place, false, neighbour, value, out);
    eid_free(joined);
    return status;
}
