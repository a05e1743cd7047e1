/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: entries and signature keys in the field order of the wire, and metadata. */
#include <string.h>

#include "base/alloc.h"
#include "entry/entry_int.h"

/* A control character in a name takes six characters, a payload byte up to four, an ID less than twice its
 * bytes. */
#define JSON_GROWTH 8u

/* The text of an ID needs no escaping. */
static void write_id(eid_buf *buf, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    eid_buf_append_byte(buf, '"');
    eid_buf_append_text(buf, text);
    eid_buf_append_byte(buf, '"');
}

static void write_ids(eid_buf *buf, const eid_id *ids, size_t count)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            eid_buf_append_byte(buf, ',');
        write_id(buf, &ids[i]);
    }
    eid_buf_append_byte(buf, ']');
}

static void write_hint(eid_buf *buf, const eid_key_hint *hint)
{
    const char *before = "";
    eid_buf_append_byte(buf, '{');
    if (hint->has_pubkey) {
        char text[EID_PUBKEY_TEXT_SIZE];
        eid_pubkey_format(&hint->pubkey, text);
        eid_buf_append_text(buf, "\"pubkey\":");
        eid_json_write_cstr(buf, text);
        before = ",";
    }
    if (hint->name != NULL) {
        eid_buf_append_text(buf, before);
        eid_buf_append_text(buf, "\"name\":");
        eid_json_write_text(buf, eid_slice_of(hint->name, hint->name_len));
        before = ",";
    }
    if (hint->is_global) {
        eid_buf_append_text(buf, before);
        eid_buf_append_text(buf, "\"is_global\":true");
    }
    eid_buf_append_byte(buf, '}');
}

void eid_sigkey_write_json(eid_buf *buf, const eid_sigkey *sigkey)
{
    eid_buf_append_text(buf, sigkey->is_delegation ? "{\"Delegation\":{\"path\":[" : "{\"Direct\":{");
    if (sigkey->is_delegation) {
        for (size_t i = 0; i < sigkey->path_count; i++) {
            const eid_delegation_step *step = &sigkey->path[i];
            eid_buf_append_text(buf, i > 0 ? ",{\"tree\":" : "{\"tree\":");
            write_id(buf, &step->tree);
            eid_buf_append_text(buf, ",\"tips\":");
            write_ids(buf, step->tips, step->tip_count);
            eid_buf_append_byte(buf, '}');
        }
        eid_buf_append_text(buf, "],");
    }
    eid_buf_append_text(buf, "\"hint\":");
    write_hint(buf, &sigkey->hint);
    eid_buf_append_text(buf, "}}");
}

static void write_tree(eid_buf *buf, const eid_entry *entry)
{
    eid_buf_append_byte(buf, '{');
    if (entry->has_root) {
        eid_buf_append_text(buf, "\"root\":");
        write_id(buf, &entry->root);
        eid_buf_append_byte(buf, ',');
    }
    eid_buf_append_text(buf, "\"parents\":");
    write_ids(buf, entry->parents, entry->parent_count);
    if (entry->has_metadata) {
        eid_buf_append_text(buf, ",\"metadata\":");
        eid_json_write_bytes(buf, eid_slice_of(entry->metadata, entry->metadata_len));
    }
    if (entry->height != 0) {
        eid_buf_append_text(buf, ",\"h\":");
        eid_json_write_u64(buf, entry->height);
    }
    eid_buf_append_byte(buf, '}');
}

static void write_subtree(eid_buf *buf, const eid_subtree *subtree)
{
    eid_buf_append_text(buf, "{\"name\":");
    eid_json_write_text(buf, eid_slice_of(subtree->name, subtree->name_len));
    eid_buf_append_text(buf, ",\"parents\":");
    write_ids(buf, subtree->parents, subtree->parent_count);
    if (subtree->has_data) {
        eid_buf_append_text(buf, ",\"data\":");
        eid_json_write_bytes(buf, eid_slice_of(subtree->data, subtree->data_len));
    }
    if (subtree->has_height) {
        eid_buf_append_text(buf, ",\"h\":");
        eid_json_write_u64(buf, subtree->height);
    }
    eid_buf_append_byte(buf, '}');
}

void eid_entry_write_json(eid_buf *buf, const eid_entry *entry)
{
    eid_buf_append_text(buf, "{\"tree\":");
    write_tree(buf, entry);
    eid_buf_append_text(buf, ",\"subtrees\":[");
    for (size_t i = 0; i < entry->subtree_count; i++) {
        if (i > 0)
            eid_buf_append_byte(buf, ',');
        write_subtree(buf, &entry->subtrees[i]);
    }
    eid_buf_append_text(buf, "],\"sig\":{");
    if (entry->signature != NULL) {
        eid_buf_append_text(buf, "\"sig\":");
        eid_json_write_text(buf, eid_slice_of(entry->signature, entry->signature_len));
        eid_buf_append_byte(buf, ',');
    }
    eid_buf_append_text(buf, "\"key\":");
    eid_sigkey_write_json(buf, &entry->sigkey);
    eid_buf_append_text(buf, "}}");
}

eid_status eid_entry_to_json(const eid_entry *entry, char **text, size_t *len)
{
    EID_NEED(entry && text);
    eid_buf buf;
    eid_buf_init(&buf, JSON_GROWTH * EID_LIMIT_ENTRY_BYTES);
    eid_entry_write_json(&buf, entry);
    uint8_t *data;
    EID_TRY(eid_buf_take(&buf, &data, len));
    *text = (char *)data;
    return EID_OK;
}

void eid_entry_pin_free(eid_entry_pin *pin)
{
    eid_free(pin->tips);
    memset(pin, 0, sizeof *pin);
}

void eid_metadata_write(eid_buf *buf, const eid_id *tips, size_t tip_count, const uint64_t *entropy_or_null)
{
    eid_buf_append_text(buf, "{\"settings_tips\":");
    write_ids(buf, tips, tip_count);
    eid_buf_append_text(buf, ",\"entropy\":");
    if (entropy_or_null != NULL)
        eid_json_write_u64(buf, *entropy_or_null);
    else
        eid_buf_append_text(buf, "null");
    eid_buf_append_byte(buf, '}');
}
