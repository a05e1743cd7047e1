/* SPDX-License-Identifier: Apache-2.0 */
/* The sync thread: requests are served, failures are told, and a peer that never answers does not hold
 * anybody up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <eidetica/eidetica.h>

#include "link.h"
#include "room.h"
#include "util.h"
#include "wake.h"

#define WAIT_MS 30000 /* no wait of these tests takes this long when it works */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void open_pair(struct room *alice, struct room *bob)
{
    struct room_wish wish = {.username = "alice", .room_name = "Test"};
    assert_true(room_open(&wish, alice));
    struct room_wish join = {.username = "bob", .ticket = alice->ticket};
    assert_true(room_open(&join, bob));
}

/* Waits until the request was served. */
static struct link_state served(struct link *link, uint64_t number)
{
    struct link_state state;
    int64_t last = now_ms() + WAIT_MS;
    do {
        link_get(link, &state);
        if (state.done >= number)
            return state;
        pause_ms(2);
    } while (now_ms() < last);
    fail_msg("request %llu was not served", (unsigned long long)number);
    return state;
}

static void write_text(eid_database *database, const char *text)
{
    eid_txn *txn;
    assert_int_equal(eid_database_new_transaction(database, &txn), EID_OK);
    assert_int_equal(eid_docstore_set_text(txn, "topic", "text", text), EID_OK);
    assert_int_equal(eid_txn_commit_free(txn, NULL), EID_OK);
}

static void expect_topic(eid_database *database, const char *expected)
{
    eid_value *value;
    const char *text;
    assert_int_equal(eid_database_get(database, "topic", "text", &value), EID_OK);
    assert_int_equal(eid_value_as_text(value, &text, NULL), EID_OK);
    assert_string_equal(text, expected);
    eid_value_free(value);
}

static void test_without_peers_it_only_serves(void **state)
{
    (void)state;
    struct room room;
    struct link *link;
    struct room_wish wish = {.username = "alice"};
    assert_true(room_open(&wish, &room));
    assert_true(room.created);
    assert_null(room.peers);
    assert_true(link_start(&room, 20, &link));
    assert_int_equal(served(link, link_request(link)).kind, LINK_SERVING);
    assert_true(link_stop(link, WAIT_MS));
    room_close(&room);
}

static void test_requests_carry_both_ways(void **state)
{
    (void)state;
    struct room alice, bob;
    struct link *link;
    open_pair(&alice, &bob);
    assert_false(bob.created);
    assert_string_equal(bob.name, "Test");
    /* The period is so long that only requests can be the reason for what happens. */
    assert_true(link_start(&bob, 3600000, &link));
    write_text(alice.database, "from alice");
    struct link_state state_now = served(link, link_request(link));
    assert_int_equal(state_now.kind, LINK_ONLINE);
    assert_true(state_now.synced_at > 0);
    expect_topic(bob.database, "from alice");
    write_text(bob.database, "from bob");
    /* Who carried it does not matter: the commit was pushed at once, or this round did it. */
    state_now = served(link, link_request(link));
    assert_int_equal(state_now.kind, LINK_ONLINE);
    expect_topic(alice.database, "from bob");
    assert_true(link_stop(link, WAIT_MS));
    room_close(&bob);
    room_close(&alice);
}

static void test_the_period_alone_brings_news(void **state)
{
    (void)state;
    struct room alice, bob;
    struct link *link;
    open_pair(&alice, &bob);
    assert_true(link_start(&bob, 20, &link));
    served(link, link_request(link));
    write_text(alice.database, "later");
    int64_t last = now_ms() + WAIT_MS;
    eid_value *value = NULL;
    while (eid_database_get(bob.database, "topic", "text", &value) != EID_OK && now_ms() < last)
        pause_ms(5);
    assert_non_null(value);
    eid_value_free(value);
    assert_true(link_stop(link, WAIT_MS));
    room_close(&bob);
    room_close(&alice);
}

static void test_what_is_asked_for_before_the_end_is_done(void **state)
{
    (void)state;
    struct room alice, bob;
    struct link *link;
    open_pair(&alice, &bob);
    assert_true(link_start(&bob, 3600000, &link));
    write_text(bob.database, "last words");
    link_request(link);
    assert_true(link_stop(link, WAIT_MS));
    expect_topic(alice.database, "last words");
    room_close(&bob);
    room_close(&alice);
}

static void test_loss_and_return(void **state)
{
    (void)state;
    struct room alice, bob;
    struct link *link;
    open_pair(&alice, &bob);
    assert_true(link_start(&bob, 3600000, &link));
    assert_int_equal(served(link, link_request(link)).kind, LINK_ONLINE);
    assert_int_equal(eid_sync_stop_server(alice.sync), EID_OK);
    struct link_state lost = served(link, link_request(link));
    assert_int_equal(lost.kind, LINK_OFFLINE);
    assert_non_null(strstr(lost.problem, "cannot reach 127.0.0.1:"));
    assert_int_equal(eid_sync_start_server(alice.sync, alice.listening), EID_OK);
    struct link_state back = served(link, link_request(link));
    assert_int_equal(back.kind, LINK_ONLINE);
    assert_string_equal(back.problem, "");
    assert_true(link_stop(link, WAIT_MS));
    room_close(&bob);
    room_close(&alice);
}

/* A listening socket on the address; nobody ever accepts there. */
static int listen_silently(const char *address)
{
    struct sockaddr_in where;
    memset(&where, 0, sizeof where);
    where.sin_family = AF_INET;
    where.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void test_a_silent_peer_holds_nobody_up(void **state)
{
    (void)state;
    struct room alice, bob;
    struct link *link;
    struct link_state state_now;
    open_pair(&alice, &bob);
    char *address = cli_copy(alice.listening);
    room_close(&alice);
    int fd = listen_silently(address);
    free(address);

    assert_true(link_start(&bob, 20, &link));
    uint64_t number = link_request(link);
    int64_t started = now_ms();
    pause_ms(100);
    link_get(link, &state_now);
    assert_true(state_now.done < number);
    write_text(bob.database, "meanwhile"); /* the room can be used all the time */
    expect_topic(bob.database, "meanwhile");
    assert_false(link_stop(link, 200));
    assert_true(now_ms() - started < 5000);

    /* The connection breaks, the thread ends, and the second stop takes everything down. */
    close(fd);
    assert_true(link_stop(link, WAIT_MS * 4));
    room_close(&bob);
}

int main(void)
{
    if (!wake_open())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_peers_it_only_serves),
        cmocka_unit_test(test_requests_carry_both_ways),
        cmocka_unit_test(test_the_period_alone_brings_news),
        cmocka_unit_test(test_what_is_asked_for_before_the_end_is_done),
        cmocka_unit_test(test_loss_and_return),
        cmocka_unit_test(test_a_silent_peer_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
