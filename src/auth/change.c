/* SPDX-License-Identifier: Apache-2.0 */
/* Who may change whom: rule 1 of docs/security.md, and which records a payload of the settings touches. */
#include "auth/auth_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"

int eid_auth_subject_compare(const eid_auth_subject *a, const eid_auth_subject *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == EID_SUBJECT_KEY)
        return memcmp(a->key.bytes, b->key.bytes, sizeof a->key.bytes);
    return a->kind == EID_SUBJECT_DELEGATION ? eid_id_compare(&a->tree, &b->tree) : 0;
}

static eid_auth_right right_of_key(const eid_auth_key *key)
{
    eid_auth_right right = {false, false, {EID_PERM_READ, 0}};

    if (key != NULL)
        right = (eid_auth_right){true, key->status == EID_KEY_ACTIVE, key->permission};
    return right;
}

eid_auth_right eid_auth_settings_right(const eid_auth_settings *settings, const eid_auth_subject *subject)
{
    eid_auth_right none = {false, false, {EID_PERM_READ, 0}};

    if (subject->kind == EID_SUBJECT_KEY)
        return right_of_key(eid_auth_settings_find(settings, &subject->key));
    if (subject->kind == EID_SUBJECT_GLOBAL)
        return right_of_key(eid_auth_settings_global(settings));
    const eid_auth_delegation *delegation = eid_auth_settings_delegation(settings, &subject->tree);
    if (delegation == NULL || delegation->problem != NULL)
        return none;
    return (eid_auth_right){true, true, delegation->bounds.max};
}

static eid_status check_side(eid_permission author, const eid_auth_right *right, const char *deed)
{
    char own[EID_PERMISSION_TEXT_SIZE], other[EID_PERMISSION_TEXT_SIZE];

    if (!right->present || eid_permission_compare(author, right->permission) >= 0)
        return EID_OK;
    eid_permission_format(author, own);
    eid_permission_format(right->permission, other);
    return eid_fail(EID_ERR_PERMISSION_DENIED, "a key with %s may not %s a record with %s", own, deed, other);
}

eid_status eid_auth_may_change(eid_permission author, const eid_auth_right *before, const eid_auth_right *after)
{
    if (!eid_permission_can_admin(author))
        return eid_fail(EID_ERR_PERMISSION_DENIED, "changing a record of the access rules needs admin");
    EID_TRY(check_side(author, before, "change"));
    return check_side(author, after, "make");
}

/* ---- What a payload touches ---- */

static int compare_subjects(const void *a, const void *b)
{
    return eid_auth_subject_compare(a, b);
}

/* The Doc under a key; what is no Doc, or takes the place of everything before it, sets *all. */
static const eid_doc *enter(const eid_doc *doc, const char *key, bool *all)
{
    const eid_value *value = eid_doc_child(doc, eid_slice_text(key));
    const eid_doc *child;

    if (value == NULL)
        return NULL;
    if (eid_value_as_doc(value, &child) != EID_OK) {
        *all = true;
        return NULL;
    }
    *all = *all || eid_doc_is_atomic(child);
    return child;
}

static bool subject_of(eid_auth_subject_kind kind, eid_slice text, eid_auth_subject *out)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    return kind == EID_SUBJECT_KEY ? eid_pubkey_parse_slice(text, &out->key) == EID_OK
                                   : eid_auth_read_tree_key(text, &out->tree);
}

static void add_group(const eid_doc *auth, const char *name, eid_auth_subject_kind kind, eid_buf *found, bool *all)
{
    const eid_doc *group = enter(auth, name, all);
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *text;
    size_t len;

    while (group != NULL && eid_doc_next_raw(group, &cursor, &text, &len, &value)) {
        eid_auth_subject subject;
        if (subject_of(kind, eid_slice_of(text, len), &subject))
            eid_buf_append(found, &subject, sizeof subject);
    }
}

eid_status eid_auth_subjects(const eid_doc *payload, eid_auth_subject **out, size_t *count, bool *all)
{
    bool replaces = eid_doc_is_atomic(payload);
    const eid_doc *auth = enter(payload, "auth", &replaces);
    uint8_t *data;
    eid_buf found;
    size_t len;

    eid_buf_init(&found, SIZE_MAX / 2);
    if (auth != NULL) {
        add_group(auth, "keys", EID_SUBJECT_KEY, &found, &replaces);
        add_group(auth, "delegations", EID_SUBJECT_DELEGATION, &found, &replaces);
        if (eid_doc_child(auth, eid_slice_text("global")) != NULL) {
            eid_auth_subject subject = {.kind = EID_SUBJECT_GLOBAL};
            eid_buf_append(&found, &subject, sizeof subject);
        }
    }
    EID_TRY(eid_buf_take(&found, &data, &len));
    *out = (eid_auth_subject *)(void *)data;
    *count = len / sizeof **out;
    *all = replaces;
    qsort(*out, *count, sizeof **out, compare_subjects);
    return EID_OK;
}
