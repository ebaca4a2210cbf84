/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl kek escrow, kek recover: the KEKs encrypted for an offline certificate, as CMS
 * AuthEnvelopedData (RFC 5083, with AES-256-GCM as in RFC 5084) that "openssl cms -decrypt" opens
 * too, and back. */
#include <openssl/pem.h>

/* After pem.h, or it leaves out what is about PEM. */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/secret.h"
#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/file.h"
#include "ctl/kek.h"
#include "keystore/keyring.h"

enum { TEXT_SIZE = KEYRING_FILE_MAX + 1, RECIPIENTS_MAX = 16, ESCROW_MODE = 0600 };

static int fail_openssl(const char *doing)
{
    char why[256];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    ERR_clear_error();
    return ctl_fail(CTL_FAILED, "%s: %s", doing, why);
}

/* --- escrow --------------------------------------------------------------------------------- */

/* The KEKs as lines of a KEK file, in the clear whatever wraps them there, so that they can be
 * used without the token. Returns an enum ctl_exit. */
static int put_lines(struct keyring *ring, char *text, size_t *length)
{
    char *base64 = secret_alloc(BASE64_SIZE(KEK_BYTES));
    int wrote = base64 == NULL ? -1
                               : snprintf(text, TEXT_SIZE, "# Key-encryption keys of speke-fcgi\n");
    size_t n = wrote > 0 ? (size_t)wrote : 0;
    const struct kek *kek;
    for (size_t i = 0; wrote > 0 && (kek = keyring_nth(ring, i)) != NULL; i++) {
        (void)base64_encode(kek->key, KEK_BYTES, base64); /* the length is known */
        wrote = snprintf(text + n, TEXT_SIZE - n, "%d %s\n", kek->version, base64);
        if (wrote <= 0 || (size_t)wrote >= TEXT_SIZE - n)
            wrote = -1;
        n += wrote > 0 ? (size_t)wrote : 0;
    }
    secret_free(base64, BASE64_SIZE(KEK_BYTES));
    *length = n;
    return wrote > 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "the KEKs do not fit");
}

/* RSA keys get OAEP with SHA-256 (RFC 4056's PKCS #1 v1.5 is what CMS would choose); EC keys are
 * agreed with (RFC 5753). */
static int add_recipient(CMS_ContentInfo *cms, const char *path)
{
    FILE *in = fopen(path, "re");
    X509 *certificate = in == NULL ? NULL : PEM_read_X509(in, NULL, NULL, NULL);
    if (in != NULL)
        (void)fclose(in); /* read only: nothing can be lost */
    if (certificate == NULL) {
        ERR_clear_error();
        return ctl_fail(CTL_FAILED, "%s: no certificate in PEM", path);
    }
    CMS_RecipientInfo *recipient = CMS_add1_recipient_cert(cms, certificate, CMS_KEY_PARAM);
    bool good = recipient != NULL;
    if (good && EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) == EVP_PKEY_RSA) {
        EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
        good = context != NULL &&
               EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0;
    }
    X509_free(certificate);
    return good ? CTL_DONE : fail_openssl(path);
}

static int encrypt(const struct ctl_arguments *args, const char *text, size_t length, BIO *out)
{
    int code = CTL_DONE;
    BIO *in = BIO_new_mem_buf(text, (int)length);
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), CMS_PARTIAL | CMS_BINARY);
    if (in == NULL || cms == NULL)
        code = fail_openssl("CMS");
    for (size_t i = 0; code == CTL_DONE && option_nth(args, "to", i) != NULL; i++)
        code = add_recipient(cms, option_nth(args, "to", i));
    if (code == CTL_DONE &&
        (CMS_final(cms, in, NULL, CMS_BINARY) != 1 || PEM_write_bio_CMS(out, cms) != 1))
        code = fail_openssl("CMS");
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return code;
}

