/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl kek create, kek list: the key-encryption keys. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/secret.h"
#include "base/settings.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/kek.h"
#include "ctl/output.h"
#include "ctl/owner.h"
#include "keystore/keyring.h"
#include "keystore/token.h"

enum { TEXT_SIZE = KEYRING_FILE_MAX + 1 };

static const char FILE_HEAD[] =
    "# Key-encryption keys of speke-fcgi: version, then base64 of 32 bytes.\n"
    "# Whoever loses this file loses every content key. Whoever has it and the database has them\n"
    "# all. Keep a copy in a safe place, apart from the copies of the database.\n";

const char *kek_in_file(struct keyring *ring, long version, const char *check_hex)
{
    char hex[KEK_CHECK_HEX];
    const struct kek *kek = keyring_find(ring, (int32_t)version);
    if (kek == NULL)
        return keyring_fault(ring)[0] != '\0' ? "file not usable" : "no";
    hex_encode(kek->check, KEK_CHECK_BYTES, hex);
    return strcmp(hex, check_hex) == 0 ? "yes" : "another key of that number";
}

const char *kek_path(const struct settings *settings)
{
    return settings->kek_command[0] == '\0' ? settings->kek_file : NULL;
}

struct keyring *kek_open_ring(const struct settings *settings, const char *path)
{
    struct stat st;
    struct owner owner = {0};
    struct keyring *ring = keyring_of(settings, path);
    if (path != NULL && stat(path, &st) == 0)
        owner_become(&owner, st.st_uid);
    if (path != NULL)
        owner_reach(&owner, path);
    if (ring != NULL)
        (void)keyring_find(ring, 1); /* reads the file */
    if (owner_return(&owner) != 0) {
        keyring_free(ring);
        return NULL;
    }
    return ring;
}

/* --- create --------------------------------------------------------------------------------- */

struct creation {
    const struct settings *settings;
    const char *path;
    bool wrapped;         /* by the token of pkcs11_uri */
    bool inactive;        /* it is to be registered alone */
    long version;         /* of the new KEK */
    long active, highest; /* in the database; 0 for none */
    char active_check[KEK_CHECK_HEX];
    struct file_update update;
};

static int read_database(PGconn *db, struct creation *c)
{
    int code;
    PGresult *result = database_query(
        db, &code,
        "SELECT max(kek_version), max(kek_version) FILTER (WHERE state = 'active'), "
        "max(check_value) FILTER (WHERE state = 'active') FROM speke.v_kek",
        0, NULL);
    if (result == NULL)
        return code;
    c->highest = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    c->active = strtol(PQgetvalue(result, 0, 1), NULL, 10);
    (void)snprintf(c->active_check, sizeof c->active_check, "%s", PQgetvalue(result, 0, 2));
    PQclear(result);
    return CTL_DONE;
}

/* The first version that is free in the database and in the file (ring, NULL for no file). */
static long free_version(const struct creation *c, struct keyring *ring)
{
    long version = c->highest + 1;
    while (ring != NULL && version <= INT32_MAX && keyring_find(ring, (int32_t)version) != NULL)
        version++;
    return version;
}

/* Chooses the version and refuses what would replace a key or hide one. A file that lacks the
 * active KEK is the wrong file: a service that read it could open no key. */
static int choose_version(struct creation *c, struct keyring *ring, const char *given)
{
    const long next = free_version(c, ring);
    if (ring != NULL && keyring_fault(ring)[0] != '\0')
        return ctl_fail(CTL_FAILED, "%s exists and is no KEK file that can be added to", c->path);
    if (c->active > 0 &&
        (ring == NULL || strcmp(kek_in_file(ring, c->active, c->active_check), "yes") != 0))
        return ctl_fail(CTL_FAILED,
                        "%s does not hold the active KEK %ld: add the new one to the "
                        "file that does",
                        c->path, c->active);
    if (given == NULL && c->active > 0)
        return ctl_fail(CTL_FAILED,
                        "KEK %ld is active already (to go over to a new one: "
                        "--version %ld)",
                        c->active, next);
    c->version = next;
    if (given != NULL && option_number(given, 1, INT32_MAX, &c->version) != 0)
        return ctl_fail(CTL_USAGE, "--version: a number from 1 to %d", INT32_MAX);
    if (ring != NULL && keyring_find(ring, (int32_t)c->version) != NULL)
        return ctl_fail(CTL_FAILED, "%s holds a KEK %ld already; it is not overwritten", c->path,
                        c->version);
    if (c->version <= c->highest || c->version > INT32_MAX)
        return ctl_fail(CTL_FAILED, "--version: the next free one is %ld", next);
    return CTL_DONE;
}

