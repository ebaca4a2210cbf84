/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "ctl/ctl.h"
#include "ctl/request.h"
#include "drm/drm.h"

static const char DEFAULT_PRESET[] = "PRESET-VIDEO-1,PRESET-AUDIO-1";
static const char DEFAULT_SYSTEMS[] = "widevine,playready,fairplay";
/* SPEKE v1 has one key and no track types. */
static const char V1_PRESET[] = "SHARED";
static const char V1_SYSTEMS[] = "widevine,playready";

enum { SHA1_BYTES = 20, PERIOD_MAX = 2147483647, NAME_MAX_BYTES = 65536 };

int speke_version_parse(const char *text, enum speke_version *out)
{
    for (enum speke_version v = SPEKE_V1; v <= SPEKE_V2_1; v++) {
        if (strcmp(text, speke_version_name(v)) != 0)
            continue;
        *out = v;
        return 0;
    }
    return -1;
}

int plan_derive_kid(const char *track_type, const char *period, const char *content_id,
                    struct uuid *out)
{
    static const struct uuid URL_NAME_SPACE = {{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
                                                0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};
    unsigned char digest[SHA1_BYTES];
    struct buf name;
    buf_init(&name, NAME_MAX_BYTES);
    buf_put(&name, URL_NAME_SPACE.bytes, UUID_BYTES);
    buf_printf(&name, "speke-fcgi:kid:%s:%s:%s", track_type, period != NULL ? period : "",
               content_id);
    int result = buf_ok(&name) &&
                         EVP_Digest(name.data, name.len, digest, NULL, EVP_sha1(), NULL) == 1
                     ? 0
                     : -1;
    buf_free(&name);
    if (result != 0)
        return -1;
    memcpy(out->bytes, digest, UUID_BYTES);
    out->bytes[6] = (uint8_t)((out->bytes[6] & 0x0f) | 0x50);
    out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3f) | 0x80);
    return 0;
}

static int random_kid(struct uuid *out)
{
    if (RAND_bytes(out->bytes, UUID_BYTES) != 1)
        return -1;
    out->bytes[6] = (uint8_t)((out->bytes[6] & 0x0f) | 0x40);
    out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3f) | 0x80);
    return 0;
}

static int choose_kids(const struct ctl_arguments *args, struct request_plan *plan)
{
    const bool given = option_given(args, "kid");
    if (given && option_nth(args, "kid", plan->key_count - 1) == NULL)
        return ctl_fail(CTL_USAGE, "--kid: this request has %zu keys, each wants its own",
                        plan->key_count);
    if (option_nth(args, "kid", plan->key_count) != NULL)
        return ctl_fail(CTL_USAGE, "--kid: this request has only %zu keys", plan->key_count);
    for (size_t i = 0; i < plan->key_count; i++) {
        int result;
        if (given)
            result = uuid_parse(option_nth(args, "kid", i), &plan->kids[i]);
        else if (option_given(args, "random-kid"))
            result = random_kid(&plan->kids[i]);
        else
            result = plan_derive_kid(plan->rules[i]->track_type, plan->period, plan->content_id,
                                     &plan->kids[i]);
        if (result != 0)
            return given ? ctl_fail(CTL_USAGE, "--kid: not a UUID: %s", option_nth(args, "kid", i))
                         : ctl_fail(CTL_FAILED, "no KID could be made");
    }
    return CTL_DONE;
}

static int add_system(struct request_plan *plan, const char *name)
{
    const struct drm_system *system = drm_find_by_name(name);
    if (system == NULL)
        return ctl_fail(CTL_USAGE, "--drm: no system \"%s\"", name);
    if (drm_find(drm_id(system), plan->version) == NULL)
        return ctl_fail(CTL_USAGE, "--drm: %s is not part of SPEKE %s%s", name,
                        speke_version_name(plan->version),
                        strcmp(name, "clearkey") == 0 ? " (aes128 is)"
                        : strcmp(name, "aes128") == 0 ? " (clearkey is)"
                                                      : "");
    for (size_t i = 0; i < plan->system_count; i++) {
        if (plan->systems[i] == system)
            return ctl_fail(CTL_USAGE, "--drm: %s twice", name);
    }
    if (plan->system_count == REQUEST_SYSTEMS_MAX)
        return ctl_fail(CTL_USAGE, "--drm: more than %d systems", REQUEST_SYSTEMS_MAX);
    plan->systems[plan->system_count++] = system;
    return CTL_DONE;
}

