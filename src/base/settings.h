/* SPDX-License-Identifier: Apache-2.0 */
/* The settings file: lines "name = value", "#" begins a comment line. One table (settings.c) names
 * every setting with its type, default and one line of help; the parser, --help, --check-config,
 * "spekectl config" and the manual page come from it. What differs between tenants is in the
 * database instead. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SETTING_TEXT_SIZE = 1024 };

struct settings {
    char database[SETTING_TEXT_SIZE];
    char kek_file[SETTING_TEXT_SIZE];
    char kek_command[SETTING_TEXT_SIZE];
    char pkcs11_uri[SETTING_TEXT_SIZE];
    char log[SETTING_TEXT_SIZE];
    char log_level[SETTING_TEXT_SIZE];
    char user_agent[SETTING_TEXT_SIZE];
    char key_url[SETTING_TEXT_SIZE];
    char player_url[SETTING_TEXT_SIZE];
    char door[SETTING_TEXT_SIZE];
    long database_timeout; /* milliseconds */
    long max_body;         /* bytes */
    long max_keys;
    long body_timeout;        /* seconds */
    long secure_heap;         /* bytes */
    long max_requests;        /* 0: no limit */
    long audit_seal_interval; /* seconds; 0: never */
    long player_rate;         /* 0: no limit */
    bool audit_wait;
    bool prepare;
};

enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_SWITCH };

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset; /* of the member in struct settings */
    const char *initial;
    long least, most;    /* of a number */
    const char *choices; /* of a text: the words allowed, separated by blanks; NULL for any */
    const char *help;
};

/* The table and its number of rows. */
const struct setting *settings_table(size_t *count);
/* Sets every setting to its default. */
void settings_defaults(struct settings *s);
/* Sets one setting from text. Returns 0, or -1 with what is wrong with it in why. */
int settings_set(struct settings *s, const char *name, const char *value, char *why, size_t size);
/* Reads a file over the defaults. Returns 0, or -1 with file, line and fault in why. */
int settings_read(struct settings *s, const char *path, char *why, size_t size);
/* Which file to read: the option's argument when it is not NULL, else the environment variable
 * SPEKE_CONFIG, else the place given when the program was built. */
const char *settings_path(const char *option);
/* Prints the table as help, or the values in force as a settings file. A database string that
 * holds a password is printed without it. */
void settings_print_help(FILE *out);
void settings_print(const struct settings *s, FILE *out);

#endif
