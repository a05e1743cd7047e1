/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records: which fields are taken, skipped, missed and refused. */
#include "support/testutil.h"

#include <string.h>

#include <eidetica/memory.h>

#include "codec/fields.h"

typedef struct record {
    uint64_t number;
    char *text;
    char *note;
    int met; /* known fields that were shown */
} record;

static eid_status read_fields(eid_json *reader, record *out)
{
    static const char *const names[] = {"number", "text", "note"};
    EID_OBJECT(object, names, EID_FIELDS(2));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "record"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return eid_json_end(reader);
        out->met++;
        if (field == 0)
            EID_TRY(eid_json_read_u64(reader, names[field], &out->number));
        else if (field == 1)
            EID_TRY(eid_field_text(reader, names[field], &out->text));
        else
            EID_TRY(eid_field_text_or_null(reader, names[field], &out->note));
    }
}

static eid_status read_record(const char *text, record *out)
{
    eid_json reader;

    memset(out, 0, sizeof *out);
    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = read_fields(&reader, out);
    eid_json_free(&reader);
    return status;
}

static void free_record(record *r)
{
    eid_free(r->text);
    eid_free(r->note);
}

static void known_fields_in_any_order(void **state)
{
    record r;

    (void)state;
    tu_assert_ok(read_record("{\"note\":\"n\",\"text\":\"a\\\"b\",\"number\":7}", &r));
    assert_int_equal(r.number, 7);
    assert_string_equal(r.text, "a\"b");
    assert_string_equal(r.note, "n");
    free_record(&r);
}

static void unknown_fields_are_skipped_whole(void **state)
{
    record r;

    (void)state;
    tu_assert_ok(read_record("{\"x\":{\"number\":[1,{}]},\"number\":1,\"x\":null,\"text\":\"\"}", &r));
    assert_int_equal(r.met, 2);
    assert_int_equal(r.number, 1);
    assert_string_equal(r.text, "");
    free_record(&r);
}

static void optional_fields_may_be_null_or_absent(void **state)
{
    record r;

    (void)state;
    tu_assert_ok(read_record("{\"number\":1,\"text\":\"t\",\"note\":null}", &r));
    assert_null(r.note);
    free_record(&r);
    tu_assert_ok(read_record("{\"number\":1,\"text\":\"t\"}", &r));
    assert_null(r.note);
    free_record(&r);
}

static void refused_records(void **state)
{
    static const struct {
        const char *text, *word;
        eid_status status;
    } cases[] = {
        {"{}", "`number`", EID_ERR_MISSING_FIELD},
        {"{\"number\":1}", "`text`", EID_ERR_MISSING_FIELD},
        {"{\"text\":\"t\"}", "`number`", EID_ERR_MISSING_FIELD},
        {"{\"number\":1,\"number\":1,\"text\":\"t\"}", "`number`", EID_ERR_DUPLICATE_KEY},
        {"{\"note\":null,\"note\":null}", "`note`", EID_ERR_DUPLICATE_KEY},
        {"{\"number\":1,\"text\":null}", "text", EID_ERR_WRONG_TYPE},
        {"{\"number\":1,\"text\":\"a\\u0000\"}", "text", EID_ERR_WRONG_TYPE},
        {"{\"number\":1,\"text\":\"t\",\"note\":2}", "note", EID_ERR_WRONG_TYPE},
        {"[]", "record", EID_ERR_WRONG_TYPE},
        {"{\"number\":1,\"text\":\"t\"", "", EID_ERR_TRUNCATED},
        {"{\"number\":1,\"text\":\"t\"} 1", "", EID_ERR_TRAILING_DATA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        record r;
        eid_status status = read_record(cases[i].text, &r);
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].text, eid_status_name(status), eid_status_name(cases[i].status));
        assert_non_null(strstr(eid_last_error(), cases[i].word));
        free_record(&r);
    }
}

static void ids_and_plain_values_come_back(void **state)
{
    const char *text = "bafyr4ifszgppqvhbu2blj2smcdglalbekf6shdb4gqqm4hd4nyxlxohmdi";
    eid_json reader;
    eid_id id, again;
    eid_buf buf;

    (void)state;
    tu_assert_ok(eid_id_parse(text, &id));
    eid_buf_init(&buf, 1000);
    eid_write_id_text(&buf, &id);
    eid_json_init(&reader, eid_buf_slice(&buf));
    tu_assert_ok(eid_field_id(&reader, "id", &again));
    assert_true(eid_id_equal(&id, &again));
    eid_json_free(&reader);

    eid_buf_reset(&buf);
    eid_write_text_or_null(&buf, NULL);
    eid_write_text_or_null(&buf, "\n");
    eid_write_bool(&buf, true);
    eid_write_bool(&buf, false);
    tu_assert_ok(eid_buf_status(&buf));
    assert_string_equal((const char *)buf.data, "null\"\\n\"truefalse");
    eid_buf_free(&buf);

    eid_json_init(&reader, eid_slice_text("\"bafyr4i\""));
    tu_assert_fails(eid_field_id(&reader, "id", &again), EID_ERR_INVALID_ID);
    eid_json_free(&reader);
}

static eid_status read_one(void *ctx)
{
    record r;
    eid_status status = read_record(ctx, &r);

    free_record(&r);
    return status;
}

static void short_memory(void **state)
{
    char text[] = "{\"number\":1,\"text\":\"a\\tb\",\"note\":\"n\"}";

    (void)state;
    assert_true(tu_alloc_fault_loop(read_one, text) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_fields_in_any_order),       cmocka_unit_test(unknown_fields_are_skipped_whole),
        cmocka_unit_test(optional_fields_may_be_null_or_absent), cmocka_unit_test(refused_records),
        cmocka_unit_test(ids_and_plain_values_come_back),  cmocka_unit_test(short_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
