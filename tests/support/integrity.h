/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what a data file says about its databases follows from the entries it holds: nothing lost, nothing half
 * done, nothing left over. For after crashes, refused calls and hostile histories. */
#ifndef EID_TESTS_INTEGRITY_H
#define EID_TESTS_INTEGRITY_H

#include "database/database.h"

/* Recomputes tips, counts, participation and states of the database from its entries and compares them with what
 * the storage and the cells say. The entries are read once; 100 000 take about a second. */
void ti_check_database(eid_core *core, const eid_id *database);
/* Every database of the core, and rows that belong to none. */
void ti_check_core(eid_core *core);

/* One number from the data file. The text must be a literal. The lock must not be held. */
int64_t ti_number(eid_core *core, const char *sql);
int64_t ti_storage_number(eid_storage *storage, const char *sql);

#endif
