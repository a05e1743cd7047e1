/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about whole databases: making, listing, history, checking, export, and the user's list of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "tool.h"
#include "util.h"

/* ---- create, list, show ---- */

static void show_new(struct tool *tool, const char *name, const eid_id *id)
{
    out_record_begin(tool->out);
    out_text(tool->out, "name", name);
    out_id(tool->out, "id", id);
    out_record_end(tool->out);
}

static int run_create(struct tool *tool)
{
    const char *name = args_positional(&tool->args, 0);
    eid_database *database;
    if (tool_is_system(name))
        return args_wrong(&tool->args, "names that begin with _ belong to the instance itself");
    if (!tool_login(tool) ||
        !tool_check(eid_user_create_database(tool->user, name, &database), "no database was made"))
        return EXIT_FAILURE;
    show_new(tool, name, eid_database_root_id(database));
    eid_database_close(database);
    return EXIT_SUCCESS;
}

static const struct option_spec list_options[] = {
    {"all", 'a', NULL, NULL, "those of the instance itself too"},
    {NULL, 0, NULL, NULL, NULL},
};

static bool list_one(struct tool *tool, const eid_id *id, bool all)
{
    eid_database *database;
    char *name = NULL;
    eid_id *tips = NULL;
    size_t tip_count = 0;
    uint64_t entries = 0;
    if (!tool_check(eid_database_open(tool->instance, id, &database), "cannot open a database"))
        return false;
    if (eid_database_name(database, &name) != EID_OK)
        name = NULL;
    bool good = tool_check(eid_database_tips(database, &tips, &tip_count), "cannot read a database") &&
                tool_check(eid_database_entry_count(database, &entries), "cannot read a database");
    if (good && (all || !tool_is_system(name))) {
        out_record_begin(tool->out);
        out_id(tool->out, "id", id);
        out_text(tool->out, "name", name);
        out_number(tool->out, "entries", entries);
        out_number(tool->out, "tips", tip_count);
        out_record_end(tool->out);
    }
    eid_free(tips);
    eid_free(name);
    eid_database_close(database);
    return good;
}

static int run_list(struct tool *tool)
{
    eid_id *ids;
    size_t count;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_list_databases(tool->instance, &ids, &count), "cannot list the databases"))
        return EXIT_FAILURE;
    bool good = true;
    out_list_begin(tool->out, "No databases found.");
    for (size_t i = 0; good && i < count; i++)
        good = list_one(tool, &ids[i], args_flag(&tool->args, "all"));
    out_list_end(tool->out);
    eid_free(ids);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void show_hash(struct out *out, const uint8_t hash[32])
{
    char text[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)hash[i]);
    out_text(out, "state_hash", text);
}

