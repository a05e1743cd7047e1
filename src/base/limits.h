/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the library, in one place, each with its reason. */
#ifndef EID_BASE_LIMITS_H
#define EID_BASE_LIMITS_H

/* Formats */
#define EID_LIMIT_CBOR_DEPTH 256        /* what the Rust reader accepts; ours walks with an explicit stack */
#define EID_LIMIT_JSON_DEPTH 127        /* serde_json's limit: deeper documents are unreadable for Rust peers */
#define EID_LIMIT_CID_DIGEST 64         /* largest multihash digest an ID can carry */
#define EID_LIMIT_DOC_PATH 42           /* deepest path a Rust peer can read back (3 containers a level) */
#define EID_LIMIT_ERROR_TEXT 1024       /* bytes of the last-error slot */
#define EID_LIMIT_WAIT_MS 1000000000    /* longest single wait, 11 days: no sum of times overflows anywhere */

/* Entries */
#define EID_LIMIT_ENTRY_BYTES (1u << 20)   /* 1 MiB of DAG-CBOR: its JSON form must still fit a 4 MiB answer */
#define EID_LIMIT_ENTRY_PARENTS 4096       /* a merge of more tips than this is an attack or a broken writer */
#define EID_LIMIT_ENTRY_SUBTREES 1024
#define EID_LIMIT_ENTRY_IDS 32768          /* all lists together; real IDs in 1 MiB are fewer, empty ones take a byte */
#define EID_LIMIT_STORE_NAME 1024          /* bytes */
#define EID_LIMIT_DELEGATION_STEPS 10      /* auth.md section 5 */
#define EID_LIMIT_DELEGATION_TIPS 64
#define EID_LIMIT_DELEGATION_SEARCH 256    /* databases looked into, path by path, for the rights of a key */
#define EID_LIMIT_SETTINGS_PIN 1024        /* tips in a pin */
#define EID_LIMIT_WORKERS 15               /* threads that check signatures: one core stores what five of them
                                            * have checked, and judges again what fifteen have */

/* Storage */
#define EID_LIMIT_QUARANTINE_ENTRIES 10000          /* per database: entries whose parents are not here yet */
#define EID_LIMIT_QUARANTINE_BYTES (64u << 20)      /* per database */
#define EID_LIMIT_REFUSED_IDS 100000                /* remembered refusals per instance; the oldest go first */
#define EID_LIMIT_INDEX_BEHIND 4096                 /* entries a crash can cost the index: a tenth of a second of work */
#define EID_LIMIT_INDEX_REBUILD 32768               /* the same while an index is built */
#define EID_LIMIT_FRESH_IDS 65536                   /* IDs kept apart so that the pages of all others are written once for many */
#define EID_LIMIT_BUCKET_NOTES 32768                /* digests in memory before they are added to their rows: 1.5 MiB */
#define EID_LIMIT_REPLAY_BATCH 512                  /* entries put into the index in one storage transaction */
#define EID_LIMIT_JOURNAL_CACHE_KIB 8192            /* pages of the journal kept in memory: it is appended to, seldom read, … */
#define EID_LIMIT_INDEX_CACHE_KIB 32768             /* … and of the index */
#define EID_LIMIT_HISTORY_WINDOW 4096               /* entries put in order at a time: 900 KiB */
#define EID_LIMIT_CHANGES_RUNS 256                  /* unread switches between local and remote a feed remembers: 4 KiB */
#define EID_LIMIT_CAR_HEADER 4096                   /* bytes; one that names one database has 59 */
#define EID_LIMIT_IMPORT_ENTRIES 4096               /* received at once, so that signatures are checked side by side, … */
#define EID_LIMIT_IMPORT_BYTES (4u << 20)           /* … unless they are large */

#define EID_LIMIT_LONG_PASTS (32u << 20)            /* bytes a database keeps of what settings entries had not seen, where hostile
                                                       writers made that long; beyond it is looked up again */

/* Indexes of tables */
#define EID_LIMIT_INDEX_FIELD 256       /* bytes of a declared path: names people give to members */
#define EID_LIMIT_INDEX_DEPTH 16        /* members on the way */
#define EID_LIMIT_INDEX_PER_TABLE 16    /* each costs every change of a row a B-tree write */
#define EID_LIMIT_INDEX_VALUE 128       /* bytes of a value that an index holds; the rest is compared in the row */
#define EID_LIMIT_INDEX_ELEMENTS 256    /* of an array: one hostile row of 1 MiB could name 500 000 */
#define EID_LIMIT_INDEX_EXPONENT 1000000000000000 /* of a number: beyond it nobody means what is written */
#define EID_LIMIT_INDEX_SLICE 512       /* rows put into, or taken out of, an index while the lock is held once: about 2 ms */
#define EID_LIMIT_QUERY_SLICE 256       /* rows read while the lock is held once … */
#define EID_LIMIT_QUERY_SLICE_BYTES (1u << 20) /* … unless they are large */
#define EID_LIMIT_QUERY_CHANGES 1024    /* newer entries a query works around before it folds what its transaction sees */

