/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand of spekectl shares: its exit codes, its words to the operator, the global
 * options and the form in which a subcommand presents itself to main.c. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/options.h"

struct settings;

/* The meaning of these is documented in spekectl(1) and never changes. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_REFUSED = 3,     /* by the key provider: a 4xx */
    CTL_UNAVAILABLE = 4, /* database or key provider away: no connection, or a 5xx */
    CTL_TAMPERED = 5     /* the audit, or a checkpoint of it, is not what it was */
};

/* The global options. */
struct ctl {
    bool json;           /* --json */
    bool quiet;          /* --quiet */
    const char *config;  /* --config, NULL when not given */
    const char *db;      /* --db, likewise */
    const char *command; /* its name: "tenant add" */
};

/* A subcommand: its entry in the table from which usage and help are printed. */
struct ctl_command {
    const char *name;        /* one or two words: "tenant add" */
    const char *words;       /* its arguments for the usage line: "NAME"; "" for none */
    const char *summary;     /* one line */
    const char *notes;       /* a paragraph for its own help, NULL for none */
    void (*more)(FILE *out); /* prints what else there is to tell after it, NULL for nothing */
    struct ctl_options options;
    size_t least_words, most_words;
    /* Returns an enum ctl_exit; what went wrong has been said by then. */
    int (*run)(struct ctl *ctl, const struct ctl_arguments *args);
};

/* Says "spekectl: ..." on stderr, on one line whatever the text holds, and returns the code, so
 * that "return ctl_fail(...)" reads as what it does. */
int ctl_fail(enum ctl_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ctl_fail_memory(void);
/* The same without an exit: something the operator should know. Silent with --quiet. */
void ctl_warn(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells on stdout what is being done. Silent with --quiet and with --json. */
void ctl_say(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the settings in force: the file of --config or $SPEKE_CONFIG, which must be readable then;
 * else the usual file when it exists; else the defaults. Returns CTL_DONE or says why not. */
int ctl_settings(const struct ctl *ctl, struct settings *out);

#endif
