/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint IDs and endpoint addresses: the vectors of the wire notes, the forms that are only read, what is
 * refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/testutil.h"
#include "transport/iroh/addr.h"
#include <eidetica/address.h>
#include <eidetica/memory.h>

#define HEX  "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
#define B32  "5jfgyy7ctrjavpxvkb5rglwf7gkuo5vox27hxescd3vgsfcg2iwa"
#define Z32  "7jfgaa9nutjyixzikb7tgmsf9gkwq7iqz498zr1nd5ig1fng4esy"
#define SEED "0707070707070707070707070707070707070707070707070707070707070707"
#define FULL                                                                                                 \
    "endpointadveu3dd4kofecv66vihwezoyx4zkr3wv27l464siipou2iui3jcyayadnuhi5dqom5c6l3smvwgc6jomv4gc3lqnrss4y" \
    "3pnuxc6ai"                                                                                              \
    "ayaaaeb6reiaqciabbw4aaaaaaaaaaaaaaaaaaap774bq"
#define LOOPBACK "endpointadveu3dd4kofecv66vihwezoyx4zkr3wv27l464siipou2iui3jcyaibab7qaaab2era"
#define BARE     "endpointadveu3dd4kofecv66vihwezoyx4zkr3wv27l464siipou2iui3jcyaa"

static void parse(const char *text, eid_iroh_addr *out)
{
    if (eid_iroh_addr_parse(eid_slice_text(text), out) != EID_OK)
        fail_msg("'%s': %s", text, eid_last_error());
}

static void ids(void **state)
{
    static const char *const forms[] = {HEX, B32, Z32,
                                        "EA4A6C63E29C520ABEF5507B132EC5F9954776AEBEBE7B92421EEA691446D22C",
                                        "5JFGYY7CTRJAVPXVKB5RGLWF7GKUO5VOX27HXESCD3VGSFCG2IWA"};
    eid_pubkey id;
    eid_keypair *key;
    size_t len;
    char hex[EID_IROH_ID_TEXT_SIZE], z32[EID_IROH_ID_Z32_SIZE], name[EID_IROH_SERVER_NAME_SIZE];
    (void)state;

    uint8_t *seed = tu_hex_decode(SEED, &len);
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    eid_keypair_public(key, &id);
    tu_assert_hex(id.bytes, sizeof id.bytes, HEX);
    eid_keypair_free(key);
    free(seed);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        memset(&id, 0, sizeof id);
        tu_assert_ok(eid_iroh_id_parse(eid_slice_text(forms[i]), &id));
        tu_assert_hex(id.bytes, sizeof id.bytes, HEX);
    }
    eid_iroh_id_format(&id, hex);
    eid_iroh_id_format_z32(&id, z32);
    eid_iroh_server_name(&id, name);
    assert_string_equal(hex, HEX);
    assert_string_equal(z32, Z32);
    assert_string_equal(name, "t956oov2jh90lfnla1th6bm5v6aketlenqv7n4i23rl6i526q8m0.iroh.invalid");
}

static void server_name_of_the_zero_secret(void **state)
{
    const uint8_t seed[32] = {0};
    eid_keypair *key;
    eid_pubkey id;
    char name[EID_IROH_SERVER_NAME_SIZE];
    (void)state;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    eid_keypair_public(key, &id);
    eid_keypair_free(key);
    eid_iroh_server_name(&id, name);
    assert_string_equal(name, "7dl2ff6emqi2qol3l382krodedij45bn3nh479hqo14a32qpr8kg.iroh.invalid");
}

static void ids_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",
        "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22", /* a digit short */
        HEX "0",
        "xa4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
        "5jfgyy7ctrjavpxvkb5rglwf7gkuo5vox27hxescd3vgsfcg2iw",              /* a character short */
        "5jfgyy7ctrjavpxvkb5rglwf7gkuo5vox27hxescd3vgsfcg2iwb",             /* unused bits are not zero */
        "0200000000000000000000000000000000000000000000000000000000000000", /* no point of the curve */
    };
    eid_pubkey id;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        tu_assert_fails(eid_iroh_id_parse(eid_slice_text(bad[i]), &id), EID_ERR_INVALID_ADDRESS);
}