/* Instances and users */
#define EID_LIMIT_USERNAME 256     /* bytes; a name is shown on one line and stands inside a database's name */
#define EID_LIMIT_KEY_BYTES 1024   /* an encrypted private key at rest; every known form has 68 */
#define EID_LIMIT_PASSWORD 65536   /* bytes: generous even for a key file used as password */
#define EID_LIMIT_LOGIN_DELAY_MS 3200    /* what a wrong password costs at most; the first one costs a 32nd of it */
#define EID_LIMIT_LOGIN_MEMORY_S 60      /* wrong passwords are forgotten when none came for so long */
#define EID_LIMIT_KDF_MEMORY_KIB 262144  /* Argon2id costs are read from configurations others wrote: 13 times the */
#define EID_LIMIT_KDF_PASSES 16          /* recorded memory and 8 times the passes, at most seconds of work and */
#define EID_LIMIT_KDF_LANES 16           /* never gigabytes */

#define EID_LIMIT_USER_KEYS 256          /* of one user; with the next two, all rows of keys fit into one entry, */
#define EID_LIMIT_KEY_MAPPINGS 6144      /* which is what a change of the password writes. 70 bytes each */
#define EID_LIMIT_PROPERTIES 64          /* of the preferences for one database, … */
#define EID_LIMIT_PROPERTY_BYTES 1024    /* … and of a name or value: 128 KiB, written with every change of them */
#define EID_LIMIT_NAMED_KEYS 1024        /* of an instance: they are kept in one record */
#define EID_LIMIT_SECRET 65536           /* bytes of an instance's secret: as for a password */

#define EID_LIMIT_HIDDEN_STATE_BYTES (1u << 30)  /* decrypted state of one store: it lives in memory, cells do not */

/* HTTP and sync */
#define EID_LIMIT_HTTP_REQUEST_BYTES (2u << 20)     /* the Rust server's limit; ours answers 413 above it too */
#define EID_LIMIT_HTTP_RESPONSE_BYTES (1u << 30)    /* a bootstrap answer may be large; never without an end */
#define EID_LIMIT_PUSH_BYTES (1000u << 10)          /* JSON of one SendEntries: below 1 MiB (Iroh) and 2 MiB (HTTP) */
#define EID_LIMIT_STREAM_FRAME (1u << 20)           /* of the streamed form: as large as an entry */
#define EID_LIMIT_STREAM_BUCKETS 512                /* asked for at once: seconds of work in a million entries */
#define EID_LIMIT_STREAM_TIPS 64                    /* named in the first question; all that may be named only when it must be */
#define EID_LIMIT_STREAM_WASTE 1024                 /* entries sent twice rather than comparing what is held */
#define EID_LIMIT_STREAM_STRAY 1024                 /* entries of one answer that are refused or miss parents: then it is
                                                     * broken off */
#define EID_LIMIT_STREAM_HELD (1u << 20)            /* of a streamed answer, come and not taken: reading stops there */
#define EID_LIMIT_HTTP_CONNECTIONS 256              /* simultaneous, all peers */
#define EID_LIMIT_HTTP_CONNECTIONS_PER_IP 64
#define EID_LIMIT_HTTP_CONNECT_MS 10000
#define EID_LIMIT_HTTP_IDLE_S 30                    /* a silent connection is closed */
#define EID_LIMIT_HTTP_UPLOAD_MS 120000             /* a server's patience with one request body: 2 MiB at 18 kB/s */
#define EID_LIMIT_HTTP_HEAD_MS 45000                /* for a request's head, from the end of the request before: longer than
                                                     * a silent connection lives, so that only dripping ones are met */
#define EID_LIMIT_HTTP_SERVE_MS 600000              /* for the handler: nobody else's fault */
#define EID_LIMIT_HTTP_REQUESTS_PER_MINUTE 60000    /* of one remote address: a peer that commits without pause pushes
                                                     * some hundred a second, and several may share an address */
