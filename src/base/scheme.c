/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scheme.h"

#include "base/trim.h"

static const char *const NAMES[] = {
    [SCHEME_NONE] = "",
    [SCHEME_CENC] = "cenc",
    [SCHEME_CBC1] = "cbc1",
    [SCHEME_CENS] = "cens",
    [SCHEME_CBCS] = "cbcs",
    [SCHEME_HLS_AES_128] = "AES-128",
    [SCHEME_HLS_SAMPLE_AES] = "SAMPLE-AES",
    [SCHEME_HLS_SAMPLE_AES_CTR] = "SAMPLE-AES-CTR",
    [SCHEME_UNKNOWN] = "",
};

const char *speke_version_name(enum speke_version v)
{
    return v == SPEKE_V1 ? "1.0" : v == SPEKE_V2_0 ? "2.0" : "2.1";
}

enum scheme scheme_parse(const char *text, enum speke_version v)
{
    const struct span word = trim(text);
    if (word.n == 0)
        return SCHEME_NONE;
    for (enum scheme s = SCHEME_CENC; s < SCHEME_UNKNOWN; s++) {
        if (s >= SCHEME_HLS_AES_128 && v != SPEKE_V2_1)
            break;
        if (span_is(word, NAMES[s]))
            return s;
    }
    return SCHEME_UNKNOWN;
}

const char *scheme_name(enum scheme s)
{
    return NAMES[s];
}
