/* SPDX-License-Identifier: Apache-2.0 */
/* Permissions: their order and their three written forms (spec auth.md sections 2 and 3). */
#include "auth/auth.h"

#include <inttypes.h>
#include <stdio.h>

/* What the short words of eid_permission_parse stand for. */
#define WRITE_WORD_PRIORITY 10
#define ADMIN_WORD_PRIORITY 0

int eid_permission_compare(eid_permission a, eid_permission b)
{
    if (a.kind != b.kind)
        return a.kind < b.kind ? -1 : 1;
    if (a.kind == EID_PERM_READ || a.priority == b.priority)
        return 0;
    return a.priority > b.priority ? -1 : 1;
}

bool eid_permission_can_write(eid_permission permission)
{
    return permission.kind >= EID_PERM_WRITE;
}

bool eid_permission_can_admin(eid_permission permission)
{
    return permission.kind == EID_PERM_ADMIN;
}

/* ---- Text ---- */

void eid_permission_format(eid_permission permission, char out[EID_PERMISSION_TEXT_SIZE])
{
    if (permission.kind == EID_PERM_READ)
        snprintf(out, EID_PERMISSION_TEXT_SIZE, "read");
    else
        snprintf(out, EID_PERMISSION_TEXT_SIZE, "%s:%" PRIu32,
                 permission.kind == EID_PERM_ADMIN ? "admin" : "write", permission.priority);
}

/* Decimal digits, one "+" before them allowed, as the Rust reader takes them. */
static bool parse_priority(const char *text, uint32_t *out)
{
    uint64_t value = 0;

    if (*text == '+')
        text++;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}

eid_status eid_permission_parse(const char *text, eid_permission *out)
{
    EID_NEED(text && out);
    eid_permission permission = {EID_PERM_READ, 0};
    const char *colon = strchr(text, ':');
    eid_slice word = eid_slice_of(text, colon != NULL ? (size_t)(colon - text) : strlen(text));

    if (eid_slice_is(word, "read")) {
        *out = permission;
        return EID_OK;
    }
    if (eid_slice_is(word, "write")) {
        permission.kind = EID_PERM_WRITE;
        permission.priority = WRITE_WORD_PRIORITY;
    } else if (eid_slice_is(word, "admin")) {
        permission.kind = EID_PERM_ADMIN;
        permission.priority = ADMIN_WORD_PRIORITY;
    } else {
        return eid_fail(EID_ERR_SYNTAX, "\"%.64s\" is not a permission: write read, write:N or admin:N",
                        text);
    }
    if (colon != NULL && !parse_priority(colon + 1, &permission.priority))
        return eid_fail(
            EID_ERR_SYNTAX,
            "\"%.64s\" has no usable priority: a number from 0 to 4294967295 goes behind the colon", text);
    *out = permission;
    return EID_OK;
}

/* ---- Stored Doc ---- */

static const char *kind_name(eid_permission_kind kind)
{
    switch (kind) {
    case EID_PERM_ADMIN:
        return "Admin";
    case EID_PERM_WRITE:
        return "Write";
    case EID_PERM_READ:
        break;
    }
    return "Read";
}

static bool kind_of_name(eid_slice name, eid_permission_kind *out)
{
    static const eid_permission_kind kinds[] = {EID_PERM_READ, EID_PERM_WRITE, EID_PERM_ADMIN};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (eid_slice_is(name, kind_name(kinds[i]))) {
            *out = kinds[i];
            return true;
        }
    }
    return false;
}

eid_status eid_permission_to_doc(eid_permission permission, eid_doc **out)
{
    eid_doc *doc = NULL;
    eid_status status;

    EID_TRY(eid_doc_new(&doc));
    EID_TRY_GOTO(status, eid_doc_set_string(doc, "type", kind_name(permission.kind)), fail);
    if (permission.kind != EID_PERM_READ)
        EID_TRY_GOTO(status, eid_doc_set_int(doc, "priority", (int64_t)permission.priority), fail);
    *out = doc;
    return EID_OK;
fail:
    eid_doc_free(doc);
    return status;
}

eid_status eid_permission_from_doc(const eid_doc *doc, eid_permission *out)
{
    eid_permission permission = {EID_PERM_READ, 0};
    const char *type;
    size_t len;
    int64_t priority;

    if (eid_doc_get_text(doc, "type", &type, &len) != EID_OK)
        return eid_fail(EID_ERR_MISSING_FIELD, "the permission has no type");
    if (!kind_of_name(eid_slice_of(type, len), &permission.kind))
        return eid_fail(EID_ERR_SYNTAX, "\"%.*s\" is not a type of permission", len < 64 ? (int)len : 64,
                        type);
    if (permission.kind != EID_PERM_READ) {
        if (eid_doc_get_int(doc, "priority", &priority) != EID_OK)
            return eid_fail(EID_ERR_MISSING_FIELD, "the %s permission has no priority",
                            kind_name(permission.kind));
        /* All readers keep the low 32 bits, so a number outside the range means the same to everybody. */
        permission.priority = (uint32_t)((uint64_t)priority & UINT32_MAX);
    }
    *out = permission;
    return EID_OK;
}

/* ---- Wire JSON ---- */

void eid_permission_write_json(eid_buf *buf, eid_permission permission)
{
    if (permission.kind == EID_PERM_READ)
        eid_buf_append_text(buf, "\"Read\"");
    else
        eid_buf_appendf(buf, "{\"%s\":%" PRIu32 "}", kind_name(permission.kind), permission.priority);
}

eid_status eid_permission_read_json(eid_json *reader, eid_permission *out)
{
    eid_permission permission = {EID_PERM_READ, 0};
    eid_json_token token;
    eid_slice text;
    uint64_t priority = 0;
    bool more;

    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_STRING) {
        EID_TRY(eid_json_read_text(reader, "permission", &text));
        if (!eid_slice_is(text, "Read"))
            return eid_fail(EID_ERR_WRONG_TYPE, "the permission is a word other than \"Read\"");
        *out = permission;
        return EID_OK;
    }
    EID_TRY(eid_json_begin_object(reader, "permission"));
    EID_TRY(eid_json_next_key(reader, &text, &more));
    if (!more || !kind_of_name(text, &permission.kind))
        return eid_fail(EID_ERR_WRONG_TYPE,
                        "the permission is neither \"Read\" nor {\"Write\":N} nor {\"Admin\":N}");
    /* A kind without content may also be written {"Read":null} (sync-protocol.md section 11). */
    if (permission.kind == EID_PERM_READ)
        EID_TRY(eid_json_expect(reader, EID_JSON_NULL, "Read"));
    else
        EID_TRY(eid_json_read_u64(reader, "priority", &priority));
    if (priority > UINT32_MAX)
        return eid_fail(EID_ERR_RANGE, "the priority %" PRIu64 " does not fit 32 bits", priority);
    EID_TRY(eid_json_next_key(reader, &text, &more));
    if (more)
        return eid_fail(EID_ERR_WRONG_TYPE, "the permission names two kinds");
    permission.priority = (uint32_t)priority;
    *out = permission;
    return EID_OK;
}
