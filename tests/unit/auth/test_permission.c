/* SPDX-License-Identifier: Apache-2.0 */
/* Permissions: order, text, Doc, JSON. The recorded cases are in tests/vectors/test_auth.c. */
#include "auth/auth.h"

#include "support/testutil.h"

static const eid_permission ascending[] = {
    {EID_PERM_READ, 0},           {EID_PERM_WRITE, UINT32_MAX}, {EID_PERM_WRITE, 10}, {EID_PERM_WRITE, 0},
    {EID_PERM_ADMIN, UINT32_MAX}, {EID_PERM_ADMIN, 1},          {EID_PERM_ADMIN, 0},
};
#define ASCENDING (sizeof ascending / sizeof *ascending)

static void order_is_total(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASCENDING; i++)
        for (size_t k = 0; k < ASCENDING; k++)
            assert_int_equal(eid_permission_compare(ascending[i], ascending[k]), i < k ? -1 : i > k);
}

static void read_has_no_priority(void **state)
{
    eid_permission a = {EID_PERM_READ, 3}, b = {EID_PERM_READ, 9};
    char text[EID_PERMISSION_TEXT_SIZE];

    (void)state;
    assert_int_equal(eid_permission_compare(a, b), 0);
    eid_permission_format(a, text);
    assert_string_equal(text, "read");
}

static void text_round_trip(void **state)
{
    char text[EID_PERMISSION_TEXT_SIZE];
    eid_permission again;

    (void)state;
    for (size_t i = 0; i < ASCENDING; i++) {
        eid_permission_format(ascending[i], text);
        tu_assert_ok(eid_permission_parse(text, &again));
        assert_int_equal(eid_permission_compare(ascending[i], again), 0);
    }
    tu_assert_ok(eid_permission_parse("write", &again));
    assert_true(again.kind == EID_PERM_WRITE && again.priority == 10);
    tu_assert_ok(eid_permission_parse("admin", &again));
    assert_true(again.kind == EID_PERM_ADMIN && again.priority == 0);
}

static void bad_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "",          " write",   "write ",           "Write:1",
        "write:",    "write:-1", "write:1 ",         "write:0x1",
        "write:1:2", "admin:+",  "write:4294967296", "write:99999999999999999999999999",
        "writer",    ":1",       "owner:1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        eid_permission permission = {EID_PERM_ADMIN, 77};
        tu_assert_fails(eid_permission_parse(bad[i], &permission), EID_ERR_SYNTAX);
        assert_int_equal(permission.priority, 77);
    }
}

static eid_status read_json(const char *text, eid_permission *out)
{
    eid_json reader;
    eid_status status;

    eid_json_init(&reader, eid_slice_text(text));
    status = eid_permission_read_json(&reader, out);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    return status;
}

static void json_forms(void **state)
{
    eid_buf buf;
    eid_permission permission;

    (void)state;
    eid_buf_init(&buf, 100);
    eid_permission_write_json(&buf, ascending[0]);
    eid_buf_append_byte(&buf, ' ');
    eid_permission_write_json(&buf, ascending[1]);
    eid_buf_append_byte(&buf, ' ');
    eid_permission_write_json(&buf, ascending[6]);
    assert_string_equal((const char *)buf.data, "\"Read\" {\"Write\":4294967295} {\"Admin\":0}");
    eid_buf_free(&buf);

    tu_assert_ok(read_json(" { \"Admin\" : 3 } ", &permission));
    assert_true(permission.kind == EID_PERM_ADMIN && permission.priority == 3);
    tu_assert_ok(read_json("\"Read\"", &permission));
    assert_int_equal(permission.kind, EID_PERM_READ);
}

static void bad_json_is_refused(void **state)
{
    static const struct {
        const char *text;
        eid_status status;
    } bad[] = {
        {"\"Write\"", EID_ERR_WRONG_TYPE},     {"{}", EID_ERR_WRONG_TYPE},
        {"{\"Read\":1}", EID_ERR_WRONG_TYPE},  {"{\"Write\":1,\"Admin\":1}", EID_ERR_WRONG_TYPE},
        {"{\"Owner\":1}", EID_ERR_WRONG_TYPE}, {"{\"Write\":4294967296}", EID_ERR_RANGE},
        {"{\"Write\":-1}", EID_ERR_RANGE},     {"{\"Write\":\"1\"}", EID_ERR_WRONG_TYPE},
        {"[1]", EID_ERR_WRONG_TYPE},           {"null", EID_ERR_WRONG_TYPE},
        {"{\"Write\":1", EID_ERR_TRUNCATED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        eid_permission permission = {EID_PERM_ADMIN, 77};
        tu_assert_fails(read_json(bad[i].text, &permission), bad[i].status);
        assert_int_equal(permission.priority, 77);
    }
}

static eid_status make_doc(void *ctx)
{
    eid_doc *doc;
    eid_permission again;

    (void)ctx;
    EID_TRY(eid_permission_to_doc(ascending[1], &doc));
    assert_int_equal(eid_permission_from_doc(doc, &again), EID_OK);
    assert_int_equal(eid_permission_compare(again, ascending[1]), 0);
    eid_doc_free(doc);
    return EID_OK;
}

static void doc_survives_short_memory(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(make_doc, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_total),
        cmocka_unit_test(read_has_no_priority),
        cmocka_unit_test(text_round_trip),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(json_forms),
        cmocka_unit_test(bad_json_is_refused),
        cmocka_unit_test(doc_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
