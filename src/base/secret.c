/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/failure.h"
#include "base/log.h"

/* The smallest piece that the heap hands out: one AES key. */
enum { SMALLEST_PIECE = 16 };

int secret_setup(size_t size, struct failure *f)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return fail_internal(f, "setrlimit(RLIMIT_CORE): %s", strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail_internal(f, "prctl(PR_SET_DUMPABLE): %s", strerror(errno));
    if (CRYPTO_secure_malloc_initialized())
        return 0;
    switch (CRYPTO_secure_malloc_init(size, SMALLEST_PIECE)) {
    case 1:
        return 0;
    case 2:
        log_warning("the secure heap of %zu bytes is not locked in memory: raise RLIMIT_MEMLOCK",
                    size);
        return 0;
    default:
        return fail_internal(f, "no secure heap of %zu bytes", size);
    }
}

void *secret_alloc(size_t n)
{
    return CRYPTO_secure_malloc_initialized() ? OPENSSL_secure_zalloc(n) : NULL;
}

void secret_free(void *p, size_t n)
{
    if (p != NULL)
        OPENSSL_secure_clear_free(p, n);
}

/* Not OPENSSL_cleanse(), which takes five times as long: a tenth of an exchange's time. */
void secret_wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
