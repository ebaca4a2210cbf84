/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of spekectl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ctl/options.h"

#include <cmocka.h>

static const struct ctl_option OWN_ROWS[] = {
    {"kid", '\0', "UUID", "repeatable"},
    {"number", 'n', "N", "a number"},
    {"follow", 'f', NULL, "a switch"},
};
static const struct ctl_option GLOBAL_ROWS[] = {
    {"json", '\0', NULL, "a switch"},
    {"db", '\0', "CONNINFO", "a value"},
};
static const struct ctl_options OWN = CTL_OPTIONS(OWN_ROWS);
static const struct ctl_options GLOBAL = CTL_OPTIONS(GLOBAL_ROWS);

enum { WORDS_MAX = 12 };

static char why[256];
static char *words[WORDS_MAX];

/* Parses a command line given as one text. */
static int parse(const char *line, bool stop_at_word, struct ctl_arguments *out)
{
    static char copy[256];
    int count = 0;
    char *rest = NULL;
    strncpy(copy, line, sizeof copy - 1);
    for (char *w = strtok_r(copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    words[count] = NULL;
    why[0] = '\0';
    return options_parse(count, words, &OWN, &GLOBAL, stop_at_word, out, why, sizeof why);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    struct ctl_arguments args;
    assert_int_equal(parse("x one --kid a two -fn5 --json --kid=b --db=host=h", false, &args), 0);
    assert_int_equal(args.word_count, 2);
    assert_string_equal(args.words[0], "one");
    assert_string_equal(args.words[1], "two");
    assert_string_equal(option_nth(&args, "kid", 0), "a");
    assert_string_equal(option_nth(&args, "kid", 1), "b");
    assert_null(option_nth(&args, "kid", 2));
    assert_string_equal(option_value(&args, "kid"), "b");
    assert_string_equal(option_value(&args, "number"), "5");
    assert_string_equal(option_value(&args, "db"), "host=h");
    assert_true(option_given(&args, "follow"));
    assert_true(option_given(&args, "json"));
}

static void what_is_not_given_is_absent(void **state)
{
    (void)state;
    struct ctl_arguments args;
    assert_int_equal(parse("x", false, &args), 0);
    assert_int_equal(args.word_count, 0);
    assert_null(option_value(&args, "kid"));
    assert_null(option_nth(&args, "kid", 0));
    assert_false(option_given(&args, "json"));
}

static void a_word_ends_the_global_options(void **state)
{
    (void)state;
    struct ctl_arguments args;
    assert_int_equal(parse("x --json db init --unknown", true, &args), 0);
    assert_int_equal(args.word_count, 3);
    assert_string_equal(args.words[2], "--unknown");
    assert_true(option_given(&args, "json"));
}

static void two_hyphens_end_the_options(void **state)
{
    (void)state;
    struct ctl_arguments args;
    assert_int_equal(parse("x -- --json", false, &args), 0);
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "--json");
    assert_false(option_given(&args, "json"));
}

static void faults_name_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *line, *named;
    } CASES[] = {
        {"x --nothing", "--nothing"}, {"x -z", "-z"},           {"x --kid", "--kid"},
        {"x -n", "--number"},         {"x --json=1", "--json"}, {"x --follow=yes", "--follow"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ctl_arguments args;
        print_message("  %s\n", CASES[i].line);
        assert_int_equal(parse(CASES[i].line, false, &args), -1);
        assert_non_null(strstr(why, CASES[i].named));
    }
}

static void too_many_options_are_refused(void **state)
{
    (void)state;
    struct ctl_arguments args;
    char name[] = "x", option[] = "-f";
    char *many[CTL_OPTIONS_MAX + 3];
    many[0] = name;
    for (size_t i = 1; i <= CTL_OPTIONS_MAX + 1; i++)
        many[i] = option;
    many[CTL_OPTIONS_MAX + 2] = NULL;
    assert_int_equal(
        options_parse(CTL_OPTIONS_MAX + 2, many, &OWN, NULL, false, &args, why, sizeof why), -1);
    assert_int_equal(
        options_parse(CTL_OPTIONS_MAX + 1, many, &OWN, NULL, false, &args, why, sizeof why), 0);
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "x", "1x", "0", "11", "99999999999999999999", "1.5"};
    long n = 0;
    assert_int_equal(option_number("10", 1, 10, &n), 0);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        print_message("  \"%s\"\n", BAD[i]);
        assert_int_equal(option_number(BAD[i], 1, 10, &n), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(what_is_not_given_is_absent),
        cmocka_unit_test(a_word_ends_the_global_options),
        cmocka_unit_test(two_hyphens_end_the_options),
        cmocka_unit_test(faults_name_the_option),
        cmocka_unit_test(too_many_options_are_refused),
        cmocka_unit_test(numbers_are_whole_and_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
