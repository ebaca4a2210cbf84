/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and seals of the audit as bytes, and the hashes over them: SHA-256 over PostgreSQL's binary
 * form of a record (doc/audit.md). Worked out here apart from the database, which the audit is
 * there to prove. */
#ifndef CTL_AUDIT_RECORD_H
#define CTL_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { AUDIT_HASH = 32 };

/* The columns of a row, in the order in which they are hashed. */
enum audit_column_number {
    AUDIT_EVENT_ID,
    AUDIT_XACT,
    AUDIT_AT,
    AUDIT_EVENT = 6,
    AUDIT_DETAIL = 17,
    AUDIT_COLUMNS = 20
};

struct audit_column {
    const char *name;
    uint32_t type; /* number of the PostgreSQL type */
};
extern const struct audit_column AUDIT_COLUMN_TABLE[AUDIT_COLUMNS];

/* A value in PostgreSQL's binary format; NULL is the length -1. */
struct audit_field {
    const unsigned char *bytes;
    int length;
};

/* A row of audit_event. Whoever fills it in owns the bytes. */
struct audit_row {
    struct audit_field fields[AUDIT_COLUMNS];
};

/* A seal. event_ids and leaves are NULL in one of which only the rest is known. */
struct audit_seal {
    int64_t seal_no, sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at, last_at;
    int32_t row_count;
    int64_t *event_ids;    /* row_count of them */
    unsigned char *leaves; /* row_count times AUDIT_HASH bytes */
    unsigned char root[AUDIT_HASH], previous[AUDIT_HASH], hash[AUDIT_HASH];
};

/* Most rows of one seal: what PostgreSQL could keep in one value at all. */
enum { AUDIT_SEAL_ROWS_MAX = 32 * 1024 * 1024 };

/* Frees what the seal points to and forgets it. */
void audit_seal_clear(struct audit_seal *seal);

/* Each writes the hash that should be there. Returns 0, or -1 when memory ran out. */
int audit_leaf(const struct audit_row *row, unsigned char out[static AUDIT_HASH]);
int audit_root(const struct audit_seal *seal, unsigned char out[static AUDIT_HASH]);
int audit_hash(const struct audit_seal *seal, unsigned char out[static AUDIT_HASH]);

/* A number of 8 bytes in network order, as an event_id or a time is; 0 for a field of another
 * length. */
int64_t audit_int8(const struct audit_field *field);

/* Returns 0, or -1 unless text is what hex_encode() makes of n bytes. */
int audit_unhex(const char *text, unsigned char *out, size_t n);

/* The time "2026-11-24T14:50:36.123456Z" of microseconds since 2000-01-01T00:00:00Z, PostgreSQL's
 * epoch. Outside of the years 1 to 9999 it is "?". */
enum { AUDIT_TIME_SIZE = 28 };
void audit_time(int64_t microseconds, char out[static AUDIT_TIME_SIZE]);
/* Reads exactly such a time. Returns 0 or -1. */
int audit_time_parse(const char *text, int64_t *microseconds);
/* Now. */
int64_t audit_now(void);

#endif