static int look_and_choose(struct creation *c, const char *given)
{
    struct keyring *ring = NULL;
    if (c->update.old >= 0) {
        ring = kek_open_ring(c->settings, c->path);
        if (ring == NULL)
            return ctl_fail_memory();
    }
    int code = choose_version(c, ring, given);
    keyring_free(ring);
    return code;
}

/* The key as the file's line has it: base64, or what the token made of it. Root has the token asked
 * as the file's owner, who has to be able to do so later on. */
static int write_key(const struct creation *c, const unsigned char *key,
                     char out[static TOKEN_TEXT_SIZE])
{
    char why[512];
    struct owner owner = {0};
    if (!c->wrapped)
        return EVP_EncodeBlock((unsigned char *)out, key, KEK_BYTES) > 0
                   ? CTL_DONE
                   : ctl_fail(CTL_FAILED, "OpenSSL makes no base64");
    owner_become(&owner, c->update.owner);
    const int result = token_wrap(c->settings->pkcs11_uri, (int32_t)c->version, key, out, why,
                                  sizeof why);
    if (owner_return(&owner) != 0)
        return ctl_fail(CTL_FAILED, "the user ID cannot be taken back");
    return result == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s", why);
}

/* Appends the new KEK's line to text, which holds *n bytes and has room for TEXT_SIZE, and adds
 * its length to *n. */
static int append_line(const struct creation *c, char *text, size_t *n, const unsigned char *key)
{
    int wrote = -1;
    char *written = secret_alloc(TOKEN_TEXT_SIZE);
    int code = written == NULL ? ctl_fail_memory() : write_key(c, key, written);
    if (code == CTL_DONE) {
        wrote = snprintf(text + *n, TEXT_SIZE - *n, "%s%ld %s\n",
                         *n > 0 && text[*n - 1] != '\n' ? "\n" : "", c->version, written);
        if (wrote <= 0 || (size_t)wrote >= TEXT_SIZE - *n)
            code = ctl_fail(CTL_FAILED, "%s has no room for another KEK", c->path);
    }
    secret_free(written, TOKEN_TEXT_SIZE);
    *n += code == CTL_DONE ? (size_t)wrote : 0;
    return code;
}

/* Makes the key and its file's new text, and tells its check value in hexadecimal. */
static int make_text(struct creation *c, char *text, size_t *length, unsigned char *key,
                     char check_hex[static KEK_CHECK_HEX])
{
    unsigned char check[KEK_CHECK_BYTES];
    char why[512];
    size_t n = strlen(FILE_HEAD);
    memcpy(text, FILE_HEAD, n);
    if (c->update.old >= 0) {
        n = c->update.old_size;
        if (n >= TEXT_SIZE)
            return ctl_fail(CTL_FAILED, "%s: larger than %d bytes", c->path, KEYRING_FILE_MAX);
        if (file_update_read(&c->update, text, why, sizeof why) != 0)
            return ctl_fail(CTL_FAILED, "%s", why);
    }
    if (RAND_priv_bytes(key, KEK_BYTES) != 1 || kek_check(key, check) != 0)
        return ctl_fail(CTL_FAILED, "OpenSSL makes no random bytes or no HMAC");
    hex_encode(check, sizeof check, check_hex);
    *length = n;
    return append_line(c, text, length, key);
}

/* Reads the new file as the service will, before it takes the old one's place. */
static int try_file(const struct creation *c, const char *check_hex)
{
    struct keyring *ring = kek_open_ring(c->settings, c->update.temporary);
    if (ring == NULL)
        return ctl_fail_memory();
    const bool good = strcmp(kek_in_file(ring, c->version, check_hex), "yes") == 0;
    int code = good ? CTL_DONE
                    : ctl_fail(CTL_FAILED, "%s would not be usable with another KEK: %s", c->path,
                               keyring_fault(ring));
    keyring_free(ring);
    return code;
}

