/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from comma-separated values: a line of column names, then a key a line. A line without key
 * and IV says only that a period names a key of the same file or of the database. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/scheme.h"
#include "base/secret.h"
#include "cpix/cpix.h"
#include "ctl/csv.h"
#include "ctl/ctl.h"
#include "ctl/key_source.h"
#include "keystore/keystore.h"

enum column_id {
    CONTENT_ID,
    KID,
    KEY,
    IV,
    SCHEME,
    PERIOD_ID,
    PERIOD_INDEX,
    PERIOD_START,
    PERIOD_END,
    START_OFFSET,
    END_OFFSET,
    COLUMN_COUNT
};

static const char *const COLUMN_NAMES[COLUMN_COUNT] = {
    "content_id",   "kid",          "key",        "iv",           "scheme",     "period_id",
    "period_index", "period_start", "period_end", "start_offset", "end_offset",
};

enum { PERIOD_TEXT_MAX = 1024, HEX_DIGITS = 2 * KEYSTORE_KEY_BYTES };

/* Where each column stands; CSV_FIELDS_MAX for one that the file does not have. */
struct layout {
    size_t place[COLUMN_COUNT];
    size_t count;
};

/* --- the first line ------------------------------------------------------------------------- */

static size_t find_column(const char *name)
{
    size_t i = 0;
    while (i < COLUMN_COUNT && strcmp(name, COLUMN_NAMES[i]) != 0)
        i++;
    return i;
}

/* Returns 0, or -1 when it has told what is wrong. The names are not repeated: a file without the
 * line would have a key there. */
static int read_layout(struct key_source *s, const struct csv *c, struct layout *l)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        l->place[i] = CSV_FIELDS_MAX;
    l->count = c->count;
    for (size_t i = 0; i < c->count; i++) {
        const size_t column = find_column(c->fields[i]);
        if (column == COLUMN_COUNT) {
            key_source_fault(s, c->line, "column %zu has no name that is known", i + 1);
            return -1;
        }
        if (l->place[column] != CSV_FIELDS_MAX) {
            key_source_fault(s, c->line, "two columns %s", COLUMN_NAMES[column]);
            return -1;
        }
        l->place[column] = i;
    }
    for (size_t i = CONTENT_ID; i <= KEY; i++) {
        if (l->place[i] == CSV_FIELDS_MAX) {
            key_source_fault(s, c->line, "no column %s", COLUMN_NAMES[i]);
            return -1;
        }
    }
    return 0;
}

/* --- a line --------------------------------------------------------------------------------- */

/* The text of a column, "" when the file does not have it. */
static const char *field(const struct csv *c, const struct layout *l, enum column_id column)
{
    return l->place[column] == CSV_FIELDS_MAX ? "" : c->fields[l->place[column]];
}

/* Reads 16 bytes as 32 hexadecimal digits or as base64. Returns 0 or -1. */
static int read_bytes(const char *text, unsigned char out[static KEYSTORE_KEY_BYTES])
{
    size_t n = strlen(text);
    if (n == HEX_DIGITS)
        return hex_decode(text, out, KEYSTORE_KEY_BYTES);
    return base64_decode(text, n, out, KEYSTORE_KEY_BYTES, &n) == 0 && n == KEYSTORE_KEY_BYTES ? 0
                                                                                               : -1;
}

static bool has_period(const struct csv *c, const struct layout *l)
{
    for (size_t i = PERIOD_ID; i <= END_OFFSET; i++) {
        if (field(c, l, (enum column_id)i)[0] != '\0')
            return true;
    }
    return false;
}

/* Tells what is wrong with the texts of a line. Returns whether nothing is. */
static bool check_texts(struct key_source *s, const struct csv *c, const struct layout *l,
                        struct stage_key *key)
{
    const long long faults = s->faults;
    const char *fault = cpix_content_id_fault(key->content_id);
    if (key->content_id[0] == '\0')
        fault = "is empty";
    if (fault != NULL)
        key_source_fault(s, c->line, "content_id %s", fault);
    if (uuid_parse(field(c, l, KID), &key->kid) != 0)
        key_source_fault(s, c->line, "kid is not a UUID");
    const enum scheme scheme = scheme_parse(field(c, l, SCHEME), SPEKE_V2_1);
    if (scheme == SCHEME_UNKNOWN)
        key_source_fault(s, c->line, "scheme is none that is known");
    key->scheme = scheme_name(scheme);
    for (size_t i = PERIOD_ID; i <= END_OFFSET; i++) {
        const char *text = field(c, l, (enum column_id)i);
        fault = cpix_content_id_fault(text);
        if (strlen(text) > PERIOD_TEXT_MAX)
            fault = "is longer than 1024 bytes";
        if (fault != NULL)
            key_source_fault(s, c->line, "%s %s", COLUMN_NAMES[i], fault);
    }
    return s->faults == faults;
}