static void socket_addresses(void **state)
{
    static const char *const good[] = {"0.0.0.0:0", "127.0.0.1:4433", "[::]:0", "[2001:db8::1]:65535"};
    static const char *const bad[] = {
        "",      ":",          "1.2.3.4",     "1.2.3.4:",    "1.2.3.4:65536", "1.2.3:4", "::1:80",
        "[::1]", "[::1]80",    "[]:1",        "[1.2.3.4]:5", "1.2.3.4:-1",    "name:80", "1.2.3.4:123456",
        "[::1",  "1.2.3.4: 5", "[::1%eth0]:1"};
    eid_sockaddr address;
    char text[EID_SOCKADDR_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        tu_assert_ok(eid_sockaddr_parse(eid_slice_text(good[i]), &address));
        eid_sockaddr_format(&address, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (eid_sockaddr_parse(eid_slice_text(bad[i]), &address) != EID_ERR_INVALID_ADDRESS)
            fail_msg("'%s' was taken", bad[i]);
}

static void relay_urls(void **state)
{
    static const char *const cases[][2] = {
        {"https://relay.example.com", "https://relay.example.com/"},
        {"HTTPS://Relay.Example.com./", "https://relay.example.com./"},
        {"http://127.0.0.1:3340", "http://127.0.0.1:3340/"},
        {"https://[::1]:8443/deep/Path?x", "https://[::1]:8443/deep/Path?x"},
    };
    static const char *const bad[] = {"",
                                      "relay.example.com",
                                      "https://",
                                      "https:///",
                                      "ftp://a/",
                                      "https://user@a/",
                                      "https://a b",
                                      "https://a/b c",
                                      "https://a/\x7f",
                                      "https:/a",
                                      "https"};
    char *url;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tu_assert_ok(eid_iroh_relay_url(eid_slice_text(cases[i][0]), &url));
        assert_string_equal(url, cases[i][1]);
        eid_free(url);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (eid_iroh_relay_url(eid_slice_text(bad[i]), &url) != EID_ERR_INVALID_ADDRESS)
            fail_msg("'%s' was taken", bad[i]);
}

/* Everything that names the same ways is the same ticket. */
/* Feature 48 */
static void all_forms_of_one_address(void **state)
{
    static const char *const full[] = {
        FULL,
        "iroh:" FULL,
        "{\"node_id\":\"" HEX
        "\",\"relay_url\":\"https://relay.example.com./\",\"direct_addresses\":[\"[2001:db8::1]:65535\","
        "\"192.0.2.7:4433\"],\"other\":[1,{}]}",
        "{\"node_id\":\"" B32
        "\",\"info\":{\"relay_url\":\"https://relay.example.com.\",\"direct_addresses\":[\"192.0.2.7:4433\","
        "\"[2001:db8::1]:65535\",\"192.0.2.7:4433\"]}}",
        "{\"id\":\"" HEX "\",\"addrs\":[{\"Ip\":\"192.0.2.7:4433\"},{\"Relay\":\"https://relay.example.com./"
                         "\"},{\"Custom\":[1]},"
        "{\"Ip\":\"[2001:db8::1]:65535\"}]}",
    };
    static const char *const bare[] = {
        BARE, HEX, Z32, "iroh://" HEX, "iroh://" B32 "/", "{\"node_id\":\"" HEX "\",\"relay_url\":null}"};
    static const char *const relayed[] = {"iroh://" HEX "@relay.example.com",
                                          HEX "@https://relay.example.com/", Z32 "@Relay.example.com/"};
    eid_address *address;
    char first[512] = "";
    (void)state;
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        tu_assert_ok(eid_address_iroh(full[i], &address));
        assert_string_equal(eid_address_transport(address), "iroh");
        assert_string_equal(eid_address_text(address), FULL);
        eid_address_free(address);
    }
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        tu_assert_ok(eid_address_iroh(bare[i], &address));
        assert_string_equal(eid_address_text(address), BARE);
        eid_address_free(address);
    }
    for (size_t i = 0; i < sizeof relayed / sizeof relayed[0]; i++) {
        tu_assert_ok(eid_address_iroh(relayed[i], &address));
        if (i == 0)
            snprintf(first, sizeof first, "%s", eid_address_text(address));
        assert_string_equal(eid_address_text(address), first);
        eid_address_free(address);
    }
    assert_string_not_equal(first, BARE);
}

static void ways_in_order(void **state)
{
    eid_iroh_addr addr;
    char text[EID_SOCKADDR_TEXT_SIZE];
    (void)state;
    parse(FULL, &addr);
    assert_int_equal(addr.relay_count, 1);
    assert_string_equal(addr.relays[0], "https://relay.example.com./");
    assert_int_equal(addr.direct_count, 2);
    eid_sockaddr_format(&addr.direct[0], text);
    assert_string_equal(text, "192.0.2.7:4433");
    eid_sockaddr_format(&addr.direct[1], text);
    assert_string_equal(text, "[2001:db8::1]:65535");
    eid_iroh_addr_clear(&addr);
    parse(LOOPBACK, &addr);
    assert_int_equal(addr.direct_count, 1);
    assert_int_equal(addr.relay_count, 0);
    eid_iroh_addr_clear(&addr);
}

