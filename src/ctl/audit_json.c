/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/uuid.h"

/* As in audit_record.c; and the types of which arrays are. */
enum {
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_INET = 869,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_UUID = 2950,
    TYPE_UUID_ARRAY = 2951
};

/* inet_send(): PostgreSQL's own number of a family, bits of the mask, not a cidr, the length. */
enum { INET_HEAD = 4, INET_V4 = 2, INET_V6 = 3 };

enum { VALUE_MAX = 1 << 30 };

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t item_type(uint32_t type)
{
    switch (type) {
    case TYPE_UUID_ARRAY:
        return TYPE_UUID;
    case TYPE_TEXT_ARRAY:
        return TYPE_TEXT;
    case TYPE_BYTEA_ARRAY:
        return TYPE_BYTEA;
    default:
        return 0;
    }
}

/* --- to JSON: each returns NULL for what has no usual form ----------------------------------- */

static json_t *hex_json(const unsigned char *bytes, size_t n)
{
    char *text = malloc(2 * n + 1);
    if (text == NULL)
        return NULL;
    hex_encode(bytes, n, text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

static json_t *inet_json(const struct audit_field *field)
{
    char text[INET6_ADDRSTRLEN], with_mask[INET6_ADDRSTRLEN + 8];
    const unsigned char *p = field->bytes;
    if (field->length < INET_HEAD || p[3] != field->length - INET_HEAD)
        return NULL;
    const bool v4 = p[0] == INET_V4 && p[3] == 4;
    if ((!v4 && (p[0] != INET_V6 || p[3] != 16)) ||
        inet_ntop(v4 ? AF_INET : AF_INET6, p + INET_HEAD, text, sizeof text) == NULL)
        return NULL;
    if (p[1] == 8 * p[3])
        return json_string(text);
    (void)snprintf(with_mask, sizeof with_mask, "%s/%u", text, (unsigned)p[1]);
    return json_string(with_mask);
}

static json_t *item_json(uint32_t type, const unsigned char *bytes, size_t n)
{
    if (type == TYPE_TEXT)
        return json_stringn((const char *)bytes, n);
    if (type == TYPE_UUID && n == UUID_BYTES) {
        char text[UUID_TEXT_SIZE];
        struct uuid id;
        memcpy(id.bytes, bytes, UUID_BYTES);
        uuid_format(&id, text);
        return json_string(text);
    }
    return type == TYPE_BYTEA ? hex_json(bytes, n) : NULL;
}

/* Arrays of one dimension from 1 on, without NULL; others stay as they are, in hexadecimal. */
static json_t *array_json(uint32_t type, const struct audit_field *field)
{
    enum { HEAD = 12, ONE_DIMENSION = 20, LENGTH = 4 };
    const unsigned char *p = field->bytes, *end = p + field->length;
    if (field->length < HEAD || (field->length > HEAD && field->length < ONE_DIMENSION))
        return NULL;
    json_t *array = json_array();
    p += field->length == HEAD ? HEAD : ONE_DIMENSION;
    while (array != NULL && end - p >= LENGTH) {
        const uint32_t n = be32(p);
        p += LENGTH;
        if (n > (size_t)(end - p) ||
            json_array_append_new(array, item_json(item_type(type), p, n)) != 0) {
            json_decref(array);
            return NULL;
        }
        p += n;
    }
    return array;
}

static json_t *usual_json(uint32_t type, const struct audit_field *field)
{
    char time[AUDIT_TIME_SIZE];
    switch (type) {
    case TYPE_INT8:
        return json_integer(audit_int8(field));
    case TYPE_INT4:
        return field->length == 4 ? json_integer((int32_t)be32(field->bytes)) : NULL;
    case TYPE_TIMESTAMPTZ:
        audit_time(audit_int8(field), time);
        return json_string(time);
    case TYPE_TEXT:
        return json_stringn((const char *)field->bytes, (size_t)field->length);
    case TYPE_INET:
        return inet_json(field);
    default:
        return array_json(type, field);
    }
}

/* --- from JSON: each appends the bytes and returns 0, or -1 ---------------------------------- */

static int put_int(const json_t *value, size_t bytes, struct buf *out)
{
    if (!json_is_integer(value))
        return -1;
    const uint64_t n = (uint64_t)json_integer_value(value);
    if (bytes == 8)
        buf_put_be32(out, (uint32_t)(n >> 32));
    buf_put_be32(out, (uint32_t)(n & UINT32_MAX));
    return 0;
}

static int put_time(const json_t *value, struct buf *out)
{
    int64_t time;
    if (audit_time_parse(json_string_value(value), &time) != 0)
        return -1;
    buf_put_be32(out, (uint32_t)((uint64_t)time >> 32));
    buf_put_be32(out, (uint32_t)((uint64_t)time & UINT32_MAX));
    return 0;
}

static int put_hex(const char *text, struct buf *out)
{
    const size_t n = text != NULL ? strlen(text) / 2 : 0;
    unsigned char *room = buf_room(out, n + 1);
    if (room == NULL || audit_unhex(text, room, n) != 0)
        return -1;
    out->len += n;
    return 0;
}

static int put_inet(const char *text, struct buf *out)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    const char *slash = text != NULL ? strchr(text, '/') : NULL;
    const size_t n = text == NULL ? 0 : slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (n == 0 || n >= sizeof address)
        return -1;
    memcpy(address, text, n);
    address[n] = '\0';
    const bool v4 = inet_pton(AF_INET, address, bytes) == 1;
    if (!v4 && inet_pton(AF_INET6, address, bytes) != 1)
        return -1;
    const unsigned length = v4 ? 4 : 16;
    const unsigned long bits = v4 ? 32 : 128;
    buf_put_u8(out, v4 ? INET_V4 : INET_V6);
    buf_put_u8(out, (uint8_t)(slash != NULL ? strtoul(slash + 1, NULL, 10) : bits));
    buf_put_u8(out, 0);
    buf_put_u8(out, (uint8_t)length);
    buf_put(out, bytes, length);
    return 0;
}

static int put_text(const json_t *value, struct buf *out)
{
    if (!json_is_string(value))
        return -1;
    buf_put(out, json_string_value(value), json_string_length(value));
    return 0;
}

static int put_item(uint32_t type, const json_t *value, struct buf *out)
{
    struct uuid id;
    if (type == TYPE_TEXT)
        return put_text(value, out);
    if (type == TYPE_BYTEA)
        return put_hex(json_string_value(value), out);
    if (!json_is_string(value) || uuid_parse(json_string_value(value), &id) != 0)
        return -1;
    buf_put(out, id.bytes, UUID_BYTES);
    return 0;
}

static int put_array(uint32_t type, const json_t *array, struct buf *out)
{
    size_t i;
    json_t *item;
    if (!json_is_array(array))
        return -1;
    const uint32_t count = (uint32_t)json_array_size(array);
    buf_put_be32(out, count > 0);
    buf_put_be32(out, 0);
    buf_put_be32(out, item_type(type));
    if (count > 0) {
        buf_put_be32(out, count);
        buf_put_be32(out, 1);
    }
    json_array_foreach(array, i, item)
    {
        const size_t before = out->len;
        buf_put_be32(out, 0);
        if (put_item(item_type(type), item, out) != 0 || !buf_ok(out))
            return -1;
        const uint32_t n = (uint32_t)(out->len - before - 4);
        const unsigned char length[] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                        (unsigned char)(n >> 8), (unsigned char)n};
        memcpy(out->data + before, length, sizeof length);
    }
    return 0;
}

