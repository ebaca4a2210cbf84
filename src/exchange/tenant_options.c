/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/tenant_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/uuid.h"
#include "drm/drm.h"
#include "exchange/tenant.h"
#include "exchange/tenant_checks.h"

#define OF_SYSTEM(member) .offset = offsetof(struct drm_settings, member)
#define OF_TENANT(member) .systems = "", .offset = offsetof(struct tenant_config, member)
#define SWITCH(default_)  .type = TENANT_SWITCH, .initial = default_

enum { USUAL_TEXT = 2048, LONG_TEXT = 16384, LARGEST_VALUE = 65536 };
enum { LARGEST_QUOTA = 1000000000 };

static const struct tenant_option TABLE[] = {
    {.name = "provider",
     .systems = "widevine",
     OF_SYSTEM(widevine_provider),
     .most = 256,
     .help = "provider in the Widevine box",
     .example = "acme"},
    {.name = "policy",
     .systems = "widevine",
     OF_SYSTEM(widevine_policy),
     .most = 256,
     .help = "policy in the Widevine box",
     .example = "hd-rental"},
    {.name = "content_id",
     .systems = "widevine",
     OF_SYSTEM(widevine_content_id),
     SWITCH("off"),
     .help = "put the content id into the Widevine box",
     .example = "on"},
    {.name = "la_url",
     .systems = "playready",
     OF_SYSTEM(playready_la_url),
     .most = USUAL_TEXT,
     .check = check_url,
     .help = "licence URL (LA_URL) in the PlayReady header",
     .example = "https://lic.example.com/rightsmanager.asmx"},
    {.name = "header",
     .systems = "playready",
     OF_SYSTEM(playready_header),
     .type = TENANT_CHOICE,
     .initial = "4.0",
     .choices = "4.0 4.1 4.2 4.3",
     .help = "version of the PlayReady header for cenc; cbcs always has 4.3",
     .example = "4.2"},
    {.name = "hls_ctr_method",
     .systems = "widevine playready eme other",
     OF_SYSTEM(hls_ctr_method),
     SWITCH("off"),
     .help = "METHOD=SAMPLE-AES-CTR in HLS for cenc; else SAMPLE-AES there too",
     .example = "on"},
    {.name = "hls_keyid",
     .systems = "widevine",
     OF_SYSTEM(hls_keyid),
     SWITCH("off"),
     .help = "add KEYID=0x... to the HLS lines",
     .example = "on"},
    {.name = "hls_uri",
     .systems = "fairplay",
     OF_SYSTEM(fairplay_uri),
     .initial = "skd://{guide_json}",
     .most = USUAL_TEXT,
     .check = check_boxless_uri_template,
     .help = "template of URI in the HLS lines",
     .example = "skd://{kid}"},
    {.name = "hls_uri",
     .systems = "clearkey aes128",
     OF_SYSTEM(key_url),
     .initial = "{key_url}/{content_segment}/{kid}",
     .most = USUAL_TEXT,
     .check = check_boxless_uri_template,
     .help = "template of the URL from which players fetch the key",
     .example = "https://keys.example.com/{kid_hex}"},
    {.name = "licence",
     .systems = "eme",
     OF_SYSTEM(eme_licence),
     SWITCH("off"),
     .help = "answer for the system: players fetch Clear Key licences from the player's door",
     .example = "on"},
    {.name = "la_url",
     .systems = "eme",
     OF_SYSTEM(eme_la_url),
     .initial = "{clearkey_url}/{content_segment}",
     .most = USUAL_TEXT,
     .check = check_uri_template,
     .help = "template of the URL from which players fetch the licence (dashif:Laurl)",
     .example = "https://lic.example.com/ck"},
    {.name = "hls_iv",
     .systems = "clearkey",
     OF_SYSTEM(hls_iv),
     SWITCH("off"),
     .help = "add IV=0x... to the HLS lines; else a segment's number is its IV",
     .example = "on"},
    {.name = "pssh",
     .systems = "other",
     OF_SYSTEM(pssh),
     .most = LONG_TEXT,
     .check = check_data_template,
     .help = "template of the data in the PSSH box",
     .example = "{{\"kid\":\"{kid}\",\"content\":{content_id_json}}}"},
    {.name = "pssh_kid",
     .systems = "other",
     OF_SYSTEM(pssh_kid),
     SWITCH("off"),
     .help = "make the PSSH box one of version 1, which names the KID",
     .example = "on"},
    {.name = "content_protection",
     .systems = "other",
     OF_SYSTEM(content_protection),
     .most = LONG_TEXT,
     .check = check_xml_template,
     .help = "template of ContentProtectionData; without it a cenc:pssh with the box",
     .example = "<cenc:pssh xmlns:cenc=\"urn:mpeg:cenc:2013\">{pssh}</cenc:pssh>"},
    {.name = "hls_uri",
     .systems = "other",
     OF_SYSTEM(hls_uri),
     .most = USUAL_TEXT,
     .check = check_uri_template,
     .help = "template of URI in the HLS lines; without it there are none",
     .example = "data:text/plain;base64,{pssh}"},
    {.name = "schemes",
     .systems = "other",
     OF_SYSTEM(schemes),
     .type = TENANT_WORDS,
     .initial = "cenc cbcs",
     .choices = "- cenc cbc1 cens cbcs AES-128 SAMPLE-AES SAMPLE-AES-CTR",
     .help = "values of commonEncryptionScheme that the system works with",
     .example = "cenc"},
    {.name = "hls_keyformat",
     .systems = "widevine playready fairplay clearkey aes128 eme other",
     OF_SYSTEM(hls_keyformat),
     .most = 256,
     .check = check_quotable,
     .help = "KEYFORMAT; without it the system's own, for others urn:uuid: and the system ID",
     .example = "identity"},
    {.name = "hls_keyformatversions",
     .systems = "widevine playready fairplay clearkey aes128 eme other",
     OF_SYSTEM(hls_keyformatversions),
     .initial = "1",
     .most = 64,
     .check = check_versions,
     .help = "KEYFORMATVERSIONS",
     .example = "1/2"},
    {.name = "robustness",
     .systems = "widevine playready common other",
     OF_SYSTEM(robustness),
     .most = 256,
     .help = "ContentProtectionData@robustness in SPEKE v2.1",
     .example = "HW_SECURE_ALL"},
    {.name = "hls_allowed_cpc",
     .systems = "widevine playready fairplay clearkey eme other",
     OF_SYSTEM(hls_allowed_cpc),
     .most = USUAL_TEXT,
     .check = check_allowed_cpc,
     .help = "DRMSystem@HLSAllowedCPC in SPEKE v2.1",
     .example = "com.apple.streamingkeydelivery:AppleMain/Main"},
    {.name = "hdcp_level",
     OF_TENANT(hdcp_level),
     .most = 16,
     .choices = "NONE TYPE-0 TYPE-1",
     .help = "HDCPData@HLSHDCPLevel of every key in SPEKE v2.1",
     .example = "TYPE-1"},
    {.name = "output_protection",
     OF_TENANT(output_protection),
     .most = LONG_TEXT,
     .check = check_output_protection,
     .help = "XML element OutputProtection for HDCPOutputProtectionData in SPEKE v2.1",
     .example = "<OutputProtection xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                "schemeIdUri=\"urn:mpeg:dash:output-protection:hdcp:2020\" value=\"2.2\"/>"},
    {.name = "explicit_iv",
     OF_TENANT(explicit_iv),
     .type = TENANT_CHOICE,
     .initial = "always",
     .choices = "always cbc needed",
     .help = "explicitIV in SPEKE v2.x where the request has none: always, not with cenc and cens, "
             "or for FairPlay alone",
     .example = "cbc"},
    {.name = "player_url",
     OF_TENANT(player_url),
     .most = USUAL_TEXT,
     .check = check_url,
     .help = "URL of the player's door, below which {key_url} and {clearkey_url} are; without it "
             "that of the setting player_url",
     .example = "https://keys.example.com/player"},
    {.name = "cors",
     .family = TENANT_POLICY,
     OF_TENANT(cors),
     .initial = "*",
     .most = USUAL_TEXT,
     .check = check_origins,
     .help = "web pages whose players may read keys: * for all, none, or origins, which may send "
             "cookies too",
     .example = "https://www.example.com https://tv.example.com"},
    {.name = "free_content",
     .family = TENANT_POLICY,
     OF_TENANT(free_content),
     .most = LONG_TEXT,
     .help =
         "contents whose keys players get without a token: content ids, a beginning and *, or * "
         "for all",
     .example = "trailer-*"},
    {.name = "token_leeway",
     .family = TENANT_POLICY,
     OF_TENANT(token_leeway),
     .type = TENANT_NUMBER,
     .initial = "30",
     .most = 3600,
     .help = "seconds by which the clock of who signs tokens may differ",
     .example = "5"},
    {.name = "versions",
     .family = TENANT_POLICY,
     OF_TENANT(versions),
     .type = TENANT_WORDS,
     .initial = "1.0 2.0 2.1",
     .choices = "1.0 2.0 2.1",
     .help = "SPEKE versions that are served",
     .example = "2.0 2.1"},
    {.name = "systems",
     .family = TENANT_POLICY,
     OF_TENANT(systems_text),
     .most = USUAL_TEXT,
     .check = check_systems,
     .help = "DRM systems that are served, by name or system ID; without it all",
     .example = "widevine playready"},
    {.name = "fetch_tracks",
     .family = TENANT_POLICY,
     OF_TENANT(fetch_tracks),
     .most = USUAL_TEXT,
     .check = check_tracks,
     .help = "tracks that get a key each when a content without keys is fetched; without it none",
     .example = "SD HD AUDIO"},
    {.name = "fetch_scheme",
     .family = TENANT_POLICY,
     OF_TENANT(fetch_scheme),
     .type = TENANT_CHOICE,
     .initial = "cenc",
     .choices = "cenc cbcs",
     .help = "encryption scheme of these keys",
     .example = "cbcs"},
    {.name = "fetch_systems",
     .family = TENANT_POLICY,
     OF_TENANT(fetch_systems_text),
     .initial = "widevine playready fairplay",
     .most = USUAL_TEXT,
     .check = check_systems,
     .help = "DRM systems that fetched keys are signalled for, by name or system ID",
     .example = "widevine playready"},
    {.name = "content_ids",
     .family = TENANT_POLICY,
     OF_TENANT(content_ids),
     .most = USUAL_TEXT,
     .check = check_patterns,
     .help = "patterns of the content ids that are served: * for any characters, ? for one, \\ "
             "before one of these; without it all",
     .example = "acme-live-* acme-vod-????"},
    {.name = "read_only",
     .family = TENANT_POLICY,
     OF_TENANT(read_only),
     SWITCH("off"),
     .help = "give out keys that exist and make none",
     .example = "on"},
    {.name = "keys_per_minute",
     .family = TENANT_POLICY,
     OF_TENANT(keys_per_minute),
     .type = TENANT_NUMBER,
     .initial = "0",
     .most = LARGEST_QUOTA,
     .help = "most keys that are given out in a minute; 0: any number",
     .example = "6000"},
    {.name = "new_keys_per_minute",
     .family = TENANT_POLICY,
     OF_TENANT(new_keys_per_minute),
     .type = TENANT_NUMBER,
     .initial = "0",
     .most = LARGEST_QUOTA,
     .help = "most keys that are made in a minute; 0: any number",
     .example = "600"},
    {.name = "keys_total",
     .family = TENANT_POLICY,
     OF_TENANT(keys_total),
     .type = TENANT_NUMBER,
     .initial = "0",
     .most = LARGEST_QUOTA,
     .help = "most keys that there may be, revoked and destroyed ones included; 0: any number",
     .example = "100000"},
    {.name = "max_keys",
     .family = TENANT_POLICY,
     OF_TENANT(max_keys),
     .type = TENANT_NUMBER,
     .initial = "0",
     .most = 2000,
     .help = "most keys in one contract; 0: as many as the service takes",
     .example = "8"},
    {.name = "refuse_all",
     .family = TENANT_POLICY,
     OF_TENANT(refuse_all),
     SWITCH("off"),
     .help = "refuse one key for all audio and video (intendedTrackType ALL)",
     .example = "on"},
    {.name = "refuse_audio_with_uhd",
     .family = TENANT_POLICY,
     OF_TENANT(refuse_audio_with_uhd),
     SWITCH("off"),
     .help = "refuse one key for audio and for video above 1920x1080",
     .example = "on"},
    {.name = "refuse_mixed_uhd",
     .family = TENANT_POLICY,
     OF_TENANT(refuse_mixed_uhd),
     SWITCH("off"),
     .help = "refuse one key for video above 1920x1080 and for smaller video",
     .example = "on"},
    {.name = "strict_cardinality",
     .family = TENANT_POLICY,
     OF_TENANT(strict_cardinality),
     SWITCH("off"),
     .help =
         "refuse a track type of several parts (SD+HD1) with one filter, as AWS presets have it",
     .example = "on"},
    {.name = "allow_unsupported_filters",
     .family = TENANT_POLICY,
     OF_TENANT(allow_unsupported_filters),
     SWITCH("off"),
     .help = "let BitrateFilter and wcg pass and echo them; else they are malformed",
     .example = "on"},
    {.name = "kid_override",
     .family = TENANT_POLICY,
     OF_TENANT(kid_override),
     SWITCH("off"),
     .help = "answer with KIDs that are computed from content id, track type and period",
     .example = "on"},
    {.name = "delivery",
     .family = TENANT_POLICY,
     OF_TENANT(delivery),
     .type = TENANT_CHOICE,
     .initial = "optional",
     .choices = "optional required",
     .help = "required: keys leave encrypted for a recipient's certificate or not at all",
     .example = "required"},
    {.name = "delivery_recipients",
     .family = TENANT_POLICY,
     OF_TENANT(recipients_text),
     .most = LONG_TEXT,
     .check = check_fingerprints,
     .help = "SHA-256 fingerprints of the only certificates that may receive encrypted keys",
     .example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    {.name = "delivery_ca",
     .family = TENANT_POLICY,
     OF_TENANT(authorities_text),
     .most = LARGEST_VALUE,
     .check = check_authorities,
     .help = "PEM certificates of the CAs whose certificates alone may receive, besides those of "
             "delivery_recipients",
     .example = "--file ca.pem"},
    {.name = "delivery_min_rsa",
     .family = TENANT_POLICY,
     OF_TENANT(min_rsa_bits),
     .type = TENANT_NUMBER,
     .initial = "2048",
     .least = 2048,
     .most = 8192,
     .help = "least bits of a recipient's RSA key",
     .example = "3072"},
    {.name = "delivery_validity",
     .family = TENANT_POLICY,
     OF_TENANT(check_validity),
     SWITCH("off"),
     .help = "refuse recipients' certificates that have expired or are not valid yet",
     .example = "on"},
    {.name = "delivery_mac",
     .family = TENANT_POLICY,
     OF_TENANT(mac_shape),
     .type = TENANT_CHOICE,
     .initial = "speke",
     .choices = "speke library pskc",
     .help = "shape of MACMethod: SPEKE's (Key/EncryptedValue), the one that CPIX libraries read "
             "(Key), or the one that the CPIX schema names (MACKey)",
     .example = "library"},
};

enum { OPTION_COUNT = sizeof TABLE / sizeof TABLE[0] };

const struct tenant_option *tenant_options(size_t *count)
{
    *count = OPTION_COUNT;
    return TABLE;
}

/* --- Words ---------------------------------------------------------------------------------- */

static const char BETWEEN[] = " ,\t\r\n";

size_t tenant_next_word(const char **p, const char **word)
{
    *p += strspn(*p, BETWEEN);
    *word = *p;
    const size_t n = strcspn(*p, BETWEEN);
    *p += n;
    return n;
}

/* The place of n characters among the words of a list, -1 when they are none. */
static int place_of(const char *list, const char *text, size_t n)
{
    const char *word;
    size_t length;
    for (int i = 0; (length = tenant_next_word(&list, &word)) > 0; i++) {
        if (length == n && memcmp(word, text, n) == 0)
            return i;
    }
    return -1;
}

static bool is_word_of(const char *list, const char *word)
{
    return place_of(list, word, strlen(word)) >= 0;
}

int tenant_system_parse(const char *text, size_t n, struct uuid *out)
{
    char copy[UUID_TEXT_SIZE];
    if (n >= sizeof copy)
        return -1;
    memcpy(copy, text, n);
    copy[n] = '\0';
    const struct drm_system *system = drm_find_by_name(copy);
    if (system == NULL)
        return uuid_parse(copy, out);
    *out = *drm_id(system);
    return 0;
}

/* --- Finding -------------------------------------------------------------------------------- */

/* The short name of a system, whatever the versions that know it. */
static const char *short_name(const struct uuid *id)
{
    for (size_t i = 0; i < DRM_SYSTEMS; i++) {
        if (uuid_equal(drm_id(drm_at(i)), id))
            return drm_name(drm_at(i));
    }
    return drm_name(drm_from_templates());
}

const struct tenant_option *tenant_option_find(const struct uuid *system, const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct tenant_option *o = &TABLE[i];
        if (strcmp(o->name, name) != 0)
            continue;
        if (system == NULL ? o->systems[0] == '\0' : is_word_of(o->systems, short_name(system)))
            return o;
    }
    return NULL;
}

