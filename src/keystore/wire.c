/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/wire.h"

#include <limits.h>
#include <string.h>

#include "base/utf8.h"

enum { INT4_BYTES = 4 };

void params_init(struct params *p)
{
    memset(p, 0, sizeof *p);
    buf_init(&p->data, PARAMS_BYTES_MAX);
}

void params_free(struct params *p)
{
    buf_free(&p->data);
    p->count = 0;
}

void params_clear(struct params *p)
{
    buf_clear(&p->data);
    p->count = 0;
    p->failed = false;
}

bool params_ok(const struct params *p)
{
    return !p->failed && buf_ok(&p->data);
}

/* Begins the next parameter. Returns false when there are too many. */
static bool begin(struct params *p)
{
    if (p->count == PARAMS_MAX) {
        p->failed = true;
        return false;
    }
    p->offsets[p->count] = p->data.len;
    return true;
}

static void end(struct params *p)
{
    /* Fits an int: the buffer's maximum does. */
    p->lengths[p->count] = (int)(p->data.len - p->offsets[p->count]);
    p->count++;
}

static void null(struct params *p)
{
    p->lengths[p->count++] = -1;
}

void params_int4(struct params *p, int32_t v)
{
    if (!begin(p))
        return;
    buf_put_be32(&p->data, (uint32_t)v);
    end(p);
}

static void put_int8(struct buf *b, int64_t v)
{
    buf_put_be32(b, (uint32_t)((uint64_t)v >> 32));
    buf_put_be32(b, (uint32_t)((uint64_t)v & UINT32_MAX));
}

void params_int8(struct params *p, int64_t v)
{
    if (!begin(p))
        return;
    put_int8(&p->data, v);
    end(p);
}

void params_text(struct params *p, const char *text)
{
    if (!begin(p))
        return;
    if (text == NULL) {
        null(p);
        return;
    }
    buf_puts(&p->data, text);
    end(p);
}

void params_bytes(struct params *p, const void *bytes, size_t n)
{
    if (!begin(p))
        return;
    if (bytes == NULL) {
        null(p);
        return;
    }
    buf_put(&p->data, bytes, n);
    end(p);
}

/* Writes as many bytes as the text has. */
static void put_readable(struct buf *b, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const size_t good = utf8_valid_prefix(text, left);
        buf_put(b, text, good);
        text += good;
        left -= good;
        if (left > 0) {
            buf_putc(b, '?');
            text++;
            left--;
        }
    }
}

void params_readable_text(struct params *p, const char *text)
{
    if (!begin(p))
        return;
    if (text == NULL) {
        null(p);
        return;
    }
    put_readable(&p->data, text);
    end(p);
}

void params_array(struct params *p, uint32_t element_type, size_t count)
{
    if (!begin(p))
        return;
    if (count > INT_MAX) {
        p->failed = true;
        return;
    }
    buf_put_be32(&p->data, count > 0 ? 1 : 0); /* dimensions */
    buf_put_be32(&p->data, 0);                 /* no element is NULL, see item_null() */
    buf_put_be32(&p->data, element_type);
    if (count == 0)
        return;
    buf_put_be32(&p->data, (uint32_t)count);
    buf_put_be32(&p->data, 1); /* subscript of the first */
}

unsigned char *params_item_room(struct params *p, size_t n)
{
    if (n > PARAMS_BYTES_MAX) {
        p->failed = true;
        return NULL;
    }
    buf_put_be32(&p->data, (uint32_t)n);
    unsigned char *room = buf_room(&p->data, n);
    if (room != NULL)
        p->data.len += n;
    return room;
}

void params_item(struct params *p, const void *bytes, size_t n)
{
    unsigned char *room = params_item_room(p, n);
    if (room != NULL)
        memcpy(room, bytes, n);
}

void params_item_int4(struct params *p, int32_t v)
{
    buf_put_be32(&p->data, sizeof v);
    buf_put_be32(&p->data, (uint32_t)v);
}

void params_item_int8(struct params *p, int64_t v)
{
    buf_put_be32(&p->data, sizeof v);
    put_int8(&p->data, v);
}

void params_item_bool(struct params *p, bool v)
{
    buf_put_be32(&p->data, 1);
    buf_put_u8(&p->data, v ? 1 : 0);
}

/* The array's header, which begins the parameter, tells that there is one. */
static void item_null(struct params *p)
{
    enum { FLAGS_END = 7 };
    buf_put_be32(&p->data, UINT32_MAX);
    if (buf_ok(&p->data) && p->count < PARAMS_MAX)
        p->data.data[p->offsets[p->count] + FLAGS_END] = 1;
}

void params_item_text(struct params *p, const char *text)
{
    if (text == NULL)
        item_null(p);
    else
        params_item(p, text, strlen(text));
}

void params_item_readable_text(struct params *p, const char *text)
{
    if (text == NULL) {
        item_null(p);
        return;
    }
    const size_t n = strlen(text);
    if (n > PARAMS_BYTES_MAX) {
        p->failed = true;
        return;
    }
    buf_put_be32(&p->data, (uint32_t)n);
    put_readable(&p->data, text);
}

void params_array_end(struct params *p)
{
    if (!p->failed)
        end(p);
}

void params_uuids(struct params *p, const struct uuid *uuids, size_t count)
{
    params_array(p, OID_UUID, count);
    for (size_t i = 0; i < count; i++)
        params_item(p, uuids[i].bytes, UUID_BYTES);
    params_array_end(p);
}

/* The bytes of a field that must have n of them; NULL otherwise. */
static const unsigned char *field(const PGresult *result, int row, int column, size_t n)
{
    if (PQgetisnull(result, row, column) || PQgetlength(result, row, column) != (int)n)
        return NULL;
    return (const unsigned char *)PQgetvalue(result, row, column);
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int result_int4(const PGresult *result, int row, int column, int32_t *out)
{
    const unsigned char *p = field(result, row, column, sizeof *out);
    if (p == NULL)
        return -1;
    *out = (int32_t)be32(p);
    return 0;
}

int result_int8(const PGresult *result, int row, int column, int64_t *out)
{
    const unsigned char *p = field(result, row, column, sizeof *out);
    if (p == NULL)
        return -1;
    *out = (int64_t)((uint64_t)be32(p) << 32 | be32(p + INT4_BYTES));
    return 0;
}

int result_bool(const PGresult *result, int row, int column, bool *out)
{
    const unsigned char *p = field(result, row, column, 1);
    if (p == NULL)
        return -1;
    *out = p[0] != 0;
    return 0;
}

int result_bytes(const PGresult *result, int row, int column, void *out, size_t n)
{
    const unsigned char *p = field(result, row, column, n);
    if (p == NULL)
        return -1;
    memcpy(out, p, n);
    return 0;
}

const char *result_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

const unsigned char *result_blob(const PGresult *result, int row, int column, size_t *n)
{
    if (PQgetisnull(result, row, column))
        return NULL;
    *n = (size_t)PQgetlength(result, row, column);
    return (const unsigned char *)PQgetvalue(result, row, column);
}
