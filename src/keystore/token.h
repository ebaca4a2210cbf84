/* SPDX-License-Identifier: Apache-2.0 */
/* KEKs that a PKCS#11 token wraps: an AES-256 key that does not leave the token encrypts them with
 * AES-GCM. The module of the token's maker runs in a child process that ends when it is done. */
#ifndef KEYSTORE_TOKEN_H
#define KEYSTORE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/seal.h"

enum {
    TOKEN_IV_BYTES = 12,
    TOKEN_WRAPPED_BYTES = TOKEN_IV_BYTES + KEK_BYTES + 16, /* IV, ciphertext, tag */
    TOKEN_TEXT_SIZE = 96 /* of a wrapped KEK as text, with its prefix and a zero */
};

/* What a wrapped KEK begins with in a line of the KEK file; base64 follows. */
extern const char TOKEN_PREFIX[];

/* Whether this program was built with PKCS#11. */
bool token_supported(void);
/* Wraps a KEK for the line of its version. uri: RFC 7512, with module-path and pin-source. Returns
 * 0 with the text, or -1 with what is wrong in why. */
int token_wrap(const char *uri, int32_t version, const unsigned char kek[static KEK_BYTES],
               char out[static TOKEN_TEXT_SIZE], char *why, size_t why_size);
/* Replaces the wrapped KEKs among the lines of text, length bytes of size, by clear ones. text is
 * on the secure heap. Returns the new length, or -1 with what is wrong in why. */
int64_t token_unwrap_lines(const char *uri, char *text, size_t length, size_t size, char *why,
                           size_t why_size);

#endif
