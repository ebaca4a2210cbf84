/* SPDX-License-Identifier: Apache-2.0 */
/* Every file of tests/vectors/drm: what goes in, and what published or independently computed
 * vectors say must come out. One file is one test. Lines:
 *   system, version, scheme, kid, key, iv, iv_text, content_id <value>
 *   set <member of struct drm_settings> <value>
 *   expect <value> absent | empty | base64 <text of the element> | length <of it>
 *   expect <value> text | hex | starts <hex> | size | sha256 <of what the base64 decodes to>
 *   expect <value> header | holds <of the XML text in a PlayReady Object>
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/failure.h"
#include "drm/drm.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */
#include <glob.h>
#include <openssl/sha.h>

enum {
    LINE_SIZE = 4096,
    VALUE_SIZE = 4096,
    MOST_FILES = 128,
    MOST_EXPECTATIONS = 32,
    ALL_FIELDS = 0xff,
    OBJECT_HEADER = 10
};

struct expectation {
    char field[32], form[16];
    char *value;
};

/* One file. Texts are from strdup(). */
struct vector {
    const char *path;
    char *system;
    struct uuid kid;
    unsigned char key[16], iv[16];
    struct drm_settings settings;
    struct drm_input in;
    struct expectation expect[MOST_EXPECTATIONS];
    size_t expect_count;
    char *owned[64];
    size_t owned_count;
};

static size_t from_hex(const char *hex, unsigned char *out, size_t size)
{
    size_t n = strlen(hex) / 2;
    assert_true(strlen(hex) % 2 == 0 && n <= size);
    for (size_t i = 0; i < n; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        char *end;
        out[i] = (unsigned char)strtoul(digits, &end, 16);
        assert_ptr_equal(end, digits + 2);
    }
    return n;
}

static char *keep(struct vector *v, const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    assert_true(v->owned_count < sizeof v->owned / sizeof v->owned[0]);
    return v->owned[v->owned_count++] = copy;
}

static enum playready_header header_version(const char *text)
{
    static const char *const VERSIONS[] = {"4.0", "4.1", "4.2", "4.3"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(VERSIONS[i], text) == 0)
            return (enum playready_header)i;
    }
    fail_msg("no header version %s", text);
    return PLAYREADY_4_0;
}

static void read_setting(struct vector *v, const char *name, const char *value)
{
    struct drm_settings *s = &v->settings;
    const bool on = strcmp(value, "on") == 0;
    const struct {
        const char *name;
        const char **text;
        bool *flag;
    } members[] = {
        {"widevine_provider", &s->widevine_provider, NULL},
        {"widevine_policy", &s->widevine_policy, NULL},
        {"widevine_content_id", NULL, &s->widevine_content_id},
        {"playready_la_url", &s->playready_la_url, NULL},
        {"fairplay_uri", &s->fairplay_uri, NULL},
        {"key_url", &s->key_url, NULL},
        {"key_url_base", &s->key_url_base, NULL},
        {"eme_la_url", &s->eme_la_url, NULL},
        {"clearkey_url_base", &s->clearkey_url_base, NULL},
        {"hls_ctr_method", NULL, &s->hls_ctr_method},
        {"hls_keyid", NULL, &s->hls_keyid},
        {"hls_iv", NULL, &s->hls_iv},
    };
    if (strcmp(name, "playready_header") == 0) {
        s->playready_header = header_version(value);
        return;
    }
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(members[i].name, name) != 0)
            continue;
        if (members[i].flag != NULL)
            *members[i].flag = on;
        else
            *members[i].text = keep(v, value);
        return;
    }
    fail_msg("%s: no setting %s", v->path, name);
}

static enum speke_version version_of(const char *text)
{
    for (enum speke_version version = SPEKE_V1; version <= SPEKE_V2_1; version++) {
        if (strcmp(speke_version_name(version), text) == 0)
            return version;
    }
    fail_msg("no SPEKE version %s", text);
    return SPEKE_V1;
}

