/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a hint selects, whether an entry is valid under given settings, and what a proven key may do
 * (spec auth.md sections 4, 6 and 9). */
#include "auth/auth_int.h"

/* How much of a foreign text goes into a sentence. */
#define SHOWN(slice) (slice).len < 64 ? (int)(slice).len : 64, (const char *)(slice).data

/* ---- Hints ---- */

/* What a hint selects, without copying: either one candidate, or the records of a name. */
typedef struct selection {
    eid_auth_candidate single;
    eid_auth_record *const *named; /* NULL: `single` is the only candidate */
    size_t count;
} selection;

static eid_auth_candidate candidate_of(const eid_pubkey *key, const eid_auth_key *record)
{
    eid_auth_candidate candidate = {*key, record->permission, record->status};

    return candidate;
}

static eid_status select_global(const eid_auth_settings *settings, const eid_key_hint *hint, selection *out)
{
    const eid_auth_record *record = eid_auth_global_record(settings);

    if (record == NULL)
        return eid_fail(EID_ERR_CORRUPTED_AUTH,
                        "the signature claims the global permission, but the database has none");
    if (!record->usable)
        return eid_fail(EID_ERR_CORRUPTED_AUTH, "the global permission of the database can not be used: %s",
                        record->problem);
    if (!hint->has_pubkey)
        return eid_fail(EID_ERR_CORRUPTED_AUTH,
                        "the signature claims the global permission without naming its public key");
    out->single = candidate_of(&hint->pubkey, &record->key);
    out->count = 1;
    return EID_OK;
}

static eid_status select_key(const eid_auth_settings *settings, const eid_pubkey *key, selection *out)
{
    const eid_auth_record *record = eid_auth_record_of_key(settings, key);
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(key, text);
    if (record == NULL)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the key %s is not listed in the database", text);
    if (!record->usable)
        return eid_fail(EID_ERR_INVALID_KEY, "the record of the key %s can not be used: %s", text,
                        record->problem);
    out->single = candidate_of(key, &record->key);
    out->count = 1;
    return EID_OK;
}

static eid_status select_name(const eid_auth_settings *settings, eid_slice name, selection *out)
{
    out->named = eid_auth_records_of_name(settings, name, &out->count);
    if (out->count == 0)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "no key of the database is named \"%.*s\"", SHOWN(name));
    for (size_t i = 0; i < out->count; i++) {
        if (!eid_auth_record_is_key(out->named[i]))
            return eid_fail(EID_ERR_INVALID_KEY,
                            "a record named \"%.*s\" stands under something that is not a public key",
                            SHOWN(name));
    }
    return EID_OK;
}

static eid_status select_candidates(const eid_auth_settings *settings, const eid_key_hint *hint,
                                    selection *out)
{
    memset(out, 0, sizeof *out);
    if (hint->is_global)
        return select_global(settings, hint, out);
    if (hint->has_pubkey)
        return select_key(settings, &hint->pubkey, out);
    if (hint->name != NULL)
        return select_name(settings, eid_slice_of(hint->name, hint->name_len), out);
    return eid_fail(EID_ERR_KEY_NOT_FOUND, "the signature names no key");
}

static eid_auth_candidate selected(const selection *from, size_t index)
{
    if (from->named == NULL)
        return from->single;
    return candidate_of(&from->named[index]->pubkey, &from->named[index]->key);
}

eid_status eid_auth_candidates(const eid_auth_settings *settings, const eid_key_hint *hint,
                               eid_auth_candidate *out, size_t capacity, size_t *count)
{
    selection found;

    EID_TRY(select_candidates(settings, hint, &found));
    *count = found.count < capacity ? found.count : capacity;
    for (size_t i = 0; i < *count; i++)
        out[i] = selected(&found, i);
    return EID_OK;
}

/* ---- Judging an entry ---- */

/* A delegation whose path alone is wrong needs no delegated database to be refused. */
eid_status eid_auth_check_path(const eid_sigkey *sigkey)
{
    if (sigkey->path_count == 0)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "the delegation names no step");
    if (sigkey->path_count > EID_LIMIT_DELEGATION_STEPS)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "the delegation has %zu steps, more than %d",
                        sigkey->path_count, EID_LIMIT_DELEGATION_STEPS);
    if (sigkey->hint.is_global)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "a delegation can not end in a global permission");
    for (size_t i = 0; i < sigkey->path_count; i++) {
        if (sigkey->path[i].tip_count > EID_LIMIT_DELEGATION_TIPS)
            return eid_fail(EID_ERR_PERMISSION_DENIED,
                            "a step of the delegation claims %zu tips, more than %d",
                            sigkey->path[i].tip_count, EID_LIMIT_DELEGATION_TIPS);
    }
    return EID_OK;
}

/* Rights are looked at before signatures: a check of a signature costs a thousand times more. */
static eid_status judge_candidate(const eid_auth_candidate *candidate, bool needs_admin,
                                  const eid_entry *entry, const eid_pubkey *verified_key)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(&candidate->key, text);
    if (candidate->status != EID_KEY_ACTIVE)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "the key %s is revoked", text);
    if (needs_admin && !eid_permission_can_admin(candidate->permission))
        return eid_fail(EID_ERR_PERMISSION_DENIED,
                        "changing the settings needs admin, which the key %s has not", text);
    if (!eid_permission_can_write(candidate->permission))
        return eid_fail(EID_ERR_PERMISSION_DENIED, "writing needs at least write, which the key %s has not",
                        text);
    if (verified_key != NULL && eid_pubkey_equal(verified_key, &candidate->key))
        return EID_OK;
    return eid_entry_verify_signature(entry, &candidate->key);
}

