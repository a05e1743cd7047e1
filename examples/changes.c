/* SPDX-License-Identifier: Apache-2.0 */
/* Being told of changes: a callback, and a feed for programs with their own loop. */
#include <eidetica/eidetica.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            fprintf(stderr, "%s: %s\n", #call, eid_last_error());                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static void count_write(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    int *count = ctx;

    (void)database;
    printf("callback %d: an entry of height %d, %s\n", ++*count, (int)eid_entry_height(entry),
           source == EID_WRITE_LOCAL ? "written here" : "received");
}

static void write_reading(eid_database *database, int64_t degrees)
{
    eid_txn *txn;

    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_docstore_set_int(txn, "weather", "degrees", degrees));
    CHECK(eid_txn_commit_free(txn, NULL));
}

/* Everything that waits in the feed. */
static void drain(eid_changes *feed)
{
    eid_change change;

    for (;;) {
        CHECK(eid_changes_next(feed, &change));
        if (change.kind == EID_CHANGE_NONE)
            break;
        printf("feed: height %d\n", (int)eid_entry_height(change.entry));
        eid_entry_unref(change.entry);
    }
}

int main(void)
{
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_callback *registration;
    eid_changes *feed;
    char *place;
    int count = 0;

    CHECK(eid_instance_open_url("memory:", &instance));
    CHECK(eid_instance_login_or_create_user(instance, "ada", NULL, &user));
    CHECK(eid_user_create_database(user, "station", &database));

    /* Called on the thread that writes, right after the entry was stored. */
    CHECK(eid_database_on_store_write(database, "weather", EID_SOURCE_ALL, count_write, &count, &registration));
    /* Read whenever it suits; what is not read yet waits in the data file. */
    CHECK(eid_changes_open(database, "weather", NULL, &feed));
    write_reading(database, 17);
    write_reading(database, 18);

    struct pollfd wait = {.fd = eid_changes_fd(feed), .events = POLLIN};
    if (poll(&wait, 1, 1000) == 1)
        drain(feed);

    /* The place in the feed can be kept, also for the next run of the program. */
    CHECK(eid_changes_cursor(feed, &place));
    eid_changes_close(feed);
    eid_callback_remove(registration);
    write_reading(database, 19);
    CHECK(eid_changes_open(database, "weather", place, &feed));
    printf("later:\n");
    drain(feed);

    eid_free(place);
    eid_changes_close(feed);
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
    return 0;
}
