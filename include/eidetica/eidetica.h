/* SPDX-License-Identifier: Apache-2.0 */
/* Everything, in one include. */
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
#include <eidetica/key.h>
#include <eidetica/log.h>
#include <eidetica/maintenance.h>
#include <eidetica/memory.h>
#include <eidetica/password_store.h>
#include <eidetica/registry.h>
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
