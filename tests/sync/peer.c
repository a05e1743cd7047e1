/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that does what its input says, for tests with real processes: peer FILE ADDRESS
 *
 *   make           makes a database that everybody may write to
 *   join TICKET    fetches it, or syncs it with one more peer
 *   ticket         prints its ticket
 *   put KEY TEXT   commits, and prints the entry's ID once that is acknowledged
 *   has ID         prints whether it holds the entry
 *   state          prints the hash of the state and the number of entries
 *
 * Each answer is one line. A database it had before it was killed is open from the start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/eidetica.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            printf("error: %s: %s\n", #call, eid_last_error());                                              \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

typedef struct peer {
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_database *database; /* NULL: none yet */
} peer;

static void start(peer *p, const char *file, const char *address)
{
    char url[4096];
    eid_sync_config config = EID_SYNC_CONFIG_INIT;
    snprintf(url, sizeof url, "sqlite:%s", file);
    CHECK(eid_instance_open_url(url, &p->instance));
    CHECK(eid_instance_login_or_create_user(p->instance, "peer", NULL, &p->user));
    CHECK(eid_instance_enable_sync(p->instance));
    CHECK(eid_instance_sync(p->instance, &p->sync));
    config.periodic_seconds = 2;
    config.check_seconds = 2;
    config.retry_max_seconds = 2;
    CHECK(eid_sync_set_config(p->sync, &config));
    CHECK(eid_sync_enable_http_transport(p->sync));
    CHECK(eid_sync_start_server(p->sync, address));
    if (eid_user_find_database(p->user, "shared", &p->database) != EID_OK)
        p->database = NULL;
}

/* Commits go out at once. */
static void wish(peer *p, const eid_id *id)
{
    eid_database_preferences preferences = EID_DATABASE_PREFERENCES_INIT;
    preferences.database_id = *id;
    preferences.sync_settings = (eid_sync_settings)EID_SYNC_SETTINGS_ON_COMMIT;
    CHECK(eid_user_add_database(p->user, &preferences));
}

static void make(peer *p)
{
    eid_txn *txn;
    CHECK(eid_user_create_database(p->user, "shared", &p->database));
    CHECK(eid_database_new_transaction(p->database, &txn));
    CHECK(eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_WRITE, 10}));
    CHECK(eid_txn_commit_free(txn, NULL));
    wish(p, eid_database_root_id(p->database));
    puts("made");
}

static void join(peer *p, const char *text)
{
    eid_ticket *ticket;
    CHECK(eid_ticket_parse(text, &ticket));
    eid_status status = eid_sync_with_ticket(p->sync, ticket, NULL);
    if (status != EID_OK)
        printf("failed: %s\n", eid_last_error());
    else if (p->database == NULL) {
        wish(p, eid_ticket_database_id(ticket));
        CHECK(eid_user_open_database(p->user, eid_ticket_database_id(ticket), &p->database));
    }
    eid_ticket_free(ticket);
    if (status == EID_OK)
        puts("joined");
}

static void print_ticket(peer *p)
{
    eid_ticket *ticket;
    char *text;
    CHECK(eid_sync_create_ticket(p->sync, eid_database_root_id(p->database), &ticket));
    CHECK(eid_ticket_format(ticket, &text));
    puts(text);
    eid_free(text);
    eid_ticket_free(ticket);
}

static void put(peer *p, char *rest)
{
    char *text = strchr(rest, ' ');
    char id_text[EID_ID_TEXT_SIZE];
    eid_txn *txn;
    eid_id id;
    if (text == NULL)
        return;
    *text++ = '\0';
    CHECK(eid_database_new_transaction(p->database, &txn));
    CHECK(eid_docstore_set_text(txn, "notes", rest, text));
    CHECK(eid_txn_commit_free(txn, &id));
    eid_id_format(&id, id_text);
    printf("put %s\n", id_text);
}

static void has(peer *p, const char *text)
{
    eid_entry *entry = NULL;
    eid_id id;
    CHECK(eid_id_parse(text, &id));
    eid_status status = eid_database_get_entry(p->database, &id, &entry);
    eid_entry_unref(entry);
    puts(status == EID_OK ? "yes" : "no");
}

static void print_state(peer *p)
{
    uint8_t hash[32];
    uint64_t count;
    CHECK(eid_database_state_hash(p->database, hash));
    CHECK(eid_database_entry_count(p->database, &count));
    printf("state ");
    for (size_t i = 0; i < sizeof hash; i++)
        printf("%02x", hash[i]);
    printf(" %llu\n", (unsigned long long)count);
}

static void obey(peer *p, char *line)
{
    if (strcmp(line, "make") == 0)
        make(p);
    else if (strncmp(line, "join ", 5) == 0)
        join(p, line + 5);
    else if (strcmp(line, "ticket") == 0)
        print_ticket(p);
    else if (strncmp(line, "put ", 4) == 0)
        put(p, line + 4);
    else if (strncmp(line, "has ", 4) == 0)
        has(p, line + 4);
    else if (strcmp(line, "state") == 0)
        print_state(p);
    else
        printf("error: what is \"%s\"?\n", line);
}

int main(int count, char **words)
{
    static char line[65536];
    peer p = {.database = NULL};
    if (count != 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    start(&p, words[1], words[2]);
    puts("ready");
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(&p, line);
    }
    eid_database_close(p.database);
    eid_user_logout(p.user);
    eid_instance_close(p.instance);
    return 0;
}
