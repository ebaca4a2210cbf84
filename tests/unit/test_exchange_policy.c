/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant refuses: each policy switched on alone against documents that it lets pass and that
 * it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "cpix_fixture.h"
#include "exchange/pattern.h"
#include "exchange/policy.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

static const char E9[] = "Requested CPIX encryption contract not supported";

#define ALL                                                             \
    {"\"VIDEO\"", "\"ALL\""},                                           \
    {                                                                   \
        "<cpix:VideoFilter/>", "<cpix:VideoFilter/><cpix:AudioFilter/>" \
    }
#define ONE_FILTER(filter)                \
    {                                     \
        {                                 \
            "<cpix:VideoFilter/>", filter \
        }                                 \
    }

static const struct row {
    const char *name, *value;
    struct edit edits[3];
    const char *refused; /* the text, NULL when it passes */
} ROWS[] = {
    {"max_keys", "2", {{0}}, NULL},
    {"max_keys", "1", {{0}}, E9},
    {"max_keys", "0", {{0}}, NULL},
    {"refuse_all", "on", {{0}}, NULL},
    {"refuse_all", "on", {ALL}, E9},
    {"refuse_all", "off", {ALL}, NULL},
    {"refuse_audio_with_uhd", "on", {{0}}, NULL},
    {"refuse_audio_with_uhd", "on", {ALL}, E9},
    {"refuse_audio_with_uhd", "on",
     ONE_FILTER("<cpix:VideoFilter maxPixels=\"2073600\"/><cpix:AudioFilter/>"), NULL},
    {"refuse_audio_with_uhd", "on",
     ONE_FILTER("<cpix:VideoFilter maxPixels=\"2073601\"/><cpix:AudioFilter/>"), E9},
    {"refuse_mixed_uhd", "on", {{0}}, E9},
    {"refuse_mixed_uhd", "on", ONE_FILTER("<cpix:VideoFilter maxPixels=\"2073600\"/>"), NULL},
    {"refuse_mixed_uhd", "on", ONE_FILTER("<cpix:VideoFilter minPixels=\"2073601\"/>"), NULL},
    {"refuse_mixed_uhd", "on", ONE_FILTER("<cpix:VideoFilter minPixels=\"2073600\"/>"), E9},
    {"content_ids", "movie-*", {{0}}, NULL},
    {"content_ids", "live-*, movie-7781", {{0}}, NULL},
    {"content_ids", "live-* movie-778", {{0}}, "Content id not served"},
    {"delivery", "optional", {{0}}, NULL},
    {"delivery", "required", {{0}}, "Content key encryption required: missing DeliveryDataList"},
    {"delivery",
     "required",
     {{"<cpix:ContentKeyList>",
       "<cpix:DeliveryDataList><cpix:DeliveryData/></cpix:DeliveryDataList><cpix:ContentKeyList>"}},
     NULL},
};

static void read_config(struct tenant_config *config, const char *name, const char *value)
{
    const struct keystore_setting setting = {.system = "", .name = name, .value = value};
    const struct keystore_client client = {.tenant = "t", .settings = &setting, .setting_count = 1};
    struct failure f = {0};
    if (tenant_config_read(config, &client, &f) != 0)
        fail_msg("%s: %s", name, f.cause);
}

static bool take_all(void *context, const struct cpix_fault *fault)
{
    struct cpix_fault *last = context;
    assert_non_null(strchr(fault->place, '('));
    *last = *fault;
    return true;
}

static bool take_one(void *context, const struct cpix_fault *fault)
{
    (void)take_all(context, fault);
    return false;
}

static void each_policy_refuses_what_it_names(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct tenant_config config;
        struct cpix_fault fault = {0};
        print_message("  row %zu: %s = %s\n", i, ROWS[i].name, ROWS[i].value);
        read_config(&config, ROWS[i].name, ROWS[i].value);
        fixture_read_edited(x, FIXTURE_V2_0, ROWS[i].edits);
        const size_t count = policy_check(&config, &x->doc, SPEKE_V2_0, take_all, &fault);
        assert_int_equal(count, ROWS[i].refused == NULL ? 0 : 1);
        if (ROWS[i].refused != NULL) {
            assert_string_equal(fault.text, ROWS[i].refused);
            assert_non_null(strstr(fault.place, ROWS[i].name));
            assert_true(fault.line > 0);
        }
        tenant_config_free(&config);
    }
}

