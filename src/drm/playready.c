/* SPDX-License-Identifier: Apache-2.0 */
/* PlayReady: an XML header (WRMHEADER) in UTF-16 in a PlayReady Object (PRO) in a version 0 box.
 * Byte order: all integers of the object are little-endian, and KIDs are in GUID order. */
#include <openssl/evp.h>
#include <stdint.h>

#include "base/base64.h"
#include "base/failure.h"
#include "drm/hls.h"
#include "drm/pssh.h"
#include "drm/system.h"
#include "drm/text.h"

enum {
    KEY_BYTES = 16,
    CHECKSUM_BYTES = 8,
    OBJECT_HEADER = 10,     /* bytes before the header's text */
    LARGEST_OBJECT = 15360, /* what PlayReady clients take */
    RECORD_WRMHEADER = 1,
    USUAL_FRAGMENT = 2048,
};

/* What goes into a header, in base64. */
struct header {
    enum playready_header version;
    bool cbc;
    char kid[BASE64_SIZE(UUID_BYTES)];
    char checksum[BASE64_SIZE(CHECKSUM_BYTES)]; /* of CTR alone */
};

/* Encrypts one block under AES-128. The context is made for each key and freed with it, which
 * wipes the key schedule; the algorithm is looked up once a process. */
static int encrypt_block(const unsigned char *key, const uint8_t in[static UUID_BYTES],
                         unsigned char out[static 2 * KEY_BYTES])
{
    static EVP_CIPHER *aes;
    int n, result = -1;
    if (aes == NULL)
        aes = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    EVP_CIPHER_CTX *context = aes == NULL ? NULL : EVP_CIPHER_CTX_new();
    if (context != NULL && EVP_EncryptInit_ex2(context, aes, key, NULL, NULL) == 1 &&
        EVP_EncryptUpdate(context, out, &n, in, UUID_BYTES) == 1 && n == KEY_BYTES)
        result = 0;
    EVP_CIPHER_CTX_free(context);
    return result;
}

static int make_header(struct header *h, const struct drm_input *in, struct failure *f)
{
    uint8_t kid[UUID_BYTES];
    unsigned char block[2 * KEY_BYTES]; /* EVP_EncryptUpdate() may want a block more */
    h->cbc = in->scheme == SCHEME_CBCS || in->scheme == SCHEME_HLS_SAMPLE_AES;
    h->version = h->cbc ? PLAYREADY_4_3 : in->settings->playready_header;
    uuid_guid_order(in->kid, kid);
    (void)base64_encode(kid, sizeof kid, h->kid);
    if (h->cbc)
        return 0; /* the header has no checksum then */
    if (encrypt_block(in->key, kid, block) != 0)
        return fail_internal(f, "playready: AES-128-ECB failed");
    (void)base64_encode(block, CHECKSUM_BYTES, h->checksum);
    return 0;
}

/* 4.0: KID and CHECKSUM are elements after PROTECTINFO. */
static void put_elements(struct buf *text, const struct header *h)
{
    buf_puts(text, "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>");
    buf_puts(text, h->kid);
    buf_puts(text, "</KID><CHECKSUM>");
    buf_puts(text, h->checksum);
    buf_puts(text, "</CHECKSUM>");
}

/* From 4.1 on: attributes of KID, in alphabetical order. CHECKSUM is forbidden with AESCBC. */
static void put_attributes(struct buf *text, const struct header *h)
{
    const bool list = h->version >= PLAYREADY_4_2;
    buf_puts(text, list ? "<PROTECTINFO><KIDS><KID ALGID=\"" : "<PROTECTINFO><KID ALGID=\"");
    buf_puts(text, h->cbc ? "AESCBC" : "AESCTR");
    if (!h->cbc) {
        buf_puts(text, "\" CHECKSUM=\"");
        buf_puts(text, h->checksum);
    }
    buf_puts(text, "\" VALUE=\"");
    buf_puts(text, h->kid);
    buf_puts(text, list ? "\"></KID></KIDS></PROTECTINFO>" : "\"></KID></PROTECTINFO>");
}

