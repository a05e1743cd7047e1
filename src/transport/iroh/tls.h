/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 as Iroh endpoints speak it (iroh-wire.md section 2.2): raw Ed25519 public keys on both sides (RFC
 * 7250), no certificates. The key that is proven is the endpoint's ID. */
#ifndef EID_TRANSPORT_IROH_TLS_H
#define EID_TRANSPORT_IROH_TLS_H

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <eidetica/key.h>

#include "base/status.h"

#define EID_IROH_ALPN "eidetica/v0"

typedef struct eid_iroh_tls eid_iroh_tls;

/* What one session has to do with; stands at the beginning of whatever the session's pointer is. */
typedef struct eid_iroh_tls_end {
    ngtcp2_crypto_conn_ref ref; /* get_conn, for ngtcp2 */
    bool server;
    bool proven;       /* `remote` is the key of the other end */
    eid_pubkey remote; /* a client's: whom it wants, a server's: who came */
} eid_iroh_tls_end;

/* Takes the key's secret half into GnuTLS. Bound to one endpoint; its thread. */
eid_status eid_iroh_tls_new(const eid_keypair *key, const char *alpn, eid_iroh_tls **out);
void eid_iroh_tls_free(eid_iroh_tls *tls); /* NULL is allowed; after all its sessions */

/* A session for one connection. It refuses the handshake when the other end has another key than `remote`
 * (client), no key, no raw one, or another protocol. `end` has to live as long; gnutls_deinit. */
eid_status eid_iroh_tls_session(eid_iroh_tls *tls, eid_iroh_tls_end *end, gnutls_session_t *out);

#endif
