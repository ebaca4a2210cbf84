/* SPDX-License-Identifier: Apache-2.0 */
/* "spekectl lint" on the folder tests/vectors/lint: every document with every fault expected. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "cpix/certificate.h"
#include "cpix/cpix.h"
#include "ctl/file.h"
#include "ctl/lint.h"
#include "ctl/request.h"
#include "exchange/tenant.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

enum { FILE_MAX = 1 << 20, LEAST_BROKEN = 60, PATH_SIZE = 1024 };

static const char *folder(void)
{
    static char path[PATH_SIZE];
    const char *source = getenv("srcdir");
    (void)snprintf(path, sizeof path, "%s/tests/vectors/lint", source == NULL ? "." : source);
    return path;
}

/* The contents of folder/name.ending, with a zero byte after them. */
static void load(const char *name, size_t stem, const char *ending, struct buf *out)
{
    char path[2 * PATH_SIZE], why[256];
    buf_init(out, FILE_MAX);
    (void)snprintf(path, sizeof path, "%s/%.*s%s", folder(), (int)stem, name, ending);
    if (file_slurp(path, out, why, sizeof why) != 0)
        fail_msg("%s", why);
    buf_put_u8(out, 0);
    assert_true(buf_ok(out));
}

/* The faults in the form of the file of expectations. */
static void write_faults(const json_t *faults, struct buf *out)
{
    size_t i;
    json_t *fault;
    json_array_foreach(faults, i, fault)
    {
        buf_printf(out, "%d %s %s\n", (int)json_integer_value(json_object_get(fault, "line")),
                   json_string_value(json_object_get(fault, "rule")),
                   json_string_value(json_object_get(fault, "text")));
        assert_non_null(json_object_get(fault, "place"));
    }
    buf_put_u8(out, 0);
    assert_true(buf_ok(out));
}

/* Returns how many faults are expected. */
static size_t check_document(const char *name, size_t stem)
{
    struct buf document, expected, found;
    enum speke_version version = SPEKE_V2_0, used;
    char word[16];
    load(name, stem, ".xml", &document);
    load(name, stem, ".expect", &expected);
    buf_init(&found, FILE_MAX);
    char *lines = strchr((const char *)expected.data, '\n');
    assert_non_null(lines);
    assert_int_equal(sscanf((const char *)expected.data, "speke %15s", word), 1);
    const bool guess = strcmp(word, "guess") == 0;
    assert_true(guess || speke_version_parse(word, &version) == 0);
    struct tenant_config config;
    tenant_config_init(&config);
    json_t *faults = lint_document(document.data, document.len - 1, &config,
                                   guess ? NULL : &version, &used);
    tenant_config_free(&config);
    assert_non_null(faults);
    write_faults(faults, &found);
    if (strcmp((const char *)found.data, lines + 1) != 0)
        fail_msg("%.*s: expected\n%sfound\n%s", (int)stem, name, lines + 1,
                 (const char *)found.data);
    const size_t count = json_array_size(faults);
    json_decref(faults);
    buf_free(&document);
    buf_free(&expected);
    buf_free(&found);
    return count;
}

static void test_every_document_has_the_faults_that_are_expected(void **state)
{
    static const char ENDING[] = ".xml";
    size_t broken = 0, good = 0;
    struct dirent *entry;
    (void)state;
    DIR *directory = opendir(folder());
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        const size_t n = strlen(entry->d_name), end = sizeof ENDING - 1;
        if (n <= end || strcmp(entry->d_name + n - end, ENDING) != 0)
            continue;
        const size_t count = check_document(entry->d_name, n - end);
        const bool is_good = strncmp(entry->d_name, "good-", 5) == 0;
        if (is_good != (count == 0))
            fail_msg("%s has %zu faults", entry->d_name, count);
        broken += count > 0;
        good += count == 0;
    }
    assert_int_equal(closedir(directory), 0);
    assert_true(broken >= LEAST_BROKEN);
    assert_true(good > 0);
}

static void test_the_version_is_guessed_from_the_root(void **state)
{
    static const struct {
        const char *id, *version;
        enum speke_version guess;
    } CASES[] = {{"a", NULL, SPEKE_V1},     {NULL, NULL, SPEKE_V2_0},  {"a", "2.3", SPEKE_V2_0},
                 {NULL, "2.3", SPEKE_V2_0}, {NULL, "2.4", SPEKE_V2_1}, {NULL, "9", SPEKE_V2_0}};
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct cpix_document doc = {.id = CASES[i].id, .version_text = CASES[i].version};
        print_message("  id %s, version %s\n", CASES[i].id != NULL ? CASES[i].id : "(none)",
                      CASES[i].version != NULL ? CASES[i].version : "(none)");
        assert_int_equal(lint_guess_version(&doc), CASES[i].guess);
    }
}

static int set_up(void **state)
{
    struct failure f = {0};
    (void)state;
    cpix_setup();
    return secret_setup(1 << 18, &f);
}

static int tear_down(void **state)
{
    (void)state;
    certificate_forget_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_document_has_the_faults_that_are_expected),
        cmocka_unit_test(test_the_version_is_guessed_from_the_root),
    };
    return cmocka_run_group_tests_name("ctl_lint", tests, set_up, tear_down);
}
