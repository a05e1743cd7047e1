/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the instance and its data file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "health.h"
#include "text.h"
#include "tool.h"
#include "util.h"

/* ---- init ---- */

static const struct option_spec init_options[] = {
    {"passwordless", 0, NULL, NULL, "the first user has no password: their keys stand in the file in clear"},
    {NULL, 0, NULL, NULL, NULL},
};

static const char *first_user(const struct tool *tool)
{
    const char *name = args_value(&tool->args, "user");
    return name != NULL ? name : getenv("USER");
}

static bool create_first_user(struct tool *tool, const char *name, const char *password)
{
    eid_user_info *users;
    size_t count;
    if (!tool_check(eid_instance_list_users(tool->instance, &users, &count), "cannot list the users"))
        return false;
    eid_free(users);
    if (count > 0) {
        cli_complain("the instance is initialised already: it has %zu user%s", count, count > 1 ? "s" : "");
        return false;
    }
    return tool_check(eid_instance_create_user(tool->instance, name, password), "cannot make the user");
}

static int run_init(struct tool *tool)
{
    const char *name = first_user(tool);
    if (name == NULL || name[0] == '\0')
        return args_wrong(&tool->args, "say with --user who the first user is");
    bool passwordless = args_flag(&tool->args, "passwordless");
    char *prompt = cli_format("Password for %s", name);
    char *password = passwordless ? NULL : tool_password(tool, prompt, true);
    free(prompt);
    bool good = (passwordless || password != NULL) && tool_open(tool, true) &&
                create_first_user(tool, name, password);
    tool_wipe(password);
    if (!good)
        return EXIT_FAILURE;
    eid_pubkey device;
    char *url = tool_url(tool);
    eid_instance_device_pubkey(tool->instance, &device);
    out_record_begin(tool->out);
    out_text(tool->out, "instance", url);
    out_key(tool->out, "device_id", &device);
    out_text(tool->out, "user", name);
    out_record_end(tool->out);
    out_say(tool->out, "Next: eidetica db create NAME");
    free(url);
    return EXIT_SUCCESS;
}

/* ---- info ---- */

struct counts {
    uint64_t databases, entries;
};

/* Databases of people; the instance's own are not counted. */
static bool count_databases(struct tool *tool, struct counts *counts)
{
    eid_id *ids;
    size_t count;
    if (!tool_check(eid_instance_list_databases(tool->instance, &ids, &count), "cannot list the databases"))
        return false;
    for (size_t i = 0; i < count; i++) {
        eid_database *database;
        char *name = NULL;
        uint64_t entries = 0;
        if (eid_database_open(tool->instance, &ids[i], &database) != EID_OK)
            continue;
        if (eid_database_name(database, &name) != EID_OK)
            name = NULL;
        if (!tool_is_system(name) && eid_database_entry_count(database, &entries) == EID_OK) {
            counts->databases++;
            counts->entries += entries;
        }
        eid_free(name);
        eid_database_close(database);
    }
    eid_free(ids);
    return true;
}

static int run_info(struct tool *tool)
{
    struct counts counts = {0, 0};
    eid_user_info *users;
    eid_sizes sizes;
    size_t count;
    if (!tool_open(tool, false) || !count_databases(tool, &counts) ||
        !tool_check(eid_instance_list_users(tool->instance, &users, &count), "cannot list the users"))
        return EXIT_FAILURE;
    eid_free(users);
    if (!tool_check(eid_instance_sizes(tool->instance, &sizes), "cannot measure the file"))
        return EXIT_FAILURE;
    eid_pubkey device;
    char *url = tool_url(tool);
    eid_instance_device_pubkey(tool->instance, &device);
    out_record_begin(tool->out);
    out_key(tool->out, "device_id", &device);
    out_text(tool->out, "backend", url);
    out_number(tool->out, "databases", counts.databases);
    out_number(tool->out, "entries", counts.entries);
    out_number(tool->out, "users", count);
    out_bool(tool->out, "protected", eid_instance_is_protected(tool->instance));
    out_bytes_size(tool->out, "size", sizes.total);
    out_record_end(tool->out);
    free(url);
    return EXIT_SUCCESS;
}

/* ---- health ---- */

static const struct option_spec health_options[] = {
    {"timeout", 't', "SECONDS", NULL, "how long to wait (default: 5)"},
    {NULL, 0, NULL, NULL, NULL},
};

static int run_health(struct tool *tool)
{
    const char *url = args_positional(&tool->args, 0);
    unsigned long seconds;
    if (!args_number(&tool->args, "timeout", 3600, 5, &seconds))
        return EXIT_USAGE;
    struct health health;
    health_ask(url != NULL ? url : "http://127.0.0.1:3000", seconds, &health);
    out_record_begin(tool->out);
    out_bool(tool->out, "healthy", health.good);
    out_text(tool->out, health.good ? "answer" : "problem", health.text);
    out_record_end(tool->out);
    free(health.text);
    return health.good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The data file ---- */

static int run_compact(struct tool *tool)
{
    uint64_t before, after;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_compact(tool->instance, &before, &after), "cannot compact"))
        return EXIT_FAILURE;
    out_record_begin(tool->out);
    out_bytes_size(tool->out, "before", before);
    out_bytes_size(tool->out, "after", after);
    out_record_end(tool->out);
    return EXIT_SUCCESS;
}

