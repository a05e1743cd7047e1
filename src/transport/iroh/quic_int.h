/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of an endpoint share.
 *
 * endpoint.c takes datagrams apart and finds their connection, conn.c is one connection, stream.c one
 * request, peers.c decides which connection a request goes over and makes them. ngtcp2 may not be entered
 * from its own callbacks and nobody likes to be freed under his feet: so callbacks only mark what happened,
 * and eid_iroh_settle, which runs once in each turn of the loop, tells results, opens streams, writes packets
 * and frees.
 */
#ifndef EID_TRANSPORT_IROH_QUIC_INT_H
#define EID_TRANSPORT_IROH_QUIC_INT_H

#include <ngtcp2/ngtcp2.h>

#include "base/map.h"
#include "transport/iroh/endpoint.h"
#include "transport/iroh/tls.h"

#define EID_IROH_CID 8 /* bytes of our connection IDs */

typedef struct eid_iroh_conn eid_iroh_conn;
typedef struct eid_iroh_stream eid_iroh_stream;
typedef struct eid_iroh_peer eid_iroh_peer;

/* Two-way lists through records, so that each can leave in O(1). */
typedef struct eid_link {
    struct eid_link *previous, *next; /* both NULL: in no list */
} eid_link;
void eid_link_init(eid_link *head);
void eid_link_push(eid_link *head, eid_link *link); /* at the end */
void eid_link_remove(eid_link *link);               /* nothing happens to one that is in no list */
static inline bool eid_link_is_empty(const eid_link *head)
{
    return head->next == head;
}
#define EID_LINK_OF(type, link, member) ((type *)(void *)((uint8_t *)(link)-offsetof(type, member)))

/* One request, ours or a peer's. */
struct eid_iroh_stream {
    eid_iroh_conn *conn; /* NULL: ours waits in its peer's queue, a peer's has lost its connection */
    int64_t id;
    bool incoming;
    bool ended;    /* everything came, or it failed: stands in the endpoint's list until that is told */
    bool handling; /* a peer's: with the handler, which has the record until it is done */
    bool counted;  /* a peer's: among the endpoint's open requests */
    bool again;    /* ours: was sent over a connection that turned out to be dead; once is enough */
    bool out_all;  /* ngtcp2 has all bytes and the end */
    uint8_t *out;  /* what we send, kept until the stream is closed: QUIC may need it again */
    size_t out_len, out_at;
    eid_buf in;             /* what came, the end of which is `ended` */
    eid_exchange *exchange; /* ours, until it was told; its answer takes the bytes in place of `in` */
    eid_status status;
    char *sentence; /* of a failure; NULL: memory ran out for it */
    uint64_t started_ms;     /* a peer's: or when its answer was ready */
    uint64_t heard_ms;
    eid_link of_owner; /* conn's streams, or the peer's queue */
    eid_link to_write; /* conn's streams with something to send */
    eid_link to_tell;  /* endpoint's */
    eid_link of_calls; /* ours: all of the endpoint's, for their deadlines */
    eid_iroh_endpoint *endpoint;
    /* A peer's, with the handler: */
    eid_work work;
    eid_request_handler handler;
    void *handler_ctx;
    eid_buf answer;
    char remote[EID_IROH_ID_TEXT_SIZE];
};

typedef enum eid_iroh_conn_state {
    EID_CONN_HANDSHAKE,
    EID_CONN_OPEN,
    EID_CONN_ENDED /* closed by either; only answers late packets now */
} eid_iroh_conn_state;

struct eid_iroh_conn {
    eid_iroh_tls_end tls; /* first: the session's pointer */
    eid_iroh_endpoint *endpoint;
    ngtcp2_conn *quic; /* NULL once it has ended */
    gnutls_session_t session; /* NULL after the handshake */
    eid_iroh_conn_state state;
    eid_iroh_carrier *carrier;
    eid_sockaddr remote_address;
    eid_iroh_peer *peer; /* known when the handshake is over, from the start for ours */
    uv_timer_t timer;
    ngtcp2_cid cids[EID_LIMIT_IROH_CIDS]; /* under which it is found */
    size_t cid_count;
    eid_link streams;
    eid_link to_write;
    eid_link of_endpoint; /* all that have not ended */
    eid_link of_peer;
    eid_link dirty;                      /* endpoint's: has something to write */
    bool ready;                          /* the handshake was completed just now: the peer has to be told */
    bool used;                           /* an answer has come over it */
    uint64_t used_ms;                    /* last request, either way */
    ngtcp2_connection_close_error error; /* what it is closed with */
    uint8_t *farewell;                   /* the packet that says so, for late ones */
    size_t farewell_len;
    uint32_t late; /* packets that came after it */
};

struct eid_iroh_peer {
    eid_iroh_endpoint *endpoint;
    eid_iroh_addr addr; /* the ways that were given last */
    eid_link conns;     /* with it, all states but ended */
    eid_link waiting;   /* requests without a stream */
    size_t attempts;    /* ours whose handshake goes on */
    bool by_relay;      /* a relay is to be tried, … */
    uint64_t relay_at_ms; /* … not before */
    bool outside_only;  /* a stranger told of it: to no relay at a special address */
    eid_link to_push;   /* endpoint's: waiting requests may go on */
};

