/* SPDX-License-Identifier: Apache-2.0 */
/* Signature keys as values: making, copying, comparing, freeing. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/cbor.h"
#include "entry/entry_int.h"

void eid_sigkey_free(eid_sigkey *sigkey)
{
    for (size_t i = 0; i < sigkey->path_count; i++)
        eid_free(sigkey->path[i].tips);
    eid_free(sigkey->path);
    eid_free(sigkey->hint.name);
    memset(sigkey, 0, sizeof *sigkey);
}

void eid_sigkey_direct(const eid_pubkey *pubkey, eid_sigkey *out)
{
    eid_pubkey key = *pubkey;
    memset(out, 0, sizeof *out);
    out->hint.has_pubkey = true;
    out->hint.pubkey = key;
}

void eid_sigkey_global(const eid_pubkey *pubkey, eid_sigkey *out)
{
    eid_sigkey_direct(pubkey, out);
    out->hint.is_global = true;
}

eid_status eid_sigkey_named(eid_slice name, eid_sigkey *out)
{
    if (!eid_utf8_valid(name))
        return eid_fail(EID_ERR_UTF8, "the name of a key must be UTF-8 text");
    char *copy = eid_memdup(name.data, name.len);
    if (copy == NULL)
        return eid_fail_memory();
    memset(out, 0, sizeof *out);
    out->hint.name = copy;
    out->hint.name_len = name.len;
    return EID_OK;
}

static bool hint_equal(const eid_key_hint *a, const eid_key_hint *b)
{
    if (a->has_pubkey != b->has_pubkey || a->is_global != b->is_global)
        return false;
    if (a->has_pubkey && !eid_pubkey_equal(&a->pubkey, &b->pubkey))
        return false;
    if (a->name == NULL || b->name == NULL)
        return a->name == b->name;
    return eid_slice_equal(eid_slice_of(a->name, a->name_len), eid_slice_of(b->name, b->name_len));
}

static bool step_equal(const eid_delegation_step *a, const eid_delegation_step *b)
{
    if (!eid_id_equal(&a->tree, &b->tree) || a->tip_count != b->tip_count)
        return false;
    for (size_t i = 0; i < a->tip_count; i++) {
        if (!eid_id_equal(&a->tips[i], &b->tips[i]))
            return false;
    }
    return true;
}

bool eid_sigkey_equal(const eid_sigkey *a, const eid_sigkey *b)
{
    if (a->is_delegation != b->is_delegation || a->path_count != b->path_count ||
        !hint_equal(&a->hint, &b->hint))
        return false;
    for (size_t i = 0; i < a->path_count; i++) {
        if (!step_equal(&a->path[i], &b->path[i]))
            return false;
    }
    return true;
}

eid_status eid_sigkey_copy(const eid_sigkey *sigkey, eid_sigkey *out)
{
    eid_draft_sigkey view;
    EID_TRY(eid_draft_sigkey_view(sigkey, &view));
    return eid_draft_sigkey_copy(&view, out);
}

/* ---- the form inside drafts ---- */

bool eid_draft_sigkey_hint_is_set(const eid_draft_sigkey *sigkey)
{
    return sigkey->has_pubkey || sigkey->name.present;
}

static eid_status fail_steps(size_t count)
{
    return eid_fail(EID_ERR_LIMIT, "a delegation path of %zu steps is longer than the %d allowed", count,
                    EID_LIMIT_DELEGATION_STEPS);
}

eid_status eid_draft_sigkey_view(const eid_sigkey *sigkey, eid_draft_sigkey *out)
{
    if (sigkey->path_count > EID_LIMIT_DELEGATION_STEPS)
        return fail_steps(sigkey->path_count);
    memset(out, 0, sizeof *out);
    out->is_delegation = sigkey->is_delegation;
    out->has_pubkey = sigkey->hint.has_pubkey;
    out->is_global = sigkey->hint.is_global;
    out->pubkey = sigkey->hint.pubkey;
    out->name.present = sigkey->hint.name != NULL;
    out->name.data = (const uint8_t *)sigkey->hint.name;
    out->name.len = sigkey->hint.name_len;
    /* Only a delegation has a path; it is not written for a direct key. */
    out->step_count = sigkey->is_delegation ? sigkey->path_count : 0;
    for (size_t i = 0; i < out->step_count; i++) {
        out->steps[i].tree = sigkey->path[i].tree;
        out->steps[i].tips.ids = sigkey->path[i].tips;
        out->steps[i].tips.count = sigkey->path[i].tip_count;
    }
    return EID_OK;
}

