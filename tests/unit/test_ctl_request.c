/* SPDX-License-Identifier: Apache-2.0 */
/* The documents that "spekectl request" sends: read back and held against the checks that a key
 * provider applies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "ctl/options.h"
#include "ctl/request.h"
#include "drm/drm.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

/* The options of the subcommand that matter here. */
static const struct ctl_option ROWS[] = {
    {"content-id", '\0', "ID", ""}, {"preset", '\0', "NAMES", ""},  {"drm", '\0', "SYSTEMS", ""},
    {"scheme", '\0', "SCHEME", ""}, {"speke", '\0', "VERSION", ""}, {"period", '\0', "INDEX", ""},
    {"kid", '\0', "UUID", ""},      {"random-kid", '\0', NULL, ""}, {"iv", '\0', "BASE64", ""},
    {"smooth", '\0', NULL, ""},
};
static const struct ctl_options OPTIONS = CTL_OPTIONS(ROWS);

enum { WORDS_MAX = 32, ARENA_SIZE = 1 << 22 };

static char line_copy[1024];
static char *words[WORDS_MAX];
static struct arena arena;

static int plan_of(const char *line, struct request_plan *plan)
{
    struct ctl_arguments args;
    char why[256];
    char *rest = NULL;
    int count = 0;
    (void)snprintf(line_copy, sizeof line_copy, "request %s", line);
    for (char *w = strtok_r(line_copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    words[count] = NULL;
    assert_int_equal(options_parse(count, words, &OPTIONS, NULL, false, &args, why, sizeof why), 0);
    return plan_read(&args, plan);
}

static int make_arena(void **state)
{
    (void)state;
    cpix_setup();
    arena_init(&arena, ARENA_SIZE);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

/* Builds, writes and reads back. */
static void document_of(const char *line, struct request_plan *plan, struct cpix_document *out)
{
    struct buf text;
    struct failure f = {0};
    struct cpix_document built;
    assert_int_equal(plan_of(line, plan), 0);
    assert_int_equal(document_build(plan, &arena, &built), 0);
    buf_init(&text, 1 << 20);
    cpix_write(&built, &text);
    assert_true(buf_ok(&text));
    const int result = cpix_read(text.data, text.len, &CPIX_DEFAULT_LIMITS, &arena, out, &f);
    if (result != 0)
        print_message("  %s\n", f.cause);
    assert_int_equal(result, 0);
    buf_free(&text);
}

static enum cpix_fit fit(const void *context, const struct uuid *id, enum scheme scheme,
                         enum speke_version version)
{
    (void)context; /* no tenant's settings here */
    const struct drm_system *system = drm_find(id, version);
    if (system == NULL)
        return CPIX_UNKNOWN_SYSTEM;
    return drm_scheme_fits(system, scheme) ? CPIX_FITS : CPIX_MISFIT;
}

static bool print_fault(void *context, const struct cpix_fault *fault)
{
    (void)context;
    print_message("  %s: %s\n", fault->place, fault->text);
    return true;
}

static void every_preset_gives_a_document_without_fault(void **state)
{
    (void)state;
    static const char *const SYSTEMS[] = {"widevine",           "playready",
                                          "fairplay",           "clearkey",
                                          "widevine,playready", "widevine,fairplay",
                                          "playready,fairplay", "widevine,playready,fairplay"};
    static const char *const SIDES[] = {"", " --period 0"};
    char line[256];
    for (int video = 0; video <= 8; video++) {
        for (int audio = 0; audio <= 3; audio++) {
            for (size_t s = 0; s < sizeof SYSTEMS / sizeof SYSTEMS[0]; s++) {
                struct request_plan plan;
                struct cpix_document doc;
                const struct cpix_rules rules = {.version = SPEKE_V2_0, .system_fit = fit};
                char v[16] = "UNENCRYPTED", a[16] = "UNENCRYPTED";
                if (video == 0 && audio == 0)
                    continue;
                if (video > 0)
                    (void)snprintf(v, sizeof v, "%d", video);
                if (audio > 0)
                    (void)snprintf(a, sizeof a, "%d", audio);
                (void)snprintf(line, sizeof line,
                               "--content-id m --preset VIDEO-%s,AUDIO-%s --drm %s%s", v, a,
                               SYSTEMS[s], SIDES[(video + audio) % 2]);
                document_of(line, &plan, &doc);
                const int result = cpix_check(&doc, &rules, &arena, print_fault, NULL);
                if (result != 0)
                    print_message("  %s\n", line);
                assert_int_equal(result, 0);
                assert_int_equal(doc.key_count, plan.key_count);
                assert_int_equal(doc.system_count, plan.key_count * plan.system_count);
                arena_reset(&arena);
            }
        }
    }
}

static void other_versions_have_no_fault_either(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum speke_version version;
    } CASES[] = {
        {"--speke 1.0 --content-id m", SPEKE_V1},
        {"--speke 1.0 --content-id m --period 7", SPEKE_V1},
        {"--speke 1.0 --content-id m --drm aes128,fairplay,widevine,playready,common", SPEKE_V1},
        {"--speke 2.1 --content-id m --preset SHARED --period 7", SPEKE_V2_1},
        {"--speke 2.0 --content-id m --preset SHARED --smooth --iv ABEiM0RVZneImaq7zN3u/w==",
         SPEKE_V2_0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct request_plan plan;
        struct cpix_document doc;
        const struct cpix_rules rules = {.version = CASES[i].version, .system_fit = fit};
        print_message("  %s\n", CASES[i].line);
        document_of(CASES[i].line, &plan, &doc);
        assert_int_equal(plan.version, CASES[i].version);
        assert_int_equal(cpix_check(&doc, &rules, &arena, print_fault, NULL), 0);
    }
}

static void the_scheme_is_the_first_that_fits(void **state)
{
    (void)state;
    static const struct {
        const char *drm;
        enum scheme scheme;
    } CASES[] = {{"widevine", SCHEME_CENC},
                 {"playready,widevine", SCHEME_CENC},
                 {"fairplay", SCHEME_CBCS},
                 {"widevine,fairplay", SCHEME_CBCS},
                 {"clearkey", SCHEME_CBC1}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct request_plan plan;
        char line[128];
        (void)snprintf(line, sizeof line, "--content-id m --drm %s", CASES[i].drm);
        print_message("  %s\n", CASES[i].drm);
        assert_int_equal(plan_of(line, &plan), 0);
        assert_int_equal(plan.scheme, CASES[i].scheme);
    }
}

static void placeholders_are_those_that_a_system_has(void **state)
{
    (void)state;
    struct request_plan plan;
    struct cpix_document doc;
    document_of("--content-id m --drm widevine,playready,fairplay --smooth --preset SHARED", &plan,
                &doc);
    assert_int_equal(doc.system_count, 3);
    assert_int_equal(doc.systems[0].placeholder_count, 4);
    assert_int_equal(doc.systems[1].placeholder_count, 5);
    assert_int_equal(doc.systems[2].placeholder_count, 2);
    document_of("--content-id m --drm playready --preset SHARED", &plan, &doc);
    assert_int_equal(doc.systems[0].placeholder_count, 4);
    document_of("--speke 1.0 --content-id m --drm aes128,playready", &plan, &doc);
    assert_int_equal(doc.systems[0].placeholder_count, 3);
    assert_int_equal(doc.systems[1].placeholder_count, 2);
    assert_int_equal(doc.systems[1].placeholders[1].field, CPIX_SPEKE_PROTECTION_HEADER);
}

static void assert_kid(const struct uuid *kid, const char *expected)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(kid, text);
    assert_string_equal(text, expected);
}

/* The expected values are those of Python's uuid.uuid5(uuid.NAMESPACE_URL, name). */
static void kids_are_name_based(void **state)
{
    (void)state;
    struct request_plan plan;
    struct uuid kid;
    assert_int_equal(plan_of("--content-id movie-1", &plan), 0);
    assert_int_equal(plan.key_count, 2);
    assert_kid(&plan.kids[0], "7e64534a-8f8e-54fc-8081-9f11bfb31591");
    assert_kid(&plan.kids[1], "4e8808e9-9c30-593c-b483-a1a4162ab913");
    assert_int_equal(plan_of("--content-id movie-1 --period 7", &plan), 0);
    assert_kid(&plan.kids[0], "14b6412d-529d-5b02-8791-49c9a86389f0");
    assert_int_equal(plan_derive_kid("ALL", NULL,
                                     "Gr\xc3\xbc\xc3\x9f"
                                     "e:1",
                                     &kid),
                     0);
    assert_kid(&kid, "975c19f5-2ef2-5bd2-9dec-16f09cbab332");
}

static void random_kids_differ(void **state)
{
    (void)state;
    struct request_plan first, second;
    assert_int_equal(plan_of("--content-id m --random-kid", &first), 0);
    assert_int_equal(plan_of("--content-id m --random-kid", &second), 0);
    assert_false(uuid_equal(&first.kids[0], &first.kids[1]));
    assert_false(uuid_equal(&first.kids[0], &second.kids[0]));
    assert_int_equal(first.kids[0].bytes[6] >> 4, 4);
    assert_int_equal(first.kids[0].bytes[8] >> 6, 2);
}

static void given_kids_are_taken_in_their_order(void **state)
{
    (void)state;
    struct request_plan plan;
    assert_int_equal(plan_of("--content-id m --kid 11223344-5566-7788-99aa-bbccddeeff00 "
                             "--kid FEDCBA98-7654-3210-0123-456789ABCDEF",
                             &plan),
                     0);
    assert_kid(&plan.kids[0], "11223344-5566-7788-99aa-bbccddeeff00");
    assert_kid(&plan.kids[1], "fedcba98-7654-3210-0123-456789abcdef");
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "--content-id m --speke 3.0",
        "--content-id m --preset HD",
        "--content-id m --drm widevine,marlin",
        "--content-id m --drm widevine,widevine",
        "--content-id m --drm ,",
        "--content-id m --drm aes128",
        "--content-id m --drm widevine,clearkey",
        "--content-id m --scheme xyz",
        "--content-id m --speke 2.0 --scheme SAMPLE-AES",
        "--content-id m --speke 1.0 --scheme cenc",
        "--content-id m --speke 1.0 --preset SHARED",
        "--content-id m --speke 1.0 --drm clearkey",
        "--content-id m --period -1",
        "--content-id m --period +1",
        "--content-id m --period x",
        "--content-id m --iv AAAA",
        "--content-id m --iv !",
        "--content-id m --kid 11223344-5566-7788-99aa-bbccddeeff00",
        "--content-id m --kid a --kid b",
        "--content-id m --kid a --kid b --kid c",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct request_plan plan;
        print_message("  %s\n", BAD[i]);
        assert_int_equal(plan_of(BAD[i], &plan), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_gives_a_document_without_fault),
        cmocka_unit_test(other_versions_have_no_fault_either),
        cmocka_unit_test(the_scheme_is_the_first_that_fits),
        cmocka_unit_test(placeholders_are_those_that_a_system_has),
        cmocka_unit_test(kids_are_name_based),
        cmocka_unit_test(random_kids_differ),
        cmocka_unit_test(given_kids_are_taken_in_their_order),
        cmocka_unit_test(wrong_usage_is_refused),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