static int put_value(uint32_t type, const json_t *value, struct buf *out)
{
    if (json_is_object(value))
        return put_hex(json_string_value(json_object_get(value, "binary")), out);
    switch (type) {
    case TYPE_INT8:
        return put_int(value, 8, out);
    case TYPE_INT4:
        return put_int(value, 4, out);
    case TYPE_TIMESTAMPTZ:
        return put_time(value, out);
    case TYPE_TEXT:
        return put_text(value, out);
    case TYPE_INET:
        return put_inet(json_string_value(value), out);
    default:
        return put_array(type, value, out);
    }
}

/* --- rows ----------------------------------------------------------------------------------- */

json_t *audit_field_json(size_t i, const struct audit_field *field)
{
    const uint32_t type = AUDIT_COLUMN_TABLE[i].type;
    struct buf again;
    if (field->length < 0)
        return json_null();
    json_t *value = usual_json(type, field);
    buf_init(&again, VALUE_MAX);
    const bool same = value != NULL && put_value(type, value, &again) == 0 && buf_ok(&again) &&
                      again.len == (size_t)field->length &&
                      (again.len == 0 || memcmp(again.data, field->bytes, again.len) == 0);
    buf_free(&again);
    if (same)
        return value;
    json_decref(value);
    return json_pack("{s:o}", "binary", hex_json(field->bytes, (size_t)field->length));
}

