/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tenants' settings: what is let in, what is refused and where, and what the exchange
 * reads out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/failure.h"
#include "cpix/cpix.h"
#include "exchange/tenant.h"
#include "exchange/tenant_options.h"
#include "keystore/keystore.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#define WIDEVINE  "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
#define PLAYREADY "9a04f079-9840-4286-ab92-e65be0885f95"
#define FAIRPLAY  "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
#define CLEAR_KEY "3ea8778f-7742-4bf9-b18b-e834b2acbd47"
#define IRDETO    "80a6be7e-1448-4c37-9e70-d5aebe04c8d2"
#define HEX_32    "9f86d081884c7d659a2feaa0c55ad015"

static int judge(const char *system, const char *name, const char *value, char *why, size_t size)
{
    struct uuid id;
    const bool whole = system[0] == '\0';
    assert_true(whole || uuid_parse(system, &id) == 0);
    const struct tenant_option *o = tenant_option_find(whole ? NULL : &id, name);
    if (o == NULL)
        fail_msg("no setting %s of system \"%s\"", name, system);
    return tenant_option_check(o, value, why, size);
}

static void good_values_pass(void **state)
{
    (void)state;
    static const struct {
        const char *system, *name, *value;
    } ROWS[] = {
        {PLAYREADY, "la_url", "https://lic.example.com:8443/rm.asmx?a=1&b=%20"},
        {PLAYREADY, "header", "4.3"},
        {WIDEVINE, "provider", "Jos\xc3\xa9 & <co>"},
        {WIDEVINE, "hls_keyid", "on"},
        {FAIRPLAY, "hls_uri", "skd://{kid_hex}?iv={iv_hex}"},
        {CLEAR_KEY, "hls_uri", "{key_url}/{kid}"},
        {CLEAR_KEY, "hls_keyformat", "identity"},
        {CLEAR_KEY, "hls_keyformatversions", "1/2/5"},
        {IRDETO, "pssh", "{{\"k\":\"{kid}\"}}{hex:00fF}{kid_bytes}"},
        {IRDETO, "content_protection",
         "<a:x xmlns:a=\"urn:a\" k=\"{kid}\">{content_id_raw}</a:x>\n<b/>"},
        {IRDETO, "hls_uri", "data:text/plain;base64,{pssh}"},
        {IRDETO, "schemes", "cenc, SAMPLE-AES-CTR"},
        {FAIRPLAY, "hls_allowed_cpc", "com.apple.streamingkeydelivery:A/B,x:y:C"},
        {"", "hdcp_level", "TYPE-1"},
        {"", "output_protection",
         "<!-- c -->\n<d:OutputProtection xmlns:d=\"urn:d\" value=\"2.2\"/>"},
        {"", "explicit_iv", "cbc"},
        {"", "versions", "2.0 2.1"},
        {"", "systems", "widevine " IRDETO},
        {"", "max_keys", "2000"},
        {"", "content_ids", "acme-* \\*"},
        {"", "read_only", "on"},
        {"", "new_keys_per_minute", "1000000000"},
        {"", "delivery_recipients", HEX_32 HEX_32 ", " HEX_32 HEX_32},
        {"", "delivery_min_rsa", "4096"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char why[256] = "";
        print_message("  %s = %s\n", ROWS[i].name, ROWS[i].value);
        if (judge(ROWS[i].system, ROWS[i].name, ROWS[i].value, why, sizeof why) != 0)
            fail_msg("%s", why);
    }
}

static void bad_values_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *system, *name, *value, *why;
    } ROWS[] = {
        {PLAYREADY, "la_url", "lic.example.com/rm", "no absolute URL"},
        {PLAYREADY, "la_url", "ftp://lic.example.com/", "no absolute URL"},
        {PLAYREADY, "la_url", "https:///path", "no absolute URL"},
        {PLAYREADY, "la_url", "https://a/ b", "byte 11: "},
        {PLAYREADY, "la_url", "https://a/\"", "byte 11: "},
        {PLAYREADY, "la_url", "", "empty"},
        {PLAYREADY, "header", "4.4", "one of: 4.0 4.1 4.2 4.3"},
        {PLAYREADY, "header", "4.0 4.1", "one of: 4.0 4.1 4.2 4.3"},
        {WIDEVINE, "provider", "a\x01z", "byte 2: a control character"},
        {WIDEVINE, "provider", "a\xffz", "byte 2: no UTF-8"},
        {WIDEVINE, "provider", "a\xef\xbf\xbf", "byte 2: a character that XML does not allow"},
        {WIDEVINE, "robustness", "a\nb", "byte 2: a control character"},
        {WIDEVINE, "hls_keyid", "maybe", "on or off"},
        {FAIRPLAY, "hls_uri", "skd://{kidd}", "byte 7: {kidd} is no known name"},
        {FAIRPLAY, "hls_uri", "skd://{kid", "byte 7: a brace without its partner"},
        {FAIRPLAY, "hls_uri", "skd://{kid_bytes}", "byte 7: {kid_bytes} is no known name"},
        {FAIRPLAY, "hls_uri", "skd://{kid}?{pssh}", "byte 13: {pssh} stands for nothing"},
        {CLEAR_KEY, "hls_uri", "https://k/{pssh}", "byte 11: {pssh} stands for nothing"},
        {FAIRPLAY, "hls_uri", "skd://\"{kid}", "byte 1: text that cannot stand in quotes"},
        {FAIRPLAY, "hls_uri", "{kid}", "byte 1: neither a URI's scheme"},
        {CLEAR_KEY, "hls_keyformat", "iden\"tity", "byte 5: a quote"},
        {CLEAR_KEY, "hls_keyformatversions", "1/x", "byte 3: "},
        {CLEAR_KEY, "hls_keyformatversions", "1//2", "numbers"},
        {IRDETO, "pssh", "{hex:0}", "byte 1: {hex:...} holds no pairs"},
        {IRDETO, "pssh", "{hex:0g}", "byte 1: {hex:...} holds no pairs"},
        {IRDETO, "pssh", "ab{guide_json}", "byte 3: {guide_json} is no known name"},
        {IRDETO, "content_protection", "<a>{kid}</b>", "line 1, column "},
        {IRDETO, "content_protection", "<a>\n<x:y/></a>", "line 2, column "},
        {IRDETO, "content_protection", "<!DOCTYPE a><a/>", "line 1, column "},
        {IRDETO, "content_protection", "{kid}", "no element"},
        {IRDETO, "content_protection", "<a>&nbsp;</a>", "line 1, column "},
        {IRDETO, "schemes", "cenc cbc7", "one or more of: cenc cbc1"},
        {IRDETO, "schemes", "-", "one or more of: cenc cbc1"},
        {FAIRPLAY, "hls_allowed_cpc", "x:A,y", "byte 5: "},
        {FAIRPLAY, "hls_allowed_cpc", "x:A//B", "byte 1: "},
        {FAIRPLAY, "hls_allowed_cpc", "x:A,", "byte 5: "},
        {FAIRPLAY, "hls_allowed_cpc", ":A", "byte 1: "},
        {"", "hdcp_level", "TYPE-2", "one of: NONE TYPE-0 TYPE-1"},
        {"", "output_protection", "<OutputProtection>", "column "},
        {"", "output_protection", "<OutputProtection/><OutputProtection/>", "several"},
        {"", "output_protection", "<Other/>", "not one element OutputProtection, but Other"},
        {"", "output_protection", "x<OutputProtection/>", "text beside the element"},
        {"", "output_protection", "<?xml version=\"1.0\"?><OutputProtection/>", "line 1"},
        {"", "explicit_iv", "never", "one of: always cbc needed"},
        {"", "versions", "3.0", "one or more of: 1.0 2.0 2.1"},
        {"", "versions", " ", "one or more of: 1.0 2.0 2.1"},
        {"", "systems", "widevine, nosuch", "byte 11: \"nosuch\""},
        {"", "max_keys", "2001", "a number from 0 to 2000"},
        {"", "keys_total", "1000000001", "a number from 0 to 1000000000"},
        {"", "keys_per_minute", "-1", "a number from 0 to 1000000000"},
        {"", "read_only", "yes", "on or off"},
        {"", "content_ids", "a*, b\\c", "byte 5: \\ stands before"},
        {"", "max_keys", "8x", "a number from 0 to 2000"},
        {"", "delivery_min_rsa", "1024", "a number from 2048 to 8192"},
        {"", "delivery_recipients", HEX_32, "byte 1: no SHA-256 fingerprint"},
        {"", "delivery_recipients", HEX_32 HEX_32 "00", "byte 1: no SHA-256 fingerprint"},
        {"", "delivery_ca", "rubbish", "no certificate in PEM form"},
        {"", "delivery_ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "certificate 1 does not decode"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char why[256] = "";
        print_message("  %s = %s\n", ROWS[i].name, ROWS[i].value);
        assert_int_equal(judge(ROWS[i].system, ROWS[i].name, ROWS[i].value, why, sizeof why), -1);
        if (strstr(why, ROWS[i].why) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, ROWS[i].why);
    }
}

