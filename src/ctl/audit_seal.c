/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl audit seal, audit checkpoint: for installations in which no parent of workers seals, and
 * the word about the seals that is kept elsewhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "ctl/audit_checkpoint.h"
#include "ctl/audit_walk.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/output.h"

enum { EVERY_MOST = 86400, MANY = 1000, ANSWER_SIZE = 32, TEXT_MAX = 4096, MODE = 0444 };

/* Seals all there is. *rows says how many, -1 when somebody else is at it. */
static int seal_all(PGconn *db, long *rows)
{
    char answer[ANSWER_SIZE];
    long n;
    *rows = 0;
    do {
        int code = database_ask(db, "SELECT speke.audit_seal()", answer, sizeof answer);
        if (code != CTL_DONE)
            return code;
        if (answer[0] == '\0') {
            *rows = *rows > 0 ? *rows : -1;
            return CTL_DONE;
        }
        n = strtol(answer, NULL, 10);
        *rows += n;
    } while (n >= MANY);
    return CTL_DONE;
}

static int seal_once(const struct ctl *ctl, PGconn *db)
{
    long rows;
    int code = seal_all(db, &rows);
    if (code != CTL_DONE)
        return code;
    if (ctl->json)
        return output_json_line(
            json_pack("{s:I, s:b}", "rows", (json_int_t)(rows > 0 ? rows : 0), "busy", rows < 0));
    if (rows < 0)
        ctl_say(ctl, "somebody else is sealing");
    else
        ctl_say(ctl, "%ld rows sealed", rows);
    return CTL_DONE;
}

/* Goes on until it is ended; a database that is away is asked again. */
static int seal_for_ever(struct ctl *ctl, long every)
{
    const struct timespec pause = {.tv_sec = every};
    PGconn *db = NULL;
    for (;;) {
        long rows;
        int code = CTL_DONE;
        if (db == NULL)
            db = database_open(ctl, &code);
        if (db != NULL && seal_all(db, &rows) == CTL_UNAVAILABLE) {
            PQfinish(db);
            db = NULL;
        }
        if (code != CTL_DONE && code != CTL_UNAVAILABLE)
            return code;
        (void)nanosleep(&pause, NULL); /* a signal that does not end this may shorten it */
    }
}

static int run_seal(struct ctl *ctl, const struct ctl_arguments *args)
{
    const char *every = option_value(args, "every");
    long seconds;
    int code;
    if (every != NULL) {
        if (option_number(every, 1, EVERY_MOST, &seconds) != 0)
            return ctl_fail(CTL_USAGE, "--every: seconds from 1 to %d", EVERY_MOST);
        return seal_for_ever(ctl, seconds);
    }
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = seal_once(ctl, db);
    PQfinish(db);
    return code;
}

static const struct ctl_option SEAL_ROWS[] = {
    {"every", 'e', "SECONDS", "go on and seal again so often, until interrupted"},
};

const struct ctl_command audit_seal_command = {
    .name = "audit seal",
    .words = "",
    .summary = "Seal what was written to the audit since the last time.",
    .notes =
        "A parent of workers does this by itself (setting audit_seal_interval). Where the web\n"
        "server starts the processes, run it from a timer.",
    .options = CTL_OPTIONS(SEAL_ROWS),
    .run = run_seal,
};

/* --- checkpoints ---------------------------------------------------------------------------- */

/* The last seal, after looking that its hash is its own. */
static int last_seal(PGconn *db, struct audit_checkpoint *out)
{
    char number[ANSWER_SIZE], rows[ANSWER_SIZE];
    unsigned char hash[AUDIT_HASH];
    struct audit_seal seal;
    int code = database_ask(db, "SELECT coalesce(max(seal_no), 0) FROM speke.v_audit_seal", number,
                            sizeof number);
    if (code == CTL_DONE && strcmp(number, "0") == 0)
        return ctl_fail(CTL_FAILED, "there is no seal yet (run \"spekectl audit seal\")");
    if (code == CTL_DONE)
        code = database_ask(db, "SELECT sum(row_count) FROM speke.v_audit_seal", rows, sizeof rows);
    if (code != CTL_DONE || audit_read_seal(db, strtoll(number, NULL, 10), &seal, &code) != 1)
        return code != CTL_DONE ? code : ctl_fail(CTL_FAILED, "the last seal is gone");
    if (audit_hash(&seal, hash) != 0)
        code = ctl_fail_memory();
    else if (memcmp(hash, seal.hash, sizeof hash) != 0)
        code = ctl_fail(CTL_TAMPERED, "seal %s was changed", number);
    out->seal_no = seal.seal_no;
    memcpy(out->hash, seal.hash, sizeof out->hash);
    out->rows = strtoll(rows, NULL, 10);
    out->sealed_at = seal.sealed_at;
    out->written_at = audit_now();
    (void)snprintf(out->database, sizeof out->database, "%s", PQdb(db));
    audit_seal_clear(&seal);
    return code;
}

static int write_checkpoint(const struct ctl *ctl, const struct audit_checkpoint *p,
                            const char *key, const char *path)
{
    struct buf text;
    char why[512], hash[2 * AUDIT_HASH + 1];
    buf_init(&text, TEXT_MAX);
    int code = audit_checkpoint_sign(p, key, &text);
    if (code == CTL_DONE && path == NULL) {
        if (fwrite(text.data, 1, text.len, stdout) != text.len)
            code = CTL_FAILED; /* main() says why */
    } else if (code == CTL_DONE) {
        hex_encode(p->hash, AUDIT_HASH, hash);
        if (file_replace(path, text.data, text.len, MODE, why, sizeof why) != 0)
            code = ctl_fail(CTL_FAILED, "%s", why);
        else if (ctl->json)
            code = output_json_line(json_pack("{s:s, s:I, s:s, s:I}", "file", path, "seal_no",
                                              (json_int_t)p->seal_no, "hash", hash, "rows",
                                              (json_int_t)p->rows));
        else
            ctl_say(ctl, "%s: seal %lld, %lld rows", path, (long long)p->seal_no,
                    (long long)p->rows);
    }
    buf_free(&text);
    return code;
}

static int run_checkpoint(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct audit_checkpoint p = {0};
    const char *key = option_value(args, "key");
    int code;
    if (key == NULL)
        return ctl_fail(CTL_USAGE, "--key: the private key that signs");
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = last_seal(db, &p);
    PQfinish(db);
    return code == CTL_DONE ? write_checkpoint(ctl, &p, key, option_value(args, "out")) : code;
}

static const struct ctl_option CHECKPOINT_ROWS[] = {
    {"key", 'k', "PEM", "the private key, of Ed25519, in a file that nobody else can read"},
    {"out", 'o', "FILE", "the file; standard output unless given"},
};

const struct ctl_command audit_checkpoint_command = {
    .name = "audit checkpoint",
    .words = "",
    .summary = "Write down the last seal, signed, to be kept elsewhere.",
    .notes =
        "\"openssl genpkey -algorithm ed25519\" makes a key, \"openssl pkey -pubout\" its public\n"
        "part, which \"spekectl audit verify\" takes.",
    .options = CTL_OPTIONS(CHECKPOINT_ROWS),
    .run = run_checkpoint,
};
