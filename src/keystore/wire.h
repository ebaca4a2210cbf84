/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and results of SQL calls in PostgreSQL's binary format (network byte order; arrays as
 * in src/include/utils/array.h), so that neither side prints and parses bytes. */
#ifndef KEYSTORE_WIRE_H
#define KEYSTORE_WIRE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"

/* Types by the numbers that PostgreSQL never changes (pg_type.dat). */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_BOOL_ARRAY = 1000,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951
};

enum { PARAMS_MAX = 28, PARAMS_BYTES_MAX = 4 * 1024 * 1024 };

/* The parameters of one call. Like a buffer it keeps the first failure; params_ok() asks once. */
struct params {
    struct buf data;
    size_t offsets[PARAMS_MAX];
    int lengths[PARAMS_MAX]; /* -1: NULL */
    int count;
    bool failed;
};

void params_init(struct params *p);
void params_free(struct params *p);
void params_clear(struct params *p);
bool params_ok(const struct params *p);

void params_int4(struct params *p, int32_t v);
void params_int8(struct params *p, int64_t v);
/* bytea, or a uuid's 16 bytes; NULL for SQL NULL. */
void params_bytes(struct params *p, const void *bytes, size_t n);
/* Text exactly as it is, which must be UTF-8; NULL for SQL NULL. */
void params_text(struct params *p, const char *text);
/* Text for people to read: bytes that are no UTF-8 become question marks. */
void params_readable_text(struct params *p, const char *text);
/* An array of count elements of a type; each is then given with params_item(), or with
 * params_item_room() by whoever writes it in place (NULL when it does not fit). */
void params_array(struct params *p, uint32_t element_type, size_t count);
void params_item(struct params *p, const void *bytes, size_t n);
unsigned char *params_item_room(struct params *p, size_t n);
/* An element that is a text as params_text() and params_readable_text() put it. */
void params_item_text(struct params *p, const char *text);
void params_item_readable_text(struct params *p, const char *text);
void params_item_int4(struct params *p, int32_t v);
void params_item_int8(struct params *p, int64_t v);
void params_item_bool(struct params *p, bool v);
void params_array_end(struct params *p);
void params_uuids(struct params *p, const struct uuid *uuids, size_t count);

/* Fields of a result. Each returns 0, or -1 when the field is NULL or of another size. */
int result_int4(const PGresult *result, int row, int column, int32_t *out);
int result_int8(const PGresult *result, int row, int column, int64_t *out);
int result_bool(const PGresult *result, int row, int column, bool *out);
int result_bytes(const PGresult *result, int row, int column, void *out, size_t n);
/* The bytes of a field, owned by the result, and their number; NULL when the field is NULL. */
const unsigned char *result_blob(const PGresult *result, int row, int column, size_t *n);
/* The text of a field, terminated with a zero, owned by the result; NULL when the field is. */
const char *result_text(const PGresult *result, int row, int column);

#endif