eid_status eid_draft_sigkey_check(const eid_draft_sigkey *sigkey)
{
    if (sigkey->step_count > EID_LIMIT_DELEGATION_STEPS)
        return fail_steps(sigkey->step_count);
    for (size_t i = 0; i < sigkey->step_count; i++) {
        if (sigkey->steps[i].tips.count > EID_LIMIT_DELEGATION_TIPS)
            return eid_fail(EID_ERR_LIMIT, "a delegation step with %zu tips has more than the %d allowed",
                            sigkey->steps[i].tips.count, EID_LIMIT_DELEGATION_TIPS);
    }
    return EID_OK;
}

eid_status eid_draft_sigkey_copy(const eid_draft_sigkey *sigkey, eid_sigkey *out)
{
    eid_sigkey made = {.is_delegation = sigkey->is_delegation,
                       .hint = {.has_pubkey = sigkey->has_pubkey,
                                .is_global = sigkey->is_global,
                                .pubkey = sigkey->pubkey,
                                .name_len = sigkey->name.present ? sigkey->name.len : 0}};
    if (sigkey->name.present) {
        made.hint.name = eid_memdup(sigkey->name.data, sigkey->name.len);
        if (made.hint.name == NULL)
            goto no_memory;
    }
    if (sigkey->step_count > 0) {
        made.path = eid_alloc_zero(sigkey->step_count, sizeof *made.path);
        if (made.path == NULL)
            goto no_memory;
    }
    for (size_t i = 0; i < sigkey->step_count; i++) {
        const eid_draft_step *step = &sigkey->steps[i];
        made.path_count = i + 1;
        made.path[i].tree = step->tree;
        made.path[i].tips = eid_memdup(step->tips.ids, step->tips.count * sizeof *step->tips.ids);
        if (made.path[i].tips == NULL)
            goto no_memory;
        made.path[i].tip_count = step->tips.count;
    }
    *out = made;
    return EID_OK;

no_memory:
    eid_sigkey_free(&made);
    return eid_fail_memory();
}

/* Canonical key order: name, pubkey, is_global. */
static void write_hint(eid_buf *buf, const eid_draft_sigkey *sigkey)
{
    eid_cbor_write_map(buf, (size_t)sigkey->name.present + sigkey->has_pubkey + sigkey->is_global);
    if (sigkey->name.present) {
        eid_cbor_write_text(buf, "name");
        eid_cbor_write_text_slice(buf, eid_slice_of(sigkey->name.data, sigkey->name.len));
    }
    if (sigkey->has_pubkey) {
        char text[EID_PUBKEY_TEXT_SIZE];
        eid_pubkey_format(&sigkey->pubkey, text);
        eid_cbor_write_text(buf, "pubkey");
        eid_cbor_write_text(buf, text);
    }
    if (sigkey->is_global) {
        eid_cbor_write_text(buf, "is_global");
        eid_cbor_write_bool(buf, true);
    }
}

void eid_draft_sigkey_write(eid_buf *buf, const eid_draft_sigkey *sigkey)
{
    eid_cbor_write_map(buf, 1);
    eid_cbor_write_text(buf, sigkey->is_delegation ? "Delegation" : "Direct");
    eid_cbor_write_map(buf, sigkey->is_delegation ? 2 : 1);
    eid_cbor_write_text(buf, "hint");
    write_hint(buf, sigkey);
    if (!sigkey->is_delegation)
        return;
    eid_cbor_write_text(buf, "path");
    eid_cbor_write_array(buf, sigkey->step_count);
    for (size_t i = 0; i < sigkey->step_count; i++) {
        const eid_draft_step *step = &sigkey->steps[i];
        eid_cbor_write_map(buf, 2);
        eid_cbor_write_text(buf, "tips");
        eid_cbor_write_array(buf, step->tips.count);
        for (size_t j = 0; j < step->tips.count; j++)
            eid_cbor_write_id(buf, &step->tips.ids[j]);
        eid_cbor_write_text(buf, "tree");
        eid_cbor_write_id(buf, &step->tree);
    }
}
