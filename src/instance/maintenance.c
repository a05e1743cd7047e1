/* SPDX-License-Identifier: Apache-2.0 */
/* Care of a data file on behalf of its instance: backups, compaction, sizes, checks, imports. */
#include <eidetica/maintenance.h>

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "instance/instance_int.h"
#include "instance/url.h"

/* ---- Backups ---- */

static eid_status copy_pages(eid_storage *storage, eid_sql_backup *backup, eid_progress_callback progress, void *ctx)
{
    bool finished = false;
    while (!finished) {
        uint64_t done, total;
        eid_storage_lock(storage);
        eid_status status = eid_sql_backup_step(backup, &finished, &done, &total);
        eid_storage_unlock(storage);
        EID_TRY(status);
        if (progress != NULL && !progress(done, total, ctx))
            return eid_fail(EID_ERR_CANCELLED, "The backup was stopped by its caller");
    }
    return EID_OK;
}

static eid_status copy_to(eid_storage *storage, const char *path, eid_progress_callback progress, void *ctx)
{
    eid_sql_backup *backup = NULL;
    eid_storage_lock(storage);
    eid_status status = eid_sql_backup_begin(eid_storage_journal(storage), path, &backup);
    eid_storage_unlock(storage);
    EID_TRY(status);
    status = copy_pages(storage, backup, progress, ctx);
    eid_storage_lock(storage);
    if (status == EID_OK)
        status = eid_sql_backup_end(backup);
    else
        eid_sql_backup_end(backup); /* it was not finished, so what it says is no news */
    eid_storage_unlock(storage);
    return status;
}

/* What the engine may leave beside a file that was not finished. */
static void remove_journal(const char *path)
{
    char name[4096];
    int len = snprintf(name, sizeof name, "%s-journal", path);
    if (len > 0 && (size_t)len < sizeof name)
        unlink(name);
}

eid_status eid_instance_backup(eid_instance *instance, const char *path, eid_progress_callback progress, void *ctx)
{
    EID_NEED(instance && path);
    int fd;
    EID_TRY(eid_file_create(path, &fd));
    char text[EID_LIMIT_ERROR_TEXT];
    eid_status status = copy_to(eid_core_storage(instance->core), path, progress, ctx);
    if (status == EID_OK)
        return eid_file_finish(fd, path);
    snprintf(text, sizeof text, "%s", eid_last_error());
    eid_file_discard(fd, path);
    remove_journal(path);
    return eid_fail(status, "%s", text);
}

/* ---- The file ---- */

eid_status eid_instance_sizes(eid_instance *instance, eid_sizes *out)
{
    EID_NEED(instance && out);
    eid_storage *storage = eid_core_storage(instance->core);
    eid_storage_lock(storage);
    eid_status status = eid_storage_sizes(storage, true, out);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_instance_compact(eid_instance *instance, uint64_t *before, uint64_t *after)
{
    EID_NEED(instance);
    eid_storage *storage = eid_core_storage(instance->core);
    uint64_t old_size = 0, new_size = 0;
    eid_storage_lock(storage);
    eid_status status = eid_storage_file_size(storage, &old_size);
    if (status == EID_OK)
        status = eid_storage_compact(storage);
    if (status == EID_OK)
        status = eid_storage_file_size(storage, &new_size);
    eid_storage_unlock(storage);
    EID_TRY(status);
    if (before != NULL)
        *before = old_size;
    if (after != NULL)
        *after = new_size;
    return EID_OK;
}

/* ---- Checks ---- */

eid_status eid_instance_check(eid_instance *instance, const eid_id *id, unsigned flags, eid_check_report *report)
{
    EID_NEED(instance && report);
    return eid_core_check(instance->core, id, flags, report);
}

eid_status eid_check_file(const char *url, unsigned flags, eid_check_report *report)
{
    EID_NEED(url && report);
    char *path;
    eid_core *core;
    EID_TRY(eid_url_to_path(url, &path));
    eid_core_options options = {.path = path, .must_exist = true, .for_check = true, .clock = eid_clock_system};
    eid_status status = eid_core_open(&options, &core);
    eid_free(path);
    EID_TRY(status);
    status = eid_core_check(core, NULL, flags, report);
    eid_core_close(core);
    return status;
}

/* ---- Imports ---- */

eid_status eid_instance_import(eid_instance *instance, const char *path, eid_import_report *report)
{
    EID_NEED(instance && path && report);
    return eid_core_import_file(instance->core, path, report);
}

eid_status eid_instance_import_from(eid_instance *instance, eid_read_bytes read, void *ctx, eid_import_report *report)
{
    EID_NEED(instance && read && report);
    return eid_core_import(instance->core, read, ctx, report);
}
