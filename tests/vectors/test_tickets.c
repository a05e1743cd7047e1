/* SPDX-License-Identifier: Apache-2.0 */
/* tickets.json: database tickets as the Rust implementation writes and reads them.
 *
 * `instance_connect_errors` belongs to the instance tests.
 */
#include <string.h>

#include "support/jsondom.h"
#include "support/testutil.h"
#include "transport/iroh/addr.h"
#include <eidetica/address.h>
#include <eidetica/memory.h>

static void check_addresses(const eid_ticket *ticket, const jd_node *wanted)
{
    assert_int_equal(eid_ticket_address_count(ticket), jd_len(wanted));
    for (size_t i = 0; i < jd_len(wanted); i++) {
        const eid_address *address = eid_ticket_address(ticket, i);
        assert_string_equal(eid_address_transport(address), jd_get_str(jd_at(wanted, i), "transport_type"));
        assert_string_equal(eid_address_text(address), jd_get_str(jd_at(wanted, i), "address"));
    }
    assert_null(eid_ticket_address(ticket, jd_len(wanted)));
}

static void check_database(const eid_ticket *ticket, const char *wanted)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(eid_ticket_database_id(ticket), text);
    assert_string_equal(text, wanted);
}

/* Feature O1 */
static void formatting(void **state)
{
    (void)state;
    jd_node *root = jd_load("tickets.json");
    const jd_node *cases = jd_need(root, "ticket_format");
    assert_int_equal(jd_len(cases), 9);

    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        const jd_node *addresses = jd_need(one, "addresses");
        eid_ticket *ticket, *back;
        eid_id database;
        char *text;

        tu_assert_ok(eid_id_parse(jd_get_str(one, "database_id"), &database));
        tu_assert_ok(eid_ticket_new(&database, &ticket));
        for (size_t j = 0; j < jd_len(addresses); j++) {
            eid_address *address;
            tu_assert_ok(eid_address_new(jd_get_str(jd_at(addresses, j), "transport_type"),
                                         jd_get_str(jd_at(addresses, j), "address"), &address));
            tu_assert_ok(eid_ticket_add_address(ticket, address));
            eid_address_free(address);
        }
        tu_assert_ok(eid_ticket_format(ticket, &text));
        assert_string_equal(text, jd_get_str(one, "ticket"));
        assert_string_equal(text, jd_get_str(one, "json"));
        tu_assert_ok(eid_ticket_parse(text, &back));
        check_database(back, jd_get_str(one, "database_id"));
        check_addresses(back, jd_need(one, "parsed_addresses"));
        eid_ticket_free(back);
        eid_ticket_free(ticket);
        eid_free(text);
    }
    jd_free(root);
}

static void check_refused(const jd_node *one)
{
    eid_ticket *ticket = NULL;
    bool bad_id = strcmp(jd_get_str(one, "class"), "Id.InvalidFormat") == 0;

    tu_assert_fails(eid_ticket_parse(jd_get_str(one, "ticket"), &ticket),
                    bad_id ? EID_ERR_INVALID_ID : EID_ERR_INVALID_ADDRESS);
    assert_null(ticket);
    /* Which part of an ID was wrong is said in our own words; the other sentences are the recorded ones. */
    if (!bad_id)
        assert_string_equal(eid_last_error(), jd_get_str(one, "error"));
}

/* Feature O1 */
static void parsing(void **state)
{
    (void)state;
    jd_node *root = jd_load("tickets.json");
    const jd_node *cases = jd_need(root, "ticket_parse");
    size_t accepted = 0;

    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_ticket *ticket;
        char *again;

        if (!jd_get_bool(one, "ok")) {
            check_refused(one);
            continue;
        }
        accepted++;
        tu_assert_ok(eid_ticket_parse(jd_get_str(one, "ticket"), &ticket));
        check_database(ticket, jd_get_str(one, "database_id"));
        assert_int_equal(eid_id_is_empty(eid_ticket_database_id(ticket)), jd_get_bool(one, "empty_id"));
        check_addresses(ticket, jd_need(one, "addresses"));
        tu_assert_ok(eid_ticket_format(ticket, &again));
        assert_string_equal(again, jd_get_str(one, "reprinted"));
        eid_free(again);
        eid_ticket_free(ticket);
    }
    assert_int_equal(accepted, 21);
    assert_int_equal(jd_len(cases), 33);
    jd_free(root);
}

