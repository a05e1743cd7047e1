/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the instance, logging in, finding databases, committing; see tool.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "text.h"
#include "tool.h"
#include "util.h"
#include "wake.h"

#define PASSWORD_MAX 4096u

/* ---- Failures ---- */

static const char *next_step(eid_status status)
{
    switch (status) {
    case EID_ERR_NOT_INITIALIZED:
        return "Make an instance with 'eidetica init', or say where it is with --data-dir.";
    case EID_ERR_BUSY:
        return "Stop the program that has it open, or ask that program.";
    case EID_ERR_SECRET_REQUIRED:
        return "Give the key file with --key-file.";
    case EID_ERR_PERMISSION_DENIED:
        return "'eidetica access list DATABASE' shows who may do what.";
    case EID_ERR_NO_KEY_FOR_DATABASE:
        return "Ask for access with 'eidetica sync join TICKET', or track it with 'eidetica db track "
               "DATABASE'.";
    case EID_ERR_CORRUPT:
        return "'eidetica db check' says what is wrong, and repairs it with --repair.";
    case EID_ERR_CONNECTION_FAILED:
        return "Is the peer running, and is the address right?";
    case EID_ERR_BOOTSTRAP_PENDING:
        return "Somebody with admin rights has to say 'eidetica sync approve' over there; then join again, "
               "or use --wait.";
    default:
        return NULL;
    }
}

int tool_failed_by(const char *what, eid_status status, const char *sentence)
{
    char *shown = text_clean(sentence, strlen(sentence), TEXT_ERROR_MAX);
    cli_complain("%s: %s", what, shown);
    free(shown);
    const char *step = next_step(status);
    if (step != NULL)
        fprintf(stderr, "%s\n", step);
    return EXIT_FAILURE;
}

bool tool_check(eid_status status, const char *what)
{
    if (status != EID_OK)
        tool_failed_by(what, status, eid_last_error());
    return status == EID_OK;
}

/* ---- Secrets ---- */

void tool_wipe(char *secret)
{
    if (secret != NULL)
        eid_wipe(secret, strlen(secret));
    free(secret);
}

static char *read_line(FILE *file)
{
    char line[PASSWORD_MAX];
    char *copy = NULL;
    if (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        copy = cli_copy(line);
    }
    eid_wipe(line, sizeof line);
    return copy;
}

static char *type_secret(const char *prompt)
{
    struct termios before, silent;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) {
        cli_complain("a password is needed: give --password-file or $EIDETICA_PASSWORD");
        return NULL;
    }
    fprintf(stderr, "%s: ", prompt);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    char *typed = read_line(stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    if (typed == NULL)
        cli_complain("no password was typed");
    return typed;
}

static char *password_of_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        cli_complain("cannot read the password file %s: %s", path, strerror(errno));
        return NULL;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no copy that is not wiped */
    char *password = read_line(file);
    if (password == NULL)
        cli_complain("the password file %s is empty", path);
    fclose(file);
    return password;
}

static char *type_twice(const char *prompt)
{
    char *typed = type_secret(prompt);
    if (typed == NULL)
        return NULL;
    char *again = type_secret("The same again");
    bool same = again != NULL && strcmp(typed, again) == 0;
    if (again != NULL && !same)
        cli_complain("the two passwords differ");
    if (same && typed[0] == '\0') {
        cli_complain("an empty password protects nothing; --passwordless does without one");
        same = false;
    }
    tool_wipe(again);
    if (same)
        return typed;
    tool_wipe(typed);
    return NULL;
}

char *tool_password(struct tool *tool, const char *prompt, bool fresh)
{
    const char *file = args_value(&tool->args, "password-file");
    const char *variable = getenv("EIDETICA_PASSWORD");
    if (file != NULL)
        return password_of_file(file);
    if (variable != NULL)
        return cli_copy(variable);
    return fresh ? type_twice(prompt) : type_secret(prompt);
}

