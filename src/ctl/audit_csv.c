/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/audit_record.h"

/* A field may hold a row's value or a seal with all its rows, but not more than fits into JSON. */
enum { FIELD_MAX = 1 << 30, NAMES_BEFORE = 3, TYPE_INT8 = 20, TYPE_INT4 = 23, TYPE_TEXT = 25 };

enum end { END_FIELD, END_RECORD, END_FILE, END_FAULT };

static const char *const NAMES[NAMES_BEFORE] = {"type", "record", "seal_no"};

static const char *column_name(size_t i)
{
    return i < NAMES_BEFORE ? NAMES[i] : AUDIT_COLUMN_TABLE[i - NAMES_BEFORE].name;
}

/* What ends a field that was not in quotes, or whose quotes have ended. */
static enum end end_of(int c, FILE *in)
{
    if (c == ',')
        return END_FIELD;
    if (c == '\r')
        return getc(in) == '\n' ? END_RECORD : END_FAULT;
    if (c == '\n')
        return END_RECORD;
    return c == EOF ? END_FILE : END_FAULT;
}

static enum end read_quoted(struct audit_csv *csv, FILE *in)
{
    csv->quoted = true;
    for (;;) {
        int c = getc(in);
        if (c == EOF)
            return END_FAULT;
        if (c == '"') {
            c = getc(in);
            if (c != '"')
                return end_of(c, in);
        }
        buf_putc(&csv->field, (char)c);
    }
}

/* Reads a field into csv->field, with a zero behind it. */
static enum end read_field(struct audit_csv *csv, FILE *in)
{
    enum end end;
    int c = getc(in);
    buf_clear(&csv->field);
    csv->quoted = false;
    if (c == '"') {
        end = read_quoted(csv, in);
    } else {
        for (; c != ',' && c != '\r' && c != '\n' && c != EOF; c = getc(in))
            buf_putc(&csv->field, (char)c);
        end = end_of(c, in);
    }
    buf_put_u8(&csv->field, 0);
    return buf_ok(&csv->field) ? end : END_FAULT;
}

int audit_csv_begin(struct audit_csv *csv, FILE *in)
{
    enum end end = END_FIELD;
    *csv = (struct audit_csv){0};
    buf_init(&csv->field, FIELD_MAX);
    for (size_t i = 0; i < NAMES_BEFORE + AUDIT_COLUMNS; i++) {
        if (end != END_FIELD)
            return -1;
        end = read_field(csv, in);
        if (end == END_FAULT || strcmp((const char *)csv->field.data, column_name(i)) != 0)
            return -1;
    }
    return end == END_RECORD ? 0 : -1;
}

void audit_csv_end(struct audit_csv *csv)
{
    buf_free(&csv->field);
}

/* The value of the field: NULL without quotes is an empty one. */
static json_t *value_of(const struct audit_csv *csv, uint32_t type)
{
    const char *text = (const char *)csv->field.data;
    char *end;
    if (!csv->quoted && text[0] == '\0')
        return json_null();
    if (type == TYPE_INT8 || type == TYPE_INT4) {
        errno = 0;
        const long long n = strtoll(text, &end, 10);
        return errno == 0 && end != text && *end == '\0' ? json_integer(n) : NULL;
    }
    if (type != TYPE_TEXT && (text[0] == '[' || text[0] == '{'))
        return json_loads(text, 0, NULL);
    return json_stringn(text, csv->field.len - 1);
}

static uint32_t column_type(size_t i)
{
    if (i >= NAMES_BEFORE)
        return AUDIT_COLUMN_TABLE[i - NAMES_BEFORE].type;
    return strcmp(NAMES[i], "seal_no") == 0 ? TYPE_INT8 : 0;
}

json_t *audit_csv_next(struct audit_csv *csv, FILE *in)
{
    enum end end = END_FIELD;
    json_t *object = json_object();
    for (size_t i = 0; i < NAMES_BEFORE + AUDIT_COLUMNS; i++) {
        if (end == END_FIELD)
            end = read_field(csv, in);
        else
            end = END_FAULT;
        if (end == END_FILE && i == 0 && csv->field.len == 1) {
            json_decref(object);
            return NULL;
        }
        if (end == END_FAULT || end == END_FILE ||
            json_object_set_new(object, column_name(i), value_of(csv, column_type(i))) != 0)
            break;
    }
    json_t *record = json_object_get(object, "record");
    if (end == END_RECORD && json_is_object(record)) {
        record = json_incref(record);
        json_decref(object);
        return record;
    }
    if (end == END_RECORD)
        return object;
    csv->failed = true;
    json_decref(object);
    return NULL;
}
