/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/hex.h"
#include "ctl/ctl.h"
#include "ctl/file.h"

enum { SIGNATURE = 64, FILE_MAX = 1 << 20 };

/* NULL after saying what is wrong, with the exit code in *code. */
static EVP_PKEY *read_key(const char *path, bool private, int *code)
{
    struct stat status;
    EVP_PKEY *key = NULL;
    FILE *in = fopen(path, "re");
    *code = CTL_FAILED;
    if (in == NULL || fstat(fileno(in), &status) != 0) {
        (void)ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    } else if (private && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)ctl_fail(CTL_FAILED, "%s: others may read it; set its mode to 0400", path);
    } else {
        key = private ? PEM_read_PrivateKey(in, NULL, NULL, NULL)
                      : PEM_read_PUBKEY(in, NULL, NULL, NULL);
        if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
            EVP_PKEY_free(key);
            key = NULL;
            (void)ctl_fail(CTL_FAILED, "%s: no %s key of Ed25519 in PEM", path,
                           private ? "private" : "public");
        }
    }
    if (in != NULL)
        (void)fclose(in); /* read only */
    return key;
}

static void put_text(const struct audit_checkpoint *p, struct buf *out)
{
    char hash[2 * AUDIT_HASH + 1], sealed[AUDIT_TIME_SIZE], written[AUDIT_TIME_SIZE];
    hex_encode(p->hash, AUDIT_HASH, hash);
    audit_time(p->sealed_at, sealed);
    audit_time(p->written_at, written);
    buf_printf(out,
               "speke-audit-checkpoint 1\ndatabase %s\nseal %" PRId64 "\nhash %s\nrows %" PRId64
               "\nsealed %s\nwritten %s\n",
               p->database, p->seal_no, hash, p->rows, sealed, written);
}

int audit_checkpoint_sign(const struct audit_checkpoint *checkpoint, const char *key_path,
                          struct buf *out)
{
    unsigned char signature[SIGNATURE];
    size_t n = sizeof signature;
    int code;
    EVP_PKEY *key = read_key(key_path, true, &code);
    if (key == NULL)
        return code;
    put_text(checkpoint, out);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || !buf_ok(out) ||
        EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &n, out->data, out->len) != 1 || n != sizeof signature) {
        code = ctl_fail(CTL_FAILED, "the checkpoint could not be signed");
    } else {
        buf_puts(out, "signature ");
        buf_put_base64(out, signature, sizeof signature);
        buf_putc(out, '\n');
        code = buf_ok(out) ? CTL_DONE : ctl_fail_memory();
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return code;
}

/* The value of a line "name value" at *text, which is moved behind it; NULL when it is another. */
static char *take_line(char **text, const char *name)
{
    const size_t n = strlen(name);
    char *line = *text;
    char *end = strchr(line, '\n');
    if (end == NULL || strncmp(line, name, n) != 0 || line[n] != ' ')
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line + n + 1;
}

static int parse_number(const char *text, int64_t *out)
{
    char *end;
    if (text == NULL)
        return -1;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= 0 ? 0 : -1;
}

/* Reads the lines, which are cut up. *signature points into them. Returns 0 or -1. */
static int parse(char *text, struct audit_checkpoint *p, char **signature)
{
    const char *version = take_line(&text, "speke-audit-checkpoint");
    const char *database = version != NULL ? take_line(&text, "database") : NULL;
    if (version == NULL || strcmp(version, "1") != 0 || database == NULL ||
        strlen(database) >= sizeof p->database)
        return -1;
    memcpy(p->database, database, strlen(database) + 1);
    if (parse_number(take_line(&text, "seal"), &p->seal_no) != 0 ||
        audit_unhex(take_line(&text, "hash"), p->hash, AUDIT_HASH) != 0 ||
        parse_number(take_line(&text, "rows"), &p->rows) != 0 ||
        audit_time_parse(take_line(&text, "sealed"), &p->sealed_at) != 0 ||
        audit_time_parse(take_line(&text, "written"), &p->written_at) != 0)
        return -1;
    *signature = take_line(&text, "signature");
    return *signature != NULL && *text == '\0' ? 0 : -1;
}

static bool is_signed(EVP_PKEY *key, const void *bytes, size_t n, const char *signature)
{
    unsigned char raw[SIGNATURE];
    size_t length;
    if (base64_decode(signature, strlen(signature), raw, sizeof raw, &length) != 0 ||
        length != sizeof raw)
        return false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool right = context != NULL &&
                       EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                       EVP_DigestVerify(context, raw, sizeof raw, bytes, n) == 1;
    EVP_MD_CTX_free(context);
    return right;
}

int audit_checkpoint_read(const char *path, const char *key_path, struct audit_checkpoint *out)
{
    struct buf text, whole;
    char why[512];
    char *signature = NULL;
    int code;
    EVP_PKEY *key = read_key(key_path, false, &code);
    if (key == NULL)
        return code;
    buf_init(&text, FILE_MAX);
    buf_init(&whole, FILE_MAX);
    if (file_slurp(path, &text, why, sizeof why) != 0) {
        code = ctl_fail(CTL_FAILED, "%s", why);
    } else {
        buf_put(&whole, text.data, text.len);
        buf_put_u8(&text, 0);
        if (!buf_ok(&text) || !buf_ok(&whole) || parse((char *)text.data, out, &signature) != 0)
            code = ctl_fail(CTL_FAILED, "%s: no checkpoint of the audit", path);
        else if (!is_signed(key, whole.data,
                            (size_t)(signature - (char *)text.data) - strlen("signature "),
                            signature))
            code = ctl_fail(CTL_TAMPERED, "%s: its signature is not right", path);
        else
            code = CTL_DONE;
    }
    buf_free(&text);
    buf_free(&whole);
    EVP_PKEY_free(key);
    return code;
}
