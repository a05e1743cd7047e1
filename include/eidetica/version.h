/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the headers, and of the library that is linked. */
#ifndef EIDETICA_VERSION_H
#define EIDETICA_VERSION_H

#include <eidetica/export.h>

#define EID_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the linked library, such as "0.1.0". Static text. */
EID_API const char *eid_version(void);

#ifdef __cplusplus
}
#endif
#endif
