/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* getopt_long() returns letters below and rows of the tables from here on. */
enum { FIRST_ROW = 256, LETTERS_SIZE = 2 + 3 * CTL_OPTIONS_MAX };

struct parser {
    const struct ctl_option *rows[CTL_OPTIONS_MAX];
    struct option long_options[CTL_OPTIONS_MAX + 1];
    size_t count;
    char letters[LETTERS_SIZE];
};

static void add_rows(struct parser *p, const struct ctl_options *options)
{
    for (size_t i = 0; options != NULL && i < options->count && p->count < CTL_OPTIONS_MAX; i++) {
        const struct ctl_option *row = &options->rows[i];
        const int has_value = row->value != NULL ? required_argument : no_argument;
        p->rows[p->count] = row;
        p->long_options[p->count] = (struct option){row->name, has_value, NULL,
                                                    FIRST_ROW + (int)p->count};
        p->count++;
        if (row->letter == '\0')
            continue;
        size_t n = strlen(p->letters);
        p->letters[n++] = row->letter;
        if (row->value != NULL)
            p->letters[n++] = ':';
        p->letters[n] = '\0';
    }
}

static const struct ctl_option *row_of(const struct parser *p, int value)
{
    if (value >= FIRST_ROW)
        return p->rows[value - FIRST_ROW];
    for (size_t i = 0; i < p->count; i++) {
        if (p->rows[i]->letter != '\0' && p->rows[i]->letter == (char)value)
            return p->rows[i];
    }
    return NULL;
}

static int complain(const struct parser *p, int what, char **argv, char *why, size_t size)
{
    /* optopt names the option unless it is unknown, in which case it is 0 or its letter. */
    const struct ctl_option *row = optopt != 0 ? row_of(p, optopt) : NULL;
    if (what == ':' && row != NULL)
        (void)snprintf(why, size, "--%s wants a value (%s)", row->name, row->value);
    else if (row != NULL)
        (void)snprintf(why, size, "--%s takes no value", row->name);
    else if (optopt != 0)
        (void)snprintf(why, size, "no such option: -%c", optopt);
    else
        (void)snprintf(why, size, "no such option, or it is ambiguous: %s", argv[optind - 1]);
    return -1;
}

int options_parse(int argc, char **argv, const struct ctl_options *own,
                  const struct ctl_options *global, bool stop_at_word, struct ctl_arguments *out,
                  char *why, size_t size)
{
    struct parser p = {0};
    /* '+' stops at the first word, ':' tells a missing value from an unknown option. */
    memcpy(p.letters, stop_at_word ? "+:" : ":", stop_at_word ? 3 : 2);
    add_rows(&p, own);
    add_rows(&p, global);
    *out = (struct ctl_arguments){0};
    opterr = 0;
    optind = 0; /* glibc: start anew */
    for (;;) {
        int what = getopt_long(argc, argv, p.letters, p.long_options, NULL);
        if (what == -1)
            break;
        if (what == '?' || what == ':')
            return complain(&p, what, argv, why, size);
        if (out->given_count == CTL_OPTIONS_MAX) {
            (void)snprintf(why, size, "more than %d options", CTL_OPTIONS_MAX);
            return -1;
        }
        out->given[out->given_count].option = row_of(&p, what);
        out->given[out->given_count].value = optarg;
        out->given_count++;
    }
    out->words = argv + optind;
    out->word_count = (size_t)(argc - optind);
    return 0;
}

const char *option_nth(const struct ctl_arguments *args, const char *name, size_t n)
{
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0 && n-- == 0)
            return args->given[i].value;
    }
    return NULL;
}

const char *option_value(const struct ctl_arguments *args, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0)
            value = args->given[i].value;
    }
    return value;
}

bool option_given(const struct ctl_arguments *args, const char *name)
{
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0)
            return true;
    }
    return false;
}

int option_number(const char *text, long least, long most, long *out)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < least || n > most)
        return -1;
    *out = n;
    return 0;
}

void options_print(const struct ctl_options *options, FILE *out)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct ctl_option *row = &options->rows[i];
        char left[64];
        char letter[5] = "    ";
        if (row->letter != '\0')
            (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name,
                       row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
        (void)fprintf(out, "  %-27s %s\n", left, row->help);
    }
}