json_t *audit_row_json(const struct audit_row *row)
{
    json_t *object = json_pack("{s:s}", "type", "event");
    for (size_t i = 0; object != NULL && i < AUDIT_COLUMNS; i++) {
        if (json_object_set_new(object, AUDIT_COLUMN_TABLE[i].name,
                                audit_field_json(i, &row->fields[i])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

int audit_row_parse(const json_t *object, struct audit_row *row, struct buf *storage)
{
    size_t starts[AUDIT_COLUMNS];
    buf_clear(storage);
    for (size_t i = 0; i < AUDIT_COLUMNS; i++) {
        const json_t *value = json_object_get(object, AUDIT_COLUMN_TABLE[i].name);
        starts[i] = storage->len;
        row->fields[i].length = -1;
        if (value == NULL)
            return -1;
        if (json_is_null(value))
            continue;
        if (put_value(AUDIT_COLUMN_TABLE[i].type, value, storage) != 0 || !buf_ok(storage))
            return -1;
        row->fields[i].length = (int)(storage->len - starts[i]);
    }
    for (size_t i = 0; i < AUDIT_COLUMNS; i++)
        row->fields[i].bytes = storage->data + starts[i];
    return 0;
}

/* --- seals ---------------------------------------------------------------------------------- */

static json_t *ids_json(const struct audit_seal *seal)
{
    json_t *array = json_array();
    for (int32_t i = 0; array != NULL && i < seal->row_count; i++) {
        if (json_array_append_new(array, json_integer(seal->event_ids[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *leaves_json(const struct audit_seal *seal)
{
    const size_t n = (size_t)AUDIT_HASH * (size_t)seal->row_count;
    char *text = malloc(BASE64_SIZE(n));
    if (text == NULL)
        return NULL;
    (void)base64_encode(seal->leaves, n, text); /* its length is known */
    json_t *value = json_string(text);
    free(text);
    return value;
}

json_t *audit_seal_json(const struct audit_seal *seal)
{
    char sealed_at[AUDIT_TIME_SIZE], first_at[AUDIT_TIME_SIZE], last_at[AUDIT_TIME_SIZE];
    char root[2 * AUDIT_HASH + 1], previous[2 * AUDIT_HASH + 1], hash[2 * AUDIT_HASH + 1];
    audit_time(seal->sealed_at, sealed_at);
    audit_time(seal->first_at, first_at);
    audit_time(seal->last_at, last_at);
    hex_encode(seal->root, AUDIT_HASH, root);
    hex_encode(seal->previous, AUDIT_HASH, previous);
    hex_encode(seal->hash, AUDIT_HASH, hash);
    json_t *object = json_pack(
        "{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:i, s:s, s:s, s:s}", "type", "seal",
        "seal_no", (json_int_t)seal->seal_no, "sealed_at", sealed_at, "cluster",
        (json_int_t)seal->cluster, "xact_offset", (json_int_t)seal->xact_offset, "upto_xact",
        (json_int_t)seal->upto_xact, "upto_event_id", (json_int_t)seal->upto_event_id, "first_at",
        first_at, "last_at", last_at, "row_count", (int)seal->row_count, "root", root, "previous",
        previous, "hash", hash);
    if (object != NULL && seal->event_ids != NULL &&
        (json_object_set_new(object, "event_ids", ids_json(seal)) != 0 ||
         json_object_set_new(object, "leaves", leaves_json(seal)) != 0)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int parse_rows(const json_t *ids, const json_t *leaves, struct audit_seal *seal)
{
    size_t i, n;
    json_t *item;
    const size_t size = (size_t)AUDIT_HASH * (size_t)seal->row_count;
    if (!json_is_array(ids) || json_array_size(ids) != (size_t)seal->row_count)
        return -1;
    seal->event_ids = calloc((size_t)seal->row_count, sizeof *seal->event_ids);
    seal->leaves = malloc(size);
    if (seal->event_ids == NULL || seal->leaves == NULL || !json_is_string(leaves) ||
        base64_decode(json_string_value(leaves), json_string_length(leaves), seal->leaves, size,
                      &n) != 0 ||
        n != size)
        return -1;
    json_array_foreach(ids, i, item) seal->event_ids[i] = json_integer_value(item);
    return 0;
}

int audit_seal_parse(json_t *object, struct audit_seal *seal)
{
    const char *sealed_at, *first_at, *last_at, *root, *previous, *hash;
    json_int_t seal_no, cluster, xact_offset, upto_xact, upto_event_id;
    int row_count;
    *seal = (struct audit_seal){0};
    if (json_unpack(object, "{s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:i, s:s, s:s, s:s}",
                    "seal_no", &seal_no, "sealed_at", &sealed_at, "cluster", &cluster,
                    "xact_offset", &xact_offset, "upto_xact", &upto_xact, "upto_event_id",
                    &upto_event_id, "first_at", &first_at, "last_at", &last_at, "row_count",
                    &row_count, "root", &root, "previous", &previous, "hash", &hash) != 0 ||
        audit_time_parse(sealed_at, &seal->sealed_at) != 0 ||
        audit_time_parse(first_at, &seal->first_at) != 0 ||
        audit_time_parse(last_at, &seal->last_at) != 0 ||
        audit_unhex(root, seal->root, AUDIT_HASH) != 0 ||
        audit_unhex(previous, seal->previous, AUDIT_HASH) != 0 ||
        audit_unhex(hash, seal->hash, AUDIT_HASH) != 0 || row_count < 1 ||
        row_count > AUDIT_SEAL_ROWS_MAX)
        return -1;
    seal->seal_no = seal_no;
    seal->cluster = cluster;
    seal->xact_offset = xact_offset;
    seal->upto_xact = upto_xact;
    seal->upto_event_id = upto_event_id;
    seal->row_count = row_count;
    const json_t *ids = json_object_get(object, "event_ids");
    if (ids == NULL)
        return 0;
    if (parse_rows(ids, json_object_get(object, "leaves"), seal) == 0)
        return 0;
    audit_seal_clear(seal);
    return -1;
}