static void patterns_fit_as_a_whole(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } CASES[] = {
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"a*", "a", true},
        {"a*", "ba", false},
        {"*a", "ba", true},
        {"*a", "ab", false},
        {"*a*", "bab", true},
        {"*a*", "bcb", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "a--b--b-c", true},
        {"a*b*c", "a--b--b-cd", false},
        {"*ab*ab", "ab", false},
        {"*ab*ab", "xabab", true},
        {"**", "x", true},
        {"?", "", false},
        {"?", "x", true},
        {"?", "xy", false},
        {"??", "\xc3\xa9\xf0\x9f\x94\x91", true},
        {"?", "\xc3\xa9", true},
        {"?", "\xc3\xa9\xc3\xa9", false},
        {"*?", "", false},
        {"*?\xc3\xa9", "x\xc3\xa9\xc3\xa9", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"\\?\\\\", "?\\", true},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"a.c", "abc", false},
        {"^a$", "a", false},
        {"a?c", "a c", true},
        {"%_", "ab", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        print_message("  %s: %s\n", CASES[i].pattern, CASES[i].text);
        assert_true(pattern_ok(CASES[i].pattern, strlen(CASES[i].pattern)));
        assert_int_equal(pattern_fits(CASES[i].pattern, strlen(CASES[i].pattern), CASES[i].text),
                         CASES[i].fits);
    }
    assert_false(pattern_ok("a\\", 2));
    assert_false(pattern_ok("\\d", 2));
}

/* What takes regular expressions a lifetime. */
static void patterns_take_no_time_to_speak_of(void **state)
{
    char pattern[2048], text[4096 + 1];
    const clock_t start = clock();
    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(pattern_fits(pattern, sizeof pattern, text));
    text[sizeof text - 2] = 'b';
    assert_false(pattern_fits(pattern, sizeof pattern, text));
    memset(pattern, 'a', sizeof pattern);
    pattern[0] = '*';
    assert_false(pattern_fits(pattern, sizeof pattern, text));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 1);
}

/* SPEKE v1 looks at nothing in usage rules but their periods. */
static void v1_has_no_contract(void **state)
{
    struct fixture *x = *state;
    struct tenant_config config;
    struct cpix_fault fault;
    read_config(&config, "refuse_mixed_uhd", "on");
    fixture_read_well(x, FIXTURE_V2_0);
    assert_int_equal(policy_check(&config, &x->doc, SPEKE_V1, take_all, &fault), 0);
    tenant_config_free(&config);
}

/* Whoever wants no more is told no more. */
static void all_that_is_refused_is_told(void **state)
{
    struct fixture *x = *state;
    static const struct keystore_setting SETTINGS[] = {
        {.system = "", .name = "max_keys", .value = "1"},
        {.system = "", .name = "refuse_all", .value = "on"},
        {.system = "", .name = "refuse_audio_with_uhd", .value = "on"},
        {.system = "", .name = "refuse_mixed_uhd", .value = "on"},
        {.system = "", .name = "delivery", .value = "required"},
    };
    static const struct edit EDITS[3] = {ALL};
    const struct keystore_client client = {
        .tenant = "t", .settings = SETTINGS, .setting_count = COUNT(SETTINGS)};
    struct tenant_config config;
    struct cpix_fault fault;
    assert_int_equal(tenant_config_read(&config, &client, &x->failure), 0);
    fixture_read_edited(x, FIXTURE_V2_0, EDITS);
    assert_int_equal(policy_check(&config, &x->doc, SPEKE_V2_0, take_all, &fault), 5);
    assert_int_equal(policy_check(&config, &x->doc, SPEKE_V2_0, take_one, &fault), 1);
    assert_non_null(strstr(fault.place, "max_keys: 2 keys, the tenant allows 1"));
    tenant_config_free(&config);
}

static void versions_are_served_as_the_tenant_has_them(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool served[3];
    } VERSIONS[] = {
        {"1.0 2.0 2.1", {true, true, true}},
        {"2.1", {false, false, true}},
        {"2.0,1.0", {true, true, false}},
    };
    for (size_t i = 0; i < COUNT(VERSIONS); i++) {
        struct tenant_config config;
        print_message("  %s\n", VERSIONS[i].value);
        read_config(&config, "versions", VERSIONS[i].value);
        for (enum speke_version v = SPEKE_V1; v <= SPEKE_V2_1; v++) {
            struct failure f = {0};
            assert_int_equal(policy_version(&config, v, &f), VERSIONS[i].served[v] ? 0 : -1);
            if (!VERSIONS[i].served[v]) {
                assert_int_equal(f.status, 422);
                assert_string_equal(f.text, "Unsupported SPEKE version");
            }
        }
        tenant_config_free(&config);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_policy_refuses_what_it_names),
        cmocka_unit_test(patterns_fit_as_a_whole),
        cmocka_unit_test(patterns_take_no_time_to_speak_of),
        TEST(v1_has_no_contract),
        TEST(all_that_is_refused_is_told),
        cmocka_unit_test(versions_are_served_as_the_tenant_has_them),
    };
    return cmocka_run_group_tests_name("exchange policy", tests, NULL, NULL);
}
