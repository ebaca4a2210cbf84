/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl key import: keys from CPIX documents and CSV, in one transaction. Nothing is ever
 * overwritten: where a key is there already, the two are opened and compared. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/printable.h"
#include "base/secret.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/key_source.h"
#include "ctl/open.h"
#include "ctl/output.h"
#include "keystore/keystore.h"

/* Lines of all files are numbered by one number: the file's from FILE_SHIFT on, the line's below.
 */
enum { FILE_SHIFT = 40, PAGE = 500, NAME_SIZE = 256 };
/* Two keys that are compared. */
static const size_t PAIR_BYTES = (size_t)2 * KEYSTORE_KEY_BYTES;
#define LINE_MASK (((int64_t)1 << FILE_SHIFT) - 1)

struct import {
    struct key_source source;
    const char *tenant;
    bool skip, dry;
    int (*read)(struct key_source *s, const char *path); /* NULL: by the name of each file */
    long long inserted, unchanged, conflicts, periods;
};

/* --- faults --------------------------------------------------------------------------------- */

static void put_place(const struct key_source *s, int64_t line, char out[static NAME_SIZE])
{
    char name[NAME_SIZE - 32];
    const size_t file = (size_t)(line >> FILE_SHIFT);
    const char *path = file < s->name_count ? s->names[file] : "-";
    (void)printable(name, sizeof name, strcmp(path, "-") == 0 ? "standard input" : path);
    if ((line & LINE_MASK) > 0)
        (void)snprintf(out, NAME_SIZE, "%s, line %lld", name, (long long)(line & LINE_MASK));
    else
        (void)snprintf(out, NAME_SIZE, "%s", name);
}

int64_t key_source_line(const struct key_source *s, long line)
{
    const int64_t file = s->name_count > 0 ? (int64_t)s->name_count - 1 : 0;
    return file << FILE_SHIFT | (line & LINE_MASK);
}

void key_source_fault(struct key_source *s, long line, const char *format, ...)
{
    char place[NAME_SIZE], text[768];
    va_list args;
    if (++s->faults > SOURCE_FAULTS_TOLD)
        return;
    progress_end(&s->progress, s->keys);
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    put_place(s, key_source_line(s, line), place);
    (void)ctl_fail(CTL_FAILED, "%s: %s", place, text); /* the import fails at its end */
}

int key_source_add(struct key_source *s, struct stage_key *key, long line)
{
    s->keys++;
    progress_show(&s->progress, s->keys);
    key->line = key_source_line(s, line);
    return s->faults == 0 ? key_stage_key(&s->stage, key) : CTL_DONE;
}

/* --- files ---------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static int read_file(struct import *m, const char *path)
{
    struct key_source *s = &m->source;
    int (*read)(struct key_source *, const char *) = m->read;
    if (read == NULL && ends_with(path, ".csv"))
        read = key_csv_read;
    else if (read == NULL && (ends_with(path, ".xml") || ends_with(path, ".cpix")))
        read = key_cpix_read;
    if (read == NULL)
        return ctl_fail(CTL_USAGE, "%s: --format cpix or --format csv?", path);
    char **names = realloc(s->names, (s->name_count + 1) * sizeof *names);
    if (names == NULL)
        return ctl_fail_memory();
    s->names = names;
    names[s->name_count] = strdup(path);
    if (names[s->name_count] == NULL)
        return ctl_fail_memory();
    s->name_count++;
    return read(s, path);
}

/* The documents of a directory, as key export writes them. */
static int read_directory(struct import *m, const char *path)
{
    char file[PATH_MAX];
    const struct dirent *entry;
    int code = CTL_DONE;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    while (code == CTL_DONE && (entry = readdir(directory)) != NULL) {
        if (!ends_with(entry->d_name, ".xml"))
            continue;
        const int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        code = n > 0 && (size_t)n < sizeof file
                   ? read_file(m, file)
                   : ctl_fail(CTL_FAILED, "%s: a name that is too long", path);
    }
    (void)closedir(directory);
    return code;
}

static int read_all(struct import *m, const struct ctl_arguments *args)
{
    struct stat st;
    int code = CTL_DONE;
    for (size_t i = 0; i < args->word_count && code == CTL_DONE; i++) {
        const char *path = args->words[i];
        if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            code = read_directory(m, path);
        else
            code = read_file(m, path);
    }
    progress_end(&m->source.progress, m->source.keys);
    return code == CTL_DONE && m->source.faults == 0 ? key_stage_flush(&m->source.stage) : code;
}

/* --- what is there already ------------------------------------------------------------------ */

/* A key of the file and the one of the same identity that was there. */
struct pair {
    int64_t line;
    struct seal_row fresh_row, row;
    unsigned char fresh[SEALED_BYTES], sealed[SEALED_BYTES];
    unsigned char fresh_iv[KEYSTORE_IV_BYTES], iv[KEYSTORE_IV_BYTES];
    bool iv_given;
    const char *state;
};

