/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the library as it was built, which may differ from the headers a program was compiled with.
 */
#include <eidetica/version.h>

const char *eid_version(void)
{
    return EID_VERSION;
}
