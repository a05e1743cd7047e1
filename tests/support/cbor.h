/* SPDX-License-Identifier: Apache-2.0 */
/* Writing what was read. */
#ifndef EID_TESTS_CBOR_H
#define EID_TESTS_CBOR_H

#include "codec/cbor.h"

/* Appends the item as its canonical bytes; of an array or map its head. */
void tc_write_item(eid_buf *buf, const eid_cbor_item *item);

#endif
