/* SPDX-License-Identifier: Apache-2.0 */
/* What a key may do in a database, and as whom: its own record, the global permission, and membership in databases that
 * rights are delegated to, searched breadth first over several of them (spec auth.md sections 9 and 10). */
#include "database/delegation.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "crypto/key.h"
#include "database/standing_int.h"

/* ---- The permission of one identity ---- */

/* The settings as they are now, as a place that paths start from; `acts` is the caller's to free. */
static eid_status place_now(eid_core *core, const eid_id *database, eid_delegation_place *out, eid_runs *acts)
{
    eid_tree *tree;
    eid_charter *charter;
    eid_auth_settings *settings;
    EID_TRY(eid_storage_tree(core->storage, database, &tree));
    EID_TRY(eid_charter_of(core->storage, tree, INT64_MAX, &charter));
    EID_TRY(eid_charter_counting(charter, acts));
    EID_TRY(eid_settings_current(core->storage, tree, &settings));
    *out = (eid_delegation_place){settings, charter, acts};
    return EID_OK;
}

static eid_status end_now(eid_core *core, const eid_delegation_place *place, const eid_sigkey *identity, eid_delegation_end *end)
{
    eid_sigkey claimed;
    eid_status status = eid_delegation_claim(core->storage, identity, &claimed);
    if (status == EID_ERR_DATABASE_NOT_FOUND)
        return eid_fail_context(EID_ERR_PERMISSION_DENIED, "the identity leads nowhere");
    EID_TRY(status);
    status = eid_delegation_resolve(core->storage, place, &claimed, EID_PATH_COUNTS, end);
    eid_sigkey_free(&claimed);
    EID_TRY(status);
    if (end->refusal != EID_OK)
        return eid_fail_context(EID_ERR_PERMISSION_DENIED, "the identity leads nowhere");
    if (end->settings == NULL)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "the identity leads to a database that is not held");
    return EID_OK;
}

static eid_status delegated_permission(eid_core *core, const eid_delegation_place *place, const eid_pubkey *proven,
                                       const eid_sigkey *identity, eid_permission *out)
{
    eid_delegation_end end;
    if (identity->hint.has_pubkey && !eid_pubkey_equal(&identity->hint.pubkey, proven))
        return eid_fail(EID_ERR_AUTH_FAILED, "the identity names another public key than the one that was proven");
    EID_TRY(end_now(core, place, identity, &end));
    eid_status status = eid_auth_delegated_permission(end.settings, &end.bounds, proven, &identity->hint, out);
    eid_auth_settings_unref(end.settings);
    return status;
}

eid_status eid_core_identity_permission(eid_core *core, const eid_id *database, const eid_pubkey *proven,
                                        const eid_sigkey *identity, eid_permission *out)
{
    eid_delegation_place place;
    eid_runs acts = {NULL, 0, 0};
    eid_storage_lock(core->storage);
    eid_status status = place_now(core, database, &place, &acts);
    if (status == EID_OK) {
        status = identity->is_delegation
                     ? delegated_permission(core, &place, proven, identity, out)
                     : eid_auth_identity_permission(place.settings, proven, &identity->hint, out);
        eid_auth_settings_unref(place.settings);
    }
    eid_runs_free(&acts);
    eid_storage_unlock(core->storage);
    return status;
}

/* ---- All identities of a key ---- */

/* A path that was followed so far. */
typedef struct trail {
    eid_sigkey path;       /* a delegation without a hint */
    eid_delegation_end end;
} trail;

typedef struct search {
    eid_core *core;
    const eid_id *database;
    const eid_pubkey *key;
    eid_delegation_place start;
    trail *trails;         /* in the order they were found; the ones behind `next` are still to be followed on */
    size_t count;
    size_t next;
    eid_identity *found;
    size_t found_count;
    size_t found_capacity;
} search;

