/* SPDX-License-Identifier: Apache-2.0 */
/* Options from tables: the parser and the help text both read them. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Most options on one command line, and most rows of the tables in force. */
enum { CTL_OPTIONS_MAX = 64 };

struct ctl_option {
    const char *name;  /* long name, without hyphens */
    char letter;       /* short name, '\0' for none */
    const char *value; /* what the help calls its value, NULL for a switch */
    const char *help;
};

struct ctl_options {
    const struct ctl_option *rows;
    size_t count;
};

/* struct ctl_options of an array. */
#define CTL_OPTIONS(array)                        \
    {                                             \
        (array), sizeof(array) / sizeof(array)[0] \
    }

struct ctl_arguments {
    struct {
        const struct ctl_option *option;
        const char *value; /* NULL for a switch */
    } given[CTL_OPTIONS_MAX];
    size_t given_count;
    char **words; /* what was no option, in order; points into argv */
    size_t word_count;
};

/* Parses argv[1] and on against one or two tables (the second may be NULL). argv is reordered so
 * that the words come last; with stop_at_word it is not, and everything from the first word on
 * counts as words. Returns 0, or -1 with what is wrong in why. */
int options_parse(int argc, char **argv, const struct ctl_options *own,
                  const struct ctl_options *global, bool stop_at_word, struct ctl_arguments *out,
                  char *why, size_t size);

/* The value of the option's last occurrence, NULL when it was not given. */
const char *option_value(const struct ctl_arguments *args, const char *name);
bool option_given(const struct ctl_arguments *args, const char *name);
/* The value of occurrence number n, counted from 0; NULL when there are not so many. */
const char *option_nth(const struct ctl_arguments *args, const char *name, size_t n);
/* Reads a whole number from least to most. Returns 0 or -1. */
int option_number(const char *text, long least, long most, long *out);

/* Prints the rows of a table as help. */
void options_print(const struct ctl_options *options, FILE *out);

#endif
