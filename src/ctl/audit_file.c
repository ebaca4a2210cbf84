/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/audit_csv.h"
#include "ctl/audit_json.h"
#include "ctl/ctl.h"

/* An export as it is read. */
struct reader {
    const char *path;
    FILE *in;
    struct audit_csv csv; /* in use when the file is CSV */
    bool is_csv;
    char *line; /* of JSON */
    size_t size;
    long long number; /* of the record at hand */
    struct audit_check *check;
    struct audit_month *month;
    EVP_MD_CTX *sha256;
    struct buf storage; /* of the row at hand */
    bool begun, ended;
    long long rows, unsealed;
};

enum { ROW_MAX = 1 << 30 };

static int fail_record(const struct reader *r, const char *what)
{
    return ctl_fail(CTL_FAILED, "%s: record %lld: %s", r->path, r->number, what);
}

/* The next record: NULL at the end, and with *code set when something is wrong. */
static json_t *next_record(struct reader *r, int *code)
{
    json_error_t error;
    r->number++;
    if (r->is_csv) {
        json_t *object = audit_csv_next(&r->csv, r->in);
        if (object == NULL && r->csv.failed)
            *code = fail_record(r, "no CSV as it was exported");
        return object;
    }
    const ssize_t n = getline(&r->line, &r->size, r->in);
    if (n < 0) {
        if (ferror(r->in))
            *code = ctl_fail(CTL_FAILED, "%s: %s", r->path, strerror(errno));
        return NULL;
    }
    json_t *object = json_loadb(r->line, (size_t)n, 0, &error);
    if (object == NULL)
        *code = fail_record(r, error.text);
    return object;
}

static void add_to_month(struct reader *r, const struct audit_row *row)
{
    unsigned char leaf[AUDIT_HASH];
    const int64_t at = audit_int8(&row->fields[AUDIT_AT]);
    if (r->month == NULL || at < r->month->from || at >= r->month->to)
        return;
    r->month->rows++;
    if (audit_leaf(row, leaf) != 0 || EVP_DigestUpdate(r->sha256, leaf, sizeof leaf) != 1)
        r->check->out_of_memory = true;
}

static int take_event(struct reader *r, const json_t *object)
{
    struct audit_row row;
    if (audit_row_parse(object, &row, &r->storage) != 0)
        return fail_record(r, "no row of the audit");
    if (json_is_null(json_object_get(object, "seal_no"))) {
        const int64_t at = audit_int8(&row.fields[AUDIT_AT]);
        if (r->check->unsealed++ == 0 || at < r->check->unsealed_since)
            r->check->unsealed_since = at;
        return CTL_DONE;
    }
    if (r->check->first_no == 0)
        return fail_record(r, "a row before the first seal");
    audit_check_row(r->check, &row);
    add_to_month(r, &row);
    return CTL_DONE;
}

static int take_seal(struct reader *r, json_t *object)
{
    struct audit_seal seal;
    if (audit_seal_parse(object, &seal) != 0)
        return fail_record(r, "no seal of the audit");
    if (r->check->first_no != 0)
        audit_check_rows_end(r->check);
    audit_check_seal(r->check, &seal);
    return CTL_DONE;
}

/* Whoever cuts a file off cuts its last record off; whoever writes a new one has to make it fit. */
static void take_end(struct reader *r, const json_t *object)
{
    r->ended = true;
    if (json_integer_value(json_object_get(object, "seals")) != r->check->seals ||
        json_integer_value(json_object_get(object, "rows")) != r->check->rows ||
        json_integer_value(json_object_get(object, "unsealed")) != r->check->unsealed)
        audit_find(r->check, "file", 0, 0, "the file says at its end that it has other records");
}

static int take(struct reader *r, json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type == NULL || r->ended || (!r->begun && strcmp(type, "export") != 0))
        return fail_record(r, "no export of the audit");
    if (strcmp(type, "export") == 0)
        r->begun = true;
    else if (strcmp(type, "seal") == 0)
        return take_seal(r, object);
    else if (strcmp(type, "event") == 0)
        return take_event(r, object);
    else if (strcmp(type, "elsewhere") == 0)
        audit_check_elsewhere(r->check, json_integer_value(json_object_get(object, "event_id")));
    else if (strcmp(type, "end") == 0)
        take_end(r, object);
    else
        return fail_record(r, "of unknown type");
    return CTL_DONE;
}

static int read_all(struct reader *r, struct progress *progress)
{
    int code = CTL_DONE;
    for (;;) {
        json_t *object = next_record(r, &code);
        if (object == NULL)
            break;
        code = take(r, object);
        json_decref(object);
        if (code != CTL_DONE)
            break;
        progress_show(progress, r->check->rows);
    }
    if (code != CTL_DONE)
        return code;
    if (!r->begun)
        return ctl_fail(CTL_FAILED, "%s: no export of the audit", r->path);
    if (r->check->first_no != 0)
        audit_check_rows_end(r->check);
    if (!r->ended)
        audit_find(r->check, "file", 0, 0, "the file is cut off: it has no end");
    audit_check_end(r->check);
    return r->check->out_of_memory ? ctl_fail_memory() : CTL_DONE;
}

/* JSON begins with a brace, CSV with the names of its columns. */
static bool begins_csv(FILE *in)
{
    const int c = getc(in);
    if (c != EOF)
        (void)ungetc(c, in); /* one character can always be put back */
    return c != '{';
}

int audit_file_check(const char *path, struct audit_check *c, struct audit_month *month,
                     struct progress *progress)
{
    struct reader r = {.path = path, .check = c, .month = month};
    int code = CTL_FAILED;
    unsigned n = AUDIT_HASH;
    r.in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (r.in == NULL)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    c->in_order = true;
    buf_init(&r.storage, ROW_MAX);
    r.sha256 = EVP_MD_CTX_new();
    if (r.sha256 == NULL || EVP_DigestInit_ex(r.sha256, EVP_sha256(), NULL) != 1) {
        code = ctl_fail_memory();
    } else {
        r.is_csv = begins_csv(r.in);
        code = r.is_csv && audit_csv_begin(&r.csv, r.in) != 0
                   ? ctl_fail(CTL_FAILED, "%s: no export of the audit", path)
                   : read_all(&r, progress);
        if (month != NULL && EVP_DigestFinal_ex(r.sha256, month->sha256, &n) != 1)
            code = ctl_fail_memory();
    }
    EVP_MD_CTX_free(r.sha256);
    buf_free(&r.storage);
    audit_csv_end(&r.csv);
    free(r.line);
    if (r.in != stdin)
        (void)fclose(r.in); /* read only */
    return code;
}