static void read_input(struct vector *v, const char *name, const char *value)
{
    if (strcmp(name, "system") == 0) {
        v->system = keep(v, value);
    } else if (strcmp(name, "version") == 0) {
        v->in.version = version_of(value);
    } else if (strcmp(name, "scheme") == 0) {
        v->in.scheme = scheme_parse(value, SPEKE_V2_1);
        assert_int_not_equal(v->in.scheme, SCHEME_UNKNOWN);
    } else if (strcmp(name, "kid") == 0) {
        assert_int_equal(uuid_parse(value, &v->kid), 0);
        v->in.kid = &v->kid;
    } else if (strcmp(name, "key") == 0) {
        assert_int_equal(from_hex(value, v->key, sizeof v->key), 16);
        v->in.key = v->key;
    } else if (strcmp(name, "iv") == 0) {
        assert_int_equal(from_hex(value, v->iv, sizeof v->iv), 16);
        v->in.iv = v->iv;
    } else if (strcmp(name, "iv_text") == 0) {
        v->in.iv_text = keep(v, value);
    } else if (strcmp(name, "content_id") == 0) {
        v->in.content_id = keep(v, value);
    } else {
        fail_msg("%s: no input %s", v->path, name);
    }
}

static void read_expectation(struct vector *v, const char *field, const char *form_and_value)
{
    assert_true(v->expect_count < MOST_EXPECTATIONS);
    struct expectation *e = &v->expect[v->expect_count++];
    const size_t n = strcspn(form_and_value, " ");
    const char *value = form_and_value[n] == ' ' ? form_and_value + n + 1 : "";
    assert_true(snprintf(e->field, sizeof e->field, "%s", field) < (int)sizeof e->field);
    assert_true(n < sizeof e->form);
    memcpy(e->form, form_and_value, n);
    e->form[n] = '\0';
    e->value = keep(v, value);
}

/* Cuts the first word off and returns what follows it. */
static char *next_word(char *line)
{
    char *rest = line + strcspn(line, " ");
    if (*rest != '\0')
        *rest++ = '\0';
    return rest;
}

static void read_line(struct vector *v, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#')
        return;
    char *rest = next_word(line);
    if (strcmp(line, "set") == 0) {
        char *value = next_word(rest);
        read_setting(v, rest, value);
    } else if (strcmp(line, "expect") == 0) {
        char *value = next_word(rest);
        read_expectation(v, rest, value);
    } else {
        read_input(v, line, rest);
    }
}

static void read_vector(struct vector *v, const char *path)
{
    static char line[LINE_SIZE];
    *v = (struct vector){.path = path, .settings = DRM_DEFAULT_SETTINGS};
    v->in.settings = &v->settings;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        assert_non_null(strchr(line, '\n'));
        read_line(v, line);
    }
    assert_int_equal(ferror(file), 0);
    assert_int_equal(fclose(file), 0);
    if (v->system == NULL || v->in.kid == NULL || v->in.key == NULL || v->in.content_id == NULL ||
        v->expect_count == 0)
        fail_msg("%s: incomplete", path);
}

static const char *field_value(const struct vector *v, const struct drm_values *values,
                               const char *field)
{
    const struct {
        const char *name, *value;
    } all[] = {
        {"pssh", values->pssh},
        {"content_protection", values->content_protection},
        {"hls_media", values->hls_media},
        {"hls_master", values->hls_master},
        {"smooth_header", values->smooth_header},
        {"key_uri", values->key_uri},
        {"key_format", values->key_format},
        {"key_format_versions", values->key_format_versions},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].name, field) == 0)
            return all[i].value;
    }
    fail_msg("%s: no value %s", v->path, field);
    return NULL;
}

/* What is UTF-16LE in a PlayReady Object, when it is ASCII. */
static size_t object_text(const unsigned char *object, size_t n, char *out)
{
    assert_true(n > OBJECT_HEADER && n % 2 == 0);
    size_t len = 0;
    for (size_t i = OBJECT_HEADER; i < n; i += 2) {
        assert_true(object[i] < 0x80 && object[i + 1] == 0);
        out[len++] = (char)object[i];
    }
    out[len] = '\0';
    return len;
}

