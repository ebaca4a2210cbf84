/* SPDX-License-Identifier: Apache-2.0 */
/* The settings file: what is taken, what is refused and with which words, and that the table
 * agrees with itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/settings.h"

static char path[] = "/tmp/speke-settings.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    (void)strcpy(path, "/tmp/speke-settings.XXXXXX");
    const int fd = mkstemp(path);
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static int read_text(struct settings *s, const char *text, char *why, size_t size)
{
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    return settings_read(s, path, why, size);
}

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    struct settings s;
    settings_defaults(&s);
    assert_string_equal(s.database, "dbname=speke user=speke_service");
    assert_int_equal(s.max_body, 1048576);
    assert_int_equal(s.max_keys, 1000);
    assert_true(s.audit_wait);
    assert_string_equal(s.log_level, "notice");
    assert_string_equal(s.key_url, "");
}

/* Each row can be set to its own default, has help, and lies in the struct. */
static void the_table_agrees_with_itself(void **state)
{
    (void)state;
    size_t count;
    const struct setting *table = settings_table(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct settings s;
        char why[256];
        settings_defaults(&s);
        if (settings_set(&s, table[i].name, table[i].initial, why, sizeof why) != 0)
            fail_msg("%s", why);
        assert_true(strlen(table[i].help) > 10);
        assert_true(table[i].offset < sizeof s);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(table[i].name, table[j].name);
            assert_int_not_equal(table[i].offset, table[j].offset);
        }
    }
}

static void a_file_is_read_over_the_defaults(void **state)
{
    (void)state;
    struct settings s;
    char why[256];
    const int result = read_text(&s,
                                 "# a comment\n"
                                 "\n"
                                 "  database = host=/run/x dbname=y  \r\n"
                                 "max_body=2048\n"
                                 "audit_wait = off\n"
                                 "\tprepare\t=\tNO\n"
                                 "log_level = debug\n"
                                 "key_url = https://x/a?b=c#d\n"
                                 "user_agent = ü",
                                 why, sizeof why);
    if (result != 0)
        fail_msg("%s", why);
    assert_string_equal(s.database, "host=/run/x dbname=y");
    assert_int_equal(s.max_body, 2048);
    assert_false(s.audit_wait);
    assert_false(s.prepare);
    assert_string_equal(s.log_level, "debug");
    assert_string_equal(s.key_url, "https://x/a?b=c#d");
    assert_string_equal(s.user_agent, "ü");
    assert_int_equal(s.body_timeout, 20);
    assert_int_equal(read_text(&s, "", why, sizeof why), 0);
    assert_true(s.audit_wait);
}

static void faults_name_file_line_and_setting(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *what;
    } CASES[] = {
        {"max_body\n", "line 1: ", "no \"=\""},
        {"\n# x\ncolour = red\n", "line 3: ", "colour: no such setting"},
        {"= x\n", "line 1: ", ": no such setting"},
        {"max_body = 1023\n", "line 1: ", "max_body: a number from 1024 to 16777216"},
        {"max_body = 16777217\n", "line 1: ", "max_body: a number from"},
        {"max_body = 99999999999999999999\n", "line 1: ", "max_body: a number from"},
        {"max_body = 2048k\n", "line 1: ", "max_body: a number from"},
        {"max_body =\n", "line 1: ", "max_body: a number from"},
        {"max_keys = many\n", "line 1: ", "max_keys: a number from 1 to 2000"},
        {"audit_wait = maybe\n", "line 1: ", "audit_wait: on or off"},
        {"log = file\n", "line 1: ", "log: one of: stderr syslog"},
        {"log_level = err\n", "line 1: ", "log_level: one of:"},
        {"log_level =\n", "line 1: ", "log_level: one of:"},
        {"log_level = error warning\n", "line 1: ", "log_level: one of:"},
        {"user_agent = a\x01z\n", "line 1: ", "user_agent: holds a control character"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct settings s;
        char why[512];
        if (read_text(&s, CASES[i].text, why, sizeof why) == 0)
            fail_msg("taken: %s", CASES[i].text);
        if (strstr(why, path) == NULL || strstr(why, CASES[i].line) == NULL ||
            strstr(why, CASES[i].what) == NULL)
            fail_msg("%s gave: %s", CASES[i].text, why);
    }
}

