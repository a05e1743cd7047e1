/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing the command line and showing its help; see args.h. */
#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/version.h>

#include "text.h"
#include "util.h"

#define RUN (-1)

const struct option_spec args_common[] = {
    {"data-dir", 'd', "DIR", "EIDETICA_DATA_DIR", "where eidetica.db is (default: the current directory)"},
    {"url", 0, "URL", "EIDETICA_URL", "another instance, such as sqlite:notes.db, instead of --data-dir"},
    {"user", 'u', "NAME", "EIDETICA_USER", "who works (default: the only user there is)"},
    {"password-file", 0, "FILE", NULL, "first line: the password (else $EIDETICA_PASSWORD, else asked for)"},
    {"key-file", 0, "FILE", "EIDETICA_KEY_FILE", "key file of a protected instance"},
    {"json", 0, NULL, NULL, "JSON for programs instead of text for people"},
    {"verbose", 'v', NULL, NULL, "log to standard error"},
    {"help", 'h', NULL, NULL, "this text"},
    {"version", 'V', NULL, NULL, "the version"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct option_spec no_options[] = {{NULL, 0, NULL, NULL, NULL}};

static const struct option_spec *own_options(const struct command *command)
{
    return command != NULL && command->options != NULL ? command->options : no_options;
}

void args_each_command(args_command_callback callback, void *ctx)
{
    for (size_t group = 0; tool_commands[group] != NULL; group++) {
        for (const struct command *c = tool_commands[group]; c->name != NULL; c++)
            callback(c, ctx);
    }
}

/* ---- Help ---- */

static void show_options(const struct option_spec *options)
{
    for (const struct option_spec *o = options; o->name != NULL; o++) {
        char *name =
            cli_format("%s%s%s", o->name, o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        char letter[] = {'-', o->letter, ',', '\0'};
        printf("  %3s --%-20s %s\n", o->letter != 0 ? letter : "", name, o->help);
        free(name);
    }
}

static void show_line(const struct command *command, void *ctx)
{
    (void)ctx;
    char *usage =
        cli_format("%s%s%s", command->name, command->positionals[0] != '\0' ? " " : "", command->positionals);
    if (strlen(usage) > 34)
        printf("  %s\n  %-34s %s\n", usage, "", command->help);
    else
        printf("  %-34s %s\n", usage, command->help);
    free(usage);
}

static int show_help(const struct command *command)
{
    if (command == NULL) {
        printf("Usage: eidetica [OPTIONS] COMMAND [ARGUMENTS]\n\nDatabases of signed entries that keep each "
               "other in step.\n"
               "\nCommands (eidetica COMMAND --help tells more):\n");
        args_each_command(show_line, NULL);
    } else {
        printf("Usage: eidetica %s%s%s%s\n\n%s.\n", command->name,
               own_options(command)->name != NULL ? " [OPTIONS]" : "",
               command->positionals[0] != '\0' ? " " : "", command->positionals, command->help);
        if (own_options(command)->name != NULL) {
            printf("\nOptions:\n");
            show_options(command->options);
        }
    }
    printf("\nOptions of every command:\n");
    show_options(args_common);
    return EXIT_SUCCESS;
}

int args_wrong(const struct args *args, const char *format, ...)
{
    char *sentence = NULL;
    va_list list;
    va_start(list, format);
    int len = vasprintf(&sentence, format, list);
    va_end(list);
    char *shown = len < 0 ? NULL : text_clean(sentence, (size_t)len, TEXT_ERROR_MAX);
    cli_complain("%s", shown != NULL ? shown : "wrong arguments");
    free(shown);
    free(sentence);
    if (args->command != NULL)
        fprintf(stderr, "Try 'eidetica %s --help'.\n", args->command->name);
    else
        fputs("Try 'eidetica --help'.\n", stderr);
    return EXIT_USAGE;
}

/* ---- Options ---- */

static bool is_named(const struct option_spec *o, const char *name, size_t len)
{
    return strlen(o->name) == len && memcmp(o->name, name, len) == 0;
}

/* The place of an option in args->given; false when there is none of the name (or, without a name, the
 * letter). */
static bool find_option(const struct args *args, const char *name, size_t len, char letter,
                        const struct option_spec **spec, size_t *place)
{
    const struct option_spec *lists[] = {args_common, own_options(args->command)};
    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; lists[list][i].name != NULL; i++) {
            const struct option_spec *o = &lists[list][i];
            if (name != NULL ? is_named(o, name, len) : letter == o->letter && letter != 0) {
                *spec = o;
                *place = list * ARGS_OPTIONS_MAX + i;
                return true;
            }
        }
    }
    return false;
}

/* Takes the option at argv[*at] and moves *at to its last word. */
static int take_option(struct args *args, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    const struct option_spec *spec;
    size_t place;
    bool known;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        value = word[2 + len] == '=' ? word + 3 + len : NULL;
        known = find_option(args, word + 2, len, 0, &spec, &place);
    } else {
        value = word[2] != '\0' ? word + 2 : NULL;
        known = find_option(args, NULL, 0, word[1], &spec, &place);
    }
    if (!known && args->command == NULL)
        return args_wrong(
            args, "%s is no option of every command; options of a command stand behind its name", word);
    if (!known)
        return args_wrong(args, "'eidetica %s' has no option %s", args->command->name, word);
    if (spec->value == NULL && value != NULL)
        return args_wrong(args, "--%s takes no value", spec->name);
    if (spec->value != NULL && value == NULL) {
        if (*at + 1 >= argc)
            return args_wrong(args, "--%s needs a value: %s", spec->name, spec->value);
        value = argv[++*at];
    }
    args->given[place] = value != NULL ? value : "";
    return RUN;
}