#define EID_LIMIT_HTTP_BUCKETS 16384                /* remote addresses whose requests are counted */
#define EID_LIMIT_HTTP_STALL_S 60                   /* a client gives up when less than the rate below came for so long; */
#define EID_LIMIT_HTTP_RATE 1024                    /* bytes/s. No total limit: a slow 100 MB answer is still progress */
#define EID_LIMIT_HTTP_DRAIN_BYTES (8u << 20)       /* of a refused body that are read so that the refusal is seen */
#define EID_LIMIT_HTTP_STOP_MS 5000                 /* how long stopping a server waits for open requests */
#define EID_LIMIT_HTTP_THREADS 4                    /* of a server: requests judged at the same time */
#define EID_LIMIT_HTTP_KEPT_CONNECTIONS 256         /* of a client: kept for the next request, one or two a peer */
#define EID_LIMIT_ADDRESS_TEXT 4096
#define EID_LIMIT_TRANSPORT_NAME 256             /* bytes; "http" and "iroh" today, peers may invent others */
#define EID_LIMIT_TICKET_BYTES (256u << 10)      /* a ticket is passed by hand or as a QR code: this is generous */
#define EID_LIMIT_TICKET_ADDRESSES 64
#define EID_LIMIT_CHALLENGE_BYTES 32                /* exactly: see sync-protocol.md section 6.1 */
#define EID_LIMIT_NONCES 65536                      /* remembered request nonces */
#define EID_LIMIT_NONCE_BYTES 64
#define EID_LIMIT_PENDING_REQUESTS_PER_TREE 256
#define EID_LIMIT_PENDING_REQUESTS_PER_KEY 32
#define EID_LIMIT_PENDING_REQUESTS_PER_HOST 1024    /* many may stand behind one address; none may fill every queue */
#define EID_LIMIT_REQUEST_METADATA_BYTES 16384
#define EID_LIMIT_KEY_NAME 256                      /* bytes of a requesting key's label */
#define EID_LIMIT_PEERS 10000
#define EID_LIMIT_PEER_ADDRESSES 16
#define EID_LIMIT_SYNC_TIPS 65536                   /* IDs in a request's our_tips */
#define EID_LIMIT_SENT_TIPS 16384                   /* of ours in one request: 1 MiB of JSON */
#define EID_LIMIT_REQUEST_REPEATS 8                 /* the same request for access, filed anew after rejections */
#define EID_LIMIT_LISTED_TREES 1000                 /* databases named in the answer to a handshake */
#define EID_LIMIT_DISPLAY_NAME 256                  /* bytes of a peer's name that are kept */
#define EID_LIMIT_REPORTED_TIPS 256                 /* tips remembered for each pair of peer and database */
#define EID_LIMIT_TRANSPORTS 8
#define EID_LIMIT_HANDSHAKE_ANSWER_BYTES (8u << 20) /* a Rust peer lists every database it has: 130 bytes each */
#define EID_LIMIT_ACK_ANSWER_BYTES (64u << 10)      /* "Ack", a count or a sentence */
#define EID_LIMIT_SYNC_HANDSHAKE_MS 20000           /* total times of requests, see also the stall limit above */
#define EID_LIMIT_SYNC_PUSH_MS 300000               /* 1 MiB at 3.5 kB/s */
#define EID_LIMIT_SYNC_ANSWER_MS 21600000           /* a large bootstrap on a slow line: 6 hours */
#define EID_LIMIT_SYNC_QUICK_MS 3000                /* for an address while there are others to try */
#define EID_LIMIT_SYNC_PROVEN_MS 600000             /* how long an address need not prove the peer's key anew */
#define EID_LIMIT_SYNC_SLICE 1024                   /* received entries judged in one go: what breaking off waits for */
#define EID_LIMIT_SYNC_HISTORY 32                   /* past syncs of each peer that are kept */
#define EID_LIMIT_SYNC_LINKS 65536                  /* pairs of peer and database in memory: about 1 KiB each */
#define EID_LIMIT_SYNC_EXTRA 4096                   /* entries queued by hand for each of them */
#define EID_LIMIT_SYNC_SESSIONS 256                 /* of the engine, under way at a time */
#define EID_LIMIT_SYNC_DOUBTFUL 64                  /* of them, with peers that failed last time: they may all be silent */
#define EID_LIMIT_SYNC_CALLS 256                    /* of the program, under way at a time; others wait */
#define EID_LIMIT_SYNC_HANDS 4                      /* threads for slow work of one engine */
#define EID_LIMIT_SYNC_RELAY_MS 20                  /* what came is passed on after so long: more may come along */
#define EID_LIMIT_SYNC_SAVE_MS 5000                 /* what is remembered of peers is written at most so often */
#define EID_LIMIT_SYNC_HURRY_MS 500                 /* access that is waited for is asked about at most so often */
#define EID_LIMIT_SYNC_SEEN_MS 5000                 /* a failing peer that shows itself is tried again at most so often */

