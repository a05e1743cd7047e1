/* SPDX-License-Identifier: Apache-2.0 */
/* Judging an entry by the settings it pins, without folding them: the last change of one record that they know is all that
 * matters, as long as records are whole and the entry names its record by key. */
#include "database/standing_int.h"

#include "base/alloc.h"
#include "database/database_int.h"

static eid_status holder_name(const eid_key_hint *hint, eid_buf *name)
{
    if (!hint->is_global)
        return eid_holder_key_name(&hint->pubkey, name);
    eid_buf_append_byte(name, 'g');
    return eid_buf_status(name);
}

/* The verdict, with its sentence when it is a refusal; rights are looked at before signatures, which cost far more. */
static eid_status judge_signed(const eid_entry *entry, uint64_t power, const eid_pubkey *verified)
{
    const eid_pubkey *key = &entry->sigkey.hint.pubkey;
    bool settings = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    if (power == EID_POWER_NONE)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "%s %s not listed in the database, or revoked",
                        entry->sigkey.hint.is_global ? "the global permission claimed by" : "the key", text);
    if (power < EID_POWER_WRITE)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "writing needs at least write, which the key %s has not", text);
    if (settings && power < EID_POWER_ADMIN)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "changing the settings needs admin, which the key %s has not", text);
    if (verified != NULL && eid_pubkey_equal(verified, key))
        return EID_OK;
    return eid_entry_verify_signature(entry, key);
}

static eid_status power_of(eid_storage *storage, const eid_charter *charter, const eid_runs *known, const eid_key_hint *hint,
                           uint64_t *out)
{
    eid_buf name;
    eid_buf_init(&name, 128);
    eid_status status = holder_name(hint, &name);
    const eid_holder *holder = status == EID_OK ? eid_charter_find(charter, eid_buf_slice(&name)) : NULL;
    eid_buf_free(&name);
    *out = EID_POWER_NONE;
    return holder == NULL ? status : eid_charter_power(storage, charter, known, holder, NULL, NULL, out);
}

/* A delegation can give no more than its record allows; what lies behind it is looked at only when that is enough. */
static eid_status judge_delegation(eid_storage *storage, const eid_charter *charter, const eid_runs *known, const eid_entry *entry,
                                   eid_status *refusal)
{
    uint64_t power = EID_POWER_NONE;
    uint64_t needs = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL ? EID_POWER_ADMIN : EID_POWER_WRITE;
    eid_buf name;
    eid_buf_init(&name, 256);
    eid_status status = eid_charter_author(storage, charter, known, entry, &name);
    const eid_holder *holder = status == EID_OK ? eid_charter_find(charter, eid_buf_slice(&name)) : NULL;
    eid_buf_free(&name);
    if (holder != NULL)
        status = eid_charter_power(storage, charter, known, holder, NULL, NULL, &power);
    *refusal = power < needs ? eid_fail(EID_ERR_PERMISSION_DENIED, "no delegation of the database allows this") : EID_ERR_UNSUPPORTED;
    return status;
}

static bool is_by_label(const eid_entry *entry)
{
    const eid_key_hint *hint = &entry->sigkey.hint;
    return !entry->sigkey.is_delegation && !hint->has_pubkey && !hint->is_global && hint->name != NULL;
}

static eid_status judge_by_charter(eid_storage *storage, const eid_charter *charter, const eid_runs *known, const eid_entry *entry,
                                   const eid_pubkey *verified, eid_status *refusal)
{
    uint64_t open, power;
    EID_TRY(eid_charter_power(storage, charter, known, charter->everybody, NULL, NULL, &open));
    if (eid_entry_is_unsigned(entry)) {
        if (open == EID_POWER_NONE)
            *refusal = eid_fail(EID_ERR_AUTH_REQUIRED, "the entry is unsigned, and the database accepts only signed ones");
        return EID_OK;
    }
    if (open != EID_POWER_NONE) {
        *refusal = eid_fail(EID_ERR_PERMISSION_DENIED, "the entry is signed, but its settings list nobody who may sign");
        return EID_OK;
    }
    if (entry->sigkey.is_delegation)
        return judge_delegation(storage, charter, known, entry, refusal);
    if (is_by_label(entry)) {
        const eid_holder *signer;
        return eid_charter_signer(charter, known, entry, &signer, refusal);
    }
    if (!entry->sigkey.hint.has_pubkey) {
        *refusal = eid_fail(EID_ERR_PERMISSION_DENIED, "the signature names no key");
        return EID_OK;
    }
    EID_TRY(power_of(storage, charter, known, &entry->sigkey.hint, &power));
    *refusal = judge_signed(entry, power, verified);
    return *refusal == EID_ERR_NO_MEMORY ? *refusal : EID_OK;
}

static eid_status judge_by_fold(eid_core *core, eid_tree *tree, const int64_t *pins, size_t count, const eid_entry *entry,
                                const eid_pubkey *verified, eid_status *refusal)
{
    eid_auth_settings *settings;
    EID_TRY(eid_settings_resolve(core->storage, tree, pins, count, &settings));
    *refusal = eid_auth_judge(settings, entry, verified);
    eid_auth_settings_unref(settings);
    return *refusal == EID_ERR_NO_MEMORY ? *refusal : EID_OK;
}

eid_status eid_standing_judge(eid_core *core, eid_tree *tree, const int64_t *pins, size_t count, const eid_entry *entry,
                              const eid_pubkey *verified, eid_status *refusal)
{
    eid_charter *charter;
    eid_runs scratch = {NULL, 0, 0};
    const eid_runs *known;
    const char *malformed = eid_entry_malformed(entry);
    EID_TRY(eid_charter_of(core->storage, tree, INT64_MAX, &charter));
    *refusal = EID_OK;
    if (malformed != NULL) {
        *refusal = eid_fail(EID_ERR_BAD_SIGNATURE, "the signature block is malformed: %s", malformed);
        return EID_OK;
    }
    if (charter->odd && is_by_label(entry))
        return judge_by_fold(core, tree, pins, count, entry, verified, refusal);
    EID_TRY(eid_charter_knowledge(charter, pins, count, &scratch, &known));
    eid_status status = judge_by_charter(core->storage, charter, known, entry, verified, refusal);
    eid_runs_free(&scratch);
    EID_TRY(status);
    return *refusal == EID_ERR_UNSUPPORTED ? judge_by_fold(core, tree, pins, count, entry, verified, refusal) : EID_OK;
}