/* Custom ways in both encodings between two that are known: the reader stays in step. */
static void unknown_ways_are_passed_over(void **state)
{
    static const char head[] = "00" HEX "04"
                               "01007f000001d209"
                               "02b4240003010203";
    static const char tail[] = "02b4240103010203"
                               "0100c0000207d122";
    char hex[512], ticket[512] = "endpoint";
    eid_iroh_addr addr;
    size_t len;
    (void)state;
    snprintf(hex, sizeof hex, "%s%054d%s", head, 0, tail);
    uint8_t *bytes = tu_hex_decode(hex, &len);
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t at = 8;
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            ticket[at++] = digits[held >> (bits - 5) & 31];
    }
    if (bits != 0)
        ticket[at++] = digits[held << (5 - bits) & 31];
    ticket[at] = '\0';
    free(bytes);
    parse(ticket, &addr);
    assert_int_equal(addr.direct_count, 2);
    assert_int_equal(eid_sockaddr_port(&addr.direct[1]), 4433);
    eid_iroh_addr_clear(&addr);
}

/* Feature 49 */
static void addresses_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",
        "iroh:",
        "iroh://",
        "endpoint",
        "http://x",
        HEX "@",
        HEX "@@",
        "@" HEX,
        HEX "@ftp://a/",
        "\xff\xfe",
        "{",
        "{}",
        "{\"relay_url\":null}",
        "{\"node_id\":1}",
        "{\"node_id\":\"" HEX "\"} x",
        "{\"node_id\":\"" HEX "\",\"node_id\":\"" HEX "\"}",
        "{\"node_id\":\"" HEX "\",\"direct_addresses\":[\"here\"]}",
        "{\"node_id\":\"" HEX "\",\"info\":{\"relay_url\":\"x\"}}",
    };
    eid_iroh_addr addr;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (eid_iroh_addr_parse(eid_slice_text(bad[i]), &addr) != EID_ERR_INVALID_ADDRESS)
            fail_msg("'%s' was taken", bad[i]);
    /* Every way a ticket can end early. */
    for (size_t cut = strlen(FULL) - 1; cut > 8; cut--)
        assert_int_equal(eid_iroh_addr_parse(eid_slice_of(FULL, cut), &addr), EID_ERR_INVALID_ADDRESS);
}

static void bounds(void **state)
{
    eid_iroh_addr addr;
    eid_sockaddr direct;
    char text[64];
    (void)state;
    parse(HEX, &addr);
    for (unsigned i = 0; i < EID_LIMIT_ENDPOINT_DIRECT; i++) {
        snprintf(text, sizeof text, "10.0.0.%u:1", 200 - i);
        tu_assert_ok(eid_sockaddr_parse(eid_slice_text(text), &direct));
        tu_assert_ok(eid_iroh_addr_add_direct(&addr, &direct));
        tu_assert_ok(eid_iroh_addr_add_direct(&addr, &direct));
    }
    assert_int_equal(addr.direct_count, EID_LIMIT_ENDPOINT_DIRECT);
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("10.0.1.1:1"), &direct));
    tu_assert_fails(eid_iroh_addr_add_direct(&addr, &direct), EID_ERR_LIMIT);
    for (unsigned i = 0; i < EID_LIMIT_ENDPOINT_RELAYS; i++) {
        snprintf(text, sizeof text, "https://r%u/", i);
        tu_assert_ok(eid_iroh_addr_add_relay(&addr, eid_slice_text(text)));
    }
    tu_assert_fails(eid_iroh_addr_add_relay(&addr, eid_slice_text("https://one.more/")), EID_ERR_LIMIT);
    tu_assert_ok(eid_iroh_addr_add_relay(&addr, eid_slice_text("https://r0")));
    assert_int_equal(addr.relay_count, EID_LIMIT_ENDPOINT_RELAYS);
    for (size_t i = 1; i < addr.direct_count; i++)
        assert_true(eid_sockaddr_compare(&addr.direct[i - 1], &addr.direct[i]) < 0);
    eid_iroh_addr_clear(&addr);
}

static eid_status parse_and_format(void *ctx)
{
    eid_address *address;
    EID_TRY(eid_address_iroh(ctx, &address));
    eid_address_free(address);
    return EID_OK;
}

static void memory_runs_out(void **state)
{
    (void)state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(parse_and_format, (void *)(uintptr_t)FULL) >= 4);
    assert_true(tu_alloc_fault_loop(parse_and_format, (void *)(uintptr_t)(HEX "@relay.example.com")) >= 4);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(server_name_of_the_zero_secret),
        cmocka_unit_test(ids_that_are_none),
        cmocka_unit_test(socket_addresses),
        cmocka_unit_test(relay_urls),
        cmocka_unit_test(all_forms_of_one_address),
        cmocka_unit_test(ways_in_order),
        cmocka_unit_test(unknown_ways_are_passed_over),
        cmocka_unit_test(addresses_that_are_none),
        cmocka_unit_test(bounds),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