/* Iroh */
#define EID_LIMIT_RELAY_URL 512        /* bytes */
#define EID_LIMIT_RELAY_QUEUE_BYTES (768u << 10) /* of a relay, for each client: 512 datagrams; beyond, they are dropped */
#define EID_LIMIT_IROH_RELAYS 16         /* an endpoint is connected to: a thread each while that is tried */
#define EID_LIMIT_IROH_HEAD_START_MS 100 /* of direct ways before relays */
#define EID_LIMIT_RELAY_CONNECT_MS 10000 /* to a relay, TLS included; as much again for its answer */
#define EID_LIMIT_RELAY_RETRY_MS 16000   /* longest pause between two attempts */
#define EID_LIMIT_RELAY_ENDS 4096        /* endpoints behind one relay that have an address here; the oldest lose theirs */
#define EID_LIMIT_RELAY_TOLD 64        /* peers of a relay's client that hear when it goes: a hint, QUIC finds out anyhow */
#define EID_LIMIT_RELAY_CLIENTS 4096   /* unless the operator says otherwise */
#define EID_LIMIT_ENDPOINT_RELAYS 8    /* of one endpoint: it has one home relay, two while it moves */
#define EID_LIMIT_ENDPOINT_DIRECT 64   /* socket addresses of one endpoint: a machine with many interfaces */
#define EID_LIMIT_IROH_BODY (1u << 20)           /* of a request: the Rust responder's limit */
#define EID_LIMIT_IROH_ANSWER_BYTES (1u << 30)   /* as over HTTP, never without an end: one entry may be large */
#define EID_LIMIT_IROH_PART_BYTES (1u << 20)     /* of an answer: a Rust client takes no more */
#define EID_LIMIT_IROH_IN_BYTES (64u << 20)      /* of all requests that are arriving at an endpoint */
#define EID_LIMIT_IROH_OPEN_REQUESTS 1024        /* of peers, with the handler or being answered */
#define EID_LIMIT_IROH_CONNECTIONS 1024          /* of peers with an endpoint: some 50 KB each */
#define EID_LIMIT_IROH_CONNECTIONS_PER_PEER 32   /* a Rust client makes one for each request */
#define EID_LIMIT_IROH_HALF_OPEN 64              /* handshakes before callers have to prove their address */
#define EID_LIMIT_IROH_STREAMS 100               /* requests at once on a connection; others wait for credit */
#define EID_LIMIT_IROH_CIDS 16                   /* connection IDs of ours: ngtcp2 keeps 8, some wait to be retired */
#define EID_LIMIT_IROH_PEER_CIDS 7               /* of the peer's, kept for moving */
#define EID_LIMIT_IROH_RACE 6                    /* direct addresses tried at once */
#define EID_LIMIT_IROH_PAYLOAD 1452              /* bytes of a UDP payload sent: fits an Ethernet frame over IPv6 */
#define EID_LIMIT_IROH_PAYLOAD_TAKEN 65527       /* and taken: whatever arrives */
#define EID_LIMIT_IROH_BATCH 65536               /* bytes given to the kernel at once, … */
#define EID_LIMIT_IROH_SEGMENTS 60               /* … and packets: it takes 64 */
#define EID_LIMIT_IROH_BURST 180                 /* packets of one connection before others have their turn */
#define EID_LIMIT_IROH_RECEIVES 16               /* batches taken from a socket before timers have theirs */
#define EID_LIMIT_IROH_SOCKET_BUFFER (7 << 20)   /* the kernel may give less */
#define EID_LIMIT_IROH_STREAM_WINDOW 1250000u    /* bytes in flight at first: 100 Mbit/s at 100 ms */
#define EID_LIMIT_IROH_WINDOW (16u << 20)        /* of a whole connection */
#define EID_LIMIT_IROH_MAX_WINDOW (24u << 20)    /* what both grow to */
#define EID_LIMIT_IROH_FIRST_RTT_MS 100          /* guessed before a round trip was seen: a lost first packet is sent again
                                                  * after twice that, not after a second */
#define EID_LIMIT_IROH_HANDSHAKE_MS 10000
#define EID_LIMIT_IROH_IDLE_MS 30000             /* a connection without a packet is gone */
#define EID_LIMIT_IROH_KEEP_ALIVE_MS 10000       /* those of ours send one before that, … */
#define EID_LIMIT_IROH_UNUSED_MS 300000          /* … until nothing was asked for so long */
#define EID_LIMIT_IROH_REQUEST_MS 300000         /* for a request to come, and for its answer to be taken: 1 MiB at 3.5 kB/s */
#define EID_LIMIT_IROH_LINGER_MS 1000            /* late packets of a closed connection are answered */
#define EID_LIMIT_IROH_PACED_RTT_MS 4            /* packets are spread over time when a round trip takes longer */
#define EID_LIMIT_IROH_TICK_MS 100               /* deadlines are looked at so often */
#define EID_LIMIT_IROH_RETRY_S 10                /* a proof of address holds */
#define EID_LIMIT_IROH_RESETS_PER_S 100          /* stateless resets and refusals: nobody's packets cost us more */
#define EID_LIMIT_IROH_PEERS 10000               /* endpoint IDs known to an endpoint */
#define EID_LIMIT_IROH_LISTENING 16              /* sockets a server was told to bind, one after the other */

#endif
