/* SPDX-License-Identifier: Apache-2.0 */
/* eidetica-todo: a list of tasks in a data file, with what its user likes. A table for the tasks, DocStores for the rest.
 *
 *     eidetica-todo [-d FILE] add TITLE | complete ID | list | set-user [-n NAME] [-e EMAIL] [-b BIO] | show-user |
 *                             set-pref KEY VALUE | show-prefs
 */
#include <eidetica/eidetica.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME "todo"
#define USER "todo-user"

static int fail(void)
{
    fprintf(stderr, "Error: %s\n", eid_last_error());
    return 1;
}

#define TRY(call)                                                                                            \
    do {                                                                                                     \
        if ((call) != EID_OK)                                                                                \
            return fail();                                                                                   \
    } while (0)

#define TIME_SIZE 64

/* RFC 3339, in UTC; fine enough that tasks sort in the order they were added. */
static void now(char out[TIME_SIZE])
{
    struct timespec time;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &tm);
    size_t len = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, TIME_SIZE - len, ".%06ldZ", time.tv_nsec / 1000);
}

/* ---- Tasks: rows of JSON, made and read as documents ---- */

static int save_row(eid_database *todo, const char *key, const eid_doc *task, char new_key[EID_ROW_KEY_SIZE])
{
    eid_txn *txn;
    char *row;
    size_t len;
    TRY(eid_doc_to_plain_json(task, &row, &len));
    TRY(eid_database_new_transaction(todo, &txn));
    eid_status status = key != NULL ? eid_table_set(txn, "todos", key, row) : eid_table_insert(txn, "todos", row, new_key);
    eid_free(row);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return fail();
    }
    TRY(eid_txn_commit_free(txn, NULL));
    return 0;
}

static int add(eid_database *todo, const char *title)
{
    eid_doc *task;
    char created[TIME_SIZE], key[EID_ROW_KEY_SIZE];
    now(created);
    TRY(eid_doc_new(&task));
    TRY(eid_doc_set_string(task, "title", title));
    TRY(eid_doc_set_bool(task, "completed", false));
    TRY(eid_doc_set_string(task, "created_at", created));
    TRY(eid_doc_set_null(task, "completed_at"));
    int result = save_row(todo, NULL, task, key);
    eid_doc_free(task);
    if (result == 0)
        printf("Added todo with ID: %s\n✓ Task added: %s\n", key, title);
    return result;
}

static int complete(eid_database *todo, const char *key)
{
    eid_txn *txn;
    eid_doc *task;
    char *row, done[TIME_SIZE];
    size_t len;
    now(done);
    TRY(eid_database_new_transaction(todo, &txn));
    eid_status status = eid_table_get(txn, "todos", key, &row, &len);
    eid_txn_free(txn);
    if (status != EID_OK)
        return fail();
    status = eid_doc_from_plain_json(row, len, &task);
    eid_free(row);
    if (status != EID_OK)
        return fail();
    TRY(eid_doc_set_bool(task, "completed", true));
    TRY(eid_doc_set_string(task, "completed_at", done));
    int result = save_row(todo, key, task, NULL);
    eid_doc_free(task);
    if (result == 0)
        printf("✓ Task completed: %s\n", key);
    return result;
}

static bool print_task(const char *key, const char *row, size_t len, void *ctx)
{
    int *count = ctx;
    eid_doc *task;
    const char *title;
    size_t title_len;
    bool done;
    if (eid_doc_from_plain_json(row, len, &task) != EID_OK)
        return true;
    if (eid_doc_get_text(task, "title", &title, &title_len) == EID_OK &&
        eid_doc_get_bool(task, "completed", &done) == EID_OK) {
        if ((*count)++ == 0)
            puts("Tasks:");
        printf("[%s] %.*s (ID: %s)\n", done ? "✓" : " ", (int)title_len, title, key);
    }
    eid_doc_free(task);
    return true;
}

static int list(eid_database *todo)
{
    eid_table_query by_time = EID_TABLE_QUERY_INIT;
    int count = 0;
    by_time.field = "created_at";
    TRY(eid_database_table_find(todo, "todos", &by_time, print_task, &count, NULL));
    if (count == 0)
        puts("No tasks found.");
    return 0;
}

/* ---- Information and preferences: one key of a document each ---- */

static int set_text(eid_database *todo, const char *store, const char *path, const char *value)
{
    eid_txn *txn;
    TRY(eid_database_new_transaction(todo, &txn));
    if (eid_docstore_set_text(txn, store, path, value) != EID_OK) {
        eid_txn_free(txn);
        return fail();
    }
    TRY(eid_txn_commit_free(txn, NULL));
    return 0;
}