char *tool_new_password(struct tool *tool)
{
    const char *file = args_value(&tool->args, "new-password-file");
    return file != NULL ? password_of_file(file) : type_twice("The new password");
}

bool tool_confirm(struct tool *tool, const char *question)
{
    if (args_flag(&tool->args, "yes"))
        return true;
    if (!isatty(STDIN_FILENO)) {
        cli_complain("%s Say --yes to do it without being asked", question);
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    char *answer = read_line(stdin);
    bool yes = answer != NULL && (answer[0] == 'y' || answer[0] == 'Y');
    free(answer);
    return yes;
}

bool tool_catch_signals(void)
{
    if (!wake_open()) {
        cli_complain("cannot make a pipe: %s", strerror(errno));
        return false;
    }
    wake_catch_signals();
    return true;
}

void tool_wait_for_signal(void)
{
    while (!wake_stopping()) {
        struct pollfd fd = {.fd = wake_fd(), .events = POLLIN};
        if (poll(&fd, 1, -1) < 0 && errno != EINTR)
            return;
    }
}

/* ---- Servers ---- */

#define PEM_MAX (1u << 20)

bool tool_read_pem(struct tool *tool, const char *option, char **out)
{
    const char *path = args_value(&tool->args, option);
    *out = NULL;
    if (path == NULL)
        return true;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        cli_complain("cannot read %s: %s", path, strerror(errno));
        return false;
    }
    char *text = cli_alloc(PEM_MAX);
    size_t len = fread(text, 1, PEM_MAX - 1, file);
    text[len] = '\0';
    fclose(file);
    *out = text;
    return true;
}

char *tool_bind_address(const char *host, unsigned long port)
{
    host = host != NULL ? host : "0.0.0.0";
    bool bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    return cli_format(bare_v6 ? "[%s]:%lu" : "%s:%lu", host, port);
}

/* ---- The instance ---- */

char *tool_url(struct tool *tool)
{
    const char *url = args_value(&tool->args, "url");
    const char *dir = args_value(&tool->args, "data-dir");
    return url != NULL ? cli_copy(url)
                       : cli_format("sqlite:%s/eidetica.db", dir != NULL && dir[0] != '\0' ? dir : ".");
}

const char *tool_file(const char *url)
{
    return strncmp(url, "sqlite:", 7) == 0 ? url + 7 : NULL;
}

static bool make_directory(struct tool *tool)
{
    const char *dir = args_value(&tool->args, "data-dir");
    if (dir == NULL || dir[0] == '\0' || args_value(&tool->args, "url") != NULL || mkdir(dir, 0700) == 0 ||
        errno == EEXIST)
        return true;
    cli_complain("cannot make the directory %s: %s", dir, strerror(errno));
    return false;
}

bool tool_open(struct tool *tool, bool create)
{
    if (tool->instance != NULL)
        return true;
    if (create && !make_directory(tool))
        return false;
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    options.must_exist = !create;
    options.key_file = args_value(&tool->args, "key-file");
    char *url = tool_url(tool);
    char *what = cli_format("cannot open %s", url);
    bool good = tool_check(eid_instance_open_url_with(url, &options, &tool->instance), what);
    free(what);
    free(url);
    return good;
}

/* ---- The user ---- */

/* The one who was named, or the only one there is. */
static const eid_user_info *choose_user(struct tool *tool, const eid_user_info *users, size_t count)
{
    const char *name = args_value(&tool->args, "user");
    for (size_t i = 0; i < count && name != NULL; i++) {
        if (strcmp(users[i].username, name) == 0)
            return &users[i];
    }
    if (name != NULL)
        cli_complain("there is no user '%s'; 'eidetica user list' shows who there is", name);
    else if (count == 0)
        cli_complain("the instance has no users; make one with 'eidetica user create NAME'");
    else if (count > 1)
        cli_complain("there are %zu users: say which one with --user", count);
    return name == NULL && count == 1 ? &users[0] : NULL;
}

