/* SPDX-License-Identifier: Apache-2.0 */
/* New private files, written whole or not at all. */
#ifndef EID_BASE_FILE_H
#define EID_BASE_FILE_H

#include <stddef.h>

#include "base/status.h"

/* Makes a new file of mode 0600 and opens it for writing. EID_ERR_ALREADY_EXISTS when there is anything under that name, a
 * dangling link included; EID_ERR_READ_ONLY, EID_ERR_DISK_FULL, EID_ERR_IO. */
eid_status eid_file_create(const char *path, int *fd);
eid_status eid_file_write(int fd, const char *path, const void *data, size_t len);
/* Closes the file when it and its name are on the disk; on failure the file is gone. */
eid_status eid_file_finish(int fd, const char *path);
/* Closes and removes it; the last error stays as it is. */
void eid_file_discard(int fd, const char *path);

/* The status and sentence of a failed system call. */
eid_status eid_file_failure(int error, const char *path, const char *doing);

#endif
