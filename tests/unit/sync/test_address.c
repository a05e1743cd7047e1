/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in every form people write them, and tickets made from such forms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/status.h"
#include "support/testutil.h"
#include "sync/address_int.h"
#include <eidetica/memory.h>

#define ID_TEXT  "bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4"
#define ENDPOINT "endpointacfiry65oqe7dfp5klns2pf2lvzmuzyjx4ozieq36n2iqanub5xvyaibab7qaaab2ieq"
#define HEX64    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"

/* Features 49, 143 */
static void http_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:8080",    "127.0.0.1",
                                       "localhost:1",       "localhost",
                                       "[::1]:8080",        "[::1]",
                                       "[fe80::1:2]:65535", "a-b_c.example.com:443",
                                       "1.2.3.4:00080",     "xn--bcher-kva.example"};
    static const char *const bad[] = {"",
                                      ":80",
                                      "a:",
                                      "a:0",
                                      "a:65536",
                                      "a:123456",
                                      "a:80:90",
                                      "a b",
                                      "a/b",
                                      "a@b",
                                      "a?b",
                                      "a#b",
                                      "a%b",
                                      "-a",
                                      ".a",
                                      "::1",
                                      "::1:80",
                                      "[::1",
                                      "[]:80",
                                      "[::g]:80",
                                      "[::1]80",
                                      "[::1]:",
                                      "[1.2.3.4]",
                                      "a:8o",
                                      "a:-1",
                                      "a:+1",
                                      "a: 1",
                                      "\xff",
                                      ("b\xc3\xbc" /* the digits would swallow the c */
                                       "cher:80"),
                                      "http://a",
                                      "[[::1]]",
                                      "[::1]:80x"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        eid_address *address;
        tu_assert_ok(eid_address_http(good[i], &address));
        assert_string_equal(eid_address_transport(address), "http");
        assert_string_equal(eid_address_text(address), good[i]);
        eid_address_free(address);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eid_address *address = NULL;
        if (eid_address_http(bad[i], &address) != EID_ERR_INVALID_ADDRESS)
            fail_msg("'%s' was taken", bad[i]);
        assert_null(address);
    }
}

/* Feature 30 */
static void detecting(void **state)
{
    (void)state;
    static const struct {
        const char *text, *transport, *rest;
    } cases[] = {
        {"127.0.0.1:8080", "http", "127.0.0.1:8080"},
        {"http://127.0.0.1:8080", "http", "127.0.0.1:8080"},
        {"http://127.0.0.1:8080/", "http", "127.0.0.1:8080"},
        {"http:127.0.0.1:8080", "http", "127.0.0.1:8080"},
        {"http:[::1]:8080", "http", "[::1]:8080"},
        {"example.com", "http", "example.com"},
        {"endpoint.example.com:80", "http", "endpoint.example.com:80"},
        {"endpoint", "http", "endpoint"},
        {"iroh:" ENDPOINT, "iroh", ENDPOINT},
        {"iroh:anything at all", "iroh", "anything at all"},
        {ENDPOINT, "iroh", ENDPOINT},
        {HEX64, "iroh", HEX64},
        {"{\"node_id\":\"x\"}", "iroh", "{\"node_id\":\"x\"}"},
        {"x \"node_id\" y", "iroh", "x \"node_id\" y"},
    };
    static const char *const bad[] = {"",      "https://a:80/x", "http://", "http:///", "http://a//",
                                      "iroh:", "eidetica:?db=x", "ftp://a", "a:b",      "http:"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_address *address;
        tu_assert_ok(eid_address_detect(cases[i].text, &address));
        assert_string_equal(eid_address_transport(address), cases[i].transport);
        assert_string_equal(eid_address_text(address), cases[i].rest);
        eid_address_free(address);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eid_address *address = NULL;
        if (eid_address_detect(bad[i], &address) != EID_ERR_INVALID_ADDRESS)
            fail_msg("'%s' was taken", bad[i]);
        assert_null(address);
    }
}

static void helpful_sentences(void **state)
{
    (void)state;
    eid_address *address;
    tu_assert_ok(eid_address_detect("https://a:8443/", &address));
    assert_string_equal(eid_address_transport(address), "http");
    assert_string_equal(eid_address_text(address), "https://a:8443"); /* how to get there is part of it */
    eid_address_free(address);
    tu_assert_ok(eid_address_http("https://a", &address));
    assert_string_equal(eid_address_text(address), "https://a");
    eid_address_free(address);
    tu_assert_fails(eid_address_detect("https://", &address), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_address_detect("https://https://a", &address), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_address_detect("eidetica:?db=x", &address), EID_ERR_INVALID_ADDRESS);
    assert_non_null(strstr(eid_last_error(), "ticket"));
    tu_assert_fails(eid_address_detect("a b", &address), EID_ERR_INVALID_ADDRESS);
    assert_non_null(strstr(eid_last_error(), "'a b' is not host:port"));
}

