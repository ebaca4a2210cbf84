/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_record.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"

/* Types by the numbers that PostgreSQL never changes (pg_type.dat). */
enum {
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_INET = 869,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_INT8_ARRAY = 1016,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_UUID_ARRAY = 2951
};

/* A row of one value may not pass a gigabyte, and all of it does not in PostgreSQL either. */
#define RECORD_MAX ((size_t)INT32_MAX)
/* From 1970 to 2000. */
#define EPOCH INT64_C(946684800)
#define MICRO INT64_C(1000000)
/* 0001-01-01 and the end of 9999 in seconds since 1970. */
#define YEAR_1     INT64_C(-62135596800)
#define YEAR_10000 INT64_C(253402300800)

const struct audit_column AUDIT_COLUMN_TABLE[AUDIT_COLUMNS] = {
    {"event_id", TYPE_INT8},
    {"xact", TYPE_INT8},
    {"at", TYPE_TIMESTAMPTZ},
    {"tenant_id", TYPE_INT4},
    {"client_id", TYPE_INT4},
    {"status", TYPE_INT4},
    {"event", TYPE_TEXT},
    {"via", TYPE_TEXT},
    {"remote_user", TYPE_TEXT},
    {"remote_addr", TYPE_INET},
    {"speke_version", TYPE_TEXT},
    {"content_id", TYPE_TEXT},
    {"kids", TYPE_UUID_ARRAY},
    {"created_kids", TYPE_UUID_ARRAY},
    {"systems", TYPE_UUID_ARRAY},
    {"operator", TYPE_TEXT},
    {"agent", TYPE_TEXT},
    {"detail", TYPE_TEXT},
    {"recipient_fingerprints", TYPE_BYTEA_ARRAY},
    {"recipient_subjects", TYPE_TEXT_ARRAY},
};

void audit_seal_clear(struct audit_seal *seal)
{
    free(seal->event_ids);
    free(seal->leaves);
    *seal = (struct audit_seal){0};
}

/* --- records -------------------------------------------------------------------------------- */

static void put_be64(struct buf *out, int64_t value)
{
    buf_put_be32(out, (uint32_t)((uint64_t)value >> 32));
    buf_put_be32(out, (uint32_t)((uint64_t)value & UINT32_MAX));
}

/* record_send(): the number of fields, then of each the type, the length and the bytes. */
static void put_record(struct buf *out, uint32_t fields, const char *tag)
{
    buf_put_be32(out, fields);
    buf_put_be32(out, TYPE_TEXT);
    buf_put_be32(out, (uint32_t)strlen(tag));
    buf_puts(out, tag);
}

static void put_field(struct buf *out, uint32_t type, const void *bytes, size_t n)
{
    buf_put_be32(out, type);
    buf_put_be32(out, (uint32_t)n);
    buf_put(out, bytes, n);
}

static void put_int8(struct buf *out, uint32_t type, int64_t value)
{
    buf_put_be32(out, type);
    buf_put_be32(out, sizeof value);
    put_be64(out, value);
}

static void put_int4(struct buf *out, int32_t value)
{
    buf_put_be32(out, TYPE_INT4);
    buf_put_be32(out, sizeof value);
    buf_put_be32(out, (uint32_t)value);
}

/* Hashes and frees the record. */
static int finish(struct buf *record, unsigned char out[static AUDIT_HASH])
{
    int result = -1;
    if (buf_ok(record) && SHA256(record->data, record->len, out) != NULL)
        result = 0;
    buf_free(record);
    return result;
}

int audit_leaf(const struct audit_row *row, unsigned char out[static AUDIT_HASH])
{
    struct buf record;
    buf_init(&record, RECORD_MAX);
    put_record(&record, AUDIT_COLUMNS + 1, "audit_event 1");
    for (size_t i = 0; i < AUDIT_COLUMNS; i++) {
        const struct audit_field *field = &row->fields[i];
        if (field->length >= 0) {
            put_field(&record, AUDIT_COLUMN_TABLE[i].type, field->bytes, (size_t)field->length);
        } else {
            buf_put_be32(&record, AUDIT_COLUMN_TABLE[i].type);
            buf_put_be32(&record, UINT32_MAX);
        }
    }
    return finish(&record, out);
}

