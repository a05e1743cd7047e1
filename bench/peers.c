/* SPDX-License-Identifier: Apache-2.0 */
/* Many peers of one node, and how soon one of them sees what another one commits: over loopback, in processes of their own. */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_PEERS  1000
#define ROUNDS      20
#define COMMITS     1000
#define BODY_SIZE   4096
#define LINE_SIZE   512

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void write_line(int fd, const char *text)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof line, "%s\n", text);
    if (len < 0 || (size_t)len >= sizeof line || write(fd, line, (size_t)len) != len)
        fail("a pipe broke");
}

static void read_line(int fd, char out[LINE_SIZE])
{
    size_t len = 0;
    while (len + 1 < LINE_SIZE && read(fd, out + len, 1) == 1 && out[len] != '\n')
        len++;
    out[len] = '\0';
    if (len == 0)
        fail("the other process failed");
}

/* ---- A node that everybody may write to ---- */

typedef struct hub {
    subject s;
    eid_sync *sync;
    char *address;
} hub;

static void share_on_commit(eid_user *user, const eid_id *id)
{
    eid_database_preferences prefs = EID_DATABASE_PREFERENCES_INIT;
    prefs.database_id = *id;
    prefs.sync_settings.sync_enabled = true;
    prefs.sync_settings.sync_on_commit = true;
    check(eid_user_set_prefs(user, &prefs), "preferences");
}

static void open_hub(hub *h, const char *url, uint32_t connections)
{
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    eid_txn *txn;
    memset(h, 0, sizeof *h);
    snprintf(h->s.url, sizeof h->s.url, "%s", url);
    open_subject(&h->s, EID_DURABILITY_NORMAL);
    check(eid_database_new_transaction(h->s.database, &txn), "transaction");
    check(eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_WRITE, 0}), "global permission");
    check(eid_txn_commit_free(txn, NULL), "commit");
    fill(&h->s, 1000);
    check(eid_instance_enable_sync(h->s.instance), "enable sync");
    check(eid_instance_sync(h->s.instance, &h->sync), "sync");
    options.bind_address = "127.0.0.1:0";
    options.connections = connections;
    options.connections_per_address = connections;
    options.requests_per_minute = 100000000;
    check(eid_sync_add_http_transport(h->sync, "http", &options), "http");
    check(eid_sync_accept_connections(h->sync), "server");
    check(eid_sync_get_server_address(h->sync, &h->address), "address");
    share_on_commit(h->s.user, &h->s.id);
}

static void close_hub(hub *h)
{
    eid_free(h->address);
    close_subject(&h->s);
}

/* ---- A thousand peers ---- */

/* They speak the protocol by hand, on one connection each that stays open: real ones would need a machine of their own. */
static int connect_peer(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("a peer could not connect");
    return fd;
}

/* Sends a request body and reads the answer to its end; the answer must begin like this. */
static void exchange(int fd, const char *body, const char *beginning)
{
    static char answer[1 << 16];
    char request[BODY_SIZE + 300];
    size_t len = 0, wanted = 0;
    int size = snprintf(request, sizeof request,
                        "POST /api/v0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        strlen(body), body);
    if (send(fd, request, (size_t)size, 0) != size)
        fail("a peer was cut off");
    while (wanted == 0 || len < wanted) {
        ssize_t got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (got <= 0)
            fail("a peer got no answer");
        answer[len += (size_t)got] = '\0';
        const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "Content-Length: ");
        if (end != NULL && length != NULL)
            wanted = (size_t)(end + 4 - answer) + strtoul(length + 16, NULL, 10);
    }
    if (strncmp(strstr(answer, "\r\n\r\n") + 4, beginning, strlen(beginning)) != 0)
        fail(strstr(answer, "\r\n\r\n") + 4);
}

static void new_key(char text[EID_PUBKEY_TEXT_SIZE])
{
    eid_keypair *pair;
    eid_pubkey key;
    check(eid_keypair_generate(&pair), "key");
    eid_keypair_public(pair, &key);
    eid_pubkey_format(&key, text);
    eid_keypair_free(pair);
}