static int take_pair(const struct import *m, const PGresult *result, int i, struct pair *p)
{
    int32_t fresh_version, version;
    *p = (struct pair){.state = result_text(result, i, 12)};
    p->fresh_row = (struct seal_row){.tenant_id = (uint32_t)m->source.stage.tenant_id,
                                     .content_id = result_text(result, i, 1),
                                     .scheme = result_text(result, i, 6)};
    if (result_int8(result, i, 0, &p->line) != 0 ||
        result_bytes(result, i, 2, p->fresh_row.kid.bytes, UUID_BYTES) != 0 ||
        result_bool(result, i, 3, &p->iv_given) != 0 ||
        result_bytes(result, i, 4, p->fresh, sizeof p->fresh) != 0 ||
        result_int4(result, i, 5, &fresh_version) != 0 ||
        result_bytes(result, i, 7, p->fresh_iv, sizeof p->fresh_iv) != 0 ||
        result_int4(result, i, 9, &version) != 0 ||
        result_bytes(result, i, 11, p->iv, sizeof p->iv) != 0 || p->state == NULL ||
        p->fresh_row.content_id == NULL || p->fresh_row.scheme == NULL)
        return ctl_fail(CTL_FAILED, "key_import_existing: unexpected types");
    p->row = p->fresh_row;
    p->row.scheme = result_text(result, i, 10);
    p->fresh_row.kek_version = (uint32_t)fresh_version;
    p->row.kek_version = (uint32_t)version;
    if (strcmp(p->state, "destroyed") == 0)
        return CTL_DONE;
    return p->row.scheme != NULL && result_bytes(result, i, 8, p->sealed, sizeof p->sealed) == 0
               ? CTL_DONE
               : ctl_fail(CTL_FAILED, "key_import_existing: unexpected types");
}

/* Compares the keys of a pair; *why gets what is the matter, NULL for nothing. keys has room for
 * two on the secure heap. */
static int compare(struct import *m, const struct pair *p, unsigned char *keys, const char **why)
{
    unsigned char *other = keys + KEYSTORE_KEY_BYTES;
    *why = NULL;
    if (strcmp(p->state, "destroyed") == 0) {
        *why = "was destroyed and never comes back";
        return CTL_DONE;
    }
    int code = key_vault_open(&m->source.stage.vault, &p->fresh_row, p->fresh, keys);
    if (code == CTL_DONE)
        code = key_vault_open(&m->source.stage.vault, &p->row, p->sealed, other);
    if (code != CTL_DONE)
        return code;
    if (!secret_equal(keys, other, KEYSTORE_KEY_BYTES))
        *why = "has another key";
    else if (p->iv_given && memcmp(p->fresh_iv, p->iv, sizeof p->iv) != 0)
        *why = "has another IV";
    return CTL_DONE;
}

/* Leaves lines out of the import. */
static int drop(struct import *m, const int64_t *lines, size_t count)
{
    static const Oid TYPES[] = {OID_INT8_ARRAY};
    int code = CTL_DONE;
    struct params *p = &m->source.stage.params;
    if (count == 0)
        return CTL_DONE;
    params_clear(p);
    params_array(p, OID_INT8, count);
    for (size_t i = 0; i < count; i++)
        params_item_int8(p, lines[i]);
    params_array_end(p);
    PQclear(database_call(m->source.stage.db, &code, "SELECT speke.key_import_drop($1)", TYPES, p));
    return code;
}

static void tell_conflict(struct import *m, const struct pair *p, const char *why)
{
    char place[NAME_SIZE], kid[UUID_TEXT_SIZE];
    put_place(&m->source, p->line, place);
    uuid_format(&p->fresh_row.kid, kid);
    m->conflicts++;
    (void)ctl_fail(CTL_FAILED, "%s: conflict: KID %s of content %s %s", place, kid,
                   p->fresh_row.content_id, why); /* the import decides what comes of it */
}

/* Judges a page of pairs. *last gets the last line of it. */
static int judge_page(struct import *m, const PGresult *result, unsigned char *keys, int64_t *last)
{
    int64_t conflicts[PAGE];
    size_t count = 0;
    int code = CTL_DONE;
    for (int i = 0; i < PQntuples(result) && i < PAGE && code == CTL_DONE; i++) {
        struct pair p;
        const char *why = NULL;
        code = take_pair(m, result, i, &p);
        if (code == CTL_DONE)
            code = compare(m, &p, keys, &why);
        if (code != CTL_DONE)
            break;
        *last = p.line;
        if (why == NULL) {
            m->unchanged++;
        } else {
            tell_conflict(m, &p, why);
            conflicts[count++] = p.line;
        }
    }
    return code == CTL_DONE ? drop(m, conflicts, count) : code;
}

