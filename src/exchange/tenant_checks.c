/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/tenant_checks.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"
#include "cpix/fragment.h"
#include "drm/template.h"
#include "drm/text.h"
#include "exchange/pattern.h"
#include "exchange/tenant_lists.h"
#include "exchange/tenant_options.h"
#include "exchange/track.h"

/* --- Addresses ------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The characters that a URI may have (RFC 3986 section 2) and "%". */
static bool is_uri_character(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~:/?#[]@!$&'()*+,;=%", c) != NULL);
}

int check_url(const char *value, char *why, size_t size)
{
    const size_t scheme = strncasecmp(value, "https://", 8) == 0  ? 8
                          : strncasecmp(value, "http://", 7) == 0 ? 7
                                                                  : 0;
    for (size_t i = 0; value[i] != '\0'; i++) {
        if (is_uri_character(value[i]))
            continue;
        (void)snprintf(why, size, "byte %zu: a character that has to be percent-encoded in a URL",
                       i + 1);
        return -1;
    }
    if (scheme > 0 && strcspn(value + scheme, "/?#:@") > 0)
        return 0;
    (void)snprintf(why, size, "no absolute URL: http:// or https:// and a host");
    return -1;
}

/* An origin is a URL of scheme, host and port alone (RFC 6454 section 6.2), as browsers send it. */
static bool is_origin(const char *word, size_t n)
{
    const size_t scheme = n > 8 && strncmp(word, "https://", 8) == 0  ? 8
                          : n > 7 && strncmp(word, "http://", 7) == 0 ? 7
                                                                      : 0;
    for (size_t i = scheme; i < n; i++) {
        if (!(word[i] >= 'a' && word[i] <= 'z') && strchr("0123456789.-:[]", word[i]) == NULL)
            return false;
    }
    return scheme > 0;
}

int check_origins(const char *value, char *why, size_t size)
{
    const char *p = value, *word;
    size_t n;
    if (strcmp(value, "*") == 0 || strcmp(value, "none") == 0)
        return 0;
    while ((n = tenant_next_word(&p, &word)) > 0) {
        if (is_origin(word, n))
            continue;
        (void)snprintf(why, size,
                       "byte %zu: no origin: http:// or https://, a host in lower case, a port if "
                       "need be, and nothing behind it",
                       (size_t)(word - value) + 1);
        return -1;
    }
    return 0;
}

int check_quotable(const char *value, char *why, size_t size)
{
    if (text_quotable((const unsigned char *)value, strlen(value)))
        return 0;
    (void)snprintf(why, size, "byte %zu: a quote cannot stand in a playlist's quotes",
                   strcspn(value, "\"") + 1);
    return -1;
}

int check_versions(const char *value, char *why, size_t size)
{
    const size_t digits = strspn(value, "0123456789/");
    if (value[digits] == '\0' && value[0] != '/' && value[digits - 1] != '/' &&
        strstr(value, "//") == NULL)
        return 0;
    (void)snprintf(why, size, "byte %zu: numbers with \"/\" between them are wanted", digits + 1);
    return -1;
}

/* KEYFORMAT, a colon, labels with "/" between them; several such items with commas. */
int check_allowed_cpc(const char *value, char *why, size_t size)
{
    if (check_quotable(value, why, size) != 0)
        return -1;
    for (const char *item = value;; item++) {
        const size_t n = strcspn(item, ",");
        const char *colon = memrchr(item, ':', n);
        const size_t place = (size_t)(item - value) + 1;
        const size_t labels = colon == NULL ? 0 : n - (size_t)(colon + 1 - item);
        if (labels == 0 || colon == item || colon[1] == '/' || item[n - 1] == '/' ||
            memmem(colon, labels, "//", 2) != NULL) {
            (void)snprintf(why, size,
                           "byte %zu: KEYFORMAT:LABEL or KEYFORMAT:LABEL/LABEL is wanted", place);
            return -1;
        }
        item += n;
        if (*item == '\0')
            return 0;
    }
}

/* --- Templates and XML ---------------------------------------------------------------------- */