bool tool_login(struct tool *tool)
{
    if (tool->user != NULL)
        return true;
    eid_user_info *users;
    size_t count;
    if (!tool_open(tool, false) ||
        !tool_check(eid_instance_list_users(tool->instance, &users, &count), "cannot list the users"))
        return false;
    const eid_user_info *chosen = choose_user(tool, users, count);
    bool good = chosen != NULL;
    if (good) {
        char *prompt = cli_format("Password of %s", chosen->username);
        char *password = chosen->has_password ? tool_password(tool, prompt, false) : NULL;
        good = (!chosen->has_password || password != NULL) &&
               tool_check(eid_instance_login_user(tool->instance, chosen->username, password, &tool->user),
                          "cannot log in");
        tool_wipe(password);
        free(prompt);
    }
    eid_free(users);
    return good;
}

/* ---- Databases ---- */

bool tool_is_system(const char *database_name)
{
    return database_name != NULL && database_name[0] == '_';
}

static char *name_of(eid_instance *instance, const eid_id *id)
{
    eid_database *database;
    char *name = NULL;
    if (eid_database_open(instance, id, &database) == EID_OK) {
        if (eid_database_name(database, &name) != EID_OK)
            name = NULL;
        eid_database_close(database);
    }
    return name;
}

/* Counts the databases of that name; the last one found goes to *out. */
static size_t find_by_name(eid_instance *instance, const char *name, const eid_id *ids, size_t count,
                           eid_id *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        char *other = name_of(instance, &ids[i]);
        if (other != NULL && strcmp(other, name) == 0) {
            *out = ids[i];
            found++;
        }
        eid_free(other);
    }
    return found;
}

bool tool_find(struct tool *tool, const char *name, eid_id *out)
{
    eid_id *ids;
    size_t count;
    if (!tool_open(tool, false))
        return false;
    if (name[0] != '\0' && eid_id_parse(name, out) == EID_OK)
        return true;
    if (!tool_check(eid_instance_list_databases(tool->instance, &ids, &count), "cannot list the databases"))
        return false;
    size_t found = find_by_name(tool->instance, name, ids, count, out);
    eid_free(ids);
    char *shown = text_clean(name, strlen(name), TEXT_ERROR_MAX);
    if (found == 0)
        cli_complain("there is no database '%s'; 'eidetica db list' shows those there are", shown);
    else if (found > 1)
        cli_complain("%zu databases are called '%s': give the ID, which 'eidetica db list' shows", found,
                     shown);
    free(shown);
    return found == 1;
}

bool tool_database(struct tool *tool, const char *name, bool writing, eid_database **out)
{
    eid_id id;
    if (!tool_find(tool, name, &id) || (writing && !tool_login(tool)))
        return false;
    return tool_check(writing ? eid_user_open_database(tool->user, &id, out)
                              : eid_database_open(tool->instance, &id, out),
                      "cannot open the database");
}

bool tool_key(const char *text, eid_pubkey *out)
{
    return tool_check(eid_pubkey_parse(text, out), "not a public key");
}

int tool_commit(struct tool *tool, const char *name, tool_change change, void *ctx)
{
    eid_database *database;
    eid_txn *txn;
    eid_id entry;
    if (!tool_database(tool, name, true, &database))
        return EXIT_FAILURE;
    bool good = tool_check(eid_database_new_transaction(database, &txn), "cannot begin");
    if (good) {
        good = tool_check(change(tool, txn, ctx), "nothing was changed") &&
               tool_check(eid_txn_commit(txn, &entry), "nothing was changed");
        eid_txn_free(txn);
    }
    if (good) {
        out_record_begin(tool->out);
        out_id(tool->out, "entry", &entry);
        out_record_end(tool->out);
    }
    eid_database_close(database);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
