/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl key export: keys out of the database, as CPIX documents or CSV. A page of keys is read
 * in a transaction of its own that writes the audit, so nothing is written into the file of which
 * there is no record, however it ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/secret.h"
#include "cpix/certificate.h"
#include "ctl/commands.h"
#include "ctl/csv.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/key_document.h"
#include "ctl/key_select.h"
#include "ctl/key_vault.h"
#include "ctl/open.h"
#include "ctl/output.h"
#include "ctl/progress.h"
#include "drm/text.h"
#include "keystore/keystore.h"
#include "keystore/wire.h"

enum {
    PAGE = 1000,
    OUTPUT_MAX = 64 * 1024 * 1024,
    FLUSH_BYTES = 1024 * 1024,
    DIGEST_BYTES = 32,
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700
};

struct export
{
    const struct ctl *ctl;
    PGconn *db;
    struct key_vault vault;
    struct params params;
    const char *output, *directory; /* NULL: standard output */
    bool csv;
    int fd;              /* the file at hand, -1 for none */
    char path[PATH_MAX]; /* of that file */
    bool begun;          /* something was written into the output */
    struct buf text;     /* what goes there next */
    unsigned char *key;  /* 16 bytes in the secure heap */
    struct key_document document;
    struct certificate_fingerprint fingerprints[CPIX_RECIPIENTS_MOST];
    char subjects[CPIX_RECIPIENTS_MOST][CERTIFICATE_SUBJECT_SIZE];
    /* The last key of the page before. */
    bool paged;
    int32_t tenant_id;
    unsigned char digest[DIGEST_BYTES];
    struct uuid kid;
    long long keys, files;
    struct progress progress;
};

/* --- files ---------------------------------------------------------------------------------- */

/* Opens a new file: what is there is not overwritten. */
static int open_new(struct export *e, const char *path)
{
    e->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (e->fd < 0)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    (void)snprintf(e->path, sizeof e->path, "%s", path); /* it was short enough for open() */
    e->files++;
    return CTL_DONE;
}

static int close_file(struct export *e, const char *path)
{
    const int fd = e->fd;
    e->fd = -1;
    if (fd == STDOUT_FILENO || (fsync(fd) == 0 && close(fd) == 0))
        return CTL_DONE;
    return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
}

static int open_output(struct export *e)
{
    if (e->directory != NULL)
        return mkdir(e->directory, DIRECTORY_MODE) == 0
                   ? CTL_DONE
                   : ctl_fail(CTL_FAILED, "%s: %s", e->directory, strerror(errno));
    if (e->output != NULL)
        return open_new(e, e->output);
    e->fd = STDOUT_FILENO;
    return CTL_DONE;
}

/* Writes what has gathered, and wipes it. */
static int flush(struct export *e)
{
    if (!buf_ok(&e->text))
        return ctl_fail_memory();
    if (file_write_all(e->fd, e->text.data, e->text.len) != 0)
        return ctl_fail(CTL_FAILED, "%s: %s", e->fd != STDOUT_FILENO ? e->path : "standard output",
                        strerror(errno));
    buf_clear(&e->text);
    e->begun = true;
    return CTL_DONE;
}

/* --- CSV ------------------------------------------------------------------------------------ */

/* The fields of a period, empty without one, and the end of the line. */
static void put_period(struct buf *out, const json_t *period)
{
    static const char *const MEMBERS[] = {"id",  "index",       "start",
                                          "end", "startOffset", "endOffset"};
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
        const char *text = json_string_value(json_object_get(period, MEMBERS[i]));
        buf_putc(out, ',');
        csv_put(out, text != NULL ? text : "");
    }
    buf_puts(out, "\r\n");
}

static int add_csv(struct export *e, const struct exported_key *key)
{
    char kid[UUID_TEXT_SIZE];
    struct buf *out = &e->text;
    const size_t periods = json_array_size(key->periods);
    uuid_format(&key->kid, kid);
    if (!e->begun && out->len == 0)
        buf_puts(out, "content_id,kid,key,iv,scheme,period_id,period_index,period_start,"
                      "period_end,start_offset,end_offset\r\n");
    for (size_t i = 0; i == 0 || i < periods; i++) {
        csv_put(out, key->content_id);
        buf_printf(out, ",%s,", kid);
        if (i == 0) {
            text_put_hex(out, key->value, KEYSTORE_KEY_BYTES);
            buf_putc(out, ',');
            text_put_hex(out, key->iv, KEYSTORE_KEY_BYTES);
            buf_printf(out, ",%s", key->scheme);
        } else {
            buf_puts(out, ",,"); /* one more period of the key above */
        }
        put_period(out, json_array_get(key->periods, i));
    }
    return CTL_DONE;
}

