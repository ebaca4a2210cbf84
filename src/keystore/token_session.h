/* SPDX-License-Identifier: Apache-2.0 */
/* A session with a PKCS#11 token, logged in, and the one AES key that its URI names. */
#ifndef KEYSTORE_TOKEN_SESSION_H
#define KEYSTORE_TOKEN_SESSION_H

#include <stddef.h>

struct token_session;

/* uri: RFC 7512, with module-path, pin-source=file:PATH (else the credential "pin" of systemd), and
 * enough attributes to name one token and one secret key. NULL with what is wrong in why. */
struct token_session *token_session_open(const char *uri, char *why, size_t why_size);
void token_session_close(struct token_session *s);

/* AES-GCM with the key in the token: iv is 12 bytes, the tag 16 bytes at the end of the ciphertext.
 * Each returns 0, or -1 with what is wrong in why. */
int token_session_encrypt(struct token_session *s, const unsigned char *iv, const char *aad,
                          size_t aad_size, const unsigned char *clear, size_t size,
                          unsigned char *out, char *why, size_t why_size);
int token_session_decrypt(struct token_session *s, const unsigned char *iv, const char *aad,
                          size_t aad_size, const unsigned char *sealed, size_t sealed_size,
                          unsigned char *out, size_t size, char *why, size_t why_size);

#endif
