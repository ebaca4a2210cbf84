/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between tenants and lives in the database: one table of settings, from which the
 * exchange's reader (tenant.c), "spekectl drm" and "spekectl policy" with their help, and the
 * manual's list come. */
#ifndef EXCHANGE_TENANT_OPTIONS_H
#define EXCHANGE_TENANT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct uuid;

enum tenant_family {
    TENANT_DRM,   /* what the answers say: spekectl drm */
    TENANT_POLICY /* what is answered at all: spekectl policy */
};

enum tenant_option_type {
    TENANT_TEXT,   /* const char * */
    TENANT_SWITCH, /* bool; "on" or "off" */
    TENANT_NUMBER, /* long */
    TENANT_CHOICE, /* unsigned: the place of the word among the choices */
    TENANT_WORDS   /* unsigned: a bit for each word among the choices, the first is bit 0 */
};

/* From this size on a text may have several lines. */
enum { TENANT_LONG_TEXT = 16384 };

struct tenant_option {
    const char *name;
    /* Short names of the DRM systems that have it, separated by blanks, "other" for those from
     * templates; "" when it is the tenant's as a whole. */
    const char *systems;
    enum tenant_family family;
    enum tenant_option_type type;
    /* Of the member in struct drm_settings, or in struct tenant_config when systems is "". */
    size_t offset;
    const char *initial; /* the default, as text; "" for none */
    long least, most;    /* of a number; most bytes of a text */
    const char *choices; /* words separated by blanks; of a text: all that it may be, or NULL */
    /* Judges a text further: returns 0, or -1 with place and fault in why. NULL: any text. */
    int (*check)(const char *value, char *why, size_t size);
    const char *help, *example;
};

/* The table (tenant_table.c) and its number of rows. */
const struct tenant_option *tenant_options(size_t *count);
/* The setting of that name, for a DRM system or (NULL) for the tenant as a whole; NULL when there
 * is none. */
const struct tenant_option *tenant_option_find(const struct uuid *system, const char *name);
/* Judges a value. Returns 0, or -1 with what is wrong and where in why. XML is looked at with
 * libxml2, so cpix_setup() must have been called. */
int tenant_option_check(const struct tenant_option *option, const char *value, char *why,
                        size_t size);
/* Puts a value that passed the check into a struct drm_settings or struct tenant_config; a text is
 * not copied. */
void tenant_option_store(const struct tenant_option *option, const char *value, void *base);
/* Prints all settings of a family with type, default and example. */
void tenant_options_help(enum tenant_family family, FILE *out);

/* Reads a DRM system's short name, or a UUID in any case. Returns 0 or -1. */
int tenant_system_parse(const char *text, size_t n, struct uuid *out);
/* The next word of a list whose items stand between blanks, commas and line ends: moves *p behind
 * it and returns its length, 0 at the end. */
size_t tenant_next_word(const char **p, const char **word);

#endif
