/* SPDX-License-Identifier: Apache-2.0 */
/* Which placeholders an exchange fills, keeps empty and leaves out. What the values are is the
 * drm room's to test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "base/settings.h"
#include "cpix/cpix.h"
#include "exchange/signal.h"
#include "exchange/tenant.h"
#include "keystore/keystore.h"

/* Last, since its macro fail() would rewrite the declaration in base/failure.h. */
#include <cmocka.h>

enum { ALL_FIELDS = 9 };

static const char WIDEVINE[] = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
static const char PLAYREADY[] = "9a04f079-9840-4286-ab92-e65be0885f95";
static const char FAIRPLAY[] = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2";
static const char CLEAR_KEY[] = "3ea8778f-7742-4bf9-b18b-e834b2acbd47";
static const char AES_128_V1[] = "81376844-f976-481e-a84e-cc25d39b0b33";

/* A document with one key and one system that asks for everything there is. */
struct fixture {
    struct arena arena;
    struct settings settings;
    struct tenant_config config;
    struct cpix_document doc;
    struct cpix_content_key key;
    struct cpix_drm_system system;
    struct cpix_placeholder asked[ALL_FIELDS];
    struct keystore_slot slot;
    unsigned char key_bytes[KEYSTORE_KEY_BYTES];
};

static int set_up(void **state)
{
    static struct fixture x;
    memset(&x, 0, sizeof x);
    arena_init(&x.arena, 1 << 20);
    settings_defaults(&x.settings);
    tenant_config_init(&x.config);
    memset(x.key_bytes, 0x5a, sizeof x.key_bytes);
    memset(x.slot.iv, 0xa5, sizeof x.slot.iv);
    x.slot.key = x.key_bytes;
    *state = &x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    tenant_config_free(&x->config);
    arena_free(&x->arena);
    return 0;
}

static void ask_for_everything(struct fixture *x)
{
    static const enum cpix_field FIELDS[ALL_FIELDS] = {
        CPIX_PSSH,
        CPIX_CONTENT_PROTECTION_DATA,
        CPIX_HLS_SIGNALING_DATA,
        CPIX_HLS_SIGNALING_DATA,
        CPIX_SMOOTH_HEADER,
        CPIX_URI_EXT_X_KEY,
        CPIX_SPEKE_KEY_FORMAT,
        CPIX_SPEKE_KEY_FORMAT_VERSIONS,
        CPIX_SPEKE_PROTECTION_HEADER,
    };
    for (size_t i = 0; i < ALL_FIELDS; i++)
        x->asked[i] = (struct cpix_placeholder){.field = FIELDS[i], .received = ""};
    x->asked[2].playlist = "media";
    x->asked[3].playlist = "master";
}

static void signal_one(struct fixture *x, enum speke_version version, const char *system_id,
                       enum scheme scheme)
{
    struct failure f = {0};
    ask_for_everything(x);
    x->key = (struct cpix_content_key){.scheme = scheme, .key = x->key_bytes};
    x->key.explicit_iv = "paWlpaWlpaWlpaWlpaWlpQ==";
    assert_int_equal(uuid_parse("5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506", &x->key.kid), 0);
    x->system = (struct cpix_drm_system){
        .kid = x->key.kid, .placeholders = x->asked, .placeholder_count = ALL_FIELDS};
    assert_int_equal(uuid_parse(system_id, &x->system.system_id), 0);
    x->doc = (struct cpix_document){.version = version,
                                    .id = "movie-7781",
                                    .content_id = "movie-7781",
                                    .keys = &x->key,
                                    .key_count = 1,
                                    .systems = &x->system,
                                    .system_count = 1};
    const int result = signal_systems(&x->doc, &x->slot, &x->settings, &x->config,
                                      "https://keys.example/speke", &x->arena, &f);
    if (result != 0)
        fail_msg("%s: %s", system_id, f.cause);
}

/* One letter a placeholder in the order above: V a value, E empty, - left out. */
static void assert_filled(const struct fixture *x, const char *expected)
{
    char seen[ALL_FIELDS + 1] = "";
    for (size_t i = 0; i < ALL_FIELDS; i++) {
        const char *value = x->asked[i].value;
        seen[i] = value == NULL ? '-' : value[0] == '\0' ? 'E' : 'V';
    }
    assert_string_equal(seen, expected);
}

static void test_v2_systems_get_what_they_need_and_nothing_of_v1(void **state)
{
    struct fixture *x = *state;
    signal_one(x, SPEKE_V2_0, WIDEVINE, SCHEME_CBCS);
    assert_filled(x, "VVVV-----");
    signal_one(x, SPEKE_V2_0, PLAYREADY, SCHEME_CENC);
    assert_filled(x, "VVVVV----");
    signal_one(x, SPEKE_V2_0, FAIRPLAY, SCHEME_CBCS);
    assert_filled(x, "E-VV-----");
    signal_one(x, SPEKE_V2_0, CLEAR_KEY, SCHEME_CBC1);
    assert_filled(x, "E-VV-----");
}

static void test_v1_systems_get_no_empty_element(void **state)
{
    struct fixture *x = *state;
    signal_one(x, SPEKE_V1, AES_128_V1, SCHEME_NONE);
    assert_filled(x, "-----VVV-");
    signal_one(x, SPEKE_V1, FAIRPLAY, SCHEME_NONE);
    assert_filled(x, "-----VVV-");
    signal_one(x, SPEKE_V1, WIDEVINE, SCHEME_NONE);
    assert_filled(x, "VV-------");
    signal_one(x, SPEKE_V1, PLAYREADY, SCHEME_NONE);
    assert_filled(x, "VV------V");
}

static void decode(const char *text, char *out, size_t size)
{
    size_t len;
    assert_non_null(text);
    assert_int_equal(base64_decode(text, strlen(text), (unsigned char *)out, size - 1, &len), 0);
    out[len] = '\0';
}

static void test_playlist_words_choose_the_tag(void **state)
{
    struct fixture *x = *state;
    char line[1024];
    signal_one(x, SPEKE_V2_1, WIDEVINE, SCHEME_CBCS);
    decode(x->asked[2].value, line, sizeof line);
    assert_memory_equal(line, "#EXT-X-KEY:", 11);
    decode(x->asked[3].value, line, sizeof line);
    assert_memory_equal(line, "#EXT-X-SESSION-KEY:", 19);
}

static void test_key_url_is_the_setting_or_next_to_the_request(void **state)
{
    struct fixture *x = *state;
    char line[1024];
    signal_one(x, SPEKE_V2_0, CLEAR_KEY, SCHEME_CBC1);
    decode(x->asked[2].value, line, sizeof line);
    assert_non_null(strstr(line, "URI=\"https://keys.example/speke/client/movie-7781/"
                                 "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506\""));
    memcpy(x->settings.key_url, "https://cdn.example/k", sizeof "https://cdn.example/k");
    signal_one(x, SPEKE_V2_0, CLEAR_KEY, SCHEME_CBC1);
    decode(x->asked[2].value, line, sizeof line);
    assert_non_null(strstr(line, "URI=\"https://cdn.example/k/movie-7781/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v2_systems_get_what_they_need_and_nothing_of_v1,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v1_systems_get_no_empty_element, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_playlist_words_choose_the_tag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_url_is_the_setting_or_next_to_the_request, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("exchange signal", tests, NULL, NULL);
}
