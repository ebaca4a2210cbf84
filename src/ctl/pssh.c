/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pssh.h"

#include <stdbool.h>
#include <string.h>

#include "base/base64.h"

enum {
    BOX_HEAD = 28,       /* size, type, version and flags, system ID */
    PRO_HEAD = 6,        /* length, record count */
    RECORD_HEAD = 4,     /* type, length */
    RECORD_HEADER = 1,   /* type of the record that holds the header */
    HEADER_CHARS = 8192, /* of a PlayReady header that is looked at */
    FIELD_KEY_IDS = 2    /* of the Widevine message */
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

/* Walks the fields of a Widevine message and keeps those that are key IDs. */
static int widevine_read(const unsigned char *p, size_t n, struct pssh_box *out)
{
    while (n > 0) {
        uint64_t tag, value;
        size_t used = varint(p, n, &tag);
        if (used == 0)
            return -1;
        const size_t more = varint(p + used, n - used, &value);
        if (more == 0)
            return -1;
        used += more;
        switch (tag & 7) {
        case 0: /* number */
            break;
        case 2: /* bytes */
            if (value > n - used)
                return -1;
            if (tag >> 3 == FIELD_KEY_IDS && value == UUID_BYTES && out->kid_count < PSSH_KIDS_MAX)
                memcpy(out->kids[out->kid_count++].bytes, p + used, UUID_BYTES);
            used += (size_t)value;
            break;
        default:
            return -1;
        }
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

int playready_object_read(const unsigned char *bytes, size_t n, struct uuid *kids, size_t most,
                          size_t *count)
{
    char text[HEADER_CHARS];
    *count = 0;
    if (n < PRO_HEAD || le32(bytes) != n)
        return -1;
    size_t at = PRO_HEAD;
    for (size_t records = le16(bytes + 4); records > 0; records--) {
        if (n - at < RECORD_HEAD)
            return -1;
        const size_t type = le16(bytes + at), length = le16(bytes + at + 2);
        at += RECORD_HEAD;
        if (length > n - at || length / 2 >= sizeof text)
            return -1;
        if (type == RECORD_HEADER) {
            /* UTF-16LE; whatever is not ASCII is no part of what is looked for. */
            for (size_t i = 0; i < length / 2; i++) {
                const size_t c = le16(bytes + at + 2 * i);
                text[i] = (char)(c > 0 && c < 0x80 ? c : '?');
            }
            text[length / 2] = '\0';
            header_kids(text, kids, most, count);
        }
        at += length;
    }
    return at == n ? 0 : -1;
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
    if (out->version == 0 && uuid_equal(&out->system_id, &WIDEVINE))
        return widevine_read(bytes + at, data, out);
    if (out->version == 0 && uuid_equal(&out->system_id, &PLAYREADY))
        return playready_object_read(bytes + at, data, out->kids, PSSH_KIDS_MAX, &out->kid_count);
    return 0;
}