static int judge_existing(struct import *m, unsigned char *keys)
{
    static const Oid TYPES[] = {OID_INT8, OID_INT4};
    int64_t last = -1;
    int code = CTL_DONE, rows = PAGE;
    struct params *p = &m->source.stage.params;
    while (rows == PAGE && code == CTL_DONE) {
        params_clear(p);
        params_int8(p, last);
        params_int4(p, PAGE);
        PGresult *result = database_call(
            m->source.stage.db, &code,
            "SELECT line, content_id, kid, iv_given, new_sealed, new_kek_version, new_scheme, "
            "new_iv, sealed, kek_version, scheme, explicit_iv, state "
            "FROM speke.key_import_existing($1, $2)",
            TYPES, p);
        if (result == NULL)
            return code;
        rows = PQntuples(result);
        code = judge_page(m, result, keys, &last);
        PQclear(result);
    }
    return code;
}

/* --- the transaction ------------------------------------------------------------------------ */

static int refuse_repeated(struct import *m)
{
    int code;
    char place[NAME_SIZE], first[NAME_SIZE], limit[16];
    const char *const parameters[] = {limit};
    (void)snprintf(limit, sizeof limit, "%d", SOURCE_FAULTS_TOLD);
    PGresult *result = database_query(m->source.stage.db, &code,
                                      "SELECT line, first_line, kid "
                                      "FROM speke.key_import_repeated($1::integer)",
                                      1, parameters);
    if (result == NULL)
        return code;
    for (int i = 0; i < PQntuples(result); i++) {
        put_place(&m->source, strtoll(PQgetvalue(result, i, 0), NULL, 10), place);
        put_place(&m->source, strtoll(PQgetvalue(result, i, 1), NULL, 10), first);
        code = ctl_fail(CTL_FAILED, "%s: KID %s of this content is there already: %s", place,
                        PQgetvalue(result, i, 2), first);
        m->source.faults++;
    }
    PQclear(result);
    return code;
}

static int insert(struct import *m)
{
    int code;
    PGresult *result = database_query(m->source.stage.db, &code,
                                      "SELECT staged, inserted FROM speke.key_import_insert()", 0,
                                      NULL);
    if (result == NULL)
        return code;
    const long long staged = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    m->inserted = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    PQclear(result);
    if (staged == m->inserted)
        return CTL_DONE;
    unsigned char *keys = secret_alloc(PAIR_BYTES);
    code = keys != NULL ? judge_existing(m, keys) : ctl_fail_memory();
    secret_free(keys, PAIR_BYTES);
    if (code == CTL_DONE && m->conflicts > 0 && !m->skip)
        code = ctl_fail(CTL_FAILED,
                        "%lld conflicts: nothing is imported (--skip-conflicts imports the rest)",
                        m->conflicts);
    return code;
}

/* The files as the audit names them. */
static void put_source(const struct key_source *s, char out[static NAME_SIZE])
{
    char name[NAME_SIZE - 64];
    const char *path = s->name_count > 0 ? s->names[0] : "-";
    (void)printable(name, sizeof name, strcmp(path, "-") == 0 ? "standard input" : path);
    if (s->name_count > 1)
        (void)snprintf(out, NAME_SIZE, "%s and %zu more files", name, s->name_count - 1);
    else
        (void)snprintf(out, NAME_SIZE, "%s", name);
}

static int finish(struct import *m)
{
    int code;
    char text[NAME_SIZE];
    const char *const parameters[] = {text};
    put_source(&m->source, text);
    PGresult *result = database_query(
        m->source.stage.db, &code, "SELECT periods, missing_line FROM speke.key_import_finish($1)",
        1, parameters);
    if (result == NULL)
        return code;
    m->periods = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    if (!PQgetisnull(result, 0, 1)) {
        put_place(&m->source, strtoll(PQgetvalue(result, 0, 1), NULL, 10), text);
        code = ctl_fail(CTL_FAILED, "%s: a period of a key that is neither here nor there", text);
    }
    PQclear(result);
    return code == CTL_DONE
               ? database_command(m->source.stage.db, m->dry ? "ROLLBACK" : "COMMIT", 0, NULL)
               : code;
}

static int import(struct import *m, const struct ctl_arguments *args)
{
    struct key_source *s = &m->source;
    progress_begin(&s->progress, s->ctl, "keys read", 0);
    int code = read_all(m, args);
    if (code == CTL_DONE && s->faults == 0)
        code = refuse_repeated(m);
    if (s->faults > SOURCE_FAULTS_TOLD)
        (void)ctl_fail(CTL_FAILED, "%lld faults more", s->faults - SOURCE_FAULTS_TOLD);
    if (s->faults > 0)
        code = ctl_fail(CTL_FAILED, "nothing is imported");
    if (code == CTL_DONE)
        ctl_say(s->ctl, "%lld keys read; storing them", s->keys);
    if (code == CTL_DONE)
        code = insert(m);
    return code == CTL_DONE ? finish(m) : code;
}