static void bounds_and_copies(void **state)
{
    (void)state;
    eid_address *address, *copy;
    char *text = malloc(EID_LIMIT_ADDRESS_TEXT + 2);
    memset(text, 'a', EID_LIMIT_ADDRESS_TEXT + 1);
    text[EID_LIMIT_ADDRESS_TEXT + 1] = '\0';
    tu_assert_fails(eid_address_new("x", text, &address), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_address_new(text, "x", &address), EID_ERR_INVALID_ADDRESS);
    text[EID_LIMIT_ADDRESS_TEXT] = '\0';
    tu_assert_ok(eid_address_new("x", text, &address));
    tu_assert_ok(eid_address_copy(address, &copy));
    assert_true(eid_address_equal(address, copy));
    eid_address_free(copy);
    tu_assert_ok(eid_address_new("y", text, &copy));
    assert_false(eid_address_equal(address, copy));
    eid_address_free(copy);
    eid_address_free(address);
    tu_assert_fails(eid_address_new("\xc3", "x", &address), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_address_make(eid_slice_text("x"), eid_slice_of("a\0b", 3), &address),
                    EID_ERR_INVALID_ADDRESS);
    tu_assert_ok(eid_address_new("", "", &address)); /* peers may send it; no transport answers to it */
    assert_string_equal(eid_address_transport(address), "");
    eid_address_free(address);
    eid_address_free(NULL);
    free(text);
}

/* ---- Tickets ---- */

/* Features 126, 162 */
static void detecting_tickets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *formatted; /* the ticket it is understood as */
    } cases[] = {
        {"eidetica:?db=" ID_TEXT "&pr=http:a:1", "eidetica:?db=" ID_TEXT "&pr=http:a:1"},
        {ID_TEXT "@127.0.0.1:8080", "eidetica:?db=" ID_TEXT "&pr=http:127.0.0.1:8080"},
        {ID_TEXT "@http://127.0.0.1:8080/", "eidetica:?db=" ID_TEXT "&pr=http:127.0.0.1:8080"},
        {ID_TEXT "@" ENDPOINT, "eidetica:?db=" ID_TEXT "&pr=iroh:" ENDPOINT},
        {ID_TEXT, "eidetica:?db=" ID_TEXT},
    };
    static const struct {
        const char *text;
        eid_status status;
    } bad[] = {
        {"", EID_ERR_INVALID_ADDRESS},
        {"@127.0.0.1:80", EID_ERR_INVALID_ADDRESS},
        {ID_TEXT "@", EID_ERR_INVALID_ADDRESS},
        {ID_TEXT "@a b", EID_ERR_INVALID_ADDRESS},
        {"hello", EID_ERR_INVALID_ID},
        {"hello@127.0.0.1:80", EID_ERR_INVALID_ID},
        {"eidetica:?x", EID_ERR_INVALID_ADDRESS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_ticket *ticket;
        char *text;
        tu_assert_ok(eid_ticket_detect(cases[i].text, &ticket));
        tu_assert_ok(eid_ticket_format(ticket, &text));
        assert_string_equal(text, cases[i].formatted);
        eid_free(text);
        eid_ticket_free(ticket);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eid_ticket *ticket = NULL;
        if (eid_ticket_detect(bad[i].text, &ticket) != bad[i].status)
            fail_msg("'%s': %s", bad[i].text, eid_last_error());
        assert_null(ticket);
    }
}

