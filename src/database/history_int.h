/* SPDX-License-Identifier: Apache-2.0 */
/* Small things history, differences and the change feed share. */
#ifndef EID_DATABASE_HISTORY_INT_H
#define EID_DATABASE_HISTORY_INT_H

#include "database/database_int.h"

/* Cursors are PREFIX NUMBER ":" ID. The number fits a signed one. EID_ERR_SYNTAX. */
eid_status eid_cursor_parse(const char *text, const char *prefix, uint64_t *number, eid_id *id);
eid_status eid_cursor_format(const char *prefix, uint64_t number, const eid_id *id, char **out);

/* What the entry wrote under a top-level key of the store; *out NULL when nothing. The caller frees it. */
eid_status eid_entry_child(const eid_entry *entry, eid_slice store, eid_slice key, eid_value **out);

#endif
