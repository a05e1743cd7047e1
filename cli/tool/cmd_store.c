/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that read and write what is in the stores of a database. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "tool.h"
#include "util.h"
#include "wake.h"

#define INPUT_MAX (16u * 1024u * 1024u)

/* ---- Which kind of store ---- */

static bool note_table(const eid_store_info *info, void *ctx)
{
    *(bool *)ctx = info->type != NULL && strncmp(info->type, "table:", 6) == 0;
    return true;
}

/* A store nobody wrote to yet becomes a DocStore. */
static bool is_table(eid_txn *txn, const char *store)
{
    bool table = false;
    return eid_registry_find(txn, store, note_table, &table) == EID_OK && table;
}

/* ---- scan ---- */

struct listing {
    struct out *out;
    unsigned long left;
    bool limited;
};

static bool more_wanted(struct listing *listing)
{
    return !listing->limited || --listing->left > 0;
}

static bool show_row(const char *key, const char *row, size_t len, void *ctx)
{
    struct listing *listing = ctx;
    out_record_begin(listing->out);
    out_text(listing->out, "key", key);
    out_raw(listing->out, "row", row, len);
    out_record_end(listing->out);
    return more_wanted(listing);
}

static bool show_field(const char *key, size_t key_len, const eid_value *value, void *ctx)
{
    struct listing *listing = ctx;
    char *json;
    size_t len;
    if (eid_value_to_plain_json(value, &json, &len) != EID_OK)
        return true;
    out_record_begin(listing->out);
    out_bytes(listing->out, "key", key, key_len);
    out_raw(listing->out, "value", json, len);
    out_record_end(listing->out);
    eid_free(json);
    return more_wanted(listing);
}

static const struct option_spec scan_options[] = {
    {"after", 0, "KEY", NULL, "begin behind this key"},
    {"limit", 'n', "N", NULL, "at most so many (default: all)"},
    {NULL, 0, NULL, NULL, NULL},
};

static eid_status scan(struct tool *tool, eid_txn *txn)
{
    const char *store = args_positional(&tool->args, 1), *path = args_positional(&tool->args, 2);
    const char *after = args_value(&tool->args, "after");
    struct listing listing = {tool->out, 0, false};
    args_number(&tool->args, "limit", 1000000000, 0, &listing.left);
    listing.limited = listing.left > 0;
    out_list_begin(tool->out, "Nothing there.");
    eid_status status = is_table(txn, store)
                            ? eid_table_scan(txn, store, after, show_row, &listing)
                            : eid_docstore_scan(txn, store, path, after, show_field, &listing);
    out_list_end(tool->out);
    return status;
}

/* ---- get ---- */

static void print_json(struct tool *tool, const char *json, size_t len)
{
    char *clean = out_is_json(tool->out) ? cli_format("%.*s", (int)len, json) : text_clean(json, len, len);
    puts(clean);
    free(clean);
}

/* People see a text as it is, programs see JSON. */
static eid_status print_value(struct tool *tool, const eid_value *value)
{
    const char *text;
    char *json;
    size_t len;
    if (!out_is_json(tool->out) && eid_value_get_kind(value) == EID_VALUE_TEXT &&
        eid_value_as_text(value, &text, &len) == EID_OK) {
        print_json(tool, text, len);
        return EID_OK;
    }
    eid_status status = eid_value_to_plain_json(value, &json, &len);
    if (status == EID_OK) {
        print_json(tool, json, len);
        eid_free(json);
    }
    return status;
}

static eid_status get_all(struct tool *tool, eid_txn *txn, const char *store)
{
    eid_doc *doc;
    char *json;
    size_t len;
    eid_status status = eid_docstore_get_all(txn, store, &doc);
    if (status != EID_OK)
        return status;
    status = eid_doc_to_plain_json(doc, &json, &len);
    eid_doc_free(doc);
    if (status == EID_OK) {
        print_json(tool, json, len);
        eid_free(json);
    }
    return status;
}

