/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an address and as a ticket: a ticket that is accepted is written as one that means the same. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "sync/address_int.h"
#include <eidetica/memory.h>

static void check_address(const char *text)
{
    eid_address *address;
    if (eid_address_detect(text, &address) != EID_OK)
        return;
    if (strcmp(eid_address_transport(address), "http") == 0) {
        eid_address *again;
        FUZZ_CHECK(eid_address_http(eid_address_text(address), &again) == EID_OK);
        FUZZ_CHECK(eid_address_equal(address, again));
        eid_address_free(again);
    } else {
        FUZZ_CHECK(strcmp(eid_address_transport(address), "iroh") == 0);
        FUZZ_CHECK(eid_address_text(address)[0] != '\0');
    }
    eid_address_free(address);
}

static void check_same(const eid_ticket *a, const eid_ticket *b)
{
    FUZZ_CHECK(eid_id_equal(eid_ticket_database_id(a), eid_ticket_database_id(b)));
    FUZZ_CHECK(eid_ticket_address_count(a) == eid_ticket_address_count(b));
    for (size_t i = 0; i < eid_ticket_address_count(a); i++)
        FUZZ_CHECK(eid_address_equal(eid_ticket_address(a, i), eid_ticket_address(b, i)));
}

static void check_ticket(const char *text)
{
    eid_ticket *ticket, *again;
    char *formatted;
    if (eid_ticket_detect(text, &ticket) != EID_OK)
        return;
    /* Escaping may make it longer than a ticket can be. */
    if (eid_ticket_format(ticket, &formatted) == EID_OK) {
        FUZZ_CHECK(eid_ticket_parse(formatted, &again) == EID_OK);
        check_same(ticket, again);
        eid_ticket_free(again);
        eid_free(formatted);
    }
    eid_ticket_free(ticket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_address(text);
    check_ticket(text);
    free(text);
    return 0;
}
