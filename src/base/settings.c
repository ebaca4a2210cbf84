/* SPDX-License-Identifier: Apache-2.0 */
#include "base/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/trim.h"

#define MEMBER(name) offsetof(struct settings, name)
#define TEXT(name, initial, choices, help)                              \
    {                                                                   \
#name, SETTING_TEXT, MEMBER(name), initial, 0, 0, choices, help \
    }
#define NUMBER(name, initial, least, most, help)                              \
    {                                                                         \
#name, SETTING_NUMBER, MEMBER(name), initial, least, most, NULL, help \
    }
#define SWITCH(name, initial, help)                                    \
    {                                                                  \
#name, SETTING_SWITCH, MEMBER(name), initial, 0, 0, NULL, help \
    }

static const struct setting TABLE[] = {
    TEXT(database, "dbname=speke user=speke_service", NULL,
         "libpq connection string of the key store; a password belongs into a passfile"),
    NUMBER(database_timeout, "2500", 100, 60000,
           "milliseconds that a request waits for a database before that is taken to be away"),
    SWITCH(prepare, "on",
           "prepare statements; off behind a pooler that hands out a connection per transaction"),
    SWITCH(audit_wait, "on",
           "wait until the audit row of a fetch is on disk; new keys are always waited for"),
    NUMBER(audit_seal_interval, "10", 0, 86400,
           "seconds between two seals of the audit by a parent of workers; 0 for never"),
    TEXT(kek_file, SPEKE_SYSCONFDIR "/speke-fcgi/kek", NULL,
         "file of key-encryption keys, mode 0400; $CREDENTIALS_DIRECTORY/kek goes before it"),
    TEXT(kek_command, "", NULL,
         "program and arguments whose output are the lines of the KEK file, instead of that file"),
    TEXT(pkcs11_uri, "", NULL,
         "key in a PKCS#11 token that unwraps KEKs, as a URI with module-path and pin-source"),
    NUMBER(secure_heap, "262144", 65536, 16777216,
           "bytes of locked memory for keys in each process, a power of two"),
    NUMBER(max_body, "1048576", 1024, 16777216, "largest request body in bytes; 413 above it"),
    NUMBER(max_keys, "1000", 1, 2000, "most content keys in one document; 422 above it"),
    NUMBER(body_timeout, "20", 1, 600, "seconds that a request or an answer may stand still"),
    NUMBER(max_requests, "0", 0, INT_MAX, "requests after which a worker is replaced; 0 for never"),
    TEXT(key_url, "", NULL,
         "URL below which players fetch AES-128 keys; empty: derived from the request's own URL"),
    TEXT(player_url, "", NULL,
         "URL of the player's door; {key_url} is below it unless the setting key_url is given"),
    NUMBER(player_rate, "0", 0, 100000,
           "requests a second that each worker takes from one player's address; 429 above twice as "
           "many at once; 0 for any number"),
    TEXT(door, "any", "any packager player",
         "whom the program serves: as the web server's parameter SPEKE_DOOR says, packagers alone, "
         "or players alone"),
    TEXT(user_agent, "speke-fcgi/" SPEKE_VERSION, NULL,
         "the provider's name in X-Speke-User-Agent and Speke-User-Agent"),
    TEXT(log, "stderr", "stderr syslog",
         "where log lines go: stderr (kept by the web server) or syslog"),
    TEXT(log_level, "notice", "error warning notice info debug",
         "least weight of the lines that are logged"),
};

const struct setting *settings_table(size_t *count)
{
    *count = sizeof TABLE / sizeof TABLE[0];
    return TABLE;
}

static void *member(struct settings *s, const struct setting *t)
{
    return (char *)s + t->offset;
}

static const void *const_member(const struct settings *s, const struct setting *t)
{
    return (const char *)s + t->offset;
}

static bool is_choice(const char *choices, const char *value)
{
    const size_t n = strlen(value);
    for (const char *p = choices; *p != '\0';) {
        size_t word = strcspn(p, " ");
        if (word == n && memcmp(p, value, n) == 0)
            return true;
        p += word;
        p += strspn(p, " ");
    }
    return false;
}

static int set_text(struct settings *s, const struct setting *t, const char *value, char *why,
                    size_t size)
{
    if (t->choices != NULL && !is_choice(t->choices, value)) {
        (void)snprintf(why, size, "%s: one of: %s", t->name, t->choices);
        return -1;
    }
    if (strlen(value) >= SETTING_TEXT_SIZE) {
        (void)snprintf(why, size, "%s: longer than %d bytes", t->name, SETTING_TEXT_SIZE - 1);
        return -1;
    }
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            (void)snprintf(why, size, "%s: holds a control character", t->name);
            return -1;
        }
    }
    memcpy(member(s, t), value, strlen(value) + 1);
    return 0;
}

