/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl audit export, audit archive: the audit in a file that can be verified by itself. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "ctl/audit_file.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"

enum { PATH_SIZE = 4096, NUMBER_SIZE = 24, ANSWER_SIZE = 64, MODE = 0440 };

/* What an export is of: times as PostgreSQL reads them, in UTC where they name no zone. */
struct span {
    const char *from, *to;
};

/* --- export --------------------------------------------------------------------------------- */

/* The seals that have rows of the time: first and last number, 1 and 0 when there is none. */
static int find_seals(struct audit_walk *w, const struct span *span)
{
    static const char SQL[] =
        "SELECT coalesce(min(seal_no), 1)::text, coalesce(max(seal_no), 0)::text "
        "FROM speke.v_audit_seal WHERE last_at >= $1::timestamptz AND first_at < $2::timestamptz";
    const char *const parameters[] = {span->from, span->to};
    int code;
    PGresult *result = database_query(w->db, &code, SQL, 2, parameters);
    if (result != NULL) {
        w->first = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        w->last = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    }
    PQclear(result);
    return code;
}

/* Where the rows begin that no seal covers, for an export that has not the last seal. */
static int find_unsealed(struct audit_walk *w)
{
    struct audit_seal seal;
    char last[NUMBER_SIZE];
    int code = database_ask(w->db, "SELECT coalesce(max(seal_no), 0) FROM speke.v_audit_seal", last,
                            sizeof last);
    const int64_t number = strtoll(last, NULL, 10);
    if (code != CTL_DONE || number == 0 || number == w->check->seal.seal_no)
        return code;
    if (audit_read_seal(w->db, number, &seal, &code) != 1)
        return code;
    audit_seal_clear(&w->check->seal);
    w->check->seal = seal;
    w->check->first_no = seal.seal_no;
    return code;
}

static int write_export(struct ctl *ctl, struct audit_walk *w, const struct span *span, FILE *out,
                        bool csv)
{
    struct audit_writer writer;
    int code = database_command(w->db, "SET timezone = 'UTC'", 0, NULL);
    if (code == CTL_DONE)
        code = audit_walk_begin(w, ctl, "rows");
    if (code == CTL_DONE)
        code = find_seals(w, span);
    if (code == CTL_DONE)
        code = audit_writer_begin(&writer, out, csv, PQdb(w->db));
    if (code == CTL_DONE) {
        w->sink = audit_writer_sink(&writer);
        code = audit_walk_seals(w);
    }
    if (code == CTL_DONE)
        code = find_unsealed(w);
    if (code == CTL_DONE)
        code = audit_walk_unsealed(w, span->from, span->to);
    if (code == CTL_DONE)
        code = audit_writer_end(&writer);
    audit_walk_end(w);
    return code;
}

/* A file that is there stays what it is. */
static FILE *create(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (out == NULL) {
        (void)ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd); /* empty */
    }
    return out;
}

/* Closes the file when it is on disk; one that is not whole is removed. */
static int finish(FILE *out, const char *path, int code)
{
    if (code == CTL_DONE && fsync(fileno(out)) != 0)
        code = ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    if (fclose(out) != 0 && code == CTL_DONE)
        code = ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    if (code != CTL_DONE)
        (void)unlink(path); /* there is nothing more to do about it */
    return code;
}

static int export_to(struct ctl *ctl, struct audit_walk *w, const struct span *span,
                     const char *path, bool csv)
{
    if (strcmp(path, "-") == 0)
        return write_export(ctl, w, span, stdout, csv);
    FILE *out = create(path);
    if (out == NULL)
        return CTL_FAILED;
    return finish(out, path, write_export(ctl, w, span, out, csv));
}

static int run_export(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct audit_check c;
    struct audit_walk w = {.check = &c};
    const char *path = option_value(args, "out");
    const char *format = option_value(args, "format");
    const char *from = option_value(args, "from"), *to = option_value(args, "to");
    const struct span span = {from != NULL ? from : "-infinity", to != NULL ? to : "infinity"};
    int code;
    if (format != NULL && strcmp(format, "jsonl") != 0 && strcmp(format, "csv") != 0)
        return ctl_fail(CTL_USAGE, "--format: jsonl or csv");
    w.db = database_open(ctl, &code);
    if (w.db == NULL)
        return code;
    audit_check_init(&c);
    code = export_to(ctl, &w, &span, path != NULL ? path : "-",
                     format != NULL && strcmp(format, "csv") == 0);
    if (code == CTL_DONE && c.finding_count > 0)
        ctl_warn(ctl, "the audit is not what was sealed: run \"spekectl audit verify\"");
    audit_check_free(&c);
    PQfinish(w.db);
    return code;
}