static eid_status keep(search *s, eid_sigkey *sigkey, eid_permission permission)
{
    if (s->found_count == s->found_capacity) {
        size_t capacity = s->found_capacity == 0 ? 4 : s->found_capacity * 2;
        eid_identity *grown = eid_realloc_array(s->found, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        s->found = grown;
        s->found_capacity = capacity;
    }
    s->found[s->found_count++] = (eid_identity){*sigkey, permission};
    return EID_OK;
}

static eid_status keep_direct(search *s)
{
    const eid_auth_key *own = eid_auth_settings_find(s->start.settings, s->key);
    eid_sigkey sigkey;
    if (own != NULL && own->status == EID_KEY_ACTIVE) {
        eid_sigkey_direct(s->key, &sigkey);
        EID_TRY(keep(s, &sigkey, own->permission));
    }
    if (eid_auth_settings_has_active_global(s->start.settings)) {
        eid_sigkey_global(s->key, &sigkey);
        EID_TRY(keep(s, &sigkey, eid_auth_settings_global(s->start.settings)->permission));
    }
    return EID_OK;
}

/* Only a key that is listed at the end of a path may act by it. */
static eid_status keep_member(search *s, const trail *t)
{
    const eid_auth_key *own = eid_auth_settings_find(t->end.settings, s->key);
    if (own == NULL || own->status != EID_KEY_ACTIVE)
        return EID_OK;
    eid_sigkey sigkey;
    EID_TRY(eid_sigkey_copy(&t->path, &sigkey));
    sigkey.hint.has_pubkey = true;
    sigkey.hint.pubkey = *s->key;
    eid_status status = keep(s, &sigkey, eid_bounds_apply(&t->end.bounds, own->permission));
    if (status != EID_OK)
        eid_sigkey_free(&sigkey);
    return status;
}

static bool passes(const search *s, const trail *from, const eid_id *tree)
{
    if (eid_id_equal(s->database, tree))
        return true;
    for (size_t i = 0; from != NULL && i < from->path.path_count; i++)
        if (eid_id_equal(&from->path.path[i].tree, tree))
            return true;
    return false;
}

/* The path of `from` (NULL: the empty one) with one step more, without claims. */
static eid_status lengthen(const trail *from, const eid_id *tree, eid_sigkey *out)
{
    static const eid_sigkey empty = {.is_delegation = true};
    eid_sigkey longer;
    EID_TRY(eid_sigkey_copy(from == NULL ? &empty : &from->path, &longer));
    eid_delegation_step *path = eid_realloc_array(longer.path, longer.path_count + 1, sizeof *path);
    if (path == NULL) {
        eid_sigkey_free(&longer);
        return eid_fail_memory();
    }
    path[longer.path_count++] = (eid_delegation_step){.tree = *tree};
    longer.path = path;
    *out = longer;
    return EID_OK;
}

/* Follows the longer path to its end from the start: at most ten steps, each cached. */
static eid_status walk(search *s, const trail *from, const eid_id *tree, trail *out)
{
    eid_sigkey bare;
    memset(out, 0, sizeof *out);
    EID_TRY(lengthen(from, tree, &bare));
    eid_status status = eid_delegation_claim(s->core->storage, &bare, &out->path);
    eid_sigkey_free(&bare);
    if (status == EID_OK)
        status = eid_delegation_resolve(s->core->storage, &s->start, &out->path, EID_PATH_COUNTS, &out->end);
    return status == EID_ERR_DATABASE_NOT_FOUND ? EID_OK : status;
}

static void trail_free(trail *t)
{
    eid_sigkey_free(&t->path);
    eid_auth_settings_unref(t->end.settings);
}

static eid_status expand(search *s, const trail *from)
{
    const eid_auth_settings *settings = from == NULL ? s->start.settings : from->end.settings;
    if (from != NULL && from->path.path_count == EID_LIMIT_DELEGATION_STEPS)
        return EID_OK;
    for (size_t i = 0; i < eid_auth_settings_delegation_count(settings); i++) {
        const eid_auth_delegation *record = eid_auth_settings_delegation_at(settings, i);
        if (s->count == EID_LIMIT_DELEGATION_SEARCH)
            return EID_OK;
        if (record->problem != NULL || !eid_id_equal(&record->key, &record->tree) || passes(s, from, &record->key))
            continue;
        trail *t = &s->trails[s->count];
        eid_status status = walk(s, from, &record->key, t);
        if (status == EID_OK && t->end.settings != NULL)
            status = keep_member(s, t);
        if (status != EID_OK || t->end.settings == NULL)
            trail_free(t);
        else
            s->count++;
        EID_TRY(status);
    }
    return EID_OK;
}

static eid_status run(search *s)
{
    EID_TRY(keep_direct(s));
    s->trails = eid_alloc_zero(EID_LIMIT_DELEGATION_SEARCH, sizeof *s->trails);
    if (s->trails == NULL)
        return eid_fail_memory();
    EID_TRY(expand(s, NULL));
    while (s->next < s->count)
        EID_TRY(expand(s, &s->trails[s->next++]));
    return EID_OK;
}

/* The strongest first; equally strong ones stay in order. */
static void rank(eid_identity *found, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        eid_identity moved = found[i];
        size_t place = i;
        while (place > 0 && eid_permission_compare(found[place - 1].permission, moved.permission) < 0) {
            found[place] = found[place - 1];
            place--;
        }
        found[place] = moved;
    }
}

