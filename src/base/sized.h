/* SPDX-License-Identifier: Apache-2.0 */
/* Public structs whose first member is `size_t struct_size`, the size they had when the program was compiled. A program built
 * against an older header has a shorter one: only what it has is read and written. */
#ifndef EID_BASE_SIZED_H
#define EID_BASE_SIZED_H

#include <stddef.h>

#include <eidetica/status.h>

/* EID_ERR_INVALID_ARGUMENT for a size that was not set, and for one this library is too old for. `what` names the type. */
eid_status eid_sized_check(const void *given, size_t known, const char *what);
/* Reads what the program gives into `own`, which holds the defaults. Errors as above. */
eid_status eid_sized_take(void *own, size_t known, const void *given, const char *what);
/* Writes as much as the program has room for; its size stays. Nothing when that is not set. */
void eid_sized_give(void *given, const void *own, size_t known);

#endif
