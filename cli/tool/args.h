/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a table of commands, each with its arguments and options, from which parsing, help and
 * completion follow.
 *
 * Options may stand anywhere after the command's name, those of every command also before it. "--" ends them.
 * A value is given as "--name VALUE" or "--name=VALUE". */
#ifndef TOOL_ARGS_H
#define TOOL_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#define ARGS_OPTIONS_MAX     12u /* of one command, its own */
#define ARGS_POSITIONALS_MAX 8u

enum { EXIT_USAGE = 2 };

struct option_spec {
    const char *name;     /* without the dashes */
    char letter;          /* '\0': no short form */
    const char *value;    /* what the help calls its value; NULL: it takes none */
    const char *variable; /* of the environment, used when it is not given; NULL: none */
    const char *help;
};

struct tool;

struct command {
    const char *name; /* "db create" */
    const char
        *positionals; /* "DATABASE STORE [KEY]": those in brackets may be missing, "..." repeats the last */
    const char *help; /* one line */
    const struct option_spec *options; /* up to one whose name is NULL; NULL: none of its own */
    int (*run)(struct tool *tool);     /* returns the exit code */
};

/* Options that every command takes. */
extern const struct option_spec args_common[];
/* Every command, in the order of the help; the last has no name. */
extern const struct command *const tool_commands[];

struct args {
    const struct command *command;
    const char *positional[ARGS_POSITIONALS_MAX];
    size_t positional_count;
    const char
        *given[2 * ARGS_OPTIONS_MAX]; /* values; "" for flags: first those of every command, then its own */
};

/* Reads the command line. Returns -1 when args->command is to run; else the exit code: what there is to say
 * was said. */
int args_read(int argc, char **argv, struct args *args);

/* The value of an option, of the command line or the environment; NULL: not given. The name must be one of
 * the command's. */
const char *args_value(const struct args *args, const char *name);
bool args_flag(const struct args *args, const char *name);
/* A number of at most `most`; `otherwise` when not given. False: what is wrong was said. */
bool args_number(const struct args *args, const char *name, unsigned long most, unsigned long otherwise,
                 unsigned long *out);
/* NULL when there are not so many. */
const char *args_positional(const struct args *args, size_t index);

/* "eidetica: sentence" and where to find help; returns EXIT_USAGE. */
int args_wrong(const struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls back for every command. */
typedef void (*args_command_callback)(const struct command *command, void *ctx);
void args_each_command(args_command_callback callback, void *ctx);

#endif