/* --- Values --------------------------------------------------------------------------------- */

static int wrong(char *why, size_t size, const char *text)
{
    (void)snprintf(why, size, "%s", text);
    return -1;
}

/* Text that is to stand in XML and in playlists. Templates and XML may have several lines. */
static int check_text(const struct tenant_option *o, const char *value, char *why, size_t size)
{
    const size_t n = strlen(value);
    if (n > (size_t)o->most) {
        (void)snprintf(why, size, "longer than %ld bytes", o->most);
        return -1;
    }
    for (size_t i = 0; i < n;) {
        const size_t length = utf8_length(value + i, n - i);
        const bool line = o->most >= LONG_TEXT && strchr("\t\r\n", value[i]) != NULL;
        if (length == 0 || (utf8_is_control(value + i, length) && !line)) {
            (void)snprintf(why, size, "byte %zu: %s", i + 1,
                           length == 0 ? "no UTF-8" : "a control character");
            return -1;
        }
        if (length == 3 && (memcmp(value + i, "\xef\xbf\xbe", 3) == 0 ||
                            memcmp(value + i, "\xef\xbf\xbf", 3) == 0)) {
            (void)snprintf(why, size, "byte %zu: a character that XML does not allow", i + 1);
            return -1;
        }
        i += length;
    }
    if (n == 0)
        return wrong(why, size, "empty; \"unset\" brings the default back");
    if (o->choices != NULL && !is_word_of(o->choices, value)) {
        (void)snprintf(why, size, "one of: %s", o->choices);
        return -1;
    }
    return o->check == NULL ? 0 : o->check(value, why, size);
}

