/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about users and their keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "util.h"

/* ---- Users ---- */

static int run_list(struct tool *tool)
{
    static const char *const states[] = {"active", "disabled", "locked"};
    eid_user_info *users;
    size_t count;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_list_users(tool->instance, &users, &count), "cannot list the users"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "There are no users.");
    for (size_t i = 0; i < count; i++) {
        out_record_begin(tool->out);
        out_text(tool->out, "name", users[i].username);
        out_text(tool->out, "state", states[users[i].status]);
        out_bool(tool->out, "password", users[i].has_password);
        out_bool(tool->out, "admin", users[i].is_admin);
        out_seconds(tool->out, "created", users[i].created_at);
        out_text(tool->out, "id", users[i].user_id);
        out_record_end(tool->out);
    }
    out_list_end(tool->out);
    eid_free(users);
    return EXIT_SUCCESS;
}

static const struct option_spec create_options[] = {
    {"passwordless", 0, NULL, NULL, "without a password: the keys stand in the file in clear"},
    {NULL, 0, NULL, NULL, NULL},
};

static int run_create(struct tool *tool)
{
    const char *name = args_positional(&tool->args, 0);
    bool passwordless = args_flag(&tool->args, "passwordless");
    if (!tool_open(tool, false))
        return EXIT_FAILURE;
    char *password = passwordless ? NULL : tool_password(tool, "Password of the new user", true);
    bool good = (passwordless || password != NULL) &&
                tool_check(eid_instance_create_user(tool->instance, name, password), "cannot make the user");
    tool_wipe(password);
    if (good)
        out_say(tool->out, "Made the user.");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct option_spec password_options[] = {
    {"new-password-file", 0, "FILE", NULL, "first line: the new password (else it is asked for)"},
    {"passwordless", 0, NULL, NULL, "no password from now on: the keys will stand in the file in clear"},
    {NULL, 0, NULL, NULL, NULL},
};

/* The password the user has now, NULL in *out when there is none. */
static bool ask_old(struct tool *tool, char **out)
{
    eid_user_info *users;
    size_t count;
    bool has = false;
    *out = NULL;
    if (!tool_check(eid_instance_list_users(tool->instance, &users, &count), "cannot list the users"))
        return false;
    for (size_t i = 0; i < count; i++)
        has = has || (strcmp(users[i].user_id, eid_user_id(tool->user)) == 0 && users[i].has_password);
    eid_free(users);
    if (has)
        *out = tool_password(tool, "The old password once more", false);
    return !has || *out != NULL;
}

static int run_password(struct tool *tool)
{
    char *before = NULL, *after = NULL;
    bool passwordless = args_flag(&tool->args, "passwordless");
    bool good = tool_login(tool) && ask_old(tool, &before);
    if (good && !passwordless) {
        after = tool_new_password(tool);
        good = after != NULL;
    }
    good =
        good && tool_check(eid_user_change_password(tool->user, before, after), "the password is as before");
    tool_wipe(before);
    tool_wipe(after);
    if (good)
        out_say(tool->out, "Changed.");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Commands of the form "do this to the user of that name". */
static int change_user(struct tool *tool, eid_status (*change)(eid_instance *, const char *),
                       const char *done)
{
    if (!tool_open(tool, false) ||
        !tool_check(change(tool->instance, args_positional(&tool->args, 0)), "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, "%s", done);
    return EXIT_SUCCESS;
}

static int run_disable(struct tool *tool)
{
    return change_user(tool, eid_instance_disable_user,
                       "Can not log in any more; 'eidetica user enable' undoes it.");
}

static int run_enable(struct tool *tool)
{
    return change_user(tool, eid_instance_enable_user, "Can log in.");
}

static const struct option_spec yes_options[] = {
    {"yes", 'y', NULL, NULL, "do it without asking"},
    {NULL, 0, NULL, NULL, NULL},
};

static int run_remove(struct tool *tool)
{
    if (!tool_confirm(tool, "The user's keys will be gone, and with them what only they open."))
        return EXIT_FAILURE;
    return change_user(tool, eid_instance_remove_user, "Removed.");
}

static int run_admin(struct tool *tool)
{
    const char *name = args_positional(&tool->args, 0), *state = args_positional(&tool->args, 1);
    bool on = strcmp(state, "on") == 0;
    if (!on && strcmp(state, "off") != 0)
        return args_wrong(&tool->args, "'%s' is neither on nor off", state);
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_set_user_admin(tool->instance, name, on), "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, on ? "Administers the instance." : "Does not administer the instance.");
    return EXIT_SUCCESS;
}

/* ---- Keys ---- */

static int run_keys(struct tool *tool)
{
    eid_user_key_info *keys;
    size_t count;
    if (!tool_login(tool) ||
        !tool_check(eid_user_list_keys(tool->user, &keys, &count), "cannot list the keys"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "There are no keys.");
    for (size_t i = 0; i < count; i++) {
        out_record_begin(tool->out);
        out_key(tool->out, "key", &keys[i].key);
        out_text(tool->out, "name", keys[i].display_name);
        out_bool(tool->out, "default", keys[i].is_default);
        out_seconds(tool->out, "created", keys[i].created_at);
        out_record_end(tool->out);
    }
    out_list_end(tool->out);
    eid_free(keys);
    return EXIT_SUCCESS;
}

static void show_key(struct tool *tool, const eid_pubkey *key)
{
    out_record_begin(tool->out);
    out_key(tool->out, "key", key);
    out_record_end(tool->out);
}

static int run_key_add(struct tool *tool)
{
    eid_pubkey key;
    if (!tool_login(tool) ||
        !tool_check(eid_user_add_private_key(tool->user, args_positional(&tool->args, 0), &key),
                    "no key was made"))
        return EXIT_FAILURE;
    show_key(tool, &key);
    return EXIT_SUCCESS;
}

static int run_key_import(struct tool *tool)
{
    char line[128];
    eid_keypair *key = NULL;
    if (!tool_login(tool))
        return EXIT_FAILURE;
    setvbuf(stdin, NULL, _IONBF, 0);
    if (fgets(line, sizeof line, stdin) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    bool good = tool_check(eid_keypair_parse(line, &key), "standard input holds no private key");
    eid_wipe(line, sizeof line);
    good = good && tool_check(eid_user_import_private_key(tool->user, key, args_positional(&tool->args, 0)),
                              "nothing was imported");
    if (good) {
        eid_pubkey public_key;
        eid_keypair_public(key, &public_key);
        show_key(tool, &public_key);
    }
    eid_keypair_free(key);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_key_export(struct tool *tool)
{
    eid_pubkey key;
    eid_keypair *secret;
    if (!tool_key(args_positional(&tool->args, 0), &key) || !tool_login(tool) ||
        !tool_check(eid_user_export_private_key(tool->user, &key, &secret), "nothing was exported"))
        return EXIT_FAILURE;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_keypair_format(secret, text);
    puts(text);
    eid_wipe(text, sizeof text);
    eid_keypair_free(secret);
    return EXIT_SUCCESS;
}

static int run_key_name(struct tool *tool)
{
    eid_pubkey key;
    if (!tool_key(args_positional(&tool->args, 0), &key) || !tool_login(tool) ||
        !tool_check(eid_user_set_key_name(tool->user, &key, args_positional(&tool->args, 1)),
                    "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, "Named.");
    return EXIT_SUCCESS;
}

static int run_key_default(struct tool *tool)
{
    eid_pubkey key;
    if (!tool_key(args_positional(&tool->args, 0), &key) || !tool_login(tool) ||
        !tool_check(eid_user_set_default_key(tool->user, &key), "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, "New databases are signed with it.");
    return EXIT_SUCCESS;
}

const struct command commands_user[] = {
    {"user list", "", "who has an account here", NULL, run_list},
    {"user create", "NAME", "make a user", create_options, run_create},
    {"user password", "", "change the password of --user", password_options, run_password},
    {"user disable", "NAME", "let a user log in no more", NULL, run_disable},
    {"user enable", "NAME", "let a user log in again", NULL, run_enable},
    {"user admin", "NAME on|off", "who administers this instance", NULL, run_admin},
    {"user remove", "NAME", "take a user out of the instance", yes_options, run_remove},
    {"key list", "", "the user's keys", NULL, run_keys},
    {"key add", "[NAME]", "make another key", NULL, run_key_add},
    {"key import", "[NAME]", "take over a private key from standard input", NULL, run_key_import},
    {"key export", "KEY", "print a private key: whoever sees it is the user", NULL, run_key_export},
    {"key name", "KEY [NAME]", "name a key, or take its name away", NULL, run_key_name},
    {"key default", "KEY", "sign new databases with this key", NULL, run_key_default},
    {NULL, NULL, NULL, NULL, NULL},
};