/* --- CPIX ----------------------------------------------------------------------------------- */

/* Writes the document that has gathered, if there is one, into a file of its own in a directory. */
static int write_document(struct export *e)
{
    struct failure f;
    char path[PATH_MAX];
    int code = CTL_DONE;
    if (e->document.doc.key_count == 0)
        return CTL_DONE;
    if (e->directory != NULL) {
        const int n = snprintf(path, sizeof path, "%s/%08lld.xml", e->directory, e->files + 1);
        code = n > 0 && (size_t)n < sizeof path
                   ? open_new(e, path)
                   : ctl_fail(CTL_FAILED, "%s: a name too long", e->directory);
    } else if (e->begun) {
        code = ctl_fail(CTL_FAILED, "keys were made meanwhile, and there are too many for one "
                                    "document: --directory takes them");
    }
    if (code == CTL_DONE && key_document_write(&e->document, &e->text, &f) != 0)
        code = ctl_fail(CTL_FAILED, "%s%s%s", f.text, f.cause[0] != '\0' ? ": " : "", f.cause);
    if (code == CTL_DONE)
        code = flush(e);
    return code == CTL_DONE && e->directory != NULL ? close_file(e, path) : code;
}

static int add_cpix(struct export *e, const struct exported_key *key)
{
    int code = CTL_DONE;
    if (!key_document_takes(&e->document, key))
        code = write_document(e);
    if (code == CTL_DONE && key_document_add(&e->document, key) != 0)
        code = ctl_fail_memory();
    return code;
}

/* --- pages ---------------------------------------------------------------------------------- */

/* The place after which the page begins; NULL before the first. */
static void put_place(const struct export *e, struct params *p)
{
    if (e->paged) {
        params_int4(p, e->tenant_id);
        params_bytes(p, e->digest, sizeof e->digest);
        params_bytes(p, e->kid.bytes, UUID_BYTES);
    } else {
        for (int i = 0; i < 3; i++)
            params_text(p, NULL);
    }
}

static PGresult *read_page(struct export *e, const char *selection, int *code)
{
    static const Oid TYPES[] = {OID_TEXT, OID_INT4, OID_BYTEA,       OID_UUID,
                                OID_INT4, OID_TEXT, OID_BYTEA_ARRAY, OID_TEXT_ARRAY};
    struct params *p = &e->params;
    const size_t recipients = e->document.recipient_count;
    params_clear(p);
    params_text(p, selection);
    put_place(e, p);
    params_int4(p, PAGE);
    params_text(p, e->csv ? "csv" : "cpix");
    params_array(p, OID_BYTEA, recipients);
    for (size_t i = 0; i < recipients; i++)
        params_item(p, e->fingerprints[i].bytes, sizeof e->fingerprints[i].bytes);
    params_array_end(p);
    params_array(p, OID_TEXT, recipients);
    for (size_t i = 0; i < recipients; i++)
        params_item_readable_text(p, e->subjects[i]);
    params_array_end(p);
    return database_call(e->db, code,
                         "SELECT tenant_id, content_digest, kid, content_id, scheme, explicit_iv, "
                         "sealed, kek_version, periods::text "
                         "FROM speke.key_export($1::jsonb, $2, $3, $4, $5, $6, $7, $8)",
                         TYPES, p);
}

/* Opens the key of a row and adds it to the output. */
static int add_row(struct export *e, const PGresult *result, int i)
{
    unsigned char iv[KEYSTORE_IV_BYTES], sealed[SEALED_BYTES];
    int32_t version;
    const char *periods = result_text(result, i, 8);
    struct exported_key key = {.content_id = result_text(result, i, 3),
                               .scheme = result_text(result, i, 4),
                               .iv = iv,
                               .value = e->key};
    if (result_int4(result, i, 0, &e->tenant_id) != 0 ||
        result_bytes(result, i, 1, e->digest, sizeof e->digest) != 0 ||
        result_bytes(result, i, 2, e->kid.bytes, UUID_BYTES) != 0 ||
        result_bytes(result, i, 5, iv, sizeof iv) != 0 ||
        result_bytes(result, i, 6, sealed, sizeof sealed) != 0 ||
        result_int4(result, i, 7, &version) != 0 || key.content_id == NULL || key.scheme == NULL)
        return ctl_fail(CTL_FAILED, "key_export: unexpected types");
    key.kid = e->kid;
    e->paged = true;
    const struct seal_row row = {.tenant_id = (uint32_t)e->tenant_id,
                                 .kek_version = (uint32_t)version,
                                 .kid = key.kid,
                                 .scheme = key.scheme,
                                 .content_id = key.content_id};
    int code = key_vault_open(&e->vault, &row, sealed, e->key);
    json_t *named = periods != NULL ? json_loads(periods, 0, NULL) : NULL;
    if (code == CTL_DONE && periods != NULL && named == NULL)
        code = ctl_fail_memory();
    key.periods = named;
    if (code == CTL_DONE)
        code = e->csv ? add_csv(e, &key) : add_cpix(e, &key);
    json_decref(named);
    e->keys++;
    return code;
}