/* --- archive -------------------------------------------------------------------------------- */

struct archive {
    PGconn *db;
    char path[PATH_SIZE];
    char from[NUMBER_SIZE], to[NUMBER_SIZE]; /* days */
    struct audit_month month;
    unsigned char file_sha256[AUDIT_HASH];
    int number;
};

/* "2026-01": the days that it begins and that the next one begins. */
static int parse_month(const char *text, struct archive *a)
{
    char time[AUDIT_TIME_SIZE];
    char copy[8], *end = NULL;
    const char *wrong = "--month: a month such as 2026-01";
    if (text == NULL || strlen(text) != 7 || text[4] != '-')
        return ctl_fail(CTL_USAGE, "%s", wrong);
    memcpy(copy, text, sizeof copy);
    const unsigned long year = strtoul(copy, &end, 10) % 10000;
    const unsigned long month = strtoul(copy + 5, NULL, 10);
    if (end != copy + 4 || month < 1 || month > 12)
        return ctl_fail(CTL_USAGE, "%s", wrong);
    (void)snprintf(a->from, sizeof a->from, "%04lu-%02lu-01", year, month);
    (void)snprintf(a->to, sizeof a->to, "%04lu-%02lu-01", month == 12 ? year + 1 : year,
                   month == 12 ? 1 : month + 1);
    (void)snprintf(time, sizeof time, "%.10sT00:00:00.000000Z", a->from);
    int result = audit_time_parse(time, &a->month.from);
    (void)snprintf(time, sizeof time, "%.10sT00:00:00.000000Z", a->to);
    result |= audit_time_parse(time, &a->month.to);
    return result == 0 ? CTL_DONE : ctl_fail(CTL_USAGE, "--month: no such month");
}

static int hash_file(const char *path, unsigned char out[static AUDIT_HASH])
{
    unsigned char block[65536];
    size_t n;
    unsigned length = AUDIT_HASH;
    FILE *in = fopen(path, "re");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = in != NULL && context != NULL &&
                 EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    while (right && (n = fread(block, 1, sizeof block, in)) > 0)
        right = EVP_DigestUpdate(context, block, n) == 1;
    right = right && !ferror(in) && EVP_DigestFinal_ex(context, out, &length) == 1;
    EVP_MD_CTX_free(context);
    if (in != NULL)
        (void)fclose(in); /* read only */
    return right ? CTL_DONE : ctl_fail(CTL_FAILED, "%s: cannot be read again", path);
}

/* Reads back what was written and checks it by itself. */
static int verify_file(struct ctl *ctl, struct archive *a)
{
    struct audit_check c;
    struct progress progress;
    audit_check_init(&c);
    progress_begin(&progress, ctl, "rows verified", 0);
    int code = audit_file_check(a->path, &c, &a->month, &progress);
    progress_end(&progress, c.rows);
    if (code == CTL_DONE && c.finding_count > 0)
        code = ctl_fail(CTL_TAMPERED, "%s: %s", a->path,
                        json_string_value(json_object_get(json_array_get(c.findings, 0), "text")));
    audit_check_free(&c);
    return code == CTL_DONE ? hash_file(a->path, a->file_sha256) : code;
}

/* The database compares the hashes of the file's rows with those in its seals. */
static int put_on_record(struct archive *a)
{
    char rows[NUMBER_SIZE], sha256[2 * AUDIT_HASH + 1], file[2 * AUDIT_HASH + 1];
    const char *name = strrchr(a->path, '/');
    const char *const parameters[] = {a->from, rows, sha256, name != NULL ? name + 1 : a->path,
                                      file};
    int code;
    (void)snprintf(rows, sizeof rows, "%lld", a->month.rows);
    hex_encode(a->month.sha256, AUDIT_HASH, sha256);
    hex_encode(a->file_sha256, AUDIT_HASH, file);
    PGresult *result = database_query(
        a->db, &code,
        "SELECT speke.audit_archive_record($1::date, $2, decode($3, 'hex'), $4, decode($5, 'hex'))",
        5, parameters);
    if (result != NULL)
        a->number = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return code;
}

