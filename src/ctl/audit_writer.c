/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/audit_file.h"
#include "ctl/audit_json.h"
#include "ctl/ctl.h"

static int fail_write(void)
{
    return ctl_fail(CTL_FAILED, "the export could not be written: %s", strerror(errno));
}

/* A field of CSV in quotes (RFC 4180), so that it differs from NULL, which has none. */
static void put_quoted(FILE *out, const char *text)
{
    (void)fputc('"', out); /* the stream remembers a fault until the end */
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static int put_csv_value(FILE *out, const json_t *value)
{
    (void)fputc(',', out);
    if (json_is_string(value)) {
        put_quoted(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        (void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (!json_is_null(value)) {
        char *text = json_dumps(value, JSON_COMPACT);
        if (text == NULL)
            return ctl_fail_memory();
        put_quoted(out, text);
        free(text);
    }
    return CTL_DONE;
}

/* type,record,seal_no,event_id,...: a row has its columns, anything else is an object in the column
 * "record". */
static int put_csv(FILE *out, const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    const bool is_row = strcmp(type, "event") == 0;
    (void)fputs(type, out);
    int code = put_csv_value(out, is_row ? json_null() : object);
    if (is_row && code == CTL_DONE)
        code = put_csv_value(out, json_object_get(object, "seal_no"));
    else
        (void)fputc(',', out);
    for (size_t i = 0; i < AUDIT_COLUMNS && code == CTL_DONE; i++) {
        if (is_row)
            code = put_csv_value(out, json_object_get(object, AUDIT_COLUMN_TABLE[i].name));
        else
            (void)fputc(',', out);
    }
    (void)fputs("\r\n", out);
    return code;
}

/* Takes the reference. */
static int put(const struct audit_writer *w, json_t *object)
{
    int code = CTL_DONE;
    if (object == NULL)
        return ctl_fail_memory();
    if (w->csv) {
        code = put_csv(w->out, object);
    } else {
        if (json_dumpf(object, w->out, JSON_COMPACT) != 0 || fputc('\n', w->out) == EOF)
            code = fail_write();
    }
    json_decref(object);
    return code == CTL_DONE && ferror(w->out) ? fail_write() : code;
}

static int put_seal(void *context, const struct audit_seal *seal)
{
    struct audit_writer *w = context;
    w->seals++;
    return put(w, audit_seal_json(seal));
}

static int put_row(void *context, const struct audit_row *row, int64_t seal_no)
{
    struct audit_writer *w = context;
    json_t *object = audit_row_json(row);
    if (seal_no != 0)
        w->rows++;
    else
        w->unsealed++;
    if (object != NULL &&
        json_object_set_new(object, "seal_no",
                            seal_no != 0 ? json_integer(seal_no) : json_null()) != 0) {
        json_decref(object);
        object = NULL;
    }
    return put(w, object);
}

static int put_elsewhere(void *context, int64_t event_id)
{
    struct audit_writer *w = context;
    w->elsewhere++;
    return put(w, json_pack("{s:s, s:I}", "type", "elsewhere", "event_id", (json_int_t)event_id));
}

struct audit_sink audit_writer_sink(struct audit_writer *w)
{
    return (struct audit_sink){
        .context = w, .seal = put_seal, .row = put_row, .elsewhere = put_elsewhere};
}

int audit_writer_begin(struct audit_writer *w, FILE *out, bool csv, const char *database)
{
    char now[AUDIT_TIME_SIZE];
    *w = (struct audit_writer){.out = out, .csv = csv};
    audit_time(audit_now(), now);
    if (csv) {
        (void)fputs("type,record,seal_no", out);
        for (size_t i = 0; i < AUDIT_COLUMNS; i++)
            (void)fprintf(out, ",%s", AUDIT_COLUMN_TABLE[i].name);
        (void)fputs("\r\n", out);
    }
    return put(w, json_pack("{s:s, s:i, s:s, s:s}", "type", "export", "version", 1, "database",
                            database, "written", now));
}

int audit_writer_end(struct audit_writer *w)
{
    const int code = put(w,
                         json_pack("{s:s, s:I, s:I, s:I, s:I}", "type", "end", "seals",
                                   (json_int_t)w->seals, "rows", (json_int_t)w->rows, "elsewhere",
                                   (json_int_t)w->elsewhere, "unsealed", (json_int_t)w->unsealed));
    return code == CTL_DONE && fflush(w->out) != 0 ? fail_write() : code;
}
