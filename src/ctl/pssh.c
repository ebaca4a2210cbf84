/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pssh.h"

#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"

enum {
    BOX_HEAD = 28,       /* size, type, version and flags, system ID */
    PRO_HEAD = 6,        /* length, record count */
    RECORD_HEAD = 4,     /* type, length */
    RECORD_HEADER = 1,   /* type of the record that holds the header */
    HEADER_CHARS = 8192, /* of a PlayReady header that is looked at */
    /* of the Widevine message */
    FIELD_KEY_IDS = 2,
    FIELD_PROVIDER = 3,
    FIELD_CONTENT_ID = 4,
    FIELD_POLICY = 6,
    FIELD_PROTECTION_SCHEME = 9
};

static const struct uuid WIDEVINE = {{0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8,
                                      0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed}};
static const struct uuid PLAYREADY = {{0x9a, 0x04, 0xf0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xab, 0x92,
                                       0xe6, 0x5b, 0xe0, 0x88, 0x5f, 0x95}};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const unsigned char *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static size_t le16(const unsigned char *p)
{
    return (size_t)p[1] << 8 | p[0];
}

/* A base 128 number of protobuf. Returns the bytes it takes, 0 when it does not end in time. */
static size_t varint(const unsigned char *p, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n && i < 10; i++) {
        *out |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80)
            return i + 1;
    }
    return 0;
}

/* A field of a protobuf message. */
struct field {
    uint64_t number, value; /* value is that of a number */
    struct pssh_bytes bytes;
};

/* Reads the field at p. Returns the bytes it takes, 0 when it is none. */
static size_t read_field(const unsigned char *p, size_t n, struct field *out)
{
    uint64_t tag;
    *out = (struct field){0};
    const size_t head = varint(p, n, &tag);
    if (head == 0)
        return 0;
    const size_t more = varint(p + head, n - head, &out->value);
    if (more == 0)
        return 0;
    const size_t used = head + more;
    out->number = tag >> 3;
    if ((tag & 7) == 0) /* number */
        return used;
    if ((tag & 7) != 2 || out->value > n - used) /* bytes */
        return 0;
    out->bytes = (struct pssh_bytes){p + used, (size_t)out->value};
    return used + (size_t)out->value;
}

static void take_field(const struct field *field, struct pssh_box *out)
{
    switch (field->number) {
    case FIELD_KEY_IDS:
        if (field->bytes.size == UUID_BYTES && out->kid_count < PSSH_KIDS_MAX)
            memcpy(out->kids[out->kid_count++].bytes, field->bytes.bytes, UUID_BYTES);
        break;
    case FIELD_PROVIDER:
        out->widevine.provider = field->bytes;
        break;
    case FIELD_CONTENT_ID:
        out->widevine.content_id = field->bytes;
        break;
    case FIELD_POLICY:
        out->widevine.policy = field->bytes;
        break;
    case FIELD_PROTECTION_SCHEME:
        out->widevine.protection_scheme = (uint32_t)field->value;
        break;
    default:
        break;
    }
}

/* Walks the fields of a Widevine message and keeps those that are told of. */
static int widevine_read(const unsigned char *p, size_t n, struct pssh_box *out)
{
    while (n > 0) {
        struct field field;
        const size_t used = read_field(p, n, &field);
        if (used == 0)
            return -1;
        take_field(&field, out);
        p += used;
        n -= used;
    }
    return 0;
}

/* A KID is base64 of 16 bytes in GUID order. */
static bool header_kid(const char *text, struct uuid *out)
{
    enum { KID_CHARS = 24 };
    struct uuid guid;
    size_t len;
    if (strnlen(text, KID_CHARS) != KID_CHARS ||
        base64_decode(text, KID_CHARS, guid.bytes, UUID_BYTES, &len) != 0 || len != UUID_BYTES)
        return false;
    uuid_guid_order(&guid, out->bytes); /* its own inverse */
    return true;
}

/* Finds the KIDs of a header: elements <KID>...</KID>, in 4.1 and later attributes VALUE. */
static void header_kids(const char *text, struct uuid *kids, size_t most, size_t *count)
{
    for (const char *p = text; (p = strstr(p, "<KID")) != NULL && *count < most; p++) {
        const char *end = strchr(p, '>');
        if (end == NULL)
            return;
        const char *value = strstr(p, "VALUE=\"");
        const char *start = end + 1;
        if (value != NULL && value < end)
            start = value + strlen("VALUE=\"");
        if (header_kid(start, &kids[*count]))
            (*count)++;
    }
}

/* Finds the next record that holds a header, from *at on, which starts as 0 and is moved on;
 * *left counts the records that follow. Returns 1, 0 when there is none and the object ends where
 * it says, or -1 when it does not hold together. */
