/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl kek activate, kek retire, kek destroy: what becomes of a key-encryption key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/settings.h"
#include "base/trim.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/kek.h"
#include "ctl/output.h"
#include "keystore/keyring.h"

static const struct ctl_option OPTION_ROWS[] = {
    {"file", '\0', "FILE", "the KEK file; else the setting \"kek_file\""},
    {"yes", '\0', NULL, "do not ask"},
};

static int take_version(const struct ctl_arguments *args, long *version)
{
    if (option_number(args->words[0], 1, INT32_MAX, version) != 0)
        return ctl_fail(CTL_USAGE, "VERSION: a number from 1 to %d", INT32_MAX);
    return CTL_DONE;
}

static int report(const struct ctl *ctl, long version, const char *state)
{
    if (ctl->json)
        return output_object(
            ctl, NULL, 0,
            json_pack("{s:I, s:s}", "kek_version", (json_int_t)version, "state", state));
    ctl_say(ctl, "KEK %ld is %s.", version, state);
    return CTL_DONE;
}

/* --- activate ------------------------------------------------------------------------------- */

/* The check value of a KEK in the database; says so when there is none. */
static int ask_check(PGconn *db, const char *version, char out[static KEK_CHECK_HEX])
{
    const char *const parameters[] = {version};
    int code;
    PGresult *result = database_query(
        db, &code, "SELECT check_value FROM speke.v_kek WHERE kek_version = $1::integer", 1,
        parameters);
    if (result == NULL)
        return code;
    if (PQntuples(result) == 1)
        (void)snprintf(out, KEK_CHECK_HEX, "%s", PQgetvalue(result, 0, 0));
    else
        code = ctl_fail(CTL_FAILED, "no KEK version %s is registered", version);
    PQclear(result);
    return code;
}

static int activate(PGconn *db, struct keyring *ring, long version)
{
    char check[KEK_CHECK_HEX], text[16];
    const char *const parameters[] = {text, check};
    (void)snprintf(text, sizeof text, "%ld", version);
    int code = ask_check(db, text, check);
    if (code != CTL_DONE)
        return code;
    const char *state = kek_in_file(ring, version, check);
    if (strcmp(state, "yes") != 0)
        return ctl_fail(CTL_FAILED, "the KEK file does not hold KEK %ld as it was registered: %s",
                        version, state);
    return database_command(db, "SELECT speke.kek_activate($1, decode($2, 'hex'))", 2, parameters);
}

static int run_activate(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    const char *path;
    long version;
    int code = take_version(args, &version);
    if (code == CTL_DONE)
        code = kek_choose_file(ctl, args, &settings, &path);
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    struct keyring *ring = kek_open_ring(&settings, path);
    code = ring == NULL ? ctl_fail_memory() : activate(db, ring, version);
    keyring_free(ring);
    PQfinish(db);
    return code == CTL_DONE ? report(ctl, version, "active") : code;
}

/* --- retire --------------------------------------------------------------------------------- */

static int run_retire(struct ctl *ctl, const struct ctl_arguments *args)
{
    long version;
    const char *const parameters[] = {args->words[0]};
    int code = take_version(args, &version);
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = database_command(db, "SELECT speke.kek_retire($1)", 1, parameters);
    PQfinish(db);
    return code == CTL_DONE ? report(ctl, version, "retired") : code;
}

/* --- destroy -------------------------------------------------------------------------------- */

static bool is_line_of(struct span line, long version)
{
    char number[16];
    const int n = snprintf(number, sizeof number, "%ld", version);
    line = trim_span(line);
    return n > 0 && line.n > (size_t)n && memcmp(line.text, number, (size_t)n) == 0 &&
           (line.text[n] == ' ' || line.text[n] == '\t');
}

/* Takes the line of a version out of a text of n bytes. Returns the new length. */
static size_t remove_line(char *text, size_t n, long version)
{
    size_t kept = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t length = end != NULL ? (size_t)(end - (text + at)) + 1 : n - at;
        if (!is_line_of((struct span){.text = text + at, .n = length}, version)) {
            memmove(text + kept, text + at, length);
            kept += length;
        }
        at += length;
    }
    return kept;
}