static int read_number(const struct tenant_option *o, const char *value, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(value, &end, 10);
    return errno == 0 && end != value && *end == '\0' && *out >= o->least && *out <= o->most ? 0
                                                                                             : -1;
}

/* The bits of a list of words; -1 when one is not among the choices or there is none. */
static int read_words(const struct tenant_option *o, const char *value, unsigned *bits)
{
    const char *word;
    size_t n;
    *bits = 0;
    while ((n = tenant_next_word(&value, &word)) > 0) {
        const int place = place_of(o->choices, word, n);
        if (place < 0 || word[0] == '-')
            return -1;
        *bits |= 1U << place;
    }
    return *bits != 0 ? 0 : -1;
}

int tenant_option_check(const struct tenant_option *o, const char *value, char *why, size_t size)
{
    long number;
    unsigned bits;
    switch (o->type) {
    case TENANT_TEXT:
        return check_text(o, value, why, size);
    case TENANT_SWITCH:
        return is_word_of("on off", value) ? 0 : wrong(why, size, "on or off");
    case TENANT_NUMBER:
        if (read_number(o, value, &number) == 0)
            return 0;
        (void)snprintf(why, size, "a number from %ld to %ld", o->least, o->most);
        return -1;
    case TENANT_CHOICE:
        if (is_word_of(o->choices, value))
            return 0;
        (void)snprintf(why, size, "one of: %s", o->choices);
        return -1;
    case TENANT_WORDS:
        if (read_words(o, value, &bits) == 0)
            return 0;
        (void)snprintf(why, size, "one or more of: %s", o->choices + strspn(o->choices, "- "));
        return -1;
    }
    return wrong(why, size, "no such type");
}