static int write_out(const struct ctl *ctl, const char *path, BIO *out, const char *certificate)
{
    char why[512];
    char *bytes;
    const long n = BIO_get_mem_data(out, &bytes);
    if (n <= 0)
        return ctl_fail(CTL_FAILED, "nothing was encrypted");
    if (path == NULL)
        return fwrite(bytes, 1, (size_t)n, stdout) == (size_t)n ? CTL_DONE : CTL_FAILED;
    if (file_replace(path, bytes, (size_t)n, ESCROW_MODE, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    ctl_say(ctl, "The KEKs are in %s, for whoever has the private key of %s alone.", path,
            certificate);
    ctl_say(ctl, "Keep that key off this machine, and try out \"spekectl kek recover\" once.");
    return CTL_DONE;
}

static int escrow(const struct ctl *ctl, const struct ctl_arguments *args, struct keyring *ring)
{
    size_t length = 0;
    if (keyring_nth(ring, 0) == NULL)
        return ctl_fail(CTL_FAILED, "no KEK can be read: %s", keyring_fault(ring));
    char *text = secret_alloc(TEXT_SIZE);
    BIO *out = BIO_new(BIO_s_mem());
    int code = text == NULL || out == NULL ? ctl_fail_memory() : put_lines(ring, text, &length);
    if (code == CTL_DONE)
        code = encrypt(args, text, length, out);
    if (code == CTL_DONE)
        code = write_out(ctl, option_value(args, "out"), out, option_value(args, "to"));
    BIO_free(out);
    secret_free(text, TEXT_SIZE);
    return code;
}

static int run_escrow(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    const char *path;
    if (!option_given(args, "to"))
        return ctl_fail(CTL_USAGE, "--to names the certificate to encrypt for");
    int code = kek_choose_file(ctl, args, &settings, &path);
    if (code != CTL_DONE)
        return code;
    struct keyring *ring = kek_open_ring(&settings, path);
    code = ring == NULL ? ctl_fail_memory() : escrow(ctl, args, ring);
    keyring_free(ring);
    return code;
}

/* --- recover -------------------------------------------------------------------------------- */

static EVP_PKEY *read_key(const char *path)
{
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return NULL;
    /* Asks for a passphrase where there is one, as no callback is given. */
    EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    (void)fclose(in); /* read only: nothing can be lost */
    return key;
}

static CMS_ContentInfo *read_cms(const char *path)
{
    BIO *in = BIO_new_file(path, "r");
    CMS_ContentInfo *cms = in == NULL ? NULL : PEM_read_bio_CMS(in, NULL, NULL, NULL);
    BIO_free(in);
    return cms;
}

/* The decrypted text, on the secure heap; freed with BIO_free(). */
static BIO *decrypt(const char *path, const char *key_path, int *code)
{
    CMS_ContentInfo *cms = read_cms(path);
    EVP_PKEY *key = cms == NULL ? NULL : read_key(key_path);
    BIO *out = BIO_new(BIO_s_secmem());
    *code = CTL_DONE;
    if (cms == NULL)
        *code = ctl_fail(CTL_FAILED, "%s: no CMS message in PEM", path);
    else if (key == NULL)
        *code = ctl_fail(CTL_FAILED, "%s: no private key that can be read", key_path);
    else if (out == NULL)
        *code = ctl_fail_memory();
    else if (CMS_decrypt(cms, key, NULL, NULL, out, CMS_BINARY) != 1)
        *code = fail_openssl(path);
    ERR_clear_error();
    EVP_PKEY_free(key);
    CMS_ContentInfo_free(cms);
    if (*code == CTL_DONE)
        return out;
    BIO_free(out);
    return NULL;
}

static int write_file(struct file_update *u, const struct settings *settings, BIO *text)
{
    char why[512];
    char *bytes;
    const long n = BIO_get_mem_data(text, &bytes);
    if (u->old >= 0)
        return ctl_fail(CTL_FAILED, "%s exists; it is not overwritten", u->path);
    if (n <= 0 || file_update_write(u, bytes, (size_t)n, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", n <= 0 ? "the message is empty" : why);
    struct keyring *ring = kek_open_ring(settings, u->temporary);
    const bool usable = ring != NULL && keyring_nth(ring, 0) != NULL;
    keyring_free(ring);
    if (!usable)
        return ctl_fail(CTL_FAILED, "the message holds no KEK file");
    if (file_update_commit(u, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    return CTL_DONE;
}

static int set_owner(struct file_update *u, const char *name)
{
    const struct passwd *user = name == NULL ? NULL : getpwnam(name);
    if (name == NULL)
        return CTL_DONE;
    if (user == NULL)
        return ctl_fail(CTL_FAILED, "--owner: no user \"%s\" on this machine", name);
    u->owner = user->pw_uid;
    u->group = user->pw_gid;
    return CTL_DONE;
}

static int run_recover(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    struct file_update update;
    const char *path, *key = option_value(args, "key");
    char why[512];
    if (key == NULL)
        return ctl_fail(CTL_USAGE, "--key names the private key");
    int code = kek_choose_file(ctl, args, &settings, &path);
    if (code == CTL_DONE)
        code = kek_need_file(path);
    if (code != CTL_DONE)
        return code;
    BIO *text = decrypt(args->words[0], key, &code);
    if (text == NULL)
        return code;
    if (file_update_begin(&update, path, KEK_FILE_MODE, why, sizeof why) != 0) {
        code = ctl_fail(CTL_FAILED, "%s", why);
    } else {
        code = set_owner(&update, option_value(args, "owner"));
        if (code == CTL_DONE)
            code = write_file(&update, &settings, text);
        file_update_end(&update);
    }
    BIO_free(text);
    if (code == CTL_DONE)
        ctl_say(ctl, "The KEKs are in %s; \"spekectl kek list\" compares them with the database.",
                path);
    return code;
}

static const struct ctl_option ESCROW_ROWS[] = {
    {"to", '\0', "CERT", "certificate in PEM to encrypt for; may be given several times"},
    {"out", '\0', "FILE", "where the message goes; else standard output"},
    {"file", '\0', "FILE", "the KEK file; else where the settings say"},
};

const struct ctl_command kek_escrow_command = {
    .name = "kek escrow",
    .words = "",
    .summary = "Encrypt the KEKs for a certificate whose private key is kept elsewhere.",
    .notes = "Each of the certificates opens it. \"openssl cms -decrypt -inform PEM\" does, too.",
    .options = CTL_OPTIONS(ESCROW_ROWS),
    .run = run_escrow,
};

static const struct ctl_option RECOVER_ROWS[] = {
    {"key", '\0', "KEY", "private key in PEM"},
    {"file", '\0', "FILE", "the KEK file to make; else the setting \"kek_file\""},
    {"owner", '\0', "USER", "owner of the file: the user that the key provider runs as"},
};

const struct ctl_command kek_recover_command = {
    .name = "kek recover",
    .words = "MESSAGE",
    .summary = "Make a KEK file from what \"kek escrow\" encrypted.",
    .notes = "The file must not exist yet.",
    .options = CTL_OPTIONS(RECOVER_ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_recover,
};
