/* SPDX-License-Identifier: Apache-2.0 */
/* New private files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

eid_status eid_file_failure(int error, const char *path, const char *doing)
{
    switch (error) {
    case EEXIST:
        return eid_fail(EID_ERR_ALREADY_EXISTS, "There is something under the name %s already; choose another", path);
    case EACCES:
    case EPERM:
    case EROFS:
        return eid_fail(EID_ERR_READ_ONLY, "%s %s: %s", doing, path, strerror(error));
    case ENOSPC:
    case EDQUOT:
        return eid_fail(EID_ERR_DISK_FULL, "%s %s: the disk is full", doing, path);
    default:
        return eid_fail(EID_ERR_IO, "%s %s: %s", doing, path, strerror(error));
    }
}

eid_status eid_file_create(const char *path, int *fd)
{
    int opened = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (opened < 0)
        return eid_file_failure(errno, path, "Making the file");
    *fd = opened;
    return EID_OK;
}

eid_status eid_file_write(int fd, const char *path, const void *data, size_t len)
{
    const char *rest = data;
    while (len > 0) {
        ssize_t written = write(fd, rest, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return eid_file_failure(errno, path, "Writing");
        rest += written;
        len -= (size_t)written;
    }
    return EID_OK;
}

/* The name of a new file is on the disk when its folder is. */
static eid_status sync_folder(const char *path)
{
    char *folder = eid_strdup(path);
    if (folder == NULL)
        return eid_fail_memory();
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash == NULL ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    /* Some file systems have no way to sync a folder: then there is nothing to wait for. */
    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL)
        error = errno;
    if (fd >= 0)
        close(fd);
    /* A folder that may be written but not read can not be synced by us. */
    eid_status status = error == 0 || error == EACCES ? EID_OK : eid_file_failure(error, path, "Writing the folder of");
    eid_free(folder);
    return status;
}

eid_status eid_file_finish(int fd, const char *path)
{
    eid_status status = EID_OK;
    if (fsync(fd) != 0)
        status = eid_file_failure(errno, path, "Writing");
    if (status == EID_OK)
        status = sync_folder(path);
    if (status != EID_OK) {
        eid_file_discard(fd, path);
        return status;
    }
    close(fd);
    return EID_OK;
}

void eid_file_discard(int fd, const char *path)
{
    close(fd);
    unlink(path);
}
