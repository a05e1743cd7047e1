/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an Iroh endpoint's address: what is accepted is written as a ticket that means the same. */
#include "fuzz/fuzz.h"
#include "transport/iroh/addr.h"
#include <eidetica/memory.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_iroh_addr addr, again;
    char *ticket, *second;
    if (eid_iroh_addr_parse(eid_slice_of(data, size), &addr) != EID_OK)
        return 0;
    /* Many short names in JSON may make a ticket that is too long. */
    if (eid_iroh_addr_format(&addr, &ticket) == EID_OK) {
        FUZZ_CHECK(eid_iroh_addr_parse(eid_slice_text(ticket), &again) == EID_OK);
        FUZZ_CHECK(eid_pubkey_equal(&addr.id, &again.id));
        FUZZ_CHECK(addr.relay_count == again.relay_count && addr.direct_count == again.direct_count);
        FUZZ_CHECK(eid_iroh_addr_format(&again, &second) == EID_OK);
        FUZZ_CHECK(strcmp(ticket, second) == 0);
        eid_iroh_addr_clear(&again);
        eid_free(second);
        eid_free(ticket);
    }
    eid_iroh_addr_clear(&addr);
    return 0;
}