const char *args_value(const struct args *args, const char *name)
{
    const struct option_spec *spec;
    size_t place;
    if (!find_option(args, name, strlen(name), 0, &spec, &place))
        return NULL;
    const char *value = args->given[place];
    if (value == NULL && spec->variable != NULL)
        value = getenv(spec->variable);
    return value;
}

bool args_flag(const struct args *args, const char *name)
{
    return args_value(args, name) != NULL;
}

bool args_number(const struct args *args, const char *name, unsigned long most, unsigned long otherwise,
                 unsigned long *out)
{
    const char *text = args_value(args, name);
    if (text == NULL) {
        *out = otherwise;
        return true;
    }
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > most) {
        args_wrong(args, "--%s takes a number from 0 to %lu", name, most);
        return false;
    }
    *out = number;
    return true;
}

const char *args_positional(const struct args *args, size_t index)
{
    return index < args->positional_count ? args->positional[index] : NULL;
}

/* ---- Commands ---- */

struct search {
    const char *words[2];
    const struct command *found;
    bool is_group; /* some command begins with the first word */
    size_t took;   /* words of the name */
};

static void match_command(const struct command *command, void *ctx)
{
    struct search *search = ctx;
    const char *space = strchr(command->name, ' ');
    size_t first = space != NULL ? (size_t)(space - command->name) : strlen(command->name);
    if (strlen(search->words[0]) != first || memcmp(search->words[0], command->name, first) != 0)
        return;
    search->is_group = true;
    if (space == NULL || (search->words[1] != NULL && strcmp(search->words[1], space + 1) == 0)) {
        search->found = command;
        search->took = space != NULL ? 2 : 1;
    }
}

static void show_of_group(const struct command *command, void *ctx)
{
    const char *group = ctx;
    if (strncmp(command->name, group, strlen(group)) == 0 && command->name[strlen(group)] == ' ')
        fprintf(stderr, "  eidetica %s %s\n", command->name, command->positionals);
}

/* Finds the command whose name begins at argv[*at]; *at moves behind it. */
static int find_command(struct args *args, int argc, char **argv, int *at)
{
    struct search search = {{argv[*at], *at + 1 < argc ? argv[*at + 1] : NULL}, NULL, false, 0};
    args_each_command(match_command, &search);
    if (search.found != NULL) {
        args->command = search.found;
        *at += (int)search.took;
        return RUN;
    }
    if (!search.is_group)
        return args_wrong(args, "there is no command '%s'", argv[*at]);
    cli_complain("'%s' has to be followed by one of its commands:", search.words[0]);
    args_each_command(show_of_group, (void *)search.words[0]);
    return EXIT_USAGE;
}

/* How many positionals the command needs and takes. */
static void count_positionals(const char *text, size_t *least, size_t *most)
{
    *least = 0;
    *most = 0;
    for (const char *word = text; *word != '\0'; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        if (strncmp(word, "...", 3) == 0) {
            *most = ARGS_POSITIONALS_MAX;
        } else {
            *least += word[0] != '[';
            *most += 1;
        }
        word += len;
    }
}

static int check_positionals(const struct args *args)
{
    size_t least, most;
    count_positionals(args->command->positionals, &least, &most);
    if (args->positional_count < least)
        return args_wrong(args, "something is missing: eidetica %s %s", args->command->name,
                          args->command->positionals);
    if (args->positional_count > most)
        return args_wrong(args, "'%s' is one argument too many: eidetica %s %s", args->positional[most],
                          args->command->name, args->command->positionals);
    return RUN;
}

static int take_positional(struct args *args, const char *word)
{
    if (args->positional_count == ARGS_POSITIONALS_MAX)
        return args_wrong(args, "'%s' is one argument too many", word);
    args->positional[args->positional_count++] = word;
    return RUN;
}

int args_read(int argc, char **argv, struct args *args)
{
    memset(args, 0, sizeof *args);
    bool options = true;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        int result;
        if (options && strcmp(word, "--") == 0) {
            options = false;
            result = RUN;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            result = take_option(args, argc, argv, &at);
        } else if (args->command == NULL) {
            result = find_command(args, argc, argv, &at);
            at--;
        } else {
            result = take_positional(args, word);
        }
        if (result != RUN)
            return result;
    }
    if (args_flag(args, "version")) {
        printf("eidetica %s\n", eid_version());
        return EXIT_SUCCESS;
    }
    if (args_flag(args, "help"))
        return show_help(args->command);
    if (args->command == NULL) {
        show_help(NULL);
        return EXIT_USAGE;
    }
    return check_positionals(args);
}
