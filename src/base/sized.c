/* SPDX-License-Identifier: Apache-2.0 */
/* Public structs with a size of their own, see sized.h. */
#include "base/sized.h"

#include <string.h>

#include "base/status.h"

static size_t size_of(const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

eid_status eid_sized_check(const void *given, size_t known, const char *what)
{
    if (size_of(given) < sizeof(size_t))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "struct_size of %s is not set: it is sizeof the struct", what);
    if (size_of(given) > known)
        return eid_fail(EID_ERR_INVALID_ARGUMENT,
                        "%s has more fields than this library knows: it is older than the headers the program was built with", what);
    return EID_OK;
}

eid_status eid_sized_take(void *own, size_t known, const void *given, const char *what)
{
    EID_TRY(eid_sized_check(given, known, what));
    memcpy(own, given, size_of(given));
    memcpy(own, &known, sizeof known);
    return EID_OK;
}

void eid_sized_give(void *given, const void *own, size_t known)
{
    size_t size = size_of(given) < known ? size_of(given) : known;
    if (size > sizeof size)
        memcpy((char *)given + sizeof size, (const char *)own + sizeof size, size - sizeof size);
}