int audit_root(const struct audit_seal *seal, unsigned char out[static AUDIT_HASH])
{
    enum { ARRAY_HEAD = 20, ITEM = 12 };
    struct buf record;
    const uint32_t count = (uint32_t)seal->row_count;
    buf_init(&record, RECORD_MAX);
    put_record(&record, 3, "audit_root 1");
    /* array_send(): one dimension, no NULL, the items' type, their number, the first one's. */
    buf_put_be32(&record, TYPE_INT8_ARRAY);
    buf_put_be32(&record, ARRAY_HEAD + ITEM * count);
    buf_put_be32(&record, 1);
    buf_put_be32(&record, 0);
    buf_put_be32(&record, TYPE_INT8);
    buf_put_be32(&record, count);
    buf_put_be32(&record, 1);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_be32(&record, sizeof seal->event_ids[i]);
        put_be64(&record, seal->event_ids[i]);
    }
    put_field(&record, TYPE_BYTEA, seal->leaves, (size_t)AUDIT_HASH * count);
    return finish(&record, out);
}

int audit_hash(const struct audit_seal *seal, unsigned char out[static AUDIT_HASH])
{
    struct buf record;
    buf_init(&record, RECORD_MAX);
    put_record(&record, 12, "audit_seal 1");
    put_int8(&record, TYPE_INT8, seal->seal_no);
    put_int8(&record, TYPE_TIMESTAMPTZ, seal->sealed_at);
    put_int8(&record, TYPE_INT8, seal->cluster);
    put_int8(&record, TYPE_INT8, seal->xact_offset);
    put_int8(&record, TYPE_INT8, seal->upto_xact);
    put_int8(&record, TYPE_INT8, seal->upto_event_id);
    put_int8(&record, TYPE_TIMESTAMPTZ, seal->first_at);
    put_int8(&record, TYPE_TIMESTAMPTZ, seal->last_at);
    put_int4(&record, seal->row_count);
    put_field(&record, TYPE_BYTEA, seal->root, AUDIT_HASH);
    put_field(&record, TYPE_BYTEA, seal->previous, AUDIT_HASH);
    return finish(&record, out);
}

/* --- values --------------------------------------------------------------------------------- */

int64_t audit_int8(const struct audit_field *field)
{
    uint64_t value = 0;
    if (field->length != (int)sizeof value)
        return 0;
    for (size_t i = 0; i < sizeof value; i++)
        value = value << 8 | field->bytes[i];
    return (int64_t)value;
}

int audit_unhex(const char *text, unsigned char *out, size_t n)
{
    if (text == NULL || strlen(text) != 2 * n || strpbrk(text, "ABCDEF") != NULL)
        return -1;
    return hex_decode(text, out, n);
}

void audit_time(int64_t microseconds, char out[static AUDIT_TIME_SIZE])
{
    struct tm t;
    int64_t seconds = microseconds / MICRO;
    int64_t rest = microseconds % MICRO;
    if (rest < 0) {
        rest += MICRO;
        seconds--;
    }
    const time_t unix_time = (time_t)(seconds + EPOCH);
    if (seconds + EPOCH < YEAR_1 || seconds + EPOCH >= YEAR_10000 ||
        gmtime_r(&unix_time, &t) == NULL) {
        memcpy(out, "?", 2);
        return;
    }
    char day[24];
    (void)strftime(day, sizeof day, "%m-%dT%H:%M:%S", &t); /* 14 characters */
    (void)snprintf(out, AUDIT_TIME_SIZE, "%04u-%.14s.%06uZ", (unsigned)(t.tm_year + 1900) % 10000,
                   day, (unsigned)rest % (unsigned)MICRO);
}

/* Two or four digits; what is none is told by comparing what comes of it with the text. */
static int digits(const char *text, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++)
        value = 10 * value + (text[i] - '0');
    return value;
}

int audit_time_parse(const char *text, int64_t *microseconds)
{
    char again[AUDIT_TIME_SIZE];
    if (text == NULL || strlen(text) != AUDIT_TIME_SIZE - 1)
        return -1;
    struct tm t = {.tm_year = digits(text, 4) - 1900,
                   .tm_mon = digits(text + 5, 2) - 1,
                   .tm_mday = digits(text + 8, 2),
                   .tm_hour = digits(text + 11, 2),
                   .tm_min = digits(text + 14, 2),
                   .tm_sec = digits(text + 17, 2)};
    const int64_t value = ((int64_t)timegm(&t) - EPOCH) * MICRO + digits(text + 20, 6);
    audit_time(value, again);
    if (strcmp(text, again) != 0)
        return -1;
    *microseconds = value;
    return 0;
}

int64_t audit_now(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0)
        return 0;
    return ((int64_t)t.tv_sec - EPOCH) * MICRO + t.tv_nsec / 1000;
}