static void shake_hands(int fd, const char *key)
{
    char body[BODY_SIZE], challenge[32 * 2];
    for (size_t i = 0; i < sizeof challenge; i++)
        challenge[i] = i % 2 == 0 ? '7' : ',';
    challenge[sizeof challenge - 1] = '\0';
    snprintf(body, sizeof body,
             "{\"Handshake\":{\"device_id\":\"%s\",\"public_key\":\"%s\",\"display_name\":\"peer\",\"protocol_version\":0,"
             "\"challenge\":[%s],\"listen_addresses\":[]}}",
             key, key, challenge);
    exchange(fd, body, "{\"Handshake\":");
}

/* The other process: connects so many peers as it is told and lets each ask so often; says when it is done. */
static void be_peers(int in, int out)
{
    static struct {
        int fd;
        char key[EID_PUBKEY_TEXT_SIZE];
    } peers[MOST_PEERS];
    char address[LINE_SIZE], id[LINE_SIZE], tip[LINE_SIZE], order[LINE_SIZE], body[BODY_SIZE];
    int count = 0, wanted, rounds;
    read_line(in, address);
    read_line(in, id);
    read_line(in, tip);
    for (;;) {
        read_line(in, order);
        if (sscanf(order, "%d %d", &wanted, &rounds) != 2 || wanted > MOST_PEERS)
            exit(0);
        for (; count < wanted; count++) {
            peers[count].fd = connect_peer(address);
            new_key(peers[count].key);
            shake_hands(peers[count].fd, peers[count].key);
        }
        for (int r = 0; r < rounds; r++) {
            for (int i = 0; i < count; i++) {
                snprintf(body, sizeof body,
                         "{\"SyncTree\":{\"tree_id\":\"%s\",\"our_tips\":[\"%s\"],\"peer_pubkey\":\"%s\"}}", id, tip,
                         peers[i].key);
                exchange(peers[i].fd, body, "{\"Incremental\":");
            }
        }
        write_line(out, "done");
    }
}

static void let_them(int out, int in, int peers, int rounds)
{
    char order[LINE_SIZE], done[LINE_SIZE];
    snprintf(order, sizeof order, "%d %d", peers, rounds);
    write_line(out, order);
    read_line(in, done);
}

static void measure_crowd(hub *h, int out, int in)
{
    static const int steps[] = {1, 250, 500, MOST_PEERS};
    char text[LINE_SIZE];
    eid_id *tips;
    size_t count;
    check(eid_database_tips(h->s.database, &tips, &count), "tips");
    write_line(out, h->address);
    eid_id_format(&h->s.id, text);
    write_line(out, text);
    eid_id_format(&tips[0], text);
    write_line(out, text);
    eid_free(tips);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        let_them(out, in, steps[i], 1);
        record_one("peers connected: resident", steps[i], resident_mib(), "MiB");
    }
    double start = wall_seconds();
    let_them(out, in, MOST_PEERS, ROUNDS);
    record_one("peers asking in turn, nothing new", MOST_PEERS, ROUNDS * MOST_PEERS / (wall_seconds() - start), "/s");
    record_one("peers connected: resident, later", MOST_PEERS, resident_mib(), "MiB");
    eid_sync_engine_stats stats = {.struct_size = sizeof stats};
    eid_sync_get_engine_stats(h->sync, &stats);
    if (stats.peers != MOST_PEERS || stats.relations != MOST_PEERS)
        fail("not all peers are known");
}

