/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values (RFC 4180) as keys are kept in them: a record is a line, fields may stand
 * in quotes, and what is read stays in the secure heap, a line at a time. */
#ifndef CTL_CSV_H
#define CTL_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_FIELDS_MAX = 32, CSV_LINE_MAX = 32 * 1024 };

struct csv {
    int fd;
    char *data; /* in the secure heap */
    size_t start, end;
    bool ended;
    long line; /* of the record at hand, from 1 on */
    char *fields[CSV_FIELDS_MAX];
    size_t count;
};

/* Reads from an open file. Returns 0, or -1 when the secure heap is full. */
int csv_begin(struct csv *c, int fd);
/* Wipes and frees; the file stays open. */
void csv_end(struct csv *c);
/* Reads the next record; empty lines are none. Its fields are zero-terminated UTF-8 without zeros
 * inside, valid until the next call. Returns 1, 0 at the end of the file, or -1 with what is wrong
 * with the line (never its text) in why; the line after it can be read then, unless the file itself
 * could not be (*fatal). */
int csv_next(struct csv *c, bool *fatal, char *why, size_t size);

struct buf;
/* Appends a field, in quotes where it must be. */
void csv_put(struct buf *out, const char *text);

#endif
