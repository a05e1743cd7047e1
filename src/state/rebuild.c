/* SPDX-License-Identifier: Apache-2.0 */
/* The state's part in making the index again: cells follow from entries in order of arrival, by the code that made them. */
#include "state/state_int.h"

static eid_status replay(eid_storage *storage, void **batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    eid_status status = EID_OK;
    if (entry != NULL) {
        if (*batch == NULL)
            EID_TRY(eid_state_batch_new(storage, (eid_state_batch **)batch));
        return eid_state_apply(*batch, tree, entry, n);
    }
    if (n == 0 && *batch != NULL)
        status = eid_state_batch_finish(*batch);
    if (n < 0 || status == EID_OK) {
        eid_state_batch_free(*batch);
        *batch = NULL;
    }
    return status;
}

void eid_state_attach(eid_storage *storage)
{
    eid_storage_set_replay(storage, replay);
}
