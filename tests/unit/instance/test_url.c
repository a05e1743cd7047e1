/* SPDX-License-Identifier: Apache-2.0 */
/* Instance URLs: what they open, and the sentence for those that open nothing. */
#include "instance/url.h"

#include <string.h>

#include <eidetica/memory.h>

#include "support/testutil.h"

static void good_urls(void **state)
{
    static const char *const cases[][2] = {
        {"sqlite:notes.db", "notes.db"},
        {"sqlite:./a b/ü.db", "./a b/ü.db"},
        {"sqlite:/tmp/notes.db", "/tmp/notes.db"},
        {"sqlite:///tmp/notes.db", "/tmp/notes.db"},
        {"sqlite://notes.db", "notes.db"},
        {"SQLite:notes.db", "notes.db"},
        {"sqlite::memory:", ":memory:"},
        {"memory:", ":memory:"},
        {"memory://", ":memory:"},
        {"MEMORY:", ":memory:"},
    };
    char *path;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tu_assert_ok(eid_url_to_path(cases[i][0], &path));
        assert_string_equal(path, cases[i][1]);
        eid_free(path);
    }
}

static void bad_urls(void **state)
{
    static const struct {
        const char *url;
        eid_status status;
        const char *says; /* what the sentence must tell */
    } cases[] = {
        {"notes.db", EID_ERR_INVALID_URL, "write sqlite:notes.db"},
        {"", EID_ERR_INVALID_URL, "write sqlite:PATH"},
        {"/tmp/notes.db", EID_ERR_INVALID_URL, "write sqlite:/tmp/notes.db"},
        {"C:\\notes.db", EID_ERR_INVALID_URL, "write sqlite:"},
        {"sqlite", EID_ERR_INVALID_URL, "write sqlite:"},
        {"sqlite:", EID_ERR_INVALID_URL, "names no file"},
        {"sqlite://", EID_ERR_INVALID_URL, "names no file"},
        {"sqlite:a.db?mode=ro", EID_ERR_INVALID_URL, "options"},
        {"sqlite:a.db#x", EID_ERR_INVALID_URL, "options"},
        {"mysql://host/db", EID_ERR_INVALID_URL, "not known"},
        {"sqlitee:a.db", EID_ERR_INVALID_URL, "not known"},
        {"memory:name", EID_ERR_INVALID_URL, "behind memory:"},
        {"memory:///tmp/a.json", EID_ERR_UNSUPPORTED, "use sqlite:PATH"},
        {"postgres://host/db", EID_ERR_UNSUPPORTED, "use sqlite:PATH"},
        {"PostgreSQL://host/db", EID_ERR_UNSUPPORTED, "use sqlite:PATH"},
        {"unix:///run/eidetica", EID_ERR_UNSUPPORTED, "use sqlite:PATH"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = NULL;
        tu_assert_fails(eid_url_to_path(cases[i].url, &path), cases[i].status);
        assert_null(path);
        if (strstr(eid_last_error(), cases[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].url, eid_last_error(), cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