static int run_show(struct tool *tool)
{
    eid_database *database;
    char *name = NULL;
    eid_id *tips = NULL;
    size_t tip_count;
    uint64_t entries;
    uint8_t hash[32];
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    if (eid_database_name(database, &name) != EID_OK)
        name = NULL;
    bool good = tool_check(eid_database_entry_count(database, &entries), "cannot count") &&
                tool_check(eid_database_state_hash(database, hash), "cannot read the state") &&
                tool_check(eid_database_tips(database, &tips, &tip_count), "cannot read the tips");
    if (good) {
        out_record_begin(tool->out);
        out_id(tool->out, "id", eid_database_root_id(database));
        out_text(tool->out, "name", name);
        out_number(tool->out, "entries", entries);
        out_ids(tool->out, "tips", tips, tip_count);
        show_hash(tool->out, hash);
        out_record_end(tool->out);
    }
    eid_free(tips);
    eid_free(name);
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool show_store(const eid_store_info *info, void *ctx)
{
    struct out *out = ctx;
    out_record_begin(out);
    out_text(out, "store", info->name);
    out_text(out, "type", info->type);
    out_record_end(out);
    return true;
}

static int run_stores(struct tool *tool)
{
    eid_database *database;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "No stores yet.");
    bool good =
        tool_check(eid_database_each_store(database, show_store, tool->out), "cannot list the stores");
    out_list_end(tool->out);
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- History ---- */

static const struct option_spec log_options[] = {
    {"store", 's', "STORE", NULL, "only entries that take part in this store"},
    {"limit", 'n', "N", NULL, "at most so many (default: 50; 0: all)"},
    {"oldest-first", 0, NULL, NULL, "in the order they were written"},
    {"cursor", 0, "CURSOR", NULL, "go on where an earlier log ended"},
    {NULL, 0, NULL, NULL, NULL},
};

static void show_entry(struct out *out, const eid_entry *entry)
{
    eid_pubkey signer;
    size_t stores = eid_entry_store_count(entry);
    const char **names = cli_grow(NULL, stores, sizeof *names);
    for (size_t i = 0; i < stores; i++)
        names[i] = eid_entry_store_name(entry, i);
    out_record_begin(out);
    out_id(out, "id", eid_entry_id(entry));
    out_number(out, "height", eid_entry_height(entry));
    out_number(out, "parents", eid_entry_parent_count(entry));
    if (eid_entry_signer(entry, &signer))
        out_key(out, "signer", &signer);
    else
        out_text(out, "signer", NULL);
    out_texts(out, "stores", names, stores);
    out_record_end(out);
    free(names);
}

/* Shows up to `limit` entries; *more tells whether there are others behind. */
static bool show_entries(struct tool *tool, eid_history *history, unsigned long limit, bool *more)
{
    for (unsigned long i = 0; limit == 0 || i < limit; i++) {
        eid_entry *entry;
        if (!tool_check(eid_history_next(history, &entry), "cannot read the history"))
            return false;
        if (entry == NULL)
            return true;
        show_entry(tool->out, entry);
        eid_entry_unref(entry);
    }
    *more = true;
    return true;
}

static int run_log(struct tool *tool)
{
    eid_database *database;
    eid_history *history;
    unsigned long limit;
    bool more = false;
    if (!args_number(&tool->args, "limit", 1000000000, 50, &limit))
        return EXIT_USAGE;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.store = args_value(&tool->args, "store");
    options.cursor = args_value(&tool->args, "cursor");
    options.order =
        args_flag(&tool->args, "oldest-first") ? EID_HISTORY_OLDEST_FIRST : EID_HISTORY_NEWEST_FIRST;
    bool good = tool_check(eid_history_open(database, &options, &history), "cannot read the history");
    if (good) {
        char *cursor = NULL;
        out_list_begin(tool->out, "No entries.");
        good = show_entries(tool, history, limit, &more);
        out_list_end(tool->out);
        if (more && eid_history_cursor(history, &cursor) == EID_OK)
            out_say(tool->out, "There may be more: --cursor %s", cursor);
        eid_free(cursor);
        eid_history_close(history);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_entry(struct tool *tool)
{
    eid_database *database;
    eid_id id;
    eid_entry *entry;
    char *json = NULL;
    size_t len;
    if (!tool_check(eid_id_parse(args_positional(&tool->args, 1), &id), "not an ID") ||
        !tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_get_entry(database, &id, &entry), "cannot read the entry");
    if (good) {
        good = tool_check(eid_entry_to_json(entry, &json, &len), "cannot show the entry");
        if (good) {
            char *clean = out_is_json(tool->out) ? cli_copy(json) : text_clean(json, len, len);
            puts(clean);
            free(clean);
        }
        eid_free(json);
        eid_entry_unref(entry);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void out_value(struct out *out, const char *name, const eid_value *value)
{
    char *json;
    size_t len;
    if (value == NULL || eid_value_to_plain_json(value, &json, &len) != EID_OK) {
        out_text(out, name, NULL);
        return;
    }
    out_raw(out, name, json, len);
    eid_free(json);
}

struct diff {
    struct tool *tool;
    eid_database *database;
    const eid_id *from, *to;
    size_t to_count;
    const char *store;
    bool good;
};

static bool show_change(const eid_key_change *change, void *ctx)
{
    struct diff *diff = ctx;
    struct out *out = diff->tool->out;
    out_record_begin(out);
    out_text(out, "store", diff->store);
    out_bytes(out, "key", change->key, change->key_len);
    out_value(out, "before", change->before);
    out_value(out, "after", change->after);
    out_record_end(out);
    return true;
}

static bool show_store_changes(const char *store, size_t len, void *ctx)
{
    struct diff *diff = ctx;
    (void)len;
    diff->store = store;
    diff->good = tool_check(
        eid_database_diff(diff->database, store, diff->from, 1, diff->to, diff->to_count, show_change, diff),
        "cannot compare");
    return diff->good;
}

static int run_diff(struct tool *tool)
{
    eid_id from, to;
    eid_database *database;
    const char *until = args_positional(&tool->args, 2);
    if (!tool_check(eid_id_parse(args_positional(&tool->args, 1), &from), "not an ID") ||
        (until != NULL && !tool_check(eid_id_parse(until, &to), "not an ID")) ||
        !tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    struct diff diff = {tool, database, &from, until != NULL ? &to : NULL, until != NULL ? 1 : 0, NULL, true};
    out_list_begin(tool->out, "Nothing differs.");
    bool good = tool_check(eid_database_diff_stores(database, &from, 1, diff.to, diff.to_count,
                                                    show_store_changes, &diff),
                           "cannot compare") &&
                diff.good;
    out_list_end(tool->out);
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Checking ---- */

static int run_verify(struct tool *tool)
{
    eid_database *database;
    eid_verify_report report;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_verify(database, &report), "cannot verify");
    eid_database_close(database);
    if (!good)
        return EXIT_FAILURE;
    out_record_begin(tool->out);
    out_number(tool->out, "entries", report.entries);
    out_number(tool->out, "counting", report.counting);
    out_number(tool->out, "void", report.voids);
    out_number(tool->out, "wrong", report.wrong);
    out_number(tool->out, "waiting", report.waiting);
    out_text(tool->out, "problems", report.text[0] != '\0' ? report.text : NULL);
    out_record_end(tool->out);
    return report.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct option_spec check_options[] = {
    {"repair", 0, NULL, NULL, "write anew what follows from the entries"},
    {"signatures", 0, NULL, NULL, "verify every signature too"},
    {"file", 0, NULL, NULL, "check the structure of the data file too"},
    {NULL, 0, NULL, NULL, NULL},
};

static int run_check(struct tool *tool)
{
    const struct args *args = &tool->args;
    const char *name = args_positional(args, 0);
    unsigned flags = (args_flag(args, "repair") ? EID_CHECK_REPAIR : 0u) |
                     (args_flag(args, "signatures") ? EID_CHECK_SIGNATURES : 0u) |
                     (args_flag(args, "file") ? EID_CHECK_FILE : 0u);
    eid_check_report report;
    eid_id id;
    char *url = tool_url(tool);
    bool good;
    if (name == NULL && args_value(args, "key-file") == NULL)
        good = tool_check(eid_check_file(url, flags, &report), "cannot check");
    else
        good = tool_open(tool, false) && (name == NULL || tool_find(tool, name, &id)) &&
               tool_check(eid_instance_check(tool->instance, name != NULL ? &id : NULL, flags, &report),
                          "cannot check");
    free(url);
    if (!good)
        return EXIT_FAILURE;
    out_record_begin(tool->out);
    out_number(tool->out, "databases", report.databases);
    out_number(tool->out, "entries", report.entries);
    out_number(tool->out, "signatures", report.signatures);
    out_number(tool->out, "problems", report.problems);
    out_bool(tool->out, "repaired", report.repaired);
    out_text(tool->out, "details", report.text[0] != '\0' ? report.text : NULL);
    out_record_end(tool->out);
    return report.problems == 0 || report.repaired ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Export and import ---- */

static int run_export(struct tool *tool)
{
    eid_database *database;
    const char *path = args_positional(&tool->args, 1);
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_export(database, path), "nothing was exported");
    eid_database_close(database);
    if (good)
        out_say(tool->out, "Written: %s", path);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_import(struct tool *tool)
{
    eid_import_report report;
    memset(&report, 0, sizeof report);
    if (!tool_open(tool, false))
        return EXIT_FAILURE;
    bool good = tool_check(eid_instance_import(tool->instance, args_positional(&tool->args, 0), &report),
                           "the file could not be imported whole");
    if (!good && report.blocks == 0)
        return EXIT_FAILURE;
    out_record_begin(tool->out);
    out_id(tool->out, "database", &report.database);
    out_number(tool->out, "read", report.blocks);
    out_number(tool->out, "new", report.admitted);
    out_number(tool->out, "held", report.held);
    out_number(tool->out, "waiting", report.waiting);
    out_number(tool->out, "refused", report.refused);
    out_text(tool->out, "first_refusal", report.text[0] != '\0' ? report.text : NULL);
    out_record_end(tool->out);
    return good && report.refused == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The user's list of databases, and what they wish for each ---- */

static const struct option_spec track_options[] = {
    {"sync", 0, "on|off", NULL, "let peers have it, and take part in sync"},
    {"on-commit", 0, "on|off", NULL, "send every change at once"},
    {"interval", 0, "SECONDS", NULL, "time between two rounds; 0: the engine's own"},
    {"key", 0, "KEY", NULL, "work in it with this key of the user's"},
    {NULL, 0, NULL, NULL, NULL},
};

static bool take_switch(struct tool *tool, const char *name, bool *value)
{
    const char *text = args_value(&tool->args, name);
    bool on = text != NULL && strcmp(text, "on") == 0;
    if (text != NULL && !on && strcmp(text, "off") != 0) {
        args_wrong(&tool->args, "--%s takes on or off, not '%s'", name, text);
        return false;
    }
    if (text != NULL)
        *value = on;
    return true;
}

/* Changes what options ask for and leaves the rest. */
static bool take_wishes(struct tool *tool, eid_database_preferences *prefs)
{
    unsigned long interval;
    const char *key = args_value(&tool->args, "key");
    if (!args_number(&tool->args, "interval", 31536000, (unsigned long)prefs->sync_settings.interval_seconds,
                     &interval))
        return false;
    prefs->sync_settings.interval_seconds = interval;
    return take_switch(tool, "sync", &prefs->sync_settings.sync_enabled) &&
           take_switch(tool, "on-commit", &prefs->sync_settings.sync_on_commit) &&
           (key == NULL || tool_key(key, &prefs->key_id));
}

static void show_prefs(struct tool *tool, const eid_database_preferences *prefs)
{
    out_record_begin(tool->out);
    out_id(tool->out, "id", &prefs->database_id);
    out_key(tool->out, "key", &prefs->key_id);
    out_bool(tool->out, "sync", prefs->sync_settings.sync_enabled);
    out_bool(tool->out, "on_commit", prefs->sync_settings.sync_on_commit);
    out_number(tool->out, "interval", prefs->sync_settings.interval_seconds);
    out_seconds(tool->out, "added", prefs->added_at);
    out_record_end(tool->out);
}

static int run_track(struct tool *tool)
{
    eid_database_preferences prefs;
    eid_id id;
    if (!tool_login(tool) || !tool_find(tool, args_positional(&tool->args, 0), &id))
        return EXIT_FAILURE;
    eid_status known = eid_user_database_prefs(tool->user, &id, &prefs);
    if (known == EID_ERR_DATABASE_NOT_TRACKED) {
        eid_database_preferences_init(&prefs);
        prefs.database_id = id;
    } else if (!tool_check(known, "cannot read what is wished")) {
        return EXIT_FAILURE;
    }
    bool good = take_wishes(tool, &prefs) &&
                tool_check(eid_user_set_prefs(tool->user, &prefs), "nothing was changed");
    eid_database_preferences_clear(&prefs);
    if (!good || !tool_check(eid_user_database_prefs(tool->user, &id, &prefs), "cannot read what is wished"))
        return EXIT_FAILURE;
    show_prefs(tool, &prefs);
    eid_database_preferences_clear(&prefs);
    return EXIT_SUCCESS;
}

static int run_tracked(struct tool *tool)
{
    eid_database_preferences *list;
    size_t count;
    if (!tool_login(tool) ||
        !tool_check(eid_user_list_database_prefs(tool->user, &list, &count), "cannot list what is tracked"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "No database is tracked.");
    for (size_t i = 0; i < count; i++)
        show_prefs(tool, &list[i]);
    out_list_end(tool->out);
    eid_database_preferences_free(list, count);
    return EXIT_SUCCESS;
}

static int run_untrack(struct tool *tool)
{
    eid_id id;
    if (!tool_login(tool) || !tool_find(tool, args_positional(&tool->args, 0), &id) ||
        !tool_check(eid_user_remove_database(tool->user, &id), "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, "The data stays; 'eidetica db track' takes it up again.");
    return EXIT_SUCCESS;
}

static eid_status rename_to(struct tool *tool, eid_txn *txn, void *ctx)
{
    (void)ctx;
    return eid_settings_set_name(txn, args_positional(&tool->args, 1));
}

static int run_rename(struct tool *tool)
{
    return tool_commit(tool, args_positional(&tool->args, 0), rename_to, NULL);
}

const struct command commands_database[] = {
    {"db create", "NAME", "make a database", NULL, run_create},
    {"db list", "", "the databases of this instance", list_options, run_list},
    {"db show", "DATABASE", "entries, tips and state hash of a database", NULL, run_show},
    {"db stores", "DATABASE", "its stores and their types", NULL, run_stores},
    {"db rename", "DATABASE NAME", "give it another name, for everybody", NULL, run_rename},
    {"db log", "DATABASE", "its entries, the newest first", log_options, run_log},
    {"db entry", "DATABASE ID", "one entry, as JSON", NULL, run_entry},
    {"db diff", "DATABASE FROM [TO]", "what changed between two entries, or since one", NULL, run_diff},
    {"db verify", "DATABASE", "judge every entry anew, as if a stranger had sent it", NULL, run_verify},
    {"db check", "[DATABASE]", "compare what is kept with the entries, and repair it", check_options,
     run_check},
    {"db export", "DATABASE FILE", "write its entries to a CAR file", NULL, run_export},
    {"db import", "FILE", "read a CAR file; every entry is verified", NULL, run_import},
    {"db track", "DATABASE", "work with it, and say how it is synced", track_options, run_track},
    {"db tracked", "", "what the user works with", NULL, run_tracked},
    {"db untrack", "DATABASE", "stop working with it", NULL, run_untrack},
    {NULL, NULL, NULL, NULL, NULL},
};