/* Writes the file without the KEK beside the old one, for file_update_commit(). */
static int write_without(const struct ctl *ctl, struct file_update *u, long version)
{
    char why[512];
    const size_t size = u->old_size;
    if (size == 0 || size > KEYRING_FILE_MAX)
        return ctl_fail(CTL_FAILED, "%s is no KEK file", u->path);
    char *text = secret_alloc(size);
    if (text == NULL)
        return ctl_fail_memory();
    size_t kept = size;
    int code = CTL_DONE;
    if (file_update_read(u, text, why, sizeof why) == 0) {
        kept = remove_line(text, size, version);
        if (file_update_write(u, text, kept, why, sizeof why) != 0)
            code = ctl_fail(CTL_FAILED, "%s", why);
    } else {
        code = ctl_fail(CTL_FAILED, "%s", why);
    }
    if (code == CTL_DONE && kept == size)
        ctl_warn(ctl, "%s does not hold KEK %ld", u->path, version);
    secret_free(text, size);
    return code;
}

/* The state is changed, and not committed, before the file is: the database says whether it may
 * be. After an interruption in between the command can be run again. */
static int destroy(const struct ctl *ctl, PGconn *db, struct file_update *u, const char *version,
                   long number)
{
    char why[512];
    const char *const parameters[] = {version};
    int code = database_command(db, "BEGIN", 0, NULL);
    if (code == CTL_DONE)
        code = database_command(db, "SELECT speke.kek_destroy($1)", 1, parameters);
    if (code == CTL_DONE && u->old >= 0)
        code = write_without(ctl, u, number);
    if (code == CTL_DONE && u->old >= 0 && file_update_commit(u, why, sizeof why) != 0)
        code = ctl_fail(CTL_FAILED, "%s", why);
    return code == CTL_DONE ? database_command(db, "COMMIT", 0, NULL) : code;
}

static bool confirmed(const struct ctl *ctl, const struct ctl_arguments *args, const char *path)
{
    char answer[16];
    if (option_given(args, "yes"))
        return true;
    if (ctl->json || isatty(STDIN_FILENO) != 1)
        return false;
    (void)fprintf(stderr,
                  "KEK %s goes out of %s for good. A backup of the database from before it was\n"
                  "retired can then not be used without another copy of it. Destroy it? [yes/no] ",
                  args->words[0], path);
    return fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

static int run_destroy(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    struct file_update update;
    const char *path;
    char why[512];
    long version;
    int code = take_version(args, &version);
    if (code == CTL_DONE)
        code = kek_choose_file(ctl, args, &settings, &path);
    if (code == CTL_DONE)
        code = kek_need_file(path);
    if (code != CTL_DONE)
        return code;
    if (!confirmed(ctl, args, path))
        return ctl_fail(CTL_FAILED, "not destroyed: --yes says that it shall be");
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    if (access(path, F_OK) != 0) {
        code = ctl_fail(CTL_FAILED, "%s: no such KEK file", path);
    } else if (file_update_begin(&update, path, KEK_FILE_MODE, why, sizeof why) != 0) {
        code = ctl_fail(CTL_FAILED, "%s", why);
    } else {
        code = destroy(ctl, db, &update, args->words[0], version);
        file_update_end(&update);
    }
    PQfinish(db); /* rolls back what was not committed */
    return code == CTL_DONE ? report(ctl, version, "destroyed") : code;
}

const struct ctl_command kek_activate_command = {
    .name = "kek activate",
    .words = "VERSION",
    .summary = "Have a KEK that is ready (or retiring) seal new keys; the former retires.",
    .notes = "The KEK must be in the KEK file of every machine that runs the key provider.",
    .options = {OPTION_ROWS, 1},
    .least_words = 1,
    .most_words = 1,
    .run = run_activate,
};

const struct ctl_command kek_retire_command = {
    .name = "kek retire",
    .words = "VERSION",
    .summary = "Retire a KEK under which no key is sealed any more.",
    .notes =
        "Keys that still are, and secrets of token keys, have to go over to the active KEK first:\n"
        "\"spekectl kek rewrap\".",
    .least_words = 1,
    .most_words = 1,
    .run = run_retire,
};

const struct ctl_command kek_destroy_command = {
    .name = "kek destroy",
    .words = "VERSION",
    .summary = "Take a retired KEK out of the KEK file for good.",
    .notes =
        "Backups of the database that are older than its retirement need it: keep a copy with\n"
        "them for as long as they are to be of use. Other machines' files are not changed.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_destroy,
};
