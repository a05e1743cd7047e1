/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: every entry that arrives in a database, in the order of arrival, for programs with their own loop.
 *
 *     eid_changes_open(database, NULL, NULL, &feed);
 *     ... poll(eid_changes_fd(feed), POLLIN) ...
 *     while (eid_changes_next(feed, &change) == EID_OK && change.kind != EID_CHANGE_NONE) {
 *         ... change.entry ...
 *         eid_entry_unref(change.entry);
 *     }
 *
 * Entries that are not read yet wait in the data file, not in memory: a feed takes the same few kilobytes however far
 * behind its reader is, it never overflows, and no entry is skipped or repeated. Only where an entry came from (here or a
 * peer) is not in the file and is forgotten when very many are unread.
 *
 * A feed belongs to one thread at a time; writers may be on any.
 */
#ifndef EIDETICA_CHANGES_H
#define EIDETICA_CHANGES_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_changes eid_changes;

typedef enum eid_change_kind {
    EID_CHANGE_NONE = 0,    /* nothing waits */
    EID_CHANGE_LOCAL = 1,   /* written by this process */
    EID_CHANGE_REMOTE = 2,  /* received from elsewhere */
    EID_CHANGE_EARLIER = 3  /* before the feed was opened, or too long unread to know: local or remote */
} eid_change_kind;

typedef struct eid_change {
    eid_change_kind kind;
    eid_entry *entry;       /* eid_entry_unref it; NULL with EID_CHANGE_NONE */
} eid_change;

/* Opens a feed of the database, or of the entries that take part in one store (`store` NULL: all; the store need not exist
 * yet). `cursor` NULL: from now on; otherwise everything behind the place where eid_changes_cursor was asked, also in an
 * earlier run of the program: "" is the place before the first entry.
 * EID_ERR_SYNTAX for text that is not a cursor; EID_ERR_NOT_FOUND for a cursor of another data file (arrival orders differ
 * from file to file): start with "" and take what comes as known or not by its ID. EID_ERR_IO when the system has no file
 * descriptors left. Close it before the database handle. */
EID_API eid_status eid_changes_open(eid_database *database, const char *store, const char *cursor, eid_changes **out);
EID_API void eid_changes_close(eid_changes *feed); /* NULL is allowed */

/* A descriptor to wait on (poll, epoll, select, an event loop): readable from the moment something waits until
 * eid_changes_next has answered EID_CHANGE_NONE. Do not read, write or close it; it lives as long as the feed. */
EID_API int eid_changes_fd(const eid_changes *feed);

/* The next entry in order of arrival; parents come before their children. Never waits for new ones: when there are none,
 * the answer is EID_OK and EID_CHANGE_NONE. After a failure the same entry comes again. */
EID_API eid_status eid_changes_next(eid_changes *feed, eid_change *out);

/* The place behind the entry handed out last, as text to be stored; for this data file and its backups only. Free with
 * eid_free. */
EID_API eid_status eid_changes_cursor(const eid_changes *feed, char **out);

#ifdef __cplusplus
}
#endif
#endif