static void check_ways(const eid_iroh_addr *addr, const jd_node *one)
{
    const jd_node *ips = jd_need(one, "ip_addrs");
    char text[EID_SOCKADDR_TEXT_SIZE], id[EID_IROH_ID_TEXT_SIZE];
    eid_iroh_id_format(&addr->id, id);
    assert_string_equal(id, jd_get_str(one, "id"));
    assert_int_equal(addr->direct_count, jd_len(ips));
    for (size_t i = 0; i < addr->direct_count; i++) {
        eid_sockaddr_format(&addr->direct[i], text);
        assert_string_equal(text, jd_str(jd_at(ips, i)));
    }
}

static void endpoint_tickets(void **state)
{
    (void)state;
    jd_node *root = jd_load("tickets.json");
    const jd_node *cases = jd_need(root, "endpoint_tickets");
    assert_true(jd_len(cases) > 0);

    for (size_t i = 0; i < jd_len(cases); i++) {
        const char *text = jd_get_str(jd_at(cases, i), "ticket");
        const jd_node *given = jd_need(jd_at(cases, i), "addrs_given");
        eid_iroh_addr addr;
        eid_address *address;
        char *ticket;
        tu_assert_ok(eid_address_detect(text, &address));
        assert_string_equal(eid_address_transport(address), "iroh");
        assert_string_equal(eid_address_text(address), text);
        eid_address_free(address);
        tu_assert_ok(eid_address_detect(jd_get_str(jd_at(cases, i), "endpoint_id_hex"), &address));
        assert_string_equal(eid_address_transport(address), "iroh");
        eid_address_free(address);
        /* Built from its parts, in the order they were given. */
        tu_assert_ok(eid_iroh_addr_parse(eid_slice_text(jd_get_str(jd_at(cases, i), "endpoint_id_hex")), &addr));
        for (size_t j = 0; j < jd_len(given); j++) {
            eid_slice way = eid_slice_text(jd_str(jd_at(given, j)));
            eid_sockaddr direct;
            if (strncmp((const char *)way.data, "relay:", 6) == 0) {
                tu_assert_ok(eid_iroh_addr_add_relay(&addr, eid_slice_of(way.data + 6, way.len - 6)));
            } else {
                tu_assert_ok(eid_sockaddr_parse(way, &direct));
                tu_assert_ok(eid_iroh_addr_add_direct(&addr, &direct));
            }
        }
        tu_assert_ok(eid_iroh_addr_format(&addr, &ticket));
        assert_string_equal(ticket, text);
        eid_free(ticket);
        eid_iroh_addr_clear(&addr);
        /* And read. */
        tu_assert_ok(eid_address_iroh(text, &address));
        assert_string_equal(eid_address_text(address), text);
        eid_address_free(address);
    }
    jd_free(root);
}

/* Texts that are no tickets, but addresses we read on top of what the reference reads. */
static bool is_other_form(const char *name)
{
    return strcmp(name, "endpoint id only (hex)") == 0 || strcmp(name, "json addr") == 0;
}

static void endpoint_ticket_parsing(void **state)
{
    (void)state;
    jd_node *root = jd_load("tickets.json");
    const jd_node *cases = jd_need(root, "endpoint_ticket_parse");
    size_t accepted = 0, others = 0;
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_iroh_addr addr;
        eid_status status = eid_iroh_addr_parse(eid_slice_text(jd_get_str(one, "ticket")), &addr);
        if (is_other_form(jd_get_str(one, "name")))
            others++;
        else if (jd_get_bool(one, "ok")) {
            assert_int_equal(status, EID_OK);
            check_ways(&addr, one);
            accepted++;
        } else {
            if (status != EID_ERR_INVALID_ADDRESS)
                fail_msg("%s: was taken", jd_get_str(one, "name"));
            continue;
        }
        assert_int_equal(status, EID_OK);
        eid_iroh_addr_clear(&addr);
    }
    assert_int_equal(accepted, 3);
    assert_int_equal(others, 2);
    jd_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formatting),
        cmocka_unit_test(parsing),
        cmocka_unit_test(endpoint_tickets),
        cmocka_unit_test(endpoint_ticket_parsing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
