/* SPDX-License-Identifier: Apache-2.0 */
/* The SPEKE versions and the values of ContentKey@commonEncryptionScheme: the two words that the
 * document, the signalling and the key store share. */
#ifndef BASE_SCHEME_H
#define BASE_SCHEME_H

enum speke_version { SPEKE_V1, SPEKE_V2_0, SPEKE_V2_1 };

/* "1.0", "2.0" or "2.1". */
const char *speke_version_name(enum speke_version v);

enum scheme {
    SCHEME_NONE, /* absent: the SPEKE v1 case */
    SCHEME_CENC,
    SCHEME_CBC1,
    SCHEME_CENS,
    SCHEME_CBCS,
    SCHEME_HLS_AES_128, /* the HLS method names, SPEKE v2.1 only */
    SCHEME_HLS_SAMPLE_AES,
    SCHEME_HLS_SAMPLE_AES_CTR,
    SCHEME_UNKNOWN
};

/* Reads the text of the attribute; blanks around it are allowed. HLS method names are known only
 * in v2.1. Empty or NULL gives SCHEME_NONE, anything else SCHEME_UNKNOWN. */
enum scheme scheme_parse(const char *text, enum speke_version v);
/* The text of the attribute, "" for SCHEME_NONE and SCHEME_UNKNOWN. */
const char *scheme_name(enum scheme s);

#endif
