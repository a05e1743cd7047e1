/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the tests of CAR files. */
#include "car_test.h"

#include <stdlib.h>

/* ---- Bytes in memory ---- */

eid_status ct_write(const void *data, size_t len, void *ctx)
{
    bytes *b = ctx;
    if (b->calls_left > 0 && --b->calls_left == 0)
        return eid_fail(EID_ERR_NETWORK, "the line is dead");
    b->data = realloc(b->data, b->len + len + 1);
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return EID_OK;
}

eid_status ct_read(void *data, size_t size, size_t *len, void *ctx)
{
    bytes *b = ctx;
    if (b->calls_left > 0 && --b->calls_left == 0)
        return eid_fail(EID_ERR_NETWORK, "the line is dead");
    size_t left = b->len - b->at;
    *len = left < size ? left : size;
    if (b->step > 0 && *len > b->step)
        *len = b->step;
    memcpy(data, b->data + b->at, *len);
    b->at += *len;
    return EID_OK;
}

bytes ct_export(eid_database *database)
{
    bytes b = {0};
    tu_assert_ok(eid_database_export_to(database, ct_write, &b));
    return b;
}

eid_status ct_import(eid_core *core, const uint8_t *data, size_t len, eid_import_report *report)
{
    bytes b = {.data = (uint8_t *)(uintptr_t)data, .len = len};
    memset(report, 0, sizeof *report);
    return eid_core_import(core, ct_read, &b, report);
}

void ct_assert_sound(eid_core *core)
{
    eid_check_report report;
    tu_assert_ok(eid_core_check(core, NULL, EID_CHECK_SIGNATURES, &report));
    if (report.problems > 0)
        fail_msg("after the import: %s", report.text);
}

/* ---- A small database ---- */

material ct_material(void)
{
    material mat = {.core = dt_memory()};
    mat.database = dt_create(mat.core);
    for (int i = 0; i < 4; i++)
        dt_commit_int(mat.database, "s", "k", i);
    mat.entries = dt_entries(mat.core, eid_database_root_id(mat.database), &mat.count);
    assert_int_equal(mat.count, 5);
    return mat;
}

void ct_material_free(material *mat)
{
    th_free_entries(mat->entries, mat->count);
    eid_database_close(mat->database);
    eid_core_close(mat->core);
}