static int add_period(struct key_source *s, const struct csv *c, const struct layout *l,
                      const struct stage_key *key)
{
    const char *texts[COLUMN_COUNT];
    for (size_t i = PERIOD_ID; i <= END_OFFSET; i++) {
        const char *text = field(c, l, (enum column_id)i);
        texts[i] = text[0] != '\0' ? text : NULL;
    }
    const struct keystore_period period = {.id = texts[PERIOD_ID],
                                           .index = texts[PERIOD_INDEX],
                                           .start = texts[PERIOD_START],
                                           .end = texts[PERIOD_END],
                                           .start_offset = texts[START_OFFSET],
                                           .end_offset = texts[END_OFFSET]};
    return key_stage_period(&s->stage, key_source_line(s, c->line), key->content_id, &key->kid,
                            &period);
}

/* value has 16 bytes of the secure heap. */
static int read_line(struct key_source *s, const struct csv *c, const struct layout *l,
                     unsigned char *value)
{
    unsigned char iv[KEYSTORE_IV_BYTES];
    struct stage_key key = {.content_id = field(c, l, CONTENT_ID), .value = value};
    const bool with_key = field(c, l, KEY)[0] != '\0';
    const bool with_iv = field(c, l, IV)[0] != '\0';
    bool good = check_texts(s, c, l, &key);
    if (with_key && read_bytes(field(c, l, KEY), value) != 0) {
        key_source_fault(s, c->line, "key is not 16 bytes in hexadecimal or base64");
        good = false;
    }
    if (!with_key && (with_iv || !has_period(c, l))) {
        key_source_fault(s, c->line, "key is empty");
        good = false;
    }
    if (with_iv && read_bytes(field(c, l, IV), iv) != 0) {
        key_source_fault(s, c->line, "iv is not 16 bytes in hexadecimal or base64");
        good = false;
    }
    if (!good || s->faults > 0)
        return CTL_DONE;
    key.iv = with_iv ? iv : NULL;
    int code = with_key ? key_source_add(s, &key, c->line) : CTL_DONE;
    if (code == CTL_DONE && has_period(c, l))
        code = add_period(s, c, l, &key);
    return code;
}

static int read_lines(struct key_source *s, struct csv *c, unsigned char *value)
{
    struct layout layout = {.count = 0};
    char why[128];
    bool fatal;
    int code = CTL_DONE, got;
    while (code == CTL_DONE && (got = csv_next(c, &fatal, why, sizeof why)) != 0) {
        if (got < 0) {
            key_source_fault(s, c->line, "%s", why);
            if (fatal)
                return CTL_FAILED;
        } else if (layout.count == 0) {
            if (read_layout(s, c, &layout) != 0)
                return CTL_DONE;
        } else if (c->count != layout.count) {
            key_source_fault(s, c->line, "%zu fields, not %zu", c->count, layout.count);
        } else {
            code = read_line(s, c, &layout, value);
        }
        if (got < 0 && layout.count == 0)
            return CTL_DONE;
    }
    if (code == CTL_DONE && layout.count == 0)
        key_source_fault(s, 1, "nothing in it");
    return code;
}

int key_csv_read(struct key_source *s, const char *path)
{
    struct csv csv;
    const bool standard_input = strcmp(path, "-") == 0;
    if (!s->clear)
        return ctl_fail(CTL_USAGE, "keys in CSV are clear: --clear says that this is meant");
    const int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    unsigned char *value = secret_alloc(KEYSTORE_KEY_BYTES);
    int code = CTL_DONE;
    if (value == NULL || csv_begin(&csv, fd) != 0) {
        code = ctl_fail_memory();
    } else {
        code = read_lines(s, &csv, value);
        csv_end(&csv);
    }
    secret_free(value, KEYSTORE_KEY_BYTES);
    if (!standard_input)
        (void)close(fd); /* read only: nothing can be lost */
    return code;
}
