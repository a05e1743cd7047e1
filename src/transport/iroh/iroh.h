/* SPDX-License-Identifier: Apache-2.0 */
/* The Iroh transport for the other files of the layer. */
#ifndef EID_TRANSPORT_IROH_IROH_H
#define EID_TRANSPORT_IROH_IROH_H

#include <eidetica/iroh.h>

/* Adds the transport that is kept under this name, unless it is there. EID_ERR_NOT_FOUND,
 * EID_ERR_TYPE_MISMATCH. */
eid_status eid_iroh_transport_restore(eid_sync *sync, const char *name);

#endif