void eid_identities_free(eid_identity *identities, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_sigkey_free(&identities[i].sigkey);
    eid_free(identities);
}

eid_status eid_core_find_identities(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_identity **out,
                                    size_t *count)
{
    search s = {.core = core, .database = database, .key = key};
    eid_runs acts = {NULL, 0, 0};
    eid_storage_lock(core->storage);
    eid_status status = place_now(core, database, &s.start, &acts);
    if (status == EID_OK)
        status = run(&s);
    eid_auth_settings_unref(s.start.settings);
    eid_storage_unlock(core->storage);
    for (size_t i = 0; i < s.count; i++)
        trail_free(&s.trails[i]);
    eid_free(s.trails);
    eid_runs_free(&acts);
    if (status != EID_OK) {
        eid_identities_free(s.found, s.found_count);
        return status;
    }
    rank(s.found, s.found_count);
    *out = s.found;
    *count = s.found_count;
    return EID_OK;
}

eid_status eid_core_best_identity(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_sigkey *out,
                                  eid_permission *permission)
{
    eid_identity *found;
    size_t count;
    EID_TRY(eid_core_find_identities(core, database, key, &found, &count));
    if (count == 0) {
        char text[EID_PUBKEY_TEXT_SIZE];
        eid_pubkey_format(key, text);
        return eid_fail(EID_ERR_PERMISSION_DENIED, "the key %s has no permission in the database", text);
    }
    *out = found[0].sigkey;
    *permission = found[0].permission;
    memset(&found[0].sigkey, 0, sizeof found[0].sigkey);
    eid_identities_free(found, count);
    return EID_OK;
}

eid_status eid_core_permission_of(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_permission *out)
{
    eid_auth_settings *auth;
    eid_sigkey identity;
    EID_TRY(eid_core_auth(core, database, &auth));
    eid_status status = eid_auth_permission_of(auth, key, out);
    eid_auth_settings_unref(auth);
    if (status != EID_ERR_PERMISSION_DENIED)
        return status;
    status = eid_core_best_identity(core, database, key, &identity, out);
    if (status == EID_OK)
        eid_sigkey_free(&identity);
    return status;
}

/* ---- The public form: one block, the structs in front of the texts ---- */

static eid_status write_infos(const eid_identity *found, size_t count, eid_sigkey_info **out)
{
    eid_buf texts;
    eid_buf_init(&texts, SIZE_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        eid_sigkey_write_json(&texts, &found[i].sigkey);
        eid_buf_append_byte(&texts, 0);
    }
    eid_status status = eid_buf_status(&texts);
    eid_sigkey_info *infos = status == EID_OK ? eid_alloc(count * sizeof *infos + texts.len + 1) : NULL;
    if (status == EID_OK && infos == NULL)
        status = eid_fail_memory();
    if (status == EID_OK) {
        char *text = (char *)(infos + count);
        if (texts.len > 0)
            memcpy(text, texts.data, texts.len);
        for (size_t i = 0; i < count; i++) {
            infos[i] = (eid_sigkey_info){found[i].permission, found[i].sigkey.path_count, found[i].sigkey.hint.is_global, text};
            text += strlen(text) + 1;
        }
        *out = infos;
    }
    eid_buf_free(&texts);
    return status;
}

eid_status eid_database_find_sigkeys(eid_database *database, const eid_pubkey *key, eid_sigkey_info **out, size_t *count)
{
    EID_NEED(database && key && out && count);
    eid_identity *found;
    size_t found_count;
    EID_TRY(eid_core_find_identities(database->core, &database->root, key, &found, &found_count));
    eid_status status = write_infos(found, found_count, out);
    if (status == EID_OK)
        *count = found_count;
    eid_identities_free(found, found_count);
    return status;
}