static void bench_crowd(const char *dir)
{
    int to_peers[2], from_peers[2];
    char url[LINE_SIZE];
    hub h;
    if (pipe(to_peers) != 0 || pipe(from_peers) != 0)
        fail("no pipes");
    fflush(NULL); /* or the other process prints it again */
    pid_t child = fork();
    if (child == 0) {
        close(to_peers[1]);
        be_peers(to_peers[0], from_peers[1]);
    }
    close(to_peers[0]);
    close(from_peers[1]);
    snprintf(url, sizeof url, "sqlite:%s/hub.db", dir);
    open_hub(&h, url, 2 * MOST_PEERS);
    measure_crowd(&h, to_peers[1], from_peers[0]);
    write_line(to_peers[1], "enough");
    waitpid(child, NULL, 0);
    close(to_peers[1]);
    close(from_peers[0]);
    close_hub(&h);
}

/* ---- How soon a commit is seen ---- */

/* Tells of each arrival, by the clock all processes have. */
static void on_arrival(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    double now = wall_seconds();
    (void)database, (void)entry, (void)source;
    if (write(*(const int *)ctx, &now, sizeof now) != sizeof now)
        exit(1);
}

static void be_the_other(int in, int out)
{
    char ticket_text[LINE_SIZE], byte;
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_ticket *ticket;
    eid_database *copy;
    eid_callback *registration;
    read_line(in, ticket_text);
    check(eid_instance_open_url("memory:", &instance), "open");
    check(eid_instance_login_or_create_user(instance, "other", NULL, &user), "login");
    check(eid_instance_enable_sync(instance), "enable sync");
    check(eid_instance_sync(instance, &sync), "sync");
    check(eid_sync_enable_http_transport(sync), "http");
    check(eid_sync_start_server(sync, "127.0.0.1:0"), "server");
    check(eid_ticket_parse(ticket_text, &ticket), "ticket");
    check(eid_sync_with_ticket(sync, ticket, NULL), "join");
    share_on_commit(user, eid_ticket_database_id(ticket));
    check(eid_user_open_database(user, eid_ticket_database_id(ticket), &copy), "open");
    check(eid_database_on_remote_write(copy, on_arrival, &out, &registration), "callback");
    write_line(out, "ready");
    while (read(in, &byte, 1) > 0)
        continue;
    eid_callback_remove(registration);
    eid_database_close(copy);
    eid_ticket_free(ticket);
    eid_user_logout(user);
    eid_instance_close(instance);
    exit(0);
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void measure_arrivals(hub *h, int in)
{
    static double took[COMMITS];
    double arrived;
    for (int i = 0; i < COMMITS; i++) {
        double start = wall_seconds();
        commit_one(&h->s);
        if (read(in, &arrived, sizeof arrived) != sizeof arrived)
            fail("the other process failed");
        took[i] = (arrived - start) * 1000;
    }
    qsort(took, COMMITS, sizeof took[0], compare_doubles);
    record_one("commit seen by a peer, p50", h->s.entries, took[COMMITS / 2], "ms");
    record_one("commit seen by a peer, p99", h->s.entries, took[COMMITS * 99 / 100], "ms");
}

static void bench_arrivals(const char *dir)
{
    int to_other[2], from_other[2];
    char url[LINE_SIZE], ready[LINE_SIZE], *text;
    eid_ticket *ticket;
    hub h;
    if (pipe(to_other) != 0 || pipe(from_other) != 0)
        fail("no pipes");
    fflush(NULL); /* or the other process prints it again */
    pid_t child = fork();
    if (child == 0) {
        close(to_other[1]);
        be_the_other(to_other[0], from_other[1]);
    }
    close(to_other[0]);
    close(from_other[1]);
    snprintf(url, sizeof url, "sqlite:%s/arrivals.db", dir);
    open_hub(&h, url, 0);
    check(eid_sync_create_ticket(h.sync, &h.s.id, &ticket), "ticket");
    check(eid_ticket_format(ticket, &text), "ticket");
    write_line(to_other[1], text);
    read_line(from_other[0], ready);
    measure_arrivals(&h, from_other[0]);
    close(to_other[1]);
    waitpid(child, NULL, 0);
    close(from_other[0]);
    eid_free(text);
    eid_ticket_free(ticket);
    close_hub(&h);
}

void bench_peers(const char *dir)
{
    bench_arrivals(dir);
    bench_crowd(dir);
}