static void put_header(struct buf *text, const struct header *h, const char *la_url)
{
    static const char *const VERSIONS[] = {
        [PLAYREADY_4_0] = "4.0.0.0",
        [PLAYREADY_4_1] = "4.1.0.0",
        [PLAYREADY_4_2] = "4.2.0.0",
        [PLAYREADY_4_3] = "4.3.0.0",
    };
    buf_puts(text, "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" "
                   "version=\"");
    buf_puts(text, VERSIONS[h->version]);
    buf_puts(text, "\"><DATA>");
    if (h->version == PLAYREADY_4_0)
        put_elements(text, h);
    else
        put_attributes(text, h);
    if (signal_given(la_url)) {
        buf_puts(text, "<LA_URL>");
        buf_put_xml(text, la_url);
        buf_puts(text, "</LA_URL>");
    }
    buf_puts(text, "</DATA></WRMHEADER>");
}

/* Appends a box with an object of one record. */
static void put_box(struct signalling *s, const struct buf *record)
{
    const size_t size = OBJECT_HEADER + record->len;
    pssh_put_v0_header(&s->box, &s->system->id, size);
    buf_put_le32(&s->box, (uint32_t)size);
    buf_put_le16(&s->box, 1);
    buf_put_le16(&s->box, RECORD_WRMHEADER);
    buf_put_le16(&s->box, (uint16_t)record->len);
    buf_put(&s->box, record->data, record->len);
}

static int make_box(struct signalling *s)
{
    struct header h;
    struct buf record;
    int result = 0;
    if (make_header(&h, s->in, s->f) != 0)
        return -1;
    /* The largest text to come, so that the buffer is not moved while it grows. */
    (void)buf_room(&s->text, USUAL_FRAGMENT);
    put_header(&s->text, &h, s->in->settings->playready_la_url);
    if (signal_check(s, &s->text) != 0)
        return -1;
    buf_init(&record, s->text.max);
    if (text_put_utf16le(&record, (const char *)s->text.data, s->text.len) != 0)
        result = fail_internal(s->f,
                               "playready: the LA_URL is no UTF-8 or holds a control character");
    else if (signal_check(s, &record) != 0)
        result = -1;
    else if (record.len > LARGEST_OBJECT - OBJECT_HEADER)
        result = fail_internal(s->f, "playready: the LA_URL makes an object above %d bytes",
                               LARGEST_OBJECT);
    else
        put_box(s, &record);
    buf_free(&record);
    return result;
}

static int put_content_protection(struct signalling *s, const char *box, const char *object)
{
    buf_clear(&s->text);
    pssh_put_element(&s->text, box);
    buf_puts(&s->text, "<mspr:pro xmlns:mspr=\"urn:microsoft:playready\">");
    buf_puts(&s->text, object);
    buf_puts(&s->text, "</mspr:pro>");
    return signal_base64(s, &s->text, 0, &s->values.content_protection);
}

/* The order of attributes is the one that encryptors are known to take. */
static int put_lines(struct signalling *s, const char *object)
{
    hls_begin(&s->text, hls_sample_method(s->in));
    hls_put_format(&s->text, s->in->settings, "com.microsoft.playready");
    hls_put_quoted(&s->text, "URI", "data:text/plain;charset=UTF-16;base64,", object);
    return hls_end(s);
}

int playready_signal(struct signalling *s)
{
    const char *box = NULL, *object = NULL;
    if (make_box(s) != 0)
        return -1;
    if (signal_wants(s, DRM_PSSH | DRM_CONTENT_PROTECTION) &&
        signal_base64(s, &s->box, 0, &box) != 0)
        return -1;
    if (signal_wants(s, ~(unsigned)DRM_PSSH) &&
        signal_base64(s, &s->box, PSSH_V0_HEADER, &object) != 0)
        return -1;
    if (signal_wants(s, DRM_PSSH))
        s->values.pssh = box;
    if (signal_wants(s, DRM_SMOOTH_HEADER))
        s->values.smooth_header = object;
    if (signal_wants(s, DRM_CONTENT_PROTECTION) && put_content_protection(s, box, object) != 0)
        return -1;
    return signal_wants(s, DRM_HLS_MEDIA | DRM_HLS_MASTER) ? put_lines(s, object) : 0;
}
