/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/token_session.h"

#include <errno.h>
#include <fcntl.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "keystore/kek_source.h"

enum {
    SLOTS_MAX = 64,
    PIN_SIZE = 256,
    PATH_SIZE = 1280,
    TAG_BITS = 128,
    TAG_BYTES = 16,
    IV_BYTES = 12,
    IV_BITS = 96
};

struct token_session {
    P11KitUri *uri;
    CK_FUNCTION_LIST *module;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    bool initialized, opened;
};

static int fault(char *why, size_t why_size, const char *doing, CK_RV rv)
{
    (void)snprintf(why, why_size, "%s: %s", doing, p11_kit_strerror(rv));
    return -1;
}

/* --- the PIN -------------------------------------------------------------------------------- */

/* pin-source=file:PATH or an absolute path; else the credential "pin". */
static int pin_path(const P11KitUri *uri, char *out, size_t size, bool *credential, char *why,
                    size_t why_size)
{
    static const char SCHEME[] = "file:";
    const char *source = p11_kit_uri_get_pin_source(uri);
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    int n = -1;
    *credential = source == NULL;
    if (source != NULL && strncmp(source, SCHEME, strlen(SCHEME)) == 0)
        source += strlen(SCHEME);
    if (source != NULL && source[0] == '/')
        n = snprintf(out, size, "%s", source);
    else if (source == NULL && directory != NULL)
        n = snprintf(out, size, "%s/pin", directory);
    if (n > 0 && (size_t)n < size)
        return 0;
    (void)snprintf(why, why_size, "the URI has no pin-source that names a file");
    return -1;
}

/* Into pin on the secure heap, without the line's end. Returns its length or -1. */
static ssize_t read_pin(const P11KitUri *uri, char *pin, char *why, size_t why_size)
{
    char path[PATH_SIZE];
    struct stat st;
    bool credential;
    ssize_t n = -1;
    if (p11_kit_uri_get_pin_value(uri) != NULL) {
        (void)snprintf(why, why_size, "a PIN does not belong into the settings: use pin-source");
        return -1;
    }
    if (pin_path(uri, path, sizeof path, &credential, why, why_size) != 0)
        return -1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    else if (source_judge(path, &st, credential, why, why_size) == 0) {
        n = read(fd, pin, PIN_SIZE);
        if (n < 0)
            (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0)
        (void)close(fd); /* read only: nothing can be lost */
    while (n > 0 && (pin[n - 1] == '\n' || pin[n - 1] == '\r'))
        n--;
    return n;
}

static int login(struct token_session *s, char *why, size_t why_size)
{
    char *pin = secret_alloc(PIN_SIZE);
    if (pin == NULL) {
        (void)snprintf(why, why_size, "the secure heap is full");
        return -1;
    }
    int result = -1;
    const ssize_t n = read_pin(s->uri, pin, why, why_size);
    if (n >= 0) {
        const CK_RV rv = s->module->C_Login(s->session, CKU_USER, (unsigned char *)pin,
                                            (CK_ULONG)n);
        result = rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN
                     ? 0
                     : fault(why, why_size, "logging in", rv);
    }
    secret_free(pin, PIN_SIZE);
    return result;
}

/* --- token and key -------------------------------------------------------------------------- */

/* The one slot whose token the URI is about. */
static int find_slot(const struct token_session *s, CK_SLOT_ID *slot, char *why, size_t why_size)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;
    unsigned found = 0;
    const CK_RV rv = s->module->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return fault(why, why_size, "asking for tokens", rv);
    for (CK_ULONG i = 0; i < count; i++) {
        if (s->module->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            p11_kit_uri_match_token_info(s->uri, &info) == 1) {
            *slot = slots[i];
            found++;
        }
    }
    if (found == 1)
        return 0;
    (void)snprintf(why, why_size, "the URI names %s token", found == 0 ? "no" : "more than one");
    return -1;
}

static int find_key(struct token_session *s, char *why, size_t why_size)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE wanted[8] = {{CKA_CLASS, &class, sizeof class}};
    CK_ULONG count = 1, given = 0, found = 0;
    CK_OBJECT_HANDLE handles[2];
    const CK_ATTRIBUTE *attributes = p11_kit_uri_get_attributes(s->uri, &given);
    for (CK_ULONG i = 0; i < given && count < sizeof wanted / sizeof wanted[0]; i++) {
        if (attributes[i].type != CKA_CLASS)
            wanted[count++] = attributes[i];
    }
    CK_RV rv = s->module->C_FindObjectsInit(s->session, wanted, count);
    if (rv == CKR_OK)
        rv = s->module->C_FindObjects(s->session, handles, 2, &found);
    if (rv == CKR_OK)
        rv = s->module->C_FindObjectsFinal(s->session);
    if (rv != CKR_OK)
        return fault(why, why_size, "looking for the key", rv);
    s->key = handles[0];
    if (found == 1)
        return 0;
    (void)snprintf(why, why_size, "the URI names %s secret key",
                   found == 0 ? "no" : "more than one");
    return -1;
}

