/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl, the operator's tool: finds the subcommand in the table below and runs it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/secret.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"

/* Room for a KEK file, an answer's keys and a password. */
enum { SECURE_HEAP = 1 << 18 };

static const struct ctl_command *const COMMANDS[] = {
    &db_init_command,
    &db_status_command,
    &kek_create_command,
    &kek_list_command,
    &kek_activate_command,
    &kek_retire_command,
    &kek_destroy_command,
    &kek_rewrap_command,
    &kek_escrow_command,
    &kek_recover_command,
    &tenant_add_command,
    &tenant_list_command,
    &client_add_command,
    &client_list_command,
    &client_passwd_command,
    &client_set_command,
    &client_disable_command,
    &client_enable_command,
    &key_list_command,
    &key_show_command,
    &key_revoke_command,
    &key_restore_command,
    &key_destroy_command,
    &key_retain_command,
    &key_import_command,
    &key_export_command,
    &drm_show_command,
    &drm_set_command,
    &drm_unset_command,
    &policy_show_command,
    &policy_set_command,
    &policy_unset_command,
    &audit_tail_command,
    &audit_seal_command,
    &audit_checkpoint_command,
    &audit_verify_command,
    &audit_export_command,
    &audit_archive_command,
    &token_key_add_command,
    &token_key_list_command,
    &token_key_disable_command,
    &token_key_enable_command,
    &token_key_remove_command,
    &token_key_rewrap_command,
    &token_issue_command,
    &status_command,
    &config_command,
    &request_command,
    &lint_command,
    &show_command,
};

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

static const struct ctl_option GLOBAL_ROWS[] = {
    {"config", 'c', "FILE", "settings file; else $SPEKE_CONFIG, else the usual place"},
    {"db", '\0', "CONNINFO", "database; else $SPEKE_DB, else the setting \"database\""},
    {"json", '\0', NULL, "print JSON"},
    {"quiet", 'q', NULL, "say nothing but results and errors"},
    {"help", 'h', NULL, "print this and exit"},
    {"version", 'V', NULL, "print the version and exit"},
};

static const struct ctl_options GLOBAL = CTL_OPTIONS(GLOBAL_ROWS);

static const char EXIT_CODES[] =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the key provider,\n"
    "4 database or key provider not available, 5 the audit was tampered with.  More in "
    "spekectl(1).\n";

/* The two words of a command's name may be followed by more on the command line. */
static size_t words_of(const struct ctl_command *command)
{
    return strchr(command->name, ' ') == NULL ? 1 : 2;
}

static bool is_named(const struct ctl_command *command, char **words, size_t count)
{
    const size_t first = strlen(words[0]);
    if (strncmp(command->name, words[0], first) != 0)
        return false;
    if (words_of(command) == 1)
        return command->name[first] == '\0';
    return command->name[first] == ' ' && count > 1 &&
           strcmp(command->name + first + 1, words[1]) == 0;
}

static const struct ctl_command *find(char **words, size_t count)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (is_named(COMMANDS[i], words, count))
            return COMMANDS[i];
    }
    return NULL;
}

