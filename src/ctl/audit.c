/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl audit tail: the last audit events, and those to come. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"
#include "drm/drm.h"

/* A number is given out when an event is written and seen when it commits, so a lower one may turn
 * up after a higher one, but not WINDOW numbers later. */
enum {
    WINDOW = 1024,
    LINES_MAX = 64 * 1024 * 1024,
    PAUSE_SECONDS = 1,
    TAIL_MAX = 100000,
    DEFAULT_NUMBER = 20
};

#define SELECTION                                                                                \
    "SELECT event_id, to_char(at AT TIME ZONE 'UTC', '" CTL_TIME "') AS at, event, status, "     \
    "tenant, client, remote_user, host(remote_addr) AS remote_addr, speke_version, content_id, " \
    "kids, created_kids, systems, operator, detail, (SELECT jsonb_agg(jsonb_build_object("       \
    "'subject', r.subject, 'fingerprint', r.fingerprint) ORDER BY r.place) "                     \
    "FROM unnest(recipient_subjects, recipient_fingerprints) WITH ORDINALITY "                   \
    "AS r (subject, fingerprint, place)) AS recipients FROM speke.v_audit "

static const char LAST_ONES[] = "SELECT * FROM (" SELECTION
                                "ORDER BY event_id DESC LIMIT $1) AS last ORDER BY event_id";
static const char NEW_ONES[] = SELECTION "WHERE event_id > $1 ORDER BY event_id";

/* Not cut to the terminal's width: a reason that wraps is better than half a reason. */
static const struct column COLUMNS[] = {
    {"at", "TIME", false, 20},          {"kind", "EVENT", false, 11}, {"who", "WHO", false, 10},
    {"remote_addr", "FROM", false, 12}, {"what", "WHAT", false, 0},
};

struct tail {
    json_int_t highest;      /* event seen so far */
    json_int_t seen[WINDOW]; /* events by their number modulo WINDOW */
    bool head;               /* the table's head is still to be printed */
};

/* Appends the short name of a system ID. */
static void put_system(struct buf *out, const char *text)
{
    struct uuid id;
    const struct drm_system *system = NULL;
    if (text != NULL && uuid_parse(text, &id) == 0) {
        system = drm_find(&id, SPEKE_V2_1);
        system = system != NULL ? system : drm_find(&id, SPEKE_V1);
    }
    buf_puts(out, system != NULL ? drm_name(system) : "other");
}

/* For whom the keys of a release were encrypted: ", encrypted for CN=origin and 1 more". */
static void put_recipients(struct buf *out, const json_t *row)
{
    const json_t *recipients = json_object_get(row, "recipients");
    const size_t count = json_array_size(recipients); /* 0 also for NULL */
    const char *subject = json_string_value(
        json_object_get(json_array_get(recipients, 0), "subject"));
    if (count == 0)
        return;
    buf_puts(out, ", encrypted for ");
    buf_puts(out, subject != NULL ? subject : "-");
    if (count > 1)
        buf_printf(out, " and %zu more", count - 1);
}

