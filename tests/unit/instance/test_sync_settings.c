/* SPDX-License-Identifier: Apache-2.0 */
/* Sync settings: properties, copies, the stored form, and how the wishes of several are combined. */
#include "fixture.h"

#include "base/limits.h"
#include "instance/records.h"

static void properties_are_set_and_taken_away(void **state)
{
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    tu_random random = tu_random_seeded(5);
    bool there[26] = {false};
    char name[2] = "a", value[8];

    (void)state;
    for (int i = 0; i < 500; i++) {
        size_t letter = tu_random_below(&random, 26);
        name[0] = (char)('a' + letter);
        there[letter] = tu_random_below(&random, 3) > 0;
        snprintf(value, sizeof value, "%d", i);
        tu_assert_ok(eid_sync_settings_set_property(&settings, name, there[letter] ? value : NULL));
        const char *found = eid_sync_settings_get_property(&settings, name);
        assert_int_equal(found != NULL, there[letter]);
        if (found != NULL)
            assert_string_equal(found, value);
        size_t count = 0;
        for (size_t k = 0; k < 26; k++)
            count += there[k];
        assert_int_equal(settings.property_count, count);
    }
    for (size_t i = 1; i < settings.property_count; i++)
        assert_true(strcmp(settings.properties[i - 1].name, settings.properties[i].name) < 0);
    eid_sync_settings_clear(&settings);
    assert_int_equal(settings.property_count, 0);
    assert_null(eid_sync_settings_get_property(&settings, "a"));
    eid_sync_settings_clear(&settings);
}

static void properties_are_bounded(void **state)
{
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    char text[EID_LIMIT_PROPERTY_BYTES + 2], name[16];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tu_assert_fails(eid_sync_settings_set_property(&settings, text, "value"), EID_ERR_LIMIT);
    tu_assert_fails(eid_sync_settings_set_property(&settings, "name", text), EID_ERR_LIMIT);
    tu_assert_fails(eid_sync_settings_set_property(&settings, "\xff", "value"), EID_ERR_UTF8);
    tu_assert_fails(eid_sync_settings_set_property(&settings, "name", "\xc0\x80"), EID_ERR_UTF8);
    assert_int_equal(settings.property_count, 0);
    text[EID_LIMIT_PROPERTY_BYTES] = '\0';
    tu_assert_ok(eid_sync_settings_set_property(&settings, text, text));
    for (int i = 1; i < EID_LIMIT_PROPERTIES; i++) {
        snprintf(name, sizeof name, "%d", i);
        tu_assert_ok(eid_sync_settings_set_property(&settings, name, ""));
    }
    tu_assert_fails(eid_sync_settings_set_property(&settings, "one more", ""), EID_ERR_LIMIT);
    tu_assert_ok(eid_sync_settings_set_property(&settings, "1", "changed"));
    eid_sync_settings_clear(&settings);
}

static void copies_are_equal_and_apart(void **state)
{
    eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT, copy;

    (void)state;
    settings.interval_seconds = 9;
    tu_assert_ok(eid_sync_settings_set_property(&settings, "a", "1"));
    tu_assert_ok(eid_sync_settings_copy(&settings, &copy));
    assert_true(eid_sync_settings_equal(&settings, &copy));
    tu_assert_ok(eid_sync_settings_set_property(&copy, "a", "2"));
    assert_false(eid_sync_settings_equal(&settings, &copy));
    assert_string_equal(eid_sync_settings_get_property(&settings, "a"), "1");
    tu_assert_ok(eid_sync_settings_set_property(&copy, "a", NULL));
    assert_false(eid_sync_settings_equal(&settings, &copy));
    eid_sync_settings_clear(&copy);
    /* A program of an earlier time knows less of the struct. */
    settings.struct_size = offsetof(eid_sync_settings, properties);
    tu_assert_ok(eid_sync_settings_copy(&settings, &copy));
    assert_true(copy.sync_on_commit && copy.interval_seconds == 9);
    assert_int_equal(copy.property_count, 0);
    assert_int_equal(copy.struct_size, sizeof copy);
    settings.struct_size = sizeof settings;
    eid_sync_settings_clear(&settings);
}

static void every_field_makes_a_difference(void **state)
{
    eid_sync_settings a = EID_SYNC_SETTINGS_DISABLED, b;

    (void)state;
    for (int field = 0; field < 4; field++) {
        b = a;
        assert_true(eid_sync_settings_equal(&a, &b));
        b.sync_enabled = field == 0;
        b.sync_on_commit = field == 1;
        b.interval_seconds = field == 2;
        if (field == 3)
            tu_assert_ok(eid_sync_settings_set_property(&b, "a", ""));
        assert_false(eid_sync_settings_equal(&a, &b));
        eid_sync_settings_clear(&b);
    }
}

static eid_status read_text(const char *text, eid_sync_settings *out)
{
    eid_json reader;

    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = eid_sync_settings_read(&reader, out);
    if (status == EID_OK && (status = eid_json_end(&reader)) != EID_OK)
        eid_sync_settings_clear(out);
    eid_json_free(&reader);
    return status;
}