static eid_status get(struct tool *tool, eid_txn *txn)
{
    const char *store = args_positional(&tool->args, 1), *path = args_positional(&tool->args, 2);
    eid_value *value;
    char *row;
    size_t len;
    eid_status status;
    if (is_table(txn, store)) {
        if (path == NULL)
            return scan(tool, txn);
        status = eid_table_get(txn, store, path, &row, &len);
        if (status == EID_OK) {
            print_json(tool, row, len);
            eid_free(row);
        }
        return status;
    }
    if (path == NULL)
        return get_all(tool, txn, store);
    status = eid_docstore_get(txn, store, path, &value);
    if (status == EID_OK) {
        status = print_value(tool, value);
        eid_value_free(value);
    }
    return status;
}

/* Runs something that reads inside a transaction that is not committed. */
static int reading(struct tool *tool, eid_status (*read)(struct tool *, eid_txn *), const char *what)
{
    eid_database *database;
    eid_txn *txn;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_new_transaction(database, &txn), what);
    if (good) {
        good = tool_check(read(tool, txn), what);
        eid_txn_free(txn);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_get(struct tool *tool)
{
    return reading(tool, get, "cannot read it");
}

static int run_scan(struct tool *tool)
{
    unsigned long limit;
    if (!args_number(&tool->args, "limit", 1000000000, 0, &limit))
        return EXIT_USAGE;
    return reading(tool, scan, "cannot read it");
}

/* ---- set, add, delete ---- */

static const struct option_spec set_options[] = {
    {"text", 0, NULL, NULL, "take VALUE as text, whatever it looks like"},
    {NULL, 0, NULL, NULL, NULL},
};

static char *read_all(FILE *file)
{
    char *text = NULL;
    size_t len = 0, room = 0;
    for (;;) {
        if (room - len < 2) {
            room = room * 2 + 65536;
            text = cli_grow(text, room, 1);
        }
        size_t got = fread(text + len, 1, room - len - 1, file);
        len += got;
        if (got == 0 || len > INPUT_MAX)
            break;
    }
    text[len] = '\0';
    if (!ferror(file) && len <= INPUT_MAX)
        return text;
    cli_complain(ferror(file) ? "cannot read standard input" : "standard input holds more than 16 MiB");
    free(text);
    return NULL;
}

/* The value that was given, "-": that of standard input. */
static char *value_text(const char *given)
{
    return strcmp(given, "-") == 0 ? read_all(stdin) : cli_copy(given);
}

static eid_status set(struct tool *tool, eid_txn *txn, void *ctx)
{
    const char *store = args_positional(&tool->args, 1), *path = args_positional(&tool->args, 2), *text = ctx;
    eid_value *value;
    if (is_table(txn, store))
        return eid_table_set(txn, store, path, text);
    if (args_flag(&tool->args, "text") || eid_value_from_plain_json(text, strlen(text), &value) != EID_OK)
        return eid_docstore_set_text(txn, store, path, text);
    eid_status status = eid_docstore_replace(txn, store, path, value);
    eid_value_free(value);
    return status;
}

static int run_set(struct tool *tool)
{
    char *text = value_text(args_positional(&tool->args, 3));
    if (text == NULL)
        return EXIT_FAILURE;
    int result = tool_commit(tool, args_positional(&tool->args, 0), set, text);
    free(text);
    return result;
}

static eid_status add(struct tool *tool, eid_txn *txn, void *ctx)
{
    char key[EID_ROW_KEY_SIZE];
    eid_status status = eid_table_insert(txn, args_positional(&tool->args, 1), ctx, key);
    if (status == EID_OK)
        out_say(tool->out, "Row: %s", key);
    return status;
}

static int run_add(struct tool *tool)
{
    char *text = value_text(args_positional(&tool->args, 2));
    if (text == NULL)
        return EXIT_FAILURE;
    int result = tool_commit(tool, args_positional(&tool->args, 0), add, text);
    free(text);
    return result;
}

static eid_status delete (struct tool *tool, eid_txn *txn, void *ctx)
{
    const char *store = args_positional(&tool->args, 1), *path = args_positional(&tool->args, 2);
    bool *deleted = ctx;
    return is_table(txn, store) ? eid_table_delete(txn, store, path, deleted)
                                : eid_docstore_delete(txn, store, path, deleted);
}

static int run_delete(struct tool *tool)
{
    bool deleted = false;
    int result = tool_commit(tool, args_positional(&tool->args, 0), delete, &deleted);
    if (result == EXIT_SUCCESS && !deleted) {
        cli_complain("there was nothing to delete");
        return EXIT_FAILURE;
    }
    return result;
}

/* ---- query ---- */

static const struct option_spec query_options[] = {
    {"field", 'f', "FIELD", NULL, "the field the conditions are about (default: the key)"},
    {"equals", 0, "VALUE", NULL, "JSON, or text"},
    {"from", 0, "VALUE", NULL, "at least"},
    {"to", 0, "VALUE", NULL, "at most"},
    {"prefix", 0, "TEXT", NULL, "texts that begin so"},
    {"descending", 0, NULL, NULL, "the largest first"},
    {"limit", 'n', "N", NULL, "at most so many (default: 100; 0: all)"},
    {"cursor", 0, "CURSOR", NULL, "the next page of the same query"},
    {NULL, 0, NULL, NULL, NULL},
};

/* JSON scalars are what they say; everything else is text. */
static eid_table_value condition(const char *text)
{
    eid_table_value none = EID_TABLE_ANY_VALUE;
    if (text == NULL)
        return none;
    if (strcmp(text, "null") == 0)
        return eid_table_null();
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return eid_table_bool(text[0] == 't');
    bool number = text[0] != '\0' && text[strspn(text, "0123456789+-.eE")] == '\0' &&
                  strpbrk(text, "0123456789") != NULL && text[0] != '+' && text[0] != '.';
    return number ? eid_table_number(text) : eid_table_text(text);
}

static eid_status query(struct tool *tool, eid_txn *txn)
{
    const struct args *args = &tool->args;
    eid_table_query wish = EID_TABLE_QUERY_INIT;
    eid_table_result result = EID_TABLE_RESULT_INIT;
    struct listing listing = {tool->out, 0, false};
    unsigned long limit;
    args_number(args, "limit", 1000000000, 100, &limit);
    wish.field = args_value(args, "field");
    wish.equals = condition(args_value(args, "equals"));
    wish.lower = condition(args_value(args, "from"));
    wish.upper = condition(args_value(args, "to"));
    wish.prefix = args_value(args, "prefix");
    wish.descending = args_flag(args, "descending");
    wish.limit = limit;
    wish.cursor = args_value(args, "cursor");
    out_list_begin(tool->out, "No such rows.");
    eid_status status = eid_table_find(txn, args_positional(args, 1), &wish, show_row, &listing, &result);
    out_list_end(tool->out);
    if (status == EID_OK && result.cursor != NULL)
        out_say(tool->out, "There are more: --cursor %s", result.cursor);
    eid_table_result_clear(&result);
    return status;
}

static int run_query(struct tool *tool)
{
    unsigned long limit;
    if (!args_number(&tool->args, "limit", 1000000000, 100, &limit))
        return EXIT_USAGE;
    return reading(tool, query, "cannot query it");
}

/* ---- Indexes ---- */

static int change_index(struct tool *tool, eid_status (*change)(eid_database *, const char *, const char *),
                        const char *done)
{
    eid_database *database;
    const struct args *args = &tool->args;
    if (!tool_database(tool, args_positional(args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(change(database, args_positional(args, 1), args_positional(args, 2)),
                           "nothing was changed");
    eid_database_close(database);
    if (good)
        out_say(tool->out, "%s", done);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_index_add(struct tool *tool)
{
    return change_index(tool, eid_table_add_index, "Queries on this field are fast now.");
}

static int run_index_remove(struct tool *tool)
{
    return change_index(tool, eid_table_remove_index, "Removed.");
}

static int run_index_list(struct tool *tool)
{
    eid_database *database;
    eid_table_index *indexes;
    size_t count;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_table_indexes(database, args_positional(&tool->args, 1), &indexes, &count),
                           "cannot list the indexes");
    if (good) {
        out_list_begin(tool->out, "No indexes.");
        for (size_t i = 0; i < count; i++) {
            out_record_begin(tool->out);
            out_text(tool->out, "field", indexes[i].field);
            out_bool(tool->out, "complete", indexes[i].ready);
            out_record_end(tool->out);
        }
        out_list_end(tool->out);
        eid_free(indexes);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- watch ---- */

static const struct option_spec watch_options[] = {
    {"store", 's', "STORE", NULL, "only entries that take part in this store"},
    {"all", 'a', NULL, NULL, "also those that are here already"},
    {NULL, 0, NULL, NULL, NULL},
};

static void show_change(struct tool *tool, const eid_change *change)
{
    static const char *const sources[] = {"", "local", "remote", "earlier"};
    char id[EID_ID_TEXT_SIZE], *json;
    size_t len;
    eid_id_format(eid_entry_id(change->entry), id);
    if (!out_is_json(tool->out)) {
        printf("%-8s %s", sources[change->kind], id);
        for (size_t i = 0; i < eid_entry_store_count(change->entry); i++) {
            const char *name = eid_entry_store_name(change->entry, i);
            char *clean = text_clean(name, strlen(name), TEXT_ERROR_MAX);
            printf(" %s", clean);
            free(clean);
        }
        putchar('\n');
    } else if (eid_entry_to_json(change->entry, &json, &len) == EID_OK) {
        printf("{\"source\":\"%s\",\"id\":\"%s\",\"entry\":%s}\n", sources[change->kind], id, json);
        eid_free(json);
    }
}

static bool show_waiting(struct tool *tool, eid_changes *feed)
{
    for (;;) {
        eid_change change;
        if (!tool_check(eid_changes_next(feed, &change), "cannot read the changes"))
            return false;
        if (change.kind == EID_CHANGE_NONE)
            return fflush(stdout) == 0;
        show_change(tool, &change);
        eid_entry_unref(change.entry);
    }
}

/* The engine brings what peers write; without shared databases it has nothing to do. */
static bool start_engine(struct tool *tool)
{
    eid_sync *sync;
    return tool_check(eid_instance_enable_sync(tool->instance), "cannot sync") &&
           tool_check(eid_instance_sync(tool->instance, &sync), "cannot sync") &&
           tool_check(eid_sync_enable_http_transport(sync), "cannot sync");
}

static bool watch(struct tool *tool, eid_changes *feed)
{
    if (!start_engine(tool) || !tool_catch_signals())
        return false;
    while (show_waiting(tool, feed)) {
        struct pollfd fds[2] = {{.fd = eid_changes_fd(feed), .events = POLLIN},
                                {.fd = wake_fd(), .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return false;
        if (wake_stopping())
            return true;
    }
    return false;
}

static int run_watch(struct tool *tool)
{
    eid_database *database;
    eid_changes *feed;
    if (!tool_database(tool, args_positional(&tool->args, 0), true, &database))
        return EXIT_FAILURE;
    const char *cursor = args_flag(&tool->args, "all") ? "" : NULL;
    bool good = tool_check(eid_changes_open(database, args_value(&tool->args, "store"), cursor, &feed),
                           "cannot watch");
    if (good) {
        good = watch(tool, feed);
        eid_changes_close(feed);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command commands_store[] = {
    {"get", "DATABASE STORE [PATH]", "read a value, a row, or a whole document", NULL, run_get},
    {"set", "DATABASE STORE PATH VALUE", "write a value: JSON, else text; -: standard input", set_options,
     run_set},
    {"add", "DATABASE STORE ROW", "add a row (JSON) to a table, under a new key", NULL, run_add},
    {"delete", "DATABASE STORE PATH", "delete a value or a row", NULL, run_delete},
    {"scan", "DATABASE STORE [PATH]", "every key with its value", scan_options, run_scan},
    {"query", "DATABASE STORE", "rows of a table by a field", query_options, run_query},
    {"index list", "DATABASE STORE", "the indexes of a table, here", NULL, run_index_list},
    {"index add", "DATABASE STORE FIELD", "make queries on a field fast", NULL, run_index_add},
    {"index remove", "DATABASE STORE FIELD", "give the index up", NULL, run_index_remove},
    {"watch", "DATABASE", "show what arrives, until a signal comes", watch_options, run_watch},
    {NULL, NULL, NULL, NULL, NULL},
};