static int export_all(struct export *e, const char *selection)
{
    int code = CTL_DONE, rows = PAGE;
    while (rows == PAGE && code == CTL_DONE) {
        PGresult *result = read_page(e, selection, &code);
        if (result == NULL)
            return code;
        rows = PQntuples(result);
        for (int i = 0; i < rows && code == CTL_DONE; i++) {
            code = add_row(e, result, i);
            if (code == CTL_DONE && e->csv && (i + 1 == rows || e->text.len > FLUSH_BYTES))
                code = flush(e);
        }
        PQclear(result);
        progress_show(&e->progress, e->keys);
    }
    return code == CTL_DONE && !e->csv ? write_document(e) : code;
}

/* --- the command ---------------------------------------------------------------------------- */

/* One document has room for one content and so many keys. */
static int count_first(struct export *e, const char *selection, struct key_count *count)
{
    int code = key_count(e->db, selection, count);
    if (code != CTL_DONE)
        return code;
    if (count->keys == 0)
        return ctl_fail(CTL_FAILED, "no key is selected");
    if (!e->csv && e->directory == NULL && (count->contents > 1 || count->keys > DOCUMENT_KEYS_MAX))
        return ctl_fail(CTL_USAGE,
                        "%lld keys of %lld contents: one CPIX document has one content and at most "
                        "%d keys; --directory takes many",
                        count->keys, count->contents, DOCUMENT_KEYS_MAX);
    return CTL_DONE;
}

static int prepare(struct export *e)
{
    params_init(&e->params);
    buf_init(&e->text, OUTPUT_MAX);
    e->key = secret_alloc(KEYSTORE_KEY_BYTES);
    if (e->key == NULL || key_document_begin(&e->document) != 0)
        return ctl_fail_memory();
    return key_vault_begin(&e->vault, e->ctl);
}

/* Half a file is none. The documents that are whole stay: the audit has their keys. */
static void give_up(struct export *e)
{
    if (e->fd >= 0 && e->fd != STDOUT_FILENO) {
        (void)close(e->fd); /* nothing is kept of it: */
        (void)unlink(e->path);
    }
    e->fd = -1;
}

static int run_selected(struct export *e, const char *selection)
{
    struct key_count count;
    int code = prepare(e);
    if (code == CTL_DONE)
        code = count_first(e, selection, &count);
    if (code == CTL_DONE)
        code = open_output(e);
    if (code == CTL_DONE) {
        progress_begin(&e->progress, e->ctl, "keys exported", count.keys);
        code = export_all(e, selection);
        progress_end(&e->progress, e->keys);
    }
    if (code == CTL_DONE && e->fd >= 0)
        code = close_file(e, e->output);
    if (code != CTL_DONE)
        give_up(e);
    key_vault_end(&e->vault);
    key_document_end(&e->document);
    secret_free(e->key, KEYSTORE_KEY_BYTES);
    buf_free(&e->text);
    params_free(&e->params);
    return code;
}

static int load_recipients(struct export *e, const struct ctl_arguments *args)
{
    const char *path;
    char why[512];
    struct key_document *d = &e->document;
    d->recipients = calloc(CPIX_RECIPIENTS_MOST, sizeof *d->recipients);
    if (d->recipients == NULL)
        return ctl_fail_memory();
    for (size_t i = 0; (path = option_nth(args, "to", i)) != NULL; i++) {
        const struct certificate *certificate;
        struct failure f;
        if (i == CPIX_RECIPIENTS_MOST)
            return ctl_fail(CTL_USAGE, "--to: at most %d recipients", CPIX_RECIPIENTS_MOST);
        d->recipients[i] = recipient_certificate(path, why, sizeof why);
        if (d->recipients[i] == NULL)
            return ctl_fail(CTL_FAILED, "%s", why);
        d->recipient_count++;
        failure_clear(&f);
        if (certificate_take(d->recipients[i], &certificate, &f) != 0)
            return ctl_fail(CTL_FAILED, "%s: %s", path, f.text);
        e->fingerprints[i] = certificate->fingerprint;
        memcpy(e->subjects[i], certificate->subject, sizeof e->subjects[i]);
    }
    return CTL_DONE;
}

