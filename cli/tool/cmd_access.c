/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about who may do what in a database. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* ---- Reading ---- */

static void show_right(struct out *out, const char *who, const char *name, eid_permission permission,
                       const char *state)
{
    out_record_begin(out);
    out_text(out, "who", who);
    out_text(out, "name", name);
    out_permission(out, "permission", permission);
    out_text(out, "state", state);
    out_record_end(out);
}

static bool show_key(const eid_auth_key_info *key, void *ctx)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(&key->key, text);
    show_right(ctx, text, key->name, key->permission, key->status == EID_KEY_ACTIVE ? "active" : "revoked");
    return true;
}

static bool show_delegation(const eid_delegation_info *delegation, void *ctx)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(&delegation->root, text);
    show_right(ctx, text, NULL, delegation->max, "members of this database, at most");
    return true;
}

static int run_list(struct tool *tool)
{
    eid_database *database;
    eid_txn *txn;
    eid_permission everybody;
    if (!tool_database(tool, args_positional(&tool->args, 0), false, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_new_transaction(database, &txn), "cannot read the settings");
    if (good) {
        out_list_begin(tool->out, "Nobody has a right in it.");
        if (eid_settings_get_global_permission(txn, &everybody) == EID_OK)
            show_right(tool->out, "everybody", NULL, everybody, "active");
        good = tool_check(eid_settings_each_auth_key(txn, NULL, show_key, tool->out),
                          "cannot read the settings") &&
               tool_check(eid_settings_each_delegation(txn, NULL, show_delegation, tool->out),
                          "cannot read the settings");
        out_list_end(tool->out);
        eid_txn_free(txn);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Changing ---- */

struct right {
    eid_pubkey key;
    eid_id root;
    eid_permission permission, least;
    bool has_least;
    const char *name;
};

static bool read_permission(const char *text, eid_permission *out)
{
    return tool_check(eid_permission_parse(text, out),
                      "not a permission (read, write, write:10, admin, admin:0)");
}

static const struct option_spec grant_options[] = {
    {"name", 0, "TEXT", NULL, "what people call the key"},
    {NULL, 0, NULL, NULL, NULL},
};

static eid_status grant(struct tool *tool, eid_txn *txn, void *ctx)
{
    struct right *right = ctx;
    eid_auth_key_info *before;
    (void)tool;
    if (right->name != NULL || eid_settings_get_auth_key(txn, &right->key, &before) != EID_OK)
        return eid_settings_set_auth_key(txn, &right->key, right->name, right->permission, EID_KEY_ACTIVE);
    eid_status status =
        eid_settings_set_auth_key(txn, &right->key, before->name, right->permission, EID_KEY_ACTIVE);
    eid_free(before);
    return status;
}

static int run_grant(struct tool *tool)
{
    struct right right = {.name = args_value(&tool->args, "name")};
    if (!tool_key(args_positional(&tool->args, 1), &right.key) ||
        !read_permission(args_positional(&tool->args, 2), &right.permission))
        return EXIT_FAILURE;
    return tool_commit(tool, args_positional(&tool->args, 0), grant, &right);
}

static eid_status revoke(struct tool *tool, eid_txn *txn, void *ctx)
{
    (void)tool;
    return eid_settings_revoke_auth_key(txn, &((struct right *)ctx)->key);
}

static int run_revoke(struct tool *tool)
{
    struct right right;
    if (!tool_key(args_positional(&tool->args, 1), &right.key))
        return EXIT_FAILURE;
    return tool_commit(tool, args_positional(&tool->args, 0), revoke, &right);
}

static eid_status set_everybody(struct tool *tool, eid_txn *txn, void *ctx)
{
    const struct right *right = ctx;
    return strcmp(args_positional(&tool->args, 1), "none") == 0
               ? eid_settings_revoke_global_permission(txn)
               : eid_settings_set_global_permission(txn, right->permission);
}

static int run_everybody(struct tool *tool)
{
    struct right right = {.name = NULL};
    const char *permission = args_positional(&tool->args, 1);
    if (strcmp(permission, "none") != 0 && !read_permission(permission, &right.permission))
        return EXIT_FAILURE;
    return tool_commit(tool, args_positional(&tool->args, 0), set_everybody, &right);
}

static const struct option_spec delegate_options[] = {
    {"least", 0, "PERMISSION", NULL, "weaker members count as this"},
    {NULL, 0, NULL, NULL, NULL},
};

static eid_status delegate(struct tool *tool, eid_txn *txn, void *ctx)
{
    const struct right *right = ctx;
    (void)tool;
    return eid_settings_add_delegation(txn, &right->root, NULL, 0, right->permission,
                                       right->has_least ? &right->least : NULL);
}

static int run_delegate(struct tool *tool)
{
    struct right right = {.name = NULL};
    const char *least = args_value(&tool->args, "least");
    right.has_least = least != NULL;
    if (!read_permission(args_positional(&tool->args, 2), &right.permission) ||
        (least != NULL && !read_permission(least, &right.least)) ||
        !tool_find(tool, args_positional(&tool->args, 1), &right.root))
        return EXIT_FAILURE;
    return tool_commit(tool, args_positional(&tool->args, 0), delegate, &right);
}

static eid_status undelegate(struct tool *tool, eid_txn *txn, void *ctx)
{
    (void)tool;
    return eid_settings_remove_delegation(txn, &((struct right *)ctx)->root);
}

static int run_undelegate(struct tool *tool)
{
    struct right right;
    if (!tool_find(tool, args_positional(&tool->args, 1), &right.root))
        return EXIT_FAILURE;
    return tool_commit(tool, args_positional(&tool->args, 0), undelegate, &right);
}

const struct command commands_access[] = {
    {"access list", "DATABASE", "who may do what in it", NULL, run_list},
    {"access grant", "DATABASE KEY PERMISSION", "give a key a right: read, write:10, admin:0", grant_options,
     run_grant},
    {"access revoke", "DATABASE KEY", "take a key's right away", NULL, run_revoke},
    {"access everybody", "DATABASE PERMISSION|none", "let everybody in, or nobody", NULL, run_everybody},
    {"access delegate", "DATABASE OTHER PERMISSION", "let the members of another database in",
     delegate_options, run_delegate},
    {"access undelegate", "DATABASE OTHER", "let them in no more", NULL, run_undelegate},
    {NULL, NULL, NULL, NULL, NULL},
};
