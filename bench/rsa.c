/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenSSL takes on this machine for the RSA operation by which a key is encrypted for a
 * recipient: RSA-OAEP with SHA-1 and the public key of a certificate, with nothing around it.
 * Prints two figures, microseconds of CPU for one operation: one after the other, and with caches
 * in which other things were meanwhile, as a process has them that did something else in between.
 * Each is the least of several rounds, since whatever else runs can only add to it. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9, OPERATIONS = 2000, OPERATIONS_COLD = 100, KEY_BYTES = 64, RSA_BYTES_MAX = 1024 };
enum { OTHER_THINGS = 4 << 20, CACHE_LINE = 64 };

static _Noreturn void stop(const char *what)
{
    fprintf(stderr, "rsa: %s\n", what);
    exit(1);
}

/* Ready to encrypt to the certificate of a PEM file. */
static EVP_PKEY_CTX *make_context(const char *path)
{
    FILE *in = fopen(path, "re");
    X509 *x509 = in == NULL ? NULL : PEM_read_X509(in, NULL, NULL, NULL);
    EVP_PKEY *key = x509 == NULL ? NULL : X509_get0_pubkey(x509);
    EVP_PKEY_CTX *ctx = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx == NULL || EVP_PKEY_get_size(key) > RSA_BYTES_MAX || EVP_PKEY_encrypt_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1)
        stop("no certificate of an RSA key");
    (void)fclose(in); /* read only */
    X509_free(x509);  /* the context has the key */
    return ctx;
}

static double cpu_us(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        stop("no clock");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void encrypt(EVP_PKEY_CTX *ctx)
{
    static const unsigned char KEY[KEY_BYTES];
    unsigned char out[RSA_BYTES_MAX];
    size_t n = sizeof out;
    if (EVP_PKEY_encrypt(ctx, out, &n, KEY, sizeof KEY) != 1)
        stop("encryption failed");
}

static double one_after_the_other(EVP_PKEY_CTX *ctx)
{
    const double start = cpu_us();
    for (int i = 0; i < OPERATIONS; i++)
        encrypt(ctx);
    return (cpu_us() - start) / OPERATIONS;
}

static double after_other_things(EVP_PKEY_CTX *ctx)
{
    static volatile unsigned char others[OTHER_THINGS];
    double taken = 0;
    for (int i = 0; i < OPERATIONS_COLD; i++) {
        for (size_t at = 0; at < sizeof others; at += CACHE_LINE)
            others[at]++;
        const double start = cpu_us();
        encrypt(ctx);
        taken += cpu_us() - start;
    }
    return taken / OPERATIONS_COLD;
}

static double least(double (*measure)(EVP_PKEY_CTX *ctx), EVP_PKEY_CTX *ctx)
{
    double found = measure(ctx);
    for (int round = 1; round < ROUNDS; round++) {
        const double taken = measure(ctx);
        if (taken < found)
            found = taken;
    }
    return found;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        stop("usage: rsa CERTIFICATE.pem");
    EVP_PKEY_CTX *ctx = make_context(argv[1]);
    printf("%.2f %.2f\n", least(one_after_the_other, ctx), least(after_other_things, ctx));
    EVP_PKEY_CTX_free(ctx);
    return fflush(stdout) == 0 ? 0 : 1;
}
