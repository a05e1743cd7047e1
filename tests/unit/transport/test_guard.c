/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are to be used up, and fail to be: dripping connections, floods of requests and of connections; special
 * addresses; TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "support/testutil.h"
#include "sync/special.h"
#include "transport/http_guard.h"
#include "transport/http_int.h"
#include <eidetica/memory.h>

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static eid_handle_result answer_ok(eid_slice body, const eid_request_origin *origin, eid_buf *answer, eid_source **rest,
                                   void *ctx)
{
    (void)body, (void)origin, (void)rest, (void)ctx;
    eid_buf_append_text(answer, "\"Ack\"");
    return EID_HANDLED;
}

static int connect_from(const char *source, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(source)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static int connect_to(const char *address)
{
    return connect_from("127.0.0.1", address);
}

/* True when the other side closed the connection within the time. */
static bool is_closed_within(int fd, int ms)
{
    char byte;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t until = eid_monotonic_ns() + (uint64_t)ms * 1000000;
    while (eid_monotonic_ns() < until) {
        if (poll(&poll_fd, 1, 50) > 0 && recv(fd, &byte, 1, 0) <= 0)
            return true;
    }
    return false;
}

static size_t ask(const char *address, const char *request, char *answer, size_t size)
{
    int fd = connect_to(address);
    size_t len = 0;
    ssize_t got;
    /* One connection too many is closed whenever it suits the server. */
    (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (len < size - 1 && (got = recv(fd, answer + len, size - 1 - len, 0)) > 0)
        len += (size_t)got;
    answer[len] = '\0';
    close(fd);
    return len;
}

#define POST "POST /api/v0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

/* ---- Dripping ---- */

/* A byte of the head now and then keeps any timeout of silence from firing. */
/* Feature A10 */
static void a_head_that_drips_is_ended(void **state)
{
    (void)state;
    eid_http_server_options options = {.head_ms = 1000};
    eid_http_server *server;
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    int fd = connect_to(eid_http_server_address(server));
    uint64_t begin = eid_monotonic_ns();
    bool closed = false;
    const char *head = POST;
    for (size_t i = 0; head[i] != '\0' && !closed; i++)
        closed = send(fd, head + i, 1, MSG_NOSIGNAL) != 1 || is_closed_within(fd, 150);
    assert_true(closed);
    assert_true(eid_monotonic_ns() - begin >= UINT64_C(900000000)); /* it had its time */
    close(fd);
    eid_http_server_stop(server);
}

/* One that does its work in time is not touched, however long the connection lives. */
static void a_connection_may_live_long(void **state)
{
    (void)state;
    eid_http_server_options options = {.head_ms = 2000};
    eid_http_server *server;
    char answer[1000];
    bool lived = false;
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    /* Where this thread was held up for so long it was late itself: tried again. */
    for (int attempts = 0; attempts < 5 && !lived; attempts++) {
        int fd = connect_to(eid_http_server_address(server));
        lived = true;
        for (int i = 0; i < 6 && lived; i++) {
            lived = send(fd, POST, strlen(POST), MSG_NOSIGNAL) == (ssize_t)strlen(POST) &&
                    recv(fd, answer, sizeof answer, 0) > 0;
            sleep_ms(450);
        }
        close(fd);
    }
    assert_true(lived);
    eid_http_server_stop(server);
}

/* Nor does a byte of the body now and then help. */
/* Feature A10 */
static void a_body_that_drips_is_ended(void **state)
{
    (void)state;
    eid_http_server_options options = {.body_ms = 1000};
    eid_http_server *server;
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    int fd = connect_to(eid_http_server_address(server));
    static const char head[] =
        "POST /api/v0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    assert_int_equal(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), (ssize_t)sizeof head - 1);
    uint64_t begin = eid_monotonic_ns();
    bool closed = false;
    for (size_t i = 0; i < 400 && !closed; i++)
        closed = send(fd, "x", 1, MSG_NOSIGNAL) != 1 || is_closed_within(fd, 150);
    assert_true(closed);
    assert_true(eid_monotonic_ns() - begin >= UINT64_C(900000000)); /* it had its time */
    close(fd);
    eid_http_server_stop(server);
}

/* Feature A10 */
static void drippers_keep_nobody_out(void **state)
{
    (void)state;
    enum { DRIPPERS = EID_LIMIT_HTTP_CONNECTIONS_PER_IP };
    eid_http_server_options options = {.head_ms = 1000};
    eid_http_server *server;
    int fds[DRIPPERS];
    char answer[1000];
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    for (int i = 0; i < DRIPPERS; i++) {
        fds[i] = connect_to(eid_http_server_address(server));
        (void)!send(fds[i], "P", 1, MSG_NOSIGNAL);
    }
    bool served = false;
    for (int i = 0; i < 40 && !served; i++) {
        sleep_ms(200);
        for (int k = 0; k < DRIPPERS; k++)
            (void)!send(fds[k], "O", 1, MSG_NOSIGNAL);
        served = ask(eid_http_server_address(server), POST, answer, sizeof answer) != 0 &&
                 strstr(answer, "200 OK") != NULL;
    }
    assert_true(served);
    for (int i = 0; i < DRIPPERS; i++)
        close(fds[i]);
    eid_http_server_stop(server);
}

/* ---- Floods ---- */

/* Feature A12 */
static void too_many_connections_of_one_address(void **state)
{
    (void)state;
    enum { MORE = EID_LIMIT_HTTP_CONNECTIONS_PER_IP + 20 };
    static const char health[] = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    eid_http_server *server;
    int fds[MORE], closed = 0;
    char answer[1000], byte;
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", NULL, answer_ok, NULL, &server));
    for (int i = 0; i < MORE; i++)
        fds[i] = connect_to(eid_http_server_address(server));
    for (int rounds = 0; rounds < 1000 && closed < 20; rounds++) {
        closed = 0;
        for (int i = 0; i < MORE; i++) {
            ssize_t got = recv(fds[i], &byte, 1, MSG_DONTWAIT);
            closed += got == 0 || (got < 0 && errno == ECONNRESET);
        }
        sleep_ms(10);
    }
    assert_int_equal(closed, 20);
    /* Another address has its own share. */
    int other = connect_from("127.0.0.2", eid_http_server_address(server));
    assert_int_equal(send(other, health, sizeof health - 1, MSG_NOSIGNAL), (ssize_t)sizeof health - 1);
    assert_true(recv(other, answer, sizeof answer, 0) > 15);
    assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
    close(other);
    for (int i = 0; i < MORE; i++)
        close(fds[i]);
    /* When they are gone there is room again. */
    bool served = false;
    for (int i = 0; i < 1000 && !served; i++) {
        sleep_ms(10);
        served = ask(eid_http_server_address(server), POST, answer, sizeof answer) != 0 &&
                 strstr(answer, "200 OK") != NULL;
    }
    assert_true(served);
    eid_http_server_stop(server);
}

/* Feature A12 */
static void too_many_requests_are_told_so(void **state)
{
    (void)state;
    eid_http_server_options options = {.requests_per_minute = 60};
    eid_http_server *server;
    char answer[1000];
    int ok = 0, refused = 0;
    uint64_t begin = eid_monotonic_ns();
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    for (int i = 0; i < 60; i++) {
        ask(eid_http_server_address(server), POST, answer, sizeof answer);
        ok += strstr(answer, "200 OK") != NULL;
        refused += strstr(answer, " 429 ") != NULL;
    }
    assert_int_equal(ok + refused, 60);
    /* The burst, and one a second. */
    assert_in_range(ok, 30, 31 + (int)((eid_monotonic_ns() - begin) / UINT64_C(1000000000)));
    sleep_ms(2100);
    ask(eid_http_server_address(server), POST, answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    eid_http_server_stop(server);
}

/* Feature A12 */
static void buckets_of_many_addresses(void **state)
{
    (void)state;
    eid_http_guard *guard;
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in6 from6 = {.sin6_family = AF_INET6};
    tu_assert_ok(eid_http_guard_new(4, 1000, &guard));
    for (int times = 0; times < 2; times++) {
        for (uint32_t i = 1; i <= 100; i++) {
            from.sin_addr.s_addr = htonl(i);
            assert_true(eid_http_guard_allow(guard, (struct sockaddr *)&from));
        }
    }
    for (uint32_t i = 1; i <= 100; i++) {
        from.sin_addr.s_addr = htonl(i);
        assert_false(eid_http_guard_allow(guard, (struct sockaddr *)&from));
    }
    /* A host with a whole IPv6 network is one host. */
    int allowed = 0;
    for (uint8_t i = 0; i < 100; i++) {
        from6.sin6_addr.s6_addr[15] = i;
        allowed += eid_http_guard_allow(guard, (struct sockaddr *)&from6);
    }
    assert_int_equal(allowed, 2);
    /* More addresses than can be counted: those that are not are refused, memory stays bounded. */
    for (uint32_t i = 0; i < 2 * EID_LIMIT_HTTP_BUCKETS; i++) {
        from.sin_addr.s_addr = htonl(0x0a000000 + i);
        (void)eid_http_guard_allow(guard, (struct sockaddr *)&from);
    }
    eid_http_guard_free(guard);
}

static void health(void **state)
{
    (void)state;
    eid_http_server *server;
    char answer[1000];
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", NULL, answer_ok, NULL, &server));
    ask(eid_http_server_address(server), "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n{\"status\":\"healthy\"}"));
    ask(eid_http_server_address(server), "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", answer,
        sizeof answer);
    assert_non_null(strstr(answer, " 404 "));
    eid_http_server_stop(server);
}

/* ---- Special addresses ---- */

static bool special(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return eid_special_address((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return eid_special_address((struct sockaddr *)&v6);
}

/* Feature A9 */
static void special_addresses(void **state)
{
    (void)state;
    static const char *const yes[] = {"169.254.169.254", "169.254.0.1",       "0.0.0.0",
                                      "0.1.2.3",         "100.100.100.200",   "192.0.0.192",
                                      "224.0.0.1",       "255.255.255.255",   "::",
                                      "fe80::1",         "febf::1",           "ff02::1",
                                      "fd00:ec2::254",   "::ffff:169.254.1.1", "64:ff9b::a9fe:a9fe",
                                      "2002:a9fe:a9fe::1"};
    static const char *const no[] = {"127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "8.8.8.8", "100.64.0.1",
                                     "::1",       "fd12::1",  "2001:db8::1", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!special(yes[i]))
            fail_msg("%s is not held for special", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (special(no[i]))
            fail_msg("%s is held for special", no[i]);
}

/* ---- The client: TLS, and where it does not go ---- */

typedef struct asking {
    eid_exchange exchange;
    eid_work work;
    eid_http_client *client;
    eid_status status;
    char sentence[EID_LIMIT_ERROR_TEXT];
    atomic_bool over;
} asking;

static void on_done(eid_exchange *exchange, eid_status status)
{
    asking *a = (asking *)(void *)exchange;
    a->status = status;
    snprintf(a->sentence, sizeof a->sentence, "%s", eid_last_error());
    a->over = true;
}

static void start_asking(eid_work *work)
{
    asking *a = (asking *)(void *)((char *)work - offsetof(asking, work));
    eid_http_client_send(a->client, &a->exchange);
}

static eid_status ask_by_client(const char *address, const char *trusted_file, bool outside_only, char *body, size_t size)
{
    eid_host *host;
    asking a = {.work = {.run = start_asking}};
    tu_assert_ok(eid_loop_new(&host));
    tu_assert_ok(eid_http_client_new(host, trusted_file, &a.client));
    a.exchange = (eid_exchange){.address = address,
                                .body = eid_slice_text("{}"),
                                .answer_max = 1000,
                                .connect_ms = 5000,
                                .silence_ms = 5000,
                                .total_ms = 10000,
                                .outside_only = outside_only,
                                .done = on_done};
    eid_buf_init(&a.exchange.answer, 1000);
    host->functions->post(host, &a.work);
    while (!a.over)
        sleep_ms(2);
    snprintf(body, size, "%s", a.exchange.answer.data != NULL ? (const char *)a.exchange.answer.data : "");
    eid_buf_free(&a.exchange.answer);
    eid_http_client_free(a.client);
    host->functions->close(host);
    return a.status == EID_OK ? EID_OK : eid_fail(a.status, "%s", a.sentence);
}

/* Feature A9 */
static void the_engine_does_not_go_to_special_addresses(void **state)
{
    (void)state;
    char body[100];
    tu_assert_fails(ask_by_client("169.254.169.254:80", NULL, true, body, sizeof body), EID_ERR_CONNECTION_FAILED);
    assert_non_null(strstr(eid_last_error(), "special addresses"));
    tu_assert_fails(ask_by_client("[fe80::1]:80", NULL, true, body, sizeof body), EID_ERR_CONNECTION_FAILED);
    assert_non_null(strstr(eid_last_error(), "special addresses"));
}

static bool make_certificate(const char *dir)
{
    char command[1000];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
             "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s/key.pem -out %s/cert.pem >%s/log 2>&1",
             dir, dir, dir);
    return system(command) == 0;
}

static void https(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *cert_path = tu_path(dir, "cert.pem"), *key_path = tu_path(dir, "key.pem");
    char address[200], body[100];
    eid_http_server *server;
    if (!make_certificate(dir)) {
        print_message("[ SKIPPED  ] https: the program openssl, which makes the certificate, is not here\n");
        skip();
    }
    eid_http_server_options options = {.certificate_pem = (char *)tu_read_file(cert_path, NULL),
                                       .private_key_pem = (char *)tu_read_file(key_path, NULL)};
    tu_assert_ok(eid_http_server_start("127.0.0.1:0", &options, answer_ok, NULL, &server));
    snprintf(address, sizeof address, "https://localhost%s", strrchr(eid_http_server_address(server), ':'));
    tu_assert_ok(ask_by_client(address, cert_path, false, body, sizeof body));
    assert_string_equal(body, "\"Ack\"");
    /* A certificate nobody vouches for, and one that is no TLS at all. */
    tu_assert_fails(ask_by_client(address, NULL, false, body, sizeof body), EID_ERR_CONNECTION_FAILED);
    assert_string_equal(body, "");
    tu_assert_fails(ask_by_client(eid_http_server_address(server), NULL, false, body, sizeof body), EID_ERR_NETWORK);
    eid_http_server_stop(server);

    eid_http_server_options wrong = {.certificate_pem = options.certificate_pem,
                                     .private_key_pem = options.certificate_pem};
    tu_assert_fails(eid_http_server_start("127.0.0.1:0", &wrong, answer_ok, NULL, &server), EID_ERR_SERVER_BIND);
    assert_non_null(strstr(eid_last_error(), "certificate"));
    free(options.certificate_pem);
    free(options.private_key_pem);
    free(cert_path);
    free(key_path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_that_drips_is_ended),
        cmocka_unit_test(a_connection_may_live_long),
        cmocka_unit_test(a_body_that_drips_is_ended),
        cmocka_unit_test(drippers_keep_nobody_out),
        cmocka_unit_test(too_many_connections_of_one_address),
        cmocka_unit_test(too_many_requests_are_told_so),
        cmocka_unit_test(buckets_of_many_addresses),
        cmocka_unit_test(health),
        cmocka_unit_test(special_addresses),
        cmocka_unit_test(the_engine_does_not_go_to_special_addresses),
        cmocka_unit_test(https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
