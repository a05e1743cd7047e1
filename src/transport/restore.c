/* SPDX-License-Identifier: Apache-2.0 */
/* Making the transports again that `_sync` keeps. */
#include "base/limits.h"
#include "transport/http_int.h"
#include "transport/iroh/iroh.h"

/* Whichever knows the type of what is kept. */
static eid_status restore(eid_sync *sync, const char *name)
{
    eid_status status = eid_iroh_transport_restore(sync, name);
    return status == EID_ERR_TYPE_MISMATCH ? eid_http_transport_restore(sync, name) : status;
}

typedef struct restoring {
    eid_buf sentences;
    eid_status first; /* failure */
} restoring;

static eid_status restore_next(eid_sync *sync, const char *name, void *ctx)
{
    restoring *r = ctx;
    eid_status status = restore(sync, name);
    if (status == EID_OK || status == EID_ERR_NO_MEMORY)
        return status;
    eid_buf_appendf(&r->sentences, "%s%s: %s", r->first == EID_OK ? "" : ", ", name, eid_last_error());
    r->first = r->first == EID_OK ? status : r->first;
    return EID_OK;
}

eid_status eid_sync_restore_transports(eid_sync *sync)
{
    EID_NEED(sync);
    restoring r = {.first = EID_OK};
    eid_buf_init(&r.sentences, EID_LIMIT_ERROR_TEXT);
    eid_status status = eid_sync_each_kept_transport(sync, restore_next, &r);
    if (status == EID_OK && r.first != EID_OK)
        status = eid_fail(r.first, "Multiple transport errors: %s",
                          r.sentences.data != NULL ? (const char *)r.sentences.data : "");
    eid_buf_free(&r.sentences);
    return status;
}
