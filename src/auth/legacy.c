/* SPDX-License-Identifier: Apache-2.0 */
/* The older form of access rules, which settings of a new database may be written in: records by name, each naming its
 * public key, with permissions as {"Write":10}; and "*" for everybody. */
#include "auth/auth_int.h"

#include "base/alloc.h"
#include "crypto/key.h"

#define EVERYBODY "*"

typedef struct legacy_record {
    eid_permission permission;
    eid_key_status status;
    eid_pubkey key;
    bool is_global;
} legacy_record;

static eid_status wrong(eid_slice name, const char *reason)
{
    return eid_fail(EID_ERR_CORRUPTED_AUTH, "the record \"%.*s\" of \"auth\" %s", name.len < 64 ? (int)name.len : 64,
                    (const char *)name.data, reason);
}

static bool read_priority(const eid_doc *doc, const char *kind, uint32_t *out)
{
    int64_t number;

    if (eid_doc_get_int(doc, kind, &number) != EID_OK || number < 0 || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* "Read", {"Read":null}, {"Write":10}, {"Admin":1}. */
static bool read_permission(const eid_value *value, eid_permission *out)
{
    eid_permission permission = {EID_PERM_READ, 0};
    const eid_doc *doc;
    const char *text;
    size_t len;

    if (eid_value_as_text(value, &text, &len) == EID_OK) {
        *out = permission;
        return eid_slice_is(eid_slice_of(text, len), "Read");
    }
    if (eid_value_as_doc(value, &doc) != EID_OK || eid_doc_len(doc) != 1)
        return false;
    if (read_priority(doc, "Write", &permission.priority))
        permission.kind = EID_PERM_WRITE;
    else if (read_priority(doc, "Admin", &permission.priority))
        permission.kind = EID_PERM_ADMIN;
    else if (!eid_doc_contains(doc, "Read"))
        return false;
    *out = permission;
    return true;
}

static bool read_status(const eid_doc *doc, eid_key_status *out)
{
    const char *text;
    size_t len;

    *out = EID_KEY_ACTIVE;
    if (!eid_doc_contains(doc, "status"))
        return true;
    if (eid_doc_get_text(doc, "status", &text, &len) != EID_OK)
        return false;
    if (eid_slice_is(eid_slice_of(text, len), "Revoked"))
        *out = EID_KEY_REVOKED;
    return *out == EID_KEY_REVOKED || eid_slice_is(eid_slice_of(text, len), "Active");
}

static eid_status read_record(eid_slice name, const eid_value *value, legacy_record *out)
{
    const eid_value *permissions;
    const eid_doc *doc;
    const char *text;
    size_t len;

    if (eid_value_as_doc(value, &doc) != EID_OK || eid_doc_get_text(doc, "pubkey", &text, &len) != EID_OK)
        return wrong(name, "names no public key (\"pubkey\")");
    out->is_global = eid_slice_is(name, EVERYBODY) && eid_slice_is(eid_slice_of(text, len), EVERYBODY);
    if (!out->is_global && eid_pubkey_parse_slice(eid_slice_of(text, len), &out->key) != EID_OK)
        return wrong(name, "has a \"pubkey\" that is no public key");
    if (eid_doc_get(doc, "permissions", &permissions) != EID_OK || !read_permission(permissions, &out->permission))
        return wrong(name, "has no readable \"permissions\", such as {\"Write\":10}");
    if (!read_status(doc, &out->status))
        return wrong(name, "has a \"status\" that is neither Active nor Revoked");
    return EID_OK;
}

static eid_status put_record(eid_slice name, const legacy_record *record, eid_doc *auth)
{
    char path[sizeof "keys." + EID_PUBKEY_TEXT_SIZE] = "global";
    eid_doc *doc = NULL;

    if (!record->is_global) {
        char key[EID_PUBKEY_TEXT_SIZE];
        eid_pubkey_format(&record->key, key);
        memcpy(path, "keys.", sizeof "keys.");
        memcpy(path + strlen("keys."), key, sizeof key);
    }
    if (eid_doc_contains(auth, path))
        return wrong(name, "names a public key that another record names too");
    EID_TRY(eid_auth_key_to_doc(NULL, record->permission, record->status, &doc));
    eid_status status = EID_OK;
    if (!record->is_global)
        status = eid_doc_set_text(doc, "name", (const char *)name.data, name.len);
    if (status == EID_OK)
        status = eid_doc_set_doc(auth, path, doc);
    eid_doc_free(doc);
    return status;
}

static eid_status convert(const eid_doc *legacy, eid_doc *auth)
{
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *text;
    size_t len;

    while (eid_doc_next(legacy, &cursor, &text, &len, &value)) {
        eid_slice name = eid_slice_of(text, len);
        legacy_record record;
        EID_TRY(read_record(name, value, &record));
        EID_TRY(put_record(name, &record, auth));
    }
    return EID_OK;
}

eid_status eid_auth_convert_legacy(const eid_doc *settings, eid_doc **out)
{
    eid_doc *copy = NULL, *auth = NULL;
    const eid_doc *legacy;
    eid_status status;

    if (!eid_doc_contains(settings, "auth"))
        return eid_doc_copy(settings, out);
    if (eid_doc_get_doc(settings, "auth", &legacy) != EID_OK)
        return eid_fail(EID_ERR_CORRUPTED_AUTH, "the \"auth\" of the settings is not a document");
    EID_TRY_GOTO(status, eid_doc_new(&auth), done);
    EID_TRY_GOTO(status, convert(legacy, auth), done);
    EID_TRY_GOTO(status, eid_doc_copy(settings, &copy), done);
    EID_TRY_GOTO(status, eid_doc_set_doc(copy, "auth", auth), done);
    *out = copy;
    copy = NULL;
done:
    eid_doc_free(auth);
    eid_doc_free(copy);
    return status;
}
