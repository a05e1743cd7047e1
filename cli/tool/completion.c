/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts, made from the table of commands, so that they can not lag behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* ---- Words ---- */

static void print_options(const struct option_spec *options, const char *format)
{
    for (const struct option_spec *o = options; o != NULL && o->name != NULL; o++)
        printf(format, o->name);
}

/* Names of commands have one or two words; a first word that several share is printed once, they stand
 * together. */
static bool is_first_of_group(const struct command *command, const char **last)
{
    size_t len = strcspn(command->name, " ");
    bool same = *last != NULL && strcspn(*last, " ") == len && strncmp(*last, command->name, len) == 0;
    *last = command->name;
    return !same;
}

struct walk {
    const char *last;
    const char *group; /* NULL: every command */
};

static bool is_of_group(const struct command *command, const char *group)
{
    size_t len = strlen(group);
    return strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
}

static void print_first_word(const struct command *command, void *ctx)
{
    struct walk *walk = ctx;
    if (is_first_of_group(command, &walk->last))
        printf(" %.*s", (int)strcspn(command->name, " "), command->name);
}

static void print_second_word(const struct command *command, void *ctx)
{
    const struct walk *walk = ctx;
    if (is_of_group(command, walk->group))
        printf(" %s", strchr(command->name, ' ') + 1);
}

/* ---- bash; zsh reads the same script ---- */

static void print_bash_group(const struct command *command, void *ctx)
{
    struct walk *walk = ctx;
    char group[32];
    if (strchr(command->name, ' ') == NULL || !is_first_of_group(command, &walk->last))
        return;
    snprintf(group, sizeof group, "%.*s", (int)strcspn(command->name, " "), command->name);
    struct walk inner = {NULL, group};
    printf("        %s) words=\"", group);
    args_each_command(print_second_word, &inner);
    printf("\" ;;\n");
}

static void print_bash_options(const struct command *command, void *ctx)
{
    (void)ctx;
    if (command->options == NULL)
        return;
    printf("        \"%s\"*) options+=\"", command->name);
    print_options(command->options, " --%s");
    printf("\" ;;\n");
}

static void print_bash(void)
{
    struct walk walk = {NULL, NULL};
    printf("_eidetica() {\n"
           "    local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\" options=\"");
    print_options(args_common, " --%s");
    printf("\"\n    if [[ $word == -* ]]; then\n        case \"${COMP_WORDS[*]:1}\" in\n");
    args_each_command(print_bash_options, NULL);
    printf(
        "        esac\n        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n        return\n    fi\n"
        "    if [[ $COMP_CWORD == 1 ]]; then\n        words=\"");
    args_each_command(print_first_word, &walk);
    printf("\"\n    elif [[ $COMP_CWORD == 2 ]]; then\n        case \"${COMP_WORDS[1]}\" in\n");
    walk.last = NULL;
    args_each_command(print_bash_group, &walk);
    printf("        esac\n    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "    if [[ -z $words ]]; then COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
           "}\n"
           "complete -F _eidetica eidetica\n");
}

/* ---- fish ---- */

static void print_fish_command(const struct command *command, void *ctx)
{
    const char *space = strchr(command->name, ' ');
    (void)ctx;
    if (space == NULL)
        printf("complete -c eidetica -n __fish_use_subcommand -a %s -d \"%s\"\n", command->name,
               command->help);
    else
        printf("complete -c eidetica -n \"__fish_seen_subcommand_from %.*s\" -a %s -d \"%s\"\n",
               (int)(space - command->name), command->name, space + 1, command->help);
}

static void print_fish_group(const struct command *command, void *ctx)
{
    struct walk *walk = ctx;
    if (strchr(command->name, ' ') != NULL && is_first_of_group(command, &walk->last))
        printf("complete -c eidetica -n __fish_use_subcommand -a %.*s\n", (int)strcspn(command->name, " "),
               command->name);
}

static void print_fish(void)
{
    struct walk walk = {NULL, NULL};
    args_each_command(print_fish_group, &walk);
    args_each_command(print_fish_command, NULL);
    print_options(args_common, "complete -c eidetica -l %s\n");
}

static int run_completion(struct tool *tool)
{
    const char *shell = args_positional(&tool->args, 0);
    if (strcmp(shell, "zsh") == 0)
        printf("autoload -U +X bashcompinit && bashcompinit\n");
    if (strcmp(shell, "bash") == 0 || strcmp(shell, "zsh") == 0)
        print_bash();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else
        return args_wrong(&tool->args, "completion is for bash, zsh or fish, not '%s'", shell);
    return EXIT_SUCCESS;
}

const struct command commands_shell[] = {
    {"completion", "bash|zsh|fish", "print a script that completes commands; source it", NULL,
     run_completion},
    {NULL, NULL, NULL, NULL, NULL},
};
