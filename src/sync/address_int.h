/* SPDX-License-Identifier: Apache-2.0 */
/* The record behind eid_address, for the message code which makes many of them. */
#ifndef EID_SYNC_ADDRESS_INT_H
#define EID_SYNC_ADDRESS_INT_H

#include <eidetica/address.h>

#include "base/slice.h"

struct eid_address {
    char *transport; /* UTF-8 without zero bytes, may be empty in what peers send */
    char *text;      /* likewise; stands in the same block as `transport` */
};

/* eid_address_new for texts that are not zero-terminated. */
eid_status eid_address_make(eid_slice transport, eid_slice text, eid_address **out);
bool eid_address_equal(const eid_address *a, const eid_address *b);

#endif
