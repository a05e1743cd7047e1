/* SPDX-License-Identifier: Apache-2.0 */
/* The record behind eid_iroh_config. */
#ifndef EID_TRANSPORT_IROH_CONFIG_INT_H
#define EID_TRANSPORT_IROH_CONFIG_INT_H

#include <eidetica/iroh.h>

#include "transport/iroh/addr.h"

struct eid_iroh_config {
    eid_iroh_relay_mode mode;
    char *relays[EID_LIMIT_ENDPOINT_RELAYS]; /* normal forms */
    size_t relay_count;
    bool has_bind;
    eid_sockaddr bind;
};

/* {"relay_mode":"Default"|"Staging"|"Disabled"|"Custom"}, the last with "relays":[…]; "bind_address" when
 * there is one. The Rust implementation writes and reads the first three forms. eid_doc_free. */
eid_status eid_iroh_config_write(const eid_iroh_config *config, eid_doc **out);
/* EID_ERR_CORRUPT. */
eid_status eid_iroh_config_read(const eid_doc *doc, eid_iroh_config **out);

#endif
