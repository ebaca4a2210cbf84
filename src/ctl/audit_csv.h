/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the CSV that an export of the audit is written in (RFC 4180, lines end with CR LF or LF).
 */
#ifndef CTL_AUDIT_CSV_H
#define CTL_AUDIT_CSV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

struct audit_csv {
    struct buf field;
    bool quoted; /* the field at hand was in quotes */
    bool failed;
};

/* Reads the head. Returns 0, or -1 when it is not that of an export. */
int audit_csv_begin(struct audit_csv *csv, FILE *in);
void audit_csv_end(struct audit_csv *csv);
/* The next record as the object that a line of JSON would be; NULL at the end, and with failed set
 * when it is none. */
json_t *audit_csv_next(struct audit_csv *csv, FILE *in);

#endif
