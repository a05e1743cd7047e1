/* SPDX-License-Identifier: Apache-2.0 */
/* An Iroh relay: forwards sealed datagrams between endpoints that can not reach each other, by their keys.
 *
 * It sees who talks to whom and how much, never what. Both this library's peers and Iroh's own can use it. Every endpoint that
 * connects has to prove its key; beyond that everybody is served, within the limits. A relay has threads of its own and needs no
 * instance.
 */
#ifndef EIDETICA_RELAY_H
#define EIDETICA_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include <eidetica/export.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_relay eid_relay;

typedef struct eid_relay_options {
    size_t struct_size;
    const char *bind_address;     /* numeric, such as "0.0.0.0:443"; port 0 picks one */
    const char *certificate_pem;  /* with private_key_pem: TLS. Texts, not file names. Without: for a proxy that does it, or tests */
    const char *private_key_pem;
    uint32_t clients;             /* connected at a time; 0: 4096 */
    uint32_t clients_per_host;    /* of one remote address; 0: 64 */
    uint64_t bytes_per_second;    /* taken from each client; 0: as fast as they come */
} eid_relay_options;
#define EID_RELAY_OPTIONS_INIT {sizeof(eid_relay_options), NULL, NULL, NULL, 0, 0, 0}

/* Starts it; `options` is not needed afterwards. EID_ERR_SERVER_BIND; EID_ERR_INVALID_ARGUMENT without an address, and for half of
 * a certificate. Stop with eid_relay_stop. */
EID_API eid_status eid_relay_start(const eid_relay_options *options, eid_relay **out);
/* Ends every connection and frees; waits for it. NULL is allowed. */
EID_API void eid_relay_stop(eid_relay *relay);

/* Where it listens: "0.0.0.0:40123". Lent. */
EID_API const char *eid_relay_address(const eid_relay *relay);

typedef struct eid_relay_stats {
    size_t struct_size;
    uint64_t clients;   /* connected and proven */
    uint64_t accepted;  /* since the start */
    uint64_t refused;   /* proved nothing */
    uint64_t forwarded; /* frames of datagrams … */
    uint64_t bytes;     /* … and what was in them */
    uint64_t dropped;   /* frames for nobody, or for somebody who takes them too slowly */
} eid_relay_stats;
/* Set struct_size before. Any thread. */
EID_API void eid_relay_get_stats(eid_relay *relay, eid_relay_stats *out);

#ifdef __cplusplus
}
#endif
#endif
