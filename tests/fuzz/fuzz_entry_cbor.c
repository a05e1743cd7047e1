/* SPDX-License-Identifier: Apache-2.0 */
/* The DAG-CBOR reader of entries on any bytes. */
#include "fuzz/fuzz_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_entry *entry;
    if (eid_entry_from_cbor(data, size, &entry) == EID_OK)
        check_entry(entry);
    return 0;
}