/* The file gets the key before the database knows of it: a KEK that is registered is never
 * missing, and one that is in the file alone does no harm. */
static int put_in_place(struct creation *c, PGconn *db, const char *text, size_t length,
                        const char *check_hex)
{
    char why[512], version[16];
    const char *const parameters[] = {version, check_hex};
    (void)snprintf(version, sizeof version, "%ld", c->version);
    if (file_update_write(&c->update, text, length, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    int code = try_file(c, check_hex);
    if (code == CTL_DONE)
        code = database_command(db,
                                c->inactive ? "SELECT speke.kek_add($1, decode($2, 'hex'))"
                                            : "SELECT speke.kek_register($1, decode($2, 'hex'))",
                                2, parameters);
    if (code != CTL_DONE)
        return code;
    if (file_update_commit(&c->update, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    return database_command(db, "COMMIT", 0, NULL);
}

static int create(struct creation *c, PGconn *db, const char *given_version)
{
    size_t length = 0;
    char check_hex[KEK_CHECK_HEX];
    int code = database_command(db, "BEGIN", 0, NULL);
    if (code == CTL_DONE)
        code = read_database(db, c);
    if (code == CTL_DONE)
        code = look_and_choose(c, given_version);
    if (code != CTL_DONE)
        return code;
    unsigned char *key = secret_alloc(KEK_BYTES);
    char *text = secret_alloc(TEXT_SIZE);
    if (key == NULL || text == NULL)
        code = ctl_fail_memory();
    else
        code = make_text(c, text, &length, key, check_hex);
    if (code == CTL_DONE)
        code = put_in_place(c, db, text, length, check_hex);
    secret_free(text, TEXT_SIZE);
    secret_free(key, KEK_BYTES);
    return code;
}

static int set_owner(struct creation *c, const char *name)
{
    if (name == NULL)
        return CTL_DONE;
    const struct passwd *user = getpwnam(name);
    if (user == NULL)
        return ctl_fail(CTL_FAILED, "--owner: no user \"%s\" on this machine", name);
    if (c->update.old >= 0 && c->update.owner != user->pw_uid)
        return ctl_fail(CTL_FAILED, "%s exists and keeps its owner; --owner is for a new file",
                        c->path);
    c->update.owner = user->pw_uid;
    c->update.group = user->pw_gid;
    return CTL_DONE;
}

static int report(const struct ctl *ctl, const struct creation *c)
{
    if (ctl->json)
        return output_object(
            ctl, NULL, 0,
            json_pack("{s:I, s:s}", "kek_version", (json_int_t)c->version, "file", c->path));
    if (c->inactive)
        ctl_say(ctl, "KEK %ld is in %s and seals nothing before \"spekectl kek activate %ld\".",
                c->version, c->path, c->version);
    else
        ctl_say(ctl, "KEK %ld is in %s and seals new keys from now on.", c->version, c->path);
    ctl_say(ctl, "Losing this file is losing every content key: nobody can restore them.");
    ctl_say(ctl, "Copy it to a safe place now, apart from the copies of the database, and to");
    ctl_say(ctl, "every other machine that runs the key provider.");
    return CTL_DONE;
}

int kek_choose_file(const struct ctl *ctl, const struct ctl_arguments *args,
                    struct settings *settings, const char **path)
{
    int code = ctl_settings(ctl, settings);
    *path = option_value(args, "file");
    if (code == CTL_DONE && *path == NULL)
        *path = kek_path(settings);
    if (code == CTL_DONE && unsetenv("CREDENTIALS_DIRECTORY") != 0)
        code = ctl_fail_memory();
    return code;
}

int kek_need_file(const char *path)
{
    return path != NULL ? CTL_DONE
                        : ctl_fail(CTL_USAGE, "the KEKs come from kek_command: --file names the "
                                              "file to change");
}

static int run_create(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct settings settings;
    struct creation c = {.settings = &settings,
                         .wrapped = option_given(args, "pkcs11"),
                         .inactive = option_given(args, "inactive")};
    char why[512];
    int code = kek_choose_file(ctl, args, &settings, &c.path);
    if (code == CTL_DONE)
        code = kek_need_file(c.path);
    if (code == CTL_DONE && c.wrapped && settings.pkcs11_uri[0] == '\0')
        code = ctl_fail(CTL_USAGE, "--pkcs11: the setting pkcs11_uri names no token");
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    if (file_update_begin(&c.update, c.path, KEK_FILE_MODE, why, sizeof why) != 0) {
        code = ctl_fail(CTL_FAILED, "%s", why);
    } else {
        code = set_owner(&c, option_value(args, "owner"));
        if (code == CTL_DONE)
            code = create(&c, db, option_value(args, "version"));
        file_update_end(&c.update);
    }
    PQfinish(db); /* rolls back what was not committed */
    return code == CTL_DONE ? report(ctl, &c) : code;
}

/* --- list ----------------------------------------------------------------------------------- */

static int add_file_state(json_t *rows, const struct settings *settings, const char *path)
{
    size_t i;
    json_t *row;
    int result = 0;
    struct keyring *ring = kek_open_ring(settings, path);
    if (ring == NULL)
        return -1;
    json_array_foreach(rows, i, row)
    {
        const char *state = kek_in_file(
            ring, (long)json_integer_value(json_object_get(row, "kek_version")),
            json_string_value(json_object_get(row, "check_value")));
        if (result == 0)
            result = json_object_set_new(row, "in_file", json_string(state));
    }
    keyring_free(ring);
    return result;
}

static int run_list(struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {
        {"kek_version", "KEK", false, 0},        {"state", "STATE", false, 0},
        {"in_file", "IN THE FILE", true, 0},     {"keys", "KEYS", false, 0},
        {"created_at", "CREATED", false, 0},     {"changed_at", "SINCE", false, 0},
        {"check_value", "CHECK VALUE", true, 0},
    };
    struct settings settings;
    const char *path;
    int code = kek_choose_file(ctl, args, &settings, &path);
    if (code != CTL_DONE)
        return code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = database_list(db, &code,
                                 "SELECT kek_version, k.state, check_value, u.keys, "
                                 "to_char(created_at AT TIME ZONE 'UTC', form) AS created_at, "
                                 "to_char(changed_at AT TIME ZONE 'UTC', form) AS changed_at, "
                                 "to_char(activated_at AT TIME ZONE 'UTC', form) AS activated_at, "
                                 "to_char(retiring_at AT TIME ZONE 'UTC', form) AS retiring_at, "
                                 "to_char(retired_at AT TIME ZONE 'UTC', form) AS retired_at, "
                                 "to_char(destroyed_at AT TIME ZONE 'UTC', form) AS destroyed_at "
                                 "FROM speke.v_kek k JOIN speke.v_kek_use u USING (kek_version) "
                                 "CROSS JOIN (VALUES ('" CTL_TIME
                                 "')) AS time (form) ORDER BY kek_version",
                                 0, NULL);
    PQfinish(db);
    if (rows == NULL)
        return code;
    if (add_file_state(rows, &settings, path) != 0) {
        json_decref(rows);
        return ctl_fail_memory();
    }
    return output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

static const struct ctl_option OPTION_ROWS[] = {
    {"file", '\0', "FILE", "the KEK file; else the setting \"kek_file\""},
    {"version", '\0', "N", "number of the new KEK; must be given when one is active"},
    {"owner", '\0', "USER", "owner of a new file: the user that the key provider runs as"},
    {"pkcs11", '\0', NULL, "have the token of the setting \"pkcs11_uri\" wrap it"},
    {"inactive", '\0', NULL, "register it without having it seal new keys yet"},
};

const struct ctl_command kek_create_command = {
    .name = "kek create",
    .words = "",
    .summary = "Make a key-encryption key, put it into the KEK file and register it.",
    .notes = "The file gets mode 0400. What it holds already is kept: nothing is overwritten.\n"
             "Losing this file is losing every content key.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .run = run_create,
};

const struct ctl_command kek_list_command = {
    .name = "kek list",
    .words = "",
    .summary = "List the key-encryption keys, their keys, and whether the KEK file holds them.",
    .notes = "Counts the keys under each KEK, which reads the whole table of keys.",
    .options = {OPTION_ROWS, 1},
    .run = run_list,
};
