/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMESPACES                       \
    "xmlns:cpix=\"urn:dashif:org:cpix\"" \
    " xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\""

const char FIXTURE_V2_0[] = "<cpix:CPIX contentId=\"movie-7781\" version=\"2.3\" " NAMESPACES ">\n"
                            "<cpix:ContentKeyList>\n"
                            "<cpix:ContentKey kid=\"" KID_1 "\" commonEncryptionScheme=\"cbcs\"/>\n"
                            "<cpix:ContentKey kid=\"" KID_2 "\" commonEncryptionScheme=\"cbcs\"/>\n"
                            "</cpix:ContentKeyList>\n"
                            "<cpix:DRMSystemList>\n"
                            "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" WIDEVINE "\">\n"
                            "<cpix:PSSH/>\n"
                            "<cpix:HLSSignalingData playlist=\"media\"/>\n"
                            "<cpix:HLSSignalingData playlist=\"master\"/>\n"
                            "</cpix:DRMSystem>\n"
                            "<cpix:DRMSystem kid=\"" KID_2 "\" systemId=\"" FAIRPLAY "\">\n"
                            "<cpix:PSSH/>\n"
                            "</cpix:DRMSystem>\n"
                            "</cpix:DRMSystemList>\n"
                            "<cpix:ContentKeyPeriodList>\n"
                            "<cpix:ContentKeyPeriod id=\"p1\" index=\"0\"/>\n"
                            "</cpix:ContentKeyPeriodList>\n"
                            "<cpix:ContentKeyUsageRuleList>\n"
                            "<cpix:ContentKeyUsageRule kid=\"" KID_1
                            "\" intendedTrackType=\"VIDEO\">\n"
                            "<cpix:KeyPeriodFilter periodId=\"p1\"/>\n"
                            "<cpix:VideoFilter/>\n"
                            "</cpix:ContentKeyUsageRule>\n"
                            "<cpix:ContentKeyUsageRule kid=\"" KID_2
                            "\" intendedTrackType=\"AUDIO\">\n"
                            "<cpix:KeyPeriodFilter periodId=\"p1\"/>\n"
                            "<cpix:AudioFilter/>\n"
                            "</cpix:ContentKeyUsageRule>\n"
                            "</cpix:ContentKeyUsageRuleList>\n"
                            "</cpix:CPIX>\n";

const char FIXTURE_V1[] = "<cpix:CPIX id=\"movie-7781\" " NAMESPACES
                          " xmlns:speke=\"urn:aws:amazon:com:speke\">\n"
                          "<cpix:ContentKeyList>\n"
                          "<cpix:ContentKey kid=\"" KID_1 "\"/>\n"
                          "</cpix:ContentKeyList>\n"
                          "<cpix:DRMSystemList>\n"
                          "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" AES_128_V1 "\">\n"
                          "<cpix:URIExtXKey/>\n"
                          "<speke:KeyFormat/>\n"
                          "<speke:KeyFormatVersions/>\n"
                          "</cpix:DRMSystem>\n"
                          "<cpix:DRMSystem kid=\"" KID_1 "\" systemId=\"" PLAYREADY "\">\n"
                          "<speke:ProtectionHeader/>\n"
                          "<cpix:PSSH/>\n"
                          "</cpix:DRMSystem>\n"
                          "</cpix:DRMSystemList>\n"
                          "<cpix:ContentKeyPeriodList>\n"
                          "<cpix:ContentKeyPeriod id=\"p7\" index=\"7\"/>\n"
                          "</cpix:ContentKeyPeriodList>\n"
                          "<cpix:ContentKeyUsageRuleList>\n"
                          "<cpix:ContentKeyUsageRule kid=\"" KID_1 "\">\n"
                          "<cpix:KeyPeriodFilter periodId=\"p7\"/>\n"
                          "</cpix:ContentKeyUsageRule>\n"
                          "</cpix:ContentKeyUsageRuleList>\n"
                          "</cpix:CPIX>\n";

enum { TEXT_SIZE = 64 * 1024, ARENA_SIZE = 64 * 1024 * 1024 };

const char *fixture_edit(const char *text, const char *from, const char *to)
{
    static char result[TEXT_SIZE];
    char copy[TEXT_SIZE];
    if (from == NULL)
        return text;
    assert_true(strlen(text) < sizeof copy);
    (void)strcpy(copy, text);
    const char *at = strstr(copy, from);
    if (at == NULL)
        fail_msg("\"%s\" is not in the document", from);
    const int n = snprintf(result, sizeof result, "%.*s%s%s", (int)(at - copy), copy, to,
                           at + strlen(from));
    assert_true(n >= 0 && (size_t)n < sizeof result);
    return result;
}

const char *fixture_file(const char *name)
{
    static char result[TEXT_SIZE];
    char path[512];
    const char *srcdir = getenv("srcdir");
    (void)snprintf(path, sizeof path, "%s/tests/vectors/cpix/%s", srcdir == NULL ? "." : srcdir,
                   name);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        fail_msg("%s cannot be opened: run from the source tree or set srcdir", path);
    const size_t n = fread(result, 1, sizeof result - 1, in);
    assert_true(n > 0 && feof(in));
    assert_int_equal(fclose(in), 0);
    result[n] = '\0';
    return result;
}

