/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cpix/cpix.h"

char *fuzz_text(const uint8_t *data, size_t size)
{
    const size_t n = size == 0 ? 0 : strnlen((const char *)data, size);
    char *text = malloc(n + 1);
    MUST(text != NULL);
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

const char *fuzz_file(const void *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    MUST(ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
    return path;
}

struct cpix_limits fuzz_wide_limits(void)
{
    struct cpix_limits limits = CPIX_DEFAULT_LIMITS;
    limits.attributes *= 4;
    limits.markup *= 8;
    return limits;
}

void fuzz_setup(void)
{
    enum { HEAP = 1 << 20, SMALLEST_PIECE = 16 };
    static bool done;
    unsigned char random[1];
    if (done)
        return;
    done = true;
    /* OpenSSL's generators keep their state on the secure heap where there is one, and the leak
     * checker does not look for pointers there: what they point to would pass for lost. */
    MUST(RAND_bytes(random, sizeof random) == 1 && RAND_priv_bytes(random, sizeof random) == 1);
    MUST(CRYPTO_secure_malloc_init(HEAP, SMALLEST_PIECE) != 0);
    MUST(log_open("stderr", "error") == 0);
    cpix_setup();
}