static int load_module(struct token_session *s, char *why, size_t why_size)
{
    const char *path = p11_kit_uri_get_module_path(s->uri);
    if (path == NULL || path[0] != '/') {
        (void)snprintf(why, why_size, "the URI has no module-path that begins with \"/\"");
        return -1;
    }
    s->module = p11_kit_module_load(path, P11_KIT_MODULE_CRITICAL);
    if (s->module == NULL) {
        (void)snprintf(why, why_size, "%s: %s", path, p11_kit_message());
        return -1;
    }
    const CK_RV rv = p11_kit_module_initialize(s->module);
    s->initialized = rv == CKR_OK;
    return s->initialized ? 0 : fault(why, why_size, path, rv);
}

static int open_session(struct token_session *s, char *why, size_t why_size)
{
    CK_SLOT_ID slot;
    if (find_slot(s, &slot, why, why_size) != 0)
        return -1;
    const CK_RV rv = s->module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &s->session);
    s->opened = rv == CKR_OK;
    return s->opened ? 0 : fault(why, why_size, "opening a session", rv);
}

static int parse_uri(struct token_session *s, const char *uri, char *why, size_t why_size)
{
    s->uri = p11_kit_uri_new();
    const int code = s->uri == NULL ? P11_KIT_URI_UNEXPECTED
                                    : p11_kit_uri_parse(uri, P11_KIT_URI_FOR_ANY, s->uri);
    if (code == P11_KIT_URI_OK && p11_kit_uri_any_unrecognized(s->uri) == 0)
        return 0;
    (void)snprintf(why, why_size, "pkcs11_uri: %s",
                   code == P11_KIT_URI_OK ? "an attribute is not known"
                                          : p11_kit_uri_message(code));
    return -1;
}

struct token_session *token_session_open(const char *uri, char *why, size_t why_size)
{
    struct token_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)snprintf(why, why_size, "out of memory");
        return NULL;
    }
    if (parse_uri(s, uri, why, why_size) == 0 && load_module(s, why, why_size) == 0 &&
        open_session(s, why, why_size) == 0 && login(s, why, why_size) == 0 &&
        find_key(s, why, why_size) == 0)
        return s;
    token_session_close(s);
    return NULL;
}

void token_session_close(struct token_session *s)
{
    /* Nothing is kept in the session, so what these may say does not matter. */
    if (s->opened)
        (void)s->module->C_CloseSession(s->session);
    if (s->initialized)
        (void)p11_kit_module_finalize(s->module);
    if (s->module != NULL)
        p11_kit_module_release(s->module);
    p11_kit_uri_free(s->uri);
    free(s);
}

/* --- using the key -------------------------------------------------------------------------- */

/* PKCS#11 takes pointers to what it does not change without const. */
static void *mutable(const void *p)
{
    void *q;
    memcpy(&q, &p, sizeof q);
    return q;
}

static CK_GCM_PARAMS gcm(const unsigned char *iv, const char *aad, size_t aad_size)
{
    return (CK_GCM_PARAMS){.iv_ptr = mutable(iv),
                           .iv_len = IV_BYTES,
                           .iv_bits = IV_BITS,
                           .aad_ptr = mutable(aad),
                           .aad_len = aad_size,
                           .tag_bits = TAG_BITS};
}

int token_session_encrypt(struct token_session *s, const unsigned char *iv, const char *aad,
                          size_t aad_size, const unsigned char *clear, size_t size,
                          unsigned char *out, char *why, size_t why_size)
{
    CK_GCM_PARAMS params = gcm(iv, aad, aad_size);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};
    CK_ULONG length = size + TAG_BYTES;
    CK_RV rv = s->module->C_EncryptInit(s->session, &mechanism, s->key);
    if (rv == CKR_OK)
        rv = s->module->C_Encrypt(s->session, mutable(clear), size, out, &length);
    if (rv == CKR_OK && length != size + TAG_BYTES)
        rv = CKR_GENERAL_ERROR;
    return rv == CKR_OK ? 0 : fault(why, why_size, "wrapping with the token", rv);
}

int token_session_decrypt(struct token_session *s, const unsigned char *iv, const char *aad,
                          size_t aad_size, const unsigned char *sealed, size_t sealed_size,
                          unsigned char *out, size_t size, char *why, size_t why_size)
{
    CK_GCM_PARAMS params = gcm(iv, aad, aad_size);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};
    /* Some tokens want room for the tag, too. */
    CK_ULONG length = sealed_size;
    unsigned char *clear = secret_alloc(sealed_size);
    if (clear == NULL) {
        (void)snprintf(why, why_size, "the secure heap is full");
        return -1;
    }
    CK_RV rv = s->module->C_DecryptInit(s->session, &mechanism, s->key);
    if (rv == CKR_OK)
        rv = s->module->C_Decrypt(s->session, mutable(sealed), sealed_size, clear, &length);
    if (rv == CKR_OK && length != size)
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        memcpy(out, clear, size);
    secret_free(clear, sealed_size);
    return rv == CKR_OK ? 0 : fault(why, why_size, "unwrapping with the token", rv);
}
