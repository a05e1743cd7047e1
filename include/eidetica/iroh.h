/* SPDX-License-Identifier: Apache-2.0 */
/* Iroh as a transport of sync: peers are dialled by key, over QUIC, at the addresses their tickets name. */
#ifndef EIDETICA_IROH_H
#define EIDETICA_IROH_H

#include <eidetica/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At which relays (eidetica/relay.h) a server can be found by who has no direct way to it; its tickets name them. Those that other
 * peers' tickets name are used in every mode. The public relays of the default and staging modes are not used yet: these two behave
 * as EID_IROH_RELAY_DISABLED. */
typedef enum eid_iroh_relay_mode {
    EID_IROH_RELAY_DEFAULT = 0,
    EID_IROH_RELAY_STAGING = 1,
    EID_IROH_RELAY_DISABLED = 2,
    EID_IROH_RELAY_CUSTOM = 3 /* those of eid_iroh_config_add_relay */
} eid_iroh_relay_mode;

typedef struct eid_iroh_config eid_iroh_config;
EID_API eid_status eid_iroh_config_new(eid_iroh_config **out); /* default relays; free with eid_iroh_config_free */
EID_API void eid_iroh_config_free(eid_iroh_config *config);    /* NULL is allowed */
EID_API eid_status eid_iroh_config_set_relay_mode(eid_iroh_config *config, eid_iroh_relay_mode mode);
EID_API eid_iroh_relay_mode eid_iroh_config_relay_mode(const eid_iroh_config *config);
/* "https://relay.example.com/"; the mode becomes EID_IROH_RELAY_CUSTOM. EID_ERR_INVALID_ADDRESS, EID_ERR_LIMIT. */
EID_API eid_status eid_iroh_config_add_relay(eid_iroh_config *config, const char *url);
EID_API size_t eid_iroh_config_relay_count(const eid_iroh_config *config);
EID_API const char *eid_iroh_config_relay(const eid_iroh_config *config, size_t index); /* lent; NULL beyond the last */
/* Where a server binds its UDP socket when it is told no numeric address: "192.0.2.7:4433", "[::]:0"; NULL: any port of every
 * address. EID_ERR_INVALID_ADDRESS. */
EID_API eid_status eid_iroh_config_set_bind_address(eid_iroh_config *config, const char *bind_address);

/* Under the name "iroh", as it was configured when a transport of this name was added before, else with the defaults. Asked for
 * again it changes nothing. Starts the engine. The endpoint has a key of its own, made the first time and kept as the named
 * key "iroh" of the instance. */
EID_API eid_status eid_sync_enable_iroh_transport(eid_sync *sync);
/* The same with this configuration, which is copied and kept in `_sync`; one that has the name is stopped and replaced. */
EID_API eid_status eid_sync_enable_iroh_transport_with_config(eid_sync *sync, const eid_iroh_config *config);
/* Another one, under a name of this instance, without dots, which is its key's name as well.
 *
 * A server of this transport (eid_sync_start_server, eid_sync_accept_connections) ignores a bind address that is not numeric.
 * Its address, eid_sync_get_server_address, is an endpoint ticket with the direct addresses of the moment. */
EID_API eid_status eid_sync_add_iroh_transport(eid_sync *sync, const char *name, const eid_iroh_config *config);

#ifdef __cplusplus
}
#endif
#endif