int fixture_start(void **state)
{
    static struct fixture x;
    cpix_setup();
    arena_init(&x.arena, ARENA_SIZE);
    *state = &x;
    return 0;
}

int fixture_stop(void **state)
{
    struct fixture *x = *state;
    arena_free(&x->arena);
    return 0;
}

void fixture_read(struct fixture *x, const char *text)
{
    arena_reset(&x->arena);
    x->result = cpix_read(text, strlen(text), &CPIX_DEFAULT_LIMITS, &x->arena, &x->doc,
                          &x->failure);
}

void fixture_read_well(struct fixture *x, const char *text)
{
    fixture_read(x, text);
    if (x->result != 0)
        fail_msg("refused with %d \"%s\" (%s):\n%s", x->failure.status, x->failure.text,
                 x->failure.cause, text);
}

static enum cpix_fit fit_of(const char *schemes, enum scheme scheme)
{
    if (scheme == SCHEME_NONE)
        return CPIX_FITS;
    return strstr(schemes, scheme_name(scheme)) != NULL ? CPIX_FITS : CPIX_MISFIT;
}

static enum cpix_fit system_fit(const void *context, const struct uuid *system_id,
                                enum scheme scheme, enum speke_version version)
{
    (void)context; /* what fits is the same for all tests */
    char text[UUID_TEXT_SIZE];
    uuid_format(system_id, text);
    if (strcmp(text, WIDEVINE) == 0 || strcmp(text, PLAYREADY) == 0)
        return fit_of("cenc cbcs SAMPLE-AES-CTR", scheme);
    if (strcmp(text, FAIRPLAY) == 0)
        return fit_of("cbcs SAMPLE-AES,", scheme);
    if (strcmp(text, CLEAR_KEY) == 0 && version != SPEKE_V1)
        return fit_of("cbc1 AES-128", scheme);
    if (strcmp(text, AES_128_V1) == 0 && version == SPEKE_V1)
        return CPIX_FITS;
    return CPIX_UNKNOWN_SYSTEM;
}

struct cpix_rules fixture_rules(enum speke_version version)
{
    return (struct cpix_rules){.version = version, .system_fit = system_fit};
}

static bool collect(void *context, const struct cpix_fault *fault)
{
    struct fixture_faults *faults = context;
    if (faults->count < FIXTURE_FAULTS)
        faults->items[faults->count] = *fault;
    faults->count++;
    return !faults->stop_at_first;
}

void fixture_check(struct fixture *x, const struct cpix_rules *rules, struct fixture_faults *faults)
{
    faults->count = 0;
    faults->result = cpix_check(&x->doc, rules, &x->arena, collect, faults);
    assert_int_equal(faults->result, faults->count > 0 ? 1 : 0);
}

void fixture_read_edited(struct fixture *x, const char *base, const struct edit edits[3])
{
    const char *text = base;
    for (size_t i = 0; i < 3; i++)
        text = fixture_edit(text, edits[i].from, edits[i].to);
    fixture_read_well(x, text);
}

static void expect_fault(const struct fixture_faults *faults, const struct bad *bad)
{
    const struct cpix_fault *got = &faults->items[0];
    if (faults->count == 0)
        fail_msg("%s: no fault", bad->name);
    if (strcmp(got->rule, bad->rule) != 0 || strcmp(got->text, bad->text) != 0 ||
        got->line != bad->line || strcmp(got->place, bad->place) != 0)
        fail_msg("%s: %s \"%s\" at %s, line %d", bad->name, got->rule, got->text, got->place,
                 got->line);
}

void fixture_refuse_all(struct fixture *x, const struct cpix_rules *rules, const char *base,
                        const struct bad *table, size_t count)
{
    struct fixture_faults faults = {.stop_at_first = true};
    for (size_t i = 0; i < count; i++) {
        fixture_read_edited(x, base, table[i].edits);
        fixture_check(x, rules, &faults);
        expect_fault(&faults, &table[i]);
        assert_int_equal(faults.count, 1);
    }
    /* Going on after a fault finds the same one first, and no harm is done. */
    faults.stop_at_first = false;
    for (size_t i = 0; i < count; i++) {
        fixture_read_edited(x, base, table[i].edits);
        fixture_check(x, rules, &faults);
        expect_fault(&faults, &table[i]);
    }
}

void fixture_accept_all(struct fixture *x, const struct cpix_rules *rules, const char *base,
                        const struct good *table, size_t count)
{
    struct fixture_faults faults = {0};
    for (size_t i = 0; i < count; i++) {
        fixture_read_edited(x, base, table[i].edits);
        fixture_check(x, rules, &faults);
        if (faults.count > 0)
            fail_msg("%s: %s \"%s\" at %s", table[i].name, faults.items[0].rule,
                     faults.items[0].text, faults.items[0].place);
    }
}