static int next_header(const unsigned char *bytes, size_t n, size_t *at, size_t *left,
                       struct pssh_bytes *out)
{
    if (*at == 0) {
        if (n < PRO_HEAD || le32(bytes) != n)
            return -1;
        *left = le16(bytes + 4);
        *at = PRO_HEAD;
    }
    for (; *left > 0; (*left)--) {
        if (n - *at < RECORD_HEAD)
            return -1;
        const size_t type = le16(bytes + *at), length = le16(bytes + *at + 2);
        *at += RECORD_HEAD;
        if (length > n - *at)
            return -1;
        *out = (struct pssh_bytes){bytes + *at, length};
        *at += length;
        if (type == RECORD_HEADER) {
            (*left)--;
            return 1;
        }
    }
    return *at == n ? 0 : -1;
}

int playready_object_read(const unsigned char *bytes, size_t n, struct uuid *kids, size_t most,
                          size_t *count)
{
    char text[HEADER_CHARS];
    struct pssh_bytes header;
    size_t at = 0, left = 0;
    int found;
    *count = 0;
    while ((found = next_header(bytes, n, &at, &left, &header)) == 1) {
        const size_t length = header.size / 2;
        if (length >= sizeof text)
            return -1;
        /* UTF-16LE; whatever is not ASCII is no part of what is looked for. */
        for (size_t i = 0; i < length; i++) {
            const size_t c = le16(header.bytes + 2 * i);
            text[i] = (char)(c > 0 && c < 0x80 ? c : '?');
        }
        text[length] = '\0';
        header_kids(text, kids, most, count);
    }
    return found;
}

/* Appends a character that is no surrogate as UTF-8 (RFC 3629 section 3). */
static void put_utf8(struct buf *out, uint32_t c)
{
    enum { NEXT = 0x80, BITS = 0x3f };
    if (c < 0x80) {
        buf_put_u8(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        buf_put_u8(out, (uint8_t)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_put_u8(out, (uint8_t)(0xe0 | c >> 12));
        } else {
            buf_put_u8(out, (uint8_t)(0xf0 | c >> 18));
            buf_put_u8(out, (uint8_t)(NEXT | (c >> 12 & BITS)));
        }
        buf_put_u8(out, (uint8_t)(NEXT | (c >> 6 & BITS)));
    }
    buf_put_u8(out, (uint8_t)(NEXT | (c & BITS)));
}

/* UTF-16LE to UTF-8 (RFC 2781 section 2.2). */
static void put_utf16le(struct buf *out, struct pssh_bytes text)
{
    enum { REPLACEMENT = 0xfffd };
    for (size_t i = 0; i + 1 < text.size; i += 2) {
        uint32_t c = (uint32_t)le16(text.bytes + i);
        const uint32_t low = i + 3 < text.size ? (uint32_t)le16(text.bytes + i + 2) : 0;
        if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        } else if ((c >= 0xd800 && c < 0xe000) || c == 0) {
            c = REPLACEMENT;
        }
        put_utf8(out, c);
    }
}

int playready_object_header(const unsigned char *bytes, size_t n, struct buf *out)
{
    struct pssh_bytes header;
    size_t at = 0, left = 0;
    if (next_header(bytes, n, &at, &left, &header) != 1)
        return -1;
    put_utf16le(out, header);
    return 0;
}

int pssh_read(const unsigned char *bytes, size_t n, struct pssh_box *out)
{
    *out = (struct pssh_box){0};
    if (n < BOX_HEAD + 4 || memcmp(bytes + 4, "pssh", 4) != 0)
        return -1;
    const size_t size = be32(bytes);
    if (size < BOX_HEAD + 4 || size > n || bytes[8] > 1)
        return -1;
    out->size = size;
    out->version = bytes[8];
    memcpy(out->system_id.bytes, bytes + 12, UUID_BYTES);
    size_t at = BOX_HEAD;
    if (out->version == 1) {
        const size_t kids = be32(bytes + at);
        at += 4;
        if (kids > PSSH_KIDS_MAX || kids * UUID_BYTES + 4 > size - at)
            return -1;
        for (size_t i = 0; i < kids; i++, at += UUID_BYTES)
            memcpy(out->kids[i].bytes, bytes + at, UUID_BYTES);
        out->kid_count = kids;
    }
    const size_t data = be32(bytes + at);
    at += 4;
    if (data != size - at)
        return -1;
    out->data = (struct pssh_bytes){bytes + at, data};
    if (out->version == 0 && uuid_equal(&out->system_id, &WIDEVINE))
        return widevine_read(bytes + at, data, out);
    if (out->version == 0 && uuid_equal(&out->system_id, &PLAYREADY))
        return playready_object_read(bytes + at, data, out->kids, PSSH_KIDS_MAX, &out->kid_count);
    return 0;
}
