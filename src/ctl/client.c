/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl client add, list, passwd, disable, enable: the users of the web server that may ask for
 * keys, and their Digest passwords. */
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/htdigest.h"
#include "ctl/output.h"
#include "ctl/password.h"

static const char DEFAULT_REALM[] = "speke";

/* Where the password of a client goes. */
struct place {
    const char *name, *realm;
    const char *htdigest; /* file, NULL for none */
    bool webauth;         /* into the database as well */
};

/* Returns an enum ctl_exit. */
static int find_place(const struct ctl_arguments *args, struct place *out)
{
    const char *realm = option_value(args, "realm");
    *out = (struct place){.name = args->words[0],
                          .realm = realm != NULL ? realm : DEFAULT_REALM,
                          .htdigest = option_value(args, "htdigest"),
                          .webauth = option_given(args, "webauth")};
    if ((out->htdigest != NULL || out->webauth) && !htdigest_name_ok(out->name))
        return ctl_fail(CTL_USAGE,
                        "\"%s\" cannot be a Digest user: 1 to 128 bytes without colon, "
                        "quote, backslash and control characters",
                        out->name);
    if (!htdigest_name_ok(out->realm))
        return ctl_fail(CTL_USAGE,
                        "\"%s\" cannot be a realm: 1 to 128 bytes without colon, quote, "
                        "backslash and control characters",
                        out->realm);
    return CTL_DONE;
}

/* Asks for the password or makes one. NULL when it has said why there is none. */
static char *new_password(const struct ctl_arguments *args)
{
    if (option_given(args, "generate"))
        return password_generate();
    return password_ask("Password of the client", true);
}

/* Puts the hashes where they are wanted. The file comes last: when it fails, the transaction that
 * the caller has begun is rolled back. */
static int store(PGconn *db, const struct place *place, const struct htdigest_hashes *hashes)
{
    int code = CTL_DONE;
    if (place->webauth) {
        const char *const parameters[] = {place->name, place->realm, hashes->md5, hashes->sha256};
        code = database_command(db, "SELECT speke.webauth_set($1, $2, $3, $4)", 4, parameters);
    }
    if (code == CTL_DONE && place->htdigest != NULL)
        code = htdigest_update(place->htdigest, place->name, place->realm, hashes);
    return code;
}

/* Runs a statement that gives a row when there is such a client. */
static int run_statement(PGconn *db, const struct place *place, const char *sql,
                         const char *const *parameters, int count)
{
    int code;
    PGresult *result = database_query(db, &code, sql, count, parameters);
    if (result != NULL && PQntuples(result) == 0)
        code = ctl_fail(CTL_FAILED, "no client \"%s\"", place->name);
    PQclear(result);
    return code;
}

/* Runs the statement and stores the client's password, if any, in one transaction. */
static int run_and_store(struct ctl *ctl, const struct place *place, const char *sql,
                         const char *const *parameters, int count, const char *password)
{
    struct htdigest_hashes hashes;
    int code;
    if (password != NULL && htdigest_hash(place->name, place->realm, password, &hashes) != 0)
        return ctl_fail(CTL_FAILED, "OpenSSL makes no MD5 and SHA-256 hashes (FIPS mode?)");
    PGconn *db = database_open(ctl, &code);
    if (db != NULL) {
        code = database_command(db, "BEGIN", 0, NULL);
        if (code == CTL_DONE)
            code = run_statement(db, place, sql, parameters, count);
        if (code == CTL_DONE && password != NULL)
            code = store(db, place, &hashes);
        if (code == CTL_DONE)
            code = database_command(db, "COMMIT", 0, NULL);
        PQfinish(db); /* rolls back what was not committed */
    }
    secret_wipe(&hashes, sizeof hashes);
    return code;
}

/* Says what was done; a password that was made here is shown this once. */
static int report(const struct ctl *ctl, const struct ctl_arguments *args, const char *done,
                  const char *password)
{
    const bool generated = password != NULL && option_given(args, "generate");
    ctl_say(ctl, "client \"%s\" %s", args->words[0], done);
    if (ctl->json)
        return output_object(ctl, NULL, 0,
                             json_pack("{s:s, s:s*}", "client", args->words[0], "password",
                                       generated ? password : NULL));
    if (!generated)
        return CTL_DONE;
    ctl_say(ctl, "its password, which is not shown again:");
    return printf("%s\n", password) > 0 ? CTL_DONE : CTL_FAILED; /* main() says why */
}

/* Sets a password while running the statement. */
static int with_password(struct ctl *ctl, const struct ctl_arguments *args,
                         const struct place *place, const char *sql, const char *const *parameters,
                         int count, const char *done)
{
    char *password = new_password(args);
    if (password == NULL)
        return CTL_FAILED;
    int code = run_and_store(ctl, place, sql, parameters, count, password);
    if (code == CTL_DONE)
        code = report(ctl, args, done, password);
    password_free(password);
    return code;
}

static int run_add(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const char SQL[] = "SELECT speke.client_add($1, $2)";
    const char *const parameters[] = {option_value(args, "tenant"), args->words[0]};
    struct place place;
    if (parameters[0] == NULL)
        return ctl_fail(CTL_USAGE, "client add wants --tenant TENANT");
    int code = find_place(args, &place);
    if (code != CTL_DONE)
        return code;
    if (place.htdigest != NULL || place.webauth)
        return with_password(ctl, args, &place, SQL, parameters, 2, "added");
    if (option_given(args, "generate"))
        return ctl_fail(CTL_USAGE, "--generate wants --htdigest FILE or --webauth");
    code = run_and_store(ctl, &place, SQL, parameters, 2, NULL);
    return code == CTL_DONE ? report(ctl, args, "added", NULL) : code;
}