#define FORM(properties)                                                                                     \
    "{\"sync_enabled\":true,\"sync_on_commit\":false,\"interval_seconds\":null,\"properties\":{" properties "}}"

static void the_stored_form(void **state)
{
    static const char *const forms[] = {FORM(""), FORM("\"a\":\"1\""), FORM("\"a\":\"\",\"b.c\":\"\\\"\"")};
    eid_sync_settings settings;
    eid_buf buf;

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        tu_assert_ok(read_text(forms[i], &settings));
        assert_int_equal(settings.property_count, i);
        eid_buf_init(&buf, 4096);
        eid_sync_settings_write(&buf, &settings);
        tu_assert_ok(eid_buf_status(&buf));
        assert_string_equal((const char *)buf.data, forms[i]);
        eid_buf_free(&buf);
        eid_sync_settings_clear(&settings);
    }
    /* Of a name that stands twice the last value counts; order does not matter. */
    tu_assert_ok(read_text(FORM("\"b\":\"1\",\"a\":\"2\",\"b\":\"3\""), &settings));
    assert_int_equal(settings.property_count, 2);
    assert_string_equal(settings.properties[1].value, "3");
    eid_sync_settings_clear(&settings);
    tu_assert_ok(read_text("{\"sync_on_commit\":true,\"sync_enabled\":false,\"later\":[]}", &settings));
    assert_true(settings.sync_on_commit && !settings.sync_enabled);
    tu_assert_fails(read_text("{\"sync_on_commit\":true}", &settings), EID_ERR_MISSING_FIELD);
    tu_assert_fails(read_text(FORM("\"a\":1"), &settings), EID_ERR_WRONG_TYPE);
    tu_assert_fails(read_text(FORM("\"a\\u0000\":\"1\""), &settings), EID_ERR_WRONG_TYPE);
    tu_assert_fails(read_text(FORM("\"a\":\"\\u0000\""), &settings), EID_ERR_WRONG_TYPE);
    tu_assert_fails(read_text("{\"sync_enabled\":true,\"sync_on_commit\":true,\"interval_seconds\":-1}", &settings),
                    EID_ERR_RANGE);
}

/* Whatever the order, the switches and the interval are the same; of the properties the last one counts. */
static void wishes_are_combined(void **state)
{
    tu_random random = tu_random_seeded(11);

    (void)state;
    for (int round = 0; round < 300; round++) {
        eid_sync_settings wishes[4], all = EID_SYNC_SETTINGS_DISABLED;
        uint64_t smallest = 0;
        bool enabled = false, on_commit = false;
        const char *last = NULL;
        for (int i = 0; i < 4; i++) {
            eid_sync_settings_init(&wishes[i]);
            wishes[i].sync_enabled = tu_random_below(&random, 2) == 0;
            wishes[i].sync_on_commit = tu_random_below(&random, 2) == 0;
            wishes[i].interval_seconds = tu_random_below(&random, 4);
            if (tu_random_below(&random, 2) == 0) {
                tu_assert_ok(eid_sync_settings_set_property(&wishes[i], "p", i % 2 == 0 ? "even" : "odd"));
                last = i % 2 == 0 ? "even" : "odd";
            }
            enabled |= wishes[i].sync_enabled;
            on_commit |= wishes[i].sync_on_commit;
            if (wishes[i].interval_seconds != 0 && (smallest == 0 || wishes[i].interval_seconds < smallest))
                smallest = wishes[i].interval_seconds;
            tu_assert_ok(eid_sync_settings_combine(&all, &wishes[i]));
            eid_sync_settings_clear(&wishes[i]);
        }
        assert_int_equal(all.sync_enabled, enabled);
        assert_int_equal(all.sync_on_commit, on_commit);
        assert_int_equal(all.interval_seconds, smallest);
        const char *found = eid_sync_settings_get_property(&all, "p");
        assert_true(last == NULL ? found == NULL : strcmp(found, last) == 0);
        eid_sync_settings_clear(&all);
    }
}

static eid_status use_them(void *ctx)
{
    eid_sync_settings read = EID_SYNC_SETTINGS_DISABLED, copy = read, all = read;

    (void)ctx;
    eid_status status = read_text(FORM("\"a\":\"1\",\"b\":\"2\""), &read);
    if (status == EID_OK)
        status = eid_sync_settings_set_property(&read, "c", "3");
    if (status == EID_OK)
        status = eid_sync_settings_copy(&read, &copy);
    if (status == EID_OK)
        status = eid_sync_settings_combine(&all, &copy);
    eid_sync_settings_clear(&read);
    eid_sync_settings_clear(&copy);
    eid_sync_settings_clear(&all);
    return status;
}

static void short_memory(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(use_them, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_set_and_taken_away),
        cmocka_unit_test(properties_are_bounded),
        cmocka_unit_test(copies_are_equal_and_apart),
        cmocka_unit_test(every_field_makes_a_difference),
        cmocka_unit_test(the_stored_form),
        cmocka_unit_test(wishes_are_combined),
        cmocka_unit_test(short_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