static int run_sizes(struct tool *tool)
{
    eid_sizes sizes;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_sizes(tool->instance, &sizes), "cannot measure the file"))
        return EXIT_FAILURE;
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {
        {"total", sizes.total},
        {"entries", sizes.entries},
        {"entry_ids", sizes.entry_ids},
        {"participation", sizes.participation},
        {"participation_order", sizes.participation_order},
        {"cells", sizes.cells},
        {"touches", sizes.touches},
        {"quarantine", sizes.quarantine},
        {"other", sizes.other},
        {"free", sizes.free_bytes},
    };
    out_record_begin(tool->out);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        out_bytes_size(tool->out, parts[i].name, parts[i].bytes);
    out_bool(tool->out, "exact", sizes.exact);
    out_record_end(tool->out);
    return EXIT_SUCCESS;
}

static bool show_progress(uint64_t done, uint64_t total, void *ctx)
{
    (void)ctx;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%3u %%%s", total > 0 ? (unsigned)((double)done * 100.0 / (double)total) : 100u,
                done >= total ? "\r      \r" : "");
    return true;
}

static int run_backup(struct tool *tool)
{
    const char *path = args_positional(&tool->args, 0);
    struct stat file;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_backup(tool->instance, path, show_progress, NULL), "no backup was made"))
        return EXIT_FAILURE;
    out_record_begin(tool->out);
    out_text(tool->out, "file", path);
    out_bytes_size(tool->out, "size", stat(path, &file) == 0 ? (uint64_t)file.st_size : 0);
    out_record_end(tool->out);
    return EXIT_SUCCESS;
}

/* ---- Protection ---- */

static int run_protect(struct tool *tool)
{
    const char *path = args_positional(&tool->args, 0);
    struct stat file;
    if (stat(path, &file) != 0 && !tool_check(eid_key_file_create(path), "cannot make the key file"))
        return EXIT_FAILURE;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_protect(tool->instance, path, NULL, 0), "cannot protect the instance"))
        return EXIT_FAILURE;
    out_say(tool->out,
            "From now on --key-file %s is needed. Keep a copy of it elsewhere: without it the keys are lost.",
            path);
    return EXIT_SUCCESS;
}

static int run_unprotect(struct tool *tool)
{
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_unprotect(tool->instance), "cannot take the protection away"))
        return EXIT_FAILURE;
    out_say(tool->out, "The keys stand in the file in clear again.");
    return EXIT_SUCCESS;
}

/* ---- doctor ---- */

struct findings {
    struct out *out;
    size_t bad;
};

static void find(struct findings *findings, const char *subject, bool good, const char *sentence)
{
    out_record_begin(findings->out);
    out_text(findings->out, "subject", subject);
    out_text(findings->out, "state", good ? "ok" : "PROBLEM");
    out_text(findings->out, "explanation", sentence);
    out_record_end(findings->out);
    findings->bad += !good;
}

static void examine_file(struct findings *findings, const char *path)
{
    struct stat file;
    if (path == NULL)
        return;
    if (stat(path, &file) != 0) {
        find(findings, "data file", false, "there is none; 'eidetica init' makes one");
        return;
    }
    bool closed = (file.st_mode & 077) == 0;
    find(findings, "file mode", closed,
         closed ? "only its owner can use it" : "others can read it, keys included: chmod 600");
}

static void examine_instance(struct tool *tool, struct findings *findings)
{
    eid_check_report report;
    bool done =
        eid_instance_check(tool->instance, NULL, EID_CHECK_SIGNATURES | EID_CHECK_FILE, &report) == EID_OK;
    char *sentence =
        !done ? cli_last_error()
        : report.problems > 0
            ? cli_format("%s; 'eidetica db check --repair' mends what follows from entries", report.text)
            : cli_format("%llu entries in %llu databases agree with what is kept beside them",
                         (unsigned long long)report.entries, (unsigned long long)report.databases);
    find(findings, "entries", done && report.problems == 0, sentence);
    free(sentence);
    bool is_protected = eid_instance_is_protected(tool->instance);
    find(findings, "protection", true,
         is_protected ? "keys are encrypted under the key file"
                      : "keys of users without password stand in clear (eidetica protect)");
}

static int run_doctor(struct tool *tool)
{
    struct findings findings = {tool->out, 0};
    char *url = tool_url(tool);
    out_list_begin(tool->out, "Nothing to look at.");
    examine_file(&findings, tool_file(url));
    free(url);
    if (tool_open(tool, false))
        examine_instance(tool, &findings);
    else
        find(&findings, "opening", false, "it does not open, see above");
    out_list_end(tool->out);
    return findings.bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command commands_instance[] = {
    {"init", "", "make an instance and its first user", init_options, run_init},
    {"info", "", "what this instance is and holds", NULL, run_info},
    {"health", "[URL]", "ask a node whether it is well", health_options, run_health},
    {"doctor", "", "look for problems and explain them", NULL, run_doctor},
    {"sizes", "", "where the bytes of the data file are", NULL, run_sizes},
    {"backup", "FILE", "copy the whole instance while it is in use", NULL, run_backup},
    {"compact", "", "give the gaps of the data file back", NULL, run_compact},
    {"protect", "KEY-FILE", "encrypt keys under a key file, which is made when missing", NULL, run_protect},
    {"unprotect", "", "open without a key file again", NULL, run_unprotect},
    {NULL, NULL, NULL, NULL, NULL},
};