/* An import that was given up leaves nothing but a row in the audit. */
static void note_refusal(const struct import *m, PGconn *db)
{
    char source[NAME_SIZE], detail[NAME_SIZE + 96];
    const char *const parameters[] = {m->tenant, detail};
    if (PQstatus(db) != CONNECTION_OK || database_command(db, "ROLLBACK", 0, NULL) != CTL_DONE ||
        m->dry)
        return;
    put_source(&m->source, source);
    (void)snprintf(detail, sizeof detail, "%s: %lld faults, %lld conflicts", source,
                   m->source.faults, m->conflicts);
    (void)database_command(db, "SELECT speke.key_import_refused($1, $2)", 2, parameters);
}

static int report(const struct import *m)
{
    const struct ctl *ctl = m->source.ctl;
    if (ctl->json)
        return output_object(
            ctl, NULL, 0,
            json_pack("{s:I, s:I, s:I, s:I, s:b}", "imported", (json_int_t)m->inserted, "unchanged",
                      (json_int_t)m->unchanged, "conflicts", (json_int_t)m->conflicts, "periods",
                      (json_int_t)m->periods, "dry_run", m->dry));
    ctl_say(ctl, "%lld keys %simported, %lld were there and are the same, %lld conflicts left out",
            m->inserted, m->dry ? "would be " : "", m->unchanged, m->conflicts);
    return CTL_DONE;
}

/* --- the command ---------------------------------------------------------------------------- */

static int read_options(struct import *m, struct recipient *recipient,
                        const struct ctl_arguments *args)
{
    char why[512];
    const char *format = option_value(args, "format");
    const char *key = option_value(args, "key");
    m->tenant = option_value(args, "tenant");
    m->skip = option_given(args, "skip-conflicts");
    m->dry = option_given(args, "dry-run");
    m->source.clear = option_given(args, "clear");
    m->source.content_id = option_value(args, "content-id");
    if (m->tenant == NULL)
        return ctl_fail(CTL_USAGE, "--tenant TENANT is needed");
    if (format != NULL && strcmp(format, "csv") == 0)
        m->read = key_csv_read;
    else if (format != NULL && strcmp(format, "cpix") == 0)
        m->read = key_cpix_read;
    else if (format != NULL)
        return ctl_fail(CTL_USAGE, "--format: cpix or csv");
    if (key == NULL && !m->source.clear)
        return ctl_fail(CTL_USAGE,
                        "--key FILE opens encrypted documents; --clear reads clear keys");
    if (key != NULL && recipient_load(recipient, key, NULL, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    m->source.recipient = recipient->key;
    return CTL_DONE;
}

static int run_import(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct import m = {.source.ctl = ctl};
    struct recipient recipient = {0};
    int code = read_options(&m, &recipient, args);
    PGconn *db = code == CTL_DONE ? database_open(ctl, &code) : NULL;
    if (db != NULL) {
        code = key_stage_begin(&m.source.stage, ctl, db, m.tenant);
        if (code == CTL_DONE) {
            code = import(&m, args);
            if (code != CTL_DONE)
                note_refusal(&m, db);
        }
        key_stage_end(&m.source.stage);
        PQfinish(db);
    }
    recipient_free(&recipient);
    for (size_t i = 0; i < m.source.name_count; i++)
        free(m.source.names[i]);
    free(m.source.names);
    return code == CTL_DONE ? report(&m) : code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"tenant", '\0', "TENANT", "whose keys they are"},
    {"format", '\0', "FORMAT", "cpix or csv; else by the name: .xml, .cpix, .csv"},
    {"key", '\0', "FILE", "private key (RSA, PEM) that opens encrypted documents"},
    {"clear", '\0', NULL, "read clear keys"},
    {"content-id", '\0', "ID", "the content of documents that name none"},
    {"skip-conflicts", '\0', NULL, "leave keys out whose identity has another key"},
    {"dry-run", '\0', NULL, "do everything but keep it"},
};

const struct ctl_command key_import_command = {
    .name = "key import",
    .words = "FILE...",
    .summary = "Take keys in, from CPIX documents or CSV; what is there is never overwritten.",
    .notes = "\"-\" is standard input; a directory stands for its files *.xml. All or nothing: a\n"
             "fault, or a conflict without --skip-conflicts, and no key is imported.\n"
             "Columns of CSV: content_id, kid, key; iv, scheme, period_id, period_index,\n"
             "period_start, period_end, start_offset, end_offset.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .least_words = 1,
    .most_words = SIZE_MAX,
    .run = run_import,
};
