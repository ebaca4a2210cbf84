/* SPDX-License-Identifier: Apache-2.0 */
/* Results for people and for scripts: the same JSON value is printed as it is with --json, and as
 * a table or as "Title: value" lines without. */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* How to_char() writes a time in every list: UTC, ISO 8601. */
#define CTL_TIME "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\""

struct buf;
struct ctl;

/* The array and its number of elements, as the functions below take it. */
#define CTL_COLUMNS(array) (array), sizeof(array) / sizeof(array)[0]

struct column {
    const char *key;   /* member of the JSON object */
    const char *title; /* for people */
    bool flexible;     /* may be cut to make the table fit the terminal */
    size_t least;      /* never narrower than this many characters; 0 for the content's width */
};

/* Prints an array of objects. Takes the reference to rows, which may be NULL when memory ran out.
 * Returns an enum ctl_exit. */
int output_rows(const struct ctl *ctl, const struct column *columns, size_t count, json_t *rows);
/* The same for rows that come in pages: output_page() for each, whose context is the printer, and
 * output_page_end() after the last. The JSON is one array with a row on each line. */
struct row_printer {
    const struct ctl *ctl;
    const struct column *columns;
    size_t count;
    bool begun; /* something was printed */
};
int output_page(void *printer, json_t *rows);
int output_page_end(struct row_printer *p);
/* The same for one object. */
int output_object(const struct ctl *ctl, const struct column *columns, size_t count,
                  json_t *object);
/* Prints any value as JSON on one line and gives up the reference. */
int output_json_line(json_t *value);

/* Appends the table, with its head unless head is false, to out; no line is wider than width
 * characters where cutting the flexible columns can prevent it. Width 0 is for any. */
void table_format(struct buf *out, const struct column *columns, size_t count, const json_t *rows,
                  bool head, size_t width);
/* Columns of the terminal on stdout, 0 when it is none. */
size_t terminal_width(void);

#endif