/* A URI begins with its scheme, or with the service's own URL. */
int check_uri_template(const char *value, char *why, size_t size)
{
    static const char KEY_URL[] = "{key_url}", CLEARKEY_URL[] = "{clearkey_url}";
    size_t scheme = 0;
    if (template_check(TEMPLATE_URI, value, why, size) != 0)
        return -1;
    while (is_letter(value[scheme]) ||
           (scheme > 0 && value[scheme] != '\0' && strchr("0123456789+-.", value[scheme]) != NULL))
        scheme++;
    if (strncmp(value, KEY_URL, sizeof KEY_URL - 1) == 0 ||
        strncmp(value, CLEARKEY_URL, sizeof CLEARKEY_URL - 1) == 0 ||
        (scheme > 0 && value[scheme] == ':'))
        return 0;
    (void)snprintf(why, size, "byte 1: neither a URI's scheme nor %s or %s", KEY_URL, CLEARKEY_URL);
    return -1;
}

int check_boxless_uri_template(const char *value, char *why, size_t size)
{
    if (check_uri_template(value, why, size) != 0)
        return -1;
    const size_t place = template_place_of(TEMPLATE_URI, value, "pssh");
    if (place == 0)
        return 0;
    (void)snprintf(why, size, "byte %zu: {pssh} stands for nothing: the system has no PSSH box",
                   place);
    return -1;
}

int check_xml_template(const char *value, char *why, size_t size)
{
    if (template_check(TEMPLATE_XML, value, why, size) != 0)
        return -1;
    return cpix_fragment_check(value, NULL, why, size);
}

int check_data_template(const char *value, char *why, size_t size)
{
    return template_check(TEMPLATE_DATA, value, why, size);
}

int check_output_protection(const char *value, char *why, size_t size)
{
    return cpix_fragment_check(value, "OutputProtection", why, size);
}

/* --- Lists ---------------------------------------------------------------------------------- */

int check_systems(const char *value, char *why, size_t size)
{
    const char *p = value, *word;
    struct uuid id;
    size_t n;
    while ((n = tenant_next_word(&p, &word)) > 0) {
        if (tenant_system_parse(word, n, &id) == 0)
            continue;
        (void)snprintf(why, size, "byte %zu: \"%.*s\" is neither a known system nor a UUID",
                       (size_t)(word - value) + 1, (int)(n < 64 ? n : 64), word);
        return -1;
    }
    return 0;
}

int check_patterns(const char *value, char *why, size_t size)
{
    const char *p = value, *word;
    size_t n;
    while ((n = tenant_next_word(&p, &word)) > 0) {
        if (pattern_ok(word, n))
            continue;
        (void)snprintf(why, size, "byte %zu: \\ stands before *, ? or \\ alone",
                       (size_t)(word - value) + 1);
        return -1;
    }
    return 0;
}

static bool is_all(const char *word, size_t n)
{
    return n == 3 && memcmp(word, "ALL", n) == 0;
}

/* A track type twice, or ALL beside another, is no contract. */
int check_tracks(const char *value, char *why, size_t size)
{
    const char *p = value, *word;
    size_t n;
    while ((n = tenant_next_word(&p, &word)) > 0) {
        const size_t place = (size_t)(word - value) + 1;
        const int shown = (int)(n < 64 ? n : 64);
        const char *other, *q = p;
        if (!track_known(word, n)) {
            (void)snprintf(why, size, "byte %zu: \"%.*s\" is no known track type", place, shown,
                           word);
            return -1;
        }
        for (size_t m; (m = tenant_next_word(&q, &other)) > 0;) {
            const bool same = m == n && memcmp(word, other, n) == 0;
            if (!same && !is_all(word, n) && !is_all(other, m))
                continue;
            (void)snprintf(why, size, "byte %zu: \"%.*s\" %s", place, shown, word,
                           same ? "stands there twice" : "beside another: ALL stands alone");
            return -1;
        }
    }
    return 0;
}

int check_fingerprints(const char *value, char *why, size_t size)
{
    const char *p = value, *word;
    unsigned char fingerprint[CERTIFICATE_FINGERPRINT_BYTES];
    size_t n;
    while ((n = tenant_next_word(&p, &word)) > 0) {
        if (tenant_fingerprint_parse(word, n, fingerprint) == 0)
            continue;
        (void)snprintf(why, size, "byte %zu: no SHA-256 fingerprint of 64 hexadecimal digits",
                       (size_t)(word - value) + 1);
        return -1;
    }
    return 0;
}

int check_authorities(const char *value, char *why, size_t size)
{
    X509_STORE *store = tenant_authorities(value, why, size);
    X509_STORE_free(store);
    return store == NULL ? -1 : 0;
}