void tenant_option_store(const struct tenant_option *o, const char *value, void *base)
{
    void *const member = (char *)base + o->offset;
    switch (o->type) {
    case TENANT_TEXT:
        *(const char **)member = value;
        break;
    case TENANT_SWITCH:
        *(bool *)member = strcmp(value, "on") == 0;
        break;
    case TENANT_NUMBER:
        (void)read_number(o, value, member); /* it passed the check */
        break;
    case TENANT_CHOICE:
        *(unsigned *)member = (unsigned)place_of(o->choices, value, strlen(value));
        break;
    case TENANT_WORDS:
        (void)read_words(o, value, member); /* likewise */
        break;
    }
}

/* --- Help ----------------------------------------------------------------------------------- */

static void print_kind(const struct tenant_option *o, FILE *out)
{
    switch (o->type) {
    case TENANT_SWITCH:
        (void)fprintf(out, "on or off");
        break;
    case TENANT_NUMBER:
        (void)fprintf(out, "%ld to %ld", o->least, o->most);
        break;
    case TENANT_WORDS:
        (void)fprintf(out, "one or more of %s", o->choices + strspn(o->choices, "- "));
        break;
    default:
        if (o->choices != NULL)
            (void)fprintf(out, "one of %s", o->choices);
        else
            (void)fprintf(out, "text of at most %ld bytes", o->most);
    }
}

void tenant_options_help(enum tenant_family family, FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct tenant_option *o = &TABLE[i];
        if (o->family != family)
            continue;
        (void)fprintf(out, "  %s", o->name);
        if (family == TENANT_DRM)
            (void)fprintf(out, "  (%s)", o->systems[0] != '\0' ? o->systems : "all");
        (void)fprintf(out, "\n      %s\n      ", o->help);
        print_kind(o, out);
        (void)fprintf(out, "; default %s%s%s\n      example: %s\n",
                      o->initial == NULL ? "none" : "\"", o->initial == NULL ? "" : o->initial,
                      o->initial == NULL ? "" : "\"", o->example);
    }
}
