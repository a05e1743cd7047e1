/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of CAR files share: bytes in memory as source and target, and a small database. */
#ifndef EID_TESTS_CAR_TEST_H
#define EID_TESTS_CAR_TEST_H

#include <eidetica/maintenance.h>

#include "random_database.h"

typedef struct bytes {
    uint8_t *data;
    size_t len;
    size_t at;
    size_t step;         /* given at a time when reading; 0: as much as is asked for */
    size_t calls_left;   /* before a failure; 0: never */
} bytes;

/* For exporting into and importing from a `bytes`. A failure is EID_ERR_NETWORK, "the line is dead". */
eid_status ct_write(const void *data, size_t len, void *ctx);
eid_status ct_read(void *data, size_t size, size_t *len, void *ctx);

bytes ct_export(eid_database *database); /* free() the data */
eid_status ct_import(eid_core *core, const uint8_t *data, size_t len, eid_import_report *report);
/* Nothing in the core that does not follow from its verified entries. */
void ct_assert_sound(eid_core *core);

/* A signed database of five entries in a chain. */
typedef struct material {
    eid_core *core;
    eid_database *database;
    eid_entry **entries;
    size_t count;
} material;
material ct_material(void);
void ct_material_free(material *mat);

#endif