static int drop_month(struct archive *a)
{
    char number[NUMBER_SIZE];
    const char *const parameters[] = {number};
    (void)snprintf(number, sizeof number, "%d", a->number);
    return database_command(a->db, "SELECT speke.audit_archive_drop($1)", 1, parameters);
}

static int tell(const struct ctl *ctl, const struct archive *a, bool dropped)
{
    char sha256[2 * AUDIT_HASH + 1], file[2 * AUDIT_HASH + 1];
    hex_encode(a->month.sha256, AUDIT_HASH, sha256);
    hex_encode(a->file_sha256, AUDIT_HASH, file);
    if (ctl->json)
        return output_json_line(json_pack("{s:i, s:s, s:I, s:s, s:s, s:b}", "archive_no", a->number,
                                          "file", a->path, "rows", (json_int_t)a->month.rows,
                                          "rows_sha256", sha256, "file_sha256", file, "dropped",
                                          dropped));
    ctl_say(ctl, "Archive %d: %s", a->number, a->path);
    ctl_say(ctl, "%lld rows, verified against the seals; SHA-256 of their hashes %s", a->month.rows,
            sha256);
    ctl_say(ctl, "SHA-256 of the file %s", file);
    ctl_say(ctl, dropped ? "The rows were removed from the database."
                         : "The rows are still in the database.");
    return CTL_DONE;
}

static int write_archive(struct ctl *ctl, struct archive *a)
{
    struct audit_check c;
    const struct span span = {a->from, a->to};
    audit_check_init(&c);
    struct audit_walk w = {.db = a->db, .check = &c};
    int code = export_to(ctl, &w, &span, a->path, false);
    audit_check_free(&c);
    return code;
}

static int run_archive(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct archive a = {0};
    const char *directory = option_value(args, "out");
    const bool drop = option_given(args, "drop");
    int code = parse_month(option_value(args, "month"), &a);
    if (code != CTL_DONE)
        return code;
    if (directory == NULL)
        return ctl_fail(CTL_USAGE, "--out: the directory for the file");
    const int n = snprintf(a.path, sizeof a.path, "%s/audit-%.7s.jsonl", directory, a.from);
    if (n < 0 || (size_t)n >= sizeof a.path)
        return ctl_fail(CTL_USAGE, "--out: too long");
    a.db = database_open(ctl, &code);
    if (a.db == NULL)
        return code;
    code = write_archive(ctl, &a);
    if (code == CTL_DONE)
        code = verify_file(ctl, &a);
    if (code == CTL_DONE)
        code = put_on_record(&a);
    if (code == CTL_DONE && drop)
        code = drop_month(&a);
    if (code == CTL_DONE)
        code = tell(ctl, &a, drop);
    PQfinish(a.db);
    return code;
}

static const struct ctl_option EXPORT_ROWS[] = {
    {"out", 'o', "FILE", "a file that is not there yet; standard output unless given"},
    {"format", 'f', "NAME", "jsonl (unless given) or csv"},
    {"from", '\0', "TIME", "rows from this time on: 2026-01-31, 2026-01-31T12:00Z"},
    {"to", '\0', "TIME", "rows before this time"},
};

const struct ctl_command audit_export_command = {
    .name = "audit export",
    .words = "",
    .summary = "Write the audit with its seals as JSON Lines or CSV.",
    .notes =
        "What is written can be verified without the database. Seals are whole: rows that one\n"
        "of them covers together with rows of the time are written too.",
    .options = CTL_OPTIONS(EXPORT_ROWS),
    .run = run_export,
};

static const struct ctl_option ARCHIVE_ROWS[] = {
    {"month", 'm', "MONTH", "a month that is over, such as 2026-01"},
    {"out", 'o', "DIR", "where the file audit-2026-01.jsonl is made"},
    {"drop", '\0', NULL, "then take the rows out of the database; as the schema's owner"},
};

const struct ctl_command audit_archive_command = {
    .name = "audit archive",
    .words = "",
    .summary = "Write a month of the audit to a file, prove that it is all there, remove it.",
    .notes = "The file is read again and compared with the seals, and the audit says so, before\n"
             "anything is removed. Seals stay, so the rest can be verified as before.",
    .options = CTL_OPTIONS(ARCHIVE_ROWS),
    .run = run_archive,
};