static int set_number(struct settings *s, const struct setting *t, const char *value, char *why,
                      size_t size)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || n < t->least || n > t->most) {
        (void)snprintf(why, size, "%s: a number from %ld to %ld", t->name, t->least, t->most);
        return -1;
    }
    *(long *)member(s, t) = n;
    return 0;
}

static int set_switch(struct settings *s, const struct setting *t, const char *value, char *why,
                      size_t size)
{
    const bool on = strcasecmp(value, "on") == 0 || strcasecmp(value, "yes") == 0;
    if (!on && strcasecmp(value, "off") != 0 && strcasecmp(value, "no") != 0) {
        (void)snprintf(why, size, "%s: on or off", t->name);
        return -1;
    }
    *(bool *)member(s, t) = on;
    return 0;
}

int settings_set(struct settings *s, const char *name, const char *value, char *why, size_t size)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        const struct setting *t = &TABLE[i];
        if (strcmp(t->name, name) != 0)
            continue;
        if (t->type == SETTING_NUMBER)
            return set_number(s, t, value, why, size);
        if (t->type == SETTING_SWITCH)
            return set_switch(s, t, value, why, size);
        return set_text(s, t, value, why, size);
    }
    (void)snprintf(why, size, "%s: no such setting", name);
    return -1;
}

void settings_defaults(struct settings *s)
{
    char why[128];
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (settings_set(s, TABLE[i].name, TABLE[i].initial, why, sizeof why) != 0)
            abort(); /* the table contradicts itself: a unit test reads it */
    }
}

static char *cut_blanks(char *text)
{
    const struct span word = trim(text);
    char *start = text + (word.text - text);
    start[word.n] = '\0';
    return start;
}

static int read_line(struct settings *s, char *line, char *why, size_t size)
{
    line = cut_blanks(line);
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        (void)snprintf(why, size, "no \"=\"");
        return -1;
    }
    *equals = '\0';
    return settings_set(s, cut_blanks(line), cut_blanks(equals + 1), why, size);
}

static int read_lines(struct settings *s, FILE *in, const char *path, char *why, size_t size)
{
    char line[2 * SETTING_TEXT_SIZE];
    char fault[256];
    for (unsigned n = 1; fgets(line, sizeof line, in) != NULL; n++) {
        const bool whole = strchr(line, '\n') != NULL || feof(in);
        if (!whole)
            (void)snprintf(fault, sizeof fault, "line too long");
        if (whole && read_line(s, line, fault, sizeof fault) == 0)
            continue;
        (void)snprintf(why, size, "%s, line %u: %s", path, n, fault);
        return -1;
    }
    if (ferror(in)) {
        (void)snprintf(why, size, "%s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

int settings_read(struct settings *s, const char *path, char *why, size_t size)
{
    settings_defaults(s);
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        (void)snprintf(why, size, "%s: %s", path, strerror(errno));
        return -1;
    }
    int result = read_lines(s, in, path, why, size);
    (void)fclose(in); /* read only: nothing can be lost */
    return result;
}

const char *settings_path(const char *option)
{
    if (option != NULL)
        return option;
    const char *path = getenv("SPEKE_CONFIG");
    return path != NULL && path[0] != '\0' ? path : SPEKE_SYSCONFDIR "/speke-fcgi/speke.conf";
}

void settings_print_help(FILE *out)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        const struct setting *t = &TABLE[i];
        (void)fprintf(out, "  %-17s %s.\n", t->name, t->help);
        (void)fprintf(out, "  %-17s Default: %s\n", "",
                      t->initial[0] == '\0' ? "(empty)" : t->initial);
    }
}

/* "password=secret" and "//user:secret@" are what libpq would take as a password. */
static bool holds_password(const char *database)
{
    return strcasestr(database, "password") != NULL || strstr(database, "://") != NULL;
}

void settings_print(const struct settings *s, FILE *out)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        const struct setting *t = &TABLE[i];
        const void *p = const_member(s, t);
        if (t->type == SETTING_NUMBER)
            (void)fprintf(out, "%s = %ld\n", t->name, *(const long *)p);
        else if (t->type == SETTING_SWITCH)
            (void)fprintf(out, "%s = %s\n", t->name, *(const bool *)p ? "on" : "off");
        else if (t->offset == MEMBER(database) && holds_password(p))
            (void)fprintf(out, "%s = (not shown: may hold a password)\n", t->name);
        else
            (void)fprintf(out, "%s = %s\n", t->name, (const char *)p);
    }
}
