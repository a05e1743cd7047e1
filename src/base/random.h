/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness from the operating system, and version 4 UUIDs. */
#ifndef EID_BASE_RANDOM_H
#define EID_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

void eid_random_bytes(void *out, size_t len);
uint64_t eid_random_u64(void);

typedef struct eid_uuid {
    uint8_t bytes[16];
} eid_uuid;

#define EID_UUID_TEXT_SIZE 37 /* 36 characters and the zero */
void eid_uuid_new(eid_uuid *out); /* version 4, RFC 9562 section 5.4 */
void eid_uuid_format(const eid_uuid *uuid, char out[EID_UUID_TEXT_SIZE]); /* lower-case hyphenated */
/* Accepts the hyphenated form in either case, the 32-digit form, `{…}` and `urn:uuid:…`; false for anything else. */
bool eid_uuid_parse(eid_slice text, eid_uuid *out);

#endif
