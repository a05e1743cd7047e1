/* SPDX-License-Identifier: Apache-2.0 */
/* eidetica: finds the command and runs it. Exit codes: 0 done, 1 it could not be done, 2 it was asked for
 * wrongly. */
#include <errno.h>
#include <locale.h>
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "tool.h"
#include "util.h"

const struct command *const tool_commands[] = {
    commands_instance, commands_user,  commands_database,
    commands_access,   commands_store, commands_sync,
    commands_relay,    commands_shell, NULL,
};

static void log_line(eid_log_level level, const char *text, void *ctx)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)ctx;
    char *shown = text_clean(text, strlen(text), TEXT_ERROR_MAX);
    cli_complain("[%s] %s", names[level], shown);
    free(shown);
}

/* Widths need a UTF-8 locale; a bare system may offer none by name but this one. */
static void choose_locale(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int argc, char **argv)
{
    struct tool tool;
    memset(&tool, 0, sizeof tool);
    choose_locale();
    signal(SIGPIPE, SIG_IGN); /* writing fails instead, and the instance is closed in order */
    int result = args_read(argc, argv, &tool.args);
    if (result >= 0)
        return result;
    eid_set_log_callback(log_line, args_flag(&tool.args, "verbose") ? EID_LOG_DEBUG : EID_LOG_WARN, NULL);
    tool.out = out_new(args_flag(&tool.args, "json"));
    result = tool.args.command->run(&tool);
    eid_user_logout(tool.user);
    if (tool.instance != NULL)
        eid_instance_close(tool.instance);
    if (!out_flush(tool.out) && result == EXIT_SUCCESS) {
        cli_complain("the output could not be written: %s", strerror(errno));
        result = EXIT_FAILURE;
    }
    out_free(tool.out);
    return result;
}