static void print_overview(FILE *out)
{
    (void)fprintf(out, "Usage: spekectl [OPTION]... COMMAND [ARGUMENT]...\n"
                       "Runs and inspects the SPEKE key provider speke-fcgi.\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(out, "  %-15s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    (void)fprintf(out, "\nOptions of every command:\n");
    options_print(&GLOBAL, out);
    (void)fprintf(out, "\n\"spekectl COMMAND --help\" tells about one command.\n%s", EXIT_CODES);
}

static void print_usage(const struct ctl_command *command, FILE *out)
{
    (void)fprintf(out, "Usage: spekectl %s%s%s%s\n", command->name,
                  command->words[0] != '\0' ? " " : "", command->words,
                  command->options.count > 0 ? " [OPTION]..." : "");
}

static void print_help(const struct ctl_command *command)
{
    print_usage(command, stdout);
    (void)printf("%s\n", command->summary);
    if (command->notes != NULL)
        (void)printf("\n%s\n", command->notes);
    if (command->more != NULL) {
        (void)printf("\n");
        command->more(stdout);
    }
    if (command->options.count > 0) {
        (void)printf("\nOptions:\n");
        options_print(&command->options, stdout);
    }
    (void)printf("\nOptions of every command:\n");
    options_print(&GLOBAL, stdout);
}

static void take_global(struct ctl *ctl, const struct ctl_arguments *args)
{
    ctl->json = ctl->json || option_given(args, "json");
    ctl->quiet = ctl->quiet || option_given(args, "quiet");
    if (option_given(args, "config"))
        ctl->config = option_value(args, "config");
    if (option_given(args, "db"))
        ctl->db = option_value(args, "db");
}

static int usage_fault(const struct ctl_command *command, const char *why)
{
    (void)ctl_fail(CTL_USAGE, "%s", why);
    print_usage(command, stderr);
    return CTL_USAGE;
}

/* argv[0] is the last word of the command's name. */
static int run_command(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
    struct ctl_arguments args;
    struct failure f = {0};
    char why[256];
    if (options_parse(argc, argv, &command->options, &GLOBAL, false, &args, why, sizeof why) != 0)
        return usage_fault(command, why);
    take_global(ctl, &args);
    if (option_given(&args, "help")) {
        print_help(command);
        return CTL_DONE;
    }
    if (args.word_count < command->least_words)
        return usage_fault(command, "an argument is missing");
    if (args.word_count > command->most_words)
        return usage_fault(command, "too many arguments");
    if (secret_setup(SECURE_HEAP, &f) != 0)
        return ctl_fail(CTL_FAILED, "%s", f.cause);
    ctl->command = command->name;
    return command->run(ctl, &args);
}

/* A first word that begins commands of two words, such as "db", lists these. */
static int not_found(char **words, bool help)
{
    bool group = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const size_t n = strlen(words[0]);
        if (strncmp(COMMANDS[i]->name, words[0], n) != 0 || COMMANDS[i]->name[n] != ' ')
            continue;
        if (!group)
            (void)fprintf(help ? stdout : stderr, "Commands of \"%s\":\n", words[0]);
        group = true;
        (void)fprintf(help ? stdout : stderr, "  %-15s %s\n", COMMANDS[i]->name,
                      COMMANDS[i]->summary);
    }
    if (group)
        return help ? CTL_DONE : CTL_USAGE;
    return ctl_fail(CTL_USAGE, "no such command: %s (\"spekectl --help\" lists them)", words[0]);
}

static int run(int argc, char **argv)
{
    struct ctl ctl = {0};
    struct ctl_arguments args;
    char why[256];
    if (options_parse(argc, argv, &GLOBAL, NULL, true, &args, why, sizeof why) != 0)
        return ctl_fail(CTL_USAGE, "%s (\"spekectl --help\" lists them)", why);
    take_global(&ctl, &args);
    if (option_given(&args, "version")) {
        (void)printf("spekectl (speke-fcgi) %s\n", SPEKE_VERSION);
        return CTL_DONE;
    }
    if (args.word_count == 0) {
        print_overview(option_given(&args, "help") ? stdout : stderr);
        return option_given(&args, "help") ? CTL_DONE : CTL_USAGE;
    }
    const struct ctl_command *command = find(args.words, args.word_count);
    if (command == NULL)
        return not_found(args.words,
                         option_given(&args, "help") ||
                             (args.word_count > 1 && strcmp(args.words[1], "--help") == 0));
    if (option_given(&args, "help")) {
        print_help(command);
        return CTL_DONE;
    }
    const size_t used = words_of(command) - 1;
    return run_command(&ctl, command, (int)(args.word_count - used), args.words + used);
}

int main(int argc, char **argv)
{
    int code = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return ctl_fail(CTL_FAILED, "standard output: %s", strerror(errno));
    return code;
}