static void a_setting_is_found_where_it_belongs_only(void **state)
{
    (void)state;
    struct uuid widevine, irdeto;
    assert_int_equal(uuid_parse(WIDEVINE, &widevine), 0);
    assert_int_equal(uuid_parse(IRDETO, &irdeto), 0);
    assert_non_null(tenant_option_find(&widevine, "provider"));
    assert_null(tenant_option_find(NULL, "provider"));
    assert_null(tenant_option_find(&irdeto, "provider"));
    assert_null(tenant_option_find(&widevine, "pssh"));
    assert_null(tenant_option_find(&widevine, "versions"));
    assert_non_null(tenant_option_find(NULL, "versions"));
}

/* A default and an example that would be refused would be a lie, and the defaults of the table are
 * those that a tenant without settings gets. */
static void the_table_keeps_its_own_rules(void **state)
{
    (void)state;
    size_t count;
    char why[256] = "";
    const struct tenant_option *options = tenant_options(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tenant_option *o = &options[i];
        print_message("  %s (%s)\n", o->name, o->systems);
        assert_true(strncmp(o->example, "--file", 6) == 0 ||
                    tenant_option_check(o, o->example, why, sizeof why) == 0);
        if (o->initial == NULL)
            continue;
        assert_int_equal(tenant_option_check(o, o->initial, why, sizeof why), 0);
        if (o->systems[0] == '\0' || strcmp(o->name, "hls_keyformatversions") == 0)
            continue;
        struct drm_settings usual = DRM_DEFAULT_SETTINGS;
        tenant_option_store(o, o->initial, &usual);
        const char *text = NULL, *expected = NULL;
        if (o->type == TENANT_TEXT) {
            memcpy(&text, (const char *)&usual + o->offset, sizeof text);
            memcpy(&expected, (const char *)&DRM_DEFAULT_SETTINGS + o->offset, sizeof expected);
            assert_string_equal(text, expected);
        } else {
            assert_memory_equal(&usual, &DRM_DEFAULT_SETTINGS, sizeof usual);
        }
    }
}