static int choose_systems(const char *text, struct request_plan *plan)
{
    char name[32];
    int code = CTL_DONE;
    while (code == CTL_DONE) {
        const size_t n = strcspn(text, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1),
                       text);
        code = add_system(plan, name);
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    return code;
}

static bool fits_all(const struct request_plan *plan, enum scheme scheme)
{
    for (size_t i = 0; i < plan->system_count; i++) {
        if (!drm_scheme_fits(plan->systems[i], scheme))
            return false;
    }
    return true;
}

/* Takes the scheme that was given, fit or not, so that a provider's refusal can be tried; else the
 * first that fits every system. */
static int choose_scheme(const char *given, struct request_plan *plan)
{
    static const enum scheme ORDER[] = {SCHEME_CENC, SCHEME_CBCS, SCHEME_CBC1};
    plan->scheme = SCHEME_NONE;
    if (plan->version == SPEKE_V1)
        return given == NULL ? CTL_DONE
                             : ctl_fail(CTL_USAGE, "--scheme: SPEKE 1.0 knows no schemes");
    if (given != NULL) {
        plan->scheme = scheme_parse(given, plan->version);
        if (plan->scheme == SCHEME_NONE || plan->scheme == SCHEME_UNKNOWN)
            return ctl_fail(CTL_USAGE, "--scheme: one of cenc, cbcs, cbc1, cens");
        return CTL_DONE;
    }
    for (size_t i = 0; i < sizeof ORDER / sizeof ORDER[0]; i++) {
        if (fits_all(plan, ORDER[i])) {
            plan->scheme = ORDER[i];
            return CTL_DONE;
        }
    }
    return ctl_fail(CTL_USAGE, "--drm: no encryption scheme fits these systems together");
}

static int read_period(const char *text, struct request_plan *plan)
{
    long index;
    plan->period = text;
    if (text != NULL && (option_number(text, 0, PERIOD_MAX, &index) != 0 || text[0] == '+'))
        return ctl_fail(CTL_USAGE, "--period: a number from 0 to %d", PERIOD_MAX);
    return CTL_DONE;
}

static int read_iv(const char *text, struct request_plan *plan)
{
    unsigned char iv[CPIX_IV_BYTES];
    size_t len;
    plan->iv = text;
    if (text != NULL &&
        (base64_decode(text, strlen(text), iv, sizeof iv, &len) != 0 || len != CPIX_IV_BYTES))
        return ctl_fail(CTL_USAGE, "--iv: base64 of %d bytes", CPIX_IV_BYTES);
    return CTL_DONE;
}

int plan_read(const struct ctl_arguments *args, struct request_plan *out)
{
    char why[256];
    const char *version = option_value(args, "speke");
    const char *preset = option_value(args, "preset");
    const char *systems = option_value(args, "drm");
    *out = (struct request_plan){.version = SPEKE_V2_0,
                                 .content_id = option_value(args, "content-id"),
                                 .smooth = option_given(args, "smooth")};
    if (version != NULL && speke_version_parse(version, &out->version) != 0)
        return ctl_fail(CTL_USAGE, "--speke: one of 1.0, 2.0, 2.1");
    const bool v1 = out->version == SPEKE_V1;
    if (out->content_id == NULL || out->content_id[0] == '\0')
        return ctl_fail(CTL_USAGE, "--content-id is missing");
    if (v1 && preset != NULL)
        return ctl_fail(CTL_USAGE, "--preset: SPEKE 1.0 has one key for everything");
    if (preset == NULL)
        preset = v1 ? V1_PRESET : DEFAULT_PRESET;
    if (systems == NULL)
        systems = v1 ? V1_SYSTEMS : DEFAULT_SYSTEMS;
    if (preset_parse(preset, out->rules, &out->key_count, why, sizeof why) != 0)
        return ctl_fail(CTL_USAGE, "%s", why);
    int code = choose_systems(systems, out);
    if (code == CTL_DONE)
        code = choose_scheme(option_value(args, "scheme"), out);
    if (code == CTL_DONE)
        code = read_period(option_value(args, "period"), out);
    if (code == CTL_DONE)
        code = read_iv(option_value(args, "iv"), out);
    return code == CTL_DONE ? choose_kids(args, out) : code;
}
