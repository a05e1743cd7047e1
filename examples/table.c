/* SPDX-License-Identifier: Apache-2.0 */
/* A table of people: rows of JSON, an index, queries, pages. */
#include <eidetica/eidetica.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            fprintf(stderr, "%s: %s\n", #call, eid_last_error());                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static bool show(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)len;
    printf("%s%s\n", (const char *)ctx, row);
    return true; /* false would end the query */
}

static bool lives_by_the_sea(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)len;
    (void)ctx;
    return strstr(row, "Bergen") != NULL || strstr(row, "Porto") != NULL;
}

int main(void)
{
    static const char *const people[] = {
        "{\"name\":\"Ada\",\"age\":36,\"home\":{\"city\":\"London\"},\"speaks\":[\"en\",\"fr\"]}",
        "{\"name\":\"Edvard\",\"age\":64,\"home\":{\"city\":\"Bergen\"},\"speaks\":[\"no\",\"de\"]}",
        "{\"name\":\"Sophia\",\"age\":84,\"home\":{\"city\":\"Porto\"},\"speaks\":[\"pt\",\"fr\"]}",
        "{\"name\":\"Nina\",\"age\":17.5,\"home\":{\"city\":\"London\"}}",
    };
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_txn *txn;
    char key[EID_ROW_KEY_SIZE];

    CHECK(eid_instance_open_url("memory:", &instance)); /* or "sqlite:people.db" */
    CHECK(eid_instance_login_or_create_user(instance, "clerk", NULL, &user));
    CHECK(eid_user_create_database(user, "registry", &database));

    CHECK(eid_database_new_transaction(database, &txn));
    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        CHECK(eid_table_insert(txn, "people", people[i], key));
    CHECK(eid_txn_commit_free(txn, NULL));

    /* An index belongs to this instance: other peers have their own, or none. Queries work either way. */
    CHECK(eid_table_add_index(database, "people", "home.city"));
    CHECK(eid_table_add_index(database, "people", "age"));

    eid_table_query in_london = EID_TABLE_QUERY_INIT;
    in_london.field = "home.city";
    in_london.equals = eid_table_text("London");
    CHECK(eid_database_table_find(database, "people", &in_london, show, "in London: ", NULL));

    eid_table_query french = EID_TABLE_QUERY_INIT; /* an array stands for its elements */
    french.field = "speaks";
    french.equals = eid_table_text("fr");
    eid_table_result result = EID_TABLE_RESULT_INIT;
    CHECK(eid_database_table_find(database, "people", &french, NULL, NULL, &result));
    printf("%d speak French; an index was %s\n", (int)result.rows, result.indexed ? "used" : "not used");
    eid_table_result_clear(&result);

    /* A transaction sees what it has staged. */
    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_table_insert(txn, "people", "{\"name\":\"Luis\",\"age\":46,\"home\":{\"city\":\"Porto\"}}", key));

    /* The oldest of age first, two on a page. */
    eid_table_query adults = EID_TABLE_QUERY_INIT;
    adults.field = "age";
    adults.lower = eid_table_int(18);
    adults.descending = true;
    adults.limit = 2;
    for (int page = 1; page == 1 || adults.cursor != NULL; page++) {
        printf("page %d\n", page);
        CHECK(eid_table_find(txn, "people", &adults, show, "  ", &result));
        eid_free((char *)adults.cursor);
        adults.cursor = result.cursor; /* NULL behind the last page */
    }

    eid_table_query seaside = EID_TABLE_QUERY_INIT; /* in the order of keys, tested one by one */
    seaside.matches = lives_by_the_sea;
    CHECK(eid_table_find(txn, "people", &seaside, NULL, NULL, &result));
    printf("%d by the sea\n", (int)result.rows);
    eid_table_result_clear(&result);
    CHECK(eid_txn_commit_free(txn, NULL));

    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
    return 0;
}