static int read_one(struct tenant_config *c, const char *system, const char *name,
                    const char *value, struct failure *f)
{
    const struct keystore_setting s = {.system = system, .name = name, .value = value};
    const struct keystore_client client = {.tenant = "t", .settings = &s, .setting_count = 1};
    return tenant_config_read(c, &client, f);
}

static void settings_of_the_database_are_judged_again(void **state)
{
    (void)state;
    static const struct {
        const char *system, *name, *value;
    } ROWS[] = {
        {"", "no_such_setting", "1"},
        {"", "max_keys", "many"},
        {WIDEVINE, "la_url", "https://a/"},
        {"rubbish", "la_url", "https://a/"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct tenant_config c;
        struct failure f = {0};
        print_message("  %s\n", ROWS[i].name);
        assert_int_equal(read_one(&c, ROWS[i].system, ROWS[i].name, ROWS[i].value, &f), -1);
        assert_int_equal(f.status, 500);
        assert_non_null(strstr(f.cause, ROWS[i].name));
        tenant_config_free(&c);
    }
}

static void systems_are_found_as_the_tenant_has_them(void **state)
{
    (void)state;
    struct tenant_config c;
    struct failure f = {0};
    struct uuid widevine, irdeto;
    const struct drm_settings *settings;
    assert_int_equal(uuid_parse(WIDEVINE, &widevine), 0);
    assert_int_equal(uuid_parse(IRDETO, &irdeto), 0);
    tenant_config_init(&c);
    assert_ptr_equal(tenant_system(&c, &widevine, SPEKE_V2_0, &settings),
                     drm_find_by_name("widevine"));
    assert_null(tenant_system(&c, &irdeto, SPEKE_V2_0, &settings));
    tenant_config_free(&c);
    /* Robustness alone is no template. */
    assert_int_equal(read_one(&c, IRDETO, "robustness", "X", &f), 0);
    assert_null(tenant_system(&c, &irdeto, SPEKE_V2_0, &settings));
    tenant_config_free(&c);
    assert_int_equal(read_one(&c, IRDETO, "pssh", "{kid}", &f), 0);
    const struct drm_system *system = tenant_system(&c, &irdeto, SPEKE_V2_0, &settings);
    assert_ptr_equal(system, drm_from_templates());
    assert_string_equal(settings->pssh, "{kid}");
    assert_true(tenant_scheme_fits(system, settings, SCHEME_CENC));
    assert_true(tenant_scheme_fits(system, settings, SCHEME_CBCS));
    assert_false(tenant_scheme_fits(system, settings, SCHEME_CBC1));
    tenant_config_free(&c);
    assert_int_equal(read_one(&c, IRDETO, "schemes", "cbc1 SAMPLE-AES", &f), 0);
    assert_true(tenant_scheme_fits(system, &c.others[0].settings, SCHEME_CBC1));
    assert_true(tenant_scheme_fits(system, &c.others[0].settings, SCHEME_HLS_SAMPLE_AES));
    assert_false(tenant_scheme_fits(system, &c.others[0].settings, SCHEME_CENC));
    assert_false(tenant_scheme_fits(system, &c.others[0].settings, SCHEME_HLS_SAMPLE_AES_CTR));
    tenant_config_free(&c);
    assert_int_equal(read_one(&c, "", "systems", "playready " IRDETO, &f), 0);
    assert_null(tenant_system(&c, &widevine, SPEKE_V2_0, &settings));
    tenant_config_free(&c);
}

/* A template that names the box needs one; the database may have been edited past spekectl. */
static void templates_of_a_box_that_is_not_there(void **state)
{
    (void)state;
    static const struct {
        struct drm_settings settings;
        const char *why; /* NULL: they go together */
    } ROWS[] = {
        {{.hls_uri = "a:{kid}{pssh}"}, "hls_uri, byte 8: {pssh}"},
        {{.content_protection = "<a>{{</a>\n<b>{pssh}</b>"}, "content_protection, byte 14: {pssh}"},
        {{.content_protection = "<a>{{pssh}}</a>", .hls_uri = "a:{kid}"}, NULL},
        {{.content_protection = "<a>{pssh}</a>", .hls_uri = "a:{pssh}", .pssh = "{kid}"}, NULL},
        {{.pssh = "{kid}"}, NULL},
        {{.hls_uri = NULL}, NULL},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char why[256] = "";
        const int result = tenant_templates_check(&ROWS[i].settings, why, sizeof why);
        assert_int_equal(result, ROWS[i].why == NULL ? 0 : -1);
        if (ROWS[i].why != NULL && strstr(why, ROWS[i].why) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, ROWS[i].why);
    }
    struct tenant_config c;
    struct failure f = {0};
    struct uuid irdeto;
    const struct drm_settings *settings;
    assert_int_equal(uuid_parse(IRDETO, &irdeto), 0);
    assert_int_equal(read_one(&c, IRDETO, "hls_uri", "a:{pssh}", &f), 0);
    assert_null(tenant_system(&c, &irdeto, SPEKE_V2_0, &settings));
    tenant_config_free(&c);
}

static void the_cache_keeps_a_generation_and_no_older_one(void **state)
{
    (void)state;
    struct tenant_cache cache = {0};
    struct failure f = {0};
    struct keystore_setting s = {.system = "", .name = "max_keys", .value = "3"};
    struct keystore_client client = {
        .tenant = "a", .settings = &s, .setting_count = 1, .generation = 1};
    const struct tenant_config *first = tenant_cache_get(&cache, &client, &f);
    assert_int_equal(first->max_keys, 3);
    s.value = "4";
    assert_ptr_equal(tenant_cache_get(&cache, &client, &f), first);
    assert_int_equal(first->max_keys, 3);
    client.generation = 2;
    assert_int_equal(tenant_cache_get(&cache, &client, &f)->max_keys, 4);
    client.generation = 3;
    s.value = "no number";
    assert_null(tenant_cache_get(&cache, &client, &f));
    assert_int_equal(f.status, 500);
    s.value = "5";
    char name[2] = "a";
    for (name[0] = 'a'; name[0] <= 'z'; name[0]++) {
        client.tenant = name;
        assert_int_equal(tenant_cache_get(&cache, &client, &f)->max_keys, 5);
    }
    tenant_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values_pass),
        cmocka_unit_test(bad_values_are_refused_with_the_place),
        cmocka_unit_test(a_setting_is_found_where_it_belongs_only),
        cmocka_unit_test(the_table_keeps_its_own_rules),
        cmocka_unit_test(settings_of_the_database_are_judged_again),
        cmocka_unit_test(systems_are_found_as_the_tenant_has_them),
        cmocka_unit_test(templates_of_a_box_that_is_not_there),
        cmocka_unit_test(the_cache_keeps_a_generation_and_no_older_one),
    };
    cpix_setup();
    return cmocka_run_group_tests_name("exchange tenant", tests, NULL, NULL);
}