static void values_have_a_longest_length(void **state)
{
    (void)state;
    struct settings s;
    char value[SETTING_TEXT_SIZE + 1], text[4 * SETTING_TEXT_SIZE], why[512];
    memset(value, 'x', sizeof value);
    value[SETTING_TEXT_SIZE - 1] = '\0';
    (void)snprintf(text, sizeof text, "database = %s\n", value);
    assert_int_equal(read_text(&s, text, why, sizeof why), 0);
    assert_string_equal(s.database, value);
    value[SETTING_TEXT_SIZE - 1] = 'x';
    value[SETTING_TEXT_SIZE] = '\0';
    (void)snprintf(text, sizeof text, "database = %s\n", value);
    assert_int_equal(read_text(&s, text, why, sizeof why), -1);
    assert_non_null(strstr(why, "longer than 1023 bytes"));
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(read_text(&s, text, why, sizeof why), -1);
    assert_non_null(strstr(why, "line 1: line too long"));
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct settings s;
    char why[256];
    assert_int_equal(settings_read(&s, "/nonexistent/speke.conf", why, sizeof why), -1);
    assert_string_equal(why, "/nonexistent/speke.conf: No such file or directory");
    assert_int_equal(settings_read(&s, "/", why, sizeof why), -1);
}

static void the_path_comes_from_option_environment_or_build(void **state)
{
    (void)state;
    assert_int_equal(setenv("SPEKE_CONFIG", "/from/environment", 1), 0);
    assert_string_equal(settings_path("/from/option"), "/from/option");
    assert_string_equal(settings_path(NULL), "/from/environment");
    assert_int_equal(setenv("SPEKE_CONFIG", "", 1), 0);
    assert_string_equal(settings_path(NULL), SPEKE_SYSCONFDIR "/speke-fcgi/speke.conf");
    assert_int_equal(unsetenv("SPEKE_CONFIG"), 0);
    assert_string_equal(settings_path(NULL), SPEKE_SYSCONFDIR "/speke-fcgi/speke.conf");
}

static void print(const struct settings *s, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    assert_non_null(out);
    if (s == NULL)
        settings_print_help(out);
    else
        settings_print(s, out);
    assert_int_equal(fclose(out), 0);
}

/* What is printed as a settings file reads back as the same settings. */
static void printed_settings_are_a_settings_file(void **state)
{
    (void)state;
    struct settings s, again;
    char text[8192] = "", why[256];
    settings_defaults(&s);
    assert_int_equal(settings_set(&s, "max_keys", "7", why, sizeof why), 0);
    assert_int_equal(settings_set(&s, "prepare", "off", why, sizeof why), 0);
    assert_int_equal(settings_set(&s, "database", "dbname=x", why, sizeof why), 0);
    print(&s, text, sizeof text);
    if (read_text(&again, text, why, sizeof why) != 0)
        fail_msg("%s", why);
    assert_memory_equal(&s, &again, sizeof s);
}

static void passwords_are_not_printed(void **state)
{
    (void)state;
    static const char *const VALUES[] = {"dbname=x password=hunter2", "dbname=x PassWord = hunter2",
                                         "postgresql://u:hunter2@h/x"};
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        struct settings s;
        char text[8192] = "", why[256];
        settings_defaults(&s);
        assert_int_equal(settings_set(&s, "database", VALUES[i], why, sizeof why), 0);
        print(&s, text, sizeof text);
        assert_null(strstr(text, "hunter2"));
        assert_non_null(strstr(text, "database = (not shown"));
    }
}

static void help_names_every_setting_with_its_default(void **state)
{
    (void)state;
    size_t count;
    const struct setting *table = settings_table(&count);
    char text[16384] = "";
    print(NULL, text, sizeof text);
    for (size_t i = 0; i < count; i++) {
        const char *at = strstr(text, table[i].name);
        assert_non_null(at);
        assert_non_null(strstr(at, table[i].help));
        assert_non_null(strstr(at, "Default: "));
    }
    assert_non_null(strstr(text, "Default: (empty)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(the_table_agrees_with_itself),
        cmocka_unit_test(a_file_is_read_over_the_defaults),
        cmocka_unit_test(faults_name_file_line_and_setting),
        cmocka_unit_test(values_have_a_longest_length),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(the_path_comes_from_option_environment_or_build),
        cmocka_unit_test(printed_settings_are_a_settings_file),
        cmocka_unit_test(passwords_are_not_printed),
        cmocka_unit_test(help_names_every_setting_with_its_default),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