static int run_passwd(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const char SQL[] = "SELECT name FROM speke.v_client WHERE name = $1";
    const char *const parameters[] = {args->words[0]};
    struct place place;
    int code = find_place(args, &place);
    if (code != CTL_DONE)
        return code;
    if (place.htdigest == NULL && !place.webauth)
        return ctl_fail(CTL_USAGE, "client passwd wants --htdigest FILE or --webauth");
    return with_password(ctl, args, &place, SQL, parameters, 1, "has a new password");
}

static int set_enabled(PGconn *db, const char *name, bool enabled)
{
    const char *const parameters[] = {name, enabled ? "true" : "false"};
    return database_command(db, "SELECT speke.client_set_enabled($1, $2)", 2, parameters);
}

/* Disables first and for itself, so that it holds whatever becomes of the password. */
static int disable(struct ctl *ctl, PGconn *db, const struct ctl_arguments *args,
                   const struct place *place)
{
    const char *const parameters[] = {place->name, place->realm};
    int code = set_enabled(db, place->name, false);
    if (code != CTL_DONE)
        return code;
    code = report(ctl, args, "disabled", NULL);
    if (place->webauth) {
        int removed = database_command(db, "SELECT speke.webauth_remove($1, $2)", 2, parameters);
        code = code == CTL_DONE ? removed : code;
    }
    if (place->htdigest != NULL) {
        int removed = htdigest_update(place->htdigest, place->name, place->realm, NULL);
        code = code == CTL_DONE ? removed : code;
    }
    return code;
}

static int run_disable(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct place place;
    int code = find_place(args, &place);
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = disable(ctl, db, args, &place);
    PQfinish(db);
    return code;
}

static int run_enable(struct ctl *ctl, const struct ctl_arguments *args)
{
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = set_enabled(db, args->words[0], true);
    PQfinish(db);
    return code == CTL_DONE ? report(ctl, args, "enabled", NULL) : code;
}

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {
        {"name", "CLIENT", true, 0},
        {"tenant", "TENANT", true, 0},
        {"enabled", "ENABLED", false, 0},
        {"in_force", "MAY ASK", false, 0},
        {"created_at", "CREATED", false, 0},
        {"disabled_at", "DISABLED", false, 0},
        {"fetch_only", "FETCH ONLY", false, 0},
        {"valid_from", "FROM", false, 0},
        {"valid_until", "UNTIL", false, 0},
        {"addresses", "ADDRESSES", true, 0},
    };
    const char *const parameters[] = {option_value(args, "tenant")};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(
        db, &code,
        "SELECT client_id, name, tenant, enabled, in_force, "
        "to_char(created_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS created_at, "
        "to_char(disabled_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS disabled_at, fetch_only, "
        "to_char(valid_from AT TIME ZONE 'UTC', '" CTL_TIME "') AS valid_from, "
        "to_char(valid_until AT TIME ZONE 'UTC', '" CTL_TIME "') AS valid_until, "
        "addresses::text[] AS addresses "
        "FROM speke.v_client WHERE $1::text IS NULL OR tenant = $1 ORDER BY tenant, name",
        1, parameters);
    PQfinish(db);
    return rows == NULL ? code : output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

/* The tables of several commands: each takes the rows that are its own. */
static const struct ctl_option OPTION_ROWS[] = {
    {"tenant", '\0', "TENANT", "the tenant of the client"},
    {"generate", '\0', NULL, "make a random password and print it"},
    {"htdigest", '\0', "FILE", "file of Digest users for Apache and lighttpd"},
    {"realm", '\0', "REALM", "realm of the password; \"speke\" unless given"},
    {"webauth", '\0', NULL, "Digest users that the web server reads from the database"},
};

enum { TENANT, GENERATE, HTDIGEST, END = HTDIGEST + 3 };

const struct ctl_command client_add_command = {
    .name = "client add",
    .words = "NAME --tenant TENANT",
    .summary = "Add a client: a user of the web server that may ask for a tenant's keys.",
    .notes = "NAME is REMOTE_USER as the web server gives it. With --htdigest or --webauth a\n"
             "password is set too: asked for twice on the terminal, or the first line of\n"
             "standard input when that is no terminal. A client with a certificate needs none.",
    .options = {OPTION_ROWS, END},
    .least_words = 1,
    .most_words = 1,
    .run = run_add,
};

const struct ctl_command client_list_command = {
    .name = "client list",
    .words = "",
    .summary = "List the clients.",
    .options = {OPTION_ROWS, GENERATE},
    .run = run_list,
};

const struct ctl_command client_passwd_command = {
    .name = "client passwd",
    .words = "NAME",
    .summary = "Set a client's Digest password, in a file, in the database or in both.",
    .notes = "The password is asked for twice on the terminal, or is the first line of standard\n"
             "input when that is no terminal.",
    .options = {OPTION_ROWS + GENERATE, END - GENERATE},
    .least_words = 1,
    .most_words = 1,
    .run = run_passwd,
};

const struct ctl_command client_disable_command = {
    .name = "client disable",
    .words = "NAME",
    .summary = "Refuse a client from its next request on.",
    .notes = "Removes its password as well from where the options say.",
    .options = {OPTION_ROWS + HTDIGEST, END - HTDIGEST},
    .least_words = 1,
    .most_words = 1,
    .run = run_disable,
};

const struct ctl_command client_enable_command = {
    .name = "client enable",
    .words = "NAME",
    .summary = "Let a disabled client ask again.",
    .notes = "A password that was removed when it was disabled is set with \"client passwd\".",
    .least_words = 1,
    .most_words = 1,
    .run = run_enable,
};
