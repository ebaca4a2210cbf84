/* SPDX-License-Identifier: Apache-2.0 */
/* Exports of the audit: JSON Lines, an object a line, or CSV. The first record is of type "export",
 * then seals, each with its rows ("event") behind it and the numbers of those that an archive has
 * ("elsewhere"), then rows that are not sealed yet, and at the end one of type "end". */
#ifndef CTL_AUDIT_FILE_H
#define CTL_AUDIT_FILE_H

#include <stdio.h>

#include "ctl/audit_check.h"
#include "ctl/audit_walk.h"

struct audit_writer {
    FILE *out;
    bool csv;
    long long seals, rows, elsewhere, unsealed;
};

/* Writes the first record. Each of these returns an enum ctl_exit. */
int audit_writer_begin(struct audit_writer *w, FILE *out, bool csv, const char *database);
/* What a walk finds is written by this. */
struct audit_sink audit_writer_sink(struct audit_writer *w);
/* Writes the last record and flushes. */
int audit_writer_end(struct audit_writer *w);

/* What a file's rows of one month amount to. */
struct audit_month {
    int64_t from, to;                 /* times: from the first to before the second */
    long long rows;                   /* of that time */
    unsigned char sha256[AUDIT_HASH]; /* of their hashes, one after the other */
};

/* Reads an export and checks it. month may be NULL. Returns an enum ctl_exit: CTL_FAILED when the
 * file cannot be read or is no export at all; what is wrong with the audit in it is in the check.
 */
int audit_file_check(const char *path, struct audit_check *c, struct audit_month *month,
                     struct progress *progress);

#endif