static int read_options(struct export *e, const struct ctl_arguments *args)
{
    const char *format = option_value(args, "format"), *state = option_value(args, "state");
    const bool clear = option_given(args, "clear"), to = option_given(args, "to");
    e->output = option_value(args, "output");
    e->directory = option_value(args, "directory");
    e->csv = format != NULL && strcmp(format, "csv") == 0;
    if (format != NULL && !e->csv && strcmp(format, "cpix") != 0)
        return ctl_fail(CTL_USAGE, "--format: cpix or csv");
    if (option_value(args, "tenant") == NULL)
        return ctl_fail(CTL_USAGE, "--tenant TENANT is needed");
    if (state != NULL && strcmp(state, "destroyed") == 0)
        return ctl_fail(CTL_USAGE, "--state: destroyed keys have no value to export");
    if (e->csv && to)
        return ctl_fail(CTL_USAGE, "CSV cannot be encrypted: --to is for CPIX");
    if (to == clear)
        return ctl_fail(CTL_USAGE, "either --to CERTIFICATE, which encrypts the keys, or --clear");
    if (e->output != NULL && e->directory != NULL)
        return ctl_fail(CTL_USAGE, "either --output or --directory");
    if (e->csv && e->directory != NULL)
        return ctl_fail(CTL_USAGE, "--directory is for CPIX");
    if (e->output == NULL && e->directory == NULL && isatty(STDOUT_FILENO))
        return ctl_fail(CTL_USAGE, "keys are not printed on a terminal: --output FILE");
    return load_recipients(e, args);
}

/* The result on stdout is the export itself when no file takes it. */
static int report(const struct export *e)
{
    if (e->output == NULL && e->directory == NULL)
        return CTL_DONE;
    if (e->ctl->json)
        return output_object(
            e->ctl, NULL, 0,
            json_pack("{s:I, s:I}", "keys", (json_int_t)e->keys, "files", (json_int_t)e->files));
    ctl_say(e->ctl, "%lld keys are in %lld file%s", e->keys, e->files, e->files == 1 ? "" : "s");
    return CTL_DONE;
}

/* Keys that are revoked or destroyed are no use elsewhere, where nothing says so. */
static char *select_active(const struct ctl_arguments *args, int *code)
{
    char *text = NULL;
    json_t *chosen = key_selection(args, code);
    if (chosen == NULL)
        return NULL;
    if (json_object_get(chosen, "state") != NULL ||
        json_object_set_new(chosen, "state", json_string("active")) == 0)
        text = key_selection_text(json_incref(chosen));
    json_decref(chosen);
    if (text == NULL)
        *code = ctl_fail_memory();
    return text;
}

static int run_export(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct export *e = calloc(1, sizeof *e);
    if (e == NULL)
        return ctl_fail_memory();
    e->ctl = ctl;
    e->fd = -1;
    int code = read_options(e, args);
    char *selection = code == CTL_DONE ? select_active(args, &code) : NULL;
    if (selection != NULL)
        e->db = database_open(ctl, &code);
    if (e->db != NULL)
        code = run_selected(e, selection);
    if (code == CTL_DONE)
        code = report(e);
    PQfinish(e->db);
    free(selection);
    for (size_t i = 0; i < e->document.recipient_count; i++)
        free(e->document.recipients[i]);
    free(e->document.recipients);
    free(e);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    KEY_SELECT_TENANT,
    KEY_SELECT_OPTIONS,
    {"format", '\0', "FORMAT", "cpix unless given, or csv"},
    {"to", '\0', "FILE", "encrypt for this certificate (PEM); may be given more than once"},
    {"clear", '\0', NULL, "write clear keys"},
    {"output", 'o', "FILE", "a new file, of mode 0600; else standard output"},
    {"directory", '\0', "DIR", "a new directory, for a document for each content"},
};

const struct ctl_command key_export_command = {
    .name = "key export",
    .words = "",
    .summary = "Write keys out, as CPIX documents, encrypted for certificates, or as CSV.",
    .notes = "Active keys, unless --state says otherwise. Each is in the audit before it is in\n"
             "the file.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_export,
};
