/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for token.c where the program was built without p11-kit. */
#include <stdio.h>

#include "keystore/token.h"

static const char WHY[] = "this program was built without PKCS#11 (p11-kit)";

const char TOKEN_PREFIX[] = "pkcs11:";

bool token_supported(void)
{
    return false;
}

int token_wrap(const char *uri, int32_t version, const unsigned char kek[static KEK_BYTES],
               char out[static TOKEN_TEXT_SIZE], char *why, size_t why_size)
{
    (void)uri;
    (void)version;
    (void)kek;
    out[0] = '\0';
    (void)snprintf(why, why_size, "%s", WHY);
    return -1;
}

int64_t token_unwrap_lines(const char *uri, char *text, size_t length, size_t size, char *why,
                           size_t why_size)
{
    (void)uri;
    (void)text;
    (void)length;
    (void)size;
    (void)snprintf(why, why_size, "%s", WHY);
    return -1;
}
