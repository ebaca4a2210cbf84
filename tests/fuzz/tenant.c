/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants' settings: what may be set can be served, and nothing in it breaks an answer. The input
 * is lines "SYSTEM NAME=VALUE", SYSTEM "-" for the tenant as a whole. */
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "base/settings.h"
#include "base/utf8.h"
#include "cpix/cpix.h"
#include "cpix/fragment.h"
#include "exchange/signal.h"
#include "exchange/tenant.h"
#include "exchange/tenant_options.h"
#include "fuzz.h"
#include "keystore/keystore.h"

enum { SETTINGS_MAX = 64, LARGEST = 1 << 16, ARENA_MAX = 64 << 20, FIELDS = 8 };

struct given {
    struct keystore_setting items[SETTINGS_MAX];
    char systems[SETTINGS_MAX][UUID_TEXT_SIZE];
    size_t count;
};

/* As spekectl: judged, the last of a name counts, kept in the database's order. */
static void take_line(struct given *g, char *line)
{
    char why[256] = "";
    struct uuid id;
    char system[UUID_TEXT_SIZE] = "";
    char *name = strchr(line, ' '), *value = name != NULL ? strchr(name, '=') : NULL;
    if (value == NULL || g->count == SETTINGS_MAX)
        return;
    const bool whole = strncmp(line, "- ", 2) == 0;
    if (!whole && tenant_system_parse(line, (size_t)(name - line), &id) != 0)
        return;
    *value++ = '\0';
    name++;
    const struct tenant_option *option = tenant_option_find(whole ? NULL : &id, name);
    if (option == NULL)
        return;
    if (tenant_option_check(option, value, why, sizeof why) != 0) {
        MUST(why[0] != '\0');
        return;
    }
    if (!whole)
        uuid_format(&id, system);
    size_t i = 0;
    while (i < g->count &&
           (strcmp(g->items[i].system, system) != 0 || strcmp(g->items[i].name, name) != 0))
        i++;
    memcpy(g->systems[i], system, sizeof system);
    g->items[i] = (struct keystore_setting){
        .system = g->systems[i], .name = option->name, .value = value};
    g->count += i == g->count;
}

static int by_system_and_name(const void *a, const void *b)
{
    const struct keystore_setting *x = a, *y = b;
    const int order = strcmp(x->system, y->system);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* Base64 of a text without control characters but line ends. */
static char *decoded(const char *value)
{
    size_t n;
    const size_t size = strlen(value);
    unsigned char *bytes = malloc(size + 1);
    MUST(bytes != NULL && base64_decode(value, size, bytes, size, &n) == 0);
    MUST(utf8_valid_prefix(bytes, n) == n);
    bytes[n] = '\0';
    return (char *)bytes;
}

static void check_value(const struct cpix_placeholder *p)
{
    char why[256];
    char *text;
    if (p->value == NULL || p->value[0] == '\0')
        return;
    switch (p->field) {
    case CPIX_CONTENT_PROTECTION_DATA:
        text = decoded(p->value);
        if (cpix_fragment_check(text, NULL, why, sizeof why) != 0) {
            (void)fprintf(stderr, "%s\n%s\n", why, text);
            abort();
        }
        free(text);
        return;
    case CPIX_HLS_SIGNALING_DATA:
        text = decoded(p->value);
        MUST(strncmp(text, "#EXT-X-", 7) == 0);
        MUST(strpbrk(text, "\r\n") == NULL);
        size_t quotes = 0;
        for (const char *q = text; *q != '\0'; q++)
            quotes += *q == '"';
        MUST(quotes % 2 == 0);
        free(text);
        return;
    default:
        return;
    }
}

/* One key of one system in one version, as checked. */
static void signal_one(const struct tenant_config *config, const struct uuid *id,
                       enum speke_version version, enum scheme scheme)
{
    static const enum cpix_field ASKED[FIELDS] = {CPIX_PSSH,
                                                  CPIX_CONTENT_PROTECTION_DATA,
                                                  CPIX_HLS_SIGNALING_DATA,
                                                  CPIX_SMOOTH_HEADER,
                                                  CPIX_HLS_SIGNALING_DATA,
                                                  CPIX_URI_EXT_X_KEY,
                                                  CPIX_SPEKE_KEY_FORMAT,
                                                  CPIX_SPEKE_KEY_FORMAT_VERSIONS};
    static unsigned char key[CPIX_KEY_BYTES];
    static struct arena arena;
    static struct settings settings;
    struct cpix_placeholder asked[FIELDS] = {0};
    struct failure f = {0};
    const struct drm_settings *of_tenant;
    const struct drm_system *drm = tenant_system(config, id, version, &of_tenant);
    if (drm == NULL || !tenant_scheme_fits(drm, of_tenant, scheme))
        return;
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < FIELDS; i++)
        asked[i] = (struct cpix_placeholder){.field = ASKED[i], .received = ""};
    asked[2].playlist = "media";
    asked[4].playlist = "master";
    struct keystore_slot slot = {.kid = *id, .key = key};
    struct cpix_content_key content_key = {.kid = *id, .scheme = scheme, .key = key};
    struct cpix_drm_system system = {
        .kid = *id, .system_id = *id, .placeholders = asked, .placeholder_count = FIELDS};
    struct cpix_document doc = {.version = version,
                                .id = "caf\xc3\xa9 \"<&'> {kid}",
                                .content_id = "caf\xc3\xa9 \"<&'> {kid}",
                                .keys = &content_key,
                                .key_count = 1,
                                .systems = &system,
                                .system_count = 1};
    content_key.explicit_iv = "paWlpaWlpaWlpaWlpaWlpQ==";
    const int result = signal_systems(&doc, &slot, &settings, config, "https://keys.example/speke",
                                      &arena, &f);
    if (result != 0)
        (void)fprintf(stderr, "%s: %s\n", f.text, f.cause);
    MUST(result == 0);
    for (size_t i = 0; result == 0 && i < FIELDS; i++)
        check_value(&asked[i]);
    arena_reset(&arena);
}

static void signal_all(const struct tenant_config *config, const struct uuid *id)
{
    signal_one(config, id, SPEKE_V1, SCHEME_NONE);
    signal_one(config, id, SPEKE_V2_0, SCHEME_CENC);
    signal_one(config, id, SPEKE_V2_1, SCHEME_CBCS);
    signal_one(config, id, SPEKE_V2_1, SCHEME_HLS_AES_128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct given given;
    struct tenant_config config;
    struct failure f = {0};
    if (size > LARGEST)
        return 0;
    fuzz_setup();
    char *text = fuzz_text(data, size), *rest = NULL;
    given.count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        take_line(&given, line);
    qsort(given.items, given.count, sizeof given.items[0], by_system_and_name);
    const struct keystore_client client = {
        .tenant = "t", .settings = given.items, .setting_count = given.count, .generation = 1};
    const int result = tenant_config_read(&config, &client, &f);
    if (result != 0)
        (void)fprintf(stderr, "%s: %s\n", f.text, f.cause);
    MUST(result == 0);
    for (size_t i = 0; i < DRM_SYSTEMS; i++)
        signal_all(&config, drm_id(drm_at(i)));
    for (size_t i = 0; i < config.other_count; i++)
        signal_all(&config, &config.others[i].id);
    tenant_config_free(&config);
    free(text);
    return 0;
}