static void check_sha256(const unsigned char *bytes, size_t n, const char *expected)
{
    unsigned char digest[SHA256_DIGEST_LENGTH], want[SHA256_DIGEST_LENGTH];
    assert_non_null(SHA256(bytes, n, digest));
    assert_int_equal(from_hex(expected, want, sizeof want), sizeof want);
    assert_memory_equal(digest, want, sizeof digest);
}

static void check_decoded(const struct expectation *e, const char *value)
{
    static unsigned char bytes[VALUE_SIZE], want[VALUE_SIZE];
    static char text[VALUE_SIZE];
    size_t n;
    assert_int_equal(base64_decode(value, strlen(value), bytes, sizeof bytes - 1, &n), 0);
    bytes[n] = '\0';
    if (strcmp(e->form, "text") == 0) {
        assert_string_equal((const char *)bytes, e->value);
    } else if (strcmp(e->form, "size") == 0) {
        assert_int_equal(n, strtoul(e->value, NULL, 10));
    } else if (strcmp(e->form, "sha256") == 0) {
        check_sha256(bytes, n, e->value);
    } else if (strcmp(e->form, "hex") == 0 || strcmp(e->form, "starts") == 0) {
        const size_t m = from_hex(e->value, want, sizeof want);
        assert_true(e->form[0] == 's' ? m <= n : m == n);
        assert_memory_equal(bytes, want, m);
    } else if (strcmp(e->form, "header") == 0) {
        (void)object_text(bytes, n, text);
        assert_string_equal(text, e->value);
    } else if (strcmp(e->form, "holds") == 0) {
        (void)object_text(bytes, n, text);
        assert_non_null(strstr(text, e->value));
    } else {
        fail_msg("no form %s", e->form);
    }
}

static void check(const struct vector *v, const struct expectation *e, const char *value)
{
    print_message("  %s %s\n", e->field, e->form);
    if (strcmp(e->form, "absent") == 0) {
        assert_null(value);
        return;
    }
    if (value == NULL)
        fail_msg("%s: %s is absent", v->path, e->field);
    if (strcmp(e->form, "empty") == 0)
        assert_string_equal(value, "");
    else if (strcmp(e->form, "base64") == 0)
        assert_string_equal(value, e->value);
    else if (strcmp(e->form, "length") == 0)
        assert_int_equal(strlen(value), strtoul(e->value, NULL, 10));
    else
        check_decoded(e, value);
}

static void test_vector(void **state)
{
    static struct vector v;
    struct arena arena;
    struct drm_values values;
    struct failure f;
    failure_clear(&f);
    arena_init(&arena, 1 << 20);
    read_vector(&v, *state);
    const struct drm_system *system = drm_find_by_name(v.system);
    assert_non_null(system);
    assert_ptr_equal(drm_find(drm_id(system), v.in.version), system);
    assert_true(drm_scheme_fits(system, v.in.scheme));
    if (drm_signal(system, &v.in, ALL_FIELDS, &arena, &values, &f) != 0)
        fail_msg("%s: %s", v.path, f.cause);
    for (size_t i = 0; i < v.expect_count; i++)
        check(&v, &v.expect[i], field_value(&v, &values, v.expect[i].field));
    for (size_t i = 0; i < v.owned_count; i++)
        free(v.owned[i]);
    arena_free(&arena);
}

int main(void)
{
    static struct CMUnitTest tests[MOST_FILES];
    const char *root = getenv("srcdir");
    char pattern[4096];
    glob_t found;
    const int n = snprintf(pattern, sizeof pattern, "%s/tests/vectors/drm/*.vec",
                           root == NULL ? "." : root);
    if (n < 0 || (size_t)n >= sizeof pattern || glob(pattern, 0, NULL, &found) != 0 ||
        found.gl_pathc > MOST_FILES) {
        fprintf(stderr, "no vectors, or too many, as %s\n", pattern);
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        tests[i] = (struct CMUnitTest){
            .name = strrchr(found.gl_pathv[i], '/') + 1,
            .test_func = test_vector,
            .initial_state = found.gl_pathv[i],
        };
    const int failures = _cmocka_run_group_tests("drm vectors", tests, found.gl_pathc, NULL, NULL);
    globfree(&found);
    return failures;
}
