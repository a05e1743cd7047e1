/* SPDX-License-Identifier: Apache-2.0 */
/* Everything, in one include.
 *
 * What holds for every function: a pointer may be NULL where its header says so, and nowhere else. A function that returns an
 * eid_status answers EID_ERR_INVALID_ARGUMENT to such a NULL, names what is needed in eid_last_error, and has done nothing;
 * a list may be NULL when its length is 0. What ends something (free, close, clear, unref, cancel …) takes NULL and does
 * nothing. Functions that return anything else can not answer: they need what they are given. Callbacks get any context (`ctx`),
 * and may be NULL where they only tell that something is over (`done`). */
#ifndef EIDETICA_EIDETICA_H
#define EIDETICA_EIDETICA_H

#include <eidetica/address.h>
#include <eidetica/auth.h>
#include <eidetica/changes.h>
#include <eidetica/database.h>
#include <eidetica/doc.h>
#include <eidetica/editor.h>
#include <eidetica/entry.h>
#include <eidetica/history.h>
#include <eidetica/id.h>
#include <eidetica/instance.h>
#include <eidetica/iroh.h>
#include <eidetica/key.h>
#include <eidetica/log.h>
#include <eidetica/maintenance.h>
#include <eidetica/memory.h>
#include <eidetica/password_store.h>
#include <eidetica/registry.h>
#include <eidetica/relay.h>
#include <eidetica/status.h>
#include <eidetica/store.h>
#include <eidetica/sync.h>
#include <eidetica/sync_engine.h>
#include <eidetica/sync_peers.h>
#include <eidetica/table.h>
#include <eidetica/user.h>
#include <eidetica/verify.h>
#include <eidetica/version.h>

#endif
