/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/trim.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "keystore/seal.h"

/* A file is read in pieces. */
enum { FILE_MAX = 65536, POINT = 65, SCALAR = 32, SECRET_BYTES = 32, FILE_MODE = 0600 };

static int allocate(struct token_file *out)
{
    *out = (struct token_file){.bytes = secret_alloc(TOKEN_FILE_BYTES)};
    out->key.bytes = out->bytes;
    return out->bytes != NULL ? CTL_DONE : ctl_fail(CTL_FAILED, "no room in the secure heap");
}

void token_file_free(struct token_file *file)
{
    secret_free(file->bytes, TOKEN_FILE_BYTES);
    file->bytes = NULL;
}

/* --- ES256 ---------------------------------------------------------------------------------- */

/* Takes the point, and the private key when there is one. Returns 0, or -1 for a key that is not
 * one on P-256. */
static int take_key(struct token_file *out, const EVP_PKEY *key)
{
    char group[32];
    size_t n = 0;
    BIGNUM *scalar = NULL;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       NULL) != 1 ||
        strcmp(group, SN_X9_62_prime256v1) != 0 ||
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out->bytes, POINT, &n) != 1 ||
        n != POINT || out->bytes[0] != POINT_CONVERSION_UNCOMPRESSED)
        return -1;
    out->key.algorithm = TOKEN_ES256;
    out->key.size = POINT;
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
        BN_bn2binpad(scalar, out->bytes + POINT, SCALAR) == SCALAR)
        out->key.size = POINT + SCALAR;
    BN_clear_free(scalar);
    ERR_clear_error();
    return 0;
}

static int read_pem(struct token_file *out, const struct buf *text, const char *path)
{
    BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
    if (bio == NULL)
        return ctl_fail_memory();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (key == NULL && BIO_reset(bio) == 1)
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    const int taken = key != NULL ? take_key(out, key) : -1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return taken == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s: no key on P-256 in PEM form", path);
}

/* --- reading -------------------------------------------------------------------------------- */

static int read_secret(struct token_file *out, const struct buf *text, const char *path)
{
    const struct span word = trim_span(
        (struct span){.text = (const char *)text->data, .n = text->len});
    out->key.algorithm = TOKEN_HS256;
    if (base64url_decode(word.text, word.n, out->bytes, TOKEN_SECRET_MAX_BYTES, &out->key.size) !=
            0 ||
        out->key.size < TOKEN_SECRET_MIN_BYTES)
        return ctl_fail(CTL_FAILED, "%s: neither PEM nor base64url of %d to %d bytes", path,
                        TOKEN_SECRET_MIN_BYTES, TOKEN_SECRET_MAX_BYTES);
    return CTL_DONE;
}

int token_file_read(struct token_file *out, const char *path, bool sign)
{
    struct buf text;
    char why[512];
    int code = allocate(out);
    buf_init(&text, FILE_MAX);
    if (code == CTL_DONE && file_slurp_named(path, &text, why, sizeof why) != 0)
        code = ctl_fail(CTL_FAILED, "%s", why);
    if (code == CTL_DONE && text.len > 0 && memmem(text.data, text.len, "-----BEGIN", 10) != NULL)
        code = read_pem(out, &text, path);
    else if (code == CTL_DONE)
        code = text.len > 0 ? read_secret(out, &text, path)
                            : ctl_fail(CTL_FAILED, "%s is empty", path);
    if (code == CTL_DONE && sign && out->key.algorithm == TOKEN_ES256 && out->key.size == POINT)
        code = ctl_fail(CTL_FAILED, "%s: a public key signs nothing", path);
    buf_free(&text);
    return code;
}

/* --- making --------------------------------------------------------------------------------- */

/* Appends the file's text. Returns 0 or -1. */
static int make_pair(struct token_file *out, struct buf *text)
{
    char *pem;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    int result = -1;
    if (key != NULL && bio != NULL && take_key(out, key) == 0 &&
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        const long n = BIO_get_mem_data(bio, &pem);
        if (n > 0)
            buf_put(text, pem, (size_t)n);
        result = buf_ok(text) ? 0 : -1;
    }
    BIO_free(bio);
    EVP_PKEY_free(key);
    return result;
}

static int make_secret(struct token_file *out, struct buf *text)
{
    char line[BASE64_SIZE(SECRET_BYTES)];
    out->key.algorithm = TOKEN_HS256;
    out->key.size = SECRET_BYTES;
    if (RAND_priv_bytes(out->bytes, SECRET_BYTES) != 1)
        return -1;
    (void)base64url_encode(out->bytes, SECRET_BYTES, line); /* the length is known */
    buf_puts(text, line);
    buf_putc(text, '\n');
    secret_wipe(line, sizeof line);
    return buf_ok(text) ? 0 : -1;
}

static int write_file(const char *path, const struct buf *text)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    const bool written = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
    const bool closed = close(fd) == 0;
    return written && closed ? CTL_DONE : ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
}

int token_file_make(struct token_file *out, enum token_algorithm algorithm, const char *path)
{
    struct buf text;
    int code = allocate(out);
    buf_init(&text, FILE_MAX);
    if (code == CTL_DONE &&
        (algorithm == TOKEN_ES256 ? make_pair(out, &text) : make_secret(out, &text)) != 0)
        code = ctl_fail(CTL_FAILED, "OpenSSL makes no key");
    if (code == CTL_DONE && path != NULL)
        code = write_file(path, &text);
    else if (code == CTL_DONE)
        code = fwrite(text.data, 1, text.len, stdout) == text.len ? CTL_DONE : CTL_FAILED;
    buf_free(&text);
    return code;
}
