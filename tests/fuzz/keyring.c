/* SPDX-License-Identifier: Apache-2.0 */
/* The KEK file: a file is taken whole or refused with a cause. */
#include "keystore/keyring.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_setup();
    struct keyring *k = keyring_new(fuzz_file(data, size));
    MUST(k != NULL);
    const struct kek *kek = keyring_find(k, 1);
    if (keyring_fault(k)[0] != '\0')
        MUST(kek == NULL);
    if (kek != NULL) {
        unsigned char check[KEK_CHECK_BYTES];
        MUST(kek->version == 1);
        MUST(kek_check(kek->key, check) == 0 && memcmp(check, kek->check, sizeof check) == 0);
    }
    keyring_free(k);
    return 0;
}
