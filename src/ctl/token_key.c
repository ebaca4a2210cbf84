/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl token-key add, list, disable, enable, remove, rewrap: the keys by which the tokens of
 * players are verified. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/kek.h"
#include "ctl/output.h"
#include "ctl/token_file.h"
#include "ctl/token_seal.h"
#include "keystore/keyring.h"
#include "keystore/seal.h"

enum { NUMBER_SIZE = 16 };

/* --- sealing under the active KEK ------------------------------------------------------------ */

static void kek_end(struct token_kek *k)
{
    sealer_free(k->sealer);
    keyring_free(k->ring);
}

/* Finds the active KEK in the database and in the file. Ended with kek_end() whatever it returns.
 */
static int kek_begin(struct ctl *ctl, const struct ctl_arguments *args, PGconn *db,
                     struct token_kek *k)
{
    struct settings settings;
    const char *path;
    char check[KEK_CHECK_HEX];
    *k = (struct token_kek){0};
    int code = kek_choose_file(ctl, args, &settings, &path);
    if (code != CTL_DONE)
        return code;
    k->ring = kek_open_ring(&settings, path);
    k->sealer = sealer_new();
    if (k->ring == NULL || k->sealer == NULL)
        return ctl_fail_memory();
    PGresult *result = database_query(
        db, &code, "SELECT kek_version, check_value FROM speke.v_kek WHERE state = 'active'", 0,
        NULL);
    if (result == NULL)
        return code;
    if (PQntuples(result) == 1) {
        k->version = strtol(PQgetvalue(result, 0, 0), NULL, 10);
        (void)snprintf(check, sizeof check, "%s", PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    if (k->version == 0)
        return ctl_fail(CTL_FAILED, "no KEK is active (run \"spekectl kek create\")");
    const char *state = kek_in_file(k->ring, k->version, check);
    return strcmp(state, "yes") == 0
               ? CTL_DONE
               : ctl_fail(CTL_FAILED, "%s does not hold the active KEK %ld: %s",
                          path != NULL ? path : settings.kek_command, k->version, state);
}

/* --- add ------------------------------------------------------------------------------------ */

static int find_tenant(PGconn *db, const char *tenant, long *id)
{
    const char *const parameters[] = {tenant};
    int code;
    PGresult *result = database_query(
        db, &code, "SELECT tenant_id FROM speke.v_tenant WHERE name = $1", 1, parameters);
    if (result == NULL)
        return code;
    if (PQntuples(result) == 0)
        code = ctl_fail(CTL_FAILED, "no tenant \"%s\"", tenant);
    else
        *id = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return code;
}

static int store_public(PGconn *db, const char *tenant, const char *kid,
                        const struct token_file *file)
{
    char hex[2 * TOKEN_FILE_BYTES + 1];
    const char *const parameters[] = {tenant, kid, hex};
    enum { POINT = 65 };
    hex_encode(file->key.bytes, POINT, hex);
    return database_command(
        db, "SELECT speke.token_key_add($1, $2, 'ES256', decode($3, 'hex'), NULL, NULL)", 3,
        parameters);
}

static int store_secret(struct ctl *ctl, const struct ctl_arguments *args, PGconn *db,
                        const char *tenant, const char *kid, const struct token_file *file)
{
    struct token_kek k;
    long tenant_id = 0;
    char hex[TOKEN_SEALED_HEX], version[NUMBER_SIZE];
    const char *const parameters[] = {tenant, kid, hex, version};
    int code = find_tenant(db, tenant, &tenant_id);
    if (code != CTL_DONE)
        return code;
    code = kek_begin(ctl, args, db, &k);
    if (code == CTL_DONE)
        code = token_seal(&k, tenant_id, kid, file->key.bytes, file->key.size, hex);
    (void)snprintf(version, sizeof version, "%ld", k.version);
    if (code == CTL_DONE)
        code = database_command(
            db, "SELECT speke.token_key_add($1, $2, 'HS256', NULL, decode($3, 'hex'), $4)", 4,
            parameters);
    kek_end(&k);
    return code;
}

static int choose_algorithm(const char *name, enum token_algorithm *out)
{
    *out = name != NULL && strcmp(name, "ES256") == 0 ? TOKEN_ES256 : TOKEN_HS256;
    if (name == NULL || strcmp(name, "ES256") == 0 || strcmp(name, "HS256") == 0)
        return CTL_DONE;
    return ctl_fail(CTL_USAGE, "--alg: HS256 or ES256");
}

/* The key to register: made or read. */
static int get_key(const struct ctl_arguments *args, struct token_file *file)
{
    enum token_algorithm algorithm;
    const char *path = option_value(args, "key-file"), *name = option_value(args, "alg");
    int code = choose_algorithm(name, &algorithm);
    *file = (struct token_file){0};
    if (code != CTL_DONE)
        return code;
    if ((path != NULL) == option_given(args, "generate"))
        return ctl_fail(CTL_USAGE, "one of --key-file FILE and --generate is needed");
    if (path == NULL)
        return token_file_make(file, algorithm, option_value(args, "out"));
    code = token_file_read(file, path, false);
    if (code == CTL_DONE && name != NULL && file->key.algorithm != algorithm)
        code = ctl_fail(CTL_FAILED, "%s is no key for %s", path, name);
    return code;
}

static int run_add(struct ctl *ctl, const struct ctl_arguments *args)
{
    const char *tenant = args->words[0], *kid = option_value(args, "kid");
    struct token_file file;
    int code;
    if (kid == NULL)
        return ctl_fail(CTL_USAGE, "--kid is needed: the name that tokens give the key");
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = get_key(args, &file);
    if (code == CTL_DONE)
        code = file.key.algorithm == TOKEN_ES256 ? store_public(db, tenant, kid, &file)
                                                 : store_secret(ctl, args, db, tenant, kid, &file);
    token_file_free(&file);
    PQfinish(db);
    if (code == CTL_DONE)
        ctl_say(ctl, "token key \"%s\" of tenant \"%s\" added", kid, tenant);
    return code;
}

/* --- list, disable, enable, remove ----------------------------------------------------------- */

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {
        {"tenant", "TENANT", true, 0},        {"kid", "KID", true, 0},
        {"algorithm", "ALGORITHM", false, 0}, {"enabled", "ENABLED", false, 0},
        {"kek_version", "KEK", false, 0},     {"fingerprint", "FINGERPRINT", true, 8},
        {"created_at", "CREATED", false, 0},
    };
    const char *const parameters[] = {args->word_count > 0 ? args->words[0] : NULL};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(
        db, &code,
        "SELECT tenant, kid, algorithm, enabled, kek_version, fingerprint, "
        "to_char(created_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS created_at "
        "FROM speke.v_token_key WHERE $1::text IS NULL OR tenant = $1 ORDER BY tenant, kid",
        1, parameters);
    PQfinish(db);
    return rows == NULL ? code : output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

static int change(struct ctl *ctl, const struct ctl_arguments *args, const char *sql,
                  const char *done)
{
    const char *const parameters[] = {args->words[0], args->words[1]};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = database_command(db, sql, 2, parameters);
    PQfinish(db);
    if (code == CTL_DONE)
        ctl_say(ctl, "token key \"%s\" of tenant \"%s\" %s", parameters[1], parameters[0], done);
    return code;
}

static int run_disable(struct ctl *ctl, const struct ctl_arguments *args)
{
    return change(ctl, args, "SELECT speke.token_key_set_enabled($1, $2, false)", "disabled");
}

static int run_enable(struct ctl *ctl, const struct ctl_arguments *args)
{
    return change(ctl, args, "SELECT speke.token_key_set_enabled($1, $2, true)", "enabled");
}

static int run_remove(struct ctl *ctl, const struct ctl_arguments *args)
{
    return change(ctl, args, "SELECT speke.token_key_remove($1, $2)", "removed");
}

/* --- rewrap --------------------------------------------------------------------------------- */

static int report_rewrap(const struct ctl *ctl, const struct token_kek *k, long long done, int code)
{
    if (ctl->json && code == CTL_DONE)
        return output_object(ctl, NULL, 0,
                             json_pack("{s:I, s:I}", "kek_version", (json_int_t)k->version,
                                       "rewrapped", (json_int_t)done));
    ctl_say(ctl, "%lld token keys were sealed anew under KEK %ld.", done, k->version);
    return code;
}

static int run_rewrap(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct token_kek k;
    long long done = 0;
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = kek_begin(ctl, args, db, &k);
    if (code == CTL_DONE)
        code = token_rewrap(&k, db, &done);
    if (done > 0 || code == CTL_DONE)
        code = report_rewrap(ctl, &k, done, code);
    kek_end(&k);
    PQfinish(db);
    return code;
}

/* The table of several commands: each takes the rows that are its own. */
static const struct ctl_option OPTION_ROWS[] = {
    {"file", '\0', "FILE", "KEK file; else the setting \"kek_file\""},
    {"kid", '\0', "KID", "the name that tokens give the key in their header \"kid\""},
    {"alg", '\0', "ALGORITHM",
     "HS256 (a shared secret) or ES256; with --generate HS256 unless given"},
    {"key-file", '\0', "FILE",
     "a secret of 32 to 64 bytes as base64url, or a P-256 key as PEM, of which only the public "
     "half is kept"},
    {"generate", '\0', NULL, "make a secret, or a pair of keys"},
    {"out", '\0', "FILE", "where what was made goes, mode 0600; else it is printed"},
};

enum { KEK_FILE_ONLY = 1, ALL = sizeof OPTION_ROWS / sizeof OPTION_ROWS[0] };

const struct ctl_command token_key_add_command = {
    .name = "token-key add",
    .words = "TENANT --kid KID (--generate [--alg ES256] | --key-file FILE)",
    .summary = "Register a key by which tokens of a tenant's players are verified.",
    .notes = "A secret is kept sealed under the active KEK, for which the KEK file is read; of a\n"
             "pair of keys the public one is kept. Whoever signs tokens keeps the file of --out.",
    .options = {OPTION_ROWS, ALL},
    .least_words = 1,
    .most_words = 1,
    .run = run_add,
};

const struct ctl_command token_key_list_command = {
    .name = "token-key list",
    .words = "[TENANT]",
    .summary = "List the keys by which tokens of players are verified.",
    .most_words = 1,
    .run = run_list,
};

const struct ctl_command token_key_disable_command = {
    .name = "token-key disable",
    .words = "TENANT KID",
    .summary = "Refuse tokens that are signed with the key from now on.",
    .least_words = 2,
    .most_words = 2,
    .run = run_disable,
};

const struct ctl_command token_key_enable_command = {
    .name = "token-key enable",
    .words = "TENANT KID",
    .summary = "Take tokens that are signed with the key again.",
    .least_words = 2,
    .most_words = 2,
    .run = run_enable,
};

const struct ctl_command token_key_remove_command = {
    .name = "token-key remove",
    .words = "TENANT KID",
    .summary = "Remove the key.",
    .least_words = 2,
    .most_words = 2,
    .run = run_remove,
};

const struct ctl_command token_key_rewrap_command = {
    .name = "token-key rewrap",
    .words = "",
    .summary = "Seal secrets of older KEKs anew under the active one.",
    .notes = "\"spekectl kek rewrap\" does this, too.",
    .options = {OPTION_ROWS, KEK_FILE_ONLY},
    .run = run_rewrap,
};