/* A very long content id would hide what follows it. */
static void put_content_id(struct buf *out, const char *text)
{
    enum { MOST_BYTES = 100 };
    size_t n = strlen(text);
    const bool cut = n > MOST_BYTES;
    for (n = cut ? MOST_BYTES : n; cut && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
        ; /* back to the beginning of a character */
    buf_put(out, text, n);
    buf_puts(out, cut ? "...: " : ": ");
}

/* "movie-1: 4 keys (1 new) for widevine,fairplay", "movie-1: Malformed encryption contract". */
static void put_what(struct buf *out, const json_t *row)
{
    size_t i;
    json_t *item;
    const char *content = json_string_value(json_object_get(row, "content_id"));
    const char *detail = json_string_value(json_object_get(row, "detail"));
    const char *event = json_string_value(json_object_get(row, "event"));
    const size_t keys = json_array_size(json_object_get(row, "kids"));
    const size_t new = json_array_size(json_object_get(row, "created_kids"));
    if (content != NULL)
        put_content_id(out, content);
    if (detail != NULL)
        buf_puts(out, detail);
    if (event == NULL || strcmp(event, "release") != 0)
        return;
    buf_printf(out, "%zu key%s", keys, keys == 1 ? "" : "s");
    if (new > 0)
        buf_printf(out, " (%zu new)", new);
    json_array_foreach(json_object_get(row, "systems"), i, item)
    {
        buf_puts(out, i == 0 ? " for " : ",");
        put_system(out, json_string_value(item));
    }
    put_recipients(out, row);
}

/* Adds a member with the text that put() makes of the row. */
static int add_text(json_t *row, const char *name, void (*put)(struct buf *, const json_t *))
{
    struct buf text;
    buf_init(&text, LINES_MAX);
    put(&text, row);
    buf_put_u8(&text, 0);
    int result = buf_ok(&text)
                     ? json_object_set_new(row, name, json_string((const char *)text.data))
                     : -1;
    buf_free(&text);
    return result;
}

/* The status of a release is always 200. */
static void put_kind(struct buf *out, const json_t *row)
{
    const char *event = json_string_value(json_object_get(row, "event"));
    const json_int_t status = json_integer_value(json_object_get(row, "status"));
    buf_puts(out, event != NULL ? event : "");
    if (status >= 400)
        buf_printf(out, " %" JSON_INTEGER_FORMAT, status);
}

static void put_who(struct buf *out, const json_t *row)
{
    const char *who = json_string_value(json_object_get(row, "remote_user"));
    if (who == NULL)
        who = json_string_value(json_object_get(row, "operator"));
    buf_puts(out, who != NULL ? who : "");
}

static int print_table(struct tail *tail, const json_t *rows)
{
    struct buf text;
    size_t i;
    json_t *row;
    int code = CTL_DONE;
    json_array_foreach(rows, i, row)
    {
        if (add_text(row, "kind", put_kind) != 0 || add_text(row, "who", put_who) != 0 ||
            add_text(row, "what", put_what) != 0)
            return ctl_fail_memory();
    }
    buf_init(&text, LINES_MAX);
    table_format(&text, CTL_COLUMNS(COLUMNS), rows, tail->head, 0);
    tail->head = false;
    if (!buf_ok(&text))
        code = ctl_fail_memory();
    else if (fwrite(text.data, 1, text.len, stdout) != text.len)
        code = CTL_FAILED; /* main() says why */
    buf_free(&text);
    return code;
}

/* Marks an event as seen. Returns whether it had not been. */
static bool mark(struct tail *tail, const json_t *row)
{
    const json_int_t id = json_integer_value(json_object_get(row, "event_id"));
    const bool is_new = tail->seen[id % WINDOW] != id;
    tail->seen[id % WINDOW] = id;
    tail->highest = id > tail->highest ? id : tail->highest;
    return is_new;
}

/* Prints the rows not seen before, but for the first ones, of which there are skip. */
static int print_new(const struct ctl *ctl, struct tail *tail, const json_t *rows, size_t skip)
{
    int code = CTL_DONE;
    size_t i;
    json_t *row;
    json_t *news = json_array();
    json_array_foreach(rows, i, row)
    {
        if (mark(tail, row) && i >= skip && json_array_append(news, row) != 0)
            code = ctl_fail_memory();
    }
    json_array_foreach(news, i, row)
    {
        if (ctl->json && code == CTL_DONE)
            code = output_json_line(json_incref(row));
    }
    if (!ctl->json && code == CTL_DONE && json_array_size(news) > 0)
        code = print_table(tail, news);
    json_decref(news);
    return code == CTL_DONE && fflush(stdout) != 0 ? CTL_FAILED : code; /* main() says why */
}

/* Runs until it is interrupted or the database goes away. */
static int follow(const struct ctl *ctl, PGconn *db, struct tail *tail)
{
    int code = CTL_DONE;
    while (code == CTL_DONE) {
        char from[32];
        const char *const parameters[] = {from};
        (void)sleep(PAUSE_SECONDS);
        (void)snprintf(from, sizeof from, "%" JSON_INTEGER_FORMAT, tail->highest - WINDOW);
        json_t *rows = database_list(db, &code, NEW_ONES, 1, parameters);
        if (rows != NULL)
            code = print_new(ctl, tail, rows, 0);
        json_decref(rows);
    }
    return code;
}

static int run_tail(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct tail tail = {.head = true};
    const char *number = option_value(args, "number");
    const bool following = option_given(args, "follow");
    long n = DEFAULT_NUMBER;
    char limit[32];
    const char *const parameters[] = {limit};
    int code;
    if (number != NULL && option_number(number, 1, TAIL_MAX, &n) != 0)
        return ctl_fail(CTL_USAGE, "--number: a number from 1 to %d", TAIL_MAX);
    /* Whoever follows has to know what was there before. */
    (void)snprintf(limit, sizeof limit, "%ld", following && n < WINDOW ? (long)WINDOW : n);
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(db, &code, LAST_ONES, 1, parameters);
    const size_t count = json_array_size(rows);
    if (rows != NULL)
        code = print_new(ctl, &tail, rows, count > (size_t)n ? count - (size_t)n : 0);
    json_decref(rows);
    if (code == CTL_DONE && following)
        code = follow(ctl, db, &tail);
    PQfinish(db);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"number", 'n', "N", "the last N events; 20 unless given"},
    {"follow", 'f', NULL, "go on with what is written from now on, until interrupted"},
};

const struct ctl_command audit_tail_command = {
    .name = "audit tail",
    .words = "",
    .summary = "Show the last audit events: who got which keys, and what was refused.",
    .notes = "With --json each event is an object on a line of its own, with all its KIDs.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_tail,
};
