/* SPDX-License-Identifier: Apache-2.0 */
/* Instance URLs (spec users.md section 2). */
#ifndef EID_INSTANCE_URL_H
#define EID_INSTANCE_URL_H

#include "base/status.h"

/* The path the storage opens: a file name, or ":memory:". Free with eid_free. EID_ERR_INVALID_URL;
 * EID_ERR_UNSUPPORTED for the schemes other builds have. */
eid_status eid_url_to_path(const char *url, char **path);

#endif