/* `bounds` NULL: none apply. */
static eid_status judge_selected(const eid_auth_settings *settings, const eid_bounds *bounds, const eid_entry *entry,
                                 const eid_pubkey *verified_key)
{
    bool needs_admin = eid_entry_subtree(entry, eid_slice_text("_settings")) != NULL;
    eid_status status = EID_ERR_PERMISSION_DENIED;
    selection found;

    if (select_candidates(settings, &entry->sigkey.hint, &found) != EID_OK)
        return eid_fail_context(EID_ERR_PERMISSION_DENIED, "nobody who may sign");
    for (size_t i = 0; i < found.count; i++) {
        eid_auth_candidate candidate = selected(&found, i);
        if (bounds != NULL)
            candidate.permission = eid_bounds_apply(bounds, candidate.permission);
        status = judge_candidate(&candidate, needs_admin, entry, verified_key);
        if (status == EID_OK)
            return EID_OK;
    }
    return status;
}

eid_status eid_auth_judge_delegated(const eid_auth_settings *last, const eid_bounds *bounds, const eid_entry *entry,
                                    const eid_pubkey *verified_key)
{
    return judge_selected(last, bounds, entry, verified_key);
}

eid_status eid_auth_judge(const eid_auth_settings *settings, const eid_entry *entry,
                          const eid_pubkey *verified_key)
{
    const char *malformed = eid_entry_malformed(entry);
    bool configured = eid_auth_settings_configured(settings);

    if (malformed != NULL)
        return eid_fail(EID_ERR_BAD_SIGNATURE, "the signature block is malformed: %s", malformed);
    if (eid_entry_is_unsigned(entry)) {
        if (configured)
            return eid_fail(EID_ERR_AUTH_REQUIRED,
                            "the entry is unsigned, and the database accepts only signed ones");
        return EID_OK;
    }
    if (!configured)
        return eid_fail(EID_ERR_PERMISSION_DENIED,
                        "the entry is signed, but its settings list nobody who may sign");
    if (entry->sigkey.is_delegation) {
        EID_TRY(eid_auth_check_path(&entry->sigkey));
        return eid_fail(EID_ERR_UNSUPPORTED,
                        "the entry is signed by delegation, which needs the delegated database");
    }
    return judge_selected(settings, NULL, entry, verified_key);
}

/* ---- What a proven key may do ---- */

static eid_status denied(const eid_pubkey *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(key, text);
    return eid_fail(EID_ERR_PERMISSION_DENIED, "the key %s has no permission in the database", text);
}

eid_status eid_auth_permission_of(const eid_auth_settings *settings, const eid_pubkey *key,
                                  eid_permission *out)
{
    const eid_auth_key *own = eid_auth_settings_find(settings, key);

    if (own != NULL && own->status == EID_KEY_ACTIVE)
        *out = own->permission;
    else if (eid_auth_settings_has_active_global(settings))
        *out = eid_auth_settings_global(settings)->permission;
    else
        return denied(key);
    return EID_OK;
}

static eid_status identity_as_global(const eid_auth_settings *settings, eid_permission *out)
{
    if (!eid_auth_settings_has_active_global(settings))
        return eid_fail(EID_ERR_CORRUPTED_AUTH,
                        "the identity claims the global permission, but none is active");
    *out = eid_auth_settings_global(settings)->permission;
    return EID_OK;
}

eid_status eid_auth_identity_permission(const eid_auth_settings *settings, const eid_pubkey *proven,
                                        const eid_key_hint *hint, eid_permission *out)
{
    const eid_auth_key *best = NULL;
    size_t count;

    if (hint->has_pubkey && !eid_pubkey_equal(&hint->pubkey, proven))
        return eid_fail(EID_ERR_AUTH_FAILED,
                        "the identity names another public key than the one that was proven");
    if (hint->is_global)
        return identity_as_global(settings, out);
    if (hint->has_pubkey)
        return eid_auth_permission_of(settings, proven, out);
    if (hint->name == NULL)
        return eid_fail(EID_ERR_CORRUPTED_AUTH, "the identity names neither a key nor a name");

    eid_auth_record *const *records =
        eid_auth_records_of_name(settings, eid_slice_of(hint->name, hint->name_len), &count);
    for (size_t i = 0; i < count; i++) {
        const eid_auth_record *record = records[i];
        if (record->has_pubkey && eid_pubkey_equal(&record->pubkey, proven) &&
            record->key.status == EID_KEY_ACTIVE)
            best = &record->key;
    }
    if (best != NULL) {
        *out = best->permission;
        return EID_OK;
    }
    return eid_auth_settings_has_active_global(settings) ? identity_as_global(settings, out) : denied(proven);
}

eid_status eid_auth_delegated_permission(const eid_auth_settings *last, const eid_bounds *bounds,
                                         const eid_pubkey *proven, const eid_key_hint *hint, eid_permission *out)
{
    eid_permission best = {EID_PERM_READ, 0};
    bool any = false;
    selection found;

    if (select_candidates(last, hint, &found) != EID_OK)
        return eid_fail_context(EID_ERR_PERMISSION_DENIED, "the identity selects nobody");
    for (size_t i = 0; i < found.count; i++) {
        eid_auth_candidate candidate = selected(&found, i);
        if (candidate.status != EID_KEY_ACTIVE || !eid_pubkey_equal(&candidate.key, proven))
            continue;
        eid_permission permission = eid_bounds_apply(bounds, candidate.permission);
        if (!any || eid_permission_compare(permission, best) > 0)
            best = permission;
        any = true;
    }
    if (!any)
        return denied(proven);
    *out = best;
    return EID_OK;
}