struct eid_iroh_endpoint {
    eid_host *host;
    uv_loop_t *loop;
    eid_pubkey id;
    eid_iroh_tls *tls;
    uint8_t reset_secret[32];
    uint8_t retry_secret[32];
    size_t request_max, half_open_max;
    eid_iroh_carrier *carriers;
    eid_keypair *key; /* for relays */
    struct eid_iroh_relay_use *relays[EID_LIMIT_IROH_RELAYS];
    size_t relay_count;
    size_t by_relay; /* peers to be called by a relay */
    bool relays_changed;
    eid_map *cids;  /* connection ID -> connection */
    eid_map *peers; /* endpoint ID -> peer */
    eid_link conns, dirty, to_tell, to_push, calls;
    uv_check_t check; /* settles after packets came */
    uv_idle_t idle;   /* runs while there is something to settle, so that the loop does not wait */
    uv_timer_t tick;  /* deadlines */
    eid_request_handler handler;
    void *handler_ctx;
    size_t open_requests; /* of peers: with the handler, or being answered */
    size_t in_bytes;      /* of bodies that peers are sending */
    size_t handles;       /* libuv's, and requests with the handler: what has to go before the memory can */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    eid_iroh_counts counts;
    uint64_t reset_window_ms; /* stateless resets are counted since then */
    size_t reset_count;
    uint8_t out[EID_LIMIT_IROH_BATCH];
};

/* ---- endpoint.c ---- */
void eid_iroh_wake(eid_iroh_endpoint *endpoint); /* there is something to settle */
uint64_t eid_iroh_now_ms(const eid_iroh_endpoint *endpoint);
eid_iroh_carrier *eid_iroh_carrier_at(eid_iroh_endpoint *endpoint, const ngtcp2_addr *local);
eid_status eid_iroh_cid_add(eid_iroh_conn *conn, const ngtcp2_cid *cid);
void eid_iroh_cid_remove(eid_iroh_conn *conn, const ngtcp2_cid *cid);
/* A handle or a piece of work is gone; the last one frees. */
void eid_iroh_let_go(eid_iroh_endpoint *endpoint);

/* ---- conn.c ---- */
/* A client's. `peer` has the ID it must prove. */
eid_status eid_iroh_conn_dial(eid_iroh_peer *peer, eid_iroh_carrier *carrier, const eid_sockaddr *remote);
/* A server's, from the head of its first packet; `original` is the connection ID of the packet before a
 * Retry, or NULL. */
eid_status eid_iroh_conn_accept(eid_iroh_carrier *carrier, const eid_sockaddr *remote,
                                const ngtcp2_pkt_hd *head, const ngtcp2_cid *original, eid_iroh_conn **out);
void eid_iroh_conn_read(eid_iroh_conn *conn, eid_iroh_carrier *carrier, const eid_sockaddr *from, uint8_t ecn,
                        const uint8_t *packet, size_t len);
void eid_iroh_conn_write(eid_iroh_conn *conn);
void eid_iroh_conn_touch(eid_iroh_conn *conn); /* it has something to write */
/* Says good-bye with an application code and ends. */
void eid_iroh_conn_close(eid_iroh_conn *conn, uint64_t code);
/* Takes it out of everything; its memory goes when the loop lets go of the timer. */
void eid_iroh_conn_free(eid_iroh_conn *conn);

/* ---- stream.c ---- */
eid_status eid_iroh_stream_new(eid_iroh_endpoint *endpoint, size_t in_max, eid_iroh_stream **out);
void eid_iroh_stream_free(eid_iroh_stream *stream);
/* Nothing more comes; the failure's sentence is in eid_last_error(). Told when the endpoint settles. */
void eid_iroh_stream_end(eid_iroh_stream *stream, eid_status status);
/* Bytes and perhaps the end. */
void eid_iroh_stream_take(eid_iroh_stream *stream, const uint8_t *data, size_t len, bool last);
/* QUIC has closed it, or its connection is gone. */
void eid_iroh_stream_closed(eid_iroh_stream *stream, eid_status status);
/* The same for one that goes on: the other end is told to stop. */
void eid_iroh_stream_abort(eid_iroh_stream *stream, eid_status status);
/* Tells what ended: to the exchange, or to the handler. */
void eid_iroh_stream_tell(eid_iroh_stream *stream);
/* Requests of peers that take too long to come, or whose answer is not taken. */
void eid_iroh_streams_check(eid_iroh_conn *conn, uint64_t now);
/* Deadlines of those that are ours. */
void eid_iroh_calls_check(eid_iroh_endpoint *endpoint);

/* ---- relays.c ---- */
/* Sets whether the peer is to be called by its relays, after so many milliseconds. */
void eid_iroh_relays_want(eid_iroh_peer *peer, bool wanted, uint64_t after_ms);
/* Calls those for whom it is time. */
void eid_iroh_relays_tick(eid_iroh_endpoint *endpoint);

/* ---- peers.c ---- */
/* No way is left to try: whoever waits hears the sentence in eid_last_error(). */
void eid_iroh_peer_give_up(eid_iroh_peer *peer, eid_status status);
bool eid_iroh_peer_is_reached(const eid_iroh_peer *peer);
eid_status eid_iroh_peer_get(eid_iroh_endpoint *endpoint, const eid_pubkey *id, eid_iroh_peer **out);
void eid_iroh_peer_free(eid_iroh_peer *peer);
void eid_iroh_peer_touch(eid_iroh_peer *peer);
void eid_iroh_peer_push(eid_iroh_peer *peer);  /* streams for those that wait, connections for them */
void eid_iroh_peer_ready(eid_iroh_conn *conn); /* a handshake is over */
/* A connection has ended, the sentence is in eid_last_error(); `attempt`: before it stood, and it was ours.
 */
void eid_iroh_peer_lost(eid_iroh_conn *conn, bool attempt, eid_status status);

#endif