/* What can not be UTF-8 becomes one replacement character for each longest beginning of a character. */
static void damaged_percent_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *encoded, *decoded;
    } cases[] = {
        {"%41%42", "AB"},
        {"%e6%97%a5", "\xe6\x97\xa5"},
        {"%ff", "\xef\xbf\xbd"},
        {"%c3", "\xef\xbf\xbd"},
        {"%c3x", "\xef\xbf\xbdx"},
        {"%e6%97x", "\xef\xbf\xbdx"},
        {"%f0%9f%98%80", "\xf0\x9f\x98\x80"},
        {"%f0%9f%98", "\xef\xbf\xbd"},
        {"%ed%a0%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"%c0%80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"%f4%90%80%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"%", "%"},
        {"%4", "%4"},
        {"%4g", "%4g"},
        {"%%41", "%A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_ticket *ticket;
        char text[200];
        snprintf(text, sizeof text, "eidetica:?db=" ID_TEXT "&pr=x:%s", cases[i].encoded);
        tu_assert_ok(eid_ticket_parse(text, &ticket));
        assert_string_equal(eid_address_text(eid_ticket_address(ticket, 0)), cases[i].decoded);
        eid_ticket_free(ticket);
    }
    eid_ticket *ticket;
    tu_assert_fails(eid_ticket_parse("eidetica:?db=" ID_TEXT "&pr=x:a%00b", &ticket),
                    EID_ERR_INVALID_ADDRESS);
}

static void bounded_tickets(void **state)
{
    (void)state;
    eid_ticket *ticket;
    eid_address *address;
    eid_id id;
    char *text = malloc(EID_LIMIT_TICKET_BYTES + 100), *formatted;

    strcpy(text, "eidetica:?db=" ID_TEXT);
    for (int i = 0; i < EID_LIMIT_TICKET_ADDRESSES; i++)
        strcat(text, "&pr=x:y");
    tu_assert_ok(eid_ticket_parse(text, &ticket));
    assert_int_equal(eid_ticket_address_count(ticket), EID_LIMIT_TICKET_ADDRESSES);
    tu_assert_ok(eid_address_new("x", "y", &address));
    tu_assert_fails(eid_ticket_add_address(ticket, address), EID_ERR_LIMIT);
    assert_int_equal(eid_ticket_address_count(ticket), EID_LIMIT_TICKET_ADDRESSES);
    eid_address_free(address);
    eid_ticket_free(ticket);
    strcat(text, "&pr=x:y");
    tu_assert_fails(eid_ticket_parse(text, &ticket), EID_ERR_LIMIT);

    memset(text, '&', EID_LIMIT_TICKET_BYTES + 1);
    memcpy(text, "eidetica:?db=" ID_TEXT, strlen("eidetica:?db=" ID_TEXT));
    text[EID_LIMIT_TICKET_BYTES + 1] = '\0';
    tu_assert_fails(eid_ticket_parse(text, &ticket), EID_ERR_INVALID_ADDRESS);
    tu_assert_fails(eid_ticket_detect(text, &ticket), EID_ERR_INVALID_ADDRESS);
    text[EID_LIMIT_TICKET_BYTES] = '\0';
    tu_assert_ok(eid_ticket_parse(text, &ticket));
    eid_ticket_free(ticket);

    /* What is written can always be read: escaped, 64 long addresses are more than a ticket may be. */
    memset(text, '%', EID_LIMIT_ADDRESS_TEXT);
    text[EID_LIMIT_ADDRESS_TEXT] = '\0';
    tu_assert_ok(eid_id_parse(ID_TEXT, &id));
    tu_assert_ok(eid_ticket_new(&id, &ticket));
    tu_assert_ok(eid_address_new("x", text, &address));
    for (int i = 0; i < EID_LIMIT_TICKET_ADDRESSES; i++)
        tu_assert_ok(eid_ticket_add_address(ticket, address));
    tu_assert_fails(eid_ticket_format(ticket, &formatted), EID_ERR_LIMIT);
    eid_address_free(address);
    eid_ticket_free(ticket);
    free(text);
}

/* ---- Failing memory ---- */

static eid_status ticket_there_and_back(void *ctx)
{
    eid_ticket *ticket;
    char *text = NULL;
    (void)ctx;
    EID_TRY(eid_ticket_detect("eidetica:?db=" ID_TEXT "&pr=http:127.0.0.1:80&pr=iroh:" ENDPOINT, &ticket));
    eid_status status = eid_ticket_format(ticket, &text);
    eid_ticket_free(ticket);
    eid_free(text);
    return status;
}

static eid_status old_form(void *ctx)
{
    eid_ticket *ticket;
    (void)ctx;
    EID_TRY(eid_ticket_detect(ID_TEXT "@127.0.0.1:80", &ticket));
    eid_ticket_free(ticket);
    return EID_OK;
}

static void failing_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(ticket_there_and_back, NULL) >= 5);
    assert_true(tu_alloc_fault_loop(old_form, NULL) >= 3);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_addresses),    cmocka_unit_test(detecting),
        cmocka_unit_test(helpful_sentences), cmocka_unit_test(bounds_and_copies),
        cmocka_unit_test(detecting_tickets), cmocka_unit_test(damaged_percent_encoding),
        cmocka_unit_test(bounded_tickets),   cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