static int set_user(eid_database *todo, int argc, char **argv)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},
        {"email", required_argument, NULL, 'e'},
        {"bio", required_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "n:e:b:", options, NULL)) != -1) {
        const char *path = option == 'n' ? "name" : option == 'e' ? "email" : option == 'b' ? "bio" : NULL;
        if (path == NULL)
            return 2;
        if (set_text(todo, "user_info", path, optarg) != 0)
            return 1;
    }
    puts("✓ User information updated");
    return 0;
}

static int show_user(eid_database *todo)
{
    static const char *const fields[][2] = {{"name", "Name"}, {"email", "Email"}, {"bio", "Bio"}};
    puts("User Information:");
    for (size_t i = 0; i < 3; i++) {
        char *text;
        if (eid_database_get_text(todo, "user_info", fields[i][0], &text, NULL) != EID_OK)
            continue; /* not set */
        printf("%s: %s\n", fields[i][1], text);
        eid_free(text);
    }
    return 0;
}

static bool print_pref(const char *key, size_t key_len, const eid_value *value, void *ctx)
{
    const char *text;
    size_t len;
    (void)ctx;
    if (eid_value_as_text(value, &text, &len) == EID_OK)
        printf("%.*s: %.*s\n", (int)key_len, key, (int)len, text);
    return true;
}

static int show_prefs(eid_database *todo)
{
    puts("User Preferences:");
    TRY(eid_database_docstore_scan(todo, "user_prefs", NULL, NULL, print_pref, NULL));
    return 0;
}

/* ---- The program ---- */

static int usage(void)
{
    fputs("Usage: eidetica-todo [-d FILE] add TITLE | complete ID | list | set-user [-n NAME] [-e EMAIL] [-b BIO] |\n"
          "                     show-user | set-pref KEY VALUE | show-prefs\n",
          stderr);
    return 2;
}

static int run(eid_database *todo, int argc, char **argv)
{
    const char *command = argv[0];
    if (strcmp(command, "add") == 0 && argc == 2)
        return add(todo, argv[1]);
    if (strcmp(command, "complete") == 0 && argc == 2)
        return complete(todo, argv[1]);
    if (strcmp(command, "list") == 0 && argc == 1)
        return list(todo);
    if (strcmp(command, "set-user") == 0)
        return set_user(todo, argc, argv);
    if (strcmp(command, "show-user") == 0 && argc == 1)
        return show_user(todo);
    if (strcmp(command, "show-prefs") == 0 && argc == 1)
        return show_prefs(todo);
    if (strcmp(command, "set-pref") != 0 || argc != 3)
        return usage();
    int result = set_text(todo, "user_prefs", argv[1], argv[2]);
    if (result == 0)
        puts("✓ User preference set");
    return result;
}

static int with_database(eid_instance *instance, int argc, char **argv)
{
    eid_user_info *users;
    size_t count;
    eid_user *user;
    eid_database *todo;
    TRY(eid_instance_list_users(instance, &users, &count));
    eid_free(users);
    if (eid_instance_login_or_create_user(instance, USER, NULL, &user) != EID_OK) {
        fprintf(stderr, "Authentication error: %s\nThis file belongs to somebody with a password: give another one with -d.\n",
                eid_last_error());
        return 1;
    }
    printf(count == 0 ? "✓ Initialised new instance and bootstrapped %s as admin\n" : "✓ Logged in as passwordless user: %s\n",
           USER);
    eid_status status = eid_user_find_database(user, NAME, &todo);
    if (status == EID_ERR_DATABASE_NOT_FOUND)
        status = eid_user_create_database(user, NAME, &todo);
    int result = status == EID_OK ? run(todo, argc, argv) : fail();
    if (status == EID_OK)
        eid_database_close(todo);
    eid_user_logout(user);
    return result;
}

int main(int argc, char **argv)
{
    const char *path = "todo.db";
    int first = 1;
    if (argc > 2 && (strcmp(argv[1], "-d") == 0 || strcmp(argv[1], "--database-path") == 0)) {
        path = argv[2];
        first = 3;
    }
    if (argc <= first)
        return usage();
    char *url = malloc(strlen(path) + sizeof "sqlite:");
    if (url == NULL)
        return 1;
    sprintf(url, "sqlite:%s", path);
    eid_instance *instance;
    eid_status status = eid_instance_open_url(url, &instance);
    free(url);
    if (status != EID_OK)
        return fail();
    int result = with_database(instance, argc - first, argv + first);
    eid_instance_close(instance);
    return result;
}
